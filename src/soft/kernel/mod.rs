//! The contract between Metal's classes and the back ends that run kernels.

mod fault;
pub(crate) mod texture;

pub(crate) use fault::{Fault, FaultKind};
