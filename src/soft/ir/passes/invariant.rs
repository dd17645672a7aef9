//! Loop invariants: a pure operation whose operands do not change in a loop is computed before it. It never
//! faults, so it may be computed even if the loop would not have got to it.

use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Block, Effect, Function, Stmt, Value};

/// Moves invariant instructions out of the loops of a function.
pub(crate) fn run(function: &mut Function) {
    let body = std::mem::take(&mut function.body);
    let mut pass = Invariant { function, inside: vec![false; function.insts.len()] };
    let body = pass.block(body);
    function.body = body;
}

struct Invariant<'a> {
    function: &'a Function,
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
        instructions(block).for_each(|value| self.inside[value.index()] = inside);
    }

    fn is_invariant(&self, value: Value) -> bool {
        let inst = self.function.inst(value);
        inst.op.row().effect == Effect::Pure
            && inst.args.iter().all(|arg| !self.inside[arg.index()])
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
                let blocks = other.blocks_mut().into_iter().flatten();
                blocks.for_each(|block| self.extract(block, out));
                true
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input, Type};

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
