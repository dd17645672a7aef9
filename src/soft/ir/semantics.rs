//! The meaning of each pure operation in one lane: a table of functions, called by constant folding for one lane
//! and by the interpreter for 32.
//!
//! A row is an operation and a scalar type. An operation that has no row for a narrow type uses the row
//! of the widened type, and the result is then [narrowed](narrow): wrapped, or rounded. This is exact for
//! `f16` and `bf16` `+ - * / sqrt`, as `f32` has more than twice their bits (Figueroa, 1995).
//!
//! The functions avoid branches, so that a loop over lanes becomes vector code, and use nothing that
//! differs from one instruction set to another.

use super::half::{round_bf16, round_f16, round_f64_to_bf16, round_f64_to_f16};
use super::{Op, Scalar, math};

/// A type that registers hold: how a value is made from and turned into widened bits.
pub(crate) trait Register: Copy {
    /// From widened bits.
    fn from_bits(bits: u64) -> Self;
    /// To widened bits.
    fn into_bits(self) -> u64;
}

macro_rules! registers {
    ($($ty:ty: $from:expr, $to:expr;)*) => {$(
        impl Register for $ty {
            #[inline(always)]
            fn from_bits(bits: u64) -> Self { ($from)(bits) }
            #[inline(always)]
            fn into_bits(self) -> u64 { ($to)(self) }
        }
    )*};
}

registers! {
    bool: |bits| bits != 0, u64::from;
    u32: |bits| bits as u32, u64::from;
    i32: |bits| bits as u32 as i32, |value| u64::from(value as u32);
    f32: |bits| f32::from_bits(bits as u32), |value: f32| u64::from(value.to_bits());
    u64: |bits| bits, |value| value;
    i64: |bits| bits as i64, |value| value as u64;
}

/// An operation on one operand.
pub(crate) trait Unary {
    /// The operand's type.
    type A: Register;
    /// The result's type.
    type R: Register;
    /// The result in one lane.
    fn lane(a: Self::A) -> Self::R;
}

/// An operation on two operands.
pub(crate) trait Binary {
    /// The first operand's type.
    type A: Register;
    /// The second operand's type.
    type B: Register;
    /// The result's type.
    type R: Register;
    /// The result in one lane.
    fn lane(a: Self::A, b: Self::B) -> Self::R;
}

/// An operation on three operands.
pub(crate) trait Ternary {
    /// The first operand's type.
    type A: Register;
    /// The second operand's type.
    type B: Register;
    /// The third operand's type.
    type C: Register;
    /// The result's type.
    type R: Register;
    /// The result in one lane.
    fn lane(a: Self::A, b: Self::B, c: Self::C) -> Self::R;
}

