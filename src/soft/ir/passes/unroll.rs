//! Unrolling: a loop over a counter with few iterations, whose number is known, becomes straight-line code.
//!
//! A test that depends on more than the counter stays in each iteration.
//!
//! It pays by what it enables: indices become constants, so that local arrays can become variables, and the
//! counter disappears.

use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::ir::walk::{instructions, statements};

use crate::soft::ir::semantics::{convert, eval};
use crate::soft::ir::{
    Address, Args, Block, Effect, Function, Inst, Op, Rule, Scalar, Span, Stmt, Type, Value, VarId,
};

use super::rewrite::Constants;

/// Most iterations of a loop.
const MAX_ITERATIONS: usize = 32;
/// Most instructions that one loop may become.
const MAX_CODE: usize = 1024;
/// The same where the counter is an index of an array in thread memory: unrolled, that can become variables.
const MAX_CODE_FOR_ARRAYS: usize = 8192;
/// Instructions of the function after which no loop is unrolled any more.
const MAX_IN_ALL: usize = 1 << 16;
/// Operations between the counter and the test, at most.
const DEEPEST: u32 = 8;
/// How often the body of a partially unrolled loop is written.
const FACTOR: usize = 4;
/// The most iterations of a loop that is partially unrolled.
const MAX_PARTIAL_ITERATIONS: usize = 1 << 10;
/// The most statements of its body.
const MAX_PARTIAL_BODY: usize = 32;

/// Unrolls in a function without calls.
pub(crate) fn run(function: &mut Function) {
    let body = std::mem::take(&mut function.body);
    let constants = Constants::default();
    let mut pass = Unroll { function, constants, inside: FastSet::default() };
    let body = pass.block(body);
    pass.function.body = body;
}

/// Unrolls partially: the body of a short loop is written several times, and only the first copy tests the counter. This is for loops that
/// only compute, and whose test is of more than the counter. Loops that access memory take so long that one test less makes no difference.
pub(crate) fn partial(function: &mut Function) {
    let body = std::mem::take(&mut function.body);
    let constants = Constants::default();
    let mut pass = Unroll { function, constants, inside: FastSet::default() };
    let body = pass.partial_block(body);
    pass.function.body = body;
}

struct Unroll<'a> {
    function: &'a mut Function,
    constants: Constants,
    /// The instructions of the loop that is analysed. What was read before the loop is another value of the counter.
    inside: FastSet<Value>,
}

/// A loop that can be unrolled.
struct Counted {
    counter: VarId,
    /// The counter's bits in each iteration, and after the last.
    values: Vec<u64>,
    /// Statements before the test.
    test: usize,
    /// Whether it may end before the last iteration: its test is of more than the counter.
    may_leave: bool,
}

