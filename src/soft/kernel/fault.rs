//! Why a launch failed, as data.

use std::fmt;
use std::time::Duration;

use crate::soft::ir::{FailedCall, Span, limits};

/// The addresses of all resources are from here on.
pub(crate) const FIRST_ADDRESS: i64 = 0x1_0000_0000;

/// Why a launch was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The kernel's name.
    pub(crate) kernel: String,
    /// The kind of fault.
    pub(crate) kind: FaultKind,
    /// The instruction's span in the source.
    pub(crate) span: Span,
    /// The same as file, line and column, once the kernel that knows its source has found it.
    pub(crate) source: Option<Box<SourcePosition>>,
    /// The position in the grid of the first thread it happened to, if it was in a thread.
    pub(crate) position: Option<[u32; 3]>,
}

/// A position in source text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourcePosition {
    /// The file.
    pub(crate) file: String,
    /// The line, from 1 on.
    pub(crate) line: u32,
    /// The column, from 1 on.
    pub(crate) column: u32,
}

impl fmt::Display for SourcePosition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The kind of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// A read or write outside of what the pointer points into.
    Access {
        /// The name of the argument or local; `None` for a null or stale pointer.
        argument: Option<String>,
        /// The offset from its start.
        offset: i64,
        /// The bytes that were to be accessed.
        bytes: u32,
        /// Whether it was a write.
        write: bool,
        /// The size of the argument or local.
        size: u64,
        /// Whether the argument may only be read.
        constant: bool,
    },
    /// A call through a pointer that points to no function that can be called there.
    Call {
        /// The defect of the pointer.
        why: String,
    },
    /// Use of a texture or a sampler in memory that is not there.
    Handle {
        /// The texture or sampler, and its defect.
        what: String,
    },
    /// An index outside of an array of textures or samplers.
    Element {
        /// The array's name.
        argument: String,
        /// The index.
        index: i64,
        /// How many elements the array has.
        length: u64,
    },
    /// An atomic access at an address that is not a multiple of its size.
    Misaligned {
        /// The name of the argument.
        argument: Option<String>,
        /// The offset from its start.
        offset: i64,
        /// The bytes that were to be accessed.
        bytes: u32,
        /// Whether it was a write.
        write: bool,
    },
    /// A barrier that not all threads of the threadgroup reach, or different barriers that threads wait at.
    Barrier,
    /// No threadgroup finished for too long.
    Watchdog {
        /// For how long.
        limit: Duration,
    },
    /// A threadgroup of no threads or of too many.
    GroupSize {
        /// How many.
        threads: u64,
    },
    /// The device failed.
    Device {
        /// The message of its driver.
        what: String,
    },
    /// More threadgroup memory than there is.
    ThreadgroupMemory {
        /// How much.
        bytes: u64,
    },
}

impl Fault {
    /// Recognises the access that a failed call makes (`specs/functions.md`). `linked` are the functions that can be
    /// called through pointers, by handle.
    pub(crate) fn recognise_call(&mut self, linked: &[(u64, String)]) {
        let FaultKind::Access { argument: None, offset, .. } = self.kind else { return };
        let Some(FailedCall { handle, deep }) = FailedCall::of(offset) else { return };
        let known = linked.iter().find(|function| function.0 == handle);
        let why = match known {
            _ if deep => "at a greater depth than the pipeline's maxCallStackDepth".to_owned(),
            _ if handle == 0 => "that is null".to_owned(),
            Some((_, name)) => {
                format!("to '{name}', whose type is not that of the pointer")
            }
            None => "to a function that the pipeline does not link".to_owned(),
        };
        self.kind = FaultKind::Call { why };
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "kernel '{}'", self.kernel)?;
        if let Some([x, y, z]) = self.position {
            write!(out, ", thread ({x}, {y}, {z})")?;
        }
        out.write_str(": ")?;
        match &self.kind {
            FaultKind::Access { argument, offset, bytes, write, size, constant } => {
                let verb = if *write { "write" } else { "read" };
                write!(out, "{verb} of {bytes} bytes at offset {offset} of ")?;
                match argument {
                    None if *offset >= FIRST_ADDRESS => write!(
                        out,
                        "nothing: the address {offset:#x} is in no resource that the launch may use; it is stale, or \
                         useResource was not called"
                    ),
                    None => out.write_str("a null or stale pointer"),
                    Some(name) if *constant && *write => write!(out, "'{name}', which is constant"),
                    Some(name) => write!(out, "'{name}', which has {size} bytes"),
                }
            }
            FaultKind::Call { why } => write!(out, "call through a function pointer {why}"),
            FaultKind::Handle { what } => write!(out, "use of {what}"),
            FaultKind::Element { argument, index, length } => {
                write!(out, "use of element {index} of '{argument}', which has {length}")
            }
            FaultKind::Misaligned { argument, offset, bytes, write } => {
                let verb = if *write { "write" } else { "read" };
                let name = argument.as_deref().unwrap_or("memory");
                write!(
                    out,
                    "atomic {verb} of {bytes} bytes at offset {offset} of '{name}' is misaligned: \
                     its address must be a multiple of {bytes}"
                )
            }
            FaultKind::Barrier => out.write_str(
                "does not reach a barrier that other threads of the threadgroup wait at",
            ),
            FaultKind::Watchdog { limit } => write!(
                out,
                "no threadgroup finished for {} ms, so the watchdog stopped the kernel; \
                 ARUMINIUM_SOFT_WATCHDOG_MS sets this time, and 0 turns the watchdog off",
                limit.as_millis()
            ),
            FaultKind::GroupSize { threads } => {
                let limit = limits::THREADS;
                write!(out, "a threadgroup of {threads} threads; 1 to {limit} are possible")
            }
            FaultKind::Device { what } => out.write_str(what),
            FaultKind::ThreadgroupMemory { bytes } => {
                let limit = limits::THREADGROUP_MEMORY;
                write!(out, "{bytes} bytes of threadgroup memory; {limit} are possible")
            }
        }?;
        match &self.source {
            Some(source) => write!(out, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
