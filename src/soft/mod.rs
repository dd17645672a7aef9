//! Soft Metal: Metal for hosts that have none.

pub(crate) mod msl;
