//! The C symbols of libobjc, libdispatch and Metal, for programs that use other bindings. `specs/export.md` says
//! what is exported.
//!
//! A symbol is a jump to the function that `objc::link` has under the same name, so that there is one list of
//! functions; a few that only clients call follow. The symbols that are variables are statics of the embedded system, which have their C names.

#![allow(non_snake_case)] // C's names.

mod constants;

use crate::objc::link;
use std::arch::naked_asm;

/// Writes a symbol that jumps to a function. Exceptions unwind through the senders. `extern "C"` would mark the symbol as
/// not unwinding, and optimisation of a whole program could then remove the clean-up of callers.
macro_rules! jump {
    ($(#[$attribute:meta])* $name:ident to $function:path) => {
        #[doc = concat!("`", stringify!($name), "` for other programs.")]
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        unsafe extern "C-unwind" fn $name() {
            #[cfg(target_arch = "x86_64")]
            naked_asm!("jmp {function}", function = sym $function);
            #[cfg(target_arch = "aarch64")]
            naked_asm!("b {function}", function = sym $function);
        }
    };
}

/// Writes the symbols of a list. Our own callers take a returned object out of its pool with the help of a mark
/// that they remove when they leave it there. Other callers do not handle the mark: their objects stay in the pool,
/// and are retained.
macro_rules! jumps {
    ($($(#[$attribute:meta])* $name:ident)+) => { $( jumps!(@one $(#[$attribute])* $name); )+ };
    (@one objc_autoreleaseReturnValue) => { jump!(objc_autoreleaseReturnValue to link::objc_autorelease); };
    (@one objc_retainAutoreleaseReturnValue) => {
        jump!(objc_retainAutoreleaseReturnValue to link::objc_retainAutorelease);
    };
    (@one objc_retainAutoreleasedReturnValue) => {
        jump!(objc_retainAutoreleasedReturnValue to link::objc_retain);
    };
    (@one objc_claimAutoreleasedReturnValue) => {
        jump!(objc_claimAutoreleasedReturnValue to link::objc_retain);
    };
    // Exceptions leave it, as its callers expect.
    (@one objc_exception_throw) => { jump!(objc_exception_throw to link::clients::throw); };
    (@one $(#[$attribute:meta])* $name:ident) => { jump!($(#[$attribute])* $name to link::$name); };
}

/// Writes the symbols of functions that only clients call.
macro_rules! client_jumps {
    ($($name:ident)+) => { $( jump!($name to link::clients::$name); )+ };
}

jump!(objc2_exception_helper_0_1_try_catch to link::clients::try_catch);
link::client_names!(client_jumps!);
link::objc_names!(jumps!);
link::dispatch_names!(jumps!);
link::metal_names!(jumps!);
