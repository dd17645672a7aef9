//! Tiles of several iterations at once. A loop that copies tiles to threadgroup memory between two barriers, and computes with them after the
//! second one, copies those of four iterations between two barriers, side by side, and then computes four times. What is copied is the
//! same, and the same threads compute with it in the same order; but there are fewer barriers and waits.
//!
//! And lanes change places: where each lane copies pieces of 16 bytes of a row of its own, the lanes together copy row after row instead, so that
//! each instruction reads whole lines of memory. Which lane copies a piece makes no difference, since all wait for all copies.
//! Where a piece is, and where it goes to, the lanes tell each other once before the loop: all addresses move alike.

use std::collections::{HashMap, HashSet};

use super::super::text::{Kind, Label, Reg, ptx};
use super::barrier::is_of_group;
use super::copies::{BYTES, MIN_TARGET, are_apart};
use super::{Emit, Root, SLACK};
use crate::soft::ir::walk::instructions;
use crate::soft::ir::{Address, AllocationKind, Block, Effect, Op, Space, Stmt, Value};

/// How many iterations are taken together: the first number whose tiles fit.
const STEPS: [u32; 2] = [4, 2];
/// The most threadgroup memory of a launch, in bytes, that a kernel need not ask for.
const MOST_MEMORY: u32 = 48 << 10;
/// The most copies of a lane at once.
const MOST_COPIES: u32 = 32;
const LANES: u32 = 32;
/// Tiles begin this far past a multiple of a line, so that pieces of neighbouring tiles are in different banks.
const LINE: u32 = 128;
const SHIFT: u32 = 32;

/// A loop whose tiles are copied so.
pub(super) struct Ahead {
    steps: u32,
    /// How far the tiles of an iteration are from those of the one before.
    distance: u32,
    /// The two barriers.
    barriers: [Value; 2],
    /// What the addresses of copies are computed from, and what moves them to the next iteration.
    addresses: Vec<Value>,
    moves: Vec<Value>,
    groups: Vec<Group>,
    /// The rest of an iteration.
    rest: [Block; 3],
    /// The loads from tiles.
    loads: HashSet<Value>,
}

/// Copies: each a store and the load that it stores.
type Copies = Vec<(Value, Value)>;

/// Copies whose pieces are side by side, both where they are and where they go to.
struct Group {
    copies: Copies,
    /// If the pieces of an iteration and of the next one, of so many lanes, are side by side: the number of lanes.
    run: Option<u32>,
}

/// A copy that a lane does for another one: how far its source is from the lane's own, and where it goes to.
struct Exchanged {
    distance: Reg,
    target: Reg,
}

