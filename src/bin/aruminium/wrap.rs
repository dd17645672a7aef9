//! The compiler wrapper: compiles the crates that bind to Apple's libraries as for an Apple system, and links
//! programs to the library.

use super::Failure;
use super::family::{CFGS, DEPLOYMENT, NO_SCRIPT, OWN_CFG, is_member};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The variable that has the folder of the library, while this program is a wrapper.
pub(super) const FOLDER: &str = "ARUMINIUM_LAUNCHER_LIBRARY";
/// The variable that has the wrapper that the user had set.
pub(super) const NEXT: &str = "ARUMINIUM_LAUNCHER_NEXT";

/// Whether the arguments are a compiler and what Cargo passes to it.
pub(super) fn is_compiler(arguments: &[OsString]) -> bool {
    let program = arguments.first().map(Path::new).and_then(Path::file_stem);
    program.and_then(OsStr::to_str).is_some_and(|name| name.contains("rustc"))
}

/// Runs the compiler.
pub(super) fn compile(folder: &Path, mut arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    let value = |option: &str| {
        let at = arguments.iter().position(|argument| argument == option)?;
        arguments.get(at + 1)?.to_str().map(str::to_owned)
    };
    let mut is_own = arguments.iter().any(|argument| argument == "--print=cfg");
    if let Some(name) = value("--crate-name") {
        let package = |what: &str| std::env::var(format!("CARGO_{what}")).unwrap_or_default();
        // The library of a package, not a program or a test of that name in another one.
        let own = package("PKG_NAME").replace('-', "_") == name;
        if own && is_member(&name, &package("PKG_VERSION"))? {
            let root = PathBuf::from(package("MANIFEST_DIR"));
            let copy = rewritten(folder, &root)?;
            for argument in &mut arguments {
                let path = Path::new(&*argument);
                if let Ok(inside) = path.strip_prefix(&root).or_else(|_| inside(path, &root)) {
                    *argument = copy.join(inside).into();
                }
            }
            for cfg in CFGS {
                arguments.extend(["--cfg".into(), cfg.into()]);
            }
            // The compiler warns that these are not for users to set, which is the point here.
            arguments.extend(["-A", "explicit_builtin_cfgs_in_flags"].map(OsString::from));
        }
        let member = package("PKG_NAME").replace('-', "_");
        if name == "build_script_build"
            && member == NO_SCRIPT
            && is_member(&member, &package("PKG_VERSION"))?
        {
            let empty = folder.join("empty.rs");
            super::library::write(&empty, "fn main() {}\n")
                .map_err(|error| format!("{}: {error}", empty.display()))?;
            for argument in
                arguments.iter_mut().filter(|text| Path::new(text).ends_with("build.rs"))
            {
                *argument = empty.clone().into();
            }
        }
        is_own |= own && name == env!("CARGO_PKG_NAME");
        let mut search = OsString::from("-Lnative=");
        search.push(folder.join("link"));
        arguments.push(search);
    }
    if is_own {
        arguments.extend(["--cfg", OWN_CFG].map(OsString::from));
    }
    let next = std::env::var_os(NEXT).filter(|next| !next.is_empty());
    let mut all = next.into_iter().chain(arguments);
    let program = all.next().unwrap_or_default();
    let error = Command::new(&program).args(all).env(DEPLOYMENT.0, DEPLOYMENT.1).exec();
    Err(format!("{}: {error}", program.display()))
}

/// The part of a relative path below a package, for packages of the workspace, which Cargo compiles from its root.
fn inside<'a>(path: &'a Path, root: &Path) -> Result<&'a Path, std::path::StripPrefixError> {
    match path.extension() {
        Some(extension) if extension == "rs" && root.join(path).is_file() => Ok(path),
        _ => path.strip_prefix("/nowhere"),
    }
}

/// The sources of a package with `kind = "framework"` replaced, in the folder of the library.
fn rewritten(folder: &Path, root: &Path) -> Result<PathBuf, Failure> {
    let name = root.file_name().ok_or("Cargo named no package")?;
    let copy = folder.join("src").join(name);
    if copy.is_dir() {
        return Ok(copy);
    }
    let part = folder.join("src").join(format!("{}.{}", name.display(), std::process::id()));
    let failed = |error: std::io::Error| format!("{}: the copy failed: {error}", root.display());
    copy_tree(root, &part).map_err(failed)?;
    // Another compiler may have made the same copy meanwhile.
    if fs::rename(&part, &copy).is_err() {
        fs::remove_dir_all(&part).map_err(failed)?;
    }
    Ok(copy)
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_tree(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            fs::write(&target, text.replace("kind = \"framework\"", "kind = \"dylib\""))?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
