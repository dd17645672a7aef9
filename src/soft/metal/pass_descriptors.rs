//! Descriptors of encoders, with the attachments for samples of counters.

use super::counters::{BlitSamples, ComputeSamples};
use super::foundation::{NSObject, Strong, lock, soft_class};
use super::properties::properties;
use super::slots::Slots;
use crate::abi::Class;
use std::sync::Mutex;

properties! {
    /// Properties of a new compute encoder.
    class MTLComputePassDescriptor(ComputePassDescriptor, ComputePassFields);
    [dispatchType, setDispatchType:] dispatch_type: usize = 0;
    read {
        [sampleBufferAttachments] samples: Strong<ComputeSamples> = Strong::new(Slots::default());
    }
    rows {
        class [computePassDescriptor] = |_: Class| Strong::new(ComputePassDescriptor::default());
    }
}

properties! {
    /// Properties of a new blit encoder.
    class MTLBlitPassDescriptor(BlitPassDescriptor, BlitPassFields);
    read {
        [sampleBufferAttachments] samples: Strong<BlitSamples> = Strong::new(Slots::default());
    }
    rows {
        class [blitPassDescriptor] = |_: Class| Strong::new(BlitPassDescriptor::default());
    }
}
