//! The quick test of an access by a whole SIMD-group: whether it is ordered after all that the stamps say, or in a way that is never
//! reported; if so, the stamps are updated. Machine code does the same (`cpu/native/select/stamps.rs`), so that both report the same.

use super::stamps::{
    CLASS, CLASS_SHIFT, LANE, Limits, MIXED, OF_GROUPS, OF_LANES, OF_WAVES, Plane, Quick,
    StampCell, class_of, fits, value_at,
};
use crate::soft::ir::AccessKind;

/// An access of a SIMD-group: how many bytes its cells have in a plane, and the values that the lanes write.
pub(super) struct Whole<'a> {
    pub(super) own: bool,
    pub(super) kind: AccessKind,
    pub(super) bytes: u32,
    /// A cell has `4 >> shift` bytes.
    pub(super) shift: u32,
    /// The active lanes, each with its address, which is a multiple of four.
    pub(super) lanes: &'a [(u32, u64)],
    /// The value that a lane writes.
    pub(super) value: &'a dyn Fn(u32) -> Option<u32>,
}

/// The cells of an access, a word of each lane after the other.
struct Cells<'a> {
    lane: Vec<u32>,
    /// The word of the lane's access.
    word: Vec<u32>,
    cell: Vec<StampCell<'a>>,
}

impl<'a> Cells<'a> {
    fn of(whole: &Whole<'_>, cell: impl Fn(u64) -> Option<StampCell<'a>>) -> Option<Self> {
        let mut cells = Self { lane: Vec::new(), word: Vec::new(), cell: Vec::new() };
        for word in 0..whole.bytes / 4 {
            for &(lane, address) in whole.lanes {
                cells.lane.push(lane);
                cells.word.push(word);
                cells.cell.push(cell(address / 4 + u64::from(word))?);
            }
        }
        Some(cells)
    }

    fn get(&self, plane: Plane) -> Vec<u32> {
        self.cell.iter().map(|cell| cell.get(plane)).collect()
    }
}

