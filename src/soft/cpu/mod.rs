//! The back end for the CPU, which runs 32 lanes at a time; `specs/executor.md` describes it.
//!
//! ```text
//! ir::Module ── passes ──> one function ── lower ──> Program ── launch ──> workers ──> SIMD-groups
//! ```

mod addresses;
mod apart;
mod interp;
mod isa;
mod launch;
mod native;
mod pipeline;
mod tally;
#[cfg(test)]
mod tests;
mod watch;
mod workers;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use interp::lower;
#[cfg(test)]
pub(crate) use interp::sample;
pub(crate) use isa::IsaKind;
#[cfg(test)]
pub(crate) use tests::{Pages, Way, by_index};
#[cfg(test)]
pub(crate) use watch::CHECK_OBSERVER;
pub(crate) use workers::Workers;

use super::ir::facts::{self, reach};
use super::ir::{
    Allocation, Checks, Function, InternalError, LocalMemory, Module, Span, catch_internal_error,
    passes, with_stack,
};
use super::kernel::{
    Backend, CompileError, CompileOptions, Executable, Fault, FaultKind, Launch, Locate, Parameter,
};
use super::variables;

/// The back end that runs kernels on the CPU.
pub(crate) struct Cpu {
    isa: IsaKind,
    threads: usize,
    /// Started by the first launch.
    workers: Arc<OnceLock<Workers>>,
}

impl Cpu {
    /// A back end of `threads` threads, for this machine's best instruction set.
    pub(crate) fn new(threads: usize) -> Self {
        Self { isa: IsaKind::chosen(), threads, workers: Arc::default() }
    }
}

impl Backend for Cpu {
    fn device_name(&self) -> String {
        let isa = self.isa.name();
        match native::refusal() {
            Some(why) => format!("{isa}, interpreted: {why}"),
            None if has_native(self.isa) => format!("{isa}, native code"),
            None => format!("{isa}, interpreted: no machine code for this instruction set"),
        }
    }

    fn compile(
        &self,
        module: &Module,
        options: &CompileOptions,
    ) -> Result<Box<dyn Executable>, CompileError> {
        let program = Program::checked(module, self.isa, options.checks)?;
        Ok(Box::new(Ready { program, threads: self.threads, workers: Arc::clone(&self.workers) }))
    }
}

/// A program and the threads that run it.
struct Ready {
    program: Program,
    threads: usize,
    workers: Arc<OnceLock<Workers>>,
}

impl Executable for Ready {
    fn parameters(&self) -> &[Parameter] {
        &self.program.parameters
    }

    fn listing(&self, line: &dyn Fn(Span) -> Option<String>) -> Result<String, CompileError> {
        self.program.listing(line)
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let workers = self.workers.get_or_init(|| Workers::new(self.threads));
        // SAFETY: the caller's.
        unsafe { self.program.launch(launch, workers) }
    }
}

/// A kernel that is ready to run.
pub(crate) struct Program {
    name: String,
    allocations: Vec<Allocation>,
    /// The parameters that a launch passes, in the order of the module.
    parameters: Box<[Parameter]>,
    /// How many of the parameters at the end are textures and samplers.
    textures: usize,
    samplers: usize,
    locals: Vec<LocalMemory>,
    /// For each allocation, whether the kernel only counts in it.
    tallies: Vec<bool>,
    code: lower::Code,
    /// The same with nothing moved to before the first thread, made when it is needed.
    plain: OnceLock<lower::Code>,
    /// The two with runs of machine code, generated when that is worth it; `None` if it is not possible.
    native: OnceLock<Option<lower::Code>>,
    native_plain: OnceLock<Option<lower::Code>>,
    /// Whether launches try to compute before the first thread what is the same for all; only tests change it.
    hoists: bool,
    /// Work that the interpreter has done so far, in the watchdog's units of 10 ns.
    worked: AtomicU64,
    /// The checks that it makes while it runs.
    checks: Checks,
    /// The IR that code is generated from.
    source: Arc<Source>,
}

