//! MLX's products: of matrices by tiles, of matrices and vectors, with quantised weights; attention of one query.
//!
//! Sums are in `float`, in any order: one part in 10⁴ for the sizes here, and the result's rounding.

use kernels::affine::{Affine, packed, vector_products};
use kernels::complex::complex;
use kernels::elements::{Element, Value};
use kernels::mlx_metal::{Instance, sampled};
use kernels::numbers::noise;
use kernels::references::attention;
use kernels::structs::Struct;

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// The sum of products of two sequences, in a type.
fn dot(element: Element, pairs: impl Iterator<Item = (Value, Value)>) -> Value {
    let products = pairs.map(|(x, y)| x.complex() * y.complex());
    let sum = products.fold(complex(0.0, 0.0), |sum, product| sum + product);
    element.converted(Value::Complex(sum.re, sum.im))
}

/// How many kernels of a form there are at least, one of each group.
const GEMV: usize = 48;
const SDPA: usize = 24;
const AFFINE: usize = 147;
const AFFINE_TILES: usize = 56;
const FLOATS: usize = 12;
const FLOAT_PRODUCTS: usize = 132;
const FLOAT_TILES: usize = 12;

fn tolerance(element: Element) -> f64 {
    1e-4 + 2.0 * element.epsilon()
}

#[test]
fn matrices_by_tiles() {
    // Plain ones, and those for Metal 4's tensors.
    for (family, count) in [("steel_gemm", 24), ("steel_gemm_nax", 32)] {
        let ran = products_by_tiles(family);
        assert!(ran >= count, "{family}: {ran} kernels ran");
    }
}

fn products_by_tiles(family: &str) -> usize {
    let (kernels, instances) = sampled(family, |one| one.arguments()[1..8].join(" "));
    for instance in &instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, bk, wm, wn] = [1, 2, 3, 4, 5].map(|at| number(arguments[at]));
        let (turned_a, turned_b) = (arguments[6] == "true", arguments[7] == "true");
        // Whole tiles, and parts of one on each side.
        for (m, n, k) in [(bm, 2 * bn, 2 * bk), (bm + 5, bn + 7, bk + 3)] {
            let (a, b) = (element.some(1, m * k), element.some(2, k * n));
            let at_a =
                |row: usize, k_at: usize| if turned_a { k_at * m + row } else { row * k + k_at };
            let at_b = |k_at: usize, column: usize| {
                if turned_b { column * k + k_at } else { k_at * n + column }
            };
            let int = |values: [usize; 8]| values.map(|value| value as i32);
            let (leading_a, leading_b) =
                (if turned_a { m } else { k }, if turned_b { k } else { n });
            let (across, down) = (n.div_ceil(bn), m.div_ceil(bm));
            let sizes = Struct::new().i32(int([m, n, k, leading_a, leading_b, n, across, down]));
            let sizes = sizes.u64([0, 0, 0]).i32([0, (k / bk) as i32, 0]);
            let launch = kernels.launch(&instance.name).constant(10, false);
            let launch = launch.constant(100, false).constant(110, false);
            let launch = launch.constant(200, m.is_multiple_of(bm));
            let launch = launch.constant(201, n.is_multiple_of(bn));
            let launch = launch.constant(202, k.is_multiple_of(bk));
            let launch = launch.bytes(&element.encode(&a)).bytes(&element.encode(&b)).at(3);
            let launch = launch.room(m * n * element.size()).bytes(&sizes.bytes());
            let found = launch.groups((across, down, 1), (32, wn, wm), 3);
            let each = (0..m * n).map(|at| {
                let (row, column) = (at / n, at % n);
                dot(element, (0..k).map(|at| (a[at_a(row, at)], b[at_b(at, column)])))
            });
            let expected: Vec<Value> = each.collect();
            let what = format!("{}, {m} x {n} x {k}", instance.name);
            // The order of a sum counts for more of its terms.
            let tolerance = tolerance(element) * (k as f64 / 64.0).max(1.0);
            element.check(&what, &found, &expected, tolerance);
        }
    }
    instances.len()
}

