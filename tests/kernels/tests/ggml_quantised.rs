//! ggml's products of quantised matrices, in every format that its source has.
//!
//! Tolerances are in units of the sum of the products' sizes. Matrix-vector products are sums in `float`: they differ
//! by the order of addition, and where a kernel takes scales out of a sum, by less than one part in 10⁵. Kernels on
//! matrices make `half`s of weights (`bfloat`s where the weights are that) and round the inputs to them, which
//! is one part in 2¹¹ (2⁸) for each product, and for weights that are a product themselves one more.
//! Products of a few columns take weights from the functions that make `half`s, but as `float`s: one part in 10³.

use kernels::blocks::{FORMATS, Format};
use kernels::ggml::Ggml;
use kernels::numbers::{Number, near};
use kernels::products::{Rows, narrowed, near_products, products};
use kernels::run::Launch;
use kernels::structs::Struct;

/// Rows of the matrix, columns of the other side, elements of a sum.
const SHAPES: [(usize, usize, usize); 3] = [(64, 1, 256), (37, 3, 768), (130, 33, 1024)];

/// How many rows a SIMD-group takes, how many SIMD-groups a threadgroup has, and how many rows that takes.
fn vector_shape(ggml: &Ggml, kernel: &str, format: &Format) -> (usize, usize, usize) {
    let name = format.name.to_uppercase();
    let rows = ggml.defined(kernel, &[&format!("N_R0_{name}")]);
    let simdgroups = ggml.defined(kernel, &[&format!("N_SG_{name}")]);
    // The SIMD-groups of q8_0 share rows, those of the others do not.
    (rows, simdgroups, if format.name == "q8_0" { rows } else { rows * simdgroups })
}

/// Room for the tables that some kernels copy to threadgroup memory, and for the sums of SIMD-groups.
const SHARED: usize = 8192;

/// Matrix times columns: sizes and steps of both sides and sizes of the result.
fn vector_arguments(format: &Format, (rows, columns, elements): (usize, usize, usize)) -> Struct {
    let (k, m, n) = (elements as i32, rows as i32, columns as i32);
    let row = elements / format.weights * format.bytes;
    let steps = [format.bytes, row, row * rows, row * rows].map(|step| step as u64);
    let column = 4 * elements as u64;
    let whole = column * columns as u64;
    let first = Struct::new().i32([k, m, 1]).u64(steps);
    let second = first.i32([k, n, 1]).u64([4, column, whole, whole]);
    second.i32([m, n])
}

