//! What happens inside of a kernel: a race, a variable without a value, and a shift that the language leaves undefined, each
//! found at its line, and silent once the kernel is corrected.
//!
//! Run it with `cargo run --release --example inside`. A program of your own needs no change:
//! `ARUMINIUM_SOFT_SANITIZE=races,init,undefined` checks all its kernels.

use aruminium::{Checks, Gpu, GpuError, Report};

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
    Ok(())
}
