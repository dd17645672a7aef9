//! Addresses that are affine in the number of a loop's iteration: base + Σ scale × index + bytes, where each index is
//! `start + iteration × step`, both sums of products of values from before the loop.
//!
//! The loop is *counted*: a test against a limit is the first way out of its body, and the counter, and whatever else goes
//! up evenly, is assigned once in every iteration. Sums and products of 32 bits wrap, so an index is what the formula says
//! modulo 2^32; the user checks that it does not leave the range at the first and at the last iteration, between which it
//! is monotone. The same works for statements without a loop, which are one iteration.

use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::sorted;
use crate::soft::sorted::SortedMap;

use crate::soft::ir::walk::{instructions, loops, outside_loops, statements_outside_loops};
use crate::soft::ir::{Address, Block, Function, Op, Scalar, Stmt, Type, Value, VarId};

/// A number that is there before the first iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Leaf {
    Value(Value),
    /// The value of a variable before the first iteration.
    Variable(VarId),
}

/// A sum of products of leaves: each product with its factor. It is computed modulo 2^32 or 2^64.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Poly(pub(crate) SortedMap<Vec<Leaf>, i64>);

/// Products of a sum, and leaves of a product, at most.
const MAX_PRODUCTS: usize = 8;
const MAX_LEAVES: usize = 4;
/// How deep sums are taken apart.
const MAX_DEPTH: u32 = 16;

impl Poly {
    pub(crate) fn constant(number: i64) -> Self {
        if number == 0 { Self::default() } else { Self::product(Vec::new(), number) }
    }

    fn leaf(leaf: Leaf) -> Self {
        Self::product(vec![leaf], 1)
    }

    fn product(leaves: Vec<Leaf>, factor: i64) -> Self {
        Self([(leaves, factor)].into_iter().collect())
    }

    /// The number, if it is known.
    pub(crate) fn as_constant(&self) -> Option<i64> {
        match self.0.len() {
            0 => Some(0),
            1 => self.0.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    fn plus(mut self, other: Self, factor: i64) -> Option<Self> {
        for (product, number) in other.0 {
            let sum = self.0.get_or_insert_with(product, || 0);
            *sum = sum.wrapping_add(number.wrapping_mul(factor));
        }
        self.0.retain(|_, number| *number != 0);
        (self.0.len() <= MAX_PRODUCTS).then_some(self)
    }

    fn times(&self, other: &Self) -> Option<Self> {
        let mut result = Self::default();
        for (a, x) in self.0.iter() {
            for (b, y) in other.0.iter() {
                let mut leaves = [&a[..], b].concat();
                sorted::sort(&mut leaves);
                if leaves.len() > MAX_LEAVES {
                    return None;
                }
                let product = Self::product(leaves, x.wrapping_mul(*y));
                result = result.plus(product, 1)?;
            }
        }
        Some(result)
    }
}

/// A number by the iteration: `start + iteration × step`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Linear {
    pub(crate) start: Poly,
    pub(crate) step: Poly,
}

impl Linear {
    fn fixed(start: Poly) -> Self {
        Self { start, step: Poly::default() }
    }

    fn plus(self, other: Self, factor: i64) -> Option<Self> {
        let start = self.start.plus(other.start, factor)?;
        Some(Self { start, step: self.step.plus(other.step, factor)? })
    }

    fn times(&self, other: &Self) -> Option<Self> {
        let zero = Poly::default();
        if self.step != zero && other.step != zero {
            return None;
        }
        let rising = self.step.times(&other.start)?.plus(self.start.times(&other.step)?, 1)?;
        Some(Self { start: self.start.times(&other.start)?, step: rising })
    }
}

/// An index of up to 32 bits, extended by the sign of its type, times a scale.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Term {
    pub(crate) linear: Linear,
    pub(crate) signed: bool,
    pub(crate) scale: i64,
}

/// Whether a number is between the negative of a limit and the limit. Unlike the absolute value this has no overflow.
pub(crate) fn is_within(number: i64, most: i64) -> bool {
    (-most..=most).contains(&number)
}

