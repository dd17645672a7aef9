//! Descriptors: objects that only have properties, one line each.

use super::foundation::{Address, List, NSObject, Pairs, Retained, Strong, lock, soft_class};
use super::properties::{LabelText, properties};
use crate::abi::{Class, MTLSize, MTLTextureSwizzleChannels, NSRange};
use std::sync::Mutex;

properties! {
    /// How to compile a source text.
    class MTLCompileOptions(CompileOptions, CompileFields);
    [fastMathEnabled, setFastMathEnabled:] fast_math: bool = true;
    [mathMode, setMathMode:] math_mode: isize = MATH_FAST;
    [mathFloatingPointFunctions, setMathFloatingPointFunctions:] functions: isize = 0;
    [languageVersion, setLanguageVersion:] language_version: usize = DEFAULT_LANGUAGE;
    [preprocessorMacros, setPreprocessorMacros:] macros: Option<Strong<Pairs>> = None;
    [libraryType, setLibraryType:] library_type: isize = 0;
    [installName, setInstallName:] install_name: LabelText = None;
    [libraries, setLibraries:] libraries: Option<Strong<List>> = None;
    [preserveInvariance, setPreserveInvariance:] preserve_invariance: bool = false;
    [optimizationLevel, setOptimizationLevel:] optimization_level: isize = 0;
    [compileSymbolVisibility, setCompileSymbolVisibility:] visibility: isize = 0;
    [allowReferencingUndefinedSymbols, setAllowReferencingUndefinedSymbols:] undefined: bool = false;
    [maxTotalThreadsPerThreadgroup, setMaxTotalThreadsPerThreadgroup:] max_threads: usize = 0;
    [requiredThreadsPerThreadgroup, setRequiredThreadsPerThreadgroup:] required: MTLSize =
        MTLSize { width: 0, height: 0, depth: 0 };
    [enableLogging, setEnableLogging:] logging: bool = false;
    [aruminiumHeaders, aruminiumSetHeaders:] headers: Option<Strong<Pairs>> = None;
}

/// `MTLLanguageVersion3_1`.
const DEFAULT_LANGUAGE: usize = (3 << 16) + 1;

/// `MTLMathMode`.
const MATH_SAFE: isize = 0;
const MATH_FAST: isize = 2;

impl CompileFields {
    /// Fast math, unless the older or the newer of its properties says otherwise.
    pub(super) fn is_safe(&self) -> bool {
        !self.fast_math || self.math_mode == MATH_SAFE
    }

    /// The version that the host chose, as `__METAL_VERSION__` has it. In an `MTLLanguageVersion` the major version is
    /// in the upper half.
    pub(super) fn language(&self) -> Option<u32> {
        let version = self.language_version as u32;
        (self.language_version != DEFAULT_LANGUAGE)
            .then(|| 100 * (version >> 16) + 10 * (version & 0xffff))
    }
}

properties! {
    /// Which messages of `os_log` are wanted, and how many bytes of them.
    class MTLLogStateDescriptor(LogStateDescriptor, LogStateFields);
    [level, setLevel:] level: isize = 0;
    [bufferSize, setBufferSize:] buffer_size: isize = 0;
}

properties! {
    /// Properties of a new command buffer.
    class MTLCommandBufferDescriptor(CommandBufferDescriptor, CommandBufferFields);
    [retainedReferences, setRetainedReferences:] retained_references: bool = true;
    [errorOptions, setErrorOptions:] error_options: usize = 0;
    [logState, setLogState:] log_state: Option<Retained> = None;
}

properties! {
    /// Properties of a new queue.
    class MTLCommandQueueDescriptor(CommandQueueDescriptor, CommandQueueFields);
    [maxCommandBufferCount, setMaxCommandBufferCount:] max_command_buffers: usize = 64;
    [logState, setLogState:] log_state: Option<Retained> = None;
}

