//! The state of a tape: one word with the offset of the next free byte and the number of live spans.

use super::atomic::{AtomicU64, Ordering};

/// The high bits are the offset, the lowest bits count spans, and one bit between them says that the block is
/// [shared](Bump::share). All change in one step, so that no span begins, and nothing else gets the block, between the
/// check and the clearing.
#[derive(Debug)]
pub(super) struct Bump {
    word: AtomicU64,
    /// The largest word: all bytes are taken, and as many spans live as can.
    last: u64,
}

/// The bits below the offset.
const LOW_BITS: u32 = 24;
const SHARED: u64 = 1 << (LOW_BITS - 1);
/// The most spans that can live, and the mask of their number.
pub(super) const SPANS: u64 = SHARED - 1;
/// The most bytes of a tape, and the largest alignment: a quarter of the offset's range, so that an
/// offset, two alignments and a size can be added without overflow.
pub(super) const LIMIT: usize = 1 << (u64::BITS - LOW_BITS - 2);

/// Why a tape cannot be cleared.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held<E> {
    /// This many spans live.
    Spans(u64),
    /// The reason of the memory.
    Memory(E),
}

/// The start and end of the next `size` bytes in memory that is free from the address `next` to the address `end`;
/// `None` if there is no room. `align` is a power of two.
#[inline(always)]
pub(super) fn fit(next: usize, end: usize, size: usize, align: usize) -> Option<(usize, usize)> {
    // No memory ends past half of the address space, so that this sum does not overflow.
    let start = (next + (align - 1)) & align.wrapping_neg();
    let after = start.checked_add(size)?;
    (after <= end).then_some((start, after))
}

impl Bump {
    /// For this many bytes, at most `LIMIT`.
    pub(super) fn new(total: usize) -> Self {
        Self { word: AtomicU64::new(0), last: (total as u64) << LOW_BITS | SHARED | SPANS }
    }

    /// Takes bytes, and counts a span if `span`. A call that fails changes nothing.
    ///
    /// A processor begins a compare-exchange when the instructions before it have ended, so each of those in a row
    /// takes its time. Most callers take multiples of their alignment: for them the next word is one addition.
    #[inline(always)]
    pub(super) fn take(&self, base: usize, size: usize, align: usize, span: bool) -> Option<usize> {
        if size > LIMIT || align > LIMIT {
            return None;
        }
        let now = self.word.load(Ordering::Relaxed);
        let then = now + ((size as u64) << LOW_BITS | u64::from(span));
        let aligned = base & (align - 1) == 0 && now & ((align as u64 - 1) << LOW_BITS) == 0;
        if aligned
            && then <= self.last
            && !(span && now & SPANS == SPANS)
            // Acquire: other threads may have used the bytes until the last `clear`, which released them.
            && self.word.compare_exchange(now, then, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return Some((now >> LOW_BITS) as usize);
        }
        self.take_at_any(base, size, align, span)
    }

    /// The same at any offset, as often as other threads change it.
    #[cold]
    #[inline(never)]
    fn take_at_any(&self, base: usize, size: usize, align: usize, span: bool) -> Option<usize> {
        // Throughput under contention depends on the latency of computing the next word: three
        // operations on the whole word. With sizes and alignments within the limit none overflows.
        let low = ((base & (align - 1)) as u64) << LOW_BITS;
        let up = (align as u64 - 1) << LOW_BITS;
        let past = ((size as u64) << LOW_BITS | u64::from(span)).wrapping_sub(low);
        let mut now = self.word.load(Ordering::Relaxed);
        loop {
            let start = (now + (low + up)) & !up;
            let then = start.wrapping_add(past);
            if then > self.last || (span && now & SPANS == SPANS) {
                return None;
            }
            // Acquire: as in `take`.
            match self.word.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(((start - low) >> LOW_BITS) as usize),
                Err(changed) => now = changed,
            }
        }
    }

    /// Ends a span. Release: accesses to its bytes happen before they are cleared.
    #[inline(always)]
    pub(super) fn end_span(&self) {
        self.word.fetch_sub(1, Ordering::Release);
    }

    /// Other code may have the block from now on, and may wrap it in a buffer: a `clear_private` that has begun fails
    /// or is over, and later ones have no effect.
    #[inline]
    pub(super) fn share(&self) {
        if self.word.load(Ordering::Relaxed) & SHARED == 0 {
            self.word.fetch_or(SHARED, Ordering::Relaxed);
        }
    }

    /// Sets the offset to zero, unless spans live; `None`, without any effect, if the block is shared.
    ///
    /// The compare-exchange fails if the block is shared meanwhile, so that nothing but the word needs to be read.
    #[inline(always)]
    pub(super) fn clear_private<E>(&self) -> Option<Result<(), Held<E>>> {
        let mut now = self.word.load(Ordering::Acquire);
        loop {
            if now & !SHARED == 0 {
                return Some(Ok(()));
            }
            if now & SHARED != 0 {
                return None;
            }
            if now & SPANS != 0 {
                return Some(Err(Held::Spans(now & SPANS)));
            }
            match self.word.compare_exchange_weak(now, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(Ok(())),
                Err(changed) => now = changed,
            }
        }
    }

    /// Sets the offset to zero, unless spans live, or `unused` returns the reason why the memory cannot be handed
    /// out again. It is called when no span lives: a span that begins later changes the offset, and it is called again.
    ///
    /// One thread at a time may call it: otherwise others could clear, and take as much again, between the question
    /// whether the memory is unused and the clearing.
    pub(super) fn clear<E>(&self, unused: impl Fn() -> Result<(), E>) -> Result<(), Held<E>> {
        // Acquire: what was done with the spans that have ended happens before `unused`.
        let mut now = self.word.load(Ordering::Acquire);
        loop {
            if now & SPANS != 0 {
                return Err(Held::Spans(now & SPANS));
            }
            if now & !SHARED == 0 {
                return Ok(());
            }
            unused().map_err(Held::Memory)?;
            let empty = now & SHARED;
            match self.word.compare_exchange_weak(now, empty, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(changed) => now = changed,
            }
        }
    }

    /// Sets the offset. The caller has exclusive access.
    #[inline(always)]
    pub(super) fn set(&mut self, offset: usize) {
        let shared = self.word.load(Ordering::Relaxed) & SHARED;
        self.word.store((offset as u64) << LOW_BITS | shared, Ordering::Relaxed);
    }

    /// The offset of the next free byte.
    #[inline]
    pub(super) fn used(&self) -> usize {
        (self.word.load(Ordering::Relaxed) >> LOW_BITS) as usize
    }

    /// How many bytes there are.
    #[inline(always)]
    pub(super) fn total(&self) -> usize {
        (self.last >> LOW_BITS) as usize
    }

    /// How many spans live.
    #[inline]
    pub(super) fn spans(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & SPANS
    }
}
