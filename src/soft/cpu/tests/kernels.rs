//! Whole kernels, built by hand, compared with plain Rust.

use super::*;
use crate::soft::ir::{Barrier, Op, Scalar, VarId};

/// `y[i] = a * x[i] + y[i]` for `i < n`.
pub(crate) fn saxpy() -> Module {
    let mut b = kernel("saxpy");
    let (x, y, parameters) = (device(&mut b, 0), device(&mut b, 1), constant(&mut b, 2));
    let i = position(&mut b, 0);
    let count = b.field(parameters, 4);
    let n = b.load(count, Type::U32);
    let inside = b.lt(i, n);
    let outside = b.op(Op::Not, &[inside]);
    b.begin_if(outside);
    b.return_(None);
    b.end_if();
    let a = b.load(parameters, Type::F32);
    let (from, to) = (b.index(x, i, 4), b.index(y, i, 4));
    let (xi, yi) = (b.load(from, Type::F32), b.load(to, Type::F32));
    let product = b.mul(a, xi);
    let sum = b.add(product, yi);
    b.store(to, sum);
    let buffers = vec![
        buffer("x", 0, Space::Device),
        buffer("y", 1, Space::Device),
        buffer("parameters", 2, Space::Constant),
    ];
    module(buffers, b.finish())
}

/// Begins a loop that runs while a variable is less than a limit; returns the variable's value.
fn begin_count(b: &mut FunctionBuilder, counter: VarId, limit: Value) -> Value {
    b.begin_loop();
    let at = b.get(counter);
    let more = b.lt(at, limit);
    let done = b.op(Op::Not, &[more]);
    b.break_if(done);
    at
}

/// Ends that loop with a step of the variable.
fn end_count(b: &mut FunctionBuilder, counter: VarId, step: Value) {
    b.begin_next();
    let at = b.get(counter);
    let next = b.add(at, step);
    b.set(counter, next);
    b.end_loop();
}

/// `c = a b` for square matrices of the size in buffer 3.
pub(crate) fn matmul() -> Module {
    let mut b = kernel("matmul");
    let (a, bb, c) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
    let parameters = constant(&mut b, 3);
    let n = b.load(parameters, Type::U32);
    let (column, row) = (position(&mut b, 0), position(&mut b, 1));
    let (inside_row, inside_column) = (b.lt(row, n), b.lt(column, n));
    let inside = b.op(Op::And, &[inside_row, inside_column]);
    b.begin_if(inside);
    let (sum, k) = (b.variable("sum", Type::F32), b.variable("k", Type::U32));
    let (zero, start, one) = (b.u32(0), b.f32(0.0), b.u32(1));
    b.set(sum, start);
    b.set(k, zero);
    let row_start = b.mul(row, n);
    let at = begin_count(&mut b, k, n);
    let index = b.add(row_start, at);
    let pointer = b.index(a, index, 4);
    let left = b.load(pointer, Type::F32);
    let k_row = b.mul(at, n);
    let index = b.add(k_row, column);
    let pointer = b.index(bb, index, 4);
    let right = b.load(pointer, Type::F32);
    let product = b.mul(left, right);
    let old = b.get(sum);
    let new = b.add(old, product);
    b.set(sum, new);
    end_count(&mut b, k, one);
    let index = b.add(row_start, column);
    let pointer = b.index(c, index, 4);
    let result = b.get(sum);
    b.store(pointer, result);
    b.end_if();
    let buffers = vec![
        buffer("a", 0, Space::Device),
        buffer("b", 1, Space::Device),
        buffer("c", 2, Space::Device),
        buffer("n", 3, Space::Constant),
    ];
    module(buffers, b.finish())
}

