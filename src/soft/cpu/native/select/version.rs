//! Versions: statements are compiled twice, once without the checks of addresses that are affine in lane and iteration,
//! and once with all checks.
//!
//! The bounds of those addresses are checked ahead of the statements: at the first and at the last iteration, for all lanes of
//! the strip. If a check fails, there may still be no fault: the version with all checks runs and finds out.

use super::memory::{Target, span};
use super::{Forms, Selection};
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::plan::Kind;
use crate::soft::cpu::native::shape::{Start, Sum};
use crate::soft::ir::facts::affine::{
    Affine, Counted, Leaf, Linear, Poly, Stretch, Term, is_within,
};
use crate::soft::ir::hash::FastMap;
use crate::soft::ir::walk::{loops, statements};
use crate::soft::ir::{Block, Op, Scalar, Stmt, Value};

/// The address of an access whose bounds were checked ahead of its statements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    pub(super) base: Reg,
    /// The register that is added to it, and advanced in each iteration.
    pub(super) moving: Option<Reg>,
    pub(super) disp: i32,
}

/// How far an address moves in each iteration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Constant(i64),
    Register(Reg),
}

/// Accesses whose addresses differ by constants only.
struct Group {
    start: Start,
    affine: Affine,
    write: bool,
    /// The first byte that is accessed and the end of the last one, relative to the rest of the address.
    low: i64,
    high: i64,
    /// The smallest and largest constants that are added to the only index before it is scaled.
    least: i64,
    most: i64,
    /// The distance of the strip's last lane from its first, for each index.
    spans: Vec<i64>,
    /// Accesses and their offsets.
    members: Vec<(Value, i64)>,
}

/// The largest constant offset in bytes, and the largest factor of an index, so that 64-bit sums do not overflow.
const MAX_BYTES: i64 = 1 << 28;
const MAX_SCALE: i64 = 1 << 20;
/// The largest distance by which an address moves in an iteration.
const MAX_STEP: i64 = 1 << 32;
/// The largest number of iterations.
const MAX_TURNS: i64 = 1 << 31;
/// The largest constant that is moved out of an index.
const MAX_PART: i64 = 1 << 20;
/// The largest number of statements that are emitted twice.
const MAX_STATEMENTS: usize = 1 << 12;
/// The number of saved checks from which on two versions are worth it without a loop.
const WORTH: usize = 4;

