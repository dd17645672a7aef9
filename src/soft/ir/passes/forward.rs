//! Forwarding: a read of a variable becomes the value that was assigned to it, if that is the same on every
//! path to the read. Variables that are assigned once become values, and their assignments are dead.

use crate::soft::ir::walk::statements;
use crate::soft::sorted;

use super::rewrite::{Around, Change, Rewrite, rewrite};
use crate::soft::ir::{Block, Function, Inst, Op, Stmt, Value};

/// Forwards in a function.
pub(crate) fn run(function: &mut Function) {
    let mut pass = Forward {
        known: vec![None; function.variables.len()],
        makers: vec![0; function.insts.len()],
        blocks: 0,
        open: Vec::new(),
        before: Vec::new(),
        loops: Vec::new(),
        ended: Vec::new(),
    };
    rewrite(function, &mut pass);
}

struct Forward {
    /// For each variable, the value that it is known to hold.
    known: Vec<Option<Value>>,
    /// The number of the block that each value is defined in.
    makers: Vec<u32>,
    /// How many blocks began.
    blocks: u32,
    open: Vec<Open>,
    /// The changes to `known` by the open blocks, with the values before them.
    before: Changes,
    /// The variables that each open loop assigns.
    loops: Vec<Vec<u32>>,
    /// For the blocks of the statement that is about to end: how they change what is known, if their ends are reached.
    ended: Vec<Option<Changes>>,
}

/// An open block: its number, and where its changes begin.
struct Open {
    number: u32,
    changes: usize,
}

/// Variables, and the values that they are known to hold.
type Changes = Vec<(u32, Option<Value>)>;

impl Forward {
    /// Changes the known value of a variable, until the block ends. Returns whether it is a change.
    fn learn(&mut self, variable: u32, value: Option<Value>) -> bool {
        let before = std::mem::replace(&mut self.known[variable as usize], value);
        if before != value {
            self.before.push((variable, before));
        }
        before != value
    }

    fn make(&mut self, value: Value) {
        self.makers[value.index()] = self.open.last().expect("a block is open").number;
    }

    /// Forgets the variables that the innermost open loop assigns.
    fn forget(&mut self) {
        let assigned = self.loops.pop().expect("a loop is open");
        assigned.iter().for_each(|&variable| _ = self.learn(variable, None));
        self.loops.push(assigned);
    }
}

/// The variables that blocks assign.
fn assigned(function: &Function, blocks: [&Block; 2]) -> Vec<u32> {
    let mut all = Vec::new();
    for stmt in blocks.into_iter().flat_map(|block| statements(block)) {
        if let Stmt::Do(value) = stmt
            && let Inst { op: Op::Set, imm, .. } = function.inst(*value)
        {
            all.push(*imm as u32);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

impl Rewrite for Forward {
    fn instruction(&mut self, function: &mut Function, value: Value) -> Change {
        let inst = *function.inst(value);
        let variable = inst.imm as u32;
        match inst.op {
            Op::Set => match self.learn(variable, Some(inst.args[0])) {
                true => Change::Keep,
                false => Change::Remove,
            },
            Op::Get => match self.known[variable as usize] {
                Some(known) => Change::Replace(known),
                None => {
                    self.learn(variable, Some(value));
                    self.make(value);
                    Change::Keep
                }
            },
            _ => {
                self.make(value);
                Change::Keep
            }
        }
    }

    fn enter(&mut self, function: &Function, around: Around<'_>) {
        self.blocks += 1;
        self.open.push(Open { number: self.blocks, changes: self.before.len() });
        match around {
            Around::Branch => {}
            // An earlier iteration may have assigned.
            Around::Body(body, next) => {
                self.loops.push(assigned(function, [body, next]));
                self.forget();
            }
            // A `continue` reaches it from anywhere in the body.
            Around::Next(..) => self.forget(),
        }
    }

    fn leave(&mut self, _: &Function, reached: bool) {
        let Open { number, changes } = self.open.pop().expect("a block is open");
        self.ended.push(reached.then(|| {
            // Values that the block made are not visible after it.
            let visible = |value: &Value| self.makers[value.index()] != number;
            let after = |&(variable, _): &(u32, _)| {
                (variable, self.known[variable as usize].filter(visible))
            };
            let mut after: Changes = self.before[changes..].iter().map(after).collect();
            sorted::sort_by_key(&mut after, |change| change.0);
            after.dedup();
            after
        }));
        for (variable, value) in self.before.drain(changes..).rev() {
            self.known[variable as usize] = value;
        }
    }

    fn after(&mut self, _: &Function, stmt: &Stmt) {
        let (second, first) = (self.ended.pop().flatten(), self.ended.pop().flatten());
        match stmt {
            Stmt::If(..) => match (first, second) {
                (Some(first), Some(second)) => {
                    for (these, others) in [(&first, &second), (&second, &first)] {
                        for &(variable, value) in these {
                            let other = others.binary_search_by_key(&variable, |change| change.0);
                            let other = match other {
                                Ok(at) => others[at].1,
                                Err(_) => self.known[variable as usize],
                            };
                            self.learn(variable, value.filter(|_| value == other));
                        }
                    }
                }
                // If neither end is reached, what follows is not reached either.
                (one, other) => {
                    for (variable, value) in one.or(other).unwrap_or_default() {
                        self.learn(variable, value);
                    }
                }
            },
            Stmt::Loop { .. } => {
                self.forget();
                self.loops.pop();
            }
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
