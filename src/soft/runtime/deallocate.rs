//! The last release of an object deallocates it, on a stack of bounded depth.
//!
//! A deallocated object releases what it owns, which may be deallocated in turn. Up to a limit this is
//! plain recursion, in the same order as in Apple's runtime. An object beyond the limit waits in a list of
//! its thread until the outermost deallocation is done, so that the stack is bounded for a chain of any
//! length.

use super::class::Kind;
use super::object::class_of;
use super::selector::known;
use super::{block, send};
use crate::abi::Id;
use std::cell::{Cell, RefCell};
use std::mem::{ManuallyDrop, take};

/// How many deallocations may be nested. One takes some kilobytes of stack in a debug build.
const DEEPEST: usize = 32;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Without a destructor, so that destructors of other thread-locals can use it. It is empty and owns no
    /// memory between deallocations.
    static WAITING: RefCell<ManuallyDrop<Vec<Id>>> =
        const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// Restores the depth, also when a foreign exception passes through.
struct Level(usize);

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(self.0);
    }
}

/// Deallocates an object, now or when the deallocations that are under way on this thread are done.
///
/// # Safety
///
/// `object` is a counted object or a copied block, and its last owner has just released it.
pub(super) unsafe fn deallocate(object: Id) {
    let depth = DEPTH.get();
    if depth == DEEPEST {
        return WAITING.with_borrow_mut(|waiting| waiting.push(object));
    }
    DEPTH.set(depth + 1);
    let _level = Level(depth);
    // SAFETY: the caller's.
    unsafe { deallocate_now(object) }
    if depth == 0 {
        while let Some(object) = WAITING.with_borrow_mut(|waiting| waiting.pop()) {
            // SAFETY: the caller of the message that put it there.
            unsafe { deallocate_now(object) }
        }
        WAITING.with_borrow_mut(|waiting| drop(take(&mut **waiting)));
    }
}

/// # Safety
///
/// As for [`deallocate`].
unsafe fn deallocate_now(object: Id) {
    // SAFETY: the caller's. NSObject responds to `dealloc`.
    unsafe {
        match class_of(object).kind {
            Kind::Block => block::dispose(object.as_ptr().cast()),
            _ => send::send::<()>(object, known::dealloc()),
        }
    }
}

/// How many objects wait on this thread, and the depth, for tests.
#[cfg(test)]
pub(super) fn extent() -> (usize, usize) {
    (WAITING.with_borrow(|waiting| waiting.capacity()), DEPTH.get())
}
