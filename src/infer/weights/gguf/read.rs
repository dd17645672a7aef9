//! Reading a GGUF file's header, with limits.

use super::value::{Stored, Value};
use crate::infer::weights::format::invalid;
use crate::infer::weights::source::{self, Info};
use crate::infer::{DType, Error};
use std::collections::BTreeMap;
use std::io::Read;

/// Limits for the header of a GGUF file. Numbers in a file are compared with these limits, and with the size of the file,
/// before memory is allocated.
///
/// ```
/// use aruminium::infer::weights::{Gguf, Limits};
/// let limits = Limits { header: 16, ..Limits::default() };
/// let error = Gguf::parse_with(*b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &limits).unwrap_err();
/// assert!(error.to_string().contains("the header is larger than 16 bytes"), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole header.
    pub header: u64,
    /// Metadata keys.
    pub keys: u64,
    /// Tensors.
    pub tensors: u64,
    /// Bytes of a string.
    pub string: u64,
    /// Values of an array.
    pub array: u64,
    /// Dimensions of a tensor.
    pub dimensions: u32,
    /// Files of a split model.
    pub files: u16,
}

impl Default for Limits {
    /// A header of 1 GiB, a million keys and tensors, strings of 256 MiB, arrays of 64 million values, 8 dimensions,
    /// 1,000 files.
    fn default() -> Self {
        Self {
            header: 1 << 30,
            keys: 1 << 20,
            tensors: 1 << 20,
            string: 1 << 28,
            array: 1 << 26,
            dimensions: 8,
            files: 1000,
        }
    }
}

/// Bytes of a file from its start on, counted.
pub(super) struct Reader<'a> {
    from: &'a mut dyn Read,
    at: u64,
    /// The size of the file.
    end: u64,
    limits: &'a Limits,
}

impl Reader<'_> {
    pub(super) fn error(&self, message: impl std::fmt::Display) -> Error {
        invalid(self.at, message)
    }

    /// Checks that `count` items of at least `bytes` bytes each can follow, and returns the count.
    fn check(&self, count: u64, bytes: u64, limit: u64, things: &str) -> Result<usize, Error> {
        if count > limit {
            return Err(self.error(format!("{count} {things}: the limit is {limit}")));
        }
        let left = self.end.saturating_sub(self.at);
        match usize::try_from(count) {
            Ok(fits) if count.checked_mul(bytes).is_some_and(|bytes| bytes <= left) => Ok(fits),
            _ => Err(self.error(format!("{count} {things}, but only {left} bytes follow"))),
        }
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let bytes = out.len() as u64;
        if bytes > self.limits.header.saturating_sub(self.at) {
            let limit = self.limits.header;
            return Err(self.error(format!("the header is larger than {limit} bytes: the limit")));
        }
        if bytes > self.end.saturating_sub(self.at) {
            return Err(self.error("the file ends within the header"));
        }
        self.from.read_exact(out)?;
        self.at += bytes;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn string(&mut self) -> Result<String, Error> {
        let count = u64::take(self)?;
        let count = self.check(count, 1, self.limits.string, "bytes in a string")?;
        let start = self.at;
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| invalid(start, "a string is not UTF-8"))
    }

    /// Reads a count, and then that number of items of at least `bytes` bytes each.
    pub(super) fn list<T>(
        &mut self,
        bytes: u64,
        one: impl Fn(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let count = u64::take(self)?;
        let count = self.check(count, bytes, self.limits.array, "values in an array")?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(one(self)?);
        }
        Ok(values)
    }
}

/// The contents of a header.
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) alignment: u64,
    pub(super) meta: BTreeMap<String, Value>,
    pub(super) tensors: Vec<Info>,
}

