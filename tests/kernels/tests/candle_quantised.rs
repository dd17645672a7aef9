//! candle's products of quantised matrices, in every format, in its copy of ggml's kernels.
//!
//! Tolerances are in units of the sum of the products' sizes, as in `ggml_quantised.rs`: one part in 10⁵ for sums in `float`, and
//! two of `half`'s steps where weights become `half`s.

use kernels::blocks::{FORMATS, Format};
use kernels::experts::Experts;
use kernels::numbers::{Number, near};
use kernels::products::{Rows, narrowed, near_products};
use kernels::run::{Kernels, Launch};
use kernels::structs::{size, word};
use std::sync::OnceLock;

/// The one source, compiled once.
fn kernels() -> &'static Kernels {
    static KERNELS: OnceLock<Kernels> = OnceLock::new();
    KERNELS.get_or_init(|| Kernels::open("candle-metal-kernels", "quantized.metal"))
}

/// The formats that this copy has.
fn formats() -> impl Iterator<Item = &'static Format> {
    let has = |format: &Format| kernels().has(&format!("kernel_mul_mv_{}_f32", format.name));
    FORMATS.iter().filter(move |format| has(format))
}

/// Rows of the matrix, columns of the other side, elements of a sum.
const SHAPES: [(usize, usize, usize); 3] = [(64, 1, 256), (37, 3, 768), (130, 33, 1024)];

/// Room for the tables that some kernels copy to threadgroup memory.
const SHARED: usize = 8192;

fn sizes<'a>(launch: Launch<'a>, values: &[usize]) -> Launch<'a> {
    values.iter().fold(launch, |launch, &value| launch.bytes(&size(value)))
}

/// Rows that a threadgroup takes.
fn rows_of_group(name: &str) -> usize {
    match name {
        "q6_K" => 2,
        "q3_K" | "q4_K" | "q5_K" | "iq4_nl" | "iq4_xs" => 4,
        _ => 8,
    }
}

#[test]
fn matrix_times_vector() {
    for format in formats() {
        for (rows, columns, elements) in SHAPES {
            // Some kernels of this copy do not ask whether a row is there before they write it: whole
            // threadgroups only, as candle's program launches them.
            let checks = matches!(format.name, "q4_0" | "q4_1" | "q5_0" | "q5_1" | "q8_0");
            let rows = if checks { rows } else { rows.next_multiple_of(8) };
            let matrix = Rows::some(format, 31, rows, elements);
            let inputs = Number::F32.some(32, columns * elements);
            let kernel = format!("kernel_mul_mv_{}_f32", format.name);
            // Rows past the last one are read, and not written: there has to be something.
            let padding = vec![0; matrix.row * 8];
            let launch = kernels().launch(&kernel);
            let launch = launch.bytes(&[matrix.bytes.as_slice(), &padding].concat());
            let launch = launch.bytes(&Number::F32.encode(&inputs)).room(rows * columns * 4);
            let (row, column) = (matrix.row, 4 * elements);
            let launch = sizes(launch, &[elements, rows, 1, format.bytes, row, row * rows]);
            let launch = sizes(launch, &[elements, columns, 1, 4, column, column * columns]);
            let launch = sizes(launch, &[rows, columns]).bytes(&word(1)).bytes(&word(1));
            let groups = (rows.div_ceil(rows_of_group(format.name)), columns, 1);
            let out = launch.memory(0, SHARED).groups(groups, (8, 8, 1), 2);
            let out = Number::F32.decode(&out);
            near_products(&kernel, &out, (&matrix.weights, &inputs), elements, 1e-5);
        }
    }
}

#[test]
fn matrix_times_matrix() {
    for (rows, columns, elements) in SHAPES {
        let quantised = formats().map(|f| (f.name, Rows::some(f, 41, rows, elements)));
        let plain = [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];
        let plain = plain.map(|(name, number)| (name, Rows::plain(number, 42, rows, elements)));
        for (name, matrix) in quantised.chain(plain) {
            let kernel = format!("kernel_mul_mm_{name}_f32");
            let inputs = Number::F32.some(43, columns * elements);
            let launch = kernels().launch(&kernel).bytes(&matrix.bytes);
            let launch = launch.bytes(&Number::F32.encode(&inputs)).room(rows * columns * 4);
            let (row, column) = (matrix.row, 4 * elements);
            let launch = sizes(launch, &[elements, 1, row, row * rows, row * rows, 1]);
            let launch = sizes(launch, &[4, column, column * columns, column * columns]);
            let launch = sizes(launch, &[rows, columns]).bytes(&word(1)).bytes(&word(1));
            let groups = (columns.div_ceil(32), rows.div_ceil(64), 1);
            let out = launch.memory(0, SHARED).groups(groups, (128, 1, 1), 2);
            let out = Number::F32.decode(&out);
            let part = if name == "bf16" { Number::BF16 } else { Number::F16 };
            let weights = narrowed(part, &matrix.weights);
            near_products(&kernel, &out, (&weights, &inputs), elements, 2.0 * part.epsilon());
        }
    }
}

