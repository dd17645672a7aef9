//! `NSString` from and to Rust's strings.

use super::link;
use super::object::Object;
use super::send::bare;
use crate::abi::{Id, NSRange};
use std::ffi::{CStr, c_char, c_void};

/// `NSUTF8StringEncoding`.
const UTF8: usize = 4;

/// A new `NSString` with the text.
pub(crate) fn new(text: &str) -> Object {
    // SAFETY: `alloc` and `initWithBytes:length:encoding:` are `NSString`'s, with these types; the
    // bytes are copied, and UTF-8 is what they are.
    unsafe {
        let class = link::objc_getClass(c"NSString".as_ptr());
        let blank: Id = bare(class.as_id(), c"alloc", ());
        let bytes = text.as_ptr().cast::<c_void>();
        Object::owned(bare(blank, c"initWithBytes:length:encoding:", (bytes, text.len(), UTF8)))
    }
}

/// The text of an `NSString`; that of nil is empty. Lone surrogates become U+FFFD.
///
/// # Safety
///
/// `string` is nil or a live `NSString`.
pub(crate) unsafe fn read(string: Id) -> String {
    // SAFETY: these are `NSString`'s methods, with these types; the pointer is valid until the
    // string dies or the pool is drained, and the text is copied before either.
    unsafe {
        let text: *const c_char = bare(string, c"UTF8String", ());
        if text.is_null() {
            // nil, or a text that UTF-8 cannot represent.
            let range = NSRange { location: 0, length: bare(string, c"length", ()) };
            let mut units = vec![0u16; range.length];
            bare::<_, ()>(string, c"getCharacters:range:", (units.as_mut_ptr(), range));
            return String::from_utf16_lossy(&units);
        }
        let length: usize = bare(string, c"lengthOfBytesUsingEncoding:", (UTF8,));
        String::from_utf8_lossy(std::slice::from_raw_parts(text.cast(), length)).into_owned()
    }
}

/// Sends a message that returns an `NSString`, and reads it.
///
/// # Safety
///
/// The object's method returns an `NSString` that the object keeps alive, or nil.
pub(super) unsafe fn get(object: Id, selector: &CStr) -> String {
    // SAFETY: passed on to the caller; the string is claimed as every returned object is.
    unsafe {
        let string = link::objc_retainAutoreleasedReturnValue(bare(object, selector, ()));
        read(Object::owned(string).as_raw())
    }
}
