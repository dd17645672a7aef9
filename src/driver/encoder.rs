//! Encoders, which record the commands of a command buffer.

use super::buffer::Buffer;
use super::enums::{BarrierScope, ResourceUsage};
use super::function_table::FunctionTable;
use super::heap::{Allocation, Heap};
use super::indirect::IndirectCommands;
use super::pipeline::Pipeline;
use super::sync::Fence;
use super::texture::{Sampler, Texture};
use crate::abi::{Id, MTLOrigin, MTLRegion, MTLSize, NSRange};
use crate::objc::tracking::{ArgumentSink, EncoderUses, MessageUse, Tracker};
use crate::objc::{ClassState, Object, link};
use crate::{metal_class, msg, selector};
use std::cell::Cell;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Three sizes, along x, y and z.
///
/// ```
/// let (grid, group): (aruminium::Size, aruminium::Size) = ((1920, 1080, 1), (16, 16, 1));
/// ```
pub type Size = (usize, usize, usize);

metal_class! {
    /// Records compute work into one command buffer. It is ended on drop if it was not finished.
    ///
    /// [`Batch`] has the same methods, called through the table [`EncoderImps`].
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let source = "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("add")?)?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let buffer = gpu.buffer(100 * 4)?;
    /// let encoder = commands.encoder()?;
    /// encoder.set_label("adding");
    /// assert_eq!(encoder.label().as_deref(), Some("adding"));
    /// encoder.push_debug_group("first half");
    /// encoder.bind(&pipeline);
    /// encoder.bind_buffer(&buffer, 0, 0);
    /// encoder.push(&0.5f32.to_ne_bytes(), 1);
    /// encoder.launch((100, 1, 1), (32, 1, 1));
    /// encoder.pop_debug_group();
    /// encoder.signpost("half way");
    /// // The second half once more, with the number of groups read from a buffer.
    /// encoder.bind_offset(50 * 4, 0);
    /// encoder.launch_groups((5, 1, 1), (10, 1, 1));
    /// let groups = gpu.buffer(12)?;
    /// groups.write_as(|sizes: &mut [u32]| sizes.copy_from_slice(&[1, 1, 1]));
    /// encoder.launch_indirect(&groups, 0, (10, 1, 1));
    /// encoder.finish();
    /// # commands.submit();
    /// # commands.finish()?;
    /// # assert_eq!(buffer.read_f32(|x| (x[0], x[50], x[99])), (0.5, 1.5, 1.0));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// Textures, threadgroup memory, and synchronisation:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let queue = gpu.new_command_queue()?;
    /// # let commands = queue.commands()?;
    /// use aruminium::{BarrierScope, DispatchType, HeapDescriptor, PixelFormat, SamplerDescriptor, TextureDescriptor};
    /// let texture = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R32Float, 8, 8))?;
    /// let sampler = gpu.sampler(&SamplerDescriptor::new())?;
    /// let descriptor = HeapDescriptor::new();
    /// descriptor.set_size(1 << 16);
    /// let (heap, fence) = (gpu.heap(&descriptor)?, gpu.fence()?);
    /// let encoder = commands.encoder_with(DispatchType::Concurrent)?;
    /// encoder.wait_for_fence(&fence);
    /// encoder.bind_texture(&texture, 0);
    /// encoder.bind_sampler(&sampler, 0);
    /// # let pipeline = gpu.pipeline(&gpu.compile("kernel void k(device int *x) { x[0] = 1; }")?.function("k")?)?;
    /// let table = pipeline.function_table(&aruminium::FunctionTableDescriptor::new())?;
    /// encoder.bind_function_table(&table, 5);
    /// encoder.threadgroup_memory(1024, 0);
    /// encoder.use_heap(&heap);
    /// encoder.use_resource(&texture, aruminium::ResourceUsage::READ);
    /// // Commands in memory that do nothing yet.
    /// let descriptor = aruminium::IndirectCommandsDescriptor::new();
    /// descriptor.set_command_types(aruminium::IndirectCommandTypes::DISPATCH_THREADS);
    /// descriptor.set_inherits_pipeline(false);
    /// let indirect = gpu.indirect_commands(&descriptor, 4)?;
    /// // SAFETY: the commands do nothing.
    /// unsafe {
    ///     encoder.execute(&indirect, (0..4).into());
    ///     encoder.execute_indirect(&indirect, &gpu.buffer(8)?, 0);
    /// }
    /// // The launches before the barrier complete before the launches after it.
    /// encoder.barrier(BarrierScope::BUFFERS);
    /// encoder.barrier_for(&[&texture]);
    /// encoder.update_fence(&fence);
    /// encoder.finish();
    /// # commands.submit();
    /// # commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Encoder: MTLComputeCommandEncoder, labelled, table, direct Batch<'a>, state Open;

    /// Bind the pipeline for the next launches.
    pub fn bind(pipeline: &Pipeline) = [setComputePipelineState:];
    /// Bind a buffer, from an offset in bytes, to an index.
    pub fn bind_buffer(buffer: &Buffer, offset: usize, index: usize) = [setBuffer:offset:atIndex:];
    /// Change the offset of the buffer that is bound to an index.
    pub fn bind_offset(offset: usize, index: usize) = [setBufferOffset:atIndex:];
    /// Copy a few bytes (at most 4096) to an index, instead of binding a buffer.
    pub fn push(bytes: &[u8], index: usize) = [setBytes:length:atIndex:];
    /// Bind a table of functions to the index of a buffer.
    pub fn bind_function_table(table: &FunctionTable, index: usize) = [setVisibleFunctionTable:atBufferIndex:];
    /// Bind a texture to an index.
    pub fn bind_texture(texture: &Texture, index: usize) = [setTexture:atIndex:];
    /// Bind a sampler to an index.
    pub fn bind_sampler(sampler: &Sampler, index: usize) = [setSamplerState:atIndex:];
    /// Reserve threadgroup memory for an argument of the kernel, in bytes.
    pub fn threadgroup_memory(length: usize, index: usize) = [setThreadgroupMemoryLength:atIndex:];
    /// Run a grid of threads; threadgroups at its edges may be smaller.
    pub fn launch(grid: Size, group: Size) = [dispatchThreads:threadsPerThreadgroup:];
    /// Run a grid of whole threadgroups.
    pub fn launch_groups(groups: Size, threads: Size) = [dispatchThreadgroups:threadsPerThreadgroup:];
    /// Run a grid of threadgroups whose counts, three `u32`s, are in a buffer.
    pub fn launch_indirect(buffer: &Buffer, offset: usize, threads: Size)
        = [dispatchThreadgroupsWithIndirectBuffer:indirectBufferOffset:threadsPerThreadgroup:];
    /// Execute commands that are in memory.
    ///
    /// # Safety
    ///
    /// The pipelines and buffers that the commands name live until the command buffer has completed: commands in memory keep
    /// nothing alive. Nothing encodes commands in the meantime.
    pub unsafe fn execute(commands: &IndirectCommands, range: NSRange) = [executeCommandsInBuffer:withRange:];
    /// Execute commands whose range, the first and the number as two `u32`s, is in a buffer.
    ///
    /// # Safety
    ///
    /// As for `execute`, and the range is inside the commands.
    pub unsafe fn execute_indirect(commands: &IndirectCommands, range: &Buffer, offset: usize)
        = [executeCommandsInBuffer:indirectBuffer:indirectBufferOffset:];
    /// A barrier: earlier launches finish their accesses to these kinds of memory before the next launch.
    pub fn barrier(scope: BarrierScope) = [memoryBarrierWithScope:];
    /// A barrier: earlier launches finish their accesses to these resources before the next launch.
    pub fn barrier_for(resources: &[&dyn Allocation]) = [memoryBarrierWithResources:count:];
    /// Signal a fence when the work encoded before this is done.
    pub fn update_fence(fence: &Fence) = [updateFence:];
    /// Start the work encoded after this when a fence is signalled.
    pub fn wait_for_fence(fence: &Fence) = [waitForFence:];
    /// Make a resource accessible to kernels that reach it through another one.
    pub fn use_resource(resource: &dyn Allocation, usage: ResourceUsage) = [useResource:usage:];
    /// Make a heap's resources accessible to kernels.
    pub fn use_heap(heap: &Heap) = [useHeap:];
    /// Begin a group of commands, for tools.
    pub fn push_debug_group(name: &str) = [pushDebugGroup:];
    /// End the group that began last.
    pub fn pop_debug_group() = [popDebugGroup];
    /// Mark a point between commands, for tools.
    pub fn signpost(name: &str) = [insertDebugSignpost:];
    fn end_encoding() = [endEncoding];
    unsafe fn set_buffers(buffers: *const Id, offsets: *const usize, range: NSRange) = [setBuffers:offsets:withRange:];
}