impl Emit<'_> {
    /// Whether, and how, tiles of the loop that is written can be copied for several iterations at once.
    pub(super) fn find_ahead(&self, parts: [&[Stmt]; 2], next: &Block) -> Option<Ahead> {
        let Self { options, function, .. } = self;
        let may = !options.checked && options.whole && self.flow.is_whole();
        if !may || options.target < MIN_TARGET {
            return None;
        }
        let plain = |block: &[Stmt]| -> Option<Vec<Value>> {
            let value = |stmt: &Stmt| if let Stmt::Do(value) = *stmt { Some(value) } else { None };
            block.iter().map(value).collect()
        };
        let [test, body, next] = [plain(parts[0])?, plain(parts[1])?, plain(next)?];
        let op = |value: Value| function.inst(value).op;
        let is_barrier = |value: &Value| is_of_group(function.inst(*value));
        let found: Vec<usize> = (0..body.len()).filter(|&at| is_barrier(&body[at])).collect();
        let [first, second] = found[..] else { return None };
        if test.iter().chain(&next).any(is_barrier) {
            return None;
        }
        // Between the barriers there are only copies, and before the first one nothing has an effect.
        let (pairs, parts) = self.copies_between(&parts[1][first + 1..second])?;
        let is_copy = |value: Value| {
            parts.contains(&value) || pairs.iter().any(|pair| pair.0 == value || pair.1 == value)
        };
        let all: Vec<Value> = [&test[..], &body, &next].concat();
        let is_quiet = |value: Value| match op(value) {
            Op::Get | Op::MatrixMultiplyAdd => true,
            op => op.row().effect == Effect::Pure,
        };
        let starts = test.iter().chain(&body[..second]).filter(|value| !is_barrier(value));
        if !starts.copied().all(|value| is_quiet(value) || is_copy(value)) {
            return None;
        }
        let computes =
            |value: Value| is_quiet(value) || matches!(op(value), Op::Set | Op::Load | Op::Barrier);
        if !body[second + 1..].iter().chain(&next).all(|&value| computes(value)) {
            return None;
        }
        let loads = self.tile_loads(&pairs, &body[second + 1..])?;
        // What the sources of the copies depend on in the loop.
        let here: HashSet<Value> = all.iter().copied().collect();
        let mut moving: HashMap<u64, Option<i64>> = HashMap::new();
        let mut sources = Vec::new();
        for &(_, load) in &pairs {
            let source = Address::of(function, function.inst(load).args[0]);
            let is_fixed = !source.terms.iter().any(|term| here.contains(&term.0));
            // What was read from the pointer before the loop does not move with it.
            let moves = op(source.base) == Op::Get && here.contains(&source.base);
            if !moves || !is_fixed || self.versions.is_checked(load) {
                return None;
            }
            let variable = function.inst(source.base).imm;
            moving.insert(variable, self.step_of(variable, &all, &here)?);
            sources.push((source, variable));
        }
        let is_set =
            |value: Value| op(value) == Op::Set && moving.contains_key(&function.inst(value).imm);
        let pointers = pairs.iter().map(|pair| function.inst(pair.1).args[0]);
        let addresses = self.needed(pointers.collect(), &here);
        let sets: Vec<Value> = all.iter().copied().filter(|&value| is_set(value)).collect();
        let mut needed = self.needed(sets.clone(), &here);
        needed.extend(&addresses);
        // Nothing else may use the pointers, which have moved by then.
        let apart = |value: Value| needed.contains(&value) || is_copy(value);
        let used = |value: Value| {
            let users = all.iter().filter(|&&user| apart(user));
            let args = users.flat_map(|&user| &function.inst(user).args[..]);
            args.filter(|&&arg| arg == value).count() == self.uses[value.index()] as usize
        };
        let is_read =
            |value: Value| op(value) == Op::Get && moving.contains_key(&function.inst(value).imm);
        if !needed.iter().all(|&value| op(value) == Op::Set || used(value))
            || all.iter().any(|&value| is_read(value) && !needed.contains(&value))
        {
            return None;
        }
        let groups = self.groups_of_copies(&pairs, &sources, &moving)?;
        let (steps, distance) = self.room(pairs.len() as u32)?;
        let of = |is_wanted: &dyn Fn(Value) -> bool| -> Vec<Value> {
            all.iter().copied().filter(|&value| is_wanted(value)).collect()
        };
        let rest = |values: &[Value]| -> Block {
            let stays = |value: &Value| !apart(*value) && !is_barrier(value);
            values.iter().copied().filter(stays).map(Stmt::Do).collect()
        };
        Some(Ahead {
            steps,
            distance,
            barriers: [body[first], body[second]],
            moves: of(&|value| needed.contains(&value) && !addresses.contains(&value)),
            addresses: of(&|value| addresses.contains(&value)),
            groups,
            rest: [rest(&test), rest(&body), rest(&next)],
            loads,
        })
    }

    /// The copies of a block that has nothing else in it that accesses memory: pairs of stores and loads, and the parts of what is loaded.
    fn copies_between(&self, block: &[Stmt]) -> Option<(Copies, HashSet<Value>)> {
        let (mut pairs, mut parts, mut at) = (Copies::new(), HashSet::new(), 0);
        while at < block.len() {
            let copies = self.find_copies(&block[at..]);
            at += copies.count.max(1);
            pairs.extend(copies.pairs);
            parts.extend(copies.parts);
        }
        // All are under way at a time.
        let is_apart = |at: usize| {
            let before = pairs[..at].iter();
            before.map(|pair| pair.0).all(|store| are_apart(self.function, store, pairs[at].0))
        };
        let apart = !pairs.is_empty() && (1..pairs.len()).all(is_apart);
        apart.then_some((pairs, parts))
    }

    /// The loads from the tiles that are copied, if they and the copies are all accesses to that memory, at addresses that do not change
    /// in the loop.
    fn tile_loads(&self, pairs: &[(Value, Value)], rest: &[Value]) -> Option<HashSet<Value>> {
        let function = self.function;
        let tile = |access: Value| match self.root(function.inst(access).args[0]) {
            Root::Allocation(number) => Some(number),
            _ => None,
        };
        let stores: HashSet<Value> = pairs.iter().map(|pair| pair.0).collect();
        let tiles: HashSet<u32> = stores.iter().map(|&store| tile(store)).collect::<Option<_>>()?;
        let is_tile = |number: &u32| {
            let kind = &self.module.allocations[*number as usize].kind;
            matches!(kind, AllocationKind::Threadgroup(_))
        };
        let is_fixed = |access: &Value| self.versions.fixed_path(*access).is_some();
        if !tiles.iter().all(is_tile) || !stores.iter().all(is_fixed) {
            return None;
        }
        let rest: HashSet<Value> = rest.iter().copied().collect();
        let mut loads = HashSet::new();
        for value in instructions(&function.body) {
            let inst = function.inst(value);
            let is_threadgroup =
                |arg: &Value| function.ty(*arg).space() == Some(Space::Threadgroup);
            let harmless =
                matches!(inst.op, Op::Get | Op::Set) || inst.op.row().effect == Effect::Pure;
            if harmless || !inst.args.iter().any(is_threadgroup) || stores.contains(&value) {
                continue;
            }
            // Memory that is not known may be a tile.
            let number = tile(value)?;
            if tiles.contains(&number) {
                if inst.op != Op::Load || !rest.contains(&value) || !is_fixed(&value) {
                    return None;
                }
                loads.insert(value);
            }
        }
        Some(loads)
    }

    /// What the values need that is computed in the loop, with them.
    fn needed(&self, mut values: Vec<Value>, here: &HashSet<Value>) -> HashSet<Value> {
        let mut needed = HashSet::new();
        while let Some(value) = values.pop() {
            if here.contains(&value) && needed.insert(value) {
                values.extend(self.function.inst(value).args.iter());
            }
        }
        needed
    }

    /// The bytes by which an iteration moves a pointer in a variable, if they are constant. `None` if it does not move alike in all lanes.
    fn step_of(&self, variable: u64, all: &[Value], here: &HashSet<Value>) -> Option<Option<i64>> {
        let function = self.function;
        let sets = all.iter().map(|&value| function.inst(value));
        let mut sets = sets.filter(|inst| inst.op == Op::Set && inst.imm == variable);
        let (Some(set), None) = (sets.next(), sets.next()) else { return None };
        let moved = Address::of(function, set.args[0]);
        let base = function.inst(moved.base);
        let is_same = |&(index, _): &(Value, i64)| {
            self.uniform.values[index.index()] && !here.contains(&index)
        };
        let moves = base.op == Op::Get && base.imm == variable && here.contains(&moved.base);
        (moves && moved.terms.iter().all(is_same))
            .then(|| moved.terms.is_empty().then_some(moved.bytes))
    }

    fn groups_of_copies(
        &self,
        pairs: &[(Value, Value)],
        sources: &[(Address, u64)],
        moving: &HashMap<u64, Option<i64>>,
    ) -> Option<Vec<Group>> {
        let (mut groups, mut last): (Vec<Group>, Option<(&Address, usize, i64)>) =
            (Vec::new(), None);
        for (&pair, (source, variable)) in pairs.iter().zip(sources) {
            let (path, distance) = self.versions.fixed_path(pair.0)?;
            let bytes = i64::from(BYTES);
            let follows = |(before, of, at): (&Address, usize, i64)| {
                (before.base, &before.terms, of) == (source.base, &source.terms, path)
                    && (source.bytes - before.bytes, distance - at) == (bytes, bytes)
            };
            match groups.last_mut() {
                Some(group) if last.is_some_and(follows) => group.copies.push(pair),
                _ => groups.push(Group { copies: vec![pair], run: None }),
            }
            last = Some((source, path, distance));
            // Rows of as many lanes are as long as an iteration moves them.
            if let (Some(group), Some(step)) = (groups.last_mut(), moving[variable]) {
                let piece = bytes * group.copies.len() as i64;
                let run = u32::try_from(step / piece).unwrap_or(0);
                let fits = step % piece == 0 && run.is_power_of_two() && run <= LANES;
                group.run = fits.then_some(run);
            }
        }
        groups.iter().all(|group| group.copies.len().is_power_of_two()).then_some(groups)
    }

    /// How many iterations are taken together, and the distance between their tiles.
    fn room(&self, copies: u32) -> Option<(u32, u32)> {
        let mut bytes = 0u32;
        for allocation in &self.module.allocations {
            match allocation.kind {
                AllocationKind::Threadgroup(size) => bytes += size.next_multiple_of(16),
                AllocationKind::ThreadgroupArgument { .. } => return None,
                _ => {}
            }
        }
        let distance = bytes.next_multiple_of(LINE) + SHIFT;
        let fits = |steps: &u32| {
            bytes + (steps - 1) * distance + SLACK <= MOST_MEMORY && copies * steps <= MOST_COPIES
        };
        Some((STEPS.into_iter().find(fits)?, distance))
    }

    /// Writes iterations, several at a time, until fewer are left.
    pub(super) fn iterations_ahead(
        &mut self,
        ahead: &Ahead,
        count: Reg,
        (end, joint): (Label, bool),
    ) {
        let Ahead { steps, distance, barriers, .. } = *ahead;
        let (start, rest) = (self.text.label(), self.text.label());
        let more = self.text.reg(Kind::Predicate);
        ptx!(self.text, "setp.ge.u32 {more}, {count}, {steps};");
        ptx!(self.text, "@!{more} bra {rest};");
        ahead.addresses.iter().for_each(|&value| self.instruction(value));
        let exchanged: Vec<Vec<Exchanged>> =
            ahead.groups.iter().map(|group| self.exchange(group, steps, distance)).collect();
        self.text.place(start);
        self.instruction(barriers[0]);
        for step in 0..steps {
            ahead.addresses.iter().for_each(|&value| self.instruction(value));
            for (group, exchanged) in ahead.groups.iter().zip(&exchanged) {
                // The first of them copies all.
                if group.run.is_some() && step != 0 {
                    continue;
                }
                let own = self.first_source(group);
                for Exchanged { distance: by, target } in exchanged {
                    let from = self.text.reg(Kind::Long);
                    ptx!(self.text, "add.s64 {from}, {own}, {by};");
                    ptx!(
                        self.text,
                        "cp.async.ca.shared.global [{target}+{}], [{from}], {BYTES};",
                        step * distance
                    );
                }
            }
            ahead.moves.iter().for_each(|&value| self.instruction(value));
        }
        ptx!(self.text, "cp.async.wait_all;");
        self.instruction(barriers[1]);
        self.versions.tiles.clone_from(&ahead.loads);
        let [test, body, next] = &ahead.rest;
        for step in 0..steps {
            self.versions.tile = i64::from(step * distance);
            self.iteration([&test[..], &body[..]], next, end, joint);
            self.move_on();
        }
        self.versions.tile = 0;
        self.advance_to_iteration();
        ptx!(self.text, "sub.u32 {count}, {count}, {steps};");
        ptx!(self.text, "setp.ge.u32 {more}, {count}, {steps};");
        ptx!(self.text, "@{more} bra {start};");
        self.text.place(rest);
        self.tile_bytes = self.tile_bytes.max((steps - 1) * distance);
    }

    /// Where the first piece of a group is that is the lane's own.
    fn first_source(&mut self, group: &Group) -> Reg {
        let load = group.copies[0].1;
        let inst = *self.function.inst(load);
        let (target, own) = (self.target_of_load(load, &inst), self.text.reg(Kind::Long));
        ptx!(self.text, "add.s64 {own}, {}, {};", target.address, target.ahead);
        own
    }

    /// The copies that a lane does for a group: the pieces of all lanes, of `steps` iterations if they are side by side, are numbered
    /// in the order in which they are in memory, and neighbouring lanes copy neighbouring pieces.
    fn exchange(&mut self, group: &Group, steps: u32, distance: u32) -> Vec<Exchanged> {
        let own = self.first_source(group);
        let store = group.copies[0].0;
        let inst = *self.function.inst(store);
        let target = self.target_of_store(store, &inst);
        let own_target = self.text.reg(Kind::Long);
        ptx!(self.text, "add.s64 {own_target}, {}, {};", target.address, target.ahead);
        let pieces = group.copies.len() as u32;
        let (run, steps) = group.run.map_or((1, 1), |run| (run, steps));
        let (row, all) = (run * pieces, run * pieces * steps);
        let copy = |first: u32| {
            let text = &mut self.text;
            let [number, left, step, piece, lane, more, by] =
                [(); 7].map(|()| text.reg(Kind::Word));
            ptx!(text, "mov.u32 {number}, %laneid;");
            ptx!(text, "add.u32 {number}, {number}, {first};");
            ptx!(text, "rem.u32 {left}, {number}, {all};");
            ptx!(text, "div.u32 {number}, {number}, {all};");
            ptx!(text, "div.u32 {step}, {left}, {row};");
            ptx!(text, "rem.u32 {left}, {left}, {row};");
            ptx!(text, "rem.u32 {piece}, {left}, {pieces};");
            ptx!(text, "div.u32 {lane}, {left}, {pieces};");
            ptx!(text, "mad.lo.u32 {lane}, {number}, {run}, {lane};");
            ptx!(text, "mul.lo.u32 {by}, {piece}, {BYTES};");
            let lane = if self.options.tensor { self.hardware_lane(lane) } else { lane };
            let (from, to) = (self.of_lane(own, lane), self.of_lane(own_target, lane));
            let text = &mut self.text;
            let (wide, apart) = (text.reg(Kind::Long), text.reg(Kind::Long));
            // An iteration moves a row by its length.
            ptx!(text, "mad.lo.u32 {more}, {step}, {}, {by};", row * BYTES);
            ptx!(text, "cvt.u64.u32 {wide}, {more};");
            ptx!(text, "add.s64 {apart}, {from}, {wide};");
            ptx!(text, "sub.s64 {apart}, {apart}, {own};");
            ptx!(text, "mad.lo.u32 {more}, {step}, {distance}, {by};");
            ptx!(text, "cvt.u64.u32 {wide}, {more};");
            ptx!(text, "add.s64 {to}, {to}, {wide};");
            Exchanged { distance: apart, target: to }
        };
        (0..pieces * steps).map(|number| number * LANES).map(copy).collect()
    }

    /// What another lane has in a register.
    fn of_lane(&mut self, reg: Reg, lane: Reg) -> Reg {
        let (mask, text) = (self.mask(), &mut self.text);
        let (result, [low, high]) = (text.reg(Kind::Long), [(); 2].map(|()| text.reg(Kind::Word)));
        ptx!(text, "mov.b64 {{{low}, {high}}}, {reg};");
        for half in [low, high] {
            ptx!(text, "shfl.sync.idx.b32 {half}, {half}, {lane}, 31, {mask};");
        }
        ptx!(text, "mov.b64 {result}, {{{low}, {high}}};");
        result
    }
}
