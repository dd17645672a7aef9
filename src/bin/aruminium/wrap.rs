//! The compiler wrapper: compiles the crates that bind to Apple's libraries as for an Apple system, and links
//! programs to the library.

use super::copies::Copy;
use super::family::{CFGS, DEPLOYMENT, NO_SCRIPT, OWN_CFG, is_member};
use super::{COMMANDS, Failure};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The variable that has the folder of the library, while this program is a wrapper.
pub(super) const FOLDER: &str = "ARUMINIUM_LAUNCHER_LIBRARY";
/// The variable that has the wrapper that the user had set.
pub(super) const NEXT: &str = "ARUMINIUM_LAUNCHER_NEXT";
/// The variable that has the launcher itself, as it was put in the user's wrapper's place.
pub(super) const OWN: &str = "ARUMINIUM_LAUNCHER";

/// Whether the arguments are a compiler, or Clippy or another wrapper and then the compiler, and what Cargo passes to it.
pub(super) fn is_compiler(arguments: &[OsString]) -> bool {
    let named = |argument: &OsString| {
        let name = Path::new(argument).file_stem().and_then(OsStr::to_str).unwrap_or_default();
        name.contains("rustc")
            || name == "clippy-driver"
            || env::var_os("RUSTC").as_ref() == Some(argument)
    };
    let is_command = |argument: &OsString| COMMANDS.iter().any(|command| argument == command);
    match arguments {
        [first, ..] if named(first) => true,
        [first, second, ..] => named(second) && !is_command(first),
        _ => false,
    }
}

/// Runs the compiler.
pub(super) fn compile(folder: &Path, mut arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    let value = |arguments: &[OsString], option: &str| {
        let at = arguments.iter().position(|argument| argument == option)?;
        arguments.get(at + 1)?.to_str().map(str::to_owned)
    };
    let mut is_own = arguments.iter().any(|argument| argument == "--print=cfg");
    let mut copied = None;
    if let Some(name) = value(&arguments, "--crate-name") {
        let package = |what: &str| env::var(format!("CARGO_{what}")).unwrap_or_default();
        // The library of a package, not a program or a test of that name in another one.
        let own = package("PKG_NAME").replace('-', "_") == name;
        if own && is_member(&name, &package("PKG_VERSION"))? {
            let copy = Copy::of(folder, Path::new(&package("MANIFEST_DIR")))?;
            let here =
                env::current_dir().map_err(|error| format!("the current folder: {error}"))?;
            for argument in &mut arguments {
                if let Some(place) = copy.place(argument, &here) {
                    *argument = place.into();
                }
            }
            copied = Some((copy, name.clone()));
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
            let scripts = arguments.iter_mut().filter(|text| Path::new(text).ends_with("build.rs"));
            let replaced = scripts.map(|script| *script = empty.clone().into()).count();
            if replaced == 0 {
                return Err(format!(
                    "the build script of {member} {} is not called build.rs, so this launcher does not replace it: use \
                     another version of the crate, and report this one",
                    package("PKG_VERSION")
                ));
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
    let next = env::var_os(NEXT).filter(|next| !next.is_empty());
    let mut all = next.into_iter().chain(arguments.iter().cloned());
    let program = all.next().unwrap_or_default();
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let mut command = Command::new(&program);
    command.args(all).env(DEPLOYMENT.0, DEPLOYMENT.1);
    let Some((copy, name)) = copied else { return Err(failed(command.exec())) };
    let status = command.status().map_err(failed)?;
    // Cargo names the list of what was read by these options.
    let extra =
        arguments.iter().find_map(|option| option.to_str()?.strip_prefix("extra-filename="));
    if status.success()
        && let Some(out) = value(&arguments, "--out-dir")
    {
        let list = Path::new(&out).join(format!("{name}{}.d", extra.unwrap_or_default()));
        if list.is_file() {
            copy.restore(&list).map_err(|error| format!("{}: {error}", list.display()))?;
        }
    }
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
