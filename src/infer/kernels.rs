//! Kernels, compiled once and shared by all threads.

use super::cache::Cache;
use super::error::Error;
use super::launch::Parameters;
use crate::fp16::{Bfloat, Half};
use crate::{ConstantValues, Gpu, Pipeline, ShaderLib};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// A compiled kernel with its arguments. A clone is another handle to it.
///
/// ```
/// use aruminium::infer::{Kernel, Kernels};
/// let kernels = Kernels::new(&aruminium::Gpu::open()?);
/// kernels.add("fill", "kernel void ones(device float *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }");
/// let ones: Kernel = kernels.get("fill", "ones")?;
/// assert_eq!((ones.name(), ones.bindings().len()), ("ones", 1));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone)]
pub struct Kernel(Arc<Inner>);

struct Inner {
    name: String,
    /// The name with what makes it differ from other kernels of the same function.
    variant: String,
    pipeline: Pipeline,
    parameters: Parameters,
}

impl Kernel {
    /// A kernel of a pipeline that the program made itself, which must have its reflection
    /// (see [`Gpu::pipeline_reflected`]).
    ///
    /// # Errors
    ///
    /// If the pipeline has no reflection, or the kernel has textures or samplers, which a
    /// [`Stream`](super::Stream) does not bind.
    ///
    /// ```
    /// use aruminium::{Gpu, infer::Kernel};
    /// let gpu = Gpu::open()?;
    /// let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// let kernel = Kernel::of("one", gpu.pipeline_reflected(&function)?)?;
    /// assert!(kernel.max_threads() >= 32);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn of(name: &str, pipeline: Pipeline) -> Result<Self, Error> {
        Self::variant_of(name, name.into(), pipeline)
    }

    fn variant_of(name: &str, variant: String, pipeline: Pipeline) -> Result<Self, Error> {
        let parameters = Parameters::of(name, &pipeline)?;
        Ok(Self(Arc::new(Inner { name: name.into(), variant, pipeline, parameters })))
    }

    /// The name of the function.
    ///
    /// ```
    /// # let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// # kernels.add("s", "kernel void one(device int *x) { x[0] = 1; }");
    /// assert_eq!(kernels.get("s", "one")?.name(), "one");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name by which statistics count it: that of the function, with the constants that the kernel was made with. Kernels of
    /// [`Ops`](super::Ops) have the types of their operands there.
    ///
    /// ```
    /// # let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("n", "constant uint n [[function_constant(3)]]; kernel void put(device uint *x) { x[0] = n; }");
    /// assert_eq!(kernels.get_with("n", "put", &[(3, 7u32.into())])?.variant(), "put 3=7");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn variant(&self) -> &str {
        &self.0.variant
    }

    /// The pipeline.
    ///
    /// ```
    /// # let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// # kernels.add("s", "kernel void one(device int *x) { x[0] = 1; }");
    /// assert_eq!(kernels.get("s", "one")?.pipeline().thread_execution_width(), 32);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn pipeline(&self) -> &Pipeline {
        &self.0.pipeline
    }

    /// The arguments, as reflection lists them.
    ///
    /// ```
    /// # let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// # kernels.add("s", "kernel void one(device int *x) { x[0] = 1; }");
    /// assert!(kernels.get("s", "one")?.bindings()[0].is_written());
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn bindings(&self) -> &[crate::Binding] {
        self.0.pipeline.reflection().unwrap_or_default()
    }

    /// The most threads that a threadgroup may have.
    ///
    /// ```
    /// # let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// # kernels.add("s", "kernel void one(device int *x) { x[0] = 1; }");
    /// assert!(kernels.get("s", "one")?.max_threads() >= 32);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn max_threads(&self) -> usize {
        self.0.parameters.max_threads
    }

    #[inline]
    pub(super) fn parameters(&self) -> &Parameters {
        &self.0.parameters
    }

    /// Whether two handles are of the same kernel.
    #[inline]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({})", self.variant())
    }
}

/// The value of a function constant.
///
/// ```
/// use aruminium::infer::Constant;
/// assert_eq!(Constant::from(3u32), Constant::U32(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Constant {
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    I32(i32),
    /// An unsigned integer.
    U32(u32),
    /// A short signed integer.
    I16(i16),
    /// A short unsigned integer.
    U16(u16),
    /// A signed byte.
    I8(i8),
    /// A byte.
    U8(u8),
    /// A long signed integer.
    I64(i64),
    /// A long unsigned integer.
    U64(u64),
    /// A float, by its bits.
    F32(u32),
    /// A half, by its bits.
    F16(u16),
    /// A bfloat, by its bits.
    BF16(u16),
}

