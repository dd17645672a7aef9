//! GGUF files: the format of ggml and llama.cpp.

mod read;
mod split;
mod value;
mod write;

pub use read::Limits;
pub use value::{Array, Value};

use super::format::About;
use super::source::{Source, Weights};
use crate::infer::Error;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

/// A GGUF file, or the files of a split model: metadata and tensors. Versions 2 and 3.
///
/// A tensor of an unknown type is listed, and its bytes can be read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aruminium::infer::{DType, Quant, weights::{Entry, Gguf, Value}};
/// # let path = std::env::temp_dir().join(format!("aruminium-{}.gguf", std::process::id()));
/// let meta = [("general.architecture", Value::from("llama")), ("llama.block_count", Value::from(2u32))];
/// let block = [0u8; 18];
/// let weights = [Entry::new("w", DType::Quant(Quant::Q4_0), &[1, 32], &block)];
/// Gguf::write(std::fs::File::create(&path)?, &meta, &weights)?;
///
/// let file = Gguf::open(&path)?;
/// assert_eq!(file.meta("llama.block_count").and_then(Value::as_u64), Some(2));
/// assert_eq!(file.weights().dequantize("w")?, [0.0; 32]);
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Gguf {
    version: u32,
    alignment: u64,
    meta: BTreeMap<String, Value>,
    weights: Weights,
}

impl Gguf {
    /// Opens a file, and if its name says so (`model-00001-of-00003.gguf`) the other files of the model.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, is not GGUF, is damaged, or exceeds the default [`Limits`].
    ///
    /// ```
    /// use aruminium::infer::weights::Gguf;
    /// let error = Gguf::open("/no/such/file.gguf").unwrap_err();
    /// assert!(error.to_string().starts_with("/no/such/file.gguf: "), "{error}");
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &Limits::default())
    }

    /// Opens a file with other limits.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    ///
    /// ```
    /// use aruminium::infer::weights::{Gguf, Limits};
    /// assert!(Gguf::open_with("/no/such/file.gguf", &Limits { tensors: 10, ..Limits::default() }).is_err());
    /// ```
    pub fn open_with(path: impl AsRef<Path>, limits: &Limits) -> Result<Self, Error> {
        let path = path.as_ref();
        let Some(name) = split::Name::of(path) else {
            return Self::one(Source::open(path)?, limits).about(path);
        };
        if name.count > limits.files {
            let (count, limit) = (name.count, limits.files);
            let message = format!("the model has {count} files: the limit is {limit}");
            return Err(Error::Format(message)).about(path);
        }
        let mut model = None;
        for index in 0..name.count {
            let path = name.path(index);
            let part = Self::one(Source::open(&path)?, limits).about(&path)?;
            split::check(&part, index, name.count).about(&path)?;
            model = Some(match model {
                None => part,
                Some(first) => split::join(first, part).about(&path)?,
            });
        }
        let model = model.ok_or_else(|| Error::Format("the model has no files".to_owned()));
        model.and_then(split::complete).about(path)
    }

    /// Reads a file that is in memory.
    ///
    /// # Errors
    ///
    /// If it is not GGUF, is damaged, or exceeds the default [`Limits`].
    ///
    /// ```
    /// use aruminium::infer::weights::Gguf;
    /// let error = Gguf::parse(*b"GGUF\x04\0\0\0").unwrap_err();
    /// assert_eq!(error.to_string(), "byte 4: version 4 of GGUF is not supported: write the file in version 3");
    /// ```
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self, Error> {
        Self::parse_with(bytes, &Limits::default())
    }

    /// Reads a file that is in memory, with other limits.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse).
    ///
    /// ```
    /// use aruminium::infer::weights::{Gguf, Limits};
    /// let mut file = Vec::new();
    /// Gguf::write(&mut file, &[("key", 1u32.into())], &[])?;
    /// assert!(Gguf::parse_with(file, &Limits { keys: 0, ..Limits::default() }).is_err());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn parse_with(bytes: impl Into<Arc<[u8]>>, limits: &Limits) -> Result<Self, Error> {
        Self::one(Source::Bytes(bytes.into()), limits)
    }

    fn one(source: Source, limits: &Limits) -> Result<Self, Error> {
        let end = source.len()?;
        let header = match &source {
            Source::File { file, .. } => {
                read::header(&mut BufReader::with_capacity(1 << 16, file), end, limits)?
            }
            Source::Bytes(bytes) => read::header(&mut &bytes[..], end, limits)?,
        };
        let mut weights = Weights::new();
        weights.add(source, header.tensors)?;
        let read::Header { version, alignment, meta, .. } = header;
        Ok(Self { version, alignment, meta, weights })
    }

    /// The version of the format: 2 or 3.
    ///
    /// ```
    /// # use aruminium::infer::weights::Gguf;
    /// # let mut file = Vec::new();
    /// # Gguf::write(&mut file, &[], &[])?;
    /// assert_eq!(Gguf::parse(file)?.version(), 3);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The alignment of tensors in the file, in bytes.
    ///
    /// ```
    /// # use aruminium::infer::weights::Gguf;
    /// # let mut file = Vec::new();
    /// # Gguf::write(&mut file, &[], &[])?;
    /// assert_eq!(Gguf::parse(file)?.alignment(), 32);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The value of a metadata key.
    ///
    /// ```
    /// # use aruminium::infer::weights::{Gguf, Value};
    /// let mut file = Vec::new();
    /// Gguf::write(&mut file, &[("general.name", "tiny".into())], &[])?;
    /// let file = Gguf::parse(file)?;
    /// assert_eq!(file.meta("general.name").and_then(Value::as_str), Some("tiny"));
    /// assert_eq!(file.meta("general.author"), None);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn meta(&self, key: &str) -> Option<&Value> {
        self.meta.get(key)
    }

    /// All metadata keys, sorted, and their values; those of the first file of a split model.
    ///
    /// ```
    /// # use aruminium::infer::weights::Gguf;
    /// # let mut file = Vec::new();
    /// # Gguf::write(&mut file, &[("b", 1u8.into()), ("a", 2u8.into())], &[])?;
    /// let file = Gguf::parse(file)?;
    /// assert_eq!(file.metadata().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "b"]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.meta.iter().map(|(key, value)| (&key[..], value))
    }

    /// The tensors.
    ///
    /// ```
    /// # use aruminium::infer::weights::Gguf;
    /// # let mut file = Vec::new();
    /// # Gguf::write(&mut file, &[], &[])?;
    /// assert!(Gguf::parse(file)?.weights().tensors().is_empty());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
}

#[cfg(test)]
mod tests;
