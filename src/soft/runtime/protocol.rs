//! Protocols: what a class promises. Source code declares them, or programs make them at run time.
//!
//! A declared protocol is known by the classes that adopt it. `soft_protocol!` adds what it adopts itself and the methods
//! that it requires. One without methods there describes those of the classes that adopt it, as optional ones: which of
//! them a header requires is not known here.

use super::class::{self, ClassData};
use super::declare::{Types, encoded, soft_class};
use super::lock::{Guarded, Lock};
use super::nsobject::NSObject;
#[cfg(feature = "export")]
use super::property::{Described, Property};
use super::selector;
use crate::abi::{Bool, Class, Id, Protocol, Sel};
use crate::soft::sorted;
use crate::soft::system::entries;
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::OnceLock;

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
    /// The methods of a declared protocol.
    declared: OnceLock<Vec<Required>>,
}

/// The declaration of a protocol by `soft_protocol!`.
pub(crate) struct Description {
    pub(crate) name: &'static CStr,
    pub(crate) adopts: &'static [&'static CStr],
    pub(crate) methods: &'static [MethodRow],
}

/// A method that a protocol requires.
pub(crate) struct MethodRow {
    pub(crate) of_class: bool,
    pub(crate) selector: &'static CStr,
    pub(crate) types: Types,
}

/// Declares what a protocol adopts and requires.
macro_rules! soft_protocol {
    ($(protocol $name:ident: [$($above:ident),*] {
        $($($place:ident)? [$($selector:tt)+] ($($argument:ty),*) -> $result:ty;)*
    })+) => {$(
        const _: () = {
            use $crate::soft::runtime::declare::c_name;
            use $crate::soft::runtime::protocol::Description;
            $crate::soft::system::entry!(protocols: Description = &Description {
                name: c_name(concat!(stringify!($name), "\0")),
                adopts: &[$(c_name(concat!(stringify!($above), "\0"))),*],
                methods: &[$($crate::soft::runtime::protocol::MethodRow {
                    of_class: stringify!($($place)?).len() > 0,
                    selector: c_name(concat!($(stringify!($selector),)+ "\0")),
                    types: $crate::soft::runtime::declare::types!($result $(, $argument)*),
                }),*],
            });
        };
    )+};
}
pub(crate) use soft_protocol;

soft_protocol! {
    protocol NSObject: [] {
        [isEqual:] (Id) -> Bool;
        [hash] () -> usize;
        [superclass] () -> Class;
        [class] () -> Class;
        [self] () -> Id;
        [performSelector:] (Sel) -> Id;
        [performSelector:withObject:] (Sel, Id) -> Id;
        [performSelector:withObject:withObject:] (Sel, Id, Id) -> Id;
        [isProxy] () -> Bool;
        [isKindOfClass:] (Class) -> Bool;
        [isMemberOfClass:] (Class) -> Bool;
        [conformsToProtocol:] (Protocol) -> Bool;
        [respondsToSelector:] (Sel) -> Bool;
        [retain] () -> Id;
        [release] () -> ();
        [autorelease] () -> Id;
        [retainCount] () -> usize;
        [description] () -> Id;
    }
}

/// The descriptions of the program: each puts its address into a linker section, as classes do.
fn descriptions() -> impl Iterator<Item = &'static Description> {
    entries!(protocols: Description)
}

/// Registers the protocols that are described, and what they adopt.
pub(super) fn list_described(lock: &mut Lock) {
    for description in descriptions() {
        let protocol = intern(description.name, lock);
        for name in description.adopts {
            let above = intern(name, lock);
            protocol.links.get_mut(lock).adopted.push(above);
        }
    }
}

/// The methods of a declared protocol.
fn declared_methods(name: &CStr) -> Vec<Required> {
    let described = descriptions().find(|description| description.name == name);
    let rows = described.map_or(&[][..], |description| description.methods);
    let required = |row: &MethodRow| Required {
        selector: selector::intern(row.selector, &mut Lock::take()),
        types: Box::leak(encoded(row.types).into()),
        required: true,
        instance: !row.of_class,
    };
    if !rows.is_empty() {
        return rows.iter().map(required).collect();
    }
    let mut all: Vec<Required> = Vec::new();
    for pair in class::adopting(name) {
        for (class, instance) in [(&pair.class, true), (&pair.meta, false)] {
            for method in class.own_methods() {
                let (selector, types) = (method.selector, method.types());
                if !all.iter().any(|other| (other.selector, other.instance) == (selector, instance))
                {
                    all.push(Required { selector, types, required: false, instance });
                }
            }
        }
    }
    all
}

/// Methods and properties that were added to a protocol at run time, and the protocols that it adopts.
#[derive(Default)]
struct Links {
    methods: Vec<Required>,
    #[cfg(feature = "export")]
    properties: Vec<Described>,
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
        let declared = OnceLock::new();
        Box::leak(Box::new(Self { isa: &ProtocolClass.class, name, links, declared }))
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

    /// Adds a property to a protocol that is not registered yet.
    #[cfg(feature = "export")]
    pub(super) fn add_property(&'static self, property: Described) {
        let lock = &mut Lock::take();
        if !self.is_registered(lock) {
            self.links.get_mut(lock).properties.push(property);
        }
    }

    /// The properties of one kind that the protocol itself describes.
    #[cfg(feature = "export")]
    pub(super) fn properties(
        &'static self,
        required: bool,
        instance: bool,
    ) -> Vec<&'static Property> {
        let lock = Lock::take();
        let all = self.links.get(&lock).properties.iter();
        let of_kind = all.filter(|own| (own.required, own.instance) == (required, instance));
        of_kind.map(|own| own.property).collect()
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
        let declared = self.declared.get_or_init(|| declared_methods(self.name)).iter();
        let lock = Lock::take();
        let methods = declared.chain(&self.links.get(&lock).methods);
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
    sorted::sort_by_key(&mut all, |protocol| protocol.name);
    all
}

/// The protocol of a name, if a class that source code declares adopts it or if it was registered.
pub(super) fn named(name: &CStr) -> Option<&'static ProtocolData> {
    Lock::take().protocols.0.get(name).copied()
}
