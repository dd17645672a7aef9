//! Views of more than 2³² values, whose positions need 64 bits. Their memory is never touched as a whole.
//!
//! Operands that must be contiguous are not here, and neither are the positions of the kernels that take only such ones (`append`,
//! `sample`, `ssm`, `delta`, and codes): tensors of that size would need memory for all of their pages.

use super::{Setup, values, without_pages};
use crate::infer::ops::{
    Attention, Conv, FEW_ROWS, Linear, Matmul, Norm, Order, Reduce, Rope, Softmax, Solve,
    TurboCache,
};
use crate::infer::{DType, Error, Ops, Stream, Tensor};

/// Heads or rows, and values from one to the next: the last one is a little more than 2³² values from the first one, and
/// the memory is not much longer. There are as many as kernels for few rows have.
const ROWS: usize = FEW_ROWS;
const STEP: usize = (1usize << 32).div_ceil(ROWS - 1).next_multiple_of(64) + 64;

/// `count` times `length` values that follow each other, from each row on.
fn far(memory: &Tensor, column: usize, [count, length]: [usize; 2]) -> Tensor {
    let whole = memory.reshape(&[ROWS, STEP / length, length]).expect("a view");
    let first = column / length;
    whole.narrow(1, first..first + count).expect("a view")
}

/// The same with the heads of tokens as rows.
fn far_heads(memory: &Tensor, column: usize, tokens: usize) -> Tensor {
    far(memory, column, [tokens, 8]).transpose(0, 1).expect("a view")
}

/// The values of one row.
const COLUMNS: usize = 32;

/// Views of the same values: as a matrix, and as a matrix for each row.
struct Rows {
    matrix: Tensor,
    batch: Tensor,
}

impl Rows {
    fn near(matrix: Tensor) -> Self {
        Self { batch: matrix.reshape(&[ROWS, 4, 8]).expect("a view"), matrix }
    }

    fn far(memory: &Tensor, column: usize) -> Self {
        Self {
            matrix: memory.narrow(1, column..column + COLUMNS).expect("a view"),
            batch: far(memory, column, [4, 8]),
        }
    }
}

/// Copies the values of each first and second index, which are contiguous.
fn copy(from: &Tensor, to: &Tensor) {
    for one in 0..from.shape()[0] {
        for other in 0..from.shape()[1] {
            let part = |tensor: &Tensor| {
                let part = tensor.narrow(0, one..one + 1);
                part.and_then(|part| part.narrow(1, other..other + 1)).expect("a view")
            };
            let bytes = part(from).read_bytes().expect("free").to_vec();
            part(to).write_bytes().expect("free").copy_from_slice(&bytes);
        }
    }
}

/// The values of a view.
fn gathered(setup: &Setup, from: &Tensor) -> Vec<f64> {
    let near = setup.result(from.dtype(), from.shape());
    copy(from, &near);
    values(&near)
}

#[test]
fn heads_may_be_more_than_32_bits_apart() {
    let mut setup = Setup::new(92);
    let Some(memory) = without_pages(&setup, DType::F16, &[ROWS, STEP]) else { return };
    let (tokens, rows) = (2, 3);
    let mut near = |tokens: usize| setup.random(DType::F16, &[tokens, ROWS, 8]);
    let (q, k, v) = (near(tokens), near(rows), near(rows));
    let [far_q, far_k, far_v] = [(&q, 0), (&k, 512), (&v, 1024)].map(|(near, column)| {
        let far = far_heads(&memory, column, near.shape()[0]);
        copy(near, &far);
        far
    });
    let positions = setup.tensor(DType::I32, &[2], &[1.0, 2.0]);
    let frequencies = setup.tensor(DType::F32, &[4], &[1.0, 0.5, 0.25, 0.125]);
    let far_o = far_heads(&memory, 2048, tokens);
    let o = setup.result(DType::F16, &[tokens, ROWS, 8]);
    let compare = |what: &str| assert_eq!(gathered(&setup, &far_o), values(&o), "{what}");
    for few_tokens in [8, 0] {
        let params = Attention { positions: Some(&positions), few_tokens, ..Attention::default() };
        setup.run(|ops, stream| {
            ops.attention(stream, &q, &k, &v, &o, params)?;
            ops.attention(stream, &far_q, &far_k, &far_v, &far_o, params)
        });
        compare(if few_tokens > 0 { "attention" } else { "attention in tiles" });
    }
    setup.run(|ops, stream| {
        ops.rope(stream, &q, &positions, &frequencies, &o, Rope::default())?;
        ops.rope(stream, &far_q, &positions, &frequencies, &far_o, Rope::default())
    });
    compare("rope");
    let caches = [(); 2].map(|_| TurboCache::new(&setup.gpu, 4, [4, ROWS, 8]).expect("memory"));
    setup.run(|ops, stream| {
        ops.append_turbo(stream, &q, &positions, &caches[0])?;
        ops.append_turbo(stream, &far_q, &positions, &caches[1])
    });
    let [near, far] = caches.map(|cache| cache.codes.read_bytes().expect("free").to_vec());
    assert!(near == far && near.iter().any(|&byte| byte != 0), "append_turbo");
}

