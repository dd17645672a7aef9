//! Handlers of atomics (MSL 6.15). They use the processor's atomics, as threadgroups run on several cores.
//!
//! The operands of the address are those of any access; the values are the operands of the next instruction
//! word. Lanes are processed in order, from the lowest. Memory that only this thread accesses, such as
//! threadgroup memory, is accessed without locks.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::code::{Handler, Ins, LANES, Run, Wave, function, take_lane};
use super::memory::{Lanes, pointers};
use crate::soft::ir::semantics::{Binary, Register, rows};
use crate::soft::ir::{Op, Scalar};

/// Memory of 32 or 64 bits.
trait Word: Copy + Default {
    /// Replaces the word by `change` of it, and returns the old value.
    ///
    /// # Safety
    /// `at` is aligned memory that is otherwise only accessed atomically or not at the same time.
    unsafe fn update(at: *mut u8, change: impl Fn(Self) -> Self) -> Self;
    /// Adds, wrapping, and returns the old value: processors have an instruction for it.
    ///
    /// # Safety
    /// As [`update`](Self::update).
    unsafe fn add(at: *mut u8, by: Self) -> Self;
    /// The word.
    ///
    /// # Safety
    /// As [`update`](Self::update).
    unsafe fn load(at: *mut u8) -> Self;
    /// Sets the word.
    ///
    /// # Safety
    /// As [`update`](Self::update).
    unsafe fn store(at: *mut u8, word: Self);
    /// The sum, wrapping.
    fn plus(self, other: Self) -> Self;
    fn bits(self) -> u64;
    fn of(bits: u64) -> Self;
}

