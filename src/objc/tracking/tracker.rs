//! Marks the memory of a command buffer and of its residency sets as in flight when it is submitted.

use super::flight::FlightRef;
use super::record::{Busy, EndedFlights, UseKind};
use super::residents::SetUse;
use super::uses::{Allocations, Uses};
use super::watched::Watched;
use super::{ArgumentSink, MessageUse, Residents, bare, lock};
use crate::objc::object::Object;
use crate::objc::selector::CachedSelector;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The memory that a command buffer uses; shared by its wrapper and the wrappers of its encoders. Queues have a tracker
/// too, of the memory that all their command buffers may use.
#[derive(Debug, Default)]
pub struct Tracker {
    /// Locked while the command buffer is put in flight, so that a clone that is submitted at the same time is not
    /// committed before all records have it.
    used: Mutex<Used>,
    /// Whether `uses` has entries: otherwise an encoder begins a list without the lock.
    is_listed: AtomicBool,
    /// The number of wrappers of the command buffer, but for one.
    clones: AtomicUsize,
    watched: OnceLock<Arc<Watched>>,
}

#[derive(Debug, Default)]
struct Used {
    /// Empty while an encoder has them.
    uses: Uses,
    sets: Vec<SetUse>,
    /// How many messages are being sent that remove sets from the queue.
    removals: usize,
}

impl Used {
    /// Adds the present members of the residency sets.
    fn record_sets(&self, uses: &mut Uses) {
        self.sets.iter().for_each(|set| set.record_in(uses));
    }
}

thread_local! {
    /// A tracker that is no longer used, so that a loop that encodes and submits allocates none.
    static SPARE: Cell<Option<Arc<Tracker>>> = const { Cell::new(None) };
}

/// A queue with residency sets. It is retained, so that no other queue gets its address.
struct TrackedQueue {
    queue: Object,
    tracker: Arc<Tracker>,
}

// SAFETY: command queues may be used and released on any thread.
unsafe impl Send for TrackedQueue {}

/// Queues with residency sets, by their addresses.
static QUEUES: Mutex<BTreeMap<usize, TrackedQueue>> = Mutex::new(BTreeMap::new());

/// Whether `QUEUES` has an entry.
static ANY_QUEUES: AtomicBool = AtomicBool::new(false);

