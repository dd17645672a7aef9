//! Kernels made ready to run.

use crate::metal_class;

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
    pub class Pipeline: MTLComputePipelineState;

    /// How large a threadgroup of this kernel can be.
    pub fn max_total_threads_per_threadgroup() -> usize = [maxTotalThreadsPerThreadgroup];
    /// How many threads run in lockstep: 32 on Apple's GPUs.
    pub fn thread_execution_width() -> usize = [threadExecutionWidth];
    /// How much threadgroup memory the kernel declares, in bytes.
    pub fn static_threadgroup_memory_length() -> usize = [staticThreadgroupMemoryLength];
    /// What tools and errors call it.
    pub fn label() -> Option<String> = [label];
}

// SAFETY: Apple documents pipeline states as safe to use from any thread.
unsafe impl Send for Pipeline {}
// SAFETY: as above.
unsafe impl Sync for Pipeline {}
