//! The items of a pool that are not lent: free ones by class, and those that are still in use.

/// Items of a number of classes.
#[derive(Debug)]
pub(super) struct FreeLists<T> {
    /// By class, the most recently returned item last.
    free: Vec<Vec<T>>,
    /// Returned, but still in use by the GPU; with their classes.
    pending: Vec<(usize, T)>,
}

impl<T> FreeLists<T> {
    pub(super) fn new(classes: usize) -> Self {
        Self { free: (0..classes).map(|_| Vec::new()).collect(), pending: Vec::new() }
    }

    /// Returns an item, idle or still in use.
    pub(super) fn insert(&mut self, class: usize, item: T, idle: bool) {
        if idle { self.free[class].push(item) } else { self.pending.push((class, item)) }
    }

    /// Takes an item that is idle. Pending items are checked only if no item is free.
    pub(super) fn remove_idle(
        &mut self,
        class: usize,
        idle: impl FnMut(&mut T) -> bool,
    ) -> Option<T> {
        if self.free[class].is_empty() && !self.pending.is_empty() {
            self.collect_idle(idle);
        }
        self.free[class].pop()
    }

    /// Frees the pending items that are idle now.
    pub(super) fn collect_idle(&mut self, mut idle: impl FnMut(&mut T) -> bool) {
        let mut index = 0;
        while let Some((_, item)) = self.pending.get_mut(index) {
            if idle(item) {
                let (class, item) = self.pending.swap_remove(index);
                self.free[class].push(item);
            } else {
                index += 1;
            }
        }
    }

    /// Removes a free item of the largest class that has any.
    pub(super) fn remove_largest(&mut self) -> Option<T> {
        self.free.iter_mut().rev().find_map(Vec::pop)
    }

    /// The items that are free.
    pub(super) fn free(&self) -> impl Iterator<Item = &T> {
        self.free.iter().flatten()
    }

    /// The items that are pending.
    pub(super) fn pending(&self) -> impl Iterator<Item = &T> {
        self.pending.iter().map(|(_, item)| item)
    }

    /// The same, to change them.
    pub(super) fn pending_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pending.iter_mut().map(|(_, item)| item)
    }
}
