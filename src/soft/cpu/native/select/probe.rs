//! Probes of checked kernels (`specs/sanitizer.md`): the code calls what the interpreter calls, with the lanes' pointers.

use super::stamps::Stamped;
use super::written::{Noted, can_note};
use super::{INT, LANES, Selection};
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::shape::{Start, Sum};
use crate::soft::ir::{Inst, Op, Probe, Scalar, Space, Value};

impl Selection<'_> {
    /// Requests the forms in which the operands of a probe, or of `Unwritten`, are needed.
    pub(super) fn demand_probe(&mut self, inst: &Inst) {
        let Some(&pointer) = inst.args.first() else { return };
        let Some((start, sum)) = self.address(pointer) else { return };
        self.need_address(start, &sum);
        let bits = if self.is_affine(&sum) { INT } else { LANES };
        sum.lanes.iter().for_each(|&(term, _)| self.need(term, bits));
        for &value in &inst.args[1..] {
            let bits = if self.shapes.is_same(value) { INT } else { LANES };
            self.need(value, bits);
        }
    }

    /// Observes what the active lanes do.
    pub(super) fn probe(&mut self, value: Value, inst: &Inst) {
        let what = Probe::from_imm(inst.imm);
        let pointer = inst.args.first().and_then(|&pointer| self.observed(pointer));
        let stored = inst.args.get(1).map(|&stored| {
            if self.shapes.is_same(stored) {
                let reg = self.number(stored);
                return self.int_operand(stored, reg);
            }
            let lanes = self.in_lanes(stored);
            self.lanes_operand(stored, lanes)
        });
        let (is_stamped, wanted) = match what {
            Some(Probe::Access { kind, bytes, known })
                if self.can_stamp(kind, bytes << self.shift(inst.args[0]), known) =>
            {
                (Some((kind, bytes)), None)
            }
            _ => (None, self.wanted(what, inst)),
        };
        // Events of the whole SIMD-group have no lanes.
        let exec = if inst.args.is_empty() && !matches!(what, Some(Probe::Found(_))) {
            Vec::new()
        } else {
            self.exec.clone()
        };
        let marked = match what {
            Some(Probe::Wrote { bytes }) if can_note(bytes) && self.is_own(inst.args[0]) => {
                Some(bytes)
            }
            _ => None,
        };
        let access = pointer.clone().filter(|_| is_stamped.is_some() || marked.is_some());
        let operand = is_stamped.and(stored.clone());
        let what = SiteKind::Probe { imm: inst.imm, value: value.0, exec, pointer, stored };
        let site = self.site(self.run.access_site(value), what);
        let passed = match Probe::from_imm(inst.imm) {
            _ if self.stamps.is_none() => None,
            Some(Probe::Start { .. }) => Some(None),
            Some(Probe::Threadgroup(flags)) => {
                Some(Some(([flags.device(), flags.threadgroup()], true)))
            }
            Some(Probe::Simdgroup(flags)) => {
                Some(Some(([flags.device(), flags.threadgroup()], false)))
            }
            _ => None,
        };
        if let Some(passed) = passed {
            return self.resume(site, passed);
        }
        if let (Some((kind, bytes)), Some(access), Some((start, sum))) = (
            is_stamped,
            access.as_ref(),
            inst.args.first().and_then(|&pointer| self.address(pointer)),
        ) {
            let own = self.is_own(inst.args[0]);
            let (stored, sum) = (operand.as_ref(), &sum);
            let shift = self.shift(inst.args[0]);
            let stamped =
                Stamped { value, site, kind, own, bytes, shift, start, sum, access, stored };
            return self.stamp(&stamped);
        }
        if let (Some(bytes), Some(access), Some((start, sum))) =
            (marked, access, inst.args.first().and_then(|&pointer| self.address(pointer)))
        {
            return self.note_written(&Noted { site, start, sum: &sum, access: &access, bytes });
        }
        self.call_if(wanted, site);
    }

    /// The shift of cells of a pointer's memory.
    fn shift(&self, pointer: Value) -> u32 {
        let own = usize::from(self.is_own(pointer));
        self.stamps.map_or(0, |shifts| shifts[own].into())
    }

    /// Whether a pointer is into threadgroup memory.
    fn is_own(&self, pointer: Value) -> bool {
        self.ty(pointer).space() == Some(Space::Threadgroup)
    }

    /// A number that is 0 if a probe need not be called; `None` if it always is.
    fn wanted(&mut self, probe: Option<Probe>, inst: &Inst) -> Option<Reg> {
        match probe {
            Some(Probe::Aligned { bytes }) => self.is_misaligned(inst.args[0], bytes),
            Some(Probe::Wrote { .. }) => self.is_wanted(inst.args[0]),
            _ => None,
        }
    }

    /// Calls the function of a site, unless a number is 0. Nothing that the call uses is computed after the jump around it, as other
    /// code may use it, too.
    fn call_if(&mut self, wanted: Option<Reg>, site: u32) {
        let Some(s) = wanted else { return self.emit(Ins::Call { site }) };
        let to = self.label();
        self.emit(Ins::JumpIf { zero: true, s, to });
        self.emit(Ins::Call { site });
        self.emit(Ins::Label(to));
    }

    /// A number that is 0 if the checker does not want to know of accesses to the memory of a pointer; `None` if it always does.
    fn is_wanted(&mut self, pointer: Value) -> Option<Reg> {
        if self.ty(pointer).space() != Some(Space::Device) {
            return None;
        }
        let (d, disp) = (self.int(), Layout::OBSERVES_DEVICE);
        let mem = MemRef { base: MemBase::Wave, index: None, disp };
        self.emit(Ins::LoadInt { from: Scalar::U8, d, mem });
        Some(d)
    }

    /// A number that is 0 if the addresses of all lanes are multiples of a power of two; `None` if lanes may differ in that.
    fn is_misaligned(&mut self, pointer: Value, bytes: u32) -> Option<Reg> {
        let (start, sum) = self.address(pointer)?;
        let Start::Region(number) = start else { return None };
        if !bytes.is_power_of_two()
            || sum.lanes.iter().any(|&(_, scale)| scale % i64::from(bytes) != 0)
        {
            return None;
        }
        let (base, _) = self.region(number, 1, false, u64::MAX);
        let offset = self.offset(&sum);
        let (a, d) = (self.plus(base, offset), self.int());
        self.emit(Ins::IntImm { op: IntOp::And, wide: false, d, a, imm: bytes as i32 - 1 });
        Some(d)
    }

    /// Asks which bytes of memory were not written.
    pub(super) fn unwritten(&mut self, value: Value, inst: &Inst) {
        let Some(mut access) = self.observed(inst.args[0]) else { return };
        let wanted = self.is_wanted(inst.args[0]);
        let bits: Vec<Reg> =
            (0..self.parts()).map(|_| self.reg(Class::Vector, wanted.is_some())).collect();
        if wanted.is_some() {
            let a = self.lane_constant(0);
            bits.iter().for_each(|&d| self.emit(Ins::Lane1 { op: Lane1::Move, d, a }));
        }
        access.data.push(Operand::Lanes(bits.clone()));
        let bytes = inst.imm as u32;
        let what = SiteKind::Unwritten { bytes, access: access.clone() };
        let site = self.site(self.run.access_site(value), what);
        match self.address(inst.args[0]) {
            Some((start, sum)) if self.is_own(inst.args[0]) && can_note(bytes) => {
                let noted = Noted { site, start, sum: &sum, access: &access, bytes };
                self.find_unwritten(&noted, &bits);
            }
            _ => self.call_if(wanted, site),
        }
        self.give_lanes(value, bits);
    }

    /// The addresses of the lanes, without a check.
    fn observed(&mut self, pointer: Value) -> Option<Access> {
        let (start, sum) = self.address(pointer)?;
        let offset = self.offset(&sum);
        let (region, offset) = match start {
            Start::Region(number) => (RegionRef::Number(number), offset),
            Start::Pointer(pointer) => {
                let (found, _, inner) = self.find_region(pointer);
                (RegionRef::Found(found), self.plus(offset, inner))
            }
            Start::Local(_) | Start::ThreadPointer(_) => return None,
        };
        let terms = self.terms(&sum);
        let exec = self.exec.clone();
        let (scalar, data) = (Scalar::U8, Vec::new());
        Some(Access { write: false, region, scalar, offset, terms, exec, data, joined: false })
    }

    /// The distance that each lane adds to an offset.
    fn terms(&mut self, sum: &Sum) -> Vec<Term> {
        let affine = self.is_affine(sum);
        let term = |&(index, scale): &(Value, i64)| Term {
            index: match self.shapes.step(index) {
                Some(stride) if affine => LaneIndex::Affine { first: self.number(index), stride },
                _ => self.lane_index(index),
            },
            signed: self.scalar(index).is_signed(),
            scale,
        };
        sum.lanes.iter().map(term).collect()
    }
}

/// Whether an operation observes memory.
pub(super) fn observes(op: Op) -> bool {
    matches!(op, Op::Probe | Op::Unwritten)
}
