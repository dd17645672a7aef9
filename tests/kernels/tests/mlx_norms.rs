//! mlx-native's norms, alone and fused with other operations, compared with their formulas.
//!
//! Tolerances: a sum of up to 2,048 squares in `float`, in a tree, is good to a few units; its root and two
//! products keep that below 1e-5, relative above 1. A narrow result is rounded once, half of the type's epsilon.

use Number::{BF16, F16, F32};
use kernels::numbers::{Number, near};
use kernels::references::{dot, rms_norm, rms_scale, silu};
use kernels::run::{Kernels, Launch};
use kernels::structs::Struct;

/// Rows, and elements of each: of one, of no tile, and of models.
const ROWS: [(usize, usize); 4] = [(3, 1), (4, 33), (2, 1000), (3, 2048)];

/// The same for kernels that take four at a time.
const FOURS: [(usize, usize); 4] = [(3, 4), (4, 36), (2, 1000), (3, 2048)];

const EPSILON: f32 = 1e-5;

/// As the package's program has it: a power of two, up to 256.
fn threads(elements: usize) -> usize {
    elements.next_power_of_two().min(256)
}

/// Launches one threadgroup per row: inputs, outputs of `n` elements, and the bindings that `tail` adds.
fn launched<'a, const N: usize>(
    kernels: &'a Kernels,
    kernel: &str,
    (rows, elements): (usize, usize),
    inputs: &[(Number, &[f64])],
    outputs: [Number; N],
    tail: impl FnOnce(Launch<'a>) -> Launch<'a>,
) -> [Vec<f64>; N] {
    let mut launch = kernels.launch(kernel);
    for (number, values) in inputs {
        launch = launch.numbers(*number, values);
    }
    for number in outputs {
        launch = launch.room(rows * elements * number.size());
    }
    // The kernels that count in SIMD-groups need one at least.
    let least = if kernel.ends_with("_v2") { 32 } else { 1 };
    let threads = threads(elements).max(least);
    let launch = tail(launch).memory(0, (2 * threads.max(32) + elements).next_multiple_of(4) * 4);
    let places: [usize; N] = std::array::from_fn(|at| inputs.len() + at);
    let written = launch.results((rows, 1, 1), (threads, 1, 1), places);
    std::array::from_fn(|at| outputs[at].decode(&written[at]))
}

fn tolerance(number: Number) -> f64 {
    1e-5 + if number == F32 { 0.0 } else { number.epsilon() / 2.0 }
}

#[track_caller]
fn check(kernel: &str, number: Number, found: &[f64], expected: &[f64]) {
    near(&format!("{kernel}, {}", found.len()), found, expected, tolerance(number));
}

/// Rows made of rows, times weights each.
fn normed(input: &[f64], weights: &[f64]) -> Vec<f64> {
    let rows = input.chunks(weights.len());
    rows.flat_map(|row| rms_norm(row, weights, f64::from(EPSILON))).collect()
}

fn zipped(left: &[f64], right: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    left.iter().zip(right).map(|(&x, &y)| f(x, y)).collect()
}

fn added(left: &[f64], right: &[f64]) -> Vec<f64> {
    zipped(left, right, |x, y| x + y)
}

