//! The runtime's one lock, and the data that only its holder touches.
//!
//! A warm message takes no lock. What changes classes, selectors or caches, and every lookup that
//! misses a cache, runs under this one. No code of a class is ever called with the lock held.

use super::class::Classes;
use super::protocol::Protocols;
use super::selector::Selectors;
use crate::soft::fork;
use std::cell::UnsafeCell;
use std::sync::{LazyLock, Mutex, MutexGuard, Once};

/// The runtime's tables, by name.
pub(super) struct Tables {
    pub(super) selectors: Selectors,
    pub(super) classes: Classes,
    pub(super) protocols: Protocols,
}

static TABLES: LazyLock<Mutex<Tables>> = LazyLock::new(|| {
    Mutex::new(Tables {
        selectors: Selectors::default(),
        classes: Classes::default(),
        protocols: Protocols::default(),
    })
});

/// The proof that the lock is held. There is never more than one.
pub(super) struct Lock(MutexGuard<'static, Tables>);

impl Lock {
    /// Waits for the lock.
    pub(super) fn take() -> Self {
        static FORKS: Once = Once::new();
        static FILLED: Once = Once::new();
        FORKS.call_once(super::fork::watch_forks);
        // A panic under the lock leaves whole entries: each table changes by one insertion.
        let mut lock = Self(fork::lock(&TABLES));
        FILLED.call_once(|| {
            super::copies::refuse_others();
            super::selector::intern_known(&mut lock);
            super::class::list_declared(&mut lock);
            super::protocol::list_described(&mut lock);
        });
        lock
    }
}

impl std::ops::Deref for Lock {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.0
    }
}

impl std::ops::DerefMut for Lock {
    fn deref_mut(&mut self) -> &mut Tables {
        &mut self.0
    }
}

/// A shared value that only the holder of the lock reads or writes.
pub(super) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: every access borrows the lock, of which there is one; access moves between threads with it.
unsafe impl<T: Send + Sync> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(super) fn get<'a>(&'a self, _: &'a Lock) -> &'a T {
        // SAFETY: a writer would borrow the lock exclusively, and there is only one lock.
        unsafe { &*self.0.get() }
    }

    pub(super) fn get_mut<'a>(&'a self, _: &'a mut Lock) -> &'a mut T {
        // SAFETY: the exclusive borrow of the only lock excludes every other access.
        unsafe { &mut *self.0.get() }
    }
}