/// A kernel after all passes.
struct Source {
    function: Function,
    uniform: facts::uniform::Uniformity,
    /// The functions that it calls, callers first; only large kernels have some. There is no machine code of a kernel
    /// that has.
    routines: Vec<(Function, facts::uniform::Uniformity)>,
    isa: IsaKind,
}

impl Source {
    /// The bytecode; with `hoist`, what is the same for all threads is computed before them.
    fn lower(&self, hoist: bool) -> lower::Code {
        if self.routines.is_empty() {
            return lower::lower(&self.function, &self.uniform, hoist);
        }
        let routines = self.routines.iter().map(|(function, uniform)| (function, uniform));
        let all: Vec<_> =
            std::iter::once((&self.function, &self.uniform)).chain(routines).collect();
        lower::lower_all(&all, hoist)
    }
}

// SAFETY: code points to functions only.
unsafe impl Send for Program {}
// SAFETY: as above, and nothing in it changes.
unsafe impl Sync for Program {}

/// The interpreter's work, in units of 10 ns, after which making machine code is worth the time.
const WORTH_NATIVE: u64 = 50_000;

/// Bytes of locals a thread, at most.
const MAX_THREAD_MEMORY: u64 = 64 * 1024;
/// Instructions of a kernel, and bytes of its frame, at most.
const MAX_SIZE: usize = 1 << 23;

/// A cell for machine code, which has none already if there never is any.
fn never_if(never: bool) -> OnceLock<Option<lower::Code>> {
    if never { OnceLock::from(None) } else { OnceLock::new() }
}

fn within_limit(what: &'static str, number: usize) -> Result<(), CompileError> {
    if number <= MAX_SIZE {
        return Ok(());
    }
    let (number, limit) = (number as u64, MAX_SIZE as u64);
    Err(CompileError::TooLarge(passes::TooLarge { what, number, limit, largest: None }))
}

/// The parameters of a module, and whether the functions that it became use them.
fn parameters(module: &Module, functions: &[Function]) -> Box<[Parameter]> {
    let counts = [module.allocations.len(), module.textures.len(), module.samplers.len()];
    let reached = reach::reached(functions, counts);
    Parameter::of_module(module, [&reached.allocations, &reached.textures, &reached.samplers])
}

impl Program {
    /// Makes a kernel ready for this machine's best instruction set.
    #[cfg(test)]
    pub(crate) fn new(module: &Module) -> Result<Self, CompileError> {
        Self::with_isa(module, IsaKind::chosen())
    }

    /// Makes a kernel ready for one instruction set.
    #[cfg(test)]
    pub(crate) fn with_isa(module: &Module, isa: IsaKind) -> Result<Self, CompileError> {
        Self::checked(module, isa, Checks::NONE)
    }

    /// The same with checks.
    pub(crate) fn checked(
        module: &Module,
        isa: IsaKind,
        checks: Checks,
    ) -> Result<Self, CompileError> {
        // The passes recurse as deeply as calls and blocks are nested.
        let pipeline = passes::Pipeline { checks, ..pipeline::PIPELINE };
        with_stack(|| Self::compile(module, isa, &pipeline))
    }

    /// The same with every function that can be called a function, for tests.
    #[cfg(test)]
    pub(crate) fn with_calls(module: &Module, isa: IsaKind) -> Result<Self, CompileError> {
        let calls = passes::inline::Calls { small: 0, short: 0, few: 1 };
        with_stack(|| Self::compile(module, isa, &passes::Pipeline { calls, ..pipeline::PIPELINE }))
    }