impl Selection<'_> {
    /// A loop, in two versions if that saves checks.
    pub(super) fn repeat(&mut self, body: &Block, next: &Block) {
        let inner =
            statements(body).chain(statements(next)).any(|stmt| matches!(stmt, Stmt::Loop { .. }));
        let done = |value: Value| self.run.is_done(value);
        let stretch = if inner { None } else { Stretch::of_loop(self.function, done, body, next) };
        let groups = stretch.as_ref().map(|stretch| self.groups(stretch)).unwrap_or_default();
        let Some(stretch) = stretch.filter(|_| !groups.is_empty()) else {
            return self.repeat_once(body, next, &[]);
        };
        let (slow, end, begun) = (self.label(), self.label(), self.begun);
        let moving = self.check_ahead(&stretch, &groups, slow);
        self.repeat_once(body, next, &moving);
        self.emit(Ins::Jump(end));
        self.start_again(&stretch, slow, begun);
        self.repeat_once(body, next, &[]);
        self.emit(Ins::Label(end));
    }

    /// All statements of a run and the writes of its results, in two versions if that saves checks.
    pub(super) fn run_and_leave(&mut self, stmts: &[Stmt]) {
        let done = |value: Value| self.run.is_done(value);
        let stretch =
            (loops(stmts) == 0).then(|| Stretch::of_statements(self.function, done, stmts));
        let groups = stretch.as_ref().map(|stretch| self.groups(stretch)).unwrap_or_default();
        let saved: usize = groups.iter().map(|group| group.members.len() - 1).sum();
        if let Some(stretch) = stretch.filter(|_| saved >= WORTH) {
            let (slow, end, begun) = (self.label(), self.label(), self.begun);
            self.check_ahead(&stretch, &groups, slow);
            self.block(stmts);
            self.leave();
            self.emit(Ins::Jump(end));
            self.start_again(&stretch, slow, begun);
            self.block(stmts);
            self.leave();
            return self.emit(Ins::Label(end));
        }
        self.block(stmts);
        self.leave();
    }

    /// Begins the version with checks.
    fn start_again(&mut self, stretch: &Stretch<'_>, slow: Label, begun: usize) {
        self.emit(Ins::Label(slow));
        self.checked.clear();
        self.begun = begun;
        for &value in stretch.inside.iter() {
            // Values that were computed before the phase exist in both versions.
            if !self.is_ahead(value) {
                self.forms[value.index()] = Forms::default();
                self.forget_vector(value);
            }
        }
    }

    /// The accesses that can be checked before the statements.
    fn groups(&self, stretch: &Stretch<'_>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        if stretch.inside.len() > MAX_STATEMENTS
            || stretch.counted.is_some_and(|counted| !self.can_count(&counted))
        {
            return groups;
        }
        let mut numbers: FastMap<(Value, Vec<Term>, Linear, bool), usize> = FastMap::default();
        for &value in stretch.accesses() {
            let Some((group, key)) = self.group_of(stretch, value) else { continue };
            let number = *numbers.entry(key).or_insert_with(|| groups.len());
            match groups.get_mut(number) {
                None => groups.push(group),
                Some(known) => {
                    known.low = known.low.min(group.low);
                    known.high = known.high.max(group.high);
                    known.least = known.least.min(group.least);
                    known.most = known.most.max(group.most);
                    known.members.extend(group.members);
                }
            }
        }
        groups
    }

    /// One access as a group, and the key that members of a group share; `None` if it must be checked by itself.
    #[allow(clippy::type_complexity)] // A key is what it is.
    fn group_of(
        &self,
        stretch: &Stretch<'_>,
        value: Value,
    ) -> Option<(Group, (Value, Vec<Term>, Linear, bool))> {
        let inst = self.function.inst(value);
        let write = inst.op == Op::Store;
        if self.run.is_done(value)
            || self.kind(value) != Kind::Direct
            || !write && self.want[value.index()] == 0
        {
            return None;
        }
        let (start, sum) = self.address(inst.args[0])?;
        if start.is_thread() {
            return None;
        }
        let ty = if write { self.ty(inst.args[1]) } else { inst.ty };
        let (scalar, width) = (ty.scalar().unwrap_or(Scalar::U64), ty.width() as usize);
        let step = if sum.lanes.is_empty() { None } else { Some(self.step(&sum)?) };
        // A 64-bit lane is two of 32 bits.
        if write && self.overlaps(step, scalar, width) || step.is_some() && scalar.bytes() == 8 {
            return None;
        }
        let mut affine = stretch.affine(inst.args[0])?;
        if let Start::Pointer(pointer) = start {
            self.is_there(Leaf::Value(pointer)).then_some(())?;
        }
        let is_near = |term: &Term| term.scale != 0 && is_within(term.scale, MAX_SCALE);
        let is_small = is_within(affine.bytes, MAX_BYTES);
        (is_small && affine.terms.iter().all(is_near)).then_some(())?;
        let mut part = 0;
        if let [term] = &mut affine.terms[..] {
            let constant = term.linear.start.0.get(&Vec::new()).map_or(0, |&number| number as i32);
            if is_within(constant.into(), MAX_PART) {
                term.linear.start.0.remove(&Vec::new());
                part = i64::from(constant);
            }
        }
        let mut spans = Vec::new();
        let lanes = i64::from(self.strip.lanes * self.strip.parts);
        let mut rise = 0;
        for term in &affine.terms {
            let stride = self.stride(&term.linear)?;
            spans.push(stride * (lanes - 1));
            rise += stride * term.scale;
        }
        (self.stride(&affine.wide)? == 0 && rise == step.unwrap_or(0)).then_some(())?;
        if let Some(step) = step_of(&affine) {
            is_within(step, MAX_STEP - 1).then_some(())?;
        }
        let first = affine.bytes + part * affine.terms.first().map_or(0, |term| term.scale);
        is_within(first, MAX_BYTES).then_some(())?;
        let extent = self.extent(step, scalar, width, write) as i64;
        let key = (affine.base, affine.terms.clone(), affine.wide.clone(), write);
        let group = Group {
            start,
            affine,
            write,
            low: first,
            high: first + extent,
            least: part,
            most: part,
            spans,
            members: vec![(value, first)],
        };
        Some((group, key))
    }

    /// The step of an index from lane to lane, if all its terms are available.
    fn stride(&self, linear: &Linear) -> Option<i64> {
        let mut stride = 0i64;
        for &(ref product, factor) in linear.start.0.iter() {
            for &leaf in product {
                self.is_there(leaf).then_some(())?;
                let Leaf::Value(value) = leaf else { continue };
                let up = self.shapes.step(value)?;
                if up != 0 {
                    (product.len() == 1).then_some(())?;
                    stride += i64::from(up as i32).checked_mul(i64::from(factor as i32))?;
                }
            }
        }
        for &leaf in linear.step.0.keys().flatten() {
            let same = match leaf {
                Leaf::Value(value) => self.shapes.is_same(value),
                Leaf::Variable(_) => true,
            };
            (same && self.is_there(leaf)).then_some(())?;
        }
        (0..1 << 13).contains(&stride).then_some(stride)
    }

    /// Whether a number is available before the statements.
    fn is_there(&self, leaf: Leaf) -> bool {
        match leaf {
            Leaf::Variable(id) => self.variables.get(&id).is_some_and(|forms| forms.int.is_some()),
            Leaf::Value(value) => {
                // Ahead of all code, when they are first used.
                let made = [Op::Const, Op::Allocation, Op::Input];
                let made = made.contains(&self.function.inst(value).op);
                let forms = &self.forms[value.index()];
                let has_form = forms.int.is_some() || !forms.lanes.is_empty();
                let made = made || self.shapes.known(value).is_some();
                self.shapes.step(value).is_some()
                    && (made || has_form || self.run.entering.contains_key(&value))
            }
        }
    }

    fn can_count(&self, counted: &Counted) -> bool {
        let scalar = |value: Value| self.scalar(value);
        self.is_there(Leaf::Variable(counted.counter))
            && self.is_there(Leaf::Value(counted.limit))
            && self.shapes.is_same(counted.limit)
            && self.function.variables[counted.counter.index()].ty.scalar()
                == Some(scalar(counted.limit))
    }

    /// Whether lanes overlap, so that they must be written one after the other.
    pub(super) fn overlaps(&self, step: Option<i64>, scalar: Scalar, width: usize) -> bool {
        let total = i64::from(scalar.bytes()) * width as i64;
        step.is_some_and(|step| step < total)
    }

    /// The bytes from the first that a strip accesses to the last, if lanes are `step` bytes apart.
    pub(super) fn extent(
        &self,
        step: Option<i64>,
        scalar: Scalar,
        width: usize,
        write: bool,
    ) -> u64 {
        let size = u64::from(scalar.bytes());
        let total = size * width as u64;
        let contiguous = step == Some(total as i64) && width == 1;
        let last = if step.is_none() || contiguous { total } else { span(scalar, width, write) };
        let lanes = u64::from(self.strip.lanes * self.strip.parts);
        last + step.map_or(0, |step| step as u64 * (lanes - 1))
    }

    // --- Checks --------------------------------------------------------------------------------------

    /// Checks groups and records the addresses of their accesses. Returns the registers that move in each iteration, and
    /// how far.
    fn check_ahead(
        &mut self,
        stretch: &Stretch<'_>,
        groups: &[Group],
        slow: Label,
    ) -> Vec<(Reg, Step)> {
        let last = stretch.counted.map(|counted| self.last_iteration(&counted, slow));
        let mut moving: Vec<(Poly, Vec<Term>, Reg, Step)> = Vec::new();
        for group in groups {
            let (mut offset, base, limit) = self.region_of(group);
            let affine = &group.affine;
            let mut step = Step::Constant(0);
            for (term, &span) in affine.terms.iter().zip(&group.spans) {
                let first = self.sum(&term.linear.start, false);
                let first = if term.signed { self.widen(first) } else { first };
                let by = self.step_by(&term.linear.step, false);
                let (least, end) =
                    if term.signed { (-1i64 << 31, 1 << 31) } else { (0, 1i64 << 32) };
                let range = least - group.least..end - group.most - span;
                if group.least < 0 || group.most + span > 0 {
                    self.within(first, range.clone(), slow);
                }
                if let Some(last) = last
                    && !matches!(by, Step::Constant(0))
                {
                    let at_last = self.after(first, by, last);
                    self.within(at_last, range, slow);
                }
                let scaled = self.scaled(first, term.scale);
                offset = self.plus(offset, scaled);
                step = self.add_steps(step, by, term.scale);
            }
            if !affine.wide.start.0.is_empty() {
                let wide = self.sum(&affine.wide.start, true);
                offset = self.plus(offset, wide);
            }
            let by = self.step_by(&affine.wide.step, true);
            step = self.add_steps(step, by, 1);
            if let Step::Register(by) = step {
                self.within(by, -MAX_STEP..MAX_STEP, slow);
            }
            let lowest = self.plus_constant(offset, group.low);
            self.emit(Ins::JumpUnlessBelow { a: lowest, limit, to: slow });
            let mut moves = None;
            if let Some(last) = last
                && !matches!(step, Step::Constant(0))
            {
                let at_last = self.after(lowest, step, last);
                self.emit(Ins::JumpUnlessBelow { a: at_last, limit, to: slow });
                // Groups that move by the same distance share a register.
                let steps: Vec<Term> = affine
                    .terms
                    .iter()
                    .map(|term| {
                        let linear =
                            Linear { start: Poly::default(), step: term.linear.step.clone() };
                        Term { linear, ..term.clone() }
                    })
                    .collect();
                let known = moving.iter().find(|(wide, terms, _, other)| match (step, *other) {
                    (Step::Constant(a), Step::Constant(b)) => a == b,
                    _ => *wide == affine.wide.step && *terms == steps,
                });
                let reg = match known {
                    Some(&(_, _, reg, _)) => reg,
                    None => {
                        let reg = self.reg(Class::Int, true);
                        self.emit(Ins::Const { d: reg, bits: 0 });
                        moving.push((affine.wide.step.clone(), steps, reg, step));
                        reg
                    }
                };
                moves = Some(reg);
            }
            let base = self.plus(base, offset);
            for &(value, bytes) in &group.members {
                let checked = Checked { base, moving: moves, disp: bytes as i32 };
                self.checked.insert(value, checked);
            }
        }
        moving.into_iter().map(|(_, _, reg, step)| (reg, step)).collect()
    }

    /// The number of the last iteration; jumps if there is none, or if the counter may wrap.
    fn last_iteration(&mut self, counted: &Counted, slow: Label) -> Reg {
        let &Counted { counter, limit, step, down, inclusive } = counted;
        let scalar = self.scalar(limit);
        let now = self.leaf(Leaf::Variable(counter));
        let end = self.number(limit);
        let (now, end) = match scalar {
            Scalar::I32 => (self.widen(now), self.widen(end)),
            _ => (now, end),
        };
        let range = match scalar {
            Scalar::I32 => -1i64 << 31..1 << 31,
            Scalar::U32 => 0..1 << 32,
            // 64 bits; larger counters use the version with checks.
            _ => -1i64 << 61..1 << 61,
        };
        if scalar.bytes() == 8 {
            self.within(now, 0..1 << 61, slow);
            self.within(end, 0..1 << 61, slow);
        }
        // The counter after the last iteration is in the range of its type.
        let past = if inclusive { step as i64 } else { step as i64 - 1 };
        let after = self.plus_constant(end, if down { -past } else { past });
        self.within(after, range, slow);
        let (high, low) = if down { (now, end) } else { (end, now) };
        let distance = self.int();
        self.emit(Ins::Int { op: IntOp::Sub, wide: true, d: distance, a: high, b: low });
        let distance = self.plus_constant(distance, if inclusive { 0 } else { -1 });
        self.within(distance, 0..MAX_TURNS, slow);
        let last = self.int();
        let imm = step.trailing_zeros() as i32;
        self.emit(Ins::IntImm { op: IntOp::Shr, wide: true, d: last, a: distance, imm });
        last
    }

    /// The region of a group: the offset at which its address starts, the region's base, and the limit.
    fn region_of(&mut self, group: &Group) -> (Reg, Reg, Reg) {
        let bytes = (group.high - group.low) as u64;
        let zero = self.constant(0);
        let Target { base, limit, offset, .. } =
            self.target(group.start, zero, bytes, group.write, u64::MAX);
        (offset, base, limit)
    }

    /// Jumps unless a 64-bit number is in a range.
    fn within(&mut self, a: Reg, range: std::ops::Range<i64>, slow: Label) {
        let a = self.plus_constant(a, -range.start);
        let limit = self.constant((range.end - range.start).max(0) as u64);
        self.emit(Ins::JumpUnlessBelow { a, limit, to: slow });
    }

    fn widen(&mut self, s: Reg) -> Reg {
        let d = self.int();
        self.emit(Ins::Widen { from: Scalar::I32, wide: true, d, s });
        d
    }

    fn leaf(&mut self, leaf: Leaf) -> Reg {
        match leaf {
            Leaf::Value(value) => self.number(value),
            Leaf::Variable(id) => {
                // The variable changes later; this copies its present value.
                let s = self.variables[&id].int.expect("the caller looked");
                let d = self.int();
                self.emit(Ins::Move { d, s });
                d
            }
        }
    }

    /// The value of a sum, modulo 2^32 or 2^64.
    fn sum(&mut self, poly: &Poly, wide: bool) -> Reg {
        let mut total: Option<Reg> = None;
        let binary = |selection: &mut Self, op: IntOp, a: Reg, b: Reg| {
            let d = selection.int();
            selection.emit(Ins::Int { op, wide, d, a, b });
            d
        };
        for &(ref product, factor) in poly.0.iter() {
            let bits = if wide { factor as u64 } else { u64::from(factor as u32) };
            let mut reg = None;
            for &leaf in product {
                let next = self.leaf(leaf);
                reg = Some(match reg {
                    Some(reg) => binary(self, IntOp::Mul, reg, next),
                    None => next,
                });
            }
            let reg = match reg {
                None => self.constant(bits),
                Some(reg) if bits == 1 => reg,
                Some(reg) => {
                    let by = self.constant(bits);
                    binary(self, IntOp::Mul, reg, by)
                }
            };
            total = Some(match total {
                Some(total) => binary(self, IntOp::Add, total, reg),
                None => reg,
            });
        }
        total.unwrap_or_else(|| self.constant(0))
    }

    /// The distance of one iteration, sign-extended.
    fn step_by(&mut self, poly: &Poly, wide: bool) -> Step {
        match poly.as_constant() {
            Some(number) if wide => Step::Constant(number),
            Some(number) => Step::Constant(i64::from(number as i32)),
            None => {
                let reg = self.sum(poly, wide);
                Step::Register(if wide { reg } else { self.widen(reg) })
            }
        }
    }

    fn add_steps(&mut self, step: Step, by: Step, scale: i64) -> Step {
        match (step, by) {
            (step, Step::Constant(0)) => step,
            (Step::Constant(a), Step::Constant(b)) => {
                Step::Constant(a.wrapping_add(b.wrapping_mul(scale)))
            }
            (Step::Constant(a), Step::Register(b)) => {
                let scaled = self.scaled(b, scale);
                Step::Register(self.plus_constant(scaled, a))
            }
            (Step::Register(a), Step::Constant(b)) => {
                Step::Register(self.plus_constant(a, b.wrapping_mul(scale)))
            }
            (Step::Register(a), Step::Register(b)) => {
                let scaled = self.scaled(b, scale);
                Step::Register(self.plus(a, scaled))
            }
        }
    }

    /// A number after `count` steps.
    fn after(&mut self, first: Reg, step: Step, count: Reg) -> Reg {
        let moved = match step {
            Step::Constant(by) => self.scaled(count, by),
            Step::Register(by) => {
                let d = self.int();
                self.emit(Ins::Int { op: IntOp::Mul, wide: true, d, a: count, b: by });
                d
            }
        };
        self.plus(first, moved)
    }

    /// Advances addresses to the next iteration.
    pub(super) fn move_on(&mut self, moving: &[(Reg, Step)]) {
        for &(d, step) in moving {
            match step {
                Step::Register(b) => self.emit(Ins::Int { op: IntOp::Add, wide: true, d, a: d, b }),
                Step::Constant(by) => match i32::try_from(by) {
                    Ok(imm) => self.emit(Ins::IntImm { op: IntOp::Add, wide: true, d, a: d, imm }),
                    Err(_) => {
                        let b = self.constant(by as u64);
                        self.emit(Ins::Int { op: IntOp::Add, wide: true, d, a: d, b });
                    }
                },
            }
        }
    }

    // --- Accesses ------------------------------------------------------------------------------------

    /// An access whose bounds were checked.
    pub(super) fn access_checked(
        &mut self,
        checked: Checked,
        sum: &Sum,
        scalar: Scalar,
        data: &[Operand],
        write: bool,
    ) {
        let Checked { base, moving, disp } = checked;
        let size = i64::from(scalar.bytes());
        let base_of = MemBase::Reg(base);
        if sum.lanes.is_empty() {
            let mem = MemRef { base: base_of, index: moving, disp };
            return self.at_one_address(mem, scalar, data, write);
        }
        let step = self.step(sum).expect("what was checked is even");
        if data.len() == 1 && step == size {
            for part in 0..self.parts() {
                let disp = disp + (part as i64 * i64::from(self.strip.lanes) * size) as i32;
                let mem = MemRef { base: base_of, index: moving, disp };
                self.part_of_row(mem, scalar, &data[0], part, write);
            }
        } else {
            let mem = MemRef { base: base_of, index: moving, disp };
            self.stepping(mem, step, scalar, data, write);
        }
    }
}

/// How far an address moves in each iteration, if that is constant.
fn step_of(affine: &Affine) -> Option<i64> {
    affine.terms.iter().try_fold(affine.wide.step.as_constant()?, |sum, term| {
        let step = i64::from(term.linear.step.as_constant()? as i32);
        Some(sum.wrapping_add(step.wrapping_mul(term.scale)))
    })
}
