//! mlx-native's kernels that choose, for one family of models: the experts of tokens, the keys that a query attends to, and attention
//! to them.
//!
//! Choices are exact; weights and scores have the errors of `exp`, roots and sums, 1e-5 to 1e-4; results are rounded to `bfloat`.

use Number::{BF16, F32, U32};
use kernels::numbers::{Number, near};
use kernels::references::{different, dot, largest, rms_norm, softmax};
use kernels::run::{Kernels, Launch};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// An `int` of -1 as a `uint`.
const NONE: f64 = u32::MAX as f64;

const EXPERTS: usize = 256;
const TAKEN: usize = 6;

/// The square root of ln(1 + e^x).
fn score(x: f64) -> f64 {
    (x.max(0.0) + (-x.abs()).exp().ln_1p()).sqrt()
}

/// The weights of chosen experts.
fn shares(logits: &[f64], chosen: &[usize]) -> Vec<f64> {
    let scores: Vec<f64> = chosen.iter().map(|&expert| score(logits[expert])).collect();
    let sum: f64 = scores.iter().sum();
    scores.iter().map(|score| 1.5 * score / sum).collect()
}

/// The arguments of both kernels that choose experts by scores.
fn begin<'a>(launch: Launch<'a>, logits: &[f64], bias: &[f64]) -> Launch<'a> {
    let tokens = logits.len() / EXPERTS;
    let launch = launch.words([tokens, 1000]).numbers(F32, logits).numbers(F32, bias);
    launch.room(tokens * TAKEN * 4).room(tokens * TAKEN * 4)
}

#[test]
fn experts_of_tokens() {
    let tokens = 4;
    let bias: Vec<f64> = F32.some(1, EXPERTS).iter().map(|x| F32.rounded(x / 1000.0)).collect();
    let mut logits: Vec<f64> =
        (0..tokens as u64).flat_map(|token| different(token, EXPERTS)).collect();
    // The first expert that a SIMD-group looks at has no score: the token gets none.
    logits[2 * EXPERTS + 64] = f64::NAN;
    let routes: Vec<Option<(Vec<usize>, f64, usize)>> = logits
        .chunks(EXPERTS)
        .map(|row| {
            let all: Vec<f64> = row.iter().zip(&bias).map(|(&x, bias)| score(x) + bias).collect();
            let best = largest(&all, TAKEN + 1);
            let fits = row.iter().all(|x| x.is_finite());
            fits.then(|| (best[..TAKEN].to_vec(), all[best[TAKEN - 1]], best[TAKEN]))
        })
        .collect();
    let check = |what: &str, ids: &[u8], weights: &[u8]| {
        let both = U32.decode(ids).into_iter().zip(F32.decode(weights)).collect::<Vec<_>>();
        for (token, (found, route)) in both.chunks(TAKEN).zip(&routes).enumerate() {
            let (ids, weights): (Vec<f64>, Vec<f64>) = found.iter().copied().unzip();
            let row = &logits[token * EXPERTS..][..EXPERTS];
            let expected = match route {
                Some((chosen, ..)) => {
                    (chosen.iter().map(|&id| id as f64).collect(), shares(row, chosen))
                }
                None => (vec![NONE; TAKEN], vec![0.0; TAKEN]),
            };
            near(what, &ids, &expected.0, 0.0);
            near(what, &weights, &expected.1, 1e-5);
        }
    };
    let groups = (tokens, 1, 1);
    let kernels = open("deepseek_moe_routing.metal");
    let launch = begin(kernels.launch("deepseek_moe_score_route_f32"), &logits, &bias);
    let [ids, weights] = launch.results(groups, (EXPERTS, 1, 1), [3, 4]);
    check("deepseek_moe_score_route_f32", &ids, &weights);

    let witnesses = open("deepseek_selection_witness.metal");
    let what = "deepseek_moe_score_selection_witness_f32";
    let launch = begin(witnesses.launch(what), &logits, &bias);
    let launch = launch.room(tokens * 8).room(tokens * 8).room(tokens * 4);
    let all = launch.results(groups, (EXPERTS, 1, 1), [3, 4, 5, 6, 7]);
    check(what, &all[0], &all[1]);
    let [scores, ids, states] = [F32.decode(&all[2]), U32.decode(&all[3]), U32.decode(&all[4])];
    for (token, route) in routes.iter().enumerate() {
        // The last that was chosen, and the first that was not.
        let (last, next, state) = match route {
            Some((chosen, last, next)) => ((chosen[TAKEN - 1] as f64, *last), *next as f64, 1.0),
            None => ((NONE, f64::NAN), NONE, 3.0),
        };
        near(what, &ids[2 * token..][..2], &[last.0, next], 0.0);
        near(what, &scores[2 * token..][..1], &[last.1], 1e-5);
        near(what, &states[token..][..1], &[state], 0.0);
    }

    // Tokens whose experts a table has; one is not in the table, and one has an expert that there is not.
    let vocabulary = 10;
    let mut table: Vec<f64> =
        (0..vocabulary * TAKEN).map(|at| (at * 37 % EXPERTS) as f64).collect();
    table[7 * TAKEN + 2] = EXPERTS as f64;
    let names = [3.0, 12.0, 9.0, 7.0];
    let finite: Vec<f64> = (0..tokens as u64).flat_map(|token| different(token, EXPERTS)).collect();
    let launch = kernels.launch("deepseek_moe_hash_route_f32").words([tokens, vocabulary]);
    let launch = launch.numbers(F32, &finite).numbers(U32, &names).numbers(U32, &table);
    let launch = launch.room(tokens * TAKEN * 4).room(tokens * TAKEN * 4);
    let [ids, weights] = launch.results((1, 1, 1), (32, 1, 1), [4, 5]);
    let (mut wanted, mut parts) = (Vec::new(), Vec::new());
    for (token, name) in names.iter().enumerate() {
        let row: Vec<usize> = match *name as usize {
            3 | 9 => table[*name as usize * TAKEN..][..TAKEN].iter().map(|&x| x as usize).collect(),
            _ => Vec::new(),
        };
        match row.is_empty() {
            true => {
                wanted.extend([NONE; TAKEN]);
                parts.extend([0.0; TAKEN]);
            }
            false => {
                wanted.extend(row.iter().map(|&expert| expert as f64));
                parts.extend(shares(&finite[token * EXPERTS..][..EXPERTS], &row));
            }
        }
    }
    near("deepseek_moe_hash_route_f32", &U32.decode(&ids), &wanted, 0.0);
    near("deepseek_moe_hash_route_f32", &F32.decode(&weights), &parts, 1e-5);

    let launch = kernels.launch("deepseek_moe_sanitize_indices").words([tokens, vocabulary]);
    let launch = launch.numbers(U32, &wanted).room(tokens * TAKEN * 4).words([0]);
    let [safe, state] = launch.results(groups, (TAKEN, 1, 1), [2, 3]);
    let expected: Vec<f64> =
        wanted.iter().map(|&id| if id < EXPERTS as f64 { id } else { 0.0 }).collect();
    near("deepseek_moe_sanitize_indices", &U32.decode(&safe), &expected, 0.0);
    near("deepseek_moe_sanitize_indices", &U32.decode(&state), &[1.0], 0.0);
}

