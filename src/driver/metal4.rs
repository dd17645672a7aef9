//! Metal 4: command buffers that are encoded before they have a queue, arguments in tables, and barriers by the program.
//!
//! Needs macOS 26; soft Metal has it. The objects have the numeral in their names, since the older ones go on to exist.

use super::buffer::Buffer;
use super::descriptor::defaults;
use super::device::{Gpu, has_metal4};
use super::encoder::Size;
use super::enums::Stages;
use super::error::{GpuError, KernelFault};
use super::foundation::NSError;
use super::function_table::FunctionTable;
use super::heap::ResidencySet;
use super::indirect::IndirectCommands;
use super::pipeline::Pipeline;
use super::sync::{EventObject, Fence};
use super::tensor::{Tensor, TensorExtents};
use super::texture::{Sampler, Texture};
use crate::abi::{Id, MTLResourceID, NSRange};
use crate::objc::{Block, ClassState, ObjcClass, Object};
use crate::{autorelease_pool, metal_class, selector};
use std::cell::Cell;
use std::sync::{Mutex, mpsc};

metal_class! {
    /// Commits command buffers, in order.
    ///
    /// ```
    /// use aruminium::{ArgumentTableDescriptor, Gpu, ResidencySetDescriptor};
    /// let gpu = Gpu::open()?;
    /// let source = "kernel void add(device float *x, constant float &a, uint i [[thread_position_in_grid]]) { x[i] += a; }";
    /// let pipeline = gpu.pipeline(&gpu.compile(source)?.function("add")?)?;
    /// let (x, a) = (gpu.buffer(64)?, gpu.buffer_with_data(&0.5f32.to_ne_bytes())?);
    ///
    /// // What kernels reach is in a residency set.
    /// let resident = gpu.residency_set(&ResidencySetDescriptor::new())?;
    /// resident.add(&x);
    /// resident.add(&a);
    /// resident.commit();
    /// let queue = gpu.queue4()?;
    /// queue.add_residency_set(&resident);
    ///
    /// // Arguments are addresses in a table.
    /// let descriptor = ArgumentTableDescriptor::new();
    /// descriptor.set_buffers(2);
    /// let table = gpu.argument_table(&descriptor)?;
    /// table.set_address(x.gpu_address(), 0);
    /// table.set_address(a.gpu_address(), 1);
    ///
    /// let (allocator, commands) = (gpu.command_allocator()?, gpu.commands4()?);
    /// for _ in 0..2 {
    ///     commands.begin(&allocator);
    ///     let encoder = commands.encoder()?;
    ///     encoder.bind(&pipeline);
    ///     encoder.bind_table(&table);
    ///     encoder.launch((16, 1, 1), (16, 1, 1));
    ///     encoder.finish();
    ///     commands.end();
    ///     // SAFETY: the buffers live until it is done, and the CPU does not use them meanwhile.
    ///     unsafe { queue.run(&[&commands])? };
    ///     // Its memory is free for the next one.
    ///     allocator.reset();
    /// }
    /// assert_eq!(x.read_f32(|x| x[15]), 1.0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// With events, and a closure that is called at the end:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let (allocator, commands) = (gpu.command_allocator()?, gpu.commands4()?);
    /// # let resident = gpu.residency_set(&aruminium::ResidencySetDescriptor::new())?;
    /// use std::time::Duration;
    /// let (queue, event) = (gpu.queue4()?, gpu.shared_event()?);
    /// assert_eq!(queue.label(), None);
    /// queue.add_residency_set(&resident);
    /// queue.remove_residency_set(&resident);
    /// queue.wait_for(&event, 1);
    /// let encode = || {
    ///     commands.begin(&allocator);
    ///     commands.end();
    /// };
    /// encode();
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// // SAFETY: the command buffers are empty.
    /// unsafe {
    ///     queue.commit_then(&[&commands], move |done| _ = sender.send(done));
    ///     encode();
    ///     queue.commit(&[&commands]);
    /// }
    /// queue.signal(&event, 2);
    /// event.set_signaled_value(1);
    /// assert!(event.wait(2, Duration::from_secs(60)));
    /// assert!(receiver.recv().unwrap()?.gpu_time() >= 0.0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Queue4: MTL4CommandQueue;

    /// The label, for tools and error messages.
    pub fn label() -> Option<String> = [label];
    /// Commit command buffers, in order. Errors are lost on Apple's Metal, and go to standard error on soft Metal:
    /// [`commit_then`](Self::commit_then) and [`run`](Self::run) return them.
    ///
    /// # Safety
    ///
    /// Metal 4 retains nothing and tracks nothing: all that the work uses (buffers, textures, tensors, pipelines, tables, residency
    /// sets, the command buffers and their allocators, and what kernels reach by an address) lives until it is done. The CPU does
    /// not use that memory meanwhile, and no allocator is reset.
    pub unsafe fn commit(commands: &[&Commands4]) = [commit:count:];
    unsafe fn commit_with(commands: &[&Commands4], options: &CommitOptions) = [commit:count:options:];
    unsafe fn signal_event(event: Id, value: u64) = [signalEvent:value:];
    unsafe fn wait_for_event(event: Id, value: u64) = [waitForEvent:value:];
    /// Keep a set of allocations resident for all command buffers of the queue.
    pub fn add_residency_set(set: &ResidencySet) = [addResidencySet:];
    /// Stop keeping a set of allocations resident for the queue.
    pub fn remove_residency_set(set: &ResidencySet) = [removeResidencySet:];
}

