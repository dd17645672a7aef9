//! mlx-native's gated delta nets: the recurrence, and the parts of the form that works on chunks.
//!
//! Tolerances: states are unit-sized sums in `float`, a token after the other; 1e-4 for 20 tokens of 128 dimensions.
//! The parts round factors to `bfloat` once before their sums and once after, which the references do as well:
//! a factor at a tie of the rounding may come out one unit off, so those have 2^-8 of the sums.

use Number::{BF16, F32};
use kernels::numbers::{Number, near};
use kernels::references::{dot, sigmoid};
use kernels::run::{Kernels, lined};

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

fn some(number: Number, seed: u64, count: usize, scale: f64) -> Vec<f64> {
    number.some(seed, count).iter().map(|x| number.rounded(x * scale)).collect()
}

/// The sizes of a recurrence.
#[derive(Clone, Copy)]
struct Net {
    keys: usize,
    values: usize,
    key_heads: usize,
    heads: usize,
    tokens: usize,
    sequences: usize,
}

/// Queries, keys, values, decays, shares, and the state before.
struct Inputs([Vec<f64>; 6]);

impl Net {
    fn state(&self) -> usize {
        self.heads * self.values * self.keys
    }

    fn inputs(&self) -> Inputs {
        let places = self.tokens * self.sequences;
        let keys = places * self.key_heads * self.keys;
        // Keys of about unit length, decays above 0, shares from 0 to 1.
        let unit = 1.0 / (self.keys as f64).sqrt();
        let positive = |values: Vec<f64>| values.iter().map(|x| F32.rounded(x.abs())).collect();
        Inputs([
            some(F32, 1, keys, unit),
            some(F32, 2, keys, unit),
            some(F32, 3, places * self.heads * self.values, 1.0),
            positive(some(F32, 4, places * self.heads, 0.3)),
            positive(some(F32, 5, places * self.heads, 0.5)),
            some(F32, 6, self.sequences * self.state(), 0.5),
        ])
    }

    /// The outputs, and the state of each sequence after each token.
    fn run(&self, Inputs([q, k, v, g, beta, before]): &Inputs) -> (Vec<f64>, Vec<Vec<f64>>) {
        let mut outputs = vec![0.0; v.len()];
        let mut states = Vec::new();
        for seq in 0..self.sequences {
            let mut state = before[seq * self.state()..][..self.state()].to_vec();
            for place in seq * self.tokens..(seq + 1) * self.tokens {
                for head in 0..self.heads {
                    let of_keys = (place * self.key_heads + head % self.key_heads) * self.keys;
                    let (q, k) = (&q[of_keys..][..self.keys], &k[of_keys..][..self.keys]);
                    let at = place * self.heads + head;
                    for value in 0..self.values {
                        let row =
                            &mut state[(head * self.values + value) * self.keys..][..self.keys];
                        row.iter_mut().for_each(|x| *x *= (-g[at]).exp());
                        let missing = v[at * self.values + value] - dot(row, k);
                        row.iter_mut().zip(k).for_each(|(x, k)| *x += beta[at] * missing * k);
                        outputs[at * self.values + value] = dot(row, q);
                    }
                }
                states.push(state.clone());
            }
        }
        (outputs, states)
    }
}

