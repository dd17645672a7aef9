//! Rotary positions, caches, attention and the choice of tokens.

use super::{FLOATS, Setup, close, plain, values};
use crate::infer::DType;
use crate::infer::ops::{Attention, Pairs, Rope, Sample, Scaling, TurboCache};

#[test]
fn rope_with_both_pairings() {
    let mut setup = Setup::new(31);
    for (dim, rotated) in [(2, 2), (8, 8), (64, 32), (80, 80), (7, 4)] {
        for pairs in [Pairs::Halves, Pairs::Neighbours] {
            for i in 0..9 {
                let (dtype, y_type) = (FLOATS[i / 3], FLOATS[i % 3]);
                let x = setup.random(dtype, &[5, 3, dim]);
                let y = setup.result(y_type, &[5, 3, dim]);
                let at = [0.0, 1.0, 7.0, 1000.0, 100_000.0];
                let positions = setup.tensor(DType::I32, &[5], &at);
                let list = Scaling::None.frequencies(10000.0, rotated);
                let frequencies = setup.tensor(DType::F32, &[rotated / 2], &list);
                let rope = Rope { pairs, scale: 1.25, ..Rope::default() };
                setup.run(|ops, stream| ops.rope(stream, &x, &positions, &frequencies, &y, rope));
                let mut expected = Vec::new();
                for (i, head) in values(&x).chunks(dim).enumerate() {
                    let mut turned = plain(head.iter().copied());
                    for (pair, frequency) in list.iter().enumerate() {
                        // The angle is rounded to f32, as in every implementation.
                        let angle = f64::from(at[i / 3] * frequency);
                        let (a, b) = match pairs {
                            Pairs::Halves => (pair, pair + rotated / 2),
                            Pairs::Neighbours => (2 * pair, 2 * pair + 1),
                            Pairs::HalvesOfSections => unreachable!("a test of its own"),
                        };
                        let (c, s) = (1.25 * angle.cos(), 1.25 * angle.sin());
                        let size = 1.25 * (head[a].abs() + head[b].abs());
                        turned[a] = (head[a] * c - head[b] * s, size);
                        turned[b] = (head[a] * s + head[b] * c, size);
                    }
                    expected.extend(turned);
                }
                close(
                    &format!("{dim} {rotated} {pairs:?} {dtype} to {y_type}"),
                    &y,
                    &expected,
                    1e-6,
                );
            }
        }
    }
}

#[test]
fn rope_takes_the_positions_of_sections() {
    let mut setup = Setup::new(32);
    let x = setup.random(DType::F32, &[2, 1, 8]);
    // Two sections of 1 and 3 pairs, with their own positions for two tokens.
    let positions = setup.tensor(DType::I32, &[2, 2], &[1.0, 2.0, 30.0, 40.0]);
    let frequencies = setup.tensor(DType::F32, &[4], &[1.0, 0.1, 0.01, 0.001]);
    let y = setup.result(DType::F32, &[2, 1, 8]);
    let rope = Rope { sections: &[1, 3], ..Rope::default() };
    setup.run(|ops, stream| ops.rope(stream, &x, &positions, &frequencies, &y, rope));
    let mut expected = Vec::new();
    for (token, head) in values(&x).chunks(8).enumerate() {
        let angle = |pair: usize| match pair {
            0 => [1.0, 2.0][token],
            _ => [30.0, 40.0][token] * 0.1f64.powi(pair as i32),
        };
        let turn = |pair: usize| (angle(pair).cos(), angle(pair).sin());
        let first = (0..4).map(|i| head[i] * turn(i).0 - head[i + 4] * turn(i).1);
        let second = (0..4).map(|i| head[i] * turn(i).1 + head[i + 4] * turn(i).0);
        expected.extend(first.chain(second).map(|value| (value, 2.0)));
    }
    close("sections", &y, &expected, 2e-6);
}

