//! Bump allocation over a block.

use super::block::Block;
use super::bump::{self, Bump, Held};
use super::error::MemError;
use super::local::Local;
use super::record::Record;
use super::span::Span;
use super::sys::PAGE;
use super::work::Declared;
use crate::{Buffer, Gpu, GpuError, Plain};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A bump allocator over a block: memory is taken from the start to the end, and returned all at once.
///
/// Any number of threads may take memory. What [`slice`](Self::slice) returns is checked by the compiler and
/// counted; what [`take`](Self::take) returns is a raw pointer.
///
/// ```
/// use aruminium::memory::Tape;
/// let mut tape = Tape::start(1 << 16)?;
/// let mut activations = tape.slice::<f32>(1024).expect("there is room");
/// activations.view_mut()[0] = 1.0;
/// assert_eq!(tape.used(), 4096);
/// drop(activations);
/// tape.reset();
/// assert_eq!(tape.used(), 0);
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
pub struct Tape {
    base: NonNull<u8>,
    bump: Bump,
    block: Block,
    buffer: Option<Buffer>,
    /// Held while a tape whose block is shared is cleared.
    clearing: Mutex<()>,
    /// Work that was declared for the frame that the tape is, since the frame began.
    declared: Declared,
    /// A number of its own, by which its marks are recognised.
    serial: u64,
}

// SAFETY: the block's memory is handed out in parts that do not overlap, by atomic operations.
unsafe impl Send for Tape {}
// SAFETY: as above.
unsafe impl Sync for Tape {}

