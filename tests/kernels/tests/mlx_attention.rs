//! mlx-native's attention kernels, compared with the softmax of all scores.
//!
//! Tolerances: an output is a mean of values up to 2. Scores are sums of up to 512 products in `float`, with an
//! absolute error of 1e-5 for the scales used, which is a relative one of the weights; running maxima multiply a few
//! more. `half` queries are rounded in the reference too. Narrow results are rounded once.

use Number::{BF16, F16, F32, U32};
use kernels::numbers::{Number, near};
use kernels::products::narrowed;
use kernels::references::{attention, different, dot, largest};
use kernels::run::{Kernels, Launch, lined};
use kernels::steel::Attention;
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

const HIDDEN: f64 = f64::NEG_INFINITY;

/// Heads of queries and of keys, dimensions, queries, keys, and slots for keys.
#[derive(Clone, Copy)]
struct Sizes {
    heads: usize,
    groups: usize,
    head: usize,
    queries: usize,
    keys: usize,
    room: usize,
}

const fn sizes([heads, groups, head, queries, keys, room]: [usize; 6]) -> Sizes {
    Sizes { heads, groups, head, queries, keys, room }
}

/// Queries, keys and values by heads, for a batch.
fn inputs(number: Number, sizes: &Sizes, batch: usize) -> [Vec<f64>; 3] {
    let keys = batch * sizes.groups * sizes.room * sizes.head;
    let queries = batch * sizes.heads * sizes.queries * sizes.head;
    [(1, queries), (2, keys), (3, keys)].map(|(seed, count)| number.some(seed, count))
}

/// The outputs by batches, heads and queries; `mask` of a query and a key.
fn outputs(
    [q, k, v]: &[Vec<f64>; 3],
    sizes: &Sizes,
    scale: f64,
    mask: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let each = q.chunks(sizes.head).enumerate().flat_map(|(at, query)| {
        let (row, head) = (at % sizes.queries, at / sizes.queries);
        let (batch, head) = (head / sizes.heads, head % sizes.heads);
        let group = batch * sizes.groups + head / (sizes.heads / sizes.groups);
        let of = |all: &'_ [f64]| -> Vec<f64> {
            all[group * sizes.room * sizes.head..][..sizes.keys * sizes.head].to_vec()
        };
        attention(query, &of(k), &of(v), scale, |key| mask(row, key))
    });
    each.collect()
}

/// Whether the query of that number sees a key: the keys up to its own position, within the window.
fn causal(sizes: &Sizes, window: usize) -> impl Fn(usize, usize) -> f64 {
    let before = sizes.keys - sizes.queries;
    move |query, key| {
        let place = before + query;
        if key <= place && place - key < window { 0.0 } else { HIDDEN }
    }
}