/// Hands the table to the macro `$then`: `operation scalar |operands| -> result { body }`.
macro_rules! semantics {
    ($then:ident) => { $then! {
        unary {
            Neg U32 |a: u32| -> u32 { a.wrapping_neg() }
            Neg U64 |a: u64| -> u64 { a.wrapping_neg() }
            Neg F32 |a: f32| -> f32 { -a }
            Abs I32 |a: i32| -> i32 { a.wrapping_abs() }
            Abs U32 |a: u32| -> u32 { a }
            Abs I64 |a: i64| -> i64 { a.wrapping_abs() }
            Abs U64 |a: u64| -> u64 { a }
            Abs F32 |a: f32| -> f32 { a.abs() }
            Not U32 |a: u32| -> u32 { !a }
            Not U64 |a: u64| -> u64 { !a }
            Not Bool |a: bool| -> bool { !a }
            LeadingZeros I8 |a: u32| -> u32 { (a as u8).leading_zeros() }
            LeadingZeros U8 |a: u32| -> u32 { (a as u8).leading_zeros() }
            LeadingZeros I16 |a: u32| -> u32 { (a as u16).leading_zeros() }
            LeadingZeros U16 |a: u32| -> u32 { (a as u16).leading_zeros() }
            LeadingZeros U32 |a: u32| -> u32 { a.leading_zeros() }
            LeadingZeros U64 |a: u64| -> u64 { a.leading_zeros().into() }
            PopCount I8 |a: u32| -> u32 { (a as u8).count_ones() }
            PopCount I16 |a: u32| -> u32 { (a as u16).count_ones() }
            PopCount U32 |a: u32| -> u32 { a.count_ones() }
            PopCount U64 |a: u64| -> u64 { a.count_ones().into() }
            IsNan F32 |a: f32| -> bool { a.is_nan() }
            Floor F32 |a: f32| -> f32 { a.floor() }
            Ceil F32 |a: f32| -> f32 { a.ceil() }
            Trunc F32 |a: f32| -> f32 { a.trunc() }
            Rint F32 |a: f32| -> f32 { a.round_ties_even() }
            Sqrt F32 |a: f32| -> f32 { a.sqrt() }
        }
        binary {
            Add U32 |a: u32, b: u32| -> u32 { a.wrapping_add(b) }
            Add U64 |a: u64, b: u64| -> u64 { a.wrapping_add(b) }
            Add F32 |a: f32, b: f32| -> f32 { a + b }
            Sub U32 |a: u32, b: u32| -> u32 { a.wrapping_sub(b) }
            Sub U64 |a: u64, b: u64| -> u64 { a.wrapping_sub(b) }
            Sub F32 |a: f32, b: f32| -> f32 { a - b }
            Mul U32 |a: u32, b: u32| -> u32 { a.wrapping_mul(b) }
            Mul U64 |a: u64, b: u64| -> u64 { a.wrapping_mul(b) }
            Mul F32 |a: f32, b: f32| -> f32 { a * b }
            Div U32 |a: u32, b: u32| -> u32 { math::div_u32(a, b) }
            Div I32 |a: i32, b: i32| -> i32 { math::div_i32(a, b) }
            Div U64 |a: u64, b: u64| -> u64 { a.checked_div(b).unwrap_or(0) }
            Div I64 |a: i64, b: i64| -> i64 { if b == 0 { 0 } else { a.wrapping_div(b) } }
            Div F32 |a: f32, b: f32| -> f32 { a / b }
            Rem U32 |a: u32, b: u32| -> u32 { a.wrapping_sub(math::div_u32(a, b).wrapping_mul(b)) }
            Rem I32 |a: i32, b: i32| -> i32 { a.wrapping_sub(math::div_i32(a, b).wrapping_mul(b)) }
            Rem U64 |a: u64, b: u64| -> u64 { a.checked_rem(b).unwrap_or(a) }
            Rem I64 |a: i64, b: i64| -> i64 { if b == 0 { a } else { a.wrapping_rem(b) } }
            Min U32 |a: u32, b: u32| -> u32 { a.min(b) }
            Min I32 |a: i32, b: i32| -> i32 { a.min(b) }
            Min U64 |a: u64, b: u64| -> u64 { a.min(b) }
            Min I64 |a: i64, b: i64| -> i64 { a.min(b) }
            Min F32 |a: f32, b: f32| -> f32 { if a < b || b.is_nan() { a } else { b } }
            Max U32 |a: u32, b: u32| -> u32 { a.max(b) }
            Max I32 |a: i32, b: i32| -> i32 { a.max(b) }
            Max U64 |a: u64, b: u64| -> u64 { a.max(b) }
            Max I64 |a: i64, b: i64| -> i64 { a.max(b) }
            Max F32 |a: f32, b: f32| -> f32 { if a > b || b.is_nan() { a } else { b } }
            MulHigh I8 |a: i32, b: i32| -> i32 { a.wrapping_mul(b) >> 8 }
            MulHigh U8 |a: u32, b: u32| -> u32 { a.wrapping_mul(b) >> 8 }
            MulHigh I16 |a: i32, b: i32| -> i32 { a.wrapping_mul(b) >> 16 }
            MulHigh U16 |a: u32, b: u32| -> u32 { a.wrapping_mul(b) >> 16 }
            MulHigh I32 |a: i32, b: i32| -> i32 { (i64::from(a) * i64::from(b) >> 32) as i32 }
            MulHigh U32 |a: u32, b: u32| -> u32 { (u64::from(a) * u64::from(b) >> 32) as u32 }
            MulHigh I64 |a: i64, b: i64| -> i64 { (i128::from(a) * i128::from(b) >> 64) as i64 }
            MulHigh U64 |a: u64, b: u64| -> u64 { (u128::from(a) * u128::from(b) >> 64) as u64 }
            And U32 |a: u32, b: u32| -> u32 { a & b }
            And U64 |a: u64, b: u64| -> u64 { a & b }
            And Bool |a: bool, b: bool| -> bool { a & b }
            Or U32 |a: u32, b: u32| -> u32 { a | b }
            Or U64 |a: u64, b: u64| -> u64 { a | b }
            Or Bool |a: bool, b: bool| -> bool { a | b }
            Xor U32 |a: u32, b: u32| -> u32 { a ^ b }
            Xor U64 |a: u64, b: u64| -> u64 { a ^ b }
            Xor Bool |a: bool, b: bool| -> bool { a ^ b }
            Shl I8 |a: i32, b: u32| -> i32 { (a << (b & 7)) as i8 as i32 }
            Shl U8 |a: u32, b: u32| -> u32 { a << (b & 7) & 0xff }
            Shl I16 |a: i32, b: u32| -> i32 { (a << (b & 15)) as i16 as i32 }
            Shl U16 |a: u32, b: u32| -> u32 { a << (b & 15) & 0xffff }
            Shl U32 |a: u32, b: u32| -> u32 { a << (b & 31) }
            Shl U64 |a: u64, b: u64| -> u64 { a << (b & 63) }
            Shr I8 |a: i32, b: u32| -> i32 { a >> (b & 7) }
            Shr U8 |a: u32, b: u32| -> u32 { a >> (b & 7) }
            Shr I16 |a: i32, b: u32| -> i32 { a >> (b & 15) }
            Shr U16 |a: u32, b: u32| -> u32 { a >> (b & 15) }
            Shr I32 |a: i32, b: u32| -> i32 { a >> (b & 31) }
            Shr U32 |a: u32, b: u32| -> u32 { a >> (b & 31) }
            Shr I64 |a: i64, b: u64| -> i64 { a >> (b & 63) }
            Shr U64 |a: u64, b: u64| -> u64 { a >> (b & 63) }
            Eq U32 |a: u32, b: u32| -> bool { a == b }
            Eq U64 |a: u64, b: u64| -> bool { a == b }
            Eq F32 |a: f32, b: f32| -> bool { a == b }
            Eq Bool |a: bool, b: bool| -> bool { a == b }
            Ne U32 |a: u32, b: u32| -> bool { a != b }
            Ne U64 |a: u64, b: u64| -> bool { a != b }
            Ne F32 |a: f32, b: f32| -> bool { a != b }
            Ne Bool |a: bool, b: bool| -> bool { a != b }
            Lt U32 |a: u32, b: u32| -> bool { a < b }
            Lt I32 |a: i32, b: i32| -> bool { a < b }
            Lt U64 |a: u64, b: u64| -> bool { a < b }
            Lt I64 |a: i64, b: i64| -> bool { a < b }
            Lt F32 |a: f32, b: f32| -> bool { a < b }
            Le U32 |a: u32, b: u32| -> bool { a <= b }
            Le I32 |a: i32, b: i32| -> bool { a <= b }
            Le U64 |a: u64, b: u64| -> bool { a <= b }
            Le I64 |a: i64, b: i64| -> bool { a <= b }
            Le F32 |a: f32, b: f32| -> bool { a <= b }
            CopySign F32 |a: f32, b: f32| -> f32 { a.copysign(b) }
        }
        ternary {
            Fma F16 |a: f32, b: f32, c: f32| -> f32 {
                // The product is exact in f64, and the sum's rounding error is far below f16's last bit.
                round_f64_to_f16(f64::from(a) * f64::from(b) + f64::from(c))
            }
            Fma BF16 |a: f32, b: f32, c: f32| -> f32 { math::fma_bf16(a, b, c) }
            Fma F32 |a: f32, b: f32, c: f32| -> f32 { a.mul_add(b, c) }
        }
    } };
}
pub(crate) use semantics;

