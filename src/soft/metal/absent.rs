//! Messages of Metal's headers that the classes here have no methods for.
//!
//! They are about what soft Metal does not have. Such a message is reported on standard error, once, and returns
//! nil or zero. An `error:` argument gets an error, and a `completionHandler:` is called with one. The answer to
//! `respondsToSelector:` is no. The lists are compared with the headers by a test. `absent_classes.rs` has those of
//! classes without methods of their own.

use super::errors::{Error, LibraryError};
use super::foundation::{ErrorOut, HeldBlock, compile_aside, lists, reported};
use crate::abi::{Id, Imp};
use crate::soft::runtime::block::BlockRef;
use std::fmt::Display;

/// Reports a message.
pub(super) fn report(name: &dyn Display, selector: &str, last: usize) {
    let error = Error::new(LibraryError::Unsupported, reported(name));
    let last: *mut Id = std::ptr::with_exposed_provenance_mut(last);
    if selector.ends_with("error:") {
        ErrorOut::at(last).set(error.ns_error());
    } else if selector.ends_with("completionHandler:") {
        // Those with options pass a reflection too.
        let with_reflection = selector.ends_with("options:completionHandler:");
        // SAFETY: the argument is nil or a block.
        let block = unsafe { BlockRef::from_ptr(last.cast()) }.hold();
        compile_aside(move || complete(block, &error, with_reflection));
    }
}

/// Calls a handler with an error.
fn complete(block: Option<HeldBlock>, error: &Error<LibraryError>, with_reflection: bool) {
    let Some(block) = block else { return };
    let error = error.ns_error();
    let second = if with_reflection { Id::NIL } else { error.id() };
    // SAFETY: the block takes two objects or three; in the calling convention a third does no harm.
    unsafe {
        let call = std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Id, Id, Id)>(block.invoke());
        call(block.id(), Id::NIL, second, error.id());
    }
}