/// Implements the conversions from Rust's types, and the setting of a constant.
macro_rules! constants {
    ($($variant:ident: $ty:ty, $from:expr, $to:expr;)+) => {
        $(impl From<$ty> for Constant {
            fn from(value: $ty) -> Self {
                Self::$variant(($from)(value))
            }
        })+

        impl Constant {
            fn set(self, index: usize, values: &ConstantValues) {
                match self {
                    $(Self::$variant(value) => values.set::<$ty>(index, ($to)(value)),)+
                }
            }
        }

        impl fmt::Display for Constant {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$variant(value) => write!(f, "{:?}", ($to)(value)),)+
                }
            }
        }
    };
}

constants! {
    Bool: bool, |x| x, |x| x;
    I32: i32, |x| x, |x| x;
    U32: u32, |x| x, |x| x;
    I16: i16, |x| x, |x| x;
    U16: u16, |x| x, |x| x;
    I8: i8, |x| x, |x| x;
    U8: u8, |x| x, |x| x;
    I64: i64, |x| x, |x| x;
    U64: u64, |x| x, |x| x;
    F32: f32, f32::to_bits, f32::from_bits;
    F16: Half, |x: Half| x.0, Half;
    BF16: Bfloat, |x: Bfloat| x.0, Bfloat;
}

/// A kernel of a source, with its function constants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: String,
    function: String,
    constants: Vec<(usize, Constant)>,
}

/// A value that the first thread makes while others wait for it. After an error the next thread tries again.
#[derive(Debug)]
struct Once<T>(Mutex<Option<T>>);

impl<T: Clone> Once<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(None)))
    }

    fn get(&self, make: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*value {
            return Ok(value.clone());
        }
        let made = make()?;
        Ok(value.insert(made).clone())
    }
}

#[derive(Debug)]
struct Source {
    text: Arc<str>,
    library: Arc<Once<Arc<ShaderLib>>>,
}

#[derive(Debug, Default)]
struct Tables {
    sources: HashMap<String, Source>,
    kernels: HashMap<Key, Arc<Once<Kernel>>>,
}

/// The kernels of a program: sources by name, each compiled once, and each kernel made once for each set of constants,
/// when it is first requested. All threads share it.
///
/// ```
/// use aruminium::infer::Kernels;
/// let kernels = Kernels::new(&aruminium::Gpu::open()?);
/// kernels.add("scale", "constant float factor [[function_constant(0)]];
///     kernel void scale(device float *x, uint i [[thread_position_in_grid]]) { x[i] *= factor; }");
/// let double = kernels.get_with("scale", "scale", &[(0, 2.0f32.into())])?;
/// assert!(kernels.get("scale", "scale").is_err(), "the constant has no value");
/// assert!(kernels.get("scale", "shear").unwrap_err().to_string().contains("shear"));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Debug)]
pub struct Kernels {
    gpu: Gpu,
    tables: Mutex<Tables>,
    compilations: AtomicU64,
    cache: Option<Cache>,
}

/// A kernel that could not be warmed: its source, its name, and why.
///
/// ```
/// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
/// let failures = kernels.warm(&[("none", "one")]).unwrap_err();
/// assert_eq!(failures[0].function, "one");
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct WarmFailure {
    /// The name of the source.
    pub source: String,
    /// The name of the kernel.
    pub function: String,
    /// The values of its function constants.
    pub constants: Vec<(usize, Constant)>,
    /// Why it could not be made.
    pub error: Error,
}

/// A kernel to warm: its source, its name, and the values of its function constants.
type Wanted<'a> = (&'a str, &'a str, &'a [(usize, Constant)]);

