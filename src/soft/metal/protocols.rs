//! Metal's protocols: what each adopts. Their methods are those of the classes here.

use crate::soft::runtime::protocol::soft_protocol;

soft_protocol! {
    protocol MTLAllocation: [NSObject] {}
    protocol MTLCommandEncoder: [NSObject] {}
    protocol MTLEvent: [NSObject] {}
    protocol MTLResource: [MTLAllocation] {}
    protocol MTLHeap: [MTLAllocation] {}
    protocol MTLBuffer: [MTLResource] {}
    protocol MTLTexture: [MTLResource] {}
    protocol MTLTensor: [MTLResource] {}
    protocol MTLIndirectCommandBuffer: [MTLResource] {}
    protocol MTLVisibleFunctionTable: [MTLResource] {}
    protocol MTLComputePipelineState: [MTLAllocation] {}
    protocol MTLRenderPipelineState: [MTLAllocation] {}
    protocol MTLComputeCommandEncoder: [MTLCommandEncoder] {}
    protocol MTLBlitCommandEncoder: [MTLCommandEncoder] {}
    protocol MTL4CommandEncoder: [NSObject] {}
    protocol MTL4ComputeCommandEncoder: [MTL4CommandEncoder] {}
    protocol MTLRenderCommandEncoder: [MTLCommandEncoder] {}
    protocol MTLSharedEvent: [MTLEvent] {}
    // Of what soft Metal does not have: no class conforms to them.
    protocol MTL4Archive: [NSObject] {}
    protocol MTL4BinaryFunction: [NSObject] {}
    protocol MTL4MachineLearningCommandEncoder: [MTL4CommandEncoder] {}
    protocol MTL4MachineLearningPipelineState: [MTLAllocation] {}
    protocol MTL4PipelineDataSetSerializer: [NSObject] {}
    protocol MTL4RenderCommandEncoder: [MTL4CommandEncoder] {}
    protocol MTLAccelerationStructure: [MTLResource] {}
    protocol MTLAccelerationStructureCommandEncoder: [MTLCommandEncoder] {}
    protocol MTLDepthStencilState: [NSObject] {}
    protocol MTLDrawable: [NSObject] {}
    protocol MTLDynamicLibrary: [NSObject] {}
    protocol MTLFunctionLogDebugLocation: [NSObject] {}
    protocol MTLFunctionStitchingAttribute: [NSObject] {}
    protocol MTLFunctionStitchingNode: [NSCopying] {}
    protocol MTLIOCommandBuffer: [NSObject] {}
    protocol MTLIOCommandQueue: [NSObject] {}
    protocol MTLIOFileHandle: [NSObject] {}
    protocol MTLIOScratchBuffer: [NSObject] {}
    protocol MTLIOScratchBufferAllocator: [NSObject] {}
    protocol MTLIndirectRenderCommand: [NSObject] {}
    protocol MTLIntersectionFunctionTable: [MTLResource] {}
    protocol MTLLogContainer: [NSFastEnumeration] {}
    protocol MTLObjectPayloadBinding: [MTLBinding] {}
    protocol MTLParallelRenderCommandEncoder: [MTLCommandEncoder] {}
    protocol MTLRasterizationRateMap: [NSObject] {}
    protocol MTLResourceStateCommandEncoder: [MTLCommandEncoder] {}
    protocol MTLResourceViewPool: [NSObject] {}
    protocol MTLTextureViewPool: [MTLResourceViewPool] {}
}
