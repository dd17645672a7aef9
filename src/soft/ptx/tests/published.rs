//! Kernels of other projects become text that NVIDIA's assembler takes. `ARUMINIUM_TEST_PTX_SOURCES` names the folder with their sources,
//! which `tests/kernels` writes. One in 32 is tried, others for each `ARUMINIUM_TEST_SEED`; with `ARUMINIUM_TEST_SCALE=full` all are, and with
//! `ARUMINIUM_TEST_PART=3/16` those whose number divided by 16 leaves 3: a long run in parts can be continued.

use super::super::emit::{self, Options};
use super::refused;
use crate::soft::ir::{Scalar, with_stack};
use crate::soft::msl::ast::Stage;
use crate::soft::msl::{self, ConstantValues};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Every nth kernel is tried: all would take the assembler an hour on two cores.
const EVERY: usize = 32;

/// Which kernels are tried: those whose number divided by the first leaves the second.
fn part() -> (usize, usize) {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let part = variable("ARUMINIUM_TEST_PART");
    if !part.is_empty() {
        let (number, all) = part.split_once('/').expect("ARUMINIUM_TEST_PART is as 3/16");
        let [number, all] = [number, all].map(|word| word.parse().expect("a number"));
        assert!(number < all, "ARUMINIUM_TEST_PART={part}: parts are numbered from 0");
        return (all, number);
    }
    if variable("ARUMINIUM_TEST_SCALE") == "full" {
        return (1, 0);
    }
    (EVERY, variable("ARUMINIUM_TEST_SEED").parse().map_or(0, |seed: usize| seed % EVERY))
}

/// The numbers of kernels by result.
#[derive(Default)]
struct Found {
    written: usize,
    wrong: Vec<String>,
    /// How long the assembler took, for texts of how many bytes.
    times: Vec<(Duration, usize, String)>,
}

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
    let (every, rest) = part();
    println!("the kernels whose number divided by {every} leaves {rest}");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut number, found) = (0, Mutex::new(Found::default()));
    for path in paths {
        let name = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
        let source = std::fs::read_to_string(&path).expect("a source");
        // Kernels that do not compile are counted elsewhere.
        let Ok(library) = msl::compile(&source, &msl::Options::default()) else { continue };
        let kernels = library.entries.iter().filter(|entry| entry.stage == Stage::Kernel);
        let kernels: Vec<&str> = kernels.map(|entry| entry.name.as_str()).collect();
        let first = (rest + every - number % every) % every;
        number += kernels.len();
        let chosen: Vec<&str> = kernels.into_iter().skip(first).step_by(every).collect();
        let (values, next) = (values(&library), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..cores.min(chosen.len()) {
                scope.spawn(|| {
                    while let Some(kernel) = chosen.get(next.fetch_add(1, Relaxed)) {
                        try_one((&library, &values), &name, kernel, &found);
                    }
                });
            }
        });
    }
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Found { written, wrong, times: mut slowest } = found;
    slowest.sort();
    for (time, bytes, kernel) in slowest.iter().rev().take(5) {
        println!("{:.1} s, {bytes} bytes: {kernel}", time.as_secs_f64());
    }
    let all: Duration = slowest.iter().map(|(time, ..)| *time).sum();
    println!("{written} of {number} kernels, {:.0} s of the assembler", all.as_secs_f64());
    assert!(wrong.is_empty(), "{} of {written}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(written > 0, "no kernel in {}", folder.display());
}

/// Tries a kernel of a library from a file.
fn try_one(
    (library, values): (&msl::Library, &ConstantValues),
    file: &str,
    kernel: &str,
    found: &Mutex<Found>,
) {
    let (target, threads, alignment, strict, pushed) = (80, 256, 16, false, 0);
    let options =
        Options { target, threads, alignment, strict, checked: true, pushed, ..Options::default() };
    let Ok((module, _)) = library.kernel(kernel, values) else { return };
    let Ok(function) = super::super::prepare(&module) else { return };
    let kernel = format!("{file}: {kernel}");
    let emitted = with_stack(|| emit::emit(&module, &function, options));
    let start = Instant::now();
    let said = emitted.as_ref().ok().and_then(|emitted| refused(&emitted.text, target));
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    match emitted {
        Err(unsupported) => found.wrong.push(format!("{kernel}: {}", unsupported.0)),
        Ok(emitted) => {
            found.written += 1;
            found.wrong.extend(said.map(|said| format!("{kernel}: {said}")));
            found.times.push((start.elapsed(), emitted.text.len(), kernel));
        }
    }
}
