//! Values on a tape.

use super::error::MemError;
use super::tape::Tape;
use super::view::{View, ViewMut};
use crate::{Buffer, Encoder, Plain};
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Values on a tape, owned exclusively.
///
/// ```
/// let tape = aruminium::memory::Tape::start(4096)?;
/// tape.take(3, 1);
/// let mut span = tape.slice::<f32>(4).expect("there is room");
/// span.view_mut().copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(span.view().iter().sum::<f32>(), 10.0);
/// // Its offset in the tape's block, for kernels:
/// assert_eq!((span.offset(), span.len(), span.bytes()), (4, 4, 16));
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub struct Span<'a, T> {
    tape: &'a Tape,
    start: NonNull<T>,
    len: usize,
    /// Whether the tape counts this span. It does not count the spans of a `Local`, only the `Local` itself.
    counted: bool,
    values: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` and a reference to a tape, which is `Sync`.
unsafe impl<T: Send> Send for Span<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Span<'_, T> {}

impl<'a, T: Plain> Span<'a, T> {
    /// The tape has handed out the values; it has counted the span if `counted`.
    #[inline(always)]
    pub(super) fn new(tape: &'a Tape, start: NonNull<T>, len: usize, counted: bool) -> Self {
        Self { tape, start, len, counted, values: PhantomData }
    }

    /// The values, to read.
    ///
    /// # Panics
    ///
    /// If a command buffer that may write the tape was submitted and has not completed: see
    /// [`view_completed`](Self::view_completed). If a buffer over the tape is being written.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// assert_eq!(*tape.slice::<u64>(2).expect("there is room").view(), [0, 0]);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn view(&self) -> View<'_, T> {
        self.try_view().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The values, to write.
    ///
    /// # Panics
    ///
    /// If a command buffer that uses the tape was submitted and has not completed: see
    /// [`view_mut_completed`](Self::view_mut_completed). If a buffer over the tape is being viewed.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// tape.slice::<u64>(2).expect("there is room").view_mut().fill(7);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        self.try_view_mut().unwrap_or_else(|error| panic!("{error}"))
    }

    /// [`view`](Self::view), or the reason why it is not possible.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] where `view` panics.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let span = tape.slice::<u64>(2).expect("there is room");
    /// assert_eq!(span.try_view()?.len(), 2);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_view(&self) -> Result<View<'_, T>, MemError> {
        self.reading(false)
    }

    /// [`view_mut`](Self::view_mut), or the reason why it is not possible.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] where `view_mut` panics.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let mut span = tape.slice::<u64>(2).expect("there is room");
    /// span.try_view_mut()?[0] = 1;
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_view_mut(&mut self) -> Result<ViewMut<'_, T>, MemError> {
        self.writing(false)
    }

    /// [`try_view`](Self::try_view), after the command buffers that may write the tape have completed.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] if another view writes the values: one of a buffer over the tape.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let span = tape.slice::<u64>(2).expect("there is room");
    /// assert_eq!(*span.view_completed()?, [0, 0]);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn view_completed(&self) -> Result<View<'_, T>, MemError> {
        self.reading(true)
    }

    /// [`try_view_mut`](Self::try_view_mut), after the command buffers that use the tape have completed.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] if another view uses the values: one of a buffer over the tape.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// tape.slice::<u64>(2).expect("there is room").view_mut_completed()?.fill(7);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn view_mut_completed(&mut self) -> Result<ViewMut<'_, T>, MemError> {
        self.writing(true)
    }

    fn reading(&self, waits: bool) -> Result<View<'_, T>, MemError> {
        let range = self.offset()..self.offset() + self.bytes();
        let open = self.tape.record().view(range, false, waits)?;
        // SAFETY: the tape handed the bytes out once; while the view is open nothing writes them.
        Ok(unsafe { View::new(self.start.as_ptr(), self.len, open) })
    }

    fn writing(&mut self, waits: bool) -> Result<ViewMut<'_, T>, MemError> {
        let range = self.offset()..self.offset() + self.bytes();
        let open = self.tape.record().view(range, true, waits)?;
        // SAFETY: as for reading, and while the view is open nothing else reads them.
        Ok(unsafe { ViewMut::new(self.start.as_ptr(), self.len, open) })
    }

    /// The address of the first value, for code that takes pointers.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// assert!(tape.owns(tape.slice::<u64>(2).expect("there is room").address().cast()));
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn address(&self) -> *mut T {
        self.start.as_ptr()
    }

    /// The number of values.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let span = tape.slice::<u64>(2).expect("there is room");
    /// assert!(span.len() == 2 && !span.is_empty());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn len(&self) -> usize {
        self.len
    }

    /// Always false: a span has at least one value.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// assert!(tape.slice::<u64>(0).is_none() && !tape.slice::<u64>(1).unwrap().is_empty());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes there are.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// assert_eq!(tape.slice::<u64>(2).expect("there is room").bytes(), 16);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    /// The offset of the span in the tape's block, in bytes.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// tape.take(64, 64);
    /// assert_eq!(tape.slice::<u64>(2).expect("there is room").offset(), 64);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn offset(&self) -> usize {
        self.start.addr().get() - self.tape.base().addr().get()
    }

    /// The buffer over the tape, in which the span begins at [`offset`](Self::offset).
    ///
    /// # Panics
    ///
    /// If the tape is not [`on`](Tape::on) a GPU.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let tape = aruminium::memory::Tape::start(4096)?.on(&gpu)?;
    /// let span = tape.slice::<u64>(2).expect("there is room");
    /// let (buffer, offset) = (span.buffer(), span.offset());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn buffer(&self) -> &'a Buffer {
        let buffer = self.tape.buffer();
        buffer.expect(
            "the span's tape has no buffer: make the tape with `Tape::on` or `Frames`, or bind a buffer that \
             `Gpu::wrap` made of the tape's block, at the span's offset",
        )
    }

    /// Binds the span to an index of a kernel's buffers.
    ///
    /// # Panics
    ///
    /// As for [`buffer`](Self::buffer).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let tape = aruminium::memory::Tape::start(4096)?.on(&gpu)?;
    /// let span = tape.slice::<u64>(2).expect("there is room");
    /// let encoder = commands.encoder()?;
    /// span.bind(&encoder, 0);
    /// encoder.finish();
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    #[track_caller]
    pub fn bind(&self, encoder: &Encoder, index: usize) {
        encoder.bind_buffer(self.buffer(), self.offset(), index);
    }

    /// The tape that the span is on.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let span = tape.slice::<u64>(2).expect("there is room");
    /// assert_eq!(span.tape().used(), 16);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn tape(&self) -> &'a Tape {
        self.tape
    }
}

impl<T> fmt::Debug for Span<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span").field("address", &self.start).field("len", &self.len).finish()
    }
}

impl<T> Drop for Span<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.counted {
            self.tape.end_span();
        }
    }
}
