//! Metal's enumerations, with their values.
//!
//! A value is an integer with a name in Metal. Newer systems may return values that have no name
//! here, so these are not Rust enums.

use crate::c_type;

/// An enumeration and its named values, for the oracle test.
///
/// ```
/// use aruminium::enums::{ENUMS, EnumInfo};
/// let modes: &EnumInfo = ENUMS.iter().find(|info| info.rust == "StorageMode").unwrap();
/// assert_eq!(modes.objc, "MTLStorageMode");
/// assert!(modes.values.contains(&("Private", 2)));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EnumInfo {
    /// The name of the Rust type.
    pub rust: &'static str,
    /// The name of Metal's type.
    pub objc: &'static str,
    /// The names, with their values.
    pub values: &'static [(&'static str, i64)],
}

/// Declares enumerations: name, Metal's name, the integer type that is passed, the named values.
macro_rules! enumerations {
    ($($(#[$meta:meta])* $Name:ident: $Objc:ident($int:ty = $encoding:literal) {
        $First:ident = $first:expr,
        $($Value:ident = $value:expr,)+
    })+) => {
        $(
            $(#[$meta])*
            #[doc = ""]
            #[doc = concat!("Metal's `", stringify!($Objc), "`.")]
            #[doc = concat!("```\nuse aruminium::", stringify!($Name), " as Enum;")]
            #[doc = concat!("assert_eq!(Enum::", stringify!($First), ", Enum(", stringify!($first), "));")]
            #[doc = concat!("assert_eq!(format!(\"{:?}\", Enum::", stringify!($First), "), \"", stringify!($First), "\");")]
            #[doc = "```"]
            #[repr(transparent)]
            #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $Name(pub $int);

            c_type! { unsafe $Name = $encoding; }

            #[allow(non_upper_case_globals, missing_docs)] // Metal's own names.
            impl $Name {
                pub const $First: Self = Self($first);
                $(pub const $Value: Self = Self($value);)+
            }

            impl std::fmt::Debug for $Name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    #[allow(unreachable_patterns)] // Several names may have one value; the first is printed.
                    match *self {
                        Self::$First => f.write_str(stringify!($First)),
                        $(Self::$Value => f.write_str(stringify!($Value)),)+
                        Self(other) => write!(f, concat!(stringify!($Name), "({})"), other),
                    }
                }
            }

            impl From<$Name> for $int {
                fn from(value: $Name) -> $int {
                    value.0
                }
            }

            impl From<$int> for $Name {
                fn from(value: $int) -> Self {
                    Self(value)
                }
            }
        )+

        /// Every enumeration that this crate declares.
        pub const ENUMS: &[EnumInfo] = &[$(EnumInfo {
            rust: stringify!($Name),
            objc: stringify!($Objc),
            values: &[(stringify!($First), $Name::$First.0 as i64), $((stringify!($Value), $Name::$Value.0 as i64)),+],
        }),+];
    };
}

