//! Threadgroups that machine code runs: what the code of a whole body shares with the launch.
//!
//! One call runs threadgroups side by side in the first dimension. The strips of a threadgroup run one after the other, or
//! in rounds if there are barriers; then each has an *area* of its own, with its registers while another strip runs.

use std::sync::atomic::AtomicBool;

use super::machine::Machine;
use crate::soft::cpu::interp::code::{LANES, Wave, Wrong};
use crate::soft::cpu::interp::input::GroupPlace;

/// The memory that a call of a whole body reads and writes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct GroupState {
    /// The work until the clock is read.
    pub(crate) budget: i64,
    /// The stack pointer of the caller.
    stack: u64,
    /// The frame, which has what was computed before the first thread.
    pub(crate) frame: *mut u8,
    /// The SIMD-groups, and the end of them.
    pub(crate) waves: *mut Wave,
    end: *mut Wave,
    /// The areas of strips, and the one after the last, which stands for the end of a round.
    areas: *mut u8,
    last_area: *mut u8,
    /// The position of the running threadgroup; the code advances it.
    pub(crate) place: *mut GroupPlace<'static>,
    /// Set while the watchdog waits for a threadgroup to finish.
    pub(crate) beat_wanted: *const AtomicBool,
    /// The SIMD-group that stopped.
    pub(crate) stopped: *mut Wave,
    /// Threadgroups that have not finished yet.
    pub(crate) left: u32,
    /// The distance of threadgroups in the first dimension.
    pub(crate) step: u32,
    /// One more than the number of the site that this round's strips wait at; 0 if none waits yet.
    expected: u32,
    /// The same where the rules are strict, and which site of the code that is.
    expected_strictly: u32,
    strict_site: u32,
    /// Whether each thread has to reach every barrier.
    pub(crate) strict: bool,
}

/// Offsets of its fields, for the code.
#[derive(Debug)]
pub(crate) struct StateLayout;

impl StateLayout {
    pub(crate) const BUDGET: i32 = std::mem::offset_of!(GroupState, budget) as i32;
    #[cfg_attr(
        target_arch = "aarch64",
        expect(dead_code, reason = "code of a body leaves the stack pointer where it is")
    )]
    pub(crate) const STACK: i32 = std::mem::offset_of!(GroupState, stack) as i32;
    pub(crate) const FRAME: i32 = std::mem::offset_of!(GroupState, frame) as i32;
    pub(crate) const WAVES: i32 = std::mem::offset_of!(GroupState, waves) as i32;
    pub(crate) const END: i32 = std::mem::offset_of!(GroupState, end) as i32;
    pub(crate) const AREAS: i32 = std::mem::offset_of!(GroupState, areas) as i32;
    pub(crate) const LAST_AREA: i32 = std::mem::offset_of!(GroupState, last_area) as i32;
    pub(crate) const PLACE: i32 = std::mem::offset_of!(GroupState, place) as i32;
    pub(crate) const BEAT_WANTED: i32 = std::mem::offset_of!(GroupState, beat_wanted) as i32;
    pub(crate) const LEFT: i32 = std::mem::offset_of!(GroupState, left) as i32;
    pub(crate) const STEP: i32 = std::mem::offset_of!(GroupState, step) as i32;
    pub(crate) const EXPECTED: i32 = std::mem::offset_of!(GroupState, expected) as i32;
    pub(crate) const EXPECTED_STRICTLY: i32 =
        std::mem::offset_of!(GroupState, expected_strictly) as i32;
    pub(crate) const STRICT_SITE: i32 = std::mem::offset_of!(GroupState, strict_site) as i32;
    pub(crate) const STRICT: i32 = std::mem::offset_of!(GroupState, strict) as i32;
}

/// A line of the cache; areas consist of them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Memory for areas, which a thread keeps from one launch to the next.
#[derive(Debug, Default)]
pub(crate) struct Areas {
    lines: Vec<Line>,
    /// The code and the number of threads that they are laid out for in this launch.
    laid_out: Option<(*const Machine, u32)>,
}

impl Areas {
    /// Discards the layout of another launch.
    pub(crate) fn reset(&mut self) {
        self.laid_out = None;
    }

