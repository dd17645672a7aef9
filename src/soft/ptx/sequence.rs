//! The launches of a thread on a device: they run in the order of a stream, and the thread continues until it waits for all
//! of them.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cuda::{Address, CudaError, NOT_READY};
use super::device::{Block, Device, Stream};
use super::emit::record;
use super::launch::{Piece, Region};
use super::memory::{Keep, Memory};
use super::report::number;
use super::staging::{Range, Staging};
use super::tables::{Known, Pixels, Placed, Tables};
use super::{Code, Facts, transfer};
use crate::soft::kernel::texture::Texture;
use crate::soft::kernel::{
    DeviceMemory, Fault, FaultKind, Finished, Owner, Resident, Submitted, Transfer,
};

/// The most launches that are not waited for.
const MAX_LAUNCHES: usize = 64;

/// How long a thread polls for the end of work before it sleeps in between.
const SPIN: Duration = Duration::from_millis(2);
/// After this time the device is to note when it has ended: of shorter work the host's times are as good.
const STAMP_AFTER: Duration = Duration::from_micros(20);

/// Bytes between the fault records of launches.
const RECORD: usize = 64;

/// Memory of the device that all launches of a sequence share: the word that stops them, the number of the first that had a
/// fault, and the progress of each.
const STOP: u64 = 0;
const FAULTED: u64 = 4;
const PROGRESS: u64 = 8;
const CONTROL: usize = PROGRESS as usize + 8 * MAX_LAUNCHES;

/// A launch that was submitted.
pub(super) struct Pending {
    pub(super) facts: Arc<Facts>,
    /// `None` for a copy or a fill.
    pub(super) code: Option<Arc<Code>>,
    pub(super) regions: Vec<Region>,
    pub(super) watchdog: Option<Duration>,
    /// Threads of the grid and of a threadgroup.
    pub(super) sizes: [[u32; 3]; 2],
    /// The names of what memory may refer to, after the allocations and bound textures.
    pub(super) owners: Owners,
    /// Copies of bound memory that the device does not access in place.
    staging: Staging,
    /// The tables, and the pixels of compressed textures.
    _blocks: Vec<Block>,
    /// The registrations that keep the other bound memory accessible.
    _keep: Vec<Keep>,
}

/// Resources that memory may refer to, for reports.
#[derive(Default)]
pub(super) struct Owners {
    residents: Vec<*const dyn Owner>,
    textures: Vec<*const dyn Owner>,
    /// How many textures were bound.
    bound: usize,
}

impl Owners {
    fn of(known: &Known<'_>, bound: usize) -> Self {
        // SAFETY: only the lifetime changes. The owners live until the launch is done, by the contract of launches, and
        // the list is used no longer.
        let longer = |owner: &dyn Owner| unsafe {
            std::mem::transmute::<*const (dyn Owner + '_), *const (dyn Owner + 'static)>(owner)
        };
        Self {
            residents: known.residents.iter().map(|one| longer(one.owner)).collect(),
            textures: known.textures.iter().map(|one| longer(one.owner)).collect(),
            bound,
        }
    }

    /// The resource of a region after those of the allocations.
    pub(super) fn resident(&self, number: usize) -> Option<&dyn Owner> {
        // SAFETY: see `of`.
        self.residents.get(number).map(|&owner| unsafe { &*owner })
    }

    /// The resource of a texture, by the texture's number.
    pub(super) fn texture(&self, number: u32) -> Option<&dyn Owner> {
        let index = (number as usize).checked_sub(self.bound + 1)?;
        // SAFETY: see `of`.
        self.textures.get(index).map(|&owner| unsafe { &*owner })
    }
}

/// Where a launch reports, for its parameter.
pub(super) struct Reports {
    pub(super) record: Address,
    pub(super) stop: Address,
    pub(super) progress: Address,
    pub(super) faulted: Address,
    /// Its number, from 1.
    pub(super) number: u32,
}

/// The inputs of a kernel's tables.
pub(super) struct TableInputs<'a> {
    pub(super) samplers: Vec<u64>,
    /// The textures that are bound, then those that memory may refer to.
    pub(super) textures: Vec<Texture<'a>>,
    pub(super) residents: &'a [Resident<'a>],
    /// Resources that memory may refer to, if the kernel resolves addresses.
    pub(super) known: Option<Known<'a>>,
}

