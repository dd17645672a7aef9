//! The cell of an object's payload, which is filled once: when the object is made, or by `init`.
//!
//! It is `OnceLock` without waiting: two threads do not initialise an object at the same time, and if they do, the second
//! one's payload is refused, as it is after the first is done. So making an object takes no atomic operation. The payload of a
//! mutable string or of mutable data changes later: as on Apple's systems, by one thread while no other uses the object.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering::*};

/// Nothing is in the cell.
const EMPTY: u8 = 0;
/// A thread is filling it.
const FILLING: u8 = 1;
/// It has a value, which stays until the cell is dropped.
const FULL: u8 = 2;

/// A value that is there from some time on.
pub(super) struct PayloadCell<P> {
    value: UnsafeCell<MaybeUninit<P>>,
    state: AtomicU8,
}

// SAFETY: the value is written by the one thread that changed EMPTY to FILLING, and only read once the state is FULL.
unsafe impl<P: Send + Sync> Sync for PayloadCell<P> {}

impl<P> PayloadCell<P> {
    pub(super) const fn empty() -> Self {
        Self { value: UnsafeCell::new(MaybeUninit::uninit()), state: AtomicU8::new(EMPTY) }
    }

    #[inline]
    pub(super) fn full(value: P) -> Self {
        Self { value: UnsafeCell::new(MaybeUninit::new(value)), state: AtomicU8::new(FULL) }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&P> {
        // SAFETY: a value that is there does not change, except as `change` says.
        (self.state.load(Acquire) == FULL).then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// Changes the value. None if there is none.
    ///
    /// # Safety
    ///
    /// No reference to the value is in use, in this thread or another.
    pub(super) unsafe fn change<R>(&self, change: impl FnOnce(&mut P) -> R) -> Option<R> {
        // SAFETY: the caller's.
        (self.state.load(Acquire) == FULL)
            .then(|| change(unsafe { (*self.value.get()).assume_init_mut() }))
    }

    /// Fills the cell. False, and the value is dropped, if it is full or another thread is filling it.
    pub(super) fn fill(&self, value: P) -> bool {
        if self.state.compare_exchange(EMPTY, FILLING, Relaxed, Relaxed).is_err() {
            return false;
        }
        // SAFETY: only this thread has changed EMPTY to FILLING, and no thread reads before FULL.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(FULL, Release);
        true
    }
}

impl<P> Drop for PayloadCell<P> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: it is there, and is not used again.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_cell_is_filled_once_and_drops_its_value_once() {
        let value = Arc::new(());
        let cell = PayloadCell::empty();
        assert!(cell.get().is_none());
        assert!(cell.fill(Arc::clone(&value)) && !cell.fill(Arc::clone(&value)));
        assert!(cell.get().is_some_and(|found| Arc::ptr_eq(found, &value)));
        assert_eq!(Arc::strong_count(&value), 2);
        drop((cell, PayloadCell::full(Arc::clone(&value)), PayloadCell::<Arc<()>>::empty()));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn one_of_the_threads_that_fill_a_cell_does() {
        for _ in 0..100 {
            let cell = PayloadCell::empty();
            let filled = std::thread::scope(|scope| {
                let threads = [0, 1, 2].map(|number| {
                    let cell = &cell;
                    scope.spawn(move || cell.fill(Box::new(number)).then_some(number))
                });
                threads.map(|thread| thread.join().expect("no panic"))
            });
            let winners: Vec<_> = filled.into_iter().flatten().collect();
            assert_eq!(winners, [**cell.get().expect("one has filled it")]);
        }
    }
}
