//! One launch: the kernel's parameter, the watchdog, and the report of a fault.

use std::ffi::c_void;
use std::time::{Duration, Instant};

use super::cuda::{CudaError, NOT_READY};
use super::device::{Block, Stream};
use super::emit::{OFFSET_BITS, Root, SLACK, Site, SiteKind, layout, record};
use super::staging::{Range, Staging};
use super::{Code, Ready};
use crate::soft::ir::{AllocationKind, Space, Span};
use crate::soft::kernel::{Binding, Fault, FaultKind, Launch, limits};

/// CUDA's limits of a launch: blocks in the second and third dimension, and threads of a block in the third.
const MOST_BLOCKS: u32 = 65_535;
const MOST_DEEP: u32 = 64;

/// Bytes of the memory that a launch has besides the kernel's: the fault record, the word that stops it, its progress.
const CONTROL: usize = 64;
const STOP: usize = 48;
const PROGRESS: usize = 56;

/// Where a region is.
#[derive(Clone, Copy, Default)]
pub(super) struct Region {
    start: u64,
    bytes: u64,
    flags: u64,
}

const WRITABLE: u64 = 1;
const GLOBAL: u64 = 2;
const SHARED: u64 = 4;

/// Why a launch did not end well.
enum Failed {
    Fault(Fault),
    Cuda(CudaError),
}

impl From<CudaError> for Failed {
    fn from(error: CudaError) -> Self {
        Self::Cuda(error)
    }
}

fn product(size: [u32; 3]) -> u64 {
    size.iter().fold(1u64, |product, &part| product.saturating_mul(part.into()))
}

impl Ready {
    fn fault(&self, kind: FaultKind) -> Fault {
        let (kernel, span) = (self.module.name.clone(), Span::default());
        Fault { kernel, kind, span, source: None, position: None }
    }

