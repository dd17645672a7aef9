//! One run of a kernel over a grid.

use std::time::Duration;

use super::texture::Texture;
use crate::soft::ir::Sampler;

/// What a launch passes for one parameter of the kernel.
#[derive(Clone, Copy, Default)]
pub(crate) enum Binding<'a> {
    /// Nothing: memory of no bytes, a texture without pixels, or MSL's default sampler.
    #[default]
    None,
    /// Memory of the host.
    Memory {
        /// Where it starts.
        base: *mut u8,
        /// Its length.
        bytes: u64,
    },
    /// The size of threadgroup memory, in bytes.
    Threadgroup(u32),
    /// A texture.
    Texture(Texture<'a>),
    /// A sampler.
    Sampler(Sampler),
}

/// One launch.
#[derive(Clone, Copy)]
pub(crate) struct Launch<'a> {
    /// Threads in each dimension; threadgroups at the edges are smaller where the size does not divide it.
    pub(crate) grid: [u32; 3],
    /// Threads of a threadgroup in each dimension.
    pub(crate) group: [u32; 3],
    /// One for each parameter, in the order of [`Executable::parameters`](super::Executable::parameters). Missing
    /// ones at the end are [`Binding::None`].
    pub(crate) bindings: &'a [Binding<'a>],
    /// It is stopped when no threadgroup has finished for so long; `None` for never.
    pub(crate) watchdog: Option<Duration>,
    /// Whether what GPUs accept from kernels against the rules of the language is a fault: a barrier that not all
    /// threads reach, and a read just past the end of threadgroup memory.
    pub(crate) strict: bool,
}
