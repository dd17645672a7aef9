//! mlx-native's kernels for one family of models: its activations, its mixing of four streams, its narrow numbers.
//!
//! Tolerances: sums of few products and `exp` in `float`, 1e-5; twenty rounds of normalisation keep their errors
//! small, since each divides by sums near 1. What is rounded to numbers of 4 and 8 bits is exact.

use Number::{BF16, F32, U32};
use kernels::numbers::{Number, near, noise};
use kernels::references::{different, hadamard, largest, sigmoid, silu, softmax};
use kernels::run::{Kernels, lined};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

#[test]
fn activations_and_sums_of_experts() {
    let kernels = open("deepseek_moe_activation.metal");
    let (rows, width) = (3, 2048);
    let wide = |seed: u64| -> Vec<f64> {
        F32.some(seed, rows * width).iter().map(|x| F32.rounded(x * 8.0)).collect()
    };
    let (mut gate, up, shares) = (wide(1), wide(2), F32.some(3, rows));
    // A row with a NaN becomes zeros, and is reported.
    for (weighted, broken) in [(0, false), (1, false), (1, true)] {
        gate[width + 7] = if broken { f64::NAN } else { 1.0 };
        let launch = kernels.launch("deepseek_moe_swiglu_f32").words([rows, weighted]);
        let launch = launch.numbers(F32, &gate).numbers(F32, &up).numbers(F32, &shares);
        let launch = launch.room(rows * width * 4).words([0]);
        let [out, state] = launch.results((rows, 1, 1), (256, 1, 1), [4, 5]);
        let expected: Vec<f64> = (0..rows * width)
            .map(|at| match (broken && at / width == 1, weighted) {
                (true, _) => 0.0,
                (_, 0) => silu(gate[at].min(10.0)) * up[at].clamp(-10.0, 10.0),
                _ => silu(gate[at].min(10.0)) * up[at].clamp(-10.0, 10.0) * shares[at / width],
            })
            .collect();
        near("deepseek_moe_swiglu_f32", &F32.decode(&out), &expected, 1e-5);
        near("deepseek_moe_swiglu_f32", &U32.decode(&state), &[f64::from(broken)], 0.0);
    }

    let (tokens, width) = (2, 4096);
    let routes = (0..tokens as u64).flat_map(|token| largest(&different(token, 256), 6));
    let ids: Vec<f64> = routes.map(|id| id as f64).collect();
    let (weights, routed, shared) =
        (F32.some(4, tokens * 6), F32.some(5, tokens * 6 * width), F32.some(6, tokens * width));
    let launch = kernels.launch("deepseek_moe_weighted_reduce_f32").words([tokens, 0]);
    let launch = launch.numbers(U32, &ids).numbers(F32, &weights).numbers(F32, &routed);
    let launch = launch.numbers(F32, &shared).room(tokens * width * 4).words([0]);
    let [out, state] = launch.results((tokens, 1, 1), (256, 1, 1), [5, 6]);
    let sum = |at: usize| -> f64 {
        let slots = at / width * 6..at / width * 6 + 6;
        slots.map(|slot| weights[slot] * routed[slot * width + at % width]).sum::<f64>()
            + shared[at]
    };
    let expected: Vec<f64> = (0..tokens * width).map(sum).collect();
    near("deepseek_moe_weighted_reduce_f32", &F32.decode(&out), &expected, 1e-5);
    near("deepseek_moe_weighted_reduce_f32", &U32.decode(&state), &[0.0], 0.0);
}

/// The number that is added to divisors, so that they are not zero.
const LEAST: f64 = 1e-6;

/// Rows, then columns of 4 by 4 divided by their sums, from a softmax of the rows on, twenty times.
fn balanced(values: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = values.chunks(4).flat_map(softmax).map(|x| x + LEAST).collect();
    for round in 0..20 {
        if round > 0 {
            for row in all.chunks_mut(4) {
                let sum = row.iter().sum::<f64>() + LEAST;
                row.iter_mut().for_each(|x| *x /= sum);
            }
        }
        for column in 0..4 {
            let sum = (0..4).map(|row| all[row * 4 + column]).sum::<f64>() + LEAST;
            (0..4).for_each(|row| all[row * 4 + column] /= sum);
        }
    }
    all
}

