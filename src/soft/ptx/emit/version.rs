//! Loops in two versions. Where the addresses of a loop's accesses are affine in the number of the iteration, their bounds are checked
//! before it, at the first and at the last iteration; between them the addresses are monotone. If all checks hold, the
//! loop runs without checks: iterations are counted down, addresses move by their steps, and short bodies are written
//! four times, so that the loads of four iterations are under way at a time. If not, the loop with all checks runs and finds out. Where
//! factors of tensor cores are loaded as fragments (`fragments.rs`) there is a third version, without checks and without fragments.
//!
//! `specs/native.md` describes the same for machine code of the CPU, where a check is for all lanes of a strip.

use std::collections::{HashMap, HashSet};

use super::super::text::{Kind, Label, Reg, ptx};
use super::ahead::Ahead;
use super::flow::exchanges;
use super::fragments::Fragments;
use super::memory::{Limit, Target};
use super::{Emit, Root, SLACK};
use crate::soft::ir::facts::affine::{Counted, Leaf, Linear, Poly, Stretch, Term, is_within};
use crate::soft::ir::walk::{instructions, loops};
use crate::soft::ir::{Block, Effect, Op, Scalar, Space, Stmt, Type, Value};

/// The largest constant offset in bytes, so that the extent of a group and the offsets of instructions have 32 bits. The constant part of
/// an index, in bytes, and how far an iteration is ahead of a register, have the same limit; so an offset is the sum of three.
const MAX_BYTES: i64 = 1 << 28;
/// The largest factor of an index, and distance by which a part of 64 bits moves, so that sums of 64 bits do not overflow.
const MAX_SCALE: i64 = 1 << 20;
const MAX_STEP: i64 = 1 << 28;
/// The most addresses that move: each takes registers.
const MAX_PATHS: usize = 16;
/// The most instructions of a loop that is written twice, and of one whose iterations are written four times.
const MAX_TWICE: usize = 1 << 10;
const MAX_UNROLLED: usize = 64;
/// How often they are.
const UNROLLED: u32 = 4;

/// How far an address moves in each iteration.
#[derive(Clone, Copy, Debug)]
enum Step {
    Bytes(i64),
    Register(Reg),
}

/// An address that moves.
#[derive(Clone, Copy, Debug)]
struct MovingAddress {
    address: Reg,
    step: Step,
    /// How far the iteration that is written is ahead of the register.
    ahead: i64,
}

/// The version without checks that is written, if one is: its addresses, and which accesses use them, each with a distance.
#[derive(Default)]
pub(super) struct Versions {
    paths: Vec<MovingAddress>,
    checked: HashMap<Value, (usize, i64)>,
    pub(super) fragments: Fragments,
    /// Loads from tiles of which there are several, and how far the one that is used is from the first.
    pub(super) tiles: HashSet<Value>,
    pub(super) tile: i64,
}

impl Versions {
    /// Whether an access was checked before its loop.
    pub(super) fn is_checked(&self, access: Value) -> bool {
        self.checked.contains_key(&access)
    }

    /// How far the memory of an access is from where it would be if there were one tile.
    pub(super) fn tile_of(&self, access: Value) -> i64 {
        if self.tiles.contains(&access) { self.tile } else { 0 }
    }

    /// The address of a path, before the loop.
    pub(super) fn address(&self, path: usize) -> Reg {
        self.paths[path].address
    }

    /// The path of an access whose address does not move, and the access's distance.
    pub(super) fn fixed_path(&self, access: Value) -> Option<(usize, i64)> {
        let &(path, distance) = self.checked.get(&access)?;
        matches!(self.paths[path].step, Step::Bytes(0)).then_some((path, distance))
    }
}

/// Facts before a loop in two versions.
pub(super) struct LoopVersions {
    /// The number of iterations.
    count: Reg,
    /// The position of the loop's test.
    test: usize,
    /// How often iterations are written.
    unrolled: u32,
    /// Whether the loop cannot load fragments, and must run without them.
    split: Option<Reg>,
    /// How tiles of several iterations are copied at once.
    ahead: Option<Ahead>,
    /// Where the version with checks is.
    pub(super) slow: Label,
}

/// Accesses whose addresses differ by constants only.
struct Group {
    allocation: u32,
    terms: Vec<Term>,
    wide: Linear,
    /// The first byte of them, and the end of the last one.
    low: i64,
    high: i64,
    /// The smallest and the largest constant that is added to the only index before it is scaled.
    least: i64,
    most: i64,
    write: bool,
    members: Vec<(Value, i64)>,
}

