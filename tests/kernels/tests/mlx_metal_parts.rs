//! MLX's products in parts: sums in several threadgroups, blocks that a mask hides or scales, matrices that indices choose, segments
//! of a sum, and a few vectors at a time.
//!
//! Sums are in `float`, in any order: one part in 10⁴ for the sizes here, and the result's rounding.

use kernels::complex::{Complex, complex};
use kernels::elements::{Element, Value};
use kernels::mlx_metal::{Instance, sampled};
use kernels::numbers::noise;
use kernels::operands::{Operands, rounded};
use kernels::run::Launch;
use kernels::structs::Struct;

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn is(text: &str) -> bool {
    text == "true"
}

fn tolerance(element: Element) -> f64 {
    1e-4 + 2.0 * element.epsilon()
}

/// The numbers among an instance's arguments from one on.
fn numbers<const N: usize>(arguments: &[&str], first: usize) -> [usize; N] {
    std::array::from_fn(|at| number(arguments[first + at]))
}

/// A template's arguments without the type that they begin with, and without the transpositions, which vary within a group.
fn form(one: &Instance, turned: usize) -> String {
    let mut arguments = one.arguments();
    arguments.drain(turned..turned + 2);
    format!("{} {}", one.template(), arguments[1..].join(" "))
}

#[test]
fn sums_in_parts() {
    let (kernels, instances) = sampled("steel_gemm_splitk", |one| match one.template() {
        "gemm_splitk" => form(one, 7),
        _ => one.name.clone(),
    });
    const PARTS: usize = 3;
    let mut ran = 0;
    for instance in &instances {
        let arguments = instance.arguments();
        let (from, to) = (Element::named(arguments[0]), Element::named(arguments[1]));
        if instance.template() != "gemm_splitk" {
            let (m, n) = (7, 45);
            let parts = from.some(1, PARTS * m * n);
            let bias = to.some(2, n);
            let launch = kernels.launch(&instance.name).bytes(&from.encode(&parts));
            let launch = launch.room(m * n * to.size()).words([PARTS]).words([m * n]).words([n]);
            let (weight, scale) = (0.5, -2.0);
            let weighted = instance.template().ends_with("axpby");
            // The bias has one row for all.
            let launch = match weighted {
                true => launch.bytes(&to.encode(&bias)).words([0]).words([1]),
                false => launch,
            };
            let launch = if weighted { launch.floats([weight]).floats([scale]) } else { launch };
            let [found] = launch.grid((n, m, 1), (32, 8, 1), [1]);
            let expected = (0..m * n).map(|at| {
                let sum: Complex = (0..PARTS).map(|part| parts[part * m * n + at].complex()).sum();
                let bias = bias[at % n].complex();
                let both = complex(weight.into(), 0.0) * sum + complex(scale.into(), 0.0) * bias;
                if weighted { both } else { sum }
            });
            to.check(&instance.name, &found, &rounded(to, expected), tolerance(to));
            ran += 1;
            continue;
        }
        let [bm, bn, bk, wm, wn] = numbers(&arguments, 2);
        let turned = (is(arguments[7]), is(arguments[8]));
        let (whole, whole_sums) = (is(arguments[9]), is(arguments[10]));
        let m = if whole { bm } else { bm + 5 };
        let n = if whole { 2 * bn } else { bn + 7 };
        // Two steps a part; the last has what remains, too.
        let part = 2 * bk;
        let k = PARTS * part + bk + if whole_sums { 0 } else { 3 };
        let both = Operands::some(from, turned, (m, n, k), 1);
        let ((a, b), (across, down)) = (both.leading(), both.tiles(bm, bn));
        let sizes = [m, n, k, a, b, n, across, down, PARTS, m * n, part, 0, part / bk];
        let sizes = Struct::new().i32(sizes.map(|size| size as i32)).bytes();
        let launch = kernels.launch(&instance.name).bytes(&from.encode(&both.a));
        let launch = launch.bytes(&from.encode(&both.b)).room(PARTS * m * n * to.size());
        let found = launch.bytes(&sizes).groups((across, down, PARTS), (32, wn, wm), 2);
        let expected = (0..PARTS).flat_map(|at| {
            let end = if at + 1 == PARTS { k } else { (at + 1) * part };
            both.each(|row, column| both.sum(row, column, at * part..end))
        });
        to.check(&instance.name, &found, &rounded(to, expected), tolerance(to));
        ran += 1;
    }
    assert!(ran >= 26, "{ran} kernels ran");
}

