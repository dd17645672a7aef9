//! Attention of many queries by tiles, as the kernels of MLX and of candle's copy take it: data, masks, arguments, and what results.
//!
//! Scores are products of matrices, sums in `float`; probabilities and values are rounded to the type: a few of its steps.

use crate::numbers::{Number, near, noise};
use crate::references::attention;
use crate::run::Kernels;
use crate::structs::Struct;

/// Batches of all that is run.
const BATCHES: usize = 2;

/// The keys that a query may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    All,
    Masked,
    Back,
}

/// A kernel.
#[derive(Clone, Debug)]
pub struct Attention<'a> {
    /// Its name.
    pub kernel: &'a str,
    /// The type of queries, keys and values.
    pub number: Number,
    /// Whether its mask has a truth value for each key, rather than what is added to the score.
    pub mask_of_bits: bool,
    /// Whether it only hides keys, and adds nothing to the scores of others.
    pub hides_only: bool,
    /// Heads of the queries, and of keys and values.
    pub heads: (usize, usize),
    /// The queries and the keys of a tile.
    pub tile: (usize, usize),
    /// The size of a query and of a key.
    pub side: usize,
    /// The size of a value.
    pub width: usize,
    /// SIMD-groups of a threadgroup.
    pub groups: (usize, usize),
    /// Bytes of threadgroup memory that the kernel does not declare.
    pub memory: usize,
    /// The numbers after the scale in the parameters.
    pub scales: &'a [f32],
    /// Function constants that are false.
    pub unset: &'a [usize],
}

impl Attention<'_> {
    /// Runs it with whole tiles, parts of one, and more keys than queries, and compares the results. `at` chooses what the whole
    /// tiles see.
    ///
    /// # Panics
    /// If a result is wrong.
    pub fn check(&self, kernels: &Kernels, at: usize) {
        let (bq, bk) = self.tile;
        let sight = [Sight::Masked, Sight::Back, Sight::All][at % 3];
        for (queries, keys, sight) in
            [(bq, bk, sight), (37, 53, Sight::Masked), (19, 70, Sight::Back)]
        {
            let keys = if sight == Sight::Back { keys.max(queries) } else { keys };
            self.run(kernels, queries, keys, sight);
        }
    }

    fn run(&self, kernels: &Kernels, queries: usize, keys: usize, sight: Sight) {
        let Self { kernel, number, side, width, .. } = *self;
        let ((heads, groups), (bq, bk)) = (self.heads, self.tile);
        let query = number.some(1, BATCHES * heads * queries * side);
        let key = number.some(2, BATCHES * groups * keys * side);
        let value = number.some(3, BATCHES * groups * keys * width);
        // Each query sees the first key, and some others.
        let hides_only = self.mask_of_bits || self.hides_only;
        let hidden = |(at, bits): (usize, u64)| match (at % keys, bits % 3, hides_only) {
            (1.., 0, _) => f64::NEG_INFINITY,
            (.., true) => 0.0,
            (_, bits, false) => -(bits as f64) / 2.0,
        };
        let count = BATCHES * heads * queries * keys;
        let mask: Vec<f64> = noise(4).take(count).enumerate().map(hidden).collect();
        let mut mask_bytes: Vec<u8> = match self.mask_of_bits {
            true => mask.iter().map(|&seen| u8::from(seen == 0.0)).collect(),
            false => number.encode(&mask),
        };
        // Some kernels read the mask of queries past the last one, which they drop.
        mask_bytes.resize(mask_bytes.len() + bq * keys * number.size(), 0);
        let scale = 1.0 / (side as f64).sqrt();
        let steps = |heads: usize, rows: usize, side: usize| {
            [heads * rows * side, rows * side, side].map(|step| step as u64)
        };
        let sizes = [BATCHES, heads, side, queries, keys, heads / groups];
        let tiles = [queries.div_ceil(bq), keys.div_ceil(bk), queries / bq, keys / bk];
        let rests = [queries % bq, keys % bk].map(|rest| rest as i32);
        let mut parameters = Struct::new().i32(sizes.map(|size| size as i32)).f32([scale as f32]);
        for &scale in self.scales {
            parameters = parameters.f32([scale]);
        }
        let parameters = parameters.i32(tiles.map(|tiles| tiles as i32)).i32(rests);
        let parameters = parameters.i32([keys as i32 - queries as i32]);
        let parameters = parameters.u64(steps(heads, queries, side)).u64(steps(groups, keys, side));
        let parameters =
            parameters.u64(steps(groups, keys, width)).u64(steps(heads, queries, width));
        let mask_steps = Struct::new().u64(steps(heads, queries, keys));
        let mut launch = kernels.launch(kernel).constant(200, queries.is_multiple_of(bq));
        launch = launch.constant(201, keys.is_multiple_of(bk));
        launch = launch.constant(300, sight == Sight::Masked).constant(301, sight == Sight::Back);
        for &constant in self.unset {
            launch = launch.constant(constant, false);
        }
        // Looking back, the last tile of queries reads tiles past the last key, masked: the memory has to exist.
        let padded = |values: &[f64], side: usize| [values, &vec![0.0; 64 * side]].concat();
        if self.memory > 0 {
            launch = launch.memory(0, self.memory);
        }
        let launch = launch.numbers(number, &query).numbers(number, &padded(&key, side));
        let launch = launch.numbers(number, &padded(&value, width));
        let launch = launch.room(BATCHES * heads * queries * width * number.size());
        let launch = launch.bytes(&parameters.bytes()).bytes(&mask_steps.bytes());
        let threads = (32, self.groups.0, self.groups.1);
        let out = launch.bytes(&mask_bytes).groups((tiles[0], heads, BATCHES), threads, 3);

        let mut expected = Vec::new();
        for row in 0..BATCHES * heads * queries {
            let (head, place) = (row / queries, row % queries);
            let group = head / heads * groups + head % heads / (heads / groups);
            let seen = |at: usize| match sight {
                Sight::Masked => mask[row * keys + at],
                Sight::Back if at > place + keys - queries => f64::NEG_INFINITY,
                Sight::All | Sight::Back => 0.0,
            };
            let of_group = |values: &'_ [f64], side: usize| {
                values[group * keys * side..(group + 1) * keys * side].to_vec()
            };
            let query = &query[row * side..][..side];
            let (key, value) = (of_group(&key, side), of_group(&value, width));
            expected.extend(attention(query, &key, &value, scale, seen));
        }
        let what = format!("{kernel}, {queries} queries, {keys} keys, {sight:?}");
        near(&what, &number.decode(&out), &expected, 1e-4 + 4.0 * number.epsilon());
    }
}
