//! Kernels that others published, from the packages of `tests/kernels`: matrix products of candle and ggml.

use aruminium::fp16::{cast_f16_f32, cast_f32_f16, f32_to_fp16, fp16_to_f32};
use aruminium::{Encoder, GpuError, ShaderLib};

use crate::opencl::{Argument, OpenCl};
use crate::packages::Registry;
use crate::place::{Place, floats, multiply, on_all_cores};
use crate::products::{CANDLE_FLOATS, CANDLE_HALVES, gemm_arguments, gemm_constants, gemm_kernel};
use crate::products::{Q4_0, Q8_0, VectorProduct, WEIGHTS};

/// Rows and columns of the matrices that are multiplied with each other, and of those times a vector.
const SIDE: usize = 512;
const LONG: usize = 4096;

/// A format of quantised blocks.
struct Format {
    product: VectorProduct,
    opencl: &'static str,
    /// The sum of a block's weights times numbers, without the scale.
    sum: fn(&[u8], &[f32]) -> f32,
}

const FORMATS: [Format; 2] = [
    Format {
        product: Q4_0,
        opencl: include_str!("q4_0.cl"),
        sum: |quants, x| {
            let (low, high) = x.split_at(WEIGHTS / 2);
            let both = quants.iter().zip(low).zip(high);
            let weight = |bits: u8| f32::from(i16::from(bits) - 8);
            both.map(|((bits, low), high)| weight(bits & 15) * low + weight(bits >> 4) * high).sum()
        },
    },
    Format {
        product: Q8_0,
        opencl: include_str!("q8_0.cl"),
        sum: |quants, x| quants.iter().zip(x).map(|(&bits, x)| f32::from(bits as i8) * x).sum(),
    },
];

/// Measures all of them, or prints why they are not available.
pub(crate) fn measure(place: &Place<'_>) -> Result<(), GpuError> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernels/Cargo.toml");
    let registry = match Registry::open(manifest) {
        Ok(registry) => registry,
        Err(error) => {
            println!("\nthe published kernels are not available: {error}");
            return Ok(());
        }
    };
    let library = |package, file| place.gpu.compile(&registry.source(package, file)?);
    let gemms = library("candle-metal-kernels", "mlx_gemm.metal")?;
    gemm_f32(place, &gemms)?;
    gemm_f16(place, &gemms)?;
    let ggml = library("whisper-rs-sys", "ggml-metal.metal")?;
    FORMATS.iter().try_for_each(|format| times_vector(place, &ggml, format))
}

const OPENCL_GRID: (usize, usize, usize) = (SIDE, SIDE, 1);
const OPENCL_GROUP: (usize, usize, usize) = (16, 16, 1);

fn gemm_f32(place: &Place<'_>, library: &ShaderLib) -> Result<(), GpuError> {
    let (name, grid, group) = gemm_kernel("f32", SIDE, CANDLE_FLOATS);
    let kernel = library.function_with(&name, &gemm_constants())?;
    let (left, right) = (floats(SIDE * SIDE), floats(SIDE * SIDE));
    let buffers = [place.upload(&left)?, place.upload(&right)?, place.gpu.buffer(SIDE * SIDE * 4)?];
    let parameters = gemm_arguments(SIDE);
    let bind = |encoder: &Encoder| {
        for (buffer, index) in buffers.iter().zip([0, 1, 3]) {
            encoder.bind_buffer(buffer, 0, index);
        }
        encoder.push(&parameters, 4);
    };
    let side = (SIDE as u32).to_ne_bytes();
    let arguments = |cl: &OpenCl| {
        let result = cl.memory(&[0f32; SIDE * SIDE]);
        let sides = [result, cl.memory(&left), cl.memory(&right)].map(Argument::Memory);
        sides.into_iter().chain([Argument::Bytes(&side)]).collect()
    };
    let product = |at: usize, out: &mut [f32]| multiply(&left, &right, SIDE, at, out);
    let opencl = ("matmul_tiled", include_str!("matmul_tiled.cl"));
    let kernel = place.kernel(
        (place.gpu.pipeline(&kernel)?, grid, group),
        (opencl, OPENCL_GRID, OPENCL_GROUP),
        &bind,
        arguments,
    );
    place.beside(
        "candle gemm f32, 512³",
        &kernel,
        || buffers[2].read_f32(<[f32]>::to_vec),
        None,
        |out| product(0, out),
        |out| on_all_cores(out, SIDE, product),
    );
    Ok(())
}

