//! Handlers of the pure operations: in 32 lanes, or once for uniform operands.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::code::{Handler, Ins, LANES, Run, Wave, function, get, put};
use crate::soft::ir::half::{round_bf16, round_f16};
use crate::soft::ir::semantics::{Binary, Ternary, Unary, rows, semantics};
use crate::soft::ir::{Op, Scalar};

/// How registers hold a type. `bool` is one bit a lane, in a slot: the same for uniform and varying
/// values, a uniform one has all bits alike.
pub(crate) trait Lane: Copy {
    /// One lane while it is computed.
    type Cell: Copy;
    /// The cell of a value.
    fn cell(self) -> Self::Cell;
    /// Lane `k` of the register at `from`.
    ///
    /// # Safety
    /// `from` points to a register of this type.
    unsafe fn read(from: *const u8, k: usize) -> Self;
    /// Writes a register.
    ///
    /// # Safety
    /// `to` points to a register of this type, and the cells are initialised.
    unsafe fn write(to: *mut u8, cells: &[MaybeUninit<Self::Cell>; LANES]);
    /// Writes a slot.
    ///
    /// # Safety
    /// `to` points to a slot.
    unsafe fn write_slot(to: *mut u8, value: Self);
}

macro_rules! plain_lanes {
    ($($ty:ty)*) => {$(
        impl Lane for $ty {
            type Cell = Self;
            #[inline(always)]
            fn cell(self) -> Self {
                self
            }
            #[inline(always)]
            unsafe fn read(from: *const u8, k: usize) -> Self {
                // SAFETY: a register has 32 lanes of this type.
                unsafe { *from.cast::<Self>().add(k) }
            }
            #[inline(always)]
            unsafe fn write(to: *mut u8, cells: &[MaybeUninit<Self>; LANES]) {
                // SAFETY: a register has 32 lanes of this type.
                unsafe { cells.as_ptr().copy_to_nonoverlapping(to.cast(), LANES) }
            }
            #[inline(always)]
            unsafe fn write_slot(to: *mut u8, value: Self) {
                // SAFETY: a slot has 8 bytes and is aligned to them.
                unsafe { *to.cast() = value }
            }
        }
    )*};
}

plain_lanes! { u32 i32 f32 u64 i64 }

impl Lane for bool {
    type Cell = u32;
    #[inline(always)]
    fn cell(self) -> u32 {
        u32::from(self).wrapping_neg()
    }
    #[inline(always)]
    unsafe fn read(from: *const u8, k: usize) -> Self {
        // SAFETY: the slot of a mask.
        unsafe { *from.cast::<u32>() & 1 << k != 0 }
    }
    #[inline(always)]
    unsafe fn write(to: *mut u8, cells: &[MaybeUninit<u32>; LANES]) {
        // SAFETY: the cells are initialised, and `to` is the slot of a mask.
        unsafe { *to.cast() = mask_of(&*cells.as_ptr().cast::<[u32; LANES]>()) }
    }
    #[inline(always)]
    unsafe fn write_slot(to: *mut u8, value: Self) {
        // SAFETY: the slot of a mask.
        unsafe { *to.cast() = value.cell() }
    }
}

/// A bit for each lane; lanes are all ones or all zeros.
#[inline(always)]
fn mask_of(lanes: &[u32; LANES]) -> u32 {
    lanes.iter().enumerate().fold(0, |mask, (k, lane)| mask | lane & 1 << k)
}

/// All ones in the lanes whose bit is set.
#[inline(always)]
pub(crate) fn spread(mask: u32) -> [u32; LANES] {
    std::array::from_fn(|k| (mask >> k & 1).wrapping_neg())
}

