//! The embedded Objective-C runtime. `specs/runtime.md` says what it promises.

mod block;
mod cache;
mod class;
mod declare;
pub(crate) mod entry;
mod fatal;
mod foundation;
mod lock;
mod object;
mod pool;
mod protocol;
mod selector;
mod send;
#[cfg_attr(target_arch = "x86_64", path = "send_x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "send_aarch64.rs")]
mod send_arch;

#[cfg(test)]
mod tests;
