//! NSEnumerator: the objects of a collection, one after the other.

use super::enumeration::{StatePtr, enumerate};
use super::{List, NSObject};
use crate::abi::Id;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::object::{Retained, Strong};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The objects, and how many of them have been returned.
pub(crate) struct Sequence {
    objects: Box<[Retained]>,
    next: AtomicUsize,
}

soft_class! {
    /// A sequence of objects.
    pub(crate) class NSEnumerator(Sequence): NSObject, conforms [NSFastEnumeration];
    [nextObject] = |all: &Sequence| all.take(1).first().cloned();
    [allObjects] = |all: &Sequence| List::object(all.take(usize::MAX).iter().cloned());
    [countByEnumeratingWithState:objects:count:] =
        |all: &Sequence, state: StatePtr, _: *mut Id, _: usize| {
            enumerate(all.take(usize::MAX), std::ptr::null(), state)
        };
}

impl Sequence {
    /// An NSEnumerator of these objects.
    pub(super) fn object(objects: impl IntoIterator<Item = Retained>) -> Strong<Self> {
        Strong::new(Self { objects: objects.into_iter().collect(), next: AtomicUsize::new(0) })
    }

    /// The next objects, at most `most` of them; they count as returned.
    fn take(&self, most: usize) -> &[Retained] {
        let end = |next: usize| Some(next.saturating_add(most).min(self.objects.len()));
        let next = self.next.fetch_update(Relaxed, Relaxed, end).unwrap_or(self.objects.len());
        let end = next.saturating_add(most).min(self.objects.len());
        &self.objects[next..end]
    }
}
