//! Handlers of pointer arithmetic that no access takes over.

use super::code::{Handler, Ins, Wave, get, put};
use super::isa::{Isa, LANES};
use super::lanes::Lane;

/// Adds a uniform part, a scaled register of indices and a register of 64-bit lanes: `a = c + b * imm`,
/// in lanes of 64 bits. `d` is 1 if the indices are signed.
#[derive(Debug)]
pub(crate) struct Scaled<const WIDE: bool>;

impl<const WIDE: bool> Handler for Scaled<WIDE> {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
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
#[derive(Debug)]
pub(crate) struct ScaledOnce;

impl Handler for ScaledOnce {
    #[inline(always)]
    unsafe fn run<I: Isa>(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
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
