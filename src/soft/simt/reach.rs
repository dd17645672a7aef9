//! What a kernel's code still touches when the passes are done with it.

use crate::soft::ir::{Block, Function, Op, Stmt, Value};

/// Which allocations the code of a function reaches, after the passes have left out what it does not need.
pub(super) fn allocations(function: &Function, count: usize) -> Vec<bool> {
    fn visit(block: &Block, needed: &mut Vec<Value>) {
        for statement in block {
            match statement {
                Stmt::Do(value) => needed.push(*value),
                Stmt::If(condition, then, otherwise) => {
                    needed.push(*condition);
                    visit(then, needed);
                    visit(otherwise, needed);
                }
                Stmt::Loop { body, next } => {
                    visit(body, needed);
                    visit(next, needed);
                }
                Stmt::Call { args, .. } => needed.extend(args),
                Stmt::Return(value) => needed.extend(value),
                Stmt::Break | Stmt::Continue => {}
            }
        }
    }
    let (mut needed, mut seen) = (Vec::new(), vec![false; function.insts.len()]);
    let mut used = vec![false; count];
    visit(&function.body, &mut needed);
    while let Some(value) = needed.pop() {
        if std::mem::replace(&mut seen[value.index()], true) {
            continue;
        }
        let inst = function.inst(value);
        needed.extend(inst.args.iter());
        if inst.op == Op::Allocation {
            used[inst.imm as usize] = true;
        }
    }
    used
}
