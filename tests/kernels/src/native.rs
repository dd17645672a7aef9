//! How long the machine code of kernels takes to make, and how much of each kernel it runs.

use crate::constants;
use crate::packages::{PACKAGES, Package, Registry, Source};
use crate::survey::median;
use aruminium::{CompileOptions, Gpu, GpuError, Pipeline, Queue, autorelease_pool};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

/// The time of one kernel.
struct Times {
    /// From the library to a pipeline, which has bytecode.
    pipeline: Duration,
    /// The time by which the first launch is longer than the second: it makes the machine code.
    code: Duration,
}

/// The results.
#[derive(Default)]
struct Found {
    times: Vec<Times>,
    /// From a source's text to its library.
    libraries: Vec<(String, Duration)>,
    /// The kernels by how machine code runs them.
    forms: BTreeMap<String, Vec<String>>,
}

/// Compiles the sources of the packages whose paths contain a text to machine code.
///
/// # Errors
/// If a package cannot be read, or if machine code is not made at the first launch.
pub fn native(gpu: &Gpu, text: &str) -> io::Result<String> {
    if std::env::var("ARUMINIUM_SOFT_JIT").as_deref() != Ok("always") {
        return Err(io::Error::other("set ARUMINIUM_SOFT_JIT to always"));
    }
    let queue = gpu.new_command_queue().map_err(io::Error::other)?;
    let registry = Registry::open(crate::MANIFEST)?;
    let mut found = Found::default();
    for package in PACKAGES {
        let sources = registry.sources(package)?;
        for source in sources.iter().filter(|source| source.path.contains(text)) {
            eprintln!("{}: {}", package.name, source.path);
            // Sources that do not compile are in the coverage page.
            let _ = autorelease_pool(|| of_source(gpu, &queue, package, source, &mut found));
        }
    }
    Ok(page(found))
}

fn of_source(
    gpu: &Gpu,
    queue: &Queue,
    package: &Package,
    source: &Source,
    found: &mut Found,
) -> Result<(), GpuError> {
    let options = CompileOptions::new();
    options.set_macros(package.macros);
    let start = Instant::now();
    let library = gpu.compile_with(&source.text, Some(&options))?;
    found.libraries.push((format!("{} {}", package.name, source.path), start.elapsed()));
    let values = constants::values(&source.text);
    for name in library.function_names() {
        let start = Instant::now();
        let made =
            library.function_with(&name, &values).and_then(|function| gpu.pipeline(&function));
        let Ok(made) = made else { continue };
        let pipeline = start.elapsed();
        let first = launch(queue, &made)?;
        // Nothing but the code is different in the first one.
        let again = (0..3).map(|_| launch(queue, &made)).collect::<Result<Vec<_>, _>>()?;
        let least = again.into_iter().min().unwrap_or_default();
        found.times.push(Times { pipeline, code: first.saturating_sub(least) });
        let form = match library.listing(&name) {
            Ok(text) if text.contains("code of all of, in rounds") => "all of it, in rounds".into(),
            Ok(text) if text.contains("code of all of ") => "all of it".into(),
            Ok(_) => "parts of it".into(),
            Err(error) => format!("none: {}", last_part(&error.to_string())),
        };
        let path = source.path.rsplit('/').next().unwrap_or_default();
        found.forms.entry(form).or_default().push(format!("{path} {name}"));
    }
    Ok(())
}

/// The part of a message after the last colon.
fn last_part(message: &str) -> String {
    message.rsplit(": ").next().unwrap_or_default().trim().to_owned()
}

/// Launches one threadgroup without arguments: it ends with its first access, or does nothing.
fn launch(queue: &Queue, pipeline: &Pipeline) -> Result<Duration, GpuError> {
    let start = Instant::now();
    let commands = queue.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(pipeline);
    encoder.launch_groups((1, 1, 1), (32, 1, 1));
    encoder.finish();
    commands.submit();
    commands.wait();
    Ok(start.elapsed())
}

fn page(found: Found) -> String {
    let Found { times, libraries, forms } = found;
    let all = times.len();
    let mut out = format!(
        "{all} kernels\n\n| machine code | kernels | for example |\n| --- | ---: | --- |\n"
    );
    for (form, kernels) in &forms {
        let some: Vec<&str> = kernels.iter().take(4).map(String::as_str).collect();
        let _ = writeln!(out, "| {form} | {} | {} |", kernels.len(), some.join(", "));
    }
    let slowest = libraries.iter().max_by_key(|(_, time)| *time);
    if let Some((name, time)) = slowest {
        let sum: Duration = libraries.iter().map(|(_, time)| *time).sum();
        let _ = writeln!(
            out,
            "\n{} libraries in {sum:?}; the slowest: {name}, {time:?}",
            libraries.len()
        );
    }
    let middle = |of: &dyn Fn(&Times) -> Duration| {
        median(&mut times.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut ratios: Vec<f64> = times
        .iter()
        .map(|times| 1.0 + times.code.as_secs_f64() / times.pipeline.as_secs_f64().max(1e-9))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let _ = writeln!(
        out,
        "\nmedians: {:?} for a pipeline, {:?} more for its machine code, {:.2} times a pipeline in all (nine tenths: {:.2})",
        middle(&|times| times.pipeline),
        middle(&|times| times.code),
        ratios.get(all / 2).copied().unwrap_or_default(),
        ratios.get(all * 9 / 10).copied().unwrap_or_default(),
    );
    out
}
