//! The reports about faulty kernels: a source that does not compile, and a kernel that reads past the end of its
//! buffer.
//!
//! Run it with `cargo run --release --example diagnostics`.

use aruminium::{Gpu, GpuError};

const MISSPELT: &str = "#include <metal_stdlib>
using namespace metal;

kernel void scale(device float *values [[buffer(0)]],
                  constant float &factor [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
    values[i] *= faktor;
}
";

const TOO_FAR: &str = "#include <metal_stdlib>
using namespace metal;

kernel void shift(device float *values [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    values[i] = values[i + 1];
}
";

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;

    println!("--- a name that is not declared");
    let Err(GpuError::LibraryCompilationFailed(diagnostics)) = gpu.compile(MISSPELT) else {
        panic!("a source with an error compiled");
    };
    println!("{diagnostics}");
    for part in ["program_source:7:", "error:", "faktor"] {
        assert!(diagnostics.contains(part), "the diagnostics do not contain {part}");
    }

    println!("--- a function that is not there");
    let library = gpu.compile(TOO_FAR)?;
    let Err(error @ GpuError::FunctionNotFound(_)) = library.function("shft") else {
        panic!("a function was found by a wrong name");
    };
    println!("{error}");
    assert!(
        error.to_string().contains("shift"),
        "the error does not list the functions that exist"
    );

    println!("--- a thread that reads past the end");
    let pipeline = gpu.pipeline(&library.function("shift")?)?;
    let values = gpu.buffer(1000 * size_of::<f32>())?;
    values.set_label("samples");
    let queue = gpu.new_command_queue()?;
    let commands = queue.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_buffer(&values, 0, 0);
    encoder.launch((1000, 1, 1), (64, 1, 1));
    encoder.finish();
    commands.submit();
    match commands.finish() {
        Ok(()) if cfg!(target_vendor = "apple") => {
            println!("this GPU reads past the end and reports nothing")
        }
        Ok(()) => panic!("the fault of the last thread was not reported"),
        Err(error) => {
            println!("{error}");
            assert!(error.to_string().contains("shift"), "the error does not name the kernel");
        }
    }

    println!("--- the next command buffer runs");
    let commands = queue.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_buffer(&values, 0, 0);
    encoder.launch((999, 1, 1), (64, 1, 1));
    encoder.finish();
    commands.submit();
    commands.finish()?;
    println!("ok");
    Ok(())
}
