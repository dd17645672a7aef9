//! mlx-native's products of ggml's quantised blocks, compared with the products of the dequantised weights.
//!
//! Tolerances are in units of the sum of the products' sizes: 1e-5 where everything is in `float`, 2^-9 where weights
//! become halves on the way. Weights that are made halves and kept are good to a few units of them, relative above 1.

use Number::{BF16, F16, F32, U32};
use kernels::blocks::Format;
use kernels::numbers::{Number, near};
use kernels::products::{Rows, near_products, products};
use kernels::references::{different, largest, silu};
use kernels::run::{Kernels, Size};
use kernels::structs::{Struct, word};

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// How near products are whose weights are made by the tile. In q4_K and q5_K the scale of every other group is divided
/// by 16 in halves; the smallest of those here are below the normal numbers of halves, and lose a hundredth of themselves.
fn by_tile(format: &str) -> f64 {
    if matches!(format, "q4_K" | "q5_K") { 1.0 / 64.0 } else { 2.0 * F16.epsilon() }
}

/// Groups of 16 by 4 threads.
const TILE: Size = (16, 4, 1);

/// Rows, columns, elements: one of each, and what no tile divides.
const SHAPES: [(usize, usize, usize); 3] = [(1, 1, 256), (9, 2, 512), (70, 5, 768)];

/// The arguments of a product of rows of some matrices with columns.
fn arguments(matrices: usize, rows: usize, columns: usize, elements: usize) -> Struct {
    let sizes = [elements, rows, matrices, elements, 1].map(|x| x as u64);
    Struct::new().u64(sizes).u64([rows as u64, columns as u64]).u32([1, 1])
}

/// Rows with padding after them: rows past the last are read, and not written.
fn padded(rows: &Rows) -> Vec<u8> {
    [rows.bytes.as_slice(), &vec![0; rows.row * 8]].concat()
}

/// Kernels of rows times a column: the format, what a name ends with, rows and threads of a threadgroup.
const VECTOR_KERNELS: [(&str, &str, usize, Size); 13] = [
    ("q4_0", "", 8, (8, 8, 1)),
    ("q5_0", "", 8, (8, 8, 1)),
    ("q5_1", "", 8, (8, 8, 1)),
    ("q8_0", "", 8, (8, 8, 1)),
    ("q8_0", "_nr2", 2, (32, 4, 1)),
    ("iq4_nl", "", 8, (8, 8, 1)),
    ("iq4_xs", "", 8, (8, 8, 1)),
    ("q2_K", "", 8, (2, 32, 1)),
    ("q3_K", "", 4, (2, 32, 1)),
    ("q4_K", "", 2, (2, 32, 1)),
    ("q5_K", "", 2, (2, 32, 1)),
    ("q6_K", "", 2, (2, 32, 1)),
    ("q6_K", "_nr2", 4, (2, 32, 1)),
];

#[test]
fn matrix_times_vector() {
    let kernels = open("quantized_matmul_ggml.metal");
    for (rows, columns, elements) in SHAPES {
        let run = |format: &str, kernel: &str, columns: usize, (groups, threads): (Size, Size)| {
            let inputs = F32.some(1, columns * elements);
            let matrix = Rows::some(Format::named(format), 2, rows, elements);
            let launch = kernels.launch(kernel).bytes(&padded(&matrix)).numbers(F32, &inputs);
            let launch = launch.room(rows * columns * 4);
            let launch = launch.bytes(&arguments(1, rows, columns, elements).bytes());
            let out = F32.decode(&launch.memory(0, 256).groups(groups, threads, 2));
            near_products(kernel, &out, (&matrix.weights, &inputs), elements, 1e-5);
        };
        for (format, suffix, each, threads) in VECTOR_KERNELS {
            let kernel = format!("kernel_mul_mv_{format}_f32{suffix}");
            run(format, &kernel, columns, ((rows.div_ceil(each), columns, 1), threads));
        }
        // As many columns as the kernel computes at once.
        for (format, each) in [("q4_K", 2), ("q5_K", 2), ("q6_K", 4)] {
            for columns in 2..=5 {
                let kernel = format!("kernel_mul_mv_{format}_f32_mN_r1_{columns}");
                run(format, &kernel, columns, ((rows.div_ceil(each), 1, 1), (2, 32, 1)));
            }
        }
    }
}

