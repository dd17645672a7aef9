//! Loads and stores of vectors: lanes side by side, spread, gathered and scattered.

use super::{Emitter, K1, SCRATCH};
use crate::soft::cpu::native::lir::{MemRef, Reg};
use crate::soft::cpu::native::x86_64::asm::{Base, Index, Mem, RAX, Vector as V, ops};
use crate::soft::ir::Scalar;

impl Emitter<'_> {
    pub(super) fn load_spread(&mut self, d: Reg, mem: &MemRef) {
        let mem = self.mem(mem);
        let to = self.lanes_to(d, SCRATCH[0]);
        self.vec(ops::BROADCASTSS, to, V(0), mem);
        self.lanes_done(d, to);
    }

    pub(super) fn load(&mut self, from: Scalar, d: Reg, mem: &MemRef) {
        let op = match from {
            Scalar::I8 => ops::PMOVSXBD,
            Scalar::U8 => ops::PMOVZXBD,
            Scalar::I16 => ops::PMOVSXWD,
            Scalar::U16 => ops::PMOVZXWD,
            _ => ops::MOVUPS_LOAD,
        };
        let mem = self.mem(mem);
        let to = self.lanes_to(d, SCRATCH[0]);
        self.vec(op, to, V(0), mem);
        self.lanes_done(d, to);
    }

    pub(super) fn store_all(&mut self, mem: &MemRef, s: Reg) {
        let mem = self.mem(mem);
        let s = self.lanes(s, SCRATCH[0]);
        self.vec(ops::MOVUPS_STORE, s, V(0), mem);
    }

    pub(super) fn store(&mut self, bytes: u32, mem: &MemRef, s: Reg, mask: Reg) {
        let mem = self.mem(mem);
        let s = self.lanes(s, SCRATCH[0]);
        if self.zmm() {
            let mask = self.mask(mask, K1);
            let op = match bytes {
                1 => ops::PMOVDB,
                2 => ops::PMOVDW,
                _ => ops::MOVUPS_STORE,
            };
            self.asm.masked(op, mask, s, V(0), mem);
        } else {
            let mask = self.lanes(mask, SCRATCH[1]);
            self.vec(ops::MASKMOVPS_STORE, s, mask, mem);
        }
    }

    pub(super) fn gather(&mut self, d: Reg, base: Reg, offsets: Reg, disp: i32, mask: Reg) {
        let base = self.int(base, RAX);
        let offsets = self.lanes(offsets, SCRATCH[1]);
        let to = self.lanes_to(d, SCRATCH[0]);
        let index = Some((Index::Vector(offsets), 0));
        let mem = Mem { base: Base::Gpr(base), index, disp };
        if self.zmm() {
            let mask = self.mask(mask, K1);
            // A gather clears its mask.
            if mask != K1 {
                self.asm.mask2(ops::KMOVW, K1.0, mask);
            }
            self.vec(ops::PXOR, to, to, to);
            self.asm.masked(ops::GATHERDPS, K1, to, V(0), mem);
        } else {
            let mask = self.lanes(mask, SCRATCH[2]);
            if mask != SCRATCH[2] {
                self.vec(ops::MOVAPS, SCRATCH[2], V(0), mask);
            }
            self.vec(ops::PXOR, to, to, to);
            self.vec(ops::GATHERDPS, to, SCRATCH[2], mem);
        }
        self.lanes_done(d, to);
    }

    pub(super) fn scatter(&mut self, base: Reg, offsets: Reg, disp: i32, s: Reg, mask: Reg) {
        let base = self.int(base, RAX);
        let offsets = self.lanes(offsets, SCRATCH[1]);
        let s = self.lanes(s, SCRATCH[0]);
        let mask = self.mask(mask, K1);
        if mask != K1 {
            self.asm.mask2(ops::KMOVW, K1.0, mask);
        }
        let index = Some((Index::Vector(offsets), 0));
        let mem = Mem { base: Base::Gpr(base), index, disp };
        self.asm.masked(ops::SCATTERDPS, K1, s, V(0), mem);
    }
}
