//! mlx-native's functions of single elements, compared with the formulas that they compute.
//!
//! Tolerances: what MSL has correctly rounded is exact, at any width. Else a result is rounded to its type (one of
//! its epsilons, relative), and functions of MSL's table 8.2 add a few units of `float`.

use Number::{BF16, F16, F32};
use kernels::numbers::{Number, near};
use kernels::references::{gelu, sigmoid, silu};
use kernels::run::{Kernels, lined};
use kernels::structs::Struct;

/// Lengths: one, less than a SIMD-group, a prime, and a few threadgroups.
const LENGTHS: [usize; 4] = [1, 5, 257, 4096];

/// The guard after a kernel's results.
#[derive(Clone, Copy)]
enum Tail {
    /// Nothing: the grid is as long as the buffers.
    Nothing,
    /// How many elements there are.
    Length,
    /// A factor of 2.5, then that.
    FactorAndLength,
}
use Tail::{FactorAndLength, Length, Nothing};

type Function = fn(&[f64]) -> f64;

struct Row {
    kernel: &'static str,
    inputs: &'static [Number],
    results: &'static [(Number, Function)],
    tail: Tail,
    /// Inputs are in -2 to 2, times this; 0 for inputs in 0.25 to 2.25.
    reach: f64,
    /// Units of `float` besides the rounding of the type.
    units: f64,
}

const fn row(
    kernel: &'static str,
    inputs: &'static [Number],
    results: &'static [(Number, Function)],
    tail: Tail,
    reach: f64,
    units: f64,
) -> Row {
    Row { kernel, inputs, results, tail, reach, units }
}

const ADD: Function = |x| x[0] + x[1];
const MULTIPLY: Function = |x| x[0] * x[1];
const SCALED: Function = |x| x[0] * 2.5;
const GELU: Function = |x| gelu(x[0]);
const CAPPED: Function = |x| 2.5 * (x[0] / 2.5).tanh();
const GATED: Function = |x| x[0] * sigmoid(x[1]);
const SILU_SLOPE: Function = |x| x[1] * sigmoid(x[0]) * (1.0 + x[0] * (1.0 - sigmoid(x[0])));