#[test]
fn four_streams() {
    let kernels = open("deepseek_hyper_connection.metal");
    for (tokens, width) in [(1usize, 33usize), (7, 200)] {
        let (mixes, scales, base) = (F32.some(1, tokens * 24), F32.some(2, 3), F32.some(3, 24));
        let launch = kernels.launch("deepseek_hc_split_sinkhorn_f32").words([tokens]);
        let launch = launch.numbers(F32, &mixes).numbers(F32, &scales).numbers(F32, &base);
        let launch = launch.room(tokens * 16).room(tokens * 16).room(tokens * 64);
        let out = launch.results((tokens.div_ceil(4), 1, 1), (32, 4, 1), [4, 5, 6]);
        let [before, after, mixed] = out.map(|out| F32.decode(&out));
        for token in 0..tokens {
            let scale = |at: usize| scales[[0, 1, 2][(at / 4).min(2)]];
            let all: Vec<f64> =
                (0..24).map(|at| mixes[token * 24 + at] * scale(at) + base[at]).collect();
            let pre: Vec<f64> = all[..4].iter().map(|&x| sigmoid(x) + LEAST).collect();
            let post: Vec<f64> = all[4..8].iter().map(|&x| 2.0 * sigmoid(x)).collect();
            let what = "deepseek_hc_split_sinkhorn_f32";
            near(what, &before[token * 4..][..4], &pre, 1e-5);
            near(what, &after[token * 4..][..4], &post, 1e-5);
            near(what, &mixed[token * 16..][..16], &balanced(&all[8..]), 1e-5);
        }

        let heads = F32.some(4, tokens * 4);
        let launch = kernels.launch("deepseek_hc_head_weights_f32").words([tokens]);
        let launch = launch.numbers(F32, &heads).numbers(F32, &scales).numbers(F32, &base);
        let out = launch.room(tokens * 16).groups((tokens, 1, 1), (32, 1, 1), 4);
        let weight = |at: usize| sigmoid(heads[at] * scales[0] + base[at % 4]) + LEAST;
        let expected: Vec<f64> = (0..tokens * 4).map(weight).collect();
        near("deepseek_hc_head_weights_f32", &F32.decode(&out), &expected, 1e-5);

        let size = ((width.div_ceil(64), tokens, 1), (32, 2, 1));
        let streams = F32.some(5, tokens * 4 * width);
        let stream = |token: usize, of: usize, at: usize| streams[(token * 4 + of) * width + at];
        let launch = kernels.launch("deepseek_hc_pre_f32").words([tokens, width]);
        let launch = launch.numbers(F32, &streams).numbers(F32, &before);
        let out = launch.room(tokens * width * 4).groups(size.0, size.1, 3);
        let sum = |at: usize| -> f64 {
            let (token, at) = (at / width, at % width);
            (0..4).map(|of| stream(token, of, at) * before[token * 4 + of]).sum()
        };
        let expected: Vec<f64> = (0..tokens * width).map(sum).collect();
        near("deepseek_hc_pre_f32", &F32.decode(&out), &expected, 1e-5);

        let input = F32.some(6, tokens * width);
        let launch = kernels.launch("deepseek_hc_post_f32").words([tokens, width]);
        let launch = launch.numbers(F32, &input).numbers(F32, &streams);
        let launch = launch.numbers(F32, &after).numbers(F32, &mixed);
        let out = launch.room(streams.len() * 4).groups(size.0, size.1, 5);
        let sum = |place: usize| -> f64 {
            let (token, to, at) = (place / width / 4, place / width % 4, place % width);
            let part = |of: usize| stream(token, of, at) * mixed[token * 16 + of * 4 + to];
            input[token * width + at] * after[token * 4 + to] + (0..4).map(part).sum::<f64>()
        };
        let expected: Vec<f64> = (0..streams.len()).map(sum).collect();
        near("deepseek_hc_post_f32", &F32.decode(&out), &expected, 1e-5);
    }
}

/// The nearest power of two that is not below.
fn power_above(value: f64) -> f64 {
    2f64.powi(value.log2().ceil() as i32)
}

/// To the nearest number with a sign, four bits of exponent and three of fraction, up to 448.
fn eight_bits(value: f64) -> f64 {
    let size = value.abs().min(448.0);
    let step = 2f64.powi((size.max(2f64.powi(-6)).log2().floor() as i32) - 3);
    (size / step).round_ties_even() * step * value.signum()
}

/// To the nearest number with a sign, two bits of exponent and one of fraction.
fn four_bits(value: f64) -> f64 {
    let all = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let far = |x: &f64| (x - value.abs()).abs();
    let nearest = all.into_iter().min_by(|x, y| far(x).total_cmp(&far(y))).unwrap_or(0.0);
    nearest * value.signum()
}

