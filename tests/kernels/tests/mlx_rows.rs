//! mlx-native's kernels that work on whole rows: softmax, sums, scans, orders, samplers, Hadamard transforms.
//!
//! Tolerances: sums in `float` over trees are good to a few units of 2^-24 of the sum of sizes; parts of a softmax
//! are multiplied by the row's length first, so that they are about 1. Orders and indices are exact.

use Number::{BF16, F16, F32, U32};
use kernels::numbers::{Number, near};
use kernels::references::{different, dot, hadamard, largest, softmax};
use kernels::run::{Kernels, Size};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// Rows, and elements of each.
const ROWS: [(usize, usize); 4] = [(3, 1), (4, 33), (2, 1000), (5, 2048)];

/// As the package's program has it: a power of two, up to 256.
fn threads(elements: usize) -> Size {
    (elements.next_power_of_two().min(256), 1, 1)
}

fn times(values: &[f64], factor: usize) -> Vec<f64> {
    values.iter().map(|value| value * factor as f64).collect()
}

fn by_rows(values: &[f64], elements: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    values.chunks(elements).flat_map(f).collect()
}

#[test]
fn softmaxes() {
    let kernels = open("softmax.metal");
    for (name, number) in [("f32", F32), ("f16", F16), ("bf16", BF16)] {
        for (rows, elements) in ROWS {
            let kernel = format!("softmax_{name}");
            // 60 apart at most, where `exp` in `float` is next to 0.
            let input: Vec<f64> =
                number.some(1, rows * elements).iter().map(|x| number.rounded(x * 4.0)).collect();
            let launch = kernels.launch(&kernel).numbers(number, &input);
            let launch = launch.room(input.len() * number.size()).floats([elements as f32, 0.0]);
            let out = launch.memory(0, 1024).groups((rows, 1, 1), threads(elements), 1);
            let expected = by_rows(&input, elements, softmax);
            // Narrow kernels keep e^x in their type before they divide it: two roundings.
            let tolerance = 1e-5 + if number == F32 { 0.0 } else { number.epsilon() };
            let found = times(&number.decode(&out), elements);
            near(&kernel, &found, &times(&expected, elements), tolerance * 2.0);
        }
    }
    let kernels = open("softmax_backward.metal");
    for (rows, elements) in ROWS {
        let output = by_rows(&F32.some(1, rows * elements), elements, softmax);
        let slopes = F32.some(2, rows * elements);
        let launch = kernels.launch("softmax_backward_f32").numbers(F32, &output);
        let launch = launch.numbers(F32, &slopes).room(slopes.len() * 4);
        let launch = launch.floats([elements as f32, 0.0]).memory(0, 1024);
        let out = launch.groups((rows, 1, 1), threads(elements), 2);
        let row = |at: usize| {
            let place = at * elements..(at + 1) * elements;
            let (y, dy) = (&output[place.clone()], &slopes[place]);
            let mean = dot(y, dy);
            y.iter().zip(dy).map(move |(y, dy)| y * (dy - mean)).collect::<Vec<f64>>()
        };
        let expected: Vec<f64> = (0..rows).flat_map(row).collect();
        let found = times(&F32.decode(&out), elements);
        near("softmax_backward_f32", &found, &times(&expected, elements), 1e-5);
    }
}

#[test]
fn masked_softmaxes() {
    let kernels = open("scale_mask_softmax.metal");
    for kernel in ["scale_mask_softmax_f32", "scale_mask_softmax_f32_v4"] {
        for (heads, places, elements) in
            [(2usize, 3usize, 32usize), (3, 5, 100), (1, 7, 516), (2, 2, 2048)]
        {
            let rows = heads * places;
            let input = F32.some(1, rows * elements);
            // Elements hidden by a causal mask are minus infinity; the first element is never hidden.
            let mask: Vec<f64> = BF16
                .some(2, places * elements)
                .iter()
                .enumerate()
                .map(|(at, x)| match at % elements > 0 && at % 3 == 1 {
                    true => f64::NEG_INFINITY,
                    false => *x,
                })
                .collect();
            let launch = kernels.launch(kernel).numbers(F32, &input).room(input.len() * 4);
            let launch = launch.numbers(BF16, &mask);
            let parameters =
                Struct::new().u32([elements as u32, places as u32]).f32([0.125]).u32([0]);
            let width = elements.min(256);
            let launch = launch.bytes(&parameters.bytes()).memory(0, width.next_multiple_of(4) * 4);
            let out = launch.groups((rows, 1, 1), (width, 1, 1), 1);
            let row = |at: usize| {
                let mask = &mask[at % places * elements..][..elements];
                let row = input[at * elements..][..elements].iter().zip(mask);
                softmax(&row.map(|(x, mask)| x * 0.125 + mask).collect::<Vec<f64>>())
            };
            let expected: Vec<f64> = (0..rows).flat_map(row).collect();
            let found = times(&F32.decode(&out), elements);
            near(kernel, &found, &times(&expected, elements), 1e-5);
        }
    }
}

