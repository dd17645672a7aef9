//! Soft Metal: what stands in for Apple's frameworks on hosts that have none, and on Apple's with feature `soft`.

#[cfg(not(all(
    any(target_os = "linux", target_vendor = "apple"),
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("aruminium runs on Apple's systems and on Linux (x86_64, aarch64)");

#[cfg(all(target_vendor = "apple", feature = "export"))]
compile_error!(
    "on Apple's systems the feature `soft` excludes `export` and `objc2`: the C symbols and the objects that other \
     crates use there are Apple's; name the features that are needed instead of --all-features"
);

pub(crate) mod cpu;
pub(crate) mod floats;
pub(crate) mod fork;
pub(crate) mod foundation;
pub(crate) mod ir;
pub(crate) mod kernel;
pub(crate) mod metal;
pub(crate) mod msl;
pub(crate) mod ptx;
pub(crate) mod runtime;
pub(crate) mod sorted;
pub(crate) mod stream;
pub(crate) mod system;
#[cfg(test)]
mod tests;
pub(crate) mod variables;
