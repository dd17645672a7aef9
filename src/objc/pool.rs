//! Autorelease pools.

use super::link;
use std::ffi::c_void;

/// A pool that ends with the value.
pub(super) struct Pool(*mut c_void);

impl Pool {
    /// Begins a pool inside the one that is the innermost now.
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
        // this type does not leave its module but as a local variable.
        unsafe { link::objc_autoreleasePoolPop(self.0) }
    }
}

/// Runs a closure inside an autorelease pool of its own.
///
/// Objects that Metal hands out without giving them away live until the pool around the call is
/// drained. A loop of many such calls wants one pool a turn, and methods declared `autoreleased` need
/// one. The pool is drained when the closure returns, and
/// also when it panics.
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
