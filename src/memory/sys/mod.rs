//! Pages of memory from the system: the only module of `memory` that differs between systems.

use super::error::MemError;
use std::ops::{Bound, RangeBounds};
use std::ptr::NonNull;

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(not(target_vendor = "apple"))]
mod linux;
// On Linux memory is found by a descriptor, and mapped at another address each time.
#[cfg(any(target_vendor = "apple", test))]
pub(super) mod owned;

#[cfg(target_vendor = "apple")]
pub(super) use apple::{Pages, page};
#[cfg(not(target_vendor = "apple"))]
pub(super) use linux::{Pages, page};

#[cfg(target_vendor = "apple")]
type SystemHandle = *mut std::ffi::c_void;
#[cfg(not(target_vendor = "apple"))]
type SystemHandle = std::os::fd::RawFd;

/// The system's handle of a block's memory: an `IOSurfaceRef` on Apple's systems, a file descriptor elsewhere. It is
/// valid while the block lives.
///
/// ```
/// let block = aruminium::memory::Block::open(1)?;
/// let handle: aruminium::memory::Handle = block.handle();
/// # let _ = handle;
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub type Handle = SystemHandle;

/// The unit of accesses to memory that another process may write: memory begins at a multiple of it, and has whole ones.
pub(super) const WORD: usize = size_of::<u32>();

/// The pages of every system are at least this large, and begin at a multiple of it.
pub(super) const PAGE: usize = 4096;

/// The number of bytes in the whole pages that hold this many.
pub(super) fn whole_pages(bytes: usize) -> Result<usize, MemError> {
    if bytes == 0 {
        return Err(MemError::ZeroSize);
    }
    let pages =
        bytes.checked_next_multiple_of(page()).filter(|&bytes| bytes <= isize::MAX as usize);
    pages.ok_or(MemError::too_many_bytes(bytes))
}

/// Reads a byte of each page, so that all of them are present.
///
/// # Safety
///
/// The pages are mapped, and nothing writes them meanwhile.
pub(super) unsafe fn read_pages(base: NonNull<u8>, bytes: usize) {
    for offset in (0..bytes).step_by(page()) {
        // SAFETY: passed on to the caller.
        _ = unsafe { base.add(offset).read_volatile() };
    }
}

/// The start and the length of a range of a file of this length.
pub(super) fn file_range(
    range: impl RangeBounds<u64>,
    length: u64,
) -> Result<(u64, usize), MemError> {
    let past = |limit: u64| MemError::TooLarge {
        what: "bytes of a file",
        requested: limit,
        limit: length,
    };
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&start) => start.checked_add(1).ok_or(past(start))?,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&end) => end.checked_add(1).ok_or(past(end))?,
        Bound::Excluded(&end) => end,
        Bound::Unbounded => length,
    };
    if end > length {
        return Err(past(end));
    }
    let bytes = end.saturating_sub(start);
    if bytes == 0 {
        return Err(MemError::ZeroSize);
    }
    Ok((start, usize::try_from(bytes).map_err(|_| past(end))?))
}
