//! Handlers of the functions of SIMD-groups and quad-groups (MSL 6.9.2 and 6.9.3).
//!
//! `a` is the result, `b` the value, `c` a lane or a distance (`d` for fills, whose `c` is the second
//! value), `imm` the size of a group: 32 or 4. Inactive lanes are ignored; a shuffle from one
//! returns an unspecified value.

use std::marker::PhantomData;

use super::code::{Handler, Ins, LANES, Run, Wave, function, get, put};
use super::lanes::Lane;
use crate::soft::ir::semantics::{Binary, rows};
use crate::soft::ir::{Op, Scalar};

/// The operations that reductions combine lanes with, and their neutral elements.
pub(crate) trait Monoid {
    type T: Lane;
    const NEUTRAL: Self::T;
    fn combine(a: Self::T, b: Self::T) -> Self::T;
}

macro_rules! monoids {
    ($($row:ident $ty:ty, $neutral:expr;)*) => {$(
        impl Monoid for rows::$row {
            type T = $ty;
            const NEUTRAL: $ty = $neutral;
            #[inline(always)]
            fn combine(a: $ty, b: $ty) -> $ty {
                <Self as Binary>::lane(a, b)
            }
        }
    )*};
}

monoids! {
    AddU32 u32, 0; AddU64 u64, 0; AddF32 f32, -0.0;
    MulU32 u32, 1; MulU64 u64, 1; MulF32 f32, 1.0;
    MinU32 u32, u32::MAX; MinI32 i32, i32::MAX; MinU64 u64, u64::MAX; MinI64 i64, i64::MAX;
    MinF32 f32, f32::NAN;
    MaxU32 u32, 0; MaxI32 i32, i32::MIN; MaxU64 u64, 0; MaxI64 i64, i64::MIN;
    MaxF32 f32, f32::NAN;
    AndU32 u32, u32::MAX; AndU64 u64, u64::MAX;
    OrU32 u32, 0; OrU64 u64, 0;
    XorU32 u32, 0; XorU64 u64, 0;
}

/// A register's lanes, with the neutral element in those that are not active.
///
/// # Safety
/// It is there.
#[inline(always)]
unsafe fn active_lanes<F: Monoid>(from: *const u8, wave: &Wave) -> [F::T; LANES] {
    // SAFETY: the caller's.
    let mut lanes = unsafe { *from.cast::<[F::T; LANES]>() };
    if wave.exec != u32::MAX {
        for (k, lane) in lanes.iter_mut().enumerate() {
            if wave.exec & 1 << k == 0 {
                *lane = F::NEUTRAL;
            }
        }
    }
    lanes
}

/// A reduction: halves are combined until one value is left, which is the result in all lanes.
struct Reduce<F>(PhantomData<F>);

impl<F: Monoid> Handler for Reduce<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let mut lanes = active_lanes::<F>(frame.add(ins.b as usize), wave);
            if ins.imm as usize == LANES {
                // The same sums as below, each computed once.
                for half in [16, 8, 4, 2, 1] {
                    for k in 0..half {
                        lanes[k] = F::combine(lanes[k], lanes[k + half]);
                    }
                }
                *frame.add(ins.a as usize).cast() = [lanes[0]; LANES];
                return ip.add(1);
            }
            let mut half = ins.imm as usize / 2;
            while half > 0 {
                for k in 0..LANES {
                    // Every lane of the group ends up with the whole: partners differ in one bit.
                    if k & half == 0 {
                        lanes[k] = F::combine(lanes[k], lanes[k + half]);
                        lanes[k + half] = lanes[k];
                    }
                }
                half /= 2;
            }
            let to = frame.add(ins.a as usize).cast::<F::T>();
            for (k, &lane) in lanes.iter().enumerate() {
                *to.add(k) = lane;
            }
            ip.add(1)
        }
    }
}

/// A prefix operation: lanes add what is 1, 2, 4 and so on below them.
struct Prefix<F, const INCLUSIVE: bool>(PhantomData<F>);

impl<F: Monoid, const INCLUSIVE: bool> Handler for Prefix<F, INCLUSIVE> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe { prefix::<F>(ip, frame, wave, INCLUSIVE) }
    }
}

/// A [`Prefix`] of either kind.
///
/// # Safety
/// As [`Run`].
#[inline(never)]
unsafe fn prefix<F: Monoid>(
    ip: *const Ins,
    frame: *mut u8,
    wave: &Wave,
    inclusive: bool,
) -> *const Ins {
    // SAFETY: the contract of `Run`.
    unsafe {
        let ins = &*ip;
        let to = frame.add(ins.a as usize).cast::<F::T>();
        let mut lanes = active_lanes::<F>(frame.add(ins.b as usize), wave);
        let width = ins.imm as usize;
        let mut distance = 1;
        while distance < width {
            // From the highest lane down, so that the lower ones are as they were.
            for k in (0..LANES).rev().filter(|k| k % width >= distance) {
                lanes[k] = F::combine(lanes[k - distance], lanes[k]);
            }
            distance *= 2;
        }
        for (k, &lane) in lanes.iter().enumerate() {
            *to.add(k) = match () {
                () if inclusive => lane,
                () if k.is_multiple_of(width) => F::NEUTRAL,
                () => lanes[k - 1],
            };
        }
        ip.add(1)
    }
}

