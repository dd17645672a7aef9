//! C functions that make Foundation's objects.

use super::data;
use crate::abi::Id;
use std::ffi::c_void;

/// Wraps bytes in an object, as libdispatch does. Only a nil destructor is supported: the bytes are
/// copied. The object is an `NSData`.
///
/// # Safety
///
/// There are `length` bytes.
pub unsafe extern "C" fn dispatch_data_create(
    bytes: *const c_void,
    length: usize,
    _queue: Id,
    _destructor: *const c_void,
) -> Id {
    // SAFETY: the caller passes that many bytes.
    unsafe { data::copy_of(bytes, length) }
}
