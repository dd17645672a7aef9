//! Two ways to multiply matrices: from memory, and through tiles in threadgroup memory.
//!
//! Run it with `cargo run --release --example matmul [size]`.

use aruminium::{Buffer, Dispatch, Gpu, GpuError, Pipeline};
use std::time::Instant;

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;

    constant constexpr uint TILE = 16;

    kernel void naive(device float *c [[buffer(0)]],
                      device const float *a [[buffer(1)]],
                      device const float *b [[buffer(2)]],
                      constant uint &n [[buffer(3)]],
                      uint2 at [[thread_position_in_grid]]) {
        if (at.x >= n || at.y >= n) return;
        float sum = 0;
        for (uint k = 0; k < n; k++) sum += a[at.y * n + k] * b[k * n + at.x];
        c[at.y * n + at.x] = sum;
    }

    // Each threadgroup computes one tile of the result, and reads each element once.
    kernel void tiled(device float *c [[buffer(0)]],
                      device const float *a [[buffer(1)]],
                      device const float *b [[buffer(2)]],
                      constant uint &n [[buffer(3)]],
                      uint2 at [[thread_position_in_grid]],
                      uint2 in [[thread_position_in_threadgroup]]) {
        threadgroup float as[TILE][TILE];
        threadgroup float bs[TILE][TILE];
        float sum = 0;
        for (uint first = 0; first < n; first += TILE) {
            uint ka = first + in.x, kb = first + in.y;
            as[in.y][in.x] = at.y < n && ka < n ? a[at.y * n + ka] : 0;
            bs[in.y][in.x] = kb < n && at.x < n ? b[kb * n + at.x] : 0;
            threadgroup_barrier(mem_flags::mem_threadgroup);
            for (uint k = 0; k < TILE; k++) sum += as[in.y][k] * bs[k][in.x];
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        if (at.x < n && at.y < n) c[at.y * n + at.x] = sum;
    }
";

const TILE: usize = 16;

/// Small whole numbers: their products and sums are exact in `f32`.
fn element(row: usize, column: usize, salt: usize) -> f32 {
    ((row * 7 + column * 3 + salt) % 11) as f32 - 5.0
}

fn matrix(gpu: &Gpu, n: usize, salt: usize) -> Result<Buffer, GpuError> {
    let buffer = gpu.buffer(n * n * size_of::<f32>())?;
    buffer.write_f32(|m| {
        m.iter_mut().enumerate().for_each(|(i, x)| *x = element(i / n, i % n, salt))
    });
    Ok(buffer)
}

/// The result's rows that are checked: the first, the last and some between.
fn check(c: &Buffer, n: usize) {
    c.read_f32(|c| {
        for row in (0..n).step_by(n.div_ceil(16)).chain([n - 1]) {
            for column in 0..n {
                let expected: f32 =
                    (0..n).map(|k| element(row, k, 1) * element(k, column, 2)).sum();
                assert_eq!(c[row * n + column], expected, "row {row}, column {column}");
            }
        }
    });
}

fn main() -> Result<(), GpuError> {
    let n: usize =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(257).clamp(1, 4096);
    let gpu = Gpu::open()?;
    let library = gpu.compile(SOURCE)?;
    let dispatch = Dispatch::new(&gpu.new_command_queue()?);
    let (a, b) = (matrix(&gpu, n, 1)?, matrix(&gpu, n, 2)?);
    println!("{}: {n} by {n}", gpu.name());

    for name in ["naive", "tiled"] {
        let pipeline: Pipeline = gpu.pipeline(&library.function(name)?)?;
        let c = gpu.buffer(n * n * size_of::<f32>())?;
        let groups = (n.div_ceil(TILE), n.div_ceil(TILE), 1);
        let start = Instant::now();
        // SAFETY: the kernels stay within n by n elements; the call waits.
        unsafe {
            dispatch.batch(|batch| {
                batch.bind(&pipeline);
                batch.bind_buffers(&[(&c, 0), (&a, 0), (&b, 0)], 0);
                batch.push(&(n as u32).to_ne_bytes(), 3);
                batch.launch_groups(groups, (TILE, TILE, 1));
            })?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let rate = 2.0 * (n as f64).powi(3) / seconds / 1e9;
        println!(
            "{name}: {:.2} ms, {rate:.1} GFLOP/s, {} bytes of threadgroup memory",
            seconds * 1e3,
            pipeline.static_threadgroup_memory_length()
        );
        check(&c, n);
    }
    println!("both are right");
    Ok(())
}
