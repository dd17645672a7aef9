//! The present uses of each piece of memory, and the registry that finds them by address.

use super::flight::{FlightRef, next_number};
use super::lock;
use super::residents::Encoded;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, Weak};

/// The present uses of one piece of memory.
#[derive(Debug)]
pub(crate) struct Record {
    /// The stamp of the last list that this record was added to: its serial and the position.
    pub(super) stamp: AtomicU64,
    /// An address by which the registry finds it.
    key: usize,
    /// Shared with the registry, which reads what is in flight while the record is being dropped.
    state: Arc<Mutex<State>>,
    /// Whether there are flights in the state: most questions about them need no lock.
    has_flights: AtomicBool,
    /// Whether command buffers are listed in the state while they are encoded.
    lists_encoded: AtomicBool,
    /// Whether there are residency sets in the state.
    has_sets: AtomicBool,
    /// Whether a message may have allowed that the contents are discarded.
    is_purgeable: AtomicBool,
    /// In the low half, how many footprints and residency sets refer to it; in the high half, how often that
    /// changed. All other references are those of command buffers that were encoded and not submitted.
    footprints: AtomicU64,
}

/// A change of [`Record::footprints`].
const CHANGE: u64 = 1 << 32;

#[derive(Debug, Default)]
struct State {
    views: Vec<View>,
    flights: Vec<InFlight>,
    /// When command buffers that are encoded and not submitted began to use the memory: numbers of the next flight.
    encoded: Vec<u64>,
    /// The command buffers of the residency sets that have the memory, once for each member that overlaps it.
    sets: Vec<Arc<Encoded>>,
}

/// A view from the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    range: Range<usize>,
    writes: bool,
}

#[derive(Clone, Debug)]
pub(super) struct InFlight {
    flight: FlightRef,
    writes: bool,
    /// Only a residency set that the command buffer uses has the memory.
    by_set: bool,
    /// When the command buffer began to use the memory, or the set; 0 if that is not known, because it began before such
    /// times were listed.
    begun: u64,
}

/// How a command buffer uses a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct UseKind {
    pub(super) writes: bool,
    pub(super) by_set: bool,
    /// When it began: what [`Record::begin`] returned, or the time of the set's use.
    pub(super) begun: u64,
}

/// Which command buffers in flight a question is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Users {
    All,
    /// Those committed before this one.
    Before(u64),
    /// All that were encoded with the memory, and those that have used a residency set with it since before this number.
    BoundOrBefore(u64),
}

impl Users {
    fn include(self, one: &InFlight) -> bool {
        match self {
            Self::All => true,
            Self::Before(number) => one.flight.number < number,
            Self::BoundOrBefore(number) => !one.by_set || one.begun < number,
        }
    }
}

/// Why memory cannot be used now.
#[derive(Debug)]
pub(crate) enum Busy {
    /// A view from the CPU is open, for writing or for reading.
    View {
        /// Whether it writes.
        writes: bool,
    },
    /// A command buffer that has not ended uses it.
    Flight {
        /// The command buffer.
        flight: FlightRef,
        /// Whether it writes.
        writes: bool,
    },
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View { writes } => {
                write!(f, "it is {} already", if *writes { "being written" } else { "being read" })
            }
            Self::Flight { writes, .. } => {
                let verb = if *writes { "may write" } else { "reads" };
                write!(
                    f,
                    "a command buffer that was submitted and has not completed {verb} it: wait for the \
                     command buffer, or use the method that does, whose name ends in `_completed`"
                )
            }
        }
    }
}

/// Flights that have ended, to be dropped after all locks are released: dropping the last reference to a command buffer
/// may run any code. A few need no allocation, so that a loop that waits for each of its steps needs none.
#[derive(Debug, Default)]
pub(super) struct EndedFlights {
    few: [Option<InFlight>; 4],
    more: Vec<InFlight>,
}

impl EndedFlights {
    fn add(&mut self, one: InFlight) {
        match self.few.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(one),
            None => self.more.push(one),
        }
    }
}

impl Record {
    /// Removes flights that have ended.
    fn prune(&self, state: &mut State, ended: &mut EndedFlights) {
        let mut index = 0;
        while let Some(one) = state.flights.get(index) {
            if one.flight.has_ended() {
                ended.add(state.flights.swap_remove(index));
            } else {
                index += 1;
            }
        }
        if state.flights.is_empty() {
            self.has_flights.store(false, Release);
        }
    }

    /// Adds flights that another record had.
    fn adopt(&self, flights: &mut Vec<InFlight>) {
        let mut state = lock(&self.state);
        state.flights.append(flights);
        self.has_flights.store(!state.flights.is_empty(), Release);
    }

    /// Counts a footprint, or a residency set, that refers to the record. It has its reference already, so that the
    /// count never exceeds the references.
    pub(super) fn count(&self) {
        self.footprints.fetch_add(CHANGE + 1, AcqRel);
    }

