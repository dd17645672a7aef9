//! Norms, softmax, reductions, the largest values.

use super::{FLOATS, Setup, close, plain, values};
use crate::infer::DType;
use crate::infer::ops::{Norm, NormKind, Reduce, Softmax};

/// Sums of up to 1000 values by 256 threads: 4 additions, and 10 of the tree; reciprocal roots and exponentials have some units
/// in the last place.
const TOLERANCE: f64 = 4e-6;

const COLUMNS: [usize; 6] = [1, 2, 31, 256, 257, 1000];

/// Every length with every type of operands, and types of results in turn, so that each pair of types occurs.
fn crossed() -> impl Iterator<Item = (usize, DType, DType)> {
    let each = COLUMNS.into_iter().enumerate();
    each.flat_map(|(turn, columns)| {
        let types = FLOATS.into_iter().enumerate();
        types.map(move |(nth, x)| (columns, x, FLOATS[(turn + nth) % 3]))
    })
}

#[test]
fn norms_of_every_kind_and_type() {
    let mut setup = Setup::new(11);
    for kind in [NormKind::Rms, NormKind::Layer, NormKind::L2] {
        for (columns, x_type, y_type) in crossed() {
            for parts in 0..4 {
                let x = setup.random(x_type, &[3, columns]);
                let residual = setup.random(x_type, &[3, columns]);
                let weight = setup.random(y_type, &[columns]);
                let bias = setup.random(y_type, &[columns]);
                let y = setup.result(y_type, &[3, columns]);
                let norm = Norm {
                    kind,
                    epsilon: 1e-5,
                    weight: (parts > 0).then_some(&weight),
                    offset: if parts > 1 { 1.0 } else { 0.0 },
                    bias: (parts > 1).then_some(&bias),
                    residual: (parts > 2).then_some(&residual),
                };
                let mut input = values(&x);
                if parts > 2 {
                    let sums = input.iter().zip(values(&residual)).map(|(a, b)| (a + b) as f32);
                    // The sum is rounded to the type of the residual.
                    input = values(&setup.tensor(x_type, &[3, columns], &sums.collect::<Vec<_>>()));
                }
                setup.run(|ops, stream| ops.norm(stream, &x, &y, norm));
                let (w, b) = (values(&weight), values(&bias));
                let mut expected = Vec::new();
                for row in input.chunks(columns) {
                    let n = columns as f64;
                    let mean =
                        if kind == NormKind::Layer { row.iter().sum::<f64>() / n } else { 0.0 };
                    let squares: f64 = row.iter().map(|v| (v - mean).powi(2)).sum();
                    let scale = match kind {
                        NormKind::L2 => squares.sqrt().max(1e-5).recip(),
                        _ => (squares / n + 1e-5).sqrt().recip(),
                    };
                    for (i, value) in row.iter().enumerate() {
                        let (mut v, mut size) =
                            ((value - mean) * scale, (value.abs() + mean.abs()) * scale);
                        if parts > 0 {
                            let w = w[i] + f64::from(norm.offset);
                            (v, size) = (v * w, size * w.abs());
                        }
                        if parts > 1 {
                            (v, size) = (v + b[i], size + b[i].abs());
                        }
                        expected.push((v, size));
                    }
                }
                close(
                    &format!("{kind:?} of {columns} {x_type} to {y_type}, {parts}"),
                    &y,
                    &expected,
                    TOLERANCE,
                );
                if parts > 2 {
                    close("the residual", &residual, &plain(input), 0.0);
                }
            }
        }
    }
}

#[test]
fn the_deviation_of_large_values_is_exact() {
    let setup = Setup::new(12);
    let input: Vec<f32> = (0..100).map(|i| 10_000.0 + (i % 7) as f32).collect();
    let x = setup.tensor(DType::F32, &[1, 100], &input);
    let y = setup.result(DType::F32, &[1, 100]);
    setup.run(|ops, stream| {
        ops.norm(stream, &x, &y, Norm { kind: NormKind::Layer, ..Norm::default() })
    });
    let mean = input.iter().map(|&v| f64::from(v)).sum::<f64>() / 100.0;
    let variance = input.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / 100.0;
    let expected = input.iter().map(|&v| (f64::from(v) - mean) / (variance + 1e-5).sqrt());
    // The mean has an error of some 2⁻²⁴ of 10,000.
    let expected: Vec<(f64, f64)> = expected.map(|value| (value, 1.0)).collect();
    close("large values", &y, &expected, 2e-3);
}

