//! Operations on each value.

use super::{FLOATS, Setup, close, plain, values, without_pages};
use crate::infer::ops::{Binary, Matmul, Norm, Softmax, Unary};
use crate::infer::{DType, Tensor};

/// Functions have up to 8 units in the last place, and chains of three of them more.
const TOLERANCE: f64 = 3e-6;

/// The error function, by its series and its continued fraction.
fn erf(x: f64) -> f64 {
    if x.abs() > 3.0 {
        let mut tail = 0.0;
        for k in (1..60).rev() {
            tail = f64::from(k) / 2.0 / (x.abs() + tail);
        }
        let rest = (-x * x).exp() / std::f64::consts::PI.sqrt() / (x.abs() + tail);
        return x.signum() * (1.0 - rest);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..80 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2f64.sqrt()))
}

fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

type Function = fn(f64) -> f64;

#[test]
fn functions_of_one_value() {
    let setup = Setup::new(21);
    let input: Vec<f32> = (-200..=200).map(|i| i as f32 * 0.05).collect();
    // The limits of positive functions are those of positive values.
    let table: &[(Unary, Function, bool)] = &[
        (Unary::Copy, |x| x, false),
        (Unary::Neg, |x| -x, false),
        (Unary::Abs, f64::abs, false),
        (Unary::Square, |x| x * x, false),
        (Unary::Sqrt, f64::sqrt, true),
        (Unary::Rsqrt, |x| x.sqrt().recip(), true),
        (Unary::Reciprocal, f64::recip, true),
        (Unary::Exp, f64::exp, false),
        (Unary::Log, f64::ln, true),
        (Unary::Sin, f64::sin, false),
        (Unary::Cos, f64::cos, false),
        (Unary::Tanh, f64::tanh, false),
        (Unary::Relu, |x| x.max(0.0), false),
        (Unary::Sigmoid, sigmoid, false),
        (Unary::Silu, |x| x * sigmoid(x), false),
        (Unary::Gelu, gelu, false),
        (Unary::GeluTanh, gelu_tanh, false),
        (Unary::Affine(2.0, -1.0), |x| 2.0 * x - 1.0, false),
        (Unary::Clamp(-1.0, 2.0), |x| x.clamp(-1.0, 2.0), false),
        (Unary::SoftCap(3.0), |x| 3.0 * (x / 3.0).tanh(), false),
    ];
    for (op, function, positive) in table {
        let input: Vec<f32> = input.iter().copied().filter(|&x| !positive || x > 0.0).collect();
        for (dtype, y_type) in (0..9).map(|i| (FLOATS[i / 3], FLOATS[i % 3])) {
            let x = setup.tensor(dtype, &[input.len()], &input);
            let y = setup.result(y_type, &[input.len()]);
            setup.run(|ops, stream| ops.unary(stream, *op, &x, &y));
            // Where a function is flat, its error is relative to its argument; logarithms near 1 to 1.
            let expected = values(&x).into_iter().map(|x| {
                let value = function(x);
                (value, value.abs().max(x.abs().min(1.0)))
            });
            let what = format!("{op:?} of {dtype} to {y_type}");
            close(&what, &y, &expected.collect::<Vec<_>>(), TOLERANCE);
        }
    }
}

