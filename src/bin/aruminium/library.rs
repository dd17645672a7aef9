//! The commands `run` and `build`: the shared library, built from this version's source by the user's Cargo.

use super::wrap::{FOLDER, NEXT};
use super::{Failure, USAGE, python};
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name under which programs find the library.
const LIBRARY: &str = "libaruminium.so.0";
/// The libraries of Apple's that clients link to. Each is a linker script that names ours.
const LINKED: &[&str] = &[
    "objc",
    "System",
    "dispatch",
    "BlocksRuntime",
    "Metal",
    "Foundation",
    "CoreFoundation",
    "CoreGraphics",
];

/// The options before the program or at the end: `--source DIR`, `--out DIR`.
fn option(arguments: &mut Vec<String>, name: &str) -> Result<Option<PathBuf>, Failure> {
    match arguments.first() {
        Some(first) if first == name => {
            arguments.remove(0);
            if arguments.is_empty() {
                return Err(format!("'{name}' needs a folder after it"));
            }
            Ok(Some(arguments.remove(0).into()))
        }
        _ => Ok(None),
    }
}

/// Runs a program for which Apple's libraries are ours.
pub(super) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let mut arguments = arguments.to_vec();
    let source = option(&mut arguments, "--source")?;
    let Some((program, arguments)) = arguments.split_first() else { return Err(USAGE.into()) };
    let folder = prepared(source)?;
    let own = env::current_exe().map_err(|error| format!("the launcher's own path: {error}"))?;
    let python = python::prepare(&folder, &folder.join(LIBRARY))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let before = |own: &[&PathBuf], name: &str| {
        let old = env::var_os(name).unwrap_or_default();
        let old = env::split_paths(&old).filter(|path| !path.as_os_str().is_empty());
        let paths = own.iter().map(|path| path.to_path_buf()).chain(old);
        env::join_paths(paths).map_err(|error| error.to_string())
    };
    let mut command = Command::new(program);
    command.args(arguments);
    command.env("LD_LIBRARY_PATH", before(&[&folder, &python], "LD_LIBRARY_PATH")?);
    command.env("PYTHONPATH", before(&[&python], "PYTHONPATH")?);
    command.env(NEXT, env::var_os("RUSTC_WRAPPER").unwrap_or_default());
    command.env("RUSTC_WRAPPER", own).env(FOLDER, &folder);
    if env::var_os("CARGO_TARGET_DIR").is_none() {
        // What is compiled without the wrapper must not be mixed with what is compiled with it.
        command.env("CARGO_TARGET_DIR", Path::new("target").join("aruminium"));
    }
    Err(format!("{program}: {}", command.exec()))
}

/// Builds the library into a folder, with headers.
pub(super) fn build(arguments: &[String]) -> Result<ExitCode, Failure> {
    let mut arguments = arguments.to_vec();
    let (mut out, mut source) = (None, None);
    while !arguments.is_empty() {
        let before = arguments.len();
        out = option(&mut arguments, "--out")?.or(out);
        source = option(&mut arguments, "--source")?.or(source);
        if arguments.len() == before {
            return Err(USAGE.into());
        }
    }
    let out = out.ok_or("build: --out DIR is missing")?;
    let folder = prepared(source)?;
    let failed = |error: std::io::Error| format!("{}: {error}", out.display());
    fs::create_dir_all(&out).map_err(failed)?;
    fs::copy(folder.join(LIBRARY), out.join(LIBRARY)).map_err(failed)?;
    write_headers(&out.join("include")).map_err(failed)?;
    println!("{}", out.join(LIBRARY).display());
    Ok(ExitCode::SUCCESS)
}

/// The headers of Apple's that C and C++ programs include, metal-cpp among them.
macro_rules! headers {
    ($($path:literal)+) => {
        /// Writes the headers.
        fn write_headers(folder: &Path) -> std::io::Result<()> {
            $(
                let path = folder.join($path);
                fs::create_dir_all(path.parent().unwrap_or(folder))?;
                write(&path, include_str!(concat!("../../export/include/", $path)))?;
            )+
            Ok(())
        }
    };
}

