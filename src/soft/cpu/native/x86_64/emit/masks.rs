//! Masks of lanes: mask registers with AVX-512, vectors of all ones or zeros with AVX2.

use super::{Emitter, K1, SCRATCH};
use crate::soft::cpu::native::allocate::Place;
use crate::soft::cpu::native::lir::{MaskOp, Reg};
use crate::soft::cpu::native::x86_64::asm::{Cond, Label, Mask, RAX, Shift, ops};

impl Emitter<'_> {
    pub(super) fn check_lanes(&mut self, active: Reg, good: Reg, site: u32) {
        let cold = self.cold(site);
        if self.zmm() {
            // Either may need the scratch register, and the result may use it.
            let good = self.mask(good, K1);
            let active = match self.place(active) {
                Place::Register(number) => Mask(number),
                _ => {
                    // Mask register 0 cannot be a predicate, but it can be an operand.
                    self.mask(active, Mask(0))
                }
            };
            self.asm.mask3(ops::KANDNW, K1, good, active);
            self.asm.mask2(ops::KORTESTW, K1.0, K1);
        } else {
            let good = self.lanes(good, SCRATCH[0]);
            let active = self.lanes_rm(active, SCRATCH[1]);
            self.vec(ops::PANDN, SCRATCH[0], good, active);
            self.asm.vex(ops::MOVMSKPS, true, RAX.0, 0, SCRATCH[0].into(), 0);
            self.asm.test(false, RAX, RAX);
        }
        self.asm.jump_if(Cond::NotEqual, cold);
    }

    pub(super) fn jump_none(&mut self, masks: [Reg; 4], to: Label) {
        if self.zmm() {
            debug_assert!(self.code.parts <= 2, "512 bits have two vectors of 32 lanes");
            let a = self.mask(masks[0], K1);
            let b = if masks[0] == masks[1] { a } else { self.mask(masks[1], Mask(0)) };
            self.asm.mask2(ops::KORTESTW, a.0, b);
        } else {
            let mut a = self.lanes(masks[0], SCRATCH[0]);
            for pair in masks.windows(2).filter(|pair| pair[0] != pair[1]) {
                let b = self.lanes_rm(pair[1], SCRATCH[1]);
                self.vec(ops::POR, SCRATCH[0], a, b);
                a = SCRATCH[0];
            }
            self.asm.vex(ops::MOVMSKPS, true, RAX.0, 0, a.into(), 0);
            self.asm.test(false, RAX, RAX);
        }
        self.asm.jump_if(Cond::Equal, to);
    }

    pub(super) fn mask_op(&mut self, op: MaskOp, d: Reg, a: Reg, b: Reg) {
        if self.zmm() {
            let a = self.mask(a, K1);
            let b = self.mask(b, Mask(0));
            let to = self.mask_to(d, K1);
            let op = match op {
                MaskOp::And => ops::KANDW,
                MaskOp::AndNot => ops::KANDNW,
                MaskOp::Or => ops::KORW,
                MaskOp::Xor => ops::KXORW,
            };
            self.asm.mask3(op, to, a, b);
            return self.mask_done(d, to);
        }
        let a = self.lanes(a, SCRATCH[1]);
        let b = self.lanes_rm(b, SCRATCH[2]);
        let to = self.lanes_to(d, SCRATCH[0]);
        let op = match op {
            MaskOp::And => ops::PAND,
            MaskOp::AndNot => ops::PANDN,
            MaskOp::Or => ops::POR,
            MaskOp::Xor => ops::PXOR,
        };
        self.vec(op, to, a, b);
        self.lanes_done(d, to);
    }

    pub(super) fn mask_not(&mut self, d: Reg, a: Reg) {
        if self.zmm() {
            let (to, a) = (self.mask_to(d, K1), self.mask(a, K1));
            self.asm.mask2(ops::KNOTW, to.0, a);
            return self.mask_done(d, to);
        }
        let (to, a) = (self.lanes_to(d, SCRATCH[0]), self.lanes(a, SCRATCH[1]));
        let ones = self.pool(|_| u32::MAX);
        self.vec(ops::PXOR, to, a, ones);
        self.lanes_done(d, to);
    }

    pub(super) fn mask_move(&mut self, d: Reg, s: Reg) {
        if self.zmm() {
            let to = self.mask_to(d, K1);
            let s = self.mask(s, K1);
            if to != s {
                self.asm.mask2(ops::KMOVW, to.0, s);
            }
            return self.mask_done(d, to);
        }
        let s = self.lanes(s, SCRATCH[0]);
        self.copy_to(d, s);
    }

    pub(super) fn mask_clear(&mut self, d: Reg) {
        if self.zmm() {
            let to = self.mask_to(d, K1);
            self.asm.mask3(ops::KXORW, to, to, to);
            return self.mask_done(d, to);
        }
        let to = self.lanes_to(d, SCRATCH[0]);
        self.vec(ops::PXOR, to, to, to);
        self.lanes_done(d, to);
    }

    pub(super) fn mask_of_bits(&mut self, d: Reg, s: Reg, first: u8) {
        let s = self.int(s, RAX);
        if self.zmm() {
            let to = self.mask_to(d, K1);
            let mut s = s;
            if first != 0 {
                self.asm.mov(false, RAX, s);
                self.asm.shift_imm(Shift::Right, false, RAX, first);
                s = RAX;
            }
            self.asm.mask2(ops::KMOVW_FROM_GPR, to.0, s);
            return self.mask_done(d, to);
        }
        let to = self.lanes_to(d, SCRATCH[0]);
        self.spread(to, s);
        let bits = self.pool(|lane| 1 << (u32::from(first) + lane));
        self.vec(ops::PAND, to, to, bits);
        self.vec(ops::PCMPEQD, to, to, bits);
        self.lanes_done(d, to);
    }

    pub(super) fn bits_of_mask(&mut self, d: Reg, s: Reg) {
        let to = self.int_to(d, RAX);
        if self.zmm() {
            let s = self.mask(s, K1);
            self.asm.mask2(ops::KMOVW_TO_GPR, to.0, s);
        } else {
            let s = self.lanes(s, SCRATCH[0]);
            self.asm.vex(ops::MOVMSKPS, true, to.0, 0, s.into(), 0);
        }
        self.int_done(d, to);
    }

    pub(super) fn mask_of_int(&mut self, d: Reg, s: Reg) {
        // A truth value is all ones or 0.
        let s = self.int(s, RAX);
        if self.zmm() {
            let to = self.mask_to(d, K1);
            self.asm.mask2(ops::KMOVW_FROM_GPR, to.0, s);
            return self.mask_done(d, to);
        }
        let to = self.lanes_to(d, SCRATCH[0]);
        self.spread(to, s);
        self.lanes_done(d, to);
    }
}
