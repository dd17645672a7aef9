//! Committed command buffers, and whether they have ended.

use super::bare;
use crate::objc::object::Object;
use crate::objc::selector::CachedSelector;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// The number of the next flight; none is 0.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The number that the next flight gets: all that were committed before have lower ones.
#[inline]
pub(crate) fn next_number() -> u64 {
    NEXT.load(Acquire)
}

/// A number of its own, as a flight gets.
pub(crate) fn take_number() -> u64 {
    NEXT.fetch_add(1, AcqRel)
}

/// A committed command buffer.
pub(crate) struct Flight {
    /// Flights are numbered in the order of their commits.
    pub(super) number: u64,
    /// It has ended, or was never committed after all.
    pub(super) over: AtomicBool,
    commands: Object,
}

// SAFETY: the status of a committed command buffer may be read on any thread.
unsafe impl Send for Flight {}
// SAFETY: as above.
unsafe impl Sync for Flight {}

/// Values of `MTLCommandBufferStatus`.
pub(super) const COMMITTED: usize = 2;
pub(super) const COMPLETED: usize = 4;

/// The status of a command buffer.
pub(super) fn status(commands: &Object) -> usize {
    static STATUS: CachedSelector = CachedSelector::new("status\0");
    // SAFETY: command buffers have this property.
    unsafe { bare::<usize>(commands, &STATUS) }
}

/// Waits until a command buffer that was committed has completed or failed.
pub(super) fn wait_for(commands: &Object) {
    static WAIT: CachedSelector = CachedSelector::new("waitUntilCompleted\0");
    if status(commands) < COMPLETED {
        // SAFETY: the command buffer is committed, so that it ends.
        unsafe { bare::<()>(commands, &WAIT) }
    }
}

impl Flight {
    pub(super) fn new(commands: &Object) -> Arc<Self> {
        Arc::new(Self {
            number: take_number(),
            over: AtomicBool::new(false),
            commands: commands.clone(),
        })
    }

    /// Whether the command buffer has completed or failed.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Acquire)
            || status(&self.commands) >= COMPLETED && {
                self.over.store(true, Release);
                true
            }
    }

    /// Waits until the command buffer has completed or failed.
    pub(crate) fn wait(&self) {
        // The command buffer is recorded before it is committed, and waiting for it is an error until then.
        while !self.over.load(Acquire) && status(&self.commands) < COMMITTED {
            std::thread::yield_now();
        }
        if !self.over.load(Acquire) {
            wait_for(&self.commands);
        }
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Flight({:p}, status {})",
            self.commands.as_raw().as_ptr(),
            status(&self.commands)
        )
    }
}
