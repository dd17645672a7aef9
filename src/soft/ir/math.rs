//! The mathematical functions of one lane (MSL 6.5), within the tables of MSL 8.4.
//!
//! Range reductions and polynomials are branch-free, so that a loop over lanes is compiled to vector code.
//! Only correctly rounded operations are used, so all instruction sets produce the same bits. Polynomials on
//! short intervals are Taylor's or the minimax ones of Moshier's Cephes library; the accuracy test of the
//! corpus prints the worst error of each function.

use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, LN_2, LOG2_E, LOG10_E, PI};

use super::half::{f16_bits, f16_value, round_bf16, round_f64_to_bf16};

/// `c[0] + c[1] x + c[2] x^2 …`
#[inline(always)]
fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut sum = c[N - 1];
    let mut k = N - 1;
    while k > 0 {
        k -= 1;
        sum = sum.mul_add(x, c[k]);
    }
    sum
}

/// The same in `f64`.
#[inline(always)]
fn polynomial64<const N: usize>(x: f64, c: [f64; N]) -> f64 {
    let mut sum = c[N - 1];
    let mut k = N - 1;
    while k > 0 {
        k -= 1;
        sum = sum * x + c[k];
    }
    sum
}

#[inline(always)]
fn pick(condition: bool, yes: f32, no: f32) -> f32 {
    if condition { yes } else { no }
}

/// Two to an integer power in the range of normal numbers.
#[inline(always)]
fn power_of_two(k: i32) -> f32 {
    f32::from_bits((k.wrapping_add(127) as u32) << 23)
}

/// `x` times two to the power `k`, from -252 to 254, rounded at most once.
#[inline(always)]
fn scale_in_two_steps(x: f32, k: i32) -> f32 {
    let half = k >> 1;
    x * power_of_two(half) * power_of_two(k - half)
}

// --- Integers --------------------------------------------------------------------------------------

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

// --- Rounding and parts ----------------------------------------------------------------------------

/// Whether `x` is finite and its magnitude not below the number of the given bits.
#[inline(always)]
pub(crate) fn in_range(x: f32, least: u32) -> bool {
    let bits = x.abs().to_bits();
    bits >= least && bits < 0x7f80_0000
}

/// To the nearest integer, ties away from zero.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    let whole = x.trunc();
    // The difference is exact, so ties are recognised.
    let away = pick((x - whole).abs() >= 0.5, 1.0, 0.0);
    (whole.abs() + away).copysign(x)
}

/// MSL 6.5: `min(x - floor(x), largest below 1)`.
#[inline(always)]
pub(crate) fn fract(x: f32, largest: f32) -> f32 {
    let fraction = x - x.floor();
    pick(fraction > largest, largest, fraction)
}

/// The mantissa of `frexp`, in [0.5, 1); zero, infinity and NaN are their own.
#[inline(always)]
pub(crate) fn mantissa(x: f32) -> f32 {
    // In f64 every f32 but zero is normal.
    let bits = f64::from(x).to_bits() & !(0x7ff << 52) | 1022 << 52;
    pick(in_range(x, 1), f64::from_bits(bits) as f32, x)
}

/// The exponent of `frexp`; 0 for zero, infinity and NaN.
#[inline(always)]
pub(crate) fn exponent(x: f32) -> i32 {
    let exponent = (f64::from(x).to_bits() >> 52 & 0x7ff) as i32 - 1022;
    if in_range(x, 1) { exponent } else { 0 }
}

/// The exponent of the leading bit; the lowest integer for zero, the highest for infinity and NaN.
#[inline(always)]
pub(crate) fn ilogb(x: f32) -> i32 {
    let special = if x == 0.0 { i32::MIN } else { i32::MAX };
    if in_range(x, 1) { exponent(x) - 1 } else { special }
}

