//! `f16` and `bf16` values, represented by the `f32` of equal value: rounding, and their bits in memory.
//!
//! The functions are branch-free, so that a loop over lanes is compiled to vector code.

/// Selects by a condition without a branch.
#[inline(always)]
fn pick(condition: bool, yes: u32, no: u32) -> u32 {
    let mask = u32::from(condition).wrapping_neg();
    yes & mask | no & !mask
}

const SIGN: u32 = 1 << 31;
const INFINITY: u32 = 0x7f80_0000;
const QUIET_NAN: u32 = 0x7fc0_0000;

/// The nearest `f16`, ties to even; denormals are preserved.
#[inline(always)]
pub(crate) fn round_f16(x: f32) -> f32 {
    let sign = x.to_bits() & SIGN;
    let bits = x.to_bits() & !SIGN;
    // 13 bits fewer, ties to even.
    let normal = bits.wrapping_add(0xfff + (bits >> 13 & 1)) & !0x1fff;
    // Below 2^-14 the step is 2^-24, which is the step of f32 from 0.5 on.
    let denormal = (f32::from_bits(bits) + 0.5 - 0.5).to_bits();
    let finite = pick(bits < 0x3880_0000, denormal, normal);
    // 65520 is the first that rounds up past the largest, 65504.
    let infinite = pick(bits > INFINITY, QUIET_NAN, INFINITY);
    f32::from_bits(sign | pick(bits < 0x477f_f000, finite, infinite))
}

/// The bits of an `f32` that is an `f16`'s value. All bits of a NaN that [`f16_value`] made are preserved; any other
/// NaN keeps its sign and stays a NaN.
#[inline(always)]
pub(crate) fn f16_bits(x: f32) -> u16 {
    let sign = x.to_bits() >> 16 & 0x8000;
    let bits = x.to_bits() & !SIGN;
    let normal = (bits >> 13).wrapping_sub(112 << 10);
    // Adding 0.5 puts the multiples of 2^-24 into the low bits.
    let denormal = (f32::from_bits(bits) + 0.5).to_bits() & 0x3ff;
    let finite = pick(bits < 0x3880_0000, denormal, normal);
    let payload = bits >> 13 & 0x3ff;
    let special = 0x7c00 | payload | pick(bits > INFINITY && payload == 0, 0x200, 0);
    (sign | pick(bits < INFINITY, finite, special)) as u16
}

/// The value of an `f16`'s bits. A NaN keeps its payload, even a signalling one, which the instructions of most
/// processors would make quiet: a load followed by a store preserves every bit.
#[inline(always)]
pub(crate) fn f16_value(bits: u16) -> f32 {
    let bits = u32::from(bits);
    // Shifted into place the exponent is 112 too small; the product normalises denormals, too.
    let finite = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    let special = INFINITY | (bits & 0x3ff) << 13;
    let magnitude = pick(bits & 0x7c00 == 0x7c00, special, finite.to_bits());
    f32::from_bits(magnitude | (bits & 0x8000) << 16)
}

/// The nearest `bf16`, ties to even.
#[inline(always)]
pub(crate) fn round_bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    let nan = bits & SIGN | QUIET_NAN;
    f32::from_bits(pick(bits & !SIGN > INFINITY, nan, rounded))
}

/// The `f64` rounded to `f16` in one step: rounding to `f32` first would round twice.
#[inline(always)]
pub(crate) fn round_f64_to_f16(x: f64) -> f32 {
    round_f16(round_to_odd(x))
}

/// The `f64` rounded to `bf16` in one step.
#[inline(always)]
pub(crate) fn round_f64_to_bf16(x: f64) -> f32 {
    round_bf16(round_to_odd(x))
}

