//! Each kind of fault, on every instruction set: the report is right, and no other memory is changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::FaultKind;
use super::*;
use crate::soft::ir::{Barrier, Op, Scalar, Span};
use crate::soft::kernel::limits::THREADGROUP_MEMORY;

/// `out[index(i)] = in[i]` with an index that is made by the closure.
fn copy(index: impl Fn(&mut FunctionBuilder, Value) -> Value) -> Module {
    let mut b = kernel("copy");
    let (from, to) = (device(&mut b, 0), device(&mut b, 1));
    let i = position(&mut b, 0);
    b.at(Span(7));
    let source = b.index(from, i, 4);
    let value = b.load(source, Type::U32);
    let at = index(&mut b, i);
    b.at(Span(8));
    let target = b.index(to, at, 4);
    b.store(target, value);
    let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
    module(buffers, b.finish())
}

fn fault(module: &Module, way: Way, launch: &Launch<'_>) -> Fault {
    run(module, way, launch).expect_err("a fault")
}

#[test]
fn reads_past_the_end_name_the_first_thread() {
    for way in Way::all() {
        let (mut from, mut to) = (vec![1u32; 100], vec![0u32; 200]);
        let bindings = [bind(0, &mut from), bind(1, &mut to)];
        let found = fault(&copy(|_, i| i), way, &launch([128, 1, 1], [64, 1, 1], &bindings));
        assert_eq!(found.position, Some([100, 0, 0]));
        assert_eq!(found.span, Span(7));
        let text = "kernel 'copy', thread (100, 0, 0): read of 4 bytes at offset 400 of 'from', \
                    which has 400 bytes";
        assert_eq!(found.to_string(), text);
        // The SIMD-groups before it ran, the one that it is in wrote nothing.
        assert_eq!(to[..96], [1; 96]);
        assert_eq!(to[96..], [0; 104]);
    }
}

#[test]
fn a_fault_in_joined_loads_names_the_scalar() {
    let mut b = kernel("row");
    let (from, to, i) = (device(&mut b, 0), device(&mut b, 1), position(&mut b, 0));
    let row = b.index(from, i, 16);
    let mut sum = b.u32(0);
    for k in 0..4 {
        let pointer = b.field(row, 4 * k);
        let value = b.load(pointer, Type::U32);
        sum = b.add(sum, value);
    }
    let target = b.index(to, i, 4);
    b.store(target, sum);
    let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
    let module = module(buffers, b.finish());
    for way in Way::all() {
        let (mut from, mut to) = ((0..130).collect::<Vec<u32>>(), vec![0u32; 33]);
        let bindings = [bind(0, &mut from), bind(1, &mut to)];
        let found = fault(&module, way, &launch([33, 1, 1], [33, 1, 1], &bindings));
        let text = "kernel 'row', thread (32, 0, 0): read of 4 bytes at offset 520 of 'from', \
                    which has 520 bytes";
        assert_eq!(found.to_string(), text);
        assert_eq!(to[..2], [1 + 2 + 3, 4 + 5 + 6 + 7]);
    }
}