#[test]
fn sums_and_scans() {
    let kernels = open("row_sum.metal");
    for (rows, elements) in ROWS {
        let input = F32.some(1, rows * elements);
        let launch = kernels.launch("row_sum_f32").numbers(F32, &input).room(rows * 4);
        let launch = launch.floats([elements as f32, 0.0]).memory(0, 1024);
        let out = launch.groups((rows, 1, 1), threads(elements), 1);
        let expected = by_rows(&input, elements, |row| vec![row.iter().sum()]);
        // 2,048 numbers of 2 or less: their sizes add up to 2,000, and 2^-24 of that eight levels deep.
        near("row_sum_f32", &F32.decode(&out), &expected, 2e-4);
        let slopes = F32.some(2, rows);
        let launch = kernels.launch("row_sum_backward_f32").numbers(F32, &slopes);
        let launch = launch.room(rows * elements * 4).floats([elements as f32, 0.0]);
        let out = launch.groups((rows, 1, 1), threads(elements), 1);
        let expected: Vec<f64> = slopes.iter().flat_map(|x| vec![*x; elements]).collect();
        near("row_sum_backward_f32", &F32.decode(&out), &expected, 0.0);
    }
    let kernels = open("cumsum.metal");
    for (name, number) in [("f32", F32), ("bf16", BF16)] {
        // 8,192 is as long as the kernel goes: 32 elements a thread.
        for (rows, elements) in [(3, 1), (4, 33), (2, 1000), (2, 8192)] {
            let kernel = format!("cumsum_{name}");
            let input: Vec<f64> =
                number.some(3, rows * elements).iter().map(|x| number.rounded(x + 0.5)).collect();
            let launch = kernels.launch(&kernel).numbers(number, &input);
            let launch = launch.room(input.len() * number.size()).words([elements]);
            let out = launch.memory(0, 1024).groups((rows, 1, 1), threads(elements), 1);
            let scan = |row: &[f64]| {
                row.iter()
                    .scan(0.0, |sum, x| {
                        *sum += x;
                        Some(*sum)
                    })
                    .collect()
            };
            let expected = by_rows(&input, elements, scan);
            let tolerance = if number == F32 { 2e-5 } else { 2e-5 + number.epsilon() / 2.0 };
            near(&kernel, &number.decode(&out), &expected, tolerance);
        }
    }
    let kernels = open("chunk_local_cumsum_g.metal");
    let (batch, places, heads, chunk) = (2usize, 12usize, 3usize, 4usize);
    let input = F32.some(4, batch * places * heads);
    let launch = kernels.launch("chunk_local_cumsum_g_f32").numbers(F32, &input);
    let launch = launch.room(input.len() * 4).words([batch, places, heads, chunk, places / chunk]);
    let out = launch.groups((1, heads, batch * places / chunk), (32, 1, 1), 1);
    let sum = |at: usize| {
        let (place, head) = (at / heads, at % heads);
        (place / chunk * chunk..=place).map(|place| input[place * heads + head]).sum()
    };
    let expected: Vec<f64> = (0..input.len()).map(sum).collect();
    near("chunk_local_cumsum_g_f32", &F32.decode(&out), &expected, 1e-6);
}