    fn compile(
        module: &Module,
        isa: IsaKind,
        pipeline: &passes::Pipeline,
    ) -> Result<Self, CompileError> {
        let functions = passes::run(module, pipeline)?;
        let (_, bytes) = lower::thread_memory_layout(&functions.iter().collect::<Vec<_>>());
        if bytes > MAX_THREAD_MEMORY {
            return Err(CompileError::ThreadMemory { bytes, limit: MAX_THREAD_MEMORY });
        }
        let instructions = functions.iter().map(|function| function.insts.len()).sum();
        within_limit("instructions after the passes of the compiler", instructions)?;
        let parameters = parameters(module, &functions);
        let locals = functions.iter().flat_map(|function| function.locals.clone()).collect();
        let tallies = match &functions[..] {
            [function] if !pipeline.checks.any() => tally::find(function, &module.allocations),
            // A function that is called may do anything with a pointer, and a probe wants to know where it points.
            _ => vec![false; module.allocations.len()],
        };
        let uniform = facts::uniform::analyse_all(&functions);
        let mut all = functions.into_iter().zip(uniform);
        let Some((function, uniform)) = all.next() else {
            unreachable!("there is a kernel, since the module is valid")
        };
        let source = Source { function, uniform, routines: all.collect(), isa };
        let code = source.lower(true);
        within_limit("bytes of registers", code.frame_bytes as usize)?;
        within_limit("instructions of bytecode", code.code.len())?;
        Ok(Self {
            name: module.name.clone(),
            allocations: module.allocations.clone(),
            parameters,
            textures: module.textures.len(),
            samplers: module.samplers.len(),
            locals,
            tallies,
            code,
            plain: OnceLock::new(),
            // Machine code counts nothing.
            native: never_if(pipeline.checks.has(Checks::PROFILE)),
            native_plain: never_if(pipeline.checks.has(Checks::PROFILE)),
            hoists: true,
            worked: AtomicU64::new(0),
            checks: pipeline.checks,
            source: Arc::new(source),
        })
    }

    /// The same without machine code, or with it from the first launch on, for tests that compare the two.
    #[cfg(test)]
    pub(crate) fn with_native(self, native: bool) -> Self {
        match native {
            true => Self { worked: AtomicU64::new(WORTH_NATIVE), ..self },
            false => Self { native: never_if(true), native_plain: never_if(true), ..self },
        }
    }

    /// The same with nothing computed before the first thread.
    #[cfg(test)]
    pub(crate) fn without_hoisting(self) -> Self {
        Self { hoists: false, ..self }
    }

    /// Whether a launch has made machine code.
    pub(crate) fn has_machine_code(&self) -> bool {
        [true, false]
            .iter()
            .any(|&hoist| self.native_cell(hoist).get().is_some_and(Option::is_some))
    }

    /// Makes machine code, for tests: a defect there is an internal error, not a reason to use bytecode.
    #[cfg(test)]
    pub(crate) fn makes_native(&self) -> bool {
        [true, false].into_iter().all(|hoist| {
            with_stack(|| lower::lower_native(&self.source, hoist))
                .is_ok_and(|code| code.runs.iter().all(|run| run.prepare()))
        })
    }

    /// Whether all statements are one run of machine code, for tests of what has some.
    #[cfg(test)]
    pub(crate) fn is_one_run(&self) -> bool {
        with_stack(|| lower::lower_native(&self.source, true)).is_ok_and(|code| {
            code.runs.iter().map(|run| run.length).eq([self.source.function.body.len()])
        })
    }

    /// Whether functions stayed functions.
    #[cfg(test)]
    pub(crate) fn has_calls(&self) -> bool {
        !self.source.routines.is_empty()
    }

    /// How many instructions of bytecode it has.
    #[cfg(test)]
    pub(crate) fn instructions(&self) -> usize {
        self.code.code.len()
    }

    /// The bytecode; with `hoist`, what is the same for all threads is computed before them.
    fn bytecode(&self, hoist: bool) -> &lower::Code {
        let plain = || with_stack(|| self.source.lower(false));
        if hoist { &self.code } else { self.plain.get_or_init(plain) }
    }

    /// Where the same code with runs of machine code is, once it was made.
    fn native_cell(&self, hoist: bool) -> &OnceLock<Option<lower::Code>> {
        if hoist { &self.native } else { &self.native_plain }
    }

