//! The instruction sets that lane loops are compiled for, and the few operations written by hand for each.
//!
//! A handler is written once, generic over [`Isa`], and instantiated once for each set inside a function
//! that enables its features: there the compiler turns the loop over 32 lanes into vector code. The
//! best set is detected once; all produce the same bits.

use super::code::{Handler, Ins, Run, Wave};
use super::eight::Eight;
use crate::soft::ir::half::f16_value;
use crate::soft::variables;

/// Lanes of a SIMD-group.
pub(crate) const LANES: usize = 32;

/// An instruction set that handlers are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsaKind {
    /// What the target guarantees: SSE2 on x86_64, NEON on aarch64.
    Baseline,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with its byte, word, doubleword and vector-length parts.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl IsaKind {
    /// The sets that this machine can run, the best last.
    pub(crate) fn available() -> Vec<Self> {
        let more: &[(Self, bool)] = &[
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, x86::has_avx2()),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, x86::has_avx2() && x86::has_avx512()),
        ];
        let baseline = std::iter::once(Self::Baseline);
        baseline.chain(more.iter().filter(|(_, has)| *has).map(|&(isa, _)| isa)).collect()
    }

    /// The name, as in `ARUMINIUM_ISA`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
        }
    }

    /// The set to use: the one that the environment variable `ARUMINIUM_ISA` names, if the machine has
    /// it, else the best.
    pub(crate) fn chosen() -> Self {
        static CHOSEN: std::sync::OnceLock<IsaKind> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let available = Self::available();
            let best = available.last().copied().unwrap_or(Self::Baseline);
            let Some(wanted) = variables::ISA.given() else { return best };
            available.iter().find(|isa| isa.name() == wanted).copied().unwrap_or_else(|| {
                let best_name = best.name();
                variables::report(&format!(
                    "ARUMINIUM_ISA={wanted} is ignored: this processor does not have it; {best_name} is used"
                ));
                best
            })
        })
    }

    /// The function that runs `H` with this set.
    pub(crate) fn run<H: Handler>(self) -> Run {
        match self {
            Self::Baseline => baseline::<H>,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::<H>,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::<H>,
        }
    }
}

/// Operations for which the compiler does not find the best instructions by itself.
pub(crate) trait Isa {
    /// Eight floats in its registers.
    type Eight: Eight;
    /// Runs a handler as a separate function, so that a rare path does not cost the common one registers.
    ///
    /// # Safety
    /// As [`Run`].
    unsafe fn apart<H: Handler>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins;

    /// A bit for each lane; lanes are all ones or all zeros.
    #[inline(always)]
    fn mask(lanes: &[u32; LANES]) -> u32 {
        let mut mask = 0;
        for (k, lane) in lanes.iter().enumerate() {
            mask |= lane & 1 << k;
        }
        mask
    }

    /// All ones in the lanes whose bit is set.
    #[inline(always)]
    fn spread(mask: u32) -> [u32; LANES] {
        let mut lanes = [0; LANES];
        for (k, lane) in lanes.iter_mut().enumerate() {
            *lane = if mask & 1 << k != 0 { u32::MAX } else { 0 };
        }
        lanes
    }

    /// Whether N numbers, 16 or 32, go up by one.
    ///
    /// # Safety
    /// They are there.
    #[inline(always)]
    unsafe fn is_run<const N: usize>(from: *const u32) -> bool {
        // SAFETY: the caller's.
        unsafe {
            (0..N).fold(0, |apart, k| apart | (*from.add(k) ^ (*from).wrapping_add(k as u32))) == 0
        }
    }

    /// Whether N numbers, 16 or 32, are the same.
    ///
    /// # Safety
    /// They are there.
    #[inline(always)]
    unsafe fn is_same<const N: usize>(from: *const u32) -> bool {
        // SAFETY: the caller's.
        unsafe { (0..N).fold(0, |apart, k| apart | (*from.add(k) ^ *from)) == 0 }
    }

