//! Which memory submitted command buffers use, so that views of it from the CPU are sound.
//!
//! Every piece of memory that the CPU can reach has one [`Record`], shared by all wrappers of resources
//! that lie in it. An encoder's safe methods note the records of their arguments in [`Uses`]; committing
//! the command buffer puts it in flight in each of them. A view from the CPU is refused while a command
//! buffer in flight conflicts with it, and a commit is refused while a view conflicts with it.
//! `specs/tracking.md` states the rules.
//!
//! The encoder and the command buffer are found by the hooks of [`ClassState`](super::ClassState), which
//! `metal_class!` calls around every message: methods that users declare are tracked too.

use super::object::Object;
use super::selector::CachedSelector;
use super::send::{Call, Message};
use super::{Ownership, Trailing};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// No code that can panic runs with a lock held, so a poisoned lock is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A committed command buffer.
pub(crate) struct Flight {
    /// It has ended, or was never committed after all.
    over: AtomicBool,
    commands: Object,
}

// SAFETY: a command buffer that is committed may be asked for its status from any thread.
unsafe impl Send for Flight {}
// SAFETY: as above.
unsafe impl Sync for Flight {}

/// Values of `MTLCommandBufferStatus`.
const COMMITTED: usize = 2;
const COMPLETED: usize = 4;

impl Flight {
    fn new(commands: &Object) -> Arc<Self> {
        Arc::new(Self { over: AtomicBool::new(false), commands: commands.clone() })
    }

    fn status(&self) -> usize {
        static STATUS: CachedSelector = CachedSelector::new("status\0");
        // SAFETY: command buffers have this property.
        unsafe { bare::<usize>(&self.commands, &STATUS) }
    }

    /// Whether the command buffer has completed or failed.
    fn is_over(&self) -> bool {
        self.over.load(Acquire)
            || self.status() >= COMPLETED && {
                self.over.store(true, Release);
                true
            }
    }

    /// Waits until the command buffer has completed or failed.
    pub(crate) fn wait(&self) {
        static WAIT: CachedSelector = CachedSelector::new("waitUntilCompleted\0");
        // Between the record and the commit itself lies a moment in which Metal must not be asked to wait.
        while !self.over.load(Acquire) && self.status() < COMMITTED {
            std::thread::yield_now();
        }
        if !self.is_over() {
            // SAFETY: the command buffer is committed, so that it ends.
            unsafe { bare::<()>(&self.commands, &WAIT) }
        }
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flight({:p}, status {})", self.commands.as_raw().as_ptr(), self.status())
    }
}

/// Sends a message without arguments.
///
/// # Safety
///
/// The object answers the selector with this type.
unsafe fn bare<R: super::Return>(object: &Object, selector: &'static CachedSelector) -> R {
    let call =
        Call { method: "-[MTLCommandBuffer]", ownership: Ownership::Retained, consumes: false };
    // SAFETY: passed on to the caller.
    unsafe {
        Message::<(Trailing<false>,), R>::new(selector).send(
            object.as_raw(),
            call,
            (Trailing::<false>::NEW,),
        )
    }
}

/// What uses one piece of memory now.
#[derive(Debug)]
pub(crate) struct Record {
    /// Which [`Uses`] noted it last, and at which position: see [`Uses::note`].
    stamp: AtomicU64,
    /// An address that the registry knows it by.
    key: usize,
    /// The registry has it too, and finds what is in flight while the record is being dropped.
    state: Arc<Mutex<State>>,
    /// How many footprints and residency sets have it, in the low half; in the high half how often that
    /// changed. The other references are those of command buffers that were encoded and not submitted.
    footprints: AtomicU64,
}

/// A change of [`Record::footprints`].
const CHANGE: u64 = 1 << 32;

#[derive(Debug, Default)]
struct State {
    views: Vec<View>,
    flights: Vec<InFlight>,
}

/// A view from the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    range: Range<usize>,
    writes: bool,
}

