//! Dead code: removes unused values, assignments that nothing reads, and empty blocks.

use crate::soft::ir::hash::FastSet;
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Block, Function, Op, Stmt};

/// Removes from a function without calls.
pub(crate) fn run(function: &mut Function) {
    // A variable whose only reads are dead makes its assignments dead, and they their operands.
    loop {
        let mut dead = Dead {
            used: vec![false; function.insts.len()],
            read: vec![false; function.variables.len()],
            removed: false,
            seen: Vec::new(),
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
    /// Whether a read of a variable was removed.
    removed: bool,
    /// The effects on variables of the statements visited so far, the last first.
    seen: Vec<Seen>,
}

/// Something that makes an assignment before it visible.
#[derive(Clone, Copy)]
enum Seen {
    /// A read of a variable.
    Read(u64),
    /// A jump to another block, where any variable may be read.
    Jump,
}

impl Dead {
    fn reads(&mut self, function: &Function, block: &Block) {
        for value in instructions(block) {
            let inst = function.inst(value);
            if let Op::Get = inst.op {
                self.read[inst.imm as usize] = true;
            }
        }
    }

    /// Visits statements from last to first, so that uses come before definitions.
    fn block(&mut self, function: &Function, block: &mut Block) {
        let mut kept = Vec::with_capacity(block.len());
        // Variables that are assigned later in the block, and not read before that.
        let mut assigned: FastSet<u64> = FastSet::default();
        for mut stmt in block.drain(..).rev() {
            let before = self.seen.len();
            if let Some([first, second]) = stmt.blocks_mut() {
                self.block(function, second);
                self.block(function, first);
            }
            match &stmt {
                Stmt::Do(value) if function.inst(*value).op == Op::Get => {
                    self.seen.push(Seen::Read(function.inst(*value).imm));
                }
                Stmt::Break | Stmt::Continue => self.seen.push(Seen::Jump),
                _ => {}
            }
            if !assigned.is_empty() {
                for seen in &self.seen[before..] {
                    match seen {
                        Seen::Read(variable) => _ = assigned.remove(variable),
                        Seen::Jump => assigned.clear(),
                    }
                }
            }
            let (keep, read) = match &stmt {
                Stmt::Do(value) => {
                    let inst = function.inst(*value);
                    let unread = inst.op == Op::Set
                        && (!self.read[inst.imm as usize] || !assigned.insert(inst.imm));
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
                for &value in read {
                    self.used[value.index()] = true;
                }
                kept.push(stmt);
            } else if let Stmt::Do(value) = stmt {
                // Its operands come before it and are still to be visited; assignments that a read kept are dead only in another run.
                self.removed |= function.inst(value).op == Op::Get;
            }
        }
        kept.reverse();
        *block = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input, Type, Value, VarId};

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

    /// The number of assignments that are left of two, with this between them.
    fn assignments(between: impl FnOnce(&mut FunctionBuilder, VarId, Value)) -> usize {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (v, out) = (b.variable("v", Type::U32), b.local("out", 4));
        let x = b.input(Input::ThreadPositionInGrid, 0);
        let less = b.lt(x, x);
        b.begin_loop();
        b.set(v, x);
        between(&mut b, v, less);
        b.set(v, x);
        b.begin_if(less);
        b.break_();
        b.end_if();
        b.end_loop();
        let read = b.get(v);
        b.store(out, read);
        let mut f = b.finish();
        run(&mut f);
        f.to_string().matches("set ").count()
    }

    #[test]
    fn an_assignment_before_another_is_dead_unless_it_may_be_read() {
        assert_eq!(assignments(|_, _, _| ()), 1);
        let in_branch = |b: &mut FunctionBuilder, less, inner: &dyn Fn(&mut FunctionBuilder)| {
            b.begin_if(less);
            inner(b);
            b.end_if();
        };
        assert_eq!(assignments(|b, _, less| in_branch(b, less, &|b| b.return_(None))), 1);
        assert_eq!(assignments(|b, _, less| in_branch(b, less, &|b| b.break_())), 2);
        assert_eq!(assignments(|b, _, less| in_branch(b, less, &|b| b.continue_())), 2);
        let read = |b: &mut FunctionBuilder, v, less| {
            in_branch(b, less, &|b| {
                let to = b.local("to", 4);
                let read = b.get(v);
                b.store(to, read);
            });
        };
        assert_eq!(assignments(|b, v, less| read(b, v, less)), 2);
    }
}