/// A message is about to be sent to a queue: all its command buffers may use the arguments, or these are about to leave.
#[inline(always)]
pub(crate) fn change_queue(
    queue: &Object,
    message_use: MessageUse,
    arguments: impl FnOnce(&mut ArgumentSink<'_>),
) {
    match message_use {
        MessageUse::MakeResident => queue_tracker(queue).use_allocations_of_queue(arguments),
        MessageUse::Remove => queue_tracker(queue).begin_removal(arguments),
        _ => {}
    }
}

/// The message was sent.
#[inline(always)]
pub(crate) fn changed_queue(queue: &Object, message_use: MessageUse) {
    if message_use == MessageUse::Remove {
        queue_tracker(queue).end_removal();
    }
}

fn queue_tracker(queue: &Object) -> Arc<Tracker> {
    let address = queue.as_raw().as_ptr().addr();
    let new = || TrackedQueue { queue: queue.clone(), tracker: Arc::default() };
    let tracker = Arc::clone(&lock(&QUEUES).entry(address).or_insert_with(new).tracker);
    ANY_QUEUES.store(true, Release);
    tracker
}

/// The tracker of a command buffer's queue, if this has residency sets.
fn tracker_of_queue(commands: &Object) -> Option<Arc<Tracker>> {
    static QUEUE: CachedSelector = CachedSelector::new("commandQueue\0");
    if !ANY_QUEUES.load(Acquire) {
        return None;
    }
    // SAFETY: command buffers have this property.
    let queue = unsafe { bare::<crate::abi::Id>(commands, &QUEUE) };
    lock(&QUEUES).get(&queue.as_ptr().addr()).map(|known| Arc::clone(&known.tracker))
}

/// Called before a wrapper of a queue releases it: forgets the residency sets of queues that have no other
/// reference. A queue that a command buffer refers to stays until a later call.
pub(crate) fn release_queue(queue: &Object) {
    static RETAIN_COUNT: CachedSelector = CachedSelector::new("retainCount\0");
    if !ANY_QUEUES.load(Acquire) {
        return;
    }
    let mut queues = lock(&QUEUES);
    let is_unused = |known: &TrackedQueue| {
        let ours = 1 + usize::from(known.queue.as_raw() == queue.as_raw());
        // SAFETY: every object has this method.
        unsafe { bare::<usize>(&known.queue, &RETAIN_COUNT) <= ours }
    };
    let unused: Vec<usize> =
        queues.iter().filter(|(_, known)| is_unused(known)).map(|(&address, _)| address).collect();
    let unused: Vec<_> = unused.iter().filter_map(|address| queues.remove(address)).collect();
    // Last references are dropped without the lock.
    drop(queues);
    drop(unused);
}

impl Tracker {
    /// A tracker without uses.
    pub(crate) fn new() -> Arc<Self> {
        SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default()
    }

    /// A wrapper of the command buffer is cloned.
    pub(crate) fn share(self: &Arc<Self>) -> Arc<Self> {
        self.clones.fetch_add(1, Relaxed);
        Arc::clone(self)
    }

    /// The command buffer, to be watched.
    pub(crate) fn watch(&self, commands: &Object) -> Arc<Watched> {
        Arc::clone(self.watched.get_or_init(|| Arc::new(Watched::new(commands))))
    }

    /// Called when a wrapper of the command buffer is dropped.
    #[inline]
    pub(crate) fn leave(tracker: Arc<Self>) {
        // Acquire: another wrapper may have been watched. A wrapper without clones gets none from here on.
        let is_last = tracker.clones.load(Acquire) == 0 || tracker.clones.fetch_sub(1, AcqRel) == 0;
        if is_last && let Some(watched) = tracker.watched.get() {
            watched.release();
        }
        Self::recycle(tracker);
    }

    /// Keeps a tracker for the next command buffer of this thread, if nothing else refers to it.
    fn recycle(mut tracker: Arc<Self>) {
        if let Some(own) = Arc::get_mut(&mut tracker) {
            *own.clones.get_mut() = 0;
            own.watched.take();
            let used = own.used.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut used.uses).retire();
            used.sets.clear();
            *own.is_listed.get_mut() = false;
            _ = SPARE.try_with(|spare| spare.set(Some(tracker)));
        }
    }

    /// Moves the uses to an encoder. If another encoder has them, the result is a new list.
    pub(super) fn take(&self) -> Uses {
        if !self.is_listed.load(Acquire) {
            return Uses::spare();
        }
        let mut used = lock(&self.used);
        self.is_listed.store(false, Release);
        std::mem::take(&mut used.uses)
    }

    pub(super) fn give_back(&self, mut uses: Uses) {
        let mut used = lock(&self.used);
        if used.uses.list.is_empty() {
            used.uses = uses;
        } else {
            used.uses.list.append(&mut uses.list);
        }
        self.is_listed.store(true, Release);
    }

    /// Records that the arguments of a message to the command buffer may be written by commands that no encoder tracks.
    pub(crate) fn use_allocations(&self, arguments: impl FnOnce(&mut ArgumentSink<'_>)) {
        self.use_by(arguments, SetUse::by_commands);
    }

    /// The same of a message to the queue whose tracker this is.
    pub(super) fn use_allocations_of_queue(&self, arguments: impl FnOnce(&mut ArgumentSink<'_>)) {
        self.use_by(arguments, SetUse::by_queue);
    }

    #[cfg(test)]
    pub(super) fn has_set(&self, set: &Arc<super::Residents>) -> bool {
        lock(&self.used).sets.iter().any(|one| Arc::ptr_eq(one.set(), set))
    }

    fn use_by(
        &self,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
        by: fn(Arc<Residents>) -> SetUse,
    ) {
        // Finding the records may run any code, so they are collected before the lists are locked.
        let mut allocations = Allocations::among(arguments);
        let mut used = lock(&self.used);
        for record in allocations.resources.iter().flat_map(|(_, records)| records) {
            used.uses.record_use(record, true);
        }
        self.is_listed.store(!used.uses.list.is_empty(), Release);
        used.sets.extend(allocations.sets.drain(..).map(by));
        // These may be the last references to their objects: they are dropped without the lock.
        drop(used);
        drop(allocations);
    }

    /// A message is about to remove its residency sets from the queue. Until it was sent, another thread may submit a command
    /// buffer that uses them.
    pub(super) fn begin_removal(&self, arguments: impl FnOnce(&mut ArgumentSink<'_>)) {
        let allocations = Allocations::among(arguments);
        let mut used = lock(&self.used);
        used.removals += 1;
        for one in &mut used.sets {
            if allocations.sets.iter().any(|gone| Arc::ptr_eq(one.set(), gone)) {
                one.leave();
            }
        }
        // These may be the last references to their objects: they are dropped without the lock.
        drop(used);
    }

    pub(super) fn end_removal(&self) {
        let mut used = lock(&self.used);
        used.removals -= 1;
        if used.removals > 0 {
            return;
        }
        let (gone, rest): (Vec<_>, _) = used.sets.drain(..).partition(SetUse::is_leaving);
        used.sets = rest;
        // These may be the last references to their objects: they are dropped without the lock.
        drop(used);
        drop(gone);
    }

    /// Called before the command buffer makes an encoder: from now on it may use the residency sets of its queue.
    pub(crate) fn encode(&self, commands: &Object) {
        let Some(queue) = tracker_of_queue(commands) else { return };
        let sets: Vec<_> = lock(&queue.used).sets.iter().map(|one| Arc::clone(one.set())).collect();
        let mut used = lock(&self.used);
        for set in sets {
            if !used.sets.iter().any(|known| Arc::ptr_eq(known.set(), &set)) {
                used.sets.push(SetUse::by_commands_of_queue(set));
            }
        }
    }

    /// Called before the command buffer is committed.
    pub(crate) fn submit(&self, commands: &Object) -> Result<(), Busy> {
        let mut used = lock(&self.used);
        // A list of its own: members of a set may be used by more command buffers than those that the set was meant for.
        let mut by_sets = Uses::default();
        used.record_sets(&mut by_sets);
        if let Some(queue) = tracker_of_queue(commands) {
            lock(&queue.used).record_sets(&mut by_sets);
        }
        if used.uses.list.is_empty() && by_sets.list.is_empty() {
            return Ok(());
        }
        let flight = FlightRef::new(commands);
        let mut ended = EndedFlights::default();
        let result =
            [(&used.uses, false), (&by_sets, true)].into_iter().try_for_each(|(uses, by_set)| {
                let mut list = uses.list.iter();
                list.try_for_each(|one| {
                    let kind = UseKind { writes: one.writes, by_set, begun: one.begun };
                    one.record.submit(&flight, kind, &mut ended)
                })
            });
        let (mut done, mut sets) = (Uses::default(), Vec::new());
        match result {
            Ok(()) => {
                self.is_listed.store(false, Release);
                (done, sets) = (std::mem::take(&mut used.uses), std::mem::take(&mut used.sets));
            }
            // It stays as it was, and may be submitted later.
            Err(_) => flight.ended.store(true, Release),
        }
        // Last references are dropped without the lock.
        drop(used);
        drop((by_sets, sets, ended));
        done.retire();
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EncoderUses, Footprint};
    use super::*;

    #[test]
    fn a_tracker_is_used_again_without_its_uses() {
        let memory = [0u64; 1];
        let start = memory.as_ptr().addr();
        let footprint = Footprint::of(start..start + 8);
        let encode = |tracker: &Arc<Tracker>| {
            let encoder = EncoderUses::default();
            encoder.begin(tracker);
            encoder.bind(Some(&footprint), 0);
            encoder.end();
            assert!(footprint.is_encoded());
        };
        let first = Tracker::new();
        let address = Arc::as_ptr(&first);
        encode(&first);
        Tracker::recycle(first);
        assert!(!footprint.is_encoded());
        let again = Tracker::new();
        assert_eq!(Arc::as_ptr(&again), address);
        assert!(again.take().list.is_empty());
        // A clone of the command buffer still has this one.
        encode(&again);
        Tracker::recycle(Arc::clone(&again));
        assert_ne!(Arc::as_ptr(&Tracker::new()), address);
        assert!(footprint.is_encoded());
    }
}
