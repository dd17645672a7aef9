//! ggml's element-wise kernels, arithmetic with rows that repeat, gated units, norms, sums, triangles, pools and the like, of both packages.
//!
//! Tolerances: functions in `float`, and sums of a few hundred terms in any order, one part in 10⁵; results in `half` are rounded once.

use kernels::ggml::Ggml;
use kernels::numbers::{Number, near, noise};
use kernels::references::{dot, gelu, sigmoid, silu};
use kernels::run::Launch;
use kernels::structs::Struct;

use Number::{BF16, F16, F32};

/// The sides of an array of four dimensions and the distances of its elements, in the types that the structs have.
trait Sides {
    fn sides(self, sides: [usize; 4]) -> Self;
    fn long_sides(self, sides: [usize; 4]) -> Self;
    fn steps(self, sides: [usize; 4], size: usize) -> Self;
}

impl Sides for Struct {
    fn sides(self, sides: [usize; 4]) -> Self {
        self.i32(sides.map(|side| side as i32))
    }

    fn long_sides(self, sides: [usize; 4]) -> Self {
        self.u64(sides.map(|side| side as u64))
    }

    fn steps(self, [a, b, c, _]: [usize; 4], size: usize) -> Self {
        self.u64([1, a, a * b, a * b * c].map(|step| (step * size) as u64))
    }
}

/// Numbers that are not zero.
fn some(number: Number, seed: u64, count: usize) -> Vec<f64> {
    let nudged = |x: f64| if x == 0.0 { number.rounded(0.25) } else { x };
    number.some(seed, count).into_iter().map(nudged).collect()
}

