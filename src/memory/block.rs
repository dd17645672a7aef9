//! Whole pages of memory at one address.

use super::constant::Constant;
use super::error::MemError;
use super::record::Record;
use super::sys::{self, Handle, Pages};
use super::view::{View, ViewMut};
use crate::Plain;
use std::fmt;
use std::fs::File;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, PoisonError};

/// Whole pages of memory, at one address for as long as they live. A clone is another handle to the
/// same memory.
///
/// On Apple's systems it is an IOSurface, which every unit of the chip can use; on Linux a memfd. After a `fork` both
/// processes see each other's writes, so only one of them may use it.
///
/// ```
/// use aruminium::memory::Block;
/// let block = Block::open(1000)?;
/// assert!(block.size() >= 1000 && block.requested() == 1000);
/// let same = block.clone();
/// block.as_bytes_mut()[..5].copy_from_slice(b"hello");
/// assert_eq!(&same.as_bytes()[..5], b"hello");
/// assert_eq!(block.address(), same.address());
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
#[derive(Clone)]
pub struct Block(Arc<Inner>);

struct Inner {
    // Dropped before the pages: the next mapping at their address has a record of its own.
    record: Record,
    // The same for its entry.
    constant: Option<Constant>,
    pages: Pages,
    requested: usize,
    /// The number of live `Pinned`s.
    pins: Mutex<usize>,
}

/// Keeps a block's pages in RAM until it is dropped.
///
/// ```
/// let block = aruminium::memory::Block::open(4096)?;
/// // The system limits how much may be pinned.
/// if let Ok(pinned) = block.pin() {
///     println!("{pinned:?} is in RAM");
/// }
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
#[derive(Debug)]
#[must_use = "the pages may leave RAM when this is dropped"]
pub struct Pinned<'a>(&'a Block);

impl Block {
    /// New memory, zeroed: at least this many bytes, as whole pages.
    ///
    /// # Errors
    ///
    /// [`MemError::ZeroSize`], or a system error.
    ///
    /// ```
    /// use aruminium::memory::{Block, MemError};
    /// assert!(Block::open(1)?.as_bytes().iter().all(|&byte| byte == 0));
    /// assert!(matches!(Block::open(0), Err(MemError::ZeroSize)));
    /// # Ok::<(), MemError>(())
    /// ```
    pub fn open(bytes: usize) -> Result<Self, MemError> {
        Ok(Self::new(Pages::open(bytes)?, bytes, false))
    }

    fn new(pages: Pages, requested: usize, read_only: bool) -> Self {
        let record = Record::new(pages.base().as_ptr(), pages.bytes());
        let start = pages.base().as_ptr().addr();
        let constant = read_only.then(|| Constant::new(start..start + pages.bytes()));
        let pins = Mutex::new(0);
        Self(Arc::new(Inner { record, constant, pages, requested, pins }))
    }

    /// A part of a file, read-only and mapped without a copy: for weights. The range begins at a multiple of
    /// the size of a page; after its end the last page holds the next bytes of the file, or zeros.
    ///
    /// A kernel that writes to it writes to this mapping's own copy of the page, never to the file.
    ///
    /// # Safety
    ///
    /// While the block lives no program writes or shortens the file.
    ///
    /// # Errors
    ///
    /// If the range is empty, ends past the file's end or begins within a page; or a system error.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aruminium::memory::Block;
    /// # let path = std::env::temp_dir().join(format!("aruminium-map-{}", std::process::id()));
    /// std::fs::write(&path, 1.5f32.to_ne_bytes())?;
    /// let file = std::fs::File::open(&path)?;
    /// // SAFETY: no other program uses the file.
    /// let weights = unsafe { Block::map(&file, ..)? };
    /// assert_eq!(weights.as_f32()[0], 1.5);
    /// assert!(weights.try_view_mut::<f32>().is_err(), "it can only be read");
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub unsafe fn map(file: &File, range: impl RangeBounds<u64>) -> Result<Self, MemError> {
        let (start, bytes) = sys::file_range(range, length(file)?)?;
        Ok(Self::new(Pages::map_file(file, start, bytes)?, bytes, true))
    }

