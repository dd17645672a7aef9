//! Metal 4: adds two matrices and multiplies two others, which kernels take as tensors.
//!
//! `cargo run --release --example tensors`

use aruminium::{
    ArgumentTableDescriptor, CompileOptions, Gpu, GpuError, LanguageVersion,
    ResidencySetDescriptor, Stages, Tensor, TensorDataType, TensorDescriptor,
};

const SOURCE: &str = "
#include <metal_stdlib>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;
using namespace mpp::tensor_ops;

using matrix = tensor<device float, dextents<int, 2>>;

kernel void add(matrix a [[buffer(0)]], matrix b [[buffer(1)]], matrix sum [[buffer(2)]],
                uint2 at [[thread_position_in_grid]]) {
    sum.store(a.load(at.x, at.y) + b.load(at.x, at.y), at.x, at.y);
}

kernel void multiply(matrix a [[buffer(0)]], matrix b [[buffer(1)]], matrix product [[buffer(2)]],
                     uint2 group [[threadgroup_position_in_grid]]) {
    constexpr auto descriptor = matmul2d_descriptor(32, 32);
    matmul2d<descriptor, execution_simdgroups<4>> op;
    auto rows = a.slice(0, group.y * 32);
    auto columns = b.slice(group.x * 32, 0);
    auto tile = product.slice(group.x * 32, group.y * 32);
    op.run(rows, columns, tile);
}
";

/// The size of the matrices.
const SIZE: usize = 64;

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let options = CompileOptions::new();
    options.set_language_version(LanguageVersion::Version4_0);
    let library = gpu.compile_with(SOURCE, Some(&options))?;
    let add = gpu.pipeline(&library.function("add")?)?;
    let multiply = gpu.pipeline(&library.function("multiply")?)?;

    let descriptor = TensorDescriptor::new(TensorDataType::Float32, &[SIZE, SIZE]);
    let matrix = || gpu.tensor(&descriptor);
    let (a, b, sum, product) = (matrix()?, matrix()?, matrix()?, matrix()?);
    let values = |scale: f32| -> Vec<f32> {
        (0..SIZE * SIZE).map(|i| (i % 7) as f32 * scale - 1.0).collect()
    };
    let (left, right) = (values(0.5), values(0.25));
    let resident = gpu.residency_set(&ResidencySetDescriptor::new())?;
    for tensor in [&a, &b, &sum, &product] {
        resident.add(tensor);
    }
    resident.commit();
    // SAFETY: no kernel uses the tensors yet.
    unsafe {
        a.write(&[0, 0], &[SIZE, SIZE], &left);
        b.write(&[0, 0], &[SIZE, SIZE], &right);
    }

    let arguments = ArgumentTableDescriptor::new();
    arguments.set_buffers(3);
    let table = gpu.argument_table(&arguments)?;
    let (queue, allocator, commands) = (gpu.queue4()?, gpu.command_allocator()?, gpu.commands4()?);
    queue.add_residency_set(&resident);
    commands.begin(&allocator);
    let encoder = commands.encoder()?;
    encoder.bind_table(&table);
    for (tensor, index) in [&a, &b, &sum].into_iter().zip(0..) {
        table.set_tensor(tensor, index);
    }
    encoder.bind(&add);
    encoder.launch((SIZE, SIZE, 1), (32, 8, 1));
    // The table is taken when a launch is encoded, so it may be changed for the next.
    table.set_tensor(&sum, 0);
    table.set_tensor(&product, 2);
    // The product reads the sum.
    encoder.barrier(Stages::DISPATCH, Stages::DISPATCH);
    encoder.bind(&multiply);
    encoder.launch_groups((SIZE / 32, SIZE / 32, 1), (128, 1, 1));
    encoder.finish();
    commands.end();
    // SAFETY: the tensors live until it is done, and the CPU does not use them meanwhile.
    let times = unsafe { queue.run(&[&commands])? };

    let element = |tensor: &Tensor, x: usize, y: usize| {
        let mut value = [0f32];
        // SAFETY: no kernel writes the tensor any more.
        unsafe { tensor.read(&[x, y], &[1, 1], &mut value) };
        value[0]
    };
    let at = |x: usize, y: usize| left[y * SIZE + x] + right[y * SIZE + x];
    for (x, y) in [(0, 0), (5, 40), (63, 63)] {
        assert_eq!(element(&sum, x, y), at(x, y));
        let expected: f32 = (0..SIZE).map(|k| at(k, y) * right[k * SIZE + x]).sum();
        let found = element(&product, x, y);
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }
    println!("(a + b) * b of {SIZE} by {SIZE} numbers in {:.1} µs", times.gpu_time() * 1e6);
    Ok(())
}
