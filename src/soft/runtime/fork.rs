//! Notes forks. The runtime's own locks are held while the process is copied, so that messages and owners always work in
//! the child.

use super::lock::Lock;
use super::object::{Graveyard, graveyard};
use super::side::{Sides, sides};
use crate::soft::fork::set_forked;
use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::MutexGuard;

/// Registers handlers that record forks from now on.
pub(super) fn watch_forks() {
    type Handler = unsafe extern "C" fn();
    unsafe extern "C" {
        fn pthread_atfork(
            before: Option<Handler>,
            in_parent: Option<Handler>,
            in_child: Option<Handler>,
        ) -> c_int;
    }
    unsafe extern "C" fn before() {
        let locks = (Lock::take(), graveyard(), sides());
        let _ = HELD.try_with(|held| held.replace(Some(locks)));
    }
    unsafe extern "C" fn in_parent() {
        let _ = HELD.try_with(|held| held.take());
    }
    unsafe extern "C" fn in_child() {
        set_forked();
        let _ = HELD.try_with(|held| held.take());
    }
    // SAFETY: the handlers take locks and release them on the thread that forks. Without memory for
    // them forks are not noted.
    unsafe { pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

type Held = (Lock, MutexGuard<'static, Graveyard>, MutexGuard<'static, Sides>);

thread_local! {
    /// The runtime's locks, on a thread that is calling `fork`.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}