/// `x` times two to the power `k`, exact in `f64` wherever `f32` does not overflow or vanish.
#[inline(always)]
pub(crate) fn scale(x: f32, k: i32) -> f64 {
    f64::from(x) * f64::from_bits(((k.clamp(-400, 400) + 1023) as u64) << 52)
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

// --- Powers and logarithms -------------------------------------------------------------------------

/// One over the square root, computed in `f64`.
#[inline(always)]
pub(crate) fn rsqrt(x: f32) -> f32 {
    (1.0 / f64::from(x).sqrt()) as f32
}

/// e to the power of `r`, up to half of ln 2 in magnitude.
#[inline(always)]
fn exp_reduced(r: f32) -> f32 {
    let tail = polynomial(r, [0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0]);
    tail.mul_add(r * r, r) + 1.0
}

/// e to the power of `x`, times two to the power of `extra`.
#[inline(always)]
fn exp_scaled(x: f32, extra: i32) -> f32 {
    let x = x.clamp(-110.0, 91.0);
    let k = (x * LOG2_E).round_ties_even();
    let r = k.mul_add(-0.693_145_75, x);
    let r = k.mul_add(-1.428_606_8e-6, r);
    scale_in_two_steps(exp_reduced(r), k as i32 + extra)
}

/// e to the power of `x`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    exp_scaled(x, 0)
}

/// 2 to the power of `x`.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    let x = x.clamp(-155.0, 130.0);
    let k = x.round_ties_even();
    scale_in_two_steps(exp_reduced((x - k) * LN_2), k as i32)
}

/// 10 to the power of `x`.
#[inline(always)]
pub(crate) fn exp10(x: f32) -> f32 {
    let x = x.clamp(-47.0, 40.0);
    let k = (x * std::f32::consts::LOG2_10).round_ties_even();
    let r = k.mul_add(-0.301_029_2, x);
    let r = k.mul_add(-7.903_42e-7, r);
    // ln 10 in two parts: the product of one rounding alone would cost half a unit.
    let r = r.mul_add(std::f32::consts::LN_10, r * -3.197_533e-8);
    scale_in_two_steps(exp_reduced(r), k as i32)
}

/// The exponent, and `ln(1 + f)` in two parts, `f` itself and the rest: `x = 2^e (1 + f)`,
/// `1 + f` between the square roots of 1/2 and 2. For `x` positive and finite.
#[inline(always)]
fn log_parts(x: f32) -> (f32, f32, f32) {
    let tiny = x < f32::MIN_POSITIVE;
    let x = x * pick(tiny, 8_388_608.0, 1.0);
    // Subtracting sqrt(1/2) first makes the exponent step there.
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let e = (bits as i32 >> 23) as f32 - pick(tiny, 23.0, 0.0);
    let f = f32::from_bits((bits & 0x007f_ffff) + 0x3f35_04f3) - 1.0;
    let cubic = polynomial(
        f,
        [
            0.333_333_3,
            -2.499_999_4e-1,
            2.000_071_5e-1,
            -1.666_805_8e-1,
            1.424_932_3e-1,
            -1.242_014_1e-1,
            1.167_699_9e-1,
            -1.151_461e-1,
            7.037_683_6e-2,
        ],
    );
    let square = f * f;
    (e, f, (cubic * f).mul_add(square, -0.5 * square))
}

/// `y`, or the logarithm of an `x` that is not a positive finite number.
#[inline(always)]
fn log_special(x: f32, y: f32) -> f32 {
    let y = pick(x == f32::INFINITY, x, y);
    let y = pick(x == 0.0, f32::NEG_INFINITY, y);
    pick(x < 0.0 || x.is_nan(), f32::NAN, y)
}

/// The natural logarithm.
#[inline(always)]
pub(crate) fn log(x: f32) -> f32 {
    let (e, f, rest) = log_parts(x);
    let rest = e.mul_add(-2.121_944_4e-4, rest);
    log_special(x, e.mul_add(0.693_359_4, f + rest))
}

/// The logarithm to base 2.
#[inline(always)]
pub(crate) fn log2(x: f32) -> f32 {
    let (e, f, rest) = log_parts(x);
    // log2(e) is 1 plus a part; the large products are then exact.
    let part = LOG2_E - 1.0;
    log_special(x, rest.mul_add(part, f * part) + rest + f + e)
}

/// The logarithm to base 10.
#[inline(always)]
pub(crate) fn log10(x: f32) -> f32 {
    let (e, f, rest) = log_parts(x);
    let small = f.mul_add(LOG10_E, rest * LOG10_E);
    log_special(x, e.mul_add(0.301_029_2, e.mul_add(7.903_42e-7, small)))
}

