//! ggml's kernels that carry a state from token to token, triangular systems, Hadamard transforms, and streams that are mixed.
//!
//! Tolerances: the order of sums in `float`, over a few tokens.

use kernels::ggml::Ggml;
use kernels::numbers::{Number, near};
use kernels::references::{dot, hadamard, sigmoid};
use kernels::structs::Struct;

use Number::{F16, F32};

/// The distances of an array's elements along its axes, contiguous ones.
fn steps<const N: usize>(sides: [usize; N]) -> [u64; N] {
    let mut step = 4;
    sides.map(|side| {
        let this = step as u64;
        step *= side;
        this
    })
}

fn ints<const N: usize>(values: [usize; N]) -> [i32; N] {
    values.map(|value| value as i32)
}

fn longs<const N: usize>(values: [usize; N]) -> [u64; N] {
    values.map(|value| value as u64)
}

/// Numbers up to one.
fn small(seed: u64, count: usize) -> Vec<f64> {
    F32.some(seed, count).into_iter().map(|x| x / 2.0).collect()
}

/// Numbers between zero and one.
fn shares(seed: u64, count: usize) -> Vec<f64> {
    small(seed, count).into_iter().map(f64::abs).collect()
}

/// RWKV's states: a matrix for each head.
#[test]
fn receptance() {
    const SIDE: usize = 64;
    let (heads, sequences, tokens) = (2, 2, 3);
    let width = heads * SIDE;
    let all = width * sequences * tokens;
    let [k, v, r, w, a, b] = [1, 2, 3, 4, 5, 6].map(|seed| small(seed, all));
    let w: Vec<f64> = w.into_iter().map(f64::abs).collect();
    let a: Vec<f64> = a.into_iter().map(|a| a / 16.0).collect();
    let state = small(7, width * SIDE * sequences);
    let first = small(8, width);
    for ggml in Ggml::all() {
        for kernel in ["kernel_rwkv_wkv6_f32", "kernel_rwkv_wkv7_f32"] {
            let sixth = kernel.contains("wkv6");
            let launch = ggml.launch(kernel);
            let inputs = match sixth {
                true => vec![&k, &v, &r, &first, &w, &state],
                false => vec![&r, &w, &k, &v, &a, &b, &state],
            };
            let out = inputs.len();
            let launch = inputs.iter().fold(launch, |launch, one| launch.numbers(F32, one));
            let launch = launch.room(4 * (all + state.len()));
            let launch = [sequences, sequences * tokens, width, heads]
                .into_iter()
                .fold(launch, |launch, size| launch.words([size]));
            let found = launch.groups((sequences * heads, 1, 1), (SIDE, 1, 1), out);
            let (mut results, mut states) = (vec![0.0; all], state.clone());
            for sequence in 0..sequences {
                for head in 0..heads {
                    let own = &mut states[(sequence * heads + head) * SIDE * SIDE..][..SIDE * SIDE];
                    for token in 0..tokens {
                        let from = (sequence * tokens + token) * width + head * SIDE;
                        for value in 0..SIDE {
                            // The sixth has a column of the matrix for a value, the seventh a row.
                            let place = |key: usize| match sixth {
                                true => key * SIDE + value,
                                false => value * SIDE + key,
                            };
                            let mixed: f64 =
                                (0..SIDE).map(|key| a[from + key] * own[place(key)]).sum();
                            let mut sum = 0.0;
                            for key in 0..SIDE {
                                let now = k[from + key] * v[from + value];
                                let old = own[place(key)];
                                let new = old * w[from + key] + now;
                                if sixth {
                                    sum += r[from + key] * (first[head * SIDE + key] * now + old);
                                    own[place(key)] = new;
                                } else {
                                    let new = new + mixed * b[from + key];
                                    sum += r[from + key] * new;
                                    own[place(key)] = new;
                                }
                            }
                            results[from + value] = sum;
                        }
                    }
                }
            }
            results.extend(states);
            near(kernel, &F32.decode(&found), &results, 1e-5);
        }
    }
}

