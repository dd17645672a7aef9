//! Reference semantics of operations on numbers, from the specification, without the compiler's code.
//!
//! An integer is stored as 64 bits, sign-extended; a float of any format as the bits of an equal
//! `f32`.

use super::program::{Binary, Function, Unary};
use crate::soft::ir::Scalar;

pub(super) fn float(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn int(scalar: Scalar, bits: u64) -> i128 {
    if signed(scalar) { i128::from(bits as i64) } else { i128::from(bits) }
}

pub(super) fn signed(scalar: Scalar) -> bool {
    matches!(scalar, Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64)
}

/// The number of value bits of an integer type.
pub(super) fn width(scalar: Scalar) -> u32 {
    scalar.bytes() * 8
}

/// An integer of any size in a type, modulo its width.
pub(super) fn wrap(scalar: Scalar, value: i128) -> u64 {
    match scalar {
        Scalar::Bool => u64::from(value != 0),
        Scalar::I8 => i64::from(value as i8) as u64,
        Scalar::U8 => u64::from(value as u8),
        Scalar::I16 => i64::from(value as i16) as u64,
        Scalar::U16 => u64::from(value as u16),
        Scalar::I32 => i64::from(value as i32) as u64,
        Scalar::U32 => u64::from(value as u32),
        Scalar::I64 => value as i64 as u64,
        Scalar::U64 => value as u64,
        Scalar::F16 | Scalar::BF16 | Scalar::F32 => unreachable!("an integer in a float"),
    }
}

/// A binary floating-point format narrower than `f32` (IEEE 754, 3.3).
#[derive(Clone, Copy)]
struct Format {
    /// Significant bits, the leading one included.
    precision: i32,
    /// The exponent of the smallest normal number.
    least_exponent: i32,
    largest: f64,
}

const F16: Format = Format { precision: 11, least_exponent: -14, largest: 65504.0 };
const BF16: Format =
    Format { precision: 8, least_exponent: -126, largest: 255.0 * (1u128 << 120) as f64 };

/// The distance between a number and the next larger one in a format.
fn step(format: Format, value: f64) -> f64 {
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    2f64.powi(exponent.max(format.least_exponent) - (format.precision - 1))
}

/// A number rounded to a format by the definition of rounding to nearest, ties to even: deliberately not
/// the bit manipulation of the code under test.
fn nearest(format: Format, value: f64) -> f32 {
    if !value.is_finite() {
        return value as f32;
    }
    let step = step(format, value);
    let rounded = (value / step).round_ties_even() * step;
    if rounded.abs() > format.largest {
        f32::INFINITY.copysign(value as f32)
    } else {
        rounded as f32
    }
}

/// The 16 bits of a number that is a value of the type.
pub(super) fn narrow_bits(scalar: Scalar, value: f32) -> u16 {
    if scalar == Scalar::BF16 {
        return (value.to_bits() >> 16) as u16;
    }
    let sign = u16::from(value.is_sign_negative()) << 15;
    let magnitude = f64::from(value.abs());
    sign | match magnitude {
        _ if magnitude.is_nan() => 0x7e00,
        f64::INFINITY => 0x7c00,
        _ => {
            let step = step(F16, magnitude);
            // A normal number's leading bit adds one to the exponent field.
            let binade = (step / 2f64.powi(-24)).log2() as u16;
            (binade << 10) + (magnitude / step) as u16
        }
    }
}

/// A number rounded to a floating-point type, ties to even. For operations on 16-bit numbers `f32` is
/// wide enough that rounding twice does no harm.
pub(super) fn round(scalar: Scalar, value: f32) -> u64 {
    let rounded = match scalar {
        Scalar::F16 => nearest(F16, value.into()),
        Scalar::BF16 => nearest(BF16, value.into()),
        _ => value,
    };
    u64::from(rounded.to_bits())
}

/// C++14 4.5, 4.8, 4.9; from floats as in MSL 8.6: clamped to the range, NaN is 0.
pub(super) fn convert(from: Scalar, to: Scalar, bits: u64) -> u64 {
    if from.is_float() {
        let value = float(bits);
        return match to {
            _ if to.is_float() => round(to, value),
            Scalar::Bool => u64::from(value != 0.0),
            _ => {
                let most = if signed(to) {
                    (1i128 << (width(to) - 1)) - 1
                } else {
                    (1i128 << width(to)) - 1
                };
                let least = if signed(to) { -most - 1 } else { 0 };
                wrap(to, (f64::from(value) as i128).clamp(least, most))
            }
        };
    }
    let value = int(from, bits);
    match to {
        Scalar::F32 => u64::from((value as f32).to_bits()),
        Scalar::F16 => u64::from(nearest(F16, few_bits(value)).to_bits()),
        Scalar::BF16 => u64::from(nearest(BF16, few_bits(value)).to_bits()),
        _ => wrap(to, value),
    }
}

/// A `f64` that rounds to few bits as the integer does: of its lowest bits, which do not fit a `f64`
/// if it is large, only a sticky bit is kept.
fn few_bits(value: i128) -> f64 {
    const LOW: u128 = (1 << 16) - 1;
    let magnitude = value.unsigned_abs();
    let kept = if magnitude >> 53 == 0 {
        magnitude
    } else {
        magnitude & !LOW | (magnitude & LOW).min(1) << 16
    };
    (kept as f64).copysign(value as f64)
}

/// C++14 4.5: types smaller than `int` become `int`.
pub(super) fn promoted(scalar: Scalar) -> Scalar {
    if !scalar.is_float() && scalar.bytes() < 4 { Scalar::I32 } else { scalar }
}

/// The common type of two operands (C++14 5/10, MSL 2.1: half and bfloat rank below float).
pub(super) fn common(a: Scalar, b: Scalar) -> Scalar {
    let (a, b) = (promoted(a), promoted(b));
    match (a.is_float(), b.is_float()) {
        (true, false) => a,
        (false, true) => b,
        (true, true) if a == b => a,
        (true, true) => Scalar::F32,
        _ if a.bytes() > b.bytes() => a,
        _ if a.bytes() < b.bytes() => b,
        _ if signed(a) => b,
        _ => a,
    }
}

/// An operation of the type; comparisons yield 0 or 1. A shift's count is taken modulo the width.
pub(super) fn binary(op: Binary, scalar: Scalar, a: u64, b: u64) -> u64 {
    use Binary::*;
    if scalar.is_float() {
        let (x, y) = (float(a), float(b));
        let truth = |value: bool| u64::from(value);
        return match op {
            Add => round(scalar, x + y),
            Subtract => round(scalar, x - y),
            Multiply => round(scalar, x * y),
            Divide => round(scalar, x / y),
            Equal => truth(x == y),
            Unequal => truth(x != y),
            Less => truth(x < y),
            LessOrEqual => truth(x <= y),
            Greater => truth(x > y),
            GreaterOrEqual => truth(x >= y),
            _ => unreachable!("not an operation on floats"),
        };
    }
    let (x, y) = (int(scalar, a), int(scalar, b));
    let count = (y & i128::from(width(scalar) - 1)) as u32;
    let value = match op {
        Add => x + y,
        Subtract => x - y,
        // The product of two unsigned 64-bit numbers may not fit an i128; only its low half is needed.
        Multiply => x.wrapping_mul(y),
        // Division by zero: any value. Generated programs have none, shrunk ones may.
        Divide => x.checked_div(y).unwrap_or(0),
        Remainder => x.checked_rem(y).unwrap_or(0),
        And => x & y,
        Or => x | y,
        Xor => x ^ y,
        ShiftLeft => x.wrapping_shl(count),
        ShiftRight => x >> count,
        Equal => (x == y).into(),
        Unequal => (x != y).into(),
        Less => (x < y).into(),
        LessOrEqual => (x <= y).into(),
        Greater => (x > y).into(),
        GreaterOrEqual => (x >= y).into(),
    };
    if op.compares() { value as u64 } else { wrap(scalar, value) }
}

pub(super) fn unary(op: Unary, scalar: Scalar, bits: u64) -> u64 {
    match op {
        Unary::Negate if scalar.is_float() => u64::from((-float(bits)).to_bits()),
        Unary::Negate => wrap(scalar, -int(scalar, bits)),
        Unary::Complement => wrap(scalar, !int(scalar, bits)),
        Unary::Not => u64::from(bits == 0),
    }
}

/// The result type of a library function for its arguments' type.
pub(super) fn result(function: Function, scalar: Scalar) -> Scalar {
    match scalar {
        _ if function.name != "absdiff" => scalar,
        Scalar::I8 => Scalar::U8,
        Scalar::I16 => Scalar::U16,
        Scalar::I32 => Scalar::U32,
        Scalar::I64 => Scalar::U64,
        _ => scalar,
    }
}

/// A library function of one type (MSL 6.2 to 6.5).
pub(super) fn library(function: Function, scalar: Scalar, arguments: &[u64]) -> u64 {
    if scalar.is_float() {
        let x = float(arguments[0]);
        let value = match function.name {
            "abs" => x.abs(),
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            "trunc" => x.trunc(),
            "rint" => x.round_ties_even(),
            "round" => x.round(),
            "copysign_of" => {
                let sign = float(arguments[1]);
                x.copysign(if sign.is_nan() { 1.0 } else { sign })
            }
            name => unreachable!("{name} of floats"),
        };
        return round(scalar, value);
    }
    let of = |index: usize| int(scalar, arguments[index]);
    let bits = width(scalar);
    let mask = (1i128 << bits) - 1;
    let (least, most) = if signed(scalar) { (-(mask >> 1) - 1, mask >> 1) } else { (0, mask) };
    let x = of(0);
    let value = match function.name {
        "min" => x.min(of(1)),
        "max" => x.max(of(1)),
        "abs" => x.abs(),
        "absdiff" => (x - of(1)).abs(),
        "addsat" => (x + of(1)).clamp(least, most),
        "subsat" => (x - of(1)).clamp(least, most),
        // The high half of the 128-bit product, signed or unsigned.
        "mulhi" if signed(scalar) => (x * of(1)) >> bits,
        "mulhi" => ((x as u128 * of(1) as u128) >> bits) as i128,
        "hadd" => (x + of(1)) >> 1,
        "rhadd" => (x + of(1) + 1) >> 1,
        "rotate" => {
            let (pattern, count) = (x & mask, (of(1) & i128::from(bits - 1)) as u32);
            (pattern << count | pattern >> (bits - count)) & mask
        }
        "clz" => i128::from((x & mask).leading_zeros() - (128 - bits)),
        "ctz" => i128::from((x & mask | 1 << bits).trailing_zeros()),
        "popcount" => i128::from((x & mask).count_ones()),
        "reverse_bits" => ((x & mask) as u128).reverse_bits().wrapping_shr(128 - bits) as i128,
        "median3" => {
            let mut all = [x, of(1), of(2)];
            all.sort();
            all[1]
        }
        name => unreachable!("{name} of integers"),
    };
    wrap(result(function, scalar), value)
}
