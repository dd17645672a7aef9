//! Descriptors: the properties of an object that is to be created.

use super::beyond::supports;
use super::enums::{
    AddressMode, BorderColor, CpuCacheMode, DataType, Filter, HazardTracking, HeapType,
    LanguageVersion, MathFunctions, MathMode, MipFilter, PixelFormat, ResourceOptions, StorageMode,
    TextureType, TextureUsage,
};
use super::error::GpuError;
use super::foundation::{NSArray, NSDictionary, NSString};
use super::function_table::{FunctionTableDescriptor, LinkedFunctions};
use super::indirect::IndirectCommandsDescriptor;
use super::shader::Shader;
use crate::fp16::{Bfloat, Half};
use crate::{metal_class, msg, selector};
use std::ffi::c_void;

metal_class! {
    /// How source text is compiled.
    ///
    /// ```
    /// use aruminium::{CompileOptions, Gpu, LanguageVersion, MathFunctions, MathMode};
    /// let options = CompileOptions::new();
    /// options.set_math_mode(MathMode::Safe);
    /// options.set_math_functions(MathFunctions::Precise);
    /// options.set_language_version(LanguageVersion::Version3_1);
    /// options.set_preserve_invariance(true);
    /// options.set_max_total_threads_per_threadgroup(256);
    /// options.set_macros(&[("TILE", "16")]);
    /// assert_eq!((options.math_mode(), options.math_functions()), (MathMode::Safe, MathFunctions::Precise));
    /// assert_eq!(options.language_version(), LanguageVersion::Version3_1);
    /// let source = "kernel void fill(device int *out, uint i [[thread_position_in_grid]]) { out[i] = TILE; }";
    /// Gpu::open()?.compile_with(source, Some(&options))?;
    ///
    /// // Before macOS 15 there is a single switch.
    /// let options = CompileOptions::new();
    /// options.set_fast_math(false);
    /// assert!(!options.fast_math());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class CompileOptions: MTLCompileOptions;

    /// The default options.
    pub fn new() -> CompileOptions = class [new];
    /// The assumptions that the compiler may make about floating-point arithmetic; fast by default.
    pub fn math_mode() -> MathMode = [mathMode];
    /// Set the assumptions that the compiler may make about floating-point arithmetic.
    pub fn set_math_mode(mode: MathMode) = [setMathMode:];
    /// The variant (fast or precise) of unqualified mathematical functions.
    pub fn math_functions() -> MathFunctions = [mathFloatingPointFunctions];
    /// Set the variant of unqualified mathematical functions.
    pub fn set_math_functions(functions: MathFunctions) = [setMathFloatingPointFunctions:];
    /// The older switch for the two above.
    pub fn fast_math() -> bool = [fastMathEnabled];
    /// Set the older switch for the two above.
    pub fn set_fast_math(enabled: bool) = [setFastMathEnabled:];
    /// The language version of the source.
    pub fn language_version() -> LanguageVersion = [languageVersion];
    /// Set the language version of the source.
    pub fn set_language_version(version: LanguageVersion) = [setLanguageVersion:];
    /// Preserve invariance: a function returns the same results wherever it is used.
    pub fn set_preserve_invariance(preserve: bool) = [setPreserveInvariance:];
    /// The largest threadgroup that kernels are compiled for.
    pub fn set_max_total_threads_per_threadgroup(threads: usize) = [setMaxTotalThreadsPerThreadgroup:];
    fn set_macro_dictionary(macros: &NSDictionary) = [setPreprocessorMacros:];
}

impl CompileOptions {
    /// Define preprocessor macros: names and replacement text.
    ///
    /// ```
    /// let options = aruminium::CompileOptions::new();
    /// options.set_macros(&[("TILE", "16"), ("T", "half")]);
    /// ```
    pub fn set_macros(&self, macros: &[(&str, &str)]) {
        self.set_macro_dictionary(&dictionary(macros));
    }
}

