//! The uses of a block's memory.

use super::error::MemError;
use crate::GpuError;
use crate::usage::{Epoch, OpenView, Usage};
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
    /// Whether there was a buffer over the memory: no command buffer uses memory that never had one.
    wrapped: AtomicBool,
}

/// Why memory that was handed out cannot be handed out again yet.
const ENCODED: &str =
    "a command buffer that may use it was encoded and never submitted: submit it, or drop it";
const IN_FLIGHT: &str = "a command buffer that may use it was submitted and has not completed";

impl Record {
    pub(super) fn new(start: *const u8, bytes: usize) -> Self {
        let (usage, start) = (OnceLock::new(), start.addr());
        Self {
            start,
            bytes,
            usage,
            divided: AtomicBool::new(false),
            wrapped: AtomicBool::new(false),
        }
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

    /// A buffer over the memory is about to be made.
    pub(super) fn wrap(&self) {
        self.wrapped.store(true, Ordering::SeqCst);
    }

    #[inline(always)]
    pub(super) fn is_wrapped(&self) -> bool {
        self.wrapped.load(Ordering::Acquire)
    }

    /// Whether a command buffer that may use the memory was encoded and not submitted; or another thread makes or drops a
    /// buffer over the memory.
    pub(super) fn may_be_encoded(&self) -> bool {
        self.usage().is_encoded() || self.usage().is_in_encoded_set(Epoch::now())
    }

    /// Whether a command buffer was encoded with the memory and not submitted; or uses, since before a moment, a residency
    /// set that has the memory.
    #[cold]
    fn is_encoded(&self, since: Epoch) -> bool {
        // The other thread is done soon.
        let is_bound = (0..1000).all(|round| {
            if round > 0 {
                std::thread::yield_now();
            }
            self.usage().is_encoded()
        });
        is_bound || self.usage().is_in_encoded_set(since)
    }

    /// An error while a command buffer may use the memory.
    #[inline(always)]
    pub(super) fn is_unused(&self) -> Result<(), MemError> {
        if self.is_wrapped() { self.is_unused_by_gpu() } else { Ok(()) }
    }

    #[inline(never)]
    fn is_unused_by_gpu(&self) -> Result<(), MemError> {
        // In this order: another thread may submit what is encoded between the two.
        let encoded = self.is_encoded(Epoch::now());
        match encoded || self.usage().is_in_flight() {
            true => Err(MemError::Busy(if encoded { ENCODED } else { IN_FLIGHT }.into())),
            false => Ok(()),
        }
    }

    /// Waits for the command buffers that use the memory.
    #[inline(always)]
    pub(super) fn wait(&self) -> Result<(), MemError> {
        if self.is_wrapped() { self.wait_for_gpu(None) } else { Ok(()) }
    }

    /// The same; but not for those that use only a residency set that has the memory, and began since.
    #[inline(never)]
    pub(super) fn wait_for_gpu(&self, since: Option<Epoch>) -> Result<(), MemError> {
        // In this order, as above.
        if self.is_encoded(since.unwrap_or_else(Epoch::now)) {
            return Err(MemError::Busy(ENCODED.into()));
        }
        match since {
            Some(since) => self.usage().wait_except_sets(since),
            None => self.usage().wait(),
        }
        Ok(())
    }

    /// Called before a tape or a grid hands out parts of the memory: from then on there are no views of all of it.
    pub(super) fn divide(&self) -> Result<(), MemError> {
        if self.divided.swap(true, Ordering::AcqRel) {
            return Err(MemError::Busy("another tape or grid hands out parts of it".into()));
        }
        // Command buffers may use the parts that the last tape or grid handed out.
        self.wait().inspect_err(|_| self.unite())?;
        // No view may live now, and any later one is refused. (One that began at the same
        // moment conflicts with the views of the parts, as any two views do.)
        self.view(0..self.bytes, true, true).map(drop).inspect_err(|_| self.unite())
    }

    /// Ends what `divide` began.
    pub(super) fn unite(&self) {
        self.divided.store(false, Ordering::Release);
    }
}
