//! Stamps: for every four bytes of memory which accesses later ones are compared with, in *planes* of 32-bit numbers that
//! machine code reads and writes by itself (`specs/sanitizer.md`).

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use crate::soft::ir::AccessKind;

/// The entry of a plane for every four bytes: a stamp, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Plane {
    /// The last write, and what it wrote.
    Writer,
    Value,
    /// Accesses that may be at the same time as others of their kind: reads, or atomics.
    First,
    Second,
}

impl Plane {
    pub(crate) const COUNT: usize = 4;
}

/// The lane is in the lowest bits of a stamp, above it is the class of a [`Plane::First`] or the level of a
/// [`Plane::Second`], and above them the number of the event.
pub(crate) const LANE: u32 = 31;
/// The bits of the class, and of the level.
pub(crate) const CLASS: u32 = 3 << CLASS_SHIFT;
pub(crate) const CLASS_SHIFT: u32 = 5;
/// Whether accesses are stamped whose cells have this number of bytes in a plane.
pub(crate) const fn fits(bytes: u32) -> bool {
    bytes.is_multiple_of(4) && bytes >= 4 && bytes <= 4 * MOST_CELLS as u32
}

/// The most cells of a stamped access.
const MOST_CELLS: usize = 8;

/// Offsets that machine code stamps are below this.
pub(crate) const MAX_OFFSET: u64 = (1 << 31) - (1 << 21);
/// The distance of events.
pub(crate) const EVENT: u32 = 1 << 7;
/// The stamp of bytes whose records are in the table, in all planes of stamps.
pub(super) const COMPLEX: u32 = u32::MAX;
/// The value of a write that stands for several of different values.
pub(crate) const MIXED: u32 = 0x9e37_79b9;

/// How the second access differs from the first: by the lane at most, by the SIMD-group in the phase, or by the threadgroup.
pub(crate) const OF_LANES: u32 = 1 << CLASS_SHIFT;
pub(crate) const OF_WAVES: u32 = 2 << CLASS_SHIFT;
pub(crate) const OF_GROUPS: u32 = 3 << CLASS_SHIFT;

/// The class of accesses that do not race with each other; plain writes have none.
pub(crate) fn class_of(kind: AccessKind) -> u32 {
    let number = match kind {
        AccessKind::Read | AccessKind::Write => 0,
        AccessKind::AtomicRead => 1,
        AccessKind::AtomicWrite => 2,
    };
    number << CLASS_SHIFT
}

/// The numbers that are added to the value of a write in each of its cells, so that equal numbers there are equal values, bytes and
/// addresses. `delta` is the distance from the cell to the start and `bytes` the length, both in the planes.
pub(crate) const fn value_at(delta: u32, bytes: u32, shift: u32) -> u32 {
    let delta = (delta as i32 >> shift) as u32;
    value_moved(delta).wrapping_add((bytes >> shift).wrapping_mul(0x27d4_eb2f))
}

/// Added to the value of a write in a cell, if the write begins this number of bytes before the cell.
pub(crate) const fn value_moved(bytes: u32) -> u32 {
    bytes.wrapping_mul(0x85eb_ca6b)
}

/// The SIMD-groups of a threadgroup.
pub(super) const MOST_WAVES: usize = 32;

/// How many barriers a SIMD-group has passed.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Clock {
    /// Barriers of the threadgroup and of the SIMD-group that order device memory.
    pub(super) device: [u32; 2],
    /// The same for threadgroup memory.
    pub(super) own: [u32; 2],
    /// Barriers of the threadgroup.
    pub(super) met: u32,
}

/// The limits that stamps of device memory, or of threadgroup memory, are compared with.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Limits {
    /// Everything below is ordered before and of no interest any more.
    pub(crate) start: Cell<u32>,
    /// The first stamp of this threadgroup.
    pub(crate) group: Cell<u32>,
    /// How many of the stamps from there on are of earlier phases of this threadgroup, which are ordered before.
    pub(crate) done: Cell<u32>,
    /// The first of this phase. A phase ends with a barrier of the threadgroup that orders the memory.
    pub(crate) phase: Cell<u32>,
    /// The first of this phase that is not of another SIMD-group.
    pub(crate) wave: Cell<u32>,
    /// How many phases there were before in this threadgroup.
    phases: Cell<u32>,
}

