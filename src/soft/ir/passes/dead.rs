//! Dead code: removes unused values, variables that are never read, and empty blocks.

use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Block, Function, Op, Stmt, Value};

/// Removes from a function without calls.
pub(crate) fn run(function: &mut Function) {
    // A variable whose only reads are dead makes its assignments dead, and they their operands.
    loop {
        let mut dead = Dead {
            used: vec![false; function.insts.len()],
            read: vec![false; function.variables.len()],
            removed: false,
        };
        let mut body = std::mem::take(&mut function.body);
        dead.reads(function, &body);
        dead.block(function, &mut body);
        function.body = body;
        if !dead.removed {
            return;
        }
    }
}

struct Dead {
    used: Vec<bool>,
    read: Vec<bool>,
    removed: bool,
}

impl Dead {
    fn reads(&mut self, function: &Function, block: &Block) {
        for inst in instructions(block).map(|value| function.inst(value)) {
            if inst.op == Op::Get {
                self.read[inst.imm as usize] = true;
            }
        }
    }

    fn keep(&mut self, value: Value) {
        self.used[value.index()] = true;
    }

    /// Visits statements from last to first, so that uses come before definitions.
    fn block(&mut self, function: &Function, block: &mut Block) {
        let mut kept = Vec::with_capacity(block.len());
        for mut stmt in block.drain(..).rev() {
            for inner in stmt.blocks_mut().into_iter().flatten().rev() {
                self.block(function, inner);
            }
            let (keep, read) = match &stmt {
                Stmt::Do(value) => {
                    let inst = function.inst(*value);
                    let unread = inst.op == Op::Set && !self.read[inst.imm as usize];
                    let unused = inst.op.is_removable() && !self.used[value.index()];
                    (!unread && !unused, &inst.args[..])
                }
                Stmt::If(_, then, otherwise) => {
                    (!then.is_empty() || !otherwise.is_empty(), stmt.values())
                }
                // An endless loop is one that the watchdog stops: it stays.
                _ => (true, stmt.values()),
            };
            if keep {
                read.iter().for_each(|&value| self.keep(value));
                kept.push(stmt);
            } else {
                self.removed = true;
            }
        }
        kept.reverse();
        *block = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input, Type};

    #[test]
    fn chains_of_dead_variables_are_removed() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (v, w) = (b.variable("v", Type::U32), b.variable("w", Type::U32));
        let x = b.input(Input::ThreadPositionInGrid, 0);
        let twice = b.add(x, x);
        b.set(v, twice);
        let less = b.lt(x, twice);
        b.begin_if(less);
        let read = b.get(v);
        b.set(w, read);
        b.end_if();
        let mut f = b.finish();
        run(&mut f);
        assert_eq!(f.body, []);
    }
}
