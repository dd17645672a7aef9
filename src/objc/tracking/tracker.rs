//! Marks the memory of a command buffer and of its residency sets as in flight when it is submitted.

use super::flight::Flight;
use super::record::{Busy, Manner, Over};
use super::uses::{Kept, Uses};
use super::{Moment, Passed, Residents, bare, lock};
use crate::objc::object::Object;
use crate::objc::selector::CachedSelector;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex};

/// The memory that a command buffer uses; shared by its wrapper and the wrappers of its encoders. Queues have a tracker
/// too, of the memory that all their command buffers may use.
#[derive(Debug, Default)]
pub struct Tracker {
    /// Whether the fields below ever had an entry.
    used: AtomicBool,
    /// Empty while an encoder has them.
    uses: Mutex<Uses>,
    /// Residency sets, by their members.
    sets: Mutex<Vec<Arc<Residents>>>,
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

/// Records that all command buffers of a queue may use the arguments of a message to the queue, or no longer do.
#[inline(always)]
pub(crate) fn change_queue(
    queue: &Object,
    moment: Moment,
    arguments: impl FnOnce(&mut Passed<'_>),
) {
    match moment {
        Moment::Keep => keep_for_queue(queue, arguments),
        Moment::Remove => {
            let known = lock(&QUEUES);
            let tracker = known.get(&queue.as_raw().as_ptr().addr());
            let tracker = tracker.map(|kept| Arc::clone(&kept.tracker));
            drop(known);
            if let Some(tracker) = tracker {
                tracker.forget(arguments);
            }
        }
        _ => {}
    }
}

fn keep_for_queue(queue: &Object, arguments: impl FnOnce(&mut Passed<'_>)) {
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
    /// Whether an encoder has returned uses, or something else has recorded one.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Acquire)
    }

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
        // Finding the records may run any code, so they are collected before the lists are locked.
        let mut kept = Kept::of(arguments);
        self.used.store(true, Release);
        let mut uses = lock(&self.uses);
        for record in kept.resources.iter().flat_map(|(_, records)| records) {
            uses.note(record, true);
        }
        drop(uses);
        lock(&self.sets).append(&mut kept.sets);
    }

    /// Residency sets that a message passes are no longer used.
    fn forget(&self, arguments: impl FnOnce(&mut Passed<'_>)) {
        let kept = Kept::of(arguments);
        let is_gone = |set: &Arc<Residents>| kept.sets.iter().any(|gone| Arc::ptr_eq(set, gone));
        let mut sets = lock(&self.sets);
        let (gone, rest): (Vec<_>, _) = sets.drain(..).partition(is_gone);
        *sets = rest;
        // What may be the last reference to something is dropped without the lock.
        drop(sets);
        drop(gone);
    }

    /// Adds the present members of the residency sets.
    fn note_sets(&self, uses: &mut Uses) {
        lock(&self.sets).iter().for_each(|set| set.note_in(uses));
    }

    /// Called before the command buffer is committed.
    pub(crate) fn submit(&self, commands: &Object) -> Result<(), Busy> {
        if !self.is_used() && !ANY_QUEUES.load(Acquire) {
            return Ok(());
        }
        let submitting = lock(&self.submitting);
        let uses = self.take();
        // Apart, because what is in a set may be used by more command buffers than those that it was meant for.
        let mut by_sets = Uses::default();
        self.note_sets(&mut by_sets);
        if ANY_QUEUES.load(Acquire) {
            static QUEUE: CachedSelector = CachedSelector::new("commandQueue\0");
            // SAFETY: command buffers have this property.
            let queue = unsafe { bare::<crate::abi::Id>(commands, &QUEUE) };
            if let Some(kept) = lock(&QUEUES).get(&queue.as_ptr().addr()) {
                kept.tracker.note_sets(&mut by_sets);
            }
        }
        if uses.list.is_empty() && by_sets.list.is_empty() {
            return Ok(());
        }
        let flight = Flight::new(commands);
        let mut over = Over::default();
        let result =
            [(&uses, false), (&by_sets, true)].into_iter().try_for_each(|(uses, by_set)| {
                let mut list = uses.list.iter();
                list.try_for_each(|one| {
                    let manner = Manner { writes: one.writes, by_set, begun: one.begun };
                    one.record.submit(&flight, manner, &mut over)
                })
            });
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
        drop((rest, by_sets, over));
        result
    }
}
