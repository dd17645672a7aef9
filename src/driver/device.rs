//! The GPU: its capabilities, and the objects that it creates.

use super::archive::{BinaryArchive, BinaryArchiveDescriptor};
use super::buffer::Buffer;
use super::command::Queue;
use super::descriptor::{
    CompileOptions, HeapDescriptor, PipelineDescriptor, ResidencySetDescriptor, SamplerDescriptor,
    TextureDescriptor,
};
use super::enums::{CounterSamplingPoint, GpuFamily, ResourceOptions};
use super::error::GpuError;
use super::foundation::NSURL;
use super::heap::{Heap, ResidencySet};
use super::indirect::{IndirectCommands, IndirectCommandsDescriptor};
use super::metal4::{ArgumentTable, ArgumentTableDescriptor, CommandAllocator, Commands4, Queue4};
use super::pipeline::Pipeline;
use super::shader::{Shader, ShaderLib};
use super::sync::{Event, Fence, SharedEvent};
use super::tensor::{Tensor, TensorDescriptor};
use super::texture::{Sampler, Texture};
use crate::abi::{Id, MTLSize, Sel};
use crate::metal_class;
use crate::objc::{Block, BlockPtr, ObjcClass, Object, link};
use std::ffi::c_void;
use std::path::Path;

metal_class! {
    /// A Metal GPU. It creates all other objects.
    ///
    /// ```
    /// use aruminium::{CounterSamplingPoint, Gpu, GpuFamily};
    /// let gpu = Gpu::open()?;
    /// println!("{} ({})", gpu.name(), gpu.architecture());
    /// println!("{} GiB to work with", gpu.recommended_max_working_set_size() >> 30);
    /// println!("{} bytes in use", gpu.current_allocated_size());
    /// println!("number {:x}, unified memory: {}", gpu.registry_id(), gpu.has_unified_memory());
    /// println!("low power: {}", gpu.is_low_power());
    /// println!("without a display: {}, can be unplugged: {}", gpu.is_headless(), gpu.is_removable());
    /// assert!(gpu.supports_family(GpuFamily::Common1));
    /// // Encoders can be timed everywhere, single dispatches not on Apple's GPUs.
    /// assert!(gpu.supports_counter_sampling(CounterSamplingPoint::AtStageBoundary));
    /// assert!(gpu.supports_sample_count(4) && !gpu.supports_sample_count(3));
    /// let format = if gpu.supports_bc_formats() { "BC7" } else { "ASTC" };
    /// assert!(gpu.max_buffer_length() >= 256 << 20);
    /// assert!(gpu.max_threads_per_threadgroup().width >= 256);
    /// assert!(gpu.max_threadgroup_memory_length() >= 16 << 10);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// The objects that it creates:
    ///
    /// ```
    /// use aruminium::{CompileOptions, Gpu, HeapDescriptor, PixelFormat, ResidencySetDescriptor};
    /// use aruminium::{SamplerDescriptor, TextureDescriptor};
    /// let gpu = Gpu::open()?;
    /// let source = "kernel void one(device int *x) { x[0] = 1; }";
    /// let library = gpu.compile_with(source, Some(&CompileOptions::new()))?;
    /// let pipeline = gpu.pipeline(&library.function("one")?)?;
    /// let queue = gpu.new_command_queue()?;
    /// let long_queue = gpu.new_command_queue_with_capacity(256)?;
    /// let texture = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R32Float, 64, 64))?;
    /// let sampler = gpu.sampler(&SamplerDescriptor::new())?;
    /// let (fence, event, shared_event) = (gpu.fence()?, gpu.event()?, gpu.shared_event()?);
    /// let descriptor = HeapDescriptor::new();
    /// descriptor.set_size(1 << 20);
    /// let heap = gpu.heap(&descriptor)?;
    /// // Before macOS 15 there are no residency sets, and this is an error.
    /// let set = gpu.residency_set(&ResidencySetDescriptor::new());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Gpu: MTLDevice;

    /// The device's name, such as "Apple M1 Pro".
    pub fn name() -> String = [name];
    /// Whether CPU and GPU share one memory.
    pub fn has_unified_memory() -> bool = [hasUnifiedMemory];
    /// Whether it is the low-power GPU of a system with several.
    pub fn is_low_power() -> bool = [isLowPower];
    /// Whether no display is connected to it.
    pub fn is_headless() -> bool = [isHeadless];
    /// Whether it is an external GPU that can be removed.
    pub fn is_removable() -> bool = [isRemovable];
    /// The device's ID in the system's registry.
    pub fn registry_id() -> u64 = [registryID];
    /// The largest size of a buffer, in bytes.
    pub fn max_buffer_length() -> usize = [maxBufferLength];
    /// The largest size of a threadgroup along each axis.
    pub fn max_threads_per_threadgroup() -> MTLSize = [maxThreadsPerThreadgroup];
    /// The most threadgroup memory that a kernel can have, in bytes.
    pub fn max_threadgroup_memory_length() -> usize = [maxThreadgroupMemoryLength];
    /// The memory that can be in use before performance suffers, in bytes.
    pub fn recommended_max_working_set_size() -> u64 = [recommendedMaxWorkingSetSize];
    /// The memory that the device's resources take now, in bytes.
    pub fn current_allocated_size() -> usize = [currentAllocatedSize];
    /// Whether the device has all features of a family.
    pub fn supports_family(family: GpuFamily) -> bool = [supportsFamily:];
    /// Whether the GPU can read its counters at a boundary.
    pub fn supports_counter_sampling(point: CounterSamplingPoint) -> bool = [supportsCounterSampling:];
    /// Whether pixels can have this many samples ([`TextureDescriptor::set_sample_count`](crate::TextureDescriptor::set_sample_count)).
    pub fn supports_sample_count(count: usize) -> bool = [supportsTextureSampleCount:];
    /// Whether textures can have the compressed formats BC1 to BC7.
    pub fn supports_bc_formats() -> bool = [supportsBCTextureCompression];
    /// Make a command queue.
    ///
    /// # Errors
    ///
    /// [`GpuError::QueueCreationFailed`] if Metal returns no queue.
    pub fn new_command_queue() -> Result<Queue, GpuError> = [newCommandQueue] else GpuError::QueueCreationFailed;
    /// Make a command queue for at most `count` command buffers that have not completed; the default is 64.
    ///
    /// # Errors
    ///
    /// [`GpuError::QueueCreationFailed`] if Metal returns no queue.
    pub fn new_command_queue_with_capacity(count: usize) -> Result<Queue, GpuError>
        = [newCommandQueueWithMaxCommandBufferCount:] else GpuError::QueueCreationFailed;
    /// Compile MSL source text.
    ///
    /// # Errors
    ///
    /// [`GpuError::LibraryCompilationFailed`] with the compiler's diagnostics.
    pub fn compile_with(source: &str, options: Option<&CompileOptions>) -> Result<ShaderLib, GpuError>
        = [newLibraryWithSource:options:error:] or GpuError::LibraryCompilationFailed;
    fn library_from_url(url: &NSURL) -> Result<ShaderLib, GpuError>
        = [newLibraryWithURL:error:] or GpuError::LibraryCompilationFailed;
    fn library_from_dispatch_data(data: &Object) -> Result<ShaderLib, GpuError>
        = [newLibraryWithData:error:] or GpuError::LibraryCompilationFailed;
    /// Make a compute pipeline from a kernel.
    ///
    /// # Errors
    ///
    /// [`GpuError::PipelineCreationFailed`] with the reason.
    pub fn pipeline(function: &Shader) -> Result<Pipeline, GpuError>
        = [newComputePipelineStateWithFunction:error:] or GpuError::PipelineCreationFailed;
    /// Make a sampler.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] if Metal returns no sampler.
    pub fn sampler(descriptor: &SamplerDescriptor) -> Result<Sampler, GpuError>
        = [newSamplerStateWithDescriptor:] or GpuError::ObjectCreationFailed;
    /// Make a fence: it orders the encoders of one queue.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] if Metal returns no fence.
    pub fn fence() -> Result<Fence, GpuError> = [newFence] or GpuError::ObjectCreationFailed;
    /// Make an event: it orders the command buffers of one device.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] if Metal returns no event.
    pub fn event() -> Result<Event, GpuError> = [newEvent] or GpuError::ObjectCreationFailed;
    /// Make a shared event: it orders command buffers and the CPU.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] if Metal returns no event.
    pub fn shared_event() -> Result<SharedEvent, GpuError> = [newSharedEvent] or GpuError::ObjectCreationFailed;
    /// Make a set of allocations to keep resident; systems before macOS 15 have no residency sets.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] with the reason.
    pub fn residency_set(descriptor: &ResidencySetDescriptor) -> Result<ResidencySet, GpuError>
        = [newResidencySetWithDescriptor:error:] or GpuError::ObjectCreationFailed;

    unsafe fn pipeline_described(descriptor: &PipelineDescriptor, options: usize, reflection: *mut Id)
        -> Result<Pipeline, GpuError>
        = [newComputePipelineStateWithDescriptor:options:reflection:error:] or GpuError::PipelineCreationFailed;
    pub(super) fn new_queue4() -> Result<Queue4, GpuError>
        = [newMTL4CommandQueue] else GpuError::QueueCreationFailed;
    pub(super) fn new_allocator() -> Result<CommandAllocator, GpuError>
        = [newCommandAllocator] or GpuError::ObjectCreationFailed;
    pub(super) fn new_commands4() -> Result<Commands4, GpuError>
        = [newCommandBuffer] or GpuError::ObjectCreationFailed;
    pub(super) fn new_argument_table(descriptor: &ArgumentTableDescriptor) -> Result<ArgumentTable, GpuError>
        = [newArgumentTableWithDescriptor:error:] or GpuError::ObjectCreationFailed;
    pub(super) fn new_tensor(descriptor: &TensorDescriptor) -> Result<Tensor, GpuError>
        = [newTensorWithDescriptor:error:] or GpuError::ObjectCreationFailed;
    pub(super) fn archive_of(descriptor: &BinaryArchiveDescriptor) -> Result<BinaryArchive, GpuError>
        = [newBinaryArchiveWithDescriptor:error:] or GpuError::ArchiveFailed;
    fn indirect_commands_with(descriptor: &IndirectCommandsDescriptor, count: usize, options: ResourceOptions)
        -> Option<IndirectCommands> = [newIndirectCommandBufferWithDescriptor:maxCommandCount:options:];
    fn architecture_object() -> Object = [architecture];
    fn new_texture(descriptor: &TextureDescriptor) -> Option<Texture> = [newTextureWithDescriptor:];
    fn new_heap(descriptor: &HeapDescriptor) -> Option<Heap> = [newHeapWithDescriptor:];
    fn buffer_of_length(length: usize, options: ResourceOptions) -> Option<Buffer> = [newBufferWithLength:options:];
    fn buffer_of_bytes(bytes: &[u8], options: ResourceOptions) -> Option<Buffer> = [newBufferWithBytes:length:options:];
    unsafe fn buffer_no_copy(start: *const c_void, length: usize, options: ResourceOptions, deallocator: BlockPtr)
        -> Option<Buffer> = [newBufferWithBytesNoCopy:length:options:deallocator:];
    unsafe fn texture_of(descriptor: Id) -> Result<Texture, GpuError>
        = [newTextureWithDescriptor:] or GpuError::TextureCreationFailed;
}

