//! Handlers of accesses by arbitrary varying addresses: the lanes' addresses are examined ("prepared") once for
//! all accesses that are relative to them.

use super::code::{Handler, Ins, LANES, Wave};
use super::lanes::spread;
use super::memory::{Addresses, Form, Target, checked, each, length, place, registers, split};

/// The result of examining 32 addresses. Inactive lanes have the address of the first active one: lanes that are
/// active at an access were active here, too.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Found {
    /// The lowest offset.
    low: i64,
    /// The distance from there to the highest; [`APART`] if the lanes are too far apart, or in several regions.
    span: i64,
    /// The region, if the lanes are whole pointers.
    number: u32,
    /// The distance from each lane to the next, if that is constant and the first is the lowest; else [`UNEVEN`].
    step: u32,
    lanes: FoundLanes,
}

#[derive(Clone, Copy)]
#[repr(C)]
union FoundLanes {
    /// Each lane's distance from the lowest.
    up: [u32; LANES],
    /// The lanes' original values, if they are [`APART`].
    whole: [u64; LANES],
}

impl Found {
    /// A lane's region, if the lanes are whole pointers, and its offset.
    #[inline(always)]
    pub(crate) fn lane(&self, k: usize, whole: bool) -> (u32, i64) {
        // SAFETY: both fields are integers, which have no invalid bits; the span says which one was written.
        let (up, original) = unsafe { (self.lanes.up[k], self.lanes.whole[k]) };
        match (self.span == APART, whole) {
            (false, _) => (self.number, self.low.wrapping_add(up.into())),
            (true, true) => split(original),
            (true, false) => (0, original as i64),
        }
    }
}

/// The span of lanes that are 2 GiB apart or more, or in several regions.
const APART: i64 = -1;
/// The step of lanes that are not evenly apart.
const UNEVEN: u32 = u32::MAX;

/// Examines the lanes' addresses: `a` the register for the result, `b` the register of 64-bit offsets, or of
/// pointers if `WHOLE`.
pub(crate) struct Prepare<const WHOLE: bool>;

impl<const WHOLE: bool> Handler for Prepare<WHOLE> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; `a` has room for the result.
        unsafe {
            let ins = &*ip;
            let lanes = &*frame.add(ins.b as usize).cast::<[u64; LANES]>();
            let found = &mut *frame.add(ins.a as usize).cast::<Found>();
            let first = lanes[wave.first() as usize];
            // Distances from the first lane of less than 2^31 either way fit in 32 bits. Lanes that close are in one
            // region, or so far past its end that every access is out of bounds.
            let mut far = 0;
            let mut from_first = [0i32; LANES];
            let mask = spread(wave.exec);
            for (k, distance) in from_first.iter_mut().enumerate() {
                let exact = lanes[k].wrapping_sub(first) & (mask[k] as i32 as i64 as u64);
                far |= exact.wrapping_add(1 << 31) >> 32;
                *distance = exact as i32;
            }
            let (number, start) = if WHOLE { split(first) } else { (0, first as i64) };
            found.number = number;
            if far != 0 {
                found.span = APART;
                found.lanes.whole = *lanes;
                return ip.add(1);
            }
            let (mut lowest, mut highest) = (0, 0);
            for distance in from_first {
                lowest = lowest.min(distance);
                highest = highest.max(distance);
            }
            let step = from_first[1].wrapping_sub(lowest) as u32;
            let mut uneven = 0;
            let mut up = [0; LANES];
            for (k, up) in up.iter_mut().enumerate() {
                *up = from_first[k].wrapping_sub(lowest) as u32;
                uneven |= *up ^ step.wrapping_mul(k as u32);
            }
            found.low = start.wrapping_add(lowest.into());
            found.span = i64::from(highest) - i64::from(lowest);
            found.step = if uneven == 0 { step } else { UNEVEN };
            found.lanes.up = up;
            ip.add(1)
        }
    }
}

/// The target of an access by prepared lanes.
///
/// # Safety
/// As [`Run`](super::code::Run).
#[inline(always)]
unsafe fn target_of(
    ins: &Ins,
    frame: *const u8,
    wave: &Wave,
    found: &Found,
    bytes: usize,
    write: bool,
) -> Target {
    // SAFETY: the caller's.
    unsafe {
        let target = Target::of(ins, frame, wave, bytes, write);
        if ins.d & place::LANE_POINTERS == 0 {
            return target;
        }
        Target::region(wave, found.number, target.offset, bytes, write)
    }
}

/// An access by prepared lanes: `b` the result of [`Prepare`], `c` the slot of the uniform part, `d` the region and
/// flags ([`place`]), and in the upper half of `imm` the displacement.
///
/// # Safety
/// As [`Run`](super::code::Run).
pub(crate) unsafe fn prepared(
    ip: *const Ins,
    frame: *mut u8,
    wave: &mut Wave,
    form: &Form,
) -> *const Ins {
    // SAFETY: the contract of `Run`; all lanes lie between the lowest and the highest, which are checked.
    unsafe {
        let ins = &*ip;
        let width = place::width(ins.d);
        let (bytes, registers) = (width * form.size, registers(ip, frame, width));
        let next = ip.add(length(width));
        let found = &*frame.add(ins.b as usize).cast::<Found>();
        let target = target_of(ins, frame, wave, found, bytes, form.write);
        let low = target.offset.wrapping_add(found.low);
        // The lane that is out of bounds may be inactive by now: recheck lane by lane.
        let addresses = if found.span == APART || !(0 <= low && low <= target.last - found.span) {
            match apart(ip, frame, wave, bytes, form.write) {
                Ok(addresses) => addresses,
                Err(next) => return next,
            }
        } else {
            let memory = target.base.add(low as usize);
            if found.step == bytes as u32 && (!form.write || wave.exec == u32::MAX) {
                (form.adjacent)(memory, &registers, width);
                return next;
            }
            found.lanes.up.map(|up| memory.add(up as usize))
        };
        each(form, &addresses, wave, &registers, width);
        next
    }
}

/// The addresses in the general case of [`prepared`], each lane by itself; or where to continue after a fault.
///
/// # Safety
/// As [`Run`](super::code::Run).
unsafe fn apart(
    ip: *const Ins,
    frame: *mut u8,
    wave: &mut Wave,
    bytes: usize,
    write: bool,
) -> Result<Addresses, *const Ins> {
    // SAFETY: the caller's; every lane is checked.
    unsafe {
        let ins = &*ip;
        let found = &*frame.add(ins.b as usize).cast::<Found>();
        let target = target_of(ins, frame, wave, found, bytes, write);
        // Inactive lanes read at the address of the first active one.
        let lane = |k: usize| if wave.exec & 1 << k != 0 { k } else { wave.first() as usize };
        if found.span != APART {
            let offset = |k| target.offset.wrapping_add(found.lane(lane(k), false).1);
            let offsets = std::array::from_fn(offset);
            return checked(ip, wave, &target, &offsets, bytes, write);
        }
        let mut addresses = [std::ptr::null_mut(); LANES];
        for (k, address) in addresses.iter_mut().enumerate() {
            let lane = lane(k);
            let whole = ins.d & place::LANE_POINTERS != 0;
            let (number, start) = found.lane(lane, whole);
            let target = match whole {
                true => Target::region(wave, number, target.offset, bytes, write),
                false => target,
            };
            let offset = start.wrapping_add(target.offset);
            if !target.allows(offset) {
                let wrong = target.wrong(offset, bytes as u32, write);
                return Err(wave.fault(ip, lane as u32, wrong));
            }
            *address = target.base.add(offset as usize);
        }
        Ok(addresses)
    }
}