/// A launch with the constants of all products of vectors. The sizes are in the arguments of older kernels.
fn vector_launch(ggml: &'static Ggml, kernel: &str, simdgroups: usize) -> Launch<'static> {
    let launch = ggml.launch(kernel).constant(600, simdgroups as i16).constant(605, false);
    [602, 603, 604].into_iter().fold(launch, |launch, index| launch.constant(index, 1i16))
}

/// A launch with the constants of all products of matrices.
fn matrix_launch(ggml: &'static Ggml, kernel: &str) -> Launch<'static> {
    let launch = ggml.launch(kernel).constant(706, false);
    [702, 703, 704, 705].into_iter().fold(launch, |launch, index| launch.constant(index, 1i16))
}

#[test]
fn matrix_times_vector() {
    for ggml in Ggml::all() {
        for format in FORMATS {
            for (rows, columns, elements) in SHAPES {
                let matrix = Rows::some(format, 31, rows, elements);
                let inputs = Number::F32.some(32, columns * elements);
                let kernel = format!("kernel_mul_mv_{}_f32", format.name);
                let (rows_each, simdgroups, rows_of_group) = vector_shape(ggml, &kernel, format);
                let arguments = vector_arguments(format, (rows, columns, elements));
                let arguments = arguments.i32([rows_each as i32]).i16([1, 1]);
                let arguments = ggml.arguments(&kernel, "mul_mv", arguments);
                // Rows past the last one are read, and not written: there has to be something.
                let padding = vec![0; matrix.row * 8];
                let launch = vector_launch(ggml, &kernel, simdgroups).bytes(&arguments);
                let launch = launch.bytes(&[matrix.bytes.as_slice(), &padding].concat());
                let launch = launch.bytes(&Number::F32.encode(&inputs));
                let launch = launch.room(rows * columns * 4).memory(0, SHARED);
                let groups = (rows.div_ceil(rows_of_group), columns, 1);
                let out = Number::F32.decode(&launch.groups(groups, (32, simdgroups, 1), 3));
                near_products(&kernel, &out, (&matrix.weights, &inputs), elements, 1e-5);
            }
        }
    }
}

/// The formats that the source multiplies matrices of: name and rows.
fn matrices(rows: usize, elements: usize) -> Vec<(&'static str, Rows)> {
    let quantised =
        FORMATS.iter().map(|format| (format.name, Rows::some(format, 41, rows, elements)));
    let plain = [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];
    let plain = plain.map(|(name, number)| (name, Rows::plain(number, 42, rows, elements)));
    quantised.chain(plain).collect()
}

#[test]
fn matrix_times_matrix() {
    for ggml in Ggml::all() {
        for (rows, columns, elements) in SHAPES {
            for (name, matrix) in matrices(rows, elements) {
                for (input, number) in [("f32", Number::F32), ("f16", Number::F16)] {
                    if name == "bf16" && input == "f16" {
                        continue;
                    }
                    let kernel = format!("kernel_mul_mm_{name}_{input}");
                    let inputs = number.some(43, columns * elements);
                    let (row, all) = (matrix.row as u64, (matrix.row * rows) as u64);
                    let column = (number.size() * elements) as u64;
                    let whole = column * columns as u64;
                    let arguments = Struct::new().i32([elements as i32, 1]).u64([row, all, all]);
                    let arguments =
                        arguments.i32([1]).u64([number.size() as u64, column, whole, whole]);
                    let arguments = arguments.i32([rows as i32, columns as i32]).i16([1, 1]);
                    let arguments = ggml.arguments(&kernel, "mul_mm", arguments);
                    let launch = matrix_launch(ggml, &kernel).constant(700, elements % 32 != 0);
                    let launch = launch.constant(701, rows % 64 != 0 || columns % 32 != 0);
                    let launch = launch.bytes(&arguments).bytes(&matrix.bytes);
                    let launch = launch.bytes(&number.encode(&inputs)).room(rows * columns * 4);
                    let groups = (columns.div_ceil(32), rows.div_ceil(64), 1);
                    let out = launch.memory(0, SHARED).groups(groups, (128, 1, 1), 3);
                    let part = if name == "bf16" { Number::BF16 } else { Number::F16 };
                    let (left, right) = (narrowed(part, &matrix.weights), narrowed(part, &inputs));
                    let out = Number::F32.decode(&out);
                    near_products(&kernel, &out, (&left, &right), elements, 2.0 * part.epsilon());
                }
            }
        }
    }
}

#[test]
fn rows_by_number() {
    for ggml in Ggml::all() {
        let (rows, elements) = (40, 512);
        for format in FORMATS {
            let kernel = format!("kernel_get_rows_{}", format.name);
            let matrix = Rows::some(format, 51, rows, elements);
            let picks = [3u32, 39, 0, 17, 3];
            let (row, all) = (matrix.row as u64, (matrix.row * rows) as u64);
            let (out_row, tall) = (4 * elements as u64, (4 * elements * picks.len()) as u64);
            let arguments = Struct::new().i32([elements as i32 / 16, elements as i32]);
            let arguments = arguments.u64([row, all, all]).i32([picks.len() as i32]);
            let arguments = arguments.u64([4, 20, 20, out_row, tall, tall]);
            let numbers: Vec<u8> = picks.iter().flat_map(|pick| pick.to_le_bytes()).collect();
            let arguments = ggml.arguments(&kernel, "get_rows", arguments);
            let launch = ggml.launch(&kernel).bytes(&arguments).bytes(&matrix.bytes);
            let launch = launch.bytes(&numbers).room(picks.len() * elements * 4);
            let out = launch.groups((picks.len(), 1, 1), (elements / 16, 1, 1), 3);
            let row = |&pick: &u32| matrix.weights[pick as usize * elements..][..elements].to_vec();
            let expected: Vec<f64> = picks.iter().flat_map(row).collect();
            // Some kernels make a half of the scale's products.
            near(&kernel, &Number::F32.decode(&out), &expected, 1e-3);
        }
    }
}

/// Experts, those that each token takes, tokens.
const EXPERTS: (usize, usize, usize) = (5, 2, 7);

/// Which experts each token takes; no two the same.
fn choices() -> Vec<usize> {
    let (experts, taken, tokens) = EXPERTS;
    (0..tokens * taken).map(|at| (at / taken * 3 + at % taken * 2) % experts).collect()
}

/// Each token times the matrix of each expert that it takes; tokens bring one row for all of them.
fn by_experts(matrix: &Rows, inputs: &[f64], rows: usize, elements: usize) -> Vec<f64> {
    let taken = EXPERTS.1;
    let each = choices().into_iter().enumerate().flat_map(|(at, expert)| {
        let weights = &matrix.weights[expert * rows * elements..][..rows * elements];
        products(weights, &inputs[at / taken * elements..][..elements], elements)
    });
    each.collect()
}

/// As [`near_products`].
fn near_experts(
    kernel: &str,
    found: &[f64],
    (matrix, inputs): (&Rows, &[f64]),
    (rows, elements): (usize, usize),
    tolerance: f64,
) {
    let sizes = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value.abs()).collect() };
    let size = Rows { bytes: Vec::new(), weights: sizes(&matrix.weights), row: 0 };
    let sizes = by_experts(&size, &sizes(inputs), rows, elements);
    let expected = by_experts(matrix, inputs, rows, elements);
    let in_units =
        |values: &[f64]| -> Vec<f64> { values.iter().zip(&sizes).map(|(v, s)| v / s).collect() };
    near(kernel, &in_units(found), &in_units(&expected), tolerance);
}

