//! MLX's attention of many queries by tiles: plain, and for Metal 4's tensors; with a mask, causal, of whole tiles and parts.
//!
//! Scores are products of matrices, sums in `float`; probabilities and values are rounded to the type: a few of its steps.

use kernels::mlx_metal::sampled;
use kernels::numbers::{Number, near, noise};
use kernels::structs::Struct;

/// Batches, heads of the queries, heads of keys and values.
const BATCHES: usize = 2;
const HEADS: usize = 2;
const GROUPS: usize = 1;

/// The keys that a query may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    All,
    Masked,
    Back,
}

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
        let (bq, bk, side) = (size(1), size(2), size(3));
        let width = if split { side } else { size(4) };
        let threads = if split { (size(4), size(5)) } else { (size(5), size(6)) };
        if instance.template() == "attention" && number == Number::F32 && side >= 192 {
            // Their tiles take 40,448 bytes of threadgroup memory and more, which no GPU has.
            continue;
        }
        let by_bits = arguments[arguments.len() - 2] == "bool";
        let shapes = [(bq, bk, Sight::All), (37, 53, Sight::Masked), (19, 70, Sight::Back)];
        let sights = [Sight::Masked, Sight::Back, Sight::All];
        for (k, (queries, keys, sight)) in shapes.into_iter().enumerate() {
            let sight = if k == 0 { sights[at % 3] } else { sight };
            let keys = if sight == Sight::Back { keys.max(queries) } else { keys };
            let query = number.some(1, BATCHES * HEADS * queries * side);
            let key = number.some(2, BATCHES * GROUPS * keys * side);
            let value = number.some(3, BATCHES * GROUPS * keys * width);
            // Each query sees the first key, and some others.
            let mask: Vec<f64> = noise(4)
                .take(BATCHES * HEADS * queries * keys)
                .enumerate()
                .map(|(at, bits)| match (at % keys, bits % 3, by_bits) {
                    (1.., 0, _) => f64::NEG_INFINITY,
                    (.., true) => 0.0,
                    (_, bits, false) => -(bits as f64) / 2.0,
                })
                .collect();
            let mask_bytes = match by_bits {
                true => mask.iter().map(|&seen| u8::from(seen == 0.0)).collect(),
                false => number.encode(&mask),
            };
            let scale = 1.0 / (side as f64).sqrt();
            let steps = |heads: usize, rows: usize, side: usize| {
                [heads * rows * side, rows * side, side].map(|step| step as u64)
            };
            let sizes = [BATCHES, HEADS, side, queries, keys, HEADS / GROUPS];
            let tiles = [queries.div_ceil(bq), keys.div_ceil(bk), queries / bq, keys / bk];
            let rests = [queries % bq, keys % bk].map(|rest| rest as i32);
            let parameters = Struct::new().i32(sizes.map(|size| size as i32)).f32([scale as f32]);
            let parameters = parameters.i32(tiles.map(|tiles| tiles as i32)).i32(rests);
            let parameters = parameters.i32([keys as i32 - queries as i32]);
            let parameters =
                parameters.u64(steps(HEADS, queries, side)).u64(steps(GROUPS, keys, side));
            let parameters =
                parameters.u64(steps(GROUPS, keys, width)).u64(steps(HEADS, queries, width));
            let mask_steps = steps(HEADS, queries, keys);
            let launch = kernels.launch(kernel).constant(200, queries.is_multiple_of(bq));
            let launch = launch.constant(201, keys.is_multiple_of(bk));
            let launch = launch.constant(300, sight == Sight::Masked);
            let launch = launch.constant(301, sight == Sight::Back);
            let launch = launch.constant(302, false).constant(303, false);
            // Looking back, the last tile of queries reads tiles past the last key, masked: the memory has to exist.
            let padded = |values: &[f64], side: usize| [values, &vec![0.0; 64 * side]].concat();
            let launch = launch.numbers(number, &query).numbers(number, &padded(&key, side));
            let launch = launch.numbers(number, &padded(&value, width));
            let results = BATCHES * HEADS * queries * width;
            let launch = launch.room(results * number.size()).bytes(&parameters.bytes());
            let launch = launch.bytes(&Struct::new().u64(mask_steps).bytes()).bytes(&mask_bytes);
            let groups = (tiles[0], HEADS, BATCHES);
            let out = launch.groups(groups, (32, threads.0, threads.1), 3);

            let mut expected = Vec::new();
            for row in 0..BATCHES * HEADS * queries {
                let (head, place) = (row / queries, row % queries);
                let group = head / HEADS * GROUPS + head % HEADS / (HEADS / GROUPS);
                let score = |at: usize| {
                    let stored = &key[(group * keys + at) * side..][..side];
                    let dot: f64 =
                        query[row * side..][..side].iter().zip(stored).map(|(a, b)| a * b).sum();
                    let seen = match sight {
                        Sight::All => 0.0,
                        Sight::Masked => mask[row * keys + at],
                        Sight::Back if at > place + keys - queries => f64::NEG_INFINITY,
                        Sight::Back => 0.0,
                    };
                    dot * scale + seen
                };
                let scores: Vec<f64> = (0..keys).map(score).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let parts: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let whole: f64 = parts.iter().sum();
                expected.extend((0..width).map(|k| {
                    let of = |at: usize| value[(group * keys + at) * width + k];
                    parts.iter().enumerate().map(|(at, part)| part * of(at)).sum::<f64>() / whole
                }));
            }
            let what = format!("{kernel}, {queries} queries, {keys} keys, {sight:?}");
            near(&what, &number.decode(&out), &expected, 1e-4 + 4.0 * number.epsilon());
        }
        ran += 1;
    }
    ran
}
