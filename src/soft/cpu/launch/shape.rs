//! The shape of a launch: its threadgroups, the positions of their threads, and the code that runs such a shape.

use super::Shared;
use crate::soft::cpu::interp::code::LANES;
use crate::soft::cpu::interp::input::Positions;
use crate::soft::cpu::interp::lower::Code;
use crate::soft::cpu::native::region::Fit;
use crate::soft::ir::{Allocation, AllocationKind};
use crate::soft::kernel::sanitize::BufferName;
use crate::soft::kernel::{Binding, Launch};
use std::sync::atomic::Ordering;

/// The code of a worker.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) code: &'a Code,
    /// It is bytecode, and machine code may take its place. Another worker may decide that at any time, so this is part of
    /// the choice.
    pub(super) may_switch: bool,
}

impl<'a> Shared<'a> {
    /// The code that the launch uses at this point.
    pub(super) fn choose(&self) -> Choice<'a> {
        let hoist = !self.plain.load(Ordering::Relaxed);
        let native = self.native.load(Ordering::Relaxed);
        let may_switch = self.may_be_native && !native;
        let native = native.then(|| self.program.native(hoist, self.launch.locate));
        let native = native.flatten().filter(|code| is_ready(code, self.launch));
        Choice { code: native.unwrap_or_else(|| self.program.bytecode(hoist)), may_switch }
    }
}

/// The number of threads, or threadgroups, in three dimensions.
pub(super) fn product(size: [u32; 3]) -> u64 {
    size.iter().fold(1u64, |product, &part| product.saturating_mul(part.into()))
}

/// The buffers of a launch with the names of their arguments.
pub(super) fn buffers(allocations: &[Allocation], launch: &Launch<'_>) -> Vec<BufferName> {
    let mut bindings = launch.bindings.iter();
    let named = |allocation: &Allocation| match allocation.kind {
        AllocationKind::Buffer { .. } => match *bindings.next()? {
            Binding::Memory { base, bytes, address } => {
                let (base, name) = (base as u64, allocation.name.clone());
                Some(BufferName { base, bytes, name, shared: address != 0 })
            }
            _ => None,
        },
        AllocationKind::ThreadgroupArgument { .. } => {
            bindings.next();
            None
        }
        _ => None,
    };
    allocations.iter().filter_map(named).collect()
}

/// The lanes of a SIMD-group that have threads.
pub(super) fn active_lanes(threads: u32, wave: u32) -> u32 {
    match threads - wave * LANES as u32 {
        left @ 0..32 => (1 << left) - 1,
        _ => u32::MAX,
    }
}

/// Whether code can run a launch: the code of a whole body, made for each size of threadgroups that the launch has.
pub(super) fn is_ready(code: &Code, launch: &Launch<'_>) -> bool {
    // Machine code has an order of its own.
    if launch.order.is_some() {
        return false;
    }
    if let Some(run) = code.body() {
        let (threads, lines) = (most_threads(launch), in_lines(launch));
        return (0..8).all(|edges: usize| {
            let size: [u32; 3] = std::array::from_fn(|d| sizes(launch, d)[edges >> d & 1]);
            size.contains(&0) || run.has_machine(Fit { row: row_lanes(size), threads, lines })
        });
    }
    true
}

/// The sizes of threadgroups in one dimension: of all but the last, and of the last one, or 0.
fn sizes(launch: &Launch<'_>, d: usize) -> [u32; 2] {
    let (grid, group) = (launch.grid[d], launch.group[d]);
    [group.min(grid), grid % group]
}

/// Whether each threadgroup is one row of whole SIMD-groups.
pub(super) fn in_lines(launch: &Launch<'_>) -> bool {
    let all = |d, fits: fn(u32) -> bool| sizes(launch, d).into_iter().all(fits);
    all(0, |size| size.is_multiple_of(LANES as u32))
        && all(1, |size| size < 2)
        && all(2, |size| size < 2)
}

/// The threads of the largest threadgroup.
pub(super) fn most_threads(launch: &Launch<'_>) -> u32 {
    product(std::array::from_fn(|d| launch.group[d].min(launch.grid[d]))) as u32
}

/// How many lanes side by side have positions side by side in the first dimension.
pub(super) fn row_lanes(size: [u32; 3]) -> u32 {
    let rows = size[0].is_multiple_of(LANES as u32) || size[1..] == [1; 2];
    if rows { LANES as u32 } else { 1 << size[0].trailing_zeros() }
}

/// The positions of all threads of a group, for each SIMD-group; lanes past the end have the last thread's.
pub(super) fn positions(size: [u32; 3]) -> Vec<Positions> {
    let threads = product(size) as u32;
    (0..threads.div_ceil(LANES as u32))
        .map(|wave| {
            let index = |lane: usize| (wave * LANES as u32 + lane as u32).min(threads - 1);
            [
                std::array::from_fn(|lane| index(lane) % size[0]),
                std::array::from_fn(|lane| index(lane) / size[0] % size[1]),
                std::array::from_fn(|lane| index(lane) / size[0] / size[1]),
            ]
        })
        .collect()
}
