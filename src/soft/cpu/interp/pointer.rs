//! Handlers of pointer arithmetic that is not part of an access.

use super::code::{Handler, Ins, LANES, Wave, get, put};
use super::lanes::Lane;
use super::memory::split;
use crate::soft::ir::Expected;

/// Adds a uniform part, a scaled register of indices and a register of 64-bit lanes: `a = c + b * imm`,
/// in lanes of 64 bits. `d` is 1 if the indices are signed.
pub(crate) struct Scaled<const WIDE: bool>;

impl<const WIDE: bool> Handler for Scaled<WIDE> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let from = frame.add(ins.b as usize);
            let add = &*frame.add(ins.c as usize).cast::<[u64; LANES]>();
            let mut sum = [0u64; LANES];
            for k in 0..LANES {
                let index = if WIDE {
                    u64::read(from, k)
                } else if ins.d != 0 {
                    i32::read(from, k) as i64 as u64
                } else {
                    u32::read(from, k).into()
                };
                sum[k] = add[k].wrapping_add(index.wrapping_mul(ins.imm));
            }
            *frame.add(ins.a as usize).cast() = sum;
            ip.add(1)
        }
    }
}

/// The same for uniform values: `a = c + b * imm`; `d` is 0 for unsigned, 1 for signed 32-bit indices, 2
/// for 64-bit ones.
pub(crate) struct ScaledOnce;

impl Handler for ScaledOnce {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let index = match ins.d {
                0 => u64::from(get::<u32>(frame, ins.b)),
                1 => i64::from(get::<i32>(frame, ins.b)) as u64,
                _ => get(frame, ins.b),
            };
            let sum = get::<u64>(frame, ins.c).wrapping_add(index.wrapping_mul(ins.imm));
            put(frame, ins.a, sum);
            ip.add(1)
        }
    }
}

/// Converts pointers to addresses in the host's memory, so that pointers into a buffer that is bound twice
/// compare correctly: `a` the result, `b` the pointer, in slots or in lanes.
pub(crate) struct Address<const UNIFORM: bool>;

impl<const UNIFORM: bool> Handler for Address<UNIFORM> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            if UNIFORM {
                put(frame, ins.a, address(wave, get(frame, ins.b)));
            } else {
                let pointers = *frame.add(ins.b as usize).cast::<[u64; LANES]>();
                *frame.add(ins.a as usize).cast() = pointers.map(|one| address(wave, one));
            }
            ip.add(1)
        }
    }
}

/// The operation of a [`Form`].
pub(crate) mod form {
    /// A pointer from its form in memory.
    pub(crate) const POINTER: u64 = 0;
    /// A texture from its form in memory.
    pub(crate) const TEXTURE: u64 = 1;
    /// The form in memory of a pointer.
    pub(crate) const ADDRESS: u64 = 2;
    /// The form in memory of a texture.
    pub(crate) const ID: u64 = 3;
    /// Where the expected texture begins in the immediate.
    pub(crate) const EXPECTED: u32 = 8;
}

/// Converts pointers and textures between their two forms: `a` the result, `b` the operand, in slots or in lanes.
/// The immediate is an operation of [`form`], and the texture that is expected.
pub(crate) struct Form<const UNIFORM: bool>;

impl<const UNIFORM: bool> Handler for Form<UNIFORM> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; the addresses are the launch's.
        unsafe {
            let ins = &*ip;
            let addresses = &*wave.addresses;
            let expected = Expected::from_imm(ins.imm >> form::EXPECTED);
            let converted = |bits: u64| match ins.imm & ((1 << form::EXPECTED) - 1) {
                form::POINTER => addresses.pointer(bits),
                form::TEXTURE => addresses.texture(bits, expected),
                form::ADDRESS => addresses.address(bits),
                _ => addresses.id(bits),
            };
            if UNIFORM {
                put(frame, ins.a, converted(get(frame, ins.b)));
            } else {
                let all = *frame.add(ins.b as usize).cast::<[u64; LANES]>();
                *frame.add(ins.a as usize).cast() = all.map(converted);
            }
            ip.add(1)
        }
    }
}

/// The address of one pointer. A pointer that is in no region of the launch is unchanged.
///
/// # Safety
/// The regions are those of `wave`.
#[inline(always)]
unsafe fn address(wave: &Wave, pointer: u64) -> u64 {
    let (number, offset) = split(pointer);
    if number == 0 || number >= wave.region_count {
        return pointer;
    }
    // SAFETY: the number is in the table.
    let base = unsafe { (*wave.regions.add(number as usize)).base };
    (base as u64).wrapping_add(offset as u64)
}
