//! MLX's gated delta nets: the recurrence token by token, and by chunks of tokens.
//!
//! Sums of 128 terms of about unit length in `float`, for seven tokens: one part in 10⁴, and the result's rounding.

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
