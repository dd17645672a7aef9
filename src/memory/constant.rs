//! The addresses of blocks that can only be read, so that a buffer over one is recognised.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

/// First addresses and ends.
static RANGES: RwLock<BTreeMap<usize, usize>> = RwLock::new(BTreeMap::new());

/// The entry of a block, from when it is made until before its pages are unmapped.
pub(super) struct Constant(usize);

impl Constant {
    pub(super) fn new(range: Range<usize>) -> Self {
        let mut ranges = RANGES.write().unwrap_or_else(PoisonError::into_inner);
        ranges.insert(range.start, range.end);
        Self(range.start)
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        RANGES.write().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Whether some of these addresses are in a block that can only be read.
#[cfg(feature = "infer")]
pub(crate) fn is_constant(range: Range<usize>) -> bool {
    let ranges = RANGES.read().unwrap_or_else(PoisonError::into_inner);
    // Blocks do not overlap, so only the last one that starts before the end can.
    ranges.range(..range.end).next_back().is_some_and(|(_, &end)| end > range.start)
}
