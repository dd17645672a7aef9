//! Runs a kernel of a package: its source, its arguments in order, and its results.

use crate::numbers::Number;
use crate::packages::{PACKAGES, Package, Registry, Source};
use crate::{bits, ran, reports};
use aruminium::{Buffer, CompileOptions, ConstantValues, Encoder, Gpu, Queue, ShaderLib};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

/// Threads or threadgroups along x, y and z.
pub type Size = (usize, usize, usize);

/// Threadgroups of 64 for `n` threads.
pub fn lined(threads: usize) -> (Size, Size) {
    ((threads.div_ceil(64), 1, 1), (64, 1, 1))
}

/// A cache of the packages' sources, since finding and reading them takes time.
static SOURCES: Mutex<Option<HashMap<&str, Vec<Source>>>> = Mutex::new(None);

/// One source of a package, compiled.
#[derive(Debug)]
pub struct Kernels {
    gpu: Gpu,
    queue: Queue,
    library: ShaderLib,
    name: String,
    /// The package and the source's path in it.
    path: String,
    text: String,
}

impl Kernels {
    /// Compiles the source of a package that has this path, or whose path ends with `file`.
    ///
    /// # Panics
    /// If it does not exist or does not compile.
    pub fn open(package: &str, file: &str) -> Self {
        let (text, path, defines) = Self::sources(package, |package, sources| {
            let ends = |source: &&Source| source.path.ends_with(file);
            let is = |source: &&Source| source.path.rsplit('/').next() == Some(file);
            let found = sources.iter().find(is).or_else(|| sources.iter().find(ends));
            let source = found.unwrap_or_else(|| panic!("{}: no {file}", package.name));
            let path = format!("{}/{}", package.name, source.path);
            (source.text.clone(), path, package.defines())
        });
        let compiled = Self::compiled(file, path, &(defines + &text));
        Self { text, ..compiled }
    }

    /// The paths of a package's sources.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn paths(package: &str) -> Vec<String> {
        Self::sources(package, |_, sources| sources.iter().map(|one| one.path.clone()).collect())
    }

    fn sources<T>(package: &str, get: impl FnOnce(&Package, &[Source]) -> T) -> T {
        let named = PACKAGES.iter().find(|known| known.name == package);
        let package = named.unwrap_or_else(|| panic!("no package {package}"));
        let mut known = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        let sources = known.entry(package.name).or_insert_with(|| {
            let registry =
                Registry::open(crate::MANIFEST).unwrap_or_else(|error| panic!("{error}"));
            registry.sources(package).unwrap_or_else(|error| panic!("{error}"))
        });
        get(package, sources)
    }

    /// Compiles a text. Messages call it `name`; its kernels are recorded under `path`.
    ///
    /// # Panics
    /// If it does not compile.
    pub fn compiled(name: &str, path: String, text: &str) -> Self {
        Self::compiled_with(name, path, text, None)
    }

    /// The same with options.
    ///
    /// # Panics
    /// If it does not compile.
    pub fn compiled_with(
        name: &str,
        path: String,
        text: &str,
        options: Option<&CompileOptions>,
    ) -> Self {
        let gpu = Gpu::open().unwrap_or_else(|error| panic!("{error}"));
        let queue = gpu.new_command_queue().unwrap_or_else(|error| panic!("{error}"));
        let library = gpu.compile_with(text, options);
        let library = library.unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { gpu, queue, library, name: name.to_owned(), path, text: text.to_owned() }
    }

    /// The names of all kernels.
    pub fn names(&self) -> Vec<String> {
        self.library.function_names()
    }

    /// Whether there is a kernel of this name.
    pub fn has(&self, kernel: &str) -> bool {
        self.names().iter().any(|name| name == kernel)
    }

    /// The number that a macro of the source expands to.
    ///
    /// # Panics
    /// If there is no such macro.
    pub fn defined(&self, name: &str) -> usize {
        self.number(name).unwrap_or_else(|| panic!("{}: no number {name}", self.name))
    }

    /// The same, if there is such a macro.
    pub fn number(&self, name: &str) -> Option<usize> {
        let mut lines = self.text.lines().filter_map(|line| line.trim().strip_prefix("#define "));
        let value =
            |line: &str| line.trim().strip_prefix(name)?.split_whitespace().next()?.parse().ok();
        lines.find_map(value)
    }

    /// The text of the source.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Begins a launch of a kernel with values for its function constants.
    pub fn launch(&self, kernel: &str) -> Launch<'_> {
        Launch {
            kernels: self,
            kernel: kernel.to_owned(),
            constants: ConstantValues::new(),
            buffers: Vec::new(),
            next: 0,
            memory: Vec::new(),
        }
    }
}

/// A launch under construction. Arguments without an index take the next one.
#[derive(Debug)]
pub struct Launch<'a> {
    kernels: &'a Kernels,
    kernel: String,
    constants: ConstantValues,
    buffers: Vec<(Rc<Buffer>, usize)>,
    next: usize,
    memory: Vec<(usize, usize)>,
}

/// Bytes that no reference expects, so that missing writes are noticed.
const POISON: u8 = 0xa5;

