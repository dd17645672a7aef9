//! Handlers of accesses by 32-bit indices, the most frequent kind: with a fast path for lanes that turn out to be
//! adjacent.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::code::{Handler, Ins, LANES, Wave, get};
use super::lanes::{Lane, spread};
use super::memory::{Element, Target, checked, each, length, place, registers};

/// An access of 32 lanes by 32-bit indices: `b` the register of indices, `c` the slot of the uniform part,
/// `d` the region and flags ([`place`]), `imm` the scale and, above it, the displacement.
#[derive(Debug)]
pub(crate) struct Indexed<E, const W: usize, const WRITE: bool>(PhantomData<E>);

impl<E: Element, const W: usize, const WRITE: bool> Handler for Indexed<E, W, WRITE> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; every offset is checked before it is accessed.
        unsafe {
            let ins = &*ip;
            let bytes = W * size_of::<E::Memory>();
            let at = Index::of(ins, frame, wave, bytes, WRITE);
            let indices = &*frame.add(ins.b as usize).cast::<[u32; LANES]>();
            let is_run = (0..LANES).all(|k| indices[k] == indices[0].wrapping_add(k as u32));
            // Inactive lanes may be read, if that is in bounds, but never written.
            if (!WRITE || wave.exec == u32::MAX)
                && at.scale == bytes as i64
                && is_run
                && let Some(low) = at.run(indices[0])
            {
                let memory = at.target.base.add(low);
                contiguous::<E, W, WRITE>(memory.cast(), registers(ip, frame));
                return ip.add(length(W));
            }
            // Inactive lanes read at the address of the first active one.
            let first = indices[wave.first() as usize];
            let mask = spread(wave.exec);
            let mut offsets = [0; LANES];
            for (k, offset) in offsets.iter_mut().enumerate() {
                let index = indices[k] & mask[k] | first & !mask[k];
                *offset = at.offset(index.wrapping_add(at.bias));
            }
            let found = match checked(ip, wave, &at.target, &offsets, bytes, WRITE) {
                Ok(found) => found,
                Err(next) => return next,
            };
            each::<E, W, WRITE>(&found, wave.exec, &mut wave.random, registers(ip, frame));
            ip.add(length(W))
        }
    }
}

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
    fn run(&self, first: u32) -> Option<usize> {
        let first = first.wrapping_add(self.bias);
        let low = self.offset(first);
        let high = self.offset(first.wrapping_add(LANES as u32 - 1));
        (low <= high && self.target.allows(low) && self.target.allows(high)).then_some(low as usize)
    }
}

/// Accesses 32 lanes that are adjacent in memory.
///
/// # Safety
/// The memory and the register are valid.
#[inline(never)]
pub(crate) unsafe fn contiguous<E: Element, const W: usize, const WRITE: bool>(
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
                let mut cells = [const { MaybeUninit::uninit() }; LANES];
                for (k, cell) in cells.iter_mut().enumerate() {
                    cell.write(E::load(memory.add(k * W + w).read_unaligned()).cell());
                }
                E::Register::write(register, &cells);
            }
        }
    }
}
