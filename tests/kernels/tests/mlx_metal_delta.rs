//! MLX's gated delta nets: the recurrence token by token, and by chunks of tokens; its derivatives.
//!
//! Sums of 128 terms of about unit length in `float`: one part in 10⁴, and the result's rounding; derivatives one in 10³.

use kernels::elements::{Element, Value};
use kernels::mlx_metal::sampled;
use kernels::operands::rounded;

#[test]
fn gated_delta_nets() {
    // Plain ones, by token and by chunk, and those for Metal 4's tensors.
    for (family, least) in [("gated_delta", [6, 6, 0]), ("gated_delta_nax", [0, 0, 6])] {
        let ran = nets(family);
        let enough = ran.iter().zip(least).all(|(ran, least)| *ran >= least);
        assert!(enough, "{family}: {ran:?} kernels ran by token, by chunk and by tensors");
    }
}

/// How many kernels ran that go by token, by chunk, and by chunk with tensors.
fn nets(family: &str) -> [usize; 3] {
    // Of each number of heads, with any step.
    let (kernels, instances) =
        sampled(family, |one| format!("{} {}", one.template(), one.arguments()[1..5].join(" ")));
    let mut ran = [0; 3];
    let float = Element::named("float");
    for instance in &instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [keys, values, key_heads, heads, step]: [usize; 5] =
            std::array::from_fn(|at| arguments[at + 1].parse().unwrap_or(0));
        let (tokens, sequences) = (11, 1);
        let places = tokens * sequences;
        let scaled = |seed: u64, count: usize, scale: f64| -> Vec<f64> {
            let all = element.some(seed, count).into_iter();
            all.map(|x| element.converted(Value::Real(x.real() * scale)).real()).collect()
        };
        let encoded = |all: &[f64]| element.encode(&rounded(element, all.iter().copied()));
        // Keys of about unit length; decays and shares from a half to one.
        let unit = 1.0 / (keys as f64).sqrt();
        let q = scaled(1, places * key_heads * keys, unit);
        let k = scaled(2, places * key_heads * keys, unit);
        let v = scaled(3, places * heads * values, 1.0);
        let share = |seed: u64| -> Vec<f64> {
            let all = scaled(seed, places * heads, 0.25).into_iter();
            all.map(|x| element.converted(Value::Real(0.5 + x.abs())).real()).collect()
        };
        let (decay, beta) = (share(4), share(5));
        let before: Vec<f64> =
            float.some(6, sequences * heads * values * keys).iter().map(|x| x.real()).collect();
        let launch = kernels.launch(&instance.name).constant(200, false);
        let launch = launch.bytes(&encoded(&q)).bytes(&encoded(&k)).bytes(&encoded(&v));
        let launch = launch.bytes(&float.encode(&rounded(float, before.iter().copied())));
        let launch = launch.bytes(&encoded(&decay)).bytes(&encoded(&beta));
        let launch = launch.room(v.len() * element.size()).room(before.len() * 4).words([tokens]);
        // The rows of a state that a SIMD-group has.
        let (kind, own) = match instance.template() {
            "gated_delta_fused_chunk" => (1, 8),
            "gated_delta_fused_nax" => (2, 16),
            _ => (0, 1),
        };
        // Buffers for derivatives, which are not requested.
        let launch = if kind == 2 { launch.room(4).room(4).room(4) } else { launch };
        let rows = values / own;
        let [out, state] = launch.grid((32, rows, sequences * heads), (32, 4, 1), [6, 7]);
        ran[kind] += 1;
        assert!(step > 0, "{}", instance.name);

        let mut expected = vec![0.0; v.len()];
        let mut after = before;
        for token in 0..tokens {
            for head in 0..heads {
                let at = token * heads + head;
                let of_keys = (token * key_heads + head / (heads / key_heads)) * keys;
                let (q, k) = (&q[of_keys..][..keys], &k[of_keys..][..keys]);
                for value in 0..values {
                    let row = &mut after[(head * values + value) * keys..][..keys];
                    row.iter_mut().for_each(|x| *x *= decay[at]);
                    let known: f64 = row.iter().zip(k).map(|(x, k)| x * k).sum();
                    let missing = (v[at * values + value] - known) * beta[at];
                    row.iter_mut().zip(k).for_each(|(x, k)| *x += k * missing);
                    expected[at * values + value] = row.iter().zip(q).map(|(x, q)| x * q).sum();
                }
            }
        }
        let tolerance = 1e-4 + 2.0 * element.epsilon();
        element.check(&instance.name, &out, &rounded(element, expected), tolerance);
        // The chunked form solves for the differences of a chunk in `float`, too.
        float.check(&format!("{}: state", instance.name), &state, &rounded(float, after), 2e-4);
    }
    ran
}

/// The products of a matrix's rows with a vector.
fn products(rows: &[f64], by: &[f64]) -> Vec<f64> {
    rows.chunks(by.len()).map(|row| row.iter().zip(by).map(|(x, y)| x * y).sum()).collect()
}

