//! Bytecode: the format of instructions, and the state of the SIMD-group that runs them.

use super::input::GroupPlace;
use super::memory::Region;
use super::probe::Probes;
use crate::soft::cpu::addresses::Addresses;
use crate::soft::cpu::native::group::GroupState;
use crate::soft::ir::Sampler;
use crate::soft::kernel::order::Random;
use crate::soft::kernel::sanitize::stamps::Quick;
use crate::soft::kernel::texture::Texture;

/// Lanes of a SIMD-group.
pub(crate) const LANES: usize = 32;

/// A function that runs one instruction and returns the next, or null to stop.
///
/// # Safety
/// * `ip` points to an instruction of a [`Program`](super::super::Program)'s code, whose `run` this is.
/// * `frame` points to a frame as large and as aligned as that program says, not used by other threads.
/// * `wave` describes the SIMD-group of that frame, and its regions are the launch's memory.
pub(crate) type Run = unsafe fn(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins;

/// One instruction. Operands are byte offsets into the frame unless the handler says otherwise.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Ins {
    /// Its handler.
    pub(crate) run: Run,
    /// Usually the result.
    pub(crate) a: u32,
    /// Usually the first operand.
    pub(crate) b: u32,
    /// Usually the second operand.
    pub(crate) c: u32,
    /// An additional operand.
    pub(crate) d: u32,
    /// Constants; the distance of a jump in instructions.
    pub(crate) imm: u64,
}

/// The code of an instruction.
pub(crate) trait Handler {
    /// # Safety
    /// As [`Run`].
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins;
}

/// The function of a handler: the same address in every caller.
pub(crate) fn function<H: Handler>() -> Run {
    #[inline(never)]
    unsafe fn run<H: Handler>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe { H::run(ip, frame, wave) }
    }
    run::<H>
}

/// Why a SIMD-group stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is at its end.
    End,
    /// It waits at this instruction, a threadgroup barrier, and resumes after it.
    Barrier(*const Ins),
    /// A fault: the instruction, the lane, and details.
    Fault(*const Ins, u32, Wrong),
    /// The launch was stopped by another threadgroup's fault, or by the watchdog.
    Aborted,
}

/// The kinds of faults that handlers report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// An access of `bytes` bytes at an offset of a region (0 is null) of the launch.
    Access { region: u32, offset: i64, bytes: u32, write: bool },
    /// The same in thread memory.
    ThreadAccess { local: u32, offset: i64, bytes: u32, write: bool },
    /// An atomic access that is in bounds but at an address that is not a multiple of its size.
    Misaligned { region: u32, offset: i64, bytes: u32, write: bool },
    /// Use of the texture with a number that no texture has.
    Texture { number: u64 },
    /// An atomic function of a texture whose pixels are not integers of 32 bits.
    Format,
    /// Use of a number that is not a sampler.
    Sampler { bits: u64 },
    /// Some SIMD-groups or threads do not reach the barrier that others wait at.
    Barrier,
    /// The watchdog's time is up.
    Watchdog,
}

/// The state of one SIMD-group, next to its frame.
#[derive(Debug)]
pub(crate) struct Wave {
    /// The active lanes. Code never runs without active lanes.
    pub(crate) exec: u32,
    /// The work that may be done before the watchdog is checked again.
    pub(crate) budget: i64,
    /// The launch's memory, by number; 0 is null.
    pub(crate) regions: *const Region,
    /// The length of that table.
    pub(crate) region_count: u32,
    /// The launch's textures, numbered from 1; valid while the launch runs.
    pub(crate) textures: *const Texture<'static>,
    /// The length of that table.
    pub(crate) texture_count: u32,
    /// The launch's samplers, one for each of the module.
    pub(crate) samplers: *const Sampler,
    /// The resources that memory refers to by address or ID.
    pub(crate) addresses: *const Addresses<'static>,
    /// Thread memory of the 32 lanes.
    pub(crate) thread_memory: *mut u8,
    /// The position and inputs of the threadgroup.
    pub(crate) place: *const GroupPlace<'static>,
    /// The SIMD-group's number in its threadgroup.
    pub(crate) number: u32,
    /// The instruction whose machine code runs.
    pub(crate) native: *const Ins,
    /// The threadgroups that machine code runs, if it runs them.
    pub(crate) groups: *mut GroupState,
    /// The observer of the SIMD-group in a checked kernel; else null.
    pub(crate) probes: *mut Probes<'static>,
    /// The state by which machine code tests checked accesses by itself.
    pub(crate) quick: *const Quick,
    /// Whether the checker wants to know of accesses to device memory.
    pub(crate) observes_device: bool,
    /// The order of lanes that one instruction does not define, if a seed chooses it.
    pub(crate) random: Option<Random>,
    /// Why it stopped; set when a handler returns null.
    pub(crate) stop: Stop,
}

/// Takes the next of some lanes, a bit each: the lowest, or a random one.
#[inline(always)]
pub(crate) fn take_lane(random: &mut Option<Random>, left: &mut u32) -> usize {
    let lane = match random {
        Some(random) => random.bit(*left),
        None => left.trailing_zeros(),
    };
    *left &= !(1 << lane);
    lane as usize
}

impl Wave {
    /// The lowest active lane.
    #[inline(always)]
    pub(crate) fn first(&self) -> u32 {
        self.exec.trailing_zeros()
    }

    /// Stops with a fault.
    #[cold]
    pub(crate) fn fault(&mut self, ip: *const Ins, lane: u32, wrong: Wrong) -> *const Ins {
        self.stop = Stop::Fault(ip, lane, wrong);
        std::ptr::null()
    }
}

/// Runs from `ip` until something stops the SIMD-group; why is in `wave.stop`.
///
/// # Safety
/// As [`Run`].
pub(crate) unsafe fn run(mut ip: *const Ins, frame: *mut u8, wave: &mut Wave) {
    while !ip.is_null() {
        // SAFETY: the caller's contract; handlers return instructions of the same program.
        ip = unsafe { ((*ip).run)(ip, frame, wave) };
    }
}

/// Reads an operand that is one value.
///
/// # Safety
/// `frame` and `offset` as in [`Run`].
#[inline(always)]
pub(crate) unsafe fn get<T: Copy>(frame: *const u8, offset: u32) -> T {
    // SAFETY: offsets of a program are inside its frame, and slots are aligned to 8 bytes.
    unsafe { *frame.add(offset as usize).cast::<T>() }
}

/// Writes a result that is one value.
///
/// # Safety
/// `frame` and `offset` as in [`Run`].
#[inline(always)]
pub(crate) unsafe fn put<T: Copy>(frame: *mut u8, offset: u32, value: T) {
    // SAFETY: offsets of a program are inside its frame, and slots are aligned to 8 bytes.
    unsafe { *frame.add(offset as usize).cast::<T>() = value }
}
