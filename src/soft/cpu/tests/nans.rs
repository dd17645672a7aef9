//! Moves of every kind preserve every bit of every value, NaNs included: `specs/ir.md`, "NaNs".

use super::*;
use crate::soft::ir::{Op, Scalar};

/// The inputs of a move.
struct Given<'a> {
    b: &'a mut FunctionBuilder,
    ty: Type,
    /// The value to move, and another.
    value: Value,
    other: Value,
    /// The addresses that the value came from and that the result is stored to.
    from: Value,
    to: Value,
    lane: Value,
}

/// A way to move a value, and the bits that are then expected in each lane.
struct Move {
    name: &'static str,
    /// Emits the move and returns the result; `None` if it is already stored.
    make: fn(&mut Given<'_>) -> Option<Value>,
    /// The result in lane `i` of 32, from the values, the others, and the sign bit.
    want: fn(&[u64], &[u64], usize, u64) -> u64,
}

/// The type of the same shape whose components are integers.
fn integer(ty: Type) -> Type {
    let scalar = match ty.scalar().map(Scalar::bytes) {
        Some(2) => Scalar::U16,
        _ => Scalar::U32,
    };
    ty.with_scalar(scalar)
}

fn is_odd(given: &mut Given<'_>) -> Value {
    let one = given.b.u32(1);
    let bit = given.b.op(Op::And, &[given.lane, one]);
    given.b.op(Op::Eq, &[bit, one])
}

fn shuffle(given: &mut Given<'_>, op: Op, distance: u32) -> Option<Value> {
    let distance = given.b.u32(distance);
    Some(given.b.simd(op, 32, Type::Void, &[given.value, distance]))
}

const MOVES: &[Move] = &[
    Move { name: "load and store", make: |g| Some(g.value), want: |v, _, i, _| v[i] },
    Move {
        name: "copy of bytes",
        make: |g| {
            let bytes = g.ty.scalar().map_or(0, Scalar::bytes) * g.ty.width();
            g.b.copy(g.to, g.from, bytes);
            None
        },
        want: |v, _, i, _| v[i],
    },
    Move {
        name: "bit cast and back",
        make: |g| {
            let bits = g.b.bitcast(g.value, integer(g.ty));
            Some(g.b.bitcast(bits, g.ty))
        },
        want: |v, _, i, _| v[i],
    },
    Move {
        name: "bit cast",
        make: |g| {
            let ty = integer(g.ty);
            let bits = g.b.bitcast(g.value, ty);
            g.b.store(g.to, bits);
            None
        },
        want: |v, _, i, _| v[i],
    },
    Move {
        name: "negation",
        make: |g| Some(g.b.op(Op::Neg, &[g.value])),
        want: |v, _, i, sign| v[i] ^ sign,
    },
    Move {
        name: "absolute value",
        make: |g| Some(g.b.op(Op::Abs, &[g.value])),
        want: |v, _, i, sign| v[i] & !sign,
    },
    Move {
        name: "sign of another",
        make: |g| Some(g.b.op(Op::CopySign, &[g.value, g.other])),
        want: |v, w, i, sign| v[i] & !sign | w[i] & sign,
    },
    Move {
        name: "select",
        make: |g| {
            let odd = is_odd(g);
            Some(g.b.op(Op::Select, &[odd, g.value, g.other]))
        },
        want: |v, w, i, _| if i % 2 == 1 { v[i] } else { w[i] },
    },
    Move {
        name: "variable in a branch",
        make: |g| {
            let odd = is_odd(g);
            let variable = g.b.variable("v", g.ty);
            g.b.set(variable, g.other);
            // A loop, so that no pass turns it into a select.
            g.b.begin_loop();
            g.b.begin_if(odd);
            g.b.set(variable, g.value);
            g.b.end_if();
            g.b.break_();
            g.b.end_loop();
            Some(g.b.get(variable))
        },
        want: |v, w, i, _| if i % 2 == 1 { v[i] } else { w[i] },
    },
    Move {
        name: "thread memory",
        make: |g| {
            let three = g.b.u32(3);
            let at = g.b.op(Op::And, &[g.lane, three]);
            let local = g.b.local("memory", 4 * 16);
            let at = g.b.index(local, at, 16);
            g.b.store(at, g.value);
            Some(g.b.load(at, g.ty))
        },
        want: |v, _, i, _| v[i],
    },
    Move {
        name: "threadgroup memory",
        make: |g| {
            let start = g.b.allocation(AllocationId(3), Space::Threadgroup);
            let at = g.b.input(Input::ThreadIndexInSimdgroup, 0);
            let at = g.b.index(start, at, 16);
            g.b.store(at, g.value);
            Some(g.b.load(at, g.ty))
        },
        want: |v, _, i, _| v[i],
    },
    Move {
        name: "shuffle",
        make: |g| shuffle(g, Op::SimdShuffleXor, 5),
        want: |v, _, i, _| v[i ^ 5],
    },
    Move {
        name: "rotation over the lanes",
        make: |g| shuffle(g, Op::SimdRotateDown, 3),
        want: |v, _, i, _| v[(i + 3) % 32],
    },
    Move { name: "broadcast", make: |g| shuffle(g, Op::SimdBroadcast, 7), want: |v, _, _, _| v[7] },
    Move {
        name: "broadcast of the first",
        make: |g| Some(g.b.simd(Op::SimdBroadcastFirst, 32, Type::Void, &[g.value])),
        want: |v, _, _, _| v[0],
    },
    Move {
        name: "uniform load and store",
        make: |g| {
            let at = g.b.input(Input::ThreadgroupPositionInGrid, 0);
            let bytes = g.ty.scalar().map_or(0, Scalar::bytes) * g.ty.width();
            let start = device(g.b, 0);
            let at = g.b.index(start, at, i64::from(bytes) * 32);
            let value = g.b.load(at, g.ty);
            g.b.store(at, value);
            Some(g.b.load(at, g.ty))
        },
        want: |v, _, _, _| v[0],
    },
];

/// The bits to move: NaNs of every kind, and other values.
fn bits(scalar: Scalar) -> Vec<u64> {
    let magnitudes: Vec<u64> = match scalar {
        Scalar::F16 => (0x7bff..0x8000).chain([0, 1, 0x3c00]).collect(),
        Scalar::BF16 => (0x7f7f..0x8000).chain([0, 1, 0x3f80]).collect(),
        _ => (0..23)
            .flat_map(|bit| [0x7f80_0000 | 1 << bit, 0x7fc0_0001 | 1 << bit, 0x7fff_ffff >> bit])
            .chain([0, 1, 0x7f80_0000])
            .collect(),
    };
    let sign = 1 << (8 * scalar.bytes() - 1);
    magnitudes.into_iter().flat_map(|bits| [bits, bits | sign]).collect()
}

#[test]
fn moves_preserve_every_bit() {
    for scalar in [Scalar::F16, Scalar::BF16, Scalar::F32] {
        for width in 1..=4 {
            for row in MOVES {
                check(scalar, width, row);
            }
        }
    }
}

fn check(scalar: Scalar, width: u32, row: &Move) {
    let ty = Type::of(scalar, width);
    let size = scalar.bytes() as usize;
    let stride = (size * width as usize) as i64;
    let mut b = kernel("moves");
    let (values, others, out) = (device(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
    let lane = position(&mut b, 0);
    let (from, to) = (b.index(values, lane, stride), b.index(out, lane, stride));
    let other = b.index(others, lane, stride);
    let (value, other) = (b.load(from, ty), b.load(other, ty));
    let mut given = Given { b: &mut b, ty, value, other, from, to, lane };
    if let Some(result) = (row.make)(&mut given) {
        b.store(to, result);
    }
    let mut allocations: Vec<Allocation> = ["values", "others", "out"]
        .iter()
        .zip(0..)
        .map(|(name, index)| buffer(name, index, Space::Device))
        .collect();
    let kind = AllocationKind::Threadgroup(32 * 16);
    allocations.push(Allocation { name: "shared".into(), kind });
    let module = module(allocations, b.finish());

    // Whole SIMD-groups, and every value in every component.
    let mut list = bits(scalar);
    let lanes = list.len().next_multiple_of(32);
    let given = list.clone();
    list.extend(given.iter().cycle().take(lanes * width as usize + 1 - given.len()));
    let (values, others) = (&list[..lanes * width as usize], &list[1..]);
    let bytes = |list: &[u64]| -> Vec<u8> {
        list.iter().flat_map(|bits| bits.to_le_bytes()[..size].to_vec()).collect()
    };
    // One component of 32 lanes.
    let column = |list: &[u64], group: usize, component: usize| -> Vec<u64> {
        (0..32).map(|i| list[(32 * group + i) * width as usize + component]).collect()
    };
    let sign = 1 << (8 * size - 1);
    let mut want = vec![0; lanes * width as usize];
    for group in 0..lanes / 32 {
        for component in 0..width as usize {
            let (v, w) = (column(values, group, component), column(others, group, component));
            for i in 0..32 {
                want[(32 * group + i) * width as usize + component] = (row.want)(&v, &w, i, sign);
            }
        }
    }
    for way in Way::all() {
        let (mut a, mut c) = (bytes(values), bytes(others));
        let mut out = vec![0u8; a.len()];
        let bindings = [bind(0, &mut a), bind(1, &mut c), bind(2, &mut out)];
        run(&module, way, &launch([lanes as u32, 1, 1], [32, 1, 1], &bindings)).unwrap();
        let name = (row.name, scalar, width, way.name());
        for (at, (got, want)) in out.chunks(size).zip(&want).enumerate() {
            assert!(*got == want.to_le_bytes()[..size], "{name:?} {at}: {got:x?}, not {want:x}");
        }
    }
}

#[test]
fn atomics_of_floats_preserve_every_bit() {
    let mut b = kernel("exchange");
    let (values, out) = (device(&mut b, 0), device(&mut b, 1));
    let lane = position(&mut b, 0);
    let (from, to) = (b.index(values, lane, 4), b.index(out, lane, 4));
    let value = b.emit(Op::AtomicLoad, Type::F32, &[from], 0);
    let old = b.op(Op::AtomicExchange, &[to, value]);
    b.emit(Op::AtomicStore, Type::Void, &[from, old], 0);
    let buffers = vec![buffer("values", 0, Space::Device), buffer("out", 1, Space::Device)];
    let module = module(buffers, b.finish());
    let list: Vec<u32> = bits(Scalar::F32).into_iter().map(|bits| bits as u32).collect();
    for way in Way::all() {
        let (mut values, mut out) =
            (list.clone(), list.iter().rev().copied().collect::<Vec<u32>>());
        let bindings = [bind(0, &mut values), bind(1, &mut out)];
        run(&module, way, &launch([list.len() as u32, 1, 1], [32, 1, 1], &bindings)).unwrap();
        assert!(out == list && values.iter().eq(list.iter().rev()), "{}", way.name());
    }
}

#[test]
fn constants_preserve_every_bit() {
    for scalar in [Scalar::F16, Scalar::BF16, Scalar::F32] {
        let size = scalar.bytes() as usize;
        for bits in bits(scalar).into_iter().step_by(61) {
            let mut b = kernel("constants");
            let (out, lane) = (device(&mut b, 0), position(&mut b, 0));
            let integer = if size == 2 { Scalar::U16 } else { Scalar::U32 };
            let value = b.constant(integer, bits);
            // Folded.
            let value = b.bitcast(value, Type::Scalar(scalar));
            let value = b.op(Op::Neg, &[value]);
            let value = b.op(Op::Neg, &[value]);
            let to = b.index(out, lane, size as i64);
            b.store(to, value);
            let module = module(vec![buffer("out", 0, Space::Device)], b.finish());
            for way in Way::all() {
                let mut out = vec![0u8; size];
                let bindings = [bind(0, &mut out)];
                run(&module, way, &launch([1, 1, 1], [1, 1, 1], &bindings)).unwrap();
                assert!(out == bits.to_le_bytes()[..size], "{scalar} {bits:x} {out:x?}");
            }
        }
    }
}