#[test]
fn softmax_of_every_type() {
    let mut setup = Setup::new(13);
    for (columns, dtype, y_type) in crossed() {
        for masked in [false, true] {
            let x = setup.random(dtype, &[4, columns]);
            // The second of the mask's two rows masks all values.
            let mut mask = vec![0.5; columns];
            mask[0] = if columns > 1 { f32::NEG_INFINITY } else { 0.0 };
            mask.extend(vec![f32::NEG_INFINITY; columns]);
            let mask = setup.tensor(y_type, &[2, columns], &mask);
            let y = setup.result(y_type, &[4, columns]);
            let softmax = Softmax { scale: 3.0, mask: masked.then_some(&mask) };
            setup.run(|ops, stream| ops.softmax(stream, &x, &y, softmax));
            let mask = values(&mask);
            let mut expected = Vec::new();
            for (i, row) in values(&x).chunks(columns).enumerate() {
                let mask = &mask[i % 2 * columns..][..columns];
                let logit = |(v, m): (&f64, &f64)| 3.0 * v + if masked { *m } else { 0.0 };
                let weights: Vec<f64> = row.iter().zip(mask).map(logit).map(f64::exp).collect();
                let sum: f64 = weights.iter().sum();
                expected.extend(weights.iter().map(|w| if sum > 0.0 { w / sum } else { 0.0 }));
            }
            close(
                &format!("{columns} {dtype} to {y_type}, masked: {masked}"),
                &y,
                &plain(expected),
                TOLERANCE,
            );
        }
    }
}

#[test]
fn softmax_of_large_values_does_not_overflow() {
    let setup = Setup::new(14);
    let x = setup.tensor(DType::F32, &[1, 3], &[1e4, 1e4, -1e4]);
    let y = setup.result(DType::F32, &[1, 3]);
    setup.run(|ops, stream| ops.softmax(stream, &x, &y, Softmax::default()));
    assert_eq!(values(&y), [0.5, 0.5, 0.0]);
}

