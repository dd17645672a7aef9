//! mlx-native's mixtures of experts: routing, lists of tokens, activations, sums of experts' outputs, and derivatives.
//!
//! Tolerances: `exp` and a sum of up to 256 parts in `float` keep a routing weight within 1e-5; sums of few products
//! and activations too. Indices are exact; the logits are all different.

use Number::{BF16, F32, U32};
use kernels::numbers::{Number, near};
use kernels::references::{different, dot, gelu, largest, product, rms_norm, sigmoid, softmax};
use kernels::run::{Kernels, Launch, Size, lined};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// Groups of 16 by 2 by 2 threads.
const TILE: Size = (16, 2, 2);

/// Tokens, experts, and how many experts a token gets.
const ROUTES: [(usize, usize, usize); 4] = [(1, 32, 2), (5, 64, 8), (2, 100, 3), (3, 128, 8)];

/// The experts of a token, best first, and their parts of all that these have.
fn routed(logits: &[f64], count: usize) -> (Vec<usize>, Vec<f64>) {
    let (best, parts) = (largest(logits, count), softmax(logits));
    let sum: f64 = best.iter().map(|&expert| parts[expert]).sum();
    let shares = best.iter().map(|&expert| parts[expert] / sum).collect();
    (best, shares)
}

/// Further outputs of a router: the last chosen expert, the first that was not chosen, and their shares.
#[track_caller]
fn witnessed(kernel: &str, logits: &[f64], count: usize, [scores, numbers, state]: [&[f64]; 3]) {
    let (order, parts) = (largest(logits, count + 1), softmax(logits));
    let ends = [order[count - 1], order[count]];
    near(kernel, numbers, &ends.map(|expert| expert as f64), 0.0);
    near(
        kernel,
        &scores.iter().map(|x| x * 100.0).collect::<Vec<_>>(),
        &ends.map(|e| parts[e] * 100.0),
        1e-5,
    );
    near(kernel, state, &[1.0], 0.0);
}

#[test]
fn routing() {
    let plain = open("fused_norm_add_f32.metal");
    let witness = open("fused_moe_selection_witness.metal");
    let batches = open("fused_moe_batch_selection_witness.metal");
    let rows: [(&Kernels, &str, bool); 10] = [
        (&plain, "fused_moe_routing_f32", false),
        (&plain, "fused_moe_routing_f32_v2", false),
        (&plain, "fused_moe_routing_f32_v3", false),
        (&plain, "fused_moe_routing_batch_f32", true),
        (&plain, "fused_moe_routing_batch_f32_v3", true),
        (&witness, "fused_moe_routing_f32_selection_witness", false),
        (&witness, "fused_moe_routing_f32_v2_selection_witness", false),
        (&witness, "fused_moe_routing_f32_v3_selection_witness", false),
        (&batches, "fused_moe_routing_batch_f32_selection_witness", true),
        (&batches, "fused_moe_routing_batch_f32_v3_selection_witness", true),
    ];
    for (kernels, kernel, batch) in rows {
        for (tokens, experts, count) in ROUTES {
            let tokens = if batch { tokens } else { 1 };
            let logits: Vec<f64> =
                (0..tokens).flat_map(|token| different(token as u64 + 1, experts)).collect();
            let scales: Vec<f64> = F32.some(9, experts).iter().map(|x| x + 3.0).collect();
            let launch = kernels.launch(kernel).numbers(F32, &logits);
            let launch = launch.room(tokens * count * 4).room(tokens * count * 4);
            let launch = launch.numbers(F32, &scales).words([experts, count]);
            let launch = launch.room(tokens * 8).room(tokens * 8).room(tokens * 4);
            let threads = experts.next_power_of_two().min(64);
            let launch = launch.memory(0, (2 * experts + threads).next_multiple_of(4) * 4);
            let out = launch.results((tokens, 1, 1), (threads, 1, 1), [1, 2, 5, 6, 7]);
            let [chosen, shares, scores, numbers, states] = out;
            let (chosen, shares) = (U32.decode(&chosen), F32.decode(&shares));
            if kernel.contains("batch") && kernel.ends_with("witness") && !experts.is_power_of_two()
            {
                // These say that they take powers of two only.
                near(kernel, &U32.decode(&states), &vec![3.0; tokens], 0.0);
                continue;
            }
            for token in 0..tokens {
                let logits = &logits[token * experts..][..experts];
                let (best, expected) = routed(logits, count);
                let places: Vec<f64> = best.iter().map(|&expert| expert as f64).collect();
                near(kernel, &chosen[token * count..][..count], &places, 0.0);
                let each =
                    expected.iter().zip(&best).map(|(share, &expert)| share * scales[expert]);
                let expected: Vec<f64> = each.collect();
                near(kernel, &shares[token * count..][..count], &expected, 1e-5);
                if kernel.ends_with("witness") {
                    let pair = 2 * token..2 * token + 2;
                    let all = [&F32.decode(&scores)[pair.clone()], &U32.decode(&numbers)[pair]];
                    let state = &U32.decode(&states)[token..=token];
                    witnessed(kernel, logits, count, [all[0], all[1], state]);
                }
            }
        }
    }
}

