//! Protocols: names that classes adopt, with the methods and protocols that were added at run time.

use super::class::ClassData;
use super::declare::soft_class;
use super::lock::{Guarded, Lock};
use super::nsobject::NSObject;
use crate::abi::{Protocol, Sel};
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
    links: Guarded<Links>,
}

/// What a protocol consists of. Protocols that source code declares are names only.
#[derive(Default)]
struct Links {
    methods: Vec<Required>,
    adopted: Vec<&'static ProtocolData>,
}

/// A method that a protocol describes.
#[derive(Clone, Copy)]
pub(super) struct Required {
    pub(super) selector: Sel,
    pub(super) types: &'static CStr,
    pub(super) required: bool,
    pub(super) instance: bool,
}

/// The protocols that some class adopts, and those that were registered at run time.
#[derive(Default)]
pub(super) struct Protocols(HashMap<&'static CStr, &'static ProtocolData>);

impl ProtocolData {
    pub(super) fn handle(&'static self) -> Protocol {
        Protocol::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }

    fn made(name: &'static CStr) -> &'static Self {
        let links = Guarded::new(Links::default());
        Box::leak(Box::new(Self { isa: &ProtocolClass.class, name, links }))
    }

    pub(super) fn name(&self) -> &'static CStr {
        self.name
    }

    fn is_registered(&self, lock: &Lock) -> bool {
        lock.protocols.0.get(self.name).is_some_and(|listed| std::ptr::eq(*listed, self))
    }

    /// Adds a method to a protocol that is not registered yet.
    pub(super) fn describe(&'static self, method: Required) {
        let lock = &mut Lock::take();
        if !self.is_registered(lock) {
            self.links.get_mut(lock).methods.push(method);
        }
    }

    /// Adopts another protocol, unless this one is registered already.
    pub(super) fn adopt(&'static self, other: &'static Self) {
        let lock = &mut Lock::take();
        if !self.is_registered(lock) && !other.conforms_to(self, lock) {
            self.links.get_mut(lock).adopted.push(other);
        }
    }

    /// Whether this is `other` or adopts it. No protocol adopts itself, see `adopt`.
    pub(super) fn conforms_to(&'static self, other: &Self, lock: &Lock) -> bool {
        let adopted = || self.links.get(lock).adopted.iter();
        std::ptr::eq(self, other) || adopted().any(|adopted| adopted.conforms_to(other, lock))
    }

    /// The protocols that this one adopts itself.
    pub(super) fn adopted(&'static self) -> Vec<&'static Self> {
        self.links.get(&Lock::take()).adopted.clone()
    }

    /// The methods of one kind that the protocol itself describes.
    pub(super) fn methods(&'static self, required: bool, instance: bool) -> Vec<Required> {
        let lock = Lock::take();
        let methods = self.links.get(&lock).methods.iter();
        methods
            .filter(|method| (method.required, method.instance) == (required, instance))
            .copied()
            .collect()
    }

    /// The description of a method, in this protocol or one that it adopts.
    pub(super) fn method(
        &'static self,
        selector: Sel,
        required: bool,
        instance: bool,
    ) -> Option<Required> {
        let of = |protocol: &'static Self| {
            protocol
                .methods(required, instance)
                .into_iter()
                .find(|method| method.selector == selector)
        };
        of(self).or_else(|| {
            self.adopted()
                .into_iter()
                .find_map(|adopted| adopted.method(selector, required, instance))
        })
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
    lock.protocols.0.entry(name).or_insert_with(|| ProtocolData::made(name))
}

/// Makes a protocol that is not registered yet; none if the name is taken.
pub(super) fn allocate(name: &CStr) -> Option<&'static ProtocolData> {
    named(name).is_none().then(|| ProtocolData::made(Box::leak(name.into())))
}

/// Registers a protocol under its name.
pub(super) fn register(protocol: &'static ProtocolData) {
    Lock::take().protocols.0.entry(protocol.name).or_insert(protocol);
}

/// The registered protocols, in the order of their names.
pub(super) fn all() -> Vec<&'static ProtocolData> {
    let mut all: Vec<_> = Lock::take().protocols.0.values().copied().collect();
    all.sort_by_key(|protocol| protocol.name);
    all
}

/// The protocol of a name, if a class that source code declares adopts it or if it was registered.
pub(super) fn named(name: &CStr) -> Option<&'static ProtocolData> {
    Lock::take().protocols.0.get(name).copied()
}
