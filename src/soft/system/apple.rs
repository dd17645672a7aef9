//! Apple's systems, with feature `soft`. Nothing here has been run: it is compiled and linked on Linux.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

/// The size of a page.
pub(crate) const PAGE: usize = if cfg!(target_arch = "aarch64") { 16 << 10 } else { 4096 };

pub(crate) const PRIVATE_ANONYMOUS: c_int = 0x02 | 0x1000;
/// No memory is reserved for pages that are not used.
pub(crate) const UNRESERVED: c_int = 0x40;

/// The clock since the start of the machine, without the time that it slept. (`CLOCK_MONOTONIC` counts whole microseconds there.)
pub(crate) const MONOTONIC: c_int = 8;
/// The clock of the calling thread's work.
#[cfg(test)]
pub(crate) const THREAD_TIME: c_int = 16;

/// The machine's memory in bytes, if the system says it.
pub(crate) fn memory() -> Option<usize> {
    unsafe extern "C" {
        fn sysctlbyname(
            name: *const c_char,
            old: *mut c_void,
            length: *mut usize,
            new: *mut c_void,
            new_length: usize,
        ) -> c_int;
    }
    let (mut bytes, mut length) = (0u64, size_of::<u64>());
    // SAFETY: the name ends with a NUL, and the value has as many bytes.
    let code = unsafe {
        let (to, none) = ((&raw mut bytes).cast(), std::ptr::null_mut());
        sysctlbyname(c"hw.memsize".as_ptr(), to, &raw mut length, none, 0)
    };
    usize::try_from(bytes).ok().filter(|&bytes| code == 0 && bytes > 0)
}

/// The system chooses the size of pages by itself.
pub(crate) fn prefer_huge_pages(_start: NonNull<u8>, _bytes: usize) {}

/// The core that the calling thread runs on: unknown, since only new systems say it.
pub(crate) fn core() -> c_int {
    -1
}

/// Whether this is the thread that the process began with.
pub(crate) fn is_main_thread() -> bool {
    unsafe extern "C" {
        safe fn pthread_main_np() -> c_int;
    }
    pthread_main_np() != 0
}

/// The name of the machine.
pub(crate) fn host_name() -> String {
    unsafe extern "C" {
        fn gethostname(name: *mut c_char, length: usize) -> c_int;
    }
    let mut name = [0u8; 256];
    // SAFETY: the last byte stays zero, so that the name ends there at the latest.
    unsafe { gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// A new UUID.
pub(crate) fn unique() -> String {
    unsafe extern "C" {
        fn arc4random_buf(to: *mut c_void, length: usize);
    }
    let mut bytes = [0u8; 16];
    // SAFETY: it fills as many bytes.
    unsafe { arc4random_buf(bytes.as_mut_ptr().cast(), bytes.len()) };
    // Version 4, of random bits (RFC 9562, 5.4).
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let part = |at: u32, digits: u32| bits >> at & ((1 << (4 * digits)) - 1);
    let (a, b, c, d, e) = (part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12));
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

/// Seconds since the machine started, without the time that it slept.
pub(crate) fn boot_seconds() -> f64 {
    super::seconds(MONOTONIC)
}

/// The kind of pages for which a program with the hardened runtime needs only the entitlement `com.apple.security.cs.allow-jit`.
/// On arm64 each thread can either write or execute them.
#[cfg(target_os = "macos")]
pub(crate) const JIT: c_int = 0x800;

/// New pages with this code, which can be executed and not written; `None` if the system does not allow that, as for a
/// program with the hardened runtime and without that entitlement.
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
pub(crate) fn make_executable(code: &[u8]) -> Option<NonNull<u8>> {
    use super::{EXECUTE, READ, WRITE};
    unsafe extern "C" {
        fn pthread_jit_write_protect_np(enabled: c_int);
        fn sys_icache_invalidate(start: *mut c_void, length: usize);
    }
    let start = super::map(code.len(), READ | WRITE | EXECUTE, JIT)?;
    // SAFETY: the pages are new, and no more than their length is written. This thread executes no code of such pages
    // between the two calls; other threads can execute and not write theirs all the time.
    unsafe {
        pthread_jit_write_protect_np(0);
        start.as_ptr().copy_from_nonoverlapping(code.as_ptr(), code.len());
        pthread_jit_write_protect_np(1);
        sys_icache_invalidate(start.as_ptr().cast(), code.len());
    }
    Some(start)
}

/// The same on Intel's processors, where pages become executable after they were written.
#[cfg(all(target_os = "macos", target_arch = "x86_64"))]
pub(crate) use super::written_and_protected as make_executable;

/// Apple's other systems let no program make code.
#[cfg(not(target_os = "macos"))]
pub(crate) fn make_executable(_code: &[u8]) -> Option<NonNull<u8>> {
    None
}

/// A mark of each copy of soft Metal, in a section of its program or library that has nothing else.
#[used]
#[unsafe(link_section = "__DATA,__aruminium")]
static MARK: u64 = 1;

/// The programs and libraries of this process that have a copy, once for each copy.
pub(crate) fn copies() -> Vec<String> {
    unsafe extern "C" {
        safe fn _dyld_image_count() -> u32;
        safe fn _dyld_get_image_header(index: u32) -> *const c_void;
        safe fn _dyld_get_image_name(index: u32) -> *const c_char;
        fn getsectiondata(
            image: *const c_void,
            segment: *const c_char,
            section: *const c_char,
            length: *mut usize,
        ) -> *const u8;
    }
    std::hint::black_box(&raw const MARK);
    let mut found = Vec::new();
    for index in 0.._dyld_image_count() {
        // The list may have become shorter meanwhile; then there is none.
        let (image, name) = (_dyld_get_image_header(index), _dyld_get_image_name(index));
        if image.is_null() || name.is_null() {
            continue;
        }
        let mut length = 0;
        // SAFETY: the image and its name stay as long as it is loaded. The names end with a NUL.
        let name = unsafe {
            let (segment, section) = (c"__DATA".as_ptr(), c"__aruminium".as_ptr());
            if getsectiondata(image, segment, section, &raw mut length).is_null() {
                continue;
            }
            CStr::from_ptr(name).to_string_lossy()
        };
        found.extend(std::iter::repeat_n(name.into_owned(), length / size_of_val(&MARK)));
    }
    found
}