#[test]
fn softmax_and_the_best() {
    for (file, kernel) in [
        ("moe_softmax_topk.metal", "moe_softmax_topk_f32"),
        ("moe_softmax_topk_selection_witness.metal", "moe_softmax_topk_selection_witness_f32"),
    ] {
        let kernels = open(file);
        // Powers of two up to 128: the kernel's tree has as many leaves as there are threads.
        for (tokens, experts, count) in [(1, 8, 2), (5, 64, 8), (3, 128, 10), (2, 256, 64)] {
            let logits: Vec<f64> =
                (0..tokens).flat_map(|token| different(token as u64 + 1, experts)).collect();
            let threads = experts.min(128);
            let launch = kernels.launch(kernel).words([tokens, experts, count, 0]);
            let launch = launch.numbers(F32, &logits).room(tokens * count * 4);
            let launch = launch.room(tokens * count * 4).room(tokens * 8).room(tokens * 8);
            let launch = launch.room(tokens * 4).memory(0, (2 * threads + experts) * 4);
            let out = launch.results((tokens, 1, 1), (threads, 1, 1), [2, 3, 4, 5, 6]);
            let [chosen, shares, scores, numbers, states] = out;
            for token in 0..tokens {
                let logits = &logits[token * experts..][..experts];
                let (best, expected) = routed(logits, count);
                let places: Vec<f64> = best.iter().map(|&expert| expert as f64).collect();
                near(kernel, &U32.decode(&chosen)[token * count..][..count], &places, 0.0);
                near(kernel, &F32.decode(&shares)[token * count..][..count], &expected, 1e-5);
                if kernel.contains("witness") {
                    let pair = 2 * token..2 * token + 2;
                    let all = [&F32.decode(&scores)[pair.clone()], &U32.decode(&numbers)[pair]];
                    let state = &U32.decode(&states)[token..=token];
                    witnessed(kernel, logits, count, [all[0], all[1], state]);
                }
            }
        }
    }
}

#[test]
fn gate() {
    let kernels = open("moe_gate.metal");
    let (tokens, width, experts, count) = (3usize, 200usize, 128usize, 8usize);
    let hidden = BF16.some(1, tokens * width);
    let [router, norm] = [(2, experts * width), (3, width)].map(|(seed, all)| F32.some(seed, all));
    let scales: Vec<f64> = F32.some(4, experts).iter().map(|x| x + 3.0).collect();
    let launch = kernels.launch("moe_gate").numbers(BF16, &hidden).numbers(F32, &router);
    let launch = launch.numbers(F32, &norm).numbers(F32, &scales).room(tokens * count * 4);
    let launch = launch.room(tokens * count * 4).words([width]).words([experts]).words([count]);
    let launch = launch.floats([1e-6]).memory(0, (width + experts) * 4);
    let [chosen, shares] = launch.results((tokens, 1, 1), (128, 1, 1), [4, 5]);
    for token in 0..tokens {
        let normed = rms_norm(&hidden[token * width..][..width], &norm, 1e-6);
        let logits = product(&normed, &router, width);
        let best = largest(&logits, count);
        let places: Vec<f64> = best.iter().map(|&expert| expert as f64).collect();
        near("moe_gate", &U32.decode(&chosen)[token * count..][..count], &places, 0.0);
        let parts = softmax(&best.iter().map(|&expert| logits[expert]).collect::<Vec<_>>());
        let scaled: Vec<f64> = parts.iter().zip(&best).map(|(part, &e)| part * scales[e]).collect();
        let sum: f64 = scaled.iter().sum();
        let expected: Vec<f64> = scaled.iter().map(|x| x / sum).collect();
        // Logits are sums of 200 products, up to 50, which `exp` makes relative errors of.
        near("moe_gate", &F32.decode(&shares)[token * count..][..count], &expected, 5e-5);
    }
    let kernels = open("moe_dispatch.metal");
    let parts = softmax(&different(5, experts));
    let order = largest(&parts, 8);
    let numbers: Vec<f64> = order.iter().map(|&at| at as f64).collect();
    let launch = kernels.launch("moe_gather_topk_weights").numbers(F32, &parts);
    let launch = launch.numbers(U32, &numbers).numbers(F32, &scales).room(32).room(32);
    let [chosen, shares] = launch.words([experts, 8]).results((1, 1, 1), (1, 1, 1), [3, 4]);
    near("moe_gather_topk_weights", &U32.decode(&chosen), &numbers, 0.0);
    let sum: f64 = order.iter().map(|&at| parts[at]).sum();
    let expected: Vec<f64> = order.iter().map(|&at| parts[at] / sum * scales[at]).collect();
    near("moe_gather_topk_weights", &F32.decode(&shares), &expected, 1e-6);
}

