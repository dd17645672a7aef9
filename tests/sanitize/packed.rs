//! Accesses that begin within four bytes, as those of packed types may.

use super::{Rig, checked, reports};
use aruminium::{Checks, DispatchType, Report, ReportKind};

/// A kernel in which each thread writes four bytes, `start` elements after its own, and then reads four bytes of another thread.
fn kernel(ty: &str, packed: &str, count: u32, between: &str) -> String {
    format!(
        "kernel void k(device {ty} *data [[buffer(0)]], constant uint &start [[buffer(1)]],
                       uint i [[thread_position_in_grid]]) {{
            *(device {packed} *)(data + ({count} * i + start)) = {packed}(i);
            {between}
            device uint *words = (device uint *)data;
            words[128 + i] = words[i];
        }}"
    )
}

/// The reports of one threadgroup; the program runs twice, as memory of the checks is used again.
fn run(rig: &Rig, source: &str, start: u32) -> Vec<Report> {
    let pipeline = checked(&rig.gpu, source, Checks::RACES);
    let data = rig.gpu.buffer(4096).unwrap();
    data.write(|bytes| bytes.fill(0));
    let record = || {
        reports(rig, DispatchType::Serial, |encoder| {
            encoder.bind(&pipeline);
            encoder.bind_buffer(&data, 0, 0);
            encoder.push(&start.to_ne_bytes(), 1);
            encoder.launch((64, 1, 1), (64, 1, 1));
            encoder.launch((64, 1, 1), (64, 1, 1));
        })
    };
    let first = record();
    assert_eq!(first, record());
    first
}

#[test]
fn accesses_that_begin_within_four_bytes_are_compared() {
    let rig = Rig::new();
    for (ty, packed, count) in [("half", "packed_half2", 2), ("uchar", "packed_uchar4", 4)] {
        let [ordered, racing] = ["threadgroup_barrier(mem_flags::mem_device);", ""]
            .map(|between| kernel(ty, packed, count, between));
        for start in 0..4 {
            assert_eq!(run(&rig, &ordered, start), [], "{packed}, {start}");
            let found = run(&rig, &racing, start);
            let races = found.iter().filter(|report| report.kind == ReportKind::Race).count();
            // Where each thread reads what it wrote itself nothing races.
            let expected = usize::from(start != 0);
            assert_eq!((found.len(), races), (expected, expected), "{packed}, {start}: {found:#?}");
        }
    }
}
