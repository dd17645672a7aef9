//! Handlers of matrices of 8 by 8 that the lanes of a SIMD-group hold together (MSL 2.4, 6.7).
//!
//! Bits 4, 2 and 1 of a lane's number are its row. Bits 3 and 0 are the upper bits of its column, whose lowest bit is the
//! register.

use std::marker::PhantomData;

use super::code::{Handler, Ins, LANES, Run, Wave, Wrong, function, get};
use super::lanes::Lane;
use super::memory::{Element, Mem32, MemBF16, MemF16, Target, split};
use crate::soft::ir::Scalar;

/// Rows and columns.
const SIDE: usize = 8;

/// The row of a lane's elements.
const fn row_of(lane: usize) -> usize {
    lane / 16 * 4 + lane / 2 % 4
}

/// The column of a lane's first element; that of its second is the next.
const fn column_of(lane: usize) -> usize {
    lane / 8 % 2 * 4 + lane % 2 * 2
}

/// The lane that has an element.
const fn lane_of(row: usize, column: usize) -> usize {
    row / 4 * 16 + row % 4 * 2 + column / 4 * 8 + column / 2 % 2
}

/// The product of two matrices and a third: `a`, `b` the registers of the result, `c`, `d` those of the left
/// side; in the word that follows, those of the right side and of the addend.
pub(crate) struct MultiplyAdd;

impl Handler for MultiplyAdd {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; a register has 32 floats.
        unsafe {
            let (ins, more) = (&*ip, &*ip.add(1));
            let register = |offset: u32| frame.add(offset as usize).cast::<f32>();
            let left = [register(ins.c), register(ins.d)];
            let right = [register(more.a), register(more.b)];
            let added = [register(more.c), register(more.d)];
            let element = |from: [*mut f32; 2], row: usize, column: usize| {
                *from[column % 2].add(lane_of(row, column))
            };
            // Written last, as the result may be one of the operands.
            let mut sums = [[0.0; LANES]; 2];
            for row in 0..SIDE {
                for column in 0..SIDE {
                    let sum = (0..SIDE).fold(element(added, row, column), |sum, k| {
                        element(left, row, k).mul_add(element(right, k, column), sum)
                    });
                    sums[column % 2][lane_of(row, column)] = sum;
                }
            }
            *register(ins.a).cast() = sums[0];
            *register(ins.b).cast() = sums[1];
            ip.add(2)
        }
    }
}

/// A load or store: `a`, `b` the registers, `c` the slot of the pointer, `d` that of the elements from one row to
/// the next; in the word that follows, `a` is that of the elements from one column to the next.
struct Access<E, const WRITE: bool>(PhantomData<E>);

impl<E: Element, const WRITE: bool> Handler for Access<E, WRITE> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; every element lies between the corners, which are checked.
        unsafe {
            let (ins, more) = (&*ip, &*ip.add(1));
            let bytes = size_of::<E::Memory>();
            let (number, start) = split(get(frame, ins.c));
            let target = Target::region(wave, number, start, bytes, WRITE);
            let (down, right) =
                (step_bytes(get(frame, ins.d), bytes), step_bytes(get(frame, more.a), bytes));
            let (bottom, edge) = (SIDE as i64 * down - down, SIDE as i64 * right - right);
            let low = start + bottom.min(0) + edge.min(0);
            let high = start + bottom.max(0) + edge.max(0);
            if !(target.allows(low) && target.allows(high)) {
                return out_of_bounds(ip, wave, &target, down, right, bytes as u32, WRITE);
            }
            let corner = target.base.offset(start as isize);
            let at = |row: usize, column: usize| {
                let offset = row as isize * down as isize + column as isize * right as isize;
                corner.offset(offset).cast::<E::Memory>()
            };
            let registers = [frame.add(ins.a as usize), frame.add(ins.b as usize)];
            if WRITE {
                for lane in 0..LANES {
                    let (row, column) = (row_of(lane), column_of(lane));
                    for (second, register) in registers.into_iter().enumerate() {
                        let value = E::store(E::Register::read(register, lane));
                        at(row, column + second).write_unaligned(value);
                    }
                }
                return ip.add(2);
            }
            let mut elements = [[std::mem::zeroed::<E::Memory>(); SIDE]; SIDE];
            for (row, elements) in elements.iter_mut().enumerate() {
                if right == bytes as i64 {
                    *elements = at(row, 0).cast::<[E::Memory; SIDE]>().read_unaligned();
                } else {
                    for (column, element) in elements.iter_mut().enumerate() {
                        *element = at(row, column).read_unaligned();
                    }
                }
            }
            for (second, register) in registers.into_iter().enumerate() {
                let element = |lane| elements[row_of(lane)][column_of(lane) + second];
                let cells = std::array::from_fn(|lane| {
                    std::mem::MaybeUninit::new(E::load(element(lane)).cell())
                });
                E::Register::write(register, &cells);
            }
            ip.add(2)
        }
    }
}

/// A step in bytes, clamped to a value far out of any region's bounds, so that sums of a few do not overflow.
#[inline(always)]
fn step_bytes(elements: i64, bytes: usize) -> i64 {
    const FAR: i64 = 1 << 48;
    elements.clamp(-FAR, FAR) * bytes as i64
}

/// Stops with the first active lane that has an element out of bounds.
#[cold]
fn out_of_bounds(
    ip: *const Ins,
    wave: &mut Wave,
    target: &Target,
    down: i64,
    right: i64,
    bytes: u32,
    write: bool,
) -> *const Ins {
    let offset = |lane: usize, second: usize| {
        target.offset + row_of(lane) as i64 * down + (column_of(lane) + second) as i64 * right
    };
    let active = (0..LANES).filter(|lane| wave.exec & 1 << lane != 0);
    let mut elements = active.flat_map(|lane| [(lane, offset(lane, 0)), (lane, offset(lane, 1))]);
    let first = elements.find(|&(_, offset)| !target.allows(offset));
    // Without one, the elements belong to inactive lanes, which take part as well.
    let (lane, offset) = first.unwrap_or((wave.first() as usize, target.offset));
    let wrong = Wrong::Access { region: target.number, offset, bytes, write };
    wave.fault(ip, lane as u32, wrong)
}

/// The handler of a load or store of a matrix, by the type of its elements.
pub(crate) fn handler(scalar: Scalar, write: bool) -> Run {
    match (scalar, write) {
        (Scalar::F16, false) => function::<Access<MemF16, false>>(),
        (Scalar::F16, true) => function::<Access<MemF16, true>>(),
        (Scalar::BF16, false) => function::<Access<MemBF16, false>>(),
        (Scalar::BF16, true) => function::<Access<MemBF16, true>>(),
        (_, false) => function::<Access<Mem32, false>>(),
        (_, true) => function::<Access<Mem32, true>>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_belongs_to_one_lane() {
        let mut seen = [[false; SIDE]; SIDE];
        for lane in 0..LANES {
            for second in 0..2 {
                let element = &mut seen[row_of(lane)][column_of(lane) + second];
                assert!(!std::mem::replace(element, true), "lane {lane}");
                assert_eq!(lane_of(row_of(lane), column_of(lane) + second), lane);
            }
        }
        // The same by groups of four lanes, as Apple's GPUs have it.
        for lane in 0..LANES {
            let quad = lane / 4;
            assert_eq!(row_of(lane), (quad & 4) + lane / 2 % 4);
            assert_eq!(column_of(lane), (quad & 2) * 2 + lane % 2 * 2);
        }
    }
}
