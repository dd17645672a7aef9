//! Products.

use super::{FLOATS, Setup, close, values};
use crate::infer::ops::{Linear, Matmul};
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
    for dtype in types {
        let w = setup.weights(dtype, &[35, 2 * dtype.block().max(32)]);
        check(&mut setup, &w, 1, DType::F32, DType::F32);
        check(&mut setup, &w, 33, DType::F32, DType::F32);
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
        let single = |tensor: &Tensor| values(tensor).iter().map(|&v| v as f32).collect::<Vec<_>>();
        let bytes = w.weight.read_bytes().expect("free").to_vec();
        let decoded = w.affine.dequantize(&bytes, &single(&w.scales), &single(&w.biases));
        let decoded: Vec<f64> = decoded.expect("valid sizes").into_iter().map(f64::from).collect();
        let columns = decoded.len() / 20;
        for rows in [1, 10] {
            let x = setup.random(DType::F32, &[rows, columns]);
            let y = setup.result(DType::F32, &[rows, 20]);
            setup.run(|ops, stream| ops.linear_mlx(stream, &x, &w, &y, Linear::default()));
            let expected = product(&values(&x), &decoded, columns);
            close(&format!("{bits} bits, {rows} rows"), &y, &expected, TOLERANCE);
        }
        let indices = setup.tensor(DType::I32, &[3], &[19.0, 0.0, 7.0]);
        let y = setup.result(DType::F32, &[3, columns]);
        setup.run(|ops, stream| ops.lookup_mlx(stream, &indices, &w, &y));
        let rows = [19, 0, 7].map(|row| &decoded[row * columns..][..columns]).concat();
        close(&format!("{bits} bits"), &y, &super::plain(rows), 1e-6);
    }
}

#[test]
fn lookup_decodes_rows_of_every_type() {
    let mut setup = Setup::new(6);
    let types = FLOATS.into_iter().chain(Quant::ALL.iter().copied().map(DType::Quant));
    for dtype in types {
        let columns = if dtype.is_quantized() { 2 * dtype.block() } else { 37 };
        let w = setup.weights(dtype, &[9, columns]);
        let indices = setup.tensor(DType::I32, &[2, 2], &[8.0, 0.0, -1.0, 9.0]);
        let y = setup.result(DType::F32, &[2, 2, columns]);
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

#[test]
fn experts_are_chosen_by_index() {
    let mut setup = Setup::new(9);
    let types = [DType::F16, DType::Quant(Quant::Q4_K), DType::Quant(Quant::MXFP4)];
    for dtype in types {
        let columns = 2 * dtype.block().max(20);
        let w = setup.weights(dtype, &[5, 11, columns]);
        let ids = [4, 0, 2, 2, -1, 5];
        let id_tensor = setup.tensor(DType::I32, &[3, 2], &ids.map(|id| id as f32));
        // A row for each pair of ids, and a row for each id.
        for rows in [3, 6] {
            let x = setup.random(DType::F32, &[rows, columns]);
            let y = setup.result(DType::F32, &[3, 2, 11]);
            setup.run(|ops, stream| ops.linear_experts(stream, &x, &w, &id_tensor, &y));
            let (xv, wv) = (values(&x), values(&w));
            let mut expected = Vec::new();
            for (slot, id) in ids.into_iter().enumerate() {
                let row = &xv[slot * rows / 6 * columns..][..columns];
                match usize::try_from(id).ok().filter(|&id| id < 5) {
                    Some(id) => {
                        let expert = &wv[id * 11 * columns..][..11 * columns];
                        expected.extend(product(row, expert, columns));
                    }
                    None => expected.extend([(0.0, 0.0); 11]),
                }
            }
            close(&format!("experts of {dtype}, {rows} rows"), &y, &expected, TOLERANCE);
        }
    }
    let x = setup.random(DType::F32, &[4, 40]);
    let ids = setup.tensor(DType::I32, &[6], &[0.0; 6]);
    let w = setup.random(DType::F32, &[5, 11, 40]);
    let error = setup.error(|o, s| o.linear_experts(s, &x, &w, &ids, &x));
    assert!(error.contains("do not match"), "{error}");
    let error = setup.error(|o, s| o.linear_experts(s, &x, &x, &ids, &x));
    assert!(error.contains("not experts, outputs and columns"), "{error}");
}

#[test]
fn matmul_with_batches_and_transposed_operands() {
    let mut setup = Setup::new(7);
    for (m, k, n) in [(1, 1, 1), (3, 5, 7), (32, 32, 32), (33, 65, 34), (70, 16, 100)] {
        for (a_count, b_count, count) in [(1, 1, 1), (4, 2, 4), (1, 3, 3)] {
            for transposed in [false, true] {
                let (a, b) = match transposed {
                    false => (
                        setup.random(DType::F32, &[a_count, m, k]),
                        setup.random(DType::F16, &[b_count, k, n]),
                    ),
                    true => (
                        setup.random(DType::F32, &[a_count, k, m]),
                        setup.random(DType::F16, &[b_count, n, k]),
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
                let c = setup.result(DType::F32, &[count, m, n]);
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
                let what =
                    format!("{m}x{k}x{n}, {a_count} and {b_count}, transposed: {transposed}");
                close(&what, &c, &expected, TOLERANCE);
            }
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
