//! Launches of many threadgroups. Memory of several GiB: machine code runs launches that use it, and at each limit of its offsets it does what the interpreter
//! does.

use super::guarded::kernel;
use crate::soft::cpu::{Pages, Way, Workers, by_index::*};

/// The length: an index of 32 bits does not reach all bytes. Only pages that are accessed need memory.
const BYTES: u64 = (5 << 30) - 20;

/// Where offsets of 31 bits end, with and without what may be added to them; where those of 32 bits end; the end.
const LIMITS: [u64; 5] = [0, (1 << 31) - (1 << 21), 1 << 31, 1 << 32, BYTES];

/// Bytes around a limit that a kernel may access.
const NEAR: u64 = 4096;

/// A type, its size, the kernel's statements, and whether a fault is that of the first thread in order.
const KERNELS: [(&str, u64, &str, bool); 13] = [
    ("uint", 4, "out[i] = p[at];", true),
    ("uint", 4, "p[at] = 7;", true),
    ("uint", 4, "out[i] = p[at + i]; p[at + i] = i;", true),
    ("ulong", 8, "out[i] = uint(p[at + i]); p[at + i] = i;", true),
    ("uint", 4, "out[i] = p[start + i]; p[start + i] = i;", true),
    ("ushort", 2, "out[i] = p[start + i]; p[start + i] = i;", true),
    // Where these wrap, they are in bounds again.
    ("uchar", 1, "out[i] = p[start + i]; p[start + i] = i;", true),
    ("uchar", 1, "uint k = start + 2 * i; if (i % 3 != 0) { out[i] = p[k]; p[k] = i; }", true),
    ("uint", 4, "uint k = start + i; if (i % 3 != 0) { out[i] = p[k]; p[k] = i; }", true),
    ("uint", 4, "uint k = start + (5 * i & 31); out[i] = p[k]; p[k] = i;", true),
    ("uint", 4, "ulong k = at + (5 * i & 31); out[i] = p[k]; p[k] = i;", true),
    (
        "uint",
        4,
        "for (uint k = 0; k < 4; k++) { out[i] = out[i] * 3 + p[at + 32 * k + i]; }",
        false,
    ),
    (
        "atomic_uint",
        4,
        "out[i] = atomic_fetch_add_explicit(p + (start + (5 * i & 31)), i, memory_order_relaxed);",
        true,
    ),
];

/// The bytes around a limit.
fn around(limit: u64) -> std::ops::Range<usize> {
    limit.saturating_sub(NEAR) as usize..(limit + NEAR).min(BYTES) as usize
}

#[test]
fn offsets_of_more_than_31_bits_are_those_of_the_interpreter() {
    let mut pages = Pages::new(BYTES as usize);
    let first = pages.place(BYTES as usize, false);
    let memory = &mut pages[first..];
    for (ty, size, statements, first_fault) in KERNELS {
        let text = format!(
            "#include <metal_stdlib>\nusing namespace metal;\nkernel void k(device {ty} *p [[buffer(0)]], constant ulong &at \
             [[buffer(1)]], constant uint &start [[buffer(2)]], device uint *out [[buffer(3)]], \
             uint i [[thread_position_in_grid]]) {{ {statements} }}"
        );
        let module = kernel(&text, statements);
        let ways = Way::plain_and_native();
        let programs = ways.iter().map(|way| way.program(&module).unwrap());
        let programs: Vec<_> = programs.collect();
        let starts = LIMITS.iter().flat_map(|&limit| {
            [200, 80, 16, 0].map(|back| (limit / size).saturating_sub(back)).map(|at| (at, limit))
        });
        for (mut at, limit) in starts {
            let mut expected = None;
            for (way, program) in ways.iter().zip(&programs) {
                for limit in [0, limit] {
                    let bytes = memory[around(limit)].iter_mut().enumerate();
                    bytes.for_each(|(at, byte)| *byte = ((at * 37) >> 2) as u8);
                }
                let (mut start, mut out) = (u32::try_from(at).unwrap_or(0), [5u32; 32]);
                let bindings = [
                    Binding { index: 0, base: memory.as_mut_ptr(), bytes: BYTES },
                    Binding { index: 1, base: (&raw mut at).cast(), bytes: 8 },
                    Binding { index: 2, base: (&raw mut start).cast(), bytes: 4 },
                    Binding { index: 3, base: out.as_mut_ptr().cast(), bytes: 128 },
                ];
                let launch = Launch::of([32, 1, 1], [32, 1, 1], &bindings);
                // SAFETY: the bindings outlive the launch, and nothing else uses them meanwhile.
                let done = unsafe { program.launch_by_index(&launch, &Workers::new(1)) };
                let name = format!("{statements} at {at}, {}", way.name());
                assert_eq!(program.has_machine_code(), way.is_native(), "{name}");
                let found = match done {
                    Ok(()) => Ok((out, memory[around(0)].to_vec(), memory[around(limit)].to_vec())),
                    Err(fault) => Err(first_fault.then_some(fault)),
                };
                match &expected {
                    None => expected = Some(found),
                    Some(expected) => assert!(found == *expected, "{name}"),
                }
            }
        }
    }
}

/// Workers take hundreds of threadgroups at once, and fewer towards the end.
#[test]
fn each_of_many_threadgroups_runs_once() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        kernel void k(device uint *counts [[buffer(0)]], uint i [[thread_position_in_grid]]) { counts[i] += 1; }";
    let module = kernel(text, "counts");
    for way in Way::plain_and_native() {
        let program = way.program(&module).unwrap();
        for workers in 1..=3 {
            let mut counts = vec![0u32; 8 * 30_011];
            let bytes = 4 * counts.len() as u64;
            let bindings = [Binding { index: 0, base: counts.as_mut_ptr().cast(), bytes }];
            let launch = Launch::of([counts.len() as u32, 1, 1], [8, 1, 1], &bindings);
            // SAFETY: the binding is the vector above, which outlives the launch and nothing else uses.
            unsafe { program.launch_by_index(&launch, &Workers::new(workers)) }.unwrap();
            assert!(counts.iter().all(|&count| count == 1), "{}, {workers}", way.name());
        }
    }
}
