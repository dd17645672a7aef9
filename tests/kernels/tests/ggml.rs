//! ggml's kernels, run and held against what the formats and formulas mean.
//!
//! Tolerances: sums of products in `float` differ by the order of addition, about one part in 10⁶ for each
//! doubling of what they add; kernels on matrices of halves round weights and inputs to `half` first, as the
//! references do.

use kernels::blocks::{FORMATS, Format, WEIGHTS};
use kernels::numbers::{Number, near};
use kernels::run::Kernels;
use kernels::structs::Struct;
use std::sync::OnceLock;

/// The one source, compiled once.
fn kernels() -> &'static Kernels {
    static KERNELS: OnceLock<Kernels> = OnceLock::new();
    KERNELS.get_or_init(|| Kernels::open("whisper-rs-sys", "ggml-metal.metal"))
}

/// Rows of the matrix, columns of the other side, elements of a sum.
const SHAPES: [(usize, usize, usize); 3] = [(64, 1, 256), (37, 3, 128), (130, 33, 1024)];

/// Rows times columns, in `f64`: element (column, row) first by column, as ggml stores it.
fn products(weights: &[f64], inputs: &[f64], elements: usize) -> Vec<f64> {
    let dot = |row: &[f64], column: &[f64]| row.iter().zip(column).map(|(a, b)| a * b).sum();
    let columns = inputs.chunks(elements);
    columns.flat_map(|column| weights.chunks(elements).map(move |row| dot(row, column))).collect()
}

/// The arguments of `mul_mv`, for a matrix of `rows` and as many columns on the other side.
fn vector_arguments(
    rows: usize,
    columns: usize,
    elements: usize,
    row: usize,
    rows_each: i32,
) -> Vec<u8> {
    let (k, m, n) = (elements as i32, rows as i32, columns as i32);
    let (row, all) = (row as u64, (row * rows) as u64);
    let column = 4 * elements as u64;
    let whole = column * columns as u64;
    let first = Struct::new().i32([k, m, 1]).u64([2, row, all, all]);
    let second = first.i32([k, n, 1]).u64([4, column, whole, whole]);
    second.i32([m, n, rows_each]).i16([1, 1]).bytes()
}

#[test]
fn matrix_times_vector() {
    for format in FORMATS {
        for (rows, columns, elements) in SHAPES {
            let row_bytes = elements / WEIGHTS * format.bytes();
            let blocks = format.some(31, rows * elements / WEIGHTS);
            let inputs = Number::F32.some(32, columns * elements);
            // How many rows a SIMD-group takes, and how many SIMD-groups a threadgroup has.
            let (rows_each, simdgroups) = if format.name == "q8_0" { (2, 4) } else { (4, 2) };
            // The SIMD-groups of q8_0 share rows, those of the others do not.
            let rows_of_group =
                if format.name == "q8_0" { rows_each } else { rows_each * simdgroups };
            let kernel = format!("kernel_mul_mv_{}_f32", format.name);
            let arguments = vector_arguments(rows, columns, elements, row_bytes, rows_each as i32);
            // Rows past the last one are read, and not written: there has to be something.
            let padding = vec![0; row_bytes * 8];
            let launch = kernels().launch(&kernel).constant(600, simdgroups as i16);
            let launch = launch.bytes(&arguments).bytes(&[blocks.as_slice(), &padding].concat());
            let launch = launch.bytes(&Number::F32.encode(&inputs));
            let launch = launch.room(rows * columns * 4).memory(0, 128 * rows_each);
            let groups = (rows.div_ceil(rows_of_group), columns, 1);
            let out = launch.groups(groups, (32, simdgroups, 1), 3);
            let expected = products(&format.weights(&blocks), &inputs, elements);
            near(&kernel, &Number::F32.decode(&out), &expected, 1e-4);
        }
    }
}

/// Kernel, weights' bytes and their values: the quantised formats and plain numbers.
fn matrices(rows: usize, elements: usize) -> Vec<(String, usize, Vec<u8>, Vec<f64>)> {
    let count = rows * elements;
    let quantised = |format: &Format| {
        let blocks = format.some(41, count / WEIGHTS);
        let weights = format.weights(&blocks);
        (format.name.to_owned(), elements / WEIGHTS * format.bytes(), blocks, weights)
    };
    let plain = |(name, number): (&str, Number)| {
        let weights = number.some(42, count);
        (name.to_owned(), elements * number.size(), number.encode(&weights), weights)
    };
    let numbers = [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];
    FORMATS.iter().map(quantised).chain(numbers.into_iter().map(plain)).collect()
}

