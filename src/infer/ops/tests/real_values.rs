//! Operations on each value, along rows and by index, and caches of codes, at the sizes of real models. Of large results some
//! values are compared.

use super::real::some;
use super::real_mixed::near;
use super::turbo::vectors;
use super::{Setup, close, values};
use crate::infer::ops::*;
use crate::infer::turboquant::decode;
use crate::infer::{DType, Tensor};

const VOCABULARY: usize = 128_256;

fn integers(setup: &Setup, shape: &[usize], number: impl Fn(usize) -> usize) -> Tensor {
    let count = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|i| number(i) as f32).collect();
    setup.tensor(DType::I32, shape, &numbers)
}

/// The gate of the feed-forward layer of Llama 3 8B, for a few tokens, with the halves of one product as operands; and a residual.
#[test]
fn gates_of_14336_values() {
    let mut setup = Setup::new(121);
    let (tokens, width) = (6, 14_336);
    let both = setup.random(DType::F16, &[tokens, 2 * width]);
    let [y, tanh] = [DType::BF16, DType::F16].map(|dtype| setup.result(dtype, &[tokens, width]));
    let [gate, up] = [0..width, width..2 * width].map(|part| both.narrow(1, part).expect("a view"));
    setup.run(|ops, stream| {
        ops.binary(stream, Binary::SiluMul, &gate, &up, &y)?;
        ops.unary(stream, Unary::GeluTanh, &gate, &tanh)
    });
    let (all, mut gated, mut curved) = (values(&both), Vec::new(), Vec::new());
    for row in all.chunks(2 * width) {
        let (gate, up) = row.split_at(width);
        gated.extend(gate.iter().zip(up).map(|(a, b)| (a / (1.0 + (-a).exp()) * b, a.abs())));
        curved.extend(gate.iter().map(|x| {
            let root = (2.0 / std::f64::consts::PI).sqrt();
            (0.5 * x * (1.0 + (root * (x + 0.044715 * x * x * x)).tanh()), x.abs())
        }));
    }
    close("silu(gate) * up", &y, &gated, 3e-6);
    close("gelu", &tanh, &curved, 3e-6);
}

/// The queries, keys and values of 20 tokens of Llama 3 8B in one tensor, and its heads before their tokens.
#[test]
fn projections_side_by_side() {
    let mut setup = Setup::new(122);
    let (tokens, dim, heads) = (20, 128, [32, 8, 8]);
    let parts = heads.map(|heads| setup.random(DType::F16, &[tokens, heads, dim]));
    let joined = setup.result(DType::F32, &[tokens, 48, dim]);
    let turned = setup.result(DType::F16, &[48, tokens, dim]);
    setup.run(|ops, stream| {
        let [q, k, v] = &parts;
        ops.concat(stream, &[q, k, v], &joined, 1)?;
        ops.unary(stream, Unary::Copy, &joined.permute(&[1, 0, 2])?, &turned)
    });
    let (from, found, turned) = (parts.each_ref().map(values), values(&joined), values(&turned));
    for token in 0..tokens {
        for head in 0..48 {
            let (part, first) = [(0, 0), (1, 32), (2, 40)]
                .into_iter()
                .rfind(|&(_, first)| head >= first)
                .expect("a part");
            let row = (token * heads[part] + head - first) * dim;
            let expected = &from[part][row..][..dim];
            assert!(found[(token * 48 + head) * dim..][..dim] == *expected, "{token} {head}");
            assert!(turned[(head * tokens + token) * dim..][..dim] == *expected, "{token} {head}");
        }
    }
}