/// An address by the iteration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Affine {
    /// A pointer from before the first iteration, or an allocation.
    pub(crate) base: Value,
    pub(crate) terms: Vec<Term>,
    /// The part that is computed in 64 bits.
    pub(crate) wide: Linear,
    pub(crate) bytes: i64,
}

/// How often a loop repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The variable that is compared, before each iteration, with the limit.
    pub(crate) counter: VarId,
    pub(crate) limit: Value,
    /// The step of the counter after an iteration, a power of two; it is subtracted if the counter goes down.
    pub(crate) step: u64,
    pub(crate) down: bool,
    /// Whether there is an iteration with the limit itself.
    pub(crate) inclusive: bool,
}

/// The facts about the statements of a loop, or about statements without one.
#[derive(Debug)]
pub(crate) struct Stretch<'a> {
    function: &'a Function,
    /// The results of the statements.
    pub(crate) inside: FastSet<Value>,
    /// None without a loop.
    pub(crate) counted: Option<Counted>,
    /// Variables that are assigned somewhere inside.
    assigned: FastSet<VarId>,
    /// Those that go up by the same in each iteration.
    rising: FastMap<VarId, Poly>,
    /// Reads of those after they went up.
    late: FastSet<Value>,
    /// Accesses that no iteration does before the loop's test.
    tested: Vec<Value>,
}

impl Counted {
    /// How often a loop repeats unless a loop in it assigns the counter: inner loops are not visited, so that the estimates of
    /// all nested loops together take linear time.
    pub(crate) fn estimate(
        function: &Function,
        done: impl Fn(Value) -> bool,
        body: &Block,
        next: &Block,
    ) -> Option<Self> {
        Stretch::counted(function, done, body, next)?.0.counted
    }
}

impl<'a> Stretch<'a> {
    /// Statements that have no loops in them; what is `done` was computed before them, wherever it stands.
    pub(crate) fn of_statements(
        function: &'a Function,
        done: impl Fn(Value) -> bool,
        block: &[Stmt],
    ) -> Self {
        let mut stretch = Self::empty(function);
        stretch.look(&done, block);
        stretch.tested = accesses(function, block);
        stretch
    }

    /// A loop without other loops in it, if it is counted.
    pub(crate) fn of_loop(
        function: &'a Function,
        done: impl Fn(Value) -> bool,
        body: &Block,
        next: &Block,
    ) -> Option<Self> {
        debug_assert!(loops(body) + loops(next) == 0);
        let (mut stretch, at) = Self::counted(function, done, body, next)?;
        stretch.tested = accesses(function, &body[at + 1..]);
        stretch.tested.extend(accesses(function, next));
        Some(stretch)
    }

    /// A loop, and the position of its test, if it is counted as far as is known without the loops in it.
    fn counted(
        function: &'a Function,
        done: impl Fn(Value) -> bool,
        body: &Block,
        next: &Block,
    ) -> Option<(Self, usize)> {
        let mut stretch = Self::empty(function);
        stretch.look(&done, body);
        stretch.look(&done, next);
        stretch.find_rising(body, next);
        let at = body.iter().position(|stmt| !matches!(stmt, Stmt::Do(_)))?;
        let Stmt::If(condition, then, otherwise) = &body[at] else { return None };
        let leaves = |block: &Block| block[..] == [Stmt::Break];
        let negated = match (leaves(then), leaves(otherwise)) {
            (true, false) if otherwise.is_empty() => false,
            (false, true) if then.is_empty() => true,
            _ => return None,
        };
        stretch.counted = Some(stretch.count(*condition, negated)?);
        Some((stretch, at))
    }

    fn empty(function: &'a Function) -> Self {
        Self {
            function,
            inside: FastSet::default(),
            counted: None,
            assigned: FastSet::default(),
            rising: FastMap::default(),
            late: FastSet::default(),
            tested: Vec::new(),
        }
    }

