//! The kernels of this folder, the same in Metal's language and in OpenCL's.

use aruminium::{Encoder, Gpu, GpuError, Pipeline};

use crate::limit::{self, Set};
use crate::opencl::{Argument, OpenCl};
use crate::place::{Kernel, Place, Size, floats, in_parts, multiply, on_all_cores, part_of};
use crate::rounds::{Way, compare};

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
            metal: include_str!(concat!($name, ".metal")),
            opencl: include_str!(concat!($name, ".cl")),
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

/// Compiles a kernel's text to a pipeline.
fn runnable(gpu: &Gpu, source: &Source) -> Result<Pipeline, GpuError> {
    gpu.pipeline(&gpu.compile(source.metal)?.function(source.name)?)
}

/// A kernel with its peer, both over the same threads.
fn kernel<'a>(
    place: &Place<'a>,
    source: &Source,
    bind: &'a dyn Fn(&Encoder),
    arguments: impl FnOnce(&OpenCl) -> Vec<Argument<'a>>,
    (grid, group): (Size, Size),
) -> Result<Kernel<'a>, GpuError> {
    let pipeline = runnable(place.gpu, source)?;
    let peer = (source.name, source.opencl);
    Ok(place.kernel((pipeline, grid, group), (peer, grid, group), bind, arguments))
}

/// Counts words by their highest byte.
fn count(words: &[u32], bins: &mut [u32]) {
    bins.fill(0);
    words.iter().for_each(|word| bins[(word >> 24) as usize] += 1);
}

/// Each core counts its part of the words, in bins of its own.
fn count_on_all_cores(
    words: &[u32],
    out: &mut [u32],
    count: impl Fn(&[u32], &mut [u32; 256]) + Sync,
) {
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
}

/// Measures all of them.
pub(crate) fn measure(place: &Place<'_>) -> Result<(), GpuError> {
    let set = Set::of(&place.gpu.name());
    // y += 0·x keeps y the same however often it runs.
    let (x, y) = (floats(ELEMENTS), floats(ELEMENTS));
    let (x_buffer, y_buffer) = (place.upload(&x)?, place.upload(&y)?);
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
    // The measured `a` is 0, and a limit that does nothing would pass that check.
    let mut three = [1.0; 37];
    set.saxpy(2.0, &[1.0; 37], &mut three);
    assert!(three == [3.0; 37], "saxpy: the limit is wrong");
    let a = std::hint::black_box(0.0f32);
    let saxpy = |at: usize, out: &mut [f32]| {
        for ((out, x), y) in out.iter_mut().zip(&x[at..]).zip(&y[at..]) {
            *out = a * x + y;
        }
    };
    let mut limit = |out: &mut [f32]| {
        in_parts(out, 16, |at, out| set.saxpy(a, &x[at..][..out.len()], out));
    };
    place.beside(
        "saxpy, 16 Mi",
        &kernel(place, &SAXPY, &bind, arguments, ((ELEMENTS, 1, 1), (256, 1, 1)))?,
        || y_buffer.read_f32(<[f32]>::to_vec),
        Some(&mut limit),
        |out| saxpy(0, out),
        |out| on_all_cores(out, 1, saxpy),
    );

    let (left, right) = (floats(SIDE * SIDE), floats(SIDE * SIDE));
    let (a_buffer, b_buffer, c_buffer) =
        (place.upload(&left)?, place.upload(&right)?, place.gpu.buffer(SIDE * SIDE * 4)?);
    let side = (SIDE as u32).to_ne_bytes();
    let bind = |encoder: &Encoder| {
        for (index, buffer) in [&c_buffer, &a_buffer, &b_buffer].into_iter().enumerate() {
            encoder.bind_buffer(buffer, 0, index);
        }
        encoder.push(&side, 3);
    };
    let matmul = |at: usize, out: &mut [f32]| multiply(&left, &right, SIDE, at, out);
    for (title, source, tiled) in
        [("matmul 512³", &MATMUL, false), ("matmul 512³, tiles of 16", &MATMUL_TILED, true)]
    {
        let arguments = |cl: &OpenCl| {
            vec![
                Argument::Memory(cl.memory(&[0f32; SIDE * SIDE])),
                Argument::Memory(cl.memory(&left)),
                Argument::Memory(cl.memory(&right)),
                Argument::Bytes(&side),
            ]
        };
        let mut limit = |out: &mut [f32]| {
            if tiled {
                in_parts(out, 16 * SIDE, |at, out| {
                    set.multiply_tiles(&left, &right, SIDE, at, out)
                });
            } else {
                in_parts(out, SIDE, |at, out| set.multiply(&left, &right, SIDE, at, out));
            }
        };
        place.beside(
            title,
            &kernel(place, source, &bind, arguments, ((SIDE, SIDE, 1), (16, 16, 1)))?,
            || c_buffer.read_f32(<[f32]>::to_vec),
            Some(&mut limit),
            |out| matmul(0, out),
            |out| on_all_cores(out, SIDE, matmul),
        );
    }

    let picture = place.gpu.buffer(PICTURE * PICTURE * 4)?;
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
        "mandelbrot 1024², 256 iterations",
        &kernel(place, &MANDELBROT, &bind, arguments, ((PICTURE, PICTURE, 1), (16, 16, 1)))?,
        || picture.read_as(<[u32]>::to_vec),
        Some(&mut |out| in_parts(out, PICTURE, |at, out| set.mandelbrot(PICTURE, at, out))),
        |out| mandelbrot(0, out),
        |out| on_all_cores(out, 1, mandelbrot),
    );

    let words: Vec<u32> = (0..ELEMENTS as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let words_buffer = place.gpu.buffer(ELEMENTS * 4)?;
    words_buffer.write_as(|to: &mut [u32]| to.copy_from_slice(&words));
    let partial = place.gpu.buffer(ELEMENTS / 256 * 4)?;
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
        &kernel(place, &SUM, &bind, arguments, ((ELEMENTS, 1, 1), (256, 1, 1)))?,
        || partial.read_as(<[u32]>::to_vec),
        Some(&mut |out| in_parts(out, 1, |at, out| set.sums(&words[at * 256..], out))),
        |out| sum(0, out),
        |out| on_all_cores(out, 1, sum),
    );

    // Counts add up from run to run, so only the first run is checked.
    let bins = place.gpu.buffer(256 * 4)?;
    let bind = |encoder: &Encoder| {
        encoder.bind_buffer(&bins, 0, 0);
        encoder.bind_buffer(&words_buffer, 0, 1);
    };
    let arguments = |cl: &OpenCl| {
        vec![Argument::Memory(cl.memory(&[0u32; 256])), Argument::Memory(cl.memory(&words))]
    };
    place.beside(
        "histogram, 16 Mi in 256 bins",
        &kernel(place, &HISTOGRAM, &bind, arguments, ((ELEMENTS, 1, 1), (256, 1, 1)))?,
        || bins.read_as(<[u32]>::to_vec),
        Some(&mut |out| count_on_all_cores(&words, out, limit::count)),
        |out| count(&words, out),
        |out| count_on_all_cores(&words, out, |words, bins| count(words, bins)),
    );

    let mut compiled = ALL.map(|source| {
        let gpu = place.gpu;
        let repeat = move |times: usize| {
            let start = std::time::Instant::now();
            for _ in 0..times {
                std::hint::black_box(runnable(gpu, source).expect("it compiled before"));
            }
            start.elapsed()
        };
        (source.name, repeat)
    });
    let mut ways = compiled.each_mut().map(|(name, repeat)| Way { name, repeat });
    compare("from source to runnable", None, &mut ways);
    Ok(())
}
