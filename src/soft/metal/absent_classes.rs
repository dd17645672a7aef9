//! Classes of Metal's headers for what soft Metal does not have, and the messages that the headers declare for them.
//!
//! They have no methods but those of their superclasses. A program may ask for them by their names and make objects, as on
//! Apple's systems; a message of their own is reported with class and selector, once, and returns nil, zero or a struct of
//! zeros. The lists are compared with the headers by a test.

use super::compiler4::{MTL4FunctionDescriptor, MTL4PipelineDescriptor};
use super::foundation::{NSObject, soft_class};
use super::function_descriptors::MTLFunctionDescriptor;

/// Declares classes, their superclasses, and the selectors that they have no methods for.
macro_rules! absent {
    ($($name:ident: $superclass:ident {
        $($selector:literal)* $(structs $($of_struct:literal: $bytes:literal)+)?
    })+) => {$(
        /// The messages that the class lacks.
        #[allow(non_snake_case)] // The class's own name.
        mod $name {
            use crate::soft::metal::absent::report;
            use crate::soft::metal::foundation::lists;

            lists! { LACKS { $($selector,)* $(structs $($of_struct: $bytes,)+)? } }
        }

        soft_class! { pub(super) class $name: $superclass, lacks $name::LACKS; }
    )+};
}