/// A type for each row, named operation and scalar: `AddU32`, `SqrtF32`.
pub(crate) mod rows {
    use super::{Binary, Ternary, Unary, math, round_f64_to_f16};

    macro_rules! define {
        (unary { $($op:ident $scalar:ident |$a:ident: $A:ty| -> $R:ty $body:block)* }
         binary { $($op2:ident $scalar2:ident |$a2:ident: $A2:ty, $b2:ident: $B2:ty| -> $R2:ty $body2:block)* }
         ternary { $($op3:ident $scalar3:ident |$a3:ident: $A3:ty, $b3:ident: $B3:ty, $c3:ident: $C3:ty| -> $R3:ty $body3:block)* }
        ) => { paste::paste! {
            $(
                pub(crate) struct [<$op $scalar>];
                impl Unary for [<$op $scalar>] {
                    type A = $A;
                    type R = $R;
                    #[inline(always)]
                    fn lane($a: $A) -> $R $body
                }
            )*
            $(
                pub(crate) struct [<$op2 $scalar2>];
                impl Binary for [<$op2 $scalar2>] {
                    type A = $A2;
                    type B = $B2;
                    type R = $R2;
                    #[inline(always)]
                    fn lane($a2: $A2, $b2: $B2) -> $R2 $body2
                }
            )*
            $(
                pub(crate) struct [<$op3 $scalar3>];
                impl Ternary for [<$op3 $scalar3>] {
                    type A = $A3;
                    type B = $B3;
                    type C = $C3;
                    type R = $R3;
                    #[inline(always)]
                    fn lane($a3: $A3, $b3: $B3, $c3: $C3) -> $R3 $body3
                }
            )*
        } };
    }
    semantics!(define);
}

