//! The code around a kernel's whole body: from strip to strip, from SIMD-group to SIMD-group, and from threadgroup to
//! threadgroup.
//!
//! A strip that comes to a barrier stores the registers that it needs later, and where it continues, in its area.
//! Then the next strip's area, SIMD-group and first lane are loaded, and the code continues where that strip stopped. The last
//! area stands for the end of the round.

use super::{Emitter, R12, R13, R14, R15};
use crate::soft::cpu::native::barriers::Kept;
use crate::soft::cpu::native::group::StateLayout as S;
use crate::soft::cpu::native::lir::{Body, Class, Ins};
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::x86_64::asm::{
    Alu, Cond, Extend, Gpr, Label, Mem, RAX, RBP, RCX, RDI, RDX, RSP, Vector as V, ops,
};

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
    /// `extern "sysv64" fn(state) -> u32`, up to where a strip starts.
    pub(super) fn enter_body(&mut self, body: Body, strip: Label) -> Labels {
        let asm = &mut self.asm;
        let labels = Labels { start: asm.label(), end: asm.label(), next: asm.label() };
        for reg in Self::SAVED {
            asm.push(reg);
        }
        asm.mov(true, RCX, RDI);
        asm.mov(true, RAX, RSP);
        asm.store(8, Mem::at(RCX, S::STACK), RAX);
        asm.alu_imm(Alu::And, true, RSP, -64);
        asm.mov(true, RBP, Mem::at(RCX, S::FRAME));
        asm.mov(true, R15, Mem::at(RCX, S::BUDGET));
        let at = |offset: u32| Mem::at(R12, offset as i32);
        let area = self.area;
        if body == Body::Phases {
            asm.mov(true, R12, Mem::at(RCX, S::AREAS));
            self.first_strip();
            return labels;
        }
        asm.bind(labels.start);
        asm.mov(true, R12, Mem::at(RCX, S::AREAS));
        let (again, round, switch) = (asm.label(), asm.label(), asm.label());
        asm.lea_label(RAX, strip);
        asm.bind(again);
        asm.store(8, at(area.resume), RAX);
        asm.alu_imm(Alu::Add, true, R12, area.bytes as i32);
        asm.alu(Alu::Cmp, true, R12, Mem::at(RCX, S::LAST_AREA));
        asm.jump_if(Cond::Below, again);
        asm.lea_label(RAX, round);
        asm.store(8, at(area.resume), RAX);
        let begin = asm.label();
        asm.bind(begin);
        asm.alu(Alu::Xor, false, RAX, RAX);
        asm.store(4, Mem::at(RCX, S::EXPECTED), RAX);
        asm.store(4, Mem::at(RCX, S::EXPECTED_STRICTLY), RAX);
        asm.mov(true, R12, Mem::at(RCX, S::AREAS));
        asm.jump(switch);

        // The end of a round, with one of its SIMD-groups.
        asm.bind(round);
        asm.mov(true, RCX, Mem::at(R14, Layout::GROUPS));
        asm.mov(false, RAX, Mem::at(RCX, S::EXPECTED));
        asm.alu(Alu::Or, false, RAX, Mem::at(RCX, S::EXPECTED_STRICTLY));
        asm.jump_if(Cond::Equal, labels.end);
        asm.extend(Extend::Zero8, false, RDX, Mem::at(RCX, S::STRICT));
        asm.test(false, RDX, RDX);
        asm.jump_if(Cond::Equal, begin);
        // The slow path of the barrier's site checks whether all threads wait at it.
        asm.mov(false, RAX, Mem::at(RCX, S::STRICT_SITE));
        asm.call(self.thunk);
        asm.jump(begin);

        asm.bind(labels.next);
        asm.alu_imm(Alu::Add, true, R12, area.bytes as i32);
        asm.bind(switch);
        asm.mov(true, R14, Mem::at(R12, area.wave as i32));
        asm.mov(true, R13, Mem::at(R12, area.first as i32));
        asm.jump_memory(at(area.resume));
        labels
    }

    /// The code after the end of a strip, up to the end of the call.
    pub(super) fn leave_body(&mut self, body: Body, labels: Labels) {
        let (area, asm) = (self.area, &mut self.asm);
        if body == Body::Rounds {
            asm.lea_label(RAX, labels.next);
            asm.store(8, Mem::at(R12, area.resume as i32), RAX);
            asm.alu(Alu::Xor, false, RAX, RAX);
            asm.store(4, Mem::at(R12, area.waiting as i32), RAX);
            asm.jump(labels.next);
        } else {
            asm.mov(true, RCX, Mem::at(R14, Layout::GROUPS));
        }
        asm.bind(labels.end);
        asm.mov(true, R14, Mem::at(RCX, S::WAVES));
        asm.mov(true, RDX, Mem::at(RCX, S::PLACE));
        asm.mov(false, RAX, Mem::at(RCX, S::STEP));
        asm.alu_store(Alu::Add, false, Mem::at(RDX, Layout::ORIGIN), RAX);
        asm.alu_imm(Alu::Add, false, Mem::at(RDX, Layout::GROUP_POSITION), 1);
        asm.alu_imm(Alu::Sub, false, Mem::at(RCX, S::LEFT), 1);
        let done = asm.label();
        asm.jump_if(Cond::Equal, done);
        asm.mov(true, RAX, Mem::at(RCX, S::BEAT_WANTED));
        asm.extend(Extend::Zero8, false, RAX, Mem::at(RAX, 0));
        asm.test(false, RAX, RAX);
        asm.jump_if(Cond::Equal, labels.start);
        asm.bind(done);
        asm.alu(Alu::Xor, false, RAX, RAX);
        asm.bind(self.exit);
        asm.mov(true, RCX, Mem::at(R14, Layout::GROUPS));
        asm.store(8, Mem::at(RCX, S::BUDGET), R15);
        asm.vzeroupper();
        asm.mov(true, RSP, Mem::at(RCX, S::STACK));
        for reg in Self::SAVED.into_iter().rev() {
            asm.pop(reg);
        }
        asm.ret();
    }

    /// Goes to the first strip of the threadgroup whose state is in `rcx`.
    pub(super) fn first_strip(&mut self) {
        self.asm.mov(true, R14, Mem::at(RCX, S::WAVES));
        self.asm.alu(Alu::Xor, false, R13, R13);
    }

    /// Goes to the next strip of a phase, if there is one.
    pub(super) fn next_strip_of_phase(&mut self, again: Label) {
        let bytes = (self.code.lanes * self.code.parts * 4) as i32;
        let asm = &mut self.asm;
        if bytes < 32 * 4 {
            asm.alu_imm(Alu::Add, false, R13, bytes);
            asm.alu_imm(Alu::Cmp, false, R13, 32 * 4);
            asm.jump_if(Cond::Below, again);
            asm.alu(Alu::Xor, false, R13, R13);
        }
        asm.mov(true, RCX, Mem::at(R14, Layout::GROUPS));
        asm.alu_imm(Alu::Add, true, R14, Layout::WAVE_BYTES);
        asm.alu(Alu::Cmp, true, R14, Mem::at(RCX, S::END));
        asm.jump_if(Cond::Below, again);
        // Back to one that exists.
        asm.alu_imm(Alu::Sub, true, R14, Layout::WAVE_BYTES);
    }

    /// A barrier: saves the strip's registers and continues with the next strip.
    pub(super) fn barrier(&mut self, at: usize, site: u32, next: Label) {
        let number = self.code.sites[site as usize].number + 1;
        let kept: Vec<Kept> = self.barriers.kept(at).collect();
        for kept in kept.iter().filter(|kept| !kept.in_memory) {
            self.save(kept.file, kept.number);
        }
        let (resume, first) = (self.asm.label(), self.asm.label());
        self.firsts.push((first, site, number));
        let asm = &mut self.asm;
        asm.mov(true, RCX, Mem::at(R14, Layout::GROUPS));
        asm.alu_imm(Alu::Cmp, false, Mem::at(RCX, S::EXPECTED), number as i32);
        asm.jump_if(Cond::NotEqual, first);
        asm.bind(self.ends[site as usize]);
        asm.lea_label(RAX, resume);
        asm.store(8, Mem::at(R12, self.area.resume as i32), RAX);
        asm.jump(next);
        asm.bind(resume);
        for Kept { reg, file, number, .. } in kept {
            let mem = self.saved(file, number);
            let info = self.code.regs[reg.0 as usize];
            match (info.home, file) {
                (Some(home), _) if !info.carried => self.load_home(home, V(number)),
                (_, Class::Int) => self.asm.mov(true, Gpr(number), mem),
                (_, Class::Vector) => self.vec(ops::MOVUPS_LOAD, V(number), V(0), mem),
                (_, Class::Mask) => self.asm.mask2(ops::KMOVW, number, mem),
            }
        }
    }

    /// The first strip of a round records its barrier, unless the rules are strict. A strip at another barrier takes the slow
    /// path.
    pub(super) fn first_at_barriers(&mut self) {
        for (first, site, number) in std::mem::take(&mut self.firsts) {
            let calls = self.asm.label();
            let asm = &mut self.asm;
            asm.bind(first);
            asm.extend(Extend::Zero8, false, RAX, Mem::at(RCX, S::STRICT));
            asm.alu(Alu::Or, false, RAX, Mem::at(RCX, S::EXPECTED));
            asm.jump_if(Cond::NotEqual, calls);
            asm.mov_imm(RAX, number.into());
            asm.store(4, Mem::at(RCX, S::EXPECTED), RAX);
            asm.jump(self.ends[site as usize]);
            asm.bind(calls);
            self.call_site(site);
            self.asm.jump(self.ends[site as usize]);
        }
    }

    /// Saves the result of an instruction if barriers do not.
    pub(super) fn save_once(&mut self, ins: &Ins) {
        if let Some(Kept { file, number, .. }) = self.barriers.saved_by(ins) {
            self.save(file, number);
        }
    }

    fn save(&mut self, class: Class, number: u8) {
        let mem = self.saved(class, number);
        match class {
            Class::Int => self.asm.store(8, mem, Gpr(number)),
            Class::Vector => self.vec(ops::MOVUPS_STORE, V(number), V(0), mem),
            Class::Mask => self.asm.mask2(ops::KMOVW_STORE, number, mem),
        }
    }

    fn saved(&self, class: Class, number: u8) -> Mem {
        let (area, number) = (self.area, u32::from(number));
        let offset = match class {
            Class::Int => area.ints + number * 8,
            Class::Vector => area.vectors + number * 64,
            Class::Mask => area.masks + number * 8,
        };
        Mem::at(R12, offset as i32)
    }
}
