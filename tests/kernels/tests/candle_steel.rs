//! candle's attention of many queries by tiles, all kernels that fit a GPU: plain, with a mask, and causal.
//!
//! Scores are products of matrices, sums in `float`; probabilities and values are rounded to the type: a few of its steps.

use kernels::numbers::{Number, near, noise};
use kernels::run::Kernels;
use kernels::structs::Struct;

const TYPES: [(&str, Number); 3] =
    [("float32", Number::F32), ("bfloat16", Number::BF16), ("float16", Number::F16)];

/// Batches, heads of the queries, heads of keys and values.
const BATCHES: usize = 2;
const HEADS: usize = 4;
const GROUPS: usize = 2;

/// The keys that a query may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    All,
    Masked,
    Back,
}

#[test]
fn many_queries() {
    let kernels = Kernels::open("candle-metal-kernels", "scaled_dot_product_attention.metal");
    let names = kernels.names();
    let steel =
        names.iter().filter_map(|name| Some((name, name.strip_prefix("steel_attention_")?)));
    let mut ran = 0;
    for (at, (kernel, rest)) in steel.enumerate() {
        let part = |name: &str| -> usize {
            let found = rest.split('_').find_map(|part| part.strip_prefix(name)?.parse().ok());
            found.unwrap_or_else(|| panic!("{kernel} has no {name}"))
        };
        let ty = TYPES.iter().find(|(name, _)| rest.starts_with(&format!("{name}_")));
        let number = ty.unwrap_or_else(|| panic!("{kernel} has no type")).1;
        let by_bits = rest.contains("_maskbool");
        let (bq, bk, side) = (part("bq"), part("bk"), part("bd"));
        if number == Number::F32 && side == 256 {
            // Their tiles take 53,760 bytes of threadgroup memory, more than any GPU has.
            continue;
        }
        // Whole tiles, parts of one, and more keys than queries.
        let shapes = [(bq, bk, Sight::All), (37, 53, Sight::Masked), (19, 70, Sight::Back)];
        let sights = [Sight::Masked, Sight::Back, Sight::All];
        for (k, (queries, keys, sight)) in shapes.into_iter().enumerate() {
            let sight = if k == 0 { sights[at % 3] } else { sight };
            let keys = if sight == Sight::Back { keys.max(queries) } else { keys };
            let query = number.some(1, BATCHES * HEADS * queries * side);
            let key = number.some(2, BATCHES * GROUPS * keys * side);
            let value = number.some(3, BATCHES * GROUPS * keys * side);
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
            let ints =
                |values: &[usize]| -> Vec<i32> { values.iter().map(|&v| v as i32).collect() };
            let int = |values: [usize; 6]| ints(&values).try_into().unwrap_or([0; 6]);
            let steps = |heads: usize, rows: usize| {
                [heads * rows * side, rows * side, side].map(|step| step as u64)
            };
            let sizes = int([BATCHES, HEADS, side, queries, keys, HEADS / GROUPS]);
            let tiles = [queries.div_ceil(bq), keys.div_ceil(bk), queries / bq, keys / bk];
            let rests = [queries % bq, keys % bk].map(|rest| rest as i32);
            let parameters = Struct::new().i32(sizes).f32([scale as f32, 1.0]);
            let parameters = parameters.i32(tiles.map(|tiles| tiles as i32)).i32(rests);
            let parameters = parameters.i32([keys as i32 - queries as i32]);
            let parameters = parameters.u64(steps(HEADS, queries)).u64(steps(GROUPS, keys));
            let parameters = parameters.u64(steps(GROUPS, keys)).u64(steps(HEADS, queries));
            let mask_steps = [HEADS * queries * keys, queries * keys, keys].map(|step| step as u64);
            let launch = kernels.launch(kernel).constant(200, queries.is_multiple_of(bq));
            let launch = launch.constant(201, keys.is_multiple_of(bk));
            let launch = launch.constant(300, sight == Sight::Masked);
            let launch = launch.constant(301, sight == Sight::Back);
            // Looking back, the last tile of queries reads tiles past the last key, masked: the memory has to exist.
            let padded = |values: &[f64]| [values, &vec![0.0; 64 * side]].concat();
            let launch = launch.numbers(number, &query).numbers(number, &padded(&key));
            let launch = launch.numbers(number, &padded(&value)).room(query.len() * number.size());
            let launch = launch.bytes(&parameters.bytes());
            let launch = launch.bytes(&Struct::new().u64(mask_steps).bytes()).bytes(&mask_bytes);
            let groups = (tiles[0], HEADS, BATCHES);
            let out = launch.groups(groups, (32, part("wm"), part("wn")), 3);

            let mut expected = Vec::new();
            for row in 0..BATCHES * HEADS * queries {
                let (head, place) = (row / queries, row % queries);
                let group = head / HEADS * GROUPS + head % HEADS / (HEADS / GROUPS);
                let score = |at: usize| {
                    let stored = &key[(group * keys + at) * side..][..side];
                    let dot: f64 =
                        query[row * side..][..side].iter().zip(stored).map(|(a, b)| a * b).sum();
                    dot * scale
                        + match sight {
                            Sight::All => 0.0,
                            Sight::Masked => mask[row * keys + at],
                            Sight::Back if at > place + keys - queries => f64::NEG_INFINITY,
                            Sight::Back => 0.0,
                        }
                };
                let scores: Vec<f64> = (0..keys).map(score).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let parts: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let whole: f64 = parts.iter().sum();
                expected.extend((0..side).map(|k| {
                    let of = |at: usize| value[(group * keys + at) * side + k];
                    parts.iter().enumerate().map(|(at, part)| part * of(at)).sum::<f64>() / whole
                }));
            }
            let what = format!("{kernel}, {queries} queries, {keys} keys, {sight:?}");
            near(&what, &number.decode(&out), &expected, 1e-4 + 4.0 * number.epsilon());
        }
        ran += 1;
    }
    assert_eq!(ran, 44, "kernels for many queries");
}