/// The logarithm to base 2 of the magnitude, as an `f64` accurate to 36 bits.
#[inline(always)]
fn log2_wide(x: f32) -> f64 {
    let bits = f64::from(x.abs()).to_bits().wrapping_sub(0x3fe6_a09e_667f_3bcd);
    let e = ((bits as i64) >> 52) as i32;
    let m = f64::from_bits((bits & ((1 << 52) - 1)).wrapping_add(0x3fe6_a09e_667f_3bcd));
    // ln m = 2 artanh s
    let s = (m - 1.0) / (m + 1.0);
    let c = 2.0 * std::f64::consts::LOG2_E;
    let series =
        polynomial64(s * s, [c, c / 3.0, c / 5.0, c / 7.0, c / 9.0, c / 11.0, c / 13.0, c / 15.0]);
    f64::from(e) + s * series
}

/// 2 to the power of `x`, for `f32`'s range.
#[inline(always)]
fn exp2_wide(x: f64) -> f32 {
    let x = x.clamp(-200.0, 200.0);
    let k = x.round_ties_even();
    let r = (x - k) * std::f64::consts::LN_2;
    let series = polynomial64(
        r,
        [
            1.0,
            1.0,
            1.0 / 2.0,
            1.0 / 6.0,
            1.0 / 24.0,
            1.0 / 120.0,
            1.0 / 720.0,
            1.0 / 5040.0,
            1.0 / 40320.0,
            1.0 / 362_880.0,
        ],
    );
    (series * f64::from_bits(((k as i32 + 1023) as u64) << 52)) as f32
}

/// `x` to the power of `y`, `x` taken as positive; zeros, infinities and NaN included.
#[inline(always)]
fn power(x: f32, y: f32) -> f32 {
    let log = log2_wide(x);
    let log = if x == 0.0 { f64::NEG_INFINITY } else { log };
    let log = if x.is_infinite() { f64::INFINITY } else { log };
    let log = if x.is_nan() { f64::NAN } else { log };
    exp2_wide(log * f64::from(y))
}

/// `x` to the power of `y`, as C's `pow`.
#[inline(always)]
pub(crate) fn pow(x: f32, y: f32) -> f32 {
    let whole = y.trunc() == y;
    let half = y * 0.5;
    // Above 2^24 every f32 is even.
    let odd = whole && half.trunc() != half;
    let magnitude = power(x, y);
    let signed = pick(x.is_sign_negative() && odd, -magnitude, magnitude);
    let result = pick(x < 0.0 && x.is_finite() && !whole, f32::NAN, signed);
    // An infinite exponent: 1 to any power is 1, of -1 too.
    pick(y == 0.0 || x == 1.0 || x == -1.0 && y.is_infinite(), 1.0, result)
}

/// `x` to the power of `y` for `x` not negative.
#[inline(always)]
pub(crate) fn powr(x: f32, y: f32) -> f32 {
    pick(x < 0.0, f32::NAN, power(x, y))
}

// --- Trigonometry ----------------------------------------------------------------------------------

/// Sine and cosine of `r`, up to a quarter of pi in magnitude.
#[inline(always)]
fn sin_cos_reduced(r: f32) -> (f32, f32) {
    let z = r * r;
    let sin = polynomial(z, [-1.666_665_5e-1, 8.332_161e-3, -1.951_529_6e-4]);
    let cos = polynomial(z, [4.166_664_6e-2, -1.388_731_6e-3, 2.443_315_7e-5]);
    ((sin * z).mul_add(r, r), (cos * z).mul_add(z, (-0.5f32).mul_add(z, 1.0)))
}

/// The quadrant of the angle, and the angle in it, for magnitudes below [`LARGE_ANGLE`]. Half of pi in
/// three parts: each product is fused, so only the last subtraction rounds.
#[inline(always)]
fn quadrant(x: f32) -> (i32, f32) {
    let q = (x * std::f32::consts::FRAC_2_PI).round_ties_even();
    let r = q.mul_add(-FRAC_PI_2, x);
    let r = q.mul_add(4.371_139e-8, r);
    let r = q.mul_add(1.715_125e-15, r);
    (q as i32, r)
}

/// From here on angles are reduced by [`quadrant_of_large`].
const LARGE_ANGLE: f32 = 48_000.0;