impl CompileOptions {
    /// Set the files that the source may include: the names in its directives, and their contents.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal, whose compiler finds no files of the program's.
    ///
    /// ```
    /// use aruminium::{CompileOptions, Gpu};
    /// let options = CompileOptions::new();
    /// if options.set_headers(&[("five.h", "constant int FIVE = 5;")]).is_ok() {
    ///     let source = "#include \"five.h\"\nkernel void k(device int *x) { *x = FIVE; }";
    ///     Gpu::open()?.compile_with(source, Some(&options))?;
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn set_headers(&self, headers: &[(&str, &str)]) -> Result<(), GpuError> {
        supports(self, selector!(aruminiumSetHeaders:), "headers for a source text")?;
        // SAFETY: soft Metal's options take a dictionary of strings.
        unsafe { msg!(self, [aruminiumSetHeaders: &dictionary(headers)]) }
        Ok(())
    }
}

/// A dictionary of strings.
fn dictionary(texts: &[(&str, &str)]) -> NSDictionary {
    let strings: Vec<(NSString, NSString)> =
        texts.iter().map(|&(name, value)| (NSString::from(name), NSString::from(value))).collect();
    let entries: Vec<(&NSString, &NSString)> =
        strings.iter().map(|(name, value)| (name, value)).collect();
    NSDictionary::new(&entries)
}

metal_class! {
    /// Values for the function constants of a kernel.
    ///
    /// ```
    /// use aruminium::{ConstantValues, Gpu};
    /// let source = "constant uint columns [[function_constant(0)]];
    ///     constant float scale [[function_constant(1)]];
    ///     kernel void fill(device float *out, uint i [[thread_position_in_grid]]) { out[i] = (i % columns) * scale; }";
    /// let values = ConstantValues::new();
    /// values.set(0, 7u32);
    /// values.reset();
    /// values.set(0, 8u32);
    /// values.set_named("scale", 0.5f32);
    /// Gpu::open()?.compile(source)?.function_with("fill", &values)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class ConstantValues: MTLFunctionConstantValues;

    /// No values.
    pub fn new() -> ConstantValues = class [new];
    /// Remove all values.
    pub fn reset() = [reset];
    unsafe fn set_at(value: *const c_void, ty: DataType, index: usize) = [setConstantValue:type:atIndex:];
    unsafe fn set_by_name(value: *const c_void, ty: DataType, name: &str) = [setConstantValue:type:withName:];
}

/// The types of function constants.
///
/// # Safety
///
/// `DATA_TYPE` names a type of Metal's with the size and the layout of `Self`.
///
/// ```
/// use aruminium::{ConstantValue, DataType};
/// assert_eq!(<[f32; 4]>::DATA_TYPE, DataType::Float4);
/// assert_eq!(aruminium::fp16::Half::DATA_TYPE, DataType::Half);
/// ```
pub unsafe trait ConstantValue: Copy {
    /// Metal's name of the type.
    const DATA_TYPE: DataType;
}

/// Maps types to Metal's data types.
macro_rules! constant_values {
    ($($ty:ty = $name:ident),+ $(,)?) => {$(
        // SAFETY: the row names the scalar or vector with the same layout.
        unsafe impl ConstantValue for $ty {
            const DATA_TYPE: DataType = DataType::$name;
        }
    )+};
}

constant_values! {
    bool = Bool, u8 = UChar, i8 = Char, u16 = UShort, i16 = Short, u32 = UInt, i32 = Int, u64 = ULong, i64 = Long,
    f32 = Float, [f32; 2] = Float2, [f32; 4] = Float4, [u32; 2] = UInt2, [u32; 4] = UInt4,
    [i32; 2] = Int2, [i32; 4] = Int4, [bool; 2] = Bool2, [bool; 4] = Bool4, [u8; 2] = UChar2, [u8; 4] = UChar4,
    Half = Half, [Half; 2] = Half2, [Half; 4] = Half4, Bfloat = BFloat, [Bfloat; 2] = BFloat2, [Bfloat; 4] = BFloat4,
    [i8; 2] = Char2, [i8; 4] = Char4, [u16; 2] = UShort2, [u16; 4] = UShort4, [i16; 2] = Short2, [i16; 4] = Short4,
}

#[cfg(feature = "half")]
constant_values! {
    half::f16 = Half, [half::f16; 2] = Half2, [half::f16; 4] = Half4,
    half::bf16 = BFloat, [half::bf16; 2] = BFloat2, [half::bf16; 4] = BFloat4,
}

