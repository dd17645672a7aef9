//! Measures an access to a texture as an operation of the interpreter, and as a call of the library's routine that machine code
//! has inlined: `cargo test --release --lib -- --ignored --exact soft::ptx::tests::sampling::speed --nocapture`.

use super::textures::{bytes_of, kernel, run};
use crate::soft::cpu::{Program, Workers, by_index};
use crate::soft::ir::Sampler;
use crate::soft::kernel::order::Random;
use crate::soft::kernel::texture::{Level, Texture};
use crate::soft::msl::{self, ConstantValues};
use crate::soft::stream::format::Format;
use std::time::Instant;

const THREADS: u32 = 1 << 16;

const OPERATION: &str = "
#include <metal_stdlib>
using namespace metal;
kernel void sampled(texture2d<float> t [[texture(0)]], sampler s [[sampler(0)]], const device float2 *at [[buffer(0)]],
                    device float4 *out [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = t.sample(s, at[i]); }
kernel void read(texture2d<float> t [[texture(0)]], sampler s [[sampler(0)]], const device float2 *at [[buffer(0)]],
                 device float4 *out [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = t.read(uint2(at[i] * 256)); }
";

/// Nanoseconds of a pixel: the least of some launches, after those that make machine code.
fn measured(mut launch: impl FnMut()) -> f64 {
    let times = (0..20).map(|_| {
        let start = Instant::now();
        launch();
        start.elapsed().as_secs_f64() * 1e9 / f64::from(THREADS)
    });
    times.skip(5).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "measures, and checks nothing but equal pixels"]
fn speed() {
    let side = 256;
    let mut random = Random::new(3);
    let mut pixels: Vec<u64> = (0..side * side / 2).map(|_| random.next()).collect();
    let mut at: Vec<[f32; 2]> = (0..THREADS)
        .map(|_| [0; 2].map(|_| random.below(1 << 20) as f32 / (1 << 20) as f32))
        .collect();
    let level = Level { offset: 0, row: 4 * side, image: 4 * side * side, size: [256, 256, 1] };
    // RGBA, 8 bits each.
    let format = Format::of(70).expect("a format");
    let (base, levels, swizzle) = (pixels.as_mut_ptr().cast(), &[level][..], [2, 3, 4, 5]);
    let (stride, sides, cube) = (4 * side * side, 2, false);
    let texture = Texture { base, levels, slices: 1, stride, sides, cube, format, swizzle, id: 0 };
    let library = msl::compile(OPERATION, &msl::Options::default()).expect("a library");
    for (name, routine, filters) in
        [("sampled", "sampled_inline", [0, 1]), ("read", "read_inline", [0, 0])]
    {
        for filter in filters.into_iter().take(if name == "read" { 1 } else { 2 }) {
            let mut sampler = Sampler::default();
            for option in ["min_filter", "mag_filter"] {
                sampler.set_number(option, filter).expect("a filter");
            }
            let mut of = [vec![[0u32; 4]; THREADS as usize], vec![[0u32; 4]; THREADS as usize]];
            let [by_operation, by_routine] = &mut of;
            let (module, _) = library.kernel(name, &ConstantValues::default()).expect("a kernel");
            let (program, workers) = (Program::new(&module).expect("code"), Workers::new(1));
            let bindings = [bytes_of(&mut at), bytes_of(by_operation)].map(|bytes| {
                by_index::Binding { index: 0, base: bytes.as_mut_ptr(), bytes: bytes.len() as u64 }
            });
            let bindings = [bindings[0], by_index::Binding { index: 1, ..bindings[1] }];
            let launch = by_index::Launch {
                textures: &[(0, texture)],
                samplers: &[(0, sampler)],
                ..by_index::Launch::of([THREADS, 1, 1], [256, 1, 1], &bindings)
            };
            // SAFETY: what is bound outlives the launch.
            let operation =
                measured(|| unsafe { program.launch_by_index(&launch, &workers) }.unwrap());
            let inlined = kernel(routine);
            let mut packed = [sampler.0];
            let routine = measured(|| {
                let args = &mut [bytes_of(&mut at), bytes_of(&mut packed), bytes_of(by_routine)];
                run(&*inlined, &texture, THREADS, args);
            });
            assert!(of[0] == of[1], "{name}, filter {filter}");
            println!(
                "{name}, filter {filter}: {operation:.1} ns as an operation, {routine:.1} ns as a routine"
            );
        }
    }
}
