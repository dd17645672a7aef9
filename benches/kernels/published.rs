//! Kernels that others published, from the packages of `tests/kernels`: matrix products of candle and ggml.

use std::io;

use aruminium::fp16::{cast_f16_f32, cast_f32_f16, f32_to_fp16, fp16_to_f32};
use aruminium::{ConstantValues, Encoder, GpuError, ShaderLib};

use crate::opencl::{Argument, OpenCl};
use crate::packages::{PACKAGES, Registry};
use crate::place::{Place, floats, multiply, on_all_cores};

/// Rows and columns of the matrices that are multiplied with each other, and of those times a vector.
const SIDE: usize = 512;
const LONG: usize = 4096;

/// Weights of a quantised block, which begins with a half, the scale of them all.
const WEIGHTS: usize = 32;

/// A format of quantised blocks, and the launch of its product with a vector in ggml's program.
struct Format {
    name: &'static str,
    opencl: &'static str,
    /// Bytes of a block.
    bytes: usize,
    /// The sum of a block's weights times numbers, without the scale.
    sum: fn(&[u8], &[f32]) -> f32,
    /// Rows that a SIMD-group takes, SIMD-groups of a threadgroup, and rows of that.
    shape: (usize, usize, usize),
}

const FORMATS: [Format; 2] = [
    Format {
        name: "q4_0",
        opencl: include_str!("q4_0.cl"),
        bytes: 18,
        sum: |quants, x| {
            let (low, high) = x.split_at(WEIGHTS / 2);
            let both = quants.iter().zip(low).zip(high);
            let weight = |bits: u8| f32::from(i16::from(bits) - 8);
            both.map(|((bits, low), high)| weight(bits & 15) * low + weight(bits >> 4) * high).sum()
        },
        shape: (4, 2, 8),
    },
    Format {
        name: "q8_0",
        opencl: include_str!("q8_0.cl"),
        bytes: 34,
        sum: |quants, x| quants.iter().zip(x).map(|(&bits, x)| f32::from(bits as i8) * x).sum(),
        shape: (2, 4, 2),
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
    let library = |package, file| place.gpu.compile(&source(&registry, package, file)?);
    let gemms = library("candle-metal-kernels", "mlx_gemm.metal")?;
    gemm_f32(place, &gemms)?;
    gemm_f16(place, &gemms)?;
    let ggml = library("whisper-rs-sys", "ggml-metal.metal")?;
    FORMATS.iter().try_for_each(|format| times_vector(place, &ggml, format))
}

/// The text of a package's source, as its program compiles it.
fn source(registry: &Registry, package: &str, file: &str) -> io::Result<String> {
    let missing = || io::Error::other(format!("no {file} in {package}"));
    let package = PACKAGES.iter().find(|known| known.name == package).ok_or_else(missing)?;
    let sources = registry.sources(package)?;
    let found = sources.into_iter().find(|source| source.path.ends_with(file));
    Ok(package.defines() + &found.ok_or_else(missing)?.text)
}

/// The arguments of candle's gemm for square matrices in tiles of 64 by 64: sizes, steps from row to row, tiles,
/// steps from matrix to matrix, passes over 16 columns.
fn gemm_arguments() -> Vec<u8> {
    const TILES: i32 = (SIDE / 64) as i32;
    let side = SIDE as i32;
    let words = |words: &[i32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_ne_bytes()).collect() };
    let all = ((SIDE * SIDE) as u64).to_ne_bytes();
    let sizes = words(&[side, side, side, side, side, side, TILES, TILES]);
    [sizes, [all; 3].concat(), words(&[0, side / 16, 1, 0])].concat()
}

/// The function constants of a gemm without batches, scales and incomplete tiles.
fn gemm_constants() -> ConstantValues {
    let constants = ConstantValues::new();
    for (index, value) in [(10, false), (100, false), (110, false), (300, false)] {
        constants.set(index, value);
    }
    for index in [200, 201, 202] {
        constants.set(index, true);
    }
    constants
}

const GEMM_GRID: (usize, usize, usize) = (SIDE / 64 * 32, SIDE / 64 * 2, 2);
const GEMM_GROUP: (usize, usize, usize) = (32, 2, 2);
const OPENCL_GRID: (usize, usize, usize) = (SIDE, SIDE, 1);
const OPENCL_GROUP: (usize, usize, usize) = (16, 16, 1);