    /// Called before such a footprint drops its reference.
    pub(super) fn discount(&self) {
        self.footprints.fetch_add(CHANGE - 1, AcqRel);
    }

    /// Adds a reference of a residency set to the memory.
    pub(super) fn add_set(&self, set: &Arc<Encoded>) {
        lock(&self.state).sets.push(Arc::clone(set));
        self.has_sets.store(true, Release);
    }

    /// Removes one reference of a residency set to the memory.
    pub(super) fn remove_set(&self, set: &Arc<Encoded>) {
        let mut state = lock(&self.state);
        if let Some(index) = state.sets.iter().position(|one| Arc::ptr_eq(one, set)) {
            state.sets.swap_remove(index);
        }
        self.has_sets.store(!state.sets.is_empty(), Release);
    }

    /// Whether a command buffer that was not submitted uses, since before a number was taken, a residency set that has the
    /// memory.
    fn is_in_encoded_set(&self, number: u64) -> bool {
        self.has_sets.load(Acquire)
            && lock(&self.state).sets.iter().any(|set| set.is_used_before(number))
    }

    /// A command buffer begins to use the memory. Returns when, or 0 if that is not listed.
    #[inline]
    pub(super) fn begin(&self) -> u64 {
        if self.lists_encoded.load(Relaxed) { self.list_encoded() } else { 0 }
    }

    #[cold]
    fn list_encoded(&self) -> u64 {
        let mut state = lock(&self.state);
        let begun = next_number();
        state.encoded.push(begun);
        begun
    }

    /// A command buffer that is listed is no longer encoded: it was submitted, or dropped.
    #[cold]
    pub(super) fn end(&self, begun: u64) {
        let mut state = lock(&self.state);
        if let Some(index) = state.encoded.iter().position(|&one| one == begun) {
            state.encoded.swap_remove(index);
        }
    }

    /// Whether a command buffer was encoded with the memory and not submitted yet; by the references, so that it may be
    /// true while another thread makes or drops a footprint.
    fn is_encoded(self: &Arc<Self>) -> bool {
        self.has_more_users_than(0)
    }

    /// Whether more command buffers than a number were encoded with the memory and not submitted yet.
    fn has_more_users_than(self: &Arc<Self>, number: usize) -> bool {
        loop {
            let footprints = self.footprints.load(Acquire);
            let references = Arc::strong_count(self) as u64;
            std::sync::atomic::fence(Acquire);
            if self.footprints.load(Acquire) == footprints {
                return references > footprints % CHANGE + number as u64;
            }
        }
    }

    /// Whether a command buffer that began to use the memory, or a residency set that has it, before a number was taken is
    /// encoded, or in flight.
    fn is_used_before(self: &Arc<Self>, number: u64) -> bool {
        let state = lock(&self.state);
        // Those that are not listed may have begun at any time. In this order: a command buffer that another thread submits
        // enters its flight, for which it needs the lock, before it drops its reference.
        self.has_more_users_than(state.encoded.len())
            || state.encoded.iter().any(|&begun| begun < number)
            || state.sets.iter().any(|set| set.is_used_before(number))
            || state.flights.iter().any(|one| one.begun < number && !one.flight.has_ended())
    }

    fn open(&self, view: &View) -> Result<(), Busy> {
        let mut ended = EndedFlights::default();
        let mut state = lock(&self.state);
        self.prune(&mut state, &mut ended);
        let overlaps = |other: &&View| {
            (view.writes || other.writes)
                && view.range.start < other.range.end
                && other.range.start < view.range.end
        };
        let busy = if let Some(other) = state.views.iter().find(overlaps) {
            Err(Busy::View { writes: other.writes })
        } else if let Some(InFlight { flight, writes, .. }) =
            state.flights.iter().find(|one| view.writes || one.writes)
        {
            Err(Busy::Flight { flight: flight.clone(), writes: *writes })
        } else {
            state.views.push(view.clone());
            Ok(())
        };
        drop(state);
        drop(ended);
        busy
    }

    fn close(&self, view: &View) {
        let mut state = lock(&self.state);
        if let Some(index) = state.views.iter().position(|one| one == view) {
            state.views.swap_remove(index);
        }
    }

    /// Puts a command buffer in flight, unless a view from the CPU forbids it. Flights that have ended are moved to
    /// `ended`; the caller drops them after it has released its locks.
    pub(super) fn submit(
        &self,
        flight: &FlightRef,
        UseKind { writes, by_set, begun }: UseKind,
        ended: &mut EndedFlights,
    ) -> Result<(), Busy> {
        let mut state = lock(&self.state);
        if let Some(view) = state.views.iter().find(|view| writes || view.writes) {
            return Err(Busy::View { writes: view.writes });
        }
        // The longer the list, the less often it is searched.
        match state.flights.len() {
            0 => {}
            n if n < 8 || n.is_power_of_two() => self.prune(&mut state, ended),
            _ => {}
        }
        state.flights.push(InFlight { flight: flight.clone(), writes, by_set, begun });
        self.has_flights.store(true, Release);
        Ok(())
    }
}

