//! What a process that was forked from this one may do.
//!
//! `fork` copies the memory but only the thread that called it. The threads that run command buffers
//! are gone in the child, and a lock that another thread held stays locked for ever. So a child
//! refuses new work with an error, and waits for no lock without end. The runtime's own locks are held
//! while the process is copied, so that messages and owners always work in the child.

use super::fatal::fatal;
use super::lock::Lock;
use super::object::{Graveyard, graveyard};
use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Whether this process was forked from one that had used the runtime.
static FORKED: AtomicBool = AtomicBool::new(false);

/// What a child cannot do, and what to do about it: the end of an error message.
pub(crate) const AFTER_FORK: &str = "this process was forked from one that uses soft Metal, whose threads \
                                     do not exist here: use Metal after exec, or only in the child";

/// Has forks noted from now on.
pub(super) fn watch_forks() {
    type Handler = unsafe extern "C" fn();
    unsafe extern "C" {
        fn pthread_atfork(
            before: Option<Handler>,
            in_parent: Option<Handler>,
            in_child: Option<Handler>,
        ) -> c_int;
    }
    unsafe extern "C" fn before() {
        let locks = (Lock::take(), graveyard());
        let _ = HELD.try_with(|held| held.replace(Some(locks)));
    }
    unsafe extern "C" fn in_parent() {
        let _ = HELD.try_with(|held| held.take());
    }
    unsafe extern "C" fn in_child() {
        FORKED.store(true, Release);
        let _ = HELD.try_with(|held| held.take());
    }
    // SAFETY: the handlers take locks and give them back on the thread that forks. Without memory for
    // them forks are not noted.
    unsafe { pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

thread_local! {
    /// The runtime's locks, on a thread that is calling `fork`.
    static HELD: RefCell<Option<(Lock, MutexGuard<'static, Graveyard>)>> = const { RefCell::new(None) };
}

/// Whether this process was forked from one that had used the runtime.
pub(crate) fn is_forked() -> bool {
    FORKED.load(Acquire)
}

/// Locks data that no panic can leave half changed. A forked process that finds a lock held by a
/// thread of its parent ends with a message instead of waiting for ever.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => lock_held(mutex),
    }
}

#[cold]
fn lock_held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    /// No lock is held this long by a thread that exists.
    const LONG: Duration = Duration::from_secs(1);
    if !is_forked() {
        return mutex.lock().unwrap_or_else(PoisonError::into_inner);
    }
    let start = Instant::now();
    while start.elapsed() < LONG {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    fatal(format_args!("a lock was held by another thread when fork was called: {AFTER_FORK}"))
}
