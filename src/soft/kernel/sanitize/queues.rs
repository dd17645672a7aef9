//! Races between command buffers of different queues, which only events and the program's own waits order.
//!
//! When the accesses of a command buffer are ordered before all that follows in it, they are *published*: they get the next
//! tick of the process, and stay until a later access to the same bytes that is ordered after them implies them, or the memory
//! is freed. As long as no other queue uses the memory, they stay stamps ([`Deferred`]). [`Ticks`] say up to which tick of each queue everything is ordered before what has them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use super::deferred::{Deferred, collect, common};
use super::report::launch_of;
use super::shadow::Record;
use super::{Run, Site};
use crate::soft::ir::AccessKind;
use crate::soft::ir::hash::FastMap;
use crate::soft::sorted::SortedMap;

/// A vector clock: the work that comes before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    /// For each queue the tick up to which everything that it did does.
    queues: SortedMap<u64, u64>,
    /// Encoders, by number: the start of each range of them, and its end. What is done is soon one range.
    encoders: SortedMap<u64, u64>,
}

impl Ticks {
    const NONE: Self = Self { queues: SortedMap::new(), encoders: SortedMap::new() };

    /// Work that comes before `other` comes before this, too.
    fn join(&mut self, other: &Self) {
        other.queues.iter().for_each(|&(queue, tick)| self.add(queue, tick));
        other.encoders.iter().for_each(|&(start, end)| self.add_encoders(start, end));
    }

    fn add(&mut self, queue: u64, tick: u64) {
        if queue >= FIRST_ENCODER {
            return self.add_encoders(queue, queue + 1);
        }
        let known = self.queues.get_or_insert_with(queue, || 0);
        *known = tick.max(*known);
    }

    fn add_encoders(&mut self, mut start: u64, mut end: u64) {
        // With the ranges that it meets it is one range.
        while let Some(&(from, to)) = self.encoders.last_up_to(&end)
            && to >= start
        {
            if from <= start && end <= to {
                return;
            }
            self.encoders.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        self.encoders.insert(start, end);
    }

    pub(super) fn is_after(&self, batch: &Batch) -> bool {
        let queue = batch.queue;
        if queue >= FIRST_ENCODER {
            return self.encoders.last_up_to(&queue).is_some_and(|&(_, end)| queue < end);
        }
        self.queues.get(&queue).is_some_and(|&tick| tick >= batch.tick)
    }
}

/// A clock that threads share: that of an event, or of a queue. It is made when something comes before it, so that programs without
/// checks pay nothing for it.
#[derive(Debug, Default)]
pub(crate) struct SharedClock(OnceLock<Box<Mutex<Ticks>>>);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedClock {
    pub(super) fn get(&self) -> Ticks {
        self.0.get().map_or(Ticks::NONE, |ticks| lock(ticks).clone())
    }

    fn ticks(&self) -> MutexGuard<'_, Ticks> {
        lock(self.0.get_or_init(Box::default))
    }

    pub(super) fn join(&self, other: &Ticks) {
        self.ticks().join(other);
    }

    pub(super) fn add(&self, queue: u64, tick: u64) {
        self.ticks().add(queue, tick);
    }