#[test]
fn tokens_of_experts() {
    let kernels = open("moe_mm_id_map0.metal");
    for count in [1usize, 2, 4, 5, 6, 8, 10, 16, 22] {
        for (tokens, experts) in [(1usize, 32usize), (70, 64), (33, 100)] {
            let kernel = format!("moe_mm_id_map0_ne20_{count}");
            let routes: Vec<Vec<usize>> = (0..tokens)
                .map(|token| largest(&different(token as u64, experts), count))
                .collect();
            let numbers: Vec<f64> = routes.concat().iter().map(|&expert| expert as f64).collect();
            let head = [experts, 0, count].map(|x| x as i32);
            let arguments = Struct::new().i32(head).u64([0, 0]);
            let arguments = arguments.i32([tokens as i32, count as i32]).u64([count as u64 * 4]);
            let launch = kernels.launch(&kernel).bytes(&arguments.bytes()).numbers(U32, &numbers);
            let launch = launch.room(experts * 4).room(experts * tokens * 4);
            let launch = launch.memory(0, (experts * count * 2).next_multiple_of(16));
            let [counts, lists] = launch.results((1, 1, 1), (experts, 1, 1), [2, 3]);
            let (counts, lists) = (U32.decode(&counts), U32.decode(&lists));
            for expert in 0..experts {
                let slots = routes.concat().into_iter().enumerate();
                let expected = slots.filter(|(_, of)| *of == expert).map(|(slot, _)| slot as f64);
                let expected: Vec<f64> = expected.collect();
                assert_eq!(counts[expert] as usize, expected.len(), "{kernel}: expert {expert}");
                near(&kernel, &lists[expert * tokens..][..expected.len()], &expected, 0.0);
            }
        }
    }
}

/// gelu(gate) times up, of rows that have one half after the other.
fn gated(rows: &[f64], width: usize) -> Vec<f64> {
    let row = |row: &[f64]| -> Vec<f64> {
        (0..width).map(|at| gelu(row[at]) * row[width + at]).collect()
    };
    rows.chunks(2 * width).flat_map(row).collect()
}

