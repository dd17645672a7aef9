//! Races between command buffers of different queues, which only events and the program's own waits order.
//!
//! When the accesses of a command buffer are ordered before all that follows in it, they are *published*: they get the next
//! tick of the process, and stay until a later access to the same bytes that is ordered after them implies them, or the memory
//! is freed. [`Ticks`] say up to which tick of each queue everything is ordered before what has them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::shadow::Record;
use super::{Run, Site};
use crate::soft::ir::AccessKind;
use crate::soft::ir::hash::FastMap;

/// For each queue the tick up to which everything that it did comes before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks(Vec<(u64, u64)>);

impl Ticks {
    /// Work that comes before `other` comes before this, too.
    fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|&(queue, tick)| self.add(queue, tick));
    }

    fn add(&mut self, queue: u64, tick: u64) {
        match self.0.iter_mut().find(|known| known.0 == queue) {
            Some(known) => known.1 = known.1.max(tick),
            None => self.0.push((queue, tick)),
        }
    }

    fn is_after(&self, batch: &Batch) -> bool {
        self.0.iter().any(|&(queue, tick)| queue == batch.queue && tick >= batch.tick)
    }
}

/// A clock that threads share: that of an event, or of a queue.
#[derive(Debug, Default)]
pub(crate) struct SharedClock(Mutex<Ticks>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedClock {
    pub(super) fn get(&self) -> Ticks {
        lock(&self.0).clone()
    }

    pub(super) fn join(&self, other: &Ticks) {
        lock(&self.0).join(other);
    }

    pub(super) fn add(&self, queue: u64, tick: u64) {
        lock(&self.0).add(queue, tick);
    }

    /// The program sees it: what it commits from now on comes after.
    pub(crate) fn seen(&self) {
        if is_active() {
            SEEN.join(&self.get());
        }
    }

    /// The program signals: what it has seen comes before.
    pub(crate) fn signalled(&self) {
        if is_active() {
            self.join(&SEEN.get());
        }
    }
}

/// The work that the program has observed to be done.
static SEEN: SharedClock = SharedClock(Mutex::new(Ticks(Vec::new())));
static ACTIVE: AtomicBool = AtomicBool::new(false);
static TICKS: AtomicU64 = AtomicU64::new(0);
/// The queues that were made. Those that have ended count, too: what they published is compared with what comes later.
static QUEUES: AtomicUsize = AtomicUsize::new(0);

/// A queue is made. With one queue nothing is published.
pub(crate) fn queue_made() {
    QUEUES.fetch_add(1, Relaxed);
}

/// Whether more than one queue was made.
pub(super) fn are_several() -> bool {
    QUEUES.load(Relaxed) > 1
}

/// Whether any kernel was checked for races.
pub(crate) fn is_active() -> bool {
    ACTIVE.load(Relaxed)
}

pub(crate) fn activate() {
    ACTIVE.store(true, Relaxed);
}

/// The work that the program has seen completed.
pub(super) fn all_seen() -> Ticks {
    SEEN.get()
}

/// The clocks of fences, by their numbers.
static FENCES: Mutex<BTreeMap<u64, Ticks>> = Mutex::new(BTreeMap::new());
/// The numbers of encoders are above those of queues.
static ENCODERS: AtomicU64 = AtomicU64::new(1 << 40);

/// An encoder of a command buffer that uses memory whose hazards the program tracks itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EncoderOrder {
    /// Its first command.
    pub(crate) start: usize,
    /// The encoders that it comes after, which run earlier, by their places in the list.
    pub(crate) after: Vec<usize>,
    /// The fences that it waits for, and those that it updates.
    pub(crate) waits: Vec<u64>,
    pub(crate) updates: Vec<u64>,
}

/// An encoder that uses memory whose hazards the program tracks itself: what it does there is ordered by fences, events and
/// tracked memory only.
#[derive(Debug)]
pub(super) struct Encoder {
    /// It stands for a queue.
    pub(super) number: u64,
    /// What is ordered before it.
    pub(super) clock: Ticks,
    /// The addresses of that memory.
    pub(super) untracked: Vec<Range<u64>>,
}

impl Encoder {
    /// An encoder after what the clocks say, which waits for fences.
    pub(super) fn new<'a>(
        after: impl Iterator<Item = &'a Ticks>,
        waits: &[u64],
        untracked: &[Range<u64>],
    ) -> Self {
        let mut clock = Ticks::default();
        after.for_each(|ticks| clock.join(ticks));
        let fences = lock(&FENCES);
        waits.iter().filter_map(|fence| fences.get(fence)).for_each(|ticks| clock.join(ticks));
        drop(fences);
        let number = ENCODERS.fetch_add(1, Relaxed);
        Self { number, clock, untracked: untracked.to_vec() }
    }

    /// The clock of what comes after all of it; the fences get it, too.
    pub(super) fn done(&self, updates: &[u64]) -> Ticks {
        let mut done = self.clock.clone();
        done.add(self.number, u64::MAX);
        let mut fences = lock(&FENCES);
        updates.iter().for_each(|&fence| fences.entry(fence).or_default().join(&done));
        done
    }
}

