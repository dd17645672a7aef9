//! The shadow of memory: for every four bytes, the accesses that a later one has to be compared with.

use std::ops::Range;

use super::stamps::{
    CLASS, COMPLEX, EVENT, Events, LANE, MIXED, OF_GROUPS, OF_LANES, OF_WAVES, Plane, Planes,
    StampCell, class_of, value_at, value_moved,
};
use crate::soft::ir::AccessKind;
use crate::soft::ir::hash::FastMap;
use crate::soft::sorted;

/// One access, as far as it matters to later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The threadgroup, numbered over all launches that nothing orders.
    pub(super) group: u32,
    /// How many barriers of the threadgroup that order this memory its SIMD-group has passed.
    pub(super) epoch: u32,
    /// The same of the SIMD-group.
    pub(super) inner: u32,
    /// How many barriers of the threadgroup it has passed, whatever they order.
    pub(super) met: u32,
    /// The instruction's execution, numbered over all.
    pub(super) step: u32,
    /// Where in the source.
    pub(super) site: u32,
    /// The lanes of its SIMD-group that the instruction was executed in.
    pub(super) lanes: u32,
    /// The bits that are written, mixed with the address and the length.
    pub(super) value: u32,
    /// The SIMD-group in its threadgroup.
    pub(super) wave: u8,
    pub(super) lane: u8,
    /// Which of the four bytes.
    pub(super) mask: u8,
    pub(super) kind: AccessKind,
    /// The stamp of its event; 0 if it has no event.
    pub(super) stamp: u32,
    /// Only the other lanes of its instruction need it.
    pub(super) is_passing: bool,
}

/// Why nothing orders two accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// Their threads are in different threadgroups.
    Groups,
    /// They are in different SIMD-groups of a threadgroup.
    Waves,
    /// They are in one SIMD-group, and the instructions are different ones.
    Lanes,
    /// They are the same instruction.
    Instruction,
}

impl Record {
    /// Why nothing orders this access, which came first, and another; `None` if something does, or if one thread did both.
    fn apart(&self, next: &Self) -> Option<Apart> {
        if self.group != next.group {
            return Some(Apart::Groups);
        }
        if self.epoch < next.epoch {
            return None;
        }
        match (self.wave == next.wave, self.lane == next.lane) {
            (false, _) => Some(Apart::Waves),
            (true, true) => None,
            (true, false) if self.step == next.step => Some(Apart::Instruction),
            (true, false) => (self.inner >= next.inner).then_some(Apart::Lanes),
        }
    }

    /// Whether two accesses without order are a race.
    pub(super) fn conflicts(&self, next: &Self) -> bool {
        (self.kind.writes() || next.kind.writes())
            && !(self.kind.is_atomic() && next.kind.is_atomic())
    }

    /// Whether each later access that races with `other`, which came before or is at the same time, also races with this one;
    /// of lanes of one SIMD-group, whether no fewer of them do.
    fn implies(&self, other: &Self) -> bool {
        self.group == other.group && self.is_as_strong_as(other) && self.lanes & !other.lanes == 0
    }

    /// Whether a GPU executes a later access of another lane after this one, though nothing orders them: the lane was there.
    pub(super) fn is_in_lockstep_with(&self, next: &Self) -> bool {
        self.lanes >> next.lane & 1 != 0
    }

    /// Whether what conflicts with the other access conflicts with this one. A write does not with one of the same value.
    pub(super) fn is_as_strong_as(&self, other: &Self) -> bool {
        let stronger = match self.kind {
            AccessKind::Write => other.kind == AccessKind::Write && other.value == self.value,
            AccessKind::AtomicWrite => other.kind.is_atomic(),
            AccessKind::Read => !other.kind.writes(),
            AccessKind::AtomicRead => other.kind == AccessKind::AtomicRead,
        };
        stronger && other.mask & !self.mask == 0
    }
}

