//! The method cache of a class: selectors to implementations, read by `objc_msgSend` without a lock.
//!
//! Open addressing, probing forward without wrapping round. A bucket is filled once; its selector
//! never changes after that, its implementation may. A selector is in one of the [`PROBES`] buckets that
//! begin at its home, and the last bucket of the table stays empty, so that a reader needs no bound. A
//! table without a free bucket for a selector is replaced by one of twice the size. Old tables are never
//! freed, because a reader may still be in one: their sizes add up to less than the newest one's.

use super::class::{imp_from_ptr, imp_to_ptr};
use super::lock::Lock;
use super::send_arch::Table;
use crate::abi::{Imp, Sel};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// A selector and its implementation, as `objc_msgSend` reads them.
#[repr(C, align(16))]
pub(super) struct Bucket {
    selector: AtomicPtr<c_void>,
    imp: AtomicPtr<c_void>,
}

impl Bucket {
    const fn empty() -> Self {
        Self {
            selector: AtomicPtr::new(std::ptr::null_mut()),
            imp: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    fn holds(&self, selector: Sel) -> bool {
        self.selector.load(Relaxed) == selector.as_ptr()
    }

    fn is_empty(&self) -> bool {
        self.selector.load(Relaxed).is_null()
    }
}

/// The table of every class whose cache is empty.
pub(super) static NO_BUCKETS: Bucket = Bucket::empty();

/// The number of buckets in which a selector may be.
const PROBES: usize = 8;
/// The number of homes of the first table and of the largest. The first is large for the dozen selectors
/// that a class is sent, because a second selector at the same home costs a probe in every send. A
/// selector that does not fit into the largest is looked up under the lock each time, which is slower.
const SMALLEST: usize = 32;
pub(super) const LARGEST: usize = 1 << 12;

/// A class's cache. Everything but reading it from `objc_msgSend` happens under the lock.
#[repr(transparent)]
pub(super) struct Cache(Table);

impl Cache {
    /// An empty cache.
    pub(super) const fn empty() -> Self {
        Self(Table::empty())
    }

    /// The number of homes, and every bucket; nothing for the empty table.
    fn buckets(&self, _: &Lock) -> (usize, &[Bucket]) {
        match self.0.load() {
            (_, 0) => (0, &[]),
            (first, mask) => {
                // SAFETY: `grow` made a table of `homes + PROBES` buckets, and tables live for ever.
                let buckets = unsafe { std::slice::from_raw_parts(first, mask + 1 + PROBES) };
                (mask + 1, buckets)
            }
        }
    }

    /// The buckets in which a selector may be.
    fn candidates<'a>(&'a self, selector: Sel, lock: &'a Lock) -> &'a [Bucket] {
        let (homes, buckets) = self.buckets(lock);
        if homes == 0 {
            return &[];
        }
        let home = (selector.as_ptr().addr() >> 4) & (homes - 1);
        &buckets[home..home + PROBES]
    }

    fn find<'a>(&'a self, selector: Sel, lock: &'a Lock) -> Option<&'a Bucket> {
        self.candidates(selector, lock).iter().find(|bucket| bucket.holds(selector))
    }

    /// The cached implementation.
    pub(super) fn get(&self, selector: Sel, lock: &Lock) -> Option<Imp> {
        let imp = self.find(selector, lock)?.imp.load(Acquire);
        // SAFETY: a bucket with a selector has an implementation.
        Some(unsafe { imp_from_ptr(imp) })
    }

    /// Inserts an entry that the cache does not have.
    pub(super) fn insert(&self, selector: Sel, imp: Imp, lock: &mut Lock) {
        while !self.fill(selector, imp_to_ptr(imp), lock) {
            if !self.grow(lock) {
                return;
            }
        }
    }

    /// Replaces the implementation of a cached selector; readers see the old or the new one.
    pub(super) fn replace(&self, selector: Sel, imp: Imp, lock: &mut Lock) {
        if let Some(bucket) = self.find(selector, lock) {
            bucket.imp.store(imp_to_ptr(imp), Release);
        }
    }

    /// Fills the first free bucket for a selector, if there is one.
    fn fill(&self, selector: Sel, imp: *mut c_void, lock: &mut Lock) -> bool {
        let Some(free) = self.candidates(selector, lock).iter().find(|bucket| bucket.is_empty())
        else {
            return false;
        };
        free.imp.store(imp, Relaxed);
        // A reader that sees the selector also sees the implementation.
        free.selector.store(selector.as_ptr(), Release);
        true
    }

    /// Publishes a larger table with the same contents; false if this is the largest.
    ///
    /// Selectors that do not fit into the largest table are looked up under the lock from then on.
    fn grow(&self, lock: &mut Lock) -> bool {
        let (mut homes, old) = self.buckets(lock);
        loop {
            homes = (homes * 2).max(SMALLEST);
            if homes > LARGEST {
                return false;
            }
            let buckets: Box<[Bucket]> = (0..homes + PROBES).map(|_| Bucket::empty()).collect();
            let new = Self::empty();
            new.0.publish(buckets.as_ptr(), homes - 1);
            // The last buckets of the old table were beyond its homes. In the new one they are homes.
            let all_fit = old.iter().filter(|bucket| !bucket.is_empty()).all(|bucket| {
                let selector = Sel::from_ptr(bucket.selector.load(Relaxed));
                new.fill(selector, bucket.imp.load(Relaxed), lock) || homes == LARGEST
            });
            if all_fit {
                self.0.publish(Box::leak(buckets).as_ptr(), homes - 1);
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn imp() {}

    fn selector(number: usize) -> Sel {
        Sel::from_ptr(std::ptr::without_provenance_mut(number * size_of::<Bucket>()))
    }

    /// The `nth` selector whose home is the last one in a table of any size.
    fn at_the_end(nth: usize) -> Sel {
        selector(LARGEST * (nth + 1) - 1)
    }

    /// Selectors from the end of a table may have no room in one of twice the size: it grows further.
    #[test]
    fn growth_loses_nothing() {
        let mut lock = Lock::take();
        let cache = Cache::empty();
        let last = SMALLEST - 1;
        // The home of the second is the first one of the small table, and follows `last` in the next.
        let homes = [last, 3 * SMALLEST];
        let mut all: Vec<_> =
            (0..PROBES).flat_map(|nth| homes.map(|home| selector(home + nth * LARGEST))).collect();
        all.iter().for_each(|selector| cache.insert(*selector, imp, &mut lock));
        assert_eq!(cache.buckets(&lock).0, SMALLEST);
        all.push(selector(last + 2 * SMALLEST));
        cache.insert(all[2 * PROBES], imp, &mut lock);
        assert_eq!(cache.buckets(&lock).0, 4 * SMALLEST);
        assert!(all.iter().all(|selector| cache.get(*selector, &lock).is_some()));
    }

    /// As many selectors as have room are cached at the last home, and the bucket after them stays empty.
    #[test]
    fn the_last_bucket_stays_empty() {
        let mut lock = Lock::take();
        let cache = Cache::empty();
        for nth in 0..PROBES {
            cache.insert(at_the_end(nth), imp, &mut lock);
            assert_eq!(cache.buckets(&lock).0, SMALLEST);
        }
        let cached = |cache: &Cache, lock: &Lock| {
            (0..=PROBES).filter(|nth| cache.get(at_the_end(*nth), lock).is_some()).count()
        };
        assert_eq!(cached(&cache, &lock), PROBES);
        // One too many: the table grows as far as it may, and loses nothing.
        cache.insert(at_the_end(PROBES), imp, &mut lock);
        let (homes, buckets) = cache.buckets(&lock);
        assert_eq!((homes, buckets.len()), (LARGEST, LARGEST + PROBES));
        assert!(buckets.last().is_some_and(Bucket::is_empty), "a reader would run past the end");
        assert_eq!(cached(&cache, &lock), PROBES);
    }
}
