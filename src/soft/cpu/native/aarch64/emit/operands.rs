//! Where operands are found and results are put: registers, spilled values, and values at home.

use super::{Emitter, FIRST_LANE, FRAME, OWN_MEMORY, Pair, SCRATCH, WAVE, X16, X17, pair};
use crate::soft::cpu::native::aarch64::asm::{Gpr, Shift, Vector as V};
use crate::soft::cpu::native::aarch64::ops::{self, Op};
use crate::soft::cpu::native::allocate::Place;
use crate::soft::cpu::native::lir::{Home, MemBase, MemRef, Reg};

impl Emitter<'_> {
    pub(super) fn place(&self, reg: Reg) -> Place {
        self.allocation.places[reg.0 as usize]
    }

    // --- Numbers -------------------------------------------------------------------------------------

    /// A number, in its own register or in a temporary.
    pub(super) fn int(&mut self, reg: Reg, scratch: Gpr) -> Gpr {
        match self.place(reg) {
            Place::Register(number) => return Gpr(number),
            Place::Spill(offset) => {
                self.access(ops::LDR_X, scratch.0, OWN_MEMORY, offset as i32, 8);
            }
            Place::Home | Place::None => {}
        }
        scratch
    }

    /// The register for a result, which [`Self::int_done`] stores if it is a temporary.
    pub(super) fn int_to(&self, reg: Reg, scratch: Gpr) -> Gpr {
        match self.place(reg) {
            Place::Register(number) => Gpr(number),
            _ => scratch,
        }
    }

    pub(super) fn int_done(&mut self, reg: Reg, from: Gpr) {
        if let Place::Spill(offset) = self.place(reg) {
            self.access(ops::STR_X, from.0, OWN_MEMORY, offset as i32, 8);
        }
    }

    /// `to = base + number`.
    pub(super) fn add(&mut self, to: Gpr, base: Gpr, number: i64) {
        if !self.asm.add_imm(true, to, base, number) {
            self.asm.mov_imm(X17, number.cast_unsigned());
            self.asm.int(ops::ADD, true, to, base, X17);
        }
    }

    // --- Memory --------------------------------------------------------------------------------------

    /// Loads or stores a register of this many bytes; `x17` is lost where the offset is large.
    pub(super) fn access(&mut self, op: Op, reg: u8, base: Gpr, offset: i32, bytes: u32) {
        if !self.asm.at(op, reg, base, offset, bytes) {
            self.add(X17, base, offset.into());
            self.asm.at(op, reg, X17, 0, bytes);
        }
    }

    /// Loads or stores both registers of a vector.
    pub(super) fn access_pair(&mut self, op: Op, regs: Pair, base: Gpr, offset: i32) {
        let regs = regs.map(|v| v.0);
        if !self.asm.pair_at(op, regs, base, offset, 16) {
            self.add(X17, base, offset.into());
            self.asm.pair_at(op, regs, X17, 0, 16);
        }
    }

    /// The base of an operand in memory, perhaps in `x16`, and its offset from there.
    pub(super) fn mem(&mut self, mem: &MemRef) -> (Gpr, i32) {
        let bits = |emitter: &mut Self, base: Gpr| {
            if emitter.is_whole() {
                return base;
            }
            emitter.asm.shift_imm(Shift::Right, true, X16, FIRST_LANE, 5);
            emitter.asm.int(ops::ADD, true, X16, base, X16);
            X16
        };
        let base = match mem.base {
            MemBase::Reg(base) => self.int(base, X16),
            MemBase::Frame => FRAME,
            MemBase::FrameLanes => self.frame_lanes(0),
            MemBase::FrameWide => self.frame_lanes(1),
            MemBase::Wave => WAVE,
            MemBase::FrameBits => bits(self, FRAME),
            MemBase::WaveBits => bits(self, WAVE),
            MemBase::Own => OWN_MEMORY,
        };
        let base = match mem.index {
            Some(index) => {
                let index = self.int(index, X17);
                self.asm.int(ops::ADD, true, X16, base, index);
                X16
            }
            None => base,
        };
        (base, mem.disp + if mem.base == MemBase::Own { self.area.own as i32 } else { 0 })
    }

    /// The address of an operand in memory, in `x16`.
    pub(super) fn address(&mut self, mem: &MemRef) {
        let (base, disp) = self.mem(mem);
        if base != X16 || disp != 0 {
            self.add(X16, base, disp.into());
        }
    }

    /// The start of the strip's lanes in the frame, where a lane has four bytes, or with a shift of one eight.
    pub(super) fn frame_lanes(&mut self, by: u32) -> Gpr {
        if self.is_whole() {
            return FRAME;
        }
        self.asm.add_shifted(X16, FRAME, FIRST_LANE, by);
        X16
    }

    // --- Vectors -------------------------------------------------------------------------------------

    /// Numbers of eight lanes, by constants of the pool.
    pub(super) fn lanes_constant(&mut self, to: Pair, lane: impl Fn(u32) -> u32) {
        for (half, to) in (0..).zip(to) {
            let mut bytes = [0; 16];
            for (at, word) in (0..).zip(bytes.chunks_exact_mut(4)) {
                word.copy_from_slice(&lane(half * 4 + at).to_le_bytes());
            }
            self.asm.load_constant(to, &bytes);
        }
    }

    /// Loads a value at home; where all lanes are equal, to one register.
    pub(super) fn load_home(&mut self, home: Home, to: Pair) -> Pair {
        match home {
            Home::Lanes(offset) => {
                let base = self.frame_lanes(0);
                self.access_pair(ops::LDP_Q, to, base, offset as i32);
            }
            Home::Slot(offset) => {
                self.add(X16, FRAME, offset.into());
                self.asm.plain(ops::LD1R, to[0].0, X16);
                return [to[0]; 2];
            }
            Home::Constant(bits) => {
                self.asm.splat(to[0], bits);
                return [to[0]; 2];
            }
            Home::Iota { first, factor } => {
                self.lanes_constant(to, |lane| (first + lane).wrapping_mul(factor));
            }
            Home::Table(numbers) => self.lanes_constant(to, |lane| numbers[lane as usize]),
        }
        to
    }

    /// Loads everything that is in memory when the strip starts and is in a register later.
    pub(super) fn homes(&mut self) {
        for (index, info) in self.code.regs.iter().enumerate() {
            let Some(home) = info.home else { continue };
            match self.allocation.places[index] {
                Place::Register(number) => {
                    let from = self.load_home(home, pair(number));
                    self.copy(pair(number), from);
                }
                Place::Spill(offset) => {
                    let from = self.load_home(home, SCRATCH[0]);
                    self.access_pair(ops::STP_Q, from, OWN_MEMORY, offset as i32);
                }
                Place::Home | Place::None => {}
            }
        }
    }

    /// A vector or a mask, in its own registers or in temporaries.
    pub(super) fn vector(&mut self, reg: Reg, scratch: Pair) -> Pair {
        match self.place(reg) {
            Place::Register(number) => return pair(number),
            Place::Spill(offset) => {
                self.access_pair(ops::LDP_Q, scratch, OWN_MEMORY, offset as i32);
            }
            Place::Home => {
                let home = self.code.regs[reg.0 as usize].home.expect("a register at home has one");
                return self.load_home(home, scratch);
            }
            Place::None => {}
        }
        scratch
    }

    /// The registers for a result, which [`Self::vector_done`] stores if they are temporaries.
    pub(super) fn vector_to(&self, reg: Reg, scratch: Pair) -> Pair {
        match self.place(reg) {
            Place::Register(number) => pair(number),
            _ => scratch,
        }
    }

    pub(super) fn vector_done(&mut self, reg: Reg, from: Pair) {
        if let Place::Spill(offset) = self.place(reg) {
            self.access_pair(ops::STP_Q, from, OWN_MEMORY, offset as i32);
        }
    }

    /// Copies registers; the source may be one register twice.
    pub(super) fn copy(&mut self, to: Pair, from: Pair) {
        for half in 0..2 {
            if to[half] != from[half] {
                self.asm.vec3(ops::V_ORR, to[half], from[half], from[half]);
            }
        }
    }

    pub(super) fn vector_move(&mut self, d: Reg, s: Reg) {
        let to = self.vector_to(d, SCRATCH[0]);
        let from = self.vector(s, to);
        self.copy(to, from);
        self.vector_done(d, to);
    }

    /// An instruction on each register of a vector.
    pub(super) fn each1(&mut self, op: Op, d: Reg, a: Reg) {
        let (to, a) = (self.vector_to(d, SCRATCH[0]), self.vector(a, SCRATCH[1]));
        for half in 0..2 {
            self.asm.vec2(op, to[half], a[half]);
        }
        self.vector_done(d, to);
    }

    /// The same of two vectors.
    pub(super) fn each2(&mut self, op: Op, d: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.vector(a, SCRATCH[1]), self.vector(b, SCRATCH[2]));
        let to = self.vector_to(d, SCRATCH[0]);
        for half in 0..2 {
            self.asm.vec3(op, to[half], a[half], b[half]);
        }
        self.vector_done(d, to);
    }

    /// A number of 32 bits in all lanes of both registers of a vector.
    pub(super) fn splat(&mut self, to: Pair, bits: u32) {
        to.into_iter().for_each(|to: V| self.asm.splat(to, bits));
    }
}
