//! When machine code is made, and where it takes over from the interpreter.

use crate::soft::cpu::{IsaKind, Program, Way, Workers, by_index::*};
use crate::soft::ir::{Checks, Module};
use crate::soft::msl::{self, ConstantValues, Options};
use std::sync::Barrier;
use std::time::Duration;

fn program(body: &str) -> Program {
    Program::new(&module(body)).unwrap()
}

fn module(body: &str) -> Module {
    let text = format!(
        "#include <metal_stdlib>\nusing namespace metal; kernel void k(device uint *out [[buffer(0)]], \
         constant uint *m [[buffer(1)]], device uint *a [[buffer(2)]], constant uint *none [[buffer(3)]], \
         device atomic_uint *flags [[buffer(4)]], uint i [[thread_position_in_grid]]) {{ {body} }}"
    );
    let library =
        msl::compile(&text, &Options::default()).unwrap_or_else(|e| panic!("{body}: {e}"));
    let (module, _) =
        library.kernel("k", &ConstantValues::default()).unwrap_or_else(|e| panic!("{body}: {e}"));
    module
}

/// Checks are no reason to interpret a kernel.
#[test]
fn checked_kernels_are_machine_code() {
    if !Way::all().last().is_some_and(|way| way.is_native()) {
        return;
    }
    let body = "threadgroup uint tile[64]; uint t = i % 64; uint sum = 0; \
        for (uint k = 0; k < m[0]; k++) { \
            tile[t] = a[64 * k + t]; \
            threadgroup_barrier(mem_flags::mem_threadgroup); \
            for (uint j = 0; j < 64; j++) { sum += tile[j] << (tile[t] & 7); } \
            threadgroup_barrier(mem_flags::mem_threadgroup); \
        } \
        atomic_fetch_add_explicit(flags, 1, memory_order_relaxed); out[i] = sum;";
    for checks in [Checks::RACES, Checks::UNDEFINED, Checks::INIT] {
        let program = Program::checked(&module(body), IsaKind::chosen(), checks).unwrap();
        assert!(program.makes_native() && program.is_one_run(), "{checks:?}");
    }
}

/// Launches `threads` threads in groups of 32; both `m` and `a` have this number. Returns `out`.
fn launch(program: &Program, threads: u32, number: u32, workers: usize) -> Vec<u32> {
    let mut out = vec![0u32; threads as usize];
    let (mut m, mut a, mut flags) = ([number], [number], [0u32; 4]);
    let bind = |index, data: &mut [u32]| Binding {
        index,
        base: data.as_mut_ptr().cast(),
        bytes: size_of_val(data) as u64,
    };
    let bindings = [bind(0, &mut out), bind(1, &mut m), bind(2, &mut a), bind(4, &mut flags)];
    let launch = Launch {
        watchdog: Some(Duration::from_secs(60)),
        ..Launch::of([threads, 1, 1], [32, 1, 1], &bindings)
    };
    // SAFETY: the bindings are the arrays above, which outlive the launch and nothing else uses.
    unsafe { program.launch_by_index(&launch, &Workers::new(workers)) }.unwrap();
    out
}

/// Whether machine code may be made here, and is not made in any case.
fn is_by_need() -> bool {
    let by_need = !matches!(crate::soft::variables::JIT.word().as_str(), "off" | "always");
    by_need && Way::all().last().is_some_and(|way| way.is_native())
}

/// `s` after `number` steps of a generator of numbers.
fn steps(mut s: u32, number: u32) -> u32 {
    for _ in 0..number {
        s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    }
    s
}

#[test]
fn one_short_launch_of_a_long_loop_is_machine_code() {
    if !is_by_need() {
        return;
    }
    let step = "s = s * 1664525u + 1013904223u;";
    // The limit is in constant memory, computed from that, or known to no one.
    let loops = [
        ("for (uint j = 0; j < m[0]; j++)", 1),
        ("for (int j = 1; j <= int(m[0] * 2); j += 2)", 1),
        ("uint top = a[0]; for (uint j = 0; j < top; j++)", 1),
        ("for (uint p = 0; p < 4; p++) for (uint j = 0; j < m[0]; j++)", 4),
    ];
    for (head, factor) in loops {
        let program = program(&format!("uint s = i; {head} {{ {step} }} out[i] = s;"));
        let long = launch(&program, 32, 100_000, 1);
        assert!(program.has_machine_code(), "{head}");
        for (i, found) in (0..).zip(long) {
            assert_eq!(found, steps(i, factor * 100_000), "{head}");
        }
    }
}

