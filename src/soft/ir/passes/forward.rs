//! Forwarding: a read of a variable becomes the value that was assigned to it, if that is the same on every
//! path to the read. Variables that are assigned once become values, and their assignments are dead.

use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::ir::walk::instructions;

use super::rewrite::{Around, Change, Rewrite, rewrite};
use crate::soft::ir::{Block, Function, Op, Stmt, Value};

/// Forwards in a function.
pub(crate) fn run(function: &mut Function) {
    let pass = &mut Forward { known: Known::default(), open: Vec::new(), ended: Vec::new() };
    rewrite(function, pass);
}

/// Variables and the values they are known to hold.
type Known = FastMap<u32, Value>;

struct Forward {
    known: Known,
    /// For each open block: the values known before it, and the values that it defined.
    open: Vec<Open>,
    /// For the blocks of the statement that is about to end: the values known at their ends, if those are reached.
    ended: Vec<Option<Known>>,
}

struct Open {
    before: Known,
    made: FastSet<Value>,
}

/// The variables that blocks assign.
fn assigned(function: &Function, blocks: [&Block; 2], found: &mut Vec<u32>) {
    let all = blocks.into_iter().flat_map(|block| instructions(block));
    let sets = all.map(|value| function.inst(value)).filter(|inst| inst.op == Op::Set);
    found.extend(sets.map(|inst| inst.imm as u32));
}

impl Forward {
    fn forget(&mut self, function: &Function, blocks: [&Block; 2]) {
        let mut found = Vec::new();
        assigned(function, blocks, &mut found);
        for variable in found {
            self.known.remove(&variable);
        }
    }
}

impl Rewrite for Forward {
    fn instruction(&mut self, function: &mut Function, value: Value) -> Change {
        let inst = *function.inst(value);
        let variable = inst.imm as u32;
        match inst.op {
            Op::Set => {
                let same = self.known.insert(variable, inst.args[0]) == Some(inst.args[0]);
                if same { Change::Remove } else { Change::Keep }
            }
            Op::Get => match self.known.get(&variable) {
                Some(&known) => Change::Replace(known),
                None => {
                    self.known.insert(variable, value);
                    self.open.last_mut().expect("a block is open").made.insert(value);
                    Change::Keep
                }
            },
            _ => {
                self.open.last_mut().expect("a block is open").made.insert(value);
                Change::Keep
            }
        }
    }

    fn enter(&mut self, function: &Function, around: Around<'_>) {
        self.open.push(Open { before: self.known.clone(), made: FastSet::default() });
        match around {
            Around::Branch => {}
            // An earlier iteration may have assigned, and a `continue` reaches the end from anywhere in the body.
            Around::Body(body, next) | Around::Next(body, next) => {
                self.forget(function, [body, next]);
            }
        }
    }

    fn leave(&mut self, _: &Function, reached: bool) {
        let open = self.open.pop().expect("a block is open");
        let mut after = std::mem::replace(&mut self.known, open.before);
        // What the block made is not visible after it.
        after.retain(|_, value| !open.made.contains(value));
        self.ended.push(reached.then_some(after));
    }

    fn after(&mut self, function: &Function, stmt: &Stmt) {
        let (second, first) = (self.ended.pop().flatten(), self.ended.pop().flatten());
        match stmt {
            Stmt::If(..) => {
                self.known = match (first, second) {
                    (Some(mut a), Some(b)) => {
                        a.retain(|variable, value| b.get(variable) == Some(value));
                        a
                    }
                    (a, b) => a.or(b).unwrap_or_default(),
                };
            }
            Stmt::Loop { body, next, .. } => self.forget(function, [body, next]),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Input, Type};

    #[test]
    fn variables_assigned_once_become_values() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 4);
        let (v, w) = (b.variable("v", Type::U32), b.variable("w", Type::U32));
        let x = b.input(Input::ThreadPositionInGrid, 0);
        let one = b.u32(1);
        b.set(v, x);
        b.set(w, one);
        let less = b.lt(x, one);
        b.begin_if(less);
        let read = b.get(v);
        b.set(w, read);
        b.end_if();
        let (once, twice) = (b.get(v), b.get(w));
        let sum = b.add(once, twice);
        b.store(out, sum);
        let mut f = b.finish();
        run(&mut f);
        super::super::dead::run(&mut f);
        let text = f.to_string();
        assert!(text.contains("set $1, thread_position_in_grid.x"), "{text}");
        assert!(text.contains("= get $1\n"), "{text}");
        assert!(!text.contains("$0,"), "{text}");
    }

    #[test]
    fn values_of_variables_that_a_loop_assigns_are_forgotten() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let out = b.local("out", 4);
        let (v, w) = (b.variable("v", Type::U32), b.variable("w", Type::U32));
        let (zero, one) = (b.u32(0), b.u32(1));
        b.set(v, zero);
        b.set(w, zero);
        b.begin_loop();
        let (read, other) = (b.get(v), b.get(w));
        let done = b.lt(one, read);
        b.break_if(done);
        let more = b.add(read, one);
        b.set(v, more);
        b.store(out, other);
        b.end_loop();
        let after = b.get(v);
        b.store(out, after);
        let mut f = b.finish();
        run(&mut f);
        let text = f.to_string();
        assert!(text.contains("store local0, 0u32"), "{text}");
        assert_eq!(text.matches("get $0").count(), 2, "{text}");
    }
}
