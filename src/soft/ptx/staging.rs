//! Memory of the host that a launch uses: copied to the device before, and back afterwards.
//!
//! Bindings that overlap share one copy, as a kernel may write through one and read through the other.

use std::sync::Arc;

use super::cuda::{Address, CudaError};
use super::device::{Block, Device, Stream};

/// A range of the host's memory, and whether the kernel may write there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: usize,
    pub(super) bytes: usize,
    pub(super) write: bool,
}

/// Ranges that overlap or touch become one; by their start.
fn merge(ranges: &[Range]) -> Vec<Range> {
    let mut sorted: Vec<Range> = ranges.iter().copied().filter(|range| range.bytes != 0).collect();
    sorted.sort_by_key(|range| range.start);
    let mut merged: Vec<Range> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.start + last.bytes => {
                let end = (range.start + range.bytes).max(last.start + last.bytes);
                last.bytes = end - last.start;
                last.write |= range.write;
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// The copies of a launch.
#[derive(Default)]
pub(super) struct Staging {
    copies: Vec<(Range, Block)>,
    /// The parts that the kernel may write. What is next to them may be memory that can only be read.
    written: Vec<Range>,
}

impl Staging {
    /// Copies ranges to the device, in the order of a stream.
    ///
    /// # Safety
    /// The ranges can be read until the stream's work is done.
    pub(super) unsafe fn new(
        device: &Arc<Device>,
        stream: Stream,
        ranges: &[Range],
    ) -> Result<Self, CudaError> {
        let mut copies = Vec::new();
        for range in merge(ranges) {
            let (skew, bytes) = (range.start % 16, range.bytes);
            let block = Block::new(device, bytes + skew)?;
            for part in device.shared.parts(range) {
                let to = block.address + (skew + part.start - range.start) as u64;
                let from = part.start as *const std::ffi::c_void;
                // SAFETY: the block has that many bytes; the range is the caller's.
                unsafe { device.cuda.copy_to_device(to, from, part.bytes, stream.main)? };
            }
            copies.push((range, block));
        }
        let written: Vec<Range> = ranges.iter().copied().filter(|range| range.write).collect();
        Ok(Self { copies, written: merge(&written) })
    }

    /// The address of the copy of an address, which is as aligned as the address itself.
    pub(super) fn address(&self, of: usize) -> Address {
        let after = self.copies.partition_point(|(range, _)| range.start <= of);
        match after.checked_sub(1).map(|at| &self.copies[at]) {
            Some((range, block)) => block.address + (range.start % 16 + of - range.start) as u64,
            None => 0,
        }
    }

    /// Whether anything is copied back.
    pub(super) fn writes(&self) -> bool {
        !self.written.is_empty()
    }

    /// Copies back what the kernel may have written, in the order of a stream.
    ///
    /// # Safety
    /// The ranges can be written until the stream's work is done.
    pub(super) unsafe fn copy_back(
        &self,
        device: &Device,
        stream: Stream,
    ) -> Result<(), CudaError> {
        for range in self.written.iter().flat_map(|range| device.shared.parts(*range)) {
            let from = self.address(range.start);
            let to = range.start as *mut std::ffi::c_void;
            // SAFETY: the copy has that many bytes; the range is the caller's.
            unsafe { device.cuda.copy_from_device(to, from, range.bytes, stream.main)? };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_become_one() {
        let range = |start, bytes, write| Range { start, bytes, write };
        let list =
            [range(100, 10, false), range(0, 0, true), range(105, 20, true), range(300, 1, false)];
        assert_eq!(merge(&list), [range(100, 25, true), range(300, 1, false)]);
    }
}