#[test]
fn sums_in_parts_by_tensors() {
    let (kernels, instances) =
        sampled("steel_gemm_splitk_nax", |one| one.arguments()[1..].join(" "));
    const PARTS: usize = 3;
    for (at, instance) in instances.iter().enumerate() {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, bk, wm, wn] = numbers(&arguments, 1);
        let turned = (is(arguments[6]), is(arguments[7]));
        let whole = at % 2 == 0;
        let (m, n) = if whole { (bm, bn) } else { (bm + 5, bn + 7) };
        // The last part has what remains.
        let (part, rest) = (bk, if whole { 0 } else { 11 });
        let k = PARTS * part - rest;
        let both = Operands::some(element, turned, (m, n, k), 1);
        let ((a, b), (across, down)) = (both.leading(), both.tiles(bm, bn));
        let sizes = [m, n, k, a, b, n, across, down, PARTS, m * n, part, 0, part / bk];
        let sizes = Struct::new().i32(sizes.map(|size| size as i32)).bytes();
        let launch = kernels.launch(&instance.name).constant(200, whole).constant(201, whole);
        let launch = launch.bytes(&element.encode(&both.a)).bytes(&element.encode(&both.b));
        let launch = launch.room(PARTS * m * n * 4).bytes(&sizes);
        let found = launch.groups((across * down * PARTS, 1, 1), (32, wn, wm), 2);
        let expected = (0..PARTS).flat_map(|at| {
            let end = k.min((at + 1) * part);
            both.each(|row, column| both.sum(row, column, at * part..end))
        });
        let to = Element::named("float");
        to.check(&instance.name, &found, &rounded(to, expected), tolerance(to));
    }
    assert!(instances.len() >= 16, "{} kernels ran", instances.len());
}

#[test]
fn products_of_few_rows_by_tensors() {
    let (kernels, instances) = sampled("steel_gemm_thin_nax", |one| one.name.clone());
    for instance in &instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [um, un, sm, sn, ks] = numbers(&arguments, 1);
        let (bm, bn, step) = (16 * um * sm, 16 * un * sn, 64 * ks);
        for (m, n, k) in [(bm, 2 * bn, 2 * step), (bm + 5, bn + 7, step + 20)] {
            let both = Operands::some(element, (false, is(arguments[6])), (m, n, k), 1);
            let ((a, b), (across, down)) = (both.leading(), both.tiles(bm, bn));
            let sizes = [m, n, k, a, b, n, across, down].map(|size| size as i32);
            let sizes = Struct::new().i32(sizes).u64([0, 0, 0]);
            let sizes = sizes.i32([0, k.div_ceil(step) as i32, 0]).bytes();
            let launch = kernels.launch(&instance.name).constant(100, false).constant(110, false);
            let launch = launch.constant(200, m.is_multiple_of(bm));
            let launch = launch.constant(201, n.is_multiple_of(bn));
            let launch = launch.constant(202, k.is_multiple_of(step));
            let launch = launch.bytes(&element.encode(&both.a)).bytes(&element.encode(&both.b));
            let launch = launch.at(3).room(m * n * element.size()).bytes(&sizes);
            let threads = (32 * sm * sn * ks, 1, 1);
            let found = launch.groups((across * down, 1, 1), threads, 3);
            let expected = both.each(|row, column| both.sum(row, column, 0..k));
            let expected = rounded(element, expected);
            element.check(&instance.name, &found, &expected, tolerance(element));
        }
    }
    assert!(instances.len() >= 8, "{} kernels ran", instances.len());
}