#[test]
fn matrices_and_vectors() {
    let (kernels, instances) = sampled("gemv", |one| {
        let arguments = one.arguments();
        format!("{} {}", one.template(), arguments[1..].join(" "))
    });
    const BATCHES: usize = 2;
    let mut ran = 0;
    let plain = |one: &Instance| !one.template().contains("gather");
    for instance in instances.into_iter().filter(plain) {
        ran += 1;
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, sm, sn, tm, tn] = [1, 2, 3, 4, 5, 6].map(|at| number(arguments[at]));
        let turned = instance.template() == "gemv_t";
        let weighted = arguments[8] == "true";
        let (outputs, inputs) = (77, 203);
        let matrix = element.some(1, BATCHES * outputs * inputs);
        let vector = element.some(2, BATCHES * inputs);
        let bias = element.some(3, BATCHES * outputs);
        let (alpha, beta) = (0.5, -2.0);
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&matrix));
        let launch = launch.bytes(&element.encode(&vector)).bytes(&element.encode(&bias));
        let launch = launch.room(BATCHES * outputs * element.size());
        let launch = launch.words([inputs]).words([outputs]);
        let launch = launch.words([if turned { outputs } else { inputs }]);
        let launch = launch.floats([alpha as f32]).floats([beta as f32]);
        let launch = launch.words([1]).words([BATCHES]).longs([inputs]);
        let launch = launch.longs([outputs * inputs]).longs([outputs]).words([1]);
        let of_a_group = if turned { bn * sn * tn } else { bm * sm * tm };
        let groups = (outputs.div_ceil(of_a_group), 1, BATCHES);
        let found = launch.groups(groups, (32, bn, bm), 3);
        let each = (0..BATCHES * outputs).map(|at| {
            let (batch, row) = (at / outputs, at % outputs);
            let pairs = (0..inputs).map(|at| {
                let place = if turned { at * outputs + row } else { row * inputs + at };
                (matrix[batch * outputs * inputs + place], vector[batch * inputs + at])
            });
            let sum = dot(Element::Complex, pairs);
            if !weighted {
                return element.converted(sum);
            }
            let sum = complex(alpha, 0.0) * sum.complex() + complex(beta, 0.0) * bias[at].complex();
            element.converted(Value::Complex(sum.re, sum.im))
        });
        let expected: Vec<Value> = each.collect();
        element.check(&instance.name, &found, &expected, tolerance(element));
    }
    assert!(ran >= GEMV, "{ran} kernels ran");
}

