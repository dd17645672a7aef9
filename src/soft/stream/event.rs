//! The counters of events, and what waits for their values.

use super::label::Label;
use super::stall::{self, Watched};
use crate::soft::fork::{is_forked, lock};
use crate::soft::kernel::sanitize::SharedClock;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A counter, and what waits for it. A signal owns its waiters, so a waiter that does not end by itself must not own the
/// signal: it would keep it alive for ever.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) label: Label,
    /// The work that is ordered before its waiters, for checks.
    pub(crate) clock: SharedClock,
}

#[derive(Default)]
struct State {
    value: u64,
    waiters: Vec<Waiter>,
}

/// Why a waiter is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The value that it waited for is reached; this is the current one.
    Reached(u64),
    /// The watchdog ended the wait: the current value, and how long nothing has run.
    GivenUp(u64, Duration),
}

/// A waiter for a value.
pub(crate) struct Waiter {
    value: u64,
    /// The watch over the wait, if the watchdog may end it.
    watched: Option<Watched>,
    wake: Box<dyn FnOnce(Wake) + Send>,
}

impl Signal {
    pub(crate) fn value(&self) -> u64 {
        lock(&self.state).value
    }

    /// A queue's signal: the counter never goes back.
    pub(crate) fn raise(&self, value: u64) {
        self.change(|old| old.max(value));
    }

    /// Changes the value and wakes what waits for it.
    pub(crate) fn change(&self, new: impl FnOnce(u64) -> u64) {
        stall::note_activity();
        let mut state = lock(&self.state);
        let value = new(state.value);
        state.value = value;
        let woken: Vec<_> = state.waiters.extract_if(.., |waiter| waiter.value <= value).collect();
        drop(state);
        self.changed.notify_all();
        for waiter in woken {
            (waiter.wake)(Wake::Reached(value));
        }
    }

    /// Calls `wake` when a value is reached. Returns the current value instead if it is reached already; then `wake` is
    /// not called.
    pub(crate) fn when_reached(
        &self,
        value: u64,
        wake: impl FnOnce(Wake) + Send + 'static,
    ) -> Option<u64> {
        self.add(Waiter { value, watched: None, wake: Box::new(wake) })
    }

    /// The same, but the watchdog may end the wait.
    pub(crate) fn when_reached_or_given_up(
        self: &Arc<Self>,
        value: u64,
        wake: impl FnOnce(Wake) + Send + 'static,
    ) -> Option<u64> {
        let signal = Arc::downgrade(self);
        let watched = stall::watch(move |number, silence| {
            if let Some(signal) = signal.upgrade() {
                signal.give_up(number, silence);
            }
        });
        self.add(Waiter { value, watched: Some(watched), wake: Box::new(wake) })
    }

    fn add(&self, waiter: Waiter) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.value >= waiter.value {
            // The waiter is dropped after the lock is released.
            return Some(state.value);
        }
        state.waiters.push(waiter);
        None
    }

    /// Ends a watched wait. Does nothing if the value was reached meanwhile.
    fn give_up(&self, number: u64, silence: Duration) {
        let mut state = lock(&self.state);
        let is_it =
            |waiter: &Waiter| waiter.watched.as_ref().is_some_and(|watched| watched.is(number));
        let Some(index) = state.waiters.iter().position(is_it) else { return };
        let waiter = state.waiters.swap_remove(index);
        let value = state.value;
        drop(state);
        (waiter.wake)(Wake::GivenUp(value, silence));
    }

    /// Waits on this thread. Returns whether the value was reached in time. A forked process does not wait: no queue
    /// runs there.
    pub(crate) fn wait(&self, value: u64, timeout: Duration) -> bool {
        let timeout = if is_forked() { Duration::ZERO } else { timeout };
        let end = Instant::now().checked_add(timeout);
        let mut state = lock(&self.state);
        while state.value < value {
            let left = match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                // Later than clocks count.
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                return false;
            }
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }
}
