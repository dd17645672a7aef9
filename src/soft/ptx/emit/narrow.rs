//! Checks in 32 bits: most accesses are to an allocation at an index of type `uint` times a stride. The launch knows from which index on
//! such an access does not fit, so the index itself is compared, and the address is one multiplication with a sum. Loads that do not depend on
//! each other have one branch, and an access where one was that fits has no check.

use super::super::text::{Kind, Label, Reg, ptx};
use super::memory::{Limit, Target};
use super::{Emit, Root, SiteKind};
use crate::soft::ir::{AllocationKind, Op, Scalar, Span, Type, Value};

/// The largest distance, so that the end of an access has 32 bits.
const MAX_DISTANCE: u32 = 1 << 30;

/// An access at an index, which has an exit.
struct Narrow {
    access: Access,
    bytes: u32,
    /// The registers of the index, of the first index that does not fit, and of the first offset.
    index: Reg,
    narrow: Reg,
    limit: Reg,
    /// The register for the offset, where the fault is recorded, and the label after it.
    offset: Reg,
    exit: Label,
    target: Target,
}

/// An allocation, an index, what it is multiplied with, and a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    allocation: u32,
    index: Value,
    stride: u32,
    distance: u32,
}

/// An access that is known to fit, and the register with its address.
pub(super) struct CheckedIndex {
    access: Access,
    bytes: u32,
    address: Reg,
}

/// Checks in 64 bits, after the kernel's end, for where one in 32 bits failed: memory may be longer than an index of 32 bits reaches.
pub(super) struct WideCheck {
    label: Label,
    checks: Vec<Narrow>,
    /// Where execution continues without a fault.
    back: Label,
}

