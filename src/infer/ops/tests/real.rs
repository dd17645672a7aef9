//! Operations at the sizes of real models: those of Llama 3 8B. Where a result is large, some of its values are compared.

use super::{Setup, close, plain, values};
use crate::infer::ops::{Attention, Linear, Norm, Softmax};
use crate::infer::{DType, Quant, Tensor};

const WIDTH: usize = 4096;
const VOCABULARY: usize = 128_256;

/// Numbers below a limit, spread over it, with the first and the last one.
pub(super) fn some(limit: usize, count: usize) -> Vec<usize> {
    (0..count).map(|i| i * (limit - 1) / (count - 1)).collect()
}

#[test]
fn products_of_4096_by_4096() {
    let mut setup = Setup::new(101);
    for quant in [Quant::Q4_K, Quant::Q6_K, Quant::Q8_0] {
        let w = setup.weights(DType::Quant(quant), &[WIDTH, WIDTH]);
        let outputs = some(WIDTH, 40);
        // The decoded rows of some outputs.
        let rows: Vec<Vec<f64>> =
            outputs.iter().map(|&row| values(&w.narrow(0, row..row + 1).expect("a row"))).collect();
        for tokens in [1, 64] {
            let x = setup.random(DType::F32, &[tokens, WIDTH]);
            let y = setup.result(DType::F32, &[tokens, WIDTH]);
            setup.run(|ops, stream| ops.linear(stream, &x, &w, &y, Linear::default()));
            let (xv, yv) = (values(&x), values(&y));
            for token in some(tokens.max(2), 5).into_iter().filter(|&token| token < tokens) {
                for (row, &output) in rows.iter().zip(&outputs) {
                    let terms = xv[token * WIDTH..][..WIDTH].iter().zip(row).map(|(x, w)| x * w);
                    let (sum, size) =
                        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                    let found = yv[token * WIDTH + output];
                    // Sums of 4096 terms in an order of the kernel: some 2⁻²⁴ of the magnitudes for each of a few levels.
                    assert!(
                        (found - sum).abs() <= 1e-6 * size,
                        "{quant:?}, {tokens} tokens: output {output} of token {token} is {found}, not {sum} (of {size})"
                    );
                }
            }
        }
    }
}

#[test]
fn rows_of_a_whole_vocabulary() {
    let mut setup = Setup::new(102);
    let logits = setup.random(DType::F32, &[2, VOCABULARY]);
    let y = setup.result(DType::F32, &[2, VOCABULARY]);
    let (indices, best) = (setup.result(DType::I32, &[2, 40]), setup.result(DType::F32, &[2, 40]));
    setup.run(|ops, stream| {
        ops.softmax(stream, &logits, &y, Softmax { scale: 8.0, ..Softmax::default() })?;
        ops.top(stream, &logits, &indices, Some(&best))
    });
    let mut shares = Vec::new();
    let (mut order, mut largest) = (Vec::new(), Vec::new());
    for row in values(&logits).chunks(VOCABULARY) {
        let weights: Vec<f64> = row.iter().map(|x| (8.0 * x).exp()).collect();
        let sum: f64 = weights.iter().sum();
        shares.extend(weights.into_iter().map(|weight| weight / sum));
        let mut sorted: Vec<usize> = (0..VOCABULARY).collect();
        sorted.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        order.extend(sorted[..40].iter().map(|&i| i as i32));
        largest.extend(sorted[..40].iter().map(|&i| row[i]));
    }
    // The exponents are up to 8, and have an error of 2⁻²⁴ of that; the sum has that of its terms.
    close("softmax", &y, &plain(shares), 5e-6);
    assert_eq!(indices.to_vec::<i32>().expect("free"), order);
    assert_eq!(values(&best), largest);
}

#[test]
fn lookups_in_a_large_vocabulary() {
    let mut setup = Setup::new(103);
    let w = setup.weights(DType::Quant(Quant::Q8_0), &[32_000, 64]);
    let chosen = some(32_000, 9);
    let at: Vec<f32> = chosen.iter().map(|&row| row as f32).collect();
    let indices = setup.tensor(DType::I32, &[9], &at);
    let y = setup.result(DType::F32, &[9, 64]);
    setup.run(|ops, stream| ops.lookup(stream, &indices, &w, &y));
    let rows = chosen.iter().flat_map(|&row| values(&w.narrow(0, row..row + 1).expect("a row")));
    close("lookup", &y, &plain(rows), 2e-7);
}