impl Launch<'_> {
    /// The value of a function constant.
    pub fn constant<T: aruminium::ConstantValue>(self, index: usize, value: T) -> Self {
        self.constants.set(index, value);
        self
    }

    /// The next buffer's bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        let data: &[u8] = if bytes.is_empty() { &[0] } else { bytes };
        let buffer = self.kernels.gpu.buffer_with_data(data);
        let buffer = buffer.unwrap_or_else(|error| panic!("{error}"));
        self.buffers.push((Rc::new(buffer), self.next));
        self.next += 1;
        self
    }

    /// The next buffer's elements.
    pub fn numbers(self, number: Number, values: &[f64]) -> Self {
        self.bytes(&number.encode(values))
    }

    /// The next buffer's `uint`s.
    pub fn words<const N: usize>(self, values: [usize; N]) -> Self {
        self.bytes(&values.map(|value| (value as u32).to_le_bytes()).concat())
    }

    /// The next buffer's `long`s.
    pub fn longs<const N: usize>(self, values: [usize; N]) -> Self {
        self.bytes(&values.map(|value| (value as u64).to_le_bytes()).concat())
    }

    /// The next buffer's `float`s.
    pub fn floats<const N: usize>(self, values: [f32; N]) -> Self {
        self.bytes(&values.map(f32::to_le_bytes).concat())
    }

    /// A buffer for results of `n` bytes.
    pub fn room(self, bytes: usize) -> Self {
        self.bytes(&vec![POISON; bytes])
    }

    /// Binds an earlier buffer again, as the next one.
    ///
    /// # Panics
    /// When there is no buffer at that index.
    pub fn again(mut self, index: usize) -> Self {
        let known = self.buffers.iter().find(|(_, at)| *at == index);
        let (buffer, _) = known.unwrap_or_else(|| panic!("no buffer {index}"));
        self.buffers.push((buffer.clone(), self.next));
        self.next += 1;
        self
    }

    /// The index of the next buffer.
    pub fn at(mut self, index: usize) -> Self {
        self.next = index;
        self
    }

    /// Bytes of threadgroup memory at an index.
    pub fn memory(mut self, index: usize, bytes: usize) -> Self {
        self.memory.push((index, bytes));
        self
    }

    /// Runs a number of threadgroups, and returns the bytes of the buffer at `result`.
    ///
    /// # Panics
    /// When the kernel does not compile, or its command buffer ends in an error.
    pub fn groups(self, groups: Size, threads: Size, result: usize) -> Vec<u8> {
        let [written] = self.results(groups, threads, [result]);
        written
    }

    /// The same for the bytes of several buffers.
    ///
    /// # Panics
    /// As [`groups`](Self::groups).
    pub fn results<const N: usize>(
        self,
        groups: Size,
        threads: Size,
        all: [usize; N],
    ) -> [Vec<u8>; N] {
        self.run(|encoder| encoder.launch_groups(groups, threads));
        all.map(|index| self.written(index))
    }

    /// Runs a number of threads in groups of that size or less, and returns the bytes of some buffers.
    ///
    /// # Panics
    /// As [`groups`](Self::groups).
    pub fn grid<const N: usize>(self, threads: Size, group: Size, all: [usize; N]) -> [Vec<u8>; N] {
        self.run(|encoder| encoder.launch(threads, group));
        all.map(|index| self.written(index))
    }

    fn run(&self, launch: impl Fn(&Encoder)) {
        let place = self.place();
        let function = self.kernels.library.function_with(&self.kernel, &self.constants);
        let function = function.unwrap_or_else(|error| panic!("{place}: {error}"));
        let pipeline = self.kernels.gpu.pipeline(&function);
        let pipeline = pipeline.unwrap_or_else(|error| panic!("{place}: {error}"));
        let commands = self.kernels.queue.commands().unwrap_or_else(|error| panic!("{error}"));
        let encoder = commands.encoder().unwrap_or_else(|error| panic!("{error}"));
        encoder.bind(&pipeline);
        for (buffer, index) in &self.buffers {
            encoder.bind_buffer(buffer, 0, *index);
        }
        for &(index, bytes) in &self.memory {
            encoder.threadgroup_memory(bytes, index);
        }
        launch(&encoder);
        encoder.finish();
        commands.submit();
        commands.wait();
        if let Some(error) = commands.error() {
            panic!("{place}: {error}");
        }
        ran::note(&self.kernels.path, &self.kernel);
        let buffers = self.buffers.iter().map(|(buffer, _)| buffer.read(<[u8]>::to_vec));
        bits::note(&self.kernels.path, &self.kernel, buffers);
        reports::note(&self.kernels.path, &commands);
    }

    fn place(&self) -> String {
        format!("{}: {}", self.kernels.name, self.kernel)
    }

    fn written(&self, index: usize) -> Vec<u8> {
        let written = self.buffers.iter().find(|(_, at)| *at == index);
        let (buffer, _) = written.unwrap_or_else(|| panic!("{}: no buffer {index}", self.place()));
        buffer.read(<[u8]>::to_vec)
    }
}