absent! {
    // Ray tracing.
    MTL4AccelerationStructureBoundingBoxGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor {
        "boundingBoxBuffer" "boundingBoxCount" "boundingBoxStride" "setBoundingBoxBuffer:" "setBoundingBoxCount:"
        "setBoundingBoxStride:"
    }
    MTL4AccelerationStructureCurveGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor {
        "controlPointBuffer" "controlPointCount" "controlPointFormat" "controlPointStride" "curveBasis" "curveEndCaps"
        "curveType" "indexBuffer" "indexType" "radiusBuffer" "radiusFormat" "radiusStride" "segmentControlPointCount"
        "segmentCount" "setControlPointBuffer:" "setControlPointCount:" "setControlPointFormat:"
        "setControlPointStride:" "setCurveBasis:" "setCurveEndCaps:" "setCurveType:" "setIndexBuffer:" "setIndexType:"
        "setRadiusBuffer:" "setRadiusFormat:" "setRadiusStride:" "setSegmentControlPointCount:" "setSegmentCount:"
    }
    MTL4AccelerationStructureDescriptor: MTLAccelerationStructureDescriptor {}
    MTL4AccelerationStructureGeometryDescriptor: NSObject {
        "allowDuplicateIntersectionFunctionInvocation" "copyWithZone:" "intersectionFunctionTableOffset" "label"
        "opaque" "primitiveDataBuffer" "primitiveDataElementSize" "primitiveDataStride"
        "setAllowDuplicateIntersectionFunctionInvocation:" "setIntersectionFunctionTableOffset:" "setLabel:"
        "setOpaque:" "setPrimitiveDataBuffer:" "setPrimitiveDataElementSize:" "setPrimitiveDataStride:"
    }
    MTL4AccelerationStructureMotionBoundingBoxGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor {
        "boundingBoxBuffers" "boundingBoxCount" "boundingBoxStride" "setBoundingBoxBuffers:" "setBoundingBoxCount:"
        "setBoundingBoxStride:"
    }
    MTL4AccelerationStructureMotionCurveGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor {
        "controlPointBuffers" "controlPointCount" "controlPointFormat" "controlPointStride" "curveBasis" "curveEndCaps"
        "curveType" "indexBuffer" "indexType" "radiusBuffers" "radiusFormat" "radiusStride" "segmentControlPointCount"
        "segmentCount" "setControlPointBuffers:" "setControlPointCount:" "setControlPointFormat:"
        "setControlPointStride:" "setCurveBasis:" "setCurveEndCaps:" "setCurveType:" "setIndexBuffer:" "setIndexType:"
        "setRadiusBuffers:" "setRadiusFormat:" "setRadiusStride:" "setSegmentControlPointCount:" "setSegmentCount:"
    }
    MTL4AccelerationStructureMotionTriangleGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor {
        "indexBuffer" "indexType" "setIndexBuffer:" "setIndexType:" "setTransformationMatrixBuffer:"
        "setTransformationMatrixLayout:" "setTriangleCount:" "setVertexBuffers:" "setVertexFormat:" "setVertexStride:"
        "transformationMatrixBuffer" "transformationMatrixLayout" "triangleCount" "vertexBuffers" "vertexFormat"
        "vertexStride"
    }
    MTL4AccelerationStructureTriangleGeometryDescriptor: MTL4AccelerationStructureGeometryDescriptor {
        "indexBuffer" "indexType" "setIndexBuffer:" "setIndexType:" "setTransformationMatrixBuffer:"
        "setTransformationMatrixLayout:" "setTriangleCount:" "setVertexBuffer:" "setVertexFormat:" "setVertexStride:"
        "transformationMatrixBuffer" "transformationMatrixLayout" "triangleCount" "vertexBuffer" "vertexFormat"
        "vertexStride"
    }
    MTL4IndirectInstanceAccelerationStructureDescriptor: MTL4AccelerationStructureDescriptor {
        "instanceCountBuffer" "instanceDescriptorBuffer" "instanceDescriptorStride" "instanceDescriptorType"
        "instanceTransformationMatrixLayout" "maxInstanceCount" "maxMotionTransformCount" "motionTransformBuffer"
        "motionTransformCountBuffer" "motionTransformStride" "motionTransformType" "setInstanceCountBuffer:"
        "setInstanceDescriptorBuffer:" "setInstanceDescriptorStride:" "setInstanceDescriptorType:"
        "setInstanceTransformationMatrixLayout:" "setMaxInstanceCount:" "setMaxMotionTransformCount:"
        "setMotionTransformBuffer:" "setMotionTransformCountBuffer:" "setMotionTransformStride:"
        "setMotionTransformType:"
    }
    MTL4InstanceAccelerationStructureDescriptor: MTL4AccelerationStructureDescriptor {
        "instanceCount" "instanceDescriptorBuffer" "instanceDescriptorStride" "instanceDescriptorType"
        "instanceTransformationMatrixLayout" "motionTransformBuffer" "motionTransformCount" "motionTransformStride"
        "motionTransformType" "setInstanceCount:" "setInstanceDescriptorBuffer:" "setInstanceDescriptorStride:"
        "setInstanceDescriptorType:" "setInstanceTransformationMatrixLayout:" "setMotionTransformBuffer:"
        "setMotionTransformCount:" "setMotionTransformStride:" "setMotionTransformType:"
    }
    MTL4PrimitiveAccelerationStructureDescriptor: MTL4AccelerationStructureDescriptor {
        "geometryDescriptors" "motionEndBorderMode" "motionEndTime" "motionKeyframeCount" "motionStartBorderMode"
        "motionStartTime" "setGeometryDescriptors:" "setMotionEndBorderMode:" "setMotionEndTime:"
        "setMotionKeyframeCount:" "setMotionStartBorderMode:" "setMotionStartTime:"
    }
    MTLAccelerationStructureBoundingBoxGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor {
        "+descriptor" "boundingBoxBuffer" "boundingBoxBufferOffset" "boundingBoxCount" "boundingBoxStride"
        "setBoundingBoxBuffer:" "setBoundingBoxBufferOffset:" "setBoundingBoxCount:" "setBoundingBoxStride:"
    }
    MTLAccelerationStructureCurveGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor {
        "+descriptor" "controlPointBuffer" "controlPointBufferOffset" "controlPointCount" "controlPointFormat"
        "controlPointStride" "curveBasis" "curveEndCaps" "curveType" "indexBuffer" "indexBufferOffset" "indexType"
        "radiusBuffer" "radiusBufferOffset" "radiusFormat" "radiusStride" "segmentControlPointCount" "segmentCount"
        "setControlPointBuffer:" "setControlPointBufferOffset:" "setControlPointCount:" "setControlPointFormat:"
        "setControlPointStride:" "setCurveBasis:" "setCurveEndCaps:" "setCurveType:" "setIndexBuffer:"
        "setIndexBufferOffset:" "setIndexType:" "setRadiusBuffer:" "setRadiusBufferOffset:" "setRadiusFormat:"
        "setRadiusStride:" "setSegmentControlPointCount:" "setSegmentCount:"
    }
    MTLAccelerationStructureDescriptor: NSObject {
        "copyWithZone:" "setUsage:" "usage"
    }
    MTLAccelerationStructureGeometryDescriptor: NSObject {
        "allowDuplicateIntersectionFunctionInvocation" "copyWithZone:" "intersectionFunctionTableOffset" "label"
        "opaque" "primitiveDataBuffer" "primitiveDataBufferOffset" "primitiveDataElementSize" "primitiveDataStride"
        "setAllowDuplicateIntersectionFunctionInvocation:" "setIntersectionFunctionTableOffset:" "setLabel:"
        "setOpaque:" "setPrimitiveDataBuffer:" "setPrimitiveDataBufferOffset:" "setPrimitiveDataElementSize:"
        "setPrimitiveDataStride:"
    }
    MTLAccelerationStructureMotionBoundingBoxGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor {
        "+descriptor" "boundingBoxBuffers" "boundingBoxCount" "boundingBoxStride" "setBoundingBoxBuffers:"
        "setBoundingBoxCount:" "setBoundingBoxStride:"
    }
    MTLAccelerationStructureMotionCurveGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor {
        "+descriptor" "controlPointBuffers" "controlPointCount" "controlPointFormat" "controlPointStride" "curveBasis"
        "curveEndCaps" "curveType" "indexBuffer" "indexBufferOffset" "indexType" "radiusBuffers" "radiusFormat"
        "radiusStride" "segmentControlPointCount" "segmentCount" "setControlPointBuffers:" "setControlPointCount:"
        "setControlPointFormat:" "setControlPointStride:" "setCurveBasis:" "setCurveEndCaps:" "setCurveType:"
        "setIndexBuffer:" "setIndexBufferOffset:" "setIndexType:" "setRadiusBuffers:" "setRadiusFormat:"
        "setRadiusStride:" "setSegmentControlPointCount:" "setSegmentCount:"
    }
    MTLAccelerationStructureMotionTriangleGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor {
        "+descriptor" "indexBuffer" "indexBufferOffset" "indexType" "setIndexBuffer:" "setIndexBufferOffset:"
        "setIndexType:" "setTransformationMatrixBuffer:" "setTransformationMatrixBufferOffset:"
        "setTransformationMatrixLayout:" "setTriangleCount:" "setVertexBuffers:" "setVertexFormat:" "setVertexStride:"
        "transformationMatrixBuffer" "transformationMatrixBufferOffset" "transformationMatrixLayout" "triangleCount"
        "vertexBuffers" "vertexFormat" "vertexStride"
    }
    MTLAccelerationStructurePassDescriptor: NSObject {
        "+accelerationStructurePassDescriptor" "copyWithZone:" "sampleBufferAttachments"
    }
    MTLAccelerationStructurePassSampleBufferAttachmentDescriptor: NSObject {
        "copyWithZone:" "endOfEncoderSampleIndex" "sampleBuffer" "setEndOfEncoderSampleIndex:" "setSampleBuffer:"
        "setStartOfEncoderSampleIndex:" "startOfEncoderSampleIndex"
    }
    MTLAccelerationStructurePassSampleBufferAttachmentDescriptorArray: NSObject {
        "objectAtIndexedSubscript:" "setObject:atIndexedSubscript:"
    }
    MTLAccelerationStructureTriangleGeometryDescriptor: MTLAccelerationStructureGeometryDescriptor {
        "+descriptor" "indexBuffer" "indexBufferOffset" "indexType" "setIndexBuffer:" "setIndexBufferOffset:"
        "setIndexType:" "setTransformationMatrixBuffer:" "setTransformationMatrixBufferOffset:"
        "setTransformationMatrixLayout:" "setTriangleCount:" "setVertexBuffer:" "setVertexBufferOffset:"
        "setVertexFormat:" "setVertexStride:" "transformationMatrixBuffer" "transformationMatrixBufferOffset"
        "transformationMatrixLayout" "triangleCount" "vertexBuffer" "vertexBufferOffset" "vertexFormat" "vertexStride"
    }
    MTLIndirectInstanceAccelerationStructureDescriptor: MTLAccelerationStructureDescriptor {
        "+descriptor" "instanceCountBuffer" "instanceCountBufferOffset" "instanceDescriptorBuffer"
        "instanceDescriptorBufferOffset" "instanceDescriptorStride" "instanceDescriptorType"
        "instanceTransformationMatrixLayout" "maxInstanceCount" "maxMotionTransformCount" "motionTransformBuffer"
        "motionTransformBufferOffset" "motionTransformCountBuffer" "motionTransformCountBufferOffset"
        "motionTransformStride" "motionTransformType" "setInstanceCountBuffer:" "setInstanceCountBufferOffset:"
        "setInstanceDescriptorBuffer:" "setInstanceDescriptorBufferOffset:" "setInstanceDescriptorStride:"
        "setInstanceDescriptorType:" "setInstanceTransformationMatrixLayout:" "setMaxInstanceCount:"
        "setMaxMotionTransformCount:" "setMotionTransformBuffer:" "setMotionTransformBufferOffset:"
        "setMotionTransformCountBuffer:" "setMotionTransformCountBufferOffset:" "setMotionTransformStride:"
        "setMotionTransformType:"
    }
    MTLInstanceAccelerationStructureDescriptor: MTLAccelerationStructureDescriptor {
        "+descriptor" "instanceCount" "instanceDescriptorBuffer" "instanceDescriptorBufferOffset"
        "instanceDescriptorStride" "instanceDescriptorType" "instanceTransformationMatrixLayout"
        "instancedAccelerationStructures" "motionTransformBuffer" "motionTransformBufferOffset" "motionTransformCount"
        "motionTransformStride" "motionTransformType" "setInstanceCount:" "setInstanceDescriptorBuffer:"
        "setInstanceDescriptorBufferOffset:" "setInstanceDescriptorStride:" "setInstanceDescriptorType:"
        "setInstanceTransformationMatrixLayout:" "setInstancedAccelerationStructures:" "setMotionTransformBuffer:"
        "setMotionTransformBufferOffset:" "setMotionTransformCount:" "setMotionTransformStride:"
        "setMotionTransformType:"
    }
    MTLIntersectionFunctionDescriptor: MTLFunctionDescriptor {}
    MTLIntersectionFunctionTableDescriptor: NSObject {
        "+intersectionFunctionTableDescriptor" "copyWithZone:" "functionCount" "setFunctionCount:"
    }
    MTLMotionKeyframeData: NSObject {
        "+data" "buffer" "offset" "setBuffer:" "setOffset:"
    }
    MTLPrimitiveAccelerationStructureDescriptor: MTLAccelerationStructureDescriptor {
        "+descriptor" "geometryDescriptors" "motionEndBorderMode" "motionEndTime" "motionKeyframeCount"
        "motionStartBorderMode" "motionStartTime" "setGeometryDescriptors:" "setMotionEndBorderMode:"
        "setMotionEndTime:" "setMotionKeyframeCount:" "setMotionStartBorderMode:" "setMotionStartTime:"
    }
    // Stitched functions, and functions in code of their own format.
    MTL4BinaryFunctionDescriptor: NSObject {
        "copyWithZone:" "functionDescriptor" "name" "options" "setFunctionDescriptor:" "setName:" "setOptions:"
    }
    MTL4PipelineDataSetSerializerDescriptor: NSObject {
        "configuration" "copyWithZone:" "setConfiguration:"
    }
    MTL4PipelineStageDynamicLinkingDescriptor: NSObject {
        "binaryLinkedFunctions" "copyWithZone:" "maxCallStackDepth" "preloadedLibraries" "setBinaryLinkedFunctions:"
        "setMaxCallStackDepth:" "setPreloadedLibraries:"
    }
    MTL4StitchedFunctionDescriptor: MTL4FunctionDescriptor {
        "functionDescriptors" "functionGraph" "setFunctionDescriptors:" "setFunctionGraph:"
    }
    MTLFunctionStitchingAttributeAlwaysInline: NSObject {}
    MTLFunctionStitchingFunctionNode: NSObject {
        "arguments" "controlDependencies" "copyWithZone:" "initWithName:arguments:controlDependencies:" "name"
        "setArguments:" "setControlDependencies:" "setName:"
    }
    MTLFunctionStitchingGraph: NSObject {
        "attributes" "copyWithZone:" "functionName" "initWithFunctionName:nodes:outputNode:attributes:" "nodes"
        "outputNode" "setAttributes:" "setFunctionName:" "setNodes:" "setOutputNode:"
    }
    MTLFunctionStitchingInputNode: NSObject {
        "argumentIndex" "copyWithZone:" "initWithArgumentIndex:" "setArgumentIndex:"
    }
    MTLStitchedLibraryDescriptor: NSObject {
        "binaryArchives" "copyWithZone:" "functionGraphs" "functions" "options" "setBinaryArchives:"
        "setFunctionGraphs:" "setFunctions:" "setOptions:"
    }
    // Networks, files, sparse and shared memory, and pools of views.
    MTL4MachineLearningPipelineDescriptor: MTL4PipelineDescriptor {
        "inputDimensionsAtBufferIndex:" "machineLearningFunctionDescriptor" "reset" "setInputDimensions:atBufferIndex:"
        "setInputDimensions:withRange:" "setMachineLearningFunctionDescriptor:"
    }
    MTL4MachineLearningPipelineReflection: NSObject {
        "bindings"
    }
    MTLIOCommandQueueDescriptor: NSObject {
        "copyWithZone:" "maxCommandBufferCount" "maxCommandsInFlight" "priority" "scratchBufferAllocator"
        "setMaxCommandBufferCount:" "setMaxCommandsInFlight:" "setPriority:" "setScratchBufferAllocator:" "setType:"
    }
    MTLResourceStatePassDescriptor: NSObject {
        "+resourceStatePassDescriptor" "copyWithZone:" "sampleBufferAttachments"
    }
    MTLResourceStatePassSampleBufferAttachmentDescriptor: NSObject {
        "copyWithZone:" "endOfEncoderSampleIndex" "sampleBuffer" "setEndOfEncoderSampleIndex:" "setSampleBuffer:"
        "setStartOfEncoderSampleIndex:" "startOfEncoderSampleIndex"
    }
    MTLResourceStatePassSampleBufferAttachmentDescriptorArray: NSObject {
        "objectAtIndexedSubscript:" "setObject:atIndexedSubscript:"
    }
    MTLResourceViewPoolDescriptor: NSObject {
        "copyWithZone:" "label" "resourceViewCount" "setLabel:" "setResourceViewCount:"
    }
    MTLSharedTextureHandle: NSObject {
        "device" "label"
    }
    // Rendering.
    MTL4MeshRenderPipelineDescriptor: MTL4PipelineDescriptor {
        "alphaToCoverageState" "alphaToOneState" "colorAttachmentMappingState" "colorAttachments"
        "fragmentFunctionDescriptor" "fragmentStaticLinkingDescriptor" "isRasterizationEnabled"
        "maxTotalThreadgroupsPerMeshGrid" "maxTotalThreadsPerMeshThreadgroup" "maxTotalThreadsPerObjectThreadgroup"
        "maxVertexAmplificationCount" "meshFunctionDescriptor" "meshStaticLinkingDescriptor"
        "meshThreadgroupSizeIsMultipleOfThreadExecutionWidth" "objectFunctionDescriptor" "objectStaticLinkingDescriptor"
        "objectThreadgroupSizeIsMultipleOfThreadExecutionWidth" "payloadMemoryLength" "rasterSampleCount" "reset"
        "setAlphaToCoverageState:" "setAlphaToOneState:" "setColorAttachmentMappingState:"
        "setFragmentFunctionDescriptor:" "setFragmentStaticLinkingDescriptor:" "setMaxTotalThreadgroupsPerMeshGrid:"
        "setMaxTotalThreadsPerMeshThreadgroup:" "setMaxTotalThreadsPerObjectThreadgroup:"
        "setMaxVertexAmplificationCount:" "setMeshFunctionDescriptor:" "setMeshStaticLinkingDescriptor:"
        "setMeshThreadgroupSizeIsMultipleOfThreadExecutionWidth:" "setObjectFunctionDescriptor:"
        "setObjectStaticLinkingDescriptor:" "setObjectThreadgroupSizeIsMultipleOfThreadExecutionWidth:"
        "setPayloadMemoryLength:" "setRasterSampleCount:" "setRasterizationEnabled:"
        "setRequiredThreadsPerMeshThreadgroup:" "setRequiredThreadsPerObjectThreadgroup:"
        "setSupportFragmentBinaryLinking:" "setSupportIndirectCommandBuffers:" "setSupportMeshBinaryLinking:"
        "setSupportObjectBinaryLinking:" "supportFragmentBinaryLinking" "supportIndirectCommandBuffers"
        "supportMeshBinaryLinking" "supportObjectBinaryLinking"
        structs "requiredThreadsPerMeshThreadgroup": 24 "requiredThreadsPerObjectThreadgroup": 24
    }
    MTL4RenderPassDescriptor: NSObject {
        "colorAttachments" "copyWithZone:" "defaultRasterSampleCount" "depthAttachment" "getSamplePositions:count:"
        "imageblockSampleLength" "rasterizationRateMap" "renderTargetArrayLength" "renderTargetHeight"
        "renderTargetWidth" "setDefaultRasterSampleCount:" "setDepthAttachment:" "setImageblockSampleLength:"
        "setRasterizationRateMap:" "setRenderTargetArrayLength:" "setRenderTargetHeight:" "setRenderTargetWidth:"
        "setSamplePositions:count:" "setStencilAttachment:" "setSupportColorAttachmentMapping:"
        "setThreadgroupMemoryLength:" "setTileHeight:" "setTileWidth:" "setVisibilityResultBuffer:"
        "setVisibilityResultType:" "stencilAttachment" "supportColorAttachmentMapping" "threadgroupMemoryLength"
        "tileHeight" "tileWidth" "visibilityResultBuffer" "visibilityResultType"
    }
    MTL4RenderPipelineBinaryFunctionsDescriptor: NSObject {
        "copyWithZone:" "fragmentAdditionalBinaryFunctions" "meshAdditionalBinaryFunctions"
        "objectAdditionalBinaryFunctions" "reset" "setFragmentAdditionalBinaryFunctions:"
        "setMeshAdditionalBinaryFunctions:" "setObjectAdditionalBinaryFunctions:" "setTileAdditionalBinaryFunctions:"
        "setVertexAdditionalBinaryFunctions:" "tileAdditionalBinaryFunctions" "vertexAdditionalBinaryFunctions"
    }
    MTL4RenderPipelineColorAttachmentDescriptor: NSObject {
        "alphaBlendOperation" "blendingState" "copyWithZone:" "destinationAlphaBlendFactor" "destinationRGBBlendFactor"
        "pixelFormat" "reset" "rgbBlendOperation" "setAlphaBlendOperation:" "setBlendingState:"
        "setDestinationAlphaBlendFactor:" "setDestinationRGBBlendFactor:" "setPixelFormat:" "setRgbBlendOperation:"
        "setSourceAlphaBlendFactor:" "setSourceRGBBlendFactor:" "setWriteMask:" "sourceAlphaBlendFactor"
        "sourceRGBBlendFactor" "writeMask"
    }
    MTL4RenderPipelineColorAttachmentDescriptorArray: NSObject {
        "copyWithZone:" "objectAtIndexedSubscript:" "reset" "setObject:atIndexedSubscript:"
    }
    MTL4RenderPipelineDescriptor: MTL4PipelineDescriptor {
        "alphaToCoverageState" "alphaToOneState" "colorAttachmentMappingState" "colorAttachments"
        "fragmentFunctionDescriptor" "fragmentStaticLinkingDescriptor" "inputPrimitiveTopology" "isRasterizationEnabled"
        "maxVertexAmplificationCount" "rasterSampleCount" "reset" "setAlphaToCoverageState:" "setAlphaToOneState:"
        "setColorAttachmentMappingState:" "setFragmentFunctionDescriptor:" "setFragmentStaticLinkingDescriptor:"
        "setInputPrimitiveTopology:" "setMaxVertexAmplificationCount:" "setRasterSampleCount:"
        "setRasterizationEnabled:" "setSupportFragmentBinaryLinking:" "setSupportIndirectCommandBuffers:"
        "setSupportVertexBinaryLinking:" "setVertexDescriptor:" "setVertexFunctionDescriptor:"
        "setVertexStaticLinkingDescriptor:" "supportFragmentBinaryLinking" "supportIndirectCommandBuffers"
        "supportVertexBinaryLinking" "vertexDescriptor" "vertexFunctionDescriptor" "vertexStaticLinkingDescriptor"
    }
    MTL4RenderPipelineDynamicLinkingDescriptor: NSObject {
        "copyWithZone:" "fragmentLinkingDescriptor" "meshLinkingDescriptor" "objectLinkingDescriptor"
        "tileLinkingDescriptor" "vertexLinkingDescriptor"
    }
    MTL4TileRenderPipelineDescriptor: MTL4PipelineDescriptor {
        "colorAttachments" "maxTotalThreadsPerThreadgroup" "rasterSampleCount" "reset"
        "setMaxTotalThreadsPerThreadgroup:" "setRasterSampleCount:" "setRequiredThreadsPerThreadgroup:"
        "setStaticLinkingDescriptor:" "setSupportBinaryLinking:" "setThreadgroupSizeMatchesTileSize:"
        "setTileFunctionDescriptor:" "staticLinkingDescriptor" "supportBinaryLinking" "threadgroupSizeMatchesTileSize"
        "tileFunctionDescriptor"
        structs "requiredThreadsPerThreadgroup": 24
    }
    MTLLogicalToPhysicalColorAttachmentMap: NSObject {
        "copyWithZone:" "getPhysicalIndexForLogicalIndex:" "reset" "setPhysicalIndex:forLogicalIndex:"
    }
    MTLMeshRenderPipelineDescriptor: NSObject {
        "binaryArchives" "colorAttachments" "copyWithZone:" "depthAttachmentPixelFormat" "fragmentBuffers"
        "fragmentFunction" "fragmentLinkedFunctions" "isAlphaToCoverageEnabled" "isAlphaToOneEnabled"
        "isRasterizationEnabled" "label" "maxTotalThreadgroupsPerMeshGrid" "maxTotalThreadsPerMeshThreadgroup"
        "maxTotalThreadsPerObjectThreadgroup" "maxVertexAmplificationCount" "meshBuffers" "meshFunction"
        "meshLinkedFunctions" "meshThreadgroupSizeIsMultipleOfThreadExecutionWidth" "objectBuffers" "objectFunction"
        "objectLinkedFunctions" "objectThreadgroupSizeIsMultipleOfThreadExecutionWidth" "payloadMemoryLength"
        "rasterSampleCount" "reset" "setAlphaToCoverageEnabled:" "setAlphaToOneEnabled:" "setBinaryArchives:"
        "setDepthAttachmentPixelFormat:" "setFragmentFunction:" "setFragmentLinkedFunctions:" "setLabel:"
        "setMaxTotalThreadgroupsPerMeshGrid:" "setMaxTotalThreadsPerMeshThreadgroup:"
        "setMaxTotalThreadsPerObjectThreadgroup:" "setMaxVertexAmplificationCount:" "setMeshFunction:"
        "setMeshLinkedFunctions:" "setMeshThreadgroupSizeIsMultipleOfThreadExecutionWidth:" "setObjectFunction:"
        "setObjectLinkedFunctions:" "setObjectThreadgroupSizeIsMultipleOfThreadExecutionWidth:"
        "setPayloadMemoryLength:" "setRasterSampleCount:" "setRasterizationEnabled:"
        "setRequiredThreadsPerMeshThreadgroup:" "setRequiredThreadsPerObjectThreadgroup:" "setShaderValidation:"
        "setStencilAttachmentPixelFormat:" "setSupportIndirectCommandBuffers:" "shaderValidation"
        "stencilAttachmentPixelFormat" "supportIndirectCommandBuffers"
        structs "requiredThreadsPerMeshThreadgroup": 24 "requiredThreadsPerObjectThreadgroup": 24
    }
    MTLRasterizationRateLayerArray: NSObject {
        "objectAtIndexedSubscript:" "setObject:atIndexedSubscript:"
    }
    MTLRasterizationRateLayerDescriptor: NSObject {
        "copyWithZone:" "horizontal" "horizontalSampleStorage" "initWithSampleCount:"
        "initWithSampleCount:horizontal:vertical:" "setSampleCount:" "vertical" "verticalSampleStorage"
        structs "maxSampleCount": 24
    }
    MTLRasterizationRateMapDescriptor: NSObject {
        "+rasterizationRateMapDescriptorWithScreenSize:" "+rasterizationRateMapDescriptorWithScreenSize:layer:"
        "copyWithZone:" "label" "layerAtIndex:" "layerCount" "layers" "setLabel:" "setLayer:atIndex:" "setScreenSize:"
        structs "screenSize": 24
    }
    MTLRasterizationRateSampleArray: NSObject {
        "objectAtIndexedSubscript:" "setObject:atIndexedSubscript:"
    }
    MTLRenderPipelineFunctionsDescriptor: NSObject {
        "copyWithZone:" "fragmentAdditionalBinaryFunctions" "setFragmentAdditionalBinaryFunctions:"
        "setTileAdditionalBinaryFunctions:" "setVertexAdditionalBinaryFunctions:" "tileAdditionalBinaryFunctions"
        "vertexAdditionalBinaryFunctions"
    }
    MTLTileRenderPipelineColorAttachmentDescriptor: NSObject {
        "copyWithZone:" "pixelFormat" "setPixelFormat:"
    }
    MTLTileRenderPipelineColorAttachmentDescriptorArray: NSObject {
        "objectAtIndexedSubscript:" "setObject:atIndexedSubscript:"
    }
    MTLTileRenderPipelineDescriptor: NSObject {
        "binaryArchives" "colorAttachments" "copyWithZone:" "label" "linkedFunctions" "maxCallStackDepth"
        "maxTotalThreadsPerThreadgroup" "preloadedLibraries" "rasterSampleCount" "reset" "setBinaryArchives:"
        "setLabel:" "setLinkedFunctions:" "setMaxCallStackDepth:" "setMaxTotalThreadsPerThreadgroup:"
        "setPreloadedLibraries:" "setRasterSampleCount:" "setRequiredThreadsPerThreadgroup:" "setShaderValidation:"
        "setSupportAddingBinaryFunctions:" "setThreadgroupSizeMatchesTileSize:" "setTileFunction:" "shaderValidation"
        "supportAddingBinaryFunctions" "threadgroupSizeMatchesTileSize" "tileBuffers" "tileFunction"
        structs "requiredThreadsPerThreadgroup": 24
    }
}
