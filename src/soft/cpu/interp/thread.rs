//! Handlers of thread memory: the locals of each thread.

use super::code::{Ins, LANES, Wave, Wrong, get, take_lane};
use super::lanes::spread;
use super::memory::{Form, length, place, registers};

/// The lanes' offsets differ.
const LANEWISE: u32 = 1 << 31;

/// The flags of an access to [`thread`] memory, besides its width.
pub(crate) const fn thread_flags(lanewise: bool) -> u32 {
    if lanewise { LANEWISE } else { 0 }
}

/// The immediate of an access to [`thread`] memory.
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

/// An access to thread memory: `b` the register of 64-bit byte offsets if it is lanewise, `c` the slot of a
/// uniform 64-bit offset, `d` the local's start in thread memory and [flags](thread_flags), `imm` its size, number, and the
/// displacement: 24, 8 and 32 bits.
///
/// Thread memory is interleaved: word `i` of lane `k` is word `32 i + k`, so that lanes that access the
/// same offset access one run of memory.
///
/// # Safety
/// As [`Run`](super::code::Run).
pub(crate) unsafe fn thread(
    ip: *const Ins,
    frame: *mut u8,
    wave: &mut Wave,
    form: &Form,
) -> *const Ins {
    // SAFETY: the contract of `Run`; offsets are checked against the local's size.
    unsafe {
        let ins = &*ip;
        let (width, lanewise) = (place::width(ins.d), ins.d & LANEWISE != 0);
        let local = (ins.d & place::NUMBER) as usize;
        let bytes = width * form.size;
        let (local_bytes, displacement) =
            (i64::from(ins.imm as u32 & 0xff_ffff), i64::from((ins.imm >> 32) as i32));
        let (registers, next) = (registers(ip, frame, width), ip.add(length(width)));
        let base = get::<i64>(frame, ins.c).wrapping_add(displacement);
        let last = local_bytes - bytes as i64;
        let allows = |offset: i64| 0 <= offset && offset <= last;
        let fault = |wave: &mut Wave, lane: u32, offset| {
            let (local, bytes, write) = ((ins.imm as u32) >> 24, bytes as u32, form.write);
            wave.fault(ip, lane, Wrong::ThreadAccess { local, offset, bytes, write })
        };
        if !lanewise {
            if !allows(base) {
                return fault(wave, wave.first(), base);
            }
            let start = local + base as usize;
            if form.size == 4 && start.is_multiple_of(4) {
                let mask = spread(wave.exec);
                for (w, &register) in registers[..width].iter().enumerate() {
                    let row = thread_byte(wave.thread_memory, 0, start + 4 * w);
                    let row = row.cast::<[u32; LANES]>();
                    let register = register.cast::<[u32; LANES]>();
                    if form.write {
                        let mut new = [0; LANES];
                        for k in 0..LANES {
                            new[k] = (*register)[k] & mask[k] | (*row)[k] & !mask[k];
                        }
                        *row = new;
                    } else {
                        *register = *row;
                    }
                }
                return next;
            }
        }
        let mut starts = [0usize; LANES];
        let mut left = wave.exec;
        while left != 0 {
            let k = take_lane(&mut None, &mut left);
            let lane = if lanewise { *frame.add(ins.b as usize).cast::<i64>().add(k) } else { 0 };
            let offset = base.wrapping_add(lane);
            if !allows(offset) {
                return fault(wave, k as u32, offset);
            }
            starts[k] = local + offset as usize;
        }
        // The lanes' vectors one after the other. Inactive lanes read zeros.
        let mut vectors = [0u8; LANES * 32];
        let all = vectors.as_mut_ptr();
        if form.write {
            (form.adjacent)(all, &registers, width);
        }
        let mut left = wave.exec;
        while left != 0 {
            let k = take_lane(&mut None, &mut left);
            for (b, byte) in vectors[k * bytes..][..bytes].iter_mut().enumerate() {
                let memory = thread_byte(wave.thread_memory, k, starts[k] + b);
                if form.write { *memory = *byte } else { *byte = *memory }
            }
        }
        if !form.write {
            (form.adjacent)(all, &registers, width);
        }
        next
    }
}