/// The scalar whose row `op` uses for `scalar`: its own, its widened type's, or that of the unsigned type
/// of the same size where the sign makes no difference.
pub(crate) fn row_scalar(op: Op, scalar: Scalar) -> Option<Scalar> {
    let unsigned = match scalar.widened() {
        Scalar::I32 => Scalar::U32,
        Scalar::I64 => Scalar::U64,
        other => other,
    };
    [scalar, scalar.widened(), unsigned].into_iter().find(|&scalar| has_row(op, scalar))
}

macro_rules! has_row {
    (unary { $($op:ident $scalar:ident |$($arg:ident: $ty:ty),*| -> $R:ty $body:block)* }
     binary { $($op2:ident $scalar2:ident |$($arg2:ident: $ty2:ty),*| -> $R2:ty $body2:block)* }
     ternary { $($op3:ident $scalar3:ident |$($arg3:ident: $ty3:ty),*| -> $R3:ty $body3:block)* }
    ) => {
        fn has_row(op: Op, scalar: Scalar) -> bool {
            matches!(
                (op, scalar),
                $((Op::$op, Scalar::$scalar))|* | $((Op::$op2, Scalar::$scalar2))|* | $((Op::$op3, Scalar::$scalar3))|*
            )
        }
    };
}
semantics!(has_row);

macro_rules! eval_row {
    (unary { $($op:ident $scalar:ident |$($arg:ident: $ty:ty),*| -> $R:ty $body:block)* }
     binary { $($op2:ident $scalar2:ident |$($arg2:ident: $ty2:ty),*| -> $R2:ty $body2:block)* }
     ternary { $($op3:ident $scalar3:ident |$($arg3:ident: $ty3:ty),*| -> $R3:ty $body3:block)* }
    ) => { paste::paste! {
        /// The row's result for widened operands.
        fn eval_row(op: Op, scalar: Scalar, args: &[u64]) -> Option<u64> {
            Some(match (op, scalar, args) {
                $((Op::$op, Scalar::$scalar, &[a]) => {
                    <rows::[<$op $scalar>]>::lane(Register::from_bits(a)).into_bits()
                })*
                $((Op::$op2, Scalar::$scalar2, &[a, b]) => {
                    <rows::[<$op2 $scalar2>]>::lane(Register::from_bits(a), Register::from_bits(b)).into_bits()
                })*
                $((Op::$op3, Scalar::$scalar3, &[a, b, c]) => {
                    <rows::[<$op3 $scalar3>]>::lane(
                        Register::from_bits(a), Register::from_bits(b), Register::from_bits(c),
                    ).into_bits()
                })*
                _ => return None,
            })
        }
    } };
}
semantics!(eval_row);