#[test]
fn attention_of_one_query() {
    let (kernels, instances) = sampled("sdpa_vector", |one| one.name.clone());
    const HEADS: usize = 4;
    const SHARED: usize = 2;
    const QUERIES: usize = 3;
    const KEYS: usize = 70;
    let of_one_pass = |one: &Instance| one.template() == "sdpa_vector";
    let mut ran = 0;
    for (at, instance) in instances.into_iter().filter(of_one_pass).enumerate() {
        ran += 1;
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let (side, width) = (number(arguments[1]), number(arguments[2]));
        // Every second one looks back only.
        let causal = at % 2 == 1;
        let queries = element.some(1, HEADS * QUERIES * side);
        let keys = element.some(2, HEADS / SHARED * KEYS * side);
        let values = element.some(3, HEADS / SHARED * KEYS * width);
        let scale = 1.0 / (side as f64).sqrt();
        let mut launch = kernels.launch(&instance.name);
        for constant in [20, 21, 23, 24, 25] {
            launch = launch.constant(constant, false);
        }
        let launch = launch.constant(22, causal).constant(26, 1i32);
        let launch = launch.bytes(&element.encode(&queries)).bytes(&element.encode(&keys));
        let launch = launch.bytes(&element.encode(&values));
        let launch = launch.room(HEADS * QUERIES * width * element.size());
        let launch = launch.words([SHARED]).words([KEYS]).longs([KEYS * side]).longs([side]);
        let launch = launch.longs([KEYS * width]).longs([width]).floats([scale as f32]);
        let found = launch.groups((HEADS, QUERIES, 1), (1024, 1, 1), 3);
        let reals = |values: &[Value]| values.iter().map(|x| x.real()).collect::<Vec<_>>();
        let mut expected = Vec::new();
        for row in 0..HEADS * QUERIES {
            let (head, query) = (row / QUERIES / SHARED, row % QUERIES);
            let part = |values: &[Value], width: usize| {
                reals(&values[head * KEYS * width..(head + 1) * KEYS * width])
            };
            let last = if causal { KEYS - QUERIES + query } else { KEYS };
            let mask = |key: usize| if key > last { f64::NEG_INFINITY } else { 0.0 };
            let query = reals(&queries[row * side..(row + 1) * side]);
            let out = attention(&query, &part(&keys, side), &part(&values, width), scale, mask);
            expected.extend(out.into_iter().map(|x| element.converted(Value::Real(x))));
        }
        element.check(&instance.name, &found, &expected, tolerance(element));
    }
    assert!(ran >= SDPA, "{ran} kernels ran");
}

// ---- quantised weights -------------------------------------------------------------------------

#[test]
fn affine_weights() {
    let (kernels, instances) = sampled("quantized", |one| {
        let arguments = one.arguments();
        format!("{} {}", one.template(), arguments[1..].join(" "))
    });
    let mut ran = 0;
    for instance in &instances {
        let arguments = instance.arguments();
        let (group, bits) = (number(arguments[1]), number(arguments[2]));
        let element = Element::named(arguments[0]);
        match instance.template() {
            "affine_dequantize" => {
                let count = 8 * group;
                let matrix = Affine::some(element, bits, group, count);
                let pack = if bits.is_power_of_two() {
                    8 / bits
                } else if bits == 6 {
                    4
                } else {
                    8
                };
                let launch = kernels.launch(&instance.name).bytes(&matrix.bytes);
                let launch = launch.bytes(&element.encode(&matrix.scales));
                let launch = launch.bytes(&element.encode(&matrix.biases));
                let launch = launch.room(count * element.size());
                let [found] = launch.grid((count / pack, 1, 1), (32, 1, 1), [3]);
                let weights = matrix.weights.iter();
                let expected: Vec<Value> =
                    weights.map(|&x| element.converted(Value::Real(x))).collect();
                // The product, then the sum, are rounded to the type.
                element.check(&instance.name, &found, &expected, 1e-6 + 4.0 * element.epsilon());
            }
            "affine_qmv" | "affine_qmv_fast" => {
                let batched = arguments[3] == "true";
                let rows = number(arguments[6]);
                let batches = if batched { 2 } else { 1 };
                let (outputs, inputs, vectors) = (16, 512, 2);
                let matrix = Affine::some(element, bits, group, batches * outputs * inputs);
                let x = element.some(12, batches * vectors * inputs);
                let launch = kernels.launch(&instance.name).bytes(&matrix.bytes);
                let launch = launch.bytes(&element.encode(&matrix.scales));
                let launch = launch.bytes(&element.encode(&matrix.biases));
                let launch = launch.bytes(&element.encode(&x));
                let results = batches * vectors * outputs;
                let launch = launch.room(results * element.size()).words([inputs]).words([outputs]);
                // One dimension of batches, then the vectors and their elements.
                let launch = launch.words([1]).words([batches, vectors, inputs]);
                let launch = launch.longs([vectors * inputs, inputs, 1]);
                let launch = launch.words([1]).words([batches, outputs, inputs]);
                let groups = outputs * inputs / group;
                let launch = launch.longs([outputs * inputs * bits / 32]);
                let launch = launch.longs([groups]).longs([groups]);
                let size = (vectors, outputs.div_ceil(2 * rows), batches);
                let found = launch.groups(size, (32, 2, 1), 4);
                let expected = matrix.product(element, &x, (inputs, outputs, vectors));
                // 512 terms of up to 8, whose sum may be near 0; four inputs at a time are added in the type.
                let tolerance = 2e-3 + 32.0 * element.epsilon();
                element.check(&instance.name, &found, &expected, tolerance);
            }
            // They only become pipelines, in `mlx_metal.rs`.
            _ => continue,
        }
        ran += 1;
    }
    assert!(ran >= AFFINE, "{ran} kernels ran");
}

