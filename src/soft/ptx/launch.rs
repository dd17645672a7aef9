//! One launch: its memory, the parts of its grid, and the kernel's parameter.

use super::emit::{Limit, Options, PushedNumber, SLACK, inline_start, layout};
use super::proof::{self, Extent, Known};
use super::sequence::{self, Reports, TableInputs, Work, device_fault};
use super::staging::Range;
use super::tables::{self, extent};
use super::{Facts, Ready};
use crate::soft::ir::{Allocation, AllocationKind, Sampler, with_stack};
use crate::soft::kernel::texture::Texture;
use crate::soft::kernel::{Binding, Fault, FaultKind, Finished, Launch, Submitted, limits};

use std::sync::PoisonError;

/// CUDA's limits of a launch: blocks in the second and third dimension, and threads of a block in the third.
const MAX_BLOCKS: u32 = 65_535;
const MAX_DEPTH: u32 = 64;

/// About how many threadgroups of a large grid note that they have started.
const PROGRESS_REPORTS: u64 = 256;

/// Where a region is.
#[derive(Clone, Copy, Default)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) bytes: u64,
    pub(super) flags: u64,
}

pub(super) const WRITABLE: u64 = 1;
pub(super) const GLOBAL: u64 = 2;
const SHARED: u64 = 4;

impl Region {
    /// Memory that all threads access.
    pub(super) fn global(start: u64, bytes: u64, write: bool) -> Self {
        Self { start, bytes, flags: GLOBAL | if write { WRITABLE } else { 0 } }
    }
}

/// A part of a grid that CUDA launches at once.
pub(super) struct Piece {
    /// The position of its first threadgroup.
    origin: [u32; 3],
    pub(super) groups: [u32; 3],
    /// Threads of a threadgroup, as CUDA counts them.
    pub(super) group: [u32; 3],
    /// Whether these are in a row, although the launch has them in three dimensions.
    flat: bool,
}

fn product(size: [u32; 3]) -> u64 {
    size.iter().fold(1u64, |product, &part| product.saturating_mul(part.into()))
}

/// The parts of a grid.
fn pieces(launch: &Launch<'_>) -> impl Iterator<Item = Piece> {
    let groups: [u32; 3] = std::array::from_fn(|d| launch.grid[d].div_ceil(launch.group[d]));
    let flat = launch.group[2] > MAX_DEPTH;
    let group = if flat { [product(launch.group) as u32, 1, 1] } else { launch.group };
    let starts = move |d: usize| (0..groups[d]).step_by(MAX_BLOCKS as usize);
    let corners = starts(2).flat_map(move |z| starts(1).map(move |y| (y, z)));
    corners.map(move |(y, z)| {
        let count = |d: usize, start: u32| (groups[d] - start).min(MAX_BLOCKS);
        Piece { origin: [0, y, z], groups: [groups[0], count(1, y), count(2, z)], group, flat }
    })
}

impl Ready {
    /// Submits a launch.
    ///
    /// # Safety
    /// That of [`Executable::submit`](crate::soft::kernel::Executable::submit).
    pub(super) unsafe fn begin(&self, launch: &Launch<'_>) -> Result<Submitted, Fault> {
        let threads = product(launch.group);
        if threads == 0 || threads > limits::THREADS.into() {
            return Err(self.facts.fault(FaultKind::GroupSize { threads }));
        }
        if product(launch.grid) == 0 {
            return Ok(Submitted::Done);
        }
        let bound = self.bound(launch);
        let pushed = self.pushed(&bound);
        let mut memory = self.memory(&bound, pushed);
        let (mut regions, threadgroup_bytes) = self.threadgroup_bytes(&bound)?;
        // Code expects alignment of what is bound only.
        let alignment = alignment(memory.iter().flatten().map(|range| range.start));
        let submit = || {
            let options = self.options(alignment, threads as u32, launch.strict);
            let options = Options {
                pushed,
                multiples: self.multiples(&bound, pushed),
                whole: has_whole_simdgroups(launch),
                regular: is_regular(launch),
                tensor: self.tensor && has_whole_rows(launch),
                checked: options.checked && !self.is_proven(launch, &bound, pushed, &regions),
                ..options
            };
            let code = self.code(options)?;
            for (number, allocation) in self.facts.module.allocations.iter().enumerate() {
                if let AllocationKind::Table(data) = &allocation.kind {
                    regions[number] = Region::global(code.tables[number], data.len() as u64, false);
                }
            }
            let facts = std::sync::Arc::clone(&self.facts);
            let watchdog = launch.watchdog;
            let table_inputs = self.table_inputs(launch, &bound, &mut memory);
            let compiled = std::sync::Arc::clone(&code);
            let inline_sizes = &self.inline_sizes;
            let sizes = [launch.grid, launch.group];
            let threadgroup_bytes = threadgroup_bytes + code.tile_bytes;
            let work = Work {
                facts,
                code,
                memory,
                table_inputs,
                regions,
                threadgroup_bytes,
                watchdog,
                sizes,
            };
            sequence::with(&self.device, |sequence| {
                let argument = |reports: &Reports, regions: &[Region], piece: &Piece| {
                    let mut argument = argument(
                        launch,
                        reports,
                        regions,
                        (inline_sizes, pushed),
                        &compiled.limits,
                        piece,
                    );
                    for (number, binding) in bound.iter().enumerate() {
                        if let Some(at) = inline_start(inline_sizes, pushed, number)
                            && let Binding::Memory { base, .. } = *binding
                        {
                            let size = inline_sizes[number] as usize;
                            // SAFETY: it has that many bytes at least, which can be read.
                            let bytes = unsafe { std::slice::from_raw_parts(base, size) };
                            argument[at..at + size].copy_from_slice(bytes);
                        }
                    }
                    argument
                };
                // SAFETY: the caller's.
                unsafe { sequence.submit(work, pieces(launch), argument) }
            })
        };
        submit().map_err(|error| device_fault(&self.facts, &error))
    }

