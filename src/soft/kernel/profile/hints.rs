//! Hints: what an author may change, in words, by the rules of `specs/profile.md`.

use super::lines::{Line, SPACES};
use super::{CACHE_LINE, Extent, Pattern, SIMD_WIDTH};
use crate::soft::ir::Space;
use crate::soft::kernel::limits;

/// Fewer runs than these are not worth a hint.
const FEW: u64 = 64;

/// Hints about a line of a kernel that has `total` operations.
pub(super) fn of_line(line: &Line, extent: &Extent, total: u64) -> Vec<String> {
    let mut hints = Vec::new();
    let full = extent.threads as f64 / extent.simdgroups.max(1) as f64;
    let lanes = line.average_lanes();
    let matters = line.operations * 20 >= total;
    if line.runs >= FEW && matters && lanes < full / 2.0 {
        hints.push(format!(
            "on average {lanes:.1} of {full:.0} lanes are active: make the branch around this line the same for \
             all lanes of a SIMD-group, or sort the work so that neighbours take the same path"
        ));
    }
    for (memory, space) in line.memory.iter().zip(SPACES) {
        let accesses = |pattern: Pattern| memory.accesses[pattern as usize];
        let wasteful = |pattern: Pattern| {
            let accesses = accesses(pattern);
            let needed = accesses.bytes.div_ceil(CACHE_LINE).max(accesses.number);
            let many = accesses.number >= FEW / 8;
            (space == Space::Device && many && accesses.cache_lines > 2 * needed)
                .then(|| accesses.cache_lines as f64 / accesses.number as f64)
        };
        if let Some(touched) = wasteful(Pattern::Strided) {
            let (least, most) = memory.stride.unwrap_or_default();
            let apart =
                if least == most { least.to_string() } else { format!("{least} to {most}") };
            let remedy = match most < CACHE_LINE {
                true => {
                    "store the fields of a struct in arrays of their own, or load a whole vector"
                }
                false => "transpose the data, or stage it through threadgroup memory",
            };
            hints.push(format!(
                "lanes are {apart} bytes apart, so that an access touches {touched:.1} cache lines: {remedy}"
            ));
        }
        if let Some(touched) = wasteful(Pattern::Scattered) {
            hints.push(format!(
                "lanes access addresses without a pattern, {touched:.1} cache lines at a time: sort the indices, or \
                 stage the data through threadgroup memory"
            ));
        }
        let (number, conflicts) = (memory.number(), memory.conflicts);
        if number >= FEW / 8 && conflicts * 4 > number {
            let more = conflicts as f64 / number as f64;
            hints.push(format!(
                "lanes access different rows of one bank of threadgroup memory, which takes {more:.1} more turns: pad \
                 the rows of the array by one element"
            ));
        }
    }
    if line.atomics >= FEW && line.contended * 2 > line.atomics {
        let share = 100 * line.contended / line.atomics;
        hints.push(format!(
            "{share}% of the atomic operations are on an address that another lane changes at the same time: combine \
             the values of the SIMD-group first (simd_sum, simd_max), and have one lane do the atomic"
        ));
    }
    hints
}

/// Hints about the kernel as a whole.
pub(super) fn of_kernel(extent: &Extent) -> Vec<String> {
    let mut hints = Vec::new();
    let Extent { simdgroups, threads, group_threads, group_memory, .. } = *extent;
    let idle = simdgroups * u64::from(SIMD_WIDTH) - threads;
    if simdgroups > 0 && idle * 8 > threads {
        let share = 100 * idle / (idle + threads);
        hints.push(format!(
            "{share}% of the lanes have no thread: make the size of the threadgroup a multiple of {SIMD_WIDTH}"
        ));
    }
    let (most, memory) = (limits::THREADS, limits::THREADGROUP_MEMORY);
    if group_memory * 2 > memory && group_threads * 2 <= most {
        hints.push(format!(
            "threadgroups have {group_memory} bytes of threadgroup memory, so that {memory} bytes hold one of them with \
             {group_threads} threads at a time: use at most half of the memory, or larger threadgroups"
        ));
    }
    hints
}
