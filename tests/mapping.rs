//! Writes `specs/mapping.md` from the reflection data, and `src/driver/classes.rs` from the declarations.

use aruminium::CLASSES;
use aruminium::abi::{Bool, Encode};
use aruminium::objc::{Level, Nullability};
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const HEAD: &str = "# What each method sends

One table per class: the method in Rust, the message that it sends, and the types in Objective-C's encoding: the
result, then the arguments. `+` is a message to the class itself. A nullable result is an `Option` in Rust or an
error; `error:` is a trailing `NSError **`, which becomes the `Err` of a `Result`. Methods that send no message, or
several, are in [api.md](api.md).

This page is generated from `aruminium::CLASSES` by `cargo test --test mapping`.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut names: Vec<&str> = CLASSES.iter().map(|class| class.rust).collect();
    names.dedup();
    let mut listed = Vec::new();
    for name in names {
        if listed.contains(&name) {
            continue;
        }
        listed.push(name);
        // Methods that a trait adds are a list of their own.
        let lists = || CLASSES.iter().filter(move |class| class.rust == name);
        let objc = lists().next().map_or("", |class| class.objc);
        writeln!(
            page,
            "\n## {name}: {objc}\n\n| method | message | types | nil |\n| --- | --- | --- | --- |"
        )
        .unwrap();
        for method in lists().flat_map(|class| class.methods) {
            let sign = match method.level {
                Level::Instance => '-',
                Level::Class => '+',
            };
            let nil = match method.nullability {
                Nullability::NonNull => "",
                Nullability::Nullable => "nullable",
                Nullability::Error => "`error:`",
            };
            let types: Vec<&str> = std::iter::once(method.result)
                .chain(method.arguments.concat())
                .map(on_arm64)
                .collect();
            let (name, selector, types) = (method.name, method.selector, types.join(" "));
            writeln!(page, "| `{name}` | `{sign}[{objc} {selector}]` | `{types}` | {nil} |")
                .unwrap();
        }
    }
    page
}

/// Writes a generated file if it is out of date, and returns whether it was up to date. In CI, where a written file
/// would be lost, that is an error.
fn write(file: &str, text: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).find(|(found, text)| found != text);
    if found == text {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{file} is out of date: run `cargo test --test mapping` and commit it. First difference: {differs:#?}"
    );
    fs::write(&path, text).unwrap();
    println!("{file} was out of date and is written anew: commit it.");
    false
}

#[test]
fn the_page_equals_the_declarations() {
    write("specs/mapping.md", &page());
}

/// An encoding as arm64 has it: `BOOL` is another type on x86_64.
fn on_arm64(encoding: &str) -> &str {
    if encoding == Bool::ENCODING { "B" } else { encoding }
}

const CLASSES_HEAD: &str = r#"//! Every class that the driver declares. Written by `cargo test --test mapping` from the declarations.

use super::*;
use crate::objc::{ClassInfo, ObjcClass};

/// Every class that this crate declares, with its methods and the messages that they send.
///
/// ```
/// use aruminium::CLASSES;
/// let string = CLASSES.iter().find(|class| class.objc == "NSString").unwrap();
/// let length = string.methods.iter().find(|method| method.selector == "length").unwrap();
/// assert_eq!(length.name, "len_utf16");
/// ```
pub const CLASSES: &[ClassInfo] = &[
"#;

/// The source of `CLASSES`, from the headers of the declarations in `src/driver`.
fn classes() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/driver");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut modules: Vec<(String, String)> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect();
    modules.sort();
    let mut source = CLASSES_HEAD.to_owned();
    let mut protocols = HashMap::new();
    let headers = modules.iter().flat_map(|(module, text)| {
        let lines = text.lines().skip_while(|line| !line.starts_with("metal_class!"));
        lines.map(move |line| (module, line.trim().split([' ', ':', ',', ';']).collect::<Vec<_>>()))
    });
    for (module, words) in headers {
        // `pub class Rust: ObjC …` or `pub(super) trait Rust for Class;`
        let words = match &words[..] {
            [visibility, rest @ ..] if visibility.starts_with("pub") => rest,
            words => words,
        };
        match words {
            ["class", rust, "", objc, ..] => {
                protocols.insert((*rust).to_owned(), (*objc).to_owned());
                writeln!(source, "    {module}::{rust}::INFO,").unwrap();
            }
            ["trait", name, "for", class, ..] if protocols.contains_key(*class) => {
                let objc = &protocols[*class];
                let methods = format!("<{module}::{class} as {module}::{name}>::ADDED");
                writeln!(source, "    ClassInfo::new(\"{class}\", \"{objc}\", {methods}),")
                    .unwrap();
            }
            _ => {}
        }
    }
    source + "];\n"
}

#[test]
fn every_class_is_listed() {
    assert!(
        write("src/driver/classes.rs", &classes()),
        "src/driver/classes.rs was out of date and is written anew: run the tests again"
    );
    assert!(CLASSES.len() >= 25, "{}", CLASSES.len());
}

#[test]
fn every_class_has_its_table() {
    let page = page();
    for class in CLASSES {
        assert!(page.contains(&format!("\n## {}: {}\n", class.rust, class.objc)));
        for method in class.methods {
            assert!(
                page.contains(&format!("{} {}]`", class.objc, method.selector)),
                "{}",
                method.selector
            );
        }
    }
}

/// The tests that `specs/api.md` names, as `file::function`.
fn named_tests() -> Vec<(String, String)> {
    let page = include_str!("../specs/api.md");
    let (_, table) = page.split_once("## Which test fails").expect("the table of tests");
    let quoted = table.split('`').skip(1).step_by(2);
    let tests = quoted.filter_map(|name| name.split_once("::"));
    // Rust's types begin with a capital letter, files do not.
    let tests = tests.filter(|(file, _)| file.starts_with(char::is_lowercase));
    tests.map(|(file, test)| (file.to_owned(), test.to_owned())).collect()
}

#[test]
fn the_tests_named_in_the_pages_exist() {
    let tests = named_tests();
    assert!(tests.len() > 50, "{}", tests.len());
    for (file, test) in tests {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{file}.rs"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}()")), "tests/{file}.rs has no {test}");
    }
}
