//! Counts of what a kernel does at each line (`specs/profile.md`): they are added up by the workers of its launches.

mod hints;
mod html;
mod lines;
mod picture;
#[cfg(test)]
mod tests;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use super::{Launch, SourceText, limits};
use crate::soft::ir::{AccessKind, Site, SiteKind, Space};
pub(crate) use html::page;
pub(crate) use lines::{Line, SPACES, Summary};
pub(crate) use picture::picture;

/// Bytes of a cache line.
const CACHE_LINE: u64 = 128;
/// Threads of a SIMD-group.
const SIMD_WIDTH: u32 = limits::SIMD_WIDTH;
/// Banks of threadgroup memory, of four bytes each.
const BANKS: usize = 32;

/// The profile of one kernel.
pub(crate) struct Profile {
    kernel: String,
    sites: Vec<Site>,
    source: Arc<dyn SourceText>,
    /// Threadgroup memory of the kernel's own variables.
    static_threadgroup: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Vec<Count>,
    extent: Extent,
}

/// How much was launched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) launches: u64,
    pub(crate) threadgroups: u64,
    pub(crate) simdgroups: u64,
    pub(crate) threads: u64,
    /// The most threads of a threadgroup.
    pub(crate) group_threads: u32,
    /// The most threadgroup memory of a threadgroup, in bytes.
    pub(crate) group_memory: u32,
}

impl Extent {
    /// How many threadgroups of the largest size the limits of one threadgroup hold together.
    pub(crate) fn fitting(&self) -> u32 {
        let of_threads = limits::THREADS.checked_div(self.group_threads).unwrap_or(0);
        let of_memory = limits::THREADGROUP_MEMORY.checked_div(self.group_memory);
        of_threads.min(of_memory.unwrap_or(u32::MAX))
    }
}

/// How the lanes of a SIMD-group access memory by one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// One address, or one lane.
    Uniform,
    /// Each lane the bytes after those of the lane before it.
    Contiguous,
    /// Each lane at the same distance from the lane before it.
    Strided,
    /// Anything else.
    Scattered,
}

impl Pattern {
    pub(crate) const ALL: [Self; 4] =
        [Self::Uniform, Self::Contiguous, Self::Strided, Self::Scattered];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Contiguous => "contiguous",
            Self::Strided => "strided",
            Self::Scattered => "scattered",
        }
    }
}

/// Accesses of one pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accesses {
    /// How many, of a SIMD-group each.
    pub(crate) number: u64,
    /// The bytes that lanes request.
    pub(crate) bytes: u64,
    /// The cache lines that they touch; threadgroup memory has none.
    pub(crate) cache_lines: u64,
}

/// The accesses to memory of one address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// By pattern.
    pub(crate) accesses: [Accesses; 4],
    /// The least and the greatest distance between lanes of strided accesses.
    pub(crate) stride: Option<(u64, u64)>,
    /// How many more times than necessary the fullest bank of threadgroup memory is accessed.
    pub(crate) conflicts: u64,
}

impl Memory {
    fn add(&mut self, other: &Self) {
        for (sum, other) in self.accesses.iter_mut().zip(&other.accesses) {
            sum.number += other.number;
            sum.bytes += other.bytes;
            sum.cache_lines += other.cache_lines;
        }
        if let Some(stride) = other.stride {
            self.widen(stride);
        }
        self.conflicts += other.conflicts;
    }

    fn widen(&mut self, (least, most): (u64, u64)) {
        let (old_least, old_most) = self.stride.unwrap_or((least, most));
        self.stride = Some((old_least.min(least), old_most.max(most)));
    }

    /// How many accesses there are of any pattern.
    pub(crate) fn number(&self) -> u64 {
        self.accesses.iter().map(|of_pattern| of_pattern.number).sum()
    }
}

/// The counts of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    /// How often a SIMD-group came there.
    runs: u64,
    /// With how many active lanes in sum.
    lanes: u64,
    memory: Memory,
    /// Atomic operations on an address that another lane changed by the same instruction.
    contended: u64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.lanes += other.lanes;
        self.memory.add(&other.memory);
        self.contended += other.contended;
    }

    /// An access by the active lanes at these addresses, by lane. `has_banks` says whether it is all that the instruction
    /// accesses, so that conflicts of banks are known. `scratch` is overwritten.
    fn access(
        &mut self,
        (space, kind, bytes): (Space, AccessKind, u32),
        has_banks: bool,
        lanes: &[(u32, u64)],
        scratch: &mut Vec<u64>,
    ) {
        let bytes = u64::from(bytes);
        let (pattern, stride) = pattern(lanes, bytes);
        if pattern == Pattern::Strided {
            self.memory.widen((stride, stride));
        }
        let accesses = &mut self.memory.accesses[pattern as usize];
        accesses.number += 1;
        accesses.bytes += bytes * lanes.len() as u64;
        if space != Space::Threadgroup {
            accesses.cache_lines += distinct(lanes, bytes, CACHE_LINE, scratch).len() as u64;
        } else if has_banks {
            let words = distinct(lanes, bytes, 4, scratch);
            let mut banks = [0u64; BANKS];
            words.iter().for_each(|word| banks[(word % BANKS as u64) as usize] += 1);
            let fullest = banks.iter().max().copied().unwrap_or(0);
            self.memory.conflicts += fullest - words.len().div_ceil(BANKS) as u64;
        }
        if kind == AccessKind::AtomicWrite {
            scratch.clear();
            scratch.extend(lanes.iter().map(|lane| lane.1));
            scratch.sort_unstable();
            let same = scratch.chunk_by(|a, b| a == b).map(<[u64]>::len);
            self.contended += same.filter(|&lanes| lanes > 1).sum::<usize>() as u64;
        }
    }
}

