//! The corpus: the kernels of `tests/msl`, each run on every instruction set and compared with a computation in Rust.
//!
//! A kernel writes its results to `out`, the buffer at index 0 or [`Case::at`]; its other buffers are
//! inputs, in the order of [`Case::input`]. A row names the kernel, its inputs and the expected results:
//!
//! ```ignore
//! file.kernel("doubled").input(&values).each(64, |i| values[i] * 2);
//! ```
//!
//! [`File::finish`] reports the failures of all rows of a file at once, and also fails for kernels that
//! no row runs. Only [`run`] depends on how a kernel is compiled and launched.

mod accuracy;
mod element;
mod functions;
mod groups;
mod idioms;
mod integers;
mod language;
mod memory;
mod numbers;
mod reference;
mod simdgroup_matrices;
mod special;
mod templates;
pub(super) mod textures;
mod vectors;
mod whole;

use crate::soft::cpu::by_index::{Binding, Launch};
use crate::soft::msl::ast::Stage;
use crate::soft::msl::{self, ConstantValues, Options};
use crate::soft::tests::machine::{self, Machine};
use element::{Element, Expected};
use std::collections::BTreeSet;
use std::time::Duration;
use textures::Image;

/// Known failures: file, kernel, and reason. A row here that passes is a failure.
const KNOWN_FAILURES: &[(&str, &str, &str)] = &[];

/// Bytes that no test expects, to detect elements that a kernel did not write.
const POISON: u8 = 0xa5;

/// The arguments and sizes of a launch.
#[derive(Default)]
struct Setting {
    grid: [u32; 3],
    group: [u32; 3],
    /// Buffers by index.
    buffers: Vec<Vec<u8>>,
    images: Vec<Image>,
    /// Sizes of the arguments at `[[threadgroup(n)]]`.
    threadgroup_memory: Vec<(u32, u32)>,
}

/// Compiles one kernel of a library for an instruction set and launches it once.
fn run(
    library: &msl::Library,
    kernel: &str,
    machine: Machine,
    setting: &mut Setting,
) -> Result<(), String> {
    let (module, _) =
        library.kernel(kernel, &ConstantValues::default()).map_err(|error| error.0)?;
    let code = machine.executable(&module)?;
    let bindings: Vec<Binding> = (0..)
        .zip(&mut setting.buffers)
        .map(|(index, buffer)| Binding {
            index,
            base: buffer.as_mut_ptr(),
            bytes: buffer.len() as u64,
        })
        .collect();
    let textures: Vec<_> = setting.images.iter_mut().map(Image::texture).collect();
    let launch = Launch {
        grid: setting.grid,
        group: setting.group,
        bindings: &bindings,
        textures: &textures,
        samplers: &textures::samplers(),
        threadgroup_memory: &setting.threadgroup_memory,
        watchdog: Some(Duration::from_millis(500)),
        strict: false,
    };
    // SAFETY: the bindings are the setting's buffers and images, which outlive the launch and nothing else uses.
    unsafe { machine::launch(&*code, &launch) }
}

/// One file of the corpus and the failures of its rows so far.
struct File {
    name: &'static str,
    library: msl::Library,
    /// Kernels that no row has run.
    left: BTreeSet<String>,
    failures: Vec<String>,
    /// Creates the textures of the kernels.
    images: fn() -> Vec<Image>,
}

impl File {
    /// Compiles a file under `tests/msl`.
    #[track_caller]
    fn open(name: &'static str, text: &str) -> Self {
        let options = Options { file_name: name.into(), ..Options::default() };
        let library = msl::compile(text, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(library.warnings, "", "{name} has warnings");
        let kernels = library.entries.iter().filter(|entry| entry.stage == Stage::Kernel);
        let left = kernels.map(|entry| entry.name.clone()).collect();
        Self { name, library, left, failures: Vec::new(), images: Vec::new }
    }

    /// Starts a row.
    fn kernel(&mut self, kernel: &'static str) -> Case<'_> {
        assert!(
            self.left.remove(kernel),
            "{}: no kernel '{kernel}', or two rows for it",
            self.name
        );
        Case {
            file: self,
            kernel,
            grid: [1; 3],
            group: None,
            at: 0,
            out: None,
            inputs: Vec::new(),
            threadgroup_memory: Vec::new(),
        }
    }

    /// Fails if a row failed or a kernel has no row.
    #[track_caller]
    fn finish(self) {
        assert!(self.left.is_empty(), "{}: no row runs {:?}", self.name, self.left);
        assert!(self.failures.is_empty(), "{}:\n{}", self.name, self.failures.join("\n"));
    }
}

/// A row: a kernel with its inputs.
struct Case<'a> {
    file: &'a mut File,
    kernel: &'static str,
    grid: [u32; 3],
    group: Option<[u32; 3]>,
    /// The index of `out`.
    at: usize,
    out: Option<Vec<u8>>,
    inputs: Vec<Vec<u8>>,
    threadgroup_memory: Vec<(u32, u32)>,
}

impl Case<'_> {
    /// The number of threads, if it is not 1 or the number of elements.
    fn grid(mut self, x: u32, y: u32, z: u32) -> Self {
        self.grid = [x, y, z];
        self
    }