/// The state by which machine code accesses planes. It is that of the SIMD-group that runs.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Quick {
    /// The next event's stamp, and the last one that there is room for; 0 if nothing is stamped.
    pub(crate) next: Cell<u32>,
    pub(crate) last: Cell<u32>,
    /// From there on all stamps are of this SIMD-group since it passed a barrier.
    pub(crate) segment: Cell<u32>,
    /// The lanes of the last access, and from where on they were the same.
    pub(crate) lanes: Cell<u32>,
    pub(crate) converged: Cell<u32>,
    limits: [Limits; 2],
    /// The threadgroup, and the barriers that its SIMD-groups have passed.
    pub(super) group: Cell<u32>,
    /// Whether its first SIMD-group has yet to begin; if not, the next first one begins another threadgroup.
    entered: Cell<u32>,
    clocks: Cell<[Clock; MOST_WAVES]>,
    /// Where the next segment is noted, and the end of the room for them; null if nothing is stamped. Another one is before it.
    segments: Cell<*mut Segment>,
    segments_end: Cell<*mut Segment>,
    /// Where events are logged: a stamp over 16 is added.
    pub(crate) log: Cell<usize>,
    /// The rows of regions, by number.
    pub(crate) rows: Cell<*const Row>,
    /// Sites of instructions by the values' numbers, plus 1; 0 while they are not known.
    pub(crate) sites: Cell<*const u32>,
}

/// Planes of a region: their addresses at its start, and the offsets there below which accesses of one cell, of two and so on may begin.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Row {
    pub(crate) planes: [*mut u8; Plane::COUNT],
    pub(crate) limits: [u64; MOST_CELLS],
    /// The same for 16 cells.
    pub(crate) of_16: u64,
    /// For threadgroup memory under `init`: a byte for each of its bytes, not 0 if that was written; and how many there are.
    pub(crate) written: *const Cell<u8>,
    pub(crate) bytes: u64,
}

impl Row {
    /// Of a region without planes.
    pub(crate) const NONE: Self = Self {
        planes: [std::ptr::null_mut(); 4],
        limits: [0; MOST_CELLS],
        of_16: 0,
        written: std::ptr::null(),
        bytes: 0,
    };

    /// The same of memory of which it is known what was written.
    pub(super) fn with_written(self, written: &[Cell<u8>]) -> Self {
        Self { written: written.as_ptr(), bytes: written.len() as u64, ..self }
    }
}

/// Offsets of fields, for machine code.
#[derive(Debug)]
pub(crate) struct QuickLayout;

impl QuickLayout {
    pub(crate) const NEXT: i32 = offset_of!(Quick, next) as i32;
    pub(crate) const LAST: i32 = offset_of!(Quick, last) as i32;
    pub(crate) const SEGMENT: i32 = offset_of!(Quick, segment) as i32;
    pub(crate) const LANES: i32 = offset_of!(Quick, lanes) as i32;
    pub(crate) const CONVERGED: i32 = offset_of!(Quick, converged) as i32;
    pub(crate) const LIMITS: [i32; 2] = [
        offset_of!(Quick, limits) as i32,
        (offset_of!(Quick, limits) + size_of::<Limits>()) as i32,
    ];
    pub(crate) const START: i32 = offset_of!(Limits, start) as i32;
    pub(crate) const GROUP: i32 = offset_of!(Limits, group) as i32;
    pub(crate) const DONE: i32 = offset_of!(Limits, done) as i32;
    pub(crate) const PHASE: i32 = offset_of!(Limits, phase) as i32;
    pub(crate) const WAVE: i32 = offset_of!(Limits, wave) as i32;
    pub(crate) const PHASES: i32 = offset_of!(Limits, phases) as i32;
    pub(crate) const OF_GROUP: i32 = offset_of!(Quick, group) as i32;
    pub(crate) const ENTERED: i32 = offset_of!(Quick, entered) as i32;
    pub(crate) const CLOCKS: i32 = offset_of!(Quick, clocks) as i32;
    pub(crate) const CLOCK_BYTES: i32 = size_of::<Clock>() as i32;
    /// The counts of barriers that order device and threadgroup memory: of the threadgroup, and after that of the SIMD-group.
    pub(crate) const COUNTS: [i32; 2] =
        [offset_of!(Clock, device) as i32, offset_of!(Clock, own) as i32];
    pub(crate) const MET: i32 = offset_of!(Clock, met) as i32;
    pub(crate) const SEGMENTS: i32 = offset_of!(Quick, segments) as i32;
    pub(crate) const SEGMENTS_END: i32 = offset_of!(Quick, segments_end) as i32;
    pub(crate) const SEGMENT_BYTES: i32 = size_of::<Segment>() as i32;
    pub(crate) const SEGMENT_FIRST: i32 = offset_of!(Segment, first) as i32;
    pub(crate) const SEGMENT_GROUP: i32 = offset_of!(Segment, group) as i32;
    pub(crate) const SEGMENT_WAVE: i32 = offset_of!(Segment, wave) as i32;
    pub(crate) const SEGMENT_CLOCK: i32 = offset_of!(Segment, clock) as i32;
    pub(crate) const LOG: i32 = offset_of!(Quick, log) as i32;
    pub(crate) const ROWS: i32 = offset_of!(Quick, rows) as i32;
    pub(crate) const SITES: i32 = offset_of!(Quick, sites) as i32;
    pub(crate) const ROW_BYTES: i32 = size_of::<Row>() as i32;
    pub(crate) const ROW_LIMITS: i32 = offset_of!(Row, limits) as i32;
    pub(crate) const ROW_OF_16: i32 = offset_of!(Row, of_16) as i32;
    pub(crate) const ROW_WRITTEN: i32 = offset_of!(Row, written) as i32;
    pub(crate) const ROW_LENGTH: i32 = offset_of!(Row, bytes) as i32;
}

