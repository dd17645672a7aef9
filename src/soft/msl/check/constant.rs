//! Arithmetic on constants: what a scalar operation yields at compile time (C++14 expr.const; MSL 8.6).

use crate::soft::ir::{Scalar, half, semantics};
use crate::soft::msl::hir::{Binary, Constant};

/// The most steps of one evaluation, so that no `constexpr` loop hangs the compiler.
pub(super) const MAX_STEPS: u32 = 1 << 20;
/// The most steps of all evaluations of a program.
pub(super) const MAX_STEPS_IN_ALL: u32 = 1 << 23;
/// The most calls inside each other.
pub(super) const MAX_CALLS: u32 = 512;

/// Why an expression has no value at compile time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unevaluated {
    /// It is not constant.
    NotConstant,
    /// It takes more than [`MAX_STEPS`].
    TooLong,
    /// All of the program's take more than [`MAX_STEPS_IN_ALL`].
    TooLongInAll,
    /// It has more than [`MAX_CALLS`] calls inside each other, or is nested as deep otherwise.
    TooDeep,
}

pub(crate) use Unevaluated::NotConstant;

pub(crate) type Evaluated<T> = Result<T, Unevaluated>;

impl Unevaluated {
    /// The limit that is exceeded, as the end of a message; empty if none is.
    pub(super) fn limit(self) -> String {
        match self {
            Self::NotConstant => String::new(),
            Self::TooLong => format!(": its evaluation takes more than {MAX_STEPS} steps"),
            Self::TooLongInAll => format!(
                ": the constant expressions of the program take more than {MAX_STEPS_IN_ALL} steps together"
            ),
            Self::TooDeep => {
                format!(": its evaluation has more than {MAX_CALLS} calls inside each other")
            }
        }
    }
}

/// Wraps an integer to a type, sign-extended to 64 bits where the type is signed.
pub(crate) fn wrap(value: u64, scalar: Scalar) -> u64 {
    match scalar {
        Scalar::Bool => u64::from(value != 0),
        Scalar::I8 => value as i8 as u64,
        Scalar::U8 => value as u8 as u64,
        Scalar::I16 => value as i16 as u64,
        Scalar::U16 => value as u16 as u64,
        Scalar::I32 => value as i32 as u64,
        Scalar::U32 => value as u32 as u64,
        _ => value,
    }
}

/// Rounds to the nearest value of a floating type, ties to even.
pub(crate) fn round(value: f64, scalar: Scalar) -> f64 {
    match scalar {
        Scalar::F16 => round_to(value, 10, -14, 65504.0),
        Scalar::BF16 => round_to(value, 7, -126, f64::from(f32::from_bits(0x7f7f_0000))),
        _ => f64::from(value as f32),
    }
}

