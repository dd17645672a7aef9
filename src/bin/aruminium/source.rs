//! Reads Metal sources and the files that they include.

use super::Failure;
use aruminium::CompileOptions;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What `check` and `ir` are called with.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) names: Vec<String>,
    pub(super) json: bool,
    folders: Vec<PathBuf>,
    macros: Vec<(String, String)>,
}

impl Arguments {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = |option: &str| -> Result<String, Failure> {
                match argument[option.len()..].is_empty() {
                    false => Ok(argument[option.len()..].to_owned()),
                    true => {
                        rest.next().cloned().ok_or(format!("'{option}' needs a value after it"))
                    }
                }
            };
            if argument == "--json" {
                parsed.json = true;
            } else if argument.starts_with("-I") {
                parsed.folders.push(value("-I")?.into());
            } else if argument.starts_with("-D") {
                let definition = value("-D")?;
                let (name, text) = definition.split_once('=').unwrap_or((&definition, "1"));
                parsed.macros.push((name.to_owned(), text.to_owned()));
            } else if argument.starts_with('-') {
                return Err(format!("unknown option '{argument}'; see 'aruminium help'"));
            } else {
                parsed.names.push(argument.clone());
            }
        }
        Ok(parsed)
    }
}

/// A source with everything that it includes.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    /// The included files by the names in the directives.
    headers: BTreeMap<String, Header>,
}

struct Header {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn read(path: &str, arguments: &Arguments) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let mut source = Self { path: path.to_owned(), text, headers: BTreeMap::new() };
        let mut waiting = vec![(PathBuf::from(path), source.text.clone())];
        while let Some((from, text)) = waiting.pop() {
            for name in text.lines().filter_map(included) {
                if source.headers.contains_key(name) {
                    continue;
                }
                let beside = from.parent().unwrap_or(Path::new(""));
                let folders =
                    std::iter::once(beside).chain(arguments.folders.iter().map(PathBuf::as_path));
                // A name without a file may be a header of the language, or stand in a part that is left out.
                let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
                let Some(path) = found else { continue };
                let text = fs::read_to_string(&path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                waiting.push((path.clone(), text.clone()));
                source.headers.insert(name.to_owned(), Header { path, text });
            }
        }
        Ok(source)
    }

    pub(super) fn options(&self, arguments: &Arguments) -> Result<CompileOptions, Failure> {
        let options = CompileOptions::new();
        let pairs = arguments.macros.iter().map(|(name, text)| (&**name, &**text));
        options.set_macros(&pairs.collect::<Vec<_>>());
        let headers = self.headers.iter().map(|(name, header)| (&**name, &*header.text));
        let headers: Vec<_> = headers.collect();
        if !headers.is_empty() {
            options.set_headers(&headers).map_err(|error| error.to_string())?;
        }
        Ok(options)
    }

    /// The path and the text of a file that the compiler names.
    pub(super) fn file(&self, name: &str) -> (String, &str) {
        match self.headers.get(name) {
            Some(header) => (header.path.display().to_string(), &header.text),
            None => (self.path.clone(), &self.text),
        }
    }
}

/// The file that a line includes.
fn included(line: &str) -> Option<&str> {
    let directive = line.trim_start().strip_prefix('#')?.trim_start();
    let name = directive
        .strip_prefix("include")
        .or_else(|| directive.strip_prefix("import"))?
        .trim_start();
    let end = match name.chars().next()? {
        '"' => '"',
        '<' => '>',
        _ => return None,
    };
    name[1..].split_once(end).map(|(name, _)| name)
}
