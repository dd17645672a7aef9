//! Kernels of other projects become text that NVIDIA's assembler takes. `ARUMINIUM_TEST_PTX_SOURCES` names the folder with their sources,
//! which `tests/kernels` writes.

use super::super::emit::{self, Options};
use super::refused;
use crate::soft::ir::{Scalar, with_stack};
use crate::soft::msl::ast::Stage;
use crate::soft::msl::{self, ConstantValues};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Every nth kernel is tried: all would take the assembler an hour.
const EVERY: usize = 32;

/// The files with kernels below a folder.
fn find(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, out);
        } else if path.extension().is_some_and(|found| found == "metal") {
            out.push(path);
        }
    }
}

/// A value for each function constant: `false`, or 1.
fn values(library: &msl::Library) -> ConstantValues {
    let mut values = ConstantValues::default();
    for constant in &library.function_constants {
        let one = match constant.scalar {
            Scalar::Bool => 0,
            Scalar::F32 => u64::from(1f32.to_bits()),
            Scalar::F16 => 0x3c00,
            Scalar::BF16 => 0x3f80,
            _ => 1,
        };
        let bytes = &one.to_le_bytes()[..constant.scalar.bytes() as usize];
        values.by_name.insert(constant.name.clone(), bytes.repeat(constant.width as usize));
    }
    values
}

#[test]
fn published_kernels_are_taken_by_the_assembler() {
    let Some(folder) = std::env::var_os("ARUMINIUM_TEST_PTX_SOURCES") else { return };
    let mut paths = Vec::new();
    find(Path::new(&folder), &mut paths);
    paths.sort();
    let (mut written, mut number, mut wrong, mut slowest) = (0, 0, Vec::new(), Vec::new());
    let (target, threads, alignment, strict, pushed) = (80, 256, 16, false, 0);
    let options = Options { target, threads, alignment, strict, checked: true, pushed };
    for path in paths {
        let name = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
        let source = std::fs::read_to_string(&path).expect("a source");
        // What does not compile is counted elsewhere.
        let Ok(library) = msl::compile(&source, &msl::Options::default()) else { continue };
        let values = values(&library);
        for entry in library.entries.iter().filter(|entry| entry.stage == Stage::Kernel) {
            number += 1;
            if number % EVERY != 0 {
                continue;
            }
            let Ok((module, _)) = library.kernel(&entry.name, &values) else { continue };
            let Ok(function) = super::super::prepare(&module, Default::default()) else { continue };
            let kernel = format!("{name}: {}", entry.name);
            match with_stack(|| emit::emit(&module, &function, options)) {
                Err(unsupported) => wrong.push(format!("{kernel}: {}", unsupported.0)),
                Ok(emitted) => {
                    written += 1;
                    let start = Instant::now();
                    if let Some(said) = refused(&emitted.text, target) {
                        wrong.push(format!("{kernel}: {said}"));
                    }
                    slowest.push((start.elapsed(), emitted.text.len(), kernel));
                }
            }
        }
    }
    slowest.sort();
    for (time, bytes, kernel) in slowest.iter().rev().take(5) {
        println!("{:.1} s, {bytes} bytes: {kernel}", time.as_secs_f64());
    }
    let all: Duration = slowest.iter().map(|(time, ..)| *time).sum();
    println!("{written} of {number} kernels, {:.0} s of the assembler", all.as_secs_f64());
    assert!(wrong.is_empty(), "{} of {written}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(written > 0, "no kernel in {}", folder.display());
}
