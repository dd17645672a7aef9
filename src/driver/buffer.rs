//! Memory that kernels read and write.

use super::descriptor::TextureDescriptor;
use super::enums::{PurgeableState, ResourceOptions, StorageMode};
use super::error::GpuError;
use super::footprint::{InBuffer, Located, view};
use super::tensor::{Tensor, TensorDescriptor};
use super::texture::Texture;
use crate::abi::NSRange;
use crate::fp16::{Bfloat, Half};
use crate::metal_class;
use crate::objc::tracking::{ArgumentSink, Footprint, MessageUse, ViewGuard};
use crate::objc::{ClassState, Object};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

metal_class! {
    /// Memory that CPU and GPU share, or that the GPU has to itself.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{PurgeableState, ResourceOptions, StorageMode};
    /// let buffer = gpu.buffer_with_data(&[1, 2, 3, 4])?;
    /// buffer.set_label("input");
    /// assert_eq!(buffer.label().as_deref(), Some("input"));
    /// assert_eq!(buffer.read(|bytes| bytes.iter().map(|&b| u32::from(b)).sum::<u32>()), 10);
    /// assert_eq!(buffer.size(), 4);
    /// assert!(buffer.allocated_size() >= 4 && buffer.gpu_address() != 0);
    /// assert_eq!(buffer.storage_mode(), StorageMode::Shared);
    /// assert!(buffer.resource_options().contains(ResourceOptions::STORAGE_SHARED));
    /// buffer.add_debug_marker("header", (0..2).into());
    /// buffer.remove_all_debug_markers();
    /// // Metal may discard the contents of a volatile buffer when memory is short.
    /// let before = buffer.set_purgeable_state(PurgeableState::Volatile);
    /// assert_eq!(before, PurgeableState::NonVolatile);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// A texture over a buffer, and the calls that managed memory and heaps need:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{HeapDescriptor, PixelFormat, ResourceOptions, StorageMode, TextureDescriptor};
    /// let buffer = gpu.buffer(256 * 4)?;
    /// let texture = buffer.texture(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 16, 4), 0, 256)?;
    /// assert_eq!((texture.width(), texture.height()), (16, 4));
    /// if buffer.storage_mode() == StorageMode::Managed {
    ///     buffer.did_modify((0..256).into());
    /// }
    /// let descriptor = HeapDescriptor::new();
    /// descriptor.set_size(1 << 16);
    /// let scratch = gpu.heap(&descriptor)?.buffer(4096, ResourceOptions::STORAGE_PRIVATE)?;
    /// // From here on other resources of the heap may use its memory.
    /// // SAFETY: the CPU does not see it.
    /// unsafe { scratch.make_aliasable() };
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Buffer: MTLBuffer, labelled, state Memory;

    /// The buffer's address on the GPU.
    pub fn gpu_address() -> u64 = [gpuAddress];
    pub(super) fn tensor_with(descriptor: &TensorDescriptor, offset: usize) -> Result<Tensor, GpuError>
        = [newTensorWithDescriptor:offset:error:] or GpuError::ObjectCreationFailed;
    /// The storage mode: whether CPU, GPU or both can access the memory.
    pub fn storage_mode() -> StorageMode = [storageMode];
    /// The storage, cache and tracking mode.
    pub fn resource_options() -> ResourceOptions = [resourceOptions];
    /// The number of bytes that it takes, including alignment.
    pub fn allocated_size() -> usize = [allocatedSize];
    /// Set whether the contents may be discarded; returns the previous state.
    pub fn set_purgeable_state(state: PurgeableState) -> PurgeableState = [setPurgeableState:];
    /// Let other resources of the heap use the buffer's memory.
    ///
    /// # Safety
    ///
    /// While the CPU reads or writes the buffer, it does not write any resource that now shares its memory.
    pub unsafe fn make_aliasable() = [makeAliasable];
    /// Notify Metal of the bytes that the CPU changed in a managed buffer.
    pub fn did_modify(range: NSRange) = [didModifyRange:];
    /// Name a range of the buffer, for tools.
    pub fn add_debug_marker(name: &str, range: NSRange) = [addDebugMarker:range:];
    /// Remove all debug markers.
    pub fn remove_all_debug_markers() = [removeAllDebugMarkers];
    /// A texture whose pixels are the buffer's memory.
    ///
    /// # Errors
    ///
    /// [`GpuError::TextureCreationFailed`] if the descriptor does not fit the buffer.
    pub fn texture(descriptor: &TextureDescriptor, offset: usize, bytes_per_row: usize) -> Result<Texture, GpuError>
        = [newTextureWithDescriptor:offset:bytesPerRow:] or GpuError::TextureCreationFailed;
}

