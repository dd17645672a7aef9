//! The contract between Metal's classes and the back ends that run kernels: `specs/kernel.md`.
//!
//! [`Backend`] turns a module of the IR into an [`Executable`]. A [`Kernel`] is an executable together with what the
//! host knows about it: its name, its arguments, and where in the source its instructions come from. A [`Launch`] runs
//! it once, with one [`Binding`] for each [`Parameter`].

mod argument;
mod backend;
mod fault;
pub(crate) mod handle;
mod launch;
pub(crate) mod order;
pub(crate) mod profile;
pub(crate) mod sanitize;
pub(crate) mod texture;

pub(crate) use super::ir::limits;
pub(crate) use argument::{Access, Argument, ArgumentKind, TextureKind};
pub(crate) use backend::{
    Backend, CompileError, CompileOptions, DeviceMemory, Executable, Finished, Kernel, Parameter,
    Processor, Reach, Source, SourceText, Submitted, Transfer,
};
pub(crate) use fault::{FIRST_ADDRESS, Fault, FaultKind, SourcePosition};
pub(crate) use launch::{Binding, Launch, Locate, Owner, Resident, ResidentTexture};
