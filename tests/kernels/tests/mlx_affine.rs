//! mlx-native's matrices of 4, 6 and 8 bits with a scale and a smallest value for each group, compared with
//! the products of the weights that they stand for.
//!
//! Tolerances: weights are up to 4, inputs up to 2; 2 units of `float` for each of k additions, relative above 1.
//! Where kernels round weights and inputs to `bfloat` first, so do the references, and the sums are good to the same.
//! Narrow results are rounded once. What is quantised is exact.

use Number::{BF16, F16, F32, U8, U32};
use kernels::numbers::{Number, near, noise};
use kernels::products::narrowed;
use kernels::references::{different, largest, product};
use kernels::run::{Kernels, Size, lined};
use kernels::structs::word;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// Groups of 16 by 16 threads.
const TILE: Size = (16, 16, 1);

fn tolerance(elements: usize) -> f64 {
    2.0 * elements as f64 * F32.epsilon() + 1e-5
}

/// Rows of quantised weights.
struct Matrix {
    /// The numbers of the given width in bits.
    numbers: Vec<u32>,
    scales: Vec<f64>,
    least: Vec<f64>,
    bits: u32,
    group: usize,
}

impl Matrix {
    /// `n` weights up to about 4, with scales of a type.
    fn some(seed: u64, count: usize, (bits, group): (u32, usize), scales: Number) -> Self {
        let numbers = noise(seed).take(count).map(|number| number as u32 % (1 << bits)).collect();
        let most = f64::from((1u32 << bits) - 1);
        let groups = scales.some(seed + 1, count / group);
        let groups = groups.iter().map(|x| scales.rounded((x.abs() + 0.1) / most)).collect();
        Self { numbers, scales: groups, least: scales.some(seed + 2, count / group), bits, group }
    }

    fn weights(&self) -> Vec<f64> {
        let each = self.numbers.iter().enumerate();
        let weight = |(at, &number): (usize, &u32)| {
            f64::from(number) * self.scales[at / self.group] + self.least[at / self.group]
        };
        each.map(weight).collect()
    }

    /// The numbers packed one after the other, from the lowest bit of the first byte on.
    fn packed(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let (mut bits, mut held) = (0u64, 0);
        for &number in &self.numbers {
            bits |= u64::from(number) << held;
            held += self.bits;
            while held >= 8 {
                all.push(bits as u8);
                bits >>= 8;
                held -= 8;
            }
        }
        all
    }

    /// The numbers, one a byte.
    fn bytes(&self) -> Vec<u8> {
        self.numbers.iter().map(|&number| number as u8).collect()
    }
}

#[test]
fn products_with_whole_bytes() {
    // The file, the tile, threads, group and threadgroup memory of its kernel.
    let rows: [(&str, &str, usize, Size, usize, usize); 6] = [
        ("qmm_affine.metal", "qmm_affine_t_f32", 16, (16, 16, 1), 32, 16),
        ("qmm_affine_tiled.metal", "qmm_affine_t_f32_tiled", 16, (16, 16, 1), 32, 2688),
        ("qmm_affine_simd.metal", "qmm_affine_t_f32_simd", 8, (32, 1, 1), 32, 2048),
        ("qmm_affine_simd4.metal", "qmm_affine_t_f32_simd4", 32, (128, 1, 1), 32, 8192),
        ("qmm_affine_simd4_gs64.metal", "qmm_affine_t_f32_simd4_gs64", 32, (128, 1, 1), 64, 16384),
        (
            "qmm_affine_t_packed_simd4_b4.metal",
            "qmm_affine_t_packed_simd4_b4",
            32,
            (128, 1, 1),
            32,
            8192,
        ),
    ];
    for (file, kernel, tile, threads, group, memory) in rows {
        let kernels = open(file);
        for (m, n, k) in [(1usize, 1usize, 64usize), (5, 33, 128), (32, 64, 64), (50, 40, 512)] {
            let packed = kernel.contains("packed");
            let matrix = Matrix::some(1, n * k, (if packed { 4 } else { 8 }, group), F32);
            let input = F32.some(5, m * k);
            let launch = kernels.launch(kernel).numbers(F32, &input);
            let launch = launch.bytes(&if packed { matrix.packed() } else { matrix.bytes() });
            let launch = launch.numbers(F32, &matrix.scales).numbers(F32, &matrix.least);
            let launch = launch.room(m * n * 4).words([m, n, k, group]).memory(0, memory);
            let out = launch.groups((m.div_ceil(tile), n.div_ceil(tile), 1), threads, 4);
            let expected = product(&input, &matrix.weights(), k);
            near(kernel, &F32.decode(&out), &expected, tolerance(k));
        }
    }
}

