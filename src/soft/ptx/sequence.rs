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
use super::{Code, Facts};
use crate::soft::kernel::{DeviceMemory, Fault, FaultKind, Submitted};

/// The most launches that are not waited for.
const MOST: usize = 64;

/// Bytes between the fault records of launches.
const RECORD: usize = 64;

/// Memory of the device that all launches of a sequence share: the word that stops them, the number of the first that had a
/// fault, and the progress of each.
const STOP: u64 = 0;
const FAULTED: u64 = 4;
const PROGRESS: u64 = 8;
const CONTROL: usize = PROGRESS as usize + 8 * MOST;

/// A launch that was submitted.
pub(super) struct Pending {
    pub(super) facts: Arc<Facts>,
    pub(super) code: Arc<Code>,
    pub(super) regions: Vec<Region>,
    pub(super) watchdog: Option<Duration>,
    /// Copies of bound memory that the device does not access in place.
    staging: Staging,
    /// What keeps the other bound memory accessible.
    _keep: Vec<Keep>,
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

/// What is submitted.
pub(super) struct Work {
    pub(super) facts: Arc<Facts>,
    pub(super) code: Arc<Code>,
    /// The bound memory of each allocation.
    pub(super) memory: Vec<Option<Range>>,
    /// The allocations that are not bound memory.
    pub(super) regions: Vec<Region>,
    pub(super) threadgroup_bytes: u32,
    pub(super) watchdog: Option<Duration>,
}

pub(super) struct Sequence {
    device: Arc<Device>,
    stream: Stream,
    control: Block,
    /// In memory of the host, so that it costs nothing to see that there was no fault.
    records: Memory,
    pending: Vec<Pending>,
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

impl Sequence {
    fn new(device: &Arc<Device>) -> Result<Self, CudaError> {
        let records = Memory::new(device, RECORD * MOST, false);
        let no_memory = || CudaError { call: "cuMemHostAlloc", code: 0, text: "no memory".into() };
        let sequence = Self {
            stream: device.take_stream()?,
            control: Block::new(device, CONTROL)?,
            records: records.ok_or_else(no_memory)?,
            pending: Vec::new(),
            device: Arc::clone(device),
        };
        sequence.clear()?;
        Ok(sequence)
    }

    /// Makes the words and records new.
    fn clear(&self) -> Result<(), CudaError> {
        // SAFETY: nothing runs, and both have that many bytes.
        unsafe {
            self.records.base().write_bytes(0, RECORD * MOST);
            self.device.cuda.fill(self.control.address, 0, CONTROL, self.stream.main)
        }
    }

    fn record(&self, number: usize) -> NonNull<u8> {
        // SAFETY: the memory has that many records.
        unsafe { self.records.base().add(RECORD * number) }
    }

    /// Copies what has to be copied, and launches; `pieces` are the parts of the grid.
    ///
    /// # Safety
    /// The bound memory is valid until [`finish`](Self::finish) has returned, or until this has if the device does not access
    /// it in place and the kernel only reads it.
    pub(super) unsafe fn submit(
        &mut self,
        work: Work,
        pieces: impl Iterator<Item = Piece>,
        argument: impl Fn(&Reports, &[Region], &Piece) -> Vec<u8>,
    ) -> Result<Submitted, CudaError> {
        assert!(self.pending.len() < MOST, "the caller was asked to wait for the launches");
        let Work { facts, code, memory, mut regions, threadgroup_bytes, watchdog } = work;
        let at = self.pending.len();
        let control = self.control.address;
        let reports = Reports {
            record: self.record(at).addr().get() as Address,
            stop: control + STOP,
            progress: control + PROGRESS + 8 * at as u64,
            faulted: control + FAULTED,
            number: at as u32 + 1,
        };
        let found: Vec<Option<Keep>> = memory
            .iter()
            .map(|range| range.and_then(|range| self.device.shared.find(range.start, range.bytes)))
            .collect();
        let apart: Vec<Range> = memory
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .filter_map(|(range, _)| *range)
            .collect();
        let cuda = self.device.cuda;
        // SAFETY: the caller's; the copies are kept until the stream was waited for.
        let staging = unsafe { Staging::new(&self.device, self.stream, &apart)? };
        for ((region, range), found) in regions.iter_mut().zip(&memory).zip(&found) {
            if let Some(range) = range {
                let start = match found {
                    Some(_) => range.start as Address,
                    None => staging.address(range.start),
                };
                *region = Region::global(start, range.bytes as u64, range.write);
            }
        }
        let writes_back = apart.iter().any(|range| range.write);
        let function = code.function;
        let keep = found.into_iter().flatten().collect();
        self.pending.push(Pending { facts, code, regions, watchdog, staging, _keep: keep });
        for piece in pieces {
            let mut argument = argument(&reports, &self.pending[at].regions, &piece);
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
        Ok(if writes_back || self.pending.len() == MOST {
            Submitted::Full
        } else {
            Submitted::Running
        })
    }

    /// Waits for all launches. The first fault, after the number of launches before it.
    pub(super) fn finish(&mut self) -> Result<Option<(usize, Fault)>, CudaError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let stopped = self.watch()?;
        let cuda = self.device.cuda;
        for pending in &self.pending {
            // SAFETY: the caller of `submit` promised that it lasts until the launch is finished.
            unsafe { pending.staging.copy_back(&self.device, self.stream)? };
        }
        // SAFETY: the stream is valid.
        unsafe { cuda.synchronize(self.stream.main)? };
        let fault = (0..self.pending.len()).find_map(|at| {
            // SAFETY: nothing runs any more, and the memory has that many records.
            let record = unsafe {
                std::slice::from_raw_parts(self.record(at).as_ptr().cast_const(), record::BYTES)
            };
            let is_set = number(record, record::SET, 4) != 0;
            is_set.then(|| (at, self.pending[at].fault(record)))
        });
        if fault.is_some() || stopped {
            self.clear()?;
        }
        self.pending.clear();
        Ok(fault)
    }

    /// Waits for the stream, and stops the launches when no threadgroup has started for the watchdog's time. Returns
    /// whether they were stopped.
    fn watch(&self) -> Result<bool, CudaError> {
        let cuda = self.device.cuda;
        let limit = self.pending.iter().map(|pending| pending.watchdog).min().flatten();
        let Some(limit) = limit else { return Ok(false) };
        let (began, mut pause) = (Instant::now(), Duration::ZERO);
        let (mut last, mut seen) = (began, [0u64; MOST]);
        loop {
            // SAFETY: the stream is valid.
            match unsafe { cuda.query(self.stream.main) } {
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
            let mut now = [0u64; MOST];
            // SAFETY: the words are there until the stream was waited for.
            unsafe {
                let from = self.control.address + PROGRESS;
                cuda.copy_from_device((&raw mut now).cast(), from, 8 * MOST, self.stream.side)?;
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
                return Ok(true);
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

/// The fault for an error of the driver's.
pub(super) fn device_fault(facts: &Facts, error: &CudaError) -> Fault {
    facts.fault(FaultKind::Device { what: error.to_string() })
}