impl ConstantValues {
    /// Set the constant with an index.
    ///
    /// ```
    /// aruminium::ConstantValues::new().set(3, [1u32, 2, 3, 4]);
    /// ```
    pub fn set<T: ConstantValue>(&self, index: usize, value: T) {
        // SAFETY: the pointer is to a value of the type that is named; Metal copies it.
        unsafe { self.set_at((&raw const value).cast(), T::DATA_TYPE, index) }
    }

    /// Set the constant with a name.
    ///
    /// ```
    /// aruminium::ConstantValues::new().set_named("use_bias", true);
    /// ```
    pub fn set_named<T: ConstantValue>(&self, name: &str, value: T) {
        // SAFETY: as above.
        unsafe { self.set_by_name((&raw const value).cast(), T::DATA_TYPE, name) }
    }
}

metal_class! {
    /// The properties of a compute pipeline that its kernel does not determine.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::PipelineDescriptor;
    /// let source = "kernel void one(device int *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }";
    /// let function = gpu.compile(source)?.function("one")?;
    /// let descriptor = PipelineDescriptor::new(&function);
    /// descriptor.set_label("ones");
    /// descriptor.set_max_total_threads_per_threadgroup(64);
    /// // A promise, so that the kernel need not check for a partial SIMD-group; launches that break it fail.
    /// descriptor.set_whole_simd_groups(true);
    /// // The functions that it calls through pointers: none.
    /// descriptor.set_linked_functions(&aruminium::LinkedFunctions::new());
    /// descriptor.set_max_call_stack_depth(2);
    /// descriptor.set_supports_adding_functions(true);
    /// descriptor.set_supports_indirect_commands(true);
    /// let pipeline = gpu.pipeline_with(&descriptor)?;
    /// assert_eq!(pipeline.label().as_deref(), Some("ones"));
    /// assert_eq!(pipeline.max_total_threads_per_threadgroup(), 64);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class PipelineDescriptor: MTLComputePipelineDescriptor;

    fn without_kernel() -> PipelineDescriptor = class [new];
    fn set_function(function: &Shader) = [setComputeFunction:];
    /// Set the label, for tools and error messages.
    pub fn set_label(label: &str) = [setLabel:];
    /// Set the size of the largest threadgroup that it is launched with.
    pub fn set_max_total_threads_per_threadgroup(threads: usize) = [setMaxTotalThreadsPerThreadgroup:];
    /// Set the functions that the kernel may call through pointers.
    pub fn set_linked_functions(functions: &LinkedFunctions) = [setLinkedFunctions:];
    /// Set the most calls through pointers that are open at once; 1 by default.
    pub fn set_max_call_stack_depth(depth: usize) = [setMaxCallStackDepth:];
    /// Allow [`Pipeline::with_functions`](crate::Pipeline::with_functions).
    pub fn set_supports_adding_functions(supported: bool) = [setSupportAddingBinaryFunctions:];
    /// Allow commands in memory to use the pipeline ([`IndirectCommands`](crate::IndirectCommands)).
    pub fn set_supports_indirect_commands(supported: bool) = [setSupportIndirectCommandBuffers:];
    /// Promise that the size of every threadgroup is a multiple of the SIMD-group's.
    pub fn set_whole_simd_groups(whole: bool) = [setThreadGroupSizeIsMultipleOfThreadExecutionWidth:];
    pub(super) fn set_archive_array(archives: &NSArray) = [setBinaryArchives:];
}

impl PipelineDescriptor {
    /// A pipeline of a kernel, with the default limits.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// let pipeline = gpu.pipeline_with(&aruminium::PipelineDescriptor::new(&function))?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(function: &Shader) -> Self {
        let descriptor = Self::without_kernel();
        descriptor.set_function(function);
        descriptor
    }
}

