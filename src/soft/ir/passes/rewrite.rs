//! The walk of passes that rewrite instructions: it replaces values in all later operands.

use crate::soft::ir::hash::FastMap;
use crate::soft::ir::{Args, Block, Function, Inst, Op, Scalar, Stmt, Type, Value};

impl Function {
    /// Adds an instruction at the end of a block.
    pub(crate) fn put(&mut self, inst: Inst, out: &mut Block) -> Value {
        self.insts.push(inst);
        let value = Value(self.insts.len() as u32 - 1);
        out.push(Stmt::Do(value));
        value
    }
}

/// The treatment of an instruction.
pub(crate) enum Change {
    /// Leave it.
    Keep,
    /// Use another value in its stead, which has to be visible wherever this one is.
    Replace(Value),
    /// Remove it; its value is unused.
    Remove,
}

/// A pass that looks at each instruction in order, after its operands were replaced.
pub(crate) trait Rewrite {
    /// Decides on an instruction.
    fn instruction(&mut self, function: &mut Function, value: Value) -> Change;
    /// Decides on a statement that holds blocks: replaced by statements, or walked.
    fn branch(&mut self, _: &Function, stmt: Stmt) -> Result<Block, Stmt> {
        Err(stmt)
    }
    /// A block begins; for a loop's body and its end, with all that the loop holds.
    fn enter(&mut self, _: &Function, _: Around<'_>) {}
    /// The innermost open block ends; the flag says whether its end is reached.
    fn leave(&mut self, _: &Function, _: bool) {}
    /// A function is called, which may read and write memory.
    fn call(&mut self) {}
    /// The statement, whose blocks have ended, ends.
    fn after(&mut self, _: &Function, _: &Stmt) {}
}

/// The statement that a block is part of.
#[derive(Clone, Copy)]
pub(crate) enum Around<'a> {
    /// An `if`, or the function.
    Branch,
    /// The body of a loop, with its two blocks.
    Body(&'a Block, &'a Block),
    /// The `next` block of a loop, with its two blocks: the body is the one that the pass has changed.
    Next(&'a Block, &'a Block),
}

struct Walk<'a, R> {
    function: &'a mut Function,
    pass: &'a mut R,
    /// For each value, the one that is used in its stead, or [`ITSELF`].
    replaced: Vec<Value>,
}

const ITSELF: Value = Value(u32::MAX);

/// Runs a pass over a function.
pub(crate) fn rewrite<R: Rewrite>(function: &mut Function, pass: &mut R) {
    let body = std::mem::take(&mut function.body);
    let replaced = vec![ITSELF; function.insts.len()];
    let mut walk = Walk { function, pass, replaced };
    walk.pass.enter(walk.function, Around::Branch);
    let body = walk.block(body);
    walk.pass.leave(walk.function, true);
    function.body = body;
}

