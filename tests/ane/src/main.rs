//! The CPU fills a block, the Neural Engine multiplies a matrix in it, and the GPU reads the result: nothing is
//! copied. The program is type-checked for Apple's targets, where `rane` is the driver of the Neural Engine.

#[cfg(target_vendor = "apple")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use aruminium::memory::Block;
    use aruminium::{Gpu, fp16::f32_to_fp16};

    let source = rane::mil::matmul(64, 64, 64);
    let mut program = rane::Program::compile(&source, &[])?;
    program.load()?;
    let input = Block::open(source.input_size())?;
    let output = Block::open(source.output_size())?;
    input.as_u16_mut().fill(f32_to_fp16(1.0));
    // SAFETY: both are locked surfaces of the program's sizes, and no view of them is open.
    unsafe { program.run_direct(input.handle(), output.handle())? };

    let gpu = Gpu::open()?;
    let halves = gpu.wrap(&output)?;
    let library = gpu.compile(
        "kernel void largest(device const half *in [[buffer(0)]], device atomic_uint *out [[buffer(1)]],
                             uint i [[thread_position_in_grid]]) {
             atomic_fetch_max_explicit(out, as_type<uint>(float(max(in[i], 0.0h))), memory_order_relaxed);
         }",
    )?;
    let pipeline = gpu.pipeline(&library.function("largest")?)?;
    let result = gpu.buffer(4)?;
    let commands = gpu.new_command_queue()?.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_buffer(&halves, 0, 0);
    encoder.bind_buffer(&result, 0, 1);
    encoder.launch((64 * 64, 1, 1), (64, 1, 1));
    encoder.finish();
    commands.submit();
    commands.finish()?;
    println!("largest: {}", result.read_as(|all: &[f32]| all[0]));
    Ok(())
}

#[cfg(not(target_vendor = "apple"))]
fn main() {
    eprintln!(
        "only Apple's systems have a Neural Engine: check this program with `--target aarch64-apple-darwin`"
    );
}
