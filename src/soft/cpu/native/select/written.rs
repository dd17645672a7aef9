//! Which bytes of threadgroup memory were written, under `init` (`specs/sanitizer.md`): the checker has a byte for each, at the same
//! offset, which is read and written here.

use super::{MAX_LANES, Selection};
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::cpu::native::shape::{Start, Sum};
use crate::soft::ir::Scalar;
use crate::soft::kernel::sanitize::stamps::QuickLayout as Quick;

/// An access to threadgroup memory: the number of its site, how its address is computed, and how many bytes each lane accesses.
pub(super) struct Noted<'a> {
    pub(super) site: u32,
    pub(super) start: Start,
    pub(super) sum: &'a Sum,
    pub(super) access: &'a Access,
    pub(super) bytes: u32,
}

/// Where the bytes of the lanes are.
enum Bytes {
    One(Reg),
    /// Of each part side by side, from an offset on.
    Rows(Vec<Reg>),
    Lanes(Vec<Reg>),
}

/// Whether accesses of this number of bytes are done here.
pub(super) fn can_note(bytes: u32) -> bool {
    matches!(bytes, 1 | 2 | 4 | 8 | 12 | 16)
}

impl Selection<'_> {
    /// Marks bytes as written.
    pub(super) fn note_written(&mut self, noted: &Noted<'_>) {
        let (base, bytes) = self.noted_bytes(noted);
        let base = MemBase::Reg(base);
        let (size, words) = (noted.bytes.min(4), noted.bytes.div_ceil(4));
        for word in 0..words {
            let up = 4 * word as i32;
            match &bytes {
                Bytes::One(start) => {
                    let s = self.constant(u64::MAX);
                    let mem = MemRef { base, index: Some(*start), disp: up };
                    self.emit(Ins::StoreInt { bytes: size, mem, s });
                }
                Bytes::Rows(starts) => {
                    for (part, &start) in starts.iter().enumerate() {
                        let (s, mask) = (self.lane_constant(u32::MAX), self.exec[part]);
                        let mem = MemRef { base, index: Some(start), disp: up };
                        self.emit(Ins::Store { bytes: size, mem, s, mask });
                    }
                }
                Bytes::Lanes(offsets) => {
                    for (part, &offsets) in offsets.iter().enumerate() {
                        let (s, mask) = (self.lane_constant(u32::MAX), self.exec[part]);
                        let MemBase::Reg(base) = base else { unreachable!("it is a register") };
                        let (bytes, disp) = (size, up);
                        self.emit(Ins::Scatter { bytes, base, offsets, disp, s, mask });
                    }
                }
            }
        }
        self.emit(Ins::SiteEnd { site: noted.site });
    }

    /// Sets lanes to a bit for each byte that was not written.
    pub(super) fn find_unwritten(&mut self, noted: &Noted<'_>, results: &[Reg]) {
        let (base, bytes) = self.noted_bytes(noted);
        let (size, words) = (noted.bytes.min(4), noted.bytes.div_ceil(4));
        let from = match size {
            1 => Scalar::U8,
            2 => Scalar::U16,
            _ => Scalar::U32,
        };
        for (part, &d) in results.iter().enumerate() {
            let mut all: Option<Reg> = None;
            for word in 0..words {
                let (loaded, disp) = (self.lane(), 4 * word as i32);
                let mem =
                    |index: Reg| MemRef { base: MemBase::Reg(base), index: Some(index), disp };
                match &bytes {
                    Bytes::One(start) => {
                        let (number, mem) = (self.int(), mem(*start));
                        self.emit(Ins::LoadInt { from, d: number, mem });
                        self.emit(Ins::Spread { d: loaded, s: number });
                    }
                    Bytes::Rows(starts) => {
                        self.emit(Ins::Load { from, d: loaded, mem: mem(starts[part]) });
                    }
                    Bytes::Lanes(offsets) => {
                        let (offsets, mask) = (offsets[part], self.exec[part]);
                        self.emit(Ins::Gather { d: loaded, base, offsets, disp, mask });
                    }
                }
                // A different bit of each byte, which a product moves to the highest byte.
                let (ones, up) = (self.lane_constant(u32::MAX), self.lane_constant(0x0101_0101));
                let bits = 0x0804_0201 & u32::MAX >> (32 - 8 * size);
                let bits = self.lane_constant(bits);
                let inverse = self.lane2(Lane2::Xor, loaded, ones);
                let some = self.lane2(Lane2::And, inverse, bits);
                let product = self.lane2(Lane2::Mul, some, up);
                let mut bits = self.lane1(Lane1::Shr(24), product);
                if word > 0 {
                    bits = self.lane1(Lane1::Shl(4 * word as u8), bits);
                }
                all = Some(match all {
                    Some(all) => self.lane2(Lane2::Or, all, bits),
                    None => bits,
                });
            }
            if let Some(a) = all {
                self.emit(Ins::Lane1 { op: Lane1::Move, d, a });
            }
        }
        self.emit(Ins::SiteEnd { site: noted.site });
    }

    /// The address of the checker's bytes, and where those of an access are, all in bounds.
    fn noted_bytes(&mut self, noted: &Noted<'_>) -> (Reg, Bytes) {
        let Noted { site, start, sum, access, bytes } = *noted;
        let (row, disp) = self.row_of(&access.region);
        let base = self.quick_int(row, Scalar::U64, disp + Quick::ROW_WRITTEN);
        let length = self.quick_int(row, Scalar::U64, disp + Quick::ROW_LENGTH);
        // An access may begin below this.
        let (less, zero) = (self.plus_constant(length, 1 - i64::from(bytes)), self.constant(0));
        let (negative, limit, wide) = (self.int(), self.int(), true);
        let (test, kind) = (Test::Lt, Num::Signed);
        self.emit(Ins::Compare { test, kind, wide, d: negative, a: less, b: zero });
        self.emit(Ins::Choose { wide, d: limit, c: negative, a: zero, b: less });
        let offset = access.offset;
        if sum.lanes.is_empty() {
            self.emit(Ins::CheckBelow { a: offset, limit, site });
            return (base, Bytes::One(offset));
        }
        let moved = !sum.same.is_empty() || !matches!(start, Start::Region(_));
        let side_by_side = |step: i64| step == i64::from(bytes) && bytes <= 4;
        let lanes = self.strip.lanes;
        if let Some(step) = self.step(sum) {
            let first = self.first_offset(&access.terms, offset, site, moved, sum.constant);
            let up = step * i64::from(lanes * self.strip.parts - 1);
            let last = self.plus_constant(first, up);
            for a in [first, last] {
                self.emit(Ins::CheckBelow { a, limit, site });
            }
            let parts = 0..self.strip.parts;
            if side_by_side(step) {
                let up = step * i64::from(lanes);
                let start = |part| self.plus_constant(first, up * i64::from(part));
                return (base, Bytes::Rows(parts.map(start).collect()));
            }
            let spread = self.lane();
            self.emit(Ins::Spread { d: spread, s: first });
            let offsets = |part| {
                let home = Home::Iota { first: part * lanes, factor: step as u32 };
                let up = self.lane_home(home);
                self.lane2(Lane2::Add, spread, up)
            };
            return (base, Bytes::Lanes(parts.map(offsets).collect()));
        }
        if let Some(step) = self.step_of_parts(sum).filter(|&step| side_by_side(step))
            && let Some(starts) = self.part_starts(sum, &access.terms, offset, site, moved)
        {
            for &first in &starts {
                let last = self.plus_constant(first, step * i64::from(lanes - 1));
                for a in [first, last] {
                    self.emit(Ins::CheckBelow { a, limit, site });
                }
            }
            return (base, Bytes::Rows(starts));
        }
        let limit = {
            let mut code = Vec::new();
            let limit = self.at_most(&mut code, limit, MAX_LANES);
            code.into_iter().for_each(|ins| self.emit(ins));
            limit
        };
        let offsets = self.lane_offsets(&access.terms, offset, limit, site, moved, sum.constant);
        (base, Bytes::Lanes(offsets))
    }
}
