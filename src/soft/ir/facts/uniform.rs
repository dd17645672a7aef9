//! Uniformity: finds the values and variables that are the same in all active lanes; one copy of them is
//! computed and stored for the whole SIMD-group.
//!
//! The analysis walks the tree and tracks the set of variables that may differ between the active lanes.
//! A variable assigned in a branch that only some lanes take differs after the `if`, and in the other
//! branch, which runs later. A variable assigned in a loop that lanes leave in different iterations differs
//! after the loop, but not in it. Results only change from uniform to varying, and the walk is repeated
//! until none changes.

use crate::soft::ir::walk::{loops, statements};
use crate::soft::ir::{Block, Function, Input, Inst, Op, Space, Stmt, Uniform, Value};

/// The result of the analysis.
#[derive(Debug)]
pub(crate) struct Uniformity {
    /// For each instruction, whether its value is uniform.
    pub(crate) values: Vec<bool>,
    /// For each variable, whether one copy is enough: all assigned values are uniform, and at each read, all
    /// active lanes have executed the same assignments.
    pub(crate) variables: Vec<bool>,
    /// For each loop, in the order in which they begin, whether lanes may leave it in different iterations.
    pub(crate) loops: Vec<Divergence>,
}

/// How the lanes in a loop may diverge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Divergence {
    /// Some break while others stay, or have already continued.
    pub(crate) breaks: bool,
    /// Some continue while others do not.
    pub(crate) continues: bool,
}

/// A set of variables. Most functions have few: their sets take no memory apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    /// The first 64.
    low: u64,
    /// Words of the others, up to the last that ever had a member.
    more: Vec<u64>,
}

impl Set {
    fn has(&self, variable: usize) -> bool {
        let word = match variable / 64 {
            0 => self.low,
            at => self.more.get(at - 1).copied().unwrap_or(0),
        };
        word >> (variable % 64) & 1 != 0
    }

    fn put(&mut self, variable: usize, member: bool) {
        let (at, bit) = (variable / 64, 1 << (variable % 64));
        if member && at > 0 {
            self.grow(at);
        }
        let word = match at {
            0 => &mut self.low,
            at if at <= self.more.len() => &mut self.more[at - 1],
            _ => return,
        };
        *word = if member { *word | bit } else { *word & !bit };
    }

    fn join(&mut self, other: &Self) {
        self.low |= other.low;
        self.grow(other.more.len());
        let (words, others) = (&mut self.more[..], &other.more[..]);
        let mut at = 0;
        while at < others.len() {
            words[at] |= others[at];
            at += 1;
        }
    }

    fn grow(&mut self, words: usize) {
        if self.more.len() < words {
            self.more.resize(words, 0);
        }
    }
}

/// A loop around the point of the walk.
struct LoopState {
    number: usize,
    /// The number of divergent `if`s between the loop and the point.
    parted: u32,
    /// Some lanes have continued: they wait at the end of the iteration.
    gone: bool,
    /// The variables that differ where lanes break, and where they continue; `None` if no lane does.
    broken: Option<Set>,
    continued: Option<Set>,
}

struct Walk<'a> {
    function: &'a Function,
    result: Uniformity,
    /// For each loop, the variables that may differ at the start of an iteration after the first.
    again: Vec<Option<Set>>,
    loops: Vec<LoopState>,
    begun: usize,
    changed: bool,
    /// The variables that the blocks walked since the innermost [`Walk::collect`] assign.
    assigned: Set,
}

/// Analyses a function, whose parameters, if any, count as varying.
pub(crate) fn analyse(function: &Function) -> Uniformity {
    analyse_called(function, &[])
}

