//! Finished machine code: how it is called, and the slow paths that it calls.

use std::fmt;

use super::allocate::Place;
use super::group::{GroupState, at_barrier};
use super::handlers::{atomic, matrix, operation};
use super::lir::{
    Access, Body, Class, Code, Home, Info, LaneIndex, Operand, Reg, RegionRef, SiteKind,
};
use super::memory::Executable;
use super::region::Run;
use super::select::Strip;
use super::target::{self, Emitted, emit};
use crate::soft::cpu::IsaKind;
use crate::soft::cpu::interp::code::{Ins, Stop, Wave, Wrong};
use crate::soft::cpu::interp::lower::PIECE;
use crate::soft::cpu::interp::memory::{OFFSET_BITS, Region};
use crate::soft::cpu::interp::probe::unwritten;
use crate::soft::cpu::interp::thread::thread_byte;
use crate::soft::cpu::watch::Verdict;
use crate::soft::ir::Scalar;
use crate::soft::ir::half::f16_value;

/// The layout of the code's own memory, which is on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    pub(crate) own: u32,
    /// For loops over the lanes of a vector: [`Self::LOOPS`] vectors of 64 bytes.
    pub(crate) loops: u32,
    /// All registers while a slow path runs, and between barriers those that only slow paths change: 64 bytes for a
    /// vector, 8 for others.
    pub(crate) vectors: u32,
    pub(crate) ints: u32,
    pub(crate) masks: u32,
    pub(crate) machine: u32,
    /// The stack pointer of the caller.
    pub(crate) stack: u32,
    /// Of a strip of a whole body: where it continues, its SIMD-group, and four times its first lane.
    pub(crate) resume: u32,
    pub(crate) wave: u32,
    pub(crate) first: u32,
    /// The lanes that wait at a barrier in a strict launch, 0 if it has ended.
    pub(crate) waiting: u32,
    pub(crate) bytes: u32,
}

impl Area {
    /// Offsets, two operands, old values, and two general-purpose registers.
    const LOOPS: u32 = 5;

    /// The layout for `spilled` bytes of spilled registers, followed by `own` bytes for the code's own use, on a machine
    /// with `registers` general-purpose registers.
    pub(crate) fn new(spilled: u32, own: u32, registers: u32) -> Self {
        let loops = (spilled + own).next_multiple_of(64);
        let vectors = loops + Self::LOOPS * 64;
        let ints = vectors + 32 * 64;
        let masks = ints + registers * 8;
        let machine = masks + 8 * 8;
        let (stack, resume) = (machine + 8, machine + 16);
        let (wave, first) = (resume + 8, resume + 16);
        let waiting = first + 8;
        let bytes = (waiting + 8).next_multiple_of(64);
        let own = spilled;
        Self {
            own,
            loops,
            vectors,
            ints,
            masks,
            machine,
            stack,
            resume,
            wave,
            first,
            waiting,
            bytes,
        }
    }
}

/// The function that the code calls at a site, with its own memory, the site, the machine, the frame and the
/// SIMD-group. It returns 0 if the code continues.
pub(crate) type Slow =
    unsafe extern "C" fn(*mut u8, u32, *const Machine, *mut u8, *mut Wave) -> u32;

/// The entry point of a whole body.
type BodyEntry = unsafe extern "C" fn(*mut GroupState) -> u32;

/// The entry point of another run.
type Entry = unsafe extern "C" fn(*mut u8, *mut Wave, *const Machine) -> u32;

/// The code of a run for one kind of strip.
pub(crate) struct Machine {
    pages: Executable,
    code: Code,
    places: Vec<Place>,
    area: Area,
    target: target::Target,
    lanes: usize,
}

