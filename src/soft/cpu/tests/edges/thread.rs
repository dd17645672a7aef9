//! The ends of thread memory.

use super::super::*;
use super::{is_tested, memory_bytes, vector};
use crate::soft::cpu::FaultKind;
use crate::soft::ir::{Op, Scalar};

/// How an address in thread memory is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    /// A uniform offset.
    Offset,
    /// An offset per lane.
    Lanes,
    /// An index of 32 bits per lane, of scalars.
    Index,
    /// Parts that are each far out of bounds and cancel: per lane, uniform, and constant.
    Far { displacement: i64, uniform: i64 },
    /// A pointer that is computed, uniform or per lane: bounded by all locals.
    Pointer { lanes: bool },
}

/// Locals before and after the one under test, of these bytes.
const NEIGHBOUR: i64 = 20;

/// `local[at] = values[lane]; out[lane] = local[at]`, or only the load.
fn local_kernel(form: Local, ty: Type, length: i64, write: bool) -> Module {
    let mut b = kernel("local");
    let [out, values, wide] = [0, 1, 2].map(|number| device(&mut b, number));
    let uniform = constant(&mut b, 3);
    let lane = position(&mut b, 0);
    let [before, local, after] = [("before", NEIGHBOUR), ("local", length), ("after", NEIGHBOUR)]
        .map(|(name, bytes)| b.local(name, bytes as u32));
    // All three stay in memory: their addresses vary.
    let (zero, three) = (b.u32(0), b.u32(3));
    let first = b.op(Op::And, &[lane, three]);
    for other in [before, after] {
        let at = b.index(other, first, 4);
        b.store(at, zero);
    }
    let offset = b.load(uniform, Type::U64);
    let per_lane = b.index(wide, lane, 8);
    let per_lane = b.load(per_lane, Type::U64);
    let at = match form {
        Local::Offset => b.index(local, offset, 1),
        Local::Lanes => b.index(local, per_lane, 1),
        Local::Index => {
            let index = b.convert(per_lane, Type::I32);
            b.index(local, index, ty.scalar().map_or(0, Scalar::bytes).into())
        }
        Local::Far { displacement, .. } => {
            let at = b.index(local, per_lane, 1);
            let at = b.index(at, offset, 1);
            b.field(at, displacement)
        }
        Local::Pointer { lanes } => {
            let pointer = b.op(Op::PointerToInt, &[local]);
            let bits = b.add(pointer, if lanes { per_lane } else { offset });
            let local = b.ty(local);
            b.emit(Op::IntToPointer, local, &[bits], 0)
        }
    };
    let size = memory_bytes(ty);
    if write {
        let from = b.index(values, lane, size);
        let value = b.load(from, ty);
        b.store(at, value);
    }
    let value = b.load(at, ty);
    let to = b.index(out, lane, size);
    b.store(to, value);
    let mut buffers: Vec<Allocation> = ["out", "values", "wide"]
        .iter()
        .zip(0..)
        .map(|(name, index)| buffer(name, index, Space::Device))
        .collect();
    buffers.push(buffer("uniform", 3, Space::Constant));
    module(buffers, b.finish())
}

#[test]
fn thread_memory_at_its_ends() {
    let far = 1i64 << 40;
    let forms = [
        Local::Offset,
        Local::Lanes,
        Local::Index,
        Local::Far { displacement: 0, uniform: -far },
        Local::Far { displacement: -0x4000_0000, uniform: 0x7000_0000 },
        Local::Far { displacement: far, uniform: 0 },
        Local::Far { displacement: -far, uniform: far - (1 << 30) },
        Local::Pointer { lanes: false },
        Local::Pointer { lanes: true },
    ];
    let (workers, ways) = (Workers::new(1), Way::plain_and_native());
    for ty in [
        vector(Scalar::U8, 1),
        vector(Scalar::U16, 3),
        vector(Scalar::BF16, 1),
        vector(Scalar::I8, 4),
        vector(Scalar::U32, 1),
        vector(Scalar::U32, 4),
        vector(Scalar::U64, 2),
    ] {
        let size = memory_bytes(ty);
        let part = i64::from(ty.scalar().map_or(0, Scalar::bytes));
        for (form, way) in forms.iter().flat_map(|&form| ways.iter().map(move |&way| (form, way))) {
            for write in [false, true] {
                let lengths = (0..16).step_by(if way.is_native() { 3 } else { 1 }).enumerate();
                for (_, more) in lengths.filter(|&(k, _)| is_tested(k, size)) {
                    let length = size + more;
                    let program = way.program(&local_kernel(form, ty, length, write)).unwrap();
                    // Locals start at multiples of 4.
                    let all = 2 * NEIGHBOUR + (length + 3) / 4 * 4;
                    let (from, to) = match form {
                        Local::Pointer { .. } => (-NEIGHBOUR, all - NEIGHBOUR),
                        _ => (0, length),
                    };
                    for start in from - 16..=to + 16 {
                        if form == Local::Index && start % part != 0 {
                            continue;
                        }
                        // One lane is apart from the others, at the start.
                        let lanes =
                            !matches!(form, Local::Offset | Local::Pointer { lanes: false });
                        let at = |lane: i64| if lanes && lane == 5 { from } else { start };
                        let (displacement, uniform) = match form {
                            Local::Far { displacement, uniform } => (displacement, uniform),
                            _ => (0, if lanes { 0 } else { start }),
                        };
                        let scale = if form == Local::Index { part } else { 1 };
                        let lane_part =
                            |lane: i64| ((at(lane) - displacement - uniform) / scale) as u64;
                        let mut wide: Vec<u64> = (0..32).map(lane_part).collect();
                        let mut uniform = uniform.to_ne_bytes();
                        let mut out = vec![0u8; 32 * size as usize];
                        let mut values: Vec<u8> = (0..32 * size).map(|k| k as u8 ^ 0x5a).collect();
                        let bindings = [
                            bind(0, &mut out),
                            bind(1, &mut values),
                            bind(2, &mut wide),
                            bind(3, &mut uniform),
                        ];
                        let grid = launch([32, 1, 1], [32, 1, 1], &bindings);
                        // SAFETY: the bindings outlive the launch.
                        let got = unsafe { program.launch_by_index(&grid, &workers) };
                        let got = got.err().map(|fault| match fault.kind {
                            FaultKind::Access { argument, offset, bytes, write, size, .. } => {
                                let lane = fault.position.expect("a position")[0];
                                (lane, argument.unwrap(), offset, bytes, write, size)
                            }
                            other => panic!("{other:?}"),
                        });
                        let inside = from <= start && start + size <= to;
                        let want = (!inside).then(|| {
                            let (name, start, length) = match form {
                                Local::Pointer { .. } => ("thread memory", start - from, all),
                                _ => ("local", start, length),
                            };
                            (0, name.to_owned(), start, size as u32, write, length as u64)
                        });
                        assert_eq!(got, want, "{form:?} {ty} {write} {length} {start}");
                        if inside && write {
                            assert!(out == values, "{form:?} {ty} {length} {start}");
                        }
                    }
                }
            }
        }
    }
}