/// Computes 32 cells and writes them. All are computed before the first is written, so the result may
/// be one of the operands.
///
/// # Safety
/// `to` points to a register of the type.
#[inline(always)]
pub(crate) unsafe fn fill<R: Lane>(to: *mut u8, mut lane: impl FnMut(usize) -> R) {
    let mut cells = [const { MaybeUninit::uninit() }; LANES];
    for (k, cell) in cells.iter_mut().enumerate() {
        cell.write(lane(k).cell());
    }
    // SAFETY: all cells are written.
    unsafe { R::write(to, &cells) }
}

/// Room for 32 copies of a uniform operand.
#[repr(align(64))]
struct Copies([MaybeUninit<u64>; LANES]);

impl Copies {
    #[inline(always)]
    const fn new() -> Self {
        Self([MaybeUninit::uninit(); LANES])
    }
}

/// The register of an operand. Where it is `uniform`, its value is in a slot, and is copied for all lanes: so one loop
/// over registers does for all kinds of operands. A uniform mask is a mask.
///
/// # Safety
/// `at` points to a slot or a register of the type.
#[inline(always)]
unsafe fn operand<T: Lane>(at: *const u8, uniform: bool, copies: &mut Copies) -> *const u8 {
    #[inline(never)]
    unsafe fn copy<T: Copy>(at: *const u8, copies: &mut Copies) -> *const u8 {
        // SAFETY: a slot, and room for 32 values of up to 8 bytes.
        unsafe { copies.0.as_mut_ptr().cast::<[T; LANES]>().write([*at.cast::<T>(); LANES]) };
        copies.0.as_ptr().cast()
    }
    let copy = match (uniform, size_of::<T>()) {
        (true, 4) => copy::<u32>,
        (true, 8) => copy::<u64>,
        _ => return at,
    };
    // SAFETY: the caller's.
    unsafe { copy(at, copies) }
}

/// An operation on one operand.
pub(crate) struct Lanes1<F>(PhantomData<F>);

impl<F: Unary<A: Lane, R: Lane>> Handler for Lanes1<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let (to, from) = (frame.add(ins.a as usize), frame.add(ins.b as usize));
            fill::<F::R>(to, |k| F::lane(F::A::read(from, k)));
            ip.add(1)
        }
    }
}

/// An operation on two operands. Bits 0 and 1 of `imm` say which of them are uniform.
pub(crate) struct Lanes2<F>(PhantomData<F>);

impl<F: Binary<A: Lane, B: Lane, R: Lane>> Handler for Lanes2<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let mut copies = [const { Copies::new() }; 2];
            let [for_a, for_b] = &mut copies;
            let a = operand::<F::A>(frame.add(ins.b as usize), ins.imm & 1 != 0, for_a);
            let b = operand::<F::B>(frame.add(ins.c as usize), ins.imm & 2 != 0, for_b);
            let lane = |k| F::lane(F::A::read(a, k), F::B::read(b, k));
            fill::<F::R>(frame.add(ins.a as usize), lane);
            ip.add(1)
        }
    }
}

/// An operation on three operands; the third is at `d`. Bits 0 to 2 of `imm` say which of them are uniform.
pub(crate) struct Lanes3<F>(PhantomData<F>);

impl<F: Ternary<A: Lane, B: Lane, C: Lane, R: Lane>> Handler for Lanes3<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let mut copies = [const { Copies::new() }; 3];
            let [for_a, for_b, for_c] = &mut copies;
            let a = operand::<F::A>(frame.add(ins.b as usize), ins.imm & 1 != 0, for_a);
            let b = operand::<F::B>(frame.add(ins.c as usize), ins.imm & 2 != 0, for_b);
            let c = operand::<F::C>(frame.add(ins.d as usize), ins.imm & 4 != 0, for_c);
            let lane = |k| F::lane(F::A::read(a, k), F::B::read(b, k), F::C::read(c, k));
            fill::<F::R>(frame.add(ins.a as usize), lane);
            ip.add(1)
        }
    }
}

/// An operation on a uniform operand.
pub(crate) struct Once<F>(PhantomData<F>);

