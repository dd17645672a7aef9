//! Sends messages by the right variant of `objc_msgSend`, cast to the method's own C type.

use super::argument::{ArgList, Arguments};
use super::link;
use super::pool::Pool;
use super::returned::{Ownership, Return, Sent};
use super::selector::CachedSelector;
use super::variant::messenger;
use crate::abi::{Encode, Encoding, Id, MethodEncoding, Sel, colons};
use std::ffi::{CStr, CString};
use std::fmt;

/// The result of a message to nil that returns a struct in memory, which the messenger would not write.
#[inline(always)]
fn nil_result<R: Encode>(receiver: Id) -> Option<R> {
    // SAFETY: `Encode` promises that zero is a value.
    (size_of::<R>() > 16 && receiver.is_nil()).then(|| unsafe { std::mem::zeroed() })
}

/// Marks a branch that is taken once.
#[cold]
#[inline(always)]
fn unlikely() {}

/// The constants of a call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The method, as in `-[MTLDevice newCommandQueue]`.
    pub method: &'static str,
    /// The owner of the object that it returns.
    pub ownership: Ownership,
    /// Whether it consumes a reference count of its receiver, in which case the receiver is retained first.
    pub consumes: bool,
}

/// Makes a call: keeps the arguments alive during it, and handles the ownership of the result.
///
/// # Safety
///
/// `function` calls the receiver's method, which is of these types.
#[inline(always)]
pub(super) unsafe fn complete<A: Arguments, R: Return>(
    receiver: Id,
    call: Call,
    arguments: A,
    function: impl FnOnce(A::List) -> R::Raw,
) -> R {
    // Releases the caught error, and temporary objects of the call, without waiting for the caller's pool.
    let catches = A::CATCHES && R::CATCHES && !matches!(call.ownership, Ownership::Autoreleased);
    let _pool = catches.then(Pool::begin);
    if call.consumes {
        // SAFETY: the receiver is nil or alive; the method consumes this count.
        unsafe { link::objc_retain(receiver) };
    }
    let held = arguments.hold();
    // SAFETY: passed on to the caller; `held` keeps the memory that the words point to alive until the end.
    unsafe {
        let raw = R::take(function(A::list(&held)), call.ownership);
        R::from_raw(raw, Sent::new(call, A::caught(&held)))
    }
}

/// A message to be sent. Every message of the macros is one.
///
/// It is made before its arguments, so that a struct among them is copied once, to where the function
/// expects it.
#[doc(hidden)]
pub struct Message<A: Arguments, R: Return> {
    function: <A::List as ArgList>::Fn<R::Raw>,
    passed: Sel,
    selector: &'static CachedSelector,
}

impl<A: Arguments, R: Return> fmt::Debug for Message<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(self.selector).finish()
    }
}

impl<A: Arguments, R: Return> Message<A, R> {
    /// The messenger and a selector; on first use, the function that registers the selector.
    #[inline(always)]
    pub fn new(selector: &'static CachedSelector) -> Self {
        let (function, passed) = match selector.registered() {
            // SAFETY: the messenger passes everything on to a method of the type that the caller of
            // `send` promises.
            Some(passed) => (unsafe { A::List::typed::<R::Raw>(messenger::<R::Raw>()) }, passed),
            None => {
                unlikely();
                (A::List::first::<R::Raw>(), Sel::from_ptr(selector.address()))
            }
        };
        Self { function, passed, selector }
    }

    /// Sends it.
    ///
    /// In debug builds the types are compared with the encoding of the receiver's method, once for each class that
    /// this line of the program sends to.
    ///
    /// # Safety
    ///
    /// The receiver is nil or responds to the selector by a method of these types, and the method's own
    /// requirements are met.
    #[inline(always)]
    pub unsafe fn send(self, receiver: Id, call: Call, arguments: A) -> R {
        if cfg!(debug_assertions) {
            // SAFETY: the receiver is nil or an object.
            unsafe { check::<A, R>(receiver, self.selector) }
        }
        // SAFETY: passed on to the caller.
        unsafe {
            complete(receiver, call, arguments, |words| match nil_result::<R::Raw>(receiver) {
                Some(zero) => zero,
                None => words.call(self.function, receiver, self.passed),
            })
        }
    }
}

/// Panics if the receiver's method has other types than the call.
unsafe fn check<A: Arguments, R: Return>(receiver: Id, selector: &CachedSelector) {
    let (passed, taken) =
        (A::ENCODINGS.iter().map(|part| part.len()).sum::<usize>(), colons(selector.text()));
    assert!(
        passed == taken,
        "[{}] takes {taken} arguments, but was sent {passed}: a slice is two, its pointer and its \
         length",
        selector.text()
    );
    // SAFETY: all of these take a class, a method or a selector as the runtime returned it, and return
    // nil for nil; encodings and names are C strings that live as long as the class.
    unsafe {
        let class = link::object_getClass(receiver);
        let method = link::class_getInstanceMethod(class, selector.get());
        if !selector.not_checked_for(class) || method.is_nil() {
            return; // The send itself reports a missing method.
        }
        let encoding = link::method_getTypeEncoding(method);
        if encoding.is_null() {
            return;
        }
        let declared = CStr::from_ptr(encoding).to_string_lossy();
        let Ok(method) = declared.parse::<MethodEncoding>() else { return };
        let mut sent = encoding_of(R::Raw::ENCODING, A::ENCODINGS);
        let in_registers = method.result.layout().is_some_and(|(size, _)| size <= 16);
        if size_of::<R::Raw>() == 0 && in_registers {
            // A result in registers may be ignored.
            sent.result = method.result.clone();
        }
        if !method.same_abi(&sent) {
            let class = CStr::from_ptr(link::class_getName(class)).to_string_lossy();
            let selector = selector.text();
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
/// As for [`Message::send`]; if the receiver is nil, `R` fits in registers.
pub(super) unsafe fn bare<L: ArgList, R: Encode>(receiver: Id, selector: &CStr, words: L) -> R {
    // SAFETY: passed on to the caller.
    unsafe {
        let selector = link::sel_registerName(selector.as_ptr());
        words.call(L::typed::<R>(messenger::<R>()), receiver, selector)
    }
}

/// The C string of a text that has no NUL in it, or up to the first one.
pub(super) fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}
