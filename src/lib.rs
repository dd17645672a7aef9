//! A Metal compute driver: one line per method, no overhead in hot loops, on a Mac and on Linux.
//!
//! ```
//! use aruminium::{Dispatch, Gpu};
//!
//! let gpu = Gpu::open()?;
//! let source = "kernel void double_it(device float *x, uint i [[thread_position_in_grid]]) { x[i] *= 2; }";
//! let pipeline = gpu.pipeline(&gpu.compile(source)?.function("double_it")?)?;
//! let buffer = gpu.buffer(256 * 4)?;
//! buffer.write_f32(|x| x.fill(21.0));
//!
//! let dispatch = Dispatch::new(&gpu.new_command_queue()?);
//! // SAFETY: the kernel stays within its buffer.
//! unsafe { dispatch.dispatch(&pipeline, &[(&buffer, 0, 0)], (256, 1, 1), (64, 1, 1))? };
//! assert!(buffer.read_f32(|x| x.iter().all(|&x| x == 42.0)));
//! # Ok::<(), aruminium::GpuError>(())
//! ```
//!
//! * [`Gpu`] makes everything else; [`Dispatch`] and [`Batch`] are for hot loops.
//! * [`metal_class!`] declares a class, a method a line: a message, an entry of a table of
//!   pre-resolved implementations, a direct method that calls through the table, and a row of
//!   reflection data. [`msg!`] sends any message to any object; [`imp_table!`] makes a table alone.
//! * [`objc`] is what they expand to, and [`objc::link`] alone depends on the system.
//! * [`fp16`] converts between floats and the 16-bit formats, half and bfloat.
//! * [`foundation`] wraps the few classes of Foundation that Metal's methods take and return.
//!
//! On hosts that have no Metal the crate brings its own, and on Apple's with feature `soft`: the same functions under the same
//! names.

pub mod abi;
pub mod fp16;
pub mod objc;

#[cfg(all(test, any(not(target_vendor = "apple"), feature = "soft")))]
#[path = "../tests/child/mod.rs"]
mod child;
mod driver;
#[cfg(all(feature = "export", not(target_vendor = "apple")))]
mod export;
#[cfg(feature = "infer")]
pub mod infer;
#[path = "../macros/mod.rs"]
mod macros;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(all(test, target_os = "linux"))]
#[path = "../tests/memory_use/mod.rs"]
mod memory_use;
#[cfg(feature = "ring")]
pub mod ring;
#[cfg(any(not(target_vendor = "apple"), feature = "soft"))]
mod soft;
#[cfg(test)]
mod test_floats;
#[cfg(all(test, any(not(target_vendor = "apple"), feature = "soft")))]
mod test_random;
#[cfg(all(test, any(not(target_vendor = "apple"), feature = "soft")))]
mod test_scale;

pub use abi::{MTLOrigin, MTLRegion, MTLSize, NSRange};
pub use driver::archive::BinaryArchive;
pub use driver::argument::ArgumentEncoder;
pub use driver::buffer::{Buffer, Plain};
pub use driver::capture::Capture;
pub use driver::command::{Commands, Queue};
pub use driver::descriptor::{
    CompileOptions, ConstantValue, ConstantValues, HeapDescriptor, PipelineDescriptor,
    ResidencySetDescriptor, SamplerDescriptor, TextureDescriptor,
};
pub use driver::device::{Deallocator, Gpu};
pub use driver::diagnostics::{Diagnostic, Severity};
pub use driver::dispatch::{Dispatch, Dispatch as Dispatcher, GpuFuture, Recorded};
pub use driver::encoder::{Batch, Copier, Encoder, ImageLayout, Size, Subresource};
pub use driver::enums::*;
pub use driver::error::{FaultKind, GpuError, KernelFault};
pub use driver::function_table::{
    FunctionHandle, FunctionTable, FunctionTableDescriptor, LinkedFunctions,
};
pub use driver::future::Done;
pub use driver::heap::{Allocation, Heap, ResidencySet};
pub use driver::indirect::{IndirectCommand, IndirectCommands, IndirectCommandsDescriptor};
#[cfg(all(feature = "objc2", any(target_vendor = "apple", aruminium_launcher)))]
pub use driver::interop::{self, Objc2, Objc2Memory};
pub use driver::logs::{LogLevel, LogMessage};
pub use driver::metal4::{
    ArgumentTable, ArgumentTableDescriptor, CommandAllocator, Commands4, Encoder4, GpuTimes, Queue4,
};
pub use driver::pipeline::{Pipeline, RenderPipeline};
#[cfg(feature = "bytemuck")]
pub use driver::pod::{self, Pod};
pub use driver::profile::{Accesses, MemoryProfile, Profile, ProfileLine};
pub use driver::reflection::Binding;
pub use driver::sanitize::{Checks, Report, ReportAccess, ReportKind};
pub use driver::shader::{Shader, ShaderLib};
pub use driver::source::Source;
pub use driver::sync::{Event, EventObject, Fence, SharedEvent};
pub use driver::tensor::{Tensor, TensorDescriptor};
pub use driver::texture::{Sampler, Texture};
pub use driver::{
    CLASSES, archive, argument, buffer, capture, command, descriptor, device, diagnostics,
    dispatch, encoder, enums, error, ffi, foundation, function_table, future, heap, indirect, logs,
    metal4, pipeline, profile, reflection, sanitize, shader, source, sync, tensor, texture, usage,
};
pub use fp16::{
    bf16_to_f32, cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16, f32_to_bf16,
    f32_to_fp16, fp16_to_f32,
};
/// The paths that these types have in 0.2.
#[cfg(feature = "memory")]
#[doc(hidden)]
pub use memory::{Block, Layout, MemError, Tape};
pub use objc::autorelease_pool;

#[doc(hidden)]
pub use paste::paste as __paste;

/// The code in the pages is run as tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../macros/README.md")]
    mod macros {}
    #[doc = include_str!("../specs/api.md")]
    mod specs_api {}
    #[doc = include_str!("../specs/guide.md")]
    mod specs_guide {}
    #[doc = include_str!("../specs/fp16.md")]
    mod specs_fp16 {}
    #[doc = include_str!("../specs/macros.md")]
    mod specs_macros {}
    #[doc = include_str!("../specs/tracking.md")]
    mod specs_tracking {}
}
