//! Handlers of memory accesses, with bounds checked in bulk: one check for all 32 lanes of a uniform or contiguous
//! access; otherwise the lowest and the highest offset are checked.
//!
//! An address is a region of the launch, a lane's index times a scale, and a displacement. The region is
//! known at compile time, or is that of a pointer at run time: a pointer is a region's number in
//! the high 16 bits and a signed byte offset in the low 48, so that null is 0 and arithmetic on it is
//! plain addition. Offsets are computed modulo 2^64; the check applies to the final offset.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::code::{Handler, Ins, LANES, Run, Wave, Wrong, function, get, take_lane};
use super::indexed::{Index, Indexed, contiguous};
use super::lanes::Lane;
use super::prepared::{Found, Prepared};
use super::thread::Thread;
use crate::soft::ir::half::{f16_bits, f16_value};
use crate::soft::ir::{Scalar, Type};
use crate::soft::kernel::order::Random;

/// Memory that a launch may access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// Its start.
    pub(crate) base: *mut u8,
    /// Its length, below 2^47.
    pub(crate) bytes: u64,
    /// Bytes past its end that may be read.
    pub(crate) slack: u32,
    /// Whether it may be written.
    pub(crate) writable: bool,
    /// Whether only the thread that runs the threadgroup accesses it: atomics then need no lock.
    pub(crate) alone: bool,
}

/// The number of a pointer's bits that are its offset.
pub(crate) const OFFSET_BITS: u32 = 48;

/// The region's number and the offset of a pointer. Half of the offset's range is added first, so that a
/// negative offset does not borrow from the number.
#[inline(always)]
pub(crate) fn split(pointer: u64) -> (u32, i64) {
    let number = pointer.wrapping_add(1 << (OFFSET_BITS - 1)) >> OFFSET_BITS;
    (number as u32, ((pointer << (64 - OFFSET_BITS)) as i64) >> (64 - OFFSET_BITS))
}

/// The bits of `Ins::d` of an access: a region's number or the slot of a uniform pointer, and flags.
pub(crate) mod place {
    /// The number of the region or the offset of the slot.
    pub(crate) const NUMBER: u32 = (1 << 24) - 1;
    /// A slot holds the pointer.
    pub(crate) const POINTER: u32 = 1 << 31;
    /// The lane indices are signed.
    pub(crate) const SIGNED: u32 = 1 << 30;
    /// The uniform part is a byte offset of 64 bits; else it is added to the index, in 32 bits.
    pub(crate) const OFFSET: u32 = 1 << 29;
    /// The 64-bit lane values are whole pointers.
    pub(crate) const LANE_POINTERS: u32 = 1 << 28;
}

/// A type in memory, and in a register.
pub(crate) trait Element: Copy {
    /// In memory.
    type Memory: Copy;
    /// In a register.
    type Register: Lane;
    /// Widens.
    fn load(bits: Self::Memory) -> Self::Register;
    /// Narrows.
    fn store(value: Self::Register) -> Self::Memory;
}

macro_rules! elements {
    ($($name:ident $memory:ty, $register:ty, $load:expr, $store:expr;)*) => {$(
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;
        impl Element for $name {
            type Memory = $memory;
            type Register = $register;
            #[inline(always)]
            fn load(bits: $memory) -> $register { ($load)(bits) }
            #[inline(always)]
            fn store(value: $register) -> $memory { ($store)(value) }
        }
    )*};
}

