//! Handlers of accesses by 32-bit indices, the most frequent kind: with a fast path for lanes that turn out to be
//! adjacent.

use super::code::{Ins, LANES, Wave, get};
use super::lanes::spread;
use super::memory::{Form, Target, checked, each, length, place, registers};

/// An access of 32 lanes by 32-bit indices: `b` the register of indices, `c` the slot of the uniform part,
/// `d` the region and flags ([`place`]), `imm` the scale and, above it, the displacement.
///
/// # Safety
/// As [`Run`](super::code::Run).
pub(crate) unsafe fn indexed(
    ip: *const Ins,
    frame: *mut u8,
    wave: &mut Wave,
    form: &Form,
) -> *const Ins {
    // SAFETY: the contract of `Run`; every offset is checked before it is accessed.
    unsafe {
        let ins = &*ip;
        let width = place::width(ins.d);
        let (bytes, registers) = (width * form.size, registers(ip, frame, width));
        let next = ip.add(length(width));
        let at = Index::of(ins, frame, wave, bytes, form.write);
        let indices = &*frame.add(ins.b as usize).cast::<[u32; LANES]>();
        let is_run = (0..LANES).all(|k| indices[k] == indices[0].wrapping_add(k as u32));
        // Inactive lanes may be read, if that is in bounds, but never written.
        if (!form.write || wave.exec == u32::MAX)
            && at.scale == bytes as i64
            && is_run
            && let Some(low) = at.run(indices[0])
        {
            (form.adjacent)(at.target.base.add(low), &registers, width);
            return next;
        }
        // Inactive lanes read at the address of the first active one.
        let first = indices[wave.first() as usize];
        let mask = spread(wave.exec);
        let mut offsets = [0; LANES];
        for (k, offset) in offsets.iter_mut().enumerate() {
            let index = indices[k] & mask[k] | first & !mask[k];
            *offset = at.offset(index.wrapping_add(at.bias));
        }
        match checked(ip, wave, &at.target, &offsets, bytes, form.write) {
            Ok(found) => each(form, &found, wave, &registers, width),
            Err(next) => return next,
        }
        next
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