/// The same, for two operands.
pub(crate) struct Once2<F>(PhantomData<F>);

/// The same, for three operands.
pub(crate) struct Once3<F>(PhantomData<F>);

impl<F: Unary<A: Lane, R: Lane>> Handler for Once<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let a = F::A::read(frame.add(ins.b as usize), 0);
            F::R::write_slot(frame.add(ins.a as usize), F::lane(a));
            ip.add(1)
        }
    }
}

impl<F: Binary<A: Lane, B: Lane, R: Lane>> Handler for Once2<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let a = F::A::read(frame.add(ins.b as usize), 0);
            let b = F::B::read(frame.add(ins.c as usize), 0);
            F::R::write_slot(frame.add(ins.a as usize), F::lane(a, b));
            ip.add(1)
        }
    }
}

impl<F: Ternary<A: Lane, B: Lane, C: Lane, R: Lane>> Handler for Once3<F> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let a = F::A::read(frame.add(ins.b as usize), 0);
            let b = F::B::read(frame.add(ins.c as usize), 0);
            let c = F::C::read(frame.add(ins.d as usize), 0);
            F::R::write_slot(frame.add(ins.a as usize), F::lane(a, b, c));
            ip.add(1)
        }
    }
}

/// The `imm` of a lane operation: a bit for each operand that is uniform. Not all of them are.
pub(crate) fn uniform_bits(uniform: &[bool]) -> u64 {
    uniform.iter().rev().fold(0, |bits, &uniform| bits << 1 | u64::from(uniform))
}

macro_rules! handlers {
    (unary { $($op:ident $scalar:ident |$($arg:ident: $ty:ty),*| -> $R:ty $body:block)* }
     binary { $($op2:ident $scalar2:ident |$($arg2:ident: $ty2:ty),*| -> $R2:ty $body2:block)* }
     ternary { $($op3:ident $scalar3:ident |$($arg3:ident: $ty3:ty),*| -> $R3:ty $body3:block)* }
    ) => { paste::paste! {
        /// The handlers of a row of the table of semantics, if there is one: for operands that are not all uniform, and
        /// for those that are.
        fn handlers(op: Op, scalar: Scalar) -> Option<[Run; 2]> {
            Some(match (op, scalar) {
                $((Op::$op, Scalar::$scalar) => unary::<rows::[<$op $scalar>]>(),)*
                $((Op::$op2, Scalar::$scalar2) => {
                    type Row = rows::[<$op2 $scalar2>];
                    [function::<Lanes2<Row>>(), function::<Once2<Row>>()]
                })*
                $((Op::$op3, Scalar::$scalar3) => {
                    type Row = rows::[<$op3 $scalar3>];
                    [function::<Lanes3<Row>>(), function::<Once3<Row>>()]
                })*
                _ => return None,
            })
        }
    } };
}
semantics!(handlers);

/// The handler of a row of the table of semantics, if there is one. All operands are uniform, or not all; of the latter
/// the [bits](uniform_bits) say which are.
pub(crate) fn handler(op: Op, scalar: Scalar, uniform: bool) -> Option<Run> {
    handlers(op, scalar).map(|handlers| handlers[usize::from(uniform)])
}

fn unary<F: Unary<A: Lane, R: Lane>>() -> [Run; 2] {
    [function::<Lanes1<F>>(), function::<Once<F>>()]
}

/// Rows of the conversions: from and to register types, and from wide to narrow values.
macro_rules! conversions {
    ($($name:ident |$a:ident: $A:ty| -> $R:ty $body:block)*) => {
        $(
            pub(crate) struct $name;
            impl Unary for $name {
                type A = $A;
                type R = $R;
                #[inline(always)]
                fn lane($a: $A) -> $R $body
            }
        )*

        /// A conversion between register types.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Conversion {
            $(#[doc = concat!("`", stringify!($A), "` to `", stringify!($R), "`")] $name,)*
        }

        impl Conversion {
            /// The handler for a uniform or varying operand.
            pub(crate) fn handler(self, uniform: bool) -> Run {
                let handlers = match self {
                    $(Self::$name => unary::<$name>(),)*
                };
                handlers[usize::from(uniform)]
            }
        }
    };
}