// SAFETY: an encoder may move to another thread; Apple forbids only two threads at a time.
unsafe impl Send for Encoder {}

/// Whether an encoder has not ended yet, and which memory its commands use.
#[derive(Debug)]
struct Open {
    open: Cell<bool>,
    uses: EncoderUses,
}

impl ClassState for Open {
    #[inline]
    fn attach(_: &Object) -> Self {
        Self { open: Cell::new(true), uses: EncoderUses::default() }
    }

    #[inline(always)]
    fn begin<'a>(&self, tracker: impl FnOnce() -> Option<&'a Arc<Tracker>>) {
        if let Some(tracker) = tracker() {
            self.uses.begin(tracker);
        }
    }

    #[inline(always)]
    fn sending(
        &self,
        _: &Object,
        message_use: MessageUse,
        arguments: impl FnOnce(&mut ArgumentSink<'_>),
    ) {
        if message_use == MessageUse::End {
            self.open.set(false);
        }
        self.uses.sending(message_use, arguments);
    }

    #[inline]
    fn detach(&mut self, object: &Object) {
        if self.open.replace(false) && !object.as_raw().is_nil() {
            // SAFETY: every encoder responds to this message, and it has not ended yet.
            unsafe { crate::msg!(object, [endEncoding]) }
        }
        self.uses.end();
    }
}