#[test]
fn matrix_times_some_vectors() {
    let kernels = open("mul_mv_ext.metal");
    let formats = ["q4_0", "q5_0", "q5_1", "q8_0", "iq4_nl", "q4_K", "q5_K", "q6_K"];
    for (rows, columns, elements) in SHAPES {
        let inputs = F32.some(1, columns * elements);
        for format in formats {
            let matrix = Rows::some(Format::named(format), 2, rows, elements);
            for at_once in if format == "q5_K" { 1..=5 } else { 2..=5 } {
                let kernel = format!("kernel_mul_mv_ext_{format}_f32_r1_{at_once}");
                // Lanes of a row; the others take other rows.
                let lanes = if columns < 3 { 16 } else { 8 };
                let row = matrix.row as u64;
                let (column, all) = (4 * elements as u64, (4 * elements * columns) as u64);
                let start = Struct::new().i32([elements, rows, 1].map(|x| x as i32));
                let start = start.u64([1, row, row * rows as u64, row * rows as u64]);
                let start = start.i32([elements, columns, 1].map(|x| x as i32));
                let start = start.u64([4, column, all, all]);
                let start = start.i32([rows as i32, columns as i32]).i16([1, 1]);
                let launch = kernels.launch(&kernel).constant(600, 2i32).constant(601, lanes);
                let launch = launch.bytes(&start.bytes()).bytes(&matrix.bytes);
                let launch = launch.numbers(F32, &inputs).room(rows * columns * 4);
                let rows_each = 32 / lanes as usize * 2;
                let groups = (rows.div_ceil(rows_each), columns.div_ceil(at_once), 1);
                let out = F32.decode(&launch.groups(groups, (32, 2, 1), 3));
                let tolerance = if format.ends_with('K') { by_tile(format) } else { 1e-5 };
                near_products(&kernel, &out, (&matrix.weights, &inputs), elements, tolerance);
            }
        }
    }
}

/// A file, the end of a kernel's name, and the columns of a tile.
const TILES: [(&str, &str, usize); 4] = [
    ("quantized_matmul_mm.metal", "_f32", 32),
    ("quantized_matmul_mm_tensor.metal", "_tensor_f32", 32),
    ("quantized_matmul_mm_tensor.metal", "_tensor_v2_f32", 128),
    ("quantized_matmul_mm_tensor.metal", "_tensor_64x32_f32", 32),
];

/// The arguments of a product by tiles: bytes of a row, rows, columns, elements, and bytes of an input's element.
fn tile_arguments(
    row: usize,
    (rows, columns, elements): (usize, usize, usize),
    size: usize,
) -> Struct {
    let (column, all) = ((size * elements) as u64, (size * elements * columns) as u64);
    let start = Struct::new().i32([elements as i32, 1]).u64([row, row * rows, 0].map(|x| x as u64));
    let start = start.i32([1]).u64([size as u64, column, all, 0]);
    start.i32([rows as i32, columns as i32]).i16([1, 1])
}

#[test]
fn matrix_times_matrix() {
    let formats =
        ["q4_0", "q5_0", "q5_1", "q8_0", "iq4_nl", "q2_K", "q3_K", "q4_K", "q5_K", "q6_K"];
    let mut ran = 0;
    for (file, form, tile) in TILES {
        let kernels = open(file);
        for format in formats {
            let kernel = format!("kernel_mul_mm_{format}{form}");
            if !kernels.has(&kernel) {
                continue;
            }
            ran += 1;
            for (rows, columns, elements) in [(1, 1, 256), (64, 32, 256), (70, 50, 512)] {
                let inputs = F32.some(1, columns * elements);
                let matrix = Rows::some(Format::named(format), 2, rows, elements);
                let arguments = tile_arguments(matrix.row, (rows, columns, elements), 4).bytes();
                let launch = kernels.launch(&kernel).bytes(&arguments).bytes(&matrix.bytes);
                let launch = launch.numbers(F32, &inputs).room(rows * columns * 4);
                let groups = (columns.div_ceil(tile), rows.div_ceil(64), 1);
                let out = F32.decode(&launch.memory(0, 8192).groups(groups, (128, 1, 1), 3));
                let both = (matrix.weights.as_slice(), inputs.as_slice());
                near_products(&kernel, &out, both, elements, by_tile(format));
            }
        }
    }
    assert_eq!(ran, 31, "products by tiles");

    // Weights that are `half`s already.
    let (kernels, kernel) = (open("quantized_matmul_mm_tensor.metal"), "hf2q_mul_mm_tensor_v2_f16");
    let (rows, columns, elements) = (70, 50, 100);
    let (matrix, inputs) = (Rows::plain(F16, 2, rows, elements), F32.some(1, columns * elements));
    let arguments = tile_arguments(matrix.row, (rows, columns, elements), 4).bytes();
    let launch = kernels.launch(kernel).bytes(&arguments).bytes(&matrix.bytes);
    let launch = launch.numbers(F32, &inputs).room(rows * columns * 4).memory(0, 8192);
    let out = launch.groups((columns.div_ceil(128), rows.div_ceil(64), 1), (128, 1, 1), 3);
    let both = (matrix.weights.as_slice(), inputs.as_slice());
    near_products(kernel, &F32.decode(&out), both, elements, F16.epsilon());
}

