//! Checks of several loads at once. Loads at constant distances from one pointer, with no other effect between them, are in bounds if the
//! first and the last of them are. If not, they are checked one by one, so that the first fault is reported.

use std::collections::HashMap;

use super::super::text::{Kind, Label, Reg, ptx};
use super::flow::has_no_effect;
use super::{Emit, Root, SiteKind};
use crate::soft::ir::{Inst, Op, Stmt, Value, internal_error};

/// Loads that are checked together, in order, each with its distance from the pointer that they have in common.
#[derive(Debug)]
pub(super) struct Joined {
    pointer: Value,
    bytes: u32,
    loads: Vec<(Value, i64)>,
    /// Whether they have been checked.
    done: bool,
}

/// The individual checks of joined loads whose common check failed.
pub(super) struct IndividualChecks {
    label: Label,
    /// The pointer that they have in common, and the limit.
    start: Reg,
    limit: Reg,
    /// For each load the register for its offset, the distance, and where to go.
    checks: Vec<(Reg, i64, Label)>,
}

/// The joined loads of a kernel.
#[derive(Default)]
pub(super) struct Joins {
    groups: Vec<Joined>,
    /// The group of each load that is in one.
    of: HashMap<Value, usize>,
    cold: Vec<IndividualChecks>,
}

/// The number of loads from which on one check of two bounds costs less than a check of each.
const MIN_JOINED: usize = 3;

impl Emit<'_> {
    /// Finds loads that can be checked together among the first statements of a block, up to one with an effect.
    pub(super) fn join_loads(&mut self, block: &[Stmt]) {
        let mut found: HashMap<(Value, u32), Vec<(Value, i64)>> = HashMap::new();
        for stmt in block {
            let Stmt::Do(value) = stmt else { break };
            if !has_no_effect(self.function, stmt) {
                break;
            }
            let inst = *self.function.inst(*value);
            if inst.op == Op::Load && inst.imm == 0 {
                let (pointer, distance) = self.split_distance(inst.args[0]);
                if let Root::Allocation(number) = self.root(pointer)
                    && self.pushed(number).is_none()
                    && !self.versions.is_checked(*value)
                {
                    let key = (pointer, inst.ty.bytes());
                    found.entry(key).or_default().push((*value, distance));
                }
            }
        }
        for ((pointer, bytes), loads) in found {
            if loads.len() < MIN_JOINED {
                continue;
            }
            let number = self.joins.groups.len();
            self.joins.of.extend(loads.iter().map(|&(load, _)| (load, number)));
            self.joins.groups.push(Joined { pointer, bytes, loads, done: false });
        }
    }

    /// Whether a load is checked together with others.
    pub(super) fn is_joined(&self, load: Value) -> bool {
        self.joins.of.contains_key(&load)
    }

    /// The loads are written. Where they are written once more, in another version of a loop, these checks have not been done.
    pub(super) fn end_joins(&mut self) {
        self.joins.of.clear();
    }

    /// A pointer as another one and a distance from it.
    fn split_distance(&self, pointer: Value) -> (Value, i64) {
        let (mut at, mut distance) = (pointer, 0i64);
        loop {
            let inst = self.function.inst(at);
            match inst.op {
                Op::Field => distance = distance.wrapping_add(inst.imm as i64),
                Op::Index => {
                    let Some(by) = self.function.constant_index(inst.args[1]) else { break };
                    distance = distance.wrapping_add(by.wrapping_mul(inst.imm as i64));
                }
                _ => break,
            }
            at = inst.args[0];
        }
        (at, distance)
    }

    /// Checks a load together with others, if it can be; `false` if it has to be checked alone.
    pub(super) fn checked_together(&mut self, load: Value) -> bool {
        let Some(&number) = self.joins.of.get(&load) else { return false };
        if std::mem::replace(&mut self.joins.groups[number].done, true) {
            return true;
        }
        let Joined { pointer, bytes, ref loads, .. } = self.joins.groups[number];
        let loads = loads.clone();
        let Root::Allocation(allocation) = self.root(pointer) else {
            internal_error("PTX: joined loads of no allocation".to_owned())
        };
        let (start, limit) = (self.scalar(pointer), self.limit_of(allocation, bytes, false));
        let distances = || loads.iter().map(|&(_, distance)| distance);
        let (least, most) = (distances().min().unwrap_or(0), distances().max().unwrap_or(0));
        let label = self.text.label();
        let wrong = self.text.reg(Kind::Predicate);
        for end in [least, most] {
            let at = self.text.reg(Kind::Long);
            ptx!(self.text, "add.s64 {at}, {start}, {end};");
            ptx!(self.text, "setp.ge.u64 {wrong}, {at}, {limit};");
            ptx!(self.text, "@{wrong} bra {label};");
        }
        let root = Root::Allocation(allocation);
        let mut checks = Vec::with_capacity(loads.len());
        for &(load, distance) in &loads {
            let Inst { span, args, .. } = *self.function.inst(load);
            let Some(space) = self.function.ty(args[0]).space() else {
                internal_error("PTX: a load through no pointer".to_owned())
            };
            let at = self.text.reg(Kind::Long);
            let kind = SiteKind::Access { root, space, bytes, write: false };
            checks.push((at, distance, self.exit(span, kind, at)));
        }
        self.joins.cold.push(IndividualChecks { label, start, limit, checks });
        true
    }

    /// The checks one by one, past the end of the kernel. One of them fails.
    pub(super) fn one_by_one(&mut self) {
        for IndividualChecks { label, start, limit, checks } in std::mem::take(&mut self.joins.cold)
        {
            self.text.place(label);
            let wrong = self.text.reg(Kind::Predicate);
            for &(at, distance, exit) in &checks {
                ptx!(self.text, "add.s64 {at}, {start}, {distance};");
                ptx!(self.text, "setp.ge.u64 {wrong}, {at}, {limit};");
                ptx!(self.text, "@{wrong} bra {exit};");
            }
            if let Some((_, _, exit)) = checks.last() {
                ptx!(self.text, "bra {exit};");
            }
        }
    }
}
