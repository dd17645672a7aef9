//! The time between two checks of the watchdog: at most 10 ms of work, whatever a kernel computes.

use super::corpus::textures::images;
use crate::soft::cpu::by_index::{Binding, Launch};
use crate::soft::cpu::{CHECK_OBSERVER, Way, Workers};
use crate::soft::ir::Module;
use crate::soft::msl::{self, ConstantValues, Options};
use crate::soft::system::{THREAD_TIME, seconds};
use crate::test_scale::scaled;
use std::cell::RefCell;
use std::fmt::Write;

/// The limit, in seconds of processor time: other work on the machine adds nothing to it. An emulated processor is many times slower.
const LIMIT: f64 = 0.01;
const EMULATED_LIMIT: f64 = 0.2;

/// Iterations of cheap work before the work of a case: the budget is the largest when that begins.
const CHEAP: u32 = 1 << 17;

/// A kernel whose work takes long, compared with the number of its instructions.
struct Case {
    name: &'static str,
    /// Threadgroups, and threads of each.
    grid: (u32, u32),
    /// Iterations, and the code of one. Machine code, which is faster, runs eight times as many.
    count: u32,
    body: String,
}

fn cases() -> Vec<Case> {
    let case = |name, count, body: &str, times| {
        let body = (0..times).map(|_| body).collect::<Vec<_>>().join("\n");
        Case { name, grid: (1, 32), count, body }
    };
    let power = "s += uint(precise::pow(float(s | 1), 0.1f));";
    let atomic =
        "s = s * 5 + atomic_fetch_add_explicit(&counters[s & 1023], 1u, memory_order_relaxed);";
    let sample = "s += 1 + uint(image.sample(smooth, float2(s & 255, j) / 255, \
                  gradient2d(float2(1, 0.1f), float2(0.1f, 0.01f))).x);";
    let copy =
        "large[1] = large[0]; s += large[1].words[(s + j) & 4095]; large[0].words[s & 4095] = s;";
    let matrix = "c = simdgroup_float8x8(0); simdgroup_multiply_accumulate(c, a, b, c); \
                  simdgroup_multiply_accumulate(a, b, c, a);";
    let matrices = case("matrices", 500, matrix, 4);
    let barrier = "threadgroup_barrier(mem_flags::mem_threadgroup); s += tile[j & 31]; \
                   threadgroup_barrier(mem_flags::mem_threadgroup); tile[s & 31] = j;";
    vec![
        case("64-bit divisions", 100, "s += uint((ulong(s) << 31 | j) / (s | 3));", 16),
        case("powers", 200, power, 16),
        case("atomics", 300, atomic, 16),
        case("samples", 100, sample, 2),
        case("copies of 16 KiB", 20, copy, 1),
        case("straight code", 20, "s = s / (j + 3) + 7;", 300),
        case("loads that miss the cache", 1000, "s = s * 5 + big[(s * 977) & 1048575];", 16),
        case("calls", 1000, "s = step(s, j);", 8),
        Case {
            body: format!(
                "simdgroup_float8x8 a(1.5f), b(0.5f), c; {} \
                 simdgroup_store(a, (device float *)big);",
                matrices.body
            ),
            ..matrices
        },
        Case { grid: (1, 1024), ..case("barriers", 100, barrier, 2) },
        Case { grid: (100_000, 32), ..case("empty groups", 0, "", 0) },
    ]
}

fn module(case: &Case) -> Module {
    let text = format!(
        "#include <metal_stdlib>
        using namespace metal;
        struct Large {{ uint words[4096]; }};
        uint step(uint s, uint j) {{
            for (uint k = 0; k < (j & 7) + 8; k++) {{ s = s / (k + 3) + j * s; }}
            return s;
        }}
        kernel void k(device uint *out [[buffer(0)]], constant uint *counts [[buffer(1)]],
                      device uint *big [[buffer(2)]], device atomic_uint *counters [[buffer(3)]],
                      device Large *large [[buffer(4)]], texture2d<float> image [[texture(2)]],
                      uint i [[thread_position_in_grid]]) {{
            constexpr sampler smooth(filter::linear, mip_filter::linear, max_anisotropy(16));
            threadgroup uint tile[32];
            uint s = i;
            for (uint j = 0; j < counts[0]; j++) {{ s = s * 1664525u + 1013904223u; }}
            for (uint j = 0; j < counts[1]; j++) {{ {} }}
            out[i & 1023] = s;
        }}",
        case.body
    );
    let library = msl::compile(&text, &Options::default());
    let library = library.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let kernel = library.kernel("k", &ConstantValues::default());
    kernel.unwrap_or_else(|error| panic!("{}: {error}", case.name)).0
}

thread_local! {
    /// The processor time of this thread at each check.
    static CHECKS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

fn record_check() {
    CHECKS.with_borrow_mut(|checks| checks.push(seconds(THREAD_TIME)));
}

fn is_emulated() -> bool {
    scaled(20) == 1
}

/// The number of checks of a launch by one worker, and the longest time between two of them.
fn checks(case: &Case, way: Way) -> (usize, f64) {
    let program = way.program(&module(case)).unwrap_or_else(|error| panic!("{error}"));
    let (groups, threads) = case.grid;
    let mut image = images().into_iter().nth(2).expect("an image with levels");
    let textures = [image.texture()];
    let run = |counts: [u32; 2], grid: u32| {
        let lengths = [1024, 2, 1 << 20, 1024, 2 * 4096];
        let mut buffers = lengths.map(|length| (0..length).collect::<Vec<u32>>());
        buffers[1].copy_from_slice(&counts);
        let bindings: Vec<_> = (0..)
            .zip(&mut buffers)
            .map(|(index, buffer)| Binding {
                index,
                base: buffer.as_mut_ptr().cast(),
                bytes: size_of_val(&buffer[..]) as u64,
            })
            .collect();
        let launch = Launch {
            textures: &textures,
            watchdog: None,
            ..Launch::of([grid, 1, 1], [threads, 1, 1], &bindings)
        };
        // SAFETY: the bindings are the vectors above, which outlive the launch and nothing else uses.
        unsafe { program.launch_by_index(&launch, &Workers::new(1)) }.expect("no fault");
    };
    // The first launch makes the machine code.
    run([0, 1], threads);
    CHECKS.take();
    CHECK_OBSERVER.set(Some(record_check));
    let count = if way.is_native() { 8 * case.count } else { case.count };
    let count = if is_emulated() { count.div_ceil(10) } else { count };
    run([if groups == 1 { CHEAP } else { 0 }, count], groups * threads);
    CHECK_OBSERVER.set(None);
    let checks = CHECKS.take();
    let longest = checks.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    (checks.len(), longest)
}

#[test]
fn the_watchdog_is_checked_every_10_ms_of_work() {
    let ways: Vec<_> = Way::all().into_iter().chain([Way::CALLS]).collect();
    let mut late = String::new();
    let (limit, fewest) = if is_emulated() { (EMULATED_LIMIT, 3) } else { (LIMIT, 6) };
    for case in cases() {
        for &way in &ways {
            let (name, way_name) = (case.name, way.name());
            let (number, longest) = checks(&case, way);
            // The first is the start.
            if longest > limit || number < fewest {
                _ = writeln!(
                    late,
                    "{name}, {way_name}: {number} checks, {:.1} ms without one",
                    longest * 1e3
                );
            }
        }
    }
    assert!(late.is_empty(), "{late}");
}