impl Emit<'_> {
    /// Checks before a loop; `None` if it has one version only.
    pub(super) fn check_before_loop(
        &mut self,
        body: &Block,
        next: &Block,
        joint: bool,
    ) -> Option<LoopVersions> {
        let size = instructions(body).chain(instructions(next)).count();
        if self.is_routine || size > MAX_TWICE || loops(body) + loops(next) != 0 {
            return None;
        }
        let exchanged = exchanges(self, body) || exchanges(self, next);
        // Barriers that are reported separately have a number each.
        if exchanged && (self.options.strict || self.flow.may_differ()) {
            return None;
        }
        let function = self.function;
        let stretch = Stretch::of_loop(function, |_| false, body, next)?;
        let counted = stretch.counted?;
        let test = body.iter().position(|stmt| !matches!(stmt, Stmt::Do(_)))?;
        // After the last iteration these are not done again, so they must not have faults.
        let is_pure = |stmt: &Stmt| {
            let Stmt::Do(value) = stmt else { return false };
            let op = function.inst(*value).op;
            op == Op::Get || op.row().effect == Effect::Pure
        };
        if !body[..test].iter().all(is_pure) {
            return None;
        }
        let groups = self.groups(&stretch);
        if groups.is_empty() || groups.len() > MAX_PATHS || !self.can_count(&counted) {
            return None;
        }
        let bad = self.text.reg(Kind::Predicate);
        let last = self.last_iteration(&counted, bad);
        self.versions = Versions::default();
        for group in groups {
            self.check_group(group, last, bad);
        }
        let (mut split, mut ahead) = (None, None);
        if joint {
            split = self.find_fragments(&body[test + 1..]);
            // All lanes take the same version, and the same number of iterations, even if memory has changed between their loads.
            let (mask, same, which) =
                (self.mask(), self.text.reg(Kind::Predicate), self.text.reg(Kind::Word));
            ptx!(self.text, "match.all.sync.b32 {which}|{same}, {last}, {mask};");
            ptx!(self.text, "not.pred {same}, {same};");
            ptx!(self.text, "or.pred {bad}, {bad}, {same};");
            ptx!(self.text, "vote.sync.any.pred {bad}, {bad}, {mask};");
            ahead = self.find_ahead([&body[..test], &body[test + 1..]], next);
        }
        if ahead.is_some() {
            // It has fewer barriers than the other versions, so all SIMD-groups take it, or none.
            for one in [Some(bad), split].into_iter().flatten() {
                ptx!(self.text, "barrier.red.or.pred {one}, 0, {one};");
            }
        }
        let (slow, count) = (self.text.label(), self.text.reg(Kind::Word));
        ptx!(self.text, "@{bad} bra {slow};");
        ptx!(self.text, "add.u32 {count}, {last}, 1;");
        let unrolled = if exchanged || size > MAX_UNROLLED { 1 } else { UNROLLED };
        Some(LoopVersions { count, test, unrolled, split, ahead, slow })
    }

    /// The version without checks; two of them if only one loads fragments. At its end it goes to `end`.
    pub(super) fn iterations(
        &mut self,
        versions: &LoopVersions,
        body: &Block,
        next: &Block,
        end: (Label, bool),
    ) {
        let parts = [&body[..versions.test], &body[versions.test + 1..]];
        let mut ahead = versions.ahead.as_ref();
        if let Some(split) = versions.split {
            let Versions { ref paths, ref checked, .. } = self.versions;
            let (paths, checked) = (paths.clone(), checked.clone());
            let plain = self.text.label();
            ptx!(self.text, "@{split} bra {plain};");
            if let Some(ahead) = ahead.take() {
                self.iterations_ahead(ahead, versions.count, end);
            }
            self.counted_iterations(versions, parts, next, end);
            self.text.place(plain);
            self.versions = Versions { paths, checked, ..Versions::default() };
        }
        if let Some(ahead) = ahead {
            self.iterations_ahead(ahead, versions.count, end);
        }
        self.counted_iterations(versions, parts, next, end);
        self.versions = Versions::default();
    }

    fn counted_iterations(
        &mut self,
        versions: &LoopVersions,
        parts: [&[Stmt]; 2],
        next: &Block,
        (end, joint): (Label, bool),
    ) {
        let LoopVersions { count, unrolled, .. } = *versions;
        let rest = self.text.label();
        let over = self.text.reg(Kind::Predicate);
        if unrolled > 1 {
            let main = self.text.label();
            self.text.place(main);
            ptx!(self.text, "setp.lt.u32 {over}, {count}, {unrolled};");
            ptx!(self.text, "@{over} bra {rest};");
            for _ in 0..unrolled {
                self.iteration(parts, next, end, joint);
                self.move_on();
            }
            self.advance_to_iteration();
            ptx!(self.text, "sub.u32 {count}, {count}, {unrolled};");
            ptx!(self.text, "bra {main};");
        }
        self.text.place(rest);
        ptx!(self.text, "setp.eq.u32 {over}, {count}, 0;");
        ptx!(self.text, "@{over} bra {end};");
        self.iteration(parts, next, end, joint);
        self.move_on();
        self.advance_to_iteration();
        ptx!(self.text, "sub.u32 {count}, {count}, 1;");
        ptx!(self.text, "bra {rest};");
    }

    /// The next iteration is written.
    pub(super) fn move_on(&mut self) {
        for path in &mut self.versions.paths {
            match path.step {
                Step::Bytes(bytes) => {
                    path.ahead += bytes;
                    if !is_within(path.ahead, MAX_BYTES) {
                        let ahead = std::mem::take(&mut path.ahead);
                        ptx!(self.text, "add.s64 {}, {}, {ahead};", path.address, path.address);
                    }
                }
                Step::Register(step) => {
                    ptx!(self.text, "add.s64 {}, {}, {step};", path.address, path.address);
                }
            }
        }
    }

    /// Moves registers to where the next iteration is.
    pub(super) fn advance_to_iteration(&mut self) {
        for path in &mut self.versions.paths {
            let ahead = std::mem::take(&mut path.ahead);
            if ahead != 0 {
                ptx!(self.text, "add.s64 {}, {}, {ahead};", path.address, path.address);
            }
        }
    }

    /// An access that was checked before its loop.
    pub(super) fn version_target(
        &mut self,
        access: Value,
        pointer: Value,
        bytes: u32,
    ) -> Option<Target> {
        let &(number, distance) = self.versions.checked.get(&access)?;
        let path = self.versions.paths[number];
        let window = Self::window(self.function.ty(pointer).space()?);
        Some(Target {
            window,
            address: path.address,
            ahead: path.ahead + distance + self.versions.tile_of(access),
            alignment: self.alignment(pointer).min(bytes),
            value: path.address,
            root: self.root(pointer),
        })
    }

    // --- What can be checked -------------------------------------------------------------------------

    fn groups(&mut self, stretch: &Stretch<'_>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for &access in stretch.accesses() {
            let Some(group) = self.group_of(stretch, access) else { continue };
            let known = groups.iter_mut().find(|known| {
                (known.allocation, &known.terms, &known.wide)
                    == (group.allocation, &group.terms, &group.wide)
            });
            match known {
                None => groups.push(group),
                Some(known) => {
                    known.low = known.low.min(group.low);
                    known.high = known.high.max(group.high);
                    known.least = known.least.min(group.least);
                    known.most = known.most.max(group.most);
                    known.write |= group.write;
                    known.members.extend(group.members);
                }
            }
        }
        groups
    }

    fn group_of(&mut self, stretch: &Stretch<'_>, access: Value) -> Option<Group> {
        let inst = *self.function.inst(access);
        let (pointer, write) = (inst.args[0], inst.op == Op::Store);
        let ty = if write { self.function.ty(inst.args[1]) } else { inst.ty };
        let Root::Allocation(allocation) = self.root(pointer) else { return None };
        if self.pushed(allocation).is_some() || write && !self.is_writable(allocation) {
            return None;
        }
        let mut affine = stretch.affine(pointer)?;
        (self.function.inst(affine.base).op == Op::Allocation).then_some(())?;
        for term in &affine.terms {
            let scales = term.scale != 0 && is_within(term.scale, MAX_SCALE);
            (scales && self.is_there(&term.linear, Kind::Word)).then_some(())?;
        }
        let moves = affine.wide.step.as_constant()?;
        let is_there = self.is_there(&affine.wide, Kind::Long);
        let is_near = is_within(moves, MAX_STEP) && is_within(affine.bytes, MAX_BYTES);
        (is_there && is_near).then_some(())?;
        let (mut part, mut low) = (0, affine.bytes);
        if let [term] = &mut affine.terms[..] {
            let constant = term.linear.start.0.get(&Vec::new()).map_or(0, |&number| number as i32);
            let bytes = i64::from(constant) * term.scale;
            if is_within(bytes, MAX_BYTES) {
                term.linear.start.0.remove(&Vec::new());
                part = i64::from(constant);
                low += bytes;
            }
        }
        Some(Group {
            allocation,
            terms: affine.terms,
            wide: affine.wide,
            low,
            high: low + i64::from(ty.bytes()),
            least: part,
            most: part,
            write,
            members: vec![(access, low)],
        })
    }

    /// Whether the numbers that a sum is made of are in registers before the loop.
    fn is_there(&self, linear: &Linear, kind: Kind) -> bool {
        let leaves = linear.start.0.keys().chain(linear.step.0.keys()).flatten();
        leaves.into_iter().all(|&leaf| self.leaf_kind(leaf) == Some(kind))
    }

    fn leaf_kind(&self, leaf: Leaf) -> Option<Kind> {
        let of = |ty: Type| ty.scalar().map(Kind::of);
        match leaf {
            Leaf::Variable(id) => of(self.function.variables[id.index()].ty),
            Leaf::Value(value) => {
                let inst = self.function.inst(value);
                let known = inst.op.is_free() || !self.values[value.index()].is_empty();
                of(inst.ty).filter(|_| known)
            }
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Reg {
        match leaf {
            Leaf::Variable(id) => self.variables[id.index()][0],
            Leaf::Value(value) => self.scalar(value),
        }
    }

    fn can_count(&self, counted: &Counted) -> bool {
        let counter = self.function.variables[counted.counter.index()].ty;
        let limit = self.leaf_kind(Leaf::Value(counted.limit));
        counter == self.function.ty(counted.limit) && limit.is_some()
    }

    // --- The checks ----------------------------------------------------------------------------------

    /// The number of the last iteration, from 0. Sets `bad` if the loop has no iteration, if the counter would wrap, or if it has more than 32
    /// bits.
    fn last_iteration(&mut self, counted: &Counted, bad: Reg) -> Reg {
        let Counted { counter, limit, step, down, inclusive } = *counted;
        let scalar = self.function.ty(limit).scalar().unwrap_or(Scalar::U32);
        let (first, limit) = (self.variables[counter.index()][0], self.scalar(limit));
        let kind = Kind::of(scalar);
        let bits = if kind == Kind::Long { 64 } else { 32 };
        let sign = if scalar.is_signed() { "s" } else { "u" };
        let text = &mut self.text;
        // No iteration: the test fails at once.
        let test = match (down, inclusive) {
            (false, false) => "ge",
            (false, true) => "gt",
            (true, false) => "le",
            (true, true) => "lt",
        };
        ptx!(text, "setp.{test}.{sign}{bits} {bad}, {first}, {limit};");
        // The counter goes past the limit by less than a step, or by a step.
        let past = i128::from(step) - i128::from(!inclusive);
        let (least, most) = match scalar.is_signed() {
            true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
            false => (0, (1i128 << bits) - 1),
        };
        if past != 0 {
            let (test, end) = if down { ("lt", least + past) } else { ("gt", most - past) };
            ptx!(text, "setp.{test}.or.{sign}{bits} {bad}, {limit}, {end}, {bad};");
        }
        let distance = text.reg(kind);
        let (from, to) = if down { (limit, first) } else { (first, limit) };
        ptx!(text, "sub.u{bits} {distance}, {to}, {from};");
        if !inclusive {
            ptx!(text, "sub.u{bits} {distance}, {distance}, 1;");
        }
        if step > 1 {
            ptx!(text, "shr.u{bits} {distance}, {distance}, {};", step.trailing_zeros());
        }
        if kind == Kind::Word {
            return distance;
        }
        let last = text.reg(Kind::Word);
        ptx!(text, "setp.ge.or.u64 {bad}, {distance}, 0xffffffff, {bad};");
        ptx!(text, "cvt.u32.u64 {last}, {distance};");
        last
    }

    /// Checks a group, and has its accesses use one address.
    fn check_group(&mut self, group: Group, last: Reg, bad: Reg) {
        let Group { allocation, terms, wide, low, high, least, most, write, members } = group;
        let offset = self.sum(&wide.start, Kind::Long);
        let count = self.text.reg(Kind::Long);
        ptx!(self.text, "cvt.u64.u32 {count}, {last};");
        let (mut bytes, mut by_register) = (wide.step.as_constant().unwrap_or(0), None);
        for Term { linear, signed, scale } in &terms {
            let first = self.sum(&linear.start, Kind::Word);
            let index = self.text.reg(Kind::Long);
            let sign = if *signed { "s" } else { "u" };
            ptx!(self.text, "cvt.{sign}64.{sign}32 {index}, {first};");
            let (low_end, high_end) =
                if *signed { (-1i64 << 31, (1i64 << 31) - 1) } else { (0, (1i64 << 32) - 1) };
            let (low_end, high_end) = (low_end - least, high_end - most);
            if least != 0 || most != 0 {
                self.outside(index, low_end, high_end, bad);
            }
            let at_last = self.text.reg(Kind::Long);
            match linear.step.as_constant().map(|step| i64::from(step as i32)) {
                Some(0) => {}
                Some(step) => {
                    ptx!(self.text, "mad.lo.s64 {at_last}, {count}, {step}, {index};");
                    self.outside(at_last, low_end, high_end, bad);
                    bytes += step * scale;
                }
                None => {
                    let (narrow, step) =
                        (self.sum(&linear.step, Kind::Word), self.text.reg(Kind::Long));
                    ptx!(self.text, "cvt.s64.s32 {step}, {narrow};");
                    ptx!(self.text, "mad.lo.s64 {at_last}, {count}, {step}, {index};");
                    self.outside(at_last, low_end, high_end, bad);
                    let sum = self.text.reg(Kind::Long);
                    match by_register {
                        None => ptx!(self.text, "mul.lo.s64 {sum}, {step}, {scale};"),
                        Some(known) => {
                            ptx!(self.text, "mad.lo.s64 {sum}, {step}, {scale}, {known};");
                        }
                    }
                    by_register = Some(sum);
                }
            }
            ptx!(self.text, "mad.lo.s64 {offset}, {index}, {scale}, {offset};");
        }
        let step = match by_register {
            None => Step::Bytes(bytes),
            Some(step) => {
                ptx!(self.text, "add.s64 {step}, {step}, {bytes};");
                Step::Register(step)
            }
        };
        if self.options.checked {
            let slack = match self.module.allocations[allocation as usize].kind.space() {
                Space::Threadgroup if !write && !self.options.strict => SLACK,
                _ => 0,
            };
            // It fits: the offsets of a group are within twice `MAX_BYTES`.
            let extent = (high - low) as u32;
            let limit = self.limit(Limit::new(allocation, extent, slack));
            let start = self.text.reg(Kind::Long);
            ptx!(self.text, "add.s64 {start}, {offset}, {low};");
            ptx!(self.text, "setp.ge.or.u64 {bad}, {start}, {limit}, {bad};");
            if !matches!(step, Step::Bytes(0)) {
                let end = self.text.reg(Kind::Long);
                match step {
                    Step::Bytes(by) => {
                        ptx!(self.text, "mad.lo.s64 {end}, {count}, {by}, {start};");
                    }
                    Step::Register(by) => {
                        ptx!(self.text, "mad.lo.s64 {end}, {count}, {by}, {start};");
                    }
                }
                ptx!(self.text, "setp.ge.or.u64 {bad}, {end}, {limit}, {bad};");
            }
        }
        let (base, address) = (self.base(allocation), self.text.reg(Kind::Long));
        ptx!(self.text, "add.s64 {address}, {base}, {offset};");
        let number = self.versions.paths.len();
        self.versions.paths.push(MovingAddress { address, step, ahead: 0 });
        let members = members.into_iter().map(|(access, distance)| (access, (number, distance)));
        self.versions.checked.extend(members);
    }

    /// Sets `bad` if a number is outside of a range.
    fn outside(&mut self, number: Reg, least: i64, most: i64, bad: Reg) {
        ptx!(self.text, "setp.lt.or.s64 {bad}, {number}, {least}, {bad};");
        ptx!(self.text, "setp.gt.or.s64 {bad}, {number}, {most}, {bad};");
    }

    /// A register of its own with a sum of products, modulo its size.
    fn sum(&mut self, poly: &Poly, kind: Kind) -> Reg {
        let bits = if kind == Kind::Long { 64 } else { 32 };
        let constant = poly.0.get(&Vec::new()).copied().unwrap_or(0);
        let sum = self.text.reg(kind);
        let constant = if bits == 32 { i64::from(constant as i32) } else { constant };
        ptx!(self.text, "mov.b{bits} {sum}, {constant};");
        for &(ref product, factor) in poly.0.iter() {
            let Some((&leaf, more)) = product.split_first() else { continue };
            let mut value = self.leaf(leaf);
            for &leaf in more {
                let (by, times) = (self.leaf(leaf), self.text.reg(kind));
                ptx!(self.text, "mul.lo.u{bits} {times}, {value}, {by};");
                value = times;
            }
            let factor = if bits == 32 { i64::from(factor as i32) } else { factor };
            ptx!(self.text, "mad.lo.s{bits} {sum}, {value}, {factor}, {sum};");
        }
        sum
    }
}