impl Drop for Record {
    /// Passes flights that have not ended on to the next record of the same memory.
    fn drop(&mut self) {
        let mut ended = EndedFlights::default();
        self.prune(&mut lock(&self.state), &mut ended);
        let mut registry = lock(&REGISTRY);
        let Registry { spans, late } = &mut *registry;
        let mut heir = None;
        if let Some((&start, span)) = spans.range_mut(..=self.key).next_back() {
            span.records.retain(|known| !Arc::ptr_eq(&known.state, &self.state));
            // Empty if a footprint that was made meanwhile has taken them.
            let mut flights = std::mem::take(&mut lock(&self.state).flights);
            heir = span.records.iter().find_map(|known| known.record.upgrade());
            match &heir {
                Some(heir) => heir.adopt(&mut flights),
                None => span.late.append(&mut flights),
            }
            *late |= !span.late.is_empty();
            if span.is_unused() {
                spans.remove(&start);
            }
        }
        // Last references are dropped without the lock.
        drop(registry);
        drop((ended, heir));
    }
}

/// Addresses from a start to `end`, and the records of the memory there.
struct Span {
    end: usize,
    /// A record removes itself when it is dropped.
    records: Vec<Known>,
    /// Command buffers that were in flight when the last wrapper was dropped.
    late: Vec<InFlight>,
}

impl Span {
    fn is_unused(&self) -> bool {
        self.records.is_empty() && self.late.is_empty()
    }
}

/// The registry's entry for a record.
struct Known {
    record: Weak<Record>,
    state: Arc<Mutex<State>>,
}

/// All memory with a record.
struct Registry {
    /// By their starts. They do not overlap.
    spans: BTreeMap<usize, Span>,
    /// Whether a span may have entries in `late`.
    late: bool,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { spans: BTreeMap::new(), late: false });

impl Registry {
    /// Removes flights that have ended, and spans that are then empty. The caller drops the flights after it has
    /// released the lock.
    fn sweep(&mut self) -> Vec<InFlight> {
        let mut ended = Vec::new();
        // There are some only if a program drops resources in flight.
        if std::mem::take(&mut self.late) {
            self.spans.retain(|_, span| {
                let (done, rest) = span.late.drain(..).partition(|one| one.flight.has_ended());
                ended.extend::<Vec<_>>(done);
                span.late = rest;
                self.late |= !span.late.is_empty();
                !span.is_unused()
            });
        }
        ended
    }
}

/// The records of a resource's memory. There are several if it overlaps memory that was registered as separate
/// pieces before.
#[derive(Debug)]
pub(crate) struct Footprint {
    pub(super) first: Arc<Record>,
    pub(super) rest: Box<[Arc<Record>]>,
}

impl Clone for Footprint {
    fn clone(&self) -> Self {
        Self { first: Arc::clone(&self.first), rest: self.rest.clone() }.counted()
    }
}

impl Drop for Footprint {
    fn drop(&mut self) {
        self.records().for_each(|record| record.discount());
    }
}

impl Footprint {
    /// The records of a range of addresses that is not empty. A resource without an address of its own, such as a
    /// heap, uses the address of its object.
    pub(crate) fn of(range: Range<usize>) -> Self {
        let mut registry = lock(&REGISTRY);
        let ended = registry.sweep();
        let spans = &mut registry.spans;
        let (mut start, mut end) = (range.start, range.end);
        let (mut records, mut late) = (Vec::<Arc<Record>>::new(), Vec::new());
        while let Some((&at, span)) = spans.range(..range.end).next_back()
            && span.end > range.start
            && let Some(span) = spans.remove(&at)
        {
            (start, end) = (start.min(at), end.max(span.end));
            for known in span.records {
                match known.record.upgrade() {
                    Some(record) => records.push(record),
                    // Another thread is dropping it, and may not have passed on its flights yet.
                    None => late.append(&mut lock(&known.state).flights),
                }
            }
            late.extend(span.late);
        }
        if records.is_empty() {
            let state = Arc::default();
            let key = range.start;
            let (stamp, footprints) = (AtomicU64::new(0), AtomicU64::new(0));
            let [has_flights, lists_encoded, has_sets, is_purgeable] =
                [false; 4].map(AtomicBool::new);
            records.push(Arc::new(Record {
                stamp,
                key,
                state,
                has_flights,
                lists_encoded,
                has_sets,
                is_purgeable,
                footprints,
            }));
        }
        records[0].adopt(&mut late);
        let known = |record: &Arc<Record>| Known {
            record: Arc::downgrade(record),
            state: Arc::clone(&record.state),
        };
        let known = records.iter().map(known).collect();
        spans.insert(start, Span { end, records: known, late });
        drop(registry);
        drop(ended);
        let first = records.swap_remove(0);
        Self { first, rest: records.into() }.counted()
    }

