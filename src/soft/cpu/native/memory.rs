//! Memory for machine code: pages that are written first, and then executable and no longer writable.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

unsafe extern "C" {
    fn mmap(
        at: *mut c_void,
        length: usize,
        access: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn mprotect(at: *mut c_void, length: usize, access: c_int) -> c_int;
    fn munmap(at: *mut c_void, length: usize) -> c_int;
}

// Linux's numbers, the same on x86_64 and aarch64.
const READ: c_int = 1;
const WRITE: c_int = 2;
const EXECUTE: c_int = 4;
const PRIVATE: c_int = 2;
const ANONYMOUS: c_int = 0x20;

/// Pages that hold code.
#[derive(Debug)]
pub(crate) struct Executable {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory does not change after it was made.
unsafe impl Send for Executable {}
// SAFETY: as above.
unsafe impl Sync for Executable {}

impl Executable {
    /// Copies the code into new executable pages; `None` if the system does not allow that.
    pub(crate) fn new(code: &[u8]) -> Option<Self> {
        if code.is_empty() {
            return None;
        }
        // SAFETY: the pages are new, and no more than their length is written.
        unsafe {
            let start =
                mmap(std::ptr::null_mut(), code.len(), READ | WRITE, PRIVATE | ANONYMOUS, -1, 0);
            // Failure is the address -1.
            let start =
                NonNull::new(start.cast::<u8>()).filter(|at| at.addr().get() != usize::MAX)?;
            let pages = Self { start, length: code.len() };
            start.as_ptr().copy_from_nonoverlapping(code.as_ptr(), code.len());
            let fails = mprotect(start.as_ptr().cast(), code.len(), READ | EXECUTE) != 0;
            (!fails).then_some(pages)
        }
    }

    /// The first byte.
    pub(crate) fn start(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the pages can be read, and do not change.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        // SAFETY: the pages are this value's own, and nothing runs in them any more.
        unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