#[test]
fn derivatives_of_gated_delta_nets() {
    let (kernels, instances) = sampled("gated_delta_vjp", |one| one.arguments()[1..5].join(" "));
    let float = Element::named("float");
    let mut ran = 0;
    for instance in instances.iter().filter(|one| one.template() == "gated_delta_vjp_seq") {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [keys, values, key_heads, heads, step]: [usize; 5] =
            std::array::from_fn(|at| arguments[at + 1].parse().unwrap_or(0));
        // States are kept at each step; the last ones are fewer.
        let tokens = step.min(6) + 3;
        let scaled = |seed: u64, count: usize, scale: f64| -> Vec<f64> {
            let all = element.some(seed, count).into_iter();
            all.map(|x| element.converted(Value::Real(x.real() * scale)).real()).collect()
        };
        let encoded = |of: Element, all: &[f64]| of.encode(&rounded(of, all.iter().copied()));
        let unit = 1.0 / (keys as f64).sqrt();
        let q = scaled(1, tokens * key_heads * keys, unit);
        let k = scaled(2, tokens * key_heads * keys, unit);
        let v = scaled(3, tokens * heads * values, 1.0);
        let share = |seed: u64| -> Vec<f64> {
            let all = scaled(seed, tokens * heads, 0.25).into_iter();
            all.map(|x| element.converted(Value::Real(0.5 + x.abs())).real()).collect()
        };
        let (decay, beta) = (share(4), share(5));
        let slopes = scaled(6, tokens * heads * values, 1.0);
        let of_last = scaled(7, heads * values * keys, 0.25);
        let first = scaled(8, heads * values * keys, 0.25);
        let kept = tokens.div_ceil(step);
        let (mut cache, size) = (vec![0.0; heads * kept * values * keys], values * keys);
        let mut found_q = vec![0.0; q.len()];
        let mut found_k = vec![0.0; k.len()];
        let mut found_v = vec![0.0; v.len()];
        let mut shares = [vec![0.0; tokens * heads], vec![0.0; tokens * heads]];
        let mut of_first = Vec::new();
        for head in 0..heads {
            let of_keys = |token: usize| (token * key_heads + head / (heads / key_heads)) * keys;
            let at = |token: usize| token * heads + head;
            // The states before each token, and the differences that tokens add.
            let mut state = first[head * size..][..size].to_vec();
            let (mut before, mut added) = (Vec::new(), Vec::new());
            for token in 0..tokens {
                if token % step == 0 {
                    let to = (head * kept + token / step) * size;
                    cache[to..to + size].copy_from_slice(&state);
                }
                before.push(state.clone());
                let key = &k[of_keys(token)..][..keys];
                state.iter_mut().for_each(|x| *x *= decay[at(token)]);
                let known = products(&state, key);
                let missing: Vec<f64> =
                    (0..values).map(|value| v[at(token) * values + value] - known[value]).collect();
                for (row, missing) in state.chunks_mut(keys).zip(&missing) {
                    row.iter_mut().zip(key).for_each(|(x, k)| *x += beta[at(token)] * missing * k);
                }
                added.push((missing, state.clone()));
            }
            let mut slope = of_last[head * size..][..size].to_vec();
            for token in (0..tokens).rev() {
                let (from, beta, decay) = (of_keys(token), beta[at(token)], decay[at(token)]);
                let (query, key) = (&q[from..][..keys], &k[from..][..keys]);
                let (missing, after) = &added[token];
                for value in 0..values {
                    let of_result = slopes[at(token) * values + value];
                    let row = &mut slope[value * keys..][..keys];
                    row.iter_mut().zip(query).for_each(|(x, q)| *x += of_result * q);
                    let of_added: f64 = row.iter().zip(key).map(|(x, k)| x * k).sum();
                    found_v[at(token) * values + value] = beta * of_added;
                    shares[1][at(token)] += of_added * missing[value];
                    for feature in 0..keys {
                        let old = before[token][value * keys + feature];
                        found_q[from + feature] += of_result * after[value * keys + feature];
                        found_k[from + feature] +=
                            beta * (missing[value] * row[feature] - of_added * decay * old);
                        row[feature] -= beta * of_added * key[feature];
                        shares[0][at(token)] += row[feature] * old;
                        row[feature] *= decay;
                    }
                }
            }
            of_first.extend(slope);
        }
        let launch = kernels.launch(&instance.name);
        let launch = [&q, &k, &v, &decay, &beta, &slopes]
            .into_iter()
            .fold(launch, |launch, all| launch.bytes(&encoded(element, all)));
        let launch = launch.bytes(&encoded(float, &of_last)).bytes(&encoded(float, &cache));
        let launch = launch.words([tokens]);
        let [of_decay, of_beta] = shares;
        let expected = [found_q, found_k, found_v, of_decay, of_beta, of_first];
        let launch =
            expected.iter().fold(launch, |launch, all| launch.bytes(&vec![0; all.len() * 4]));
        let found = launch.grid((32, values, heads), (32, 4, 1), [9, 10, 11, 12, 13, 14]);
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let what = format!("{}: {at}", instance.name);
            float.check(&what, found, &rounded(float, expected), 1e-3);
        }
        ran += 1;
    }
    assert!(ran >= 6, "{ran} kernels ran");
}
