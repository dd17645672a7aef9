//! Proofs that no access of a launch is out of bounds: where there is one the CPU has no fault, and most are as tight as can be.

use super::super::emit;
use super::super::proof::{Extent, Known, holds, is_possible};
use crate::soft::ir::{Allocation, AllocationKind, Function, Module};
use crate::soft::msl::{self, ConstantValues};
use crate::soft::tests::run_with;

const THREADS: u32 = 64;

/// Bodies of kernels that write to `x`, by the numbers in `m`; and whether what is proven is all that is true.
const BODIES: &[(bool, &str)] = &[
    (true, "x[i] = 1;"),
    (true, "x[m[0] * i + m[1]] = 1;"),
    (true, "if (i < m[0]) x[i] = 1;"),
    (true, "if (i >= m[0]) return; x[i + m[1]] = 1;"),
    (false, "if (!(i < m[0] && i > m[1])) return; x[i - m[1]] = 1;"),
    (false, "if (i <= m[0]) { x[i] = 1; } else { x[i - m[0]] = 1; }"),
    (true, "for (uint k = 0; k < m[0]; k++) x[4 * k + i % 4] = 1;"),
    (true, "for (uint k = m[1]; k <= m[0]; k += 3) x[k] = 1;"),
    (true, "for (short k = 0; k < 12; k += 5) x[k + i] = 1;"),
    (true, "device uint *p = x + i; for (uint k = 0; k < m[0]; k++, p += 64) *p = 1;"),
    (
        true,
        "device uint *p = x + 2 * m[0]; for (int k = 0; k < int(m[0]); k++) { p -= 2; *p = 1; }",
    ),
    (true, "x[min(i, m[0])] = 1;"),
    (true, "for (uint k = 0; k < m[0]; k++) { if (k == 2 && i == 3) continue; x[k] = 1; }"),
    (true, "for (int k = -2; k < int(m[0]); k++) x[k + 2] = 1;"),
    (
        true,
        "for (uint a = 0; a < m[0]; a++) { uint j = a; for (uint b = 0; b < m[1]; b++) { x[j] = 1; j += m[0]; } }",
    ),
    (true, "for (uint k = 0; k < m[0]; k++) x[(m[0] - k) * 2 + i / 32] = 1;"),
    (false, "uint4 v = uint4(i, m[0], 3, 4); x[v.x + v.y] = 1;"),
    (true, "x[i * m[0] / 2] = 1;"),
    (false, "uint j = 0; for (uint k = 0; k < m[0]; k++) { if (i & 1) j += 2; x[j] = 1; }"),
    (false, "uint j = 0; for (uint k = 0; k < m[0]; k++) { j = 2 * k; } x[j] = 1;"),
    (
        false,
        "uint j = 0; for (uint a = 0; a < m[0]; a++) for (uint b = 0; b < m[1]; b++) { x[j] = 1; j += 1; }",
    ),
    (false, "for (int k = -2; uint(k) < m[0]; k++) x[k + 2] = 1;"),
    (false, "uint k = 0; while (true) { x[k] = 1; k++; if (k >= m[0]) break; }"),
    (false, "uint t[4]; for (uint k = 0; k < 4; k++) t[k] = k; x[t[i & 3] & 7] = 1;"),
    (false, "x[(i << 1) | 1] = 1;"),
    (false, "x[ushort(i * 0x10001u)] = 1;"),
    (false, "x[i * 0x10000001u] = 1;"),
    (false, "x[i - m[1]] = 1;"),
    (false, "x[out[0] & 3] = 1;"),
    (
        false,
        "for (uint k = 0; k < m[0]; k++) { if (out[0] > 5) { x[k + 1] = 1; break; } x[k] = 1; }",
    ),
];

/// Numbers, and bodies of kernels whose loops have more iterations than they seem to, or other values of their counters.
const LOOPS: &[([u32; 2], &str)] = &[
    // A counter that some iterations do not increment.
    (
        [4, 0],
        "uint k = 0, j = 0; while (k < m[0]) { x[j] = 1; j++; if (j & 1) { out[0] = k; k++; } }",
    ),
    (
        [4, 0],
        "uint k = 0, j = 0; while (k < m[0]) { x[j] = 1; j++; if (out[0] + j < 9) continue; k++; }",
    ),
    // A counter that is another number where it is compared.
    ([3, 0xffff_fffe], "for (uint k = m[1]; int(k) < int(m[0]); k++) x[k + 2] = 1;"),
    ([10, 65536], "for (uint k = m[1]; ushort(k) < m[0]; k++) x[k] = 1;"),
    // A read of the counter from before the loop.
    (
        [3, 0],
        "uint k = 0; for (; k < m[1]; k++) out[0] = k; uint old = k; while (old < m[0]) { if (k == 100) break; x[k] = 1; k++; }",
    ),
    (
        [3, 0],
        "uint k = 0, j = 0; for (; k < m[1]; k++) out[0] = k; uint old = k; while (k < m[0]) { if (j == 100) break; x[j] = 1; j++; k = old + 1; }",
    ),
    (
        [3, 0],
        "uint j = 0; for (; j < m[1]; j++) out[0] = j; uint old = j; j += 100; for (uint k = 0; k < m[0]; k++) { x[j - 90] = 1; j = old + 1; }",
    ),
    // Distances of more than 127 bits.
    (
        [3, 0],
        "device uint *p = x; for (ulong k = 0; k < 1ul << 62; k++) { *p = 1; p += ulong(out[0]) * ulong(out[0]); if (k == 9) break; }",
    ),
    (
        [3, 0],
        "device uint4 *p = (device uint4 *)x; for (ulong k = 0; k < 1ul << 62; k++) { p[1].y = 1; p += ulong(out[0]) * ulong(out[0]); if (k == 9) break; }",
    ),
];

