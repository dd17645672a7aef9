//! mlx-native's rotary embeddings, compared with rotated pairs.
//!
//! Tolerances: an angle is a product in `float`, off by 2^-24 of itself, so results are off by up to the largest
//! angle times that; where the kernel takes `pow` for the frequency, by up to 16 times as much. MSL allows fast `sin`
//! and `cos` more beyond pi; here they must be as exact as precise ones. Narrow results are rounded once.

use Number::{BF16, F16, F32, U32};
use kernels::numbers::{Number, near};
use kernels::references::{rms_norm, turned};
use kernels::run::{Kernels, Size};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// Groups of 16 by 4 threads.
const TILE: Size = (16, 4, 1);

/// The base of the frequencies.
const BASE: f64 = 10000.0;

/// The factor of a position for pair number `pair` of the given number of dimensions.
fn frequency(pair: usize, dimensions: usize) -> f64 {
    BASE.powf(-2.0 * pair as f64 / dimensions as f64)
}

/// The frequencies of all pairs as the host makes them.
fn frequencies(dimensions: usize) -> Vec<f64> {
    (0..dimensions / 2).map(|pair| F32.rounded(frequency(pair, dimensions))).collect()
}

/// Rotates pairs (first, second) of a row by angles.
fn turn(row: &mut [f64], pairs: impl Iterator<Item = (usize, usize, f64)>) {
    for (first, second, angle) in pairs {
        (row[first], row[second]) = turned((row[first], row[second]), angle);
    }
}

fn tolerance(number: Number, most: f64) -> f64 {
    // Values reach 4 with both parts of a pair.
    2e-6 + most * 4.0 * F32.epsilon() + if number == F32 { 0.0 } else { number.epsilon() }
}

#[test]
fn neighbours() {
    let kernels = open("rope.metal");
    for (name, number) in [("f32", F32), ("f16", F16), ("bf16", BF16)] {
        let kernel = format!("rope_{name}");
        for (places, head, step) in [(1usize, 2usize, 3usize), (5, 20, 7), (3, 128, 1000)] {
            let input = number.some(1, places * head);
            let positions: Vec<f64> = (0..places).map(|at| (at * step) as f64).collect();
            let launch = kernels.launch(&kernel).numbers(number, &input);
            let launch = launch.room(input.len() * number.size());
            let launch = launch.floats([BASE as f32, head as f32, places as f32, 0.0]);
            let launch = launch.numbers(U32, &positions).numbers(F32, &frequencies(head));
            let [out] = launch.grid((head / 2, places, 1), TILE, [1]);
            let mut expected = input;
            for (row, place) in expected.chunks_mut(head).zip(&positions) {
                let each = frequencies(head).into_iter().enumerate();
                turn(row, each.map(|(pair, f)| (2 * pair, 2 * pair + 1, place * f)));
            }
            let most = (places * step) as f64;
            near(&kernel, &number.decode(&out), &expected, tolerance(number, most));
        }
    }
}

#[test]
fn halves() {
    let kernels = open("rope.metal");
    // The whole head is rotated, or only the first pairs.
    for (places, heads, head, part) in
        [(1usize, 1usize, 4usize, 4usize), (5, 3, 64, 64), (4, 2, 80, 32)]
    {
        let rows = places * heads;
        let positions: Vec<f64> = (0..places).map(|at| (at * 37) as f64).collect();
        let factors: Vec<f64> = F32.some(2, part / 2).iter().map(|x| x.abs() + 1.0).collect();
        let tables = frequencies(part);
        for (kernel, number, factored) in [
            ("rope_neox_bf16", BF16, None),
            ("rope_neox_f32", F32, Some(false)),
            ("rope_neox_f32", F32, Some(true)),
        ] {
            let input = number.some(1, rows * head);
            let launch = kernels.launch(kernel).numbers(number, &input);
            let launch = launch.room(input.len() * number.size());
            let launch = launch.floats([BASE as f32, head as f32, part as f32, 0.0]);
            let launch = launch.numbers(U32, &positions);
            let launch = launch.words([heads, usize::from(factored == Some(true)), 0, 0]);
            let launch = match factored {
                Some(_) => launch.numbers(F32, &factors),
                None => launch,
            };
            let launch = launch.numbers(F32, &tables);
            let [out] = launch.grid((part / 2, rows, 1), TILE, [1]);
            let mut expected = input;
            for (at, row) in expected.chunks_mut(head).enumerate() {
                let angle = |pair: usize| {
                    let by = if factored == Some(true) { factors[pair] } else { 1.0 };
                    positions[at / heads] * tables[pair] / by
                };
                turn(row, (0..part / 2).map(|pair| (pair, pair + head / 2, angle(pair))));
            }
            near(kernel, &number.decode(&out), &expected, tolerance(number, places as f64 * 37.0));
        }
    }
}