#[test]
fn affine_products_by_tiles() {
    // For Metal 4's tensors; weights of each width in bits, with whole tiles of columns and parts of one.
    let (kernels, instances) = sampled("quantized_nax", |one| {
        let arguments = one.arguments();
        match one.template() {
            "affine_qmm_t_nax" => [2, 3, 4, 5].map(|at| arguments[at]).join(" "),
            other => other.to_owned(),
        }
    });
    let mut ran = 0;
    let of_products = |one: &&Instance| one.template() == "affine_qmm_t_nax";
    for instance in instances.iter().filter(of_products) {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let (group, bits) = (number(arguments[1]), number(arguments[2]));
        let (aligned, batched) = (arguments[3] == "true", arguments[4] == "true");
        let [bm, bk, bn, wm, wn] = [5, 6, 7, 8, 9].map(|at| number(arguments[at]));
        let batches = if batched { 2 } else { 1 };
        let (rows, inputs) = (bm + 3, bk.max(group));
        let outputs = if aligned { bn } else { bn - 24 };
        let matrix = Affine::some(element, bits, group, batches * outputs * inputs);
        let x = element.some(12, batches * rows * inputs);
        let launch = kernels.launch(&instance.name).constant(200, false);
        let launch = launch.constant(201, aligned).constant(202, true).bytes(&matrix.bytes);
        let launch = launch.bytes(&element.encode(&matrix.scales));
        let launch = launch.bytes(&element.encode(&matrix.biases)).bytes(&element.encode(&x));
        let results = batches * rows * outputs;
        let launch = launch.room(results * element.size());
        let launch = launch.words([inputs]).words([outputs]).words([rows]);
        let launch = launch.words([1]).words([batches]).longs([rows * inputs]);
        let launch = launch.words([1]).words([batches]).longs([outputs * inputs * bits / 32]);
        let groups = outputs * inputs / group;
        let launch = launch.longs([groups]).longs([groups]);
        let size = (outputs.div_ceil(bn), rows.div_ceil(bm), batches);
        let found = launch.groups(size, (32, wn, wm), 4);
        let expected = matrix.product(element, &x, (inputs, outputs, rows));
        // Weights are rounded to the type; their sum may be near 0.
        let tolerance = 2e-3 + 32.0 * element.epsilon();
        element.check(&instance.name, &found, &expected, tolerance);
        ran += 1;
    }
    assert!(ran >= AFFINE_TILES, "{ran} kernels ran");
}

/// The number of a float with some bits of exponent, a bias, and some bits of fraction, and a sign above them.
fn float(code: u64, exponent_bits: u32, fraction_bits: u32, bias: i32) -> f64 {
    let exponent = (code >> fraction_bits & ((1 << exponent_bits) - 1)) as i32;
    let fraction = (code & ((1 << fraction_bits) - 1)) as f64 / f64::from(1 << fraction_bits);
    let size = match exponent {
        0 => fraction * 2f64.powi(1 - bias),
        _ => (1.0 + fraction) * 2f64.powi(exponent - bias),
    };
    if code >> (exponent_bits + fraction_bits) & 1 == 1 { -size } else { size }
}

fn fp8(code: u64) -> f64 {
    float(code, 4, 3, 7)
}

fn fp4(code: u64) -> f64 {
    float(code, 2, 1, 1)
}

