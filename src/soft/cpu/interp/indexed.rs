//! Handlers of accesses by 32-bit indices, the most frequent kind: with fast paths for lanes that turn out to be
//! adjacent, and a general case for lanes at any distance.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::code::{Handler, Ins, Wave, get};
use super::isa::{Baseline, Isa, LANES, prefetch};
use super::lanes::Lane;
use super::memory::{Element, Mem32, Target, checked, length, place, registers};

/// An access of 32 lanes by 32-bit indices: `b` the register of indices, `c` the slot of the uniform part,
/// `d` the region and flags ([`place`]), `imm` the scale and, above it, the displacement.
#[derive(Debug)]
pub(crate) struct Indexed<E, const W: usize, const WRITE: bool>(PhantomData<E>);

impl<E: Element, const W: usize, const WRITE: bool> Handler for Indexed<E, W, WRITE> {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; every offset is checked before it is accessed.
        unsafe {
            let ins = &*ip;
            let bytes = W * size_of::<E::Memory>();
            let indices = frame.add(ins.b as usize).cast::<u32>();
            let at = Index::of(ins, frame, wave, bytes, WRITE);
            let adjacent = at.scale == bytes as i64;
            // Inactive lanes may be read, if that is in bounds, but never written.
            let all = !WRITE || wave.exec == u32::MAX;
            let words = W == 1 && size_of::<E::Memory>() == 4;
            if adjacent && I::is_run::<LANES>(indices) {
                if let Some(low) = at.run(*indices, LANES as u32)
                    && (all || words)
                {
                    let memory = at.target.base.add(low);
                    if all {
                        if !WRITE {
                            ask_ahead(at.target.last, low, memory, LANES * bytes);
                        }
                        contiguous::<I, E, W, WRITE>(memory.cast(), registers(ip, frame));
                    } else {
                        let from = &*frame.add(ins.a as usize).cast::<[u32; LANES]>();
                        I::store_where(memory.cast(), from, wave.exec);
                    }
                    return ip.add(length(W));
                }
            } else if words && all {
                // Rows of a two-dimensional threadgroup.
                if let (Some(low), Some(high)) =
                    (at.half::<I>(indices, adjacent), at.half::<I>(indices.add(HALF), adjacent))
                    && (!WRITE || low.1 && high.1)
                {
                    let lanes = frame.add(ins.a as usize).cast::<[u32; HALF]>();
                    for (number, (start, run)) in [low, high].into_iter().enumerate() {
                        let memory = at.target.base.add(start);
                        let (lanes, row) = (lanes.add(number), memory.cast::<[u32; HALF]>());
                        if WRITE {
                            row.write_unaligned(*lanes);
                        } else if run {
                            *lanes = row.read_unaligned();
                        } else {
                            *lanes = [memory.cast::<u32>().read_unaligned(); HALF];
                        }
                    }
                    return ip.add(1);
                }
            }
            if !WRITE
                && let (Some((low, false)), Some((high, false))) =
                    (at.half::<I>(indices, false), at.half::<I>(indices.add(HALF), false))
            {
                // Each row of a two-dimensional threadgroup reads one address.
                let [low, high] = [low, high].map(|start| at.target.base.add(start).cast());
                halves::<I, E, W>(low, high, registers(ip, frame));
                return ip.add(length(W));
            }
            if words || !WRITE {
                // The common cases are compiled for every instruction set; the general case only for the baseline.
                return I::apart::<EachIndex<E, W, WRITE>>(ip, frame, wave);
            }
            Baseline::apart::<EachIndex<E, W, WRITE>>(ip, frame, wave)
        }
    }
}

/// The common case of [`Indexed`]: words of an argument, by unsigned indices plus a bias. Lowering chooses it;
/// whether the lanes are adjacent is tested here.
///
/// With `GRID` the index is the thread's position in the grid, which is only computed if lanes are not
/// adjacent, or not all active.
#[derive(Debug)]
pub(crate) struct Row<const WRITE: bool, const GRID: bool>;