impl fmt::Debug for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Machine")
            .field("bytes", &self.pages.bytes().len())
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// The longest strip of an instruction set; `None` if there is no code for it.
    pub(crate) fn whole_strip(isa: IsaKind) -> Option<Strip> {
        emit::target(isa).map(target::Target::strip)
    }

    /// Makes the code executable; `None` if the system refuses executable memory.
    pub(crate) fn new(code: Code, strip: Strip, isa: IsaKind) -> Option<Self> {
        let target = emit::target(isa)?;
        let Emitted { bytes, places, area, .. } = emitted(&code, target)?;
        let pages = Executable::new(&bytes)?;
        let lanes = (strip.lanes * strip.parts) as usize;
        Some(Self { pages, code, places, area, target, lanes })
    }

    /// Runs the code for one SIMD-group. Returns false if the SIMD-group stopped; the reason is in `wave.stop`.
    ///
    /// # Safety
    /// The frame and the SIMD-group are those of the program that the run is part of, and `wave.native` is the
    /// interpreter's instruction for this run.
    pub(crate) unsafe fn call(&self, frame: *mut u8, wave: &mut Wave) -> bool {
        // SAFETY: the pages hold a function of this type, whose contract is the caller's.
        unsafe {
            let entry: Entry = std::mem::transmute(self.pages.start());
            entry(frame, wave, self) == 0
        }
    }
}

impl Machine {
    /// Runs the code of a whole body. False if a SIMD-group stopped, see [`GroupState`].
    ///
    /// # Safety
    /// The state is that of a launch of the program that the body is from.
    pub(crate) unsafe fn call_body(&self, state: *mut GroupState) -> bool {
        // SAFETY: the pages of a body hold a function of this type, whose contract is the caller's.
        unsafe {
            let entry: BodyEntry = std::mem::transmute(self.pages.start());
            entry(state) == 0
        }
    }

    /// The layout of memory that a strip has for itself.
    pub(crate) fn area(&self) -> Area {
        self.area
    }

    /// Lanes of a strip.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Whether strips wait for each other.
    pub(crate) fn in_rounds(&self) -> bool {
        self.code.body == Some(Body::Rounds)
    }
}

/// The bytes of code; `None` if it needs too much memory.
pub(crate) fn emitted(code: &Code, target: target::Target) -> Option<Emitted> {
    emit::emit(code, target, slow)
}

/// The saved registers of code that is in a slow path.
pub(super) struct Saved<'a> {
    pub(super) machine: &'a Machine,
    area: *mut u8,
    frame: *mut u8,
    /// The number of the strip's first lane.
    first: usize,
}

