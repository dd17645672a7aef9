//! Models in several GGUF files.

use super::{Gguf, Value};
use crate::infer::Error;
use std::path::{Path, PathBuf};

/// The keys that split files have.
pub(super) const INDEX: &str = "split.no";
pub(super) const COUNT: &str = "split.count";
pub(super) const TENSORS: &str = "split.tensors.count";

/// The name of one file of several: `model-00001-of-00003.gguf`.
#[derive(Debug, PartialEq)]
pub(super) struct Name {
    folder: PathBuf,
    stem: String,
    pub(super) count: u16,
}

impl Name {
    pub(super) fn new(folder: &Path, stem: &str, count: u16) -> Self {
        Self { folder: folder.to_owned(), stem: stem.to_owned(), count }
    }

    /// Parses a path; `None` if it does not name one file of several.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, index) = rest.rsplit_once('-')?;
        let number = |text: &str| {
            let digits = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
            if digits { text.parse::<u16>().ok() } else { None }
        };
        let (index, count) = (number(index)?, number(count)?);
        let valid = (1..=count).contains(&index);
        valid.then(|| Self::new(path.parent().unwrap_or(Path::new("")), stem, count))
    }

    /// The path of a file, counted from 0.
    pub(super) fn path(&self, index: u16) -> PathBuf {
        let (stem, count) = (&self.stem, self.count);
        self.folder.join(format!("{stem}-{:05}-of-{count:05}.gguf", index + 1))
    }
}

/// Checks that a file is the one that its name says.
pub(super) fn check(part: &Gguf, index: u16, count: u16) -> Result<(), Error> {
    for (key, expected) in [(INDEX, index), (COUNT, count)] {
        let found = part.meta(key).and_then(Value::as_u64);
        if found != Some(expected.into()) {
            let found = found.map_or("missing".to_owned(), |found| found.to_string());
            return Err(Error::Format(format!(
                "{key} is {found}, but by the file's name it is {expected}"
            )));
        }
    }
    Ok(())
}

/// Adds the tensors of another file.
pub(super) fn join(mut model: Gguf, part: Gguf) -> Result<Gguf, Error> {
    model.weights.append(part.weights)?;
    Ok(model)
}

/// Checks that all tensors were found.
pub(super) fn complete(model: Gguf) -> Result<Gguf, Error> {
    let found = model.weights.tensors().len() as u64;
    match model.meta(TENSORS).and_then(Value::as_u64) {
        Some(expected) if expected != found => Err(Error::Format(format!(
            "{TENSORS} is {expected}, but the files have {found} tensors"
        ))),
        _ => Ok(model),
    }
}

#[cfg(test)]
mod tests {
    use super::Name;
    use std::path::Path;

    #[test]
    fn names_of_split_files() {
        let name = Name::of(Path::new("/models/a-b-00002-of-00003.gguf")).expect("one of three");
        assert_eq!(name, Name::new(Path::new("/models"), "a-b", 3));
        assert_eq!(name.path(0), Path::new("/models/a-b-00001-of-00003.gguf"));
        assert!(Name::of(Path::new("a-00001-of-00001.gguf")).is_some());
        for other in [
            "model.gguf",
            "a-00004-of-00003.gguf",
            "a-00000-of-00003.gguf",
            "a-1-of-3.gguf",
            "a-00001-of-00003.bin",
            "a-+0001-of-00003.gguf",
            "a-99999-of-99999.gguf",
        ] {
            assert_eq!(Name::of(Path::new(other)), None, "{other}");
        }
    }
}
