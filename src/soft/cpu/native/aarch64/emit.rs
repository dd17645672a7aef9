//! The emitter: machine operations become arm64 instructions.
//!
//! A vector has eight lanes, in two registers of NEON side by side: vector `n` is in `v2n` and `v2n+1`. Masks are vectors.
//!
//! | register | holds |
//! |---|---|
//! | `x9` to `x14`, `x16`, `x17`, vectors 0 to 3 | temporaries of a single operation |
//! | `x19` | the SIMD-group's frame |
//! | `x20` | the code's own memory: spilled registers, and all registers while it calls out |
//! | `x21` | four times the strip's first lane |
//! | `x22` | the state of the SIMD-group |
//! | `x23` | the watchdog's budget |
//! | `x18`, `x29` | nothing: they are the system's and the caller's |
//! | all others | virtual registers |

mod atomics;
mod group;
mod ints;
mod lanes;
mod masks;
mod memory;
mod operands;

use self::atomics::Atomic;
pub(crate) use super::asm::POOL_ALIGN;
use super::asm::{self, Assembler, Cond, Gpr, Label, SP, Shift, Vector as V, ZERO};
use super::ops;
use crate::soft::cpu::IsaKind;
use crate::soft::cpu::native::allocate::{Allocation, Files, allocate};
use crate::soft::cpu::native::barriers::Barriers;
use crate::soft::cpu::native::lir::{Class, Code, Ins, Reg};
use crate::soft::cpu::native::machine::{Area, Slow};
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::target::{Emitted, MAX_AREA, Target};

const X0: Gpr = Gpr(0);
const X1: Gpr = Gpr(1);
const X2: Gpr = Gpr(2);
const X9: Gpr = Gpr(9);
const X10: Gpr = Gpr(10);
const X11: Gpr = Gpr(11);
const X12: Gpr = Gpr(12);
const X13: Gpr = Gpr(13);
const X14: Gpr = Gpr(14);
const X16: Gpr = Gpr(16);
const X17: Gpr = Gpr(17);
const FRAME: Gpr = Gpr(19);
const OWN_MEMORY: Gpr = Gpr(20);
const FIRST_LANE: Gpr = Gpr(21);
const WAVE: Gpr = Gpr(22);
const BUDGET: Gpr = Gpr(23);
/// The address that a call returns to: between calls a temporary.
const LINK: Gpr = Gpr(30);

/// The two registers of a vector. Both may be the same one if all lanes are equal.
type Pair = [V; 2];

/// The registers of a vector by its number.
const fn pair(number: u8) -> Pair {
    [V(2 * number), V(2 * number + 1)]
}

/// For results, first and second operands, and intermediate values.
const SCRATCH: [Pair; 4] = [pair(0), pair(1), pair(2), pair(3)];

/// Registers for virtual registers.
const FILES: Files = Files {
    ints: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 24, 25, 26, 27, 28],
    vectors: &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    masks: None,
    vector_bytes: 32,
};

/// General-purpose registers.
const INTS: u32 = 31;

const NEON: Target = Target {
    lanes: 8,
    parts: 1,
    mask_registers: false,
    unsigned: true,
    first_lane: FIRST_LANE.0 as u32,
    budget: BUDGET.0 as u32,
};

/// The emitter's traits of an instruction set; `None` if there is no machine code for it.
pub(crate) const fn target(isa: IsaKind) -> Option<Target> {
    match isa {
        IsaKind::Baseline => Some(NEON),
    }
}

/// Emits code; `None` if it needs too much memory on the stack, or is too long for its jumps.
pub(crate) fn emit(code: &Code, target: Target, slow: Slow) -> Option<Emitted> {
    let allocation = allocate(code, &FILES);
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
        area,
        labels,
        ends,
        cold,
        exit,
        thunk,
        fused: None,
        next: None,
        start: None,
        firsts: Vec::new(),
        barriers: Barriers::of(code, &allocation, target),
    };
    let starts = emitter.whole(slow);
    let code_bytes = emitter.asm.position();
    let bytes = emitter.asm.finish()?;
    Some(Emitted { bytes, code_bytes, starts, places: allocation.places, area })
}

