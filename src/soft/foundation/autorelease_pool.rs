//! NSAutoreleasePool: an autorelease pool as an object, for programs without `@autoreleasepool`.

use super::NSObject;
use crate::abi::{Class, Id};
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::entry::{
    objc_autorelease, objc_autoreleasePoolPop, objc_autoreleasePoolPush, objc_release,
};
use std::ffi::c_void;

/// A pool of the thread that made it, which ends when the object is deallocated.
pub(crate) struct PoolObject(*mut c_void);

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
    [addObject:] = |_: &PoolObject, object: Id| add(object);
    class [addObject:] = |_: Class, object: Id| add(object);
}

impl PoolObject {
    fn begin() -> Self {
        // SAFETY: it is ended by `drop`.
        Self(unsafe { objc_autoreleasePoolPush() })
    }
}

impl Drop for PoolObject {
    fn drop(&mut self) {
        // SAFETY: the pool was begun by `begin`, on this thread.
        unsafe { objc_autoreleasePoolPop(self.0) }
    }
}

/// The pool takes over a reference that the caller has.
fn add(object: Id) {
    // SAFETY: nil or an object.
    unsafe { objc_autorelease(object) };
}
