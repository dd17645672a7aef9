//! Numbers that are the same in all lanes, in general-purpose registers.

use super::{Emitter, X9, X10};
use crate::soft::cpu::native::aarch64::asm::{Cond, Gpr, Shift, ZERO};
use crate::soft::cpu::native::aarch64::ops::{self, Op};
use crate::soft::cpu::native::lir::{Ins, IntOp, Kind, MemRef, Reg, Test};
use crate::soft::ir::Scalar;

impl Emitter<'_> {
    pub(super) fn compare(&mut self, at: usize, cond: Cond, wide: bool, d: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.int(a, X9), self.int(b, X10));
        self.asm.int(ops::SUBS, wide, ZERO, a, b);
        // A comparison for nothing but the jump after it.
        if let Some(&Ins::JumpIf { zero, s, to }) = self.code.code.get(at + 1)
            && s == d
            && self.allocation.last[d.0 as usize] == at as u32 + 1
        {
            let cond = if zero { cond.inverse() } else { cond };
            self.asm.jump_if(cond, self.labels[to.0 as usize]);
            self.fused = Some(d);
            return;
        }
        let to = self.int_to(d, X9);
        self.asm.set(cond, to);
        self.int_done(d, to);
    }

    pub(super) fn constant(&mut self, d: Reg, bits: u64) {
        let to = self.int_to(d, X9);
        self.asm.mov_imm(to, bits);
        self.int_done(d, to);
    }

    pub(super) fn int_move(&mut self, d: Reg, s: Reg) {
        let to = self.int_to(d, X9);
        let from = self.int(s, to);
        if from != to {
            self.asm.mov(true, to, from);
        }
        self.int_done(d, to);
    }

    pub(super) fn not(&mut self, wide: bool, d: Reg, s: Reg) {
        let (to, from) = (self.int_to(d, X9), self.int(s, X10));
        self.asm.int(ops::ORN, wide, to, ZERO, from);
        self.int_done(d, to);
    }

    pub(super) fn widen(&mut self, from: Scalar, wide: bool, d: Reg, s: Reg) {
        let (to, s) = (self.int_to(d, X9), self.int(s, X10));
        match from {
            Scalar::Bool => {
                self.asm.extend(false, false, 8, X9, s);
                self.truth(to, X9);
            }
            Scalar::I8 => self.asm.extend(true, wide, 8, to, s),
            Scalar::U8 => self.asm.extend(false, false, 8, to, s),
            Scalar::I16 => self.asm.extend(true, wide, 16, to, s),
            Scalar::U16 => self.asm.extend(false, false, 16, to, s),
            Scalar::I32 if wide => self.asm.extend(true, true, 32, to, s),
            Scalar::I64 | Scalar::U64 => self.asm.mov(true, to, s),
            _ => self.asm.mov(false, to, s),
        }
        self.int_done(d, to);
    }

    /// All ones of 32 bits if a number of 32 is not 0, else 0.
    fn truth(&mut self, to: Gpr, from: Gpr) {
        self.asm.subs_imm(false, ZERO, from, 0);
        self.asm.set(Cond::NotEqual, to);
    }

    pub(super) fn load_int(&mut self, from: Scalar, d: Reg, mem: &MemRef) {
        let (base, disp) = self.mem(mem);
        let to = self.int_to(d, X9);
        let (op, bytes) = match from {
            Scalar::Bool | Scalar::U8 => (ops::LDRB, 1),
            Scalar::I8 => (ops::LDRSB, 1),
            Scalar::I16 => (ops::LDRSH, 2),
            Scalar::U16 => (ops::LDRH, 2),
            Scalar::I64 | Scalar::U64 => (ops::LDR_X, 8),
            _ => (ops::LDR_W, 4),
        };
        self.access(op, to.0, base, disp, bytes);
        if from == Scalar::Bool {
            self.truth(to, to);
        }
        self.int_done(d, to);
    }

    pub(super) fn store_int(&mut self, bytes: u32, mem: &MemRef, s: Reg) {
        let (base, disp) = self.mem(mem);
        let s = self.int(s, X9);
        let op = match bytes {
            1 => ops::STRB,
            2 => ops::STRH,
            4 => ops::STR_W,
            _ => ops::STR_X,
        };
        self.access(op, s.0, base, disp, bytes);
    }

    pub(super) fn choose(&mut self, wide: bool, d: Reg, c: Reg, a: Reg, b: Reg) {
        let c = self.int(c, X9);
        self.asm.subs_imm(false, ZERO, c, 0);
        let (to, a, b) = (self.int_to(d, X9), self.int(a, X9), self.int(b, X10));
        self.asm.choose(ops::CSEL, wide, to, a, b, Cond::NotEqual);
        self.int_done(d, to);
    }

    pub(super) fn lowest_bit(&mut self, d: Reg, s: Reg) {
        let (to, s) = (self.int_to(d, X9), self.int(s, X10));
        self.asm.int1(ops::RBIT, false, to, s);
        self.asm.int1(ops::CLZ, false, to, to);
        self.int_done(d, to);
    }

    pub(super) fn int_op(&mut self, op: IntOp, wide: bool, d: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.int(a, X9), self.int(b, X10));
        let to = self.int_to(d, X9);
        self.int_of(op, wide, to, a, b);
        self.int_done(d, to);
    }

    /// A quotient by 0 is 0, and one that is too large wraps, as the IR has it.
    fn int_of(&mut self, op: IntOp, wide: bool, to: Gpr, a: Gpr, b: Gpr) {
        let op: Op = match op {
            IntOp::Mul => return self.asm.mul(wide, to, a, b),
            IntOp::Add => ops::ADD,
            IntOp::Sub => ops::SUB,
            IntOp::And => ops::AND,
            IntOp::Or => ops::ORR,
            IntOp::Xor => ops::EOR,
            IntOp::Shl => ops::LSLV,
            IntOp::Shr => ops::LSRV,
            IntOp::Sar => ops::ASRV,
            IntOp::DivSigned => ops::SDIV,
            IntOp::DivUnsigned => ops::UDIV,
        };
        self.asm.int(op, wide, to, a, b);
    }

    pub(super) fn int_imm(&mut self, op: IntOp, wide: bool, d: Reg, a: Reg, imm: i32) {
        let (a, to) = (self.int(a, X9), self.int_to(d, X9));
        let shift = match op {
            IntOp::Shl => Some(Shift::Left),
            IntOp::Shr => Some(Shift::Right),
            IntOp::Sar => Some(Shift::Arithmetic),
            _ => None,
        };
        let added = match op {
            IntOp::Add => Some(i64::from(imm)),
            IntOp::Sub => Some(-i64::from(imm)),
            _ => None,
        };
        if let Some(shift) = shift {
            self.asm.shift_imm(shift, wide, to, a, imm.cast_unsigned());
        } else if added.is_none_or(|number| !self.asm.add_imm(wide, to, a, number)) {
            let number =
                if wide { i64::from(imm).cast_unsigned() } else { imm.cast_unsigned().into() };
            self.asm.mov_imm(X10, number);
            self.int_of(op, wide, to, a, X10);
        }
        self.int_done(d, to);
    }
}

/// The condition of a comparison.
pub(super) const fn condition(test: Test, kind: Kind) -> Cond {
    match (test, kind) {
        (Test::Eq, _) => Cond::Equal,
        (Test::Ne, _) => Cond::NotEqual,
        (Test::Lt, Kind::Signed) => Cond::Less,
        (Test::Le, Kind::Signed) => Cond::LessEqual,
        (Test::Lt, _) => Cond::Below,
        (Test::Le, _) => Cond::BelowEqual,
    }
}