/// Weights of 4-bit or 8-bit floats with a scale for each group, and perhaps one for all.
struct Floats {
    bytes: Vec<u8>,
    scales: Vec<u8>,
    /// The scale for all, which kernels of some names read.
    global: f32,
    weights: Vec<f64>,
}

impl Floats {
    fn some(bits: usize, group: usize, is_global: bool, count: usize) -> Self {
        // No NaNs among 8-bit numbers and scales.
        let codes: Vec<u64> = noise(1)
            .map(|code| code % (1 << bits))
            .filter(|code| bits == 4 || code & 127 != 127)
            .take(count)
            .collect();
        // A power of two for groups of 32, an 8-bit float for those of 16.
        let powers = group == 32;
        let scales: Vec<u8> = noise(2)
            .take(count / group)
            .map(|x| if powers { 120 + x % 12 } else { 32 + x % 64 } as u8)
            .collect();
        let scale = |code: u8| {
            if powers { 2f64.powi(i32::from(code) - 127) } else { fp8(u64::from(code)) }
        };
        let global = 3.0;
        // The largest numbers of both formats.
        let whole = if is_global { f64::from(global) / (448.0 * 6.0) } else { 1.0 };
        let weight = |(at, &code): (usize, &u64)| {
            let number = if bits == 4 { fp4(code) } else { fp8(code) };
            scale(scales[at / group]) * whole * number
        };
        let weights = codes.iter().enumerate().map(weight).collect();
        Self { bytes: packed(&codes, bits), scales, global, weights }
    }

    /// The error of sums of some hundred terms, by the largest weight. With tensors, weights are rounded to `bfloat`.
    fn tolerance(&self, element: Element, by_tensors: bool) -> f64 {
        let most = self.weights.iter().fold(1f64, |most, weight| most.max(weight.abs()));
        let rounding = if by_tensors { 2f64.powi(-10) } else { 0.0 };
        (2e-5 + 32.0 * element.epsilon() + rounding) * most * 16.0
    }
}

#[test]
fn weights_of_4_and_8_bit_floats() {
    let (kernels, instances) =
        sampled("fp_quantized", |one| format!("{} {}", one.template(), one.arguments().join(" ")));
    let dequantizes = |one: &&Instance| one.template() == "fp_dequantize";
    let mut ran = 0;
    for instance in instances.iter().filter(dequantizes) {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let (group, bits) = (number(arguments[1]), number(arguments[2]));
        let count = 8 * group;
        let floats = Floats::some(bits, group, arguments[3] == "true", count);
        let launch = kernels.launch(&instance.name).bytes(&floats.bytes).bytes(&floats.scales);
        let launch = launch.floats([floats.global]).room(count * element.size());
        let [found] = launch.grid((count * bits / 8, 1, 1), (32, 1, 1), [3]);
        let value = |&weight: &f64| element.converted(Value::Real(weight));
        let expected: Vec<Value> = floats.weights.iter().map(value).collect();
        element.check(&instance.name, &found, &expected, 1e-6 + element.epsilon());
        ran += 1;
    }
    assert!(ran >= FLOATS, "{ran} kernels ran");
}