#[test]
fn norms_of_4096_values() {
    let mut setup = Setup::new(104);
    let (x, weight) = (setup.random(DType::F16, &[3, WIDTH]), setup.random(DType::F32, &[WIDTH]));
    let y = setup.result(DType::F32, &[3, WIDTH]);
    let norm = Norm { weight: Some(&weight), epsilon: 1e-5, ..Norm::default() };
    setup.run(|ops, stream| ops.norm(stream, &x, &y, norm));
    let (xv, wv) = (values(&x), values(&weight));
    let expected = xv.chunks(WIDTH).flat_map(|row| {
        let mean = row.iter().map(|x| x * x).sum::<f64>() / WIDTH as f64;
        let scale = (mean + 1e-5).sqrt().recip();
        row.iter().zip(&wv).map(move |(x, w)| x * scale * w).collect::<Vec<_>>()
    });
    close("norm", &y, &plain(expected), 2e-6);
}

/// 32 heads that share 8 heads of keys, of 128 values, over a cache of 2048 rows: one token, and a part of a prompt in tiles.
#[test]
fn attention_over_2048_keys() {
    let mut setup = Setup::new(105);
    let (heads, kv_heads, dim, rows) = (32, 8, 128, 2048);
    let cached = |setup: &mut Setup| setup.random(DType::F16, &[rows, kv_heads, dim]);
    let (k, v) = (cached(&mut setup), cached(&mut setup));
    let (kv, vv) = (values(&k), values(&v));
    for tokens in [1, 40] {
        let q = setup.random(DType::F32, &[tokens, heads, dim]);
        let o = setup.result(DType::F32, &[tokens, heads, dim]);
        let at: Vec<f32> = (rows - tokens..rows).map(|position| position as f32).collect();
        let positions = setup.tensor(DType::I32, &[tokens], &at);
        let params = Attention { positions: Some(&positions), ..Attention::default() };
        setup.run(|ops, stream| ops.attention(stream, &q, &k, &v, &o, params));
        let (qv, ov) = (values(&q), values(&o));
        for token in some(tokens.max(2), 3).into_iter().filter(|&token| token < tokens) {
            for head in some(heads, 6) {
                let query = &qv[(token * heads + head) * dim..][..dim];
                let start = |row: usize| (row * kv_heads + head * kv_heads / heads) * dim;
                let seen = rows - tokens + token + 1;
                let logit = |row: usize| -> f64 {
                    query.iter().zip(&kv[start(row)..]).map(|(q, k)| q * k).sum()
                };
                let weights: Vec<f64> =
                    (0..seen).map(|row| (logit(row) / (dim as f64).sqrt()).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for column in some(dim, 8) {
                    let expected: f64 =
                        (0..seen).map(|row| weights[row] / sum * vv[start(row) + column]).sum();
                    let found = ov[(token * heads + head) * dim + column];
                    // Values are at most 1.
                    assert!(
                        (found - expected).abs() <= 2e-5,
                        "{tokens} tokens: value {column} of head {head} of token {token} is {found}, not {expected}"
                    );
                }
            }
        }
    }
}

/// The whole vocabulary's product, the largest one of a token: its last outputs are right.
#[test]
fn the_logits_of_a_whole_vocabulary() {
    let mut setup = Setup::new(106);
    let (width, tail) = (256, 50);
    let w = setup.random(DType::F16, &[VOCABULARY, width]);
    let x = setup.random(DType::F32, &[1, width]);
    let y = setup.result(DType::F32, &[1, VOCABULARY]);
    setup.run(|ops, stream| ops.linear(stream, &x, &w, &y, Linear::default()));
    let part = |tensor: &Tensor, axis: usize| {
        values(&tensor.narrow(axis, VOCABULARY - tail..VOCABULARY).expect("a view"))
    };
    let (last, found, xv) = (part(&w, 0), part(&y, 1), values(&x));
    for (row, found) in last.chunks(width).zip(found) {
        let expected: f64 = row.iter().zip(&xv).map(|(w, x)| w * x).sum();
        assert!((found - expected).abs() <= 1e-5, "{found}, not {expected}");
    }
}
