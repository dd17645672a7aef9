//! The code around a kernel's whole body: from strip to strip, from SIMD-group to SIMD-group, and from threadgroup to
//! threadgroup. `x11` is the state that the code shares with the launch, wherever it is named here.
//!
//! At a barrier a strip leaves what it needs later in its area, with the address where it continues, and the next strip's
//! turn comes: its area, SIMD-group and first lane are loaded. The last area stands for the end of the round.

use super::{
    BUDGET, Emitter, FIRST_LANE, FRAME, OWN_MEMORY, WAVE, X0, X9, X10, X11, X12, ZERO, pair,
};
use crate::soft::cpu::native::aarch64::asm::{Cond, Gpr, Label};
use crate::soft::cpu::native::aarch64::ops;
use crate::soft::cpu::native::barriers::Kept;
use crate::soft::cpu::native::group::StateLayout as S;
use crate::soft::cpu::native::lir::{Body, Class, Ins};
use crate::soft::cpu::native::region::Layout;

const STATE: Gpr = X11;

/// Positions that the code of a body jumps to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    /// A threadgroup starts, and it has ended.
    pub(super) start: Label,
    end: Label,
    /// The next strip's turn.
    pub(super) next: Label,
}

impl Emitter<'_> {
    fn word(&mut self, to: Gpr, base: Gpr, offset: i32) {
        self.access(ops::LDR_W, to.0, base, offset, 4);
    }

    fn set_word(&mut self, from: Gpr, base: Gpr, offset: i32) {
        self.access(ops::STR_W, from.0, base, offset, 4);
    }

    fn long(&mut self, to: Gpr, base: Gpr, offset: i32) {
        self.access(ops::LDR_X, to.0, base, offset, 8);
    }

    fn byte(&mut self, to: Gpr, base: Gpr, offset: i32) {
        self.access(ops::LDRB, to.0, base, offset, 1);
    }

    /// Finds the state by the SIMD-group.
    fn state(&mut self) {
        self.long(STATE, WAVE, Layout::GROUPS);
    }

    /// Makes the strip whose area this is continue at a position.
    fn resume_at(&mut self, label: Label) {
        self.asm.address_of(X9, label);
        self.access(ops::STR_X, X9.0, OWN_MEMORY, self.area.resume as i32, 8);
    }

    /// `extern "C" fn(state) -> u32`, up to where a strip starts.
    pub(super) fn enter_body(&mut self, body: Body, strip: Label) -> Labels {
        let asm = &mut self.asm;
        let labels = Labels { start: asm.label(), end: asm.label(), next: asm.label() };
        self.save_callers();
        self.asm.mov(true, STATE, X0);
        self.long(FRAME, STATE, S::FRAME);
        self.long(BUDGET, STATE, S::BUDGET);
        if body == Body::Phases {
            self.long(OWN_MEMORY, STATE, S::AREAS);
            self.first_strip_of(STATE);
            return labels;
        }
        let asm = &mut self.asm;
        let (again, begin) = (asm.label(), asm.label());
        let (round, switch) = (asm.label(), asm.label());
        let area_bytes = i64::from(self.area.bytes);
        self.asm.bind(labels.start);
        self.long(OWN_MEMORY, STATE, S::AREAS);
        self.long(X10, STATE, S::LAST_AREA);
        self.asm.bind(again);
        self.resume_at(strip);
        self.add(OWN_MEMORY, OWN_MEMORY, area_bytes);
        self.asm.int(ops::SUBS, true, ZERO, OWN_MEMORY, X10);
        self.asm.jump_if(Cond::Below, again);
        self.resume_at(round);
        self.asm.bind(begin);
        self.set_word(ZERO, STATE, S::EXPECTED);
        self.set_word(ZERO, STATE, S::EXPECTED_STRICTLY);
        self.long(OWN_MEMORY, STATE, S::AREAS);
        self.asm.jump(switch);

        // The end of a round, with one of its SIMD-groups.
        self.asm.bind(round);
        self.state();
        self.word(X9, STATE, S::EXPECTED);
        self.word(X10, STATE, S::EXPECTED_STRICTLY);
        self.asm.int(ops::ORR, false, X9, X9, X10);
        self.asm.jump_zero(true, false, X9, labels.end);
        self.byte(X9, STATE, S::STRICT);
        self.asm.jump_zero(true, false, X9, begin);
        // The slow path of the barrier's site checks whether all threads wait at it.
        self.word(X9, STATE, S::STRICT_SITE);
        self.asm.call(self.thunk);
        self.state();
        self.asm.jump(begin);

        self.asm.bind(labels.next);
        self.add(OWN_MEMORY, OWN_MEMORY, area_bytes);
        self.asm.bind(switch);
        self.long(WAVE, OWN_MEMORY, self.area.wave as i32);
        self.long(FIRST_LANE, OWN_MEMORY, self.area.first as i32);
        self.long(X9, OWN_MEMORY, self.area.resume as i32);
        self.asm.jump_register(X9);
        labels
    }

    /// The code after the end of a strip, up to the end of the call.
    pub(super) fn leave_body(&mut self, body: Body, labels: Labels) {
        if body == Body::Rounds {
            self.resume_at(labels.next);
            self.set_word(ZERO, OWN_MEMORY, self.area.waiting as i32);
            self.asm.jump(labels.next);
        } else {
            self.state();
        }
        self.asm.bind(labels.end);
        self.long(WAVE, STATE, S::WAVES);
        self.long(X10, STATE, S::PLACE);
        self.word(X9, STATE, S::STEP);
        self.word(X12, X10, Layout::ORIGIN);
        self.asm.int(ops::ADD, false, X12, X12, X9);
        self.set_word(X12, X10, Layout::ORIGIN);
        self.word(X12, X10, Layout::GROUP_POSITION);
        self.asm.add_imm(false, X12, X12, 1);
        self.set_word(X12, X10, Layout::GROUP_POSITION);
        self.word(X12, STATE, S::LEFT);
        self.asm.subs_imm(false, X12, X12, 1);
        self.set_word(X12, STATE, S::LEFT);
        let done = self.asm.label();
        self.asm.jump_zero(true, false, X12, done);
        self.long(X9, STATE, S::BEAT_WANTED);
        self.byte(X9, X9, 0);
        self.asm.jump_zero(true, false, X9, labels.start);
        self.asm.bind(done);
        self.asm.mov(false, X0, ZERO);
        self.asm.bind(self.exit);
        self.state();
        self.access(ops::STR_X, BUDGET.0, STATE, S::BUDGET, 8);
        self.restore_callers();
    }

    /// Goes to the first strip of the threadgroup.
    pub(super) fn first_strip(&mut self) {
        self.state();
        self.first_strip_of(STATE);
    }

    fn first_strip_of(&mut self, state: Gpr) {
        self.long(WAVE, state, S::WAVES);
        self.asm.mov(true, FIRST_LANE, ZERO);
    }

    /// Goes to the next strip of a phase, if there is one.
    pub(super) fn next_strip_of_phase(&mut self, again: Label) {
        if !self.is_whole() {
            self.next_first_lane(again);
            self.asm.mov(true, FIRST_LANE, ZERO);
        }
        self.state();
        self.add(WAVE, WAVE, Layout::WAVE_BYTES.into());
        self.long(X9, STATE, S::END);
        self.asm.int(ops::SUBS, true, ZERO, WAVE, X9);
        self.asm.jump_if(Cond::Below, again);
        // Back to one that exists.
        self.add(WAVE, WAVE, -i64::from(Layout::WAVE_BYTES));
    }

    /// A barrier: saves the strip's registers and continues with the next strip.
    pub(super) fn barrier(&mut self, at: usize, site: u32, next: Label) {
        let number = self.code.sites[site as usize].number + 1;
        let kept: Vec<Kept> = self.barriers.kept(at).collect();
        for kept in kept.iter().filter(|kept| !kept.in_memory) {
            self.keep(kept, ops::STR_X, ops::STP_Q);
        }
        let (resume, first) = (self.asm.label(), self.asm.label());
        self.firsts.push((first, site, number));
        self.state();
        self.word(X9, STATE, S::EXPECTED);
        self.asm.mov_imm(X10, number.into());
        self.asm.int(ops::SUBS, false, ZERO, X9, X10);
        self.asm.jump_if(Cond::NotEqual, first);
        self.asm.bind(self.ends[site as usize]);
        self.resume_at(resume);
        self.asm.jump(next);
        self.asm.bind(resume);
        for kept in kept {
            let info = self.code.regs[kept.reg.0 as usize];
            match info.home.filter(|_| !info.carried) {
                Some(home) => {
                    let from = self.load_home(home, pair(kept.number));
                    self.copy(pair(kept.number), from);
                }
                None => self.keep(&kept, ops::LDR_X, ops::LDP_Q),
            }
        }
    }

    /// The first strip of a round records its barrier, unless the rules are strict. A strip at another barrier takes the slow
    /// path.
    pub(super) fn first_at_barriers(&mut self) {
        for (first, site, number) in std::mem::take(&mut self.firsts) {
            let calls = self.asm.label();
            self.asm.bind(first);
            self.byte(X10, STATE, S::STRICT);
            self.asm.int(ops::ORR, false, X9, X9, X10);
            self.asm.jump_zero(false, false, X9, calls);
            self.asm.mov_imm(X9, number.into());
            self.set_word(X9, STATE, S::EXPECTED);
            self.asm.jump(self.ends[site as usize]);
            self.asm.bind(calls);
            self.call_site(site);
            self.asm.jump(self.ends[site as usize]);
        }
    }

    /// Saves the result of an instruction if barriers do not.
    pub(super) fn save_once(&mut self, ins: &Ins) {
        if let Some(kept) = self.barriers.saved_by(ins) {
            self.keep(&kept, ops::STR_X, ops::STP_Q);
        }
    }

    /// Stores or loads a register where slow paths find it.
    fn keep(&mut self, kept: &Kept, int: ops::Op, vectors: ops::Op) {
        let number = u32::from(kept.number);
        match kept.file {
            Class::Int => {
                let at = self.area.ints + number * 8;
                self.access(int, kept.number, OWN_MEMORY, at as i32, 8);
            }
            _ => {
                let at = self.area.vectors + number * 64;
                self.access_pair(vectors, pair(kept.number), OWN_MEMORY, at as i32);
            }
        }
    }
}
