//! Loads and stores of vectors: adjacent lanes, broadcasts, gathers and scatters.

use super::{Emitter, K1, R12, SCRATCH};
use crate::soft::cpu::native::lir::{MemRef, Reg};
use crate::soft::cpu::native::x86_64::asm::{
    Alu, Base, Cond, Index, Mem, RAX, RCX, RDX, Shift, Vector as V, ops,
};
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
            Scalar::F16 => ops::CVTPH2PS,
            _ => ops::MOVUPS_LOAD,
        };
        let mem = self.mem(mem);
        let to = self.lanes_to(d, SCRATCH[0]);
        self.vec(op, to, V(0), mem);
        self.lanes_done(d, to);
    }

    pub(super) fn load_quads(&mut self, d: Reg, mems: &[MemRef; 4]) {
        let to = self.lanes_to(d, SCRATCH[0]);
        for (at, mem) in (0..self.width.lanes() / 4).zip(mems) {
            let mem = self.mem(mem);
            match at {
                0 => self.vec(ops::BROADCASTF128, to, V(0), mem),
                _ => self.asm.vec_imm(self.width, ops::INSERTF128, to, to, mem, at as u8),
            }
        }
        self.lanes_done(d, to);
    }

    pub(super) fn store_quads(&mut self, mems: &[MemRef; 4], s: Reg) {
        let from = self.lanes(s, SCRATCH[0]);
        for (at, mem) in (0..self.width.lanes() / 4).zip(mems) {
            let mem = self.mem(mem);
            self.asm.vec_imm(self.width, ops::EXTRACTF128, from, V(0), mem, at as u8);
        }
    }

    /// The first lanes of pairs, or the second.
    fn pair_index(&mut self, second: bool) -> Mem {
        self.pool(|lane| 2 * lane + u32::from(second))
    }

    pub(super) fn load_pairs(&mut self, low: Reg, high: Reg, mem: &MemRef) {
        let mem = self.mem(mem);
        let next = Mem { disp: mem.disp + self.width.lanes() as i32 * 4, ..mem };
        let [_, first, second] = SCRATCH;
        self.vec(ops::MOVUPS_LOAD, first, V(0), mem);
        if !self.zmm() {
            self.vec(ops::MOVUPS_LOAD, second, V(0), next);
        }
        for (d, which) in [(low, false), (high, true)] {
            let to = self.lanes_to(d, SCRATCH[0]);
            if self.zmm() {
                let index = self.pair_index(which);
                self.vec(ops::MOVUPS_LOAD, to, V(0), index);
                self.vec(ops::PERMI2D, to, first, next);
            } else {
                let imm = if which { 0xdd } else { 0x88 };
                self.asm.vec_imm(self.width, ops::SHUFPS, to, first, second, imm);
                self.asm.vec_imm(self.width, ops::PERMQ, to, V(0), to, 0xd8);
            }
            self.lanes_done(d, to);
        }
    }

    pub(super) fn store_pairs(&mut self, mem: &MemRef, low: Reg, high: Reg, mask: Option<Reg>) {
        let mem = self.mem(mem);
        let lanes = self.width.lanes();
        for half in 0..2 {
            let to = Mem { disp: mem.disp + (half * lanes * 4) as i32, ..mem };
            let [pairs, other, third] = SCRATCH;
            let first = half * lanes / 2;
            if self.zmm() {
                let index =
                    self.pool(|lane| first + lane / 2 + if lane % 2 == 0 { 0 } else { lanes });
                self.vec(ops::MOVUPS_LOAD, pairs, V(0), index);
                let a = self.lanes(low, other);
                let b = self.lanes_rm(high, third);
                self.vec(ops::PERMI2D, pairs, a, b);
                match mask {
                    None => self.vec(ops::MOVUPS_STORE, pairs, V(0), to),
                    Some(mask) => {
                        self.doubled_mask(mask, half);
                        self.asm.masked(ops::MOVUPS_STORE, K1, pairs, V(0), to);
                    }
                }
                continue;
            }
            let index = self.pool(|lane| first + lane / 2);
            self.vec(ops::MOVUPS_LOAD, pairs, V(0), index);
            let a = self.lanes_rm(low, third);
            self.vec(ops::PERMD, pairs, pairs, a);
            self.vec(ops::MOVUPS_LOAD, other, V(0), index);
            let b = self.lanes_rm(high, third);
            self.vec(ops::PERMD, other, other, b);
            self.asm.vec_imm(self.width, ops::BLENDPS, pairs, pairs, other, 0xaa);
            match mask {
                None => self.vec(ops::MOVUPS_STORE, pairs, V(0), to),
                Some(mask) => {
                    self.vec(ops::MOVUPS_LOAD, other, V(0), index);
                    let mask = self.lanes_rm(mask, third);
                    self.vec(ops::PERMD, other, other, mask);
                    self.vec(ops::MASKMOVPS_STORE, pairs, other, to);
                }
            }
        }
    }

    /// The mask of pairs, in mask 1: each bit of a half of the mask twice.
    fn doubled_mask(&mut self, mask: Reg, half: u32) {
        let mask = self.mask(mask, K1);
        self.asm.mask2(ops::KMOVW_TO_GPR, RAX.0, mask);
        if half != 0 {
            self.asm.shift_imm(Shift::Right, false, RAX, 8);
        }
        let even = Mem::pool(self.asm.constant(&0x5555u32.to_le_bytes()));
        self.asm.vex(ops::PDEP, false, RAX.0, RAX.0, even.into(), 0);
        let thrice = Mem { base: Base::Gpr(RAX), index: Some((Index::Gpr(RAX), 1)), disp: 0 };
        self.asm.lea(false, RAX, thrice);
        self.asm.mask2(ops::KMOVW_FROM_GPR, K1.0, RAX);
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
        } else if bytes == 4 {
            let mask = self.lanes(mask, SCRATCH[1]);
            self.vec(ops::MASKMOVPS_STORE, s, mask, mem);
        } else {
            let mask = self.lanes(mask, SCRATCH[1]);
            self.asm.vex(ops::MOVMSKPS, true, RAX.0, 0, mask.into(), 0);
            self.pack(SCRATCH[0], s, bytes);
            self.store_packed(bytes, mem);
        }
    }

    /// With 256 bits: packs the low bytes of each lane into the low half of the result.
    pub(super) fn pack(&mut self, to: V, s: V, bytes: u32) {
        let low = self.pool(|_| u32::MAX >> (32 - 8 * bytes));
        self.vec(ops::PAND, to, s, low);
        self.vec(ops::PACKUSDW, to, to, to);
        self.asm.vec_imm(self.width, ops::PERMQ, to, V(0), to, 0b1000);
        if bytes == 1 {
            self.vec(ops::PACKUSWB, to, to, to);
        }
    }

    /// Stores packed lanes whose bits are set in `rax`.
    fn store_packed(&mut self, bytes: u32, mem: Mem) {
        let (some, done) = (self.asm.label(), self.asm.label());
        let s = SCRATCH[0].0;
        self.asm.alu_imm(Alu::Cmp, false, RAX, 0xff);
        self.asm.jump_if(Cond::NotEqual, some);
        let whole = if bytes == 1 { ops::MOVQ_STORE } else { ops::MOVUPS_STORE };
        self.asm.vex(whole, false, s, 0, mem.into(), 0);
        self.asm.jump(done);
        self.asm.bind(some);
        let one = if bytes == 1 { ops::PEXTRB } else { ops::PEXTRW };
        for lane in 0..8u8 {
            let next = self.asm.label();
            self.asm.test_imm(RAX, 1 << lane);
            self.asm.jump_if(Cond::Equal, next);
            let at = Mem { disp: mem.disp + i32::from(lane) * bytes as i32, ..mem };
            self.asm.vex_imm(one, false, s, 0, at.into(), lane);
            self.asm.bind(next);
        }
        self.asm.bind(done);
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

    pub(super) fn scatter(
        &mut self,
        bytes: u32,
        base: Reg,
        offsets: Reg,
        disp: i32,
        s: Reg,
        mask: Reg,
    ) {
        if bytes < 4 || !self.zmm() {
            return self.scatter_one_by_one(bytes, base, offsets, disp, s, mask);
        }
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

    /// The bits of a mask, in `rax`.
    pub(super) fn mask_bits(&mut self, mask: Reg) {
        if self.zmm() {
            let mask = self.mask(mask, K1);
            self.asm.mask2(ops::KMOVW_TO_GPR, RAX.0, mask);
        } else {
            let mask = self.lanes(mask, SCRATCH[0]);
            self.asm.vex(ops::MOVMSKPS, true, RAX.0, 0, mask.into(), 0);
        }
    }

    /// A scatter without an instruction for it: a loop over the lanes.
    fn scatter_one_by_one(
        &mut self,
        bytes: u32,
        base: Reg,
        offsets: Reg,
        disp: i32,
        s: Reg,
        mask: Reg,
    ) {
        let (next, done) = (self.asm.label(), self.asm.label());
        self.mask_bits(mask);
        self.asm.test(false, RAX, RAX);
        self.asm.jump_if(Cond::Equal, done);
        let at = |vector: u32| (self.area.loops + vector * 64) as i32;
        let (offset_at, value_at) = (at(0), at(1));
        let offsets = self.lanes(offsets, SCRATCH[1]);
        self.vec(ops::MOVUPS_STORE, offsets, V(0), Mem::at(R12, offset_at));
        let s = self.lanes(s, SCRATCH[0]);
        self.vec(ops::MOVUPS_STORE, s, V(0), Mem::at(R12, value_at));
        let lane =
            |disp: i32| Mem { base: Base::Gpr(R12), index: Some((Index::Gpr(RCX), 2)), disp };
        let base = self.int_rm(base);
        self.asm.bind(next);
        self.asm.lowest_bit(RCX, RAX);
        self.asm.mov(false, RDX, lane(offset_at));
        self.asm.alu(Alu::Add, true, RDX, base);
        self.asm.mov(false, RCX, lane(value_at));
        self.asm.store(bytes, Mem::at(RDX, disp), RCX);
        self.asm.clear_lowest_bit(RAX, RAX);
        self.asm.jump_if(Cond::NotEqual, next);
        self.asm.bind(done);
    }
}