/// Gated delta rules: a gate for each head, or for each key.
#[test]
fn gated_delta_rule() {
    let (heads, keys_heads, tokens, sequences, kept) = (4, 2, 3, 2, 2);
    for ggml in Ggml::all() {
        for simdgroups in [1, 2, 4] {
            let kernel = format!("kernel_gated_delta_net_f32_{simdgroups}");
            if !ggml.has(&kernel) {
                assert_eq!(ggml.package, "whisper-rs-sys");
                continue;
            }
            let side = 32 * simdgroups;
            for gates in [1, side] {
                let count = side * keys_heads * tokens * sequences;
                let (q, k) = (small(1, count), small(2, count));
                let k: Vec<f64> = k.into_iter().map(|k| k / 8.0).collect();
                let v = small(3, side * heads * tokens * sequences);
                let g: Vec<f64> = shares(4, gates * heads * tokens * sequences);
                let g: Vec<f64> = g.into_iter().map(|g| -g).collect();
                let b = shares(5, heads * tokens * sequences);
                let state = small(6, side * side * heads * sequences);
                let fields = [[side, keys_heads], [side, keys_heads], [side, heads]]
                    .into_iter()
                    .fold(Struct::new(), |fields, [side, heads]| {
                        let sides = [side, heads, tokens, sequences];
                        fields.i32(ints(sides)).u64(steps(sides))
                    });
                let fields = fields.i32(ints([side * keys_heads, side * keys_heads, side * heads]));
                let fields = fields.i32([0; 4]).u64([0; 4]).u64([0]);
                let first = ggml.defined(&kernel, &["FC_GATED_DELTA_NET"]);
                let launch = ggml.launch(&kernel).constant(first, side as i16);
                let launch = launch.constant(first + 1, gates as i16);
                let launch = launch.constant(first + 2, kept as i16);
                let launch = launch.bytes(&ggml.arguments(&kernel, "gated_delta_net", fields));
                let launch = [&q, &k, &v, &g, &b, &state]
                    .into_iter()
                    .fold(launch, |launch, one| launch.numbers(F32, one));
                let results = side * heads * tokens * sequences;
                let launch = launch.room(4 * (results + kept * state.len())).room(4);
                let groups = (side / simdgroups, heads, sequences);
                let found = F32.decode(&launch.groups(groups, (32, simdgroups, 1), 7));
                let (mut out, mut now) = (vec![0.0; results], state.clone());
                // The latest states, the last one first.
                let mut latest = Vec::new();
                for token in 0..tokens {
                    for sequence in 0..sequences {
                        for head in 0..heads {
                            let place = sequence * tokens + token;
                            let of = |all: &[f64], heads: usize| {
                                all[(place * heads + head % heads) * side..][..side].to_vec()
                            };
                            let (q, k, v) = (of(&q, keys_heads), of(&k, keys_heads), of(&v, heads));
                            let at = place * heads + head;
                            let own = &mut now[(sequence * heads + head) * side * side..];
                            for (value, row) in own.chunks_mut(side).take(side).enumerate() {
                                let gate = |key: usize| g[at * gates + key % gates].exp();
                                row.iter_mut().enumerate().for_each(|(key, x)| *x *= gate(key));
                                let change = (v[value] - dot(row, &k)) * b[at];
                                row.iter_mut().zip(&k).for_each(|(x, k)| *x += k * change);
                                out[at * side + value] = dot(row, &q) / (side as f64).sqrt();
                            }
                        }
                    }
                    latest.insert(0, now.clone());
                }
                out.extend(latest.into_iter().take(kept).flatten());
                near(&format!("{kernel}, {gates} gates"), &found, &out, 1e-5);
            }
        }
    }
}

/// The sizes of a scan: of a state, channels of a head, heads, groups of heads, tokens, sequences.
#[derive(Clone, Copy)]
struct Scan {
    state: usize,
    channels: usize,
    heads: usize,
    groups: usize,
    tokens: usize,
    sequences: usize,
}