/// The name, the number that newer kernels have for it, and the function.
type Function = (&'static str, i16, fn(f64) -> f64);

const FUNCTIONS: &[Function] = &[
    ("scale", 10, |x| 1.5 * x - 0.25),
    ("fill", 11, |_| 0.75),
    ("clamp", 12, |x| x.clamp(-1.0, 0.5)),
    ("sqr", 13, |x| x * x),
    ("sqrt", 14, f64::sqrt),
    ("sin", 15, f64::sin),
    ("cos", 16, f64::cos),
    ("log", 17, f64::ln),
    ("leaky_relu", 18, |x| if x > 0.0 { x } else { 0.125 * x }),
    ("tanh", 100, f64::tanh),
    ("relu", 101, |x| x.max(0.0)),
    ("sigmoid", 102, sigmoid),
    ("gelu", 103, gelu),
    ("gelu_erf", 104, gelu_by_error_function),
    ("gelu_quick", 105, |x| x * sigmoid(1.702 * x)),
    ("silu", 106, silu),
    ("elu", 107, |x| if x > 0.0 { x } else { x.exp_m1() }),
    ("neg", 108, |x| -x),
    ("abs", 109, f64::abs),
    ("sgn", 110, f64::signum),
    ("step", 111, |x| if x > 0.0 { 1.0 } else { 0.0 }),
    ("hardswish", 112, |x| x * ((x + 3.0) / 6.0).clamp(0.0, 1.0)),
    ("hardsigmoid", 113, |x| ((x + 3.0) / 6.0).clamp(0.0, 1.0)),
    ("exp", 114, f64::exp),
    ("softplus", 115, |x| x.exp().ln_1p()),
    ("expm1", 116, f64::exp_m1),
    ("floor", 117, f64::floor),
    ("ceil", 118, f64::ceil),
    ("round", 119, f64::round),
    ("trunc", 120, f64::trunc),
];

/// By the series of the error function, which converges for the numbers here.
fn gelu_by_error_function(x: f64) -> f64 {
    let z = x / std::f64::consts::SQRT_2;
    let (mut term, mut sum) = (z, z);
    for n in 1..40 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    0.5 * x * (1.0 + sum * 2.0 / std::f64::consts::PI.sqrt())
}

#[test]
fn functions() {
    for ggml in Ggml::all() {
        let mut ran = 0;
        for &(name, operation, function) in FUNCTIONS {
            for (number, ty) in [(F32, "f32"), (F16, "f16")] {
                for (width, suffix) in [(1, ""), (4, "_4")] {
                    let sides = [96 / width, 5, 2, 1];
                    let count = 96 * 5 * 2;
                    let mut x = some(number, 1, count);
                    if matches!(name, "sqrt" | "log") {
                        x.iter_mut().for_each(|x| *x = x.abs());
                    }
                    let own = format!("kernel_{name}_{ty}{suffix}");
                    let shared = format!("kernel_unary_{ty}_{ty}{suffix}");
                    let room = count * number.size();
                    let found = if ggml.has(&own) {
                        let fields: &[f32] = match name {
                            "scale" => &[1.5, -0.25],
                            "fill" => &[0.75],
                            "clamp" => &[-1.0, 0.5],
                            "leaky_relu" => &[0.125],
                            _ => &[],
                        };
                        let mut launch = ggml.launch(&own);
                        if !fields.is_empty() {
                            launch = launch.numbers(
                                F32,
                                &fields.iter().map(|&x| x.into()).collect::<Vec<_>>(),
                            );
                        }
                        let out = if fields.is_empty() { 1 } else { 2 };
                        let launch = launch.numbers(number, &x).room(room);
                        let [found] = launch.grid((count / width, 1, 1), (64, 1, 1), [out]);
                        found
                    } else if ggml.has(&shared) {
                        // Every second one by rows; whole arrays have a threadgroup for each element.
                        let whole = operation % 2 == 0;
                        let size = width * number.size();
                        let arguments = Struct::new().sides(sides).steps(sides, size);
                        let arguments = arguments.sides(sides).steps(sides, size);
                        let values = match name {
                            "clamp" => [0.125, 1.5, -0.25, 0.75, -1.0, 0.5],
                            _ => [0.125, 1.5, -0.25, 0.75, 0.0, 0.0],
                        };
                        let launch = ggml.launch(&shared).constant(1200, operation);
                        let launch =
                            launch.constant(1201, whole).bytes(&arguments.f32(values).bytes());
                        let launch = launch.numbers(number, &x).room(room);
                        let threads = 16;
                        let groups = match whole {
                            true => (count / width, 1, 1),
                            false => (sides[0].div_ceil(threads) * sides[1], sides[2], 1),
                        };
                        launch.groups(groups, (if whole { 1 } else { threads }, 1, 1), 2)
                    } else {
                        continue;
                    };
                    ran += 1;
                    let expected: Vec<f64> =
                        x.iter().map(|&x| number.rounded(function(x))).collect();
                    let what = format!("{}: {name} of {ty}{suffix}", ggml.package);
                    near(&what, &number.decode(&found), &expected, 1e-5 + 2.0 * number.epsilon());
                }
            }
        }
        assert!(ran >= 52, "{}: {ran} functions", ggml.package);
    }
}

/// A name, and the function of two numbers.
type Pair = (&'static str, fn(f64, f64) -> f64);

const ARITHMETIC: &[Pair] =
    &[("add", |x, y| x + y), ("sub", |x, y| x - y), ("mul", |x, y| x * y), ("div", |x, y| x / y)];

/// The arguments of arithmetic between an array and smaller ones, whose bytes are `apart` from each other.
fn between(
    ggml: &Ggml,
    kernel: &str,
    sides: [usize; 4],
    small: [usize; 4],
    size: usize,
    apart: usize,
) -> Vec<u8> {
    let fields = Struct::new().sides(sides).steps(sides, size).sides(small).steps(small, size);
    let fields = fields.sides(sides).steps(sides, size).u64([0]);
    let fields = fields.u64(std::array::from_fn::<u64, 8, _>(|at| (at * apart) as u64));
    ggml.arguments(kernel, "bin", fields)
}

#[test]
fn arithmetic() {
    let (sides, count) = ([24, 5, 4, 3], 24 * 5 * 4 * 3);
    for ggml in Ggml::all() {
        let mut ran = 0;
        for (operation, &(name, function)) in ARITHMETIC.iter().enumerate() {
            for terms in 1..=8 {
                for rows in [false, true] {
                    for (number, ty) in [(F32, "f32"), (F16, "f16")] {
                        // A row of 24 elements, or an array of half the sides.
                        let small = if rows { [24, 1, 1, 1] } else { [12, 5, 2, 1] };
                        let of_one: usize = small.iter().product();
                        let x = some(number, 1, count);
                        let y = some(number, 2, terms * of_one);
                        let apart = of_one * number.size();
                        let (width, own, shared) = match rows {
                            true => (
                                4,
                                format!("kernel_{name}_row_c4_fuse_{terms}"),
                                format!("kernel_bin_fuse_{ty}_{ty}_{ty}_4"),
                            ),
                            false => (
                                1,
                                format!("kernel_{name}_fuse_{terms}"),
                                format!("kernel_bin_fuse_{ty}_{ty}_{ty}"),
                            ),
                        };
                        let vectors =
                            |sides: [usize; 4]| [sides[0] / width, sides[1], sides[2], sides[3]];
                        let room = count * number.size();
                        let begin = |launch: Launch<'static>, arguments: &[u8]| {
                            launch
                                .bytes(arguments)
                                .numbers(number, &x)
                                .numbers(number, &y)
                                .room(room)
                        };
                        let (found, kernel) = if number == F32 && ggml.has(&own) {
                            let arguments = between(ggml, &own, sides, small, 4, apart);
                            let launch = begin(ggml.launch(&own), &arguments);
                            let found = match rows {
                                true => launch.grid((count / 4, 1, 1), (64, 1, 1), [3])[0].clone(),
                                false => launch.groups((5, 4, 3), (16, 1, 1), 3),
                            };
                            (found, own)
                        } else if ggml.has(&shared) && (terms == 1 || number == F32) {
                            let size = number.size() * width;
                            let arguments =
                                between(ggml, &shared, vectors(sides), vectors(small), size, apart);
                            let launch = ggml.launch(&shared).constant(1300, operation as i16);
                            let launch = launch.constant(1301, terms as i16).constant(1302, rows);
                            let launch = begin(launch.constant(1303, !rows), &arguments);
                            let found = match rows {
                                true => launch.groups((6, count / 24, 1), (1, 1, 1), 3),
                                false => launch.groups((5, 4, 3), (16, 1, 1), 3),
                            };
                            (found, shared)
                        } else {
                            continue;
                        };
                        ran += 1;
                        let expected: Vec<f64> = (0..count)
                            .map(|at| {
                                let place = [at % 24, at / 24 % 5, at / 120 % 4, at / 480];
                                let at_small = (0..4).rev().fold(0, |sum, axis| {
                                    sum * small[axis] + place[axis] % small[axis]
                                });
                                (0..terms).fold(x[at], |sum, term| {
                                    function(sum, y[term * of_one + at_small])
                                })
                            })
                            .collect();
                        let what = format!("{}: {kernel}: {name} of {terms}", ggml.package);
                        near(
                            &what,
                            &number.decode(&found),
                            &expected,
                            1e-5 + 2.0 * number.epsilon(),
                        );
                    }
                }
            }
        }
        assert!(ran >= 22, "{}: {ran} kernels ran", ggml.package);
    }
}

#[test]
fn repetitions_and_triangles() {
    for ggml in Ggml::all() {
        for (ty, size) in [("f32", 4), ("f16", 2), ("bf16", 2), ("i32", 4), ("i16", 2)] {
            let kernel = format!("kernel_repeat_{ty}");
            if !ggml.has(&kernel) {
                assert_eq!(ty, "bf16", "{}", ggml.package);
                continue;
            }
            let (small, sides) = ([3, 2, 1, 2], [6, 4, 3, 2]);
            let bytes: Vec<u8> = noise(1).take(12 * size).map(|bits| bits as u8).collect();
            let fields =
                Struct::new().sides(small).steps(small, size).sides(sides).steps(sides, size);
            let launch = ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, "repeat", fields));
            let found = launch.bytes(&bytes).room(144 * size).groups((4, 3, 2), (4, 1, 1), 2);
            let expected = (0..144).flat_map(|at| {
                let place = [at % 6, at / 6 % 4, at / 24 % 3, at / 72];
                let from = (place[3] % 2 * 2 + place[1] % 2) * 3 + place[0] % 3;
                bytes[from * size..(from + 1) * size].to_vec()
            });
            assert!(found.into_iter().eq(expected), "{}: {kernel}", ggml.package);
        }
        for (number, ty) in [(F32, "f32"), (F16, "f16"), (BF16, "bf16")] {
            for kind in 0..4 {
                let kernel = format!("kernel_tri_{ty}_{kind}");
                let (sides, count) = ([7, 6, 2, 1], 84);
                let x = number.some(1, count);
                let fields = Struct::new().sides(sides).steps(sides, number.size());
                let fields = fields.sides(sides).steps(sides, number.size());
                let launch = ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, "tri", fields));
                let launch = launch.numbers(number, &x).room(count * number.size());
                let found = launch.groups((6, 2, 1), (4, 1, 1), 2);
                let expected: Vec<f64> = (0..count)
                    .map(|at| {
                        let (column, row) = (at % 7, at / 7 % 6);
                        let is = [column >= row, column > row, column <= row, column < row][kind];
                        if is { x[at] } else { 0.0 }
                    })
                    .collect();
                near(&kernel, &number.decode(&found), &expected, 0.0);
            }
        }
    }
}

