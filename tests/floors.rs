//! The import rules of the source tree, in one table: the rooms that each room may name, checked by reading the sources.
//!
//! Every path in every file is resolved to the module that it names: `use` trees, qualified paths in code and in
//! macro bodies, `super` and `self`, names that a `use` renames, and names that a module re-exports. Test
//! modules may name anything.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms that its files may name beside their own. A room is a module with all that is below it.
/// Rows name only rows below them, so no circle of files spans two rooms.
const ROOMS: &[(&str, &[&str])] = &[
    ("export", &["macros", "objc", "abi"]),
    ("lib", &["infer", "ring", "memory", "driver", "macros", "objc", "fp16", "abi"]),
    ("infer", &["memory", "driver", "macros", "objc", "fp16"]),
    ("ring", &["memory", "driver", "objc", "fp16"]),
    ("memory", &["driver", "objc", "abi"]),
    ("driver", &["macros", "objc", "fp16", "abi"]),
    ("macros", &["objc", "abi"]),
    ("objc", &["abi"]),
    (
        "soft::metal",
        &[
            "soft::stream",
            "soft::foundation",
            "soft::runtime",
            "soft::kernel",
            "soft::ir",
            "soft::fork",
            "soft::variables",
            "soft::sorted",
            "fp16",
            "abi",
        ],
    ),
    (
        "soft::stream",
        &[
            "soft::kernel",
            "soft::ir",
            "soft::fork",
            "soft::variables",
            "soft::sorted",
            "soft::system",
            "abi",
        ],
    ),
    (
        "soft::cpu",
        &[
            "soft::kernel",
            "soft::ir",
            "soft::variables",
            "soft::floats",
            "soft::sorted",
            "soft::system",
        ],
    ),
    ("soft::ptx", &["soft::kernel", "soft::ir", "soft::sorted"]),
    ("soft::msl", &["soft::ir", "soft::sorted"]),
    ("soft::kernel", &["soft::ir", "soft::sorted"]),
    ("soft::ir", &["soft::fork", "soft::floats", "soft::sorted"]),
    ("soft::foundation", &["soft::runtime", "soft::fork", "soft::system", "abi"]),
    ("soft::runtime", &["soft::fork", "soft::sorted", "soft::system", "abi"]),
    ("soft::fork", &[]),
    ("soft::floats", &[]),
    ("soft::sorted", &[]),
    ("soft::variables", &[]),
    ("soft::system", &[]),
    ("fp16", &["abi"]),
    ("abi", &[]),
];

/// The files of `ring`, the highest first: a file names only files below it.
const RING: &[&str] = &[
    "handle",
    "actor",
    "receive",
    "driver",
    "replay",
    "interop",
    "stat",
    "topology",
    "restore",
    "checkpoint",
    "run",
    "supervise",
    "submit",
    "prepare",
    "life",
    "mail",
    "core",
    "state",
    "submitter",
    "trace",
    "plan",
    "record",
    "post",
    "kind",
    "places",
    "table",
    "layout",
    "halo",
    "bytes",
    "message",
    "options",
    "error",
    "id",
    "clock",
];

/// A single file that may name more rooms than the rest of its room.
struct Door {
    file: &'static str,
    rooms: &'static [&'static str],
    /// Whether the file's re-exports count as its own items. Otherwise a use of them names the room that they come from.
    exports: bool,
}

const DOORS: &[Door] = &[
    // The one place that decides where C functions come from.
    Door {
        file: "objc::link",
        rooms: &["soft::metal", "soft::foundation", "soft::runtime"],
        exports: true,
    },
    // The one file of `metal` that knows the compiler and the back ends.
    Door {
        file: "soft::metal::compiler",
        rooms: &["soft::cpu", "soft::ptx", "soft::msl"],
        exports: false,
    },
];

/// The rooms without rules: `soft` itself only declares its rooms, and modules of tests may name anything.
const FREE: &[&str] = &["soft"];

/// A module path, without `crate`.
type Module = Vec<String>;

/// One file that is part of the crate.
struct File {
    path: PathBuf,
    module: Module,
    tokens: Vec<Token>,
    /// Whether it is compiled for tests only.
    test: bool,
}

#[derive(Clone, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// One mention of another module.
#[derive(Clone)]
struct Mention {
    line: usize,
    /// The module, inside the file, that mentions it.
    scope: Module,
    path: Vec<String>,
}

