//! Handlers of thread memory: the locals of each thread.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::code::{Handler, Ins, LANES, Wave, Wrong, get};
use super::lanes::{Lane, spread};
use super::memory::{Element, length};

/// An access to thread memory: `b` the register of 64-bit byte offsets if it is lanewise, `c` the slot of a
/// uniform 64-bit offset, `d` the local's start in thread memory and [flags](thread_flags), `imm` its size, number, and the
/// displacement: 24, 8 and 32 bits.
///
/// Thread memory is interleaved: word `i` of lane `k` is word `32 i + k`, so that lanes that access the
/// same offset access one run of memory.
#[derive(Debug)]
pub(crate) struct Thread<E, const WRITE: bool>(PhantomData<E>);

/// The lanes' offsets differ.
const LANEWISE: u32 = 1 << 31;
/// The lowest bit of the number of components.
const WIDTH: u32 = 24;

/// The flags of a [`Thread`] access of a number of components.
pub(crate) const fn thread_flags(width: u32, lanewise: bool) -> u32 {
    width << WIDTH | if lanewise { LANEWISE } else { 0 }
}

/// The immediate of a [`Thread`] access.
pub(crate) fn thread_imm(bytes: u32, local: u32, displacement: i32) -> u64 {
    u64::from(bytes & 0xff_ffff)
        | u64::from(local & 0xff) << 24
        | (displacement as u32 as u64) << 32
}

/// The address of a byte of thread memory.
#[inline(always)]
pub(crate) fn thread_byte(memory: *mut u8, lane: usize, at: usize) -> *mut u8 {
    memory.wrapping_add((at & !3) * LANES + lane * 4 + (at & 3))
}

impl<E: Element, const WRITE: bool> Handler for Thread<E, WRITE> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; offsets are checked against the local's size.
        unsafe {
            let ins = &*ip;
            let size = size_of::<E::Memory>();
            let (width, lanewise) = ((ins.d >> WIDTH & 7) as usize, ins.d & LANEWISE != 0);
            let local = (ins.d & ((1 << WIDTH) - 1)) as usize;
            let bytes = (width * size) as i64;
            let (local_bytes, displacement) =
                (i64::from(ins.imm as u32 & 0xff_ffff), i64::from((ins.imm >> 32) as i32));
            let operands = &*ip.add(length(width) - 1);
            let operands = [operands.a, operands.b, operands.c, operands.d];
            // Those past the width are no offsets.
            let registers = operands.map(|offset| frame.wrapping_add(offset as usize));
            let base = get::<i64>(frame, ins.c).wrapping_add(displacement);
            let last = local_bytes - bytes;
            let allows = |offset: i64| 0 <= offset && offset <= last;
            let fault = |wave: &mut Wave, lane: u32, offset| {
                let local = (ins.imm as u32) >> 24;
                let wrong =
                    Wrong::ThreadAccess { local, offset, bytes: bytes as u32, write: WRITE };
                wave.fault(ip, lane, wrong)
            };
            if !lanewise {
                if !allows(base) {
                    return fault(wave, wave.first(), base);
                }
                let start = local + base as usize;
                if size == 4 && start.is_multiple_of(4) {
                    let mask = spread(wave.exec);
                    for (w, &register) in registers[..width].iter().enumerate() {
                        let row = thread_byte(wave.thread_memory, 0, start + 4 * w);
                        let row = row.cast::<[u32; LANES]>();
                        let register = register.cast::<[u32; LANES]>();
                        if WRITE {
                            let mut new = [0; LANES];
                            for k in 0..LANES {
                                new[k] = (*register)[k] & mask[k] | (*row)[k] & !mask[k];
                            }
                            *row = new;
                        } else {
                            *register = *row;
                        }
                    }
                    return ip.add(length(width));
                }
            }
            let mut starts = [0usize; LANES];
            let mut left = wave.exec;
            while left != 0 {
                let k = left.trailing_zeros() as usize;
                left &= left - 1;
                let lane =
                    if lanewise { *frame.add(ins.b as usize).cast::<i64>().add(k) } else { 0 };
                let offset = base.wrapping_add(lane);
                if !allows(offset) {
                    return fault(wave, k as u32, offset);
                }
                starts[k] = local + offset as usize;
            }
            let memory = wave.thread_memory;
            for (w, &register) in registers[..width].iter().enumerate() {
                let byte = |k: usize, b: usize| thread_byte(memory, k, starts[k] + w * size + b);
                if WRITE {
                    let mut left = wave.exec;
                    while left != 0 {
                        let k = left.trailing_zeros() as usize;
                        left &= left - 1;
                        let value = E::store(E::Register::read(register, k));
                        let value = (&raw const value).cast::<u8>();
                        for b in 0..size {
                            *byte(k, b) = *value.add(b);
                        }
                    }
                } else {
                    let mut cells = [const { MaybeUninit::uninit() }; LANES];
                    for (k, cell) in cells.iter_mut().enumerate() {
                        let mut value = MaybeUninit::<E::Memory>::zeroed();
                        // Inactive lanes read nothing; all-zero bits are valid in every type.
                        if wave.exec & 1 << k != 0 {
                            for b in 0..size {
                                *value.as_mut_ptr().cast::<u8>().add(b) = *byte(k, b);
                            }
                        }
                        cell.write(E::load(value.assume_init()).cell());
                    }
                    E::Register::write(register, &cells);
                }
            }
            ip.add(length(width))
        }
    }
}