/// The lane that a shuffle reads for lane `k`, by a number, in a group of `width` lanes.
trait Source {
    fn source(k: usize, by: usize, width: usize) -> usize;
}

macro_rules! sources {
    ($($name:ident |$k:ident, $by:ident, $width:ident| $body:expr;)*) => {$(
        struct $name;
        impl Source for $name {
            fn source($k: usize, $by: usize, $width: usize) -> usize {
                $body
            }
        }
    )*};
}

sources! {
    Direct |k, by, width| k / width * width + by % width;
    Xor |k, by, width| k / width * width + (k ^ by) % width;
    Up |k, by, width| if by <= k % width { k - by } else { k };
    Down |k, by, width| if by < width - k % width { k + by } else { k };
    RotateUp |k, by, width| k / width * width + (k % width + width - by % width) % width;
    RotateDown |k, by, width| k / width * width + (k % width + by % width) % width;
}

/// The lane that a shuffle by a number reads for lane `k`.
pub(crate) fn source(op: Op, k: usize, by: usize, width: usize) -> usize {
    match op {
        Op::SimdShuffleXor => Xor::source(k, by, width),
        Op::SimdShuffleUp => Up::source(k, by, width),
        Op::SimdShuffleDown => Down::source(k, by, width),
        Op::SimdRotateUp => RotateUp::source(k, by, width),
        Op::SimdRotateDown => RotateDown::source(k, by, width),
        _ => Direct::source(k, by, width),
    }
}

/// Registers that are shuffled: in lanes, and masks.
trait Shuffled: Copy {
    type Lanes: Copy;
    fn lane(lanes: &Self::Lanes, k: usize) -> Self;
    fn gather(lane: impl Fn(usize) -> Self) -> Self::Lanes;
}

macro_rules! shuffled {
    ($($ty:ty)*) => {$(
        impl Shuffled for $ty {
            type Lanes = [$ty; LANES];
            #[inline(always)]
            fn lane(lanes: &Self::Lanes, k: usize) -> Self {
                lanes[k % LANES]
            }
            #[inline(always)]
            fn gather(lane: impl Fn(usize) -> Self) -> Self::Lanes {
                std::array::from_fn(lane)
            }
        }
    )*};
}

shuffled! { u32 u64 }

impl Shuffled for bool {
    type Lanes = u32;
    #[inline(always)]
    fn lane(lanes: &u32, k: usize) -> Self {
        lanes >> (k % LANES) & 1 != 0
    }
    #[inline(always)]
    fn gather(lane: impl Fn(usize) -> Self) -> u32 {
        (0..LANES).fold(0, |mask, k| mask | u32::from(lane(k)) << k)
    }
}

/// A shuffle by the lane numbers or distances in a register.
struct Shuffle<T, S>(PhantomData<(T, S)>);

impl<T: Shuffled, S: Source> Handler for Shuffle<T, S> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe { shuffled_by::<T>(ip, frame, S::source) }
    }
}

/// A [`Shuffle`] of any kind.
///
/// # Safety
/// As [`Run`].
#[inline(never)]
unsafe fn shuffled_by<T: Shuffled>(
    ip: *const Ins,
    frame: *mut u8,
    source: fn(usize, usize, usize) -> usize,
) -> *const Ins {
    // SAFETY: the contract of `Run`.
    unsafe {
        let ins = &*ip;
        let from = *frame.add(ins.b as usize).cast::<T::Lanes>();
        let by = *frame.add(ins.c as usize).cast::<[u32; LANES]>();
        let width = ins.imm as usize;
        let lanes = T::gather(|k| T::lane(&from, source(k, by[k] as usize, width)));
        *frame.add(ins.a as usize).cast() = lanes;
        ip.add(1)
    }
}

/// The first active lane of each group, in all its lanes.
struct First<T>(PhantomData<T>);

impl<T: Shuffled> Handler for First<T> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let from = *frame.add(ins.b as usize).cast::<T::Lanes>();
            let width = ins.imm as usize;
            let lanes = T::gather(|k| {
                let start = k / width * width;
                T::lane(&from, start + (wave.exec >> start).trailing_zeros() as usize)
            });
            *frame.add(ins.a as usize).cast() = lanes;
            ip.add(1)
        }
    }
}