/// Splits source into identifiers, `::` and single characters; comments, strings and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let start = at;
        let rest = &chars[at..];
        match rest {
            ['/', '/', ..] => at += rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => {
                let mut depth = 0;
                loop {
                    match &chars[at..] {
                        ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
                        ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
                        [_, ..] => at += 1,
                        [] => break,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            // A raw string, with or without `b` or `c` before it.
            ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..]
                if raw_string(rest).is_some() && (at == 0 || !is_word(chars[at - 1])) =>
            {
                at += raw_string(rest).unwrap_or(1);
            }
            ['"', ..] => {
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    at += if chars[at] == '\\' { 2 } else { 1 };
                }
                at += 1;
                tokens
                    .push(Token { text: chars[start..at.min(chars.len())].iter().collect(), line });
            }
            // A character; anything else after a quote is a lifetime.
            ['\'', '\\', ..] => {
                at += 3 + chars[at + 3..].iter().position(|&c| c == '\'').unwrap_or(0)
            }
            ['\'', _, '\'', ..] => at += 3,
            ['\'', ..] => {
                at += 1;
                while at < chars.len() && is_word(chars[at]) {
                    at += 1;
                }
            }
            [':', ':', ..] => {
                at += 2;
                tokens.push(Token { text: "::".to_owned(), line });
            }
            [c, ..] if is_word(*c) => {
                while at < chars.len() && is_word(chars[at]) {
                    at += 1;
                }
                tokens.push(Token { text: chars[start..at].iter().collect(), line });
            }
            [c, ..] => {
                at += 1;
                if !c.is_whitespace() {
                    tokens.push(Token { text: c.to_string(), line });
                }
            }
            [] => {}
        }
        let end = at.min(chars.len());
        line += chars[start..end].iter().filter(|&&c| c == '\n').count();
    }
    tokens
}

/// The length of the raw string that the text begins with.
fn raw_string(text: &[char]) -> Option<usize> {
    let open = text.iter().position(|&c| c == 'r')? + 1;
    let hashes = text[open..].iter().take_while(|&&c| c == '#').count();
    let body = open + hashes + 1;
    if text.get(body - 1) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let end = text[body..].windows(close.len()).position(|window| window == close)?;
    Some(body + end + close.len())
}

/// The attributes and visibility of the item at a token.
fn attributes(tokens: &[Token], item: usize) -> &[Token] {
    let ends = |token: &Token| matches!(token.text.as_str(), ";" | "{" | "}");
    let start = tokens[..item].iter().rposition(ends).map_or(0, |end| end + 1);
    &tokens[start..item]
}

/// Whether a module is compiled for tests only: `#[cfg(test)]`, `#[cfg(all(test, …))]`.
fn is_test(attributes: &[Token]) -> bool {
    attributes.windows(2).any(|pair| matches!(&*pair[0].text, "(" | ",") && pair[1].text == "test")
}

/// The files that the `#[path]`s of a module name.
fn paths(attributes: &[Token]) -> Vec<String> {
    let paths = attributes.windows(3).filter(|window| window[0].text == "path");
    paths.map(|window| window[2].text.trim_matches('"').to_owned()).collect()
}

/// Adds the file and the files of the modules that it declares.
fn read(path: &Path, module: Module, test: bool, files: &mut Vec<File>) {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tokens = tokens(&text);
    let folder = match path.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs") => path.parent().unwrap().to_owned(),
        _ => path.with_extension(""),
    };
    let directory = path.parent().unwrap();
    let mut declared = Vec::new();
    for at in 0..tokens.len().saturating_sub(2) {
        if tokens[at].text != "mod" || tokens[at + 2].text != ";" {
            continue;
        }
        let (name, attributes) = (tokens[at + 1].text.clone(), attributes(&tokens, at));
        let mut candidates: Vec<PathBuf> =
            paths(attributes).iter().map(|path| directory.join(path)).collect();
        if candidates.is_empty() {
            candidates = vec![folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
        }
        candidates.retain(|file| file.exists());
        assert!(!candidates.is_empty(), "{}: no file for `mod {name}`", path.display());
        declared.push((name, test || is_test(attributes), candidates));
    }
    files.push(File { path: path.to_owned(), module: module.clone(), tokens, test });
    for (name, test, candidates) in declared {
        let mut child = module.clone();
        child.push(name);
        for file in candidates {
            read(&file, child.clone(), test, files);
        }
    }
}

