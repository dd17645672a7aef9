//! NSMutableData: bytes that change.
//!
//! As on Apple's systems, data must not change while another thread uses it.

use super::data::{Bytes, NSData, part};
use super::string::slice;
use crate::abi::{Class, Id, NSRange};
use crate::soft::runtime::declare::{This, Zone, soft_class};
use crate::soft::runtime::fatal::fatal;
use crate::soft::runtime::object::{Object, Retained, Strong};
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::send;
use std::ffi::c_void;

soft_class! {
    /// Mutable bytes.
    pub(super) class NSMutableData: NSData, lacks super::absent::MUTABLE_DATA;
    class [dataWithCapacity:] = |class: Class, _: usize| new(class);
    // SAFETY: an object that has been allocated responds to `init`, which takes it over.
    [initWithCapacity:] = |this: Id, _: usize| unsafe { send::<Id>(this, known::init()) };
    class [dataWithLength:] = |class: Class, length: usize| {
        let data = new(class);
        if let Some(data) = &data {
            resize(data.id(), length);
        }
        data
    };
    [initWithLength:] = |this: Id, length: usize| {
        // SAFETY: as above.
        let this = unsafe { send::<Id>(this, known::init()) };
        resize(this, length);
        this
    };
    [copy] = snapshot;
    [copyWithZone:] = |data: &Bytes, _: Zone| snapshot(data);

    [mutableBytes] = |this: This<'_, Bytes>| {
        change(&this, |bytes| bytes.as_mut_ptr().cast::<c_void>()).unwrap_or_default()
    };
    [setLength:] = |this: This<'_, Bytes>, length: usize| resize(this.id(), length);
    [increaseLengthBy:] = |this: This<'_, Bytes>, more: usize| {
        let length = this.as_slice().len().saturating_add(more);
        resize(this.id(), length);
    };
    [appendBytes:length:] = |this: This<'_, Bytes>, bytes: *const c_void, length: usize| {
        let end = NSRange { location: this.as_slice().len(), length: 0 };
        replace(this, end, bytes, length);
    };
    [appendData:] = |this: This<'_, Bytes>, data: &Object<Bytes>| {
        let more = data.as_slice().to_vec();
        change(&this, |bytes| bytes.extend(more));
    };
    [setData:] = |this: This<'_, Bytes>, data: &Object<Bytes>| {
        let new = data.as_slice().to_vec();
        change(&this, |bytes| *bytes = new);
    };
    [replaceBytesInRange:withBytes:] = |this: This<'_, Bytes>, range: NSRange, bytes: *const c_void| {
        replace(this, range, bytes, range.length);
    };
    [replaceBytesInRange:withBytes:length:] = replace;
    [resetBytesInRange:] = |this: This<'_, Bytes>, range: NSRange| {
        let zeros = vec![0u8; possible(range.length)];
        replace(this, range, zeros.as_ptr().cast(), range.length);
    };
}

/// A new object of a class.
fn new(class: Class) -> Option<Retained> {
    // SAFETY: a class responds to `alloc`, and what that makes to `init`; the result is owned here.
    unsafe { Retained::from_owned(send(send(class.as_id(), known::alloc()), known::init())) }
}

fn snapshot(data: &Bytes) -> Strong<Bytes> {
    Bytes::object(data.as_slice())
}

fn change<R>(this: &Object<Bytes>, change: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
    // SAFETY: the methods above hold no reference to the bytes, and other threads do not use them.
    unsafe { this.change(|bytes| change(bytes.owned())) }
}

/// Removes bytes at the end, or adds zeros.
fn resize(data: Id, length: usize) {
    // SAFETY: an object of this class, or nil.
    if let Some(data) = unsafe { Object::<Bytes>::from_id(data) } {
        change(data, |bytes| bytes.resize(possible(length), 0));
    }
}

/// A length that memory may have.
fn possible(length: usize) -> usize {
    match isize::try_from(length) {
        Ok(_) => length,
        Err(_) => fatal(format_args!("NSMutableData: {length} bytes are more than there can be")),
    }
}

/// Replaces the bytes of a range, up to the end, by others, which may be some of these.
fn replace(this: This<'_, Bytes>, range: NSRange, bytes: *const c_void, length: usize) {
    let NSRange { location, length: old } = range;
    let inside = old.min(this.as_slice().len().saturating_sub(location));
    _ = part(&this, NSRange { location, length: inside });
    // SAFETY: the caller passed that many bytes.
    let new = unsafe { slice(bytes.cast::<u8>(), length) }.unwrap_or_default().to_vec();
    change(&this, |bytes| _ = bytes.splice(location..location + inside, new));
}