#[derive(Clone, Debug)]
struct InFlight {
    flight: Arc<Flight>,
    writes: bool,
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
        flight: Arc<Flight>,
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
                     command buffer, or use a method that does, such as `read_completed`"
                )
            }
        }
    }
}

impl State {
    /// Takes out flights that are over. The caller drops them after it has released the lock: dropping
    /// the last reference to a command buffer may run any code.
    fn prune(&mut self) -> Vec<InFlight> {
        if self.flights.iter().all(|one| !one.flight.is_over()) {
            return Vec::new();
        }
        let (over, rest) = self.flights.drain(..).partition(|one| one.flight.is_over());
        self.flights = rest;
        over
    }
}

impl Record {
    fn open(&self, view: &View) -> Result<(), Busy> {
        let mut state = lock(&self.state);
        let over = state.prune();
        let overlaps = |other: &&View| {
            (view.writes || other.writes)
                && view.range.start < other.range.end
                && other.range.start < view.range.end
        };
        let busy = if let Some(other) = state.views.iter().find(overlaps) {
            Err(Busy::View { writes: other.writes })
        } else if let Some(InFlight { flight, writes }) =
            state.flights.iter().find(|one| view.writes || one.writes)
        {
            Err(Busy::Flight { flight: Arc::clone(flight), writes: *writes })
        } else {
            state.views.push(view.clone());
            Ok(())
        };
        drop(state);
        drop(over);
        busy
    }

    fn close(&self, view: &View) {
        let mut state = lock(&self.state);
        if let Some(index) = state.views.iter().position(|one| one == view) {
            state.views.swap_remove(index);
        }
    }

    /// Puts a command buffer in flight, unless a view from the CPU forbids it. Those that are over are taken out
    /// to `over`: the caller drops them after it has released its locks.
    fn submit(
        &self,
        flight: &Arc<Flight>,
        writes: bool,
        over: &mut Vec<InFlight>,
    ) -> Result<(), Busy> {
        let mut state = lock(&self.state);
        if let Some(view) = state.views.iter().find(|view| writes || view.writes) {
            return Err(Busy::View { writes: view.writes });
        }
        // Many in flight are looked through less often.
        match state.flights.len() {
            0 => {}
            n if n < 8 || n.is_power_of_two() => over.append(&mut state.prune()),
            _ => {}
        }
        state.flights.push(InFlight { flight: Arc::clone(flight), writes });
        Ok(())
    }
}

impl Drop for Record {
    /// Leaves flights that are not over to whoever has the same memory next.
    fn drop(&mut self) {
        let over = lock(&self.state).prune();
        let mut registry = lock(&REGISTRY);
        let Registry { spans, late } = &mut *registry;
        let mut heir = None;
        if let Some((&start, span)) = spans.range_mut(..=self.key).next_back() {
            span.records.retain(|known| !Arc::ptr_eq(&known.state, &self.state));
            // There are none if a footprint that was made meanwhile has them already.
            let mut flights = std::mem::take(&mut lock(&self.state).flights);
            heir = span.records.iter().find_map(|known| known.record.upgrade());
            match &heir {
                Some(heir) => lock(&heir.state).flights.append(&mut flights),
                None => span.late.append(&mut flights),
            }
            *late |= !span.late.is_empty();
            if span.is_unused() {
                spans.remove(&start);
            }
        }
        // What may be the last reference to something is dropped without the lock.
        drop(registry);
        drop((over, heir));
    }
}

/// Addresses from a start to `end`, and the records of the memory there.
struct Span {
    end: usize,
    /// A record takes itself out when it is dropped.
    records: Vec<Known>,
    /// What was in flight when the last wrapper was dropped.
    late: Vec<InFlight>,
}

impl Span {
    fn is_unused(&self) -> bool {
        self.records.is_empty() && self.late.is_empty()
    }
}

/// A record as the registry has it.
struct Known {
    record: Weak<Record>,
    state: Arc<Mutex<State>>,
}

/// All memory with a record.
struct Registry {
    /// By their starts. They do not overlap.
    spans: BTreeMap<usize, Span>,
    /// Whether a span may have `late` ones.
    late: bool,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { spans: BTreeMap::new(), late: false });

