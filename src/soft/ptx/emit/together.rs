//! Which barriers the threads of a threadgroup may reach at different times: those in branches and loops whose conditions may
//! differ between the SIMD-groups.

use crate::soft::ir::{Block, Function, Input, Op, Space, Stmt, Value};

use super::value::is_across;

struct Together<'a> {
    function: &'a Function,
    /// Values that may differ between the threads of a threadgroup.
    values: Vec<bool>,
    variables: Vec<bool>,
    changed: bool,
    /// Barriers that not all threads reach together.
    apart: bool,
}

/// Whether threads of a threadgroup may wait at different barriers, in a kernel that otherwise obeys the language.
pub(super) fn may_differ(function: &Function) -> bool {
    let values = vec![false; function.insts.len()];
    let variables = vec![false; function.variables.len()];
    let mut together = Together { function, values, variables, changed: true, apart: false };
    while std::mem::take(&mut together.changed) {
        together.block(&function.body, false);
    }
    together.apart
}

/// Whether a block leaves the loop that it is in.
fn leaves(block: &[Stmt]) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Break | Stmt::Continue => true,
        Stmt::If(_, then, other) => leaves(then) || leaves(other),
        _ => false,
    })
}

impl Together<'_> {
    fn value(&mut self, value: Value) -> bool {
        let inst = self.function.inst(value);
        if inst.op.is_free() {
            return inst.op == Op::Input && !is_of_group(inst.imm);
        }
        self.values[value.index()]
    }

    /// Notes what an instruction yields; returns whether a branch on it would part threads.
    fn instruction(&mut self, value: Value, apart: bool) {
        let inst = self.function.inst(value);
        let mut differs = inst.args.iter().any(|&arg| self.value(arg));
        match inst.op {
            Op::Barrier => self.apart |= apart,
            Op::Get => differs = self.variables[inst.imm as usize],
            Op::Set => {
                let variable = &mut self.variables[inst.imm as usize];
                self.changed |= (differs || apart) && !*variable;
                *variable |= differs || apart;
            }
            Op::Load => {
                let space = self.function.ty(inst.args[0]).space();
                differs |= space == Some(Space::Thread);
            }
            Op::MatrixLoad | Op::MatrixMultiplyAdd => differs = true,
            op if is_across(op) || (Op::AtomicLoad..=Op::AtomicXor).contains(&op) => differs = true,
            Op::TextureAtomic => differs = true,
            _ => {}
        }
        self.changed |= differs && !self.values[value.index()];
        self.values[value.index()] |= differs;
    }

    fn block(&mut self, block: &Block, apart: bool) {
        for stmt in block {
            match stmt {
                Stmt::Do(value) => self.instruction(*value, apart),
                Stmt::If(condition, then, other) => {
                    let apart = apart || self.value(*condition);
                    self.block(then, apart);
                    self.block(other, apart);
                }
                Stmt::Loop { body, next, .. } => {
                    // Threads that leave in different iterations are apart in all of the loop.
                    let apart = apart || self.parts(body) || self.parts(next);
                    self.block(body, apart);
                    self.block(next, apart);
                }
                _ => {}
            }
        }
    }

    /// Whether threads leave a loop from a block under a condition that differs.
    fn parts(&mut self, block: &[Stmt]) -> bool {
        block.iter().any(|stmt| match stmt {
            Stmt::If(condition, then, other) => {
                self.value(*condition) && (leaves(then) || leaves(other))
                    || self.parts(then)
                    || self.parts(other)
            }
            _ => false,
        })
    }
}

/// Whether an input is the same for all threads of a threadgroup.
fn is_of_group(imm: u64) -> bool {
    let Some((input, _)) = Input::from_imm(imm) else { return false };
    !matches!(
        input,
        Input::ThreadPositionInGrid
            | Input::ThreadPositionInThreadgroup
            | Input::ThreadIndexInThreadgroup
            | Input::ThreadIndexInSimdgroup
            | Input::ThreadIndexInQuadgroup
            | Input::QuadgroupIndexInThreadgroup
            | Input::SimdgroupIndexInThreadgroup
    )
}
