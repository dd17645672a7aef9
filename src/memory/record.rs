//! Who in this process uses a block's memory.

use super::error::MemError;
use std::sync::atomic::{AtomicIsize, Ordering};

/// One per block: the number of readers, [`WRITTEN`], or [`DIVIDED`].
#[derive(Debug, Default)]
pub(super) struct Record {
    host: AtomicIsize,
}

const WRITTEN: isize = -1;
/// A tape or a grid hands out parts of the memory.
const DIVIDED: isize = -2;

/// How memory is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
    Divide,
}

/// A use that ends on drop.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    record: &'a Record,
    kind: Use,
}

impl Record {
    /// Begins a use that does not end by itself.
    pub(super) fn begin(&self, kind: Use) -> Result<(), MemError> {
        let begun =
            self.host.fetch_update(Ordering::Acquire, Ordering::Relaxed, |now| match kind {
                Use::Read => (now >= 0).then(|| now + 1),
                Use::Write => (now == 0).then_some(WRITTEN),
                Use::Divide => (now == 0).then_some(DIVIDED),
            });
        begun.map(|_| ()).map_err(|now| {
            MemError::Busy(match now {
                WRITTEN => "a mutable view of it lives",
                DIVIDED => "a tape or a grid hands out parts of it",
                _ => "a view of it lives",
            })
        })
    }

    /// Ends a use that began.
    pub(super) fn end(&self, kind: Use) {
        match kind {
            Use::Read => self.host.fetch_sub(1, Ordering::Release),
            Use::Write | Use::Divide => self.host.swap(0, Ordering::Release),
        };
    }

    /// Begins a use.
    pub(super) fn guard(&self, kind: Use) -> Result<Guard<'_>, MemError> {
        self.begin(kind)?;
        Ok(Guard { record: self, kind })
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.record.end(self.kind);
    }
}