/// Whether an angle needs [`quadrant_of_large`].
#[inline(always)]
pub(crate) fn is_large_angle(x: f32) -> bool {
    x.abs() >= LARGE_ANGLE
}

/// The bits of 2/pi after the binary point.
const TWO_OVER_PI: [u64; 4] =
    [0xa2f9_836e_4e44_1529, 0xfc27_57d1_f534_ddc0, 0xdb62_9599_3c43_9041, 0xfe51_63ab_debb_c561];

/// As [`quadrant`] for large angles: the product with 2/pi, of which only the bits that decide the
/// quadrant and the remainder are computed (Payne and Hanek, 1983).
fn quadrant_of_large(x: f32) -> (i32, f32) {
    if !x.is_finite() {
        return (0, f32::NAN);
    }
    let bits = x.to_bits();
    let mantissa = u128::from(bits & 0x007f_ffff | 0x0080_0000);
    let exponent = (bits >> 23 & 0xff) as i32 - 150;
    // x = mantissa * 2^exponent. Bits of 2/pi that contribute multiples of 4 are whole turns: skip them.
    let skip = (exponent - 2).max(0) as u32;
    let (word, shift) = ((skip / 64) as usize, skip % 64);
    let high = u128::from(TWO_OVER_PI[word]) << 64 | u128::from(TWO_OVER_PI[word + 1]);
    let next = TWO_OVER_PI.get(word + 2).copied().unwrap_or(0);
    let low = if shift == 0 { 0 } else { next >> (64 - shift) };
    let window = (high << shift | u128::from(low)) >> 32 >> (2 - exponent).max(0);
    // 2 bits of quadrant, 94 of fraction.
    let product = mantissa * window;
    let (quadrant, fraction) = ((product >> 94 & 3) as i32, product & ((1 << 94) - 1));
    let up = fraction >> 93 == 1;
    let distance = if up { (1 << 94) - fraction } else { fraction };
    let angle = distance as f64 * (std::f64::consts::FRAC_PI_2 / 2f64.powi(94));
    let (quadrant, angle) = if up { (quadrant + 1, -angle) } else { (quadrant, angle) };
    if x < 0.0 { (-quadrant, -angle as f32) } else { (quadrant, angle as f32) }
}

/// The sine of the angle `r` in quadrant `q`.
#[inline(always)]
fn sin_in((q, r): (i32, f32)) -> f32 {
    let (sin, cos) = sin_cos_reduced(r);
    let value = pick(q & 1 == 0, sin, cos);
    f32::from_bits(value.to_bits() ^ ((q & 2) as u32) << 30)
}

/// The tangent of the angle `r` in quadrant `q`.
#[inline(always)]
fn tan_in((q, r): (i32, f32)) -> f32 {
    let z = r * r;
    let tail = polynomial(
        z,
        [
            3.333_315_7e-1,
            1.333_879_9e-1,
            5.341_128e-2,
            2.443_013_5e-2,
            3.119_922_3e-3,
            9.385_402e-3,
        ],
    );
    let tan = (tail * z).mul_add(r, r);
    pick(q & 1 == 0, tan, -1.0 / tan)
}

#[inline(always)]
fn turned((q, r): (i32, f32)) -> (i32, f32) {
    (q.wrapping_add(1), r)
}

/// Sine.
#[inline(always)]
pub(crate) fn sin(x: f32) -> f32 {
    pick(x == 0.0, x, sin_in(quadrant(x)))
}

/// Cosine.
#[inline(always)]
pub(crate) fn cos(x: f32) -> f32 {
    sin_in(turned(quadrant(x)))
}

/// Tangent.
#[inline(always)]
pub(crate) fn tan(x: f32) -> f32 {
    pick(x == 0.0, x, tan_in(quadrant(x)))
}

/// Sine of a large angle.
pub(crate) fn sin_large(x: f32) -> f32 {
    sin_in(quadrant_of_large(x))
}

/// Cosine of a large angle.
pub(crate) fn cos_large(x: f32) -> f32 {
    sin_in(turned(quadrant_of_large(x)))
}

/// Tangent of a large angle.
pub(crate) fn tan_large(x: f32) -> f32 {
    tan_in(quadrant_of_large(x))
}

