//! Measures kernels; `cargo test --release -- --ignored speed --nocapture`.

use std::time::Instant;

use super::kernels::{mandelbrot, matmul, saxpy, tiled_matmul};
use super::lanes::{histogram, reduce};
use super::*;

/// Times a plain loop on one core.
fn plain(name: &str, mut run: impl FnMut()) {
    let mut core = f64::INFINITY;
    for _ in 0..3 {
        let start = on_core();
        run();
        core = core.min((on_core() - start) / 1e6);
    }
    println!("{name:14} {:10} {:12} {core:13.3} ms of one core", "plain Rust", "");
}

/// CPU time of this thread in nanoseconds: the time of a launch without other workers, however busy the machine is.
fn on_core() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn time(name: &str, module: &Module, launch: &Launch<'_>) {
    let (workers, alone) = (Workers::for_this_machine(), Workers::new(1));
    // Without optimisation the interpreter takes minutes.
    for way in Way::all().into_iter().filter(|way| way.is_native() || !cfg!(debug_assertions)) {
        let start = Instant::now();
        let program = way.program(module).unwrap();
        let compile = start.elapsed();
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            // SAFETY: the bindings outlive the launch.
            unsafe { program.launch_by_index(launch, &workers) }.unwrap();
            best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
        // The mean of many, as the clock of a thread's time is coarse.
        const LAUNCHES: u32 = 25;
        let start = on_core();
        for _ in 0..LAUNCHES {
            // SAFETY: the bindings outlive the launch.
            unsafe { program.launch_by_index(launch, &alone) }.unwrap();
        }
        let core = (on_core() - start) / 1e6 / f64::from(LAUNCHES);
        let way = way.name();
        println!(
            "{name:14} {way:10} {best:9.3} ms, {core:9.3} ms of one core, ready in {compile:?}"
        );
    }
}

#[test]
#[ignore = "measures, and checks nothing"]
fn speed() {
    let n = 1 << 24;
    let (mut x, mut y) = (vec![1f32; n], vec![2f32; n]);
    let mut parameters = [2f32.to_bits(), n as u32];
    let bindings = [bind(0, &mut x), bind(1, &mut y), bind(2, &mut parameters)];
    time("saxpy 16M", &saxpy(), &launch([n as u32, 1, 1], [256, 1, 1], &bindings));

    plain("saxpy 16M", || {
        let (x, y) = (std::hint::black_box(&x), &mut y);
        y.iter_mut().zip(x).for_each(|(y, x)| *y += 2.0 * x);
    });
    let bindings = [bind(0, &mut x), bind(1, &mut y[..n / 256])];
    time("sum 16M", &reduce(), &launch([n as u32, 1, 1], [256, 1, 1], &bindings));
    plain("sum 16M", || {
        let sums = std::hint::black_box(&x).chunks(256).map(|chunk| chunk.iter().sum::<f32>());
        sums.zip(&mut y).for_each(|(sum, y)| *y = sum);
    });
    let (mut bytes, mut bins) =
        ((0..n).map(|i| (i * 7 / 5) as u8).collect::<Vec<_>>(), [0u32; 256]);
    let bindings = [bind(0, &mut bytes), bind(1, &mut bins)];
    time("histogram 16M", &histogram(), &launch([n as u32, 1, 1], [256, 1, 1], &bindings));
    plain("histogram 16M", || {
        std::hint::black_box(&bytes).iter().for_each(|&byte| bins[byte as usize] += 1);
    });

    let n = 512;
    let (mut a, mut b, mut c) = (vec![1f32; n * n], vec![0.5f32; n * n], vec![0f32; n * n]);
    let mut parameters = [n as u32];
    let bindings = [bind(0, &mut a), bind(1, &mut b), bind(2, &mut c), bind(3, &mut parameters)];
    let grid = launch([n as u32, n as u32, 1], [16, 16, 1], &bindings);
    time("matmul", &matmul(), &grid);
    time("tiled matmul", &tiled_matmul(), &grid);

    plain("matmul", || {
        let (a, b) = (std::hint::black_box(&a), std::hint::black_box(&b));
        for (at, c) in c.iter_mut().enumerate() {
            let (row, column) = (at / n * n, at % n);
            *c = (0..n).map(|k| a[row + k] * b[k * n + column]).sum();
        }
    });

    let mut out = vec![0u32; 1024 * 1024];
    let mut parameters = [1024u32];
    let bindings = [bind(0, &mut out), bind(1, &mut parameters)];
    time("mandelbrot", &mandelbrot(), &launch([1024, 1024, 1], [16, 16, 1], &bindings));

    plain("mandelbrot", || {
        for (at, out) in out.iter_mut().enumerate() {
            let cx = (at % 1024) as f32 * 3.0 / 1024.0 - 2.25;
            let cy = (at / 1024) as f32 * 3.0 / 1024.0 - 1.5;
            let (mut x, mut y, mut i) = (0f32, 0f32, 0);
            while i < 256 && x * x + y * y <= 4.0 {
                (x, y) = (x * x - y * y + cx, 2.0 * (x * y) + cy);
                i += 1;
            }
            *out = i;
        }
    });

    let mut small = [0u32; 32];
    let mut parameters = [8u32];
    let bindings = [bind(0, &mut small), bind(1, &mut parameters)];
    time("tiny", &mandelbrot(), &launch([4, 4, 1], [4, 4, 1], &bindings));
}

#[test]
#[ignore = "measures, and checks nothing"]
fn speed_in_cache() {
    let n = 1 << 15;
    let (mut x, mut y) = (vec![1f32; n], vec![2f32; n]);
    let mut parameters = [2f32.to_bits(), n as u32];
    let bindings = [bind(0, &mut x), bind(1, &mut y), bind(2, &mut parameters)];
    let grid = launch([n as u32, 1, 1], [256, 1, 1], &bindings);
    let (program, alone) = (Program::new(&saxpy()).unwrap(), Workers::new(1));
    const TIMES: usize = 4096;
    let start = on_core();
    for _ in 0..TIMES {
        // SAFETY: the bindings outlive the launch.
        unsafe { program.launch_by_index(&grid, &alone) }.unwrap();
    }
    let nanoseconds = (on_core() - start) / (TIMES * n / 32) as f64;
    println!("saxpy in cache, one core: {nanoseconds:.1} ns a SIMD-group");
}