/// Rounds to `bits` fraction bits with a least normal exponent; values past the largest become infinite.
fn round_to(value: f64, bits: i32, least: i32, largest: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let exponent = ((value.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(least);
    let unit = 2f64.powi(exponent - bits);
    let rounded = (value / unit).round_ties_even() * unit;
    if rounded.abs() > largest { f64::INFINITY.copysign(value) } else { rounded }
}

/// A scalar conversion (MSL 8.6).
pub(crate) fn convert(constant: Constant, from: Scalar, to: Scalar) -> Constant {
    match (constant, to.is_float()) {
        // Rounded once, as at run time.
        (Constant::Int(value), true) => {
            let bits = semantics::convert(from, to, value);
            Constant::Float(f32::from_bits(bits as u32).into())
        }
        (Constant::Float(value), true) => Constant::Float(round(value, to)),
        (Constant::Int(value), false) => Constant::Int(wrap(value, to)),
        (Constant::Float(value), false) => Constant::Int(match to {
            Scalar::Bool => u64::from(value != 0.0),
            Scalar::I8 => value as i8 as u64,
            Scalar::U8 => value as u8 as u64,
            Scalar::I16 => value as i16 as u64,
            Scalar::U16 => value as u16 as u64,
            Scalar::I32 => value as i32 as u64,
            Scalar::U32 => value as u32 as u64,
            Scalar::I64 => value as i64 as u64,
            _ => value as u64,
        }),
    }
}

/// Whether a conversion is not narrowing ([dcl.init.list]/7): an integer keeps its value, a floating-point
/// number stays finite.
pub(super) fn fits(constant: Constant, from: Scalar, to: Scalar) -> bool {
    match (constant, convert(constant, from, to)) {
        (Constant::Int(a), Constant::Int(b)) => {
            a == b && (from.is_signed() == to.is_signed() || a as i64 >= 0)
        }
        (Constant::Int(_), back @ Constant::Float(_)) => convert(back, to, from) == constant,
        (Constant::Float(_), Constant::Int(_)) => false,
        (Constant::Float(a), Constant::Float(b)) => b.is_finite() || !a.is_finite(),
    }
}

pub(crate) fn negate(constant: Constant, scalar: Scalar) -> Constant {
    match constant {
        Constant::Int(value) => Constant::Int(wrap(value.wrapping_neg(), scalar)),
        Constant::Float(value) => Constant::Float(-value),
    }
}

pub(super) fn binary(op: Binary, a: Constant, b: Constant, scalar: Scalar) -> Evaluated<Constant> {
    let truth = |yes: bool| Constant::Int(u64::from(yes));
    if let (Constant::Float(a), Constant::Float(b)) = (a, b) {
        let number = |value: f64| Constant::Float(round(value, scalar));
        return Ok(match op {
            Binary::Add => number(a + b),
            Binary::Sub => number(a - b),
            Binary::Mul => number(a * b),
            Binary::Div => number(a / b),
            Binary::Eq => truth(a == b),
            Binary::Ne => truth(a != b),
            Binary::Lt => truth(a < b),
            Binary::Gt => truth(a > b),
            Binary::Le => truth(a <= b),
            Binary::Ge => truth(a >= b),
            _ => return Err(NotConstant),
        });
    }
    let (Constant::Int(a), Constant::Int(b)) = (a, b) else { return Err(NotConstant) };
    let signed = scalar.is_signed();
    let (sa, sb) = (a as i64, b as i64);
    let less = |x: u64, y: u64| if signed { (x as i64) < (y as i64) } else { x < y };
    let count = (b & u64::from(scalar.bytes() * 8 - 1)) as u32;
    let value = match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        // [expr.mul]/4: division by zero is not a constant expression.
        Binary::Div | Binary::Rem if b == 0 => return Err(NotConstant),
        Binary::Div if signed => sa.wrapping_div(sb) as u64,
        Binary::Div => a / b,
        Binary::Rem if signed => sa.wrapping_rem(sb) as u64,
        Binary::Rem => a % b,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Shl => a << count,
        Binary::Shr if signed => (sa >> count) as u64,
        Binary::Shr => a >> count,
        Binary::Eq => return Ok(truth(a == b)),
        Binary::Ne => return Ok(truth(a != b)),
        Binary::Lt => return Ok(truth(less(a, b))),
        Binary::Gt => return Ok(truth(less(b, a))),
        Binary::Le => return Ok(truth(!less(b, a))),
        Binary::Ge => return Ok(truth(!less(a, b))),
    };
    Ok(Constant::Int(wrap(value, scalar)))
}

/// The bits of a constant as stored in memory.
pub(crate) fn bits(value: Constant, scalar: Scalar) -> u64 {
    match value {
        Constant::Int(value) => value,
        Constant::Float(value) => match scalar {
            Scalar::F16 => u64::from(half::f16_bits(value as f32)),
            Scalar::BF16 => u64::from((value as f32).to_bits() >> 16),
            _ => u64::from((value as f32).to_bits()),
        },
    }
}

/// The constant with these bits in memory.
pub(crate) fn from_bits(bits: u64, scalar: Scalar) -> Constant {
    match scalar {
        Scalar::F32 => Constant::Float(f64::from(f32::from_bits(bits as u32))),
        Scalar::F16 => Constant::Float(f64::from(half::f16_value(bits as u16))),
        Scalar::BF16 => Constant::Float(f64::from(f32::from_bits((bits as u32) << 16))),
        _ => Constant::Int(wrap(bits, scalar)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even_with_denormals() {
        assert_eq!(round(65519.9, Scalar::F16), 65504.0);
        assert_eq!(round(65520.0, Scalar::F16), f64::INFINITY);
        assert_eq!(round(1.0 + 2f64.powi(-11), Scalar::F16), 1.0);
        assert_eq!(round(1.0 + 3.0 * 2f64.powi(-11), Scalar::F16), 1.0 + 2f64.powi(-9));
        assert_eq!(round(2f64.powi(-25) * 1.1, Scalar::F16), 2f64.powi(-24));
        assert_eq!(round(1.0 + 2f64.powi(-8), Scalar::BF16), 1.0);
        assert_eq!(round(0.1, Scalar::F32), f64::from(0.1f32));
    }

    #[test]
    fn conversions_wrap_truncate_and_clamp() {
        let int = |value: i64| Constant::Int(value as u64);
        assert_eq!(convert(int(300), Scalar::I32, Scalar::U8), int(44));
        assert_eq!(convert(int(-1), Scalar::I32, Scalar::U32), int(0xffff_ffff));
        assert_eq!(convert(Constant::Float(-1.9), Scalar::F32, Scalar::I32), int(-1));
        assert_eq!(convert(Constant::Float(f64::NAN), Scalar::F32, Scalar::I32), int(0));
        assert_eq!(convert(int(-3), Scalar::I32, Scalar::F32), Constant::Float(-3.0));
        for (value, from, to, kept) in [
            (int(255), Scalar::I32, Scalar::U8, true),
            (int(256), Scalar::I32, Scalar::U8, false),
            (int(-1), Scalar::I32, Scalar::U64, false),
            (int(-1), Scalar::U64, Scalar::I64, false),
            (int(1 << 24), Scalar::I32, Scalar::F32, true),
            (int((1 << 24) + 1), Scalar::I32, Scalar::F32, false),
            (Constant::Float(1.0), Scalar::F32, Scalar::I32, false),
            (Constant::Float(0.1), Scalar::F32, Scalar::F16, true),
            (Constant::Float(1e6), Scalar::F32, Scalar::F16, false),
        ] {
            assert_eq!(fits(value, from, to), kept, "{value:?} {from:?} {to:?}");
        }
    }
}