/// The arrays of pointers and offsets with which several buffers are bound.
fn arrays(buffers: &[(&Buffer, usize)], first: usize) -> (Vec<Id>, Vec<usize>, NSRange) {
    let (ids, offsets) = buffers.iter().map(|&(buffer, offset)| (buffer.as_raw(), offset)).unzip();
    (ids, offsets, NSRange { location: first, length: buffers.len() })
}

impl Encoder {
    /// Bind several buffers, with their offsets, to consecutive indices.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let (x, y) = (gpu.buffer(64)?, gpu.buffer(64)?);
    /// let encoder = commands.encoder()?;
    /// encoder.bind_buffers(&[(&x, 0), (&y, 32)], 0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn bind_buffers(&self, buffers: &[(&Buffer, usize)], first: usize) {
        for (index, (buffer, _)) in (first..).zip(buffers) {
            self.state.uses.bind(buffer.footprint(), index);
        }
        let (ids, offsets, range) = arrays(buffers, first);
        // SAFETY: both arrays are as long as the range.
        unsafe { self.set_buffers(ids.as_ptr(), offsets.as_ptr(), range) }
    }

    /// Bind part of a buffer, a range of bytes, to an index.
    ///
    /// On soft Metal an access of the kernel past the end of the range is a fault, as it is past the end of the buffer.
    /// Apple's Metal does not know the end of what is bound, so there it is the same as `bind_buffer`.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let source = "kernel void fill(device int *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("fill")?)?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let buffer = gpu.buffer(64)?;
    /// let encoder = commands.encoder()?;
    /// encoder.bind(&pipeline);
    /// encoder.bind_range(&buffer, 16..32, 0);
    /// encoder.launch((5, 1, 1), (5, 1, 1));
    /// encoder.finish();
    /// commands.submit();
    /// // The fifth thread writes to the bytes from 32 on.
    /// assert!(commands.finish().is_err() || cfg!(target_vendor = "apple"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn bind_range(&self, buffer: &Buffer, range: Range<usize>, index: usize) {
        self.state.uses.bind(buffer.footprint(), index);
        bind_range(self.as_raw(), buffer, range, index);
    }

    /// End the encoder; after it the command buffer can create another one or be submitted.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// let first = commands.encoder()?;
    /// assert!(commands.encoder().is_err(), "one at a time");
    /// first.finish();
    /// let second = commands.encoder()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub fn finish(&self) {
        if self.state.open.replace(false) {
            self.end_encoding();
        }
    }
}

