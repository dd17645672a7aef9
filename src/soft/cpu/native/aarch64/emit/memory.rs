//! Loads and stores of vectors: lanes side by side, spread, gathered and scattered.
//!
//! NEON has neither masks of accesses nor gathers: where not all lanes take part, each lane is accessed by itself.

use super::{Emitter, Pair, SCRATCH, X9, X10, X16, X17};
use crate::soft::cpu::native::aarch64::asm::Vector as V;
use crate::soft::cpu::native::aarch64::ops::{self, Op};
use crate::soft::cpu::native::lir::{MemRef, Reg};
use crate::soft::ir::Scalar;

/// The instruction that stores an element of this many bytes.
fn store_of(bytes: u32) -> Op {
    match bytes {
        1 => ops::ST1_BYTE,
        2 => ops::ST1_HALF,
        4 => ops::ST1_WORD,
        _ => ops::ST1_LONG,
    }
}

impl Emitter<'_> {
    pub(super) fn load_spread(&mut self, d: Reg, mem: &MemRef) {
        self.address(mem);
        let to = self.vector_to(d, SCRATCH[0]);
        self.asm.plain(ops::LD1R, to[0].0, X16);
        self.copy(to, [to[0]; 2]);
        self.vector_done(d, to);
    }

    pub(super) fn load(&mut self, from: Scalar, d: Reg, mem: &MemRef) {
        let (base, disp) = self.mem(mem);
        let to = self.vector_to(d, SCRATCH[0]);
        let [all, _] = SCRATCH[3];
        let widens = match from {
            Scalar::I8 | Scalar::I16 => [ops::SXTL, ops::SXTL2],
            Scalar::U8 | Scalar::U16 => [ops::UXTL, ops::UXTL2],
            Scalar::F16 => [ops::FCVTL, ops::FCVTL2],
            _ => {
                self.access_pair(ops::LDP_Q, to, base, disp);
                return self.vector_done(d, to);
            }
        };
        match from {
            Scalar::I8 | Scalar::U8 => {
                self.access(ops::LDR_D, all.0, base, disp, 8);
                let op = if from == Scalar::I8 { ops::SXTL_B } else { ops::UXTL_B };
                self.asm.vec2(op, all, all);
            }
            _ => self.access(ops::LDR_Q, all.0, base, disp, 16),
        }
        for (op, to) in widens.into_iter().zip(to) {
            self.asm.vec2(op, to, all);
        }
        self.vector_done(d, to);
    }

    pub(super) fn load_quads(&mut self, d: Reg, mems: &[MemRef; 4]) {
        let to = self.vector_to(d, SCRATCH[0]);
        for (to, mem) in to.into_iter().zip(mems) {
            let (base, disp) = self.mem(mem);
            self.access(ops::LDR_Q, to.0, base, disp, 16);
        }
        self.vector_done(d, to);
    }

    pub(super) fn store_quads(&mut self, mems: &[MemRef; 4], s: Reg) {
        let from = self.vector(s, SCRATCH[0]);
        for (from, mem) in from.into_iter().zip(mems) {
            let (base, disp) = self.mem(mem);
            self.access(ops::STR_Q, from.0, base, disp, 16);
        }
    }

    pub(super) fn load_pairs(&mut self, low: Reg, high: Reg, mem: &MemRef) {
        let (base, disp) = self.mem(mem);
        let (first, second) = (SCRATCH[1], SCRATCH[2]);
        // The second access may need a temporary for its address, so the base is not lost.
        self.access_pair(ops::LDP_Q, first, base, disp);
        self.access_pair(ops::LDP_Q, second, base, disp + 32);
        for (op, d) in [(ops::UZP1, low), (ops::UZP2, high)] {
            let to = self.vector_to(d, SCRATCH[0]);
            self.asm.vec3(op, to[0], first[0], first[1]);
            self.asm.vec3(op, to[1], second[0], second[1]);
            self.vector_done(d, to);
        }
    }

    pub(super) fn store_pairs(&mut self, mem: &MemRef, low: Reg, high: Reg, mask: Option<Reg>) {
        if let Some(mask) = mask {
            self.mask_bytes(mask, X9);
        }
        let (low, high) = (self.vector(low, SCRATCH[1]), self.vector(high, SCRATCH[2]));
        self.address(mem);
        let mut lanes = [SCRATCH[0], SCRATCH[3]];
        for (half, pairs) in lanes.iter_mut().enumerate() {
            self.asm.vec3(ops::ZIP1, pairs[0], low[half], high[half]);
            self.asm.vec3(ops::ZIP2, pairs[1], low[half], high[half]);
        }
        if mask.is_some() {
            return self.store_lanes(8, |lane| (lanes[lane / 4][lane / 2 % 2], lane % 2));
        }
        self.access_pair(ops::STP_Q, lanes[0], X16, 0);
        self.access_pair(ops::STP_Q, lanes[1], X16, 32);
    }

    /// Stores an element for each lane whose byte of `x9` is set, side by side from `x16` on.
    fn store_lanes(&mut self, bytes: u32, element: impl Fn(usize) -> (V, usize)) {
        for lane in 0..8 {
            let next = self.asm.label();
            self.asm.jump_bit_clear(X9, lane * 8, next);
            let (from, at) = element(lane as usize);
            let base = if lane == 0 { X16 } else { X17 };
            if lane != 0 {
                self.add(X17, X16, (lane * bytes).into());
            }
            self.asm.lane_at(store_of(bytes), from, at as u32, bytes, base);
            self.asm.bind(next);
        }
    }

    pub(super) fn store_all(&mut self, mem: &MemRef, s: Reg) {
        let s = self.vector(s, SCRATCH[0]);
        let (base, disp) = self.mem(mem);
        self.access_pair(ops::STP_Q, s, base, disp);
    }

    pub(super) fn store(&mut self, bytes: u32, mem: &MemRef, s: Reg, mask: Reg) {
        let (some, done) = (self.asm.label(), self.asm.label());
        self.mask_bytes(mask, X9);
        let s = self.vector(s, SCRATCH[1]);
        self.address(mem);
        // All bytes of the mask are set if one more is 0.
        self.asm.add_imm(true, X10, X9, 1);
        self.asm.jump_zero(false, true, X10, some);
        let [narrow, _] = SCRATCH[3];
        match bytes {
            4 => self.access_pair(ops::STP_Q, s, X16, 0),
            2 => {
                self.asm.vec3(ops::UZP1_H, narrow, s[0], s[1]);
                self.access(ops::STR_Q, narrow.0, X16, 0, 16);
            }
            _ => {
                self.asm.vec3(ops::UZP1_H, narrow, s[0], s[1]);
                self.asm.vec2(ops::XTN_B, narrow, narrow);
                self.access(ops::STR_D, narrow.0, X16, 0, 8);
            }
        }
        self.asm.jump(done);
        self.asm.bind(some);
        self.store_lanes(bytes, |lane| (s[lane / 4], low_element(bytes, lane)));
        self.asm.bind(done);
    }

    pub(super) fn gather(&mut self, d: Reg, base: Reg, offsets: Reg, disp: i32, mask: Reg) {
        self.mask_bytes(mask, X9);
        let offsets = self.vector(offsets, SCRATCH[1]);
        let base = self.int(base, X16);
        self.add(X16, base, disp.into());
        let to = self.vector_to(d, SCRATCH[0]);
        self.splat(to, 0);
        self.at_offsets(offsets, |emitter, lane| {
            emitter.asm.lane_at(ops::LD1_LANE, to[lane / 4], lane as u32 % 4, 4, X10);
        });
        self.vector_done(d, to);
    }

    /// For each lane whose byte of `x9` is set, from the lowest up, the address at its offset from `x16` in `x10`.
    fn at_offsets(&mut self, offsets: Pair, mut access: impl FnMut(&mut Self, usize)) {
        for lane in 0..8usize {
            let next = self.asm.label();
            self.asm.jump_bit_clear(X9, lane as u32 * 8, next);
            self.asm.get_lane(X10, offsets[lane / 4], lane as u32 % 4);
            self.asm.add_signed(X10, X16, X10);
            access(self, lane);
            self.asm.bind(next);
        }
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
        self.mask_bytes(mask, X9);
        let (offsets, s) = (self.vector(offsets, SCRATCH[1]), self.vector(s, SCRATCH[2]));
        let base = self.int(base, X16);
        self.add(X16, base, disp.into());
        self.at_offsets(offsets, |emitter, lane| {
            let element = low_element(bytes, lane) as u32;
            emitter.asm.lane_at(store_of(bytes), s[lane / 4], element, bytes, X10);
        });
    }

    // --- Lower and upper halves at two addresses -----------------------------------------------------

    pub(super) fn load_halves(&mut self, bytes: u32, d: Reg, low: Reg, high: Reg, disp: i32) {
        let to = self.vector_to(d, SCRATCH[0]);
        for (base, to) in [low, high].into_iter().zip(to) {
            let base = self.int(base, X16);
            if bytes == 4 {
                self.access(ops::LDR_Q, to.0, base, disp, 16);
            } else {
                self.access(ops::LDR_D, to.0, base, disp, 8);
                self.asm.vec2(ops::UXTL, to, to);
            }
        }
        self.vector_done(d, to);
    }

    pub(super) fn store_halves(&mut self, bytes: u32, s: Reg, low: Reg, high: Reg, disp: i32) {
        let s = self.vector(s, SCRATCH[0]);
        for (base, s) in [low, high].into_iter().zip(s) {
            let base = self.int(base, X16);
            if bytes == 4 {
                self.access(ops::STR_Q, s.0, base, disp, 16);
            } else {
                let [narrow, _] = SCRATCH[3];
                self.asm.vec2(ops::XTN, narrow, s);
                self.access(ops::STR_D, narrow.0, base, disp, 8);
            }
        }
    }
}

/// The number of the element that is the low bytes of a lane of 32 bits, in its register.
fn low_element(bytes: u32, lane: usize) -> usize {
    lane % 4 * 4 / bytes as usize
}
