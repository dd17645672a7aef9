//! Conversion between single precision and the two 16-bit formats, half and bfloat16.
//!
//! A half is IEEE 754's binary16, a bfloat the upper 16 bits of a binary32; both travel as their
//! bits, in a `u16`. Widening is exact. Narrowing rounds to nearest, ties to even. Subnormals and
//! infinities are kept, what is too large becomes an infinity, and a NaN stays a NaN: quiet, with
//! its sign and the top bits of its payload. Every path yields the same bits.
//!
//! ```
//! use aruminium::{cast_f16_f32, cast_f32_f16};
//!
//! let weights = [1.0, -0.5, 65504.0, 1e-8];
//! let mut halves = [0; 4];
//! cast_f32_f16(&mut halves, &weights);
//! assert_eq!(halves, [0x3c00, 0xb800, 0x7bff, 0x0000]);
//!
//! let mut floats = [0.0; 4];
//! cast_f16_f32(&mut floats, &halves);
//! assert_eq!(floats, [1.0, -0.5, 65504.0, 0.0]);
//! ```
//!
//! With the feature `half`, `half::f16` and `half::bf16` are accepted where [`Half`] and [`Bfloat`] are (in buffers, function
//! constants, tensors and messages), and convert to and from them. With the feature `bytemuck`, both are `bytemuck::Pod`.
//!
//! `element` defines the conversions, `slices` has the loop, `path` chooses the instruction set,
//! and an instruction set is a file.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod cache;
mod element;
#[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
mod neon;
mod path;
mod portable;
mod slices;
#[cfg(test)]
mod tests;

/// The conversion of a single element: an instruction where the target surely has it.
#[cfg(not(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little")))]
use element as one;
#[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
use neon as one;

/// The value of a half, exactly.
///
/// ```
/// assert_eq!(aruminium::fp16_to_f32(0x3c00), 1.0);
/// assert_eq!(aruminium::fp16_to_f32(0x0001), 2.0f32.powi(-24)); // the least subnormal
/// assert_eq!(aruminium::fp16_to_f32(0xfc00), f32::NEG_INFINITY);
/// ```
#[inline]
pub fn fp16_to_f32(half: u16) -> f32 {
    one::half_to_float(half)
}

/// The half nearest to a float, of two the even one.
///
/// ```
/// assert_eq!(aruminium::f32_to_fp16(1.0), 0x3c00);
/// assert_eq!(aruminium::f32_to_fp16(2049.0), aruminium::f32_to_fp16(2048.0)); // a tie
/// assert_eq!(aruminium::f32_to_fp16(65520.0), 0x7c00); // too large: infinity
/// ```
#[inline]
pub fn f32_to_fp16(float: f32) -> u16 {
    one::float_to_half(float)
}

/// The value of a bfloat, exactly.
///
/// ```
/// assert_eq!(aruminium::bf16_to_f32(0x3f80), 1.0);
/// ```
#[inline]
pub fn bf16_to_f32(bfloat: u16) -> f32 {
    one::bfloat_to_float(bfloat)
}

/// The bfloat nearest to a float, of two the even one.
///
/// ```
/// assert_eq!(aruminium::f32_to_bf16(1.0), 0x3f80);
/// assert_eq!(aruminium::f32_to_bf16(f32::MAX), 0x7f80); // too large: infinity
/// ```
#[inline]
pub fn f32_to_bf16(float: f32) -> u16 {
    one::float_to_bfloat(float)
}

