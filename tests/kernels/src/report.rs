//! The page that lists what compiles: `specs/coverage.md`.

use crate::mlx_metal::{self, MlxMetal, families};
use crate::packages::{PACKAGES, Registry};
use crate::ran;
use crate::survey::{LibraryFound, Reason, Surveyed, median, survey};
use crate::why::why;
use aruminium::{Gpu, autorelease_pool};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

/// How often each library is compiled for the page; the median time counts.
const ROUNDS: usize = 5;

/// Compares a page with one that is written now, but for the times. Returns the lines that differ.
pub fn check(gpu: &Gpu, page: &str) -> io::Result<String> {
    let now = write(gpu, 1)?;
    let timeless = |page: &str| -> Vec<String> {
        let is_time = |cell: &&str| cell.trim().contains(" ms");
        let cells = |line: &str| {
            line.split('|').filter(|cell| !is_time(cell)).collect::<Vec<_>>().join("|")
        };
        page.lines().map(cells).collect()
    };
    let (before, now) = (timeless(page), timeless(&now));
    let missing =
        before.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}\n"));
    let added = now.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}\n"));
    Ok(missing.chain(added).collect())
}

/// Compiles all sources of the packages, and reports the results.
pub fn report(gpu: &Gpu) -> io::Result<String> {
    write(gpu, ROUNDS)
}

fn write(gpu: &Gpu, rounds: usize) -> io::Result<String> {
    let registry = Registry::open(crate::MANIFEST)?;
    let mut surveys = Vec::new();
    let ran = ran::noted();
    for package in PACKAGES {
        let (_, version) = registry.folder(package)?;
        let title = format!("{} {version}", package.name);
        let mut files = Vec::new();
        for source in registry.sources(package)? {
            eprintln!("{title}: {}", source.path);
            let found = survey(gpu, package, &source, rounds);
            let path = format!("{}/{}", package.name, source.path);
            let of_source = ran.iter().filter(|(noted, _)| *noted == path);
            files.push((found, of_source.map(|(_, kernel)| kernel.clone()).collect()));
        }
        surveys.push((title, files));
    }
    Ok(page(&surveys) + &mlx(gpu, &ran)?)
}

/// The families of MLX's kernels. Their library is made of all names that are instances of a family's templates.
fn mlx(gpu: &Gpu, ran: &HashSet<(String, String)>) -> io::Result<String> {
    let mlx = MlxMetal::open()?;
    let mut out = format!(
        "\n## mlx-metal {}\n\nMLX's headers: each name of its compiled library ({}) that they express is instantiated. The tests make pipelines of \
        some instances of each template, and run some of each form and operation.\n\n| family | names | run | library |\n| --- | ---: | ---: | ---: |\n",
        mlx_metal::VERSION,
        mlx.names().len()
    );
    let (mut names, mut all) = (0, 0);
    for family in families() {
        eprintln!("mlx-metal: {}", family.name);
        let instances = mlx.instances(family);
        let source = mlx.source(family, &instances)?;
        let start = Instant::now();
        let library = autorelease_pool(|| {
            gpu.compile_with(&source, family.options().as_ref()).map(|_| start.elapsed())
        });
        let path = family.path();
        let run = ran.iter().filter(|(noted, _)| *noted == path).count();
        (names, all) = (names + instances.len(), all + run);
        let time = library.map_or("none".to_owned(), |time| milliseconds(Some(time)));
        let _ = writeln!(out, "| {} | {} | {run} | {time} |", family.name, instances.len());
    }
    for family in mlx_metal::AT_RUN_TIME {
        let path = family.path();
        let run = ran.iter().filter(|(noted, _)| *noted == path).count();
        all += run;
        let _ = writeln!(out, "| {} | made at run time | {run} | |", family.name);
    }
    let _ = writeln!(out, "| all | {names} | {all} | |");
    Ok(out)
}

const HEAD: &str = "# Published kernels of other projects

Every Metal source of four packages, compiled as a whole through the driver, and a pipeline made of each of its
kernels. Written by `cargo run --release --manifest-path tests/kernels/Cargo.toml specs/coverage.md`;
`tests/kernels/README.md` says how. A library's time is the median of five; *slowest* is the slowest pipeline; *run* counts
the kernels whose results the tests compare with references.
";

/// A source, and those of its kernels that ran.
type File = (Surveyed, HashSet<String>);

