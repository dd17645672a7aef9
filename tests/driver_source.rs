//! Metal sources in files: paths in messages and faults, included files, and the output for Cargo.

#![cfg(any(not(target_vendor = "apple"), feature = "soft"))]

use aruminium::{Dispatch, Gpu, GpuError, Severity, Source, include_metal};
use std::fs;
use std::path::PathBuf;

#[allow(dead_code)] // Every test program that uses this file uses another part of it.
mod child;

/// A file in a folder of the test's own.
fn file(test: &str, name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("source").join(test).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// The error of one thread that runs `kernel` with a buffer of a word.
fn fault(gpu: &Gpu, library: &aruminium::ShaderLib, kernel: &str) -> String {
    let pipeline = gpu.pipeline(&library.function(kernel).unwrap()).unwrap();
    let buffer = gpu.buffer(4).unwrap();
    let dispatch = Dispatch::new(&gpu.new_command_queue().unwrap());
    let buffers = [(&buffer, 0, 0), (&buffer, 0, 1), (&buffer, 0, 2)];
    // SAFETY: soft Metal checks every access.
    unsafe { dispatch.dispatch(&pipeline, &buffers, (2, 1, 1), (2, 1, 1)) }.unwrap_err().to_string()
}

#[cfg(unix)]
#[test]
fn files_are_read_up_to_the_limit_of_a_compilation() {
    let gpu = Gpu::open().unwrap();
    let error = Source::new("/dev/zero").compile(&gpu).unwrap_err().to_string();
    assert!(error.contains("/dev/zero: it has more than 16777216 bytes, the limit"), "{error}");
}

#[test]
fn faults_name_the_file_that_was_embedded_or_read() {
    let gpu = Gpu::open().unwrap();
    let library = gpu.compile(include_metal!("../benches/kernels/saxpy.metal")).unwrap();
    let error = fault(&gpu, &library, "saxpy");
    assert!(error.contains("(../benches/kernels/saxpy.metal:6:"), "{error}");

    let header = file(
        "faults",
        "parts/next.h",
        "#pragma once\nint next(device int *x) {\n    return x[1];\n}\n",
    );
    let text = "#include \"next.h\"\n#include \"next.h\"\nkernel void k(device int *x) { x[0] = next(x); }";
    let path = file("faults", "a \"k\".metal", text);
    let library = Source::new(&path).include(header.parent().unwrap()).compile(&gpu).unwrap();
    let error = fault(&gpu, &library, "k");
    assert!(error.contains(&format!("({}:3:12", header.display())), "{error}");
}

#[test]
fn messages_name_their_files() {
    let gpu = Gpu::open().unwrap();
    let header = file("messages", "value.h", "constant int VALUE = N;\n");
    let path = file(
        "messages",
        "a \"k\".metal",
        "#include \"value.h\"\nkernel void k(device int *x) { x[0] = M; }",
    );
    let found = Source::new(&path).check(&gpu).unwrap();
    let shown: Vec<String> = found.iter().map(|one| one.to_string()).collect();
    let expected = [
        format!("{}:1:22: error: use of undeclared identifier 'N'", header.display()),
        format!("{}:2:39: error: use of undeclared identifier 'M'", path.display()),
    ];
    assert_eq!(shown, expected);
    assert!(found.iter().all(|one| one.severity == Severity::Error));
    assert_eq!(Source::new(&path).define("N", "1").define("M", "2").check(&gpu).unwrap(), []);
}

#[test]
fn two_files_of_one_name_are_an_error() {
    let gpu = Gpu::open().unwrap();
    let path = file(
        "names",
        "k.metal",
        "#include \"x/a.h\"\n#include \"y/b.h\"\nkernel void k(device int *x) { x[0] = 1; }",
    );
    for folder in ["x", "y"] {
        file("names", &format!("{folder}/util.h"), "");
    }
    file("names", "x/a.h", "#include \"util.h\"\n");
    file("names", "y/b.h", "#include \"util.h\"\n");
    let error = Source::new(&path).compile(&gpu).unwrap_err().to_string();
    assert!(error.contains("x/util.h") && error.contains("y/util.h"), "{error}");
}

#[test]
fn a_profile_has_the_lines_of_a_file() {
    use aruminium::Checks;
    let gpu = Gpu::open().unwrap();
    // A line number from a generator does not make the profile long.
    let text = "kernel void k(device int *x, uint i [[thread_position_in_grid]]) {\n    x[i] = 1;\n#line 2000000000\n    x[i] += 1;\n}";
    for (name, text) in [("k.metal", text), ("one.metal", text.split_once("#line").unwrap().0)] {
        let text = if name == "one.metal" { format!("{text}}}") } else { text.to_owned() };
        let path = file("profile", name, &text);
        let shader = Source::new(&path).compile(&gpu).unwrap().function("k").unwrap();
        let pipeline = gpu.pipeline(&shader.checked(Checks::PROFILE).unwrap()).unwrap();
        let buffer = gpu.buffer(32 * 4).unwrap();
        let dispatch = Dispatch::new(&gpu.new_command_queue().unwrap());
        // SAFETY: the kernel stays in its buffer.
        unsafe { dispatch.dispatch(&pipeline, &[(&buffer, 0, 0)], (32, 1, 1), (32, 1, 1)) }
            .unwrap();
        let profile = pipeline.profile().unwrap().unwrap();
        assert_eq!(profile.line(2).map(|line| line.runs), Some(1), "{profile}");
        assert!(name == "k.metal" || profile.to_string().contains("x[i] = 1;"), "{profile}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let gpu = Gpu::open().unwrap();
    for result in [
        Source::new("no/such.metal").compile(&gpu).map(drop),
        Source::new("no/such.metal").check(&gpu).map(drop),
    ] {
        let Err(GpuError::LibraryCompilationFailed(why)) = result else { panic!("{result:?}") };
        assert!(why.starts_with("no/such.metal: "), "{why}");
    }
}

#[test]
fn a_build_script_prints_what_cargo_reads() {
    let header = file("build", "value.h", "constant int VALUE = N;\n");
    let path = file(
        "build",
        "k.metal",
        "#include \"value.h\"\nkernel void k(device int *x) { x[0] = VALUE; }",
    );
    let source = Source::new(&path);
    let test = "a_build_script_prints_what_cargo_reads";
    let Some(output) = child::in_child(test, &[], || {
        source.clone().define("N", "3").check_in_build().unwrap();
        println!("and now");
        let error = source.check_in_build().unwrap_err().to_string();
        assert!(error.contains("value.h:1:22: error:"), "{error}");
    }) else {
        return;
    };
    let printed = String::from_utf8(output.stdout).unwrap();
    let again = format!(
        "cargo:rerun-if-changed={}\ncargo:rerun-if-changed={}\n",
        path.display(),
        header.display()
    );
    let warning = format!(
        "cargo:warning={}:1:22: error: use of undeclared identifier 'N'\n",
        header.display()
    );
    assert!(printed.contains(&format!("{again}and now\n{again}{warning}")), "{printed}");
    assert!(output.status.success());
}
