//! The objects of a benchmark as the crate `objc2-metal` sees them: both sides measure the same ones.

use aruminium::objc::ObjcClass;
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;

/// A wrapped object of ours, which conforms to the protocol, as one of theirs.
pub(crate) fn theirs<P: ?Sized>(object: &impl ObjcClass) -> Retained<ProtocolObject<P>> {
    // SAFETY: a wrapped object is alive, and Metal's objects conform to the protocols of their wrappers.
    unsafe { Retained::retain(object.as_raw().as_ptr().cast()) }
        .expect("a wrapped object is not nil")
}
