//! The variant of `objc_msgSend` for a return type. On x86_64 a struct of more than 16 bytes is written through a
//! hidden first argument, so the receiver comes second: messages that return one are sent by `objc_msgSend_stret`, and
//! missing methods are handled by a variant, too. On arm64 the hidden pointer is in a register of its own (x8), and one
//! function sends all messages.

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
