//! Exceptions of other programs: thrown by `objc_exception_throw`, unwound by the system's unwinder, and caught by
//! `try_catch`.
//!
//! An exception is one of the unwinder's, of a class of its own (Itanium C++ ABI: Exception Handling, 1.2). It runs
//! the clean-up of frames of other languages on its way: Rust drops values. `try_catch` is a frame whose
//! personality stops every such exception, and no other.

use super::class::{self, ClassData};
use super::fatal::fatal;
use super::lock::Lock;
use super::nsobject::string;
use super::object::{self, class_of};
use super::selector;
use super::send::send_with_three;
use crate::abi::Id;
use std::arch::naked_asm;
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, PoisonError};

/// The class of these exceptions: the vendor and the language.
const CLASS: u64 = u64::from_be_bytes(*b"ARUMOBJC");

/// The header by which the unwinder handles an exception.
#[repr(C, align(16))]
struct Header {
    class: u64,
    /// Called when another language has caught the exception.
    cleanup: Option<unsafe extern "C" fn(c_int, *mut Thrown)>,
    private: [usize; 2],
}

/// An exception: the object, with one reference count.
#[repr(C)]
struct Thrown {
    header: Header,
    object: Id,
}

/// The unwinder's view of a frame.
type Context = *mut c_void;

/// Results of a personality and of a callback, and what a personality is called for.
const NO_REASON: c_int = 0;
const END_OF_STACK: c_int = 5;
const HANDLER_FOUND: c_int = 6;
const INSTALL_CONTEXT: c_int = 7;
const CONTINUE_UNWIND: c_int = 8;
const SEARCH_PHASE: c_int = 1;
const HANDLER_FRAME: c_int = 4;

