//! Textures as a launch sees them: where pixels lie, and how they are read and written (MSL 6.12, 8.7).

/// A pixel: red, green, blue and alpha; integers, or the bits of `f32`s.
pub(crate) type Pixel = [u32; 4];

/// How the bytes of a pixel are read.
pub(crate) trait PixelFormat: Sync {
    /// How many bytes a pixel has, at most 16.
    fn bytes(&self) -> usize;
    /// Whether components are integers, which no filter mixes.
    fn is_integer(&self) -> bool;
    /// Whether there is an alpha component.
    fn has_alpha(&self) -> bool;
    /// The pixel in as many bytes. What the format lacks is 0, and 1 for alpha.
    fn decode(&self, bytes: &[u8]) -> Pixel;
    /// Writes a pixel to as many bytes.
    fn encode(&self, pixel: Pixel, bytes: &mut [u8]);
}

/// One mip level of one slice: where it begins, and how far apart its rows and images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// From the start of the slice.
    pub(crate) offset: usize,
    /// From row to row.
    pub(crate) row: usize,
    /// From image to image.
    pub(crate) image: usize,
    /// Width, height and depth.
    pub(crate) size: [u32; 3],
}

/// What becomes of a component on its way to the kernel, by `MTLTextureSwizzle`: 0, 1, or a component.
pub(crate) const NO_SWIZZLE: [u8; 4] = [2, 3, 4, 5];

/// A texture.
#[derive(Clone, Copy)]
pub(crate) struct Texture<'a> {
    /// Where slice 0 begins.
    pub(crate) base: *mut u8,
    /// The levels of a slice.
    pub(crate) levels: &'a [Level],
    /// How many slices there are, and how far they are apart.
    pub(crate) slices: u32,
    /// See [`slices`](Self::slices).
    pub(crate) stride: usize,
    /// How many coordinates a pixel has; of a cube's, two.
    pub(crate) sides: usize,
    /// Whether six slices are the faces of a cube.
    pub(crate) cube: bool,
    /// The pixels.
    pub(crate) format: &'a dyn PixelFormat,
    /// See [`NO_SWIZZLE`].
    pub(crate) swizzle: [u8; 4],
}

/// The format of a texture that is not there.
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
}

impl Texture<'_> {
    /// A texture that is not there: everything is outside, and zero.
    pub(crate) const NONE: Texture<'static> = Texture {
        base: std::ptr::null_mut(),
        levels: &[],
        slices: 0,
        stride: 0,
        sides: 3,
        cube: false,
        format: &Nothing,
        swizzle: NO_SWIZZLE,
    };

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

    /// Where a pixel is; none outside.
    fn address(&self, [x, y, z]: [u32; 3], slice: u32, level: u32) -> Option<*mut u8> {
        let there = self.levels.get(level as usize)?;
        let [width, height, depth] = there.size;
        if x >= width || y >= height || z >= depth {
            return None;
        }
        let offset = slice as usize * self.stride
            + there.offset
            + z as usize * there.image
            + y as usize * there.row
            + x as usize * self.format.bytes();
        Some(self.base.wrapping_add(offset))
    }

    /// Splits the third coordinate: a face of a cube, a depth elsewhere.
    fn place(&self, [x, y, z, element]: [u32; 4]) -> Option<([u32; 3], u32)> {
        let slice = self.slice(z, element)?;
        Some(([x, y, if self.cube { 0 } else { z }], slice))
    }

    /// The pixel in so many bytes, as the kernel sees it.
    fn seen(&self, bytes: &[u8]) -> Pixel {
        let pixel = self.format.decode(bytes);
        if self.swizzle == NO_SWIZZLE { pixel } else { self.swizzled(pixel) }
    }

    /// A pixel with the components that the texture shows.
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
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..self.format.bytes()];
        // Outside, components of the format are 0 and others have their default: as if all bytes were 0
        // (MSL 6.12).
        if let Some(address) = self.address(at, slice, level) {
            // SAFETY: the pixel is inside of what the launch says may be read.
            unsafe { address.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        }
        self.seen(bytes)
    }

    /// Reads the pixel at x, y, z or face, and element.
    pub(crate) fn read(&self, at: [u32; 4], level: u32) -> Pixel {
        match self.place(at) {
            Some((at, slice)) => self.pixel(at, slice, level),
            None => self.pixel([u32::MAX; 3], 0, level),
        }
    }

    /// Writes the pixel at x, y, z or face, and element; outside, nothing (MSL 6.12).
    pub(crate) fn write(&self, at: [u32; 4], level: u32, pixel: Pixel) {
        let place = self.place(at).and_then(|(at, slice)| self.address(at, slice, level));
        let Some(address) = place else { return };
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..self.format.bytes()];
        self.format.encode(pixel, bytes);
        // SAFETY: the pixel is inside of what the launch says may be written.
        unsafe { address.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}