#[test]
fn activations() {
    let kernels = open("moe_dispatch.metal");
    for length in [5usize, 257, 4096] {
        let (groups, threads) = lined(length);
        for (kernel, number) in [("fused_gelu_mul", F32), ("fused_gelu_mul_bf16", BF16)] {
            let [gate, up] = [1, 2].map(|seed| number.some(seed, length));
            let launch = kernels.launch(kernel).numbers(number, &gate).numbers(number, &up);
            let launch = launch.room(length * number.size()).words([length]);
            let expected: Vec<f64> = gate.iter().zip(&up).map(|(x, y)| gelu(*x) * y).collect();
            let tolerance = 5e-6 + if number == F32 { 0.0 } else { number.epsilon() / 2.0 };
            near(kernel, &number.decode(&launch.groups(groups, threads, 2)), &expected, tolerance);
        }
        let both = F32.some(3, 2 * length);
        let launch = kernels.launch("moe_swiglu_fused").numbers(F32, &both).room(length * 4);
        let out = launch.words([length]).groups(groups, threads, 1);
        near("moe_swiglu_fused", &F32.decode(&out), &gated(&both, length), 5e-6);
    }
    let (tokens, slots, width) = (3usize, 4usize, 50usize);
    let both = F32.some(4, slots * 2 * width);
    let launch = kernels.launch("moe_swiglu_batch").numbers(F32, &both);
    let launch = launch.room(slots * width * 4).words([width]).words([slots]);
    let [out] = launch.grid((width, slots, 1), TILE, [1]);
    near("moe_swiglu_batch", &F32.decode(&out), &gated(&both, width), 5e-6);
    for (kernel, number) in [("moe_swiglu_seq", F32), ("moe_swiglu_seq_bf16", BF16)] {
        let both = number.some(5, tokens * slots * 2 * width);
        let launch = kernels.launch(kernel).numbers(number, &both);
        let launch = launch.room(both.len() / 2 * number.size()).words([width, slots, tokens]);
        let [out] = launch.grid((width, slots, tokens), TILE, [1]);
        let tolerance = 5e-6 + if number == F32 { 0.0 } else { number.epsilon() / 2.0 };
        near(kernel, &number.decode(&out), &gated(&both, width), tolerance);
    }
    // Slopes, against differences of the function itself: in `f64`, 1e-5 apart, good to 1e-9.
    let both = F32.some(6, tokens * slots * 2 * width);
    let slopes = F32.some(7, tokens * slots * width);
    let kernel = "moe_swiglu_seq_backward_f32";
    let launch = kernels.launch(kernel).numbers(F32, &both).numbers(F32, &slopes);
    let launch = launch.room(both.len() * 4).words([width, slots, tokens]);
    let [out] = launch.grid((width, slots, tokens), TILE, [2]);
    let expected = both.chunks(2 * width).zip(slopes.chunks(width)).flat_map(|(row, slopes)| {
        let gates = (0..width).map(|at| {
            let step = 1e-5;
            let rise = (gelu(row[at] + step) - gelu(row[at] - step)) / (2.0 * step);
            slopes[at] * row[width + at] * rise
        });
        gates.chain((0..width).map(|at| slopes[at] * gelu(row[at]))).collect::<Vec<f64>>()
    });
    near(kernel, &F32.decode(&out), &expected.collect::<Vec<_>>(), 5e-6);
}

#[test]
fn sums_of_experts() {
    let kernels = open("moe_dispatch.metal");
    let (tokens, count, width) = (5usize, 6usize, 70usize);
    let [outputs, shares] =
        [(1, tokens * count * width), (2, tokens * count)].map(|(seed, all)| F32.some(seed, all));
    let mixed = |outputs: &[f64]| -> Vec<f64> {
        let sum = |token: usize, at: usize| {
            (0..count)
                .map(|k| outputs[(token * count + k) * width + at] * shares[token * count + k])
                .sum()
        };
        (0..tokens * width).map(|at| sum(at / width, at % width)).collect()
    };
    let expected = mixed(&outputs);
    let launch = kernels.launch("moe_weighted_sum").numbers(F32, &outputs).numbers(F32, &shares);
    let (groups, threads) = lined(width);
    let out = launch.room(width * 4).words([width, count]).groups(groups, threads, 2);
    near("moe_weighted_sum", &F32.decode(&out), &expected[..width], 1e-5);
    for (kernel, number) in
        [("moe_weighted_sum_seq", F32), ("moe_weighted_sum_seq_bf16_input", BF16)]
    {
        let outputs = number.some(1, outputs.len());
        let launch = kernels.launch(kernel).numbers(number, &outputs).numbers(F32, &shares);
        let launch = launch.room(tokens * width * 4).words([width, count, tokens]);
        let [out] = launch.grid((width, tokens, 1), TILE, [2]);
        near(kernel, &F32.decode(&out), &mixed(&outputs), 1e-5);
    }
    let slopes = F32.some(3, tokens * width);
    let launched = |kernel: &str, first: &[f64], room: usize| -> Launch<'_> {
        let launch = kernels.launch(kernel).numbers(F32, first).numbers(F32, &slopes);
        launch.room(room * 4).words([width, count, tokens])
    };
    let kernel = "moe_weighted_sum_seq_backward_outputs_f32";
    let [out] = launched(kernel, &shares, outputs.len()).grid((width, count, tokens), TILE, [2]);
    let of = |at: usize| shares[at / width] * slopes[at / width / count * width + at % width];
    let slopes_of_outputs: Vec<f64> = (0..outputs.len()).map(of).collect();
    near(kernel, &F32.decode(&out), &slopes_of_outputs, 1e-6);
    let kernel = "moe_weighted_sum_seq_backward_weights_f32";
    let (groups, threads) = lined(shares.len());
    let out = launched(kernel, &outputs, shares.len()).groups(groups, threads, 2);
    let row = |values: &[f64], at: usize| values[at * width..][..width].to_vec();
    let of = |at: usize| dot(&row(&outputs, at), &row(&slopes, at / count));
    near(kernel, &F32.decode(&out), &(0..shares.len()).map(of).collect::<Vec<_>>(), 2e-5);

    let [sums, more] = [4, 5].map(|seed| F32.some(seed, width));
    let launch = kernels.launch("moe_accumulate").numbers(F32, &sums).numbers(F32, &more);
    let parameters = Struct::new().u32([width as u32]).f32([0.3]).bytes();
    let (groups, threads) = lined(width);
    let out = launch.bytes(&parameters).groups(groups, threads, 0);
    let expected: Vec<f64> = sums.iter().zip(&more).map(|(x, y)| x + 0.3 * y).collect();
    near("moe_accumulate", &F32.decode(&out), &expected, 1e-6);
    let launch = kernels.launch("zero_buffer").numbers(F32, &sums).words([width - 3]);
    let out = launch.groups(groups, threads, 0);
    let expected: Vec<f64> =
        sums.iter().enumerate().map(|(at, x)| if at < width - 3 { 0.0 } else { *x }).collect();
    near("zero_buffer", &F32.decode(&out), &expected, 1e-6);
    let (rows, inner) = (33usize, 100usize);
    let [matrix, vector] = [(6, rows * inner), (7, inner)].map(|(seed, all)| F32.some(seed, all));
    let launch = kernels.launch("naive_matvec_f32").numbers(F32, &matrix).numbers(F32, &vector);
    let (groups, threads) = lined(rows);
    let out = launch.room(rows * 4).words([1, inner, rows]).groups(groups, threads, 2);
    near("naive_matvec_f32", &F32.decode(&out), &product(&vector, &matrix, inner), 2e-5);
}