    fn counted(self) -> Self {
        self.records().for_each(|record| record.count());
        self
    }

    /// Whether a command buffer that was submitted and has not completed uses the memory.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.records().any(|record| {
            record.has_flights.load(Acquire) && {
                let mut ended = EndedFlights::default();
                let mut state = lock(&record.state);
                record.prune(&mut state, &mut ended);
                let busy = !state.flights.is_empty();
                drop(state);
                drop(ended);
                busy
            }
        })
    }

    /// Whether such a command buffer does. It removes none that has ended, so that nothing is dropped: the caller may
    /// hold locks.
    pub(crate) fn is_used_by(&self, users: Users) -> bool {
        self.records().any(|record| {
            record.has_flights.load(Acquire) && {
                let state = lock(&record.state);
                state.flights.iter().any(|one| users.include(one) && !one.flight.has_ended())
            }
        })
    }

    /// Whether a command buffer was encoded with the memory and not submitted yet. It may also return true while
    /// another thread makes or drops a footprint.
    pub(crate) fn is_encoded(&self) -> bool {
        self.records().any(Record::is_encoded)
    }

    /// Whether a command buffer that was not submitted uses, since before a number was taken, a residency set that has the
    /// memory.
    pub(crate) fn is_in_encoded_set(&self, number: u64) -> bool {
        self.records().any(|record| record.is_in_encoded_set(number))
    }

    /// From now on command buffers are listed while they are encoded with the memory.
    pub(crate) fn list_encoded(&self) {
        self.records().for_each(|record| record.lists_encoded.store(true, Release));
    }

    /// Whether a command buffer that began to use the memory before a number was taken is encoded and not submitted, or
    /// was submitted and has not completed. One that is not listed counts.
    pub(crate) fn is_used_before(&self, number: u64) -> bool {
        self.records().any(|record| record.is_used_before(number))
    }

    /// A message may allow that the contents are discarded.
    pub(crate) fn note_purgeable(&self) {
        self.first.is_purgeable.store(true, Release);
    }

    /// Whether a message may have allowed that since the last call.
    #[inline]
    pub(crate) fn take_purgeable(&self) -> bool {
        let flag = &self.first.is_purgeable;
        flag.load(Acquire) && flag.swap(false, AcqRel)
    }

    /// Waits until no such command buffer that was submitted uses the memory.
    pub(crate) fn wait(&self, users: Users) {
        for record in self.records() {
            loop {
                let mut ended = EndedFlights::default();
                let mut state = lock(&record.state);
                record.prune(&mut state, &mut ended);
                let next = state.flights.iter().find(|one| users.include(one));
                let next = next.map(|one| one.flight.clone());
                drop(state);
                drop(ended);
                let Some(flight) = next else { break };
                flight.wait();
            }
        }
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Opens a view from the CPU of a range of addresses.
    pub(crate) fn view(&self, range: Range<usize>, writes: bool) -> Result<ViewGuard<'_>, Busy> {
        let view = View { range, writes };
        for (opened, record) in self.records().enumerate() {
            if let Err(busy) = record.open(&view) {
                self.records().take(opened).for_each(|record| record.close(&view));
                return Err(busy);
            }
        }
        Ok(ViewGuard { footprint: self, view })
    }
}

/// An open view from the CPU; closed on drop.
#[derive(Debug)]
pub(crate) struct ViewGuard<'a> {
    footprint: &'a Footprint,
    view: View,
}

impl Drop for ViewGuard<'_> {
    fn drop(&mut self) {
        self.footprint.records().for_each(|record| record.close(&self.view));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_exclude_each_other_where_their_bytes_overlap() {
        let memory = [0u64; 4];
        let start = memory.as_ptr().addr();
        let footprint = Footprint::of(start..start + 32);
        let opens = |range: Range<usize>, writes| {
            footprint.view(start + range.start..start + range.end, writes).is_ok()
        };
        for written in [true, false] {
            let _open = footprint.view(start + 8..start + 16, written);
            for writes in [true, false] {
                let free = [0..8, 16..24, 7..8, 16..17].map(|range| opens(range, writes));
                assert_eq!(free, [true; 4], "beside it");
                let apart = !written && !writes;
                let used = [0..9, 15..24, 8..16, 8..9, 15..16, 0..32, 10..12];
                assert_eq!(used.map(|range| opens(range, writes)), [apart; 7], "in it");
            }
        }
    }
}
