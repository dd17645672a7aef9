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
use super::indexed::{Index, indexed};
use super::lanes::{Lane, fill};
use super::prepared::{Found, prepared};
use super::thread::thread;
use crate::soft::ir::half::{f16_bits, f16_value};
use crate::soft::ir::{Scalar, Type};

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
    /// The lowest of two bits that are one less than the number of components.
    pub(crate) const WIDTH: u32 = 24;

    /// The bits for a number of components, 1 to 4.
    pub(crate) const fn width_bits(width: usize) -> u32 {
        (width as u32 - 1) << WIDTH
    }

    /// The number of components.
    pub(crate) const fn width(bits: u32) -> usize {
        (bits >> WIDTH & 3) as usize + 1
    }
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

/// The properties in which accesses to elements of different types differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// The bytes of one in memory.
    pub(crate) size: usize,
    /// Whether it is a store.
    pub(crate) write: bool,
    /// [`adjacent`] for the type.
    pub(crate) adjacent: unsafe fn(memory: *mut u8, registers: &Registers, width: usize),
}

impl Form {
    /// The form of loads or stores of a type.
    pub(crate) const fn of<E: Element, const WRITE: bool>() -> Self {
        Self { size: size_of::<E::Memory>(), write: WRITE, adjacent: adjacent::<E, WRITE> }
    }
}

/// The registers of an access's components; those past their number are no addresses.
pub(crate) type Registers = [*mut u8; 4];

/// The registers of `width` components: `a`, or for vectors the four operands of the word that follows.
///
/// # Safety
/// As [`Run`].
#[inline(always)]
pub(crate) unsafe fn registers(ip: *const Ins, frame: *mut u8, width: usize) -> Registers {
    // SAFETY: the contract of `Run`; vector accesses are followed by a word of operands.
    let ins = unsafe { &*ip.add(usize::from(width > 1)) };
    [ins.a, ins.b, ins.c, ins.d].map(|offset| frame.wrapping_add(offset as usize))
}

/// Accesses 32 vectors of `width` components that are adjacent in memory.
///
/// # Safety
/// The memory and the registers are valid.
unsafe fn adjacent<E: Element, const WRITE: bool>(
    memory: *mut u8,
    registers: &Registers,
    width: usize,
) {
    for (w, &register) in registers[..width].iter().enumerate() {
        let memory = memory.cast::<E::Memory>().wrapping_add(w);
        // Through an array, as the compiler cannot know that memory and registers do not overlap; scalars are copied whole.
        let mut elements = [const { MaybeUninit::<E::Memory>::uninit() }; LANES];
        // SAFETY: the caller's.
        unsafe {
            if WRITE {
                for (k, element) in elements.iter_mut().enumerate() {
                    element.write(E::store(E::Register::read(register, k)));
                }
                if width == 1 {
                    memory.cast::<[_; LANES]>().write_unaligned(elements);
                } else {
                    for (k, element) in elements.iter().enumerate() {
                        memory.add(k * width).write_unaligned(element.assume_init());
                    }
                }
            } else {
                if width == 1 {
                    elements = memory.cast::<[_; LANES]>().read_unaligned();
                } else {
                    for (k, element) in elements.iter_mut().enumerate() {
                        element.write(memory.add(k * width).read_unaligned());
                    }
                }
                fill::<E::Register>(register, |k| E::load(elements[k].assume_init()));
            }
        }
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
/// The memory of each lane that is active is there, for loads that of every lane; and the registers.
pub(crate) unsafe fn each(
    form: &Form,
    addresses: &Addresses,
    wave: &mut Wave,
    registers: &Registers,
    width: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        match width * form.size {
            1 => each_of::<u8>(1, form, addresses, wave, registers, width),
            2 => each_of::<u16>(1, form, addresses, wave, registers, width),
            4 => each_of::<u32>(1, form, addresses, wave, registers, width),
            8 => each_of::<u64>(1, form, addresses, wave, registers, width),
            6 => each_of::<[u16; 3]>(1, form, addresses, wave, registers, width),
            12 => each_of::<[u32; 3]>(1, form, addresses, wave, registers, width),
            16 => each_of::<u128>(1, form, addresses, wave, registers, width),
            24 => each_of::<[u64; 3]>(1, form, addresses, wave, registers, width),
            32 => each_of::<[u64; 4]>(1, form, addresses, wave, registers, width),
            bytes => each_of::<u8>(bytes, form, addresses, wave, registers, width),
        }
    }
}

/// The same for vectors of `count` values of `T`.
///
/// # Safety
/// As [`each`].
#[inline(always)]
unsafe fn each_of<T: Copy>(
    count: usize,
    form: &Form,
    addresses: &Addresses,
    wave: &mut Wave,
    registers: &Registers,
    width: usize,
) {
    let mut room = [const { MaybeUninit::<[u64; 4]>::uninit() }; LANES];
    let vectors = room.as_mut_ptr().cast::<T>();
    // SAFETY: the caller's; there is room for 32 vectors of up to 32 bytes.
    unsafe {
        if form.write {
            // Narrows all values in vector code, then writes them one by one.
            (form.adjacent)(vectors.cast(), registers, width);
            let mut left = wave.exec;
            while left != 0 {
                let k = take_lane(&mut wave.random, &mut left);
                copy_words(vectors.add(k * count), addresses[k].cast(), count);
            }
        } else {
            // Reads all values, then widens them in vector code.
            for (k, address) in addresses.iter().enumerate() {
                copy_words(address.cast(), vectors.add(k * count), count);
            }
            (form.adjacent)(vectors.cast(), registers, width);
        }
    }
}

/// Copies `count` values of any alignment. If the compiler knows that it is 1, this is a load and a store.
///
/// # Safety
/// They are there, and do not overlap.
#[inline(always)]
unsafe fn copy_words<T: Copy>(from: *const T, to: *mut T, count: usize) {
    // SAFETY: the caller's.
    unsafe { from.cast::<u8>().copy_to_nonoverlapping(to.cast(), count * size_of::<T>()) }
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

/// The only address of an access of `bytes` bytes, or where to continue if it is out of bounds.
///
/// # Safety
/// As [`Run`].
unsafe fn one_address(
    ip: *const Ins,
    frame: *const u8,
    wave: &mut Wave,
    bytes: usize,
    write: bool,
) -> Result<*mut u8, *const Ins> {
    // SAFETY: the contract of `Run`; the offset is checked.
    unsafe {
        let target = Target::of(&*ip, frame, wave, bytes, write);
        if !target.allows(target.offset) {
            let offsets = [target.offset; LANES];
            return Err(out_of_bounds(ip, wave, &target, &offsets, bytes as u32, write));
        }
        Ok(target.base.add(target.offset as usize))
    }
}

/// A load from one address.
struct LoadOne<E>(PhantomData<E>);

impl<E: Element> Handler for LoadOne<E> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the address is checked.
        unsafe {
            let width = place::width((*ip).d);
            let memory = match one_address(ip, frame, wave, width * size_of::<E::Memory>(), false) {
                Ok(memory) => memory.cast::<E::Memory>(),
                Err(next) => return next,
            };
            for (w, &register) in registers(ip, frame, width)[..width].iter().enumerate() {
                E::Register::write_slot(register, E::load(memory.add(w).read_unaligned()));
            }
            ip.add(length(width))
        }
    }
}

