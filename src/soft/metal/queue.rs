//! MTLCommandQueue: makes command buffers.

use super::command_buffer::CommandBuffer;
use super::descriptors::CommandBufferDescriptor;
use super::foundation::{
    Label, Labelled, NSObject, Object, Strong, This, device, label, set_label, soft_class,
};
use super::residency_set::ResidencySet;
use crate::abi::Id;
use crate::soft::stream;
use std::sync::Arc;

/// A queue.
pub(super) struct Queue {
    pub(super) queue: Arc<stream::queue::Queue>,
}

impl Labelled for Queue {
    fn label(&self) -> &Label {
        &self.queue.label
    }
}

soft_class! {
    /// A queue.
    pub(super) class SoftMTLCommandQueue(Queue): NSObject, conforms [MTLCommandQueue];
    [label] = label::<Queue>;
    [setLabel:] = set_label::<Queue>;
    [device] = device::<Queue>;
    [commandBuffer] = |this: This<'_, Queue>| command_buffer(&this, true, 0);
    [commandBufferWithUnretainedReferences] =
        |this: This<'_, Queue>| command_buffer(&this, false, 0);
    [commandBufferWithDescriptor:] = described;
    [insertDebugCaptureBoundary] = |_: &Queue| ();
    [addResidencySet:] = |_: &Queue, _: Option<&Object<ResidencySet>>| ();
    [removeResidencySet:] = |_: &Queue, _: Option<&Object<ResidencySet>>| ();
    [addResidencySets:count:] = |_: &Queue, _: *const Id, _: usize| ();
    [removeResidencySets:count:] = |_: &Queue, _: *const Id, _: usize| ();
}

fn command_buffer(
    this: &This<'_, Queue>,
    retained: bool,
    error_options: usize,
) -> Strong<CommandBuffer> {
    CommandBuffer::object(this.retain().into_retained(), &this.queue, retained, error_options)
}

fn described(
    this: This<'_, Queue>,
    descriptor: Option<&Object<CommandBufferDescriptor>>,
) -> Strong<CommandBuffer> {
    let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
    command_buffer(&this, fields.retained_references, fields.error_options)
}

impl Queue {
    pub(super) fn object() -> Strong<Self> {
        Strong::new(Self { queue: stream::queue::Queue::new() })
    }
}