/// Inputs whose heads come first: a row of the product consists of parts of all of them.
#[test]
fn matrix_times_heads() {
    let kernels = open("quantized_matmul_mm_tensor.metal");
    let (rows, columns, heads, side) = (70, 50, 8, 64);
    let elements = heads * side;
    let inputs = BF16.some(1, columns * elements);
    let by_head = |at: usize| {
        let (head, column) = (at / side / columns, at / side % columns);
        column * elements + head * side + at % side
    };
    let moved: Vec<f64> = (0..inputs.len()).map(|at| inputs[by_head(at)]).collect();
    for format in ["q4_0", "q5_0", "q6_K", "q8_0", "f16"] {
        let kernel = format!("kernel_mul_mm_{format}_tensor_bf16_perm021");
        let matrix = match Number::named(format) {
            Some(number) => Rows::plain(number, 2, rows, elements),
            None => Rows::some(Format::named(format), 2, rows, elements),
        };
        let arguments = tile_arguments(matrix.row, (rows, columns, elements), 2);
        let arguments = arguments.i32([side as i32, columns as i32]).bytes();
        let launch = kernels.launch(&kernel).bytes(&arguments).bytes(&matrix.bytes);
        let launch = launch.numbers(BF16, &moved).room(rows * columns * 4).memory(0, 8192);
        let groups = (columns.div_ceil(32), rows.div_ceil(64), 1);
        let out = F32.decode(&launch.groups(groups, (128, 1, 1), 3));
        let both = (matrix.weights.as_slice(), inputs.as_slice());
        near_products(&kernel, &out, both, elements, by_tile(format));
    }
}

/// Experts of tokens, all different for one token.
fn routes(tokens: usize, experts: usize, count: usize) -> Vec<usize> {
    let each = (0..tokens).flat_map(|token| largest(&different(token as u64, experts), count));
    each.collect()
}

/// For each place of a token, its expert's rows times the input of that place, one of a token, or one of a place.
#[track_caller]
fn near_routed(
    what: &str,
    found: &[f64],
    (matrix, rows): (&Rows, usize),
    (inputs, elements): (&[f64], usize),
    (experts, inputs_each): (&[usize], usize),
    tolerance: f64,
) {
    for (place, &expert) in experts.iter().enumerate() {
        let weights = &matrix.weights[expert * rows * elements..][..rows * elements];
        let input = &inputs[place / inputs_each * elements..][..elements];
        let found = &found[place * rows..][..rows];
        near_products(what, found, (weights, input), elements, tolerance);
    }
}

