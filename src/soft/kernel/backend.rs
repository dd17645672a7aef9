//! Back ends, and the kernels that they compile.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::profile::Profile;
use super::{Argument, ArgumentKind, Binding, Fault, Launch, SourcePosition, limits};
use crate::soft::ir::passes::{Refused, TooLarge, probes};
use crate::soft::ir::{AllocationKind, Bound, Checks, Function, Invalid, Module, Op, Span};

/// Compiles modules of the IR for one device.
pub(crate) trait Backend: Send + Sync {
    /// The name of the device, for people: the instruction set of a CPU, or the model of a GPU.
    fn device_name(&self) -> String;

    /// The bytes of memory that the device has of its own; `None` if it is the host's.
    fn memory(&self) -> Option<usize> {
        None
    }

    /// Compiles a module, with a pass pipeline of the back end's choice.
    fn compile(
        &self,
        module: &Module,
        options: &CompileOptions,
    ) -> Result<Box<dyn Executable>, CompileError>;

    /// Zeroed memory that the host and kernels of this back end both access; `None` where pages of the host are that, or if
    /// there is no more. `private` memory is hardly ever accessed by the host.
    fn allocate(&self, _bytes: usize, _private: bool) -> Option<Box<dyn DeviceMemory>> {
        None
    }

    /// Lets kernels access memory of the host where it is, until what this returns is dropped; `None` where they can
    /// anyway, or cannot.
    ///
    /// # Safety
    /// The memory can be read and written until then.
    unsafe fn reach(&self, _base: NonNull<u8>, _bytes: usize) -> Option<Reach> {
        None
    }
}

/// A device with its back end. Each is there until the process ends, so that references to it need no count.
pub(crate) struct Processor {
    /// 0 is the CPU; others are GPUs, in the order of their driver.
    pub(crate) number: usize,
    /// Its name for programs.
    pub(crate) name: String,
    pub(crate) backend: Box<dyn Backend>,
    /// The bytes that its resources take.
    pub(crate) allocated: AtomicUsize,
}

impl Processor {
    /// More devices than these are not used.
    pub(crate) const MAX: usize = 33;

    pub(crate) fn new(number: usize, name: String, backend: Box<dyn Backend>) -> Self {
        Self { number, name, backend, allocated: AtomicUsize::new(0) }
    }
}

impl PartialEq for Processor {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// Memory that a back end provides.
pub(crate) trait DeviceMemory: Send + Sync {
    /// Its first byte, at a page boundary.
    fn base(&self) -> NonNull<u8>;

    /// Submits a transfer to or from this memory, in the order of launches ([`Executable::submit`]); `None` if the host does it, after
    /// what was submitted before is done.
    ///
    /// # Safety
    /// Both ends are valid until the transfer is done.
    unsafe fn transfer(&self, _: &Transfer) -> Option<Result<Submitted, Fault>> {
        None
    }

    /// As [`Executable::finish`], for the device of this memory.
    fn finish(&self) -> Finished {
        Ok(None)
    }
}

/// Work of a device that is no launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The source of the bytes at `to`.
    pub(crate) source: Source,
    /// Where the first byte goes.
    pub(crate) to: *mut u8,
    /// How many bytes.
    pub(crate) bytes: usize,
}

/// The source of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The bytes from here on.
    Copy(*const u8),
    /// This byte again and again.
    Fill(u8),
}

/// The end of what a thread has submitted: how long the device worked, if it measures that; or the first fault, after the number of
/// submissions before it.
pub(crate) type Finished = Result<Option<Duration>, (usize, Fault)>;

/// Keeps memory of the host accessible for kernels as long as it lives.
pub(crate) type Reach = Box<dyn Any + Send + Sync>;

/// How to compile a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompileOptions {
    /// No launch has threadgroups of more threads, so that a back end may give each thread more registers.
    pub(crate) max_threads: u32,
    /// The checks that the kernel makes while it runs.
    pub(crate) checks: Checks,
    /// Whether the program lets arithmetic be less exact, as it does unless it says otherwise.
    pub(crate) fast_math: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self { max_threads: limits::THREADS, checks: Checks::NONE, fast_math: false }
    }
}

/// A module that a back end has compiled. It can be launched from several threads at once.
pub(crate) trait Executable: Send + Sync {
    /// The parameters that a launch has to bind, in order.
    fn parameters(&self) -> &[Parameter];

    /// The code, as text: the instructions of the device, and what each is for. `line` describes a line of the source.
    fn listing(&self, _line: &dyn Fn(Span) -> Option<String>) -> Result<String, CompileError> {
        Err(CompileError::NoListing { why: "the device lists none".to_owned() })
    }