macro_rules! words {
    ($($ty:ty, $atomic:ty;)*) => {$(
        impl Word for $ty {
            #[inline(always)]
            unsafe fn add(at: *mut u8, by: Self) -> Self {
                // SAFETY: the caller's.
                unsafe { <$atomic>::from_ptr(at.cast()) }.fetch_add(by, Relaxed)
            }
            #[inline(always)]
            unsafe fn update(at: *mut u8, change: impl Fn(Self) -> Self) -> Self {
                // SAFETY: the caller's.
                let word = unsafe { <$atomic>::from_ptr(at.cast()) };
                let mut old = word.load(Relaxed);
                while let Err(now) = word.compare_exchange_weak(old, change(old), Relaxed, Relaxed) {
                    old = now;
                }
                old
            }
            #[inline(always)]
            unsafe fn load(at: *mut u8) -> Self {
                // SAFETY: the caller's.
                unsafe { <$atomic>::from_ptr(at.cast()) }.load(Relaxed)
            }
            #[inline(always)]
            unsafe fn store(at: *mut u8, word: Self) {
                // SAFETY: the caller's.
                unsafe { <$atomic>::from_ptr(at.cast()) }.store(word, Relaxed);
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            fn bits(self) -> u64 { self.into() }
            fn of(bits: u64) -> Self { bits as Self }
        }
    )*};
}

words! { u32, AtomicU32; u64, AtomicU64; }

/// Computes the value that an atomic writes from the old value and the operands.
trait Change<W: Word> {
    const WRITES: bool = true;
    fn change(old: W, operands: [W; 2]) -> W;
    /// # Safety
    /// As [`Word::update`].
    #[inline(always)]
    unsafe fn act(at: *mut u8, operands: [W; 2]) -> W {
        // SAFETY: the caller's.
        unsafe { W::update(at, |old| Self::change(old, operands)) }
    }
}

impl<W: Word, F: Binary<A: Register, B: Register, R: Register>> Change<W> for F {
    #[inline(always)]
    fn change(old: W, operands: [W; 2]) -> W {
        let (a, b) = (F::A::from_bits(old.bits()), F::B::from_bits(operands[0].bits()));
        W::of(F::lane(a, b).into_bits())
    }
}

struct Add;
struct Load;
struct Exchange;
struct CompareExchange;

impl<W: Word> Change<W> for Add {
    #[inline(always)]
    fn change(old: W, operands: [W; 2]) -> W {
        old.plus(operands[0])
    }
    #[inline(always)]
    unsafe fn act(at: *mut u8, operands: [W; 2]) -> W {
        // SAFETY: the caller's.
        unsafe { W::add(at, operands[0]) }
    }
}

impl<W: Word> Change<W> for Load {
    const WRITES: bool = false;
    fn change(old: W, _: [W; 2]) -> W {
        old
    }
}

impl<W: Word> Change<W> for Exchange {
    #[inline(always)]
    fn change(_: W, operands: [W; 2]) -> W {
        operands[0]
    }
}

impl<W: Word> Change<W> for CompareExchange {
    #[inline(always)]
    fn change(old: W, [expected, desired]: [W; 2]) -> W {
        if old.bits() == expected.bits() { desired } else { old }
    }
}

/// An atomic on words `W`. The second word's immediate is [`form`].
struct Atomic<W, C>(PhantomData<(W, C)>);

/// The immediate of an atomic's second word: the form of the address, and whether the old value is not used.
pub(crate) const fn form(lanes: Lanes, returns: bool) -> u64 {
    (lanes as u64) << 1 | !returns as u64
}

/// The form of the address in such an immediate.
const fn lanes_as(form: u64) -> Lanes {
    match form >> 1 {
        0 => Lanes::Uniform,
        1 => Lanes::Indexed,
        _ => Lanes::Prepared,
    }
}

impl<W: Word, C: Change<W>> Handler for Atomic<W, C> {
    #[inline(always)]
    unsafe fn run(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the contract of `Run`; addresses are checked and aligned, and accesses of other
        // threads to the same word that are not atomic are races of the kernel, on words it may touch.
        unsafe {
            let bytes = size_of::<W>() as u32;
            let (ins, values) = (&*ip, &*ip.add(1));
            let lanes = lanes_as(values.imm);
            let (found, alone) = match pointers(ip, frame, wave, lanes, bytes, C::WRITES) {
                Ok(found) => found,
                Err(stop) => return stop,
            };
            let operand = |offset: u32, k: usize| *frame.add(offset as usize).cast::<W>().add(k);
            let mut before = [W::default(); LANES];
            let mut left = wave.exec;
            while left != 0 {
                let k = take_lane(&mut wave.random, &mut left);
                let operands = || [operand(values.a, k), operand(values.b, k)];
                before[k] = if C::WRITES && !alone {
                    C::act(found[k], operands())
                } else {
                    W::load(found[k])
                };
                if C::WRITES && alone {
                    W::store(found[k], C::change(before[k], operands()));
                }
            }
            if values.imm & 1 == 0 {
                *frame.add(ins.a as usize).cast() = before;
            }
            ip.add(2)
        }
    }
}

fn of<W: Word, C: Change<W>>() -> Run {
    function::<Atomic<W, C>>()
}

/// The handler of an atomic on a scalar type.
pub(crate) fn handler(op: Op, scalar: Scalar) -> Run {
    use Scalar as S;
    use rows::{
        AddF32, AndU32, AndU64, MaxF32, MaxI32, MaxI64, MaxU32, MaxU64, MinF32, MinI32, MinI64,
        MinU32, MinU64, OrU32, OrU64, SubF32, SubU32, SubU64, XorU32, XorU64,
    };
    let wide = scalar.bytes() == 8;
    match (op, scalar) {
        (Op::AtomicLoad, _) if wide => of::<u64, Load>(),
        (Op::AtomicLoad, _) => of::<u32, Load>(),
        (Op::AtomicCompareExchange, _) if wide => of::<u64, CompareExchange>(),
        (Op::AtomicCompareExchange, _) => of::<u32, CompareExchange>(),
        (Op::AtomicAdd, S::F32) => of::<u32, AddF32>(),
        (Op::AtomicAdd, _) if wide => of::<u64, Add>(),
        (Op::AtomicAdd, _) => of::<u32, Add>(),
        (Op::AtomicSub, S::F32) => of::<u32, SubF32>(),
        (Op::AtomicSub, _) if wide => of::<u64, SubU64>(),
        (Op::AtomicSub, _) => of::<u32, SubU32>(),
        (Op::AtomicMin, S::F32) => of::<u32, MinF32>(),
        (Op::AtomicMin, S::I32) => of::<u32, MinI32>(),
        (Op::AtomicMin, S::I64) => of::<u64, MinI64>(),
        (Op::AtomicMin, _) if wide => of::<u64, MinU64>(),
        (Op::AtomicMin, _) => of::<u32, MinU32>(),
        (Op::AtomicMax, S::F32) => of::<u32, MaxF32>(),
        (Op::AtomicMax, S::I32) => of::<u32, MaxI32>(),
        (Op::AtomicMax, S::I64) => of::<u64, MaxI64>(),
        (Op::AtomicMax, _) if wide => of::<u64, MaxU64>(),
        (Op::AtomicMax, _) => of::<u32, MaxU32>(),
        (Op::AtomicAnd, _) if wide => of::<u64, AndU64>(),
        (Op::AtomicAnd, _) => of::<u32, AndU32>(),
        (Op::AtomicOr, _) if wide => of::<u64, OrU64>(),
        (Op::AtomicOr, _) => of::<u32, OrU32>(),
        (Op::AtomicXor, _) if wide => of::<u64, XorU64>(),
        (Op::AtomicXor, _) => of::<u32, XorU32>(),
        // Exchange, and store, which is an exchange whose result is unused.
        _ if wide => of::<u64, Exchange>(),
        _ => of::<u32, Exchange>(),
    }
}
