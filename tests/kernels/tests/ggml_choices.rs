//! ggml's kernels that choose: merges of sorted runs, the largest numbers, experts of tokens and keys of queries, and what prepares them.
//!
//! Choices are exact; scores are sums in `float` of products of `half`s.

use kernels::blocks::FORMATS;
use kernels::ggml::Ggml;
use kernels::numbers::{Number, near, noise};
use kernels::products::{Rows, narrowed};
use kernels::references::{different, dot, largest, softmax};
use kernels::structs::Struct;

use Number::{F16, F32, U32};

/// Two runs of each row at a time; the last of an odd number is copied.
#[test]
fn merges_of_sorted_runs() {
    let (rows, side, run) = (2, 150, 32);
    let x: Vec<f64> = (0..rows).flat_map(|row| different(row as u64, side)).collect();
    for ggml in Ggml::all() {
        for (order, sign) in [("asc", 1.0), ("desc", -1.0)] {
            let kernel = format!("kernel_argsort_merge_f32_i32_{order}");
            let sorted = |run: usize| -> Vec<f64> {
                let each = x.chunks(side).flat_map(|row| {
                    let mut all: Vec<usize> = (0..side).collect();
                    for part in all.chunks_mut(run) {
                        part.sort_by(|&a, &b| (row[a] * sign).total_cmp(&(row[b] * sign)));
                    }
                    all
                });
                each.map(|at| at as f64).collect()
            };
            let row = 4 * side as u64;
            let fields = Struct::new().u64([side as u64, rows as u64, 1, 1]);
            let fields = fields.u64([4, row, row * rows as u64, row * rows as u64]);
            let sides = [side as i32, rows as i32, 1, 1];
            let fields = fields.i32(sides).i32([side as i32, run as i32]);
            let launch = ggml.launch(&kernel);
            let launch = launch.bytes(&ggml.arguments(&kernel, "argsort_merge", fields));
            let launch = launch.numbers(F32, &x).numbers(U32, &sorted(run));
            let merges = side.div_ceil(2 * run);
            let launch = launch.room(4 * x.len());
            let found = launch.groups((merges * rows, 1, 1), (16, 1, 1), 3);
            near(&kernel, &U32.decode(&found), &sorted(2 * run), 0.0);
        }
    }
}

#[test]
fn largest_numbers() {
    for ggml in Ggml::all() {
        let kernel = "kernel_top_k_f32_i32";
        if !ggml.has(kernel) {
            assert_eq!(ggml.package, "whisper-rs-sys");
            continue;
        }
        let (rows, side) = (3, 300);
        let x: Vec<f64> = (0..rows).flat_map(|row| different(row as u64, side)).collect();
        for count in [1, 40, 300] {
            let row = 4 * side as u64;
            let fields = Struct::new().i32([side as i32, rows as i32, 1, 1]);
            let fields = fields.u64([row, row * rows as u64, row * rows as u64]);
            let fields = fields.i32([count as i32]);
            let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "top_k", fields));
            let launch = launch.numbers(F32, &x).room(4 * rows * count).memory(0, 1024);
            let launch = launch.memory(1, 16).memory(2, 16).memory(3, 16);
            // In any order.
            let found = U32.decode(&launch.groups((rows, 1, 1), (64, 1, 1), 2));
            let in_order = |all: &[f64]| {
                let mut all = all.to_vec();
                all.sort_by(f64::total_cmp);
                all
            };
            let found: Vec<f64> = found.chunks(count).flat_map(in_order).collect();
            let largest = |row: &[f64]| {
                largest(row, count).into_iter().map(|at| at as f64).collect::<Vec<_>>()
            };
            let expected: Vec<f64> =
                x.chunks(side).flat_map(|row| in_order(&largest(row))).collect();
            near(kernel, &found, &expected, 0.0);
        }
    }
}

