//! Vectors whose lower and upper halves are at two addresses.

use super::{Emitter, SCRATCH};
use crate::soft::cpu::native::lir::Reg;
use crate::soft::cpu::native::x86_64::asm::{Mem, RCX, RDX, Rm, Vector as V, ops};

impl Emitter<'_> {
    pub(super) fn load_halves(&mut self, bytes: u32, d: Reg, low: Reg, high: Reg, disp: i32) {
        let [low, high] = self.half_places(low, high, disp);
        let to = self.lanes_to(d, SCRATCH[0]);
        let whole = SCRATCH[0];
        let asm = &mut self.asm;
        match (self.width.lanes(), bytes) {
            (16, 4) => {
                asm.vex(ops::MOVUPS_LOAD, true, whole.0, 0, low, 0);
                asm.vec_imm(self.width, ops::INSERTF64X4, to, whole, high, 1);
            }
            (16, _) => {
                asm.vex(ops::MOVUPS_LOAD, false, whole.0, 0, low, 0);
                asm.vex_imm(ops::INSERTF128, true, whole.0, whole.0, high, 1);
            }
            (_, 4) => {
                asm.vex(ops::MOVUPS_LOAD, false, whole.0, 0, low, 0);
                asm.vex_imm(ops::INSERTF128, true, to.0, whole.0, high, 1);
            }
            _ => {
                asm.vex(ops::MOVQ_LOAD, false, whole.0, 0, low, 0);
                asm.vex(ops::MOVHPS_LOAD, false, whole.0, whole.0, high, 0);
            }
        }
        if bytes == 2 {
            self.vec(ops::PMOVZXWD, to, V(0), whole);
        }
        self.lanes_done(d, to);
    }

    pub(super) fn store_halves(&mut self, bytes: u32, s: Reg, low: Reg, high: Reg, disp: i32) {
        let [low, high] = self.half_places(low, high, disp);
        let mut s = self.lanes(s, SCRATCH[0]);
        if bytes == 2 && self.zmm() {
            self.asm.vec(self.width, ops::PMOVDW, s, V(0), SCRATCH[0]);
            s = SCRATCH[0];
        } else if bytes == 2 {
            self.pack(SCRATCH[0], s, bytes);
            s = SCRATCH[0];
        } else if s.0 >= 16 {
            self.vec(ops::MOVAPS, SCRATCH[0], V(0), s);
            s = SCRATCH[0];
        }
        let asm = &mut self.asm;
        match (self.width.lanes(), bytes) {
            (16, 4) => {
                asm.vex(ops::MOVUPS_STORE, true, s.0, 0, low, 0);
                asm.vec_imm(self.width, ops::EXTRACTF64X4, s, V(0), high, 1);
            }
            (16, _) | (_, 4) => {
                asm.vex(ops::MOVUPS_STORE, false, s.0, 0, low, 0);
                asm.vex_imm(ops::EXTRACTF128, true, s.0, 0, high, 1);
            }
            _ => {
                asm.vex(ops::MOVQ_STORE, false, s.0, 0, low, 0);
                asm.vex(ops::MOVHPS_STORE, false, s.0, 0, high, 0);
            }
        }
    }

    fn half_places(&mut self, low: Reg, high: Reg, disp: i32) -> [Rm; 2] {
        let (low, high) = (self.int(low, RCX), self.int(high, RDX));
        [Mem::at(low, disp).into(), Mem::at(high, disp).into()]
    }
}