/// The axis of a position by which a sector of a head is rotated, for the modes of the package.
fn axis(mode: usize, sector: usize, sizes: [usize; 4]) -> usize {
    let end = |count: usize| sizes[..count].iter().sum::<usize>();
    match mode {
        // By turns, as long as an axis has sectors left.
        40 if sector < 3 * sizes[sector % 3] => sector % 3,
        40 => 3,
        24 => usize::from(sector >= sizes[0]),
        _ => (1..4).filter(|&axis| sector >= end(axis)).count(),
    }
}

#[test]
fn several_axes() {
    let kernels = open("rope_multi.metal");
    let (places, heads, head) = (4usize, 2usize, 64usize);
    let rows = places * heads;
    let sizes = [6usize, 5, 4, 1];
    for (kernel, number) in [("rope_multi_f32", F32), ("rope_multi_bf16", BF16)] {
        // In order, by turns, of images.
        for (mode, part) in [(8usize, 64usize), (40, 32), (24, 22)] {
            let input = number.some(1, rows * head);
            let positions: Vec<f64> = (0..4 * places).map(|at| (at * 5 % 23) as f64).collect();
            let launch = kernels.launch(kernel).numbers(number, &input);
            let launch = launch.room(input.len() * number.size());
            let launch = launch.floats([BASE as f32, head as f32, part as f32, 0.0]);
            let launch = launch.numbers(U32, &positions).words([heads, mode, places, 0]);
            let [out] = launch.words(sizes).grid((head / 2, rows, 1), TILE, [1]);
            let mut expected = input;
            for (at, row) in expected.chunks_mut(head).enumerate() {
                let pairs = (0..part / 2).map(|pair| {
                    let all = if mode == 24 { sizes[0] + sizes[1] } else { sizes.iter().sum() };
                    let sector = pair % all;
                    let axis = axis(mode, sector, sizes);
                    let place = positions[axis * places + at / heads];
                    // Of images, each axis begins with the first frequency, and has half as many.
                    let angle = match mode {
                        24 => place * frequency(sector - axis * sizes[0], part / 2),
                        _ => place * frequency(pair, part),
                    };
                    (pair, pair + head / 2, angle)
                });
                turn(row, pairs);
            }
            let tolerance = tolerance(number, 23.0 * 16.0);
            near(&format!("{kernel}, {mode}"), &number.decode(&out), &expected, tolerance);
        }
    }
}

#[test]
fn images() {
    let kernels = open("vision_2d_rope.metal");
    for (kernel, number) in [("vision_2d_rope_f32", F32), ("vision_2d_rope_bf16", BF16)] {
        for (places, heads, head) in [(1usize, 1usize, 4usize), (6, 3, 80), (4, 2, 64)] {
            let rows = places * heads;
            let input = number.some(1, rows * head);
            let [x, y] = [5, 7]
                .map(|step| (0..places).map(|at| (at * step % 16) as f64).collect::<Vec<_>>());
            let launch = kernels.launch(kernel).numbers(number, &input);
            let launch = launch.room(input.len() * number.size());
            let launch = launch.floats([BASE as f32, head as f32, heads as f32, 0.0]);
            let launch = launch.numbers(U32, &x).numbers(U32, &y);
            let [out] = launch.grid((head / 4, rows, 1), TILE, [1]);
            let mut expected = input;
            for (at, row) in expected.chunks_mut(head).enumerate() {
                for (half, place) in row.chunks_mut(head / 2).zip([x[at / heads], y[at / heads]]) {
                    let pair = |pair| (pair, pair + head / 4, place * frequency(pair, head / 2));
                    turn(half, (0..head / 4).map(pair));
                }
            }
            near(kernel, &number.decode(&out), &expected, tolerance(number, 16.0 * 16.0));
        }
    }
}