    /// The program sees it: what it commits from now on comes after.
    pub(crate) fn seen(&self) {
        if is_active() {
            SEEN.join(&self.get());
            collect();
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
static SEEN: SharedClock = SharedClock(OnceLock::new());
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

/// Whether the program has seen that accesses are done.
pub(super) fn is_seen(batch: &Batch) -> bool {
    SEEN.ticks().is_after(batch)
}

/// The clocks of fences, by their numbers.
static FENCES: Mutex<SortedMap<u64, Ticks>> = Mutex::new(SortedMap::new());
/// The number of the first encoder: they are above those of queues.
pub(super) const FIRST_ENCODER: u64 = 1 << 40;
static ENCODERS: AtomicU64 = AtomicU64::new(FIRST_ENCODER);

/// A chain of encoders, each of which comes after the one before. Long chains have blocks of numbers, so that several chains which take
/// turns are few ranges.
struct Chain {
    encoders: u64,
    /// The end of the block that the last number is from.
    end: u64,
}

/// The chains, by the numbers of their last encoders; of too many, that with the lowest number ends here.
static CHAINS: Mutex<BTreeMap<u64, Chain>> = Mutex::new(BTreeMap::new());
const MOST_CHAINS: usize = 1024;
/// A block is a fraction of the chain's length. So shorter chains have none, and leave no numbers over when they end.
const BLOCK: u64 = 8;

/// A number for an encoder that comes after others: the next one of a chain of which the last encoder is among them.
fn next_encoder(before: &Ticks) -> u64 {
    let mut chains = lock(&CHAINS);
    let mut last = before.encoders.values().rev().map(|end| end - 1);
    let known = last.find_map(|last| Some((last, chains.remove(&last)?)));
    let (number, chain) = match known {
        Some((last, Chain { encoders, end })) if last + 1 < end => {
            (last + 1, Chain { encoders: encoders + 1, end })
        }
        known => {
            let encoders = known.map_or(0, |(_, chain)| chain.encoders);
            let block = (encoders / BLOCK).max(1);
            let start = ENCODERS.fetch_add(block, Relaxed);
            (start, Chain { encoders: encoders + 1, end: start + block })
        }
    };
    chains.insert(number, chain);
    if chains.len() > MOST_CHAINS {
        chains.pop_first();
    }
    number
}

/// The clocks of memory whose hazards Metal tracks, by the memory and the queue.
static TRACKED: Mutex<BTreeMap<(u64, u64), Uses>> = Mutex::new(BTreeMap::new());

/// The encoders that wrote to some memory, and all that used it.
#[derive(Default)]
struct Uses {
    writes: Ticks,
    all: Ticks,
}

/// An encoder of a command buffer, where memory is used whose hazards the program tracks itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EncoderOrder {
    /// Its first command.
    pub(crate) start: usize,
    /// The encoders that it comes after, which run earlier, by their indices in the list.
    pub(crate) after: Vec<usize>,
    /// The fences that it waits for, and those that it updates.
    pub(crate) waits: Vec<u64>,
    pub(crate) updates: Vec<u64>,
    /// The addresses of the tracked memory that it uses, and whether it may write there.
    pub(crate) memory: Vec<(u64, bool)>,
}

/// An encoder that uses memory whose hazards the program tracks itself: what it does there is ordered by fences, events and
/// tracked memory only.
#[derive(Debug)]
pub(super) struct Encoder {
    /// It stands for a queue.
    pub(super) number: u64,
    /// The work that is ordered before it.
    pub(super) clock: Ticks,
    /// The addresses of that memory, in order and apart.
    pub(super) untracked: Vec<Range<u64>>,
}

impl Encoder {
    /// An encoder of a queue after what the clocks say, and after the fences and the memory that its order names.
    pub(super) fn new<'a>(
        after: impl Iterator<Item = &'a Ticks>,
        queue: u64,
        order: &EncoderOrder,
        untracked: &[Range<u64>],
    ) -> Self {
        let mut clock = Ticks::default();
        after.for_each(|ticks| clock.join(ticks));
        let fences = lock(&FENCES);
        order.waits.iter().filter_map(|fence| fences.get(fence)).for_each(|it| clock.join(it));
        drop(fences);
        let tracked = lock(&TRACKED);
        for &(memory, writes) in &order.memory {
            if let Some(uses) = tracked.get(&(memory, queue)) {
                clock.join(if writes { &uses.all } else { &uses.writes });
            }
        }
        drop(tracked);
        let number = next_encoder(&clock);
        Self { number, clock, untracked: untracked.to_vec() }
    }

    /// The clock of what comes after all of it.
    pub(super) fn done(&self) -> Ticks {
        let mut done = self.clock.clone();
        done.add(self.number, u64::MAX);
        done
    }
}

/// All encoders of a command buffer have begun: their fences and their memory get the clocks of what comes after them. Not before, as a wait
/// for a fence that an encoder updates later may be executed after it.
pub(super) fn encoders_begun(queue: u64, all: &[EncoderOrder], done: &[Ticks]) {
    let (mut fences, mut tracked) = (lock(&FENCES), lock(&TRACKED));
    for (order, done) in all.iter().zip(done) {
        order
            .updates
            .iter()
            .for_each(|&fence| fences.get_or_insert_with(fence, Ticks::default).join(done));
        for &(memory, writes) in &order.memory {
            let uses = tracked.entry((memory, queue)).or_default();
            uses.all.join(done);
            if writes {
                uses.writes.join(done);
            }
        }
    }
}

/// Whether an address is in one of some ranges, which are in order and apart.
pub(super) fn is_in(ranges: &[Range<u64>], address: u64) -> bool {
    let above = ranges.partition_point(|range| range.start <= address);
    above.checked_sub(1).is_some_and(|at| address < ranges[at].end)
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

    /// Whether it is a batch of the same queue that is not earlier.
    fn follows(&self, other: &Self) -> bool {
        self.queue == other.queue && self.tick >= other.tick
    }

    /// Whether an access is not to bytes that were pushed, which are the launch's own.
    pub(super) fn is_shared(&self, cell: u64, record: &Record) -> bool {
        let run = &self.launches[launch_of(&self.launches, record.group)];
        run.argument_at(cell * 4).is_none_or(|argument| argument.shared)
    }
}

/// An access that was published.
struct Published {
    batch: Arc<Batch>,
    record: Record,
}

/// The accesses that are published.
#[derive(Default)]
pub(super) struct Table {
    /// By the number of the four bytes; a page of them at a time, so that freed memory is found.
    cells: BTreeMap<u64, FastMap<u64, Vec<Published>>>,
    /// Those that have no records yet, the oldest first.
    pub(super) deferred: Vec<Deferred>,
}

static PUBLISHED: Mutex<Table> = Mutex::new(Table { cells: BTreeMap::new(), deferred: Vec::new() });

/// The table, locked.
pub(super) fn table() -> MutexGuard<'static, Table> {
    lock(&PUBLISHED)
}

