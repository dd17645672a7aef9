//! What kernels cost, beside plain Rust on one core and on all cores.
//!
//! A kernel's time is from submitting its command buffer to the end of waiting for it. Each result
//! is checked against plain Rust's before anything is measured.

use aruminium::{Buffer, Commands, Encoder, Gpu, GpuError, Pipeline, Queue};
use rounds::{Way, compare};

mod rounds;

const SOURCE: &str = r"
#include <metal_stdlib>
using namespace metal;

kernel void saxpy(device float *y [[buffer(0)]], device const float *x [[buffer(1)]],
                  constant float &a [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    y[i] = a * x[i] + y[i];
}

kernel void matmul(device float *c [[buffer(0)]], device const float *a [[buffer(1)]],
                   device const float *b [[buffer(2)]], constant uint &n [[buffer(3)]],
                   uint2 at [[thread_position_in_grid]]) {
    float sum = 0;
    for (uint k = 0; k < n; k++) sum = fma(a[at.y * n + k], b[k * n + at.x], sum);
    c[at.y * n + at.x] = sum;
}

kernel void matmul_tiled(device float *c [[buffer(0)]], device const float *a [[buffer(1)]],
                         device const float *b [[buffer(2)]], constant uint &n [[buffer(3)]],
                         uint2 at [[thread_position_in_grid]],
                         uint2 in_group [[thread_position_in_threadgroup]]) {
    threadgroup float tile_a[16][16];
    threadgroup float tile_b[16][16];
    float sum = 0;
    for (uint tile = 0; tile < n; tile += 16) {
        tile_a[in_group.y][in_group.x] = a[at.y * n + tile + in_group.x];
        tile_b[in_group.y][in_group.x] = b[(tile + in_group.y) * n + at.x];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = 0; k < 16; k++) sum = fma(tile_a[in_group.y][k], tile_b[k][in_group.x], sum);
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    c[at.y * n + at.x] = sum;
}

kernel void mandelbrot(device uint *out [[buffer(0)]], constant uint &n [[buffer(1)]],
                       uint2 at [[thread_position_in_grid]]) {
    float cx = float(at.x) / float(n) * 3.0f - 2.25f;
    float cy = float(at.y) / float(n) * 3.0f - 1.5f;
    float x = 0, y = 0;
    uint k = 0;
    while (k < 256 && x * x + y * y <= 4) {
        float next = fma(x, x, fma(-y, y, cx));
        y = fma(2 * x, y, cy);
        x = next;
        k++;
    }
    out[at.y * n + at.x] = k;
}

kernel void sum(device uint *partial [[buffer(0)]], device const uint *in [[buffer(1)]],
                uint i [[thread_position_in_grid]], uint lane [[thread_position_in_threadgroup]],
                uint group [[threadgroup_position_in_grid]]) {
    threadgroup uint shared[256];
    shared[lane] = in[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint half_size = 128; half_size > 0; half_size /= 2) {
        if (lane < half_size) shared[lane] += shared[lane + half_size];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (lane == 0) partial[group] = shared[0];
}

kernel void histogram(device atomic_uint *bins [[buffer(0)]], device const uint *in [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(&bins[in[i] >> 24], 1, memory_order_relaxed);
}
";

const ELEMENTS: usize = 16 << 20;
const SIDE: usize = 512;
const PICTURE: usize = 1024;

/// One kernel with all that is bound to it, and the threads that it runs.
struct Kernel<'a> {
    queue: &'a Queue,
    pipeline: Pipeline,
    bind: &'a dyn Fn(&Encoder),
    grid: (usize, usize, usize),
    group: (usize, usize, usize),
}

impl Kernel<'_> {
    fn run(&self) -> Result<(), GpuError> {
        let commands: Commands = self.queue.commands()?;
        let encoder = commands.encoder()?;
        encoder.bind(&self.pipeline);
        (self.bind)(&encoder);
        encoder.launch(self.grid, self.group);
        encoder.finish();
        commands.submit();
        commands.finish()
    }
}

/// Splits the output over all cores; each part knows where it begins.
fn on_all_cores<T: Send>(out: &mut [T], unit: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let part = out.len().div_ceil(cores).next_multiple_of(unit);
    std::thread::scope(|scope| {
        for (index, part_of) in out.chunks_mut(part).enumerate() {
            let work = &work;
            scope.spawn(move || work(index * part, part_of));
        }
    });
}

/// Measures a kernel beside the same work in Rust, which fills a slice from a place on.
fn beside<T: Send + Copy + Default + PartialEq + std::fmt::Debug>(
    title: &str,
    kernel: &Kernel<'_>,
    output: impl Fn() -> Vec<T>,
    unit: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    kernel.run().expect("the kernel runs");
    let found = output();
    let mut out = vec![T::default(); found.len()];
    work(0, &mut out);
    assert!(found == out, "{title}: the kernel and Rust differ");
    let mut parallel = out.clone();
    compare(
        title,
        None,
        &mut [
            Way {
                name: "Rust, one core",
                repeat: &mut |times| (0..times).for_each(|_| work(0, &mut out)),
            },
            Way {
                name: "Rust, all cores",
                repeat: &mut |times| {
                    (0..times).for_each(|_| on_all_cores(&mut parallel, unit, &work))
                },
            },
            Way {
                name: "aruminium",
                repeat: &mut |times| (0..times).for_each(|_| kernel.run().expect("it ran before")),
            },
        ],
    );
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    println!("{}", gpu.name());
    let library = gpu.compile(SOURCE)?;
    let queue = gpu.new_command_queue()?;
    let kernel = |name: &str, bind, grid, group| -> Result<Kernel<'_>, GpuError> {
        Ok(Kernel {
            queue: &queue,
            pipeline: gpu.pipeline(&library.function(name)?)?,
            bind,
            grid,
            group,
        })
    };
    let floats =
        |n: usize| -> Vec<f32> { (0..n).map(|i| ((i * 37) % 101) as f32 / 16.0).collect() };
    let upload = |values: &[f32]| -> Result<Buffer, GpuError> {
        let buffer = gpu.buffer(values.len() * 4)?;
        buffer.write_f32(|to| to.copy_from_slice(values));
        Ok(buffer)
    };

    // y += 0·x keeps y the same however often it runs.
    let (x, y) = (floats(ELEMENTS), floats(ELEMENTS));
    let (x_buffer, y_buffer) = (upload(&x)?, upload(&y)?);
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&y_buffer, 0, 0);
        encoder.bind_buffer(&x_buffer, 0, 1);
        encoder.push(&0.0f32.to_ne_bytes(), 2);
    };
    let a = std::hint::black_box(0.0f32);
    beside(
        "saxpy, 16 Mi",
        &kernel("saxpy", &bind, (ELEMENTS, 1, 1), (256, 1, 1))?,
        || y_buffer.read_f32(<[f32]>::to_vec),
        1,
        |at, out| {
            for ((out, x), y) in out.iter_mut().zip(&x[at..]).zip(&y[at..]) {
                *out = a * x + y;
            }
        },
    );

    let (left, right) = (floats(SIDE * SIDE), floats(SIDE * SIDE));
    let (a_buffer, b_buffer, c_buffer) =
        (upload(&left)?, upload(&right)?, gpu.buffer(SIDE * SIDE * 4)?);
    let bind = |encoder: &Encoder| {
        for (index, buffer) in [&c_buffer, &a_buffer, &b_buffer].into_iter().enumerate() {
            encoder.bind_buffer(buffer, 0, index);
        }
        encoder.push(&(SIDE as u32).to_ne_bytes(), 3);
    };
    for (title, name) in [("matmul 512³", "matmul"), ("matmul 512³, tiles of 16", "matmul_tiled")]
    {
        beside(
            title,
            &kernel(name, &bind, (SIDE, SIDE, 1), (16, 16, 1))?,
            || c_buffer.read_f32(<[f32]>::to_vec),
            SIDE,
            |at, out| {
                for (row, out) in out.chunks_mut(SIDE).enumerate() {
                    out.fill(0.0);
                    let row = &left[at + row * SIDE..][..SIDE];
                    for (&a, right) in row.iter().zip(right.chunks(SIDE)) {
                        for (out, &b) in out.iter_mut().zip(right) {
                            *out = a.mul_add(b, *out);
                        }
                    }
                }
            },
        );
    }

    let picture = gpu.buffer(PICTURE * PICTURE * 4)?;
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&picture, 0, 0);
        encoder.push(&(PICTURE as u32).to_ne_bytes(), 1);
    };
    beside(
        "mandelbrot 1024², 256 turns",
        &kernel("mandelbrot", &bind, (PICTURE, PICTURE, 1), (16, 16, 1))?,
        || picture.read_as(<[u32]>::to_vec),
        1,
        |at, out| {
            for (index, out) in out.iter_mut().enumerate() {
                let part = |place: usize| place as f32 / PICTURE as f32 * 3.0;
                let (cx, cy) =
                    (part((at + index) % PICTURE) - 2.25, part((at + index) / PICTURE) - 1.5);
                let (mut x, mut y, mut k) = (0.0f32, 0.0f32, 0);
                while k < 256 && x * x + y * y <= 4.0 {
                    (x, y) = (x.mul_add(x, (-y).mul_add(y, cx)), (2.0 * x).mul_add(y, cy));
                    k += 1;
                }
                *out = k;
            }
        },
    );

    let words: Vec<u32> = (0..ELEMENTS as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let words_buffer = gpu.buffer(ELEMENTS * 4)?;
    words_buffer.write_as(|to: &mut [u32]| to.copy_from_slice(&words));
    let partial = gpu.buffer(ELEMENTS / 256 * 4)?;
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&partial, 0, 0);
        encoder.bind_buffer(&words_buffer, 0, 1);
    };
    beside(
        "sums of 256, 16 Mi",
        &kernel("sum", &bind, (ELEMENTS, 1, 1), (256, 1, 1))?,
        || partial.read_as(<[u32]>::to_vec),
        1,
        |at, out| {
            for (out, words) in out.iter_mut().zip(words.chunks(256).skip(at)) {
                *out = words.iter().fold(0, |sum, word| sum.wrapping_add(*word));
            }
        },
    );

    // Counts go on from run to run, so the check is of the first only.
    let bins = gpu.buffer(256 * 4)?;
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&bins, 0, 0);
        encoder.bind_buffer(&words_buffer, 0, 1);
    };
    beside(
        "histogram, 16 Mi in 256 bins",
        &kernel("histogram", &bind, (ELEMENTS, 1, 1), (256, 1, 1))?,
        || bins.read_as(<[u32]>::to_vec),
        256,
        |_, out| {
            out.fill(0);
            words.iter().for_each(|word| out[(word >> 24) as usize] += 1);
        },
    );
    Ok(())
}