#[test]
fn tails() {
    let kernels = open("deepseek_tail_rope.metal");
    let rows = [
        ("deepseek_tail_rope_f32_to_bf16", F32, BF16),
        ("deepseek_tail_rope_bf16", BF16, BF16),
        ("deepseek_tail_rope_f32_to_f16", F32, F16),
        ("deepseek_tail_rope_f16_to_bf16", F16, BF16),
    ];
    for (kernel, read, write) in rows {
        for (batch, places, heads, head, part) in
            [(1usize, 1usize, 1usize, 4usize, 4usize), (2, 3, 2, 70, 24), (1, 5, 4, 192, 64)]
        {
            for inverse in [0usize, 1] {
                let rows = batch * places * heads;
                let mut input = read.some(1, rows * head);
                // A NaN counts as 0.
                input[0] = if head > part { f64::INFINITY } else { 0.0 };
                let positions: Vec<f64> = (0..places).map(|at| (at * 11) as f64).collect();
                let tables = frequencies(part);
                let launch = kernels.launch(kernel).numbers(read, &input);
                let launch = launch.numbers(U32, &positions).numbers(F32, &tables);
                let launch = launch.room(input.len() * write.size());
                let launch = launch.words([batch, places, heads, head, part, inverse]);
                let width = head - part + part / 2;
                let [out] = launch.grid((width, rows, 1), (width.min(256), 1, 1), [3]);
                input[0] = 0.0;
                let sign = if inverse == 1 { -1.0 } else { 1.0 };
                for (at, row) in input.chunks_mut(head).enumerate() {
                    let place = sign * positions[at / heads % places];
                    let tail = &mut row[head - part..];
                    turn(
                        tail,
                        (0..part / 2).map(|pair| (2 * pair, 2 * pair + 1, place * tables[pair])),
                    );
                }
                near(kernel, &write.decode(&out), &input, tolerance(write, 55.0));
            }
        }
    }
}

/// Heads of positions: rows of `seq` become rows of heads.
fn by_heads(rows: &[f64], places: usize, heads: usize, head: usize) -> Vec<f64> {
    let row = |at: usize| rows[(at % places * heads + at / places) * head..][..head].to_vec();
    (0..places * heads).flat_map(row).collect()
}

