//! Pages of memory: zeroed ones from the system, and those given back, kept to be used again.
//!
//! A page that the system has just given costs a fault when it is first touched, which takes many times
//! as long as zeroing it. So pages of short buffers are kept when they are given back, and zeroed
//! when they are taken again, unless nobody ever knew where they were.

use crate::soft::fork::lock;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{LazyLock, Mutex};

/// What a page is here; memory that is wrapped begins and ends at one.
pub(crate) const PAGE: usize = 4096;

/// The longest that are kept, and how many bytes of them at most.
const LONGEST: usize = 4 << 20;
const MOST: usize = 64 << 20;

/// From here on the system is asked for huge pages, of which one takes the place of 512.
const HUGE: usize = 2 << 20;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        n: usize,
        access: c_int,
        flags: c_int,
        fd: c_int,
        o: i64,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, length: usize) -> c_int;
    fn madvise(at: *mut c_void, length: usize, advice: c_int) -> c_int;
    fn sysconf(name: c_int) -> isize;
}

// Linux's numbers, the same on x86_64 and aarch64.
const PROT_READ_WRITE: c_int = 1 | 2;
const MAP_PRIVATE_ANONYMOUS: c_int = 0x02 | 0x20;
const MAP_NORESERVE: c_int = 0x4000;
const MADV_HUGEPAGE: c_int = 14;
const SC_PAGESIZE: c_int = 30;
const SC_PHYS_PAGES: c_int = 85;

/// How much memory the machine has: asked once, since the answer takes longer than making a buffer.
pub(crate) fn physical() -> usize {
    static PHYSICAL: LazyLock<usize> = LazyLock::new(|| {
        // SAFETY: these names are known on Linux; -1 is answered for others.
        let (pages, size) = unsafe { (sysconf(SC_PHYS_PAGES), sysconf(SC_PAGESIZE)) };
        match (usize::try_from(pages), usize::try_from(size)) {
            (Ok(pages), Ok(size)) if pages > 0 => pages.saturating_mul(size),
            _ => 1 << 32,
        }
    });
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
    /// Fresh pages; none when there are not as many.
    fn new(bytes: usize) -> Option<Self> {
        let flags = MAP_PRIVATE_ANONYMOUS | MAP_NORESERVE;
        // SAFETY: asks for fresh pages wherever there is room.
        let base = unsafe { mmap(std::ptr::null_mut(), bytes, PROT_READ_WRITE, flags, -1, 0) };
        // `MAP_FAILED` is -1, which is no page's address.
        let base = NonNull::new(base).filter(|base| base.addr().get().is_multiple_of(PAGE))?;
        if bytes >= HUGE {
            // SAFETY: the pages are ours. A system that has no huge ones says so, and it may.
            unsafe { madvise(base.as_ptr(), bytes, MADV_HUGEPAGE) };
        }
        Some(Self { base: base.cast(), bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: these pages were mapped by `new`, and nobody uses them any more.
        unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Zeroed pages, given back when this goes.
pub(crate) struct Pages {
    mapping: ManuallyDrop<Mapping>,
    /// Somebody was told where they are, and may have written there.
    told: AtomicBool,
}

impl Pages {
    /// So many bytes, a whole number of pages; none when there are not as many.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let kept = lock(&KEPT).take(bytes);
        let (mapping, told) = match kept {
            Some(kept) => kept,
            None => (Mapping::new(bytes)?, false),
        };
        if told {
            // SAFETY: the pages are as many, and nobody else has them.
            unsafe { mapping.base.write_bytes(0, bytes) };
        }
        Some(Self { mapping: ManuallyDrop::new(mapping), told: AtomicBool::new(false) })
    }

    /// Where they are.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        if !self.told.load(Relaxed) {
            self.told.store(true, Relaxed);
        }
        self.mapping.base
    }

    pub(crate) fn bytes(&self) -> usize {
        self.mapping.bytes
    }
}

impl Drop for Pages {
    /// In debug builds they are the system's at once, so that who still uses them is caught.
    fn drop(&mut self) {
        // SAFETY: the mapping is taken once, here.
        let mapping = unsafe { ManuallyDrop::take(&mut self.mapping) };
        if !cfg!(debug_assertions) {
            lock(&KEPT).give(mapping, *self.told.get_mut());
        }
    }
}

/// Mappings that were given back, by length, and whether somebody had been told of them.
#[derive(Default)]
struct Kept {
    lists: BTreeMap<usize, Vec<(Mapping, bool)>>,
    /// Of all of them.
    bytes: usize,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { lists: BTreeMap::new(), bytes: 0 });

impl Kept {
    /// The latest one of this length.
    fn take(&mut self, bytes: usize) -> Option<(Mapping, bool)> {
        let kept = self.lists.get_mut(&bytes)?.pop()?;
        self.bytes -= bytes;
        Some(kept)
    }

    /// Keeps one. When they are too many, all others go: a mapping is given back to the system no
    /// more often than it is made, and nobody looks for the earliest.
    fn give(&mut self, mapping: Mapping, told: bool) {
        let bytes = mapping.bytes;
        if bytes > LONGEST {
            return;
        }
        if self.bytes + bytes > MOST {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.lists.entry(bytes).or_default().push((mapping, told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(pages: usize) -> Mapping {
        Mapping::new(pages * PAGE).expect("pages")
    }

    #[test]
    fn what_is_given_back_is_taken_again_by_its_length() {
        let mut kept = Kept::default();
        let (small, large) = (mapping(1), mapping(2));
        let addresses = (small.base, large.base);
        kept.give(small, false);
        kept.give(large, true);
        assert!(kept.take(3 * PAGE).is_none());
        let (large, told) = kept.take(2 * PAGE).expect("it was given back");
        assert_eq!((large.base, told), (addresses.1, true));
        let (small, told) = kept.take(PAGE).expect("it was given back");
        assert_eq!((small.base, told), (addresses.0, false));
        assert!(kept.take(PAGE).is_none());
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        let mut kept = Kept::default();
        for number in 0..2 * MOST / LONGEST {
            kept.give(mapping(LONGEST / PAGE), false);
            assert_eq!(kept.bytes, (number % (MOST / LONGEST) + 1) * LONGEST);
            assert_eq!(kept.bytes, kept.lists[&LONGEST].len() * LONGEST);
        }
        kept.give(mapping(LONGEST / PAGE + 1), false);
        assert_eq!((kept.bytes, kept.lists.len()), (MOST, 1));
    }

    #[test]
    fn pages_are_zero_whoever_had_them() {
        const BYTES: usize = 3 * PAGE;
        // The same as in a release build's `drop`.
        let give_back = |mut pages: Pages| {
            let told = *pages.told.get_mut();
            // SAFETY: `pages` is not dropped.
            lock(&KEPT).give(unsafe { ManuallyDrop::take(&mut pages.mapping) }, told);
            std::mem::forget(pages);
        };
        for _ in 0..3 {
            let pages = Pages::new(BYTES).expect("pages");
            // SAFETY: the pages are ours, and as many.
            let bytes = unsafe { std::slice::from_raw_parts_mut(pages.base().as_ptr(), BYTES) };
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
            give_back(pages);
        }
    }
}