#[test]
fn rms_norms() {
    let kernels = Kernels::open("mlx-native", "rms_norm.metal");
    // The kernel, its input, its weights, and the type of what it is multiplied with.
    let rows: [(&str, Number, Option<Number>, bool); 10] = [
        ("rms_norm_f32", F32, Some(F32), false),
        ("rms_norm_f32_v2", F32, Some(F32), false),
        ("rms_norm_f16", F16, Some(F32), false),
        ("rms_norm_bf16", BF16, Some(BF16), false),
        ("rms_norm_no_scale_f32", F32, None, false),
        ("rms_norm_no_scale_f32_v2", F32, None, false),
        ("rms_norm_no_scale_bf16", BF16, None, false),
        ("rms_norm_mul_f32", F32, Some(F32), true),
        ("rms_norm_mul_f16", F16, Some(F32), true),
        ("rms_norm_mul_bf16", BF16, Some(BF16), true),
    ];
    for (kernel, number, weighted, multiplied) in rows {
        for shape in if kernel.ends_with("_v2") { FOURS } else { ROWS } {
            let (rows, elements) = shape;
            let input = number.some(1, rows * elements);
            let weights = weighted.unwrap_or(F32).some(2, elements);
            let factors = number.some(3, rows * elements);
            let mut inputs = vec![(number, input.as_slice())];
            inputs.extend(weighted.map(|number| (number, weights.as_slice())));
            inputs.extend(multiplied.then_some((number, factors.as_slice())));
            let [found] = launched(&kernels, kernel, shape, &inputs, [number], |launch| {
                launch.floats([EPSILON, elements as f32])
            });
            let ones = vec![1.0; elements];
            let mut expected = normed(&input, if weighted.is_some() { &weights } else { &ones });
            if multiplied {
                expected = zipped(&expected, &factors, |x, y| x * y);
            }
            check(kernel, number, &found, &expected);
        }
    }
}

#[test]
fn rms_norms_with_several_results() {
    let kernels = Kernels::open("mlx-native", "rms_norm.metal");
    for (rows, elements) in ROWS {
        let input = F32.some(1, rows * elements);
        let expected = normed(&input, &vec![1.0; elements]);
        let threads = threads(elements);
        let parameters = [EPSILON, elements as f32];
        let launch = |kernel: &str| {
            let launch = kernels.launch(kernel).numbers(F32, &input);
            let launch = launch.room(rows * elements * 4).floats(parameters);
            launch.room(rows * elements * 2).memory(0, threads.max(4) * 4)
        };
        let kernel = "rms_norm_no_scale_f32_dual";
        let [wide, narrow] = launch(kernel).results((rows, 1, 1), (threads, 1, 1), [1, 3]);
        check(kernel, F32, &F32.decode(&wide), &expected);
        check(kernel, BF16, &BF16.decode(&narrow), &expected);
        // Heads of positions; the narrow result has positions of heads.
        let kernel = "rms_norm_no_scale_f32_dual_perm";
        let (heads, places) = if rows % 2 == 0 { (2, rows / 2) } else { (rows, 1) };
        let launch = launch(kernel).words([heads, places]);
        let [wide, narrow] = launch.results((rows, 1, 1), (threads, 1, 1), [1, 3]);
        check(kernel, F32, &F32.decode(&wide), &expected);
        let row = |at: usize| {
            let (head, place) = (at / places, at % places);
            expected[(place * heads + head) * elements..][..elements].to_vec()
        };
        let moved: Vec<f64> = (0..rows).flat_map(row).collect();
        check(kernel, BF16, &BF16.decode(&narrow), &moved);

        let weights = [2, 3, 4].map(|seed| F32.some(seed, elements));
        let mut inputs = vec![(F32, input.as_slice())];
        inputs.extend(weights.iter().map(|weights| (F32, weights.as_slice())));
        let kernel = "rms_norm_f32_triple";
        let found = launched(&kernels, kernel, (rows, elements), &inputs, [F32; 3], |launch| {
            launch.floats(parameters)
        });
        for (found, weights) in found.iter().zip(&weights) {
            check(kernel, F32, found, &normed(&input, weights));
        }
    }
}

