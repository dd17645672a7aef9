//! Segments of stamped accesses (`specs/sanitizer.md`): where a SIMD-group begins or has passed a barrier, machine code sets the limits that
//! stamps are compared with, as `kernel/sanitize/stamps.rs` does.

use super::Selection;
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::cpu::native::region::Layout;
use crate::soft::ir::Scalar;
use crate::soft::kernel::sanitize::stamps::QuickLayout as Quick;

impl Selection<'_> {
    /// A SIMD-group begins, or has passed a barrier: `passed` says what it orders, for device and for threadgroup memory, and whether it
    /// is the threadgroup's. A segment begins, as `Events::resume` does it.
    pub(super) fn resume(&mut self, site: u32, passed: Option<([bool; 2], bool)>) {
        self.noted = None;
        let quick = self.quick();
        let room = self.quick_int(quick, Scalar::U64, Quick::SEGMENTS);
        let end = self.quick_int(quick, Scalar::U64, Quick::SEGMENTS_END);
        self.emit(Ins::CheckBelow { a: room, limit: end, site });
        let (zero, wide, kind) = (self.constant(0), false, Num::Unsigned);
        let last = self.quick_int(quick, Scalar::U32, Quick::LAST);
        self.emit(Ins::CheckBelow { a: zero, limit: last, site });
        let next = self.quick_int(quick, Scalar::U32, Quick::NEXT);
        let number = self.int();
        let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::NUMBER };
        self.emit(Ins::LoadInt { from: Scalar::U32, d: number, mem });
        let (imm, bytes) = (Quick::CLOCK_BYTES, self.int());
        self.emit(Ins::IntImm { op: IntOp::Mul, wide: true, d: bytes, a: number, imm });
        let clock = self.plus(quick, bytes);
        if passed.is_none() {
            self.begin(quick, next, number);
            for word in (0..Quick::CLOCK_BYTES).step_by(4) {
                self.put_quick(clock, Quick::CLOCKS + word, zero);
            }
        }
        let add = |selection: &mut Self, disp: i32| {
            let disp = Quick::CLOCKS + disp;
            let (count, more) = (selection.quick_int(clock, Scalar::U32, disp), selection.int());
            selection.emit(Ins::IntImm { op: IntOp::Add, wide, d: more, a: count, imm: 1 });
            selection.put_quick(clock, disp, more);
            more
        };
        let (orders, of_group) = passed.unwrap_or(([true; 2], true));
        for own in [false, true] {
            let (at, counts) = (usize::from(own), Quick::COUNTS[usize::from(own)]);
            let limits = Quick::LIMITS[at];
            if !orders[at] || !of_group {
                if orders[at] {
                    add(self, counts + 4);
                }
                let phase = self.quick_int(quick, Scalar::U32, limits + Quick::PHASE);
                self.put_quick(quick, limits + Quick::WAVE, phase);
                continue;
            }
            if passed.is_some() {
                let epoch = add(self, counts);
                let phases = self.quick_int(quick, Scalar::U32, limits + Quick::PHASES);
                let (is_new, to) = (self.int(), self.label());
                let test = Test::Lt;
                self.emit(Ins::Compare { test, kind, wide, d: is_new, a: phases, b: epoch });
                self.emit(Ins::JumpIf { zero: true, s: is_new, to });
                self.put_quick(quick, limits + Quick::PHASES, epoch);
                self.put_quick(quick, limits + Quick::PHASE, next);
                let (group, done) =
                    (self.quick_int(quick, Scalar::U32, limits + Quick::GROUP), self.int());
                self.emit(Ins::Int { op: IntOp::Sub, wide, d: done, a: next, b: group });
                self.put_quick(quick, limits + Quick::DONE, done);
                if own {
                    self.put_quick(quick, limits + Quick::START, next);
                }
                self.emit(Ins::Label(to));
            }
            self.put_quick(quick, limits + Quick::WAVE, next);
        }
        if passed.is_some() && of_group {
            add(self, Quick::MET);
        }
        // A segment that has no events is replaced.
        let before = Quick::SEGMENT_FIRST - Quick::SEGMENT_BYTES;
        let first = self.quick_int(room, Scalar::U32, before);
        let (is_empty, at, back) = (self.int(), self.int(), Quick::SEGMENT_BYTES);
        let less = self.plus_constant(room, -i64::from(back));
        self.emit(Ins::Compare { test: Test::Eq, kind, wide, d: is_empty, a: first, b: next });
        self.emit(Ins::Choose { wide: true, d: at, c: is_empty, a: less, b: room });
        let group = self.quick_int(quick, Scalar::U32, Quick::OF_GROUP);
        self.put_quick(at, Quick::SEGMENT_FIRST, next);
        self.put_quick(at, Quick::SEGMENT_GROUP, group);
        self.put_quick(at, Quick::SEGMENT_WAVE, number);
        for word in (0..Quick::CLOCK_BYTES).step_by(4) {
            let count = self.quick_int(clock, Scalar::U32, Quick::CLOCKS + word);
            self.put_quick(at, Quick::SEGMENT_CLOCK + word, count);
        }
        let after = self.plus_constant(at, back.into());
        let mem = MemRef { base: MemBase::Reg(quick), index: None, disp: Quick::SEGMENTS };
        self.emit(Ins::StoreInt { bytes: 8, mem, s: after });
        for disp in [Quick::SEGMENT, Quick::CONVERGED] {
            self.put_quick(quick, disp, next);
        }
        self.put_quick(quick, Quick::LANES, zero);
        self.emit(Ins::SiteEnd { site });
    }

    /// A SIMD-group begins: the first one may begin another threadgroup, as in `Events::begin`.
    fn begin(&mut self, quick: Reg, next: Reg, number: Reg) {
        let (entered, to) = (self.label(), self.label());
        let none = self.constant(0);
        self.emit(Ins::JumpIf { zero: false, s: number, to });
        let is_entered = self.quick_int(quick, Scalar::U32, Quick::ENTERED);
        self.emit(Ins::JumpIf { zero: false, s: is_entered, to: entered });
        let (before, group) = (self.quick_int(quick, Scalar::U32, Quick::OF_GROUP), self.int());
        self.emit(Ins::IntImm { op: IntOp::Add, wide: false, d: group, a: before, imm: 1 });
        self.put_quick(quick, Quick::OF_GROUP, group);
        for (own, limits) in [false, true].into_iter().zip(Quick::LIMITS) {
            for disp in [Quick::GROUP, Quick::PHASE] {
                self.put_quick(quick, limits + disp, next);
            }
            for disp in [Quick::DONE, Quick::PHASES] {
                self.put_quick(quick, limits + disp, none);
            }
            if own {
                self.put_quick(quick, limits + Quick::START, next);
            }
        }
        self.emit(Ins::Label(entered));
        self.put_quick(quick, Quick::ENTERED, none);
        self.emit(Ins::Label(to));
    }
}