/// Logits of candidates in a whole vocabulary, and the results of 8 experts for each of 12 tokens, which are added up.
#[test]
fn values_by_index() {
    let mut setup = Setup::new(123);
    let (rows, count, tokens, width, chosen) = (2, 40, 12, 2048, 8);
    let logits = setup.random(DType::F16, &[rows, VOCABULARY]);
    let indices = integers(&setup, &[rows, count], |i| (i * 7919 + 128_255) % VOCABULARY);
    let taken = setup.result(DType::F16, &[rows, count]);
    let parts = setup.random(DType::F32, &[tokens * chosen, width]);
    // A row of an expert belongs to a token.
    let token_of = |row: usize| row * 5 % tokens;
    let list = integers(&setup, &[tokens * chosen, 1], token_of);
    let sums = setup.tensor(DType::F32, &[tokens, width], &vec![0.0; tokens * width]);
    setup.run(|ops, stream| {
        ops.take(stream, &logits, &indices, &taken, 1)?;
        let list = list.broadcast(&[tokens * chosen, width])?;
        ops.scatter(stream, &parts, &list, &sums, Scatter { axis: 0, add: true })
    });
    let all = values(&logits);
    let expected: Vec<f64> = (0..rows * count)
        .map(|i| all[i / count * VOCABULARY + (i * 7919 + 128_255) % VOCABULARY])
        .collect();
    assert_eq!(values(&taken), expected);
    let mut expected = vec![(0.0, 0.0); tokens * width];
    for (row, part) in values(&parts).chunks(width).enumerate() {
        for (at, value) in part.iter().enumerate() {
            let sum = &mut expected[token_of(row) * width + at];
            *sum = (sum.0 + value, sum.1 + value.abs());
        }
    }
    close("scatter", &sums, &expected, 1e-6);
}

#[test]
fn sums_of_a_whole_vocabulary() {
    let mut setup = Setup::new(124);
    let x = setup.random(DType::F32, &[1, VOCABULARY]);
    let y = setup.result(DType::F32, &[1, VOCABULARY]);
    let kinds = [Reduce::Sum, Reduce::Mean, Reduce::Max, Reduce::Min];
    let found = kinds.map(|_| setup.result(DType::F32, &[1]));
    setup.run(|ops, stream| {
        ops.scan(stream, &x, &y)?;
        kinds.iter().zip(&found).try_for_each(|(&kind, y)| ops.reduce(stream, &x, y, kind))
    });
    let row = values(&x);
    let size: f64 = row.iter().map(|value| value.abs()).sum();
    let mut before = 0.0;
    // Signs differ, so that sums are small beside the magnitudes that errors are relative to.
    let sums = row.iter().map(|value| {
        before += value;
        (before, size)
    });
    close("scan", &y, &sums.collect::<Vec<_>>(), 1e-6);
    let mean = before / VOCABULARY as f64;
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = row.iter().copied().fold(f64::INFINITY, f64::min);
    let [sum, average, most, least] = found.each_ref().map(|y| values(y)[0]);
    near("sum", sum, before, size, 1e-6);
    near("mean", average, mean, size / VOCABULARY as f64, 1e-6);
    assert_eq!((most, least), (largest, smallest));
}

/// The systems of a delta net's chunks: 32 heads of 64 tokens, with values of 128.
#[test]
fn triangular_systems_of_chunks() {
    let mut setup = Setup::new(125);
    let (heads, size, columns) = (32, 64, 128);
    let entries: Vec<f32> =
        (0..heads * size * size).map(|_| setup.random.value() / size as f32).collect();
    let a = setup.tensor(DType::F32, &[heads, size, size], &entries);
    let b = setup.random(DType::F16, &[heads, size, columns]);
    let x = setup.result(DType::F32, &[heads, size, columns]);
    let params = Solve { unit: true, ..Solve::default() };
    setup.run(|ops, stream| ops.solve(stream, &a, &b, &x, params));
    let (av, bv, found) = (values(&a), values(&b), values(&x));
    for head in some(heads, 5) {
        for column in some(columns, 7) {
            let at = |row: usize| (head * size + row) * columns + column;
            let mut solved: Vec<f64> = Vec::new();
            for row in 0..size {
                let left = &av[(head * size + row) * size..][..row];
                let known: f64 = left.iter().zip(&solved).map(|(a, x)| a * x).sum();
                solved.push(bv[at(row)] - known);
                let what = format!("row {row} of column {column} of head {head}");
                near(&what, found[at(row)], solved[row], solved[row].abs() + 2.0, 1e-5);
            }
        }
    }
}

