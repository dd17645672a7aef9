//! The seam between Metal's classes and what compiles and runs kernels.

use super::errors::{CommandBufferError, Problem, Trouble};
use super::texture::Image;
use std::sync::Arc;

/// How to compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    /// Macros that the source sees, as `-D` would define them.
    pub(super) macros: Vec<(String, String)>,
    /// Whether every operation is exact, as `MTLMathModeSafe` has it.
    pub(super) safe_math: bool,
    /// The most threads that a threadgroup may have; 0 when nothing was said.
    pub(super) max_threads: usize,
}

/// A value for a function constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// By which it is found.
    pub(super) key: ConstantKey,
    /// The type, of `MTLDataType`.
    pub(super) data_type: usize,
    pub(super) bytes: Box<[u8]>,
}

/// What names a function constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConstantKey {
    Index(usize),
    Name(String),
}

/// What a kernel's argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    Buffer,
    Threadgroup,
    Texture,
    Sampler,
}

/// An argument of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) kind: ArgumentKind,
    pub(super) index: usize,
    /// Whether the kernel may write there.
    pub(super) writable: bool,
    /// Whether the kernel touches it at all.
    pub(super) used: bool,
    /// The size of what a pointer points to, and its alignment; 0 for others.
    pub(super) size: usize,
    pub(super) align: usize,
    /// Of `MTLDataType`.
    pub(super) data_type: usize,
}

/// What a dispatch gives an argument.
#[derive(Clone, Copy)]
pub(super) enum Binding<'a> {
    /// Bytes at an address.
    Memory { base: *mut u8, length: usize },
    /// So many bytes of threadgroup memory.
    Threadgroup(usize),
    Texture(&'a Arc<Image>),
    Sampler(&'a super::sampler::Choice),
    /// Nothing; the kernel does not use it.
    Nothing,
}

/// One launch.
pub(super) struct Launch<'a> {
    /// How many threads; threadgroups at the edges may be smaller.
    pub(super) grid: [u32; 3],
    /// How many in a threadgroup.
    pub(super) group: [u32; 3],
    /// What each argument of the kernel is given, in their order.
    pub(super) bindings: &'a [Binding<'a>],
}

/// Something that can be launched.
pub(super) trait Execute: Send + Sync {
    /// Runs to the end, or to the first fault.
    fn launch(&self, launch: &Launch<'_>) -> Result<(), Trouble>;
}

/// A kernel that is ready to run.
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    /// The threadgroup memory that it takes whatever is bound.
    pub(super) static_threadgroup: usize,
    /// The most threads a threadgroup may have.
    pub(super) max_threads: usize,
    pub(super) program: Box<dyn Execute>,
}

/// What a function of a library is, as `MTLFunctionType` numbers it.
pub(super) const FUNCTION_KERNEL: usize = 3;

/// A function constant that a library declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeclaredConstant {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) data_type: usize,
    pub(super) required: bool,
}

/// A compiled source.
pub(super) trait Source: Send + Sync {
    /// Functions that can be asked for, and what they are.
    fn functions(&self) -> Vec<(String, usize)>;
    /// The function constants that a function depends on.
    fn constants(&self, function: &str) -> Vec<DeclaredConstant>;
    /// Whether a function can be made with these constants: what is wrong otherwise.
    fn kernel(&self, function: &str, constants: &[Constant]) -> Result<Kernel, String>;
}

/// Compiles a source text: what it gives, and the warnings; or what is wrong, as compilers say it.
pub(super) fn compile(_source: &str, _options: &Options) -> Result<Arc<dyn Source>, String> {
    Err("program_source:1:1: error: this build has no compiler for the Metal Shading Language".into())
}

/// A fault that has no more precise name.
pub(super) fn internal(text: impl Into<String>) -> Trouble {
    Problem::new(CommandBufferError::Internal, text)
}