/// The numbers of the experts that each token takes, as bytes.
fn choice_bytes() -> Vec<u8> {
    choices().into_iter().flat_map(|expert| (expert as i32).to_le_bytes()).collect()
}

#[test]
fn vectors_of_experts() {
    for ggml in Ggml::all() {
        let (experts, taken, tokens) = EXPERTS;
        let (rows, elements) = (44, 512);
        for format in FORMATS {
            let matrix = Rows::some(format, 61, experts * rows, elements);
            let inputs = Number::F32.some(62, tokens * elements);
            let kernel = format!("kernel_mul_mv_id_{}_f32", format.name);
            let (rows_each, simdgroups, rows_of_group) = vector_shape(ggml, &kernel, format);
            let (row, all) = (matrix.row as u64, (matrix.row * rows) as u64);
            let column = 4 * elements as u64;
            let arguments =
                Struct::new().i32([taken as i32, tokens as i32]).u64([4 * taken as u64]);
            let arguments = arguments.i32([elements as i32, rows as i32, experts as i32]);
            let arguments = arguments.u64([format.bytes as u64, row, all]);
            let arguments = arguments.i32([elements as i32, 1, tokens as i32, 1]);
            let arguments = arguments.u64([4, column, column]);
            let arguments = arguments.i32([rows as i32, taken as i32]).u64([4 * rows as u64]);
            let arguments = arguments.i32([rows_each as i32]);
            let arguments = ggml.arguments(&kernel, "mul_mv_id", arguments);
            let padding = vec![0; matrix.row * 8];
            let launch = vector_launch(ggml, &kernel, simdgroups).bytes(&arguments);
            let launch = launch.bytes(&[matrix.bytes.as_slice(), &padding].concat());
            let launch = launch.bytes(&Number::F32.encode(&inputs));
            let launch = launch.room(rows * taken * tokens * 4).bytes(&choice_bytes());
            let groups = (rows.div_ceil(rows_of_group), 1, taken * tokens);
            let out = launch.memory(0, SHARED).groups(groups, (32, simdgroups, 1), 3);
            let out = Number::F32.decode(&out);
            near_experts(&kernel, &out, (&matrix, &inputs), (rows, elements), 1e-5);
        }
    }
}