impl Saved<'_> {
    fn at<T>(&self, offset: u32) -> *mut T {
        // SAFETY: offsets are inside the code's own memory, which is aligned.
        unsafe { self.area.add(offset as usize).cast() }
    }

    fn info(&self, reg: Reg) -> Info {
        self.machine.code.regs[reg.0 as usize]
    }

    /// The address of a register, unless it is only at its home.
    fn find<T>(&self, reg: Reg) -> Option<*mut T> {
        let (info, area) = (self.info(reg), self.machine.area);
        match self.machine.places[reg.0 as usize] {
            Place::Register(number) => {
                let number = u32::from(number);
                Some(if self.machine.target.is_vector(info.class) {
                    self.at(area.vectors + number * 64)
                } else if info.class == Class::Int {
                    self.at(area.ints + number * 8)
                } else {
                    self.at(area.masks + number * 8)
                })
            }
            Place::Spill(offset) => Some(self.at(offset)),
            Place::Home | Place::None => None,
        }
    }

    pub(super) fn int(&self, reg: Reg) -> u64 {
        // SAFETY: a saved register.
        self.find::<u64>(reg).map_or(0, |at| unsafe { *at })
    }

    fn set_int(&self, reg: Reg, bits: u64) {
        if let Some(at) = self.find::<u64>(reg) {
            // SAFETY: a saved register.
            unsafe { *at = bits };
        }
    }

    /// One lane of a vector.
    fn lane(&self, reg: Reg, lane: usize) -> u32 {
        if let Some(at) = self.find::<u32>(reg) {
            // SAFETY: a saved vector.
            return unsafe { *at.add(lane) };
        }
        match self.info(reg).home {
            // SAFETY: offsets of a program are inside its frame.
            Some(Home::Lanes(offset)) => unsafe {
                *self.frame.add(offset as usize).cast::<u32>().add(self.first + lane)
            },
            // SAFETY: as above.
            Some(Home::Slot(offset)) => unsafe { *self.frame.add(offset as usize).cast::<u32>() },
            Some(Home::Constant(bits)) => bits,
            Some(Home::Table(numbers)) => numbers[lane],
            Some(Home::Iota { first, factor }) => (first + lane as u32).wrapping_mul(factor),
            None => 0,
        }
    }

    fn set_lane(&self, reg: Reg, lane: usize, bits: u32) {
        if let Some(at) = self.find::<u32>(reg) {
            // SAFETY: a saved vector.
            unsafe { *at.add(lane) = bits };
        }
    }

    fn bit(&self, reg: Reg, lane: usize) -> bool {
        if self.machine.target.mask_registers {
            // SAFETY: a saved mask.
            return self.find::<u16>(reg).is_some_and(|at| unsafe { *at } & 1 << lane != 0);
        }
        self.lane(reg, lane) >> 31 != 0
    }

    fn set_bit(&self, reg: Reg, lane: usize, bit: bool) {
        if !self.machine.target.mask_registers {
            return self.set_lane(reg, lane, if bit { u32::MAX } else { 0 });
        }
        if let Some(at) = self.find::<u16>(reg) {
            // SAFETY: a saved mask.
            unsafe { *at = *at & !(1 << lane) | u16::from(bit) << lane };
        }
    }

    /// The register that contains a lane of the strip, and the lane in it.
    fn part<'r>(&self, regs: &'r [Reg], lane: usize) -> (Reg, usize, &'r [Reg]) {
        let lanes = self.machine.code.lanes as usize;
        (regs[(lane / lanes).min(regs.len() - 1)], lane % lanes, regs)
    }

    /// The offset of an access in a lane.
    pub(super) fn offset(&self, access: &Access, lane: usize) -> i64 {
        let mut offset = self.int(access.offset) as i64;
        for term in &access.terms {
            let index = match &term.index {
                LaneIndex::Affine { first, stride } => {
                    (self.int(*first) as u32).wrapping_add(stride.wrapping_mul(lane as u32))
                }
                LaneIndex::Apart { first, by } => (self.int(*first) as u32).wrapping_add(by[lane]),
                LaneIndex::Lanes(regs) => {
                    let (reg, lane, _) = self.part(regs, lane);
                    self.lane(reg, lane)
                }
                LaneIndex::Wide { low, high } => {
                    let index = self.wide(low, high, lane) as i64;
                    offset = offset.wrapping_add(index.wrapping_mul(term.scale));
                    continue;
                }
            };
            let index = if term.signed { i64::from(index as i32) } else { i64::from(index) };
            offset = offset.wrapping_add(index.wrapping_mul(term.scale));
        }
        offset
    }

    /// The pointer of an access in a lane.
    fn pointer(&self, access: &Access, lane: usize) -> u64 {
        let number = match access.region {
            RegionRef::Number(number) => u64::from(number),
            RegionRef::Found(reg) => self.int(reg),
            RegionRef::Thread { .. } => unreachable!("only memory that threads share is observed"),
        };
        (number << OFFSET_BITS).wrapping_add(self.offset(access, lane) as u64)
    }

    /// The lanes of the strip whose masks are set, as bits.
    pub(super) fn active(&self, masks: &[Reg]) -> u32 {
        let bit = |lane: usize| {
            let (reg, lane, _) = self.part(masks, lane);
            self.bit(reg, lane)
        };
        (0..self.machine.lanes).map(|lane| u32::from(bit(lane)) << lane).sum()
    }

    /// A 64-bit number in a lane of the strip.
    fn wide(&self, low: &[Reg], high: &[Reg], lane: usize) -> u64 {
        let [low, high] = [low, high].map(|regs| {
            let (reg, lane, _) = self.part(regs, lane);
            u64::from(self.lane(reg, lane))
        });
        high << 32 | low
    }

    /// An operand in a lane of the strip, in widened bits.
    pub(super) fn get(&self, operand: &Operand, lane: usize) -> u64 {
        match operand {
            Operand::Int { reg, bool: true } => self.int(*reg) & 1,
            Operand::Int { reg, bool: false } => self.int(*reg),
            Operand::Lanes(regs) => {
                let (reg, lane, _) = self.part(regs, lane);
                self.lane(reg, lane).into()
            }
            Operand::Masks(regs) => {
                let (reg, lane, _) = self.part(regs, lane);
                self.bit(reg, lane).into()
            }
            Operand::Wide { low, high } => self.wide(low, high, lane),
            Operand::Part { words, byte, .. } => {
                let (reg, lane, _) = self.part(words, lane);
                (self.lane(reg, lane) >> (8 * byte)).into()
            }
        }
    }

    pub(super) fn set(&self, operand: &Operand, lane: usize, bits: u64) {
        match operand {
            Operand::Int { reg, bool: true } => {
                self.set_int(*reg, if bits != 0 { u32::MAX.into() } else { 0 });
            }
            Operand::Int { reg, bool: false } => self.set_int(*reg, bits),
            Operand::Lanes(regs) => {
                let (reg, lane, _) = self.part(regs, lane);
                self.set_lane(reg, lane, bits as u32);
            }
            Operand::Masks(regs) => {
                let (reg, lane, _) = self.part(regs, lane);
                self.set_bit(reg, lane, bits != 0);
            }
            Operand::Part { words, byte, bytes: size } => {
                let (reg, lane, _) = self.part(words, lane);
                let all = u32::MAX >> (32 - 8 * size) << (8 * byte);
                let word = self.lane(reg, lane) & !all | (bits as u32) << (8 * byte) & all;
                self.set_lane(reg, lane, word);
            }
            Operand::Wide { low, high } => {
                for (regs, bits) in [(low, bits), (high, bits >> 32)] {
                    let (reg, lane, _) = self.part(regs, lane);
                    self.set_lane(reg, lane, bits as u32);
                }
            }
        }
    }
}

