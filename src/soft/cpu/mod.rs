//! The SIMT executor: kernels as bytecode, 32 lanes at a time; `specs/executor.md` describes it.
//!
//! ```text
//! ir::Module ── passes ──> one function ── lower ──> Program ── launch ──> workers ──> SIMD-groups
//! ```

mod interp;
mod launch;
mod tally;
#[cfg(test)]
mod tests;
mod workers;

use std::fmt;
use std::sync::OnceLock;

pub(crate) use super::ir::facts::reach::Reached;
pub(crate) use interp::isa::IsaKind;
use interp::lower;
#[cfg(test)]
use launch::MAX_THREADGROUP_MEMORY;
pub(crate) use launch::{Binding, Launch};
pub(crate) use workers::Workers;

use super::ir::facts::{self, reach};
use super::ir::{Allocation, Bound, Function, Invalid, LocalMemory, Module, Span, passes};
use super::kernel::{Fault, FaultKind};

/// A kernel that is ready to run.
pub(crate) struct Program {
    name: String,
    allocations: Vec<Allocation>,
    textures: Vec<Bound>,
    samplers: Vec<Bound>,
    locals: Vec<LocalMemory>,
    /// For each allocation, whether the kernel only counts in it.
    tallies: Vec<bool>,
    code: lower::Code,
    /// The same with nothing moved to before the first thread, made when it is needed.
    plain: OnceLock<lower::Code>,
    /// What that is made from.
    source: Source,
}

/// A function after all passes.
struct Source {
    function: Function,
    uniform: facts::uniform::Uniformity,
    isa: IsaKind,
}

// SAFETY: code points to functions only.
unsafe impl Send for Program {}
// SAFETY: as above, and nothing in it changes.
unsafe impl Sync for Program {}

/// Why a kernel cannot be made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProgramError {
    /// The module breaks a rule of the IR.
    Invalid(Invalid),
    /// Locals take more memory a thread than there is.
    ThreadMemory {
        /// How much.
        bytes: u64,
    },
    /// The code or its registers are too large.
    Size,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(out),
            Self::ThreadMemory { bytes } => {
                write!(out, "locals of {bytes} bytes a thread; {MAX_THREAD_MEMORY} are possible")
            }
            Self::Size => out.write_str("the kernel is too large"),
        }
    }
}

impl std::error::Error for ProgramError {}

/// Bytes of locals a thread, at most.
const MAX_THREAD_MEMORY: u64 = 64 * 1024;
/// Instructions of a kernel, and bytes of its frame, at most.
const MAX_SIZE: usize = 1 << 23;

impl Program {
    /// Makes a kernel ready for this machine's best instruction set.
    pub(crate) fn new(module: &Module) -> Result<Self, ProgramError> {
        Self::with_isa(module, IsaKind::chosen())
    }

    /// Makes a kernel ready for one instruction set.
    pub(crate) fn with_isa(module: &Module, isa: IsaKind) -> Result<Self, ProgramError> {
        let function = passes::run(module).map_err(|refused| match refused {
            passes::Refused::Invalid(invalid) => ProgramError::Invalid(invalid),
            passes::Refused::TooLarge => ProgramError::Size,
        })?;
        let bytes = function.locals.iter().map(|local| u64::from(local.bytes)).sum();
        if bytes > MAX_THREAD_MEMORY {
            return Err(ProgramError::ThreadMemory { bytes });
        }
        if function.insts.len() > MAX_SIZE {
            return Err(ProgramError::Size);
        }
        let uniform = facts::uniform::analyse(&function);
        let code = lower::lower(&function, &uniform, isa, true);
        if code.frame_bytes as usize > MAX_SIZE || code.code.len() > MAX_SIZE {
            return Err(ProgramError::Size);
        }
        Ok(Self {
            name: module.name.clone(),
            allocations: module.allocations.clone(),
            textures: module.textures.clone(),
            samplers: module.samplers.clone(),
            locals: function.locals.clone(),
            tallies: tally::find(&function, &module.allocations),
            code,
            plain: OnceLock::new(),
            source: Source { function, uniform, isa },
        })
    }

    /// Which arguments of the module the code touches.
    pub(crate) fn reached(&self) -> Reached {
        let counts = [self.allocations.len(), self.textures.len(), self.samplers.len()];
        reach::reached(&self.source.function, counts)
    }

    /// The code in which nothing was moved.
    fn plain(&self) -> &lower::Code {
        let Source { function, uniform, isa } = &self.source;
        self.plain.get_or_init(|| lower::lower(function, uniform, *isa, false))
    }

    /// A fault before any thread ran.
    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { kernel: self.name.clone(), kind, span: Span::default(), position: None }
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
