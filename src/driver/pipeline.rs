//! Compute pipelines: kernels compiled for a device.

use super::foundation::NSArray;
use crate::abi::Id;
use crate::objc::tracking::Passed;
use crate::objc::{ClassState, Object, link};
use crate::{metal_class, msg, selector};
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
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Pipeline: MTLComputePipelineState, state Written;

    /// The most threads that a threadgroup of this kernel can have.
    pub fn max_total_threads_per_threadgroup() -> usize = [maxTotalThreadsPerThreadgroup];
    /// How many threads run in lockstep (the SIMD width): 32 on Apple's GPUs.
    pub fn thread_execution_width() -> usize = [threadExecutionWidth];
    /// How much threadgroup memory the kernel declares, in bytes.
    pub fn static_threadgroup_memory_length() -> usize = [staticThreadgroupMemoryLength];
    /// The label, for tools and error messages.
    pub fn label() -> Option<String> = [label];
}

// SAFETY: Apple documents pipeline states as safe to use from any thread.
unsafe impl Send for Pipeline {}
// SAFETY: as above.
unsafe impl Sync for Pipeline {}

impl Clone for Pipeline {
    /// Retains the pipeline.
    fn clone(&self) -> Self {
        Self { state: Written(Arc::clone(&self.state.0)), object: self.object.clone() }
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

/// The indices of the buffers that the kernel may write, one bit each; determined when it is first bound.
#[derive(Debug)]
struct Written(Arc<OnceLock<u32>>);

impl ClassState for Written {
    #[inline]
    fn attach(_: &Object) -> Self {
        Self(Arc::default())
    }

    #[inline]
    fn pass_to(&self, object: &Object, to: &mut Passed<'_>) {
        to.pipeline(*self.0.get_or_init(|| written(object.as_raw())));
    }
}

/// Reads the pipeline's reflection. Systems before macOS 26 do not keep it: there it is assumed that any
/// buffer may be written.
#[cold]
fn written(pipeline: Id) -> u32 {
    const BUFFER: isize = 0;
    const READ_ONLY: usize = 0;
    // SAFETY: the object is a pipeline state. Its reflection lists bindings, which have these properties.
    unsafe {
        let class = link::object_getClass(pipeline);
        if !link::class_respondsToSelector(class, selector!(reflection)).get() {
            return u32::MAX;
        }
        let Some(reflection) = msg!(pipeline, [reflection] -> Option<Object>) else {
            return u32::MAX;
        };
        let bindings = msg!(reflection, [bindings] -> NSArray);
        let mut written = 0;
        for index in 0..bindings.len() {
            let binding = msg!(bindings, [objectAtIndex: index] -> Id);
            let (kind, access) = (msg!(binding, [type] -> isize), msg!(binding, [access] -> usize));
            if kind == BUFFER && access != READ_ONLY {
                let index = msg!(binding, [index] -> usize);
                written |= u32::try_from(index).ok().and_then(|i| 1u32.checked_shl(i)).unwrap_or(0);
            }
        }
        written
    }
}
