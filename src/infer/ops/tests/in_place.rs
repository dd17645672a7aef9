//! Results that are the same view as an operand have the values of results in memory of their own.

use super::{Setup, values};
use crate::infer::ops::{
    Attention, Binary, Delta, Norm, Ops, Rope, Scaling, Softmax, Solve, Ssm, Unary,
};
use crate::infer::{DType, Error, Stream, Tensor};

const F: DType = DType::F32;

/// Runs an operation on an operand with a result of its own, and on a copy of the operand that is the result, too.
#[track_caller]
fn compare(
    setup: &mut Setup,
    what: &str,
    operand: &Tensor,
    call: impl Fn(&Ops, &mut Stream, &Tensor, &Tensor) -> Result<(), Error>,
) {
    let apart = setup.result(operand.dtype(), operand.shape());
    let both = setup.result(operand.dtype(), operand.shape());
    setup.run(|ops, stream| {
        call(ops, stream, operand, &apart)?;
        stream.copy(operand, &both)
    });
    setup.run(|ops, stream| call(ops, stream, &both, &both));
    assert_eq!(values(&both), values(&apart), "{what}");
    assert_ne!(values(&both), values(operand), "{what}");
}

#[test]
fn rows_and_elements() {
    let mut setup = Setup::new(61);
    // Rows of more values than a threadgroup has threads, and some that are no multiple of anything.
    for columns in [16, 1024, 2050] {
        let x = setup.random(F, &[3, columns]);
        let other = setup.random(F, &[3, columns]);
        compare(&mut setup, "unary", &x, |o, s, x, y| o.unary(s, Unary::Exp, x, y));
        compare(&mut setup, "the first", &x, |o, s, x, y| {
            o.binary(s, Binary::SiluMul, x, &other, y)
        });
        compare(&mut setup, "the second", &x, |o, s, x, y| {
            o.binary(s, Binary::SiluMul, &other, x, y)
        });
        compare(&mut setup, "norm", &x, |o, s, x, y| o.norm(s, x, y, Norm::default()));
        compare(&mut setup, "softmax", &x, |o, s, x, y| o.softmax(s, x, y, Softmax::default()));
        compare(&mut setup, "scan", &x, |o, s, x, y| o.scan(s, x, y));
        if columns == 1024 {
            compare(&mut setup, "hadamard", &x, |o, s, x, y| o.hadamard(s, x, y, 0.5));
        }
        // A residual that is x itself is doubled.
        let [one, two, three] = [(); 3].map(|_| setup.result(F, &[3, columns]));
        let normals = [(); 2].map(|_| setup.result(F, &[3, columns]));
        setup.run(|ops, stream| {
            [&one, &two, &three].into_iter().try_for_each(|to| stream.copy(&x, to))?;
            ops.norm(stream, &one, &normals[0], Norm { residual: Some(&two), ..Norm::default() })?;
            let norm = Norm { residual: Some(&three), ..Norm::default() };
            ops.norm(stream, &three, &normals[1], norm)
        });
        assert_eq!(values(&normals[0]), values(&normals[1]), "residual");
        assert_eq!(values(&two), values(&three), "residual");
    }
}

#[test]
fn heads_and_systems() {
    let mut setup = Setup::new(62);
    let x = setup.random(F, &[5, 3, 64]);
    let positions = setup.tensor(DType::I32, &[5], &[0.0, 1.0, 2.0, 3.0, 40.0]);
    let list = Scaling::None.frequencies(10000.0, 64);
    let frequencies = setup.tensor(F, &[32], &list);
    compare(&mut setup, "rope", &x, |o, s, x, y| {
        o.rope(s, x, &positions, &frequencies, y, Rope::default())
    });
    let triangle: Vec<f32> =
        (0..25).map(|i| if i / 5 == i % 5 { 3.0 } else { 0.25 * (i % 7) as f32 }).collect();
    let a = setup.tensor(F, &[5, 5], &triangle);
    let b = setup.random(F, &[5, 40]);
    compare(&mut setup, "solve", &b, |o, s, b, x| o.solve(s, &a, b, x, Solve::default()));
    // Few tokens one by one, and many in tiles.
    for tokens in [1, 3, 40] {
        let [k, v] = [(); 2].map(|_| setup.random(DType::F16, &[64, 2, 32]));
        let q = setup.random(F, &[tokens, 4, 32]);
        compare(&mut setup, "attention", &q, |o, s, q, y| {
            o.attention(s, q, &k, &v, y, Attention::default())
        });
    }
}

#[test]
fn sequences() {
    let mut setup = Setup::new(63);
    let (tokens, heads, size, columns) = (37, 2, 16, 40);
    // Each run begins with the same state.
    let fresh =
        |setup: &Setup, shape: &[usize]| setup.tensor(F, shape, &vec![0.5; shape.iter().product()]);
    let x = setup.random(F, &[tokens, columns]);
    let steps = setup.random(F, &[tokens, columns]);
    let [b, c] = [(); 2].map(|_| setup.random(F, &[tokens, size]));
    let a = setup.random(F, &[columns, size]);
    let d = setup.random(F, &[columns]);
    let states = [(); 2].map(|_| fresh(&setup, &[columns, size]));
    compare(&mut setup, "ssm", &x, |o, s, x, y| {
        // Both launches of a state would continue it.
        let state = &states[usize::from(std::ptr::eq(x, y))];
        o.ssm(s, x, y, Ssm { steps: &steps, a: &a, b: &b, c: &c, d: &d, state })
    });

    let [queries, keys] = [(); 2].map(|_| setup.random(F, &[tokens, heads, size]));
    let values = setup.random(F, &[tokens, heads, columns]);
    let gates: Vec<f32> = (0..tokens * heads).map(|i| -0.1 * (i % 5) as f32).collect();
    let gate = setup.tensor(F, &[tokens, heads], &gates);
    let beta = setup.random(F, &[tokens, heads]);
    for few_tokens in [usize::MAX, 0] {
        let states = [(); 2].map(|_| fresh(&setup, &[heads, size, columns]));
        compare(&mut setup, "delta", &values, |o, s, values, y| {
            let state = &states[usize::from(std::ptr::eq(values, y))];
            let (keys, gate, beta, scale) = (&keys, &gate, &beta, 0.25);
            o.delta(s, &queries, y, Delta { keys, values, gate, beta, state, scale, few_tokens })
        });
    }
}
