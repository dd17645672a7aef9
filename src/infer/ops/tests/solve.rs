//! Triangular systems.

use super::{FLOATS, Setup, close, values};
use crate::infer::DType;
use crate::infer::ops::Solve;

#[test]
fn triangular_systems() {
    let mut setup = Setup::new(81);
    for (size, columns, a_count, b_count, count) in
        [(1, 1, 1, 1, 1), (5, 3, 1, 1, 1), (16, 40, 2, 4, 4), (64, 33, 1, 2, 2)]
    {
        for (dtype, b_type) in (0..9).map(|i| (FLOATS[i / 3], FLOATS[i % 3])) {
            for params in
                [false, true].map(|upper| Solve { upper, unit: !upper || dtype != DType::F32 })
            {
                // Small values beside the diagonal: otherwise solutions grow without bound.
                let mut entries = Vec::new();
                for i in 0..a_count * size * size {
                    let diagonal = i / size % size == i % size;
                    let value = setup.random.value();
                    entries.push(if diagonal { 1.5 + value } else { value / size as f32 });
                }
                let a = setup.tensor(dtype, &[a_count, size, size], &entries);
                let b = setup.random(b_type, &[b_count, size, columns]);
                let x = setup.result(DType::F32, &[count, size, columns]);
                setup.run(|ops, stream| ops.solve(stream, &a, &b, &x, params));
                let (av, bv) = (values(&a), values(&b));
                let mut expected = vec![(0.0, 0.0); count * size * columns];
                for batch in 0..count {
                    let (left, right) = (batch / (count / a_count), batch / (count / b_count));
                    for column in 0..columns {
                        for step in 0..size {
                            let row_of =
                                |step: usize| if params.upper { size - 1 - step } else { step };
                            let row = row_of(step);
                            let at =
                                |row: usize, column: usize| av[(left * size + row) * size + column];
                            let x_at = |row: usize| (batch * size + row) * columns + column;
                            let mut sum = bv[(right * size + row) * columns + column];
                            for other in (0..step).map(row_of) {
                                sum -= at(row, other) * expected[x_at(other)].0;
                            }
                            let value = if params.unit { sum } else { sum / at(row, row) };
                            expected[x_at(row)] = (value, value.abs() + 2.0);
                        }
                    }
                }
                close(
                    &format!("{size} {columns} {dtype} {b_type} {params:?}"),
                    &x,
                    &expected,
                    1e-5,
                );
            }
        }
    }
}

#[test]
fn a_system_is_solved_in_place_with_strides() {
    let setup = Setup::new(82);
    let a = setup.tensor(DType::F32, &[2, 2], &[2.0, 1.0, 9.0, 4.0]);
    let b = setup.tensor(DType::F32, &[3, 2], &[6.0, 7.0, 2.0, 5.0, 0.0, 4.0]);
    setup.run(|ops, stream| {
        let b = b.transpose(0, 1)?;
        ops.solve(stream, &a.transpose(0, 1)?, &b, &b, Solve::default())
    });
    // The transposed matrix has 1 below its diagonal of 2 and 4.
    assert_eq!(values(&b), [3.0, 1.0, 1.0, 1.0, 0.0, 1.0]);
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(83);
    let a = setup.random(DType::F32, &[3, 3]);
    let b = setup.random(DType::F32, &[3, 2]);
    let half = setup.random(DType::F16, &[3, 2]);
    let int = setup.tensor(DType::I32, &[3, 3], &[0.0; 9]);
    let params = Solve::default();
    for (error, message) in [
        (setup.error(|o, s| o.solve(s, &int, &b, &b, params)), "a holds one of"),
        (setup.error(|o, s| o.solve(s, &a, &int, &b, params)), "b holds one of"),
        (setup.error(|o, s| o.solve(s, &a, &b, &half, params)), "x holds one of f32"),
        (setup.error(|o, s| o.solve(s, &b, &b, &b, params)), "do not match"),
        (setup.error(|o, s| o.solve(s, &a, &b, &a, params)), "do not match"),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}