/// A mask: a number for each block. Powers of two change no rounding.
struct Mask {
    bytes: Vec<u8>,
    factors: Vec<f64>,
}

impl Mask {
    /// Of this type; `nomask_t` hides nothing.
    fn some(ty: &str, seed: u64, count: usize) -> Self {
        const FACTORS: [f64; 4] = [0.0, 0.5, 2.0, -1.0];
        if ty == "nomask_t" {
            return Self { bytes: Vec::new(), factors: vec![1.0; count] };
        }
        let element = Element::named(ty);
        let all = noise(seed).take(count).map(|bits| match element {
            Element::Bool => (bits % 3 != 0) as u8 as f64,
            _ => FACTORS[bits as usize % 4],
        });
        let factors: Vec<f64> = all.collect();
        let values: Vec<Value> = rounded(element, factors.iter().copied());
        Self { bytes: element.encode(&values), factors }
    }

    fn is_there(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Binds it, if there is one, at an index.
    fn bound<'a>(&self, launch: Launch<'a>, index: usize) -> Launch<'a> {
        if self.is_there() { launch.at(index).bytes(&self.bytes) } else { launch }
    }
}

/// The strides of the masks that exist.
fn strides(masks: &[(&Mask, [usize; 2])]) -> Vec<u8> {
    let there = masks.iter().filter(|(mask, _)| mask.is_there());
    let mut bytes: Vec<u8> =
        there.flat_map(|(_, both)| both.map(|one| (one as i32).to_le_bytes()).concat()).collect();
    bytes.resize(bytes.len().max(4), 0);
    bytes
}

#[test]
fn masked_blocks() {
    let (kernels, instances) = sampled("steel_gemm_masked", |one| {
        let kind =
            |ty: &str| if matches!(ty, "bool" | "nomask_t") { ty.into() } else { String::new() };
        let arguments = one.arguments();
        format!(
            "{} {} {:?}",
            kind(arguments[1]),
            kind(arguments[2]),
            [3, 10, 11].map(|at| arguments[at])
        )
    });
    assert!(instances.len() >= 60, "{} kernels", instances.len());
    for instance in &instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, bk, wm, wn] = numbers(&arguments, 3);
        let turned = (is(arguments[8]), is(arguments[9]));
        let (whole, whole_sums) = (is(arguments[10]), is(arguments[11]));
        let m = if whole { bm } else { bm + 5 };
        let n = if whole { 2 * bn } else { bn + 7 };
        let k = 2 * bm + bk + if whole_sums { 0 } else { 3 };
        let both = Operands::some(element, turned, (m, n, k), 1);
        let (across, down) = both.tiles(bm, bn);
        let blocks = k.div_ceil(bm);
        let out = Mask::some(arguments[1], 3, down * across);
        let left = Mask::some(arguments[2], 4, down * blocks);
        let right = Mask::some(arguments[2], 5, blocks * across);
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&both.a));
        let launch = launch.bytes(&element.encode(&both.b)).at(3).room(m * n * element.size());
        let launch = launch.bytes(&both.parameters((bm, bn, bk), [0; 3])).at(6).words([1]);
        let launch = launch.longs([0; 5]);
        let launch = right.bound(left.bound(out.bound(launch, 10), 11), 12);
        let masks = [(&out, [1, across]), (&left, [1, blocks]), (&right, [1, across])];
        let launch = launch.at(13).bytes(&strides(&masks));
        let found = launch.groups((across, down, 1), (32, wn, wm), 3);
        let expected = both.each(|row, column| {
            let (tile, beside) = (row / bm, column / bn);
            let of_block = |block: usize| {
                let factor =
                    left.factors[tile * blocks + block] * right.factors[block * across + beside];
                complex(factor, 0.0) * both.sum(row, column, block * bm..k.min((block + 1) * bm))
            };
            complex(out.factors[tile * across + beside], 0.0)
                * (0..blocks).map(of_block).sum::<Complex>()
        });
        // Factors are up to 8 together.
        let tolerance = 8.0 * tolerance(element);
        element.check(&instance.name, &found, &rounded(element, expected), tolerance);
    }
}