#[test]
fn rows_may_be_more_than_32_bits_apart() {
    let mut setup = Setup::new(97);
    let Some(memory) = without_pages(&setup, DType::F16, &[ROWS, STEP]) else { return };
    let shape = [ROWS, COLUMNS];
    let x = Rows::near(setup.random(DType::F16, &shape));
    let y = Rows::near(setup.result(DType::F16, &shape));
    let zeros = setup.tensor(DType::F16, &shape, &[0.0; ROWS * COLUMNS]);
    let [far_x, far_y] = [0, 4096].map(|column| Rows::far(&memory, column));
    copy(&x.matrix, &far_x.matrix);

    let w = setup.random(DType::F16, &[COLUMNS, COLUMNS]);
    let taps = setup.random(DType::F16, &[COLUMNS, 1]);
    let conv = Conv { weight: &taps, bias: None, silu: false };
    let numbers: Vec<f32> = (0..ROWS).map(|row| row as f32).collect();
    let positions = setup.tensor(DType::I32, &[ROWS], &numbers);
    type Call<'a> = &'a dyn Fn(&Ops, &mut Stream, &Rows, &Rows) -> Result<(), Error>;
    let calls: [(&str, Call<'_>); 9] = [
        ("softmax", &|o, s, x, y| o.softmax(s, &x.matrix, &y.matrix, Softmax::default())),
        ("norm", &|o, s, x, y| o.norm(s, &x.matrix, &y.matrix, Norm::default())),
        ("scan", &|o, s, x, y| o.scan(s, &x.matrix, &y.matrix)),
        ("hadamard", &|o, s, x, y| o.hadamard(s, &x.matrix, &y.matrix, 1.0)),
        ("conv", &|o, s, x, y| o.conv(s, &x.matrix, &y.matrix, conv)),
        ("linear", &|o, s, x, y| o.linear(s, &x.matrix, &w, &y.matrix, Linear::default())),
        ("linear in tiles", &|o, s, x, y| {
            o.linear(s, &x.matrix, &w, &y.matrix, Linear { few_rows: 0 })
        }),
        ("matmul", &|o, s, x, y| {
            let (b, y) = (x.batch.transpose(1, 2)?, y.batch.narrow(2, 0..4)?);
            o.matmul(s, &x.batch, &b, &y, Matmul::default())
        }),
        ("lookup", &|o, s, x, y| o.lookup(s, &positions, &x.matrix, &y.matrix)),
    ];
    for (op, call) in calls {
        copy(&zeros, &y.matrix);
        setup.run(|ops, stream| call(ops, stream, &x, &y));
        let expected = values(&y.matrix);
        assert!(expected.iter().any(|value| *value != 0.0), "{op}");
        for (what, x, y) in [("operands", &far_x, &y), ("results", &x, &far_y)] {
            copy(&zeros, &y.matrix);
            setup.run(|ops, stream| call(ops, stream, x, y));
            assert_eq!(gathered(&setup, &y.matrix), expected, "{op}: {what}");
        }
    }

    // These results must be contiguous, or have other types.
    let results = |x: &Rows| -> Vec<f64> {
        let floats = [&[ROWS][..], &[ROWS, 4], &[1, ROWS], &[ROWS, 4, 8]];
        let [sums, best, product, solved] = floats.map(|shape| setup.result(DType::F32, shape));
        let [indices, order] = [4, COLUMNS].map(|n| setup.result(DType::I32, &[ROWS, n]));
        setup.run(|ops, stream| {
            ops.reduce(stream, &x.matrix, &sums, Reduce::Sum)?;
            ops.top(stream, &x.matrix, &indices, Some(&best))?;
            ops.argsort(stream, &x.matrix, &order, Order::Ascending)?;
            ops.linear(stream, &w.narrow(0, 0..1)?, &x.matrix, &product, Linear::default())?;
            let params = Solve { unit: true, ..Solve::default() };
            ops.solve(stream, &x.batch.narrow(2, 0..4)?, &x.batch, &solved, params)
        });
        let floats = [&sums, &best, &product, &solved].map(values).concat();
        let numbers = [&indices, &order].map(|list| list.to_vec::<i32>().expect("free")).concat();
        floats.into_iter().chain(numbers.into_iter().map(f64::from)).collect()
    };
    let (near, far) = (results(&x), results(&far_x));
    assert_eq!(far, near, "reduce, top, argsort, linear's weights or solve");
}
