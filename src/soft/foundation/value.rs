//! NSValue: a value of a C type, by its encoding; and NSNull, which stands for nil in collections.

use super::{NSObject, Text};
use crate::abi::{Class, Encoding, Id, NSRange};
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Strong};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::OnceLock;

/// The bytes of a value, and their type.
#[derive(Clone, PartialEq)]
pub(crate) struct Value {
    bytes: Vec<u8>,
    objc_type: CString,
}

soft_class! {
    /// A value.
    pub(crate) class NSValue(Value): NSObject, conforms [NSCopying], lacks super::absent::VALUE;
    make [valueWithBytes:objCType:] = Value::from_bytes;
    make [value:withObjCType:] = Value::from_bytes;
    init [initWithBytes:objCType:] = Value::from_bytes;
    make [valueWithPointer:] = |pointer: *const c_void| Value::of(pointer.addr().to_ne_bytes(), c"^v");
    make [valueWithNonretainedObject:] = |object: Id| Value::of(object.as_ptr().addr().to_ne_bytes(), c"@");
    make [valueWithRange:] = |range: NSRange| {
        let words = [range.location, range.length].map(usize::to_ne_bytes);
        Value::of(words.as_flattened().to_vec(), c"{_NSRange=QQ}")
    };
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);

    [objCType] = |value: &Value| value.objc_type.as_ptr();
    [getValue:] = |value: &Value, to: *mut c_void| value.store(to);
    [getValue:size:] = |this: This<'_, Value>, to: *mut c_void, size: usize| match size == this.bytes.len() {
        true => this.store(to),
        false => this.fault(format_args!("a value of {} bytes was requested with {size}", this.bytes.len())),
    };
    [pointerValue] = |value: &Value| std::ptr::with_exposed_provenance_mut::<c_void>(value.word(0));
    [nonretainedObjectValue] =
        |value: &Value| Id::from_ptr(std::ptr::with_exposed_provenance_mut(value.word(0)));
    [rangeValue] = |value: &Value| NSRange { location: value.word(0), length: value.word(1) };
    [isEqual:] = |value: &Value, other: Ours<Value>| value.is_equal(other.0);
    [isEqualToValue:] = Value::is_equal;
    [hash] = |value: &Value| value.word(0);
    [description] = |value: &Value| {
        let bytes: String = value.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Text::object(format!("{{length = {}, bytes = 0x{bytes}}}", value.bytes.len()))
    };
}

/// The object that stands for nil.
pub(crate) struct Null;

soft_class! {
    /// The object that stands for nil in collections. There is one.
    pub(super) class NSNull(Null): NSObject, conforms [NSCopying];
    class [null] = |_: Class| {
        static NULL: OnceLock<Strong<Null>> = OnceLock::new();
        NULL.get_or_init(|| Strong::new(Null)).clone()
    };
    [copy] = |this: This<'_, Null>| this.retain();
    [copyWithZone:] = |this: This<'_, Null>, _: Zone| this.retain();
    [description] = |_: &Null| Text::object("<null>");
}

impl Value {
    fn of(bytes: impl Into<Vec<u8>>, objc_type: &CStr) -> Self {
        Self { bytes: bytes.into(), objc_type: objc_type.to_owned() }
    }

    /// None if the type is not an encoding whose size is known.
    fn from_bytes(bytes: *const c_void, objc_type: *const c_char) -> Option<Self> {
        if bytes.is_null() || objc_type.is_null() {
            return None;
        }
        // SAFETY: the caller passed a C string.
        let objc_type = unsafe { CStr::from_ptr(objc_type) };
        let (size, _) = objc_type.to_str().ok()?.parse::<Encoding>().ok()?.layout()?;
        // SAFETY: the caller passed a value of the type.
        Some(Self::of(unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size) }, objc_type))
    }

    fn store(&self, to: *mut c_void) {
        // SAFETY: the caller passed room for a value of the type.
        unsafe { to.cast::<u8>().copy_from(self.bytes.as_ptr(), self.bytes.len()) }
    }

    /// A word of the bytes; 0 past their end.
    fn word(&self, index: usize) -> usize {
        let (words, _) = self.bytes.as_chunks();
        words.get(index).map_or(0, |word| usize::from_ne_bytes(*word))
    }

    fn is_equal(&self, other: Option<&Object<Self>>) -> bool {
        other.is_some_and(|other| self == &**other)
    }
}

fn itself(this: This<'_, Value>) -> Strong<Value> {
    this.retain()
}
