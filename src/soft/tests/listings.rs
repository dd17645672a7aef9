//! Listings of machine code, and the reasons given for kernels without machine code.

use crate::soft::cpu::{Cpu, Way};
use crate::soft::ir::{Checks, Module, passes};
use crate::soft::kernel::{Backend, CompileOptions, Executable};
use crate::soft::msl::{self, ConstantValues, Options};

fn module(name: &str, functions: &str, body: &str) -> Module {
    let text = format!(
        "#include <metal_stdlib>\nusing namespace metal; {functions}\n\
         kernel void {name}(device int *out [[buffer(0)]], texture2d<float, access::write> t [[texture(0)]]) {{ {body} }}"
    );
    let library = msl::compile(&text, &Options::default()).unwrap();
    library.kernel(name, &ConstantValues::default()).unwrap().0
}

/// A kernel that machine code runs, if there is machine code here.
fn native(module: &Module) -> Option<Box<dyn Executable>> {
    let way = Way::all().pop().filter(|way| way.is_native())?;
    Some(way.executable(module).unwrap())
}

#[test]
fn a_deep_kernel_is_listed_on_a_small_stack() {
    let mut functions = String::from("int f0(int x) { return x + 1; }\n");
    for level in 1..=5 {
        let (open, close) = (format!("if (x > {level}) {{ ").repeat(200), " }".repeat(200));
        let before = level - 1;
        functions += &format!(
            "int f{level}(int x) {{ {open} return f{before}(x * 3); {close} return 1; }}\n"
        );
    }
    let Some(kernel) = native(&module("k", &functions, "out[0] = f5(out[0]);")) else { return };
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let listing = small.spawn_scoped(scope, || kernel.listing(&|_| None)).unwrap();
        assert!(listing.join().unwrap().unwrap().starts_with("IR of "));
    });
}

/// Without checks the passes that add them change nothing, and the machine code is the same to the byte, whatever was checked before.
#[test]
fn kernels_without_checks_have_the_same_code() {
    let functions = "union U { float f; int i; };";
    let body = "threadgroup int tile[64]; threadgroup atomic_int sum; int x = out[1], y; U u = { 1 };
        for (int k = 0; k < x; k++) { y = tile[k & 63] / (x - 3) << k; tile[k & 63] = y + int(u.f); u.i += 1; }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        atomic_fetch_add_explicit(&sum, tile[x & 63], memory_order_relaxed);
        simdgroup_barrier(mem_flags::mem_none);
        *(device int4 *)(out + 4) = int4(x, tile[0], u.i, atomic_load_explicit(&sum, memory_order_relaxed));";
    let module = module("plain", functions, body);
    for function in &module.functions {
        let mut checked = function.clone();
        passes::add_checks(&mut checked, Checks::NONE);
        assert_eq!(format!("{checked:?}"), format!("{function:?}"));
    }
    let listing = || Some(native(&module)?.listing(&|_| None).unwrap());
    let Some(before) = listing() else { return };
    let all = Checks::RACES.with(Checks::INIT).with(Checks::UNDEFINED);
    let options = CompileOptions { checks: all, ..CompileOptions::default() };
    assert!(before.contains("machine code of") && Cpu::new(1).compile(&module, &options).is_ok());
    assert_eq!(listing(), Some(before));
}

#[test]
fn a_listing_is_refused_with_the_reason() {
    let plain = module("k", "", "out[0] = 1;");
    let counted = CompileOptions { checks: Checks::PROFILE, ..CompileOptions::default() };
    let counted = Cpu::new(1).compile(&plain, &counted).unwrap();
    let refused = |kernel: &dyn Executable| kernel.listing(&|_| None).unwrap_err().to_string();
    let error = refused(&*counted);
    assert!(error.contains("machine code counts nothing"), "{error}");
    let Some(kernel) = native(&module("k", "", "t.write(float4(1), uint2(0));")) else { return };
    let error = refused(&*kernel);
    assert!(error.contains("no sequence of statements that is long enough"), "{error}");
}

