//! Accesses that begin within four bytes, as those of packed types may.

use super::{Rig, checked, in_child, reports};
use aruminium::{Checks, DispatchType, Report, ReportKind};

/// A kernel in which each thread accesses the four bytes that are `start` elements after its own word, and then a word that the previous SIMD-group
/// accesses first. There is a gap between the words of two SIMD-groups.
fn kernel(ty: &str, packed: &str, count: u32, writes: bool, between: &str) -> String {
    let gap = 8 * count;
    let at = format!("*(device {packed} *)(data + ({count} * i + {gap} * s + start))");
    let (first, second) = match writes {
        true => (format!("{at} = {packed}(i);"), "words[256 + i] = words[i + 8 * s - 40];"),
        false => (format!("{packed} seen = {at};"), "words[i + 8 * s - 40] = uint(seen[0]) + i;"),
    };
    format!(
        "kernel void k(device {ty} *data [[buffer(0)]], constant uint &start [[buffer(1)]],
                       uint i [[thread_position_in_grid]], uint s [[simdgroup_index_in_threadgroup]]) {{
            device uint *words = (device uint *)data;
            {first}
            {between}
            if (s > 0) {second}
        }}"
    )
}

/// The reports of two launches of one threadgroup; the program runs twice, as memory of the checks is used again.
fn run(rig: &Rig, source: &str, start: u32) -> Vec<Report> {
    let pipeline = checked(&rig.gpu, source, Checks::RACES);
    let data = rig.gpu.buffer(4096).unwrap();
    data.write(|bytes| bytes.fill(0));
    let record = || {
        reports(rig, DispatchType::Serial, |encoder| {
            encoder.bind(&pipeline);
            encoder.bind_buffer(&data, 0, 0);
            encoder.push(&start.to_ne_bytes(), 1);
            encoder.launch((128, 1, 1), (128, 1, 1));
            encoder.launch((128, 1, 1), (128, 1, 1));
        })
    };
    let first = record();
    assert_eq!(first, record());
    first
}

#[test]
fn accesses_that_begin_within_four_bytes_are_compared() {
    let test = "packed::accesses_that_begin_within_four_bytes_are_compared";
    let Some(output) = in_child(test, &[("ARUMINIUM_SOFT_JIT", "always")], check) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn check() {
    let rig = Rig::new();
    let types = [("half", "packed_half2", 2), ("uchar", "packed_uchar4", 4)];
    for ((ty, packed, count), writes) in types.into_iter().flat_map(|it| [(it, true), (it, false)])
    {
        let [ordered, racing] = ["threadgroup_barrier(mem_flags::mem_device);", ""]
            .map(|between| kernel(ty, packed, count, writes, between));
        for start in 0..count {
            assert_eq!(run(&rig, &ordered, start), [], "{packed}, {start}");
            let found = run(&rig, &racing, start);
            assert!(found.iter().all(|report| report.kind == ReportKind::Race), "{found:#?}");
            let races: u64 = found.iter().map(|report| report.count).sum();
            // Each thread of three SIMD-groups, in two launches.
            assert_eq!(races, 2 * 3 * 32, "{packed}, {start}: {found:#?}");
        }
    }
}
