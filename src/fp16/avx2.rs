//! x86_64 with AVX2 and F16C: eight elements a step.
//!
//! F16C obeys neither flush-to-zero nor denormals-are-zero for halves and takes its rounding from
//! the instruction; NaNs come out quiet, with sign and top payload bits (Intel SDM, VCVTPH2PS and
//! VCVTPS2PH).

use std::arch::x86_64::*;

use super::cache;
use super::path::{Path, define_path};
use super::slices::{Conversion, Isa, convert};

pub(super) static PATH: Path = define_path!("AVX2 and F16C", || {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")
});

#[target_feature(enable = "avx2,f16c")]
pub(super) unsafe fn cast<C: Conversion>(to: &mut [C::To], from: &[C::From], stream: bool) {
    // SAFETY: the caller promises equal lengths and a processor with both instruction sets.
    unsafe { convert::<C, Avx2>(to, from, stream) }
}

enum Avx2 {}

impl Isa for Avx2 {
    const LANES: usize = 8;
    const STREAMS: bool = true;

    #[inline(always)]
    unsafe fn half_to_float<const STREAM: bool>(from: *const u16, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { store::<STREAM>(_mm256_cvtph_ps(_mm_loadu_si128(from.cast())), to) }
    }

    #[inline(always)]
    unsafe fn float_to_half<const STREAM: bool>(from: *const f32, to: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe {
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(from));
            store_short::<STREAM>(halves, to);
        }
    }

    #[inline(always)]
    unsafe fn bfloat_to_float<const STREAM: bool>(from: *const u16, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            let floats = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide));
            store::<STREAM>(_mm256_or_ps(floats, quiet_where_nan(floats)), to);
        }
    }

    #[inline(always)]
    unsafe fn float_to_bfloat<const STREAM: bool>(from: *const f32, to: *mut u16) {
        // SAFETY: the caller's promise.
        unsafe {
            let floats = _mm256_loadu_ps(from);
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(floats, floats));
            let quiet = _mm256_castps_si256(_mm256_or_ps(floats, quiet_where_nan(floats)));
            // Rounding to even adds just under a half, and the rest of it to odd numbers. A NaN
            // keeps its bits instead: a carry could make an infinity of it.
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(quiet), _mm256_set1_epi32(1));
            let under_half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let rounded = _mm256_add_epi32(quiet, _mm256_andnot_si256(nan, under_half));
            let wide = _mm256_srli_epi32::<16>(rounded);
            let low = _mm256_castsi256_si128(wide);
            let high = _mm256_extracti128_si256::<1>(wide);
            store_short::<STREAM>(_mm_packus_epi32(low, high), to);
        }
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

/// The quiet bit in lanes that hold a NaN, zero in others.
#[inline(always)]
unsafe fn quiet_where_nan(floats: __m256) -> __m256 {
    // SAFETY: the caller has AVX2.
    unsafe {
        let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(floats, floats);
        _mm256_and_ps(nan, _mm256_castsi256_ps(_mm256_set1_epi32(0x0040_0000)))
    }
}

#[inline(always)]
unsafe fn store<const STREAM: bool>(floats: __m256, to: *mut f32) {
    // SAFETY: the caller has room for eight floats at `to`, aligned with `STREAM`.
    unsafe { if STREAM { _mm256_stream_ps(to, floats) } else { _mm256_storeu_ps(to, floats) } }
}

#[inline(always)]
unsafe fn store_short<const STREAM: bool>(shorts: __m128i, to: *mut u16) {
    let to = to.cast();
    // SAFETY: the caller has room for eight elements at `to`, aligned with `STREAM`.
    unsafe { if STREAM { _mm_stream_si128(to, shorts) } else { _mm_storeu_si128(to, shorts) } }
}