properties! {
    /// The kinds of commands that an indirect command buffer may have.
    class MTLIndirectCommandBufferDescriptor(IndirectCommandBufferDescriptor, IndirectCommandBufferFields);
    [commandTypes, setCommandTypes:] types: usize = 0;
    [inheritPipelineState, setInheritPipelineState:] inherit_pipeline: bool = true;
    [inheritBuffers, setInheritBuffers:] inherit_buffers: bool = true;
    [maxVertexBufferBindCount, setMaxVertexBufferBindCount:] vertex_buffers: usize = 31;
    [maxFragmentBufferBindCount, setMaxFragmentBufferBindCount:] fragment_buffers: usize = 31;
    [maxKernelBufferBindCount, setMaxKernelBufferBindCount:] kernel_buffers: usize = 31;
    [maxKernelThreadgroupMemoryBindCount, setMaxKernelThreadgroupMemoryBindCount:] threadgroup: usize = 31;
    // Of rendering, which is refused.
    [maxObjectBufferBindCount, setMaxObjectBufferBindCount:] object_buffers: usize = 0;
    [maxMeshBufferBindCount, setMaxMeshBufferBindCount:] mesh_buffers: usize = 0;
    [maxObjectThreadgroupMemoryBindCount, setMaxObjectThreadgroupMemoryBindCount:] object_memory: usize = 0;
    [inheritDepthStencilState, setInheritDepthStencilState:] depth_stencil: bool = true;
    [inheritDepthBias, setInheritDepthBias:] depth_bias: bool = true;
    [inheritDepthClipMode, setInheritDepthClipMode:] depth_clip: bool = true;
    [inheritCullMode, setInheritCullMode:] cull_mode: bool = true;
    [inheritFrontFacingWinding, setInheritFrontFacingWinding:] winding: bool = true;
    [inheritTriangleFillMode, setInheritTriangleFillMode:] fill_mode: bool = true;
    [supportColorAttachmentMapping, setSupportColorAttachmentMapping:] mapping: bool = false;
    [supportRayTracing, setSupportRayTracing:] ray_tracing: bool = false;
    [supportDynamicAttributeStride, setSupportDynamicAttributeStride:] attribute_stride: bool = false;
}

properties! {
    /// How many functions a table has.
    class MTLVisibleFunctionTableDescriptor(VisibleFunctionTableDescriptor, VisibleFunctionTableFields);
    [functionCount, setFunctionCount:] count: usize = 0;
    rows {
        class [visibleFunctionTableDescriptor] = |_: Class| {
            Strong::new(VisibleFunctionTableDescriptor::default())
        };
    }
}

properties! {
    /// Names the file of an archive.
    class MTLBinaryArchiveDescriptor(BinaryArchiveDescriptor, BinaryArchiveFields);
    [url, setUrl:] url: Option<Strong<Address>> = None;
}

properties! {
    /// Properties of a new sampler.
    class MTLSamplerDescriptor(SamplerDescriptor, SamplerFields);
    [label, setLabel:] label: LabelText = None;
    [minFilter, setMinFilter:] min_filter: usize = 0;
    [magFilter, setMagFilter:] mag_filter: usize = 0;
    [mipFilter, setMipFilter:] mip_filter: usize = 0;
    [maxAnisotropy, setMaxAnisotropy:] max_anisotropy: usize = 1;
    [sAddressMode, setSAddressMode:] s_address: usize = 0;
    [tAddressMode, setTAddressMode:] t_address: usize = 0;
    [rAddressMode, setRAddressMode:] r_address: usize = 0;
    [borderColor, setBorderColor:] border_color: usize = 0;
    [normalizedCoordinates, setNormalizedCoordinates:] normalized: bool = true;
    [lodMinClamp, setLodMinClamp:] lod_min: f32 = 0.0;
    [lodMaxClamp, setLodMaxClamp:] lod_max: f32 = f32::MAX;
    [lodAverage, setLodAverage:] lod_average: bool = false;
    [lodBias, setLodBias:] lod_bias: f32 = 0.0;
    [compareFunction, setCompareFunction:] compare: usize = 0;
    [reductionMode, setReductionMode:] reduction: usize = 0;
    [supportArgumentBuffers, setSupportArgumentBuffers:] argument_buffers: bool = false;
}

properties! {
    /// Properties of a new heap.
    class MTLHeapDescriptor(HeapDescriptor, HeapFields);
    [size, setSize:] size: usize = 0;
    [storageMode, setStorageMode:] storage: usize = super::resource::PRIVATE;
    [cpuCacheMode, setCpuCacheMode:] cache: usize = 0;
    [hazardTrackingMode, setHazardTrackingMode:] hazard: usize = super::resource::UNTRACKED;
    [type, setType:] kind: isize = 0;
    [sparsePageSize, setSparsePageSize:] sparse_page_size: isize = 0;
    [maxCompatiblePlacementSparsePageSize, setMaxCompatiblePlacementSparsePageSize:]
        placement_page_size: isize = 0;
    rows {
        [resourceOptions] = |this: &HeapDescriptor| this.get().options().0;
        [setResourceOptions:] = |this: &HeapDescriptor, options: usize| {
            let options = super::resource::Options(options);
            let mut fields = lock(&this.0);
            fields.storage = options.storage_mode();
            fields.cache = options.cpu_cache_mode();
            fields.hazard = options.hazard_tracking_mode();
        };
    }
}

impl HeapFields {
    pub(super) fn options(&self) -> super::resource::Options {
        super::resource::Options::new(self.cache, self.storage, self.hazard)
    }
}

properties! {
    /// Properties of a new residency set.
    class MTLResidencySetDescriptor(ResidencySetDescriptor, ResidencySetFields);
    [label, setLabel:] label: LabelText = None;
    [initialCapacity, setInitialCapacity:] capacity: usize = 0;
}

