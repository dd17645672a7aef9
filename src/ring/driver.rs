//! The ring's own thread, which ticks while tasks wait or a guard of `Ring::start` lives.

use super::core::Core;
use super::error::RingError;
use super::state::{State, Thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long the thread waits for new work before it ends, and before it tries again what was refused.
const LINGER: Duration = Duration::from_millis(100);

/// Keeps a ring ticking until it is dropped; see [`Ring::start`](super::Ring::start).
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// let driver: aruminium::ring::Driver = ring.start()?;
/// drop(driver);
/// # Ok::<(), aruminium::ring::RingError>(())
/// ```
#[derive(Debug)]
#[must_use = "the ring stops ticking when this is dropped"]
pub struct Driver {
    core: Arc<Core>,
}

impl Driver {
    pub(super) fn new(core: &Arc<Core>) -> Result<Self, RingError> {
        let mut state = core.lock();
        if state.closed {
            return Err(RingError::Closed);
        }
        core.drive(&mut state)?;
        state.drivers += 1;
        Ok(Self { core: Arc::clone(core) })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.drivers -= 1;
        state.changed = true;
    }
}

impl Core {
    /// Wakes the thread, or starts it, because there is work or a task waits.
    pub(super) fn drive(self: &Arc<Self>, state: &mut State) -> Result<(), RingError> {
        state.changed = true;
        if state.driver == Thread::None {
            let core = Arc::clone(self);
            let thread = thread::Builder::new().name("aruminium ring".into());
            thread.spawn(move || core.ticking())?;
            state.driver = Thread::Awake;
        }
        Ok(())
    }

    fn ticking(&self) {
        let mut state = self.lock();
        let (mut needed, mut refused) = (Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            let next = state.expire(now);
            let wanted = !state.closed && state.wants_ticks();
            if wanted {
                needed = now;
            } else if state.closed || now.duration_since(needed) >= LINGER {
                state.driver = Thread::None;
                return;
            }
            if state.is_idle() {
                state.wake_calls();
            }
            let again = LINGER.saturating_sub(now.duration_since(refused));
            let waits = state.refused.is_some() && !again.is_zero();
            // Tasks whose time is over are woken first, which `wait` does.
            let ticks = wanted && state.work && state.is_free() && !waits;
            if !ticks || !state.ready.is_empty() {
                let (asleep, time) = if !wanted {
                    (Thread::Lingers, Some(LINGER))
                } else if waits {
                    (Thread::Waits, Some(next.map_or(again, |next| next.min(again))))
                } else {
                    (Thread::Waits, next)
                };
                state = self.wait_as_driver(state, asleep, time);
                continue;
            }
            // One submission at a time: when its guard is dropped, none begins after the one that runs. A panic, which the
            // panic hook has reported, refuses a submission as an error does.
            let run = AssertUnwindSafe(|| self.run_once(state, u64::MAX));
            let outcome = catch_unwind(run).unwrap_or_else(|_| {
                Err(RingError::Idle("the thread of the ring panicked, which is a defect".into()))
            });
            state = self.lock();
            if let Err(error) = outcome {
                refused = Instant::now();
                state.refused = Some(error.to_string());
                state.wake_all();
            }
        }
    }
}

impl State {
    /// Wakes tasks that wait for replies to calls, of which none can come.
    fn wake_calls(&mut self) {
        for seat in &mut self.seats {
            let calls = seat.post.waiters.extract_if(.., |waiter| waiter.ends_idle);
            self.ready.extend(calls.map(|waiter| waiter.waker));
        }
    }

    /// Wakes tasks whose time limit has passed; returns the time until the next limit.
    fn expire(&mut self, now: Instant) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        for seat in &mut self.seats {
            let waiters = &mut seat.post.waiters;
            let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
            let late = waiters.extract_if(.., |waiter| over(waiter.deadline));
            self.ready.extend(late.map(|waiter| waiter.waker));
            let left = waiters.iter().filter_map(|waiter| waiter.deadline).min();
            let left = left.map(|deadline| deadline.duration_since(now));
            next = [next, left].into_iter().flatten().min();
        }
        next
    }
}
