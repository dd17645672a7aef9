//! Memory for machine code: pages that are written first, and then executable and no longer writable.

use crate::soft::system;
use std::ptr::NonNull;

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
        system::make_executable(code).map(|start| Self { start, length: code.len() })
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
        unsafe { system::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_code() {
        let code = [0xc3u8; 5000];
        assert_eq!(Executable::new(&code).unwrap().bytes(), code);
        assert!(Executable::new(&[]).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pages_with_code_are_not_writable() {
        let pages = Executable::new(&[0xc3u8; 5000]).unwrap();
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
    }
}
