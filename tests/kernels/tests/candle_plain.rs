//! The kernels of plain numbers in candle's copy of ggml's: functions, norms, sums of rows, and matrices times vectors.
//!
//! All but the products of two `half`s, which are rounded to one, are in `float`: one part in 10⁵ at most.

use kernels::numbers::{Number, near};
use kernels::products::{Rows, near_products};
use kernels::run::{Kernels, Launch};
use kernels::structs::{size, word};

fn kernels() -> Kernels {
    Kernels::open("candle-metal-kernels", "quantized.metal")
}

fn sizes<'a>(launch: Launch<'a>, values: &[usize]) -> Launch<'a> {
    values.iter().fold(launch, |launch, &value| launch.bytes(&size(value)))
}

/// Runs a kernel with a thread for each number, or for each four.
fn each(kernels: &Kernels, kernel: &str, factors: &[f32], reference: &dyn Fn(f64) -> f64) {
    // As many threads as ggml's program has: as there are numbers, no more.
    for length in [4usize, 260, 4096] {
        let input = Number::F32.some(length as u64, length);
        let input: Vec<f64> =
            if kernel == "kernel_sqrt" { input.iter().map(|x| x.abs()).collect() } else { input };
        let launch = kernels.launch(kernel).bytes(&Number::F32.encode(&input)).room(length * 4);
        let launch = factors.iter().fold(launch, |launch, one| launch.bytes(&one.to_le_bytes()));
        let threads = if kernel.ends_with("_4") { length / 4 } else { length };
        let out = launch.groups((threads, 1, 1), (1, 1, 1), 1);
        let expected: Vec<f64> = input.into_iter().map(reference).collect();
        near(kernel, &Number::F32.decode(&out), &expected, 1e-5);
    }
}

/// A kernel's name, its factors, and what it makes of a number.
type Function<'a> = (&'a str, &'a [f32], &'a dyn Fn(f64) -> f64);

#[test]
fn functions() {
    let kernels = kernels();
    let gelu = |x: f64| {
        let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
        0.5 * x * (1.0 + inner.tanh())
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let quick = |x: f64| x * sigmoid(1.702 * x);
    let silu = |x: f64| x * sigmoid(x);
    let (scaled, clamped) = (|x: f64| x * 1.5, |x: f64| x.clamp(-0.5, 1.0));
    let leaky = |x: f64| if x > 0.0 { x } else { x / 4.0 };
    let all: [Function<'_>; 17] = [
        ("relu", &[], &|x| x.max(0.0)),
        ("sigmoid", &[], &sigmoid),
        ("tanh", &[], &f64::tanh),
        ("gelu", &[], &gelu),
        ("gelu_4", &[], &gelu),
        ("gelu_quick", &[], &quick),
        ("gelu_quick_4", &[], &quick),
        ("silu", &[], &silu),
        ("silu_4", &[], &silu),
        ("sqr", &[], &|x| x * x),
        ("sqrt", &[], &f64::sqrt),
        ("sin", &[], &f64::sin),
        ("cos", &[], &f64::cos),
        ("scale", &[1.5], &scaled),
        ("scale_4", &[1.5], &scaled),
        ("clamp", &[-0.5, 1.0], &clamped),
        ("leaky_relu_f32", &[0.25], &leaky),
    ];
    for (name, factors, reference) in all {
        each(&kernels, &format!("kernel_{name}"), factors, reference);
    }
}

#[test]
fn norms() {
    let kernels = kernels();
    for (rows, elements) in [(3usize, 4usize), (2, 100), (5, 2048)] {
        let input = Number::F32.some(5, rows * elements);
        for (kernel, centred) in [("kernel_norm", true), ("kernel_rms_norm", false)] {
            let launch = kernels.launch(kernel).bytes(&Number::F32.encode(&input));
            let launch = sizes(launch.room(rows * elements * 4), &[elements, elements * 4]);
            let launch = launch.bytes(&1e-5f32.to_le_bytes()).memory(0, 256 * 4);
            let out = launch.groups((rows, 1, 1), (256, 1, 1), 1);
            let normal = |row: &[f64]| -> Vec<f64> {
                let mean = |values: &[f64]| values.iter().sum::<f64>() / elements as f64;
                let middle = if centred { mean(row) } else { 0.0 };
                let row: Vec<f64> = row.iter().map(|x| x - middle).collect();
                let squares: Vec<f64> = row.iter().map(|x| x * x).collect();
                row.iter().map(|x| x / (mean(&squares) + 1e-5).sqrt()).collect()
            };
            let expected: Vec<f64> = input.chunks(elements).flat_map(normal).collect();
            near(kernel, &Number::F32.decode(&out), &expected, 1e-5);
        }
    }
}

#[test]
fn sums_of_rows() {
    let kernels = kernels();
    let [elements, a, b, c] = [37usize, 5, 3, 2];
    let input = Number::F32.some(6, elements * a * b * c);
    let launch = kernels.launch("kernel_sum_rows").bytes(&Number::F32.encode(&input));
    let row = elements * 4;
    let launch = sizes(launch.room(a * b * c * 4), &[elements, a, b, c]);
    let launch = sizes(launch, &[4, row, row * a, row * a * b]);
    // Of the second side, which there is not, nothing is read.
    let launch = sizes(sizes(launch, &[0; 8]), &[1, a, b, c]);
    let launch = sizes(launch, &[4, 4, 4 * a, 4 * a * b]);
    let out = launch.groups((a, b, c), (1, 1, 1), 1);
    let expected: Vec<f64> = input.chunks(elements).map(|row| row.iter().sum()).collect();
    near("kernel_sum_rows", &Number::F32.decode(&out), &expected, 1e-5);
}

#[test]
fn matrix_times_vector() {
    let kernels = kernels();
    // The columns that a threadgroup takes; 0 is all of them.
    let all = [
        ("f32_f32", Number::F32, Number::F32, 4),
        ("f16_f32", Number::F16, Number::F32, 4),
        ("f16_f16", Number::F16, Number::F16, 4),
        ("f16_f32_1row", Number::F16, Number::F32, 1),
        ("f16_f32_l4", Number::F16, Number::F32, 0),
    ];
    for (name, left, right, at_once) in all {
        let kernel = format!("kernel_mul_mv_{name}");
        for (rows, columns, elements) in [(64, 1, 64), (37, 3, 768), (5, 6, 100), (2, 5, 1028)] {
            let matrix = Rows::plain(left, 7, rows, elements);
            let inputs = Rows::plain(right, 8, columns, elements);
            let launch = kernels.launch(&kernel).bytes(&matrix.bytes).bytes(&inputs.bytes);
            let launch = launch.room(rows * columns * 4);
            let (row, column) = (matrix.row, inputs.row);
            let launch = sizes(launch, &[elements, rows, 1, left.size(), row, row * rows]);
            let launch =
                sizes(launch, &[elements, columns, 1, right.size(), column, column * columns]);
            let launch = sizes(launch, &[rows, columns]).bytes(&word(1)).bytes(&word(1));
            let across = if at_once == 0 { 1 } else { columns.div_ceil(at_once) };
            let out = launch.groups((rows, across, 1), (32, 1, 1), 2);
            let tolerance = if right == Number::F16 { Number::F16.epsilon() } else { 1e-5 };
            let both = (matrix.weights.as_slice(), inputs.weights.as_slice());
            near_products(&kernel, &Number::F32.decode(&out), both, elements, tolerance);
        }
    }
}
