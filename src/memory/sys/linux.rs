//! Linux, and other systems with `memfd_create`: anonymous files, sealed and mapped.

use super::super::error::MemError;
use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create,
};
use rustix::io::Errno;
#[cfg(target_os = "linux")]
use rustix::mm::{Advice, MlockFlags, madvise, mlock_with};
use rustix::mm::{MapFlags, ProtFlags, mlock, mmap, munlock, munmap};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// The size of a page.
pub(in super::super) fn page() -> usize {
    rustix::param::page_size()
}

/// Mapped pages, and the file that they belong to.
#[derive(Debug)]
pub(in super::super) struct Pages {
    base: NonNull<u8>,
    bytes: usize,
    id: u32,
    /// `None` for a mapped file, which belongs to the program.
    file: Option<OwnedFd>,
    access: Access,
}

// SAFETY: the mapping belongs to this value and stays until it is dropped, whatever thread that is on.
unsafe impl Send for Pages {}
// SAFETY: as above; what is in the memory is not accessed here.
unsafe impl Sync for Pages {}

/// The seals after which the file's length cannot change.
const FIXED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// How memory is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Writes are visible to all processes.
    Shared,
    /// Another process may write; this one only reads.
    SharedReadOnly,
    /// No process writes. (Before Linux 6.7 such memory cannot be mapped shared.)
    Constant,
    /// Writes go to private copies of pages.
    Private,
}

impl Pages {
    /// New zeroed pages.
    pub(in super::super) fn open(bytes: usize) -> Result<Self, MemError> {
        let bytes = super::whole_pages(bytes)?;
        let failed = |what| move |error: Errno| MemError::system(what, bytes, error);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("aruminium", flags).map_err(failed("memfd_create"))?;
        ftruncate(&file, bytes as u64).map_err(failed("ftruncate of a memfd"))?;
        fcntl_add_seals(&file, FIXED).map_err(failed("sealing a memfd"))?;
        Self::map(file.as_fd(), 0, bytes, Access::Shared)?.with(file)
    }

    /// The pages of a part of a file, private and copy-on-write.
    pub(in super::super) fn map_file(
        file: &File,
        start: u64,
        bytes: usize,
    ) -> Result<Self, MemError> {
        if !start.is_multiple_of(page() as u64) {
            let multiple = page() as u64;
            return Err(MemError::Unaligned {
                what: "the start of the range",
                value: start,
                multiple,
            });
        }
        Self::map(file.as_fd(), start, super::whole_pages(bytes)?, Access::Private)
    }

    /// The memory that another process, or this one, shares by a descriptor. It must be sealed against
    /// shrinking; `constant` memory against writing, too.
    pub(in super::super) fn import(file: OwnedFd, constant: bool) -> Result<Self, MemError> {
        let failed = |what| move |error: Errno| MemError::system(what, 0, error);
        // A file that is not a memfd has no seals.
        let seals = fcntl_get_seals(&file).unwrap_or(SealFlags::empty());
        if !seals.contains(SealFlags::SHRINK) {
            return Err(MemError::Unsealed("shrinking"));
        }
        if constant && !seals.contains(SealFlags::WRITE) {
            return Err(MemError::Unsealed("writing"));
        }
        let length = fstat(&file).map_err(failed("fstat of an imported descriptor"))?.st_size;
        let length = usize::try_from(length).unwrap_or(0);
        if is_of_huge_pages(&file).map_err(failed("fstatfs of an imported descriptor"))? {
            let unsupported = std::io::ErrorKind::Unsupported;
            return Err(MemError::system(
                "importing huge pages, which may run out",
                length,
                unsupported,
            ));
        }
        let bytes = super::whole_pages(length)?;
        if bytes != length {
            let (value, multiple) = (length as u64, page() as u64);
            return Err(MemError::Unaligned { what: "the imported length", value, multiple });
        }
        let access = if constant {
            Access::Private
        } else if seals.contains(SealFlags::WRITE) {
            Access::Constant
        } else if seals.contains(SealFlags::FUTURE_WRITE) {
            Access::SharedReadOnly
        } else {
            Access::Shared
        };
        Self::map(file.as_fd(), 0, bytes, access)?.with(file)
    }

    /// Makes the memory constant for ever, for every process. With an error it returns the memory, with its contents.
    pub(in super::super) fn freeze(mut self) -> Result<Self, (MemError, Self)> {
        let (bytes, id) = (self.bytes, self.id);
        let Some(file) = self.file.take() else {
            let unsupported = std::io::ErrorKind::Unsupported;
            return Err((
                MemError::system("freezing this process's copies", bytes, unsupported),
                self,
            ));
        };
        let map = |access| {
            let mut pages = Self::map(file.as_fd(), 0, bytes, access)?;
            pages.id = id;
            Ok(pages)
        };
        let mut private = match map(Access::Private) {
            Ok(private) => private,
            Err(error) => {
                self.file = Some(file);
                return Err((error, self));
            }
        };
        // The seal is refused while the memory is mapped for writing.
        drop(self);
        let Err(error) = fcntl_add_seals(&file, SealFlags::WRITE) else {
            private.file = Some(file);
            return Ok(private);
        };
        // Exported memory cannot be mapped for writing again; other memory cannot if the system has no room for it.
        let mut kept = map(Access::Shared).unwrap_or_else(|_| private.into_copies());
        if kept.access == Access::Shared {
            kept.file = Some(file);
        }
        Err((MemError::system("sealing against writing", bytes, error), kept))
    }

    /// Makes this process's own copies of all pages of a private mapping, which nothing else uses.
    fn into_copies(self) -> Self {
        for offset in (0..self.bytes).step_by(page()) {
            // SAFETY: the byte is in the mapping, and nothing else reads or writes it.
            unsafe {
                let byte = self.base.add(offset);
                byte.write_volatile(byte.read_volatile());
            }
        }
        self
    }