/// Analyses a function with these parameters uniform.
pub(crate) fn analyse_called(function: &Function, uniform: &[bool]) -> Uniformity {
    let parameter = |inst: &Inst| uniform.get(inst.imm as usize).copied().unwrap_or(false);
    let loops = loops(&function.body);
    let mut walk = Walk {
        function,
        result: Uniformity {
            values: function
                .insts
                .iter()
                .map(|inst| inst.op != Op::Param || parameter(inst))
                .collect(),
            variables: vec![true; function.variables.len()],
            loops: vec![Divergence::default(); loops],
        },
        again: vec![None; loops],
        loops: Vec::new(),
        begun: 0,
        changed: true,
        assigned: Set::default(),
    };
    for (index, inst) in function.insts.iter().enumerate() {
        let varying = inst.op == Op::Input
            && Input::from_imm(inst.imm).is_none_or(|(input, _)| !input.is_uniform());
        if varying {
            walk.result.values[index] = false;
        }
    }
    while walk.changed {
        walk.changed = false;
        walk.begun = 0;
        walk.block(&function.body, Some(Set::default()));
    }
    walk.result
}

/// Analyses a kernel and the functions that it calls, callers first: a parameter is uniform if all calls pass uniform values.
pub(crate) fn analyse_all(functions: &[Function]) -> Vec<Uniformity> {
    let mut params: Vec<Vec<bool>> =
        functions.iter().map(|function| vec![true; function.params.len()]).collect();
    let mut found = Vec::with_capacity(functions.len());
    for (number, function) in functions.iter().enumerate() {
        let uniform = analyse_called(function, &params[number]);
        for stmt in statements(&function.body) {
            let Stmt::Call { func, args, .. } = stmt else { continue };
            for (param, arg) in params[func.index()].iter_mut().zip(args) {
                *param &= uniform.values[arg.index()];
            }
        }
        found.push(uniform);
    }
    found
}

/// Joins two control-flow paths; `None` is a path that no lane takes.
fn join(a: Option<Set>, b: Option<Set>) -> Option<Set> {
    match (a, b) {
        (Some(mut a), Some(b)) => {
            a.join(&b);
            Some(a)
        }
        (a, b) => a.or(b),
    }
}

