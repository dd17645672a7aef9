//! Finds the source of unimem, which cargo fetches, and copies its tests with another `use` line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let tests = fs::read_to_string(source().join("tests/roundtrip.rs")).expect("unimem's tests");
    assert!(tests.contains("use unimem::"), "unimem's tests begin with what they use");
    // An included file has no comments about itself.
    let lines = tests.lines().filter(|line| !line.trim_start().starts_with("//!"));
    let tests =
        lines.collect::<Vec<_>>().join("\n").replace("use unimem::", "use aruminium::memory::");
    let out = Path::new(&env::var_os("OUT_DIR").unwrap()).join("roundtrip.rs");
    fs::write(out, tests).unwrap();
}

/// The folder of the package.
fn source() -> PathBuf {
    let manifest = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("Cargo.toml");
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env::var_os("CARGO").unwrap())
            .args(arguments)
            .arg("--manifest-path")
            .arg(&manifest)
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("cargo writes text")
    };
    cargo(&["fetch", "--locked"]);
    let metadata = cargo(&["metadata", "--locked", "--format-version=1"]);
    // Only one key of this JSON is needed, and its values have no escapes.
    let manifests = metadata.split("\"manifest_path\":\"").skip(1);
    let folders = manifests.filter_map(|rest| Path::new(rest.split('"').next()?).parent());
    let is_unimem = |folder: &&Path| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("unimem-0."))
    };
    folders
        .filter(|folder| *folder != manifest.parent().unwrap())
        .find(is_unimem)
        .expect("unimem")
        .to_owned()
}
