//! Texture operations: components of operands and result, a word of registers for every four.

use super::memory::Part;
use super::{Field, Lowering, NONE, Operand, size_of_type};
use crate::soft::cpu::interp::control;
use crate::soft::cpu::interp::fetch::{self, OWN, RESULT_IN_SLOT};
use crate::soft::ir::{Inst, Type, Value};

impl Lowering<'_> {
    pub(super) fn texture(&mut self, value: Value, inst: &Inst) {
        let mut operands = Vec::new();
        for &arg in inst.args.iter() {
            for part in self.components(arg) {
                operands.push(match part {
                    Part::Value(value) => self.operand(value),
                    Part::Loaded(operand) => operand,
                });
            }
        }
        let uniform = self.is_uniform(value);
        let mut results = [NONE; 4];
        match inst.ty {
            Type::Void => {}
            Type::Vector(scalar, width) => {
                let parts = (0..width)
                    .map(|_| {
                        let field = self.temporary(size_of_type(Type::Scalar(scalar), uniform));
                        Operand { field, uniform }
                    })
                    .collect::<Vec<Operand>>();
                results.iter_mut().zip(&parts).for_each(|(field, part)| *field = part.field);
                self.vectors.insert(value, parts);
            }
            _ => results[0] = self.destination(value),
        }
        let mut imm = inst.imm << OWN;
        for (number, operand) in operands.iter().enumerate() {
            imm |= u64::from(operand.uniform) << number;
        }
        // A write is done for each lane: the last one decides.
        if uniform && inst.ty != Type::Void {
            imm |= RESULT_IN_SLOT;
        }
        self.emit_run(fetch::handler(inst.op), results, imm);
        let fields: Vec<Field> = operands.iter().map(|operand| operand.field).collect();
        for four in fields.chunks(4) {
            let mut word = [NONE; 4];
            word[..four.len()].copy_from_slice(four);
            self.emit::<control::End>(word, 0);
        }
    }
}
