//! Loops that are unrolled after arrays became variables: in the interpreter they compute the same as before.

use super::super::pipeline::{PIPELINE, UNROLLED};
use crate::soft::cpu::by_index::{Binding, Launch};
use crate::soft::cpu::{Program, Workers};
use crate::soft::ir::passes::{self, Pipeline, SCALAR};
use crate::soft::ir::{FuncId, Function, Module, with_stack};
use crate::soft::msl::{self, ConstantValues};

const THREADS: u32 = 64;

fn module(body: &str) -> Module {
    let source = format!(
        "#include <metal_stdlib>
        using namespace metal;
        kernel void k(device uint *out [[buffer(0)]], device const uint *in [[buffer(1)]],
            uint t [[thread_position_in_grid]]) {{ uint x = in[t], y = 0; {body} out[2 * t] = x; out[2 * t + 1] = y; }}"
    );
    let library = msl::compile(&source, &msl::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    library.kernel("k", &ConstantValues::default()).unwrap_or_else(|error| panic!("{error}")).0
}

fn after(module: &Module, pipeline: &Pipeline) -> Function {
    with_stack(|| passes::run(module, pipeline)).expect("code").swap_remove(0)
}

/// The results that the threads of a kernel write.
fn results(module: &Module) -> Vec<u32> {
    let mut out = vec![0u32; 2 * THREADS as usize];
    // Some threads never leave early, some at once, most in between.
    let mut read: Vec<u32> = (0..THREADS).map(|t| if t < 8 { t } else { 37 * t }).collect();
    let bindings: Vec<Binding> = [&mut out, &mut read]
        .into_iter()
        .zip(0..)
        .map(|(words, index)| Binding {
            index,
            base: words.as_mut_ptr().cast(),
            bytes: 4 * words.len() as u64,
        })
        .collect();
    let program = Program::new(module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    let launch = Launch::of([THREADS, 1, 1], [THREADS, 1, 1], &bindings);
    // SAFETY: the bindings are the vectors above, which outlive the launch and nothing else uses.
    unsafe { program.launch_by_index(&launch, &Workers::new(1)) }.expect("no fault");
    out
}

/// Compares the results of a kernel with those of what the passes make of it. Returns that, before and after it is unrolled.
fn compared(body: &str) -> [String; 2] {
    let module = module(body);
    let before = after(&module, &Pipeline { first: &[SCALAR], ..PIPELINE });
    let unrolled = after(&module, &Pipeline { first: &[SCALAR, UNROLLED], ..PIPELINE });
    let texts = [&before, &unrolled].map(ToString::to_string);
    let expected = results(&module);
    for function in [before, unrolled, after(&module, &PIPELINE)] {
        let text = function.to_string();
        let passed = Module { functions: vec![function], entry: FuncId(0), ..module.clone() };
        assert_eq!(results(&passed), expected, "{body}\n{text}");
    }
    texts
}

#[test]
fn partially_unrolled_loops_compute_the_same() {
    let stays = "x <= 1000";
    let grows = "x += x >> 3; y += i;";
    for (body, copies) in [
        (format!("for (uint i = 0; i < 256 && {stays}; i++) {{ {grows} }}"), 4),
        (format!("for (uint i = 0; i < 4 && {stays}; i++) {{ {grows} }}"), 4),
        (format!("for (uint i = 3; i < 195 && {stays}; i += 3) {{ {grows} }}"), 4),
        (format!("for (int i = 40; i > -24 && {stays}; i -= 2) {{ {grows} }}"), 4),
        (format!("for (uint i = 0; {stays} && i != 64; i++) {{ {grows} }}"), 4),
        (format!("for (uchar i = 0; i < 200 && {stays}; i += 5) {{ {grows} }}"), 4),
        (format!("for (uint i = 0; i < 1024 && {stays}; i++) {{ {grows} }}"), 4),
        // The number of iterations is no multiple of four, or large.
        (format!("for (uint i = 0; i < 255 && {stays}; i++) {{ {grows} }}"), 1),
        (format!("for (uint i = 0; i < 1028 && {stays}; i++) {{ {grows} }}"), 1),
        // Another variable has a constant start and step, and is not tested.
        (
            format!(
                "uint j = 5; for (uint i = 0; i < 64 && {stays}; j += 3, i++) {{ {grows} y ^= j; }}"
            ),
            4,
        ),
        (
            format!(
                "uint j = 5; for (uint i = 0; i < 64 && {stays}; i++, j += 3) {{ {grows} y ^= j; }}"
            ),
            4,
        ),
        // The body reads a result of the test.
        (
            format!(
                "bool few; for (uint i = 0; (few = i < 64) && {stays}; i++) {{ {grows} y += few ? 3 : x; }} y += few;"
            ),
            4,
        ),
        // Values that are constant in the first iterations only.
        (
            format!(
                "bool few; for (uint i = 0; (few = i < 30) | (i < 64) && {stays}; i++) {{ {grows} y += few ? 3 : x; }}"
            ),
            4,
        ),
        // The counter changes before the rest of the iteration, or before the test.
        (format!("uint i = 0; while (i < 64 && {stays}) {{ i++; {grows} }}"), 4),
        (format!("uint i = 0; do {{ {grows} i++; }} while (i < 64 && {stays});"), 1),
        // Each iteration is long, since a function of the library is.
        (
            format!(
                "float f = x; for (uint i = 0; i < 64 && {stays}; i++) {{ {grows} f = sin(f); }} y += f > 0;"
            ),
            1,
        ),
    ] {
        let [before, unrolled] = compared(&body);
        assert_eq!(before.matches("break").count(), 1, "{body}\n{before}");
        assert_eq!(unrolled.matches("break").count(), copies, "{body}\n{unrolled}");
    }
}

#[test]
fn loops_that_arrays_in_memory_made_long_are_unrolled() {
    let twice = "a[0] += a[1] >> 3; a[1] ^= a[0] + i; a[2] += a[1]; a[0] ^= a[2] << 1;".repeat(2);
    let body = format!(
        "uint a[3] = {{ x, x + 1, 7 }}; for (uint i = 0; i < 24; i++) {{ {twice} }} x = a[0]; y = a[1] ^ a[2];"
    );
    let [before, unrolled] = compared(&body);
    assert!(before.contains("loop"), "{before}");
    assert!(!unrolled.contains("loop"), "{unrolled}");
}
