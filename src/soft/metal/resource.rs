//! The common part of buffers and textures: `MTLResource` and its options.

use super::foundation::{Label, Retained, SoftClass};
use crate::soft::kernel::Processor;
use crate::soft::stream::heap::Region;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// `MTLResourceOptions`: cache mode, storage mode and hazard tracking, four bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options(pub(super) usize);

/// `setOwnerWithIdentity:`: the task that is charged for the memory is not recorded here, so every task is accepted.
pub(super) const KERN_SUCCESS: i32 = 0;

/// Storage modes, of `MTLStorageMode`.
pub(super) const PRIVATE: usize = 2;
pub(super) const MEMORYLESS: usize = 3;
/// Hazard tracking modes, of `MTLHazardTrackingMode`.
pub(super) const UNTRACKED: usize = 1;
pub(super) const TRACKED: usize = 2;

impl Options {
    pub(super) fn new(cache: usize, storage: usize, hazard: usize) -> Self {
        Self(cache & 15 | (storage & 15) << 4 | (hazard & 3) << 8)
    }

    pub(super) fn cpu_cache_mode(self) -> usize {
        self.0 & 15
    }

    pub(super) fn storage_mode(self) -> usize {
        self.0 >> 4 & 15
    }

    pub(super) fn hazard_tracking_mode(self) -> usize {
        self.0 >> 8 & 3
    }

    /// Whether the CPU has no access to the contents.
    pub(super) fn is_private(self) -> bool {
        matches!(self.storage_mode(), PRIVATE | MEMORYLESS)
    }

    /// Whether all bits are options that exist.
    pub(super) fn are_known(self) -> bool {
        self.cpu_cache_mode() <= 1
            && self.storage_mode() <= MEMORYLESS
            && self.hazard_tracking_mode() <= 2
            && self.0 >> 10 == 0
    }
}

/// The fields that all resources have.
pub(super) struct Resource {
    pub(super) options: Options,
    /// The part of a heap that the resource takes, if it is in one.
    pub(super) heap: Option<HeapRegion>,
    purgeable: Purgeable,
}

/// A part of a heap.
pub(super) struct HeapRegion {
    pub(super) heap: Retained,
    /// Whether Metal tracks the hazards of the heap.
    pub(super) is_tracked: bool,
    pub(super) region: Arc<Region>,
}

/// Whether contents may be discarded: `MTLPurgeableState`. Here they never are.
pub(super) struct Purgeable(AtomicUsize);

const NON_VOLATILE: usize = 2;
const EMPTY: usize = 4;

impl Default for Purgeable {
    fn default() -> Self {
        Self(AtomicUsize::new(NON_VOLATILE))
    }
}

impl Purgeable {
    /// Sets the state, unless it is only queried; returns the previous one.
    pub(super) fn set(&self, state: usize) -> usize {
        match state {
            NON_VOLATILE..=EMPTY => self.0.swap(state, Relaxed),
            _ => self.0.load(Relaxed),
        }
    }
}

impl Resource {
    pub(super) fn new(options: Options, heap: Option<HeapRegion>) -> Self {
        Self { options, heap, purgeable: Purgeable::default() }
    }
}

/// A resource's payload.
pub(super) trait HasResource: SoftClass {
    fn resource(&self) -> &Resource;
    fn label(&self) -> &Label;
    /// The device that made it.
    fn processor(&self) -> Option<&'static Processor>;
    /// How many bytes it takes.
    fn allocated_size(&self) -> usize;
}

pub(super) fn cpu_cache_mode<P: HasResource>(this: &P) -> usize {
    this.resource().options.cpu_cache_mode()
}

pub(super) fn storage_mode<P: HasResource>(this: &P) -> usize {
    this.resource().options.storage_mode()
}

