//! Which forms of each value are needed.

use super::probe::observes;
use super::{INT, LANES, Selection};
use crate::soft::cpu::native::plan::{Kind, components, kind};
use crate::soft::cpu::native::shape::{self, Shape, Start, Sum};
use crate::soft::ir::{Effect, Inst, Op, Stmt, Value};

impl Selection<'_> {
    pub(super) fn need(&mut self, value: Value, bits: u8) {
        if self.shapes.known(value).is_some() {
            return;
        }
        // Its lanes are made from the integer.
        let bits = if bits & LANES != 0 && self.is_int(value) { bits | INT } else { bits };
        self.want[value.index()] |= bits;
    }

    pub(super) fn demand(&mut self, block: &[Stmt]) {
        for stmt in block.iter().rev() {
            stmt.blocks().into_iter().rev().for_each(|inner| self.demand(inner));
            match stmt {
                Stmt::Do(value) => self.demand_of(*value),
                Stmt::If(condition, ..) => {
                    let bits = if self.shapes.is_same(*condition) { INT } else { LANES };
                    self.need(*condition, bits);
                }
                _ => {}
            }
        }
    }

    /// Requests the forms in which an instruction needs its operands.
    pub(super) fn demand_of(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        if self.run.is_done(value) || self.kind(value) != Kind::Direct {
            return;
        }
        if self.shapes.known(value).is_some() {
            return;
        }
        let has_effect = matches!(inst.op, Op::Store | Op::Set | Op::MatrixStore | Op::Probe)
            || inst.op.row().effect == Effect::Syncs;
        if !has_effect && self.want[value.index()] == 0 {
            return;
        }
        match inst.op {
            Op::Set => {
                let uniform = self.run.source.uniform.variables[inst.imm as usize];
                let int = uniform && !self.is_float(inst.args[0]);
                self.need(inst.args[0], if int { INT } else { LANES });
            }
            Op::Load | Op::Store => {
                let Some((start, sum)) = self.address(inst.args[0]) else { return };
                self.need_address(start, &sum);
                let by_first = self.is_affine(&sum) || self.distances(&sum).is_some();
                let by_first = by_first && !start.is_thread();
                for &(term, _) in &sum.lanes {
                    self.need(term, if by_first { INT } else { LANES });
                }
                if inst.op == Op::Store {
                    for part in self.components(inst.args[1]) {
                        let one_address = sum.lanes.is_empty() && !start.is_thread();
                        let once = one_address && self.shapes.is_same(part);
                        let bits = if once && self.is_int(part) { INT } else { LANES };
                        self.need(part, bits);
                    }
                }
            }
            Op::Get => {}
            Op::Barrier => {}
            op if observes(op) => self.demand_probe(&inst),
            _ if inst.op.row().effect == Effect::Syncs => self.demand_atomic(&inst),
            Op::MatrixLoad | Op::MatrixStore | Op::MatrixMultiplyAdd => self.demand_matrix(&inst),
            _ if inst.op.row().effect == Effect::Lanes => self.demand_across(value, &inst),
            _ => {
                for &arg in inst.args.iter() {
                    let bits = if self.by_numbers(value, &inst) { INT } else { LANES };
                    self.need(arg, bits);
                }
            }
        }
    }

    /// Requests the uniform parts of an address.
    pub(super) fn need_address(&mut self, start: Start, sum: &Sum) {
        if let Some(pointer) = start.pointer() {
            self.need(pointer, INT);
        }
        for &(term, _) in &sum.same {
            self.need(term, INT);
        }
    }

    /// Whether an instruction computes one number for the strip from operands that are such numbers.
    pub(super) fn by_numbers(&self, value: Value, inst: &Inst) -> bool {
        self.is_int(value) && !inst.args.iter().any(|&arg| self.is_float(arg))
    }

    pub(super) fn kind(&self, value: Value) -> Kind {
        kind(self.function, &self.run.source.uniform, &self.run.shapes, value)
    }

    pub(super) fn address(&self, pointer: Value) -> Option<(Start, Sum)> {
        shape::address(self.function, &self.shapes, pointer)
    }

    /// Whether the offsets of all lanes follow from the first one's.
    pub(super) fn is_affine(&self, sum: &Sum) -> bool {
        self.step(sum).is_some()
    }

    /// The distance between neighbouring lanes in bytes, if it is constant and not large.
    pub(super) fn step(&self, sum: &Sum) -> Option<i64> {
        let mut step = 0i64;
        for &(term, scale) in &sum.lanes {
            let stride = i64::from(self.shapes.step(term)? as i32);
            if !(1..=1 << 12).contains(&stride) || scale < 1 {
                return None;
            }
            step += stride * scale;
        }
        (step <= 1 << 24).then_some(step)
    }

    /// The same for neighbouring lanes of a vector; 0 if all have one address.
    pub(super) fn step_of_parts(&self, sum: &Sum) -> Option<i64> {
        let shapes = self.part_shapes.as_ref()?;
        let step = |&(term, scale): &(Value, i64)| match shapes.shape(term) {
            Shape::Same => Some(0),
            Shape::Affine(stride) => Some(i64::from(stride as i32).wrapping_mul(scale)),
            Shape::Apart(_) | Shape::Known(_) | Shape::Any => None,
        };
        sum.lanes.iter().map(step).sum()
    }

    /// The components of a value that is stored.
    pub(super) fn components(&self, value: Value) -> Vec<Value> {
        components(self.function, &value).to_vec()
    }
}