// SAFETY: Apple documents command queues as safe to use from any thread.
unsafe impl Send for Queue4 {}
// SAFETY: as above.
unsafe impl Sync for Queue4 {}

metal_class! {
    /// The handlers to be called when committed work is done.
    pub(crate) class CommitOptions: MTL4CommitOptions;

    fn new() -> CommitOptions = class [new];
    fn add_feedback(handler: &Block<(Id,)>) = [addFeedbackHandler:];
}

metal_class! {
    /// How committed work ended.
    pub(crate) class CommitFeedback: MTL4CommitFeedback;

    fn error_object() -> Option<NSError> = [error];
    fn start() -> f64 = [GPUStartTime];
    fn end() -> f64 = [GPUEndTime];
}

/// When the GPU did committed work.
///
/// ```
/// let times = aruminium::GpuTimes { start: 10.0, end: 10.5 };
/// assert_eq!(times.gpu_time(), 0.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuTimes {
    /// When the GPU started the work, in seconds since the system started.
    pub start: f64,
    /// When the GPU finished the work.
    pub end: f64,
}

impl GpuTimes {
    /// How long the GPU took, in seconds.
    pub fn gpu_time(self) -> f64 {
        self.end - self.start
    }
}

impl CommitFeedback {
    fn outcome(&self) -> Result<GpuTimes, GpuError> {
        autorelease_pool(|| match self.error_object() {
            None => Ok(GpuTimes { start: self.start(), end: self.end() }),
            Some(error) => Err(match KernelFault::of(&error) {
                Some(fault) => GpuError::KernelFault(Box::new(fault)),
                None => GpuError::CommandBufferError(error.description()),
            }),
        })
    }
}

impl Queue4 {
    /// Commit command buffers, and call a closure on one of Metal's threads when they are done or one has failed.
    ///
    /// # Safety
    ///
    /// As for [`commit`](Self::commit).
    pub unsafe fn commit_then(
        &self,
        commands: &[&Commands4],
        handler: impl FnOnce(Result<GpuTimes, GpuError>) + Send + 'static,
    ) {
        let handler = Mutex::new(Some(handler));
        let block = Block::new(move |feedback: Id| {
            // SAFETY: Metal passes a feedback that lives during the call.
            let feedback = unsafe { CommitFeedback::from_object(Object::borrowed(feedback)) };
            let handler = handler.lock().unwrap_or_else(|poison| poison.into_inner()).take();
            if let Some(handler) = handler {
                handler(feedback.outcome());
            }
        });
        let options = CommitOptions::new();
        options.add_feedback(&block);
        // SAFETY: the caller's.
        unsafe { self.commit_with(commands, &options) }
    }

