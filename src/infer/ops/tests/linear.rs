//! Products.

use super::{FLOATS, Setup, close, values};
use crate::infer::ops::{Experts, Gate, Gated, Linear, Matmul};
use crate::infer::weights::{Affine, QuantizedWeight};
use crate::infer::{DType, Quant, Tensor};

/// The sums of four additions of 2⁻²⁴ for each of the 64 in a row; decoding with a fused multiplication has one more.
const TOLERANCE: f64 = 2e-5;

/// `x wᵀ` with the sums of magnitudes.
fn product(x: &[f64], w: &[f64], columns: usize) -> Vec<(f64, f64)> {
    let dot = |a: &[f64], b: &[f64]| {
        let terms = a.iter().zip(b).map(|(a, b)| a * b);
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    };
    x.chunks(columns).flat_map(|x| w.chunks(columns).map(move |w| dot(x, w))).collect()
}

fn check(setup: &mut Setup, w: &Tensor, rows: usize, x_type: DType, y_type: DType) {
    let [outputs, columns] = w.shape() else { panic!("a matrix") };
    let x = setup.random(x_type, &[rows, *columns]);
    let y = setup.result(y_type, &[rows, *outputs]);
    setup.run(|ops, stream| ops.linear(stream, &x, w, &y, Linear::default()));
    let expected = product(&values(&x), &values(w), *columns);
    let what = format!("{rows} rows of {x_type} times {} {:?} in {y_type}", w.dtype(), w.shape());
    close(&what, &y, &expected, TOLERANCE);
}

#[test]
fn every_type_of_weights_times_few_and_many_rows() {
    let mut setup = Setup::new(1);
    let types = FLOATS.into_iter().chain(Quant::ALL.iter().copied().map(DType::Quant));
    for (nth, dtype) in types.enumerate() {
        let w = setup.weights(dtype, &[35, 2 * dtype.block().max(32)]);
        check(&mut setup, &w, 1, DType::F32, DType::F32);
        check(&mut setup, &w, 33, FLOATS[nth % 3], FLOATS[nth / 3 % 3]);
    }
}

#[test]
fn linear_at_edges() {
    let mut setup = Setup::new(2);
    for (outputs, columns) in [(1, 1), (2, 15), (3, 16), (65, 33), (129, 100), (8, 1000)] {
        let w = setup.weights(DType::F16, &[outputs, columns]);
        for rows in [1, 2, 3, 5, 8, 9, 32, 65] {
            check(&mut setup, &w, rows, DType::F32, DType::F32);
        }
    }
    let w = setup.weights(DType::Quant(Quant::Q4_K), &[70, 512]);
    for x_type in FLOATS {
        for y_type in FLOATS {
            for rows in [2, 40] {
                check(&mut setup, &w, rows, x_type, y_type);
            }
        }
    }
}

#[test]
fn linear_with_strides() {
    let mut setup = Setup::new(3);
    let w = setup.weights(DType::Quant(Quant::Q8_0), &[40, 128]);
    let narrow = w.narrow(0, 8..20).and_then(|w| w.narrow(1, 32..96)).expect("a view");
    let x = setup.random(DType::F32, &[12, 100]);
    let part = x.narrow(1, 20..84).expect("a view");
    let y = setup.result(DType::F32, &[12, 30]);
    setup.run(|ops, stream| {
        ops.linear(stream, &part, &narrow, &y.narrow(1, 5..17)?, Linear::default())
    });
    let rows = |values: Vec<f64>, stride: usize, range: std::ops::Range<usize>| -> Vec<f64> {
        values.chunks(stride).flat_map(|row| row[range.clone()].to_vec()).collect()
    };
    let w_part = rows(values(&w)[8 * 128..20 * 128].to_vec(), 128, 32..96);
    let expected = product(&rows(values(&x), 100, 20..84), &w_part, 64);
    let result = values(&y);
    for (row, (found, expected)) in result.chunks(30).zip(expected.chunks(12)).enumerate() {
        for (i, found) in found.iter().enumerate() {
            match i.checked_sub(5).and_then(|i| expected.get(i)) {
                Some((value, size)) => {
                    assert!((found - value).abs() <= TOLERANCE * size, "{row} {i}")
                }
                None => assert!(found.is_nan(), "what is not part of y is not written: {row} {i}"),
            }
        }
    }
}