impl Quick {
    pub(crate) fn limits(&self, own: bool) -> &Limits {
        &self.limits[usize::from(own)]
    }

    /// The barriers that a SIMD-group has passed.
    pub(super) fn clock(&self, wave: u32) -> &Cell<Clock> {
        let all: &Cell<[Clock]> = &self.clocks;
        &all.as_slice_of_cells()[wave as usize % MOST_WAVES]
    }

    /// A SIMD-group begins, or goes on after a barrier: `orders` says for device and for threadgroup memory whether it begins a phase;
    /// at its start it does.
    fn resume(&self, orders: [bool; 2]) {
        let next = self.next.get();
        self.segment.set(next);
        self.converged.set(next);
        self.lanes.set(0);
        for (limits, orders) in self.limits.iter().zip(orders) {
            limits.wave.set(if orders { next } else { limits.phase.get() });
        }
    }

    /// The lanes of the next access.
    pub(super) fn step(&self, lanes: u32) {
        if self.lanes.replace(lanes) != lanes {
            self.converged.set(self.next.get());
        }
    }
}

impl Limits {
    /// Whether an access is ordered before all that follow in this SIMD-group.
    pub(super) fn is_after(&self, stamp: u32) -> bool {
        stamp < self.start.get() || stamp.wrapping_sub(self.group.get()) < self.done.get()
    }

    fn begin(&self, own: bool, next: u32) {
        self.group.set(next);
        self.phase.set(next);
        self.done.set(0);
        self.phases.set(0);
        if own {
            self.start.set(next);
        }
    }

    fn next_phase(&self, own: bool, next: u32) {
        self.phase.set(next);
        self.done.set(next - self.group.get());
        if own {
            self.start.set(next);
        }
    }
}

/// From an event on, a SIMD-group runs that has passed a number of barriers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Segment {
    first: u32,
    pub(super) group: u32,
    pub(super) wave: u32,
    pub(super) clock: Clock,
}

/// Events of a log.
const EVENTS: usize = 1 << 24;
/// Numbers of events, without that of `COMPLEX`.
const NUMBERS: u32 = (1 << 25) - 1;

/// The events of a command buffer: the site, the lanes and the SIMD-group that stamps refer to.
pub(super) struct Events {
    /// The state of machine code while a launch runs.
    pub(super) quick: Box<Quick>,
    /// The segments, after an empty one, and the room for them.
    segments: Option<Block>,
    room: usize,
    log: Option<Block>,
    /// The stamp of the log's first event.
    base: u32,
    /// Everything before was ordered.
    pub(super) start: u32,
    /// Renumbering the events that stamps name leaves little room: no more are logged until everything is ordered.
    exhausted: bool,
    /// Whether the threadgroups of the launch are stamped.
    wanted: bool,
}

// SAFETY: the pointers in `quick` are those of a launch, which has the command buffer's state alone.
unsafe impl Send for Events {}