/// The quadrant of pi times `x`, exactly.
#[inline(always)]
fn quadrant_pi(x: f32) -> (i32, f32) {
    let q = (x + x).round_ties_even();
    let r = q.mul_add(-0.5, x);
    ((q - 4.0 * (q * 0.25).floor()) as i32, r * PI)
}

/// Sine of pi times `x`.
#[inline(always)]
pub(crate) fn sinpi(x: f32) -> f32 {
    sin_in(quadrant_pi(x))
}

/// Cosine of pi times `x`.
#[inline(always)]
pub(crate) fn cospi(x: f32) -> f32 {
    sin_in(turned(quadrant_pi(x)))
}

/// Tangent of pi times `x`.
#[inline(always)]
pub(crate) fn tanpi(x: f32) -> f32 {
    tan_in(quadrant_pi(x))
}

/// Arc sine of the magnitude, and what `acos` needs: for `a` above a half, `asin a = pi/2 - 2 y`.
#[inline(always)]
fn asin_parts(a: f32) -> (bool, f32) {
    let large = a > 0.5;
    let z = pick(large, 0.5 * (1.0 - a), a * a);
    let s = pick(large, z.sqrt(), a);
    let tail =
        polynomial(z, [1.666_675_2e-1, 7.495_300_3e-2, 4.547_002_6e-2, 2.418_131e-2, 4.216_32e-2]);
    (large, (tail * z).mul_add(s, s))
}

/// Arc sine.
#[inline(always)]
pub(crate) fn asin(x: f32) -> f32 {
    let (large, y) = asin_parts(x.abs());
    pick(large, 2.0f32.mul_add(-y, FRAC_PI_2), y).copysign(x)
}

/// Arc cosine.
#[inline(always)]
pub(crate) fn acos(x: f32) -> f32 {
    let (large, y) = asin_parts(x.abs());
    let near = pick(x < 0.0, 2.0f32.mul_add(-y, PI), 2.0 * y);
    pick(large, near, FRAC_PI_2 - y.copysign(x))
}

/// Arc tangent of `t` in [0, 1].
#[inline(always)]
fn atan_unit(t: f32) -> f32 {
    // Above tan(pi/8) from pi/4.
    let far = t > 0.414_213_57;
    let x = pick(far, (t - 1.0) / (t + 1.0), t);
    let z = x * x;
    let tail = polynomial(z, [-3.333_295e-1, 1.997_771_1e-1, -1.387_768_6e-1, 8.053_744_5e-2]);
    let y = (tail * z).mul_add(x, x);
    pick(far, FRAC_PI_4 + y, y)
}

/// Arc tangent.
#[inline(always)]
pub(crate) fn atan(x: f32) -> f32 {
    let a = x.abs();
    let inverted = a > 1.0;
    let y = atan_unit(pick(inverted, 1.0 / a, a));
    pick(inverted, FRAC_PI_2 - y, y).copysign(x)
}

/// The angle of the point (`x`, `y`), as C's `atan2`.
#[inline(always)]
pub(crate) fn atan2(y: f32, x: f32) -> f32 {
    let (b, a) = (y.abs(), x.abs());
    let steep = b > a;
    let (least, most) = if steep { (a, b) } else { (b, a) };
    // 0/0 is 0 and infinity over infinity is 1.
    let ratio = least / most;
    let ratio = pick(most == 0.0, 0.0, ratio);
    let ratio = pick(least == f32::INFINITY, 1.0, ratio);
    let angle = atan_unit(ratio);
    let angle = pick(steep, FRAC_PI_2 - angle, angle);
    let angle = pick(x.is_sign_negative(), PI - angle, angle).copysign(y);
    pick(x.is_nan() || y.is_nan(), f32::NAN, angle)
}

// --- Hyperbolic functions --------------------------------------------------------------------------

/// Hyperbolic sine.
#[inline(always)]
pub(crate) fn sinh(x: f32) -> f32 {
    let a = x.abs();
    let half = exp_scaled(a, -1);
    let z = a * a;
    let tail = polynomial(z, [1.666_671_6e-1, 8.330_284e-3, 2.037_219_1e-4]);
    pick(a > 1.0, half - 0.25 / half, (tail * z).mul_add(a, a)).copysign(x)
}

