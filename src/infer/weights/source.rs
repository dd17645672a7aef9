//! Tensors in files, and how they are loaded.

use super::dequantize::dequantize;
use super::format::{About, invalid};
use crate::Gpu;
use crate::infer::{DType, Error, Memory, Tensor};
use crate::memory::Block;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The alignment of tensors in memory, in bytes: the widest vectors of kernels. A tensor with less alignment in its file is
/// copied where others are mapped.
const ALIGNMENT: u64 = 16;

/// The size of memory that is allocated at once for copies, unless a tensor is larger.
const PIECE: u64 = 256 << 20;

/// The description of a tensor in a file.
///
/// ```
/// use aruminium::infer::{DType, weights::{Entry, Gguf}};
/// let mut file = Vec::new();
/// Gguf::write(&mut file, &[], &[Entry::new("w", DType::I8, &[2, 3], &[1, 2, 3, 4, 5, 6])])?;
/// let file = Gguf::parse(file)?;
/// let info = file.weights().info("w").expect("it is there");
/// assert_eq!((info.name(), info.dtype(), info.shape(), info.bytes()), ("w", Some(DType::I8), &[2, 3][..], 6));
/// assert_eq!((info.count(), info.offset() % 32), (6, 0));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    pub(super) name: String,
    pub(super) dtype: Option<DType>,
    pub(super) type_name: String,
    pub(super) shape: Vec<usize>,
    /// The number of its file.
    pub(super) file: usize,
    /// The offset of its values in the file, and their size in bytes.
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl Info {
    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its values; `None` if this version of the crate does not know it.
    pub fn dtype(&self) -> Option<DType> {
        self.dtype
    }

    /// The name of the type, also of an unknown one.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The size of each axis, the outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of bytes in the file. If the type is unknown, they extend to the next tensor.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The offset of the values from the start of the file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn known(&self) -> Result<DType, Error> {
        self.dtype.ok_or_else(|| {
            let Self { name, type_name, .. } = self;
            Error::Format(format!(
                "tensor {name:?} has the type {type_name:?}, which is unknown: only its bytes can be read"
            ))
        })
    }

    /// The offset of the first byte after its values.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// Checks that the number of values of a tensor, of any type, can be counted. Axes without values count as one, as in the check
/// of a tensor in memory: what can be opened can be loaded.
pub(super) fn check_count(shape: &[usize]) -> Result<usize, String> {
    let all = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size.max(1)));
    all.ok_or_else(|| "the number of values overflows".to_owned())
}

/// The number of bytes of a tensor, or why it cannot have this shape.
pub(super) fn size(dtype: DType, shape: &[usize]) -> Result<u64, String> {
    let (all, block) = (check_count(shape)?, dtype.block());
    let row = shape.last().copied().unwrap_or(1);
    if block == 0 || !row.is_multiple_of(block) {
        return Err(format!("a row of {row} values is not whole blocks of {block} ({dtype})"));
    }
    let whole = all.checked_next_multiple_of(block).and_then(|all| dtype.bytes_of(all));
    let bytes = whole.and_then(|_| dtype.bytes_of(shape.iter().product()));
    bytes.map(|bytes| bytes as u64).ok_or_else(|| "its size overflows".to_owned())
}

/// The progress of a long load.
///
/// ```
/// use aruminium::infer::weights::Progress;
/// let progress = Progress { name: "blk.0.attn_q.weight", done: 1 << 20, total: 4 << 20 };
/// assert_eq!(progress.fraction(), 0.25);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The tensor that was just loaded.
    pub name: &'a str,
    /// Bytes loaded.
    pub done: u64,
    /// Bytes of all tensors to load.
    pub total: u64,
}

impl Progress<'_> {
    /// The share of bytes that is loaded: 0 to 1.
    pub fn fraction(&self) -> f64 {
        if self.total == 0 { 1.0 } else { self.done as f64 / self.total as f64 }
    }
}

/// A tensor to write to a file.
///
/// ```
/// use aruminium::infer::{DType, weights::Entry};
/// let bytes = 1.5f32.to_le_bytes();
/// let entry = Entry::new("scale", DType::F32, &[1], &bytes);
/// assert_eq!(entry.bytes.len(), 4);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The tensor's name.
    pub name: &'a str,
    /// The type of the values.
    pub dtype: DType,
    /// The size of each axis, the outermost first.
    pub shape: &'a [usize],
    /// The values, in little-endian order.
    pub bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// A tensor from its parts.
    pub fn new(name: &'a str, dtype: DType, shape: &'a [usize], bytes: &'a [u8]) -> Self {
        Self { name, dtype, shape, bytes }
    }
}

