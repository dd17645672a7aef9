//! Kernels on an NVIDIA GPU, beside the same ones in CUDA C++ (`plain.cu`): `.ci/gpu-figures` runs both.
//!
//! `nvidia [SOURCES]` prints rows: a name, a tab, and the microseconds of one launch, the least of several command buffers with many
//! launches; a row `first compile …` is the time from the source text to the end of the first launch, without that of the second. SOURCES is
//! the folder that `tests/kernels` writes, for the products that others published. `--test` runs each row once, on little data; `--once`,
//! for a profiler, runs each launch three times.

use aruminium::fp16::f32_to_fp16;
use aruminium::{
    Buffer, ConstantValues, Encoder, Gpu, GpuError, Pipeline, Queue, autorelease_pool,
};
use packages::Registry;
use products::{CANDLE_FLOATS, CANDLE_HALVES, gemm_arguments, gemm_constants, gemm_kernel};
use products::{Q4_0, Q8_0, Size, VectorProduct, WEIGHTS};
use std::path::Path;
use std::time::{Duration, Instant};

// Only sources that were written are read.
#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/kernels/src/packages.rs"]
mod packages;
#[path = "../products/mod.rs"]
mod products;

/// How often each row is measured at least, and how many launches are measured together: a row of single launches is measured more often.
const ROUNDS: usize = 7;
const LAUNCHES: usize = 200;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

struct Rig {
    gpu: Gpu,
    queue: Queue,
    /// Whether data is little.
    tests: bool,
    /// Whether each row is measured once, with one launch.
    once: bool,
}

/// A kernel, and the time that it took to make it.
struct Kernel {
    name: &'static str,
    pipeline: Pipeline,
    made: Duration,
}

impl Rig {
    fn kernel(
        &self,
        source: &str,
        title: &'static str,
        name: &str,
        constants: &ConstantValues,
    ) -> Result<Kernel, GpuError> {
        let start = Instant::now();
        let function = self.gpu.compile(source)?.function_with(name, constants)?;
        let pipeline = self.gpu.pipeline(&function)?;
        Ok(Kernel { name: title, pipeline, made: start.elapsed() })
    }

    fn own(&self, source: &str, name: &'static str) -> Result<Kernel, GpuError> {
        self.kernel(source, name, name, &ConstantValues::new())
    }

    /// A number that is smaller in a test.
    fn size(&self, full: usize, test: usize) -> usize {
        if self.tests { test } else { full }
    }

    /// Private memory with these bytes.
    fn private(&self, bytes: usize, write: impl FnOnce(&mut [u8])) -> Result<Buffer, GpuError> {
        let shared = self.gpu.buffer(bytes)?;
        shared.write_as(write);
        let private = self.gpu.buffer_private(bytes)?;
        self.copy(&shared, &private)?;
        Ok(private)
    }

    fn copy(&self, from: &Buffer, to: &Buffer) -> Result<(), GpuError> {
        let commands = self.queue.commands()?;
        let copier = commands.copier()?;
        copier.copy(from, 0, to, 0, to.size());
        copier.finish();
        commands.submit();
        commands.finish()
    }

    fn floats(&self, count: usize, value: impl Fn(usize) -> f32) -> Result<Buffer, GpuError> {
        self.private(4 * count, |bytes| {
            for (index, to) in bytes.chunks_exact_mut(4).enumerate() {
                to.copy_from_slice(&value(index).to_ne_bytes());
            }
        })
    }

    /// Private memory that is copied where the host reads it.
    fn read(&self, private: &Buffer) -> Result<Vec<u8>, GpuError> {
        let shared = self.gpu.buffer(private.size())?;
        self.copy(private, &shared)?;
        Ok(shared.read_as(<[u8]>::to_vec))
    }

    /// The time of a command buffer, without that of recording it, and with it.
    fn spent(&self, launches: usize, record: &dyn Fn(&Encoder)) -> Result<[Duration; 2], GpuError> {
        autorelease_pool(|| {
            let start = Instant::now();
            let commands = self.queue.commands()?;
            let encoder = commands.encoder()?;
            (0..launches).for_each(|_| record(&encoder));
            encoder.finish();
            let recorded = Instant::now();
            commands.submit();
            commands.finish()?;
            Ok([recorded.elapsed(), start.elapsed()])
        })
    }

