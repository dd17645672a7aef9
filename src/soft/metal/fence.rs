//! MTLFence: orders encoders that share memory whose hazards the program tracks itself; see `stream::order`.

use super::foundation::{Label, NSObject, Strong, device, label, labelled, set_label, soft_class};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A fence.
pub(super) struct Fence {
    /// Identifies it in recordings.
    pub(super) number: u64,
    label: Label,
}

impl Fence {
    pub(super) fn object() -> Strong<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Strong::new(Self { number: NEXT.fetch_add(1, Relaxed), label: Label::default() })
    }
}

labelled!(Fence);

soft_class! {
    /// A fence.
    pub(super) class SoftMTLFence(Fence): NSObject, conforms [MTLFence];
    [label] = label::<Fence>;
    [setLabel:] = set_label::<Fence>;
    [device] = device::<Fence>;
}
