//! A reentrant lock: the thread that holds it may take it again.

use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A reentrant lock. Unlike a mutex it may be held while code runs that takes it again.
#[derive(Debug, Default)]
pub(super) struct Turns {
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
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    not_send: PhantomData<*const ()>,
}

/// A number that no other thread has at the same time.
fn this_thread() -> usize {
    // It has no destructor, so that it exists while those of other variables run.
    thread_local!(static ADDRESS: u8 = const { 0 });
    ADDRESS.with(|address| std::ptr::from_ref(address).addr())
}

impl Turns {
    /// Waits until no other thread has the lock, and takes it.
    pub(super) fn take(&self) -> Turn<'_> {
        let me = this_thread();
        let is_taken = |state: &mut State| state.depth > 0 && state.owner != me;
        let state = self.ended.wait_while(self.lock(), is_taken);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        *state = State { owner: me, depth: state.depth + 1 };
        Turn { turns: self, not_send: PhantomData }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.depth -= 1;
        if state.depth == 0 {
            self.turns.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn only_the_thread_that_has_the_lock_takes_it_again() {
        let (turns, inside) = (Turns::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let outer = turns.take();
                        assert_eq!(inside.fetch_add(1, Relaxed), 0);
                        drop(turns.take());
                        std::thread::yield_now();
                        assert_eq!(inside.fetch_sub(1, Relaxed), 1);
                        drop(outer);
                    }
                });
            }
        });
        assert_eq!(turns.lock().depth, 0);
    }
}
