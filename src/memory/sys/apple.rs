//! Apple's systems: IOSurfaces, which CPU, GPU and Neural Engine can all use, and mapped files.

use super::super::error::MemError;
use super::WORD;
use super::owned::Owned;
use crate::abi::Id;
use crate::objc::link::core_foundation::{
    CFDictionaryCreate, CFNumberCreate, CFRelease, CFRetain, INT_64, kCFBooleanFalse,
    kCFBooleanTrue, kCFTypeDictionaryKeyCallBacks, kCFTypeDictionaryValueCallBacks,
};
use crate::objc::link::{self, IOSurfaceRef};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

/// The size of a page.
pub(in super::super) fn page() -> usize {
    usize::try_from(link::getpagesize()).unwrap_or(16 << 10)
}

/// Mapped pages, and what they belong to.
#[derive(Debug)]
pub(in super::super) struct Pages {
    base: NonNull<u8>,
    bytes: usize,
    /// Null for a mapped file.
    surface: IOSurfaceRef,
    /// Whether it is in [`OWNED`].
    owned: bool,
}

/// The surfaces of blocks, by their ids: in the process that made it, a surface is found by its id even if other
/// processes cannot find it, and at the same address.
static OWNED: Owned = Owned::new();

// SAFETY: the surface stays locked, and the file mapped, until this value is dropped, whatever thread
// that is on.
unsafe impl Send for Pages {}
// SAFETY: as above; what is in the memory is not accessed here.
unsafe impl Sync for Pages {}

/// Locked for reading and writing.
const READ_WRITE: u32 = 0;

impl Pages {
    /// New zeroed pages.
    pub(in super::super) fn open(bytes: usize) -> Result<Self, MemError> {
        let mut pages = OWNED.make(|| Self::surface(bytes, false), Self::id)?;
        pages.owned = true;
        Ok(pages)
    }

    /// New zeroed pages, which other processes find by the surface's id.
    pub(in super::super) fn open_global(bytes: usize) -> Result<Self, MemError> {
        Self::surface(bytes, true)
    }

    fn surface(bytes: usize, global: bool) -> Result<Self, MemError> {
        let bytes = super::whole_pages(bytes)? as u64;
        // SAFETY: the numbers and the dictionary are made and released here. The framework's keys are constant strings.
        let surface = unsafe {
            let number = |value: u64| CFNumberCreate(Id::NIL, INT_64, (&raw const value).cast());
            let (whole, one, none) = (number(bytes), number(1), number(0));
            let (keys, values): (Vec<_>, Vec<_>) = [
                (link::kIOSurfaceWidth, whole),
                (link::kIOSurfaceHeight, one),
                (link::kIOSurfaceBytesPerElement, one),
                (link::kIOSurfacePixelFormat, none),
                (link::kIOSurfaceAllocSize, whole),
                (link::kIOSurfaceIsGlobal, if global { kCFBooleanTrue } else { kCFBooleanFalse }),
            ]
            .into_iter()
            .unzip();
            let properties = CFDictionaryCreate(
                Id::NIL,
                keys.as_ptr(),
                values.as_ptr(),
                keys.len() as isize,
                &raw const kCFTypeDictionaryKeyCallBacks,
                &raw const kCFTypeDictionaryValueCallBacks,
            );
            let surface = link::IOSurfaceCreate(properties);
            [properties, whole, one, none].into_iter().for_each(|object| CFRelease(object));
            surface
        };
        // SAFETY: the surface is new, and this process's.
        unsafe { Self::lock(surface) }
    }

    /// The surface that another process shares under this id.
    pub(in super::super) fn lookup(id: u32) -> Result<Self, MemError> {
        // SAFETY: any number may be looked up; the result is owned, or null.
        OWNED.find(id, || unsafe { Self::lock(link::IOSurfaceLookup(id)) })
    }

    /// Another owner of a surface.
    ///
    /// # Safety
    ///
    /// The surface is alive.
    pub(in super::super) unsafe fn import(surface: IOSurfaceRef) -> Result<Self, MemError> {
        // SAFETY: the surface is alive.
        let id = unsafe { link::IOSurfaceGetID(surface) };
        // SAFETY: a surface is an object.
        OWNED.find(id, || unsafe {
            CFRetain(Id::from_ptr(surface.cast()));
            Self::lock(surface)
        })
    }

