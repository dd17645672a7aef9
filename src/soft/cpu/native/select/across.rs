//! Operations across the lanes of a SIMD-group or quad-group: reductions, prefixes, shuffles and votes.
//!
//! The strip has all 32 lanes. A result that is uniform by definition is computed for inactive lanes, too.

use super::{INT, LANES, Selection};
use crate::soft::cpu::interp::simd;
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::ir::{Function, Inst, Op, Rule, Scalar, Value};
use crate::soft::sorted;

/// Whether there is code for an operation, if registers can hold its operands.
pub(crate) fn has_code(function: &Function, inst: &Inst) -> bool {
    let constant = |at: usize| function.constant_index(inst.args[at]).is_some();
    let Some(&first) = inst.args.first() else { return true };
    let ty = function.ty(first);
    // The halves of wide numbers are moved, and not combined.
    let is_wide = ty.bytes() == 8 && ty.space().is_none() && inst.op.row().rule == Rule::Shuffle;
    let fits = ty.width() == 1 && (ty.bytes() <= 4 || is_wide);
    fits && (inst.op.row().rule != Rule::ShuffleFill || constant(2) && constant(3))
}

/// An operation that combines lanes: its row of the table of semantics, and its neutral element.
struct Combining {
    op: Op,
    row: Scalar,
    neutral: u32,
}

impl Combining {
    /// `None` for operations that do not combine lanes.
    fn of(op: Op, scalar: Scalar) -> Option<Self> {
        let number = match scalar.widened() {
            scalar @ (Scalar::F32 | Scalar::I32) => scalar,
            _ => Scalar::U32,
        };
        // Arithmetic that wraps is the same for signed numbers.
        let wrapping = if number == Scalar::F32 { number } else { Scalar::U32 };
        let by_type = |float: f32, signed: i32, unsigned: u32| match number {
            Scalar::F32 => float.to_bits(),
            Scalar::I32 => signed.cast_unsigned(),
            _ => unsigned,
        };
        let (op, row, neutral) = match op {
            Op::SimdSum | Op::SimdInclusiveSum | Op::SimdExclusiveSum => {
                (Op::Add, wrapping, by_type(-0.0, 0, 0))
            }
            Op::SimdProduct | Op::SimdInclusiveProduct | Op::SimdExclusiveProduct => {
                (Op::Mul, wrapping, by_type(1.0, 1, 1))
            }
            Op::SimdMin => (Op::Min, number, by_type(f32::NAN, i32::MAX, u32::MAX)),
            Op::SimdMax => (Op::Max, number, by_type(f32::NAN, i32::MIN, 0)),
            Op::SimdAnd => (Op::And, Scalar::U32, u32::MAX),
            Op::SimdOr => (Op::Or, Scalar::U32, 0),
            Op::SimdXor => (Op::Xor, Scalar::U32, 0),
            _ => return None,
        };
        Some(Self { op, row, neutral })
    }
}

/// The first lane of each group of four, as bits.
const QUADS: i32 = 0x1111_1111;