    /// Prints the row of a kernel, and that of its first compilation.
    fn row(
        &self,
        name: &str,
        launches: usize,
        kernel: &Kernel,
        record: &dyn Fn(&Encoder),
    ) -> Result<[f64; 2], GpuError> {
        let record = |encoder: &Encoder| {
            encoder.bind(&kernel.pipeline);
            record(encoder);
        };
        let ([first, _], [second, _]) = (self.spent(1, &record)?, self.spent(1, &record)?);
        let compile = kernel.made + first.saturating_sub(second);
        println!("first compile {}\t{:.0}", kernel.name, compile.as_secs_f64() * 1e6);
        let mut least = [f64::INFINITY; 2];
        let (rounds, launches) = match self.once {
            true => (1, 1),
            false => (ROUNDS.max(LAUNCHES / launches), launches),
        };
        for _ in 0..rounds {
            let spent = self.spent(launches, &record)?;
            let each = spent.map(|spent| spent.as_secs_f64() * 1e6 / launches as f64);
            least = [0, 1].map(|at| least[at].min(each[at]));
        }
        println!("{name}\t{:.2}", least[0]);
        Ok(least)
    }

    fn own_rows(&self) -> Outcome {
        let launch = |encoder: &Encoder, buffers: &[&Buffer], bytes: &[u8], size: (Size, Size)| {
            for (index, buffer) in buffers.iter().enumerate() {
                encoder.bind_buffer(buffer, 0, index);
            }
            encoder.push(bytes, buffers.len());
            encoder.launch(size.0, size.1);
        };
        for (name, full) in [("saxpy 16 Mi", 16 << 20), ("saxpy 256 Mi", 256 << 20)] {
            let count = self.size(full, 1 << 12);
            let (y, x) = (self.floats(count, |_| 0.5)?, self.floats(count, |i| (i % 1000) as f32)?);
            let size = ((count, 1, 1), (256, 1, 1));
            let saxpy = self.own(include_str!("../kernels/saxpy.metal"), "saxpy")?;
            self.row(name, 20, &saxpy, &|to| launch(to, &[&y, &x], &0.5f32.to_ne_bytes(), size))?;
        }
        for (full, launches) in [(512usize, 50), (4096, 2)] {
            let n = self.size(full, 32);
            let number = |i: usize| (i % 17) as f32 / 16.0;
            let [a, b, c] = [
                self.floats(n * n, number)?,
                self.floats(n * n, number)?,
                self.floats(n * n, number)?,
            ];
            let (size, side) = (((n, n, 1), (16, 16, 1)), (n as u32).to_ne_bytes());
            let record = |to: &Encoder| launch(to, &[&c, &a, &b], &side, size);
            let naive = self.own(include_str!("../kernels/matmul.metal"), "matmul")?;
            self.row(&format!("matmul {full}"), launches, &naive, &record)?;
            let tiled = self.own(include_str!("../kernels/matmul_tiled.metal"), "matmul_tiled")?;
            self.row(&format!("matmul {full}, tiled"), launches, &tiled, &record)?;
        }
        let (n, out) = (self.size(1024, 32), self.gpu.buffer_private(4 << 20)?);
        let (size, side) = (((n, n, 1), (16, 16, 1)), (n as u32).to_ne_bytes());
        let mandelbrot = self.own(include_str!("../kernels/mandelbrot.metal"), "mandelbrot")?;
        self.row("mandelbrot 1024", 50, &mandelbrot, &|to| launch(to, &[&out], &side, size))?;

        let tiny = "kernel void tiny(device uint *x [[buffer(0)]], constant uint &add [[buffer(1)]]) { x[0] += add; }";
        let word = self.gpu.buffer(4)?;
        let one = ((1, 1, 1), (1, 1, 1));
        let tiny = self.own(tiny, "tiny")?;
        let record = |to: &Encoder| launch(to, &[&word], &1u32.to_ne_bytes(), one);
        self.row("a tiny kernel, submit to wait", 1, &tiny, &record)?;
        let [_, encoded] = self.row("a tiny kernel, 1 of 1,000", 1000, &tiny, &record)?;
        println!("a tiny kernel, 1 of 1,000, encode to wait\t{encoded:.2}");
        Ok(())
    }