elements! {
    MemBool u8, bool, |bits| bits != 0, u8::from;
    MemI8 u8, i32, |bits| bits as i8 as i32, |value| value as u8;
    MemU8 u8, u32, u32::from, |value| value as u8;
    MemI16 u16, i32, |bits| bits as i16 as i32, |value| value as u16;
    MemU16 u16, u32, u32::from, |value| value as u16;
    Mem32 u32, u32, |bits| bits, |value| value;
    Mem64 u64, u64, |bits| bits, |value| value;
    MemBF16 u16, u32, |bits| (bits as u32) << 16, |value| (value >> 16) as u16;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct MemF16;

impl Element for MemF16 {
    type Memory = u16;
    type Register = f32;
    #[inline(always)]
    fn load(bits: u16) -> f32 {
        f16_value(bits)
    }
    #[inline(always)]
    fn store(value: f32) -> u16 {
        f16_bits(value)
    }
}

/// The registers of the components: `a`, or for vectors the four operands of the word that follows.
///
/// # Safety
/// As [`Run`].
#[inline(always)]
pub(crate) unsafe fn registers<const W: usize>(ip: *const Ins, frame: *mut u8) -> [*mut u8; W] {
    // SAFETY: the contract of `Run`; vector accesses are followed by a word of operands.
    unsafe {
        let ins = &*ip.add(usize::from(W > 1));
        let offsets = [ins.a, ins.b, ins.c, ins.d];
        std::array::from_fn(|w| frame.add(offsets[w] as usize))
    }
}

/// The instructions that an access is: itself, and for vectors its word of operands.
pub(crate) const fn length(width: usize) -> usize {
    if width > 1 { 2 } else { 1 }
}

/// The target of an access: the region, and the sum to add to every lane's scaled index.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// The region's number.
    pub(crate) number: u32,
    /// The region's start.
    pub(crate) base: *mut u8,
    /// The last offset at which an access of the size may start; negative if there is none.
    pub(crate) last: i64,
    /// Added to every lane's offset.
    pub(crate) offset: i64,
    /// As the region's.
    pub(crate) alone: bool,
}

impl Target {
    /// Decodes the operands of an access of `bytes` bytes.
    ///
    /// # Safety
    /// As [`Run`].
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
            let mut offset = i64::from((ins.imm >> 32) as i32);
            let mut number = ins.d & place::NUMBER;
            if ins.d & place::POINTER != 0 {
                let (region, start) = split(get(frame, number));
                number = region;
                offset = offset.wrapping_add(start);
            }
            if ins.d & place::OFFSET != 0 {
                offset = offset.wrapping_add(get(frame, ins.c));
            }
            Self::region(wave, number, offset, bytes, write)
        }
    }

    /// A region by its number, for accesses of `bytes` bytes.
    ///
    /// # Safety
    /// As [`Run`].
    #[inline(always)]
    pub(crate) unsafe fn region(
        wave: &Wave,
        number: u32,
        offset: i64,
        bytes: usize,
        write: bool,
    ) -> Self {
        if number >= wave.region_count {
            let (base, last) = (std::ptr::null_mut(), -1);
            return Self { number, base, last, offset, alone: false };
        }
        // SAFETY: the number is in the table.
        let region = unsafe { &*wave.regions.add(number as usize) };
        let open = region.writable || !write;
        let readable = if write { 0 } else { i64::from(region.slack) };
        let last = if open { region.bytes as i64 + readable - bytes as i64 } else { -1 };
        Self { number, base: region.base, last, offset, alone: region.alone }
    }

    /// The fault of an access out of bounds.
    pub(crate) fn wrong(&self, offset: i64, bytes: u32, write: bool) -> Wrong {
        Wrong::Access { region: self.number, offset, bytes, write }
    }

    /// Whether an access may start at an offset.
    #[inline(always)]
    pub(crate) fn allows(&self, offset: i64) -> bool {
        0 <= offset && offset <= self.last
    }
}

/// An access at one address.
#[derive(Debug)]
pub(crate) struct Uniform<E, const W: usize>(PhantomData<E>);

/// A store to one address: of uniform values, or of varying ones, of which the last active lane's remain, or a random one's.
#[derive(Debug)]
pub(crate) struct StoreOne<E, const W: usize, const VARYING: bool>(PhantomData<E>);

/// The addresses of an access in each lane.
pub(crate) type Addresses = [*mut u8; LANES];

/// The addresses at offsets of one region, inactive lanes having the offset of an active one; or where to continue after a
/// fault.
pub(crate) fn checked(
    ip: *const Ins,
    wave: &mut Wave,
    target: &Target,
    offsets: &[i64; LANES],
    bytes: usize,
    write: bool,
) -> Result<Addresses, *const Ins> {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for &offset in offsets {
        low = low.min(offset);
        high = high.max(offset);
    }
    if !(target.allows(low) && target.allows(high)) {
        return Err(out_of_bounds(ip, wave, target, offsets, bytes as u32, write));
    }
    let mut found = [std::ptr::null_mut(); LANES];
    for (found, &offset) in found.iter_mut().zip(offsets) {
        *found = target.base.wrapping_add(offset as usize);
    }
    Ok(found)
}