/// Rounds to `f32` so that a second rounding to fewer bits is correct: truncates, and sets the last bit
/// if the result is inexact (round to odd; Boldo and Melquiond, "Emulation of FMA", 2008).
#[inline(always)]
fn round_to_odd(x: f64) -> f32 {
    let nearest = x as f32;
    let back = f64::from(nearest);
    let bits = nearest.to_bits();
    let past = back.abs() > x.abs();
    let inexact = back != x && !x.is_nan();
    f32::from_bits(pick(inexact, bits.wrapping_sub(u32::from(past)) | 1, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of `f16` bits by the definition of the format (IEEE 754, 3.4).
    fn by_definition(bits: u16) -> f64 {
        let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
        let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
        sign * match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
        }
    }

    #[test]
    fn all_halves_survive() {
        for bits in 0..=u16::MAX {
            let value = f16_value(bits);
            let want = by_definition(bits);
            if want.is_nan() {
                assert!(value.is_nan() && round_f16(value).is_nan());
                assert_eq!(f16_bits(value), bits);
                continue;
            }
            assert_eq!(f64::from(value), want);
            assert_eq!(value.is_sign_negative(), bits >> 15 == 1);
            assert_eq!(round_f16(value).to_bits(), value.to_bits());
            assert_eq!(f16_bits(value), bits);
        }
    }

    /// Arithmetic on halves is that of `f32`, rounded once more: these are the bits of a processor's own instructions for halves.
    #[test]
    fn halves_are_computed_as_floats() {
        type Both = (fn(f32, f32) -> f32, fn(f64, f64) -> f64);
        let operations: [Both; 5] = [
            (|a, b| a + b, |a, b| a + b),
            (|a, b| a - b, |a, b| a - b),
            (|a, b| a * b, |a, b| a * b),
            (|a, b| a / b, |a, b| a / b),
            (|a, _| a.sqrt(), |a, _| a.sqrt()),
        ];
        // Every first operand; the second ones have all exponents, and fractions without a pattern.
        for first in 0..=u16::MAX {
            let second = first.wrapping_mul(40_503) ^ first >> 7;
            let (a, b) = (f16_value(first), f16_value(second));
            for (of_floats, of_doubles) in operations {
                let found = round_f16(of_floats(a, b));
                // The sum, difference and product are exact here, and the others have more than twice the bits of a half.
                let exact = of_doubles(a.into(), b.into());
                let want = round_f64_to_f16(exact);
                assert!(found.to_bits() == want.to_bits() || found.is_nan() && want.is_nan());
            }
        }
    }

    #[test]
    fn rounding_goes_to_the_nearest_and_ties_to_even() {
        for bits in 0..0x7bffu16 {
            let (low, high) = (by_definition(bits), by_definition(bits + 1));
            let middle = ((low + high) / 2.0) as f32;
            let even = if bits & 1 == 0 { low } else { high };
            for sign in [1.0, -1.0] {
                assert_eq!(f64::from(sign * round_f16(sign * middle)), even);
                assert_eq!(f64::from(sign * round_f16(sign * middle.next_up())), high);
                assert_eq!(f64::from(sign * round_f16(sign * middle.next_down())), low);
            }
            let middle = (low + high) / 2.0;
            assert_eq!(f64::from(round_f64_to_f16(middle)), even);
            assert_eq!(f64::from(round_f64_to_f16(middle.next_up())), high);
            assert_eq!(f64::from(round_f64_to_f16(middle.next_down())), low);
        }
        assert_eq!(round_f16(65519.996), 65504.0);
        assert_eq!(round_f16(65520.0), f32::INFINITY);
        assert_eq!(round_f16(-1e30), f32::NEG_INFINITY);
        assert_eq!(round_bf16(f32::from_bits(0x3f80_8000)).to_bits(), 0x3f80_0000);
        assert_eq!(round_bf16(f32::from_bits(0x3f81_8000)).to_bits(), 0x3f82_0000);
        assert!(round_bf16(f32::from_bits(0x7f80_0001)).is_nan());
        assert_eq!(f16_bits(f32::from_bits(0xff80_0001)), 0xfe00, "a payload that does not fit");
    }
}
