//! Tiles of several iterations at once.

use super::super::emit::Options;
use super::text_of;

/// A loop that copies a tile of 32 rows and computes with it; `declared` is its memory, `also` more of each iteration, `step` what moves the
/// source, `after` what follows the loop.
fn tiles([declared, also, step, after]: [&str; 4]) -> String {
    format!(
        "using namespace metal;
        kernel void k(device const half *x, device float *y, device atomic_uint *u, constant uint &n, uint i [[thread_index_in_threadgroup]]{declared}
            device const half *p = x + 128 * i;
            float s = 0;
            for (uint k = 0; k < n; k++) {{
                threadgroup_barrier(mem_flags::mem_threadgroup);
                for (uint j = 0; j < 2; j++) ((threadgroup uint4 *)(a + 24 * i))[j] = ((device const uint4 *)p)[j];
                threadgroup_barrier(mem_flags::mem_threadgroup);
                for (uint j = 0; j < 4; j++) s += float(a[24 * (31 - i) + j]);
                {also}
                {step}
            }}
            y[i] = s; {after} }}"
    )
}

const TILE: &str = ") { threadgroup half a[768];";
const STEP: &str = "p += 16;";

/// For launches without checks, of whole SIMD-groups, with a number that is passed.
fn unchecked() -> Options {
    Options {
        target: 90,
        threads: 256,
        alignment: 16,
        whole: true,
        pushed: u64::MAX,
        multiples: u64::MAX,
        ..Options::default()
    }
}

/// How often the text has copies of several iterations, and barriers.
fn found(parts: [&str; 4], options: Options) -> [usize; 2] {
    let text = text_of(&tiles(parts), options);
    ["cp.async.ca", "barrier.sync 0"].map(|name| text.matches(name).count())
}

#[test]
fn tiles_of_four_iterations_are_copied_between_two_barriers() {
    // Two pieces of a lane in each of four iterations; the loop of the rest and the one with checks have two barriers each, too.
    assert_eq!(found([TILE, "", STEP, ""], unchecked()), [8, 6]);
    // Rows that are moved by a number that is passed.
    assert_eq!(found([TILE, "", "p += n * 16;", ""], unchecked()), [2 * 4, 6]);
    // Of tiles that take more memory those of two iterations.
    assert_eq!(found([") { threadgroup half a[8192];", "", STEP, ""], unchecked()), [4, 6]);
}

#[test]
fn a_tile_that_something_else_accesses_or_orders_is_copied_for_one_iteration() {
    for (what, parts) in [
        ("another store to it", [TILE, "a[24 * i + 3] = 1;", STEP, ""]),
        ("a store to memory of the device", [TILE, "y[32 + i] = s;", STEP, ""]),
        (
            "an atomic operation",
            [TILE, "atomic_fetch_add_explicit(u, 1, memory_order_relaxed);", STEP, ""],
        ),
        ("a third barrier", [TILE, "threadgroup_barrier(mem_flags::mem_threadgroup);", STEP, ""]),
        ("a load at an address that changes", [TILE, "s += float(a[24 * i + k]);", STEP, ""]),
        ("lanes whose sources move differently", [TILE, "", "p += 16 * i;", ""]),
        ("another use of the source", [TILE, "s += float(p[3]);", STEP, ""]),
        ("a load after the loop", [TILE, "", STEP, "y[i] += float(a[i]);"]),
        ("too much memory", [") { threadgroup half a[16000];", "", STEP, ""]),
        (
            "memory of a size that the launch passes",
            [
                ", threadgroup half *b [[threadgroup(0)]]) { threadgroup half a[768]; b[i] = 1;",
                "",
                STEP,
                "y[i] += float(b[i ^ 1]);",
            ],
        ),
    ] {
        assert_eq!(found(parts, unchecked())[0], 0, "{what}");
    }
    // A source that was read from the pointer before the loop stays, though the pointer moves.
    let source = tiles([TILE, "", STEP, ""])
        .replace(
            "for (uint k",
            "for (uint o = 0; o < n; o++) { device const half *q = p; for (uint k",
        )
        .replace("uint4 *)p)[j]", "uint4 *)q)[j]")
        .replace("y[i] = s;", "} y[i] = s;");
    assert!(!text_of(&source, unchecked()).contains("cp.async.ca"));
    // Copies that may be to one place are made one after the other.
    let source = tiles([TILE, "", STEP, ""]).replace("24 * i))[j]", "24 * (i + n * j)))[0]");
    assert!(!text_of(&source, unchecked()).contains("cp.async.ca"));
    for options in [
        Options { checked: true, ..unchecked() },
        Options { whole: false, ..unchecked() },
        Options { target: 75, ..unchecked() },
    ] {
        assert_eq!(found([TILE, "", STEP, ""], options)[0], 0, "{options:?}");
    }
}
