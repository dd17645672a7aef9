//! Matrices that the lanes of a SIMD-group hold together: two registers each.

use super::{Field, Lowering, NONE, Operand, lane_bytes};
use crate::soft::cpu::interp::matrix::{self, MultiplyAdd};
use crate::soft::cpu::interp::registers::Size;
use crate::soft::cpu::interp::{control, simd};
use crate::soft::ir::{Inst, Type, Value};

impl Lowering<'_> {
    pub(super) fn matrix_load(&mut self, value: Value, inst: &Inst) {
        let run = matrix::handler(self.scalar(value), false);
        let [pointer, row, column] = [0, 1, 2].map(|at| self.once(inst.args[at]));
        let [first, second] = self.matrix_result(value);
        self.emit_run(run, [first, second, pointer, row], 0);
        self.emit::<control::End>([column, NONE, NONE, NONE], 0);
    }

    pub(super) fn matrix_store(&mut self, inst: &Inst) {
        let run = matrix::handler(self.scalar(inst.args[3]), true);
        let [pointer, row, column] = [0, 1, 2].map(|at| self.once(inst.args[at]));
        let [first, second] = self.matrix_operand(inst.args[3]);
        self.emit_run(run, [first, second, pointer, row], 0);
        self.emit::<control::End>([column, NONE, NONE, NONE], 0);
    }

    pub(super) fn matrix_multiply_add(&mut self, value: Value, inst: &Inst) {
        let [a, b, c] = [0, 1, 2].map(|at| self.matrix_operand(inst.args[at]));
        let [first, second] = self.matrix_result(value);
        self.emit::<MultiplyAdd>([first, second, a[0], a[1]], 0);
        self.emit::<control::End>([b[0], b[1], c[0], c[1]], 0);
    }

    /// The registers of a new matrix.
    fn matrix_result(&mut self, value: Value) -> [Field; 2] {
        let fields = [(); 2].map(|()| self.temporary(Size::Lanes4));
        let parts = fields.map(|field| Operand { field, uniform: false });
        self.vectors.insert(value, parts.to_vec());
        fields
    }

    /// The registers of a matrix that is used.
    fn matrix_operand(&mut self, value: Value) -> [Field; 2] {
        let scalar = Type::Scalar(self.scalar(value));
        let parts = self.components(value);
        [0, 1].map(|at| self.part_in_lanes(parts[at], scalar))
    }

    /// A value in a slot: what the first active lane has.
    fn once(&mut self, value: Value) -> Field {
        let operand = self.operand(value);
        if operand.uniform {
            return operand.field;
        }
        let to = self.temporary(Size::Slot);
        let bytes = lane_bytes(self.function.ty(value));
        self.emit_run(simd::first_lane(bytes), [to, operand.field, NONE, NONE], 0);
        to
    }
}
