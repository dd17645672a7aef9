//! Proofs, at a launch, that no access of a kernel can be out of bounds; such a launch has code without checks. What the launch knows is the
//! grid, the lengths of memory, and the numbers that the command carries. From these follow intervals: of each number, and of
//! each pointer's offset from its allocation. A loop that counts up to a limit has as many iterations at most, and what it adds
//! to a variable in each is added as often.
//!
//! Whatever is not understood is a number of any size, or a pointer to anywhere, so that there is no proof.

use std::collections::HashSet;

use super::emit::{Root, SLACK, inline_offset};
use crate::soft::ir::walk::{instructions, statements};
use crate::soft::ir::{Block, Effect, Function, Input, Inst, Op, Scalar, Space, Stmt, Type, Value};

/// The most instructions that are looked at: a launch should not take long.
const MAX_STEPS: u32 = 1 << 14;

/// Memory that a launch binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Extent {
    pub(super) bytes: u64,
    pub(super) writable: bool,
}

/// The facts of a launch that its proofs start from.
pub(super) struct Known<'a> {
    pub(super) grid: [u32; 3],
    pub(super) group: [u32; 3],
    /// The memory of each allocation.
    pub(super) extents: &'a [Extent],
    /// For each allocation the bytes that the command carries in the kernel's parameter.
    pub(super) carried: &'a [Option<&'a [u8]>],
}

/// A fact about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Unknown,
    /// A number from the first to the last.
    Number(i128, i128),
    /// A pointer whose offset is from the first to the last.
    Pointer(Root, i128, i128),
}

impl Fact {
    /// The fact that holds for either of two values.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a, b), Self::Number(c, d)) => Self::Number(a.min(c), b.max(d)),
            (Self::Pointer(from, a, b), Self::Pointer(root, c, d)) if from == root => {
                Self::Pointer(root, a.min(c), b.max(d))
            }
            _ => Self::Unknown,
        }
    }

    /// The value after up to `times` additions of a number in an interval.
    fn repeated(self, (low, high): (i128, i128), times: i128) -> Self {
        let (down, up) = (low.min(0).checked_mul(times), high.max(0).checked_mul(times));
        down.zip(up).map_or(Self::Unknown, |by| self.plus(by))
    }

    /// The sum with a number in an interval; nothing is known of one that needs more than 127 bits.
    fn plus(self, (down, up): (i128, i128)) -> Self {
        let sum = |a: i128, b: i128| a.checked_add(down).zip(b.checked_add(up));
        match self {
            Self::Number(a, b) => sum(a, b).map(|(a, b)| Self::Number(a, b)),
            Self::Pointer(root, a, b) => sum(a, b).map(|(a, b)| Self::Pointer(root, a, b)),
            Self::Unknown => None,
        }
        .unwrap_or(Self::Unknown)
    }
}

/// The numbers of a type.
fn range(scalar: Scalar) -> (i128, i128) {
    let bits = 8 * scalar.bytes();
    match scalar.is_signed() {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    }
}

fn int(ty: Type) -> Option<Scalar> {
    match ty {
        Type::Scalar(scalar) if scalar.is_int() => Some(scalar),
        _ => None,
    }
}

/// A fact as one about a value of a type: a number that the type has not may be any.
fn of_type(ty: Type, fact: Fact) -> Fact {
    let Some(scalar) = int(ty) else {
        return match (ty, fact) {
            (Type::Pointer(_), Fact::Pointer(..)) => fact,
            _ => Fact::Unknown,
        };
    };
    let (least, most) = range(scalar);
    match fact {
        Fact::Number(low, high) if low <= high && low >= least && high <= most => fact,
        _ => Fact::Number(least, most),
    }
}

/// Whether there may be a proof for some launch: all memory is reached from arguments, and no access needs more than to be in bounds.
pub(super) fn is_possible(function: &Function) -> bool {
    let understood = |value: Value| {
        let inst = function.inst(value);
        let takes_pointer =
            inst.args.iter().any(|&arg| matches!(function.ty(arg), Type::Pointer(_)));
        let plain = matches!(
            inst.op,
            Op::Load | Op::Store | Op::MatrixLoad | Op::MatrixStore | Op::Index | Op::Field
        );
        plain || matches!(inst.op, Op::Select | Op::Set | Op::Get) || !takes_pointer
    };
    instructions(&function.body).count() < MAX_STEPS as usize
        && instructions(&function.body).all(understood)
        && !statements(&function.body).any(|stmt| matches!(stmt, Stmt::Call { .. }))
}

