//! Passes over the IR, a file each.

pub(crate) mod scalarise;
pub(crate) mod uniform;
