//! Handlers of inputs: the positions and numbers of a thread, its SIMD-group and its threadgroup.

use super::code::{Handler, Ins, LANES, Run, Wave, function, put};
use crate::soft::cpu::native::region::Fit;
use crate::soft::cpu::watch::Watch;
use crate::soft::ir::Input;

/// The positions in the threadgroup of the lanes of one SIMD-group.
pub(crate) type Positions = [[u32; LANES]; 3];

/// The threadgroup that a worker runs: its position, its inputs, and the watchdog.
#[derive(Debug)]
pub(crate) struct GroupPlace<'a> {
    /// Uniform inputs by their number.
    pub(crate) inputs: [[u32; 3]; Input::ALL.len()],
    /// The position of the group's first thread.
    pub(crate) origin: [u32; 3],
    /// For each SIMD-group, the positions of its lanes in the threadgroup.
    pub(crate) positions: *const Positions,
    /// The length of rows: aligned runs of this many lanes have adjacent positions in the first dimension, and the
    /// same position in the others.
    pub(crate) row_lanes: u32,
    /// The threads of the launch's largest group.
    pub(crate) most_threads: u32,
    /// Whether each of the launch's groups is one row of whole SIMD-groups.
    pub(crate) lines: bool,
    /// The worker's view of the watchdog.
    pub(crate) watch: Watch<'a>,
}

impl GroupPlace<'_> {
    /// What decides which code of a run is used.
    pub(crate) fn fit(&self) -> Fit {
        Fit { row: self.row_lanes, threads: self.most_threads, lines: self.lines }
    }
}

/// An input that is uniform: `imm` is its number.
struct UniformInput;

impl Handler for UniformInput {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; `place` is the running threadgroup's.
        unsafe {
            let ins = &*ip;
            let value = (&(*wave.place).inputs)[ins.imm as usize][ins.b as usize];
            put(frame, ins.a, u64::from(value));
            ip.add(1)
        }
    }
}

/// The number of the SIMD-group.
struct SimdgroupIndex;

impl Handler for SimdgroupIndex {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            put(frame, (*ip).a, u64::from(wave.number));
            ip.add(1)
        }
    }
}

/// Declares handlers of varying inputs.
macro_rules! lane_inputs {
    ($($name:ident |$ins:ident, $wave:ident| $start:expr, |$k:ident, $from:ident| $body:expr;)*) => {$(
        struct $name;
        impl Handler for $name {
            #[inline(always)]
            unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
                // SAFETY: the contract of `Run`; `place` is the running threadgroup's.
                unsafe {
                    let ins = &*ip;
                    let ($ins, $wave) = (ins, wave);
                    let $from = $start;
                    let mut lanes = [0u32; LANES];
                    for ($k, lane) in lanes.iter_mut().enumerate() {
                        *lane = $body;
                    }
                    *frame.add(ins.a as usize).cast() = lanes;
                    ip.add(1)
                }
            }
        }
    )*};
}

lane_inputs! {
    InThreadgroup |ins, wave| position_in_group(wave, ins.b).0, |k, from| (&*from)[k];
    InGrid |ins, wave| position_in_group(wave, ins.b), |k, from| (&*from.0)[k] + from.1;
    IndexInThreadgroup |_ins, wave| wave.number * LANES as u32, |k, from| from + k as u32;
    IndexInSimdgroup |_ins, _wave| (), |k, _from| k as u32;
    IndexInQuadgroup |_ins, _wave| (), |k, _from| k as u32 % 4;
    QuadgroupIndex |_ins, wave| wave.number * LANES as u32, |k, from| (from + k as u32) / 4;
}

/// The positions in the threadgroup of a SIMD-group's lanes in one dimension, and the group's origin.
///
/// # Safety
/// `wave.place` is the running threadgroup's.
#[inline(always)]
unsafe fn position_in_group(wave: &Wave, dimension: u32) -> (*const [u32; LANES], u32) {
    let dimension = dimension as usize % 3;
    // SAFETY: the caller's; there are positions for every SIMD-group.
    unsafe {
        let place = &*wave.place;
        let positions = &*place.positions.add(wave.number as usize);
        (&raw const positions[dimension], place.origin[dimension])
    }
}

/// The handler of an input: `b` is the component, `imm` the input's number.
pub(crate) fn input(input: Input) -> Run {
    match input {
        Input::ThreadPositionInGrid => function::<InGrid>(),
        Input::ThreadPositionInThreadgroup => function::<InThreadgroup>(),
        Input::ThreadIndexInThreadgroup => function::<IndexInThreadgroup>(),
        Input::ThreadIndexInSimdgroup => function::<IndexInSimdgroup>(),
        Input::ThreadIndexInQuadgroup => function::<IndexInQuadgroup>(),
        Input::QuadgroupIndexInThreadgroup => function::<QuadgroupIndex>(),
        Input::SimdgroupIndexInThreadgroup => function::<SimdgroupIndex>(),
        _ => function::<UniformInput>(),
    }
}