    /// Waits for what this thread has submitted to the device.
    pub(super) fn end(&self) -> Finished {
        sequence::finish(&self.device).map_err(|error| (0, device_fault(&self.facts, &error)))?
    }

    /// The memory that is bound to each allocation.
    fn bound<'a>(&self, launch: &Launch<'a>) -> Vec<Binding<'a>> {
        let mut bindings = launch.bindings.iter();
        let bound = |kind: &AllocationKind| match kind {
            AllocationKind::Buffer { .. } | AllocationKind::ThreadgroupArgument { .. } => {
                bindings.next().copied().unwrap_or_default()
            }
            AllocationKind::Table(_) | AllocationKind::Threadgroup(_) => Binding::None,
        };
        self.facts.module.allocations.iter().map(|allocation| &allocation.kind).map(bound).collect()
    }

    /// The allocations whose bytes go to the kernel's parameter, as bits by number: bytes that the command carries, if there are as many
    /// as the kernel loads.
    fn pushed(&self, bound: &[Binding<'_>]) -> u64 {
        let is_pushed = |(binding, &size): (&Binding<'_>, &u32)| {
            let carried = matches!(*binding, Binding::Memory { bytes, address: 0, .. } if bytes >= size.into());
            size != 0 && carried
        };
        let bits = bound.iter().zip(&self.inline_sizes).map(is_pushed).enumerate();
        bits.fold(0, |bits, (number, is_pushed)| bits | u64::from(is_pushed) << number.min(63))
    }

    /// The memory of each allocation.
    fn extents(&self, bound: &[Binding<'_>], regions: &[Region]) -> impl Iterator<Item = Extent> {
        let allocations = self.facts.module.allocations.iter().zip(bound).zip(regions);
        let extent =
            |((allocation, binding), region): ((&Allocation, &Binding<'_>), &Region)| match (
                &allocation.kind,
                *binding,
            ) {
                (AllocationKind::Buffer { writable, .. }, Binding::Memory { bytes, .. }) => {
                    Extent { bytes, writable: *writable }
                }
                (AllocationKind::Buffer { .. }, _) => Extent::default(),
                (AllocationKind::Table(data), _) => {
                    Extent { bytes: data.len() as u64, writable: false }
                }
                _ => Extent { bytes: region.bytes, writable: true },
            };
        allocations.map(extent)
    }

    /// For each allocation the bytes that the command carries in the kernel's parameter.
    fn carried<'a>(
        &self,
        bound: &'a [Binding<'_>],
        pushed: u64,
    ) -> impl Iterator<Item = Option<&'a [u8]>> {
        bound.iter().enumerate().map(move |(number, binding)| {
            inline_start(&self.inline_sizes, pushed, number)?;
            let Binding::Memory { base, .. } = *binding else { return None };
            let size = self.inline_sizes[number] as usize;
            // SAFETY: it has that many bytes at least, which can be read.
            Some(unsafe { std::slice::from_raw_parts(base, size) })
        })
    }

    /// Whether no access of a launch can be out of bounds, as far as that is known.
    fn is_proven(
        &self,
        launch: &Launch<'_>,
        bound: &[Binding<'_>],
        pushed: u64,
        regions: &[Region],
    ) -> bool {
        if !self.may_prove || launch.strict {
            return false;
        }
        let Launch { grid, group, .. } = *launch;
        let key = || {
            let sizes = [grid, group].into_iter().flatten().map(u64::from);
            let lengths = self.extents(bound, regions).map(|extent| extent.bytes);
            let carried = self.carried(bound, pushed).flatten().flat_map(|bytes| {
                let word = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
                let words = bytes.chunks(8).map(move |part| part.iter().rev().fold(0, word));
                std::iter::once(u64::MAX).chain(words)
            });
            sizes.chain([pushed]).chain(lengths).chain(carried)
        };
        // Most launches are like the one before.
        let mut last = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, proven)) = &*last
            && known.iter().copied().eq(key())
        {
            return *proven;
        }
        let extents: Vec<Extent> = self.extents(bound, regions).collect();
        let carried: Vec<Option<&[u8]>> = self.carried(bound, pushed).collect();
        let known = Known { grid, group, extents: &extents, carried: &carried };
        let proven = with_stack(|| proof::holds(&self.function, &known));
        *last = Some((key().collect(), proven));
        proven
    }

    /// Which numbers in the bytes that the command carries are multiples of 16.
    fn multiples(&self, bound: &[Binding<'_>], pushed: u64) -> u64 {
        let is_multiple = |(bit, number): (usize, &PushedNumber)| {
            let at = inline_start(&self.inline_sizes, pushed, number.allocation);
            let (Some(_), Binding::Memory { base, .. }) = (at, bound[number.allocation]) else {
                return 0;
            };
            // SAFETY: as many bytes as the kernel loads can be read, and the first of a number is among them.
            let low = unsafe { base.add(number.offset).read() };
            u64::from(low.is_multiple_of(16)) << bit
        };
        self.numbers.iter().enumerate().map(is_multiple).fold(0, |bits, bit| bits | bit)
    }

    /// The memory that is bound to each allocation, but for the `pushed` ones.
    fn memory(&self, bound: &[Binding<'_>], pushed: u64) -> Vec<Option<Range>> {
        let allocations = self.facts.module.allocations.iter().enumerate();
        let range = |((number, allocation), binding): ((usize, &Allocation), &Binding<'_>)| match (
            &allocation.kind,
            *binding,
        ) {
            _ if inline_start(&self.inline_sizes, pushed, number).is_some() => None,
            (AllocationKind::Buffer { writable, .. }, Binding::Memory { base, bytes, .. }) => {
                Some(Range { start: base.addr(), bytes: bytes as usize, write: *writable })
            }
            _ => None,
        };
        allocations.zip(bound).map(range).collect()
    }

    /// The inputs of the kernel's tables; their memory is added to that of the allocations.
    fn table_inputs<'a>(
        &'a self,
        launch: &Launch<'a>,
        bound: &[Binding<'_>],
        memory: &mut Vec<Option<Range>>,
    ) -> Option<TableInputs<'a>> {
        let module = &self.facts.module;
        let Facts { far, uses_textures, ref written, .. } = *self.facts;
        if !(far || uses_textures) && module.textures.is_empty() && module.samplers.is_empty() {
            return None;
        }
        let (mut textures, mut samplers) = (Vec::new(), Vec::new());
        let is_bound = |kind: &AllocationKind| {
            matches!(
                kind,
                AllocationKind::Buffer { .. } | AllocationKind::ThreadgroupArgument { .. }
            )
        };
        let before = module.allocations.iter().filter(|one| is_bound(&one.kind)).count();
        let mut bindings = launch.bindings.iter().skip(before);
        for _ in &module.textures {
            textures.push(match bindings.next() {
                Some(Binding::Texture(texture)) => *texture,
                _ => Texture::NONE,
            });
        }
        for _ in &module.samplers {
            samplers.push(match bindings.next() {
                Some(Binding::Sampler(sampler)) => sampler.0,
                _ => Sampler::default().0,
            });
        }
        // A kernel gets to what is resident only through memory.
        let (residents, known) =
            if far { (launch.residents, launch.resident_textures) } else { (&[][..], &[][..]) };
        textures.extend(known.iter().map(|one| one.texture));
        memory.extend(residents.iter().map(|resident| {
            let (start, bytes) = (resident.base.addr(), resident.bytes as usize);
            Some(Range { start, bytes, write: resident.writable && written.elsewhere })
        }));
        memory.extend(textures.iter().enumerate().map(|(number, texture)| {
            let write = written.any_texture || written.textures.get(number) == Some(&true);
            // A compressed texture is decoded, and not accessed itself.
            texture.format.packing()?;
            let (start, bytes) = (texture.base.addr(), extent(texture));
            (bytes != 0).then_some(Range { start, bytes, write })
        }));
        let start = |binding: &Binding<'_>| match *binding {
            Binding::Memory { address, .. } => address,
            _ => 0,
        };
        let known = far.then(|| tables::Known {
            residents,
            textures: known,
            starts: bound.iter().map(start).collect(),
            expected: &self.facts.expected,
        });
        Some(TableInputs { samplers, textures, residents, known })
    }

    /// For each allocation its offset in threadgroup memory and its size, and the size of all.
    fn threadgroup_bytes(&self, bound: &[Binding<'_>]) -> Result<(Vec<Region>, u32), Fault> {
        let mut end = 0u64;
        let mut regions = Vec::new();
        for (allocation, binding) in self.facts.module.allocations.iter().zip(bound) {
            let bytes = match (&allocation.kind, *binding) {
                (AllocationKind::Threadgroup(bytes), _) => Some(*bytes),
                (AllocationKind::ThreadgroupArgument { .. }, Binding::Threadgroup(bytes)) => {
                    Some(bytes)
                }
                (AllocationKind::ThreadgroupArgument { .. }, _) => Some(0),
                _ => None,
            };
            let region = bytes.map(|bytes| {
                let start = end;
                end += u64::from(bytes).next_multiple_of(16);
                Region { start, bytes: bytes.into(), flags: SHARED | WRITABLE }
            });
            regions.push(region.unwrap_or_default());
        }
        if end > limits::THREADGROUP_MEMORY.into() {
            return Err(self.facts.fault(FaultKind::ThreadgroupMemory { bytes: end }));
        }
        Ok((regions, end as u32 + SLACK))
    }
}