#[test]
fn one_short_launch_of_a_short_loop_is_interpreted() {
    if !is_by_need() {
        return;
    }
    for head in [
        "for (uint j = 0; j < m[0]; j++)",
        "for (uint j = 0; j < 20; j++)",
        // A tree is as high as the number has bits.
        "for (uint j = m[0] << 4; j > 0; j >>= 1)",
        "for (uint j = 1; j < a[0]; j <<= 1)",
    ] {
        let program = program(&format!("uint s = i; {head} {{ s = s * 5 + j; }} out[i] = s;"));
        launch(&program, 64, 8, 1);
        assert!(!program.has_machine_code(), "{head}");
        // Many launches are worth it.
        for _ in 0..1000 {
            launch(&program, 64, 8, 1);
        }
        assert!(program.has_machine_code(), "{head}");
    }
}

/// The estimate of such a loop is wrong; what was really done decides.
#[test]
fn machine_code_takes_over_between_threadgroups() {
    if !is_by_need() {
        return;
    }
    let text = "uint s = i, n = 0, zero = a[0] >> 31; \
                for (uint j = 1; j > 0; j = j << zero) { if (n == a[0]) break; n++; \
                s = s * 1664525u + 1013904223u; } out[i] = s;";
    for workers in [1, 2] {
        let program = program(text);
        let out = launch(&program, 16 * 32, 3000, workers);
        assert!(program.has_machine_code());
        for (i, found) in (0..).zip(out) {
            assert_eq!(found, steps(i, 3000), "thread {i}");
        }
    }
}

#[test]
fn a_pointer_to_nothing_in_a_branch_that_is_not_taken_keeps_machine_code() {
    if !is_by_need() {
        return;
    }
    let text = "uint s = i; for (uint j = 0; j < m[0]; j++) { s = s * 1664525u + 1013904223u; } \
                if (m[0] == 7) s += none[5]; out[i] = s;";
    let program = program(text);
    for _ in 0..2 {
        let out = launch(&program, 96, 50_000, 1);
        assert!(program.has_machine_code());
        for (i, found) in (0..).zip(out) {
            assert_eq!(found, steps(i, 50_000), "thread {i}");
        }
    }
}

/// Two threadgroups wait for each other, which takes two workers. The one before them is long, so that helpers come.
#[test]
fn a_small_launch_that_takes_long_has_helpers() {
    let text = "uint s = i, g = i / 32; if (g == 0) { for (uint j = 0; j < m[0]; j++) s = s * 1664525u + 1013904223u; } \
                else if (g < 3) { atomic_store_explicit(&flags[g], 1, memory_order_relaxed); \
                while (atomic_load_explicit(&flags[3 - g], memory_order_relaxed) == 0) {} } out[i] = s;";
    let program = program(text);
    let out = launch(&program, 96, 1_000_000, 2);
    assert_eq!(out[31], steps(31, 1_000_000));
    assert_eq!(out[95], 95);
}

/// Each shape of a threadgroup has code of its own, made by one of the threads that need it.
#[test]
fn threads_that_launch_a_new_kernel_at_once_agree() {
    let text = "kernel void k(device uint *out [[buffer(0)]], uint2 g [[thread_position_in_grid]], \
                uint l [[thread_index_in_threadgroup]]) { threadgroup uint t[32]; t[l] = g.x * 3 + g.y; \
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup); out[g.y * 60 + g.x] = t[0] + t[l] * 5; }";
    let library = msl::compile(text, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let (module, _) = library.kernel("k", &ConstantValues::default()).unwrap();
    const GROUPS: [[u32; 3]; 4] = [[32, 1, 1], [16, 2, 1], [8, 4, 1], [5, 1, 1]];
    for _ in 0..20 {
        let (program, together) =
            (Program::new(&module).unwrap().with_native(true), Barrier::new(8));
        std::thread::scope(|scope| {
            for group in GROUPS.into_iter().chain(GROUPS) {
                let (program, together) = (&program, &together);
                scope.spawn(move || {
                    let mut out = [0u32; 60 * 8];
                    let bytes = size_of_val(&out) as u64;
                    let bindings = [Binding { index: 0, base: out.as_mut_ptr().cast(), bytes }];
                    let launch = Launch::of([60, 8, 1], group, &bindings);
                    let workers = Workers::new(1);
                    together.wait();
                    // SAFETY: the binding is the array above, which outlives the launch and nothing else uses.
                    unsafe { program.launch_by_index(&launch, &workers) }.unwrap();
                    for (at, found) in (0..).zip(out) {
                        let (x, y) = (at % 60, at / 60);
                        let first = x / group[0] * group[0] * 3 + y / group[1] * group[1];
                        assert_eq!(found, first + (x * 3 + y) * 5, "{group:?} {x} {y}");
                    }
                });
            }
        });
    }
}
