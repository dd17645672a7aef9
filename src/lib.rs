//! A Metal compute driver: one line a method, no overhead in the hot loop, and it runs anywhere.

pub mod abi;
pub mod objc;

mod driver;
#[path = "../macros/mod.rs"]
mod macros;
#[cfg(not(target_vendor = "apple"))]
mod soft;

pub use abi::{MTLOrigin, MTLRegion, MTLSize, NSRange};
pub use driver::{CLASSES, foundation};
pub use objc::autorelease_pool;

#[doc(hidden)]
pub use paste::paste as __paste;
