//! The uses of a block's memory.

use super::error::MemError;
use crate::GpuError;
use crate::usage::{OpenView, Usage};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The driver's record of a block's views and command buffers, which all buffers over the block share; and
/// whether a tape or a grid hands out parts of the block.
#[derive(Debug)]
pub(super) struct Record {
    start: usize,
    bytes: usize,
    usage: OnceLock<Usage>,
    divided: AtomicBool,
}

impl Record {
    pub(super) fn new(start: *const u8, bytes: usize) -> Self {
        let (usage, divided) = (OnceLock::new(), AtomicBool::new(false));
        Self { start: start.addr(), bytes, usage, divided }
    }

    /// The driver's record, created at the first use: blocks without views cost nothing.
    #[inline]
    pub(super) fn usage(&self) -> &Usage {
        self.usage.get_or_init(|| Usage::of(std::ptr::without_provenance(self.start), self.bytes))
    }

    /// Opens a view of all of the memory.
    pub(super) fn view_all(&self, writes: bool, waits: bool) -> Result<OpenView<'_>, MemError> {
        if self.divided.load(Ordering::Acquire) {
            return Err(MemError::Busy("a tape or a grid hands out parts of it".into()));
        }
        self.view(0..self.bytes, writes, waits)
    }

    /// Opens a view of a range of bytes, counted from the start.
    #[inline]
    pub(super) fn view(
        &self,
        range: Range<usize>,
        writes: bool,
        waits: bool,
    ) -> Result<OpenView<'_>, MemError> {
        let usage = self.usage();
        let view =
            if waits { usage.view_completed(range, writes) } else { usage.view(range, writes) };
        view.map_err(|error| match error {
            GpuError::BufferAccess(why) => MemError::Busy(why),
            other => MemError::Busy(other.to_string()),
        })
    }

    /// Called before a tape or a grid hands out parts of the memory: from then on there are no views of all of it.
    pub(super) fn divide(&self) -> Result<(), MemError> {
        if self.divided.swap(true, Ordering::AcqRel) {
            return Err(MemError::Busy("another tape or grid hands out parts of it".into()));
        }
        // No view may live now, and any later one is refused. (One that began at the same
        // moment conflicts with the views of the parts, as any two views do.)
        self.view(0..self.bytes, true, true).map(drop).inspect_err(|_| self.unite())
    }

    /// Ends what `divide` began.
    pub(super) fn unite(&self) {
        self.divided.store(false, Ordering::Release);
    }
}