#[test]
fn a_fault_in_joined_loads_names_the_first_of_the_program() {
    // Eight bytes are two instructions of the interpreter.
    for (ty, order) in [
        (Type::U32, vec![3, 1, 0, 2]),
        (Type::U32, vec![1, 0, 3, 2]),
        (Type::Scalar(Scalar::U8), vec![2, 7, 0, 5, 1, 3, 6, 4]),
        (Type::Scalar(Scalar::U8), vec![4, 6, 3, 1, 5, 0, 7, 2]),
    ] {
        let (size, count) = (i64::from(ty.bytes()), order.len() as i64);
        let mut b = kernel("row");
        let (from, to, i) = (device(&mut b, 0), device(&mut b, 1), position(&mut b, 0));
        let row = b.index(from, i, size * count);
        let mut sum = b.u32(0);
        for (number, &k) in (0u32..).zip(&order) {
            b.at(Span(10 + number));
            let pointer = b.field(row, size * k);
            let value = b.load(pointer, ty);
            let value = b.convert(value, Type::U32);
            sum = b.add(sum, value);
        }
        let target = b.index(to, i, 4);
        b.store(target, sum);
        let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
        let module = module(buffers, b.finish());
        for (missing, way) in
            (1..=count).flat_map(|n| Way::all().into_iter().map(move |way| (n, way)))
        {
            let (mut from, mut to) = (vec![1u8; (33 * count * size) as usize], vec![0u32; 33]);
            from.truncate((33 * count * size - missing * size) as usize);
            let bindings = [bind(0, &mut from), bind(1, &mut to)];
            let found = fault(&module, way, &launch([33, 1, 1], [33, 1, 1], &bindings));
            let first = order.iter().position(|&k| k >= count - missing).unwrap_or_default();
            assert_eq!(found.span, Span(10 + first as u32), "{} {order:?} {missing}", way.name());
            assert_eq!(found.position, Some([32, 0, 0]));
            let want = (32 * count + order[first]) * size;
            let FaultKind::Access { offset, bytes, .. } = found.kind else { panic!("{found}") };
            assert_eq!((offset, i64::from(bytes)), (want, size), "{} {order:?}", way.name());
        }
    }
}

#[test]
fn writes_stay_inside_of_their_buffer() {
    for way in Way::all() {
        // Between two guards: scattered, far away, and below the start.
        let pointers: [fn(&mut FunctionBuilder, Value) -> Value; 4] = [
            |b, i| {
                let three = b.u32(3);
                b.mul(i, three)
            },
            |b, i| {
                let far = b.u32(0x3fff_fff0);
                b.add(i, far)
            },
            |b, i| {
                let i = b.convert(i, Type::I32);
                let forty = b.i32(40);
                b.sub(i, forty)
            },
            |b, i| {
                let i = b.convert(i, Type::U64);
                let most = b.int(crate::soft::ir::Scalar::U64, 1 << 60);
                b.add(i, most)
            },
        ];
        for (number, pointer) in pointers.into_iter().enumerate() {
            let mut from = vec![1u32; 64];
            let mut memory = vec![9u32; 3 * 64];
            let mut bindings = [bind(0, &mut from), bind(1, &mut memory)];
            bindings[1].base = bindings[1].base.wrapping_add(64 * 4);
            bindings[1].bytes = 64 * 4;
            let found = fault(&copy(pointer), way, &launch([64, 1, 1], [64, 1, 1], &bindings));
            assert_eq!(found.span, Span(8));
            assert!(
                matches!(&found.kind, FaultKind::Access { argument: Some(name), write: true, .. } if name == "to")
            );
            let first = [22, 0, 0, 0][number];
            assert_eq!(found.position, Some([first, 0, 0]), "{} {number}", way.name());
            assert!(memory[..64].iter().chain(&memory[128..]).all(|&word| word == 9));
        }
    }
}

#[test]
fn constants_cannot_be_written_and_missing_buffers_are_empty() {
    let mut b = kernel("write");
    let to = constant(&mut b, 0);
    let i = position(&mut b, 0);
    b.store(to, i);
    let module = module(vec![buffer("table", 0, Space::Constant)], b.finish());
    for way in Way::all() {
        let mut memory = [5u32];
        let bindings = [bind(0, &mut memory)];
        let found = fault(&module, way, &launch([1, 1, 1], [1, 1, 1], &bindings));
        assert!(found.to_string().ends_with("'table', which is constant"), "{found}");
        assert_eq!(memory, [5]);
        let found = fault(&copy(|_, i| i), way, &launch([1, 1, 1], [1, 1, 1], &[]));
        assert!(found.to_string().ends_with("'from', which has 0 bytes"), "{found}");
    }
}

