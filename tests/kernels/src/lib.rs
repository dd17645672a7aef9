//! Kernels that others wrote, read from the packages that publish them.

pub mod constants;
pub mod packages;
pub mod survey;

mod report;

pub use report::report;
