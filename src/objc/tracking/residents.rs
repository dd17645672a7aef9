//! The members of a residency set, for command buffers that use the set.

use super::flight::{next_number, take_number};
use super::record::RecordRef;
use super::uses::{Allocations, Uses};
use super::{ArgumentSink, MessageUse, lock};
use crate::objc::object::Object;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// The members of a residency set, and the command buffers that use the set and were not submitted.
#[derive(Debug, Default)]
pub(crate) struct Residents {
    members: Mutex<Members>,
    encoded: Arc<Encoded>,
}

#[derive(Debug, Default)]
struct Members {
    /// The memory of the set's allocations, by the addresses of their objects: of those that were added, until their
    /// removal is committed.
    present: BTreeMap<usize, Member>,
    /// Members whose removal was committed, while a command buffer that is not submitted has them by its use of the set.
    removed: Vec<Counted>,
    /// When the command buffers that captured the members began to use the set.
    capture_epochs: Vec<u64>,
}

impl Members {
    /// The records that a use of the set covers: those of the present members, and of members that were removed after they were
    /// captured.
    fn records(&self, captured: Option<u64>) -> impl Iterator<Item = &RecordRef> {
        let is_captured = move |one: &&Counted| captured.is_some_and(|begun| one.set.has(begun));
        let removed = self.removed.iter().filter(is_captured);
        self.present
            .values()
            .map(|member| &member.records)
            .chain(removed)
            .flat_map(|one| &one.records)
    }
}

/// When the command buffers that use a set, and were not submitted, began to use it. The records of the set's members refer
/// to it, too.
#[derive(Debug, Default)]
pub(super) struct Encoded(Mutex<Vec<u64>>);

impl Encoded {
    /// Whether one of them began before an epoch.
    pub(super) fn is_used_before(&self, number: u64) -> bool {
        lock(&self.0).iter().any(|&begun| begun < number)
    }

    fn has(&self, begun: u64) -> bool {
        lock(&self.0).contains(&begun)
    }

    /// Removes one, and says whether another is left.
    fn remove(&self, begun: u64) -> bool {
        let mut all = lock(&self.0);
        remove(&mut all, begun);
        !all.is_empty()
    }
}

fn remove(all: &mut Vec<u64>, one: u64) {
    if let Some(index) = all.iter().position(|&known| known == one) {
        all.swap_remove(index);
    }
}

/// The use of a set by a command buffer that was not submitted, or by a queue.
#[derive(Debug)]
pub(super) struct SetUse {
    set: Arc<Residents>,
    by: User,
}

#[derive(Clone, Copy, Debug)]
enum User {
    /// A command buffer that `useResidencySet:` was sent to, which captured the members. With the epoch in which the use began.
    Commands(u64),
    /// A command buffer of a queue that uses the set: the members at the submission count.
    QueueCommands(u64),
    Queue,
    /// A queue to which the message is sent that removes the set.
    LeavingQueue,
}

impl SetUse {
    pub(super) fn by_commands(set: Arc<Residents>) -> Self {
        Self::begin(set, User::Commands)
    }

    pub(super) fn by_commands_of_queue(set: Arc<Residents>) -> Self {
        Self::begin(set, User::QueueCommands)
    }

    pub(super) fn by_queue(set: Arc<Residents>) -> Self {
        Self { set, by: User::Queue }
    }

    fn begin(set: Arc<Residents>, by: fn(u64) -> User) -> Self {
        // Questions about a later epoch include this use.
        let begun = take_number();
        let by = by(begun);
        lock(&set.encoded.0).push(begun);
        if let User::Commands(_) = by {
            lock(&set.members).capture_epochs.push(begun);
        }
        Self { set, by }
    }

    pub(super) fn set(&self) -> &Arc<Residents> {
        &self.set
    }

    /// The set is about to leave the queue.
    pub(super) fn leave(&mut self) {
        self.by = User::LeavingQueue;
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.by, User::LeavingQueue)
    }

    /// Records that a command buffer that is submitted may write all members.
    pub(super) fn record_in(&self, uses: &mut Uses) {
        let (begun, captured) = match self.by {
            User::Commands(begun) => (begun, Some(begun)),
            User::QueueCommands(begun) => (begun, None),
            User::Queue | User::LeavingQueue => (next_number(), None),
        };
        for record in lock(&self.set.members).records(captured) {
            uses.record_set_use(record, begun);
        }
    }
}

impl Drop for SetUse {
    fn drop(&mut self) {
        let begun = match self.by {
            User::Commands(begun) | User::QueueCommands(begun) => begun,
            User::Queue | User::LeavingQueue => return,
        };
        remove(&mut lock(&self.set.encoded.0), begun);
        if let User::Commands(_) = self.by {
            let mut members = lock(&self.set.members);
            remove(&mut members.capture_epochs, begun);
            let (removed, gone) = std::mem::take(&mut members.removed)
                .into_iter()
                .partition(|one| one.set.remove(begun));
            members.removed = removed;
            drop(members);
            // These may be the last references to records: they are dropped without the lock.
            drop::<Vec<_>>(gone);
        }
    }
}

/// The members of one set, which all wrappers of the set share.
#[derive(Debug)]
pub(crate) struct SharedResidents {
    residents: Arc<Residents>,
    /// The address of the set's object.
    key: usize,
}

/// By the addresses of the objects: sets that have a wrapper.
static WRAPPED: Mutex<BTreeMap<usize, Weak<SharedResidents>>> = Mutex::new(BTreeMap::new());

