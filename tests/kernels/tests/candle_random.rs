//! candle's random numbers: the same seed yields the same numbers, they are spread as they should be, and normal ones come
//! from uniform ones by the formula of Box and Muller.
//!
//! The first thread stores the next seed while others may still have to load theirs: what is compared number by number is
//! one SIMD-group's. Tolerances for statistics of many numbers are some five standard deviations.

use kernels::numbers::{Number, near};
use kernels::run::Kernels;
use kernels::structs::size;

const TYPES: [(&str, Number); 3] =
    [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];

/// The numbers of one SIMD-group: two for each thread.
const FEW: usize = 64;

const SEED: u64 = 299_792_458;

fn kernels() -> Kernels {
    Kernels::open("candle-metal-kernels", "random.metal")
}

/// The buffer at `result` after a launch with two parameters: smallest and largest, or mean and deviation.
fn bytes(
    kernels: &Kernels,
    kernel: &str,
    (seed, length): (u64, usize),
    parameters: [f32; 2],
    result: usize,
) -> Vec<u8> {
    let number = kernel.rsplit('_').next().and_then(Number::named).expect("a type");
    let threads = length.div_ceil(2);
    let launch = kernels.launch(kernel).bytes(&size(length));
    let launch = launch.bytes(&parameters[0].to_le_bytes()).bytes(&parameters[1].to_le_bytes());
    // The upper half of a seed comes first.
    let words = [(seed >> 32) as u32, seed as u32].map(u32::to_le_bytes).concat();
    let launch = launch.bytes(&words).room(length * number.size());
    launch.groups((threads.div_ceil(1024), 1, 1), (threads.min(1024), 1, 1), result)
}

fn numbers(kernels: &Kernels, kernel: &str, seed: (u64, usize), parameters: [f32; 2]) -> Vec<f64> {
    let number = kernel.rsplit('_').next().and_then(Number::named).expect("a type");
    number.decode(&bytes(kernels, kernel, seed, parameters, 4))
}

/// A seed as the kernels store it, the upper half first.
fn seed_in(bytes: &[u8]) -> u64 {
    Number::U32.decode(bytes).iter().fold(0, |seed, &word| seed << 32 | word as u64)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[test]
fn a_seed_determines_all_numbers() {
    let kernels = kernels();
    for (name, _) in TYPES {
        for kernel in [format!("rand_uniform_{name}"), format!("rand_normal_{name}")] {
            let seeded = |seed| bytes(&kernels, &kernel, (seed, FEW), [-1.0, 1.0], 4);
            assert_eq!(seeded(SEED), seeded(SEED), "{kernel}");
            assert_ne!(seeded(SEED), seeded(SEED + 1), "{kernel}");
            let next = |seed| bytes(&kernels, &kernel, (seed, FEW), [-1.0, 1.0], 3);
            assert_eq!(next(SEED), next(SEED), "{kernel}: the next seed");
            let second = seed_in(&next(SEED));
            assert_ne!(second, SEED, "{kernel}: the next seed");
            assert_ne!(seeded(SEED), seeded(second), "{kernel}: numbers of the next seed");
        }
    }
}

#[test]
fn lengths() {
    let kernels = kernels();
    for (name, _) in TYPES {
        // One, odd ones, and what is a SIMD-group and a bit: each place is written, and none is twice the same.
        for length in [1, 2, 7, 33, 64, 501, 1000] {
            let kernel = format!("rand_uniform_{name}");
            let found = numbers(&kernels, &kernel, (SEED, length), [2.0, 3.0]);
            assert!(found.iter().all(|x| (2.0..=3.0).contains(x)), "{kernel} of {length}");
            let kernel = format!("rand_normal_{name}");
            // No more than six deviations from the mean.
            let found = numbers(&kernels, &kernel, (SEED, length), [50.0, 1.0]);
            assert!(found.iter().all(|x| (44.0..=56.0).contains(x)), "{kernel} of {length}");
        }
    }
}

#[test]
fn uniform() {
    let kernels = kernels();
    let unit = numbers(&kernels, "rand_uniform_f32", (SEED, FEW), [0.0, 1.0]);
    for (name, number) in TYPES {
        let kernel = format!("rand_uniform_{name}");
        let found = numbers(&kernels, &kernel, (SEED, FEW), [-2.0, 3.0]);
        let expected: Vec<f64> = unit.iter().map(|u| u * 5.0 - 2.0).collect();
        near(&kernel, &found, &expected, 1e-6 + number.epsilon());

        let found = numbers(&kernels, &kernel, (SEED, 16384), [-2.0, 3.0]);
        assert!(found.iter().all(|x| (-2.0..=3.0).contains(x)), "{kernel}");
        // Mean and variance of 16384 numbers between -2 and 3.
        let average = mean(found.iter().copied());
        assert!((average - 0.5).abs() < 0.06, "{kernel}: a mean of {average}");
        let spread = mean(found.iter().map(|x| (x - average).powi(2)));
        assert!((spread - 25.0 / 12.0).abs() < 0.08, "{kernel}: a variance of {spread}");
        // 1024 are expected in each sixteenth, with a deviation of 31.
        let mut counts = [0; 16];
        for x in &found {
            counts[(((x + 2.0) / 5.0 * 16.0) as usize).min(15)] += 1;
        }
        assert!(counts.iter().all(|n| (870..=1180).contains(n)), "{kernel}: {counts:?}");
    }
}

#[test]
fn normal() {
    let kernels = kernels();
    let unit = numbers(&kernels, "rand_uniform_f32", (SEED, FEW), [0.0, 1.0]);
    let next_seed = seed_in(&bytes(&kernels, "rand_uniform_f32", (SEED, FEW), [0.0, 1.0], 3));
    for (name, number) in TYPES {
        let kernel = format!("rand_normal_{name}");
        let found = numbers(&kernels, &kernel, (SEED, FEW), [0.5, 2.0]);
        let mut expected = vec![0.0; FEW];
        // A thread's first number is from the front, its second one from the back; but the first thread's second one
        // became the next seed.
        for at in 0..FEW / 2 {
            let (first, back) = (unit[at], unit[FEW - 1 - at]);
            let second = if at == 0 { next_seed as f64 / 2f64.powi(32) } else { back };
            let (sine, cosine) = (std::f64::consts::TAU * second).sin_cos();
            let far = 2.0 * (-2.0 * first.ln()).sqrt();
            (expected[at], expected[FEW - 1 - at]) = (far * cosine + 0.5, far * sine + 0.5);
        }
        near(&kernel, &found, &expected, 1e-5 + number.epsilon());

        let found = numbers(&kernels, &kernel, (SEED, 16384), [0.5, 2.0]);
        let average = mean(found.iter().copied());
        assert!((average - 0.5).abs() < 0.08, "{kernel}: a mean of {average}");
        let spread = mean(found.iter().map(|x| (x - average).powi(2)));
        assert!((spread - 4.0).abs() < 0.23, "{kernel}: a variance of {spread}");
        let within = |deviations: f64| {
            let near = |x: &&f64| (**x - 0.5).abs() < 2.0 * deviations;
            found.iter().filter(near).count() as f64 / found.len() as f64
        };
        for (deviations, share) in [(1.0, 0.6827), (2.0, 0.9545)] {
            let found = within(deviations);
            assert!((found - share).abs() < 0.02, "{kernel}: {found} within {deviations}");
        }
        let pairs = mean((0..8192).map(|at| (found[at] - 0.5) * (found[16383 - at] - 0.5) / 4.0));
        assert!(pairs.abs() < 0.06, "{kernel}: a thread's two numbers hang together, {pairs}");
    }
}