impl Default for Events {
    fn default() -> Self {
        let quick = Box::<Quick>::default();
        quick.next.set(EVENT);
        quick.rows.set(std::ptr::null());
        Self {
            quick,
            segments: None,
            room: 0,
            log: None,
            base: EVENT,
            start: EVENT,
            exhausted: false,
            wanted: false,
        }
    }
}

impl Events {
    /// The first stamp that there is no room for.
    fn end(&self) -> u32 {
        let room = u64::from(self.base) + (EVENTS as u64) * u64::from(EVENT);
        room.min(u64::from(NUMBERS) * u64::from(EVENT)) as u32
    }

    /// A threadgroup begins; its accesses are stamped if `wanted`, and if there is memory for that.
    pub(super) fn enter(&mut self, group: u32, wanted: bool) {
        let quick = &self.quick;
        quick.group.set(group);
        quick.entered.set(1);
        self.wanted = wanted;
        let quick = &self.quick;
        quick.clocks.set(Default::default());
        quick.last.set(0);
        for own in [false, true] {
            quick.limits(own).begin(own, quick.next.get());
        }
        if !wanted || self.exhausted {
            return;
        }
        if self.log.is_none() {
            self.log = Block::new(EVENTS * 8);
            self.base = self.quick.next.get();
        }
        if self.room == 0 && !self.grow() {
            return;
        }
        let (quick, Some(log)) = (&self.quick, &self.log) else { return };
        quick.log.set(log.start.as_ptr().addr().wrapping_sub(self.base as usize >> 4));
        quick.limits(false).start.set(self.start);
        quick.last.set(self.end());
    }

    /// Nothing is stamped from now on in this threadgroup.
    pub(super) fn stop(&self) {
        self.quick.last.set(0);
    }

    pub(super) fn is_on(&self) -> bool {
        self.quick.last.get() != 0
    }

    /// A SIMD-group begins. The first one, number 0, may begin the threadgroup after the last one that was entered.
    pub(super) fn begin(&mut self, wave: u32) {
        if wave == 0 {
            if self.quick.entered.get() == 0 {
                self.enter(self.quick.group.get().wrapping_add(1), self.wanted);
            }
            self.quick.entered.set(0);
        }
        // Those of the threadgroup before, if machine code entered this one.
        self.quick.clock(wave).set(Clock::default());
        if self.is_on() {
            self.segment(wave);
            self.quick.resume([true; 2]);
        }
    }

    /// A SIMD-group has passed a barrier, which for device and for threadgroup memory ended a phase or not.
    pub(super) fn resume(&mut self, wave: u32, orders: [bool; 2]) {
        if !self.is_on() {
            return;
        }
        let quick = &self.quick;
        let clock = quick.clock(wave).get();
        for (own, epoch) in [(false, clock.device[0]), (true, clock.own[0])] {
            let limits = quick.limits(own);
            if orders[usize::from(own)] && epoch > limits.phases.get() {
                limits.phases.set(epoch);
                limits.next_phase(own, quick.next.get());
            }
        }
        self.segment(wave);
        self.quick.resume(orders);
    }

    /// More room for segments; false if there is not that much memory.
    fn grow(&mut self) -> bool {
        let room = (2 * self.room).max(1 << 12);
        let Some(block) = Block::new(room * size_of::<Segment>()) else { return false };
        let to = block.start.as_ptr().cast::<Segment>();
        let old = self.all_segments();
        // SAFETY: the new block has room for those that there are, and is another one.
        unsafe { to.copy_from_nonoverlapping(old.as_ptr(), old.len()) };
        let used = old.len().max(1);
        self.quick.segments.set(to.wrapping_add(used));
        self.quick.segments_end.set(to.wrapping_add(room));
        (self.segments, self.room) = (Some(block), room);
        true
    }

    /// The segments, after an empty one.
    fn all_segments(&self) -> &[Segment] {
        let Some(block) = &self.segments else { return &[] };
        let start = block.start.as_ptr().cast::<Segment>();
        let used = (self.quick.segments.get().addr() - start.addr()) / size_of::<Segment>();
        // SAFETY: `used` segments were written in the block; the first one is all zeros.
        unsafe { std::slice::from_raw_parts(start, used) }
    }