#[test]
fn matrix_times_matrix() {
    for (rows, columns, elements) in SHAPES {
        for (name, row_bytes, bytes, weights) in matrices(rows, elements) {
            for (input, number) in [("f32", Number::F32), ("f16", Number::F16)] {
                if name == "bf16" && input == "f16" {
                    continue;
                }
                let kernel = format!("kernel_mul_mm_{name}_{input}");
                let inputs = number.some(43, columns * elements);
                let (row, all) = (row_bytes as u64, (row_bytes * rows) as u64);
                let column = (number.size() * elements) as u64;
                let whole = column * columns as u64;
                let arguments = Struct::new().i32([elements as i32, 1]).u64([row, all, all]);
                let arguments =
                    arguments.i32([1]).u64([number.size() as u64, column, whole, whole]);
                let arguments = arguments.i32([rows as i32, columns as i32]).i16([1, 1]);
                let launch = kernels().launch(&kernel).constant(700, elements % 32 != 0);
                let launch = launch.constant(701, rows % 64 != 0 || columns % 32 != 0);
                let launch = launch.bytes(&arguments.bytes()).bytes(&bytes);
                let launch = launch.bytes(&number.encode(&inputs)).room(rows * columns * 4);
                let groups = (columns.div_ceil(32), rows.div_ceil(64), 1);
                let out = launch.memory(0, 8192).groups(groups, (128, 1, 1), 3);
                let part = if name == "bf16" { Number::BF16 } else { Number::F16 };
                let narrow = |values: &[f64]| -> Vec<f64> {
                    values.iter().map(|&value| part.rounded(value)).collect()
                };
                let expected = products(&narrow(&weights), &narrow(&inputs), elements);
                // Weights made in halves are rounded on the way, a few units in 2^11.
                near(&kernel, &Number::F32.decode(&out), &expected, 4e-3);
            }
        }
    }
}

#[test]
fn rows_by_number() {
    let (rows, elements) = (40, 256);
    for format in FORMATS {
        let kernel = format!("kernel_get_rows_{}", format.name);
        let blocks = format.some(51, rows * elements / WEIGHTS);
        let picks = [3u32, 39, 0, 17, 3];
        let row_bytes = (elements / WEIGHTS * format.bytes()) as u64;
        let (out_row, all) = (4 * elements as u64, row_bytes * rows as u64);
        let tall = out_row * picks.len() as u64;
        let arguments = Struct::new().i32([elements as i32 / 16, elements as i32]);
        let arguments = arguments.u64([row_bytes, all, all]).i32([picks.len() as i32]);
        let arguments = arguments.u64([4, 20, 20, out_row, tall, tall]);
        let numbers: Vec<u8> = picks.iter().flat_map(|pick| pick.to_le_bytes()).collect();
        let launch = kernels().launch(&kernel).bytes(&arguments.bytes()).bytes(&blocks);
        let launch = launch.bytes(&numbers).room(picks.len() * elements * 4);
        let out = launch.groups((picks.len(), 1, 1), (elements / 16, 1, 1), 3);
        let weights = format.weights(&blocks);
        let row = |&pick: &u32| weights[pick as usize * elements..][..elements].to_vec();
        let expected: Vec<f64> = picks.iter().flat_map(row).collect();
        near(&kernel, &Number::F32.decode(&out), &expected, 1e-3);
    }
}