// The C type of each: `NSUInteger`, or `NSInteger` where Apple declares it so.
enumerations! {
    /// The argument table that an argument of a kernel is in.
    BindingType: MTLBindingType(isize = "q") {
        Buffer = 0,
        ThreadgroupMemory = 1,
        Texture = 2,
        Sampler = 3,
        VisibleFunctionTable = 24,
        Tensor = 37,
    }
    /// The accesses that a kernel may make to an argument.
    BindingAccess: MTLBindingAccess(usize = "Q") {
        ReadOnly = 0,
        ReadWrite = 1,
        WriteOnly = 2,
    }
    /// The type of a tensor's elements.
    TensorDataType: MTLTensorDataType(isize = "q") {
        None = 0,
        Float32 = 3,
        Float16 = 16,
        BFloat16 = 121,
        Int8 = 45,
        UInt8 = 49,
        Int16 = 37,
        UInt16 = 41,
        Int32 = 29,
        UInt32 = 33,
        Int4 = 143,
        UInt4 = 144,
    }
    /// Where a GPU may read its counters, such as the time.
    CounterSamplingPoint: MTLCounterSamplingPoint(usize = "Q") {
        AtStageBoundary = 0,
        AtDrawBoundary = 1,
        AtDispatchBoundary = 2,
        AtTileDispatchBoundary = 3,
        AtBlitBoundary = 4,
    }
    /// The storage mode of a resource: whether CPU, GPU or both can access its memory.
    StorageMode: MTLStorageMode(usize = "Q") {
        Shared = 0,
        Managed = 1,
        Private = 2,
        Memoryless = 3,
    }
    /// How the CPU caches a resource's memory.
    CpuCacheMode: MTLCPUCacheMode(usize = "Q") {
        DefaultCache = 0,
        WriteCombined = 1,
    }
    /// Whether Metal orders accesses to a resource automatically.
    HazardTracking: MTLHazardTrackingMode(usize = "Q") {
        Default = 0,
        Untracked = 1,
        Tracked = 2,
    }
    /// Whether an encoder's launches run one after another or concurrently.
    DispatchType: MTLDispatchType(usize = "Q") {
        Serial = 0,
        Concurrent = 1,
    }
    /// The state of a command buffer.
    CommandStatus: MTLCommandBufferStatus(usize = "Q") {
        NotEnqueued = 0,
        Enqueued = 1,
        Committed = 2,
        Scheduled = 3,
        Completed = 4,
        Error = 5,
    }
    /// Why a command buffer failed.
    CommandErrorCode: MTLCommandBufferError(usize = "Q") {
        None = 0,
        Internal = 1,
        Timeout = 2,
        PageFault = 3,
        AccessRevoked = 4,
        Blacklisted = 4,
        NotPermitted = 7,
        OutOfMemory = 8,
        InvalidResource = 9,
        Memoryless = 10,
        DeviceRemoved = 11,
        StackOverflow = 12,
    }
    /// A set of features that GPUs have in common.
    GpuFamily: MTLGPUFamily(isize = "q") {
        Apple1 = 1001,
        Apple2 = 1002,
        Apple3 = 1003,
        Apple4 = 1004,
        Apple5 = 1005,
        Apple6 = 1006,
        Apple7 = 1007,
        Apple8 = 1008,
        Apple9 = 1009,
        Apple10 = 1010,
        Mac1 = 2001,
        Mac2 = 2002,
        Common1 = 3001,
        Common2 = 3002,
        Common3 = 3003,
        MacCatalyst1 = 4001,
        MacCatalyst2 = 4002,
        Metal3 = 5001,
        Metal4 = 5002,
    }
    /// A version of the Metal Shading Language.
    LanguageVersion: MTLLanguageVersion(usize = "Q") {
        Version1_0 = 1 << 16,
        Version1_1 = (1 << 16) + 1,
        Version1_2 = (1 << 16) + 2,
        Version2_0 = 2 << 16,
        Version2_1 = (2 << 16) + 1,
        Version2_2 = (2 << 16) + 2,
        Version2_3 = (2 << 16) + 3,
        Version2_4 = (2 << 16) + 4,
        Version3_0 = 3 << 16,
        Version3_1 = (3 << 16) + 1,
        Version3_2 = (3 << 16) + 2,
        Version4_0 = 4 << 16,
    }
    /// The assumptions that the compiler may make about floating-point arithmetic.
    MathMode: MTLMathMode(isize = "q") {
        Safe = 0,
        Relaxed = 1,
        Fast = 2,
    }
    /// The variant (fast or precise) of unqualified mathematical functions.
    MathFunctions: MTLMathFloatingPointFunctions(isize = "q") {
        Fast = 0,
        Precise = 1,
    }
    /// The type of a value that a function constant or an argument has.
    DataType: MTLDataType(usize = "Q") {
        None = 0,
        Struct = 1,
        Array = 2,
        Float = 3,
        Float2 = 4,
        Float3 = 5,
        Float4 = 6,
        Float2x2 = 7,
        Float2x3 = 8,
        Float2x4 = 9,
        Float3x2 = 10,
        Float3x3 = 11,
        Float3x4 = 12,
        Float4x2 = 13,
        Float4x3 = 14,
        Float4x4 = 15,
        Half = 16,
        Half2 = 17,
        Half3 = 18,
        Half4 = 19,
        Half2x2 = 20,
        Half2x3 = 21,
        Half2x4 = 22,
        Half3x2 = 23,
        Half3x3 = 24,
        Half3x4 = 25,
        Half4x2 = 26,
        Half4x3 = 27,
        Half4x4 = 28,
        Int = 29,
        Int2 = 30,
        Int3 = 31,
        Int4 = 32,
        UInt = 33,
        UInt2 = 34,
        UInt3 = 35,
        UInt4 = 36,
        Short = 37,
        Short2 = 38,
        Short3 = 39,
        Short4 = 40,
        UShort = 41,
        UShort2 = 42,
        UShort3 = 43,
        UShort4 = 44,
        Char = 45,
        Char2 = 46,
        Char3 = 47,
        Char4 = 48,
        UChar = 49,
        UChar2 = 50,
        UChar3 = 51,
        UChar4 = 52,
        Bool = 53,
        Bool2 = 54,
        Bool3 = 55,
        Bool4 = 56,
        Texture = 58,
        Sampler = 59,
        Pointer = 60,
        R8Unorm = 62,
        R8Snorm = 63,
        R16Unorm = 64,
        R16Snorm = 65,
        RG8Unorm = 66,
        RG8Snorm = 67,
        RG16Unorm = 68,
        RG16Snorm = 69,
        RGBA8Unorm = 70,
        RGBA8Unorm_sRGB = 71,
        RGBA8Snorm = 72,
        RGBA16Unorm = 73,
        RGBA16Snorm = 74,
        RGB10A2Unorm = 75,
        RG11B10Float = 76,
        RGB9E5Float = 77,
        RenderPipeline = 78,
        ComputePipeline = 79,
        IndirectCommandBuffer = 80,
        Long = 81,
        Long2 = 82,
        Long3 = 83,
        Long4 = 84,
        ULong = 85,
        ULong2 = 86,
        ULong3 = 87,
        ULong4 = 88,
        VisibleFunctionTable = 115,
        IntersectionFunctionTable = 116,
        PrimitiveAccelerationStructure = 117,
        InstanceAccelerationStructure = 118,
        BFloat = 121,
        BFloat2 = 122,
        BFloat3 = 123,
        BFloat4 = 124,
        DepthStencilState = 139,
        Tensor = 140,
    }
    /// The shape of a texture.
    TextureType: MTLTextureType(usize = "Q") {
        Type1D = 0,
        Type1DArray = 1,
        Type2D = 2,
        Type2DArray = 3,
        Type2DMultisample = 4,
        TypeCube = 5,
        TypeCubeArray = 6,
        Type3D = 7,
        Type2DMultisampleArray = 8,
        TypeTextureBuffer = 9,
    }
    /// The results of a sampler for coordinates outside a texture.
    AddressMode: MTLSamplerAddressMode(usize = "Q") {
        ClampToEdge = 0,
        MirrorClampToEdge = 1,
        Repeat = 2,
        MirrorRepeat = 3,
        ClampToZero = 4,
        ClampToBorderColor = 5,
    }
    /// How a sampler combines the pixels around a coordinate.
    Filter: MTLSamplerMinMagFilter(usize = "Q") {
        Nearest = 0,
        Linear = 1,
    }
    /// How a sampler combines mip levels.
    MipFilter: MTLSamplerMipFilter(usize = "Q") {
        NotMipmapped = 0,
        Nearest = 1,
        Linear = 2,
    }
    /// The color that `AddressMode::ClampToBorderColor` returns.
    BorderColor: MTLSamplerBorderColor(usize = "Q") {
        TransparentBlack = 0,
        OpaqueBlack = 1,
        OpaqueWhite = 2,
    }
    /// Whether Metal or the caller places the resources of a heap.
    HeapType: MTLHeapType(isize = "q") {
        Automatic = 0,
        Placement = 1,
        Sparse = 2,
    }
    /// Whether a resource's contents may be discarded.
    PurgeableState: MTLPurgeableState(usize = "Q") {
        KeepCurrent = 1,
        NonVolatile = 2,
        Volatile = 3,
        Empty = 4,
    }
    /// The destination of a capture.
    CaptureDestination: MTLCaptureDestination(isize = "q") {
        DeveloperTools = 1,
        GPUTraceDocument = 2,
    }
    /// The format of a pixel.
    PixelFormat: MTLPixelFormat(usize = "Q") {
        Invalid = 0,
        A8Unorm = 1,
        R8Unorm = 10,
        R8Unorm_sRGB = 11,
        R8Snorm = 12,
        R8Uint = 13,
        R8Sint = 14,
        R16Unorm = 20,
        R16Snorm = 22,
        R16Uint = 23,
        R16Sint = 24,
        R16Float = 25,
        RG8Unorm = 30,
        RG8Unorm_sRGB = 31,
        RG8Snorm = 32,
        RG8Uint = 33,
        RG8Sint = 34,
        B5G6R5Unorm = 40,
        A1BGR5Unorm = 41,
        ABGR4Unorm = 42,
        BGR5A1Unorm = 43,
        R32Uint = 53,
        R32Sint = 54,
        R32Float = 55,
        RG16Unorm = 60,
        RG16Snorm = 62,
        RG16Uint = 63,
        RG16Sint = 64,
        RG16Float = 65,
        RGBA8Unorm = 70,
        RGBA8Unorm_sRGB = 71,
        RGBA8Snorm = 72,
        RGBA8Uint = 73,
        RGBA8Sint = 74,
        BGRA8Unorm = 80,
        BGRA8Unorm_sRGB = 81,
        RGB10A2Unorm = 90,
        RGB10A2Uint = 91,
        RG11B10Float = 92,
        RGB9E5Float = 93,
        BGR10A2Unorm = 94,
        RG32Uint = 103,
        RG32Sint = 104,
        RG32Float = 105,
        RGBA16Unorm = 110,
        RGBA16Snorm = 112,
        RGBA16Uint = 113,
        RGBA16Sint = 114,
        RGBA16Float = 115,
        RGBA32Uint = 123,
        RGBA32Sint = 124,
        RGBA32Float = 125,
        BC1_RGBA = 130,
        BC1_RGBA_sRGB = 131,
        BC2_RGBA = 132,
        BC2_RGBA_sRGB = 133,
        BC3_RGBA = 134,
        BC3_RGBA_sRGB = 135,
        BC4_RUnorm = 140,
        BC4_RSnorm = 141,
        BC5_RGUnorm = 142,
        BC5_RGSnorm = 143,
        BC6H_RGBFloat = 150,
        BC6H_RGBUfloat = 151,
        BC7_RGBAUnorm = 152,
        BC7_RGBAUnorm_sRGB = 153,
        PVRTC_RGB_2BPP = 160,
        PVRTC_RGB_2BPP_sRGB = 161,
        PVRTC_RGB_4BPP = 162,
        PVRTC_RGB_4BPP_sRGB = 163,
        PVRTC_RGBA_2BPP = 164,
        PVRTC_RGBA_2BPP_sRGB = 165,
        PVRTC_RGBA_4BPP = 166,
        PVRTC_RGBA_4BPP_sRGB = 167,
        EAC_R11Unorm = 170,
        EAC_R11Snorm = 172,
        EAC_RG11Unorm = 174,
        EAC_RG11Snorm = 176,
        EAC_RGBA8 = 178,
        EAC_RGBA8_sRGB = 179,
        ETC2_RGB8 = 180,
        ETC2_RGB8_sRGB = 181,
        ETC2_RGB8A1 = 182,
        ETC2_RGB8A1_sRGB = 183,
        ASTC_4x4_sRGB = 186,
        ASTC_5x4_sRGB = 187,
        ASTC_5x5_sRGB = 188,
        ASTC_6x5_sRGB = 189,
        ASTC_6x6_sRGB = 190,
        ASTC_8x5_sRGB = 192,
        ASTC_8x6_sRGB = 193,
        ASTC_8x8_sRGB = 194,
        ASTC_10x5_sRGB = 195,
        ASTC_10x6_sRGB = 196,
        ASTC_10x8_sRGB = 197,
        ASTC_10x10_sRGB = 198,
        ASTC_12x10_sRGB = 199,
        ASTC_12x12_sRGB = 200,
        ASTC_4x4_LDR = 204,
        ASTC_5x4_LDR = 205,
        ASTC_5x5_LDR = 206,
        ASTC_6x5_LDR = 207,
        ASTC_6x6_LDR = 208,
        ASTC_8x5_LDR = 210,
        ASTC_8x6_LDR = 211,
        ASTC_8x8_LDR = 212,
        ASTC_10x5_LDR = 213,
        ASTC_10x6_LDR = 214,
        ASTC_10x8_LDR = 215,
        ASTC_10x10_LDR = 216,
        ASTC_12x10_LDR = 217,
        ASTC_12x12_LDR = 218,
        ASTC_4x4_HDR = 222,
        ASTC_5x4_HDR = 223,
        ASTC_5x5_HDR = 224,
        ASTC_6x5_HDR = 225,
        ASTC_6x6_HDR = 226,
        ASTC_8x5_HDR = 228,
        ASTC_8x6_HDR = 229,
        ASTC_8x8_HDR = 230,
        ASTC_10x5_HDR = 231,
        ASTC_10x6_HDR = 232,
        ASTC_10x8_HDR = 233,
        ASTC_10x10_HDR = 234,
        ASTC_12x10_HDR = 235,
        ASTC_12x12_HDR = 236,
        GBGR422 = 240,
        BGRG422 = 241,
        Depth16Unorm = 250,
        Depth32Float = 252,
        Stencil8 = 253,
        Depth24Unorm_Stencil8 = 255,
        Depth32Float_Stencil8 = 260,
        X32_Stencil8 = 261,
        X24_Stencil8 = 262,
        Unspecialized = 263,
        BGRA10_XR = 552,
        BGRA10_XR_sRGB = 553,
        BGR10_XR = 554,
        BGR10_XR_sRGB = 555,
    }
}