/// Whether a shuffle that fills reads the second value in lane `k`, and in which lane it reads.
#[inline(always)]
pub(crate) fn fill_source(
    up: bool,
    k: usize,
    by: usize,
    modulo: usize,
    width: usize,
) -> (bool, usize) {
    // Pieces of `modulo` lanes, each shifted by itself.
    let piece = modulo.clamp(1, width);
    let by = by % (piece + 1);
    let (start, index) = (k / piece * piece, k % piece);
    let (filled, source) = match up {
        true if index >= by => (false, k - by),
        true => (true, start + piece + index - by),
        false if index + by < piece => (false, k + by),
        false => (true, start + index + by - piece),
    };
    (filled, source % LANES)
}

/// A shuffle that fills from a second register; the modulo's register is in the next word.
struct Fill<T, const UP: bool>(PhantomData<T>);

impl<T: Copy + Default, const UP: bool> Handler for Fill<T, UP> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; sources are below 32.
        unsafe {
            let ins = &*ip;
            let from = *frame.add(ins.b as usize).cast::<[T; LANES]>();
            let fill = *frame.add(ins.c as usize).cast::<[T; LANES]>();
            let by = *frame.add(ins.d as usize).cast::<[u32; LANES]>();
            let modulo = *frame.add((*ip.add(1)).a as usize).cast::<[u32; LANES]>();
            let width = ins.imm as usize;
            let mut lanes = [T::default(); LANES];
            for (k, lane) in lanes.iter_mut().enumerate() {
                let by = (by[k] as usize, modulo[k] as usize);
                let (filled, source) = fill_source(UP, k, by.0, by.1, width);
                *lane = if filled { fill[source] } else { from[source] };
            }
            *frame.add(ins.a as usize).cast() = lanes;
            ip.add(2)
        }
    }
}

/// Votes over the active lanes where the operand holds. `imm` is the width.
macro_rules! votes {
    ($($name:ident $ty:ty: |$votes:ident, $active:ident| $body:block)*) => {$(
        struct $name;
        impl Handler for $name {
            #[inline(always)]
            unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
                // SAFETY: the contract of `Run`.
                unsafe {
                    let ins = &*ip;
                    let width = ins.imm as usize;
                    let all = u32::MAX >> (LANES - width);
                    let condition: u32 = get(frame, ins.b);
                    if width == LANES {
                        let ($votes, $active) = (condition & wave.exec, wave.exec);
                        put::<$ty>(frame, ins.a, $body);
                        return ip.add(1);
                    }
                    let mut mask = 0u32;
                    for start in (0..LANES).step_by(width) {
                        let $active = wave.exec >> start & all;
                        let $votes = condition & wave.exec & all << start;
                        let $votes = $votes >> start;
                        let result: $ty = $body;
                        mask |= (result as u32 & all) << start;
                    }
                    put(frame, ins.a, mask);
                    ip.add(1)
                }
            }
        }
    )*};
}

votes! {
    VoteAll u32: |votes, active| { u32::from(votes == active).wrapping_neg() }
    VoteAny u32: |votes, active| { u32::from(votes != 0 && active != 0).wrapping_neg() }
    VoteFirst u32: |votes, active| { let _ = votes; active & active.wrapping_neg() }
    XorMask u32: |votes, active| { let _ = active; (votes.count_ones() & 1).wrapping_neg() }
}

/// The ballot as a slot; of quad-groups as lanes.
struct Ballot<const WIDE: bool>;

impl<const WIDE: bool> Handler for Ballot<WIDE> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let votes = get::<u32>(frame, ins.b) & wave.exec;
            let width = ins.imm as usize;
            let all = u32::MAX >> (LANES - width);
            for k in 0..LANES {
                let vote = votes >> (k / width * width) & all;
                if WIDE {
                    *frame.add(ins.a as usize).cast::<u64>().add(k) = vote.into();
                } else {
                    *frame.add(ins.a as usize).cast::<u32>().add(k) = vote;
                }
            }
            ip.add(1)
        }
    }
}

/// The first active lane of a register, in a slot.
struct FirstLane<T>(PhantomData<T>);

impl<T: Copy> Handler for FirstLane<T> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let from = frame.add(ins.b as usize).cast::<T>();
            put(frame, ins.a, *from.add(wave.first() as usize));
            ip.add(1)
        }
    }
}

/// The handler that takes the first active lane of lanes of `bytes` bytes.
pub(crate) fn first_lane(bytes: u32) -> Run {
    if bytes == 8 { function::<FirstLane<u64>>() } else { function::<FirstLane<u32>>() }
}

/// Whether the operation writes a slot: masks do.
pub(crate) const fn gives_slot(op: Op) -> bool {
    matches!(op, Op::SimdAll | Op::SimdAny | Op::SimdIsFirst)
}