/// Hyperbolic cosine.
#[inline(always)]
pub(crate) fn cosh(x: f32) -> f32 {
    let half = exp_scaled(x.abs(), -1);
    half + 0.25 / half
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let far = 1.0 - 2.0 / (exp_scaled(a + a, 0) + 1.0);
    let z = a * a;
    let tail = polynomial(
        z,
        [-0.333_332_8, 1.333_144_2e-1, -5.373_971_6e-2, 2.063_909e-2, -5.704_988_7e-3],
    );
    pick(a > 0.625, far, (tail * z).mul_add(a, a)).copysign(x)
}

/// Inverse hyperbolic sine.
#[inline(always)]
pub(crate) fn asinh(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let huge = a > 1500.0;
    let far = log(pick(huge, a, a + (z + 1.0).sqrt())) + pick(huge, LN_2, 0.0);
    let tail = polynomial(z, [-1.666_628_8e-1, 7.484_759e-2, -4.269_934e-2, 2.012_200_3e-2]);
    pick(a > 0.5, far, (tail * z).mul_add(a, a)).copysign(x)
}

/// Inverse hyperbolic cosine.
#[inline(always)]
pub(crate) fn acosh(x: f32) -> f32 {
    let huge = x > 1500.0;
    let far = log(pick(huge, x, x + x.mul_add(x, -1.0).sqrt())) + pick(huge, LN_2, 0.0);
    let z = x - 1.0;
    let near = z.sqrt()
        * polynomial(
            z,
            [
                std::f32::consts::SQRT_2,
                -1.178_474_2e-1,
                2.645_490_5e-2,
                -7.527_288_7e-3,
                1.759_688_1e-3,
            ],
        );
    pick(x > 1.5, far, near)
}

/// Inverse hyperbolic tangent.
#[inline(always)]
pub(crate) fn atanh(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let far = 0.5 * log((1.0 + a) / (1.0 - a));
    let tail =
        polynomial(z, [3.333_373e-1, 1.997_821_6e-1, 1.466_914_3e-1, 8.243_703e-2, 1.817_400_8e-1]);
    pick(a > 0.5, far, (tail * z).mul_add(a, a)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_values_are_those_of_c() {
        let inf = f32::INFINITY;
        assert_eq!(exp(-inf), 0.0);
        assert_eq!(exp(inf), inf);
        assert_eq!(exp2(-inf), 0.0);
        assert_eq!(log(0.0), -inf);
        assert!(log(-1.0).is_nan());
        assert_eq!(log2(inf), inf);
        assert!(sin(inf).is_nan() && sin_large(inf).is_nan() && tan(f32::NAN).is_nan());
        assert!(sin(-0.0).is_sign_negative());
        assert_eq!(sinpi(1e9), 0.0);
        assert_eq!(cospi(16777217.0), 1.0);
        assert_eq!(tanh(inf), 1.0);
        assert_eq!(pow(-2.0, 3.0), -8.0);
        assert!(pow(-2.0, 0.5).is_nan());
        assert_eq!(pow(-0.0, -1.0), -inf);
        assert_eq!(pow(0.0, 0.0), 1.0);
        assert_eq!(pow(-1.0, inf), 1.0);
        assert_eq!(pow(-inf, 3.0), -inf);
        assert_eq!(pow(f32::NAN, 0.0), 1.0);
        assert!(pow(f32::NAN, 1.0).is_nan());
        assert_eq!(atan2(0.0, -0.0), PI);
        assert_eq!(atan2(inf, -inf), 3.0 * FRAC_PI_4);
        assert!(atan2(-0.0, 1.0).is_sign_negative());
        assert_eq!(round(-2.5), -3.0);
        assert_eq!(round(0.499_999_97), 0.0);
        assert_eq!((mantissa(-12.0), exponent(-12.0)), (-0.75, 4));
        assert_eq!((mantissa(1e-45), exponent(1e-45)), (0.5, -148));
        assert_eq!(ilogb(1e-45), -149);
        assert_eq!(scale(1e-45, 200) as f32, 1e-45 * 2f32.powi(120) * 2f32.powi(80));
        assert_eq!(next_after_f16(0.0, -1.0), -(2f32.powi(-24)));
        assert_eq!(next_after_f16(1.0, 2.0), 1.0 + 2f32.powi(-10));
        assert_eq!(next_after_bf16(1.0, 0.0), 1.0 - 2f32.powi(-8));
    }
}