/// The records of four bytes: rarely more than one.
#[derive(Clone, Default)]
struct Cell {
    first: Option<Record>,
    more: Option<Box<[Record]>>,
}

impl Cell {
    fn records(&self) -> impl Iterator<Item = &Record> {
        self.first.iter().chain(self.more.iter().flat_map(|more| more.iter()))
    }

    fn set(&mut self, records: &[Record]) {
        self.first = records.first().copied();
        let more = records.get(1..).filter(|more| !more.is_empty());
        self.more = more.map(Box::from);
    }
}

/// Four-byte cells of a page.
const CELLS: usize = 256;

/// The records of memory, by address.
#[derive(Default)]
pub(super) struct Shadow {
    pages: FastMap<u64, Box<[Cell]>>,
    /// Memory of one threadgroup at a time: records of another are of other memory.
    own: bool,
}

/// The bytes of an access, cut into cells: the number of each, and which of its bytes.
fn cells(address: u64, bytes: u32) -> impl Iterator<Item = (u64, u8)> {
    let end = address.saturating_add(bytes.into());
    (address / 4..end.div_ceil(4)).map(move |cell| {
        let (from, to) = (address.max(cell * 4) - cell * 4, end.min(cell * 4 + 4) - cell * 4);
        (cell, (((1u16 << to) - 1) & !((1 << from) - 1)) as u8)
    })
}

impl Shadow {
    /// The shadow of threadgroup memory.
    pub(super) fn of_threadgroups() -> Self {
        Self { own: true, ..Self::default() }
    }

    /// Notes an access to an address and bytes from there, where cells have `4 >> shift` bytes, and calls `found` for each earlier one that it
    /// races with.
    pub(super) fn access(
        &mut self,
        stamps: &Stamps<'_>,
        (address, bytes): (u64, u32),
        shift: u32,
        mut new: Record,
        is_fenced: impl Fn(u32) -> bool,
        mut found: impl FnMut(&Record, &Record, Apart),
    ) {
        let value = new.value;
        for (number, mask) in cells(address, bytes) {
            let delta = address.wrapping_sub(number * 4) as u32;
            (new.mask, new.value) = (mask, value.wrapping_add(value_at(delta, bytes, shift)));
            let stamped = stamps.cell(number);
            let before = match stamped.filter(|cell| !cell.is_complex()) {
                Some(cell) => stamps.records(cell, self.own, &new),
                None => self
                    .cell(number)
                    .map_or_else(Vec::new, |cell| cell.records().copied().collect()),
            };
            let before = before.iter().filter(|old| !self.own || old.group == new.group);
            let before = before.filter(|old| !old.is_passing || old.step == new.step);
            let before: Vec<&Record> = before.collect();
            if let [only] = before[..]
                && only.mask == mask
                && only.group == new.group
                && (only.wave, only.lane) == (new.wave, new.lane)
                && (only.epoch, only.inner) == (new.epoch, new.inner)
                && only.implies(&new)
                && (new.kind != AccessKind::Write || only.step == new.step)
            {
                continue;
            }
            let mut kept: Vec<Record> = Vec::with_capacity(before.len() + 1);
            for old in before {
                let apart = (old.mask & mask != 0).then(|| old.apart(&new)).flatten();
                if let Some(apart) = apart
                    && old.conflicts(&new)
                {
                    found(old, &new, apart);
                }
                // An access that came before this one in order is implied by it.
                let before = old.group == new.group && {
                    let same = (old.wave, old.lane) == (new.wave, new.lane);
                    old.epoch < new.epoch || same
                };
                // After a barrier nothing in a threadgroup's own memory can race with what was before it.
                let over = self.own && old.epoch < new.epoch;
                if !(before && (over || new.implies(old))) {
                    kept.push(*old);
                }
            }
            if !has_enough(&kept, &new, &is_fenced) {
                kept.push(new);
            } else if new.kind == AccessKind::Write {
                // Lanes that write other values by this instruction race with it, though they ran in lockstep with all before.
                let now: Vec<Record> =
                    kept.iter().filter(|old| old.step == new.step).copied().collect();
                if !has_enough(&now, &new, &is_fenced) {
                    kept.push(Record { is_passing: true, ..new });
                }
            }
            let Some(cell) = stamped else {
                self.cell_mut(number).set(&kept);
                continue;
            };
            match compact(&kept, new.stamp) {
                Some(words) => {
                    if cell.is_complex() {
                        self.cell_mut(number).set(&[]);
                    }
                    words.into_iter().for_each(|(plane, word)| cell.set(plane, word));
                }
                None => {
                    cell.fill(COMPLEX);
                    self.cell_mut(number).set(&kept);
                }
            }
        }
    }