impl Unroll<'_> {
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for stmt in block {
            let stmt = stmt.map_blocks(|inner| self.block(inner));
            if let Stmt::Loop { body, next, span } = &stmt {
                self.inside = instructions(body).chain(instructions(next)).collect();
                if let Some(counted) = self.counted(&out, body, next) {
                    self.expand(&counted, body, next, *span, &mut out);
                    continue;
                }
            }
            out.push(stmt);
        }
        out
    }

    fn partial_block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for stmt in block {
            let mut stmt = stmt.map_blocks(|inner| self.partial_block(inner));
            if let Stmt::Loop { body, next, .. } = &mut stmt {
                self.inside = instructions(body).chain(instructions(next)).collect();
                if let Some(known) = self.tests_of_counter(&out, body, next) {
                    self.copy_body(&known, body, next);
                }
            }
            out.push(stmt);
        }
        out
    }

    /// Conditions of the counter alone that hold, or do not, in all iterations that a loop may have: those before its test, with their results. `None` if the loop cannot be partially unrolled.
    fn tests_of_counter(
        &self,
        before: &Block,
        body: &Block,
        next: &Block,
    ) -> Option<Vec<(Value, u64)>> {
        let function = &*self.function;
        let is_simple = |stmt: &Stmt| match *stmt {
            Stmt::Do(value) => {
                let op = function.inst(value).op;
                // A function of the library becomes many instructions.
                matches!(op, Op::Get | Op::Set)
                    || op.row().effect == Effect::Pure && !op.is_library()
            }
            _ => false,
        };
        let test = body.iter().take_while(|stmt| matches!(stmt, Stmt::Do(_))).count();
        let Some(Stmt::If(condition, then, otherwise)) = body.get(test) else { return None };
        let all = body[..test].iter().chain(&body[test + 1..]).chain(next);
        if then[..] != [Stmt::Break]
            || !otherwise.is_empty()
            || count(body) + count(next) > MAX_PARTIAL_BODY
            || !all.clone().all(is_simple)
        {
            return None;
        }
        let tests: Vec<Value> = instructions(&body[..test])
            .filter(|&value| function.ty(value) == Type::Scalar(Scalar::Bool))
            .collect();
        // The counter is assigned once in an iteration, after the test: what is before the test reads one value.
        next.iter().chain(&body[test + 1..]).find_map(|stmt| {
            let Stmt::Do(value) = *stmt else { return None };
            let inst = function.inst(value);
            let counter = VarId(inst.imm as u32);
            let is_counter = inst.op == Op::Set
                && assignments(function, body, counter) + assignments(function, next, counter) == 1;
            let counter = (is_counter.then_some(counter)?, self.initial(before, counter)?);
            self.same_results(&tests, *condition, counter, inst.args[0])
        })
    }

    /// The same, for a variable that may be the counter, and what it begins with.
    fn same_results(
        &self,
        tests: &[Value],
        condition: Value,
        (counter, mut now): (VarId, u64),
        step: Value,
    ) -> Option<Vec<(Value, u64)>> {
        let result = |test: Value, now: u64| self.value(test, counter, now, DEEPEST);
        let mut same: Vec<(Value, u64)> =
            tests.iter().filter_map(|&test| Some((test, result(test, now)?))).collect();
        for iterations in 0..=MAX_PARTIAL_ITERATIONS {
            if let Some(ends) = result(condition, now) {
                let whole = iterations != 0 && iterations.is_multiple_of(FACTOR);
                return (ends != 0 && whole && !same.is_empty()).then_some(same);
            }
            same.retain(|&(test, bits)| result(test, now) == Some(bits));
            if same.is_empty() {
                return None;
            }
            now = result(step, now)?;
        }
        None
    }

    /// Copies the body of a loop. In all copies but the first the results in `known` are constants.
    fn copy_body(&mut self, known: &[(Value, u64)], body: &mut Block, next: &mut Block) {
        let (first, step) = (std::mem::take(body), std::mem::take(next));
        for number in 0..FACTOR {
            let known = known.iter().filter(|_| number != 0).map(|&(value, bits)| {
                (value, self.constants.get(self.function, Scalar::Bool, bits))
            });
            let known = known.collect();
            let (function, map) = (&mut *self.function, FastMap::default());
            let mut copy = Copy { function, counter: None, known, map };
            body.extend(copy.block(first.clone()));
            let step = copy.block(step.clone());
            if number + 1 == FACTOR { *next = step } else { body.extend(step) }
        }
    }

    /// Analyses a loop that follows `before` in its block; `None` if it cannot be unrolled.
    fn counted(&self, before: &Block, body: &Block, next: &Block) -> Option<Counted> {
        let function = &*self.function;
        let test = body.iter().take_while(|stmt| matches!(stmt, Stmt::Do(_))).count();
        let Some(Stmt::If(condition, then, otherwise)) = body.get(test) else { return None };
        let ends = then[..] == [Stmt::Break] && otherwise.is_empty();
        let pure = body[..test].iter().all(|stmt| {
            matches!(stmt, Stmt::Do(value) if {
                let inst = function.inst(*value);
                inst.op == Op::Get || inst.op.row().effect == Effect::Pure
            })
        });
        if !ends || !pure || leaves(&body[test + 1..]) || leaves(next) {
            return None;
        }
        next.iter().enumerate().find_map(|(at, stmt)| {
            let Stmt::Do(value) = stmt else { return None };
            let inst = function.inst(*value);
            let counter = VarId(inst.imm as u32);
            // After the step, the rest of the iteration would read the next value.
            let fits = inst.op == Op::Set
                && !assigns(function, body, counter)
                && assignments(function, next, counter) == 1
                && !reads(function, &next[at..], counter);
            let step = *inst.args.first()?;
            fits.then(|| self.iterations(before, body, next, (counter, step), (*condition, test)))?
        })
    }

    /// The same, for a variable that may be the counter.
    fn iterations(
        &self,
        before: &Block,
        body: &Block,
        next: &Block,
        (counter, step): (VarId, Value),
        (condition, test): (Value, usize),
    ) -> Option<Counted> {
        let function = &*self.function;
        let mut now = self.initial(before, counter)?;
        let size = count(body) + count(next);
        let arrays = self.indexes_local(body, counter) || self.indexes_local(next, counter);
        let most = if arrays { MAX_CODE_FOR_ARRAYS } else { MAX_CODE };
        let mut values = vec![now];
        let mut may_leave = false;
        loop {
            match self.value(condition, counter, now, DEEPEST) {
                Some(0) => {}
                Some(_) => break,
                None if arrays => may_leave = true,
                None => return None,
            }
            now = self.value(step, counter, now, DEEPEST)?;
            values.push(now);
            let iterations = values.len() - 1;
            if iterations > MAX_ITERATIONS
                || iterations * size > most
                || function.insts.len() + iterations * size > MAX_IN_ALL
            {
                return None;
            }
        }
        Some(Counted { counter, values, test, may_leave })
    }

    /// Whether a block indexes thread memory by a value that depends on the counter.
    fn indexes_local(&self, block: &Block, counter: VarId) -> bool {
        instructions(block).map(|value| self.function.inst(value)).any(|inst| {
            inst.op == Op::Index
                && self.is_in_local(inst.args[0])
                && self.depends(inst.args[1], counter, DEEPEST)
        })
    }

    /// Whether a pointer is to a part of a local.
    fn is_in_local(&self, pointer: Value) -> bool {
        self.function.inst(Address::of(self.function, pointer).base).op == Op::Local
    }

    /// Whether a value depends on a variable by a short chain of operations.
    fn depends(&self, value: Value, variable: VarId, depth: u32) -> bool {
        let inst = self.function.inst(value);
        match inst.op {
            Op::Get => inst.imm == u64::from(variable.0),
            _ if depth == 0 || inst.op.row().effect != Effect::Pure => false,
            _ => inst.args.iter().any(|&arg| self.depends(arg, variable, depth - 1)),
        }
    }

    /// The constant that a variable holds after the statements of a block.
    fn initial(&self, before: &Block, counter: VarId) -> Option<u64> {
        for stmt in before.iter().rev() {
            match stmt {
                Stmt::Do(value) => {
                    let inst = self.function.inst(*value);
                    if inst.op == Op::Set && inst.imm == u64::from(counter.0) {
                        let from = self.function.inst(inst.args[0]);
                        return (from.op == Op::Const).then_some(from.imm);
                    }
                }
                Stmt::If(..) | Stmt::Loop { .. } => {
                    if stmt.blocks().iter().any(|b| assigns(self.function, b, counter)) {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        None
    }

    /// A value while the counter is `now`.
    fn value(&self, value: Value, counter: VarId, now: u64, depth: u32) -> Option<u64> {
        let inst = self.function.inst(value);
        match inst.op {
            Op::Const => return Some(inst.imm),
            Op::Get if inst.imm == u64::from(counter.0) => {
                return self.inside.contains(&value).then_some(now);
            }
            _ if depth == 0 || inst.op.row().effect != Effect::Pure => return None,
            _ => {}
        }
        let Type::Scalar(to) = inst.ty else { return None };
        if let (Op::And | Op::Or, Scalar::Bool) = (inst.op, to) {
            // One side may be enough.
            let sides = [0, 1].map(|k| self.value(inst.args[k], counter, now, depth - 1));
            let decides = u64::from(inst.op == Op::Or);
            return match sides {
                [Some(a), _] | [_, Some(a)] if (a != 0) == (decides != 0) => Some(decides),
                [Some(_), Some(_)] => Some(1 - decides),
                _ => None,
            };
        }
        let from = self.function.ty(*inst.args.first()?).scalar()?;
        let bits: Vec<u64> = inst
            .args
            .iter()
            .map(|&arg| self.value(arg, counter, now, depth - 1))
            .collect::<Option<_>>()?;
        match inst.op.row().rule {
            Rule::Convert => Some(convert(from, to, bits[0])),
            Rule::Same(..) | Rule::Compare(_) | Rule::Select if inst.args.len() < 4 => {
                eval(inst.op, from, &bits)
            }
            _ => None,
        }
    }

    fn expand(
        &mut self,
        counted: &Counted,
        body: &Block,
        next: &Block,
        span: Span,
        out: &mut Block,
    ) {
        let Some((&last, iterations)) = counted.values.split_last() else { return };
        let ty = self.function.variables[counted.counter.index()].ty;
        let Type::Scalar(scalar) = ty else { return };
        let mut straight = Block::new();
        for &now in iterations {
            let constant = self.constants.get(self.function, scalar, now);
            if counted.may_leave {
                self.assign(counted.counter, constant, &mut straight);
            }
            let mut copy = Copy {
                function: self.function,
                counter: Some((counted.counter, constant)),
                known: FastMap::default(),
                map: FastMap::default(),
            };
            let test = counted.test + usize::from(counted.may_leave);
            for part in [&body[..test], &body[counted.test + 1..], next] {
                straight.extend(copy.block(part.to_vec()));
            }
        }
        let constant = self.constants.get(self.function, scalar, last);
        self.assign(counted.counter, constant, &mut straight);
        if counted.may_leave {
            // A loop of one iteration: a lane that leaves one of the copies leaves them all.
            straight.push(Stmt::Break);
            out.push(Stmt::Loop { body: straight, next: Block::new(), span });
        } else {
            out.extend(straight);
        }
    }

    fn assign(&mut self, variable: VarId, value: Value, out: &mut Block) {
        let (imm, args, span) = (variable.0.into(), Args::new(&[value]), Span::default());
        self.function.put(Inst { op: Op::Set, ty: Type::Void, args, imm, span }, out);
    }
}

/// Whether a block breaks or continues the loop that it is part of.
fn leaves(block: &[Stmt]) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Break | Stmt::Continue => true,
        Stmt::If(_, a, b) => leaves(a) || leaves(b),
        _ => false,
    })
}