impl<const WRITE: bool, const GRID: bool> Handler for Row<WRITE, GRID> {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        const BYTES: i64 = 4 * LANES as i64;
        // SAFETY: the contract of `Run`; the number is that of an argument, and the row is checked before
        // it is accessed.
        unsafe {
            let ins = &*ip;
            let indices = frame.add(ins.b as usize).cast::<u32>();
            let region = &*wave.regions.add(ins.d as usize);
            let (start, is_run) = if GRID {
                (*wave.place).row(wave.number)
            } else {
                (*indices, I::is_run::<LANES>(indices))
            };
            let first = start.wrapping_add(get(frame, ins.c));
            let low = 4 * i64::from(first) + i64::from((ins.imm >> 32) as i32);
            let inside = low >= 0 && low <= region.bytes as i64 - BYTES;
            // After the largest index comes 0: that is not a row.
            let straight = is_run && first <= u32::MAX - LANES as u32;
            let open = !WRITE || region.writable && wave.exec == u32::MAX;
            if !(inside && straight && open) {
                return if GRID {
                    I::apart::<RowInGrid<WRITE>>(ip, frame, wave)
                } else {
                    I::apart::<Indexed<Mem32, 1, WRITE>>(ip, frame, wave)
                };
            }
            let memory = region.base.add(low as usize);
            let lanes = frame.add(ins.a as usize).cast::<[u32; LANES]>();
            if WRITE {
                memory.cast::<[u32; LANES]>().write_unaligned(*lanes);
            } else {
                ask_ahead(region.bytes as i64 - BYTES, low as usize, memory, BYTES as usize);
                *lanes = memory.cast::<[u32; LANES]>().read_unaligned();
            }
            ip.add(1)
        }
    }
}

/// The general case of a [`Row`] by the position in the grid.
#[derive(Debug)]
struct RowInGrid<const WRITE: bool>;

impl<const WRITE: bool> Handler for RowInGrid<WRITE> {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; `b` is the register that is reserved for the positions.
        unsafe {
            let to = frame.add((*ip).b as usize).cast::<[u32; LANES]>();
            *to = (*wave.place).in_grid(wave.number, 0);
            Indexed::<Mem32, 1, WRITE>::run::<I>(ip, frame, wave)
        }
    }
}

/// Half of the lanes.
const HALF: usize = LANES / 2;

/// How 32-bit indices become offsets.
pub(crate) struct Index {
    /// The region, and the sum that is added to each offset.
    pub(crate) target: Target,
    /// Added to each index, in 32 bits.
    pub(crate) bias: u32,
    scale: i64,
    signed: bool,
}

impl Index {
    /// Decodes the operands of an access of `bytes` bytes.
    ///
    /// # Safety
    /// As [`Run`](super::code::Run).
    #[inline(always)]
    pub(crate) unsafe fn of(
        ins: &Ins,
        frame: *const u8,
        wave: &Wave,
        bytes: usize,
        write: bool,
    ) -> Self {
        // SAFETY: the contract of `Run`.
        unsafe {
            Self {
                target: Target::of(ins, frame, wave, bytes, write),
                bias: if ins.d & place::OFFSET != 0 { 0 } else { get(frame, ins.c) },
                scale: i64::from(ins.imm as u32),
                signed: ins.d & place::SIGNED != 0,
            }
        }
    }

    /// The offset of an index to which the bias was added.
    #[inline(always)]
    pub(crate) fn offset(&self, index: u32) -> i64 {
        let wide = if self.signed { i64::from(index as i32) } else { i64::from(index) };
        wide.wrapping_mul(self.scale).wrapping_add(self.target.offset)
    }

    /// The offset of a run of indices that starts with one, if all of it may be accessed.
    #[inline(always)]
    fn run(&self, first: u32, count: u32) -> Option<usize> {
        let first = first.wrapping_add(self.bias);
        let low = self.offset(first);
        let high = self.offset(first.wrapping_add(count - 1));
        (low <= high && self.target.allows(low) && self.target.allows(high)).then_some(low as usize)
    }

