//! Descriptors of rendering: they have their properties, as programs set them when they start. Nothing here renders.

use super::buffer::Buffer;
use super::counters::CounterSampleBuffer;
use super::foundation::{Bytes, List, NSObject, Retained, Strong, Text, lock, soft_class};
use super::function::Function;
use super::function_descriptors::LinkedFunctions;
use super::properties::properties;
use super::slots::{Slots, slots};
use super::stage_input::PipelineBufferDescriptor;
use super::texture::Texture;
use crate::abi::{Class, Encode};
use crate::soft::runtime::declare::values;
use std::sync::Mutex;

/// `MTLClearColor`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ClearColor([f64; 4]);

// SAFETY: four numbers, as the encoding says.
unsafe impl Encode for ClearColor {
    const ENCODING: &'static str = "{?=dddd}";
}

impl ClearColor {
    const BLACK: Self = Self([0.0, 0.0, 0.0, 1.0]);
}

/// Positions of samples within a pixel, which a message passes.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Positions(*mut [f32; 2]);

// SAFETY: a pointer to structs of two numbers, as the encoding says.
unsafe impl Encode for Positions {
    const ENCODING: &'static str = "^{?=ff}";
}

values!(ClearColor, Positions);

/// `MTLCompareFunctionAlways`.
const ALWAYS: usize = 7;
/// `MTLStoreActionStore`.
const STORE: usize = 1;