/// The default is tracked; in heaps it is the heap's mode, which is untracked unless set otherwise.
pub(super) fn hazard_tracking_mode<P: HasResource>(this: &P) -> usize {
    match (this.resource().options.hazard_tracking_mode(), &this.resource().heap) {
        (0, None) => TRACKED,
        (0, Some(heap)) if heap.is_tracked => TRACKED,
        (0, Some(_)) => UNTRACKED,
        (mode, _) => mode,
    }
}

pub(super) fn resource_options<P: HasResource>(this: &P) -> usize {
    let options = this.resource().options;
    let hazard = hazard_tracking_mode(this);
    Options::new(options.cpu_cache_mode(), options.storage_mode(), hazard).0
}

pub(super) fn allocated_size<P: HasResource>(this: &P) -> usize {
    this.allocated_size()
}

/// Whether the program tracks the hazards itself.
pub(super) fn is_untracked<P: HasResource>(this: &P) -> bool {
    hazard_tracking_mode(this) == UNTRACKED
}

pub(super) fn heap<P: HasResource>(this: &P) -> Option<Retained> {
    this.resource().heap.as_ref().map(|heap| heap.heap.clone())
}

pub(super) fn heap_offset<P: HasResource>(this: &P) -> usize {
    this.resource().heap.as_ref().map_or(0, |heap| heap.region.offset())
}

pub(super) fn make_aliasable<P: HasResource>(this: &P) {
    if let Some(heap) = &this.resource().heap {
        heap.region.make_aliasable();
    }
}

pub(super) fn is_aliasable<P: HasResource>(this: &P) -> bool {
    this.resource().heap.as_ref().is_some_and(|heap| heap.region.is_aliasable())
}

/// Returns the previous state. Nothing is ever purged: every state but `Empty` allows that, and contents in state `Empty`
/// are undefined, so they may be unchanged.
pub(super) fn set_purgeable_state<P: HasResource>(this: &P, state: usize) -> usize {
    this.resource().purgeable.set(state)
}

/// Declares a class of resources: the rows that all of them have, and its own.
macro_rules! resource_class {
    (
        $(#[$doc:meta])*
        class $name:ident($payload:ty): $protocol:ident $(, lacks $lacks:path)?;
        $($rows:tt)*
    ) => {
        impl $crate::soft::metal::foundation::Labelled for $payload {
            fn label(&self) -> &$crate::soft::metal::foundation::Label {
                $crate::soft::metal::resource::HasResource::label(self)
            }
        }

        $crate::soft::metal::foundation::of_device! {
            $payload, this => $crate::soft::metal::resource::HasResource::processor(this);
        }

        $crate::soft::metal::foundation::soft_class! {
            $(#[$doc])*
            pub(super) class $name($payload): NSObject, conforms [$protocol] $(, lacks $lacks)?;
            [label] = $crate::soft::metal::foundation::label::<$payload>;
            [setLabel:] = $crate::soft::metal::foundation::set_label::<$payload>;
            [device] = $crate::soft::metal::foundation::device::<$payload>;
            [cpuCacheMode] = $crate::soft::metal::resource::cpu_cache_mode::<$payload>;
            [storageMode] = $crate::soft::metal::resource::storage_mode::<$payload>;
            [hazardTrackingMode] = $crate::soft::metal::resource::hazard_tracking_mode::<$payload>;
            [resourceOptions] = $crate::soft::metal::resource::resource_options::<$payload>;
            [allocatedSize] = $crate::soft::metal::resource::allocated_size::<$payload>;
            [heap] = $crate::soft::metal::resource::heap::<$payload>;
            [heapOffset] = $crate::soft::metal::resource::heap_offset::<$payload>;
            [makeAliasable] = $crate::soft::metal::resource::make_aliasable::<$payload>;
            [isAliasable] = $crate::soft::metal::resource::is_aliasable::<$payload>;
            [setOwnerWithIdentity:] = |_: &$payload, _: u32| $crate::soft::metal::resource::KERN_SUCCESS;
            [setPurgeableState:] = $crate::soft::metal::resource::set_purgeable_state::<$payload>;
            $($rows)*
        }
    };
}
pub(super) use resource_class;