/// The gate of a unit; the other input is multiplied.
const UNITS: &[Pair] = &[
    ("reglu", |x, y| x.max(0.0) * y),
    ("geglu", |x, y| gelu(x) * y),
    ("swiglu", |x, y| silu(x) * y),
    ("swiglu_oai", |x, y| {
        let x = x.min(1.5);
        x * sigmoid(1.75 * x) * (1.0 + y.clamp(-1.5, 1.5))
    }),
    ("swiglu_clamp", |x, y| silu(x.min(1.5)) * y.clamp(-1.5, 1.5)),
    ("geglu_erf", |x, y| gelu_by_error_function(x) * y),
    ("geglu_quick", |x, y| x * sigmoid(1.702 * x) * y),
];

#[test]
fn gated_units() {
    for ggml in Ggml::all() {
        for &(name, unit) in UNITS {
            for (number, ty) in [(F32, "f32"), (F16, "f16")] {
                let kernel = format!("kernel_{name}_{ty}");
                if !ggml.has(&kernel) {
                    assert_eq!(ggml.package, "whisper-rs-sys", "{kernel}");
                    assert!(number == F16 || name == "swiglu_clamp", "{kernel}");
                    continue;
                }
                // The halves of rows, and of two arrays.
                let (rows, width) = (3, 50);
                let x = number.some(1, rows * 2 * width);
                let (row, out) =
                    ((2 * width * number.size()) as u64, (width * number.size()) as u64);
                let fields = Struct::new().i32([2 * width as i32]).u64([row]);
                let fields =
                    fields.i32([2 * width as i32]).u64([row]).i32([width as i32]).u64([out]);
                let fields = fields.i32([0, width as i32]).f32([1.75, 1.5]);
                let launch = ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, "glu", fields));
                let launch = launch.numbers(number, &x).again(1).room(rows * width * number.size());
                let found = launch.groups((rows, 1, 1), (32, 1, 1), 3);
                let expected: Vec<f64> = x
                    .chunks(2 * width)
                    .flat_map(|row| (0..width).map(move |at| unit(row[at], row[width + at])))
                    .collect();
                near(&kernel, &number.decode(&found), &expected, 1e-5 + number.epsilon());
            }
        }
    }
}

