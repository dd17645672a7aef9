//! A ring as threads share it: its state, which a lock guards, the right to submit, and waiting for changes.

use super::error::RingError;
use super::options::RingOptions;
use super::state::State;
use crate::Gpu;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A ring: its state, and the condition variables that threads wait for.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) opened: Instant,
}

/// The state, locked. When it is unlocked, the threads and tasks that the changes concern are woken.
///
/// Wakers are code of other crates: they may poll a task at once, drop its last reference, or panic. So they are called and
/// dropped without the lock, and never by the thread that has the engine, which they might wait for.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    core: &'a Core,
    state: Option<MutexGuard<'a, State>>,
    /// This thread has the engine, so the wakers are left to the next thread that unlocks the state.
    pub(super) defers: bool,
}

const LOCKED: &str = "the state is locked until the guard is dropped";

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state.as_ref().expect(LOCKED)
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state.as_mut().expect(LOCKED)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        let notify = std::mem::take(&mut state.changed) && state.sleepers > 0;
        let (mut ready, mut gone) = (Vec::new(), Vec::new());
        if !self.defers {
            std::mem::swap(&mut ready, &mut state.ready);
            std::mem::swap(&mut gone, &mut state.gone);
        }
        drop(state);
        if notify {
            self.core.changed.notify_all();
        }
        // This thread may have nothing to do with the task, and other tasks are to be woken too: the panic of a waker,
        // which the panic hook has reported, ends here.
        for waker in ready {
            _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        for waker in gone {
            _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
        }
    }
}

impl Core {
    pub(super) fn open(gpu: &Gpu, options: RingOptions) -> Result<Arc<Self>, RingError> {
        let state = Mutex::new(State::new(gpu, options)?);
        Ok(Arc::new(Self { state, changed: Condvar::new(), opened: Instant::now() }))
    }

    /// The state; a submission may run.
    pub(super) fn lock(&self) -> Guard<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { core: self, state: Some(state), defers: false }
    }

    /// Waits for a change, up to a time limit. It also returns without one.
    pub(super) fn wait<'a>(&'a self, mut guard: Guard<'a>, time: Option<Duration>) -> Guard<'a> {
        if !guard.ready.is_empty() || !guard.gone.is_empty() {
            // Running and dropping those may cause the change that is waited for.
            drop(guard);
            return self.lock();
        }
        if std::mem::take(&mut guard.changed) && guard.sleepers > 0 {
            self.changed.notify_all();
        }
        guard.sleepers += 1;
        let Some(state) = guard.state.take() else { return guard };
        let state = match time {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        guard.state = Some(state);
        guard.sleepers -= 1;
        guard
    }

    /// The state, when no submission runs. Threads that wait for it are served in the order in which they came, before the
    /// next submission.
    pub(super) fn settled(&self) -> Guard<'_> {
        let mut state = self.lock();
        if state.is_free() {
            return state;
        }
        state.tickets += 1;
        let ticket = state.tickets;
        state.queue.push_back(ticket);
        while state.engine.is_none() || state.queue.front() != Some(&ticket) {
            state = self.wait(state, None);
        }
        state.queue.pop_front();
        state.changed = true;
        state
    }

    /// The same, unless the ring was shut down.
    pub(super) fn idle(&self) -> Result<Guard<'_>, RingError> {
        let state = self.settled();
        if state.closed { Err(RingError::Closed) } else { Ok(state) }
    }
}
