//! Memory that tensors share.

use super::dtype::DType;
use super::error::Error;
use super::tensor::Tensor;
use crate::memory::{Block, Lease, MemError, is_constant};
use crate::usage::{OpenView, Usage};
use crate::{Buffer, Gpu};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A buffer that tensors share: the program's own, a block, or a lease of a pool. A clone is another handle to it.
///
/// ```
/// use aruminium::infer::{DType, Memory};
/// let gpu = aruminium::Gpu::open()?;
/// let memory = Memory::from(gpu.buffer(1024)?);
/// let (first, second) = (memory.tensor(0, DType::F32, &[128])?, memory.tensor(512, DType::F32, &[128])?);
/// first.write::<f32>()?.fill(1.0);
/// assert!(second.read::<f32>()?.iter().all(|&x| x == 0.0));
/// assert!(memory.tensor(516, DType::F32, &[128]).is_err(), "it ends past the buffer");
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    holder: Holder,
    /// Its address, for comparisons: the CPU's address if it has one, else the GPU's with a bit that no address of
    /// the CPU has.
    address: u64,
    /// The record of its users, if the CPU can access it.
    usage: Option<Usage>,
    read_only: bool,
}

#[derive(Debug)]
enum Holder {
    Buffer(Buffer),
    Lease(Lease),
}

impl Memory {
    fn new(holder: Holder) -> Self {
        let buffer = holder.buffer();
        let usage = buffer.usage();
        const PRIVATE: u64 = 1 << 63;
        let (address, read_only) = match usage {
            Some(_) => {
                let start = buffer.contents().addr();
                // A buffer that the program made may be over such a block, too.
                (start as u64, is_constant(start..start + buffer.size()))
            }
            None => (buffer.gpu_address() | PRIVATE, false),
        };
        Self(Arc::new(Inner { address, usage, read_only, holder }))
    }

    /// A block's memory, without a copy. Launches cannot write to a read-only block.
    ///
    /// # Errors
    ///
    /// As for [`Gpu::wrap`].
    ///
    /// ```
    /// use aruminium::{infer::{DType, Memory}, memory::Block};
    /// let gpu = aruminium::Gpu::open()?;
    /// let memory = Memory::wrap(&gpu, &Block::open(4096)?)?;
    /// assert!(!memory.is_read_only());
    /// let tensor = memory.tensor(0, DType::F16, &[2048])?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn wrap(gpu: &Gpu, block: &Block) -> Result<Self, Error> {
        Ok(Self::from(gpu.wrap(block)?))
    }

    /// A tensor in this memory, contiguous from an offset in bytes.
    ///
    /// # Errors
    ///
    /// If it would end past the memory, or the offset is not a multiple of the size of a value.
    ///
    /// ```
    /// use aruminium::infer::{DType, Memory};
    /// let memory = Memory::from(aruminium::Gpu::open()?.buffer(64)?);
    /// assert_eq!(memory.tensor(32, DType::U16, &[2, 8])?.offset(), 32);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn tensor(&self, offset: usize, dtype: DType, shape: &[usize]) -> Result<Tensor, Error> {
        Tensor::over(self, offset, dtype, shape)
    }

    /// Whether CPU and launches may only read it: its block maps a file, or was frozen.
    ///
    /// ```
    /// use aruminium::infer::Memory;
    /// assert!(!Memory::from(aruminium::Gpu::open()?.buffer(64)?).is_read_only());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_read_only(&self) -> bool {
        self.0.read_only
    }

    /// Whether two handles are of the same memory.
    ///
    /// ```
    /// use aruminium::infer::Memory;
    /// let memory = Memory::from(aruminium::Gpu::open()?.buffer(64)?);
    /// assert!(memory.is_same(&memory.clone()));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its address, for comparisons.
    #[inline]
    pub(super) fn address(&self) -> u64 {
        self.0.address
    }

    /// Opens a view of bytes from the CPU, after the command buffers that conflict with it have completed if
    /// `waits`. Returns the address of the first one.
    pub(super) fn open(
        &self,
        range: Range<usize>,
        writes: bool,
        waits: bool,
    ) -> Result<(*mut u8, OpenView<'_>), Error> {
        if writes && self.0.read_only {
            return Err(MemError::ReadOnly.into());
        }
        let Some(usage) = &self.0.usage else {
            return Err(crate::GpuError::Unsupported(
                "the CPU cannot access private memory: copy the tensor to a shared one".into(),
            )
            .into());
        };
        // SAFETY: tensors end within the memory.
        let start = unsafe { self.contents().cast::<u8>().add(range.start) };
        let view =
            if waits { usage.view_completed(range, writes) } else { usage.view(range, writes) };
        Ok((start, view?))
    }
}

impl Holder {
    fn buffer(&self) -> &Buffer {
        match self {
            Self::Buffer(buffer) => buffer,
            Self::Lease(lease) => lease,
        }
    }
}

impl Deref for Memory {
    type Target = Buffer;

    #[inline]
    fn deref(&self) -> &Buffer {
        self.0.holder.buffer()
    }
}

impl From<Buffer> for Memory {
    fn from(buffer: Buffer) -> Self {
        Self::new(Holder::Buffer(buffer))
    }
}

impl From<Lease> for Memory {
    fn from(lease: Lease) -> Self {
        Self::new(Holder::Lease(lease))
    }
}
