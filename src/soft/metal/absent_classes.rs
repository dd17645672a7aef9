//! Classes of Metal's headers for what soft Metal does not have.
//!
//! They have no methods but those of their superclasses. A program may ask for them by their names and make objects, as on
//! Apple's systems; a message of their own is reported with class and selector, once, and returns nil or zero. One whose
//! result is a struct in memory is not recognized. The list is compared with the headers by a test.

use super::absent::{WHOLE, WHOLE_BUT_SIZES};
use super::compiler4::{MTL4FunctionDescriptor, MTL4PipelineDescriptor};
use super::foundation::{NSObject, soft_class};
use super::function_descriptors::MTLFunctionDescriptor;

/// Declares classes and their superclasses.
macro_rules! absent {
    ($($name:ident: $superclass:ident $(, lacks $lacks:ident)?;)+) => {$(
        absent!(@one $name: $superclass, $($lacks)? WHOLE);
    )+};
    (@one $name:ident: $superclass:ident, $lacks:ident $($default:ident)?) => {
        soft_class! { pub(super) class $name: $superclass, lacks $lacks; }
    };
}

absent! {
    // Ray tracing.
    MTL4AccelerationStructureBoundingBoxGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor;
    MTL4AccelerationStructureCurveGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor;
    MTL4AccelerationStructureDescriptor: MTLAccelerationStructureDescriptor;
    MTL4AccelerationStructureGeometryDescriptor: NSObject;
    MTL4AccelerationStructureMotionBoundingBoxGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor;
    MTL4AccelerationStructureMotionCurveGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor;
    MTL4AccelerationStructureMotionTriangleGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor;
    MTL4AccelerationStructureTriangleGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor;
    MTL4IndirectInstanceAccelerationStructureDescriptor: MTL4AccelerationStructureDescriptor;
    MTL4InstanceAccelerationStructureDescriptor: MTL4AccelerationStructureDescriptor;
    MTL4PrimitiveAccelerationStructureDescriptor: MTL4AccelerationStructureDescriptor;
    MTLAccelerationStructureBoundingBoxGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor;
    MTLAccelerationStructureCurveGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor;
    MTLAccelerationStructureDescriptor: NSObject;
    MTLAccelerationStructureGeometryDescriptor: NSObject;
    MTLAccelerationStructureMotionBoundingBoxGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor;
    MTLAccelerationStructureMotionCurveGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor;
    MTLAccelerationStructureMotionTriangleGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor;
    MTLAccelerationStructurePassDescriptor: NSObject;
    MTLAccelerationStructurePassSampleBufferAttachmentDescriptor: NSObject;
    MTLAccelerationStructurePassSampleBufferAttachmentDescriptorArray: NSObject;
    MTLAccelerationStructureTriangleGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor;
    MTLIndirectInstanceAccelerationStructureDescriptor: MTLAccelerationStructureDescriptor;
    MTLInstanceAccelerationStructureDescriptor: MTLAccelerationStructureDescriptor;
    MTLIntersectionFunctionDescriptor: MTLFunctionDescriptor;
    MTLIntersectionFunctionTableDescriptor: NSObject;
    MTLMotionKeyframeData: NSObject;
    MTLPrimitiveAccelerationStructureDescriptor: MTLAccelerationStructureDescriptor;
    // Stitched functions, and functions in code of their own format.
    MTL4BinaryFunctionDescriptor: NSObject;
    MTL4PipelineDataSetSerializerDescriptor: NSObject;
    MTL4PipelineStageDynamicLinkingDescriptor: NSObject;
    MTL4StitchedFunctionDescriptor: MTL4FunctionDescriptor;
    MTLFunctionStitchingAttributeAlwaysInline: NSObject;
    MTLFunctionStitchingFunctionNode: NSObject;
    MTLFunctionStitchingGraph: NSObject;
    MTLFunctionStitchingInputNode: NSObject;
    MTLStitchedLibraryDescriptor: NSObject;
    // Networks, files, sparse and shared memory, and pools of views.
    MTL4MachineLearningPipelineDescriptor: MTL4PipelineDescriptor;
    MTL4MachineLearningPipelineReflection: NSObject;
    MTLIOCommandQueueDescriptor: NSObject;
    MTLResourceStatePassDescriptor: NSObject;
    MTLResourceStatePassSampleBufferAttachmentDescriptor: NSObject;
    MTLResourceStatePassSampleBufferAttachmentDescriptorArray: NSObject;
    MTLResourceViewPoolDescriptor: NSObject;
    MTLSharedTextureHandle: NSObject;
    // Rendering.
    MTL4MeshRenderPipelineDescriptor: MTL4PipelineDescriptor, lacks WHOLE_BUT_SIZES;
    MTL4RenderPassDescriptor: NSObject;
    MTL4RenderPipelineBinaryFunctionsDescriptor: NSObject;
    MTL4RenderPipelineColorAttachmentDescriptor: NSObject;
    MTL4RenderPipelineColorAttachmentDescriptorArray: NSObject;
    MTL4RenderPipelineDescriptor: MTL4PipelineDescriptor;
    MTL4RenderPipelineDynamicLinkingDescriptor: NSObject;
    MTL4TileRenderPipelineDescriptor: MTL4PipelineDescriptor, lacks WHOLE_BUT_SIZES;
    MTLLogicalToPhysicalColorAttachmentMap: NSObject;
    MTLMeshRenderPipelineDescriptor: NSObject, lacks WHOLE_BUT_SIZES;
    MTLRasterizationRateLayerArray: NSObject;
    MTLRasterizationRateLayerDescriptor: NSObject, lacks WHOLE_BUT_SIZES;
    MTLRasterizationRateMapDescriptor: NSObject, lacks WHOLE_BUT_SIZES;
    MTLRasterizationRateSampleArray: NSObject;
    MTLRenderPipelineFunctionsDescriptor: NSObject;
    MTLTileRenderPipelineColorAttachmentDescriptor: NSObject;
    MTLTileRenderPipelineColorAttachmentDescriptorArray: NSObject;
    MTLTileRenderPipelineDescriptor: NSObject, lacks WHOLE_BUT_SIZES;
}