struct Emitter<'a> {
    asm: Assembler,
    code: &'a Code,
    allocation: &'a Allocation,
    area: Area,
    labels: Vec<Label>,
    /// Where the slow path of each site continues.
    ends: Vec<Label>,
    /// The slow paths that something jumps to.
    cold: Vec<Option<Label>>,
    exit: Label,
    thunk: Label,
    /// The result of a comparison that the next instruction, a jump, was emitted with.
    fused: Option<Reg>,
    /// In the code of a whole body: the turn of the next strip, and the start of a threadgroup.
    next: Option<Label>,
    start: Option<Label>,
    /// Barriers that record the first strip to reach them: the label of that code, the site, the recorded number.
    firsts: Vec<(Label, u32, u32)>,
    barriers: Barriers<'a>,
}

impl Emitter<'_> {
    /// Emits everything; the result is where each instruction starts.
    fn whole(&mut self, slow: Slow) -> Vec<u32> {
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
        for (at, ins) in self.code.code.iter().enumerate() {
            starts.push(self.asm.position());
            self.ins(at, ins);
            self.save_once(ins);
        }
        starts.push(self.asm.position());
        match body {
            Some((body, labels)) => self.leave_body(body, labels),
            None => self.next_strip(strip),
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
    fn next_strip(&mut self, strip: Label) {
        if !self.is_whole() {
            self.next_first_lane(strip);
        }
        for &(own, frame) in &self.code.late {
            self.access(ops::LDR_X, X9.0, OWN_MEMORY, (self.area.own + own) as i32, 8);
            self.access(ops::STR_X, X9.0, FRAME, frame as i32, 8);
        }
        self.asm.mov(false, X0, ZERO);
        self.asm.bind(self.exit);
        self.leave();
    }

    /// Goes to the SIMD-group's next strip, if there is one.
    fn next_first_lane(&mut self, strip: Label) {
        let bytes = i64::from(self.code.lanes * self.code.parts * 4);
        self.asm.add_imm(true, FIRST_LANE, FIRST_LANE, bytes);
        self.asm.subs_imm(true, ZERO, FIRST_LANE, 32 * 4);
        self.asm.jump_if(Cond::Below, strip);
    }

    /// Whether the only strip has all lanes.
    fn is_whole(&self) -> bool {
        self.code.lanes * self.code.parts == 32
    }

    // --- Frame ---------------------------------------------------------------------------------------

    /// Pairs of registers that belong to the caller.
    const SAVED: [[u8; 2]; 5] = [[19, 20], [21, 22], [23, 24], [25, 26], [27, 28]];
    /// The same of vectors, whose lower halves do.
    const SAVED_VECTORS: [[u8; 2]; 4] = [[8, 9], [10, 11], [12, 13], [14, 15]];
    /// The caller's frame and the address to return to.
    const RECORD: [u8; 2] = [29, 30];

    /// `extern "C" fn(frame, wave, machine) -> u32`: 0, or 1 if the SIMD-group stops.
    fn enter(&mut self) {
        self.save_callers();
        self.asm.mov(true, FRAME, X0);
        self.asm.mov(true, WAVE, X1);
        self.asm.mov_sp(X16, SP);
        self.add(OWN_MEMORY, X16, -i64::from(self.area.bytes));
        self.asm.shift_imm(Shift::Right, true, OWN_MEMORY, OWN_MEMORY, 6);
        self.asm.shift_imm(Shift::Left, true, OWN_MEMORY, OWN_MEMORY, 6);
        self.asm.mov_sp(SP, OWN_MEMORY);
        // The stack grows when a page near its end is touched, so each page is, from the highest down. Alignment took up to
        // 63 bytes more than the area has.
        let mut at = self.area.bytes as i32 - 4096 + 64;
        while at > 0 {
            self.access(ops::STRB, ZERO.0, OWN_MEMORY, at, 1);
            at -= 4096;
        }
        self.access(ops::STRB, ZERO.0, OWN_MEMORY, 0, 1);
        self.access(ops::STR_X, X16.0, OWN_MEMORY, self.area.stack as i32, 8);
        self.access(ops::STR_X, X2.0, OWN_MEMORY, self.area.machine as i32, 8);
        self.access(ops::LDR_X, BUDGET.0, WAVE, Layout::BUDGET, 8);
        self.asm.mov(true, FIRST_LANE, ZERO);
    }

    fn leave(&mut self) {
        self.access(ops::STR_X, BUDGET.0, WAVE, Layout::BUDGET, 8);
        self.access(ops::LDR_X, X16.0, OWN_MEMORY, self.area.stack as i32, 8);
        self.asm.mov_sp(SP, X16);
        self.restore_callers();
    }

    /// Saves the registers that belong to the caller.
    fn save_callers(&mut self) {
        self.asm.pair_at(ops::STP_X_PRE, Self::RECORD, SP, -16, 8);
        self.asm.mov_sp(Gpr(29), SP);
        for regs in Self::SAVED {
            self.asm.pair_at(ops::STP_X_PRE, regs, SP, -16, 8);
        }
        for regs in Self::SAVED_VECTORS {
            self.asm.pair_at(ops::STP_D_PRE, regs, SP, -16, 8);
        }
    }

    /// Restores them, and returns.
    fn restore_callers(&mut self) {
        for regs in Self::SAVED_VECTORS.into_iter().rev() {
            self.asm.pair_at(ops::LDP_D_POST, regs, SP, 16, 8);
        }
        for regs in Self::SAVED.into_iter().rev() {
            self.asm.pair_at(ops::LDP_X_POST, regs, SP, 16, 8);
        }
        self.asm.pair_at(ops::LDP_X_POST, Self::RECORD, SP, 16, 8);
        self.asm.ret();
    }

    fn call_site(&mut self, site: u32) {
        self.asm.mov_imm(X9, site.into());
        self.asm.call(self.thunk);
    }

    /// Loads or stores the registers that a slow path reads and writes, and those that it does not keep.
    fn move_all(&mut self, int: ops::Op, vectors: ops::Op) {
        self.add(X16, OWN_MEMORY, self.area.ints.into());
        for &reg in FILES.ints.iter().chain(&[FIRST_LANE.0, BUDGET.0, LINK.0]) {
            self.access(int, reg, X16, i32::from(reg) * 8, 8);
        }
        self.add(X16, OWN_MEMORY, self.area.vectors.into());
        for &number in FILES.vectors {
            let regs = pair(number).map(|v| v.0);
            self.asm.pair_at(vectors, regs, X16, i32::from(number) * 64, 16);
        }
    }

    /// Saves every register where the slow path can read and write it, and calls that; `x9` is the site.
    fn call_out(&mut self, slow: Slow) {
        self.asm.bind(self.thunk);
        self.move_all(ops::STR_X, ops::STP_Q);
        self.asm.mov(true, X0, OWN_MEMORY);
        self.asm.mov(false, X1, X9);
        self.access(ops::LDR_X, X2.0, OWN_MEMORY, self.area.machine as i32, 8);
        self.asm.mov(true, Gpr(3), FRAME);
        self.asm.mov(true, Gpr(4), WAVE);
        self.asm.load_number(X16, slow as usize as u64);
        self.asm.call_register(X16);
        let stops = self.asm.label();
        self.asm.jump_zero(false, false, X0, stops);
        self.move_all(ops::LDR_X, ops::LDP_Q);
        self.asm.ret();
        self.asm.bind(stops);
        let budget = self.area.ints + u32::from(BUDGET.0) * 8;
        self.access(ops::LDR_X, BUDGET.0, OWN_MEMORY, budget as i32, 8);
        self.asm.jump(self.exit);
    }

    // --- Instructions --------------------------------------------------------------------------------

    fn ins(&mut self, at: usize, ins: &Ins) {
        match *ins {
            Ins::Label(label) => self.asm.bind(self.labels[label.0 as usize]),
            Ins::Jump(to) => self.asm.jump(self.labels[to.0 as usize]),
            Ins::SiteEnd { site } => self.asm.bind(self.ends[site as usize]),
            Ins::Barrier { site } => {
                let next = self.next.expect("only whole bodies have barriers");
                self.barrier(at, site, next);
            }
            Ins::Group => self.asm.bind(self.start.expect("only whole bodies have groups")),
            Ins::FirstStrip => self.first_strip(),
            Ins::NextStrip { again } => self.next_strip_of_phase(self.labels[again.0 as usize]),
            Ins::Call { site } => {
                self.call_site(site);
                self.asm.bind(self.ends[site as usize]);
            }
            Ins::Budget { work, site } => {
                let cold = self.cold(site);
                self.take_budget(work);
                self.asm.jump_if(Cond::Less, cold);
                self.asm.bind(self.ends[site as usize]);
            }
            Ins::CheckBelow { a, limit, site } => {
                let cold = self.cold(site);
                self.jump_unless_below(a, limit, cold);
            }
            Ins::JumpUnlessBelow { a, limit, to } => {
                self.jump_unless_below(a, limit, self.labels[to.0 as usize]);
            }
            Ins::CheckLanes { active, good, site } => {
                let cold = self.cold(site);
                self.check_lanes(active, good, cold);
            }
            Ins::JumpIf { zero, s, to } => {
                let to = self.labels[to.0 as usize];
                if self.fused.take() == Some(s) {
                    return;
                }
                let s = self.int(s, X9);
                self.asm.jump_zero(zero, false, s, to);
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
            Ins::Spread { d, s } | Ins::MaskOfInt { d, s } => self.spread_int(d, s),
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
                let to = self.int_to(d, X9);
                self.asm.mov(true, to, FIRST_LANE);
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
            Ins::PermuteTwo { .. } => unreachable!("vectors of 16 lanes alone have it"),
            Ins::MaskBin { op, d, a, b } => self.mask_op(op, d, a, b),
            Ins::MaskNot { d, a } => self.each1(ops::V_NOT, d, a),
            Ins::MaskMove { d, s } => self.vector_move(d, s),
            Ins::MaskClear { d } => self.mask_clear(d),
            Ins::MaskOfBits { d, s, first } => self.mask_of_bits(d, s, first),
            Ins::BitsOfMask { d, s } => self.bits_of_mask(d, s),
        }
    }

    fn cold(&mut self, site: u32) -> Label {
        let asm = &mut self.asm;
        *self.cold[site as usize].get_or_insert_with(|| asm.label())
    }

    fn jump_unless_below(&mut self, a: Reg, limit: Reg, to: Label) {
        let (a, limit) = (self.int(a, X9), self.int(limit, X10));
        self.asm.int(ops::SUBS, true, ZERO, a, limit);
        self.asm.jump_if(Cond::AboveEqual, to);
    }

    fn take_budget(&mut self, work: u32) {
        if work < 4096 {
            return self.asm.subs_imm(true, BUDGET, BUDGET, work);
        }
        self.asm.mov_imm(X9, work.into());
        self.asm.int(ops::SUBS, true, BUDGET, BUDGET, X9);
    }
}

/// The name of a register.
pub(crate) fn register_name(class: Class, number: u8, target: Target) -> String {
    match target.is_vector(class) {
        true => format!("v{}:v{}", pair(number)[0].0, pair(number)[1].0),
        false => format!("x{number}"),
    }
}

/// The register that spilled ones are found by.
pub(crate) const OWN: &str = "x20";

/// The length and the text of the instruction at an offset; `None` if the emitter never writes it.
pub(crate) fn instruction(bytes: &[u8], at: usize) -> Option<(usize, String)> {
    let word = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
    Some((4, asm::text_at(word, at as u64)?))
}
