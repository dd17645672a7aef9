//! Which bytes of private buffers were written: only kernels and blits write there, so that it is known; and which of a threadgroup's memory.

use crate::soft::sorted::SortedMap;
use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The bytes of a buffer that were written, a bit for each.
struct Written {
    number: u64,
    bytes: u64,
    bits: Vec<u64>,
}

/// The buffers, by address; none overlaps another.
static BUFFERS: Mutex<SortedMap<u64, Written>> = Mutex::new(SortedMap::new());
static ANY: AtomicBool = AtomicBool::new(false);
/// How often memory was tracked.
static TRACKED: AtomicU64 = AtomicU64::new(0);
/// Whether kernels look at it: from the first one that is checked with `init` on.
static WANTED: AtomicBool = AtomicBool::new(false);

/// A kernel looks at what was written.
pub(crate) fn want() {
    WANTED.store(true, Relaxed);
}

/// Whether there is such a kernel.
pub(crate) fn is_wanted() -> bool {
    WANTED.load(Relaxed)
}

/// The buffers, if there are any.
fn buffers() -> Option<MutexGuard<'static, SortedMap<u64, Written>>> {
    ANY.load(Relaxed).then(|| BUFFERS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether there was memory of which it is known what was written.
pub(crate) fn is_any_tracked() -> bool {
    ANY.load(Relaxed)
}

/// Nothing was written to this memory yet. If there are buffers whose memory is used again by this one, nothing is known of any of them from now
/// on: commands that were recorded before may still use the old ones. The result is not 0, and is what [`untrack`] takes.
pub(crate) fn track(base: *const u8, bytes: usize) -> u64 {
    ANY.store(true, Relaxed);
    let number = TRACKED.fetch_add(1, Relaxed) + 1;
    let (base, bytes, bits) = (base as u64, bytes as u64, vec![0; bytes.div_ceil(64)]);
    if let Some(mut buffers) = buffers() {
        let before = buffers.before(&(base + bytes)).iter().rev();
        let over = before.take_while(|(start, other)| *start + other.bytes > base);
        let over: Vec<u64> = over.map(|(start, _)| *start).collect();
        over.iter().for_each(|start| drop(buffers.remove(start)));
        if over.is_empty() {
            buffers.insert(base, Written { number, bytes, bits });
        }
    }
    number
}

/// The memory that was tracked under this number is freed, or others write there too.
pub(crate) fn untrack(base: *const u8, number: u64) {
    if let Some(mut buffers) = buffers()
        && buffers.get(&(base as u64)).is_some_and(|buffer| buffer.number == number)
    {
        buffers.remove(&(base as u64));
    }
}

/// Memory is written.
pub(crate) fn mark(base: *const u8, bytes: usize) {
    set(base, bytes, true);
}

fn set(base: *const u8, bytes: usize, written: bool) {
    let Some(mut buffers) = buffers() else { return };
    let Some((start, buffer)) = buffers.last_up_to_mut(&(base as u64)) else { return };
    let from = base as u64 - *start;
    let end = buffer.bytes.min(from + bytes as u64);
    let mut at = from;
    while at < end {
        let (bit, next) = (at % 64, end.min((at / 64 + 1) * 64));
        let (word, bits) =
            (&mut buffer.bits[(at / 64) as usize], (u64::MAX >> (64 - (next - at))) << bit);
        *word = if written { *word | bits } else { *word & !bits };
        at = next;
    }
}

/// Memory is copied: what was not written before is not after, either.
pub(crate) fn copy(from: *const u8, to: *const u8, bytes: usize) {
    let Some(buffers) = buffers() else { return };
    let at = |base: *const u8| {
        let (start, buffer) = buffers.last_up_to(&(base as u64))?;
        let offset = base as u64 - start;
        (offset < buffer.bytes).then_some((offset, buffer))
    };
    if at(to).is_none() {
        return;
    }
    let Some((offset, source)) = at(from) else {
        drop(buffers);
        return mark(to, bytes);
    };
    // The source may overlap the target, so all of it is read first. Past its end is memory of which nothing is known.
    let was_written =
        |at: u64| at >= source.bytes || source.bits[(at / 64) as usize] >> (at % 64) & 1 != 0;
    let all: Vec<bool> = (offset..offset + bytes as u64).map(was_written).collect();
    drop(buffers);
    let mut start = 0;
    for part in all.chunk_by(|a, b| a == b) {
        set(to.wrapping_add(start), part.len(), part[0]);
        start += part.len();
    }
}

/// The bytes of memory that were not written, a bit for each of at most 32; those of other memory were.
pub(super) fn unwritten(address: u64, bytes: u32) -> u32 {
    let Some(buffers) = buffers() else { return 0 };
    let Some((start, buffer)) = buffers.last_up_to(&address) else { return 0 };
    let was = |byte: u32| {
        let at = address - start + u64::from(byte);
        at >= buffer.bytes || buffer.bits[(at / 64) as usize] >> (at % 64) & 1 != 0
    };
    (0..bytes.min(32)).fold(0, |all, byte| all | u32::from(!was(byte)) << byte)
}

/// Which bytes of threadgroup memory the threadgroup that runs has written: a byte for each, at the same offset, which machine code
/// reads and writes, too.
pub(super) struct Own {
    range: Range<u64>,
    bytes: Vec<Cell<u8>>,
}

/// The value of a byte that was written; otherwise it is 0.
const IS_WRITTEN: u8 = 0xff;
/// Machine code may read this number of bytes more.
const SLACK: usize = 16;

impl Own {
    /// For memory at these addresses.
    pub(super) fn new(range: Range<u64>) -> Self {
        let bytes = vec![Cell::new(0); (range.end - range.start) as usize + SLACK];
        Self { range, bytes }
    }

    /// The bytes of a part of the memory, if all of it is here.
    pub(super) fn bytes_of(&self, range: &Range<u64>) -> Option<&[Cell<u8>]> {
        super::contains(&self.range, range)
            .then(|| &self.bytes[(range.start - self.range.start) as usize..])
            .map(|bytes| &bytes[..(range.end - range.start) as usize])
    }

    /// A threadgroup begins.
    pub(super) fn clear(&self) {
        // SAFETY: the cells may be written through a shared reference, and 0 is a byte.
        unsafe { self.bytes.as_ptr().cast::<u8>().cast_mut().write_bytes(0, self.bytes.len()) };
    }

    /// Bytes are written, or written with what is itself uninitialised.
    pub(super) fn set(bytes: &[Cell<u8>], is_written: bool) {
        let value = if is_written { IS_WRITTEN } else { 0 };
        bytes.iter().for_each(|byte| byte.set(value));
    }

    /// A bit for each of at most 32 bytes that was not written.
    pub(super) fn unwritten(bytes: &[Cell<u8>]) -> u32 {
        bytes.iter().take(32).rev().fold(0, |all, byte| all << 1 | u32::from(byte.get() == 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_unwritten_until_they_are_marked() {
        // Nothing is there: the addresses are of this test alone.
        let at = |offset: usize| (0x7100_0000_0000 + offset) as *const u8;
        let number = track(at(0), 200);
        let unwritten = |offset| unwritten(at(offset) as u64, 8);
        assert_eq!([0, 192, 196, 200].map(unwritten), [0xff, 0xff, 0xf, 0]);
        mark(at(60), 70);
        assert_eq!([56, 60, 64, 122, 126].map(unwritten), [0xf, 0, 0, 0, 0xf0]);
        mark(at(199), 100);
        assert_eq!(unwritten(192), 0x7f);
        copy(at(56), at(120), 72);
        assert_eq!([120, 124, 128, 184, 188].map(unwritten), [0xf, 0, 0, 0, 0xf0]);
        copy(at(1000), at(120), 4);
        assert_eq!(unwritten(120), 0);
        untrack(at(0), number);
        assert_eq!(unwritten(0), 0);
    }

    /// A buffer of a heap is aliasable, and another one is made over it.
    #[test]
    fn nothing_is_known_of_memory_that_two_buffers_have() {
        let at = |offset: usize| (0x7100_1000_0000 + offset) as *const u8;
        let unwritten = |offset| unwritten(at(offset) as u64, 4);
        for start in [0, 64] {
            let first = track(at(64), 128);
            let second = track(at(start), 96);
            assert_eq!([start, start + 92, 160].map(unwritten), [0; 3], "{start}");
            untrack(at(64), first);
            let third = track(at(start), 96);
            untrack(at(start), second);
            assert_eq!(unwritten(start), 0xf, "{start}");
            // A copy of more than the buffer has.
            let target = track(at(4096), 256);
            copy(at(start), at(4096), 200);
            assert_eq!([4096, 4096 + 96, 4096 + 200].map(unwritten), [0xf, 0, 0xf], "{start}");
            untrack(at(4096), target);
            untrack(at(start), third);
        }
    }
}