#[test]
fn a_defect_in_a_listing_is_an_error() {
    for name in ["fails_in_listing", "panics_in_listing"] {
        let Some(kernel) = native(&module(name, "", "out[0] = 1;")) else { return };
        let error = kernel.listing(&|_| None).unwrap_err().to_string();
        assert!(error.contains("injected by a test"), "{error}");
    }
}

/// Otherwise strips wait for each other at each barrier, with their registers in memory.
#[test]
fn barriers_that_all_threads_reach_make_phases() {
    const BARRIER: &str = "threadgroup_barrier(mem_flags::mem_threadgroup);";
    const PHASES: &str = "all of k";
    const ROUNDS: &str = "all of, in rounds between barriers, k";
    const PART: &str = "a part of k";
    let cases = [
        (PHASES, "t[l] = out[l]; WAIT out[l] = t[l ^ 1];"),
        (PHASES, "for (uint k = 0; k < n; k++) { t[l] += k; WAIT out[l] += t[l ^ 1]; WAIT }"),
        (PHASES, "if (n > 3) { t[l] = l; WAIT out[l] = t[l ^ 1]; }"),
        // Code in two versions, both of which use what was computed before the phase.
        (
            PHASES,
            "ulong first = (ulong(g) / 3) % 5; t[l] = out[l] + out[l + 1] + out[l + 2] + out[l + 3] + out[l + 4] + out[l + 5] + \
             int(ulong(l) * first); WAIT out[l] = t[l ^ 1];",
        ),
        // Pointers that vary are the interpreter's, and pointers to the start of an argument or variable are constants.
        (PART, "threadgroup int *p = l & 1 ? t : t + 512; p[l & 511] = l; WAIT out[l] = t[l ^ 1];"),
        (
            PART,
            "device int *p = out; if (l > n) { p = out + l; } t[l] = *p; WAIT out[l] = t[l ^ 1];",
        ),
        (PHASES, "if (l < n) { out[l] = 1; } WAIT for (uint k = 0; k < l; k++) { out[l] *= 3; }"),
        (PHASES, "if (g & 1) { return; } t[l] = l; WAIT out[l] = t[l ^ 1];"),
        (PHASES, "if (n > 3) { out[l] = 1; return; } t[l] = l; WAIT out[l] = t[l ^ 1];"),
        (
            PHASES,
            "for (uint k = 0; k < n; k++) { t[l] += k; WAIT if (k == g) { return; } out[l] += t[l ^ 1]; WAIT }",
        ),
        (PHASES, "t[l] = l; WAIT if (l > n) { return; } out[l] = t[l ^ 1];"),
        (ROUNDS, "if (l >= n) { return; } t[l] = l; WAIT out[l] = t[l ^ 1];"),
        (ROUNDS, "if (l < n) { t[l] = l; WAIT } out[l] = t[l ^ 1];"),
        (
            ROUNDS,
            "for (uint k = 0; k < out[0]; k++) { t[l] += k; WAIT out[l + 1] += t[l ^ 1]; WAIT }",
        ),
    ];
    for (kind, body) in cases {
        let body = body.replace("WAIT", BARRIER);
        let text = format!(
            "#include <metal_stdlib>\nusing namespace metal; kernel void k(device int *out [[buffer(0)]], \
             constant uint &n [[buffer(1)]], uint l [[thread_index_in_threadgroup]], \
             uint g [[threadgroup_position_in_grid]]) {{ threadgroup int t[1024]; {body} }}"
        );
        let library = msl::compile(&text, &Options::default()).unwrap();
        let (module, _) = library.kernel("k", &ConstantValues::default()).unwrap();
        let Some(kernel) = native(&module) else { return };
        let listing = kernel.listing(&|_| None).unwrap();
        let found = listing.lines().find_map(|line| line.strip_prefix("machine code of "));
        assert!(found.is_some_and(|found| found.starts_with(kind)), "{kind}: {body}\n{listing}");
    }
}

