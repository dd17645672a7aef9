//! A static reference to a class: looked up on first use, one relaxed load after that.

use super::link;
use crate::abi::Class;
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A static class reference, made by [`metal_class!`](crate::metal_class) for class methods.
pub struct CachedClass {
    name: &'static str,
    found: AtomicPtr<c_void>,
}

impl CachedClass {
    /// A class that is not looked up yet. The name ends in a NUL byte.
    #[doc(hidden)]
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes[bytes.len() - 1] == 0, "class name ends in NUL");
        Self { name, found: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The class.
    ///
    /// # Panics
    ///
    /// If the system has no class of this name, because it is older than the class, or because the name
    /// is that of a protocol.
    #[inline(always)]
    pub fn get(&self) -> Class {
        let found = self.found.load(Ordering::Relaxed);
        if found.is_null() { self.look_up() } else { Class::from_ptr(found) }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self) -> Class {
        // SAFETY: `new` has checked that the name ends in NUL.
        let class = unsafe { link::objc_getClass(self.name.as_ptr().cast()) };
        assert!(
            !class.is_nil(),
            "there is no Objective-C class `{}` on this system",
            &self.name[..self.name.len() - 1]
        );
        self.found.store(class.as_ptr(), Ordering::Relaxed);
        class
    }
}

impl fmt::Debug for CachedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedClass").field(&&self.name[..self.name.len() - 1]).finish()
    }
}
