//! The present uses of each piece of memory, and the registry that finds them by address.

use super::count::{BiasedCount, Change};
use super::flight::{FlightRef, next_number};
use super::lock;
use super::residents::Encoded;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, Weak};

/// The present uses of one piece of memory.
#[derive(Debug)]
#[repr(C)] // The fields of a first use lie together.
pub(crate) struct Record {
    /// The stamp of the last list that this record was added to: its serial and the number of its entry.
    pub(super) stamp: AtomicU64,
    /// Whether command buffers are listed in the state while they are encoded.
    lists_encoded: AtomicBool,
    /// Whether there are flights in the state: most questions about them need no lock.
    has_flights: AtomicBool,
    /// Whether there are residency sets in the state.
    has_sets: AtomicBool,
    /// Whether a message may have allowed that the contents are discarded.
    is_purgeable: AtomicBool,
    /// Whether the registry keeps it; changed under the registry's lock.
    is_kept: AtomicBool,
    /// How many [`EncodedRef`]s there are.
    encoded: BiasedCount,
    /// How many [`RecordRef`]s there are. It has 64 bits, because safe code may leak any number of them.
    references: AtomicU64,
    /// An address by which the registry finds it.
    key: usize,
    /// Shared with the registry, which reads what is in flight while the record is being dropped.
    state: Arc<Mutex<State>>,
}

/// A reference of a resource or a residency set to the record of its memory. If a command buffer is encoded with the memory when
/// the last of them is dropped, the registry keeps the record.
#[derive(Debug)]
pub(crate) struct RecordRef(Arc<Record>);

impl RecordRef {
    fn new(record: Arc<Record>) -> Self {
        record.references.fetch_add(1, AcqRel);
        Self(record)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A record that a [`RecordRef`] keeps as long as this lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveRecord<'a>(&'a Record);

impl<'a> LiveRecord<'a> {
    /// # Safety
    ///
    /// A [`RecordRef`] of the record lives as long.
    #[inline(always)]
    pub(super) unsafe fn new(record: &'a Record) -> Self {
        Self(record)
    }
}

impl<'a> From<&'a RecordRef> for LiveRecord<'a> {
    #[inline(always)]
    fn from(record: &'a RecordRef) -> Self {
        Self(record)
    }
}

impl Deref for LiveRecord<'_> {
    type Target = Record;

    #[inline(always)]
    fn deref(&self) -> &Record {
        self.0
    }
}

impl Clone for RecordRef {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Deref for RecordRef {
    type Target = Record;

    #[inline]
    fn deref(&self) -> &Record {
        &self.0
    }
}

impl Drop for RecordRef {
    fn drop(&mut self) {
        // Acquire: the last one sees all uses that began by means of the others.
        if self.references.fetch_sub(1, AcqRel) == 1 && self.is_encoded() {
            lock(&REGISTRY).keep(&self.0);
        }
    }
}

/// A use of memory by a command buffer that is encoded and was not submitted. It holds no reference to the record, which
/// would cost two atomic operations: a record is kept by its [`RecordRef`]s, and by the registry after the last of them
/// was dropped, while one of these exists.
#[derive(Debug)]
pub(super) struct EncodedRef(NonNull<Record>);

// SAFETY: it is a shared reference to a record, which any thread may use and drop.
unsafe impl Send for EncodedRef {}
// SAFETY: as above.
unsafe impl Sync for EncodedRef {}

impl EncodedRef {
    #[inline(always)]
    pub(super) fn new(record: LiveRecord<'_>) -> Self {
        record.encoded.add(Change::Begun);
        Self(NonNull::from(record.0))
    }
}

impl Deref for EncodedRef {
    type Target = Record;

    #[inline(always)]
    fn deref(&self) -> &Record {
        // SAFETY: the count that `new` increased says that this exists. It did so before the `RecordRef` that kept the record
        // was dropped, so that the drop of the last one sees the count and has the registry keep the record.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for EncodedRef {
    #[inline(always)]
    fn drop(&mut self) {
        // The last access: whoever reads the new count may free the record.
        self.encoded.add(Change::Ended);
    }
}

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
    fn new(key: usize) -> Self {
        Self {
            stamp: AtomicU64::default(),
            lists_encoded: AtomicBool::default(),
            has_flights: AtomicBool::default(),
            has_sets: AtomicBool::default(),
            is_purgeable: AtomicBool::default(),
            is_kept: AtomicBool::default(),
            encoded: BiasedCount::new(),
            references: AtomicU64::default(),
            key,
            state: Arc::default(),
        }
    }