/// The one function that machine code calls, see [`Slow`].
///
/// # Safety
/// Only the code of `machine` may call it, with the arguments that it was called with.
unsafe extern "C" fn slow(
    area: *mut u8,
    site: u32,
    machine: *const Machine,
    frame: *mut u8,
    wave: *mut Wave,
) -> u32 {
    // SAFETY: the code passes the arguments of its caller.
    let (machine, wave) = unsafe { (&*machine, &mut *wave) };
    let mut saved = Saved { machine, area, frame, first: 0 };
    // SAFETY: two of the saved registers: four times the first lane, and the watchdog's budget.
    let (offset, budget) = unsafe {
        let ints = |register| saved.at::<u64>(machine.area.ints + register * 8);
        (*ints(machine.target.first_lane), ints(machine.target.budget))
    };
    saved.first = offset as usize / 4;
    let (site_number, site) = (site, &machine.code.sites[site as usize]);
    let mut stopped_wave = &raw mut *wave;
    let stopped = match &site.what {
        SiteKind::Clock => {
            // SAFETY: a saved register, and the place of the threadgroup that runs.
            let verdict = unsafe { (*wave.place).watch.check(&mut *budget.cast::<i64>()) };
            match verdict {
                Verdict::Continue => None,
                Verdict::Aborted => Some(None),
                Verdict::TimedOut => Some(Some((wave.first(), Wrong::Watchdog))),
            }
        }
        SiteKind::Barrier(exec) => {
            let lanes = saved.active(exec) << saved.first;
            // SAFETY: the SIMD-group's threadgroups, which run now.
            let ended =
                unsafe { at_barrier(machine, area, wave, lanes, (site_number, site.number)) };
            ended.err().map(|(other, lane, wrong)| {
                stopped_wave = other;
                Some((lane, wrong))
            })
        }
        SiteKind::Access(access) => {
            // Scalars that were joined are read piece by piece, as in the bytecode.
            let pieces = if access.joined { PIECE } else { access.data.len() };
            let ended = access.data.chunks(pieces).enumerate().try_for_each(|(piece, data)| {
                let first = (piece * pieces) as i64 * i64::from(access.scalar.bytes());
                lanes_one_by_one(&saved, access, first, data, wave)
            });
            ended.err().map(Some)
        }
        SiteKind::Atomic { access, run, operands } => {
            // SAFETY: the SIMD-group is the one that called.
            unsafe { atomic(&saved, access, *run, operands, wave) }.err().map(Some)
        }
        SiteKind::Matrix(access) => {
            // SAFETY: the SIMD-group is the one that called.
            unsafe { matrix(&saved, access, wave) }.err().map(Some)
        }
        SiteKind::Probe { imm, value: number, exec, pointer, stored } => {
            let active = match exec[..] {
                [] => wave.exec,
                _ => saved.active(exec) << saved.first,
            };
            let outer = std::mem::replace(&mut wave.exec, active);
            // SAFETY: the checker is the worker's, which runs one SIMD-group at a time.
            if let Some(probes) = unsafe { wave.probes.as_mut() } {
                let lane_of = |lane: usize| lane - saved.first;
                let pointer = |lane: usize| {
                    pointer.as_ref().map_or(0, |access| saved.pointer(access, lane_of(lane)))
                };
                let value = |lane: usize| {
                    stored.as_ref().map_or(0, |stored| saved.get(stored, lane_of(lane)))
                };
                // SAFETY: the words of a run's sites follow its instruction, and the regions are the launch's.
                unsafe {
                    let at = wave.native.add(1 + site.number as usize);
                    if let Some(site) = probes.observe(wave, at, *imm, pointer, value) {
                        probes
                            .checker
                            .iter_mut()
                            .for_each(|checker| checker.publish(*number, site));
                    }
                }
            }
            wave.exec = outer;
            None
        }
        SiteKind::Unwritten { bytes, access } => {
            let active = saved.active(&access.exec);
            for lane in (0..machine.lanes).filter(|lane| active >> lane & 1 != 0) {
                // SAFETY: the checker is the worker's, and the regions are the launch's.
                let bits = unsafe { unwritten(wave, saved.pointer(access, lane), *bytes) };
                saved.set(&access.data[0], lane, bits.into());
            }
            None
        }
        SiteKind::Operation { run, args, result, once } => {
            // SAFETY: handlers of the table of semantics only read and write their operands.
            unsafe { operation(&saved, *run, args, result, *once, wave) };
            None
        }
    };
    let Some(stopped) = stopped else { return 0 };
    // SAFETY: the SIMD-group that called, or another of its threadgroup.
    let wave = unsafe { &mut *stopped_wave };
    // SAFETY: the state that the SIMD-group runs with, if it has one.
    if let Some(groups) = unsafe { wave.groups.as_mut() } {
        groups.stopped = wave;
    }
    wave.stop = match stopped {
        None => Stop::Aborted,
        Some((lane, wrong)) => {
            // SAFETY: the words of a run's sites follow its instruction.
            let at = unsafe { wave.native.add(1 + site.number as usize) };
            Stop::Fault(at, lane, wrong)
        }
    };
    1
}

