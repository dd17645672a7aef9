//! `@synchronized`: a recursive lock for every object that is used as one.

use crate::abi::Id;
use crate::soft::sorted::SortedMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// The locked objects by address: the thread that owns the lock, and how often it has taken it.
static HELD: Mutex<SortedMap<usize, (ThreadId, usize)>> = Mutex::new(SortedMap::new());
static RELEASED: Condvar = Condvar::new();

fn held() -> MutexGuard<'static, SortedMap<usize, (ThreadId, usize)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lock of an object; nil has none.
pub(super) fn enter(object: Id) {
    if object.is_nil() {
        return;
    }
    let me = thread::current().id();
    let mut held = held();
    loop {
        let (owner, times) = held.get_or_insert_with(object.as_ptr().addr(), || (me, 0));
        if *owner == me {
            *times += 1;
            return;
        }
        held = RELEASED.wait(held).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Releases the lock of an object. False if this thread does not own it.
pub(super) fn exit(object: Id) -> bool {
    if object.is_nil() {
        return true;
    }
    let mut held = held();
    match held.get_mut(&object.as_ptr().addr()) {
        Some((owner, times)) if *owner == thread::current().id() => {
            *times -= 1;
            if *times == 0 {
                held.remove(&object.as_ptr().addr());
                RELEASED.notify_all();
            }
            true
        }
        _ => false,
    }
}
