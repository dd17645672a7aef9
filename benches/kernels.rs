//! What kernels cost, beside plain Rust on one core and on all cores, and what it costs to compile them.
//!
//! A kernel's time is from submitting its command buffer to the end of waiting for it. Each result
//! is checked against plain Rust's before anything is measured. `ARUMINIUM_BENCH_OPENCL=1` puts the same
//! kernels in OpenCL beside them, where a driver is installed.

use aruminium::{Buffer, Commands, Encoder, Gpu, GpuError, Pipeline, Queue};
use opencl::{Argument, Memory, OpenCl};
use rounds::{Way, compare, way};

mod opencl;
mod rounds;

/// A kernel in both languages.
struct Source {
    name: &'static str,
    metal: &'static str,
    opencl: &'static str,
}

macro_rules! source {
    ($name:literal) => {
        Source {
            name: $name,
            metal: include_str!(concat!("kernels/", $name, ".metal")),
            opencl: include_str!(concat!("kernels/", $name, ".cl")),
        }
    };
}

const SAXPY: Source = source!("saxpy");
const MATMUL: Source = source!("matmul");
const MATMUL_TILED: Source = source!("matmul_tiled");
const MANDELBROT: Source = source!("mandelbrot");
const SUM: Source = source!("sum");
const HISTOGRAM: Source = source!("histogram");
const ALL: [&Source; 6] = [&SAXPY, &MATMUL, &MATMUL_TILED, &MANDELBROT, &SUM, &HISTOGRAM];

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
    /// The same in OpenCL, with the memory of its result.
    peer: Option<(opencl::Kernel<'a>, Memory)>,
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

/// Where kernels are made.
struct Place<'a> {
    gpu: &'a Gpu,
    queue: &'a Queue,
    cl: Option<&'a OpenCl>,
}

impl<'a> Place<'a> {
    /// A kernel and its peer; `arguments` makes those of the peer, the first of them its result.
    fn kernel(
        &self,
        source: &Source,
        bind: &'a dyn Fn(&Encoder),
        arguments: impl FnOnce(&OpenCl) -> Vec<Argument<'a>>,
        grid: (usize, usize, usize),
        group: (usize, usize, usize),
    ) -> Result<Kernel<'a>, GpuError> {
        let pipeline = runnable(self.gpu, source)?;
        let peer = self.cl.map(|cl| {
            let arguments = arguments(cl);
            let Some(Argument::Memory(result)) = arguments.first() else {
                panic!("the first argument of {} is its result", source.name)
            };
            (cl.kernel(source.opencl, source.name, &arguments, grid, group), *result)
        });
        Ok(Kernel { queue: self.queue, pipeline, bind, grid, group, peer })
    }

    /// Measures a kernel beside the same work in Rust on one core and on all of them, which fill slices.
    fn beside<T: Copy + Default + PartialEq + std::fmt::Debug>(
        &self,
        title: &str,
        kernel: &Kernel<'_>,
        output: impl Fn() -> Vec<T>,
        alone: impl Fn(&mut [T]),
        together: impl Fn(&mut [T]),
    ) {
        kernel.run().expect("the kernel runs");
        let found = output();
        let mut out = vec![T::default(); found.len()];
        alone(&mut out);
        assert!(found == out, "{title}: the kernel and Rust differ");
        let mut parallel = vec![T::default(); found.len()];
        together(&mut parallel);
        assert!(parallel == out, "{title}: Rust differs on all cores");
        if let (Some(cl), Some((peer, result))) = (self.cl, &kernel.peer) {
            peer.run();
            assert!(cl.read::<T>(*result) == out, "{title}: OpenCL and Rust differ");
        }
        let peer = || kernel.peer.iter().for_each(|(peer, _)| peer.run());
        let ways: &mut [Way<'_>] = &mut [
            way!("Rust, one core", alone(&mut out)),
            way!("Rust, all cores", together(&mut parallel)),
            way!("aruminium", kernel.run().expect("it ran before")),
            way!("OpenCL", peer()),
        ];
        let count = if kernel.peer.is_some() { 4 } else { 3 };
        compare(title, None, &mut ways[..count]);
    }
}

