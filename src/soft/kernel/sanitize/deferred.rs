//! Accesses that are published, but not record by record: while no other queue uses the memory, they stay the stamps that they are.
//!
//! When another queue's accesses to the same memory may be at the same time, those of both are made records, there alone. What the program
//! has seen to be done is dropped as soon as all command buffers that were committed before that have ended: those committed later
//! come after it.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::queues::{Batch, Table, Ticks, is_seen, lock, table, try_table};
use super::shadow::{Record, resized};
use super::stamps::Planes;
use super::{Session, State, contains, meet};

/// The most launches that are deferred, and the bytes that they take, as far as there are several.
pub(super) const MOST: usize = 256;
const MOST_BYTES: usize = 1 << 31;

/// The accesses of launches that nothing orders.
pub(super) struct Deferred {
    batch: Arc<Batch>,
    /// The work that is ordered before them.
    clock: Ticks,
    /// The memory that they may have accessed.
    parts: Vec<Part>,
    /// Its shadow and its stamps.
    state: State,
    /// The program has seen that they are done before the commit with this number.
    seen: Option<u64>,
}

/// A range of addresses, and whether something there may have been written, once that is known.
#[derive(Clone)]
pub(super) struct Part {
    range: Range<u64>,
    is_written: OnceCell<bool>,
}

impl Part {
    pub(super) fn new(range: Range<u64>) -> Self {
        Self { range, is_written: OnceCell::new() }
    }

    pub(super) fn written(range: Range<u64>) -> Self {
        Self { range, is_written: true.into() }
    }

    fn is_written(&self, state: &State) -> bool {
        *self.is_written.get_or_init(|| state.writes(&self.range))
    }

    /// What remains without a range.
    fn without(&self, other: &Range<u64>) -> impl Iterator<Item = Self> {
        let Range { start, end } = self.range;
        let parts = [start..end.min(other.start), start.max(other.end)..end];
        let parts = parts.into_iter().filter(|part| part.start < part.end);
        parts.map(|range| Self { range, is_written: self.is_written.clone() })
    }
}

/// The next commit's number, and those of the command buffers that have not ended.
static COMMITS: Mutex<(u64, BTreeSet<u64>)> = Mutex::new((1, BTreeSet::new()));

/// The number of a command buffer's commit while that has not ended; 0 if there is none.
#[derive(Debug, Default)]
pub(super) struct Commit(AtomicU64);

impl Commit {
    /// Before it is asked what the program has seen.
    pub(super) fn begin(&self) {
        let mut commits = lock(&COMMITS);
        let number = commits.0;
        commits.0 += 1;
        commits.1.insert(number);
        self.0.store(number, Relaxed);
    }

    pub(super) fn end(&self) {
        // Without checks there is none, and nothing to write.
        if self.0.load(Relaxed) != 0 {
            lock(&COMMITS).1.remove(&self.0.swap(0, Relaxed));
        }
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.end();
    }
}

/// What two ranges have in common.
pub(super) fn common(one: &Range<u64>, other: &Range<u64>) -> Option<Range<u64>> {
    meet(one, other).then(|| one.start.max(other.start)..one.end.min(other.end))
}

impl Deferred {
    pub(super) fn new(batch: Arc<Batch>, clock: Ticks, parts: Vec<Part>, state: State) -> Self {
        Self { batch, clock, parts, state, seen: None }
    }

    /// Takes the records of a range of addresses, which is no part of it from then on.
    pub(super) fn take(&mut self, range: &Range<u64>) -> Vec<(u64, Record)> {
        let Self { batch, parts, state, .. } = self;
        let cells = state.in_cells(range);
        state.unstamp(&cells, 0);
        let records = resized(state.device.take_range(&cells), state.shift, 0);
        let is_shared = |&(cell, record): &(u64, Record)| {
            let known = parts.iter().any(|part| meet(&part.range, &(cell * 4..cell * 4 + 4)));
            known && batch.is_shared(cell, &record)
        };
        let records = records.into_iter().filter(is_shared).collect();
        self.forget(range);
        records
    }

    fn forget(&mut self, range: &Range<u64>) {
        if self.parts.iter().any(|part| meet(&part.range, range)) {
            self.parts = self.parts.iter().flat_map(|part| part.without(range)).collect();
        }
    }

    /// The bytes that it takes.
    fn bytes(&self) -> usize {
        let State { planes, device, events, .. } = &self.state;
        planes.iter().map(Planes::memory).sum::<usize>() + device.memory() + events.memory()
    }
}

impl Table {
    /// Publishes the records of deferred accesses.
    fn spread(&mut self, number: usize, range: &Range<u64>) {
        let deferred = &mut self.deferred[number];
        let records = deferred.take(range);
        let (batch, clock) = (Arc::clone(&deferred.batch), deferred.clock.clone());
        // What they race with was found when they were deferred, or is found by what comes later.
        self.publish(&batch, &clock, records.into_iter(), |_, _, _, _| {});
    }

    /// Publishes the records of deferred accesses that are not ordered before a batch with this clock, to memory that either may write to:
    /// where they are. `state` is that of the batch's memory.
    pub(super) fn spread_for(
        &mut self,
        batch: &Batch,
        clock: &Ticks,
        parts: &[Part],
        state: &State,
    ) -> Vec<Range<u64>> {
        let mut spread = Vec::new();
        for number in 0..self.deferred.len() {
            let old = &self.deferred[number];
            if old.batch.queue == batch.queue || clock.is_after(&old.batch) {
                continue;
            }
            let pairs = old.parts.iter().flat_map(|one| parts.iter().map(move |new| (one, new)));
            let shared = pairs.filter_map(|(one, new)| {
                let range = common(&one.range, &new.range)?;
                (one.is_written(&old.state) || new.is_written(state)).then_some(range)
            });
            let shared: Vec<_> = shared.collect();
            shared.iter().for_each(|range| self.spread(number, range));
            spread.extend(shared);
        }
        self.drop_empty();
        spread
    }