impl Emit<'_> {
    /// The parts of a pointer, if its address is so simple.
    fn index_of(&self, pointer: Value) -> Option<Access> {
        let (mut at, mut distance) = (pointer, 0i64);
        loop {
            let inst = self.function.inst(at);
            let by = match inst.op {
                Op::Field => inst.imm as i64,
                Op::Index => match self.function.constant_index(inst.args[1]) {
                    Some(number) => number.checked_mul(inst.imm as i64)?,
                    None => break,
                },
                _ => return None,
            };
            distance = distance.checked_add(by)?;
            at = inst.args[0];
        }
        let inst = self.function.inst(at);
        let (start, index) = (self.function.inst(inst.args[0]), inst.args[1]);
        let is_word = self.function.ty(index) == Type::Scalar(Scalar::U32);
        let stride = u32::try_from(inst.imm).ok().filter(|stride| *stride != 0)?;
        (start.op == Op::Allocation && is_word).then_some(())?;
        let distance = u32::try_from(distance).ok().filter(|distance| *distance <= MAX_DISTANCE)?;
        Some(Access { allocation: start.imm as u32, index, stride, distance })
    }

    /// An access that is checked so, if it can be.
    pub(super) fn narrow_access(
        &mut self,
        pointer: Value,
        bytes: u32,
        write: bool,
        span: Span,
    ) -> Option<Target> {
        let access = self.narrow_index(pointer, write)?;
        if let Some(address) = self.fitting(access, bytes) {
            let target = self.narrow_target(access, pointer, bytes)?;
            return Some(Target { address, ..target });
        }
        let check = self.index_check(access, pointer, bytes, write, span)?;
        self.check_narrow(vec![check]).pop()
    }

    /// Checks loads before any of them is written: those that can be by one branch.
    pub(super) fn check_all(&mut self, loads: &[Value]) {
        let (mut together, mut checks) = (Vec::new(), Vec::new());
        for &load in loads {
            let inst = *self.function.inst(load);
            let (pointer, bytes) = (inst.args[0], inst.ty.bytes());
            let elsewhere = self.versions.is_checked(load)
                || self.is_joined(load)
                || self.pushed_offset(pointer).is_some();
            let access = if elsewhere { None } else { self.narrow_index(pointer, false) };
            let access = access.filter(|access| self.fitting(*access, bytes).is_none());
            let check = access.and_then(|access| {
                self.note_joined(&inst);
                self.index_check(access, pointer, bytes, false, inst.span)
            });
            match check {
                Some(check) => {
                    together.push(load);
                    checks.push(check);
                }
                None => {
                    // In order, as the first fault counts.
                    self.check_loads(&mut together, &mut checks);
                    self.check_early(load);
                }
            }
        }
        self.check_loads(&mut together, &mut checks);
    }

    fn check_loads(&mut self, loads: &mut Vec<Value>, checks: &mut Vec<Narrow>) {
        let targets = self.check_narrow(std::mem::take(checks));
        self.targets.extend(loads.drain(..).zip(targets));
    }

    /// The parts of a pointer whose index may be checked instead of its offset.
    fn narrow_index(&self, pointer: Value, write: bool) -> Option<Access> {
        if self.is_routine || !self.options.checked {
            return None;
        }
        let access = self.index_of(pointer)?;
        let kind = &self.module.allocations[access.allocation as usize].kind;
        let is_buffer = matches!(kind, AllocationKind::Buffer { .. });
        (is_buffer && (!write || self.is_writable(access.allocation))).then_some(access)
    }

    /// The register with the address of an access that is known to fit.
    fn fitting(&self, access: Access, bytes: u32) -> Option<Reg> {
        let fits = |fit: &&CheckedIndex| fit.access == access && fit.bytes >= bytes;
        self.fits.iter().find(fits).map(|fit| fit.address)
    }

    /// The memory of an access, but for its address.
    fn narrow_target(&mut self, access: Access, pointer: Value, bytes: u32) -> Option<Target> {
        let window = Self::window(self.function.ty(pointer).space()?);
        let (value, root) = (self.scalar(pointer), Root::Allocation(access.allocation));
        let alignment = self.alignment(pointer).min(bytes);
        let ahead = access.distance.into();
        Some(Target { window, address: value, ahead, alignment, value, root })
    }

    fn index_check(
        &mut self,
        access: Access,
        pointer: Value,
        bytes: u32,
        write: bool,
        span: Span,
    ) -> Option<Narrow> {
        let Access { allocation, index, stride, distance } = access;
        let space = self.function.ty(pointer).space()?;
        let limit = self.limit_of(allocation, bytes, write);
        let narrow = self.limit(Limit::of_index(allocation, bytes, stride, distance));
        let target = self.narrow_target(access, pointer, bytes)?;
        let (index, offset) = (self.scalar(index), self.text.reg(Kind::Long));
        let kind = SiteKind::Access { root: target.root, space, bytes, write };
        let exit = self.exit(span, kind, offset);
        Some(Narrow { access, bytes, index, narrow, limit, offset, exit, target })
    }

    /// Checks indices by one branch, and computes the addresses.
    fn check_narrow(&mut self, checks: Vec<Narrow>) -> Vec<Target> {
        if checks.is_empty() {
            return Vec::new();
        }
        let (label, back) = (self.text.label(), self.text.label());
        let wrong = self.text.reg(Kind::Predicate);
        let mut done: Vec<(Reg, Reg)> = Vec::new();
        for &Narrow { index, narrow, .. } in &checks {
            if done.contains(&(index, narrow)) {
                continue;
            }
            match done.is_empty() {
                true => ptx!(self.text, "setp.ge.u32 {wrong}, {index}, {narrow};"),
                false => ptx!(self.text, "setp.ge.or.u32 {wrong}, {index}, {narrow}, {wrong};"),
            }
            done.push((index, narrow));
        }
        ptx!(self.text, "@{wrong} bra {label};");
        self.text.place(back);
        let mut targets = Vec::with_capacity(checks.len());
        for &Narrow { access, bytes, index, target, .. } in &checks {
            let (base, address) = (self.base(access.allocation), self.text.reg(Kind::Long));
            ptx!(self.text, "mad.wide.u32 {address}, {index}, {}, {base};", access.stride);
            self.fits.push(CheckedIndex { access, bytes, address });
            targets.push(Target { address, ..target });
        }
        self.wide_checks.push(WideCheck { label, checks, back });
        targets
    }

    /// The checks in 64 bits, past the end of the kernel.
    pub(super) fn wide_checks(&mut self) {
        for WideCheck { label, checks, back } in std::mem::take(&mut self.wide_checks) {
            self.text.place(label);
            for Narrow { access, index, limit, offset, exit, .. } in checks {
                let wrong = self.text.reg(Kind::Predicate);
                ptx!(self.text, "mul.wide.u32 {offset}, {index}, {};", access.stride);
                ptx!(self.text, "add.u64 {offset}, {offset}, {};", access.distance);
                ptx!(self.text, "setp.ge.u64 {wrong}, {offset}, {limit};");
                ptx!(self.text, "@{wrong} bra {exit};");
            }
            ptx!(self.text, "bra {back};");
        }
    }
}