impl SharedResidents {
    /// The members of a set, as far as its present wrappers have added them.
    pub(crate) fn of(set: &Object) -> Arc<Self> {
        let key = set.as_raw().as_ptr().addr();
        let mut wrapped = lock(&WRAPPED);
        let known = wrapped.entry(key).or_default();
        known.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self { residents: Arc::default(), key });
            *known = Arc::downgrade(&new);
            new
        })
    }

    pub(crate) fn residents(&self) -> &Arc<Residents> {
        &self.residents
    }
}

impl Drop for SharedResidents {
    fn drop(&mut self) {
        let mut wrapped = lock(&WRAPPED);
        // Another thread may have wrapped the set again meanwhile.
        if wrapped.get(&self.key).is_some_and(|known| known.strong_count() == 0) {
            wrapped.remove(&self.key);
        }
    }
}

#[derive(Debug, Default)]
struct Member {
    records: Counted,
    /// It leaves with the next commit.
    removed: bool,
}

/// Records that a set refers to.
#[derive(Debug, Default)]
struct Counted {
    records: Vec<RecordRef>,
    /// The uses that the records refer to.
    set: Arc<Encoded>,
}

impl Counted {
    fn add(&mut self, records: Vec<RecordRef>, set: &Arc<Encoded>) {
        self.set = Arc::clone(set);
        for record in records {
            if !self.records.iter().any(|known| known.is_same(&record)) {
                record.add_set(set);
                self.records.push(record);
            }
        }
    }

    /// The records refer to these uses instead.
    fn used_by(mut self, set: &Arc<Encoded>) -> Self {
        for record in &self.records {
            record.add_set(set);
            record.remove_set(&self.set);
        }
        self.set = Arc::clone(set);
        self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for record in &self.records {
            record.remove_set(&self.set);
        }
    }
}

impl Residents {
    /// A message is about to be sent to the set.
    #[inline(always)]
    pub(crate) fn sending(
        &self,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        match message_use {
            // Finding the records may run any code, so that they are collected before the list is locked.
            MessageUse::MakeResident => self.add(Allocations::among(arguments)),
            MessageUse::Remove => self.remove(&Allocations::among(arguments)),
            MessageUse::Clear => {
                lock(&self.members).present.values_mut().for_each(|member| member.removed = true);
            }
            _ => {}
        }
    }

    /// A message was sent to the set. The set has what is removed until it has committed: another thread may submit until then.
    #[inline(always)]
    pub(crate) fn sent(&self, message_use: MessageUse) {
        if message_use == MessageUse::Commit {
            self.commit();
        }
    }

    fn add(&self, allocations: Allocations) {
        let mut members = lock(&self.members);
        for (object, records) in allocations.resources {
            let member = members.present.entry(object).or_default();
            member.removed = false;
            member.records.add(records, &self.encoded);
        }
    }

    fn remove(&self, allocations: &Allocations) {
        let mut members = lock(&self.members);
        for (object, _) in &allocations.resources {
            if let Some(member) = members.present.get_mut(object) {
                member.removed = true;
            }
        }
    }

    fn commit(&self) {
        let mut gone = Vec::new();
        let mut members = lock(&self.members);
        members.present.retain(|_, member| {
            if member.removed {
                gone.push(std::mem::take(&mut member.records));
            }
            !member.removed
        });
        if !members.capture_epochs.is_empty() {
            let capture_epochs = Arc::new(Encoded(Mutex::new(members.capture_epochs.clone())));
            members.removed.extend(gone.drain(..).map(|records| records.used_by(&capture_epochs)));
        }
        drop(members);
        // These may be the last references to records: they are dropped without the lock.
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Footprint, LazyFootprint, Object, Tracker};
    use super::*;
    use crate::abi::Id;

    fn has(uses: impl Fn(&mut Uses)) -> bool {
        let mut found = Uses::default();
        uses(&mut found);
        !found.list.is_empty()
    }

    /// Another thread may submit after a hook was called and before its message arrives: what leaves is in use until then.
    #[test]
    fn members_leave_after_the_message() {
        let memory = [0u64; 1];
        let start = memory.as_ptr().addr();
        let footprint = LazyFootprint::new();
        footprint.get(|| Some(Footprint::of(start..start + 8)));
        // SAFETY: nil may be wrapped.
        let nil = unsafe { Object::borrowed(Id::NIL) };
        let set = Arc::<Residents>::default();
        let member =
            |passed: &mut ArgumentSink<'_>| passed.resource(&nil, &footprint, |_| None, || false);
        let queue = SetUse::by_queue(Arc::clone(&set));
        let is_noted = || has(|uses| queue.record_in(uses));
        for clear in [false, true] {
            set.sending(MessageUse::MakeResident, member);
            assert!(is_noted());
            match clear {
                true => set.sending(MessageUse::Clear, |_| ()),
                false => set.sending(MessageUse::Remove, member),
            }
            set.sending(MessageUse::Commit, |_| ());
            assert!(is_noted());
            set.sent(MessageUse::Commit);
            assert!(!is_noted());
        }
    }

    #[test]
    fn sets_leave_a_queue_after_the_message() {
        let sets = [Arc::<Residents>::default(), Arc::default()];
        let tracker = Tracker::default();
        let has = |number: usize| tracker.has_set(&sets[number]);
        let pass = |number: usize| {
            let set = &sets[number];
            move |passed: &mut ArgumentSink<'_>| passed.set(set)
        };
        tracker.use_allocations_of_queue(pass(0));
        tracker.use_allocations_of_queue(pass(1));
        tracker.begin_removal(pass(0));
        assert!(has(0) && has(1));
        // Another thread removes another one at the same time, and the first set is added again meanwhile.
        tracker.begin_removal(pass(1));
        tracker.end_removal();
        assert!(has(0) && has(1));
        tracker.use_allocations_of_queue(pass(0));
        tracker.end_removal();
        assert!(has(0) && !has(1));
    }
}