    /// The size of a threadgroup; by default at most 64 in a row.
    fn group(mut self, x: u32, y: u32, z: u32) -> Self {
        self.group = Some([x, y, z]);
        self
    }

    /// The index of `out`, when it is not 0.
    fn at(mut self, index: usize) -> Self {
        self.at = index;
        self
    }

    /// The next buffer besides `out`.
    fn input<T: Element>(mut self, values: &[T]) -> Self {
        self.inputs.push(element::bytes(values));
        self
    }

    /// The content of `out` before the launch.
    fn out<T: Element>(mut self, values: &[T]) -> Self {
        self.out = Some(element::bytes(values));
        self
    }

    /// The size of the next threadgroup argument.
    fn threadgroup(mut self, bytes: u32) -> Self {
        self.threadgroup_memory.push((self.threadgroup_memory.len() as u32, bytes));
        self
    }

    /// Launches `n` threads and compares element `i` of `out` with `f(i)`.
    fn each<E: Expected>(self, threads: u32, expected: impl Fn(usize) -> E) {
        let values: Vec<E> = (0..threads as usize).map(expected).collect();
        let case = Case { grid: [threads, 1, 1], ..self };
        case.expects(&values);
    }

    /// Compares the elements of `out` after the launch, on every instruction set.
    fn expects<E: Expected>(self, expected: &[E]) {
        let expect = |found: Result<&[u8], String>| element::check(found?, expected);
        self.judge(expected.len() * E::BYTES, expect);
    }

    /// The launch must end with a fault whose message contains this.
    fn faults(self, words: &str) {
        self.judge(64, |found| match found {
            Err(fault) if fault.contains(words) => Ok(()),
            Err(fault) => Err(format!("faults with: {fault}")),
            Ok(_) => Err("does not fault".to_string()),
        });
    }

    fn judge(self, bytes: usize, verdict: impl Fn(Result<&[u8], String>) -> Result<(), String>) {
        let [x, ..] = self.grid;
        let mut verdicts = Vec::new();
        for way in Machine::all() {
            let out = self.out.clone().unwrap_or_else(|| vec![POISON; bytes]);
            let mut buffers = self.inputs.clone();
            buffers.insert(self.at, out);
            let mut setting = Setting {
                grid: self.grid,
                group: self.group.unwrap_or([x.min(64), 1, 1]),
                buffers,
                images: (self.file.images)(),
                threadgroup_memory: self.threadgroup_memory.clone(),
            };
            let ran = run(&self.file.library, self.kernel, way, &mut setting);
            if let Err(what) = verdict(ran.map(|()| setting.buffers[self.at].as_slice())) {
                verdicts.push(format!("{} ({}): {what}", self.kernel, way.name()));
            }
        }
        let this =
            |known: &&(&str, &str, &str)| known.0 == self.file.name && known.1 == self.kernel;
        match KNOWN_FAILURES.iter().find(this) {
            None => self.file.failures.append(&mut verdicts),
            Some((_, _, why)) if verdicts.is_empty() => {
                let failure = format!("{} passes; it was known to fail: {why}", self.kernel);
                self.file.failures.push(failure);
            }
            Some((file, kernel, why)) => println!("known failure: {file}: {kernel}: {why}"),
        }
    }
}

#[test]
fn known_failures_name_files_of_the_corpus() {
    for (file, kernel, why) in KNOWN_FAILURES {
        let path = format!("{}/tests/msl/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(text.contains(kernel) && !why.is_empty(), "{file}: {kernel}");
    }
}
