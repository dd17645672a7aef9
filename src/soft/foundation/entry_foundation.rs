//! C functions of Foundation that only other programs call. All that take objects require what that library requires.

#![allow(clippy::missing_safety_doc)] // Said once, above.

use super::Text;
use super::format::text_of_format;
use super::variadic::{Variadic, variadic};
use crate::abi::{Class, Id, Protocol, Sel};
use crate::soft::runtime::entry::{
    class_getName, objc_getClass, objc_getProtocol, protocol_getName, sel_getName, sel_registerName,
};
use crate::soft::runtime::entry_clients::objc_setUncaughtExceptionHandler;
use crate::soft::runtime::exception::{Handler, handler};
use crate::soft::runtime::object::{Object, Strong};
use crate::soft::runtime::pool;
use std::borrow::Cow;
use std::env;
use std::ffi::{CStr, CString, c_char};
use std::io::{self, Write};

/// An autoreleased string; nil for none.
fn returned(text: Option<Strong<Text>>) -> Id {
    let owned = text.map_or(Id::NIL, |text| text.into_retained().into_owned());
    // SAFETY: the count is passed on.
    unsafe { pool::autorelease(owned) }
}

/// The string of a name; nil for null.
unsafe fn named(name: *const c_char) -> Id {
    // SAFETY: the caller's: a C string or null.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
    returned(name.map(|name| Text::object(name.to_string_lossy())))
}

/// The text of a string as a C string; `None` for nil.
unsafe fn text(string: Id) -> Option<CString> {
    // SAFETY: the caller's: a string or nil.
    let text: Cow<'_, str> = unsafe { Object::<Text>::from_id(string) }?.to_str();
    CString::new(text.as_bytes()).ok()
}

/// The name of a class.
pub(crate) unsafe extern "C" fn NSStringFromClass(class: Class) -> Id {
    // SAFETY: as Foundation requires of every caller; so below.
    unsafe {
        match class.is_nil() {
            true => Id::NIL,
            false => named(class_getName(class)),
        }
    }
}

/// The class of a name.
pub(crate) unsafe extern "C" fn NSClassFromString(name: Id) -> Class {
    // SAFETY: as above.
    unsafe { text(name).map_or(Class::NIL, |name| objc_getClass(name.as_ptr())) }
}

/// The name of a selector.
pub(crate) unsafe extern "C" fn NSStringFromSelector(selector: Sel) -> Id {
    // SAFETY: as above.
    unsafe {
        match selector.is_nil() {
            true => Id::NIL,
            false => named(sel_getName(selector)),
        }
    }
}

/// The selector of a name.
pub(crate) unsafe extern "C" fn NSSelectorFromString(name: Id) -> Sel {
    // SAFETY: as above.
    unsafe { text(name).map_or(Sel::NIL, |name| sel_registerName(name.as_ptr())) }
}

/// The name of a protocol.
pub(crate) unsafe extern "C" fn NSStringFromProtocol(protocol: Protocol) -> Id {
    // SAFETY: as above.
    unsafe { named(protocol_getName(protocol)) }
}

/// The protocol of a name.
pub(crate) unsafe extern "C" fn NSProtocolFromString(name: Id) -> Protocol {
    // SAFETY: as above.
    unsafe { text(name).map_or(Protocol::NIL, |name| objc_getProtocol(name.as_ptr())) }
}

/// A variable of the environment, or another text.
fn variable(name: &str, other: &str) -> Id {
    returned(Some(Text::object(env::var(name).unwrap_or_else(|_| other.to_owned()))))
}

/// The user's folder.
pub(crate) unsafe extern "C" fn NSHomeDirectory() -> Id {
    variable("HOME", "/")
}

/// The folder of temporary files, with a slash at its end.
pub(crate) unsafe extern "C" fn NSTemporaryDirectory() -> Id {
    let folder = env::temp_dir().to_string_lossy().into_owned();
    returned(Some(Text::object(format!("{}/", folder.trim_end_matches('/')))))
}

/// The user's name.
pub(crate) unsafe extern "C" fn NSUserName() -> Id {
    variable("USER", "")
}

/// The same: the system's tables of users are not read.
pub(crate) unsafe extern "C" fn NSFullUserName() -> Id {
    variable("USER", "")
}

/// Sets the function that is called with an exception that nothing catches.
pub(crate) unsafe extern "C" fn NSSetUncaughtExceptionHandler(new: Option<Handler>) {
    // SAFETY: as above.
    unsafe { _ = objc_setUncaughtExceptionHandler(new) }
}

/// The function that is called with an exception that nothing catches.
pub(crate) unsafe extern "C" fn NSGetUncaughtExceptionHandler() -> Option<Handler> {
    handler()
}

variadic! {
    NSLog calls log, named 1;
}

/// `NSLog`: a line on standard error.
unsafe extern "C-unwind" fn log(list: &mut Variadic) {
    // SAFETY: the arguments of a call: the format comes first.
    let text = unsafe { text_of_format(list) };
    let program = env::current_exe().unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // Nothing is to be done where it cannot be written.
    let _ = writeln!(io::stderr().lock(), "{name}[{}] {}", std::process::id(), text.to_str());
}