/// A submission.
pub(super) struct Work<'a> {
    pub(super) facts: Arc<Facts>,
    pub(super) code: Arc<Code>,
    /// The bound memory of each allocation, then the memory of residents, then that of textures.
    pub(super) memory: Vec<Option<Range>>,
    pub(super) table_inputs: Option<TableInputs<'a>>,
    /// The allocations that are not bound memory.
    pub(super) regions: Vec<Region>,
    pub(super) threadgroup_bytes: u32,
    pub(super) watchdog: Option<Duration>,
    pub(super) sizes: [[u32; 3]; 2],
}

/// The watchdog's record of the launches of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// All are done.
    Done,
    /// It stopped them.
    Stopped,
    /// Nothing: it does not look.
    Unknown,
}

pub(super) struct Sequence {
    device: Arc<Device>,
    stream: Stream,
    control: Block,
    /// In memory of the host, so that it costs nothing to see that there was no fault.
    records: Memory,
    pending: Vec<Pending>,
    /// When the first of them was submitted.
    began: Instant,
    /// Whether the watchdog has stopped some of them.
    stopped: bool,
}

thread_local! {
    /// Those of this thread: one a device.
    static SEQUENCES: RefCell<Vec<Sequence>> = const { RefCell::new(Vec::new()) };
}

/// Calls a closure with the sequence of this thread on a device. After an error of the driver's the sequence is given up.
pub(super) fn with<R>(
    device: &Arc<Device>,
    call: impl FnOnce(&mut Sequence) -> Result<R, CudaError>,
) -> Result<R, CudaError> {
    SEQUENCES.with_borrow_mut(|all| {
        device.enter()?;
        let at = match all.iter().position(|one| Arc::ptr_eq(&one.device, device)) {
            Some(at) => at,
            None => {
                all.push(Sequence::new(device)?);
                all.len() - 1
            }
        };
        let result = call(&mut all[at]);
        if result.is_err() {
            all.swap_remove(at);
        }
        result
    })
}

/// Whether nothing of this thread is in flight on a device.
pub(super) fn is_idle(device: &Arc<Device>) -> bool {
    SEQUENCES.with_borrow(|all| {
        let own = all.iter().find(|one| Arc::ptr_eq(&one.device, device));
        own.is_none_or(|own| own.pending.is_empty())
    })
}

/// Waits for what this thread has submitted to a device.
pub(super) fn finish(device: &Arc<Device>) -> Result<Finished, CudaError> {
    with(device, |sequence| sequence.finish())
}

impl Sequence {
    fn new(device: &Arc<Device>) -> Result<Self, CudaError> {
        // Loaded now: the driver may wait for all work of the GPU to load the kernel of the stamp, and the work may not end.
        device.transfers()?;
        let sequence = Self {
            stream: device.take_stream()?,
            control: Block::new(device, CONTROL)?,
            records: Memory::new(device, RECORD * MAX_LAUNCHES, false)?,
            pending: Vec::new(),
            began: Instant::now(),
            stopped: false,
            device: Arc::clone(device),
        };
        sequence.clear()?;
        Ok(sequence)
    }

    /// Makes the words and records new.
    fn clear(&self) -> Result<(), CudaError> {
        // SAFETY: nothing runs, and both have that many bytes.
        unsafe {
            self.records.base().write_bytes(0, RECORD * MAX_LAUNCHES);
            let cuda = self.device.cuda;
            cuda.fill(self.control.address, 0, CONTROL, self.stream.main)?;
            // No launch has this number.
            cuda.fill(self.control.address + FAULTED, 0xff, 4, self.stream.main)
        }
    }

    fn record(&self, number: usize) -> NonNull<u8> {
        // SAFETY: the memory has that many records.
        unsafe { self.records.base().add(RECORD * number) }
    }

    /// Where what is submitted next reports.
    fn reports(&self) -> Reports {
        let (at, control) = (self.pending.len(), self.control.address);
        Reports {
            record: self.record(at).addr().get() as Address,
            stop: control + STOP,
            progress: control + PROGRESS + 8 * at as u64,
            faulted: control + FAULTED,
            number: at as u32 + 1,
        }
    }

