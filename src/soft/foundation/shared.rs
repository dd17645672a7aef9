//! The contents of a collection. The methods of mutable collections replace it; those of all collections read it.

use crate::soft::fork::lock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// The contents of a collection.
#[derive(Default)]
pub(super) struct Shared<T> {
    now: Mutex<Arc<T>>,
    changes: AtomicUsize,
}

impl<T: Clone + Default> Shared<T> {
    pub(super) fn new(contents: T) -> Self {
        Self { now: Mutex::new(Arc::new(contents)), changes: AtomicUsize::new(0) }
    }

    /// The contents as they are now.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&lock(&self.now))
    }

    /// Changes the contents. A change may send messages to the objects, and these may use the collection, which is
    /// empty meanwhile; so no lock is held.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut contents = std::mem::take(&mut *lock(&self.now));
        let result = change(Arc::make_mut(&mut contents));
        self.changes.fetch_add(1, Relaxed);
        // Objects that were added meanwhile are dropped after the lock is released.
        let _old = std::mem::replace(&mut *lock(&self.now), contents);
        result
    }

    /// How often the contents have changed. Loops over the collection compare what is at this address.
    pub(super) fn changes(&self) -> *const usize {
        self.changes.as_ptr()
    }
}
