//! The sanitizer's reports about the kernels, compared with `reports.tsv`, which has the reason of each. Tests append to one
//! file, if an environment variable names one; `kernels --reports FILE` compares it.

use aruminium::{Commands, Report, ReportKind};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

/// The environment variable with the file's path.
const FILE: &str = "KERNELS_REPORTS";

/// The expected reports: a kind, a source and lines of its expanded text in each row, and the reason.
const EXPECTED: &str = include_str!("../reports.tsv");

/// A kind, a source and lines: a fault has the same ones in all kernels that are instances of one template.
type Key = [String; 3];

thread_local! {
    static HAS_RACED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a kernel that this thread, a test, has run had a race that is expected. Checked kernels run in an order that none of them
/// promises to work in, so that what is computed with a race may be wrong.
pub(crate) fn has_raced() -> bool {
    HAS_RACED.get()
}

/// Records the reports of a command buffer whose kernels are of this source.
///
/// # Panics
/// When the file cannot be written.
pub(crate) fn note(source: &str, commands: &Commands) {
    let Some(path) = env::var_os(FILE) else { return };
    let reports = commands.reports().unwrap_or_else(|error| panic!("{error}"));
    // Without `races` any kernel of a source with a race may have had it.
    let finds_races =
        env::var("ARUMINIUM_SOFT_SANITIZE").is_ok_and(|checks| checks.contains("races"));
    let is_of_source = |key: &Key| key[0] == "Race" && key[1] == source;
    if !finds_races && rows(EXPECTED).any(|(expected, _)| is_of_source(&expected)) {
        HAS_RACED.set(true);
    }
    let mut text = String::new();
    for report in &reports {
        let Report { kind, kernel, message, .. } = report;
        let lines = lines(report);
        let key = [format!("{kind:?}"), source.to_owned(), lines.clone()];
        if *kind == ReportKind::Race && rows(EXPECTED).any(|(expected, _)| expected == key) {
            HAS_RACED.set(true);
        }
        let _ = writeln!(text, "{kind:?}\t{source}\t{lines}\t{kernel}\t{message}");
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(&path);
    // One write, because several programs may write at the same time.
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The lines of a report, in the order of the text.
fn lines(report: &Report) -> String {
    let mut lines: Vec<u32> = report.accesses.iter().filter_map(|access| access.line).collect();
    lines.sort_unstable();
    lines.dedup();
    let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
    lines.join(",")
}

fn rows(text: &str) -> impl Iterator<Item = (Key, Vec<&str>)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        let key = [(); 3].map(|()| columns.next().unwrap_or_default().to_owned());
        (!key[2].is_empty()).then(|| (key, columns.collect()))
    })
}

/// Compares recorded reports with those that are expected, and says what the difference is.
pub fn compare(file: &Path) -> io::Result<String> {
    let text = fs::read_to_string(file)?;
    let mut seen: BTreeMap<Key, (usize, String)> = BTreeMap::new();
    for (key, rest) in rows(&text) {
        let first = || rest.join(": ");
        seen.entry(key).or_insert_with(|| (0, first())).0 += 1;
    }
    let expected: BTreeMap<Key, Vec<&str>> = rows(EXPECTED).collect();
    let mut difference = String::new();
    for (key, (count, first)) in &seen {
        if !expected.contains_key(key) {
            let _ = writeln!(
                difference,
                "{}\tnot listed, in {count} launches: {first}",
                key.join("\t")
            );
        }
    }
    for key in expected.keys().filter(|key| !seen.contains_key(*key)) {
        let _ = writeln!(difference, "{}\tlisted, but not reported", key.join("\t"));
    }
    Ok(difference)
}