impl Batch<'_> {
    /// Bind several buffers, with their offsets, to consecutive indices.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// let (x, y) = (gpu.buffer(64)?, gpu.buffer(64)?);
    /// // SAFETY: the buffers outlive the call, which waits.
    /// unsafe { dispatch.batch(|batch| batch.bind_buffers(&[(&x, 0), (&y, 32)], 0))? }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn bind_buffers(&self, buffers: &[(&Buffer, usize)], first: usize) {
        let (ids, offsets, range) = arrays(buffers, first);
        // SAFETY: both arrays are as long as the range.
        unsafe { self.set_buffers(ids.as_ptr(), offsets.as_ptr(), range) }
    }

    /// Bind part of a buffer, a range of bytes, to an index; see [`Encoder::bind_range`].
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// let buffer = gpu.buffer(64)?;
    /// // SAFETY: the buffer outlives the call, which waits.
    /// unsafe { dispatch.batch(|batch| batch.bind_range(&buffer, 16..32, 0))? }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn bind_range(&self, buffer: &Buffer, range: Range<usize>, index: usize) {
        bind_range(self.as_raw(), buffer, range, index);
    }
}

/// Binds part of a buffer by the message that only soft Metal has, or without its end.
fn bind_range(encoder: Id, buffer: &Buffer, range: Range<usize>, index: usize) {
    static HAS_ENDS: OnceLock<bool> = OnceLock::new();
    // SAFETY: the encoder is alive, or nil, whose class is nil; the message has these types.
    unsafe {
        let responds = || {
            let selector = selector!(aruminiumSetBuffer:offset:length:atIndex:);
            link::class_respondsToSelector(link::object_getClass(encoder), selector).get()
        };
        // All encoders of a process belong to one Metal. Nil belongs to none.
        let has_ends = match HAS_ENDS.get() {
            Some(has_ends) => *has_ends,
            None if encoder.is_nil() => return,
            None => *HAS_ENDS.get_or_init(responds),
        };
        if has_ends {
            let length = range.end.saturating_sub(range.start);
            msg!(encoder, [aruminiumSetBuffer: buffer, offset: range.start, length: length, atIndex: index]);
        } else {
            msg!(encoder, [setBuffer: buffer, offset: range.start, atIndex: index]);
        }
    }
}

impl Encoder {
    /// [`finish`](Self::finish), called through the table.
    #[inline]
    pub(super) fn finish_by(&self, batch: &Batch<'_>) {
        if self.state.open.replace(false) {
            batch.end_encoding();
        }
    }
}