/// Mamba's scans, a thread for each number of a state, or by 8 × 8 matrices.
#[test]
fn scans_of_states() {
    for ggml in Ggml::all() {
        for kernel in
            ["kernel_ssm_scan_f32", "kernel_ssm_scan_f32_tail", "kernel_ssm_scan_ssd_mma_f32"]
        {
            if !ggml.has(kernel) {
                assert_eq!(ggml.package, "whisper-rs-sys");
                continue;
            }
            let by_matrices = kernel.contains("mma");
            let plain =
                Scan { state: 64, channels: 3, heads: 4, groups: 2, tokens: 5, sequences: 2 };
            let all = match by_matrices {
                true => Scan {
                    state: 16,
                    channels: ggml.defined(kernel, &["OP_SSM_SCAN_SSD_HD"]),
                    tokens: 2 * ggml.defined(kernel, &["OP_SSM_SCAN_SSD_CS"]),
                    heads: 2,
                    sequences: 1,
                    ..plain
                },
                false => plain,
            };
            let Scan { state, channels, heads, groups, tokens, sequences } = all;
            // The last part of the tokens only, from the state that the result already has.
            let skipped = if kernel.ends_with("tail") { 2 } else { 0 };
            let begins = small(1, state * channels * heads * 3);
            let x = small(2, channels * heads * tokens * sequences);
            let dt = small(3, heads * tokens * sequences);
            let decay: Vec<f64> = shares(4, heads).into_iter().map(|a| -a).collect();
            let [b, c] = [5, 6].map(|seed| small(seed, state * groups * tokens * sequences));
            let which = [2, 0];
            let of_states = [state, channels, heads, sequences];
            let fields = Struct::new().u64(longs([state, channels, heads, groups]));
            let fields = fields.u64(longs([tokens - skipped, sequences]));
            let results = channels * heads * tokens * sequences;
            let fields = fields.u64([4 * results as u64]).u64(steps(of_states));
            let [one, head, token, sequence] = steps([channels, heads, tokens, sequences]);
            let fields = fields.u64([one, head, token, token / 4, sequence]);
            let [one, token, sequence] = steps([heads, tokens, sequences]);
            let fields = fields.u64([one, token, token / 4, sequence]).u64([1, 4]);
            let [_, group, token, sequence] = steps([state, groups, tokens, sequences]);
            let of_group = [group, token, token / 4, sequence];
            let fields = fields.u64(of_group).u64(of_group).u64([4]);
            let mut arguments = ggml.arguments(kernel, "ssm_scan", fields);
            for (name, value) in
                [("n_seq_tokens_total", tokens), ("token_offset", skipped), ("K", 1)]
            {
                let value = (value as u64).to_le_bytes();
                ggml.set(kernel, "ssm_scan", &mut arguments, name, &value);
            }
            let launch = ggml.launch(kernel).bytes(&arguments).numbers(F32, &begins);
            let launch = launch.numbers(F32, &x).numbers(F32, &dt).numbers(F32, &decay);
            let launch = launch.numbers(F32, &b).numbers(F32, &c).words(which);
            let of_one = state * channels * heads;
            let began = |sequence: usize| &begins[which[sequence] * of_one..][..of_one];
            let mut room = vec![0.0; results];
            (0..sequences).for_each(|sequence| room.extend(began(sequence)));
            let launch = launch.numbers(F32, &room);
            let found = match by_matrices {
                true => {
                    let [rows, side, simdgroups] = ["CS", "HD", "NSG"]
                        .map(|name| ggml.defined(kernel, &[&format!("OP_SSM_SCAN_SSD_{name}")]));
                    let tiles = simdgroups * 8 * (rows + 16);
                    let launch = launch.memory(0, 4 * (3 * rows + rows * side + tiles));
                    launch.groups((1, heads, sequences), (32 * simdgroups, 1, 1), 8)
                }
                false => {
                    let launch = launch.memory(0, 4 * (state + 2 * state / 32));
                    launch.groups((channels, heads, sequences), (state, 1, 1), 8)
                }
            };
            let mut out = vec![0.0; results];
            let mut ends = Vec::new();
            for sequence in 0..sequences {
                let mut now = began(sequence).to_vec();
                for token in skipped..tokens {
                    let place = sequence * tokens + token;
                    for head in 0..heads {
                        let step = (1.0 + dt[place * heads + head].exp()).ln();
                        let group = (place * groups + head / (heads / groups)) * state;
                        for channel in 0..channels {
                            let at = (place * heads + head) * channels + channel;
                            let own = &mut now[(head * channels + channel) * state..][..state];
                            let mut sum = 0.0;
                            for (k, own) in own.iter_mut().enumerate() {
                                let kept = *own * (step * decay[head]).exp();
                                *own = kept + b[group + k] * x[at] * step;
                                sum += *own * c[group + k];
                            }
                            out[at] = sum;
                        }
                    }
                }
                ends.extend(now);
            }
            out.extend(ends);
            near(kernel, &F32.decode(&found), &out, 1e-4);
        }
    }
}

