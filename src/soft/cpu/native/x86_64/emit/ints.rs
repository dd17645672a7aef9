//! Uniform integers, in general-purpose registers.

use super::Emitter;
use crate::soft::cpu::native::lir::{Ins, IntOp, Kind, MemRef, Reg, Test};
use crate::soft::cpu::native::x86_64::asm::{
    Alu, Cond, Extend, Gpr, Mem, RAX, RCX, RDX, Rm, Shift,
};
use crate::soft::ir::Scalar;

impl Emitter<'_> {
    pub(super) fn compare(&mut self, at: usize, cond: Cond, wide: bool, d: Reg, a: Reg, b: Reg) {
        let a = self.int(a, RAX);
        let b = self.int_rm(b);
        self.asm.alu(Alu::Cmp, wide, a, b);
        // A comparison whose only use is the jump after it.
        if let Some(&Ins::JumpIf { zero, s, to }) = self.code.code.get(at + 1)
            && s == d
            && self.allocation.last[d.0 as usize] == at as u32 + 1
        {
            let cond = if zero { cond.inverse() } else { cond };
            self.asm.jump_if(cond, self.labels[to.0 as usize]);
            self.reset = Some(d);
            return;
        }
        self.asm.set(cond, RAX);
        let to = self.int_to(d, RAX);
        self.asm.extend(Extend::Zero8, false, to, RAX);
        self.asm.neg(false, to);
        self.int_done(d, to);
    }

    pub(super) fn constant(&mut self, d: Reg, bits: u64) {
        let to = self.int_to(d, RAX);
        if bits == 0 {
            self.asm.alu(Alu::Xor, false, to, to);
        } else {
            self.asm.mov_imm(to, bits);
        }
        self.int_done(d, to);
    }

    pub(super) fn int_move(&mut self, d: Reg, s: Reg) {
        let to = self.int_to(d, RAX);
        let from = self.int_rm(s);
        self.asm.mov(true, to, from);
        self.int_done(d, to);
    }

    pub(super) fn not(&mut self, wide: bool, d: Reg, s: Reg) {
        let to = self.int_to(d, RAX);
        let from = self.int_rm(s);
        self.asm.mov(wide, to, from);
        self.asm.not(wide, to);
        self.int_done(d, to);
    }

    pub(super) fn widen(&mut self, from: Scalar, wide: bool, d: Reg, s: Reg) {
        let to = self.int_to(d, RAX);
        let s = self.int(s, RCX);
        self.read(from, wide, to, s.into());
        self.int_done(d, to);
    }

    pub(super) fn load_int(&mut self, from: Scalar, d: Reg, mem: &MemRef) {
        let mem = self.mem(mem);
        let to = self.int_to(d, RAX);
        self.read(from, false, to, mem.into());
        self.int_done(d, to);
    }

    pub(super) fn store_int(&mut self, bytes: u32, mem: &MemRef, s: Reg) {
        let mem = self.mem(mem);
        let s = self.int(s, RAX);
        self.asm.store(bytes, mem, s);
    }

    pub(super) fn choose(&mut self, wide: bool, d: Reg, c: Reg, a: Reg, b: Reg) {
        let to = self.int_to(d, RAX);
        let b = self.int_rm(b);
        let c = self.int(c, RCX);
        let a = self.int_rm(a);
        self.asm.test(false, c, c);
        self.asm.mov(wide, to, b);
        self.asm.cmov(Cond::NotEqual, wide, to, a);
        self.int_done(d, to);
    }

    /// Reads a scalar, widened, from a register or from memory.
    pub(super) fn read(&mut self, from: Scalar, wide: bool, to: Gpr, rm: Rm) {
        match from {
            Scalar::Bool => {
                // Everything except 0 is true: the borrow of 0 minus the number.
                self.asm.extend(Extend::Zero8, false, RAX, rm);
                self.asm.neg(false, RAX);
                self.asm.alu(Alu::Sbb, false, to, to);
            }
            Scalar::I8 => self.asm.extend(Extend::Sign8, wide, to, rm),
            Scalar::U8 => self.asm.extend(Extend::Zero8, wide, to, rm),
            Scalar::I16 => self.asm.extend(Extend::Sign16, wide, to, rm),
            Scalar::U16 => self.asm.extend(Extend::Zero16, wide, to, rm),
            Scalar::I32 if wide => self.asm.extend(Extend::Sign32, true, to, rm),
            Scalar::I64 | Scalar::U64 => self.asm.mov(true, to, rm),
            _ => self.asm.mov(false, to, rm),
        }
    }

    pub(super) fn int_op(&mut self, op: IntOp, wide: bool, d: Reg, a: Reg, b: Reg) {
        if matches!(op, IntOp::DivSigned | IntOp::DivUnsigned) {
            return self.divide(op == IntOp::DivSigned, wide, d, a, b);
        }
        let to = self.int_to(d, RAX);
        let shift = match op {
            IntOp::Shl => Some(Shift::Left),
            IntOp::Shr => Some(Shift::Right),
            IntOp::Sar => Some(Shift::Arithmetic),
            _ => None,
        };
        if let Some(shift) = shift {
            let b = self.int(b, RCX);
            let a = self.int_rm(a);
            self.asm.shift(shift, wide, to, a, b);
            return self.int_done(d, to);
        }
        // The result does not share a register with an operand, see `allocate`.
        let (a, b) = (self.int_rm(a), self.int_rm(b));
        self.asm.mov(wide, to, a);
        match op {
            IntOp::Mul => self.asm.imul(wide, to, b),
            IntOp::Add => self.asm.alu(Alu::Add, wide, to, b),
            IntOp::Sub => self.asm.alu(Alu::Sub, wide, to, b),
            IntOp::And => self.asm.alu(Alu::And, wide, to, b),
            IntOp::Or => self.asm.alu(Alu::Or, wide, to, b),
            _ => self.asm.alu(Alu::Xor, wide, to, b),
        }
        self.int_done(d, to);
    }

    pub(super) fn lowest_bit(&mut self, d: Reg, s: Reg) {
        let to = self.int_to(d, RAX);
        let from = self.int(s, RCX);
        self.asm.lowest_bit(to, from);
        self.int_done(d, to);
    }

    /// A quotient. The instruction raises an exception for a divisor 0 and for a quotient that is too large (by -1).
    fn divide(&mut self, signed: bool, wide: bool, d: Reg, a: Reg, b: Reg) {
        let (zero, done) = (self.asm.label(), self.asm.label());
        let (a, b) = (self.int_rm(a), self.int_rm(b));
        self.asm.mov(wide, RCX, b);
        self.asm.mov(wide, RAX, a);
        self.asm.test(wide, RCX, RCX);
        self.asm.jump_if(Cond::Equal, zero);
        if signed {
            let divides = self.asm.label();
            self.asm.alu_imm(Alu::Cmp, wide, RCX, -1);
            self.asm.jump_if(Cond::NotEqual, divides);
            self.asm.neg(wide, RAX);
            self.asm.jump(done);
            self.asm.bind(divides);
            self.asm.sign_of_rax(wide);
        } else {
            self.asm.alu(Alu::Xor, false, RDX, RDX);
        }
        self.asm.divide(signed, wide, RCX);
        self.asm.jump(done);
        self.asm.bind(zero);
        self.asm.alu(Alu::Xor, false, RAX, RAX);
        self.asm.bind(done);
        let to = self.int_to(d, RAX);
        if to != RAX {
            self.asm.mov(true, to, RAX);
        }
        self.int_done(d, to);
    }

    pub(super) fn int_imm(&mut self, op: IntOp, wide: bool, d: Reg, a: Reg, imm: i32) {
        let to = self.int_to(d, RAX);
        match op {
            IntOp::Mul => {
                let a = self.int_rm(a);
                self.asm.imul_imm(wide, to, a, imm);
            }
            IntOp::Add => {
                let a = self.int(a, RCX);
                self.asm.lea(wide, to, Mem::at(a, imm));
            }
            _ => {
                let a = self.int_rm(a);
                self.asm.mov(wide, to, a);
                match op {
                    IntOp::Shl => self.asm.shift_imm(Shift::Left, wide, to, imm as u8),
                    IntOp::Shr => self.asm.shift_imm(Shift::Right, wide, to, imm as u8),
                    IntOp::Sar => self.asm.shift_imm(Shift::Arithmetic, wide, to, imm as u8),
                    IntOp::Sub => self.asm.alu_imm(Alu::Sub, wide, to, imm),
                    IntOp::And => self.asm.alu_imm(Alu::And, wide, to, imm),
                    IntOp::Or => self.asm.alu_imm(Alu::Or, wide, to, imm),
                    _ => self.asm.alu_imm(Alu::Xor, wide, to, imm),
                }
            }
        }
        self.int_done(d, to);
    }
}

/// The condition code of a comparison.
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