#[test]
fn both_kernels_compute_the_same() {
    let mut setup = Setup::new(4);
    let w = setup.weights(DType::Quant(Quant::Q5_1), &[50, 96]);
    let x = setup.random(DType::F32, &[7, 96]);
    let expected = product(&values(&x), &values(&w), 96);
    for few_rows in [0, 8] {
        let y = setup.result(DType::F32, &[7, 50]);
        setup.run(|ops, stream| ops.linear(stream, &x, &w, &y, Linear { few_rows }));
        close("few or many", &y, &expected, TOLERANCE);
    }
}

fn packed(setup: &mut Setup, bits: u32, group: usize, scale: DType) -> QuantizedWeight {
    let (rows, columns) = (20, 2 * group.max(32));
    let weight = Tensor::new(&setup.gpu, DType::U32, &[rows, columns * bits as usize / 32]);
    let weight = weight.expect("memory");
    weight
        .write_bytes()
        .expect("free")
        .iter_mut()
        .for_each(|byte| *byte = setup.random.bits() as u8);
    let scales = setup.random(scale, &[rows, columns / group]);
    let biases = setup.random(scale, &[rows, columns / group]);
    QuantizedWeight { weight, scales, biases, affine: Affine { bits, group } }
}

#[test]
fn mlx_weights_of_all_bits() {
    let mut setup = Setup::new(5);
    for (bits, group, scale) in [
        (2, 32, DType::F32),
        (3, 32, DType::F16),
        (4, 64, DType::F16),
        (5, 64, DType::BF16),
        (6, 128, DType::BF16),
        (8, 16, DType::F32),
    ] {
        let w = packed(&mut setup, bits, group, scale);
        let decoded = decoded(&w);
        let columns = decoded.len() / 20;
        for rows in [1, 10] {
            let x = setup.random(DType::F32, &[rows, columns]);
            let y = setup.result(DType::F32, &[rows, 20]);
            setup.run(|ops, stream| ops.linear(stream, &x, &w, &y, Linear::default()));
            let expected = product(&values(&x), &decoded, columns);
            close(&format!("{bits} bits, {rows} rows"), &y, &expected, TOLERANCE);
        }
        let indices = setup.tensor(DType::I32, &[3], &[19.0, 0.0, 7.0]);
        let y = setup.result(DType::F32, &[3, columns]);
        setup.run(|ops, stream| ops.lookup(stream, &indices, &w, &y));
        let rows = [19, 0, 7].map(|row| &decoded[row * columns..][..columns]).concat();
        close(&format!("{bits} bits"), &y, &super::plain(rows), 1e-6);
    }
}

/// Groups are whole, of any size; rows are whole 16s, because kernels decode 16 values at a time.
#[test]
fn mlx_groups_of_any_size_in_rows_of_whole_sixteens() {
    let mut setup = Setup::new(9);
    let mut weight = |columns: usize, group: usize| {
        let weight = Tensor::new(&setup.gpu, DType::U32, &[5, columns / 8]).expect("memory");
        let mut bytes = weight.write_bytes().expect("free");
        bytes.iter_mut().for_each(|byte| *byte = setup.random.bits() as u8);
        drop(bytes);
        let [scales, biases] = [(); 2].map(|_| setup.random(DType::F32, &[5, columns / group]));
        QuantizedWeight { weight, scales, biases, affine: Affine { bits: 4, group } }
    };
    let right = [weight(48, 24), weight(48, 4), weight(16, 16)];
    let wrong = weight(24, 24);
    for w in right {
        let columns = w.weight.shape()[1] * 8;
        for rows in [1, 3, 12] {
            let x = setup.random(DType::F32, &[rows, columns]);
            let y = setup.result(DType::F32, &[rows, 5]);
            setup.run(|ops, stream| ops.linear(stream, &x, &w, &y, Linear::default()));
            let expected = product(&values(&x), &decoded(&w), columns);
            close(&format!("groups of {}", w.affine.group), &y, &expected, TOLERANCE);
        }
    }
    let x = setup.random(DType::F32, &[1, 24]);
    let y = setup.result(DType::F32, &[1, 5]);
    let error = setup.error(|o, s| o.linear(s, &x, &wrong, &y, Linear::default()));
    assert!(error.contains("24 columns are not a multiple of 16"), "{error}");
}

