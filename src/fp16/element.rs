//! One element at a time, in plain Rust: the definition that every other path is held against.
//!
//! No branch depends on anything but a comparison of integers, so that the compiler can turn each
//! function into selects and vectorise a loop of it. The two float operations, in the subnormal
//! ranges, take and give normal numbers or zero: flush-to-zero modes do not change them.

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
    let magnitude = if magnitude < 1 << 23 {
        // Subnormal: with 2⁻¹⁴'s exponent the mantissa counts in steps of 2⁻²⁴, exactly.
        (f32::from_bits(LEAST_NORMAL.to_bits() | magnitude) - LEAST_NORMAL).to_bits()
    } else if magnitude < infinity {
        magnitude + REBIAS
    } else {
        magnitude | FLOAT_INFINITY | if magnitude > infinity { FLOAT_QUIET } else { 0 }
    };
    f32::from_bits(sign | magnitude)
}

#[inline(always)]
pub(super) fn float_to_half(float: f32) -> u16 {
    let bits = float.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    let magnitude = if magnitude > FLOAT_INFINITY {
        ((magnitude >> HALF_SHIFT) & (HALF_QUIET - 1)) | HALF_INFINITY | HALF_QUIET
    } else if magnitude < LEAST_NORMAL.to_bits() {
        // Subnormal: one unit in the last place of [½, 1) is 2⁻²⁴, so the addition itself rounds.
        (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()
    } else {
        // A carry out of the mantissa moves the exponent up, as it should; what passes the largest
        // half is an infinity.
        (round_off(magnitude, HALF_SHIFT) - (REBIAS >> HALF_SHIFT)).min(HALF_INFINITY)
    };
    (sign | magnitude) as u16
}

#[inline(always)]
pub(super) fn bfloat_to_float(bfloat: u16) -> f32 {
    let bits = u32::from(bfloat) << BFLOAT_SHIFT;
    let nan = bits & 0x7fff_ffff > FLOAT_INFINITY;
    f32::from_bits(bits | if nan { FLOAT_QUIET } else { 0 })
}

#[inline(always)]
pub(super) fn float_to_bfloat(float: f32) -> u16 {
    let bits = float.to_bits();
    if bits & 0x7fff_ffff > FLOAT_INFINITY {
        ((bits | FLOAT_QUIET) >> BFLOAT_SHIFT) as u16
    } else {
        round_off(bits, BFLOAT_SHIFT) as u16
    }
}

/// `bits >> shift`, rounded to nearest, ties to even. `bits` is no NaN, so the sum cannot wrap.
#[inline(always)]
fn round_off(bits: u32, shift: u32) -> u32 {
    let odd = (bits >> shift) & 1;
    (bits + (1 << (shift - 1)) - 1 + odd) >> shift
}
