//! The whole texts of a few kernels, in `tests/ptx`: a change of the emitter shows there what it changes. `ARUMINIUM_UPDATE=1` writes
//! them.

use super::super::emit::Options;
use super::{refused, texts};
use std::path::PathBuf;

/// Kernels of `benches/kernels`.
const BENCHES: [&str; 4] = ["saxpy", "matmul", "matmul_tiled", "mandelbrot"];

/// Small kernels, one for each mechanism.
const SMALL: [(&str, &str); 8] = [
    (
        "divergent_sum",
        "kernel void k(device uint *x, uint i [[thread_position_in_grid]]) {
            if (x[i] & 1) x[i] = metal::simd_sum(x[i]); }",
    ),
    (
        "barrier_under_a_condition",
        "kernel void k(device uint *x, uint i [[thread_position_in_grid]]) {
            threadgroup uint t[64];
            if (x[0] != 0) { t[i] = i; metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup); }
            x[i] = t[63 - i]; }",
    ),
    (
        "atomic",
        "kernel void k(device metal::atomic_uint *x, device uint *y, uint i [[thread_position_in_grid]]) {
            y[i] = metal::atomic_fetch_add_explicit(x, y[i], metal::memory_order_relaxed); }",
    ),
    (
        "short_floats",
        "kernel void k(device half *x, device bfloat *y, uint i [[thread_position_in_grid]]) {
            float sum = float(x[i]) + float(y[i]); x[i] = half(sum); y[i] = bfloat(sum); }",
    ),
    (
        "texture",
        "kernel void k(metal::texture2d<float> t, device float4 *x, uint2 i [[thread_position_in_grid]]) {
            x[i.x] = t.read(i); }",
    ),
    (
        "argument_buffer",
        "struct Args { device uint *x; };
        kernel void k(constant Args &args, uint i [[thread_position_in_grid]]) { args.x[i] = i; }",
    ),
    (
        "joined_loads",
        "struct S { float a, b, c; };
        kernel void k(device float *x, device const S *s, uint i [[thread_position_in_grid]]) {
            x[i] = s[i].a + s[i].b + s[i].c; }",
    ),
    (
        "loop_that_may_not_end",
        "kernel void k(device uint *x) { while (x[0] != 0) x[0] = x[x[0]]; }",
    ),
];

#[test]
fn the_texts_of_a_few_kernels_are_as_recorded() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/ptx");
    let updates = std::env::var_os("ARUMINIUM_UPDATE").is_some();
    let bench = |name: &str| {
        let path = root.join(format!("benches/kernels/{name}.metal"));
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let benches = BENCHES.map(|name| (name, bench(name)));
    let small = SMALL.map(|(name, source)| (name, source.to_owned()));
    let mut wrong = Vec::new();
    for (name, source) in benches.into_iter().chain(small) {
        let (target, threads, alignment) = (80, 256, 16);
        // A barrier that not all threads reach is looked for in strict launches only.
        let strict = name.starts_with("barrier");
        let options = Options {
            target,
            threads,
            alignment,
            strict,
            checked: true,
            pushed: u64::MAX,
            ..Options::default()
        };
        let text = || {
            let (_, text) = texts(name, &source, options, 1).remove(0);
            text.unwrap_or_else(|what| panic!("{name}: {what}"))
        };
        let text = {
            let first = text();
            // No order of hashes reaches the text.
            assert_eq!(first, text(), "{name}");
            first
        };
        assert_eq!(refused(&text, target), None, "{name}");
        let path = folder.join(format!("{name}.ptx"));
        if updates {
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(&path, &text).expect("a file");
        } else if std::fs::read_to_string(&path).is_ok_and(|recorded| recorded == text) {
            continue;
        } else {
            wrong.push(name);
        }
    }
    let look = "ARUMINIUM_UPDATE=1 writes the texts, and `git diff tests/ptx` shows the difference";
    assert!(wrong.is_empty(), "{wrong:?}: {look}");
}