#[test]
fn soft_max() {
    for (rows, elements) in [(3usize, 7usize), (2, 64), (4, 1000)] {
        let (input, mask) =
            (Number::F32.some(61, rows * elements), Number::F32.some(62, rows * elements));
        for (name, number) in
            [("f32", Some(Number::F32)), ("f16", Some(Number::F16)), ("f32", None)]
        {
            let kernel = format!("kernel_soft_max_{name}");
            let mask: Vec<f64> =
                mask.iter().map(|&m| number.map_or(0.0, |number| number.rounded(m))).collect();
            let (row, all) = (4 * elements as u64, (4 * elements * rows) as u64);
            let mask_row = (number.map_or(4, Number::size) * elements) as u64;
            let (k, m) = (elements as i32, rows as i32);
            let arguments = Struct::new().i32([k, m, 1]).u64([row, all, all]).i32([m, 1, 1]);
            let arguments =
                arguments.u64([mask_row, mask_row * rows as u64, mask_row * rows as u64]);
            let arguments = arguments.u64([row, all, all]).f32([0.5, 0.0, 0.0, 0.0]).i32([0]);
            let launch = kernels().launch(&kernel).bytes(&arguments.bytes());
            let launch = launch.bytes(&Number::F32.encode(&input));
            let launch = match number {
                Some(number) => launch.bytes(&number.encode(&mask)),
                None => launch.again(1),
            };
            let launch = launch.again(1).room(4 * rows * elements).memory(0, 128);
            let threads = elements.div_ceil(32).min(8) * 32;
            let out = launch.groups((rows, 1, 1), (threads, 1, 1), 4);
            let rows_of = input.chunks(elements).zip(mask.chunks(elements));
            let expected: Vec<f64> = rows_of
                .flat_map(|(row, mask)| {
                    let scaled: Vec<f64> = row.iter().zip(mask).map(|(x, m)| x * 0.5 + m).collect();
                    let most = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = scaled.iter().map(|x| (x - most).exp()).sum();
                    scaled.into_iter().map(move |x| (x - most).exp() / sum).collect::<Vec<_>>()
                })
                .collect();
            near(&kernel, &Number::F32.decode(&out), &expected, 1e-5);
        }
    }
}

#[test]
fn rms_norm() {
    for (rows, elements) in [(3usize, 32usize), (2, 100), (3, 2048)] {
        let input = Number::F32.some(71, rows * elements);
        let (factor, added) = (Number::F32.some(72, elements), Number::F32.some(73, elements));
        for (suffix, width) in [("", 1), ("_4", 4)] {
            for (name, kind) in [("", 1), ("_mul", 2), ("_mul_add", 3)] {
                let kernel = format!("kernel_rms_norm{name}_f32{suffix}");
                let (row, all) = (4 * elements as u64, (4 * rows * elements) as u64);
                let arguments = Struct::new().i32([elements as i32, elements as i32 / width]);
                let arguments = arguments.u64([row, all, all]).f32([1e-5]);
                let arguments = arguments.i32([rows as i32, 1, 1]).i32([1, 1, 1]).i32([1, 1, 1]);
                let arguments =
                    arguments.u64([row, row, row]).u64([all, row, row]).u64([all, row, row]);
                let launch = kernels().launch(&kernel).bytes(&arguments.bytes());
                let launch = launch.bytes(&Number::F32.encode(&input));
                let launch = launch.bytes(&Number::F32.encode(&factor));
                let launch = launch.bytes(&Number::F32.encode(&added));
                let launch = launch.room(4 * rows * elements).memory(0, 128);
                let threads = (elements / width as usize).div_ceil(32).min(32) * 32;
                let out = launch.groups((rows, 1, 1), (threads, 1, 1), 4);
                let expected: Vec<f64> = input
                    .chunks(elements)
                    .flat_map(|row| {
                        let mean = row.iter().map(|x| x * x).sum::<f64>() / elements as f64;
                        let scale = 1.0 / (mean + 1e-5).sqrt();
                        let both = factor.iter().zip(&added);
                        row.iter().zip(both).map(move |(x, (f, a))| {
                            let factor = if kind > 1 { *f } else { 1.0 };
                            x * scale * factor + if kind > 2 { *a } else { 0.0 }
                        })
                    })
                    .collect();
                near(&kernel, &Number::F32.decode(&out), &expected, 1e-5);
            }
        }
    }
}