#[test]
fn triangular_systems() {
    for ggml in Ggml::all() {
        let kernel = "kernel_solve_tri_f32";
        if !ggml.has(kernel) {
            assert_eq!(ggml.package, "whisper-rs-sys");
            continue;
        }
        let (side, columns, simdgroups, planes) = (64, 6, 4, 2);
        // Large diagonals; what is above them is not read as a part of the system.
        let place = |at: usize| (at / side % side, at % side);
        let matrix: Vec<f64> = small(1, side * side * planes)
            .into_iter()
            .enumerate()
            .map(|(at, x)| if place(at).0 == place(at).1 { x.abs() + 2.0 } else { x / 8.0 })
            .collect();
        let right = small(2, side * columns * planes);
        let sides = [[side, side], [columns, side], [columns, side]];
        let fields = sides.into_iter().fold(Struct::new(), |fields, [x, y]| {
            fields.i32(ints([x, y, planes, 1])).u64(steps([x, y, planes, 1]))
        });
        let first = ggml.defined(kernel, &["FC_SOLVE_TRI"]);
        let launch = [simdgroups, side, columns]
            .into_iter()
            .enumerate()
            .fold(ggml.launch(kernel), |launch, (at, value)| {
                launch.constant(first + at, value as i16)
            });
        let launch = launch.bytes(&ggml.arguments(kernel, "solve_tri", fields));
        let launch = launch.numbers(F32, &matrix).numbers(F32, &right).room(4 * right.len());
        let launch = launch.memory(0, 4 * simdgroups * side);
        let groups = (columns.div_ceil(simdgroups), planes, 1);
        let found = launch.groups(groups, (32, simdgroups, 1), 3);
        let mut solution = vec![0.0; right.len()];
        for plane in 0..planes {
            let at = |row: usize, column: usize| (plane * side + row) * columns + column;
            for column in 0..columns {
                for row in 0..side {
                    let factors = &matrix[(plane * side + row) * side..];
                    let known: f64 = (0..row).map(|k| factors[k] * solution[at(k, column)]).sum();
                    solution[at(row, column)] = (right[at(row, column)] - known) / factors[row];
                }
            }
        }
        near(kernel, &F32.decode(&found), &solution, 1e-5);
    }
}

#[test]
fn hadamard_transforms() {
    for ggml in Ggml::all() {
        let mut ran = 0;
        for (number, ty) in [(F32, "f32"), (F16, "f16")] {
            for side in [64, 128, 256, 512, 1024, 2048, 4096, 8192] {
                let kernel = format!("kernel_fwht_{ty}_{side}");
                if !ggml.has(&kernel) {
                    continue;
                }
                let rows = if side > 256 { 1 } else { 3 };
                let x = number.some(side as u64, rows * side);
                let fields = Struct::new().i32([rows as i32]);
                let launch = ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, "fwht", fields));
                let launch = launch.numbers(number, &x).room(4 * x.len());
                // Two rows for a threadgroup, or one.
                let (groups, threads) = match side {
                    ..=256 => (rows.div_ceil(2), 64),
                    _ => (rows, ggml.defined(&kernel, &["GGML_METAL_FWHT_TG_NT"])),
                };
                let found = launch.groups((groups, 1, 1), (threads, 1, 1), 2);
                let expected: Vec<f64> = x.chunks(side).flat_map(hadamard).collect();
                near(&kernel, &F32.decode(&found), &expected, 1e-5);
                ran += 1;
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 0 } else { 16 };
        assert_eq!(ran, count, "{}: Hadamard transforms", ggml.package);
    }
}

