//! mlx-native's convolutions along a sequence, their derivatives and states, and resized images.
//!
//! Tolerances: sums of a few products in `float` are good to 2e-6, an `exp` on top to 1e-5; narrow results are
//! rounded once; states are copies, and exact.

use Number::{BF16, F32};
use kernels::numbers::{Number, near};
use kernels::references::silu;
use kernels::run::{Kernels, Size, lined};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// Groups of 16 by 4 by 1 threads.
const TILE: Size = (16, 4, 1);

#[test]
fn causal_convolutions_by_channel() {
    let kernels = open("conv1d_depthwise_causal.metal");
    // Less tokens than the filter is long, a prime of them, and many.
    for (tokens, channels, width) in
        [(1usize, 1usize, 1usize), (3, 5, 4), (37, 20, 4), (100, 64, 7)]
    {
        let [input, slopes] = [1, 2].map(|seed| F32.some(seed, tokens * channels));
        let filter = F32.some(3, channels * width);
        // Tap k of token t is that of token t + k + 1 - width.
        let taps =
            |t: usize| (0..width).filter_map(move |k| Some((k, (t + k + 1).checked_sub(width)?)));
        let mut forward = vec![0.0; tokens * channels];
        let mut back = vec![0.0; tokens * channels];
        let mut weights = vec![0.0; channels * width];
        for (t, c) in (0..tokens).flat_map(|t| (0..channels).map(move |c| (t, c))) {
            for (k, from) in taps(t) {
                let (at, from) = (t * channels + c, from * channels + c);
                forward[at] += filter[c * width + k] * input[from];
                back[from] += filter[c * width + k] * slopes[at];
                weights[c * width + k] += input[from] * slopes[at];
            }
        }
        let by_tokens = (tokens, channels, 1);
        let rows = [
            ("forward", &input, &filter, by_tokens, &forward),
            ("backward_dx", &slopes, &filter, by_tokens, &back),
            ("backward_dw", &input, &slopes, (channels, width, 1), &weights),
        ];
        for (name, first, second, threads, expected) in rows {
            let kernel = format!("conv1d_depthwise_causal_{name}_f32");
            let launch = kernels.launch(&kernel).numbers(F32, first).numbers(F32, second);
            let launch = launch.room(expected.len() * 4).words([tokens, channels, width]);
            let [out] = launch.grid(threads, TILE, [2]);
            // Slopes of weights add up to 100 products of 4.
            near(&kernel, &F32.decode(&out), expected, 2e-5);
        }
    }
}

/// A channel of a sequence with what was before it.
fn extended(state: &[f64], input: &[f64], channel: usize, channels: usize) -> Vec<f64> {
    let before = state.len() / channels;
    let rest = input.iter().skip(channel).step_by(channels);
    state[channel * before..][..before].iter().chain(rest).copied().collect()
}

