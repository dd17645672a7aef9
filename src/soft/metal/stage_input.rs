//! MTLStageInputOutputDescriptor, the descriptors of a pipeline's buffers, and the attributes that a function reads.
//!
//! The descriptors only have their properties: kernels with `[[stage_in]]` arguments are refused, and buffers of either
//! mutability are used alike. The attributes are what the compiler found in a function's input.

use super::compiler::StageAttribute;
use super::foundation::{NSObject, Strong, Text, lock, soft_class};
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

/// Declares classes of attributes that a function reads, which have the same methods.
macro_rules! attributes {
    ($($(#[$doc:meta])* class $name:ident($payload:ident);)+) => {$(
        $(#[$doc])*
        pub(super) struct $payload(StageAttribute);

        impl From<StageAttribute> for $payload {
            fn from(attribute: StageAttribute) -> Self {
                Self(attribute)
            }
        }

        soft_class! {
            $(#[$doc])*
            pub(super) class $name($payload): NSObject;
            [name] = |this: &$payload| Text::object(this.0.name.as_str());
            [attributeIndex] = |this: &$payload| this.0.index;
            [attributeType] = |this: &$payload| this.0.data_type;
            [isActive] = |this: &$payload| this.0.used;
            [isPatchData] = |_: &$payload| false;
            [isPatchControlPointData] = |_: &$payload| false;
        }
    )+};
}

attributes! {
    /// An attribute of a vertex function's input.
    class MTLVertexAttribute(VertexAttribute);
    /// An attribute of a function's input.
    class MTLAttribute(Attribute);
}
