//! What a user sees when a declaration is wrong.
//!
//! Each file in `tests/ui` is a program that must not compile. A comment `//~ ERROR: text` says
//! what one of its errors must tell: the one of the line it stands on, or any when it stands on a
//! line of its own. Whole messages are not compared, so that the test holds for every version of the
//! compiler.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Error messages by file stem: line and text.
type Errors = BTreeMap<String, Vec<(usize, String)>>;

#[test]
fn wrong_declarations_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = cases(&root.join("tests/ui"));
    let errors = check(root, &cases);
    let mut failures = Vec::new();
    for case in &cases {
        let stem = case.file_stem().unwrap().to_str().unwrap();
        let found = errors.get(stem).map_or(&[][..], Vec::as_slice);
        for (number, line) in fs::read_to_string(case).unwrap().lines().enumerate() {
            let Some((code, expected)) = line.split_once("//~ ERROR: ") else { continue };
            let anywhere = code.trim().is_empty();
            if !found
                .iter()
                .any(|(at, text)| (anywhere || *at == number + 1) && text.contains(expected))
            {
                failures.push(format!(
                    "{stem}.rs:{}: expected {expected:?}, found {found:#?}",
                    number + 1
                ));
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
fn check(root: &Path, cases: &[PathBuf]) -> Errors {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    fs::create_dir_all(&package).unwrap();
    let mut manifest = format!(
        "[package]\nname = \"ui\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\n\
         [workspace]\n\n[dependencies]\naruminium = {{ path = {root:?} }}\n"
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
    // A line is `path/case.rs:line:column: error[code]: text`, and a text may go on below it.
    let mut stem = None;
    for line in text.lines() {
        if let Some((place, message)) = line.split_once(": error") {
            let mut place = place.rsplitn(3, ':');
            let (_, number, path) = (place.next(), place.next(), place.next());
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
