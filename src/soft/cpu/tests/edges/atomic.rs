//! Atomics at the ends of memory, and by several threads of the CPU at once.

use super::super::*;
use super::{Form, Kernel, What, plain, sweep, vector};
use crate::soft::ir::{Op, Scalar};

#[test]
fn atomics_at_the_ends_of_memory() {
    let ops = [Op::AtomicLoad, Op::AtomicStore, Op::AtomicAdd, Op::AtomicCompareExchange];
    for scalar in [Scalar::U32, Scalar::U64] {
        for op in ops {
            for form in [
                Form::Offset,
                Form::Pointer,
                Form::Index { signed: false },
                Form::Grid { distance: 0 },
                Form::Biased { distance: 4, signed: true },
                Form::Sum,
                Form::TwoArguments,
            ] {
                for threadgroup in [false, true] {
                    let kernel = plain(form, What::Atomic(op), vector(scalar, 1));
                    sweep([Kernel { threadgroup, ..kernel }], &Way::plain_and_native());
                }
            }
        }
    }
}

/// Machine code has atomics with and without a lock. The number of atomics is large, so that the workers overlap on a busy machine, too.
#[test]
fn atomics_of_several_workers_lose_nothing() {
    for scalar in [Scalar::U32, Scalar::U64] {
        count_with_several_workers(scalar);
    }
}

fn count_with_several_workers(scalar: Scalar) {
    const THREADS: u32 = 1 << 16;
    const EACH: u32 = 16;
    let mut b = kernel("count");
    let [count, out] = [0, 1].map(|number| device(&mut b, number));
    let (thread, one) = (position(&mut b, 0), b.constant(scalar, 1));
    let to = b.index(out, thread, 4 * i64::from(EACH));
    for number in 0..EACH {
        let old = b.emit(Op::AtomicAdd, Type::Scalar(scalar), &[count, one], 0);
        let old = b.convert(old, Type::U32);
        let to = b.field(to, 4 * i64::from(number));
        b.store(to, old);
    }
    let buffers = vec![buffer("count", 0, Space::Device), buffer("out", 1, Space::Device)];
    let (module, workers) = (module(buffers, b.finish()), Workers::new(4));
    for way in Way::plain_and_native() {
        let program = way.program(&module).expect("a valid module");
        let (mut count, mut out) = ([0u64], vec![0u32; (THREADS * EACH) as usize]);
        let bindings = [bind(0, &mut count), bind(1, &mut out)];
        let grid = launch([THREADS, 1, 1], [32, 1, 1], &bindings);
        // SAFETY: the bindings outlive the launch.
        unsafe { program.launch_by_index(&grid, &workers) }.expect("no fault");
        let mut given = vec![false; out.len()];
        for old in out {
            let twice =
                given.get_mut(old as usize).is_none_or(|known| std::mem::replace(known, true));
            assert!(!twice, "{scalar}, {}: {old} was given twice", way.name());
        }
        assert_eq!(count, [u64::from(THREADS * EACH)], "{scalar}, {}", way.name());
    }
}