fn gemm_f32(place: &Place<'_>, library: &ShaderLib) -> Result<(), GpuError> {
    let kernel = library.function_with("gemm_nn_f32_f32_64_64_16_2_2", &gemm_constants())?;
    let (left, right) = (floats(SIDE * SIDE), floats(SIDE * SIDE));
    let buffers = [place.upload(&left)?, place.upload(&right)?, place.gpu.buffer(SIDE * SIDE * 4)?];
    let parameters = gemm_arguments();
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
        (place.gpu.pipeline(&kernel)?, GEMM_GRID, GEMM_GROUP),
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
    let kernel = library.function_with("gemm_nn_f16_f16_64_64_16_2_2", &gemm_constants())?;
    let halves: Vec<u16> = floats(SIDE * SIDE).into_iter().map(f32_to_fp16).collect();
    let (left, right) = (place.upload(&halves)?, place.upload(&halves)?);
    let result = place.gpu.buffer(SIDE * SIDE * 2)?;
    let parameters = gemm_arguments();
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
        (place.gpu.pipeline(&kernel)?, GEMM_GRID, GEMM_GROUP),
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

/// The arguments of ggml's product with one vector: columns and rows of either side with the bytes from one to the
/// next, those of the result, and the rows that a SIMD-group takes.
fn vector_arguments(format: &Format) -> Vec<u8> {
    let side = LONG as i32;
    let words = |words: &[i32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_ne_bytes()).collect() };
    let bytes = |steps: [usize; 4]| -> Vec<u8> {
        steps.iter().flat_map(|&step| (step as u64).to_ne_bytes()).collect()
    };
    let row = LONG / WEIGHTS * format.bytes;
    let last = [words(&[side, 1, format.shape.0 as i32]), [1i16; 2].map(i16::to_ne_bytes).concat()];
    [
        words(&[side, side, 1, 0]),
        bytes([format.bytes, row, row * LONG, row * LONG]),
        words(&[side, 1, 1, 0]),
        bytes([4, 4 * LONG, 4 * LONG, 4 * LONG]),
        last.concat(),
    ]
    .concat()
}

fn times_vector(place: &Place<'_>, ggml: &ShaderLib, format: &Format) -> Result<(), GpuError> {
    let (rows_each, simdgroups, rows_of_group) = format.shape;
    let constants = ConstantValues::new();
    constants.set(600, simdgroups as i16);
    let kernel = ggml.function_with(&format!("kernel_mul_mv_{}_f32", format.name), &constants)?;
    // Small weights and scales that are powers of two, so that sums are exact.
    let block = |index: usize| {
        let scale = f32_to_fp16(if index.is_multiple_of(3) { 0.0625 } else { 0.125 });
        let quants = (2..format.bytes).map(move |k| ((index * 7 + k * 5) % 23) as u8);
        scale.to_ne_bytes().into_iter().chain(quants)
    };
    let weights: Vec<u8> = (0..LONG * LONG / WEIGHTS).flat_map(block).collect();
    let vector = floats(LONG);
    let buffers = [place.upload(&weights)?, place.upload(&vector)?, place.gpu.buffer(LONG * 4)?];
    let parameters = vector_arguments(format);
    let bind = |encoder: &Encoder| {
        encoder.push(&parameters, 0);
        for (index, buffer) in buffers.iter().enumerate() {
            encoder.bind_buffer(buffer, 0, index + 1);
        }
        encoder.threadgroup_memory(128 * rows_each, 0);
    };
    let side = (LONG as u32).to_ne_bytes();
    let arguments = |cl: &OpenCl| {
        let result = cl.memory(&[0f32; LONG]);
        let memory = [result, cl.memory(&weights), cl.memory(&vector)].map(Argument::Memory);
        memory.into_iter().chain([Argument::Bytes(&side)]).collect()
    };
    let row_bytes = LONG / WEIGHTS * format.bytes;
    let product = |at: usize, out: &mut [f32]| {
        for (row, out) in out.iter_mut().enumerate() {
            let blocks = weights[(at + row) * row_bytes..][..row_bytes].chunks(format.bytes);
            let dot = |(block, x): (&[u8], &[f32])| {
                let scale = fp16_to_f32(u16::from_ne_bytes([block[0], block[1]]));
                scale * (format.sum)(&block[2..], x)
            };
            *out = blocks.zip(vector.chunks(WEIGHTS)).map(dot).sum();
        }
    };
    let grid = (LONG / rows_of_group * 32, simdgroups, 1);
    let kernel = place.kernel(
        (place.gpu.pipeline(&kernel)?, grid, (32, simdgroups, 1)),
        ((format.name, format.opencl), (LONG, 1, 1), (16, 1, 1)),
        &bind,
        arguments,
    );
    place.beside(
        &format!("ggml {} × vector, 4096²", format.name),
        &kernel,
        || buffers[2].read_f32(<[f32]>::to_vec),
        None,
        |out| product(0, out),
        |out| on_all_cores(out, 1, product),
    );
    Ok(())
}
