//! Runs a program over a grid: distributes threadgroups over the workers, and runs the SIMD-groups of each, between
//! barriers, one after the other.

mod group;
mod report;
mod shape;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::addresses::Addresses;
use super::apart::{self, Apart};
use super::interp::code::{self, Ins, LANES, Stop, Wave};
use super::interp::input::{GroupPlace, Positions};
use super::interp::lower::Code;
use super::interp::memory::Region;
use super::interp::probe::Probes;
use super::native::group::{Areas, GroupState};
use super::watch::{Watch, Watchdog};
use super::workers::Workers;
use super::{Program, tally};
use crate::soft::floats::DefaultState;
use crate::soft::ir::{AllocationKind, Checks, Input, Probe, Sampler, Space};
use crate::soft::kernel::order::{Random, Shuffle};
use crate::soft::kernel::profile::Profile;
use crate::soft::kernel::sanitize::stamps::Quick;
use crate::soft::kernel::sanitize::{Extent, written};
use crate::soft::kernel::texture::Texture;
use crate::soft::kernel::{Binding, Fault, FaultKind, Launch, limits};
use shape::{Choice, buffers, in_lines, most_threads, product};

/// A worker takes this part of its share of the threadgroups that are left: small chunks at the end keep the load balanced.
const PART: u64 = 8;
/// Most threadgroups that it takes at once.
const MAX_CHUNK: u64 = 64;
/// The same for machine code of a whole body, which runs its threadgroups in one call: a debug build executes some 3,600 instructions
/// for each.
const MAX_BODY_CHUNK: u64 = 1024;
/// Launches of up to this many threads begin without helpers: waking a thread may cost more than it saves.
const SMALL: u64 = 4096;
/// After this much work (in units of 10 ns) and this much time, helpers take part in a launch that began without them.
const LONG_WORK: u64 = 1000;
const LONG: Duration = Duration::from_micros(50);

/// Memory that is aligned for vectors.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Line([u8; 128]);

/// Memory that a thread reuses from one launch to the next.
#[derive(Default)]
struct Scratch {
    lines: Vec<Line>,
    areas: Areas,
    shapes: Vec<Shape>,
    /// For machine code without a checker: it has no room for stamps. The code may change other fields, which are not used then.
    quick: Box<Quick>,
}

/// The positions of all threads of a group, by its size.
type Shape = ([u32; 3], Vec<Positions>);

/// How many shapes a thread keeps for its next launch: a launch has at most eight, as only the groups at the edges differ.
const MAX_SHAPES: usize = 16;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The parts of a launch that its workers share.
struct Shared<'a> {
    program: &'a Program,
    launch: &'a Launch<'a>,
    /// The regions; those of threadgroup memory are set by each worker, as it is in the worker's own memory.
    regions: Vec<Region>,
    textures: Vec<Texture<'a>>,
    samplers: Vec<Sampler>,
    addresses: Addresses<'a>,
    threadgroup: Vec<(usize, u64, u64)>,
    threadgroup_bytes: u64,
    /// Regions of which each worker has a copy.
    tallies: Vec<usize>,
    groups: [u32; 3],
    total: u64,
    /// How many threads may help the one that launches.
    helpers: u64,
    /// The first threadgroup that no worker has taken.
    next: AtomicU64,
    watchdog: Watchdog,
    /// When the launch began.
    start: Instant,
    /// The fault of the first threadgroup that had one.
    fault: Mutex<Option<(u64, Fault)>>,
    /// Hoisted values could not be computed, so the launch uses the code without hoisting.
    plain: AtomicBool,
    /// Machine code may run the launch, and is worth it.
    may_be_native: bool,
    native: AtomicBool,
    /// A checker has seen its beginning.
    is_observed: AtomicBool,
}

// SAFETY: the pointers are to the launch's memory, which kernels may access from all threads at once; it is
// accessed as raw memory, and races are the kernel's.
unsafe impl Sync for Shared<'_> {}