    /// Whether a resource, a set or a command buffer that is encoded refers to it.
    fn is_used(&self) -> bool {
        self.references.load(Acquire) > 0 || self.is_encoded()
    }

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

    /// Whether a command buffer was encoded with the memory and not submitted yet.
    fn is_encoded(&self) -> bool {
        self.encoded.get() > 0
    }

    /// Whether a command buffer that began to use the memory, or a residency set that has it, before a number was taken is
    /// encoded, or in flight.
    fn is_used_before(&self, number: u64) -> bool {
        let state = lock(&self.state);
        // Those that are not listed may have begun at any time. In this order: a command buffer that another thread submits
        // enters its flight, for which it needs the lock, before it ends its use.
        self.encoded.get() > state.encoded.len()
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
        let Registry { spans, late, .. } = &mut *registry;
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
    /// Records without a [`RecordRef`], while command buffers are encoded with their memory.
    kept: Vec<Arc<Record>>,
    /// How many uses have ended, and records were looked up, since they were searched for unused ones. A search takes as
    /// long as there are many, so it waits for as many of these.
    ended: usize,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { spans: BTreeMap::new(), late: false, kept: Vec::new(), ended: 0 });

/// Whether the registry keeps records.
static KEEPS_RECORDS: AtomicBool = AtomicBool::new(false);

/// Called when a number of uses have ended: drops records that the registry kept for them.
#[inline]
pub(super) fn drop_unused(ended: usize) {
    if KEEPS_RECORDS.load(Relaxed) {
        let unused = lock(&REGISTRY).take_unused(ended);
        // Without the lock, which the drop of a record takes.
        drop(unused);
    }
}

impl Registry {
    fn keep(&mut self, record: &Arc<Record>) {
        if !record.is_kept.swap(true, Relaxed) {
            self.kept.push(Arc::clone(record));
            KEEPS_RECORDS.store(true, Relaxed);
        }
    }

