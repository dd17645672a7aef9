//! Finds the values that are the same for all threads of a launch, to compute them once before the first thread.
//!
//! They depend only on constants, on the size of the grid and of the threadgroups, and on `constant` memory,
//! which no thread may change while the launch runs. Loads are moved even out of branches that may never be
//! taken. If such a load is out of bounds, the launch falls back to the code without hoisting, so that only
//! an access that a thread really executes is a fault.

use super::uses::Uses;
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Effect, Function, Input, Op, Space, Type, Value};

/// The needed values that are the same for a whole launch, operands before their uses.
pub(crate) fn constant_in_launch(function: &Function, uses: &Uses) -> Vec<Value> {
    let mut find =
        Find { function, uses, same: vec![false; function.insts.len()], found: Vec::new() };
    for index in 0..function.insts.len() {
        let value = Value(index as u32);
        let inst = function.inst(value);
        find.same[index] = match inst.op {
            Op::Const | Op::Allocation | Op::Texture | Op::Sampler => true,
            Op::Input => Input::from_imm(inst.imm).is_some_and(|(input, _)| of_launch(input)),
            _ => false,
        };
        if matches!(inst.op, Op::Input | Op::Sampler) && find.same[index] && uses.is_needed(value) {
            find.found.push(value);
        }
    }
    instructions(&function.body).for_each(|value| find.instruction(value));
    find.found
}

/// Whether an input is the same in all threadgroups.
fn of_launch(input: Input) -> bool {
    matches!(
        input,
        Input::ThreadsPerGrid
            | Input::DispatchThreadsPerThreadgroup
            | Input::ThreadgroupsPerGrid
            | Input::DispatchSimdgroupsPerThreadgroup
            | Input::DispatchQuadgroupsPerThreadgroup
            | Input::ThreadsPerSimdgroup
            | Input::GridOrigin
            | Input::GridSize
    )
}

struct Find<'a> {
    function: &'a Function,
    uses: &'a Uses,
    same: Vec<bool>,
    found: Vec<Value>,
}

impl Find<'_> {
    fn instruction(&mut self, value: Value) {
        let inst = self.function.inst(value);
        let operands = inst.args.iter().all(|arg| self.same[arg.index()]);
        let constant =
            inst.op == Op::Load && self.function.ty(inst.args[0]) == Type::Pointer(Space::Constant);
        if operands && (inst.op.row().effect == Effect::Pure || constant) {
            self.same[value.index()] = true;
            if self.uses.is_needed(value) {
                self.found.push(value);
            }
        }
    }
}
