//! Accesses whose lanes are at known distances from each other, as in `x[34 * (lane / 4) + 8 * (lane % 4)]`: one check for all
//! lanes, and loads of what neighbouring lanes need together instead of gathers.

use super::memory::{Target, span};
use super::words::{component, word_count};
use super::{MAX_LANES, Selection};
use crate::soft::cpu::native::lir::*;
use crate::soft::cpu::native::shape::{Start, Sum};
use crate::soft::ir::facts::affine::is_within;
use crate::soft::ir::{Scalar, Value};
use crate::soft::sorted;

/// The form of an access.
pub(super) struct Form {
    pub(super) value: Value,
    pub(super) scalar: Scalar,
    pub(super) write: bool,
    /// Whether its components are loads that were joined.
    pub(super) joined: bool,
}

/// How the adjacent words of each lane are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// One component for each lane, and those of all lanes are adjacent.
    Row,
    /// Lanes take their words from 16 bytes that four of them, or two, share.
    Fours,
    Twos,
    /// 16 bytes for each lane, transposed.
    Each,
    /// A gather of each word.
    Gather,
}

/// The largest distance of a lane from the first one in bytes.
const MAX_DISTANCE: i64 = 1 << 20;
/// The bytes of a quarter of 64.
const QUAD: i64 = 16;