/// The pattern of the lanes' addresses, and the distance between lanes if they are strided.
fn pattern(lanes: &[(u32, u64)], bytes: u64) -> (Pattern, u64) {
    let [(first, base), (second, next), ..] = *lanes else { return (Pattern::Uniform, 0) };
    let (between, apart) = (i64::from(second - first), next.wrapping_sub(base) as i64);
    let stride = apart / between;
    let at = |lane: u32| base.wrapping_add(stride.wrapping_mul(i64::from(lane - first)) as u64);
    if apart % between != 0 || lanes.iter().any(|&(lane, address)| address != at(lane)) {
        return (Pattern::Scattered, 0);
    }
    match stride {
        0 => (Pattern::Uniform, 0),
        _ if stride == bytes as i64 => (Pattern::Contiguous, 0),
        _ => (Pattern::Strided, stride.unsigned_abs()),
    }
}

/// The numbers of the different units of memory, of `unit` bytes each, that lanes access.
fn distinct<'a>(
    lanes: &[(u32, u64)],
    bytes: u64,
    unit: u64,
    scratch: &'a mut Vec<u64>,
) -> &'a [u64] {
    scratch.clear();
    for &(_, address) in lanes {
        scratch.extend(address / unit..address.saturating_add(bytes.max(1)).div_ceil(unit));
    }
    scratch.sort_unstable();
    scratch.dedup();
    scratch
}

impl Profile {
    /// A profile of nothing yet.
    pub(crate) fn new(
        kernel: String,
        sites: Vec<Site>,
        static_threadgroup: u32,
        source: Arc<dyn SourceText>,
    ) -> Self {
        let counts = vec![Count::default(); sites.len()];
        let state = Mutex::new(State { counts, extent: Extent::default() });
        Self { kernel, sites, source, static_threadgroup, state }
    }

    /// The kernel is launched; its own arguments in threadgroup memory have these bytes.
    pub(super) fn launched(&self, launch: &Launch<'_>, arguments: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let extent = &mut state.extent;
        extent.launches += 1;
        // Threadgroups at the edges are smaller: in each dimension there are whole ones, and perhaps one that is not.
        let parts = |d: usize| {
            let (grid, group) = (launch.grid[d], launch.group[d].max(1));
            [(grid / group, group), (u32::from(!grid.is_multiple_of(group)), grid % group)]
        };
        for edges in 0..8usize {
            let [x, y, z] = [0, 1, 2].map(|d| parts(d)[edges >> d & 1]);
            let groups = u64::from(x.0) * u64::from(y.0) * u64::from(z.0);
            let threads = x.1.saturating_mul(y.1).saturating_mul(z.1);
            if groups == 0 || threads == 0 {
                continue;
            }
            extent.threadgroups += groups;
            extent.simdgroups += groups * u64::from(threads.div_ceil(SIMD_WIDTH));
            extent.threads += groups * u64::from(threads);
            extent.group_threads = extent.group_threads.max(threads);
        }
        let memory = self.static_threadgroup.saturating_add(arguments);
        extent.group_memory = extent.group_memory.max(memory);
    }

    /// Counts of one worker, which are added when they are dropped.
    pub(crate) fn counts(&self) -> Counts<'_> {
        let counts = vec![Count::default(); self.sites.len()];
        Counts { profile: self, counts, lanes: Vec::new(), scratch: Vec::new() }
    }

    /// The counts so far, line by line.
    pub(crate) fn summary(&self) -> Summary {
        let (counts, extent) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.counts.clone(), state.extent)
        };
        Summary::new(&self.kernel, extent, &*self.source, self.sites.iter().zip(&counts))
    }
}

/// The counts of one worker.
pub(crate) struct Counts<'a> {
    profile: &'a Profile,
    counts: Vec<Count>,
    lanes: Vec<(u32, u64)>,
    scratch: Vec<u64>,
}

impl Counts<'_> {
    /// The active lanes come to a site. `addresses` are what they access, the number of each lane first.
    pub(crate) fn count(
        &mut self,
        site: u32,
        active: u32,
        addresses: impl Iterator<Item = (u32, u64)>,
    ) {
        let (Some(count), Some(site)) =
            (self.counts.get_mut(site as usize), self.profile.sites.get(site as usize))
        else {
            return;
        };
        count.runs += 1;
        count.lanes += u64::from(active.count_ones());
        let has_banks = matches!(site.kind, SiteKind::Access(..));
        if let SiteKind::Access(space, kind, bytes) | SiteKind::Element(space, kind, bytes) =
            site.kind
        {
            self.lanes.clear();
            self.lanes.extend(addresses);
            if !self.lanes.is_empty() {
                count.access((space, kind, bytes), has_banks, &self.lanes, &mut self.scratch);
            }
        }
    }
}

impl Drop for Counts<'_> {
    fn drop(&mut self) {
        let mut state = self.profile.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (sum, count) in state.counts.iter_mut().zip(&self.counts) {
            sum.add(count);
        }
    }
}
