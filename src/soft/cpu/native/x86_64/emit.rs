//! The emitter: machine operations become x86-64 instructions.
//!
//! | register | holds |
//! |---|---|
//! | `rax`, `rcx`, `rdx`, vectors 0 to 2, mask 1 | temporaries of one operation |
//! | `rbp` | the SIMD-group's frame |
//! | `r12` | the code's own memory: spilled registers, and all registers while a slow path runs |
//! | `r13` | four times the strip's first lane |
//! | `r14` | the state of the SIMD-group |
//! | `r15` | the watchdog's budget: the work until the clock is read |
//! | all others | virtual registers |

mod atomics;
mod group;
mod halves;
mod ints;
mod lanes;
mod masks;
mod memory;
mod operands;

use self::atomics::Atomic;
pub(crate) use super::asm::POOL_ALIGN;
use super::asm::{
    Alu, Assembler, Cond, Gpr, Label, Mask, Mem, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP,
    Vector as V, Width, ops,
};
use super::text;
use crate::soft::cpu::IsaKind;
use crate::soft::cpu::native::allocate::{Allocation, Files, allocate};
use crate::soft::cpu::native::barriers::Barriers;
use crate::soft::cpu::native::lir::{Class, Code, Ins, Reg};
use crate::soft::cpu::native::machine::{Area, Slow};
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::target::{Emitted, MAX_AREA, Target};

const R12: Gpr = Gpr(12);
const R13: Gpr = Gpr(13);
const R14: Gpr = Gpr(14);
const R15: Gpr = Gpr(15);
/// The mask register for temporaries of one operation.
const K1: Mask = Mask(1);
const SCRATCH: [V; 3] = [V(0), V(1), V(2)];

/// General-purpose registers.
const INTS: u32 = 16;

const AVX2: Target = Target {
    lanes: 8,
    parts: 1,
    mask_registers: false,
    unsigned: false,
    first_lane: R13.0 as u32,
    budget: R15.0 as u32,
};
const AVX512: Target = Target { lanes: 16, parts: 2, mask_registers: true, unsigned: true, ..AVX2 };

/// The features of an instruction set; none if there is no machine code for it.
pub(crate) const fn target(isa: IsaKind) -> Option<Target> {
    match isa {
        IsaKind::Baseline => None,
        IsaKind::Avx2 => Some(AVX2),
        IsaKind::Avx512 => Some(AVX512),
    }
}

const fn width_of(target: Target) -> Width {
    if target.mask_registers { Width::Zmm } else { Width::Ymm }
}

/// Registers for virtual registers.
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

/// Emits code; `None` if it needs too much memory on the stack.
pub(crate) fn emit(code: &Code, target: Target, slow: Slow) -> Option<Emitted> {
    let width = width_of(target);
    let allocation = allocate(code, &files(width));
    let area = Area::new(allocation.spill_bytes, code.own_bytes, INTS);
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
        next: None,
        start: None,
        firsts: Vec::new(),
        barriers: Barriers::of(code, &allocation, target),
    };
    let starts = emitter.whole(slow);
    let code_bytes = emitter.asm.position();
    let bytes = emitter.asm.finish();
    Some(Emitted { bytes, code_bytes, starts, places: allocation.places, area })
}

struct Emitter<'a> {
    asm: Assembler,
    code: &'a Code,
    allocation: &'a Allocation,
    width: Width,
    area: Area,
    labels: Vec<Label>,
    /// Where to continue after the slow path of each site.
    ends: Vec<Label>,
    /// The slow paths that something jumps to.
    cold: Vec<Option<Label>>,
    exit: Label,
    thunk: Label,
    /// The register whose comparison was fused into the next instruction, which is a jump.
    reset: Option<Reg>,
    /// In the code of a whole body: the turn of the next strip, and the start of a threadgroup.
    next: Option<Label>,
    start: Option<Label>,
    /// Barriers that record the first strip to reach them: the label of that code, the site, the recorded number.
    firsts: Vec<(Label, u32, u32)>,
    barriers: Barriers<'a>,
}

