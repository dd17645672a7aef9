//! Matrices of SIMD-groups: 8 by 8, two elements in each lane.

use super::super::text::{Kind, Reg, ptx};
use super::Emit;
use super::memory::Target;
use crate::soft::ir::{Inst, Op, Scalar, Type, Value};

const F32: Type = Type::Scalar(Scalar::F32);

impl Emit<'_> {
    /// Bits of the lane's number, each moved to another position.
    fn lane_bits(&mut self, moves: &[(u32, u32)]) -> Reg {
        let lane = self.lane();
        let mut sum = self.bits(Kind::Word, 0);
        for &(from, to) in moves {
            let bit = self.text.reg(Kind::Word);
            ptx!(self.text, "bfe.u32 {bit}, {lane}, {from}, 1;");
            let moved = self.word("shl.b32", bit, to);
            sum = self.word("or.b32", sum, moved);
        }
        sum
    }

    /// The lane's row, and its first column.
    fn element(&mut self) -> (Reg, Reg) {
        (self.lane_bits(&[(4, 2), (2, 1), (1, 0)]), self.lane_bits(&[(3, 2), (0, 1)]))
    }

    /// The memory of the lane's two elements, checked.
    fn elements(&mut self, inst: &Inst, scalar: Scalar, write: bool) -> [Target; 2] {
        // Lanes that had a fault before have recorded it, so that it comes first.
        let mask = self.mask();
        ptx!(self.text, "bar.warp.sync {mask};");
        let (row, column) = self.element();
        let steps: Vec<Reg> = inst.args[1..3]
            .iter()
            .map(|&step| {
                let (scalar, reg) = (self.scalar_type(step), self.scalar(step));
                self.convert(scalar, Scalar::I64, reg)
            })
            .collect();
        let wide = |emit: &mut Self, reg: Reg| emit.convert(Scalar::U32, Scalar::I64, reg);
        let (row, column) = (wide(self, row), wide(self, column));
        [0u32, 1].map(|second| {
            let (at, bytes) =
                (self.text.reg(Kind::Long), self.bits(Kind::Long, scalar.bytes().into()));
            ptx!(self.text, "add.s64 {at}, {column}, {second};");
            ptx!(self.text, "mul.lo.s64 {at}, {at}, {};", steps[1]);
            ptx!(self.text, "mad.lo.s64 {at}, {row}, {}, {at};", steps[0]);
            self.access_at(inst.args[0], at, bytes, scalar.bytes(), write, inst.span)
        })
    }

    /// Checks an access at an index of elements from a pointer.
    fn access_at(
        &mut self,
        pointer: Value,
        index: Reg,
        stride: Reg,
        bytes: u32,
        write: bool,
        span: crate::soft::ir::Span,
    ) -> Target {
        let from = self.scalar(pointer);
        let moved = self.text.reg(Kind::Long);
        ptx!(self.text, "mad.lo.s64 {moved}, {index}, {stride}, {from};");
        self.access_by(pointer, moved, bytes, write, span)
    }

    /// Reads a matrix.
    pub(super) fn matrix_load(&mut self, inst: &Inst) -> Vec<Reg> {
        let scalar = inst.ty.scalar().unwrap_or(Scalar::F32);
        let targets = self.elements(inst, scalar, false);
        let regs = self.text.regs(inst.ty);
        for (target, reg) in targets.iter().zip(&regs) {
            self.move_all(target, scalar, &[*reg], false);
        }
        regs
    }

    /// Writes a matrix.
    pub(super) fn matrix_store(&mut self, inst: &Inst) {
        let scalar = self.function.ty(inst.args[3]).scalar().unwrap_or(Scalar::F32);
        let targets = self.elements(inst, scalar, true);
        let regs = self.value(inst.args[3]);
        for (target, reg) in targets.iter().zip(&regs) {
            self.move_all(target, scalar, &[*reg], true);
        }
    }

    /// `a * b + c`: each element is a chain of fused multiply-adds.
    pub(super) fn matrix_multiply_add(&mut self, inst: &Inst) -> Vec<Reg> {
        let (left, right) = (self.value(inst.args[0]), self.value(inst.args[1]));
        let mut sums = self.value(inst.args[2]);
        let lane = self.lane();
        // The lane that has (row, 0) of the own row, and the one that has (0, column) of the own columns.
        let in_row = self.word("and.b32", lane, 0b10110);
        let in_column = self.word("and.b32", lane, 0b01001);
        for k in 0..8u32 {
            let column = (k >> 2 & 1) << 3 | (k >> 1 & 1);
            let row = (k >> 2 & 1) << 4 | (k >> 1 & 1) << 2 | (k & 1) << 1;
            let (from_row, from_column) =
                (self.word("or.b32", in_row, column), self.word("or.b32", in_column, row));
            let a = self.shuffle(F32, left[k as usize & 1], from_row);
            for (second, sum) in sums.iter_mut().enumerate() {
                let b = self.shuffle(F32, right[second], from_column);
                *sum = self.pure(Op::Fma, Scalar::F32, &[a, b, *sum]);
            }
        }
        sums
    }
}
