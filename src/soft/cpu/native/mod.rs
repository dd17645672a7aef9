//! Machine code for runs of a kernel's statements, called by the interpreter's bytecode; see `specs/native.md`.
//!
//! ```text
//! ir::Function ── plan ──> runs ── select ──> operations over virtual registers ── allocate, emit ──> bytes
//! ```

mod allocate;
mod lir;
mod listing;
pub(crate) mod machine;
mod memory;
pub(crate) mod plan;
pub(crate) mod region;
mod select;
pub(crate) mod shape;
mod tidy;
mod x86_64;

use crate::soft::variables;

pub(crate) use listing::print_ir;
pub(crate) use select::MAX_REGION;

/// Whether machine code is made: the system gives executable memory, and `ARUMINIUM_SOFT_JIT` is not `off`.
pub(crate) fn is_on() -> bool {
    static ON: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ON.get_or_init(|| {
        // The shortest function there is.
        variables::JIT.word() != "off" && memory::Executable::new(&[0xc3]).is_some()
    })
}

/// Whether machine code is made of every kernel at its first launch.
pub(crate) fn is_always() -> bool {
    static ALWAYS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ALWAYS.get_or_init(|| variables::JIT.word() == "always")
}