// From the library that Rust's own panics are unwound by.
unsafe extern "C-unwind" {
    fn _Unwind_RaiseException(exception: *mut Thrown) -> c_int;
    fn _Unwind_Backtrace(
        visit: unsafe extern "C" fn(Context, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetRegionStart(context: Context) -> usize;
    fn _Unwind_GetLanguageSpecificData(context: Context) -> usize;
    fn _Unwind_SetGR(context: Context, register: c_int, value: usize);
    fn _Unwind_SetIP(context: Context, address: usize);
}

/// The number, in the unwinder's numbering, of the register that the landing pad gets the exception in.
#[cfg(target_arch = "x86_64")]
const RESULT: c_int = 0; // rax
#[cfg(target_arch = "aarch64")]
const RESULT: c_int = 0; // x0

/// A function that is called with an exception that nothing catches.
pub(crate) type Handler = unsafe extern "C" fn(Id);

static HANDLER: Mutex<Option<Handler>> = Mutex::new(None);

/// Sets the handler, and returns the earlier one.
pub(super) fn set_handler(handler: Option<Handler>) -> Option<Handler> {
    std::mem::replace(&mut HANDLER.lock().unwrap_or_else(PoisonError::into_inner), handler)
}

/// The handler.
pub(crate) fn handler() -> Option<Handler> {
    *HANDLER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Throws an object, or nil. Without a frame of [`try_catch`] on the stack the program's handler is called, and the
/// program ends with a message.
///
/// # Safety
///
/// The object is nil or alive. The frames up to that of `try_catch` let exceptions through.
pub(crate) unsafe extern "C-unwind" fn throw(object: Id) -> ! {
    if is_caught() {
        // SAFETY: the caller's.
        let object = unsafe { object::retain(object) };
        let header = Header { class: CLASS, cleanup: Some(dispose), private: [0; 2] };
        let thrown = Box::into_raw(Box::new(Thrown { header, object }));
        // SAFETY: the exception is the unwinder's until it is caught.
        unsafe { _Unwind_RaiseException(thrown) };
    }
    if let Some(handler) = set_handler(None) {
        // SAFETY: the program has set it for this.
        unsafe { handler(object) }
    }
    // SAFETY: the caller's.
    let class = (!object.is_nil()).then(|| unsafe { class_of(object) });
    let class = class.map_or("nil".to_owned(), ClassData::to_string);
    fatal(format_args!("an exception of class {class} was thrown, and nothing catches it"))
}

/// Throws an `NSException` of a name and a reason, if a frame of [`try_catch`] is on the stack. Without one the program's
/// handler is called, and the caller ends the program.
pub(super) fn raise(name: &str, reason: &str) {
    let is_caught = is_caught();
    let handler = if is_caught { None } else { set_handler(None) };
    // The runtime must not name Foundation, so the class is looked up.
    let class = class::named(c"NSException").filter(|_| is_caught || handler.is_some());
    let Some(class) = class else { return };
    let (name, reason) = (string(name), string(reason));
    // SAFETY: the class answers this message with an object, which is alive while it is thrown.
    unsafe {
        let with = selector::intern(c"exceptionWithName:reason:userInfo:", &mut Lock::take());
        let exception = send_with_three(class.handle().as_id(), with, name, reason, Id::NIL);
        match handler {
            Some(handler) => handler(exception),
            None => throw(exception),
        }
    }
}

/// Whether a frame of [`try_catch`] is on the stack.
fn is_caught() -> bool {
    unsafe extern "C" fn visit(context: Context, found: *mut c_void) -> c_int {
        // SAFETY: the unwinder passes on the argument of `is_caught`, and a frame.
        unsafe {
            if _Unwind_GetRegionStart(context) != try_catch as *const () as usize {
                return NO_REASON;
            }
            *found.cast::<bool>() = true;
        }
        END_OF_STACK
    }
    let mut found = false;
    // SAFETY: the callback does not unwind, and the argument lives until the call returns.
    unsafe { _Unwind_Backtrace(visit, (&raw mut found).cast()) };
    found
}

/// Releases the object of an exception that another language has caught.
unsafe extern "C" fn dispose(_: c_int, thrown: *mut Thrown) {
    // SAFETY: the unwinder returns what `throw` made.
    unsafe { object::release(into_object(thrown)) }
}

/// The object of an exception, with its count; the exception is gone.
unsafe extern "C" fn into_object(thrown: *mut Thrown) -> Id {
    // SAFETY: it is from `throw`, and the caller's now.
    unsafe { Box::from_raw(thrown) }.object
}

/// The personality of [`try_catch`]: stops exceptions of objects, and lets all others through.
unsafe extern "C" fn personality(
    _version: c_int,
    actions: c_int,
    class: u64,
    thrown: *mut Thrown,
    context: Context,
) -> c_int {
    if class != CLASS {
        return CONTINUE_UNWIND;
    }
    if actions & SEARCH_PHASE != 0 {
        return HANDLER_FOUND;
    }
    if actions & HANDLER_FRAME == 0 {
        return CONTINUE_UNWIND;
    }
    // SAFETY: the frame is that of `try_catch`, whose language-specific data is its landing pad.
    unsafe {
        _Unwind_SetGR(context, RESULT, thrown as usize);
        _Unwind_SetIP(context, _Unwind_GetLanguageSpecificData(context));
    }
    INSTALL_CONTEXT
}

/// Calls a function with its argument. 0 if it returns; 1 if it throws an object, which is then stored with a reference
/// count of the caller's. It is what `objc2-exception-helper` compiles from Objective-C.
///
/// # Safety
///
/// The function may be called with the argument, and `error` may be written.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn try_catch(
    function: unsafe extern "C-unwind" fn(*mut c_void),
    argument: *mut c_void,
    error: *mut Id,
) -> u8 {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        ".cfi_startproc",
        ".cfi_personality 0x1b, {personality}",
        ".cfi_lsda 0x1b, .Laruminium_caught",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        "sub rsp, 8",
        ".cfi_offset rbx, -24",
        "mov rbx, rdx",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "xor eax, eax",
        ".Laruminium_return:",
        "add rsp, 8",
        "pop rbx",
        "pop rbp",
        ".cfi_remember_state",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_restore_state",
        // The exception is in `rax`.
        ".Laruminium_caught:",
        "mov rdi, rax",
        "call {into_object}",
        "mov [rbx], rax",
        "mov eax, 1",
        "jmp .Laruminium_return",
        ".cfi_endproc",
        personality = sym personality,
        into_object = sym into_object,
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        ".cfi_startproc",
        ".cfi_personality 0x1b, {personality}",
        ".cfi_lsda 0x1b, .Laruminium_caught",
        "stp x29, x30, [sp, #-32]!",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset w29, -32",
        ".cfi_offset w30, -24",
        "str x19, [sp, #16]",
        ".cfi_offset w19, -16",
        "mov x29, sp",
        "mov x19, x2",
        "mov x8, x0",
        "mov x0, x1",
        "blr x8",
        "mov w0, #0",
        ".Laruminium_return:",
        "ldr x19, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        "ret",
        // The exception is in `x0`.
        ".Laruminium_caught:",
        "bl {into_object}",
        "str x0, [x19]",
        "mov w0, #1",
        "b .Laruminium_return",
        ".cfi_endproc",
        personality = sym personality,
        into_object = sym into_object,
    );
}