    /// Runs the kernel over a grid. Returns when all of it is done, or at the first fault.
    ///
    /// # Safety
    /// Memory and textures among the bindings can be read, and written unless the kernel declares them constant, until
    /// this returns. Other threads access them meanwhile only as the kernel's own threads may.
    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<(), Fault>;

    /// The same, but it may return earlier. Launches that one thread submits to one device run in that order, and all are
    /// done when [`finish`](Self::finish) returns. After a fault the later ones do nothing.
    ///
    /// # Safety
    /// That of [`launch`](Self::launch), until it is done.
    unsafe fn submit(&self, launch: &Launch<'_>) -> Result<Submitted, Fault> {
        // SAFETY: the caller's.
        unsafe { self.launch(launch) }.map(|()| Submitted::Done)
    }

    /// Waits for what the calling thread has submitted to the device of this executable since it last did so.
    fn finish(&self) -> Finished {
        Ok(None)
    }
}

/// The state of a launch that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// It is done.
    Done,
    /// It runs, or waits for the launches before it.
    Running,
    /// The same, and nothing more may be submitted before [`Executable::finish`].
    Full,
}

/// One thing that a launch passes: an argument, or an element of an array of textures or samplers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Which table it is in.
    pub(crate) kind: ArgumentKind,
    /// Its index there.
    pub(crate) index: u32,
    /// Whether the compiled code uses it.
    pub(crate) used: bool,
    /// Whether the kernel may write there.
    pub(crate) writable: bool,
}

impl Parameter {
    /// Whether it is the hidden buffer that `os_log` writes to.
    pub(crate) fn is_log(self) -> bool {
        self.kind == ArgumentKind::Buffer && self.index == limits::LOG_BUFFER
    }

    /// The parameters of a module in its own order: its allocations that a launch passes, its textures, its samplers.
    /// `used` says for each allocation, texture and sampler whether the code uses it.
    pub(crate) fn of_module(module: &Module, used: [&[bool]; 3]) -> Box<[Self]> {
        let memory = module.allocations.iter().zip(used[0]).filter_map(|(allocation, &used)| {
            let (kind, index, writable) = match allocation.kind {
                AllocationKind::Buffer { index, writable, .. } => {
                    (ArgumentKind::Buffer, index, writable)
                }
                AllocationKind::ThreadgroupArgument { index } => {
                    (ArgumentKind::Threadgroup, index, true)
                }
                AllocationKind::Table(_) | AllocationKind::Threadgroup(_) => return None,
            };
            Some(Self { kind, index, used, writable })
        });
        let bound = |kind, list: &[Bound], used: &[bool]| -> Vec<Self> {
            let parameter = |(bound, &used): (&Bound, &bool)| Self {
                kind,
                index: bound.index,
                used,
                writable: false,
            };
            list.iter().zip(used).map(parameter).collect()
        };
        memory
            .chain(bound(ArgumentKind::Texture, &module.textures, used[1]))
            .chain(bound(ArgumentKind::Sampler, &module.samplers, used[2]))
            .collect()
    }
}

/// Why a back end cannot compile a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CompileError {
    /// The module breaks a rule of the IR.
    Invalid(Invalid),
    /// Local variables take more memory per thread than there is.
    ThreadMemory {
        /// How much they take.
        bytes: u64,
        /// How much there is.
        limit: u64,
    },
    /// Its variables in threadgroup memory are larger than that is.
    ThreadgroupMemory {
        /// How much they take.
        bytes: u64,
    },
    /// The kernel uses what the back end does not support.
    Unsupported {
        /// The missing feature.
        what: String,
    },
    /// The kernel is to be checked or counted, and the device does neither.
    Checked {
        /// The checks, or the counting, that were asked for.
        checks: Checks,
    },
    /// There is no machine code that could be listed.
    NoListing {
        /// Why.
        why: String,
    },
    /// The code or its registers are too large.
    TooLarge(TooLarge),
    /// The module has a parameter that the source does not declare: an error of the compiler.
    Undeclared {
        /// Its table.
        kind: ArgumentKind,
        /// Its index there.
        index: u32,
    },
}

