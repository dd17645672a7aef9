//! Operations on one lane that are more than an expression.

use super::half::{f16_bits, f16_value, round_bf16, round_f64_to_bf16};

#[inline(always)]
fn pick(condition: bool, yes: f32, no: f32) -> f32 {
    if condition { yes } else { no }
}

/// `a / b` truncated, 0 for `b` = 0. The quotient of 32-bit integers in `f64` never rounds up to the next
/// integer: it stays 2^-32 of it away, and `f64` has 53 bits.
#[inline(always)]
pub(crate) fn div_u32(a: u32, b: u32) -> u32 {
    let quotient = (f64::from(a) / f64::from(b)) as u32;
    if b == 0 { 0 } else { quotient }
}

/// As [`div_u32`]; the one quotient that is out of range wraps.
#[inline(always)]
pub(crate) fn div_i32(a: i32, b: i32) -> i32 {
    let quotient = (f64::from(a) / f64::from(b)) as i32;
    let wrapped = if b == -1 { a.wrapping_neg() } else { quotient };
    if b == 0 { 0 } else { wrapped }
}

/// Whether `x` is finite and its magnitude not below the number of the given bits.
#[inline(always)]
pub(crate) fn in_range(x: f32, least: u32) -> bool {
    let bits = x.abs().to_bits();
    bits >= least && bits < 0x7f80_0000
}

/// MSL 6.5: `min(x - floor(x), largest below 1)`.
#[inline(always)]
pub(crate) fn fract(x: f32, largest: f32) -> f32 {
    let fraction = x - x.floor();
    pick(fraction > largest, largest, fraction)
}

/// The next `f32` after `a` towards `b`.
#[inline(always)]
pub(crate) fn next_after(a: f32, b: f32) -> f32 {
    let up = if b > a { a.next_up() } else { a.next_down() };
    let moved = if a == b { b } else { up };
    if a.is_nan() || b.is_nan() { f32::NAN } else { moved }
}

/// The next `f16` after `a` towards `b`.
#[inline(always)]
pub(crate) fn next_after_f16(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        return f32::NAN;
    }
    let bits = f16_bits(a);
    let away = (b > a) == (a > 0.0);
    let moved = if a == 0.0 {
        1 | f16_bits(b) & 0x8000
    } else if away {
        bits + 1
    } else {
        bits - 1
    };
    if a == b { b } else { f16_value(moved) }
}

/// The next `bf16` after `a` towards `b`.
#[inline(always)]
pub(crate) fn next_after_bf16(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        return f32::NAN;
    }
    let bits = a.to_bits();
    let away = (b > a) == (a > 0.0);
    let moved = if a == 0.0 {
        1 << 16 | b.to_bits() & 1 << 31
    } else if away {
        bits + (1 << 16)
    } else {
        bits - (1 << 16)
    };
    if a == b { b } else { f32::from_bits(moved) }
}

/// `a * b + c` in `bf16`. The product is exact in `f64`; the sum is rounded to odd there, so that the
/// rounding to `bf16` is the only one.
#[inline(always)]
pub(crate) fn fma_bf16(a: f32, b: f32, c: f32) -> f32 {
    let (p, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = p + c;
    // Knuth's two-sum computes the rounding error of the addition.
    let c_part = sum - p;
    let lost = (p - (sum - c_part)) + (c - c_part);
    let even = sum.to_bits() & 1 == 0;
    let outward = (lost > 0.0) == (sum > 0.0);
    let odd = if outward { sum.to_bits().wrapping_add(1) } else { sum.to_bits().wrapping_sub(1) };
    let sum = if lost != 0.0 && even && sum.is_finite() { f64::from_bits(odd) } else { sum };
    round_bf16(round_f64_to_bf16(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_that_of_the_type() {
        assert_eq!(next_after_f16(0.0, -1.0), -(2f32.powi(-24)));
        assert_eq!(next_after_f16(1.0, 2.0), 1.0 + 2f32.powi(-10));
        assert_eq!(next_after_bf16(1.0, 0.0), 1.0 - 2f32.powi(-8));
    }
}