#[test]
fn recurrences() {
    let kernels = open("gated_delta_net.metal");
    let decoding = open("gated_delta_net_decode.metal");
    let capturing = open("gated_delta_net_decode_capture.metal");
    let nets = [
        Net { keys: 32, values: 32, key_heads: 1, heads: 1, tokens: 1, sequences: 1 },
        Net { keys: 64, values: 32, key_heads: 2, heads: 4, tokens: 7, sequences: 2 },
        Net { keys: 128, values: 64, key_heads: 1, heads: 3, tokens: 20, sequences: 1 },
        Net { keys: 20, values: 33, key_heads: 2, heads: 2, tokens: 3, sequences: 2 },
    ];
    for net in nets {
        let inputs = net.inputs();
        let (outputs, states) = net.run(&inputs);
        let last = states.chunks(net.tokens).flat_map(|of| of[net.tokens - 1].clone());
        let last: Vec<f64> = last.collect();
        let scale = 0.25f32;
        let launched = |kernels: &Kernels, kernel: &str, (groups, threads), scale: Option<f32>| {
            let mut launch = kernels.launch(kernel);
            for input in &inputs.0 {
                launch = launch.numbers(F32, input);
            }
            let launch = launch.room(outputs.len() * 4).room(last.len() * 4);
            let sizes = [net.keys, net.values, net.key_heads, net.heads, net.tokens, net.sequences];
            let [a, b, c, d, e, f] = sizes;
            let bits = scale.map_or(0, f32::to_bits) as usize;
            let launch = launch.words([a, b, c, d, e, f, 0, 0, bits]);
            let launch = launch.room(last.len() * net.tokens * 4);
            let launch = launch.memory(0, ((net.keys + net.values) * 8).next_multiple_of(16));
            let [out, state, all] = launch.results(groups, threads, [6, 7, 9]);
            let factor = f64::from(scale.unwrap_or(1.0));
            let expected: Vec<f64> = outputs.iter().map(|x| x * factor).collect();
            near(kernel, &F32.decode(&out), &expected, 1e-4);
            near(kernel, &F32.decode(&state), &last, 1e-4);
            F32.decode(&all)
        };
        let size = ((net.heads, net.sequences, 1), (net.values, 1, 1));
        launched(&kernels, "gated_delta_net_f32", size, None);
        // One SIMD-group per value, and an equal share of the keys per thread.
        let each = net.keys / 32;
        if net.keys % 32 == 0 && net.values % each == 0 {
            let size = ((net.values / each, net.heads, net.sequences), (32, each, 1));
            for scale in [None, Some(scale)] {
                let kernel = format!("gated_delta_net_decode_f32_{each}");
                launched(&decoding, &kernel, size, scale);
                let kernel = format!("gated_delta_net_decode_capture_f32_{each}");
                let all = launched(&capturing, &kernel, size, scale);
                near(&kernel, &all, &states.concat(), 1e-4);
            }
        }
    }
}

#[test]
fn decays_and_shares() {
    let kernels = open("compute_g_beta.metal");
    let (heads, tokens) = (6usize, 50usize);
    let all = heads * tokens;
    // Beyond 20 on both sides, where the kernel takes the function's ends.
    let [first, second] = [1, 2].map(|seed| some(F32, seed, all, 12.0));
    let [bias, decay] = [3, 4].map(|seed| F32.some(seed, heads));
    let launch = kernels.launch("compute_g_beta_f32").numbers(F32, &first).numbers(F32, &second);
    let launch = launch.numbers(F32, &bias).numbers(F32, &decay).room(all * 4).room(all * 4);
    let (groups, threads) = lined(all);
    let [g, beta] = launch.words([heads, tokens]).results(groups, threads, [4, 5]);
    let soft = |x: f64| x.exp().ln_1p();
    let decays = (0..all).map(|at| -decay[at % heads] * soft(first[at] + bias[at % heads]));
    // 1 + e^x loses what e^x has below 2^-24.
    near("compute_g_beta_f32", &F32.decode(&g), &decays.collect::<Vec<_>>(), 1e-6);
    let shares: Vec<f64> = second.iter().map(|&x| sigmoid(x)).collect();
    near("compute_g_beta_f32", &F32.decode(&beta), &shares, 1e-6);
}

/// Solves (1 + L) X = B with L strictly lower, of n rows, for m columns.
fn solved(lower: &[f64], right: &[f64], n: usize, m: usize) -> Vec<f64> {
    let mut x = right.to_vec();
    for (row, column) in (0..n).flat_map(|row| (0..m).map(move |column| (row, column))) {
        let known: f64 = (0..row).map(|k| lower[row * n + k] * x[k * m + column]).sum();
        x[row * m + column] -= known;
    }
    x
}