    fn segment(&mut self, wave: u32) {
        let quick = &self.quick;
        let (first, group) = (quick.next.get(), quick.group.get());
        let segment = Segment { first, group, wave, clock: quick.clock(wave).get() };
        let at = quick.segments.get();
        if self.all_segments().last().is_some_and(|last| last.first == first) {
            // SAFETY: the last one, which no event is of.
            return unsafe { at.sub(1).write(segment) };
        }
        if at == quick.segments_end.get() && !self.grow() {
            return self.stop();
        }
        let at = self.quick.segments.get();
        // SAFETY: it is below the end of the room.
        unsafe { at.write(segment) };
        self.quick.segments.set(at.wrapping_add(1));
    }

    /// A new event: its stamp, or 0 if there is no room for it.
    pub(super) fn note(&self, site: u32, lanes: u32) -> u32 {
        let stamp = self.quick.next.get();
        let Some(log) = self.log.as_ref().filter(|_| stamp < self.quick.last.get()) else {
            return 0;
        };
        let at = ((stamp - self.base) / EVENT) as usize * 2;
        // SAFETY: the log has room up to `last`.
        unsafe {
            log.start.as_ptr().add(at).write(site + 1);
            log.start.as_ptr().add(at + 1).write(lanes);
        }
        self.quick.next.set(stamp + EVENT);
        stamp
    }

    /// Whether there is no room for another event.
    pub(super) fn is_full(&self) -> bool {
        self.is_on() && self.quick.next.get() >= self.quick.last.get()
    }

    /// The site, the lanes and the segment of a stamp's event; `None` of a stamp that no event has.
    pub(super) fn get(&self, stamp: u32) -> Option<(u32, u32, Segment)> {
        let log = self.log.as_ref().filter(|_| stamp < self.quick.next.get())?;
        let at = (stamp.checked_sub(self.base)? / EVENT) as usize * 2;
        let segments = self.all_segments();
        let segment = segments.partition_point(|segment| segment.first <= stamp);
        let segment = *segments.get(segment.checked_sub(1)?)?;
        // SAFETY: the log has all events from its base to the next.
        let (site, lanes) =
            unsafe { (log.start.as_ptr().add(at).read(), log.start.as_ptr().add(at + 1).read()) };
        Some((site.wrapping_sub(1), lanes, segment))
    }

    /// All that follows is ordered after what was.
    pub(super) fn order(&mut self) {
        self.start = self.quick.next.get();
        self.base = self.start;
        self.exhausted = false;
        self.keep_segments(&[]);
    }

    /// The bytes of the segments and the log.
    pub(super) fn memory(&self) -> usize {
        let blocks = [&self.segments, &self.log];
        blocks.into_iter().flatten().map(|block| block.layout.size()).sum()
    }

    /// Takes what stamps refer to; the memory of the log stays.
    pub(super) fn take(&mut self) -> Self {
        let mut taken = std::mem::take(self);
        let used = ((taken.quick.next.get() - taken.base) / EVENT) as usize;
        if let (Some(log), Some(copy)) = (&taken.log, Block::new(8 * used.max(1))) {
            // SAFETY: both have room for the events since the base.
            unsafe { copy.start.as_ptr().copy_from_nonoverlapping(log.start.as_ptr(), 2 * used) };
            self.log = taken.log.replace(copy);
        }
        taken
    }

    /// Only these segments remain; there are no more than before.
    fn keep_segments(&self, segments: &[Segment]) {
        let Some(block) = &self.segments else { return };
        let start = block.start.as_ptr().cast::<Segment>().wrapping_add(1);
        // SAFETY: there is room for those that there were.
        unsafe { start.copy_from_nonoverlapping(segments.as_ptr(), segments.len()) };
        self.quick.segments.set(start.wrapping_add(segments.len()));
    }

    /// Whether nothing was stamped since everything was ordered.
    pub(super) fn is_quiet(&self) -> bool {
        self.start == self.quick.next.get()
    }

