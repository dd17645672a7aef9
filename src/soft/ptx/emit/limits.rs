//! Loops that end by themselves: they count up to a limit, and no loop is in them. They need not check whether the launch has to stop.

use std::collections::HashSet;

use crate::soft::ir::walk::{instructions, statements};
use crate::soft::ir::{Block, Function, Op, Scalar, Space, Stmt, Type, Value};

/// Whether a loop has 2^32 iterations at most, by its form: its test, which every iteration comes to, demands that a counter is below a
/// limit, and each iteration adds 1 to the counter.
pub(super) fn ends(function: &Function, body: &Block, next: &Block) -> bool {
    let all = || statements(body).chain(statements(next));
    if all().any(|stmt| matches!(stmt, Stmt::Loop { .. })) {
        return false;
    }
    let inside: HashSet<Value> = instructions(body).chain(instructions(next)).collect();
    let assigned: Vec<(Value, u64)> = inside
        .iter()
        .filter(|value| function.inst(**value).op == Op::Set)
        .map(|&value| (value, function.inst(value).imm))
        .collect();
    let continues = statements(body).any(|stmt| *stmt == Stmt::Continue);
    // Assignments that every iteration does.
    let always = |value: Value| {
        let has = |block: &Block| block.contains(&Stmt::Do(value));
        has(next) || !continues && has(body)
    };
    let counts = |variable: u64| {
        let mut sets = assigned.iter().filter(|set| set.1 == variable);
        let (Some(&(set, _)), None) = (sets.next(), sets.next()) else { return false };
        let sum = function.inst(function.inst(set).args[0]);
        let parts = |a: Value, b: Value| {
            let read = function.inst(a);
            let one = function.inst(b);
            read.op == Op::Get
                && read.imm == variable
                && inside.contains(&a)
                && one.op == Op::Const
                && one.imm & 0xffff_ffff == 1
        };
        let narrow = matches!(sum.ty, Type::Scalar(Scalar::I32 | Scalar::U32));
        let adds = sum.op == Op::Add
            && (parts(sum.args[0], sum.args[1]) || parts(sum.args[1], sum.args[0]));
        narrow && adds && always(set)
    };
    // A counter to which constants are added, up to a constant limit, both far from the largest number of its type. Each of
    // several assignments adds to what the variable is, or was before in the same iteration.
    let grows = |variable: u64| {
        let sets: Vec<Value> =
            assigned.iter().filter(|set| set.1 == variable).map(|set| set.0).collect();
        let adds = |set: Value| {
            let step = added(function, function.inst(set).args[0], variable, &inside);
            step.is_some_and(|step| (1..=MAX_CONSTANT / sets.len() as i64).contains(&step))
        };
        is_counter(function.variables[variable as usize].ty)
            && sets.iter().all(|&set| adds(set))
            && sets.iter().any(|&set| always(set))
    };
    let fixed = |value: Value| is_fixed(function, value, &inside, &assigned, 8);
    // The variable that a value is: one that was read before the loop is not what the counter is now.
    let read_here = |value: Value| {
        let inst = function.inst(value);
        (inst.op == Op::Get && inside.contains(&value)).then_some(inst.imm)
    };
    // Whether a comparison, or its opposite, says that a counter is below a limit.
    let below = |value: Value, truth: bool| {
        let inst = function.inst(value);
        let (counter, limit) = match (inst.op, truth) {
            (Op::Lt, true) => (inst.args[0], inst.args[1]),
            (Op::Le, false) => (inst.args[1], inst.args[0]),
            _ => return false,
        };
        let constant = function.constant_index(limit);
        if constant.is_some_and(|limit| (0..=MAX_CONSTANT).contains(&limit)) {
            let read = plain(function, counter);
            return read_here(read).is_some_and(grows);
        }
        read_here(counter).is_some_and(counts) && fixed(limit)
    };
    for stmt in body {
        match stmt {
            Stmt::If(condition, then, otherwise) => {
                let leaves = |block: &Block| block[..] == [Stmt::Break];
                // Whether the loop goes on where the condition holds.
                let onward = match (leaves(then), leaves(otherwise)) {
                    (true, false) => false,
                    (false, true) => true,
                    _ => false,
                };
                if (leaves(then) || leaves(otherwise))
                    && demands(function, *condition, onward, &below)
                {
                    return true;
                }
            }
            Stmt::Continue | Stmt::Loop { .. } => return false,
            _ => {}
        }
        if statements(std::slice::from_ref(stmt)).any(|stmt| *stmt == Stmt::Continue) {
            return false;
        }
    }
    false
}

