//! Descriptors: objects that only have properties, one line each.

use super::compiler::{Constant, ConstantKey};
use super::counters::{BlitSamples, ComputeSamples};
use super::foundation::{
    Address, List, NSObject, Object, Pairs, Retained, Strong, Text, This, Zone, lock, soft_class,
};
use super::function::{CALL_DEPTH, Function};
use super::slots::Slots;
use super::stage_input::{PipelineBufferDescriptor, StageInputOutputDescriptor};
use crate::abi::{Class, MTLSize, MTLTextureSwizzleChannels, NSRange};
use std::ffi::c_void;
use std::sync::Mutex;

/// Declares a class of properties: for each its getter, its setter, its Rust name, its type and its initial value;
/// after `read`, those without a setter.
/// Further rows are as in `soft_class!`.
macro_rules! properties {
    (
        $(#[$doc:meta])*
        class $name:ident($payload:ident, $fields:ident);
        $([$getter:ident, $setter:ident:] $field:ident: $ty:ty = $default:expr;)*
        $(read { $([$read:ident] $read_field:ident: $read_ty:ty = $read_default:expr;)+ })?
        $(rows { $($rows:tt)* })?
    ) => {
        /// The properties.
        #[derive(Clone)]
        pub(super) struct $fields {
            $(pub(super) $field: $ty,)*
            $($(pub(super) $read_field: $read_ty,)+)?
        }

        impl Default for $fields {
            fn default() -> Self {
                Self { $($field: $default,)* $($($read_field: $read_default,)+)? }
            }
        }

        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $payload(Mutex<$fields>);

        impl $payload {
            /// All properties as they are now.
            pub(super) fn get(&self) -> $fields {
                lock(&self.0).clone()
            }
        }

        soft_class! {
            $(#[$doc])*
            pub(super) class $name($payload): NSObject, conforms [NSCopying];
            init [init] = $payload::default;
            [copyWithZone:] = |this: &$payload, _: $crate::soft::metal::foundation::Zone| {
                Strong::new($payload(Mutex::new(this.get())))
            };
            $(
                [$getter] = |this: &$payload| lock(&this.0).$field.clone();
                [$setter:] = |this: &$payload, value: $ty| {
                    // The old value is dropped after the lock is released.
                    let _old = std::mem::replace(&mut lock(&this.0).$field, value);
                };
            )*
            $($([$read] = |this: &$payload| lock(&this.0).$read_field.clone();)+)?
            $($($rows)*)?
        }
    };
}
pub(super) use properties;

/// A label.
type LabelText = Option<Strong<Text>>;

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

properties! {
    /// Properties of a new compute pipeline state.
    class MTLComputePipelineDescriptor(ComputePipelineDescriptor, ComputePipelineFields);
    [label, setLabel:] label: LabelText = None;
    [computeFunction, setComputeFunction:] function: Option<Strong<Function>> = None;
    [threadGroupSizeIsMultipleOfThreadExecutionWidth,
        setThreadGroupSizeIsMultipleOfThreadExecutionWidth:] multiple_of_width: bool = false;
    [maxTotalThreadsPerThreadgroup, setMaxTotalThreadsPerThreadgroup:] max_threads: usize = 0;
    [linkedFunctions, setLinkedFunctions:] linked: Option<Strong<LinkedFunctions>> = None;
    [maxCallStackDepth, setMaxCallStackDepth:] call_depth: usize = CALL_DEPTH;
    [supportIndirectCommandBuffers, setSupportIndirectCommandBuffers:] indirect: bool = false;
    [supportAddingBinaryFunctions, setSupportAddingBinaryFunctions:] adding: bool = false;
    [preloadedLibraries, setPreloadedLibraries:] preloaded: Option<Strong<List>> = None;
    [insertLibraries, setInsertLibraries:] inserted: Option<Strong<List>> = None;
    [binaryArchives, setBinaryArchives:] archives: Option<Strong<List>> = None;
    [shaderValidation, setShaderValidation:] validation: isize = 0;
    [requiredThreadsPerThreadgroup, setRequiredThreadsPerThreadgroup:] required: MTLSize =
        MTLSize { width: 0, height: 0, depth: 0 };
    [stageInputDescriptor, setStageInputDescriptor:] stage_input: Option<Strong<StageInputOutputDescriptor>> = None;
    read {
        [buffers] buffers: Strong<Slots<PipelineBufferDescriptor>> = Strong::new(Slots::default());
    }
    rows {
        [reset] = |this: &ComputePipelineDescriptor| {
            let _old = std::mem::take(&mut *lock(&this.0));
        };
    }
}

properties! {
    /// The functions that a kernel may call through pointers.
    class MTLLinkedFunctions(LinkedFunctions, LinkedFields);
    [functions, setFunctions:] functions: Option<Strong<List>> = None;
    [binaryFunctions, setBinaryFunctions:] binary: Option<Strong<List>> = None;
    [privateFunctions, setPrivateFunctions:] private: Option<Strong<List>> = None;
    [groups, setGroups:] groups: Option<Strong<Pairs>> = None;
    rows {
        class [linkedFunctions] = |_: Class| Strong::new(LinkedFunctions::default());
    }
}

impl LinkedFields {
    /// The functions that the pipeline makes handles of. Those in groups are also in one of the other lists.
    pub(super) fn exported(&self) -> Vec<Strong<Function>> {
        let lists = [&self.functions, &self.binary].into_iter().flatten();
        lists.flat_map(|list| functions(list)).collect()
    }

    /// Those that are linked only.
    pub(super) fn private(&self) -> Vec<Strong<Function>> {
        self.private.as_ref().map_or(Vec::new(), |list| functions(list))
    }
}

/// The functions in a list.
pub(super) fn functions(list: &List) -> Vec<Strong<Function>> {
    // SAFETY: the list keeps its objects alive.
    let function = |object: &Retained| unsafe { Object::<Function>::from_id(object.id()) };
    list.objects().iter().filter_map(function).map(Object::retain).collect()
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
    /// Names a function of a library.
    class MTLFunctionDescriptor(FunctionDescriptor, FunctionFields);
    [name, setName:] name: LabelText = None;
    [specializedName, setSpecializedName:] specialized_name: LabelText = None;
    [constantValues, setConstantValues:] constants: Option<Strong<FunctionConstantValues>> = None;
    [options, setOptions:] options: usize = 0;
    [binaryArchives, setBinaryArchives:] archives: Option<Strong<List>> = None;
    rows {
        class [functionDescriptor] = |_: Class| Strong::new(FunctionDescriptor::default());
    }
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

/// Values for function constants.
#[derive(Default)]
pub(super) struct FunctionConstantValues(Mutex<Vec<Constant>>);

soft_class! {
    /// Values for function constants.
    pub(super) class MTLFunctionConstantValues(FunctionConstantValues): NSObject, conforms [NSCopying];
    init [init] = FunctionConstantValues::default;
    [copyWithZone:] = |this: &FunctionConstantValues, _: Zone| {
        Strong::new(FunctionConstantValues(Mutex::new(this.get())))
    };
    [setConstantValue:type:atIndex:] =
        |this: &FunctionConstantValues, value: *const c_void, data_type: usize, index: usize| {
            this.set(ConstantKey::Index(index), value, data_type);
        };
    [setConstantValue:type:withName:] = with_name;
    [setConstantValues:type:withRange:] = with_range;
    [reset] = |this: &FunctionConstantValues| lock(&this.0).clear();
}

fn with_name(
    this: &FunctionConstantValues,
    value: *const c_void,
    data_type: usize,
    name: &Object<Text>,
) {
    this.set(ConstantKey::Name(name.to_str().into_owned()), value, data_type);
}

fn with_range(
    this: This<'_, FunctionConstantValues>,
    values: *const c_void,
    data_type: usize,
    range: NSRange,
) {
    let Some(size) = size_of_data_type(data_type).filter(|_| !values.is_null()) else { return };
    for nth in 0..range.length {
        let value = values.cast::<u8>().wrapping_add(nth * size).cast();
        this.set(ConstantKey::Index(range.location.wrapping_add(nth)), value, data_type);
    }
}

/// The scalars of `MTLDataType`: the number of the scalar, which those of its vectors of two to four follow, and
/// the bytes of a component.
pub(super) const SCALARS: [(usize, u32); 12] = [
    (3, 4),
    (16, 2),
    (29, 4),
    (33, 4),
    (37, 2),
    (41, 2),
    (45, 1),
    (49, 1),
    (53, 1),
    (81, 8),
    (85, 8),
    (121, 2),
];

/// The size of a type that a function constant may have, of `MTLDataType`: scalars and vectors, where
/// a vector of three has the size of one of four.
pub(super) fn size_of_data_type(data_type: usize) -> Option<usize> {
    SCALARS.iter().find_map(|&(first, size)| {
        let nth = data_type.checked_sub(first).filter(|nth| *nth < 4)?;
        Some(size as usize * [1, 2, 4, 4][nth])
    })
}

impl FunctionConstantValues {
    pub(super) fn get(&self) -> Vec<Constant> {
        lock(&self.0).clone()
    }

    /// A later value replaces an earlier one. A value of an unknown type is ignored here; the function reports it as
    /// missing.
    fn set(&self, key: ConstantKey, value: *const c_void, data_type: usize) {
        let Some(size) = size_of_data_type(data_type).filter(|_| !value.is_null()) else { return };
        // SAFETY: the message passed a value of this type.
        let bytes = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) }.into();
        let mut all = lock(&self.0);
        all.retain(|constant| constant.key != key);
        all.push(Constant { key, data_type, bytes });
    }
}
