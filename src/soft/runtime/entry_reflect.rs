//! The C functions that describe classes, methods, instance variables and protocols, and change them.
//!
//! Lists and texts that a function copies are freed by the caller, with `free`.

#![allow(non_snake_case)] // C's names.
#![allow(clippy::missing_safety_doc)] // Said at the head of `entry`.

use super::class::{self, ClassData, MethodData};
use super::entry::{class_or_nil, entries, text};
use super::lock::Lock;
use super::object::{self, class_of};
use super::protocol::{self, ProtocolData, Required};
use super::side;
use super::variable::{self, Variable};
use crate::abi::{
    Bool, Class, Id, Imp, Ivar, Method, MethodDescription, MethodEncoding, Protocol, Sel,
};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// Memory that the caller frees, for `count` values.
fn memory<T>(count: usize) -> *mut T {
    // SAFETY: `malloc` may be called with any size.
    let memory = unsafe { malloc(count * size_of::<T>()) }.cast::<T>();
    assert!(!memory.is_null(), "no memory for a list of {count} entries");
    memory
}

/// A copy of a list, with a null entry at its end if `ended` is set; null for an empty list.
///
/// # Safety
///
/// `count` is null or the address of a variable. All bytes zero are a value of `T`.
pub(super) unsafe fn list<T: Copy>(items: &[T], count: *mut c_uint, ended: bool) -> *mut T {
    if !count.is_null() {
        // SAFETY: the caller's.
        unsafe { *count = items.len() as c_uint }
    }
    if items.is_empty() {
        return null_mut();
    }
    let copy = memory::<T>(items.len() + usize::from(ended));
    // SAFETY: the memory is as large.
    unsafe {
        copy.copy_from_nonoverlapping(items.as_ptr(), items.len());
        if ended {
            copy.add(items.len()).write_bytes(0, 1);
        }
    }
    copy
}

/// A copy of a text; null for none.
pub(super) fn copied(text: Option<String>) -> *mut c_char {
    let Some(text) = text else { return null_mut() };
    let copy = memory::<u8>(text.len() + 1);
    // SAFETY: the memory is as large.
    unsafe {
        copy.copy_from_nonoverlapping(text.as_ptr(), text.len());
        copy.add(text.len()).write(0);
    }
    copy.cast()
}

/// The types of a method's result and of its arguments, the receiver and the selector included.
fn types(method: &MethodData) -> Option<(String, Vec<String>)> {
    let encoding: MethodEncoding = method.types().to_str().ok()?.parse().ok()?;
    let arguments = encoding.arguments.iter().map(ToString::to_string).collect();
    Some((encoding.result.to_string(), arguments))
}

fn description(method: Option<Required>) -> MethodDescription {
    method.map_or(MethodDescription { name: Sel::NIL, types: null() }, |method| MethodDescription {
        name: method.selector,
        types: method.types.as_ptr(),
    })
}

