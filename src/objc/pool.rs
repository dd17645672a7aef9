//! Autorelease pools.

use super::link;
use std::ffi::c_void;

/// A pool that ends with the value.
pub(super) struct Pool(*mut c_void);

impl Pool {
    /// Begins a pool inside the innermost one.
    #[inline]
    pub(super) fn begin() -> Self {
        // SAFETY: pushing has no requirements.
        Self(unsafe { link::objc_autoreleasePoolPush() })
    }
}

impl Drop for Pool {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the token is from `begin`, and pools end in the reverse order of their beginning:
        // outside of this module the type is used for local variables only.
        unsafe { link::objc_autoreleasePoolPop(self.0) }
    }
}

/// Runs a closure inside an autorelease pool of its own.
///
/// An object that Metal returns without ownership lives until the innermost pool around the call is drained. A
/// loop with many such calls should have a pool in each iteration, and methods declared `autoreleased` require
/// a pool. The pool is drained when the closure returns or panics.
///
/// ```
/// use aruminium::autorelease_pool;
/// let six = autorelease_pool(|| 2 * 3);
/// assert_eq!(six, 6);
/// ```
#[inline]
pub fn autorelease_pool<R>(body: impl FnOnce() -> R) -> R {
    let _pool = Pool::begin();
    body()
}
