//! C functions of libobjc and of the C library that only other programs call.

#![allow(clippy::missing_safety_doc)] // Said at the head of `entry`.

use super::class::{ClassData, MethodData};
use super::exception::{self, Handler};
use super::nsobject::{is_kind_of_class, responds_to_selector};
use crate::abi::{Bool, Class, Id, Ivar, Method, MethodDescription, Sel};
use crate::soft::fork::lock;
use crate::soft::system::is_main_thread;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null;
use std::sync::Mutex;

/// The object itself: classes that implement `self` otherwise are unknown.
pub(crate) unsafe extern "C" fn objc_opt_self(object: Id) -> Id {
    object
}

/// Whether an object is of a class or of a subclass of it. nil is of none.
pub(crate) unsafe extern "C" fn objc_opt_isKindOfClass(object: Id, class: Class) -> Bool {
    Bool::new(!object.is_nil() && is_kind_of_class(object, class))
}

/// Whether the class of an object has a method. That of nil has none.
pub(crate) unsafe extern "C" fn objc_opt_respondsToSelector(object: Id, selector: Sel) -> Bool {
    Bool::new(!object.is_nil() && responds_to_selector(object, selector))
}

/// Sets the version of a class, 0 at first.
pub(crate) unsafe extern "C" fn class_setVersion(class: Class, version: c_int) {
    // SAFETY: as Objective-C requires of every caller.
    if let Some(class) = unsafe { ClassData::from_handle(class) } {
        class.change_version(|own| *own = version);
    }
}

/// Which instance variables are strong references: none, as without automatic reference counting.
pub(crate) unsafe extern "C" fn class_getIvarLayout(_class: Class) -> *const u8 {
    null()
}

/// Which instance variables are weak references: none.
pub(crate) unsafe extern "C" fn class_getWeakIvarLayout(_class: Class) -> *const u8 {
    null()
}

/// Which instance variables are strong references: not used.
pub(crate) unsafe extern "C" fn class_setIvarLayout(_class: Class, _layout: *const u8) {}

/// Which instance variables are weak references: not used.
pub(crate) unsafe extern "C" fn class_setWeakIvarLayout(_class: Class, _layout: *const u8) {}

/// A variable of the class object: there are none.
pub(crate) unsafe extern "C" fn class_getClassVariable(
    _class: Class,
    _name: *const c_char,
) -> Ivar {
    Ivar::NIL
}

/// The library of a class: the same for all.
pub(crate) unsafe extern "C" fn class_getImageName(class: Class) -> *const c_char {
    if class.is_nil() { null() } else { c"libaruminium.so.0".as_ptr() }
}

/// The selector and the types of a method. Null for nil.
pub(crate) unsafe extern "C" fn method_getDescription(method: Method) -> *const MethodDescription {
    /// Those that were requested, by the address of the method.
    static ALL: Mutex<BTreeMap<usize, Box<Described>>> = Mutex::new(BTreeMap::new());
    struct Described(MethodDescription);
    // SAFETY: a selector and a text, which live for ever.
    unsafe impl Send for Described {}

    // SAFETY: as Objective-C requires of every caller.
    let Some(data) = (unsafe { MethodData::from_handle(method) }) else { return null() };
    let (name, types) = (data.selector, data.types().as_ptr());
    let mut all = lock(&ALL);
    let described = all.entry(method.as_ptr().addr());
    &raw const described.or_insert_with(|| Box::new(Described(MethodDescription { name, types }))).0
}

/// Whether a selector is one. All that are not nil are.
pub(crate) unsafe extern "C" fn sel_isMapped(selector: Sel) -> Bool {
    Bool::new(selector != Sel::NIL)
}

/// Sets the function that is called with an exception that nothing catches, and returns the earlier one.
pub(crate) unsafe extern "C" fn objc_setUncaughtExceptionHandler(
    handler: Option<Handler>,
) -> Option<Handler> {
    exception::set_handler(handler)
}

/// Whether this is the thread that the process began with.
pub(crate) unsafe extern "C" fn pthread_main_np() -> c_int {
    is_main_thread().into()
}

/// A value of the system. There is one: the version of macOS, which `objc2` compares with that of what it calls. The newest
/// that is known here, so that it calls everything.
pub(crate) unsafe extern "C" fn sysctlbyname(
    name: *const c_char,
    old: *mut c_void,
    length: *mut usize,
    _new: *const c_void,
    _new_length: usize,
) -> c_int {
    const VERSION: &[u8] = b"26.0\0";
    // SAFETY: the caller passes a name, and null or the address of a buffer whose length the variable has.
    unsafe {
        if CStr::from_ptr(name) != c"kern.osproductversion" || length.is_null() {
            return -1;
        }
        if !old.is_null() {
            if *length < VERSION.len() {
                return -1;
            }
            old.copy_from(VERSION.as_ptr().cast(), VERSION.len());
        }
        *length = VERSION.len();
    }
    0
}