/// Declares a type that holds the bits of a narrow float, and the type of the crate `half` that it converts to and from.
macro_rules! narrow {
    ($($(#[$doc:meta])* $name:ident, $narrow:ident, $widen:ident, $half:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name(pub u16);

        impl From<f32> for $name {
            fn from(float: f32) -> Self {
                Self($narrow(float))
            }
        }

        impl From<$name> for f32 {
            fn from(narrow: $name) -> Self {
                $widen(narrow.0)
            }
        }

        #[cfg(feature = "half")]
        impl From<half::$half> for $name {
            fn from(narrow: half::$half) -> Self {
                Self(narrow.to_bits())
            }
        }

        #[cfg(feature = "half")]
        impl From<$name> for half::$half {
            fn from(narrow: $name) -> Self {
                Self::from_bits(narrow.0)
            }
        }

        // SAFETY: all bits are a value.
        #[cfg(feature = "bytemuck")]
        unsafe impl bytemuck::Zeroable for $name {}
        // SAFETY: as above, and it is 16 bits without padding.
        #[cfg(feature = "bytemuck")]
        unsafe impl bytemuck::Pod for $name {}
    )*};
}

narrow! {
    /// A `half` by its bits: for values of function constants, and in buffers. Two are equal if their bits are.
    ///
    /// ```
    /// use aruminium::fp16::Half;
    /// assert_eq!(Half::from(1.0), Half(0x3c00));
    /// assert_eq!(f32::from(Half(0x3800)), 0.5);
    /// ```
    Half, f32_to_fp16, fp16_to_f32, f16;
    /// A `bfloat` by its bits, as [`Half`].
    ///
    /// ```
    /// use aruminium::fp16::Bfloat;
    /// assert_eq!(Bfloat::from(1.0), Bfloat(0x3f80));
    /// assert_eq!(f32::from(Bfloat(0x3f00)), 0.5);
    /// ```
    Bfloat, f32_to_bf16, bf16_to_f32, bf16;
}

macro_rules! casts {
    ($($(#[$doc:meta])* $name:ident: $from:ty => $to:ty, $path:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        ///
        /// If the slices differ in length; nothing is written then.
        #[track_caller]
        pub fn $name(to: &mut [$to], from: &[$from]) {
            let (to_len, from_len) = (to.len(), from.len());
            assert!(
                to_len == from_len,
                concat!(stringify!($name), ": the target has {} elements and the source {}"),
                to_len,
                from_len,
            );
            let stream = size_of_val(to) + size_of_val(from) >= path::stream_threshold();
            // SAFETY: the lengths are equal, and `chosen` returns a path that is available.
            unsafe { (path::chosen().$path)(to, from, stream) }
        }
    )*};
}

casts! {
    /// Converts halves to floats, as [`fp16_to_f32`] does each.
    ///
    /// ```
    /// let mut floats = [0.0; 3];
    /// aruminium::cast_f16_f32(&mut floats, &[0x3c00, 0x4000, 0x4200]);
    /// assert_eq!(floats, [1.0, 2.0, 3.0]);
    /// ```
    cast_f16_f32: u16 => f32, half_to_float;

    /// Converts floats to halves, as [`f32_to_fp16`] does each.
    ///
    /// ```
    /// let mut halves = [0; 3];
    /// aruminium::cast_f32_f16(&mut halves, &[1.0, 2.0, 3.0]);
    /// assert_eq!(halves, [0x3c00, 0x4000, 0x4200]);
    /// ```
    cast_f32_f16: f32 => u16, float_to_half;

    /// Converts bfloats to floats, as [`bf16_to_f32`] does each.
    ///
    /// ```
    /// let mut floats = [0.0; 3];
    /// aruminium::cast_bf16_f32(&mut floats, &[0x3f80, 0x4000, 0x4040]);
    /// assert_eq!(floats, [1.0, 2.0, 3.0]);
    /// ```
    cast_bf16_f32: u16 => f32, bfloat_to_float;

    /// Converts floats to bfloats, as [`f32_to_bf16`] does each.
    ///
    /// ```
    /// let mut bfloats = [0; 3];
    /// aruminium::cast_f32_bf16(&mut bfloats, &[1.0, 2.0, 3.0]);
    /// assert_eq!(bfloats, [0x3f80, 0x4000, 0x4040]);
    /// ```
    cast_f32_bf16: f32 => u16, float_to_bfloat;
}