/// From the text of a kernel to what can be launched.
fn runnable(gpu: &Gpu, source: &Source) -> Result<Pipeline, GpuError> {
    gpu.pipeline(&gpu.compile(source.metal)?.function(source.name)?)
}

/// Splits the output over all cores; each part knows where it begins.
fn on_all_cores<T: Send>(out: &mut [T], unit: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let part = part_of(out.len(), unit);
    std::thread::scope(|scope| {
        for (index, out) in out.chunks_mut(part).enumerate() {
            let work = &work;
            scope.spawn(move || work(index * part, out));
        }
    });
}

/// How much of so many elements each core gets, in whole units.
fn part_of(elements: usize, unit: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    elements.div_ceil(cores).next_multiple_of(unit)
}

/// Counts words by their highest byte.
fn count(words: &[u32], bins: &mut [u32]) {
    bins.fill(0);
    words.iter().for_each(|word| bins[(word >> 24) as usize] += 1);
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let cl = OpenCl::open();
    println!("{}", gpu.name());
    cl.iter().for_each(|cl| println!("OpenCL: {}", cl.name()));
    let queue = gpu.new_command_queue()?;
    let place = Place { gpu: &gpu, queue: &queue, cl: cl.as_ref() };
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
    let arguments = |cl: &OpenCl| {
        vec![
            Argument::Memory(cl.memory(&y)),
            Argument::Memory(cl.memory(&x)),
            Argument::Bytes(&[0; 4]),
        ]
    };
    let a = std::hint::black_box(0.0f32);
    let saxpy = |at: usize, out: &mut [f32]| {
        for ((out, x), y) in out.iter_mut().zip(&x[at..]).zip(&y[at..]) {
            *out = a * x + y;
        }
    };
    place.beside(
        "saxpy, 16 Mi",
        &place.kernel(&SAXPY, &bind, arguments, (ELEMENTS, 1, 1), (256, 1, 1))?,
        || y_buffer.read_f32(<[f32]>::to_vec),
        |out| saxpy(0, out),
        |out| on_all_cores(out, 1, saxpy),
    );

    let (left, right) = (floats(SIDE * SIDE), floats(SIDE * SIDE));
    let (a_buffer, b_buffer, c_buffer) =
        (upload(&left)?, upload(&right)?, gpu.buffer(SIDE * SIDE * 4)?);
    let side = (SIDE as u32).to_ne_bytes();
    let bind = |encoder: &Encoder| {
        for (index, buffer) in [&c_buffer, &a_buffer, &b_buffer].into_iter().enumerate() {
            encoder.bind_buffer(buffer, 0, index);
        }
        encoder.push(&side, 3);
    };
    // Sums of these numbers are exact, so that it does not matter whether products are rounded.
    let matmul = |at: usize, out: &mut [f32]| {
        for (row, out) in out.chunks_mut(SIDE).enumerate() {
            out.fill(0.0);
            let row = &left[at + row * SIDE..][..SIDE];
            for (&a, right) in row.iter().zip(right.chunks(SIDE)) {
                for (out, &b) in out.iter_mut().zip(right) {
                    *out += a * b;
                }
            }
        }
    };
    for (title, source) in [("matmul 512³", &MATMUL), ("matmul 512³, tiles of 16", &MATMUL_TILED)]
    {
        let arguments = |cl: &OpenCl| {
            vec![
                Argument::Memory(cl.memory(&[0f32; SIDE * SIDE])),
                Argument::Memory(cl.memory(&left)),
                Argument::Memory(cl.memory(&right)),
                Argument::Bytes(&side),
            ]
        };
        place.beside(
            title,
            &place.kernel(source, &bind, arguments, (SIDE, SIDE, 1), (16, 16, 1))?,
            || c_buffer.read_f32(<[f32]>::to_vec),
            |out| matmul(0, out),
            |out| on_all_cores(out, SIDE, matmul),
        );
    }

    let picture = gpu.buffer(PICTURE * PICTURE * 4)?;
    let side = (PICTURE as u32).to_ne_bytes();
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&picture, 0, 0);
        encoder.push(&side, 1);
    };
    let arguments = |cl: &OpenCl| {
        let result = cl.memory(&vec![0u32; PICTURE * PICTURE]);
        vec![Argument::Memory(result), Argument::Bytes(&side)]
    };
    let mandelbrot = |at: usize, out: &mut [u32]| {
        for (index, out) in out.iter_mut().enumerate() {
            let part = |place: usize| place as f32 / PICTURE as f32 * 3.0;
            let (cx, cy) =
                (part((at + index) % PICTURE) - 2.25, part((at + index) / PICTURE) - 1.5);
            let (mut x, mut y, mut k) = (0.0f32, 0.0f32, 0);
            while k < 256 && x * x + y * y <= 4.0 {
                (x, y) = (x * x - y * y + cx, 2.0 * x * y + cy);
                k += 1;
            }
            *out = k;
        }
    };
    place.beside(
        "mandelbrot 1024², 256 turns",
        &place.kernel(&MANDELBROT, &bind, arguments, (PICTURE, PICTURE, 1), (16, 16, 1))?,
        || picture.read_as(<[u32]>::to_vec),
        |out| mandelbrot(0, out),
        |out| on_all_cores(out, 1, mandelbrot),
    );

    let words: Vec<u32> = (0..ELEMENTS as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let words_buffer = gpu.buffer(ELEMENTS * 4)?;
    words_buffer.write_as(|to: &mut [u32]| to.copy_from_slice(&words));
    let partial = gpu.buffer(ELEMENTS / 256 * 4)?;
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&partial, 0, 0);
        encoder.bind_buffer(&words_buffer, 0, 1);
    };
    let arguments = |cl: &OpenCl| {
        let result = cl.memory(&vec![0u32; ELEMENTS / 256]);
        vec![Argument::Memory(result), Argument::Memory(cl.memory(&words))]
    };
    let sum = |at: usize, out: &mut [u32]| {
        for (out, words) in out.iter_mut().zip(words.chunks(256).skip(at)) {
            *out = words.iter().fold(0, |sum, word| sum.wrapping_add(*word));
        }
    };
    place.beside(
        "sums of 256, 16 Mi",
        &place.kernel(&SUM, &bind, arguments, (ELEMENTS, 1, 1), (256, 1, 1))?,
        || partial.read_as(<[u32]>::to_vec),
        |out| sum(0, out),
        |out| on_all_cores(out, 1, sum),
    );

    // Counts go on from run to run, so the check is of the first only.
    let bins = gpu.buffer(256 * 4)?;
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&bins, 0, 0);
        encoder.bind_buffer(&words_buffer, 0, 1);
    };
    let arguments = |cl: &OpenCl| {
        vec![Argument::Memory(cl.memory(&[0u32; 256])), Argument::Memory(cl.memory(&words))]
    };
    place.beside(
        "histogram, 16 Mi in 256 bins",
        &place.kernel(&HISTOGRAM, &bind, arguments, (ELEMENTS, 1, 1), (256, 1, 1))?,
        || bins.read_as(<[u32]>::to_vec),
        |out| count(&words, out),
        |out| {
            // Each core counts its part of the words, in bins of its own.
            let part = part_of(words.len(), 1);
            let mut parts = vec![[0u32; 256]; words.len().div_ceil(part)];
            on_all_cores(&mut parts, 1, |at, parts| {
                for (index, bins) in parts.iter_mut().enumerate() {
                    count(words.chunks(part).nth(at + index).unwrap_or_default(), bins);
                }
            });
            out.fill(0);
            for bins in &parts {
                out.iter_mut().zip(bins).for_each(|(sum, count)| *sum += count);
            }
        },
    );

    let mut compiled = ALL.map(|source| {
        let gpu = &gpu;
        let repeat = move |times: usize| {
            for _ in 0..times {
                std::hint::black_box(runnable(gpu, source).expect("it compiled before"));
            }
        };
        (source.name, repeat)
    });
    let mut ways = compiled.each_mut().map(|(name, repeat)| Way { name, repeat });
    compare("from source to runnable", None, &mut ways);
    Ok(())
}