/// Does an access for the active lanes one after the other, and checks each: of adjacent components, those that begin
/// `first` bytes after the address. An error has the first lane that is wrong.
fn lanes_one_by_one(
    saved: &Saved<'_>,
    access: &Access,
    first: i64,
    data: &[Operand],
    wave: &Wave,
) -> Result<(), (u32, Wrong)> {
    let none =
        Region { base: std::ptr::null_mut(), bytes: 0, slack: 0, writable: false, alone: false };
    let (number, region) = match access.region {
        RegionRef::Number(number) => (number, None),
        RegionRef::Found(reg) => (saved.int(reg) as u32, None),
        RegionRef::Thread { bytes, .. } => {
            let base = wave.thread_memory;
            (0, Some(Region { base, bytes: bytes.into(), writable: true, ..none }))
        }
    };
    let region = match region {
        Some(region) => region,
        // SAFETY: the number is in the table.
        None if number < wave.region_count => unsafe { *wave.regions.add(number as usize) },
        None => none,
    };
    let size = access.scalar.bytes();
    let total = i64::from(size) * data.len() as i64;
    let end = region.bytes as i64 + if access.write { 0 } else { i64::from(region.slack) };
    let last = if access.write && !region.writable { -1 } else { end - total };
    let active = saved.active(&access.exec);
    for lane in (0..saved.machine.lanes).filter(|lane| active >> lane & 1 != 0) {
        let offset = saved.offset(access, lane).wrapping_add(first);
        if !(0..=last).contains(&offset) {
            // The report finds which of joined loads it is.
            let start = if access.joined { offset.wrapping_sub(first) } else { offset };
            return Err(((saved.first + lane) as u32, wrong(access, number, start)));
        }
        for (component, data) in data.iter().enumerate() {
            let at = offset as usize + component * size as usize;
            if let RegionRef::Thread { start, .. } = access.region {
                let lane_number = saved.first + lane;
                // SAFETY: the bytes of a lane of thread memory, all in bounds.
                unsafe {
                    let byte = |b| thread_byte(region.base, lane_number, start as usize + at + b);
                    let mut raw = [0; 8];
                    if access.write {
                        write(access.scalar, raw.as_mut_ptr(), saved.get(data, lane));
                        (0..size as usize).for_each(|b| *byte(b) = raw[b]);
                    } else {
                        (0..size as usize).for_each(|b| raw[b] = *byte(b));
                        saved.set(data, lane, read(access.scalar, raw.as_ptr()));
                    }
                }
                continue;
            }
            // SAFETY: the whole access is in bounds.
            let at = unsafe { region.base.add(at) };
            if access.write {
                // SAFETY: as above.
                unsafe { write(access.scalar, at, saved.get(data, lane)) };
            } else {
                // SAFETY: as above.
                let bits = unsafe { read(access.scalar, at) };
                if access.terms.is_empty() {
                    // One address for all lanes.
                    (0..saved.machine.lanes).for_each(|lane| saved.set(data, lane, bits));
                } else {
                    saved.set(data, lane, bits);
                }
            }
        }
        // The same for all lanes: what a store writes is uniform, or was found for the last lane.
        if !matches!(access.region, RegionRef::Thread { .. }) && access.terms.is_empty() {
            break;
        }
    }
    Ok(())
}

