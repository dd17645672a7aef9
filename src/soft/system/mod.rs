//! The operating system: what soft Metal needs from it beside Rust's library, in one file for each system.

#[cfg(target_os = "linux")]
mod notes;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple.rs")]
mod os;

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

#[cfg(test)]
pub(crate) use os::THREAD_TIME;
pub(crate) use os::{
    MONOTONIC, PAGE, boot_seconds, copies, core, host_name, is_main_thread, make_executable,
    memory, prefer_huge_pages, unique,
};
pub(crate) use os::{PRIVATE_ANONYMOUS, UNRESERVED};

unsafe extern "C" {
    pub(crate) fn mmap(
        at: *mut c_void,
        length: usize,
        access: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
    pub(crate) fn munmap(at: *mut c_void, length: usize) -> c_int;
}

// The same numbers on all systems.
const READ: c_int = 1;
const WRITE: c_int = 2;
const EXECUTE: c_int = 4;

/// New zeroed pages that can be read and written; `None` if the system has none.
pub(crate) fn map_memory(length: usize) -> Option<NonNull<u8>> {
    map(length, READ | WRITE, UNRESERVED)
}

/// New zeroed pages at any address; `None` if the system has none. `flags` are more than [`PRIVATE_ANONYMOUS`].
fn map(length: usize, access: c_int, flags: c_int) -> Option<NonNull<u8>> {
    // SAFETY: requests new pages at any free address.
    let start =
        unsafe { mmap(std::ptr::null_mut(), length, access, PRIVATE_ANONYMOUS | flags, -1, 0) };
    // Failure is the address -1.
    NonNull::new(start.cast()).filter(|start| start.addr().get() != usize::MAX)
}

/// New pages with this code: written, then executable and no longer writable.
#[cfg(any(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn written_and_protected(code: &[u8]) -> Option<NonNull<u8>> {
    unsafe extern "C" {
        fn mprotect(at: *mut c_void, length: usize, access: c_int) -> c_int;
    }
    let start = map(code.len(), READ | WRITE, os::JIT)?;
    // SAFETY: the pages are new, and no more than their length is written.
    unsafe {
        start.as_ptr().copy_from_nonoverlapping(code.as_ptr(), code.len());
        if mprotect(start.as_ptr().cast(), code.len(), READ | EXECUTE) != 0 {
            munmap(start.as_ptr().cast(), code.len());
            return None;
        }
    }
    Some(start)
}

/// The time of a system clock, in seconds.
pub(crate) fn seconds(clock: c_int) -> f64 {
    #[repr(C)]
    struct TimeSpec {
        seconds: i64,
        nanoseconds: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: c_int, time: *mut TimeSpec) -> c_int;
    }
    let mut time = TimeSpec { seconds: 0, nanoseconds: 0 };
    // SAFETY: `struct timespec` is two 64-bit words on our hosts; a clock that does not exist leaves it as it is.
    unsafe { clock_gettime(clock, &raw mut time) };
    time.seconds as f64 + time.nanoseconds as f64 * 1e-9
}

/// Puts a reference into a section of the program that has such references alone, where `entries!` finds them.
macro_rules! entry {
    (classes: $ty:ty = $value:expr) => {
        $crate::soft::system::entry!("aruminium_classes", "__DATA,__aru_classes", $ty, $value);
    };
    (protocols: $ty:ty = $value:expr) => {
        $crate::soft::system::entry!("aruminium_protocols", "__DATA,__aru_protocols", $ty, $value);
    };
    ($elf:literal, $mach:literal, $ty:ty, $value:expr) => {
        #[used]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = $elf))]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = $mach))]
        static LISTED: &$ty = $value;
    };
}
pub(crate) use entry;

/// The references in a section. The linker defines symbols for its ends.
macro_rules! entries {
    (classes: $ty:ty) => {
        $crate::soft::system::entries!(
            $ty,
            ["__start_aruminium_classes", "\u{1}section$start$__DATA$__aru_classes"],
            ["__stop_aruminium_classes", "\u{1}section$end$__DATA$__aru_classes"]
        )
    };
    (protocols: $ty:ty) => {
        $crate::soft::system::entries!(
            $ty,
            ["__start_aruminium_protocols", "\u{1}section$start$__DATA$__aru_protocols"],
            ["__stop_aruminium_protocols", "\u{1}section$end$__DATA$__aru_protocols"]
        )
    };
    ($ty:ty, [$elf_start:literal, $mach_start:literal], [$elf_end:literal, $mach_end:literal]) => {{
        unsafe extern "C" {
            #[cfg_attr(not(target_vendor = "apple"), link_name = $elf_start)]
            #[cfg_attr(target_vendor = "apple", link_name = $mach_start)]
            static FIRST: usize;
            #[cfg_attr(not(target_vendor = "apple"), link_name = $elf_end)]
            #[cfg_attr(target_vendor = "apple", link_name = $mach_end)]
            static END: usize;
        }
        let first = (&raw const FIRST).cast::<&'static $ty>();
        let end = (&raw const END).cast();
        let entries = std::iter::successors(Some(first), |entry| Some(entry.wrapping_add(1)));
        // SAFETY: the section has nothing but such references, one after the other.
        entries.take_while(move |entry| *entry < end).map(|entry| unsafe { *entry })
    }};
}
pub(crate) use entries;