    /// Numbers the events that stamps name anew, from the first on, so that there is room for others.
    pub(super) fn renumber(&mut self, planes: &[&Planes]) {
        let Some(log) = &self.log else { return };
        let mut used: Vec<u32> = Vec::new();
        planes.iter().for_each(|planes| {
            planes.each(self.start, |stamp| {
                used.push(stamp / EVENT);
                stamp
            });
        });
        used.sort_unstable();
        used.dedup();
        let moved = |stamp: u32| {
            let number = used.partition_point(|&event| event < stamp / EVENT) as u32;
            (number + 1) * EVENT + stamp % EVENT
        };
        // In the order of the numbers, so that none is overwritten before it is read.
        for (to, &event) in used.iter().enumerate() {
            let from = (event - self.base / EVENT) as usize;
            // SAFETY: both are in the log.
            unsafe {
                let log = log.start.as_ptr().cast::<u64>();
                log.add(to).write(log.add(from).read());
            }
        }
        planes.iter().for_each(|planes| planes.each(self.start, moved));
        let mut segments: Vec<Segment> = self.all_segments().iter().skip(1).copied().collect();
        for segment in &mut segments {
            segment.first = moved(segment.first);
        }
        // A segment without events begins where the next one does; only that one stays.
        segments.dedup_by(|later, earlier| {
            let same = later.first == earlier.first;
            if same {
                *earlier = *later;
            }
            same
        });
        self.keep_segments(&segments);
        let quick = &self.quick;
        for own in [false, true] {
            let limits = quick.limits(own);
            let done = moved(limits.group.get() + limits.done.get());
            for limit in [&limits.start, &limits.group, &limits.phase, &limits.wave] {
                limit.set(moved(limit.get()));
            }
            limits.done.set(done - limits.group.get());
        }
        for stamp in [&quick.next, &quick.segment, &quick.converged] {
            stamp.set(moved(stamp.get()));
        }
        (self.start, self.base) = (EVENT, EVENT);
        quick.limits(false).start.set(EVENT);
        quick.log.set(log.start.as_ptr().addr().wrapping_sub(EVENT as usize >> 4));
        self.exhausted = used.len() > EVENTS / 4 * 3;
        quick.last.set(if self.exhausted { 0 } else { self.end() });
    }
}

/// Memory for planes or for a log, zero at first.
struct Block {
    start: NonNull<u32>,
    layout: Layout,
}

// SAFETY: it owns the memory.
unsafe impl Send for Block {}

impl Block {
    fn new(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, 16).ok()?;
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }.cast())?;
        Some(Self { start, layout })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) };
    }
}

/// The planes of a piece of memory.
pub(super) struct Planes {
    /// Its address, a multiple of four, and its length.
    base: u64,
    bytes: u64,
    /// The bytes of a plane.
    stride: usize,
    block: Block,
    /// Whether cells had records instead.
    complex: Cell<bool>,
}

/// Planes of earlier command buffers, with the stamp below which all of theirs are: as stamps rise, what is left in them is
/// ordered before all that comes, whatever memory they were for.
static POOL: Mutex<Vec<(u32, Planes)>> = Mutex::new(Vec::new());
/// Cells that are looked at together.
const PIECE: usize = 1024;
/// Bytes and pieces of planes that are kept for later, at most.
const MOST_FREE: usize = 1 << 30;
const MOST_POOLED: usize = 64;
/// Planes whose stamps are higher than this are not used again.
const LAST_REUSED: u32 = 1 << 31;

impl Planes {
    /// Planes for a range of addresses, all zero or with stamps below the start of `events`, which may rise; `None` if there is not that much memory.
    pub(super) fn new(range: Range<u64>, events: &mut Events) -> Option<Self> {
        let base = range.start & !3;
        let bytes = (range.end - base).next_multiple_of(4);
        let stride = usize::try_from(bytes).ok()?.checked_next_multiple_of(64)?;
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = events.is_quiet();
        let fits = |(top, planes): &(u32, Self)| {
            planes.stride == stride && (*top <= events.start || quiet)
        };
        if let Some(found) = pool.iter().position(fits) {
            let (top, planes) = pool.swap_remove(found);
            if top > events.start {
                events.quick.next.set(top);
                events.order();
            }
            return Some(Self { base, bytes, ..planes });
        }
        drop(pool);
        let block = Block::new(stride.checked_mul(Plane::COUNT)?)?;
        Some(Self { base, bytes, stride, block, complex: Cell::new(false) })
    }

    /// The command buffer has ended, after the stamps before `top`.
    pub(super) fn give_back(self, top: u32) {
        // Cells that say that they have records would have none in another command buffer.
        if self.complex.get() {
            return;
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() >= MOST_POOLED {
            pool.remove(0);
        }
        let kept: usize = pool.iter().map(|(_, planes)| planes.block.layout.size()).sum();
        if top < LAST_REUSED && kept + self.block.layout.size() <= MOST_FREE {
            pool.push((top, self));
        }
    }

    /// The bytes of memory that they take.
    pub(super) fn memory(&self) -> usize {
        self.block.layout.size()
    }

    /// Whether a cell in a range of addresses was written by an event that is not before `start`, or has records.
    pub(super) fn is_written(&self, range: &Range<u64>, start: u32) -> bool {
        let written = |cell: StampCell<'_>| {
            let (writer, first) = (cell.get(Plane::Writer), cell.get(Plane::First));
            let atomic = first & CLASS == class_of(AccessKind::AtomicWrite);
            writer >= start || first >= start && atomic
        };
        self.used(range).filter_map(|number| self.cell(number)).any(written)
    }

