//! Buffers over blocks, without a copy.

use super::block::Block;
use super::shared::Shared;
use crate::{Buffer, Deallocator, Gpu, GpuError};
use std::ffi::c_void;

/// Buffers over memory of [`memory`](crate::memory), without a copy. The buffer retains the memory: the handle may be
/// dropped before the buffer is, and before the GPU is done.
impl Gpu {
    /// A shared buffer over a block.
    ///
    /// If a kernel writes to a read-only block, it writes to a private copy of the page, which this block
    /// shows and the file does not.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] if the device does not allow buffers of this size.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let gpu = aruminium::Gpu::open()?;
    /// let block = aruminium::memory::Block::open(4096)?;
    /// let buffer = gpu.wrap(&block)?;
    /// buffer.write_f32(|x| x[0] = 1.5);
    /// assert_eq!(block.as_f32()[0], 1.5);
    /// drop(block);
    /// assert_eq!(buffer.read_f32(|x| x[0]), 1.5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap(&self, block: &Block) -> Result<Buffer, GpuError> {
        block.record().wrap();
        // SAFETY: the clone keeps the pages where they are until the buffer no longer needs them. Views of
        // the block and of the buffer are entered in the same record.
        unsafe { wrap(self, block.address(), block.size(), block.clone()) }
    }

    /// A shared buffer over memory that another process may write.
    ///
    /// # Safety
    ///
    /// Nothing tracks what other handles do with the memory: other processes, and in this process the methods and
    /// atomics of [`Shared`] handles of it and other buffers over another mapping of it.
    ///
    /// * While a closure that [`Buffer::read`] or a variant calls runs, or a kernel reads the memory, no other handle writes
    ///   the bytes that it has.
    /// * While a closure that [`Buffer::write`] or a variant calls runs, or a kernel writes the memory, no other handle reads
    ///   or writes those bytes; except by atomics while a kernel uses only atomics of 32 bits there.
    /// * Memory that [is read-only](Shared::is_read_only) is not written by `Buffer::write`, `contents` or a kernel: the
    ///   process would end.
    ///
    /// # Errors
    ///
    /// As for [`wrap`](Self::wrap).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let gpu = aruminium::Gpu::open()?;
    /// let shared = aruminium::memory::Shared::open(4096)?;
    /// // SAFETY: no other process has the memory yet.
    /// let buffer = unsafe { gpu.wrap_shared(&shared)? };
    /// buffer.write(|bytes| bytes[0] = 7);
    /// # Ok(())
    /// # }
    /// ```
    pub unsafe fn wrap_shared(&self, shared: &Shared) -> Result<Buffer, GpuError> {
        // SAFETY: as for `wrap`; the caller guarantees it for other processes.
        unsafe { wrap(self, shared.address(), shared.size(), shared.clone()) }
    }
}

/// # Safety
///
/// The memory stays where it is while `owner` lives.
unsafe fn wrap(
    gpu: &Gpu,
    start: *mut u8,
    bytes: usize,
    owner: impl Send + Sync + 'static,
) -> Result<Buffer, GpuError> {
    let bytes = bytes / super::sys::page() * super::sys::page();
    let release = Deallocator::new(move |_: *mut c_void, _: usize| {
        // Dropped with the closure, once the buffer is freed.
        let _ = &owner;
    });
    // SAFETY: the pages are valid until the deallocator is dropped, which the buffer holds.
    unsafe { gpu.buffer_wrap_with(start.cast(), bytes, &release) }
}