    /// Drops what has no memory left.
    fn drop_empty(&mut self) {
        self.deferred.retain(|one| !one.parts.is_empty());
    }

    /// Drops what is ordered before all that may come.
    fn drop_seen(&mut self) {
        let news = self.deferred.iter_mut().filter(|one| one.seen.is_none() && is_seen(&one.batch));
        let news: Vec<_> = news.collect();
        // Whoever commits from here on asks what was seen after this.
        let (next, oldest) = {
            let commits = lock(&COMMITS);
            (commits.0, commits.1.first().copied().unwrap_or(commits.0))
        };
        news.into_iter().for_each(|one| one.seen = Some(next));
        self.deferred.retain(|one| one.seen.is_none_or(|seen| oldest < seen));
    }

    /// Keeps the accesses; if there are too many, the records of the oldest are published.
    pub(super) fn keep(&mut self, deferred: Deferred) {
        if deferred.parts.is_empty() {
            return;
        }
        self.deferred.push(deferred);
        let bytes_of = |all: &[Deferred]| all.iter().map(Deferred::bytes).sum::<usize>();
        if self.deferred.len() > MOST || bytes_of(&self.deferred) > MOST_BYTES {
            self.drop_seen();
        }
        let mut bytes = bytes_of(&self.deferred);
        while self.deferred.len() > MOST || bytes > MOST_BYTES && self.deferred.len() > 1 {
            bytes -= self.deferred[0].bytes();
            let parts = self.deferred[0].parts.clone();
            parts.iter().for_each(|part| self.spread(0, &part.range));
            self.deferred.remove(0);
        }
    }

    /// Memory is freed.
    pub(super) fn forget_deferred(&mut self, memory: &Range<u64>) {
        self.deferred.iter_mut().for_each(|one| one.forget(memory));
        self.drop_empty();
    }

    /// Publishes the records of all that is deferred at an address.
    #[cfg(test)]
    pub(super) fn spread_at(&mut self, address: u64) {
        for number in 0..self.deferred.len() {
            self.spread(number, &(address..address + 4));
        }
        self.drop_empty();
    }
}

/// How many deferred batches have accesses to an address.
#[cfg(test)]
pub(super) fn deferred_at(address: u64) -> usize {
    let is_there = |one: &&Deferred| one.parts.iter().any(|part| part.range.contains(&address));
    table().deferred.iter().filter(is_there).count()
}

/// Drops what is ordered before all that may come.
pub(super) fn collect() {
    if let Some(mut table) = try_table() {
        table.drop_seen();
    }
}

impl State {
    /// The device memory that it has records or stamps for.
    fn parts(&self) -> Vec<Part> {
        let planes: Vec<Range<u64>> = self.planes.iter().map(Planes::range).collect();
        let is_apart = |page: &Range<u64>| !planes.iter().any(|range| contains(range, page));
        let pages = self.device.pages().filter(is_apart);
        let addresses = |range: Range<u64>| range.start >> self.shift..range.end >> self.shift;
        let all = planes.iter().cloned().chain(pages).map(addresses).map(Part::new).collect();
        // Bytes that were pushed are the launch's own, and their memory is used again.
        let arguments = self.launches.iter().flat_map(|run| &run.arguments);
        let own = arguments.filter(|argument| !argument.shared);
        own.fold(all, |all: Vec<Part>, own| {
            let own = own.base..own.base + own.bytes;
            all.iter().flat_map(|part| part.without(&own)).collect()
        })
    }

    /// Whether something in a range of addresses was written, or may have been.
    fn writes(&self, range: &Range<u64>) -> bool {
        let cells = self.in_cells(range);
        let stamped = |planes: &Planes| planes.is_written(&cells, self.events.start);
        self.planes.iter().any(stamped) || self.device.is_written(&cells)
    }

    /// Takes the device memory with all that it needs; the sites and their numbers stay.
    fn take_memory(&mut self) -> Self {
        let mut taken = Self::default();
        taken.shift = self.shift;
        taken.events = self.events.take();
        std::mem::swap(&mut taken.device, &mut self.device);
        std::mem::swap(&mut taken.planes, &mut self.planes);
        taken
    }
}

impl Session {
    /// Publishes all that is in device memory; what no other queue may race with is deferred.
    pub(super) fn defer(&self, state: &mut State) {
        let parts = state.parts();
        if parts.is_empty() {
            return;
        }
        let of = (self.queue, self.queue);
        let batch = Batch::new(of, state.sites.clone(), state.launches.clone());
        let clock = self.clock.get();
        let mut new = Deferred::new(Arc::clone(&batch), clock, parts, state.take_memory());
        self.clock.add(self.queue, batch.tick);
        let mut table = table();
        let mut shared = table.spread_for(&batch, &new.clock, &new.parts, &new.state);
        shared.extend(new.parts.iter().flat_map(|part| table.recorded(&part.range)));
        for range in &shared {
            let records = new.take(range);
            self.compare(state, &mut table, (&batch, &new.clock), records);
        }
        table.keep(new);
    }
}
