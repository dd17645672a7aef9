//! Convolutions and recurrences.

use super::{FLOATS, Setup, close, plain, values};
use crate::infer::DType;
use crate::infer::ops::{Conv, Delta, Ssm};

/// Some additions in a row for each token, and errors of states that add up over the tokens.
const TOLERANCE: f64 = 1e-5;

/// All pairs of types of operands and results, with their number.
fn pairs() -> impl Iterator<Item = (usize, DType, DType)> {
    (0..9).map(|i| (i, FLOATS[i / 3], FLOATS[i % 3]))
}

#[test]
fn convolutions_by_channel() {
    let mut setup = Setup::new(41);
    for (tokens, channels, taps) in [(1, 1, 1), (5, 3, 4), (7, 70, 2)] {
        for (i, dtype, y_type) in pairs() {
            let w_type = FLOATS[i / 2 % 3];
            let x = setup.random(dtype, &[tokens + taps - 1, channels]);
            let weight = setup.random(w_type, &[channels, taps]);
            let bias = setup.random(w_type, &[channels]);
            let y = setup.result(y_type, &[tokens, channels]);
            let conv =
                Conv { weight: &weight, bias: (i % 3 > 0).then_some(&bias), silu: i % 3 > 1 };
            setup.run(|ops, stream| ops.conv(stream, &x, &y, conv));
            let (xv, wv, bv) = (values(&x), values(&weight), values(&bias));
            let mut expected = Vec::new();
            for token in 0..tokens {
                for channel in 0..channels {
                    let terms = (0..taps).map(|tap| {
                        xv[(token + tap) * channels + channel] * wv[channel * taps + tap]
                    });
                    let start = if i % 3 > 0 { bv[channel] } else { 0.0 };
                    let (sum, size) = terms.fold((start, start.abs()), |(sum, size), term| {
                        (sum + term, size + term.abs())
                    });
                    expected.push(match i % 3 > 1 {
                        true => (sum / (1.0 + (-sum).exp()), size),
                        false => (sum, size),
                    });
                }
            }
            close(
                &format!("{tokens} {channels} {taps} {dtype} {w_type} {y_type}"),
                &y,
                &expected,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn state_spaces_along_tokens() {
    let mut setup = Setup::new(42);
    for (tokens, channels, states) in [(1, 1, 1), (9, 33, 16), (20, 5, 64)] {
        for (_, dtype, y_type) in pairs() {
            let [x, steps] = [(); 2].map(|_| setup.random(dtype, &[tokens, channels]));
            let [b, c] = [(); 2].map(|_| setup.random(dtype, &[tokens, states]));
            let [a, state] = [(); 2].map(|_| setup.random(DType::F32, &[channels, states]));
            let d = setup.random(DType::F32, &[channels]);
            let y = setup.result(y_type, &[tokens, channels]);
            let [xv, tv, bv, cv, av, dv] = [&x, &steps, &b, &c, &a, &d].map(values);
            let mut h = values(&state);
            let ssm = Ssm { steps: &steps, a: &a, b: &b, c: &c, d: &d, state: &state };
            setup.run(|ops, stream| ops.ssm(stream, &x, &y, ssm));
            let mut expected = Vec::new();
            for t in 0..tokens {
                for channel in 0..channels {
                    let (x, step) = (xv[t * channels + channel], tv[t * channels + channel]);
                    let mut sum = (dv[channel] * x, (dv[channel] * x).abs());
                    for i in 0..states {
                        let at = channel * states + i;
                        h[at] = (step * av[at]).exp() * h[at] + step * bv[t * states + i] * x;
                        let term = h[at] * cv[t * states + i];
                        sum = (sum.0 + term, sum.1 + term.abs());
                    }
                    expected.push((sum.0, sum.1 + 1.0));
                }
            }
            let what = format!("{tokens} {channels} {states} {dtype} to {y_type}");
            close(&what, &y, &expected, 2.0 * TOLERANCE);
            let size = h.iter().fold(1.0, |most: f64, v| most.max(v.abs()));
            let h: Vec<(f64, f64)> = h.into_iter().map(|value| (value, size)).collect();
            close(&format!("{what}: the state"), &state, &h, 2.0 * TOLERANCE);
        }
    }
}

#[test]
fn the_gated_delta_rule_along_tokens() {
    let mut setup = Setup::new(43);
    for (tokens, heads, key_heads, size, columns) in [
        (1, 1, 1, 1, 1),
        (6, 4, 2, 16, 8),
        (50, 2, 2, 64, 40),
        (16, 2, 1, 100, 7),
        (3, 2, 1, 128, 128),
    ] {
        // The long references with equal types only.
        for (_, dtype, y_type) in pairs().filter(|pair| size < 64 || pair.1 == pair.2) {
            let [q, k] = [(); 2].map(|_| setup.random(dtype, &[tokens, key_heads, size]));
            let v = setup.random(dtype, &[tokens, heads, columns]);
            let [gate, beta] = [(); 2].map(|_| setup.random(DType::F32, &[tokens, heads]));
            let state = setup.random(DType::F32, &[heads, size, columns]);
            let y = setup.result(y_type, &[tokens, heads, columns]);
            // Keys of length 1 at most, as models have them; otherwise states grow without bound.
            let scale = 1.0 / (size as f32).sqrt();
            let short: Vec<f32> = values(&k).into_iter().map(|k| k as f32 * scale).collect();
            let k = setup.tensor(dtype, &[tokens, key_heads, size], &short);
            // States decay, as in models.
            let decay: Vec<f32> = values(&gate).into_iter().map(|g| -(g.abs() as f32)).collect();
            let gate = setup.tensor(DType::F32, &[tokens, heads], &decay);
            let [qv, kv, vv, gv, bv] = [&q, &k, &v, &gate, &beta].map(values);
            let mut s = values(&state);
            let start: Vec<f32> = s.iter().map(|&v| v as f32).collect();
            let other = setup.tensor(DType::F32, &[heads, size, columns], &start);
            let in_chunks = setup.result(y_type, &[tokens, heads, columns]);
            let (gates, betas, few_tokens) = (&gate, &beta, usize::MAX);
            let (keys, own) = (&k, &state);
            let delta =
                Delta { keys, values: &v, gate: gates, beta: betas, state: own, scale, few_tokens };
            setup.run(|ops, stream| {
                ops.delta(stream, &q, &y, delta)?;
                let chunks = Delta { state: &other, few_tokens: 0, ..delta };
                ops.delta(stream, &q, &in_chunks, chunks)
            });
            let mut expected = Vec::new();
            for t in 0..tokens {
                for head in 0..heads {
                    let of = |all: &[f64]| {
                        all[(t * key_heads + head * key_heads / heads) * size..][..size].to_vec()
                    };
                    let (query, key) = (of(&qv), of(&kv));
                    let (gate, beta) = (gv[t * heads + head], bv[t * heads + head]);
                    for column in 0..columns {
                        let at = |i: usize| (head * size + i) * columns + column;
                        (0..size).for_each(|i| s[at(i)] *= gate.exp());
                        let known: f64 = (0..size).map(|i| s[at(i)] * key[i]).sum();
                        let change = (vv[(t * heads + head) * columns + column] - known) * beta;
                        (0..size).for_each(|i| s[at(i)] += key[i] * change);
                        let terms = (0..size).map(|i| s[at(i)] * query[i] * f64::from(scale));
                        let sum = terms.fold((0.0, 1.0), |(s, t), x| (s + x, t + x.abs()));
                        expected.push(sum);
                    }
                }
            }
            let what = format!("{tokens} {heads} {size} {columns} {dtype} to {y_type}");
            close(&what, &y, &expected, TOLERANCE);
            close(&format!("{what}, in chunks"), &in_chunks, &expected, TOLERANCE);
            let size = s.iter().fold(1.0, |most: f64, v| most.max(v.abs()));
            let s: Vec<(f64, f64)> = s.into_iter().map(|value| (value, size)).collect();
            close(&format!("{what}: the state"), &state, &s, TOLERANCE);
            close(&format!("{what}: the state, in chunks"), &other, &s, TOLERANCE);
        }
    }
}

#[test]
fn a_sequence_in_two_parts_is_the_same() {
    let mut setup = Setup::new(44);
    let x = setup.random(DType::F32, &[8, 1, 4]);
    let gate = setup.random(DType::F32, &[8, 1]);
    let [whole, parts] = [(); 2].map(|_| setup.result(DType::F32, &[8, 1, 4]));
    let [one, other] = [(); 2].map(|_| setup.tensor(DType::F32, &[1, 4, 4], &[0.0; 16]));
    setup.run(|ops, stream| {
        let (scale, few_tokens, state) = (1.0, 8, &one);
        let all =
            Delta { keys: &x, values: &x, gate: &gate, beta: &gate, state, scale, few_tokens };
        ops.delta(stream, &x, &whole, all)?;
        for range in [0..3, 3..8] {
            let x = x.narrow(0, range.clone())?;
            let gate = gate.narrow(0, range.clone())?;
            let (gate, beta, state) = (&gate, &gate, &other);
            let part = Delta { keys: &x, values: &x, gate, beta, state, scale, few_tokens };
            ops.delta(stream, &x, &parts.narrow(0, range)?, part)?;
        }
        Ok(())
    });
    close("parts", &parts, &plain(values(&whole)), 0.0);
    assert_eq!(values(&one), values(&other));
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(45);
    let x = setup.random(DType::F32, &[5, 3]);
    let weight = setup.random(DType::F32, &[3, 2]);
    let heads = setup.random(DType::F32, &[2, 3, 4]);
    let state = setup.random(DType::F32, &[3, 65]);
    let conv = Conv { weight: &weight, bias: None, silu: false };
    let (keys, state_of, scale, few_tokens) = (&heads, &heads, 1.0, 8);
    let delta =
        Delta { keys, values: &heads, gate: &x, beta: &x, state: state_of, scale, few_tokens };
    let ssm = Ssm { steps: &x, a: &x, b: &x, c: &x, d: &x, state: &state };
    for (error, message) in [
        (setup.error(|o, s| o.conv(s, &x, &x, conv)), "x [5, 3] with 2 taps does not make [5, 3]"),
        (
            setup.error(|o, s| o.conv(s, &x, &x, Conv { weight: &x, ..conv })),
            "contiguous [3, 3] is needed",
        ),
        (setup.error(|o, s| o.ssm(s, &x, &x, ssm)), "65 states a channel"),
        (
            setup.error(|o, s| o.ssm(s, &x, &x, Ssm { state: &weight, ..ssm })),
            "a of shape [5, 3]: contiguous [3, 2]",
        ),
        (setup.error(|o, s| o.delta(s, &x, &heads, delta)), "are not tokens, heads and values"),
        (
            setup.error(|o, s| o.delta(s, &heads, &heads, delta)),
            "the gate of shape [5, 3]: contiguous [2, 3]",
        ),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}