    fn cell(&self, number: u64) -> Option<&Cell> {
        Some(&self.pages.get(&(number / CELLS as u64))?[(number % CELLS as u64) as usize])
    }

    fn cell_mut(&mut self, number: u64) -> &mut Cell {
        let page = self.pages.entry(number / CELLS as u64);
        let page = page.or_insert_with(|| vec![Cell::default(); CELLS].into_boxed_slice());
        &mut page[(number % CELLS as u64) as usize]
    }

    /// Moves what the stamps of a range of addresses stand for into records; cells that have records get the stamp `left`.
    pub(super) fn unstamp(&mut self, stamps: &Stamps<'_>, range: &Range<u64>, left: u32) {
        for planes in stamps.planes {
            for number in planes.used(range) {
                let Some(cell) = planes.cell(number) else { continue };
                if !cell.is_complex() {
                    let records = stamps.of(cell, false, stamps.events.start);
                    if records.is_empty() {
                        continue;
                    }
                    self.cell_mut(number).set(&records);
                }
                cell.fill(left);
            }
        }
    }

    /// Adds a record to a cell.
    pub(super) fn add(&mut self, number: u64, record: Record) {
        let cell = self.cell_mut(number);
        let mut records: Vec<Record> = cell.records().copied().collect();
        records.push(record);
        cell.set(&records);
    }

    /// The numbers of the cells in a range of addresses that have records.
    pub(super) fn numbers(&self, range: &Range<u64>) -> Vec<u64> {
        let cells = range.start / 4..range.end.div_ceil(4);
        let of_page = |(&page, all): (&u64, &[Cell])| {
            let numbers = all.iter().zip(page * CELLS as u64..);
            let used =
                numbers.filter(|(cell, number)| cell.first.is_some() && cells.contains(number));
            used.map(|(_, number)| number).collect::<Vec<u64>>()
        };
        self.pages.iter().map(|(page, all)| (page, &**all)).flat_map(of_page).collect()
    }

    /// The addresses of its pages, which may have records.
    pub(super) fn pages(&self) -> impl Iterator<Item = Range<u64>> {
        const BYTES: u64 = 4 * CELLS as u64;
        self.pages.keys().map(|page| page * BYTES..(page + 1) * BYTES)
    }

    /// Whether a record is of a write in a range of addresses.
    pub(super) fn is_written(&self, range: &Range<u64>) -> bool {
        let cells = range.start / 4..range.end.div_ceil(4);
        let of_page = |page: u64| {
            let here = self.pages[&page].iter().zip(page * CELLS as u64..);
            let mut here = here.filter(|(_, number)| cells.contains(number));
            here.any(|(cell, _)| cell.records().any(|record| record.kind.writes()))
        };
        self.pages_of(&cells).into_iter().any(of_page)
    }

    /// The numbers of its pages that have some of these cells.
    fn pages_of(&self, cells: &Range<u64>) -> Vec<u64> {
        let pages = cells.start / CELLS as u64..cells.end.div_ceil(CELLS as u64);
        if pages.end - pages.start < self.pages.len() as u64 {
            return pages.filter(|page| self.pages.contains_key(page)).collect();
        }
        self.pages.keys().copied().filter(|page| pages.contains(page)).collect()
    }