/// How often a block assigns a variable.
fn assignments(function: &Function, block: &[Stmt], variable: VarId) -> usize {
    uses(function, block, Op::Set, variable)
}

/// Whether a block reads a variable.
fn reads(function: &Function, block: &[Stmt], variable: VarId) -> bool {
    uses(function, block, Op::Get, variable) > 0
}

/// How often a block has an operation on a variable.
fn uses(function: &Function, block: &[Stmt], op: Op, variable: VarId) -> usize {
    let of = |inst: &Inst| inst.op == op && inst.imm == u64::from(variable.0);
    instructions(block).filter(|value| of(function.inst(*value))).count()
}

fn assigns(function: &Function, block: &[Stmt], variable: VarId) -> bool {
    assignments(function, block, variable) > 0
}

/// Statements in a block.
fn count(block: &Block) -> usize {
    statements(block).count()
}

/// Copies one iteration. The values in `known` become constants, and so does the counter where it is given.
struct Copy<'a> {
    function: &'a mut Function,
    counter: Option<(VarId, Value)>,
    known: FastMap<Value, Value>,
    map: FastMap<Value, Value>,
}

impl Copy<'_> {
    fn value(&self, value: Value) -> Value {
        self.map.get(&value).copied().unwrap_or(value)
    }

    /// Changes statements that are a copy already.
    fn block(&mut self, block: Block) -> Block {
        let mut out = Block::with_capacity(block.len());
        for mut stmt in block {
            let Stmt::Do(value) = stmt else {
                stmt.values_mut().iter_mut().for_each(|value| *value = self.value(*value));
                out.push(stmt.map_blocks(|inner| self.block(inner)));
                continue;
            };
            let mut inst = *self.function.inst(value);
            if let Some(&constant) = self.known.get(&value) {
                self.map.insert(value, constant);
                continue;
            }
            if let Some((counter, constant)) = self.counter
                && inst.imm == u64::from(counter.0)
            {
                if inst.op == Op::Get {
                    self.map.insert(value, constant);
                }
                if matches!(inst.op, Op::Get | Op::Set) {
                    continue;
                }
            }
            let mut args = inst.args;
            args.iter_mut().for_each(|arg| *arg = self.value(*arg));
            inst.args = args;
            let new = self.function.put(inst, &mut out);
            self.map.insert(value, new);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::FunctionBuilder;

    /// `for (i = 0; i < iterations; i++) array[i] = i`
    /// The end of a loop that adds a number to its counter.
    fn end_counting(b: &mut FunctionBuilder, counter: VarId, step: Value) {
        b.begin_next();
        let now = b.get(counter);
        let next = b.add(now, step);
        b.set(counter, next);
        b.end_loop();
    }

    fn counting(iterations: u32) -> Function {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let array = b.local("array", 256);
        let i = b.variable("i", Type::U32);
        let (zero, one, most) = (b.u32(0), b.u32(1), b.u32(iterations));
        b.set(i, zero);
        b.begin_loop();
        let now = b.get(i);
        let done = b.op(Op::Le, &[most, now]);
        b.break_if(done);
        let at = b.index(array, now, 4);
        b.store(at, now);
        end_counting(&mut b, i, one);
        b.finish()
    }

    #[test]
    fn few_iterations_become_straight_line_code() {
        let mut f = counting(3);
        run(&mut f);
        let text = f.to_string();
        assert!(!text.contains("loop"), "{text}");
        assert_eq!(text.matches("store").count(), 3, "{text}");
        assert!(text.contains("index +4, local0, 2u32"), "{text}");
        assert!(text.contains("set $0, 3u32"), "{text}");
    }

    #[test]
    fn many_iterations_stay_a_loop() {
        let mut f = counting(1000);
        run(&mut f);
        assert!(f.to_string().contains("loop"));
    }

    #[test]
    fn a_condition_beside_the_counter_is_tested_in_each_iteration() {
        // `for (i = 0; i < 3 && i < n; i++) array[i] = i`
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let array = b.local("array", 256);
        let (i, n) = (b.variable("i", Type::U32), b.variable("n", Type::U32));
        let (zero, one, most) = (b.u32(0), b.u32(1), b.u32(3));
        b.set(i, zero);
        b.begin_loop();
        let (now, end) = (b.get(i), b.get(n));
        let (less, inside) = (b.lt(now, most), b.lt(now, end));
        let goes_on = b.op(Op::And, &[less, inside]);
        let done = b.op(Op::Not, &[goes_on]);
        b.break_if(done);
        let at = b.index(array, now, 4);
        b.store(at, now);
        end_counting(&mut b, i, one);
        let mut f = b.finish();
        run(&mut f);
        let text = f.to_string();
        assert_eq!(text.matches("store").count(), 3, "{text}");
        assert_eq!(text.matches("break").count(), 4, "{text}");
        assert!(text.contains("index +4, local0, 2u32"), "{text}");
    }

    /// `for (i = 0; i < iterations && x <= limit; i += 2) x += x`, where the tested number is read before the loop if it is `old`.
    fn computing(iterations: u32, old: bool) -> Function {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let (i, x) = (b.variable("i", Type::U32), b.variable("x", Type::U32));
        let (zero, two, most, limit) = (b.u32(0), b.u32(2), b.u32(iterations), b.u32(100));
        let before = b.get(i);
        b.set(i, zero);
        b.begin_loop();
        let (now, number) = (b.get(i), b.get(x));
        let tested = if old { before } else { now };
        let (more, fits) = (b.lt(tested, most), b.op(Op::Le, &[number, limit]));
        let goes_on = b.op(Op::And, &[more, fits]);
        let done = b.op(Op::Not, &[goes_on]);
        b.break_if(done);
        let twice = b.add(number, number);
        b.set(x, twice);
        end_counting(&mut b, i, two);
        b.finish()
    }

    #[test]
    fn one_of_four_iterations_tests_the_counter() {
        for (iterations, old, copies) in [
            (8, false, 4),
            (7, false, 4),
            (5, false, 1),
            (4, false, 1),
            (0, false, 1),
            (8, true, 1),
        ] {
            let mut f = computing(iterations, old);
            partial(&mut f);
            let text = f.to_string();
            assert_eq!(text.matches("break").count(), copies, "{iterations}: {text}");
            assert_eq!(text.matches("le ").count(), copies, "{iterations}: {text}");
            assert_eq!(text.matches("lt ").count(), 1, "{iterations}: {text}");
        }
    }

    #[test]
    fn a_number_from_before_the_loop_is_no_counter() {
        for (old, whole) in [(false, false), (true, true)] {
            let mut b = FunctionBuilder::new("f", vec![], Type::Void);
            let i = b.variable("i", Type::U32);
            let (zero, one, most) = (b.u32(0), b.u32(1), b.u32(3));
            let before = b.get(i);
            b.set(i, zero);
            b.begin_loop();
            let now = b.get(i);
            let done = b.op(Op::Le, &[most, if old { before } else { now }]);
            b.break_if(done);
            end_counting(&mut b, i, one);
            let mut f = b.finish();
            run(&mut f);
            assert_eq!(f.to_string().contains("loop"), whole);
        }
    }

    #[test]
    fn loops_that_index_an_array_may_become_more_code() {
        for indexed in [true, false] {
            let mut b = FunctionBuilder::new("f", vec![], Type::Void);
            let array = b.local("array", 256);
            let (i, x) = (b.variable("i", Type::U32), b.variable("x", Type::U32));
            let (zero, one, most) = (b.u32(0), b.u32(1), b.u32(4));
            b.set(i, zero);
            b.begin_loop();
            let now = b.get(i);
            let done = b.op(Op::Le, &[most, now]);
            b.break_if(done);
            let at = b.index(array, if indexed { now } else { one }, 4);
            for _ in 0..MAX_CODE / 8 {
                let (read, old) = (b.load(at, Type::U32), b.get(x));
                let sum = b.add(read, old);
                b.set(x, sum);
            }
            end_counting(&mut b, i, one);
            let mut f = b.finish();
            run(&mut f);
            assert_eq!(!f.to_string().contains("loop"), indexed);
        }
    }
}