#[test]
fn lookup_decodes_rows_of_every_type() {
    let mut setup = Setup::new(6);
    let types = FLOATS.into_iter().chain(Quant::ALL.iter().copied().map(DType::Quant));
    for (nth, dtype) in types.enumerate() {
        let columns = if dtype.is_quantized() { 2 * dtype.block() } else { 37 };
        let w = setup.weights(dtype, &[9, columns]);
        let indices = setup.tensor(DType::I32, &[2, 2], &[8.0, 0.0, -1.0, 9.0]);
        let y = setup.result(FLOATS[nth % 3], &[2, 2, columns]);
        setup.run(|ops, stream| ops.lookup(stream, &indices, &w, &y));
        let all = values(&w);
        let zeros = vec![0.0; columns];
        let rows = [&all[8 * columns..], &all[..columns], &zeros, &zeros].concat();
        let most = all.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        // A fused multiplication may differ from the two roundings of the CPU by one of the product.
        let expected: Vec<(f64, f64)> = rows.into_iter().map(|value| (value, most)).collect();
        close(&format!("rows of {dtype}"), &y, &expected, 2e-7);
    }
}

/// The decoded values of a weight in MLX's format.
fn decoded(w: &QuantizedWeight) -> Vec<f64> {
    let single = |tensor: &Tensor| values(tensor).iter().map(|&v| v as f32).collect::<Vec<_>>();
    let bytes = w.weight.read_bytes().expect("free").to_vec();
    let decoded = w.affine.dequantize(&bytes, &single(&w.scales), &single(&w.biases));
    decoded.expect("valid sizes").into_iter().map(f64::from).collect()
}

/// Rows times experts: `ids.len()` rows, in groups that share a row of `x`.
fn by_experts(
    x: &[f64],
    w: &[f64],
    ids: &[i32],
    [experts, columns]: [usize; 2],
) -> Vec<(f64, f64)> {
    let each = w.len() / experts;
    let shared = ids.len() / (x.len() / columns);
    let rows = ids.iter().enumerate().flat_map(|(i, &id)| {
        let row = &x[i / shared * columns..][..columns];
        match usize::try_from(id).ok().filter(|&id| id < experts) {
            Some(id) => product(row, &w[id * each..][..each], columns),
            None => vec![(0.0, 0.0); each / columns],
        }
    });
    rows.collect()
}

/// The gated results, whose errors are those of both factors.
fn gated(kind: Gate, gate: &[(f64, f64)], up: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let function = |a: f64| match kind {
        Gate::Silu => a / (1.0 + (-a).exp()),
        Gate::GeluTanh => {
            0.5 * a * (1.0 + (0.797_884_560_802_865_4 * (a + 0.044715 * a * a * a)).tanh())
        }
        _ => panic!("a reference for {kind:?}"),
    };
    let each = gate.iter().zip(up);
    each.map(|(a, b)| (function(a.0) * b.0, (a.1 + 1.0) * b.1)).collect()
}

#[test]
fn experts_are_chosen_by_index() {
    let mut setup = Setup::new(9);
    let few: &[i32] = &[4, 0, 2, 2, -1, 5];
    // One expert has more than a tile, some have none.
    let many: Vec<i32> = (0..90).map(|i| if i % 2 == 0 { 3 } else { i % 7 - 1 }).collect();
    for dtype in [DType::F16, DType::Quant(Quant::Q4_K), DType::Quant(Quant::MXFP4)] {
        let columns = 2 * dtype.block().max(20);
        for outputs in [11, 70] {
            let [w, up] = [(); 2].map(|_| setup.weights(dtype, &[5, outputs, columns]));
            for ids in [few, &many] {
                let numbers: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
                let id_tensor = setup.tensor(DType::I32, &[ids.len() / 2, 2], &numbers);
                let scratch = setup.result(DType::I32, &[Experts::scratch(5, ids.len())]);
                // A row for each pair of ids, and a row for each id.
                for rows in [ids.len() / 2, ids.len()] {
                    let x = setup.random(DType::F32, &[rows, columns]);
                    let [xv, wv, uv] = [&x, &w, &up].map(values);
                    let expected = by_experts(&xv, &wv, ids, [5, columns]);
                    let product = by_experts(&xv, &uv, ids, [5, columns]);
                    let with_gate = gated(Gate::Silu, &expected, &product);
                    for scratch in [None, Some(&scratch)] {
                        let params = Experts { few_rows: 0, scratch };
                        let shape = [ids.len() / 2, 2, outputs];
                        let [y, z] = [(); 2].map(|_| setup.result(DType::F32, &shape));
                        let both = Gated { gate: &w, up: &up, kind: Gate::Silu };
                        setup.run(|ops, stream| {
                            ops.linear_experts(stream, &x, &w, &id_tensor, &y, params)?;
                            ops.linear_experts(stream, &x, both, &id_tensor, &z, params)
                        });
                        let tiles = scratch.is_some();
                        let what = format!("{dtype}, {rows} rows of {outputs}, tiles: {tiles}");
                        close(&what, &y, &expected, TOLERANCE);
                        close(&format!("{what}, gated"), &z, &with_gate, TOLERANCE);
                    }
                }
            }
        }
    }
}

