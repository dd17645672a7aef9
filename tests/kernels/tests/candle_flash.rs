//! Flash attention in candle's copy of ggml's kernels, which candle does not launch: of tiles of eight queries, and of one query.
//!
//! Queries are rounded to `half`, and so are the sums, of 160 terms: a few parts in 2⁹.

use Number::{F16, F32};
use kernels::numbers::{Number, near};
use kernels::references::attention;
use kernels::run::Kernels;

const HEADS: usize = 4;
const SHARED: usize = 2;
/// Keys come by tiles of 32.
const KEYS: usize = 160;

#[test]
fn every_length_of_heads() {
    let kernels = Kernels::open("candle-metal-kernels", "quantized.metal");
    let names = kernels.names().into_iter().filter(|name| name.contains("flash_attn"));
    let mut ran = 0;
    for name in names {
        let (kind, length) = name.rsplit_once("_h").unwrap();
        let length: usize = length.parse().unwrap();
        // That of one query aligns its memory for one SIMD-group only.
        let one = kind.contains("_vec_");
        let (rows, simdgroups) = if one { (1, 1) } else { (8, 4) };
        for (queries, masked, bias) in [(1, false, 0.0), (11, true, 0.0), (11, true, 8.0)] {
            let q = F32.some(1, HEADS * queries * length);
            let keys = F16.some(2, HEADS / SHARED * KEYS * length);
            let values = F16.some(3, keys.len());
            // A whole tile of queries has a mask.
            let mask = F16.some(4, queries.next_multiple_of(8) * KEYS);
            let scale = 1.0 / (length as f64).sqrt();
            let launch = kernels.launch(&name).numbers(F32, &q).numbers(F16, &keys);
            let launch = launch.numbers(F16, &values);
            let launch = if masked { launch.numbers(F16, &mask) } else { launch.again(0) };
            let launch = launch.room(q.len() * 4);
            let wide = queries * length * 4;
            let narrow = KEYS * length * 2;
            let numbers = [queries, HEADS, 1, length * 4, wide, HEADS * wide, KEYS, HEADS / SHARED]
                .into_iter()
                .chain([1, length * 2, narrow, narrow * HEADS / SHARED])
                .chain([length * 2, narrow, narrow * HEADS / SHARED, KEYS * 2, HEADS, queries]);
            let launch = numbers.fold(launch, |launch, number| launch.longs([number]));
            let base = 2f32.powf(-bias / HEADS as f32);
            let launch = launch.floats([scale as f32]).floats([bias]).floats([base]);
            let launch = launch.floats([base]).words([HEADS]).floats([0.0]);
            let launch = launch.memory(0, 16 * 1024);
            let groups = (queries.div_ceil(rows), HEADS, 1);
            let found = launch.groups(groups, (32, simdgroups, 1), 4);
            let result = |at: usize| {
                let (query, head) = (at / HEADS, at % HEADS);
                let row = &q[(head * queries + query) * length..][..length];
                let row: Vec<f64> = row.iter().map(|&x| F16.rounded(x)).collect();
                let part = head / SHARED * KEYS * length..(head / SHARED + 1) * KEYS * length;
                let slope = if bias > 0.0 { f64::from(base).powi(head as i32 + 1) } else { 1.0 };
                let added = |key: usize| match masked {
                    true => slope * mask[query * KEYS + key],
                    false => 0.0,
                };
                attention(&row, &keys[part.clone()], &values[part], scale, added)
            };
            let expected: Vec<f64> = (0..queries * HEADS).flat_map(result).collect();
            near(&name, &F32.decode(&found), &expected, 8e-3);
        }
        ran += 1;
    }
    assert_eq!(ran, 6, "kernels");
}
