//! A kernel that does almost nothing, and everything that a dispatch of it needs.

use aruminium::{Buffer, Gpu, GpuError, Pipeline, Queue};

const SOURCE: &str = "
    struct Shape { uint a, b, c, d; };
    kernel void tiny(device float *y [[buffer(0)]],
                     device const float *x [[buffer(1)]],
                     device const float *z [[buffer(2)]],
                     constant Shape &shape [[buffer(3)]],
                     uint i [[thread_position_in_grid]]) {
        y[i] = x[i] + z[i] + float(shape.a);
    }
";

/// One SIMD-group.
pub(crate) const GRID: (usize, usize, usize) = (32, 1, 1);

/// The device, the queue, and the arguments of the kernel.
pub(crate) struct Tiny {
    pub(crate) gpu: Gpu,
    pub(crate) queue: Queue,
    pub(crate) pipeline: Pipeline,
    pub(crate) buffers: [Buffer; 3],
}

impl Tiny {
    pub(crate) fn new() -> Result<Self, GpuError> {
        let gpu = Gpu::open()?;
        let pipeline = gpu.pipeline(&gpu.compile(SOURCE)?.function("tiny")?)?;
        let queue = gpu.new_command_queue()?;
        let buffers = [gpu.buffer(128)?, gpu.buffer(128)?, gpu.buffer(128)?];
        Ok(Self { gpu, queue, pipeline, buffers })
    }
}

/// The calls of one dispatch, for an `Encoder` and for a `Batch`.
macro_rules! one_dispatch {
    ($encoder:expr, $tiny:expr) => {{
        $encoder.bind(&$tiny.pipeline);
        $encoder.bind_buffer(&$tiny.buffers[0], 0, 0);
        $encoder.bind_buffer(&$tiny.buffers[1], 0, 1);
        $encoder.bind_buffer(&$tiny.buffers[2], 0, 2);
        $encoder.push(&[7; 16], 3);
        $encoder.launch($crate::tiny::GRID, $crate::tiny::GRID);
    }};
}
pub(crate) use one_dispatch;