/// A row without its mean, over its deviation.
fn normal(row: &[f64], epsilon: f64) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let square = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / row.len() as f64;
    row.iter().map(|x| (x - mean) / (square + epsilon).sqrt()).collect()
}

#[test]
fn norms() {
    let (rows, elements) = (3usize, 100usize);
    let x = F32.some(1, rows * elements);
    let (factor, added) = (F32.some(2, elements), F32.some(3, elements));
    let (row, all) = (4 * elements as u64, (4 * rows * elements) as u64);
    for ggml in Ggml::all() {
        for (suffix, width) in [("", 1), ("_4", 4)] {
            for (name, kind) in [("", 1), ("_mul", 2), ("_mul_add", 3)] {
                let kernel = format!("kernel_norm{name}_f32{suffix}");
                let fields = Struct::new().i32([elements as i32, elements as i32 / width]);
                let fields = fields.u64([row, all, all]).f32([1e-5]);
                let fields = fields.i32([rows as i32, 1, 1]).i32([1; 6]);
                let fields = fields.u64([row; 3]).u64([all, row, row]).u64([all, row, row]);
                let launch = ggml.launch(&kernel).constant(1700, false);
                let launch = launch.bytes(&ggml.arguments(&kernel, "norm", fields));
                let launch = launch.numbers(F32, &x).numbers(F32, &factor).numbers(F32, &added);
                let launch = launch.room(4 * rows * elements).memory(0, 128);
                let found = launch.groups((rows, 1, 1), (64, 1, 1), 4);
                let expected: Vec<f64> = x
                    .chunks(elements)
                    .flat_map(|row| {
                        let both = factor.iter().zip(&added);
                        let each = normal(row, 1e-5).into_iter().zip(both);
                        each.map(|(x, (f, a))| {
                            x * if kind > 1 { *f } else { 1.0 } + if kind > 2 { *a } else { 0.0 }
                        })
                    })
                    .collect();
                near(&kernel, &F32.decode(&found), &expected, 2e-5);
            }
        }
        // Rows over their lengths, which are at least the last argument. The packages have a kernel each, and structs of their own.
        let (names, fields) = match ggml.package {
            "whisper-rs-sys" => {
                let fields = Struct::new().i32([elements as i32, elements as i32 / 4]);
                (vec!["kernel_l2_norm_f32"], vec![fields.u64([row]).f32([1e-5])])
            }
            _ => {
                let fields = [1, 4].map(|width| {
                    let side = |own: Struct| {
                        let own = own.i32([elements as i32 / width, rows as i32, 1, 1]);
                        own.u64([4 * width as u64, row, all, all])
                    };
                    side(side(Struct::new())).f32([1e-5])
                });
                (vec!["kernel_l2_norm_f32_f32", "kernel_l2_norm_f32_f32_4"], fields.to_vec())
            }
        };
        for (kernel, fields) in names.into_iter().zip(fields) {
            let launch = ggml.launch(kernel).bytes(&fields.bytes()).numbers(F32, &x);
            let launch = launch.room(4 * rows * elements).memory(0, 128);
            let found = launch.groups((rows, 1, 1), (64, 1, 1), 2);
            let expected: Vec<f64> = x
                .chunks(elements)
                .flat_map(|row| {
                    let length = dot(row, row).sqrt();
                    row.iter().map(move |x| x / length).collect::<Vec<_>>()
                })
                .collect();
            near(kernel, &F32.decode(&found), &expected, 1e-5);
        }
        // Groups of two channels of 5 by 4, the last of one.
        let kernel = "kernel_group_norm_f32";
        let x = F32.some(4, 5 * 4 * 6);
        let fields = Struct::new().u64([5, 4, 6]).u64([4, 20, 80]).i32([3]).f32([1e-5]);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "group_norm", fields));
        let launch = launch.numbers(F32, &x).room(480).memory(0, 128);
        let found = launch.groups((3, 1, 1), (64, 1, 1), 2);
        let expected: Vec<f64> = x.chunks(40).flat_map(|group| normal(group, 1e-5)).collect();
        near(kernel, &F32.decode(&found), &expected, 2e-5);
    }
}

