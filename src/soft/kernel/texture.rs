//! Textures as a launch sees them: their layout, and how pixels are read and written (MSL 6.12, 8.7).

use crate::soft::ir::TextureAtomic;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A pixel: red, green, blue and alpha; integers, or the bits of `f32`s.
pub(crate) type Pixel = [u32; 4];

/// How the numbers of a format are interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Integers that represent 0 to 1.
    Unorm,
    /// The same, with colors encoded by sRGB's transfer function.
    Srgb,
    /// Integers that represent -1 to 1.
    Snorm,
    /// Integers without a sign.
    Uint,
    /// Integers.
    Sint,
    /// Floats of 16 or 32 bits.
    Float,
}

/// Where the components of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// For red, green, blue and alpha the lowest bit, and how many there are; none crosses 32 bits.
    Fields([(u32, u32); 4]),
    /// Eleven, eleven and ten bits, each a small float without a sign.
    Float11,
    /// Three times nine bits, and an exponent for all.
    Exponent,
}

/// sRGB's transfer function (IEC 61966-2-1).
pub(crate) fn from_srgb(value: f32) -> f32 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// Its inverse.
pub(crate) fn to_srgb(value: f32) -> f32 {
    match value {
        value if value <= 0.003_130_8 => value * 12.92,
        value => 1.055 * value.powf(1.0 / 2.4) - 0.055,
    }
}

/// How the bytes of a pixel are read.
pub(crate) trait PixelFormat: Sync {
    /// How many bytes a block has, at most 16.
    fn bytes(&self) -> usize;
    /// The columns and rows of a block: one of each, unless the format is compressed.
    fn block(&self) -> [u32; 2] {
        [1, 1]
    }
    /// Whether components are integers, which no filter mixes.
    fn is_integer(&self) -> bool;
    /// Whether a pixel is one integer of 32 bits, which can be changed at once.
    fn is_word(&self) -> bool {
        false
    }
    /// Whether there is an alpha component.
    fn has_alpha(&self) -> bool;
    /// Decodes the first pixel of a block. Components that the format lacks are 0, alpha 1.
    fn decode(&self, bytes: &[u8]) -> Pixel;
    /// Decodes the pixel at a column and row of a block.
    fn decode_at(&self, block: &[u8], _: [u32; 2]) -> Pixel {
        self.decode(block)
    }
    /// The pixel outside of textures: components of the format are 0, and others as in [`decode`](Self::decode)
    /// (MSL 6.12).
    fn outside(&self) -> Pixel {
        self.decode(&[0; 16][..self.bytes()])
    }
    /// Encodes a pixel of a format that is not compressed; kernels write no others.
    fn encode(&self, pixel: Pixel, bytes: &mut [u8]);
    /// The layout of a pixel as data, for back ends that decode and encode by themselves; `None` if it is compressed.
    fn packing(&self) -> Option<(Kind, Packing)>;
}

/// The layout of one mip level of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// Its offset from the start of the slice.
    pub(crate) offset: usize,
    /// The distance from one row of blocks to the next.
    pub(crate) row: usize,
    /// The distance from image to image.
    pub(crate) image: usize,
    /// Width, height and depth; in a multisampled texture the depth is the number of samples.
    pub(crate) size: [u32; 3],
}

/// The swizzle that leaves components as they are. The values are those of `MTLTextureSwizzle`: 0, 1, or a component.
pub(crate) const NO_SWIZZLE: [u8; 4] = [2, 3, 4, 5];

/// A texture.
#[derive(Clone, Copy)]
pub(crate) struct Texture<'a> {
    /// The address of slice 0.
    pub(crate) base: *mut u8,
    /// The levels of a slice.
    pub(crate) levels: &'a [Level],
    /// The number of slices, and the distance between them.
    pub(crate) slices: u32,
    /// See [`slices`](Self::slices).
    pub(crate) stride: usize,
    /// How many coordinates a pixel has: two in a cube.
    pub(crate) sides: usize,
    /// Whether six slices are the faces of a cube.
    pub(crate) cube: bool,
    /// The format of the pixels.
    pub(crate) format: &'a dyn PixelFormat,
    /// See [`NO_SWIZZLE`].
    pub(crate) swizzle: [u8; 4],
    /// The ID that memory has for it.
    pub(crate) id: u64,
}

/// The format of [`Texture::NONE`].
struct Nothing;

impl PixelFormat for Nothing {
    fn bytes(&self) -> usize {
        0
    }

    fn is_integer(&self) -> bool {
        true
    }

    fn has_alpha(&self) -> bool {
        true
    }

    fn decode(&self, _: &[u8]) -> Pixel {
        [0; 4]
    }

    fn encode(&self, _: Pixel, _: &mut [u8]) {}

    fn packing(&self) -> Option<(Kind, Packing)> {
        // Components of some bits, so that a missing alpha is not 1.
        Some((Kind::Uint, Packing::Fields([(0, 32); 4])))
    }
}

