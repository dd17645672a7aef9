//! Finds the C sources of ggml, which cargo fetches with a package, and builds its file of block formats.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/missing.c");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let ggml = source().join("llama.cpp/ggml");
    cc::Build::new()
        .file(ggml.join("src/ggml-quants.c"))
        .file("src/missing.c")
        .include(ggml.join("include"))
        .include(ggml.join("src"))
        .std("c11")
        .define("_GNU_SOURCE", None)
        // Without contraction: each operation is rounded.
        .flag("-ffp-contract=off")
        .warnings(false)
        .opt_level(1)
        .compile("ggml_blocks");
}

/// The folder of the package with the sources.
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
    let mut folders = manifests.filter_map(|rest| Path::new(rest.split('"').next()?).parent());
    let found = folders.find(|folder| folder.join("llama.cpp/ggml/src/ggml-quants.c").exists());
    found.expect("the sources of ggml").to_owned()
}