/// Otherwise each level of a sum computes masks of lanes that agree.
#[test]
fn a_comparison_that_changes_between_strips_is_made_once_for_a_strip() {
    for (bound, masks) in [(64, false), (63, true)] {
        let text = format!(
            "#include <metal_stdlib>\nusing namespace metal; kernel void k(device int *out [[buffer(0)]], \
             uint l [[thread_index_in_threadgroup]]) {{ threadgroup int t[1024]; t[l] = out[l]; \
             threadgroup_barrier(mem_flags::mem_threadgroup); if (l < {bound}) {{ t[l] += t[l + 64]; }} \
             threadgroup_barrier(mem_flags::mem_threadgroup); out[l] = t[l]; }}"
        );
        let library = msl::compile(&text, &Options::default()).unwrap();
        let (module, _) = library.kernel("k", &ConstantValues::default()).unwrap();
        let Some(kernel) = native(&module) else { return };
        let listing = kernel.listing(&|_| None).unwrap();
        assert_eq!(listing.contains("CompareLanes"), masks, "{bound}\n{listing}");
    }
}

/// The levels of a tree of sums in which fewer threads add than a strip has, and what follows, are one phase.
#[test]
fn neighbouring_phases_of_the_first_strip_are_joined() {
    let text = "#include <metal_stdlib>\nusing namespace metal; kernel void k(device uint *out [[buffer(0)]], \
        uint l [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]]) { \
        threadgroup uint t[256]; t[l] = out[l]; threadgroup_barrier(mem_flags::mem_threadgroup); \
        for (uint s = 128; s > 0; s /= 2) { if (l < s) { t[l] += t[l + s]; } \
        threadgroup_barrier(mem_flags::mem_threadgroup); } if (l == 0) { out[g] = t[0]; } }";
    let library = msl::compile(text, &Options::default()).unwrap();
    let (module, _) = library.kernel("k", &ConstantValues::default()).unwrap();
    let Some(kernel) = native(&module) else { return };
    let listing = kernel.listing(&|_| None).unwrap();
    let of_kind = |kind: &str| {
        let codes = listing.split("machine code of ");
        codes
            .filter(|code| code.lines().next().is_some_and(|first| first.contains(kind)))
            .collect::<Vec<_>>()
    };
    let [line] = of_kind("of one row of whole SIMD-groups")[..] else { panic!("{listing}") };
    let strip = if line.starts_with("all of k, 32") { 32u32 } else { 8 };
    let loops = line.matches("NextStrip").count() as u32;
    // Loads, the levels from 128 threads down to twice a strip, and no loop for the rest.
    assert_eq!(loops, 1 + (128 / strip).ilog2(), "{listing}");
    assert!(!line.contains("MaskOfBits"), "{line}");
    // Elsewhere later rows have threads at the first positions, too.
    let [rows, ..] = of_kind("neighbours in x")[..] else { panic!("{listing}") };
    assert_eq!(rows.matches("NextStrip").count(), 10, "{listing}");
}

/// What lanes that are still in a loop assign is computed under their mask, and of two conditions the second one under that of the first.
#[test]
fn results_of_some_lanes_are_computed_under_a_mask() {
    let text = "#include <metal_stdlib>\nusing namespace metal; kernel void k(device uint *out [[buffer(0)]], \
        device const float *in [[buffer(1)]], uint at [[thread_position_in_grid]]) { float x = in[at]; uint k = 0; \
        while (k < 256 && x < 4) { x = x * x + in[0]; k++; } out[at] = k; }";
    let library = msl::compile(text, &Options::default()).unwrap();
    let (module, _) = library.kernel("k", &ConstantValues::default()).unwrap();
    let Some(kernel) = native(&module) else { return };
    let listing = kernel.listing(&|_| None).unwrap();
    if !listing.contains("zmm") {
        return;
    }
    let under_mask =
        |name: &str| listing.lines().any(|line| line.contains(name) && line.contains("{k"));
    assert!(under_mask("vpaddd"), "{listing}");
    assert!(under_mask("vcmpps") || under_mask("vpcmpud"), "{listing}");
}
