//! Matrices at the ends of memory.

use super::super::*;
use super::pages::Pages;
use super::{is_tested, vector};
use crate::soft::cpu::FaultKind;
use crate::soft::ir::{Op, Scalar};

#[test]
fn matrices_at_the_ends_of_memory() {
    let steps = [(8, 1), (1, 8), (-8, 1), (9, -1), (-1, -8), (0, 0)];
    // Steps that are known when the kernel is compiled, or not.
    let known = [(8, 1), (11, 1), (7, 1), (1, 8)].map(|steps| (Some(steps), vec![steps]));
    let all = [(None, steps.to_vec())].into_iter().chain(known);
    for (known, steps) in all {
        for scalar in [Scalar::F16, Scalar::BF16, Scalar::F32] {
            matrices_at_the_ends(scalar, known, &steps);
        }
    }
}

fn matrices_at_the_ends(scalar: Scalar, known: Option<(i64, i64)>, steps: &[(i64, i64)]) {
    let bytes = i64::from(scalar.bytes());
    for write in [false, true] {
        let mut b = kernel("matrix");
        let (data, out, values) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
        let uniform = constant(&mut b, 3);
        let lane = position(&mut b, 0);
        let [start, row, column] = [0, 8, 16].map(|at| {
            let at = b.field(uniform, at);
            b.load(at, vector(Scalar::I64, 1))
        });
        let [row, column] = match known {
            Some((row, column)) => [row, column].map(|step| b.int(Scalar::I64, step)),
            None => [row, column],
        };
        let at = b.index(data, start, 1);
        let ty = vector(scalar, 2);
        if write {
            let from = b.index(values, lane, 2 * bytes);
            let value = b.load(from, ty);
            b.emit(Op::MatrixStore, Type::Void, &[at, row, column, value], 0);
        } else {
            let value = b.emit(Op::MatrixLoad, ty, &[at, row, column], 0);
            let to = b.index(out, lane, 2 * bytes);
            b.store(to, value);
        }
        let mut buffers: Vec<Allocation> = ["data", "out", "values"]
            .iter()
            .zip(0..)
            .map(|(name, index)| buffer(name, index, Space::Device))
            .collect();
        buffers.push(buffer("uniform", 3, Space::Constant));
        let module = module(buffers, b.finish());
        for way in Way::all() {
            let program = way.program(&module).unwrap();
            assert!(!way.is_native() || program.is_one_run(), "{module}");
            for &(row, column) in steps {
                matrix_sweep(&program, scalar, write, row, column);
            }
        }
    }
}

#[test]
fn steps_of_matrices_do_not_wrap_around() {
    for scalar in [Scalar::F32, Scalar::F16] {
        let mut b = kernel("matrix");
        let (data, uniform) = (device(&mut b, 0), constant(&mut b, 1));
        let [row, column] = [0, 8].map(|at| {
            let at = b.field(uniform, at);
            b.load(at, vector(Scalar::I64, 1))
        });
        let ty = vector(scalar, 2);
        let value = b.emit(Op::MatrixLoad, ty, &[data, row, column], 0);
        b.emit(Op::MatrixStore, Type::Void, &[data, row, column, value], 0);
        let buffers = vec![buffer("data", 0, Space::Device), buffer("steps", 1, Space::Constant)];
        let module = module(buffers, b.finish());
        for (row, column) in [
            (1 << 62, 1),
            (1, 1 << 61),
            (i64::MIN, 1),
            (i64::MAX, 1),
            (8, 1 << 60),
            (1 << 50, 1 << 50),
        ] {
            let mut data = [0f32; 64];
            let mut steps = [row, column];
            let bindings = [bind(0, &mut data), bind(1, &mut steps)];
            let mut kinds = Way::plain_and_native().into_iter().map(|way| {
                let found = run(&module, way, &launch([32, 1, 1], [32, 1, 1], &bindings));
                found.expect_err("a fault")
            });
            let first = kinds.next().unwrap();
            assert!(matches!(first.kind, FaultKind::Access { .. }), "{first:?}");
            kinds.for_each(|fault| assert_eq!(fault, first));
        }
    }
}

/// Accesses matrices whose rows and columns are `row` and `column` elements apart.
fn matrix_sweep(program: &Program, scalar: Scalar, write: bool, row: i64, column: i64) {
    let (workers, mut memory) = (Workers::new(1), Pages::new(1));
    let bytes = i64::from(scalar.bytes());
    let corners = [0, 7 * row, 7 * column, 7 * row + 7 * column].map(|at| at * bytes);
    let (low, high) = (corners.into_iter().min().unwrap(), corners.into_iter().max().unwrap());
    for more in (0..16).filter(|&more| more == 0 || is_tested(more as usize, column)) {
        let length = high - low + bytes + more;
        let first = if more == 0 { -16 } else { more - 2 };
        for start in (first..=more + 16).map(|start| start - low) {
            memory.iter_mut().enumerate().for_each(|(k, byte)| *byte = (k * 7) as u8);
            let base = memory.place(length as usize, start % 2 == 0);
            let (mut out, mut values) = (
                vec![0u8; 64 * bytes as usize],
                (0..64 * bytes).map(|k| (k * 5 + 3) as u8).collect::<Vec<_>>(),
            );
            let mut uniform = [start, row, column];
            let (mut want_memory, mut want_out) = (memory.to_vec(), out.clone());
            // By the definition of specs/ir.md; an element is (row, column), and then the next column.
            let offset = |lane: i64, second: i64| {
                let bit = |n: i64| lane >> n & 1;
                let (i, j) = (4 * bit(4) + 2 * bit(2) + bit(1), 4 * bit(3) + 2 * bit(0) + second);
                start + (i * row + j * column) * bytes
            };
            let elements = || (0..32).flat_map(|lane| [(lane, 0), (lane, 1)]);
            let outside = |&(lane, second): &(i64, i64)| {
                let at = offset(lane, second);
                at < 0 || at + bytes > length
            };
            let want = elements().find(outside).map(|(lane, second)| {
                ([lane as u32, 0, 0], offset(lane, second), bytes as u32, write)
            });
            if want.is_none() {
                for (lane, second) in elements() {
                    let own = ((2 * lane + second) * bytes) as usize..;
                    let at = base + offset(lane, second) as usize..;
                    let size = bytes as usize;
                    if write {
                        want_memory[at][..size].copy_from_slice(&values[own][..size]);
                    } else {
                        want_out[own][..size].copy_from_slice(&memory[at][..size]);
                    }
                }
            }
            let bindings = [
                bind(0, &mut memory[base..base + length as usize]),
                bind(1, &mut out),
                bind(2, &mut values),
                bind(3, &mut uniform),
            ];
            let grid = launch([32, 1, 1], [32, 1, 1], &bindings);
            // SAFETY: the bindings outlive the launch.
            let got = unsafe { program.launch_by_index(&grid, &workers) };
            let got = got.err().map(|fault| match fault.kind {
                FaultKind::Access { offset, bytes, write, .. } => {
                    (fault.position.expect("a position"), offset, bytes, write)
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(got, want, "{scalar} {write} {row} {column} {length} {start}");
            assert!(
                memory[..] == want_memory && out == want_out,
                "{scalar} {write} {row} {column} {start}"
            );
        }
    }
}
