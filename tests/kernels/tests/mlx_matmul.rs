//! mlx-native's products of plain matrices and vectors, compared with sums of products.
//!
//! Tolerances: factors are up to 2, so partial sums of k products are about 1.3 sqrt k; each of k additions in `float`
//! rounds one. 2 k units of `float`, relative above 1, is some standard deviations of what a plain loop over `float`s
//! loses, whose errors were measured for comparison. `half` results are rounded once.

use Number::{BF16, F16, F32, U32};
use kernels::numbers::{Number, near};
use kernels::products::narrowed;
use kernels::references::{different, largest, product};
use kernels::run::{Kernels, Size, lined};
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// Groups of 16 by 4 threads.
const TILE: Size = (16, 4, 1);

fn tolerance(elements: usize, number: Number) -> f64 {
    let rounding = if number == F32 { 0.0 } else { number.epsilon() / 2.0 };
    2.0 * elements as f64 * F32.epsilon() + 2e-6 + rounding
}

#[test]
fn matrix_times_vector() {
    let kernels = open("dense_gemm.metal");
    let rows = [
        ("dense_matvec_f16", F16, F16),
        ("dense_matvec_f16w_f32io", F16, F32),
        ("dense_matvec_bf16w_f32io", BF16, F32),
        ("dense_matvec_f32", F32, F32),
    ];
    for (kernel, weights, number) in rows {
        // Rows by four: what is left of them otherwise is not all added by these kernels.
        for (n, k) in [(1usize, 4usize), (8, 128), (13, 100), (50, 1032), (33, 2048)] {
            let (input, matrix) = (number.some(1, k), weights.some(2, n * k));
            let launch = kernels.launch(kernel).numbers(number, &input).numbers(weights, &matrix);
            let launch = launch.room(n * number.size()).words([1, n, k]);
            let out = launch.groups((n.div_ceil(8), 1, 1), (32, 2, 1), 2);
            let expected = product(&input, &matrix, k);
            near(kernel, &number.decode(&out), &expected, tolerance(k, number));
        }
    }
    // For rows of 4,096 only.
    let (n, k) = (255, 4096);
    let (input, matrix) = (F32.some(3, k), F32.some(4, n * k));
    let launch = kernels.launch("dense_matvec_f32_nsg4_exact_k4096").numbers(F32, &input);
    let launch =
        launch.numbers(F32, &matrix).room(n * 4).words([1, n, k]).memory(0, 2 * 32 * 32 * 4);
    let out = launch.groups((n.div_ceil(2), 1, 1), (32, 4, 1), 2);
    let expected = product(&input, &matrix, k);
    near("dense_matvec_f32_nsg4_exact_k4096", &F32.decode(&out), &expected, tolerance(k, F32));
}

#[test]
fn half_gemm() {
    let kernels = open("dense_gemm.metal");
    for (m, n, k) in [(1usize, 1usize, 1usize), (33, 50, 17), (64, 32, 128), (7, 100, 250)] {
        let (left, right) = (F16.some(1, m * k), F16.some(2, n * k));
        let launch = kernels.launch("dense_gemm_f16").numbers(F16, &left).numbers(F16, &right);
        let launch = launch.room(m * n * 2).words([m, n, k]);
        let out = launch.groups((n.div_ceil(32), m.div_ceil(32), 1), (128, 1, 1), 2);
        let expected = product(&left, &right, k);
        near("dense_gemm_f16", &F16.decode(&out), &expected, tolerance(k, F16));
    }
}

/// Batches of matrices times batches of others; some of these share one.
#[derive(Clone, Copy)]
struct Batches {
    m: usize,
    n: usize,
    k: usize,
    weights: usize,
    inputs: usize,
}

const BATCHES: [Batches; 5] = [
    Batches { m: 1, n: 1, k: 32, weights: 1, inputs: 1 },
    Batches { m: 5, n: 33, k: 100, weights: 2, inputs: 2 },
    Batches { m: 32, n: 64, k: 64, weights: 1, inputs: 1 },
    Batches { m: 50, n: 70, k: 200, weights: 1, inputs: 3 },
    Batches { m: 3, n: 20, k: 2080, weights: 2, inputs: 4 },
];

impl Batches {
    fn inputs(&self, weights: Number) -> (Vec<f64>, Vec<f64>) {
        let Self { m, n, k, weights: a, inputs: b } = *self;
        (weights.some(1, a * n * k), F32.some(2, b * m * k))
    }

    fn products(&self, weights: &[f64], inputs: &[f64]) -> Vec<f64> {
        let Self { m, n, k, weights: a, inputs: b } = *self;
        let each = inputs.chunks(m * k).enumerate();
        let one = |(at, input): (usize, &[f64])| {
            product(input, &weights[at / (b / a) * n * k..][..n * k], k)
        };
        each.flat_map(one).collect()
    }
}