    /// Makes the state describe threadgroups of `threads` threads in the SIMD-groups `waves`, for the code of `machine`.
    /// `active` has the active lanes of a SIMD-group at its start.
    pub(crate) fn lay_out(
        &mut self,
        state: &mut GroupState,
        machine: &Machine,
        waves: &mut [Wave],
        threads: u32,
        active: impl Fn(u32) -> u32,
    ) {
        if self.laid_out == Some((machine, threads)) {
            return;
        }
        self.laid_out = Some((machine, threads));
        let (area, lanes) = (machine.area(), machine.lanes());
        let count = if machine.in_rounds() { (threads as usize).div_ceil(lanes) } else { 0 };
        let lines = area.bytes as usize / size_of::<Line>();
        let needed = lines * (count + 1);
        if self.lines.len() < needed {
            self.lines.resize(needed, Line([0; 64]));
        }
        let used = (threads as usize).div_ceil(LANES);
        for (number, wave) in (0..).zip(&mut waves[..used]) {
            (wave.number, wave.exec) = (number, active(number));
            (wave.place, wave.groups) = (state.place, &raw mut *state);
        }
        let first = self.lines.as_mut_ptr();
        let waves = waves.as_mut_ptr();
        for number in 0..=count {
            let strip = if number == count { 0 } else { number };
            let wave = waves.wrapping_add(strip * lanes / LANES);
            // SAFETY: the line is one of those above, and the offsets are inside of an area.
            unsafe {
                let at = first.add(number * lines).cast::<u8>();
                at.add(area.machine as usize).cast::<*const Machine>().write(machine);
                at.add(area.wave as usize).cast::<*mut Wave>().write(wave);
                let first_lane = strip * lanes % LANES;
                at.add(area.first as usize).cast::<u64>().write(4 * first_lane as u64);
            }
        }
        state.waves = waves;
        state.end = waves.wrapping_add(used);
        state.areas = first.cast();
        state.last_area = first.wrapping_add(count * lines).cast();
    }
}

impl GroupState {
    /// The state of a launch whose SIMD-groups have this frame.
    pub(crate) fn new(frame: *mut u8, beat_wanted: *const AtomicBool, strict: bool) -> Self {
        let (none, nowhere) = (std::ptr::null_mut(), std::ptr::null_mut());
        Self {
            budget: 0,
            stack: 0,
            frame,
            waves: none,
            end: none,
            areas: nowhere,
            last_area: nowhere,
            place: std::ptr::null_mut(),
            beat_wanted,
            stopped: none,
            left: 0,
            step: 0,
            expected: 0,
            expected_strictly: 0,
            strict_site: 0,
            strict,
        }
    }

    /// In a strict launch, at the end of a round in which strips wait: whether all threads do.
    ///
    /// # Safety
    /// The areas are laid out for this machine.
    unsafe fn all_wait(&self, machine: &Machine) -> Result<(), (*mut Wave, u32, Wrong)> {
        let (area, strips) = (machine.area(), LANES / machine.lanes());
        let count = (self.last_area.addr() - self.areas.addr()) / area.bytes as usize;
        let waiting = |wave: usize| {
            let own = wave * strips..count.min((wave + 1) * strips);
            let of_strip = |strip: usize| {
                let offset = strip * area.bytes as usize + area.waiting as usize;
                // SAFETY: a field of an area.
                unsafe { self.areas.add(offset).cast::<u32>().read() }
            };
            own.map(of_strip).fold(0, |all, lanes| all | lanes)
        };
        let waves = || (0..count.div_ceil(strips)).map(|wave| (wave, waiting(wave)));
        let wrong = |wave: usize, lane| Err((self.waves.wrapping_add(wave), lane, Wrong::Barrier));
        for (wave, lanes) in waves().filter(|&(_, lanes)| lanes != 0) {
            // SAFETY: one of the SIMD-groups.
            let missing = unsafe { (*self.waves.add(wave)).exec } & !lanes;
            if missing != 0 {
                return wrong(wave, missing.trailing_zeros());
            }
        }
        waves().find(|&(_, lanes)| lanes == 0).map_or(Ok(()), |(wave, _)| wrong(wave, 0))
    }
}

/// Checks barriers where the code cannot: a strip waits at another barrier than those before it, or the rules are strict.
/// Each strip then calls this with its active lanes, and so does the end of a round. A site has a number in the code, and
/// one in the run. An error has the SIMD-group and lane that are reported.
///
/// # Safety
/// The SIMD-group is one of those that run the machine's code, and the area is a strip's or the one for the end of a round.
pub(super) unsafe fn at_barrier(
    machine: &Machine,
    area: *mut u8,
    wave: *mut Wave,
    lanes: u32,
    (site, number): (u32, u32),
) -> Result<(), (*mut Wave, u32, Wrong)> {
    // SAFETY: the state that the SIMD-group runs with.
    let state = unsafe { &mut *(*wave).groups };
    if area == state.last_area {
        // SAFETY: the areas are laid out for this machine.
        return unsafe { state.all_wait(machine) };
    }
    if state.strict {
        // SAFETY: a field of the area.
        unsafe { area.add(machine.area().waiting as usize).cast::<u32>().write(lanes) };
        if state.expected_strictly == 0 {
            (state.expected_strictly, state.strict_site) = (number + 1, site);
        }
        if state.expected_strictly == number + 1 {
            return Ok(());
        }
    }
    Err((wave, 0, Wrong::Barrier))
}