impl Selection<'_> {
    /// Requests the forms in which the operands are needed.
    pub(super) fn demand_across(&mut self, value: Value, inst: &Inst) {
        if self.repeats(value, inst) {
            let bits = if self.is_int(value) { INT } else { LANES };
            return self.need(inst.args[0], bits);
        }
        let values = if inst.op.row().rule == Rule::ShuffleFill { 2 } else { 1 };
        for (at, &arg) in inst.args.iter().enumerate() {
            if at >= values && self.function.constant_index(arg).is_some() {
                continue;
            }
            let one_lane = at >= values && self.reads_one_lane(inst) && self.shapes.is_same(arg);
            self.need(arg, if one_lane { INT } else { LANES });
        }
    }

    /// Whether the result is the first operand.
    fn repeats(&self, value: Value, inst: &Inst) -> bool {
        let changes_nothing = inst.op.row().rule == Rule::Shuffle || inst.op.is_idempotent();
        let same = |value: Value| self.shapes.is_same(value);
        changes_nothing && same(value) && inst.args.first().is_some_and(|&arg| same(arg))
    }

    /// Whether all lanes read the same lane.
    fn reads_one_lane(&self, inst: &Inst) -> bool {
        inst.op == Op::SimdBroadcast && inst.imm == 32
    }

    pub(super) fn across(&mut self, value: Value, inst: &Inst) {
        let width = inst.imm as u32;
        if self.repeats(value, inst) {
            return self.repeat_operand(value, inst.args[0]);
        }
        let Some(&operand) = inst.args.first() else { return self.is_first(value, width) };
        let votes = self.is_bool(operand);
        match inst.op {
            Op::SimdBallot | Op::SimdAll | Op::SimdAny => self.vote(value, inst.op, operand, width),
            Op::SimdAnd | Op::SimdOr | Op::SimdXor if votes => {
                self.vote(value, inst.op, operand, width);
            }
            Op::SimdBroadcast if width == 32 => {
                let lane = inst.args[1];
                match self.function.constant_index(lane) {
                    Some(lane) => self.constant_lane(value, operand, lane as u32 % 32),
                    None => {
                        let lane = if self.shapes.is_same(lane) {
                            self.number(lane)
                        } else {
                            let lanes = self.low_halves(lane);
                            let first = self.first_active();
                            self.read_lane(&lanes, first)
                        };
                        self.one_lane(value, operand, lane);
                    }
                }
            }
            Op::SimdBroadcastFirst if width == 32 => {
                let first = self.first_active();
                self.one_lane(value, operand, first);
            }
            _ => {
                let from = self.shuffled(operand);
                if self.is_wide(operand) {
                    let mut to = Vec::new();
                    for half in from.chunks(self.parts()) {
                        to.extend(match inst.op {
                            Op::SimdBroadcastFirst => self.first_of_quads(half),
                            _ => self.shuffle(inst, half, width),
                        });
                    }
                    return self.give_shuffled(value, &from, to);
                }
                let to = match inst.op {
                    Op::SimdBroadcastFirst => self.first_of_quads(&from),
                    Op::SimdFillUp | Op::SimdFillDown => self.fill(inst, &from, width),
                    _ => match Combining::of(inst.op, self.scalar(operand)) {
                        Some(by) => return self.combine(value, inst, &by, &from, width),
                        None => self.shuffle(inst, &from, width),
                    },
                };
                self.give_shuffled(value, &from, to);
            }
        }
    }

    fn repeat_operand(&mut self, value: Value, operand: Value) {
        if self.is_int(value) {
            let (s, d) = (self.number(operand), self.int());
            self.emit(Ins::Move { d, s });
            return self.give_int(value, d);
        }
        let (from, d) = (self.in_lanes(operand), self.lane());
        self.emit(Ins::Lane1 { op: Lane1::Move, d, a: from[0] });
        self.give_lanes(value, vec![d; self.parts()]);
    }

    // --- Helpers -------------------------------------------------------------------------------------

    /// Small numbers in the lanes of a vector.
    pub(super) fn table(&mut self, numbers: impl Fn(usize) -> usize) -> Reg {
        self.lane_home(Home::Table(std::array::from_fn(|lane| numbers(lane) as u32)))
    }

    /// The mask of a part's lanes that has these bits.
    fn constant_mask(&mut self, bits: u32) -> Reg {
        let (s, d) = (self.constant(bits.into()), self.mask());
        self.emit(Ins::MaskOfBits { d, s, first: 0 });
        d
    }

    /// A varying lane number or distance: its low 32 bits, which are enough.
    fn low_halves(&mut self, by: Value) -> Vec<Reg> {
        let mut lanes = self.in_lanes(by);
        lanes.truncate(self.parts());
        lanes
    }

    fn int_and(&mut self, a: Reg, imm: i32) -> Reg {
        let d = self.int();
        self.emit(Ins::IntImm { op: IntOp::And, wide: false, d, a, imm });
        d
    }

    fn int_two(&mut self, op: IntOp, a: Reg, b: Reg) -> Reg {
        let d = self.int();
        self.emit(Ins::Int { op, wide: false, d, a, b });
        d
    }

    fn int_by(&mut self, op: IntOp, a: Reg, imm: i32) -> Reg {
        let d = self.int();
        self.emit(Ins::IntImm { op, wide: false, d, a, imm });
        d
    }

    /// `a` where the mask is set, else `b`.
    pub(super) fn chosen(&mut self, mask: Reg, a: Reg, b: Reg) -> Reg {
        let d = self.lane();
        self.emit(Ins::Select { d, mask, a, b });
        d
    }

    /// The bits of all lanes' masks.
    fn bits_of(&mut self, masks: &[Reg]) -> Reg {
        let mut all = None;
        for (part, &s) in masks.iter().enumerate() {
            let d = self.int();
            self.emit(Ins::BitsOfMask { d, s });
            all = Some(match all {
                None => d,
                Some(lower) => {
                    let higher = self.int_by(IntOp::Shl, d, part as i32 * self.strip.lanes as i32);
                    self.int_two(IntOp::Or, lower, higher)
                }
            });
        }
        all.unwrap_or_else(|| self.constant(0))
    }

    fn masks_of(&mut self, bits: Reg) -> Vec<Reg> {
        let first = |part: usize| (part as u32 * self.strip.lanes) as u8;
        let firsts: Vec<u8> = (0..self.parts()).map(first).collect();
        let one = |first: u8| {
            let d = self.mask();
            self.emit(Ins::MaskOfBits { d, s: bits, first });
            d
        };
        firsts.into_iter().map(one).collect()
    }

    /// The bits of groups of four lanes that have any bit.
    fn whole_quads(&mut self, bits: Reg) -> Reg {
        let one = self.int_by(IntOp::Shr, bits, 1);
        let one = self.int_two(IntOp::Or, bits, one);
        let two = self.int_by(IntOp::Shr, one, 2);
        let two = self.int_two(IntOp::Or, one, two);
        let lowest = self.int_and(two, QUADS);
        self.int_by(IntOp::Mul, lowest, 15)
    }

    fn first_active(&mut self) -> Reg {
        let (s, d) = (self.bits_of(&self.exec.clone()), self.int());
        self.emit(Ins::LowestBit { d, s });
        d
    }

    // --- Votes ---------------------------------------------------------------------------------------

    fn vote(&mut self, value: Value, op: Op, condition: Value, width: u32) {
        let active = self.bits_of(&self.exec.clone());
        let votes = self.in_lanes(condition);
        let votes = self.bits_of(&votes);
        let votes = self.int_two(IntOp::And, votes, active);
        if op == Op::SimdBallot && width == 32 {
            return self.give_int(value, votes);
        }
        if op == Op::SimdBallot {
            let (all, fifteen) = (self.lane(), self.lane_constant(15));
            self.emit(Ins::Spread { d: all, s: votes });
            let lanes = self.strip.lanes as usize;
            let regs = (0..self.parts()).map(|part| {
                let start = self.table(|lane| (part * lanes + lane) / 4 * 4);
                let own = self.lane2(Lane2::Shr, all, start);
                self.lane2(Lane2::And, own, fifteen)
            });
            let regs = regs.collect();
            return self.give_lanes(value, regs);
        }
        // All of them hold if none of the others does.
        let all = matches!(op, Op::SimdAll | Op::SimdAnd);
        let bits = if all { self.int_two(IntOp::Xor, votes, active) } else { votes };
        if width == 32 {
            let bits = if op == Op::SimdXor { self.parity(bits, 5) } else { bits };
            let (zero, d) = (self.constant(0), self.int());
            let (test, kind) = (if all { Test::Eq } else { Test::Ne }, Num::Unsigned);
            self.emit(Ins::Compare { test, kind, wide: false, d, a: bits, b: zero });
            return self.give_int(value, d);
        }
        let bits = match op {
            Op::SimdXor => {
                let odd = self.parity(bits, 2);
                self.int_by(IntOp::Mul, odd, 15)
            }
            _ => self.whole_quads(bits),
        };
        let bits = if all {
            let d = self.int();
            self.emit(Ins::Not { wide: false, d, s: bits });
            d
        } else {
            bits
        };
        let masks = self.masks_of(bits);
        self.give_lanes(value, masks);
    }

    /// Whether the number of bits is odd, in the lowest bit of each group of `1 << steps`.
    fn parity(&mut self, bits: Reg, steps: u32) -> Reg {
        let mut sum = bits;
        for step in 0..steps {
            let higher = self.int_by(IntOp::Shr, sum, 1 << step);
            sum = self.int_two(IntOp::Xor, sum, higher);
        }
        self.int_and(sum, if steps == 5 { 1 } else { QUADS })
    }

    fn is_first(&mut self, value: Value, width: u32) {
        let active = self.bits_of(&self.exec.clone());
        let first = if width == 32 {
            let zero = self.constant(0);
            let negative = self.int_two(IntOp::Sub, zero, active);
            self.int_two(IntOp::And, active, negative)
        } else {
            // Lanes with an active one below them in their group are not the first.
            let mut after = self.constant(0);
            for by in 1..4 {
                let up = self.int_by(IntOp::Shl, active, by);
                let above = (0xf << by & 0xf) * QUADS.cast_unsigned();
                let inside = self.int_and(up, above.cast_signed());
                after = self.int_two(IntOp::Or, after, inside);
            }
            let d = self.int();
            self.emit(Ins::Not { wide: false, d, s: after });
            self.int_two(IntOp::And, active, d)
        };
        let masks = self.masks_of(first);
        self.give_lanes(value, masks);
    }

    // --- Broadcasts ----------------------------------------------------------------------------------

    /// Sets a value to that of an operand in a lane known at compile time.
    fn constant_lane(&mut self, value: Value, operand: Value, lane: u32) {
        let (from, parts) = (self.shuffled(operand), self.parts());
        let index = self.lane_constant(lane % self.strip.lanes);
        let halves = from.chunks(parts).map(|half| {
            let (d, s) = (self.lane(), half[(lane / self.strip.lanes) as usize]);
            self.emit(Ins::Permute { d, index, s });
            d
        });
        let halves: Vec<Reg> = halves.collect();
        if !self.is_int(value) {
            let lanes = halves.into_iter().flat_map(|d| vec![d; parts]).collect();
            return self.give_lanes(value, lanes);
        }
        let numbers = halves.into_iter().map(|s| {
            let d = self.int();
            self.emit(Ins::First { d, s });
            d
        });
        let numbers = numbers.collect();
        self.give_one(value, numbers);
    }

    /// Sets a value to that of an operand in the lane of that number, modulo 32.
    fn one_lane(&mut self, value: Value, operand: Value, lane: Reg) {
        let from = self.shuffled(operand);
        if self.is_int(value) {
            let halves = from.chunks(self.parts());
            let numbers = halves.map(|half| self.read_lane(half, lane)).collect();
            return self.give_one(value, numbers);
        }
        let mut all = Vec::new();
        for half in from.chunks(self.parts()) {
            let d = self.lane();
            if let (&[a, b], 16) = (half, self.strip.lanes) {
                // The index is taken modulo 32.
                let index = self.lane();
                self.emit(Ins::Spread { d: index, s: lane });
                self.emit(Ins::PermuteTwo { d, index, a, b });
            } else {
                let mem = self.lane_in_memory(half, lane);
                self.emit(Ins::LoadSpread { d, mem });
            }
            all.extend(vec![d; self.parts()]);
        }
        self.give_lanes(value, all);
    }

    /// Sets a value to a number, or to the halves of one; truth values are 0 and 1.
    fn give_one(&mut self, value: Value, numbers: Vec<Reg>) {
        let number = match numbers[..] {
            [low, high] => self.whole_of(low, high),
            _ => numbers[0],
        };
        if !self.is_bool(value) {
            return self.give_int(value, number);
        }
        let zero = self.constant(0);
        let all_ones = self.int_two(IntOp::Sub, zero, number);
        self.give_int(value, all_ones);
    }

    fn read_lane(&mut self, from: &[Reg], lane: Reg) -> Reg {
        let mem = self.lane_in_memory(from, lane);
        let d = self.int();
        self.emit(Ins::LoadInt { from: Scalar::U32, d, mem });
        d
    }

    fn lane_in_memory(&mut self, from: &[Reg], lane: Reg) -> MemRef {
        let row = self.row();
        for (part, &s) in from.iter().enumerate() {
            let disp = (row + part as u32 * self.strip.lanes * 4) as i32;
            self.emit(Ins::StoreAll { mem: MemRef { base: MemBase::Own, index: None, disp }, s });
        }
        let lane = self.int_and(lane, 31);
        let offset = self.int_by(IntOp::Shl, lane, 2);
        MemRef { base: MemBase::Own, index: Some(offset), disp: row as i32 }
    }

    // --- Shuffles ------------------------------------------------------------------------------------

    /// An operand in lanes, truth values as 0 and 1.
    fn shuffled(&mut self, operand: Value) -> Vec<Reg> {
        let lanes = self.in_lanes(operand);
        if !self.is_bool(operand) {
            return lanes;
        }
        let (one, zero) = (self.lane_constant(1), self.lane_constant(0));
        lanes.into_iter().map(|mask| self.chosen(mask, one, zero)).collect()
    }

    /// Sets a value to lanes, which may be those of the operand.
    fn give_shuffled(&mut self, value: Value, from: &[Reg], to: Vec<Reg>) {
        let masks = self.is_bool(value);
        let zero = self.lane_constant(0);
        let regs = to.into_iter().map(|a| {
            if masks {
                let (d, test, kind) = (self.mask(), Test::Ne, Num::Unsigned);
                self.emit(Ins::CompareLanes { test, kind, d, a, b: zero });
                d
            } else if from.contains(&a) {
                // The register may be that of a variable, which may change.
                let d = self.lane();
                self.emit(Ins::Lane1 { op: Lane1::Move, d, a });
                d
            } else {
                a
            }
        });
        let regs = regs.collect();
        self.give_lanes(value, regs);
    }

    /// Each lane's value from another lane, by constant numbers.
    fn taken(&mut self, from: &[Reg], source: impl Fn(usize) -> usize) -> Vec<Reg> {
        let lanes = self.strip.lanes as usize;
        let one = |selection: &mut Self, part: usize| {
            let source = |lane: usize| source(part * lanes + lane % lanes);
            let mut parts: Vec<usize> = (0..lanes).map(|lane| source(lane) / lanes).collect();
            sorted::sort(&mut parts);
            parts.dedup();
            if parts.len() > 1 && lanes == 16 {
                let (index, d) = (selection.table(source), selection.lane());
                selection.emit(Ins::PermuteTwo { d, index, a: from[0], b: from[1] });
                return d;
            }
            let mut result = None;
            for &other in &parts {
                let s = from[other];
                let stays = (0..lanes)
                    .all(|lane| source(lane) / lanes != other || source(lane) % lanes == lane);
                let next = if stays {
                    s
                } else {
                    let index = selection.table(|lane| source(lane) % lanes);
                    let d = selection.lane();
                    selection.emit(Ins::Permute { d, index, s });
                    d
                };
                result = Some(match result {
                    None => next,
                    Some(others) => {
                        let own = (0..lanes).filter(|&lane| source(lane) / lanes == other);
                        let mask = selection.constant_mask(own.map(|lane| 1 << lane).sum());
                        selection.chosen(mask, next, others)
                    }
                });
            }
            result.unwrap_or(from[part])
        };
        (0..self.parts()).map(|part| one(self, part)).collect()
    }

    /// The same by numbers below 32 in lanes.
    fn taken_by(&mut self, from: &[Reg], index: &[Reg]) -> Vec<Reg> {
        let zero = self.lane_constant(0);
        let mut one = |index: Reg| {
            if let [a, b] = *from {
                let d = self.lane();
                self.emit(Ins::PermuteTwo { d, index, a, b });
                return d;
            }
            let mut all = from.to_vec();
            for s in &mut all {
                let d = self.lane();
                self.emit(Ins::Permute { d, index, s: *s });
                *s = d;
            }
            // Bits 3 and 4 are the number of the vector.
            for bit in [3, 4] {
                let (sign, mask) = (self.lane(), self.mask());
                self.emit(Ins::Lane1 { op: Lane1::Shl(31 - bit), d: sign, a: index });
                let (test, kind) = (Test::Lt, Num::Signed);
                self.emit(Ins::CompareLanes { test, kind, d: mask, a: sign, b: zero });
                all = all.chunks(2).map(|pair| self.chosen(mask, pair[1], pair[0])).collect();
            }
            all[0]
        };
        index.iter().map(|&index| one(index)).collect()
    }

    fn shuffle(&mut self, inst: &Inst, from: &[Reg], width: u32) -> Vec<Reg> {
        let by = inst.args[1];
        if let Some(by) = self.function.constant_index(by) {
            let (by, width) = (by as u32 as usize, width as usize);
            return self.taken(from, |lane| simd::source(inst.op, lane, by, width));
        }
        let by = self.low_halves(by);
        let lanes = self.strip.lanes;
        let below = self.lane_constant(width - 1);
        let index = (0..self.parts() as u32).map(|part| {
            let by = by[part as usize];
            let own = self.lane_home(Home::Iota { first: part * lanes, factor: 1 });
            // Lanes whose source would be outside of their group keep their value.
            let limit = match inst.op {
                Op::SimdShuffleUp => Some((Lane2::Sub, 1, false)),
                Op::SimdShuffleDown => Some((Lane2::Add, 0, true)),
                _ => None,
            };
            if let Some((op, more, down)) = limit {
                let limit = self.table(|lane| {
                    let inside = (part * lanes + lane as u32) % width;
                    (if down { width - inside } else { inside + more }) as usize
                });
                let (mask, moved) = (self.mask(), self.lane2(op, own, by));
                let (test, kind) = (Test::Lt, Num::Unsigned);
                self.emit(Ins::CompareLanes { test, kind, d: mask, a: by, b: limit });
                return self.chosen(mask, moved, own);
            }
            let lane = match inst.op {
                Op::SimdShuffleXor => self.lane2(Lane2::Xor, own, by),
                Op::SimdRotateUp => self.lane2(Lane2::Sub, own, by),
                Op::SimdRotateDown => self.lane2(Lane2::Add, own, by),
                _ => by,
            };
            let inside = self.lane2(Lane2::And, lane, below);
            if width == 32 {
                return inside;
            }
            let start = self.table(|lane| ((part * lanes + lane as u32) / width * width) as usize);
            self.lane2(Lane2::Or, inside, start)
        });
        let index: Vec<Reg> = index.collect();
        self.taken_by(from, &index)
    }

    fn fill(&mut self, inst: &Inst, from: &[Reg], width: u32) -> Vec<Reg> {
        let number = |selection: &Self, at: usize| {
            selection.function.constant_index(inst.args[at]).unwrap_or(0) as u32 as usize
        };
        let (by, modulo) = (number(self, 2), number(self, 3));
        let (up, width) = (inst.op == Op::SimdFillUp, width as usize);
        let source = |lane: usize| simd::fill_source(up, lane, by, modulo, width);
        let own = self.taken(from, |lane| source(lane).1);
        let fill = self.shuffled(inst.args[1]);
        let fill = self.taken(&fill, |lane| source(lane).1);
        let filled = (0..32).filter(|&lane| source(lane).0).map(|lane| 1 << lane).sum();
        self.chosen_parts(filled, &fill, &own)
    }

    /// Lanes of `a` whose bit is set, and the others of `b`.
    fn chosen_parts(&mut self, bits: u32, a: &[Reg], b: &[Reg]) -> Vec<Reg> {
        let lanes = self.strip.lanes;
        let ones = u32::MAX >> (32 - lanes);
        let one = |part: usize| {
            let (a, b) = (a[part], b[part]);
            match bits >> (part as u32 * lanes) & ones {
                0 => b,
                bits if bits == ones => a,
                bits => {
                    let mask = self.constant_mask(bits);
                    self.chosen(mask, a, b)
                }
            }
        };
        (0..a.len()).map(one).collect()
    }

    /// The first active lane of each group of four.
    fn first_of_quads(&mut self, from: &[Reg]) -> Vec<Reg> {
        let active = self.bits_of(&self.exec.clone());
        let mut result = self.taken(from, |lane| lane | 3);
        for number in (0..3).rev() {
            let here = self.int_by(IntOp::Shr, active, number);
            let here = self.int_and(here, QUADS);
            let here = self.int_by(IntOp::Mul, here, 15);
            let masks = self.masks_of(here);
            let lower = self.taken(from, |lane| lane & !3 | number as usize);
            let pairs = lower.into_iter().zip(result).zip(masks);
            result = pairs.map(|((a, b), mask)| self.chosen(mask, a, b)).collect();
        }
        result
    }

    // --- Reductions and prefixes ---------------------------------------------------------------------

    fn combine(&mut self, value: Value, inst: &Inst, by: &Combining, from: &[Reg], width: u32) {
        let neutral = self.lane_constant(by.neutral);
        let exec = self.exec.clone();
        let active = from.iter().zip(exec).map(|(&a, mask)| self.chosen(mask, a, neutral));
        let active: Vec<Reg> = active.collect();
        let scalar = self.scalar(inst.args[0]);
        let narrows = simd::needs_narrowing(inst.op) && scalar.bytes() < 4;
        let prefix = |inclusive: bool| Some(inclusive);
        let prefix = match inst.op {
            Op::SimdInclusiveSum | Op::SimdInclusiveProduct => prefix(true),
            Op::SimdExclusiveSum | Op::SimdExclusiveProduct => prefix(false),
            _ => None,
        };
        let result = match prefix {
            Some(inclusive) => self.prefix(by, active, inclusive, width as usize),
            None if width == 32 => {
                let all = self.reduced(by, active);
                if self.is_int(value) {
                    let d = self.int();
                    self.emit(Ins::First { d, s: all });
                    let d = if narrows { self.wrapped(d, scalar) } else { d };
                    return self.give_int(value, d);
                }
                let (d, index) = (self.lane(), self.lane_constant(0));
                self.emit(Ins::Permute { d, index, s: all });
                let d = if narrows { self.wrapped_lanes(d, scalar) } else { d };
                return self.give_lanes(value, vec![d; self.parts()]);
            }
            None => self.reduced_quads(by, active),
        };
        let narrow = |reg: Reg| if narrows { self.wrapped_lanes(reg, scalar) } else { reg };
        let result = result.into_iter().map(narrow).collect();
        self.give_lanes(value, result);
    }

    /// All lanes combined, in the first one.
    fn reduced(&mut self, by: &Combining, mut parts: Vec<Reg>) -> Reg {
        while parts.len() > 1 {
            let (low, high) = parts.split_at(parts.len() / 2);
            let pairs = low.iter().zip(high);
            parts = pairs.map(|(&a, &b)| self.lane_op(by.op, by.row, &[a, b])).collect();
        }
        let mut all = parts[0];
        let mut half = self.strip.lanes as usize / 2;
        while half > 0 {
            let (index, d) = (self.table(|lane| lane % half + half), self.lane());
            self.emit(Ins::Permute { d, index, s: all });
            all = self.lane_op(by.op, by.row, &[all, d]);
            half /= 2;
        }
        all
    }

    /// The lanes of each group of four combined, in all of them.
    fn reduced_quads(&mut self, by: &Combining, mut parts: Vec<Reg>) -> Vec<Reg> {
        for half in [2, 1] {
            let low = self.taken(&parts, |lane| lane & !half);
            let high = self.taken(&parts, |lane| lane | half);
            let pairs = low.into_iter().zip(high);
            parts = pairs.map(|(a, b)| self.lane_op(by.op, by.row, &[a, b])).collect();
        }
        parts
    }

    fn prefix(
        &mut self,
        by: &Combining,
        mut parts: Vec<Reg>,
        inclusive: bool,
        width: usize,
    ) -> Vec<Reg> {
        let has = |distance: usize| (0..32).filter(move |lane| lane % width >= distance);
        let bits = |distance: usize| has(distance).map(|lane| 1 << lane).sum::<u32>();
        let below = |distance: usize| {
            move |lane: usize| if lane % width >= distance { lane - distance } else { lane }
        };
        let mut distance = 1;
        while distance < width {
            let lower = self.taken(&parts, below(distance));
            let pairs = lower.iter().zip(&parts);
            let sums: Vec<Reg> =
                pairs.map(|(&a, &b)| self.lane_op(by.op, by.row, &[a, b])).collect();
            parts = self.chosen_parts(bits(distance), &sums, &parts);
            distance *= 2;
        }
        if inclusive {
            return parts;
        }
        let before = self.taken(&parts, below(1));
        let neutral = self.lane_constant(by.neutral);
        let none = vec![neutral; parts.len()];
        self.chosen_parts(bits(1), &before, &none)
    }
}
