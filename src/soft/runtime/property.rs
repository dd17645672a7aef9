//! Declared properties, which classes and protocols get at run time. The classes of this system list none: their
//! accessors are methods.

use super::class::ClassData;
use super::entry::text;
use super::entry_reflect::{copied, list};
use super::protocol::ProtocolData;
use crate::abi::{Bool, Class, Protocol};
use std::ffi::{CStr, CString, c_char, c_uint};
use std::ptr::null;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// `objc_property_attribute_t`: one letter, or a longer name, and its value.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Attribute {
    pub(super) name: *const c_char,
    pub(super) value: *const c_char,
}

/// A property. It lives for ever.
pub(crate) struct Property {
    name: CString,
    attributes: AtomicPtr<Attributes>,
}

/// The names and values of attributes, and all of them as one text.
struct Attributes {
    all: Vec<(CString, CString)>,
    spelled: CString,
}

/// A property of a protocol: whether it is required, and whether it is one of instances.
#[derive(Clone, Copy)]
pub(super) struct Described {
    pub(super) property: &'static Property,
    pub(super) required: bool,
    pub(super) instance: bool,
}

impl Attributes {
    /// Copies attributes. They live for ever: a client may have the address of the text.
    ///
    /// # Safety
    ///
    /// There are that many, of C strings. A value may be null.
    unsafe fn copy(attributes: *const Attribute, count: c_uint) -> *mut Self {
        let mut all = Vec::new();
        for nth in 0..if attributes.is_null() { 0 } else { count as usize } {
            // SAFETY: the caller's.
            unsafe {
                let Attribute { name, value } = *attributes.add(nth);
                if let Some(name) = text(name) {
                    all.push((name.to_owned(), text(value).unwrap_or_default().to_owned()));
                }
            }
        }
        // A name of several letters is in quotes.
        let spell = |(name, value): &(CString, CString)| match name.to_bytes() {
            [letter] => [&[*letter], value.to_bytes()].concat(),
            name => [b"\"", name, b"\"", value.to_bytes()].concat(),
        };
        let spelled = all.iter().map(spell).collect::<Vec<_>>().join(&b","[..]);
        let spelled = CString::new(spelled).expect("C strings have no NUL inside");
        Box::into_raw(Box::new(Self { all, spelled }))
    }
}

impl Property {
    fn attributes(&self) -> &Attributes {
        // SAFETY: set when the property was made, to some that live for ever.
        unsafe { &*self.attributes.load(Acquire) }
    }
}

/// The property of a name.
fn named(
    properties: impl IntoIterator<Item = &'static Property>,
    name: &CStr,
) -> Option<&'static Property> {
    properties.into_iter().find(|property| property.name.as_c_str() == name)
}

/// # Safety
///
/// The name is null or a C string; for the attributes see [`Attributes::copy`].
unsafe fn made(
    name: *const c_char,
    attributes: *const Attribute,
    count: c_uint,
) -> Option<&'static Property> {
    // SAFETY: the caller's.
    unsafe {
        let name = text(name)?.to_owned();
        let attributes = AtomicPtr::new(Attributes::copy(attributes, count));
        Some(Box::leak(Box::new(Property { name, attributes })))
    }
}

/// Adds a property to a class, unless the class itself has one of that name. Whether it did.
pub(crate) unsafe extern "C" fn class_addProperty(
    class: Class,
    name: *const c_char,
    attributes: *const Attribute,
    count: c_uint,
) -> Bool {
    // SAFETY: as Objective-C requires of every caller.
    let added = unsafe {
        let new = made(name, attributes, count);
        ClassData::from_handle(class).zip(new).is_some_and(|(class, new)| {
            class.change_properties(|all| match named(all.iter().copied(), &new.name) {
                Some(_) => false,
                None => {
                    all.push(new);
                    true
                }
            })
        })
    };
    Bool::new(added)
}

/// Replaces the attributes of a class's property, or adds it.
pub(crate) unsafe extern "C" fn class_replaceProperty(
    class: Class,
    name: *const c_char,
    attributes: *const Attribute,
    count: c_uint,
) {
    // SAFETY: as above.
    unsafe {
        let Some((class, name)) = ClassData::from_handle(class).zip(text(name)) else { return };
        let old = class.change_properties(|all| named(all.iter().copied(), name));
        match old {
            Some(old) => old.attributes.store(Attributes::copy(attributes, count), Release),
            None => _ = class_addProperty(class.handle(), name.as_ptr(), attributes, count),
        }
    }
}

/// The property of a name, of the class or a superclass. Null if it does not exist.
pub(crate) unsafe extern "C" fn class_getProperty(
    class: Class,
    name: *const c_char,
) -> *const Property {
    // SAFETY: as above.
    let found = unsafe {
        ClassData::from_handle(class).zip(text(name)).and_then(|(class, name)| {
            class
                .ancestry()
                .find_map(|class| class.change_properties(|all| named(all.iter().copied(), name)))
        })
    };
    found.map_or(null(), std::ptr::from_ref)
}