#[test]
fn matrices_of_experts() {
    for ggml in Ggml::all() {
        let (experts, taken, tokens) = EXPERTS;
        let (rows, elements) = (70, 512);
        // Which tokens each expert has is found first: their number, and the indices of their results.
        let arguments = Struct::new().i32([experts as i32, elements as i32, 1]);
        let arguments = arguments.u64([0, 0]).i32([tokens as i32, taken as i32]);
        let arguments = arguments.u64([4 * taken as u64]);
        let kernel = format!("kernel_mul_mm_id_map0_ne20_{taken}");
        let arguments = ggml.arguments(&kernel, "mul_mm_id_map0", arguments);
        let found = |result: usize| {
            let launch = ggml.launch(&kernel).bytes(&arguments).bytes(&choice_bytes());
            let launch = launch.room(4 * experts).room(4 * experts * tokens);
            launch.memory(0, 1024).groups((1, 1, 1), (experts, 1, 1), result)
        };
        let (counts, places) = (found(2), found(3));
        let chosen = |expert| choices().iter().filter(|&&choice| choice == expert).count() as f64;
        let expected: Vec<f64> = (0..experts).map(chosen).collect();
        near("tokens of experts", &Number::U32.decode(&counts), &expected, 0.0);
        for format in FORMATS {
            for (input, number) in [("f32", Number::F32), ("f16", Number::F16)] {
                let kernel = format!("kernel_mul_mm_id_{}_{input}", format.name);
                let matrix = Rows::some(format, 63, experts * rows, elements);
                let inputs = number.some(64, tokens * elements);
                let (row, all) = (matrix.row as u64, (matrix.row * rows) as u64);
                let column = (number.size() * elements) as u64;
                let arguments = Struct::new().i32([elements as i32, experts as i32]);
                let arguments = arguments.u64([row, all, all * experts as u64]).i32([1]);
                let steps = [number.size() as u64, column, column, column * tokens as u64];
                let arguments = arguments.u64(steps).i32([taken as i32, tokens as i32]);
                let arguments = arguments.i32([rows as i32, taken as i32]).i16([1, 1]);
                let arguments = ggml.arguments(&kernel, "mul_mm_id", arguments);
                let launch = matrix_launch(ggml, &kernel).constant(700, false).bytes(&arguments);
                let launch = launch.bytes(&matrix.bytes).bytes(&number.encode(&inputs));
                let launch = launch.bytes(&counts).bytes(&places).room(rows * taken * tokens * 4);
                // Newer ones scale by what is after the results, if a constant says so.
                let launch = launch.bytes(&[0; 8]);
                let groups = (tokens.div_ceil(32), rows.div_ceil(64), experts);
                let out = launch.memory(0, SHARED).groups(groups, (128, 1, 1), 5);
                let weights = narrowed(Number::F16, &matrix.weights);
                let matrix = Rows { weights, ..matrix };
                let inputs = narrowed(Number::F16, &inputs);
                let tolerance = 2.0 * Number::F16.epsilon();
                let out = Number::F32.decode(&out);
                near_experts(&kernel, &out, (&matrix, &inputs), (rows, elements), tolerance);
            }
        }
    }
}

/// The launch of a small product: few columns, several of which a thread takes.
fn small_launch(
    ggml: &'static Ggml,
    kernel: &str,
    format: &Format,
    (matrix, inputs): (&Rows, &[f64]),
    shape: (usize, usize, usize),
) -> Launch<'static> {
    let arguments = vector_arguments(format, shape).i16([1, 1]);
    let arguments = ggml.arguments(kernel, "mul_mv_ext", arguments);
    let launch = vector_launch(ggml, kernel, SMALL_SIMDGROUPS);
    let launch = launch.constant(601, THREADS_OF_ROW as i16);
    let launch = launch.bytes(&arguments).bytes(&matrix.bytes);
    launch.bytes(&Number::F32.encode(inputs)).room(shape.0 * shape.1 * 4)
}

/// SIMD-groups of a threadgroup, and threads that share a row.
const SMALL_SIMDGROUPS: usize = 2;
const THREADS_OF_ROW: usize = 8;

#[test]
fn small_products() {
    for ggml in Ggml::all() {
        let (rows, elements) = (37, 512);
        let mut ran = 0;
        for format in FORMATS {
            let matrix = Rows::some(format, 71, rows, elements);
            for columns in 2..=5 {
                let kernel = format!("kernel_mul_mv_ext_{}_f32_r1_{columns}", format.name);
                if !ggml.has(&kernel) {
                    continue;
                }
                // One column more than a threadgroup takes.
                let all = columns + 1;
                let inputs = Number::F32.some(72, all * elements);
                let launch =
                    small_launch(ggml, &kernel, format, (&matrix, &inputs), (rows, all, elements));
                let rows_of_group = 32 / THREADS_OF_ROW * SMALL_SIMDGROUPS;
                let groups = (rows.div_ceil(rows_of_group), all.div_ceil(columns), 1);
                let out = Number::F32.decode(&launch.groups(groups, (32, SMALL_SIMDGROUPS, 1), 3));
                near_products(&kernel, &out, (&matrix.weights, &inputs), elements, 1e-3);
                ran += 1;
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 40 } else { 48 };
        assert_eq!(ran, count, "{}: kernels for small products", ggml.package);
    }
}