#[test]
fn functions_of_two_values() {
    let mut setup = Setup::new(22);
    type Function = fn(f64, f64) -> f64;
    let table: &[(Binary, Function)] = &[
        (Binary::Add, |a, b| a + b),
        (Binary::Sub, |a, b| a - b),
        (Binary::Mul, |a, b| a * b),
        (Binary::Div, |a, b| a / b),
        (Binary::Max, f64::max),
        (Binary::Min, f64::min),
        (Binary::Pow, f64::powf),
        (Binary::SiluMul, |a, b| a * sigmoid(a) * b),
        (Binary::GeluMul, |a, b| gelu(a) * b),
        (Binary::GeluTanhMul, |a, b| gelu_tanh(a) * b),
        (Binary::ReluMul, |a, b| a.max(0.0) * b),
        (Binary::SigmoidMul, |a, b| sigmoid(a) * b),
    ];
    for (turn, (op, function)) in table.iter().enumerate() {
        for i in 0..9 {
            // All pairs of operands, and types of results in turn.
            let (a_type, b_type, y_type) =
                (FLOATS[i / 3], FLOATS[i % 3], FLOATS[(i / 3 + i + turn) % 3]);
            let [a, b] = [a_type, b_type].map(|dtype| setup.random(dtype, &[300]));
            let y = setup.result(y_type, &[300]);
            setup.run(|ops, stream| {
                // Negative values have no powers.
                if *op == Binary::Pow {
                    ops.unary(stream, Unary::Abs, &a, &a)?;
                }
                ops.binary(stream, *op, &a, &b, &y)
            });
            let pairs = values(&a).into_iter().zip(values(&b));
            let expected = pairs.map(|(a, b)| {
                let value = function(a, b);
                (value, value.abs().max(a.abs()).max(b.abs()))
            });
            let what = format!("{op:?} of {a_type} and {b_type} to {y_type}");
            let tolerance = if *op == Binary::Pow { 1e-5 } else { TOLERANCE };
            close(&what, &y, &expected.collect::<Vec<_>>(), tolerance);
        }
    }
}

#[test]
fn operands_are_broadcast() {
    let mut setup = Setup::new(23);
    let shapes: &[(&[usize], &[usize], &[usize])] = &[
        (&[1], &[1], &[1]),
        (&[3, 1, 5], &[4, 1], &[3, 4, 5]),
        (&[5], &[2, 1, 1], &[2, 3, 5]),
        (&[2, 3, 4, 5], &[3, 1, 5], &[2, 3, 4, 5]),
        (&[1, 2, 1, 2, 1, 2], &[2, 1, 2, 1, 2, 1], &[2, 2, 2, 2, 2, 2]),
        (&[0, 3], &[3], &[0, 3]),
    ];
    for (a_shape, b_shape, shape) in shapes {
        let (a, b) = (setup.random(DType::F32, a_shape), setup.random(DType::F32, b_shape));
        let y = setup.result(DType::F32, shape);
        setup.run(|ops, stream| ops.binary(stream, Binary::Sub, &a, &b, &y));
        let full = |tensor: &Tensor| tensor.broadcast(shape).expect("it fits").to_vec::<f32>();
        let pairs = full(&a).expect("free").into_iter().zip(full(&b).expect("free"));
        let expected: Vec<f32> = pairs.map(|(a, b)| a - b).collect();
        assert_eq!(y.to_vec::<f32>().expect("free"), expected, "{a_shape:?} {b_shape:?}");
    }
}

#[test]
fn copies_change_strides_and_types() {
    let mut setup = Setup::new(24);
    let x = setup.random(DType::F32, &[3, 4, 5]);
    let turned = x.permute(&[2, 0, 1]).expect("a view");
    let y = setup.result(DType::F32, &[5, 3, 8]);
    let part = y.narrow(2, 2..6).expect("a view");
    setup.run(|ops, stream| ops.unary(stream, Unary::Copy, &turned, &part));
    assert_eq!(part.to_vec::<f32>().expect("free"), turned.to_vec::<f32>().expect("free"));
    let rest = y.narrow(2, 6..8).expect("a view").to_vec::<f32>().expect("free");
    assert!(rest.iter().all(|value| value.is_nan()), "the rest is not written");

    for from in FLOATS {
        let x = setup.random(from, &[100]);
        for to in FLOATS {
            let y = setup.result(to, &[100]);
            setup.run(|ops, stream| ops.unary(stream, Unary::Copy, &x, &y));
            close(&format!("{from} to {to}"), &y, &plain(values(&x)), 0.0);
        }
    }
    let big = Tensor::from_slice(&setup.gpu, &[u64::MAX, 1 << 63, 3], &[3]).expect("memory");
    let same = Tensor::new(&setup.gpu, DType::U64, &[3]).expect("memory");
    let long = Tensor::from_slice(&setup.gpu, &[i64::MIN, -1, i64::MAX], &[3]).expect("memory");
    let byte = Tensor::new(&setup.gpu, DType::I8, &[3]).expect("memory");
    setup.run(|ops, stream| {
        ops.unary(stream, Unary::Copy, &big, &same)?;
        ops.unary(stream, Unary::Copy, &long, &byte)
    });
    assert_eq!(same.to_vec::<u64>().expect("free"), [u64::MAX, 1 << 63, 3]);
    assert_eq!(byte.to_vec::<i8>().expect("free"), [0, -1, -1]);
}

