//! Command buffers that are watched, without keeping them from being dropped.

use super::flight::{COMMITTED, COMPLETED, status, wait_for};
use super::lock;
use crate::objc::object::Object;
use std::sync::Mutex;

/// A command buffer as others may see it: its wrappers share this, and the last of them records here how it ended.
#[derive(Debug)]
pub(crate) struct Watched(Mutex<Slot>);

#[derive(Debug)]
enum Slot {
    /// It has a wrapper.
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
    /// Watches a command buffer that has a wrapper.
    pub(super) fn new(commands: &Object) -> Self {
        Self(Mutex::new(Slot::Wrapped(commands.clone())))
    }

    /// Called when the last wrapper is dropped. A reference to a command buffer that nothing can submit would keep what its handlers
    /// own, which may be what is watched.
    pub(super) fn release(&self) {
        let mut slot = lock(&self.0);
        let before = std::mem::replace(&mut *slot, Slot::Dropped);
        let unused = match before {
            Slot::Wrapped(object) if status(&object) >= COMMITTED => {
                *slot = Slot::Submitted(object);
                return;
            }
            unused => unused,
        };
        // Dropping it may run any code: it is done without the lock.
        drop(slot);
        drop(unused);
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

    /// Waits until it has ended; returns `false` at once if the program can still submit it.
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