/// The tree of a `use`, from the token after the word: each leaf's path and the name that it binds.
fn use_tree(
    tokens: &[Token],
    at: &mut usize,
    prefix: &[String],
    out: &mut Vec<(Vec<String>, String, usize)>,
) {
    let mut path = prefix.to_vec();
    let mut line = tokens[*at].line;
    loop {
        match tokens.get(*at).map(|token| token.text.as_str()) {
            Some("{") => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token.text != "}") {
                    use_tree(tokens, at, &path, out);
                    if tokens.get(*at).is_some_and(|token| token.text == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            Some("*") => {
                *at += 1;
                out.push((path, "*".to_owned(), line));
                return;
            }
            Some("::" | "$") => *at += 1,
            Some("as") => {
                out.push((path, tokens[*at + 1].text.clone(), line));
                *at += 2;
                return;
            }
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                line = tokens[*at].line;
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                *at += 1;
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                out.push((path, name, line));
                return;
            }
        }
    }
}

/// The paths that a file mentions, and the names that its `use`s bind, by module.
#[derive(Default)]
struct Names {
    mentions: Vec<Mention>,
    /// (module, name) to a path as it was written there.
    bound: HashMap<(Module, String), Vec<String>>,
}

fn scan(file: &File, names: &mut Names) {
    let tokens = &file.tokens;
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    // Inline modules, with the depth of braces that each stands in.
    let (mut scope, mut inside, mut depth) = (file.module.clone(), Vec::new(), 0);
    let mut at = 0;
    while at < tokens.len() {
        match word(at) {
            "mod" if word(at + 2) == "{" => {
                if is_test(attributes(tokens, at)) {
                    // Skip a module of tests.
                    let mut open = 0;
                    at += 2;
                    loop {
                        open += i32::from(word(at) == "{") - i32::from(word(at) == "}");
                        at += 1;
                        if open == 0 || at >= tokens.len() {
                            break;
                        }
                    }
                    continue;
                }
                scope.push(word(at + 1).to_owned());
                inside.push(depth);
                depth += 1;
                at += 3;
            }
            "{" => {
                depth += 1;
                at += 1;
            }
            "}" => {
                depth -= 1;
                if inside.last() == Some(&depth) {
                    inside.pop();
                    scope.pop();
                }
                at += 1;
            }
            "pub" if word(at + 1) == "(" => {
                while word(at) != ")" {
                    at += 1;
                }
                at += 1;
            }
            "use" => {
                at += 1;
                // `impl Trait + use<'a>` is not an import.
                if word(at) == "<" {
                    continue;
                }
                let mut leaves = Vec::new();
                use_tree(tokens, &mut at, &[], &mut leaves);
                for (path, name, line) in leaves {
                    if name != "*" {
                        names.bound.insert((scope.clone(), name), path.clone());
                    }
                    names.mentions.push(Mention { line, scope: scope.clone(), path });
                }
            }
            // The name of a field or method is not a path.
            text if text.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && word(at + 1) == "::"
                && (at == 0 || !matches!(word(at - 1), "." | "::")) =>
            {
                let (start, mut path) = (at, vec![text.to_owned()]);
                at += 1;
                while word(at) == "::"
                    && word(at + 1).starts_with(|c: char| c.is_alphabetic() || c == '_')
                {
                    path.push(word(at + 1).to_owned());
                    at += 2;
                }
                names.mentions.push(Mention {
                    line: tokens[start].line,
                    scope: scope.clone(),
                    path,
                });
            }
            _ => at += 1,
        }
    }
}

/// The crate: its modules, and the names that they bind.
struct Crate<'a> {
    modules: HashMap<Module, &'a File>,
    names: &'a Names,
    /// Macros, which are named from the crate's root.
    macros: HashMap<String, Module>,
    doors: &'a [Door],
}