conversions! {
    WrapI8 |a: u32| -> i32 { a as i8 as i32 }
    WrapU8 |a: u32| -> u32 { a & 0xff }
    WrapI16 |a: u32| -> i32 { a as i16 as i32 }
    WrapU16 |a: u32| -> u32 { a & 0xffff }
    RoundF16 |a: f32| -> f32 { round_f16(a) }
    RoundBF16 |a: f32| -> f32 { round_bf16(a) }
    SignExtend |a: i32| -> i64 { a.into() }
    ZeroExtend |a: u32| -> u64 { a.into() }
    Truncate |a: u64| -> u32 { a as u32 }
    I32ToF32 |a: i32| -> f32 { a as f32 }
    U32ToF32 |a: u32| -> f32 { a as f32 }
    I64ToF32 |a: i64| -> f32 { a as f32 }
    U64ToF32 |a: u64| -> f32 { a as f32 }
    F32ToI8 |a: f32| -> i32 { (a as i32).clamp(-0x80, 0x7f) }
    F32ToU8 |a: f32| -> u32 { (a as i32).clamp(0, 0xff) as u32 }
    F32ToI16 |a: f32| -> i32 { (a as i32).clamp(-0x8000, 0x7fff) }
    F32ToU16 |a: f32| -> u32 { (a as i32).clamp(0, 0xffff) as u32 }
    F32ToI32 |a: f32| -> i32 { a as i32 }
    F32ToU32 |a: f32| -> u32 { a as u32 }
    F32ToI64 |a: f32| -> i64 { a as i64 }
    F32ToU64 |a: f32| -> u64 { a as u64 }
    F32ToBool |a: f32| -> bool { a != 0.0 }
    U32ToBool |a: u32| -> bool { a != 0 }
    U64ToBool |a: u64| -> bool { a != 0 }
    I64ToF16 |a: i64| -> f32 { f32_of(Scalar::I64, Scalar::F16, a as u64) }
    U64ToF16 |a: u64| -> f32 { f32_of(Scalar::U64, Scalar::F16, a) }
    I64ToBF16 |a: i64| -> f32 { f32_of(Scalar::I64, Scalar::BF16, a as u64) }
    U64ToBF16 |a: u64| -> f32 { f32_of(Scalar::U64, Scalar::BF16, a) }
    I32ToBF16 |a: i32| -> f32 { f32_of(Scalar::I32, Scalar::BF16, a as u32 as u64) }
    U32ToBF16 |a: u32| -> f32 { f32_of(Scalar::U32, Scalar::BF16, a as u64) }
    I32ToF16 |a: i32| -> f32 { f32_of(Scalar::I32, Scalar::F16, a as u32 as u64) }
    U32ToF16 |a: u32| -> f32 { f32_of(Scalar::U32, Scalar::F16, a as u64) }
    F16Bits |a: f32| -> u32 { crate::soft::ir::half::f16_bits(a).into() }
    F16Value |a: u32| -> f32 { crate::soft::ir::half::f16_value(a as u16) }
    BF16Bits |a: u32| -> u32 { a >> 16 }
    BF16Value |a: u32| -> u32 { a << 16 }
}

fn f32_of(from: Scalar, to: Scalar, bits: u64) -> f32 {
    f32::from_bits(crate::soft::ir::semantics::convert(from, to, bits) as u32)
}