/// A store to one address: of uniform values, or of varying ones, of which the last active lane's remain, or a random one's.
struct StoreOne<E, const VARYING: bool>(PhantomData<E>);

impl<E: Element, const VARYING: bool> Handler for StoreOne<E, VARYING> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the address is checked.
        unsafe {
            let width = place::width((*ip).d);
            let memory = match one_address(ip, frame, wave, width * size_of::<E::Memory>(), true) {
                Ok(memory) => memory.cast::<E::Memory>(),
                Err(next) => return next,
            };
            let lane = match (&mut wave.random, VARYING) {
                (_, false) => 0,
                (None, true) => 31 - wave.exec.leading_zeros() as usize,
                (Some(random), true) => random.bit(wave.exec) as usize,
            };
            for (w, &register) in registers(ip, frame, width)[..width].iter().enumerate() {
                memory.add(w).write_unaligned(E::store(E::Register::read(register, lane)));
            }
            ip.add(length(width))
        }
    }
}

/// A handler that calls a function for all types, which takes the [`Form`].
macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident = $function:path;)*) => {$(
        $(#[$doc])*
        struct $name<E, const WRITE: bool>(PhantomData<E>);

        impl<E: Element, const WRITE: bool> Handler for $name<E, WRITE> {
            #[inline(always)]
            unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
                // SAFETY: the contract of `Run`.
                unsafe { $function(ip, frame, wave, const { &Form::of::<E, WRITE>() }) }
            }
        }
    )*};
}

handlers! {
    /// Adjacent or scattered lanes, by 32-bit indices.
    Indexed = indexed;
    /// The same, by addresses that were examined.
    Prepared = prepared;
    /// Thread memory.
    Thread = thread;
}

/// Which of the handlers above an access needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// [`Indexed`]
    Indexed { write: bool },
    /// [`Prepared`]
    Prepared { write: bool },
    /// [`LoadOne`]
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
        match ty.scalar() {
            Some(Scalar::Bool) => self.of::<MemBool>(),
            Some(Scalar::I8) => self.of::<MemI8>(),
            Some(Scalar::U8) => self.of::<MemU8>(),
            Some(Scalar::I16) => self.of::<MemI16>(),
            Some(Scalar::U16) => self.of::<MemU16>(),
            Some(Scalar::I32 | Scalar::U32 | Scalar::F32) => self.of::<Mem32>(),
            Some(Scalar::F16) => self.of::<MemF16>(),
            Some(Scalar::BF16) => self.of::<MemBF16>(),
            Some(Scalar::I64 | Scalar::U64) | None => self.of::<Mem64>(),
        }
    }

    fn of<E: Element>(self) -> Run {
        match self {
            Self::Indexed { write: false } => function::<Indexed<E, false>>(),
            Self::Indexed { write: true } => function::<Indexed<E, true>>(),
            Self::Prepared { write: false } => function::<Prepared<E, false>>(),
            Self::Prepared { write: true } => function::<Prepared<E, true>>(),
            Self::Uniform => function::<LoadOne<E>>(),
            Self::StoreLast => function::<StoreOne<E, true>>(),
            Self::StoreOnce => function::<StoreOne<E, false>>(),
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
