//! Variables that are assigned before they are read: another one may be anything where it is read, whatever is assigned to it elsewhere.

use crate::soft::ir::{Function, Op, Stmt};

/// For each variable whether it is assigned on all ways to each read of it.
pub(super) fn before_reads(function: &Function) -> Vec<bool> {
    let count = function.variables.len();
    let mut walk = Walk { function, first: vec![true; count], left: None, ended: None };
    walk.block(&function.body, Some(vec![false; count]));
    walk.first
}

/// Whether each variable is assigned on all ways to a place; `None` if there is no way.
type Assigned = Option<Vec<bool>>;

/// The variables that are assigned where two paths meet.
fn both(a: Assigned, b: Assigned) -> Assigned {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(&a, b)| a && b).collect()),
        (a, b) => a.or(b),
    }
}

struct Walk<'a> {
    function: &'a Function,
    first: Vec<bool>,
    /// The variables that are assigned where the innermost loop is left, and where one of its iterations ends.
    left: Assigned,
    ended: Assigned,
}

impl Walk<'_> {
    /// Goes through a block; what is assigned at its end.
    fn block(&mut self, block: &[Stmt], mut assigned: Assigned) -> Assigned {
        for stmt in block {
            let here = assigned.as_mut()?;
            match stmt {
                Stmt::Do(value) => {
                    let inst = self.function.inst(*value);
                    let variable = inst.imm as usize;
                    match inst.op {
                        Op::Set => here[variable] = true,
                        Op::Get => self.first[variable] &= here[variable],
                        _ => {}
                    }
                }
                Stmt::If(_, then, other) => {
                    let yes = self.block(then, assigned.clone());
                    assigned = both(yes, self.block(other, assigned));
                }
                Stmt::Loop { body, next, .. } => {
                    let outer = (self.left.take(), self.ended.take());
                    let end = self.block(body, assigned);
                    let end = both(end, self.ended.take());
                    self.block(next, end);
                    assigned = self.left.take();
                    (self.left, self.ended) = outer;
                }
                Stmt::Break => {
                    self.left = both(self.left.take(), assigned);
                    return None;
                }
                Stmt::Continue => {
                    self.ended = both(self.ended.take(), assigned);
                    return None;
                }
                Stmt::Return(_) => return None,
                Stmt::Call { .. } => {}
            }
        }
        assigned
    }
}
