//! The commands `run` and `build`: the shared library, built from this version's source by the user's Cargo.

use super::wrap::{FOLDER, NEXT, OWN};
use super::{Failure, python};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name under which programs find the library.
const LIBRARY: &str = "libaruminium.so.0";
/// The same to link statically, for C and C++.
const ARCHIVE: &str = "libaruminium.a";
/// The libraries of Apple's that most clients link to. Each is a linker script that names ours. The frameworks that
/// crates of the family name besides get one when the crate is compiled.
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
fn option(arguments: &mut Vec<OsString>, name: &str) -> Result<Option<PathBuf>, Failure> {
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

/// The whole path of a folder that an option names. However it is written, the folder is the same.
fn whole(path: PathBuf) -> Result<PathBuf, Failure> {
    fs::canonicalize(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs a program for which Apple's libraries are ours.
pub(super) fn run(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let mut arguments = arguments.to_vec();
    let source = option(&mut arguments, "--source")?;
    let ready = option(&mut arguments, "--library")?;
    let Some((program, arguments)) = arguments.split_first() else {
        return Err("run: no program was given; see 'aruminium help'".into());
    };
    let folder = match ready {
        Some(folder) => filled(folder)?,
        None => prepared(source)?,
    };
    let own = env::current_exe().map_err(|error| format!("the launcher's own path: {error}"))?;
    let (python, link) = (folder.join("python"), folder.join("link"));
    let before = |own: &[&PathBuf], name: &str| {
        let old = env::var_os(name).unwrap_or_default();
        let old = env::split_paths(&old).filter(|path| !path.as_os_str().is_empty());
        let paths = own.iter().map(|path| path.to_path_buf()).chain(old);
        env::join_paths(paths).map_err(|error| error.to_string())
    };
    let mut command = Command::new(program);
    command.args(arguments);
    command.env("LD_LIBRARY_PATH", before(&[&folder, &python], "LD_LIBRARY_PATH")?);
    // Programs that the wrapper does not compile link by this variable: examples in documentation, and C.
    command.env("LIBRARY_PATH", before(&[&link], "LIBRARY_PATH")?);
    command.env("PYTHONPATH", before(&[&python], "PYTHONPATH")?);
    // Within a program that `run` has started the wrapper is the launcher already, which must not call itself.
    let wrapper = env::var_os("RUSTC_WRAPPER").unwrap_or_default();
    if env::var_os(OWN).is_none_or(|own| own != wrapper) {
        command.env(NEXT, wrapper);
    }
    command.env("RUSTC_WRAPPER", &own).env(OWN, &own).env(FOLDER, &folder);
    command.env("CARGO_TARGET_DIR", target_folder()?);
    Err(format!("{}: {}", program.display(), command.exec()))
}

/// Where Cargo puts what it builds. What is compiled without the wrapper must not be mixed with what is compiled with
/// it, so this is a folder within the usual one.
fn target_folder() -> Result<PathBuf, Failure> {
    let here = env::current_dir().map_err(|error| format!("the current folder: {error}"))?;
    let usual = match env::var_os("CARGO_TARGET_DIR").map(PathBuf::from) {
        Some(folder) if folder.ends_with("aruminium") => return Ok(folder),
        Some(folder) => here.join(folder),
        None => project(&here).map_or("target".into(), |project| project.join("target")),
    };
    Ok(usual.join("aruminium"))
}

/// The folder of the workspace that a folder is in, or of its package.
fn project(here: &Path) -> Option<&Path> {
    let manifest = |folder: &&Path| folder.join("Cargo.toml").is_file();
    let is_workspace = |folder: &&Path| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        text.lines().any(|line| line.trim_start().starts_with("[workspace"))
    };
    let mut folders = here.ancestors().filter(manifest);
    folders.clone().find(is_workspace).or_else(|| folders.next())
}

/// Builds the library into a folder, with headers, and all that `run` needs.
pub(super) fn build(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let mut arguments = arguments.to_vec();
    let (mut out, mut source) = (None, None);
    while !arguments.is_empty() {
        let before = arguments.len();
        out = option(&mut arguments, "--out")?.or(out);
        source = option(&mut arguments, "--source")?.or(source);
        if arguments.len() == before {
            return Err(format!(
                "build: unknown argument '{}'; see 'aruminium help'",
                arguments[0].display()
            ));
        }
    }
    let out = out.ok_or("build: --out DIR is missing")?;
    let folder = prepared(source)?;
    let failed = |error: std::io::Error| format!("{}: {error}", out.display());
    fs::create_dir_all(&out).map_err(failed)?;
    for name in [LIBRARY, ARCHIVE] {
        fs::copy(folder.join(name), out.join(name)).map_err(failed)?;
    }
    write_headers(&out.join("include")).map_err(failed)?;
    filled(out.clone())?;
    println!("{}", out.join(LIBRARY).display());
    Ok(ExitCode::SUCCESS)
}

/// A folder that has the library, with the files that name it. They are written again if the folder has moved.
fn filled(folder: PathBuf) -> Result<PathBuf, Failure> {
    let folder = whole(folder)?;
    let library = folder.join(LIBRARY);
    if !library.is_file() {
        return Err(format!(
            "{}: there is no such file; `aruminium build --out` makes it",
            library.display()
        ));
    }
    let written = write_link(&folder).and_then(|()| python::prepare(&folder, &library).map(drop));
    written.map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
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

/// The origin of the library's package, as in a Cargo dependency, and its folder if the files may change.
fn origin(source: Option<PathBuf>) -> Result<(String, Option<PathBuf>), Failure> {
    // Cargo keeps the sources of what it installs. Those of a registry or a repository do not change.
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = ["registry/src", "git/checkouts"];
    let is_kept = kept.iter().any(|part| own.to_string_lossy().contains(part));
    let folder = match source {
        Some(source) => whole(source)?,
        None if own.join("Cargo.toml").is_file() => own.to_path_buf(),
        None => return Ok((format!("version = \"={VERSION}\""), None)),
    };
    let may_change = folder != own || !is_kept;
    Ok((format!("path = {folder:?}"), may_change.then_some(folder)))
}

/// Where the library is, or will be.
struct Place {
    /// The cache's folder for this version and the user's compiler.
    folder: PathBuf,
    /// Where the package is from, as a dependency of Cargo's says it, and the folder if its files may change.
    origin: String,
    source: Option<PathBuf>,
    /// The folder whose toolchain and settings are in force.
    home: PathBuf,
    host: String,
    /// The compiler's version, as it prints it.
    compiler: String,
}

/// The library that `run` uses, and the compiler that builds it.
pub(super) fn located() -> Result<(PathBuf, String), Failure> {
    let place = place(None)?;
    let compiler = place.compiler.lines().next().unwrap_or_default().to_owned();
    Ok((place.folder.join(LIBRARY), compiler))
}

fn place(source: Option<PathBuf>) -> Result<Place, Failure> {
    let (origin, source) = origin(source)?;
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let cache = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("aruminium");
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    // Neither the toolchain nor the settings of the project in the current folder are meant for this library.
    let home = source.clone().unwrap_or_else(|| cache.clone());
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let compiler = Command::new(&rustc).arg("-vV").current_dir(&home).output();
    let compiler = compiler.map_err(|error| {
        format!("{}: {error}; a folder that `aruminium build` has filled needs no compiler: --library DIR", rustc.display())
    })?;
    let about = String::from_utf8_lossy(&compiler.stdout).into_owned();
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or_else(|| {
        format!("{} -vV: {}", rustc.display(), String::from_utf8_lossy(&compiler.stderr).trim())
    })?;
    let host = host.to_owned();
    let mut hasher = DefaultHasher::new();
    (&compiler.stdout, &origin).hash(&mut hasher);
    let folder = cache.join(format!("{VERSION}-{:016x}", hasher.finish()));
    Ok(Place { folder, origin, source, home, host, compiler: about })
}

/// The cache's folder with the library in it.
fn prepared(source: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let Place { folder, origin, source, home, host, .. } = place(source)?;
    let (library, archive) = (folder.join(LIBRARY), folder.join(ARCHIVE));
    if library.exists() && archive.exists() && source.is_none() {
        return filled(folder);
    }
    // Sources in a folder may have changed: Cargo finds out.
    if !library.exists() {
        eprintln!("aruminium: building {}, once for this version and compiler", library.display());
    }
    write_package(&folder, &origin, source.as_deref())
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--quiet", "--release", "--target", &host, "--manifest-path"])
        .arg(folder.join("package/Cargo.toml"))
        .current_dir(home)
        .env("CARGO_TARGET_DIR", folder.join("target"));
    // An empty variable overrides what a file of settings says.
    for empty in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        command.env(empty, "");
    }
    command.env_remove("RUSTFLAGS");
    let status = command.status().map_err(|error| format!("{}: {error}", cargo.display()))?;
    if !status.success() {
        return Err("the library could not be built; without a network, pass --source DIR".into());
    }
    let release = folder.join("target").join(&host).join("release");
    for (ending, to) in [("so", &library), ("a", &archive)] {
        let built = release.join("libaruminium_symbols").with_extension(ending);
        let part = part(to);
        fs::copy(&built, &part)
            .and_then(|_| fs::rename(&part, to))
            .map_err(|error| format!("{}: {error}", built.display()))?;
    }
    filled(folder)
}

/// Writes the package whose libraries have the symbols.
fn write_package(folder: &Path, origin: &str, source: Option<&Path>) -> std::io::Result<()> {
    let manifest = format!(
        "[package]\nname = \"aruminium_symbols\"\nversion = \"{VERSION}\"\nedition = \"2024\"\n\n\
         [lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\", \"staticlib\"]\n\n\
         [dependencies]\naruminium = {{ {origin}, features = [\"export\"] }}\n\n[workspace]\n"
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
    // With the versions that the source was locked to, nothing is looked up in a registry.
    let (lock, locked) =
        (package.join("Cargo.lock"), source.map(|source| source.join("Cargo.lock")));
    if let Some(text) =
        locked.filter(|_| !lock.exists()).and_then(|path| fs::read_to_string(path).ok())
    {
        write(&lock, &text)?;
    }
    write(&package.join("Cargo.toml"), &manifest)?;
    write(&package.join("lib.rs"), "extern crate aruminium;\n")?;
    write(&package.join("build.rs"), &format!("fn main() {{\n{}}}\n", lines.concat()))
}

/// Writes the linker scripts, those of further frameworks among them that are there from before.
fn write_link(folder: &Path) -> std::io::Result<()> {
    let link = folder.join("link");
    fs::create_dir_all(&link)?;
    let name = |file: fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        Some(name.strip_prefix("lib")?.strip_suffix(".so")?.to_owned())
    };
    let further: Vec<String> = fs::read_dir(link)?.flatten().filter_map(name).collect();
    let names = LINKED.iter().copied().chain(further.iter().map(String::as_str));
    names.into_iter().try_for_each(|name| write_script(folder, name))
}

/// Writes the linker script of a framework. The file's name is quoted: it may have spaces.
pub(super) fn write_script(folder: &Path, framework: &str) -> std::io::Result<()> {
    // A program that has the symbols itself, by this crate with the feature `export`, does not load the library.
    let script = format!("INPUT(AS_NEEDED(\"{}\"))\n", folder.join(LIBRARY).display());
    write(&folder.join("link").join(format!("lib{framework}.so")), &script)
}

/// Writes a file unless it has this text already, so that Cargo sees no change. A process that reads it meanwhile sees
/// the old text or the new one.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let part = part(path);
    fs::write(&part, text)?;
    fs::rename(&part, path)
}

/// A name for a file while it is made, which no other thread or process uses.
pub(super) fn part(path: &Path) -> PathBuf {
    static NEXT_PART: AtomicUsize = AtomicUsize::new(0);
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.{}", std::process::id(), NEXT_PART.fetch_add(1, Relaxed)));
    part.into()
}
