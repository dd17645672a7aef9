//! Locks, and what a process that was forked from this one may do.
//!
//! `fork` copies the memory but only the thread that called it. The threads that run command buffers are gone in the
//! child, and a lock that another thread held stays locked for ever. So a child refuses new work with an error, and no
//! lock is waited for without end.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Whether this process was forked from one that had used the runtime.
static FORKED: AtomicBool = AtomicBool::new(false);

/// The limits of a child, and advice: the end of an error message.
pub(crate) const AFTER_FORK: &str = "this process was forked from one that uses soft Metal, whose threads \
                                     do not exist here: use Metal after exec, or only in the child";

/// Notes that this process has just been forked.
pub(crate) fn set_forked() {
    FORKED.store(true, Release);
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
    if is_forked() {
        wait_in_child(&|| !matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits in a forked process until a lock is free. No lock is then held by a thread that does not exist.
fn wait_in_child(is_free: &dyn Fn() -> bool) {
    /// No lock is held this long by a thread that exists.
    const LONG: Duration = Duration::from_secs(1);
    let start = Instant::now();
    while start.elapsed() < LONG {
        if is_free() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let why = "a lock was held by another thread when fork was called";
    // Straight to the descriptor: a test harness captures what `eprintln!` writes.
    let message = format!("aruminium: {why}: {AFTER_FORK}\n");
    let _ = std::io::stderr().write_all(message.as_bytes());
    std::process::abort()
}
