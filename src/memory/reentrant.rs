//! A reentrant lock: the thread that holds it may take it again.

use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A reentrant lock. Unlike a mutex it may be held while code runs that takes it again.
#[derive(Debug, Default)]
pub(super) struct ReentrantLock {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The thread that holds the lock, if `depth` is not 0.
    owner: usize,
    /// How many times it holds the lock.
    depth: usize,
}

/// The lock is held until this is dropped, by the thread that took it.
#[derive(Debug)]
pub(super) struct ReentrantGuard<'a> {
    lock: &'a ReentrantLock,
    not_send: PhantomData<*const ()>,
}

/// A number that no other thread has at the same time.
fn this_thread() -> usize {
    // It has no destructor, so that it exists while those of other variables run.
    thread_local!(static ADDRESS: u8 = const { 0 });
    ADDRESS.with(|address| std::ptr::from_ref(address).addr())
}

impl ReentrantLock {
    /// Waits until no other thread has the lock, and takes it.
    pub(super) fn lock(&self) -> ReentrantGuard<'_> {
        let me = this_thread();
        let is_taken = |state: &mut State| state.depth > 0 && state.owner != me;
        let state = self.ended.wait_while(self.state(), is_taken);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        *state = State { owner: me, depth: state.depth + 1 };
        ReentrantGuard { lock: self, not_send: PhantomData }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ReentrantGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.lock.state();
        state.depth -= 1;
        if state.depth == 0 {
            self.lock.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn only_the_thread_that_has_the_lock_takes_it_again() {
        let (lock, inside) = (ReentrantLock::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let outer = lock.lock();
                        assert_eq!(inside.fetch_add(1, Relaxed), 0);
                        drop(lock.lock());
                        std::thread::yield_now();
                        assert_eq!(inside.fetch_sub(1, Relaxed), 1);
                        drop(outer);
                    }
                });
            }
        });
        assert_eq!(lock.state().depth, 0);
    }
}