#[test]
fn one_thread_a_query() {
    let whole = open("sdpa.metal");
    let sliding = open("sdpa_sliding.metal");
    let all = [
        sizes([1, 1, 32, 1, 1, 1]),
        sizes([4, 2, 64, 5, 20, 24]),
        sizes([2, 1, 80, 33, 33, 40]),
        sizes([2, 2, 512, 3, 70, 70]),
    ];
    for sizes in all {
        for (suffix, number) in [("", F32), ("_bf16", BF16)] {
            let inputs = inputs(number, &sizes, 2);
            let scale = 1.0 / (sizes.head as f64).sqrt();
            let [heads, groups, head] = [sizes.heads, sizes.groups, sizes.head].map(|x| x as u32);
            let [queries, keys, room] = [sizes.queries, sizes.keys, sizes.room].map(|x| x as u32);
            let start = Struct::new().u32([heads, groups, head, queries, keys]);
            let tolerance = 2e-5 + if number == F32 { 0.0 } else { number.epsilon() / 2.0 };
            let size = ((2, sizes.heads, sizes.queries.div_ceil(32)), (32, 1, 1));
            let launched = |launch: Launch<'_>, parameters: Struct| {
                let launch = inputs.iter().fold(launch, |launch, x| launch.numbers(number, x));
                let launch = launch.room(inputs[0].len() * number.size());
                number.decode(&launch.bytes(&parameters.bytes()).groups(size.0, size.1, 3))
            };
            // The narrow kernel is always causal.
            for flag in if number == F32 { vec![0, 1] } else { vec![1] } {
                let kernel = format!("sdpa{suffix}");
                let parameters = start.clone().f32([scale as f32]).u32([room, flag]);
                let found = launched(whole.launch(&kernel), parameters);
                let seen = causal(&sizes, usize::MAX);
                let mask = |query, key| if flag == 1 { seen(query, key) } else { 0.0 };
                near(&kernel, &found, &outputs(&inputs, &sizes, scale, mask), tolerance);
            }
            for window in [4u32, 1000] {
                let kernel = format!("sdpa_sliding{suffix}");
                let parameters = start.clone().u32([window]).f32([scale as f32]).u32([room]);
                let found = launched(sliding.launch(&kernel), parameters);
                // The window is what is seen besides the query's own position.
                let mask = causal(&sizes, window as usize + 1);
                near(&kernel, &found, &outputs(&inputs, &sizes, scale, mask), tolerance);
            }
        }
    }
}

#[test]
fn some_simd_groups_a_head() {
    let kernels = open("sdpa_decode.metal");
    for (sizes, parts) in [
        (sizes([2, 1, 64, 1, 1, 8]), 1),
        (sizes([8, 2, 128, 1, 37, 40]), 2),
        (sizes([4, 4, 256, 1, 300, 300]), 4),
        // More SIMD-groups than keys.
        (sizes([2, 1, 512, 1, 3, 4]), 4),
    ] {
        let inputs = inputs(F32, &sizes, 1);
        let scale = 1.0 / (sizes.head as f64).sqrt();
        let all = [sizes.heads, sizes.groups, sizes.head, sizes.keys, sizes.room];
        let parameters = Struct::new().u32(all.map(|x| x as u32)).f32([scale as f32]);
        let launch = kernels.launch("sdpa_decode");
        let launch = inputs.iter().fold(launch, |launch, x| launch.numbers(F32, x));
        let launch = launch.room(inputs[0].len() * 4);
        let launch = launch.bytes(&parameters.u32([parts as u32]).bytes());
        let launch = launch.memory(0, (4 * parts * (sizes.head + 2)).next_multiple_of(16));
        let out = launch.groups((sizes.heads, 1, 1), (32 * parts, 1, 1), 3);
        let expected = outputs(&inputs, &sizes, scale, |_, _| 0.0);
        near("sdpa_decode", &F32.decode(&out), &expected, 2e-5);
    }
}

/// The outputs by queries and heads.
fn by_queries(outputs: &[f64], sizes: &Sizes) -> Vec<f64> {
    let rows = (0..sizes.queries).flat_map(|query| (0..sizes.heads).map(move |head| (query, head)));
    let row = |(query, head): (usize, usize)| {
        outputs[(head * sizes.queries + query) * sizes.head..][..sizes.head].to_vec()
    };
    rows.flat_map(row).collect()
}

/// Runs a kernel whose threadgroups take blocks of 32 keys in turn, and the kernel that combines their results.
fn in_parts<'a>(
    reduce: &Kernels,
    sizes: &Sizes,
    parts: usize,
    launch: impl FnOnce() -> Launch<'a>,
    mask: Option<&[f64]>,
) -> Vec<f64> {
    let rows = sizes.heads * sizes.queries;
    let launch = launch().room(rows * parts * (sizes.head + 2) * 4);
    let launch = mask.into_iter().fold(launch, |launch, mask| launch.numbers(F32, mask));
    let launch = launch.memory(0, (sizes.head.next_multiple_of(128) + 128 + 2 * sizes.head) * 2);
    let out = launch.groups((sizes.queries, sizes.heads, parts), (32, 1, 1), 4);
    if parts == 1 {
        return F32.decode(&out[..rows * sizes.head * 4]);
    }
    let launch = reduce.launch(&format!("flash_attn_vec_reduce_dk{}", sizes.head)).words([rows]);
    let launch = launch.bytes(&out).room(rows * sizes.head * 4).words([parts]);
    F32.decode(&launch.groups((rows, 1, 1), (32 * parts, 1, 1), 2))
}

