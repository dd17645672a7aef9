//! Common subexpressions: a pure operation on the same operands is computed once. Constants are made one,
//! and operands of commutative operations are put in order first.

use std::collections::HashMap;

use super::rewrite::{Around, Change, Rewrite, rewrite};
use crate::soft::ir::{Effect, Function, Inst, Span, Value};

/// Merges in a function.
pub(crate) fn run(function: &mut Function) {
    rewrite(function, &mut Common { known: HashMap::new(), made: Vec::new() });
}

struct Common {
    known: HashMap<Inst, Value>,
    /// What each open block made known, to be forgotten at its end.
    made: Vec<Vec<Inst>>,
}

impl Rewrite for Common {
    fn instruction(&mut self, function: &mut Function, value: Value) -> Change {
        let inst = &mut function.insts[value.index()];
        if inst.op.row().effect != Effect::Pure {
            return Change::Keep;
        }
        if inst.op.commutes() && inst.args[1] < inst.args[0] {
            inst.args.swap(0, 1);
        }
        let key = Inst { span: Span::default(), ..*inst };
        if let Some(&known) = self.known.get(&key) {
            return Change::Replace(known);
        }
        self.known.insert(key, value);
        self.made.last_mut().expect("a block is open").push(key);
        Change::Keep
    }

    fn enter(&mut self, _: &Function, _: Around<'_>) {
        self.made.push(Vec::new());
    }

    fn leave(&mut self, _: &Function, _: bool) {
        for key in self.made.pop().expect("a block is open") {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input, Stmt, Type};

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
}
