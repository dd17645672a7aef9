//! The atomic type of the counts of uses, and the numbers of threads. `tests/models` compiles `count.rs` with those of a model
//! checker instead.

use std::cell::Cell;
pub(super) use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// The number of this thread; 0 before it has one.
#[inline(always)]
pub(super) fn thread() -> u64 {
    THREAD.get()
}

/// The number of this thread, which gets one if it has none. No number is used again, so that no thread inherits a count.
pub(super) fn numbered_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if THREAD.get() == 0 {
        THREAD.set(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    THREAD.get()
}