    /// The bytes of its pages.
    pub(super) fn memory(&self) -> usize {
        self.pages.len() * CELLS * size_of::<Cell>()
    }

    /// No stamp stands for a record from now on.
    pub(super) fn drop_stamps(&mut self) {
        let cells = self.pages.values_mut().flat_map(|page| page.iter_mut());
        let records = cells.flat_map(|cell| {
            cell.first.iter_mut().chain(cell.more.iter_mut().flat_map(|more| more.iter_mut()))
        });
        records.for_each(|record| record.stamp = 0);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.pages.clear();
    }

    /// Forgets the memory in a range of addresses, as what follows is ordered after all that was: the records, with the
    /// numbers of their cells.
    pub(super) fn take_range(&mut self, range: &Range<u64>) -> Vec<(u64, Record)> {
        let cells = range.start / 4..range.end.div_ceil(4);
        let mut taken = Vec::new();
        for page in self.pages_of(&cells) {
            let first = page * CELLS as u64;
            let Some(all) = self.pages.get_mut(&page) else { continue };
            for (cell, number) in all.iter_mut().zip(first..) {
                if cells.contains(&number) {
                    taken.extend(std::mem::take(cell).records().map(|record| (number, *record)));
                }
            }
            if cells.start <= first && first + CELLS as u64 <= cells.end {
                self.pages.remove(&page);
            }
        }
        taken.sort_by_key(|&(number, _)| number);
        taken
    }

    /// Forgets everything: the records, with the numbers of their cells, in that order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (u64, Record)> {
        let mut pages: Vec<_> = std::mem::take(&mut self.pages).into_iter().collect();
        sorted::sort_by_key(&mut pages, |page| page.0);
        pages.into_iter().flat_map(|(page, cells)| {
            cells.into_iter().zip(page * CELLS as u64..).flat_map(|(cell, number)| {
                let records: Vec<Record> = cell.records().copied().collect();
                records.into_iter().map(move |record| (number, record))
            })
        })
    }
}

/// A range of addresses, shifted; the end may be that of all.
pub(super) fn shifted(range: &Range<u64>, shift: u32) -> Range<u64> {
    range.start << shift..range.end.saturating_mul(1 << shift)
}

/// Records of cells of `4 >> from` bytes, in the order of their numbers, as those of cells of `4 >> to` bytes.
pub(super) fn resized(records: Vec<(u64, Record)>, from: u32, to: u32) -> Vec<(u64, Record)> {
    if from == to {
        return records;
    }
    let mut all: Vec<(u64, Record)> = Vec::new();
    for (cell, record) in records {
        let bytes = (0..4).filter(|byte| record.mask >> byte & 1 != 0);
        let mut cells: Vec<(u64, u8)> = Vec::new();
        for start in bytes.map(|byte| ((cell * 4 + byte) >> from) << to) {
            for at in start..start + (1 << to) {
                let (number, bit) = (at / 4, 1 << (at % 4));
                match cells.iter_mut().find(|known| known.0 == number) {
                    Some(known) => known.1 |= bit,
                    None => cells.push((number, bit)),
                }
            }
        }
        for (number, mask) in cells {
            // The value is that of a cell which begins elsewhere.
            let moved = ((cell * 4) >> from).wrapping_sub((number * 4) >> to) as u32;
            let new =
                Record { mask, value: record.value.wrapping_add(value_moved(moved)), ..record };
            // Smaller cells have the same record for each part of what was one access.
            let is_same =
                |old: &&mut (u64, Record)| (old.0, Record { mask, ..old.1 }) == (number, new);
            match all.iter_mut().rev().take_while(|old| old.0 >= number).find(is_same) {
                Some(known) => known.1.mask |= mask,
                None => all.push((number, new)),
            }
        }
    }
    all
}