impl Walk<'_> {
    fn uniform(&self, value: Value) -> bool {
        self.result.values[value.index()]
    }

    fn vary(&mut self, value: Value) {
        let uniform = &mut self.result.values[value.index()];
        self.changed |= *uniform;
        *uniform = false;
    }

    /// Walks a block. Takes the set of varying variables before it, and returns the set after it: `None` if no lane
    /// reaches its end.
    fn block(&mut self, block: &Block, mut state: Option<Set>) -> Option<Set> {
        for stmt in block {
            // Unreachable code is walked as well, so that its loops are counted.
            let here = state.take().unwrap_or_default();
            state = self.stmt(stmt, here);
        }
        state
    }

    /// Walks a block in the same way, and returns the variables that it assigns as well.
    fn collect(&mut self, block: &Block, state: Option<Set>) -> (Option<Set>, Set) {
        let outer = std::mem::take(&mut self.assigned);
        let after = self.block(block, state);
        let assigned = std::mem::replace(&mut self.assigned, outer);
        self.assigned.join(&assigned);
        (after, assigned)
    }

    fn stmt(&mut self, stmt: &Stmt, mut state: Set) -> Option<Set> {
        match stmt {
            Stmt::Do(value) => {
                self.instruction(*value, &mut state);
                Some(state)
            }
            Stmt::If(condition, then, otherwise) => self.branch(*condition, then, otherwise, state),
            Stmt::Loop { body, next, .. } => self.repeat(body, next, state),
            Stmt::Break | Stmt::Continue => {
                let inside = self.loops.last_mut()?;
                let parts = &mut self.result.loops[inside.number];
                let (flag, ways) = if *stmt == Stmt::Break {
                    (&mut parts.breaks, &mut inside.broken)
                } else {
                    (&mut parts.continues, &mut inside.continued)
                };
                let alone = *stmt == Stmt::Break && inside.gone;
                if (inside.parted > 0 || alone) && !*flag {
                    *flag = true;
                    self.changed = true;
                }
                inside.gone |= *stmt == Stmt::Continue && inside.parted > 0;
                *ways = join(ways.take(), Some(state));
                None
            }
            Stmt::Return(_) => None,
            Stmt::Call { result, .. } => {
                if let Some(result) = result {
                    self.vary(*result);
                }
                Some(state)
            }
        }
    }

    fn instruction(&mut self, value: Value, state: &mut Set) {
        let function = self.function;
        let inst = function.inst(value);
        let variable = inst.imm as usize;
        if let Op::Set = inst.op {
            let uniform = self.uniform(inst.args[0]);
            if !uniform && self.result.variables[variable] {
                self.result.variables[variable] = false;
                self.changed = true;
            }
            state.put(variable, !uniform);
            self.assigned.put(variable, true);
            return;
        }
        let operands = || {
            let uniform = &self.result.values[..];
            for &arg in &inst.args[..] {
                if !uniform[arg.index()] {
                    return false;
                }
            }
            true
        };
        let uniform = match inst.op.row().uniform {
            Uniform::Always => true,
            Uniform::Never => false,
            Uniform::IfOperands | Uniform::ByInput => operands(),
            Uniform::IfFirst => self.uniform(inst.args[0]),
            Uniform::IfWhole => inst.imm == 32 || operands() && inst.op.is_idempotent(),
            Uniform::ByMemory => {
                let thread = self.function.ty(inst.args[0]).space() == Some(Space::Thread);
                operands() && !thread
            }
            Uniform::ByVariable => {
                if state.has(variable) && self.result.variables[variable] {
                    self.result.variables[variable] = false;
                    self.changed = true;
                }
                self.result.variables[variable]
            }
        };
        if !uniform {
            self.vary(value);
        }
    }

    fn branch(
        &mut self,
        condition: Value,
        then: &Block,
        otherwise: &Block,
        state: Set,
    ) -> Option<Set> {
        let parts = !self.uniform(condition);
        let part = |walk: &mut Self, by: i32| {
            if parts && let Some(inside) = walk.loops.last_mut() {
                inside.parted = inside.parted.wrapping_add_signed(by);
            }
        };
        part(self, 1);
        let (after_then, in_then) = self.collect(then, Some(state.clone()));
        let mut before_else = state;
        if parts {
            before_else.join(&in_then);
        }
        let (after_else, in_else) = self.collect(otherwise, Some(before_else));
        part(self, -1);
        let (then_goes_on, else_goes_on) = (after_then.is_some(), after_else.is_some());
        let mut after = join(after_then, after_else)?;
        if parts && then_goes_on {
            after.join(&in_else);
            if else_goes_on {
                after.join(&in_then);
            }
        }
        Some(after)
    }

    fn repeat(&mut self, body: &Block, next: &Block, state: Set) -> Option<Set> {
        let number = self.begun;
        self.begun += 1;
        self.loops.push(LoopState {
            number,
            parted: 0,
            gone: false,
            broken: None,
            continued: None,
        });
        let start = join(Some(state), self.again[number].clone());
        let (end, in_body) = self.collect(body, start);
        let inside = self.loops.last_mut().expect("the loop is open");
        inside.gone = false;
        let mut at_next = join(end, inside.continued.take());
        if self.result.loops[number].continues
            && let Some(at_next) = &mut at_next
        {
            at_next.join(&in_body);
        }
        let reached = at_next.is_some();
        let (again, in_next) = self.collect(next, at_next);
        if reached && let Some(again) = again {
            let joined = join(self.again[number].clone(), Some(again));
            if joined != self.again[number] {
                self.again[number] = joined;
                self.changed = true;
            }
        }
        let inside = self.loops.pop().expect("the loop is open");
        let mut after = inside.broken?;
        if self.result.loops[number].breaks {
            after.join(&in_body);
            after.join(&in_next);
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{FunctionBuilder, Type};

    fn lane(b: &mut FunctionBuilder) -> Value {
        b.input(Input::ThreadPositionInGrid, 0)
    }

    #[test]
    fn counters_stay_uniform_where_lanes_leave_in_different_iterations() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (i, seen) = (b.variable("i", Type::U32), b.variable("seen", Type::U32));
        let (zero, one) = (b.u32(0), b.u32(1));
        b.set(i, zero);
        b.begin_loop();
        let inside = b.get(i);
        let x = lane(&mut b);
        let leaves = b.lt(x, inside);
        b.break_if(leaves);
        b.begin_next();
        let now = b.get(i);
        let more = b.add(now, one);
        b.set(i, more);
        b.end_loop();
        b.set(seen, zero);
        let mut f = b.finish();
        let result = analyse(&f);
        assert_eq!(result.loops, [Divergence { breaks: true, continues: false }]);
        assert!(result.values[inside.index()] && result.values[now.index()]);
        assert!(result.variables[i.index()]);

        // Read after the loop, it differs.
        let Some(Stmt::Do(set)) = f.body.last().cloned() else { panic!() };
        let get = Value(f.insts.len() as u32);
        f.insts.push(*f.inst(inside));
        f.insts[set.index()].args[0] = get;
        f.body.insert(f.body.len() - 1, Stmt::Do(get));
        let result = analyse(&f);
        assert!(!result.variables[i.index()] && !result.variables[seen.index()]);
    }

    #[test]
    fn variables_assigned_in_a_branch_vary_after_it() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let v = b.variable("v", Type::U32);
        let (zero, one) = (b.u32(0), b.u32(1));
        b.set(v, zero);
        let x = lane(&mut b);
        let some = b.lt(x, one);
        b.begin_if(some);
        b.set(v, one);
        let inside = b.get(v);
        b.end_if();
        let mut without = b;
        let after = without.get(v);
        let f = without.finish();
        let result = analyse(&f);
        assert!(!result.values[after.index()]);
        // One copy is not enough, so it is varying inside, too.
        assert!(!result.values[inside.index()] && !result.variables[v.index()]);
    }

    #[test]
    fn a_break_after_some_lanes_continued_is_divergent() {
        for continues in [false, true] {
            let mut b = FunctionBuilder::new("f", vec![], Type::Void);
            let one = b.u32(1);
            let x = lane(&mut b);
            let some = b.lt(x, one);
            b.begin_loop();
            b.begin_if(some);
            if continues {
                b.continue_();
            }
            b.end_if();
            b.break_();
            b.begin_next();
            b.end_loop();
            let parts = Divergence { breaks: continues, continues };
            assert_eq!(analyse(&b.finish()).loops, [parts]);
        }
    }

    #[test]
    fn assignments_by_lanes_that_left_earlier_vary() {
        // One branch assigns and leaves; the other branch, or the code after the `if`, reads.
        for (assigns_first, reads_inside) in [(true, true), (true, false), (false, false)] {
            let mut b = FunctionBuilder::new("f", vec![], Type::Void);
            let v = b.variable("v", Type::U32);
            let (zero, one) = (b.u32(0), b.u32(1));
            b.set(v, zero);
            let x = lane(&mut b);
            let some = b.lt(x, one);
            b.begin_if(some);
            if assigns_first {
                b.set(v, one);
                b.return_(None);
            }
            b.begin_else();
            if reads_inside {
                b.get(v);
            }
            if !assigns_first {
                b.set(v, one);
                b.return_(None);
            }
            b.end_if();
            if !reads_inside {
                b.get(v);
            }
            assert!(!analyse(&b.finish()).variables[v.index()]);
        }
    }

    #[test]
    fn lanes_that_left_are_ignored() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let v = b.variable("v", Type::U32);
        let one = b.u32(1);
        let x = lane(&mut b);
        let some = b.lt(x, one);
        b.begin_if(some);
        b.return_(None);
        b.end_if();
        b.set(v, one);
        let after = b.get(v);
        let result = analyse(&b.finish());
        assert!(result.values[after.index()] && result.variables[v.index()]);
    }

    #[test]
    fn a_value_carried_into_the_next_iteration_under_a_branch_varies() {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (v, w) = (b.variable("v", Type::U32), b.variable("w", Type::U32));
        let (zero, one) = (b.u32(0), b.u32(1));
        b.set(v, zero);
        b.begin_loop();
        let k = b.get(w);
        let x = lane(&mut b);
        let some = b.lt(x, k);
        b.begin_if(some);
        let read = b.get(v);
        b.set(v, one);
        b.end_if();
        let done = b.lt(one, k);
        b.break_if(done);
        b.end_loop();
        let result = analyse(&b.finish());
        assert!(!result.values[read.index()]);
        assert_eq!(result.loops, [Divergence::default()]);
    }
}
