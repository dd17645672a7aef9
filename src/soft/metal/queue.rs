//! MTLCommandQueue: makes command buffers.

use super::command_buffer::CommandBuffer;
use super::descriptors::CommandBufferDescriptor;
use super::foundation::{
    Label, Labelled, NSObject, Object, Retained, Strong, This, device, label, lock, of_device,
    set_label, soft_class,
};
use super::log_state::LogState;
use super::residency_set::{self, ResidencySet};
use crate::abi::Id;
use crate::soft::kernel::Processor;
use crate::soft::stream;
use std::sync::{Arc, Mutex};

/// A queue.
pub(super) struct Queue {
    pub(super) queue: Arc<stream::queue::Queue>,
    /// The residency sets of all its command buffers.
    sets: Mutex<Vec<Strong<ResidencySet>>>,
    /// For the messages of command buffers without a log state of their own.
    log_state: Option<Strong<LogState>>,
}

impl Labelled for Queue {
    fn label(&self) -> &Label {
        &self.queue.label
    }
}

of_device! { Queue, queue => queue.queue.processor; }

soft_class! {
    /// A queue.
    pub(super) class SoftMTLCommandQueue(Queue): NSObject, conforms [MTLCommandQueue];
    [label] = label::<Queue>;
    [setLabel:] = set_label::<Queue>;
    [device] = device::<Queue>;
    [commandBuffer] = |this: This<'_, Queue>| command_buffer(&this, true, 0, None);
    [commandBufferWithUnretainedReferences] =
        |this: This<'_, Queue>| command_buffer(&this, false, 0, None);
    [commandBufferWithDescriptor:] = described;
    [insertDebugCaptureBoundary] = |_: &Queue| ();
    [addResidencySet:] =
        |queue: &Queue, set: Option<&Object<ResidencySet>>| queue.add_sets(set.into_iter());
    [removeResidencySet:] =
        |queue: &Queue, set: Option<&Object<ResidencySet>>| queue.remove_sets(set.into_iter());
    [addResidencySets:count:] =
        |queue: &Queue, sets: *const Id, count: usize| queue.add_sets(residency_set::of(sets, count));
    [removeResidencySets:count:] =
        |queue: &Queue, sets: *const Id, count: usize| queue.remove_sets(residency_set::of(sets, count));
}

fn command_buffer(
    this: &This<'_, Queue>,
    retained: bool,
    error_options: usize,
    log_state: Option<Strong<LogState>>,
) -> Strong<CommandBuffer> {
    let log_state = log_state.or_else(|| this.log_state.clone());
    CommandBuffer::object(this.retain(), retained, error_options, log_state)
}

fn described(
    this: This<'_, Queue>,
    descriptor: Option<&Object<CommandBufferDescriptor>>,
) -> Strong<CommandBuffer> {
    let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
    let log_state = LogState::of(fields.log_state.as_ref());
    command_buffer(&this, fields.retained_references, fields.error_options, log_state)
}

impl Queue {
    pub(super) fn object(
        processor: &'static Processor,
        log_state: Option<Strong<LogState>>,
    ) -> Strong<Self> {
        let queue = stream::queue::Queue::new(Some(processor));
        Strong::new(Self { queue, sets: Mutex::default(), log_state })
    }

    fn add_sets<'a>(&self, sets: impl Iterator<Item = &'a Object<ResidencySet>>) {
        lock(&self.sets).extend(sets.map(Object::retain));
    }

    fn remove_sets<'a>(&self, sets: impl Iterator<Item = &'a Object<ResidencySet>>) {
        let mut own = lock(&self.sets);
        for set in sets {
            own.retain(|other| !std::ptr::eq::<Object<ResidencySet>>(&**other, set));
        }
    }

    /// The members of its residency sets.
    pub(super) fn residents(&self) -> Vec<Retained> {
        lock(&self.sets).iter().flat_map(|set| set.members()).collect()
    }
}
