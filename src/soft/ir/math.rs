//! Operations on one lane that are more than an expression.

use super::half::{round_bf16, round_f64_to_bf16};

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