#[test]
fn products_with_4_and_8_bit_floats() {
    let (kernels, instances) =
        sampled("fp_quantized", |one| format!("{} {}", one.template(), one.arguments().join(" ")));
    let of_vectors = |one: &&Instance| matches!(one.template(), "fp_qmv" | "fp_qmv_fast");
    let mut ran = 0;
    for instance in instances.iter().filter(of_vectors) {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let (group, bits) = (number(arguments[1]), number(arguments[2]));
        let [batched, partial, is_global] = [3, 4, 5].map(|at| arguments[at] == "true");
        let rows = if instance.template() == "fp_qmv" { 4 } else { number(arguments[6]) };
        let batches = if batched { 2 } else { 1 };
        // Whole groups of rows, and parts of one.
        let (outputs, inputs, vectors) = (if partial { 13 } else { 16 }, 512, 2);
        let floats = Floats::some(bits, group, is_global, batches * outputs * inputs);
        let x = element.some(12, batches * vectors * inputs);
        let launch = kernels.launch(&instance.name).bytes(&floats.bytes).bytes(&floats.scales);
        let launch = launch.floats([floats.global]).bytes(&element.encode(&x));
        let results = batches * vectors * outputs;
        let launch = launch.room(results * element.size()).words([inputs]).words([outputs]);
        let launch = launch.words([1]).words([batches, vectors, inputs]);
        let launch = launch.longs([vectors * inputs, inputs, 1]);
        let launch = launch.words([1]).words([batches, outputs, inputs]);
        let launch = launch.longs([outputs * inputs * bits / 32]);
        let launch = launch.longs([outputs * inputs / group]);
        let size = (vectors, outputs.div_ceil(2 * rows), batches);
        let found = launch.groups(size, (32, 2, 1), 4);
        let sizes = (inputs, outputs, vectors);
        let expected = vector_products(element, &floats.weights, &x, sizes);
        element.check(&instance.name, &found, &expected, floats.tolerance(element, false));
        ran += 1;
    }
    assert!(ran >= FLOAT_PRODUCTS, "{ran} kernels ran");
}

#[test]
fn products_by_tiles_with_4_and_8_bit_floats() {
    let (kernels, instances) = sampled("fp_quantized_nax", |one| {
        format!("{} {}", one.template(), one.arguments()[1..].join(" "))
    });
    let mut ran = 0;
    for instance in instances.iter().filter(|one| one.template() == "fp_qmm_t_nax") {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let (group, bits) = (number(arguments[1]), number(arguments[2]));
        let [aligned, batched, is_global] = [3, 4, 10].map(|at| arguments[at] == "true");
        let [bm, bk, bn, wm, wn] = [5, 6, 7, 8, 9].map(|at| number(arguments[at]));
        let batches = if batched { 2 } else { 1 };
        let (rows, inputs) = (bm + 3, bk.max(group));
        let outputs = if aligned { bn } else { bn - bn / 4 };
        let floats = Floats::some(bits, group, is_global, batches * outputs * inputs);
        let x = element.some(12, batches * rows * inputs);
        let launch = kernels.launch(&instance.name).constant(200, false);
        let launch = launch.constant(201, aligned).constant(202, true).bytes(&floats.bytes);
        let launch = launch.bytes(&floats.scales).floats([floats.global]);
        let launch = launch.bytes(&element.encode(&x));
        let launch = launch.room(batches * rows * outputs * element.size());
        let launch = launch.words([inputs]).words([outputs]).words([rows]);
        let launch = launch.words([1]).words([batches]).longs([rows * inputs]);
        let launch = launch.words([1]).words([batches]).longs([outputs * inputs * bits / 32]);
        let launch = launch.longs([outputs * inputs / group]);
        let size = (outputs.div_ceil(bn), rows.div_ceil(bm), batches);
        let found = launch.groups(size, (32, wn, wm), 4);
        let expected = vector_products(element, &floats.weights, &x, (inputs, outputs, rows));
        element.check(&instance.name, &found, &expected, floats.tolerance(element, true));
        ran += 1;
    }
    assert!(ran >= FLOAT_TILES, "{ran} kernels ran");
}

/// The weights of several matrices.
enum Weights {
    Affine(Affine),
    Floats(Floats),
}

#[test]
fn chosen_matrices_of_quantised_weights() {
    for (family, template, least) in [
        ("quantized", "affine_gather_qmm_t", 14),
        ("fp_quantized", "fp_gather_qmm_t", 4),
        ("quantized_nax", "affine_gather_qmm_t_nax", 14),
        ("fp_quantized_nax", "fp_gather_qmm_t_nax", 4),
    ] {
        let ran = chosen_weights(family, template);
        assert!(ran >= least, "{template}: {ran} kernels ran");
    }
}