fn gemm_f16(place: &Place<'_>, library: &ShaderLib) -> Result<(), GpuError> {
    let (name, grid, group) = gemm_kernel("f16", SIDE, CANDLE_HALVES);
    let kernel = library.function_with(&name, &gemm_constants())?;
    let halves: Vec<u16> = floats(SIDE * SIDE).into_iter().map(f32_to_fp16).collect();
    let (left, right) = (place.upload(&halves)?, place.upload(&halves)?);
    let result = place.gpu.buffer(SIDE * SIDE * 2)?;
    let parameters = gemm_arguments(SIDE);
    let bind = |encoder: &Encoder| {
        for (buffer, index) in [&left, &right, &result].into_iter().zip([0, 1, 3]) {
            encoder.bind_buffer(buffer, 0, index);
        }
        encoder.push(&parameters, 4);
    };
    let side = (SIDE as u32).to_ne_bytes();
    let arguments = |cl: &OpenCl| {
        let result = cl.memory(&[0u16; SIDE * SIDE]);
        let sides = [result, cl.memory(&halves), cl.memory(&halves)].map(Argument::Memory);
        sides.into_iter().chain([Argument::Bytes(&side)]).collect()
    };
    // Computed in `f32` and converted back.
    let product = |at: usize, out: &mut [u16]| {
        let mut wide = vec![0.0; halves.len()];
        cast_f16_f32(&mut wide, &halves);
        let mut sums = vec![0.0; out.len()];
        multiply(&wide, &wide, SIDE, at, &mut sums);
        cast_f32_f16(out, &sums);
    };
    let opencl = ("matmul_half", include_str!("matmul_half.cl"));
    let kernel = place.kernel(
        (place.gpu.pipeline(&kernel)?, grid, group),
        (opencl, OPENCL_GRID, OPENCL_GROUP),
        &bind,
        arguments,
    );
    place.beside(
        "candle gemm f16, 512³",
        &kernel,
        || result.read_as(<[u16]>::to_vec),
        None,
        |out| product(0, out),
        |out| on_all_cores(out, SIDE, product),
    );
    Ok(())
}

fn times_vector(place: &Place<'_>, ggml: &ShaderLib, format: &Format) -> Result<(), GpuError> {
    let product = &format.product;
    let kernel = ggml.function_with(&product.kernel(), &product.constants())?;
    // Small weights and scales that are powers of two, so that sums are exact.
    let block = |index: usize| {
        let scale = f32_to_fp16(if index.is_multiple_of(3) { 0.0625 } else { 0.125 });
        let quants = (2..product.bytes).map(move |k| ((index * 7 + k * 5) % 23) as u8);
        scale.to_ne_bytes().into_iter().chain(quants)
    };
    let weights: Vec<u8> = (0..LONG * LONG / WEIGHTS).flat_map(block).collect();
    let vector = floats(LONG);
    let buffers = [place.upload(&weights)?, place.upload(&vector)?, place.gpu.buffer(LONG * 4)?];
    let parameters = product.arguments(LONG, LONG);
    let bind = |encoder: &Encoder| {
        encoder.push(&parameters, 0);
        for (index, buffer) in buffers.iter().enumerate() {
            encoder.bind_buffer(buffer, 0, index + 1);
        }
        encoder.threadgroup_memory(product.threadgroup_bytes(), 0);
    };
    let side = (LONG as u32).to_ne_bytes();
    let arguments = |cl: &OpenCl| {
        let result = cl.memory(&[0f32; LONG]);
        let memory = [result, cl.memory(&weights), cl.memory(&vector)].map(Argument::Memory);
        memory.into_iter().chain([Argument::Bytes(&side)]).collect()
    };
    let row_bytes = product.row_bytes(LONG);
    let in_rust = |at: usize, out: &mut [f32]| {
        for (row, out) in out.iter_mut().enumerate() {
            let blocks = weights[(at + row) * row_bytes..][..row_bytes].chunks(product.bytes);
            let dot = |(block, x): (&[u8], &[f32])| {
                let scale = fp16_to_f32(u16::from_ne_bytes([block[0], block[1]]));
                scale * (format.sum)(&block[2..], x)
            };
            *out = blocks.zip(vector.chunks(WEIGHTS)).map(dot).sum();
        }
    };
    let (grid, group) = product.size(LONG);
    let kernel = place.kernel(
        (place.gpu.pipeline(&kernel)?, grid, group),
        ((product.format, format.opencl), (LONG, 1, 1), (16, 1, 1)),
        &bind,
        arguments,
    );
    place.beside(
        &format!("ggml {} × vector, 4096²", product.format),
        &kernel,
        || buffers[2].read_f32(<[f32]>::to_vec),
        None,
        |out| in_rust(0, out),
        |out| on_all_cores(out, 1, in_rust),
    );
    Ok(())
}
