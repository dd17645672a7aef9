//! The shadow of memory: for every four bytes, the accesses that a later one has to be compared with.

use std::ops::Range;

use crate::soft::ir::AccessKind;
use crate::soft::ir::hash::FastMap;

/// One access, as far as it matters to later ones.
#[derive(Clone, Copy, Debug)]
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
    /// Reused by each access.
    kept: Vec<Record>,
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

    /// Notes an access, and calls `found` for each earlier one that it races with.
    pub(super) fn access(
        &mut self,
        address: u64,
        bytes: u32,
        mut new: Record,
        is_fenced: impl Fn(u32) -> bool,
        mut found: impl FnMut(&Record, &Record, Apart),
    ) {
        for (number, mask) in cells(address, bytes) {
            new.mask = mask;
            let page = self.pages.entry(number / CELLS as u64);
            let page = page.or_insert_with(|| vec![Cell::default(); CELLS].into_boxed_slice());
            let cell = &mut page[(number % CELLS as u64) as usize];
            if let Some(only) = cell.first
                && cell.more.is_none()
                && only.mask == mask
                && only.group == new.group
                && (only.wave, only.lane) == (new.wave, new.lane)
                && (only.epoch, only.inner) == (new.epoch, new.inner)
                && only.implies(&new)
            {
                continue;
            }
            self.kept.clear();
            for old in cell.records().filter(|old| !self.own || old.group == new.group) {
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
                    self.kept.push(*old);
                }
            }
            if !has_enough(&self.kept, &new, &is_fenced) {
                self.kept.push(new);
            }
            cell.set(&self.kept);
        }
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
        for (&page, all) in &mut self.pages {
            for (cell, number) in all.iter_mut().zip(page * CELLS as u64..) {
                if cells.contains(&number) {
                    taken.extend(std::mem::take(cell).records().map(|record| (number, *record)));
                }
            }
        }
        taken.sort_by_key(|&(number, _)| number);
        taken
    }

    /// Forgets everything: the records, with the numbers of their cells, in that order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (u64, Record)> {
        let mut pages: Vec<_> = std::mem::take(&mut self.pages).into_iter().collect();
        pages.sort_unstable_by_key(|page| page.0);
        pages.into_iter().flat_map(|(page, cells)| {
            cells.into_iter().zip(page * CELLS as u64..).flat_map(|(cell, number)| {
                let records: Vec<Record> = cell.records().copied().collect();
                records.into_iter().map(move |record| (number, record))
            })
        })
    }
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
