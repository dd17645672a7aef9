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
}