/// Each lane at its own address; stores in the active lanes, the lowest first or in random order.
///
/// # Safety
/// The memory of each lane that `exec` has is there, for loads that of every lane; and the register.
#[inline(never)]
pub(crate) unsafe fn each<E: Element, const W: usize, const WRITE: bool>(
    addresses: &Addresses,
    exec: u32,
    random: &mut Option<Random>,
    registers: [*mut u8; W],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut elements = [const { [const { MaybeUninit::<E::Memory>::uninit() }; W] }; LANES];
        let place = |k: usize| addresses[k].cast::<[MaybeUninit<E::Memory>; W]>();
        if WRITE {
            // Narrows all values in vector code, then writes them one by one.
            contiguous::<E, W, true>(elements.as_mut_ptr().cast(), registers);
            let mut left = exec;
            while left != 0 {
                let k = take_lane(random, &mut left);
                place(k).write_unaligned(elements[k]);
            }
        } else {
            // Reads all values, then widens them in vector code.
            for (k, element) in elements.iter_mut().enumerate() {
                *element = place(k).read_unaligned();
            }
            contiguous::<E, W, false>(elements.as_mut_ptr().cast(), registers);
        }
    }
}

/// The form of the lanes' addresses for [`pointers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// One address.
    Uniform,
    /// 32-bit indices.
    Indexed,
    /// Prepared 64-bit offsets or pointers.
    Prepared,
}

/// The addresses of an access in each active lane, all checked, and whether they are this thread's
/// [alone](Region::alone); or the next instruction after a fault.
///
/// # Safety
/// As [`Run`].
pub(crate) unsafe fn pointers(
    ip: *const Ins,
    frame: *mut u8,
    wave: &mut Wave,
    lanes: Lanes,
    bytes: u32,
    write: bool,
) -> Result<(Addresses, bool), *const Ins> {
    let mut found = [std::ptr::null_mut(); LANES];
    let mut alone = true;
    // SAFETY: the contract of `Run`; every offset is checked.
    unsafe {
        let ins = &*ip;
        let at = Index::of(ins, frame, wave, bytes as usize, write);
        let from = frame.add(ins.b as usize);
        let whole = ins.d & place::LANE_POINTERS != 0;
        let mut left = wave.exec;
        while left != 0 {
            let k = left.trailing_zeros() as usize;
            left &= left - 1;
            let mut target = at.target;
            let offset = match lanes {
                Lanes::Uniform => target.offset,
                Lanes::Indexed => at.offset(u32::read(from, k).wrapping_add(at.bias)),
                Lanes::Prepared => {
                    let (number, start) = (*from.cast::<Found>()).lane(k, whole);
                    if whole {
                        target = Target::region(wave, number, target.offset, bytes as usize, write);
                    }
                    target.offset.wrapping_add(start)
                }
            };
            let pointer = target.base.wrapping_offset(offset as isize);
            let region = target.number;
            if !target.allows(offset) {
                let wrong = Wrong::Access { region, offset, bytes, write };
                return Err(wave.fault(ip, k as u32, wrong));
            }
            if !(pointer as usize).is_multiple_of(bytes as usize) {
                let wrong = Wrong::Misaligned { region, offset, bytes, write };
                return Err(wave.fault(ip, k as u32, wrong));
            }
            found[k] = pointer;
            alone &= target.alone;
        }
    }
    Ok((found, alone))
}

/// Stops with the first active lane whose offset is out of bounds.
#[cold]
fn out_of_bounds(
    ip: *const Ins,
    wave: &mut Wave,
    target: &Target,
    offsets: &[i64; LANES],
    bytes: u32,
    write: bool,
) -> *const Ins {
    let outside = |k: &usize| wave.exec & 1 << k != 0 && !target.allows(offsets[*k]);
    // If no single lane is out of bounds, the offsets wrapped around 2^64 in between: report the first lane.
    let lane = (0..LANES).find(outside).unwrap_or(wave.first() as usize);
    wave.fault(ip, lane as u32, target.wrong(offsets[lane], bytes, write))
}

/// The only address of an access, or where to continue if it is out of bounds.
///
/// # Safety
/// As [`Run`].
#[inline(always)]
unsafe fn one_address<E: Element, const W: usize>(
    ip: *const Ins,
    frame: *const u8,
    wave: &mut Wave,
    write: bool,
) -> Result<*mut E::Memory, *const Ins> {
    let bytes = W * size_of::<E::Memory>();
    // SAFETY: the contract of `Run`; the offset is checked.
    unsafe {
        let target = Target::of(&*ip, frame, wave, bytes, write);
        if !target.allows(target.offset) {
            let offsets = [target.offset; LANES];
            return Err(out_of_bounds(ip, wave, &target, &offsets, bytes as u32, write));
        }
        Ok(target.base.add(target.offset as usize).cast::<E::Memory>())
    }
}

