//! Which memory submitted command buffers use, so that views of it from the CPU are sound.
//!
//! Every piece of memory that the CPU can reach has one `Record`, shared by all wrappers of resources
//! that lie in it. An encoder's safe methods list the records of their arguments in `Uses`; committing
//! the command buffer puts it in flight in each of them. A view from the CPU is refused while a command
//! buffer in flight conflicts with it, and a commit is refused while a view conflicts with it.
//! `specs/tracking.md` states the rules.
//!
//! The encoder and the command buffer are found by the hooks of [`ClassState`](super::ClassState), which
//! `metal_class!` calls around every message: methods that users declare are tracked too.

mod atomic;
mod count;
mod flight;
mod lazy;
mod message_use;
mod record;
mod residents;
#[cfg(test)]
mod tests;
mod tracker;
mod uses;
mod watched;

pub(crate) use flight::{next_number, take_number};
pub(crate) use lazy::LazyFootprint;
pub use message_use::MessageUse;
pub(crate) use record::{Busy, Footprint, Users, ViewGuard};
pub(crate) use residents::{Residents, SharedResidents};
pub use tracker::Tracker;
pub(crate) use tracker::{change_queue, changed_queue, release_queue};
pub use uses::ArgumentSink;
pub(crate) use uses::EncoderUses;
pub(crate) use watched::Watched;

use super::object::Object;
use super::selector::CachedSelector;
use super::send::{Call, Message};
use super::{Ownership, Trailing};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, poisoned or not: no code that can panic runs while one is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a message without arguments.
///
/// # Safety
///
/// The object responds to the selector with this type.
unsafe fn bare<R: super::Return>(object: &Object, selector: &'static CachedSelector) -> R {
    let call =
        Call { method: "-[MTLCommandBuffer]", ownership: Ownership::Retained, consumes: false };
    // SAFETY: passed on to the caller.
    unsafe {
        Message::<(Trailing<false>,), R>::new(selector).send(
            object.as_raw(),
            call,
            (Trailing::<false>::NEW,),
        )
    }
}