/// The bytes of one array as words at constant offsets and as narrower scalars at offsets of the run time, the same in all
/// lanes or not.
#[test]
fn words_of_thread_memory_are_its_bytes() {
    const WORDS: i64 = 6;
    for (scalar, per_lane) in
        [Scalar::U8, Scalar::U16].into_iter().flat_map(|s| [(s, false), (s, true)])
    {
        let size = i64::from(scalar.bytes());
        let mut b = kernel("words");
        let [out, values, offsets] = [0, 1, 2].map(|number| device(&mut b, number));
        let lane = position(&mut b, 0);
        let local = b.local("local", (4 * WORDS) as u32);
        for word in 0..WORDS {
            let from = b.index(values, lane, 4 * WORDS);
            let from = b.field(from, 4 * word);
            let value = b.load(from, Type::U32);
            let to = b.field(local, 4 * word);
            b.store(to, value);
        }
        let offset = if per_lane { b.index(offsets, lane, 8) } else { offsets };
        let offset = b.load(offset, Type::U64);
        let at = b.index(local, offset, 1);
        let value = b.load(at, Type::of(scalar, 1));
        let to = b.index(out, lane, size);
        b.store(to, value);
        // And back: what is written at that offset is in the words.
        let inverse = b.op(Op::Not, &[value]);
        b.store(at, inverse);
        for word in 0..WORDS {
            let from = b.field(local, 4 * word);
            let value = b.load(from, Type::U32);
            let to = b.index(values, lane, 4 * WORDS);
            let to = b.field(to, 4 * word);
            b.store(to, value);
        }
        let names = ["out", "values", "offsets"].iter().zip(0..);
        let buffers = names.map(|(name, index)| buffer(name, index, Space::Device)).collect();
        let module = module(buffers, b.finish());
        for way in Way::plain_and_native() {
            for start in (0..=4 * WORDS - size).step_by(size as usize) {
                let mut out = vec![0u8; 32 * size as usize];
                let mut values: Vec<u8> =
                    (0..32 * 4 * WORDS).map(|k| ((k * 89) >> 2) as u8).collect();
                let at =
                    |lane: i64| if per_lane { (start + lane * size) % (4 * WORDS) } else { start };
                let mut offsets: Vec<u64> = (0..32).map(|lane| at(lane) as u64).collect();
                let (mut want, mut want_out) = (values.clone(), Vec::new());
                for lane in 0..32 {
                    let bytes =
                        &mut want[(lane * 4 * WORDS + at(lane)) as usize..][..size as usize];
                    want_out.extend_from_slice(bytes);
                    bytes.iter_mut().for_each(|byte| *byte = !*byte);
                }
                let bindings = [bind(0, &mut out), bind(1, &mut values), bind(2, &mut offsets)];
                run(&module, way, &launch([32, 1, 1], [32, 1, 1], &bindings)).expect("no fault");
                let case = format!("{} {scalar:?} {per_lane} {start}", way.name());
                assert!(out == want_out, "{case}: {out:?} {want_out:?}");
                assert!(values == want, "{case}");
            }
        }
    }
}

#[test]
fn null_pointers_into_thread_memory_are_reported_as_null() {
    for (bits, lanes, write) in
        [(0u64, false, false), (8, true, false), (0, true, true), (77 << 48, false, true)]
    {
        let mut b = kernel("null");
        let (out, lane) = (device(&mut b, 0), position(&mut b, 0));
        let mut address = b.constant(Scalar::U64, bits);
        if lanes {
            let zero = b.convert(lane, Type::U64);
            address = b.add(address, zero);
        }
        let pointer = b.emit(Op::IntToPointer, Type::Pointer(Space::Thread), &[address], 0);
        if write {
            b.store(pointer, lane);
        }
        let value = b.load(pointer, Type::U32);
        b.store(out, value);
        let module = module(vec![buffer("out", 0, Space::Device)], b.finish());
        let (verb, offset) = (if write { "write" } else { "read" }, bits & 0xff);
        let want = format!("{verb} of 4 bytes at offset {offset} of a null or stale pointer");
        for way in Way::plain_and_native() {
            let found = run(&module, way, &launch([1, 1, 1], [1, 1, 1], &[]));
            let same = found.as_ref().is_err_and(|fault| fault.to_string().ends_with(&want));
            assert!(same, "{}: {found:?}", way.name());
        }
    }
}
