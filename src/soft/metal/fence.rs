//! MTLFence: orders encoders that share memory whose hazards the program tracks itself; see `stream::order`.

use super::foundation::{
    Label, NSObject, Strong, device, label, labelled, of_device, set_label, soft_class,
};
use crate::soft::kernel::Processor;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A fence.
pub(super) struct Fence {
    /// Identifies it in recordings.
    pub(super) number: u64,
    processor: &'static Processor,
    label: Label,
}

impl Fence {
    pub(super) fn object(processor: &'static Processor) -> Strong<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        Strong::new(Self { number, processor, label: Label::default() })
    }
}

labelled!(Fence);
of_device! { Fence, fence => fence.processor; }

soft_class! {
    /// A fence.
    pub(super) class SoftMTLFence(Fence): NSObject, conforms [MTLFence];
    [label] = label::<Fence>;
    [setLabel:] = set_label::<Fence>;
    [device] = device::<Fence>;
}
