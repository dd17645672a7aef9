//! Machine code for runs of a kernel's statements, called by the interpreter's bytecode; see `specs/native.md`.
//!
//! ```text
//! ir::Function ── plan ──> runs ── select ──> operations over virtual registers ── allocate, emit ──> bytes
//! ```

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod allocate;
mod barriers;
pub(crate) mod group;
mod handlers;
mod known;
pub(crate) mod lir;
mod listing;
pub(crate) mod machine;
mod memory;
mod phases;
pub(crate) mod plan;
pub(crate) mod region;
mod select;
pub(crate) mod shape;
mod target;
mod tidy;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use crate::soft::variables;

pub(crate) use listing::{is_wanted, listing};

/// A function that only returns.
const SHORTEST: &[u8] =
    if cfg!(target_arch = "aarch64") { &[0xc0, 0x03, 0x5f, 0xd6] } else { &[0xc3] };

/// The reason why machine code is not made here; `None` if it is.
pub(crate) fn refusal() -> Option<&'static str> {
    static REFUSAL: std::sync::OnceLock<Option<&str>> = std::sync::OnceLock::new();
    *REFUSAL.get_or_init(|| {
        if variables::JIT.word() == "off" {
            return Some("ARUMINIUM_SOFT_JIT=off");
        }
        memory::Executable::new(SHORTEST).is_none().then_some("no executable memory")
    })
}

/// Whether machine code is made of every kernel at its first launch.
pub(crate) fn is_always() -> bool {
    static ALWAYS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ALWAYS.get_or_init(|| variables::JIT.word() == "always")
}
