//! What a residency set holds, for the command buffers that use the set.

use super::flight::{next_number, take_number};
use super::record::Record;
use super::uses::{Kept, Uses};
use super::{Moment, Passed, lock};
use crate::objc::object::Object;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// What a residency set has, and the command buffers that use the set and were not submitted.
#[derive(Debug, Default)]
pub(crate) struct Residents {
    /// The memory of the set's allocations, by the addresses of their objects: of those that were added, until their
    /// removal is committed.
    members: Mutex<BTreeMap<usize, Member>>,
    encoded: Arc<Encoded>,
}

/// When the command buffers that use a set, and were not submitted, began to use it. The records of the set's members refer
/// to it, too.
#[derive(Debug, Default)]
pub(super) struct Encoded(Mutex<Vec<u64>>);

impl Encoded {
    /// Whether one of them began before a number was taken.
    pub(super) fn is_used_before(&self, number: u64) -> bool {
        lock(&self.0).iter().any(|&begun| begun < number)
    }
}

/// The use of a set by a command buffer that was not submitted, or by a queue.
#[derive(Debug)]
pub(super) struct SetUse {
    set: Arc<Residents>,
    /// When the command buffer began, which is listed; `None` for a queue.
    begun: Option<u64>,
}

impl SetUse {
    pub(super) fn by_commands(set: Arc<Residents>) -> Self {
        // What is asked about a later moment concerns it.
        let begun = take_number();
        lock(&set.encoded.0).push(begun);
        Self { set, begun: Some(begun) }
    }

    pub(super) fn by_queue(set: Arc<Residents>) -> Self {
        Self { set, begun: None }
    }

    pub(super) fn set(&self) -> &Arc<Residents> {
        &self.set
    }

    /// Notes what the set has as written by a command buffer that is submitted.
    pub(super) fn note_in(&self, uses: &mut Uses) {
        let begun = self.begun.unwrap_or_else(next_number);
        for record in lock(&self.set.members).values().flat_map(|member| &member.records.0) {
            uses.note_by_set(record, begun);
        }
    }
}

impl Drop for SetUse {
    fn drop(&mut self) {
        let Some(begun) = self.begun else { return };
        let mut encoded = lock(&self.set.encoded.0);
        if let Some(index) = encoded.iter().position(|&one| one == begun) {
            encoded.swap_remove(index);
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

/// Records that are counted with the footprints, since no command buffer was encoded with them; and what they have of the
/// set.
#[derive(Debug, Default)]
struct Counted(Vec<Arc<Record>>, Arc<Encoded>);

impl Counted {
    fn add(&mut self, records: Vec<Arc<Record>>, set: &Arc<Encoded>) {
        self.1 = Arc::clone(set);
        for record in records {
            if !self.0.iter().any(|known| Arc::ptr_eq(known, &record)) {
                record.count();
                record.enter(set);
                self.0.push(record);
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for record in &self.0 {
            record.leave(&self.1);
            record.discount();
        }
    }
}

impl Residents {
    /// A message is about to be sent to the set.
    #[inline(always)]
    pub(crate) fn sending(&self, moment: Moment, arguments: impl FnOnce(&mut Passed<'_>)) {
        match moment {
            // Finding the records may run any code, so that they are collected before the list is locked.
            Moment::Keep => self.add(Kept::of(arguments)),
            Moment::Remove => self.remove(&Kept::of(arguments)),
            Moment::Clear => {
                lock(&self.members).values_mut().for_each(|member| member.removed = true);
            }
            Moment::Commit => self.commit(),
            _ => {}
        }
    }

    fn add(&self, kept: Kept) {
        let mut members = lock(&self.members);
        for (object, records) in kept.resources {
            let member = members.entry(object).or_default();
            member.removed = false;
            member.records.add(records, &self.encoded);
        }
    }

    fn remove(&self, kept: &Kept) {
        let mut members = lock(&self.members);
        for (object, _) in &kept.resources {
            if let Some(member) = members.get_mut(object) {
                member.removed = true;
            }
        }
    }

    fn commit(&self) {
        let mut gone = Vec::new();
        lock(&self.members).retain(|_, member| {
            if member.removed {
                gone.push(std::mem::take(&mut member.records));
            }
            !member.removed
        });
        // These may be the last references to records: they are dropped without the lock.
        drop(gone);
    }
}