lists! {
    /// `MTLDevice`: rendering, ray tracing, archives of Metal 4, sparse and shared memory, files, and libraries of
    /// functions.
    DEVICE {
        "convertSparsePixelRegions:toTileRegions:withTileSize:alignmentMode:numRegions:",
        "convertSparseTileRegions:toPixelRegions:withTileSize:numRegions:",
        "functionHandleWithBinaryFunction:",
        "functionHandleWithFunction:",
        "getDefaultSamplePositions:count:",
        "heapAccelerationStructureSizeAndAlignWithDescriptor:",
        "heapAccelerationStructureSizeAndAlignWithSize:",
        "newAccelerationStructureWithDescriptor:",
        "newAccelerationStructureWithSize:",
        "newArchiveWithURL:error:",
        "newBufferWithLength:options:placementSparsePageSize:",
        "newDepthStencilStateWithDescriptor:",
        "newDynamicLibrary:error:",
        "newDynamicLibraryWithURL:error:",
        "newIOCommandQueueWithDescriptor:error:",
        "newIOFileHandleWithURL:compressionMethod:error:",
        "newIOFileHandleWithURL:error:",
        "newIOHandleWithURL:compressionMethod:error:",
        "newIOHandleWithURL:error:",
        "newLibraryWithStitchedDescriptor:completionHandler:",
        "newLibraryWithStitchedDescriptor:error:",
        "newPipelineDataSetSerializerWithDescriptor:",
        "newRasterizationRateMapWithDescriptor:",
        "newRenderPipelineStateWithMeshDescriptor:error:",
        "newRenderPipelineStateWithMeshDescriptor:options:completionHandler:",
        "newRenderPipelineStateWithMeshDescriptor:options:reflection:error:",
        "newRenderPipelineStateWithTileDescriptor:options:completionHandler:",
        "newRenderPipelineStateWithTileDescriptor:options:reflection:error:",
        "newSharedTextureWithDescriptor:",
        "newSharedTextureWithHandle:",
        "newTextureViewPoolWithDescriptor:error:",
        "newTextureWithDescriptor:iosurface:plane:",
    }
    /// `MTLBuffer`: memory of other devices.
    BUFFER {
        "newRemoteBufferViewForDevice:",
    }
    /// `MTLTexture`: memory of other devices.
    TEXTURE {
        "newRemoteTextureViewForDevice:",
    }
    /// `MTLBinaryArchive`: rendering, and stitched libraries.
    BINARY_ARCHIVE {
        "addLibraryWithDescriptor:error:",
        "addMeshRenderPipelineFunctionsWithDescriptor:error:",
        "addRenderPipelineFunctionsWithDescriptor:error:",
        "addTileRenderPipelineFunctionsWithDescriptor:error:",
    }
    /// `MTLIndirectCommandBuffer`: rendering.
    INDIRECT_COMMANDS {
        "indirectRenderCommandAtIndex:",
    }
    /// `MTLHeap`: ray tracing.
    HEAP {
        "newAccelerationStructureWithDescriptor:",
        "newAccelerationStructureWithDescriptor:offset:",
        "newAccelerationStructureWithSize:",
        "newAccelerationStructureWithSize:offset:",
    }
    /// `MTLLibrary`: ray tracing.
    LIBRARY {
        "newIntersectionFunctionWithDescriptor:completionHandler:",
        "newIntersectionFunctionWithDescriptor:error:",
    }
    /// `MTLComputePipelineState`: ray tracing and Metal 4.
    PIPELINE {
        "functionHandleWithBinaryFunction:",
        "newComputePipelineStateWithBinaryFunctions:error:",
        "newIntersectionFunctionTableWithDescriptor:",
    }
    /// `MTLArgumentEncoder`: rendering and ray tracing.
    ARGUMENT_ENCODER {
        "setAccelerationStructure:atIndex:",
        "setDepthStencilState:atIndex:",
        "setDepthStencilStates:withRange:",
        "setIntersectionFunctionTable:atIndex:",
        "setIntersectionFunctionTables:withRange:",
        "setRenderPipelineState:atIndex:",
        "setRenderPipelineStates:withRange:",
    }
    /// `MTLCommandBuffer`: rendering, ray tracing and sparse memory.
    COMMAND_BUFFER {
        "accelerationStructureCommandEncoder",
        "accelerationStructureCommandEncoderWithDescriptor:",
        "parallelRenderCommandEncoderWithDescriptor:",
        "presentDrawable:",
        "presentDrawable:afterMinimumDuration:",
        "presentDrawable:atTime:",
        "resourceStateCommandEncoder",
        "resourceStateCommandEncoderWithDescriptor:",
    }
    /// `MTLRenderPipelineState`: functions that are linked to it.
    RENDER_PIPELINE {
        "functionHandleWithBinaryFunction:stage:",
        "functionHandleWithFunction:stage:",
        "functionHandleWithName:stage:",
        "newIntersectionFunctionTableWithDescriptor:stage:",
        "newRenderPipelineDescriptorForSpecialization",
        "newRenderPipelineStateWithAdditionalBinaryFunctions:error:",
        "newRenderPipelineStateWithBinaryFunctions:error:",
        "newVisibleFunctionTableWithDescriptor:stage:",
    }
    /// `MTLRenderCommandEncoder`: its state and its drawing.
    RENDER_ENCODER {
        "dispatchThreadsPerTile:",
        "drawIndexedPatches:patchIndexBuffer:patchIndexBufferOffset:controlPointIndexBuffer:controlPointIndexBufferOffset:indirectBuffer:indirectBufferOffset:",
        "drawIndexedPatches:patchStart:patchCount:patchIndexBuffer:patchIndexBufferOffset:controlPointIndexBuffer:controlPointIndexBufferOffset:instanceCount:baseInstance:",
        "drawIndexedPrimitives:indexCount:indexType:indexBuffer:indexBufferOffset:",
        "drawIndexedPrimitives:indexCount:indexType:indexBuffer:indexBufferOffset:instanceCount:",
        "drawIndexedPrimitives:indexCount:indexType:indexBuffer:indexBufferOffset:instanceCount:baseVertex:baseInstance:",
        "drawIndexedPrimitives:indexType:indexBuffer:indexBufferOffset:indirectBuffer:indirectBufferOffset:",
        "drawMeshThreadgroups:threadsPerObjectThreadgroup:threadsPerMeshThreadgroup:",
        "drawMeshThreadgroupsWithIndirectBuffer:indirectBufferOffset:threadsPerObjectThreadgroup:threadsPerMeshThreadgroup:",
        "drawMeshThreads:threadsPerObjectThreadgroup:threadsPerMeshThreadgroup:",
        "drawPatches:patchIndexBuffer:patchIndexBufferOffset:indirectBuffer:indirectBufferOffset:",
        "drawPatches:patchStart:patchCount:patchIndexBuffer:patchIndexBufferOffset:instanceCount:baseInstance:",
        "drawPrimitives:indirectBuffer:indirectBufferOffset:",
        "drawPrimitives:vertexStart:vertexCount:",
        "drawPrimitives:vertexStart:vertexCount:instanceCount:",
        "drawPrimitives:vertexStart:vertexCount:instanceCount:baseInstance:",
        "executeCommandsInBuffer:indirectBuffer:indirectBufferOffset:",
        "executeCommandsInBuffer:withRange:",
        "memoryBarrierWithResources:count:afterStages:beforeStages:",
        "memoryBarrierWithScope:afterStages:beforeStages:",
        "sampleCountersInBuffer:atSampleIndex:withBarrier:",
        "setBlendColorRed:green:blue:alpha:",
        "setColorAttachmentMap:",
        "setColorStoreAction:atIndex:",
        "setColorStoreActionOptions:atIndex:",
        "setCullMode:",
        "setDepthBias:slopeScale:clamp:",
        "setDepthClipMode:",
        "setDepthStencilState:",
        "setDepthStoreAction:",
        "setDepthStoreActionOptions:",
        "setDepthTestMinBound:maxBound:",
        "setFragmentAccelerationStructure:atBufferIndex:",
        "setFragmentBuffer:offset:atIndex:",
        "setFragmentBufferOffset:atIndex:",
        "setFragmentBuffers:offsets:withRange:",
        "setFragmentBytes:length:atIndex:",
        "setFragmentIntersectionFunctionTable:atBufferIndex:",
        "setFragmentIntersectionFunctionTables:withBufferRange:",
        "setFragmentSamplerState:atIndex:",
        "setFragmentSamplerState:lodMinClamp:lodMaxClamp:atIndex:",
        "setFragmentSamplerStates:lodMinClamps:lodMaxClamps:withRange:",
        "setFragmentSamplerStates:withRange:",
        "setFragmentTexture:atIndex:",
        "setFragmentTextures:withRange:",
        "setFragmentVisibleFunctionTable:atBufferIndex:",
        "setFragmentVisibleFunctionTables:withBufferRange:",
        "setFrontFacingWinding:",
        "setMeshBuffer:offset:atIndex:",
        "setMeshBufferOffset:atIndex:",
        "setMeshBuffers:offsets:withRange:",
        "setMeshBytes:length:atIndex:",
        "setMeshSamplerState:atIndex:",
        "setMeshSamplerState:lodMinClamp:lodMaxClamp:atIndex:",
        "setMeshSamplerStates:lodMinClamps:lodMaxClamps:withRange:",
        "setMeshSamplerStates:withRange:",
        "setMeshTexture:atIndex:",
        "setMeshTextures:withRange:",
        "setObjectBuffer:offset:atIndex:",
        "setObjectBufferOffset:atIndex:",
        "setObjectBuffers:offsets:withRange:",
        "setObjectBytes:length:atIndex:",
        "setObjectSamplerState:atIndex:",
        "setObjectSamplerState:lodMinClamp:lodMaxClamp:atIndex:",
        "setObjectSamplerStates:lodMinClamps:lodMaxClamps:withRange:",
        "setObjectSamplerStates:withRange:",
        "setObjectTexture:atIndex:",
        "setObjectTextures:withRange:",
        "setObjectThreadgroupMemoryLength:atIndex:",
        "setRenderPipelineState:",
        "setScissorRect:",
        "setScissorRects:count:",
        "setStencilFrontReferenceValue:backReferenceValue:",
        "setStencilReferenceValue:",
        "setStencilStoreAction:",
        "setStencilStoreActionOptions:",
        "setTessellationFactorBuffer:offset:instanceStride:",
        "setTessellationFactorScale:",
        "setThreadgroupMemoryLength:offset:atIndex:",
        "setTileAccelerationStructure:atBufferIndex:",
        "setTileBuffer:offset:atIndex:",
        "setTileBufferOffset:atIndex:",
        "setTileBuffers:offsets:withRange:",
        "setTileBytes:length:atIndex:",
        "setTileIntersectionFunctionTable:atBufferIndex:",
        "setTileIntersectionFunctionTables:withBufferRange:",
        "setTileSamplerState:atIndex:",
        "setTileSamplerState:lodMinClamp:lodMaxClamp:atIndex:",
        "setTileSamplerStates:lodMinClamps:lodMaxClamps:withRange:",
        "setTileSamplerStates:withRange:",
        "setTileTexture:atIndex:",
        "setTileTextures:withRange:",
        "setTileVisibleFunctionTable:atBufferIndex:",
        "setTileVisibleFunctionTables:withBufferRange:",
        "setTriangleFillMode:",
        "setVertexAccelerationStructure:atBufferIndex:",
        "setVertexAmplificationCount:viewMappings:",
        "setVertexBuffer:offset:atIndex:",
        "setVertexBuffer:offset:attributeStride:atIndex:",
        "setVertexBufferOffset:atIndex:",
        "setVertexBufferOffset:attributeStride:atIndex:",
        "setVertexBuffers:offsets:attributeStrides:withRange:",
        "setVertexBuffers:offsets:withRange:",
        "setVertexBytes:length:atIndex:",
        "setVertexBytes:length:attributeStride:atIndex:",
        "setVertexIntersectionFunctionTable:atBufferIndex:",
        "setVertexIntersectionFunctionTables:withBufferRange:",
        "setVertexSamplerState:atIndex:",
        "setVertexSamplerState:lodMinClamp:lodMaxClamp:atIndex:",
        "setVertexSamplerStates:lodMinClamps:lodMaxClamps:withRange:",
        "setVertexSamplerStates:withRange:",
        "setVertexTexture:atIndex:",
        "setVertexTextures:withRange:",
        "setVertexVisibleFunctionTable:atBufferIndex:",
        "setVertexVisibleFunctionTables:withBufferRange:",
        "setViewport:",
        "setViewports:count:",
        "setVisibilityResultMode:offset:",
        "textureBarrier",
        "tileHeight",
        "tileWidth",
        "updateFence:afterStages:",
        "useHeap:",
        "useHeap:stages:",
        "useHeaps:count:",
        "useHeaps:count:stages:",
        "useResource:usage:",
        "useResource:usage:stages:",
        "useResources:count:usage:",
        "useResources:count:usage:stages:",
        "waitForFence:beforeStages:",
    }
    /// `MTLComputeCommandEncoder`: ray tracing, and `[[stage_in]]`.
    COMPUTE_ENCODER {
        "setAccelerationStructure:atBufferIndex:",
        "setIntersectionFunctionTable:atBufferIndex:",
        "setIntersectionFunctionTables:withBufferRange:",
        "setStageInRegionWithIndirectBuffer:indirectBufferOffset:",
    }
    /// `MTLBlitCommandEncoder`: sparse memory.
    BLIT_ENCODER {
        "getTextureAccessCounters:region:mipLevel:slice:resetCounters:countersBuffer:countersBufferOffset:",
        "resetTextureAccessCounters:region:mipLevel:slice:",
    }
    /// `MTLCaptureManager`: Metal 4.
    CAPTURE_MANAGER {
        "newCaptureScopeWithMTL4CommandQueue:",
    }
    /// `MTL4CommandQueue`: rendering and sparse memory.
    QUEUE4 {
        "copyBufferMappingsFromBuffer:toBuffer:operations:count:",
        "copyTextureMappingsFromTexture:toTexture:operations:count:",
        "signalDrawable:",
        "updateBufferMappings:heap:operations:count:",
        "updateTextureMappings:heap:operations:count:",
        "waitForDrawable:",
    }
    /// `MTL4CommandBuffer`: rendering and networks.
    COMMAND_BUFFER4 {
        "machineLearningCommandEncoder",
        "renderCommandEncoderWithDescriptor:",
        "renderCommandEncoderWithDescriptor:options:",
    }
    /// `MTL4ComputeCommandEncoder`: ray tracing.
    COMPUTE_ENCODER4 {
        "buildAccelerationStructure:descriptor:scratchBuffer:",
        "copyAccelerationStructure:toAccelerationStructure:",
        "copyAndCompactAccelerationStructure:toAccelerationStructure:",
        "refitAccelerationStructure:descriptor:destination:scratchBuffer:",
        "refitAccelerationStructure:descriptor:destination:scratchBuffer:options:",
        "writeCompactedAccelerationStructureSize:toBuffer:",
    }
    /// `MTL4Compiler`: rendering, networks, and code of its own format.
    COMPILER4 {
        "newBinaryFunctionWithDescriptor:compilerTaskOptions:completionHandler:",
        "newBinaryFunctionWithDescriptor:compilerTaskOptions:error:",
        "newDynamicLibrary:completionHandler:",
        "newDynamicLibrary:error:",
        "newDynamicLibraryWithURL:completionHandler:",
        "newDynamicLibraryWithURL:error:",
        "newMachineLearningPipelineStateWithDescriptor:completionHandler:",
        "newMachineLearningPipelineStateWithDescriptor:error:",
        "newRenderPipelineStateBySpecializationWithDescriptor:pipeline:completionHandler:",
        "newRenderPipelineStateBySpecializationWithDescriptor:pipeline:error:",
        "newRenderPipelineStateWithDescriptor:compilerTaskOptions:completionHandler:",
        "newRenderPipelineStateWithDescriptor:compilerTaskOptions:error:",
        "newRenderPipelineStateWithDescriptor:dynamicLinkingDescriptor:compilerTaskOptions:completionHandler:",
        "newRenderPipelineStateWithDescriptor:dynamicLinkingDescriptor:compilerTaskOptions:error:",
    }
}