    /// A descriptor for other processes, which none of them can write by; what is mapped for writing
    /// now stays so.
    pub(in super::super) fn export(&self) -> Result<OwnedFd, MemError> {
        let file = self.file.as_ref().ok_or(MemError::ReadOnly)?;
        // Constant memory has its seal, and may have the one that forbids further seals.
        if self.access == Access::Shared {
            fcntl_add_seals(file, SealFlags::FUTURE_WRITE).map_err(|error| {
                MemError::system("sealing against future writing", self.bytes, error)
            })?;
        }
        file.try_clone().map_err(|error| MemError::system("dup", self.bytes, error))
    }

    fn map(
        file: BorrowedFd<'_>,
        start: u64,
        bytes: usize,
        access: Access,
    ) -> Result<Self, MemError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let write = ProtFlags::READ | ProtFlags::WRITE;
        let (protection, flags) = match access {
            Access::Shared => (write, MapFlags::SHARED),
            Access::SharedReadOnly => (ProtFlags::READ, MapFlags::SHARED),
            Access::Constant => (ProtFlags::READ, MapFlags::PRIVATE),
            // Reserves no memory for copies, which only kernels that write to the pages would need.
            Access::Private => (write, MapFlags::PRIVATE | MapFlags::NORESERVE),
        };
        // SAFETY: a new mapping at an address that the system chooses replaces no other.
        let base = unsafe { mmap(std::ptr::null_mut(), bytes, protection, flags, file, start) }
            .map_err(|error| MemError::system("mmap", bytes, error))?;
        let base = NonNull::new(base.cast()).expect("the system maps nothing at address zero");
        let id = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| {
            Some(id.checked_add(1).unwrap_or(1))
        });
        Ok(Self { base, bytes, id: id.unwrap_or(1), file: None, access })
    }

    fn with(mut self, file: OwnedFd) -> Result<Self, MemError> {
        self.file = Some(file);
        Ok(self)
    }

    pub(in super::super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in super::super) fn id(&self) -> u32 {
        self.id
    }

    pub(in super::super) fn handle(&self) -> super::Handle {
        self.file.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Whether this process cannot write the memory.
    pub(in super::super) fn is_read_only(&self) -> bool {
        matches!(self.access, Access::SharedReadOnly | Access::Constant)
    }

    /// The descriptor, which a mapped file has not.
    pub(in super::super) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Makes every page present, with its contents. Returns `false` where the system leaves it to the program to read
    /// the pages: for a private mapping, whose pages a write would copy, as locking them does.
    pub(in super::super) fn prefault(&self) -> Result<bool, MemError> {
        let copies = self.access == Access::Private;
        #[cfg(target_os = "linux")]
        {
            let (advice, what) = match copies {
                true => (Advice::LinuxPopulateRead, "MADV_POPULATE_READ"),
                false => (Advice::LinuxPopulateWrite, "MADV_POPULATE_WRITE"),
            };
            // SAFETY: populating changes no contents, and the range is this mapping's.
            match unsafe { madvise(self.base.as_ptr().cast(), self.bytes, advice) } {
                // Before Linux 5.14.
                Err(Errno::INVAL) => {}
                other => {
                    return other
                        .map(|()| true)
                        .map_err(|error| MemError::system(what, self.bytes, error));
                }
            }
        }
        match copies {
            true => Ok(false),
            false => self.lock_pages().map(|()| true),
        }
    }

    /// Locks and unlocks each page, which makes it present: one at a time, because how much may be locked is limited.
    pub(in super::super) fn lock_pages(&self) -> Result<(), MemError> {
        for offset in (0..self.bytes).step_by(page()) {
            // SAFETY: the page is this mapping's.
            let page_start = unsafe { self.base.as_ptr().add(offset) }.cast();
            // SAFETY: as above.
            unsafe { mlock(page_start, page()).and_then(|()| munlock(page_start, page())) }
                .map_err(|error| MemError::system("mlock of a page", self.bytes, error))?;
        }
        Ok(())
    }

    /// Keeps the pages in RAM. Returns `false` if those that are not present are locked when they are: locking pages as
    /// they become present copies none of a private mapping.
    pub(in super::super) fn pin(&self) -> Result<bool, MemError> {
        let failed = |error| MemError::system("mlock (see `ulimit -l`)", self.bytes, error);
        let start = self.base.as_ptr().cast();
        #[cfg(target_os = "linux")]
        if self.access == Access::Private {
            // SAFETY: the range is this mapping's.
            unsafe { mlock_with(start, self.bytes, MlockFlags::ONFAULT) }.map_err(failed)?;
            return Ok(false);
        }
        // SAFETY: the range is this mapping's.
        unsafe { mlock(start, self.bytes) }.map_err(failed)?;
        Ok(true)
    }

    /// Ends what `pin` began.
    pub(in super::super) fn unpin(&self) {
        // SAFETY: the range is this mapping's. It fails only for a range that is not mapped.
        let _ = unsafe { munlock(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Whether a descriptor's memory consists of huge pages. There may be none left when a page is first accessed, which
/// ends the process.
#[cfg(target_os = "linux")]
fn is_of_huge_pages(file: &OwnedFd) -> Result<bool, Errno> {
    const HUGETLBFS: u64 = 0x9584_58f6;
    Ok(rustix::fs::fstatfs(file)?.f_type as u64 & u64::from(u32::MAX) == HUGETLBFS)
}

#[cfg(not(target_os = "linux"))]
fn is_of_huge_pages(_: &OwnedFd) -> Result<bool, Errno> {
    Ok(false)
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value and is not used any more.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