/// Whether sums of two constants up to [`MAX_CONSTANT`] do not wrap in a type.
fn is_counter(ty: Type) -> bool {
    matches!(ty, Type::Scalar(scalar) if scalar.is_int() && (2..=4).contains(&scalar.bytes()))
}

/// The largest constant that a counter grows by or to: a sum of two of them, less one, has 15 bits.
const MAX_CONSTANT: i64 = 1 << 14;

/// The constant by which a value is more than a variable, read in the loop: a sum of that and constants that are not negative.
fn added(function: &Function, value: Value, variable: u64, inside: &HashSet<Value>) -> Option<i64> {
    let (mut value, mut step) = (plain(function, value), 0i64);
    loop {
        let inst = function.inst(value);
        if inst.op == Op::Get {
            return (inst.imm == variable && inside.contains(&value)).then_some(step);
        }
        if inst.op != Op::Add || !is_counter(inst.ty) {
            return None;
        }
        let [a, b] = [inst.args[0], inst.args[1]];
        let (rest, by) = match (function.constant_index(a), function.constant_index(b)) {
            (None, Some(by)) => (a, by),
            (Some(by), None) => (b, by),
            _ => return None,
        };
        if !(0..=MAX_CONSTANT).contains(&by) {
            return None;
        }
        (value, step) = (plain(function, rest), step + by);
    }
}

/// A value without the conversions of integers of 16 bits or more that it is the result of.
fn plain(function: &Function, mut value: Value) -> Value {
    let is_wide =
        |ty: Type| matches!(ty, Type::Scalar(scalar) if scalar.is_int() && scalar.bytes() >= 2);
    loop {
        let inst = function.inst(value);
        if inst.op != Op::Convert || !is_wide(inst.ty) || !is_wide(function.ty(inst.args[0])) {
            return value;
        }
        value = inst.args[0];
    }
}

/// Whether a value is the same in all iterations: it comes from before the loop, or from constant memory.
fn is_fixed(
    function: &Function,
    value: Value,
    inside: &HashSet<Value>,
    assigned: &[(Value, u64)],
    depth: u32,
) -> bool {
    let inst = function.inst(value);
    if !inside.contains(&value) {
        return true;
    }
    let steady = match inst.op {
        Op::Get => return !assigned.iter().any(|set| set.1 == inst.imm),
        Op::Load => function.ty(inst.args[0]).space() == Some(Space::Constant),
        Op::Field | Op::Index | Op::Convert | Op::Bitcast => true,
        _ => false,
    };
    let mut args = inst.args.iter();
    steady && depth > 0 && args.all(|&arg| is_fixed(function, arg, inside, assigned, depth - 1))
}

/// Whether a condition's being `truth` demands that `below` holds of a part of it.
fn demands(
    function: &Function,
    condition: Value,
    truth: bool,
    below: &dyn Fn(Value, bool) -> bool,
) -> bool {
    let inst = function.inst(condition);
    match (inst.op, truth) {
        (Op::Not, _) => demands(function, inst.args[0], !truth, below),
        (Op::And, true) | (Op::Or, false) => {
            demands(function, inst.args[0], truth, below)
                || demands(function, inst.args[1], truth, below)
        }
        _ => below(condition, truth),
    }
}
