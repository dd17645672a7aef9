//! candle's kernels, compared with the formulas that they compute.
//!
//! Tolerances: a result is rounded to its type, so two of its epsilons; functions of MSL's table 8.2 add their own
//! few units of `float`; sums add one for each doubling of what they add.

use kernels::numbers::{Number, near};
use kernels::run::{Kernels, Launch, lined};
use kernels::structs::{Struct, size, word};

const FLOATS: [(&str, Number); 3] =
    [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];

/// Lengths: less than a SIMD-group, a prime, and a few threadgroups.
const LENGTHS: [usize; 3] = [5, 257, 4096];

fn error_function(x: f64) -> f64 {
    // The Maclaurin series, which converges everywhere; |x| stays below 4 here.
    let (mut sum, mut term) = (x, x);
    for n in 1..80 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn affine() {
    let kernels = Kernels::open("candle-metal-kernels", "affine.metal");
    let types =
        ["f32", "f16", "bf16", "u8", "u32"].map(|name| (name, Number::named(name).unwrap()));
    for (name, number) in types {
        for length in LENGTHS {
            let (input, (groups, threads)) = (number.some(1, length), lined(length));
            let launch = kernels.launch(&format!("affine_{name}"));
            let launch = launch.bytes(&size(length)).bytes(&3f32.to_le_bytes());
            let launch = launch.bytes(&2f32.to_le_bytes()).bytes(&number.encode(&input));
            let out = launch.room(length * number.size()).groups(groups, threads, 4);
            let expected: Vec<f64> = input.iter().map(|x| number.rounded(x * 3.0 + 2.0)).collect();
            near(&format!("affine_{name}"), &number.decode(&out), &expected, number.epsilon());
        }
    }
    for (name, number) in FLOATS {
        let input: Vec<f64> = number.some(2, 300).iter().map(|x| x.abs()).collect();
        let ((groups, threads), length) = (lined(300), size(300));
        let launch = kernels.launch(&format!("powf_{name}")).bytes(&length);
        let launch = launch.bytes(&2.5f32.to_le_bytes()).bytes(&number.encode(&input));
        let out = launch.room(300 * number.size()).groups(groups, threads, 3);
        let expected: Vec<f64> = input.iter().map(|x| x.powf(2.5)).collect();
        near(&format!("powf_{name}"), &number.decode(&out), &expected, 1e-5 + number.epsilon());
        let launch = kernels.launch(&format!("elu_{name}")).bytes(&length);
        let input = number.some(3, 300);
        let launch = launch.bytes(&1.5f32.to_le_bytes()).bytes(&number.encode(&input));
        let out = launch.room(300 * number.size()).groups(groups, threads, 3);
        let elu = |&x: &f64| if x > 0.0 { x } else { 1.5 * (x.exp() - 1.0) };
        let expected: Vec<f64> = input.iter().map(elu).collect();
        near(
            &format!("elu_{name}"),
            &number.decode(&out),
            &expected,
            1e-5 + 3.0 * number.epsilon(),
        );
    }
}

#[test]
fn unary() {
    let kernels = Kernels::open("candle-metal-kernels", "unary.metal");
    let gelu = |x: f64| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
        0.5 * x * (1.0 + inner.tanh())
    };
    let erf = |x: f64| 0.5 * x * (1.0 + error_function(x / 2f64.sqrt()));
    /// A function of one number, and whether it takes positive ones only.
    type Unary = (&'static str, fn(f64) -> f64, bool);
    let operations: &[Unary] = &[
        ("sqr", |x| x * x, false),
        ("recip", |x| 1.0 / x, true),
        ("neg", |x| -x, false),
        ("copy", |x| x, false),
        ("relu", |x| x.max(0.0), false),
        ("silu", |x| x / (1.0 + (-x).exp()), false),
        ("sqrt", f64::sqrt, true),
        ("cos", f64::cos, false),
        ("sin", f64::sin, false),
        ("exp", f64::exp, false),
        ("log", f64::ln, true),
        ("abs", f64::abs, false),
        ("ceil", f64::ceil, false),
        ("floor", f64::floor, false),
        ("round", f64::round, false),
        ("erf", error_function, false),
        ("sign", |x| if x == 0.0 { 0.0 } else { x.signum() }, false),
        ("sigmoid", |x| 1.0 / (1.0 + (-x).exp()), false),
        ("tanh", f64::tanh, false),
    ];
    let names = kernels.names();
    let run = |kernel: &str, number: Number, reference: &dyn Fn(f64) -> f64, positive: bool| {
        assert!(names.iter().any(|name| name == kernel), "no kernel {kernel}");
        for length in LENGTHS {
            let input: Vec<f64> = number.some(length as u64, length);
            let input: Vec<f64> = match positive {
                true => input.iter().map(|x| number.rounded(x.abs() + 0.25)).collect(),
                false => input,
            };
            let (groups, threads) = lined(length);
            let launch = kernels.launch(kernel).bytes(&size(length)).bytes(&number.encode(&input));
            let out = launch.room(length * number.size()).groups(groups, threads, 2);
            let expected: Vec<f64> = input.iter().map(|&x| reference(x)).collect();
            // Narrow types compute in steps of their own width.
            near(kernel, &number.decode(&out), &expected, 2e-6 + 4.0 * number.epsilon());
        }
        // A matrix of 5 columns and 7 rows, read by columns.
        let input: Vec<f64> =
            number.some(9, 35).iter().map(|x| number.rounded(x.abs() + 0.25)).collect();
        let kernel = format!("{kernel}_strided");
        let launch = kernels.launch(&kernel).bytes(&size(35)).bytes(&size(2));
        let launch = launch.bytes(&[size(5), size(7)].concat()).bytes(&[size(1), size(5)].concat());
        let launch = launch.bytes(&number.encode(&input)).room(35 * number.size());
        let out = launch.groups((1, 1, 1), (64, 1, 1), 5);
        let expected: Vec<f64> = (0..35).map(|at| reference(input[at % 7 * 5 + at / 7])).collect();
        near(&kernel, &number.decode(&out), &expected, 2e-6 + 4.0 * number.epsilon());
    };
    for (name, number) in FLOATS {
        for (operation, reference, positive) in operations {
            run(&format!("{operation}_{name}"), number, reference, *positive);
        }
        run(&format!("gelu_{name}"), number, &gelu, false);
        run(&format!("gelu_erf_{name}"), number, &erf, false);
    }
}

#[test]
fn binary() {
    let kernels = Kernels::open("candle-metal-kernels", "binary.metal");
    type Binary = (&'static str, fn(f64, f64) -> f64, bool);
    let operations: &[Binary] = &[
        ("badd", |x, y| x + y, false),
        ("bsub", |x, y| x - y, false),
        ("bmul", |x, y| x * y, false),
        ("bdiv", |x, y| x / y, false),
        ("bminimum", f64::min, false),
        ("bmaximum", f64::max, false),
        ("eq", |x, y| f64::from(u8::from(x == y)), true),
        ("ne", |x, y| f64::from(u8::from(x != y)), true),
        ("le", |x, y| f64::from(u8::from(x <= y)), true),
        ("lt", |x, y| f64::from(u8::from(x < y)), true),
        ("ge", |x, y| f64::from(u8::from(x >= y)), true),
        ("gt", |x, y| f64::from(u8::from(x > y)), true),
    ];
    for name in ["f32", "f16", "bf16", "u32", "u8", "i64"] {
        let number = Number::named(name).unwrap();
        for (operation, reference, truth) in operations {
            let (kernel, result) =
                (format!("{operation}_{name}"), if *truth { Number::U8 } else { number });
            for length in LENGTHS {
                let (left, right) = (number.some(7, length), number.some(8, length));
                // Integers stay above 0, so that differences and quotients do.
                let (left, right): (Vec<f64>, Vec<f64>) = match number.is_float() {
                    true => (left, right.iter().map(|y| number.rounded(y + 4.0)).collect()),
                    false => (
                        left.iter().map(|x| x + 8.0).collect(),
                        right.iter().map(|y| y + 1.0).collect(),
                    ),
                };
                let (groups, threads) = lined(length);
                let launch = kernels.launch(&kernel).bytes(&size(length));
                let launch = launch.bytes(&number.encode(&left)).bytes(&number.encode(&right));
                let out = launch.room(length * result.size()).groups(groups, threads, 3);
                let expected = left.iter().zip(&right).map(|(&x, &y)| reference(x, y));
                let expected: Vec<f64> = expected.map(|value| result.rounded(value)).collect();
                near(&kernel, &result.decode(&out), &expected, result.epsilon());
            }
        }
    }
}

/// Rows, and elements of each.
const ROWS: [(usize, usize); 4] = [(3, 1), (4, 33), (2, 1000), (5, 2048)];

/// The number of threads that candle reduces `n` elements with.
fn reducing(elements: usize) -> usize {
    (elements / 2).next_power_of_two().min(1024)
}

#[test]
fn reduce() {
    let kernels = Kernels::open("candle-metal-kernels", "reduce.metal");
    type Fold = fn(f64, f64) -> f64;
    let folds: [(&str, f64, Fold); 4] = [
        ("sum", 0.0, |a, b| a + b),
        ("mul", 1.0, |a, b| a * b),
        ("min", f64::INFINITY, f64::min),
        ("max", f64::NEG_INFINITY, f64::max),
    ];
    for name in ["f32", "f16", "bf16", "u32", "u8", "i64"] {
        let number = Number::named(name).unwrap();
        for (rows, elements) in ROWS {
            let all = rows * elements;
            let input = match name {
                // Partial results are rounded: quarters stay exact, and so do small integers in a byte.
                "f16" | "bf16" => {
                    number.some(5, all).iter().map(|x| (x * 2.0).round() / 2.0).collect()
                }
                "u8" => number.some(5, all).iter().map(|x| f64::from(u8::from(*x > 5.0))).collect(),
                _ => number.some(5, all),
            };
            let launch = |kernel: &str| {
                let launch = kernels.launch(kernel).bytes(&word(all)).bytes(&word(2));
                launch.bytes(&[word(rows), word(elements)].concat()).bytes(&word(elements))
            };
            let groups = (rows, 1, 1);
            let threads = (reducing(elements), 1, 1);
            for (fold, start, reference) in folds {
                let kernel = format!("fast_{fold}_{name}");
                let input: Vec<f64> = match fold {
                    "mul" if number.is_float() => {
                        input.iter().map(|x| if *x < -1.5 { -1.0 } else { 1.0 }).collect()
                    }
                    "mul" => input.iter().map(|_| 1.0).collect(),
                    _ => input.clone(),
                };
                let launch = launch(&kernel).bytes(&number.encode(&input));
                let out = launch.room(rows * number.size()).groups(groups, threads, 5);
                let expected: Vec<f64> = input
                    .chunks(elements)
                    .map(|row| {
                        let value = row.iter().fold(start, |a, &b| reference(a, b));
                        if name == "u8" { value % 256.0 } else { number.rounded(value) }
                    })
                    .collect();
                let tolerance = 4.0 * number.epsilon() * (elements as f64).log2().max(1.0);
                near(&kernel, &number.decode(&out), &expected, tolerance);
            }
            for (arg, sign) in [("argmin", 1.0), ("argmax", -1.0)] {
                let kernel = format!("fast_{arg}_{name}");
                let launch = launch(&kernel).bytes(&number.encode(&input));
                let out = launch.room(rows * 4).groups(groups, threads, 5);
                for (row, found) in input.chunks(elements).zip(Number::U32.decode(&out)) {
                    let best = row.iter().map(|x| x * sign).fold(f64::INFINITY, f64::min);
                    let at = found as usize;
                    assert!(
                        at < elements && row[at] * sign == best,
                        "{kernel}: {at} of {elements}"
                    );
                }
            }
        }
    }
}

#[test]
fn softmax_and_norms() {
    let kernels = Kernels::open("candle-metal-kernels", "reduce.metal");
    for (name, number) in FLOATS {
        for (rows, elements) in ROWS {
            let input = number.some(11, rows * elements);
            let alpha = number.some(12, elements);
            let beta = number.some(13, elements);
            let (groups, threads) = ((rows, 1, 1), (reducing(elements), 1, 1));
            let launch = |kernel: &str| {
                let launch = kernels.launch(kernel).bytes(&word(rows * elements));
                let launch = launch.bytes(&word(elements)).bytes(&number.encode(&input));
                launch.room(rows * elements * number.size())
            };
            let of_rows = |f: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<f64> {
                input.chunks(elements).flat_map(f).collect()
            };
            let kernel = format!("softmax_{name}");
            let out = launch(&kernel).groups(groups, threads, 3);
            let expected = of_rows(&|row| {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
                row.iter().map(|x| (x - most).exp() / sum).collect()
            });
            near(&kernel, &number.decode(&out), &expected, 1e-5 + 2.0 * number.epsilon());

            let (kernel, epsilon) = (format!("rmsnorm_{name}"), 1e-5f32);
            let launched =
                launch(&kernel).bytes(&number.encode(&alpha)).bytes(&epsilon.to_le_bytes());
            let out = launched.groups(groups, threads, 3);
            let expected = of_rows(&|row| {
                let mean = row.iter().map(|x| x * x).sum::<f64>() / elements as f64;
                let scale = 1.0 / (mean + 1e-5).sqrt();
                row.iter().zip(&alpha).map(|(x, a)| x * scale * a).collect()
            });
            near(&kernel, &number.decode(&out), &expected, 1e-5 + 3.0 * number.epsilon());

            let kernel = format!("layernorm_{name}");
            let launched =
                launch(&kernel).bytes(&number.encode(&alpha)).bytes(&number.encode(&beta));
            let out = launched.bytes(&epsilon.to_le_bytes()).groups(groups, threads, 3);
            let expected = of_rows(&|row| {
                let mean = row.iter().sum::<f64>() / elements as f64;
                let spread = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / elements as f64;
                let scale = 1.0 / (spread + 1e-5).sqrt();
                let both = alpha.iter().zip(&beta);
                row.iter().zip(both).map(|(x, (a, b))| (x - mean) * scale * a + b).collect()
            });
            near(&kernel, &number.decode(&out), &expected, 2e-5 + 4.0 * number.epsilon());
        }
    }
}

#[test]
fn gemm() {
    let kernels = Kernels::open("candle-metal-kernels", "mlx_gemm.metal");
    let shapes = [(64, 64, 64), (33, 70, 50), (1, 9, 100), (128, 32, 7)];
    let tiles = [
        (32, 32, 16, 2, 2),
        (64, 64, 16, 2, 2),
        (64, 64, 16, 1, 2),
        (64, 32, 32, 2, 2),
        (32, 64, 16, 1, 2),
    ];
    for (name, number) in FLOATS {
        for (bm, bn, bk, wm, wn) in tiles {
            for (form, left_turned, right_turned) in
                [("nn", false, false), ("nt", false, true), ("tn", true, false), ("tt", true, true)]
            {
                let kernel = format!("gemm_{form}_{name}_{name}_{bm}_{bn}_{bk}_{wm}_{wn}");
                for (m, n, k) in shapes {
                    let (a, b) = (number.some(21, m * k), number.some(22, k * n));
                    let turned = (left_turned, right_turned);
                    let launch = gemm_launch(&kernels, &kernel, (m, n, k), turned, (bm, bn, bk));
                    let launch = launch.bytes(&number.encode(&a)).bytes(&number.encode(&b)).at(3);
                    let launch = launch.room(m * n * number.size());
                    let groups = (n.div_ceil(bn), m.div_ceil(bm), 1);
                    let out = launch.groups(groups, (32, wn, wm), 3);
                    let left =
                        |i: usize, l: usize| if left_turned { a[l * m + i] } else { a[i * k + l] };
                    let right =
                        |l: usize, j: usize| if right_turned { b[j * k + l] } else { b[l * n + j] };
                    let expected: Vec<f64> = (0..m * n)
                        .map(|at| (0..k).map(|l| left(at / n, l) * right(l, at % n)).sum())
                        .collect();
                    // Sums of k products of numbers up to 2 in `float`, rounded once.
                    let tolerance = 1e-6 * k as f64 + number.epsilon();
                    near(&kernel, &number.decode(&out), &expected, tolerance);
                }
            }
        }
    }
}

/// A launch of a gemm with its constants and its parameters, which are bound at 4.
fn gemm_launch<'a>(
    kernels: &'a Kernels,
    kernel: &str,
    (m, n, k): (usize, usize, usize),
    (left_turned, right_turned): (bool, bool),
    (bm, bn, bk): (usize, usize, usize),
) -> Launch<'a> {
    let lda = if left_turned { m } else { k };
    let ldb = if right_turned { k } else { n };
    let tiled = [lda, ldb, n, n.div_ceil(bn), m.div_ceil(bm)];
    let strides = [m * k, k * n, m * n].map(|x| x as u64);
    let params = Struct::new().i32([m, n, k].map(|x| x as i32)).i32(tiled.map(|x| x as i32));
    let params = params.u64(strides).i32([0, (k / bk) as i32, 1]);
    let mut launch = kernels.launch(kernel);
    for index in [10, 100, 110, 300] {
        launch = launch.constant(index, false);
    }
    for (index, rest) in [(200, m % bm), (201, n % bn), (202, k % bk)] {
        launch = launch.constant(index, rest == 0);
    }
    launch.at(4).bytes(&params.bytes()).at(0)
}