impl<E: Element, const W: usize> Handler for Uniform<E, W> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the address is checked.
        unsafe {
            let memory = match one_address::<E, W>(ip, frame, wave, false) {
                Ok(memory) => memory,
                Err(next) => return next,
            };
            for (w, register) in registers::<W>(ip, frame).into_iter().enumerate() {
                E::Register::write_slot(register, E::load(memory.add(w).read_unaligned()));
            }
            ip.add(length(W))
        }
    }
}

impl<E: Element, const W: usize, const VARYING: bool> Handler for StoreOne<E, W, VARYING> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the address is checked.
        unsafe {
            let memory = match one_address::<E, W>(ip, frame, wave, true) {
                Ok(memory) => memory,
                Err(next) => return next,
            };
            let lane = match (&mut wave.random, VARYING) {
                (_, false) => 0,
                (None, true) => 31 - wave.exec.leading_zeros() as usize,
                (Some(random), true) => random.bit(wave.exec) as usize,
            };
            for (w, register) in registers::<W>(ip, frame).into_iter().enumerate() {
                memory.add(w).write_unaligned(E::store(E::Register::read(register, lane)));
            }
            ip.add(length(W))
        }
    }
}

/// Which of the handlers above an access needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// [`Indexed`]
    Indexed { write: bool },
    /// [`Prepared`]
    Prepared { write: bool },
    /// [`Uniform`]
    Uniform,
    /// [`StoreOne`] of varying values
    StoreLast,
    /// [`StoreOne`] of uniform values
    StoreOnce,
    /// [`Thread`]
    Thread { write: bool, lanewise: bool },
}

impl Access {
    /// The handler for a value of type `ty`.
    pub(crate) fn handler(self, ty: Type) -> Run {
        let width = ty.width();
        match ty.scalar() {
            Some(Scalar::Bool) => self.sized::<MemBool>(width),
            Some(Scalar::I8) => self.sized::<MemI8>(width),
            Some(Scalar::U8) => self.sized::<MemU8>(width),
            Some(Scalar::I16) => self.sized::<MemI16>(width),
            Some(Scalar::U16) => self.sized::<MemU16>(width),
            Some(Scalar::I32 | Scalar::U32 | Scalar::F32) => self.sized::<Mem32>(width),
            Some(Scalar::F16) => self.sized::<MemF16>(width),
            Some(Scalar::BF16) => self.sized::<MemBF16>(width),
            Some(Scalar::I64 | Scalar::U64) | None => self.sized::<Mem64>(width),
        }
    }

    fn sized<E: Element>(self, width: u32) -> Run {
        match width {
            2 => self.shaped::<E, 2>(),
            3 => self.shaped::<E, 3>(),
            4 => self.shaped::<E, 4>(),
            _ => self.shaped::<E, 1>(),
        }
    }

    fn shaped<E: Element, const W: usize>(self) -> Run {
        match self {
            Self::Indexed { write: false } => function::<Indexed<E, W, false>>(),
            Self::Indexed { write: true } => function::<Indexed<E, W, true>>(),
            Self::Prepared { write: false } => function::<Prepared<E, W, false>>(),
            Self::Prepared { write: true } => function::<Prepared<E, W, true>>(),
            Self::Uniform => function::<Uniform<E, W>>(),
            Self::StoreLast => function::<StoreOne<E, W, true>>(),
            Self::StoreOnce => function::<StoreOne<E, W, false>>(),
            Self::Thread { write: false, .. } => function::<Thread<E, false>>(),
            Self::Thread { write: true, .. } => function::<Thread<E, true>>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_carry_their_region_through_negative_offsets() {
        let pointer = 5u64 << OFFSET_BITS;
        assert_eq!(split(pointer), (5, 0));
        assert_eq!(split(pointer.wrapping_sub(4)), (5, -4));
        assert_eq!(split(pointer.wrapping_add(1 << 40)), (5, 1 << 40));
        assert_eq!(split(0), (0, 0));
    }
}
