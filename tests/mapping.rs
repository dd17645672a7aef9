//! `specs/mapping.md` is what the reflection lists say: `ARUMINIUM_UPDATE=1` writes it anew.

use aruminium::CLASSES;
use aruminium::objc::{Level, Nullability};
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "# What each method sends

One table a class: the method in Rust, the message it is, and the types that travel, in Objective-C's encoding: the
result, then the arguments. `+` is a message to the class itself. A nullable answer is an `Option` in Rust or an
error; `error:` is a trailing `NSError **`, which becomes the `Err` of a `Result`. Methods that are no message, or more
than one, are in [api.md](api.md).

This page is generated from `aruminium::CLASSES` by `ARUMINIUM_UPDATE=1 cargo test --test mapping`, and the same test
holds it against them.
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
            let types: Vec<&str> =
                std::iter::once(method.result).chain(method.arguments.concat()).collect();
            let (name, selector, types) = (method.name, method.selector, types.join(" "));
            writeln!(page, "| `{name}` | `{sign}[{objc} {selector}]` | `{types}` | {nil} |")
                .unwrap();
        }
    }
    page
}

#[test]
fn the_page_is_what_the_lists_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/mapping.md");
    let page = page();
    if std::env::var_os("ARUMINIUM_UPDATE").is_some() {
        std::fs::write(&file, page).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(page.lines()).find(|(found, page)| found != page);
    assert!(
        found == page,
        "specs/mapping.md is not what is declared: run `ARUMINIUM_UPDATE=1 cargo test --test mapping`.\nFirst \
         difference: {differs:#?}"
    );
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
fn the_tests_that_the_pages_name_are_there() {
    let tests = named_tests();
    assert!(tests.len() > 50, "{}", tests.len());
    for (file, test) in tests {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{file}.rs"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}()")), "tests/{file}.rs has no {test}");
    }
}
