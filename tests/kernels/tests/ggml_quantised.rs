//! ggml's products of quantised matrices, in every format that its source has.
//!
//! Tolerances are in units of the sum of the products' sizes. Matrix-vector products are sums in `float`: they differ
//! by the order of addition, and where a kernel takes scales out of a sum, by less than one part in 10⁵. Kernels on
//! matrices make `half`s of weights (`bfloat`s where the weights are that) and round the inputs to them, which
//! is one part in 2¹¹ (2⁸) for each product, and for weights that are a product themselves one more.
//! Products of a few columns take weights from the functions that make `half`s, but as `float`s: one part in 10³.

use kernels::blocks::{FORMATS, Format};
use kernels::experts::Experts;
use kernels::ggml::Ggml;
use kernels::numbers::{Number, near};
use kernels::products::{Rows, narrowed, near_products};
use kernels::run::Launch;
use kernels::structs::Struct;

/// Rows of the matrix, columns of the other side, elements of a sum.
const SHAPES: [(usize, usize, usize); 3] = [(64, 1, 256), (37, 3, 768), (130, 33, 1024)];

/// The formats whose kernel, with a name before and after the format's, a package has.
fn formats(ggml: &Ggml, before: &str, after: &str) -> impl Iterator<Item = &'static Format> {
    FORMATS.iter().filter(move |format| ggml.has(&format!("{before}{}{after}", format.name)))
}

/// Plain numbers by their names in kernels.
const PLAIN: [(&str, Number); 3] =
    [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];

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