#[test]
fn experts_times_vector() {
    let kernels = open("quantized_matmul_id_ggml.metal");
    for (rows, tokens, elements, experts, count) in
        [(1usize, 1usize, 256usize, 2usize, 1usize), (9, 3, 512, 5, 2), (40, 2, 768, 8, 4)]
    {
        let ids = routes(tokens, experts, count);
        let numbers: Vec<f64> = ids.iter().map(|&id| id as f64).collect();
        let places = ids.len();
        let (inputs, more) = (F32.some(1, places * elements), F32.some(3, places * elements));
        let last = |matrix: &Rows| {
            let arguments =
                arguments(experts, rows, places, elements).u32([count, tokens].map(|x| x as u32));
            arguments.u64([(matrix.row * rows) as u64]).bytes()
        };
        for (format, suffix, each, threads) in VECTOR_KERNELS {
            let kernel = format!("kernel_mul_mv_id_{format}_f32{suffix}");
            let matrix = Rows::some(Format::named(format), 2, experts * rows, elements);
            let launch = kernels.launch(&kernel).bytes(&padded(&matrix)).numbers(F32, &inputs);
            let launch = launch.room(places * rows * 4).numbers(U32, &numbers);
            let launch = launch.bytes(&last(&matrix)).memory(0, 256);
            let out = F32.decode(&launch.groups((rows.div_ceil(each), places, 1), threads, 2));
            let inputs = (inputs.as_slice(), elements);
            near_routed(&kernel, &out, (&matrix, rows), inputs, (&ids, count), 1e-5);
        }
        // The input made of a gate and what it lets through, one for each place.
        let kernel = "kernel_mul_mv_id_q4_0_f32_swiglu";
        let matrix = Rows::some(Format::named("q4_0"), 2, experts * rows, elements);
        let launch = kernels.launch(kernel).bytes(&padded(&matrix)).numbers(F32, &inputs);
        let launch = launch.numbers(F32, &more).room(places * rows * 4).numbers(U32, &numbers);
        let groups = (rows.div_ceil(8), places, 1);
        let out = F32.decode(&launch.bytes(&last(&matrix)).groups(groups, (8, 8, 1), 3));
        let gated: Vec<f64> = inputs.iter().zip(&more).map(|(x, y)| silu(*x) * y).collect();
        near_routed(kernel, &out, (&matrix, rows), (&gated, elements), (&ids, 1), 1e-5);
    }
}