#[test]
fn parts_of_keys() {
    let kernels = open("flash_attn_vec.metal");
    for head in [256, 512] {
        // 32 keys are read at once, so there is memory for a multiple of 32.
        for [heads, groups, queries, keys, room, parts] in [
            [2, 1, 1, 1, 32, 1],
            [4, 2, 1, 37, 64, 2],
            [2, 2, 3, 200, 224, 32],
            [4, 1, 2, 96, 96, 1],
        ] {
            let sizes = sizes([heads, groups, head, queries, keys, room]);
            for (name, number) in [("", F32), ("_f16kv", F16)] {
                for (kind, window) in [(1u32, 0usize), (2, 40)] {
                    let kernel = format!("flash_attn_vec{name}_dk{head}");
                    let inputs = inputs(number, &sizes, 1);
                    let scale = 1.0 / (head as f64).sqrt();
                    let all = [heads, groups, head, keys, room].map(|x| x as u32);
                    let parameters = Struct::new().u32(all).f32([scale as f32]);
                    let parameters = parameters.u32([kind, window as u32]).f32([0.0]);
                    let parameters = parameters.u32([parts as u32, queries as u32]).bytes();
                    let start = || {
                        let launch = kernels.launch(&kernel).bytes(&parameters);
                        let launch = launch.numbers(F32, &inputs[0]);
                        launch.numbers(number, &inputs[1]).numbers(number, &inputs[2])
                    };
                    let found = in_parts(&kernels, &sizes, parts, start, None);
                    let rounded = [narrowed(F16, &inputs[0]), inputs[1].clone(), inputs[2].clone()];
                    let mask = causal(&sizes, if kind == 2 { window } else { usize::MAX });
                    let expected = by_queries(&outputs(&rounded, &sizes, scale, mask), &sizes);
                    near(&kernel, &found, &expected, 2e-5);
                }
            }
        }
    }
}

#[test]
fn trees_of_queries() {
    let kernels = open("tree_attention.metal");
    let reduce = open("flash_attn_vec.metal");
    for head in [128, 256, 512] {
        for [heads, groups, queries, keys, room, parts] in
            [[2, 1, 1, 5, 5, 1], [4, 2, 6, 70, 80, 4], [2, 2, 3, 200, 200, 32]]
        {
            let sizes = sizes([heads, groups, head, queries, keys, room]);
            // A query sees what is in no tree, its own position and its ancestors'.
            let tree = keys - queries;
            let parent = |at: usize| at.checked_sub(1).map(|at| at / 2);
            let sees = |query: usize, key: usize| {
                let mut above = std::iter::successors(Some(query), |&at| parent(at));
                key < tree || above.any(|at| tree + at == key)
            };
            let mask: Vec<f64> = (0..queries * keys)
                .map(|at| if sees(at / keys, at % keys) { 0.0 } else { -65504.0 })
                .collect();
            for (name, number) in [("", F32), ("_f16kv", F16)] {
                let kernel = format!("tree_attention{name}_dk{head}");
                let inputs = inputs(number, &sizes, 1);
                let scale = 1.0 / (head as f64).sqrt();
                let all = [heads, groups, head, keys, room].map(|x| x as u32);
                let parameters = Struct::new().u32(all).f32([scale as f32]);
                let parameters = parameters.u32([parts, queries, keys].map(|x| x as u32)).bytes();
                let start = || {
                    let launch = kernels.launch(&kernel).bytes(&parameters);
                    let launch = launch.numbers(F32, &inputs[0]);
                    launch.numbers(number, &inputs[1]).numbers(number, &inputs[2])
                };
                let found = in_parts(&reduce, &sizes, parts, start, Some(&mask));
                let rounded = [narrowed(F16, &inputs[0]), inputs[1].clone(), inputs[2].clone()];
                let seen = |query: usize, key: usize| if sees(query, key) { 0.0 } else { HIDDEN };
                let expected = by_queries(&outputs(&rounded, &sizes, scale, seen), &sizes);
                near(&kernel, &found, &expected, 2e-5);
            }
        }
    }
}