    /// Commit command buffers, and wait until they are done.
    ///
    /// # Errors
    ///
    /// [`GpuError::KernelFault`] or [`GpuError::CommandBufferError`] with what went wrong.
    ///
    /// # Safety
    ///
    /// As for [`commit`](Self::commit).
    pub unsafe fn run(&self, commands: &[&Commands4]) -> Result<GpuTimes, GpuError> {
        let (sender, receiver) = mpsc::channel();
        // SAFETY: the caller's.
        unsafe { self.commit_then(commands, move |outcome| _ = sender.send(outcome)) };
        let lost = || GpuError::CommandBufferError("Metal did not call back".to_owned());
        receiver.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// Set an event to a value when the work committed before this is done.
    pub fn signal(&self, event: &impl EventObject, value: u64) {
        // SAFETY: the event is alive, and Metal retains it.
        unsafe { self.signal_event(event.event(), value) }
    }

    /// Start the work committed after this when an event has reached a value.
    pub fn wait_for(&self, event: &impl EventObject, value: u64) {
        // SAFETY: as above.
        unsafe { self.wait_for_event(event.event(), value) }
    }
}

metal_class! {
    /// The memory of command buffers while they are encoded and executed. It serves one command buffer that is being
    /// encoded at a time, and stays on one thread.
    ///
    /// ```
    /// let allocator = aruminium::Gpu::open()?.command_allocator()?;
    /// let used = allocator.allocated_size();
    /// allocator.reset();
    /// assert!(allocator.allocated_size() <= used);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class CommandAllocator: MTL4CommandAllocator;

    /// The bytes that it holds.
    pub fn allocated_size() -> u64 = [allocatedSize];
    /// Use the memory again. All work that was encoded with it must be done.
    pub fn reset() = [reset];
}

metal_class! {
    /// Work for the GPU that is begun, encoded, ended and committed, again and again. [`Queue4`] has an example.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let resident = gpu.residency_set(&aruminium::ResidencySetDescriptor::new())?;
    /// let (commands, allocator) = (gpu.commands4()?, gpu.command_allocator()?);
    /// commands.set_label("step");
    /// assert_eq!(commands.label().as_deref(), Some("step"));
    /// assert!(commands.encoder().is_err(), "it was not begun");
    /// commands.begin(&allocator);
    /// commands.use_residency_set(&resident);
    /// commands.push_debug_group("layer 0");
    /// commands.encoder()?.finish();
    /// commands.pop_debug_group();
    /// commands.end();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Commands4: MTL4CommandBuffer, labelled;

    /// Begin to encode.
    pub fn begin(allocator: &CommandAllocator) = [beginCommandBufferWithAllocator:];
    /// End encoding: it can be committed.
    pub fn end() = [endCommandBuffer];
    /// An encoder for compute work and copies.
    ///
    /// # Errors
    ///
    /// [`GpuError::EncoderCreationFailed`] if the command buffer was not begun, or another encoder has not ended.
    pub fn encoder() -> Result<Encoder4, GpuError>
        = [computeCommandEncoder] because no_encoder;
    /// Keep a set of allocations resident while the work runs.
    pub fn use_residency_set(set: &ResidencySet) = [useResidencySet:];
    /// Begin a group of commands, for tools.
    pub fn push_debug_group(name: &str) = [pushDebugGroup:];
    /// End the group that began last.
    pub fn pop_debug_group() = [popDebugGroup];
}

/// The error of a command buffer that returned no encoder.
///
/// # Safety
///
/// None: it does not use the object.
#[cold]
unsafe fn no_encoder(_: Id) -> GpuError {
    let why = "the command buffer was not begun, or another encoder of it has not ended";
    GpuError::EncoderCreationFailed(why.into())
}

metal_class! {
    /// Records compute work and copies into one command buffer. Nothing orders them but barriers and fences. It is ended on
    /// drop if it was not finished.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let source = "kernel void k(device uint *x, threadgroup uint *t, uint i [[thread_position_in_grid]]) { x[i] += 1; }";
    /// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("k")?)?;
    /// # let (allocator, commands, fence) = (gpu.command_allocator()?, gpu.commands4()?, gpu.fence()?);
    /// use aruminium::{ArgumentTableDescriptor, ResidencySetDescriptor, Stages};
    /// let (x, y, sizes) = (gpu.buffer(64)?, gpu.buffer(64)?, gpu.buffer(24)?);
    /// sizes.write_as(|sizes: &mut [u32]| sizes.copy_from_slice(&[4, 1, 1, 4, 1, 1]));
    /// let resident = gpu.residency_set(&ResidencySetDescriptor::new())?;
    /// [&x, &y, &sizes].map(|buffer| resident.add(buffer));
    /// resident.commit();
    /// let descriptor = ArgumentTableDescriptor::new();
    /// descriptor.set_buffers(1);
    /// let table = gpu.argument_table(&descriptor)?;
    /// table.set_address(x.gpu_address(), 0);
    ///
    /// commands.begin(&allocator);
    /// commands.use_residency_set(&resident);
    /// let encoder = commands.encoder()?;
    /// encoder.set_label("counting");
    /// assert_eq!(encoder.label().as_deref(), Some("counting"));
    /// encoder.wait_for_fence(&fence, Stages::DISPATCH);
    /// encoder.push_debug_group("first half");
    /// encoder.bind(&pipeline);
    /// encoder.bind_table(&table);
    /// encoder.threadgroup_memory(128, 0);
    /// encoder.launch_groups((4, 1, 1), (4, 1, 1));
    /// encoder.barrier(Stages::DISPATCH, Stages::DISPATCH);
    /// // SAFETY: the buffer has the sizes of a grid, and of a threadgroup.
    /// unsafe { encoder.launch_indirect_threads(sizes.gpu_address()) };
    /// encoder.barrier(Stages::DISPATCH, Stages::DISPATCH);
    /// // SAFETY: as above, of a grid of threadgroups.
    /// unsafe { encoder.launch_indirect(sizes.gpu_address(), (1, 1, 1)) };
    /// encoder.pop_debug_group();
    /// encoder.signpost("half way");
    /// encoder.barrier(Stages::DISPATCH, Stages::BLIT);
    /// encoder.copy(&x, 0, &y, 0, 32);
    /// encoder.fill(&y, (32..64).into(), 1);
    /// encoder.barrier_before_queue(Stages::ALL, Stages::ALL);
    /// encoder.update_fence(&fence, Stages::ALL);
    /// encoder.finish();
    /// let encoder = commands.encoder()?;
    /// encoder.barrier_after_queue(Stages::ALL, Stages::ALL);
    /// drop(encoder);
    /// commands.end();
    /// // SAFETY: the buffers live until it is done, and the CPU does not use them meanwhile.
    /// unsafe { gpu.queue4()?.run(&[&commands])? };
    /// let bits = |buffer: &aruminium::Buffer| buffer.read_f32(|x| [0, 7, 8].map(|i| x[i].to_bits()));
    /// assert_eq!((bits(&x), bits(&y)), ([3, 1, 1], [3, 1, 0x0101_0101]));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// Commands in memory, and parts of tensors:
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{IndirectCommandTypes, IndirectCommandsDescriptor, TensorDataType, TensorDescriptor};
    /// let descriptor = IndirectCommandsDescriptor::new();
    /// descriptor.set_command_types(IndirectCommandTypes::DISPATCH_THREADS);
    /// descriptor.set_inherits_pipeline(false);
    /// let indirect = gpu.indirect_commands(&descriptor, 4)?;
    /// let tensor = |sizes: &[usize]| gpu.tensor(&TensorDescriptor::new(TensorDataType::Float32, sizes));
    /// let (from, to) = (tensor(&[2, 2])?, tensor(&[4, 4])?);
    /// // SAFETY: no kernel uses it.
    /// unsafe { from.write(&[0, 0], &[2, 2], &[1f32, 2.0, 3.0, 4.0]) };
    ///
    /// let (allocator, commands) = (gpu.command_allocator()?, gpu.commands4()?);
    /// commands.begin(&allocator);
    /// let encoder = commands.encoder()?;
    /// encoder.copy_tensor(&from, &[0, 0], &to, &[2, 1], &[2, 2]);
    /// // SAFETY: the commands do nothing.
    /// unsafe { encoder.execute(&indirect, (0..4).into()) };
    /// encoder.finish();
    /// commands.end();
    /// // SAFETY: the tensors live until it is done, and the CPU does not use them meanwhile.
    /// unsafe { gpu.queue4()?.run(&[&commands])? };
    /// let mut row = [0f32; 4];
    /// // SAFETY: no kernel uses it.
    /// unsafe { to.read(&[0, 2], &[4, 1], &mut row) };
    /// assert_eq!(row, [0.0, 0.0, 3.0, 4.0]);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Encoder4: MTL4ComputeCommandEncoder, labelled, state Open;

    /// Bind the pipeline for the next launches.
    pub fn bind(pipeline: &Pipeline) = [setComputePipelineState:];
    /// Bind the table of arguments for the next launches. A launch takes what the table has when it is encoded.
    pub fn bind_table(table: &ArgumentTable) = [setArgumentTable:];
    /// Reserve threadgroup memory for an argument of the kernel, in bytes.
    pub fn threadgroup_memory(length: usize, index: usize) = [setThreadgroupMemoryLength:atIndex:];
    /// Run a grid of threads; threadgroups at its edges may be smaller.
    pub fn launch(grid: Size, group: Size) = [dispatchThreads:threadsPerThreadgroup:];
    /// Run a grid of whole threadgroups.
    pub fn launch_groups(groups: Size, threads: Size) = [dispatchThreadgroups:threadsPerThreadgroup:];
    /// Run a grid of threadgroups whose counts, three `u32`s, are at an address.
    ///
    /// # Safety
    ///
    /// The address is in a resource that is resident, and has three numbers when the launch runs.
    pub unsafe fn launch_indirect(address: u64, threads: Size)
        = [dispatchThreadgroupsWithIndirectBuffer:threadsPerThreadgroup:];
    /// Run a grid of threads; its sizes, and then those of a threadgroup, six `u32`s, are at an address.
    ///
    /// # Safety
    ///
    /// The address is in a resource that is resident, and has six numbers when the launch runs.
    pub unsafe fn launch_indirect_threads(address: u64) = [dispatchThreadsWithIndirectBuffer:];
    /// Execute commands that are in memory.
    ///
    /// # Safety
    ///
    /// As for [`Encoder::execute`](crate::Encoder::execute).
    pub unsafe fn execute(commands: &IndirectCommands, range: NSRange) = [executeCommandsInBuffer:withRange:];
    /// Copy bytes from buffer to buffer.
    pub fn copy(from: &Buffer, from_offset: usize, to: &Buffer, to_offset: usize, bytes: usize)
        = [copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:];
    /// Fill a range of a buffer with a byte.
    pub fn fill(buffer: &Buffer, range: NSRange, byte: u8) = [fillBuffer:range:value:];
    fn copy_part(
        from: &Tensor, from_origin: &TensorExtents, from_sizes: &TensorExtents,
        to: &Tensor, to_origin: &TensorExtents, to_sizes: &TensorExtents
    ) = [copyFromTensor:sourceOrigin:sourceDimensions:toTensor:destinationOrigin:destinationDimensions:];
    fn encoder_barrier(after: Stages, before: Stages, visibility: usize)
        = [barrierAfterEncoderStages:beforeEncoderStages:visibilityOptions:];
    fn queue_barrier(after: Stages, before: Stages, visibility: usize)
        = [barrierAfterQueueStages:beforeStages:visibilityOptions:];
    fn barrier_to_queue(after: Stages, before: Stages, visibility: usize)
        = [barrierAfterStages:beforeQueueStages:visibilityOptions:];
    /// Signal a fence when the stages of the work encoded before this are done.
    pub fn update_fence(fence: &Fence, stages: Stages) = [updateFence:afterEncoderStages:];
    /// Start the stages of the work encoded after this when a fence is signalled.
    pub fn wait_for_fence(fence: &Fence, stages: Stages) = [waitForFence:beforeEncoderStages:];
    /// Begin a group of commands, for tools.
    pub fn push_debug_group(name: &str) = [pushDebugGroup:];
    /// End the group that began last.
    pub fn pop_debug_group() = [popDebugGroup];
    /// Mark a point between commands, for tools.
    pub fn signpost(name: &str) = [insertDebugSignpost:];
    fn end_encoding() = [endEncoding];
}

/// Whether an encoder has not ended yet.
#[derive(Debug)]
struct Open(Cell<bool>);

impl ClassState for Open {
    fn attach(_: &Object) -> Self {
        Self(Cell::new(true))
    }

