//! A part of a tape that belongs to one thread.

use super::bump;
use super::error::MemError;
use super::span::Span;
use super::tape::{Tape, cannot, check_alignment};
use crate::Plain;
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;

/// A part of a tape that one thread takes from, without atomic operations.
///
/// ```
/// let tape = aruminium::memory::Tape::start(1 << 16)?;
/// let mut local = tape.local(4096).expect("there is room");
/// let span = local.slice::<f32>(16).expect("there is room");
/// assert_eq!(local.used(), 64);
/// drop(span);
/// local.reset();
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub struct Local<'a> {
    tape: &'a Tape,
    base: NonNull<u8>,
    total: usize,
    /// The address of the next free byte: a take is a chain of few operations from the last one to the next.
    next: Cell<usize>,
}

// SAFETY: it has exclusive use of its part of the tape; it may move to another thread, and is not `Sync`.
unsafe impl Send for Local<'_> {}

impl<'a> Local<'a> {
    /// A part that the tape has handed out, and counted as a span.
    pub(super) fn new(tape: &'a Tape, base: NonNull<u8>, total: usize) -> Self {
        Self { tape, base, total, next: Cell::new(base.addr().get()) }
    }

    #[inline(always)]
    fn bump(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let end = self.base.addr().get() + self.total;
        let (start, next) = bump::fit(self.next.get(), end, size, align)?;
        self.next.set(next);
        // An address in the part is not zero.
        NonNull::new(self.base.as_ptr().with_addr(start))
    }

    /// As [`Tape::take`].
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// let local = tape.local(4096).expect("there is room");
    /// assert!(local.take(4096, 1).is_some() && local.take(1, 1).is_none());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn take(&self, size: usize, align: usize) -> Option<*mut u8> {
        check_alignment(align);
        if size == 0 { None } else { self.bump(size, align).map(NonNull::as_ptr) }
    }

    /// As [`Tape::take_one`].
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// let local = tape.local(8).expect("there is room");
    /// assert!(local.take_one::<u64>().is_some() && local.take_one::<u64>().is_none());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn take_one<T>(&self) -> Option<*mut T> {
        self.take(size_of::<T>(), align_of::<T>()).map(<*mut u8>::cast)
    }

    /// As [`Tape::slice`].
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// let local = tape.local(4096).expect("there is room");
    /// local.slice::<f32>(8).expect("there is room").view_mut().fill(1.0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn slice<T: Plain>(&self, len: usize) -> Option<Span<'_, T>> {
        let size = size_of::<T>().checked_mul(len).filter(|&size| size > 0)?;
        let start = self.bump(size, align_of::<T>())?.cast();
        Some(Span::new(self.tape, start, len, false))
    }

    /// Frees everything that was taken, after the command buffers that use the tape have completed. No span can live:
    /// the compiler checks it.
    ///
    /// # Panics
    ///
    /// As for [`Tape::reset`]; of a part of a frame, also if work that was declared for the frame is not done.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// let mut local = tape.local(4096).expect("there is room");
    /// local.take(100, 1);
    /// local.reset();
    /// assert_eq!((local.used(), local.free(), local.total()), (0, 4096, 4096));
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn reset(&mut self) {
        self.try_reset().unwrap_or_else(|error| cannot("reset", error));
    }

    /// [`reset`](Self::reset), or the reason why it is not possible; then nothing has changed.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] where `reset` panics.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// let mut local = tape.local(4096).expect("there is room");
    /// local.take(100, 1);
    /// local.try_reset()?;
    /// assert_eq!(local.used(), 0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn try_reset(&mut self) -> Result<(), MemError> {
        self.tape.wait()?;
        self.next.set(self.base.addr().get());
        Ok(())
    }

    /// How many bytes are taken, gaps for alignment included.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// assert_eq!(tape.local(4096).expect("there is room").used(), 0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn used(&self) -> usize {
        self.next.get() - self.base.addr().get()
    }

    /// How many bytes are left.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// assert_eq!(tape.local(4096).expect("there is room").free(), 4096);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn free(&self) -> usize {
        self.total - self.used()
    }

    /// How many bytes there are.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// assert_eq!(tape.local(4096).expect("there is room").total(), 4096);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn total(&self) -> usize {
        self.total
    }
}

impl fmt::Debug for Local<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("address", &self.base)
            .field("total", &self.total)
            .field("used", &self.used())
            .finish()
    }
}

impl Drop for Local<'_> {
    fn drop(&mut self) {
        self.tape.end_span();
    }
}
