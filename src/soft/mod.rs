//! Soft Metal: what stands in for Apple's frameworks on hosts that have none.

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("aruminium runs on Apple's systems and on Linux (x86_64, aarch64)");

pub(crate) mod cpu;
pub(crate) mod fork;
pub(crate) mod foundation;
pub(crate) mod ir;
pub(crate) mod kernel;
pub(crate) mod metal;
pub(crate) mod msl;
pub(crate) mod ptx;
pub(crate) mod runtime;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod variables;