    /// The code with machine code in it, made at the first call.
    fn native(&self, hoist: bool, locate: Option<&Locate<'_>>) -> Option<&lower::Code> {
        let make = || with_stack(|| lower::lower_native(&self.source, hoist)).ok();
        // A defect here costs speed only: the interpreter runs what has no machine code. In tests it is a panic.
        let caught = || catch_internal_error(make).ok().flatten();
        let code = || {
            let code = if cfg!(test) { make() } else { caught() }?;
            if native::is_wanted(&self.name) {
                let line = |span| Some(locate?(span)?.to_string());
                let text = self.list(&code, &line);
                variables::print(&text.unwrap_or_else(|error| error.to_string()));
            }
            Some(code)
        };
        self.native_cell(hoist).get_or_init(code).as_ref()
    }

    /// Whether machine code can run a launch, as far as is known.
    fn may_be_native(&self) -> bool {
        has_native(self.source.isa) && self.native.get().is_none_or(Option::is_some)
    }

    /// Whether machine code is worth the time to make it, for a program that will do more `work`, or is there already.
    fn is_worth_native(&self, work: u64) -> bool {
        let worked = self.worked.load(Ordering::Relaxed);
        worked.saturating_add(work) >= WORTH_NATIVE
            || self.has_machine_code()
            || native::is_always()
    }

    /// Adds to what the interpreter has worked.
    fn add_work(&self, work: u64) {
        // More than enough is as good as enough, and cannot overflow.
        if self.worked.load(Ordering::Relaxed) < WORTH_NATIVE {
            self.worked.fetch_add(work.min(WORTH_NATIVE), Ordering::Relaxed);
        }
    }

    /// The IR after all passes, and the machine code, which is made again for it.
    fn listing(&self, line: &dyn Fn(Span) -> Option<String>) -> Result<String, CompileError> {
        let refused = |why: &str| {
            Err(CompileError::NoListing { why: format!("the interpreter runs it: {why}") })
        };
        if self.checks.has(Checks::PROFILE) {
            return refused("machine code counts nothing, and this kernel does");
        }
        if !has_native(self.source.isa) {
            let isa = self.source.isa.name();
            return refused(&format!(
                "there is no machine code for {isa}, or ARUMINIUM_SOFT_JIT is off"
            ));
        }
        let make = || with_stack(|| lower::lower_native(&self.source, true));
        match catch_internal_error(make) {
            Ok(Ok(code)) => match self.list(&code, line) {
                Ok(text) => Ok(text),
                Err(error) => Err(CompileError::NoListing { why: error.to_string() }),
            },
            Ok(Err(why)) => refused(why),
            Err(error) => refused(&error.to_string()),
        }
    }

    /// The IR after all passes, and the machine code of each of its runs. `line` describes a line of the source. A defect
    /// in the selection of code that was not needed yet, or in the listing, is an error.
    fn list(
        &self,
        code: &lower::Code,
        line: &dyn Fn(Span) -> Option<String>,
    ) -> Result<String, InternalError> {
        catch_internal_error(|| {
            // The printer recurses as deeply as blocks are nested.
            let mut text = with_stack(|| format!("IR of {}", self.source.function));
            for run in &code.runs {
                text += "\n";
                text += &native::listing(run, line);
            }
            text
        })
    }

    /// A fault before any thread ran.
    fn fault(&self, kind: FaultKind) -> Fault {
        let (kernel, span) = (self.name.clone(), Span::default());
        Fault { kernel, kind, span, source: None, position: None }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Program")
            .field("name", &self.name)
            .field("instructions", &self.code.code.len())
            .field("frame_bytes", &self.code.frame_bytes)
            .finish_non_exhaustive()
    }
}

/// Whether there is machine code for an instruction set.
fn has_native(isa: IsaKind) -> bool {
    native::refusal().is_none() && native::machine::Machine::whole_strip(isa).is_some()
}