#[test]
fn norms_of_heads_with_rotation() {
    let kernels = open("fused_head_norm_rope_f32.metal");
    let narrow = open("fused_head_norm_rope_bf16.metal");
    let shapes = [(1usize, 1usize, 64usize, 64usize), (4, 3, 128, 128), (3, 2, 256, 64)];
    for (places, heads, head, part) in shapes {
        let rows = places * heads;
        for options in [0u32, 1, 2, 3] {
            let (weighted, factored) = (options & 1, options >> 1);
            let positions: Vec<f64> = (0..places).map(|at| (at * 13) as f64).collect();
            let factors: Vec<f64> = F32.some(2, part / 2).iter().map(|x| x.abs() + 1.0).collect();
            let expected = |number: Number| {
                let input = number.some(1, rows * head);
                let weights = if weighted == 1 { number.some(3, head) } else { vec![1.0; head] };
                let normed = input.chunks(head).flat_map(|row| rms_norm(row, &weights, 1e-6));
                let mut expected: Vec<f64> = normed.collect();
                for (at, row) in expected.chunks_mut(head).enumerate() {
                    let angle = |pair: usize| {
                        let by = if factored == 1 { factors[pair] } else { 1.0 };
                        positions[at / heads] * frequency(pair, head) / by
                    };
                    turn(row, (0..part / 2).map(|pair| (pair, pair + head / 2, angle(pair))));
                }
                (input, number.some(3, head), expected)
            };
            let start = Struct::new().u32([head as u32, heads as u32, part as u32 / 2]).f32([1e-6]);
            let start = start.u32([weighted]).f32([BASE as f32]).u32([factored]);
            let size = (head.next_power_of_two().min(256), 1, 1);
            let memory = head.max(256) * 4;

            let (input, weights, turned) = expected(F32);
            for kernel in ["fused_head_norm_rope_f32", "fused_head_norm_rope_f32_v2"] {
                // A narrow copy and one of `float`s, both by heads.
                let flags = [1, 1, places as u32, 1];
                let launch = kernels.launch(kernel).numbers(F32, &input).room(input.len() * 4);
                let launch = launch.numbers(F32, &weights).bytes(&start.clone().u32(flags).bytes());
                let launch = launch.numbers(U32, &positions).numbers(F32, &factors);
                let launch = launch.room(input.len() * 2).room(input.len() * 4).memory(0, memory);
                let [wide, copy, moved] = launch.results((rows, 1, 1), size, [1, 6, 7]);
                // Weights up to 2, and elements of up to 2 over their mean.
                let most = 13.0 * places as f64 * 16.0;
                near(kernel, &F32.decode(&wide), &turned, tolerance(F32, most));
                let turned = by_heads(&turned, places, heads, head);
                near(kernel, &BF16.decode(&copy), &turned, tolerance(BF16, most));
                near(kernel, &F32.decode(&moved), &turned, tolerance(F32, most));
            }

            let kernel = "fused_head_norm_rope_batch_bf16";
            let (input, weights, turned) = expected(BF16);
            let launch = narrow.launch(kernel).numbers(BF16, &input).room(input.len() * 2);
            let launch = launch.numbers(BF16, &weights).bytes(&start.u32([0]).bytes());
            let launch = launch.numbers(U32, &positions).numbers(F32, &factors).memory(0, memory);
            let out = launch.groups((rows, 1, 1), size, 1);
            near(kernel, &BF16.decode(&out), &turned, tolerance(BF16, 500.0));
        }
    }
    // One position, whose cosines and sines the host computes; the rotated part comes first.
    let kernel = "fused_head_norm_rope_bf16";
    for (heads, head, part) in [(1usize, 64usize, 64usize), (5, 128, 96)] {
        let (input, weights) = (BF16.some(4, heads * head), BF16.some(5, head));
        let angles: Vec<f64> = (0..part / 2).map(|pair| 9.0 * frequency(pair, part)).collect();
        let [cosines, sines] =
            [f64::cos, f64::sin].map(|f| angles.iter().map(|&x| f(x)).collect::<Vec<_>>());
        let launch = narrow.launch(kernel).numbers(BF16, &input).room(input.len() * 2);
        let launch = launch.numbers(BF16, &weights).numbers(F32, &cosines).numbers(F32, &sines);
        let parameters = Struct::new().u32([head as u32, heads as u32, part as u32 / 2]);
        let launch = launch.bytes(&parameters.f32([1e-6]).u32([1]).bytes()).memory(0, 1024);
        let out = launch.groups((heads, 1, 1), (head.next_power_of_two().min(256), 1, 1), 1);
        let normed = input.chunks(head).flat_map(|row| rms_norm(row, &weights, 1e-6));
        let mut expected: Vec<f64> = normed.collect();
        for row in expected.chunks_mut(head) {
            turn(
                row,
                angles.iter().enumerate().map(|(pair, angle)| (pair, pair + part / 2, *angle)),
            );
        }
        near(kernel, &BF16.decode(&out), &expected, tolerance(BF16, 9.0));
    }
}