const FILES: &[(&str, &[Row])] = &[
    (
        "elementwise.metal",
        &[
            row("elementwise_add_f32", &[F32, F32], &[(F32, ADD)], Length, 1.0, 0.0),
            row("elementwise_add_f16", &[F16, F16], &[(F16, ADD)], Length, 1.0, 0.0),
            row("elementwise_add_bf16", &[BF16, BF16], &[(BF16, ADD)], Length, 1.0, 0.0),
            row("elementwise_mul_f32", &[F32, F32], &[(F32, MULTIPLY)], Length, 1.0, 0.0),
            row("elementwise_mul_f16", &[F16, F16], &[(F16, MULTIPLY)], Length, 1.0, 0.0),
            row("elementwise_mul_bf16", &[BF16, BF16], &[(BF16, MULTIPLY)], Length, 1.0, 0.0),
            row("scalar_mul_f32", &[F32], &[(F32, SCALED)], FactorAndLength, 1.0, 0.0),
            row("scalar_mul_bf16", &[BF16], &[(BF16, SCALED)], FactorAndLength, 1.0, 0.0),
        ],
    ),
    (
        "gelu.metal",
        &[
            row("gelu_f32", &[F32], &[(F32, GELU)], Nothing, 8.0, 8.0),
            row("gelu_f16", &[F16], &[(F16, GELU)], Nothing, 8.0, 8.0),
            row("gelu_bf16", &[BF16], &[(BF16, GELU)], Nothing, 8.0, 8.0),
        ],
    ),
    (
        "softcap.metal",
        &[
            row("softcap_f32", &[F32], &[(F32, CAPPED)], FactorAndLength, 5.0, 16.0),
            row("softcap_f16", &[F16], &[(F16, CAPPED)], FactorAndLength, 5.0, 16.0),
            row("softcap_bf16", &[BF16], &[(BF16, CAPPED)], FactorAndLength, 5.0, 16.0),
        ],
    ),
    (
        "silu_mul.metal",
        &[row("silu_mul_f32", &[F32, F32], &[(F32, |x| silu(x[0]) * x[1])], Length, 8.0, 16.0)],
    ),
    (
        "sigmoid_mul.metal",
        &[
            row("sigmoid_mul_f32", &[F32, F32], &[(F32, GATED)], Length, 8.0, 16.0),
            row("sigmoid_mul_bf16", &[BF16, BF16], &[(BF16, GATED)], Length, 8.0, 16.0),
        ],
    ),
    (
        "silu_backward.metal",
        &[
            row("silu_f32", &[F32], &[(F32, |x| silu(x[0]))], Length, 8.0, 16.0),
            // Factors near 1 cancel, with the error of `exp`, times arguments up to 16.
            row("silu_backward_f32", &[F32, F32], &[(F32, SILU_SLOPE)], Length, 8.0, 256.0),
        ],
    ),
    (
        "log_elementwise.metal",
        &[
            row("log_f32", &[F32], &[(F32, |x| x[0].ln())], Nothing, 0.0, 4.0),
            row("log_backward_f32", &[F32, F32], &[(F32, |x| x[1] / x[0])], Nothing, 0.0, 3.0),
        ],
    ),
    (
        "exp_elementwise.metal",
        &[
            row("exp_f32", &[F32], &[(F32, |x| x[0].exp())], Length, 4.0, 16.0),
            row("exp_backward_f32", &[F32, F32], &[(F32, MULTIPLY)], Length, 1.0, 0.0),
        ],
    ),
    (
        "divide_elementwise.metal",
        &[
            row("divide_f32", &[F32, F32], &[(F32, |x| x[0] / x[1])], Length, 0.0, 3.0),
            row(
                "divide_backward_f32",
                // Divisor, quotient, slope.
                &[F32, F32, F32],
                &[(F32, |x| x[2] / x[0]), (F32, |x| -x[2] * x[1] / x[0])],
                Length,
                0.0,
                4.0,
            ),
        ],
    ),
    (
        "sqrt_elementwise.metal",
        &[
            row("sqrt_f32", &[F32], &[(F32, |x| x[0].sqrt())], Length, 0.0, 3.0),
            row(
                "sqrt_backward_f32",
                &[F32, F32],
                &[(F32, |x| x[1] / (2.0 * x[0]))],
                Length,
                0.0,
                3.0,
            ),
        ],
    ),
];

#[test]
fn functions_of_elements() {
    for (file, rows) in FILES {
        let kernels = Kernels::open("mlx-native", file);
        for row in *rows {
            for length in LENGTHS {
                let some = |(seed, number): (usize, &Number)| {
                    let all = number.some(seed as u64 + 7, length).into_iter();
                    let all = all.map(|x| match row.reach {
                        0.0 => number.rounded(x.abs() + 0.25),
                        reach => number.rounded(x * reach),
                    });
                    all.collect::<Vec<f64>>()
                };
                let inputs: Vec<Vec<f64>> = row.inputs.iter().enumerate().map(some).collect();
                let mut launch = kernels.launch(row.kernel);
                for (input, number) in inputs.iter().zip(row.inputs) {
                    launch = launch.numbers(*number, input);
                }
                for (number, _) in row.results {
                    launch = launch.room(length * number.size());
                }
                launch = match row.tail {
                    Nothing => launch,
                    Length => launch.words([length]),
                    FactorAndLength => {
                        launch.bytes(&Struct::new().f32([2.5]).u32([length as u32]).bytes())
                    }
                };
                // The last result is there twice where there is only one.
                let first = inputs.len();
                let last = first + row.results.len() - 1;
                let written = launch.grid((length, 1, 1), (64, 1, 1), [first, last]);
                for ((number, function), bytes) in row.results.iter().zip(&written) {
                    let at = |k: usize| inputs.iter().map(|input| input[k]).collect::<Vec<f64>>();
                    let exactly = |k| function(&at(k));
                    let (found, what) =
                        (number.decode(bytes), format!("{} of {length}", row.kernel));
                    if row.units == 0.0 {
                        let expected: Vec<f64> =
                            (0..length).map(|k| number.rounded(exactly(k))).collect();
                        near(&what, &found, &expected, 0.0);
                    } else {
                        let expected: Vec<f64> = (0..length).map(exactly).collect();
                        let tolerance = row.units * F32.epsilon();
                        let rounding = if *number == F32 { 0.0 } else { number.epsilon() };
                        near(&what, &found, &expected, tolerance + rounding);
                    }
                }
            }
        }
    }
}