/// The same with tiles of 16 by 16 in threadgroup memory; the size is a multiple of 16.
pub(crate) fn tiled_matmul() -> Module {
    let mut b = kernel("tiled_matmul");
    let (a, bb, c) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
    let parameters = constant(&mut b, 3);
    let tile_a = b.allocation(AllocationId(4), Space::Threadgroup);
    let tile_b = b.allocation(AllocationId(5), Space::Threadgroup);
    let n = b.load(parameters, Type::U32);
    let (column, row) = (position(&mut b, 0), position(&mut b, 1));
    let x = b.input(Input::ThreadPositionInThreadgroup, 0);
    let y = b.input(Input::ThreadPositionInThreadgroup, 1);
    let (sum, tile) = (b.variable("sum", Type::F32), b.variable("tile", Type::U32));
    let (zero, start, one, side) = (b.u32(0), b.f32(0.0), b.u32(1), b.u32(16));
    b.set(sum, start);
    b.set(tile, zero);
    let row_start = b.mul(row, n);
    let y_start = b.mul(y, side);
    let own = b.add(y_start, x);
    let at = begin_count(&mut b, tile, n);
    let from_a = b.add(row_start, at);
    let from_a = b.add(from_a, x);
    let pointer = b.index(a, from_a, 4);
    let value = b.load(pointer, Type::F32);
    let target = b.index(tile_a, own, 4);
    b.store(target, value);
    let from_b = b.add(at, y);
    let from_b = b.mul(from_b, n);
    let from_b = b.add(from_b, column);
    let pointer = b.index(bb, from_b, 4);
    let value = b.load(pointer, Type::F32);
    let target = b.index(tile_b, own, 4);
    b.store(target, value);
    b.barrier(Barrier::Threadgroup);
    let k = b.variable("k", Type::U32);
    b.set(k, zero);
    let at = begin_count(&mut b, k, side);
    let index = b.add(y_start, at);
    let pointer = b.index(tile_a, index, 4);
    let left = b.load(pointer, Type::F32);
    let index = b.mul(at, side);
    let index = b.add(index, x);
    let pointer = b.index(tile_b, index, 4);
    let right = b.load(pointer, Type::F32);
    let product = b.mul(left, right);
    let old = b.get(sum);
    let new = b.add(old, product);
    b.set(sum, new);
    end_count(&mut b, k, one);
    b.barrier(Barrier::Threadgroup);
    end_count(&mut b, tile, side);
    let index = b.add(row_start, column);
    let pointer = b.index(c, index, 4);
    let result = b.get(sum);
    b.store(pointer, result);
    let tile =
        |name: &str| Allocation { name: name.into(), kind: AllocationKind::Threadgroup(1024) };
    let buffers = vec![
        buffer("a", 0, Space::Device),
        buffer("b", 1, Space::Device),
        buffer("c", 2, Space::Device),
        buffer("n", 3, Space::Constant),
        tile("tile_a"),
        tile("tile_b"),
    ];
    module(buffers, b.finish())
}

/// How many steps, up to 256, each point of a square takes to leave the circle of radius 2.
pub(crate) fn mandelbrot() -> Module {
    let mut b = kernel("mandelbrot");
    let (out, parameters) = (device(&mut b, 0), constant(&mut b, 1));
    let n = b.load(parameters, Type::U32);
    let size = b.convert(n, Type::F32);
    let (px, py) = (position(&mut b, 0), position(&mut b, 1));
    let (three, two, four) = (b.f32(3.0), b.f32(2.0), b.f32(4.0));
    let mut scaled = |p: Value, offset: f32| {
        let p = b.convert(p, Type::F32);
        let p = b.mul(p, three);
        let p = b.op(Op::Div, &[p, size]);
        let offset = b.f32(offset);
        b.sub(p, offset)
    };
    let (cx, cy) = (scaled(px, 2.25), scaled(py, 1.5));
    let (x, y) = (b.variable("x", Type::F32), b.variable("y", Type::F32));
    let i = b.variable("i", Type::U32);
    let (start, zero, one, most) = (b.f32(0.0), b.u32(0), b.u32(1), b.u32(256));
    b.set(x, start);
    b.set(y, start);
    b.set(i, zero);
    begin_count(&mut b, i, most);
    let (x0, y0) = (b.get(x), b.get(y));
    let (xx, yy) = (b.mul(x0, x0), b.mul(y0, y0));
    let far = b.add(xx, yy);
    let out_there = b.lt(four, far);
    b.break_if(out_there);
    let xy = b.mul(x0, y0);
    let twice = b.mul(two, xy);
    let new_y = b.add(twice, cy);
    let difference = b.sub(xx, yy);
    let new_x = b.add(difference, cx);
    b.set(y, new_y);
    b.set(x, new_x);
    end_count(&mut b, i, one);
    let row = b.mul(py, n);
    let index = b.add(row, px);
    let pointer = b.index(out, index, 4);
    let result = b.get(i);
    b.store(pointer, result);
    let buffers = vec![buffer("out", 0, Space::Device), buffer("n", 1, Space::Constant)];
    module(buffers, b.finish())
}

