//! Kernels with barriers whose neighbouring phases only the first strip runs, and threadgroups of one row, by each way to run them.

use super::native::{BARRIERS, Found, GRID, RETURNS, agree, check, results};

const WAIT: &str = "threadgroup_barrier(mem_flags::mem_threadgroup);";
/// Numbers for memory that the threads read and do not write. Groups at the edge of the grid have four threads or more.
const FILL: &str = "threadgroup_barrier(mem_flags::mem_threadgroup); for (uint k = l; k < 1024; k += 4) { t[k] = k * 3; } \
     threadgroup_barrier(mem_flags::mem_threadgroup);";

/// Grids and their threadgroups: in lines and in several rows, longer and shorter than strips; some are cut off at the edge.
const GROUPS: &[([u32; 3], [u32; 3])] = &[
    (GRID, [32, 1, 1]),
    (GRID, [64, 1, 1]),
    ([512, 1, 1], [256, 1, 1]),
    ([96, 1, 1], [64, 1, 1]),
    ([80, 1, 1], [64, 1, 1]),
    (GRID, [8, 8, 1]),
    ([64, 2, 4], [32, 1, 2]),
    (GRID, [5, 1, 1]),
];

/// Threadgroups that are one row of whole SIMD-groups have code of their own if there are barriers.
#[test]
fn threadgroups_of_one_row_agree() {
    for &(name, _, body) in BARRIERS.iter().chain(RETURNS) {
        for threads in [32, 64] {
            let name = format!("{name}, {threads} in a line");
            check(&name, [threads, 1, 1], &format!("{FILL} {body}"));
        }
    }
}

/// In each, `B` stands for a barrier.
#[test]
fn phases_of_the_first_strip_agree() {
    const CASES: &[(&str, &str)] = &[
        (
            "memory of as many words as a strip has lanes, and accesses of inactive lanes past it",
            "threadgroup uint u[32]; for (uint k = l; k < 32; k += 4) { u[k] = k * 5; } B if (l < 32) { u[l] ^= a[at]; } B \
             if (l < 16) { u[l] += u[l + 16]; } B if (l < 8) { u[l] += u[l + 8]; } B if (l < 4) { u[l] += u[l + 4]; } B \
             if (l < 2) { u[l] += u[l + 2]; } B if (l == 0) { out[at] = u[0] + u[1]; }",
        ),
        (
            "variables that a branch assigns and a later one reads, and a return in the middle",
            "uint v = a[at]; B if (l < 8) { v += 3; t[l] = v; } B if (l < 4) { v ^= t[l + 4]; } B if (l < 2) { out[at] = v; \
             return; } out[at] = v + 64;",
        ),
        (
            "a variable that only a later branch assigns",
            "uint v = a[at]; B if (l < 8) { t[l] += 5; } B if (l < 4) { v ^= t[l + 4]; } B out[at] = v;",
        ),
        (
            "a return at the end of the last branch",
            "uint v = a[at]; out[at] = v; B if (l < 8) { v += 3; t[l] = v; } B if (l < 4) { v ^= t[l + 4]; } B \
             if (l < 3) { if (v & 1) { out[at] = v * 3; return; } out[at] += v; }",
        ),
        (
            "a common variable that changes beside branches",
            "uint w = n; t[l] = a[at]; B for (uint k = 0; k < n / 16; k++) { if (l < 8) { t[l] += w; } B w = w * 3 + k; \
             if (l < 4) { t[l] += w; } B if (l < 2) { t[l] ^= w * 5; } B } if (l < 1) { t[l] ^= t[1]; } B out[at] = t[l] + w;",
        ),
        (
            "values that all threads have, between branches",
            "t[l] = a[at]; B if (l < 7) { t[l] = t[l] * 3 + t[l + 1]; } B if (int(l) <= 6) { t[l + 1] ^= n; } B \
             if (l == 0) { atomic_fetch_add_explicit(&c[1], t[0], memory_order_relaxed); } B \
             if (l < 5) { t[l] += atomic_load_explicit(&c[1], memory_order_relaxed); } B out[at] = t[l];",
        ),
    ];
    for &(name, body) in CASES {
        for &(grid, group) in GROUPS {
            let name = format!("{name}, {group:?}");
            let body = body.replace("B ", WAIT).replace("[at]", "[place]");
            let body = format!("{FILL} const uint place = at + g.z * 2 * n; {body}");
            agree(&name, &results(&name, grid, group, &body, 64, false));
        }
    }
}

/// Of three levels one reads up to the last word of a buffer: a word that is cut short is a fault of its last thread. The first
/// threads of every group have the same indices, so it is the first group's.
#[test]
fn faults_in_phases_of_the_first_strip_agree() {
    for &(grid, group) in GROUPS {
        let least = (group[0] * group[1]).min(4);
        for level in 0..3 {
            let reads = [4u32, 3, 2].map(|lanes| lanes.min(least));
            let branches: String = (0..3)
                .map(|at| {
                    let lanes = reads[at];
                    let from = if at == level { 16 - lanes } else { 5 };
                    format!("if (l < {lanes}) {{\n t[l] += p[l + {from}];\n }} {WAIT} ")
                })
                .collect();
            let body = format!(
                "{FILL} device uint *p = (device uint *)few; {branches} out[at] = t[l & 3];"
            );
            let found = |bytes: usize| -> (String, Vec<Found>) {
                let name = format!("level {level} in {bytes} bytes, {group:?}");
                let found = results(&name, grid, group, &body, bytes, false);
                (name, found)
            };
            let (name, whole) = found(64);
            agree(&name, &whole);
            let (name, cut) = found(63);
            let (_, want) = &cut[0];
            let is_right = |fault: &String| fault.contains("'few'") && fault.contains("60");
            assert!(want.as_ref().is_err_and(is_right), "{name}: {want:?}");
            cut.iter().for_each(|(way, found)| assert_eq!(found, want, "{name}, {way}"));
        }
    }
}
