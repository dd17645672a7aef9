//! Halves and bfloats: 16 bits in memory, and in registers the `f32` of equal value.
//!
//! The instructions that convert halves make a signalling NaN quiet, but a move must keep every bit. So a load whose
//! value is moved is *exact*, and so is a store of a value that may come from a move.

use super::Selection;
use crate::soft::cpu::native::lir::*;
use crate::soft::ir::{Function, Op, Rule, Scalar, Value};

/// Whether an instruction is arithmetic, so that its NaNs may have any payload.
fn computes(function: &Function, value: Value) -> bool {
    let inst = function.inst(value);
    match inst.op.row().rule {
        Rule::Same(..) | Rule::Scale => !matches!(inst.op, Op::Neg | Op::Abs | Op::CopySign),
        Rule::Compare(_) | Rule::Test(_) | Rule::To(..) => true,
        Rule::Convert => inst.ty != function.ty(inst.args[0]),
        _ => false,
    }
}

/// For each value, whether an instruction moves it.
pub(super) fn moved(function: &Function) -> Vec<bool> {
    let mut moved = vec![false; function.insts.len()];
    let all = || (0..function.insts.len()).map(|index| Value(index as u32));
    for value in all().filter(|&value| !computes(function, value)) {
        let inst = function.inst(value);
        if inst.op != Op::Extract {
            inst.args.iter().for_each(|arg| moved[arg.index()] = true);
        }
    }
    for value in all().filter(|&value| function.inst(value).op == Op::Extract) {
        let vector = function.inst(value).args[0];
        moved[vector.index()] |= moved[value.index()];
    }
    moved
}

impl Selection<'_> {
    /// Whether a value may be a signalling NaN.
    pub(super) fn is_exact(&self, value: Value) -> bool {
        !computes(self.function, value)
    }

    /// The value of 16 bits in the low half of each lane, with zeros above.
    pub(super) fn value_of_bits(&mut self, scalar: Scalar, bits: Reg, exact: bool) -> Reg {
        let d = self.lane();
        self.value_of_bits_in(d, scalar, bits, exact);
        d
    }

    /// The same, into an existing register.
    pub(super) fn value_of_bits_in(&mut self, d: Reg, scalar: Scalar, bits: Reg, exact: bool) {
        let op = match scalar {
            Scalar::F16 => Lane1::ValueOfHalf { exact },
            _ => Lane1::Shl(16),
        };
        self.emit(Ins::Lane1 { op, d, a: bits });
    }

    /// The 16 bits of a value.
    pub(super) fn bits_of_value(&mut self, scalar: Scalar, value: Reg, exact: bool) -> Reg {
        let op = match scalar {
            Scalar::F16 => Lane1::BitsOfHalf { exact },
            _ => Lane1::Shr(16),
        };
        self.lane1(op, value)
    }

    /// The nearest `f16` or `bf16`, ties to even.
    pub(super) fn rounded(&mut self, scalar: Scalar, value: Reg) -> Reg {
        if scalar == Scalar::F16 {
            return self.lane1(Lane1::RoundHalf, value);
        }
        // Adds just under half of the last bit that remains, or half of it where that bit is set; a NaN becomes quiet.
        let [one, under, quiet, stays] =
            [1, 0x7fff, 0x40_0000, 0xffff_0000].map(|bits| self.lane_constant(bits));
        let last = self.lane1(Lane1::Shr(16), value);
        let last = self.lane2(Lane2::And, last, one);
        let sum = self.lane2(Lane2::Add, value, under);
        let sum = self.lane2(Lane2::Add, sum, last);
        let nan = self.lane2(Lane2::Or, value, quiet);
        let mask = self.mask();
        self.emit(Ins::IsNan { d: mask, a: value });
        let d = self.chosen(mask, nan, sum);
        self.lane2(Lane2::And, d, stays)
    }

    /// `a * b + c` of halves, rounded once.
    pub(super) fn fma_of_halves(&mut self, a: Reg, b: Reg, c: Reg) -> Reg {
        // The product is exact in 32 bits, and so is the error of the rounded sum (Knuth's two-sum). If there is an error, an
        // even sum moves to its odd neighbour in that direction, so that the second rounding does not take it for a tie
        // (Boldo and Melquiond, "Emulation of FMA", 2008).
        let product = self.lane2(Lane2::MulFloat, a, b);
        let sum = self.lane2(Lane2::AddFloat, product, c);
        let second = self.lane2(Lane2::SubFloat, sum, product);
        let first = self.lane2(Lane2::SubFloat, sum, second);
        let (left, right) =
            (self.lane2(Lane2::SubFloat, product, first), self.lane2(Lane2::SubFloat, c, second));
        let over = self.lane2(Lane2::AddFloat, left, right);
        let [zero, one, rest] = [0, 1, u32::MAX >> 1].map(|bits| self.lane_constant(bits));
        let size = self.lane2(Lane2::And, over, rest);
        let (inexact, odd, up) = (self.mask(), self.mask(), self.mask());
        let compare = |d: Reg, kind: Kind, a: Reg, b: Reg| Ins::CompareLanes {
            test: Test::Lt,
            kind,
            d,
            a,
            b,
        };
        self.emit(compare(inexact, Kind::Float, zero, size));
        let last = self.lane2(Lane2::And, sum, one);
        self.emit(compare(odd, Kind::Unsigned, zero, last));
        let moves = self.mask();
        self.emit(Ins::MaskBin { op: MaskOp::AndNot, d: moves, a: odd, b: inexact });
        // Adding one to the bits moves away from zero, which is right if both have the same sign.
        let signs = self.lane2(Lane2::Xor, sum, over);
        self.emit(compare(up, Kind::Signed, signs, zero));
        let (more, less) = (self.lane2(Lane2::Add, sum, one), self.lane2(Lane2::Sub, sum, one));
        let moved = self.chosen(up, less, more);
        let d = self.chosen(moves, moved, sum);
        self.rounded(Scalar::F16, d)
    }
}