#[test]
fn products_with_packed_bits() {
    let kernels = open("quantized_matmul.metal");
    for (m, n, k, bits, group) in [
        (1usize, 1usize, 64usize, 4u32, 32usize),
        (5, 33, 128, 6, 64),
        (3, 20, 256, 8, 64),
        (17, 35, 192, 4, 64),
    ] {
        let matrix = Matrix::some(1, n * k, (bits, group), BF16);
        let input = F32.some(5, m * k);
        let launch = kernels.launch("quantized_matmul").numbers(F32, &input);
        let launch = launch.bytes(&matrix.packed()).numbers(BF16, &matrix.scales);
        let launch = launch.numbers(BF16, &matrix.least).room(m * n * 4);
        let launch = launch.words([m, k, n, group, bits as usize]);
        let out = launch.groups((n.div_ceil(16), m.div_ceil(16), 1), TILE, 4);
        let weights: Vec<f64> = narrowed(BF16, &narrowed(F32, &matrix.weights()));
        let expected = product(&narrowed(BF16, &input), &weights, k);
        near("quantized_matmul", &F32.decode(&out), &expected, tolerance(k));
    }
    for (kernel, number) in [
        ("quantized_matmul_simd", F32),
        ("quantized_matmul_simd_bf16", BF16),
        ("quantized_matmul_simd_bf16_expert", BF16),
    ] {
        // Rows by four and elements by blocks of 512, which these kernels read without looking.
        for (m, n, k, bits, group) in [
            (1usize, 4usize, 512usize, 4u32, 32usize),
            (3, 20, 1024, 4, 64),
            (2, 36, 512, 8, 64),
            (1, 8, 2048, 8, 32),
        ] {
            let matrix = Matrix::some(1, n * k, (bits, group), BF16);
            let input = number.some(5, m * k);
            let launch = kernels.launch(kernel).numbers(number, &input);
            // One of several experts: the second of two.
            let expert = kernel.ends_with("expert");
            let before = |bytes: Vec<u8>| -> (Vec<u8>, usize) {
                let start = if expert { bytes.len() } else { 0 };
                ([vec![0x55; start], bytes].concat(), start)
            };
            let all = [
                before(matrix.packed()),
                before(BF16.encode(&matrix.scales)),
                before(BF16.encode(&matrix.least)),
            ];
            let launch = all.iter().fold(launch, |launch, (bytes, _)| launch.bytes(bytes));
            let launch = launch.room(m * n * number.size());
            let launch = launch.words([m, k, n, group, bits as usize]);
            let launch = all.iter().fold(launch, |launch, (_, start)| launch.bytes(&word(*start)));
            let out = launch.groups((m, n.div_ceil(8), 1), (32, 2, 1), 4);
            let expected = product(&narrowed(BF16, &input), &matrix.weights(), k);
            let rounding = if number == F32 { 0.0 } else { number.epsilon() / 2.0 };
            near(kernel, &number.decode(&out), &expected, tolerance(k) + rounding);
        }
    }
}