// SAFETY: Apple documents devices as safe to use from any thread.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

/// The block that a buffer calls with its start and length when its memory is no longer needed.
///
/// ```
/// use aruminium::Deallocator;
/// let deallocator = Deallocator::new(|start: *mut std::ffi::c_void, bytes: usize| {
///     println!("{bytes} bytes at {start:p} are free again");
/// });
/// ```
pub type Deallocator = Block<(*mut c_void, usize)>;

/// Returns an error unless an object responds to a message of Metal 4.
pub(super) fn has_metal4<T: ObjcClass>(object: &T, selector: Sel) -> Result<(), GpuError> {
    // SAFETY: a wrapped object is alive and has a class.
    let responds = unsafe {
        link::class_respondsToSelector(link::object_getClass(object.as_raw()), selector).get()
    };
    let missing = || GpuError::Unsupported("this system has no Metal 4: it needs macOS 26".into());
    responds.then_some(()).ok_or_else(missing)
}

impl Gpu {
    /// The default GPU of the system, or the first one if there is no default.
    ///
    /// # Errors
    ///
    /// [`GpuError::DeviceNotFound`] if the system has no GPU.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn open() -> Result<Self, GpuError> {
        // SAFETY: the function returns nil or a device that the caller owns.
        match unsafe { Self::from_raw(link::MTLCreateSystemDefaultDevice()) } {
            Some(gpu) => Ok(gpu),
            None => Self::all()?.into_iter().next().ok_or(GpuError::DeviceNotFound),
        }
    }

    /// Every GPU of the system.
    ///
    /// # Errors
    ///
    /// [`GpuError::DeviceNotFound`] if the system has no Metal at all.
    ///
    /// ```
    /// for gpu in aruminium::Gpu::all()? {
    ///     println!("{}", gpu.name());
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn all() -> Result<Vec<Self>, GpuError> {
        Self::every().ok_or(GpuError::DeviceNotFound)
    }

    #[cfg(any(target_os = "macos", not(target_vendor = "apple")))]
    fn every() -> Option<Vec<Self>> {
        // SAFETY: the function returns nil or an array that the caller owns, of devices.
        unsafe {
            let all = super::foundation::NSArray::from_raw(link::MTLCopyAllDevices())?;
            Some((0..all.len()).filter_map(|index| all.get(index)).collect())
        }
    }

    /// Apple's other systems have one GPU, and the function in their newest versions only.
    #[cfg(all(target_vendor = "apple", not(target_os = "macos")))]
    fn every() -> Option<Vec<Self>> {
        // SAFETY: the function returns nil or a device that the caller owns.
        unsafe { Some(vec![Self::from_raw(link::MTLCreateSystemDefaultDevice())?]) }
    }

    /// The name of the GPU's architecture.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// assert!(!gpu.architecture().is_empty());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn architecture(&self) -> String {
        let architecture = self.architecture_object();
        // SAFETY: `MTLArchitecture` has a name, a string.
        unsafe { crate::msg!(architecture, [name] -> String) }
    }

    /// Make a shared buffer of `bytes` bytes: CPU and GPU access the same memory.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] for zero bytes, or more than the device has.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let buffer = gpu.buffer(1024 * size_of::<f32>())?;
    /// buffer.write_f32(|data| data.fill(1.0));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn buffer(&self, bytes: usize) -> Result<Buffer, GpuError> {
        self.buffer_with_options(bytes, ResourceOptions::STORAGE_SHARED)
    }

    /// Make a private buffer of `bytes` bytes: only the GPU can access it.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] for zero bytes, or more than the device has.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let buffer = gpu.buffer_private(1 << 20)?;
    /// assert!(!buffer.is_shared());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn buffer_private(&self, bytes: usize) -> Result<Buffer, GpuError> {
        self.buffer_with_options(bytes, ResourceOptions::STORAGE_PRIVATE)
    }

    /// Make a buffer of `bytes` bytes with a storage, cache and tracking mode.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] for zero bytes, or more than the device has.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::ResourceOptions;
    /// let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
    /// let buffer = gpu.buffer_with_options(4096, options)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn buffer_with_options(
        &self,
        bytes: usize,
        options: ResourceOptions,
    ) -> Result<Buffer, GpuError> {
        self.buffer_of_length(bytes, options).ok_or_else(|| self.no_buffer(bytes))
    }

    /// Make a shared buffer with a copy of the data in it.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] for zero bytes, or more than the device has.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let buffer = gpu.buffer_with_data(b"weights")?;
    /// assert_eq!(buffer.size(), 7);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn buffer_with_data(&self, data: &[u8]) -> Result<Buffer, GpuError> {
        self.buffer_of_bytes(data, ResourceOptions::STORAGE_SHARED)
            .ok_or_else(|| self.no_buffer(data.len()))
    }

    /// Make a shared buffer over existing memory, without a copy.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] if the memory is not whole pages, or longer than the device allows.
    ///
    /// # Safety
    ///
    /// `start` is the start of a page, `bytes` a whole number of pages, and the memory is valid, and
    /// not used by anything else while the GPU uses it, until the buffer is freed and all work with it is done.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::objc::link::getpagesize;
    /// use std::alloc::{Layout, alloc_zeroed, dealloc};
    /// let page = getpagesize() as usize;
    /// let layout = Layout::from_size_align(page, page).expect("a page");
    /// // SAFETY: the page is valid until the buffer is freed.
    /// unsafe {
    ///     let start = alloc_zeroed(layout);
    ///     let buffer = gpu.buffer_wrap(start.cast(), page)?;
    ///     buffer.write(|bytes| bytes[0] = 7);
    ///     assert_eq!(*start, 7);
    ///     drop(buffer);
    ///     dealloc(start, layout);
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub unsafe fn buffer_wrap(&self, start: *mut c_void, bytes: usize) -> Result<Buffer, GpuError> {
        // SAFETY: passed on to the caller.
        unsafe { self.wrap_pages(start, bytes, BlockPtr::NIL) }
    }

    /// Make a shared buffer over existing memory; the block is called when the memory is no longer needed.
    ///
    /// # Errors
    ///
    /// As for [`buffer_wrap`](Self::buffer_wrap).
    ///
    /// # Safety
    ///
    /// As for [`buffer_wrap`](Self::buffer_wrap), until the block is called.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{Deallocator, objc::link::getpagesize};
    /// use std::alloc::{Layout, alloc_zeroed, dealloc};
    /// let page = getpagesize() as usize;
    /// let layout = Layout::from_size_align(page, page).expect("a page");
    /// // SAFETY: the page is valid until the block is called.
    /// let buffer = unsafe {
    ///     let free = Deallocator::new(move |start: *mut std::ffi::c_void, _: usize| dealloc(start.cast(), layout));
    ///     gpu.buffer_wrap_with(alloc_zeroed(layout).cast(), page, &free)?
    /// };
    /// assert_eq!(buffer.size(), page);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub unsafe fn buffer_wrap_with(
        &self,
        start: *mut c_void,
        bytes: usize,
        deallocator: &Deallocator,
    ) -> Result<Buffer, GpuError> {
        // SAFETY: passed on to the caller.
        unsafe { self.wrap_pages(start, bytes, deallocator.as_ptr()) }
    }

    unsafe fn wrap_pages(
        &self,
        start: *mut c_void,
        bytes: usize,
        deallocator: BlockPtr,
    ) -> Result<Buffer, GpuError> {
        let page = usize::try_from(link::getpagesize()).unwrap_or(4096);
        if start.is_null()
            || bytes == 0
            || !start.addr().is_multiple_of(page)
            || !bytes.is_multiple_of(page)
        {
            return Err(GpuError::BufferCreationFailed(format!(
                "{bytes} bytes at {start:p} are not whole pages of {page} bytes"
            )));
        }
        // SAFETY: passed on to the caller.
        unsafe { self.buffer_no_copy(start, bytes, ResourceOptions::STORAGE_SHARED, deallocator) }
            .ok_or_else(|| self.no_buffer(bytes))
    }

    /// Make room for commands that are encoded once and executed many times: at most 16,384.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] with what was requested.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{IndirectCommandTypes, IndirectCommandsDescriptor};
    /// let descriptor = IndirectCommandsDescriptor::new();
    /// descriptor.set_command_types(IndirectCommandTypes::DISPATCH_THREADS);
    /// assert_eq!(gpu.indirect_commands(&descriptor, 100)?.size(), 100);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn indirect_commands(
        &self,
        descriptor: &IndirectCommandsDescriptor,
        count: usize,
    ) -> Result<IndirectCommands, GpuError> {
        let made = self.indirect_commands_with(descriptor, count, ResourceOptions::STORAGE_SHARED);
        made.ok_or_else(|| {
            GpuError::ObjectCreationFailed(format!(
                "{count} indirect commands: there may be 1 to 16384, of kinds of compute, with at most 31 buffers"
            ))
        })
    }

    /// Make a texture.
    ///
    /// # Errors
    ///
    /// [`GpuError::TextureCreationFailed`] with what was requested.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{PixelFormat, TextureDescriptor};
    /// let texture = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 4))?;
    /// assert_eq!(texture.width(), 4);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn texture_with(&self, descriptor: &TextureDescriptor) -> Result<Texture, GpuError> {
        self.new_texture(descriptor).ok_or_else(|| descriptor.cannot_be())
    }

    /// Make a heap, to allocate resources from.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] with what was requested.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let descriptor = aruminium::HeapDescriptor::new();
    /// assert!(gpu.heap(&descriptor).is_err(), "it has no size");
    /// descriptor.set_size(1 << 16);
    /// assert!(gpu.heap(&descriptor)?.size() >= 1 << 16);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn heap(&self, descriptor: &HeapDescriptor) -> Result<Heap, GpuError> {
        self.new_heap(descriptor).ok_or_else(|| {
            GpuError::ObjectCreationFailed(format!("a heap of {} bytes", descriptor.size()))
        })
    }

    #[cold]
    fn no_buffer(&self, bytes: usize) -> GpuError {
        GpuError::BufferCreationFailed(match bytes {
            0 => "a buffer has at least one byte".into(),
            _ => format!(
                "{bytes} bytes; the device allows up to {} in a buffer",
                self.max_buffer_length()
            ),
        })
    }

    /// Compile MSL source text with the default options.
    ///
    /// # Errors
    ///
    /// [`GpuError::LibraryCompilationFailed`] with the compiler's diagnostics.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let library = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?;
    /// let error = gpu.compile("kernel void one(device int *x) { y[0] = 1; }").unwrap_err();
    /// assert!(error.to_string().contains("use of undeclared identifier 'y'"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn compile(&self, source: &str) -> Result<ShaderLib, GpuError> {
        self.compile_with(source, None)
    }

    /// Make a compute pipeline from a descriptor, which may set a label and limits.
    ///
    /// # Errors
    ///
    /// [`GpuError::PipelineCreationFailed`] with the reason.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// let descriptor = aruminium::PipelineDescriptor::new(&function);
    /// descriptor.set_label("ones");
    /// assert_eq!(gpu.pipeline_with(&descriptor)?.label().as_deref(), Some("ones"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn pipeline_with(&self, descriptor: &PipelineDescriptor) -> Result<Pipeline, GpuError> {
        const NO_OPTIONS: usize = 0;
        // SAFETY: without the option for it no reflection is returned.
        unsafe { self.pipeline_described(descriptor, NO_OPTIONS, std::ptr::null_mut()) }
    }

    /// Load a library from a file: one that Apple's tools compiled, on a Mac; source text, on soft Metal.
    ///
    /// # Errors
    ///
    /// [`GpuError::Io`] if the file cannot be read, [`GpuError::LibraryCompilationFailed`] if it is not a library.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::GpuError;
    /// assert!(matches!(gpu.library_from_file("/nowhere/kernels.metallib"), Err(GpuError::Io(_))));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn library_from_file(&self, path: impl AsRef<Path>) -> Result<ShaderLib, GpuError> {
        // A missing file is an I/O error on every system.
        std::fs::File::open(path.as_ref())?;
        let Some(path) = path.as_ref().to_str() else {
            let why = "a URL's path is text";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why).into());
        };
        self.library_from_url(&NSURL::file(path))
    }

    /// Load a library from bytes, as [`library_from_file`](Self::library_from_file) does from a file.
    ///
    /// # Errors
    ///
    /// [`GpuError::LibraryCompilationFailed`] if the bytes are not a library.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::GpuError;
    /// let library = gpu.library_from_data(b"no library");
    /// assert!(matches!(library, Err(GpuError::LibraryCompilationFailed(_))));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn library_from_data(&self, data: &[u8]) -> Result<ShaderLib, GpuError> {
        // SAFETY: without a destructor the bytes are copied, into an object that the caller owns.
        let data = unsafe {
            let bytes = data.as_ptr().cast();
            Object::owned(link::dispatch_data_create(bytes, data.len(), Id::NIL, std::ptr::null()))
        };
        self.library_from_dispatch_data(&data)
    }

    /// Make a texture from a descriptor that another library created.
    ///
    /// # Errors
    ///
    /// [`GpuError::TextureCreationFailed`] if Metal returns no texture.
    ///
    /// # Safety
    ///
    /// `descriptor` is a live `MTLTextureDescriptor`.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{PixelFormat, TextureDescriptor};
    /// let descriptor = TextureDescriptor::new_1d(PixelFormat::R8Unorm, 256);
    /// // SAFETY: the pointer is to a live descriptor.
    /// let texture = unsafe { gpu.texture(descriptor.as_raw())? };
    /// assert_eq!(texture.width(), 256);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub unsafe fn texture(&self, descriptor: Id) -> Result<Texture, GpuError> {
        // SAFETY: passed on to the caller.
        unsafe { self.texture_of(descriptor) }
    }
}
