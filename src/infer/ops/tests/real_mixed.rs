//! Operations at the sizes of real models of other kinds: mixtures of experts, caches of long contexts, state spaces, delta nets,
//! and images. Of large results some values are compared.

use super::real::some;
use super::{Setup, values};
use crate::infer::ops::*;
use crate::infer::turboquant::{Encoded, decode};
use crate::infer::{DType, Quant, Tensor};

/// Compares one value; errors are relative to a magnitude.
#[track_caller]
pub(super) fn near(what: &str, found: f64, expected: f64, magnitude: f64, tolerance: f64) {
    let limit = tolerance * magnitude;
    assert!((found - expected).abs() <= limit, "{what}: {found}, not {expected} (within {limit})");
}

/// The values of one row of a matrix, or of a longer view.
fn part(tensor: &Tensor, axis: usize, at: usize) -> Vec<f64> {
    values(&tensor.narrow(axis, at..at + 1).expect("a row"))
}

fn integers(setup: &Setup, shape: &[usize], numbers: impl IntoIterator<Item = usize>) -> Tensor {
    let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
    setup.tensor(DType::I32, shape, &numbers)
}

#[test]
fn experts_of_large_mixtures() {
    // Qwen3 30B, for one token; and Granite 3 1B, for a part of a prompt in tiles.
    experts(111, [128, 768, 2048], 1);
    experts(118, [32, 512, 1024], 20);
}

/// 8 of some experts, with their outputs and columns, for each token.
fn experts(seed: u64, [experts, outputs, width]: [usize; 3], tokens: usize) {
    let mut setup = Setup::new(seed);
    let chosen = 8;
    let kind = DType::Quant(Quant::Q4_0);
    // Few random rows, repeated so that no two experts have the same.
    let [gate, up] = [61, 67].map(|rows| {
        let some = setup.weights(kind, &[rows, width]);
        let all = Tensor::new(&setup.gpu, kind, &[experts, outputs, width]).expect("memory");
        let some = some.read_bytes().expect("free").to_vec();
        let mut to = all.write_bytes().expect("free");
        to.chunks_mut(some.len()).for_each(|part| part.copy_from_slice(&some[..part.len()]));
        drop(to);
        all
    });
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let x = setup.random(DType::F16, &[tokens, width]);
    let list: Vec<usize> = (0..tokens * chosen).map(|i| (i * 37 + i / chosen) % experts).collect();
    let ids = integers(&setup, &[tokens, chosen], list.iter().copied());
    let scratch = setup.result(DType::I32, &[Experts::scratch(experts, tokens * chosen)]);
    let y = setup.result(DType::F32, &[tokens, chosen, outputs]);
    let params = Experts { scratch: Some(&scratch), ..Experts::default() };
    let both = Gated { gate: &gate, up: &up, kind: Gate::Silu };
    setup.run(|ops, stream| ops.linear_experts(stream, &x, both, &ids, &y, params));
    let (xv, yv) = (values(&x), values(&y));
    for row in some((tokens * chosen).max(2), 9).into_iter().filter(|&row| row < list.len()) {
        for output in some(outputs, 4) {
            let input = &xv[row / chosen * width..][..width];
            let [(a, a_size), (b, b_size)] = [&gate, &up].map(|w| {
                let expert = w.narrow(0, list[row]..list[row] + 1).expect("an expert");
                let terms = part(&expert, 1, output);
                let terms = terms.iter().zip(input).map(|(w, x)| w * x);
                terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
            });
            let what = format!("{tokens} tokens: output {output} of row {row}");
            let size = (a_size + 1.0) * b_size;
            near(&what, yv[row * outputs + output], silu(a) * b, size, 1e-6);
        }
    }
}

/// The scores of 32 heads of 128 values that share 8 heads of keys, 100 tokens and 500 keys.
#[test]
fn products_of_grouped_heads() {
    let mut setup = Setup::new(112);
    let (heads, shared, dim, tokens, keys) = (32, 8, 128, 100, 500);
    let q = setup.random(DType::F32, &[tokens, heads, dim]);
    let k = setup.random(DType::BF16, &[keys, shared, dim]);
    let scores = setup.result(DType::F32, &[heads, tokens, keys]);
    setup.run(|ops, stream| {
        let q = q.permute(&[1, 0, 2])?;
        let k = k.permute(&[1, 2, 0])?;
        ops.matmul(stream, &q, &k, &scores, Matmul { scale: 0.088_388_35 })
    });
    let (qv, kv, found) = (values(&q), values(&k), values(&scores));
    for head in some(heads, 5) {
        for token in some(tokens, 4) {
            for key in some(keys, 7) {
                let q = &qv[(token * heads + head) * dim..][..dim];
                let k = &kv[(key * shared + head / (heads / shared)) * dim..][..dim];
                let terms = q.iter().zip(k).map(|(q, k)| q * k * 0.088_388_35f32 as f64);
                let (sum, size) = terms.fold((0.0, 0.0), |(s, t), x| (s + x, t + f64::abs(x)));
                let what = format!("head {head}, token {token}, key {key}");
                near(&what, found[(head * tokens + token) * keys + key], sum, size, 2e-6);
            }
        }
    }
}