/// The properties that the class itself adds.
pub(crate) unsafe extern "C" fn class_copyPropertyList(
    class: Class,
    count: *mut c_uint,
) -> *mut *const Property {
    // SAFETY: as above. A null pointer ends the list.
    unsafe {
        let all = ClassData::from_handle(class)
            .map(|class| class.change_properties(|all| all.clone()))
            .unwrap_or_default();
        let all: Vec<*const Property> = all.into_iter().map(std::ptr::from_ref).collect();
        list(&all, count, true)
    }
}

/// Adds a property to a protocol that is not registered yet.
pub(crate) unsafe extern "C" fn protocol_addProperty(
    protocol: Protocol,
    name: *const c_char,
    attributes: *const Attribute,
    count: c_uint,
    required: Bool,
    instance: Bool,
) {
    // SAFETY: as above.
    unsafe {
        let new = made(name, attributes, count);
        if let Some((protocol, property)) = ProtocolData::from_handle(protocol).zip(new) {
            let (required, instance) = (required.get(), instance.get());
            protocol.add_property(Described { property, required, instance });
        }
    }
}

/// The property of a name that a protocol describes, or one that it adopts. Null if it does not exist.
pub(crate) unsafe extern "C" fn protocol_getProperty(
    protocol: Protocol,
    name: *const c_char,
    required: Bool,
    instance: Bool,
) -> *const Property {
    fn find(
        protocol: &'static ProtocolData,
        name: &CStr,
        of: (bool, bool),
    ) -> Option<&'static Property> {
        let own = named(protocol.properties(of.0, of.1), name);
        own.or_else(|| protocol.adopted().into_iter().find_map(|adopted| find(adopted, name, of)))
    }
    // SAFETY: as above.
    let found = unsafe {
        let both = ProtocolData::from_handle(protocol).zip(text(name));
        both.and_then(|(protocol, name)| find(protocol, name, (required.get(), instance.get())))
    };
    found.map_or(null(), std::ptr::from_ref)
}

/// The required properties of instances that a protocol itself describes.
pub(crate) unsafe extern "C" fn protocol_copyPropertyList(
    protocol: Protocol,
    count: *mut c_uint,
) -> *mut *const Property {
    // SAFETY: as above.
    unsafe { protocol_copyPropertyList2(protocol, count, Bool::new(true), Bool::new(true)) }
}

/// The properties of one kind that a protocol itself describes.
pub(crate) unsafe extern "C" fn protocol_copyPropertyList2(
    protocol: Protocol,
    count: *mut c_uint,
    required: Bool,
    instance: Bool,
) -> *mut *const Property {
    // SAFETY: as above.
    unsafe {
        let all = ProtocolData::from_handle(protocol)
            .map(|protocol| protocol.properties(required.get(), instance.get()))
            .unwrap_or_default();
        let all: Vec<*const Property> = all.into_iter().map(std::ptr::from_ref).collect();
        list(&all, count, true)
    }
}

/// The name of a property. Null for null.
pub(crate) unsafe extern "C" fn property_getName(property: *const Property) -> *const c_char {
    // SAFETY: as above.
    unsafe { property.as_ref() }.map_or(null(), |property| property.name.as_ptr())
}

/// The attributes of a property as a text: `T@"NSString",C,N`. Null for null.
pub(crate) unsafe extern "C" fn property_getAttributes(property: *const Property) -> *const c_char {
    // SAFETY: as above.
    unsafe { property.as_ref() }.map_or(null(), |property| property.attributes().spelled.as_ptr())
}

/// The attributes of a property. The caller frees the list, not the texts.
pub(crate) unsafe extern "C" fn property_copyAttributeList(
    property: *const Property,
    count: *mut c_uint,
) -> *mut Attribute {
    // SAFETY: as above.
    unsafe {
        let all = property.as_ref().map_or(&[][..], |property| &property.attributes().all);
        let attribute = |(name, value): &(CString, CString)| Attribute {
            name: name.as_ptr(),
            value: value.as_ptr(),
        };
        list(&all.iter().map(attribute).collect::<Vec<_>>(), count, true)
    }
}

/// The value of a property's attribute. Null if it does not exist.
pub(crate) unsafe extern "C" fn property_copyAttributeValue(
    property: *const Property,
    name: *const c_char,
) -> *mut c_char {
    // SAFETY: as above.
    let (property, name) = unsafe { (property.as_ref(), text(name)) };
    copied(property.zip(name).and_then(|(property, name)| {
        let mut all = property.attributes().all.iter();
        let (_, value) = all.find(|(own, _)| own.as_c_str() == name)?;
        Some(value.to_string_lossy().into_owned())
    }))
}
