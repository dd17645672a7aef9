//! Common subexpressions: a pure operation on the same operands is computed once, and memory that was not
//! written in between is read once. Operands of commutative operations are put in order first.

use crate::soft::ir::hash::FastMap;
use crate::soft::ir::walk::statements;

use super::rewrite::{Around, Change, Rewrite, rewrite};
use crate::soft::ir::{Block, Effect, Function, Inst, Op, Space, Span, Stmt, Type, Value};

/// Merges in a function.
pub(crate) fn run(function: &mut Function) {
    let (known, open, before) = (FastMap::default(), Vec::new(), Vec::new());
    rewrite(function, &mut Common { known, open, before, writes: 0 });
}

/// A value, and for reads of memory the number of writes before it.
type Known = (Value, u32);

struct Common {
    /// A computation.
    known: FastMap<Inst, Known>,
    /// Where the additions of each open block begin.
    open: Vec<usize>,
    /// The entries that the open blocks added, with the entries that they replaced.
    before: Vec<(Inst, Option<Known>)>,
    /// Writes to memory so far, in the order of the tree.
    writes: u32,
}

/// Whether a block may write memory.
fn writes(function: &Function, block: &Block) -> bool {
    statements(block).any(|stmt| match stmt {
        Stmt::Do(value) => changes_memory(function.inst(*value)),
        Stmt::Call { .. } => true,
        _ => false,
    })
}

fn changes_memory(inst: &Inst) -> bool {
    match inst.op.row().effect {
        Effect::Writes => inst.op != Op::Set,
        Effect::Syncs => true,
        _ => false,
    }
}

impl Rewrite for Common {
    fn instruction(&mut self, function: &mut Function, value: Value) -> Change {
        let inst = &mut function.insts[value.index()];
        if changes_memory(inst) {
            self.writes += 1;
        }
        let load = inst.op == Op::Load;
        if inst.op.row().effect != Effect::Pure && !load {
            return Change::Keep;
        }
        if inst.op.commutes() && inst.args[1] < inst.args[0] {
            inst.args.swap(0, 1);
        }
        // The same loads may have been joined in different orders: the first reports.
        let imm = if load { inst.imm.min(1) } else { inst.imm };
        let key = Inst { span: Span::default(), imm, ..*inst };
        // `constant` memory does not change while a kernel runs (MSL 4.2).
        let lasts = !load || function.ty(key.args[0]) == Type::Pointer(Space::Constant);
        let now = if lasts { 0 } else { self.writes };
        if let Some(&(known, then)) = self.known.get(&key)
            && then == now
        {
            return Change::Replace(known);
        }
        let before = self.known.insert(key, (value, now));
        self.before.push((key, before));
        Change::Keep
    }

    fn call(&mut self) {
        self.writes += 1;
    }

    fn enter(&mut self, function: &Function, around: Around<'_>) {
        self.open.push(self.before.len());
        if let Around::Body(body, next) | Around::Next(body, next) = around
            && (writes(function, body) || writes(function, next))
        {
            // An earlier iteration may have written.
            self.writes += 1;
        }
    }

    fn leave(&mut self, _: &Function, _: bool) {
        let added = self.open.pop().expect("a block is open");
        for (key, before) in self.before.drain(added..).rev() {
            match before {
                Some(before) => self.known.insert(key, before),
                None => self.known.remove(&key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{AllocationId, FunctionBuilder, Input};

    #[test]
    fn equal_values_are_computed_once_where_they_are_visible() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 4);
        let x = b.input(Input::ThreadPositionInGrid, 0);
        let y = b.input(Input::ThreadPositionInGrid, 1);
        let (first, second) = (b.add(x, y), b.add(y, x));
        let less = b.lt(first, second);
        b.begin_if(less);
        let inside = b.mul(x, y);
        b.store(out, inside);
        b.end_if();
        let after = b.mul(x, y);
        b.store(out, after);
        let mut f = b.finish();
        run(&mut f);
        assert_eq!(*f.inst(less).args, [first, first]);
        assert!(f.body.contains(&Stmt::Do(after)));
    }

    #[test]
    fn memory_is_read_again_after_a_write() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let memory = b.allocation(AllocationId(0), Space::Device);
        let table = b.allocation(AllocationId(1), Space::Constant);
        let both = |b: &mut FunctionBuilder| {
            let (a, c) = (b.load(memory, Type::U32), b.load(table, Type::U32));
            b.add(a, c)
        };
        let (first, second) = (both(&mut b), both(&mut b));
        let sum = b.mul(first, second);
        b.store(memory, sum);
        let third = both(&mut b);
        b.begin_loop();
        let inside = both(&mut b);
        b.store(memory, inside);
        b.break_();
        b.end_loop();
        b.store(memory, third);
        let mut f = b.finish();
        run(&mut f);
        let text = f.to_string();
        assert_eq!(text.matches("load @0").count(), 3, "{text}");
        assert_eq!(text.matches("load @1").count(), 1, "{text}");
    }
}