#[test]
fn largest_elements() {
    let kernels = open("argmax.metal");
    for length in [1usize, 5, 1000, 32000] {
        let input = different(1, length);
        let group = length.next_power_of_two().min(1024);
        let launch = |input: &[f64]| {
            let launch = kernels.launch("argmax_f32").numbers(F32, input).room(4).room(4);
            let launch = launch.words([length]);
            let room = group.next_multiple_of(4) * 4;
            let launch = launch.memory(0, room).memory(1, room).memory(2, room);
            launch.results((1, 1, 1), (group, 1, 1), [1, 2])
        };
        let [place, value] = launch(&input);
        let best = largest(&input, 1)[0];
        near("argmax_f32", &U32.decode(&place), &[best as f64], 0.0);
        near("argmax_f32", &F32.decode(&value), &[F32.rounded(input[best])], 0.0);
        // The first of equal values; never a NaN.
        let [place, _] = launch(&vec![2.0; length]);
        near("argmax_f32 of equals", &U32.decode(&place), &[0.0], 0.0);
        let mut broken = input.clone();
        broken[length / 2] = f64::NAN;
        let [place, value] = launch(&broken);
        near("argmax_f32 of NaN", &U32.decode(&place), &[f64::from(u32::MAX)], 0.0);
        near("argmax_f32 of NaN", &F32.decode(&value), &[f64::NAN], 0.0);
    }

    let kernels = open("argsort.metal");
    for (rows, elements) in [(2usize, 1usize), (3, 5), (2, 64), (4, 128)] {
        let input = different(2, rows * elements);
        let launch = kernels.launch("argsort_desc_f32").numbers(F32, &input);
        let launch = launch.room(input.len() * 4).words([elements, rows]);
        let out = launch.groups((rows, 1, 1), threads(elements), 1);
        let expected = by_rows(&input, elements, |row| {
            largest(row, elements).into_iter().map(|at| at as f64).collect()
        });
        near("argsort_desc_f32", &U32.decode(&out), &expected, 0.0);
    }

    let kernels = open("top_k.metal");
    for (length, count, group) in [(40usize, 3usize, 32usize), (1000, 8, 64), (32000, 40, 64)] {
        let input = different(3, length);
        let launch = kernels.launch("top_k_f32").numbers(F32, &input).room(count * 4);
        let launch = launch.room(count * 4).words([length, count]);
        let room = group * count * 4;
        let launch = launch.memory(0, room).memory(1, room);
        let [places, values] = launch.results((1, 1, 1), (group, 1, 1), [1, 2]);
        let best = largest(&input, count);
        let expected: Vec<f64> = best.iter().map(|&at| at as f64).collect();
        near("top_k_f32", &U32.decode(&places), &expected, 0.0);
        let expected: Vec<f64> = best.iter().map(|&at| F32.rounded(input[at])).collect();
        near("top_k_f32", &F32.decode(&values), &expected, 0.0);
    }
}