    /// Writes the values of 32 halves.
    ///
    /// # Safety
    /// The halves and the memory for the values are there.
    #[inline(always)]
    unsafe fn widen_halves(from: *const u16, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { widen_exactly(from, to) }
    }

    /// Writes the lanes whose bit is set, side by side.
    ///
    /// # Safety
    /// The lanes are there, and so is the memory of those that are written.
    #[inline(always)]
    unsafe fn store_where(to: *mut u32, lanes: &[u32; LANES], mask: u32) {
        let mut left = mask;
        while left != 0 {
            let k = left.trailing_zeros() as usize;
            left &= left - 1;
            // SAFETY: the caller's.
            unsafe { to.add(k).write_unaligned(lanes[k]) }
        }
    }
}

/// Widens 32 halves, preserving every bit of NaNs.
///
/// # Safety
/// The halves and the memory for the values are there.
#[inline(always)]
unsafe fn widen_exactly(from: *const u16, to: *mut f32) {
    for k in 0..LANES {
        // SAFETY: the caller's.
        unsafe { *to.add(k) = f16_value(*from.add(k)) }
    }
}

/// The same as a separate function, for when the fast instruction met NaNs.
///
/// # Safety
/// As [`widen_exactly`].
#[cfg(target_arch = "x86_64")]
#[cold]
unsafe fn widen_nans(from: *const u16, to: *mut f32) {
    // SAFETY: the caller's.
    unsafe { widen_exactly(from, to) }
}

/// Prefetches memory that will soon be read. Any address is allowed: nothing is accessed.
#[inline(always)]
pub(crate) fn prefetch(from: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86_64, and a prefetch does not fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// [`IsaKind::Baseline`]
#[derive(Debug)]
pub(crate) struct Baseline;

impl Isa for Baseline {
    #[cfg(target_arch = "aarch64")]
    type Eight = [std::arch::aarch64::float32x4_t; 2];
    #[cfg(not(target_arch = "aarch64"))]
    type Eight = [f32; 8];
    #[inline(always)]
    unsafe fn apart<H: Handler>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
        // SAFETY: the caller upholds the contract of `Run`.
        unsafe { baseline::<H>(ip, frame, wave) }
    }
}