/// Whether results of `op` have to be narrowed after the row of the widened type: for some the result is
/// a narrow value whenever the operands are.
pub(crate) fn needs_narrowing(op: Op, scalar: Scalar) -> bool {
    if scalar.widened() == scalar || row_scalar(op, scalar) == Some(scalar) {
        return false;
    }
    match op.row().rule {
        super::Rule::Same(..) => {
            let sign_only = scalar.is_float() && matches!(op, Op::Neg | Op::Abs);
            let stays = matches!(
                op,
                Op::Min
                    | Op::Max
                    | Op::And
                    | Op::Or
                    | Op::Xor
                    | Op::Floor
                    | Op::Ceil
                    | Op::Trunc
                    | Op::Rint
                    | Op::CopySign
                    | Op::PopCount
            );
            !stays && !sign_only
        }
        _ => false,
    }
}

/// A value of the widened type, wrapped or rounded to `scalar`.
pub(crate) fn narrow(scalar: Scalar, bits: u64) -> u64 {
    let int = bits as u32;
    match scalar {
        Scalar::I8 => u64::from(int as i8 as u32),
        Scalar::U8 => u64::from(int as u8),
        Scalar::I16 => u64::from(int as i16 as u32),
        Scalar::U16 => u64::from(int as u16),
        Scalar::F16 => round_f16(f32::from_bits(int)).to_bits().into(),
        Scalar::BF16 => round_bf16(f32::from_bits(int)).to_bits().into(),
        _ => bits,
    }
}

/// The result of a pure operation in one lane: `scalar` is that of the first operand (of the second for
/// `Select`), the operands and the result are widened bits. `None` if `op` is not a scalar operation.
pub(crate) fn eval(op: Op, scalar: Scalar, args: &[u64]) -> Option<u64> {
    if let (Op::Select, &[condition, yes, no]) = (op, args) {
        return Some(if condition != 0 { yes } else { no });
    }
    let bits = eval_row(op, row_scalar(op, scalar)?, args)?;
    Some(if needs_narrowing(op, scalar) { narrow(scalar, bits) } else { bits })
}

