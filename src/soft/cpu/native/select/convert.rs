//! Conversions between number types.

use super::Selection;
use super::wide::Wide;
use crate::soft::cpu::interp::lanes::Conversion;
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::ir::{Inst, Scalar, Value};

impl Selection<'_> {
    pub(super) fn convert(&mut self, value: Value, inst: &Inst) {
        let (from, to) = (self.scalar(inst.args[0]), self.scalar(value));
        if from == Scalar::Bool && to != Scalar::Bool {
            let one = if to.is_float() { 1f32.to_bits() } else { 1 };
            if self.by_numbers(value, inst) {
                let (c, d) = (self.number(inst.args[0]), self.int());
                self.emit(Ins::IntImm { op: IntOp::And, wide: false, d, a: c, imm: 1 });
                return self.give_int(value, d);
            }
            let masks = self.in_lanes(inst.args[0]);
            let (a, b) = (self.lane_constant(one), self.lane_constant(0));
            let mut regs = self.each_part(&masks, |selection, mask| selection.chosen(mask, a, b));
            if self.is_wide(value) {
                regs.extend(vec![b; self.parts()]);
            }
            return self.give_lanes(value, regs);
        }
        self.steps(value, inst.args[0], &Conversion::steps(from, to));
    }

    pub(super) fn bitcast(&mut self, value: Value, inst: &Inst) {
        let to = self.scalar(value);
        let from = self.scalar(inst.args[0]);
        self.steps(value, inst.args[0], &Conversion::bitcast(from, to));
    }

    /// A chain of conversions; an empty one changes only the type.
    fn steps(&mut self, value: Value, from: Value, steps: &[Conversion]) {
        let inst = *self.function.inst(value);
        if self.by_numbers(value, &inst) {
            let mut reg = self.number(from);
            for &step in steps {
                reg = self.int_step(step, reg);
            }
            return self.give_int(value, reg);
        }
        let mut regs = self.in_lanes(from);
        for &step in steps {
            regs = self.by_part(&[regs], |selection, args| selection.lane_step(step, &args[0]));
        }
        self.give_lanes(value, regs);
    }

    fn int_step(&mut self, step: Conversion, s: Reg) -> Reg {
        use Conversion as C;
        let d = self.int();
        let widen = |from, wide| Ins::Widen { from, wide, d, s };
        let ins = match step {
            C::WrapI8 => widen(Scalar::I8, false),
            C::WrapU8 => widen(Scalar::U8, false),
            C::WrapI16 => widen(Scalar::I16, false),
            C::WrapU16 => widen(Scalar::U16, false),
            C::SignExtend => widen(Scalar::I32, true),
            C::ZeroExtend | C::Truncate => widen(Scalar::U32, false),
            C::U32ToBool | C::U64ToBool => {
                let zero = self.constant(0);
                let wide = step == C::U64ToBool;
                Ins::Compare { test: Test::Ne, kind: Num::Unsigned, wide, d, a: s, b: zero }
            }
            _ => unreachable!("{step:?} is of floats"),
        };
        self.emit(ins);
        d
    }

    /// A step in one part of the strip.
    fn lane_step(&mut self, step: Conversion, from: &[Reg]) -> Vec<Reg> {
        use Conversion as C;
        let (a, wide) = (from[0], Wide::of(from));
        let d = match step {
            C::WrapI8 => self.wrapped_lanes(a, Scalar::I8),
            C::WrapU8 => self.wrapped_lanes(a, Scalar::U8),
            C::WrapI16 => self.wrapped_lanes(a, Scalar::I16),
            C::WrapU16 => self.wrapped_lanes(a, Scalar::U16),
            C::RoundF16 => self.rounded(Scalar::F16, a),
            C::RoundBF16 => self.rounded(Scalar::BF16, a),
            C::F16Bits => self.bits_of_value(Scalar::F16, a, true),
            C::BF16Bits => self.bits_of_value(Scalar::BF16, a, true),
            C::F16Value => self.value_of_bits(Scalar::F16, a, true),
            C::BF16Value => self.value_of_bits(Scalar::BF16, a, true),
            C::SignExtend => return vec![a, self.lane1(Lane1::Sar(31), a)],
            C::ZeroExtend => return vec![a, self.lane_constant(0)],
            C::Truncate => wide.low,
            C::U32ToBool => self.is_not_zero(Num::Unsigned, a),
            C::F32ToBool => self.is_not_zero(Num::Float, a),
            C::U64ToBool => {
                let any = self.lane2(Lane2::Or, wide.low, wide.high);
                self.is_not_zero(Num::Unsigned, any)
            }
            C::I32ToF32 => self.lane1(Lane1::FloatOfSigned, a),
            C::U32ToF32 => self.float_of_unsigned(a),
            // An integer that is not exact in 24 bits is past the largest half.
            C::I32ToF16 => {
                let float = self.lane1(Lane1::FloatOfSigned, a);
                self.rounded(Scalar::F16, float)
            }
            C::U32ToF16 => {
                let float = self.float_of_unsigned(a);
                self.rounded(Scalar::F16, float)
            }
            C::I32ToBF16 => self.bfloat_of_int(true, a),
            C::U32ToBF16 => self.bfloat_of_int(false, a),
            C::I64ToF32 => self.float_of_wide(true, false, wide),
            C::U64ToF32 => self.float_of_wide(false, false, wide),
            C::I64ToF16 | C::U64ToF16 => {
                let float = self.float_of_wide(step == C::I64ToF16, false, wide);
                self.rounded(Scalar::F16, float)
            }
            C::I64ToBF16 => self.float_of_wide(true, true, wide),
            C::U64ToBF16 => self.float_of_wide(false, true, wide),
            C::F32ToI32 => self.lane1(Lane1::SignedOfFloat, a),
            C::F32ToU32 => self.unsigned_of_float(a),
            C::F32ToI8 => self.clamped(a, -0x80, 0x7f),
            C::F32ToU8 => self.clamped(a, 0, 0xff),
            C::F32ToI16 => self.clamped(a, -0x8000, 0x7fff),
            C::F32ToU16 => self.clamped(a, 0, 0xffff),
            C::F32ToI64 => return self.wide_of_float(true, a),
            C::F32ToU64 => return self.wide_of_float(false, a),
        };
        vec![d]
    }

    fn is_not_zero(&mut self, kind: Num, a: Reg) -> Reg {
        let (d, b) = (self.mask(), self.lane_constant(0));
        self.emit(Ins::CompareLanes { test: Test::Ne, kind, d, a, b });
        d
    }

    fn compare(&mut self, test: Test, kind: Num, a: Reg, b: Reg) -> Reg {
        let d = self.mask();
        self.emit(Ins::CompareLanes { test, kind, d, a, b });
        d
    }

    fn clamped(&mut self, a: Reg, low: i32, high: i32) -> Reg {
        let int = self.lane1(Lane1::SignedOfFloat, a);
        let (low, high) = (self.lane_constant(low as u32), self.lane_constant(high as u32));
        let up = self.lane2(Lane2::MaxSigned, int, low);
        self.lane2(Lane2::MinSigned, up, high)
    }

    fn float_of_unsigned(&mut self, a: Reg) -> Reg {
        if self.strip.unsigned {
            return self.lane1(Lane1::FloatOfUnsigned, a);
        }
        // Both halves are exact, so their sum is rounded once.
        let [low, scale] = [0xffff, 65536f32.to_bits()].map(|bits| self.lane_constant(bits));
        let (low, high) = (self.lane2(Lane2::And, a, low), self.lane1(Lane1::Shr(16), a));
        let low = self.lane1(Lane1::FloatOfSigned, low);
        let high = self.lane1(Lane1::FloatOfSigned, high);
        let high = self.lane2(Lane2::MulFloat, high, scale);
        self.lane2(Lane2::AddFloat, high, low)
    }

    fn unsigned_of_float(&mut self, a: Reg) -> Reg {
        if self.strip.unsigned {
            return self.lane1(Lane1::UnsignedOfFloat, a);
        }
        // From 2^31 on, 2^31 is subtracted before the conversion, and added again as the highest bit.
        let [half, top, zero] = [0x4f00_0000, 1 << 31, 0].map(|bits| self.lane_constant(bits));
        let positive = self.lane2(Lane2::MaxFloat, a, zero);
        let large = self.compare(Test::Le, Num::Float, half, positive);
        let less = self.chosen(large, half, zero);
        let rest = self.lane2(Lane2::SubFloat, positive, less);
        let int = self.lane1(Lane1::SignedOfFloat, rest);
        let bit = self.chosen(large, top, zero);
        self.lane2(Lane2::Xor, int, bit)
    }

    /// The nearest `bf16` of an integer of 32 bits.
    fn bfloat_of_int(&mut self, signed: bool, a: Reg) -> Reg {
        // From 2^24 on, the last 8 of 32 bits become one, which keeps the number odd if any of them was set: then 24
        // bits are exact, and the second rounding is right (round to odd).
        let [low, odd, limit] = [0xff, 0x100, 1 << 24].map(|bits| self.lane_constant(bits));
        let rest = self.lane2(Lane2::And, a, low);
        let rough = self.lane2(Lane2::Xor, a, rest);
        let inexact = self.is_not_zero(Num::Unsigned, rest);
        let sticky = self.lane2(Lane2::Or, rough, odd);
        let sticky = self.chosen(inexact, sticky, rough);
        let size = if signed { self.lane1(Lane1::AbsInt, a) } else { a };
        let small = self.compare(Test::Lt, Num::Unsigned, size, limit);
        let exact = self.chosen(small, a, sticky);
        let float = if signed {
            self.lane1(Lane1::FloatOfSigned, exact)
        } else {
            self.float_of_unsigned(exact)
        };
        self.rounded(Scalar::BF16, float)
    }

    /// The nearest float, or with `bfloat` the nearest `bf16`, of a wide integer.
    fn float_of_wide(&mut self, signed: bool, bfloat: bool, a: Wide) -> Reg {
        let zero = self.lane_constant(0);
        let (size, sign) = if signed {
            let negative = self.compare(Test::Lt, Num::Signed, a.high, zero);
            let other = self.wide_neg(a);
            let top = self.lane_constant(1 << 31);
            (self.wide_select(negative, other, a), Some(self.lane2(Lane2::And, a.high, top)))
        } else {
            (a, None)
        };
        // The number of bits in the high half, from the exponent of its highest one: without the next bit, rounding does
        // not reach the next power of two.
        let [ones, bias] = [u32::MAX, 126].map(|bits| self.lane_constant(bits));
        let next = self.lane1(Lane1::Shr(1), size.high);
        let not_next = self.lane2(Lane2::Xor, next, ones);
        let top = self.lane2(Lane2::And, size.high, not_next);
        let top = self.float_of_unsigned(top);
        let exponent = self.lane1(Lane1::Shr(23), top);
        let bits = self.lane2(Lane2::Sub, exponent, bias);
        // As many bits are shifted out of the low half; if one of them was set, the result is made odd.
        let half = self.lane_constant(32);
        let rest = self.lane2(Lane2::Sub, half, bits);
        let window = self.wide_shr(size, bits).low;
        let lost = self.lane2(Lane2::Shl, size.low, rest);
        let lost = self.is_not_zero(Num::Unsigned, lost);
        let lost = self.one_where(lost);
        let window = self.lane2(Lane2::Or, window, lost);
        // The power of two by which the window is too small.
        let more = self.lane_constant(127);
        let power = self.lane2(Lane2::Add, bits, more);
        let power = self.lane1(Lane1::Shl(23), power);
        let one = self.lane_constant(1f32.to_bits());
        let small = self.compare(Test::Eq, Num::Unsigned, size.high, zero);
        let window = self.chosen(small, size.low, window);
        let power = self.chosen(small, one, power);
        let float = match bfloat {
            true => self.bfloat_of_int(false, window),
            false => self.float_of_unsigned(window),
        };
        let float = self.lane2(Lane2::MulFloat, float, power);
        sign.map_or(float, |sign| self.lane2(Lane2::Or, float, sign))
    }

    /// A float truncated to a wide integer, saturated; a NaN is 0.
    fn wide_of_float(&mut self, signed: bool, a: Reg) -> Vec<Reg> {
        let zero = self.lane_constant(0);
        let limit =
            if signed { 9_223_372_036_854_775_808f32 } else { 18_446_744_073_709_551_616f32 };
        let [up, down, limit, rest] = [
            4_294_967_296f32.to_bits(),
            (1.0 / 4_294_967_296f32).to_bits(),
            limit.to_bits(),
            u32::MAX >> 1,
        ]
        .map(|bits| self.lane_constant(bits));
        let size = if signed { self.lane2(Lane2::And, a, rest) } else { a };
        // The maximum of a NaN and 0 is 0.
        let size = self.lane2(Lane2::MaxFloat, size, zero);
        let size = self.lane1(Lane1::Trunc, size);
        // Both halves are exact: a float has 24 bits.
        let high = self.lane2(Lane2::MulFloat, size, down);
        let high = self.lane1(Lane1::Trunc, high);
        let taken = self.lane2(Lane2::MulFloat, high, up);
        let low = self.lane2(Lane2::SubFloat, size, taken);
        let result = Wide { low: self.unsigned_of_float(low), high: self.unsigned_of_float(high) };
        let large = self.compare(Test::Le, Num::Float, limit, size);
        let ones = self.lane_constant(u32::MAX);
        if !signed {
            let most = Wide { low: ones, high: ones };
            let result = self.wide_select(large, most, result);
            return vec![result.low, result.high];
        }
        let negative = self.compare(Test::Lt, Num::Signed, a, zero);
        let other = self.wide_neg(result);
        let result = self.wide_select(negative, other, result);
        let sign = self.lane1(Lane1::Sar(31), a);
        let most = Wide {
            low: self.lane2(Lane2::Xor, ones, sign),
            high: self.lane2(Lane2::Xor, rest, sign),
        };
        let result = self.wide_select(large, most, result);
        vec![result.low, result.high]
    }
}