#[test]
fn null_and_stale_pointers_are_reported_as_such() {
    for (bits, lanewise) in [
        (0u64, false),
        (0, true),
        (u64::MAX, false),
        (77 << 48, true),
        (1 << 48, false),
        (1 << 48, true),
    ] {
        let mut b = kernel("null");
        let bits = b.constant(crate::soft::ir::Scalar::U64, bits);
        let i = position(&mut b, 0);
        let zero = b.u32(0);
        let wide = b.convert(if lanewise { i } else { zero }, Type::U64);
        let pointer = b.add(bits, wide);
        let pointer = b.emit(Op::IntToPointer, Type::Pointer(Space::Device), &[pointer], 0);
        let value = b.load(pointer, Type::U32);
        b.store(pointer, value);
        let module = module(vec![], b.finish());
        for way in Way::all() {
            let found = fault(&module, way, &launch([8, 1, 1], [8, 1, 1], &[]));
            assert!(found.to_string().contains("a null or stale pointer"), "{found}");
        }
    }
}

#[test]
fn accesses_past_local_arrays_and_threadgroup_memory_are_faults() {
    let mut b = kernel("local");
    let (local, other) = (b.local("small", 16), b.local("other", 16));
    let i = position(&mut b, 0);
    let at = b.index(local, i, 4);
    b.store(at, i);
    let at = b.index(other, i, 4);
    b.store(at, i);
    let in_local = module(vec![], b.finish());
    let mut b = kernel("shared");
    let shared = b.allocation(AllocationId(0), Space::Threadgroup);
    let i = position(&mut b, 0);
    let at = b.index(shared, i, 4);
    b.store(at, i);
    let kind = AllocationKind::ThreadgroupArgument { index: 3 };
    let in_shared = module(vec![Allocation { name: "tile".into(), kind }], b.finish());
    for way in Way::all() {
        let found = fault(&in_local, way, &launch([8, 1, 1], [8, 1, 1], &[]));
        assert_eq!(found.position, Some([4, 0, 0]));
        assert!(found.to_string().ends_with("offset 16 of 'small', which has 16 bytes"), "{found}");
        let mut grid = launch([8, 1, 1], [8, 1, 1], &[]);
        grid.threadgroup_memory = &[(3, 20)];
        let found = fault(&in_shared, way, &grid);
        assert_eq!(found.position, Some([5, 0, 0]));
        assert!(found.to_string().ends_with("'tile', which has 20 bytes"), "{found}");
        grid.threadgroup_memory = &[(3, THREADGROUP_MEMORY + 16)];
        let found = fault(&in_shared, way, &grid);
        assert_eq!(
            found.kind,
            FaultKind::ThreadgroupMemory { bytes: u64::from(THREADGROUP_MEMORY) + 16 }
        );
    }
}

#[test]
fn an_index_outside_of_an_array_of_textures_is_reported_as_an_element() {
    for (step, element) in [(1, 3), (-1, -1)] {
        let mut b = kernel("textures");
        let (out, i) = (device(&mut b, 0), position(&mut b, 0));
        let list = b.local_handles("list", 3);
        for k in 0..3 {
            let (pointer, number) =
                (b.field(list, 8 * k), b.constant(crate::soft::ir::Scalar::U64, 0));
            b.store(pointer, number);
        }
        let (i, step) = (b.convert(i, Type::I32), b.i32(step));
        let at = b.mul(i, step);
        let pointer = b.index(list, at, 8);
        let texture = b.load(pointer, Type::U64);
        b.store(out, texture);
        let module = module(vec![buffer("out", 0, Space::Device)], b.finish());
        for way in Way::all() {
            let mut out = [0u64];
            let bindings = [bind(0, &mut out)];
            let found = fault(&module, way, &launch([8, 1, 1], [8, 1, 1], &bindings));
            let argument = "list".to_owned();
            assert_eq!(found.kind, FaultKind::Element { argument, index: element, length: 3 });
            let text = format!("use of element {element} of 'list', which has 3");
            assert!(found.to_string().ends_with(&text), "{found}");
        }
    }
}