#[test]
fn sums_with_a_shared_expert() {
    let kernels = open("moe_weighted_reduce.metal");
    for (tokens, count, width) in [(1usize, 2usize, 32usize), (3, 8, 300), (2, 4, 1024)] {
        for with in [0usize, 1] {
            let sizes =
                [tokens * count, tokens * count * width, tokens, tokens * width, tokens * width];
            let inputs: [Vec<f64>; 5] = std::array::from_fn(|at| F32.some(at as u64, sizes[at]));
            let mut launch =
                kernels.launch("moe_weighted_reduce_f32").words([tokens, count, width, with]);
            for input in &inputs {
                launch = launch.numbers(F32, input);
            }
            let launch = launch.room(tokens * width * 4);
            let out = launch.groups((width.div_ceil(256), tokens, 1), (256, 1, 1), 6);
            let [shares, outputs, logits, shared, residual] = &inputs;
            let of = |at: usize| {
                let (token, place) = (at / width, at % width);
                let slots = token * count..(token + 1) * count;
                let sum: f64 = slots.map(|slot| shares[slot] * outputs[slot * width + place]).sum();
                sum + sigmoid(logits[token]) * shared[at] + with as f64 * residual[at]
            };
            let expected: Vec<f64> = (0..tokens * width).map(of).collect();
            near("moe_weighted_reduce_f32", &F32.decode(&out), &expected, 1e-5);
        }
    }
}

#[test]
fn places_of_products() {
    // The kernel is unfinished: it writes zeros where the products of each expert's tokens will be.
    let kernels = open("moe_mm_id_q4_0.metal");
    let (experts, rows, columns) = (3, 100, 40);
    let tokens = [40, 0, 33];
    let own = Struct::new().i32([32, experts as i32]).u64([18, 1800, 5400]).i32([1]);
    let own = own.u64([4, 128, 128, 128]).i32([1, columns as i32, rows as i32, columns as i32]);
    let what = "moe_mm_id_q4_0_f32_skeleton";
    let launch = kernels.launch(what).bytes(&own.i16([1, 1]).bytes()).bytes(&[]).bytes(&[]);
    let launch = launch.words(tokens).bytes(&[]).room(experts * rows * columns * 4);
    let out = launch.memory(0, 16).groups((2, 2, experts), (128, 1, 1), 5);
    for (at, value) in out.chunks(4).enumerate() {
        let (expert, column) = (at / rows / columns, at / rows % columns);
        let written = value == [0; 4];
        assert_eq!(written, column < tokens[expert], "{what}: element {at}");
    }
}
