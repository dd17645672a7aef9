//! Loop invariants: a pure operation whose operands do not change in a loop is computed before it. It never
//! faults, so it may be computed even if the loop would not have reached it.
//!
//! A load from constant memory may have a fault. It is done before a loop if the loop begins with it: with its test, most often.

use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Block, Effect, Function, Op, Space, Stmt, Value};

/// Moves invariant instructions out of the loops of a function.
pub(crate) fn run(function: &mut Function) {
    with(function, false);
}

/// The same, and the loads from constant memory with which loops begin.
pub(crate) fn with_loads(function: &mut Function) {
    with(function, true);
}

fn with(function: &mut Function, loads: bool) {
    let body = std::mem::take(&mut function.body);
    let mut pass = Invariant { function, loads, inside: vec![false; function.insts.len()] };
    let body = pass.block(body);
    function.body = body;
}

struct Invariant<'a> {
    function: &'a Function,
    /// Whether loads may move.
    loads: bool,
    /// Values that are defined in the loop that is being looked at.
    inside: Vec<bool>,
}

impl Invariant<'_> {
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for stmt in block {
            match stmt {
                Stmt::Loop { body, next, span } => {
                    // Inner loops first: code that moves out of them may move out of this one, too.
                    let (mut body, mut next) = (self.block(body), self.block(next));
                    self.mark(&body, true);
                    self.mark(&next, true);
                    if self.loads {
                        self.extract_loads(&mut body, &mut out);
                    }
                    self.extract(&mut body, &mut out);
                    self.extract(&mut next, &mut out);
                    self.mark(&body, false);
                    self.mark(&next, false);
                    out.push(Stmt::Loop { body, next, span });
                }
                other => out.push(other.map_blocks(|block| self.block(block))),
            }
        }
        out
    }

    /// Records the values that a block defines.
    fn mark(&mut self, block: &Block, inside: bool) {
        for value in instructions(block) {
            self.inside[value.index()] = inside;
        }
    }

    fn is_invariant(&self, value: Value) -> bool {
        let inst = self.function.inst(value);
        inst.op.row().effect == Effect::Pure
            && inst.args.iter().all(|arg| !self.inside[arg.index()])
    }

    /// Moves the loads from constant memory with which a loop's body begins. Those after another load, or after an effect, stay: the
    /// first fault stays the first.
    fn extract_loads(&mut self, body: &mut Block, out: &mut Block) {
        let mut at = 0;
        while let Some(&Stmt::Do(value)) = body.get(at) {
            let inst = self.function.inst(value);
            let moves = match inst.op {
                Op::Get => false,
                Op::Load => {
                    let pointer = inst.args[0];
                    let is_constant = self.function.ty(pointer).space() == Some(Space::Constant);
                    if !is_constant || self.inside[pointer.index()] {
                        return;
                    }
                    true
                }
                _ if inst.op.row().effect == Effect::Pure => self.is_invariant(value),
                _ => return,
            };
            if moves {
                self.inside[value.index()] = false;
                out.push(body.remove(at));
            } else {
                at += 1;
            }
        }
    }

    /// Moves invariant instructions from a block, and the blocks in it, to the end of another.
    fn extract(&mut self, block: &mut Block, out: &mut Block) {
        block.retain_mut(|stmt| match stmt {
            Stmt::Do(value) if self.is_invariant(*value) => {
                self.inside[value.index()] = false;
                out.push(Stmt::Do(*value));
                false
            }
            other => {
                if let Some([first, second]) = other.blocks_mut() {
                    self.extract(first, out);
                    self.extract(second, out);
                }
                true
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{AllocationId, FunctionBuilder, Input, Type};

    #[test]
    fn loads_from_constant_memory_move_only_if_the_loop_begins_with_them() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let n = b.allocation(AllocationId(0), Space::Constant);
        let x = b.allocation(AllocationId(1), Space::Device);
        let v = b.variable("v", Type::U32);
        b.begin_loop();
        let now = b.get(v);
        let limit = b.load(n, Type::U32);
        let done = b.op(Op::Le, &[limit, now]);
        b.break_if(done);
        let far = b.field(n, 4);
        let late = b.load(far, Type::U32);
        b.store(x, late);
        b.end_loop();
        b.begin_loop();
        let first = b.load(x, Type::U32);
        let second = b.load(n, Type::U32);
        let sum = b.add(first, second);
        b.store(x, sum);
        b.break_();
        b.end_loop();
        let mut f = b.finish();
        with_loads(&mut f);
        let [Stmt::Do(moved), Stmt::Do(pointer), Stmt::Loop { .. }, Stmt::Loop { .. }] = f.body[..]
        else {
            panic!("{f}")
        };
        assert_eq!((moved, pointer), (limit, far));
    }

    #[test]
    fn invariant_code_moves_out_of_all_loops() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 4);
        let (x, y) =
            (b.input(Input::ThreadPositionInGrid, 0), b.input(Input::ThreadPositionInGrid, 1));
        let v = b.variable("v", Type::U32);
        b.begin_loop();
        b.begin_loop();
        let fixed = b.mul(x, y);
        let twice = b.add(fixed, fixed);
        let now = b.get(v);
        let changing = b.add(now, twice);
        b.store(out, changing);
        b.break_();
        b.end_loop();
        b.break_();
        b.end_loop();
        let mut f = b.finish();
        run(&mut f);
        assert_eq!(f.body[..2], [Stmt::Do(fixed), Stmt::Do(twice)]);
        let Stmt::Loop { body, .. } = &f.body[2] else { panic!("{f}") };
        let Stmt::Loop { body, .. } = &body[0] else { panic!("{f}") };
        assert_eq!(body[..2], [Stmt::Do(now), Stmt::Do(changing)]);
    }
}