#[test]
fn chosen_matrices() {
    // Plain ones, and those for Metal 4's tensors, which choose by rows only.
    for (family, least) in [("steel_gather_mm", (8, 2)), ("steel_gather_mm_nax", (0, 6))] {
        let (by_index, by_rows) = chosen(family);
        let ran = (by_index, by_rows);
        assert!(by_index >= least.0 && by_rows >= least.1, "{family}: {ran:?} kernels ran");
    }
}

/// How many kernels ran that choose by index, and by rows.
fn chosen(family: &str) -> (usize, usize) {
    let (kernels, instances) =
        sampled(family, |one| format!("{} {}", one.template(), one.arguments()[1..].join(" ")));
    let (mut by_index, mut by_rows) = (0, 0);
    for instance in &instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, bk, wm, wn] = numbers(&arguments, 1);
        let turned = (is(arguments[6]), is(arguments[7]));
        const MATRICES: usize = 3;
        // SIMD-groups with tensors wait for each other in other places where they have a part of a tile.
        let whole = family.ends_with("nax");
        let (m, n) = if whole { (2 * bm, bn) } else { (2 * bm + 5, bn + 7) };
        let k = 2 * bk + 3;
        let both = Operands::some(element, turned, (m, n, k), MATRICES);
        let (across, down) = both.tiles(bm, bn);
        let launch = kernels.launch(&instance.name).constant(10, false).constant(200, false);
        let launch = launch.constant(201, false).constant(202, false);
        let launch = launch.bytes(&element.encode(&both.a)).bytes(&element.encode(&both.b));
        let (found, expected) = if instance.template().starts_with("gather_mm_rhs") {
            // The rows from each offset on, up to the next, are multiplied by one matrix; one matrix has none.
            let end = if whole { bm } else { 11 };
            let offsets = [0, end, end];
            let launch = launch.words(offsets).room(m * n * element.size());
            let steps = [0, (k * n) as u64, 0];
            let launch = launch.bytes(&both.parameters((bm, bn, bk), steps)).words([MATRICES]);
            let found = launch.groups((across, down + MATRICES, 1), (32, wn, wm), 3);
            let of_row = |row: usize| offsets.iter().rposition(|&first| first <= row).unwrap_or(0);
            by_rows += 1;
            let product = |row: usize, column: usize| {
                (0..k).map(|at| both.a(row, at) * both.b(of_row(row), at, column)).sum()
            };
            (found, both.each(product))
        } else {
            // The first has one matrix; the results are products with the second's matrices 2, 0 and 2.
            let chosen = [2, 0, 2];
            let launch = launch.words([0; 3]).words(chosen);
            let launch = launch.room(chosen.len() * m * n * element.size());
            let launch = launch.bytes(&both.parameters((bm, bn, bk), [1, 1, (m * n) as u64]));
            let launch = launch.words([chosen.len()]).longs([1]).longs([1]);
            let launch = launch.words([1]).words([1]).longs([m * k]);
            let launch = launch.words([1]).words([MATRICES]).longs([k * n]);
            let found = launch.groups((across, down, chosen.len()), (32, wn, wm), 4);
            by_index += 1;
            let product = |which: usize| {
                both.each(|row, column| {
                    (0..k).map(|at| both.a(row, at) * both.b(which, at, column)).sum()
                })
            };
            (found, chosen.into_iter().flat_map(product).collect())
        };
        element.check(&instance.name, &found, &rounded(element, expected), tolerance(element));
    }
    (by_index, by_rows)
}

