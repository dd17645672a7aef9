//! MTLBlitCommandEncoder: its messages, and samples of counters.

use super::absent::BLIT_ENCODER;
use super::buffer::Buffer;
use super::copies::{Copies, Passed, inside, memory, required};
use super::counters::{CounterSampleBuffer, Samples, sample_counters};
use super::encoder::{Encoder, HasEncoder, Why, encoder_class};
use super::foundation::{NSObject, Strong};
use super::indirect::IndirectCommandBuffer;
use crate::abi::{Id, NSRange};
use crate::soft::stream::recording::{Command, Recording};
use crate::soft::stream::submission::Submission;
use std::sync::Arc;

/// A blit encoder, and the samples of counters that it takes at its end.
pub(super) struct BlitEncoder(Encoder, Samples);

encoder_class! {
    /// A blit encoder.
    class SoftMTLBlitCommandEncoder(BlitEncoder): MTLBlitCommandEncoder, lacks BLIT_ENCODER;
    [copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:] = BlitEncoder::copy_buffer;
    [resetCommandsInBuffer:withRange:] = BlitEncoder::reset_commands;
    [copyIndirectCommandBuffer:sourceRange:destination:destinationIndex:] = BlitEncoder::copy_commands;
    [optimizeIndirectCommandBuffer:withRange:] =
        |_: &BlitEncoder, _: Passed<'_, IndirectCommandBuffer>, _: NSRange| ();
    [fillBuffer:range:value:] = BlitEncoder::fill;
    [copyFromBuffer:sourceOffset:sourceBytesPerRow:sourceBytesPerImage:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:] =
        BlitEncoder::copy_to_texture;
    [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:] =
        BlitEncoder::copy_from_texture;
    [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:] =
        BlitEncoder::copy_region;
    [copyFromBuffer:sourceOffset:sourceBytesPerRow:sourceBytesPerImage:sourceSize:toTexture:destinationSlice:destinationLevel:destinationOrigin:options:] =
        BlitEncoder::copy_to_texture_with;
    [copyFromTexture:sourceSlice:sourceLevel:sourceOrigin:sourceSize:toBuffer:destinationOffset:destinationBytesPerRow:destinationBytesPerImage:options:] =
        BlitEncoder::copy_from_texture_with;
    [copyFromTensor:sourceOrigin:sourceDimensions:toTensor:destinationOrigin:destinationDimensions:] =
        BlitEncoder::copy_tensor;
    [copyFromTexture:toTexture:] = BlitEncoder::copy_texture;
    [copyFromTexture:sourceSlice:sourceLevel:toTexture:destinationSlice:destinationLevel:sliceCount:levelCount:] =
        BlitEncoder::copy_slices;
    [generateMipmapsForTexture:] = BlitEncoder::generate_mipmaps;
    [sampleCountersInBuffer:atSampleIndex:withBarrier:] = sample_counters::<BlitEncoder>;
    [resolveCounters:inRange:destinationBuffer:destinationOffset:] = BlitEncoder::resolve_counters;
    [synchronizeResource:] = |_: &BlitEncoder, _: Id| ();
    [synchronizeTexture:slice:level:] = |_: &BlitEncoder, _: Id, _: usize, _: usize| ();
    [optimizeContentsForGPUAccess:] = |_: &BlitEncoder, _: Id| ();
    [optimizeContentsForGPUAccess:slice:level:] = |_: &BlitEncoder, _: Id, _: usize, _: usize| ();
    [optimizeContentsForCPUAccess:] = |_: &BlitEncoder, _: Id| ();
    [optimizeContentsForCPUAccess:slice:level:] = |_: &BlitEncoder, _: Id, _: usize, _: usize| ();
}

impl HasEncoder for BlitEncoder {
    fn encoder(&self) -> &Encoder {
        &self.0
    }

    fn close(&self, recording: &mut Recording) -> Result<(), Why> {
        self.1.record(recording)
    }
}

impl BlitEncoder {
    pub(super) fn open(
        commands: &Arc<Submission>,
        (first, samples): (Samples, Samples),
    ) -> Option<Strong<Self>> {
        let encoder = Encoder::open(commands, "blitCommandEncoder", "MTLBlitCommandEncoder")?;
        encoder.record("blitCommandEncoder", |recording| first.record(recording));
        Some(Strong::new(Self(encoder, samples)))
    }

    fn resolve_counters(
        &self,
        samples: Passed<'_, CounterSampleBuffer>,
        range: NSRange,
        to: Passed<'_, Buffer>,
        to_offset: usize,
    ) {
        let selector = "resolveCounters:inRange:destinationBuffer:destinationOffset:";
        self.0.record(selector, |recording| {
            let (samples, to) =
                (required(samples, "counter sample buffer")?, required(to, "destination")?);
            let (from_offset, length) = samples.bytes(range).ok_or_else(|| {
                let NSRange { location, length } = range;
                format!("range {{{location}, {length}}} is not inside the counter sample buffer")
            })?;
            inside(to, to_offset, length, "destination")?;
            let from = recording.memory(&samples.memory, || false);
            let to = memory(recording, to);
            let copy = Command::CopyBuffer { from, from_offset, to, to_offset, length };
            recording.commands.push(copy);
            Ok(())
        });
    }
}