#[test]
fn triangular_systems() {
    let kernels = open("tri_solve.metal");
    for (n, m, batch) in [(1usize, 1usize, 1usize), (5, 7, 3), (64, 40, 2)] {
        for (name, number) in [("f32", F32), ("bf16", BF16)] {
            let kernel = format!("tri_solve_lower_unit_{name}");
            // Elements on the diagonal and above are ignored.
            let lower = some(number, 1, n * n * batch, 1.0 / n as f64);
            let right = number.some(2, n * m * batch);
            let launch = kernels.launch(&kernel).numbers(number, &lower).numbers(number, &right);
            let launch = launch.room(right.len() * number.size()).words([n, m, batch]);
            let [out] = launch.grid((m, batch, 1), (16, 1, 1), [2]);
            let systems = lower.chunks(n * n).zip(right.chunks(n * m));
            let expected: Vec<f64> = systems.flat_map(|(l, b)| solved(l, b, n, m)).collect();
            // Narrow results are read again: their rounding adds up, with weights of 2 at most together.
            let tolerance = if number == F32 { 1e-5 } else { 4.0 * number.epsilon() };
            near(&kernel, &number.decode(&out), &expected, tolerance);
        }
    }
    let kernels = open("chunk_gated_delta_rule_tri_solve_invert.metal");
    let (batch, heads, chunks, size) = (2usize, 3usize, 2usize, 32usize);
    let places = chunks * size;
    let mut lower = some(F32, 3, batch * places * heads * size, 0.2);
    for (at, x) in lower.iter_mut().enumerate() {
        let row = at / size / heads % size;
        *x = if at % size < row { *x } else { 0.0 };
    }
    let launch = kernels.launch("chunk_tri_solve_invert_f32").numbers(F32, &lower);
    let launch = launch.room(lower.len() * 4).words([batch, places, heads, size]);
    let launch = launch.memory(0, 2 * size * size * 4);
    let out = F32.decode(&launch.groups((chunks, heads, batch), (size, 1, 1), 1));
    for (chunk, head) in (0..batch * chunks).flat_map(|c| (0..heads).map(move |h| (c, h))) {
        let rows = |all: &[f64]| -> Vec<f64> {
            let row = |row: usize| ((chunk * size + row) * heads + head) * size;
            (0..size).flat_map(|at| all[row(at)..][..size].to_vec()).collect()
        };
        let unit: Vec<f64> = (0..size * size).map(|at| f64::from(at / size == at % size)).collect();
        let expected = solved(&rows(&lower), &unit, size, size);
        near("chunk_tri_solve_invert_f32", &rows(&out), &expected, 1e-4);
    }
}