    /// New memory with a copy of a part of a file.
    ///
    /// # Errors
    ///
    /// If the range is empty or ends past the file's end; or a system error.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use aruminium::memory::Block;
    /// # let path = std::env::temp_dir().join(format!("aruminium-read-{}", std::process::id()));
    /// std::fs::write(&path, b"header and weights")?;
    /// let weights = Block::read(&std::fs::File::open(&path)?, 11..)?;
    /// assert_eq!(&weights.as_bytes()[..weights.requested()], b"weights");
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(file: &File, range: impl RangeBounds<u64>) -> Result<Self, MemError> {
        use std::os::unix::fs::FileExt;
        let (start, bytes) = sys::file_range(range, length(file)?)?;
        let block = Self::open(bytes)?;
        file.read_exact_at(&mut block.as_bytes_mut()[..bytes], start)
            .map_err(|error| MemError::system("reading a file", bytes, error))?;
        Ok(block)
    }

    /// The start of the memory: the same address for as long as it lives.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(4096)?;
    /// // SAFETY: nothing else uses the block now.
    /// unsafe { block.address().write(7) };
    /// assert_eq!(block.as_bytes()[0], 7);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn address(&self) -> *mut u8 {
        self.0.pages.base().as_ptr()
    }

    /// How many bytes there are: whole pages.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(1)?;
    /// assert!(block.size() >= 4096);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn size(&self) -> usize {
        self.0.pages.bytes()
    }

    /// How many bytes were requested.
    ///
    /// ```
    /// assert_eq!(aruminium::memory::Block::open(1000)?.requested(), 1000);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn requested(&self) -> usize {
        self.0.requested
    }

    /// Whether the memory can only be read.
    ///
    /// ```
    /// assert!(!aruminium::memory::Block::open(1)?.is_read_only());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn is_read_only(&self) -> bool {
        self.0.constant.is_some()
    }

    /// A number that no other live block of this process has. On Apple's systems it is the surface's id,
    /// and 0 for a mapped file.
    ///
    /// ```
    /// use aruminium::memory::Block;
    /// assert_ne!(Block::open(1)?.id(), Block::open(1)?.id());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn id(&self) -> u32 {
        self.0.pages.id()
    }

    /// The system's handle of the memory, valid while the block lives. On Apple's systems it is an
    /// `IOSurfaceRef`, null for a mapped file, which drivers of other units take; elsewhere a file
    /// descriptor, or -1.
    ///
    /// Using it takes `unsafe` code, which must not write the memory through the handle while a view is open.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(1)?;
    /// println!("{:?}", block.handle());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.0.pages.handle()
    }

    /// All of the memory, as values that the CPU reads; trailing bytes that do not make a whole value are left out.
    ///
    /// # Panics
    ///
    /// If a mutable view lives, or a buffer over the block is being written; if a tape or a grid hands out parts of the
    /// memory; if a command buffer that may write it was submitted and has not completed (see
    /// [`view_completed`](Self::view_completed)); or if the values' alignment is more than a page's.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(4096)?;
    /// assert_eq!(block.view::<[f32; 4]>()[0], [0.0; 4]);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub fn view<T: Plain>(&self) -> View<'_, T> {
        self.try_view().unwrap_or_else(|error| panic!("{error}"))
    }

    /// All of the memory, as values that the CPU writes.
    ///
    /// # Panics
    ///
    /// If any view lives, or a buffer over the block is being read or written; if a tape or a grid hands out parts of the
    /// memory; if it can only be read; if a command buffer that uses it was submitted and has not completed (see
    /// [`view_mut_completed`](Self::view_mut_completed)); or if the values' alignment is more than a page's.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(4096)?;
    /// block.view_mut::<u64>().fill(u64::MAX);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub fn view_mut<T: Plain>(&self) -> ViewMut<'_, T> {
        self.try_view_mut().unwrap_or_else(|error| panic!("{error}"))
    }

    /// [`view`](Self::view), or the reason why it is not possible.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] or [`MemError::Unaligned`] where `view` panics.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(4096)?;
    /// let (one, another) = (block.try_view::<u8>()?, block.try_view::<u8>()?);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_view<T: Plain>(&self) -> Result<View<'_, T>, MemError> {
        self.reading(false)
    }

    /// [`view_mut`](Self::view_mut), or the reason why it is not possible.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`], [`MemError::ReadOnly`] or [`MemError::Unaligned`] where `view_mut` panics.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(4096)?;
    /// let first = block.try_view_mut::<u8>()?;
    /// let second = block.try_view_mut::<u8>().unwrap_err();
    /// assert!(second.to_string().contains("being written"));
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_view_mut<T: Plain>(&self) -> Result<ViewMut<'_, T>, MemError> {
        self.writing(false)
    }

    /// [`try_view`](Self::try_view), after the command buffers that may write the memory have completed.
    ///
    /// # Errors
    ///
    /// As for `try_view`, except that command buffers are waited for.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let block = aruminium::memory::Block::open(4096)?;
    /// let copier = commands.copier()?;
    /// copier.fill(&gpu.wrap(&block)?, (0..4096).into(), 7);
    /// copier.finish();
    /// commands.submit();
    /// assert_eq!(block.view_completed::<u8>()?[4095], 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn view_completed<T: Plain>(&self) -> Result<View<'_, T>, MemError> {
        self.reading(true)
    }

    /// [`try_view_mut`](Self::try_view_mut), after the command buffers that use the memory have completed.
    ///
    /// # Errors
    ///
    /// As for `try_view_mut`, except that command buffers are waited for.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(4096)?;
    /// block.view_mut_completed::<u8>()?.fill(7);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn view_mut_completed<T: Plain>(&self) -> Result<ViewMut<'_, T>, MemError> {
        self.writing(true)
    }

    fn reading<T: Plain>(&self, waits: bool) -> Result<View<'_, T>, MemError> {
        let (start, len) = self.values()?;
        let open = self.0.record.view_all(false, waits)?;
        // SAFETY: the block holds `len` plain values and is aligned for them. While the view is open
        // nothing writes them.
        Ok(unsafe { View::new(start, len, open) })
    }

    fn writing<T: Plain>(&self, waits: bool) -> Result<ViewMut<'_, T>, MemError> {
        if self.is_read_only() {
            return Err(MemError::ReadOnly);
        }
        let (start, len) = self.values()?;
        let open = self.0.record.view_all(true, waits)?;
        // SAFETY: as for reading, and while the view is open nothing else reads them.
        Ok(unsafe { ViewMut::new(start, len, open) })
    }

    fn values<T: Plain>(&self) -> Result<(*mut T, usize), MemError> {
        let start = self.address().cast::<T>();
        if !start.is_aligned() {
            let (value, multiple) = (start.addr() as u64, align_of::<T>() as u64);
            return Err(MemError::Unaligned { what: "the block's address", value, multiple });
        }
        Ok((start, self.size().checked_div(size_of::<T>()).unwrap_or(0)))
    }

    /// Makes every page resident now, so that first accesses are not slow. The contents do not change, whatever writes
    /// them meanwhile.
    ///
    /// On Apple's systems, and on Linux before 5.14, the pages of a mapped file are read for this, after the command
    /// buffers that may write them have completed.
    ///
    /// # Errors
    ///
    /// A system error; [`MemError::Busy`] if pages must be read, and a buffer over the block is being written.
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(1 << 16)?;
    /// block.as_bytes_mut()[0] = 7;
    /// block.prefault()?;
    /// assert_eq!(block.as_bytes()[0], 7);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn prefault(&self) -> Result<(), MemError> {
        // Held, so that the locking and unlocking of prefaulting does not unpin the pages.
        let pins = self.0.pins.lock().unwrap_or_else(PoisonError::into_inner);
        // Pinned pages are resident.
        let present = *pins > 0 || self.0.pages.prefault()?;
        drop(pins);
        if present { Ok(()) } else { self.touch() }
    }

    /// Reads a byte of each page, so that all of them are present. It is a view like others, since what another thread or
    /// a kernel writes must not be read at the same time.
    pub(super) fn touch(&self) -> Result<(), MemError> {
        let _open = self.0.record.view(0..self.size(), false, true)?;
        // SAFETY: the pages are mapped, and while the view is open nothing writes them.
        unsafe { sys::read_pages(self.0.pages.base(), self.size()) };
        Ok(())
    }

    /// How pages are made present before Linux 5.14.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn lock_pages(&self) -> Result<(), MemError> {
        self.0.pages.lock_pages()
    }

    /// Keeps the pages in RAM while the guard lives. The system limits how much a program may pin.
    ///
    /// # Errors
    ///
    /// A system error; or as for [`prefault`](Self::prefault).
    ///
    /// ```
    /// let block = aruminium::memory::Block::open(4096)?;
    /// match block.pin() {
    ///     Ok(_pinned) => { /* use it */ }
    ///     Err(error) => assert!(error.to_string().contains("mlock")),
    /// }
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn pin(&self) -> Result<Pinned<'_>, MemError> {
        let mut pins = self.0.pins.lock().unwrap_or_else(PoisonError::into_inner);
        // Pinning pages again changes nothing.
        let present = self.0.pages.pin()?;
        *pins += 1;
        drop(pins);
        let pinned = Pinned(self);
        if !(present || self.0.pages.prefault()?) {
            self.touch()?;
        }
        Ok(pinned)
    }

    pub(super) fn record(&self) -> &Record {
        &self.0.record
    }

    /// Whether this is the only handle, and no buffer has another.
    pub(super) fn is_sole(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("id", &self.id())
            .field("address", &self.address())
            .field("size", &self.size())
            .field("requested", &self.0.requested)
            .field("read_only", &self.is_read_only())
            .finish()
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        let mut pins = self.0.0.pins.lock().unwrap_or_else(PoisonError::into_inner);
        *pins -= 1;
        if *pins == 0 {
            self.0.0.pages.unpin();
        }
    }
}

