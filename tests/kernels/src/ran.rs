//! The kernels that were launched and agreed with a reference. The tests of all programs record them in one file, if an
//! environment variable names one, for the page that lists what compiles.

use std::collections::HashSet;
use std::io::Write;
use std::{env, fs};

/// The environment variable with the file's path.
const FILE: &str = "KERNELS_RAN";

/// Records a kernel of a source.
///
/// # Panics
/// When the file cannot be written.
pub(crate) fn note(source: &str, kernel: &str) {
    let Some(path) = env::var_os(FILE) else { return };
    let file = fs::OpenOptions::new().create(true).append(true).open(&path);
    // One write for each line, because several programs may write at the same time.
    let written =
        file.and_then(|mut file| file.write_all(format!("{source}\t{kernel}\n").as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The recorded kernels, each with its source.
pub(crate) fn noted() -> HashSet<(String, String)> {
    let text = env::var_os(FILE).and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let pair = |line: &str| {
        line.split_once('\t').map(|(source, kernel)| (source.to_owned(), kernel.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}
