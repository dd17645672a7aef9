//! Autorelease pools.

use super::link;
use std::ffi::c_void;

/// Runs a closure inside an autorelease pool of its own.
///
/// Objects that Metal hands out without giving them away live until the pool around the call is
/// drained. A loop of many command buffers wants one pool a turn, and the methods whose names end
/// in `_unretained` and `_autoreleased` need one. The pool is drained when the closure returns, and
/// also when it panics.
///
/// ```
/// use aruminium::autorelease_pool;
/// let six = autorelease_pool(|| 2 * 3);
/// assert_eq!(six, 6);
/// ```
#[inline]
pub fn autorelease_pool<R>(body: impl FnOnce() -> R) -> R {
    struct Pool(*mut c_void);

    impl Drop for Pool {
        #[inline]
        fn drop(&mut self) {
            // SAFETY: the token is from the push below, and pools end in the reverse order of
            // their beginning because closures do.
            unsafe { link::objc_autoreleasePoolPop(self.0) }
        }
    }

    // SAFETY: pushing has no demands.
    let _pool = Pool(unsafe { link::objc_autoreleasePoolPush() });
    body()
}