#[test]
fn parts_of_chunks() {
    // Sequences, tokens, heads of keys, heads of values, dimensions of keys and values, and the chunk.
    let (batch, tokens, key_heads, heads, keys, values, chunk) =
        (2usize, 64usize, 2usize, 4usize, 64usize, 128usize, 32usize);
    let chunks = tokens / chunk;
    let k = some(BF16, 1, batch * tokens * key_heads * keys, 0.25);
    let v = BF16.some(2, batch * tokens * heads * values);
    let beta: Vec<f64> =
        F32.some(3, batch * tokens * heads).iter().map(|x| F32.rounded(x.abs() / 2.0)).collect();
    let g = some(F32, 4, batch * tokens * heads, 0.5);
    let places = || (0..batch * tokens).flat_map(|place| (0..heads).map(move |head| (place, head)));
    // Heads of keys serve heads of values next to each other.
    let key = |place: usize, head: usize| {
        let of = head / (heads / key_heads);
        &k[(place * key_heads + of) * keys..][..keys]
    };

    let kernels = open("gated_delta_net_kkt.metal");
    let launch = kernels.launch("gated_delta_net_kkt_bf16").numbers(BF16, &k).numbers(F32, &beta);
    let launch = launch.numbers(F32, &g).room(batch * tokens * heads * chunk * 4);
    let launch = launch.words([batch, tokens, key_heads, heads, keys, chunk, chunks, 64]);
    let launch = launch.memory(0, chunk * 64 * 2).memory(1, chunk * chunk * 4);
    let out = launch.groups((chunks, heads, batch), (256, 1, 1), 3);
    let expected = places().flat_map(|(place, head)| {
        let at = place * heads + head;
        let row: Vec<f64> =
            key(place, head).iter().map(|x| BF16.rounded(F32.rounded(x * beta[at]))).collect();
        let first = place / chunk * chunk;
        let weight = |j: usize| match first + j < place {
            true => dot(&row, key(first + j, head)) * (g[at] - g[(first + j) * heads + head]).exp(),
            false => 0.0,
        };
        (0..chunk).map(weight).collect::<Vec<f64>>()
    });
    let lower: Vec<f64> = expected.collect();
    near("gated_delta_net_kkt_bf16", &F32.decode(&out), &lower, 2f64.powi(-8));

    let kernels = open("gated_delta_net_recompute_wu.metal");
    let kernel = "gated_delta_net_recompute_wu_bf16";
    let mix = some(F32, 5, batch * tokens * heads * chunk, 0.25);
    let launch = kernels.launch(kernel).numbers(BF16, &k).numbers(BF16, &v).numbers(F32, &beta);
    let launch = launch.numbers(F32, &g).numbers(F32, &mix);
    let launch = launch.room(batch * tokens * heads * keys * 2);
    let launch = launch.room(batch * tokens * heads * values * 2);
    let launch = launch.words([batch, tokens, key_heads, heads, keys, values, chunk, chunks]);
    let launch = launch.memory(0, chunk * chunk * 4).memory(1, chunk * 64 * 2);
    let [w, u] = launch.results((chunks, heads, batch), (256, 1, 1), [5, 6]);
    let mixed = |width: usize, factor: &dyn Fn(usize, usize, usize) -> f64| -> Vec<f64> {
        let of = |(place, head): (usize, usize)| {
            let row = &mix[(place * heads + head) * chunk..][..chunk];
            let first = place / chunk * chunk;
            let sum =
                |at: usize| (0..chunk).map(|j| row[j] * factor(first + j, head, at)).sum::<f64>();
            (0..width).map(sum).collect::<Vec<f64>>()
        };
        places().flat_map(of).collect()
    };
    let shares = |place: usize, head: usize| beta[place * heads + head];
    let expected = mixed(values, &|place, head, at| {
        BF16.rounded(v[(place * heads + head) * values + at] * shares(place, head))
    });
    near(kernel, &BF16.decode(&u), &expected, 2.0 * 2f64.powi(-8));
    let expected = mixed(keys, &|place, head, at| {
        BF16.rounded(key(place, head)[at] * shares(place, head) * g[place * heads + head].exp())
    });
    near(kernel, &BF16.decode(&w), &expected, 2.0 * 2f64.powi(-8));
}

/// Rows of numbers, one for each position and head.
struct Rows<'a> {
    numbers: &'a [f64],
    heads: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    fn at(&self, position: usize, head: usize) -> &'a [f64] {
        &self.numbers[(position * self.heads + head) * self.width..][..self.width]
    }
}