#[test]
fn products_of_experts() {
    let kernels = open("quantized_matmul_id.metal");
    for (tokens, count, experts, n, k, bits) in [
        (1usize, 1usize, 2usize, 5usize, 64usize, 4u32),
        (3, 2, 4, 33, 128, 6),
        (5, 3, 3, 20, 64, 8),
    ] {
        let group = 32;
        let matrix = Matrix::some(1, experts * n * k, (bits, group), BF16);
        let numbers: Vec<usize> = (0..tokens)
            .flat_map(|token| largest(&different(token as u64, experts), count))
            .collect();
        let ids: Vec<f64> = numbers.iter().map(|&id| id as f64).collect();
        let input = F32.some(5, tokens * k);
        let packed = matrix.packed();
        let each = [packed.len() / experts, n * k / group, n * k / group];
        let sizes = [tokens, k, n, group, bits as usize, count, experts, each[0], each[1], each[2]];
        let launch = kernels.launch("quantized_matmul_id").numbers(F32, &input).bytes(&packed);
        let launch = launch.numbers(BF16, &matrix.scales).numbers(BF16, &matrix.least);
        let launch = launch.numbers(U32, &ids).room(tokens * count * n * 4).words(sizes);
        let groups = (n.div_ceil(16), (tokens * count).div_ceil(16), 1);
        let out = launch.groups(groups, TILE, 5);
        let weights = narrowed(BF16, &narrowed(F32, &matrix.weights()));
        let input = narrowed(BF16, &input);
        let row = |(at, &expert): (usize, &usize)| {
            let (token, start) = (at / count, expert * n * k);
            product(&input[token * k..][..k], &weights[start..start + n * k], k)
        };
        let expected: Vec<f64> = numbers.iter().enumerate().flat_map(row).collect();
        near("quantized_matmul_id", &F32.decode(&out), &expected, tolerance(k));
    }
}

#[test]
fn packed_embeddings() {
    let kernels = open("embedding.metal");
    for (kernel, bits) in [("embedding_gather_4bit", 4u32), ("embedding_gather_6bit", 6)] {
        for (rows, width, group) in [(3usize, 64usize, 32usize), (11, 192, 64)] {
            let matrix = Matrix::some(1, rows * width, (bits, group), BF16);
            let picks = [2usize, 0, 2, 1];
            // The length of rows is in words, or in bytes.
            let step = if bits == 4 { width / 8 } else { width / 4 * 3 };
            let launch = kernels.launch(kernel).bytes(&matrix.packed());
            let launch = launch.numbers(BF16, &matrix.scales).numbers(BF16, &matrix.least);
            let launch = launch.words(picks).room(picks.len() * width * 4);
            let launch = launch.words([width, group, step, width / group]);
            let [out] = launch.grid((width, picks.len(), 1), TILE, [4]);
            let weights = matrix.weights();
            let expected = picks.iter().flat_map(|&row| weights[row * width..][..width].to_vec());
            near(kernel, &F32.decode(&out), &expected.collect::<Vec<_>>(), 2.0 * F32.epsilon());
        }
    }
}

/// Numbers between -2 and 2 with all bits in use, so that none is in the middle of two steps.
fn uneven(seed: u64, count: usize) -> Vec<f64> {
    let numbers = noise(seed).take(count);
    numbers.map(|bits| F32.rounded(bits as f64 / 2f64.powi(29) - 2.0)).collect()
}