fn page(surveys: &[(String, Vec<File>)]) -> String {
    let mut out = String::from(HEAD);
    out += "\n| package | files | compile | kernels of these | compile | run | slowest library | median pipeline | slowest pipeline |\n\
        | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for (title, files) in surveys {
        let libraries: Vec<&LibraryFound> =
            files.iter().filter_map(|(file, _)| file.library.as_ref().ok()).collect();
        let pipelines: usize = libraries.iter().map(|library| library.pipelines.len()).sum();
        let failures: usize = libraries.iter().map(|library| library.failures.len()).sum();
        let mut times: Vec<Duration> = libraries
            .iter()
            .flat_map(|library| library.pipelines.iter().map(|(_, time)| *time))
            .collect();
        let _ = writeln!(
            out,
            "| {title} | {} | {} | {} | {pipelines} | {} | {} | {} | {} |",
            files.len(),
            libraries.len(),
            pipelines + failures,
            files.iter().map(|(_, ran)| ran.len()).sum::<usize>(),
            milliseconds(libraries.iter().map(|library| library.time).max()),
            milliseconds(median(&mut times)),
            milliseconds(times.last().copied()),
        );
    }
    out += &reasons(surveys);
    out += &not_run(surveys);
    for (title, files) in surveys {
        out += &table(title, files);
    }
    out
}

/// Why sources and kernels do not compile, the most frequent reason first.
fn reasons(surveys: &[(String, Vec<File>)]) -> String {
    let mut counts: BTreeMap<&str, (usize, usize, &str, &Reason)> = BTreeMap::new();
    for (file, _) in surveys.iter().flat_map(|(_, files)| files) {
        let (whole, failures) = match &file.library {
            Err(why) => (Some(why), [].as_slice()),
            Ok(library) => (None, library.failures.as_slice()),
        };
        for (why, files, kernels) in whole
            .map(|why| (why, 1, 0))
            .into_iter()
            .chain(failures.iter().map(|(_, why)| (why, 0, 1)))
        {
            let count = counts.entry(&why.message).or_insert((0, 0, &file.path, why));
            count.0 += files;
            count.1 += kernels;
        }
    }
    if counts.is_empty() {
        return String::new();
    }
    let mut out = "\n## Why not\n\n| files | kernels | first error | for one |\n| ---: | ---: | --- | --- |\n".to_owned();
    let mut rows: Vec<_> = counts.into_values().collect();
    rows.sort_by_key(|(files, kernels, ..)| std::cmp::Reverse((*files, *kernels)));
    for (files, kernels, path, why) in rows {
        let _ = writeln!(
            out,
            "| {files} | {kernels} | {} | {}: {} |",
            cell(&why.message),
            base(path),
            cell(&why.line)
        );
    }
    out
}

/// The families whose kernels do not all run, the largest first.
fn not_run(surveys: &[(String, Vec<File>)]) -> String {
    let mut counts: BTreeMap<(&str, String), (usize, usize)> = BTreeMap::new();
    for (title, files) in surveys {
        for (file, ran) in files {
            let kernels = file.library.iter().flat_map(|library| &library.pipelines);
            for (kernel, _) in kernels {
                let (all, left) = counts.entry((title, family(kernel))).or_default();
                (*all, *left) = (*all + 1, *left + usize::from(!ran.contains(kernel)));
            }
        }
    }
    let mut rows: Vec<_> = counts.into_iter().filter(|(_, (_, left))| *left > 0).collect();
    rows.sort_by_key(|(_, (_, left))| std::cmp::Reverse(*left));
    let mut out = String::from(
        "\n## Compiled, but not run\n\nA family is the words of a kernel's name before the first that has a digit.\n\n\
        | package | family | kernels | not run | why |\n| --- | --- | ---: | ---: | --- |\n",
    );
    for ((title, family), (all, left)) in rows {
        let why = why(title, &family);
        let _ = writeln!(out, "| {title} | `{family}` | {all} | {left} | {why} |");
    }
    out
}

/// The words of a name before the types and sizes.
fn family(kernel: &str) -> String {
    let has_digit = |word: &str| word.bytes().any(|byte| byte.is_ascii_digit());
    let mut words = kernel.split('_');
    let first = words.next().unwrap_or_default();
    let others = words.take_while(|word| !has_digit(word));
    others.fold(first.to_owned(), |name, word| name + "_" + word)
}

fn table(title: &str, files: &[File]) -> String {
    let mut out = format!(
        "\n## {title}\n\n| file | kernels | compile | run | library | median pipeline | slowest |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n"
    );
    for (file, ran) in files {
        let name = base(&file.path);
        let _ = match &file.library {
            Err(why) => writeln!(out, "| {name} | | none | | | | {} |", cell(&why.message)),
            Ok(library) => {
                let times = library.pipeline_times();
                writeln!(
                    out,
                    "| {name} | {} | {} | {} | {} | {} | {} |",
                    library.pipelines.len() + library.failures.len(),
                    library.pipelines.len(),
                    ran.len(),
                    milliseconds(Some(library.time)),
                    milliseconds(times.map(|(median, _)| median)),
                    times.map_or(String::new(), |(_, (kernel, time))| {
                        format!("{} `{kernel}`", milliseconds(Some(*time)))
                    }),
                )
            }
        };
    }
    out
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The beginning of a text, escaped and cut for a cell of a table.
fn cell(text: &str) -> String {
    const MAX: usize = 120;
    let mut short: String = text.chars().take(MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    if short.is_empty() {
        short
    } else {
        format!("`{}`", short.replace('|', "\\|").replace('`', "'"))
    }
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or(String::new(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}