impl Quick {
    /// Tries an access; `note` logs the event that the stamps are about to name. False if the accesses have to be compared one by one;
    /// nothing is changed then.
    pub(super) fn access<'a>(
        &self,
        whole: &Whole<'_>,
        cell: impl Fn(u64) -> Option<StampCell<'a>>,
        note: impl FnOnce(),
    ) -> bool {
        let aligned = whole.lanes.iter().all(|(_, address)| address.is_multiple_of(4));
        if !fits(whole.bytes) || !aligned || self.next.get() >= self.last.get() {
            return false;
        }
        let Some(cells) = Cells::of(whole, cell) else { return false };
        let limits = self.limits(whole.own);
        if whole.kind == AccessKind::Write {
            self.write(whole, limits, &cells, note)
        } else {
            self.share(whole, limits, &cells, note)
        }
    }

    /// Whether a stamp is this lane's, of this SIMD-group and not before `since`.
    fn is_mine(stamp: u32, since: u32, mask: u32, low: u32) -> bool {
        stamp >= since && stamp & mask == low
    }

    fn write(
        &self,
        whole: &Whole<'_>,
        limits: &Limits,
        cells: &Cells<'_>,
        note: impl FnOnce(),
    ) -> bool {
        let (next, all) = (self.next.get(), CLASS | LANE);
        let [writers, firsts, seconds] =
            [Plane::Writer, Plane::First, Plane::Second].map(|plane| cells.get(plane));
        let before = cells.get(Plane::Value);
        let mut values = Vec::new();
        for (at, &lane) in cells.lane.iter().enumerate() {
            let Some(value) = (whole.value)(lane) else { return false };
            let delta = (4 * cells.word[at]).wrapping_neg();
            values.push(value.wrapping_add(value_at(delta, whole.bytes, whole.shift)));
            let reader = |stamp| {
                limits.is_after(stamp) || Self::is_mine(stamp, self.segment.get(), LANE, lane)
            };
            let writer = writers[at];
            let mine = Self::is_mine(writer, self.converged.get(), all, lane);
            let same = writer < limits.start.get() || before[at] == values[at];
            if !(mine || same && limits.is_after(writer))
                || !reader(firsts[at])
                || !reader(seconds[at])
            {
                return false;
            }
        }
        let stamp = |at: usize| next | cells.lane[at];
        for (at, cell) in cells.cell.iter().enumerate() {
            cell.set(Plane::Writer, stamp(at));
        }
        // Lanes that write the same bytes.
        if cells.cell.iter().enumerate().any(|(at, cell)| cell.get(Plane::Writer) != stamp(at)) {
            for (cell, &writer) in cells.cell.iter().zip(&writers) {
                cell.set(Plane::Writer, writer);
            }
            return false;
        }
        for ((cell, value), writer) in cells.cell.iter().zip(values).zip(writers) {
            let same = writer < limits.start.get() || cell.get(Plane::Value) == value;
            cell.set(Plane::Value, if same { value } else { MIXED });
        }
        note();
        true
    }

    /// Reads or atomics.
    fn share(
        &self,
        whole: &Whole<'_>,
        limits: &Limits,
        cells: &Cells<'_>,
        note: impl FnOnce(),
    ) -> bool {
        let (next, all, class) = (self.next.get(), CLASS | LANE, class_of(whole.kind));
        let (start, converged) = (limits.start.get(), self.converged.get());
        let [writers, firsts, seconds] =
            [Plane::Writer, Plane::First, Plane::Second].map(|plane| cells.get(plane));
        // The cells that get a first stamp, and the level of a second one.
        let (mut fresh, mut second) = (Vec::new(), Vec::new());
        for (at, &lane) in cells.lane.iter().enumerate() {
            let (writer, first, other) = (writers[at], firsts[at], seconds[at]);
            let after =
                limits.is_after(writer) || Self::is_mine(writer, self.segment.get(), all, lane);
            let over = first < start;
            // Two threadgroups: whatever comes later is in another than one of them.
            let many = other >= start && other & CLASS == OF_GROUPS;
            // The same for two SIMD-groups of this phase.
            let two = other >= limits.phase.get() && other & OF_WAVES != 0;
            let known = first < limits.wave.get() || first >= converged || many || two;
            if !after || !known || !(over || first & CLASS == class) {
                return false;
            }
            let is_fresh = over || limits.is_after(first) && !many;
            fresh.push(is_fresh);
            let (level, enough) = if first < limits.group.get() {
                (OF_GROUPS, false)
            } else if first >= converged {
                (OF_LANES, first & LANE == lane || other >= converged)
            } else {
                (OF_WAVES, two)
            };
            second.push((!is_fresh && !many && !enough).then_some(level));
        }
        if !fresh.contains(&true) && second.iter().all(Option::is_none) {
            return true;
        }
        let stamp = |at: usize| next | class | cells.lane[at];
        let put = |is_wanted: &dyn Fn(usize) -> bool, plane, stamp: &dyn Fn(usize) -> u32| {
            for (at, cell) in cells.cell.iter().enumerate().filter(|(at, _)| is_wanted(*at)) {
                cell.set(plane, stamp(at));
            }
        };
        put(&|at| fresh[at], Plane::First, &stamp);
        // Several lanes may access the same bytes.
        for (at, second) in second.iter_mut().enumerate() {
            if fresh[at] && cells.cell[at].get(Plane::First) != stamp(at) {
                *second = Some(OF_LANES);
            }
        }
        let level = |at: usize| next | second[at].unwrap_or(0) | cells.lane[at];
        put(&|at| second[at].is_some(), Plane::Second, &level);
        note();
        true
    }
}

const _: () = assert!(CLASS == 3 << CLASS_SHIFT && OF_GROUPS == CLASS);
