//! The registers and memory of operands and results.

use super::{Emitter, R12, R13, R14, SCRATCH};
use crate::soft::cpu::native::allocate::Place;
use crate::soft::cpu::native::lir::{Home, MemBase, MemRef, Reg};
use crate::soft::cpu::native::x86_64::asm::{
    Base, Gpr, Index, Mask, Mem, Op, RAX, RBP, RCX, RDX, Rm, Shift, Vector as V, Width, ops,
};

impl Emitter<'_> {
    pub(super) fn place(&self, reg: Reg) -> Place {
        self.allocation.places[reg.0 as usize]
    }

    pub(super) fn home(&self, reg: Reg) -> Home {
        self.code.regs[reg.0 as usize].home.expect("a register at home has one")
    }

    pub(super) fn spilled(offset: u32) -> Mem {
        Mem::at(R12, offset as i32)
    }

    /// The register of an integer operand, loaded into `scratch` if it is in memory.
    pub(super) fn int(&mut self, reg: Reg, scratch: Gpr) -> Gpr {
        match self.place(reg) {
            Place::Register(number) => Gpr(number),
            Place::Spill(offset) => {
                self.asm.mov(true, scratch, Self::spilled(offset));
                scratch
            }
            Place::Home | Place::None => scratch,
        }
    }

    /// The same as an operand that may be in memory.
    pub(super) fn int_rm(&self, reg: Reg) -> Rm {
        match self.place(reg) {
            Place::Register(number) => Rm::Reg(number),
            Place::Spill(offset) => Self::spilled(offset).into(),
            Place::Home | Place::None => RAX.into(),
        }
    }

    /// The register in which to compute an integer result: `scratch` if it is in memory.
    pub(super) fn int_to(&self, reg: Reg, scratch: Gpr) -> Gpr {
        match self.place(reg) {
            Place::Register(number) => Gpr(number),
            _ => scratch,
        }
    }

    /// Stores an integer result that was computed in a scratch register.
    pub(super) fn int_done(&mut self, reg: Reg, from: Gpr) {
        if let Place::Spill(offset) = self.place(reg) {
            self.asm.store(8, Self::spilled(offset), from);
        }
    }

    pub(super) fn mem(&mut self, mem: &MemRef) -> Mem {
        let bits = |emitter: &mut Self, base: Gpr, disp: i32| {
            if emitter.code.lanes * emitter.code.parts == 32 {
                return Mem::at(base, disp);
            }
            emitter.asm.mov(false, RCX, R13);
            emitter.asm.shift_imm(Shift::Right, false, RCX, 5);
            Mem { base: Base::Gpr(base), index: Some((Index::Gpr(RCX), 0)), disp }
        };
        match mem.base {
            MemBase::Reg(base) => {
                let base = self.int(base, RCX);
                let index = mem.index.map(|index| (Index::Gpr(self.int(index, RDX)), 0));
                Mem { base: Base::Gpr(base), index, disp: mem.disp }
            }
            MemBase::Frame => Mem::at(RBP, mem.disp),
            MemBase::FrameLanes => self.frame_lanes(mem.disp),
            MemBase::FrameWide => {
                let first = self.frame_lanes(mem.disp);
                Mem { index: first.index.map(|(index, _)| (index, 1)), ..first }
            }
            MemBase::Wave => Mem::at(R14, mem.disp),
            MemBase::FrameBits => bits(self, RBP, mem.disp),
            MemBase::WaveBits => bits(self, R14, mem.disp),
            MemBase::Own => {
                let index = mem.index.map(|index| (Index::Gpr(self.int(index, RDX)), 0));
                Mem { base: Base::Gpr(R12), index, disp: self.area.own as i32 + mem.disp }
            }
        }
    }

    pub(super) fn frame_lanes(&self, disp: i32) -> Mem {
        if self.code.lanes * self.code.parts == 32 {
            return Mem::at(RBP, disp);
        }
        Mem { base: Base::Gpr(RBP), index: Some((Index::Gpr(R13), 0)), disp }
    }

    /// A constant of the pool with this number in each lane.
    pub(super) fn pool(&mut self, lane: impl Fn(u32) -> u32) -> Mem {
        let bytes: Vec<u8> =
            (0..self.width.lanes()).flat_map(|at| lane(at).to_le_bytes()).collect();
        Mem::pool(self.asm.constant(&bytes))
    }

    /// Loads a value from its home into a register.
    pub(super) fn load_home(&mut self, home: Home, to: V) {
        match home {
            Home::Lanes(offset) => {
                let mem = self.frame_lanes(offset as i32);
                self.vec(ops::MOVUPS_LOAD, to, V(0), mem);
            }
            Home::Slot(offset) => self.vec(ops::BROADCASTSS, to, V(0), Mem::at(RBP, offset as i32)),
            Home::Constant(0) => self.vec(ops::PXOR, to, to, to),
            Home::Constant(bits) => {
                let mem = self.pool(|_| bits);
                self.vec(ops::MOVUPS_LOAD, to, V(0), mem);
            }
            Home::Iota { first, factor } => {
                let mem = self.pool(|lane| (first + lane).wrapping_mul(factor));
                self.vec(ops::MOVUPS_LOAD, to, V(0), mem);
            }
            Home::Table(numbers) => {
                let mem = self.pool(|lane| numbers[lane as usize]);
                self.vec(ops::MOVUPS_LOAD, to, V(0), mem);
            }
        }
    }

    /// Loads the registers whose values are in memory when the strip starts.
    pub(super) fn homes(&mut self) {
        for (index, info) in self.code.regs.iter().enumerate() {
            let Some(home) = info.home else { continue };
            match self.allocation.places[index] {
                Place::Register(number) => self.load_home(home, V(number)),
                Place::Spill(offset) => {
                    self.load_home(home, SCRATCH[0]);
                    self.vec(ops::MOVUPS_STORE, SCRATCH[0], V(0), Self::spilled(offset));
                }
                Place::Home | Place::None => {}
            }
        }
    }

    /// The register of a vector operand (with 256 bits, also of a mask), loaded into `scratch` if it is in memory.
    pub(super) fn lanes(&mut self, reg: Reg, scratch: V) -> V {
        match self.place(reg) {
            Place::Register(number) => return V(number),
            Place::Spill(offset) => {
                self.vec(ops::MOVUPS_LOAD, scratch, V(0), Self::spilled(offset));
            }
            Place::Home => {
                let home = self.home(reg);
                self.load_home(home, scratch);
            }
            Place::None => {}
        }
        scratch
    }

    /// The same as an operand that may be in memory.
    pub(super) fn lanes_rm(&mut self, reg: Reg, scratch: V) -> Rm {
        match self.place(reg) {
            Place::Spill(offset) => Self::spilled(offset).into(),
            Place::Home => match self.home(reg) {
                Home::Lanes(offset) => self.frame_lanes(offset as i32).into(),
                Home::Constant(bits) if bits != 0 => self.pool(|_| bits).into(),
                Home::Iota { first, factor } => {
                    self.pool(|lane| (first + lane).wrapping_mul(factor)).into()
                }
                Home::Table(numbers) => self.pool(|lane| numbers[lane as usize]).into(),
                _ => self.lanes(reg, scratch).into(),
            },
            _ => self.lanes(reg, scratch).into(),
        }
    }

    pub(super) fn lanes_to(&self, reg: Reg, scratch: V) -> V {
        match self.place(reg) {
            Place::Register(number) => V(number),
            _ => scratch,
        }
    }

    pub(super) fn lanes_done(&mut self, reg: Reg, from: V) {
        if let Place::Spill(offset) = self.place(reg) {
            self.vec(ops::MOVUPS_STORE, from, V(0), Self::spilled(offset));
        }
    }

    /// The mask register of a mask operand, loaded into `scratch` if it is in memory.
    pub(super) fn mask(&mut self, reg: Reg, scratch: Mask) -> Mask {
        match self.place(reg) {
            Place::Register(number) => Mask(number),
            Place::Spill(offset) => {
                self.asm.mask2(ops::KMOVW, scratch.0, Self::spilled(offset));
                scratch
            }
            Place::Home | Place::None => scratch,
        }
    }

    pub(super) fn mask_to(&self, reg: Reg, scratch: Mask) -> Mask {
        match self.place(reg) {
            Place::Register(number) => Mask(number),
            _ => scratch,
        }
    }

    pub(super) fn mask_done(&mut self, reg: Reg, from: Mask) {
        if let Place::Spill(offset) = self.place(reg) {
            self.asm.mask2(ops::KMOVW_STORE, from.0, Self::spilled(offset));
        }
    }

    pub(super) fn copy_to(&mut self, d: Reg, s: V) {
        match self.place(d) {
            Place::Register(number) if V(number) == s => {}
            Place::Register(number) => self.vec(ops::MOVAPS, V(number), V(0), s),
            _ => self.lanes_done(d, s),
        }
    }

    pub(super) fn vec(&mut self, op: Op, reg: V, vvvv: V, rm: impl Into<Rm>) {
        self.asm.vec(self.width, op, reg, vvvv, rm);
    }

    pub(super) fn zmm(&self) -> bool {
        self.width == Width::Zmm
    }
}
