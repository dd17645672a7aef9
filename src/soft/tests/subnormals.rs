//! Kernels keep subnormal numbers, even if the program has set the processor to flush them to zero.

use std::hint::black_box;

use crate::soft::cpu::{Way, Workers, by_index::*};
use crate::soft::msl::{self, ConstantValues, Options};
use crate::test_floats::flushing;

/// Enough for helpers.
const THREADS: u32 = 8192;

const TEXT: &str = "#include <metal_stdlib>\nusing namespace metal;\n\
    kernel void k(device float *out [[buffer(0)]], device const float *a [[buffer(1)]], constant float *c [[buffer(2)]], \
    device half *h [[buffer(3)]], uint i [[thread_position_in_grid]]) { \
    out[i] = a[i] * 0.5f + c[0] * 0.5f + 1.5e-38f * 0.25f; h[i] = h[i] * 0.5h; }";

/// Products of an operand of each thread, of one that all have in common, and of constants.
#[test]
fn a_program_that_flushes_subnormal_numbers_changes_no_result() {
    let half = black_box(0.5f32);
    let a: Vec<f32> = (0..THREADS).map(|i| f32::from_bits(i * 1021 + 1)).collect();
    let mut c = [f32::from_bits(0x0012_3456)];
    let rest = c[0] * half;
    let folded = black_box(1.5e-38f32) * black_box(0.25);
    let want: Vec<u32> = a.iter().map(|a| (a * half + rest + folded).to_bits()).collect();
    assert!(want.iter().all(|&bits| f32::from_bits(bits).is_subnormal()));
    let halves: Vec<u16> = (0..THREADS).map(|i| (i % 1024) as u16).collect();
    // To the nearest, and in the middle to the even one.
    let want_halves: Vec<u16> = halves.iter().map(|&h| h / 2 + (h & (h / 2) & 1)).collect();
    flushing(|| {
        assert_eq!((black_box(c[0]) * half).to_bits(), 0);
        let library = msl::compile(TEXT, &Options::default()).expect("valid text");
        let (module, _) = library.kernel("k", &ConstantValues::default()).expect("the kernel");
        for way in Way::all() {
            let (mut out, mut a, mut h) = (vec![0f32; a.len()], a.clone(), halves.clone());
            let bytes = 4 * u64::from(THREADS);
            let bindings = [
                Binding { index: 0, base: out.as_mut_ptr().cast(), bytes },
                Binding { index: 1, base: a.as_mut_ptr().cast(), bytes },
                Binding { index: 2, base: c.as_mut_ptr().cast(), bytes: 4 },
                Binding { index: 3, base: h.as_mut_ptr().cast(), bytes: bytes / 2 },
            ];
            let launch = Launch::of([THREADS, 1, 1], [64, 1, 1], &bindings);
            let program = way.program(&module).expect("a program");
            // SAFETY: the bindings are the vectors above, which outlive the launch and nothing else uses.
            unsafe { program.launch_by_index(&launch, &Workers::new(2)) }.expect("no fault");
            let found: Vec<u32> = out.iter().map(|out| out.to_bits()).collect();
            assert!(found == want, "{}: {found:x?} instead of {want:x?}", way.name());
            assert!(h == want_halves, "{}: {h:?} instead of {want_halves:?}", way.name());
            // The program has the state that it set.
            assert_eq!((black_box(c[0]) * half).to_bits(), 0, "{}", way.name());
        }
    });
}