#[test]
fn the_watchdog_stops_endless_loops() {
    // Each form of an iteration's end: a jump, a test per lane, a uniform test, and a test of a counter.
    let ends: [fn(&mut FunctionBuilder, Value); 4] = [
        |_, _| {},
        |b, i| {
            let five = b.u32(5);
            let small = b.lt(i, five);
            b.break_if(small);
        },
        |b, _| {
            let table = constant(b, 0);
            let number = b.load(table, Type::F32);
            let zero = b.f32(0.0);
            let never = b.lt(number, zero);
            b.break_if(never);
        },
        |b, _| {
            let counter = b.variable("k", Type::U32);
            let (k, one, two) = (b.get(counter), b.u32(1), b.u32(2));
            // Twice a number is never 1, whatever the counter starts from.
            let even = b.add(k, k);
            let done = b.op(Op::Eq, &[even, one]);
            b.break_if(done);
            b.begin_next();
            let k = b.get(counter);
            let k = b.add(k, two);
            b.set(counter, k);
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut b = kernel("endless");
        let i = position(&mut b, 0);
        let counter = b.variable("start", Type::U32);
        let zero = b.u32(0);
        b.set(counter, zero);
        b.at(Span(9));
        b.begin_loop();
        end(&mut b, i);
        b.end_loop();
        let module = module(vec![buffer("table", 0, Space::Constant)], b.finish());
        for way in Way::all() {
            let mut table = [1.0f32];
            let bindings = [bind(0, &mut table)];
            let mut grid = launch([64, 1, 1], [32, 1, 1], &bindings);
            let limit = Duration::from_millis(20);
            grid.watchdog = Some(limit);
            let start = Instant::now();
            let found = fault(&module, way, &grid);
            assert_eq!(found.kind, FaultKind::Watchdog { limit }, "{number}");
            assert_eq!(found.span, Span(9), "{number}");
            assert!(found.to_string().contains("ARUMINIUM_SOFT_WATCHDOG_MS"), "{found}");
            assert!(start.elapsed() < Duration::from_secs(5), "{number}");
        }
    }
}

/// Every thread runs a loop of as many iterations as the first word of buffer 0 says.
fn counting() -> Module {
    let mut b = kernel("counting");
    let (times, out) = (constant(&mut b, 0), device(&mut b, 1));
    let i = position(&mut b, 0);
    let (times, counter) = (b.load(times, Type::U32), b.variable("k", Type::U32));
    let (zero, one) = (b.u32(0), b.u32(1));
    let sum = b.variable("sum", Type::U32);
    b.set(counter, zero);
    b.set(sum, i);
    b.begin_loop();
    let k = b.get(counter);
    let done = b.op(Op::Le, &[times, k]);
    b.break_if(done);
    let s = b.get(sum);
    let s = b.mul(s, s);
    let s = b.add(s, k);
    b.set(sum, s);
    b.begin_next();
    let k = b.get(counter);
    let k = b.add(k, one);
    b.set(counter, k);
    b.end_loop();
    let (to, sum) = (b.index(out, i, 4), b.get(sum));
    b.store(to, sum);
    let buffers = vec![buffer("times", 0, Space::Constant), buffer("out", 1, Space::Device)];
    module(buffers, b.finish())
}

#[test]
fn a_launch_may_take_longer_than_the_watchdog_allows_one_threadgroup() {
    let module = counting();
    let ways = Way::plain_and_native().into_iter().flat_map(|way| [(way, 1), (way, 2)]);
    for (way, threads) in ways {
        let program = way.program(&module).unwrap();
        let workers = Workers::new(threads);
        let mut times = [1000u32];
        let mut out = vec![0u32; 4096 * 8];
        let mut run = |times: &mut [u32], groups: u32, limit| {
            let bindings = [bind(0, times), bind(1, &mut out)];
            let mut grid = launch([groups * 32, 1, 1], [32, 1, 1], &bindings);
            grid.watchdog = limit;
            let start = Instant::now();
            // SAFETY: the bindings outlive the launch.
            let done = unsafe { program.launch_by_index(&grid, &workers) };
            (done, start.elapsed())
        };
        // The iterations that take a threadgroup about 10 ms, measured once there is machine code.
        run(&mut times, 1, None).0.unwrap();
        let mut took = run(&mut times, 1, None).1;
        while took < Duration::from_millis(2) {
            times[0] *= 2;
            took = run(&mut times, 1, None).1;
        }
        let scale = Duration::from_millis(10).as_secs_f64() / took.as_secs_f64();
        times[0] = (f64::from(times[0]) * scale) as u32;
        let limit = Some(Duration::from_secs(1));
        let groups = 130 * threads as u32;
        let (done, took) = run(&mut times, groups, limit);
        assert!(done.is_ok(), "{}, {threads} {done:?} {took:?}", way.name());
        // One threadgroup with that much work takes too long.
        times[0] = times[0].saturating_mul(10_000);
        let (done, took) = run(&mut times, 1, limit);
        let late = done.is_err_and(|fault| matches!(fault.kind, FaultKind::Watchdog { .. }));
        assert!(late && took < Duration::from_secs(20), "{}, {threads} {took:?}", way.name());
    }
}

#[test]
fn threadgroups_without_loops_stop_when_another_has_a_fault() {
    // Far too many threadgroups to finish, one of which writes out of bounds.
    let mut b = kernel("empty");
    let (out, i, bad) = (device(&mut b, 0), position(&mut b, 0), b.u32(5000));
    let is_bad = b.op(Op::Eq, &[i, bad]);
    b.begin_if(is_bad);
    b.store(out, i);
    b.end_if();
    let module = module(vec![buffer("out", 0, Space::Device)], b.finish());
    for way in Way::plain_and_native() {
        let program = way.program(&module).unwrap();
        let mut grid = launch([u32::MAX, 1, 1], [1, 1, 1], &[]);
        grid.watchdog = Some(Duration::from_secs(60));
        // SAFETY: nothing is bound.
        let found = unsafe { program.launch_by_index(&grid, &Workers::new(3)) };
        let found = found.expect_err("a fault");
        assert_eq!(found.position, Some([5000, 0, 0]), "{}", way.name());
    }
}

#[test]
fn barriers_that_not_all_threads_reach() {
    // By lane, by SIMD-group, by an early return: as on a GPU, threads that have ended are not waited for, except
    // in a strict launch.
    for limit in [5, 32, 40] {
        for early in [false, true] {
            let mut b = kernel("barrier");
            let i = position(&mut b, 0);
            let limit = b.u32(limit);
            let below = b.lt(i, limit);
            b.begin_if(below);
            if early {
                b.return_(None);
                b.end_if();
                b.barrier(Barrier::Threadgroup);
            } else {
                b.barrier(Barrier::Threadgroup);
                b.end_if();
            }
            let module = module(vec![], b.finish());
            for way in Way::all() {
                for strict in [false, true] {
                    let grid = launch([64, 1, 1], [64, 1, 1], &[]);
                    let found = run(&module, way, &Launch { strict, ..grid });
                    let wanted = strict.then_some(FaultKind::Barrier);
                    let kind = found.as_ref().err().map(|fault| fault.kind.clone());
                    assert_eq!(kind, wanted, "{limit} {early}");
                    // The same thread is reported.
                    let plain = run(&module, Way::PLAIN, &Launch { strict, ..grid });
                    assert_eq!(found, plain, "{limit} {early} {}", way.name());
                }
            }
        }
    }
}

#[test]
fn threadgroup_memory_may_be_read_just_past_its_end() {
    // In 64 bytes: the index of the word, whether it is written, and whether that is a fault, if strict and if not.
    for (word, write, faults) in [
        (15, false, [false, false]),
        (16, false, [false, true]),
        (19, false, [false, true]),
        (20, false, [true, true]),
        (16, true, [true, true]),
    ] {
        let mut b = kernel("past");
        let memory = b.allocation(AllocationId(0), Space::Threadgroup);
        let out = b.allocation(AllocationId(1), Space::Device);
        let (i, at) = (position(&mut b, 0), b.u32(word));
        let at = b.add(at, i);
        let pointer = b.index(memory, at, 4);
        let target = b.index(out, i, 4);
        if write {
            b.store(pointer, i);
        } else {
            let value = b.load(pointer, Type::U32);
            b.store(target, value);
        }
        let kind = AllocationKind::Threadgroup(64);
        let memory = Allocation { name: "memory".to_owned(), kind };
        let module = module(vec![memory, buffer("out", 0, Space::Device)], b.finish());
        for way in Way::all() {
            for (strict, faults) in [false, true].into_iter().zip(faults) {
                let mut out = [0u32];
                let bindings = [bind(0, &mut out)];
                let grid = launch([1, 1, 1], [1, 1, 1], &bindings);
                let found = run(&module, way, &Launch { strict, ..grid });
                assert_eq!(found.is_err(), faults, "{word} {write} {strict}");
            }
        }
    }
}

#[test]
fn simd_groups_that_wait_at_different_barriers() {
    let mut b = kernel("barrier");
    let i = position(&mut b, 0);
    let limit = b.u32(32);
    let below = b.lt(i, limit);
    b.begin_if(below);
    b.barrier(Barrier::Threadgroup);
    b.begin_else();
    b.barrier(Barrier::Threadgroup);
    b.end_if();
    let module = module(vec![], b.finish());
    for way in Way::all() {
        let found = fault(&module, way, &launch([64, 1, 1], [64, 1, 1], &[]));
        assert_eq!(found.kind, FaultKind::Barrier);
    }
}

#[test]
fn group_sizes_have_limits() {
    let module = copy(|_, i| i);
    for (group, threads) in [([1025, 1, 1], 1025), ([0, 1, 1], 0), ([u32::MAX; 3], u64::MAX)] {
        let found = fault(&module, Way::PLAIN, &launch([1, 1, 1], group, &[]));
        assert_eq!(found.kind, FaultKind::GroupSize { threads });
    }
    assert_eq!(run(&module, Way::PLAIN, &launch([0, 1, 1], [1, 1, 1], &[])), Ok(()));
}

#[test]
fn other_threadgroups_stop_and_the_first_fault_is_reported() {
    let (module, workers) = (copy(|_, i| i), Workers::new(4));
    let programs = Way::plain_and_native().into_iter().map(|way| way.program(&module).unwrap());
    for program in programs.flat_map(|program| std::iter::repeat_n(Arc::new(program), 10)) {
        let (mut from, mut to) = (vec![1u32; 1 << 16], vec![0u32; 1 << 17]);
        let bindings = [bind(0, &mut from), bind(1, &mut to)];
        let grid = launch([1 << 17, 1, 1], [64, 1, 1], &bindings);
        // SAFETY: the bindings outlive the launch.
        let found = unsafe { program.launch_by_index(&grid, &workers) }.expect_err("a fault");
        let [x, ..] = found.position.unwrap();
        assert!(x >= 1 << 16 && x % 32 == 0, "{x}");
    }
}

/// With strips shorter than a SIMD-group, the first strip that has a fault counts; in it, as everywhere, the
/// instruction that comes first, and then the lowest lane.
#[test]
fn of_several_faults_in_a_simdgroup_the_first_strip_has_the_one_that_is_reported() {
    let mut b = kernel("two");
    let (p, q, out) = (constant(&mut b, 0), device(&mut b, 1), device(&mut b, 2));
    let far = device(&mut b, 3);
    let i = position(&mut b, 0);
    // The index of each thread in each buffer is in memory.
    let own = |b: &mut FunctionBuilder, at: Value, line: u32| {
        let index = b.index(at, i, 4);
        let index = b.load(index, Type::U32);
        let from = b.index(far, index, 4);
        b.at(Span(line));
        b.load(from, Type::U32)
    };
    let (first, second) = (own(&mut b, p, 1), own(&mut b, q, 2));
    let sum = b.add(first, second);
    let to = b.index(out, i, 4);
    b.store(to, sum);
    let buffers = vec![
        buffer("p", 0, Space::Constant),
        buffer("q", 1, Space::Device),
        buffer("out", 2, Space::Device),
        buffer("far", 3, Space::Device),
    ];
    let module = module(buffers, b.finish());
    let mut seen = [false; 2];
    for way in Way::all() {
        let strip = if way.is_native() && way.isa().name() != "avx512" { 8 } else { 32 };
        for (x, y) in
            [(20, 3), (3, 20), (9, 8), (8, 15), (31, 0), (7, 6), (24, 23), (32, 30), (5, 32)]
        {
            let mut p: [u32; 32] = std::array::from_fn(|k| k as u32);
            let mut q = p;
            for (numbers, at) in [(&mut p, x), (&mut q, y)] {
                numbers.iter_mut().skip(at).step_by(9).for_each(|number| *number = 1 << 20);
            }
            let (mut out, mut far) = ([0u32; 32], [0u32; 32]);
            let bindings = [bind(0, &mut p), bind(1, &mut q), bind(2, &mut out), bind(3, &mut far)];
            let found = fault(&module, way, &launch([32, 1, 1], [32, 1, 1], &bindings));
            let want = if x / strip <= y / strip && x < 32 { (x, 1) } else { (y, 2) };
            let position = Some([want.0 as u32, 0, 0]);
            assert_eq!((found.position, found.span), (position, Span(want.1)), "{}", way.name());
            seen[usize::from(want.1 == 2)] = true;
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn constants_are_read_early_only_if_that_makes_no_difference() {
    // The second word of the table is read by threads from 5 on.
    let mut b = kernel("early");
    let (table, out) = (constant(&mut b, 0), device(&mut b, 1));
    let i = position(&mut b, 0);
    let first = b.load(table, Type::U32);
    let five = b.u32(5);
    let far = b.op(Op::Le, &[five, i]);
    let target = b.index(out, i, 4);
    b.begin_if(far);
    b.at(Span(3));
    let second = b.field(table, 4);
    let second = b.load(second, Type::U32);
    b.store(target, second);
    b.begin_else();
    b.store(target, first);
    b.end_if();
    let buffers = vec![buffer("table", 0, Space::Constant), buffer("out", 1, Space::Device)];
    let module = module(buffers, b.finish());
    for way in Way::all() {
        let (mut table, mut out) = ([8u32], [0u32; 64]);
        let bindings = [bind(0, &mut table), bind(1, &mut out)];
        run(&module, way, &launch([5, 1, 1], [32, 1, 1], &bindings)).unwrap();
        assert_eq!(out[..6], [8, 8, 8, 8, 8, 0]);
        let found = fault(&module, way, &launch([64, 1, 1], [32, 1, 1], &bindings));
        assert_eq!((found.position, found.span), (Some([5, 0, 0]), Span(3)));
    }
}

/// Statements may be nested 4,096 deep: what compiles them again without early reads, and what drops them, takes no more stack
/// than a queue's thread has.
#[test]
fn deep_kernels_run_without_early_reads_on_a_small_stack() {
    let mut b = kernel("deep");
    let (table, out) = (constant(&mut b, 0), device(&mut b, 1));
    let zero = b.u32(0);
    let target = b.index(out, zero, 4);
    for _ in 0..2000 {
        let old = b.load(out, Type::U32);
        let goes_on = b.op(Op::Ne, &[old, zero]);
        b.begin_if(goes_on);
    }
    // Past the end of the table, and not executed.
    let far = b.field(table, 4096);
    let far = b.load(far, Type::U32);
    b.store(target, far);
    (0..2000).for_each(|_| b.end_if());
    let buffers = vec![buffer("table", 0, Space::Constant), buffer("out", 1, Space::Device)];
    let module = module(buffers, b.finish());
    let run = || {
        for way in Way::all() {
            let (mut table, mut out) = ([8u32], [0u32]);
            let bindings = [bind(0, &mut table), bind(1, &mut out)];
            run(&module, way, &launch([1; 3], [1; 3], &bindings)).unwrap();
        }
        drop(module);
    };
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(256 << 10);
        small.spawn_scoped(scope, run).unwrap().join().unwrap();
    });
}
