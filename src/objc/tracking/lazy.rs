//! The footprint of a resource, found when it is first needed.

use super::record::{Footprint, Record};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// A footprint that is found when it is first needed; none if no view from the CPU can exist.
#[derive(Debug)]
pub(crate) struct LazyFootprint {
    found: OnceLock<Option<Footprint>>,
    /// The footprint's record, so that its stamp is read without other tests; null unless there is exactly one.
    record: AtomicPtr<Record>,
}

impl LazyFootprint {
    pub(crate) const fn new() -> Self {
        Self { found: OnceLock::new(), record: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The footprint.
    #[inline]
    pub(crate) fn get(&self, find: impl FnOnce() -> Option<Footprint>) -> Option<&Footprint> {
        let find = || {
            let footprint = find();
            if let Some(Footprint { first, rest }) = &footprint
                && rest.is_empty()
            {
                self.record.store(ptr::from_ref(&**first).cast_mut(), Release);
            }
            footprint
        };
        self.found.get_or_init(find).as_ref()
    }

    /// The stamp of its record, if it has one record, which was found before.
    #[inline(always)]
    pub(super) fn stamp(&self) -> Option<u64> {
        // SAFETY: null, or a record of the footprint in `found`, which keeps it as long as this exists.
        let record = unsafe { self.record.load(Acquire).as_ref() };
        record.map(|record| record.stamp.load(Relaxed))
    }
}
