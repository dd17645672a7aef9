//! MTLFence: orders the encoders of a queue. They run in order here, so it has nothing to do.

use super::device::{self, Device};
use super::foundation::{Label, NSObject, Strong, label, labelled, set_label, soft_class};

/// A fence.
#[derive(Default)]
pub(super) struct Fence {
    label: Label,
}

labelled!(Fence);

soft_class! {
    /// A fence.
    pub(super) class SoftMTLFence(Fence): NSObject, conforms [MTLFence];
    [label] = label::<Fence>;
    [setLabel:] = set_label::<Fence>;
    [device] = |_: &Fence| -> Strong<Device> { device::shared() };
}