/// File, type of weights, what a name ends with, and columns of a tile. Those of 128 read them as they are.
const TILES: [(&str, &str, &str, usize); 7] = [
    ("dense_mm_fallback.metal", "bf16", "fallback", 32),
    ("dense_mm_fallback.metal", "f16", "fallback", 32),
    ("dense_mm_fallback.metal", "f32", "fallback", 32),
    ("dense_mm_bf16_tensor.metal", "bf16", "tensor", 32),
    ("dense_mm_bf16_tensor.metal", "bf16", "tensor_v2", 128),
    ("dense_mm_f16_tensor.metal", "f16", "tensor", 32),
    ("dense_mm_f32_f32.metal", "f32", "tensor", 32),
];

#[test]
fn batches_by_tiles() {
    for (file, name, form, tile) in TILES {
        let kernels = open(file);
        let number = Number::named(name).unwrap_or(F32);
        for batches in BATCHES {
            let Batches { m, n, k, weights: a, inputs: b } = batches;
            let kernel = format!("hf2q_dense_mm_{name}_f32_{form}");
            let (weights, inputs) = batches.inputs(number);
            let (row, column) = (k * number.size(), 4 * k);
            let arguments = Struct::new().i32([k as i32, a as i32]);
            let arguments = arguments.u64([row, row * n, 0].map(|x| x as u64));
            let arguments = arguments.i32([b as i32, 0]);
            let arguments = arguments.u64([4, column, column * m, 0].map(|x| x as u64));
            let arguments = arguments.i32([n as i32, m as i32]).i16([(b / a) as i16, 1]);
            let launch = kernels.launch(&kernel).bytes(&arguments.u32([0]).bytes());
            let launch = launch.numbers(number, &weights).numbers(F32, &inputs);
            let launch = launch.room(b * m * n * 4).memory(0, 12288);
            let groups = (m.div_ceil(tile), n.div_ceil(64), b);
            let out = launch.groups(groups, (128, 1, 1), 3);
            // The inputs become numbers of the weights' type.
            let part = if tile == 128 { F32 } else { number };
            let expected = batches.products(&weights, &narrowed(part, &inputs));
            near(&kernel, &F32.decode(&out), &expected, tolerance(k, F32));
        }
    }
}

#[test]
fn batches_by_rows() {
    let kernels = open("dense_gemv_bf16.metal");
    for batches in BATCHES {
        let Batches { m, n, k, weights: a, inputs: b } = batches;
        let (weights, inputs) = batches.inputs(BF16);
        let expected = batches.products(&weights, &inputs);
        let (row, column) = (2 * k, 4 * k);
        let arguments = Struct::new().i32([k, n, a].map(|x| x as i32));
        let arguments = arguments.u64([2, row, row * n, 0].map(|x| x as u64));
        let arguments = arguments.i32([k, m, b].map(|x| x as i32));
        let arguments = arguments.u64([4, column, column * m, 0].map(|x| x as u64));
        let arguments = arguments.i32([n as i32, m as i32, 2]).i16([(b / a) as i16, 1]).bytes();
        for (kernel, inputs_each, simdgroups) in [
            ("hf2q_dense_gemv_bf16_f32_4", 1, k.div_ceil(128).min(4)),
            ("hf2q_dense_gemv_bf16_f32_r1_4", 4, 4),
        ] {
            let simdgroups = simdgroups.max(1);
            let launch = kernels.launch(kernel).bytes(&arguments).numbers(BF16, &weights);
            let launch = launch.numbers(F32, &inputs).room(b * m * n * 4).memory(0, 1024);
            let groups = (n.div_ceil(2), m.div_ceil(inputs_each), b);
            let out = launch.groups(groups, (32, simdgroups, 1), 3);
            near(kernel, &F32.decode(&out), &expected, tolerance(k, F32));
        }
    }
}