#[test]
fn sums_and_positions() {
    for ggml in Ggml::all() {
        let x = F32.some(1, 3 * 100);
        let kernel = "kernel_op_sum_f32";
        let launch = ggml.launch(kernel).longs([300]).numbers(F32, &x).room(4).memory(0, 128);
        let found = launch.groups((1, 1, 1), (64, 1, 1), 2);
        near(kernel, &F32.decode(&found), &[x.iter().sum()], 1e-4);

        for mean in [false, true] {
            for (shared, width) in
                [("kernel_sum_rows_f32_f32", 1), ("kernel_sum_rows_f32_f32_4", 4)]
            {
                let own = if mean { "kernel_mean_f32" } else { "kernel_sum_rows_f32" };
                let kernel = if ggml.has(own) { own } else { shared };
                let width = if ggml.has(own) { 1 } else { width };
                let (from, to) = ([100 / width, 3, 1, 1], [1, 3, 1, 1]);
                let fields = Struct::new().long_sides(from).steps(from, 4 * width);
                let fields = fields.long_sides(to).steps(to, 4);
                let operation =
                    if mean { "OP_SUM_ROWS_NUM_MEAN" } else { "OP_SUM_ROWS_NUM_SUM_ROWS" };
                let mut launch = ggml.launch(kernel);
                if kernel == shared {
                    launch = launch.constant(1400, ggml.defined(kernel, &[operation]) as i16);
                }
                let launch = launch.bytes(&ggml.arguments(kernel, "sum_rows", fields));
                let launch = launch.numbers(F32, &x).room(12).memory(0, 128 * width);
                let found = launch.groups((3, 1, 1), (64, 1, 1), 2);
                let divisor = if mean { 100.0 } else { 1.0 };
                let expected: Vec<f64> =
                    x.chunks(100).map(|row| row.iter().sum::<f64>() / divisor).collect();
                near(kernel, &F32.decode(&found), &expected, 1e-4);
            }
        }

        let kernel = "kernel_argmax_f32";
        for threads in [32, 96] {
            let fields = Struct::new().u64([100, 400]);
            let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "argmax", fields));
            let launch = launch.numbers(F32, &x).room(12).memory(0, 256);
            let found = launch.groups((3, 1, 1), (threads, 1, 1), 2);
            let expected: Vec<f64> = x
                .chunks(100)
                .map(|row| {
                    let most = row.iter().copied().fold(f64::MIN, f64::max);
                    row.iter().position(|&x| x == most).unwrap_or_default() as f64
                })
                .collect();
            near(kernel, &Number::U32.decode(&found), &expected, 0.0);
        }

        // Running sums: of blocks of 64, then with the sums of the blocks before.
        let (kernel, then) = ("kernel_cumsum_blk_f32", "kernel_cumsum_add_f32");
        let (sides, blocks) = ([100, 3, 1, 1], [2, 3, 1, 1]);
        let fields = Struct::new().long_sides(sides).steps(sides, 4);
        let fields = fields.long_sides(blocks).steps(blocks, 4);
        let launch = ggml.launch(kernel);
        let launch = launch.bytes(&ggml.arguments(kernel, "cumsum_blk", fields.clone().u8([1])));
        let launch = launch.numbers(F32, &x).room(24).room(1200).memory(0, 128);
        let [sums, found] = launch.results((6, 1, 1), (64, 1, 1), [2, 3]);
        let sums = F32.decode(&sums);
        let before: Vec<f64> = sums.chunks(2).flat_map(|row| [row[0], row[0] + row[1]]).collect();
        let launch = ggml.launch(then).bytes(&ggml.arguments(then, "cumsum_add", fields));
        let launch = launch.numbers(F32, &before).bytes(&found);
        let found = launch.groups((6, 1, 1), (64, 1, 1), 2);
        let expected: Vec<f64> = x
            .chunks(100)
            .flat_map(|row| {
                row.iter().scan(0.0, |sum, x| {
                    *sum += x;
                    Some(*sum)
                })
            })
            .collect();
        near(kernel, &F32.decode(&found), &expected, 1e-4);

        let kernel = "kernel_count_equal_i32";
        let (a, b): (Vec<u64>, Vec<u64>) =
            noise(5).take(60).map(|bits| (bits % 3, bits / 3 % 3)).unzip();
        let word =
            |all: &[u64]| all.iter().flat_map(|&x| (x as u32).to_le_bytes()).collect::<Vec<_>>();
        let sides = [20, 3, 1, 1];
        let fields = Struct::new().sides(sides).steps(sides, 4).steps(sides, 4);
        let launch = ggml.launch(kernel).constant(ggml.defined(kernel, &["FC_COUNT_EQUAL"]), 2i16);
        let launch = launch.bytes(&ggml.arguments(kernel, "count_equal", fields));
        let launch = launch.bytes(&word(&a)).bytes(&word(&b)).bytes(&[0; 4]).memory(0, 128);
        let found = launch.groups((3, 1, 1), (64, 1, 1), 3);
        let same = a.iter().zip(&b).filter(|(a, b)| a == b).count();
        assert_eq!(found, (same as u32).to_le_bytes(), "{kernel}");
    }
}

