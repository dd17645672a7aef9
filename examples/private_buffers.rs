//! Data that only the GPU can access: copied in, processed by two kernels, copied out.
//!
//! Run it with `cargo run --release --example private_buffers`.

use aruminium::{Gpu, GpuError};

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;

    kernel void squares(device uint *out [[buffer(0)]],
                        device const uint *in [[buffer(1)]],
                        uint i [[thread_position_in_grid]]) {
        out[i] = in[i] * in[i];
    }

    // One sum a threadgroup of 256.
    kernel void sums(device uint *out [[buffer(0)]],
                     device const uint *in [[buffer(1)]],
                     uint i [[thread_position_in_grid]],
                     uint lane [[thread_position_in_threadgroup]],
                     uint group [[threadgroup_position_in_grid]]) {
        threadgroup uint held[256];
        held[lane] = in[i];
        for (uint half_way = 128; half_way > 0; half_way /= 2) {
            threadgroup_barrier(mem_flags::mem_threadgroup);
            if (lane < half_way) held[lane] += held[lane + half_way];
        }
        if (lane == 0) out[group] = held[0];
    }
";

const GROUP: usize = 256;
const GROUPS: usize = 64;
const COUNT: usize = GROUP * GROUPS;

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let library = gpu.compile(SOURCE)?;
    let squares = gpu.pipeline(&library.function("squares")?)?;
    let sums = gpu.pipeline(&library.function("sums")?)?;

    let numbers: Vec<u8> = (0..COUNT as u32).flat_map(|i| (i % 100).to_ne_bytes()).collect();
    let staging = gpu.buffer_with_data(&numbers)?;
    let input = gpu.buffer_private(numbers.len())?;
    let between = gpu.buffer_private(numbers.len())?;
    let partial = gpu.buffer_private(GROUPS * 4)?;
    let output = gpu.buffer(GROUPS * 4)?;
    for (name, buffer) in [("input", &input), ("between", &between), ("partial", &partial)] {
        buffer.set_label(name);
        println!("{name}: {} bytes, shared: {}", buffer.size(), buffer.is_shared());
        let refused = buffer.try_read(|_| ()).expect_err("the CPU cannot read a private buffer");
        assert!(matches!(refused, GpuError::BufferAccess(_)));
    }

    // One command buffer: the copy in, two kernels, the copy out.
    let queue = gpu.new_command_queue()?;
    let commands = queue.commands()?;
    let copier = commands.copier()?;
    copier.copy(&staging, 0, &input, 0, numbers.len());
    copier.finish();

    let encoder = commands.encoder()?;
    encoder.bind(&squares);
    encoder.bind_buffers(&[(&between, 0), (&input, 0)], 0);
    encoder.launch((COUNT, 1, 1), (GROUP, 1, 1));
    encoder.bind(&sums);
    encoder.bind_buffers(&[(&partial, 0), (&between, 0)], 0);
    encoder.launch((COUNT, 1, 1), (GROUP, 1, 1));
    encoder.finish();

    let copier = commands.copier()?;
    copier.copy(&partial, 0, &output, 0, GROUPS * 4);
    copier.finish();
    commands.submit();
    commands.finish()?;

    let sum: u64 = output.read_as(|partial: &[u32]| partial.iter().map(|&x| u64::from(x)).sum());
    let expected: u64 = (0..COUNT as u64).map(|i| (i % 100).pow(2)).sum();
    println!("sum of {COUNT} squares: {sum}");
    assert_eq!(sum, expected);
    Ok(())
}
