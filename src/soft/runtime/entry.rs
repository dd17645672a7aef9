//! The C functions of the Objective-C runtime, under their own names.
//!
//! Each calls the part of the runtime that does the work. All that take pointers require what Objective-C
//! requires: nil, or a live object, class or selector of this runtime.

#![allow(non_snake_case, non_upper_case_globals)] // C's names.
#![allow(clippy::missing_safety_doc)] // Said once, above.

use super::block::{self, Block};
use super::class::{self, ClassData, MethodData};
use super::protocol::{self, ProtocolData};
use super::send::FORWARDER;
#[cfg(target_arch = "x86_64")]
use super::send::FORWARDER_STRET;
use super::{byref, lock::Lock, object, pool, selector};
use crate::abi::{Bool, Class, Id, Imp, Method, Protocol, Sel};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null;

pub use super::block::_NSConcreteStackBlock;
pub use super::entry_owner::*;
pub use super::entry_reflect::*;
pub use super::send_arch::{objc_msgSend, objc_msgSendSuper, objc_msgSendSuper2};
#[cfg(target_arch = "x86_64")]
pub use super::send_arch::{
    objc_msgSend_fp2ret, objc_msgSend_fpret, objc_msgSend_stret, objc_msgSendSuper_stret,
    objc_msgSendSuper2_stret,
};

/// A C string; none for null.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: the caller's.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// Writes the C functions. Arguments are converted to Rust types by the functions after `=`.
macro_rules! entries {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $ty:ty $(= $view:path)?),*) $(-> $result:ty)? $body:block
    )+) => {$(
        $(#[$attribute])*
        pub unsafe extern "C" fn $name($($argument: $ty),*) $(-> $result)? {
            // SAFETY: as Objective-C requires of every caller, see the head of this file.
            $($(let $argument = unsafe { $view($argument) };)?)*
            $body
        }
    )+};
}
pub(super) use entries;

/// The handle of a class; nil for none.
pub(super) fn class_or_nil(class: Option<&'static ClassData>) -> Class {
    class.map_or(Class::NIL, ClassData::handle)
}

