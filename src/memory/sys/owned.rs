//! Which memory the blocks of this process own, where other parts of the process can find it by a number.
//!
//! Blocks have views, which are slices: memory that a block owns must not be written by atomics at the same time.

use super::super::error::MemError;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The numbers of the memory that blocks own.
#[derive(Debug)]
pub(in super::super) struct Owned(Mutex<BTreeSet<u32>>);

impl Owned {
    pub(in super::super) const fn new() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes memory that a block owns, and enters its number before any other thread can find it.
    pub(in super::super) fn make<T>(
        &self,
        make: impl FnOnce() -> Result<T, MemError>,
        number: impl FnOnce(&T) -> u32,
    ) -> Result<T, MemError> {
        let mut owned = self.lock();
        let memory = make()?;
        owned.insert(number(&memory));
        Ok(memory)
    }

    /// Finds memory that no block of this process owns.
    pub(in super::super) fn find<T>(
        &self,
        number: u32,
        find: impl FnOnce() -> Result<T, MemError>,
    ) -> Result<T, MemError> {
        let owned = self.lock();
        if owned.contains(&number) {
            return Err(MemError::Busy(format!(
                "memory {number} belongs to a block of this process, which has views: use the block, or make the \
                 memory by `Shared::open`"
            )));
        }
        // The lock is held until the memory is found, so that no block gets the number meanwhile.
        find()
    }

    /// The block that owned it is gone.
    pub(in super::super) fn release(&self, number: u32) {
        self.lock().remove(&number);
    }
}