metal_class! {
    /// The properties of a texture.
    ///
    /// ```
    /// use aruminium::{CpuCacheMode, Gpu, HazardTracking, PixelFormat, StorageMode};
    /// use aruminium::{TextureDescriptor, TextureType, TextureUsage};
    /// let descriptor = TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 64, 32);
    /// descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    /// let texture = Gpu::open()?.texture_with(&descriptor)?;
    /// assert_eq!((texture.width(), texture.height()), (64, 32));
    ///
    /// // The same, property by property, and more of them.
    /// let descriptor = TextureDescriptor::new();
    /// descriptor.set_texture_type(TextureType::Type2DArray);
    /// descriptor.set_pixel_format(PixelFormat::R16Float);
    /// descriptor.set_width(64);
    /// descriptor.set_height(32);
    /// descriptor.set_depth(1);
    /// descriptor.set_mip_levels(3);
    /// descriptor.set_array_length(4);
    /// descriptor.set_sample_count(1);
    /// descriptor.set_storage_mode(StorageMode::Private);
    /// descriptor.set_cpu_cache_mode(CpuCacheMode::DefaultCache);
    /// descriptor.set_hazard_tracking(HazardTracking::Tracked);
    /// assert_eq!(descriptor.texture_type(), TextureType::Type2DArray);
    /// assert_eq!(descriptor.pixel_format(), PixelFormat::R16Float);
    /// assert_eq!((descriptor.width(), descriptor.height(), descriptor.depth()), (64, 32, 1));
    /// assert_eq!((descriptor.mip_levels(), descriptor.array_length()), (3, 4));
    /// assert_eq!(descriptor.sample_count(), 1);
    /// assert_eq!(descriptor.storage_mode(), StorageMode::Private);
    /// assert!(descriptor.usage().contains(TextureUsage::SHADER_READ));
    /// // Storage, cache and tracking mode can be set as one word, too.
    /// descriptor.set_resource_options(aruminium::ResourceOptions::STORAGE_PRIVATE);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class TextureDescriptor: MTLTextureDescriptor;

    /// A 2D texture of one pixel.
    pub fn new() -> TextureDescriptor = class [new];
    /// The shape.
    pub fn texture_type() -> TextureType = [textureType];
    /// Set the shape.
    pub fn set_texture_type(ty: TextureType) = [setTextureType:];
    /// The pixel format.
    pub fn pixel_format() -> PixelFormat = [pixelFormat];
    /// Set the pixel format.
    pub fn set_pixel_format(format: PixelFormat) = [setPixelFormat:];
    /// The width in pixels.
    pub fn width() -> usize = [width];
    /// Set the width in pixels.
    pub fn set_width(width: usize) = [setWidth:];
    /// The height in pixels.
    pub fn height() -> usize = [height];
    /// Set the height in pixels.
    pub fn set_height(height: usize) = [setHeight:];
    /// The depth in pixels.
    pub fn depth() -> usize = [depth];
    /// Set the depth in pixels.
    pub fn set_depth(depth: usize) = [setDepth:];
    /// The number of mip levels.
    pub fn mip_levels() -> usize = [mipmapLevelCount];
    /// Set the number of mip levels.
    pub fn set_mip_levels(count: usize) = [setMipmapLevelCount:];
    /// The number of textures of an array.
    pub fn array_length() -> usize = [arrayLength];
    /// Set the number of textures of an array.
    pub fn set_array_length(length: usize) = [setArrayLength:];
    /// The number of samples of a pixel.
    pub fn sample_count() -> usize = [sampleCount];
    /// Set the number of samples of a pixel, for the types of multisampled textures
    /// ([`Gpu::supports_sample_count`](crate::Gpu::supports_sample_count)).
    pub fn set_sample_count(count: usize) = [setSampleCount:];
    /// The intended uses of the texture.
    pub fn usage() -> TextureUsage = [usage];
    /// Set the intended uses of the texture.
    pub fn set_usage(usage: TextureUsage) = [setUsage:];
    /// The storage mode.
    pub fn storage_mode() -> StorageMode = [storageMode];
    /// Set the storage mode.
    pub fn set_storage_mode(mode: StorageMode) = [setStorageMode:];
    /// Set how the CPU caches the memory.
    pub fn set_cpu_cache_mode(mode: CpuCacheMode) = [setCpuCacheMode:];
    /// Set whether Metal orders accesses by itself.
    pub fn set_hazard_tracking(mode: HazardTracking) = [setHazardTrackingMode:];
    /// Set the storage, cache and tracking mode as one word.
    pub fn set_resource_options(options: ResourceOptions) = [setResourceOptions:];
}