impl Texture<'_> {
    /// No texture: every position is outside, and every component is zero.
    pub(crate) const NONE: Texture<'static> = Texture {
        base: std::ptr::null_mut(),
        levels: &[],
        slices: 0,
        stride: 0,
        sides: 3,
        cube: false,
        format: &Nothing,
        swizzle: NO_SWIZZLE,
        id: 0,
    };

    /// The properties of a texture that does not exist: it has no pixels, but it is not the null texture, so that
    /// a kernel that checks for that uses it, and has a fault.
    pub(crate) const MISSING: Texture<'static> =
        Texture { levels: &[Level { offset: 0, row: 0, image: 0, size: [0; 3] }], ..Self::NONE };

    /// How many slices an element of an array has.
    pub(crate) const fn faces(&self) -> u32 {
        if self.cube { 6 } else { 1 }
    }

    /// The slice of a face of an element.
    fn slice(&self, face: u32, element: u32) -> Option<u32> {
        let slice =
            element.checked_mul(self.faces())?.checked_add(if self.cube { face } else { 0 });
        slice.filter(|&slice| slice < self.slices && (!self.cube || face < 6))
    }

    /// The address of a pixel's block; `None` outside.
    fn address(&self, [x, y, z]: [u32; 3], slice: u32, level: u32) -> Option<*mut u8> {
        let layout = self.levels.get(level as usize)?;
        let [width, height, depth] = layout.size;
        if x >= width || y >= height || z >= depth {
            return None;
        }
        let [columns, rows] = self.format.block();
        let [x, y] = if columns > 1 { [x / columns, y / rows] } else { [x, y] };
        let offset = slice as usize * self.stride
            + layout.offset
            + z as usize * layout.image
            + y as usize * layout.row
            + x as usize * self.format.bytes();
        Some(self.base.wrapping_add(offset))
    }

    /// Splits the third coordinate, which is a face in a cube and a depth elsewhere.
    fn split(&self, [x, y, z, element]: [u32; 4]) -> Option<([u32; 3], u32)> {
        let slice = self.slice(z, element)?;
        Some(([x, y, if self.cube { 0 } else { z }], slice))
    }

    /// Applies the swizzle.
    pub(crate) fn swizzled(&self, pixel: Pixel) -> Pixel {
        let one = if self.format.is_integer() { 1 } else { 1.0f32.to_bits() };
        self.swizzle.map(|pick| match pick {
            0 => 0,
            1 => one,
            pick => pixel[usize::from(pick - 2) % 4],
        })
    }

    /// The pixel at x, y and z of a slice.
    pub(crate) fn pixel(&self, at: [u32; 3], slice: u32, level: u32) -> Pixel {
        let pixel = match self.address(at, slice, level) {
            Some(address) => {
                let mut bytes = [0; 16];
                let bytes = &mut bytes[..self.format.bytes()];
                // SAFETY: the block is inside the texture, which the launch may read.
                unsafe { address.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
                let [columns, rows] = self.format.block();
                self.format.decode_at(bytes, [at[0] % columns, at[1] % rows])
            }
            None => self.format.outside(),
        };
        if self.swizzle == NO_SWIZZLE { pixel } else { self.swizzled(pixel) }
    }

    /// Reads the pixel at x, y, z or face, and element.
    pub(crate) fn read(&self, at: [u32; 4], level: u32) -> Pixel {
        match self.split(at) {
            Some((at, slice)) => self.pixel(at, slice, level),
            None => self.pixel([u32::MAX; 3], 0, level),
        }
    }

    /// Whether atomic functions can change its pixels. A texture without pixels is not refused.
    pub(crate) fn has_words(&self) -> bool {
        self.format.is_word() || self.levels.iter().all(|level| level.size == [0; 3])
    }

    /// Changes the integer of the pixel at x, y, z and element at once; returns what it was, 0 outside.
    pub(crate) fn change(
        &self,
        at: [u32; 4],
        function: TextureAtomic,
        operand: u32,
        expected: u32,
    ) -> u32 {
        let address = self.split(at).and_then(|(at, slice)| self.address(at, slice, 0));
        let Some(address) = address.filter(|_| self.format.is_word()) else { return 0 };
        // A linear texture begins at a multiple of 16 bytes, as other textures do.
        debug_assert!(address.addr().is_multiple_of(4));
        // SAFETY: the pixel is an aligned word inside the texture, which the launch may write.
        let word = unsafe { AtomicU32::from_ptr(address.cast()) };
        let change = |old| Some(function.apply(old, operand, expected));
        word.fetch_update(Relaxed, Relaxed, change).unwrap_or_default()
    }

    /// Writes the pixel at x, y, z or face, and element; outside, nothing (MSL 6.12).
    pub(crate) fn write(&self, at: [u32; 4], level: u32, pixel: Pixel) {
        let address = self.split(at).and_then(|(at, slice)| self.address(at, slice, level));
        let Some(address) = address else { return };
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..self.format.bytes()];
        self.format.encode(pixel, bytes);
        // SAFETY: the pixel is inside the texture, which the launch may write.
        unsafe { address.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}