/// The same, if nothing has it.
pub(super) fn try_table() -> Option<MutexGuard<'static, Table>> {
    match PUBLISHED.try_lock() {
        Ok(table) => Some(table),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Four-byte cells of a page.
const CELLS: u64 = 1024;

impl Table {
    /// Publishes accesses, and calls `found` for each earlier one of another queue that one races with: the earlier one first.
    pub(super) fn publish(
        &mut self,
        batch: &Arc<Batch>,
        clock: &Ticks,
        records: impl Iterator<Item = (u64, Record)>,
        mut found: impl FnMut(&Batch, &Record, &Record, u64),
    ) {
        for (cell, record) in records {
            let page = self.cells.entry(cell / CELLS).or_default();
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
                let ordered = batch.follows(&old.batch) || clock.is_after(&old.batch);
                !(ordered && record.is_as_strong_as(&old.record))
            });
            drop_implied_writes(here, batch, clock, &record);
            // What was deferred comes before later accesses of its queue that have records already.
            let later =
                here.iter().position(|old| old.batch.follows(batch) && old.batch.tick > batch.tick);
            let new = Published { batch: Arc::clone(batch), record };
            here.insert(later.unwrap_or(here.len()), new);
        }
    }

    /// The parts of a range of addresses where records may be.
    pub(super) fn recorded(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let bytes = 4 * CELLS;
        let pages = self.cells.range(range.start / bytes..range.end.div_ceil(bytes));
        let pages = pages.map(|(page, _)| page * bytes..(page + 1) * bytes);
        joined(pages).into_iter().filter_map(|one| common(&one, range)).collect()
    }
}

/// Ranges in their order, as one where they meet or one begins at the end of another.
pub(super) fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