impl Program {
    /// Runs the kernel over a grid, and returns when all of it is done.
    ///
    /// # Safety
    /// The bindings and textures are memory that may be read, and written unless their argument is constant, while
    /// this runs. Other threads may access it at the same time only as the kernel's threads may.
    pub(crate) unsafe fn launch<'a>(
        &self,
        launch: &Launch<'a>,
        workers: &Workers,
    ) -> Result<(), Fault> {
        let threads = product(launch.group);
        if threads == 0 || threads > limits::THREADS.into() {
            return Err(self.fault(FaultKind::GroupSize { threads }));
        }
        if product(launch.grid) == 0 {
            return Ok(());
        }
        let shared = self.share(launch, workers.count() as u64 - 1)?;
        // A launch that is small waits for helpers only if it turns out to be long.
        let begin_alone = shared.helpers != 0 && product(launch.grid) <= SMALL;
        let is_long = AtomicBool::new(false);
        if begin_alone {
            SCRATCH.with_borrow_mut(|scratch| {
                is_long.store(shared.take_part(scratch, true), Ordering::Relaxed);
            });
        }
        if !begin_alone || is_long.into_inner() {
            workers.run(shared.helpers as usize, &|| {
                // A worker that starts too late sets up nothing.
                if shared.next.load(Ordering::Relaxed) < shared.total {
                    SCRATCH.with_borrow_mut(|scratch| shared.take_part(scratch, false));
                }
            });
        }
        let fault = shared.fault.into_inner().unwrap_or_else(PoisonError::into_inner);
        fault.map_or(Ok(()), |(_, fault)| Err(fault))
    }

    /// The parts of a launch that is not empty. There are at most `helpers` workers more than one.
    fn share<'a>(&'a self, launch: &'a Launch<'a>, helpers: u64) -> Result<Shared<'a>, Fault> {
        let mut threadgroup = Vec::new();
        let mut threadgroup_bytes = 0u64;
        let mut regions = Vec::with_capacity(self.allocations.len() + 1);
        let (base, alone) = (std::ptr::null_mut(), false);
        regions.push(Region { base, bytes: 0, slack: 0, writable: false, alone });
        // The address of each region, as memory has it.
        let mut starts = vec![0; self.allocations.len() + 1];
        // The bindings are in the order of the parameters: allocations, textures, samplers.
        let mut bindings = launch.bindings.iter();
        for (number, allocation) in self.allocations.iter().enumerate() {
            let mut region = Region { base, bytes: 0, slack: 0, writable: true, alone };
            let own = match &allocation.kind {
                AllocationKind::Buffer { writable, .. } => {
                    if let Some(Binding::Memory { base, bytes, address }) = bindings.next() {
                        starts[number + 1] = *address;
                        region.base = *base;
                        region.bytes = (*bytes).min(1 << 46);
                    }
                    region.writable = *writable;
                    None
                }
                AllocationKind::Table(bytes) => {
                    region.base = bytes.as_ptr().cast_mut();
                    region.bytes = bytes.len() as u64;
                    region.writable = false;
                    None
                }
                AllocationKind::Threadgroup(bytes) => Some(u64::from(*bytes)),
                AllocationKind::ThreadgroupArgument { .. } => match bindings.next() {
                    Some(Binding::Threadgroup(bytes)) => Some((*bytes).into()),
                    _ => Some(0),
                },
            };
            if let Some(bytes) = own {
                threadgroup.push((number + 1, threadgroup_bytes, bytes));
                threadgroup_bytes += bytes.next_multiple_of(16);
            }
            regions.push(region);
        }
        if threadgroup_bytes > limits::THREADGROUP_MEMORY.into() {
            return Err(self.fault(FaultKind::ThreadgroupMemory { bytes: threadgroup_bytes }));
        }
        let texture = |binding: Option<&Binding<'a>>| match binding {
            Some(Binding::Texture(texture)) => *texture,
            _ => Texture::NONE,
        };
        let mut textures = (0..self.textures).map(|_| texture(bindings.next())).collect();
        let sampler = |binding: Option<&Binding<'a>>| match binding {
            Some(Binding::Sampler(sampler)) => *sampler,
            _ => Sampler::default(),
        };
        let samplers = (0..self.samplers).map(|_| sampler(bindings.next())).collect();
        let (residents, resident_textures) = (launch.residents, launch.resident_textures);
        let addresses =
            Addresses::new(residents, resident_textures, starts, &mut regions, &mut textures);
        let groups: [u32; 3] = std::array::from_fn(|d| launch.grid[d].div_ceil(launch.group[d]));
        let total = product(groups);
        // One thread reports the same each time, and keeps an order.
        let repeats = launch.session.is_some() || launch.order.is_some();
        let helpers = if repeats { 0 } else { helpers.min(total - 1) };
        let tallies = tally::choose(&self.tallies, &regions, product(launch.grid));
        let may_be_native = self.may_be_native();
        Ok(Shared {
            program: self,
            launch,
            regions,
            textures,
            samplers,
            addresses,
            threadgroup,
            threadgroup_bytes,
            tallies,
            groups,
            total,
            helpers,
            next: AtomicU64::new(0),
            watchdog: Watchdog::new(launch.watchdog),
            start: Instant::now(),
            fault: Mutex::new(None),
            plain: AtomicBool::new(!self.hoists),
            may_be_native,
            native: AtomicBool::new(may_be_native && self.is_worth_native(0)),
            is_observed: AtomicBool::new(false),
        })
    }
}