    /// candle's product of square matrices of halves, by one of its kernels.
    fn gemm(&self, source: &str, title: &'static str, simdgroups: (usize, usize)) -> Outcome {
        let side = self.size(4096, 128);
        let (name, grid, group) = gemm_kernel("f16", side, simdgroups);
        let kernel = self.kernel(source, title, &name, &gemm_constants())?;
        let halves = |value: &dyn Fn(usize, usize) -> f32| {
            self.private(2 * side * side, |bytes| {
                for (index, to) in bytes.chunks_exact_mut(2).enumerate() {
                    let value = f32_to_fp16(value(index / side, index % side));
                    to.copy_from_slice(&value.to_ne_bytes());
                }
            })
        };
        let of_row = |row: usize| (row % 8) as f32 / 8.0;
        let of_column = |column: usize| (column % 4) as f32 / 64.0;
        let left = halves(&|row, _| of_row(row))?;
        let right = halves(&|_, column| of_column(column))?;
        let result = self.gpu.buffer_private(2 * side * side)?;
        let arguments = gemm_arguments(side);
        self.row(title, 3, &kernel, &|encoder| {
            for (buffer, index) in [&left, &right, &result].into_iter().zip([0, 1, 3]) {
                encoder.bind_buffer(buffer, 0, index);
            }
            encoder.push(&arguments, 4);
            encoder.launch(grid, group);
        })?;
        let found = self.read(&result)?;
        let expected = |row: usize, column: usize| side as f32 * of_row(row) * of_column(column);
        for (index, half) in found.chunks_exact(2).enumerate() {
            let expected = f32_to_fp16(expected(index / side, index % side)).to_ne_bytes();
            if half != expected {
                return Err(format!("{name}: element {index} is {half:?}, not {expected:?}").into());
            }
        }
        Ok(())
    }

    /// ggml's product of quantised rows and a vector.
    fn times_vector(&self, source: &str, title: &'static str, product: &VectorProduct) -> Outcome {
        let (rows, columns) = (self.size(32768, 64), self.size(8192, 256));
        let kernel = self.kernel(source, title, &product.kernel(), &product.constants())?;
        // Every weight of a row is the same, and scales are powers of two, so that sums are exact.
        let scale = f32_to_fp16(0.125).to_ne_bytes();
        let quant = |row: usize| (row % 7) as u8;
        let row_bytes = product.row_bytes(columns);
        let weights = self.private(rows * row_bytes, |bytes| {
            for (row, bytes) in bytes.chunks_exact_mut(row_bytes).enumerate() {
                for block in bytes.chunks_exact_mut(product.bytes) {
                    block.fill(quant(row));
                    block[..2].copy_from_slice(&scale);
                }
            }
        })?;
        let vector = self.floats(columns, |_| 0.5)?;
        let result = self.gpu.buffer_private(4 * rows)?;
        let (arguments, (grid, group)) = (product.arguments(rows, columns), product.size(rows));
        self.row(&format!("{title} 32768 × 8192"), 20, &kernel, &|encoder| {
            encoder.push(&arguments, 0);
            for (index, buffer) in [&weights, &vector, &result].into_iter().enumerate() {
                encoder.bind_buffer(buffer, 0, index + 1);
            }
            encoder.threadgroup_memory(product.threadgroup_bytes(), 0);
            encoder.launch(grid, group);
        })?;
        // A byte of q4_0 has two weights of four bits, 8 less than the bits say.
        let of_block = |row: usize| match product.bytes {
            34 => f32::from(quant(row)) * WEIGHTS as f32,
            _ => (f32::from(quant(row)) - 8.0 - 8.0) * (WEIGHTS / 2) as f32,
        };
        let found = self.read(&result)?;
        for (row, sum) in found.chunks_exact(4).enumerate() {
            let expected = 0.125 * 0.5 * of_block(row) * (columns / WEIGHTS) as f32;
            let sum = f32::from_ne_bytes([sum[0], sum[1], sum[2], sum[3]]);
            if sum != expected {
                return Err(format!("{title}: row {row} is {sum}, not {expected}").into());
            }
        }
        Ok(())
    }
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let (tests, once) = (has("--test"), has("--test") || has("--once"));
    let sources = arguments.iter().find(|argument| !argument.starts_with('-'));
    let gpu = Gpu::open()?;
    let queue = gpu.new_command_queue()?;
    let rig = Rig { gpu, queue, tests, once };
    println!("# {}", rig.gpu.name());
    rig.own_rows()?;
    let Some(sources) = sources else { return Ok(()) };
    let registry = Registry::written(Path::new(sources))?;
    let candle = registry.source("candle-metal-kernels", "mlx_gemm.metal")?;
    rig.gemm(&candle, "candle gemm f16 4096", CANDLE_HALVES)?;
    rig.gemm(&candle, "candle gemm f16 4096, 2 × 2 SIMD-groups", CANDLE_FLOATS)?;
    let ggml = registry.source("whisper-rs-sys", "ggml-metal.metal")?;
    rig.times_vector(&ggml, "ggml q4_0", &Q4_0)?;
    rig.times_vector(&ggml, "ggml q8_0", &Q8_0)
}
