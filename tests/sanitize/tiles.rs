//! Elements of a tile that nothing wrote, where threadgroups have rows of half a SIMD-group: each thread that reads one is counted.

use super::{checked, child::in_child, gpu::Rig, reports};
use aruminium::{Checks, DispatchType, ReportKind};

const WIDTH: u32 = 16;
const ROWS: u32 = 4;

/// Text, and the same as a function of a position in the threadgroup.
type Of<T> = (&'static str, fn(u32, u32) -> T);

/// The threads that write their elements, or that read.
const THREADS: [Of<bool>; 6] = [
    ("true", |_, _| true),
    ("x != 7", |x, _| x != 7),
    ("x < 9", |x, _| x < 9),
    ("y % 2 == 1", |_, y| y % 2 == 1),
    ("x + y != 3", |x, y| x + y != 3),
    ("16 * y + x < 63", |x, y| 16 * y + x < 63),
];

/// The element that a thread reads: its own, the same for a row of threads, the same row for all, that of a column, and the last one.
const READS: [Of<u32>; 5] = [
    ("16 * y + x", |x, y| 16 * y + x),
    ("16 * y + 7", |_, y| 16 * y + 7),
    ("x + 32", |x, _| x + 32),
    ("4 * x + y", |x, y| 4 * x + y),
    ("63", |_, _| 63),
];

/// Types of 1 to 16 bytes, and their last part.
const TYPES: [(&str, &str); 7] = [
    ("uchar", ""),
    ("ushort", ""),
    ("uint", ""),
    ("uint2", ".y"),
    ("packed_uint3", ".z"),
    ("uint4", ".w"),
    ("ushort2", ".y"),
];

fn check() {
    let rig = Rig::new();
    let threads = || (0..ROWS).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    for (number, (ty, part)) in TYPES.into_iter().enumerate() {
        for (write, writes) in THREADS {
            for (at, (index, element)) in READS.into_iter().enumerate() {
                let (only, reads) = THREADS[(number + at) % THREADS.len()];
                let source = format!(
                    "kernel void k(device uint *data [[buffer(0)]], uint2 in [[thread_position_in_threadgroup]],
                                   uint i [[thread_index_in_threadgroup]], uint2 group [[threadgroup_position_in_grid]]) {{
                        threadgroup {ty} tile[64];
                        uint x = in.x, y = in.y;
                        if ({write}) tile[16 * y + x] = {ty}(i + 1);
                        threadgroup_barrier(mem_flags::mem_threadgroup);
                        if ({only}) data[64 * group.y + i] = tile[{index}]{part};
                    }}"
                );
                let unwritten = threads().filter(|&(x, y)| {
                    let element = element(x, y);
                    reads(x, y) && !writes(element % WIDTH, element / WIDTH)
                });
                let expected = 2 * unwritten.count() as u64;
                let pipeline = checked(&rig.gpu, &source, Checks::INIT);
                let data = rig.gpu.buffer(1024).unwrap();
                let found = reports(&rig, DispatchType::Serial, |encoder| {
                    encoder.bind(&pipeline);
                    encoder.bind_buffer(&data, 0, 0);
                    encoder.launch((16, 8, 1), (16, 4, 1));
                });
                let stores = found.iter().all(|one| one.kind == ReportKind::UninitialisedStore);
                let count: u64 = found.iter().map(|report| report.count).sum();
                assert!(stores && count == expected, "{expected}: {found:#?}\n{source}");
            }
        }
    }
}

#[test]
fn elements_that_nothing_wrote_are_counted() {
    check();
}

#[test]
fn elements_that_nothing_wrote_are_counted_in_machine_code() {
    let test = "tiles::elements_that_nothing_wrote_are_counted_in_machine_code";
    let Some(output) = in_child(test, &[("ARUMINIUM_SOFT_JIT", "always")], check) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