#[test]
fn masks() {
    let kernels = open("flash_attn_prefill_mask.metal");
    for (queries, keys, before, window, causal) in [
        (5usize, 5usize, 0i64, -1i64, 1u32),
        (7, 300, 200, 64, 1),
        (3, 33, 30, 5, 0),
        (4, 20, 16, -1, 0),
    ] {
        let hidden = |place: i64, key: i64| {
            causal == 1 && key > place || window > 0 && place - key >= window
        };
        let value = |hidden: bool| if hidden { HIDDEN } else { 0.0 };
        for (name, number) in [("bf16", BF16), ("f16", F16)] {
            let kernel = format!("flash_attn_prefill_mask_fill_{name}");
            let parameters = Struct::new().u32([keys as u32, before as u32]).i32([window as i32]);
            let launch = kernels.launch(&kernel).room(queries * keys * 2);
            let launch = launch.bytes(&parameters.u32([causal]).bytes());
            let out = launch.groups((queries, 1, 1), (64, 1, 1), 0);
            let expected: Vec<f64> = (0..queries * keys)
                .map(|at| value(hidden(before + (at / keys) as i64, (at % keys) as i64)))
                .collect();
            near(&kernel, &number.decode(&out), &expected, 0.0);
        }
        // Several sequences one after the other: none sees another.
        let kernel = "flash_attn_prefill_mask_fill_blockdiag_bf16";
        let sequence = |at: usize| at * 3 / keys;
        let place = |at: usize| (0..at).filter(|&other| sequence(other) == sequence(at)).count();
        let numbers =
            |f: &dyn Fn(usize) -> usize| (0..keys).map(|at| f(at) as f64).collect::<Vec<_>>();
        let parameters = Struct::new().u32([keys as u32]).i32([window as i32]).u32([causal]);
        let launch = kernels.launch(kernel).room(keys * keys * 2).bytes(&parameters.bytes());
        let launch = launch.numbers(U32, &numbers(&sequence)).numbers(U32, &numbers(&place));
        let out = launch.groups((keys, 1, 1), (64, 1, 1), 0);
        let one = |at: usize| {
            let (query, key) = (at / keys, at % keys);
            let other = sequence(query) != sequence(key);
            value(other || hidden(place(query) as i64, place(key) as i64))
        };
        near(kernel, &BF16.decode(&out), &(0..keys * keys).map(one).collect::<Vec<_>>(), 0.0);
    }
}

