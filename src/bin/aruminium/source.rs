//! The arguments of the commands that read Metal sources.

use super::Failure;
use aruminium::Source;

/// The arguments of `check`, `ir` and `asm`.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) names: Vec<String>,
    pub(super) json: bool,
    folders: Vec<String>,
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
                parsed.folders.push(value("-I")?);
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
    /// A file with the folders and macros of the arguments.
    pub(super) fn source(&self, path: &str) -> Source {
        let source = self.folders.iter().fold(Source::new(path), Source::include);
        self.macros.iter().fold(source, |source, (name, text)| source.define(name, text))
    }
}
