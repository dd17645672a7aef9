//! Indirect command buffers: commands that are encoded once, by the CPU or by a kernel, and executed many times.

use super::buffer::Buffer;
use super::encoder::Size;
use super::enums::IndirectCommandTypes;
use super::pipeline::Pipeline;
use crate::abi::{MTLResourceID, NSRange};
use crate::metal_class;

metal_class! {
    /// The kinds of commands that an indirect command buffer may have.
    ///
    /// ```
    /// use aruminium::{Gpu, IndirectCommandTypes, IndirectCommandsDescriptor};
    /// let descriptor = IndirectCommandsDescriptor::new();
    /// descriptor.set_command_types(IndirectCommandTypes::DISPATCH_GROUPS | IndirectCommandTypes::DISPATCH_THREADS);
    /// descriptor.set_max_kernel_buffers(4);
    /// descriptor.set_max_kernel_threadgroup_memory(1);
    /// descriptor.set_inherits_pipeline(false);
    /// descriptor.set_inherits_buffers(false);
    /// let commands = Gpu::open()?.indirect_commands(&descriptor, 8)?;
    /// assert_eq!(commands.size(), 8);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class IndirectCommandsDescriptor: MTLIndirectCommandBufferDescriptor;

    /// No commands.
    pub fn new() -> IndirectCommandsDescriptor = class [new];
    /// Set the kinds of commands.
    pub fn set_command_types(types: IndirectCommandTypes) = [setCommandTypes:];
    /// Set whether commands use the pipeline of the encoder that executes them.
    pub fn set_inherits_pipeline(inherits: bool) = [setInheritPipelineState:];
    /// Set whether commands use the buffers of the encoder that executes them.
    pub fn set_inherits_buffers(inherits: bool) = [setInheritBuffers:];
    /// Set the most buffers that a command has, at most 31.
    pub fn set_max_kernel_buffers(count: usize) = [setMaxKernelBufferBindCount:];
    /// Set the most arguments in threadgroup memory that a command has.
    pub fn set_max_kernel_threadgroup_memory(count: usize) = [setMaxKernelThreadgroupMemoryBindCount:];
}

metal_class! {
    /// Commands in memory. They stay on one thread, as do their clones: two threads must not encode the same command.
    ///
    /// ```
    /// use aruminium::{Gpu, IndirectCommandTypes, IndirectCommandsDescriptor, PipelineDescriptor, ResourceUsage};
    /// let gpu = Gpu::open()?;
    /// let source = "kernel void add(device int *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] += 1; }";
    /// let descriptor = PipelineDescriptor::new(&gpu.compile(source)?.function("add")?);
    /// descriptor.set_supports_indirect_commands(true);
    /// let pipeline = gpu.pipeline_with(&descriptor)?;
    ///
    /// let descriptor = IndirectCommandsDescriptor::new();
    /// descriptor.set_command_types(IndirectCommandTypes::DISPATCH_THREADS);
    /// descriptor.set_inherits_pipeline(false);
    /// descriptor.set_inherits_buffers(false);
    /// descriptor.set_max_kernel_buffers(1);
    /// let indirect = gpu.indirect_commands(&descriptor, 2)?;
    /// indirect.set_label("additions");
    /// let buffer = gpu.buffer(16)?;
    /// for index in 0..2 {
    ///     let command = indirect.command(index).expect("there are two");
    ///     command.bind(&pipeline);
    ///     command.bind_buffer(&buffer, 0, 0);
    ///     // Wait for the commands before it.
    ///     command.barrier();
    ///     command.launch((4, 1, 1), (4, 1, 1));
    /// }
    ///
    /// let commands = gpu.new_command_queue()?.commands()?;
    /// let encoder = commands.encoder()?;
    /// encoder.use_resource(&buffer, ResourceUsage::WRITE);
    /// // SAFETY: the pipeline and the buffer live until the commands have completed.
    /// unsafe { encoder.execute(&indirect, (0..2).into()) };
    /// encoder.finish();
    /// commands.submit();
    /// commands.finish()?;
    /// assert_eq!(buffer.read_f32(|x| x[0].to_bits()), 2);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class IndirectCommands: MTLIndirectCommandBuffer, labelled;

    /// The number of commands.
    pub fn size() -> usize = [size];
    /// The command of an index, to be encoded; `None` past the end.
    pub fn command(index: usize) -> Option<IndirectCommand> = [indirectComputeCommandAtIndex:];
    /// Make commands do nothing.
    ///
    /// ```
    /// # use aruminium::{Gpu, IndirectCommandTypes, IndirectCommandsDescriptor};
    /// # let descriptor = IndirectCommandsDescriptor::new();
    /// # descriptor.set_command_types(IndirectCommandTypes::DISPATCH_THREADS);
    /// # let commands = Gpu::open()?.indirect_commands(&descriptor, 8)?;
    /// commands.reset((0..8).into());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn reset(range: NSRange) = [resetWithRange:];
    fn resource_id() -> MTLResourceID = [gpuResourceID];
}