/// Whether all threadgroups have the same size, and their SIMD-groups 32 threads.
fn has_whole_simdgroups(launch: &Launch<'_>) -> bool {
    let is_whole = |d: usize| launch.grid[d].is_multiple_of(launch.group[d]);
    product(launch.group).is_multiple_of(32) && (0..3).all(is_whole)
}

/// Whether the launch is one piece, whose threadgroups all have the same size.
fn is_regular(launch: &Launch<'_>) -> bool {
    let is_one = |d: usize| launch.grid[d].div_ceil(launch.group[d]) <= MAX_BLOCKS;
    let is_whole = |d: usize| launch.grid[d].is_multiple_of(launch.group[d]);
    launch.group[2] <= MAX_DEPTH && is_one(1) && is_one(2) && (0..3).all(is_whole)
}

/// Whether every 32 threads of a row are the lanes of a warp, in all threadgroups, as tensor cores need.
fn has_whole_rows(launch: &Launch<'_>) -> bool {
    !launch.strict
        && launch.group[0].is_multiple_of(32)
        && launch.group[2] <= MAX_DEPTH
        && has_whole_simdgroups(launch)
}

/// The largest power of two up to 16 that all addresses are multiples of.
fn alignment(addresses: impl Iterator<Item = usize>) -> u32 {
    1 << addresses.fold(16, |bits, address| bits | address).trailing_zeros()
}

