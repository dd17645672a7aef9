//! Accesses to thread memory: word `i` of lane `k` is word `32 i + k`, so that lanes that access the same offset access
//! one row of memory.

use super::{Base, Selection};
use crate::soft::cpu::interp::lower::{THREAD_POINTER, UNKNOWN_LOCAL, local_starts};
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::region::Layout;
use crate::soft::cpu::native::shape::{Start, Sum};
use crate::soft::ir::{Scalar, Value};

/// Bytes of a row, in which each lane has a word.
const ROW: i32 = 128;

/// The memory of the locals that an access may reach.
#[derive(Clone, Copy)]
struct Piece {
    local: u32,
    start: u32,
    bytes: u32,
}

/// How many bits of a row's words come before a scalar: the same in all lanes.
#[derive(Clone, Copy)]
enum Before {
    Constant(u32),
    Lanes(Reg),
}

impl Selection<'_> {
    /// The address of the first word of the strip's first lane.
    fn thread_lanes(&mut self) -> Reg {
        if let Some(&lanes) = self.bases.get(&Base::ThreadLanes) {
            return lanes;
        }
        let (memory, first, d) = (self.int(), self.int(), self.int());
        let mem = MemRef { base: MemBase::Wave, index: None, disp: Layout::THREAD_MEMORY };
        self.strip_head.push(Ins::LoadInt { from: Scalar::U64, d: memory, mem });
        self.strip_head.push(Ins::FirstLane { d: first });
        self.strip_head.push(Ins::Int { op: IntOp::Add, wide: true, d, a: memory, b: first });
        self.bases.insert(Base::ThreadLanes, d);
        d
    }

    /// The next phase has another strip's.
    pub(super) fn forget_thread_lanes(&mut self) {
        self.bases.remove(&Base::ThreadLanes);
    }

    /// Reads or writes adjacent components in thread memory.
    pub(super) fn thread_access(
        &mut self,
        value: Value,
        start: Start,
        sum: &Sum,
        scalar: Scalar,
        data: Vec<Operand>,
        write: bool,
    ) {
        let (starts, all) = local_starts(self.function);
        let piece = match start {
            Start::Local(local) => Piece {
                local: local.min(UNKNOWN_LOCAL),
                start: starts[local as usize],
                bytes: self.function.locals[local as usize].bytes,
            },
            _ => Piece { local: UNKNOWN_LOCAL, start: 0, bytes: all },
        };
        let mut offset = self.offset(sum);
        if let Some(pointer) = start.pointer() {
            let pointer = self.number(pointer);
            let inner = self.plus_constant(pointer, THREAD_POINTER.wrapping_neg() as i64);
            offset = self.plus(offset, inner);
        }
        let size = scalar.bytes();
        let total = size * data.len() as u32;
        let limit = self.constant((u64::from(piece.bytes) + 1).saturating_sub(total.into()));
        let terms: Vec<Term> = sum
            .lanes
            .iter()
            .map(|&(index, scale)| Term {
                index: self.lane_index(index),
                signed: self.scalar(index).is_signed(),
                scale,
            })
            .collect();
        let access = Access {
            write,
            region: RegionRef::Thread {
                local: piece.local,
                start: piece.start,
                bytes: piece.bytes,
            },
            scalar,
            offset,
            terms: terms.clone(),
            exec: self.exec.clone(),
            data: data.clone(),
            joined: false,
        };
        let site = self.site(self.run.access_site(value), SiteKind::Access(access));
        // True if a scalar does not cross words.
        let aligned = |bytes: i64| bytes % i64::from(size) == 0;
        let lanes_aligned = sum.lanes.iter().all(|&(_, scale)| aligned(scale));
        let moved = !sum.same.is_empty() || start.pointer().is_some();
        let even = sum.same.iter().all(|&(_, scale)| aligned(scale)) && aligned(sum.constant);
        if lanes_aligned && (!even || start.pointer().is_some()) {
            let low = self.int();
            let (imm, one) = (size as i32 - 1, self.constant(1));
            self.emit(Ins::IntImm { op: IntOp::And, wide: false, d: low, a: offset, imm });
            self.emit(Ins::CheckBelow { a: low, limit: one, site });
        }
        if terms.is_empty() {
            self.emit(Ins::CheckBelow { a: offset, limit, site });
            for (component, data) in data.iter().enumerate() {
                let more = component as u32 * size + piece.start;
                let constant = (!moved).then_some(sum.constant);
                self.thread_rows(offset, constant, more, scalar, data, write);
            }
        } else {
            let lanes = self.lane_offsets(&terms, offset, limit, site, moved, sum.constant);
            for (part, offsets) in lanes.into_iter().enumerate() {
                if !lanes_aligned {
                    let (rest, zero) = (self.lane_constant(size - 1), self.lane_constant(0));
                    let (a, good) = (self.lane2(Lane2::And, offsets, rest), self.mask());
                    let (test, kind) = (Test::Eq, Kind::Unsigned);
                    self.emit(Ins::CompareLanes { test, kind, d: good, a, b: zero });
                    self.emit(Ins::CheckLanes { active: self.exec[part], good, site });
                }
                for (component, data) in data.iter().enumerate() {
                    let more = component as u32 * size + piece.start;
                    self.thread_lanes_at(offsets, more, scalar, data, part, write);
                }
            }
        }
        self.emit(Ins::SiteEnd { site });
    }

    /// A scalar at the same offset in all lanes.
    fn thread_rows(
        &mut self,
        offset: Reg,
        constant: Option<i64>,
        more: u32,
        scalar: Scalar,
        data: &Operand,
        write: bool,
    ) {
        let narrow = scalar.bytes() < 4;
        let lanes = self.thread_lanes();
        // Offsets that are out of bounds were refused above, so their address does not matter.
        let constant = constant.map(|constant| (constant as u32).wrapping_add(more));
        let (base, disp, before) = match constant {
            Some(at) => {
                (lanes, (at / 4).wrapping_mul(ROW as u32) as i32, Before::Constant(at % 4 * 8))
            }
            None => {
                let at = self.plus_constant(offset, more.into());
                let mut before = Before::Constant(0);
                let mut word = at;
                if narrow {
                    let (low, bits, spread) = (self.int(), self.int(), self.lane());
                    self.emit(Ins::IntImm { op: IntOp::And, wide: false, d: low, a: at, imm: 3 });
                    self.emit(Ins::IntImm { op: IntOp::Shl, wide: false, d: bits, a: low, imm: 3 });
                    self.emit(Ins::Spread { d: spread, s: bits });
                    before = Before::Lanes(spread);
                    word = self.int();
                    self.emit(Ins::IntImm { op: IntOp::And, wide: true, d: word, a: at, imm: -4 });
                }
                let row = self.scaled(word, i64::from(ROW / 4));
                (self.plus(lanes, row), 0, before)
            }
        };
        for part in 0..self.parts() {
            let disp = disp.wrapping_add(part as i32 * self.strip.lanes as i32 * 4);
            let mem = MemRef { base: MemBase::Reg(base), index: None, disp };
            let mask = self.exec[part];
            match data {
                Operand::Lanes(regs) if write && !narrow => {
                    self.emit(Ins::Store { bytes: 4, mem, s: regs[part], mask });
                }
                Operand::Lanes(regs) if write => {
                    let old = self.lane();
                    self.emit(Ins::Load { from: Scalar::U32, d: old, mem });
                    let s = self.inserted(old, regs[part], before, scalar);
                    self.emit(Ins::Store { bytes: 4, mem, s, mask });
                }
                Operand::Lanes(regs) if !narrow => {
                    self.emit(Ins::Load { from: Scalar::U32, d: regs[part], mem });
                }
                Operand::Lanes(regs) | Operand::Masks(regs) => {
                    let word = self.lane();
                    self.emit(Ins::Load { from: Scalar::U32, d: word, mem });
                    self.scalar_of_word(word, before, scalar, regs[part]);
                }
                Operand::Int { .. } | Operand::Wide { .. } | Operand::Part { .. } => {
                    unreachable!("components are lanes of 32 bits")
                }
            }
        }
    }

    fn scalar_of_word(&mut self, word: Reg, before: Before, scalar: Scalar, d: Reg) {
        match before {
            Before::Constant(bits) => self.part_of_word(word, bits / 8, scalar, d),
            Before::Lanes(bits) => {
                let word = self.lane2(Lane2::Shr, word, bits);
                self.part_of_word(word, 0, scalar, d);
            }
        }
    }

    /// A word in which a narrow scalar is replaced.
    fn inserted(&mut self, word: Reg, scalar: Reg, before: Before, ty: Scalar) -> Reg {
        let low = self.lane_constant(u32::MAX >> (32 - 8 * ty.bytes()));
        let (hole, moved) = match before {
            Before::Constant(0) => (low, scalar),
            Before::Constant(bits) => {
                let hole = self.lane_constant((u32::MAX >> (32 - 8 * ty.bytes())) << bits);
                (hole, self.lane1(Lane1::Shl(bits as u8), scalar))
            }
            Before::Lanes(bits) => {
                (self.lane2(Lane2::Shl, low, bits), self.lane2(Lane2::Shl, scalar, bits))
            }
        };
        let differ = self.lane2(Lane2::Xor, word, moved);
        let change = self.lane2(Lane2::And, differ, hole);
        self.lane2(Lane2::Xor, word, change)
    }

    /// A scalar at a varying offset.
    fn thread_lanes_at(
        &mut self,
        offsets: Reg,
        more: u32,
        scalar: Scalar,
        data: &Operand,
        part: usize,
        write: bool,
    ) {
        let base = self.thread_lanes();
        let mask = self.exec[part];
        let first = part as u32 * self.strip.lanes;
        let lane = self.lane_home(Home::Iota { first, factor: 4 });
        let (reg, bytes) = match data {
            Operand::Lanes(regs) | Operand::Masks(regs) => (regs[part], scalar.bytes()),
            Operand::Int { .. } | Operand::Wide { .. } | Operand::Part { .. } => {
                unreachable!("components are lanes of 32 bits")
            }
        };
        if bytes == 4 {
            let rows = self.lane1(Lane1::Shl(5), offsets);
            let offsets = self.lane2(Lane2::Add, rows, lane);
            let disp = more as i32 / 4 * ROW;
            return self.emit(if write {
                Ins::Scatter { bytes, base, offsets, disp, s: reg, mask }
            } else {
                Ins::Gather { d: reg, base, offsets, disp, mask }
            });
        }
        let (more, three) = (self.lane_constant(more), self.lane_constant(3));
        let at = self.lane2(Lane2::Add, offsets, more);
        let byte = self.lane2(Lane2::And, at, three);
        let word = self.lane2(Lane2::Xor, at, byte);
        let rows = self.lane1(Lane1::Shl(5), word);
        let words = self.lane2(Lane2::Add, rows, lane);
        if write {
            let offsets = self.lane2(Lane2::Add, words, byte);
            return self.emit(Ins::Scatter { bytes, base, offsets, disp: 0, s: reg, mask });
        }
        let (word, bits) = (self.lane(), self.lane1(Lane1::Shl(3), byte));
        self.emit(Ins::Gather { d: word, base, offsets: words, disp: 0, mask });
        self.scalar_of_word(word, Before::Lanes(bits), scalar, reg);
    }
}