fn length(file: &File) -> Result<u64, MemError> {
    let metadata = file.metadata().map_err(|error| MemError::system("fstat", 0, error))?;
    Ok(metadata.len())
}

#[cfg(not(target_vendor = "apple"))]
pub use processes::NotFrozen;

#[cfg(not(target_vendor = "apple"))]
mod processes {
    use super::{Block, Inner, MemError, Pages};
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    /// Constant memory between processes. On Apple's systems, whose surfaces cannot be made constant,
    /// memory of other processes is [`Shared`](crate::memory::Shared).
    impl Block {
        /// Constant memory of another process, by a descriptor that is sealed against shrinking and
        /// writing. Memory that is not sealed against writing is [`Shared`](crate::memory::Shared).
        ///
        /// # Errors
        ///
        /// [`MemError::Unsealed`] if a seal is missing, or a system error.
        ///
        /// ```
        /// use aruminium::memory::Block;
        /// let block = Block::open(4096)?;
        /// block.as_bytes_mut()[0] = 7;
        /// let sent = block.freeze()?.export()?;
        /// // In the other process:
        /// let received = Block::import(sent)?;
        /// assert_eq!(received.as_bytes()[0], 7);
        /// # Ok::<(), aruminium::memory::MemError>(())
        /// ```
        pub fn import(descriptor: OwnedFd) -> Result<Self, MemError> {
            let pages = Pages::import(descriptor, true)?;
            let bytes = pages.bytes();
            Ok(Self::new(pages, bytes, true))
        }