/// Why a worker stopped, if there was no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// No threadgroup is left, or the launch was stopped.
    Done,
    /// A hoisted load is out of bounds; nothing was run.
    CannotHoist,
    /// The interpreter has worked, or would work, long enough for machine code to pay.
    WorthNative,
    /// The launch takes long enough for helpers.
    Long,
}

impl Shared<'_> {
    /// Runs threadgroups until none is left. With `alone`, returns true when the rest is long enough for helpers.
    fn take_part(&self, scratch: &mut Scratch, alone: bool) -> bool {
        let _floats = DefaultState::new();
        // The threadgroups that are left of a chunk.
        let mut chunk = 0..0;
        // The work that was done with other code before.
        let mut before = 0u64;
        loop {
            let mut worker = Worker::new(self, self.choose(), scratch);
            let outcome = worker.work(&mut chunk, alone.then_some(before));
            before = before.saturating_add(worker.spent());
            worker.settle(scratch);
            match outcome {
                Outcome::Done => return false,
                Outcome::Long => return true,
                Outcome::CannotHoist => self.plain.store(true, Ordering::Relaxed),
                Outcome::WorthNative => self.native.store(true, Ordering::Relaxed),
            }
        }
    }
}

/// How a threadgroup ended: with a fault, or without one because another worker had stopped the launch.
type Ended = Result<(), Option<Fault>>;

/// One thread's state in a launch.
struct Worker<'a> {
    shared: &'a Shared<'a>,
    code: &'a Code,
    regions: Vec<Region>,
    place: GroupPlace<'a>,
    /// The work that may be done before the watchdog is checked again.
    budget: i64,
    /// It interprets, and machine code may take its place.
    may_switch: bool,
    waves: Vec<Wave>,
    frames: *mut u8,
    /// State for machine code that runs threadgroups by itself.
    state: GroupState,
    areas: Areas,
    /// The order of SIMD-groups, if a seed chooses it; and their copies of threadgroup memory, if it is to be weak.
    random: Option<Random>,
    apart: Option<Apart>,
    /// The observer of a checked kernel's threads.
    probes: Option<Box<Probes<'a>>>,
    /// Whether the code of a checked kernel notes where SIMD-groups begin.
    starts: bool,
    shapes: Vec<Shape>,
}