#[test]
fn images_and_series() {
    for ggml in Ggml::all() {
        // Windows of 3 by 2 in steps of 2 by 1, with a border of one on each side: that counts for means, as zero.
        let (ih, iw, oh, ow, channels) = (7, 6, 8, 4, 2);
        let x = F32.some(1, channels * ih * iw);
        for (name, most) in [("max", true), ("avg", false)] {
            let kernel = format!("kernel_pool_2d_{name}_f32");
            let fields = Struct::new().i32([3, 2, 2, 1, 1, 1]);
            let fields = fields.u64([ih, iw, oh, ow, channels * oh * ow].map(|side| side as u64));
            let launch = ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, "pool_2d", fields));
            let launch = launch.numbers(F32, &x).room(4 * channels * oh * ow);
            let [found] = launch.grid((channels * oh * ow, 1, 1), (32, 1, 1), [2]);
            let expected: Vec<f64> = (0..channels * oh * ow)
                .map(|at| {
                    let (channel, row, column) = (at / ow / oh, at / ow % oh, at % ow);
                    let rows = row.saturating_sub(1)..(row + 1).min(ih);
                    let columns = (2 * column).saturating_sub(1)..(2 * column + 2).min(iw);
                    let of_row = |row: usize| {
                        columns.clone().map(move |column| (channel * ih + row) * iw + column)
                    };
                    let seen = rows.flat_map(of_row).map(|at| x[at]);
                    if most { seen.fold(f64::MIN, f64::max) } else { seen.sum::<f64>() / 6.0 }
                })
                .collect();
            near(&kernel, &F32.decode(&found), &expected, 1e-5);
        }

        // Three more columns and one more row.
        let (from, to) = ([5, 2, 1, 1], [8, 3, 1, 1]);
        let x = F32.some(2, 10);
        let kernel = "kernel_pad_f32";
        let fields = Struct::new().long_sides(from).steps(from, 4).long_sides(to).steps(to, 4);
        // Newer ones may wrap around.
        let launch = ggml.launch(kernel).constant(2100, false);
        let launch = launch.bytes(&ggml.arguments(kernel, "pad", fields));
        let found = launch.numbers(F32, &x).room(96).groups((3, 1, 1), (8, 1, 1), 2);
        let inside = |at: usize| at % 8 < 5 && at / 8 < 2;
        let expected: Vec<f64> =
            (0..24).map(|at| if inside(at) { x[at / 8 * 5 + at % 8] } else { 0.0 }).collect();
        near(kernel, &F32.decode(&found), &expected, 0.0);

        // Two columns before and three after, as in a mirror.
        let to = [10, 2, 1, 1];
        let kernel = "kernel_pad_reflect_1d_f32";
        let fields = Struct::new().long_sides(from).steps(from, 4).long_sides(to).steps(to, 4);
        let fields = fields.i32([2, 3]);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "pad_reflect_1d", fields));
        let found = launch.numbers(F32, &x).room(80).groups((2, 1, 1), (4, 1, 1), 2);
        let mirrored = [2, 1, 0, 1, 2, 3, 4, 3, 2, 1];
        let expected: Vec<f64> = (0..20).map(|at| x[at / 10 * 5 + mirrored[at % 10]]).collect();
        near(kernel, &F32.decode(&found), &expected, 0.0);

        let kernel = "kernel_arange_f32";
        let fields = Struct::new().u64([30]).f32([1.5, 0.25]);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "arange", fields));
        let found = launch.room(120).groups((1, 1, 1), (8, 1, 1), 1);
        let expected: Vec<f64> = (0..30).map(|at| 1.5 + 0.25 * f64::from(at)).collect();
        near(kernel, &F32.decode(&found), &expected, 0.0);

        // Cosines and sines of times at falling frequencies; an odd size has a zero at its end.
        let kernel = "kernel_timestep_embedding_f32";
        let times = [0.5, 3.0, 7.25];
        let fields = Struct::new().u64([36]).i32([9, 100]);
        let launch =
            ggml.launch(kernel).bytes(&ggml.arguments(kernel, "timestep_embedding", fields));
        let found = launch.numbers(F32, &times).room(108).groups((3, 1, 1), (4, 1, 1), 2);
        let expected: Vec<f64> = (0..27)
            .map(|at| {
                let (time, at) = (times[at / 9], at % 9);
                let angle = time * 100f64.powf(-((at % 4) as f64) / 4.0);
                if at == 8 {
                    0.0
                } else if at < 4 {
                    angle.cos()
                } else {
                    angle.sin()
                }
            })
            .collect();
        near(kernel, &F32.decode(&found), &expected, 1e-5);

        // The parameters of a step: the rate, the decays of both moments, a least divisor, the weight's decay, and corrections.
        let kernel = "kernel_opt_step_adamw_f32";
        let [x, g, m, v] = [1, 2, 3, 4].map(|seed| F32.some(seed, 40));
        let v: Vec<f64> = v.iter().map(|v| v.abs()).collect();
        let parameters = [0.125, 0.9, 0.99, 1e-3, 0.01, 1.25, 1.5];
        let launch = ggml.launch(kernel).longs([40]).numbers(F32, &x).numbers(F32, &g);
        let launch = launch.numbers(F32, &m).numbers(F32, &v).numbers(F32, &parameters);
        let found = launch.grid((40, 1, 1), (32, 1, 1), [1, 3, 4]).map(|bytes| F32.decode(&bytes));
        let [rate, first, second, least, decay, of_first, of_second] = parameters;
        let mut expected = [const { Vec::new() }; 3];
        for at in 0..40 {
            let m = m[at] * first + g[at] * (1.0 - first);
            let v = v[at] * second + g[at] * g[at] * (1.0 - second);
            let step = m * of_first / ((v * of_second).sqrt() + least);
            let all = [x[at] * (1.0 - rate * decay) - rate * step, m, v];
            expected.iter_mut().zip(all).for_each(|(list, value)| list.push(value));
        }
        for (found, expected) in found.iter().zip(&expected) {
            near(kernel, found, expected, 1e-5);
        }
        let kernel = "kernel_opt_step_sgd_f32";
        let launch = ggml.launch(kernel).longs([40]).numbers(F32, &x).numbers(F32, &g);
        let launch = launch.numbers(F32, &[0.125, 0.5]);
        let [found] = launch.grid((40, 1, 1), (32, 1, 1), [1]);
        let expected: Vec<f64> =
            x.iter().zip(&g).map(|(x, g)| x * (1.0 - 0.125 * 0.5) - 0.125 * g).collect();
        near(kernel, &F32.decode(&found), &expected, 1e-5);

        // Rows of the second that indices choose are added.
        let kernel = "kernel_add_id";
        let (rows, width) = (3, 10);
        let (x, y) = (F32.some(1, 2 * rows * width), F32.some(2, 5 * width));
        let chosen = [4usize, 0, 2, 2, 1, 3];
        let row = 4 * width as u64;
        let fields = Struct::new().u64([width as u64, rows as u64, row, row * 3, row, 12]);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "add_id", fields));
        let launch = launch.numbers(F32, &x).numbers(F32, &y).words(chosen).room(4 * x.len());
        let found = launch.groups((rows, 2, 1), (4, 1, 1), 4);
        let expected: Vec<f64> =
            (0..x.len()).map(|at| x[at] + y[chosen[at / width] * width + at % width]).collect();
        near(kernel, &F32.decode(&found), &expected, 1e-6);
    }
}