const HEADS: usize = 64;
const WIDTH: usize = 512;

/// The scores of the keys that a query of a head attends to, and its result with the head's own score for nothing.
fn chosen_attention(
    query: &[f64],
    keys: &[f64],
    chosen: &[i32],
    sink: f64,
    scale: f64,
) -> (Vec<f64>, Vec<f64>) {
    let count = (keys.len() / WIDTH) as i32;
    let key = |at: i32| &keys[at as usize * WIDTH..][..WIDTH];
    let scores: Vec<f64> = chosen
        .iter()
        .map(|&at| match at {
            -1 => f64::NEG_INFINITY,
            at if at < 0 || at >= count => f64::NAN,
            at => dot(query, key(at)) * scale,
        })
        .collect();
    if scores.iter().any(|score| score.is_nan()) {
        return (scores, vec![0.0; WIDTH]);
    }
    let most = scores.iter().copied().fold(sink, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum = weights.iter().sum::<f64>() + (sink - most).exp();
    let part = |feature: usize| -> f64 {
        let each = weights.iter().zip(chosen).filter(|(_, at)| **at >= 0);
        each.map(|(weight, &at)| weight * key(at)[feature]).sum::<f64>() / sum
    };
    let result = (0..WIDTH).map(part).collect();
    (scores, result)
}

#[test]
fn attention_to_chosen_keys() {
    let kernels = open("deepseek_sparse_attention.metal");
    let (batch, queries, keys, count) = (2, 1, 50, 40);
    let rows = batch * queries;
    let scale = 1.0 / 64.0;
    let numbers = [batch, queries, keys, count, HEADS, WIDTH].map(|number| number as u32);
    let own = Struct::new().u32(numbers).f32([scale as f32]).bytes();
    let mut q = BF16.some(1, rows * HEADS * WIDTH);
    let kv = BF16.some(2, batch * keys * WIDTH);
    let mut sinks = F32.some(3, HEADS);
    let mut chosen: Vec<i32> = (0..rows * count).map(|at| (at * 17 % keys) as i32).collect();
    (chosen[3], chosen[39]) = (-1, -1);
    let indices =
        |chosen: &[i32]| chosen.iter().flat_map(|at| at.to_le_bytes()).collect::<Vec<u8>>();
    let result = |q: &[f64], chosen: &[i32], at: usize| {
        let row = at / HEADS;
        let own = &kv[row / queries * keys * WIDTH..][..keys * WIDTH];
        let choice = &chosen[row * count..][..count];
        chosen_attention(&q[at * WIDTH..][..WIDTH], own, choice, sinks[at % HEADS], scale)
    };
    let all: Vec<(Vec<f64>, Vec<f64>)> =
        (0..rows * HEADS).map(|at| result(&q, &chosen, at)).collect();
    let scores: Vec<f64> = all.iter().flat_map(|one| one.0.clone()).collect();
    let results: Vec<f64> = all.iter().flat_map(|one| one.1.clone()).collect();

    let what = "deepseek_sparse_attention_score_bf16";
    let launch = kernels.launch(what).bytes(&own).numbers(BF16, &q).numbers(BF16, &kv);
    let launch = launch.bytes(&indices(&chosen)).room(rows * HEADS * count * 4);
    let out = launch.groups((rows * HEADS * 2, 1, 1), (256, 1, 1), 4);
    near(what, &F32.decode(&out), &scores, 1e-4);

    let what = "deepseek_sparse_attention_reduce_bf16";
    let launch = kernels.launch(what).bytes(&own).numbers(BF16, &kv).numbers(F32, &sinks);
    let launch = launch.bytes(&indices(&chosen)).numbers(F32, &scores);
    let launch = launch.room(rows * HEADS * WIDTH * 2);
    let out = launch.groups((rows * HEADS, 1, 1), (256, 1, 1), 5);
    near(what, &BF16.decode(&out), &results, 1e-4 + BF16.epsilon() / 2.0);

    // A key that there is not, and one that has no number.
    chosen[count + 5] = keys as i32;
    let mut broken = kv.clone();
    broken[chosen[7] as usize * WIDTH + 9] = f64::INFINITY;
    let what = "deepseek_sparse_attention_gather_bf16";
    let launch = kernels.launch(what).bytes(&own).numbers(BF16, &broken);
    let launch = launch.bytes(&indices(&chosen)).room(rows * count * WIDTH * 2);
    let launch = launch.room(rows * count * 2).bytes(&[0; 8]);
    let [gathered, mask, states] =
        launch.results((rows * count * WIDTH / 256, 1, 1), (256, 1, 1), [3, 4, 5]);
    let value = |at: usize| {
        let (row, key) = (at / WIDTH / count, chosen[at / WIDTH]);
        match (0..keys as i32).contains(&key) {
            true => broken[(row / queries * keys + key as usize) * WIDTH + at % WIDTH],
            false => 0.0,
        }
    };
    let wanted: Vec<f64> =
        (0..rows * count * WIDTH).map(value).map(|x| if x.is_finite() { x } else { 0.0 }).collect();
    near(what, &BF16.decode(&gathered), &wanted, 0.0);
    let hidden: Vec<f64> =
        chosen.iter().map(|&at| if at == -1 { f64::NEG_INFINITY } else { 0.0 }).collect();
    near(what, &BF16.decode(&mask), &hidden, 0.0);
    near(what, &U32.decode(&states), &[1.0, 1.0], 0.0);

    // A query and a head without a number.
    q[5 * WIDTH + 300] = f64::NAN;
    sinks[9] = f64::INFINITY;
    let what = "deepseek_sparse_attention_validate_q_bf16";
    let launch = kernels.launch(what).bytes(&own).numbers(BF16, &q).numbers(F32, &sinks);
    let launch = launch.bytes(&vec![0; rows * HEADS * 4]);
    let heads = launch.groups((rows * HEADS, 1, 1), (256, 1, 1), 3);
    let bad: Vec<f64> = (0..rows * HEADS).map(|at| f64::from(at == 5 || at % HEADS == 9)).collect();
    near(what, &U32.decode(&heads), &bad, 0.0);

    let what = "deepseek_sparse_attention_sanitize_bf16";
    let launch = kernels.launch(what).bytes(&own).words([0, 1]).bytes(&heads);
    let launch = launch.numbers(BF16, &q);
    let out = launch.groups((rows * HEADS * WIDTH / 256, 1, 1), (256, 1, 1), 3);
    let safe = |at: usize| {
        let head = at / WIDTH;
        if head >= HEADS || bad[head] != 0.0 || !q[at].is_finite() { 0.0 } else { q[at] }
    };
    let safe: Vec<f64> = (0..q.len()).map(safe).collect();
    near(what, &BF16.decode(&out), &safe, 0.0);
}

/// The parameters of the kernels that choose keys.
fn choice(queries: usize, keys: usize, start: usize) -> Vec<u8> {
    let numbers = [1, queries, keys, start, 4, 64, 128, 512].map(|number| number as u32);
    Struct::new().u32(numbers).i32([7]).bytes()
}

/// How many keys a query sees.
fn visible(query: usize, keys: usize, start: usize) -> usize {
    keys.min((start + query + 1) / 4)
}

#[test]
fn scores_of_keys() {
    let kernels = open("deepseek_indexer.metal");
    let (queries, keys, start, length) = (11, 150, 500, 128);
    let q = BF16.some(1, queries * HEADS * length);
    let kv = BF16.some(2, keys * length);
    let weights = F32.some(3, queries * HEADS);
    let sum = |query: usize, key: usize| -> f64 {
        let each = (0..HEADS).map(|head| {
            let at = query * HEADS + head;
            let product = dot(&q[at * length..][..length], &kv[key * length..][..length]);
            product.max(0.0) * weights[at]
        });
        each.sum()
    };
    let expected = |at: usize| {
        let (query, key) = (at / keys, at % keys);
        match key < visible(query, keys, start) {
            true => sum(query, key),
            false => f64::NEG_INFINITY,
        }
    };
    let expected: Vec<f64> = (0..queries * keys).map(expected).collect();
    for what in ["deepseek_indexer_score_bf16", "deepseek_indexer_score_mma_bf16"] {
        let launch = kernels.launch(what).bytes(&choice(queries, keys, start));
        let launch = launch.numbers(BF16, &q).numbers(BF16, &kv).numbers(F32, &weights);
        let launch = launch.room(queries * keys * 4);
        let out = launch.groups((keys.div_ceil(64), queries.div_ceil(8), 1), (256, 1, 1), 4);
        // Sums of 64 products of up to 500, of both signs.
        let found: Vec<f64> = F32.decode(&out).iter().map(|x| x / 1000.0).collect();
        let wanted: Vec<f64> = expected.iter().map(|x| x / 1000.0).collect();
        near(what, &found, &wanted, 1e-5);
    }
}

#[test]
fn best_keys() {
    const BEST: usize = 512;
    let kernels = open("deepseek_indexer.metal");
    let (queries, keys, start, threads) = (2, 2500, 9000, 1024);
    let scores = F32.some(1, queries * keys);
    let own = choice(queries, keys, start);
    let blocks = keys.div_ceil(threads);
    let stride = blocks * BEST;
    let plan = |lists: usize| [threads, blocks, lists, stride];
    // The best of some keys, in order; none where there are fewer.
    let best = |query: usize, from: std::ops::Range<usize>| {
        let row = &scores[query * keys..][..keys];
        let end = from.end.min(visible(query, keys, start));
        let part = &row[from.start.min(end)..end];
        let order = largest(part, BEST).into_iter().map(|at| (at + from.start) as f64);
        let mut order: Vec<f64> = order.collect();
        order.resize(BEST, NONE);
        order
    };

    let what = "deepseek_indexer_topk_block_i32";
    let launch = kernels.launch(what).bytes(&own).words(plan(blocks)).numbers(F32, &scores);
    let launch = launch.room(queries * stride * 4).memory(0, threads * 4);
    let mut lists = launch.groups((queries * blocks, 1, 1), (threads, 1, 1), 3);
    let expected: Vec<f64> = (0..queries * blocks)
        .flat_map(|at| {
            let block = at % blocks * threads;
            best(at / blocks, block..block + threads)
        })
        .collect();
    near(what, &U32.decode(&lists), &expected, 0.0);

    let what = "deepseek_indexer_topk_merge_i32";
    let (mut count, mut width) = (blocks, threads);
    while count > 1 {
        let merged = count.div_ceil(2);
        let launch = kernels.launch(what).bytes(&own).words(plan(count)).numbers(F32, &scores);
        let launch = launch.bytes(&lists).room(queries * stride * 4);
        lists = launch.groups((queries * merged, 1, 1), (256, 1, 1), 4);
        (count, width) = (merged, width * 2);
        let found = U32.decode(&lists);
        for at in 0..queries * merged {
            let (query, block) = (at / merged, at % merged);
            let list = &found[query * stride + block * BEST..][..BEST];
            near(what, list, &best(query, block * width..(block + 1) * width), 0.0);
        }
    }

    let what = "deepseek_indexer_topk_finalize_i32";
    let (row, column) = (BEST + 9, 5);
    let launch = kernels.launch(what).bytes(&own).words(plan(1)).words([row, column]);
    let launch = launch.bytes(&lists).room(queries * row * 4);
    let out = U32.decode(&launch.groups((2, queries, 1), (256, 1, 1), 4));
    for query in 0..queries {
        let expected: Vec<f64> = best(query, 0..keys).iter().map(|at| at + 7.0).collect();
        near(what, &out[query * row + column..][..BEST], &expected, 0.0);
    }
}

/// The weighted mean of rows: for each feature the weights are the softmax of its scores.
fn pooled(rows: &[(&[f64], Vec<f64>)]) -> Vec<f64> {
    let mean = |feature: usize| {
        let scores: Vec<f64> = rows.iter().map(|(_, scores)| scores[feature]).collect();
        let weights = softmax(&scores);
        weights.iter().zip(rows).map(|(weight, (values, _))| weight * values[feature]).sum()
    };
    (0..rows[0].0.len()).map(mean).collect()
}

#[test]
fn compressed_keys() {
    let kernels = open("deepseek_compressor.metal");
    let what = "deepseek_compressor_bf16";
    // From the first token on, and after others, whose last rows are a state; with a ratio of 4, blocks overlap.
    for (ratio, start, tokens) in [(4, 0, 11), (4, 8, 9), (8, 0, 17), (8, 16, 16)] {
        let (width, slots) = (300usize, 12usize);
        let halves = if ratio == 4 { 2 } else { 1 };
        let projected = halves * width;
        let (values, scores) = (F32.some(1, tokens * projected), F32.some(2, tokens * projected));
        let (places, norm) = (F32.some(3, ratio * projected), F32.some(4, width));
        let state = halves * ratio * projected;
        let (old_values, old_scores) = (F32.some(5, state), F32.some(6, state));
        let blocks = tokens / ratio;
        let own = [1, tokens, start, ratio, width, slots].map(|number| number as u32);
        let own = Struct::new().u32(own).f32([1e-6]).u32([1]).bytes();
        let launch = kernels.launch(what).bytes(&own).numbers(F32, &values).numbers(F32, &scores);
        let launch = launch.numbers(F32, &places).numbers(F32, &norm);
        let launch = launch.numbers(F32, &old_values).numbers(F32, &old_scores);
        let launch = launch.room(blocks * width * 2).room(slots * width * 2);
        let all = launch.results((blocks, 1, 1), (256, 1, 1), [5, 6, 7, 8]);
        let half = |row: usize, second: bool| {
            let first = row * projected + if second { width } else { 0 };
            let place = first % (ratio * projected);
            let scores = scores[first..first + width].iter().zip(&places[place..place + width]);
            (&values[first..first + width], scores.map(|(x, y)| x + y).collect::<Vec<f64>>())
        };
        let mut expected = Vec::new();
        for block in 0..blocks {
            let mut rows = Vec::new();
            for token in (0..ratio).filter(|_| halves == 2) {
                match block {
                    0 if start == 0 => {}
                    0 => {
                        let old = token * projected..token * projected + width;
                        rows.push((&old_values[old.clone()], old_scores[old].to_vec()));
                    }
                    _ => rows.push(half((block - 1) * ratio + token, false)),
                }
            }
            rows.extend((0..ratio).map(|token| half(block * ratio + token, halves == 2)));
            let row: Vec<f64> = pooled(&rows).iter().map(|&x| BF16.rounded(x)).collect();
            expected.extend(rms_norm(&row, &norm, 1e-6));
        }
        let step = 1e-5 + BF16.epsilon();
        near(what, &BF16.decode(&all[2]), &expected, step);
        let cached = &BF16.decode(&all[3])[start / ratio * width..][..blocks * width];
        near(what, cached, &expected, step);
        // The state has the last block's rows, then those that begin the next one.
        let (values_now, scores_now) = (F32.decode(&all[0]), F32.decode(&all[1]));
        for row in 0..halves * ratio {
            let (token, part) = (row % ratio, blocks * ratio + row % ratio);
            let from = match halves == 2 && row < ratio {
                true => (blocks - 1) * ratio + token,
                false if part < tokens => part,
                false => continue,
            };
            for second in (0..halves).map(|half| half == 1) {
                let (wanted, sums) = half(from, second);
                let to = row * projected + if second { width } else { 0 };
                near(what, &values_now[to..to + width], wanted, 0.0);
                near(what, &scores_now[to..to + width], &sums, 1e-6);
            }
        }
    }
}