impl Kernels {
    /// No kernels yet.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(gpu: &Gpu) -> Self {
        Self {
            gpu: gpu.clone(),
            tables: Mutex::default(),
            compilations: AtomicU64::new(0),
            cache: None,
        }
    }

    /// No kernels yet, and a file of compiled ones: a kernel that it has is not compiled for the GPU again. A file that does not
    /// exist, is damaged, or is of another system is not used; [`save`](Self::save) writes it anew.
    ///
    /// The source text is compiled in any case. On soft Metal, where that is all, a file saves nothing.
    ///
    /// ```
    /// use aruminium::infer::Kernels;
    /// let gpu = aruminium::Gpu::open()?;
    /// let file = std::env::temp_dir().join(format!("kernels-{}", std::process::id()));
    /// for (loaded, saved) in [(0, 1), (1, 0)] {
    ///     let kernels = Kernels::cached(&gpu, &file);
    ///     kernels.add("one", "kernel void one(device int *x) { x[0] = 1; }");
    ///     kernels.get("one", "one")?;
    ///     assert_eq!((kernels.loaded(), kernels.save()?), (loaded, saved));
    /// }
    /// # let _ = std::fs::remove_file(&file);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn cached(gpu: &Gpu, file: impl AsRef<Path>) -> Self {
        Self { cache: Some(Cache::open(gpu, file.as_ref())), ..Self::new(gpu) }
    }

    /// Adds the kernels that the file of [`cached`](Self::cached) lacks to it, and returns their number. The file is replaced as a
    /// whole, so other processes may read and save it at any time. If two processes save at the same time,
    /// the kernels of one may be missing; the next save adds them.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. If Metal does not add a kernel, its error, and all others are in the file.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// assert_eq!(kernels.save()?, 0, "it has no file");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn save(&self) -> Result<usize, Error> {
        self.cache.as_ref().map_or(Ok(0), |cache| cache.save(&self.gpu))
    }

    /// The number of kernels that the file of [`cached`](Self::cached) had.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// assert_eq!(kernels.loaded(), 0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn loaded(&self) -> u64 {
        self.cache.as_ref().map_or(0, Cache::loaded)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device of the kernels.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// println!("{}", kernels.gpu().name());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Adds a source under a name. It is compiled when a kernel of it is first requested. A source of the same name and
    /// another text replaces it for kernels that are requested later.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("one", "kernel void one(device int *x) { x[0] = 1; }");
    /// kernels.add("one", "kernel void two(device int *x) { x[0] = 2; }");
    /// assert!(kernels.get("one", "two").is_ok() && kernels.get("one", "one").is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn add(&self, name: &str, text: impl Into<Arc<str>>) {
        let text = text.into();
        let mut tables = self.tables();
        if tables.sources.get(name).is_some_and(|source| source.text == text) {
            return;
        }
        tables.kernels.retain(|key, _| key.source != name);
        tables.sources.insert(name.into(), Source { text, library: Once::new() });
    }

    /// The kernel with a name in a source.
    ///
    /// # Errors
    ///
    /// As for [`get_with`](Self::get_with).
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("one", "kernel void one(device int *x) { x[0] = 1; }");
    /// let one = kernels.get("one", "one")?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn get(&self, source: &str, function: &str) -> Result<Kernel, Error> {
        self.get_with(source, function, &[])
    }

    /// The kernel with a name in a source, with values for function constants by index.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownKernel`] if there is no such source, or it has no such kernel; the compiler's error.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("n", "constant uint n [[function_constant(3)]];
    ///     kernel void put(device uint *x) { x[0] = n; }");
    /// let seven = kernels.get_with("n", "put", &[(3, 7u32.into())])?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn get_with(
        &self,
        source: &str,
        function: &str,
        constants: &[(usize, Constant)],
    ) -> Result<Kernel, Error> {
        self.make(source, function, constants, None)
    }

    /// The same. The variant's name is that of the function with its constants, or another one.
    pub(super) fn make(
        &self,
        source: &str,
        function: &str,
        constants: &[(usize, Constant)],
        variant: Option<&str>,
    ) -> Result<Kernel, Error> {
        let mut constants = constants.to_vec();
        constants.sort_unstable_by_key(|constant| constant.0);
        let key = Key { source: source.into(), function: function.into(), constants };
        let mut tables = self.tables();
        let Some(Source { text, library }) = tables.sources.get(source) else {
            let mut names: Vec<&str> = tables.sources.keys().map(String::as_str).collect();
            names.sort_unstable();
            let names = names.join(", ");
            return Err(Error::UnknownKernel(format!(
                "'{function}' of the source '{source}': the sources are [{names}]"
            )));
        };
        let (text, library) = (Arc::clone(text), Arc::clone(library));
        let once = tables.kernels.entry(key.clone()).or_insert_with(Once::new);
        let once = Arc::clone(once);
        // Other threads may request other kernels while this one is compiled.
        drop(tables);
        once.get(|| {
            let library = library.get(|| {
                self.compilations.fetch_add(1, Ordering::Relaxed);
                let library = self.gpu.compile(&text).map_err(|error| match error {
                    crate::GpuError::LibraryCompilationFailed(why) => {
                        let why = format!("source '{source}': {why}");
                        crate::GpuError::LibraryCompilationFailed(why)
                    }
                    other => other,
                })?;
                library.set_label(source);
                Ok(Arc::new(library))
            })?;
            let values = ConstantValues::new();
            key.constants.iter().for_each(|&(index, constant)| constant.set(index, &values));
            let shader = match key.constants.is_empty() {
                true => library.function(function),
                false => library.function_with(function, &values),
            };
            let shader = shader.map_err(|error| match error {
                crate::GpuError::FunctionNotFound(why) => {
                    Error::UnknownKernel(format!("source '{source}': {why}"))
                }
                other => Error::Gpu(other),
            })?;
            let name = variant.map_or_else(
                || {
                    let constants = key.constants.iter();
                    let values = constants.map(|(index, value)| format!(" {index}={value}"));
                    function.to_owned() + &values.collect::<String>()
                },
                str::to_owned,
            );
            let pipeline = match &self.cache {
                Some(cache) => cache.pipeline(&self.gpu, &shader)?,
                None => self.gpu.pipeline_reflected(&shader)?,
            };
            Kernel::variant_of(function, name, pipeline)
        })
    }

    /// Makes kernels before they are used: the first use of one takes milliseconds.
    ///
    /// # Errors
    ///
    /// The kernels that could not be made, each with its error; all others are made.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("one", "kernel void one(device int *x) { x[0] = 1; }");
    /// let failures = kernels.warm(&[("one", "one"), ("one", "other")]).unwrap_err();
    /// assert_eq!((failures.len(), kernels.len()), (1, 1));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn warm(&self, kernels: &[(&str, &str)]) -> Result<(), Vec<WarmFailure>> {
        let all: Vec<_> =
            kernels.iter().map(|&(source, function)| (source, function, &[][..])).collect();
        self.warm_with(&all)
    }

    /// The same for kernels with values for function constants by index.
    ///
    /// # Errors
    ///
    /// As for [`warm`](Self::warm).
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("n", "constant uint n [[function_constant(0)]]; kernel void put(device uint *x) { x[0] = n; }");
    /// let constants = [1u32, 2].map(|n| [(0, n.into())]);
    /// let failures = kernels.warm_with(&[("n", "put", &constants[0]), ("n", "put", &constants[1]), ("n", "put", &[])]);
    /// assert_eq!((failures.unwrap_err().len(), kernels.len()), (1, 2));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn warm_with(&self, kernels: &[Wanted<'_>]) -> Result<(), Vec<WarmFailure>> {
        let fail = |&(source, function, constants): &Wanted<'_>| {
            let error = self.get_with(source, function, constants).err()?;
            let (source, function) = (source.into(), function.into());
            Some(WarmFailure { source, function, constants: constants.to_vec(), error })
        };
        let failures: Vec<_> = kernels.iter().filter_map(fail).collect();
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// The number of kernels that are made; those that other threads are making do not count.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("one", "kernel void one(device int *x) { x[0] = 1; }");
    /// assert_eq!(kernels.len(), 0);
    /// kernels.get("one", "one").expect("it compiles");
    /// assert_eq!(kernels.len(), 1);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn len(&self) -> usize {
        let kernels: Vec<_> = self.tables().kernels.values().cloned().collect();
        let is_made = |once: &Arc<Once<Kernel>>| match once.0.try_lock() {
            Ok(kernel) => kernel.is_some(),
            Err(TryLockError::Poisoned(kernel)) => kernel.into_inner().is_some(),
            Err(TryLockError::WouldBlock) => false,
        };
        kernels.iter().filter(|once| is_made(once)).count()
    }

    /// The number of sources that were compiled, those with errors too.
    ///
    /// ```
    /// let kernels = aruminium::infer::Kernels::new(&aruminium::Gpu::open()?);
    /// kernels.add("two", "kernel void one(device int *x) { x[0] = 1; } kernel void two(device int *x) { x[0] = 2; }");
    /// kernels.warm(&[("two", "one"), ("two", "two")]).expect("it compiles");
    /// assert_eq!(kernels.compilations(), 1);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn compilations(&self) -> u64 {
        self.compilations.load(Ordering::Relaxed)
    }

    /// Whether no kernel is made yet.
    ///
    /// ```
    /// assert!(aruminium::infer::Kernels::new(&aruminium::Gpu::open()?).is_empty());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