metal_class! {
    /// Records copies into one command buffer. It is ended on drop if it was not finished.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let (from, to) = (gpu.buffer_with_data(b"metal")?, gpu.buffer(8)?);
    /// let copier = commands.copier()?;
    /// copier.set_label("metal!!!");
    /// assert_eq!(copier.label().as_deref(), Some("metal!!!"));
    /// copier.push_debug_group("letters");
    /// copier.copy(&from, 0, &to, 0, 5);
    /// copier.pop_debug_group();
    /// copier.fill(&to, (5..8).into(), b'!');
    /// copier.finish();
    /// commands.submit();
    /// commands.finish()?;
    /// assert_eq!(to.read(|bytes| bytes.to_vec()), b"metal!!!");
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// Textures, and synchronisation:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// use aruminium::{PixelFormat, TextureDescriptor};
    /// let descriptor = TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 4);
    /// descriptor.set_mip_levels(3);
    /// let (from, to) = (gpu.texture_with(&descriptor)?, gpu.texture_with(&descriptor)?);
    /// let fence = gpu.fence()?;
    /// let copier = commands.copier()?;
    /// copier.wait_for_fence(&fence);
    /// copier.generate_mipmaps(&from);
    /// copier.copy_texture(&from, &to);
    /// if to.storage_mode() == aruminium::StorageMode::Managed {
    ///     copier.synchronize(&to);
    /// }
    /// copier.update_fence(&fence);
    /// copier.finish();
    /// # commands.submit();
    /// # commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Copier: MTLBlitCommandEncoder, labelled, state Open;

    /// Copy bytes from buffer to buffer.
    pub fn copy(source: &Buffer, source_offset: usize, target: &Buffer, target_offset: usize, size: usize)
        = [copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:];
    /// Fill a range of bytes.
    pub fn fill(buffer: &Buffer, range: NSRange, value: u8) = [fillBuffer:range:value:];
    /// Copy a whole texture to another of the same size and format.
    pub fn copy_texture(source: &Texture, target: &Texture) = [copyFromTexture:toTexture:];
    /// Make what the GPU wrote to a managed resource visible to the CPU.
    pub fn synchronize(resource: &dyn Allocation) = [synchronizeResource:];
    /// Generate all other mip levels from the first.
    pub fn generate_mipmaps(texture: &Texture) = [generateMipmapsForTexture:];
    /// Signal a fence when the work encoded before this is done.
    pub fn update_fence(fence: &Fence) = [updateFence:];
    /// Start the work encoded after this when a fence is signalled.
    pub fn wait_for_fence(fence: &Fence) = [waitForFence:];
    /// Begin a group of commands, for tools.
    pub fn push_debug_group(name: &str) = [pushDebugGroup:];
    /// End the group that began last.
    pub fn pop_debug_group() = [popDebugGroup];
    fn end_encoding() = [endEncoding];
    #[allow(clippy::too_many_arguments)] // Metal's own signature.
    fn buffer_to_texture(
        source: &Buffer, offset: usize, bytes_per_row: usize, bytes_per_image: usize, size: MTLSize,
        target: &Texture, slice: usize, level: usize, origin: MTLOrigin
    ) = [copyFromBuffer:sourceOffset:sourceBytesPerRow:sourceBytesPerImage:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:];
    #[allow(clippy::too_many_arguments)] // Metal's own signature.
    fn texture_to_buffer(
        source: &Texture, slice: usize, level: usize, origin: MTLOrigin, size: MTLSize,
        target: &Buffer, offset: usize, bytes_per_row: usize, bytes_per_image: usize
    ) = [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:];
    #[allow(clippy::too_many_arguments)] // Metal's own signature.
    fn texture_to_texture(
        source: &Texture, slice: usize, level: usize, origin: MTLOrigin, size: MTLSize,
        target: &Texture, target_slice: usize, target_level: usize, target_origin: MTLOrigin
    ) = [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:];
}

// SAFETY: as for `Encoder`.
unsafe impl Send for Copier {}

/// An image of a texture: the slice of an array, and the mip level.
///
/// ```
/// let second_of_the_largest = aruminium::Subresource { slice: 1, level: 0 };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subresource {
    /// The index of the texture in an array, or of the face of a cube.
    pub slice: usize,
    /// The mip level.
    pub level: usize,
}