#[test]
fn segments_of_sums() {
    // Plain ones, and those for Metal 4's tensors.
    for (family, count) in [("steel_segmented_mm", 20), ("steel_segmented_mm_nax", 12)] {
        let ran = segmented(family);
        assert!(ran >= count, "{family}: {ran} kernels ran");
    }
}

fn segmented(family: &str) -> usize {
    let (kernels, instances) = sampled(family, |one| one.arguments()[1..].join(" "));
    for (at, instance) in instances.iter().enumerate() {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, bk, wm, wn] = numbers(&arguments, 1);
        let turned = (is(arguments[6]), is(arguments[7]));
        let whole = at % 2 == 0;
        let (m, n) = if whole { (bm, 2 * bn) } else { (bm + 5, bn + 7) };
        let k = 3 * bk + 9;
        let both = Operands::some(element, turned, (m, n, k), 1);
        let (across, down) = both.tiles(bm, bn);
        // Each begins where the last ended, or has a beginning and an end of its own.
        let pairs = at % 4 < 2;
        let segments = match pairs {
            true => vec![(3, k), (0, 2 * bk), (bk, bk)],
            false => vec![(0, bk + 2), (bk + 2, bk + 2), (bk + 2, k)],
        };
        let words: Vec<usize> = match pairs {
            true => segments.iter().flat_map(|&(start, end)| [start, end]).collect(),
            false => segments.iter().map(|one| one.0).chain([k]).collect(),
        };
        let words: Vec<u8> = words.iter().flat_map(|&x| (x as u32).to_le_bytes()).collect();
        let launch = kernels.launch(&instance.name).constant(199, pairs);
        let launch = launch.constant(200, whole).constant(201, whole);
        let launch = launch.bytes(&element.encode(&both.a)).bytes(&element.encode(&both.b));
        let launch = launch.bytes(&words).room(segments.len() * m * n * element.size());
        let launch = launch.bytes(&both.parameters((bm, bn, bk), [0, 0, (m * n) as u64]));
        let groups = match instance.template() {
            "segmented_mm_nax" if bk <= 64 => (segments.len(), across, down),
            _ => (across, down, segments.len()),
        };
        let found = launch.groups(groups, (32, wn, wm), 3);
        let of_segment = |(start, end): (usize, usize)| {
            both.each(|row, column| both.sum(row, column, start..end))
        };
        let expected: Vec<Complex> = segments.into_iter().flat_map(of_segment).collect();
        element.check(&instance.name, &found, &rounded(element, expected), tolerance(element));
    }
    instances.len()
}

