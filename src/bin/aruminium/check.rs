//! The commands `check`, `ir` and `asm`: what the compiler says about a source.

use super::Failure;
use super::source::Arguments;
use aruminium::{Diagnostic, Gpu, GpuError, Severity, ShaderLib};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Compiles each file. The exit status is 1 if one has an error.
pub(super) fn check(arguments: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(arguments)?;
    if arguments.names.is_empty() {
        return Err("check: no file was given; see 'aruminium help'".into());
    }
    let gpu = Gpu::open().map_err(|error| error.to_string())?;
    let (mut errors, mut warnings, mut records) = (0, 0, Vec::new());
    for path in &arguments.names {
        let found = arguments.source(path).check(&gpu).map_err(reason)?;
        for one in found {
            match one.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
                _ => {}
            }
            match arguments.json {
                true => records.push(json(&one)),
                false => eprint!("{}", text(&one)),
            }
        }
    }
    match arguments.json {
        true => println!("[{}]", records.join(",\n ")),
        false => summary(errors, warnings),
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The compiler's messages, or the file that cannot be read, without a preface.
fn reason(error: GpuError) -> Failure {
    match error {
        GpuError::LibraryCompilationFailed(why) => why,
        other => other.to_string(),
    }
}

/// `2 warnings and 1 error generated.`, as clang says it.
fn summary(errors: usize, warnings: usize) {
    let count = |number: usize, word: &str| {
        (number > 0).then(|| format!("{number} {word}{}", if number == 1 { "" } else { "s" }))
    };
    let parts: Vec<_> =
        [count(warnings, "warning"), count(errors, "error")].into_iter().flatten().collect();
    if !parts.is_empty() {
        eprintln!("{} generated.", parts.join(" and "));
    }
}

/// A message as clang prints it: position, message, the line, and a caret.
fn text(one: &Diagnostic) -> String {
    let mut text = format!("{one}\n");
    let place = (&one.file, one.line, one.column);
    if let (Some(file), Some(line), Some(column)) = place
        && let Ok(source) = fs::read_to_string(file)
        // `#line` may number a line 0.
        && let Some(index) = (line as usize).checked_sub(1)
        && let Some(shown) = source.lines().nth(index)
    {
        // Tabs stay tabs, so that the caret is below its character.
        let before = shown.chars().take(column as usize - 1);
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(text, "{shown}\n{indent}^");
    }
    text
}

/// A message as a JSON object.
fn json(one: &Diagnostic) -> String {
    let number =
        |number: Option<u32>| number.map_or("null".to_owned(), |number| number.to_string());
    format!(
        "{{\"file\": {}, \"line\": {}, \"column\": {}, \"severity\": \"{}\", \"message\": {}}}",
        quoted(one.file.as_deref().unwrap_or_default()),
        number(one.line),
        number(one.column),
        one.severity,
        quoted(&one.message)
    )
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => _ = write!(quoted, "\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Prints what the compiler made of a kernel.
pub(super) fn print(
    command: &str,
    arguments: &[String],
    form: fn(&ShaderLib, &str) -> Result<String, GpuError>,
) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(arguments)?;
    let [path, kernel] = &arguments.names[..] else {
        return Err(format!(
            "{command}: a file and the name of a kernel are needed; see 'aruminium help'"
        ));
    };
    let gpu = Gpu::open().map_err(|error| error.to_string())?;
    let library = arguments.source(path).compile(&gpu).map_err(reason)?;
    let names = library.function_names();
    if !names.contains(kernel) {
        let has = if names.is_empty() { "none".into() } else { names.join(", ") };
        return Err(format!("{path}: there is no function '{kernel}' in this file: it has {has}"));
    }
    let text = form(&library, kernel).map_err(|error| format!("{path}: {error}"))?;
    match writeln!(io::stdout(), "{text}") {
        // A pager or `head` that has seen enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.to_string()),
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}