impl Conversion {
    /// The steps that turn a widened value of one type into one of another; `bool` sources are selects.
    pub(crate) fn steps(from: Scalar, to: Scalar) -> Vec<Self> {
        use Conversion as C;
        use Scalar as S;
        if from == to {
            return Vec::new();
        }
        if from.is_float() {
            return match to {
                S::Bool => vec![C::F32ToBool],
                S::I8 => vec![C::F32ToI8],
                S::U8 => vec![C::F32ToU8],
                S::I16 => vec![C::F32ToI16],
                S::U16 => vec![C::F32ToU16],
                S::I32 => vec![C::F32ToI32],
                S::U32 => vec![C::F32ToU32],
                S::I64 => vec![C::F32ToI64],
                S::U64 => vec![C::F32ToU64],
                S::F32 => Vec::new(),
                S::F16 => vec![C::RoundF16],
                S::BF16 => vec![C::RoundBF16],
            };
        }
        let (wide, signed) = (from.bytes() == 8, from.is_signed());
        let narrow_enough = |bytes: u32| from.bytes() <= bytes;
        match to {
            S::Bool if wide => vec![C::U64ToBool],
            S::Bool => vec![C::U32ToBool],
            S::F32 => vec![match (wide, signed) {
                (true, true) => C::I64ToF32,
                (true, false) => C::U64ToF32,
                (false, true) => C::I32ToF32,
                (false, false) => C::U32ToF32,
            }],
            // Integers of up to 16 bits are exact in f32, so rounding once is enough.
            S::F16 if narrow_enough(2) => {
                vec![if signed { C::I32ToF32 } else { C::U32ToF32 }, C::RoundF16]
            }
            S::BF16 if narrow_enough(2) => {
                vec![if signed { C::I32ToF32 } else { C::U32ToF32 }, C::RoundBF16]
            }
            S::F16 => vec![match (wide, signed) {
                (true, true) => C::I64ToF16,
                (true, false) => C::U64ToF16,
                (false, true) => C::I32ToF16,
                (false, false) => C::U32ToF16,
            }],
            S::BF16 => vec![match (wide, signed) {
                (true, true) => C::I64ToBF16,
                (true, false) => C::U64ToBF16,
                (false, true) => C::I32ToBF16,
                (false, false) => C::U32ToBF16,
            }],
            S::I64 | S::U64 if wide => Vec::new(),
            S::I64 | S::U64 => vec![if signed { C::SignExtend } else { C::ZeroExtend }],
            _ => {
                let mut steps = if wide { vec![C::Truncate] } else { Vec::new() };
                steps.extend(Self::narrowing(to));
                steps
            }
        }
    }

    /// The steps that turn a value of one type into the value with the same bits of another as large.
    pub(crate) fn bitcast(from: Scalar, to: Scalar) -> Vec<Self> {
        let mut steps = match from {
            Scalar::F16 => vec![Self::F16Bits],
            Scalar::BF16 => vec![Self::BF16Bits],
            _ => Vec::new(),
        };
        match to {
            Scalar::F16 => steps.extend([Self::WrapU16, Self::F16Value]),
            Scalar::BF16 => steps.push(Self::BF16Value),
            _ if to.bytes() < 4 && to != from => steps.extend(Self::narrowing(to)),
            _ => {}
        }
        steps
    }

    /// The step that narrows a widened result to `scalar`.
    pub(crate) fn narrowing(scalar: Scalar) -> Option<Self> {
        match scalar {
            Scalar::I8 => Some(Self::WrapI8),
            Scalar::U8 => Some(Self::WrapU8),
            Scalar::I16 => Some(Self::WrapI16),
            Scalar::U16 => Some(Self::WrapU16),
            Scalar::F16 => Some(Self::RoundF16),
            Scalar::BF16 => Some(Self::RoundBF16),
            _ => None,
        }
    }
}

/// `c ? a : b` by the mask at `d`. Bits 0 and 1 of `imm` say which of `a` and `b` are uniform.
pub(crate) struct Select<T>(PhantomData<T>);

