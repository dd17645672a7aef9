//! Caches of lengths and codes, compared with the reference on the CPU.

use super::{FLOATS, Setup, close, values};
use crate::infer::DType;
use crate::infer::ops::{Attention, TurboCache};
use crate::infer::turboquant::{BITS, Encoded, attention, decode, encode};

/// The vectors of a cache.
pub(super) fn vectors(cache: &TurboCache) -> Vec<Encoded> {
    let codes = cache.codes.read_bytes().expect("free").to_vec();
    let lengths = values(&cache.lengths);
    let each = codes.len() / lengths.len();
    let pairs = codes.chunks(each).zip(lengths);
    pairs
        .map(|(codes, l)| Encoded { codes: codes.into(), length: l as f32, bits: cache.bits })
        .collect()
}

#[test]
fn vectors_are_encoded_as_on_the_cpu() {
    let mut setup = Setup::new(51);
    for (bits, dim) in BITS.into_iter().zip([1, 8, 64, 128, 256, 1024]) {
        for dtype in FLOATS {
            let x = setup.random(dtype, &[3, 2, dim]);
            let positions = setup.tensor(DType::I32, &[3], &[5.0, -1.0, 2.0]);
            let cache = TurboCache::new(&setup.gpu, bits, [4, 2, dim]).expect("memory");
            setup.run(|ops, stream| ops.append_turbo(stream, &x, &positions, &cache));
            let found = vectors(&cache);
            for (row, token) in [(1, 0), (2, 2)] {
                for head in 0..2 {
                    let vector = &values(&x)[(token * 2 + head) * dim..][..dim];
                    let vector: Vec<f32> = vector.iter().map(|&v| v as f32).collect();
                    let expected = encode(&vector, bits).expect("codes");
                    let found = &found[row * 2 + head];
                    let length = expected.length;
                    assert!((found.length - length).abs() <= 1e-5 * length, "{bits} bits");
                    // A value next to a boundary may have the next code, which is as good.
                    let [a, b] = [found, &expected].map(|v| decode(v, dim).expect("values"));
                    let error = |v: &[f32]| -> f32 {
                        v.iter().zip(&vector).map(|(a, b)| (a - b) * (a - b)).sum()
                    };
                    let (a, b) = (error(&a), error(&b));
                    assert!((a - b).abs() <= 1e-4 * b + 1e-9, "{bits} bits of {dim}: {a} {b}");
                }
            }
            assert!(found[0].length == 0.0 && found[7].length == 0.0, "other rows are not written");
        }
    }
}

