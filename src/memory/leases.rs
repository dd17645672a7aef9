//! The core of a pool: items that are lent and returned, within limits.
//!
//! `tests/models` compiles this file with a model checker's lock, and with items whose uses are its atomics.

use super::atomic::{Mutex, MutexGuard};
use super::free_lists::FreeLists;
use std::sync::PoisonError;

/// An item that can be lent, and may still be used after its return.
pub(super) trait Leasable {
    /// Its size.
    fn bytes(&self) -> usize;

    /// Called when it is returned. Work that begins to use it later does so by a new lease.
    fn on_return(&mut self);

    /// Whether anything but the pool refers to it.
    fn is_referred_to(&mut self) -> bool;

    /// Whether declared work is not done.
    fn is_declared(&mut self) -> bool;

    /// Whether work that began before its return may use it by a residency set.
    fn is_in_set(&self) -> bool;

    /// Whether work was encoded with it and not submitted.
    fn is_encoded(&self) -> bool;

    /// Whether work that was submitted uses it.
    fn is_in_flight(&self) -> bool;

    /// Whether only the pool has it, and no work of its last lease can still use it.
    fn is_idle(&mut self) -> bool {
        !self.is_referred_to()
            && !self.is_declared()
            && !self.is_in_set()
            // In this order, because another thread may submit encoded work between the two.
            && !self.is_encoded()
            && !self.is_in_flight()
    }
}

/// Items by class, boxed: what a lease moves is an address.
#[derive(Debug)]
pub(super) struct Leases<T> {
    /// The most bytes in all items, and in those that are not lent.
    total: usize,
    free: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    lists: FreeLists<Box<T>>,
    /// Bytes in all items, lent or not.
    bytes: usize,
    figures: Figures,
}

/// Counts of leases, and the bytes in items by state. `free` and `pending` are computed when they are requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) takes: u64,
    pub(super) made: u64,
    pub(super) lent: usize,
    pub(super) requested: usize,
    pub(super) free: usize,
    pub(super) pending: usize,
}

impl<T: Leasable> Leases<T> {
    /// Without items. At most `total` bytes are in items, and at most `free` in those that are not lent.
    pub(super) fn new(classes: usize, total: usize, free: usize) -> Self {
        let state = State { lists: FreeLists::new(classes), bytes: 0, figures: Figures::default() };
        Self { total, free, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No panic leaves the state inconsistent, so poisoning is ignored.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends an item of a class, whose items have `size` bytes; returns whether it is new. Where none is idle, `make` makes one, or
    /// `refuse` makes the error, of the bytes in items that are in use, if that exceeds the limit.
    pub(super) fn lease<E>(
        &self,
        class: usize,
        size: usize,
        requested: usize,
        make: impl FnOnce() -> Result<T, E>,
        refuse: impl FnOnce(usize) -> E,
    ) -> Result<(Box<T>, bool), E> {
        // Dropped after the lock is released: the last reference to a command buffer that was declared may run any code.
        let mut released = Vec::new();
        let mut state = self.lock();
        let found = state.lists.remove_idle(class, |item| item.is_idle());
        let new = found.is_none();
        if new {
            let over = |state: &State<T>| state.bytes.saturating_add(size) > self.total;
            // Idle items are in the free lists now: `take` has moved them.
            state.release_while(&mut released, over);
            if over(&state) {
                let used = state.bytes;
                drop(state);
                return Err(refuse(used));
            }
            state.bytes += size;
        }
        let figures = &mut state.figures;
        figures.takes += 1;
        figures.made += u64::from(new);
        figures.lent += size;
        figures.requested += requested;
        // `take` may have found items that are idle only now.
        state.release_while(&mut released, |state| state.is_over(self.free));
        drop(state);
        drop(released);
        // An item is made without the lock, too: to make it, others may be dropped.
        let made = found.map_or_else(|| make().map(Box::new), Ok);
        let item = made.inspect_err(|_| {
            let mut state = self.lock();
            state.bytes -= size;
            state.figures.takes -= 1;
            state.figures.made -= 1;
            state.figures.lent -= size;
            state.figures.requested -= requested;
        })?;
        Ok((item, new))
    }

    /// Takes an item back, with its class and the bytes that were requested of it.
    pub(super) fn give_back(&self, class: usize, requested: usize, mut item: Box<T>) {
        item.on_return();
        let idle = item.is_idle();
        let mut released = Vec::new();
        let mut state = self.lock();
        state.figures.lent -= item.bytes();
        state.figures.requested -= requested;
        state.lists.insert(class, item, idle);
        if state.is_over(self.free) {
            self.settle(&mut state, &mut released, self.free);
        }
        drop(state);
        drop(released);
    }

    /// Finds the items that are idle by now, and releases those that are not lent until at most `keep` bytes of them are left.
    fn settle(&self, state: &mut State<T>, released: &mut Vec<Box<T>>, keep: usize) {
        state.lists.collect_idle(|item| item.is_idle());
        state.release_while(released, |state| state.is_over(keep));
    }

    /// Releases items that are not lent, the largest first, until at most `keep` bytes of them are left.
    pub(super) fn trim(&self, keep: usize) {
        let mut released = Vec::new();
        let mut state = self.lock();
        self.settle(&mut state, &mut released, keep);
        drop(state);
        drop(released);
    }

    pub(super) fn figures(&self) -> Figures {
        let mut released = Vec::new();
        let mut state = self.lock();
        self.settle(&mut state, &mut released, self.free);
        let free = state.lists.free().map(|item| item.bytes()).sum();
        let pending = state.lists.pending().map(|item| item.bytes()).sum();
        let figures = Figures { free, pending, ..state.figures };
        drop(state);
        drop(released);
        figures
    }

    /// Calls the closure for the items that came back in use and were not idle since.
    pub(super) fn for_each_pending(&self, mut f: impl FnMut(&mut T)) {
        self.lock().lists.pending_mut().for_each(|item| f(item));
    }
}

impl<T: Leasable> State<T> {
    /// Bytes in items that are not lent.
    fn unleased(&self) -> usize {
        self.bytes - self.figures.lent
    }

    /// Whether more than `keep` bytes are in items that are not lent.
    fn is_over(&self, keep: usize) -> bool {
        self.unleased() > keep
    }

    /// Moves free items to `released`.
    fn release_while(&mut self, released: &mut Vec<Box<T>>, more: impl Fn(&Self) -> bool) {
        while more(self)
            && let Some(item) = self.lists.remove_largest()
        {
            self.bytes -= item.bytes();
            released.push(item);
        }
    }
}