/// Queries of 32 heads at the end of a context of 128 Ki tokens, with the frequencies of Llama 3.1; and the rows of keys that are
/// appended to a cache that has wrapped around, plain and as codes.
#[test]
fn positions_of_a_long_context() {
    let mut setup = Setup::new(113);
    let (heads, shared, dim, tokens, rows, first) = (32, 8, 128, 70, 4096, 131_002);
    let scaling = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, context: 8192.0 };
    let list = scaling.frequencies(500_000.0, dim);
    let frequencies = setup.tensor(DType::F32, &[dim / 2], &list);
    let x = setup.random(DType::F16, &[tokens, heads, dim]);
    let keys = setup.random(DType::F32, &[tokens, shared, dim]);
    let y = setup.result(DType::F16, &[tokens, heads, dim]);
    let cache = setup.result(DType::F16, &[rows, shared, dim]);
    let codes = TurboCache::new(&setup.gpu, 4, [rows, shared, dim]).expect("memory");
    let positions = integers(&setup, &[tokens], first..first + tokens);
    let rope = Rope { pairs: Pairs::Halves, ..Rope::default() };
    setup.run(|ops, stream| {
        ops.rope(stream, &x, &positions, &frequencies, &y, rope)?;
        ops.append(stream, &keys, &positions, &cache)?;
        ops.append_turbo(stream, &keys, &positions, &codes)
    });
    let (xv, yv, kv) = (values(&x), values(&y), values(&keys));
    for token in some(tokens, 9) {
        for head in some(heads, 5) {
            let at = (token * heads + head) * dim;
            for pair in some(dim / 2, 11) {
                let angle = f64::from((first + token) as f32 * list[pair]);
                let (a, b) = (xv[at + pair], xv[at + pair + dim / 2]);
                let turned = [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()];
                for (nth, expected) in turned.into_iter().enumerate() {
                    let what = format!("pair {pair} of head {head} of token {token}");
                    let found = yv[at + pair + nth * dim / 2];
                    // Rounded to halves.
                    near(&what, found, expected, expected.abs() + 1e-4, 5e-4);
                }
            }
        }
        let row = (first + token) % rows;
        let appended = part(&cache, 0, row);
        let vectors = &kv[token * shared * dim..][..shared * dim];
        for (found, value) in appended.iter().zip(vectors) {
            near(&format!("row {row}"), *found, *value, 1.0, 5e-4);
        }
        let lengths = part(&codes.lengths, 0, row);
        let bytes = codes
            .codes
            .narrow(0, row..row + 1)
            .expect("a row")
            .read_bytes()
            .expect("free")
            .to_vec();
        for (head, vector) in vectors.chunks(dim).enumerate() {
            let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
            near("a length", lengths[head], length, length, 1e-5);
            let each = bytes.len() / shared;
            let (codes, length) = (bytes[head * each..][..each].into(), lengths[head] as f32);
            let decoded = decode(&Encoded { codes, length, bits: 4 }, dim).expect("values");
            let error =
                decoded.iter().zip(vector).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>();
            // The quantiser's mean square error for 4 bits is 0.0095 on average.
            assert!(
                error.sqrt() <= 0.15 * f64::from(length),
                "vector {head} of row {row}: {error}"
            );
        }
    }
    // Nothing else is written: the row after the last one.
    let after = part(&cache, 0, (first + tokens) % rows);
    assert!(after.iter().all(|value| value.is_nan()));
}