impl TextureDescriptor {
    /// The error that no texture could be created from it.
    #[cold]
    pub(super) fn cannot_be(&self) -> GpuError {
        GpuError::TextureCreationFailed(format!(
            "{:?} of {} × {} × {} pixels in {:?}, {} mip levels, an array of {}",
            self.texture_type(),
            self.width(),
            self.height(),
            self.depth(),
            self.pixel_format(),
            self.mip_levels(),
            self.array_length(),
        ))
    }

    fn shaped(ty: TextureType, format: PixelFormat, size: (usize, usize, usize)) -> Self {
        let descriptor = Self::new();
        descriptor.set_texture_type(ty);
        descriptor.set_pixel_format(format);
        descriptor.set_width(size.0);
        descriptor.set_height(size.1);
        descriptor.set_depth(size.2);
        descriptor
    }

    /// A row of pixels.
    ///
    /// ```
    /// use aruminium::{PixelFormat, TextureDescriptor};
    /// assert_eq!(TextureDescriptor::new_1d(PixelFormat::R32Float, 256).width(), 256);
    /// ```
    pub fn new_1d(format: PixelFormat, width: usize) -> Self {
        Self::shaped(TextureType::Type1D, format, (width, 1, 1))
    }

    /// An image.
    ///
    /// ```
    /// use aruminium::{PixelFormat, TextureDescriptor};
    /// assert_eq!(TextureDescriptor::new_2d(PixelFormat::R32Float, 256, 16).height(), 16);
    /// ```
    pub fn new_2d(format: PixelFormat, width: usize, height: usize) -> Self {
        Self::shaped(TextureType::Type2D, format, (width, height, 1))
    }

    /// A box of pixels.
    ///
    /// ```
    /// use aruminium::{PixelFormat, TextureDescriptor};
    /// assert_eq!(TextureDescriptor::new_3d(PixelFormat::R32Float, 32, 32, 8).depth(), 8);
    /// ```
    pub fn new_3d(format: PixelFormat, width: usize, height: usize, depth: usize) -> Self {
        Self::shaped(TextureType::Type3D, format, (width, height, depth))
    }

    /// Several images of one size.
    ///
    /// ```
    /// use aruminium::{PixelFormat, TextureDescriptor};
    /// assert_eq!(TextureDescriptor::new_2d_array(PixelFormat::R32Float, 32, 32, 8).array_length(), 8);
    /// ```
    pub fn new_2d_array(format: PixelFormat, width: usize, height: usize, length: usize) -> Self {
        let descriptor = Self::shaped(TextureType::Type2DArray, format, (width, height, 1));
        descriptor.set_array_length(length);
        descriptor
    }
}

metal_class! {
    /// How kernels sample textures: filters, address modes, levels of detail.
    ///
    /// ```
    /// use aruminium::{AddressMode, BorderColor, Filter, Gpu, MipFilter, SamplerDescriptor};
    /// let descriptor = SamplerDescriptor::new();
    /// descriptor.set_label("trilinear");
    /// descriptor.set_min_filter(Filter::Linear);
    /// descriptor.set_mag_filter(Filter::Linear);
    /// descriptor.set_mip_filter(MipFilter::Linear);
    /// descriptor.set_lod_min(0.0);
    /// descriptor.set_lod_max(4.0);
    /// descriptor.set_support_argument_buffers(true);
    /// descriptor.set_normalized_coordinates(true);
    /// descriptor.set_address_x(AddressMode::Repeat);
    /// descriptor.set_address_y(AddressMode::MirrorRepeat);
    /// descriptor.set_address_z(AddressMode::ClampToBorderColor);
    /// descriptor.set_border_color(BorderColor::OpaqueWhite);
    /// Gpu::open()?.sampler(&descriptor)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class SamplerDescriptor: MTLSamplerDescriptor;

    /// The default: nearest pixel, clamped to the edge, normalised coordinates.
    pub fn new() -> SamplerDescriptor = class [new];
    /// Set the filter for magnification: where the texture has fewer pixels than the result.
    pub fn set_mag_filter(filter: Filter) = [setMagFilter:];
    /// Set the filter for minification: where the texture has more pixels than the result.
    pub fn set_min_filter(filter: Filter) = [setMinFilter:];
    /// Set how mip levels are combined.
    pub fn set_mip_filter(filter: MipFilter) = [setMipFilter:];
    /// Set the address mode along x.
    pub fn set_address_x(mode: AddressMode) = [setSAddressMode:];
    /// Set the address mode along y.
    pub fn set_address_y(mode: AddressMode) = [setTAddressMode:];
    /// Set the address mode along z.
    pub fn set_address_z(mode: AddressMode) = [setRAddressMode:];
    /// Set the border color.
    pub fn set_border_color(color: BorderColor) = [setBorderColor:];
    /// Set whether coordinates are normalised (0 to 1) or in pixels.
    pub fn set_normalized_coordinates(normalized: bool) = [setNormalizedCoordinates:];
    /// Set the smallest level of detail.
    pub fn set_lod_min(lod: f32) = [setLodMinClamp:];
    /// Set the largest level of detail.
    pub fn set_lod_max(lod: f32) = [setLodMaxClamp:];
    /// Set whether the sampler can be in an argument buffer.
    pub fn set_support_argument_buffers(support: bool) = [setSupportArgumentBuffers:];
    /// Set the label, for tools and error messages.
    pub fn set_label(label: &str) = [setLabel:];
}

