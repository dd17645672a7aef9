//! MTLRenderCommandEncoder: a pass that is encoded as on Apple's systems, and is then an error of its command buffer.
//!
//! Programs that make one for other reasons than its pictures run up to there: the messages that set its state do
//! nothing.

use super::absent::RENDER_ENCODER;
use super::encoder::{
    Encoder, HasEncoder, Why, barrier_between_stages, end_encoding, insert_signpost,
    pop_debug_group, push_debug_group,
};
use super::foundation::{
    Label, Labelled, NSObject, Object, Strong, device, label, of_device, set_label, soft_class,
};
use super::render::RenderPassDescriptor;
use crate::soft::stream::recording::Recording;
use crate::soft::stream::submission::Submission;
use std::sync::Arc;

/// A render encoder.
pub(super) struct RenderEncoder(Encoder);

impl Labelled for RenderEncoder {
    fn label(&self) -> &Label {
        &self.0.label
    }
}

of_device! { RenderEncoder, encoder => encoder.0.processor; }

soft_class! {
    /// A render encoder.
    pub(super) class SoftMTLRenderCommandEncoder(RenderEncoder): NSObject,
        conforms [MTLRenderCommandEncoder], lacks RENDER_ENCODER;
    [label] = label::<RenderEncoder>;
    [setLabel:] = set_label::<RenderEncoder>;
    [device] = device::<RenderEncoder>;
    [endEncoding] = end_encoding::<RenderEncoder>;
    [insertDebugSignpost:] = insert_signpost::<RenderEncoder>;
    [pushDebugGroup:] = push_debug_group::<RenderEncoder>;
    [popDebugGroup] = pop_debug_group::<RenderEncoder>;
    [barrierAfterQueueStages:beforeStages:] = barrier_between_stages::<RenderEncoder>;
}

impl HasEncoder for RenderEncoder {
    fn encoder(&self) -> &Encoder {
        &self.0
    }

    fn close(&self, _: &mut Recording) -> Result<(), Why> {
        Err("soft Metal does not render: use a compute pass".into())
    }
}

impl RenderEncoder {
    /// An encoder for a pass; none, and an error of the command buffer, if there cannot be one.
    pub(super) fn open(
        commands: &Arc<Submission>,
        descriptor: Option<&Object<RenderPassDescriptor>>,
    ) -> Option<Strong<Self>> {
        descriptor?;
        let selector = "renderCommandEncoderWithDescriptor:";
        Encoder::open(commands, selector, "MTLRenderCommandEncoder")
            .map(|encoder| Strong::new(Self(encoder)))
    }
}