/// Masks that select the threadgroups which report that they have started: `position & in_row == 0`, in rows with
/// `row & rows == 0`.
fn progress_masks(groups: [u32; 3]) -> [u32; 2] {
    let rows = u64::from(groups[1]) * u64::from(groups[2]);
    let mask = |count: u64, most: u64| {
        ((count / most).max(1).next_power_of_two() - 1).min(u32::MAX.into()) as u32
    };
    let in_row = mask(u64::from(groups[0]), (PROGRESS_REPORTS / rows.max(1)).max(1));
    let noted = u64::from(groups[0]).div_ceil(u64::from(in_row) + 1);
    [in_row, mask(rows, (PROGRESS_REPORTS / noted.max(1)).max(1))]
}

/// The bytes of the kernel's parameter.
fn argument(
    launch: &Launch<'_>,
    reports: &Reports,
    regions: &[Region],
    (inline_sizes, pushed): (&[u32], u64),
    limits: &[Limit],
    piece: &Piece,
) -> Vec<u8> {
    let mut bytes = vec![0; layout::bytes(inline_sizes, pushed, limits.len())];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(layout::RECORD, &reports.record.to_le_bytes());
    put(layout::STOP, &reports.stop.to_le_bytes());
    put(layout::PROGRESS, &reports.progress.to_le_bytes());
    put(layout::FAULTED, &reports.faulted.to_le_bytes());
    put(layout::NUMBER, &reports.number.to_le_bytes());
    let groups: [u32; 3] = std::array::from_fn(|d| launch.grid[d].div_ceil(launch.group[d]));
    for (k, mask) in progress_masks(groups).into_iter().enumerate() {
        put(layout::PROGRESS_MASK + 4 * k, &mask.to_le_bytes());
    }
    // Those of threadgroups that are smaller than others, or whose threads CUDA has in a row.
    let edges = std::array::from_fn(|d| match launch.grid[d].is_multiple_of(launch.group[d]) {
        _ if piece.flat => 0,
        true => u32::MAX,
        false => groups[d] - 1,
    });
    let special = piece.origin != [0; 3] || edges != [u32::MAX; 3];
    put(layout::SPECIAL, &u32::from(special).to_le_bytes());
    let sizes = [
        (layout::EDGES, edges),
        (layout::GRID, launch.grid),
        (layout::GROUP, launch.group),
        (layout::ORIGIN, piece.origin),
        (layout::GROUPS, groups),
    ];
    for (at, size) in sizes {
        for (d, part) in size.iter().enumerate() {
            put(at + 4 * d, &part.to_le_bytes());
        }
    }
    for (number, region) in regions.iter().enumerate() {
        let at = layout::REGIONS + layout::REGION * (number + 1);
        for (k, field) in [region.start, region.bytes, region.flags].into_iter().enumerate() {
            put(at + 8 * k, &field.to_le_bytes());
        }
    }
    for (k, limit) in limits.iter().enumerate() {
        let length = regions[limit.allocation as usize].bytes;
        put(layout::limits(inline_sizes, pushed) + 8 * k, &limit.of(length).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{
        PROGRESS_REPORTS, Reports, alignment, argument, is_regular, layout, pieces, progress_masks,
    };
    use crate::soft::kernel::Launch;

    #[test]
    fn the_positions_of_a_regular_launch_are_the_hardwares_in_all_of_its_pieces() {
        for (grid, group, regular) in [
            ([1024, 1, 1], [256, 1, 1], true),
            ([64, 64, 64], [8, 8, 8], true),
            ([64, 64, 64], [1, 1, 64], true),
            ([u32::MAX, 1, 1], [1, 1, 1], true),
            ([1, 65_535, 65_535], [1, 1, 1], true),
            // Smaller threadgroups at an edge.
            ([1000, 1, 1], [256, 1, 1], false),
            ([64, 63, 64], [8, 8, 8], false),
            ([64, 64, 65], [8, 8, 8], false),
            ([100, 1, 1], [256, 1, 1], false),
            // More threadgroups than CUDA launches at once.
            ([1, 65_536, 1], [1, 1, 1], false),
            ([1, 1, 65_536], [1, 1, 1], false),
            ([1, 131_070, 1], [1, 2, 1], true),
            // CUDA has no threadgroups as deep.
            ([1, 1, 1024], [1, 1, 128], false),
        ] {
            let launch = Launch::bare(grid, group);
            let reports = Reports { record: 0, stop: 0, progress: 0, faulted: 0, number: 1 };
            let special = pieces(&launch).any(|piece| {
                let bytes = argument(&launch, &reports, &[], (&[], 0), &[], &piece);
                bytes[layout::SPECIAL..layout::SPECIAL + 4] != [0; 4]
            });
            assert_eq!(is_regular(&launch), regular, "{grid:?} {group:?}");
            assert_eq!(special, !regular, "{grid:?} {group:?}");
        }
    }

    #[test]
    fn about_256_threadgroups_of_a_large_grid_note_that_they_have_started() {
        for groups in [[1, 1, 1], [7, 1, 1], [1, 1 << 20, 1], [1 << 20, 1, 1], [3000, 3000, 3000]] {
            let [in_row, of_rows] = progress_masks(groups);
            let count = |all: u64, mask: u32| all.div_ceil(u64::from(mask) + 1);
            let rows = u64::from(groups[1]) * u64::from(groups[2]);
            let noted = count(groups[0].into(), in_row) * count(rows, of_rows);
            let all = rows * u64::from(groups[0]);
            assert!(
                (all.min(PROGRESS_REPORTS / 4)..=2 * PROGRESS_REPORTS).contains(&noted),
                "{groups:?}: {noted}"
            );
        }
    }

    #[test]
    fn the_least_aligned_address_counts() {
        assert_eq!(alignment([].into_iter()), 16);
        assert_eq!(alignment([0, 32, 4096].into_iter()), 16);
        assert_eq!(alignment([32, 20].into_iter()), 4);
        assert_eq!(alignment([8, 4096, 6, 3].into_iter()), 1);
    }
}