impl SamplerDescriptor {
    /// Set the address mode along all axes.
    ///
    /// ```
    /// use aruminium::{AddressMode, SamplerDescriptor};
    /// SamplerDescriptor::new().set_address_mode(AddressMode::Repeat);
    /// ```
    pub fn set_address_mode(&self, mode: AddressMode) {
        self.set_address_x(mode);
        self.set_address_y(mode);
        self.set_address_z(mode);
    }
}

metal_class! {
    /// The properties of a heap.
    ///
    /// ```
    /// use aruminium::{Gpu, HazardTracking, HeapDescriptor, HeapType, StorageMode};
    /// let descriptor = HeapDescriptor::new();
    /// descriptor.set_size(1 << 20);
    /// descriptor.set_type(HeapType::Placement);
    /// descriptor.set_storage_mode(StorageMode::Private);
    /// descriptor.set_hazard_tracking(HazardTracking::Tracked);
    /// assert_eq!(descriptor.size(), 1 << 20);
    /// let heap = Gpu::open()?.heap(&descriptor)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class HeapDescriptor: MTLHeapDescriptor;

    /// A private heap of zero bytes.
    pub fn new() -> HeapDescriptor = class [new];
    /// The size in bytes.
    pub fn size() -> usize = [size];
    /// Set the size in bytes.
    pub fn set_size(bytes: usize) = [setSize:];
    /// Set the storage mode.
    pub fn set_storage_mode(mode: StorageMode) = [setStorageMode:];
    /// Set whether Metal orders accesses by itself.
    pub fn set_hazard_tracking(mode: HazardTracking) = [setHazardTrackingMode:];
    /// Set whether Metal or the caller places its resources.
    pub fn set_type(ty: HeapType) = [setType:];
}

metal_class! {
    /// The properties of a residency set.
    ///
    /// ```
    /// let descriptor = aruminium::ResidencySetDescriptor::new();
    /// descriptor.set_label("weights");
    /// descriptor.set_initial_capacity(16);
    /// ```
    pub class ResidencySetDescriptor: MTLResidencySetDescriptor;

    /// A set without a label.
    pub fn new() -> ResidencySetDescriptor = class [new];
    /// Set the label, for tools and error messages.
    pub fn set_label(label: &str) = [setLabel:];
    /// Set the number of allocations to reserve space for.
    pub fn set_initial_capacity(count: usize) = [setInitialCapacity:];
}

/// A descriptor as its `new` makes it is the default one.
macro_rules! defaults {
    ($($class:ident),+) => {$(
        impl Default for $class {
            fn default() -> Self {
                Self::new()
            }
        }
    )+};
}

pub(super) use defaults;

defaults!(
    CompileOptions,
    ConstantValues,
    TextureDescriptor,
    SamplerDescriptor,
    HeapDescriptor,
    ResidencySetDescriptor,
    LinkedFunctions,
    FunctionTableDescriptor,
    IndirectCommandsDescriptor
);
