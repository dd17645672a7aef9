//! Sorting, and values by index.

use super::{FLOATS, Setup, close, plain, values};
use crate::infer::ops::{Order, Scatter, Unary};
use crate::infer::{DType, Stream, Tensor};

#[test]
fn indices_are_sorted() {
    let mut setup = Setup::new(61);
    for (rows, columns) in [(1, 1), (3, 2), (2, 100), (2, 1024), (3, 1025), (1, 5000)] {
        for dtype in FLOATS {
            // Values that are often equal, with zeros of both signs and values that are no numbers.
            let x: Vec<f32> = (0..rows * columns)
                .map(|_| match setup.random.bits() >> 32 & 63 {
                    0 => f32::NAN,
                    1 => -0.0,
                    2 => f32::INFINITY,
                    3 => f32::NEG_INFINITY,
                    _ => (setup.random.value() * 100.0).trunc(),
                })
                .collect();
            let tensor = setup.tensor(dtype, &[rows, columns], &x);
            for order in [Order::Ascending, Order::Descending] {
                // The result is part of a wider tensor.
                let wide = setup.result(DType::I32, &[rows, columns + 3]);
                setup.run(|ops, stream| {
                    let part = wide.narrow(1, 2..columns + 2)?;
                    ops.argsort(stream, &tensor, &part, order)
                });
                let wide = wide.read::<i32>().expect("free");
                for (row, found) in x.chunks(columns).zip(wide.chunks(columns + 3)) {
                    let mut expected: Vec<i32> = (0..columns as i32).collect();
                    expected.sort_by(|&a, &b| {
                        let (a, b) = (row[a as usize], row[b as usize]);
                        let numbers = match order {
                            Order::Ascending => a.partial_cmp(&b),
                            Order::Descending => b.partial_cmp(&a),
                        };
                        numbers.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
                    });
                    assert_eq!(found[2..columns + 2], expected, "{dtype} {columns} {order:?}");
                    let around = [&found[..2], &found[columns + 2..]].concat();
                    assert_eq!(around, [-1; 3], "nothing else is written");
                }
            }
        }
    }
}

#[test]
fn values_are_taken_along_an_axis() {
    let mut setup = Setup::new(62);
    for (shape, axis, count) in
        [(vec![5], 0, 9), (vec![3, 7], 1, 4), (vec![3, 7], 0, 2), (vec![2, 3, 4, 5], 2, 6)]
    {
        for dtype in [DType::F32, DType::F16, DType::BF16, DType::I32] {
            let x = setup.random(dtype, &shape);
            let mut to = shape.clone();
            to[axis] = count;
            let all: usize = to.iter().product();
            // From one before the first to one past the last.
            let size = shape[axis] as u64 + 2;
            let at: Vec<f32> = (0..all)
                .map(|_| (setup.random.bits() >> 20) % size)
                .map(|i| i as f32 - 1.0)
                .collect();
            let indices = setup.tensor(DType::I32, &to, &at);
            let y = setup.result(dtype, &to);
            setup.run(|ops, stream| ops.take(stream, &x, &indices, &y, axis));
            let (xv, yv) = (values(&x), values(&y));
            let inner: usize = shape[axis + 1..].iter().product();
            for (i, found) in yv.iter().enumerate() {
                let (outer, within) = (i / (inner * count), i % inner);
                let index = at[i] as i64;
                let expected = match usize::try_from(index).ok().filter(|&i| i < shape[axis]) {
                    Some(index) => xv[(outer * shape[axis] + index) * inner + within],
                    None => 0.0,
                };
                assert_eq!(*found, expected, "{dtype} {shape:?} along {axis}: value {i}");
            }
        }
    }
    // Of transposed and broadcast tensors.
    let x = setup.random(DType::F32, &[4, 3]);
    let indices = setup.tensor(DType::I32, &[2], &[3.0, 1.0]);
    let y = setup.result(DType::F32, &[3, 2]);
    setup.run(|ops, stream| {
        ops.take(stream, &x.transpose(0, 1)?, &indices.broadcast(&[3, 2])?, &y, 1)
    });
    let xv = values(&x);
    let expected = [9, 3, 10, 4, 11, 5].map(|i| xv[i]);
    assert_eq!(values(&y), expected);
}

