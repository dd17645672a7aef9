//! Facts about a function: analyses that change nothing, shared by passes and back ends.

pub(crate) mod address;
pub(crate) mod reach;
pub(crate) mod uniform;