/// Whether results of an operation on a narrow type must be narrowed.
pub(crate) const fn needs_narrowing(op: Op) -> bool {
    matches!(
        op,
        Op::SimdSum
            | Op::SimdProduct
            | Op::SimdInclusiveSum
            | Op::SimdExclusiveSum
            | Op::SimdInclusiveProduct
            | Op::SimdExclusiveProduct
    )
}

fn shuffle<S: Source>(scalar: Scalar) -> Run {
    match scalar {
        Scalar::Bool => function::<Shuffle<bool, S>>(),
        Scalar::I64 | Scalar::U64 => function::<Shuffle<u64, S>>(),
        _ => function::<Shuffle<u32, S>>(),
    }
}

/// The handlers of a family over the register types.
macro_rules! by_type {
    ($scalar:expr, $wrap:ident, $u32:ident $i32:ident $u64:ident $i64:ident $f32:ident) => {
        match $scalar.widened() {
            Scalar::I32 => function::<$wrap!(rows::$i32)>(),
            Scalar::U64 => function::<$wrap!(rows::$u64)>(),
            Scalar::I64 => function::<$wrap!(rows::$i64)>(),
            Scalar::F32 => function::<$wrap!(rows::$f32)>(),
            _ => function::<$wrap!(rows::$u32)>(),
        }
    };
}

macro_rules! reduce {
    ($row:ty) => { Reduce<$row> };
}

macro_rules! inclusive {
    ($row:ty) => { Prefix<$row, true> };
}

macro_rules! exclusive {
    ($row:ty) => { Prefix<$row, false> };
}

/// The handler of an operation on values of a scalar type; `wide` for ballots in 64 bits.
pub(crate) fn handler(op: Op, scalar: Scalar, wide: bool) -> Run {
    let masks = scalar == Scalar::Bool;
    let fill = |up: bool| match (scalar.widened().bytes() == 8, up) {
        (false, true) => function::<Fill<u32, true>>(),
        (false, false) => function::<Fill<u32, false>>(),
        (true, true) => function::<Fill<u64, true>>(),
        (true, false) => function::<Fill<u64, false>>(),
    };
    match op {
        Op::SimdSum => by_type!(scalar, reduce, AddU32 AddU32 AddU64 AddU64 AddF32),
        Op::SimdProduct => by_type!(scalar, reduce, MulU32 MulU32 MulU64 MulU64 MulF32),
        Op::SimdMin => by_type!(scalar, reduce, MinU32 MinI32 MinU64 MinI64 MinF32),
        Op::SimdMax => by_type!(scalar, reduce, MaxU32 MaxI32 MaxU64 MaxI64 MaxF32),
        Op::SimdAnd if masks => function::<VoteAll>(),
        Op::SimdOr if masks => function::<VoteAny>(),
        Op::SimdXor if masks => function::<XorMask>(),
        Op::SimdAnd => by_type!(scalar, reduce, AndU32 AndU32 AndU64 AndU64 AndU32),
        Op::SimdOr => by_type!(scalar, reduce, OrU32 OrU32 OrU64 OrU64 OrU32),
        Op::SimdXor => by_type!(scalar, reduce, XorU32 XorU32 XorU64 XorU64 XorU32),
        Op::SimdInclusiveSum => by_type!(scalar, inclusive, AddU32 AddU32 AddU64 AddU64 AddF32),
        Op::SimdExclusiveSum => by_type!(scalar, exclusive, AddU32 AddU32 AddU64 AddU64 AddF32),
        Op::SimdInclusiveProduct => by_type!(scalar, inclusive, MulU32 MulU32 MulU64 MulU64 MulF32),
        Op::SimdExclusiveProduct => by_type!(scalar, exclusive, MulU32 MulU32 MulU64 MulU64 MulF32),
        Op::SimdBroadcastFirst => match scalar {
            Scalar::Bool => function::<First<bool>>(),
            Scalar::I64 | Scalar::U64 => function::<First<u64>>(),
            _ => function::<First<u32>>(),
        },
        Op::SimdShuffleXor => shuffle::<Xor>(scalar),
        Op::SimdShuffleUp => shuffle::<Up>(scalar),
        Op::SimdShuffleDown => shuffle::<Down>(scalar),
        Op::SimdRotateUp => shuffle::<RotateUp>(scalar),
        Op::SimdRotateDown => shuffle::<RotateDown>(scalar),
        Op::SimdFillUp => fill(true),
        Op::SimdFillDown => fill(false),
        Op::SimdBallot if wide => function::<Ballot<true>>(),
        Op::SimdBallot => function::<Ballot<false>>(),
        Op::SimdAll => function::<VoteAll>(),
        Op::SimdAny => function::<VoteAny>(),
        Op::SimdIsFirst => function::<VoteFirst>(),
        // Broadcast is a shuffle whose lane is the same in all.
        _ => shuffle::<Direct>(scalar),
    }
}