/// Drops earlier writes that are ordered before a new one and wrote other values, except for each queue's last one, which implies
/// them: a write of the new value does not write that one's. So a cell has few records, however often it is written.
fn drop_implied_writes(here: &mut Vec<Published>, batch: &Batch, clock: &Ticks, new: &Record) {
    if new.kind != AccessKind::Write {
        return;
    }
    let mut last: Vec<(u64, u8)> = Vec::new();
    for index in (0..here.len()).rev() {
        let Published { batch: of, record } = &here[index];
        let ordered = batch.follows(of) || clock.is_after(of);
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
    let (cell, mut table) = (address / 4, table());
    table.spread_at(address);
    table.cells.get(&(cell / CELLS)).and_then(|page| page.get(&cell)).map_or(0, Vec::len)
}

/// Memory is freed: what is allocated there next is other memory. The first is the address by which encoders name it.
pub(crate) fn forget(memory: u64, base: *const u8, bytes: usize) {
    if !is_active() {
        return;
    }
    let mut tracked = lock(&TRACKED);
    let keys: Vec<_> =
        tracked.range((memory, 0)..=(memory, u64::MAX)).map(|(&key, _)| key).collect();
    keys.iter().for_each(|key| drop(tracked.remove(key)));
    drop(tracked);
    if bytes == 0 {
        return;
    }
    let mut table = table();
    table.forget_deferred(&(base as u64..base as u64 + bytes as u64));
    let published = &mut table.cells;
    let (first, last) = (base as u64 / 4, (base as u64 + bytes as u64 - 1) / 4);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_that_are_done_are_one_range() {
        // Each number once, in an order that leaves gaps for long.
        let mut ticks = Ticks::default();
        for at in (0..1000).map(|at| at * 7 % 1000) {
            ticks.add(FIRST_ENCODER + at, u64::MAX);
        }
        assert_eq!(ticks.encoders, SortedMap::from_iter([(FIRST_ENCODER, FIRST_ENCODER + 1000)]));
        let mut other = Ticks::default();
        for at in [2, 5, 6, 1001] {
            other.add(FIRST_ENCODER + at, u64::MAX);
        }
        other.add(3, 7);
        other.add(3, 6);
        let is_after = |ticks: &Ticks, queue: u64| {
            let (sites, launches) = (Vec::new(), Vec::new());
            ticks.is_after(&Batch { queue, of: 0, tick: 7, sites, launches })
        };
        let found: Vec<u64> = (0..8).filter(|at| is_after(&other, FIRST_ENCODER + at)).collect();
        assert_eq!(found, [2, 5, 6]);
        assert!(is_after(&other, 3) && !is_after(&other, 2));
        ticks.join(&other);
        assert_eq!(ticks.encoders.len(), 2);
        ticks.add(FIRST_ENCODER + 1000, u64::MAX);
        assert_eq!(ticks.encoders, SortedMap::from_iter([(FIRST_ENCODER, FIRST_ENCODER + 1002)]));
    }

    /// Chains that take turns are a few ranges each, and short ones leave no numbers over.
    #[test]
    fn encoders_of_chains_have_numbers_side_by_side() {
        let mut chains = [(); 3].map(|()| Ticks::default());
        for turn in 0..3000 {
            let chain = &mut chains[turn % 3];
            let number = next_encoder(chain);
            assert!(!chain.encoders.values().any(|end| number < *end), "{number}");
            chain.add(number, u64::MAX);
        }
        for chain in &chains {
            let count: u64 = chain.encoders.iter().map(|(start, end)| end - start).sum();
            assert!(count == 1000 && chain.encoders.len() < 60, "{:?}", chain.encoders);
        }
    }

    #[test]
    fn addresses_are_found_in_ranges() {
        let ranges = [4..8, 10..11];
        let found: Vec<u64> = (0..20).filter(|&at| is_in(&ranges, at)).collect();
        assert_eq!(found, [4, 5, 6, 7, 10]);
        assert!(!is_in(&[], 0));
    }
}
