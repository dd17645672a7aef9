//! Facts about a function: analyses that do not change it, shared by passes and back ends.

pub(crate) mod address;
#[cfg(target_arch = "x86_64")] // Machine code alone needs it, so far.
pub(crate) mod affine;
pub(crate) mod reach;
pub(crate) mod uniform;
