//! Writing GGUF files.

use super::Gguf;
use super::split::{COUNT, INDEX, Name, TENSORS};
use super::value::{Stored, Value};
use crate::infer::Error;
use crate::infer::weights::format::About;
use crate::infer::weights::source::{Entry, check};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// The key of the alignment, and the alignment of files without it.
const ALIGNMENT: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;

impl Gguf {
    /// Writes a file of version 3.
    ///
    /// # Errors
    ///
    /// If a tensor's bytes do not fit its shape, its type has no id of ggml, a name is repeated, `general.alignment` is not
    /// a power of two from 8 on, or writing fails.
    ///
    /// ```
    /// use aruminium::infer::{DType, weights::{Entry, Gguf}};
    /// let mut file = Vec::new();
    /// Gguf::write(&mut file, &[], &[Entry::new("w", DType::I8, &[3], &[1, 2, 3])])?;
    /// assert_eq!(&file[..4], b"GGUF");
    /// assert!(Gguf::write(&mut file, &[], &[Entry::new("w", DType::I8, &[3], &[1])]).is_err(), "two bytes are missing");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn write(
        out: impl Write,
        meta: &[(&str, Value)],
        tensors: &[Entry<'_>],
    ) -> Result<(), Error> {
        check(tensors)?;
        let mut keys = HashSet::new();
        let repeated = meta.iter().find(|(key, _)| !keys.insert(*key));
        if let Some((key, _)) = repeated {
            return Err(Error::Format(format!("the key {key:?} is repeated")));
        }
        let alignment = match meta.iter().find(|(key, _)| *key == ALIGNMENT) {
            None => DEFAULT_ALIGNMENT,
            Some((_, value)) => value
                .as_u64()
                .filter(|alignment| alignment.is_power_of_two() && (8..1 << 30).contains(alignment))
                .ok_or_else(|| Error::Format(format!("{ALIGNMENT} is a power of two from 8 on")))?,
        } as usize;

        let mut header = b"GGUF".to_vec();
        3u32.put(&mut header);
        (tensors.len() as u64).put(&mut header);
        (meta.len() as u64).put(&mut header);
        for (key, value) in meta {
            (*key).to_owned().put(&mut header);
            value.id().put(&mut header);
            value.write(&mut header);
        }
        let mut offset = 0;
        for Entry { name, dtype, shape, bytes } in tensors {
            let id = dtype.ggml().ok_or_else(|| {
                Error::Format(format!("tensor {name:?}: GGUF has no values of type {dtype}"))
            })?;
            (*name).to_owned().put(&mut header);
            (shape.len() as u32).put(&mut header);
            shape.iter().rev().for_each(|&size| (size as u64).put(&mut header));
            id.put(&mut header);
            (offset as u64).put(&mut header);
            offset += bytes.len().next_multiple_of(alignment);
        }

        let mut out = BufWriter::new(out);
        let mut padded = |bytes: &[u8]| -> Result<(), Error> {
            out.write_all(bytes)?;
            let padding = bytes.len().next_multiple_of(alignment) - bytes.len();
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0), padding as u64), &mut out)?;
            Ok(())
        };
        padded(&header)?;
        tensors.iter().try_for_each(|tensor| padded(tensor.bytes))?;
        Ok(out.flush()?)
    }

    /// Writes a model as several files in a folder, `stem-00001-of-00002.gguf` and so on, with at most `per_file`
    /// tensors each. The metadata is in the first one. Returns the paths.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write), and if `per_file` is 0 or there would be more than 65,535 files.
    ///
    /// ```
    /// use aruminium::infer::{DType, weights::{Entry, Gguf}};
    /// let folder = std::env::temp_dir().join(format!("aruminium-split-{}", std::process::id()));
    /// std::fs::create_dir_all(&folder)?;
    /// let tensors = [Entry::new("a", DType::I8, &[1], &[1]), Entry::new("b", DType::I8, &[1], &[2])];
    /// let paths = Gguf::write_split(&folder, "model", &[], &tensors, 1)?;
    /// assert_eq!(paths.len(), 2);
    /// assert_eq!(Gguf::open(&paths[0])?.weights().read("b")?, [2]);
    /// std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn write_split(
        folder: &Path,
        stem: &str,
        meta: &[(&str, Value)],
        tensors: &[Entry<'_>],
        per_file: usize,
    ) -> Result<Vec<PathBuf>, Error> {
        check(tensors)?;
        let parts: Vec<&[Entry<'_>]> = match per_file {
            0 => return Err(Error::Format("a file has at least one tensor".to_owned())),
            _ if tensors.is_empty() => vec![tensors],
            _ => tensors.chunks(per_file).collect(),
        };
        let count = u16::try_from(parts.len())
            .map_err(|_| Error::Format(format!("{} files: the limit is 65,535", parts.len())))?;
        let name = Name::new(folder, stem, count);
        let mut paths = Vec::new();
        for (index, part) in (0..count).zip(parts) {
            let mut keys = match index {
                0 => meta.to_vec(),
                _ => meta.iter().filter(|(key, _)| *key == ALIGNMENT).cloned().collect(),
            };
            keys.push((INDEX, index.into()));
            keys.push((COUNT, count.into()));
            keys.push((TENSORS, (tensors.len() as i32).into()));
            let path = name.path(index);
            let file = File::create(&path).about(&path)?;
            Self::write(file, &keys, part).about(&path)?;
            paths.push(path);
        }
        Ok(paths)
    }
}
