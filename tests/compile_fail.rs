//! The errors that a user sees when a declaration is wrong.
//!
//! Each file in `tests/ui` is a program that must not compile. A comment `//~ ERROR: text` is part of an error
//! that the compiler reports on that line: on the line with the mistake, not on the macro around it. Whole messages
//! are not compared, so that the test passes with every version of the compiler. An error on a line without such a
//! comment fails the test too, unless the file says `//~ MORE ERRORS`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Error messages by file stem: line and text.
type Errors = BTreeMap<String, Vec<(usize, String)>>;

#[test]
fn wrong_declarations_are_explained() {
    errors_are_as_expected("tests/ui", "ui", "");
}

#[test]
#[cfg(feature = "memory")]
fn wrong_uses_of_memory_do_not_compile() {
    errors_are_as_expected("tests/ui/memory", "ui-memory", "memory");
}

/// Checks the programs in a folder, with features of this crate.
fn errors_are_as_expected(folder: &str, package: &str, features: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = cases(&root.join(folder));
    let errors = check(root, &cases, package, features);
    let mut failures = Vec::new();
    for case in &cases {
        let stem = case.file_stem().unwrap().to_str().unwrap();
        let found = errors.get(stem).map_or(&[][..], Vec::as_slice);
        let text = fs::read_to_string(case).unwrap();
        let expected: Vec<(usize, &str)> = (1..)
            .zip(text.lines())
            .filter_map(|(number, line)| Some((number, line.split_once("//~ ERROR: ")?.1)))
            .collect();
        let more = text.contains("//~ MORE ERRORS");
        for (number, text) in &expected {
            if !found.iter().any(|(line, error)| line == number && error.contains(text)) {
                failures.push(format!("{stem}.rs:{number}: expected {text:?}, found {found:#?}"));
            }
        }
        for (line, error) in found {
            if !more && !expected.iter().any(|(number, _)| line == number) {
                failures.push(format!("{stem}.rs:{line}: not expected: {error}"));
            }
        }
        if found.is_empty() {
            failures.push(format!("{stem}.rs compiles"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// Checks every case as a program of one package that depends on this crate.
fn check(root: &Path, cases: &[PathBuf], name: &str, features: &str) -> Errors {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&package).unwrap();
    let features: Vec<&str> = features.split_whitespace().collect();
    let mut manifest = format!(
        "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\n\
         [workspace]\n\n[dependencies]\naruminium = {{ path = {root:?}, features = {features:?} }}\n"
    );
    for case in cases {
        let name = case.file_stem().unwrap().to_str().unwrap();
        manifest += &format!("\n[[bin]]\nname = {name:?}\npath = {case:?}\n");
    }
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    if let Ok(lock) = fs::read(root.join("Cargo.lock")) {
        fs::write(package.join("Cargo.lock"), lock).unwrap();
    }
    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--bins",
            "--keep-going",
            "--offline",
            "--message-format",
            "short",
            "--quiet",
        ])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let mut errors = Errors::new();
    // A line is `path/case.rs:line:column: error[code]: text`; the text may continue on the next lines.
    let mut stem = None;
    for line in text.lines() {
        if let Some((position, message)) = line.split_once(": error") {
            let mut position = position.rsplitn(3, ':');
            let (_, number, path) = (position.next(), position.next(), position.next());
            stem = path.and_then(|path| Path::new(path).file_stem()?.to_str().map(String::from));
            if let (Some(stem), Some(Ok(number))) = (&stem, number.map(str::parse)) {
                errors.entry(stem.clone()).or_default().push((number, message.to_owned()));
            }
        } else if let Some(last) = stem.as_ref().and_then(|stem| errors.get_mut(stem)?.last_mut()) {
            last.1 += line;
        }
    }
    assert!(!errors.is_empty(), "the compiler said:\n{text}");
    errors
}