impl PixelFormat {
    /// The columns and rows of a block of a compressed format, and its bytes; `None` for other formats and those of
    /// PVRTC, whose images are not made of such blocks.
    ///
    /// ```
    /// use aruminium::PixelFormat;
    /// assert_eq!(PixelFormat::BC1_RGBA.block(), Some((4, 4, 8)));
    /// assert_eq!(PixelFormat::ASTC_10x6_sRGB.block(), Some((10, 6, 16)));
    /// assert_eq!(PixelFormat::RGBA8Unorm.block(), None);
    /// ```
    pub const fn block(self) -> Option<(usize, usize, usize)> {
        // The sizes of ASTC's blocks are in the same order three times: sRGB, low and high range. A number is unused.
        const ASTC: [(usize, usize); 15] = [
            (4, 4),
            (5, 4),
            (5, 5),
            (6, 5),
            (6, 6),
            (0, 0),
            (8, 5),
            (8, 6),
            (8, 8),
            (10, 5),
            (10, 6),
            (10, 8),
            (10, 10),
            (12, 10),
            (12, 12),
        ];
        let number = match self.0 {
            130 | 131 | 140 | 141 | 170 | 172 | 180..=183 => return Some((4, 4, 8)),
            132..=135 | 142 | 143 | 150..=153 | 174 | 176 | 178 | 179 => return Some((4, 4, 16)),
            186..=200 => self.0 - 186,
            204..=218 => self.0 - 204,
            222..=236 => self.0 - 222,
            _ => return None,
        };
        match ASTC[number] {
            (0, _) => None,
            (columns, rows) => Some((columns, rows, 16)),
        }
    }