/// A convolution of 4 taps over 8192 channels, and a state space of 16 states of 5120 channels, for 40 tokens.
#[test]
fn channels_of_a_state_space() {
    let mut setup = Setup::new(114);
    let (tokens, channels, taps) = (40, 8192, 4);
    let x = setup.random(DType::F32, &[tokens + taps - 1, channels]);
    let weight = setup.random(DType::F32, &[channels, taps]);
    let y = setup.result(DType::F16, &[tokens, channels]);
    let conv = Conv { weight: &weight, bias: None, silu: true };
    setup.run(|ops, stream| ops.conv(stream, &x, &y, conv));
    let (xv, wv, yv) = (values(&x), values(&weight), values(&y));
    for channel in some(channels, 50) {
        for token in some(tokens, 6) {
            let terms =
                (0..taps).map(|i| xv[(token + i) * channels + channel] * wv[channel * taps + i]);
            let sum: f64 = terms.sum();
            let expected = sum / (1.0 + (-sum).exp());
            near(
                &format!("channel {channel}"),
                yv[token * channels + channel],
                expected,
                1.0,
                1.5e-3,
            );
        }
    }

    let (channels, states) = (5120, 16);
    let positive = |setup: &mut Setup, shape: &[usize], factor: f32| {
        let count: usize = shape.iter().product();
        let list: Vec<f32> = (0..count).map(|_| factor * setup.random.value().abs()).collect();
        setup.tensor(DType::F32, shape, &list)
    };
    let steps = positive(&mut setup, &[tokens, channels], 0.1);
    let a = positive(&mut setup, &[channels, states], -16.0);
    let x = setup.random(DType::F32, &[tokens, channels]);
    let [b, c] = [(); 2].map(|_| setup.random(DType::F32, &[tokens, states]));
    let d = setup.random(DType::F32, &[channels]);
    let state = setup.random(DType::F32, &[channels, states]);
    let y = setup.result(DType::F32, &[tokens, channels]);
    let mut h = values(&state);
    let ssm = Ssm { steps: &steps, a: &a, b: &b, c: &c, d: &d, state: &state };
    setup.run(|ops, stream| ops.ssm(stream, &x, &y, ssm));
    let [xv, tv, av, bv, cv, dv, yv, after] = [&x, &steps, &a, &b, &c, &d, &y, &state].map(values);
    for channel in some(channels, 40) {
        for t in 0..tokens {
            let (value, step) = (xv[t * channels + channel], tv[t * channels + channel]);
            let mut sum = dv[channel] * value;
            for i in 0..states {
                let at = channel * states + i;
                h[at] = (step * av[at]).exp() * h[at] + step * bv[t * states + i] * value;
                sum += h[at] * cv[t * states + i];
            }
            near(
                &format!("channel {channel} of token {t}"),
                yv[t * channels + channel],
                sum,
                8.0,
                1e-6,
            );
        }
        for i in channel * states..(channel + 1) * states {
            near(&format!("state {i}"), after[i], h[i], 1.0, 1e-5);
        }
    }
}

/// 32 heads of 128 values that share 16 heads of keys of 128 values, as in Qwen3-Next: 70 tokens, one by one and in chunks.
#[test]
fn heads_of_a_delta_net() {
    let mut setup = Setup::new(115);
    let (tokens, heads, shared, size) = (70, 32, 16, 128);
    let scaled = |setup: &mut Setup, shape: &[usize], factor: f32, sign: bool| {
        let count: usize = shape.iter().product();
        let value = |setup: &mut Setup| match sign {
            true => factor * setup.random.value(),
            false => factor * setup.random.value().abs(),
        };
        let list: Vec<f32> = (0..count).map(|_| value(setup)).collect();
        setup.tensor(DType::F32, shape, &list)
    };
    // Keys of length 1 at most, gates that decay, shares up to 1.
    let keys = scaled(&mut setup, &[tokens, shared, size], 0.088, true);
    let queries = scaled(&mut setup, &[tokens, shared, size], 0.088, true);
    let vectors = scaled(&mut setup, &[tokens, heads, size], 1.0, true);
    let gate = scaled(&mut setup, &[tokens, heads], -0.5, false);
    let beta = scaled(&mut setup, &[tokens, heads], 1.0, false);
    for few_tokens in [usize::MAX, 0] {
        let state = scaled(&mut setup, &[heads, size, size], 0.1, true);
        let y = setup.result(DType::F32, &[tokens, heads, size]);
        let mut before = values(&state);
        let (keys_of, values_of) = (&keys, &vectors);
        let delta = Delta {
            keys: keys_of,
            values: values_of,
            gate: &gate,
            beta: &beta,
            state: &state,
            scale: 1.0,
            few_tokens,
        };
        setup.run(|ops, stream| ops.delta(stream, &queries, &y, delta));
        let [qv, kv, vv, gv, bv, yv, after] =
            [&queries, &keys, &vectors, &gate, &beta, &y, &state].map(values);
        for head in some(heads, 4) {
            for column in some(size, 3) {
                let at = |i: usize| (head * size + i) * size + column;
                for t in 0..tokens {
                    let start = (t * shared + head / (heads / shared)) * size;
                    let (key, query) = (&kv[start..start + size], &qv[start..start + size]);
                    (0..size).for_each(|i| before[at(i)] *= gv[t * heads + head].exp());
                    let known: f64 = (0..size).map(|i| before[at(i)] * key[i]).sum();
                    let value = vv[(t * heads + head) * size + column];
                    let change = (value - known) * bv[t * heads + head];
                    (0..size).for_each(|i| before[at(i)] += key[i] * change);
                    let sum: f64 = (0..size).map(|i| before[at(i)] * query[i]).sum();
                    let what = format!("head {head}, column {column}, token {t}, {few_tokens}");
                    near(&what, yv[(t * heads + head) * size + column], sum, 1.0, 2e-5);
                }
                for i in 0..size {
                    near(&format!("state of head {head}"), after[at(i)], before[at(i)], 1.0, 2e-5);
                }
            }
        }
    }
}