impl Selection<'_> {
    /// How far each lane is from the first lane's numbers, in bytes, if that is known and lanes are not evenly apart.
    pub(super) fn distances(&self, sum: &Sum) -> Option<Vec<i64>> {
        if sum.lanes.is_empty() || self.strip.lanes * self.strip.parts != 32 {
            return None;
        }
        if self.step(sum).is_some() {
            return None;
        }
        let mut all = vec![0i64; 32];
        for &(term, scale) in &sum.lanes {
            let (numbers, signed) = match self.shapes.known(term) {
                Some(numbers) => (*numbers, self.scalar(term).is_signed()),
                None => (self.shapes.apart(term)?, true),
            };
            for (distance, number) in all.iter_mut().zip(numbers) {
                let number = if signed { i64::from(number as i32) } else { i64::from(number) };
                *distance = distance.checked_add(number.checked_mul(scale)?)?;
            }
        }
        all.iter().all(|&distance| is_within(distance, MAX_DISTANCE)).then_some(all)
    }

    /// Reads or writes adjacent components of lanes at these distances.
    pub(super) fn access_apart(
        &mut self,
        start: Start,
        sum: &Sum,
        form: &Form,
        data: Vec<Operand>,
        distances: &[i64],
    ) {
        let &Form { value, scalar, write, joined } = form;
        let words = word_count(scalar, data.len());
        let by_part: Vec<&[i64]> = distances.chunks(self.strip.lanes as usize).collect();
        let loads: Vec<Load> =
            by_part.iter().map(|part| load_of(part, scalar, data.len(), words)).collect();
        let low = distances.iter().copied().min().unwrap_or(0);
        let high = distances.iter().copied().max().unwrap_or(0);
        let size = i64::from(scalar.bytes()) * data.len() as i64;
        let bytes = loads.iter().map(|load| match load {
            _ if write => high - low + size,
            Load::Row => high - low + size,
            Load::Fours | Load::Twos if is_alone(scalar, data.len()) => {
                (high - low + size).max(QUAD)
            }
            Load::Fours | Load::Twos => (high - low + 4 * words as i64).max(QUAD),
            Load::Each => high - low + QUAD * words.div_ceil(4) as i64,
            Load::Gather => high - low + 4,
        });
        let bytes = bytes.max().unwrap_or(size);

        let offset = self.offset(sum);
        let Target { region, base, limit, offset, row } =
            self.target(start, offset, bytes as u64, write, u64::MAX);
        let terms = sum.lanes.iter().map(|&(index, scale)| {
            let signed = self.scalar(index).is_signed();
            (index, Term { index: self.apart_index(index), signed, scale })
        });
        let terms: Vec<(Value, Term)> = terms.collect();
        let access = Access {
            write,
            region,
            scalar,
            offset,
            terms: terms.iter().map(|(_, term)| term.clone()).collect(),
            exec: self.exec.clone(),
            data: data.clone(),
            joined,
        };
        let site = self.site(self.run.access_site(value), SiteKind::Access(access));
        // Lanes that overlap in part are written one after the other.
        if write && by_part.iter().any(|part| !are_equal_or_apart(part, size)) {
            return self.emit(Ins::Call { site });
        }
        // As for lanes that are evenly apart, it may be the inactive ones that are out of bounds.
        let some = (self.depth > 0).then(|| (self.label(), self.label()));
        let check = |a: Reg, limit: Reg| match some {
            Some((to, _)) => Ins::JumpUnlessBelow { a, limit, to },
            None => Ins::CheckBelow { a, limit, site },
        };
        let mut first = offset;
        for (index, term) in &terms {
            if self.shapes.known(*index).is_none() {
                first = self.plus_first(first, *index, term, &check);
            }
        }
        let first = self.plus_constant(first, low);
        self.emit(check(first, limit));
        for (part, (&load, distances)) in loads.iter().zip(by_part).enumerate() {
            let from: Vec<i64> = distances.iter().map(|distance| distance - low).collect();
            let at = MemRef { base: MemBase::Reg(base), index: Some(first), disp: 0 };
            match load {
                Load::Row => {
                    let mem = MemRef { disp: from[0] as i32, ..at };
                    self.part_of_row(mem, scalar, &data[0], part, write);
                }
                // In any order, so lanes must not overlap.
                _ if write && size == QUAD && scalar.bytes() == 4 && are_apart(&from, QUAD) => {
                    self.store_apart(base, first, &from, &data, part);
                }
                _ if write || load == Load::Gather => {
                    let base = self.plus(base, first);
                    let offsets = self.lane_home(table(|lane| from[lane % from.len()] as u32));
                    self.lanes_at(base, offsets, scalar, &data, part, write);
                }
                _ => self.load_apart(load, at, &from, bytes, scalar, &data, part),
            }
        }
        if let Some((some, end)) = some {
            self.emit(Ins::Jump(end));
            self.emit(Ins::Label(some));
            let in_lanes = |(index, term): &(Value, Term)| {
                let index = LaneIndex::Lanes(self.lanes_here(*index));
                Term { index, ..*term }
            };
            let terms: Vec<Term> = terms.iter().map(in_lanes).collect();
            let mut code = Vec::new();
            let limit =
                self.limit(&mut code, row, span(scalar, data.len(), write), write, MAX_LANES);
            code.into_iter().for_each(|ins| self.emit(ins));
            let moved = !sum.same.is_empty() || matches!(start, Start::Pointer(_));
            let lanes = self.lane_offsets(&terms, offset, limit, site, moved, sum.constant);
            for (part, offsets) in lanes.into_iter().enumerate() {
                self.lanes_at(base, offsets, scalar, &data, part, write);
            }
            self.emit(Ins::Label(end));
        }
        self.emit(Ins::SiteEnd { site });
    }

    /// Stores four words of each lane at these offsets.
    fn store_apart(&mut self, base: Reg, first: Reg, from: &[i64], data: &[Operand], part: usize) {
        let words: Vec<Reg> = data.iter().map(|data| component(data, part)).collect();
        let (some, end) = (self.label(), self.label());
        let (bits, missing) = (self.int(), self.int());
        let all = ((1u64 << self.strip.lanes) - 1) as i32;
        self.emit(Ins::BitsOfMask { d: bits, s: self.exec[part] });
        self.emit(Ins::IntImm { op: IntOp::Xor, wide: false, d: missing, a: bits, imm: all });
        self.emit(Ins::JumpIf { zero: false, s: missing, to: some });
        if let Ok(words) = <[Reg; 4]>::try_from(&words[..]) {
            self.store_quads(&words, |lane| MemRef {
                base: MemBase::Reg(base),
                index: Some(first),
                disp: from[lane as usize] as i32,
            });
        }
        self.emit(Ins::Jump(end));
        self.emit(Ins::Label(some));
        let base = self.plus(base, first);
        let offsets = self.lane_home(table(|lane| from[lane % from.len()] as u32));
        self.lanes_at(base, offsets, Scalar::U32, data, part, true);
        self.emit(Ins::Label(end));
    }

    /// How a slow path finds a lane's index.
    fn apart_index(&mut self, index: Value) -> LaneIndex {
        if self.shapes.known(index).is_some() {
            return LaneIndex::Lanes(self.in_lanes(index));
        }
        let by = self.shapes.apart(index).unwrap_or([0; 32]);
        LaneIndex::Apart { first: self.number(index), by: Box::new(by) }
    }

    /// The lanes of a value that is known, or that has a number, made here.
    fn lanes_here(&mut self, index: Value) -> Vec<Reg> {
        if self.shapes.known(index).is_some() {
            return self.in_lanes(index);
        }
        let first = self.number(index);
        self.lanes_of(index, first)
    }

    /// Adds the first lane's index, after a check that no lane's wraps.
    fn plus_first(
        &mut self,
        sum: Reg,
        index: Value,
        term: &Term,
        check: &impl Fn(Reg, Reg) -> Ins,
    ) -> Reg {
        let by = self.shapes.apart(index).unwrap_or([0; 32]).map(|number| number as i32);
        let by = by.map(i64::from);
        let least = by.iter().copied().min().unwrap_or(0);
        let most = by.iter().copied().max().unwrap_or(0);
        let first = self.widened(index);
        if (least, most) != (0, 0) {
            // So that one unsigned comparison is enough, all of these begin at 0.
            let moved = self.plus_constant(first, least + if term.signed { 1 << 31 } else { 0 });
            let limit = self.constant(((1i64 << 32) - (most - least)) as u64);
            self.emit(check(moved, limit));
        }
        let scaled = self.scaled(first, term.scale);
        self.plus(sum, scaled)
    }

    /// Loads the components of a part's lanes at these offsets from an address. Of the bytes from there on, `bytes` may be read.
    #[allow(clippy::too_many_arguments)] // They describe an access.
    fn load_apart(
        &mut self,
        load: Load,
        at: MemRef,
        from: &[i64],
        bytes: i64,
        scalar: Scalar,
        data: &[Operand],
        part: usize,
    ) {
        let words = self.words(scalar, data, part);
        if load == Load::Each {
            for (number, words) in words.chunks(4).enumerate() {
                let mut words = words.to_vec();
                // The rest of the last 16 bytes is not used.
                words.resize_with(4, || self.lane());
                self.quads(&words, |_, lane| MemRef {
                    disp: (from[lane as usize] + QUAD * number as i64) as i32,
                    ..at
                });
            }
            return self.parts_of_words(&words, scalar, data, part);
        }
        let size = i64::from(scalar.bytes());
        // A narrow component is taken from its word at once, to the top if it has a sign.
        let alone = match data {
            [Operand::Lanes(regs)] if size < 4 => Some(regs[part]),
            _ => None,
        };
        let first = if alone.is_some() && scalar.is_signed() { 4 - size } else { 0 };
        let of_word = |lane: usize, byte: i64| match alone {
            Some(_) => {
                let byte = byte - first;
                (0..size).contains(&byte).then(|| from[lane] + byte)
            }
            None => Some(from[lane] + byte),
        };
        let d = match (&words[..], alone) {
            ([word], None) => *word,
            _ if first != 0 => self.lane(),
            _ => alone.unwrap_or(words[0]),
        };
        match (load, &words[..]) {
            (Load::Fours, _) => self.take(d, at, from.len(), bytes, of_word),
            (_, [_]) => {
                let [a, b] = [0, 1].map(|half| {
                    let d = self.lane();
                    let ours =
                        |lane: usize, byte| of_word(lane, byte).filter(|_| lane / 2 % 2 == half);
                    self.take(d, at, from.len(), bytes, ours);
                    d
                });
                self.emit(Ins::Lane2 { op: Lane2::Or, d, a, b });
            }
            _ => {
                // Both words of two lanes, then those of the two others.
                let [a, b] = [0, 2].map(|second| {
                    let d = self.lane();
                    let ours = |lane: usize, byte| {
                        let from = from[lane / 4 * 4 + second + lane % 4 / 2];
                        Some(from + (lane % 2) as i64 * 4 + byte)
                    };
                    self.take(d, at, from.len(), bytes, ours);
                    d
                });
                for (&d, op) in words.iter().zip([Lane2::Evens, Lane2::Odds]) {
                    self.emit(Ins::Lane2 { op, d, a, b });
                }
            }
        }
        match alone {
            Some(to) if first != 0 => {
                let op = Lane1::Sar(32 - 8 * size as u8);
                self.emit(Ins::Lane1 { op, d: to, a: d });
            }
            Some(_) => {}
            None => self.parts_of_words(&words, scalar, data, part),
        }
    }

    /// Sets each byte of each lane to the byte of memory at the offset that a function finds for it, or to 0. Those of four lanes
    /// are within 16 bytes.
    fn take(
        &mut self,
        d: Reg,
        at: MemRef,
        lanes: usize,
        bytes: i64,
        offset: impl Fn(usize, i64) -> Option<i64>,
    ) {
        let of_lane = |lane: usize| (0..4).map(move |byte| (lane, byte));
        let start = |quad: usize| {
            let all = (4 * quad..4 * quad + 4).flat_map(of_lane);
            let least = all.filter_map(|(lane, byte)| offset(lane, byte)).min().unwrap_or(0);
            least.min(bytes - QUAD)
        };
        let starts: Vec<i64> = (0..lanes / 4).map(start).collect();
        let mems = std::array::from_fn(|quad| MemRef {
            disp: starts[quad.min(starts.len() - 1)] as i32,
            ..at
        });
        let mut is_order = true;
        let control: [u32; 16] = std::array::from_fn(|lane| {
            let lane = lane % lanes;
            let bytes = (0..4).map(|byte| {
                let from = offset(lane, byte).map(|offset| offset - starts[lane / 4]);
                is_order &= from == Some((lane % 4) as i64 * 4 + byte);
                from.map_or(0x80, |from| from as u32) << (8 * byte)
            });
            bytes.sum()
        });
        if is_order {
            return self.emit(Ins::LoadQuads { d, mems });
        }
        let (a, b) = (self.lane(), self.lane_home(Home::Table(control)));
        self.emit(Ins::LoadQuads { d: a, mems });
        self.emit(Ins::Lane2 { op: Lane2::Bytes, d, a, b });
    }
}