/// The experts of tokens, and the sums of their results.
#[test]
fn experts() {
    for ggml in Ggml::all() {
        let kernel = "kernel_topk_moe_f32";
        if !ggml.has(kernel) {
            assert_eq!(ggml.package, "whisper-rs-sys");
            continue;
        }
        let (all, taken, tokens, scale) = (70, 6, 5, 1.5);
        let x: Vec<f64> = (0..tokens).flat_map(|token| different(token as u64, all)).collect();
        let first = ggml.defined(kernel, &["FC_TOPK_MOE"]);
        let mut weights = Vec::new();
        for sums_to_one in [false, true] {
            let fields = Struct::new().i32([tokens as i32]);
            let fields = fields.u64([4 * all as u64, 4 * taken as u64]).f32([1e-6, scale as f32]);
            let launch = ggml.launch(kernel).constant(first, sums_to_one);
            let launch = launch.constant(first + 1, all as i32).constant(first + 2, taken as i32);
            let launch = launch.bytes(&ggml.arguments(kernel, "topk_moe", fields));
            let launch = launch.numbers(F32, &x).room(4 * tokens * taken).room(4 * tokens * taken);
            let [found, which] = launch.results((tokens, 1, 1), (32, 1, 1), [2, 3]);
            let (mut expected, mut places) = (Vec::new(), Vec::new());
            for row in x.chunks(all) {
                let parts = softmax(row);
                let chosen = largest(row, taken);
                let sum: f64 = chosen.iter().map(|&at| parts[at]).sum();
                let whole = if sums_to_one { sum } else { 1.0 };
                expected.extend(chosen.iter().map(|&at| parts[at] / whole * scale));
                places.extend(chosen.into_iter().map(|at| at as f64));
            }
            near(kernel, &U32.decode(&which), &places, 0.0);
            near(kernel, &F32.decode(&found), &expected, 1e-5);
            weights = expected;
        }

        let kernel = "kernel_moe_reduce_f32";
        let width = 50;
        let results = F32.some(1, width * taken * tokens);
        let fields = Struct::new().i32([width as i32, tokens as i32]);
        let launch = ggml.launch(kernel);
        let launch = launch.constant(ggml.defined(kernel, &["FC_MOE_REDUCE"]), taken as i32);
        let launch = launch.bytes(&ggml.arguments(kernel, "moe_reduce", fields));
        let launch = launch.numbers(F32, &results).numbers(F32, &weights);
        let launch = launch.room(4 * width * tokens);
        let found = launch.groups((tokens, width.div_ceil(32), 1), (32, 1, 1), 3);
        let expected: Vec<f64> = (0..width * tokens)
            .map(|at| {
                let (token, place) = (at / width, at % width);
                let each = token * taken..(token + 1) * taken;
                each.map(|one| results[one * width + place] * weights[one]).sum()
            })
            .collect();
        near(kernel, &F32.decode(&found), &expected, 1e-5);

        // A power of two that makes inputs small enough for a `half`, and its inverse, from the largest of parts of the rows.
        for most in [100.0, 70_000.0] {
            let (kernel, then) = ("kernel_mul_mm_id_amax_part_f32", "kernel_mul_mm_id_amax_f32");
            let parts = ggml.defined(kernel, &["N_MM_NPART_AMAX"]);
            let mut x = F32.some(2, 40 * 3 * 5);
            x[411] = -most;
            let fields = Struct::new().i32([40, 3, 5]).u64([160, 480]);
            let launch = ggml.launch(kernel);
            let launch = launch.bytes(&ggml.arguments(kernel, "mul_mm_id_amax", fields));
            let launch = launch.numbers(F32, &x).room(8 + 4 * parts).memory(0, 128);
            let found = launch.groups((parts, 1, 1), (64, 1, 1), 2);
            let found = ggml.launch(then).bytes(&found).groups((1, 1, 1), (32, 1, 1), 0);
            let scale = if most > 32768.0 { 4.0 } else { 1.0 };
            near(then, &F32.decode(&found[..8]), &[1.0 / scale, scale], 0.0);
        }
    }
}

/// Scores of keys for queries: the positive products of each head, weighted.
#[test]
fn scores_of_keys() {
    for ggml in Ggml::all() {
        let names = ["f32", "f16", "bf16"].into_iter();
        let names = names.chain(FORMATS.iter().map(|format| format.name));
        let mut ran = 0;
        for name in names {
            let kernel = format!("kernel_lightning_indexer_{name}");
            if !ggml.has(&kernel) {
                continue;
            }
            let defined =
                |name: &str| ggml.defined(&kernel, &[&format!("OP_LIGHTNING_INDEXER_{name}")]);
            let (side, simdgroups) = (defined("DK"), defined("NSG"));
            let (keys, queries, heads, streams) = (70, 10, 12, 2);
            let stored = match Number::named(name) {
                Some(number) => Rows::plain(number, 1, keys * streams, side),
                None => {
                    let format = FORMATS.iter().find(|format| format.name == name);
                    let format = format.unwrap_or_else(|| panic!("{name}"));
                    Rows::some(format, 1, keys * streams, side)
                }
            };
            let query = F32.some(2, side * heads * queries * streams);
            let weights = F32.some(3, heads * queries * streams);
            let mask = F16.some(4, keys * queries);
            let long = |values: [usize; 3]| values.map(|value| value as u64);
            let fields = Struct::new().i32([keys as i32, queries as i32, 1]);
            let fields = fields.u64([keys * 4, keys * queries * 4].map(|step| step as u64));
            let of_query = side * heads * 4;
            let fields = fields.u64(long([side * 4, of_query, of_query * queries]));
            let fields = fields.u64([stored.row, stored.row * keys].map(|step| step as u64));
            let fields = fields.u64([heads * 4, heads * queries * 4].map(|step| step as u64));
            let fields = fields.u64([keys * 2, keys * queries * 2].map(|step| step as u64));
            let first = ggml.defined(&kernel, &["FC_LIGHTNING_INDEXER"]);
            let launch = ggml.launch(&kernel).constant(first, heads as i16);
            let launch = launch.bytes(&ggml.arguments(&kernel, "lightning_indexer", fields));
            let launch = launch.numbers(F32, &query).bytes(&stored.bytes).numbers(F32, &weights);
            let launch = launch.numbers(F16, &mask).room(4 * keys * queries * streams);
            let groups = (
                keys.div_ceil(defined("NKPSG") * simdgroups),
                queries.div_ceil(defined("NBPTG")),
                streams,
            );
            let found = launch.groups(groups, (32 * simdgroups, 1, 1), 5);
            let (query, known) = (narrowed(F16, &query), narrowed(F16, &stored.weights));
            let expected: Vec<f64> = (0..keys * queries * streams)
                .map(|at| {
                    let (key, asked, stream) =
                        (at % keys, at / keys % queries, at / keys / queries);
                    let known = &known[(stream * keys + key) * side..][..side];
                    let score = |head: usize| {
                        let at = (stream * queries + asked) * heads + head;
                        dot(&query[at * side..][..side], known).max(0.0) * weights[at]
                    };
                    (0..heads).map(score).sum::<f64>() + mask[asked * keys + key]
                })
                .collect();
            // Scores are of hundreds of products, and half of some weights is a product of two `half`s.
            near(&kernel, &F32.decode(&found), &expected, 5e-2);
            ran += 1;
        }
        let count = if ggml.package == "whisper-rs-sys" { 0 } else { 8 };
        assert_eq!(ran, count, "{}: scores of keys", ggml.package);
    }
}

