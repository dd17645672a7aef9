//! One run of a kernel over a grid.

use std::time::Duration;

use super::SourcePosition;
use super::profile::Profile;
use super::sanitize::Session;
use super::texture::Texture;
use crate::soft::ir::{Expected, Sampler, Span};

/// Finds the source position of an instruction; workers of a launch call it.
pub(crate) type Locate<'a> = dyn Fn(Span) -> Option<SourcePosition> + Sync + 'a;

/// The argument of a launch for one parameter of the kernel.
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
        /// The address that memory has for its start; 0 for bytes that the command carries, which nothing changes.
        address: u64,
    },
    /// The size of threadgroup memory, in bytes.
    Threadgroup(u32),
    /// A texture.
    Texture(Texture<'a>),
    /// A sampler.
    Sampler(Sampler),
}

/// The resource that owns memory or pixels. It lives until the launch is done.
pub(crate) trait Owner: Sync {
    /// Its label, or another name.
    fn name(&self) -> String;

    /// Why it is not the texture that a kernel expects, if it is not.
    fn misfit(&self, _: Expected) -> Option<String> {
        None
    }
}

/// Memory that a kernel may reach by its address.
#[derive(Clone, Copy)]
pub(crate) struct Resident<'a> {
    /// The address that memory has for its start.
    pub(crate) address: u64,
    /// Where it is.
    pub(crate) base: *mut u8,
    /// Its length.
    pub(crate) bytes: u64,
    /// Whether the kernel may write there.
    pub(crate) writable: bool,
    /// The resource.
    pub(crate) owner: &'a dyn Owner,
}

/// A texture that a kernel may reach by its ID.
#[derive(Clone, Copy)]
pub(crate) struct ResidentTexture<'a> {
    /// The texture.
    pub(crate) texture: Texture<'a>,
    /// The resource.
    pub(crate) owner: &'a dyn Owner,
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
    /// Resources that the kernel may reach in addition ([`Kernel::reaches_residents`](super::Kernel::reaches_residents)).
    pub(crate) residents: &'a [Resident<'a>],
    /// The same for textures.
    pub(crate) resident_textures: &'a [ResidentTexture<'a>],
    /// The launch is stopped when no threadgroup has finished for this time; `None` for never.
    pub(crate) watchdog: Option<Duration>,
    /// Whether what GPUs accept from kernels against the rules of the language is a fault: a barrier that not all
    /// threads reach, and a read just past the end of threadgroup memory.
    pub(crate) strict: bool,
    /// The seed of the order of threadgroups and SIMD-groups; `None` for any order.
    pub(crate) order: Option<u64>,
    /// Where a checked kernel reports what it finds.
    pub(crate) session: Option<&'a Session>,
    /// Where a kernel is counted; set by [`Kernel::submit`](super::Kernel::submit).
    pub(crate) profile: Option<&'a Profile>,
    /// Finds the source position of an instruction; set by [`Kernel::submit`](super::Kernel::submit).
    pub(crate) locate: Option<&'a Locate<'a>>,
}

#[cfg(test)]
impl Launch<'_> {
    /// One with no arguments, which nothing watches.
    pub(crate) fn bare(grid: [u32; 3], group: [u32; 3]) -> Self {
        Self {
            grid,
            group,
            bindings: &[],
            residents: &[],
            resident_textures: &[],
            watchdog: None,
            strict: false,
            order: None,
            session: None,
            profile: None,
            locate: None,
        }
    }
}