/// A class of textures that a pass renders to: what all of them have, and its own properties.
macro_rules! attachment {
    ($(#[$doc:meta])* class $Class:ident($Name:ident, $Fields:ident), store $store:expr; $($own:tt)*) => {
        properties! {
            $(#[$doc])*
            class $Class($Name, $Fields);
            [depthPlane, setDepthPlane:] depth_plane: usize = 0;
            [level, setLevel:] level: usize = 0;
            [loadAction, setLoadAction:] load_action: usize = 0;
            [resolveDepthPlane, setResolveDepthPlane:] resolve_depth_plane: usize = 0;
            [resolveLevel, setResolveLevel:] resolve_level: usize = 0;
            [resolveSlice, setResolveSlice:] resolve_slice: usize = 0;
            [resolveTexture, setResolveTexture:] resolve_texture: Option<Strong<Texture>> = None;
            [slice, setSlice:] slice: usize = 0;
            [storeAction, setStoreAction:] store_action: usize = $store;
            [storeActionOptions, setStoreActionOptions:] store_action_options: usize = 0;
            [texture, setTexture:] texture: Option<Strong<Texture>> = None;
            $($own)*
        }
    };
}

attachment! {
    /// A texture that a pass renders to.
    class MTLRenderPassAttachmentDescriptor(Attachment, AttachmentFields), store 0;
}

attachment! {
    /// A texture of colours.
    class MTLRenderPassColorAttachmentDescriptor(ColorAttachment, ColorAttachmentFields), store STORE;
    [clearColor, setClearColor:] clear_color: ClearColor = ClearColor::BLACK;
}

slots! {
    /// The textures of colours of a pass.
    class MTLRenderPassColorAttachmentDescriptorArray of ColorAttachment
}

attachment! {
    /// A texture of depths.
    class MTLRenderPassDepthAttachmentDescriptor(DepthAttachment, DepthAttachmentFields), store 0;
    [clearDepth, setClearDepth:] clear_depth: f64 = 1.0;
    [depthResolveFilter, setDepthResolveFilter:] depth_resolve_filter: usize = 0;
}

attachment! {
    /// A texture of stencils.
    class MTLRenderPassStencilAttachmentDescriptor(StencilAttachment, StencilAttachmentFields), store 0;
    [clearStencil, setClearStencil:] clear_stencil: u32 = 0;
    [stencilResolveFilter, setStencilResolveFilter:] stencil_resolve_filter: usize = 0;
}

properties! {
    /// Samples of counters that a pass takes.
    class MTLRenderPassSampleBufferAttachmentDescriptor(RenderSample, RenderSampleFields);
    [endOfFragmentSampleIndex, setEndOfFragmentSampleIndex:] end_of_fragment_sample_index: usize = 0;
    [endOfVertexSampleIndex, setEndOfVertexSampleIndex:] end_of_vertex_sample_index: usize = 0;
    [sampleBuffer, setSampleBuffer:] sample_buffer: Option<Strong<CounterSampleBuffer>> = None;
    [startOfFragmentSampleIndex, setStartOfFragmentSampleIndex:] start_of_fragment_sample_index: usize = 0;
    [startOfVertexSampleIndex, setStartOfVertexSampleIndex:] start_of_vertex_sample_index: usize = 0;
}

slots! {
    /// The samples of counters of a pass.
    class MTLRenderPassSampleBufferAttachmentDescriptorArray of RenderSample
}

properties! {
    /// A pass: what is rendered to.
    class MTLRenderPassDescriptor(RenderPassDescriptor, RenderPassFields);
    [defaultRasterSampleCount, setDefaultRasterSampleCount:] default_raster_sample_count: usize = 0;
    [depthAttachment, setDepthAttachment:] depth_attachment: Option<Strong<DepthAttachment>> = Some(Strong::new(DepthAttachment::default()));
    [imageblockSampleLength, setImageblockSampleLength:] imageblock_sample_length: usize = 0;
    [rasterizationRateMap, setRasterizationRateMap:] rasterization_rate_map: Option<Retained> = None;
    [renderTargetArrayLength, setRenderTargetArrayLength:] render_target_array_length: usize = 0;
    [renderTargetHeight, setRenderTargetHeight:] render_target_height: usize = 0;
    [renderTargetWidth, setRenderTargetWidth:] render_target_width: usize = 0;
    [stencilAttachment, setStencilAttachment:] stencil_attachment: Option<Strong<StencilAttachment>> = Some(Strong::new(StencilAttachment::default()));
    [supportColorAttachmentMapping, setSupportColorAttachmentMapping:] support_color_attachment_mapping: bool = false;
    [threadgroupMemoryLength, setThreadgroupMemoryLength:] threadgroup_memory_length: usize = 0;
    [tileHeight, setTileHeight:] tile_height: usize = 0;
    [tileWidth, setTileWidth:] tile_width: usize = 0;
    [visibilityResultBuffer, setVisibilityResultBuffer:] visibility_result_buffer: Option<Strong<Buffer>> = None;
    [visibilityResultType, setVisibilityResultType:] visibility_result_type: isize = 0;
    read {
        [colorAttachments] colors: Strong<Slots<ColorAttachment>> = Strong::new(Slots::default());
        [sampleBufferAttachments] samples: Strong<Slots<RenderSample>> = Strong::new(Slots::default());
        [aruminiumSamplePositions] positions: Strong<Bytes> = Bytes::object(&[]);
    }
    rows {
        class [renderPassDescriptor] = |_: Class| Strong::new(RenderPassDescriptor::default());
        [setSamplePositions:count:] = RenderPassDescriptor::set_positions;
        [getSamplePositions:count:] = RenderPassDescriptor::positions;
    }
}

properties! {
    /// Where an attribute of a vertex is.
    class MTLVertexAttributeDescriptor(VertexAttributeDescriptor, VertexAttributeFields);
    [bufferIndex, setBufferIndex:] buffer_index: usize = 0;
    [format, setFormat:] format: usize = 0;
    [offset, setOffset:] offset: usize = 0;
}

slots! {
    /// The attributes of a vertex.
    class MTLVertexAttributeDescriptorArray of VertexAttributeDescriptor
}

properties! {
    /// How a buffer of vertices is walked through.
    class MTLVertexBufferLayoutDescriptor(VertexBufferLayoutDescriptor, VertexBufferLayoutFields);
    [stepFunction, setStepFunction:] step_function: usize = PER_VERTEX;
    [stepRate, setStepRate:] step_rate: usize = 1;
    [stride, setStride:] stride: usize = 0;
}

/// `MTLVertexStepFunctionPerVertex`.
const PER_VERTEX: usize = 1;

slots! {
    /// The buffers of vertices.
    class MTLVertexBufferLayoutDescriptorArray of VertexBufferLayoutDescriptor
}

properties! {
    /// The components of a vertex.
    class MTLVertexDescriptor(VertexDescriptor, VertexFields);

    read {
        [attributes] attributes: Strong<Slots<VertexAttributeDescriptor>> = Strong::new(Slots::default());
        [layouts] layouts: Strong<Slots<VertexBufferLayoutDescriptor>> = Strong::new(Slots::default());
    }
    rows {
        class [vertexDescriptor] = |_: Class| Strong::new(VertexDescriptor::default());
        [reset] = |this: &VertexDescriptor| {
            let _old = std::mem::take(&mut *lock(&this.0));
        };
    }
}

properties! {
    /// How colours are written.
    class MTLRenderPipelineColorAttachmentDescriptor(PipelineColor, PipelineColorFields);
    [alphaBlendOperation, setAlphaBlendOperation:] alpha_blend_operation: usize = 0;
    [isBlendingEnabled, setBlendingEnabled:] blending_enabled: bool = false;
    [destinationAlphaBlendFactor, setDestinationAlphaBlendFactor:] destination_alpha_blend_factor: usize = 0;
    [destinationRGBBlendFactor, setDestinationRGBBlendFactor:] destination_rgb_blend_factor: usize = 0;
    [pixelFormat, setPixelFormat:] pixel_format: usize = 0;
    [rgbBlendOperation, setRgbBlendOperation:] rgb_blend_operation: usize = 0;
    [sourceAlphaBlendFactor, setSourceAlphaBlendFactor:] source_alpha_blend_factor: usize = 1;
    [sourceRGBBlendFactor, setSourceRGBBlendFactor:] source_rgb_blend_factor: usize = 1;
    [writeMask, setWriteMask:] write_mask: usize = 15;
}

slots! {
    /// The colours of a pipeline.
    class MTLRenderPipelineColorAttachmentDescriptorArray of PipelineColor
}

properties! {
    /// Properties of a new render pipeline state.
    class MTLRenderPipelineDescriptor(RenderPipelineDescriptor, RenderPipelineFields);
    [isAlphaToCoverageEnabled, setAlphaToCoverageEnabled:] alpha_to_coverage_enabled: bool = false;
    [isAlphaToOneEnabled, setAlphaToOneEnabled:] alpha_to_one_enabled: bool = false;
    [binaryArchives, setBinaryArchives:] binary_archives: Option<Strong<List>> = None;
    [depthAttachmentPixelFormat, setDepthAttachmentPixelFormat:] depth_attachment_pixel_format: usize = 0;
    [fragmentFunction, setFragmentFunction:] fragment_function: Option<Strong<Function>> = None;
    [fragmentLinkedFunctions, setFragmentLinkedFunctions:] fragment_linked_functions: Option<Strong<LinkedFunctions>> = None;
    [fragmentPreloadedLibraries, setFragmentPreloadedLibraries:] fragment_preloaded_libraries: Option<Strong<List>> = None;
    [inputPrimitiveTopology, setInputPrimitiveTopology:] input_primitive_topology: usize = 0;
    [label, setLabel:] label: Option<Strong<Text>> = None;
    [maxFragmentCallStackDepth, setMaxFragmentCallStackDepth:] max_fragment_call_stack_depth: usize = 1;
    [maxTessellationFactor, setMaxTessellationFactor:] max_tessellation_factor: usize = 16;
    [maxVertexAmplificationCount, setMaxVertexAmplificationCount:] max_vertex_amplification_count: usize = 1;
    [maxVertexCallStackDepth, setMaxVertexCallStackDepth:] max_vertex_call_stack_depth: usize = 1;
    [rasterSampleCount, setRasterSampleCount:] raster_sample_count: usize = 1;
    [isRasterizationEnabled, setRasterizationEnabled:] rasterization_enabled: bool = true;
    [shaderValidation, setShaderValidation:] shader_validation: isize = 0;
    [stencilAttachmentPixelFormat, setStencilAttachmentPixelFormat:] stencil_attachment_pixel_format: usize = 0;
    [supportAddingFragmentBinaryFunctions, setSupportAddingFragmentBinaryFunctions:] support_adding_fragment_binary_functions: bool = false;
    [supportAddingVertexBinaryFunctions, setSupportAddingVertexBinaryFunctions:] support_adding_vertex_binary_functions: bool = false;
    [supportIndirectCommandBuffers, setSupportIndirectCommandBuffers:] support_indirect_command_buffers: bool = false;
    [tessellationControlPointIndexType, setTessellationControlPointIndexType:] tessellation_control_point_index_type: usize = 0;
    [tessellationFactorFormat, setTessellationFactorFormat:] tessellation_factor_format: usize = 0;
    [isTessellationFactorScaleEnabled, setTessellationFactorScaleEnabled:] tessellation_factor_scale_enabled: bool = false;
    [tessellationFactorStepFunction, setTessellationFactorStepFunction:] tessellation_factor_step_function: usize = 0;
    [tessellationOutputWindingOrder, setTessellationOutputWindingOrder:] tessellation_output_winding_order: usize = 0;
    [tessellationPartitionMode, setTessellationPartitionMode:] tessellation_partition_mode: usize = 0;
    [vertexDescriptor, setVertexDescriptor:] vertex_descriptor: Option<Strong<VertexDescriptor>> = None;
    [vertexFunction, setVertexFunction:] vertex_function: Option<Strong<Function>> = None;
    [vertexLinkedFunctions, setVertexLinkedFunctions:] vertex_linked_functions: Option<Strong<LinkedFunctions>> = None;
    [vertexPreloadedLibraries, setVertexPreloadedLibraries:] vertex_preloaded_libraries: Option<Strong<List>> = None;
    read {
        [colorAttachments] colors: Strong<Slots<PipelineColor>> = Strong::new(Slots::default());
        [vertexBuffers] vertex_buffers: Strong<Slots<PipelineBufferDescriptor>> = Strong::new(Slots::default());
        [fragmentBuffers] fragment_buffers: Strong<Slots<PipelineBufferDescriptor>> = Strong::new(Slots::default());
    }
    rows {
        // The older name of the raster's.
        [sampleCount] = |this: &RenderPipelineDescriptor| lock(&this.0).raster_sample_count;
        [setSampleCount:] = |this: &RenderPipelineDescriptor, count: usize| {
            lock(&this.0).raster_sample_count = count;
        };
        [reset] = |this: &RenderPipelineDescriptor| {
            let _old = std::mem::take(&mut *lock(&this.0));
        };
    }
}

properties! {
    /// How stencils are compared and written.
    class MTLStencilDescriptor(StencilDescriptor, StencilFields);
    [depthFailureOperation, setDepthFailureOperation:] depth_failure_operation: usize = 0;
    [depthStencilPassOperation, setDepthStencilPassOperation:] depth_stencil_pass_operation: usize = 0;
    [readMask, setReadMask:] read_mask: u32 = u32::MAX;
    [stencilCompareFunction, setStencilCompareFunction:] stencil_compare_function: usize = ALWAYS;
    [stencilFailureOperation, setStencilFailureOperation:] stencil_failure_operation: usize = 0;
    [writeMask, setWriteMask:] write_mask: u32 = u32::MAX;
}

properties! {
    /// How depths and stencils are compared.
    class MTLDepthStencilDescriptor(DepthStencilDescriptor, DepthStencilFields);
    [backFaceStencil, setBackFaceStencil:] back_face_stencil: Option<Strong<StencilDescriptor>> = Some(Strong::new(StencilDescriptor::default()));
    [depthCompareFunction, setDepthCompareFunction:] depth_compare_function: usize = ALWAYS;
    [isDepthWriteEnabled, setDepthWriteEnabled:] depth_write_enabled: bool = false;
    [frontFaceStencil, setFrontFaceStencil:] front_face_stencil: Option<Strong<StencilDescriptor>> = Some(Strong::new(StencilDescriptor::default()));
    [label, setLabel:] label: Option<Strong<Text>> = None;
}

impl RenderPassDescriptor {
    /// NULL is no positions.
    fn set_positions(&self, positions: Positions, count: usize) {
        let bytes: &[u8] = match positions.0.is_null() {
            true => &[],
            // SAFETY: the message passed that many.
            false => unsafe { std::slice::from_raw_parts(positions.0.cast(), 8 * count) },
        };
        let _old = std::mem::replace(&mut lock(&self.0).positions, Bytes::object(bytes));
    }

    /// Stores as many as there are and fit, and returns how many there are.
    fn positions(&self, to: Positions, count: usize) -> usize {
        let positions = lock(&self.0).positions.clone();
        let bytes = positions.as_slice();
        if !to.0.is_null() {
            let bytes = &bytes[..bytes.len().min(8 * count)];
            // SAFETY: the message passed room for that many.
            unsafe { to.0.cast::<u8>().copy_from(bytes.as_ptr(), bytes.len()) };
        }
        bytes.len() / 8
    }
}