impl Registry {
    /// Removes flights that are over, and spans that have nothing else. The caller drops them after it
    /// has released the lock.
    fn sweep(&mut self) -> Vec<InFlight> {
        let mut over = Vec::new();
        // Only programs that drop resources in flight leave any.
        if std::mem::take(&mut self.late) {
            self.spans.retain(|_, span| {
                let (done, rest) = span.late.drain(..).partition(|one| one.flight.is_over());
                over.extend::<Vec<_>>(done);
                span.late = rest;
                self.late |= !span.late.is_empty();
                !span.is_unused()
            });
        }
        over
    }
}

/// The records of the memory that a resource lies in. There are several if it overlaps memory that
/// was known as separate pieces before.
#[derive(Debug)]
pub(crate) struct Footprint {
    first: Arc<Record>,
    rest: Box<[Arc<Record>]>,
}

impl Clone for Footprint {
    fn clone(&self) -> Self {
        Self { first: Arc::clone(&self.first), rest: self.rest.clone() }.counted()
    }
}

impl Drop for Footprint {
    fn drop(&mut self) {
        self.records().for_each(|record| _ = record.footprints.fetch_add(CHANGE - 1, AcqRel));
    }
}

impl Footprint {
    /// The records of a range of addresses that is not empty. What has no address of its own, such as
    /// a heap, is known by the address of its object.
    pub(crate) fn of(range: Range<usize>) -> Self {
        let mut registry = lock(&REGISTRY);
        let over = registry.sweep();
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
                    // It is being dropped on another thread, and may not have left its flights yet.
                    None => late.append(&mut lock(&known.state).flights),
                }
            }
            late.extend(span.late);
        }
        if records.is_empty() {
            let state = Arc::default();
            let key = range.start;
            let (stamp, footprints) = (AtomicU64::new(0), AtomicU64::new(0));
            records.push(Arc::new(Record { stamp, key, state, footprints }));
        }
        lock(&records[0].state).flights.append(&mut late);
        let known = |record: &Arc<Record>| Known {
            record: Arc::downgrade(record),
            state: Arc::clone(&record.state),
        };
        let known = records.iter().map(known).collect();
        spans.insert(start, Span { end, records: known, late });
        drop(registry);
        drop(over);
        let first = records.swap_remove(0);
        Self { first, rest: records.into() }.counted()
    }

    /// Counts this footprint in its records. It has its references already, so that no reference of a
    /// command buffer is ever taken for one of a footprint.
    fn counted(self) -> Self {
        self.records().for_each(|record| _ = record.footprints.fetch_add(CHANGE + 1, AcqRel));
        self
    }

    /// Whether a command buffer that was submitted and has not completed uses the memory.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.records().any(|record| {
            let mut state = lock(&record.state);
            let over = state.prune();
            let busy = !state.flights.is_empty();
            drop(state);
            drop(over);
            busy
        })
    }

    /// Whether a command buffer that was not submitted was encoded with the memory; at times also while
    /// another thread makes or drops a footprint.
    pub(crate) fn is_encoded(&self) -> bool {
        self.records().any(|record| {
            loop {
                let footprints = record.footprints.load(Acquire);
                let references = Arc::strong_count(record) as u64;
                std::sync::atomic::fence(Acquire);
                if record.footprints.load(Acquire) == footprints {
                    return references > footprints % CHANGE;
                }
            }
        })
    }

    /// Waits until no command buffer that was submitted uses the memory.
    pub(crate) fn wait(&self) {
        for record in self.records() {
            loop {
                let mut state = lock(&record.state);
                let over = state.prune();
                let next = state.flights.first().map(|one| Arc::clone(&one.flight));
                drop(state);
                drop(over);
                let Some(flight) = next else { break };
                flight.wait();
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
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

/// How a message to an encoder or a command buffer uses its arguments, by its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Sets the pipeline.
    Pipeline,
    /// Sets a buffer or bytes at an index: how it is used is known with the pipeline.
    Bind,
    /// Sets a texture.
    Texture,
    /// Launches the pipeline; a buffer that is passed holds sizes.
    Launch,
    /// Runs commands that may use all that is bound in any way.
    Execute,
    /// Ends the encoder.
    End,
    /// Submits the command buffer.
    Commit,
    /// Copies from its first resource to its second.
    Copy,
    /// Makes resources reachable for all that follows.
    Keep,
    /// Anything else: what is passed counts as written.
    Other,
}

impl Moment {
    /// The moment of a selector.
    pub const fn of(selector: &str) -> Self {
        const TABLE: [(&str, bool, Moment); 12] = [
            ("setComputePipelineState:", true, Moment::Pipeline),
            ("setBuffer:offset:atIndex:", true, Moment::Bind),
            ("setBytes:length:atIndex:", true, Moment::Bind),
            ("endEncoding", true, Moment::End),
            ("commit", true, Moment::Commit),
            ("setTexture", false, Moment::Texture),
            ("dispatch", false, Moment::Launch),
            ("execute", false, Moment::Execute),
            ("copyFrom", false, Moment::Copy),
            ("addAllocation", false, Moment::Keep),
            ("addResidencySet", false, Moment::Keep),
            ("useResidencySet", false, Moment::Keep),
        ];
        let mut row = 0;
        while row < TABLE.len() {
            let (text, whole, moment) = TABLE[row];
            if starts_with(selector, text) && (!whole || selector.len() == text.len()) {
                return moment;
            }
            row += 1;
        }
        Self::Other
    }
}

const fn starts_with(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    let mut i = 0;
    while i < start.len() {
        if i == text.len() || text[i] != start[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// How many buffers can be bound.
const SLOTS: usize = 31;

/// The halves of [`Uses::bound`].
const BOUND: u64 = u32::MAX as u64;
const PENDING: u32 = 32;

/// What a command buffer uses, as far as it is encoded.
#[derive(Debug)]
pub(crate) struct Uses {
    /// Different from that of all others, in the high bits.
    serial: u64,
    list: Vec<Use>,
    /// For each index of a buffer: its position in the list, plus one; 0 if nothing is bound.
    slots: [u32; SLOTS],
    /// The indices that something is bound to, a bit each; in the high half, those whose use by the pipeline is
    /// not in the list yet. It is one word, because a load of two words that were stored one by one waits for both.
    bound: u64,
    /// Those that the pipeline may write.
    written: u32,
}

#[derive(Debug)]
struct Use {
    record: Arc<Record>,
    writes: bool,
    /// It is a residency set's, not a command buffer's: counted with the footprints.
    kept: bool,
}

impl Drop for Use {
    fn drop(&mut self) {
        if self.kept {
            self.record.footprints.fetch_add(CHANGE - 1, AcqRel);
        }
    }
}

/// A stamp is a serial and a position of this many bits.
const POSITION_BITS: u32 = 24;
const POSITIONS: u64 = (1 << POSITION_BITS) - 1;

impl Uses {
    fn new() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        Self {
            serial: SERIAL.fetch_add(1, Relaxed) << POSITION_BITS,
            list: Vec::with_capacity(4),
            slots: [0; SLOTS],
            bound: 0,
            written: u32::MAX,
        }
    }

    /// Notes a use; returns its position in the list.
    ///
    /// The record's stamp says whether it is in the list already. A command buffer on another thread
    /// may overwrite the stamp: then the record is listed twice, which does no harm.
    #[inline]
    fn note(&mut self, record: &Arc<Record>, writes: bool) -> usize {
        let stamp = record.stamp.load(Relaxed);
        if stamp & !POSITIONS == self.serial {
            let position = (stamp & POSITIONS) as usize;
            if writes {
                self.list[position].writes = true;
            }
            return position;
        }
        self.add(record, writes)
    }

    /// Lists a record.
    #[cold]
    #[inline(never)]
    fn add(&mut self, record: &Arc<Record>, writes: bool) -> usize {
        let position = self.list.len();
        self.list.push(Use { record: Arc::clone(record), writes, kept: false });
        if position as u64 <= POSITIONS {
            record.stamp.store(self.serial | position as u64, Relaxed);
        }
        position
    }

    fn note_all(&mut self, footprint: &Footprint, writes: bool) {
        footprint.records().for_each(|record| _ = self.note(record, writes));
    }

    /// Notes all records but the first as written.
    #[cold]
    #[inline(never)]
    fn note_rest(&mut self, footprint: &Footprint) {
        footprint.rest.iter().for_each(|record| _ = self.note(record, true));
    }

    /// What is bound is bound to the previous encoder.
    fn begin_encoder(&mut self) {
        (self.slots, self.bound, self.written) = ([0; SLOTS], 0, u32::MAX);
    }

    #[inline]
    fn bind(&mut self, index: Option<usize>, position: Option<usize>) {
        let Some((index, slot)) = index.and_then(|index| Some((index, self.slots.get_mut(index)?)))
        else {
            // The index is not known, or Metal refuses it; if it does not, anything may happen with the buffer.
            if let Some(position) = position {
                self.list[position].writes = true;
            }
            return;
        };
        let bits = (1 << PENDING | 1) << index;
        match position {
            Some(position) => {
                *slot = position as u32 + 1;
                self.bound |= bits;
            }
            None => self.bound &= !bits,
        }
    }

    /// How the pipeline uses what is bound is to be noted.
    #[inline]
    fn renew(&mut self) {
        let bound = self.bound & BOUND;
        self.bound = bound << PENDING | bound;
    }

    /// A launch: what is bound is used as the pipeline does.
    #[inline]
    fn launch(&mut self, written: u32) {
        let mut pending = (self.bound >> PENDING) as u32 & written;
        self.bound &= BOUND;
        while pending != 0 {
            let position = self.slots[pending.trailing_zeros() as usize] as usize - 1;
            self.list[position].writes = true;
            pending &= pending - 1;
        }
    }
}

/// Receives the arguments of a message to an encoder or a command buffer.
#[derive(Debug)]
pub struct Passed<'a> {
    uses: &'a mut Uses,
    moment: Moment,
    /// Whether a resource was among the arguments before.
    seen: bool,
    bound: Option<usize>,
    /// The last argument, if it is a number that can be an index.
    number: Option<usize>,
    /// Where the arguments are collected instead, if they are used by means that no encoder sees.
    kept: Option<&'a mut Kept>,
}

/// What a message makes reachable for all that follows.
#[derive(Debug, Default)]
struct Kept {
    records: Vec<Arc<Record>>,
    /// Residency sets, by what they hold.
    sets: Vec<Arc<Tracker>>,
}

impl<'a> Passed<'a> {
    #[inline(always)]
    fn new(uses: &'a mut Uses, moment: Moment) -> Self {
        Self { uses, moment, seen: false, bound: None, number: None, kept: None }
    }

    /// A residency set, with what it holds.
    pub(crate) fn set(&mut self, members: &Arc<Tracker>) {
        if let Some(kept) = &mut self.kept {
            kept.sets.push(Arc::clone(members));
        }
    }

    /// A resource, and whether its own settings forbid that kernels write it.
    #[inline]
    pub(crate) fn resource(&mut self, footprint: &Footprint, read_only: bool) {
        if self.moment == Moment::Bind {
            self.bound = Some(self.uses.note(&footprint.first, false));
            if !footprint.rest.is_empty() {
                self.uses.note_rest(footprint);
            }
            return;
        }
        if let Some(kept) = &mut self.kept {
            return kept.records.extend(footprint.records().cloned());
        }
        let reads = match self.moment {
            Moment::Texture => read_only,
            Moment::Launch => true,
            Moment::Copy => !self.seen,
            _ => false,
        };
        self.seen = true;
        self.uses.note_all(footprint, !reads);
    }

    /// A pipeline, and the indices of buffers that it may write, a bit each.
    #[inline]
    pub(crate) fn pipeline(&mut self, written: u32) {
        self.uses.written = written;
    }

    /// An integer. If it is the last argument of a message that binds, it is the index; `None` is a negative one.
    #[inline(always)]
    pub(super) fn number(&mut self, number: Option<usize>) {
        self.number = number;
    }

    /// An argument that is neither a resource nor an integer. If the index is passed as one, it is not known.
    #[inline(always)]
    pub(super) fn other(&mut self) {
        self.number = None;
    }
}

/// What an encoder uses; a part of the state of its wrapper.
#[derive(Debug, Default)]
pub(crate) struct EncoderUses(RefCell<Option<(Box<Uses>, Arc<Tracker>)>>);

impl EncoderUses {
    /// The encoder belongs to a command buffer.
    pub(crate) fn begin(&self, tracker: &Arc<Tracker>) {
        let mut uses = tracker.take();
        uses.begin_encoder();
        *self.0.borrow_mut() = Some((uses, Arc::clone(tracker)));
    }

    /// A message is about to be sent.
    #[inline(always)]
    pub(crate) fn sending(&self, moment: Moment, arguments: impl FnOnce(&mut Passed<'_>)) {
        if moment == Moment::End {
            return self.end();
        }
        let mut uses = self.0.borrow_mut();
        let Some((uses, _)) = &mut *uses else { return };
        if moment == Moment::Pipeline {
            uses.written = u32::MAX;
            uses.renew();
        }
        let mut passed = Passed::new(uses, moment);
        arguments(&mut passed);
        let Passed { uses, bound, number, .. } = passed;
        match moment {
            Moment::Bind => uses.bind(number, bound),
            Moment::Launch => uses.launch(uses.written),
            Moment::Execute => {
                uses.renew();
                uses.launch(u32::MAX);
            }
            _ => {}
        }
    }

    /// A buffer is bound to an index by a method whose arguments do not say so.
    pub(crate) fn bind(&self, footprint: Option<&Footprint>, index: usize) {
        self.sending(Moment::Bind, |passed| {
            if let Some(footprint) = footprint {
                passed.resource(footprint, false);
            }
            passed.number(Some(index));
        });
    }

    /// The encoder has ended: what it used is the command buffer's.
    pub(crate) fn end(&self) {
        if let Some((uses, tracker)) = self.0.borrow_mut().take() {
            tracker.give_back(uses);
        }
    }
}

/// What a command buffer uses; shared by its wrapper and the wrappers of its encoders. Residency sets
/// and queues have one too, of what all command buffers that they are for may use.
#[derive(Debug, Default)]
pub struct Tracker {
    /// Here, unless an encoder has them.
    uses: Mutex<Option<Box<Uses>>>,
    /// Residency sets, by what they hold.
    sets: Mutex<Vec<Arc<Tracker>>>,
    /// Held while the command buffer is put in flight: a clone that is submitted at the same time is not
    /// committed before all records know it.
    submitting: Mutex<()>,
}

/// A queue with residency sets. It is retained, so that no other queue gets its address.
struct KeptQueue {
    queue: Object,
    tracker: Arc<Tracker>,
}

// SAFETY: command queues may be used and released on any thread.
unsafe impl Send for KeptQueue {}

/// Queues with residency sets, by their addresses.
static QUEUES: Mutex<BTreeMap<usize, KeptQueue>> = Mutex::new(BTreeMap::new());

/// Whether there are any.
static ANY_QUEUES: AtomicBool = AtomicBool::new(false);

/// Notes that all command buffers of a queue may use what a message to the queue passes.
pub(crate) fn keep_for_queue(queue: &Object, arguments: impl FnOnce(&mut Passed<'_>)) {
    let address = queue.as_raw().as_ptr().addr();
    let new = || KeptQueue { queue: queue.clone(), tracker: Arc::default() };
    let tracker = Arc::clone(&lock(&QUEUES).entry(address).or_insert_with(new).tracker);
    tracker.keep(arguments);
    ANY_QUEUES.store(true, Release);
}

/// A wrapper of a queue is about to release it: forgets the residency sets of queues that nothing else refers to.
/// A queue that a command buffer refers to stays until a later call.
pub(crate) fn release_queue(queue: &Object) {
    static RETAIN_COUNT: CachedSelector = CachedSelector::new("retainCount\0");
    if !ANY_QUEUES.load(Acquire) {
        return;
    }
    let mut queues = lock(&QUEUES);
    let is_unused = |kept: &KeptQueue| {
        let ours = 1 + usize::from(kept.queue.as_raw() == queue.as_raw());
        // SAFETY: every object answers this.
        unsafe { bare::<usize>(&kept.queue, &RETAIN_COUNT) <= ours }
    };
    let unused: Vec<usize> =
        queues.iter().filter(|(_, kept)| is_unused(kept)).map(|(&address, _)| address).collect();
    let unused: Vec<_> = unused.iter().filter_map(|address| queues.remove(address)).collect();
    // The last reference to a queue is dropped without the lock.
    drop(queues);
    drop(unused);
}

impl Tracker {
    /// Hands the uses to an encoder. If another one has them, it gets a list of its own.
    fn take(&self) -> Box<Uses> {
        lock(&self.uses).take().unwrap_or_else(|| Box::new(Uses::new()))
    }

    fn give_back(&self, mut uses: Box<Uses>) {
        let mut known = lock(&self.uses);
        match &mut *known {
            Some(known) => known.list.append(&mut uses.list),
            None => *known = Some(uses),
        }
    }

    /// Notes that what a message passes may be written by means that no encoder sees.
    pub(crate) fn keep(&self, arguments: impl FnOnce(&mut Passed<'_>)) {
        // Finding the records may run any code, so that they are collected before the list is locked. The list
        // stays in its place while it grows: a command buffer that is submitted meanwhile finds all members.
        let mut kept = Kept::default();
        let mut none = Uses::new();
        let mut passed = Passed::new(&mut none, Moment::Keep);
        passed.kept = Some(&mut kept);
        arguments(&mut passed);
        let mut known = lock(&self.uses);
        let uses = known.get_or_insert_with(|| Box::new(Uses::new()));
        let first = uses.list.len();
        for record in &kept.records {
            uses.note(record, true);
        }
        for one in &mut uses.list[first..] {
            one.kept = true;
            one.record.footprints.fetch_add(CHANGE + 1, AcqRel);
        }
        drop(known);
        lock(&self.sets).append(&mut kept.sets);
    }

    /// Adds what the residency sets hold now.
    fn note_sets(&self, uses: &mut Uses) {
        for set in lock(&self.sets).iter() {
            for one in lock(&set.uses).iter().flat_map(|members| &members.list) {
                uses.note(&one.record, true);
            }
        }
    }

    /// The command buffer is about to be committed.
    pub(crate) fn submit(&self, commands: &Object) -> Result<(), Busy> {
        let submitting = lock(&self.submitting);
        let mut uses = self.take();
        self.note_sets(&mut uses);
        if ANY_QUEUES.load(Acquire) {
            static QUEUE: CachedSelector = CachedSelector::new("commandQueue\0");
            // SAFETY: command buffers have this property.
            let queue = unsafe { bare::<crate::abi::Id>(commands, &QUEUE) };
            if let Some(kept) = lock(&QUEUES).get(&queue.as_ptr().addr()) {
                kept.tracker.note_sets(&mut uses);
            }
        }
        if uses.list.is_empty() {
            return Ok(());
        }
        let flight = Flight::new(commands);
        let mut over = Vec::new();
        let result =
            uses.list.iter().try_for_each(|one| one.record.submit(&flight, one.writes, &mut over));
        let rest = if result.is_err() {
            // It stays as it was, and may be submitted later.
            flight.over.store(true, Release);
            self.give_back(uses);
            None
        } else {
            Some(uses)
        };
        // What may be the last reference to something is dropped without the lock.
        drop(submitting);
        drop((rest, over));
        result
    }
}
