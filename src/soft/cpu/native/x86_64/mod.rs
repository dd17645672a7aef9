//! x86-64 with AVX2 or AVX-512.

pub(crate) mod asm;
pub(crate) mod emit;
pub(crate) mod ops;
mod text;