properties! {
    /// The object to capture, and the destination.
    class MTLCaptureDescriptor(CaptureDescriptor, CaptureFields);
    [captureObject, setCaptureObject:] object: Option<Retained> = None;
    [destination, setDestination:] destination: isize = 1;
    [outputURL, setOutputURL:] output: Option<Strong<super::foundation::Address>> = None;
}

properties! {
    /// Properties of a new texture.
    class MTLTextureDescriptor(TextureDescriptor, TextureFields);
    [textureType, setTextureType:] kind: usize = crate::soft::stream::image::kind::D2;
    [pixelFormat, setPixelFormat:] format: usize = 70;
    [width, setWidth:] width: usize = 1;
    [height, setHeight:] height: usize = 1;
    [depth, setDepth:] depth: usize = 1;
    [mipmapLevelCount, setMipmapLevelCount:] levels: usize = 1;
    [sampleCount, setSampleCount:] samples: usize = 1;
    [arrayLength, setArrayLength:] array_length: usize = 1;
    [cpuCacheMode, setCpuCacheMode:] cache: usize = 0;
    [storageMode, setStorageMode:] storage: usize = 0;
    [hazardTrackingMode, setHazardTrackingMode:] hazard: usize = 0;
    [usage, setUsage:] usage: usize = crate::soft::stream::image::SHADER_READ;
    [allowGPUOptimizedContents, setAllowGPUOptimizedContents:] optimized: bool = true;
    [compressionType, setCompressionType:] compression: isize = 0;
    [placementSparsePageSize, setPlacementSparsePageSize:] page_size: isize = 0;
    [swizzle, setSwizzle:] swizzle: MTLTextureSwizzleChannels = MTLTextureSwizzleChannels::default();
    rows {
        class [texture2DDescriptorWithPixelFormat:width:height:mipmapped:] = texture_2d;
        class [textureCubeDescriptorWithPixelFormat:size:mipmapped:] = texture_cube;
        class [textureBufferDescriptorWithPixelFormat:width:resourceOptions:usage:] = texture_buffer;
        [resourceOptions] = |this: &TextureDescriptor| this.get().options().0;
        [setResourceOptions:] = |this: &TextureDescriptor, options: usize| {
            lock(&this.0).set_options(super::resource::Options(options));
        };
    }
}

properties! {
    /// Properties of a view of a texture.
    class MTLTextureViewDescriptor(TextureViewDescriptor, TextureViewFields);
    [textureType, setTextureType:] kind: usize = crate::soft::stream::image::kind::D2;
    [pixelFormat, setPixelFormat:] format: usize = 0;
    [levelRange, setLevelRange:] levels: NSRange = NSRange { location: 0, length: 1 };
    [sliceRange, setSliceRange:] slices: NSRange = NSRange { location: 0, length: 1 };
    [swizzle, setSwizzle:] swizzle: MTLTextureSwizzleChannels = MTLTextureSwizzleChannels::default();
}

impl TextureFields {
    pub(super) fn options(&self) -> super::resource::Options {
        super::resource::Options::new(self.cache, self.storage, self.hazard)
    }

    fn set_options(&mut self, options: super::resource::Options) {
        self.storage = options.storage_mode();
        self.cache = options.cpu_cache_mode();
        self.hazard = options.hazard_tracking_mode();
    }

    fn object(self) -> Strong<TextureDescriptor> {
        Strong::new(TextureDescriptor(Mutex::new(self)))
    }
}

/// The number of levels down to a single pixel.
pub(super) fn full_levels(longest: usize) -> usize {
    (usize::BITS - longest.max(1).leading_zeros()) as usize
}

fn texture_2d(
    _: Class,
    format: usize,
    width: usize,
    height: usize,
    mipmapped: bool,
) -> Strong<TextureDescriptor> {
    let levels = if mipmapped { full_levels(width.max(height)) } else { 1 };
    TextureFields { format, width, height, levels, ..TextureFields::default() }.object()
}

fn texture_cube(
    _: Class,
    format: usize,
    size: usize,
    mipmapped: bool,
) -> Strong<TextureDescriptor> {
    let levels = if mipmapped { full_levels(size) } else { 1 };
    let (width, height, kind) = (size, size, crate::soft::stream::image::kind::CUBE);
    TextureFields { kind, format, width, height, levels, ..TextureFields::default() }.object()
}

fn texture_buffer(
    _: Class,
    format: usize,
    width: usize,
    options: usize,
    usage: usize,
) -> Strong<TextureDescriptor> {
    let kind = crate::soft::stream::image::kind::BUFFER;
    let mut fields = TextureFields { kind, format, width, usage, ..TextureFields::default() };
    fields.set_options(super::resource::Options(options));
    fields.object()
}
