//! MLX's Fourier transforms in one threadgroup: of complex numbers, forward and back, from reals and to reals; of powers of two and
//! of other sizes.
//!
//! A result is a sum of n numbers of the size of 1: it differs by a few of the type's steps times the root of n.

use kernels::mlx_metal::sampled;
use kernels::numbers::{Number, near};

/// The numbers of the function constants for steps of these radices.
const RADICES: [(usize, usize); 9] =
    [(13, 4), (11, 5), (8, 6), (7, 7), (6, 8), (5, 9), (4, 10), (3, 11), (2, 12)];

/// The radices of a size, each as often as it divides what is left.
fn steps(size: usize) -> [i32; 9] {
    let mut left = size;
    let steps = RADICES.map(|(radix, _)| {
        let mut count = 0;
        while left.is_multiple_of(radix) {
            left /= radix;
            count += 1;
        }
        count
    });
    assert_eq!(left, 1, "{size} has other factors");
    steps
}

/// The transform of pairs: forward, or back and divided by their number.
fn transformed(pairs: &[f64], back: bool) -> Vec<f64> {
    let count = pairs.len() / 2;
    let turn = if back { 2.0 } else { -2.0 } * std::f64::consts::PI / count as f64;
    let roots: Vec<(f64, f64)> = (0..count).map(|k| (turn * k as f64).sin_cos()).collect();
    let each = (0..count).flat_map(|k| {
        let sum = (0..count).fold((0.0, 0.0), |(re, im), at| {
            let (sin, cos) = roots[at * k % count];
            let (x, y) = (pairs[2 * at], pairs[2 * at + 1]);
            (re + x * cos - y * sin, im + x * sin + y * cos)
        });
        let scale = if back { count as f64 } else { 1.0 };
        [sum.0 / scale, sum.1 / scale]
    });
    each.collect()
}

#[test]
fn in_one_threadgroup() {
    let (kernels, instances) = sampled("fft", |one| one.name.clone());
    let mut ran = 0;
    for instance in instances.iter().filter(|one| one.template() == "fft") {
        let arguments = instance.arguments();
        let memory: usize = arguments[0].parse().expect("a size");
        let (from_reals, to_reals) = (arguments[1] == "float", arguments[2] == "float");
        let single = matches!(arguments[1], "float" | "float2");
        let number = if single { Number::F32 } else { Number::F16 };
        // The size, how many transforms a threadgroup does, and how many numbers a thread has.
        let other = (memory == 256).then_some((60, 2, 5));
        for (size, each, elements) in [(memory, 1, 8)].into_iter().chain(other) {
            for back in [false, true] {
                if from_reals && back || to_reals && !back {
                    continue;
                }
                let half = size / 2 + 1;
                const BATCH: usize = 4;
                // The input of each transform: pairs.
                let whole = number.some(1, BATCH * size * 2);
                let inputs: Vec<Vec<f64>> = whole
                    .chunks(2 * size)
                    .map(|pairs| match (from_reals, to_reals) {
                        (true, _) => pairs.chunks(2).flat_map(|pair| [pair[0], 0.0]).collect(),
                        // The spectrum of reals: each half mirrors the other.
                        (_, true) => {
                            let of = |k: usize| match k {
                                _ if k == 0 || 2 * k == size => [pairs[2 * k], 0.0],
                                _ if k < half => [pairs[2 * k], pairs[2 * k + 1]],
                                _ => [pairs[2 * (size - k)], -pairs[2 * (size - k) + 1]],
                            };
                            (0..size).flat_map(of).collect()
                        }
                        _ => pairs.to_vec(),
                    })
                    .collect();
                let given: Vec<f64> = inputs
                    .iter()
                    .flat_map(|pairs| match (from_reals, to_reals) {
                        (true, _) => pairs.iter().step_by(2).copied().collect(),
                        (_, true) => pairs[..2 * half].to_vec(),
                        _ => pairs.clone(),
                    })
                    .collect();
                let expected: Vec<f64> = inputs
                    .iter()
                    .flat_map(|pairs| {
                        let out = transformed(pairs, back);
                        match (from_reals, to_reals) {
                            (true, _) => out[..2 * half].to_vec(),
                            (_, true) => out.iter().step_by(2).copied().collect(),
                            _ => out,
                        }
                    })
                    .collect();

                let mut launch = kernels.launch(&instance.name).constant(0, back);
                launch = launch.constant(1, size.is_power_of_two());
                launch = launch.constant(2, elements as i32).constant(3, 1i32);
                for ((_, index), count) in RADICES.into_iter().zip(steps(size)) {
                    launch = launch.constant(index, count);
                }
                for index in 13..=21 {
                    launch = launch.constant(index, 0i32);
                }
                let launch = launch.constant(22, false).numbers(number, &given);
                let launch = launch.room(expected.len() * number.size());
                let launch = launch.words([size]).words([BATCH]);
                // Two transforms of reals are one of pairs.
                let paired = if from_reals || to_reals { 2 } else { 1 };
                let threads = size.div_ceil(elements);
                let group = (1, each, threads);
                let [out] = launch.grid((BATCH / each / paired, each, threads), group, [1]);
                let what = format!("{}, {size}, back: {back}", instance.name);
                let tolerance = 16.0 * number.epsilon() * (size as f64).sqrt();
                near(&what, &number.decode(&out), &expected, tolerance);
            }
        }
        ran += 1;
    }
    assert_eq!(ran, 20, "kernels");
}
