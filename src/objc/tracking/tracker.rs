//! Marks the memory of a command buffer and of its residency sets as in flight when it is submitted.

use super::flight::Flight;
use super::record::Busy;
use super::uses::{Kept, Uses};
use super::{Passed, bare, lock};
use crate::objc::object::Object;
use crate::objc::selector::CachedSelector;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex};

/// The memory that a command buffer uses; shared by its wrapper and the wrappers of its encoders. Residency sets
/// and queues have a tracker too, of the memory that all their command buffers may use.
#[derive(Debug, Default)]
pub struct Tracker {
    /// Whether the fields below ever had an entry.
    used: AtomicBool,
    /// Empty while an encoder has them.
    uses: Mutex<Uses>,
    /// Residency sets, as the trackers of their members.
    sets: Mutex<Vec<Arc<Tracker>>>,
    /// Held while the command buffer is put in flight, so that a clone that is submitted at the same time is not
    /// committed before all records have it.
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

/// Whether `QUEUES` has an entry.
static ANY_QUEUES: AtomicBool = AtomicBool::new(false);

/// Records that all command buffers of a queue may use the arguments of a message to the queue.
pub(crate) fn keep_for_queue(queue: &Object, arguments: impl FnOnce(&mut Passed<'_>)) {
    let address = queue.as_raw().as_ptr().addr();
    let new = || KeptQueue { queue: queue.clone(), tracker: Arc::default() };
    let tracker = Arc::clone(&lock(&QUEUES).entry(address).or_insert_with(new).tracker);
    tracker.keep(arguments);
    ANY_QUEUES.store(true, Release);
}

/// Called before a wrapper of a queue releases it: forgets the residency sets of queues that have no other
/// reference. A queue that a command buffer refers to stays until a later call.
pub(crate) fn release_queue(queue: &Object) {
    static RETAIN_COUNT: CachedSelector = CachedSelector::new("retainCount\0");
    if !ANY_QUEUES.load(Acquire) {
        return;
    }
    let mut queues = lock(&QUEUES);
    let is_unused = |kept: &KeptQueue| {
        let ours = 1 + usize::from(kept.queue.as_raw() == queue.as_raw());
        // SAFETY: every object has this method.
        unsafe { bare::<usize>(&kept.queue, &RETAIN_COUNT) <= ours }
    };
    let unused: Vec<usize> =
        queues.iter().filter(|(_, kept)| is_unused(kept)).map(|(&address, _)| address).collect();
    let unused: Vec<_> = unused.iter().filter_map(|address| queues.remove(address)).collect();
    // Last references are dropped without the lock.
    drop(queues);
    drop(unused);
}

impl Tracker {
    /// Moves the uses to an encoder. If another encoder has them, the result is a new list.
    pub(super) fn take(&self) -> Uses {
        std::mem::take(&mut lock(&self.uses))
    }

    pub(super) fn give_back(&self, mut uses: Uses) {
        self.used.store(true, Release);
        let mut known = lock(&self.uses);
        if known.list.is_empty() {
            *known = uses;
        } else {
            known.list.append(&mut uses.list);
        }
    }

    /// Records that the arguments of a message may be written by commands that no encoder tracks.
    pub(crate) fn keep(&self, arguments: impl FnOnce(&mut Passed<'_>)) {
        // Finding the records may run any code, so they are collected before the list is locked. The list is extended
        // in place: a command buffer that is submitted meanwhile finds all members.
        let mut kept = Kept::of(arguments);
        self.used.store(true, Release);
        lock(&self.uses).keep(&kept.records);
        lock(&self.sets).append(&mut kept.sets);
    }

    /// Adds the present members of the residency sets.
    fn note_sets(&self, uses: &mut Uses) {
        for set in lock(&self.sets).iter() {
            for one in &lock(&set.uses).list {
                uses.note(&one.record, true);
            }
        }
    }

    /// Called before the command buffer is committed.
    pub(crate) fn submit(&self, commands: &Object) -> Result<(), Busy> {
        if !self.used.load(Acquire) && !ANY_QUEUES.load(Acquire) {
            return Ok(());
        }
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
        // Last references are dropped without the lock.
        drop(submitting);
        drop((rest, over));
        result
    }
}
