//! All plain types that operations take, crossed with each other: integers are compared exactly.

use super::Setup;
use crate::infer::ops::{Binary, Scatter, Unary};
use crate::infer::{DType, Tensor};
use crate::test_scale::scaled;

const INTEGERS: [DType; 9] = [
    DType::I8,
    DType::U8,
    DType::I16,
    DType::U16,
    DType::I32,
    DType::U32,
    DType::I64,
    DType::U64,
    DType::Bool,
];

const FLOATS: [DType; 3] = super::FLOATS;

fn is_signed(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64)
}

/// The value of a type that has the low bits of a number.
fn wrapped(dtype: DType, value: u64) -> i128 {
    if dtype == DType::Bool {
        return i128::from(value != 0);
    }
    let bits = 8 * dtype.block_bytes() as u32;
    match is_signed(dtype) {
        true => i128::from((value << (64 - bits)) as i64 >> (64 - bits)),
        false => i128::from(value << (64 - bits) >> (64 - bits)),
    }
}

/// The limits of a type, numbers near zero, and others of all magnitudes.
fn numbers(setup: &mut Setup, dtype: DType, count: usize) -> Vec<i128> {
    let ends = [
        0,
        1,
        2,
        u64::MAX,
        u64::MAX - 1,
        i64::MAX as u64,
        i64::MIN as u64,
        1 << 31,
        0x80,
        0x7f,
        0x8000,
    ];
    let random = (0..count).map(|_| setup.random.bits() >> (setup.random.bits() % 64));
    let all = ends.into_iter().chain(random);
    all.take(count).map(|value| wrapped(dtype, value)).collect()
}

fn tensor(setup: &Setup, dtype: DType, shape: &[usize], values: &[i128]) -> Tensor {
    let tensor = Tensor::new(&setup.gpu, dtype, shape).expect("memory");
    let size = dtype.block_bytes();
    let mut bytes = tensor.write_bytes().expect("free");
    bytes
        .chunks_mut(size)
        .zip(values)
        .for_each(|(to, v)| to.copy_from_slice(&v.to_le_bytes()[..size]));
    drop(bytes);
    tensor
}