        /// A descriptor of the memory for other processes. They can only read it: only this process
        /// writes, until it freezes the block.
        ///
        /// # Errors
        ///
        /// [`MemError::ReadOnly`] for a mapped file, which has a descriptor of its own, or a system error.
        ///
        /// ```
        /// use aruminium::memory::{Block, Shared};
        /// let block = Block::open(4096)?;
        /// // In the other process:
        /// let received = Shared::import(block.export()?)?;
        /// block.as_bytes_mut()[0] = 7;
        /// let mut byte = [0u8];
        /// received.read(0, &mut byte)?;
        /// assert_eq!(byte, [7]);
        /// # Ok::<(), aruminium::memory::MemError>(())
        /// ```
        pub fn export(&self) -> Result<OwnedFd, MemError> {
            self.0.pages.export()
        }

        /// Makes the memory permanently constant, in every process. The address may change.
        ///
        /// # Errors
        ///
        /// [`NotFrozen`], which has the block with its contents: with [`MemError::Busy`] if another clone of the block
        /// lives, with a system error, for instance, if another process has mapped the memory for writing.
        ///
        /// ```
        /// use aruminium::memory::Block;
        /// let block = Block::open(4096)?.freeze()?;
        /// assert!(block.is_read_only());
        /// # Ok::<(), aruminium::memory::MemError>(())
        /// ```
        pub fn freeze(self) -> Result<Self, NotFrozen> {
            let inner = Arc::try_unwrap(self.0).map_err(|shared| NotFrozen {
                error: MemError::Busy(
                    "another clone of the block, or a buffer or a tape over it, lives".into(),
                ),
                block: Self(shared),
            })?;
            let Inner { record, constant, pages, requested, .. } = inner;
            let read_only = constant.is_some();
            drop((record, constant));
            if read_only {
                return Ok(Self::new(pages, requested, true));
            }
            match pages.freeze() {
                Ok(pages) => Ok(Self::new(pages, requested, true)),
                Err((error, pages)) => {
                    Err(NotFrozen { error, block: Self::new(pages, requested, false) })
                }
            }
        }
    }