impl Tape {
    /// A tape over a new block of at least this many bytes.
    ///
    /// # Errors
    ///
    /// As for [`Block::open`].
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1000)?;
    /// assert!(tape.total() >= 1000 && tape.free() == tape.total());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn start(bytes: usize) -> Result<Self, MemError> {
        Self::over(Block::open(bytes)?)
    }

    /// The same, with all pages prefaulted.
    ///
    /// # Errors
    ///
    /// As for [`Block::open`] and [`Block::prefault`].
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start_warm(1 << 16)?;
    /// assert!(tape.take(1024, 64).is_some());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn start_warm(bytes: usize) -> Result<Self, MemError> {
        let block = Block::open(bytes)?;
        block.prefault()?;
        Self::over(block)
    }

    /// A tape over a block, which has no views while the tape lives.
    ///
    /// # Errors
    ///
    /// [`MemError::Busy`] if the block is in use, [`MemError::ReadOnly`] if it can only be read,
    /// [`MemError::TooLarge`] beyond 256 GiB.
    ///
    /// ```
    /// use aruminium::memory::{Block, Tape};
    /// let block = Block::open(4096)?;
    /// let tape = Tape::over(block.clone())?;
    /// assert!(block.try_view::<u8>().is_err(), "the tape hands out its parts");
    /// drop(tape);
    /// assert!(block.try_view::<u8>().is_ok());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn over(block: Block) -> Result<Self, MemError> {
        let total = block.size();
        if block.is_read_only() {
            return Err(MemError::ReadOnly);
        }
        if total > bump::LIMIT {
            let (requested, limit) = (total as u64, bump::LIMIT as u64);
            return Err(MemError::TooLarge { what: "bytes for a tape", requested, limit });
        }
        let base = NonNull::new(block.address()).expect("a block has an address");
        if !base.addr().get().is_multiple_of(PAGE) {
            let (value, multiple) = (base.addr().get() as u64, PAGE as u64);
            return Err(MemError::Unaligned { what: "the block's address", value, multiple });
        }
        block.record().divide()?;
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let bump = Bump::new(total);
        if !block.is_sole() {
            bump.share();
        }
        Ok(Self {
            base,
            bump,
            block,
            buffer: None,
            clearing: Mutex::new(()),
            declared: Declared::default(),
            serial,
        })
    }

    /// The same tape with a buffer over its block, so that kernels can use its spans.
    ///
    /// # Errors
    ///
    /// As for [`Gpu::wrap`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let tape = aruminium::memory::Tape::start(4096)?.on(&gpu)?;
    /// let span = tape.slice::<f32>(16).expect("there is room");
    /// assert_eq!(span.buffer().size(), tape.total());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on(mut self, gpu: &Gpu) -> Result<Self, GpuError> {
        self.buffer = Some(gpu.wrap(self.block())?);
        Ok(self)
    }

    /// The buffer over the tape's block, if it is [`on`](Self::on) a GPU.
    ///
    /// ```
    /// assert!(aruminium::memory::Tape::start(4096)?.buffer().is_none());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn buffer(&self) -> Option<&Buffer> {
        self.buffer.as_ref()
    }

    /// Makes every page resident; the contents do not change. If the system refuses, pages are allocated on
    /// first access as before.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// tape.warm();
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn warm(&self) {
        // Failure costs only speed; `block().prefault()` returns the reason.
        let _ = self.block.prefault();
    }

    /// Takes bytes whose address is a multiple of `align`; `None` if there is no room, or for zero bytes.
    ///
    /// Nothing tracks the pointer: it is valid until the tape is cleared, reset or dropped.
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 16)?;
    /// let matrix = tape.take(256, 64).expect("there is room");
    /// assert_eq!(matrix.addr() % 64, 0);
    /// assert!(tape.take(0, 1).is_none() && tape.take(usize::MAX, 1).is_none());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn take(&self, size: usize, align: usize) -> Option<*mut u8> {
        check_alignment(align);
        if size == 0 {
            return None;
        }
        self.bump(size, align, false).map(NonNull::as_ptr)
    }

    /// Takes room for one value; `None` if there is no room, or for a zero-sized type.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let counter: *mut u64 = tape.take_one().expect("there is room");
    /// // SAFETY: the room is for a `u64`, and nothing else uses it.
    /// unsafe { counter.write(1) };
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn take_one<T>(&self) -> Option<*mut T> {
        self.take(size_of::<T>(), align_of::<T>()).map(<*mut u8>::cast)
    }

    /// Takes room for values; `None` if there is no room (or 8,388,607 spans live), or for zero bytes.
    /// The contents are those of the last use: zeros the first time.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let mut span = tape.slice::<u16>(8).expect("there is room");
    /// span.view_mut().copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn slice<T: Plain>(&self, len: usize) -> Option<Span<'_, T>> {
        let size = size_of::<T>().checked_mul(len).filter(|&size| size > 0)?;
        let start = self.bump(size, align_of::<T>(), true)?.cast();
        Some(Span::new(self, start, len, true))
    }

    /// Takes a part for one thread to take from without atomic operations; `None` if there is no room, or
    /// for zero bytes. It counts as one span.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(1 << 20)?;
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| {
    ///             let local = tape.local(1 << 16).expect("there is room");
    ///             while let Some(mut span) = local.slice::<u32>(16) {
    ///                 span.view_mut().fill(1);
    ///             }
    ///         });
    ///     }
    /// });
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn local(&self, bytes: usize) -> Option<Local<'_>> {
        // Whole cache lines, to prevent false sharing between threads.
        const LINE: usize = 128;
        let bytes = Some(bytes).filter(|&bytes| bytes > 0)?;
        Some(Local::new(self, self.bump(bytes, LINE, true)?, bytes))
    }

    /// The current position of the tape, to rewind to.
    ///
    /// ```
    /// let mut tape = aruminium::memory::Tape::start(4096)?;
    /// tape.take(100, 1);
    /// let mark = tape.mark();
    /// tape.take(200, 1);
    /// tape.rewind(mark);
    /// assert_eq!(tape.used(), 100);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn mark(&self) -> Mark {
        Mark { tape: self.serial, used: self.bump.used() }
    }

    /// Frees everything taken since the mark, after the command buffers that use the tape have completed. No span can
    /// live: the compiler checks it.
    ///
    /// # Panics
    ///
    /// If the mark is of another tape, or the tape was rewound or cleared past it; or as for [`reset`](Self::reset). See
    /// [`try_rewind`](Self::try_rewind).
    ///
    /// ```should_panic
    /// # use aruminium::memory::Tape;
    /// let (mut one, other) = (Tape::start(4096).unwrap(), Tape::start(4096).unwrap());
    /// one.rewind(other.mark()); // panics
    /// ```
    #[track_caller]
    pub fn rewind(&mut self, mark: Mark) {
        self.try_rewind(mark).unwrap_or_else(|error| cannot("rewound", error));
    }

    /// [`rewind`](Self::rewind), or the reason why it is not possible; then nothing has changed.
    ///
    /// # Errors
    ///
    /// [`MemError::WrongMark`] or [`MemError::Busy`] where `rewind` panics.
    ///
    /// ```
    /// use aruminium::memory::{MemError, Tape};
    /// let (mut one, other) = (Tape::start(4096)?, Tape::start(4096)?);
    /// one.take(100, 1);
    /// assert!(matches!(one.try_rewind(other.mark()), Err(MemError::WrongMark(_))));
    /// assert_eq!(one.used(), 100);
    /// # Ok::<(), MemError>(())
    /// ```
    pub fn try_rewind(&mut self, mark: Mark) -> Result<(), MemError> {
        if mark.tape != self.serial {
            return Err(MemError::WrongMark("the mark is of another tape".into()));
        }
        let used = self.bump.used();
        if mark.used > used {
            let at = mark.used;
            let why = format!("the mark is at byte {at}, past the tape's {used}");
            return Err(MemError::WrongMark(why));
        }
        self.wait()?;
        self.bump.set(mark.used);
        Ok(())
    }

    /// Frees everything, after the command buffers that use the tape have completed. No span can live: the compiler
    /// checks it. [`Frames`](super::Frames) wait less, as the next tape is used meanwhile.
    ///
    /// # Panics
    ///
    /// If a command buffer was encoded with the tape and never submitted: it could still be submitted, and would find
    /// other data. Submit it, or drop it with its encoders. See [`try_reset`](Self::try_reset).
    ///
    /// ```
    /// let mut tape = aruminium::memory::Tape::start(4096)?;
    /// tape.take(100, 1);
    /// tape.reset();
    /// assert_eq!(tape.used(), 0);
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
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let mut tape = aruminium::memory::Tape::start(4096)?.on(&gpu)?;
    /// let encoder = commands.encoder()?;
    /// tape.slice::<f32>(16).expect("there is room").bind(&encoder, 0);
    /// assert!(tape.try_reset().is_err() && tape.used() == 64, "the command buffer can be submitted");
    /// drop((encoder, commands));
    /// tape.try_reset()?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_reset(&mut self) -> Result<(), MemError> {
        self.wait()?;
        self.restart();
        Ok(())
    }

    /// [`reset`](Self::reset) of a tape that no command buffer uses.
    #[inline]
    pub(super) fn restart(&mut self) {
        self.bump.set(0);
    }

    #[inline(always)]
    pub(super) fn wait(&self) -> Result<(), MemError> {
        self.block.record().wait()?;
        self.no_declared_work()
    }

    fn no_declared_work(&self) -> Result<(), MemError> {
        if self.declared.is_done() {
            return Ok(());
        }
        Err(MemError::Busy("work that was declared for the frame by `until` is not done".into()))
    }

    pub(super) fn declared(&self) -> &Declared {
        &self.declared
    }

    pub(super) fn declared_mut(&mut self) -> &mut Declared {
        &mut self.declared
    }

    /// Frees everything, through a shared reference. Raw pointers from [`take`](Self::take) are no
    /// longer valid.
    ///
    /// # Panics
    ///
    /// If spans live, or command buffers that use the tape were encoded and have not completed; of a frame, also if work that was
    /// declared for it is not done.
    ///
    /// ```should_panic
    /// # let tape = aruminium::memory::Tape::start(4096).unwrap();
    /// let span = tape.slice::<u8>(16);
    /// tape.clear(); // panics
    /// # drop(span);
    /// ```
    #[inline]
    #[track_caller]
    pub fn clear(&self) {
        self.clear_unused().unwrap_or_else(|held| refuse(held));
    }

    /// Panics where [`clear`](Self::clear) would.
    #[track_caller]
    pub(super) fn assert_clearable(&self) {
        self.held().unwrap_or_else(|held| refuse(held));
    }

    /// Whether [`try_clear`](Self::try_clear) would return `true`.
    pub(super) fn is_clearable(&self) -> bool {
        self.held().is_ok()
    }

    /// The reason why the tape cannot be cleared.
    fn held(&self) -> Result<(), Held<MemError>> {
        match (self.bump.spans(), self.used()) {
            (0, 0) => Ok(()),
            (0, _) => self.block.record().is_unused().map_err(Held::Memory),
            (spans, _) => Err(Held::Spans(spans)),
        }
    }

    /// [`clear`](Self::clear), where it would not panic; returns whether it was cleared.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let span = tape.slice::<u8>(16);
    /// assert!(!tape.try_clear());
    /// drop(span);
    /// assert!(tape.try_clear());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[inline]
    pub fn try_clear(&self) -> bool {
        self.clear_unused().is_ok()
    }

    #[inline(always)]
    fn clear_unused(&self) -> Result<(), Held<MemError>> {
        match self.bump.clear_private() {
            Some(cleared) => cleared,
            None => self.clear_shared(),
        }
    }

    #[inline(never)]
    fn clear_shared(&self) -> Result<(), Held<MemError>> {
        let _clearing = self.clearing.lock().unwrap_or_else(PoisonError::into_inner);
        self.bump.clear(|| {
            self.block.record().is_unused()?;
            self.no_declared_work()
        })
    }

    /// How many bytes are taken, gaps for alignment included.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// tape.take(1, 1);
    /// tape.take(8, 8);
    /// assert_eq!(tape.used(), 16);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn used(&self) -> usize {
        self.bump.used()
    }

    /// How many bytes are left.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// assert_eq!(tape.free(), tape.total());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn free(&self) -> usize {
        self.total() - self.used()
    }

    /// How many bytes there are.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// assert_eq!(tape.total(), tape.block().size());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn total(&self) -> usize {
        self.bump.total()
    }

    /// The number of live spans.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let span = tape.slice::<u8>(16);
    /// assert_eq!(tape.spans(), 1);
    /// # drop(span);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn spans(&self) -> usize {
        self.bump.spans() as usize
    }

    /// Whether an address is in the tape's memory.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// let start = tape.block().address();
    /// assert!(tape.owns(start) && !tape.owns(start.wrapping_add(tape.total())));
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn owns(&self, pointer: *const u8) -> bool {
        pointer.addr().checked_sub(self.base.addr().get()).is_some_and(|at| at < self.total())
    }

    /// The block under the tape.
    ///
    /// ```
    /// let tape = aruminium::memory::Tape::start(4096)?;
    /// assert_eq!(tape.block().requested(), 4096);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn block(&self) -> &Block {
        self.bump.share();
        &self.block
    }

    /// The record of the memory's uses.
    #[inline(always)]
    pub(super) fn record(&self) -> &Record {
        self.block.record()
    }

    #[inline(always)]
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// A span that was counted ends.
    #[inline(always)]
    pub(super) fn end_span(&self) {
        self.bump.end_span();
    }

    #[inline(always)]
    fn bump(&self, size: usize, align: usize, span: bool) -> Option<NonNull<u8>> {
        // Read before the compare-exchange: a load after it would be part of the time of the next take.
        let base = self.base;
        // Only an alignment of more than a page depends on where the tape begins.
        let start = if align <= PAGE { 0 } else { base.addr().get() };
        let offset = self.bump.take(start, size, align, span)?;
        // SAFETY: `take` hands out offsets within the block.
        Some(unsafe { base.add(offset) })
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("block", &self.block)
            .field("used", &self.used())
            .field("spans", &self.spans())
            .field("buffer", &self.buffer)
            .finish()
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.block.record().unite();
    }
}

/// The panic of a method that has a `try_` form.
#[cold]
#[inline(never)]
#[track_caller]
pub(super) fn cannot(what: &str, error: MemError) -> ! {
    panic!("the tape cannot be {what}: {error}")
}

#[cold]
#[inline(never)]
#[track_caller]
fn refuse(held: Held<MemError>) -> ! {
    match held {
        Held::Spans(spans) => panic!("the tape cannot be cleared: {spans} of its spans live"),
        Held::Memory(error) => cannot("cleared", error),
    }
}

#[inline(always)]
#[track_caller]
pub(super) fn check_alignment(align: usize) {
    assert!(align.is_power_of_two(), "an alignment is a power of two, not {align}");
}

/// A position on a tape; see [`Tape::mark`].
///
/// ```
/// let tape = aruminium::memory::Tape::start(4096)?;
/// let mark: aruminium::memory::Mark = tape.mark();
/// assert_eq!(mark, tape.mark());
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The serial of the tape.
    tape: u64,
    used: usize,
}
