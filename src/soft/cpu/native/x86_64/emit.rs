//! The emitter: machine operations become x86-64 instructions.
//!
//! | register | holds |
//! |---|---|
//! | `rax`, `rcx`, `rdx`, vectors 0 to 2, mask 1 | what one operation needs for itself |
//! | `rbp` | the SIMD-group's frame |
//! | `r12` | the code's own memory: spilled registers, and all of them while it calls out |
//! | `r13` | four times the strip's first lane |
//! | `r14` | the state of the SIMD-group |
//! | `r15` | work until the clock is asked |
//! | all others | virtual registers |

use super::asm::{
    Alu, Assembler, Base, Cond, Extend, Gpr, Index, Label, Mask, Mem, Op, RAX, RBP, RBX, RCX, RDI,
    RDX, RSI, RSP, Rm, Shift, Vector as V, Width, ops,
};
use crate::soft::cpu::native::allocate::{Allocation, Files, Place, allocate};
use crate::soft::cpu::native::lir::{
    Class, Code, Home, Ins, IntOp, Kind, Lane1, Lane2, MaskOp, MemBase, MemRef, Reg, Test,
};
use crate::soft::cpu::native::machine::{Area, Slow};
use crate::soft::cpu::native::region::Layout;
use crate::soft::ir::Scalar;

const R12: Gpr = Gpr(12);
const R13: Gpr = Gpr(13);
const R14: Gpr = Gpr(14);
const R15: Gpr = Gpr(15);
/// The mask register that one operation needs for itself.
const K1: Mask = Mask(1);
const SCRATCH: [V; 3] = [V(0), V(1), V(2)];

/// Bytes of the code's own memory, at most: it is on the stack.
const MAX_AREA: u32 = 128 * 1024;

/// Registers that allocation gives out.
fn files(width: Width) -> Files {
    const INTS: &[u8] = &[3, 6, 7, 8, 9, 10, 11];
    const YMM: &[u8] = &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    const ZMM: &[u8] = &[
        3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
        27, 28, 29, 30, 31,
    ];
    match width {
        Width::Ymm => Files { ints: INTS, vectors: YMM, masks: None, vector_bytes: 32 },
        Width::Zmm => {
            Files { ints: INTS, vectors: ZMM, masks: Some(&[2, 3, 4, 5, 6, 7]), vector_bytes: 64 }
        }
    }
}

/// The bytes of a region's code, where its registers are, and the memory that it needs.
pub(crate) struct Emitted {
    pub(crate) bytes: Vec<u8>,
    pub(crate) places: Vec<Place>,
    pub(crate) area: Area,
}

/// Emits code; none if it needs too much memory.
pub(crate) fn emit(code: &Code, width: Width, slow: Slow) -> Option<Emitted> {
    let allocation = allocate(code, &files(width));
    let area = Area::new(allocation.spill_bytes, code.own_bytes);
    if area.bytes > MAX_AREA {
        return None;
    }
    let mut asm = Assembler::default();
    let labels = (0..code.labels).map(|_| asm.label()).collect();
    let ends = code.sites.iter().map(|_| asm.label()).collect();
    let cold = vec![None; code.sites.len()];
    let (exit, thunk) = (asm.label(), asm.label());
    let mut emitter = Emitter {
        asm,
        code,
        allocation: &allocation,
        width,
        area,
        labels,
        ends,
        cold,
        exit,
        thunk,
        reset: None,
    };
    emitter.whole(slow);
    let bytes = emitter.asm.finish();
    Some(Emitted { bytes, places: allocation.places, area })
}

struct Emitter<'a> {
    asm: Assembler,
    code: &'a Code,
    allocation: &'a Allocation,
    width: Width,
    area: Area,
    labels: Vec<Label>,
    /// Where the slow path of each site goes on.
    ends: Vec<Label>,
    /// The slow paths that something jumps to.
    cold: Vec<Option<Label>>,
    exit: Label,
    thunk: Label,
    /// What was fused into the next instruction.
    reset: Option<Reg>,
}