#[test]
fn layers_ends() {
    let kernels = Kernels::open("mlx-native", "rms_norm.metal");
    for (suffix, shapes) in [("", ROWS), ("_v2", FOURS)] {
        for (rows, elements) in shapes {
            let all = rows * elements;
            let [hidden, attention, experts] = [1, 2, 3].map(|seed| F32.some(seed, all));
            let weights = [4, 5, 6, 7].map(|seed| F32.some(seed, elements));
            let kernel = format!("fused_post_attn_triple_norm_f32{suffix}");
            let mut inputs = vec![(F32, hidden.as_slice()), (F32, attention.as_slice())];
            inputs.extend(weights.iter().map(|weights| (F32, weights.as_slice())));
            let parameters = Struct::new().f32([EPSILON]).u32([elements as u32]);
            let [residual, a, b, c] =
                launched(&kernels, &kernel, (rows, elements), &inputs, [F32; 4], |launch| {
                    launch.bytes(&parameters.clone().bytes())
                });
            let expected = added(&hidden, &normed(&attention, &weights[0]));
            check(&kernel, F32, &residual, &expected);
            for (found, weights) in [a, b, c].iter().zip(&weights[1..]) {
                check(&kernel, F32, found, &normed(&expected, weights));
            }

            for vector in [false, true] {
                let kernel = format!("fused_post_ff_norm2_endlayer_f32{suffix}");
                let scales = if vector { F32.some(8, elements) } else { vec![0.75] };
                let inputs = [&attention, &experts, &hidden, &weights[0], &weights[1], &scales];
                let inputs = inputs.map(|input| (F32, input.as_slice()));
                let flag = u32::from(vector);
                let [down, out] =
                    launched(&kernels, &kernel, (rows, elements), &inputs, [F32; 2], |launch| {
                        launch.bytes(&parameters.clone().u32([flag]).bytes())
                    });
                let sum = added(&attention, &normed(&experts, &weights[0]));
                check(&kernel, F32, &down, &sum);
                let end = added(&hidden, &normed(&sum, &weights[1]));
                check(&kernel, F32, &out, &scaled(&end, elements, &scales));

                if suffix.is_empty() {
                    continue;
                }
                // The experts' outputs are summed on the way.
                let kernel = "fused_moe_wsum_post_ff_norm2_endlayer_f32_v2";
                let outputs = F32.some(9, 3 * all);
                let shares = F32.some(10, 3 * rows);
                let head = [&outputs, &shares].map(|input| (F32, input.as_slice()));
                let inputs = [&head[..], &inputs[..1], &inputs[2..]].concat();
                let [down, out] =
                    launched(&kernels, kernel, (rows, elements), &inputs, [F32; 2], |launch| {
                        launch.bytes(&parameters.clone().u32([3, flag]).bytes())
                    });
                let mixed = weighted_sums(&outputs, &shares, 3, elements);
                let sum = added(&attention, &normed(&mixed, &weights[0]));
                check(kernel, F32, &down, &sum);
                let end = added(&hidden, &normed(&sum, &weights[1]));
                check(kernel, F32, &out, &scaled(&end, elements, &scales));
            }
        }
    }
}

/// Rows times one number, or times one for each element.
fn scaled(rows: &[f64], elements: usize, scales: &[f64]) -> Vec<f64> {
    let scale = |at: usize| scales[if scales.len() > 1 { at % elements } else { 0 }];
    rows.iter().enumerate().map(|(at, x)| x * scale(at)).collect()
}

/// Weighted sums of `n` rows each.
fn weighted_sums(rows: &[f64], weights: &[f64], each: usize, elements: usize) -> Vec<f64> {
    let groups = rows.chunks(each * elements).zip(weights.chunks(each));
    let sum = |group: &[f64], weights: &[f64], at: usize| -> f64 {
        (0..each).map(|row| group[row * elements + at] * weights[row]).sum()
    };
    groups
        .flat_map(|(group, weights)| (0..elements).map(move |at| sum(group, weights, at)))
        .collect()
}

