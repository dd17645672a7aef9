//! Pages of memory: zeroed ones from the system, and a pool of released ones.
//!
//! The first access to a new page is a page fault, which takes many times as long as zeroing the page. So pages of short
//! buffers go to a pool when they are released, and are zeroed when they are taken from it, unless their address was never
//! requested.

use crate::soft::fork::lock;
use crate::soft::sorted::SortedMap;
use crate::soft::system;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{LazyLock, Mutex};

/// The size of a page; wrapped memory begins and ends at a page boundary.
pub(crate) const PAGE: usize = system::PAGE;

/// The longest mappings in the pool, and the most bytes in it.
const LONGEST: usize = 4 << 20;
const MAX: usize = 64 << 20;

/// From this length on huge pages are requested from the system, each of which replaces 512.
const HUGE: usize = 2 << 20;

/// The machine's memory in bytes. Requested once, since that takes longer than making a buffer.
pub(crate) fn physical() -> usize {
    static PHYSICAL: LazyLock<usize> = LazyLock::new(|| system::memory().unwrap_or(1 << 32));
    *PHYSICAL
}

/// The longest buffer: half of the machine's memory, as on Apple's devices.
pub(crate) fn longest_buffer() -> usize {
    physical() / 2
}

/// Pages that are unmapped when this is dropped.
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the address is only handed on.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// New pages; `None` if the system does not have that many.
    fn new(bytes: usize) -> Option<Self> {
        let base = system::map_memory(bytes)?;
        if bytes >= HUGE {
            system::prefer_huge_pages(base, bytes);
        }
        Some(Self { base, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: these pages were mapped by `new`, and nothing uses them any more.
        unsafe { system::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Zeroed pages, released when this is dropped.
pub(crate) struct Pages {
    mapping: ManuallyDrop<Mapping>,
    /// Whether the address was requested, so that something may have been written there.
    exposed: AtomicBool,
}

impl Pages {
    /// This many bytes, a whole number of pages; `None` if the system does not have that many.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let kept = lock(&POOL).take(bytes);
        let (mapping, exposed) = match kept {
            Some(kept) => kept,
            None => (Mapping::new(bytes)?, false),
        };
        if exposed {
            // SAFETY: the mapping has this length, and nothing else uses it.
            unsafe { mapping.base.write_bytes(0, bytes) };
        }
        Some(Self { mapping: ManuallyDrop::new(mapping), exposed: AtomicBool::new(false) })
    }

    /// Their address.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        if !self.exposed.load(Relaxed) {
            self.exposed.store(true, Relaxed);
        }
        self.mapping.base
    }

    pub(crate) fn bytes(&self) -> usize {
        self.mapping.bytes
    }
}

impl Drop for Pages {
    /// In debug builds they are unmapped at once, so that an access after release is caught.
    fn drop(&mut self) {
        // SAFETY: the mapping is taken once, here.
        let mapping = unsafe { ManuallyDrop::take(&mut self.mapping) };
        if !cfg!(debug_assertions) {
            lock(&POOL).add(mapping, *self.exposed.get_mut());
        }
    }
}

/// Released mappings, by length, and whether their addresses were exposed.
#[derive(Default)]
struct Pool {
    lists: SortedMap<usize, Vec<(Mapping, bool)>>,
    /// The bytes of all of them.
    bytes: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { lists: SortedMap::new(), bytes: 0 });

impl Pool {
    /// The mapping of this length that was released last.
    fn take(&mut self, bytes: usize) -> Option<(Mapping, bool)> {
        let kept = self.lists.get_mut(&bytes)?.pop()?;
        self.bytes -= bytes;
        Some(kept)
    }

    /// Adds a mapping. If they are too many, all others are unmapped: that costs no more than to map them did, and no
    /// order of age has to be kept.
    fn add(&mut self, mapping: Mapping, exposed: bool) {
        let bytes = mapping.bytes;
        if bytes > LONGEST {
            return;
        }
        if self.bytes + bytes > MAX {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.lists.get_or_insert_with(bytes, Vec::new).push((mapping, exposed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(pages: usize) -> Mapping {
        Mapping::new(pages * PAGE).expect("pages")
    }

    #[test]
    fn released_mappings_are_reused_by_length() {
        let mut pool = Pool::default();
        let (small, large) = (mapping(1), mapping(2));
        let addresses = (small.base, large.base);
        pool.add(small, false);
        pool.add(large, true);
        assert!(pool.take(3 * PAGE).is_none());
        let (large, exposed) = pool.take(2 * PAGE).expect("it was released");
        assert_eq!((large.base, exposed), (addresses.1, true));
        let (small, exposed) = pool.take(PAGE).expect("it was released");
        assert_eq!((small.base, exposed), (addresses.0, false));
        assert!(pool.take(PAGE).is_none());
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut pool = Pool::default();
        for number in 0..2 * MAX / LONGEST {
            pool.add(mapping(LONGEST / PAGE), false);
            assert_eq!(pool.bytes, (number % (MAX / LONGEST) + 1) * LONGEST);
            assert_eq!(pool.bytes, pool.lists.at(&LONGEST).len() * LONGEST);
        }
        pool.add(mapping(LONGEST / PAGE + 1), false);
        assert_eq!((pool.bytes, pool.lists.len()), (MAX, 1));
    }

    #[test]
    fn reused_pages_are_zero() {
        const BYTES: usize = 3 * PAGE;
        // As `drop` does in a release build.
        let release = |mut pages: Pages| {
            let exposed = *pages.exposed.get_mut();
            // SAFETY: `pages` is not dropped.
            lock(&POOL).add(unsafe { ManuallyDrop::take(&mut pages.mapping) }, exposed);
            std::mem::forget(pages);
        };
        for _ in 0..3 {
            let pages = Pages::new(BYTES).expect("pages");
            // SAFETY: the pages are ours, and as many.
            let bytes = unsafe { std::slice::from_raw_parts_mut(pages.base().as_ptr(), BYTES) };
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
            release(pages);
        }
    }
}
