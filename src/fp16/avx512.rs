//! x86_64 with AVX-512 (F and VL): sixteen elements a step, in assembly.
//!
//! Assembly, because the compiler's own AVX-512 is younger than the oldest compiler that the crate
//! supports. The registers from zmm16 on need no `vzeroupper` after them. BF16's `vcvtneps2bf16`
//! is not used: it flushes subnormals.

use std::arch::asm;

use super::path::{Path, define_path};
use super::slices::{Conversion, Isa, convert};
use super::{avx2, cache};

pub(super) static PATH: Path = define_path!("AVX-512", || {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && (avx2::PATH.available)()
});

unsafe fn cast<C: Conversion>(to: &mut [C::To], from: &[C::From], stream: bool) {
    // SAFETY: the caller promises equal lengths and a processor with AVX-512, AVX2 and F16C.
    unsafe {
        if to.len() < Avx512::LANES {
            // Less than a step here is one there, or two.
            avx2::cast::<C>(to, from, stream)
        } else {
            convert::<C, Avx512>(to, from, stream)
        }
    }
}

enum Avx512 {}

/// The constants that the instructions broadcast: a NaN's quiet bit, the last bit that a bfloat keeps, just under
/// a half of that bit, and its half.
static BITS: [u32; 4] = [0x40_0000, 0x1_0000, 0x7fff, 0x8000];

/// A step: the instructions, then the ordinary store or the streaming one.
macro_rules! step {
    (
        $stream:ident, $from:ident, $to:ident $(, $constants:ident = $value:expr)?;
        $($line:literal)*, $store:literal or $streamed:literal
    ) => {
        if $stream {
            step!(@asm $from, $to $(, $constants = $value)?; $($line)* $streamed)
        } else {
            step!(@asm $from, $to $(, $constants = $value)?; $($line)* $store)
        }
    };
    (@asm $from:ident, $to:ident $(, $constants:ident = $value:expr)?; $($line:literal)*) => {
        // SAFETY: the caller promises sixteen elements at both pointers, alignment for the
        // streaming store, and the instruction set. No option on flags: NaNs and rounding set
        // those of MXCSR.
        unsafe {
            asm!(
                $($line,)*
                from = in(reg) $from,
                to = in(reg) $to,
                $($constants = in(reg) $value,)?
                out("xmm16") _,
                out("xmm17") _,
                out("k1") _,
                out("k2") _,
                options(nostack),
            )
        }
    };
}

impl Isa for Avx512 {
    const LANES: usize = 16;
    const STREAMS: bool = true;

    #[inline(always)]
    unsafe fn half_to_float<const STREAM: bool>(from: *const u16, to: *mut f32) {
        step!(STREAM, from, to;
            "vcvtph2ps zmm16, [{from}]",
            "vmovups [{to}], zmm16" or "vmovntps [{to}], zmm16");
    }

    #[inline(always)]
    unsafe fn float_to_half<const STREAM: bool>(from: *const f32, to: *mut u16) {
        step!(STREAM, from, to;
            "vmovups zmm16, [{from}]"
            "vcvtps2ph ymm16, zmm16, 0", // 0: to nearest, ties to even
            "vmovdqu32 [{to}], ymm16" or "vmovntdq [{to}], ymm16");
    }

    #[inline(always)]
    unsafe fn bfloat_to_float<const STREAM: bool>(from: *const u16, to: *mut f32) {
        step!(STREAM, from, to, bits = &raw const BITS;
            "vpmovzxwd zmm16, [{from}]"
            "vpslld zmm16, zmm16, 16"
            "vcmpunordps k1, zmm16, zmm16"
            "vpord zmm16{{k1}}, zmm16, [{bits}]{{1to16}}",
            "vmovups [{to}], zmm16" or "vmovntps [{to}], zmm16");
    }

    /// Rounding to even adds just under a half, or a half where the last kept bit is set; a NaN is
    /// made quiet instead.
    #[inline(always)]
    unsafe fn float_to_bfloat<const STREAM: bool>(from: *const f32, to: *mut u16) {
        step!(STREAM, from, to, bits = &raw const BITS;
            "vmovups zmm16, [{from}]"
            "vcmpunordps k1, zmm16, zmm16"
            "vptestmd k2, zmm16, [{bits} + 4]{{1to16}}"
            "vpaddd zmm17, zmm16, [{bits} + 8]{{1to16}}"
            "vpaddd zmm17{{k2}}, zmm16, [{bits} + 12]{{1to16}}"
            "vpord zmm17{{k1}}, zmm16, [{bits}]{{1to16}}"
            "vpsrld zmm17, zmm17, 16"
            "vpmovdw ymm17, zmm17",
            "vmovdqu32 [{to}], ymm17" or "vmovntdq [{to}], ymm17");
    }

    #[inline(always)]
    fn fence() {
        cache::fence();
    }

    #[inline(always)]
    fn will_read(address: *const u8) {
        cache::will_read(address);
    }

    #[inline(always)]
    fn will_write(address: *const u8) {
        cache::will_write(address);
    }
}
