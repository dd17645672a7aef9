//! A kernel ready to be dispatched: where its parameters take their values from, and what dispatches must comply with.

use super::settings::Settings;
use super::table::Entry;
use crate::soft::fork::lock;
use crate::soft::kernel::{Argument, ArgumentKind, Kernel, Parameter, Processor, limits};
use crate::soft::sorted::SortedMap;
use std::sync::{Arc, Mutex, Weak};

/// The facts about a kernel that its dispatches need.
pub(crate) struct Pipeline {
    pub(crate) kernel: Arc<Kernel>,
    /// The device that the kernel was compiled for.
    pub(crate) processor: Option<&'static Processor>,
    /// The most threads that a threadgroup may have.
    pub(crate) max_threads: usize,
    /// Whether threadgroups must be whole SIMD-groups.
    pub(crate) whole_simd_groups: bool,
    /// Where the kernel's parameters take their values from, in their order.
    pub(crate) takes: Box<[Take]>,
    /// Whether one of them is threadgroup memory.
    pub(crate) takes_memory: bool,
    /// Whether one of them is a texture, which has to be as the kernel declares.
    pub(crate) takes_textures: bool,
}

/// Limits that a pipeline's descriptor sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most threads of a threadgroup; 0 if not set.
    pub(crate) max_threads: usize,
    /// Whether threadgroups are whole SIMD-groups.
    pub(crate) whole_simd_groups: bool,
}

/// Where a parameter takes its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Take {
    pub(crate) entry: Entry,
    /// Whether something must be bound.
    pub(crate) needed: bool,
}

impl Pipeline {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        limits: Limits,
        processor: Option<&'static Processor>,
    ) -> Arc<Self> {
        let most = kernel.max_threads() as usize;
        let max_threads = match limits.max_threads {
            0 => most,
            threads => most.min(threads),
        };
        let takes = |(parameter, argument): (Parameter, &Argument)| Take {
            entry: Entry::of(parameter.kind, parameter.index as usize).unwrap_or(Entry::NONE),
            needed: must_be_bound(argument) && !parameter.is_log(),
        };
        let any = |kind| kernel.parameters().any(|(parameter, _)| parameter.kind == kind);
        Arc::new(Self {
            processor,
            max_threads,
            whole_simd_groups: limits.whole_simd_groups,
            takes: kernel.parameters().map(takes).collect(),
            takes_memory: any(ArgumentKind::Threadgroup),
            takes_textures: any(ArgumentKind::Texture),
            kernel,
        })
    }
}

impl Pipeline {
    /// Refuses threadgroups of a size that the kernel does not take.
    #[inline]
    pub(crate) fn check_group(&self, [x, y, z]: [usize; 3], is_empty: bool) -> Result<(), String> {
        let threads = x.saturating_mul(y).saturating_mul(z);
        if threads == 0 && !is_empty
            || threads > self.max_threads
            || x.max(y).max(z) > limits::THREADS as usize
            || self.whole_simd_groups && !threads.is_multiple_of(limits::SIMD_WIDTH as usize)
        {
            return Err(self.wrong_group([x, y, z], threads));
        }
        Ok(())
    }

    #[cold]
    fn wrong_group(&self, [x, y, z]: [usize; 3], threads: usize) -> String {
        let (name, most) = (self.kernel.name(), self.max_threads);
        let whole = if self.whole_simd_groups { ", in whole SIMD-groups of 32," } else { "" };
        format!(
            "kernel '{name}': a threadgroup of ({x}, {y}, {z}) is {threads} threads: from 1 to \
             {most}{whole} are possible"
        )
    }

    /// How many slots a dispatch has: its arguments, and what it may reach.
    pub(crate) fn slots(&self) -> usize {
        self.takes.len() + usize::from(self.kernel.reaches_residents())
    }
}

/// The pipelines that indirect commands may use, by the numbers of their states.
static INDIRECT: Mutex<SortedMap<u64, Weak<Pipeline>>> = Mutex::new(SortedMap::new());

/// Lets indirect commands use a pipeline, until it is dropped.
pub(crate) fn allow_indirect(number: u64, pipeline: &Arc<Pipeline>) {
    lock(&INDIRECT).insert(number, Arc::downgrade(pipeline));
}

/// The state of that number was released.
pub(crate) fn forbid_indirect(number: u64) {
    lock(&INDIRECT).remove(&number);
}

/// The pipeline of an indirect command.
pub(crate) fn indirect_pipeline(number: u64) -> Result<Arc<Pipeline>, String> {
    if number == 0 {
        return Err("no pipeline state is set".to_owned());
    }
    let found = lock(&INDIRECT).get(&number).and_then(Weak::upgrade);
    found.ok_or_else(|| {
        format!(
            "the pipeline state {number} was released, or was made without supportIndirectCommandBuffers"
        )
    })
}

/// Whether a dispatch is refused when nothing is bound for an argument. With checks off it is not: missing memory has no
/// bytes, a missing texture no pixels, and a missing sampler is MSL's default. Elements of arrays may always be missing
/// (`is_null_texture`, MSL 6.12.17).
pub(crate) fn must_be_bound(argument: &Argument) -> bool {
    argument.used && !argument.is_array && Settings::get().checks
}
