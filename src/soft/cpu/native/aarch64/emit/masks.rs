//! Masks of lanes: vectors of all ones or zeros.

use super::{Emitter, SCRATCH, X9};
use crate::soft::cpu::native::aarch64::asm::{Gpr, Label};
use crate::soft::cpu::native::aarch64::ops;
use crate::soft::cpu::native::lir::{MaskOp, Reg};

impl Emitter<'_> {
    pub(super) fn check_lanes(&mut self, active: Reg, good: Reg, cold: Label) {
        let (active, good) = (self.vector(active, SCRATCH[1]), self.vector(good, SCRATCH[2]));
        let bad = SCRATCH[3];
        for half in 0..2 {
            self.asm.vec3(ops::V_BIC, bad[half], active[half], good[half]);
        }
        self.asm.vec3(ops::V_ORR, bad[0], bad[0], bad[1]);
        self.jump_any(false, cold);
    }

    /// Jumps if no lane of the mask of four lanes in the last temporary is set, or if one is.
    fn jump_any(&mut self, none: bool, to: Label) {
        let mask = SCRATCH[3][0];
        self.asm.vec2(ops::XTN, mask, mask);
        self.asm.low_of(ops::FMOV_FROM_D, X9, mask);
        self.asm.jump_zero(none, true, X9, to);
    }

    pub(super) fn jump_none(&mut self, masks: [Reg; 4], to: Label) {
        let first = self.vector(masks[0], SCRATCH[1]);
        let all = SCRATCH[3][0];
        self.asm.vec3(ops::V_ORR, all, first[0], first[1]);
        for pair in masks.windows(2).filter(|pair| pair[0] != pair[1]) {
            let next = self.vector(pair[1], SCRATCH[1]);
            for half in next {
                self.asm.vec3(ops::V_ORR, all, all, half);
            }
        }
        self.jump_any(true, to);
    }

    pub(super) fn mask_op(&mut self, op: MaskOp, d: Reg, a: Reg, b: Reg) {
        match op {
            MaskOp::And => self.each2(ops::V_AND, d, a, b),
            MaskOp::AndNot => self.each2(ops::V_BIC, d, b, a),
            MaskOp::Or => self.each2(ops::V_ORR, d, a, b),
            MaskOp::Xor => self.each2(ops::V_EOR, d, a, b),
        }
    }

    pub(super) fn mask_clear(&mut self, d: Reg) {
        let to = self.vector_to(d, SCRATCH[0]);
        self.splat(to, 0);
        self.vector_done(d, to);
    }

    pub(super) fn mask_of_bits(&mut self, d: Reg, s: Reg, first: u8) {
        let s = self.int(s, X9);
        let (to, bits) = (self.vector_to(d, SCRATCH[0]), SCRATCH[1]);
        self.lanes_constant(bits, |lane| 1 << (u32::from(first) + lane));
        for half in 0..2 {
            self.asm.dup(to[half], s);
            self.asm.vec3(ops::CMTST, to[half], to[half], bits[half]);
        }
        self.vector_done(d, to);
    }

    pub(super) fn bits_of_mask(&mut self, d: Reg, s: Reg) {
        let (s, bits) = (self.vector(s, SCRATCH[1]), SCRATCH[3]);
        self.lanes_constant(bits, |lane| 1 << lane);
        for half in 0..2 {
            self.asm.vec3(ops::V_AND, bits[half], bits[half], s[half]);
        }
        self.asm.vec3(ops::V_ORR, bits[0], bits[0], bits[1]);
        self.asm.vec2(ops::ADDV, bits[0], bits[0]);
        let to = self.int_to(d, X9);
        self.asm.low_of(ops::FMOV_FROM_S, to, bits[0]);
        self.int_done(d, to);
    }

    /// A byte for each lane, all ones in those of a mask.
    pub(super) fn mask_bytes(&mut self, mask: Reg, to: Gpr) {
        let mask = self.vector(mask, SCRATCH[3]);
        let bytes = SCRATCH[3][0];
        self.asm.vec3(ops::UZP1_H, bytes, mask[0], mask[1]);
        self.asm.vec2(ops::XTN_B, bytes, bytes);
        self.asm.low_of(ops::FMOV_FROM_D, to, bytes);
    }
}
