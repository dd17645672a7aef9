//! The C structs that Metal's methods take and return by value.

/// Width, height and depth: of a grid, of a threadgroup, of a texture region.
///
/// ```
/// use aruminium::MTLSize;
/// assert_eq!(MTLSize::from((64, 1, 1)), MTLSize { width: 64, height: 1, depth: 1 });
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The fields are the three dimensions.
pub struct MTLSize {
    pub width: usize,
    pub height: usize,
    pub depth: usize,
}

/// The first pixel of a texture region.
///
/// ```
/// use aruminium::MTLOrigin;
/// assert_eq!(MTLOrigin::from((1, 2, 0)), MTLOrigin { x: 1, y: 2, z: 0 });
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // Coordinates.
pub struct MTLOrigin {
    pub x: usize,
    pub y: usize,
    pub z: usize,
}

/// A box of pixels in a texture.
///
/// ```
/// use aruminium::MTLRegion;
/// let lower_half = MTLRegion { origin: (0, 32, 0).into(), size: (64, 32, 1).into() };
/// assert_eq!(lower_half.origin.y, 32);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MTLRegion {
    /// Where the box begins.
    pub origin: MTLOrigin,
    /// How far it reaches.
    pub size: MTLSize,
}

/// A run of indices.
///
/// ```
/// use aruminium::NSRange;
/// assert_eq!(NSRange::from(4..10), NSRange { location: 4, length: 6 });
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NSRange {
    /// The first index.
    pub location: usize,
    /// How many there are.
    pub length: usize,
}

/// How much room something takes in a heap, and at which multiples it may begin.
///
/// ```
/// use aruminium::abi::MTLSizeAndAlign;
/// let room = MTLSizeAndAlign { size: 1000, align: 256 };
/// assert_eq!(room.size.next_multiple_of(room.align), 1024);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The fields are what the name says.
pub struct MTLSizeAndAlign {
    pub size: usize,
    pub align: usize,
}

/// Bytes at an address of the GPU.
///
/// ```
/// use aruminium::abi::MTL4BufferRange;
/// let range = MTL4BufferRange { buffer_address: 1 << 32, length: 64 };
/// assert_eq!(range.buffer_address + range.length, (1 << 32) + 64);
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The fields are what the name says.
pub struct MTL4BufferRange {
    pub buffer_address: u64,
    pub length: u64,
}

/// The number that stands for a resource in a kernel's memory.
///
/// ```
/// use aruminium::abi::MTLResourceID;
/// assert_eq!(MTLResourceID::default(), MTLResourceID { _impl: 0 });
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // Metal's own name.
pub struct MTLResourceID {
    pub _impl: u64,
}

/// Which of a pixel's components is read as which: values of `MTLTextureSwizzle`.
///
/// ```
/// use aruminium::abi::MTLTextureSwizzleChannels;
/// let red_everywhere = MTLTextureSwizzleChannels { red: 2, green: 2, blue: 2, alpha: 1 };
/// assert_ne!(red_everywhere, MTLTextureSwizzleChannels::default());
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // Colors.
pub struct MTLTextureSwizzleChannels {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
    pub alpha: u8,
}

impl Default for MTLTextureSwizzleChannels {
    /// Every component as itself.
    fn default() -> Self {
        Self { red: 2, green: 3, blue: 4, alpha: 5 }
    }
}

impl From<(usize, usize, usize)> for MTLSize {
    #[inline(always)]
    fn from((width, height, depth): (usize, usize, usize)) -> Self {
        Self { width, height, depth }
    }
}

impl From<MTLSize> for (usize, usize, usize) {
    #[inline(always)]
    fn from(size: MTLSize) -> Self {
        (size.width, size.height, size.depth)
    }
}

impl From<(usize, usize, usize)> for MTLOrigin {
    #[inline(always)]
    fn from((x, y, z): (usize, usize, usize)) -> Self {
        Self { x, y, z }
    }
}

impl From<std::ops::Range<usize>> for NSRange {
    #[inline(always)]
    fn from(range: std::ops::Range<usize>) -> Self {
        Self { location: range.start, length: range.end.saturating_sub(range.start) }
    }
}