#[test]
fn masked_vectors() {
    let (kernels, instances) = sampled("gemv_masked", |one| {
        let kind =
            |ty: &str| if matches!(ty, "bool" | "nomask_t") { ty.into() } else { String::new() };
        let arguments = one.arguments();
        let (out, operands) = (kind(arguments[1]), kind(arguments[2]));
        format!("{} {out} {operands} {}", one.template(), arguments[3..].join(" "))
    });
    assert!(instances.len() >= 150, "{} kernels", instances.len());
    const BATCHES: usize = 2;
    for instance in &instances {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, sm, sn, tm, tn] = numbers(&arguments, 3);
        let turned = instance.template() == "gemv_t_masked";
        let (outputs, inputs): (usize, usize) = (77, 203);
        let (block_m, block_n) = (bm * sm * tm, bn * sn * tn);
        // Blocks of a mask are squares, of the side of a threadgroup's block along the inputs.
        let (block, of_a_group) = if turned { (block_m, block_n) } else { (block_n, block_m) };
        let (down, across) = (outputs.div_ceil(block), inputs.div_ceil(block));
        let matrix = element.some(1, BATCHES * outputs * inputs);
        let vector = element.some(2, BATCHES * inputs);
        let out = Mask::some(arguments[1], 3, BATCHES * down);
        let of_matrix = Mask::some(arguments[2], 4, BATCHES * down * across);
        let of_vector = Mask::some(arguments[2], 5, BATCHES * across);
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&matrix));
        let launch = launch.bytes(&element.encode(&vector)).at(3);
        let launch =
            launch.room(BATCHES * outputs * element.size()).words([inputs]).words([outputs]);
        let launch = launch.words([if turned { outputs } else { inputs }]).at(9).words([1]);
        let launch = launch.words([BATCHES]).longs([inputs]).longs([outputs * inputs]);
        let launch = of_vector.bound(of_matrix.bound(out.bound(launch, 20), 21), 22);
        // The matrix's mask lies as the matrix does; a row's stride is the second.
        let by_matrix = [1, if turned { down } else { across }];
        let masks = [(&out, [1, 1]), (&of_matrix, by_matrix), (&of_vector, [1, 1])];
        let launch = launch.at(23).bytes(&strides(&masks));
        let steps = [(&out, down), (&of_matrix, down * across), (&of_vector, across)];
        let there = steps.iter().filter(|(mask, _)| mask.is_there());
        let steps: Vec<u8> = there.flat_map(|&(_, step)| (step as u64).to_le_bytes()).collect();
        let launch = launch.bytes(if steps.is_empty() { &[0; 8] } else { &steps });
        let groups = (outputs.div_ceil(of_a_group), 1, BATCHES);
        let found = launch.groups(groups, (32, bn, bm), 3);
        let expected = (0..BATCHES * outputs).map(|at| {
            let (batch, row) = (at / outputs, at % outputs);
            let term = |at: usize| {
                let (tile, beside) = (row / block, at / block);
                let place = if turned { beside * down + tile } else { tile * across + beside };
                let factor = of_matrix.factors[batch * down * across + place]
                    * of_vector.factors[batch * across + beside];
                let place = if turned { at * outputs + row } else { row * inputs + at };
                let weight = matrix[batch * outputs * inputs + place].real();
                factor * weight * vector[batch * inputs + at].real()
            };
            out.factors[batch * down + row / block] * (0..inputs).map(term).sum::<f64>()
        });
        let tolerance = 8.0 * tolerance(element);
        element.check(&instance.name, &found, &rounded(element, expected), tolerance);
    }
}