/// Lists of the keys that a mask leaves, and keys and values as `half`s.
#[test]
fn keys_of_attention() {
    for ggml in Ggml::all() {
        let kernel = "kernel_flash_attn_ext_vec_idx";
        if !ggml.has(kernel) {
            assert_eq!(ggml.package, "whisper-rs-sys");
            continue;
        }
        let (keys, rows) = (200, 6);
        let bits: Vec<u64> = noise(1).take(keys * rows).collect();
        // Few are left, and in the last row almost all, of which the list has room for some.
        let is_left = |at: usize| {
            if at / keys == rows - 1 {
                !bits[at].is_multiple_of(9)
            } else {
                bits[at].is_multiple_of(9)
            }
        };
        let mask: Vec<f64> =
            (0..keys * rows).map(|at| if is_left(at) { 0.0 } else { f64::NEG_INFINITY }).collect();
        let (most, padded) = (60, 64);
        let row = 2 * keys as u64;
        let fields = Struct::new().i32([keys as i32, rows as i32, 1, 1]);
        let fields = fields.u64([row, row * rows as u64, row * rows as u64]);
        let fields = fields.i32([most, padded as i32]);
        let launch = ggml.launch(kernel);
        let launch = launch.bytes(&ggml.arguments(kernel, "flash_attn_ext_vec_idx", fields));
        let launch = launch.numbers(F16, &mask).room(4 * padded * rows);
        let found = launch.groups((rows, 1, 1), (64, 1, 1), 2);
        let list = |row: usize| {
            let left = (0..keys).filter(|key| is_left(row * keys + key)).take(most as usize);
            let none = std::iter::repeat_n(u32::MAX, padded);
            left.map(|key| key as u32).chain(none).take(padded).map(f64::from).collect::<Vec<_>>()
        };
        let expected: Vec<f64> = (0..rows).flat_map(list).collect();
        near(kernel, &U32.decode(&found), &expected, 0.0);

        let mut ran = 0;
        for format in FORMATS {
            let kernel = format!("kernel_flash_attn_ext_kv_{}_f16", format.name);
            if !ggml.has(&kernel) {
                continue;
            }
            let (side, rows) = (64, [3, 2, 2]);
            let count: usize = rows.iter().product();
            let stored = Rows::some(format, 2, count, side);
            let blocks = count * side / format.weights;
            let fields = Struct::new().i32([side as i32, 3, 2, 2]);
            let steps = [format.bytes, stored.row, stored.row * 3, stored.row * 6];
            let fields = fields.u64(steps.map(|step| step as u64)).i32([blocks as i32]);
            let launch = ggml.launch(&kernel);
            let launch = launch.bytes(&ggml.arguments(&kernel, "flash_attn_ext_kv_f16", fields));
            let launch = launch.bytes(&stored.bytes).room(2 * count * side);
            let found = launch.groups((blocks.div_ceil(32), 1, 1), (32, 1, 1), 2);
            near(&kernel, &F16.decode(&found), &stored.weights, 2e-3);
            ran += 1;
        }
        assert_eq!(ran, 5, "{}: keys and values as halves", ggml.package);
    }
}