#[test]
fn attention_over_codes() {
    let mut setup = Setup::new(52);
    let cases = [
        (2, 8, 64, 2),
        (4, 4, 128, 2),
        (3, 5, 16, 37),
        (6, 2, 32, 9),
        (5, 4, 4, 2),
        (8, 3, 1, 2),
        (4, 6, 256, 2),
        (4, 3, 8, 6),
        (2, 5, 2, 40),
    ];
    // Types of queries and results in turn, so that each pair of them occurs.
    let types = [0, 4, 8, 1, 5, 6, 2, 3, 7];
    for ((k_bits, v_bits, dim, tokens), pair) in cases.into_iter().zip(types) {
        let [heads, kv_heads, rows] = [4, 2, 40];
        let [k, v] = [(); 2].map(|_| setup.random(DType::F16, &[rows, kv_heads, dim]));
        let at: Vec<f32> = (0..rows).map(|row| row as f32).collect();
        let positions = setup.tensor(DType::I32, &[rows], &at);
        let keys = TurboCache::new(&setup.gpu, k_bits, [rows, kv_heads, dim]).expect("memory");
        let turbo = TurboCache::new(&setup.gpu, v_bits, [rows, kv_heads, dim]).expect("memory");
        let (q_type, o_type) = (FLOATS[pair / 3], FLOATS[pair % 3]);
        let q = setup.random(q_type, &[tokens, heads, dim]);
        let [o, mixed, plain, tiled, mixed_tiled] =
            [(); 5].map(|_| setup.result(o_type, &[tokens, heads, dim]));
        let [kc, vc] = [(); 2].map(|_| setup.result(DType::F32, &[rows, kv_heads, dim]));
        setup.run(|ops, stream| {
            ops.append_turbo(stream, &k, &positions, &keys)?;
            ops.append_turbo(stream, &v, &positions, &turbo)
        });
        let (encoded_keys, encoded_values) = (vectors(&keys), vectors(&turbo));
        for (to, all) in [(&kc, &encoded_keys), (&vc, &encoded_values)] {
            let all = all.iter().flat_map(|vector| decode(vector, dim).expect("values"));
            let all: Vec<f32> = all.collect();
            to.write::<f32>().expect("free").copy_from_slice(&all);
        }
        let few_tokens = usize::MAX;
        let params = Attention { scale: Some(0.5), few_tokens, ..Attention::default() };
        let tiles = Attention { few_tokens: 0, ..params };
        setup.run(|ops, stream| {
            ops.attention(stream, &q, &keys, &turbo, &tiled, tiles)?;
            ops.attention(stream, &q, &kc, &turbo, &mixed_tiled, tiles)?;
            ops.attention(stream, &q, &keys, &turbo, &o, params)?;
            ops.attention(stream, &q, &keys, &vc, &mixed, params)?;
            ops.attention(stream, &q, &kc, &vc, &plain, params)
        });
        let of_head = |all: &[Encoded], head: usize| -> Vec<Encoded> {
            all.iter().skip(head).step_by(kv_heads).cloned().collect()
        };
        let mut expected = Vec::new();
        for (i, query) in values(&q).chunks(dim).enumerate() {
            let query: Vec<f32> = query.iter().map(|&v| v as f32).collect();
            let head = i % heads * kv_heads / heads;
            let (k, v) = (of_head(&encoded_keys, head), of_head(&encoded_values, head));
            let sum = attention(&query, &k, &v, 0.5).expect("a sum");
            expected.extend(sum.into_iter().map(|value| (f64::from(value), 1.0)));
        }
        for (what, found) in [
            ("codes", &o),
            ("plain values", &mixed),
            ("decoded", &plain),
            ("codes, in tiles", &tiled),
            ("plain keys, in tiles", &mixed_tiled),
        ] {
            let what = format!("{k_bits} and {v_bits} bits of {dim}, {q_type} to {o_type}: {what}");
            close(&what, found, &expected, 2e-5);
        }
    }
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(53);
    let cache = TurboCache::new(&setup.gpu, 4, [4, 2, 16]).expect("memory");
    let x = setup.random(DType::F32, &[3, 2, 16]);
    let short = setup.random(DType::F32, &[3, 2, 8]);
    let positions = setup.tensor(DType::I32, &[3], &[0.0; 3]);
    let changed = TurboCache { bits: 8, ..cache.clone() };
    let params = Attention::default();
    for (error, message) in [
        (setup.error(|o, s| o.append_turbo(s, &positions, &positions, &cache)), "x holds one of"),
        (setup.error(|o, s| o.append_turbo(s, &short, &positions, &cache)), "do not match"),
        (setup.error(|o, s| o.append_turbo(s, &x, &x, &cache)), "positions holds one of i32"),
        (
            setup.error(|o, s| o.append_turbo(s, &x, &positions, &changed)),
            "not those of 16 values of 8 bits",
        ),
        (
            setup.error(|o, s| o.attention(s, &short, &cache, &cache, &short, params)),
            "do not match",
        ),
        (setup.error(|o, s| o.attention(s, &x, &cache, &changed, &x, params)), "v has codes"),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
    let error = TurboCache::new(&setup.gpu, 7, [1, 1, 16]).unwrap_err().to_string();
    assert!(error.contains("codes of 7 bits"), "{error}");
}