    fn look(&mut self, done: &impl Fn(Value) -> bool, block: &[Stmt]) {
        for value in outside_loops(block).filter(|&value| !done(value)) {
            self.inside.insert(value);
            let inst = self.function.inst(value);
            if inst.op == Op::Set {
                self.assigned.insert(VarId(inst.imm as u32));
            }
        }
    }

    /// Accesses to memory that are done in an iteration after the test, so that they are in the counted ones.
    pub(crate) fn accesses(&self) -> &[Value] {
        &self.tested
    }

    /// Finds the variables that are assigned once, in each iteration, to themselves plus the same number.
    fn find_rising(&mut self, body: &Block, next: &Block) {
        let mut sets: FastMap<VarId, u32> = FastMap::default();
        for value in outside_loops(body).chain(outside_loops(next)) {
            let inst = self.function.inst(value);
            if inst.op == Op::Set {
                *sets.entry(VarId(inst.imm as u32)).or_default() += 1;
            }
        }
        // Lanes that continue skip what is after them in the body.
        let continues = statements_outside_loops(body).any(|stmt| *stmt == Stmt::Continue);
        let mut now = 0;
        let mut found = Vec::new();
        let mut reads: FastMap<VarId, Vec<(usize, Value)>> = FastMap::default();
        for (block, whole) in [(body, !continues), (next, true)] {
            for stmt in block {
                if let Stmt::Do(value) = stmt
                    && whole
                    && self.function.inst(*value).op == Op::Set
                {
                    found.push((*value, now));
                }
                for value in outside_loops(std::slice::from_ref(stmt)) {
                    let inst = self.function.inst(value);
                    if inst.op == Op::Get {
                        reads.entry(VarId(inst.imm as u32)).or_default().push((now, value));
                    }
                    now += 1;
                }
            }
        }
        for (set, at) in found {
            let id = VarId(self.function.inst(set).imm as u32);
            let reads = reads.get(&id).map(Vec::as_slice).unwrap_or_default();
            if sets[&id] != 1 {
                continue;
            }
            let (early, late) = reads.split_at(reads.partition_point(|&(read, _)| read < at));
            if let Some(step) = self.step_of(set, early) {
                self.rising.insert(id, step);
                self.late.extend(late.iter().map(|&(_, value)| value));
            }
        }
    }

    fn is_read(&self, value: Value, id: VarId) -> bool {
        let inst = self.function.inst(value);
        inst.op == Op::Get && inst.imm == u64::from(id.0)
    }

    /// The amount that an assignment adds to its variable, which one of the instructions before reads.
    fn step_of(&self, set: Value, before: &[(usize, Value)]) -> Option<Poly> {
        let sum = self.function.inst(set).args[0];
        let inst = self.function.inst(sum);
        let old = |value: Value| before.iter().any(|&(_, read)| read == value);
        let (by, factor) = match inst.op {
            Op::Add if old(inst.args[0]) => (inst.args[1], 1),
            Op::Add if old(inst.args[1]) => (inst.args[0], 1),
            Op::Sub if old(inst.args[0]) => (inst.args[1], -1),
            _ => return None,
        };
        let by = self.linear(by, 0)?;
        (by.step == Poly::default()).then_some(())?;
        Poly::default().plus(by.start, factor)
    }

