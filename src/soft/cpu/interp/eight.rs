//! Eight floats in the vector registers of each instruction set: the operations of a product of matrices for
//! which the compiler does not find the best instructions by itself.

/// A vector of eight floats.
///
/// # Safety
/// The methods of a set's type are only reached through functions that enable the set.
pub(crate) trait Eight: Copy {
    /// Reads eight floats.
    ///
    /// # Safety
    /// They are readable.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes eight floats.
    ///
    /// # Safety
    /// They are writable.
    unsafe fn store(self, to: *mut f32);

    /// Reads two floats, and repeats them four times.
    ///
    /// # Safety
    /// They are readable.
    unsafe fn pairs(from: *const f32) -> Self;

    /// The first, third, fifth and seventh, twice each.
    fn even(self) -> Self;

    /// The others, twice each.
    fn odd(self) -> Self;

    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
}

/// Without vectors.
#[cfg(not(target_arch = "aarch64"))]
impl Eight for [f32; 8] {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<Self>().write(self) }
    }

    #[inline(always)]
    unsafe fn pairs(from: *const f32) -> Self {
        // SAFETY: the caller's.
        let pair = unsafe { from.cast::<[f32; 2]>().read() };
        std::array::from_fn(|k| pair[k % 2])
    }

    #[inline(always)]
    fn even(self) -> Self {
        std::array::from_fn(|k| self[k / 2 * 2])
    }

    #[inline(always)]
    fn odd(self) -> Self {
        std::array::from_fn(|k| self[k / 2 * 2 + 1])
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        std::array::from_fn(|k| self[k].mul_add(b[k], c[k]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! AVX2, which AVX-512 uses as well: eight is the width of a block of a matrix.

    use std::arch::x86_64::{
        __m256, _mm256_broadcast_sd, _mm256_castpd_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_movehdup_ps, _mm256_moveldup_ps, _mm256_storeu_ps,
    };

    use super::Eight;

    impl Eight for __m256 {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's.
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's.
            unsafe { _mm256_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn pairs(from: *const f32) -> Self {
            // SAFETY: the caller's; what is read is a copy, of any alignment.
            unsafe { _mm256_castpd_ps(_mm256_broadcast_sd(&from.cast::<f64>().read_unaligned())) }
        }

        #[inline(always)]
        fn even(self) -> Self {
            // SAFETY: only reached through functions that enable AVX2.
            unsafe { _mm256_moveldup_ps(self) }
        }

        #[inline(always)]
        fn odd(self) -> Self {
            // SAFETY: only reached through functions that enable AVX2.
            unsafe { _mm256_movehdup_ps(self) }
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: only reached through functions that enable AVX2 and FMA.
            unsafe { _mm256_fmadd_ps(self, b, c) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    //! NEON, which every aarch64 has: two vectors of four.

    use std::arch::aarch64::{
        float32x4_t, vfmaq_f32, vld1q_dup_u64, vld1q_f32, vreinterpretq_f32_u64, vst1q_f32,
        vtrn1q_f32, vtrn2q_f32,
    };

    use super::Eight;

    impl Eight for [float32x4_t; 2] {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's.
            unsafe { [vld1q_f32(from), vld1q_f32(from.add(4))] }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's.
            unsafe {
                vst1q_f32(to, self[0]);
                vst1q_f32(to.add(4), self[1]);
            }
        }

        #[inline(always)]
        unsafe fn pairs(from: *const f32) -> Self {
            // SAFETY: the caller's; the instruction takes any alignment.
            unsafe { [vreinterpretq_f32_u64(vld1q_dup_u64(from.cast())); 2] }
        }

        #[inline(always)]
        fn even(self) -> Self {
            // SAFETY: NEON is there.
            self.map(|four| unsafe { vtrn1q_f32(four, four) })
        }

        #[inline(always)]
        fn odd(self) -> Self {
            // SAFETY: NEON is there.
            self.map(|four| unsafe { vtrn2q_f32(four, four) })
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: NEON is there.
            std::array::from_fn(|half| unsafe { vfmaq_f32(c[half], self[half], b[half]) })
        }
    }
}
