//! Committed command buffers, and whether they have ended.

use super::bare;
use crate::abi::Id;
use crate::objc::object::Object;
use crate::objc::selector::CachedSelector;
use std::cell::RefCell;
use std::fmt;
use std::mem::ManuallyDrop;
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
    pub(super) ended: AtomicBool,
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

/// A reference to a flight. When the last one is dropped, the thread keeps the memory for another flight.
#[derive(Clone, Debug)]
pub(crate) struct FlightRef(ManuallyDrop<Arc<Flight>>);

/// The most flights whose memory a thread keeps.
const MAX_SPARE: usize = 16;

thread_local! {
    /// Without command buffers.
    static SPARE: RefCell<Vec<Arc<Flight>>> = const { RefCell::new(Vec::new()) };
}

impl FlightRef {
    /// A command buffer that is about to be committed.
    pub(super) fn new(commands: &Object) -> Self {
        let commands = commands.clone();
        let flight = Flight { number: take_number(), ended: AtomicBool::new(false), commands };
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
        Self(ManuallyDrop::new(match spare {
            Some(mut spare) => {
                *Arc::get_mut(&mut spare).expect("only this thread has it") = flight;
                spare
            }
            None => Arc::new(flight),
        }))
    }
}

impl std::ops::Deref for FlightRef {
    type Target = Flight;

    #[inline]
    fn deref(&self) -> &Flight {
        &self.0
    }
}

impl Drop for FlightRef {
    fn drop(&mut self) {
        // SAFETY: it is not used after this.
        let mut flight = unsafe { ManuallyDrop::take(&mut self.0) };
        if Arc::strong_count(&flight) == 1
            && let Some(own) = Arc::get_mut(&mut flight)
        {
            // SAFETY: nil. Dropping the command buffer may run any code, such as this.
            own.commands = unsafe { Object::borrowed(Id::NIL) };
            _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < MAX_SPARE {
                    spare.push(flight);
                }
            });
        }
    }
}

impl Flight {
    /// Whether the command buffer has completed or failed.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Acquire)
            || status(&self.commands) >= COMPLETED && {
                self.ended.store(true, Release);
                true
            }
    }

    /// Waits until the command buffer has completed or failed.
    pub(crate) fn wait(&self) {
        // The command buffer is recorded before it is committed, and waiting for it is an error until then.
        while !self.ended.load(Acquire) && status(&self.commands) < COMMITTED {
            std::thread::yield_now();
        }
        if !self.ended.load(Acquire) {
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
