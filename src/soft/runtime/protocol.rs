//! Protocols: names that classes adopt.

use super::class::ClassData;
use super::declare::soft_class;
use super::lock::Lock;
use super::nsobject::NSObject;
use crate::abi::Protocol;
use std::collections::HashMap;
use std::ffi::CStr;

soft_class! {
    /// The class of protocols as objects.
    pub(super) class ProtocolClass: NSObject, kind Immortal, named "Protocol";
}

/// A protocol. It lives for ever.
#[repr(C)]
pub(super) struct ProtocolData {
    isa: &'static ClassData,
    name: &'static CStr,
}

/// The protocols that some class adopts.
#[derive(Default)]
pub(super) struct Protocols(HashMap<&'static CStr, &'static ProtocolData>);

impl ProtocolData {
    pub(super) fn handle(&'static self) -> Protocol {
        Protocol::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }

    /// # Safety
    ///
    /// The handle is nil or came from [`ProtocolData::handle`].
    pub(super) unsafe fn from_handle(protocol: Protocol) -> Option<&'static Self> {
        // SAFETY: the caller's; protocols live for ever.
        unsafe { protocol.as_ptr().cast::<Self>().as_ref() }
    }
}

/// The protocol of a name.
pub(super) fn intern(name: &'static CStr, lock: &mut Lock) -> &'static ProtocolData {
    lock.protocols
        .0
        .entry(name)
        .or_insert_with(|| Box::leak(Box::new(ProtocolData { isa: &ProtocolClass.class, name })))
}

/// The protocol of a name, if a class that source code declares adopts it.
pub(super) fn named(name: &CStr) -> Option<&'static ProtocolData> {
    Lock::take().protocols.0.get(name).copied()
}