#[test]
fn norms_and_sums() {
    let kernels = Kernels::open("mlx-native", "fused_norm_add_f32.metal");
    let narrow = Kernels::open("mlx-native", "fused_norm_add_bf16.metal");
    let rows: [(&Kernels, &str, Number, bool); 4] = [
        (&kernels, "fused_norm_add_f32", F32, true),
        (&kernels, "fused_norm_add_f32_v2", F32, true),
        (&narrow, "fused_norm_add_bf16", BF16, true),
        (&narrow, "fused_norm_add_no_weight_bf16", BF16, false),
    ];
    for (kernels, kernel, number, weighted) in rows {
        for shape in if kernel.ends_with("_v2") { FOURS } else { ROWS } {
            let (rows, elements) = shape;
            let [residual, input] = [1, 2].map(|seed| number.some(seed, rows * elements));
            let weights = if weighted { number.some(3, elements) } else { vec![1.0; elements] };
            let inputs = [&residual, &input, &weights].map(|x| (number, x.as_slice()));
            let inputs = &inputs[..2 + usize::from(weighted)];
            let [found] = launched(kernels, kernel, shape, inputs, [number], |launch| {
                launch.words([elements]).words([rows]).floats([EPSILON])
            });
            check(kernel, number, &found, &added(&residual, &normed(&input, &weights)));
        }
    }
    for shape in ROWS {
        let (rows, elements) = shape;
        let all = rows * elements;
        let [residual, input] = [1, 2].map(|seed| F32.some(seed, all));
        let [weights, others] = [3, 4].map(|seed| F32.some(seed, elements));
        let parameters =
            |flag| Struct::new().u32([elements as u32, rows as u32]).f32([EPSILON]).u32([flag]);
        let inputs = [&residual, &input, &weights].map(|x| (F32, x.as_slice()));
        for vector in [false, true] {
            let scales = if vector { F32.some(5, elements) } else { vec![0.75] };
            for (kernel, expected) in [
                ("fused_norm_add_scalar_f32", added(&residual, &normed(&input, &weights))),
                ("fused_residual_norm_scalar_f32", normed(&added(&residual, &input), &weights)),
            ] {
                let [found] = launched(&kernels, kernel, shape, &inputs, [F32], |launch| {
                    let launch = launch.numbers(F32, &scales);
                    launch.bytes(&parameters(u32::from(vector)).bytes())
                });
                check(kernel, F32, &found, &scaled(&expected, elements, &scales));
            }
        }

        let outputs = F32.some(6, 4 * all);
        let shares = F32.some(7, 4 * rows);
        let mixed = weighted_sums(&outputs, &shares, 4, elements);
        let kernel = "fused_moe_wsum_norm_add_f32";
        let inputs = [&outputs, &shares, &residual, &weights, &others].map(|x| (F32, x.as_slice()));
        let [found] = launched(&kernels, kernel, shape, &inputs[..4], [F32], |launch| {
            launch.words([elements]).words([4]).words([rows]).floats([EPSILON])
        });
        check(kernel, F32, &found, &added(&residual, &normed(&mixed, &weights)));
        let kernel = "fused_moe_wsum_dnorm_add_f32";
        let [found] = launched(&kernels, kernel, shape, &inputs, [F32], |launch| {
            launch.words([elements]).words([4]).words([rows]).floats([EPSILON])
        });
        check(kernel, F32, &found, &added(&normed(&residual, &weights), &normed(&mixed, &others)));
    }
}

#[test]
fn sums_and_norms() {
    let wide = Kernels::open("mlx-native", "fused_norm_add_f32.metal");
    let narrow = Kernels::open("mlx-native", "fused_residual_norm_bf16.metal");
    for (kernels, kernel, number) in
        [(&wide, "fused_residual_norm_f32", F32), (&narrow, "fused_residual_norm_bf16", BF16)]
    {
        for shape in ROWS {
            let (rows, elements) = shape;
            let [residual, input] = [1, 2].map(|seed| number.some(seed, rows * elements));
            let weights = number.some(3, elements);
            let inputs = [&residual, &input, &weights].map(|x| (number, x.as_slice()));
            let parameters = Struct::new().u32([elements as u32, rows as u32]).f32([EPSILON]);
            let [found, sum] = launched(kernels, kernel, shape, &inputs, [number; 2], |launch| {
                launch.bytes(&parameters.u32([1]).bytes())
            });
            let expected = added(&residual, &input);
            check(kernel, number, &sum, &expected);
            check(kernel, number, &found, &normed(&expected, &weights));
        }
    }
}