#[test]
fn experts_times_matrix() {
    let kernels = open("quantized_matmul_id_mm.metal");
    let by_tensors = open("quantized_matmul_id_mm_tensor.metal");
    let fused = open("fused_gate_up_silu_mm_id_q6_K.metal");
    let formats = [
        "q4_0", "q5_0", "q5_1", "q8_0", "iq4_nl", "iq4_xs", "q2_K", "q3_K", "q4_K", "q5_K", "q6_K",
    ];
    for (rows, tokens, elements, experts, count) in
        [(8usize, 3usize, 256usize, 2usize, 1usize), (70, 40, 256, 9, 6), (33, 10, 512, 8, 8)]
    {
        let ids = routes(tokens, experts, count);
        let numbers: Vec<f64> = ids.iter().map(|&id| id as f64).collect();
        let kernel = format!("kernel_mul_mm_id_map0_ne20_{count}");
        let start = Struct::new().i32([elements as i32, count as i32]).u64([0, 0]);
        let start = start.i32([tokens as i32, count as i32]).u64([4 * count as u64]);
        let launch = kernels.launch(&kernel).bytes(&start.bytes()).numbers(U32, &numbers);
        let launch = launch.room(experts * 4).room(experts * tokens * 4);
        let launch = launch.memory(0, (experts * count * 4).next_multiple_of(16));
        let [counts, lists] = launch.results((1, 1, 1), (experts, 1, 1), [2, 3]);
        for expert in 0..experts {
            let of: Vec<f64> =
                (0..ids.len()).filter(|&at| ids[at] == expert).map(|at| at as f64).collect();
            assert_eq!(U32.decode(&counts)[expert] as usize, of.len(), "{kernel}: {expert}");
            near(&kernel, &U32.decode(&lists)[expert * tokens..][..of.len()], &of, 0.0);
        }
        let inputs = F32.some(1, tokens * elements);
        let groups = (tokens.div_ceil(32), rows.div_ceil(64), experts);
        let each = formats.into_iter().flat_map(|format| [(format, false), (format, true)]);
        for (format, is_tensor) in each {
            let (kernels, form) = if is_tensor { (&by_tensors, "_tensor") } else { (&kernels, "") };
            let kernel = format!("kernel_mul_mm_id_{format}{form}_f32");
            let matrix = Rows::some(Format::named(format), 2, experts * rows, elements);
            let row = matrix.row as u64;
            let start = Struct::new().i32([elements as i32, experts as i32]);
            let start = start.u64([row, row * rows as u64, 0]).i32([count as i32]);
            let start = start.u64([4, 0, 4 * elements as u64, 0]);
            let start = start.i32([count, tokens, rows, count].map(|x| x as i32)).i16([1, 1, 0, 0]);
            let launch = kernels.launch(&kernel).bytes(&start.bytes()).bytes(&matrix.bytes);
            let launch = launch.numbers(F32, &inputs).bytes(&counts).bytes(&lists);
            let launch = launch.room(ids.len() * rows * 4).memory(0, 8192);
            let out = F32.decode(&launch.groups(groups, (128, 1, 1), 5));
            let inputs = (inputs.as_slice(), elements);
            near_routed(&kernel, &out, (&matrix, rows), inputs, (&ids, count), by_tile(format));
        }

        // The gate's product, times its sigmoid, times the other product.
        let kernel = "kernel_fused_gate_up_silu_mm_id_q6_K_f32";
        let format = Format::named("q6_K");
        let [gate, up] = [2, 7].map(|seed| Rows::some(format, seed, experts * rows, elements));
        let start = Struct::new().i32([elements as i32, experts as i32]);
        let start = start.u64([gate.row, gate.row * rows, 0].map(|x| x as u64));
        let start = start.i32([1, 0]).u64([4, 0, 4 * elements as u64, 0]);
        let start = start.i32([count, tokens, rows, count].map(|x| x as i32)).u32([1, 1, 0]);
        let launch = fused.launch(kernel).bytes(&start.bytes()).bytes(&gate.bytes).bytes(&up.bytes);
        let launch = launch.numbers(F32, &inputs).bytes(&counts).bytes(&lists);
        let launch = launch.room(ids.len() * rows * 4).memory(0, 16384);
        let out = F32.decode(&launch.groups(groups, (128, 1, 1), 6));
        let each = ids.iter().enumerate().flat_map(|(place, &expert)| {
            let input = &inputs[place / count * elements..][..elements];
            let of = |rows_of: &Rows| {
                products(
                    &rows_of.weights[expert * rows * elements..][..rows * elements],
                    input,
                    elements,
                )
            };
            let (gate, up) = (of(&gate), of(&up));
            gate.into_iter().zip(up).map(|(gate, up)| silu(gate) * up).collect::<Vec<_>>()
        });
        let expected: Vec<f64> = each.collect();
        // Products of two sums of up to 30, whose weights are halves.
        let most = expected.iter().fold(1.0f64, |most, x| most.max(x.abs()));
        near(kernel, &out, &expected, most * F16.epsilon());
    }
    let block = Rows::some(Format::named("iq4_xs"), 5, 1, 256);
    let launch = kernels.launch("hf2q_dequant_iq4_xs_dump").bytes(&block.bytes).room(1024);
    let out = F32.decode(&launch.groups((1, 1, 1), (1, 1, 1), 1));
    near("hf2q_dequant_iq4_xs_dump", &out, &block.weights, F16.epsilon());
}