impl Crate<'_> {
    /// The module that a path names, or the module of the item that it names.
    fn resolve(&self, scope: &Module, path: &[String], budget: usize) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" | "aruminium" => self.descend(Vec::new(), rest, budget),
            "self" => self.descend(scope.clone(), rest, budget),
            "super" => {
                let mut parent = scope.clone();
                parent.pop()?;
                let mut rest = rest;
                while let Some(("super", more)) =
                    rest.split_first().map(|(word, more)| (word.as_str(), more))
                {
                    parent.pop()?;
                    rest = more;
                }
                self.descend(parent, rest, budget)
            }
            _ => self.enter(scope, path, budget),
        }
    }

    /// The module of a path whose first word is a name that `module` has.
    fn enter(&self, module: &Module, path: &[String], budget: usize) -> Option<Module> {
        let budget = budget.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let mut child = module.clone();
        child.push(first.clone());
        if self.modules.contains_key(&child) {
            return self.descend(child, rest, budget);
        }
        let own = self.doors.iter().any(|door| door.exports && door.file == name(module));
        if let Some(target) =
            self.names.bound.get(&(module.clone(), first.clone())).filter(|_| !own)
        {
            if target.first() == Some(first) && target.len() == 1 {
                return None;
            }
            let mut path = target.clone();
            path.extend_from_slice(rest);
            return self.resolve(module, &path, budget);
        }
        if module.is_empty() {
            return self.macros.get(first).cloned();
        }
        None
    }

    fn descend(&self, module: Module, rest: &[String], budget: usize) -> Option<Module> {
        match rest {
            [] => Some(module),
            _ => Some(self.enter(&module, rest, budget).unwrap_or(module)),
        }
    }

    /// The file that a module is in: inline modules have none of their own.
    fn file(&self, module: &Module) -> &File {
        let files =
            (0..=module.len()).rev().filter_map(|length| self.modules.get(&module[..length]));
        files.copied().next().expect("the crate's root is a file")
    }
}

/// The row or file that a module belongs to, by name: the one with the longest name.
fn holder<'a>(names: impl Iterator<Item = &'a str>, module: &str) -> Option<&'a str> {
    let holds = |name: &str| {
        module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    names.filter(|name| holds(name)).max_by_key(|name| name.len())
}

fn name(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("::") }
}

/// The violations of the rules in a crate: file, line, and rule.
fn violations(lib: &Path, rooms: &[(&str, &[&str])], doors: &[Door]) -> BTreeSet<String> {
    let root = lib.parent().unwrap().parent().unwrap();
    let mut files = Vec::new();
    read(lib, Module::new(), false, &mut files);
    let mut names = Names::default();
    let mut mentions = Vec::new();
    for file in files.iter().filter(|file| !file.test) {
        scan(file, &mut names);
        mentions.extend(names.mentions.drain(..).map(|mention| (file, mention)));
    }
    let macros = files.iter().flat_map(|file| {
        let defined = file.tokens.windows(3).filter(|window| window[0].text == "macro_rules");
        defined.map(|window| (window[2].text.clone(), file.module.clone()))
    });
    let program = Crate {
        modules: files.iter().map(|file| (file.module.clone(), file)).collect(),
        names: &names,
        macros: macros.collect(),
        doors,
    };

    let mut wrong = BTreeSet::new();
    for (file, mention) in mentions {
        let Some(target) = program.resolve(&mention.scope, &mention.path, 16) else { continue };
        let (from, to) = (name(&file.module), name(&program.file(&target).module));
        if FREE.contains(&from.as_str()) || to == "lib" {
            continue;
        }
        let place = format!("{}:{}", file.path.strip_prefix(root).unwrap().display(), mention.line);
        let room = |module: &str| holder(rooms.iter().map(|row| row.0), module);
        let (Some(own), Some(other)) = (room(&from), room(&to)) else {
            let stray = if room(&from).is_none() { from } else { to };
            wrong.insert(format!(
                "{place}: `{stray}` is in no room: give it a row in tests/floors.rs"
            ));
            continue;
        };
        let allowed = rooms.iter().find(|row| row.0 == own).unwrap().1;
        let door = doors.iter().find(|door| door.file == from).map_or(&[][..], |door| door.rooms);
        if own != other && !allowed.contains(&other) && !door.contains(&other) {
            let path = mention.path.join("::");
            let rule = match allowed {
                [] => "no other room".to_owned(),
                _ => allowed.join(", "),
            };
            wrong
                .insert(format!("{place}: `{path}` is in {other}, but {own} may name only {rule}"));
        }
    }
    wrong
}

