//! The state of a tape: one word with the offset of the next free byte and the number of live spans.

use super::atomic::{AtomicU64, Ordering};

/// The low bits are the offset, the bits above count spans. Both change in one step, so that no span
/// begins between the check for live spans and the clearing.
#[derive(Debug)]
pub(super) struct Bump(AtomicU64);

const OFFSET_BITS: u32 = 40;
/// One live span.
const SPAN: u64 = 1 << OFFSET_BITS;
const OFFSETS: u64 = SPAN - 1;
/// The most bytes of a tape, and the largest alignment: a quarter of the offset's range, so that an
/// offset, two alignments and a size can be added without overflow.
pub(super) const LIMIT: usize = 1 << (OFFSET_BITS - 2);
/// The most spans that can live.
const SPANS: u64 = u64::MAX >> OFFSET_BITS;

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
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes bytes, and counts a span if `span`. A call that fails changes nothing.
    #[inline(always)]
    pub(super) fn take(
        &self,
        base: usize,
        total: usize,
        size: usize,
        align: usize,
        span: bool,
    ) -> Option<usize> {
        if size > LIMIT || align > LIMIT {
            return None;
        }
        // Throughput under contention depends on the latency of computing the next word: three
        // operations on the whole word. With sizes and alignments within the limit no carry reaches
        // the number of spans.
        let low = (base & (align - 1)) as u64;
        let up = low + (align as u64 - 1);
        let past = (size as u64).wrapping_sub(low).wrapping_add(if span { SPAN } else { 0 });
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let start = now.wrapping_add(up) & (align as u64).wrapping_neg();
            let then = start.wrapping_add(past);
            if then & OFFSETS > total as u64 || (span && now >> OFFSET_BITS == SPANS) {
                return None;
            }
            // Acquire: other threads may have used the bytes until the last `clear`, which released them.
            match self.0.compare_exchange_weak(now, then, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(((start & OFFSETS) - low) as usize),
                Err(changed) => now = changed,
            }
        }
    }

    /// Ends a span. Release: accesses to its bytes happen before they are cleared.
    #[inline(always)]
    pub(super) fn end_span(&self) {
        self.0.fetch_sub(SPAN, Ordering::Release);
    }

    /// Sets the offset to zero, unless spans live, or `unused` returns the reason why the memory cannot be handed
    /// out again. It is called when no span lives: a span that begins later changes the offset, and it is called again.
    #[inline(always)]
    pub(super) fn clear<E>(&self, unused: impl Fn() -> Result<(), E>) -> Result<(), Held<E>> {
        // Acquire: what was done with the spans that have ended happens before `unused`.
        let mut now = self.0.load(Ordering::Acquire);
        loop {
            if now > OFFSETS {
                return Err(Held::Spans(now >> OFFSET_BITS));
            }
            if now == 0 {
                return Ok(());
            }
            unused().map_err(Held::Memory)?;
            match self.0.compare_exchange_weak(now, 0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(changed) => now = changed,
            }
        }
    }

    /// Sets the offset. The caller has exclusive access.
    #[inline(always)]
    pub(super) fn set(&mut self, offset: usize) {
        self.0.store(offset as u64, Ordering::Relaxed);
    }

    /// Whether nothing is taken. Acquire, as [`clear`](Self::clear) of an empty tape.
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// The offset of the next free byte.
    #[inline]
    pub(super) fn used(&self) -> usize {
        (self.0.load(Ordering::Relaxed) & OFFSETS) as usize
    }

    /// How many spans live.
    #[inline]
    pub(super) fn spans(&self) -> u64 {
        self.0.load(Ordering::Relaxed) >> OFFSET_BITS
    }
}