// SAFETY: Apple documents resources as safe to use from any thread; access to the memory from Rust
// is guarded by `Memory`.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

/// The CPU's access to a buffer's memory.
#[derive(Debug)]
struct Memory {
    /// The start of the memory; null until it is first requested.
    contents: AtomicPtr<c_void>,
    size: usize,
    located: Located<InBuffer>,
}

impl ClassState for Memory {
    #[inline]
    fn attach(object: &Object) -> Self {
        // SAFETY: the object is a buffer. It does not grow.
        let size = unsafe { crate::msg!(object, [length] -> usize) };
        Self { contents: AtomicPtr::default(), size, located: ClassState::attach(object) }
    }

    #[inline(always)]
    fn report_to(&self, object: &Object, to: &mut ArgumentSink<'_>) {
        self.located.report_to(object, to);
    }

    #[inline(always)]
    fn sending(
        &self,
        object: &Object,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        self.located.sending(object, message_use, arguments);
    }
}

/// Types without padding for which every bit pattern is a valid value: what a buffer can hold.
///
/// # Safety
///
/// Any bytes are a valid value, and the type has no padding and no pointers.
///
/// ```
/// use aruminium::Plain;
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// struct Particle { position: [f32; 3], charge: f32 }
/// // SAFETY: four floats, contiguous.
/// unsafe impl Plain for Particle {}
///
/// let buffer = aruminium::Gpu::open()?.buffer(8 * size_of::<Particle>())?;
/// buffer.write_as(|all: &mut [Particle]| all.iter_mut().for_each(|p| p.charge = 1.0));
/// assert_eq!(buffer.read_as(|all: &[Particle]| all.iter().map(|p| p.charge).sum::<f32>()), 8.0);
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub unsafe trait Plain: Copy + 'static {}

/// Implements [`Plain`] for types.
macro_rules! plain {
    ($($ty:ty),+) => {$(
        // SAFETY: a primitive number has neither padding nor forbidden values.
        unsafe impl Plain for $ty {}
    )+};
}

plain!(u8, i8, u16, i16, u32, i32, u64, i64, usize, isize, u128, i128, f32, f64, Half, Bfloat);
#[cfg(feature = "half")]
plain!(half::f16, half::bf16);

// SAFETY: an array has no padding of its own.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

