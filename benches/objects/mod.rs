//! The objects of a benchmark as types of the crate `objc2-metal`: both crates are measured on the same objects.

use aruminium::objc::ObjcClass;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;

/// Converts a wrapped object of this crate, which conforms to the protocol.
pub(crate) fn theirs<P: ?Sized>(object: &impl ObjcClass) -> Retained<ProtocolObject<P>> {
    // SAFETY: a wrapped object is alive, and Metal's objects conform to the protocols of their wrappers.
    unsafe { Retained::retain(object.as_raw().as_ptr().cast()) }
        .expect("a wrapped object is not nil")
}
