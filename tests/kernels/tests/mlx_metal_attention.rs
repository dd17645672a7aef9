//! MLX's attention of many queries by tiles: plain, and for Metal 4's tensors; with a mask, causal, of whole tiles and parts. Attention
//! of a few queries in two steps: parts of the keys, then what they yield together.

use kernels::elements::{Element, Value};
use kernels::mlx_metal::sampled;
use kernels::numbers::{Number, near};
use kernels::operands::rounded;
use kernels::references;
use kernels::steel::Attention;

#[test]
fn by_tiles() {
    // Of 52.
    assert_eq!(attention("steel_attention"), 48, "kernels");
}

#[test]
fn for_tensors() {
    assert_eq!(attention("steel_attention_nax"), 54, "kernels");
}

/// Runs all kernels of a family; returns how many.
fn attention(family: &str) -> usize {
    let (kernels, instances) = sampled(family, |one| one.name.clone());
    let mut ran = 0;
    for (at, instance) in instances.iter().enumerate() {
        let kernel = &instance.name;
        let arguments = instance.arguments();
        let size = |at: usize| -> usize {
            arguments[at].parse().unwrap_or_else(|_| panic!("{kernel}: argument {at}"))
        };
        let number = match arguments[0] {
            "float" => Number::F32,
            "half" => Number::F16,
            _ => Number::BF16,
        };
        // Heads that are split among SIMD-groups have one size.
        let split = instance.template() == "attention_nax_dsplit";
        let side = size(3);
        if instance.template() == "attention" && number == Number::F32 && side >= 192 {
            // Their tiles take 40,448 bytes of threadgroup memory and more, which no GPU has.
            continue;
        }
        let attention = Attention {
            kernel,
            number,
            mask_of_bits: arguments[arguments.len() - 2] == "bool",
            hides_only: false,
            heads: (2, 1),
            tile: (size(1), size(2)),
            side,
            width: if split { side } else { size(4) },
            groups: if split { (size(4), size(5)) } else { (size(5), size(6)) },
            memory: 0,
            scales: &[],
            unset: &[302, 303],
        };
        attention.check(&kernels, at);
        ran += 1;
    }
    ran
}

#[test]
fn in_two_steps() {
    let (kernels, instances) = sampled("sdpa_vector", |one| one.name.clone());
    const HEADS: usize = 4;
    const SHARED: usize = 2;
    const QUERIES: usize = 3;
    const KEYS: usize = 150;
    const PARTS: usize = 64;
    const ROWS: usize = HEADS * QUERIES;
    let (mut first, mut second) = (0, 0);
    for (at, instance) in instances.iter().enumerate() {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let size = |at: usize| -> usize {
            arguments[at].parse().unwrap_or_else(|_| panic!("{}: argument {at}", instance.name))
        };
        let tolerance = 1e-4 + 4.0 * element.epsilon();
        let float = Number::F32;
        match instance.template() {
            "sdpa_vector_2pass_1" => {
                let (side, width) = (size(1), size(2));
                let causal = at % 2 == 1;
                let queries = element.some(1, ROWS * side);
                let keys = element.some(2, HEADS / SHARED * KEYS * side);
                let values = element.some(3, HEADS / SHARED * KEYS * width);
                let scale = 1.0 / (side as f64).sqrt();
                let mut launch = kernels.launch(&instance.name);
                for constant in [20, 21, 23, 24, 25] {
                    launch = launch.constant(constant, false);
                }
                let launch = launch.constant(22, causal).constant(26, PARTS as i32);
                let launch = launch.bytes(&element.encode(&queries)).bytes(&element.encode(&keys));
                let launch = launch.bytes(&element.encode(&values));
                let launch = launch.room(ROWS * PARTS * width * element.size());
                let launch = launch.room(ROWS * PARTS * 4).room(ROWS * PARTS * 4).at(7);
                let launch = launch.words([KEYS]).longs([KEYS * side]).longs([side]);
                let launch = launch.longs([KEYS * width]).longs([width]).floats([scale as f32]);
                let groups = (HEADS / SHARED, 1, PARTS);
                let [out, sums, most] = launch.results(groups, (32, SHARED, QUERIES), [3, 4, 5]);
                let out: Vec<f64> = element.decode(&out).iter().map(|x| x.real()).collect();
                let (sums, most) = (float.decode(&sums), float.decode(&most));
                let mut expected = Vec::new();
                for row in 0..ROWS {
                    let (head, query) = (row / QUERIES / SHARED, row % QUERIES);
                    let reals = |all: &[Value], start: usize, count: usize| -> Vec<f64> {
                        all[start..start + count].iter().map(|x| x.real()).collect()
                    };
                    let last = if causal { KEYS - QUERIES + query } else { KEYS };
                    let mask = |key: usize| if key > last { f64::NEG_INFINITY } else { 0.0 };
                    let key = reals(&keys, head * KEYS * side, KEYS * side);
                    let value = reals(&values, head * KEYS * width, KEYS * width);
                    let query = reals(&queries, row * side, side);
                    expected.extend(references::attention(&query, &key, &value, scale, mask));
                }
                let found = combined(&out, &sums, &most, PARTS);
                near(&instance.name, &found, &expected, tolerance);
                first += 1;
            }
            "sdpa_vector_2pass_2" => {
                let width = size(1);
                let out: Vec<Value> = element.some(1, ROWS * PARTS * width);
                let sums: Vec<f64> = float.some(2, ROWS * PARTS).iter().map(|x| x.abs()).collect();
                let most = float.some(3, ROWS * PARTS);
                let launch = kernels.launch(&instance.name).bytes(&element.encode(&out));
                let launch = launch.numbers(float, &sums).numbers(float, &most);
                let launch = launch.room(ROWS * width * element.size()).words([PARTS]);
                let found = launch.groups((HEADS, QUERIES, 1), (1024, 1, 1), 3);
                let out: Vec<f64> = out.iter().map(|x| x.real()).collect();
                let expected = rounded(element, combined(&out, &sums, &most, PARTS));
                element.check(&instance.name, &found, &expected, tolerance);
                second += 1;
            }
            _ => {}
        }
    }
    assert!(first >= 18 && second >= 9, "{first} first steps and {second} second steps ran");
}

/// The results of parts of the keys together: each part's has a sum of powers, and the score that they are relative to.
fn combined(out: &[f64], sums: &[f64], most: &[f64], parts: usize) -> Vec<f64> {
    let rows = sums.len() / parts;
    let width = out.len() / sums.len();
    let row = |row: usize| {
        let all = row * parts..(row + 1) * parts;
        let top = most[all.clone()].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let factor = move |at: usize| (most[at] - top).exp();
        let total: f64 = all.clone().map(|at| factor(at) * sums[at]).sum();
        (0..width).map(move |part| {
            all.clone().map(|at| factor(at) * out[at * width + part]).sum::<f64>() / total
        })
    };
    (0..rows).flat_map(row).collect()
}