/// How the lanes of a vector at these offsets are loaded.
fn load_of(from: &[i64], scalar: Scalar, components: usize, words: usize) -> Load {
    let size = i64::from(scalar.bytes());
    if components == 1 && from.windows(2).all(|pair| pair[1] - pair[0] == size) {
        return Load::Row;
    }
    let each = if is_alone(scalar, components) { size } else { 4 * words as i64 };
    let within = |lanes: &[i64]| {
        let (least, most) = (lanes.iter().min(), lanes.iter().max());
        most.zip(least).is_some_and(|(most, least)| most - least + each <= QUAD)
    };
    match words {
        1 if from.chunks(4).all(within) => Load::Fours,
        1 | 2 if from.chunks(2).all(within) => Load::Twos,
        1 => Load::Gather,
        _ => Load::Each,
    }
}

/// Whether offsets that are not equal are at least so far apart.
fn are_equal_or_apart(from: &[i64], least: i64) -> bool {
    let mut from = from.to_vec();
    sorted::sort(&mut from);
    from.dedup();
    are_apart(&from, least)
}

/// Whether all offsets are at least so far apart.
fn are_apart(from: &[i64], least: i64) -> bool {
    let mut from = from.to_vec();
    sorted::sort(&mut from);
    from.windows(2).all(|pair| pair[1] - pair[0] >= least)
}

/// Whether no more is taken from a word than one component.
fn is_alone(scalar: Scalar, components: usize) -> bool {
    components == 1 && scalar != Scalar::Bool
}

/// Numbers of the lanes of a vector.
fn table(number: impl Fn(usize) -> u32) -> Home {
    Home::Table(std::array::from_fn(number))
}
