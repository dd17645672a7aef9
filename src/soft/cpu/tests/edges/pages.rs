//! Memory between two pages that may not be accessed.

use crate::soft::system::{self, mmap, munmap};
use std::ffi::{c_int, c_void};
use std::ops::{Deref, DerefMut};
use std::ptr::{null_mut, slice_from_raw_parts_mut};

unsafe extern "C" {
    fn mprotect(at: *mut c_void, length: usize, access: c_int) -> c_int;
    safe fn getpagesize() -> c_int;
}

const NONE: c_int = 0;
const READ_WRITE: c_int = 3;
// A test may use few pages of many.
const FLAGS: c_int = system::PRIVATE_ANONYMOUS | system::UNRESERVED;

fn page() -> usize {
    getpagesize() as usize
}

/// Whole pages of bytes; an access before or past them ends the process.
#[derive(Debug)]
pub(crate) struct Pages(*mut [u8]);

impl Pages {
    /// At least this many bytes, all 0.
    pub(crate) fn new(bytes: usize) -> Self {
        let length = bytes.next_multiple_of(page());
        // SAFETY: the pages are new, and the middle ones may be accessed from now on.
        unsafe {
            let all = mmap(null_mut(), length + 2 * page(), NONE, FLAGS, -1, 0);
            assert_ne!(all.addr(), usize::MAX, "the system has no pages");
            let start = all.wrapping_byte_add(page());
            assert_eq!(mprotect(start, length, READ_WRITE), 0, "pages cannot be made writable");
            Self(slice_from_raw_parts_mut(start.cast(), length))
        }
    }
}

impl Pages {
    /// Where memory of a length begins that touches the page before all of it, or the one after it.
    pub(crate) fn place(&self, length: usize, first: bool) -> usize {
        if first { 0 } else { self.len() - length }
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the pages are mapped, and this value's own.
        unsafe { &*self.0 }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { &mut *self.0 }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let start = self.0.cast::<c_void>().wrapping_byte_sub(page());
        // SAFETY: these are the pages of `new`.
        unsafe { munmap(start, self.0.len() + 2 * page()) };
    }
}