impl Emitter<'_> {
    fn whole(&mut self, slow: Slow) {
        let several = self.code.lanes * self.code.parts < 32;
        self.enter();
        let strip = self.asm.label();
        self.asm.bind(strip);
        self.homes();
        for (at, ins) in self.code.code.iter().enumerate() {
            self.ins(at, ins);
        }
        if several {
            let bytes = (self.code.lanes * self.code.parts * 4) as i32;
            self.asm.alu_imm(Alu::Add, false, R13, bytes);
            self.asm.alu_imm(Alu::Cmp, false, R13, 32 * 4);
            self.asm.jump_if(Cond::Below, strip);
        }
        for &(own, frame) in &self.code.late {
            self.asm.mov(true, RAX, Mem::at(R12, (self.area.own + own) as i32));
            self.asm.store(8, Mem::at(RBP, frame as i32), RAX);
        }
        self.asm.alu(Alu::Xor, false, RAX, RAX);
        self.asm.bind(self.exit);
        self.leave();
        for site in 0..self.code.sites.len() {
            if let Some(cold) = self.cold[site] {
                self.asm.bind(cold);
                self.call_site(site as u32);
                self.asm.jump(self.ends[site]);
            }
        }
        self.call_out(slow);
    }

    // --- Frame ---------------------------------------------------------------------------------------

    const SAVED: [Gpr; 6] = [RBX, RBP, R12, R13, R14, R15];

    /// `extern "sysv64" fn(frame, wave, machine) -> u32`: 0, or 1 if the SIMD-group stops.
    fn enter(&mut self) {
        for reg in Self::SAVED {
            self.asm.push(reg);
        }
        self.asm.mov(true, RBP, RDI);
        self.asm.mov(true, R14, RSI);
        self.asm.mov(true, RAX, RSP);
        self.asm.alu_imm(Alu::Sub, true, RSP, self.area.bytes as i32);
        self.asm.alu_imm(Alu::And, true, RSP, -64);
        // The guard page of the stack is found by touching each page in turn.
        // Alignment took up to 63 bytes more than the area has.
        let mut at = self.area.bytes as i32 - 4096 + 64;
        while at > 0 {
            self.asm.alu_imm(Alu::Or, false, Mem::at(RSP, at), 0);
            at -= 4096;
        }
        self.asm.alu_imm(Alu::Or, false, Mem::at(RSP, 0), 0);
        self.asm.mov(true, R12, RSP);
        self.asm.store(8, Mem::at(R12, self.area.stack as i32), RAX);
        self.asm.store(8, Mem::at(R12, self.area.machine as i32), RDX);
        self.asm.mov(true, R15, Mem::at(R14, Layout::BUDGET));
        self.asm.alu(Alu::Xor, false, R13, R13);
    }

    fn leave(&mut self) {
        self.asm.store(8, Mem::at(R14, Layout::BUDGET), R15);
        self.asm.vzeroupper();
        self.asm.mov(true, RSP, Mem::at(R12, self.area.stack as i32));
        for reg in Self::SAVED.into_iter().rev() {
            self.asm.pop(reg);
        }
        self.asm.ret();
    }

    fn call_site(&mut self, site: u32) {
        self.asm.mov_imm(RAX, site.into());
        self.asm.call(self.thunk);
    }

    /// Saves every register where the slow path can read and write it, and calls that; `rax` is the site.
    fn call_out(&mut self, slow: Slow) {
        self.asm.bind(self.thunk);
        let vectors = if self.width == Width::Zmm { 32 } else { 16 };
        let at = |offset: u32| Mem::at(R12, offset as i32);
        let area = self.area;
        for reg in (0..16).filter(|&reg| reg != RSP.0) {
            self.asm.store(8, at(area.ints + u32::from(reg) * 8), Gpr(reg));
        }
        for reg in 0..vectors {
            let mem = at(area.vectors + u32::from(reg) * 64);
            self.asm.vec(self.width, ops::MOVUPS_STORE, V(reg), V(0), mem);
        }
        if self.width == Width::Zmm {
            for reg in 0..8 {
                self.asm.mask2(ops::KMOVW_STORE, reg, at(area.masks + u32::from(reg) * 8));
            }
        }
        self.asm.vzeroupper();
        self.asm.mov(true, RDI, R12);
        self.asm.mov(false, RSI, RAX);
        self.asm.mov(true, RDX, at(area.machine));
        self.asm.mov(true, RCX, RBP);
        self.asm.mov(true, Gpr(8), R14);
        self.asm.mov_imm(RAX, slow as usize as u64);
        // The stack is aligned but for the return address.
        self.asm.alu_imm(Alu::Sub, true, RSP, 8);
        self.asm.call_register(RAX);
        self.asm.alu_imm(Alu::Add, true, RSP, 8);
        let stops = self.asm.label();
        self.asm.test(false, RAX, RAX);
        self.asm.jump_if(Cond::NotEqual, stops);
        for reg in 0..vectors {
            let mem = at(area.vectors + u32::from(reg) * 64);
            self.asm.vec(self.width, ops::MOVUPS_LOAD, V(reg), V(0), mem);
        }
        if self.width == Width::Zmm {
            for reg in 0..8 {
                self.asm.mask2(ops::KMOVW, reg, at(area.masks + u32::from(reg) * 8));
            }
        }
        for reg in (0..16).filter(|&reg| reg != RSP.0 && reg != R12.0) {
            self.asm.mov(true, Gpr(reg), at(area.ints + u32::from(reg) * 8));
        }
        self.asm.ret();
        self.asm.bind(stops);
        self.asm.mov(true, R15, at(area.ints + 15 * 8));
        self.asm.jump(self.exit);
    }

    // --- Operands ------------------------------------------------------------------------------------

    fn place(&self, reg: Reg) -> Place {
        self.allocation.places[reg.0 as usize]
    }

    fn home(&self, reg: Reg) -> Home {
        self.code.regs[reg.0 as usize].home.expect("a register at home has one")
    }

    fn spilled(offset: u32) -> Mem {
        Mem::at(R12, offset as i32)
    }

    /// A number to read.
    fn int(&mut self, reg: Reg, scratch: Gpr) -> Gpr {
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
    fn int_rm(&self, reg: Reg) -> Rm {
        match self.place(reg) {
            Place::Register(number) => Rm::Reg(number),
            Place::Spill(offset) => Self::spilled(offset).into(),
            Place::Home | Place::None => RAX.into(),
        }
    }

    /// Where a number is made.
    fn int_to(&self, reg: Reg, scratch: Gpr) -> Gpr {
        match self.place(reg) {
            Place::Register(number) => Gpr(number),
            _ => scratch,
        }
    }

    /// Stores a number that was made in a scratch register.
    fn int_done(&mut self, reg: Reg, from: Gpr) {
        if let Place::Spill(offset) = self.place(reg) {
            self.asm.store(8, Self::spilled(offset), from);
        }
    }

    fn mem(&mut self, mem: &MemRef) -> Mem {
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
            MemBase::Wave => Mem::at(R14, mem.disp),
            MemBase::FrameBits => bits(self, RBP, mem.disp),
            MemBase::WaveBits => bits(self, R14, mem.disp),
            MemBase::Own => Mem::at(R12, self.area.own as i32 + mem.disp),
        }
    }

    fn frame_lanes(&self, disp: i32) -> Mem {
        if self.code.lanes * self.code.parts == 32 {
            return Mem::at(RBP, disp);
        }
        Mem { base: Base::Gpr(RBP), index: Some((Index::Gpr(R13), 0)), disp }
    }

    /// A constant of the pool with this number in each lane.
    fn pool(&mut self, lane: impl Fn(u32) -> u32) -> Mem {
        let bytes: Vec<u8> =
            (0..self.width.lanes()).flat_map(|at| lane(at).to_le_bytes()).collect();
        Mem::pool(self.asm.constant(&bytes))
    }

    /// Loads what is at home into a register.
    fn load_home(&mut self, home: Home, to: V) {
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
        }
    }

    /// Loads everything that is in memory when the strip starts and is in a register later.
    fn homes(&mut self) {
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

    /// A vector to read; with 256 bits also a mask.
    fn lanes(&mut self, reg: Reg, scratch: V) -> V {
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
    fn lanes_rm(&mut self, reg: Reg, scratch: V) -> Rm {
        match self.place(reg) {
            Place::Spill(offset) => Self::spilled(offset).into(),
            Place::Home => match self.home(reg) {
                Home::Lanes(offset) => self.frame_lanes(offset as i32).into(),
                Home::Constant(bits) if bits != 0 => self.pool(|_| bits).into(),
                Home::Iota { first, factor } => {
                    self.pool(|lane| (first + lane).wrapping_mul(factor)).into()
                }
                _ => self.lanes(reg, scratch).into(),
            },
            _ => self.lanes(reg, scratch).into(),
        }
    }

    fn lanes_to(&self, reg: Reg, scratch: V) -> V {
        match self.place(reg) {
            Place::Register(number) => V(number),
            _ => scratch,
        }
    }

    fn lanes_done(&mut self, reg: Reg, from: V) {
        if let Place::Spill(offset) = self.place(reg) {
            self.vec(ops::MOVUPS_STORE, from, V(0), Self::spilled(offset));
        }
    }

    /// A mask to read, in a mask register.
    fn mask(&mut self, reg: Reg, scratch: Mask) -> Mask {
        match self.place(reg) {
            Place::Register(number) => Mask(number),
            Place::Spill(offset) => {
                self.asm.mask2(ops::KMOVW, scratch.0, Self::spilled(offset));
                scratch
            }
            Place::Home | Place::None => scratch,
        }
    }

    fn mask_to(&self, reg: Reg, scratch: Mask) -> Mask {
        match self.place(reg) {
            Place::Register(number) => Mask(number),
            _ => scratch,
        }
    }

    fn mask_done(&mut self, reg: Reg, from: Mask) {
        if let Place::Spill(offset) = self.place(reg) {
            self.asm.mask2(ops::KMOVW_STORE, from.0, Self::spilled(offset));
        }
    }

    fn vec(&mut self, op: Op, reg: V, vvvv: V, rm: impl Into<Rm>) {
        self.asm.vec(self.width, op, reg, vvvv, rm);
    }

    fn zmm(&self) -> bool {
        self.width == Width::Zmm
    }

    // --- Instructions --------------------------------------------------------------------------------

    fn ins(&mut self, at: usize, ins: &Ins) {
        match *ins {
            Ins::Label(label) => self.asm.bind(self.labels[label.0 as usize]),
            Ins::Jump(to) => self.asm.jump(self.labels[to.0 as usize]),
            Ins::SiteEnd { site } => self.asm.bind(self.ends[site as usize]),
            Ins::Call { site } => {
                self.call_site(site);
                self.asm.bind(self.ends[site as usize]);
            }
            Ins::Budget { work, site } => {
                let cold = self.cold(site);
                self.asm.alu_imm(Alu::Sub, true, R15, work.cast_signed());
                self.asm.jump_if(Cond::Less, cold);
                self.asm.bind(self.ends[site as usize]);
            }
            Ins::CheckBelow { a, limit, site } => {
                let cold = self.cold(site);
                let a = self.int(a, RAX);
                let limit = self.int_rm(limit);
                self.asm.alu(Alu::Cmp, true, a, limit);
                self.asm.jump_if(Cond::AboveEqual, cold);
            }
            Ins::CheckLanes { active, good, site } => self.check_lanes(active, good, site),
            Ins::JumpIf { zero, s, to } => {
                let to = self.labels[to.0 as usize];
                if self.reset.take() == Some(s) {
                    return;
                }
                let s = self.int(s, RAX);
                self.asm.test(false, s, s);
                self.asm.jump_if(if zero { Cond::Equal } else { Cond::NotEqual }, to);
            }
            Ins::JumpNone { masks, to } => self.jump_none(masks, self.labels[to.0 as usize]),
            Ins::Compare { test, kind, wide, d, a, b } => {
                let cond = condition(test, kind);
                let a = self.int(a, RAX);
                let b = self.int_rm(b);
                self.asm.alu(Alu::Cmp, wide, a, b);
                // A comparison for nothing but the jump after it.
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
            Ins::Const { d, bits } => {
                let to = self.int_to(d, RAX);
                if bits == 0 {
                    self.asm.alu(Alu::Xor, false, to, to);
                } else {
                    self.asm.mov_imm(to, bits);
                }
                self.int_done(d, to);
            }
            Ins::Move { d, s } => {
                let to = self.int_to(d, RAX);
                let from = self.int_rm(s);
                self.asm.mov(true, to, from);
                self.int_done(d, to);
            }
            Ins::Int { op, wide, d, a, b } => self.int_op(op, wide, d, a, b),
            Ins::IntImm { op, wide, d, a, imm } => self.int_imm(op, wide, d, a, imm),
            Ins::Not { wide, d, s } => {
                let to = self.int_to(d, RAX);
                let from = self.int_rm(s);
                self.asm.mov(wide, to, from);
                self.asm.not(wide, to);
                self.int_done(d, to);
            }
            Ins::Widen { from, wide, d, s } => {
                let to = self.int_to(d, RAX);
                let s = self.int(s, RCX);
                self.read(from, wide, to, s.into());
                self.int_done(d, to);
            }
            Ins::LoadInt { from, d, ref mem } => {
                let mem = self.mem(mem);
                let to = self.int_to(d, RAX);
                self.read(from, false, to, mem.into());
                self.int_done(d, to);
            }
            Ins::StoreInt { bytes, ref mem, s } => {
                let mem = self.mem(mem);
                let s = self.int(s, RAX);
                self.asm.store(bytes, mem, s);
            }
            Ins::Choose { wide, d, c, a, b } => {
                let to = self.int_to(d, RAX);
                let b = self.int_rm(b);
                let c = self.int(c, RCX);
                let a = self.int_rm(a);
                self.asm.test(false, c, c);
                self.asm.mov(wide, to, b);
                self.asm.cmov(Cond::NotEqual, wide, to, a);
                self.int_done(d, to);
            }
            Ins::Lane1 { op, d, a } => self.lane1(op, d, a),
            Ins::Lane2 { op, d, a, b } => self.lane2(op, d, a, b),
            Ins::Fma { d, a, b, c } => self.fma(d, a, b, c),
            Ins::CompareLanes { test, kind, d, a, b } => self.compare_lanes(test, kind, d, a, b),
            Ins::IsNan { d, a } => {
                let a = self.lanes(a, SCRATCH[1]);
                self.float_compare(3, d, a, a.into());
            }
            Ins::Select { d, mask, a, b } => {
                let to = self.lanes_to(d, SCRATCH[0]);
                let b = self.lanes(b, SCRATCH[1]);
                if self.zmm() {
                    let mask = self.mask(mask, K1);
                    let a = self.lanes_rm(a, SCRATCH[2]);
                    self.asm.masked(ops::BLENDMPS, mask, to, b, a);
                } else {
                    let mask = self.lanes(mask, SCRATCH[0]);
                    let a = self.lanes_rm(a, SCRATCH[2]);
                    self.blend(to, b, a, mask);
                }
                self.lanes_done(d, to);
            }
            Ins::MoveMasked { d, mask, s } => {
                let to = self.lanes(d, SCRATCH[0]);
                if self.zmm() {
                    let mask = self.mask(mask, K1);
                    let s = self.lanes(s, SCRATCH[1]);
                    self.asm.masked(ops::MOVAPS, mask, to, V(0), s);
                } else {
                    let mask = self.lanes(mask, SCRATCH[1]);
                    let s = self.lanes_rm(s, SCRATCH[2]);
                    self.blend(to, to, s, mask);
                }
                self.lanes_done(d, to);
            }
            Ins::Spread { d, s } => {
                let to = self.lanes_to(d, SCRATCH[0]);
                let s = self.int(s, RAX);
                self.spread(to, s);
                self.lanes_done(d, to);
            }
            Ins::LoadSpread { d, ref mem } => {
                let mem = self.mem(mem);
                let to = self.lanes_to(d, SCRATCH[0]);
                self.vec(ops::BROADCASTSS, to, V(0), mem);
                self.lanes_done(d, to);
            }
            Ins::Load { from, d, ref mem } => {
                let op = match from {
                    Scalar::I8 => ops::PMOVSXBD,
                    Scalar::U8 => ops::PMOVZXBD,
                    Scalar::I16 => ops::PMOVSXWD,
                    Scalar::U16 => ops::PMOVZXWD,
                    _ => ops::MOVUPS_LOAD,
                };
                let mem = self.mem(mem);
                let to = self.lanes_to(d, SCRATCH[0]);
                self.vec(op, to, V(0), mem);
                self.lanes_done(d, to);
            }
            Ins::StoreAll { ref mem, s } => {
                let mem = self.mem(mem);
                let s = self.lanes(s, SCRATCH[0]);
                self.vec(ops::MOVUPS_STORE, s, V(0), mem);
            }
            Ins::Store { bytes, ref mem, s, mask } => {
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
                } else {
                    let mask = self.lanes(mask, SCRATCH[1]);
                    self.vec(ops::MASKMOVPS_STORE, s, mask, mem);
                }
            }
            Ins::Gather { d, base, offsets, disp, mask } => {
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
            Ins::Scatter { base, offsets, disp, s, mask } => {
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
            Ins::First { d, s } => {
                let mut s = self.lanes(s, SCRATCH[0]);
                if s.0 >= 16 {
                    self.vec(ops::MOVAPS, SCRATCH[0], V(0), s);
                    s = SCRATCH[0];
                }
                let to = self.int_to(d, RAX);
                self.asm.vex(ops::MOVD_STORE, false, s.0, 0, to.into(), 0);
                self.int_done(d, to);
            }
            Ins::MaskBin { op, d, a, b } => self.mask_op(op, d, a, b),
            Ins::MaskNot { d, a } => {
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
            Ins::MaskMove { d, s } => {
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
            Ins::MaskClear { d } => {
                if self.zmm() {
                    let to = self.mask_to(d, K1);
                    self.asm.mask3(ops::KXORW, to, to, to);
                    return self.mask_done(d, to);
                }
                let to = self.lanes_to(d, SCRATCH[0]);
                self.vec(ops::PXOR, to, to, to);
                self.lanes_done(d, to);
            }
            Ins::MaskOfBits { d, s, first } => {
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
            Ins::BitsOfMask { d, s } => {
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
            Ins::MaskOfInt { d, s } => {
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
    }

    fn cold(&mut self, site: u32) -> Label {
        let asm = &mut self.asm;
        *self.cold[site as usize].get_or_insert_with(|| asm.label())
    }

    fn check_lanes(&mut self, active: Reg, good: Reg, site: u32) {
        let cold = self.cold(site);
        if self.zmm() {
            // One of the two may need the scratch register, and the result may have it.
            let good = self.mask(good, K1);
            let active = match self.place(active) {
                Place::Register(number) => Mask(number),
                _ => {
                    // Mask 0 cannot be a predicate, but an operand it can be.
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

    fn jump_none(&mut self, masks: [Reg; 2], to: Label) {
        if self.zmm() {
            let a = self.mask(masks[0], K1);
            let b = if masks[0] == masks[1] { a } else { self.mask(masks[1], Mask(0)) };
            self.asm.mask2(ops::KORTESTW, a.0, b);
        } else {
            let mut a = self.lanes(masks[0], SCRATCH[0]);
            if masks[0] != masks[1] {
                let b = self.lanes_rm(masks[1], SCRATCH[1]);
                self.vec(ops::POR, SCRATCH[0], a, b);
                a = SCRATCH[0];
            }
            self.asm.vex(ops::MOVMSKPS, true, RAX.0, 0, a.into(), 0);
            self.asm.test(false, RAX, RAX);
        }
        self.asm.jump_if(Cond::Equal, to);
    }

    /// Reads a scalar, widened, from a register or from memory.
    fn read(&mut self, from: Scalar, wide: bool, to: Gpr, rm: Rm) {
        match from {
            Scalar::Bool => {
                // Anything but 0 is true: the borrow of 0 minus it.
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

    fn int_op(&mut self, op: IntOp, wide: bool, d: Reg, a: Reg, b: Reg) {
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
        // The result's register is none of the operands', see `allocate`.
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

    fn int_imm(&mut self, op: IntOp, wide: bool, d: Reg, a: Reg, imm: i32) {
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

    fn spread(&mut self, to: V, s: Gpr) {
        if self.zmm() {
            self.vec(ops::PBROADCASTD_GPR, to, V(0), s);
        } else {
            self.asm.vex(ops::MOVD, false, to.0, 0, s.into(), 0);
            self.vec(ops::PBROADCASTD, to, V(0), to);
        }
    }

    /// With 256 bits: `a` where the mask is set, else `b`.
    fn blend(&mut self, to: V, b: V, a: Rm, mask: V) {
        self.asm.vec_imm(self.width, ops::BLENDVPS, to, b, a, mask.0 << 4);
    }

    fn copy_to(&mut self, d: Reg, s: V) {
        match self.place(d) {
            Place::Register(number) if V(number) == s => {}
            Place::Register(number) => self.vec(ops::MOVAPS, V(number), V(0), s),
            _ => self.lanes_done(d, s),
        }
    }

    fn lane1(&mut self, op: Lane1, d: Reg, a: Reg) {
        let to = self.lanes_to(d, SCRATCH[0]);
        let plain = match op {
            Lane1::Move => {
                let s = self.lanes(a, SCRATCH[0]);
                return self.copy_to(d, s);
            }
            Lane1::Sqrt => Some(ops::SQRTPS),
            Lane1::AbsInt => Some(ops::PABSD),
            Lane1::FloatOfSigned => Some(ops::CVTDQ2PS),
            Lane1::FloatOfUnsigned => Some(ops::CVTUDQ2PS),
            _ => None,
        };
        if let Some(op) = plain {
            let a = self.lanes_rm(a, SCRATCH[1]);
            self.vec(op, to, V(0), a);
            return self.lanes_done(d, to);
        }
        let rounding = match op {
            Lane1::Rint => Some(8),
            Lane1::Floor => Some(9),
            Lane1::Ceil => Some(10),
            Lane1::Trunc => Some(11),
            _ => None,
        };
        if let Some(mode) = rounding {
            let a = self.lanes_rm(a, SCRATCH[1]);
            self.asm.vec_imm(self.width, ops::ROUNDPS, to, V(0), a, mode);
            return self.lanes_done(d, to);
        }
        let a = self.lanes(a, SCRATCH[1]);
        match op {
            Lane1::Shl(by) => self.shift_lanes(6, to, a, by),
            Lane1::Shr(by) => self.shift_lanes(2, to, a, by),
            Lane1::Sar(by) => self.shift_lanes(4, to, a, by),
            Lane1::UnsignedOfFloat => {
                // Of a number and 0 the larger is 0 for a NaN, too.
                self.vec(ops::PXOR, SCRATCH[2], SCRATCH[2], SCRATCH[2]);
                self.vec(ops::MAXPS, SCRATCH[2], a, SCRATCH[2]);
                self.vec(ops::CVTTPS2UDQ, to, V(0), SCRATCH[2]);
            }
            _ => self.signed_of_float(to, a),
        }
        self.lanes_done(d, to);
    }

    fn shift_lanes(&mut self, which: u8, to: V, a: V, by: u8) {
        self.asm.vec_raw_imm(self.width, ops::PSHIFTD, which, to, a, by);
    }

    /// Truncates; what is too large becomes the largest number, and a NaN 0.
    fn signed_of_float(&mut self, to: V, a: V) {
        let two_31 = self.pool(|_| 2_147_483_648f32.to_bits());
        self.vec(ops::CVTTPS2DQ, SCRATCH[0], V(0), a);
        if self.zmm() {
            self.asm.vec_raw_imm(self.width, ops::CMPPS, K1.0, a, two_31, 0x1d);
            let most = self.pool(|_| i32::MAX as u32);
            self.asm.masked(ops::MOVUPS_LOAD, K1, SCRATCH[0], V(0), most);
            self.asm.vec_raw_imm(self.width, ops::CMPPS, K1.0, a, a, 3);
            self.asm.masked(ops::PXOR, K1, SCRATCH[0], SCRATCH[0], SCRATCH[0]);
            self.vec(ops::MOVAPS, to, V(0), SCRATCH[0]);
        } else {
            self.asm.vec_imm(self.width, ops::CMPPS, SCRATCH[2], a, two_31, 0x1d);
            // 0x80000000, which is what the machine gives, becomes 0x7fffffff.
            self.vec(ops::PXOR, SCRATCH[0], SCRATCH[0], SCRATCH[2]);
            self.asm.vec_imm(self.width, ops::CMPPS, SCRATCH[2], a, a, 3);
            self.vec(ops::PANDN, to, SCRATCH[2], SCRATCH[0]);
        }
    }

    fn lane2(&mut self, op: Lane2, d: Reg, a: Reg, b: Reg) {
        let to = self.lanes_to(d, SCRATCH[0]);
        let plain = match op {
            Lane2::AddFloat => ops::ADDPS,
            Lane2::SubFloat => ops::SUBPS,
            Lane2::MulFloat => ops::MULPS,
            Lane2::DivFloat => ops::DIVPS,
            Lane2::Add => ops::PADDD,
            Lane2::Sub => ops::PSUBD,
            Lane2::Mul => ops::PMULLD,
            Lane2::MinSigned => ops::PMINSD,
            Lane2::MinUnsigned => ops::PMINUD,
            Lane2::MaxSigned => ops::PMAXSD,
            Lane2::MaxUnsigned => ops::PMAXUD,
            Lane2::And => ops::PAND,
            Lane2::Or => ops::POR,
            Lane2::Xor => ops::PXOR,
            Lane2::Shl => ops::PSLLVD,
            Lane2::Shr => ops::PSRLVD,
            Lane2::Sar => ops::PSRAVD,
            Lane2::MinFloat | Lane2::MaxFloat => {
                // The machine gives the second where either is a NaN; that is wrong where the second is.
                let op = if op == Lane2::MinFloat { ops::MINPS } else { ops::MAXPS };
                let (a, b) = (self.lanes(a, SCRATCH[1]), self.lanes(b, SCRATCH[2]));
                self.vec(op, SCRATCH[0], a, b);
                if self.zmm() {
                    self.asm.vec_raw_imm(self.width, ops::CMPPS, K1.0, b, b, 3);
                    self.asm.masked(ops::MOVAPS, K1, SCRATCH[0], V(0), a);
                    self.copy_to(d, SCRATCH[0]);
                } else {
                    let (result, unordered) = (SCRATCH[0], SCRATCH[2]);
                    self.asm.vec_imm(self.width, ops::CMPPS, unordered, b, b, 3);
                    self.blend(result, result, a.into(), unordered);
                    self.copy_to(d, result);
                }
                return;
            }
        };
        let a = self.lanes(a, SCRATCH[1]);
        let b = self.lanes_rm(b, SCRATCH[2]);
        self.vec(plain, to, a, b);
        self.lanes_done(d, to);
    }

    fn fma(&mut self, d: Reg, a: Reg, b: Reg, c: Reg) {
        let a = self.lanes(a, SCRATCH[1]);
        let c_at = self.lanes(c, SCRATCH[0]);
        let b = self.lanes_rm(b, SCRATCH[2]);
        let to = self.lanes_to(d, SCRATCH[0]);
        if to != c_at {
            self.vec(ops::MOVAPS, to, V(0), c_at);
        }
        self.vec(ops::FMA231PS, to, a, b);
        self.lanes_done(d, to);
    }

    /// Compares floats by a predicate of the machine.
    fn float_compare(&mut self, predicate: u8, d: Reg, a: V, b: Rm) {
        if self.zmm() {
            let to = self.mask_to(d, K1);
            self.asm.vec_raw_imm(self.width, ops::CMPPS, to.0, a, b, predicate);
            self.mask_done(d, to);
        } else {
            let to = self.lanes_to(d, SCRATCH[0]);
            self.asm.vec_imm(self.width, ops::CMPPS, to, a, b, predicate);
            self.lanes_done(d, to);
        }
    }

    fn compare_lanes(&mut self, test: Test, kind: Kind, d: Reg, a: Reg, b: Reg) {
        let left = self.lanes(a, SCRATCH[1]);
        if kind == Kind::Float {
            let predicate = match test {
                Test::Eq => 0,
                Test::Ne => 4,
                Test::Lt => 0x11,
                Test::Le => 0x12,
            };
            let right = self.lanes_rm(b, SCRATCH[2]);
            return self.float_compare(predicate, d, left, right);
        }
        if self.zmm() {
            let predicate = match test {
                Test::Eq => 0,
                Test::Lt => 1,
                Test::Le => 2,
                Test::Ne => 4,
            };
            let op = if kind == Kind::Signed { ops::PCMPD } else { ops::PCMPUD };
            let right = self.lanes_rm(b, SCRATCH[2]);
            let to = self.mask_to(d, K1);
            self.asm.vec_raw_imm(self.width, op, to.0, left, right, predicate);
            return self.mask_done(d, to);
        }
        let right = self.lanes(b, SCRATCH[2]);
        let to = self.lanes_to(d, SCRATCH[0]);
        let (op, x, y, not) = match (test, kind) {
            (Test::Eq, _) => (ops::PCMPEQD, left, right, false),
            (Test::Ne, _) => (ops::PCMPEQD, left, right, true),
            (Test::Lt, Kind::Signed) => (ops::PCMPGTD, right, left, false),
            (Test::Le, Kind::Signed) => (ops::PCMPGTD, left, right, true),
            (Test::Lt, _) => {
                self.vec(ops::PMAXUD, SCRATCH[0], left, right);
                (ops::PCMPEQD, SCRATCH[0], left, true)
            }
            (Test::Le, _) => {
                self.vec(ops::PMINUD, SCRATCH[0], left, right);
                (ops::PCMPEQD, SCRATCH[0], left, false)
            }
        };
        self.vec(op, to, x, y);
        if not {
            let ones = self.pool(|_| u32::MAX);
            self.vec(ops::PXOR, to, to, ones);
        }
        self.lanes_done(d, to);
    }

    fn mask_op(&mut self, op: MaskOp, d: Reg, a: Reg, b: Reg) {
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
}

const fn condition(test: Test, kind: Kind) -> Cond {
    match (test, kind) {
        (Test::Eq, _) => Cond::Equal,
        (Test::Ne, _) => Cond::NotEqual,
        (Test::Lt, Kind::Signed) => Cond::Less,
        (Test::Le, Kind::Signed) => Cond::LessEqual,
        (Test::Lt, _) => Cond::Below,
        (Test::Le, _) => Cond::BelowEqual,
    }
}

/// Whether masks are a file of their own, for what reads saved registers.
pub(crate) const fn masks_are_registers(width: Width) -> bool {
    matches!(width, Width::Zmm)
}

/// The file of a class, likewise.
pub(crate) const fn is_vector(class: Class, width: Width) -> bool {
    match class {
        Class::Int => false,
        Class::Vector => true,
        Class::Mask => !masks_are_registers(width),
    }
}
