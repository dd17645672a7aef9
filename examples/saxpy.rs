//! `y = a·x + y` on the GPU: compile a kernel, run it, check what it wrote.
//!
//! Run it with `cargo run --release --example saxpy`; it needs no Mac.

use aruminium::{Gpu, GpuError};

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;

    kernel void saxpy(device float *y [[buffer(0)]],
                      device const float *x [[buffer(1)]],
                      constant float &a [[buffer(2)]],
                      uint i [[thread_position_in_grid]]) {
        y[i] = a * x[i] + y[i];
    }
";

/// Not a multiple of the threadgroup's size, on purpose.
const COUNT: usize = 1_000_003;

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    println!("{}, unified memory: {}", gpu.name(), gpu.has_unified_memory());

    let library = gpu.compile(SOURCE)?;
    let pipeline = gpu.pipeline(&library.function("saxpy")?)?;
    let queue = gpu.new_command_queue()?;

    let x = gpu.buffer(COUNT * size_of::<f32>())?;
    let y = gpu.buffer(COUNT * size_of::<f32>())?;
    x.write_f32(|x| x.iter_mut().enumerate().for_each(|(i, x)| *x = (i % 1000) as f32));
    y.write_f32(|y| y.fill(0.5));

    let commands = queue.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_buffer(&y, 0, 0);
    encoder.bind_buffer(&x, 0, 1);
    encoder.push(&2.0f32.to_ne_bytes(), 2);
    encoder.launch((COUNT, 1, 1), (256, 1, 1));
    encoder.finish();
    commands.submit();
    commands.finish()?;
    println!("{COUNT} elements in {:.3} ms", commands.gpu_time() * 1e3);

    let wrong = y.read_f32(|y| {
        y.iter().enumerate().filter(|&(i, &y)| y != 2.0 * (i % 1000) as f32 + 0.5).count()
    });
    assert_eq!(wrong, 0, "elements with a wrong value");
    println!("every element is right");
    Ok(())
}
