//! Atomics: a loop over the lanes of a vector.

use super::{Emitter, LINK, OWN_MEMORY, SCRATCH, X9, X10, X11, X12, X13, X14, X16, X17};
use crate::soft::cpu::native::aarch64::asm::{Cond, Gpr, Shift, ZERO};
use crate::soft::cpu::native::aarch64::ops;
use crate::soft::cpu::native::lir::{AtomicOp, Lane2, Reg, WIDE_ROW};

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

/// The word's address, the operands, and the word before.
const ADDRESS: Gpr = X10;
const FIRST: Gpr = X12;
const SECOND: Gpr = X14;
const OLD: Gpr = X13;

impl Emitter<'_> {
    pub(super) fn atomic(&mut self, atomic: &Atomic) {
        let Atomic { op, lock, returns, d, base, offsets, a, b, mask, wide: own } = *atomic;
        let (next, done) = (self.asm.label(), self.asm.label());
        // One bit for each lane, eight apart.
        self.mask_bytes(mask, X9);
        self.asm.mov_imm(X10, 0x0101_0101_0101_0101);
        self.asm.int(ops::AND, true, X9, X9, X10);
        self.asm.jump_zero(true, true, X9, done);
        let operands = match op {
            AtomicOp::Load => 0,
            AtomicOp::CompareExchange => 2,
            _ => 1,
        };
        let wide = own.is_some();
        // The first of the rows, the distance between them, and which row has the offsets.
        let (start, row, offset_at) = match own {
            Some(own) => (self.area.own + own, WIDE_ROW as i32, 3 * WIDE_ROW as i32),
            None => (self.area.loops, 64, 192),
        };
        let [first_at, second_at, old_at] = [0, row, 2 * row];
        let vectors = if wide { 0 } else { operands };
        self.add(X16, OWN_MEMORY, start.into());
        let stored = [(offsets, offset_at), (a, first_at), (b, second_at)];
        for (reg, at) in stored.into_iter().take(1 + vectors) {
            // This may need the address of a frame's lanes.
            let s = self.vector(reg, SCRATCH[1]);
            self.add(X16, OWN_MEMORY, start.into());
            self.access_pair(ops::STP_Q, s, X16, at);
        }
        let base = self.int(base, X11);
        let (load, store, bytes) =
            if wide { (ops::LDR_X, ops::STR_X, 8) } else { (ops::LDR_W, ops::STR_W, 4) };
        self.asm.bind(next);
        self.asm.int1(ops::RBIT, true, X10, X9);
        self.asm.int1(ops::CLZ, true, X10, X10);
        self.asm.shift_imm(Shift::Right, true, X10, X10, 3);
        self.asm.add_shifted(X17, X16, X10, 2);
        self.asm.at(ops::LDR_W, X14.0, X17, offset_at, 4);
        if wide {
            self.asm.add_shifted(X17, X16, X10, 3);
        }
        self.asm.add_signed(ADDRESS, base, X14);
        let loads = [(FIRST, first_at), (SECOND, second_at)];
        for (to, at) in loads.into_iter().take(operands) {
            self.asm.at(load, to.0, X17, at, bytes);
        }
        self.change_word(op, lock, wide);
        if returns {
            self.asm.at(store, OLD.0, X17, old_at, bytes);
        }
        self.asm.add_imm(true, X10, X9, -1);
        self.asm.int(ops::AND, true, X9, X9, X10);
        self.asm.jump_zero(false, true, X9, next);
        self.asm.bind(done);
        if returns && !wide {
            let to = self.vector_to(d, SCRATCH[0]);
            self.add(X16, OWN_MEMORY, (start + old_at as u32).into());
            self.access_pair(ops::LDP_Q, to, X16, 0);
            self.vector_done(d, to);
        }
    }

    /// Reads the word at the address, and writes what it becomes.
    fn change_word(&mut self, op: AtomicOp, lock: bool, wide: bool) {
        let (load, store, bytes) =
            if wide { (ops::LDR_X, ops::STR_X, 8) } else { (ops::LDR_W, ops::STR_W, 4) };
        let (load_locked, store_locked) =
            if wide { (ops::LDXR_X, ops::STXR_X) } else { (ops::LDXR, ops::STXR) };
        if op == AtomicOp::Load {
            self.asm.at(load, OLD.0, ADDRESS, 0, bytes);
            return;
        }
        let (again, differs) = (self.asm.label(), self.asm.label());
        self.asm.bind(again);
        match lock {
            true => self.asm.plain(load_locked, OLD.0, ADDRESS),
            false => _ = self.asm.at(load, OLD.0, ADDRESS, 0, bytes),
        }
        let new = match op {
            AtomicOp::Load | AtomicOp::Exchange => FIRST,
            AtomicOp::CompareExchange => {
                self.asm.int(ops::SUBS, wide, ZERO, OLD, FIRST);
                self.asm.jump_if(Cond::NotEqual, differs);
                SECOND
            }
            AtomicOp::Add => {
                self.asm.int(ops::ADD, wide, X14, OLD, FIRST);
                X14
            }
            AtomicOp::Change(op) => {
                self.changed(op, wide);
                X14
            }
        };
        if lock {
            self.asm.store_exclusive(store_locked, LINK, new, ADDRESS);
            self.asm.jump_zero(false, false, LINK, again);
        } else {
            self.asm.at(store, new.0, ADDRESS, 0, bytes);
        }
        self.asm.bind(differs);
    }

    /// Computes the new word from the old one and the first operand, in `x14`.
    fn changed(&mut self, op: Lane2, wide: bool) {
        let plain = match op {
            Lane2::And => Some(ops::AND),
            Lane2::Or => Some(ops::ORR),
            Lane2::Xor => Some(ops::EOR),
            Lane2::Sub => Some(ops::SUB),
            _ => None,
        };
        if let Some(op) = plain {
            return self.asm.int(op, wide, X14, OLD, FIRST);
        }
        let better = match op {
            Lane2::MinSigned => Some(Cond::Less),
            Lane2::MaxSigned => Some(Cond::Greater),
            Lane2::MinUnsigned => Some(Cond::Below),
            Lane2::MaxUnsigned => Some(Cond::Above),
            _ => None,
        };
        if let Some(better) = better {
            self.asm.int(ops::SUBS, wide, ZERO, OLD, FIRST);
            return self.asm.choose(ops::CSEL, wide, X14, OLD, FIRST, better);
        }
        let ([result, old], [operand, _]) = (SCRATCH[0], SCRATCH[1]);
        self.asm.set_low(old, OLD);
        self.asm.set_low(operand, FIRST);
        match op {
            Lane2::AddFloat => self.asm.vec3(ops::FADD, result, old, operand),
            Lane2::SubFloat => self.asm.vec3(ops::FSUB, result, old, operand),
            _ => self.least_or_most(op, result, old, operand),
        }
        self.asm.low_of(ops::FMOV_FROM_S, X14, result);
    }
}
