//! aarch64: eight elements a step. Halves by assembly (the compiler's vector of halves is not
//! stable), bfloats by integer operations that every ARMv8 has.
//!
//! The conversions between half and float obey neither FZ nor FZ16 where it could show: FZ16 is
//! ignored (Arm ARM, FPConvert), and a float that FZ would flush is a zero as a half anyway. The
//! settings that every thread starts with are assumed: no alternative half precision (AHP),
//! no default NaN (DN), rounding to nearest.

use std::arch::aarch64::*;
use std::arch::asm;

use super::path::{Path, define_path};
use super::slices::{Conversion, Isa, convert};

pub(super) static PATH: Path = define_path!("NEON", || true);

unsafe fn cast<C: Conversion>(to: &mut [C::To], from: &[C::From], stream: bool) {
    // SAFETY: the caller promises equal lengths, and the target has NEON.
    unsafe { convert::<C, Neon>(to, from, stream) }
}

pub(super) use super::element::{bfloat_to_float, float_to_bfloat};

#[inline(always)]
pub(super) fn half_to_float(half: u16) -> f32 {
    let float;
    // SAFETY: the instruction reads and writes these two registers only. No option on flags, here
    // and below: NaNs and rounding set those of FPSR.
    unsafe {
        asm!("fcvt {to:s}, {from:h}", from = in(vreg) half, to = lateout(vreg) float,
            options(pure, nomem, nostack));
    }
    float
}

#[inline(always)]
pub(super) fn float_to_half(float: f32) -> u16 {
    let half;
    // SAFETY: the instruction reads and writes these two registers only.
    unsafe {
        asm!("fcvt {to:h}, {from:s}", from = in(vreg) float, to = lateout(vreg) half,
            options(pure, nomem, nostack));
    }
    half
}

enum Neon {}

impl Isa for Neon {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn half_to_float<const STREAM: bool>(from: *const u16, to: *mut f32) {
        // SAFETY: the caller promises eight elements at both pointers; the assembly touches
        // registers only.
        unsafe {
            let halves = vld1q_u16(from);
            let (low, high): (float32x4_t, float32x4_t);
            asm!(
                "fcvtl {low:v}.4s, {halves:v}.4h",
                "fcvtl2 {high:v}.4s, {halves:v}.8h",
                halves = in(vreg) halves,
                low = out(vreg) low,
                high = lateout(vreg) high,
                options(pure, nomem, nostack),
            );
            vst1q_f32(to, low);
            vst1q_f32(to.add(4), high);
        }
    }

    #[inline(always)]
    unsafe fn float_to_half<const STREAM: bool>(from: *const f32, to: *mut u16) {
        // SAFETY: as above.
        unsafe {
            let halves: uint16x8_t;
            asm!(
                "fcvtn {halves:v}.4h, {low:v}.4s",
                "fcvtn2 {halves:v}.8h, {high:v}.4s",
                low = in(vreg) vld1q_f32(from),
                high = in(vreg) vld1q_f32(from.add(4)),
                halves = out(vreg) halves,
                options(pure, nomem, nostack),
            );
            vst1q_u16(to, halves);
        }
    }

    #[inline(always)]
    unsafe fn bfloat_to_float<const STREAM: bool>(from: *const u16, to: *mut f32) {
        // SAFETY: as above.
        unsafe {
            let bfloats = vld1q_u16(from);
            let low = quiet(vshll_n_u16::<16>(vget_low_u16(bfloats)));
            let high = quiet(vshll_high_n_u16::<16>(bfloats));
            vst1q_f32(to, vreinterpretq_f32_u32(low));
            vst1q_f32(to.add(4), vreinterpretq_f32_u32(high));
        }
    }

    #[inline(always)]
    unsafe fn float_to_bfloat<const STREAM: bool>(from: *const f32, to: *mut u16) {
        // SAFETY: as above.
        unsafe {
            let low = vshrn_n_u32::<16>(round(vld1q_f32(from)));
            vst1q_u16(to, vshrn_high_n_u32::<16>(low, round(vld1q_f32(from.add(4)))));
        }
    }
}

/// All ones in lanes that hold a number.
#[inline(always)]
unsafe fn is_number(bits: uint32x4_t) -> uint32x4_t {
    // SAFETY: the target has NEON.
    unsafe {
        let floats = vreinterpretq_f32_u32(bits);
        vceqq_f32(floats, floats)
    }
}

/// The same bits, with NaNs made quiet.
#[inline(always)]
unsafe fn quiet(bits: uint32x4_t) -> uint32x4_t {
    // SAFETY: the target has NEON.
    unsafe { vorrq_u32(bits, vbicq_u32(vdupq_n_u32(0x0040_0000), is_number(bits))) }
}

/// Bits whose upper halves are the bfloats: rounding to even adds just under a half, and the rest
/// of it to odd numbers; a NaN is made quiet instead.
#[inline(always)]
unsafe fn round(floats: float32x4_t) -> uint32x4_t {
    // SAFETY: the target has NEON.
    unsafe {
        let bits = vreinterpretq_u32_f32(floats);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        vbslq_u32(is_number(bits), rounded, quiet(bits))
    }
}