#[test]
fn a_few_vectors() {
    let (kernels, instances) =
        sampled("gemv_wide", |one| one.template().to_owned() + &one.arguments()[1..].join(" "));
    assert!(instances.len() >= 8, "{} kernels", instances.len());
    const MATRICES: usize = 2;
    for (at, instance) in instances.iter().enumerate() {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [vectors_of_a_group, lanes] = numbers(&arguments, 1);
        let (outputs, inputs, vectors) = (23, 8 * 4 * lanes + 44, vectors_of_a_group + 2);
        let matrix = element.some(1, MATRICES * outputs * inputs);
        let vector = element.some(2, MATRICES * vectors * inputs);
        let bias = element.some(3, outputs);
        let gathers = instance.template() == "gemv_wide_gather";
        let weighted = !gathers && at % 2 == 1;
        let (weight, scale) = (0.5, -2.0);
        let launch = kernels.launch(&instance.name).constant(0, false).constant(1, weighted);
        let launch = launch.bytes(&element.encode(&matrix)).bytes(&element.encode(&vector));
        let launch = launch.bytes(&element.encode(&bias));
        let launch = launch.room(MATRICES * vectors * outputs * element.size());
        let launch = launch.words([inputs]).words([outputs]).words([vectors]);
        let launch = launch.words([inputs]).words([inputs]);
        let launch = if gathers {
            let launch = launch.at(11).words([1]).words([MATRICES]).longs([1, 1]);
            let launch = launch.words([1]).words([MATRICES]).longs([vectors * inputs]);
            let launch = launch.words([1]).words([MATRICES]).longs([outputs * inputs]);
            launch.words([1, 1]).words([1, 0])
        } else {
            let launch = launch.floats([weight]).floats([scale]).words([1]).words([MATRICES]);
            let launch = launch.longs([vectors * inputs]).longs([outputs * inputs]);
            launch.longs([0]).words([0]).words([1])
        };
        // Rows of a threadgroup: a SIMD-group has as many as lanes fit in it.
        let rows = 32 / lanes * (lanes / 8);
        let groups = (1, outputs.div_ceil(rows), MATRICES);
        let found = launch.groups(groups, (32, lanes / 8, 1), 3);
        let expected = (0..MATRICES * vectors * outputs).map(|at| {
            let (batch, row) = (at / outputs / vectors, at % outputs);
            let (of_vector, of_matrix) = if gathers { (1, 1 - batch) } else { (batch, batch) };
            let x = (of_vector * vectors + at / outputs % vectors) * inputs;
            let weights = (of_matrix * outputs + row) * inputs;
            let sum: f64 =
                (0..inputs).map(|at| vector[x + at].real() * matrix[weights + at].real()).sum();
            let both = f64::from(weight) * sum + f64::from(scale) * bias[row].real();
            if weighted { both } else { sum }
        });
        // Twelve hundred terms.
        let tolerance = 16.0 * tolerance(element);
        element.check(&instance.name, &found, &rounded(element, expected), tolerance);
    }
}

#[test]
fn chosen_vectors() {
    let (kernels, instances) = sampled("gemv", |one| match one.template() {
        "gemv" | "gemv_t" => "plain".into(),
        other => other.to_owned() + &one.arguments()[1..].join(" "),
    });
    const MATRICES: usize = 3;
    let mut ran = 0;
    for instance in instances.iter().filter(|one| one.template().ends_with("gather")) {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, sm, sn, tm, tn] = numbers(&arguments, 1);
        let turned = instance.template() == "gemv_t_gather";
        let (outputs, inputs): (usize, usize) = (77, 203);
        let matrix = element.some(1, MATRICES * outputs * inputs);
        let vector = element.some(2, MATRICES * inputs);
        let (of_vector, of_matrix) = ([1, 2, 0, 1], [0, 2, 2, 1]);
        let count = of_vector.len();
        let launch = kernels.launch(&instance.name).bytes(&element.encode(&matrix));
        let launch = launch.bytes(&element.encode(&vector)).room(4);
        let launch = launch.room(count * outputs * element.size()).words([inputs]).words([outputs]);
        let launch = launch.words([if turned { outputs } else { inputs }]).floats([1.0]);
        let launch = launch.floats([0.0]).words([1]).words([count]).longs([1, 1]);
        let launch = launch.words([1]).words([MATRICES]).longs([inputs]);
        let launch = launch.words([1]).words([MATRICES]).longs([outputs * inputs]);
        let launch = launch.words(of_vector).words(of_matrix);
        let of_a_group = if turned { bn * sn * tn } else { bm * sm * tm };
        let found = launch.groups((outputs.div_ceil(of_a_group), 1, count), (32, bn, bm), 3);
        let expected = (0..count * outputs).map(|at| {
            let (row, x, weights) =
                (at % outputs, of_vector[at / outputs], of_matrix[at / outputs]);
            let term = |at: usize| {
                let place = if turned { at * outputs + row } else { row * inputs + at };
                matrix[weights * outputs * inputs + place].complex()
                    * vector[x * inputs + at].complex()
            };
            (0..inputs).map(term).sum::<Complex>()
        });
        element.check(
            &instance.name,
            &found,
            &rounded(element, expected),
            4.0 * tolerance(element),
        );
        ran += 1;
    }
    assert!(ran >= 8, "{ran} kernels ran");
}
