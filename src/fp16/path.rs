//! The paths that this build has, and which of them this processor takes.

use std::sync::OnceLock;

use super::portable;
use super::slices::{BfloatToFloat, Conversion, FloatToBfloat, FloatToHalf, HalfToFloat};

/// Converts a slice; with `true`, by streaming stores if the path has them.
///
/// # Safety
///
/// The slices have one length, and the path that the function came from is available.
pub(super) type Cast<C> = unsafe fn(&mut [<C as Conversion>::To], &[<C as Conversion>::From], bool);

/// The four conversions on one instruction set.
pub(super) struct Path {
    /// For the messages of the tests.
    #[cfg(test)]
    pub(super) name: &'static str,
    /// Whether this processor, under this operating system, has the instruction set.
    pub(super) available: fn() -> bool,
    pub(super) half_to_float: Cast<HalfToFloat>,
    pub(super) float_to_half: Cast<FloatToHalf>,
    pub(super) bfloat_to_float: Cast<BfloatToFloat>,
    pub(super) float_to_bfloat: Cast<FloatToBfloat>,
}

/// Fills a [`Path`] with the file's generic function `cast`.
macro_rules! define_path {
    ($name:literal, $available:expr) => {
        $crate::fp16::path::Path {
            #[cfg(test)]
            name: $name,
            available: $available,
            half_to_float: cast::<$crate::fp16::slices::HalfToFloat>,
            float_to_half: cast::<$crate::fp16::slices::FloatToHalf>,
            bfloat_to_float: cast::<$crate::fp16::slices::BfloatToFloat>,
            float_to_bfloat: cast::<$crate::fp16::slices::FloatToBfloat>,
        }
    };
}
pub(super) use define_path;

/// Every path of this build, the fastest first. The last one is always available.
static PATHS: &[&Path] = &[
    #[cfg(target_arch = "x86_64")]
    &super::avx512::PATH,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::PATH,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
    &super::neon::PATH,
    &portable::PATH,
];

/// The paths that this processor can take, the fastest first.
pub(super) fn available() -> impl Iterator<Item = &'static Path> {
    PATHS.iter().copied().filter(|path| (path.available)())
}

/// The path that the public functions take, chosen at the first call.
#[inline]
pub(super) fn chosen() -> &'static Path {
    static CHOSEN: OnceLock<&Path> = OnceLock::new();
    CHOSEN.get_or_init(|| available().next().unwrap_or(&portable::PATH))
}

/// The number of bytes, read and written together, from which a path uses streaming stores if it has them.
#[inline]
pub(super) fn stream_threshold() -> usize {
    static THRESHOLD: OnceLock<usize> = OnceLock::new();
    *THRESHOLD.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        let cache = super::cache::last_level();
        #[cfg(not(target_arch = "x86_64"))]
        let cache = None;
        cache.map_or(LARGEST, |size: usize| size.min(LARGEST))
    })
}

/// Where ordinary stores begin to lose on a large server, whatever the size of its last-level
/// cache: a virtual machine reports the whole cache and has a share of it (`specs/fp16.md`).
const LARGEST: usize = 64 << 20;