/// The facts about an access for a report.
fn wrong(access: &Access, region: u32, offset: i64) -> Wrong {
    let (bytes, write) = (access.scalar.bytes() * access.data.len() as u32, access.write);
    match access.region {
        RegionRef::Thread { local, .. } => Wrong::ThreadAccess { local, offset, bytes, write },
        _ => Wrong::Access { region, offset, bytes, write },
    }
}

/// Reads a scalar, widened.
///
/// # Safety
/// The scalar's bytes can be read.
unsafe fn read(scalar: Scalar, at: *const u8) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        match scalar {
            Scalar::Bool => u64::from(*at != 0),
            Scalar::I8 => u64::from(*at.cast::<i8>() as i32 as u32),
            Scalar::U8 => u64::from(*at),
            Scalar::I16 => u64::from(at.cast::<i16>().read_unaligned() as i32 as u32),
            Scalar::U16 => u64::from(at.cast::<u16>().read_unaligned()),
            Scalar::F16 => f16_value(at.cast::<u16>().read_unaligned()).to_bits().into(),
            Scalar::BF16 => u64::from(at.cast::<u16>().read_unaligned()) << 16,
            Scalar::I32 | Scalar::U32 | Scalar::F32 => u64::from(at.cast::<u32>().read_unaligned()),
            Scalar::I64 | Scalar::U64 => at.cast::<u64>().read_unaligned(),
        }
    }
}

/// Writes a scalar from widened bits.
///
/// # Safety
/// The scalar's bytes can be written.
unsafe fn write(scalar: Scalar, at: *mut u8, bits: u64) {
    // SAFETY: the caller's.
    unsafe {
        match scalar.bytes() {
            1 => *at = bits as u8,
            2 => at.cast::<u16>().write_unaligned(bits as u16),
            4 => at.cast::<u32>().write_unaligned(bits as u32),
            _ => at.cast::<u64>().write_unaligned(bits),
        }
    }
}

/// The interpreter's instruction for a run: calls its machine code.
///
/// # Safety
/// As [`Run`](crate::soft::cpu::interp::code::Run), of an instruction whose immediate is a [`Run`].
pub(crate) unsafe fn native(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
    // SAFETY: the caller's; runs live as long as the code that names them.
    unsafe {
        let ins = &*ip;
        let run = &*(ins.imm as usize as *const Run);
        let place = &*wave.place;
        wave.native = ip;
        match run.machine(place.fit()) {
            Some(machine) if machine.call(frame, wave) => ip.add(ins.a as usize),
            Some(_) => std::ptr::null(),
            None => unreachable!("the program found that there is executable memory"),
        }
    }
}
