//! A ring as threads share it: its state, which a lock guards, the right to submit, and waiting for changes.

use super::error::RingError;
use super::options::RingOptions;
use super::state::{State, Thread};
use crate::Gpu;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A ring: its state, and the condition variables that threads wait for.
#[derive(Debug)]
pub(super) struct Core {
    state: Mutex<State>,
    /// For the threads that wait for mail or for the end of a submission.
    changed: Condvar,
    /// For the ring's own thread.
    driver: Condvar,
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

/// Which threads are to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Concerned {
    pub(super) sleepers: bool,
    pub(super) driver: bool,
}

impl State {
    /// Takes the note that something changed; returns the threads that it concerned.
    pub(super) fn take_changed(&mut self) -> Concerned {
        let changed = std::mem::take(&mut self.changed);
        let driver = match self.driver {
            Thread::None | Thread::Awake => false,
            Thread::Waits => true,
            Thread::Lingers => self.wants_ticks() || self.closed,
        };
        Concerned { sleepers: changed && self.sleepers > 0, driver: changed && driver }
    }
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
        let concerned = state.take_changed();
        let (mut ready, mut gone) = (Vec::new(), Vec::new());
        if !self.defers {
            std::mem::swap(&mut ready, &mut state.ready);
            std::mem::swap(&mut gone, &mut state.gone);
        }
        drop(state);
        self.core.notify(concerned);
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
        let (changed, driver) = (Condvar::new(), Condvar::new());
        Ok(Arc::new(Self { state, changed, driver, opened: Instant::now() }))
    }

    /// The state; a submission may run.
    pub(super) fn lock(&self) -> Guard<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { core: self, state: Some(state), defers: false }
    }

    fn notify(&self, concerned: Concerned) {
        if concerned.sleepers {
            self.changed.notify_all();
        }
        if concerned.driver {
            self.driver.notify_one();
        }
    }

    /// Waits for a change, up to a time limit. It also returns without one.
    pub(super) fn wait<'a>(&'a self, guard: Guard<'a>, time: Option<Duration>) -> Guard<'a> {
        self.sleep(guard, None, time)
    }

    /// The same for the ring's own thread; `asleep` says which changes concern it.
    pub(super) fn wait_as_driver<'a>(
        &'a self,
        guard: Guard<'a>,
        asleep: Thread,
        time: Option<Duration>,
    ) -> Guard<'a> {
        self.sleep(guard, Some(asleep), time)
    }

    fn sleep<'a>(
        &'a self,
        mut guard: Guard<'a>,
        driver: Option<Thread>,
        time: Option<Duration>,
    ) -> Guard<'a> {
        if !guard.ready.is_empty() || !guard.gone.is_empty() {
            // Running and dropping those may cause the change that is waited for.
            drop(guard);
            return self.lock();
        }
        self.notify(guard.take_changed());
        match driver {
            None => guard.sleepers += 1,
            Some(asleep) => guard.driver = asleep,
        }
        let Some(state) = guard.state.take() else { return guard };
        let changed = if driver.is_some() { &self.driver } else { &self.changed };
        let state = match time {
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        guard.state = Some(state);
        match driver {
            None => guard.sleepers -= 1,
            Some(_) => guard.driver = Thread::Awake,
        }
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