/// The stamps of some memory, which stand for records.
pub(super) struct Stamps<'a> {
    pub(super) events: &'a Events,
    pub(super) planes: &'a [Planes],
}

impl Stamps<'_> {
    /// The cell of four bytes, if they are stamped.
    pub(super) fn cell(&self, number: u64) -> Option<StampCell<'_>> {
        self.planes.iter().find_map(|planes| planes.cell(number))
    }

    /// The records of a cell that matter to a new access.
    fn records(&self, cell: StampCell<'_>, own: bool, new: &Record) -> Vec<Record> {
        let mut records = self.of(cell, own, self.events.quick.limits(own).start.get());
        for record in &mut records {
            // A record of the instruction that is running.
            if record.stamp / EVENT == new.stamp / EVENT {
                record.step = new.step;
            }
        }
        records
    }

    /// The records of a cell of device or threadgroup memory whose stamps are not below `start`, the oldest first.
    fn of(&self, cell: StampCell<'_>, own: bool, start: u32) -> Vec<Record> {
        let class = cell.get(Plane::First) & CLASS;
        let kinds = [AccessKind::Read, AccessKind::AtomicRead, AccessKind::AtomicWrite];
        let kind =
            kinds.into_iter().find(|&kind| class_of(kind) == class).unwrap_or(AccessKind::Read);
        let record = |(plane, kind)| {
            let stamp = cell.get(plane);
            let (site, lanes, segment) = self.events.get(stamp).filter(|_| stamp >= start)?;
            let [epoch, inner] = if own { segment.clock.own } else { segment.clock.device };
            let value = match cell.get(Plane::Value) {
                // It differs from what any other thread writes.
                MIXED => stamp.wrapping_mul(0xc2b2_ae35) ^ segment.group,
                value => value,
            };
            Some(Record {
                group: segment.group,
                epoch,
                inner,
                met: segment.clock.met,
                step: 0,
                lanes,
                site,
                value,
                wave: segment.wave as u8,
                lane: (stamp & LANE) as u8,
                mask: 0xf,
                kind,
                stamp: stamp & !CLASS,
                is_passing: false,
            })
        };
        let planes =
            [(Plane::Writer, AccessKind::Write), (Plane::First, kind), (Plane::Second, kind)];
        let mut records: Vec<Record> = planes.into_iter().filter_map(record).collect();
        sorted::sort_by_key(&mut records, |record| record.stamp / EVENT);
        records
    }
}

/// The stamps that stand for records, the oldest first; `None` if none do. `running` is a stamp of the event that is running.
fn compact(records: &[Record], running: u32) -> Option<[(Plane, u32); Plane::COUNT]> {
    if records.iter().any(|record| record.mask != 0xf || record.stamp == 0) {
        return None;
    }
    let is_write = |record: &&Record| record.kind == AccessKind::Write;
    let writes: Vec<&Record> = records.iter().filter(is_write).collect();
    let (writer, value) = match writes.last() {
        Some(last) => {
            // The last one stands for those of its thread.
            let stands = |old: &&Record| {
                let same = (old.wave, old.lane, old.inner) == (last.wave, last.lane, last.inner);
                let same = same && (old.group, old.epoch) == (last.group, last.epoch);
                // A write of the last one's value is implied by it; what differs from both races with both.
                let implied = old.value == last.value && last.lanes & !old.lanes == 0;
                // Other lanes of the running instruction may race with the last one alone.
                let is_over = last.stamp / EVENT != running / EVENT;
                same && (implied || is_over && old.lanes == last.lanes)
            };
            if !writes.iter().all(stands) {
                return None;
            }
            let same = writes.iter().all(|old| old.value == last.value);
            (last.stamp, if same { last.value } else { MIXED })
        }
        None => (0, 0),
    };
    let shared: Vec<&Record> = records.iter().filter(|record| !is_write(record)).collect();
    let Some(newest) = shared.last() else {
        return Some([
            (Plane::Writer, writer),
            (Plane::Value, value),
            (Plane::First, 0),
            (Plane::Second, 0),
        ]);
    };
    if shared.iter().any(|record| record.kind != newest.kind) {
        return None;
    }
    let other_group = shared.iter().find(|record| record.group != newest.group);
    // Of one threadgroup, those of an earlier phase are implied.
    let phase: Vec<&&Record> =
        shared.iter().filter(|record| record.epoch == newest.epoch).collect();
    let other_wave = phase.iter().find(|record| record.wave != newest.wave);
    let (first, second, level) = match (other_group, other_wave, &phase[..]) {
        (Some(other), ..) => (*other, Some(newest), OF_GROUPS),
        (None, Some(other), _) => (**other, Some(newest), OF_WAVES),
        (None, None, [only]) => (**only, None, 0),
        (None, None, [one, other]) if one.lane != other.lane => {
            let alike = one.lanes == other.lanes && one.inner == other.inner;
            (**one, Some(*other), if alike { OF_LANES } else { 0 })
        }
        _ => return None,
    };
    let second = second.map_or(0, |second| second.stamp | level);
    let first = first.stamp | class_of(newest.kind);
    Some([
        (Plane::Writer, writer),
        (Plane::Value, value),
        (Plane::First, first),
        (Plane::Second, second),
    ])
}

