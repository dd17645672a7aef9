//! Kernels of other projects, read from the packages that publish them.

pub mod affine;
pub mod blocks;
pub mod complex;
pub mod constants;
pub mod elements;
pub mod experts;
pub mod ggml;
pub mod layouts;
pub mod mlx_metal;
pub mod numbers;
pub mod operands;
pub mod packages;
pub mod products;
pub mod references;
pub mod reports;
pub mod run;
pub mod steel;
pub mod structs;
pub mod survey;

mod bits;
mod native;
mod ran;
mod report;
mod why;

/// The manifest that names the packages.
pub const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

pub use native::native;
pub use report::{check, report};
