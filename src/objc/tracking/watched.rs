//! Command buffers that are watched, without keeping them from being dropped.

use super::flight::{COMMITTED, COMPLETED, status, wait_for};
use super::lock;
use crate::objc::object::Object;
use std::sync::Mutex;

/// A command buffer as others may see it: its wrappers share this, and the last of them says here what became of it.
#[derive(Debug)]
pub(crate) struct Watched(Mutex<Slot>);

#[derive(Debug)]
enum Slot {
    /// It has a wrapper. The reference is borrowed from the wrappers where these own one.
    Wrapped(Object),
    /// It was submitted, and its wrappers are gone.
    Submitted(Object),
    /// It was dropped without having been submitted.
    Dropped,
}

// SAFETY: command buffers may be used and released on any thread, one at a time, and their status may be read on any.
unsafe impl Send for Watched {}
// SAFETY: as above; the slot is locked.
unsafe impl Sync for Watched {}

impl Watched {
    /// Of a command buffer that has a wrapper. `owned`: every wrapper of it owns a reference.
    pub(super) fn new(commands: &Object, owned: bool) -> Self {
        let object = match owned {
            // SAFETY: the last wrapper calls `release` before it gives up its reference.
            true => unsafe { Object::borrowed(commands.as_raw()) },
            false => commands.clone(),
        };
        Self(Mutex::new(Slot::Wrapped(object)))
    }

    /// Called when the last wrapper is dropped, before it releases the object.
    pub(super) fn release(&self, commands: &Object) {
        let mut slot = lock(&self.0);
        let last = match &*slot {
            Slot::Wrapped(object) if status(object) >= COMMITTED => {
                Slot::Submitted(commands.clone())
            }
            _ => Slot::Dropped,
        };
        let before = std::mem::replace(&mut *slot, last);
        // It may have been a reference of its own: it is dropped without the lock.
        drop(slot);
        drop(before);
    }

    /// Whether the program can still submit it.
    pub(crate) fn is_unsubmitted(&self) -> bool {
        match &*lock(&self.0) {
            Slot::Wrapped(object) => status(object) < COMMITTED,
            Slot::Submitted(_) | Slot::Dropped => false,
        }
    }

    /// Whether it has completed or failed, or was dropped without having been submitted.
    pub(crate) fn is_over(&self) -> bool {
        match &*lock(&self.0) {
            Slot::Wrapped(object) | Slot::Submitted(object) => status(object) >= COMPLETED,
            Slot::Dropped => true,
        }
    }

    /// Waits until it is over; returns `false` at once if the program can still submit it.
    pub(crate) fn wait(&self) -> bool {
        let slot = lock(&self.0);
        let object = match &*slot {
            Slot::Dropped => return true,
            Slot::Wrapped(object) if status(object) < COMMITTED => return false,
            Slot::Wrapped(object) | Slot::Submitted(object) => object.clone(),
        };
        drop(slot);
        wait_for(&object);
        true
    }
}