impl Buffer {
    /// Whether the CPU can access the memory.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// assert!(gpu.buffer(16)?.is_shared() && !gpu.buffer_private(16)?.is_shared());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub fn is_shared(&self) -> bool {
        !self.contents().is_null()
    }

    /// The start of the memory, null for a private buffer. The address does not change while the buffer
    /// lives.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// // SAFETY: nothing else uses the buffer now.
    /// unsafe { buffer.contents().cast::<u32>().write(7) }
    /// assert_eq!(buffer.read(|bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])), 7);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub fn contents(&self) -> *mut c_void {
        let known = self.state.contents.load(Ordering::Relaxed);
        if known.is_null() { self.find_contents() } else { known }
    }

    /// Requests the memory's address. This is not done for a buffer that only the GPU uses, so that Metal knows
    /// that the CPU has not changed it.
    #[cold]
    fn find_contents(&self) -> *mut c_void {
        // SAFETY: the object is a buffer. Its memory does not move.
        let contents = unsafe { crate::msg!(self, [contents] -> *mut c_void) };
        self.state.contents.store(contents, Ordering::Relaxed);
        contents
    }

    /// The size in bytes.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// assert_eq!(buffer.size(), 16);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub fn size(&self) -> usize {
        self.state.size
    }

    /// The memory as values of a type, and their count.
    fn values<T: Plain>(&self) -> Result<(*mut T, usize), GpuError> {
        let values = self.contents().cast::<T>();
        if !values.is_aligned() {
            let align = align_of::<T>();
            return Err(GpuError::BufferAccess(format!("it is not aligned to {align} bytes")));
        }
        Ok((values, self.state.size.checked_div(size_of::<T>()).unwrap_or(0)))
    }

    /// The usage records of the memory, if the CPU can access it.
    pub(super) fn footprint(&self) -> Option<&Footprint> {
        self.state.located.footprint(&self.object)
    }

    /// Opens a view of all of the memory.
    fn view(&self, writes: bool, waits: bool) -> Result<ViewGuard<'_>, GpuError> {
        let Some(footprint) = self.footprint() else {
            return Err(GpuError::BufferAccess(
                "it is private: copy it to a shared one with a Copier".into(),
            ));
        };
        let start = self.contents().addr();
        view(footprint, start..start + self.size(), writes, waits)
            .map_err(|busy| GpuError::BufferAccess(busy.to_string()))
    }

    fn reading<T: Plain, R>(
        &self,
        waits: bool,
        read: impl FnOnce(&[T]) -> R,
    ) -> Result<R, GpuError> {
        let _view = self.view(false, waits)?;
        let (values, len) = self.values::<T>()?;
        // SAFETY: the memory holds `len` plain values and is aligned for them. While the view is open,
        // no other view of it writes, and no command buffer that may write it is in flight; those that
        // are not tracked are encoded by unsafe methods whose callers promise the same.
        Ok(read(unsafe { std::slice::from_raw_parts(values, len) }))
    }

    fn writing<T: Plain, R>(
        &self,
        waits: bool,
        write: impl FnOnce(&mut [T]) -> R,
    ) -> Result<R, GpuError> {
        let _view = self.view(true, waits)?;
        let (values, len) = self.values::<T>()?;
        // SAFETY: as for reading, and neither another view nor a command buffer in flight reads it.
        Ok(write(unsafe { std::slice::from_raw_parts_mut(values, len) }))
    }

    /// Read the memory as values of a plain type; trailing bytes that do not make a whole value are left out.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if the buffer is private, if it is being written by another view, or if
    /// a command buffer that may write it was submitted and has not completed.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// buffer.write(|_| {
    ///     assert!(buffer.try_read_as(|_: &[u32]| ()).is_err(), "it is being written");
    /// });
    /// assert_eq!(buffer.try_read_as(|all: &[u32]| all.len())?, 4);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn try_read_as<T: Plain, R>(&self, read: impl FnOnce(&[T]) -> R) -> Result<R, GpuError> {
        self.reading(false, read)
    }

    /// Write the memory as values of a plain type.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if the buffer is private, if another view of it is open, or if a command
    /// buffer that uses it was submitted and has not completed.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// assert!(gpu.buffer_private(16)?.try_write_as(|_: &mut [u32]| ()).is_err());
    /// gpu.buffer(16)?.try_write_as(|all: &mut [[f32; 4]]| all[0] = [0.0, 1.0, 2.0, 3.0])?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn try_write_as<T: Plain, R>(
        &self,
        write: impl FnOnce(&mut [T]) -> R,
    ) -> Result<R, GpuError> {
        self.writing(false, write)
    }

    /// Read the memory as values of a plain type.
    ///
    /// # Panics
    ///
    /// If the buffer is private, if it is being written by another view, or if a command buffer that may
    /// write it was submitted and has not completed. Wait for the command buffer, or use
    /// [`read_completed_as`](Self::read_completed_as).
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// assert_eq!(buffer.read_as(|all: &[u64]| all.to_vec()), [0, 0]);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[track_caller]
    pub fn read_as<T: Plain, R>(&self, read: impl FnOnce(&[T]) -> R) -> R {
        self.try_read_as(read).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Write the memory as values of a plain type.
    ///
    /// # Panics
    ///
    /// If the buffer is private, if another view of it is open, or if a command buffer that uses it was
    /// submitted and has not completed. Wait for the command buffer, or use
    /// [`write_completed_as`](Self::write_completed_as).
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// buffer.write_as(|all: &mut [u16]| all.fill(3));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[track_caller]
    pub fn write_as<T: Plain, R>(&self, write: impl FnOnce(&mut [T]) -> R) -> R {
        self.try_write_as(write).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Read the memory as values of a plain type, after the command buffers that may write it have
    /// completed.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if the buffer is private or being written by another view.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let buffer = gpu.buffer(16)?;
    /// let copier = commands.copier()?;
    /// copier.fill(&buffer, (0..16).into(), 1);
    /// copier.finish();
    /// commands.submit();
    /// assert_eq!(buffer.read_completed_as(|all: &[u8]| all[15])?, 1);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn read_completed_as<T: Plain, R>(
        &self,
        read: impl FnOnce(&[T]) -> R,
    ) -> Result<R, GpuError> {
        self.reading(true, read)
    }

    /// Write the memory as values of a plain type, after the command buffers that use it have completed.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if the buffer is private or if another view of it is open.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let buffer = gpu.buffer(16)?;
    /// let copier = commands.copier()?;
    /// copier.fill(&buffer, (0..16).into(), 1);
    /// copier.finish();
    /// commands.submit();
    /// buffer.write_completed_as(|all: &mut [u8]| all[0] += 1)?;
    /// assert_eq!(buffer.read(|all| (all[0], all[1])), (2, 1));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn write_completed_as<T: Plain, R>(
        &self,
        write: impl FnOnce(&mut [T]) -> R,
    ) -> Result<R, GpuError> {
        self.writing(true, write)
    }

    /// Read the bytes after the command buffers that may write them have completed; see
    /// [`read_completed_as`](Self::read_completed_as).
    ///
    /// # Errors
    ///
    /// As for [`read_completed_as`](Self::read_completed_as).
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// assert_eq!(buffer.read_completed(|bytes| bytes.len())?, 16);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn read_completed<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Result<R, GpuError> {
        self.reading(true, read)
    }

    /// Write the bytes after the command buffers that use them have completed; see
    /// [`write_completed_as`](Self::write_completed_as).
    ///
    /// # Errors
    ///
    /// As for [`write_completed_as`](Self::write_completed_as).
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// buffer.write_completed(|bytes| bytes.fill(1))?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn write_completed<R>(&self, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, GpuError> {
        self.writing(true, write)
    }

    /// Read the bytes, or return why they cannot be read; see [`try_read_as`](Self::try_read_as).
    ///
    /// # Errors
    ///
    /// As for [`try_read_as`](Self::try_read_as).
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// assert!(buffer.try_read(|bytes| bytes.iter().all(|&byte| byte == 0))?);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn try_read<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Result<R, GpuError> {
        self.try_read_as(read)
    }

    /// Write the bytes, or return why they cannot be written; see [`try_write_as`](Self::try_write_as).
    ///
    /// # Errors
    ///
    /// As for [`try_write_as`](Self::try_write_as).
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// buffer.try_write(|bytes| bytes.fill(255))?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn try_write<R>(&self, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, GpuError> {
        self.try_write_as(write)
    }

    /// Read the bytes; panics as [`read_as`](Self::read_as) does.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// let copy = buffer.read(|bytes| bytes.to_vec());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[track_caller]
    pub fn read<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.read_as(read)
    }

    /// Write the bytes; panics as [`write_as`](Self::write_as) does.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// buffer.write(|bytes| bytes.copy_from_slice(b"sixteen bytes ok"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[track_caller]
    pub fn write<R>(&self, write: impl FnOnce(&mut [u8]) -> R) -> R {
        self.write_as(write)
    }

    /// Read the memory as `f32`s; panics as [`read_as`](Self::read_as) does.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// assert_eq!(buffer.read_f32(|x| x.iter().sum::<f32>()), 0.0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[track_caller]
    pub fn read_f32<R>(&self, read: impl FnOnce(&[f32]) -> R) -> R {
        self.read_as(read)
    }

    /// Write the memory as `f32`s; panics as [`write_as`](Self::write_as) does.
    ///
    /// ```
    /// # let buffer = aruminium::Gpu::open()?.buffer(16)?;
    /// buffer.write_f32(|x| x.iter_mut().zip(0u8..).for_each(|(x, i)| *x = f32::from(i)));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[track_caller]
    pub fn write_f32<R>(&self, write: impl FnOnce(&mut [f32]) -> R) -> R {
        self.write_as(write)
    }
}
