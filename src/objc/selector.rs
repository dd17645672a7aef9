//! A static selector: registered on first use, one relaxed load after that.

use super::link;
use crate::abi::{Class, Sel};
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A static selector; [`selector!`](crate::selector) makes one.
///
/// ```
/// use aruminium::{objc::link, selector};
/// let selector = selector!(setBuffer:offset:atIndex:);
/// // SAFETY: the text is a C string.
/// assert_eq!(selector, unsafe { link::sel_registerName(c"setBuffer:offset:atIndex:".as_ptr()) });
/// ```
pub struct CachedSelector {
    text: &'static str,
    registered: AtomicPtr<c_void>,
    /// The class whose method was last compared with this call's types, in debug builds.
    checked: AtomicPtr<c_void>,
}

impl CachedSelector {
    /// A selector that is not registered yet. The text ends in a NUL byte.
    #[doc(hidden)]
    pub const fn new(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty() && bytes[bytes.len() - 1] == 0, "selector text ends in NUL");
        const NULL: *mut c_void = std::ptr::null_mut();
        Self { text, registered: AtomicPtr::new(NULL), checked: AtomicPtr::new(NULL) }
    }

    /// The registered selector.
    ///
    /// The load is relaxed: a selector is an address that is compared and passed on. Only the runtime
    /// reads the memory at the address, with its own synchronisation.
    #[doc(hidden)]
    #[inline(always)]
    pub fn get(&self) -> Sel {
        self.registered().unwrap_or_else(|| self.register())
    }

    /// The selector, if it is registered already.
    #[inline(always)]
    pub(super) fn registered(&self) -> Option<Sel> {
        let registered = self.registered.load(Ordering::Relaxed);
        (!registered.is_null()).then(|| Sel::from_ptr(registered))
    }

    /// Whether the last check was of another class; records this one.
    pub(super) fn not_checked_for(&self, class: Class) -> bool {
        self.checked.swap(class.as_ptr(), Ordering::Relaxed) != class.as_ptr()
    }

    /// The address of this static, for [`first`](super::ArgList::first).
    #[inline(always)]
    pub(super) fn address(&'static self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The selector's text.
    pub fn text(&self) -> &'static str {
        &self.text[..self.text.len() - 1]
    }

    #[cold]
    #[inline(never)]
    fn register(&self) -> Sel {
        // SAFETY: `new` has checked that the text ends in NUL.
        let selector = unsafe { link::sel_registerName(self.text.as_ptr().cast()) };
        self.registered.store(selector.as_ptr(), Ordering::Relaxed);
        selector
    }
}

impl fmt::Debug for CachedSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedSelector").field(&self.text()).finish()
    }
}