/// Records of four bytes from which on threadgroups with fences are as good as others.
const MOST_FENCED: usize = 64;

/// Whether each later access that races with a new one races with one that is recorded: two threads of one SIMD-group,
/// two SIMD-groups of one threadgroup, or two threadgroups; whatever comes later differs from one of two.
fn has_enough(records: &[Record], new: &Record, is_fenced: impl Fn(u32) -> bool) -> bool {
    let mut first: [Option<&Record>; 3] = [None; 3];
    // Two writes of one value are not a race, so that a write with a new value adds something, unless there are three values:
    // two of them differ from that of any later write.
    let mut distinct: [Vec<&Record>; 3] = Default::default();
    for old in records {
        let same_thread = (old.group, old.wave, old.lane) == (new.group, new.wave, new.lane);
        if same_thread && (old.epoch, old.inner) == (new.epoch, new.inner) && old.implies(new) {
            return true;
        }
        let inner = old.wave != new.wave || old.inner >= new.inner;
        let recent = old.group != new.group || old.epoch >= new.epoch && inner;
        // A lane that was not there races; see `is_in_lockstep_with`.
        let fewer = (old.group, old.wave) != (new.group, new.wave) || old.lanes & !new.lanes == 0;
        if old.kind != new.kind || new.mask & !old.mask != 0 || !recent || !fewer {
            continue;
        }
        // 0: lanes of one SIMD-group; 1: SIMD-groups of one threadgroup; 2: threadgroups.
        let differs = |level: usize, one: &Record| match level {
            0 => (one.group, one.wave) == (old.group, old.wave) && one.lane != old.lane,
            1 => one.group == old.group && one.wave != old.wave,
            _ => one.group != old.group,
        };
        for (level, known) in first.iter_mut().enumerate() {
            let belongs = match level {
                0 => (old.group, old.wave) == (new.group, new.wave),
                1 => old.group == new.group,
                // A fence may order the one that is recorded with what comes, and not the new one.
                _ => !is_fenced(old.group) || records.len() >= MOST_FENCED,
            };
            if new.kind == AccessKind::Write && old.value != new.value {
                let others = &mut distinct[level];
                let differs = |one: &&Record| one.value != old.value && differs(level, one);
                if belongs && others.iter().all(differs) {
                    others.push(old);
                }
                if others.len() == 3 {
                    return true;
                }
                continue;
            }
            match known {
                Some(one) if belongs && differs(level, one) => return true,
                None if belongs => *known = Some(old),
                _ => {}
            }
        }
    }
    false
}