#[test]
fn saxpy_of_any_length() {
    for way in Way::all() {
        for n in [1u32, 31, 32, 33, 1000] {
            let mut x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let mut y: Vec<f32> = (0..n).map(|i| 0.5 * i as f32).collect();
            let mut parameters = [2f32.to_bits(), n];
            let bindings = [bind(0, &mut x), bind(1, &mut y), bind(2, &mut parameters)];
            let grid = launch([n.next_multiple_of(64), 1, 1], [64, 1, 1], &bindings);
            run(&saxpy(), way, &grid).unwrap();
            let want: Vec<f32> = (0..n).map(|i| 2.5 * i as f32).collect();
            assert_eq!(y, want, "{} {n}", way.name());
        }
    }
}

fn reference_matmul(n: usize, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut c = vec![0f32; n * n];
    for row in 0..n {
        for column in 0..n {
            let mut sum = 0f32;
            for k in 0..n {
                sum += a[row * n + k] * b[k * n + column];
            }
            c[row * n + column] = sum;
        }
    }
    c
}

#[test]
fn matmul_of_any_size() {
    for way in Way::all() {
        for (n, tiled) in [(7usize, false), (40, false), (33, false), (48, true)] {
            let mut a: Vec<f32> = (0..n * n).map(|i| (i % 17) as f32 * 0.25).collect();
            let mut b: Vec<f32> = (0..n * n).map(|i| (i % 23) as f32 - 11.0).collect();
            let mut c = vec![0f32; n * n];
            let mut parameters = [n as u32];
            let want = reference_matmul(n, &a, &b);
            let bindings =
                [bind(0, &mut a), bind(1, &mut b), bind(2, &mut c), bind(3, &mut parameters)];
            let side = n.next_multiple_of(16) as u32;
            let module = if tiled { tiled_matmul() } else { matmul() };
            run(&module, way, &launch([side, side, 1], [16, 16, 1], &bindings)).unwrap();
            assert_eq!(c, want, "{} {n}", way.name());
        }
    }
}

#[test]
fn mandelbrot_lanes_leave_the_loop_one_by_one() {
    let n = 50usize;
    let mut want = vec![0u32; n * n];
    for (at, want) in want.iter_mut().enumerate() {
        let cx = (at % n) as f32 * 3.0 / n as f32 - 2.25;
        let cy = (at / n) as f32 * 3.0 / n as f32 - 1.5;
        let (mut x, mut y, mut i) = (0f32, 0f32, 0);
        while i < 256 && x * x + y * y <= 4.0 {
            (x, y) = (x * x - y * y + cx, 2.0 * (x * y) + cy);
            i += 1;
        }
        *want = i;
    }
    for way in Way::all() {
        let mut out = vec![0u32; n * n];
        let mut parameters = [n as u32];
        let bindings = [bind(0, &mut out), bind(1, &mut parameters)];
        run(&mandelbrot(), way, &launch([50, 50, 1], [16, 8, 1], &bindings)).unwrap();
        assert_eq!(out, want, "{}", way.name());
    }
}

#[test]
fn narrow_types_in_memory() {
    for way in Way::all() {
        // Each element is widened, doubled and stored as the next type.
        let types = [Scalar::I8, Scalar::U8, Scalar::I16, Scalar::U16, Scalar::F16, Scalar::BF16];
        for &from in &types {
            for &to in &types {
                let mut b = kernel("narrow");
                let (input, output) = (device(&mut b, 0), device(&mut b, 1));
                let i = position(&mut b, 0);
                let source = b.index(input, i, from.bytes().into());
                let target = b.index(output, i, to.bytes().into());
                let value = b.load(source, Type::Scalar(from));
                let twice = b.add(value, value);
                let value = b.convert(twice, Type::Scalar(to));
                b.store(target, value);
                let buffers = vec![buffer("in", 0, Space::Device), buffer("out", 1, Space::Device)];
                let module = module(buffers, b.finish());
                let mut input: Vec<u16> = (0..100).map(|i| (i * 653) as u16).collect();
                let mut output = vec![0u16; 100];
                let bindings = [bind(0, &mut input), bind(1, &mut output)];
                run(&module, way, &launch([100, 1, 1], [64, 1, 1], &bindings)).unwrap();
                let bytes =
                    |list: &[u16]| list.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
                let (input, output) = (bytes(&input), bytes(&output));
                for i in 0..100 {
                    use crate::soft::ir::semantics::{convert, eval};
                    let read = |bytes: &[u8], ty: Scalar| {
                        let bits = match ty.bytes() {
                            1 => bytes[i].into(),
                            _ => u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]),
                        };
                        widen(ty, bits)
                    };
                    let value = read(&input, from);
                    let twice = eval(Op::Add, from, &[value, value]).unwrap();
                    let want = convert(from, to, twice);
                    let got = read(&output, to);
                    let same = got == want
                        || f32::from_bits(got as u32).is_nan()
                            && f32::from_bits(want as u32).is_nan();
                    assert!(same, "{} {from} {to} {i}: {got:x} {want:x}", way.name());
                }
            }
        }
    }
}

