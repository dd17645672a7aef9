//! Memory that another process may write.

use super::error::MemError;
use super::sys::{Handle, Pages, WORD};
use crate::Plain;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Memory that another process may write at any time: it is copied from and to, in atomic words of 32
/// bits, and has no slices. A clone is another handle to the same memory.
///
/// ```
/// use aruminium::memory::Shared;
/// use std::sync::atomic::Ordering;
/// let shared = Shared::open(4096)?;
/// shared.write(64, &[1.0f32, 2.0])?;
/// shared.atomic_u32(0)?.store(1, Ordering::Release); // signals the other process that data is there
/// let mut values = [0.0f32; 2];
/// shared.read(64, &mut values)?;
/// assert_eq!(values, [1.0, 2.0]);
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shared(Arc<Pages>);

impl Shared {
    /// New memory, zeroed, that can be shared with other processes: by its descriptor, on Apple's systems by its id.
    ///
    /// # Errors
    ///
    /// As for [`Block::open`](super::Block::open).
    ///
    /// ```
    /// assert!(aruminium::memory::Shared::open(1000)?.size() >= 1000);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn open(bytes: usize) -> Result<Self, MemError> {
        #[cfg(target_vendor = "apple")]
        let pages = Pages::open_global(bytes)?;
        #[cfg(not(target_vendor = "apple"))]
        let pages = Pages::open(bytes)?;
        Ok(Self(Arc::new(pages)))
    }

    /// Memory of another process, by a descriptor that is sealed against shrinking.
    ///
    /// # Errors
    ///
    /// [`MemError::Unsealed`] if it is not, or a system error.
    ///
    /// ```
    /// use aruminium::memory::Shared;
    /// use std::os::fd::AsFd;
    /// let here = Shared::open(4096)?;
    /// let descriptor = here.as_fd().try_clone_to_owned().unwrap();
    /// // In the other process, which received the descriptor as its standard input or through a socket:
    /// let there = Shared::import(descriptor)?;
    /// there.write(0, b"hello")?;
    /// let mut text = [0; 5];
    /// here.read(0, &mut text)?;
    /// assert_eq!(&text, b"hello");
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[cfg(not(target_vendor = "apple"))]
    pub fn import(descriptor: std::os::fd::OwnedFd) -> Result<Self, MemError> {
        Ok(Self(Arc::new(Pages::import(descriptor, false)?)))
    }

    /// Memory of another process, by its id in that process; or memory of this process that [`open`](Self::open) made.
    ///
    /// # Safety
    ///
    /// An id finds every surface of the process that made it, not only those of this module. If the surface was made by this process, but
    /// not by `open`, no other code of this process accesses it while the memory lives, as for [`import`](Self::import).
    ///
    /// # Errors
    ///
    /// [`MemError::BlockCreateFailed`] if there is no such surface, [`MemError::Busy`] if a [`Block`](super::Block) of
    /// this process owns it, [`MemError::Unaligned`] if its address is no multiple of 4.
    #[cfg(target_vendor = "apple")]
    pub unsafe fn lookup(id: u32) -> Result<Self, MemError> {
        Ok(Self(Arc::new(Pages::lookup(id)?)))
    }

    /// The memory of a surface that another part of this process has, from any source.
    ///
    /// # Safety
    ///
    /// The surface is alive. While the memory lives, no other code of this process accesses it, except by atomics of 32
    /// bits as this type does: there are no slices of it, and no kernel or other unit runs that writes it while it is
    /// read here.
    ///
    /// # Errors
    ///
    /// [`MemError::BlockLockFailed`] if the CPU cannot use it, [`MemError::Busy`] if a [`Block`](super::Block) of this
    /// process owns it, [`MemError::Unaligned`] if its address is no multiple of 4.
    #[cfg(target_vendor = "apple")]
    pub unsafe fn import(surface: Handle) -> Result<Self, MemError> {
        // SAFETY: passed on to the caller.
        Ok(Self(Arc::new(unsafe { Pages::import(surface)? })))
    }

    /// How many bytes there are.
    ///
    /// ```
    /// assert!(aruminium::memory::Shared::open(1000)?.size() >= 1000);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn size(&self) -> usize {
        self.0.bytes()
    }

    /// A number that no other live memory of this process has. On Apple's systems other processes open
    /// the memory by it.
    ///
    /// ```
    /// assert!(aruminium::memory::Shared::open(1000)?.id() > 0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The system's handle of the memory, as [`Block::handle`](super::Block::handle).
    ///
    /// ```
    /// println!("{:?}", aruminium::memory::Shared::open(1000)?.handle());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// The start of the memory, for code that takes pointers.
    ///
    /// ```
    /// assert!(!aruminium::memory::Shared::open(1000)?.address().is_null());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn address(&self) -> *mut u8 {
        self.base().as_ptr()
    }

    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    /// Whether only the process that created the memory can write it.
    ///
    /// ```
    /// use aruminium::memory::{Block, Shared};
    /// assert!(!Shared::open(1000)?.is_read_only());
    /// assert!(Shared::import(Block::open(1000)?.export()?)?.is_read_only());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    fn writable(&self) -> Result<&Self, MemError> {
        if self.is_read_only() { Err(MemError::ReadOnly) } else { Ok(self) }
    }

    /// The range of bytes of an access.
    fn range(&self, offset: usize, bytes: usize) -> Result<Range<usize>, MemError> {
        let end = offset.checked_add(bytes).filter(|&end| end <= self.size());
        end.map(|end| offset..end).ok_or(MemError::TooLarge {
            what: "bytes from the start to the end of the access",
            requested: (offset as u64).saturating_add(bytes as u64),
            limit: self.size() as u64,
        })
    }

    /// The word that contains a byte.
    fn word(&self, byte: usize) -> &AtomicU32 {
        debug_assert!(byte < self.size());
        // SAFETY: the byte is within the memory, whose start and size are multiples of a word. All accesses are atomic and
        // of this size, so that atomic accesses of different sizes never mix.
        unsafe { &*self.base().add(byte / WORD * WORD).cast::<AtomicU32>().as_ptr() }
    }

    /// Copies values out, from an offset in bytes. Another process may change them meanwhile: each word
    /// is read atomically, all of them together are not. Reads acquire: once a flag is read in this way that was
    /// written by [`write`](Self::write), everything written before it is visible.
    ///
    /// # Errors
    ///
    /// [`MemError::TooLarge`] past the end.
    ///
    /// ```
    /// let shared = aruminium::memory::Shared::open(4096)?;
    /// let mut values = [1u64; 4];
    /// shared.read(3, &mut values)?;
    /// assert_eq!(values, [0; 4]);
    /// assert!(shared.read(shared.size() - 1, &mut values).is_err());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn read<T: Plain>(&self, offset: usize, values: &mut [T]) -> Result<(), MemError> {
        let range = self.range(offset, size_of_val(values))?;
        let to = values.as_mut_ptr().cast::<u8>();
        let mut at = range.start;
        while at < range.end {
            let word = self.word(at).load(Ordering::Relaxed).to_ne_bytes();
            let count = (WORD - at % WORD).min(range.end - at);
            // SAFETY: `values` has as many bytes as the range, and any bytes are values of it.
            unsafe {
                let from = word[at % WORD..].as_ptr();
                std::ptr::copy_nonoverlapping(from, to.add(at - range.start), count);
            }
            at += count;
        }
        fence(Ordering::Acquire);
        Ok(())
    }

    /// Copies values in, from an offset in bytes. It releases earlier writes.
    ///
    /// # Errors
    ///
    /// [`MemError::TooLarge`] past the end, [`MemError::ReadOnly`] for memory that its owner exported
    /// with `Block::export` (on Linux).
    ///
    /// ```
    /// let shared = aruminium::memory::Shared::open(4096)?;
    /// shared.write(1, &[1u16, 2, 3])?;
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn write<T: Plain>(&self, offset: usize, values: &[T]) -> Result<(), MemError> {
        let range = self.writable()?.range(offset, size_of_val(values))?;
        fence(Ordering::Release);
        // SAFETY: plain values have no padding: all of their bytes are initialised.
        let from = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), range.len()) };
        let mut at = range.start;
        while at < range.end {
            let count = (WORD - at % WORD).min(range.end - at);
            let bytes = &from[at - range.start..][..count];
            let word = self.word(at);
            match <[u8; WORD]>::try_from(bytes) {
                Ok(bytes) => word.store(u32::from_ne_bytes(bytes), Ordering::Relaxed),
                // The other bytes of the word are preserved, even if another process changes them concurrently.
                Err(_) => {
                    let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                        let mut word = now.to_ne_bytes();
                        word[at % WORD..][..count].copy_from_slice(bytes);
                        Some(u32::from_ne_bytes(word))
                    });
                }
            }
            at += count;
        }
        Ok(())
    }

    /// A word for flags and counters, at an offset in bytes that is a multiple of 4.
    ///
    /// # Errors
    ///
    /// [`MemError::Unaligned`], [`MemError::TooLarge`] past the end, or [`MemError::ReadOnly`].
    ///
    /// ```
    /// use std::sync::atomic::Ordering;
    /// let shared = aruminium::memory::Shared::open(4096)?;
    /// assert_eq!(shared.atomic_u32(8)?.fetch_add(1, Ordering::AcqRel), 0);
    /// assert!(shared.atomic_u32(2).is_err());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn atomic_u32(&self, offset: usize) -> Result<&AtomicU32, MemError> {
        if !offset.is_multiple_of(WORD) {
            let (value, multiple) = (offset as u64, WORD as u64);
            return Err(MemError::Unaligned { what: "the offset of an atomic", value, multiple });
        }
        self.writable()?.range(offset, WORD).map(|range| self.word(range.start))
    }
}

#[cfg(not(target_vendor = "apple"))]
impl std::os::fd::AsFd for Shared {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.file().expect("memory that is shared has a descriptor")
    }
}
