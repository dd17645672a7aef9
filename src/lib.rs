//! A Metal compute driver: one line a method, no overhead in the hot loop, and it runs anywhere.

pub mod abi;
#[cfg(not(target_vendor = "apple"))]
mod soft;

pub use abi::{MTLOrigin, MTLRegion, MTLSize, NSRange};