impl<R: Rewrite> Walk<'_, R> {
    fn now(&self, value: Value) -> Value {
        match self.replaced.get(value.index()) {
            Some(&other) if other.0 != ITSELF.0 => other,
            _ => value,
        }
    }

    fn block(&mut self, mut block: Block) -> Block {
        // In place, as long as a statement becomes one at most.
        let mut kept = 0;
        for at in 0..block.len() {
            // Most statements are instructions, which stay where they are.
            if let Stmt::Do(value) = block[at] {
                if self.keeps(value) {
                    if kept < at {
                        block[kept] = Stmt::Do(value);
                    }
                    kept += 1;
                }
                continue;
            }
            match self.stmt(std::mem::replace(&mut block[at], Stmt::Break)) {
                Some(Out::One(stmt)) => {
                    block[kept] = stmt;
                    kept += 1;
                    if ends(&block[..kept]) {
                        break;
                    }
                }
                Some(Out::Many(stmts)) => {
                    let rest = block.split_off(at + 1);
                    block.truncate(kept);
                    block.extend(stmts);
                    self.append(rest, &mut block);
                    return block;
                }
                None => {}
            }
        }
        block.truncate(kept);
        block
    }

    /// Rewrites statements to the end of a block.
    fn append(&mut self, stmts: Block, out: &mut Block) {
        for stmt in stmts {
            // The statements that follow are never reached.
            if ends(out) {
                return;
            }
            match self.stmt(stmt) {
                Some(Out::One(stmt)) => out.push(stmt),
                Some(Out::Many(stmts)) => out.extend(stmts),
                None => {}
            }
        }
    }

    /// A block that the pass has entered.
    fn inner(&mut self, block: Block) -> Block {
        let block = self.block(block);
        self.pass.leave(self.function, !ends(&block));
        block
    }

    /// Rewrites an instruction; whether it stays.
    fn keeps(&mut self, value: Value) -> bool {
        let replaced = &self.replaced[..];
        let args = &mut self.function.insts[value.index()].args[..];
        let mut at = 0;
        while at < args.len() {
            let arg = args[at].0 as usize;
            if arg < replaced.len() && replaced[arg].0 != ITSELF.0 {
                args[at] = replaced[arg];
            }
            at += 1;
        }
        match self.pass.instruction(self.function, value) {
            Change::Keep => true,
            Change::Replace(other) => {
                self.replaced[value.index()] = other;
                false
            }
            Change::Remove => false,
        }
    }

    /// The replacement of a statement; `None` if it is removed.
    fn stmt(&mut self, stmt: Stmt) -> Option<Out> {
        let stmt = match stmt {
            Stmt::Do(value) if self.keeps(value) => Stmt::Do(value),
            Stmt::Do(_) => return None,
            Stmt::If(condition, then, otherwise) => {
                let stmt = Stmt::If(self.now(condition), then, otherwise);
                match self.pass.branch(self.function, stmt) {
                    Ok(block) => return Some(Out::Many(self.block(block))),
                    Err(Stmt::If(condition, then, otherwise)) => {
                        let [then, otherwise] = [then, otherwise].map(|block| {
                            self.pass.enter(self.function, Around::Branch);
                            self.inner(block)
                        });
                        let stmt = Stmt::If(condition, then, otherwise);
                        self.pass.after(self.function, &stmt);
                        stmt
                    }
                    Err(other) => other,
                }
            }
            Stmt::Loop { body, next, span } => {
                self.pass.enter(self.function, Around::Body(&body, &next));
                let body = self.inner(body);
                self.pass.enter(self.function, Around::Next(&body, &next));
                let next = self.inner(next);
                let stmt = Stmt::Loop { body, next, span };
                self.pass.after(self.function, &stmt);
                stmt
            }
            mut other => {
                for value in other.values_mut() {
                    *value = self.now(*value);
                }
                if matches!(other, Stmt::Call { .. }) {
                    self.pass.call();
                }
                other
            }
        };
        Some(Out::One(stmt))
    }
}

/// The replacement of a statement.
enum Out {
    One(Stmt),
    Many(Block),
}

/// Whether the end of a block is not reached.
fn ends(block: &[Stmt]) -> bool {
    matches!(block.last(), Some(Stmt::Break | Stmt::Continue | Stmt::Return(_)))
}

/// A constant instruction, made once for each value. Those that the function has are found when the first one is needed.
#[derive(Debug, Default)]
pub(crate) struct Constants(Option<FastMap<(Scalar, u64), Value>>);

impl Constants {
    fn of(function: &Function) -> FastMap<(Scalar, u64), Value> {
        let mut known = FastMap::default();
        let insts = &function.insts[..];
        let mut at = 0;
        while at < insts.len() {
            if let Inst { op: Op::Const, ty: Type::Scalar(scalar), imm, .. } = insts[at] {
                known.entry((scalar, imm)).or_insert(Value(at as u32));
            }
            at += 1;
        }
        known
    }

    /// The instruction for a constant.
    pub(crate) fn get(&mut self, function: &mut Function, scalar: Scalar, bits: u64) -> Value {
        let known = self.0.get_or_insert_with(|| Self::of(function));
        *known.entry((scalar, bits)).or_insert_with(|| {
            let span = Default::default();
            let ty = Type::Scalar(scalar);
            function.insts.push(Inst { op: Op::Const, ty, args: Args::NONE, imm: bits, span });
            Value(function.insts.len() as u32 - 1)
        })
    }
}
