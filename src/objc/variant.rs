//! Which `objc_msgSend`: on x86_64 a struct of more than 16 bytes is written through a hidden first
//! argument, and the receiver comes second. Messages that return one have a sender of their own, and
//! so has the function that handles a missing method. On arm64 the hidden pointer has a
//! register to itself (x8), and one sender serves all.

use super::link;
use crate::abi::{Class, Imp, Sel};

#[cfg(target_arch = "x86_64")]
const fn in_memory<R>() -> bool {
    size_of::<R>() > 16
}

/// The function that sends a message returning an `R`.
#[inline(always)]
pub(crate) fn messenger<R>() -> Imp {
    #[cfg(target_arch = "x86_64")]
    if in_memory::<R>() {
        return link::objc_msgSend_stret;
    }
    link::objc_msgSend
}

/// The function that implements a method of a class that returns an `R`.
///
/// # Safety
///
/// `class` is nil or a class of the runtime.
pub(super) unsafe fn implementation<R>(class: Class, selector: Sel) -> Option<Imp> {
    #[cfg(target_arch = "x86_64")]
    if in_memory::<R>() {
        // SAFETY: passed on to the caller.
        return unsafe { link::class_getMethodImplementation_stret(class, selector) };
    }
    // SAFETY: passed on to the caller.
    unsafe { link::class_getMethodImplementation(class, selector) }
}
