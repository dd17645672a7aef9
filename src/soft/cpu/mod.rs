//! The back end for the CPU, which runs 32 lanes at a time; `specs/executor.md` describes it.
//!
//! ```text
//! ir::Module ── passes ──> one function ── lower ──> Program ── launch ──> workers ──> SIMD-groups
//! ```

mod addresses;
mod interp;
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

pub(crate) use interp::isa::IsaKind;
use interp::lower;
#[cfg(test)]
pub(crate) use interp::sample;
#[cfg(test)]
pub(crate) use tests::{Pages, Way, by_index};
pub(crate) use workers::Workers;

use super::ir::facts::{self, reach};
use super::ir::{
    Allocation, Checks, Function, LocalMemory, Module, Span, catch_internal_error, passes,
    with_stack,
};
use super::kernel::{
    Backend, CompileError, CompileOptions, Executable, Fault, FaultKind, Launch, Parameter,
    SourcePosition,
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
        let native = if has_native(self.isa) { "native code" } else { "interpreted" };
        format!("{}, {native}", self.isa.name())
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
    /// The same with runs of machine code, generated when a launch is worth it; `None` if that is not possible.
    native: OnceLock<Option<lower::Code>>,
    /// What its launches have cost the interpreter so far, in the watchdog's units of 10 ns.
    worked: AtomicU64,
    /// What it checks while it runs.
    checks: Checks,
    /// What that is made from.
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
            return lower::lower(&self.function, &self.uniform, self.isa, hoist);
        }
        let routines = self.routines.iter().map(|(function, uniform)| (function, uniform));
        let all: Vec<_> =
            std::iter::once((&self.function, &self.uniform)).chain(routines).collect();
        lower::lower_all(&all, self.isa, hoist)
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
    fn checked(module: &Module, isa: IsaKind, checks: Checks) -> Result<Self, CompileError> {
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
        let (_, bytes) = lower::thread_rooms(&functions.iter().collect::<Vec<_>>());
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
            // Machine code has no probes.
            native: if pipeline.checks.any() { OnceLock::from(None) } else { OnceLock::new() },
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
            false => Self { native: OnceLock::from(None), ..self },
        }
    }

    /// Makes machine code, for tests: a defect there is an internal error, not a reason to use bytecode.
    #[cfg(test)]
    pub(crate) fn makes_native(&self) -> bool {
        with_stack(|| lower::lower_native(&self.source))
            .is_some_and(|code| code.runs.iter().all(|run| run.prepare()))
    }

    /// Whether all statements are one run of machine code, for tests of what has some.
    #[cfg(test)]
    pub(crate) fn is_one_run(&self) -> bool {
        with_stack(|| lower::lower_native(&self.source)).is_some_and(|code| {
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

    /// The code in which nothing was moved.
    fn plain(&self) -> &lower::Code {
        self.plain.get_or_init(|| self.source.lower(false))
    }

    /// The code with machine code in it, for a launch of `simdgroups` SIMD-groups: if the system allows machine code, it
    /// can address the launch's largest memory, and the kernel has worked enough to be worth compiling.
    fn native(
        &self,
        simdgroups: u64,
        largest: u64,
        locate: Option<&dyn Fn(Span) -> Option<SourcePosition>>,
    ) -> Option<&lower::Code> {
        if has_native(self.source.isa) && largest <= native::MAX_REGION {
            // The number of iterations of loops is not known.
            let iterations = if self.source.uniform.loops.is_empty() { 1 } else { 32 };
            let work = simdgroups.saturating_mul(u64::from(self.code.work) * iterations);
            let before = self.worked.fetch_add(work.min(WORTH_NATIVE), Ordering::Relaxed);
            if before.saturating_add(work) >= WORTH_NATIVE || native::is_always() {
                // A defect here costs speed only: the interpreter runs what has no machine code.
                let make = || {
                    let code = with_stack(|| lower::lower_native(&self.source));
                    if native::is_wanted(&self.name)
                        && let Some(code) = &code
                    {
                        let line = |span| Some(locate?(span)?.to_string());
                        variables::print(&self.list(code, &line));
                    }
                    code
                };
                let caught = || catch_internal_error(make).ok().flatten();
                // In tests it is a panic.
                let make = || if cfg!(test) { make() } else { caught() };
                return self.native.get_or_init(make).as_ref();
            }
        }
        None
    }

    /// The IR after all passes, and the machine code, which is made again for it.
    fn listing(&self, line: &dyn Fn(Span) -> Option<String>) -> Result<String, CompileError> {
        let refused = |what: &str| Err(CompileError::NoListing { why: what.to_owned() });
        if !has_native(self.source.isa) {
            let isa = self.source.isa.name();
            return refused(&format!(
                "the interpreter runs it: there is no machine code for {isa}, or ARUMINIUM_SOFT_JIT is off"
            ));
        }
        let make = || with_stack(|| lower::lower_native(&self.source));
        match catch_internal_error(make).ok().flatten() {
            Some(code) => Ok(self.list(&code, line)),
            None => refused("the interpreter runs it: it is too large, or has calls"),
        }
    }

    /// The IR after all passes, and the machine code of each of its runs. `line` describes a line of the source.
    fn list(&self, code: &lower::Code, line: &dyn Fn(Span) -> Option<String>) -> String {
        let mut text = format!("IR of {}", self.source.function);
        for run in &code.runs {
            text += "\n";
            text += &native::listing(run, line);
        }
        if code.runs.is_empty() {
            text += "\nno machine code: the interpreter runs all of it\n";
        }
        text
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
    native::is_on() && native::machine::Machine::whole_strip(isa).is_some()
}