    /// Makes the times new before the first work.
    fn begin(&mut self) {
        assert!(self.pending.len() < MAX_LAUNCHES, "the caller was asked to wait for the launches");
        if self.pending.is_empty() {
            self.began = Instant::now();
            for at in [record::BEGAN, record::ENDED] {
                // SAFETY: the record has that word, and nothing runs.
                unsafe { self.record(0).add(at).cast::<u64>().write(0) };
            }
        }
    }

    /// How long the device worked, if it noted when it had ended.
    fn lasted(&self) -> Option<Duration> {
        // SAFETY: as above; a device wrote there.
        let [began, ended] = [record::BEGAN, record::ENDED]
            .map(|at| unsafe { self.record(0).add(at).cast::<u64>().read_volatile() });
        duration(began, ended, self.began.elapsed())
    }

    fn state(&self, must_wait: bool) -> Submitted {
        if must_wait || self.pending.len() == MAX_LAUNCHES {
            Submitted::Full
        } else {
            Submitted::Running
        }
    }

    /// Copies or fills; `keep` keeps both ends accessible.
    ///
    /// # Safety
    /// The device accesses both ends at their addresses, until [`finish`](Self::finish) has returned.
    pub(super) unsafe fn transfer(
        &mut self,
        transfer: &Transfer,
        keep: Vec<Keep>,
    ) -> Result<Submitted, CudaError> {
        self.begin();
        let reports = self.reports();
        let facts = Arc::new(transfer::facts());
        self.pending.push(Pending {
            facts,
            code: None,
            regions: Vec::new(),
            watchdog: None,
            sizes: [[0; 3]; 2],
            owners: Owners::default(),
            staging: Staging::default(),
            _blocks: Vec::new(),
            _keep: keep,
        });
        // SAFETY: the caller's.
        unsafe { transfer::launch(&self.device, self.stream.main, transfer, &reports)? };
        Ok(self.state(false))
    }

    /// Copies what has to be copied, and launches; `pieces` are the parts of the grid.
    ///
    /// # Safety
    /// The bound memory is valid until [`finish`](Self::finish) has returned, or until this has if the device does not access
    /// it in place and the kernel only reads it.
    pub(super) unsafe fn submit(
        &mut self,
        work: Work<'_>,
        pieces: impl Iterator<Item = Piece>,
        argument: impl Fn(&Reports, &[Region], &Piece) -> Vec<u8>,
    ) -> Result<Submitted, CudaError> {
        self.begin();
        let Work {
            facts,
            code,
            memory,
            table_inputs,
            mut regions,
            threadgroup_bytes,
            watchdog,
            sizes,
        } = work;
        let (at, reports) = (self.pending.len(), self.reports());
        let (mut keep, mut apart) = (Vec::new(), Vec::new());
        for range in memory.iter().flatten() {
            match self.device.shared.find(range.start, range.bytes) {
                Some(None) => {}
                Some(registration) => keep.push(registration),
                None => apart.push(*range),
            }
        }
        let cuda = self.device.cuda;
        // SAFETY: the caller's; the copies are kept until the stream was waited for.
        let staging = unsafe { Staging::new(&self.device, self.stream, &apart)? };
        // What is not copied the device accesses in place.
        let start = |range: Range| match apart.contains(&range) {
            true => staging.address(range.start),
            false => range.start as Address,
        };
        for (region, range) in regions.iter_mut().zip(&memory) {
            if let Some(range) = *range {
                *region = Region::global(start(range), range.bytes as u64, range.write);
            }
        }
        let own = regions.len();
        let (mut blocks, mut owners) = (Vec::new(), Owners::default());
        let mut fields = Vec::new();
        if let Some(table_inputs) = &table_inputs {
            let others = memory[own..].iter();
            let starts: Vec<Address> = others.map(|range| range.map_or(0, start)).collect();
            for (resident, &start) in table_inputs.residents.iter().zip(&starts) {
                regions.push(Region::global(start, resident.bytes, resident.writable));
            }
            if let Some(known) = &table_inputs.known {
                owners = Owners::of(known, table_inputs.textures.len() - known.textures.len());
            }
            let starts = &starts[table_inputs.residents.len()..];
            fields = self.tables(table_inputs, &regions, starts, &mut blocks)?;
        }
        let writes_back = apart.iter().any(|range| range.write);
        let function = code.function;
        self.pending.push(Pending {
            facts,
            code: Some(code),
            regions,
            watchdog,
            sizes,
            owners,
            staging,
            _blocks: blocks,
            _keep: keep,
        });
        for piece in pieces {
            let mut argument = argument(&reports, &self.pending[at].regions[..own], &piece);
            for (at, field) in &fields {
                argument[*at..at + 8].copy_from_slice(&field.to_le_bytes());
            }
            let mut arguments = [argument.as_mut_ptr().cast::<c_void>()];
            let ([gx, gy, gz], [bx, by, bz]) = (piece.groups, piece.group);
            // SAFETY: the function takes one parameter of that size; the driver copies it.
            unsafe {
                cuda.launch(
                    function,
                    gx,
                    gy,
                    gz,
                    bx,
                    by,
                    bz,
                    threadgroup_bytes,
                    self.stream.main,
                    arguments.as_mut_ptr(),
                    std::ptr::null_mut(),
                )?;
            }
        }
        Ok(self.state(writes_back))
    }