    /// Runs the kernel, and waits for it.
    ///
    /// # Safety
    /// That of [`Executable::launch`](crate::soft::kernel::Executable::launch).
    pub(super) unsafe fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        // SAFETY: the caller's.
        unsafe { self.try_run(launch) }.map_err(|failed| match failed {
            Failed::Fault(fault) => fault,
            Failed::Cuda(error) => self.fault(FaultKind::Device { what: error.to_string() }),
        })
    }

    unsafe fn try_run(&self, launch: &Launch<'_>) -> Result<(), Failed> {
        let threads = product(launch.group);
        if threads == 0 || threads > limits::THREADS.into() {
            return Err(Failed::Fault(self.fault(FaultKind::GroupSize { threads })));
        }
        if product(launch.grid) == 0 {
            return Ok(());
        }
        self.device.enter()?;
        let memory = self.memory(launch);
        let shared = self.threadgroup_bytes(launch).map_err(Failed::Fault)?;
        let starts = memory.iter().flatten().map(|range| range.start);
        let alignment = alignment(starts);
        let code = self.code(alignment, threads as u32, launch.strict)?;
        let stream = self.device.take_stream()?;
        // SAFETY: the caller's.
        let done = unsafe { self.on_stream(launch, &code, &memory, shared, stream) };
        // Whatever happened, nothing runs any more when this returns.
        // SAFETY: the stream is valid.
        let waited = unsafe { self.device.cuda.synchronize(stream.main) };
        if waited.is_ok() {
            self.device.give_stream(stream);
        }
        done?;
        Ok(waited?)
    }

    /// The memory that is bound to each allocation.
    fn memory(&self, launch: &Launch<'_>) -> Vec<Option<Range>> {
        let mut bindings = launch.bindings.iter();
        let bound = |kind: &AllocationKind| match kind {
            AllocationKind::Buffer { writable, .. } => match bindings.next() {
                Some(Binding::Memory { base, bytes, .. }) => {
                    Some(Range { start: base.addr(), bytes: *bytes as usize, write: *writable })
                }
                _ => None,
            },
            AllocationKind::ThreadgroupArgument { .. } => {
                bindings.next();
                None
            }
            AllocationKind::Table(_) | AllocationKind::Threadgroup(_) => None,
        };
        self.module.allocations.iter().map(|allocation| &allocation.kind).map(bound).collect()
    }

    /// For each allocation its offset in threadgroup memory and its size, and the size of all.
    fn threadgroup_bytes(&self, launch: &Launch<'_>) -> Result<(Vec<Region>, u32), Fault> {
        let (mut bindings, mut end) = (launch.bindings.iter(), 0u64);
        let mut regions = Vec::new();
        for allocation in &self.module.allocations {
            let bytes = match &allocation.kind {
                AllocationKind::Buffer { .. } => {
                    bindings.next();
                    None
                }
                AllocationKind::Table(_) => None,
                AllocationKind::Threadgroup(bytes) => Some(*bytes),
                AllocationKind::ThreadgroupArgument { .. } => match bindings.next() {
                    Some(Binding::Threadgroup(bytes)) => Some(*bytes),
                    _ => Some(0),
                },
            };
            let region = bytes.map(|bytes| {
                let start = end;
                end += u64::from(bytes).next_multiple_of(16);
                Region { start, bytes: bytes.into(), flags: SHARED | WRITABLE }
            });
            regions.push(region.unwrap_or_default());
        }
        if end > limits::THREADGROUP_MEMORY.into() {
            return Err(self.fault(FaultKind::ThreadgroupMemory { bytes: end }));
        }
        Ok((regions, end as u32 + SLACK))
    }

    /// Copies, launches, and looks at what happened.
    unsafe fn on_stream(
        &self,
        launch: &Launch<'_>,
        code: &Code,
        memory: &[Option<Range>],
        (mut regions, shared): (Vec<Region>, u32),
        stream: Stream,
    ) -> Result<(), Failed> {
        let cuda = self.device.cuda;
        let ranges: Vec<Range> = memory.iter().flatten().copied().collect();
        // SAFETY: the caller's; the stream is waited for before this launch returns.
        let staging = unsafe { Staging::new(&self.device, stream, &ranges)? };
        for (number, region) in regions.iter_mut().enumerate() {
            if let Some(range) = memory[number] {
                let flags = GLOBAL | if range.write { WRITABLE } else { 0 };
                let (start, bytes) = (staging.address(range.start), range.bytes as u64);
                *region = Region { start, bytes, flags };
            } else if let AllocationKind::Table(data) = &self.module.allocations[number].kind {
                let start = code.tables[number];
                *region = Region { start, bytes: data.len() as u64, flags: GLOBAL };
            }
        }
        let control = Block::new(&self.device, CONTROL)?;
        // SAFETY: the block has that many bytes.
        unsafe { cuda.fill(control.address, 0, CONTROL, stream.main)? };
        let groups: [u32; 3] = std::array::from_fn(|d| launch.grid[d].div_ceil(launch.group[d]));
        let flat = launch.group[2] > MOST_DEEP;
        let block = if flat { [product(launch.group) as u32, 1, 1] } else { launch.group };
        for z in (0..groups[2]).step_by(MOST_BLOCKS as usize) {
            for y in (0..groups[1]).step_by(MOST_BLOCKS as usize) {
                let count =
                    [groups[0], (groups[1] - y).min(MOST_BLOCKS), (groups[2] - z).min(MOST_BLOCKS)];
                let mut argument = argument(launch, control.address, [0, y, z], flat, &regions);
                let mut arguments = [argument.as_mut_ptr().cast::<c_void>()];
                // SAFETY: the function takes one parameter of that size; the driver copies it.
                unsafe {
                    cuda.launch(
                        code.function,
                        count[0],
                        count[1],
                        count[2],
                        block[0],
                        block[1],
                        block[2],
                        shared,
                        stream.main,
                        arguments.as_mut_ptr(),
                        std::ptr::null_mut(),
                    )?;
                }
            }
        }
        let mut report = [0u8; record::BYTES];
        let stopped = self.watch(launch.watchdog, &control, stream)?;
        // SAFETY: the host's memory has that many bytes, and is there until the stream was waited for.
        unsafe {
            cuda.copy_from_device(
                report.as_mut_ptr().cast(),
                control.address,
                record::BYTES,
                stream.main,
            )?;
            staging.copy_back(&self.device, stream)?;
            cuda.synchronize(stream.main)?;
        }
        let set = number(&report, record::SET, 4) != 0;
        match set.then(|| self.report(launch, code, memory, &regions, &report, stopped)) {
            None => Ok(()),
            Some(fault) => Err(Failed::Fault(fault)),
        }
    }

    /// Waits for the kernel, and stops it when no threadgroup has started for the watchdog's time. Returns whether it
    /// was stopped.
    fn watch(
        &self,
        limit: Option<Duration>,
        control: &Block,
        stream: Stream,
    ) -> Result<bool, CudaError> {
        let cuda = self.device.cuda;
        let Some(limit) = limit else { return Ok(false) };
        let (began, mut pause) = (Instant::now(), Duration::ZERO);
        let (mut last, mut seen) = (began, 0u64);
        loop {
            // SAFETY: the stream is valid.
            match unsafe { cuda.query(stream.main) } {
                Ok(()) => return Ok(false),
                Err(error) if error.code != NOT_READY => return Err(error),
                Err(_) => {}
            }
            if began.elapsed() < Duration::from_millis(2) {
                std::hint::spin_loop();
                continue;
            }
            pause =
                (pause + Duration::from_micros(50)).min(limit / 8).min(Duration::from_millis(20));
            std::thread::sleep(pause);
            if last.elapsed() < limit / 4 {
                continue;
            }
            let mut now = 0u64;
            // SAFETY: the word is there until the stream was waited for.
            unsafe {
                let from = control.address + PROGRESS as u64;
                cuda.copy_from_device((&raw mut now).cast(), from, 8, stream.side)?;
                cuda.synchronize(stream.side)?;
            }
            if now != seen {
                (last, seen) = (Instant::now(), now);
            } else if last.elapsed() >= limit {
                // SAFETY: the block has that word.
                unsafe {
                    cuda.fill(control.address + STOP as u64, 1, 4, stream.side)?;
                    cuda.synchronize(stream.side)?;
                }
                return Ok(true);
            }
        }
    }

    /// What a fault record says.
    fn report(
        &self,
        launch: &Launch<'_>,
        code: &Code,
        memory: &[Option<Range>],
        regions: &[Region],
        report: &[u8],
        stopped: bool,
    ) -> Fault {
        let position = std::array::from_fn(|d| number(report, record::POSITION + 4 * d, 4) as u32);
        let value = number(report, record::VALUE, 8);
        let Some(site) = code.sites.get(number(report, record::SITE, 4) as usize) else {
            return self.fault(FaultKind::Device { what: "a fault of no known site".into() });
        };
        let Site { span, kind } = *site;
        let kernel = self.module.name.clone();
        let kind = match kind {
            SiteKind::Stopped => {
                debug_assert!(stopped, "nothing else sets the word");
                FaultKind::Watchdog { limit: launch.watchdog.unwrap_or_default() }
            }
            SiteKind::Misaligned { root, bytes, write } => {
                let (argument, offset, _) = self.found(root, value, memory, regions);
                FaultKind::Misaligned { argument, offset, bytes, write }
            }
            SiteKind::Access { root, space, bytes, write } => {
                let (argument, offset, size, constant) = match (root, space) {
                    (Root::Local(_), _) | (Root::Unknown, Space::Thread) => {
                        let (argument, offset, size) = self.thread_found(code, root, value);
                        (argument, offset, size, false)
                    }
                    _ => {
                        let (argument, offset, region) = self.found(root, value, memory, regions);
                        (argument, offset, region.bytes, region.flags & WRITABLE == 0)
                    }
                };
                FaultKind::Access { argument, offset, bytes, write, size, constant }
            }
        };
        Fault { kernel, kind, span, source: None, position: Some(position) }
    }

    /// The argument that a pointer is into, the offset, and the region.
    fn found(
        &self,
        root: Root,
        value: u64,
        memory: &[Option<Range>],
        regions: &[Region],
    ) -> (Option<String>, i64, Region) {
        let (number, offset) = match root {
            Root::Allocation(number) => (u64::from(number) + 1, value as i64),
            _ => split(value),
        };
        let at = (number as usize).wrapping_sub(1);
        let name = self.module.allocations.get(at).map(|allocation| allocation.name.clone());
        let mut region = regions.get(at).copied().unwrap_or_default();
        // Nothing that is bound is no memory, but it is not constant for that.
        if let (Some(None), Some(allocation)) = (memory.get(at), self.module.allocations.get(at))
            && let AllocationKind::Buffer { writable: true, .. } = allocation.kind
        {
            region.flags |= WRITABLE;
        }
        (name, offset, region)
    }

    /// The same in thread memory.
    fn thread_found(&self, code: &Code, root: Root, value: u64) -> (Option<String>, i64, u64) {
        if let Root::Local(number) = root
            && let Some(local) = self.locals.get(number as usize)
        {
            return (Some(local.name.clone()), value as i64, local.bytes.into());
        }
        let (number, offset) = split(value);
        let own = number == 1;
        (own.then(|| "thread memory".to_owned()), offset, if own { code.thread_bytes } else { 0 })
    }
}