/// The order of all logits of a vocabulary of 128,256 tokens.
#[test]
fn the_order_of_a_whole_vocabulary() {
    let mut setup = Setup::new(116);
    let count = 128_256;
    let logits = setup.random(DType::F16, &[1, count]);
    let indices = setup.result(DType::I32, &[1, count]);
    setup.run(|ops, stream| ops.argsort(stream, &logits, &indices, Order::Descending));
    let all = values(&logits);
    let mut expected: Vec<i32> = (0..count as i32).collect();
    expected.sort_by(|&a, &b| all[b as usize].total_cmp(&all[a as usize]));
    let found = indices.to_vec::<i32>().expect("free");
    assert!(found == expected, "the orders differ");
}

/// A photograph of 1080 × 1920 that becomes 448 × 448, and its patches of 14 × 14.
#[test]
fn patches_of_a_photograph() {
    let setup = Setup::new(117);
    let (height, width, size, patch) = (1080, 1920, 448, 14);
    let list: Vec<f32> =
        (0..3 * height * width).map(|i| ((i * 7919) % 1009) as f32 / 1009.0).collect();
    let photograph = setup.tensor(DType::F16, &[3, height, width], &list);
    let small = setup.result(DType::F32, &[3, size, size]);
    let count = size / patch;
    let rows = setup.result(DType::F16, &[count * count, 3 * patch * patch]);
    setup.run(|ops, stream| {
        ops.resize(stream, &photograph, &small, Resize::Centres)?;
        ops.patches(stream, &small, &rows, Patches::tiles(patch))
    });
    let (from, to) = (values(&photograph), values(&small));
    for channel in 0..3 {
        for row in some(size, 13) {
            for column in some(size, 17) {
                let along = |at: usize, from: usize| {
                    let position = (at as f64 + 0.5) * from as f64 / size as f64 - 0.5;
                    position.clamp(0.0, (from - 1) as f64)
                };
                let (y, x) = (along(row, height), along(column, width));
                let mut sum = 0.0;
                for (r, c) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let (fy, fx) = (y.fract(), x.fract());
                    let weight = [1.0 - fy, fy][r] * [1.0 - fx, fx][c];
                    let (r, c) =
                        ((y as usize + r).min(height - 1), (x as usize + c).min(width - 1));
                    sum += weight * from[(channel * height + r) * width + c];
                }
                // Positions up to 1920 are rounded to 2⁻¹⁴, and neighbours differ by up to 1.
                let found = to[(channel * size + row) * size + column];
                near(&format!("{channel} {row} {column}"), found, sum, 1.0, 3e-4);
            }
        }
    }
    let found = values(&rows);
    for (at, value) in found.iter().enumerate() {
        let (row, inner) = (at / (3 * patch * patch), at % (3 * patch * patch));
        let (channel, y, x) = (inner / (patch * patch), inner / patch % patch, inner % patch);
        let (y, x) = (row / count * patch + y, row % count * patch + x);
        let expected = to[(channel * size + y) * size + x];
        near(&format!("value {inner} of patch {row}"), *value, expected, 1.0, 5e-4);
    }
}