#[test]
fn masks_of_chosen_keys() {
    let kernels = open("deepseek_sparse_prefill_mask.metal");
    let (batch, queries, keys, count, heads) = (2usize, 3usize, 20usize, 4usize, 3usize);
    let choices: Vec<Vec<usize>> =
        (0..batch * queries).map(|at| largest(&different(at as u64, keys + 2), count)).collect();
    // Below 0 and past the end means none.
    let numbers = choices.concat().into_iter().map(|key| key as i32 - 1);
    let bytes: Vec<u8> = numbers.flat_map(i32::to_le_bytes).collect();
    let total = batch * heads * queries * keys;
    for (name, number) in [("bf16", BF16), ("f16", F16)] {
        let parameters = [batch, queries, keys, count, heads];
        let kernel = format!("deepseek_sparse_prefill_mask_fill_{name}");
        let (groups, threads) = lined(total);
        let launch = kernels.launch(&kernel).words(parameters).room(total * 2);
        let mask = launch.groups(groups, threads, 1);
        near(&kernel, &number.decode(&mask), &vec![HIDDEN; total], 0.0);
        let kernel = format!("deepseek_sparse_prefill_mask_scatter_{name}");
        let (groups, threads) = lined(batch * queries * count * heads);
        let launch = kernels.launch(&kernel).words(parameters).bytes(&bytes).bytes(&mask);
        let out = launch.groups(groups, threads, 2);
        let one = |at: usize| {
            let (row, key) = (at / keys, at % keys);
            let (query, batch) = (row % queries, row / queries / heads);
            match choices[batch * queries + query].contains(&(key + 1)) {
                true => 0.0,
                false => HIDDEN,
            }
        };
        let expected: Vec<f64> = (0..total).map(one).collect();
        near(&kernel, &number.decode(&out), &expected, 0.0);
    }
}

#[test]
fn tiles_of_masks() {
    let kernels = open("flash_attn_prefill_blk.metal");
    // Tiles as the package has them by default, and others by function constants.
    for (tile, queries, keys) in
        [(None, 70usize, 100usize), (Some((8, 64)), 20, 256), (Some((32, 16)), 32, 48)]
    {
        let (down, across) = tile.unwrap_or((32, 16));
        for (name, number) in [("bf16", BF16), ("f16", F16)] {
            // Causal, with 30 keys before the first query: hidden tiles, seen ones, and those in between.
            let hides = |query: usize, key: usize| key > query + 30;
            let mask: Vec<f64> = (0..queries * keys)
                .map(|at| if hides(at / keys, at % keys) { HIDDEN } else { 0.0 })
                .collect();
            let kernel = format!("flash_attn_prefill_blk_{name}");
            let mut launch = kernels.launch(&kernel);
            if tile.is_some() {
                launch = launch.constant(400, down as i32).constant(401, across as i32);
            }
            let (rows, columns) = (queries.div_ceil(down), keys.div_ceil(across));
            let parameters = Struct::new().i32([queries as i32, keys as i32, keys as i32, 0]);
            let launch = launch.numbers(number, &mask).room(rows * columns);
            let launch = launch.bytes(&parameters.bytes());
            let out = launch.groups((columns, rows, 1), (32, 1, 1), 1);
            let expected: Vec<u8> = (0..rows * columns)
                .map(|at| {
                    let (row, column) = (at / columns * down, at % columns * across);
                    let all: Vec<bool> = (row..(row + down).min(queries))
                        .flat_map(|query| {
                            (column..(column + across).min(keys)).map(move |key| hides(query, key))
                        })
                        .collect();
                    // Tiles that extend past the last key are always computed.
                    if column + across > keys {
                        1
                    } else if all.iter().all(|hidden| *hidden) {
                        0
                    } else if all.iter().any(|hidden| *hidden) {
                        1
                    } else {
                        2
                    }
                })
                .collect();
            assert_eq!(out, expected, "{kernel}, {tile:?}");
        }
    }
}

#[test]
fn dots_for_slopes() {
    let kernels = open("flash_attn_train_bwd_compute_d.metal");
    for (batch, heads, queries, head, threads) in
        [(1usize, 1usize, 1usize, 64usize, 64usize), (2, 3, 5, 256, 256), (1, 2, 7, 100, 32)]
    {
        let rows = batch * heads * queries;
        let [outputs, slopes] = [1, 2].map(|seed| BF16.some(seed, rows * head));
        let launch = kernels.launch("flash_attn_train_bwd_compute_d_bf16");
        let launch = launch.numbers(BF16, &outputs).numbers(BF16, &slopes).room(rows * 4);
        let launch = launch.words([batch, heads, queries, head]);
        let out = launch.groups((queries, 1, batch * heads), (threads, 1, 1), 2);
        let pairs = outputs.chunks(head).zip(slopes.chunks(head));
        let expected: Vec<f64> = pairs.map(|(x, y)| dot(x, y)).collect();
        near("flash_attn_train_bwd_compute_d_bf16", &F32.decode(&out), &expected, 2e-5);
    }
}

