//! NSAutoreleasePool: an autorelease pool as an object, for programs without `@autoreleasepool`.

use super::NSObject;
use crate::abi::{Class, Id};
use crate::soft::fork::lock;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::entry::{
    objc_autorelease, objc_autoreleasePoolPop, objc_autoreleasePoolPush, objc_release,
};
use crate::soft::runtime::object::Retained;
use crate::soft::runtime::pool::is_innermost;
use std::ffi::c_void;
use std::sync::Mutex;

/// A pool of the thread that made it, which ends when the object is deallocated.
pub(crate) struct PoolObject {
    token: *mut c_void,
    /// Objects that were added while there was a pool in this one.
    added: Mutex<Vec<Retained>>,
}

// SAFETY: the address is only passed back, by the thread that made the pool: programs promise that.
unsafe impl Send for PoolObject {}
// SAFETY: as above.
unsafe impl Sync for PoolObject {}

soft_class! {
    /// An autorelease pool as an object.
    pub(crate) class NSAutoreleasePool(PoolObject): NSObject;
    init [init] = PoolObject::begin;
    [drain] = |pool: Id| {
        // SAFETY: the message passes ownership of the pool.
        unsafe { objc_release(pool) }
    };
    [addObject:] = PoolObject::add;
    class [addObject:] = |_: Class, object: Id| add(object);
}

impl PoolObject {
    fn begin() -> Self {
        // SAFETY: it is ended by `drop`.
        Self { token: unsafe { objc_autoreleasePoolPush() }, added: Mutex::default() }
    }

    /// The pool takes over a reference that the caller has.
    fn add(&self, object: Id) {
        if is_innermost(self.token) {
            return add(object);
        }
        // SAFETY: nil or an object, of which the caller has a reference.
        let object = unsafe { Retained::from_owned(object) };
        lock(&self.added).extend(object);
    }
}

impl Drop for PoolObject {
    fn drop(&mut self) {
        // Before the pool ends, which releases what is autoreleased meanwhile.
        drop(std::mem::take(&mut *lock(&self.added)));
        // SAFETY: the pool was begun by `begin`, on this thread.
        unsafe { objc_autoreleasePoolPop(self.token) }
    }
}

/// The innermost pool takes over a reference that the caller has.
fn add(object: Id) {
    // SAFETY: nil or an object.
    unsafe { objc_autorelease(object) };
}