#[test]
fn samplers() {
    let kernels = open("softmax_sample.metal");
    for length in [1usize, 50, 3000] {
        let input = different(5, length);
        for (temperature, drawn) in [(1.0, 0.0f32), (0.7, 0.5), (2.5, 0.93), (1.0, 1.0)] {
            let group = length.next_power_of_two().min(1024);
            let launch = kernels.launch("softmax_sample_f32").numbers(F32, &input);
            let launch = launch.room(length * 4).room(4).room(4);
            let launch = launch.floats([length as f32, temperature, drawn]);
            let launch = launch.memory(0, group.max(4) * 4);
            let [parts, place, logarithm] = launch.results((1, 1, 1), (group, 1, 1), [1, 2, 3]);
            let heated: Vec<f64> = input.iter().map(|x| x / f64::from(temperature)).collect();
            let expected = softmax(&heated);
            let found = times(&F32.decode(&parts), length);
            near("softmax_sample_f32", &found, &times(&expected, length), 2e-5);
            // The first index up to which the shares sum to the drawn number, up to rounding.
            let at = U32.decode(&place)[0] as usize;
            let before: f64 = expected[..at].iter().sum();
            let drawn = f64::from(drawn);
            let last = at + 1 == length;
            assert!(at < length && before <= drawn + 1e-5, "{at} of {length} for {drawn}");
            assert!(last || before + expected[at] >= drawn - 1e-5, "{at} of {length} for {drawn}");
            near("softmax_sample_f32", &F32.decode(&logarithm), &[expected[at].ln()], 2e-5);
        }
    }

    let kernels = open("gpu_sample_argmax_candidates.metal");
    let (rows, length, most) = (3usize, 1000usize, 80usize);
    let input = different(6, rows * length);
    let launch = kernels.launch("gpu_sample_argmax_candidates").numbers(F32, &input);
    let launch = launch.room(rows * 4).room(rows * 4).room(rows * 4).room(rows * 4);
    let launch = launch.room(rows * most * 4).words([length, most]);
    let launch = launch.memory(0, 4096).memory(1, 4096);
    let written = launch.results((rows, 1, 1), (1024, 1, 1), [1, 2, 3, 4, 5]);
    let [places, _, counts, overflows, candidates] = written.each_ref().map(|out| U32.decode(out));
    for (at, row) in input.chunks(length).enumerate() {
        let best = largest(row, 1)[0];
        assert_eq!(places[at] as usize, best);
        assert_eq!(F32.decode(&written[1])[at], F32.rounded(row[best]));
        // All within a half of the best, in any order.
        let least = F32.rounded(row[best]) - 0.5;
        let expected: Vec<usize> = (0..length).filter(|&k| F32.rounded(row[k]) >= least).collect();
        assert!((1..=most).contains(&expected.len()), "{} candidates", expected.len());
        assert_eq!((counts[at] as usize, overflows[at]), (expected.len(), 0.0));
        let found = candidates[at * most..][..expected.len()].iter().map(|&k| k as usize);
        let mut found: Vec<usize> = found.collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[test]
fn hadamard_transforms() {
    let kernels = open("hadamard.metal");
    for (rows, elements) in [(2usize, 2usize), (3, 64), (2, 512)] {
        let input = F32.some(1, rows * elements);
        let launch = kernels.launch("hadamard_transform").numbers(F32, &input);
        let launch = launch.words([elements]).words([rows]).memory(0, elements.max(4) * 4);
        let out = launch.groups((rows, 1, 1), (elements, 1, 1), 0);
        let expected = by_rows(&input, elements, hadamard);
        near("hadamard_transform", &F32.decode(&out), &expected, 1e-5);
    }
    let kernels = open("fwht_standalone.metal");
    for elements in [256usize, 512] {
        let rows = 3;
        let launch = |kernel: &str, input: &[f64]| {
            let kernel = format!("{kernel}_f32_d{elements}");
            let launch = kernels.launch(&kernel).numbers(F32, input).words([elements, rows]);
            F32.decode(&launch.groups((rows, 1, 1), (32, 1, 1), 0))
        };
        let input = F32.some(2, rows * elements);
        let found = launch("fwht_standalone", &input);
        near("fwht_standalone", &found, &by_rows(&input, elements, hadamard), 1e-5);
        // The transform of a unit: the signs that a row is multiplied with, over the root.
        let signs: Vec<f64> = (0..elements)
            .map(|at| {
                let mut unit = vec![0.0; rows * elements];
                unit[at] = 1.0;
                let sign = launch("fwht_sign_premult", &unit)[0] * (elements as f64).sqrt();
                assert!((sign.abs() - 1.0).abs() < 1e-5, "sign {at} is {sign}");
                sign.signum()
            })
            .collect();
        let down = signs.iter().filter(|sign| **sign < 0.0).count();
        assert!(
            (elements / 4..elements * 3 / 4).contains(&down),
            "{down} of {elements} are negative"
        );
        let signed = |row: &[f64]| -> Vec<f64> {
            row.iter().zip(&signs).map(|(x, sign)| x * sign).collect()
        };
        let found = launch("fwht_sign_premult", &input);
        let expected = by_rows(&input, elements, |row| hadamard(&signed(row)));
        near("fwht_sign_premult", &found, &expected, 1e-5);
        // The other way about: the transform is its own inverse.
        let back = launch("fwht_sign_undo", &found);
        near("fwht_sign_undo", &back, &input, 1e-5);
    }
}