/// # Safety
/// As [`Run`].
#[inline(never)]
unsafe fn baseline<H: Handler>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
    // SAFETY: the caller upholds the contract of `Run`.
    unsafe { H::run::<Baseline>(ip, frame, wave) }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{avx2, avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The x86_64 sets.

    use std::arch::x86_64::{
        __m128i, __m256, __m256i, __m512i, _CMP_UNORD_Q, _mm_loadu_si128, _mm256_add_epi32,
        _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtph_ps, _mm256_loadu_si256,
        _mm256_maskstore_epi32, _mm256_movemask_ps, _mm256_or_ps, _mm256_or_si256,
        _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_ps, _mm256_setzero_si256,
        _mm256_storeu_ps, _mm256_testz_si256, _mm256_xor_si256, _mm512_add_epi32,
        _mm512_cmp_ps_mask, _mm512_cmpneq_epi32_mask, _mm512_cvtph_ps, _mm512_loadu_si512,
        _mm512_mask_storeu_epi32, _mm512_movepi32_mask, _mm512_set1_epi32, _mm512_setr_epi32,
        _mm512_storeu_ps,
    };

    use super::{Handler, Ins, Isa, LANES, Wave, widen_nans};

    /// Whether the machine has what `avx2` enables.
    pub(crate) fn has_avx2() -> bool {
        use std::arch::is_x86_feature_detected as has;
        let small = has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt");
        small && has!("avx2") && has!("fma") && has!("f16c")
    }

    /// Whether the machine has what `avx512` enables on top.
    pub(crate) fn has_avx512() -> bool {
        use std::arch::is_x86_feature_detected as has;
        has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl")
    }

    /// [`IsaKind::Avx2`](super::IsaKind::Avx2)
    #[derive(Debug)]
    pub(crate) struct Avx2;

    impl Isa for Avx2 {
        type Eight = __m256;

        #[inline(always)]
        unsafe fn apart<H: Handler>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
            // SAFETY: the caller upholds the contract of `Run`, and is itself only reached through `avx2`.
            unsafe { avx2::<H>(ip, frame, wave) }
        }

        #[inline(always)]
        fn mask(lanes: &[u32; LANES]) -> u32 {
            let mut mask = 0;
            for k in 0..4 {
                // SAFETY: only reached through `avx2` below; the 8 lanes are in bounds.
                let bits = unsafe {
                    let eight = _mm256_loadu_si256(lanes.as_ptr().add(8 * k).cast::<__m256i>());
                    _mm256_movemask_ps(_mm256_castsi256_ps(eight))
                };
                mask |= (bits as u32) << (8 * k);
            }
            mask
        }

        #[inline(always)]
        unsafe fn is_run<const N: usize>(from: *const u32) -> bool {
            // SAFETY: only reached through `avx2` below; the caller has the numbers.
            unsafe {
                let first = _mm256_set1_epi32(*from as i32);
                equal8::<N>(
                    from,
                    _mm256_add_epi32(first, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
                    8,
                )
            }
        }

        #[inline(always)]
        unsafe fn is_same<const N: usize>(from: *const u32) -> bool {
            // SAFETY: only reached through `avx2` below; the caller has the numbers.
            unsafe { equal8::<N>(from, _mm256_set1_epi32(*from as i32), 0) }
        }

        #[inline(always)]
        unsafe fn widen_halves(from: *const u16, to: *mut f32) {
            // SAFETY: only reached through `avx2` below; the caller has halves and values.
            unsafe {
                let mut nans = _mm256_setzero_ps();
                for k in (0..LANES).step_by(8) {
                    let halves = _mm_loadu_si128(from.add(k).cast::<__m128i>());
                    let values = _mm256_cvtph_ps(halves);
                    nans = _mm256_or_ps(nans, _mm256_cmp_ps::<_CMP_UNORD_Q>(values, values));
                    _mm256_storeu_ps(to.add(k), values);
                }
                if _mm256_movemask_ps(nans) != 0 {
                    // The instruction quiets signalling NaNs.
                    widen_nans(from, to);
                }
            }
        }

        #[inline(always)]
        unsafe fn store_where(to: *mut u32, lanes: &[u32; LANES], mask: u32) {
            let whole = Self::spread(mask);
            for k in (0..LANES).step_by(8) {
                // SAFETY: only reached through `avx2` below; the caller has the memory of the lanes that
                // are written, and the instruction touches no other.
                unsafe {
                    let chosen = _mm256_loadu_si256(whole.as_ptr().add(k).cast());
                    let eight = _mm256_loadu_si256(lanes.as_ptr().add(k).cast());
                    _mm256_maskstore_epi32(to.add(k).cast(), chosen, eight);
                }
            }
        }
    }

    /// Whether N numbers are those of a vector, which goes up by `step` from eight to the next.
    ///
    /// # Safety
    /// Only reached through `avx2`; the numbers are there.
    #[inline(always)]
    unsafe fn equal8<const N: usize>(from: *const u32, mut want: __m256i, step: i32) -> bool {
        // SAFETY: the caller's.
        unsafe {
            let mut apart = _mm256_setzero_si256();
            for k in (0..N).step_by(8) {
                let eight = _mm256_loadu_si256(from.add(k).cast());
                apart = _mm256_or_si256(apart, _mm256_xor_si256(eight, want));
                want = _mm256_add_epi32(want, _mm256_set1_epi32(step));
            }
            _mm256_testz_si256(apart, apart) == 1
        }
    }

    /// [`IsaKind::Avx512`](super::IsaKind::Avx512)
    #[derive(Debug)]
    pub(crate) struct Avx512;

    impl Isa for Avx512 {
        type Eight = __m256;

        #[inline(always)]
        unsafe fn apart<H: Handler>(ip: *const Ins, frame: *mut u8, wave: &mut Wave) -> *const Ins {
            // SAFETY: the caller upholds the contract of `Run`, and is itself only reached through `avx512`.
            unsafe { avx512::<H>(ip, frame, wave) }
        }

        #[inline(always)]
        fn mask(lanes: &[u32; LANES]) -> u32 {
            // SAFETY: only reached through `avx512` below; both halves are in bounds.
            unsafe {
                let half = |k| _mm512_loadu_si512(lanes.as_ptr().add(k).cast::<__m512i>());
                let low = _mm512_movepi32_mask(half(0));
                let high = _mm512_movepi32_mask(half(16));
                u32::from(low) | u32::from(high) << 16
            }
        }

        #[inline(always)]
        unsafe fn is_run<const N: usize>(from: *const u32) -> bool {
            // SAFETY: only reached through `avx512` below; the caller has the numbers.
            unsafe {
                let up = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                equal16::<N>(from, _mm512_add_epi32(_mm512_set1_epi32(*from as i32), up), 16)
            }
        }

        #[inline(always)]
        unsafe fn is_same<const N: usize>(from: *const u32) -> bool {
            // SAFETY: only reached through `avx512` below; the caller has the numbers.
            unsafe { equal16::<N>(from, _mm512_set1_epi32(*from as i32), 0) }
        }

        #[inline(always)]
        unsafe fn widen_halves(from: *const u16, to: *mut f32) {
            // SAFETY: only reached through `avx512` below; the caller has halves and values.
            unsafe {
                let mut nans = 0;
                for k in (0..LANES).step_by(16) {
                    let halves = _mm256_loadu_si256(from.add(k).cast::<__m256i>());
                    let values = _mm512_cvtph_ps(halves);
                    nans |= _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
                    _mm512_storeu_ps(to.add(k), values);
                }
                if nans != 0 {
                    // As above.
                    widen_nans(from, to);
                }
            }
        }

        #[inline(always)]
        unsafe fn store_where(to: *mut u32, lanes: &[u32; LANES], mask: u32) {
            for k in (0..LANES).step_by(16) {
                // SAFETY: only reached through `avx512` below; the caller has the memory of the lanes that
                // are written, and the instruction touches no other.
                unsafe {
                    let sixteen = _mm512_loadu_si512(lanes.as_ptr().add(k).cast());
                    _mm512_mask_storeu_epi32(to.add(k).cast(), (mask >> k) as u16, sixteen);
                }
            }
        }
    }

    /// Whether N numbers are those of a vector, which goes up by `step` from sixteen to the next.
    ///
    /// # Safety
    /// Only reached through `avx512`; the numbers are there.
    #[inline(always)]
    unsafe fn equal16<const N: usize>(from: *const u32, mut want: __m512i, step: i32) -> bool {
        // SAFETY: the caller's.
        unsafe {
            let mut apart = 0;
            for k in (0..N).step_by(16) {
                let sixteen = _mm512_loadu_si512(from.add(k).cast());
                apart |= _mm512_cmpneq_epi32_mask(sixteen, want);
                want = _mm512_add_epi32(want, _mm512_set1_epi32(step));
            }
            apart == 0
        }
    }

    /// # Safety
    /// As [`Run`](super::Run), on a machine with these features.
    #[inline(never)]
    #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
    pub(crate) unsafe fn avx2<H: Handler>(
        ip: *const Ins,
        frame: *mut u8,
        wave: &mut Wave,
    ) -> *const Ins {
        // SAFETY: the caller upholds the contract of `Run`.
        unsafe { H::run::<Avx2>(ip, frame, wave) }
    }

    /// # Safety
    /// As [`Run`](super::Run), on a machine with these features.
    #[inline(never)]
    #[target_feature(
        enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl"
    )]
    pub(crate) unsafe fn avx512<H: Handler>(
        ip: *const Ins,
        frame: *mut u8,
        wave: &mut Wave,
    ) -> *const Ins {
        // SAFETY: the caller upholds the contract of `Run`.
        unsafe { H::run::<Avx512>(ip, frame, wave) }
    }
}