    /// The loop's test as a limit of its iterations: it ends where `condition` holds, or where it does not.
    fn count(&self, condition: Value, negated: bool) -> Option<Counted> {
        let (mut condition, mut negated) = (condition, negated);
        while self.function.inst(condition).op == Op::Not {
            condition = self.function.inst(condition).args[0];
            negated = !negated;
        }
        let inst = self.function.inst(condition);
        let (a, b) = match inst.op {
            Op::Lt | Op::Le => (inst.args[0], inst.args[1]),
            _ => return None,
        };
        let counter = |value: Value| {
            let id = VarId(self.function.inst(value).imm as u32);
            let is_counter = self.inside.contains(&value)
                && self.is_read(value, id)
                && !self.late.contains(&value);
            (is_counter && self.rising.contains_key(&id)).then_some(id)
        };
        let fixed = |value: Value| !self.inside.contains(&value);
        let (counter, limit, first) = match (counter(a), counter(b)) {
            (Some(id), None) if fixed(b) => (id, b, true),
            (None, Some(id)) if fixed(a) => (id, a, false),
            _ => return None,
        };
        // Going on while the counter is below the limit, up to it, above it, or down to it.
        let strict = inst.op == Op::Lt;
        let (down, inclusive) = match (first, negated) {
            (true, true) => (false, !strict),
            (true, false) => (true, strict),
            (false, true) => (true, !strict),
            (false, false) => (false, strict),
        };
        let step = self.rising[&counter].as_constant()?;
        let step = match self.function.variables[counter.index()].ty {
            Type::Scalar(Scalar::I32 | Scalar::U32) => i64::from(step as i32),
            Type::Scalar(Scalar::I64 | Scalar::U64) => step,
            _ => return None,
        };
        let distance = step.unsigned_abs();
        let fits = distance.is_power_of_two() && distance < 1 << 16 && (step < 0) == down;
        fits.then_some(Counted { counter, limit, step: distance, down, inclusive })
    }

    /// A number of 32 or of 64 bits by the iteration, modulo that.
    fn linear(&self, value: Value, depth: u32) -> Option<Linear> {
        if depth > MAX_DEPTH {
            return None;
        }
        if let Some(number) = self.function.constant_index(value) {
            return Some(Linear::fixed(Poly::constant(number)));
        }
        let inst = self.function.inst(value);
        if !self.inside.contains(&value) {
            let is_number = matches!(inst.ty, Type::Scalar(scalar) if scalar.is_int() && scalar != Scalar::Bool);
            return is_number.then(|| Linear::fixed(Poly::leaf(Leaf::Value(value))));
        }
        let word = |ty: Type| matches!(ty, Type::Scalar(Scalar::I32 | Scalar::U32));
        let wide = matches!(inst.ty, Type::Scalar(Scalar::I64 | Scalar::U64));
        if !word(inst.ty) && !wide {
            return None;
        }
        let of = |index: usize| self.linear(inst.args[index], depth + 1);
        match inst.op {
            Op::Get => {
                let id = VarId(inst.imm as u32);
                let start = Poly::leaf(Leaf::Variable(id));
                if !self.assigned.contains(&id) {
                    return Some(Linear::fixed(start));
                }
                let step = self.rising.get(&id)?.clone();
                let start =
                    if self.late.contains(&value) { start.plus(step.clone(), 1)? } else { start };
                Some(Linear { start, step })
            }
            Op::Add => of(0)?.plus(of(1)?, 1),
            Op::Sub => of(0)?.plus(of(1)?, -1),
            Op::Mul => of(0)?.times(&of(1)?),
            Op::Shl => {
                let by = self.function.constant_index(inst.args[1])?;
                let by = by as u32 & if wide { 63 } else { 31 };
                Linear::default().plus(of(0)?, 1i64.wrapping_shl(by))
            }
            // The same bits.
            Op::Convert | Op::Bitcast if word(inst.ty) && word(self.function.ty(inst.args[0])) => {
                of(0)
            }
            Op::Convert | Op::Bitcast
                if wide
                    && matches!(
                        self.function.ty(inst.args[0]),
                        Type::Scalar(Scalar::I64 | Scalar::U64)
                    ) =>
            {
                of(0)
            }
            _ => None,
        }
    }

    /// The address of an access by the iteration.
    pub(crate) fn affine(&self, pointer: Value) -> Option<Affine> {
        let address = Address::of(self.function, pointer);
        let is_free = self.function.inst(address.base).op == Op::Allocation;
        if !is_free && self.inside.contains(&address.base) {
            return None;
        }
        let (base, bytes) = (address.base, address.bytes);
        let mut affine = Affine { base, terms: Vec::new(), wide: Linear::default(), bytes };
        for (index, scale) in address.terms {
            self.add(&mut affine, index, scale, 0)?;
        }
        sorted::sort(&mut affine.terms);
        Some(affine)
    }

