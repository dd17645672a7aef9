//! Tallies: buffers that a kernel only adds to, such as histograms.
//!
//! Each worker adds to a private copy, without locks and without moving cache lines between cores, and adds
//! the copy to the buffer when it is done. Relaxed atomics (MSL 6.15) allow that: no thread of the launch
//! reads the buffer, and sums of integers do not depend on the order.

use crate::soft::ir::walk::instructions;
use std::sync::atomic::{AtomicU32, Ordering};

use super::interp::memory::Region;
use crate::soft::ir::{Allocation, AllocationKind, Function, Op, Type, Value};

/// The largest buffer, in bytes, that is copied.
const MAX_BYTES: u64 = 64 * 1024;

/// Finds the allocations that a kernel only adds 32-bit words to, without using the sums.
pub(super) fn find(function: &Function, allocations: &[Allocation]) -> Vec<bool> {
    let mut find = Find {
        function,
        only_added: allocations
            .iter()
            .map(|allocation| {
                matches!(allocation.kind, AllocationKind::Buffer { writable: true, .. })
            })
            .collect(),
        start: function
            .insts
            .iter()
            .map(|inst| (inst.op == Op::Allocation).then_some(inst.imm as usize))
            .collect(),
        added: vec![false; allocations.len()],
        sums: vec![None; function.insts.len()],
    };
    instructions(&function.body).for_each(|value| find.instruction(value));
    find.only_added.iter().zip(&find.added).map(|(only, added)| *only && *added).collect()
}

struct Find<'a> {
    function: &'a Function,
    only_added: Vec<bool>,
    added: Vec<bool>,
    /// The allocation that a pointer starts from.
    start: Vec<Option<usize>>,
    /// The allocation whose sum an atomic returns.
    sums: Vec<Option<usize>>,
}

impl Find<'_> {
    fn instruction(&mut self, value: Value) {
        let inst = self.function.inst(value);
        let words = matches!(inst.ty, Type::Scalar(ty) if ty.is_int() && ty.bytes() == 4);
        let adds = matches!(inst.op, Op::AtomicAdd | Op::AtomicSub) && words;
        for (k, arg) in inst.args.iter().enumerate() {
            let Some(allocation) = self.start[arg.index()].or(self.sums[arg.index()]) else {
                continue;
            };
            let steps = matches!(inst.op, Op::Index | Op::Field);
            let pointer = k == 0 && self.sums[arg.index()].is_none();
            match () {
                () if pointer && steps => self.start[value.index()] = Some(allocation),
                () if pointer && adds => {
                    self.sums[value.index()] = Some(allocation);
                    self.added[allocation] = true;
                }
                () => self.only_added[allocation] = false,
            }
        }
    }
}

/// The regions to copy in a launch of `threads` threads: those that are tallies, are small compared with the work,
/// and share no memory with another argument.
pub(super) fn choose(tallies: &[bool], regions: &[Region], threads: u64) -> Vec<usize> {
    let end = |region: &Region| (region.base as u64).wrapping_add(region.bytes);
    let apart = |a: &Region, b: &Region| end(a) <= b.base as u64 || end(b) <= a.base as u64;
    (1..=tallies.len())
        .filter(|&number| {
            let region = &regions[number];
            tallies[number - 1]
                && (4..=MAX_BYTES.min(threads)).contains(&region.bytes)
                && region.base.cast::<u32>().is_aligned()
                && regions.iter().enumerate().all(|(other, memory)| {
                    other == number || memory.bytes == 0 || apart(region, memory)
                })
        })
        .collect()
}

/// Adds a copy to its buffer.
///
/// # Safety
/// Both have `bytes` bytes and are aligned, and the copy is this thread's own.
pub(super) unsafe fn settle(copy: *const u32, buffer: *mut u32, bytes: u64) {
    for word in 0..bytes as usize / 4 {
        // SAFETY: the caller's.
        unsafe {
            match *copy.add(word) {
                0 => {}
                sum => _ = AtomicU32::from_ptr(buffer.add(word)).fetch_add(sum, Ordering::Relaxed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{AllocationId, FunctionBuilder, Input, Space};

    /// Whether a buffer is a tally of a kernel that does so with it.
    fn is_tally(make: impl FnOnce(&mut FunctionBuilder, Value)) -> bool {
        let mut b = FunctionBuilder::new("f", vec![], Type::Void);
        let bins = b.allocation(AllocationId(0), Space::Device);
        make(&mut b, bins);
        let kind = AllocationKind::Buffer { index: 0, writable: true, space: Space::Device };
        find(&b.finish(), &[Allocation { name: "bins".into(), kind }])[0]
    }

    #[test]
    fn a_buffer_that_is_only_added_to_is_a_tally() {
        let add = |b: &mut FunctionBuilder, bins| {
            let (i, one) = (b.input(Input::ThreadPositionInGrid, 0), b.u32(1));
            let bin = b.index(bins, i, 4);
            b.op(Op::AtomicAdd, &[bin, one])
        };
        assert!(is_tally(|b, bins| _ = add(b, bins)));
        assert!(!is_tally(|_, _| {}), "never added to");
        assert!(!is_tally(|b, bins| {
            let ticket = add(b, bins);
            let place = b.allocation(AllocationId(0), Space::Device);
            b.store(place, ticket);
        }));
        assert!(!is_tally(|b, bins| {
            add(b, bins);
            let first = b.load(bins, Type::U32);
            let local = b.local("first", 4);
            b.store(local, first);
        }));
        assert!(!is_tally(|b, bins| {
            let half = b.f32(0.5);
            b.op(Op::AtomicAdd, &[bins, half]);
        }));
    }

    #[test]
    fn buffers_that_share_memory_or_are_too_large_are_not_tallies() {
        let mut memory = [0u32; 64];
        let base = memory.as_mut_ptr().cast::<u8>();
        let region = |at: usize, bytes| Region {
            base: base.wrapping_add(at),
            bytes,
            slack: 0,
            writable: true,
            alone: false,
        };
        let null = Region { base: std::ptr::null_mut(), ..region(0, 0) };
        let choose = |a, b, threads| choose(&[true, false], &[null, a, b], threads);
        assert_eq!(choose(region(0, 64), region(64, 64), 1000), [1]);
        assert_eq!(choose(region(0, 64), region(60, 64), 1000), [0; 0]);
        assert_eq!(choose(region(0, 64), region(64, 64), 60), [0; 0]);
        assert_eq!(choose(region(2, 64), region(128, 64), 1000), [0; 0]);
    }
}
