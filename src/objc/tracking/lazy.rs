//! The footprint of a resource, found when it is first needed.

use super::record::{Footprint, LiveRecord, Record};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// A footprint that is found when it is first needed; none if no view from the CPU can exist.
#[derive(Debug)]
pub(crate) struct LazyFootprint {
    /// The footprint's record, whose first field is the stamp, if it has exactly one, which was found; otherwise [`NEVER`].
    stamp: AtomicPtr<AtomicU64>,
    /// In memory of its own, so that the wrapper of a buffer fits into a cache line.
    found: OnceLock<Option<Box<Footprint>>>,
}

/// The stamp of a record that is in no list.
static NEVER: AtomicU64 = AtomicU64::new(0);

impl LazyFootprint {
    #[inline]
    pub(crate) const fn new() -> Self {
        let stamp = AtomicPtr::new(ptr::from_ref(&NEVER).cast_mut());
        Self { stamp, found: OnceLock::new() }
    }

    /// The footprint.
    #[inline]
    pub(crate) fn get(&self, find: impl FnOnce() -> Option<Footprint>) -> Option<&Footprint> {
        let find = || {
            let footprint = Box::new(find()?);
            if footprint.rest.is_empty() {
                self.stamp
                    .store(ptr::from_ref::<Record>(&footprint.first).cast_mut().cast(), Release);
            }
            Some(footprint)
        };
        self.found.get_or_init(find).as_deref()
    }

    /// The stamp of its record; 0 if it was not found, or if there are several records.
    #[inline(always)]
    pub(super) fn stamp(&self) -> u64 {
        // SAFETY: a static, or the stamp of a record of the footprint in `found`, which keeps it as long as this exists.
        unsafe { &*self.stamp.load(Acquire) }.load(Relaxed)
    }

    /// Its record, if it was found and is the only one.
    #[inline(always)]
    pub(super) fn record(&self) -> Option<LiveRecord<'_>> {
        let stamp = self.stamp.load(Acquire);
        // SAFETY: all other pointers are to records, which the footprint in `found` keeps as long as this exists.
        (!ptr::eq(stamp, &NEVER)).then(|| unsafe { LiveRecord::new(&*stamp.cast::<Record>()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_footprint_with_one_record_has_a_stamp() {
        let memory = [0u64; 2];
        let start = memory.as_ptr().addr();
        let find = |from, to| {
            let lazy = LazyFootprint::new();
            assert!(lazy.stamp() == 0 && lazy.record().is_none(), "not found yet");
            let footprint = lazy.get(|| Some(Footprint::of(start + from..start + to)));
            footprint.expect("found").records().for_each(|record| record.stamp.store(7, Relaxed));
            lazy
        };
        let (first, second) = (find(0, 8), find(8, 16));
        for one in [&first, &second] {
            let record: &Record = &one.get(|| None).expect("found").first;
            assert!(one.record().is_some_and(|found| ptr::eq(&*found, record)));
            assert_eq!(one.stamp(), 7);
        }
        let (both, private) = (find(0, 16), LazyFootprint::new());
        assert!(private.get(|| None).is_none());
        for one in [both, private] {
            assert!(one.stamp() == 0 && one.record().is_none());
        }
    }
}