    /// The number of bytes of a pixel; `None` if that is not a whole number, as in compressed
    /// formats.
    ///
    /// ```
    /// use aruminium::PixelFormat;
    /// assert_eq!(PixelFormat::RGBA16Float.bytes_per_pixel(), Some(8));
    /// assert_eq!(PixelFormat::ASTC_4x4_LDR.bytes_per_pixel(), None);
    /// ```
    pub const fn bytes_per_pixel(self) -> Option<usize> {
        // Metal numbers color formats by their size: those of 8, 16, 32, 64 and 128 bits are contiguous.
        // Those of extended range were added later.
        Some(match self.0 {
            1..=14 => 1,
            20..=43 => 2,
            53..=94 => 4,
            103..=115 => 8,
            123..=125 => 16,
            552 | 553 => 8,
            554 | 555 => 4,
            _ => return None,
        })
    }
}

impl TensorDataType {
    /// The bytes of an element; `None` for those of 4 bits, and for unknown types.
    ///
    /// ```
    /// use aruminium::TensorDataType;
    /// assert_eq!(TensorDataType::Float16.bytes(), Some(2));
    /// assert_eq!(TensorDataType::Int4.bytes(), None);
    /// ```
    pub const fn bytes(self) -> Option<usize> {
        Some(match self {
            Self::Int8 | Self::UInt8 => 1,
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::UInt16 => 2,
            Self::Float32 | Self::Int32 | Self::UInt32 => 4,
            _ => return None,
        })
    }
}