#[test]
fn whole_numbers_are_added_exactly() {
    let setup = Setup::new(25);
    let a = Tensor::from_slice(&setup.gpu, &[i32::MAX, -5, 7], &[3]).expect("memory");
    let b = Tensor::from_slice(&setup.gpu, &[-1i32, 16_777_217, 0], &[3]).expect("memory");
    setup.run(|ops, stream| ops.binary(stream, Binary::Add, &a, &b, &b));
    assert_eq!(b.to_vec::<i32>().expect("free"), [i32::MAX - 1, 16_777_212, 7]);
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(26);
    let x = setup.random(DType::F32, &[2, 3]);
    let int = setup.tensor(DType::I32, &[2, 3], &[0.0; 6]);
    let wide = Tensor::new(&setup.gpu, DType::F64, &[2, 3]).expect("memory");
    let one = setup.random(DType::F32, &[1, 3]);
    for (error, message) in [
        (setup.error(|o, s| o.unary(s, Unary::Exp, &wide, &x)), "the tensor holds f64"),
        (setup.error(|o, s| o.unary(s, Unary::Exp, &int, &int)), "this operation is for floats"),
        (
            setup.error(|o, s| o.binary(s, Binary::Div, &int, &int, &int)),
            "this operation is for floats",
        ),
        (setup.error(|o, s| o.binary(s, Binary::Add, &x, &x, &one)), "[2, 3]"),
        (
            setup.error(|o, s| o.unary(s, Unary::Copy, &x, &one.broadcast(&[2, 3])?)),
            "the tensor is broadcast",
        ),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}

/// Kernels count values with 32 bits: a view that is longer is an error. Its memory is never touched.
#[test]
fn views_longer_than_32_bits_are_errors() {
    let setup = Setup::new(27);
    let Some(memory) = without_pages(&setup, DType::U8, &[70_000, 65_536]) else { return };
    let column = memory.narrow(1, 0..1).expect("a view");
    let y = Tensor::new(&setup.gpu, DType::U8, &[70_000, 1]).expect("memory");
    let indices = Tensor::new(&setup.gpu, DType::I32, &[1, 1]).expect("memory");
    let one = y.narrow(0, 0..1).expect("a view");
    for error in [
        setup.error(|o, s| o.unary(s, Unary::Copy, &column, &y)),
        setup.error(|o, s| o.take(s, &column, &indices, &one, 0)),
    ] {
        assert!(error.contains("x spans 4587454465 values"), "{error}");
    }
    let near = column.narrow(0, 0..65_536).expect("a view");
    let y = y.narrow(0, 0..65_536).expect("a view");
    let mut stream = crate::infer::Stream::new(&setup.gpu, &setup.queue);
    setup.ops.unary(&mut stream, Unary::Copy, &near, &y).expect("it fits");
}

/// Tensors without values are no error, whatever axis has none.
#[test]
fn empty_axes_are_nothing_to_do() {
    let setup = Setup::new(28);
    let new = |shape: &[usize]| Tensor::new(&setup.gpu, DType::F32, shape).expect("memory");
    for shape in [[2, 0, 4], [0, 3, 4], [2, 3, 0]] {
        let (x, y) = (new(&shape), new(&shape));
        setup.run(|o, s| {
            o.softmax(s, &x, &y, Softmax::default())?;
            o.scan(s, &x, &y)?;
            o.norm(s, &x, &y, Norm::default())?;
            o.binary(s, Binary::Add, &x, &x, &y)
        });
    }
    for [batch, rows, inner, columns] in [[0, 2, 3, 4], [2, 0, 3, 4], [2, 3, 4, 0]] {
        let (a, b) = (new(&[batch, rows, inner]), new(&[batch, inner, columns]));
        let c = new(&[batch, rows, columns]);
        setup.run(|o, s| o.matmul(s, &a, &b, &c, Matmul::default()));
    }
}