/// Accesses that are published together: those of launches that nothing orders.
pub(super) struct Batch {
    /// The queue, or of untracked memory the encoder.
    pub(super) queue: u64,
    /// The queue that it ran in.
    pub(super) of: u64,
    pub(super) tick: u64,
    pub(super) sites: Vec<Site>,
    pub(super) launches: Vec<Run>,
}

impl Batch {
    pub(super) fn new((queue, of): (u64, u64), sites: Vec<Site>, launches: Vec<Run>) -> Arc<Self> {
        let tick = TICKS.fetch_add(1, Relaxed) + 1;
        Arc::new(Self { queue, of, tick, sites, launches })
    }
}

/// An access that was published.
struct Published {
    batch: Arc<Batch>,
    record: Record,
}

/// The published accesses, by the number of the four bytes; a page of them at a time, so that freed memory is found.
static PUBLISHED: Mutex<BTreeMap<u64, FastMap<u64, Vec<Published>>>> = Mutex::new(BTreeMap::new());

/// Four-byte cells of a page.
const CELLS: u64 = 1024;

/// Publishes accesses, and calls `found` for each earlier one of another queue that one races with: the earlier one first.
pub(super) fn publish(
    batch: &Arc<Batch>,
    clock: &Ticks,
    records: impl Iterator<Item = (u64, Record)>,
    mut found: impl FnMut(&Batch, &Record, &Record, u64),
) {
    let mut published = lock(&PUBLISHED);
    for (cell, record) in records {
        let page = published.entry(cell / CELLS).or_default();
        // Most cells have one access.
        let here = page.entry(cell).or_insert_with(|| Vec::with_capacity(1));
        for old in here.iter() {
            let ordered = old.batch.queue == batch.queue || clock.is_after(&old.batch);
            if !ordered && old.record.mask & record.mask != 0 && old.record.conflicts(&record) {
                found(&old.batch, &old.record, &record, cell * 4);
            }
        }
        // An earlier access that is ordered before this one and no stronger is implied: what races with it races with this one, too.
        here.retain(|old| {
            let ordered = old.batch.queue == batch.queue || clock.is_after(&old.batch);
            !(ordered && record.is_as_strong_as(&old.record))
        });
        drop_implied_writes(here, batch, clock, &record);
        here.push(Published { batch: Arc::clone(batch), record });
    }
}

/// Of earlier writes that are ordered before a new one, and wrote other values, the last one of a queue implies those before it: a
/// write that has the value of the new one has not that of the last one. So a cell has few records, however often it is written.
fn drop_implied_writes(here: &mut Vec<Published>, batch: &Batch, clock: &Ticks, new: &Record) {
    if new.kind != AccessKind::Write {
        return;
    }
    let mut last: Vec<(u64, u8)> = Vec::new();
    for index in (0..here.len()).rev() {
        let Published { batch: of, record } = &here[index];
        let ordered = of.queue == batch.queue || clock.is_after(of);
        if !ordered || record.kind != AccessKind::Write || record.mask & !new.mask != 0 {
            continue;
        }
        match last.iter().any(|&(queue, mask)| queue == of.queue && record.mask & !mask == 0) {
            true => drop(here.remove(index)),
            false => last.push((of.queue, record.mask)),
        }
    }
}

/// How many accesses of an address are published.
#[cfg(test)]
pub(super) fn published_at(address: u64) -> usize {
    let cell = address / 4;
    lock(&PUBLISHED).get(&(cell / CELLS)).and_then(|page| page.get(&cell)).map_or(0, Vec::len)
}

/// Memory is freed: what is allocated there next is other memory.
pub(crate) fn forget(base: *const u8, bytes: usize) {
    if !is_active() || bytes == 0 {
        return;
    }
    let (first, last) = (base as u64 / 4, (base as u64 + bytes as u64 - 1) / 4);
    let mut published = lock(&PUBLISHED);
    let pages: Vec<u64> =
        published.range(first / CELLS..=last / CELLS).map(|page| *page.0).collect();
    for number in pages {
        if let Some(page) = published.get_mut(&number) {
            page.retain(|cell, _| !(first..=last).contains(cell));
            if page.is_empty() {
                published.remove(&number);
            }
        }
    }
}