#[test]
fn rows_of_halves() {
    let one = open("flash_attn_vec_peer_port_f16.metal");
    let parts = open("flash_attn_vec_peer_port_f16_nwg32.metal");
    let reduce = open("flash_attn_vec_peer_port_f16_reduce.metal");
    for [heads, groups, keys, room] in [[2, 1, 32, 32], [8, 2, 70, 96], [4, 4, 1100, 1120]] {
        let sizes = sizes([heads, groups, 256, 1, keys, room]);
        let inputs = inputs(F16, &sizes, 1);
        let scale = 1.0 / 16.0;
        // Everything up to the query's position is seen, which is the last.
        let parameters = Struct::new().u32([heads, groups, 256, keys, room].map(|x| x as u32));
        let parameters = parameters.f32([scale as f32]).u32([1, 0, 0]).bytes();
        let expected = outputs(&inputs, &sizes, scale, |_, _| 0.0);
        let launched = |launch: Launch<'_>, parts: usize| {
            let launch = launch.bytes(&parameters).numbers(F32, &inputs[0]);
            let launch = launch.numbers(F16, &inputs[1]).numbers(F16, &inputs[2]);
            let launch = launch.room(heads * parts * (256 + 2) * 4);
            let launch = launch.memory(0, (256 + 128 + 2 * 256) * 2);
            launch.groups((1, heads, parts), (32, 1, 1), 4)
        };
        let kernel = "flash_attn_vec_peer_port_f16_dk256_dv256";
        let out = launched(one.launch(kernel), 1);
        near(kernel, &F32.decode(&out[..heads * 1024]), &expected, 2e-5);
        let kernel = "flash_attn_vec_peer_port_f16_nwg32_dk256_dv256";
        let out = launched(parts.launch(kernel), 32);
        let kernel = "flash_attn_vec_peer_port_f16_reduce_dv256_nwg32";
        let launch = reduce.launch(kernel).words([heads]).bytes(&out).room(heads * 1024);
        let out = launch.groups((heads, 1, 1), (1024, 1, 1), 2);
        near(kernel, &F32.decode(&out), &expected, 2e-5);
    }
}

/// Many queries by tiles, in the type of the keys, with masks of bits and of numbers.
#[test]
fn many_queries() {
    let mut ran = 0;
    for (file, by_eight) in
        [("flash_attn_prefill.metal", false), ("flash_attn_prefill_d512.metal", true)]
    {
        let kernels = Kernels::open("mlx-native", file);
        for (at, kernel) in kernels.names().iter().enumerate() {
            let number = if kernel.contains("_bf16") { Number::BF16 } else { Number::F16 };
            let side =
                kernel.split("_d").last().and_then(|rest| rest.split('_').next()?.parse().ok());
            let side = side.unwrap_or(512);
            let attention = Attention {
                kernel,
                number,
                mask_of_bits: kernel.ends_with("_boolmask"),
                // The kernel for `half` reads its mask as `bfloat`s, which is right for zeros and infinities.
                hides_only: by_eight && number == F16,
                heads: (4, 2),
                tile: match side {
                    512 if by_eight => (8, 64),
                    512 => (8, 8),
                    _ => (32, 16),
                },
                side,
                width: side,
                groups: match side {
                    512 if by_eight => (8, 1),
                    512 => (1, 1),
                    _ => (4, 1),
                },
                memory: if by_eight { 28672 } else { 0 },
                scales: &[1.0],
                unset: &[303, 304, 305],
            };
            attention.check(&kernels, at);
            ran += 1;
        }
    }
    assert_eq!(ran, 16, "kernels for many queries");
}