#[test]
fn experts_of_tokens() {
    let kernels = open("dense_matmul_id.metal");
    for (tokens, experts, count, n, k) in
        [(1usize, 2usize, 1usize, 8usize, 32usize), (5, 7, 3, 33, 100), (40, 4, 2, 20, 260)]
    {
        let mut numbers: Vec<usize> = (0..tokens)
            .flat_map(|token| largest(&different(token as u64 + 3, experts), count))
            .collect();
        // An expert that does not exist yields zeros.
        *numbers.last_mut().unwrap() = experts + 1;
        let ids: Vec<f64> = numbers.iter().map(|&id| id as f64).collect();
        let rows = tokens * count;
        for (name, number) in [("bf16", BF16), ("f16", F16), ("f32", F32)] {
            // An input for all experts of a token, or one for each.
            for each in [false, true] {
                let weights = number.some(1, experts * n * k);
                let inputs = F32.some(2, if each { rows } else { tokens } * k);
                let input = |row: usize| &inputs[if each { row } else { row / count } * k..][..k];
                let result = |row: usize| match weights.chunks(n * k).nth(numbers[row]) {
                    Some(matrix) => product(input(row), matrix, k),
                    None => vec![0.0; n],
                };
                let expected: Vec<f64> = (0..rows).flat_map(result).collect();
                let steps = if each { [4 * k * count, 4 * k] } else { [4 * k, 0] };
                let arguments = [tokens, n, k, count, experts, usize::from(each)];
                let arguments = Struct::new().u32(arguments.map(|x| x as u32));
                let arguments = arguments.u64([(n * k * number.size()) as u64]);
                let arguments = arguments.u64(steps.map(|x| x as u64)).bytes();

                let kernel = format!("dense_matmul_id_direct_{name}_f32");
                let launch = kernels.launch(&kernel).bytes(&arguments).numbers(number, &weights);
                let launch = launch.numbers(F32, &inputs).numbers(U32, &ids).room(rows * n * 4);
                let out = launch.groups((n.div_ceil(8), rows, 1), (64, 1, 1), 4);
                near(&kernel, &F32.decode(&out), &expected, tolerance(k, F32));

                let launch = kernels.launch("dense_matmul_id_map_distinct").bytes(&arguments);
                let launch = launch.numbers(U32, &ids).room(experts * 4);
                let launch = launch.room(experts * tokens * 4).room(rows * n * 4);
                let [counts, lists, out] = launch.results((1, 1, 1), (experts, 1, 1), [2, 3, 4]);
                for expert in 0..experts {
                    let of = (0..rows).filter(|&row| numbers[row] == expert);
                    let of: Vec<f64> = of.map(|row| row as f64).collect();
                    let found = U32.decode(&lists)[expert * tokens..][..of.len()].to_vec();
                    near("dense_matmul_id_map_distinct", &found, &of, 0.0);
                    assert_eq!(U32.decode(&counts)[expert] as usize, of.len());
                }
                let kernel = format!("dense_matmul_id_grouped_{name}_f32");
                let launch = kernels.launch(&kernel).bytes(&arguments).numbers(number, &weights);
                let launch = launch.numbers(F32, &inputs).bytes(&counts).bytes(&lists).bytes(&out);
                let groups = (tokens.div_ceil(8), n.div_ceil(8), experts);
                let out = launch.memory(0, 4096).groups(groups, (256, 1, 1), 5);
                near(&kernel, &F32.decode(&out), &expected, tolerance(k, F32));
            }
        }
    }
}

#[test]
fn outer_products_and_biases() {
    let kernels = open("outer_product.metal");
    for (n, m) in [(1usize, 1usize), (7, 33), (100, 64)] {
        let ([left, right], slopes) =
            ([(1, n), (2, m)].map(|(seed, all)| F32.some(seed, all)), F32.some(3, n * m));
        let launch = kernels.launch("outer_product_f32").numbers(F32, &left).numbers(F32, &right);
        let [out] = launch.room(n * m * 4).words([n, m]).grid((n, m, 1), TILE, [2]);
        near("outer_product_f32", &F32.decode(&out), &product(&left, &right, 1), F32.epsilon());
        let column = |at: usize| (0..n).map(|row| slopes[row * m + at] * left[row]).sum();
        let rows = [
            ("lhs", &right, product(&slopes, &right, m)),
            ("rhs", &left, (0..m).map(column).collect::<Vec<f64>>()),
        ];
        for (name, other, expected) in rows {
            let kernel = format!("outer_product_backward_{name}_f32");
            let launch = kernels.launch(&kernel).numbers(F32, &slopes).numbers(F32, other);
            let (groups, threads) = lined(expected.len());
            let out = launch.room(expected.len() * 4).words([n, m]).groups(groups, threads, 2);
            near(&kernel, &F32.decode(&out), &expected, tolerance(n.max(m), F32));
        }
        let kernels = open("add_bias_row_2d.metal");
        let launch = kernels.launch("add_bias_row_2d_f32").words([n, m]).numbers(F32, &slopes);
        let (groups, threads) = lined(n * m);
        let out = launch.numbers(F32, &right).room(n * m * 4).groups(groups, threads, 3);
        let expected: Vec<f64> =
            slopes.iter().enumerate().map(|(at, x)| F32.rounded(x + right[at % m])).collect();
        near("add_bias_row_2d_f32", &F32.decode(&out), &expected, 0.0);
    }
}