impl From<Refused> for CompileError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(invalid) => Self::Invalid(invalid),
            Refused::TooLarge(large) => Self::TooLarge(large),
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(out),
            Self::ThreadMemory { bytes, limit } => {
                write!(
                    out,
                    "its local variables take {bytes} bytes per thread; the limit is {limit}"
                )
            }
            Self::ThreadgroupMemory { bytes } => {
                let limit = limits::THREADGROUP_MEMORY;
                write!(
                    out,
                    "its variables take {bytes} bytes of threadgroup memory; the limit is {limit}"
                )
            }
            Self::Unsupported { what } => {
                write!(out, "it uses {what}, which this device does not support yet")
            }
            Self::Checked { checks } => write!(
                out,
                "it has checks or counts ({}), which only the CPU makes: open that with `ARUMINIUM_SOFT_DEVICE=cpu`",
                checks.names()
            ),
            Self::NoListing { why } => write!(out, "there is no machine code of it: {why}"),
            Self::TooLarge(large) => large.fmt(out),
            Self::Undeclared { kind, index } => {
                write!(
                    out,
                    "internal compiler error: undeclared parameter {}({index})",
                    kind.name()
                )
            }
        }
    }
}

impl std::error::Error for CompileError {}

/// The source of a kernel.
pub(crate) trait SourceText: Send + Sync {
    /// The position of an instruction.
    fn position(&self, span: Span) -> Option<SourcePosition>;

    /// The text of a file, if its lines are numbered as positions are.
    fn file(&self, _name: &str) -> Option<String> {
        None
    }
}

impl<F: Fn(Span) -> Option<SourcePosition> + Send + Sync> SourceText for F {
    fn position(&self, span: Span) -> Option<SourcePosition> {
        self(span)
    }
}

/// A kernel that can be launched, and what the host knows about it.
pub(crate) struct Kernel {
    name: String,
    arguments: Vec<Argument>,
    /// How many of them the source declares.
    declared: usize,
    executable: Box<dyn Executable>,
    /// For each parameter the argument that it belongs to.
    owners: Box<[usize]>,
    static_threadgroup: u32,
    max_threads: u32,
    reaches_residents: bool,
    checks: Checks,
    /// The functions that it may call through pointers, by handle.
    linked: Vec<(u64, String)>,
    source: Arc<dyn SourceText>,
    /// The counts of its lines, if they are counted.
    profile: Option<Arc<Profile>>,
}

impl Kernel {
    /// Compiles a module. `arguments` is what its source declares.
    pub(crate) fn compile(
        backend: &dyn Backend,
        module: &Module,
        options: &CompileOptions,
        mut arguments: Vec<Argument>,
        source: impl SourceText + 'static,
    ) -> Result<Self, CompileError> {
        let source: Arc<dyn SourceText> = Arc::new(source);
        let counted = options.checks.has(Checks::PROFILE).then(|| {
            // Lines get numbers in the order in which they are met.
            let (mut lines, mut spans) = (HashMap::new(), HashMap::new());
            probes::count(module, |span| {
                *spans.entry(span).or_insert_with(|| {
                    let SourcePosition { file, line, .. } = source.position(span)?;
                    let next = lines.len() as u32;
                    Some(*lines.entry((file, line)).or_insert(next))
                })
            })
        });
        let counted = counted.transpose()?;
        let module = counted.as_ref().map_or(module, |(module, _)| module);
        let declared = module.allocations.iter().map(|allocation| match allocation.kind {
            AllocationKind::Threadgroup(bytes) => u64::from(bytes).next_multiple_of(16),
            _ => 0,
        });
        let bytes = declared.sum();
        let Some(static_threadgroup) =
            u32::try_from(bytes).ok().filter(|&bytes| bytes <= limits::THREADGROUP_MEMORY)
        else {
            return Err(CompileError::ThreadgroupMemory { bytes });
        };
        let executable = backend.compile(module, options)?;
        let mut owners = Vec::new();
        let declared = arguments.len();
        if executable.parameters().iter().any(|parameter| parameter.is_log()) {
            arguments.push(Argument::log());
        }
        for parameter in executable.parameters() {
            let (kind, index) = (parameter.kind, parameter.index);
            let owner = arguments.iter().position(|argument| argument.has(kind, index));
            let owner = owner.ok_or(CompileError::Undeclared { kind, index })?;
            arguments[owner].used |= parameter.used;
            owners.push(owner);
        }
        // Any buffer may have the integers or the bytes of which the kernel makes pointers.
        if module.functions.iter().any(makes_pointers) {
            let buffers = arguments.iter_mut().filter(|a| a.kind == ArgumentKind::Buffer && a.used);
            buffers.for_each(|argument| argument.pointers = true);
        }
        let reaches_residents = module.functions.iter().any(has_memory_forms);
        let name = module.name.clone();
        let profile = counted.map(|(_, sites)| {
            Arc::new(Profile::new(name.clone(), sites, static_threadgroup, Arc::clone(&source)))
        });
        Ok(Self {
            name,
            arguments,
            declared,
            owners: owners.into(),
            static_threadgroup,
            max_threads: options.max_threads,
            reaches_residents,
            checks: options.checks,
            executable,
            linked: Vec::new(),
            source,
            profile,
        })
    }

