//! Safetensors files: a JSON header and plain values.

use super::format::{About, invalid};
use super::json::Json;
use super::source::{self, Entry, Info, Source, Weights, check};
use crate::infer::{DType, Error};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest header, in bytes.
const LIMIT: u64 = 100_000_000;

/// The name of the text values beside the tensors.
const META: &str = "__metadata__";

/// The name of an index in a folder, and that of a single file.
const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// One safetensors file, or the files that an index lists.
///
/// ```
/// use aruminium::infer::{DType, weights::{Entry, Safetensors}};
/// let mut file = Vec::new();
/// Safetensors::write(&mut file, &[("format", "pt")], &[Entry::new("w", DType::U8, &[3], &[1, 2, 3])])?;
/// let file = Safetensors::parse(file)?;
/// assert_eq!((file.meta("format"), file.weights().read("w")?), (Some("pt"), vec![1, 2, 3]));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Debug)]
pub struct Safetensors {
    meta: BTreeMap<String, String>,
    weights: Weights,
}

impl Safetensors {
    /// Opens a file; or an index (`*.index.json`) with the files that it lists; or, in a folder,
    /// `model.safetensors.index.json` or `model.safetensors`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is damaged, or a file lacks a tensor that the index says it has.
    ///
    /// ```
    /// use aruminium::infer::weights::Safetensors;
    /// let error = Safetensors::open("/no/such/file.safetensors").unwrap_err();
    /// assert!(error.to_string().starts_with("/no/such/file.safetensors: "), "{error}");
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if path.is_dir() {
            let index = path.join(INDEX);
            return Self::open(if index.exists() { index } else { path.join(SINGLE) });
        }
        if !path.to_str().is_some_and(|path| path.ends_with(".json")) {
            return Self::empty().with(Source::open(path)?);
        }
        let index = Json::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (names, files) = listed(&index, folder).about(path)?;
        let mut model = Self::empty();
        for file in &files {
            model = model.with(Source::open(&folder.join(file))?)?;
        }
        for (name, file) in names {
            let found = model.weights.info(name).map(|info| files.iter().nth(info.file));
            if found != Some(Some(&file)) {
                let message = format!("the index says that tensor {name:?} is in {file:?}");
                return Err(Error::Format(message)).about(path);
            }
        }
        Ok(model)
    }

    /// Reads a file that is in memory.
    ///
    /// # Errors
    ///
    /// If it is damaged.
    ///
    /// ```
    /// use aruminium::infer::weights::Safetensors;
    /// assert!(Safetensors::parse(*b"\x02\0\0\0\0\0\0\0{}")?.weights().tensors().is_empty());
    /// assert!(Safetensors::parse(*b"\x03\0\0\0\0\0\0\0{}").is_err(), "the header ends past the file");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self, Error> {
        Self::empty().with(Source::Bytes(bytes.into()))
    }

    fn empty() -> Self {
        Self { meta: BTreeMap::new(), weights: Weights::new() }
    }

    /// Adds a file.
    fn with(mut self, source: Source) -> Result<Self, Error> {
        let path = source.path().map(Path::to_owned);
        let result = header(&source).and_then(|(meta, tensors)| {
            self.meta.extend(meta);
            self.weights.add(source, tensors)
        });
        match path {
            Some(path) => result.about(&path)?,
            None => result?,
        }
        Ok(self)
    }

    /// A text value of the header.
    ///
    /// ```
    /// # use aruminium::infer::weights::Safetensors;
    /// let mut file = Vec::new();
    /// Safetensors::write(&mut file, &[("format", "mlx")], &[])?;
    /// assert_eq!(Safetensors::parse(file)?.meta("format"), Some("mlx"));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn meta(&self, key: &str) -> Option<&str> {
        self.meta.get(key).map(|value| &value[..])
    }

    /// All text values of the header, sorted by their keys.
    ///
    /// ```
    /// # use aruminium::infer::weights::Safetensors;
    /// # let mut file = Vec::new();
    /// # Safetensors::write(&mut file, &[("format", "mlx")], &[])?;
    /// assert_eq!(Safetensors::parse(file)?.metadata().collect::<Vec<_>>(), [("format", "mlx")]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.meta.iter().map(|(key, value)| (&key[..], &value[..]))
    }

    /// The tensors.
    ///
    /// ```
    /// # use aruminium::infer::weights::Safetensors;
    /// assert!(Safetensors::parse(*b"\x02\0\0\0\0\0\0\0{}")?.weights().tensors().is_empty());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The tensors, without the rest.
    pub(super) fn into_weights(self) -> Weights {
        self.weights
    }

    /// Writes a file. Wide types come first, so that every tensor is aligned.
    ///
    /// # Errors
    ///
    /// If a tensor's bytes do not fit its shape, its type is quantised, a name or key is repeated, or writing fails.
    ///
    /// ```
    /// use aruminium::infer::{DType, weights::{Entry, Safetensors}};
    /// let mut file = Vec::new();
    /// Safetensors::write(&mut file, &[], &[Entry::new("w", DType::U8, &[3], &[1, 2, 3])])?;
    /// assert!(file.ends_with(&[1, 2, 3]));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn write(
        out: impl Write,
        meta: &[(&str, &str)],
        tensors: &[Entry<'_>],
    ) -> Result<(), Error> {
        check(tensors)?;
        let mut members = Vec::new();
        if !meta.is_empty() {
            let mut keys = BTreeSet::new();
            if let Some((key, _)) = meta.iter().find(|(key, _)| !keys.insert(*key)) {
                return Err(Error::Format(format!("the key {key:?} is repeated")));
            }
            let pairs = meta
                .iter()
                .map(|(key, value)| format!("{}:{}", Json::quote(key), Json::quote(value)));
            members.push(format!("\"{META}\":{{{}}}", pairs.collect::<Vec<_>>().join(",")));
        }
        let mut sorted: Vec<&Entry<'_>> = tensors.iter().collect();
        sorted.sort_by_key(|entry| (std::cmp::Reverse(entry.dtype.block_bytes()), entry.name));
        let mut start = 0;
        for Entry { name, dtype, shape, bytes } in &sorted {
            let ty = dtype.safetensors().filter(|_| *name != META).ok_or_else(|| {
                Error::Format(format!(
                    "tensor {name:?}: the format has no tensors of this name or type ({dtype})"
                ))
            })?;
            let (name, end) = (Json::quote(name), start + bytes.len());
            members.push(format!(
                "{name}:{{\"dtype\":\"{ty}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
            ));
            start = end;
        }
        let mut header = format!("{{{}}}", members.join(","));
        // The data begins at a multiple of 64 bytes.
        let padded = (8 + header.len()).next_multiple_of(64) - 8;
        header.push_str(&" ".repeat(padded - header.len()));
        let mut out = BufWriter::new(out);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        sorted.iter().try_for_each(|entry| out.write_all(entry.bytes))?;
        Ok(out.flush()?)
    }
}