entries! {
    /// The class of a name. nil if it does not exist.
    fn objc_lookUpClass(name: *const c_char = text) -> Class {
        class_or_nil(name.and_then(class::named))
    }

    /// The class of a name. Ends the program if it does not exist.
    fn objc_getRequiredClass(name: *const c_char = text) -> Class {
        let name = name.unwrap_or(c"");
        class::named(name).map_or_else(
            || super::fatal::fatal(format_args!("objc_getRequiredClass: there is no class {name:?}")),
            ClassData::handle,
        )
    }

    /// The metaclass of the class of a name. nil if it does not exist.
    fn objc_getMetaClass(name: *const c_char = text) -> Class {
        class_or_nil(name.and_then(class::named).map(ClassData::isa))
    }

    /// Copies the first registered classes. Returns how many there are.
    fn objc_getClassList(classes: *mut Class, room: c_int) -> c_int {
        let all = class::all();
        if !classes.is_null() {
            for (index, class) in all.iter().take(usize::try_from(room).unwrap_or(0)).enumerate() {
                // SAFETY: the caller has room for that many.
                unsafe { *classes.add(index) = class.handle() }
            }
        }
        all.len() as c_int
    }

    /// The registered classes.
    fn objc_copyClassList(count: *mut c_uint) -> *mut Class {
        let all: Vec<_> = class::all().into_iter().map(ClassData::handle).collect();
        // SAFETY: the caller's.
        unsafe { list(&all, count, true) }
    }

    /// Makes a class that was made at run time unknown by its name. Its memory is not freed.
    fn objc_disposeClassPair(class: Class = ClassData::from_handle) {
        if let Some(class) = class {
            class::dispose_pair(class);
        }
    }

    /// Whether this is the class of a class.
    fn class_isMetaClass(class: Class = ClassData::from_handle) -> Bool {
        Bool::new(class.is_some_and(ClassData::is_meta))
    }

    /// The version of a class, 0 unless a program has set it.
    fn class_getVersion(class: Class = ClassData::from_handle) -> c_int {
        class.map_or(0, |class| class.change_version(|version| *version))
    }

    /// The size of the objects of a class.
    fn class_getInstanceSize(class: Class = ClassData::from_handle) -> usize {
        class.map_or(0, object::instance_size)
    }

    /// The methods of the class itself.
    fn class_copyMethodList(class: Class = ClassData::from_handle, count: *mut c_uint) -> *mut Method {
        let methods = class.map(ClassData::own_methods).unwrap_or_default();
        let methods: Vec<_> = methods.into_iter().map(MethodData::handle).collect();
        // SAFETY: the caller's.
        unsafe { list(&methods, count, true) }
    }

    /// The protocols that the class itself adopts.
    fn class_copyProtocolList(class: Class = ClassData::from_handle, count: *mut c_uint) -> *mut Protocol {
        let protocols = class.map(ClassData::own_protocols).unwrap_or_default();
        let protocols: Vec<_> = protocols.into_iter().map(ProtocolData::handle).collect();
        // SAFETY: the caller's.
        unsafe { list(&protocols, count, true) }
    }

    /// The instance variables that the class itself adds.
    fn class_copyIvarList(class: Class = ClassData::from_handle, count: *mut c_uint) -> *mut Ivar {
        let variables = class.map(ClassData::own_variables).unwrap_or_default();
        let variables: Vec<_> = variables.into_iter().map(Variable::handle).collect();
        // SAFETY: the caller's.
        unsafe { list(&variables, count, true) }
    }

    /// Adds an instance variable to a class that is not registered yet. `align` is the logarithm of its
    /// alignment, which is 16 bytes at most. Whether it did.
    fn class_addIvar(
        class: Class = ClassData::from_handle,
        name: *const c_char = text,
        size: usize,
        align: u8,
        types: *const c_char = text
    ) -> Bool {
        Bool::new(class.is_some_and(|class| {
            variable::add(class, name.unwrap_or(c""), types.unwrap_or(c""), size, align)
        }))
    }

    /// The instance variable of a name, of the class or a superclass. nil if it does not exist.
    fn class_getInstanceVariable(class: Class = ClassData::from_handle, name: *const c_char = text) -> Ivar {
        let variable = class.zip(name).and_then(|(class, name)| variable::named(class, name));
        variable.map_or(Ivar::NIL, Variable::handle)
    }

    /// The name of an instance variable. Null for nil.
    fn ivar_getName(variable: Ivar = Variable::from_handle) -> *const c_char {
        variable.map_or(null(), |variable| variable.name.as_ptr())
    }

    /// The type of an instance variable. Null for nil.
    fn ivar_getTypeEncoding(variable: Ivar = Variable::from_handle) -> *const c_char {
        variable.map_or(null(), |variable| variable.types.as_ptr())
    }

    /// The offset of an instance variable in its object.
    fn ivar_getOffset(variable: Ivar = Variable::from_handle) -> isize {
        variable.map_or(0, |variable| variable.offset as isize)
    }

    /// The object that an instance variable refers to.
    fn object_getIvar(object: Id, variable: Ivar = Variable::from_handle) -> Id {
        match variable {
            // SAFETY: the caller's: the object has the variable, and it refers to an object.
            Some(variable) if !object.is_nil() => unsafe { *variable.of(object).cast::<Id>() },
            _ => Id::NIL,
        }
    }

    /// Stores an object in an instance variable, without retaining it.
    fn object_setIvar(object: Id, variable: Ivar = Variable::from_handle, value: Id) {
        if let Some(variable) = variable.filter(|_| !object.is_nil()) {
            // SAFETY: the caller's, as above.
            unsafe { *variable.of(object).cast::<Id>() = value }
        }
    }

    /// Reads an instance variable of pointer size by its name. nil if it does not exist.
    fn object_getInstanceVariable(object: Id, name: *const c_char, value: *mut *mut c_void) -> Ivar {
        // SAFETY: the caller's.
        unsafe {
            let variable = class_getInstanceVariable(class_of_object(object), name);
            if !value.is_null() {
                *value = object_getIvar(object, variable).as_ptr();
            }
            variable
        }
    }

    /// Sets an instance variable of pointer size by its name. nil if it does not exist.
    fn object_setInstanceVariable(object: Id, name: *const c_char, value: *mut c_void) -> Ivar {
        // SAFETY: the caller's.
        unsafe {
            let variable = class_getInstanceVariable(class_of_object(object), name);
            object_setIvar(object, variable, Id::from_ptr(value));
            variable
        }
    }

    /// Where the extra bytes of an object begin that `class_createInstance` made.
    fn object_getIndexedIvars(object: Id) -> *mut c_void {
        // SAFETY: the caller's.
        if object.is_nil() { null_mut() } else { unsafe { side::extra_of(object) } }
    }

    /// The name of an object's class. `nil` for nil.
    fn object_getClassName(object: Id) -> *const c_char {
        // SAFETY: the caller's.
        if object.is_nil() { c"nil".as_ptr() } else { unsafe { class_of(object) }.name().as_ptr() }
    }

    /// Whether the object is a class.
    fn object_isClass(object: Id) -> Bool {
        // SAFETY: the caller's.
        Bool::new(!object.is_nil() && unsafe { class_of(object) }.is_meta())
    }

    /// Sets the class of an object. Returns the old one.
    fn object_setClass(object: Id, class: Class = ClassData::from_handle) -> Class {
        match class {
            // SAFETY: the caller's.
            Some(class) if !object.is_nil() => unsafe { object::set_class(object, class) }.handle(),
            _ => Class::NIL,
        }
    }

    /// The selector of a method. nil for nil.
    fn method_getName(method: Method = MethodData::from_handle) -> Sel {
        method.map_or(Sel::NIL, |method| method.selector)
    }

    /// The number of a method's arguments, the receiver and the selector included.
    fn method_getNumberOfArguments(method: Method = MethodData::from_handle) -> c_uint {
        method.and_then(types).map_or(0, |(_, arguments)| arguments.len() as c_uint)
    }

    /// The type of a method's result. Null for nil.
    fn method_copyReturnType(method: Method = MethodData::from_handle) -> *mut c_char {
        copied(method.and_then(types).map(|(result, _)| result))
    }

    /// The type of a method's argument, counted from the receiver. Null if it does not exist.
    fn method_copyArgumentType(method: Method = MethodData::from_handle, index: c_uint) -> *mut c_char {
        let types = method.and_then(types);
        copied(types.and_then(|(_, arguments)| arguments.into_iter().nth(index as usize)))
    }

    /// Replaces the implementation of a method. Returns the old one.
    fn method_setImplementation(method: Method = MethodData::from_handle, imp: Imp) -> Option<Imp> {
        method.map(|method| method.set_imp(imp, &mut Lock::take()))
    }

    /// Exchanges the implementations of two methods.
    fn method_exchangeImplementations(
        one: Method = MethodData::from_handle,
        other: Method = MethodData::from_handle
    ) {
        if let (Some(one), Some(other)) = (one, other) {
            let lock = &mut Lock::take();
            other.set_imp(one.set_imp(other.imp(), lock), lock);
        }
    }

    /// Makes a protocol that is not registered yet. nil if the name is taken.
    fn objc_allocateProtocol(name: *const c_char = text) -> Protocol {
        name.and_then(protocol::allocate).map_or(Protocol::NIL, ProtocolData::handle)
    }

    /// Registers a protocol under its name.
    fn objc_registerProtocol(protocol: Protocol = ProtocolData::from_handle) {
        if let Some(protocol) = protocol {
            protocol::register(protocol);
        }
    }

    /// The registered protocols.
    fn objc_copyProtocolList(count: *mut c_uint) -> *mut Protocol {
        let all: Vec<_> = protocol::all().into_iter().map(ProtocolData::handle).collect();
        // SAFETY: the caller's.
        unsafe { list(&all, count, true) }
    }

    /// The name of a protocol. `nil` for nil.
    fn protocol_getName(protocol: Protocol = ProtocolData::from_handle) -> *const c_char {
        protocol.map_or(c"nil", |protocol| protocol.name()).as_ptr()
    }

    /// Whether two protocols are the same.
    fn protocol_isEqual(one: Protocol, other: Protocol) -> Bool {
        Bool::new(one == other)
    }

    /// Whether a protocol is another, or adopts it.
    fn protocol_conformsToProtocol(
        protocol: Protocol = ProtocolData::from_handle,
        other: Protocol = ProtocolData::from_handle
    ) -> Bool {
        let both = protocol.zip(other);
        Bool::new(both.is_some_and(|(protocol, other)| protocol.conforms_to(other, &Lock::take())))
    }

    /// Has a protocol that is not registered yet adopt another.
    fn protocol_addProtocol(
        protocol: Protocol = ProtocolData::from_handle,
        other: Protocol = ProtocolData::from_handle
    ) {
        if let Some((protocol, other)) = protocol.zip(other) {
            protocol.adopt(other);
        }
    }

    /// Adds a method to a protocol that is not registered yet.
    fn protocol_addMethodDescription(
        protocol: Protocol = ProtocolData::from_handle,
        selector: Sel,
        types: *const c_char = text,
        required: Bool,
        instance: Bool
    ) {
        if let Some(protocol) = protocol {
            let types: &'static CStr = Box::leak(types.unwrap_or(c"").into());
            let (required, instance) = (required.get(), instance.get());
            protocol.describe(Required { selector, types, required, instance });
        }
    }

    /// The protocols that a protocol adopts itself.
    fn protocol_copyProtocolList(protocol: Protocol = ProtocolData::from_handle, count: *mut c_uint) -> *mut Protocol {
        let adopted = protocol.map(ProtocolData::adopted).unwrap_or_default();
        let adopted: Vec<_> = adopted.into_iter().map(ProtocolData::handle).collect();
        // SAFETY: the caller's.
        unsafe { list(&adopted, count, true) }
    }

    /// The methods of one kind that a protocol itself describes.
    fn protocol_copyMethodDescriptionList(
        protocol: Protocol = ProtocolData::from_handle,
        required: Bool,
        instance: Bool,
        count: *mut c_uint
    ) -> *mut MethodDescription {
        let methods = protocol.map(|protocol| protocol.methods(required.get(), instance.get()));
        let methods: Vec<_> =
            methods.unwrap_or_default().into_iter().map(|method| description(Some(method))).collect();
        // SAFETY: the caller's.
        unsafe { list(&methods, count, false) }
    }

    /// The description of a method, in a protocol or one that it adopts. Its name is nil if it does not exist.
    fn protocol_getMethodDescription(
        protocol: Protocol = ProtocolData::from_handle,
        selector: Sel,
        required: Bool,
        instance: Bool
    ) -> MethodDescription {
        description(protocol.and_then(|protocol| protocol.method(selector, required.get(), instance.get())))
    }
}

/// The class of an object; nil for nil.
unsafe fn class_of_object(object: Id) -> Class {
    // SAFETY: the caller's.
    if object.is_nil() { Class::NIL } else { unsafe { class_of(object) }.handle() }
}