#[test]
fn rows_by_number() {
    let (rows, elements) = (40, 512);
    let picks = [3u32, 39, 0, 17, 3];
    let quantised = formats().map(|f| (f.name, Rows::some(f, 51, rows, elements)));
    let plain = [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];
    let plain = plain.map(|(name, number)| (name, Rows::plain(number, 52, rows, elements)));
    for (name, matrix) in quantised.chain(plain) {
        let kernel = format!("kernel_get_rows_{name}");
        let numbers: Vec<u8> = picks.iter().flat_map(|pick| pick.to_le_bytes()).collect();
        let launch = kernels().launch(&kernel).bytes(&matrix.bytes).bytes(&numbers);
        let launch = launch.room(picks.len() * elements * 4);
        let launch = sizes(launch, &[elements, matrix.row, matrix.row * rows, picks.len(), 4]);
        let launch = sizes(launch, &[20, 4 * elements, 4 * elements * picks.len()]);
        let out = launch.groups((picks.len(), 1, 1), (32, 1, 1), 2);
        let row = |&pick: &u32| matrix.weights[pick as usize * elements..][..elements].to_vec();
        let expected: Vec<f64> = picks.iter().flat_map(row).collect();
        // Some kernels make a half of the scale's products.
        near(&kernel, &Number::F32.decode(&out), &expected, 1e-3);
    }
}

const EXPERTS: Experts = Experts { all: 5, taken: 2, tokens: 7 };

/// Matrices of experts in every format that the products by experts have, with the bytes of a unit.
fn experts(rows: usize, elements: usize) -> Vec<(&'static str, usize, Rows)> {
    let rows = EXPERTS.all * rows;
    let quantised = formats().map(|f| (f.name, f.bytes, Rows::some(f, 61, rows, elements)));
    let plain = [("f32", Number::F32), ("f16", Number::F16)];
    let plain =
        plain.map(|(name, number)| (name, number.size(), Rows::plain(number, 62, rows, elements)));
    quantised.chain(plain).collect()
}

#[test]
fn vectors_of_experts() {
    let Experts { all, taken, tokens } = EXPERTS;
    let (rows, elements) = (40, 512);
    for (name, unit, matrix) in experts(rows, elements) {
        let kernel = format!("kernel_mul_mv_id_{name}_f32");
        let inputs = Number::F32.some(63, tokens * elements);
        // Rows past the last one are read, and not written: there has to be something.
        let padding = vec![0; matrix.row * 8];
        let launch = kernels().launch(&kernel);
        let launch = launch.bytes(&[matrix.bytes.as_slice(), &padding].concat());
        let launch = launch.numbers(Number::F32, &inputs).room(rows * taken * tokens * 4);
        let launch = sizes(launch.bytes(&EXPERTS.bytes()), &[taken, tokens, 4 * taken]);
        let launch = sizes(launch, &[elements, rows, all, unit, matrix.row, matrix.row * rows]);
        let column = 4 * elements;
        let launch = sizes(launch, &[elements, 1, tokens, 1, 4, column, column]);
        let launch = sizes(launch, &[rows, taken, 4 * rows]);
        // Plain rows have a SIMD-group each.
        let (of_group, threads) = match Number::named(name) {
            Some(_) => (1, (32, 1, 1)),
            None => (rows_of_group(name), (8, 8, 1)),
        };
        let groups = (rows.div_ceil(of_group), 1, taken * tokens);
        let out = Number::F32.decode(&launch.memory(0, SHARED).groups(groups, threads, 2));
        EXPERTS.near(&kernel, &out, (&matrix, &inputs), (rows, elements), 1e-5);
    }
}

#[test]
fn matrices_of_experts() {
    let Experts { all, taken, tokens } = EXPERTS;
    let (rows, elements) = (70, 512);
    for (name, _, matrix) in experts(rows, elements) {
        let kernel = format!("kernel_mul_mm_id_{name}_f32");
        let inputs = Number::F32.some(64, tokens * elements);
        let launch = kernels().launch(&kernel).bytes(&matrix.bytes);
        let launch = launch.numbers(Number::F32, &inputs).room(rows * taken * tokens * 4);
        let launch = sizes(launch.bytes(&EXPERTS.bytes()), &[taken, tokens, 4 * taken]);
        let launch = sizes(launch, &[elements, all, matrix.row, matrix.row * rows]);
        let column = 4 * elements;
        let launch = sizes(launch, &[1, tokens, 1, 4, column, column]);
        let launch = sizes(launch, &[rows, taken, 4 * rows]);
        let groups = (tokens.div_ceil(32), rows.div_ceil(64), all);
        // After the tiles, which tokens the expert has.
        let launch = launch.memory(0, SHARED + 4 * tokens * taken + 8);
        let out = Number::F32.decode(&launch.groups(groups, (128, 1, 1), 2));
        let weights = narrowed(Number::F16, &matrix.weights);
        let matrix = Rows { weights, ..matrix };
        let tolerance = 2.0 * Number::F16.epsilon();
        EXPERTS.near(&kernel, &out, (&matrix, &inputs), (rows, elements), tolerance);
    }
}