    fn detach(&mut self, object: &Object) {
        if self.0.replace(false) && !object.as_raw().is_nil() {
            // SAFETY: every encoder responds to this message, and it has not ended yet.
            unsafe { crate::msg!(object, [endEncoding]) }
        }
    }
}

/// `MTL4VisibilityOptionDevice`: what was written is seen by all of the GPU.
const VISIBLE_TO_DEVICE: usize = 1;

impl Encoder4 {
    /// End the encoder; after it the command buffer can create another one or be ended.
    pub fn finish(&self) {
        if self.state.0.replace(false) {
            self.end_encoding();
        }
    }

    /// A barrier: stages of the work encoded before this complete before stages of the work after it in this encoder.
    pub fn barrier(&self, after: Stages, before: Stages) {
        self.encoder_barrier(after, before, VISIBLE_TO_DEVICE);
    }

    /// A barrier: stages of all earlier work of the queue complete before stages of this encoder's work after this.
    pub fn barrier_after_queue(&self, after: Stages, before: Stages) {
        self.queue_barrier(after, before, VISIBLE_TO_DEVICE);
    }

    /// A barrier: stages of the work encoded before this complete before stages of all later work of the queue.
    pub fn barrier_before_queue(&self, after: Stages, before: Stages) {
        self.barrier_to_queue(after, before, VISIBLE_TO_DEVICE);
    }