    /// Why [`Block::freeze`] failed, and the block. It can be used as before, but for this: if a process has it mapped for
    /// writing, and it was [exported](Block::export) or the system cannot map it again, it is now this process's own
    /// memory, and has no descriptor. What other processes have no longer changes with it, and it cannot be frozen.
    ///
    /// ```
    /// use aruminium::memory::Block;
    /// let block = Block::open(4096)?;
    /// let clone = block.clone();
    /// let kept = block.freeze().unwrap_err();
    /// assert!(kept.to_string().contains("another clone"));
    /// drop(clone);
    /// let block = kept.block.freeze()?;
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[derive(Debug)]
    pub struct NotFrozen {
        /// The operation that failed.
        pub error: MemError,
        /// The block, with its contents. Its address may have changed.
        pub block: Block,
    }

    impl std::fmt::Display for NotFrozen {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.error.fmt(f)
        }
    }

    impl std::error::Error for NotFrozen {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.error.source()
        }
    }

    impl From<NotFrozen> for MemError {
        fn from(kept: NotFrozen) -> Self {
            kept.error
        }
    }

    impl From<NotFrozen> for crate::GpuError {
        fn from(kept: NotFrozen) -> Self {
            kept.error.into()
        }
    }
}

/// The views of the crate unimem, under its names.
macro_rules! named_views {
    ($($name:ident, $name_mut:ident: $ty:ty;)+) => {
        impl Block {$(
            #[doc = concat!("[`view::<", stringify!($ty), ">`](Self::view).")]
            ///
            /// ```
            /// let block = aruminium::memory::Block::open(4096)?;
            #[doc = concat!("assert_eq!(block.", stringify!($name), "().len(), block.size() / size_of::<", stringify!($ty), ">());")]
            /// # Ok::<(), aruminium::memory::MemError>(())
            /// ```
            #[track_caller]
            pub fn $name(&self) -> View<'_, $ty> {
                self.view()
            }

            #[doc = concat!("[`view_mut::<", stringify!($ty), ">`](Self::view_mut).")]
            ///
            /// ```
            /// let block = aruminium::memory::Block::open(4096)?;
            #[doc = concat!("block.", stringify!($name_mut), "()[1] = Default::default();")]
            /// # Ok::<(), aruminium::memory::MemError>(())
            /// ```
            #[track_caller]
            pub fn $name_mut(&self) -> ViewMut<'_, $ty> {
                self.view_mut()
            }
        )+}
    };
}

named_views! {
    as_bytes, as_bytes_mut: u8;
    as_f32, as_f32_mut: f32;
    as_u16, as_u16_mut: u16;
}