    /// Removes records that it need not keep any more, after a number of uses have ended. The caller drops them after it has
    /// released the lock.
    ///
    /// Each record that a search leaves has a use that ends later and is counted, so that when the last use has ended, all
    /// records are found.
    fn take_unused(&mut self, ended: usize) -> Vec<Arc<Record>> {
        const FEW: usize = 16;
        self.ended += ended;
        if self.kept.is_empty() || (self.kept.len() >= FEW && self.ended < self.kept.len()) {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.kept).into_iter();
        let (used, unused) = all.partition::<Vec<_>, _>(|record| record.is_encoded());
        unused.iter().for_each(|record| record.is_kept.store(false, Relaxed));
        self.ended = 0;
        self.kept = used;
        KEEPS_RECORDS.store(!self.kept.is_empty(), Relaxed);
        unused
    }

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
#[derive(Clone, Debug)]
pub(crate) struct Footprint {
    pub(super) first: RecordRef,
    pub(super) rest: Box<[RecordRef]>,
}

impl Footprint {
    /// The records of a range of addresses that is not empty. A resource without an address of its own, such as a
    /// heap, uses the address of its object.
    pub(crate) fn of(range: Range<usize>) -> Self {
        let mut registry = lock(&REGISTRY);
        let (ended, mut unused) = (registry.sweep(), registry.take_unused(1));
        let spans = &mut registry.spans;
        let (mut start, mut end) = (range.start, range.end);
        let (mut records, mut late) = (Vec::<RecordRef>::new(), Vec::new());
        while let Some((&at, span)) = spans.range(..range.end).next_back()
            && span.end > range.start
            && let Some(span) = spans.remove(&at)
        {
            (start, end) = (start.min(at), end.max(span.end));
            for known in span.records {
                match known.record.upgrade() {
                    // Counted under the lock, so that no other thread finds the record unused.
                    Some(record) if record.is_used() => records.push(RecordRef::new(record)),
                    // It is being dropped, or soon will be, and may not have passed on its flights yet.
                    record => {
                        late.append(&mut lock(&known.state).flights);
                        unused.extend(record);
                    }
                }
            }
            late.extend(span.late);
        }
        if records.is_empty() {
            records.push(RecordRef::new(Arc::new(Record::new(range.start))));
        }
        records[0].adopt(&mut late);
        let known = |record: &RecordRef| Known {
            record: Arc::downgrade(&record.0),
            state: Arc::clone(&record.state),
        };
        let known = records.iter().map(known).collect();
        spans.insert(start, Span { end, records: known, late });
        drop(registry);
        drop((ended, unused));
        let first = records.swap_remove(0);
        Self { first, rest: records.into() }
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

    /// Whether a command buffer was encoded with the memory and not submitted yet.
    pub(crate) fn is_encoded(&self) -> bool {
        self.records().any(|record| record.is_encoded())
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

    pub(super) fn records(&self) -> impl Iterator<Item = &RecordRef> {
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

    /// The footprint of some memory, which is returned with it.
    fn footprint() -> (Footprint, Box<u64>) {
        let memory = Box::new(0u64);
        let start = std::ptr::from_ref(&*memory).addr();
        (Footprint::of(start..start + 8), memory)
    }

    #[test]
    fn memory_without_wrappers_stays_encoded_until_the_use_ends() {
        let (first, _memory) = footprint();
        let range = first.first.key..first.first.key + 8;
        let encoded = EncodedRef::new((&first.first).into());
        drop(first);
        let again = Footprint::of(range.clone());
        assert!(again.is_encoded() && std::ptr::eq(&*again.first, &*encoded));
        drop(again);
        drop(encoded);
        assert!(!Footprint::of(range).is_encoded());
    }

    #[test]
    fn an_unused_record_that_is_still_kept_is_not_found_again() {
        let (first, _memory) = footprint();
        let range = first.first.key..first.first.key + 8;
        let kept = Arc::clone(&first.first.0);
        drop(first);
        let [half, other] = [0, 4].map(|at| Footprint::of(range.start + at..range.start + at + 4));
        assert!(!Arc::ptr_eq(&kept, &half.first.0) && !Arc::ptr_eq(&kept, &other.first.0));
        assert_eq!([&half, &other].map(|one| one.records().count()), [1, 1]);
    }

    #[test]
    fn a_record_with_any_number_of_references_is_used() {
        let (first, _memory) = footprint();
        let references = &first.first.references;
        let before = references.swap(u32::MAX.into(), Relaxed);
        let one_more = first.clone();
        assert!(first.first.is_used());
        drop(one_more);
        references.store(before, Relaxed);
    }

    #[test]
    fn a_list_that_is_dropped_with_its_encoder_drops_the_record() {
        let (first, _memory) = footprint();
        let record = Arc::downgrade(&first.first.0);
        let (tracker, encoder) = (Arc::default(), super::super::EncoderUses::default());
        encoder.begin(&tracker);
        encoder.bind(Some(&first), 0);
        drop(first);
        assert_eq!(record.strong_count(), 1, "it is kept");
        drop((tracker, encoder));
        // Another test may drop it, and be about to.
        let start = std::time::Instant::now();
        while record.strong_count() > 0 {
            assert!(start.elapsed().as_secs() < 10, "it is still kept");
            std::thread::yield_now();
        }
    }

    #[test]
    fn kept_records_are_searched_while_they_are_few_and_when_as_many_uses_have_ended() {
        let mut registry =
            Registry { spans: BTreeMap::new(), late: false, kept: Vec::new(), ended: 0 };
        let mut footprints = Vec::new();
        let mut uses = Vec::new();
        let mut keep = |registry: &mut Registry, uses: &mut Vec<EncodedRef>| {
            let (footprint, memory) = footprint();
            uses.push(EncodedRef::new((&footprint.first).into()));
            registry.keep(&footprint.first.0);
            registry.keep(&footprint.first.0);
            footprints.push((footprint, memory));
        };
        (0..3).for_each(|_| keep(&mut registry, &mut uses));
        uses.pop();
        assert_eq!(registry.take_unused(0).len(), 1);
        assert_eq!(registry.kept.len(), 2);
        (0..18).for_each(|_| keep(&mut registry, &mut uses));
        assert_eq!(registry.take_unused(20).len(), 0, "all are used");
        uses.truncate(13);
        assert_eq!(registry.take_unused(7).len(), 0, "7 of 20");
        assert_eq!(registry.take_unused(12).len(), 0, "19 of 20");
        assert_eq!(registry.take_unused(1).len(), 7, "20 of 20");
        (0..17).for_each(|_| keep(&mut registry, &mut uses));
        uses.clear();
        assert_eq!(registry.take_unused(30).len(), 30, "all uses have ended");
    }

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
