//! What a residency set holds, for the command buffers that use the set.

use super::record::Record;
use super::uses::{Kept, Uses};
use super::{Moment, Passed, lock};
use crate::objc::object::Object;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

/// The memory of a residency set's allocations, by the addresses of their objects: of those that were added, until
/// their removal is committed.
#[derive(Debug, Default)]
pub(crate) struct Residents(Mutex<BTreeMap<usize, Member>>);

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

/// Records that are counted with the footprints, since no command buffer was encoded with them.
#[derive(Debug, Default)]
struct Counted(Vec<Arc<Record>>);

impl Counted {
    fn add(&mut self, records: Vec<Arc<Record>>) {
        for record in records {
            if !self.0.iter().any(|known| Arc::ptr_eq(known, &record)) {
                record.count();
                self.0.push(record);
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.iter().for_each(|record| record.discount());
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
            Moment::Clear => lock(&self.0).values_mut().for_each(|member| member.removed = true),
            Moment::Commit => self.commit(),
            _ => {}
        }
    }

    fn add(&self, kept: Kept) {
        let mut members = lock(&self.0);
        for (object, records) in kept.resources {
            let member = members.entry(object).or_default();
            member.removed = false;
            member.records.add(records);
        }
    }

    fn remove(&self, kept: &Kept) {
        let mut members = lock(&self.0);
        for (object, _) in &kept.resources {
            if let Some(member) = members.get_mut(object) {
                member.removed = true;
            }
        }
    }

    fn commit(&self) {
        let mut gone = Vec::new();
        lock(&self.0).retain(|_, member| {
            if member.removed {
                gone.push(std::mem::take(&mut member.records));
            }
            !member.removed
        });
        // What may be the last reference to a record is dropped without the lock.
        drop(gone);
    }

    /// Notes what the set holds now as written.
    pub(super) fn note_in(&self, uses: &mut Uses) {
        for record in lock(&self.0).values().flat_map(|member| &member.records.0) {
            uses.note(record, true);
        }
    }
}
