//! Pointers whose region number is not one of the launch's.

use super::super::*;
use crate::soft::cpu::FaultKind;
use crate::soft::cpu::interp::memory::OFFSET_BITS;
use crate::soft::ir::Op;

/// A heap in which the bytes after an allocation look like memory that may be accessed: of any of these sizes, every
/// second block is free. Numbers that are out of the table of a launch's memory would find that.
fn misleading_heap(words: std::ops::Range<usize>) -> Vec<Vec<u64>> {
    words
        .flat_map(|words| {
            let blocks = (0..8192).map(|_| vec![u64::MAX / 3; words]);
            blocks.collect::<Vec<_>>().into_iter().step_by(2).collect::<Vec<_>>()
        })
        .collect()
}

/// The regions of the launches here: null and the arguments.
const REGIONS: u64 = 3;

#[test]
fn pointers_with_unknown_numbers_have_no_address() {
    let mut b = kernel("address");
    let (out, uniform) = (device(&mut b, 0), constant(&mut b, 1));
    let bits = b.load(uniform, Type::U64);
    let pointer = b.emit(Op::IntToPointer, Type::Pointer(Space::Device), &[bits], 0);
    let address = b.op(Op::Address, &[pointer]);
    b.store(out, address);
    let buffers = vec![buffer("out", 0, Space::Device), buffer("uniform", 1, Space::Constant)];
    let module = module(buffers, b.finish());
    for way in Way::plain_and_native() {
        let program = way.program(&module).expect("a valid module");
        for number in [0, REGIONS, REGIONS + 1, 100, 0x7fff] {
            let (mut out, mut uniform) = ([0u64], [number << OFFSET_BITS | 8]);
            let bindings = [bind(0, &mut out), bind(1, &mut uniform)];
            let grid = launch([1, 1, 1], [1, 1, 1], &bindings);
            let heap = misleading_heap(8..20);
            // SAFETY: the bindings outlive the launch.
            unsafe { program.launch_by_index(&grid, &Workers::new(1)) }.expect("no fault");
            drop(heap);
            assert_eq!(out, uniform, "{} {number:#x}", way.name());
        }
    }
}

#[test]
fn pointers_with_unknown_numbers_are_stale() {
    for write in [false, true] {
        let mut b = kernel("stale");
        let (out, uniform, lane) = (device(&mut b, 0), constant(&mut b, 1), position(&mut b, 0));
        let bits = b.load(uniform, Type::U64);
        let pointer = b.emit(Op::IntToPointer, Type::Pointer(Space::Device), &[bits], 0);
        let at = b.index(pointer, lane, 4);
        if write {
            b.store(at, lane);
        } else {
            let value = b.load(at, Type::U32);
            let to = b.index(out, lane, 4);
            b.store(to, value);
        }
        let buffers = vec![buffer("out", 0, Space::Device), buffer("uniform", 1, Space::Constant)];
        let module = module(buffers, b.finish());
        for way in Way::plain_and_native() {
            let program = way.program(&module).expect("a valid module");
            for number in [0, REGIONS, REGIONS + 1, 100, 0x4000, 0x7fff, 0xffff] {
                let (mut out, mut uniform) = ([0u32; 32], [number << OFFSET_BITS | 8]);
                let bindings = [bind(0, &mut out), bind(1, &mut uniform)];
                let grid = launch([32, 1, 1], [32, 1, 1], &bindings);
                let heap = misleading_heap(8..20);
                // SAFETY: the bindings outlive the launch.
                let found = unsafe { program.launch_by_index(&grid, &Workers::new(1)) };
                drop(heap);
                let case = format!("{} {number:#x} {write}: {found:?}", way.name());
                let kind = found.expect_err(&case).kind;
                let FaultKind::Access { argument: None, offset: 8, .. } = kind else {
                    panic!("{case}")
                };
            }
        }
    }
}