headers! {
    "TargetConditionals.h"
    "CoreFoundation/CoreFoundation.h"
    "CoreGraphics/CGColorSpace.h"
    "CoreGraphics/CGGeometry.h"
    "IOSurface/IOSurfaceRef.h"
    "dispatch/dispatch.h"
    "mach/mach.h"
    "objc/message.h"
    "objc/objc.h"
    "objc/runtime.h"
}

/// The cache's folder for this version and the user's compiler, with the library in it.
fn prepared(source: Option<PathBuf>) -> Result<PathBuf, Failure> {
    // However the folder is written, its library is built once.
    let whole = |path: PathBuf| {
        fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let source = source.map(whole).transpose()?;
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let version = Command::new(&rustc).arg("-vV").output();
    let version = version.map_err(|error| format!("{}: {error}", rustc.display()))?;
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let cache = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    let mut hasher = DefaultHasher::new();
    (&version.stdout, &source).hash(&mut hasher);
    let folder = cache.join("aruminium").join(format!("{VERSION}-{:016x}", hasher.finish()));
    let library = folder.join(LIBRARY);
    // Sources in a folder may have changed: Cargo finds out.
    if library.exists() && source.is_none() {
        return Ok(folder);
    }
    if !library.exists() {
        eprintln!("aruminium: building {}, once for this version and compiler", library.display());
    }
    write_package(&folder, source.as_deref())
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--quiet", "--release", "--manifest-path"])
        .arg(folder.join("package/Cargo.toml"));
    command.env("CARGO_TARGET_DIR", folder.join("target"));
    command
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.status().map_err(|error| format!("{}: {error}", cargo.display()))?;
    if !status.success() {
        return Err("the library could not be built; without a network, pass --source DIR".into());
    }
    let built = folder.join("target/release/libaruminium_symbols.so");
    let part = folder.join(format!("{LIBRARY}.{}", std::process::id()));
    fs::copy(&built, &part)
        .and_then(|_| fs::rename(&part, &library))
        .map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(folder)
}

/// Writes the package whose shared library has the symbols, and the linker scripts.
fn write_package(folder: &Path, source: Option<&Path>) -> std::io::Result<()> {
    let from = match source {
        Some(source) => format!("path = {source:?}"),
        None => {
            // Cargo keeps the sources of what it installs.
            let own = Path::new(env!("CARGO_MANIFEST_DIR"));
            match own.join("Cargo.toml").is_file() {
                true => format!("path = {own:?}"),
                false => format!("version = \"={VERSION}\""),
            }
        }
    };
    let manifest = format!(
        "[package]\nname = \"aruminium_symbols\"\nversion = \"{VERSION}\"\nedition = \"2024\"\n\n\
         [lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\naruminium = {{ {from}, features = [\"export\"] }}\n\n[workspace]\n"
    );
    let options = [
        format!("-soname,{LIBRARY}"),
        "-Bsymbolic".into(),
        "-z,start-stop-visibility=hidden".into(),
    ];
    let lines = options
        .map(|option| format!("    println!(\"cargo:rustc-cdylib-link-arg=-Wl,{option}\");\n"));
    let package = folder.join("package");
    fs::create_dir_all(&package)?;
    write(&package.join("Cargo.toml"), &manifest)?;
    write(&package.join("lib.rs"), "extern crate aruminium;\n")?;
    write(&package.join("build.rs"), &format!("fn main() {{\n{}}}\n", lines.concat()))?;
    fs::create_dir_all(folder.join("link"))?;
    fs::create_dir_all(folder.join("src"))?;
    // A program that has the symbols itself, by this crate with the feature `export`, does not load the library.
    let script = format!("INPUT(AS_NEEDED({}))\n", folder.join(LIBRARY).display());
    LINKED
        .iter()
        .try_for_each(|name| write(&folder.join("link").join(format!("lib{name}.so")), &script))
}

/// Writes a file unless it has this text already, so that Cargo sees no change.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    match fs::read_to_string(path) {
        Ok(old) if old == text => Ok(()),
        _ => fs::write(path, text),
    }
}