/// Every type, axis and mode, with repeated indices, and some out of range.
#[test]
fn values_are_scattered_along_an_axis() {
    let mut setup = Setup::new(65);
    for dtype in FLOATS {
        for axis in 0..3 {
            for add in [false, true] {
                for strided in [false, true] {
                    let (mut shape, mut to) = ([3, 5, 2], [3, 5, 2]);
                    (shape[axis], to[axis]) = (7, 4);
                    let count: usize = shape.iter().product();
                    let at: Vec<f32> = (0..count)
                        .map(|_| ((setup.random.bits() >> 32) % 6) as f32 - 1.0)
                        .collect();
                    let (x, indices) =
                        (setup.random(dtype, &shape), setup.tensor(DType::I32, &shape, &at));
                    let y = match strided {
                        true => {
                            let whole = setup.random(dtype, &[to[0], to[2], 2 * to[1]]);
                            let half = whole.narrow(2, 0..to[1]).expect("a view");
                            half.transpose(1, 2).expect("a view")
                        }
                        false => setup.random(dtype, &to),
                    };
                    let [before, after] = [(); 2].map(|_| setup.result(dtype, &to));
                    setup.run(|o, s| {
                        o.unary(s, Unary::Copy, &y, &before)?;
                        o.scatter(s, &x, &indices, &y, Scatter { axis, add })?;
                        o.unary(s, Unary::Copy, &y, &after)
                    });
                    let mut expected = plain(values(&before));
                    let inner: usize = shape[axis + 1..].iter().product();
                    for (i, value) in values(&x).into_iter().enumerate() {
                        let chosen = at[i];
                        if !(0.0..4.0).contains(&chosen) {
                            continue;
                        }
                        let (outer, within) = (i / (7 * inner), i % inner);
                        let target = &mut expected[(outer * 4 + chosen as usize) * inner + within];
                        *target = match add {
                            true => (target.0 + value, target.1 + value.abs()),
                            false => (value, value.abs()),
                        };
                    }
                    // Each step of a sum is rounded to the type.
                    let tolerance = match (add, dtype) {
                        (false, _) => 0.0,
                        (_, DType::F32) => 1e-6,
                        (_, DType::F16) => 4e-3,
                        _ => 3e-2,
                    };
                    let what = format!("{dtype}, axis {axis}, add: {add}, strided: {strided}");
                    close(&what, &after, &expected, tolerance);
                }
            }
        }
    }
    // Integers keep all their bits.
    let x = Tensor::from_slice(&setup.gpu, &[16_777_217, 2, 3, -1], &[4]).expect("memory");
    let indices = setup.tensor(DType::I32, &[4], &[1.0, 1.0, 0.0, 1.0]);
    let y = setup.tensor(DType::I32, &[2], &[1.0, 1.0]);
    setup.run(|o, s| o.scatter(s, &x, &indices, &y, Scatter { add: true, ..Scatter::default() }));
    assert_eq!(y.to_vec::<i32>().expect("free"), [4, 16_777_219]);
}

#[test]
fn tensors_are_put_side_by_side() {
    let mut setup = Setup::new(64);
    for axis in 0..3 {
        let parts: Vec<Tensor> = [1, 4, 2]
            .map(|length| {
                let mut shape = [3, 5, 2];
                shape[axis] = length;
                setup.random(DType::F16, &shape)
            })
            .into();
        let mut shape = [3, 5, 2];
        shape[axis] = 7;
        let y = setup.result(DType::F32, &shape);
        let parts: Vec<&Tensor> = parts.iter().collect();
        setup.run(|ops, stream| ops.concat(stream, &parts, &y, axis));
        let all: Vec<Vec<f64>> = parts.iter().map(|part| values(part)).collect();
        // An outer index after the other, the parts' values of it follow each other.
        let inner: usize = shape[axis + 1..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        let mut expected = Vec::new();
        for i in 0..outer {
            for (part, values) in parts.iter().zip(&all) {
                let each = part.shape()[axis] * inner;
                expected.extend_from_slice(&values[i * each..][..each]);
            }
        }
        assert_eq!(values(&y), expected, "axis {axis}");
    }
    let y = setup.random(DType::F32, &[0, 3]);
    setup.run(|ops, stream| ops.concat(stream, &[], &y, 0));
    // The first part is read before the second one is written over it; the reverse would be too late.
    let y = Tensor::from_slice(&setup.gpu, &[0.0f32, 1.0, 2.0, 3.0], &[4]).unwrap();
    let x = Tensor::from_slice(&setup.gpu, &[4.0f32, 5.0], &[2]).unwrap();
    let (head, tail) = (y.narrow(0, 0..2).unwrap(), y.narrow(0, 2..4).unwrap());
    setup.run(|ops, stream| ops.concat(stream, &[&tail, &x], &y, 0));
    assert_eq!(y.to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0, 5.0]);
    let mut stream = Stream::new(&setup.gpu, &setup.queue);
    let error = setup.ops.concat(&mut stream, &[&x, &head], &y, 0).unwrap_err();
    assert!(error.to_string().contains("part 1 overlaps the target of part 0"), "{error}");
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(63);
    let x = setup.random(DType::F32, &[2, 3]);
    let int = setup.tensor(DType::I32, &[2, 3], &[0.0; 6]);
    let four = setup.tensor(DType::I32, &[2, 4], &[0.0; 8]);
    let order = Order::Ascending;
    for (error, message) in [
        (setup.error(|o, s| o.argsort(s, &int, &int, order)), "argsort: x holds one of"),
        (setup.error(|o, s| o.argsort(s, &x, &x, order)), "indices holds one of i32"),
        (setup.error(|o, s| o.argsort(s, &x, &four, order)), "2 rows of 3 are needed"),
        (setup.error(|o, s| o.take(s, &x, &x, &x, 1)), "indices holds one of i32"),
        (setup.error(|o, s| o.take(s, &x, &int, &int, 1)), "y holds one of f32"),
        (setup.error(|o, s| o.take(s, &x, &four, &x, 1)), "do not match along axis 1"),
        (setup.error(|o, s| o.take(s, &x, &int, &x, 2)), "do not match along axis 2"),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}
