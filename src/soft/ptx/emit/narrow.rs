//! Checks in 32 bits: most accesses are to an allocation at an index of type `uint` times a stride. The launch knows from which index on
//! such an access does not fit, so the index itself is compared, and the address is one multiplication with a sum.

use super::super::text::{Kind, Label, Reg, ptx};
use super::memory::{Limit, Target};
use super::{Emit, Root, SiteKind};
use crate::soft::ir::{AllocationKind, Op, Scalar, Span, Type, Value};

/// The largest distance, so that the end of an access has 32 bits.
const MOST_DISTANCE: u32 = 1 << 30;

/// A check that failed, in 64 bits, past the end of the kernel: the index may be the largest there is, of memory that is longer.
pub(super) struct Again {
    label: Label,
    index: Reg,
    stride: u32,
    distance: u32,
    limit: Reg,
    /// The register for the offset, where the fault is recorded, and the label after it, where execution continues without a fault.
    offset: Reg,
    exit: Label,
    back: Label,
}

impl Emit<'_> {
    /// The allocation, index, stride and constant distance of a pointer, if its address is so simple.
    fn index_of(&self, pointer: Value) -> Option<(u32, Value, u32, u32)> {
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
        let distance =
            u32::try_from(distance).ok().filter(|distance| *distance <= MOST_DISTANCE)?;
        Some((start.imm as u32, index, stride, distance))
    }

    /// An access that is checked so, if it can be.
    pub(super) fn narrow_access(
        &mut self,
        pointer: Value,
        bytes: u32,
        write: bool,
        span: Span,
    ) -> Option<Target> {
        if self.is_routine || !self.options.checked {
            return None;
        }
        let (number, index, stride, distance) = self.index_of(pointer)?;
        let kind = &self.module.allocations[number as usize].kind;
        if !matches!(kind, AllocationKind::Buffer { .. }) || write && !self.is_writable(number) {
            return None;
        }
        let space = self.function.ty(pointer).space()?;
        let wide = self.limit_of(number, bytes, write);
        let narrow = self.limit(Limit::of_index(number, bytes, stride, distance));
        let (value, index) = (self.scalar(pointer), self.scalar(index));
        let (base, root) = (self.base(number), Root::Allocation(number));
        let (label, back) = (self.text.label(), self.text.label());
        let (wrong, offset) = (self.text.reg(Kind::Predicate), self.text.reg(Kind::Long));
        let address = self.text.reg(Kind::Long);
        let exit = self.exit(span, SiteKind::Access { root, space, bytes, write }, offset);
        ptx!(self.text, "setp.ge.u32 {wrong}, {index}, {narrow};");
        ptx!(self.text, "@{wrong} bra {label};");
        self.text.place(back);
        ptx!(self.text, "mad.wide.u32 {address}, {index}, {stride}, {base};");
        self.again.push(Again { label, index, stride, distance, limit: wide, offset, exit, back });
        let alignment = self.alignment(pointer).min(bytes);
        let window = Self::window(space);
        Some(Target { window, address, ahead: distance.into(), alignment, value, root })
    }

    /// The checks in 64 bits, past the end of the kernel.
    pub(super) fn checks_again(&mut self) {
        for Again { label, index, stride, distance, limit, offset, exit, back } in
            std::mem::take(&mut self.again)
        {
            let wrong = self.text.reg(Kind::Predicate);
            self.text.place(label);
            ptx!(self.text, "mul.wide.u32 {offset}, {index}, {stride};");
            ptx!(self.text, "add.u64 {offset}, {offset}, {distance};");
            ptx!(self.text, "setp.ge.u64 {wrong}, {offset}, {limit};");
            ptx!(self.text, "@{wrong} bra {exit};");
            ptx!(self.text, "bra {back};");
        }
    }
}
