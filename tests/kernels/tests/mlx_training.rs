//! mlx-native's attention for training: its results with the logarithms of the sums of powers, and its derivatives.
//!
//! Results are rounded to `bfloat`, and queries once before their products, as the reference does; logarithms and derivatives are sums in
//! `float`, 1e-4 to 1e-3.

use Number::{BF16, F32, U8};
use kernels::numbers::{Number, near, noise};
use kernels::references::dot;
use kernels::run::{Kernels, Launch};
use kernels::structs::Struct;

/// Attention of heads, two of which share their keys and values.
#[derive(Clone, Copy)]
struct Shape {
    width: usize,
    queries: usize,
    keys: usize,
    causal: bool,
}

const HEADS: usize = 4;
const SHARED: usize = 2;

impl Shape {
    fn scale(self) -> f64 {
        1.0 / (self.width as f64).sqrt()
    }

    /// A query's or key's numbers.
    fn row(self, all: &[f64], length: usize, head: usize, at: usize) -> &[f64] {
        &all[(head * length + at) * self.width..][..self.width]
    }

    /// `AttnParams`, for tiles of these sizes.
    fn parameters(self, tile: (usize, usize)) -> Vec<u8> {
        let Self { width, queries, keys, .. } = self;
        let sizes = [1, HEADS, width, queries, keys, SHARED].map(|size| size as i32);
        let all = Struct::new().i32(sizes).f32([self.scale() as f32, 1.0]);
        let (rows, columns) = (queries.div_ceil(tile.0), keys.div_ceil(tile.1));
        let whole = (queries / tile.0, keys / tile.1);
        let rest = (queries % tile.0, keys % tile.1);
        let tiles = [rows, columns, whole.0, whole.1, rest.0, rest.1, 0].map(|size| size as i32);
        let steps = |heads: usize, length: usize| {
            [heads * length * width, length * width, width].map(|step| step as u64)
        };
        let (wide, narrow) = (steps(HEADS, queries), steps(HEADS / SHARED, keys));
        all.i32(tiles).u64(wide).u64(narrow).u64(narrow).u64(wide).bytes()
    }