fn chosen_weights(family: &str, template: &str) -> usize {
    // Two matrices of inputs and three of weights; the products of three pairs of them.
    const INPUTS: usize = 2;
    const MATRICES: usize = 3;
    let (of_x, of_weights) = ([1, 0, 1], [2, 0, 1]);
    // Weights of each width in bits, with whole tiles of columns and parts of one.
    let (kernels, instances) = sampled(family, |one| match one.template() == template {
        true => one.arguments()[2..4].join(" "),
        false => String::new(),
    });
    let mut ran = 0;
    for instance in instances.iter().filter(|one| one.template() == template) {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let (group, bits) = (number(arguments[1]), number(arguments[2]));
        let aligned = arguments[3] == "true";
        let sizes: Vec<usize> = arguments[4..].iter().filter_map(|one| one.parse().ok()).collect();
        // Where the template's arguments end before them tiles are of 32, and so they are in all other kernels.
        let [bm, bk, bn, wm, wn] = match sizes[..] {
            [bm, bk, bn, wm, wn, ..] => [bm, bk, bn, wm, wn],
            _ => [32, 32, 32, 2, 2],
        };
        let is_global = arguments[4..].contains(&"true");
        // A part of a tile of rows.
        let (rows, inputs) = (19, 2 * bk.max(group));
        let outputs = if aligned { bn } else { bn - bn / 4 };
        let (count, groups) = (outputs * inputs, outputs * inputs / group);
        let x = element.some(12, INPUTS * rows * inputs);
        let weights = match template.starts_with("affine") {
            true => Weights::Affine(Affine::some(element, bits, group, MATRICES * count)),
            false => Weights::Floats(Floats::some(bits, group, is_global, MATRICES * count)),
        };
        let launch = kernels.launch(&instance.name).constant(200, false);
        let launch = launch.constant(201, aligned).constant(202, true);
        let launch = match &weights {
            Weights::Affine(matrix) => {
                let launch = launch.bytes(&matrix.bytes).bytes(&element.encode(&matrix.scales));
                launch.bytes(&element.encode(&matrix.biases))
            }
            Weights::Floats(floats) => {
                let launch = launch.bytes(&floats.bytes).bytes(&floats.scales);
                launch.floats([floats.global; MATRICES])
            }
        };
        let launch = launch.bytes(&element.encode(&x)).words(of_x).words(of_weights);
        let launch = launch.room(of_x.len() * rows * outputs * element.size());
        let launch = launch.words([inputs]).words([outputs]).words([rows]);
        let launch = launch.words([1]).words([INPUTS]).longs([rows * inputs]);
        let launch = launch.words([1]).words([MATRICES]).longs([count * bits / 32]);
        let launch = launch.longs([groups]);
        let launch = match &weights {
            Weights::Affine(_) => launch.longs([groups]),
            Weights::Floats(_) => launch,
        };
        let launch = launch.words([1]).words([of_x.len()]).longs([1]).longs([1]);
        let size = (outputs.div_ceil(bn), rows.div_ceil(bm), of_x.len());
        let found = launch.groups(size, (32, wn, wm), 6);
        let (numbers, tolerance) = match &weights {
            Weights::Affine(matrix) => (&matrix.weights, 4e-3 + 64.0 * element.epsilon()),
            Weights::Floats(floats) => {
                (&floats.weights, floats.tolerance(element, family.ends_with("nax")))
            }
        };
        let product = |(&of_x, &of_weights): (&usize, &usize)| {
            let x = &x[of_x * rows * inputs..][..rows * inputs];
            let weights = &numbers[of_weights * count..][..count];
            vector_products(element, weights, x, (inputs, outputs, rows))
        };
        let expected: Vec<Value> = of_x.iter().zip(&of_weights).flat_map(product).collect();
        element.check(&instance.name, &found, &expected, tolerance);
        ran += 1;
    }
    ran
}
