//! Launches in the form that tests use: arguments are bound by table and index.

use std::time::Duration;

use super::super::{Program, Workers};
use crate::soft::ir::Sampler;
use crate::soft::kernel::texture::Texture;
use crate::soft::kernel::{self, ArgumentKind, Fault};

/// Memory bound to a buffer index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    /// The index, as in `[[buffer(index)]]`.
    pub(crate) index: u32,
    /// Its start.
    pub(crate) base: *mut u8,
    /// Its length.
    pub(crate) bytes: u64,
}

/// A launch whose arguments are found by their indices.
#[derive(Clone)]
pub(crate) struct Launch<'a> {
    /// Threads in each dimension.
    pub(crate) grid: [u32; 3],
    /// Threads of a threadgroup in each dimension.
    pub(crate) group: [u32; 3],
    /// The buffers. One that is missing is empty.
    pub(crate) bindings: &'a [Binding],
    /// The textures, by the index of `[[texture(index)]]`. One that is missing is empty.
    pub(crate) textures: &'a [(u32, Texture<'a>)],
    /// The samplers, by the index of `[[sampler(index)]]`. One that is missing is MSL's default.
    pub(crate) samplers: &'a [(u32, Sampler)],
    /// The sizes of the arguments at `[[threadgroup(index)]]`: index and bytes.
    pub(crate) threadgroup_memory: &'a [(u32, u32)],
    /// The watchdog's time limit.
    pub(crate) watchdog: Option<Duration>,
    /// See [`kernel::Launch::strict`].
    pub(crate) strict: bool,
}

impl<'a> Launch<'a> {
    /// A launch over buffers only, which the watchdog stops after 20 s.
    pub(crate) fn of(grid: [u32; 3], group: [u32; 3], bindings: &'a [Binding]) -> Self {
        Self {
            grid,
            group,
            bindings,
            textures: &[],
            samplers: &[],
            threadgroup_memory: &[],
            watchdog: Some(Duration::from_secs(20)),
            strict: false,
        }
    }
}

/// Finds the binding of each parameter of a launch.
pub(crate) fn with_bindings<T>(
    parameters: &[kernel::Parameter],
    by_index: &Launch<'_>,
    run: impl FnOnce(&kernel::Launch<'_>) -> T,
) -> T {
    fn find<T: Copy>(list: &[(u32, T)], index: u32) -> Option<T> {
        list.iter().find(|(at, _)| *at == index).map(|(_, found)| *found)
    }
    let binding = |parameter: &kernel::Parameter| {
        let index = parameter.index;
        let found = match parameter.kind {
            ArgumentKind::Buffer => {
                let buffer = by_index.bindings.iter().find(|buffer| buffer.index == index);
                let memory = |b: &Binding| kernel::Binding::Memory {
                    base: b.base,
                    bytes: b.bytes,
                    address: 0,
                };
                buffer.map(memory)
            }
            ArgumentKind::Threadgroup => {
                find(by_index.threadgroup_memory, index).map(kernel::Binding::Threadgroup)
            }
            ArgumentKind::Texture => find(by_index.textures, index).map(kernel::Binding::Texture),
            ArgumentKind::Sampler => find(by_index.samplers, index).map(kernel::Binding::Sampler),
        };
        found.unwrap_or_default()
    };
    let bindings: Vec<_> = parameters.iter().map(binding).collect();
    let Launch { grid, group, watchdog, strict, .. } = *by_index;
    let (residents, resident_textures) = (&[][..], &[][..]);
    let bindings = &bindings;
    let (session, profile, order, locate) = (None, None, None, None);
    run(&kernel::Launch {
        grid,
        group,
        bindings,
        residents,
        resident_textures,
        watchdog,
        strict,
        session,
        profile,
        order,
        locate,
    })
}

impl Program {
    /// Launches with arguments by index.
    ///
    /// # Safety
    /// As for [`Program::launch`].
    pub(crate) unsafe fn launch_by_index(
        &self,
        by_index: &Launch<'_>,
        workers: &Workers,
    ) -> Result<(), Fault> {
        // SAFETY: the caller's.
        with_bindings(&self.parameters, by_index, |launch| unsafe { self.launch(launch, workers) })
    }
}
