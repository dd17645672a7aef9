//! Argument buffers: pointers, textures and samplers that kernels find in memory.

use super::buffer::Buffer;
use super::function_table::FunctionTable;
use super::indirect::IndirectCommands;
use super::pipeline::Pipeline;
use super::texture::{Sampler, Texture};
use crate::metal_class;
use std::ffi::c_void;

metal_class! {
    /// Writes buffers, textures and samplers into a buffer, where a kernel finds them as members of a struct.
    ///
    /// ```
    /// use aruminium::{Gpu, ResourceUsage};
    /// let gpu = Gpu::open()?;
    /// let source = "struct Args { device float *out [[id(0)]]; float value [[id(1)]]; };
    ///     kernel void fill(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    ///         args.out[i] = args.value;
    ///     }";
    /// let function = gpu.compile(source)?.function("fill")?;
    /// let arguments = function.argument_encoder(0).expect("buffer 0 is an argument buffer");
    /// arguments.set_label("of fill");
    /// assert_eq!(arguments.label().as_deref(), Some("of fill"));
    /// assert!(arguments.length() >= 12 && arguments.alignment() >= 4);
    ///
    /// let (args, out) = (gpu.buffer(arguments.length())?, gpu.buffer(16)?);
    /// // SAFETY: no kernel uses the buffer yet; the member of index 1 is a float.
    /// unsafe {
    ///     arguments.set_target(&args, 0);
    ///     arguments.set_buffer(&out, 0, 0);
    ///     arguments.data(1).cast::<f32>().write(2.5);
    /// }
    ///
    /// let commands = gpu.new_command_queue()?.commands()?;
    /// let encoder = commands.encoder()?;
    /// encoder.bind(&gpu.pipeline(&function)?);
    /// encoder.bind_buffer(&args, 0, 0);
    /// // Resources that a kernel reaches through memory have to be declared.
    /// encoder.use_resource(&out, ResourceUsage::WRITE);
    /// encoder.launch((4, 1, 1), (4, 1, 1));
    /// encoder.finish();
    /// commands.submit();
    /// commands.finish()?;
    /// assert_eq!(out.read_f32(|out| out.to_vec()), [2.5; 4]);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// Arrays of structs, textures and samplers, and the encoder for a struct that a member points to:
    ///
    /// ```
    /// use aruminium::{Gpu, PixelFormat, SamplerDescriptor, TextureDescriptor};
    /// let gpu = Gpu::open()?;
    /// let source = "#include <metal_stdlib>
    ///     using namespace metal;
    ///     struct Inner { device float *out; };
    ///     struct Args { texture2d<float> image; sampler pick; constant Inner *inner; };
    ///     kernel void k(constant Args *args [[buffer(0)]]) {
    ///         args[1].inner->out[0] = args[1].image.sample(args[1].pick, float2(0.5)).x;
    ///     }";
    /// let arguments = gpu.compile(source)?.function("k")?.argument_encoder(0).unwrap();
    /// let (args, inner) = (gpu.buffer(2 * arguments.length())?, gpu.buffer(8)?);
    /// let texture = gpu.texture_with(&TextureDescriptor::new_2d(PixelFormat::R32Float, 8, 8))?;
    /// let descriptor = SamplerDescriptor::new();
    /// descriptor.set_support_argument_buffers(true);
    /// let sampler = gpu.sampler(&descriptor)?;
    /// assert!(texture.gpu_id() != 0 && sampler.gpu_id() != 0);
    /// // SAFETY: no kernel uses the buffer yet.
    /// unsafe { arguments.set_element(&args, 0, 1) };
    /// arguments.set_texture(&texture, 0);
    /// arguments.set_sampler(&sampler, 1);
    /// arguments.set_buffer(&inner, 0, 2);
    /// assert_eq!(arguments.nested(2).unwrap().length(), 8);
    ///
    /// // Tables of functions.
    /// let source = "#include <metal_stdlib>
    ///     struct Args { metal::visible_function_table<int(int)> table; };
    ///     kernel void k(constant Args &args [[buffer(0)]]) { args.table[0](1); }";
    /// let function = gpu.compile(source)?.function("k")?;
    /// let arguments = function.argument_encoder(0).unwrap();
    /// // SAFETY: as above.
    /// unsafe { arguments.set_target(&args, 0) };
    /// let table = gpu.pipeline(&function)?.function_table(&aruminium::FunctionTableDescriptor::new())?;
    /// arguments.set_function_table(&table, 0);
    ///
    /// // Commands that a kernel encodes.
    /// let source = "#include <metal_stdlib>
    ///     using namespace metal;
    ///     struct Args { command_buffer commands; compute_pipeline_state pipeline; };
    ///     kernel void k(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    ///         compute_command(args.commands, i).set_compute_pipeline_state(args.pipeline);
    ///     }";
    /// let function = gpu.compile(source)?.function("k")?;
    /// let arguments = function.argument_encoder(0).unwrap();
    /// // SAFETY: as above.
    /// unsafe { arguments.set_target(&args, 0) };
    /// let descriptor = aruminium::IndirectCommandsDescriptor::new();
    /// descriptor.set_command_types(aruminium::IndirectCommandTypes::DISPATCH_THREADS);
    /// arguments.set_indirect_commands(&gpu.indirect_commands(&descriptor, 4)?, 0);
    /// let descriptor = aruminium::PipelineDescriptor::new(&function);
    /// descriptor.set_supports_indirect_commands(true);
    /// arguments.set_pipeline(&gpu.pipeline_with(&descriptor)?, 1);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class ArgumentEncoder: MTLArgumentEncoder, labelled, state ();

    /// The bytes that the struct takes.
    pub fn length() -> usize = [encodedLength];
    /// The alignment of the struct's offset in a buffer.
    pub fn alignment() -> usize = [alignment];
    /// Write to the struct at an offset of a buffer from now on.
    ///
    /// # Safety
    ///
    /// While the encoder writes there, the buffer exists, and neither a kernel nor a view of the CPU uses it.
    pub unsafe fn set_target(buffer: &Buffer, offset: usize) = [setArgumentBuffer:offset:];
    /// Write to an element of an array of structs that begins at an offset of a buffer.
    ///
    /// # Safety
    ///
    /// As for [`set_target`](Self::set_target).
    pub unsafe fn set_element(buffer: &Buffer, start: usize, element: usize)
        = [setArgumentBuffer:startOffset:arrayElement:];
    /// Write a pointer to a buffer, from an offset in bytes, to the member of an index.
    pub fn set_buffer(buffer: &Buffer, offset: usize, index: usize) = [setBuffer:offset:atIndex:];
    /// Write a texture to the member of an index.
    pub fn set_texture(texture: &Texture, index: usize) = [setTexture:atIndex:];
    /// Write a sampler to the member of an index. Its descriptor must have
    /// [`set_support_argument_buffers`](crate::SamplerDescriptor::set_support_argument_buffers).
    pub fn set_sampler(sampler: &Sampler, index: usize) = [setSamplerState:atIndex:];
    /// Write a table of functions to the member of an index.
    pub fn set_function_table(table: &FunctionTable, index: usize) = [setVisibleFunctionTable:atIndex:];
    /// Write indirect commands, a `command_buffer` of the kernel's, to the member of an index.
    pub fn set_indirect_commands(commands: &IndirectCommands, index: usize) = [setIndirectCommandBuffer:atIndex:];
    /// Write a pipeline, which the kernel sets for indirect commands, to the member of an index.
    pub fn set_pipeline(pipeline: &Pipeline, index: usize) = [setComputePipelineState:atIndex:];
    /// The address of a member that is data.
    pub fn data(index: usize) -> *mut c_void = [constantDataAtIndex:];
    /// An encoder for the struct that a member points to.
    pub fn nested(index: usize) -> Option<ArgumentEncoder> = [newArgumentEncoderForBufferAtIndex:];
}

// SAFETY: an encoder may move to another thread; Apple forbids only two threads at a time. It is not `Clone`, and nothing else
// refers to its object.
unsafe impl Send for ArgumentEncoder {}