impl IndirectCommands {
    /// The number that stands for the commands in an argument buffer: a `command_buffer` of the kernel's.
    ///
    /// ```
    /// # use aruminium::{Gpu, IndirectCommandTypes, IndirectCommandsDescriptor};
    /// # let descriptor = IndirectCommandsDescriptor::new();
    /// # descriptor.set_command_types(IndirectCommandTypes::DISPATCH_THREADS);
    /// # let commands = Gpu::open()?.indirect_commands(&descriptor, 8)?;
    /// assert_ne!(commands.gpu_id(), 0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn gpu_id(&self) -> u64 {
        self.resource_id()._impl
    }
}

metal_class! {
    /// A command of [`IndirectCommands`]. What it uses has to be declared by the encoder that executes it, and to live until
    /// that is done: the command keeps nothing alive.
    ///
    /// ```
    /// # use aruminium::{Gpu, IndirectCommandTypes, IndirectCommandsDescriptor, PipelineDescriptor};
    /// # let gpu = Gpu::open()?;
    /// # let function = gpu.compile("kernel void k(device int *x, threadgroup int *y) { x[0] = 1; }")?.function("k")?;
    /// # let pipeline_descriptor = PipelineDescriptor::new(&function);
    /// # pipeline_descriptor.set_supports_indirect_commands(true);
    /// # let pipeline = gpu.pipeline_with(&pipeline_descriptor)?;
    /// # let descriptor = IndirectCommandsDescriptor::new();
    /// # descriptor.set_command_types(IndirectCommandTypes::DISPATCH_GROUPS);
    /// # descriptor.set_max_kernel_buffers(1);
    /// # let commands = gpu.indirect_commands(&descriptor, 1)?;
    /// let command = commands.command(0).expect("there is one");
    /// command.bind(&pipeline);
    /// command.bind_buffer(&gpu.buffer(64)?, 16, 0);
    /// command.threadgroup_memory(1024, 0);
    /// command.barrier();
    /// command.clear_barrier();
    /// command.launch_groups((4, 1, 1), (32, 1, 1));
    /// // The last of several launches counts.
    /// command.launch((100, 1, 1), (32, 1, 1));
    /// command.reset();
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class IndirectCommand: MTLIndirectComputeCommand;

    /// Set the pipeline.
    pub fn bind(pipeline: &Pipeline) = [setComputePipelineState:];
    /// Set the buffer of an index, from an offset in bytes.
    pub fn bind_buffer(buffer: &Buffer, offset: usize, index: usize) = [setKernelBuffer:offset:atIndex:];
    /// Set the length of threadgroup memory for an argument, in bytes.
    pub fn threadgroup_memory(length: usize, index: usize) = [setThreadgroupMemoryLength:atIndex:];
    /// Wait until all commands before this one have completed.
    pub fn barrier() = [setBarrier];
    /// Do not wait for the commands before this one.
    pub fn clear_barrier() = [clearBarrier];
    /// Run a grid of threads.
    pub fn launch(grid: Size, group: Size) = [concurrentDispatchThreads:threadsPerThreadgroup:];
    /// Run a grid of whole threadgroups.
    pub fn launch_groups(groups: Size, threads: Size) = [concurrentDispatchThreadgroups:threadsPerThreadgroup:];
    /// Make the command do nothing.
    pub fn reset() = [reset];
}