    /// Takes ownership of a count of a surface, or null. Another program may have made it, with any address and size; its
    /// whole words are used.
    unsafe fn lock(surface: IOSurfaceRef) -> Result<Self, MemError> {
        if surface.is_null() {
            return Err(MemError::BlockCreateFailed);
        }
        // SAFETY: the surface is alive.
        let code = unsafe { link::IOSurfaceLock(surface, READ_WRITE, ptr::null_mut()) };
        // SAFETY: as above, and it is locked.
        let (base, bytes) = unsafe {
            (link::IOSurfaceGetBaseAddress(surface), link::IOSurfaceGetAllocSize(surface))
        };
        let base = NonNull::new(base.cast()).filter(|_| code == 0);
        let Some(base) = base else {
            // SAFETY: the count is this function's.
            unsafe { CFRelease(Id::from_ptr(surface.cast())) };
            return Err(MemError::BlockLockFailed(code));
        };
        // From here on `drop` unlocks and releases it.
        let pages = Self { base, bytes: bytes / WORD * WORD, surface, owned: false };
        match base.addr().get() {
            start if start.is_multiple_of(WORD) => Ok(pages),
            start => Err(MemError::Unaligned {
                what: "the surface's address",
                value: start as u64,
                multiple: WORD as u64,
            }),
        }
    }

    /// The pages of a part of a file, private and copy-on-write.
    pub(in super::super) fn map_file(
        file: &File,
        start: u64,
        bytes: usize,
    ) -> Result<Self, MemError> {
        let multiple = page() as u64;
        if !start.is_multiple_of(multiple) {
            return Err(MemError::Unaligned {
                what: "the start of the range",
                value: start,
                multiple,
            });
        }
        let bytes = super::whole_pages(bytes)?;
        let past = MemError::TooLarge {
            what: "bytes of a file",
            requested: start,
            limit: i64::MAX as u64,
        };
        let start = i64::try_from(start).map_err(|_| past)?;
        let access = link::PROT_READ | link::PROT_WRITE;
        // SAFETY: a new mapping at an address that the system chooses replaces no other.
        let base = unsafe {
            link::mmap(ptr::null_mut(), bytes, access, link::MAP_PRIVATE, file.as_raw_fd(), start)
        };
        let base = NonNull::new(base.cast()).filter(|base| base.addr().get() != usize::MAX);
        let base =
            base.ok_or_else(|| MemError::system("mmap", bytes, io::Error::last_os_error()))?;
        Ok(Self { base, bytes, surface: ptr::null_mut(), owned: false })
    }

    pub(in super::super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in super::super) fn id(&self) -> u32 {
        if self.surface.is_null() {
            return 0;
        }
        // SAFETY: the surface is alive.
        unsafe { link::IOSurfaceGetID(self.surface) }
    }

    pub(in super::super) fn handle(&self) -> super::Handle {
        self.surface
    }

    /// Whether only another process may write the memory: never, since every process that has a surface can write it.
    pub(in super::super) fn is_read_only(&self) -> bool {
        false
    }

    /// Makes every page present, with its contents. Returns `false` where the system leaves it to the program to read
    /// the pages: for a mapped file, whose pages a write would copy.
    pub(in super::super) fn prefault(&self) -> Result<bool, MemError> {
        if self.surface.is_null() {
            return Ok(false);
        }
        // Locked, a page is present: one at a time, because how much may be locked is limited.
        for offset in (0..self.bytes).step_by(page()) {
            let bytes = page().min(self.bytes - offset);
            // SAFETY: the page is this mapping's.
            let failed = unsafe {
                let start = self.base.as_ptr().add(offset).cast();
                link::mlock(start, bytes) != 0 || link::munlock(start, bytes) != 0
            };
            if failed {
                return Err(MemError::system("mlock of a page", bytes, io::Error::last_os_error()));
            }
        }
        Ok(true)
    }

    /// Keeps the pages in RAM; `true`, because all are present then.
    pub(in super::super) fn pin(&self) -> Result<bool, MemError> {
        // SAFETY: the range is this mapping's.
        match unsafe { link::mlock(self.base.as_ptr().cast(), self.bytes) } {
            0 => Ok(true),
            _ => Err(MemError::system("mlock", self.bytes, io::Error::last_os_error())),
        }
    }

    /// Ends what `pin` began.
    pub(in super::super) fn unpin(&self) {
        // SAFETY: the range is this mapping's. It fails only for a range that is not mapped.
        let _ = unsafe { link::munlock(self.base.as_ptr().cast(), self.bytes) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.owned {
            OWNED.release(self.id());
        }
        // SAFETY: the memory is not used any more; the lock, the count and the mapping belong to this value.
        unsafe {
            if self.surface.is_null() {
                link::munmap(self.base.as_ptr().cast(), self.bytes);
            } else {
                link::IOSurfaceUnlock(self.surface, READ_WRITE, ptr::null_mut());
                CFRelease(Id::from_ptr(self.surface.cast()));
            }
        }
    }
}