    /// The addresses.
    pub(super) fn range(&self) -> Range<u64> {
        self.base..self.base + self.bytes
    }

    /// The row of a region in it.
    pub(super) fn row(&self, base: u64, bytes: u64) -> Row {
        let fits = base >= self.base && base + bytes <= self.base + self.bytes;
        if !base.is_multiple_of(4) || !fits {
            return Row::NONE;
        }
        let at = self.block.start.as_ptr().cast::<u8>().wrapping_add((base - self.base) as usize);
        let below = |cells: u64| bytes.saturating_sub(4 * cells + 3).min(MAX_OFFSET);
        Row {
            planes: std::array::from_fn(|plane| at.wrapping_add(plane * self.stride)),
            limits: std::array::from_fn(|cells| below(cells as u64)),
            of_16: below(15),
            ..Row::NONE
        }
    }

    /// The cell of the four bytes with a number.
    pub(super) fn cell(&self, number: u64) -> Option<StampCell<'_>> {
        let index = (number * 4).checked_sub(self.base)?;
        (index < self.bytes).then_some(StampCell { planes: self, index: index as usize / 4 })
    }

    /// The numbers of the cells in a range of addresses, without pieces of memory that nothing accessed.
    pub(super) fn used(&self, range: &Range<u64>) -> impl Iterator<Item = u64> {
        let own = self.range();
        let (from, to) = (range.start.max(own.start), range.end.min(own.end));
        let cells = from / 4..to.max(from).div_ceil(4);
        cells.clone().step_by(PIECE).flat_map(move |first| {
            let piece = first..(first + PIECE as u64).min(cells.end);
            if self.is_untouched(&piece) { 0..0 } else { piece }
        })
    }

    /// Whether all stamps of cells are zero.
    fn is_untouched(&self, cells: &Range<u64>) -> bool {
        let Some(first) = self.cell(cells.start) else { return true };
        let bytes = 4 * (cells.end - cells.start) as usize;
        [Plane::Writer, Plane::First].iter().all(|&plane| {
            // SAFETY: the cells are in the planes, which a launch has alone.
            let stamps =
                unsafe { std::slice::from_raw_parts(first.word(plane).cast::<u8>(), bytes) };
            *stamps == [0; 4 * PIECE][..bytes]
        })
    }

    /// Replaces the stamps of events that are not below `start`.
    fn each(&self, start: u32, mut f: impl FnMut(u32) -> u32) {
        for number in self.used(&self.range()) {
            let Some(cell) = self.cell(number) else { return };
            for plane in [Plane::Writer, Plane::First, Plane::Second] {
                let stamp = cell.get(plane);
                if stamp != COMPLEX {
                    cell.set(plane, if stamp < start { 0 } else { f(stamp) });
                }
            }
        }
    }
}

/// The stamps of four bytes.
#[derive(Clone, Copy)]
pub(super) struct StampCell<'a> {
    planes: &'a Planes,
    index: usize,
}

impl StampCell<'_> {
    fn word(&self, plane: Plane) -> *mut u32 {
        let start = self.planes.block.start.as_ptr();
        start.wrapping_add(plane as usize * (self.planes.stride / 4) + self.index)
    }

    pub(super) fn get(&self, plane: Plane) -> u32 {
        // SAFETY: a word of the block; a launch has its planes alone.
        unsafe { *self.word(plane) }
    }

    pub(super) fn set(&self, plane: Plane, stamp: u32) {
        // SAFETY: as above.
        unsafe { *self.word(plane) = stamp }
    }

    pub(super) fn is_complex(&self) -> bool {
        self.get(Plane::Writer) == COMPLEX
    }

    /// Sets all stamps.
    pub(super) fn fill(&self, stamp: u32) {
        if stamp == COMPLEX {
            self.planes.complex.set(true);
        }
        [Plane::Writer, Plane::First, Plane::Second]
            .iter()
            .for_each(|&plane| self.set(plane, stamp));
    }
}