    /// The function constants, and for a mask its strides.
    fn constants(self, launch: Launch<'_>, tile: (usize, usize), masked: bool) -> Launch<'_> {
        let launch = launch.constant(200, self.queries.is_multiple_of(tile.0));
        let launch = launch.constant(201, self.keys.is_multiple_of(tile.1));
        launch.constant(300, masked).constant(301, self.causal)
    }

    fn mask_steps(self) -> Vec<u8> {
        let Self { queries, keys, .. } = self;
        let steps = [HEADS * queries * keys, queries * keys, keys].map(|step| step as u64);
        Struct::new().u64(steps).bytes()
    }

    /// The logarithm of the sum of the powers of a query's scores, and its weights.
    fn weights(
        self,
        query: &[f64],
        scale: f64,
        keys: &[f64],
        mask: &[f64],
        at: Place,
    ) -> (f64, Vec<f64>) {
        let score = |key: usize| match self.causal && key > at.query {
            true => f64::NEG_INFINITY,
            false => {
                let product = dot(query, self.row(keys, self.keys, at.head / SHARED, key));
                let place = (at.head * self.queries + at.query) * self.keys + key;
                product * scale + mask.get(place).copied().unwrap_or_default()
            }
        };
        let scores: Vec<f64> = (0..self.keys).map(score).collect();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum = scores.iter().map(|score| (score - most).exp()).sum::<f64>();
        let logarithm = most + sum.ln();
        (logarithm, scores.iter().map(|score| (score - logarithm).exp()).collect())
    }
}

/// A query of a head.
#[derive(Clone, Copy)]
struct Place {
    head: usize,
    query: usize,
}

/// The queries of all heads.
fn places(shape: Shape) -> impl Iterator<Item = Place> {
    (0..HEADS * shape.queries)
        .map(move |at| Place { head: at / shape.queries, query: at % shape.queries })
}

/// Weights times rows.
fn weighted(shape: Shape, weights: &[f64], rows: &[f64], head: usize) -> Vec<f64> {
    let mut sum = vec![0.0; shape.width];
    for (at, weight) in weights.iter().enumerate() {
        let row = shape.row(rows, shape.keys, head, at);
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
    }
    sum
}

/// Numbers to add to scores; some hide their keys, but never the first.
fn mask(shape: Shape, seed: u64) -> Vec<f64> {
    let numbers = BF16.some(seed, HEADS * shape.queries * shape.keys);
    let hides = noise(seed + 1).map(|bits| bits % 4 == 0);
    let each = numbers.into_iter().zip(hides).enumerate();
    let hidden = |at: usize, hides: bool| hides && !at.is_multiple_of(shape.keys);
    each.map(|(at, (x, hides))| if hidden(at, hides) { f64::NEG_INFINITY } else { x }).collect()
}

#[test]
fn results() {
    let kernels = Kernels::open("mlx-native", "flash_attn_train_fwd.metal");
    let tile = (32, 16);
    for (width, queries, keys, causal) in
        [(64, 64, 48, false), (64, 50, 45, true), (256, 40, 32, false)]
    {
        let shape = Shape { width, queries, keys, causal };
        let q = BF16.some(1, HEADS * queries * width);
        let (k, v) = (BF16.some(2, 2 * keys * width), BF16.some(3, 2 * keys * width));
        for kind in ["", "numbers", "bools"] {
            let numbers = mask(shape, 4);
            let bools: Vec<f64> = numbers.iter().map(|x| f64::from(x.is_finite())).collect();
            let added: Vec<f64> = match kind {
                "" => Vec::new(),
                "numbers" => numbers.clone(),
                _ => bools
                    .iter()
                    .map(|&seen| if seen == 0.0 { f64::NEG_INFINITY } else { 0.0 })
                    .collect(),
            };
            let suffix = if kind == "bools" { "_boolmask" } else { "" };
            let name = format!("flash_attn_train_fwd_bf16_d{width}{suffix}");
            let launch = shape.constants(kernels.launch(&name), tile, !kind.is_empty());
            let launch = launch.numbers(BF16, &q).numbers(BF16, &k).numbers(BF16, &v);
            let launch = launch.room(q.len() * 2).bytes(&shape.parameters(tile));
            let launch = match kind {
                "" => launch,
                "numbers" => launch.bytes(&shape.mask_steps()).numbers(BF16, &numbers),
                _ => launch.bytes(&shape.mask_steps()).numbers(U8, &bools),
            };
            let launch = launch.at(8).room(HEADS * queries * 4);
            let groups = (queries.div_ceil(tile.0), HEADS, 1);
            let [found, logarithms] = launch.results(groups, (32, 4, 1), [3, 8]);
            // Scores are powers of two; their factor and its products are rounded.
            let factor = BF16.rounded(shape.scale() * std::f64::consts::LOG2_E);
            let (mut expected, mut sums) = (Vec::new(), Vec::new());
            for at in places(shape) {
                let query = shape.row(&q, queries, at.head, at.query);
                let query: Vec<f64> = query.iter().map(|x| BF16.rounded(x * factor)).collect();
                let (sum, weights) = shape.weights(&query, std::f64::consts::LN_2, &k, &added, at);
                expected.extend(weighted(shape, &weights, &v, at.head / SHARED));
                sums.push(sum);
            }
            near(&name, &BF16.decode(&found), &expected, 1e-3 + BF16.epsilon() / 2.0);
            near(&name, &F32.decode(&logarithms), &sums, 1e-4);
        }
    }
}

#[test]
fn derivatives() {
    let kernels = Kernels::open("mlx-native", "flash_attn_train_bwd.metal");
    for (width, tile, threads, causal, masked) in [
        (64, (32, 16), 4, true, false),
        (64, (32, 16), 4, false, true),
        (256, (16, 8), 2, true, true),
    ] {
        // Whole tiles of queries: threads without one wait at barriers of their own. A part of a tile of keys.
        let (queries, keys) = (2 * tile.0, 2 * tile.1 + 3);
        let shape = Shape { width, queries, keys, causal };
        let q = BF16.some(1, HEADS * queries * width);
        let (k, v) = (BF16.some(2, 2 * keys * width), BF16.some(3, 2 * keys * width));
        let slopes = BF16.some(4, q.len());
        let added = if masked { mask(shape, 5) } else { Vec::new() };
        let (mut sums, mut products) = (Vec::new(), Vec::new());
        let mut of_q = Vec::new();
        let (mut of_k, mut of_v) = (vec![0.0; k.len()], vec![0.0; v.len()]);
        for at in places(shape) {
            let query = shape.row(&q, queries, at.head, at.query);
            let slope = shape.row(&slopes, queries, at.head, at.query);
            let (sum, weights) = shape.weights(query, shape.scale(), &k, &added, at);
            let head = at.head / SHARED;
            let product = dot(slope, &weighted(shape, &weights, &v, head));
            let parts: Vec<f64> = weights
                .iter()
                .enumerate()
                .map(|(key, weight)| {
                    weight * (dot(slope, shape.row(&v, keys, head, key)) - product) * shape.scale()
                })
                .collect();
            of_q.extend(weighted(shape, &parts, &k, head));
            for key in 0..keys {
                let first = (head * keys + key) * width;
                for feature in 0..width {
                    of_k[first + feature] += parts[key] * query[feature];
                    of_v[first + feature] += weights[key] * slope[feature];
                }
            }
            sums.push(sum);
            products.push(product);
        }
        let name = format!("flash_attn_train_bwd_bf16_d{width}");
        let launch = shape.constants(kernels.launch(&name), tile, masked);
        let launch = launch.numbers(BF16, &q).numbers(BF16, &k).numbers(BF16, &v).at(4);
        let launch = launch.numbers(F32, &sums).numbers(BF16, &slopes).numbers(F32, &products);
        let launch = launch.room(q.len() * 4).bytes(&vec![0; k.len() * 4]);
        let launch = launch.bytes(&vec![0; v.len() * 4]).bytes(&shape.parameters(tile));
        let launch = match masked {
            true => launch.bytes(&shape.mask_steps()).numbers(BF16, &added),
            false => launch,
        };
        let found = launch.results((2, HEADS, 1), (32, threads, 1), [7, 8, 9]);
        for (found, expected) in found.iter().zip([of_q, of_k, of_v]) {
            near(&name, &F32.decode(found), &expected, 1e-3);
        }
    }
}