    /// Adds an index times a scale. Only what is narrower than 64 bits is a term of its own, as it wraps by itself.
    fn add(&self, affine: &mut Affine, index: Value, scale: i64, depth: u32) -> Option<()> {
        let scalar = self.function.ty(index).scalar()?;
        if let Some(number) = self.function.constant_index(index) {
            affine.bytes = affine.bytes.wrapping_add(number.wrapping_mul(scale));
            return Some(());
        }
        if scalar.bytes() < 8 {
            let linear = self.linear(index, depth)?;
            affine.terms.push(Term { linear, signed: scalar.is_signed(), scale });
            return Some(());
        }
        if let Some(linear) = self.linear(index, depth) {
            affine.wide = std::mem::take(&mut affine.wide).plus(linear, scale)?;
            return Some(());
        }
        let inst = self.function.inst(index);
        let depth = depth + 1;
        if depth > MAX_DEPTH {
            return None;
        }
        let constant = |at: usize| self.function.constant_index(inst.args[at]);
        match inst.op {
            Op::Convert => {
                self.function.ty(inst.args[0]).scalar().filter(|from| from.is_int())?;
                self.add(affine, inst.args[0], scale, depth)
            }
            Op::Add => {
                self.add(affine, inst.args[0], scale, depth)?;
                self.add(affine, inst.args[1], scale, depth)
            }
            Op::Sub => {
                self.add(affine, inst.args[0], scale, depth)?;
                self.add(affine, inst.args[1], scale.wrapping_neg(), depth)
            }
            Op::Mul => match (constant(0), constant(1)) {
                (_, Some(by)) => self.add(affine, inst.args[0], scale.wrapping_mul(by), depth),
                (Some(by), _) => self.add(affine, inst.args[1], scale.wrapping_mul(by), depth),
                _ => None,
            },
            Op::Shl => {
                let by = constant(1)? as u32 & 63;
                self.add(affine, inst.args[0], scale.wrapping_shl(by), depth)
            }
            _ => None,
        }
    }
}

