//! Kernels that others wrote, read from the packages that publish them.

pub mod blocks;
pub mod constants;
pub mod numbers;
pub mod packages;
pub mod references;
pub mod run;
pub mod structs;
pub mod survey;

mod report;

pub use report::report;