#[test]
fn two_products_at_once() {
    for (rows, columns, elements) in SHAPES {
        let inputs = F32.some(1, columns * elements);
        let arguments_of = |rows: usize| arguments(1, rows, columns, elements).bytes();
        let pair = |format: &str, rows: usize| {
            [2, 7].map(|seed| Rows::some(Format::named(format), seed, rows, elements))
        };
        let kernels = open("fused_dual_proj_q4_0.metal");
        let matrices = pair("q4_0", rows);
        let launch = kernels.launch("kernel_fused_dual_proj_q4_0_f32");
        let launch = matrices.iter().fold(launch, |launch, rows| launch.bytes(&padded(rows)));
        let launch = launch.numbers(F32, &inputs).room(rows * columns * 4);
        let launch = launch.room(rows * columns * 4).bytes(&arguments_of(rows));
        let out = launch.results((rows.div_ceil(8), columns, 1), (8, 8, 1), [3, 4]);
        for (out, matrix) in out.iter().zip(&matrices) {
            let (out, both) = (F32.decode(out), (matrix.weights.as_slice(), inputs.as_slice()));
            near_products("kernel_fused_dual_proj_q4_0_f32", &out, both, elements, 1e-5);
        }

        for (format, each, threads) in [
            ("iq4_nl", 8, (8, 8, 1)),
            ("q4_K", 2, (32, 2, 1)),
            ("q6_K", 2, (2, 32, 1)),
            ("q8_0", 2, (32, 4, 1)),
        ] {
            // The kernel for q6_K writes rows by two.
            let rows = if format == "q6_K" { rows.next_multiple_of(2) } else { rows };
            let arguments = arguments_of(rows);
            let kernels = open(&format!("fused_gate_up_silu_{format}.metal"));
            let kernel = format!("kernel_fused_gate_up_silu_{format}_f32");
            let matrices = pair(format, rows);
            let launch = kernels.launch(&kernel);
            let launch = matrices.iter().fold(launch, |launch, rows| launch.bytes(&padded(rows)));
            let launch = launch.numbers(F32, &inputs).room(rows * columns * 4).bytes(&arguments);
            let groups = (rows.div_ceil(each), columns, 1);
            let out = F32.decode(&launch.memory(0, 512).groups(groups, threads, 3));
            let [gate, up] =
                matrices.each_ref().map(|rows| products(&rows.weights, &inputs, elements));
            let expected: Vec<f64> = gate.iter().zip(&up).map(|(x, y)| silu(*x) * y).collect();
            // Products of two sums of up to 30, each off by 1e-5 of the sum of 768 sizes of about 0.5.
            let most = up.iter().fold(1.0f64, |most, x| most.max(x.abs()));
            near(&kernel, &out, &expected, most * 1e-4);
        }
    }
}

#[test]
fn weights_made_halves() {
    let kernels = open("dequant_to_f16.metal");
    for format in ["q4_0", "q8_0", "q5_1", "iq4_nl", "q4_K", "q5_K", "q6_K"] {
        let kernel = format!("hf2q_dequant_{format}_to_f16");
        let rows = Rows::some(Format::named(format), 2, 5, 512);
        // A thread makes 16 of them.
        let parts = rows.weights.len() / 16;
        let launch = kernels.launch(&kernel).bytes(&word(parts)).bytes(&rows.bytes);
        let launch = launch.room(rows.weights.len() * 2);
        let [out] = launch.grid((parts, 1, 1), (64, 1, 1), [2]);
        // Steps in halves: the scale times the bits, and what is subtracted, up to a few times the weight.
        near(&kernel, &F16.decode(&out), &rows.weights, 4.0 * F16.epsilon());
    }
}

#[test]
fn rows_by_number() {
    let all = [
        ("embedding_q4_0.metal", "embedding_gather_q4_0_f32", "q4_0", 16),
        ("embedding_q5_0.metal", "embedding_gather_q5_0_f32", "q5_0", 16),
        ("embedding_q8_0.metal", "embedding_gather_q8_0_f32", "q8_0", 1),
        ("embedding_q2_k.metal", "embedding_gather_q2_k_f32", "q2_K", 1),
        ("embedding_q4_k.metal", "embedding_gather_q4_k_f32", "q4_K", 16),
        ("embedding_kquant.metal", "embedding_gather_q5_k_f32", "q5_K", 16),
        ("embedding_kquant.metal", "embedding_gather_q6_k_f32", "q6_K", 16),
    ];
    for (file, kernel, format, each) in all {
        let (kernels, format) = (open(file), Format::named(format));
        for (rows, elements) in [(3usize, 256usize), (20, 768)] {
            let matrix = Rows::some(format, 2, rows, elements);
            // A number past the last row yields zeros.
            let picks = [rows - 1, 0, rows + 3, 1, 0];
            let launch = kernels.launch(kernel).bytes(&matrix.bytes).words(picks);
            let launch = launch.room(picks.len() * elements * 4);
            let launch = launch.words([rows, elements, elements / format.weights, picks.len()]);
            let [out] = launch.grid((elements / each, picks.len(), 1), TILE, [2]);
            let row = |&row: &usize| match matrix.weights.chunks(elements).nth(row) {
                Some(row) => row.to_vec(),
                None => vec![0.0; elements],
            };
            let expected: Vec<f64> = picks.iter().flat_map(row).collect();
            near(kernel, &F32.decode(&out), &expected, 1e-6);
        }
    }
}