#[test]
fn casts() {
    let kernels = Kernels::open("mlx-native", "elementwise.metal");
    // Ties, the ends of the types, what is below their normal numbers, and what is no number.
    let special = [
        0.0,
        -0.0,
        1.0 + 2f64.powi(-11),
        1.0 + 3.0 * 2f64.powi(-11),
        1.0 + 2f64.powi(-8),
        1.0 + 3.0 * 2f64.powi(-8),
        65504.0,
        65519.0,
        65520.0,
        -1e30,
        6e-8,
        2.9e-8,
        1e-40,
        3e38,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        0.1,
        -1.0 / 3.0,
    ];
    let types = [("f32", F32), ("f16", F16), ("bf16", BF16)];
    for (from, read) in types {
        for (to, write) in types.into_iter().filter(|(_, write)| *write != read) {
            for length in LENGTHS {
                let mut input = read.some(3, length);
                for (at, value) in input.iter_mut().zip(special) {
                    *at = read.rounded(value);
                }
                let launch = kernels.launch(&format!("cast_{from}_to_{to}"));
                let launch = launch.numbers(read, &input).room(length * write.size());
                let (groups, threads) = lined(length);
                let out = launch.words([length]).groups(groups, threads, 1);
                let expected: Vec<f64> = input.iter().map(|&x| write.rounded(x)).collect();
                near(&format!("cast_{from}_to_{to}"), &write.decode(&out), &expected, 0.0);
            }
        }
    }
}

#[test]
fn adam() {
    let kernels = Kernels::open("mlx-native", "adam_update.metal");
    for length in LENGTHS {
        let [weights, slopes, first, second]: [Vec<f64>; 4] =
            std::array::from_fn(|seed| F32.some(seed as u64, length));
        let second: Vec<f64> = second.iter().map(|x| F32.rounded(x * x)).collect();
        // The rate, two decays, what keeps from dividing by zero, and both corrections after 3 steps.
        let (rate, decays, least) = (0.01, [0.9, 0.999], 1e-8);
        let corrections = decays.map(|decay: f64| 1.0 - decay.powi(3));
        let launch = kernels.launch("adam_update_f32").numbers(F32, &weights);
        let launch = launch.numbers(F32, &slopes).numbers(F32, &first).numbers(F32, &second);
        let all = [rate, decays[0], decays[1], least, corrections[0], corrections[1]];
        let launch = launch.floats(all.map(|x| x as f32)).words([length]);
        let out = launch.grid((length, 1, 1), (64, 1, 1), [0, 2, 3]);
        let mixed = |decay: f64, old: f64, new: f64| decay * old + (1.0 - decay) * new;
        let m: Vec<f64> = (0..length).map(|k| mixed(decays[0], first[k], slopes[k])).collect();
        let v: Vec<f64> =
            (0..length).map(|k| mixed(decays[1], second[k], slopes[k].powi(2))).collect();
        let moved = |k: usize| {
            let spread = (v[k] / corrections[1]).sqrt() + least;
            weights[k] - rate * (m[k] / corrections[0]) / spread
        };
        let moved: Vec<f64> = (0..length).map(moved).collect();
        // 1 - 0.999 in `float` has a relative error of 2^-14; a weight moves by a hundredth of its quotients.
        for (out, expected) in out.iter().zip([moved, m, v]) {
            near("adam_update_f32", &F32.decode(out), &expected, 1e-5);
        }
    }
}

#[test]
fn narrowed_gradients() {
    let kernels = Kernels::open("mlx-native", "flash_attn_train_bwd.metal");
    let x = F32.some(7, 300);
    let launch = kernels.launch("f32_to_bf16_cast").numbers(F32, &x).room(600).words([300]);
    let out = launch.groups(lined(300).0, lined(300).1, 1);
    let expected: Vec<f64> = x.iter().map(|&x| BF16.rounded(x)).collect();
    near("f32_to_bf16_cast", &BF16.decode(&out), &expected, 0.0);
}