/// Tokens of a whole vocabulary, in the order of their logits.
#[test]
fn samples_of_a_whole_vocabulary() {
    let mut setup = Setup::new(126);
    let mut logits: Vec<f32> = (0..VOCABULARY).map(|_| 12.0 * setup.random.value()).collect();
    logits.sort_by(|a, b| b.total_cmp(a));
    let sample = Sample { temperature: 0.9, top_p: 0.95, min_p: 0.0 };
    let weight = |i: usize| f64::exp(f64::from(logits[i] - logits[0]) / 0.9f32 as f64);
    let below: Vec<f64> = (0..VOCABULARY)
        .scan(0.0, |sum, i| {
            *sum += weight(i);
            Some(*sum)
        })
        .collect();
    let all = below[VOCABULARY - 1];
    let tensor = setup.tensor(DType::F32, &[1, VOCABULARY], &logits);
    let tokens = integers(&setup, &[1, VOCABULARY], |i| i * 7919 % VOCABULARY);
    for random in [0.0, 0.1, 0.5, 0.999] {
        let uniform = setup.tensor(DType::F32, &[1], &[random]);
        let chosen = setup.result(DType::I32, &[1]);
        setup.run(|ops, stream| ops.sample(stream, &tensor, &tokens, &uniform, &chosen, sample));
        let token = chosen.to_vec::<i32>().expect("free")[0] as usize;
        let nth = (0..VOCABULARY).find(|i| i * 7919 % VOCABULARY == token).expect("a token");
        // The kernel's sum of all has lost the terms of less than half a unit in its last place.
        let (aim, slack) = (f64::from(random) * 0.95 * all, 4e-4 * all);
        let before = if nth == 0 { 0.0 } else { below[nth - 1] };
        assert!(
            before <= aim + slack && below[nth] >= aim - slack,
            "{random}: candidate {nth} from {before} to {}, not {aim}",
            below[nth]
        );
    }
}

/// 32 heads that share 8 heads of keys of 4 bits and values of 3 bits, of 128 values, over 1024 rows: one token, and a part of
/// a prompt in tiles.
#[test]
fn attention_over_1024_rows_of_codes() {
    let mut setup = Setup::new(127);
    let (heads, kv_heads, dim, rows) = (32, 8, 128, 1024);
    let [keys, codes] = [4, 3].map(|bits| {
        let cache = TurboCache::new(&setup.gpu, bits, [rows, kv_heads, dim]).expect("memory");
        let x = setup.random(DType::F16, &[rows, kv_heads, dim]);
        let positions = integers(&setup, &[rows], |row| row);
        setup.run(|ops, stream| ops.append_turbo(stream, &x, &positions, &cache));
        cache
    });
    let shared: Vec<usize> = some(kv_heads, 3);
    let [kv, vv] = [&keys, &codes].map(|cache| {
        let all = vectors(cache);
        let of_head = |head: &usize| -> Vec<Vec<f32>> {
            let of_head = all.iter().skip(*head).step_by(kv_heads);
            of_head.map(|vector| decode(vector, dim).expect("values")).collect()
        };
        shared.iter().map(of_head).collect::<Vec<_>>()
    });
    for tokens in [1, 20] {
        let q = setup.random(DType::F16, &[tokens, heads, dim]);
        let o = setup.result(DType::F32, &[tokens, heads, dim]);
        let positions = integers(&setup, &[tokens], |token| rows - tokens + token);
        let params = Attention { positions: Some(&positions), ..Attention::default() };
        setup.run(|ops, stream| ops.attention(stream, &q, &keys, &codes, &o, params));
        let (qv, ov) = (values(&q), values(&o));
        for token in some(tokens.max(2), 2).into_iter().filter(|&token| token < tokens) {
            for (nth, &kv_head) in shared.iter().enumerate() {
                let at = (token * heads + kv_head * (heads / kv_heads) + nth) * dim;
                let query = &qv[at..][..dim];
                let seen = rows - tokens + token + 1;
                let dot = |key: &Vec<f32>| -> f64 {
                    query.iter().zip(key).map(|(q, &k)| q * f64::from(k)).sum()
                };
                let weights: Vec<f64> = kv[nth][..seen]
                    .iter()
                    .map(|key| (dot(key) / (dim as f64).sqrt()).exp())
                    .collect();
                let sum: f64 = weights.iter().sum();
                let expected = (0..dim).map(|column| {
                    let each = weights.iter().zip(&vv[nth]);
                    each.map(|(weight, v)| weight / sum * f64::from(v[column])).sum::<f64>()
                });
                for (column, expected) in expected.enumerate() {
                    let what = format!("{tokens} tokens: value {column} of head {kv_head}, {nth}");
                    near(&what, ov[at + column], expected, 1.0, 2e-5);
                }
            }
        }
    }
}