#[test]
fn convolutions_with_a_state() {
    let kernels = open("ssm_conv.metal");
    let capturing = open("ssm_conv_capture.metal");
    for (channels, tokens, sequences, width) in
        [(1usize, 1usize, 1usize, 2usize), (20, 2, 3, 4), (33, 19, 2, 4)]
    {
        let before = width - 1;
        for (name, number) in [("f32", F32), ("bf16", BF16)] {
            let input = number.some(1, channels * tokens * sequences);
            let state = number.some(2, channels * before * sequences);
            let filter = number.some(3, channels * width);
            let parameters = [channels, tokens, sequences, width];
            let of = |seq: usize, channel: usize| {
                let input = &input[seq * tokens * channels..][..tokens * channels];
                let state = &state[seq * before * channels..][..before * channels];
                extended(state, input, channel, channels)
            };
            let filtered = |at: usize| {
                let (seq, t, c) = (at / channels / tokens, at / channels % tokens, at % channels);
                let all = of(seq, c);
                silu((0..width).map(|k| filter[c * width + k] * all[t + k]).sum())
            };
            let expected: Vec<f64> = (0..input.len()).map(filtered).collect();
            let tolerance = 1e-5 + if number == F32 { 0.0 } else { number.epsilon() / 2.0 };
            let kernel = format!("ssm_conv_forward_{name}");
            let launch = kernels.launch(&kernel).numbers(number, &input).numbers(number, &filter);
            let launch = launch.numbers(number, &state).room(input.len() * number.size());
            let [out] = launch.words(parameters).grid((channels, tokens, sequences), TILE, [3]);
            near(&kernel, &number.decode(&out), &expected, tolerance);

            let kernel = format!("ssm_conv_state_update_{name}");
            let launch = kernels.launch(&kernel).numbers(number, &input).numbers(number, &state);
            let launch = launch.room(state.len() * number.size()).words(parameters);
            let [out] = launch.grid((before, channels, sequences), TILE, [2]);
            let last = |at: usize| of(at / channels, at % channels)[tokens..].to_vec();
            let states: Vec<f64> = (0..sequences * channels).flat_map(last).collect();
            near(&kernel, &number.decode(&out), &states, 0.0);

            if number == F32 {
                // The same, with the state after each token.
                let kernel = "ssm_conv_capture_forward_f32";
                let launch = capturing.launch(kernel).numbers(F32, &input).numbers(F32, &filter);
                let launch = launch.numbers(F32, &state).room(input.len() * 4);
                let launch = launch.room(state.len() * tokens * 4).words(parameters);
                let [out, states] = launch.grid((channels, tokens, sequences), TILE, [3, 4]);
                near(kernel, &F32.decode(&out), &expected, tolerance);
                let after = |at: usize| {
                    let (place, c) = (at / channels, at % channels);
                    let (token, k) = (place / before, place % before);
                    of(token / tokens, c)[token % tokens + 1 + k]
                };
                let expected: Vec<f64> = (0..state.len() * tokens).map(after).collect();
                near(kernel, &F32.decode(&states), &expected, 0.0);
            }
        }
    }
}

#[test]
fn resized_images() {
    let kernels = open("bilinear_resize_2d.metal");
    // Larger, as large, smaller, and both.
    for (side, wide, high, channels) in
        [(4usize, 4usize, 4usize, 3usize), (5, 13, 9, 2), (16, 4, 7, 5), (6, 3, 17, 1)]
    {
        let input = F32.some(1, side * side * channels);
        let factors = [wide, high].map(|to| to as f32 / side as f32);
        let supports = factors.map(|factor| (1.0 / factor).max(1.0));
        let parameters = Struct::new().u32([side, wide, high, channels].map(|x| x as u32));
        let parameters = parameters.f32(factors).f32(supports).f32(supports.map(f32::recip));
        let launch = kernels.launch("bilinear_resize_2d_f32").bytes(&parameters.bytes());
        let launch = launch.numbers(F32, &input).room(wide * high * channels * 4);
        let (groups, threads) = lined(wide * high * channels);
        let out = launch.groups(groups, threads, 2);
        // A tent around where the pixel's middle comes from, as wide as a pixel of the coarser image.
        let weights = |to: usize, count: usize| -> Vec<f64> {
            let factor = count as f64 / side as f64;
            let (middle, support) = ((to as f64 + 0.5) / factor, (1.0 / factor).max(1.0));
            let tent = |from: usize| 1.0 - (from as f64 + 0.5 - middle).abs() / support;
            let all: Vec<f64> = (0..side).map(|from| tent(from).max(0.0)).collect();
            let sum: f64 = all.iter().sum();
            all.iter().map(|weight| weight / sum).collect()
        };
        let pixel = |at: usize| {
            let (y, x, channel) = (at / channels / wide, at / channels % wide, at % channels);
            let (down, across) = (weights(y, high), weights(x, wide));
            let all = (0..side * side).map(|from| {
                input[from * channels + channel] * down[from / side] * across[from % side]
            });
            all.sum::<f64>()
        };
        let expected: Vec<f64> = (0..wide * high * channels).map(pixel).collect();
        near("bilinear_resize_2d_f32", &F32.decode(&out), &expected, 1e-5);
    }
}
