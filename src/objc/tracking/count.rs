//! How many command buffers use a piece of memory while they are encoded.

use super::atomic::{AtomicU64, Ordering::*, numbered_thread, thread};

/// A count that one thread, its owner, changes without an atomic addition, as in biased reference counting: most
/// memory is used by command buffers of one thread. The first thread that changes the count becomes its owner.
#[derive(Debug)]
#[repr(C)] // The owner's part lies together.
pub(super) struct BiasedCount {
    owner: AtomicU64,
    /// How many uses began and ended on the owner, which alone writes them. More may have ended there than began, since a
    /// use may end on another thread than it began; together with the others there are not.
    pub(super) by_owner: [AtomicU64; 2],
    /// The same on other threads.
    pub(super) by_others: [AtomicU64; 2],
}

/// What happened to a use; the index of its number. Numbers only grow, and have 64 bits, so that none wraps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Begun,
    Ended,
}

const NO_OWNER: u64 = u64::MAX;

impl BiasedCount {
    pub(super) fn new() -> Self {
        let none = || [AtomicU64::new(0), AtomicU64::new(0)];
        Self { owner: AtomicU64::new(NO_OWNER), by_owner: none(), by_others: none() }
    }

    /// Counts a change. A thread that reads the new count also sees all that this one did before.
    #[inline(always)]
    pub(super) fn add(&self, change: Change) {
        if self.owner.load(Relaxed) == thread() {
            let number = &self.by_owner[change as usize];
            number.store(number.load(Relaxed).wrapping_add(1), Release);
        } else {
            self.add_shared(change);
        }
    }

    #[inline(never)]
    fn add_shared(&self, change: Change) {
        let thread = numbered_thread();
        let claim = || self.owner.compare_exchange(NO_OWNER, thread, Relaxed, Relaxed);
        match self.owner.load(Relaxed) {
            NO_OWNER if claim().is_ok() => self.add(change),
            owner if owner == thread => self.add(change),
            _ => _ = self.by_others[change as usize].fetch_add(1, AcqRel),
        }
    }

    /// The count. All uses that began before this call count, unless their ends are seen too.
    pub(super) fn get(&self) -> usize {
        // In this order: whoever sees the end of a use also sees its beginning afterwards.
        let [ended, begun] = [Change::Ended, Change::Begun].map(|change| self.number(change));
        begun.wrapping_sub(ended) as usize
    }

    #[inline]
    fn number(&self, change: Change) -> u64 {
        let [owner, others] =
            [&self.by_owner, &self.by_others].map(|by| by[change as usize].load(Acquire));
        owner.wrapping_add(others)
    }
}