#[test]
fn rope_of_images_turns_each_section_by_itself() {
    let mut setup = Setup::new(30);
    let x = setup.random(DType::F32, &[3, 2, 13]);
    // Rows and columns of three patches; two pairs for rows, three for columns.
    let positions = setup.tensor(DType::I32, &[2, 3], &[0.0, 1.0, 5.0, 7.0, 8.0, 9.0]);
    let frequencies = setup.tensor(DType::F32, &[5], &[1.0, 0.1, 1.0, 0.3, 0.05]);
    let [y, halves] = [(); 2].map(|_| setup.result(DType::F32, &[3, 2, 13]));
    let rope = Rope { sections: &[2, 3], pairs: Pairs::HalvesOfSections, ..Rope::default() };
    setup.run(|ops, stream| {
        ops.rope(stream, &x, &positions, &frequencies, &y, rope)?;
        // The same by views: each section is a head of its own.
        for (section, (columns, pairs)) in [(0..4, 0..2), (4..10, 2..5)].into_iter().enumerate() {
            let [x, halves] = [&x, &halves].map(|tensor| tensor.narrow(2, columns.clone()));
            let positions = positions.narrow(0, section..section + 1)?;
            let frequencies = frequencies.narrow(0, pairs)?;
            ops.rope(stream, &x?, &positions, &frequencies, &halves?, Rope::default())?;
        }
        Ok(())
    });
    let (whole, parts, from) = (values(&y), values(&halves), values(&x));
    for (i, value) in whole.iter().enumerate() {
        let expected = if i % 13 < 10 { parts[i] } else { from[i] };
        assert_eq!(*value, expected, "value {i}");
    }
    let (c, s) = (0.1f64.cos(), 0.1f64.sin());
    let at = |column: usize| from[2 * 13 + column];
    assert!((whole[2 * 13 + 1] - (at(1) * c - at(3) * s)).abs() < 1e-6);
}

#[test]
fn frequencies_are_scaled() {
    let plain = Scaling::None.frequencies(10000.0, 128);
    assert_eq!((plain[0], plain.len()), (1.0, 64));
    assert!((plain[32] - 0.01).abs() < 1e-9);
    let context = 8192.0;
    let llama = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, context };
    let yarn = Scaling::Yarn { factor: 8.0, fast: 32.0, slow: 1.0, context };
    for scaled in [llama, yarn].map(|scaling| scaling.frequencies(10000.0, 128)) {
        // High frequencies are not changed, low ones are divided, and the factor is continuous between them.
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] - plain[63] / 8.0).abs() < 1e-9);
        assert!(scaled.windows(2).all(|pair| pair[1] < pair[0]));
        assert!(scaled.iter().zip(&plain).all(|(s, p)| *s <= *p && *s >= *p / 8.001));
    }
}

