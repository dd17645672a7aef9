//! Facts about a function: analyses that do not change it, shared by passes and back ends.

pub(crate) mod address;
pub(crate) mod affine;
pub(crate) mod reach;
pub(crate) mod stack_slots;
pub(crate) mod uniform;
pub(crate) mod written;