/// Matrix times columns: sizes and steps of both sides and sizes of the result. A row of the matrix consists of units of `unit` bytes,
/// and so do the columns.
fn vector_arguments(
    (unit, row): (usize, usize),
    of_input: usize,
    (rows, columns, elements): (usize, usize, usize),
) -> Struct {
    let (k, m, n) = (elements as i32, rows as i32, columns as i32);
    let steps = [unit, row, row * rows, row * rows].map(|step| step as u64);
    let column = of_input * elements;
    let steps_of_input =
        [of_input, column, column * columns, column * columns].map(|step| step as u64);
    let first = Struct::new().i32([k, m, 1]).u64(steps);
    let second = first.i32([k, n, 1]).u64(steps_of_input);
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
        for format in formats(ggml, "kernel_mul_mv_", "_f32") {
            for (rows, columns, elements) in SHAPES {
                let matrix = Rows::some(format, 31, rows, elements);
                let inputs = Number::F32.some(32, columns * elements);
                let kernel = format!("kernel_mul_mv_{}_f32", format.name);
                let (rows_each, simdgroups, rows_of_group) = vector_shape(ggml, &kernel, format);
                let unit = (format.bytes, matrix.row);
                let arguments = vector_arguments(unit, 4, (rows, columns, elements));
                let arguments = arguments.i32([rows_each as i32]).i16([1, 1]);
                let arguments = ggml.arguments(&kernel, "mul_mv", arguments);
                // Rows past the last one are read, and not written: there has to be something.
                let padding = vec![0; matrix.row * rows_of_group.max(8)];
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

#[test]
fn plain_matrix_times_vector() {
    for ggml in Ggml::all() {
        let mut ran = 0;
        for (left, (name, number)) in PLAIN.into_iter().enumerate() {
            for (right, (input, of_input)) in PLAIN.into_iter().enumerate() {
                // Short rows have kernels of their own, which a thread takes as a whole.
                for (form, (rows, columns, elements)) in
                    [("", (37, 3, 300)), ("_4", (37, 3, 328)), ("_short", (70, 3, 27))]
                {
                    let kernel = format!("kernel_mul_mv_{name}_{input}{form}");
                    if !ggml.has(&kernel) {
                        continue;
                    }
                    let matrix = Rows::plain(number, 33, rows, elements);
                    let inputs = of_input.some(34, columns * elements);
                    let unit = (number.size(), matrix.row);
                    let arguments =
                        vector_arguments(unit, of_input.size(), (rows, columns, elements));
                    let arguments = arguments.i32([2]).i16([1, 1]);
                    let arguments = ggml.arguments(&kernel, "mul_mv", arguments);
                    let is_short = form == "_short";
                    let simdgroups = if is_short { 1 } else { 2 };
                    // The row after the last one is read, and not written.
                    let padding = vec![0; matrix.row];
                    let launch = vector_launch(ggml, &kernel, simdgroups).bytes(&arguments);
                    let launch = launch.bytes(&[matrix.bytes.as_slice(), &padding].concat());
                    let launch = launch.bytes(&of_input.encode(&inputs));
                    let launch = launch.room(rows * columns * 4).memory(0, SHARED);
                    let groups = (rows.div_ceil(if is_short { 32 } else { 2 }), columns, 1);
                    let out = Number::F32.decode(&launch.groups(groups, (32, simdgroups, 1), 3));
                    // Two narrow numbers of one type have a narrow product.
                    let narrow = if left == right { number.epsilon() } else { 0.0 };
                    let tolerance = 1e-5 + narrow;
                    near_products(&kernel, &out, (&matrix.weights, &inputs), elements, tolerance);
                    ran += 1;
                }
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 15 } else { 18 };
        assert_eq!(ran, count, "{}: kernels of plain numbers", ggml.package);
    }
}

/// The formats that the source has kernels for, plain ones among them: name, bytes of a unit, and rows.
fn matrices(
    ggml: &Ggml,
    (before, after): (&str, &str),
    seed: u64,
    rows: usize,
    elements: usize,
) -> Vec<(&'static str, usize, Rows)> {
    let quantised = formats(ggml, before, after)
        .map(|format| (format.name, format.bytes, Rows::some(format, seed, rows, elements)));
    let plain = PLAIN.into_iter().filter(|(name, _)| ggml.has(&format!("{before}{name}{after}")));
    let plain = plain
        .map(|(name, number)| (name, number.size(), Rows::plain(number, seed + 1, rows, elements)));
    quantised.chain(plain).collect()
}

#[test]
fn matrix_times_matrix() {
    for ggml in Ggml::all() {
        for (rows, columns, elements) in SHAPES {
            for (input, number) in [("f32", Number::F32), ("f16", Number::F16)] {
                let names = ("kernel_mul_mm_", &*format!("_{input}"));
                for (name, _, matrix) in matrices(ggml, names, 41, rows, elements) {
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
        let names = ("kernel_get_rows_", "");
        for (name, _, matrix) in matrices(ggml, names, 51, rows, elements) {
            let kernel = format!("kernel_get_rows_{name}");
            // A thread copies a number, or 16 weights of a block.
            let each = if Number::named(name).is_some() { 1 } else { 16 };
            let picks = [3u32, 39, 0, 17, 3];
            let (row, all) = (matrix.row as u64, (matrix.row * rows) as u64);
            let (out_row, tall) = (4 * elements as u64, (4 * elements * picks.len()) as u64);
            let threads = elements / each;
            let arguments = Struct::new().i32([threads as i32, elements as i32]);
            let arguments = arguments.u64([row, all, all]).i32([picks.len() as i32]);
            let arguments = arguments.u64([4, 20, 20, out_row, tall, tall]);
            let numbers: Vec<u8> = picks.iter().flat_map(|pick| pick.to_le_bytes()).collect();
            let arguments = ggml.arguments(&kernel, "get_rows", arguments);
            let launch = ggml.launch(&kernel).bytes(&arguments).bytes(&matrix.bytes);
            let launch = launch.bytes(&numbers).room(picks.len() * elements * 4);
            let group = threads.min(256);
            let out = launch.groups((picks.len() * threads / group, 1, 1), (group, 1, 1), 3);
            let row = |&pick: &u32| matrix.weights[pick as usize * elements..][..elements].to_vec();
            let expected: Vec<f64> = picks.iter().flat_map(row).collect();
            // Some kernels make a half of the scale's products.
            near(&kernel, &Number::F32.decode(&out), &expected, 1e-3);
        }
        // Integers stay integers.
        let (kernel, picks) = ("kernel_get_rows_i32", [3usize, 39, 0]);
        let numbers = Number::U32.some(52, rows * elements);
        let (row, all) = (4 * elements as u64, (4 * rows * elements) as u64);
        let arguments = Struct::new().i32([elements as i32; 2]).u64([row, all, all]).i32([3]);
        let arguments = arguments.u64([4, 12, 12, row, 3 * row, 3 * row]);
        let launch = ggml.launch(kernel).bytes(&ggml.arguments(kernel, "get_rows", arguments));
        let launch = launch.numbers(Number::U32, &numbers).words(picks).room(12 * elements);
        let out = launch.groups((6, 1, 1), (256, 1, 1), 3);
        let row = |pick: usize| numbers[pick * elements..][..elements].to_vec();
        let expected: Vec<f64> = picks.into_iter().flat_map(row).collect();
        near(kernel, &Number::U32.decode(&out), &expected, 0.0);
    }
}

const EXPERTS: Experts = Experts { all: 5, taken: 2, tokens: 7 };

#[test]
fn vectors_of_experts() {
    for ggml in Ggml::all() {
        let Experts { all: experts, taken, tokens } = EXPERTS;
        let (rows, elements) = (44, 512);
        let each = ["", "_4"].map(|form| {
            let after = format!("_f32{form}");
            let names = ("kernel_mul_mv_id_", after.as_str());
            let kernels = matrices(ggml, names, 61, experts * rows, elements).into_iter();
            kernels.map(|one| (after.clone(), one)).collect::<Vec<_>>()
        });
        for (after, (name, unit, matrix)) in each.into_iter().flatten() {
            let inputs = Number::F32.some(62, tokens * elements);
            let kernel = format!("kernel_mul_mv_id_{name}{after}");
            let format = FORMATS.iter().find(|format| format.name == name);
            let shape = format.map(|format| vector_shape(ggml, &kernel, format));
            let (rows_each, simdgroups, rows_of_group) = shape.unwrap_or((2, 2, 2));
            let (row, all) = (matrix.row as u64, (matrix.row * rows) as u64);
            let column = 4 * elements as u64;
            let arguments =
                Struct::new().i32([taken as i32, tokens as i32]).u64([4 * taken as u64]);
            let arguments = arguments.i32([elements as i32, rows as i32, experts as i32]);
            let arguments = arguments.u64([unit as u64, row, all]);
            let arguments = arguments.i32([elements as i32, 1, tokens as i32, 1]);
            let arguments = arguments.u64([4, column, column]);
            let arguments = arguments.i32([rows as i32, taken as i32]).u64([4 * rows as u64]);
            let arguments = arguments.i32([rows_each as i32]);
            let arguments = ggml.arguments(&kernel, "mul_mv_id", arguments);
            let padding = vec![0; matrix.row * rows_of_group.max(8)];
            let launch = vector_launch(ggml, &kernel, simdgroups).bytes(&arguments);
            let launch = launch.bytes(&[matrix.bytes.as_slice(), &padding].concat());
            let launch = launch.bytes(&Number::F32.encode(&inputs));
            let launch = launch.room(rows * taken * tokens * 4).bytes(&EXPERTS.bytes());
            let groups = (rows.div_ceil(rows_of_group), 1, taken * tokens);
            let out = launch.memory(0, SHARED).groups(groups, (32, simdgroups, 1), 3);
            let out = Number::F32.decode(&out);
            EXPERTS.near(&kernel, &out, (&matrix, &inputs), (rows, elements), 1e-5);
        }
    }
}

/// Which tokens each expert has: their number, and the indices of their results, as a kernel finds them.
fn tokens_of(ggml: &'static Ggml, experts: Experts) -> (Vec<u8>, Vec<u8>) {
    let Experts { all, taken, tokens } = experts;
    let arguments = Struct::new().i32([all as i32, 64, 1]);
    let arguments = arguments.u64([0, 0]).i32([tokens as i32, taken as i32]);
    let arguments = arguments.u64([4 * taken as u64]);
    let kernel = format!("kernel_mul_mm_id_map0_ne20_{taken}");
    let arguments = ggml.arguments(&kernel, "mul_mm_id_map0", arguments);
    let launch = ggml.launch(&kernel).bytes(&arguments).bytes(&experts.bytes());
    // An expert without a further token notes one past its last.
    let launch = launch.room(4 * all).room(4 * (all * tokens + 1));
    let memory = (2 * all * taken).next_multiple_of(16);
    let [counts, places] = launch.memory(0, memory).results((1, 1, 1), (all, 1, 1), [2, 3]);
    let (found, lists) = (Number::U32.decode(&counts), Number::U32.decode(&places));
    let choices = experts.choices();
    for expert in 0..all {
        let expected = choices.iter().enumerate().filter(|(_, choice)| **choice == expert);
        let expected: Vec<f64> = expected.map(|(at, _)| at as f64).collect();
        near(&kernel, &[found[expert]], &[expected.len() as f64], 0.0);
        near(&kernel, &lists[expert * tokens..][..expected.len()], &expected, 0.0);
    }
    (counts, places)
}

#[test]
fn lists_of_tokens() {
    for ggml in Ggml::all() {
        let numbers = [1, 2, 4, 5, 6, 8, 10, 16, 22];
        let has = |taken: &usize| ggml.has(&format!("kernel_mul_mm_id_map0_ne20_{taken}"));
        let numbers: Vec<usize> = numbers.into_iter().filter(has).collect();
        assert!(numbers.len() >= 8, "{}: {numbers:?}", ggml.package);
        for taken in numbers {
            tokens_of(ggml, Experts { all: 29, taken, tokens: 40 });
        }
    }
}

#[test]
fn matrices_of_experts() {
    for ggml in Ggml::all() {
        let Experts { all: experts, taken, tokens } = EXPERTS;
        let (rows, elements) = (70, 512);
        let (counts, places) = tokens_of(ggml, EXPERTS);
        for (input, number) in [("f32", Number::F32), ("f16", Number::F16)] {
            let names = ("kernel_mul_mm_id_", &*format!("_{input}"));
            for (name, _, matrix) in matrices(ggml, names, 63, experts * rows, elements) {
                let kernel = format!("kernel_mul_mm_id_{name}_{input}");
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
                let part = if name == "bf16" { Number::BF16 } else { Number::F16 };
                let weights = narrowed(part, &matrix.weights);
                let matrix = Rows { weights, ..matrix };
                let inputs = narrowed(part, &inputs);
                let tolerance = 2.0 * part.epsilon();
                let out = Number::F32.decode(&out);
                EXPERTS.near(&kernel, &out, (&matrix, &inputs), (rows, elements), tolerance);
            }
        }
    }
}

/// SIMD-groups of a threadgroup, and threads that share a row.
const SMALL_SIMDGROUPS: usize = 2;
const THREADS_OF_ROW: usize = 8;

#[test]
fn small_products() {
    for ggml in Ggml::all() {
        let (rows, elements) = (37, 512);
        let mut ran = 0;
        // Columns that a thread takes.
        for columns in 2..=5 {
            let names = ("kernel_mul_mv_ext_", &*format!("_f32_r1_{columns}"));
            for (name, unit, matrix) in matrices(ggml, names, 71, rows, elements) {
                let kernel = format!("kernel_mul_mv_ext_{name}_f32_r1_{columns}");
                // One column more than a threadgroup takes.
                let all = columns + 1;
                let inputs = Number::F32.some(72, all * elements);
                let arguments =
                    vector_arguments((unit, matrix.row), 4, (rows, all, elements)).i16([1, 1]);
                let arguments = ggml.arguments(&kernel, "mul_mv_ext", arguments);
                let launch = vector_launch(ggml, &kernel, SMALL_SIMDGROUPS);
                let launch = launch.constant(601, THREADS_OF_ROW as i16);
                let launch = launch.bytes(&arguments).bytes(&matrix.bytes);
                let launch = launch.bytes(&Number::F32.encode(&inputs)).room(rows * all * 4);
                let rows_of_group = 32 / THREADS_OF_ROW * SMALL_SIMDGROUPS;
                let groups = (rows.div_ceil(rows_of_group), all.div_ceil(columns), 1);
                let out = Number::F32.decode(&launch.groups(groups, (32, SMALL_SIMDGROUPS, 1), 3));
                near_products(&kernel, &out, (&matrix.weights, &inputs), elements, 1e-3);
                ran += 1;
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 48 } else { 68 };
        assert_eq!(ran, count, "{}: kernels for small products", ggml.package);
    }
}

/// Products of a few columns by 8 × 8 matrices: tiles of 8 rows, and one or two tiles of 8 columns.
#[test]
fn few_columns() {
    for ggml in Ggml::all() {
        let (rows, elements, simdgroups) = (45, 512, 3);
        let mut ran = 0;
        for (tiles, columns_of_group) in [(1, 8), (2, 8), (4, 8), (1, 16), (2, 16), (4, 16)] {
            let columns = columns_of_group + 3;
            let after = format!("_f32_nt{tiles}_rt{}", columns_of_group / 8);
            let names = ("kernel_mul_mv_mma_", after.as_str());
            for (at, (name, unit, matrix)) in
                matrices(ggml, names, 81, rows, elements).into_iter().enumerate()
            {
                let kernel = format!("kernel_mul_mv_mma_{name}{after}");
                let inputs = Number::F32.some(82, columns * elements);
                // Added to the results, if a constant says so.
                let added = Number::F32.some(83, columns * rows);
                let adds = at % 2 == 1;
                let shape = (rows, columns, elements);
                let arguments = vector_arguments((unit, matrix.row), 4, shape).i16([1, 1]);
                let arguments = ggml.arguments(&kernel, "mul_mv_ext", arguments);
                let first = ggml.defined(&kernel, &["FC_MUL_MV_MMA"]);
                let launch = ggml.launch(&kernel).constant(first, simdgroups as i16);
                let launch = [1, 2, 3]
                    .into_iter()
                    .fold(launch, |launch, at| launch.constant(first + at, 1i16));
                let launch = launch.constant(first + 4, elements as i32).constant(first + 5, adds);
                let launch = launch.bytes(&arguments).bytes(&matrix.bytes);
                let launch = launch.bytes(&Number::F32.encode(&inputs)).room(rows * columns * 4);
                let launch = launch.bytes(&Number::F32.encode(&added));
                let memory = simdgroups * tiles * columns_of_group / 8 * 64 * 4;
                let groups = (rows.div_ceil(8 * tiles), columns.div_ceil(columns_of_group), 1);
                let out = launch.memory(0, memory).groups(groups, (32, simdgroups, 1), 3);
                let found = Number::F32.decode(&out);
                let found: Vec<f64> = match adds {
                    true => found.iter().zip(&added).map(|(all, added)| all - added).collect(),
                    false => found,
                };
                let both = (matrix.weights.as_slice(), inputs.as_slice());
                near_products(&kernel, &found, both, elements, 1e-3);
                ran += 1;
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 0 } else { 60 };
        assert_eq!(ran, count, "{}: kernels for a few columns", ggml.package);
    }
}

/// Rows whose place a list names: plain numbers, or blocks that are made of them.
#[test]
fn rows_set_by_number() {
    for ggml in Ggml::all() {
        let (elements, sides) = (512, [5usize, 2, 3]);
        let count: usize = sides.iter().product();
        let mut ran = 0;
        // Rows of the result, of which each matrix has 11: the order of the list, which no row is twice in.
        let all = 11;
        let places: Vec<u64> = (0..count).map(|at| (at * 3 % all) as u64).collect();
        for (index, bytes) in [("i32", 4), ("i64", 8)] {
            let list: Vec<u8> =
                places.iter().flat_map(|place| place.to_le_bytes()[..bytes].to_vec()).collect();
            let names = PLAIN.map(|(name, _)| name).into_iter();
            let names = names.chain(FORMATS.iter().map(|format| format.name));
            for (to, from) in names.flat_map(|to| PLAIN.map(|(from, _)| (to, from))) {
                let kernel = match (from, ggml.package) {
                    ("f32", "whisper-rs-sys") => format!("kernel_set_rows_{to}_{index}"),
                    _ => format!("kernel_set_rows_{from}_{index}_{to}"),
                };
                if !ggml.has(&kernel) {
                    continue;
                }
                let source = Number::named(from).unwrap_or(Number::F32);
                let x = source.some(91, count * elements);
                let format = FORMATS.iter().find(|format| format.name == to);
                let target = Number::named(to).unwrap_or(Number::F32);
                // Units of a row, and its bytes.
                let (units, row) = match format {
                    Some(one) => (elements / one.weights, elements / one.weights * one.bytes),
                    None => (elements, elements * target.size()),
                };
                let from_row = elements * source.size();
                let steps = |row: usize, rows: usize| {
                    [row, row * rows, row * rows * sides[1]].map(|step| step as u64)
                };
                let arguments = Struct::new().i32([units as i32, sides[0] as i32]);
                let arguments = arguments.u64(steps(from_row, sides[0]));
                let arguments = arguments.i32([sides[1] as i32, sides[2] as i32]);
                let arguments = arguments.u64(steps(bytes, sides[0])).u64(steps(row, all));
                let arguments = ggml.arguments(&kernel, "set_rows", arguments);
                let launch = ggml.launch(&kernel).bytes(&arguments).bytes(&source.encode(&x));
                let launch = launch.bytes(&list).bytes(&vec![0; row * all * sides[1] * sides[2]]);
                // Two rows in a threadgroup, the last of which is not there.
                let groups = (sides[0].div_ceil(2), sides[1], sides[2]);
                let out = launch.groups(groups, (32, 2, 1), 3);
                let mut is_set = vec![false; all * sides[1] * sides[2]];
                for (at, place) in places.iter().enumerate() {
                    let values = &x[at * elements..][..elements];
                    let place = at / sides[0] * all + *place as usize;
                    let made = &out[place * row..][..row];
                    match format {
                        Some(format) => format.check_made(&kernel, made, values),
                        None => assert_eq!(made, target.encode(values), "{kernel}"),
                    }
                    is_set[place] = true;
                }
                let others = out.chunks(row).zip(is_set).filter(|(_, is_set)| !is_set);
                for (row, _) in others {
                    assert!(row.iter().all(|&byte| byte == 0), "{kernel}: another row is set");
                }
                ran += 1;
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 18 } else { 24 };
        assert_eq!(ran, count, "{}: kernels that set rows", ggml.package);
    }
}