    /// Copy a part of a tensor, of these sizes, to a part of another one.
    pub fn copy_tensor(
        &self,
        from: &Tensor,
        from_origin: &[usize],
        to: &Tensor,
        to_origin: &[usize],
        sizes: &[usize],
    ) {
        let [from_origin, to_origin, sizes] =
            [from_origin, to_origin, sizes].map(TensorExtents::of);
        self.copy_part(from, &from_origin, &sizes, to, &to_origin, &sizes);
    }
}

metal_class! {
    /// How many arguments an [`ArgumentTable`] has.
    ///
    /// ```
    /// let descriptor = aruminium::ArgumentTableDescriptor::new();
    /// descriptor.set_buffers(4);
    /// descriptor.set_textures(1);
    /// descriptor.set_samplers(1);
    /// descriptor.set_initializes(true);
    /// assert!(aruminium::Gpu::open()?.argument_table(&descriptor).is_ok());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class ArgumentTableDescriptor: MTL4ArgumentTableDescriptor;

    /// No arguments.
    pub fn new() -> ArgumentTableDescriptor = class [new];
    /// Set the number of buffers, at most 31.
    pub fn set_buffers(count: usize) = [setMaxBufferBindCount:];
    /// Set the number of textures, at most 128.
    pub fn set_textures(count: usize) = [setMaxTextureBindCount:];
    /// Set the number of samplers, at most 16.
    pub fn set_samplers(count: usize) = [setMaxSamplerStateBindCount:];
    /// Set whether a new table has no arguments, rather than any.
    pub fn set_initializes(initializes: bool) = [setInitializeBindings:];
}

defaults!(ArgumentTableDescriptor);

metal_class! {
    /// Arguments of kernels, by addresses and IDs. It keeps nothing alive. [`Queue4`] has an example.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::{ArgumentTableDescriptor, PixelFormat, SamplerDescriptor, TextureDescriptor};
    /// # let pipeline = gpu.pipeline(&gpu.compile("kernel void k(device int *x) { x[0] = 1; }")?.function("k")?)?;
    /// # let functions = pipeline.function_table(&aruminium::FunctionTableDescriptor::new())?;
    /// let descriptor = ArgumentTableDescriptor::new();
    /// descriptor.set_buffers(3);
    /// descriptor.set_textures(1);
    /// descriptor.set_samplers(1);
    /// let table = gpu.argument_table(&descriptor)?;
    /// let buffer = gpu.buffer(64)?;
    /// table.set_address(buffer.gpu_address() + 16, 0);
    /// # if let Ok(tensor) = gpu.tensor(&aruminium::TensorDescriptor::new(aruminium::TensorDataType::Int8, &[16])) {
    /// table.set_tensor(&tensor, 1);
    /// # }
    /// table.set_function_table(&functions, 2);
    /// let texture = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R32Float, 8, 8))?;
    /// table.set_texture(&texture, 0);
    /// let descriptor = SamplerDescriptor::new();
    /// descriptor.set_support_argument_buffers(true);
    /// table.set_sampler(&gpu.sampler(&descriptor)?, 0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class ArgumentTable: MTL4ArgumentTable;

    /// Set the address of a buffer argument: [`Buffer::gpu_address`] and an offset.
    pub fn set_address(address: u64, index: usize) = [setAddress:atIndex:];
    fn set_resource_id(id: MTLResourceID, index: usize) = [setResource:atBufferIndex:];
    fn set_texture_id(id: MTLResourceID, index: usize) = [setTexture:atIndex:];
    fn set_sampler_id(id: MTLResourceID, index: usize) = [setSamplerState:atIndex:];
}

impl ArgumentTable {
    /// Set a tensor, at the index of a buffer.
    pub fn set_tensor(&self, tensor: &Tensor, index: usize) {
        self.set_resource_id(MTLResourceID { _impl: tensor.gpu_id() }, index);
    }

