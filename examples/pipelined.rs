//! Encodes batch N while batch N − 1 runs, and compares the time with waiting for each batch.
//!
//! Run it with `cargo run --release --example pipelined`.

use aruminium::{Batch, Buffer, Dispatch, Gpu, GpuError, GpuFuture, Pipeline};
use std::time::{Duration, Instant};

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;

    kernel void layer(device float *x [[buffer(0)]],
                      constant float &bias [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
        float v = x[i];
        for (int k = 0; k < 16; k++) v = v * 0.5f + bias;
        x[i] = v;
    }
";

const COUNT: usize = 4096;
const BATCHES: u32 = 200;
const LAUNCHES: u32 = 16;

/// One batch: many small launches, each with its own constant.
fn encode(batch: &Batch<'_>, pipeline: &Pipeline, buffer: &Buffer) {
    batch.bind(pipeline);
    batch.bind_buffer(buffer, 0, 0);
    for launch in 0..LAUNCHES {
        batch.push(&(launch as f32).to_ne_bytes(), 1);
        batch.launch((COUNT, 1, 1), (256, 1, 1));
    }
}

/// The expected value of each element, by the same operations on the CPU.
fn expected() -> f32 {
    let mut v = 1.0f32;
    for _ in 0..BATCHES {
        for launch in 0..LAUNCHES {
            (0..16).for_each(|_| v = v * 0.5 + launch as f32);
        }
    }
    v
}

fn report(name: &str, time: Duration, buffer: &Buffer) {
    println!("{name}: {:.1} µs a batch", time.as_secs_f64() * 1e6 / f64::from(BATCHES));
    let expected = expected();
    // A fused multiply-add rounds once where this program rounds twice.
    let right = buffer.read_f32(|x| x.iter().all(|&x| (x - expected).abs() <= expected * 1e-5));
    assert!(right, "{name}: expected {expected}, found {}", buffer.read_f32(|x| x[0]));
    buffer.write_f32(|x| x.fill(1.0));
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let pipeline = gpu.pipeline(&gpu.compile(SOURCE)?.function("layer")?)?;
    let dispatch = Dispatch::new(&gpu.new_command_queue()?);
    let buffer = gpu.buffer(COUNT * 4)?;
    buffer.write_f32(|x| x.fill(1.0));
    println!("{}: {BATCHES} batches of {LAUNCHES} launches", gpu.name());

    let start = Instant::now();
    for _ in 0..BATCHES {
        // SAFETY: the kernel stays within the buffer; the call waits.
        unsafe { dispatch.batch(|batch| encode(batch, &pipeline, &buffer))? }
    }
    report("one by one", start.elapsed(), &buffer);

    let start = Instant::now();
    let mut previous: Option<GpuFuture> = None;
    for _ in 0..BATCHES {
        // SAFETY: as above; buffer and pipeline live until the last future has waited.
        let next = unsafe { dispatch.batch_async(|batch| encode(batch, &pipeline, &buffer)) };
        if let Some(previous) = previous.replace(next) {
            previous.wait()?;
        }
    }
    if let Some(last) = previous {
        last.wait()?;
    }
    report("pipelined", start.elapsed(), &buffer);
    Ok(())
}