#[test]
fn other_norms() {
    let kernels = Kernels::open("mlx-native", "l2_norm.metal");
    let rows = [
        ("l2_norm_f32", F32, 1.0),
        ("l2_norm_f16", F16, 1.0),
        ("l2_norm_bf16", BF16, 1.0),
        ("l2_norm_scale_f32", F32, 3.0),
    ];
    for (kernel, number, scale) in rows {
        for shape in ROWS {
            let (rows, elements) = shape;
            let input = number.some(1, rows * elements);
            let [found] =
                launched(&kernels, kernel, shape, &[(number, &input)], [number], |launch| {
                    launch.floats([EPSILON, elements as f32, scale as f32])
                });
            let row = |row: &[f64]| {
                let length = (dot(row, row) + f64::from(EPSILON)).sqrt();
                row.iter().map(|x| x / length * scale).collect::<Vec<f64>>()
            };
            let expected: Vec<f64> = input.chunks(elements).flat_map(row).collect();
            check(kernel, number, &found, &expected);
        }
    }
    let kernels = Kernels::open("mlx-native", "ssm_norm_gate.metal");
    for shape in ROWS {
        let (rows, elements) = shape;
        let [input, gate] = [1, 2].map(|seed| F32.some(seed, rows * elements));
        let weights = F32.some(3, elements);
        let inputs = [&input, &weights, &gate].map(|x| (F32, x.as_slice()));
        let kernel = "ssm_norm_gate_f32";
        let [found] = launched(&kernels, kernel, shape, &inputs, [F32], |launch| {
            launch.floats([EPSILON, elements as f32])
        });
        let expected = zipped(&normed(&input, &weights), &gate, |x, gate| x * silu(gate));
        check(kernel, F32, &found, &expected);
    }
}

#[test]
fn slopes_of_an_rms_norm() {
    let kernels = Kernels::open("mlx-native", "rms_norm_backward.metal");
    for (rows, elements) in [(1, 1), (5, 33), (300, 64), (3, 2048)] {
        let [input, slopes] = [1, 2].map(|seed| F32.some(seed, rows * elements));
        let weights = F32.some(3, elements);
        let scales: Vec<f64> =
            input.chunks(elements).map(|row| rms_scale(row, f64::from(EPSILON))).collect();
        let group = (threads(elements), 1, 1);
        let launch = kernels.launch("rms_norm_compute_rms_inv_f32").numbers(F32, &input);
        let launch = launch.room(rows * 4).floats([EPSILON, elements as f32]).memory(0, 1024);
        let out = launch.groups((rows, 1, 1), group, 1);
        check("rms_norm_compute_rms_inv_f32", F32, &F32.decode(&out), &scales);

        let kernel = "rms_norm_backward_dx_f32";
        let inputs = [&input, &weights, &slopes, &scales].map(|x| (F32, x.as_slice()));
        let [found] = launched(&kernels, kernel, (rows, elements), &inputs, [F32], |launch| {
            launch.floats([elements as f32, rows as f32])
        });
        // d/dx_k of the sum of dy_i w_i x_i s, where s is (mean x^2 + e)^-1/2.
        let of_row = |at: usize| {
            let row = |values: &[f64]| values[at * elements..][..elements].to_vec();
            let (x, dy, s) = (row(&input), row(&slopes), scales[at]);
            let pull: f64 = (0..elements).map(|i| dy[i] * weights[i] * x[i]).sum();
            let shrink = pull * s.powi(3) / elements as f64;
            (0..elements).map(|k| s * dy[k] * weights[k] - x[k] * shrink).collect::<Vec<f64>>()
        };
        let expected: Vec<f64> = (0..rows).flat_map(of_row).collect();
        check(kernel, F32, &found, &expected);

        let kernel = "rms_norm_backward_dw_f32";
        let launch = kernels.launch(kernel).numbers(F32, &input).numbers(F32, &slopes);
        let launch = launch.numbers(F32, &scales).room(elements * 4);
        let launch = launch.floats([elements as f32, rows as f32]).memory(0, 1024);
        let out = launch.groups((elements, 1, 1), (threads(rows), 1, 1), 3);
        let of_column = |k: usize| {
            (0..rows)
                .map(|at| slopes[at * elements + k] * input[at * elements + k] * scales[at])
                .sum()
        };
        let expected: Vec<f64> = (0..elements).map(of_column).collect();
        check(kernel, F32, &F32.decode(&out), &expected);
    }
}