#[test]
fn experts_of_every_format() {
    let mut setup = Setup::new(13);
    let ids: Vec<i32> = (0..41).map(|i| if i % 3 == 0 { 1 } else { i % 5 - 1 }).collect();
    let numbers: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
    let id_tensor = setup.tensor(DType::I32, &[ids.len()], &numbers);
    let scratch = setup.result(DType::I32, &[Experts::scratch(3, ids.len())]);
    let types = FLOATS.into_iter().chain(Quant::ALL.iter().copied().map(DType::Quant));
    for (nth, dtype) in types.enumerate() {
        let columns = if dtype.is_quantized() { dtype.block() } else { 36 };
        let (x_type, y_type) = (FLOATS[nth % 3], FLOATS[nth / 3 % 3]);
        let [w, up] = [(); 2].map(|_| setup.weights(dtype, &[3, 13, columns]));
        // Small values, because products of two results are written as halves.
        let small: Vec<f32> =
            (0..ids.len() * columns).map(|_| setup.random.value() / 32.0).collect();
        let x = setup.tensor(x_type, &[ids.len(), columns], &small);
        let [xv, wv, uv] = [&x, &w, &up].map(values);
        let expected = by_experts(&xv, &wv, &ids, [3, columns]);
        let with_gate = gated(Gate::Silu, &expected, &by_experts(&xv, &uv, &ids, [3, columns]));
        for scratch in [None, Some(&scratch)] {
            let params = Experts { few_rows: 0, scratch };
            let [y, z] = [(); 2].map(|_| setup.result(y_type, &[ids.len(), 13]));
            let both = Gated { gate: &w, up: &up, kind: Gate::Silu };
            setup.run(|ops, stream| {
                ops.linear_experts(stream, &x, &w, &id_tensor, &y, params)?;
                ops.linear_experts(stream, &x, both, &id_tensor, &z, params)
            });
            let what = format!("{x_type} times {dtype} in {y_type}, tiles: {}", scratch.is_some());
            close(&what, &y, &expected, TOLERANCE);
            close(&format!("{what}, gated"), &z, &with_gate, TOLERANCE);
        }
    }
}

#[test]
fn experts_in_mlx_format() {
    let mut setup = Setup::new(10);
    let ids: Vec<i32> = (0..50).map(|i| i % 6 - 1).collect();
    let numbers: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
    let id_tensor = setup.tensor(DType::I32, &[50], &numbers);
    let scratch = setup.result(DType::I32, &[Experts::scratch(4, 50)]);
    for (bits, group, scale) in [(4, 64, DType::F16), (6, 32, DType::BF16), (8, 32, DType::F32)] {
        // 20 rows: four experts of five outputs.
        let [w, up] = [(); 2].map(|_| {
            let mut w = packed(&mut setup, bits, group, scale);
            for tensor in [&mut w.weight, &mut w.scales, &mut w.biases] {
                *tensor = tensor.reshape(&[4, 5, tensor.shape()[1]]).expect("contiguous");
            }
            w
        });
        let (wv, uv) = (decoded(&w), decoded(&up));
        let columns = wv.len() / 20;
        let x = setup.random(DType::F32, &[50, columns]);
        let xv = values(&x);
        let expected = by_experts(&xv, &wv, &ids, [4, columns]);
        let product = by_experts(&xv, &uv, &ids, [4, columns]);
        let with_gate = gated(Gate::GeluTanh, &expected, &product);
        for scratch in [None, Some(&scratch)] {
            let [y, z] = [(); 2].map(|_| setup.result(DType::F32, &[50, 5]));
            let both = Gated { gate: &w, up: &up, kind: Gate::GeluTanh };
            let params = Experts { scratch, ..Experts::default() };
            setup.run(|ops, stream| {
                ops.linear_experts(stream, &x, &w, &id_tensor, &y, params)?;
                ops.linear_experts(stream, &x, both, &id_tensor, &z, params)
            });
            close(&format!("{bits} bits"), &y, &expected, TOLERANCE);
            close(&format!("{bits} bits, gated"), &z, &with_gate, TOLERANCE);
        }
    }
}

