//! MTLFence: orders encoders that share memory whose hazards the program tracks itself; see `order`.

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