/// The largest power of two up to 16 that all addresses are multiples of.
fn alignment(addresses: impl Iterator<Item = usize>) -> u32 {
    1 << addresses.fold(16, |bits, address| bits | address).trailing_zeros()
}

/// The number of a pointer's region, and its offset.
fn split(pointer: u64) -> (u64, i64) {
    let number = pointer.wrapping_add(1 << (OFFSET_BITS - 1)) >> OFFSET_BITS;
    (number, ((pointer << (64 - OFFSET_BITS)) as i64) >> (64 - OFFSET_BITS))
}

/// A number in a record.
fn number(record: &[u8], at: usize, bytes: usize) -> u64 {
    record[at..at + bytes].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The bytes of the kernel's parameter.
fn argument(
    launch: &Launch<'_>,
    control: u64,
    origin: [u32; 3],
    flat: bool,
    regions: &[Region],
) -> Vec<u8> {
    let mut bytes = vec![0; layout::bytes(regions.len())];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(layout::RECORD, &control.to_le_bytes());
    put(layout::STOP, &(control + STOP as u64).to_le_bytes());
    put(layout::PROGRESS, &(control + PROGRESS as u64).to_le_bytes());
    let sizes =
        [(layout::GRID, launch.grid), (layout::GROUP, launch.group), (layout::ORIGIN, origin)];
    for (at, size) in sizes {
        for (d, part) in size.iter().enumerate() {
            put(at + 4 * d, &part.to_le_bytes());
        }
    }
    put(layout::FLAT, &u32::from(flat).to_le_bytes());
    for (number, region) in regions.iter().enumerate() {
        let at = layout::REGIONS + layout::REGION * (number + 1);
        for (k, field) in [region.start, region.bytes, region.flags].into_iter().enumerate() {
            put(at + 8 * k, &field.to_le_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::alignment;

    #[test]
    fn the_least_aligned_address_counts() {
        assert_eq!(alignment([].into_iter()), 16);
        assert_eq!(alignment([0, 32, 4096].into_iter()), 16);
        assert_eq!(alignment([32, 20].into_iter()), 4);
        assert_eq!(alignment([8, 4096, 6, 3].into_iter()), 1);
    }
}