/// The result of a conversion in one lane (MSL 2.12, 8.6).
pub(crate) fn convert(from: Scalar, to: Scalar, bits: u64) -> u64 {
    if to == Scalar::Bool {
        let zero = if from.is_float() { f32::from_bits(bits as u32) == 0.0 } else { bits == 0 };
        return u64::from(!zero);
    }
    if from.is_float() {
        let value = f32::from_bits(bits as u32);
        return match to {
            Scalar::I8 => u64::from(value as i8 as u32),
            Scalar::U8 => u64::from(value as u8),
            Scalar::I16 => u64::from(value as i16 as u32),
            Scalar::U16 => u64::from(value as u16),
            Scalar::I32 => u64::from(value as i32 as u32),
            Scalar::U32 => u64::from(value as u32),
            Scalar::I64 => value as i64 as u64,
            Scalar::U64 => value as u64,
            _ => narrow(to, bits),
        };
    }
    // Integers: to 64 bits by the sign of the source, then to the target.
    let wide = if from.is_signed() && from.bytes() < 8 { bits as u32 as i32 as u64 } else { bits };
    match to {
        Scalar::F32 if from.is_signed() => u64::from((wide as i64 as f32).to_bits()),
        Scalar::F32 => u64::from((wide as f32).to_bits()),
        Scalar::F16 | Scalar::BF16 => {
            // Through f64, rounded to odd: 64-bit integers are rounded once.
            let sticky = |magnitude: u64| {
                let low = magnitude & 0x7ff;
                if magnitude >> 53 == 0 {
                    magnitude
                } else {
                    magnitude & !0x7ff | u64::from(low != 0) << 11
                }
            };
            let value = if from.is_signed() {
                (sticky((wide as i64).unsigned_abs()) as f64).copysign(wide as i64 as f64)
            } else {
                sticky(wide) as f64
            };
            let value =
                if to == Scalar::F16 { round_f64_to_f16(value) } else { round_f64_to_bf16(value) };
            u64::from(value.to_bits())
        }
        Scalar::I64 | Scalar::U64 => wide,
        _ => narrow(to, wide & 0xffff_ffff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(op: Op, scalar: Scalar, a: i64, b: i64) -> i64 {
        let bits = |value: i64| if scalar.bytes() < 8 { value as u32 as u64 } else { value as u64 };
        let result = eval(op, scalar, &[bits(a), bits(b)]).expect("a row");
        if scalar.is_signed() && scalar.bytes() < 8 {
            result as u32 as i32 as i64
        } else {
            result as i64
        }
    }

    #[test]
    fn narrow_integers_wrap() {
        assert_eq!(ints(Op::Add, Scalar::I8, 127, 1), -128);
        assert_eq!(ints(Op::Sub, Scalar::U8, 0, 1), 255);
        assert_eq!(ints(Op::Mul, Scalar::I16, 300, 300), 90000 - 65536);
        assert_eq!(ints(Op::Shl, Scalar::U8, 0x81, 9), 2);
        assert_eq!(ints(Op::Shr, Scalar::I8, -128, 1), -64);
        assert_eq!(ints(Op::Div, Scalar::I8, -128, -1), -128);
        assert_eq!(eval(Op::Not, Scalar::U8, &[1]), Some(0xfe));
    }

    #[test]
    fn division_does_not_fault() {
        for scalar in [Scalar::I32, Scalar::U32, Scalar::I64, Scalar::U64] {
            assert_eq!(ints(Op::Div, scalar, 7, 0), 0);
            assert_eq!(ints(Op::Rem, scalar, 7, 0), 7);
        }
        assert_eq!(ints(Op::Div, Scalar::I32, i32::MIN.into(), -1), i32::MIN.into());
        assert_eq!(ints(Op::Rem, Scalar::I64, i64::MIN, -1), 0);
        for (a, b) in [(u32::MAX, u32::MAX - 1), (u32::MAX, 1), (u32::MAX - 1, u32::MAX), (7, 3)] {
            assert_eq!(ints(Op::Div, Scalar::U32, a.into(), b.into()), i64::from(a / b));
        }
    }

    #[test]
    fn halves_are_rounded_once() {
        let f = |value: f32| u64::from(value.to_bits());
        assert_eq!(eval(Op::Add, Scalar::F16, &[f(2048.0), f(1.0)]), Some(f(2048.0)));
        assert_eq!(eval(Op::Mul, Scalar::F16, &[f(65504.0), f(2.0)]), Some(f(f32::INFINITY)));
        // The sum is just above a tie of bf16, by less than f64 can hold.
        let args = [f(2.0 + 1.0 / 128.0), f(1.0), f(2f32.powi(-60))];
        assert_eq!(eval(Op::Fma, Scalar::BF16, &args), Some(f(2.015625)));
        assert_eq!(convert(Scalar::U64, Scalar::F32, u64::MAX), f(18446744073709551616.0));
        assert_eq!(convert(Scalar::I64, Scalar::F16, -2049i64 as u64), f(-2048.0));
        assert_eq!(convert(Scalar::I64, Scalar::F16, -2051i64 as u64), f(-2052.0));
    }

    #[test]
    fn conversions_hold_the_range() {
        let f = |value: f32| u64::from(value.to_bits());
        assert_eq!(convert(Scalar::F32, Scalar::I32, f(f32::NAN)), 0);
        assert_eq!(convert(Scalar::F32, Scalar::U8, f(300.0)), 255);
        assert_eq!(convert(Scalar::F32, Scalar::I8, f(-1e9)), -128i32 as u32 as u64);
        assert_eq!(convert(Scalar::F32, Scalar::I32, f(-1.9)), -1i32 as u32 as u64);
        assert_eq!(convert(Scalar::I32, Scalar::I64, -1i32 as u32 as u64), u64::MAX);
        assert_eq!(convert(Scalar::U32, Scalar::I8, 0x80), -128i32 as u32 as u64);
        assert_eq!(convert(Scalar::F32, Scalar::Bool, f(f32::NAN)), 1);
    }
}
