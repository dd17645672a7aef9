//! The runtime, tested through its C functions.
//!
//! `ARUMINIUM_TEST_SCALE=small` makes long loops short, for emulated CPUs.

/// The encoding of a method that returns a `BOOL`, which is a `signed char` on x86_64.
macro_rules! concat_bool {
    ($rest:literal) => {
        if cfg!(target_arch = "x86_64") { concat!("c", $rest) } else { concat!("B", $rest) }
    };
}

mod blocks;
mod classes;
mod clients;
mod collections;
mod counts;
mod declared;
mod ends;
#[cfg(feature = "export")]
mod exceptions;
mod formats;
mod foundation;
#[cfg(feature = "export")]
mod key_values;
mod messages;
mod pools;
mod properties;
#[cfg(feature = "export")]
mod reflection;
mod texts;

use super::entry::*;
use crate::abi::*;
use std::ffi::{CStr, CString, c_char};

/// A count for a loop: the second on emulated CPUs.
fn scale(count: usize, small: usize) -> usize {
    if std::env::var_os("ARUMINIUM_TEST_SCALE").is_some_and(|scale| scale == "small") {
        small
    } else {
        count
    }
}

fn sel(name: &str) -> Sel {
    let name = CString::new(name).unwrap();
    // SAFETY: a C string.
    unsafe { sel_registerName(name.as_ptr()) }
}

fn class(name: &str) -> Class {
    let name = CString::new(name).unwrap();
    // SAFETY: a C string.
    let class = unsafe { objc_getClass(name.as_ptr()) };
    assert!(!class.is_nil(), "{name:?}");
    class
}

/// A new class of this name.
fn subclass(superclass: Class, name: &str) -> Class {
    let name = CString::new(name).unwrap();
    // SAFETY: a class and a C string.
    unsafe {
        let class = objc_allocateClassPair(superclass, name.as_ptr(), 0);
        assert!(!class.is_nil(), "{name:?}");
        objc_registerClassPair(class);
        class
    }
}

/// One function pointer as another.
fn cast<F: Copy, T>(function: F) -> T {
    assert!(size_of::<F>() == size_of::<T>() && size_of::<T>() == size_of::<Imp>());
    // SAFETY: both are function pointers; tests name the function's own type.
    unsafe { std::mem::transmute_copy(&function) }
}

/// Sends a message: the receiver, the selector, the arguments with their types, the result's type.
macro_rules! send {
    ($receiver:expr, $selector:expr $(, $argument:expr => $ty:ty)* ; $result:ty) => {{
        type Method = extern "C" fn(Id, Sel $(, $ty)*) -> $result;
        let send: Imp = crate::soft::runtime::entry::objc_msgSend;
        crate::soft::runtime::tests::cast::<Imp, Method>(send)(
            $receiver, crate::soft::runtime::tests::sel($selector) $(, $argument)*
        )
    }};
}
use send;

/// A new NSObject of a class, owned.
fn new(class: Class) -> Id {
    send!(class.as_id(), "new"; Id)
}

/// A new NSString, owned.
fn string(text: &str) -> Id {
    let object = send!(class("NSString").as_id(), "alloc"; Id);
    send!(
        object, "initWithBytes:length:encoding:",
        text.as_ptr().cast() => *const std::ffi::c_void, text.len() => usize, 4 => usize; Id
    )
}

fn text(string: Id) -> String {
    let text = send!(string, "UTF8String"; *const c_char);
    assert!(!text.is_null());
    // SAFETY: a C string that lives as long as the object.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn add(class: Class, selector: &str, imp: Imp, types: &CStr) -> bool {
    // SAFETY: a class, a selector, and a function that the test only calls as what it is.
    unsafe { class_addMethod(class, sel(selector), imp, types.as_ptr()) }.get()
}

/// A function as an implementation.
macro_rules! imp {
    ($function:ident as $ty:ty) => {
        crate::soft::runtime::tests::cast::<$ty, Imp>($function)
    };
}
use imp;