macro_rules! selects {
    ($($ty:ty)*) => {$(
        impl Handler for Select<$ty> {
            #[inline(always)]
            unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
                // SAFETY: the contract of `Run`.
                unsafe {
                    let ins = &*ip;
                    let mask = spread(get(frame, ins.d));
                    let mut copies = [const { Copies::new() }; 2];
                    let [for_a, for_b] = &mut copies;
                    let a = operand::<$ty>(frame.add(ins.b as usize), ins.imm & 1 != 0, for_a);
                    let b = operand::<$ty>(frame.add(ins.c as usize), ins.imm & 2 != 0, for_b);
                    fill::<$ty>(frame.add(ins.a as usize), |k| {
                        let mask = mask[k] as i32 as $ty;
                        <$ty>::read(a, k) & mask | <$ty>::read(b, k) & !mask
                    });
                    ip.add(1)
                }
            }
        }
    )*};
}

selects! { u32 u64 }

/// `c ? a : b` for masks and slots: `d` is the mask, all three are taken whole.
pub(crate) struct SelectSlot;

impl Handler for SelectSlot {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, _: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let mask = get::<i32>(frame, ins.d) as i64 as u64;
            let (a, b): (u64, u64) = (get(frame, ins.b), get(frame, ins.c));
            put(frame, ins.a, a & mask | b & !mask);
            ip.add(1)
        }
    }
}

/// The select for registers of 4 or 8 bytes.
pub(crate) fn select(bytes: u32) -> Run {
    if bytes == 8 { function::<Select<u64>>() } else { function::<Select<u32>>() }
}

/// Copies a register, or broadcasts a slot (`U`) to one, in the active lanes (`MASKED`) or in all.
pub(crate) struct Move<T, const U: bool, const MASKED: bool>(PhantomData<T>);

macro_rules! moves {
    ($($ty:ty)*) => {$(
        impl<const U: bool, const MASKED: bool> Handler for Move<$ty, U, MASKED> {
            #[inline(always)]
            unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
                // SAFETY: the contract of `Run`.
                unsafe {
                    let ins = &*ip;
                    let (from, to) = (frame.add(ins.b as usize), frame.add(ins.a as usize));
                    let new = |k| <$ty>::read(from, if U { 0 } else { k });
                    if MASKED && wave.exec != u32::MAX {
                        let mask = spread(wave.exec);
                        fill::<$ty>(to, |k| {
                            let mask = mask[k] as i32 as $ty;
                            new(k) & mask | <$ty>::read(to, k) & !mask
                        });
                    } else {
                        fill::<$ty>(to, new);
                    }
                    ip.add(1)
                }
            }
        }
    )*};
}

moves! { u32 u64 }

/// Copies a slot; with `MASKED` a mask, in the active lanes.
pub(crate) struct MoveSlot<const MASKED: bool>;

impl<const MASKED: bool> Handler for MoveSlot<MASKED> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`.
        unsafe {
            let ins = &*ip;
            let value: u64 = get(frame, ins.b);
            let old: u64 = get(frame, ins.a);
            let mask = u64::from(wave.exec);
            put(frame, ins.a, if MASKED { value & mask | old & !mask } else { value });
            ip.add(1)
        }
    }
}

/// The move into a register of 4 or 8 bytes a lane.
pub(crate) fn move_to_lanes(bytes: u32, uniform: bool, masked: bool) -> Run {
    match (bytes == 8, uniform, masked) {
        (false, false, false) => function::<Move<u32, false, false>>(),
        (false, false, true) => function::<Move<u32, false, true>>(),
        (false, true, false) => function::<Move<u32, true, false>>(),
        (false, true, true) => function::<Move<u32, true, true>>(),
        (true, false, false) => function::<Move<u64, false, false>>(),
        (true, false, true) => function::<Move<u64, false, true>>(),
        (true, true, false) => function::<Move<u64, true, false>>(),
        (true, true, true) => function::<Move<u64, true, true>>(),
    }
}