fn source(body: &str) -> String {
    format!(
        "kernel void k(device uint *out [[buffer(0)]], device uint *x [[buffer(1)]], constant uint *m [[buffer(2)]], \
         uint i [[thread_position_in_grid]]) {{ out[0] = m[0] + m[1] - m[0] - m[1]; {body} }}"
    )
}

fn prepared(source: &str) -> (Module, Function) {
    let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{source}");
    let library = msl::compile(&source, &msl::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let (module, _) = library.kernel("k", &ConstantValues::default()).expect("a kernel");
    let function = super::super::prepare(&module).expect("code");
    assert!(emit::inline_sizes(&module, &function)[2] >= 8, "{source}");
    (module, function)
}

/// Whether a launch is proven with `words` in `x`.
fn is_proven((module, function): &(Module, Function), m: [u32; 2], words: u64) -> bool {
    let bytes: Vec<u8> = m.iter().flat_map(|number| number.to_le_bytes()).collect();
    let extent = |allocation: &Allocation| match allocation.kind {
        AllocationKind::Buffer { index, writable, .. } => {
            Extent { bytes: [4, 4 * words, 8][index as usize], writable }
        }
        AllocationKind::Threadgroup(bytes) => Extent { bytes: bytes.into(), writable: true },
        _ => Extent::default(),
    };
    let carried = |allocation: &Allocation| match allocation.kind {
        AllocationKind::Buffer { index: 2, .. } => Some(&bytes[..]),
        _ => None,
    };
    let known = Known {
        grid: [THREADS, 1, 1],
        group: [THREADS, 1, 1],
        extents: &module.allocations.iter().map(extent).collect::<Vec<_>>(),
        carried: &module.allocations.iter().map(carried).collect::<Vec<_>>(),
    };
    is_possible(function) && holds(function, &known)
}

/// Runs a kernel with the least words with which a launch is proven, on the CPU, where it has no fault; and with one word less, which
/// is too few if the proof is to be tight. Whether there is a proof.
fn check(tight: bool, body: &str, m: [u32; 2]) -> bool {
    const MOST: u64 = 1 << 20;
    let text = source(body);
    let function = prepared(&text);
    let (mut none, mut some) = (0, MOST);
    if !is_proven(&function, m, some) {
        assert!(!tight, "{body}: {m:?}");
        return false;
    }
    if is_proven(&function, m, 0) {
        some = 0;
    }
    while some > none + 1 {
        let middle = (none + some) / 2;
        match is_proven(&function, m, middle) {
            true => some = middle,
            false => none = middle,
        }
    }
    let run = |words: u64| {
        let mut buffers = [vec![0; 1], vec![0; words as usize], m.to_vec()];
        run_with(&text, THREADS, &mut buffers)
    };
    if let Err(fault) = run(some) {
        panic!("{body}: {m:?}: {some} words, and {fault}");
    }
    if tight && some > 0 {
        assert!(run(some - 1).is_err(), "{body}: {m:?}: {some} words are more than needed");
    }
    true
}

#[test]
fn arguments_that_are_textures_are_no_reason_against_a_proof() {
    let thread = "uint i [[thread_position_in_grid]]";
    let textures = format!("array<texture2d<float>, 3> t [[texture(0)]], {thread}");
    let kernel = prepared(&source("x[i] = 1;").replace(thread, &textures));
    assert_eq!([63, 64].map(|words| is_proven(&kernel, [1, 2], words)), [false, true]);
}

#[test]
fn a_launch_that_is_proven_has_no_fault() {
    for &(tight, body) in BODIES {
        let proven = [[3, 1], [7, 5], [0, 0], [1, 9], [16, 2]].map(|m| check(tight, body, m));
        assert!(!tight || proven.contains(&true), "{body}");
    }
}

#[test]
fn a_loop_whose_iterations_are_not_counted_has_no_proof() {
    let wrong = |&&(m, body): &&([u32; 2], &str)| {
        std::panic::catch_unwind(|| check(false, body, m)).unwrap_or(true)
    };
    let wrong: Vec<_> = LOOPS.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_in_bounds_whatever_its_length_has_no_proof() {
    // A buffer that may only be read, and memory of threads.
    for (body, fits) in [
        ("uint t[4]; for (uint k = 0; k < 4; k++) t[k] = i; x[0] = t[i & 3];", true),
        ("uint t[4]; for (uint k = 0; k < 4; k++) t[k] = i; x[0] = t[i & 7];", false),
        ("threadgroup uint t[64]; t[i] = i; x[0] = t[63 - i];", true),
        ("threadgroup uint t[64]; t[i + 1] = i; x[0] = t[63 - i];", false),
    ] {
        let function = prepared(&source(body));
        assert_eq!(is_proven(&function, [3, 1], 64), fits, "{body}");
    }
}