#[test]
fn moves_and_signals() {
    for ggml in Ggml::all() {
        // The older one has its value from a `float`.
        let kernel = "kernel_memset_i64";
        let (value, arguments) = match ggml.package {
            "whisper-rs-sys" => (37, Struct::new().f32([37.0])),
            _ => (0x0123_4567_89ab_cdef, Struct::new().u64([0x0123_4567_89ab_cdef])),
        };
        let launch = ggml.launch(kernel).bytes(&arguments.bytes());
        let [found] = launch.room(80).grid((10, 1, 1), (8, 1, 1), [1]);
        assert_eq!(found, u64::to_le_bytes(value).repeat(10), "{kernel}");
        if ggml.package == "whisper-rs-sys" {
            assert!(!ggml.has("kernel_roll_f32"));
            continue;
        }
        let x = F32.some(1, 7 * 4 * 3 * 2);

        // Each axis by a number of places, one of them backwards.
        let kernel = "kernel_roll_f32";
        let (sides, by) = ([7, 4, 3, 2], [3, -1, 2, 1]);
        let fields = Struct::new().long_sides(sides).steps(sides, 4);
        let fields = fields.long_sides(sides).steps(sides, 4).i32(by);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "roll", fields));
        let found = launch.numbers(F32, &x).room(4 * x.len()).groups((4, 3, 2), (4, 1, 1), 2);
        let expected: Vec<f64> = (0..x.len())
            .map(|at| {
                let place = [at % 7, at / 7 % 4, at / 28 % 3, at / 84];
                let from = (0..4).rev().fold(0, |sum, axis| {
                    let side = sides[axis] as i32;
                    sum * sides[axis] + (place[axis] as i32 - by[axis]).rem_euclid(side) as usize
                });
                x[from]
            })
            .collect();
        near(kernel, &F32.decode(&found), &expected, 0.0);

        // Rows as the diagonals of matrices.
        let kernel = "kernel_diag_f32";
        let (from, to) = ([7, 1, 4, 3], [7, 7, 4, 3]);
        let fields = Struct::new().sides(from).steps(from, 4).sides(to).steps(to, 4);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "diag", fields));
        let found = launch.numbers(F32, &x).room(4 * 7 * 84).groups((7, 4, 3), (32, 1, 1), 2);
        let value = |at: usize| if at % 7 == at / 7 % 7 { x[at / 49 * 7 + at % 7] } else { 0.0 };
        let expected: Vec<f64> = (0..7 * 84).map(value).collect();
        near(kernel, &F32.decode(&found), &expected, 0.0);

        let kernel = "kernel_silu_back_f32";
        let dy = F32.some(2, x.len());
        let launch = ggml.launch(kernel).longs([x.len()]).numbers(F32, &dy).numbers(F32, &x);
        let [found] = launch.room(4 * x.len()).grid((x.len(), 1, 1), (32, 1, 1), [3]);
        let slope = |x: f64| sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)));
        let expected: Vec<f64> = x.iter().zip(&dy).map(|(&x, dy)| dy * slope(x)).collect();
        near(kernel, &F32.decode(&found), &expected, 1e-5);

        // A number and the square of a sine, with a frequency and a factor for each row.
        for (number, ty) in [(F32, "f32"), (F16, "f16"), (BF16, "bf16")] {
            let kernel = format!("kernel_snake_{ty}");
            let x = number.some(3, 7 * 24);
            let (often, much) = (F32.some(4, 24), F32.some(5, 24));
            let fields = Struct::new().i32([7, 24]);
            let launch = ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, "snake", fields));
            let launch = launch.numbers(number, &x).numbers(F32, &often).numbers(F32, &much);
            let found = launch.room(x.len() * number.size()).groups((6, 1, 1), (32, 1, 1), 4);
            let each = x.iter().enumerate();
            let expected: Vec<f64> =
                each.map(|(at, x)| x + (often[at / 7] * x).sin().powi(2) * much[at / 7]).collect();
            near(&kernel, &number.decode(&found), &expected, 1e-5 + number.epsilon());
        }
    }
}
