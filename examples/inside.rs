//! Faults inside a kernel: a race, a variable without a value, and a shift that the language leaves undefined, each
//! found at its line, and silent once the kernel is corrected; then what each line of a transposition does.
//!
//! Run it with `cargo run --release --example inside`. A program of your own needs no change:
//! `ARUMINIUM_SOFT_SANITIZE=races,init,undefined` checks all its kernels, and `ARUMINIUM_SOFT_PROFILE=profile.html` counts what
//! they do.

use aruminium::{Checks, Gpu, GpuError, Profile, Report};

/// A kernel, the check that finds its fault, and what to replace by what to correct it.
struct Faulty {
    name: &'static str,
    checks: Checks,
    source: &'static str,
    wrong: &'static str,
    right: &'static str,
}

const FAULTY: [Faulty; 3] = [
    Faulty {
        name: "a missing barrier",
        checks: Checks::RACES,
        source: "#include <metal_stdlib>
using namespace metal;

kernel void turn(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]],
                 uint t [[thread_index_in_threadgroup]]) {
    threadgroup uint tile[64];
    tile[t] = i;
    // every thread reads what another one wrote
    data[i] = tile[63 - t];
}
",
        wrong: "// every thread",
        right: "threadgroup_barrier(mem_flags::mem_threadgroup); // every thread",
    },
    Faulty {
        name: "a variable without a value",
        checks: Checks::INIT,
        source: "#include <metal_stdlib>
using namespace metal;

kernel void classify(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uint kind;
    if (i < 50) kind = 1;
    else if (i > 50) kind = 2;
    data[i] = kind;
}
",
        wrong: "uint kind;",
        right: "uint kind = 0;",
    },
    Faulty {
        name: "a shift by too many bits",
        checks: Checks::UNDEFINED,
        source: "#include <metal_stdlib>
using namespace metal;

kernel void bits(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    data[i] = 1u << i;
}
",
        wrong: "1u << i",
        right: "1u << (i % 32)",
    },
];

/// Runs a kernel over 128 threads with checks, and returns what they found.
fn run(gpu: &Gpu, source: &str, checks: Checks) -> Result<Vec<Report>, GpuError> {
    let library = gpu.compile(source)?;
    let shader = library.function(&library.function_names()[0])?.checked(checks)?;
    let (pipeline, data) = (gpu.pipeline(&shader)?, gpu.buffer(128 * size_of::<u32>())?);
    let commands = gpu.new_command_queue()?.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_buffer(&data, 0, 0);
    encoder.launch((128, 1, 1), (64, 1, 1));
    encoder.finish();
    commands.submit();
    commands.finish()?;
    commands.reports()
}

/// The side of the matrix that is transposed.
const SIDE: usize = 256;

/// Each lane writes to a row of its own; then through threadgroup memory, whose rows are read by columns; then with rows that
/// are one element longer, so that a column has an element in each bank.
const TRANSPOSE: &str = "#include <metal_stdlib>
using namespace metal;

constant uint side = 256;

kernel void direct(device float *out [[buffer(0)]], device const float *in [[buffer(1)]],
                   uint2 at [[thread_position_in_grid]]) {
    out[at.x * side + at.y] = in[at.y * side + at.x];
}

template <uint row> static void staged(device float *out, device const float *in, threadgroup float *tile,
                                       uint2 group, uint2 t) {
    tile[t.y * row + t.x] = in[(group.y * 32 + t.y) * side + group.x * 32 + t.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[(group.x * 32 + t.y) * side + group.y * 32 + t.x] = tile[t.x * row + t.y];
}

kernel void tiled(device float *out [[buffer(0)]], device const float *in [[buffer(1)]],
                  uint2 group [[threadgroup_position_in_grid]], uint2 t [[thread_position_in_threadgroup]]) {
    threadgroup float tile[32 * 32];
    staged<32>(out, in, tile, group, t);
}

kernel void padded(device float *out [[buffer(0)]], device const float *in [[buffer(1)]],
                   uint2 group [[threadgroup_position_in_grid]], uint2 t [[thread_position_in_threadgroup]]) {
    threadgroup float tile[32 * 33];
    staged<33>(out, in, tile, group, t);
}
";

/// Transposes a matrix, and returns what the kernel did.
fn transpose(gpu: &Gpu, kernel: &str) -> Result<Option<Profile>, GpuError> {
    let shader = gpu.compile(TRANSPOSE)?.function(kernel)?.checked(Checks::PROFILE)?;
    let pipeline = gpu.pipeline(&shader)?;
    let [out, input] = [gpu.buffer(SIDE * SIDE * 4)?, gpu.buffer(SIDE * SIDE * 4)?];
    input.write_f32(|values| values.iter_mut().zip(0..).for_each(|(value, n)| *value = n as f32));
    let commands = gpu.new_command_queue()?.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_buffer(&out, 0, 0);
    encoder.bind_buffer(&input, 0, 1);
    encoder.launch((SIDE, SIDE, 1), (32, 32, 1));
    encoder.finish();
    commands.submit();
    commands.finish()?;
    let right = |(n, value): (usize, &f32)| *value == (n % SIDE * SIDE + n / SIDE) as f32;
    assert!(out.read_f32(|values| values.iter().enumerate().all(right)), "{kernel}");
    pipeline.profile()
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    for Faulty { name, checks, source, wrong, right } in FAULTY {
        println!("--- {name}");
        let found = match run(&gpu, source, checks) {
            Err(GpuError::Unsupported(why)) => {
                println!("not on this system: {why}");
                return Ok(());
            }
            found => found?,
        };
        assert!(!found.is_empty(), "{name}: not found");
        for report in found {
            println!("{report}");
        }
        let corrected = run(&gpu, &source.replace(wrong, right), checks)?;
        assert!(corrected.is_empty(), "{name}: {corrected:?}");
        println!("corrected, with `{right}`: nothing is reported");
    }
    let hints = ["transpose the data, or stage it", "pad the rows of the array", ""];
    for (kernel, expected) in ["direct", "tiled", "padded"].into_iter().zip(hints) {
        println!("--- what each line of '{kernel}' does");
        let Some(profile) = transpose(&gpu, kernel)? else { continue };
        print!("{profile}");
        let mut hints = profile.lines.iter().flat_map(|line| &line.hints);
        match expected {
            "" => assert_eq!(hints.next(), None),
            _ => assert!(hints.any(|hint| hint.contains(expected)), "{kernel}"),
        }
    }
    Ok(())
}