#[test]
fn rows_are_appended_to_a_ring() {
    let mut setup = Setup::new(33);
    for (dtype, cache_type) in (0..9).map(|i| (FLOATS[i / 3], FLOATS[i % 3])) {
        let x = setup.random(dtype, &[6, 2, 5]);
        let positions = setup.tensor(DType::I32, &[6], &[-1.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let cache = setup.tensor(cache_type, &[4, 2, 5], &[9.0; 40]);
        setup.run(|ops, stream| ops.append(stream, &x, &positions, &cache));
        // The rows of positions 4 to 7.
        let expected = plain(values(&x)[20..].iter().copied());
        close(&format!("{dtype} to {cache_type}"), &cache, &expected, 0.0);
    }
}

/// One case of attention.
#[derive(Clone, Copy, Debug)]
struct Case {
    heads: usize,
    kv_heads: usize,
    dim: usize,
    rows: usize,
    /// The first position and the number of tokens.
    first: usize,
    tokens: usize,
    causal: bool,
    window: usize,
    masked: bool,
    cap: f32,
}

const CASE: Case = Case {
    heads: 2,
    kv_heads: 1,
    dim: 8,
    rows: 40,
    first: 0,
    tokens: 3,
    causal: false,
    window: usize::MAX,
    masked: false,
    cap: 0.0,
};

/// Compares both kernels, for types of queries, keys, values, results and masks.
fn attend(setup: &mut Setup, case: Case, types: [DType; 5]) {
    let Case { heads, kv_heads, dim, rows, first, tokens, causal, window, masked, cap } = case;
    let [q_type, k_type, v_type, o_type, mask_type] = types;
    let q = setup.random(q_type, &[tokens, heads, dim]);
    let k = setup.random(k_type, &[rows, kv_heads, dim]);
    let v = setup.random(v_type, &[rows, kv_heads, dim]);
    let o = setup.result(o_type, &[tokens, heads, dim]);
    let mask = setup.random(mask_type, &[tokens, rows]);
    let at: Vec<f32> = (first..first + tokens).map(|position| position as f32).collect();
    let positions = setup.tensor(DType::I32, &[tokens], &at);
    let params = Attention {
        scale: Some(2.0),
        positions: causal.then_some(&positions),
        window,
        mask: masked.then_some(&mask),
        cap,
        few_tokens: usize::MAX,
    };
    let tiled = setup.result(o_type, &[tokens, heads, dim]);
    setup.run(|ops, stream| {
        ops.attention(stream, &q, &k, &v, &o, params)?;
        ops.attention(stream, &q, &k, &v, &tiled, Attention { few_tokens: 0, ..params })
    });
    let (qv, kv, vv, mv) = (values(&q), values(&k), values(&v), values(&mask));
    let latest = (first + tokens - 1) as i64;
    let mut expected = Vec::new();
    for token in 0..tokens {
        let position = (first + token) as i64;
        for head in 0..heads {
            let q = &qv[(token * heads + head) * dim..][..dim];
            let mut weights = vec![0.0; rows];
            for (row, weight) in weights.iter_mut().enumerate() {
                // The latest position that is in this row.
                let key = (0..=latest).rev().find(|p| *p as usize % rows == row);
                let seen = key.is_some_and(|key| {
                    key <= position && usize::try_from(position - key).is_ok_and(|far| far < window)
                });
                if causal && !seen {
                    continue;
                }
                let k = &kv[(row * kv_heads + head * kv_heads / heads) * dim..][..dim];
                let mut logit: f64 = q.iter().zip(k).map(|(q, k)| 2.0 * q * k).sum();
                if cap > 0.0 {
                    logit = f64::from(cap) * (logit / f64::from(cap)).tanh();
                }
                if masked {
                    logit += mv[token * rows + row];
                }
                *weight = logit.exp();
            }
            let sum: f64 = weights.iter().sum();
            for i in 0..dim {
                let column = (0..rows).map(|row| {
                    weights[row] / sum * vv[(row * kv_heads + head * kv_heads / heads) * dim + i]
                });
                // Values are at most 1.
                expected.push((column.sum(), 1.0));
            }
        }
    }
    // Logits of up to 40 have an error of some 2⁻²⁴ of the sum of magnitudes, and so have weights, relatively.
    close(&format!("{case:?} {types:?}"), &o, &expected, 2e-5);
    close(&format!("{case:?} {types:?}, in tiles"), &tiled, &expected, 2e-5);
}

#[test]
fn attention_of_every_shape() {
    let mut setup = Setup::new(34);
    for case in [
        CASE,
        Case { rows: 1, tokens: 1, ..CASE },
        Case { rows: 31, dim: 1, ..CASE },
        Case { rows: 33, dim: 33, heads: 6, kv_heads: 2, ..CASE },
        Case { rows: 200, dim: 64, heads: 4, kv_heads: 4, tokens: 2, ..CASE },
        Case { rows: 129, dim: 128, tokens: 1, ..CASE },
        Case { rows: 16, dim: 256, heads: 1, tokens: 1, ..CASE },
    ] {
        for causal in [false, true] {
            attend(
                &mut setup,
                Case { causal, first: case.rows - case.tokens.min(case.rows), ..case },
                [DType::F32; 5],
            );
        }
    }
    // Each pair of types of queries, keys, values and results occurs; those of masks meet all of keys and values.
    for (a, b) in (0..9).map(|i| (i / 3, i % 3)) {
        let types = [a, b, a + b, a + 2 * b, a + 1].map(|i| FLOATS[i % 3]);
        attend(&mut setup, Case { masked: true, ..CASE }, types);
        attend(&mut setup, Case { dim: 16, ..CASE }, types);
    }
}

#[test]
fn attention_with_masks() {
    let mut setup = Setup::new(35);
    let causal = Case { causal: true, rows: 50, ..CASE };
    for case in [
        // A prompt from the start, a part of a cache, a window, and a ring that has wrapped around.
        Case { tokens: 50, ..causal },
        Case { tokens: 1, first: 0, ..causal },
        Case { tokens: 4, first: 20, ..causal },
        Case { tokens: 10, first: 30, window: 7, ..causal },
        Case { tokens: 1, first: 49, ..causal },
        Case { tokens: 1, first: 50, ..causal },
        Case { tokens: 3, first: 123, window: 40, ..causal },
        Case { masked: true, ..CASE },
        Case { masked: true, tokens: 5, first: 10, cap: 0.75, ..causal },
        // Several tiles of tokens and keys, and a window that leaves tiles out, in a ring that has wrapped around.
        Case { tokens: 70, rows: 70, dim: 20, heads: 4, kv_heads: 2, ..causal },
        Case { tokens: 40, rows: 200, first: 300, window: 33, cap: 3.0, ..causal },
        Case { tokens: 33, rows: 65, masked: true, dim: 130, heads: 1, ..CASE },
    ] {
        let [f, h] = [DType::F32, DType::F16];
        attend(&mut setup, case, [f, h, h, f, f]);
    }
}

#[test]
fn a_token_that_sees_nothing_gets_zeros() {
    let mut setup = Setup::new(36);
    let q = setup.random(DType::F32, &[1, 1, 4]);
    let k = setup.random(DType::F32, &[3, 1, 4]);
    let o = setup.result(DType::F32, &[1, 1, 4]);
    let mask = setup.tensor(DType::F32, &[1, 3], &[f32::NEG_INFINITY; 3]);
    for few_tokens in [0, 1] {
        let params = Attention { mask: Some(&mask), few_tokens, ..Attention::default() };
        setup.run(|ops, stream| ops.attention(stream, &q, &k, &k, &o, params));
        assert_eq!(values(&o), [0.0; 4]);
    }
}

#[test]
fn a_tree_of_tokens_by_its_mask() {
    let mut setup = Setup::new(39);
    let parents = [None, Some(0), Some(0), Some(1), Some(1), Some(2), Some(5), Some(3), Some(7)];
    let count = parents.len();
    let mut seen = vec![f32::NEG_INFINITY; count * count];
    for token in 0..count {
        let mut node = Some(token);
        while let Some(at) = node {
            seen[token * count + at] = 0.0;
            node = parents[at];
        }
    }
    let mask = setup.tensor(DType::F32, &[count, count], &seen);
    let [q, k, v] = [(); 3].map(|_| setup.random(DType::F32, &[count, 1, 16]));
    let [one, tiled] = [(); 2].map(|_| setup.result(DType::F32, &[count, 1, 16]));
    let params = Attention { mask: Some(&mask), ..Attention::default() };
    setup.run(|ops, stream| {
        ops.attention(stream, &q, &k, &v, &one, Attention { few_tokens: count, ..params })?;
        ops.attention(stream, &q, &k, &v, &tiled, Attention { few_tokens: 0, ..params })
    });
    let [qv, kv, vv] = [&q, &k, &v].map(values);
    let mut expected = Vec::new();
    for token in 0..count {
        let weight = |key: usize| match seen[token * count + key] {
            0.0 => (0..16).map(|i| qv[token * 16 + i] * kv[key * 16 + i]).sum::<f64>() / 4.0,
            _ => f64::NEG_INFINITY,
        };
        let weights: Vec<f64> = (0..count).map(|key| weight(key).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let column = |i| (0..count).map(|key| weights[key] / sum * vv[key * 16 + i]).sum();
        expected.extend((0..16).map(|i| (column(i), 1.0)));
    }
    close("one by one", &one, &expected, 2e-5);
    close("in tiles", &tiled, &expected, 2e-5);
}

#[test]
fn rows_that_no_token_sees_may_hold_anything() {
    let mut setup = Setup::new(40);
    // The first 80 positions were never written; 16 tokens from 90 on see 10 positions each.
    let q = setup.random(DType::F32, &[16, 1, 8]);
    let mut rows = vec![f32::NAN; 120 * 8];
    rows[80 * 8..106 * 8].iter_mut().for_each(|value| *value = setup.random.value());
    let k = setup.tensor(DType::F32, &[120, 1, 8], &rows);
    let at: Vec<f32> = (90..106).map(|position| position as f32).collect();
    let positions = setup.tensor(DType::I32, &[16], &at);
    for few_tokens in [0, 16] {
        let o = setup.result(DType::F32, &[16, 1, 8]);
        let positions = Some(&positions);
        let params = Attention { positions, window: 10, few_tokens, ..Attention::default() };
        setup.run(|ops, stream| ops.attention(stream, &q, &k, &k, &o, params));
        assert!(values(&o).iter().all(|value| value.is_finite()), "few_tokens: {few_tokens}");
    }
}

/// A cache whose unwritten rows are NaN, with a mask of minus infinity for them and no positions; and a position in the window
/// of the tokens that none of them sees.
#[test]
fn rows_that_a_mask_hides_may_hold_anything() {
    let mut setup = Setup::new(41);
    let (tokens, rows, dim) = (40, 70, 12);
    let q = setup.random(DType::F32, &[tokens, 2, dim]);
    for cache_type in FLOATS {
        let mut cached: Vec<f32> = (0..rows * dim).map(|_| setup.random.value()).collect();
        let written = |row: usize| row % 3 != 1 && row < 66;
        for row in (0..rows).filter(|&row| !written(row)) {
            cached[row * dim..][..dim].fill(if row % 2 == 0 { f32::NAN } else { f32::INFINITY });
        }
        let clean: Vec<f32> = cached.iter().map(|x| if x.is_finite() { *x } else { 0.0 }).collect();
        let mask: Vec<f32> = (0..tokens * rows)
            .map(|i| if written(i % rows) && i % 5 != 0 { 0.25 } else { f32::NEG_INFINITY })
            .collect();
        let mask = setup.tensor(DType::F32, &[tokens, rows], &mask);
        for few_tokens in [0, tokens] {
            let params = Attention { mask: Some(&mask), few_tokens, ..Attention::default() };
            let results = [&cached, &clean].map(|values| {
                let k = setup.tensor(cache_type, &[rows, 1, dim], values);
                let o = setup.result(DType::F32, &[tokens, 2, dim]);
                setup.run(|ops, stream| ops.attention(stream, &q, &k, &k, &o, params));
                o.to_vec::<f32>().expect("free")
            });
            assert_eq!(results[0], results[1], "{cache_type}, few_tokens: {few_tokens}");
            assert!(results[0].iter().any(|value| *value != 0.0));
        }
    }
}

/// Tokens with negative positions are padding: wherever they are, the others append and see what they do without it.
#[test]
fn negative_positions_are_padding() {
    let mut setup = Setup::new(42);
    let (capacity, dim) = (4, 8);
    for padded in [
        &[0, 1, 2, 3, -1, -1][..],
        &[-1, 0, -1, 1, 2, 3],
        &[2, 3, -1, 4, 5, 6, -1],
        &[-1, -1, -1],
        &[5, -1, -1, -1, -1, -1, -1],
    ] {
        let plain: Vec<usize> = (0..padded.len()).filter(|&i| padded[i] >= 0).collect();
        let inputs: Vec<Vec<f32>> = (0..2)
            .map(|_| (0..padded.len() * dim).map(|_| setup.random.value()).collect())
            .collect();
        let before: Vec<f32> = (0..capacity * dim).map(|_| setup.random.value()).collect();
        let run = |tokens: &[usize], few_tokens: usize| {
            let at: Vec<f32> = tokens.iter().map(|&i| padded[i] as f32).collect();
            let rows = |values: &[f32]| -> Vec<f32> {
                tokens.iter().flat_map(|&i| values[i * dim..][..dim].to_vec()).collect()
            };
            let [x, q] = [0, 1]
                .map(|i| setup.tensor(DType::F32, &[tokens.len(), 1, dim], &rows(&inputs[i])));
            let positions = setup.tensor(DType::I32, &[tokens.len()], &at);
            let cache = setup.tensor(DType::F32, &[capacity, 1, dim], &before);
            let turbo = TurboCache::new(&setup.gpu, 8, [capacity, 1, dim]).expect("memory");
            let o = setup.result(DType::F32, &[tokens.len(), 1, dim]);
            let params =
                Attention { positions: Some(&positions), few_tokens, ..Attention::default() };
            setup.run(|ops, stream| {
                ops.append(stream, &x, &positions, &cache)?;
                ops.append_turbo(stream, &x, &positions, &turbo)?;
                ops.attention(stream, &q, &cache, &cache, &o, params)
            });
            let codes = turbo.codes.to_vec::<u8>().expect("free");
            (values(&cache), values(&o), codes)
        };
        let all: Vec<usize> = (0..padded.len()).collect();
        for few_tokens in [0, 16] {
            let (cache, o, codes) = run(&all, few_tokens);
            if plain.is_empty() {
                let expected: Vec<f64> = before.iter().map(|&x| f64::from(x)).collect();
                assert_eq!((cache, o), (expected, vec![0.0; padded.len() * dim]));
                continue;
            }
            let (expected_cache, expected, expected_codes) = run(&plain, few_tokens);
            assert_eq!((cache, codes), (expected_cache, expected_codes), "{padded:?}");
            for (i, token) in o.chunks(dim).enumerate() {
                let expected = match plain.iter().position(|&other| other == i) {
                    Some(at) => expected[at * dim..][..dim].to_vec(),
                    None => vec![0.0; dim],
                };
                assert_eq!(token, expected, "{padded:?}, token {i}, few_tokens: {few_tokens}");
            }
        }
    }
}

#[test]
fn tokens_are_sampled_by_their_probability() {
    let setup = Setup::new(37);
    let choose = |random: f32, sample: Sample| {
        // Probabilities 4/8, 2/8, 1/8, 1/8 at the temperature 1.
        let logits: Vec<f32> = [4f32, 2.0, 1.0, 1.0].iter().map(|p| p.ln()).collect();
        let logits = setup.tensor(DType::F32, &[1, 4], &logits);
        let tokens = setup.tensor(DType::I32, &[1, 4], &[10.0, 20.0, 30.0, 40.0]);
        let random = setup.tensor(DType::F32, &[1], &[random]);
        let chosen = setup.result(DType::I32, &[1]);
        setup.run(|ops, stream| ops.sample(stream, &logits, &tokens, &random, &chosen, sample));
        chosen.to_vec::<i32>().expect("free")[0]
    };
    let all = Sample::default();
    for (random, token) in
        [(0.0, 10), (0.49, 10), (0.51, 20), (0.74, 20), (0.76, 30), (0.9, 40), (1.0, 40)]
    {
        assert_eq!(choose(random, all), token, "{random}");
    }
    // Two candidates have 6/8 of the probability.
    for (random, token) in [(0.6, 10), (0.7, 20), (1.0, 20)] {
        assert_eq!(choose(random, Sample { top_p: 0.7, ..all }), token, "{random}");
        assert_eq!(choose(random, Sample { min_p: 0.3, ..all }), token, "{random}");
    }
    assert_eq!(choose(1.0, Sample { top_p: 0.0, ..all }), 10, "at least one is kept");
    assert_eq!(choose(1.0, Sample { temperature: 0.0, ..all }), 10);
    // Squared: 16/22, 4/22, 1/22, 1/22.
    assert_eq!(choose(0.72, Sample { temperature: 0.5, ..all }), 10);
    assert_eq!(choose(0.74, Sample { temperature: 0.5, ..all }), 20);
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(38);
    let x = setup.random(DType::F32, &[2, 3, 4]);
    let flat = setup.random(DType::F32, &[2, 12]);
    let two = setup.tensor(DType::I32, &[2], &[0.0; 2]);
    let three = setup.tensor(DType::I32, &[3], &[0.0; 3]);
    let frequencies = setup.random(DType::F32, &[2]);
    let rope = Rope::default();
    let attention = Attention::default();
    let sections = Rope { sections: &[1], ..rope };
    let (overflow, pair) =
        (Rope { sections: &[usize::MAX, 3], ..rope }, setup.tensor(DType::I32, &[2, 2], &[0.0; 4]));
    let positions = Attention { positions: Some(&three), ..attention };
    let mask = Attention { mask: Some(&flat), ..attention };
    let one = setup.random(DType::F32, &[2, 2, 4]);
    for (error, message) in [
        (
            setup.error(|o, s| o.rope(s, &flat, &two, &frequencies, &flat, rope)),
            "not tokens, heads and contiguous values",
        ),
        (setup.error(|o, s| o.rope(s, &x, &three, &frequencies, &x, rope)), "do not match"),
        (setup.error(|o, s| o.rope(s, &x, &two, &flat, &x, rope)), "do not match"),
        (
            setup.error(|o, s| o.rope(s, &x, &frequencies, &frequencies, &x, rope)),
            "positions holds one of i32",
        ),
        (setup.error(|o, s| o.rope(s, &x, &two, &frequencies, &x, sections)), "sections [1]"),
        (setup.error(|o, s| o.rope(s, &x, &pair, &frequencies, &x, overflow)), "are not at most 4"),
        (setup.error(|o, s| o.attention(s, &x, &one, &one, &x, attention)), "do not match"),
        (
            setup.error(|o, s| o.attention(s, &x, &x, &x, &x, positions)),
            "positions of shape [3] for 2 tokens",
        ),
        (setup.error(|o, s| o.attention(s, &x, &x, &x, &x, mask)), "a mask of shape [2, 12]"),
        (setup.error(|o, s| o.append(s, &x, &three, &x)), "do not match"),
        (setup.error(|o, s| o.append(s, &x, &two, &flat)), "do not match"),
        (
            setup.error(|o, s| o.sample(s, &flat, &two, &flat, &two, Sample::default())),
            "do not match",
        ),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}