/// Four streams of a model, which are mixed.
#[test]
fn streams() {
    const STREAMS: usize = 4;
    for ggml in Ggml::all() {
        if ggml.package == "whisper-rs-sys" {
            assert!(!ggml.has("kernel_dsv4_hc_pre_f32"));
            continue;
        }
        let (width, tokens, epsilon) = (70usize, 5usize, 0.01);
        let (threads, groups) = ((32, 2, 1), (width.div_ceil(64), tokens, 1));

        // Weights of every stream for every stream, whose sums become one in turn.
        let kernel = "kernel_dsv4_hc_comb_f32";
        let (mixes, scale, base) = (small(1, 24 * tokens), small(2, 3), small(3, 24));
        let fields = Struct::new().i32([tokens as i32, 3]).u64(steps([24, tokens]));
        let fields = fields.u64([4, 4]).u64(steps([STREAMS, STREAMS, tokens]));
        let fields = fields.f32([epsilon as f32]);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "dsv4_hc_comb", fields));
        let launch = launch.numbers(F32, &mixes).numbers(F32, &scale).numbers(F32, &base);
        let launch = launch.room(4 * 16 * tokens);
        let found = launch.groups((tokens.div_ceil(2), 1, 1), threads, 4);
        let mut combined = Vec::new();
        for mixes in mixes.chunks(24) {
            let mixed = |at: usize| mixes[8 + at] * scale[2] + base[8 + at];
            let mut now: Vec<f64> = (0..16).map(mixed).collect();
            for row in now.chunks_mut(STREAMS) {
                let softmax = kernels::references::softmax(row);
                row.iter_mut().zip(softmax).for_each(|(x, part)| *x = part + epsilon);
            }
            for round in 0..3 {
                for row in now.chunks_mut(STREAMS).filter(|_| round > 0) {
                    let sum = row.iter().sum::<f64>() + epsilon;
                    row.iter_mut().for_each(|x| *x /= sum);
                }
                for column in 0..STREAMS {
                    let sum: f64 = now.iter().skip(column).step_by(STREAMS).sum();
                    now.iter_mut().skip(column).step_by(STREAMS).for_each(|x| *x /= sum + epsilon);
                }
            }
            combined.extend(now);
        }
        near(kernel, &F32.decode(&found), &combined, 1e-5);

        // One of all streams, with a weight for each or a gate for each number.
        let x = small(4, width * STREAMS * tokens);
        for (kernel, gated) in
            [("kernel_dsv4_hc_pre_f32", false), ("kernel_dsv4_hc_pre_gated_f32", true)]
        {
            let weights = small(5, if gated { x.len() } else { STREAMS * tokens });
            let of_weights = match gated {
                true => steps([width, STREAMS, tokens]),
                false => {
                    let [stream, token] = steps([STREAMS, tokens]);
                    [stream, token, 0]
                }
            };
            let fields = Struct::new().i32(ints([width, tokens]));
            let fields = fields.u64(steps([width, STREAMS, tokens])).u64(of_weights);
            let fields = fields.u64(steps([width, tokens])).f32([1.5]);
            let first = ggml.defined(kernel, &["FC_DSV4_HC"]);
            let launch = ggml.launch(kernel).constant(first, STREAMS as i32);
            let launch = launch.bytes(&ggml.arguments(kernel, "dsv4_hc_pre", fields));
            let launch = launch.numbers(F32, &x).numbers(F32, &weights).room(4 * width * tokens);
            let found = launch.groups(groups, threads, 3);
            let expected: Vec<f64> = (0..width * tokens)
                .map(|at| {
                    let (token, place) = (at / width, at % width);
                    let each = (0..STREAMS).map(|stream| {
                        let from = (token * STREAMS + stream) * width + place;
                        let weight = match gated {
                            true => sigmoid(weights[from]),
                            false => weights[token * STREAMS + stream],
                        };
                        x[from] * weight
                    });
                    1.5 * each.sum::<f64>()
                })
                .collect();
            near(kernel, &F32.decode(&found), &expected, 1e-5);
        }

        // And back to all of them, with the weights from before.
        let (one, post) = (small(6, width * tokens), small(7, STREAMS * tokens));
        for (kernel, mixes) in
            [("kernel_dsv4_hc_post_f32", true), ("kernel_dsv4_hc_post_nocomb_f32", false)]
        {
            let fields = Struct::new().i32(ints([width, tokens])).u64(steps([width, tokens]));
            let fields = fields.u64(steps([width, STREAMS, tokens]));
            let fields = fields.u64(steps([STREAMS, tokens]));
            let fields = fields.u64(steps([STREAMS, STREAMS, tokens]));
            let fields = fields.u64(steps([width, STREAMS, tokens]));
            let launch = ggml.launch(kernel);
            let launch = launch.bytes(&ggml.arguments(kernel, "dsv4_hc_post", fields));
            let launch = launch.numbers(F32, &one).numbers(F32, &x).numbers(F32, &post);
            let launch = if mixes { launch.numbers(F32, &combined) } else { launch };
            let out = if mixes { 5 } else { 4 };
            let found = launch.room(4 * x.len()).groups(groups, threads, out);
            let expected: Vec<f64> = (0..x.len())
                .map(|at| {
                    let (token, stream, place) =
                        (at / width / STREAMS, at / width % STREAMS, at % width);
                    let added = match mixes {
                        true => (0..STREAMS)
                            .map(|source| {
                                let from = (token * STREAMS + source) * width + place;
                                x[from] * combined[(token * STREAMS + source) * STREAMS + stream]
                            })
                            .sum(),
                        false => x[at],
                    };
                    one[token * width + place] * post[token * STREAMS + stream] + added
                })
                .collect();
            near(kernel, &F32.decode(&found), &expected, 1e-5);
        }
    }
}