/// Declares sets of flags.
macro_rules! flags {
    ($($(#[$meta:meta])* $Name:ident { $($(#[$about:meta])* $Value:ident = $value:expr,)+ })+) => {$(
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $Name(pub usize);

        c_type! { unsafe $Name = "Q"; }

        impl $Name {
            $($(#[$about])* pub const $Value: Self = Self($value);)+

            /// Whether all of these flags are set.
            ///
            /// ```
            /// use aruminium::TextureUsage;
            /// let both = TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE;
            /// assert!(both.contains(TextureUsage::SHADER_READ));
            /// assert!(!TextureUsage::SHADER_READ.contains(both));
            /// ```
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl std::ops::BitOr for $Name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    )+};
}

flags! {
    /// The uses of a texture.
    ///
    /// ```
    /// use aruminium::{PixelFormat, TextureDescriptor, TextureUsage};
    /// let descriptor = TextureDescriptor::new_1d(PixelFormat::R8Unorm, 64);
    /// descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    /// ```
    TextureUsage {
        /// Kernels read or sample it.
        SHADER_READ = 1,
        /// Kernels write it.
        SHADER_WRITE = 2,
        /// It is a render target.
        RENDER_TARGET = 4,
        /// Views of it may have another pixel format.
        PIXEL_FORMAT_VIEW = 16,
    }
    /// The accesses that a memory barrier orders.
    ///
    /// ```
    /// let both = aruminium::BarrierScope::BUFFERS | aruminium::BarrierScope::TEXTURES;
    /// ```
    BarrierScope {
        /// Accesses to buffers.
        BUFFERS = 1,
        /// Accesses to textures.
        TEXTURES = 2,
    }
    /// How a kernel uses a resource that it reaches through another one.
    ///
    /// ```
    /// let both = aruminium::ResourceUsage::READ | aruminium::ResourceUsage::WRITE;
    /// ```
    ResourceUsage {
        /// It reads.
        READ = 1,
        /// It writes.
        WRITE = 2,
    }
    /// The uses of a tensor.
    ///
    /// ```
    /// let both = aruminium::TensorUsage::COMPUTE | aruminium::TensorUsage::MACHINE_LEARNING;
    /// ```
    TensorUsage {
        /// Kernels take it.
        COMPUTE = 1,
        /// Functions of rendering take it.
        RENDER = 2,
        /// Networks take it.
        MACHINE_LEARNING = 4,
    }
    /// The stages of work that a barrier or a fence of Metal 4 orders.
    ///
    /// ```
    /// let both = aruminium::Stages::DISPATCH | aruminium::Stages::BLIT;
    /// assert!(aruminium::Stages::ALL.contains(both));
    /// ```
    Stages {
        /// Launches of kernels.
        DISPATCH = 1 << 27,
        /// Copies and fills.
        BLIT = 1 << 28,
        /// All, those of rendering among them.
        ALL = isize::MAX as usize,
    }
    /// The kinds of commands in [`IndirectCommands`](crate::IndirectCommands).
    ///
    /// ```
    /// use aruminium::IndirectCommandTypes;
    /// let both = IndirectCommandTypes::DISPATCH_GROUPS | IndirectCommandTypes::DISPATCH_THREADS;
    /// ```
    IndirectCommandTypes {
        /// Grids of threadgroups.
        DISPATCH_GROUPS = 32,
        /// Grids of threads.
        DISPATCH_THREADS = 64,
    }
    /// The storage, cache and tracking mode of a resource, in one word.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::ResourceOptions;
    /// let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::CPU_WRITE_COMBINED;
    /// let written_once = gpu.buffer_with_options(64, options)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ResourceOptions {
        /// CPU and GPU access the same memory.
        STORAGE_SHARED = 0,
        /// CPU and GPU each have a copy.
        STORAGE_MANAGED = 1 << 4,
        /// Only the GPU can access the memory.
        STORAGE_PRIVATE = 2 << 4,
        /// The CPU writes and does not read.
        CPU_WRITE_COMBINED = 1,
        /// Metal does not order accesses automatically.
        HAZARD_UNTRACKED = 1 << 8,
        /// Metal orders accesses automatically.
        HAZARD_TRACKED = 2 << 8,
    }
}