#[test]
fn states_and_results_of_chunks() {
    const CHUNK: usize = 64;
    let (chunks, groups, heads, values) = (2, 1, 2, 32);
    let length = chunks * CHUNK;
    // The logarithm of what is left at each position of its chunk: nothing goes at its end. The kernel has no barrier between
    // the reads of a state and its scaling by that, so that only a factor of 1 has a result.
    let left: Vec<f64> = (0..length * heads)
        .map(|at| F32.rounded(-0.01 * ((CHUNK - 1 - at / heads % CHUNK) * (1 + at % heads)) as f64))
        .collect();
    let left_of = |position: usize, head: usize| left[position * heads + head];
    for (keys, suffix) in [(128, ""), (256, "_k256")] {
        let sizes = [1, length, groups, heads, keys, values, CHUNK, chunks];
        let k = some(BF16, 1, length * groups * keys, 0.1);
        let k_of = Rows { numbers: &k, heads: groups, width: keys };
        let mut states = some(BF16, 5, chunks * heads * values * keys, 0.25);
        let mut news = some(BF16, 6, length * heads * values, 0.5);

        // The states of 256 keys take 36 KiB of threadgroup memory, which no GPU has.
        if keys == 128 {
            let w = some(BF16, 2, length * heads * keys, 0.1);
            let u = some(BF16, 3, length * heads * values, 0.5);
            let first = F32.some(4, heads * values * keys);
            let what = "gated_delta_net_chunk_inter_state_bf16";
            let kernels = open("gated_delta_net_chunk.metal");
            let launch = kernels.launch(what).numbers(BF16, &k).numbers(BF16, &w);
            let launch = launch.numbers(BF16, &u).numbers(F32, &left).numbers(F32, &first);
            let launch = launch.room(states.len() * 2).room(news.len() * 2);
            let launch = launch.room(first.len() * 4).words(sizes);
            let launch = launch.memory(0, values * keys * 4 + values * CHUNK * 2);
            let out = launch.results((1, heads, 1), (128, 1, 1), [5, 6, 7]);
            let [w_of, u_of] =
                [(&w, keys), (&u, values)].map(|(numbers, width)| Rows { numbers, heads, width });
            let mut last = first.clone();
            for head in 0..heads {
                let state = &mut last[head * values * keys..][..values * keys];
                for chunk in 0..chunks {
                    states[(chunk * heads + head) * values * keys..][..values * keys]
                        .copy_from_slice(state);
                    let end = left_of((chunk + 1) * CHUNK - 1, head);
                    let before = state.to_vec();
                    state.iter_mut().for_each(|x| *x *= end.exp());
                    for position in chunk * CHUNK..(chunk + 1) * CHUNK {
                        for value in 0..values {
                            let row = &before[value * keys..][..keys];
                            let new =
                                u_of.at(position, head)[value] - dot(w_of.at(position, head), row);
                            news[(position * heads + head) * values + value] = new;
                            let part = BF16.rounded(new * (end - left_of(position, head)).exp());
                            let to = &mut state[value * keys..][..keys];
                            to.iter_mut()
                                .zip(k_of.at(position, 0))
                                .for_each(|(x, k)| *x += part * k);
                        }
                    }
                }
            }
            // A number on the edge of two of `bfloat` may become either.
            near(what, &BF16.decode(&out[0]), &states, 1e-2);
            near(what, &BF16.decode(&out[1]), &news, 1e-2);
            near(what, &F32.decode(&out[2]), &last, 2e-2);
            states.iter_mut().chain(&mut news).for_each(|x| *x = BF16.rounded(*x));
        }

        let q = some(BF16, 7, length * groups * keys, 0.1);
        let q_of = Rows { numbers: &q, heads: groups, width: keys };
        let new_of = Rows { numbers: &news, heads, width: values };
        let scale = 0.125;
        let what = format!("gated_delta_net_chunk_o_bf16{suffix}");
        let kernels = open(&format!("gated_delta_net_chunk_o{suffix}.metal"));
        let launch = kernels.launch(&what).numbers(BF16, &q).numbers(BF16, &k);
        let launch = launch.numbers(BF16, &news).numbers(BF16, &states).numbers(F32, &left);
        let launch = launch.room(news.len() * 2);
        let mut all = [0; 11];
        all[..8].copy_from_slice(&sizes);
        all[10] = (scale as f32).to_bits() as usize;
        let launch = launch.words(all).memory(0, CHUNK * CHUNK * 2);
        let out = launch.groups((1, chunks, heads), (256, 1, 1), 5);
        let mut expected = vec![0.0; news.len()];
        for (position, head) in (0..length).flat_map(|at| (0..heads).map(move |head| (at, head))) {
            let chunk = position / CHUNK;
            let own = left_of(position, head);
            let weight = |other: usize| {
                let product = dot(q_of.at(position, 0), k_of.at(other, 0));
                BF16.rounded(product * (own - left_of(other, head)).exp())
            };
            let weights: Vec<f64> = (chunk * CHUNK..=position).map(weight).collect();
            for value in 0..values {
                let state = &states[((chunk * heads + head) * values + value) * keys..][..keys];
                let before = dot(q_of.at(position, 0), state) * own.exp();
                let inside = weights.iter().zip(chunk * CHUNK..);
                let inside: f64 =
                    inside.map(|(weight, at)| weight * new_of.at(at, head)[value]).sum();
                expected[(position * heads + head) * values + value] = (before + inside) * scale;
            }
        }
        near(&what, &BF16.decode(&out), &expected, 5e-3);
    }
}
