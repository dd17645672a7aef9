//! Compute pipelines: kernels compiled for a device.

use super::enums::BindingType;
use super::error::GpuError;
use super::foundation::NSArray;
use super::function_table::{FunctionHandle, FunctionTable, FunctionTableDescriptor};
use super::reflection::{Binding, kept};
use super::shader::Shader;
use crate::abi::Id;
use crate::metal_class;
use crate::objc::tracking::ArgumentSink;
use crate::objc::{ClassState, Object};
use std::sync::{Arc, OnceLock};

metal_class! {
    /// A kernel, compiled for the device.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let source = "kernel void one(device float *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }";
    /// let pipeline = gpu.pipeline(&gpu.compile(source)?.function("one")?)?;
    /// let group = pipeline.max_total_threads_per_threadgroup().min(256);
    /// assert_eq!(group % pipeline.thread_execution_width(), 0);
    /// assert_eq!(pipeline.static_threadgroup_memory_length(), 0);
    /// println!("{:?}", pipeline.label());
    /// // A table of functions that the kernel may call.
    /// let table = pipeline.function_table(&aruminium::FunctionTableDescriptor::new())?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Pipeline: MTLComputePipelineState, state Arguments;

    /// The most threads that a threadgroup of this kernel can have.
    pub fn max_total_threads_per_threadgroup() -> usize = [maxTotalThreadsPerThreadgroup];
    /// The number of threads that run in lockstep (the SIMD width): 32 on Apple's GPUs.
    pub fn thread_execution_width() -> usize = [threadExecutionWidth];
    /// The threadgroup memory that the kernel declares, in bytes.
    pub fn static_threadgroup_memory_length() -> usize = [staticThreadgroupMemoryLength];
    /// The label, for tools and error messages.
    pub fn label() -> Option<String> = [label];
    /// The handle of a function that is linked to the pipeline; `None` for others.
    pub fn function_handle(function: &Shader) -> Option<FunctionHandle> = [functionHandleWithFunction:];
    /// Make a table of functions, all of them missing at first.
    ///
    /// # Errors
    ///
    /// [`GpuError::ObjectCreationFailed`] if Metal returns no table.
    pub fn function_table(descriptor: &FunctionTableDescriptor) -> Result<FunctionTable, GpuError>
        = [newVisibleFunctionTableWithDescriptor:] or GpuError::ObjectCreationFailed;
    fn with_function_array(functions: &NSArray) -> Result<Pipeline, GpuError>
        = [newComputePipelineStateWithAdditionalBinaryFunctions:error:] or GpuError::PipelineCreationFailed;
}

// SAFETY: Apple documents pipeline states as safe to use from any thread.
unsafe impl Send for Pipeline {}
// SAFETY: as above.
unsafe impl Sync for Pipeline {}

impl Clone for Pipeline {
    /// Retains the pipeline.
    fn clone(&self) -> Self {
        Self { state: Arguments(Arc::clone(&self.state.0)), object: self.object.clone() }
    }
}

metal_class! {
    /// A render pipeline. The driver has no encoder for it: the type is here for programs that pass one on.
    ///
    /// ```
    /// use aruminium::{RenderPipeline, abi::Id};
    /// // SAFETY: nil is an empty handle.
    /// assert!(unsafe { RenderPipeline::from_raw(Id::NIL) }.is_none());
    /// ```
    pub class RenderPipeline: MTLRenderPipelineState;
}

/// The kernel's arguments, and which buffers it may write; determined when the pipeline is first bound, or made with
/// its reflection.
#[derive(Debug)]
struct Arguments(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// `None` if the system does not store them.
    bindings: OnceLock<Option<Box<[Binding]>>>,
    /// The indices of the buffers that the kernel may write, one bit each.
    written: OnceLock<u32>,
}

impl Known {
    fn bindings(&self, pipeline: Id) -> Option<&[Binding]> {
        self.bindings.get_or_init(|| kept(pipeline)).as_deref()
    }

    /// Without reflection it is assumed that any buffer may be written.
    #[cold]
    fn find_written(&self, pipeline: Id) -> u32 {
        let Some(bindings) = self.bindings(pipeline) else { return u32::MAX };
        let written = bindings
            .iter()
            .filter(|binding| binding.kind == BindingType::Buffer && binding.is_written());
        let bit = |binding: &Binding| 1u32.checked_shl(binding.index.try_into().ok()?);
        written.filter_map(bit).fold(0, |all, bit| all | bit)
    }
}

impl ClassState for Arguments {
    #[inline]
    fn attach(_: &Object) -> Self {
        Self(Arc::default())
    }

    #[inline]
    fn report_to(&self, object: &Object, to: &mut ArgumentSink<'_>) {
        let known = &self.0;
        to.pipeline(*known.written.get_or_init(|| known.find_written(object.as_raw())));
    }
}

impl Pipeline {
    /// The same pipeline with more functions that the kernel may call through pointers.
    ///
    /// # Errors
    ///
    /// [`GpuError::PipelineCreationFailed`] if the pipeline was made without
    /// [`set_supports_adding_functions`](crate::PipelineDescriptor::set_supports_adding_functions), or if a function is
    /// not visible.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let library = gpu.compile("[[visible]] int f(int x) { return x; }
    ///     kernel void k(device int *x) { x[0] = 1; }")?;
    /// let (f, k) = (library.function("f")?, library.function("k")?);
    /// let descriptor = aruminium::PipelineDescriptor::new(&k);
    /// descriptor.set_max_call_stack_depth(2);
    /// descriptor.set_supports_adding_functions(true);
    /// let pipeline = gpu.pipeline_with(&descriptor)?.with_functions(&[&f])?;
    /// assert!(pipeline.function_handle(&f).is_some());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn with_functions(&self, functions: &[&Shader]) -> Result<Self, GpuError> {
        self.with_function_array(&NSArray::new(functions))
    }

    /// The reflection that the pipeline was made with.
    pub(super) fn know(&self, bindings: Option<Box<[Binding]>>) {
        _ = self.state.0.bindings.set(bindings);
    }

    /// The kernel's arguments, if the system stores them.
    pub(super) fn bindings(&self) -> Option<&[Binding]> {
        self.state.0.bindings(self.object.as_raw())
    }
}
