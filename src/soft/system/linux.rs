//! Linux, on x86_64 and aarch64: both have the same numbers.

pub(crate) use super::notes::copies;
use std::ffi::{c_int, c_void};
use std::fs;
use std::ptr::NonNull;

/// The size of a page.
pub(crate) const PAGE: usize = 4096;

pub(crate) const PRIVATE_ANONYMOUS: c_int = 0x02 | 0x20;
/// No memory is reserved for pages that are not used.
pub(crate) const UNRESERVED: c_int = 0x4000;

/// Pages for code are ordinary ones.
pub(crate) const JIT: c_int = 0;

/// The clock since the start of the machine, and that of the calling thread's work.
pub(crate) const MONOTONIC: c_int = 1;
#[cfg(test)]
pub(crate) const THREAD_TIME: c_int = 3;

/// The machine's memory in bytes, if the system says it.
pub(crate) fn memory() -> Option<usize> {
    const PAGE_SIZE: c_int = 30;
    const PHYSICAL_PAGES: c_int = 85;
    unsafe extern "C" {
        safe fn sysconf(name: c_int) -> isize;
    }
    let pages = usize::try_from(sysconf(PHYSICAL_PAGES)).ok().filter(|&pages| pages > 0)?;
    Some(pages.saturating_mul(usize::try_from(sysconf(PAGE_SIZE)).ok()?))
}

/// Requests huge pages, which the system may lack.
pub(crate) fn prefer_huge_pages(start: NonNull<u8>, bytes: usize) {
    const HUGE_PAGES: c_int = 14;
    unsafe extern "C" {
        fn madvise(at: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    // SAFETY: the contents of the pages stay as they are. Failure is allowed.
    unsafe { madvise(start.as_ptr().cast(), bytes, HUGE_PAGES) };
}

/// The core that the calling thread runs on; -1 if that is unknown.
pub(crate) fn core() -> c_int {
    unsafe extern "C" {
        safe fn sched_getcpu() -> c_int;
    }
    sched_getcpu()
}

/// Whether this is the thread that the process began with.
pub(crate) fn is_main_thread() -> bool {
    unsafe extern "C" {
        safe fn getpid() -> i32;
        safe fn gettid() -> i32;
    }
    gettid() == getpid()
}

/// The name of the machine.
pub(crate) fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// A new UUID.
pub(crate) fn unique() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default().trim().to_owned()
}

/// Seconds since the machine started, with the time that it slept; 0 if that is unknown.
pub(crate) fn boot_seconds() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

/// New pages with this code, which can be executed and not written; `None` if the system does not allow that.
pub(crate) fn make_executable(code: &[u8]) -> Option<NonNull<u8>> {
    let start = super::written_and_protected(code)?;
    #[cfg(target_arch = "aarch64")]
    synchronise(start, code.len());
    Some(start)
}

/// Makes what was written the instructions that every thread fetches. On x86-64 they are so already.
#[cfg(target_arch = "aarch64")]
fn synchronise(start: NonNull<u8>, length: usize) {
    use std::arch::asm;
    // SAFETY: maintenance of caches, by lines of the pages, which can be read.
    unsafe {
        let line_sizes: u64;
        asm!("mrs {}, ctr_el0", out(reg) line_sizes, options(nomem, nostack));
        let (start, end) = (start.addr().get(), start.addr().get() + length);
        // The field has the binary logarithm of a line's words.
        let lines = |field: u64| {
            let bytes = 4usize << (line_sizes >> field & 15);
            (start & !(bytes - 1)..end).step_by(bytes)
        };
        lines(16).for_each(|at| asm!("dc cvau, {}", in(reg) at, options(nostack)));
        asm!("dsb ish", options(nostack));
        lines(0).for_each(|at| asm!("ic ivau, {}", in(reg) at, options(nostack)));
        asm!("dsb ish", "isb", options(nostack));
    }
    other_threads_refetch();
}

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
