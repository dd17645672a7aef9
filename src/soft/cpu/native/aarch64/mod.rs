//! arm64 with NEON.

pub(crate) mod asm;
pub(crate) mod emit;
pub(crate) mod ops;