#[test]
fn rope() {
    // Dimensions of a head, those that are turned, heads, positions.
    let (head, turned, heads, places) = (64usize, 48usize, 3usize, 5usize);
    for (name, number) in [("f32", Number::F32), ("f16", Number::F16)] {
        for (form, distance) in [("norm", 1), ("neox", turned / 2)] {
            let kernel = format!("kernel_rope_{form}_{name}");
            let input = number.some(81, head * heads * places);
            let positions: Vec<u8> =
                (0..places as u32).flat_map(|p| (p * 7).to_le_bytes()).collect();
            let steps = [1, head, head * heads, head * heads * places];
            let steps = steps.map(|step| (step * number.size()) as u64);
            let sides = [head, heads, places, 1].map(|side| side as i32);
            let arguments = Struct::new().i32(sides).u64(steps).i32(sides).u64(steps);
            let arguments = arguments.i32([0, turned as i32, 4096]);
            let arguments = arguments.f32([10000.0, 1.0, 0.0, 1.0, 32.0, 1.0]);
            let arguments = arguments.i32([0; 4]).u8([0]);
            let launch = kernels().launch(&kernel).bytes(&arguments.bytes());
            let launch = launch.bytes(&number.encode(&input)).bytes(&positions).again(1);
            let launch = launch.room(input.len() * number.size());
            let out = launch.groups((heads, places, 1), (32, 1, 1), 4);
            let mut expected = input.clone();
            for (at, row) in expected.chunks_mut(head).enumerate() {
                for pair in 0..turned / 2 {
                    let place = (at / heads * 7) as f64;
                    let angle = place * 10000f64.powf(-2.0 * pair as f64 / turned as f64);
                    let first = if form == "norm" { 2 * pair } else { pair };
                    let (x, y) = (row[first], row[first + distance]);
                    row[first] = x * angle.cos() - y * angle.sin();
                    row[first + distance] = x * angle.sin() + y * angle.cos();
                }
            }
            // The angle is a product in `float` of up to 28 radians, from a fast `pow`.
            near(&kernel, &number.decode(&out), &expected, 1e-4 + 2.0 * number.epsilon());
        }
    }
}

#[test]
fn argsort() {
    for (elements, rows) in [(5usize, 2usize), (64, 3), (300, 2)] {
        // All different, so that there is one order.
        let input: Vec<f64> =
            (0..rows * elements).map(|at| ((at * 7919) % (rows * elements + 1)) as f64).collect();
        for (order, sign) in [("asc", 1.0), ("desc", -1.0)] {
            let kernel = format!("kernel_argsort_f32_i32_{order}");
            let (row, all) = (4 * elements as u64, (4 * rows * elements) as u64);
            let (k, m) = (elements as i32, rows as i32);
            let arguments = Struct::new().i32([k, m, 1, 1]).u64([4, row, all, all]);
            let arguments = arguments.i32([k, m, 1, 1, k]);
            let threads = elements.next_power_of_two();
            let launch = kernels().launch(&kernel).bytes(&arguments.bytes());
            let launch = launch.bytes(&Number::F32.encode(&input)).room(4 * rows * elements);
            let out = launch.memory(0, 4 * threads).groups((rows, 1, 1), (threads, 1, 1), 2);
            let expected: Vec<f64> = input
                .chunks(elements)
                .flat_map(|row| {
                    let mut order: Vec<usize> = (0..elements).collect();
                    order.sort_by(|&a, &b| (row[a] * sign).total_cmp(&(row[b] * sign)));
                    order.into_iter().map(|at| at as f64).collect::<Vec<_>>()
                })
                .collect();
            near(&kernel, &Number::U32.decode(&out), &expected, 0.0);
        }
    }
}

/// `cargo test --release … vector_speed -- --ignored --nocapture`
#[test]
#[ignore = "measures; says nothing in a build without optimisation"]
fn vector_speed() {
    const SIDE: usize = 4096;
    for format in FORMATS {
        let (rows_each, simdgroups) = if format.name == "q8_0" { (2, 4) } else { (4, 2) };
        let rows_of_group = if format.name == "q8_0" { rows_each } else { rows_each * simdgroups };
        let kernel = format!("kernel_mul_mv_{}_f32", format.name);
        let row_bytes = SIDE / WEIGHTS * format.bytes();
        let arguments = vector_arguments(SIDE, 1, SIDE, row_bytes, rows_each as i32);
        let launch = kernels().launch(&kernel).constant(600, simdgroups as i16).bytes(&arguments);
        let launch = launch.bytes(&format.some(1, SIDE * SIDE / WEIGHTS));
        let launch = launch.bytes(&Number::F32.encode(&Number::F32.some(2, SIDE)));
        let launch = launch.room(SIDE * 4).memory(0, 128 * rows_each);
        let groups = (SIDE / rows_of_group, 1, 1);
        let (_, time) = launch.timed(groups, (32, simdgroups, 1), 3, 20);
        println!("{kernel}, {SIDE} by {SIDE}: {time:.1?}");
    }
}
