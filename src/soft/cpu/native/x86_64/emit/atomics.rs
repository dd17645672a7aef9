//! Atomics: a loop over the lanes of a vector.

use super::{Emitter, R12, SCRATCH};
use crate::soft::cpu::native::lir::{AtomicOp, Home, Lane2, Reg, WIDE_ROW};
use crate::soft::cpu::native::x86_64::asm::{
    Alu, Base, Cond, Gpr, Index, Mem, RAX, RBX, RCX, RDI, RDX, RSI, Rm, Vector as V, ops,
};

/// An atomic in each lane of a mask, at `base` plus the lane's offset.
#[derive(Clone, Copy)]
pub(super) struct Atomic {
    pub(super) op: AtomicOp,
    /// Whether other threads access the memory.
    pub(super) lock: bool,
    /// Whether the old values are used.
    pub(super) returns: bool,
    pub(super) d: Reg,
    pub(super) base: Reg,
    pub(super) offsets: Reg,
    pub(super) a: Reg,
    pub(super) b: Reg,
    pub(super) mask: Reg,
    /// For 64-bit atomics: the offset of the operands in the code's own memory, which replaces `a`, `b` and `d`.
    pub(super) wide: Option<u32>,
}

impl Emitter<'_> {
    pub(super) fn atomic(&mut self, atomic: &Atomic) {
        let Atomic { op, lock, returns, d, base, offsets, a, b, mask, wide: own } = *atomic;
        let (next, done, some) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.mask_bits(mask);
        self.asm.test(false, RAX, RAX);
        self.asm.jump_if(Cond::Equal, done);
        let at = |vector: u32| (self.area.loops + vector * 64) as i32;
        let [offset_at, first_at, second_at, old_at, ints_at] = [0, 1, 2, 3, 4].map(at);
        let wide = own.is_some();
        let [first_at, second_at, old_at] = match own {
            Some(own) => [0, 1, 2].map(|row| (self.area.own + own + row * WIDE_ROW) as i32),
            None => [first_at, second_at, old_at],
        };
        let saved = [0, 8].map(|slot| Mem::at(R12, ints_at + slot));
        let operands = match op {
            AtomicOp::Load => 0,
            AtomicOp::CompareExchange => 2,
            _ => 1,
        };
        let stored = [(offsets, offset_at), (a, first_at), (b, second_at)];
        // Where all lanes add the same constant, it is part of the instruction.
        let info = self.code.regs[a.0 as usize];
        let constant = match info.home {
            Some(Home::Constant(bits)) if !info.carried => Some(bits.cast_signed()),
            _ => None,
        };
        let counts = op == AtomicOp::Add && !lock && !returns && !wide;
        let vectors = if wide { 0 } else { operands };
        let now = if counts && constant.is_some() { 1 } else { 1 + vectors };
        for &(reg, at) in &stored[..now] {
            let s = self.lanes(reg, SCRATCH[1]);
            self.vec(ops::MOVUPS_STORE, s, V(0), Mem::at(R12, at));
        }
        let base = self.int_rm(base);
        if counts {
            // The common case, counters: all lanes, without a loop.
            let lanes = self.width.lanes();
            self.asm.alu_imm(Alu::Cmp, false, RAX, (u32::MAX >> (32 - lanes)).cast_signed());
            self.asm.jump_if(Cond::NotEqual, some);
            self.asm.mov(true, RAX, base);
            for lane in (0..lanes as i32).map(|lane| lane * 4) {
                self.asm.mov(false, RDX, Mem::at(R12, offset_at + lane));
                let word = Mem { base: Base::Gpr(RAX), index: Some((Index::Gpr(RDX), 0)), disp: 0 };
                match constant {
                    Some(imm) => self.asm.alu_imm(Alu::Add, false, word, imm),
                    None => {
                        self.asm.mov(false, RCX, Mem::at(R12, first_at + lane));
                        self.asm.alu_store(Alu::Add, false, word, RCX);
                    }
                }
            }
            self.asm.jump(done);
        }
        self.asm.bind(some);
        for &(reg, at) in &stored[now..=vectors] {
            let s = self.lanes(reg, SCRATCH[1]);
            self.vec(ops::MOVUPS_STORE, s, V(0), Mem::at(R12, at));
        }
        let mut free = [RBX, RSI, RDI].into_iter().filter(|&reg| base != Rm::from(reg));
        let [bits, value] = [(); 2].map(|()| free.next().expect("the base is one at most"));
        for (slot, reg) in saved.into_iter().zip([bits, value]) {
            self.asm.store(8, slot, reg);
        }
        self.asm.mov(false, bits, RAX);
        let scaled = |scale: u8, disp: i32| Mem {
            base: Base::Gpr(R12),
            index: Some((Index::Gpr(RCX), scale)),
            disp,
        };
        let (scale, bytes) = if wide { (3, 8) } else { (2, 4) };
        let lane = |disp: i32| scaled(scale, disp);
        self.asm.bind(next);
        self.asm.lowest_bit(RCX, bits);
        self.asm.mov(false, RDX, scaled(2, offset_at));
        self.asm.alu(Alu::Add, true, RDX, base);
        let word = Mem::at(RDX, 0);
        let (first, second) = (lane(first_at), lane(second_at));
        let mut old = RAX;
        match op {
            AtomicOp::Load => self.asm.mov(wide, RAX, word),
            AtomicOp::Exchange if lock => {
                self.asm.mov(wide, value, first);
                self.asm.exchange(wide, word, value);
                old = value;
            }
            AtomicOp::Exchange => {
                self.asm.mov(wide, value, first);
                self.asm.mov(wide, RAX, word);
                self.asm.store(bytes, word, value);
            }
            AtomicOp::Add if lock => {
                self.asm.mov(wide, value, first);
                self.asm.lock_add(wide, word, value);
                old = value;
            }
            AtomicOp::Add => {
                self.asm.mov(wide, RAX, word);
                self.asm.mov(wide, value, first);
                self.asm.alu(Alu::Add, wide, value, RAX);
                self.asm.store(bytes, word, value);
            }
            AtomicOp::CompareExchange => {
                self.asm.mov(wide, RAX, first);
                self.asm.mov(wide, value, second);
                self.asm.lock_compare_exchange(wide, word, value);
            }
            AtomicOp::Change(op) => {
                self.asm.mov(wide, RAX, word);
                let again = self.asm.label();
                self.asm.bind(again);
                self.asm.mov(wide, value, first);
                self.change(op, wide, value);
                if lock {
                    // If another thread was faster, the old value is now the one that it wrote.
                    self.asm.lock_compare_exchange(wide, word, value);
                    self.asm.jump_if(Cond::NotEqual, again);
                } else {
                    self.asm.store(bytes, word, value);
                }
            }
        }
        if returns {
            self.asm.store(bytes, lane(old_at), old);
        }
        self.asm.clear_lowest_bit(bits, bits);
        self.asm.jump_if(Cond::NotEqual, next);
        for (slot, reg) in saved.into_iter().zip([bits, value]) {
            self.asm.mov(true, reg, slot);
        }
        self.asm.bind(done);
        if returns && !wide {
            let to = self.lanes_to(d, SCRATCH[0]);
            self.vec(ops::MOVUPS_LOAD, to, V(0), Mem::at(R12, old_at));
            self.lanes_done(d, to);
        }
    }

    /// Replaces an operand by the result of the operation on it and the old value in `rax`.
    fn change(&mut self, op: Lane2, wide: bool, operand: Gpr) {
        let alu = match op {
            Lane2::And => Some(Alu::And),
            Lane2::Or => Some(Alu::Or),
            Lane2::Xor => Some(Alu::Xor),
            _ => None,
        };
        if let Some(alu) = alu {
            return self.asm.alu(alu, wide, operand, RAX);
        }
        let better = match op {
            Lane2::MinSigned => Some(Cond::Less),
            Lane2::MaxSigned => Some(Cond::Greater),
            Lane2::MinUnsigned => Some(Cond::Below),
            Lane2::MaxUnsigned => Some(Cond::Above),
            _ => None,
        };
        if let Some(better) = better {
            self.asm.alu(Alu::Cmp, wide, RAX, operand);
            return self.asm.cmov(better, wide, operand, RAX);
        }
        if op == Lane2::Sub {
            self.asm.neg(wide, operand);
            return self.asm.alu(Alu::Add, wide, operand, RAX);
        }
        let [result, old, new] = SCRATCH;
        self.asm.vex(ops::MOVD, false, old.0, 0, RAX.into(), 0);
        self.asm.vex(ops::MOVD, false, new.0, 0, operand.into(), 0);
        match op {
            Lane2::AddFloat => self.vec(ops::ADDPS, result, old, new),
            Lane2::SubFloat => self.vec(ops::SUBPS, result, old, new),
            _ => self.least_or_most(op, old, new),
        }
        self.asm.vex(ops::MOVD_STORE, false, result.0, 0, operand.into(), 0);
    }
}