fn integers(tensor: &Tensor) -> Vec<i128> {
    let value = |bytes: &[u8]| {
        let mut all = [0; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        wrapped(tensor.dtype(), u64::from_le_bytes(all))
    };
    tensor.read_bytes().expect("free").chunks(tensor.dtype().block_bytes()).map(value).collect()
}

/// The number of values: no multiple of a SIMD-group.
const COUNT: usize = 75;

#[test]
fn functions_of_one_integer_of_every_type() {
    let mut setup = Setup::new(93);
    type Function = fn(i128) -> i128;
    let table: [(Unary, Function); 5] = [
        (Unary::Copy, |a| a),
        (Unary::Neg, |a| -a),
        (Unary::Abs, i128::abs),
        (Unary::Square, |a| a.wrapping_mul(a)),
        (Unary::Relu, |a| a.max(0)),
    ];
    for (nth, from) in INTEGERS.into_iter().enumerate() {
        let input = numbers(&mut setup, from, COUNT);
        let x = tensor(&setup, from, &[COUNT], &input);
        for (op, function) in table {
            for (other, to) in INTEGERS.into_iter().enumerate() {
                // Copies to all types; of the others the same type, the widest ones and one more.
                let chosen = op == Unary::Copy
                    || to == from
                    || to.block_bytes() == 8
                    || (nth + other) % 5 == 0;
                if !chosen && scaled(1) == 1 {
                    continue;
                }
                let y = setup.result(to, &[COUNT]);
                setup.run(|ops, stream| ops.unary(stream, op, &x, &y));
                let expected: Vec<i128> =
                    input.iter().map(|&a| wrapped(to, function(a) as u64)).collect();
                assert_eq!(integers(&y), expected, "{op:?} of {from} to {to}");
            }
        }
    }
}

#[test]
fn functions_of_two_integers_of_every_type() {
    let mut setup = Setup::new(94);
    type Function = fn(i128, i128) -> i128;
    let table: [(Binary, Function); 6] = [
        (Binary::Add, |a, b| a + b),
        (Binary::Sub, |a, b| a - b),
        (Binary::Mul, i128::wrapping_mul),
        (Binary::Max, i128::max),
        (Binary::Min, i128::min),
        (Binary::ReluMul, |a, b| a.max(0).wrapping_mul(b)),
    ];
    let mut turn = 0;
    for (op, function) in table {
        for a_type in INTEGERS {
            for b_type in INTEGERS {
                let (a, b) =
                    (numbers(&mut setup, a_type, COUNT), numbers(&mut setup, b_type, COUNT));
                // The limits of one type meet those of the other in all pairs.
                let b: Vec<i128> = (0..COUNT).map(|i| b[(i + i / 11) % COUNT]).collect();
                let x = tensor(&setup, a_type, &[COUNT], &a);
                let y = tensor(&setup, b_type, &[COUNT], &b);
                turn += 1;
                // One type of results, in turn; and both widest types where signed and unsigned numbers meet.
                let mixed = is_signed(a_type) != is_signed(b_type)
                    && [a_type, b_type].contains(&DType::U64);
                for (nth, to) in INTEGERS.into_iter().enumerate() {
                    let chosen = nth == turn % 9 || mixed && matches!(to, DType::I64 | DType::U64);
                    if !chosen && scaled(1) == 1 {
                        continue;
                    }
                    let z = setup.result(to, &[COUNT]);
                    setup.run(|ops, stream| ops.binary(stream, op, &x, &y, &z));
                    let expected: Vec<i128> = a
                        .iter()
                        .zip(&b)
                        .map(|(&a, &b)| wrapped(to, function(a, b) as u64))
                        .collect();
                    assert_eq!(integers(&z), expected, "{op:?} of {a_type} and {b_type} to {to}");
                }
            }
        }
    }
}

#[test]
fn integers_and_floats_are_converted() {
    let setup = Setup::new(95);
    for whole in INTEGERS {
        for float in FLOATS {
            // All numbers that halves, bytes and booleans have.
            let most = if whole == DType::Bool { 1 } else { 100 };
            let input: Vec<i128> = (0..COUNT as i128).map(|i| i % (most + 1)).collect();
            let x = tensor(&setup, whole, &[COUNT], &input);
            let [sum, copy] = [(); 2].map(|_| setup.result(float, &[COUNT]));
            let back = setup.result(whole, &[COUNT]);
            setup.run(|ops, stream| {
                ops.unary(stream, Unary::Copy, &x, &copy)?;
                ops.unary(stream, Unary::Copy, &copy, &back)?;
                ops.binary(stream, Binary::Add, &x, &copy, &sum)
            });
            let floats = |factor: f64| input.iter().map(|&v| v as f64 * factor).collect::<Vec<_>>();
            assert_eq!(super::values(&copy), floats(1.0), "{whole} to {float}");
            assert_eq!(super::values(&sum), floats(2.0), "{whole} and {float}");
            assert_eq!(integers(&back), input, "{float} to {whole}");
        }
    }
}

/// Operations that only move values keep their bits, whatever they are.
#[test]
fn bits_of_every_type_are_moved() {
    let mut setup = Setup::new(96);
    for dtype in INTEGERS.into_iter().chain(FLOATS) {
        for (rows, columns) in [(1, 1), (3, 5), (2, 33)] {
            let input: Vec<i128> = (0..rows * columns)
                .map(|_| setup.random.bits())
                .map(|bits| if dtype == DType::Bool { bits & 1 } else { bits })
                .map(i128::from)
                .collect();
            let x = tensor(&setup, dtype, &[rows, columns], &input);
            let at: Vec<f32> = (0..rows * 4).map(|i| ((3 * i) % (columns + 1)) as f32).collect();
            let indices = setup.tensor(DType::I32, &[rows, 4], &at);
            let taken = setup.result(dtype, &[rows, 4]);
            let joined = setup.result(dtype, &[rows, columns + 4]);
            let scattered = tensor(&setup, dtype, &[rows, columns], &vec![0; rows * columns]);
            let sums = tensor(&setup, dtype, &[rows, 1], &vec![0; rows]);
            let zeros = setup.tensor(DType::I32, &[rows, columns], &vec![0.0; rows * columns]);
            let scatter = Scatter { axis: 1, add: false };
            setup.run(|ops, stream| {
                ops.take(stream, &x, &indices, &taken, 1)?;
                ops.concat(stream, &[&x, &taken], &joined, 1)?;
                ops.scatter(stream, &taken, &indices, &scattered, scatter)?;
                match dtype.is_float() || dtype == DType::Bool {
                    true => Ok(()),
                    false => {
                        ops.scatter(stream, &x, &zeros, &sums, Scatter { add: true, ..scatter })
                    }
                }
            });
            let size = dtype.block_bytes();
            let of = |tensor: &Tensor| -> Vec<Vec<u8>> {
                tensor.read_bytes().expect("free").chunks(size).map(<[u8]>::to_vec).collect()
            };
            let (xv, zero) = (of(&x), vec![0; size]);
            let chosen = |i: usize| match at[i] as usize {
                index if index < columns => xv[i / 4 * columns + index].clone(),
                _ => zero.clone(),
            };
            let expected: Vec<Vec<u8>> = (0..rows * 4).map(chosen).collect();
            let what = format!("{dtype}, {rows} x {columns}");
            assert_eq!(of(&taken), expected, "take of {what}");
            let each = xv.chunks(columns).zip(expected.chunks(4));
            let both: Vec<Vec<u8>> = each.flat_map(|(a, b)| [a, b].concat()).collect();
            assert_eq!(of(&joined), both, "concat of {what}");
            let mut target = vec![zero.clone(); rows * columns];
            for i in 0..rows * 4 {
                let to = at[i] as usize;
                if to < columns {
                    target[i / 4 * columns + to].clone_from(&expected[i]);
                }
            }
            assert_eq!(of(&scattered), target, "scatter of {what}");
            if !dtype.is_float() && dtype != DType::Bool {
                let rows = input.chunks(columns).map(|row| row.iter().sum::<i128>() as u64);
                let rows: Vec<i128> = rows.map(|sum| wrapped(dtype, sum)).collect();
                assert_eq!(integers(&sums), rows, "sums of {what}");
            }
        }
    }
}
