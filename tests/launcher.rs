//! The launcher, run as a program: what it prints and its exit status.

#![cfg(all(feature = "cli", target_os = "linux"))]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn launch(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the launcher starts")
}

fn command(arguments: &[&str]) -> Command {
    // Under an emulator the program that starts others is named by this variable.
    let program = env!("CARGO_BIN_EXE_aruminium");
    let mut command = match std::env::var("ARUMINIUM_TEST_RUNNER") {
        Ok(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        Err(_) => Command::new(program),
    };
    command.args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file in a folder of the test's own.
fn file(test: &str, name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("launcher").join(test);
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn errors_are_printed_as_clang_prints_them() {
    let path = file("errors", "bad.metal", "kernel void k(device int *x) {\n\tx[0] = z;\n}\n");
    let path = path.to_str().unwrap();
    let output = launch(&["check", path]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "{path}:2:9: error: use of undeclared identifier 'z'\n\tx[0] = z;\n\t       ^\n1 error generated.\n"
    );
    assert_eq!(text(&output.stderr), expected);
    let output = launch(&["check", path, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "[{{\"file\": \"{path}\", \"line\": 2, \"column\": 9, \"severity\": \"error\", \
         \"message\": \"use of undeclared identifier 'z'\"}}]\n"
    );
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn headers_and_macros_are_found() {
    let header = file("headers", "include/value.h", "#pragma once\nconstant int VALUE = N;\n");
    let source = "#include \"value.h\"\n#include <metal_stdlib>\nkernel void k(device int *x) { x[0] = VALUE; }\n";
    let path = file("headers", "good.metal", source);
    let (path, folder) = (path.to_str().unwrap(), header.parent().unwrap().to_str().unwrap());
    let output = launch(&["check", path, "-I", folder, "-D", "N=7"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let output = launch(&["ir", path, "k", &format!("-I{folder}"), "-DN=7"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("store @0, 7i32"), "{}", text(&output.stdout));
    // An error in the header names the header's own path.
    let output = launch(&["check", path, "-I", folder]);
    assert_eq!(output.status.code(), Some(1));
    let place = format!("{}:2:22: error:", header.display());
    assert!(text(&output.stderr).contains(&place), "{}", text(&output.stderr));
}

#[test]
fn machine_code_is_listed_with_lines_of_the_source() {
    let path = file("asm", "fill.metal", "kernel void fill(device int *x) {\n    x[0] = 7;\n}\n");
    let path = path.to_str().unwrap();
    let output = launch(&["asm", path, "fill"]);
    let (listing, error) = (text(&output.stdout), text(&output.stderr));
    if error.contains("the interpreter runs it") {
        // A processor without AVX2.
        return assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!((output.status.code(), error), (Some(0), String::new()));
    let heading = format!("; {path}:2: x[0] = 7;\n;   store @0, 7i32\n");
    assert!(listing.contains(&heading), "{listing}");
    assert!(!listing.contains("(unknown)"), "{listing}");
    let output = launch(&["asm", path, "full"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    let expected = format!("{path}: there is no function 'full' in this file: it has fill");
    assert!(error.contains(&expected), "{error}");
}

/// A program that reads only the beginning, as `head` does, is no error.
#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let path = file("head", "k.metal", "kernel void k(device int *x) { x[0] = 7; }\n");
    let mut child = command(&["ir", path.to_str().unwrap(), "k"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the launcher starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn wrong_calls_are_explained() {
    assert_eq!(launch(&[]).status.code(), Some(2));
    let output = launch(&["check", "no-such-file.metal"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("aruminium: no-such-file.metal: "));
    let output = launch(&["build"]);
    assert!(text(&output.stderr).contains("--out DIR is missing"));
    let output = launch(&["build", "--wrong"]);
    assert!(text(&output.stderr).contains("build: unknown argument '--wrong'"));
    let output = launch(&["run"]);
    assert!(text(&output.stderr).contains("run: no program was given"));
}

/// A folder with a library for `run --library`: one that has a function, made by the C compiler that Rust links with.
fn library(test: &str) -> PathBuf {
    let source = file(test, "function.c", "int function(void) { return 7; }\n");
    // Some paths have spaces.
    let folder = source.parent().unwrap().join("li brary");
    fs::create_dir_all(&folder).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-Wl,-soname,libaruminium.so.0", "-o"]);
    let status = cc.arg(folder.join("libaruminium.so.0")).arg(source).status().unwrap();
    assert!(status.success());
    folder
}

/// `aruminium run --library FOLDER`, in a process without a compiler.
fn run(folder: &std::path::Path) -> Command {
    let mut command = command(&["run", "--library"]);
    command.arg(folder).env("RUSTC", "/no/compiler").env_remove("CARGO_TARGET_DIR");
    command
}

/// The value of a variable in what `env` printed.
fn variable<'a>(printed: &'a str, name: &str) -> &'a str {
    let found = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("{name} in {printed}"))
}

#[test]
fn programs_link_to_a_library_whose_path_has_a_space() {
    let folder = library("spaces");
    let source =
        file("spaces", "main.c", "int function(void); int main(void) { return function(); }\n");
    let program = source.with_extension("");
    let mut cc = run(&folder);
    cc.arg("cc").arg(&source).arg("-o").arg(&program).args(["-lMetal", "-lobjc"]);
    let output = cc.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(run(&folder).arg(program).status().unwrap().code(), Some(7));
}

/// The launcher within the launcher must not call itself as the user's wrapper.
#[test]
fn the_launcher_runs_within_the_launcher() {
    let folder = library("nested");
    let own = env!("CARGO_BIN_EXE_aruminium");
    for wrapper in ["", "/usr/bin/sccache"] {
        let mut outer = run(&folder);
        outer.env("RUSTC_WRAPPER", wrapper).args([own, "run", "--library"]).arg(&folder).arg("env");
        let printed = text(&outer.output().unwrap().stdout);
        assert_eq!(variable(&printed, "RUSTC_WRAPPER"), own);
        assert_eq!(variable(&printed, "ARUMINIUM_LAUNCHER_NEXT"), wrapper);
    }
    // A wrapper that was set in between is called.
    let mut outer = run(&folder);
    outer.args(["env", "RUSTC_WRAPPER=between", own, "run", "--library"]).arg(&folder).arg("env");
    let printed = text(&outer.output().unwrap().stdout);
    assert_eq!(variable(&printed, "ARUMINIUM_LAUNCHER_NEXT"), "between");
}

#[test]
fn what_is_built_has_a_folder_of_its_own() {
    let folder = library("target");
    let root = file("target", "work/Cargo.toml", "[workspace]\nmembers = [\"one\"]\n");
    let member = file("target", "work/one/Cargo.toml", "[package]\nname = \"one\"\n");
    let (root, member) = (root.parent().unwrap(), member.parent().unwrap());
    let target = |set: Option<&str>| {
        let mut env = run(&folder);
        env.arg("env").current_dir(member);
        set.map(|set| env.env("CARGO_TARGET_DIR", set));
        variable(&text(&env.output().unwrap().stdout), "CARGO_TARGET_DIR").to_owned()
    };
    assert_eq!(target(None), root.join("target/aruminium").to_str().unwrap());
    assert_eq!(target(Some("own")), member.join("own/aruminium").to_str().unwrap());
    assert_eq!(target(Some("/own/aruminium")), "/own/aruminium");
}

#[test]
fn arguments_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let folder = library("bytes");
    let bytes = std::ffi::OsStr::from_bytes(b"\xff");
    let output = run(&folder).args(["printf", "%s"]).arg(bytes).output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"\xff"[..]));
    let output = command(&["check"]).arg(bytes).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is not UTF-8"));
}

/// Cargo calls the launcher with the compiler's name, and with Clippy's before it.
#[test]
fn compilers_and_their_wrappers_are_called_with_the_library() {
    use std::os::unix::fs::PermissionsExt;
    let stub = file("wrapper", "rustc", "#!/bin/sh\necho \"$@\"\n");
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let clippy = stub.with_file_name("clippy-driver");
    fs::copy(&stub, &clippy).unwrap();
    let wrapper = stub.with_file_name("wrapper");
    fs::copy(&stub, &wrapper).unwrap();
    let call = |arguments: &[&std::path::Path]| {
        let mut command = command(&[]);
        command.env("ARUMINIUM_LAUNCHER_LIBRARY", "/library").args(arguments);
        let output = command.args(["--crate-name", "x", "x.rs"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let passed = "--crate-name x x.rs -Lnative=/library/link\n";
    assert_eq!(call(&[&stub]), passed);
    let after = format!("{} {passed}", stub.display());
    assert_eq!(call(&[&clippy, &stub]), after);
    assert_eq!(call(&[&wrapper, &stub]), after);
}

/// Cargo sees the launcher in place of the compiler: how that ended, and what it said, must not be lost.
#[test]
fn how_a_compiler_ended_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let call = |script: &str| {
        let stub = file("ended", "rustc", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = command(&[]);
        command.env("ARUMINIUM_LAUNCHER_LIBRARY", "/library").arg(&stub);
        command.env("CARGO_MANIFEST_DIR", "/no/package").args(["--crate-name", "x", "x.rs"]);
        let output = command.output().unwrap();
        (output.status.code(), text(&output.stderr), stub)
    };
    let (code, error, stub) = call("echo 'warning: it is large' >&2; kill -9 $$");
    let ended = format!("aruminium: {} was ended by signal 9\n", stub.display());
    assert_eq!((code, error), (Some(128 + 9), format!("warning: it is large\n{ended}")));
    let (code, error, _) = call("echo 'error[E0455]: at this line' >&2; exit 1");
    let expected = "error[E0455]: at this line\naruminium: /no/package: the copy failed: ";
    assert!(code == Some(1) && error.starts_with(expected), "{error}");
}

/// A crate of a version that the launcher does not know, and a build script of another name, are refused; a newer release of a
/// known version is compiled, and reported.
#[test]
fn what_the_launcher_does_not_know_is_reported() {
    let source = file("versions", "package/src/lib.rs", "");
    let root = source.parent().unwrap().parent().unwrap();
    let call = |package: &str, version: &str, name: &str, source: &str| {
        let mut command = command(&["rustc", "--crate-type=lib", "--crate-name", name, source]);
        command.arg("--out-dir").arg(root).current_dir(root);
        command.env("ARUMINIUM_LAUNCHER_LIBRARY", root.with_file_name("library"));
        command.env("CARGO_PKG_NAME", package).env("CARGO_PKG_VERSION", version);
        command.env("CARGO_PKG_REPOSITORY", "https://github.com/madsmtm/objc2");
        let output = command.env("CARGO_MANIFEST_DIR", root).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, error) = call("objc2-metal", "9.9.9", "objc2_metal", "src/lib.rs");
    let expected = "aruminium: the crate objc2_metal 9.9.9 is of a version that this launcher does not know (it was tried with 0.3.2)";
    assert!(code == Some(1) && error.starts_with(expected), "{error}");
    let (code, error) = call("objc2-metal", "0.3.99", "objc2_metal", "src/lib.rs");
    let expected = "aruminium: the crate objc2_metal 0.3.99 is newer than the release that this launcher was tried with, 0.3.2";
    assert!(code == Some(0) && error.starts_with(expected), "{error}");
    let known = call("objc2-metal", "0.3.2", "objc2_metal", "src/lib.rs");
    assert_eq!(known, (Some(0), String::new()));
    let helper = "objc2-exception-helper";
    let (code, error) = call(helper, "0.1.1", "build_script_build", "make.rs");
    let expected = "the build script of objc2_exception_helper 0.1.1 is not called build.rs";
    assert!(code == Some(1) && error.contains(expected), "{error}");
}

/// A program names a framework as the documentation of `objc2-metal` says, and its build script another one.
#[test]
fn programs_that_name_frameworks_are_compiled() {
    let folder = library("framework");
    let linked = "#[link(name = \"CoreGraphics\", kind = \"framework\")]\n\
                  unsafe extern \"C\" { fn function() -> i32; }\n";
    let call = |main: &str| {
        let source = file("framework", "package/src/main.rs", &format!("{linked}{main}"));
        let root = source.parent().unwrap().parent().unwrap();
        let mut command = command(&["rustc", "--crate-name", "main", "src/main.rs", "--out-dir"]);
        command.arg(root).args(["-l", "framework=QuartzCore", "-lframework=AppKit"]);
        command.env("ARUMINIUM_LAUNCHER_LIBRARY", &folder).current_dir(root);
        let output = command.env("CARGO_MANIFEST_DIR", root).output().unwrap();
        (output.status.code(), text(&output.stderr), root.join("main"))
    };
    let (code, error, program) = call("fn main() { std::process::exit(unsafe { function() }) }");
    assert_eq!((code, error), (Some(0), String::new()));
    assert_eq!(run(&folder).arg(program).status().unwrap().code(), Some(7));
    // Errors name the program's own file.
    let (code, error, program) = call("fn main() { unsafe { function() + true } }");
    let place = format!("--> {}:3:", program.with_file_name("src/main.rs").display());
    assert!(code == Some(1) && error.contains(&place) && !error.contains("E0455"), "{error}");
}

#[test]
fn the_device_and_the_variables_are_described() {
    let mut info = command(&["info"]);
    info.env("ARUMINIUM_SOFT_WATCHDOG_MS", "1234").env("ARUMINIUM_SOFT_WORKRS", "2");
    let output = info.env("ARUMINIUM_SOFT_CHECKS", "maybe").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = text(&output.stdout);
    for line in [
        "device: soft Metal",
        "  families: Apple1, Apple2,",
        "  threads of a SIMD-group: 32\n",
        "  arguments of a kernel: 31 buffers, 128 textures, 16 samplers\n",
        "  threadgroup memory: 32768 bytes\n",
        "Metal Shading Language: 3.1, newest 4.0\n",
        "  ARUMINIUM_SOFT_WATCHDOG_MS=1234\n",
        "  ARUMINIUM_SOFT_STRICT: off (default)\n",
        "  ARUMINIUM_SOFT_CHECKS=maybe (wrong: ignored)\n",
        "  ARUMINIUM_SOFT_WORKRS=2 (unknown: ignored)\n",
        "library for other programs: ",
    ] {
        assert!(text.contains(&format!("\n{line}")), "{line} in {text}");
    }
}
