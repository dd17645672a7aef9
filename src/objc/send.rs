//! Sending a message: the right variant of `objc_msgSend`, with the method's own C type.

use super::argument::{ArgList, Arguments};
use super::link;
use super::returned::{Ownership, Return, Sent};
use super::variant::messenger;
use crate::abi::{Encode, Encoding, Id, MethodEncoding, Sel};
use std::ffi::{CStr, CString};

/// Sends a message with the words of its arguments, and answers the word it returns.
#[inline(always)]
unsafe fn send_words<L: ArgList, R: Encode>(receiver: Id, selector: Sel, words: L) -> R {
    if size_of::<R>() > 16 && receiver.is_nil() {
        // Nobody writes a struct that nil should have returned in memory.
        // SAFETY: `Encode` promises that zero is a value.
        return unsafe { std::mem::zeroed() };
    }
    // SAFETY: the messenger passes everything on to a method of the type that the caller promises.
    unsafe { words.call(L::typed::<R>(messenger::<R>()), receiver, selector) }
}

/// What is known of a call before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The method, as in `-[MTLDevice newCommandQueue]`.
    pub method: &'static str,
    /// Who owns what it returns.
    pub ownership: Ownership,
}

/// Sends a message; the macros' wrappers end here.
///
/// # Safety
///
/// The receiver is nil or answers the selector by a method of these types, and the method's own
/// demands are met.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn send<A: Arguments, R: Return>(
    receiver: Id,
    selector: Sel,
    call: Call,
    arguments: A,
) -> R {
    let held = arguments.hold();
    // SAFETY: passed on to the caller; `held` keeps what the words point to until the end.
    unsafe {
        let raw = send_words::<A::List, R::Raw>(receiver, selector, A::list(&held));
        R::from_raw(raw, Sent::new(call, A::caught(&held)))
    }
}

/// [`send`] for `msg!`, whose types nobody has declared: in debug builds they are held against the
/// encoding of the method that will answer.
///
/// # Safety
///
/// As for [`send`].
#[doc(hidden)]
#[inline(always)]
pub unsafe fn send_checked<A: Arguments, R: Return>(
    receiver: Id,
    selector: Sel,
    call: Call,
    arguments: A,
) -> R {
    if cfg!(debug_assertions) {
        // SAFETY: the receiver is nil or an object.
        unsafe { check::<A, R>(receiver, selector) }
    }
    // SAFETY: passed on to the caller.
    unsafe { send(receiver, selector, call, arguments) }
}

/// Panics if the receiver's method has other types than the call.
unsafe fn check<A: Arguments, R: Return>(receiver: Id, selector: Sel) {
    // SAFETY: all of these take a class, a method or a selector as the runtime gave it, and answer
    // nil for nil; encodings and names are C strings that live as long as the class.
    unsafe {
        let class = link::object_getClass(receiver);
        let method = link::class_getInstanceMethod(class, selector);
        if method.is_nil() {
            return; // The send itself will say so.
        }
        let encoding = link::method_getTypeEncoding(method);
        if encoding.is_null() {
            return;
        }
        let declared = CStr::from_ptr(encoding).to_string_lossy();
        let Ok(method) = declared.parse::<MethodEncoding>() else { return };
        let sent = encoding_of(R::Raw::ENCODING, A::ENCODINGS);
        if !method.same_abi(&sent) {
            let class = CStr::from_ptr(link::class_getName(class)).to_string_lossy();
            let selector = CStr::from_ptr(link::sel_getName(selector)).to_string_lossy();
            panic!("[{class} {selector}] has the type {method}, but was sent as {sent}");
        }
    }
}

/// The encoding of a method, from those of its parts.
pub(super) fn encoding_of(result: &str, arguments: &[&[&str]]) -> MethodEncoding {
    let parse = |text: &str| text.parse().unwrap_or(Encoding::Simple(b'?'));
    MethodEncoding::new(parse(result), arguments.iter().copied().flatten().map(|text| parse(text)))
}

/// A message of this module's own, with a selector that is looked up each time.
///
/// # Safety
///
/// As for [`send`].
pub(super) unsafe fn bare<L: ArgList, R: Encode>(receiver: Id, selector: &CStr, words: L) -> R {
    // SAFETY: passed on to the caller.
    unsafe { send_words(receiver, link::sel_registerName(selector.as_ptr()), words) }
}

/// The C string of a text that has no NUL in it, or up to the first one.
pub(super) fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}