#[test]
fn imports_point_down() {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let wrong: Vec<String> = violations(&lib, ROOMS, DOORS).into_iter().collect();
    assert!(
        wrong.is_empty(),
        "imports against the rules of specs/README.md:\n{}",
        wrong.join("\n")
    );
}

/// Each file of `ring` is a room of its own, and may name all other rooms of the crate that `ring` may.
#[test]
fn files_of_ring_point_down() {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let files: Vec<String> = RING.iter().map(|file| format!("ring::{file}")).collect();
    let all: Vec<&str> =
        files.iter().map(String::as_str).chain(ROOMS.iter().map(|row| row.0)).collect();
    let inside = (1..=files.len()).map(|next| &all[next..]);
    let rooms: Vec<(&str, &[&str])> =
        all.iter().copied().zip(inside.chain(std::iter::repeat(&all[..]))).collect();
    let wrong = violations(&lib, &rooms, DOORS);
    let wrong: Vec<String> = wrong.into_iter().filter(|text| text.contains("src/ring/")).collect();
    assert!(
        wrong.is_empty(),
        "imports against the order of files in `ring`:\n{}",
        wrong.join("\n")
    );
    let folder = fs::read_dir(lib.with_file_name("ring")).unwrap();
    let found: BTreeSet<String> = folder
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "mod")
        .collect();
    let listed: BTreeSet<String> = RING.iter().map(|&file| file.to_owned()).collect();
    assert_eq!(listed, found, "the list has other files than the folder");
}

/// Rows name only rows below them: the rooms have no circles.
#[test]
fn every_row_names_only_lower_rows() {
    let row = |name: &str| ROOMS.iter().position(|row| row.0 == name).expect(name);
    for (room, below) in ROOMS {
        assert!(below.iter().all(|name| row(name) > row(room)), "{room} names a row above it");
    }
    for Door { file, rooms, .. } in DOORS {
        let room = holder(ROOMS.iter().map(|row| row.0), file).expect(file);
        let source = format!("{}/src/{}.rs", env!("CARGO_MANIFEST_DIR"), file.replace("::", "/"));
        assert!(Path::new(&source).exists(), "{source} has moved: mend DOORS");
        assert!(rooms.iter().all(|name| row(name) > row(room)), "{file} names a row above it");
    }
}

/// Every way to name another module is seen.
#[test]
fn violations_are_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("floors");
    let files = [
        ("lib.rs", "mod high; mod low; mod door; #[cfg(test)] mod checks;"),
        ("checks.rs", "use crate::high::f;"),
        ("door.rs", "pub use crate::high::f;"),
        (
            "high.rs",
            "pub fn f() { crate::low::g() }\n\
             pub mod inner { pub struct S; }\n",
        ),
        (
            "low/mod.rs",
            "mod deep;\n\
             use crate::{high::{f, inner::S}, door};\n\
             use super::high as renamed;\n\
             fn a() { renamed::f() }\n\
             macro_rules! m { () => { $crate::high::f() } }\n\
             // crate::high::f()\n\
             const TEXT: &str = \"crate::high::f()\"; const RAW: &str = r#\"\" crate::high::f()\"#;\n\
             fn b<'a>(_: &'a str) { door::f(); super::door::f(); let _ = '\\''; }\n\
             #[cfg(test)] mod tests { use crate::high::f; }\n\
             pub(in crate::low) fn g() {}\n\
             mod inline { fn c() { super::super::high::f() } fn d() { super::g() } }\n\
             use crate::high;\n",
        ),
        ("low/deep.rs", "fn e() { super::high::inner::S; }\nfn f() { super::renamed::f() }\n"),
    ];
    for (file, text) in files {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let rooms: &[(&str, &[&str])] =
        &[("lib", &[]), ("high", &["low"]), ("low", &["door"]), ("door", &[])];
    let door = Door { file: "door", rooms: &["high"], exports: true };
    let found = violations(&folder.join("lib.rs"), rooms, &[door]);
    let lines: Vec<&str> = found.iter().filter_map(|text| text.split(": ").next()).collect();
    let expected = [
        "deep.rs:1",
        "deep.rs:2",
        "mod.rs:11",
        "mod.rs:12",
        "mod.rs:2",
        "mod.rs:2",
        "mod.rs:3",
        "mod.rs:4",
        "mod.rs:5",
    ]
    .map(|line| format!("floors/low/{line}"));
    assert_eq!(lines, expected, "{found:#?}");
}