    /// Copies the tables of a launch to the device; the fields of its parameter that are about them.
    fn tables(
        &mut self,
        table_inputs: &TableInputs<'_>,
        regions: &[Region],
        starts: &[Address],
        blocks: &mut Vec<Block>,
    ) -> Result<Vec<(usize, u64)>, CudaError> {
        let is_compressed = |texture: &Texture<'_>| texture.format.packing().is_none();
        if table_inputs.textures.iter().any(is_compressed) && !self.pending.is_empty() {
            // The launches before this one may write their bytes.
            self.stopped |= self.watch()? == Watched::Stopped;
            // SAFETY: the stream is valid.
            unsafe { self.device.cuda.synchronize(self.stream.main)? };
            // A launch that ended just as it was stopped has no fault, and this one has to run.
            if self.stopped && self.first_fault().is_none() {
                let stop = self.control.address + STOP;
                // SAFETY: the block has that word.
                unsafe { self.device.cuda.fill(stop, 0, 4, self.stream.main)? };
            }
        }
        let pixels: Vec<Option<Pixels>> = table_inputs.textures.iter().map(Pixels::of).collect();
        let mut placed = Vec::with_capacity(pixels.len());
        for ((texture, pixels), &base) in table_inputs.textures.iter().zip(&pixels).zip(starts) {
            placed.push(match pixels {
                None => Placed { texture: *texture, base },
                Some(pixels) => {
                    let block = Block::new(&self.device, pixels.bytes.len())?;
                    let base = self.upload(&pixels.bytes, block, blocks)?;
                    Placed { texture: pixels.texture(texture), base }
                }
            });
        }
        let mut tables = Tables::default();
        tables.samplers(&table_inputs.samplers);
        tables.textures(&placed, self.device.srgb()?);
        if let Some(known) = &table_inputs.known {
            let ids: Vec<u64> = table_inputs.textures.iter().map(|texture| texture.id).collect();
            tables.addresses(known, regions, &ids);
        }
        let block = Block::new(&self.device, tables.bytes.len())?;
        tables.move_to(block.address);
        Ok(tables.fields(self.upload(&tables.bytes, block, blocks)?).collect())
    }

    /// Copies bytes to a block that has room for them.
    fn upload(
        &self,
        bytes: &[u8],
        block: Block,
        blocks: &mut Vec<Block>,
    ) -> Result<Address, CudaError> {
        let (to, from) = (block.address, bytes.as_ptr().cast());
        // SAFETY: the block has that many bytes. The driver has copied them when it returns, as they are in no memory
        // that it knows.
        unsafe { self.device.cuda.copy_to_device(to, from, bytes.len(), self.stream.main)? };
        blocks.push(block);
        Ok(to)
    }

    /// Waits for all work.
    fn finish(&mut self) -> Result<Finished, CudaError> {
        if self.pending.is_empty() {
            return Ok(Ok(None));
        }
        let watched = self.watch()?;
        let stopped = (watched == Watched::Stopped) | std::mem::take(&mut self.stopped);
        let cuda = self.device.cuda;
        let copies = self.pending.iter().any(|pending| pending.staging.writes());
        for pending in &self.pending {
            // SAFETY: the caller of `submit` promised that it lasts until the launch is finished.
            unsafe { pending.staging.copy_back(&self.device, self.stream)? };
        }
        if copies || watched != Watched::Done {
            // SAFETY: the stream is valid.
            unsafe { cuda.synchronize(self.stream.main)? };
        }
        let fault = self.first_fault();
        if fault.is_some() || stopped {
            self.clear()?;
        }
        self.pending.clear();
        Ok(match fault {
            Some(fault) => Err(fault),
            None => Ok(self.lasted()),
        })
    }

