//! How many command buffers use a piece of memory while they are encoded.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A count that one thread, its owner, changes without an atomic addition, as in biased reference counting: most
/// memory is used by command buffers of one thread. The first thread that changes the count becomes its owner.
#[derive(Debug)]
#[repr(C)] // The owner's part lies together.
pub(super) struct BiasedCount {
    owner: AtomicU64,
    /// Changes by the owner, which alone writes it.
    by_owner: AtomicU64,
    /// The sum of the changes by other threads in the low half, and their number in the high half. Both sums may be
    /// negative, since a use may end on another thread than it began; together they are not.
    by_others: AtomicU64,
}

const NO_OWNER: u64 = u64::MAX;

/// The number of the next thread. No number is used again, so that no thread inherits a count.
static NEXT_THREAD: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The number of this thread; 0 before it has one.
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

impl BiasedCount {
    pub(super) const fn new() -> Self {
        let [owner, by_owner, by_others] =
            [AtomicU64::new(NO_OWNER), AtomicU64::new(0), AtomicU64::new(0)];
        Self { owner, by_owner, by_others }
    }

    /// Adds 1 or -1. A thread that reads the new count also sees all that this one did before.
    #[inline(always)]
    pub(super) fn add(&self, change: i64) {
        if self.owner.load(Relaxed) == THREAD.get() {
            let count = self.by_owner.load(Relaxed);
            self.by_owner.store(count.wrapping_add_signed(change), Release);
        } else {
            self.add_shared(change);
        }
    }

    #[inline(never)]
    fn add_shared(&self, change: i64) {
        if THREAD.get() == 0 {
            THREAD.set(NEXT_THREAD.fetch_add(1, Relaxed));
        }
        let claim = || self.owner.compare_exchange(NO_OWNER, THREAD.get(), Relaxed, Relaxed);
        match self.owner.load(Relaxed) {
            NO_OWNER if claim().is_ok() => self.add(change),
            owner if owner == THREAD.get() => self.add(change),
            _ => _ = self.by_others.fetch_add(((1 << 32) + change) as u64, AcqRel),
        }
    }

    /// The count. All uses that began before this call count, unless their ends are seen too.
    pub(super) fn get(&self) -> usize {
        loop {
            let others = self.by_others.load(Acquire);
            let owner = self.by_owner.load(Acquire);
            // Otherwise `owner` may have the end of a use whose beginning `others` lacks.
            if self.by_others.load(Acquire) == others {
                return owner.wrapping_add_signed(i64::from(others as i32)) as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::scope;

    #[test]
    fn any_thread_may_end_what_another_began() {
        let count = BiasedCount::new();
        let elsewhere = |change| _ = scope(|scope| scope.spawn(|| count.add(change)).join());
        count.add(1);
        count.add(1);
        elsewhere(-1);
        assert_eq!(count.get(), 1);
        elsewhere(1);
        elsewhere(1);
        assert_eq!(count.get(), 3);
        (0..3).for_each(|_| count.add(-1));
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn a_use_counts_while_other_threads_begin_and_end_theirs() {
        let count = BiasedCount::new();
        count.add(1);
        scope(|scope| {
            let (send, receive) = std::sync::mpsc::sync_channel(8);
            // Uses that begin here end there, and the other way round.
            let there = scope.spawn(|| {
                for () in receive {
                    count.add(-1);
                    count.add(1);
                }
            });
            let reader = scope.spawn(|| (0..20_000).all(|_| count.get() > 0));
            for _ in 0..20_000 {
                count.add(1);
                send.send(()).expect("the thread receives");
            }
            drop(send);
            there.join().expect("no panic");
            assert!(reader.join().expect("no panic"));
        });
        (0..20_000).for_each(|_| count.add(-1));
        assert_eq!(count.get(), 1);
    }
}