/// The layout of an image in a buffer.
///
/// ```
/// // 64 pixels of four bytes in a row.
/// let layout = aruminium::ImageLayout { bytes_per_row: 256, ..Default::default() };
/// assert_eq!((layout.offset, layout.bytes_per_image), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageLayout {
    /// The offset of the first pixel, in bytes.
    pub offset: usize,
    /// The distance from row to row, in bytes.
    pub bytes_per_row: usize,
    /// The distance from image to image of a 3D texture, in bytes; 0 for others.
    pub bytes_per_image: usize,
}

impl Copier {
    /// Copy pixels from a buffer to a region of a texture.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// use aruminium::{ImageLayout, MTLRegion, PixelFormat, Subresource, TextureDescriptor};
    /// let image = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 2))?;
    /// let region = MTLRegion { origin: (0, 0, 0).into(), size: (4, 2, 1).into() };
    /// let rows = gpu.buffer_with_data(&[1, 2, 3, 4, 5, 6, 7, 8])?;
    /// let layout = ImageLayout { bytes_per_row: 4, ..Default::default() };
    /// let copier = commands.copier()?;
    /// copier.copy_to_texture(&rows, layout, &image, Subresource::default(), region);
    /// copier.finish();
    /// # commands.submit();
    /// # commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn copy_to_texture(
        &self,
        source: &Buffer,
        layout: ImageLayout,
        target: &Texture,
        place: Subresource,
        region: MTLRegion,
    ) {
        let ImageLayout { offset, bytes_per_row, bytes_per_image } = layout;
        self.buffer_to_texture(
            source,
            offset,
            bytes_per_row,
            bytes_per_image,
            region.size,
            target,
            place.slice,
            place.level,
            region.origin,
        );
    }

    /// Copy pixels from a region of a texture to a buffer.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// use aruminium::{ImageLayout, MTLRegion, PixelFormat, Subresource, TextureDescriptor};
    /// let image = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 2))?;
    /// let region = MTLRegion { origin: (0, 0, 0).into(), size: (4, 2, 1).into() };
    /// let rows = gpu.buffer(8)?;
    /// let layout = ImageLayout { bytes_per_row: 4, ..Default::default() };
    /// let copier = commands.copier()?;
    /// copier.copy_from_texture(&image, Subresource::default(), region, &rows, layout);
    /// copier.finish();
    /// # commands.submit();
    /// # commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn copy_from_texture(
        &self,
        source: &Texture,
        place: Subresource,
        region: MTLRegion,
        target: &Buffer,
        layout: ImageLayout,
    ) {
        let ImageLayout { offset, bytes_per_row, bytes_per_image } = layout;
        self.texture_to_buffer(
            source,
            place.slice,
            place.level,
            region.origin,
            region.size,
            target,
            offset,
            bytes_per_row,
            bytes_per_image,
        );
    }

    /// Copy pixels from a region of a texture to an origin in another.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// use aruminium::{MTLRegion, PixelFormat, Subresource, TextureDescriptor};
    /// let image = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 4, 2))?;
    /// let region = MTLRegion { origin: (0, 0, 0).into(), size: (4, 2, 1).into() };
    /// let larger = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R8Unorm, 8, 8))?;
    /// let copier = commands.copier()?;
    /// let place = Subresource::default();
    /// copier.copy_region(&image, place, region, &larger, place, (4, 6, 0).into());
    /// copier.finish();
    /// # commands.submit();
    /// # commands.finish()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn copy_region(
        &self,
        source: &Texture,
        place: Subresource,
        region: MTLRegion,
        target: &Texture,
        target_place: Subresource,
        target_origin: MTLOrigin,
    ) {
        self.texture_to_texture(
            source,
            place.slice,
            place.level,
            region.origin,
            region.size,
            target,
            target_place.slice,
            target_place.level,
            target_origin,
        );
    }

    /// End the encoder; after it the command buffer can create another one or be submitted.
    ///
    /// ```
    /// # let commands = aruminium::Gpu::open()?.new_command_queue()?.commands()?;
    /// commands.copier()?.finish();
    /// commands.submit();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    #[inline]
    pub fn finish(&self) {
        if self.state.open.replace(false) {
            self.end_encoding();
        }
    }
}