/// Checks that the tensors to write have sizes that fit their shapes, and names that differ.
pub(super) fn check(entries: &[Entry<'_>]) -> Result<(), Error> {
    let mut names = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let Entry { name, shape, bytes, .. } = *entry;
        let error = |why: String| Error::Format(format!("tensor {name:?}: {why}"));
        let expected = size(entry.dtype, shape).map_err(error)?;
        if expected != bytes.len() as u64 {
            let found = bytes.len();
            return Err(error(format!("{found} bytes, but {shape:?} takes {expected}")));
        }
        if names.insert(name, index).is_some() {
            return Err(error("the name is repeated".to_owned()));
        }
    }
    Ok(())
}

/// A file, or its bytes.
pub(super) enum Source {
    File { path: PathBuf, file: File },
    Bytes(Arc<[u8]>),
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).about(path)?;
        Ok(Self::File { path: path.to_owned(), file })
    }

    pub(super) fn len(&self) -> Result<u64, Error> {
        match self {
            Self::File { path, file } => Ok(file.metadata().about(path)?.len()),
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Copies bytes from an offset on, which are in the file.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::File { path, file } => file.read_exact_at(out, offset).about(path),
            Self::Bytes(bytes) => {
                let start = offset as usize;
                out.copy_from_slice(&bytes[start..start + out.len()]);
                Ok(())
            }
        }
    }

    /// The file's path, for errors.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Bytes(_) => None,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => path.fmt(f),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// The tensors of one or more files, by name.
///
/// ```
/// use aruminium::infer::{DType, weights::{Entry, Gguf}};
/// let mut file = Vec::new();
/// Gguf::write(&mut file, &[], &[Entry::new("w", DType::I8, &[3], &[1, 2, 3])])?;
/// let file = Gguf::parse(file)?;
/// let weights = file.weights();
/// assert_eq!(weights.read("w")?, [1, 2, 3]);
/// assert_eq!(weights.dequantize("w")?, [1.0, 2.0, 3.0]);
/// let tensor = weights.load(&aruminium::Gpu::open()?, "w")?;
/// assert_eq!(tensor.to_vec::<i8>()?, [1, 2, 3]);
/// assert!(weights.read("x").unwrap_err().to_string().contains("no tensor \"x\""));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Debug)]
pub struct Weights {
    tensors: Vec<Info>,
    names: HashMap<String, usize>,
    files: Vec<Source>,
}

impl Weights {
    pub(super) fn new() -> Self {
        Self { tensors: Vec::new(), names: HashMap::new(), files: Vec::new() }
    }

    /// Adds a file with its tensors.
    pub(super) fn add(&mut self, source: Source, tensors: Vec<Info>) -> Result<(), Error> {
        let file = self.files.len();
        for info in tensors {
            if self.names.insert(info.name.clone(), self.tensors.len()).is_some() {
                let error = invalid(info.offset, format!("tensor {:?} is repeated", info.name));
                return Err(error).about(source.path().unwrap_or(Path::new("the file")));
            }
            self.tensors.push(Info { file, ..info });
        }
        self.files.push(source);
        Ok(())
    }

    /// Adds the files and tensors of another.
    pub(super) fn append(&mut self, other: Self) -> Result<(), Error> {
        let mut tensors = other.tensors;
        for (file, source) in other.files.into_iter().enumerate() {
            let count = tensors.partition_point(|info| info.file == file);
            let rest = tensors.split_off(count);
            self.add(source, tensors)?;
            tensors = rest;
        }
        Ok(())
    }

    /// The tensors, in the order of the files.
    ///
    /// ```
    /// # use aruminium::infer::weights::Gguf;
    /// # let mut file = Vec::new();
    /// # Gguf::write(&mut file, &[], &[])?;
    /// let file = Gguf::parse(file)?;
    /// for info in file.weights().tensors() {
    ///     println!("{} {} {:?}", info.name(), info.type_name(), info.shape());
    /// }
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn tensors(&self) -> &[Info] {
        &self.tensors
    }

    /// The description of a tensor.
    pub fn info(&self, name: &str) -> Option<&Info> {
        self.names.get(name).map(|&index| &self.tensors[index])
    }