/// Whether no access of a launch can be out of bounds.
pub(super) fn holds(function: &Function, known: &Known<'_>) -> bool {
    let mut proof = Proof {
        function,
        known,
        values: vec![Fact::Unknown; function.insts.len()],
        variables: function.variables.iter().map(|one| of_type(one.ty, Fact::Unknown)).collect(),
        checks: true,
        holds: true,
        steps: 0,
    };
    for index in 0..function.insts.len() {
        if function.insts[index].op.is_free() {
            proof.values[index] = proof.result(&function.insts[index]);
        }
    }
    proof.block(&function.body);
    proof.holds && proof.steps < MAX_STEPS
}

/// The test of a loop that counts.
struct Test {
    counter: u64,
    limit: Value,
    inclusive: bool,
    step: i128,
    /// The types of the counter and of what it is converted to before it is compared.
    types: Vec<Scalar>,
}

struct Proof<'a> {
    function: &'a Function,
    known: &'a Known<'a>,
    values: Vec<Fact>,
    variables: Vec<Fact>,
    /// Whether accesses count: not where a loop is looked at for the first time.
    checks: bool,
    holds: bool,
    steps: u32,
}

impl Proof<'_> {
    fn of(&self, value: Value) -> Fact {
        self.values[value.index()]
    }

    fn number(&self, value: Value) -> Option<(i128, i128)> {
        match self.of(value) {
            Fact::Number(low, high) => Some((low, high)),
            _ => None,
        }
    }

    // --- Statements ----------------------------------------------------------------------------------

    /// Goes through a block. Whether its end is reached.
    fn block(&mut self, block: &[Stmt]) -> bool {
        let mut assumed = Vec::new();
        let mut ends = true;
        for stmt in block {
            if self.steps >= MAX_STEPS || !self.holds {
                break;
            }
            match stmt {
                Stmt::Do(value) => self.instruction(*value),
                Stmt::If(condition, then, other) => {
                    let before = self.variables.clone();
                    let way = |proof: &mut Self, block: &Block, truth: bool| {
                        proof.variables.clone_from(&before);
                        let mut assumed = Vec::new();
                        let may_be = proof.assume(*condition, truth, &mut assumed);
                        let ends = may_be && proof.block(block);
                        proof.forget(assumed);
                        (ends, proof.variables.clone())
                    };
                    let (yes, no) = (way(self, then, true), way(self, other, false));
                    self.variables = match (yes, no) {
                        ((true, yes), (true, no)) => {
                            yes.into_iter().zip(no).map(|(yes, no)| yes.or(no)).collect()
                        }
                        ((true, yes), _) => {
                            _ = self.assume(*condition, true, &mut assumed);
                            yes
                        }
                        (_, (true, no)) => {
                            _ = self.assume(*condition, false, &mut assumed);
                            no
                        }
                        _ => {
                            ends = false;
                            break;
                        }
                    };
                }
                Stmt::Loop { body, next, .. } => self.repeat(body, next),
                Stmt::Break | Stmt::Continue | Stmt::Return(_) => {
                    ends = false;
                    break;
                }
                Stmt::Call { .. } => self.holds = false,
            }
        }
        self.forget(assumed);
        ends
    }

    fn forget(&mut self, assumed: Vec<(Value, Fact)>) {
        for (value, fact) in assumed.into_iter().rev() {
            self.values[value.index()] = fact;
        }
    }

    /// Takes a condition for true or false: what is known without that is added to `assumed`. Whether it may be so.
    fn assume(&mut self, condition: Value, truth: bool, assumed: &mut Vec<(Value, Fact)>) -> bool {
        let inst = *self.function.inst(condition);
        match (inst.op, truth) {
            (Op::Not, _) => self.assume(inst.args[0], !truth, assumed),
            (Op::And, true) | (Op::Or, false) => {
                self.assume(inst.args[0], truth, assumed)
                    && self.assume(inst.args[1], truth, assumed)
            }
            (Op::Lt, true) => self.less(inst.args[0], inst.args[1], 1, assumed),
            (Op::Lt, false) => self.less(inst.args[1], inst.args[0], 0, assumed),
            (Op::Le, true) => self.less(inst.args[0], inst.args[1], 0, assumed),
            (Op::Le, false) => self.less(inst.args[1], inst.args[0], 1, assumed),
            _ => true,
        }
    }

    /// Takes a number for less than another, by at least `by`. Whether it may be.
    fn less(&mut self, a: Value, b: Value, by: i128, assumed: &mut Vec<(Value, Fact)>) -> bool {
        let (Some((low, high)), Some((least, most))) = (self.number(a), self.number(b)) else {
            return true;
        };
        if low > most - by {
            return false;
        }
        let (below, above) = ((low, high.min(most - by)), (least.max(low + by), most));
        for (value, (low, high)) in [(a, below), (b, above)] {
            assumed.push((value, self.of(value)));
            self.values[value.index()] = Fact::Number(low, high);
        }
        true
    }

    fn repeat(&mut self, body: &Block, next: &Block) {
        let function = self.function;
        let continues = statements(body).any(|stmt| *stmt == Stmt::Continue);
        let all = || instructions(body).chain(instructions(next));
        let inside: HashSet<Value> = all().collect();
        let sets: Vec<Value> = all().filter(|value| function.inst(*value).op == Op::Set).collect();
        let nested: HashSet<Value> =
            [body, next].into_iter().flat_map(|block| inner(block)).collect();
        let assigned: HashSet<u64> = sets.iter().map(|set| function.inst(*set).imm).collect();
        let before = self.variables.clone();
        // First with any values of what it assigns, so that what is added in each iteration is known.
        let checks = std::mem::replace(&mut self.checks, false);
        self.lose(&assigned);
        self.block(body);
        self.lose(&assigned);
        self.block(next);
        self.checks = checks;
        let test = self.test(body, &inside);
        let added = |variable: u64| {
            let mut own = sets.iter().filter(|set| function.inst(**set).imm == variable);
            let (Some(set), None) = (own.next(), own.next()) else { return None };
            if nested.contains(set) {
                None
            } else {
                self.sum(&inside, variable, function.inst(*set).args[0])
            }
        };
        // Whether every iteration that does not leave the loop assigns a variable.
        let always = |variable: u64| {
            let own = |set: &Value| function.inst(*set).imm == variable;
            let is_set = |stmt: &Stmt| sets.iter().any(|set| *stmt == Stmt::Do(*set) && own(set));
            next.iter().any(is_set) || !continues && body.iter().any(is_set)
        };
        let times = test.as_ref().and_then(|test| {
            let (Fact::Number(first, last), Some((_, limit))) =
                (before[test.counter as usize], self.number(test.limit))
            else {
                return None;
            };
            let end = limit + i128::from(test.inclusive);
            let times = if first < end { (end - first + test.step - 1) / test.step } else { 0 };
            // It does not wrap on the way, and what is compared is the same number.
            let past = last.max(end - 1) + test.step;
            let fits = |scalar: &Scalar| {
                let (least, most) = range(*scalar);
                first >= least && past <= most
            };
            let steps = added(test.counter) == Some((test.step, test.step)) && always(test.counter);
            (steps && test.types.iter().all(fits)).then_some((times, end))
        });
        let moved = |times: i128| -> Vec<(u64, Fact)> {
            let moved = |&variable: &u64| {
                let fact = before[variable as usize].repeated(added(variable)?, times);
                Some((variable, of_type(function.variables[variable as usize].ty, fact)))
            };
            assigned.iter().filter_map(moved).collect()
        };
        let (within, after) = match times {
            Some((times, _)) => (moved((times - 1).max(0)), moved(times)),
            None => (Vec::new(), Vec::new()),
        };
        self.variables = before;
        self.lose(&assigned);
        for (variable, fact) in within {
            self.variables[variable as usize] = fact;
        }
        if let (Some(test), Some((_, end))) = (&test, times)
            && let Fact::Number(low, high) = &mut self.variables[test.counter as usize]
        {
            *high = (*high).min(end - 1).max(*low);
        }
        if times.is_none_or(|(times, _)| times > 0) {
            if !self.block(body) || continues {
                self.lose(&assigned);
            }
            self.block(next);
        }
        self.lose(&assigned);
        for (variable, fact) in after {
            self.variables[variable as usize] = fact;
        }
    }

    /// Nothing is known of these variables.
    fn lose(&mut self, variables: &HashSet<u64>) {
        for &variable in variables {
            let ty = self.function.variables[variable as usize].ty;
            self.variables[variable as usize] = of_type(ty, Fact::Unknown);
        }
    }

    /// The test of a loop, if there is nothing before it that accesses memory: after the last iteration that is done once more.
    fn test(&self, body: &Block, inside: &HashSet<Value>) -> Option<Test> {
        let function = self.function;
        let at = body.iter().position(|stmt| !matches!(stmt, Stmt::Do(_)))?;
        let is_quiet = |value: Value| {
            let inst = function.inst(value);
            let carried = inst.op == Op::Load && self.carried(inst).is_some();
            carried || inst.op == Op::Get || inst.op.row().effect == Effect::Pure
        };
        let Stmt::If(condition, then, other) = &body[at] else { return None };
        let goes_on = match (&then[..], &other[..]) {
            ([Stmt::Break], _) => false,
            (_, [Stmt::Break]) => true,
            _ => return None,
        };
        if !instructions(&body[..at]).all(is_quiet) {
            return None;
        }
        let (mut condition, mut truth) = (function.inst(*condition), goes_on);
        while condition.op == Op::Not {
            (condition, truth) = (function.inst(condition.args[0]), !truth);
        }
        // The counter is less than the limit where the loop goes on.
        let (counter, limit, inclusive) = match (condition.op, truth) {
            (Op::Lt, true) => (condition.args[0], condition.args[1], false),
            (Op::Le, true) => (condition.args[0], condition.args[1], true),
            (Op::Lt, false) => (condition.args[1], condition.args[0], true),
            (Op::Le, false) => (condition.args[1], condition.args[0], false),
            _ => return None,
        };
        let mut types = vec![int(function.ty(counter))?];
        let mut read = counter;
        while function.inst(read).op == Op::Convert {
            read = function.inst(read).args[0];
            types.push(int(function.ty(read))?);
        }
        let get = function.inst(read);
        // An earlier read is not what the counter is now.
        if get.op != Op::Get || !body[..at].contains(&Stmt::Do(read)) {
            return None;
        }
        let sets = inside.iter().map(|value| function.inst(*value));
        let sets = sets.filter(|inst| inst.op == Op::Set && inst.imm == get.imm);
        let mut steps = sets.filter_map(|set| self.sum(inside, get.imm, set.args[0]));
        let (step, _) = steps.find(|(low, high)| low == high && *low > 0)?;
        Some(Test { counter: get.imm, limit, inclusive, step, types })
    }

    /// A value without the conversions of integers that it is the result of, if none of the types has fewer bytes. So the number
    /// differs by a multiple of the number of all values of a type with that many bytes.
    fn plain(&self, mut value: Value, bytes: u32) -> Value {
        let is_wide = |ty: Type| int(ty).is_some_and(|scalar| scalar.bytes() >= bytes);
        loop {
            let inst = self.function.inst(value);
            let converts = inst.op == Op::Convert
                && is_wide(inst.ty)
                && is_wide(self.function.ty(inst.args[0]));
            if !converts {
                return value;
            }
            value = inst.args[0];
        }
    }

    /// The limits of a number, if the value is its sum with a variable that is read `inside` the loop.
    fn sum(&self, inside: &HashSet<Value>, variable: u64, value: Value) -> Option<(i128, i128)> {
        let bytes = self.function.variables[variable as usize].ty.bytes();
        let inst = self.function.inst(self.plain(value, bytes));
        let is_own = |value: Value| {
            let read = self.plain(value, bytes);
            let inst = self.function.inst(read);
            inst.op == Op::Get && inst.imm == variable && inside.contains(&read)
        };
        let scaled = |(low, high): (i128, i128), by: i128| {
            let (low, high) = (low.checked_mul(by)?, high.checked_mul(by)?);
            Some((low.min(high), low.max(high)))
        };
        match inst.op {
            Op::Add if is_own(inst.args[0]) => self.number(inst.args[1]),
            Op::Add if is_own(inst.args[1]) => self.number(inst.args[0]),
            Op::Sub if is_own(inst.args[0]) => scaled(self.number(inst.args[1])?, -1),
            Op::Index if is_own(inst.args[0]) => {
                scaled(self.number(inst.args[1])?, i128::from(inst.imm as i64))
            }
            Op::Field if is_own(inst.args[0]) => Some((i128::from(inst.imm), i128::from(inst.imm))),
            _ => None,
        }
    }

    // --- Instructions --------------------------------------------------------------------------------

    fn instruction(&mut self, value: Value) {
        self.steps += 1;
        let inst = *self.function.inst(value);
        match inst.op {
            Op::Set => {
                let ty = self.function.variables[inst.imm as usize].ty;
                self.variables[inst.imm as usize] = of_type(ty, self.of(inst.args[0]));
            }
            Op::Load => self.access(inst.args[0], (0, i128::from(inst.ty.bytes())), false),
            Op::Store => {
                let bytes = self.function.ty(inst.args[1]).bytes();
                self.access(inst.args[0], (0, i128::from(bytes)), true);
            }
            Op::MatrixLoad | Op::MatrixStore => {
                let write = inst.op == Op::MatrixStore;
                let ty = if write { self.function.ty(inst.args[3]) } else { inst.ty };
                let bytes = i128::from(ty.scalar().map_or(4, Scalar::bytes));
                let mut extent = (0, bytes);
                for &step in &inst.args[1..3] {
                    let Some((low, high)) = self.number(step) else {
                        self.holds &= !self.checks;
                        return;
                    };
                    extent.0 += 7 * bytes * low.min(0);
                    extent.1 += 7 * bytes * high.max(0);
                }
                self.access(inst.args[0], extent, write);
            }
            _ => {}
        }
        self.values[value.index()] = self.result(&inst);
    }

    /// An access of bytes from one distance of a pointer to another.
    fn access(&mut self, pointer: Value, extent: (i128, i128), write: bool) {
        let fits = match self.of(pointer).plus(extent) {
            Fact::Pointer(Root::Allocation(number), first, last) => {
                let number = number as usize;
                let Extent { bytes, writable } = self.known.extents[number];
                let space = self.function.ty(pointer).space();
                let slack = space == Some(Space::Threadgroup) && !write;
                let end = i128::from(bytes) + if slack { i128::from(SLACK) } else { 0 };
                let carried = self.known.carried[number];
                let end = carried.map_or(end, |bytes| bytes.len() as i128);
                first >= 0 && last <= end && (writable && carried.is_none() || !write)
            }
            Fact::Pointer(Root::Local(number), first, last) => {
                let bytes = self.function.locals[number as usize].bytes;
                first >= 0 && last <= i128::from(bytes)
            }
            _ => false,
        };
        self.holds &= fits || !self.checks;
    }

    fn result(&self, inst: &Inst) -> Fact {
        let found = self.number_of(inst).unwrap_or(Fact::Unknown);
        of_type(inst.ty, found)
    }

    fn number_of(&self, inst: &Inst) -> Option<Fact> {
        let args = &inst.args[..];
        let a = || self.number(args[0]);
        let b = || self.number(args[1]);
        let number = |low: Option<i128>, high: Option<i128>| Some(Fact::Number(low?, high?));
        match inst.op {
            Op::Const => {
                let scalar = int(inst.ty)?;
                let number = match scalar.is_signed() {
                    true if scalar.bytes() < 8 => i128::from(inst.imm as u32 as i32),
                    true => i128::from(inst.imm as i64),
                    false => i128::from(inst.imm),
                };
                Some(Fact::Number(number, number))
            }
            Op::Input => self.input(inst.imm),
            Op::Allocation => Some(Fact::Pointer(Root::Allocation(inst.imm as u32), 0, 0)),
            Op::Local => Some(Fact::Pointer(Root::Local(inst.imm as u32), 0, 0)),
            Op::Get => Some(self.variables[inst.imm as usize]),
            Op::Load => self.carried(inst),
            Op::Select => Some(self.of(args[1]).or(self.of(args[2]))),
            Op::Convert => {
                int(self.function.ty(args[0]))?;
                Some(self.of(args[0]))
            }
            Op::Field => match self.of(args[0]) {
                from @ Fact::Pointer(..) => Some(from.plus((inst.imm.into(), inst.imm.into()))),
                _ => None,
            },
            Op::Index => {
                let (from @ Fact::Pointer(..), (first, last)) = (self.of(args[0]), b()?) else {
                    return None;
                };
                let by = i128::from(inst.imm as i64);
                let (first, last) = (first.checked_mul(by)?, last.checked_mul(by)?);
                Some(from.plus((first.min(last), first.max(last))))
            }
            _ => {
                // Textures and samplers are numbers without operands.
                args.first().and(int(inst.ty))?;
                let (low, high) = a()?;
                match inst.op {
                    Op::Neg => number(Some(-high), Some(-low)),
                    Op::Add => number(low.checked_add(b()?.0), high.checked_add(b()?.1)),
                    Op::Sub => number(low.checked_sub(b()?.1), high.checked_sub(b()?.0)),
                    Op::Mul => {
                        let (first, last) = b()?;
                        let all = [(low, first), (low, last), (high, first), (high, last)];
                        let all = all.map(|(a, b)| a.checked_mul(b));
                        // A product that has no 127 bits is less than all others.
                        number(all.into_iter().min()?, all.into_iter().max()?)
                    }
                    Op::Min => number(Some(low.min(b()?.0)), Some(high.min(b()?.1))),
                    Op::Max => number(Some(low.max(b()?.0)), Some(high.max(b()?.1))),
                    Op::Shl | Op::Shr => {
                        let (by, same) = b()?;
                        let bits = 8 * i128::from(int(inst.ty)?.bytes());
                        (by == same && (0..bits.min(32)).contains(&by)).then_some(())?;
                        match inst.op {
                            Op::Shl => number(low.checked_mul(1 << by), high.checked_mul(1 << by)),
                            _ => number(Some(low >> by), Some(high >> by)),
                        }
                    }
                    Op::And => {
                        let (first, last) = b()?;
                        // An operand that is not negative limits the result.
                        match (low >= 0, first >= 0) {
                            (true, true) => number(Some(0), Some(high.min(last))),
                            (true, false) => number(Some(0), Some(high)),
                            (false, true) => number(Some(0), Some(last)),
                            (false, false) => None,
                        }
                    }
                    Op::Or | Op::Xor => {
                        let (first, last) = b()?;
                        (low >= 0 && first >= 0).then_some(())?;
                        let most = (high.max(last) as u128 + 1).next_power_of_two() as i128 - 1;
                        let least = if inst.op == Op::Or { low.max(first) } else { 0 };
                        number(Some(least), Some(most))
                    }
                    Op::Div => {
                        let (first, last) = b()?;
                        (low >= 0 && first > 0).then_some(())?;
                        number(Some(low / last), Some(high / first))
                    }
                    Op::Rem => {
                        let (first, last) = b()?;
                        (low >= 0 && first > 0).then_some(())?;
                        match high < first {
                            true => number(Some(low), Some(high)),
                            false => number(Some(0), Some(high.min(last - 1))),
                        }
                    }
                    _ => None,
                }
            }
        }
    }

    /// A number that the command carries.
    fn carried(&self, inst: &Inst) -> Option<Fact> {
        let scalar = int(inst.ty)?;
        let (number, offset) = inline_offset(self.function, inst.args[0])?;
        let bytes = self.known.carried[number]?;
        let at = usize::try_from(offset?).ok()?;
        let size = scalar.bytes() as usize;
        let bytes = bytes.get(at..at + size)?;
        let bits = bytes.iter().rev().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let number = match scalar.is_signed() {
            true => i128::from((bits << (64 - 8 * size)) as i64 >> (64 - 8 * size)),
            false => i128::from(bits),
        };
        Some(Fact::Number(number, number))
    }

    fn input(&self, imm: u64) -> Option<Fact> {
        let (input, component) = Input::from_imm(imm)?;
        let d = component as usize;
        let Known { grid, group, .. } = *self.known;
        let threads: i128 = group.iter().map(|&size| i128::from(size)).product();
        let (grid, group) = (i128::from(*grid.get(d)?), i128::from(*group.get(d)?));
        let groups = (grid + group - 1) / group;
        let below = |count: i128| Some(Fact::Number(0, count.max(1) - 1));
        match input {
            Input::ThreadPositionInGrid => below(grid),
            Input::ThreadPositionInThreadgroup => below(group),
            Input::ThreadIndexInThreadgroup => below(threads),
            Input::ThreadIndexInSimdgroup => below(threads.min(32)),
            Input::ThreadIndexInQuadgroup => below(threads.min(4)),
            Input::QuadgroupIndexInThreadgroup => below((threads + 3) / 4),
            Input::SimdgroupIndexInThreadgroup => below((threads + 31) / 32),
            Input::ThreadgroupPositionInGrid => below(groups),
            Input::ThreadsPerGrid | Input::GridSize => Some(Fact::Number(grid, grid)),
            Input::ThreadsPerThreadgroup => Some(Fact::Number(1, group)),
            Input::DispatchThreadsPerThreadgroup => Some(Fact::Number(group, group)),
            Input::ThreadgroupsPerGrid => Some(Fact::Number(groups, groups)),
            Input::ThreadsPerSimdgroup => Some(Fact::Number(32, 32)),
            _ => None,
        }
    }
}

/// The instructions of the loops in a block.
fn inner(block: &[Stmt]) -> Vec<Value> {
    let of_stmt = |stmt: &Stmt| match stmt {
        Stmt::Loop { body, next, .. } => instructions(body).chain(instructions(next)).collect(),
        Stmt::If(_, then, other) => [inner(then), inner(other)].concat(),
        _ => Vec::new(),
    };
    block.iter().flat_map(of_stmt).collect()
}
