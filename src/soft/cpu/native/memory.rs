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

/// Makes the other threads of this process drop the instructions that they fetched ahead. Kernels before Linux 4.16 lack the
/// call; there it does nothing, as with other programs that make machine code.
#[cfg(target_arch = "aarch64")]
fn other_threads_refetch() {
    use std::ffi::{c_long, c_uint};
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }
    const MEMBARRIER: c_long = 283;
    const SYNC_CORE: c_uint = 1 << 5;
    const REGISTER_SYNC_CORE: c_uint = 1 << 6;
    let none: c_uint = 0;
    // SAFETY: the calls change no memory.
    unsafe {
        syscall(MEMBARRIER, REGISTER_SYNC_CORE, none, none);
        syscall(MEMBARRIER, SYNC_CORE, none, none);
    }
}

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
            (!fails).then(|| {
                pages.synchronise();
                pages
            })
        }
    }

    /// Makes what was written the instructions that every thread fetches. On x86-64 they are so already.
    fn synchronise(&self) {
        #[cfg(target_arch = "aarch64")]
        // SAFETY: maintenance of caches, by lines of the pages, which can be read.
        unsafe {
            use std::arch::asm;
            let line_sizes: u64;
            asm!("mrs {}, ctr_el0", out(reg) line_sizes, options(nomem, nostack));
            let (start, end) = (self.start.addr().get(), self.start.addr().get() + self.length);
            // The field has the binary logarithm of a line's words.
            let lines = |field: u64| {
                let bytes = 4usize << (line_sizes >> field & 15);
                (start & !(bytes - 1)..end).step_by(bytes)
            };
            lines(16).for_each(|at| asm!("dc cvau, {}", in(reg) at, options(nostack)));
            asm!("dsb ish", options(nostack));
            lines(0).for_each(|at| asm!("ic ivau, {}", in(reg) at, options(nostack)));
            asm!("dsb ish", "isb", options(nostack));
            other_threads_refetch();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_with_code_are_not_writable() {
        let code = [0xc3u8; 5000];
        let pages = Executable::new(&code).unwrap();
        assert_eq!(pages.bytes(), code);
        // Each line begins with a range of addresses and what may be done there.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut found = false;
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
            let access = &rest[..4];
            if (start..end).contains(&pages.start().addr()) {
                assert_eq!(access, "r-xp", "{line}");
                found = true;
            }
        }
        assert!(found, "{maps}");
        assert!(Executable::new(&[]).is_none());
    }
}