entries! {
    /// The selector of a name, registered on first use. nil for null.
    fn sel_registerName(name: *const c_char = text) -> Sel {
        name.map_or(Sel::NIL, |name| selector::intern(name, &mut Lock::take()))
    }

    /// The name of a selector. Null for nil.
    fn sel_getName(selector: Sel) -> *const c_char {
        selector::name(selector).map_or(null(), CStr::as_ptr)
    }

    /// The same function under an older name.
    fn sel_getUid(name: *const c_char) -> Sel {
        // SAFETY: the caller's.
        unsafe { sel_registerName(name) }
    }

    /// Whether two selectors are the same.
    fn sel_isEqual(one: Sel, other: Sel) -> Bool {
        Bool::new(one == other)
    }

    /// The class of a name. nil if it does not exist.
    fn objc_getClass(name: *const c_char = text) -> Class {
        class_or_nil(name.and_then(class::named))
    }

    /// Makes a class, which cannot be found by name before it is registered. nil if the name is taken.
    /// `_extra` bytes in the class object are not offered: nothing here could read them.
    fn objc_allocateClassPair(
        superclass: Class = ClassData::from_handle,
        name: *const c_char = text,
        _extra: usize
    ) -> Class {
        class_or_nil(name.and_then(|name| class::allocate_pair(name, superclass)))
    }

    /// Registers a class under its name.
    fn objc_registerClassPair(class: Class = ClassData::from_handle) {
        if let Some(class) = class.filter(|class| !class.is_meta()) {
            class::register_pair(class);
        }
    }

    /// The class of an object, the metaclass of a class. nil for nil.
    fn object_getClass(object: Id) -> Class {
        if object.is_nil() {
            return Class::NIL;
        }
        // SAFETY: the caller's.
        unsafe { object::class_of(object) }.handle()
    }

    /// The name of a class. `nil` for nil, as Objective-C has it.
    fn class_getName(class: Class = ClassData::from_handle) -> *const c_char {
        class.map_or(c"nil", ClassData::name).as_ptr()
    }

    /// The superclass. nil for a root class.
    fn class_getSuperclass(class: Class = ClassData::from_handle) -> Class {
        class_or_nil(class.and_then(ClassData::superclass))
    }

    /// Adds a method to a class that has none of its own for the selector. Whether it did.
    fn class_addMethod(
        class: Class = ClassData::from_handle,
        selector: Sel,
        imp: Imp,
        types: *const c_char = text
    ) -> Bool {
        let (Some(class), false) = (class, selector.is_nil()) else { return Bool::new(false) };
        Bool::new(class.set_method(selector, imp, types.unwrap_or(c""), false).is_none())
    }

    /// Adds a method to a class, or replaces its own one. Returns the replaced implementation.
    fn class_replaceMethod(
        class: Class = ClassData::from_handle,
        selector: Sel,
        imp: Imp,
        types: *const c_char = text
    ) -> Option<Imp> {
        let (Some(class), false) = (class, selector.is_nil()) else { return None };
        class.set_method(selector, imp, types.unwrap_or(c""), true)
    }

    /// Whether objects of the class respond to a selector.
    fn class_respondsToSelector(class: Class = ClassData::from_handle, selector: Sel) -> Bool {
        Bool::new(class.is_some_and(|class| class.method(selector, &mut Lock::take()).is_some()))
    }

    /// The instance method of a selector. nil if it does not exist.
    fn class_getInstanceMethod(class: Class = ClassData::from_handle, selector: Sel) -> Method {
        class
            .and_then(|class| class.method(selector, &mut Lock::take()))
            .map_or(Method::NIL, MethodData::handle)
    }

    /// The class method of a selector. nil if it does not exist.
    fn class_getClassMethod(class: Class = ClassData::from_handle, selector: Sel) -> Method {
        class
            .and_then(|class| class.isa().method(selector, &mut Lock::take()))
            .map_or(Method::NIL, MethodData::handle)
    }

    /// The function for a selector, or one that reports an unrecognized selector. Null only for a
    /// nil class or selector.
    fn class_getMethodImplementation(
        class: Class = ClassData::from_handle,
        selector: Sel
    ) -> Option<Imp> {
        Some(class.filter(|_| !selector.is_nil())?.cached_imp(selector).unwrap_or(FORWARDER))
    }

    /// The same for a method that returns a struct in memory.
    #[cfg(target_arch = "x86_64")]
    fn class_getMethodImplementation_stret(
        class: Class = ClassData::from_handle,
        selector: Sel
    ) -> Option<Imp> {
        Some(class.filter(|_| !selector.is_nil())?.cached_imp(selector).unwrap_or(FORWARDER_STRET))
    }

    /// The type encoding of a method. Null for nil.
    fn method_getTypeEncoding(method: Method = MethodData::from_handle) -> *const c_char {
        method.map_or(null(), |method| method.types().as_ptr())
    }

    /// The function of a method. Null for nil.
    fn method_getImplementation(method: Method = MethodData::from_handle) -> Option<Imp> {
        method.map(MethodData::imp)
    }

    /// The protocol of a name. nil when no class adopts it.
    fn objc_getProtocol(name: *const c_char = text) -> Protocol {
        name.and_then(protocol::named).map_or(Protocol::NIL, ProtocolData::handle)
    }

    /// Adopts a protocol. Whether it is new to the class.
    fn class_addProtocol(
        class: Class = ClassData::from_handle,
        protocol: Protocol = ProtocolData::from_handle
    ) -> Bool {
        Bool::new(class.zip(protocol).is_some_and(|(class, protocol)| class.adopt(protocol)))
    }

    /// Whether the class or a superclass adopts a protocol.
    fn class_conformsToProtocol(
        class: Class = ClassData::from_handle,
        protocol: Protocol = ProtocolData::from_handle
    ) -> Bool {
        Bool::new(class.zip(protocol).is_some_and(|(class, protocol)| class.conforms_to(protocol)))
    }

    /// Retains an object.
    fn objc_retain(object: Id = object::retain) -> Id {
        object
    }

    /// Releases an object.
    fn objc_release(_object: Id = object::release) {}

    /// Moves an owned object to the innermost pool.
    fn objc_autorelease(object: Id = pool::autorelease) -> Id {
        object
    }

    /// Moves an owned object to the innermost pool; the caller that it is returned to may take it out.
    fn objc_autoreleaseReturnValue(object: Id = pool::autorelease_return_value) -> Id {
        object
    }

    /// Retains what the last message returned, or takes it out of the pool.
    fn objc_retainAutoreleasedReturnValue(object: Id = pool::retain_autoreleased_return_value) -> Id {
        object
    }

    /// Begins a pool.
    fn objc_autoreleasePoolPush() -> *mut c_void {
        pool::push_pool()
    }

    /// Ends a pool, and those that began in it.
    fn objc_autoreleasePoolPop(token: *mut c_void) {
        pool::pop_pool(token)
    }

    /// Copies a block to the heap, or retains one that is there.
    fn _Block_copy(block: *const c_void) -> *mut c_void {
        // SAFETY: the caller's.
        unsafe { block::copy(block.cast::<Block>()) }
    }

    /// Copies a value that a block captured into a copy of the block.
    fn _Block_object_assign(to: *mut c_void, value: *const c_void, flags: c_int) {
        // SAFETY: the caller's.
        unsafe { byref::assign(to.cast(), value, flags) }
    }

    /// Releases a value that a block captured.
    fn _Block_object_dispose(value: *const c_void, flags: c_int) {
        // SAFETY: the caller's.
        unsafe { byref::dispose(value, flags) }
    }

    /// Releases a copied block.
    fn _Block_release(block: *const c_void) {
        // SAFETY: the caller's.
        unsafe { block::release(block.cast::<Block>()) }
    }
}

/// Says that what the last message returned stays in its pool. Not one of Objective-C's functions:
/// Apple's runtime reads it from the caller's code.
pub(crate) fn leave_in_pool(object: Id) {
    pool::leave(object);
}