#[test]
fn gated_products() {
    let mut setup = Setup::new(11);
    for (dtype, y_type) in [
        (DType::F32, DType::F32),
        (DType::BF16, DType::F16),
        (DType::Quant(Quant::Q8_0), DType::F32),
        (DType::Quant(Quant::Q5_K), DType::BF16),
    ] {
        let columns = 2 * dtype.block().max(20);
        for outputs in [1, 5, 67] {
            let [gate, up] = [(); 2].map(|_| setup.weights(dtype, &[outputs, columns]));
            for rows in [1, 3, 8, 9, 40] {
                let x = setup.random(DType::F32, &[rows, columns]);
                let y = setup.result(y_type, &[rows, outputs]);
                let w = Gated { gate: &gate, up: &up, kind: Gate::Silu };
                setup.run(|ops, stream| ops.linear(stream, &x, w, &y, Linear::default()));
                let [xv, gv, uv] = [&x, &gate, &up].map(values);
                let [g, u] = [gv, uv].map(|w| product(&xv, &w, columns));
                let expected = gated(Gate::Silu, &g, &u);
                close(&format!("{rows} rows, {outputs} of {dtype}"), &y, &expected, TOLERANCE);
            }
        }
    }
}

#[test]
fn wrong_operands_of_experts_are_errors() {
    let mut setup = Setup::new(12);
    let x = setup.random(DType::F32, &[4, 40]);
    let ids = setup.tensor(DType::I32, &[8], &[0.0; 8]);
    let w = setup.random(DType::F32, &[5, 11, 40]);
    let half = setup.random(DType::F16, &[5, 11, 40]);
    let y = setup.random(DType::F32, &[8, 11]);
    let small = setup.tensor(DType::I32, &[21], &[0.0; 21]);
    let params = Experts::default();
    let scratch = |scratch| Experts { scratch: Some(scratch), ..params };
    let both = Gated { gate: &w, up: &half, kind: Gate::Gelu };
    let pair = Gated { gate: &w, up: &w, kind: Gate::Gelu };
    for (error, message) in [
        (setup.error(|o, s| o.linear_experts(s, &ids, &w, &ids, &y, params)), "x holds one of"),
        (setup.error(|o, s| o.linear_experts(s, &x, &ids, &ids, &y, params)), "w holds one of"),
        (
            setup.error(|o, s| o.linear_experts(s, &x, &x, &ids, &y, params)),
            "not experts, outputs and columns",
        ),
        (setup.error(|o, s| o.linear_experts(s, &x, both, &ids, &y, params)), "up is (F16"),
        (setup.error(|o, s| o.linear_experts(s, &x, &w, &x, &y, params)), "ids holds one of i32"),
        (
            setup.error(|o, s| o.linear_experts(s, &x, &w, &ids.narrow(0, 0..6)?, &y, params)),
            "do not match",
        ),
        (
            setup.error(|o, s| o.linear_experts(s, &x, &w, &ids, &x, params)),
            "y has the shape [4, 40]: 8 rows of 11 are needed",
        ),
        (
            setup.error(|o, s| o.linear_experts(s, &x, &w, &ids, &y, scratch(&x))),
            "scratch holds one of i32",
        ),
        (
            setup.error(|o, s| o.linear_experts(s, &x, &w, &ids, &y, scratch(&small))),
            "scratch of shape [21]: 22 contiguous values are needed",
        ),
        (setup.error(|o, s| o.lookup(s, &ids, pair, &x)), "w is a gate"),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}

#[test]
fn matmul_with_batches_and_transposed_operands() {
    let mut setup = Setup::new(7);
    let mut turn = 0;
    for (m, k, n) in [(1, 1, 1), (3, 5, 7), (32, 32, 32), (33, 65, 34), (70, 16, 100)] {
        for (a_count, b_count, count) in [(1, 1, 1), (4, 2, 4), (1, 3, 3)] {
            for transposed in [false, true] {
                // All 27 triples of types, in turn: each with several shapes.
                turn += 1;
                let [a_type, b_type, c_type] = [1, 3, 9].map(|power| FLOATS[turn / power % 3]);
                let (a, b) = match transposed {
                    false => (
                        setup.random(a_type, &[a_count, m, k]),
                        setup.random(b_type, &[b_count, k, n]),
                    ),
                    true => (
                        setup.random(a_type, &[a_count, k, m]),
                        setup.random(b_type, &[b_count, n, k]),
                    ),
                };
                let (av, bv) = (values(&a), values(&b));
                let at = |i: usize, row: usize, column: usize| match transposed {
                    false => av[(i * m + row) * k + column],
                    true => av[(i * k + column) * m + row],
                };
                let bt = |i: usize, row: usize, column: usize| match transposed {
                    false => bv[(i * k + row) * n + column],
                    true => bv[(i * n + column) * k + row],
                };
                let view = |tensor: &Tensor| match transposed {
                    false => tensor.clone(),
                    true => tensor.transpose(1, 2).expect("a view"),
                };
                let c = setup.result(c_type, &[count, m, n]);
                setup.run(|ops, stream| {
                    ops.matmul(stream, &view(&a), &view(&b), &c, Matmul { scale: 0.5 })
                });
                let mut expected = Vec::new();
                for i in 0..count {
                    let (ai, bi) = (i / (count / a_count), i / (count / b_count));
                    for row in 0..m {
                        for column in 0..n {
                            let terms = (0..k).map(|l| 0.5 * at(ai, row, l) * bt(bi, l, column));
                            expected.push(terms.fold((0.0, 0.0), |(s, t), x| (s + x, t + x.abs())));
                        }
                    }
                }
                let what = format!(
                    "{m}x{k}x{n}, {a_count} {a_type} and {b_count} {b_type} to {c_type}, transposed: {transposed}"
                );
                close(&what, &c, &expected, TOLERANCE);
            }
        }
    }
}

/// Every triple of types, at sizes that are no multiples of tiles.
#[test]
fn matmul_of_every_type() {
    let mut setup = Setup::new(14);
    for [m, k, n] in [[1, 1, 1], [1, 40, 33], [33, 31, 2], [34, 9, 35]] {
        for i in 0..27 {
            let [a_type, b_type, c_type] = [1, 3, 9].map(|power| FLOATS[i / power % 3]);
            let (a, b) = (setup.random(a_type, &[m, k]), setup.random(b_type, &[n, k]));
            let c = setup.result(c_type, &[m, n]);
            setup.run(|ops, stream| {
                ops.matmul(stream, &a, &b.transpose(0, 1)?, &c, Matmul::default())
            });
            let expected = product(&values(&a), &values(&b), k);
            let what = format!("{m} x {k} x {n}, {a_type} and {b_type} to {c_type}");
            close(&what, &c, &expected, TOLERANCE);
        }
    }
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(8);
    let x = setup.random(DType::F32, &[2, 64]);
    let y = setup.random(DType::F32, &[2, 5]);
    let w = setup.weights(DType::Quant(Quant::Q4_0), &[5, 64]);
    let int = setup.tensor(DType::I32, &[2, 64], &[0.0; 128]);
    let linear = Linear::default();
    for (error, message) in [
        (
            setup.error(|o, s| o.linear(s, &int, &w, &y, linear)),
            "linear: x holds one of f32, f16, bf16",
        ),
        (setup.error(|o, s| o.linear(s, &x, &int, &y, linear)), "linear: w holds"),
        (setup.error(|o, s| o.linear(s, &x, &w, &int, linear)), "linear: y holds"),
        (
            setup.error(|o, s| o.linear(s, &y, &w, &y, linear)),
            "x has the shape [2, 5], and rows of w have 64",
        ),
        (
            setup.error(|o, s| o.linear(s, &x, &w, &x, linear)),
            "y has the shape [2, 64]: 2 rows of 5 are needed",
        ),
        (setup.error(|o, s| o.linear(s, &x.transpose(0, 1)?, &w, &y, linear)), "no single stride"),
        (setup.error(|o, s| o.lookup(s, &x, &w, &x)), "lookup: indices holds one of i32"),
        (setup.error(|o, s| o.lookup(s, &int, &w, &x)), "128 rows of 64 are needed"),
        (
            setup.error(|o, s| o.matmul(s, &x, &x, &y, Matmul::default())),
            "[2, 64] times [2, 64] is not [2, 5]",
        ),
        (
            setup.error(|o, s| o.matmul(s, &x.reshape(&[128])?, &x, &y, Matmul::default())),
            "is no matrix",
        ),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}
