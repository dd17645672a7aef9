//! MTLStageInputOutputDescriptor and the descriptors of a pipeline's buffers.
//!
//! Kernels with `[[stage_in]]` arguments are refused, and buffers of either mutability are used alike, so these
//! only have their properties.

use super::foundation::{NSObject, Strong, lock, soft_class};
use super::properties::properties;
use super::slots::{Slots, slots};
use crate::abi::Class;
use std::sync::Mutex;

properties! {
    /// Where an attribute of a stage's input is.
    class MTLAttributeDescriptor(AttributeDescriptor, AttributeFields);
    [format, setFormat:] format: usize = 0;
    [offset, setOffset:] offset: usize = 0;
    [bufferIndex, setBufferIndex:] buffer_index: usize = 0;
}

slots! {
    /// The attributes of a stage's input.
    class MTLAttributeDescriptorArray of AttributeDescriptor
}

properties! {
    /// How a buffer of a stage's input is walked through.
    class MTLBufferLayoutDescriptor(BufferLayoutDescriptor, BufferLayoutFields);
    [stride, setStride:] stride: usize = 0;
    [stepFunction, setStepFunction:] step_function: usize = PER_VERTEX;
    [stepRate, setStepRate:] step_rate: usize = 1;
}

/// `MTLStepFunctionPerVertex`.
const PER_VERTEX: usize = 1;

slots! {
    /// The buffers of a stage's input.
    class MTLBufferLayoutDescriptorArray of BufferLayoutDescriptor
}

properties! {
    /// The input of a stage.
    class MTLStageInputOutputDescriptor(StageInputOutputDescriptor, StageInputOutputFields);
    [indexType, setIndexType:] index_type: usize = 0;
    [indexBufferIndex, setIndexBufferIndex:] index_buffer_index: usize = 0;
    read {
        [attributes] attributes: Strong<Slots<AttributeDescriptor>> = Strong::new(Slots::default());
        [layouts] layouts: Strong<Slots<BufferLayoutDescriptor>> = Strong::new(Slots::default());
    }
    rows {
        class [stageInputOutputDescriptor] = |_: Class| {
            Strong::new(StageInputOutputDescriptor::default())
        };
        [reset] = |this: &StageInputOutputDescriptor| {
            let _old = std::mem::take(&mut *lock(&this.0));
        };
    }
}

properties! {
    /// Whether a buffer changes between a command buffer's commit and its end.
    class MTLPipelineBufferDescriptor(PipelineBufferDescriptor, PipelineBufferFields);
    [mutability, setMutability:] mutability: usize = 0;
}

slots! {
    /// The buffers of a pipeline.
    class MTLPipelineBufferDescriptorArray of PipelineBufferDescriptor
}
