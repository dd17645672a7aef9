//! The launcher: runs other programs on soft Metal, and shows what the compiler does. `specs/export.md` describes it.

#[path = "aruminium/check.rs"]
mod check;
#[path = "aruminium/copies.rs"]
mod copies;
#[path = "aruminium/family.rs"]
mod family;
#[path = "aruminium/info.rs"]
mod info;
#[path = "aruminium/library.rs"]
mod library;
#[path = "aruminium/python.rs"]
mod python;
#[path = "aruminium/source.rs"]
mod source;
#[path = "aruminium/wrap.rs"]
mod wrap;

use aruminium::ShaderLib;
use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "\
usage: aruminium COMMAND

  run [--source DIR | --library DIR] PROGRAM [ARGUMENT…]
                                          run a program, cargo or python for instance, with soft Metal in
                                          place of Apple's
  build --out DIR [--source DIR]          build the library that `run` uses, and put it into a folder,
                                          with headers for C and C++
  check FILE… [-I DIR] [-D NAME[=TEXT]] [--json]
                                          compile Metal sources and print what the compiler says
  ir FILE KERNEL [-I DIR] [-D NAME[=TEXT]]
                                          print the intermediate representation of a kernel
  asm FILE KERNEL [-I DIR] [-D NAME[=TEXT]]
                                          print the machine code of a kernel
  info                                    the devices, their limits, versions, and the variables in force

`--source DIR` is the source of aruminium to build the library from, for instance when there is no network.
`--library DIR` is a folder that `build` has filled: no compiler is needed then.
";

/// The commands, which are no compilers.
const COMMANDS: [&str; 6] = ["run", "build", "check", "ir", "asm", "info"];

/// Why a command failed. The message is printed after the program's name.
type Failure = String;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Cargo calls this program as a compiler wrapper, with the compiler as the first argument.
    if let Some(folder) = std::env::var_os(wrap::FOLDER)
        && wrap::is_compiler(&arguments)
    {
        return report(wrap::compile(folder.as_ref(), arguments));
    }
    let Some((command, rest)) = arguments.split_first() else { return usage() };
    match command.to_str() {
        Some("run") => report(library::run(rest)),
        Some("build") => report(library::build(rest)),
        Some("check") => report(texts(rest).and_then(|rest| check::check(&rest))),
        Some("ir") => report(texts(rest).and_then(|rest| check::print("ir", &rest, ShaderLib::ir))),
        Some("asm") => {
            report(texts(rest).and_then(|rest| check::print("asm", &rest, ShaderLib::listing)))
        }
        Some("info") => report(info::info()),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some("--version" | "-V") => {
            println!("aruminium {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

/// The arguments of commands that read them as text.
fn texts(arguments: &[OsString]) -> Result<Vec<String>, Failure> {
    let text = |argument: &OsString| {
        let text = argument.to_str().map(str::to_owned);
        text.ok_or_else(|| format!("'{}' is not UTF-8", argument.display()))
    };
    arguments.iter().map(text).collect()
}

/// Prints a failure.
fn report(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| {
        eprintln!("aruminium: {failure}");
        ExitCode::FAILURE
    })
}
