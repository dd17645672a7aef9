//! Compiles all kernels of a source: times, and the reasons of failures.

use crate::constants;
use crate::packages::{Package, Source};
use aruminium::{CompileOptions, Gpu, GpuError, autorelease_pool};
use std::time::{Duration, Instant};

/// The results for one source.
#[derive(Debug)]
pub struct Surveyed {
    /// The file's path in its package.
    pub path: String,
    /// Its library, or why it does not compile.
    pub library: Result<LibraryFound, Reason>,
}

/// The results for one library.
#[derive(Debug)]
pub struct LibraryFound {
    /// From the source's text to the library.
    pub time: Duration,
    /// From the library to a pipeline, for each kernel that has one.
    pub pipelines: Vec<(String, Duration)>,
    /// Kernels that have none, and why.
    pub failures: Vec<(String, Reason)>,
}

/// The reason why something does not compile: the first error of the report.
#[derive(Debug, Default)]
pub struct Reason {
    /// The message without its position, which differs from file to file.
    pub message: String,
    /// The line of the source that it shows.
    pub line: String,
}

impl LibraryFound {
    /// The times of the median and of the slowest pipeline.
    pub fn pipeline_times(&self) -> Option<(Duration, &(String, Duration))> {
        let mut times: Vec<Duration> = self.pipelines.iter().map(|(_, time)| *time).collect();
        Some((median(&mut times)?, self.pipelines.iter().max_by_key(|(_, time)| *time)?))
    }
}

/// Compiles a source, and makes a pipeline of each of its kernels. The library is compiled a number of times; the median time counts.
pub fn survey(gpu: &Gpu, package: &Package, source: &Source, rounds: usize) -> Surveyed {
    Surveyed {
        path: source.path.clone(),
        library: autorelease_pool(|| library(gpu, package, source, rounds)),
    }
}

fn library(
    gpu: &Gpu,
    package: &Package,
    source: &Source,
    rounds: usize,
) -> Result<LibraryFound, Reason> {
    let options = CompileOptions::new();
    options.set_macros(package.macros);
    let mut times = Vec::new();
    let mut made = None;
    for _ in 0..rounds {
        let start = Instant::now();
        made = Some(gpu.compile_with(&source.text, Some(&options)).map_err(reason)?);
        times.push(start.elapsed());
    }
    let (Some(library), Some(time)) = (made, median(&mut times)) else {
        return Err(Reason::default());
    };
    let values = constants::values(&source.text);
    let mut found = LibraryFound { time, pipelines: Vec::new(), failures: Vec::new() };
    for name in library.function_names() {
        let start = Instant::now();
        let pipeline =
            library.function_with(&name, &values).and_then(|function| gpu.pipeline(&function));
        match pipeline {
            Ok(_) => found.pipelines.push((name, start.elapsed())),
            Err(error) => found.failures.push((name, reason(error))),
        }
    }
    Ok(found)
}

/// The first error of a report.
fn reason(error: GpuError) -> Reason {
    let said = error.to_string();
    let lines: Vec<&str> = said.lines().collect();
    let at = lines.iter().position(|line| line.contains("error: ")).unwrap_or(0);
    let message = lines.get(at).copied().unwrap_or_default();
    let message = message.split_once("error: ").map_or(message, |(_, message)| message);
    // A report on a kernel begins with the kernel's name, and goes on with what is wrong with it.
    let message = message.split_once("cannot be run: ").map_or(message, |(_, message)| message);
    let shown = lines.get(at + 1).copied().unwrap_or_default();
    Reason { message: message.trim().to_owned(), line: shown.trim().to_owned() }
}

/// The value in the middle.
pub fn median(times: &mut [Duration]) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}
