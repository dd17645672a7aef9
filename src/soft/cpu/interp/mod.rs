//! The interpreter: bytecode, and a handler for each instruction, 32 lanes at a time.

pub(super) mod atomic;
pub(super) mod code;
pub(super) mod control;
mod fetch;
mod hoist;
mod indexed;
pub(super) mod input;
pub(super) mod lanes;
pub(super) mod lower;
pub(super) mod matrix;
pub(super) mod memory;
mod pointer;
mod prepared;
pub(super) mod probe;
mod registers;
pub(crate) mod sample;
pub(super) mod simd;
pub(crate) mod thread;
mod uses;