/// Bytes past the end of threadgroup memory that may be read: published kernels read the element after the last before
/// they test whether it exists. On a GPU that is other threadgroup memory.
const SLACK: u32 = 16;

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared<'a>, choice: Choice<'a>, scratch: &mut Scratch) -> Self {
        let Choice { code, may_switch } = choice;
        let waves = product(shared.launch.group).div_ceil(LANES as u64) as usize;
        let lines = |bytes: usize| bytes.div_ceil(size_of::<Line>());
        // Without barriers SIMD-groups run one after the other, in the same frame; if machine code runs all of them, the
        // frame has nothing that is different in each.
        let states = if code.has_barrier { waves } else { 1 };
        let (waves, frames) = if code.is_body() { (waves, 1) } else { (states, states) };
        let (frame, own) =
            (lines(code.frame_bytes as usize), lines(code.thread_bytes as usize * LANES));
        let threadgroup = frame * frames + own * states;
        let tallies = threadgroup + lines(shared.threadgroup_bytes as usize + SLACK as usize);
        let tally_lines = |number: &usize| lines(shared.regions[*number].bytes as usize);
        let needed = tallies + shared.tallies.iter().map(tally_lines).sum::<usize>();
        if scratch.lines.len() < needed {
            scratch.lines.resize(needed, Line([0; 128]));
        }
        let line = scratch.lines.as_mut_ptr();
        // SAFETY (of all the pointers below): they are into the lines that were allocated just now.
        let at = |line_number: usize| line.wrapping_add(line_number).cast::<u8>();
        for state in 0..frames {
            let constants = at(frame * state).cast::<u64>();
            // SAFETY: a frame begins with its constants.
            unsafe {
                let from = code.constants.as_ptr();
                from.copy_to_nonoverlapping(constants, code.constants.len());
            }
        }
        let mut regions = shared.regions.clone();
        let slack = if shared.launch.strict { 0 } else { SLACK };
        for &(number, offset, bytes) in &shared.threadgroup {
            let base = at(threadgroup).wrapping_add(offset as usize);
            regions[number] = Region { base, bytes, slack, writable: true, alone: true };
        }
        let mut next = tallies;
        for &number in &shared.tallies {
            let region = &mut regions[number];
            (region.base, region.alone) = (at(next), true);
            // SAFETY: the copy's lines are allocated, and not used yet.
            unsafe { region.base.write_bytes(0, region.bytes as usize) };
            next += tally_lines(&number);
        }
        let place = GroupPlace {
            inputs: [[0; 3]; Input::ALL.len()],
            origin: [0; 3],
            positions: std::ptr::null(),
            row_lanes: 1,
            most_threads: most_threads(shared.launch),
            lines: in_lines(shared.launch),
            watch: Watch::new(&shared.watchdog, shared.start),
        };
        let budget = place.watch.first_budget();
        let (program, launch) = (shared.program, shared.launch);
        let checks = program.checks;
        let observed = launch.session.is_some() || launch.profile.is_some();
        let mut probes = observed.then(|| {
            Box::new(Probes {
                checker: launch.session.map(|session| {
                    let (grid, group) = (launch.grid, launch.group);
                    let arguments = buffers(&program.allocations, launch);
                    let extent = Extent { grid, group, arguments };
                    let resumes = shared.is_observed.swap(true, Ordering::Relaxed);
                    session.launch(&program.name, checks, extent, resumes)
                }),
                counts: launch.profile.map(Profile::counts),
                code: code.code.as_ptr(),
                spans: &code.spans,
                locate: launch.locate,
                allocations: &program.allocations,
                addresses: &shared.addresses,
                sites: vec![None; code.code.len()],
            })
        });
        let of_launch = |number: usize| {
            let allocation = number.checked_sub(1)?;
            let space = program.allocations.get(allocation).map(|known| known.kind.space());
            let own = match space {
                Some(Space::Threadgroup) => true,
                Some(Space::Device) | None => false,
                Some(_) => return None,
            };
            let (base, bytes) = (regions[number].base as u64, regions[number].bytes);
            Some((own, base..base + bytes))
        };
        let mut tested = &raw const *scratch.quick;
        let mut starts = false;
        if let Some(checker) = probes.as_deref_mut().and_then(|probes| probes.checker.as_mut()) {
            let instructions = &program.source.function.insts;
            let shifts = instructions.iter().find_map(Probe::shifts);
            // Which bytes of threadgroup memory were written is forgotten where each begins.
            starts = shifts.is_some() && !checks.has(Checks::INIT);
            let shared: Vec<_> = (0..regions.len()).map(of_launch).collect();
            checker.regions(&shared, instructions.len(), shifts);
            tested = checker.quick();
        }
        // The checker compares addresses, and finds what copies would show.
        let is_weak = launch.order.is_some()
            && launch.session.is_none()
            && code.has_barrier
            && !shared.threadgroup.is_empty()
            && !apart::has_atomics(&program.source.function);
        let apart = is_weak.then(|| {
            let own = shared.threadgroup.iter().map(|&(number, offset, _)| (number, offset));
            let bytes = shared.threadgroup_bytes as usize + SLACK as usize;
            Apart::new(waves, bytes, &regions, own)
        });
        let observer =
            probes.as_deref_mut().map_or(std::ptr::null_mut(), |probes| &raw mut *probes);
        let waves = (0..waves)
            .map(|state| Wave {
                exec: 0,
                budget,
                regions: apart.as_ref().map_or(regions.as_ptr(), |apart| apart.regions(state)),
                region_count: regions.len() as u32,
                textures: shared.textures.as_ptr().cast(),
                texture_count: shared.textures.len() as u32,
                samplers: shared.samplers.as_ptr(),
                addresses: (&raw const shared.addresses).cast(),
                thread_memory: at(frame * frames + own * (state % states)),
                place: std::ptr::null(),
                number: 0,
                native: &raw const code.code[code.start as usize],
                groups: std::ptr::null_mut(),
                probes: observer.cast(),
                quick: tested,
                observes_device: written::is_any_tracked(),
                random: launch.order.map(|seed| Random::new(!seed.wrapping_add(state as u64))),
                stop: Stop::End,
            })
            .collect();
        let (state, mut areas) = {
            let (beat, strict) = (shared.watchdog.beat_wanted(), shared.launch.strict);
            (GroupState::new(at(0), beat, strict), std::mem::take(&mut scratch.areas))
        };
        areas.reset();
        let (frames, shapes) = (at(0), std::mem::take(&mut scratch.shapes));
        let random = launch.order.map(Random::new);
        Self {
            shared,
            code,
            regions,
            place,
            budget,
            may_switch,
            waves,
            frames,
            state,
            areas,
            random,
            apart,
            probes,
            starts,
            shapes,
        }
    }

    /// Runs threadgroups, first those that are left of a chunk, until none is left or there is a reason to stop. A worker that
    /// is alone stops where helpers are worth it; `alone` is the work that it has done before.
    fn work(&mut self, chunk: &mut Range<u64>, alone: Option<u64>) -> Outcome {
        let shared = self.shared;
        debug_assert_eq!(self.regions.len(), shared.regions.len());
        self.set_up();
        if !self.once() {
            return Outcome::CannotHoist;
        }
        if self.may_switch && shared.program.is_worth_native(self.estimate()) {
            return Outcome::WorthNative;
        }
        let shuffle = shared.launch.order.map(|seed| Shuffle::new(seed, shared.total));
        let [gx, gy, _] = shared.groups.map(u64::from);
        let position =
            |number: u64| [number % gx, number / gx % gy, number / gx / gy].map(|part| part as u32);
        while !shared.watchdog.is_aborted() {
            if chunk.is_empty() {
                if let Some(before) = alone
                    && before.saturating_add(self.spent()) >= LONG_WORK
                    && self.more_is_left()
                    && shared.start.elapsed() >= LONG
                {
                    return Outcome::Long;
                }
                // Whether helpers are worth it is tested between chunks.
                let is_body = alone.is_none() && self.code.is_body();
                let most = if is_body { MAX_BODY_CHUNK } else { MAX_CHUNK };
                let left = shared.total.saturating_sub(shared.next.load(Ordering::Relaxed));
                let count = (left / (PART * (shared.helpers + 1))).clamp(1, most);
                let start = shared.next.fetch_add(count, Ordering::Relaxed);
                if start >= shared.total {
                    break;
                }
                *chunk = start..shared.total.min(start + count);
            }
            let mut at = position(chunk.start);
            while !chunk.is_empty() {
                let (done, ended) = match shuffle {
                    Some(shuffle) => self.groups(position(shuffle.at(chunk.start)), 1),
                    None => self.groups(at, chunk.end - chunk.start),
                };
                chunk.start += u64::from(done);
                at[0] += done;
                for d in 0..2 {
                    if at[d] == shared.groups[d] {
                        at[d] = 0;
                        at[d + 1] += 1;
                    }
                }
                if done != 0 {
                    shared.watchdog.finished();
                }
                if let Err(fault) = ended {
                    shared.watchdog.abort();
                    let mut first = shared.fault.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(fault) = fault
                        && first.as_ref().is_none_or(|&(other, _)| chunk.start < other)
                    {
                        *first = Some((chunk.start, fault));
                    }
                    return Outcome::Done;
                }
                if self.may_switch
                    && (!chunk.is_empty() || self.more_is_left())
                    && shared.program.is_worth_native(self.spent())
                {
                    return Outcome::WorthNative;
                }
            }
        }
        Outcome::Done
    }

    /// Whether there are threadgroups that no worker has taken.
    fn more_is_left(&self) -> bool {
        self.shared.next.load(Ordering::Relaxed) < self.shared.total
    }

    /// The work that it has done.
    fn spent(&self) -> u64 {
        self.place.watch.work_done(self.budget)
    }

    /// An estimate of what the interpreter would work for the whole launch.
    fn estimate(&self) -> u64 {
        let threads = product(self.shared.launch.group);
        let simdgroups = self.shared.total.saturating_mul(threads.div_ceil(LANES as u64));
        // SAFETY: the frame is one of the code's, and `once` has made what is computed before the first thread.
        simdgroups.saturating_mul(unsafe { self.code.estimate(self.frames) })
    }

    /// Adds this worker's copies of buffers to the buffers, and returns memory.
    fn settle(self, scratch: &mut Scratch) {
        if self.may_switch {
            self.shared.program.add_work(self.spent());
        }
        scratch.areas = self.areas;
        scratch.shapes = self.shapes;
        if scratch.shapes.len() > MAX_SHAPES {
            scratch.shapes.clear();
        }
        for &number in &self.shared.tallies {
            let (copy, buffer) = (&self.regions[number], &self.shared.regions[number]);
            // SAFETY: the copy is this worker's and as long as the buffer; both are aligned, the buffer as
            // `tally::choose` made sure.
            unsafe { tally::settle(copy.base.cast(), buffer.base.cast(), buffer.bytes) };
        }
    }

    /// Computes the hoisted values, which are the same for all threads, in every frame.
    fn once(&mut self) -> bool {
        let code = self.code;
        if code.start == 0 {
            return true;
        }
        let wave = &mut self.waves[0];
        wave.place = (&raw const self.place).cast();
        wave.exec = 1;
        // SAFETY: the frame is as large as the program says, and this thread's own.
        unsafe { code::run(code.code.as_ptr(), self.frames, wave) };
        if wave.stop != Stop::End {
            return false;
        }
        let frame = (code.frame_bytes as usize).next_multiple_of(size_of::<Line>());
        let bytes = (code.constants.len() + code.hoisted as usize) * 8;
        let frames = if code.is_body() { 1 } else { self.waves.len() };
        for other in 1..frames {
            // SAFETY: frames follow each other, and begin with these bytes.
            unsafe {
                self.frames.copy_to_nonoverlapping(self.frames.add(frame * other), bytes);
            }
        }
        true
    }

    /// The first instruction of a thread.
    fn start(&self) -> *const Ins {
        &raw const self.code.code[self.code.start as usize]
    }

    /// Sets the inputs that are the same for all threadgroups.
    fn set_up(&mut self) {
        let (grid, group) = (self.shared.launch.grid, self.shared.launch.group);
        let threads = product(group) as u32;
        let inputs = &mut self.place.inputs;
        let mut set = |input: Input, value: [u32; 3]| inputs[input as usize] = value;
        set(Input::ThreadsPerGrid, grid);
        set(Input::GridSize, grid);
        set(Input::DispatchThreadsPerThreadgroup, group);
        set(Input::ThreadgroupsPerGrid, self.shared.groups);
        set(Input::DispatchSimdgroupsPerThreadgroup, [threads.div_ceil(LANES as u32), 1, 1]);
        set(Input::DispatchQuadgroupsPerThreadgroup, [threads.div_ceil(4), 1, 1]);
        set(Input::ThreadsPerSimdgroup, [LANES as u32, 1, 1]);
    }
}

#[cfg(test)]
mod tests;