    /// The kernel with the handles and names of the functions that are linked to it, for reports.
    pub(crate) fn with_linked(self, linked: Vec<(u64, String)>) -> Self {
        Self { linked, ..self }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The arguments that its source declares, in that order.
    pub(crate) fn arguments(&self) -> &[Argument] {
        &self.arguments[..self.declared]
    }

    /// Whether it writes messages to a hidden buffer.
    pub(crate) fn logs(&self) -> bool {
        self.declared < self.arguments.len()
    }

    /// The parameters of a launch, each with the argument that it is, or is an element of.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (Parameter, &Argument)> {
        let parameters = self.executable.parameters().iter().copied();
        parameters.zip(self.owners.iter().map(|owner| &self.arguments[*owner]))
    }

    /// The threadgroup memory of its own variables, in bytes.
    pub(crate) fn static_threadgroup(&self) -> u32 {
        self.static_threadgroup
    }

    /// Whether it follows pointers or textures in memory, so that a launch passes what it may reach.
    pub(crate) fn reaches_residents(&self) -> bool {
        self.reaches_residents
    }

    /// The most threads that its threadgroups may have.
    pub(crate) fn max_threads(&self) -> u32 {
        self.max_threads
    }

    /// The code, as text; see [`Executable::listing`].
    pub(crate) fn listing(&self) -> Result<String, CompileError> {
        let files = RefCell::new(HashMap::new());
        self.executable.listing(&|span| {
            let SourcePosition { file, line, .. } = self.source.position(span)?;
            let mut files = files.borrow_mut();
            let text = files.entry(file.clone()).or_insert_with(|| self.source.file(&file));
            // `#line` may number a line 0.
            let index = (line as usize).checked_sub(1);
            let text = text.as_deref().zip(index).and_then(|(text, at)| text.lines().nth(at));
            Some(format!("{file}:{line}: {}", text.unwrap_or_default().trim()))
        })
    }

    /// The checks that it makes while it runs.
    pub(crate) fn checks(&self) -> Checks {
        self.checks
    }

    /// The counts of its lines, if they are counted.
    pub(crate) fn profile(&self) -> Option<&Arc<Profile>> {
        self.profile.as_ref()
    }

    /// Submits a launch; see [`Executable::submit`]. A fault has its position in the source.
    ///
    /// # Safety
    /// As for [`Executable::submit`].
    pub(crate) unsafe fn submit(&self, launch: &Launch<'_>) -> Result<Submitted, Fault> {
        let locate = |span| self.source.position(span);
        let profile = self.profile.as_deref();
        if let Some(profile) = profile {
            let bytes = |binding: &Binding<'_>| match binding {
                Binding::Threadgroup(bytes) => bytes.next_multiple_of(16),
                _ => 0,
            };
            profile.launched(launch, launch.bindings.iter().map(bytes).sum());
        }
        let launch = Launch { locate: Some(&locate), profile, ..*launch };
        // SAFETY: the caller's.
        unsafe { self.executable.submit(&launch) }.map_err(|fault| self.located(fault))
    }

    /// Waits for what the calling thread has submitted; see [`Executable::finish`]. The fault may be another kernel's.
    pub(crate) fn finish(&self) -> Finished {
        self.executable.finish()
    }

    /// A fault of this kernel with its position in the source.
    pub(crate) fn located(&self, mut fault: Fault) -> Fault {
        if fault.position.is_some() {
            fault.recognise_call(&self.linked);
            fault.source = self.source.position(fault.span).map(Box::new);
        }
        fault
    }
}

/// Whether a function loads pointers or textures from memory, or stores them there.
fn has_memory_forms(function: &Function) -> bool {
    function.insts.iter().any(|inst| matches!(inst.op, Op::FromMemory | Op::ToMemory))
}

/// Whether a function has pointers that are not those of its arguments: they were loaded from memory, or made of integers.
fn makes_pointers(function: &Function) -> bool {
    function.insts.iter().any(|inst| inst.op == Op::FromMemory)
}

impl fmt::Debug for Kernel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Kernel").field("name", &self.name).finish_non_exhaustive()
    }
}