impl Emitter<'_> {
    /// Emits everything; returns the offset of each instruction.
    fn whole(&mut self, slow: Slow) -> Vec<u32> {
        let several = self.code.lanes * self.code.parts < 32;
        let strip = self.asm.label();
        let body = self.code.body.map(|body| (body, self.enter_body(body, strip)));
        match body {
            Some((_, labels)) => {
                (self.next, self.start) = (Some(labels.next), Some(labels.start));
            }
            None => self.enter(),
        }
        self.asm.bind(strip);
        self.homes();
        let mut starts = Vec::with_capacity(self.code.code.len() + 1);
        // Whether the instruction before did this one's work, too.
        let mut is_done = false;
        for (at, ins) in self.code.code.iter().enumerate() {
            starts.push(self.asm.position());
            if !std::mem::take(&mut is_done) {
                is_done = self.pair(at, ins);
                if !is_done {
                    self.ins(at, ins);
                }
            }
            self.save_once(ins);
        }
        starts.push(self.asm.position());
        match body {
            Some((body, labels)) => self.leave_body(body, labels),
            None => self.next_strip(strip, several),
        }
        self.first_at_barriers();
        for site in 0..self.code.sites.len() {
            if let Some(cold) = self.cold[site] {
                self.asm.bind(cold);
                self.call_site(site as u32);
                self.asm.jump(self.ends[site]);
            }
        }
        self.call_out(slow);
        starts
    }

    /// The code from the end of a strip to the end of the call.
    fn next_strip(&mut self, strip: Label, several: bool) {
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
    }

    // --- Frame ---------------------------------------------------------------------------------------

    const SAVED: [Gpr; 6] = [RBX, RBP, R12, R13, R14, R15];

    /// `extern "C" fn(frame, wave, machine) -> u32`: 0, or 1 if the SIMD-group stops.
    fn enter(&mut self) {
        for reg in Self::SAVED {
            self.asm.push(reg);
        }
        self.asm.mov(true, RBP, RDI);
        self.asm.mov(true, R14, RSI);
        self.asm.mov(true, RAX, RSP);
        self.asm.alu_imm(Alu::Sub, true, RSP, self.area.bytes as i32);
        self.asm.alu_imm(Alu::And, true, RSP, -64);
        // Touches each page in turn, so that a stack overflow reaches the guard page.
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

    /// Saves every register where the slow path can read and write it, and calls the slow path; `rax` is the site.
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
        // The return address on the stack is 8 bytes; the call needs an alignment of 16.
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

    // --- Instructions --------------------------------------------------------------------------------

    /// Emits an instruction and the next one as one that has a mask, if they are a pair and there is one.
    fn pair(&mut self, at: usize, ins: &Ins) -> bool {
        if !self.zmm() || self.code.pairs.binary_search(&(at as u32)).is_err() {
            return false;
        }
        match (ins, &self.code.code[at + 1]) {
            (&Ins::Lane2 { op, a, b, .. }, &Ins::MoveMasked { d, mask, .. }) => {
                self.lane2_masked(op, d, mask, a, b)
            }
            (
                &Ins::CompareLanes { test, kind, d: all, a, b },
                &Ins::MaskBin { d, a: x, b: y, .. },
            ) => {
                self.compare_masked(test, kind, d, if x == all { y } else { x }, a, b);
                true
            }
            _ => false,
        }
    }

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
            Ins::Barrier { site } => {
                let next = self.next.expect("only whole bodies have barriers");
                self.barrier(at, site, next);
            }
            Ins::Group => self.asm.bind(self.start.expect("only whole bodies have groups")),
            Ins::FirstStrip => {
                self.asm.mov(true, RCX, Mem::at(R14, Layout::GROUPS));
                self.first_strip();
            }
            Ins::NextStrip { again } => self.next_strip_of_phase(self.labels[again.0 as usize]),
            Ins::CheckBelow { a, limit, site } => {
                let cold = self.cold(site);
                let a = self.int(a, RAX);
                let limit = self.int_rm(limit);
                self.asm.alu(Alu::Cmp, true, a, limit);
                self.asm.jump_if(Cond::AboveEqual, cold);
            }
            Ins::JumpUnlessBelow { a, limit, to } => {
                let a = self.int(a, RAX);
                let limit = self.int_rm(limit);
                self.asm.alu(Alu::Cmp, true, a, limit);
                self.asm.jump_if(Cond::AboveEqual, self.labels[to.0 as usize]);
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
                self.compare(at, ints::condition(test, kind), wide, d, a, b)
            }
            Ins::Const { d, bits } => self.constant(d, bits),
            Ins::Move { d, s } => self.int_move(d, s),
            Ins::Int { op, wide, d, a, b } => self.int_op(op, wide, d, a, b),
            Ins::IntImm { op, wide, d, a, imm } => self.int_imm(op, wide, d, a, imm),
            Ins::Not { wide, d, s } => self.not(wide, d, s),
            Ins::Widen { from, wide, d, s } => self.widen(from, wide, d, s),
            Ins::LoadInt { from, d, ref mem } => self.load_int(from, d, mem),
            Ins::StoreInt { bytes, ref mem, s } => self.store_int(bytes, mem, s),
            Ins::LowestBit { d, s } => self.lowest_bit(d, s),
            Ins::Choose { wide, d, c, a, b } => self.choose(wide, d, c, a, b),
            Ins::Lane1 { op, d, a } => self.lane1(op, d, a),
            Ins::Lane2 { op, d, a, b } => self.lane2(op, d, a, b),
            Ins::Fma { d, a, b, c } => self.fma(d, a, b, c),
            Ins::CompareLanes { test, kind, d, a, b } => self.compare_lanes(test, kind, d, a, b),
            Ins::IsNan { d, a } => self.is_nan(d, a),
            Ins::Select { d, mask, a, b } => self.select(d, mask, a, b),
            Ins::MoveMasked { d, mask, s } => self.move_masked(d, mask, s),
            Ins::Spread { d, s } => self.spread_int(d, s),
            Ins::LoadSpread { d, ref mem } => self.load_spread(d, mem),
            Ins::Load { from, d, ref mem } => self.load(from, d, mem),
            Ins::LoadPairs { low, high, ref mem } => self.load_pairs(low, high, mem),
            Ins::StorePairs { ref mem, low, high, mask } => {
                self.store_pairs(mem, low, high, mask);
            }
            Ins::StoreAll { ref mem, s } => self.store_all(mem, s),
            Ins::Store { bytes, ref mem, s, mask } => self.store(bytes, mem, s, mask),
            Ins::StoreQuads { ref mems, s } => self.store_quads(mems, s),
            Ins::LoadQuads { d, ref mems } => self.load_quads(d, mems),
            Ins::Gather { d, base, offsets, disp, mask } => {
                self.gather(d, base, offsets, disp, mask)
            }
            Ins::Scatter { bytes, base, offsets, disp, s, mask } => {
                self.scatter(bytes, base, offsets, disp, s, mask)
            }
            Ins::FirstLane { d } => {
                let to = self.int_to(d, RAX);
                self.asm.mov(true, to, R13);
                self.int_done(d, to);
            }
            Ins::Atomic { op, lock, returns, d, base, offsets, a, b, mask } => {
                let wide = None;
                self.atomic(&Atomic { op, lock, returns, d, base, offsets, a, b, mask, wide });
            }
            Ins::AtomicWide { op, lock, returns, base, offsets, own, mask } => {
                let (d, a, b, wide) = (offsets, offsets, offsets, Some(own));
                self.atomic(&Atomic { op, lock, returns, d, base, offsets, a, b, mask, wide });
            }
            Ins::First { d, s } => self.first(d, s),
            Ins::Last { d, s, bits } => self.last(d, s, bits),
            Ins::LoadHalves { bytes, d, low, high, disp } => {
                self.load_halves(bytes, d, low, high, disp);
            }
            Ins::StoreHalves { bytes, s, low, high, disp } => {
                self.store_halves(bytes, s, low, high, disp);
            }
            Ins::SpreadPair { d, s, pair } => self.spread_pair(d, s, pair),
            Ins::Permute { d, index, s } => self.permute(d, index, s),
            Ins::PermuteTwo { d, index, a, b } => self.permute_two(d, index, a, b),
            Ins::MaskBin { op, d, a, b } => self.mask_op(op, d, a, b),
            Ins::MaskNot { d, a } => self.mask_not(d, a),
            Ins::MaskMove { d, s } => self.mask_move(d, s),
            Ins::MaskClear { d } => self.mask_clear(d),
            Ins::MaskOfBits { d, s, first } => self.mask_of_bits(d, s, first),
            Ins::BitsOfMask { d, s } => self.bits_of_mask(d, s),
            Ins::MaskOfInt { d, s } => self.mask_of_int(d, s),
        }
    }

    fn cold(&mut self, site: u32) -> Label {
        let asm = &mut self.asm;
        *self.cold[site as usize].get_or_insert_with(|| asm.label())
    }
}

/// The name of a register.
pub(crate) fn register_name(class: Class, number: u8, target: Target) -> String {
    match (class, width_of(target)) {
        (Class::Int, _) => text::GENERAL[0][usize::from(number)].to_owned(),
        (Class::Mask, Width::Zmm) => format!("k{number}"),
        (_, Width::Zmm) => format!("zmm{number}"),
        (_, Width::Ymm) => format!("ymm{number}"),
    }
}

/// The register that spilled ones are found by.
pub(crate) const OWN: &str = "r12";

/// The length and the text of the instruction at an offset; `None` if the emitter never writes it.
pub(crate) fn instruction(bytes: &[u8], at: usize) -> Option<(usize, String)> {
    text::text(bytes, at)
}
