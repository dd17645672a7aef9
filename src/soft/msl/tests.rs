//! Whole files through all phases: the corpus, the diagnostics, and what no input may do.

use super::*;

fn errors(text: &str) -> String {
    match compile(text, &Options::default()) {
        Ok(library) => {
            let mut out = library.warnings.clone();
            for entry in &library.entries {
                if let Err(error) = library.kernel(&entry.name, &ConstantValues::default()) {
                    out += &error.0;
                }
            }
            out
        }
        Err(error) => error.0,
    }
}

#[test]
fn a_kernel_becomes_ir() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        kernel void saxpy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],\n\
        constant float& a [[buffer(2)]], uint i [[thread_position_in_grid]]) { y[i] = a * x[i] + y[i]; }";
    let library = compile(text, &Options::default()).unwrap();
    let (module, reflection) = library.kernel("saxpy", &ConstantValues::default()).unwrap();
    ir::verify(&module).unwrap();
    assert_eq!(reflection.arguments.len(), 4);
    println!("{module}");
}

/// Kernels that others wrote, from wherever they are: one line a file, with the first error of each
/// that fails. `ARUMINIUM_KERNELS=folder cargo test --lib real_kernels -- --ignored --nocapture`
#[test]
#[ignore = "reads the folder that ARUMINIUM_KERNELS names"]
fn real_kernels() {
    let folder = std::env::var("ARUMINIUM_KERNELS").expect("ARUMINIUM_KERNELS names a folder");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "metal"));
    files.sort();
    let (mut whole, mut lowered, mut asked) = (0, 0, 0);
    let mut time = std::time::Duration::ZERO;
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let start = std::time::Instant::now();
        let library = compile(&text, &Options::default());
        time += start.elapsed();
        let library = match library {
            Ok(library) => library,
            Err(error) => {
                println!("{name}: {}", error.0.lines().take(3).collect::<Vec<_>>().join("\n    "));
                continue;
            }
        };
        whole += 1;
        for entry in library.entries.iter().filter(|entry| entry.stage == Stage::Kernel) {
            asked += 1;
            match library.kernel(&entry.name, &ConstantValues::default()) {
                Ok((module, _)) => match ir::verify(&module) {
                    Ok(()) => lowered += 1,
                    Err(error) => println!("{name}: {}: invalid IR: {error:?}", entry.name),
                },
                Err(error) => println!("{name}: {}: {}", entry.name, error.0.lines().take(3).collect::<Vec<_>>().join("\n    ")),
            }
        }
    }
    println!("{whole} of {} files, {lowered} of {asked} kernels, {time:?} to compile", files.len());
}
