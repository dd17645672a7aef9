//! libdispatch's groups of jobs, jobs that run once, and jobs that run later.

use super::NSObject;
use super::dispatch::{Work, in_pool};
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::fatal::fatal;
use crate::soft::runtime::object::{Object, Strong};
use std::num::NonZero;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::*};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// A number of jobs that have not ended, and what runs when all have.
#[derive(Default)]
pub(super) struct Group {
    state: Mutex<State>,
    empty: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    /// Each submits a job.
    waiting: Vec<Work>,
}

soft_class! {
    /// A group of jobs.
    pub(super) class OS_dispatch_group(Group): NSObject;
}

impl Group {
    pub(super) fn object() -> Strong<Self> {
        Strong::new(Self::default())
    }

    /// Adds a job.
    pub(super) fn enter(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).inside += 1;
    }

    /// Removes a job. The last one starts what waits.
    pub(super) fn leave(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = state.inside.checked_sub(1) else {
            fatal(format_args!("dispatch_group_leave: the group was left more often than entered"));
        };
        state.inside = left;
        if left == 0 {
            let waiting = std::mem::take(&mut state.waiting);
            self.empty.notify_all();
            drop(state);
            waiting.into_iter().for_each(|submit| submit());
        }
    }

    /// Waits until no job is left, until `end` or without end. False if the time is over.
    pub(super) fn wait(&self, end: Option<Instant>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.inside > 0 {
            let Some(end) = end else {
                state = self.empty.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.empty.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Calls a function, which submits a job, when no job is left.
    pub(super) fn notify(&self, submit: Work) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.inside > 0 {
            state.waiting.push(submit);
            return;
        }
        drop(state);
        submit();
    }

    /// A job of this group: the group is left when it has run.
    pub(super) fn work(this: &Object<Self>, work: Work) -> Work {
        let group = this.retain();
        group.enter();
        Box::new(move || {
            work();
            group.leave();
        })
    }
}

/// Runs something unless that was done by the same variable. A call returns when it has run. The values of the variable are
/// those that clients compare it with: 0 before, -1 after.
pub(super) fn once(predicate: &AtomicIsize, run: impl FnOnce()) {
    const RUNNING: isize = 1;
    const DONE: isize = -1;
    static LOCK: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

    let (lock, ended) = &LOCK;
    let first = predicate.compare_exchange(0, RUNNING, Acquire, Acquire).is_ok();
    if first {
        run();
    }
    let mut guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    if first {
        predicate.store(DONE, Release);
        ended.notify_all();
    }
    while predicate.load(Acquire) != DONE {
        guard = ended.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Runs a job for each number below `count`, on several threads, and returns when all have ended.
pub(super) fn apply(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(number) = Some(next.fetch_add(1, Relaxed)).filter(|&number| number < count) {
            in_pool(|| work(number));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(count);
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(run)));
        run();
    });
}

/// Submits a job to a queue at an instant; never without one.
pub(super) fn later(when: Option<Instant>, submit: Work) {
    let Some(when) = when else { return };
    thread::spawn(move || {
        thread::sleep(when.saturating_duration_since(Instant::now()));
        submit();
    });
}