    /// The offset of half of the lanes, if they are a run of adjacent elements (then `true`) or all the same.
    ///
    /// # Safety
    /// The indices are initialised.
    #[inline(always)]
    unsafe fn half<I: Isa>(&self, indices: *const u32, adjacent: bool) -> Option<(usize, bool)> {
        // SAFETY: the caller's.
        unsafe {
            if adjacent && I::is_run::<HALF>(indices) {
                return Some((self.run(*indices, HALF as u32)?, true));
            }
            if I::is_same::<HALF>(indices) { Some((self.run(*indices, 1)?, false)) } else { None }
        }
    }
}

/// Prefetches memory that later SIMD-groups will read if they continue after the `bytes` bytes of this one: two
/// loads are too many instructions apart for the processor to overlap them by itself. `last` is the last
/// offset at which such an access may start.
#[inline(always)]
pub(crate) fn ask_ahead(last: i64, low: usize, from: *const u8, bytes: usize) {
    if (low + AHEAD) as i64 <= last {
        for line in (0..bytes).step_by(64) {
            prefetch(from.wrapping_add(AHEAD + line));
        }
    }
}

/// The prefetch distance of contiguous loads: about as many bytes as are processed in the latency of memory.
pub(crate) const AHEAD: usize = 2048;

/// The general case of [`Indexed`].
#[derive(Debug)]
struct EachIndex<E, const W: usize, const WRITE: bool>(PhantomData<E>);

impl<E: Element, const W: usize, const WRITE: bool> Handler for EachIndex<E, W, WRITE> {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; every offset is checked before it is accessed.
        unsafe {
            let at = Index::of(&*ip, frame, wave, W * size_of::<E::Memory>(), WRITE);
            let indices = *frame.add((*ip).b as usize).cast::<[u32; LANES]>();
            // Inactive lanes read at the address of the first active one.
            let first = indices[wave.first() as usize];
            let mask = I::spread(wave.exec);
            let mut offsets = [0; LANES];
            for (k, offset) in offsets.iter_mut().enumerate() {
                let index = indices[k] & mask[k] | first & !mask[k];
                *offset = at.offset(index.wrapping_add(at.bias));
            }
            checked::<I, E, W, WRITE>(ip, frame, wave, &at.target, &offsets)
        }
    }
}

/// Reads one element for the lower half of the lanes and another for the upper half.
///
/// # Safety
/// Both elements and the register are valid.
#[inline(always)]
unsafe fn halves<I: Isa, E: Element, const W: usize>(
    low: *const E::Memory,
    high: *const E::Memory,
    registers: [*mut u8; W],
) {
    // SAFETY: the caller's.
    unsafe {
        for (w, register) in registers.into_iter().enumerate() {
            let read = |from: *const E::Memory| E::load(from.add(w).read_unaligned()).cell();
            let (low, high) = (read(low), read(high));
            let mut cells = [const { MaybeUninit::uninit() }; LANES];
            for (k, cell) in cells.iter_mut().enumerate() {
                cell.write(if k < HALF { low } else { high });
            }
            E::Register::write::<I>(register, &cells);
        }
    }
}

/// Accesses 32 lanes that are adjacent in memory.
///
/// # Safety
/// The memory and the register are valid.
#[inline(always)]
pub(crate) unsafe fn contiguous<I: Isa, E: Element, const W: usize, const WRITE: bool>(
    memory: *mut E::Memory,
    registers: [*mut u8; W],
) {
    // SAFETY: the caller's.
    unsafe {
        if WRITE {
            // Through an array, as the compiler cannot know that memory and registers do not overlap.
            let mut elements = [const { [const { MaybeUninit::uninit() }; W] }; LANES];
            for (w, register) in registers.into_iter().enumerate() {
                for (k, element) in elements.iter_mut().enumerate() {
                    element[w].write(E::store(E::Register::read(register, k)));
                }
            }
            let from = elements.as_ptr().cast::<u8>();
            from.copy_to_nonoverlapping(memory.cast(), size_of_val(&elements));
        } else {
            for (w, register) in registers.into_iter().enumerate() {
                let mut elements = [const { MaybeUninit::uninit() }; LANES];
                for (k, element) in elements.iter_mut().enumerate() {
                    element.write(memory.add(k * W + w).read_unaligned());
                }
                E::load_all::<I>(register, &elements);
            }
        }
    }
}
