//! The compiler wrapper: compiles the crates that bind to Apple's libraries as for an Apple system, and links
//! programs to the library.

use super::copies::{Copy, Kind, write_scripts};
use super::family::{CFGS, DEPLOYMENT, Known, NO_SCRIPT, OWN_CFG, known};
use super::{COMMANDS, Failure};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

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
    let mut is_own = arguments.iter().any(|argument| argument == "--print=cfg");
    let mut copied = None;
    let name = value(&arguments, "--crate-name");
    let root = PathBuf::from(package("MANIFEST_DIR"));
    if let Some(name) = &name {
        let library = package("PKG_NAME").replace('-', "_");
        // The library of a package, not a program or a test of that name in another one.
        let own = library == *name;
        if own && is_member(name)? {
            let copy = Copy::of(folder, &root, Kind::Member)?;
            arguments = copy.in_place(&arguments)?;
            copied = Some(copy);
            for cfg in CFGS {
                arguments.extend(["--cfg".into(), cfg.into()]);
            }
            // The compiler warns that these are not for users to set, which is the point here.
            arguments.extend(["-A", "explicit_builtin_cfgs_in_flags"].map(OsString::from));
        }
        if name == "build_script_build" && library == NO_SCRIPT && is_member(&library)? {
            replace_script(folder, &mut arguments)?;
        }
        is_own |= own && name == env!("CARGO_PKG_NAME");
        link_frameworks(folder, &mut arguments)?;
        let mut search = OsString::from("-Lnative=");
        search.push(folder.join("link"));
        arguments.push(search);
    }
    if is_own {
        arguments.extend(["--cfg", OWN_CFG].map(OsString::from));
    }
    let mut compiler = compiler(&arguments);
    if let Some(copy) = copied {
        return run_on(&copy, &arguments, compiler);
    }
    if name.is_none() {
        let error = compiler.exec();
        return Err(failed(&compiler, &error));
    }
    match run_until_refused(&mut compiler).map_err(|error| failed(&compiler, &error))? {
        Ok(status) => Ok(exit_code(&compiler, status)),
        Err(refusal) => {
            // Without a copy, what the compiler said is the result.
            let copy = Copy::of(folder, &root, Kind::Program)
                .inspect_err(|_| _ = io::stderr().write_all(&refusal))?;
            let arguments = copy.in_place(&arguments)?;
            let compiler = self::compiler(&arguments);
            run_on(&copy, &arguments, compiler)
        }
    }
}

/// Runs the compiler on a package of the user's, and passes on what it says up to the error that it accepts frameworks for
/// Apple's targets only. If it ended with that, what it said from there on is the error.
fn run_until_refused(compiler: &mut Command) -> io::Result<Result<ExitStatus, Vec<u8>>> {
    const REFUSED: &str = "E0455";
    let mut child = compiler.stderr(Stdio::piped()).spawn()?;
    let (mut said, mut held) = (io::stderr().lock(), Vec::new());
    for line in BufReader::new(child.stderr.take().expect("it is piped")).split(b'\n') {
        let mut line = line?;
        line.push(b'\n');
        if held.is_empty() && !String::from_utf8_lossy(&line).contains(REFUSED) {
            said.write_all(&line)?;
        } else {
            held.extend(line);
        }
    }
    let status = child.wait()?;
    if !status.success() && !held.is_empty() {
        return Ok(Err(held));
    }
    // E0455 was only mentioned, by a warning for instance.
    said.write_all(&held)?;
    Ok(Ok(status))
}

/// A property of the package that is compiled, from Cargo's variables.
fn package(what: &str) -> String {
    env::var(format!("CARGO_{what}")).unwrap_or_default()
}

/// The value of an option of the compiler's.
fn value(arguments: &[OsString], option: &str) -> Option<String> {
    let at = arguments.iter().position(|argument| argument == option)?;
    arguments.get(at + 1)?.to_str().map(str::to_owned)
}

/// Whether the package that is compiled is of the family. A release that is newer than those that were tried is reported.
fn is_member(name: &str) -> Result<bool, Failure> {
    Ok(match known(name, &package("PKG_VERSION"), &package("PKG_REPOSITORY"))? {
        Known::Stranger => false,
        Known::Tried => true,
        Known::Newer(report) => {
            eprintln!("aruminium: {report}");
            true
        }
    })
}

/// Puts an empty build script in the place of the package's own.
fn replace_script(folder: &Path, arguments: &mut [OsString]) -> Result<(), Failure> {
    let empty = folder.join("empty.rs");
    super::library::write(&empty, "fn main() {}\n")
        .map_err(|error| format!("{}: {error}", empty.display()))?;
    let scripts = arguments.iter_mut().filter(|text| Path::new(text).ends_with("build.rs"));
    if scripts.map(|script| *script = empty.clone().into()).count() == 0 {
        return Err(format!(
            "the build script of {NO_SCRIPT} {} is not called build.rs, so this launcher does not replace it: use \
             another version of the crate, and report this one",
            package("PKG_VERSION")
        ));
    }
    Ok(())
}

/// Has the frameworks that build scripts ask for (`-l framework=Metal`) be dynamic libraries.
fn link_frameworks(folder: &Path, arguments: &mut [OsString]) -> Result<(), Failure> {
    let mut is_library = false;
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        let library = if is_library { Some(text) } else { text.strip_prefix("-l") };
        is_library = text == "-l";
        if let Some(name) = library.and_then(|library| library.strip_prefix("framework=")) {
            write_scripts(folder, &[name.to_owned()])?;
            *argument =
                format!("{}dylib={name}", if text.starts_with("-l") { "-l" } else { "" }).into();
        }
    }
    Ok(())
}

/// The compiler, behind the wrapper that the user had set.
fn compiler(arguments: &[OsString]) -> Command {
    let next = env::var_os(NEXT).filter(|next| !next.is_empty());
    let mut all = next.iter().chain(arguments);
    let mut command = Command::new(all.next().map(OsString::as_os_str).unwrap_or_default());
    command.args(all).env(DEPLOYMENT.0, DEPLOYMENT.1);
    command
}

fn failed(compiler: &Command, error: &io::Error) -> Failure {
    format!("{}: {error}", compiler.get_program().display())
}

/// This program's exit code, which Cargo takes for the compiler's: as in a shell, 128 and the number of a signal.
fn exit_code(compiler: &Command, status: ExitStatus) -> ExitCode {
    let code = match status.signal() {
        Some(signal) => {
            let program = compiler.get_program().display();
            eprintln!("aruminium: {program} was ended by signal {signal}");
            Some(128 + signal)
        }
        None => status.code(),
    };
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Runs the compiler on a copy.
fn run_on(copy: &Copy, arguments: &[OsString], mut compiler: Command) -> Result<ExitCode, Failure> {
    let status = compiler.status().map_err(|error| failed(&compiler, &error))?;
    // Cargo names the list of what was read by these options.
    let extra =
        arguments.iter().find_map(|option| option.to_str()?.strip_prefix("extra-filename="));
    if status.success()
        && let (Some(out), Some(name)) =
            (value(arguments, "--out-dir"), value(arguments, "--crate-name"))
    {
        let list = Path::new(&out).join(format!("{name}{}.d", extra.unwrap_or_default()));
        if list.is_file() {
            copy.restore(&list).map_err(|error| format!("{}: {error}", list.display()))?;
        }
    }
    Ok(exit_code(&compiler, status))
}