    /// Set a table of functions, at the index of a buffer.
    pub fn set_function_table(&self, table: &FunctionTable, index: usize) {
        self.set_resource_id(MTLResourceID { _impl: table.gpu_id() }, index);
    }

    /// Set a texture.
    pub fn set_texture(&self, texture: &Texture, index: usize) {
        self.set_texture_id(MTLResourceID { _impl: texture.gpu_id() }, index);
    }

    /// Set a sampler. Its descriptor must have
    /// [`set_support_argument_buffers`](crate::SamplerDescriptor::set_support_argument_buffers).
    pub fn set_sampler(&self, sampler: &Sampler, index: usize) {
        self.set_sampler_id(MTLResourceID { _impl: sampler.gpu_id() }, index);
    }
}

impl Gpu {
    /// Make a queue of Metal 4. [`Queue4`] has an example.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] before macOS 26; [`GpuError::QueueCreationFailed`] if Metal returns no queue.
    pub fn queue4(&self) -> Result<Queue4, GpuError> {
        has_metal4(self, selector!(newMTL4CommandQueue))?;
        self.new_queue4()
    }

    /// Make an allocator for command buffers of Metal 4.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] before macOS 26; [`GpuError::ObjectCreationFailed`] if Metal returns none.
    pub fn command_allocator(&self) -> Result<CommandAllocator, GpuError> {
        has_metal4(self, selector!(newCommandAllocator))?;
        self.new_allocator()
    }

    /// Make a command buffer of Metal 4.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] before macOS 26; [`GpuError::ObjectCreationFailed`] if Metal returns none.
    pub fn commands4(&self) -> Result<Commands4, GpuError> {
        has_metal4(self, selector!(newCommandBuffer))?;
        self.new_commands4()
    }

    /// Make a table of arguments.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] before macOS 26; [`GpuError::ObjectCreationFailed`] with the reason.
    pub fn argument_table(
        &self,
        descriptor: &ArgumentTableDescriptor,
    ) -> Result<ArgumentTable, GpuError> {
        has_metal4(self, selector!(newArgumentTableWithDescriptor:error:))?;
        self.new_argument_table(descriptor)
    }
}