/// Reads the header of a file of `end` bytes, and finds its tensors.
pub(super) fn header(from: &mut dyn Read, end: u64, limits: &Limits) -> Result<Header, Error> {
    let mut reader = Reader { from, at: 0, end, limits };
    if &reader.array()? != b"GGUF" {
        return Err(invalid(0, "not a GGUF file: it does not begin with \"GGUF\""));
    }
    let at = reader.at;
    let version = match u32::take(&mut reader)? {
        version @ 2..=3 => version,
        version if (1..=3).contains(&version.swap_bytes()) => {
            return Err(invalid(
                at,
                "a big-endian file: convert it to little-endian first, e.g. with gguf_convert_endian.py",
            ));
        }
        version => {
            return Err(invalid(
                at,
                format!("version {version} of GGUF is not supported: write the file in version 3"),
            ));
        }
    };
    let (tensors, keys) = (u64::take(&mut reader)?, u64::take(&mut reader)?);
    // A name's length and one dimension with its type and offset; a key's length with a type and a byte.
    let tensors = reader.check(tensors, 24, limits.tensors, "tensors")?;
    let keys = reader.check(keys, 13, limits.keys, "metadata keys")?;

    let mut meta = BTreeMap::new();
    for _ in 0..keys {
        let at = reader.at;
        let key = reader.string()?;
        let id = u32::take(&mut reader)?;
        let value = Value::read(&mut reader, id)?;
        if let Some((key, _)) = meta.get_key_value(&key) {
            return Err(invalid(at, format!("the key {key:?} is repeated")));
        }
        meta.insert(key, value);
    }
    let alignment = match meta.get("general.alignment") {
        None => 32,
        Some(value) => value
            .as_u64()
            .filter(|alignment| alignment.is_power_of_two() && *alignment <= 1 << 30)
            .ok_or_else(|| reader.error("general.alignment is not a power of two up to 2^30"))?,
    };

    let mut tensors = (0..tensors).map(|_| tensor(&mut reader)).collect::<Result<Vec<_>, _>>()?;
    // No overflow: the header is within the limit, and the alignment is small.
    let data = reader.at.next_multiple_of(alignment);
    place(&mut tensors, data, alignment, end)?;
    Ok(Header { version, alignment, meta, tensors })
}

fn tensor(reader: &mut Reader<'_>) -> Result<Info, Error> {
    let at = reader.at;
    let name = reader.string()?;
    let dimensions = u32::take(reader)?;
    let limit = reader.limits.dimensions;
    if dimensions > limit {
        let message = format!("tensor {name:?} has {dimensions} dimensions: the limit is {limit}");
        return Err(invalid(at, message));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = u64::take(reader)?;
        shape.push(usize::try_from(size).map_err(|_| reader.error("a size past 2^32"))?);
    }
    // The file has the innermost dimension first.
    shape.reverse();
    let (id, offset) = (u32::take(reader)?, u64::take(reader)?);
    let dtype = DType::from_ggml(id);
    let type_name = dtype.to_string();
    let known = dtype.block() > 0;
    let bytes =
        if known { source::size(dtype, &shape) } else { source::check_count(&shape).map(|_| 0) }
            .map_err(|why| invalid(at, format!("tensor {name:?} of shape {shape:?}: {why}")))?;
    let dtype = known.then_some(dtype);
    Ok(Info { name, dtype, type_name, shape, file: 0, offset, bytes })
}

/// Turns offsets from the start of the data into offsets from the start of the file, checks that the tensors are in it and do not
/// overlap, and finds the sizes of those whose type is unknown: up to the next tensor.
fn place(tensors: &mut [Info], data: u64, alignment: u64, end: u64) -> Result<(), Error> {
    let mut starts: Vec<u64> = tensors.iter().map(|tensor| tensor.offset).collect();
    starts.sort_unstable();
    for tensor in tensors.iter_mut() {
        let error = |message: String| invalid(data, format!("tensor {:?} {message}", tensor.name));
        if tensor.offset % alignment != 0 {
            let offset = tensor.offset;
            return Err(error(format!("is at offset {offset}, no multiple of {alignment}")));
        }
        let start = data.checked_add(tensor.offset).filter(|start| *start <= end);
        let Some(start) = start.or((tensor.bytes == 0).then_some(end)) else {
            return Err(error(format!("begins past the end of the file, at {}", tensor.offset)));
        };
        if tensor.dtype.is_none() {
            let next = starts.partition_point(|&other| other <= tensor.offset);
            let next = starts.get(next).and_then(|next| data.checked_add(*next));
            tensor.bytes = next.unwrap_or(end).min(end) - start;
        }
        if tensor.bytes > end - start {
            let (bytes, left) = (tensor.bytes, end - start);
            return Err(error(format!("has {bytes} bytes, but the file has only {left} for it")));
        }
        tensor.offset = start;
    }
    // Tensors that overlap could take any multiple of the file's size when they are loaded.
    let mut sorted: Vec<&Info> =
        tensors.iter().filter(|tensor| tensor.dtype.is_some() && tensor.bytes > 0).collect();
    sorted.sort_unstable_by_key(|tensor| tensor.offset);
    for pair in sorted.windows(2) {
        if pair[0].end() > pair[1].offset {
            let (first, second, at) = (&pair[0].name, &pair[1].name, pair[1].offset);
            return Err(invalid(at, format!("tensors {first:?} and {second:?} overlap")));
        }
    }
    Ok(())
}
