//! One element at a time, in plain Rust: the definition that every other path is compared with.
//!
//! Every case is computed and one of them selected, so that the compiler can make vectors of a loop.
//! The two float operations, for subnormal halves, take and return normal numbers or zero where they
//! are selected: flush-to-zero modes do not change them.

/// The bits of a positive infinity in each format.
const HALF_INFINITY: u32 = 0x7c00;
const FLOAT_INFINITY: u32 = 0x7f80_0000;

/// The top bit of a NaN's payload: set in a quiet NaN (IEEE 754-2008, 6.2.1).
const HALF_QUIET: u32 = 0x0200;
const FLOAT_QUIET: u32 = 0x0040_0000;

/// Mantissa bits that a float has and the short format has not.
const HALF_SHIFT: u32 = 23 - 10;
const BFLOAT_SHIFT: u32 = 16;

/// The difference of the exponent biases, 127 and 15, in a float's exponent field.
const REBIAS: u32 = (127 - 15) << 23;

/// 2⁻¹⁴, the least normal half.
const LEAST_NORMAL: f32 = f32::from_bits(REBIAS + (1 << 23));

#[inline(always)]
pub(super) fn half_to_float(half: u16) -> f32 {
    let half = u32::from(half);
    let sign = (half & 0x8000) << 16;
    let magnitude = (half & 0x7fff) << HALF_SHIFT;
    let infinity = HALF_INFINITY << HALF_SHIFT;
    let normal = magnitude + REBIAS;
    // With 2⁻¹⁴'s exponent a subnormal's mantissa counts in steps of 2⁻²⁴, exactly.
    let subnormal = f32::from_bits(LEAST_NORMAL.to_bits() | magnitude) - LEAST_NORMAL;
    let endless = magnitude | FLOAT_INFINITY | select(magnitude > infinity, FLOAT_QUIET, 0);
    let finite = select(magnitude < 1 << 23, subnormal.to_bits(), normal);
    f32::from_bits(sign | select(magnitude < infinity, finite, endless))
}

#[inline(always)]
pub(super) fn float_to_half(float: f32) -> u16 {
    let bits = float.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // A carry out of the mantissa moves the exponent up, as it should; what passes the largest half
    // is an infinity.
    let rounded = round_off(magnitude, HALF_SHIFT).wrapping_sub(REBIAS >> HALF_SHIFT);
    let normal = select(rounded < HALF_INFINITY, rounded, HALF_INFINITY);
    // One unit in the last place of [½, 1) is 2⁻²⁴, so the addition itself rounds a subnormal.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let payload = (magnitude >> HALF_SHIFT) & (HALF_QUIET - 1);
    let nan = payload | HALF_INFINITY | HALF_QUIET;
    let number = select(magnitude < LEAST_NORMAL.to_bits(), subnormal, normal);
    (sign | select(magnitude > FLOAT_INFINITY, nan, number)) as u16
}

#[inline(always)]
pub(super) fn bfloat_to_float(bfloat: u16) -> f32 {
    let bits = u32::from(bfloat) << BFLOAT_SHIFT;
    f32::from_bits(bits | select(bits & 0x7fff_ffff > FLOAT_INFINITY, FLOAT_QUIET, 0))
}

#[inline(always)]
pub(super) fn float_to_bfloat(float: f32) -> u16 {
    let bits = float.to_bits();
    let nan = (bits | FLOAT_QUIET) >> BFLOAT_SHIFT;
    let number = round_off(bits, BFLOAT_SHIFT);
    select(bits & 0x7fff_ffff > FLOAT_INFINITY, nan, number) as u16
}

/// `yes` or `no`, both computed: without a branch a loop becomes vectors.
#[inline(always)]
fn select(condition: bool, yes: u32, no: u32) -> u32 {
    if condition { yes } else { no }
}

/// `bits >> shift`, rounded to nearest, ties to even. Only a NaN's sum may wrap.
#[inline(always)]
fn round_off(bits: u32, shift: u32) -> u32 {
    let odd = (bits >> shift) & 1;
    bits.wrapping_add((1 << (shift - 1)) - 1 + odd) >> shift
}
