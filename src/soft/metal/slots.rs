//! Arrays of descriptors, such as the attachments of a pass: every index has a descriptor, made when it is first
//! looked at.

use super::foundation::{Object, SoftClass, Strong, lock};
use crate::soft::sorted::SortedMap;
use std::sync::Mutex;

/// An array of descriptors by index.
pub(super) struct Slots<P>(Mutex<SortedMap<usize, Strong<P>>>);

impl<P> Default for Slots<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P: SoftClass + Default> Slots<P> {
    /// The descriptor of an index.
    pub(super) fn at(&self, index: usize) -> Strong<P> {
        lock(&self.0).get_or_insert_with(index, || Strong::new(P::default())).clone()
    }

    /// Sets the descriptor of an index; nil makes it a new one.
    pub(super) fn set(&self, object: Option<&Object<P>>, index: usize) {
        // The old descriptor is dropped after the lock is released.
        let _old = match object {
            Some(object) => lock(&self.0).insert(index, object.retain()),
            None => lock(&self.0).remove(&index),
        };
    }

    /// The descriptors that were looked at or set, in the order of their indices.
    pub(super) fn used(&self) -> Vec<Strong<P>> {
        lock(&self.0).values().cloned().collect()
    }
}

/// Declares a class of properties and the class of arrays of it.
macro_rules! slots {
    ($(#[$doc:meta])* class $array:ident of $payload:ident) => {
        $crate::soft::metal::foundation::soft_class! {
            $(#[$doc])*
            pub(super) class $array($crate::soft::metal::slots::Slots<$payload>): NSObject;
            init [init] = $crate::soft::metal::slots::Slots::<$payload>::default;
            [objectAtIndexedSubscript:] = $crate::soft::metal::slots::Slots::<$payload>::at;
            [setObject:atIndexedSubscript:] = $crate::soft::metal::slots::Slots::<$payload>::set;
        }
    };
}
pub(super) use slots;