#[test]
fn groups_are_quantised() {
    let kernels = open("qdq_affine.metal");
    for (groups, group, steps) in [(1usize, 32usize, 16usize), (7, 64, 256), (5, 128, 64)] {
        let mut weights = uneven(1, groups * group);
        // One group that is the same all over: a scale of 1.
        weights[..group].fill(0.5);
        let launch = kernels.launch("qdq_affine_init_f32").numbers(F32, &weights);
        let launch = launch.room(groups * 4).room(groups * 4).room(groups * group);
        let launch = launch.words([group, steps]).memory(0, 2 * group * 4);
        let out = launch.results((groups, 1, 1), (group, 1, 1), [1, 2, 3]);
        let (scales, least) = (F32.decode(&out[0]), F32.decode(&out[1]));
        for (at, weights) in weights.chunks(group).enumerate() {
            let low = weights.iter().copied().fold(f64::INFINITY, f64::min);
            let high = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let scale = if high > low { (high - low) / (steps - 1) as f64 } else { 1.0 };
            near("qdq_affine_init_f32, scale", &scales[at..=at], &[scale], 1e-7);
            near("qdq_affine_init_f32, least", &least[at..=at], &[low], 0.0);
            let numbers: Vec<f64> = weights.iter().map(|x| ((x - low) / scale).round()).collect();
            let found = U8.decode(&out[2][at * group..][..group]);
            near("qdq_affine_init_f32", &found, &numbers, 0.0);
        }
        let numbers = U8.decode(&out[2]);
        let all = groups * group;
        let launch = kernels.launch("qdq_affine_forward_f32").bytes(&out[2]);
        let launch = launch.bytes(&out[0]).bytes(&out[1]).room(all * 4).words([all, group]);
        let (size, threads) = lined(all);
        let found = F32.decode(&launch.groups(size, threads, 3));
        let value = |at: usize| numbers[at] * scales[at / group] + least[at / group];
        let expected: Vec<f64> = (0..all).map(value).collect();
        near("qdq_affine_forward_f32", &found, &expected, 2.0 * F32.epsilon());

        let slopes = F32.some(2, all);
        let sums = |f: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..groups).map(|at| (at * group..(at + 1) * group).map(f).sum()).collect()
        };
        let launch = kernels.launch("qdq_affine_backward_scales_f32").bytes(&out[2]);
        let launch = launch.numbers(F32, &slopes).room(groups * 4).words([group]);
        let found = launch.memory(0, group * 4).groups((groups, 1, 1), (group, 1, 1), 2);
        let expected = sums(&|at| numbers[at] * slopes[at]);
        // Products of up to 512.
        near("qdq_affine_backward_scales_f32", &F32.decode(&found), &expected, 1e-3);
        let launch = kernels.launch("qdq_affine_backward_biases_f32").numbers(F32, &slopes);
        let launch = launch.room(groups * 4).words([group]).memory(0, group * 4);
        let found = launch.groups((groups, 1, 1), (group, 1, 1), 1);
        near("qdq_affine_backward_biases_f32", &F32.decode(&found), &sums(&|at| slopes[at]), 1e-5);
    }
}

#[test]
fn blocks_there_and_back() {
    let kernels = open("qdq_legacy.metal");
    let blocks = 9;
    let mut input = uneven(3, blocks * 32);
    input[..32].fill(0.0);
    let largest_of = |block: &[f64]| -> f64 {
        block.iter().copied().max_by(|x, y| x.abs().total_cmp(&y.abs())).unwrap_or(0.0)
    };
    // Steps of an eighth of the largest, down to it; or of a 127th, both ways.
    let four = |block: &[f64]| -> Vec<f64> {
        let step = F32.rounded(largest_of(block) / -8.0);
        let number =
            |x: f64| if step == 0.0 { 0.0 } else { (x / step + 0.5).floor().clamp(-8.0, 7.0) };
        block.iter().map(|&x| number(x) * F16.rounded(step)).collect()
    };
    let eight = |block: &[f64]| -> Vec<f64> {
        let step = F32.rounded(largest_of(block).abs() / 127.0);
        let number = |x: f64| if step == 0.0 { 0.0 } else { (x / step).round() };
        block.iter().map(|&x| number(x) * F16.rounded(step)).collect()
    };
    let expected = [
        ("qdq_q4_0_f32", input.chunks(32).flat_map(four).collect::<Vec<f64>>()),
        ("qdq_q8_0_f32", input.chunks(32).flat_map(eight).collect()),
    ];
    for (kernel, expected) in expected {
        let launch = kernels.launch(kernel).numbers(F32, &input).room(input.len() * 4);
        let out = launch.memory(0, 256).groups((blocks, 1, 1), (32, 1, 1), 1);
        near(kernel, &F32.decode(&out), &expected, 0.0);
    }
}