/// The widened bits of a value of 8 or 16 bits in memory.
fn widen(ty: Scalar, bits: u16) -> u64 {
    use crate::soft::ir::half::f16_value;
    match ty {
        Scalar::I8 => bits as i8 as u32 as u64,
        Scalar::I16 => bits as i16 as u32 as u64,
        Scalar::F16 => f16_value(bits).to_bits().into(),
        Scalar::BF16 => u64::from(bits) << 16,
        _ => bits.into(),
    }
}

#[test]
fn one_buffer_at_two_arguments_has_one_address() {
    let mut b = kernel("compare");
    let (x, y, out) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
    let i = position(&mut b, 0);
    let (here, there) = (b.index(x, i, 4), b.index(y, i, 4));
    // The second argument begins 8 bytes after the first.
    let after = b.field(here, 8);
    let mut offset = 0;
    let mut compare = |b: &mut FunctionBuilder, left: Value, right: Value| {
        let (left, right) = (b.op(Op::Address, &[left]), b.op(Op::Address, &[right]));
        let same = b.op(Op::Eq, &[left, right]);
        let same = b.convert(same, Type::U32);
        let to = b.field(out, offset);
        b.store(to, same);
        offset += 4;
    };
    compare(&mut b, x, y);
    compare(&mut b, after, there);
    compare(&mut b, here, there);
    let buffers = ["x", "y", "out"].into_iter().zip(0..);
    let buffers = buffers.map(|(name, index)| buffer(name, index, Space::Device)).collect();
    let module = module(buffers, b.finish());
    let mut memory = [0u32; 64];
    let mut out = [7u32; 3];
    let base: *mut u8 = memory.as_mut_ptr().cast();
    for way in Way::all() {
        let second = base.wrapping_add(8);
        let bindings = [
            Binding { index: 0, base, bytes: 128 },
            Binding { index: 1, base: second, bytes: 128 },
            bind(2, &mut out),
        ];
        run(&module, way, &launch([8, 1, 1], [8, 1, 1], &bindings)).unwrap();
        assert_eq!(out, [0, 1, 0], "{}", way.name());
    }
}

#[test]
fn many_values_from_before_a_barrier_are_widened_and_stored() {
    // More values than an instruction set has registers for, so that some are read from the frame where they are stored.
    const VALUES: u32 = 40;
    let mut b = kernel("widened");
    let (from, to) = (device(&mut b, 0), device(&mut b, 1));
    let (i, count) = (position(&mut b, 0), b.u32(VALUES));
    let start = b.mul(i, count);
    let values: Vec<Value> = (0..VALUES)
        .map(|k| {
            let k = b.u32(k);
            let index = b.add(start, k);
            let pointer = b.index(from, index, 4);
            b.load(pointer, Type::U32)
        })
        .collect();
    b.barrier(Barrier::Threadgroup);
    for (k, value) in (0..).zip(values) {
        let wide = b.convert(value, Type::Scalar(Scalar::U64));
        let row = b.u32(k * 64);
        let index = b.add(i, row);
        let pointer = b.index(to, index, 8);
        b.store(pointer, wide);
    }
    let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
    let module = module(buffers, b.finish());
    let mut from: Vec<u32> = (0..64 * VALUES).map(|k| k.wrapping_mul(0x9e37_79b9)).collect();
    let expected: Vec<u64> =
        (0..64 * VALUES).map(|k| from[(k % 64 * VALUES + k / 64) as usize].into()).collect();
    for way in Way::all() {
        let mut to = vec![0u64; from.len()];
        let bindings = [bind(0, &mut from), bind(1, &mut to)];
        run(&module, way, &launch([64, 1, 1], [64, 1, 1], &bindings)).unwrap();
        assert_eq!(to, expected, "{}", way.name());
    }
}