#[test]
fn narrow_numbers() {
    let kernels = open("deepseek_activation_quant.metal");
    for (rows, width, quantised, block) in
        [(1usize, 64usize, 64usize, 64usize), (5, 200, 128, 32), (3, 576, 512, 64)]
    {
        // From small to large ones, with blocks of zeros.
        let number = |(at, bits): (usize, u64)| {
            let size = 2f64.powi((at / block % 7) as i32 * 3 - 12);
            BF16.rounded((bits as f64 / 2f64.powi(30) - 1.0) * size)
        };
        let mut input: Vec<f64> = noise(1).take(rows * width).enumerate().map(number).collect();
        input[..block].fill(0.0);
        let launch = kernels.launch("deepseek_mxfp8_fake_quant_bf16");
        let launch = launch.words([rows, width, quantised, block]).numbers(BF16, &input);
        let out = launch.groups((rows, 1, 1), (256, 1, 1), 1);
        for row in input.chunks_mut(width) {
            for block in row[..quantised].chunks_mut(block) {
                let most = block.iter().fold(1e-4f64, |most, x| most.max(x.abs()));
                let scale = power_above(F32.rounded(most) / 448.0);
                block.iter_mut().for_each(|x| *x = BF16.rounded(eight_bits(*x / scale) * scale));
            }
        }
        near("deepseek_mxfp8_fake_quant_bf16", &BF16.decode(&out), &input, 0.0);
    }

    // Multiples of a 16th, whose sums are exact in `float`.
    let rows = 6;
    let input: Vec<f64> =
        noise(2).take(rows * 128).map(|bits| (bits % 65) as f64 / 16.0 - 2.0).collect();
    let launch = kernels.launch("deepseek_hadamard_mxfp4_bf16").words([rows]);
    let launch = launch.numbers(BF16, &input).memory(0, 512);
    let out = launch.groups((rows, 1, 1), (128, 1, 1), 1);
    let block = |block: &[f64]| -> Vec<f64> {
        let most = block.iter().fold(0f64, |most, x| most.max(x.abs()));
        let scale = power_above(most / 6.0);
        block.iter().map(|x| BF16.rounded(four_bits(x / scale) * scale)).collect()
    };
    let turned: Vec<f64> = input.chunks(128).flat_map(hadamard).collect();
    let expected: Vec<f64> = turned.chunks(32).flat_map(block).collect();
    near("deepseek_hadamard_mxfp4_bf16", &BF16.decode(&out), &expected, 0.0);
}

#[test]
fn two_results_are_compared() {
    let kernels = open("dense_q4_calibration.metal");
    // The elements, and some after them that must not be written.
    let (elements, all) = (70usize, 80usize);
    let parameters = Struct::new().u64([elements as u64, all as u64]).u32([1]).bytes();
    let (groups, threads) = lined(all);
    let launch = kernels.launch("hf2q_dense_q4_proof_poison").room(all * 4).room(all * 4);
    let [left, right] = launch.bytes(&parameters).results(groups, threads, [0, 1]);
    assert!(left.iter().chain(&right).all(|byte| *byte == 0xff));
    let written =
        |values: &[f64]| [F32.encode(values), vec![0xff; (all - values.len()) * 4]].concat();
    let values = F32.some(1, elements);
    let changed = |at: usize, value: f64| {
        let mut values = values.clone();
        values.resize(elements.max(at + 1), 1.0);
        values[at] = value;
        written(&values)
    };
    // Bits for values that are missing, NaN or written past the end, on either side, and for a difference.
    let cases = [
        (written(&values), written(&values), 0),
        (written(&values), changed(3, 9.0), 16),
        (changed(5, f64::INFINITY), changed(5, f64::INFINITY), 2 | 8),
        (written(&values[..60]), written(&values), 1 | 16),
        (written(&values), changed(elements, 1.0), 64),
        (changed(elements, 1.0), written(&values), 32),
    ];
    for (left, right, bits) in cases {
        let launch = kernels.launch("hf2q_dense_q4_proof_compare").bytes(&left).bytes(&right);
        let launch = launch.words([0, 0, 0]).bytes(&parameters);
        let state = U32.decode(&launch.groups(groups, threads, 2));
        near("hf2q_dense_q4_proof_compare", &state, &[0.0, f64::from(bits), 0.0], 0.0);
    }
}