/// The contents of an index: the file of each tensor, and all files.
#[allow(clippy::type_complexity, reason = "two collections of names")]
fn listed<'a>(
    index: &'a Json,
    folder: &Path,
) -> Result<(Vec<(&'a str, PathBuf)>, BTreeSet<PathBuf>), Error> {
    let map = index["weight_map"].as_object();
    let map = map.ok_or_else(|| Error::Format("it has no object \"weight_map\"".to_owned()))?;
    let mut names = Vec::new();
    for (name, file) in map {
        let file = file.as_str().map(Path::new).filter(|file| {
            // A plain name: an index cannot lead out of its folder.
            file.file_name() == Some(file.as_os_str()) && !folder.join(file).is_dir()
        });
        let error = || Error::Format(format!("the file of tensor {name:?} is not a file's name"));
        names.push((&name[..], file.ok_or_else(error)?.to_owned()));
    }
    let files = names.iter().map(|(_, file)| file.clone()).collect();
    Ok((names, files))
}

/// Reads a file's header: text values and tensors.
fn header(source: &Source) -> Result<(BTreeMap<String, String>, Vec<Info>), Error> {
    let end = source.len()?;
    if end < 8 {
        return Err(invalid(0, "the file is too short for a header"));
    }
    let mut size = [0; 8];
    source.read(0, &mut size)?;
    let size = u64::from_le_bytes(size);
    if size > LIMIT || size > end - 8 {
        return Err(invalid(
            0,
            format!("the header has {size} bytes: more than allowed, or follow"),
        ));
    }
    let mut text = vec![0; size as usize];
    source.read(8, &mut text)?;
    // The header begins with the brace, and spaces may follow it.
    let members = match Json::parse(&text)? {
        Json::Object(members) if text[0] == b'{' => members,
        _ => return Err(invalid(8, "the header is not a JSON object")),
    };
    let (mut meta, mut tensors) = (BTreeMap::new(), Vec::new());
    for (name, value) in members {
        if name == META {
            for (key, value) in value.as_object().into_iter().flatten() {
                let error = || invalid(8, format!("the value of {key:?} is not a string"));
                meta.insert(key.clone(), value.as_str().ok_or_else(error)?.to_owned());
            }
        } else {
            let error = |why| invalid(8, format!("tensor {name:?}: {why}"));
            tensors.push(tensor(&name, &value).map_err(error)?);
        }
    }
    // The tensors must follow each other without gaps.
    tensors.sort_by_key(|info| (info.offset, info.bytes));
    let mut next = 0;
    for info in &mut tensors {
        if info.offset != next {
            let (name, offset) = (&info.name, info.offset);
            let message = format!("tensor {name:?} begins at {offset}, and not at {next}");
            return Err(invalid(8, message));
        }
        next = info.offset + info.bytes;
        info.offset += 8 + size;
    }
    if next != end - 8 - size {
        let found = end - 8 - size;
        return Err(invalid(8, format!("the tensors take {next} bytes, and the file has {found}")));
    }
    Ok((meta, tensors))
}

/// A tensor by its member in the header; the offset is that from the start of the data.
fn tensor(name: &str, value: &Json) -> Result<Info, String> {
    let numbers = |key: &str| -> Result<Vec<u64>, String> {
        let values = value[key]
            .as_array()
            .and_then(|values| values.iter().map(Json::as_u64).collect::<Option<Vec<u64>>>());
        values.ok_or_else(|| format!("{key:?} is not an array of numbers"))
    };
    let type_name = value["dtype"].as_str().ok_or("\"dtype\" is not a string")?.to_owned();
    let (start, end) = match numbers("data_offsets")?[..] {
        [start, end] if start <= end && end < 1 << 62 => (start, end),
        _ => return Err("\"data_offsets\" are not two ascending numbers".to_owned()),
    };
    let shape = numbers("shape")?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| "a size past 2^32")?;
    source::check_count(&shape)?;
    let dtype = DType::from_safetensors(&type_name);
    if let Some(dtype) = dtype {
        let (found, expected) = (end - start, source::size(dtype, &shape)?);
        if found != expected {
            return Err(format!("{found} bytes, but {shape:?} of {type_name} takes {expected}"));
        }
    }
    let name = name.to_owned();
    Ok(Info { name, dtype, type_name, shape, file: 0, offset: start, bytes: end - start })
}

#[cfg(test)]
mod tests;
