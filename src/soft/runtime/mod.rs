//! The embedded Objective-C runtime. `specs/runtime.md` says what it promises.

pub(crate) mod block;
mod byref;
mod cache;
pub(crate) mod class;
mod copies;
mod deallocate;
pub(crate) mod declare;
pub(crate) mod entry;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod entry_clients;
mod entry_owner;
mod entry_reflect;
#[cfg(feature = "export")]
pub(crate) mod exception;
pub(crate) mod fatal;
mod fork;
pub(crate) mod key_value;
mod lock;
pub(crate) mod nsobject;
pub(crate) mod object;
mod payload;
pub(crate) mod pool;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod property;
pub(crate) mod protocol;
pub(crate) mod selector;
pub(crate) mod send;
#[cfg_attr(target_arch = "x86_64", path = "send_x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "send_aarch64.rs")]
mod send_arch;
mod side;
mod spare;
mod sync;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod trampoline;
mod variable;

#[cfg(test)]
mod tests;