    /// The first fault, after the number of launches before it, once nothing runs.
    fn first_fault(&self) -> Option<(usize, Fault)> {
        (0..self.pending.len()).find_map(|at| {
            // SAFETY: nothing runs any more, and the memory has that many records.
            let record = unsafe {
                std::slice::from_raw_parts(self.record(at).as_ptr().cast_const(), record::BYTES)
            };
            let is_set = number(record, record::SET, 4) != 0;
            is_set.then(|| (at, self.pending[at].fault(record)))
        })
    }

    /// Waits for the stream, and stops the launches when no threadgroup has started for the watchdog's time.
    fn watch(&self) -> Result<Watched, CudaError> {
        let cuda = self.device.cuda;
        let limit = self.pending.iter().filter_map(|pending| pending.watchdog).min();
        let began = Instant::now();
        let (mut last, mut seen, mut stamped) = (began, [0u64; MAX_LAUNCHES], false);
        loop {
            // SAFETY: the stream is valid.
            match unsafe { cuda.query(self.stream.main) } {
                Ok(()) => return Ok(Watched::Done),
                Err(error) if error.code != NOT_READY => return Err(error),
                Err(_) => {}
            }
            let waited = began.elapsed();
            if waited > STAMP_AFTER && !std::mem::replace(&mut stamped, true) {
                let at = self.record(0).addr().get() + record::ENDED;
                // SAFETY: the record has that word.
                unsafe { transfer::stamp(&self.device, self.stream.main, at as Address)? };
            }
            if waited < SPIN {
                std::hint::spin_loop();
                continue;
            }
            let Some(limit) = limit else { return Ok(Watched::Unknown) };
            // So the end is seen late by a small part of the time that the work takes.
            let pause = (waited / 512).clamp(Duration::from_micros(10), Duration::from_millis(20));
            std::thread::sleep(pause.min(limit / 8));
            if last.elapsed() < limit / 4 {
                continue;
            }
            let mut now = [0u64; MAX_LAUNCHES];
            // SAFETY: the words are there until the stream was waited for.
            unsafe {
                let from = self.control.address + PROGRESS;
                cuda.copy_from_device(
                    (&raw mut now).cast(),
                    from,
                    8 * MAX_LAUNCHES,
                    self.stream.side,
                )?;
                cuda.synchronize(self.stream.side)?;
            }
            if now != seen {
                (last, seen) = (Instant::now(), now);
            } else if last.elapsed() >= limit {
                // SAFETY: the block has that word.
                unsafe {
                    cuda.fill(self.control.address + STOP, 1, 4, self.stream.side)?;
                    cuda.synchronize(self.stream.side)?;
                }
                return Ok(Watched::Stopped);
            }
        }
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        // Whatever happened, nothing runs any more after this, and only a stream that works is used again.
        // SAFETY: the stream is valid.
        let waited = self
            .device
            .enter()
            .and_then(|()| unsafe { self.device.cuda.synchronize(self.stream.main) });
        if waited.is_ok() {
            self.device.give_stream(self.stream);
        }
    }
}

/// How long a sequence of launches took: by the times that the device noted, 0 where it did not, or by the host's. Where only one threadgroup
/// begins the device notes no start.
fn duration(began: u64, ended: u64, by_host: Duration) -> Option<Duration> {
    match (began, ended) {
        (_, 0) => None,
        (0, _) => Some(by_host),
        _ => ended.checked_sub(began).map(Duration::from_nanos),
    }
}

/// The fault for an error of the driver's.
pub(super) fn device_fault(facts: &Facts, error: &CudaError) -> Fault {
    facts.fault(FaultKind::Device { what: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn work_whose_start_the_device_did_not_note_has_the_time_of_the_host() {
        let host = Duration::from_millis(7);
        assert_eq!(duration(1_000, 26_000, host), Some(Duration::from_micros(25)));
        assert_eq!(duration(0, 26_000, host), Some(host));
        // Of short work the device notes no end, and a clock may be set back.
        for (began, ended) in [(1_000, 0), (0, 0), (26_000, 1_000)] {
            assert_eq!(duration(began, ended, host), None);
        }
    }
}