    /// The same, or an error that names it.
    pub(super) fn find(&self, name: &str) -> Result<&Info, Error> {
        self.info(name).ok_or_else(|| Error::Format(format!("there is no tensor {name:?}")))
    }

    /// The bytes of a tensor, of any type.
    ///
    /// # Errors
    ///
    /// If there is no such tensor, or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let info = self.find(name)?;
        let mut bytes = vec![0; info.bytes as usize];
        self.files[info.file].read(info.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The values of a tensor, decoded to `f32`.
    ///
    /// # Errors
    ///
    /// If there is no such tensor, its type is unknown, or the file cannot be read.
    pub fn dequantize(&self, name: &str) -> Result<Vec<f32>, Error> {
        let info = self.find(name)?;
        let dtype = info.known()?;
        let mut out = vec![0.0; info.count()];
        dequantize(dtype, &self.read(name)?, &mut out)?;
        Ok(out)
    }

    /// A tensor in memory of its own: a copy.
    ///
    /// # Errors
    ///
    /// As for [`dequantize`](Self::dequantize), and if there is no memory.
    pub fn load(&self, gpu: &Gpu, name: &str) -> Result<Tensor, Error> {
        let info = self.find(name)?;
        let mut loaded = BTreeMap::new();
        self.copy(gpu, &[info], &mut |_, tensor| drop(loaded.insert((), tensor)))?;
        loaded.remove(&()).ok_or_else(|| Error::Format(format!("tensor {name:?} has no memory")))
    }

    /// Copies of all tensors, in a few large buffers. Tensors of unknown types are left out.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or there is no memory.
    ///
    /// ```
    /// use aruminium::infer::{DType, weights::{Entry, Gguf}};
    /// let mut file = Vec::new();
    /// Gguf::write(&mut file, &[], &[Entry::new("w", DType::I8, &[3], &[1, 2, 3])])?;
    /// let file = Gguf::parse(file)?;
    /// let tensors = file.weights().load_all(&aruminium::Gpu::open()?, |progress| {
    ///     println!("{}: {:.0} %", progress.name, 100.0 * progress.fraction());
    /// })?;
    /// assert_eq!(tensors["w"].to_vec::<i8>()?, [1, 2, 3]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn load_all(
        &self,
        gpu: &Gpu,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<BTreeMap<String, Tensor>, Error> {
        self.all(progress, |weights, infos, done| weights.copy(gpu, infos, done))
    }

    /// All tensors, as views of the mapped files: only tensors that are not aligned to 16 bytes are copied. They
    /// can only be read. Tensors of unknown types are left out.
    ///
    /// # Safety
    ///
    /// While a tensor lives no program writes or shortens the files.
    ///
    /// # Errors
    ///
    /// If a file cannot be mapped.
    ///
    /// ```no_run
    /// use aruminium::infer::weights::Gguf;
    /// let file = Gguf::open("model.gguf")?;
    /// // SAFETY: no program changes the file.
    /// let tensors = unsafe { file.weights().map(&aruminium::Gpu::open()?, |_| ())? };
    /// assert!(tensors["output.weight"].memory().is_read_only());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub unsafe fn map(
        &self,
        gpu: &Gpu,
        progress: impl FnMut(Progress<'_>),
    ) -> Result<BTreeMap<String, Tensor>, Error> {
        self.all(progress, |weights, infos, done| {
            let maps = |info: &&Info| {
                let file = matches!(weights.files[info.file], Source::File { .. });
                file && info.bytes > 0 && info.offset.is_multiple_of(ALIGNMENT)
            };
            let (mapped, copied): (Vec<&Info>, Vec<&Info>) = infos.iter().partition(|i| maps(i));
            // SAFETY: the caller guarantees it.
            unsafe { weights.view(gpu, mapped, done)? };
            weights.copy(gpu, &copied, done)
        })
    }

    /// Loads all tensors of known types by a function, which gets them and a function to call for each.
    fn all(
        &self,
        mut progress: impl FnMut(Progress<'_>),
        load: impl FnOnce(&Self, &[&Info], &mut dyn FnMut(&Info, Tensor)) -> Result<(), Error>,
    ) -> Result<BTreeMap<String, Tensor>, Error> {
        let infos: Vec<&Info> = self.tensors.iter().filter(|info| info.dtype.is_some()).collect();
        let total = infos.iter().map(|info| info.bytes).sum();
        let (mut loaded, mut done) = (BTreeMap::new(), 0);
        load(self, &infos, &mut |info, tensor| {
            done += info.bytes;
            loaded.insert(info.name.clone(), tensor);
            progress(Progress { name: &info.name, done, total });
        })?;
        Ok(loaded)
    }

    /// Copies tensors into new memory.
    fn copy(
        &self,
        gpu: &Gpu,
        infos: &[&Info],
        done: &mut dyn FnMut(&Info, Tensor),
    ) -> Result<(), Error> {
        let mut rest = infos;
        while let [first, ..] = rest {
            // As many tensors as fit, each at an aligned offset.
            let (mut offsets, mut end) = (vec![0], first.bytes);
            for info in &rest[1..] {
                let start = end.next_multiple_of(ALIGNMENT);
                if start + info.bytes > PIECE {
                    break;
                }
                offsets.push(start);
                end = start + info.bytes;
            }
            let block = Block::open(end.max(1) as usize)?;
            let (piece, others) = rest.split_at(offsets.len());
            for (info, &start) in piece.iter().zip(&offsets) {
                let range = start as usize..(start + info.bytes) as usize;
                self.files[info.file].read(info.offset, &mut block.as_bytes_mut()[range])?;
            }
            let memory = Memory::wrap(gpu, &block)?;
            for (info, &start) in piece.iter().zip(&offsets) {
                done(info, memory.tensor(start as usize, info.known()?, &info.shape)?);
            }
            rest = others;
        }
        Ok(())
    }

    /// Views of mapped files.
    ///
    /// # Safety
    ///
    /// As for [`map`](Self::map).
    unsafe fn view(
        &self,
        gpu: &Gpu,
        mut infos: Vec<&Info>,
        done: &mut dyn FnMut(&Info, Tensor),
    ) -> Result<(), Error> {
        infos.sort_by_key(|info| (info.file, info.offset));
        // The system's pages are as large as the smallest block.
        let page = Block::open(1)?.size() as u64;
        let mut rest = &infos[..];
        while let Some((count, window)) = window(rest, page, gpu.max_buffer_length() as u64) {
            let Source::File { path, file } = &self.files[rest[0].file] else {
                break;
            };
            let start = window.start;
            // SAFETY: the caller guarantees it.
            let block = unsafe { Block::map(file, window) }.about(path)?;
            let memory = Memory::wrap(gpu, &block)?;
            let (piece, others) = rest.split_at(count);
            for info in piece {
                let offset = (info.offset - start) as usize;
                done(info, memory.tensor(offset, info.known()?, &info.shape)?);
            }
            rest = others;
        }
        Ok(())
    }
}

/// The number of the first tensors that one buffer can show, and the range of their file, which begins with a page.
/// The tensors are in the order of files and offsets.
fn window(infos: &[&Info], page: u64, limit: u64) -> Option<(usize, Range<u64>)> {
    let first = infos.first()?;
    let start = first.offset / page * page;
    let (mut count, mut end) = (1, first.end());
    for info in &infos[1..] {
        let longer = end.max(info.end());
        if info.file != first.file || (longer - start).next_multiple_of(page) > limit {
            break;
        }
        (count, end) = (count + 1, longer);
    }
    Some((count, start..end))
}

#[cfg(test)]
mod tests {
    use super::{Info, window};

    fn info(file: usize, offset: u64, bytes: u64) -> Info {
        let (name, type_name) = (String::new(), String::new());
        Info { name, dtype: None, type_name, shape: vec![], file, offset, bytes }
    }

    #[test]
    fn windows_end_where_a_file_ends_or_a_buffer_is_full() {
        let infos = [info(0, 5000, 100), info(0, 5100, 5000), info(0, 10112, 9000), info(1, 32, 1)];
        let infos: Vec<&Info> = infos.iter().collect();
        assert_eq!(window(&infos, 4096, u64::MAX), Some((3, 4096..19112)));
        assert_eq!(window(&infos, 4096, 8192), Some((2, 4096..10100)));
        assert_eq!(window(&infos, 4096, 4096), Some((1, 4096..5100)));
        assert_eq!(window(&infos[2..], 4096, 4096), Some((1, 8192..19112)), "larger than a buffer");
        assert_eq!(window(&infos[3..], 4096, 4096), Some((1, 0..33)));
        assert_eq!(window(&[], 4096, 4096), None);
    }
}