#[test]
fn reductions_of_every_type() {
    let mut setup = Setup::new(15);
    for (columns, dtype, y_type) in crossed() {
        let x = setup.random(dtype, &[2, 3, columns]);
        let rows: Vec<Vec<f64>> = values(&x).chunks(columns).map(<[f64]>::to_vec).collect();
        for reduce in [Reduce::Sum, Reduce::Mean, Reduce::Max, Reduce::Min] {
            let y = setup.result(y_type, &[2, 3]);
            setup.run(|ops, stream| ops.reduce(stream, &x, &y, reduce));
            let of = |row: &Vec<f64>| {
                let (sum, size) =
                    (row.iter().sum::<f64>(), row.iter().map(|v| v.abs()).sum::<f64>());
                match reduce {
                    Reduce::Sum => (sum, size),
                    Reduce::Mean => (sum / columns as f64, size / columns as f64),
                    Reduce::Max => (row.iter().copied().fold(f64::NEG_INFINITY, f64::max), 0.0),
                    Reduce::Min => (row.iter().copied().fold(f64::INFINITY, f64::min), 0.0),
                }
            };
            let expected: Vec<(f64, f64)> = rows.iter().map(of).collect();
            close(
                &format!("{reduce:?} of {columns} {dtype} to {y_type}"),
                &y,
                &expected,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn sums_up_to_each_value() {
    let mut setup = Setup::new(18);
    for (columns, dtype, y_type) in crossed() {
        let x = setup.random(dtype, &[3, columns]);
        let y = setup.result(y_type, &[3, columns]);
        setup.run(|ops, stream| ops.scan(stream, &x, &y));
        let mut expected = Vec::new();
        for row in values(&x).chunks(columns) {
            let sums = row.iter().scan((0.0, 0.0), |(sum, size), value| {
                (*sum, *size) = (*sum + value, *size + value.abs());
                Some((*sum, *size))
            });
            expected.extend(sums);
        }
        close(&format!("{columns} {dtype} to {y_type}"), &y, &expected, TOLERANCE);
    }
}

#[test]
fn hadamard_transforms() {
    let mut setup = Setup::new(19);
    let sizes = [1, 2, 32, 128, 512, 4096].into_iter().enumerate();
    let crossed = sizes.flat_map(|(turn, size)| [0, 1, 2].map(|nth| (size, nth, (turn + nth) % 3)));
    // The long references once.
    for (size, x_type, y_type) in crossed.filter(|&(size, nth, _)| size < 512 || nth == 0) {
        let x = setup.random(FLOATS[x_type], &[2, size]);
        let y = setup.result(FLOATS[y_type], &[2, size]);
        setup.run(|ops, stream| ops.hadamard(stream, &x, &y, 0.25));
        let mut expected = Vec::new();
        for row in values(&x).chunks(size) {
            let size_of_all: f64 = row.iter().map(|v| 0.25 * v.abs()).sum();
            // The sign of each term is the parity of the bits that both indices have.
            let sum = |i: usize| -> f64 {
                let signed =
                    row.iter().enumerate().map(|(j, value)| match (i & j).count_ones() % 2 {
                        0 => *value,
                        _ => -*value,
                    });
                0.25 * signed.sum::<f64>()
            };
            expected.extend((0..size).map(|i| (sum(i), size_of_all)));
        }
        close(&format!("{size}, {x_type} to {y_type}"), &y, &expected, TOLERANCE);
    }
    let x = setup.random(DType::F32, &[2, 24]);
    let error = setup.error(|o, s| o.hadamard(s, &x, &x, 1.0));
    assert!(error.contains("24 values are no power of two"), "{error}");
}

#[test]
fn the_largest_values_in_order() {
    let mut setup = Setup::new(16);
    for (columns, dtype, _) in crossed() {
        let k = columns.min(5);
        let mut input: Vec<f32> = (0..3 * columns).map(|_| setup.random.value()).collect();
        // Equal values, NaN, and a row of the smallest value.
        for (i, value) in input.iter_mut().enumerate() {
            *value = match i % 7 {
                _ if i >= 2 * columns => f32::NEG_INFINITY,
                0 => f32::NAN,
                1 | 2 => 0.75,
                _ => *value,
            };
        }
        let x = setup.tensor(dtype, &[3, columns], &input);
        let input: Vec<f32> = values(&x).into_iter().map(|value| value as f32).collect();
        let indices = setup.result(DType::I32, &[3, k]);
        let found = setup.result(DType::F32, &[3, k]);
        setup.run(|ops, stream| ops.top(stream, &x, &indices, Some(&found)));
        let mut expected = Vec::new();
        for row in input.chunks(columns) {
            let key = |i: usize| if row[i].is_nan() { f32::NEG_INFINITY } else { row[i] };
            let mut order: Vec<usize> = (0..columns).collect();
            order.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
            expected.extend(order[..k].iter().map(|&i| (i as i32, row[i])));
        }
        let (order, best): (Vec<i32>, Vec<f32>) = expected.into_iter().unzip();
        assert_eq!(indices.to_vec::<i32>().expect("free"), order, "{columns} {dtype}");
        // The payload of a NaN that was widened is unspecified.
        let same = |value: f32| if value.is_nan() { f32::NAN } else { value }.to_bits();
        let bits = |values: Vec<f32>| values.into_iter().map(same).collect::<Vec<_>>();
        assert_eq!(bits(found.to_vec::<f32>().expect("free")), bits(best), "{columns} {dtype}");
    }
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(17);
    let x = setup.random(DType::F32, &[2, 8]);
    let half = setup.random(DType::F16, &[2, 8]);
    let small = setup.random(DType::F32, &[7]);
    let int = setup.tensor(DType::I32, &[2, 9], &[0.0; 18]);
    let norm = Norm::default();
    for (error, message) in [
        (setup.error(|o, s| o.norm(s, &int, &x, norm)), "norm: x holds"),
        (setup.error(|o, s| o.norm(s, &x, &small, norm)), "y has the shape [7]: 2 rows of 8"),
        (
            setup.error(|o, s| o.norm(s, &x, &x, Norm { weight: Some(&small), ..norm })),
            "the weight has the shape [7]",
        ),
        (
            setup.error(|o, s| o.norm(s, &x, &x, Norm { bias: Some(&small), ..norm })),
            "the bias has the shape [7]",
        ),
        (
            setup.error(|o, s| o.norm(s, &x, &x, Norm { residual: Some(&half), ..norm })),
            "the residual holds one of f32",
        ),
        (setup.error(|o, s| o.softmax(s, &x, &small, Softmax::default())), "y has the shape [7]"),
        (
            setup.error(|o, s| o.softmax(s, &x, &x, Softmax { mask: Some(&small), scale: 1.0 })),
            "a mask of shape [7]",
        ),
        (
            setup.error(|o, s| o.reduce(s, &x, &small, Reduce::Sum)),
            "not one contiguous value for each row",
        ),
        (setup.error(|o, s| o.top(s, &x, &int, None)), "too many for [2, 8]"),
        (setup.error(|o, s| o.top(s, &x, &x, None)), "top: indices holds one of i32"),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}