/// The loads and stores of a block, in order.
fn accesses(function: &Function, block: &[Stmt]) -> Vec<Value> {
    let is_access = |value: &Value| matches!(function.inst(*value).op, Op::Load | Op::Store);
    instructions(block).filter(is_access).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{AllocationId, FunctionBuilder, Space};

    /// `for (k = 0; …; k += step) load a[k * n + 3]`; the test is made of the counter and the limit.
    fn repeat(
        ty: Type,
        step: i64,
        test: impl Fn(&mut FunctionBuilder, Value, Value) -> Value,
    ) -> (Function, [Value; 3]) {
        let mut b = FunctionBuilder::new("k", vec![], Type::Void);
        let (a, p) = (
            b.allocation(AllocationId(0), Space::Device),
            b.allocation(AllocationId(1), Space::Device),
        );
        let (n, q) = (b.load(p, ty), b.field(p, 8));
        let limit = b.load(q, ty);
        let k = b.variable("k", ty);
        let scalar = ty.scalar().unwrap();
        let (zero, three) = (b.constant(scalar, 0), b.constant(scalar, 3));
        b.set(k, zero);
        b.begin_loop();
        let now = b.get(k);
        let done = test(&mut b, now, limit);
        b.break_if(done);
        let now = b.get(k);
        let row = b.op(Op::Mul, &[now, n]);
        let at = b.add(row, three);
        let pointer = b.index(a, at, 4);
        b.load(pointer, Type::U32);
        b.begin_next();
        let now = b.get(k);
        let by = b.constant(scalar, (step as u32).into());
        let next = b.add(now, by);
        b.set(k, next);
        b.end_loop();
        (b.finish(), [pointer, n, limit])
    }

    fn stretch(function: &Function) -> Option<Stretch<'_>> {
        function.body.iter().find_map(|stmt| match stmt {
            Stmt::Loop { body, next, .. } => Stretch::of_loop(function, |_| false, body, next),
            _ => None,
        })
    }

    #[test]
    fn loops_inside_each_other_are_estimated_in_linear_time() {
        let mut b = FunctionBuilder::new("f", vec![Type::U32], Type::Void);
        let (n, zero, one) = (b.param(0), b.u32(0), b.u32(1));
        let counters: Vec<VarId> = (0..50).map(|_| b.variable("k", Type::U32)).collect();
        for &k in &counters {
            b.set(k, zero);
            b.begin_loop();
            let now = b.get(k);
            let done = b.op(Op::Le, &[n, now]);
            b.break_if(done);
        }
        for &k in counters.iter().rev() {
            b.begin_next();
            let now = b.get(k);
            let next = b.add(now, one);
            b.set(k, next);
            b.end_loop();
        }
        let function = b.finish();
        let seen = std::cell::Cell::new(0);
        let done = |_| {
            seen.set(seen.get() + 1);
            false
        };
        let mut found = 0;
        for stmt in crate::soft::ir::walk::statements(&function.body) {
            if let Stmt::Loop { body, next, .. } = stmt {
                let counted = Counted::estimate(&function, done, body, next);
                assert_eq!(counted.map(|counted| (counted.limit, counted.step)), Some((n, 1)));
                found += 1;
            }
        }
        assert_eq!(found, counters.len());
        assert!(seen.get() <= function.insts.len(), "{} looks", seen.get());
    }

    #[test]
    fn loops_are_counted_whichever_way_the_test_is_written() {
        let not = |b: &mut FunctionBuilder, value| b.op(Op::Not, &[value]);
        type Test<'a> = &'a dyn Fn(&mut FunctionBuilder, Value, Value) -> Value;
        let cases: [(Test<'_>, i64, bool, bool); 6] = [
            (&|b, k, n| b.op(Op::Le, &[n, k]), 1, false, false),
            (
                &|b, k, n| {
                    let less = b.lt(k, n);
                    not(b, less)
                },
                4,
                false,
                false,
            ),
            (&|b, k, n| b.lt(n, k), 2, false, true),
            (&|b, k, n| b.op(Op::Le, &[k, n]), -1, true, false),
            (&|b, k, n| b.lt(k, n), -2, true, true),
            (
                &|b, k, n| {
                    let less = b.op(Op::Le, &[n, k]);
                    not(b, less)
                },
                -8,
                true,
                true,
            ),
        ];
        for (number, (test, step, down, inclusive)) in cases.into_iter().enumerate() {
            let (function, [pointer, n, limit]) = repeat(Type::I32, step, test);
            let stretch = stretch(&function).unwrap_or_else(|| panic!("case {number}"));
            let counted = stretch.counted.unwrap();
            let found = (counted.limit, counted.step, counted.down, counted.inclusive);
            assert_eq!(found, (limit, step.unsigned_abs(), down, inclusive), "case {number}");
            let affine = stretch.affine(pointer).unwrap();
            let [term] = &affine.terms[..] else { panic!("case {number}: {affine:?}") };
            let step = Poly::product(vec![Leaf::Value(n)], step);
            assert_eq!(term.linear.step, step, "case {number}");
            assert_eq!(stretch.accesses().len(), 1);
        }
    }

    #[test]
    fn loops_that_step_away_from_their_limit_or_never_reach_it_are_not_counted() {
        let (function, _) = repeat(Type::U32, -1, |b, k, n| b.op(Op::Le, &[n, k]));
        assert!(stretch(&function).is_none());
        let (function, _) = repeat(Type::U32, 3, |b, k, n| b.op(Op::Le, &[n, k]));
        assert!(stretch(&function).is_none());
        let (function, _) = repeat(Type::U32, 1, |b, k, n| b.op(Op::Eq, &[n, k]));
        assert!(stretch(&function).is_none());
        // The limit changes with the counter.
        let (function, _) = repeat(Type::U32, 1, |b, k, _| b.op(Op::Le, &[k, k]));
        assert!(stretch(&function).is_none());
    }
}
