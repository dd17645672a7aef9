//! The pixels of textures, and of views of textures, in slices and mip levels.

use super::format::Format;
use super::label::Label;
use super::memory::Memory;
use crate::abi::{MTLOrigin, MTLSize, MTLTextureSwizzleChannels};
use crate::soft::ir::Expected;
use crate::soft::kernel::texture::{Level, Pixel, PixelFormat, Texture};
use crate::soft::kernel::{Access, Owner, TextureKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// `MTLTextureType`.
pub(crate) mod kind {
    pub(crate) const D1: usize = 0;
    pub(crate) const D1_ARRAY: usize = 1;
    pub(crate) const D2: usize = 2;
    pub(crate) const D2_ARRAY: usize = 3;
    pub(crate) const D2_MS: usize = 4;
    pub(crate) const CUBE: usize = 5;
    pub(crate) const CUBE_ARRAY: usize = 6;
    pub(crate) const D3: usize = 7;
    pub(crate) const D2_MS_ARRAY: usize = 8;
    pub(crate) const BUFFER: usize = 9;
}

/// `MTLTextureUsageShaderRead`.
pub(crate) const SHADER_READ: usize = 1;

/// `MTLTextureUsageShaderWrite`.
pub(crate) const SHADER_WRITE: usize = 2;

/// The pixels of a texture or of a view of one.
pub(crate) struct Image {
    pub(crate) memory: Arc<Memory>,
    /// The offset of slice 0, and the distance between slices.
    pub(crate) start: usize,
    pub(crate) stride: usize,
    pub(crate) levels: Vec<Level>,
    pub(crate) slices: usize,
    pub(crate) kind: usize,
    pub(crate) format: &'static Format,
    pub(crate) swizzle: MTLTextureSwizzleChannels,
    pub(crate) usage: usize,
    pub(crate) released: AtomicBool,
    /// Its number for kernels: `gpuResourceID`.
    pub(crate) id: u64,
    /// The label of its texture.
    pub(crate) label: Label,
}

/// A kind of texture: how many coordinates a pixel has, whether it is an array, and how many slices an element has.
pub(crate) fn shape(kind: usize) -> Option<(usize, bool, usize)> {
    Some(match kind {
        kind::D1 | kind::BUFFER => (1, false, 1),
        kind::D1_ARRAY => (1, true, 1),
        kind::D2 | kind::D2_MS => (2, false, 1),
        kind::D2_ARRAY | kind::D2_MS_ARRAY => (2, true, 1),
        kind::CUBE => (2, false, 6),
        kind::CUBE_ARRAY => (2, true, 6),
        kind::D3 => (3, false, 1),
        _ => return None,
    })
}

/// Whether pixels have several samples, which are the images of a level.
pub(crate) fn is_multisampled(kind: usize) -> bool {
    matches!(kind, kind::D2_MS | kind::D2_MS_ARRAY)
}

pub(crate) fn side_lengths(level: &Level) -> MTLSize {
    let [width, height, depth] = level.size.map(|side| side as usize);
    MTLSize { width, height, depth }
}

/// The names of the kinds of textures, by `MTLTextureType`.
const KIND_NAMES: [&str; 10] = [
    "1D",
    "1D array",
    "2D",
    "2D array",
    "2D multisampled",
    "cube",
    "cube array",
    "3D",
    "2D multisampled array",
    "texture buffer",
];

impl Owner for Image {
    fn name(&self) -> String {
        self.label.get().map_or_else(|| format!("texture {}", self.id), |label| label.to_string())
    }

    fn misfit(&self, expected: Expected) -> Option<String> {
        self.is_expected(expected).err()
    }
}

impl Image {
    /// The pixels, as kernels see them.
    pub(crate) fn for_kernels(&self) -> Texture<'_> {
        let MTLTextureSwizzleChannels { red, green, blue, alpha } = self.swizzle;
        let (sides, _, faces) = shape(self.kind).unwrap_or((3, false, 1));
        Texture {
            base: self.memory.base().wrapping_add(self.start),
            levels: &self.levels,
            slices: self.slices as u32,
            stride: self.stride,
            sides,
            cube: faces == 6,
            format: self.format,
            swizzle: [red, green, blue, alpha],
            id: self.id,
        }
    }

    /// Checks that a kernel's argument accepts this texture.
    pub(crate) fn fits(&self, wanted: TextureKind, access: Access) -> Result<(), String> {
        if wanted.kind != self.kind {
            let name = |kind: usize| KIND_NAMES.get(kind).copied().unwrap_or("unknown");
            return Err(format!(
                "the texture is of kind {}, and the kernel takes {}",
                name(self.kind),
                name(wanted.kind)
            ));
        }
        let (integer, signed) = (self.format.is_integer(), self.format.is_signed_integer());
        if integer != wanted.scalar.is_int() || signed != wanted.scalar.is_signed() {
            return Err(format!(
                "the texture has the format {}, whose components do not convert to {}",
                self.format.name, wanted.scalar
            ));
        }
        if access != Access::ReadOnly && self.format.codec().is_some() {
            let name = self.format.name;
            return Err(format!("the texture has the format {name}, which kernels cannot write"));
        }
        self.allows(access, SHADER_READ | SHADER_WRITE)
    }

    /// Checks that the usage includes these uses, as far as a kernel's argument needs them. Usage 0 (unknown) allows everything.
    fn allows(&self, access: Access, uses: usize) -> Result<(), String> {
        let needed = uses
            & match access {
                Access::ReadOnly => SHADER_READ,
                Access::WriteOnly => SHADER_WRITE,
                Access::ReadWrite => SHADER_READ | SHADER_WRITE,
            };
        if self.usage != 0 && needed & !self.usage != 0 {
            let verb = if needed & !self.usage & SHADER_WRITE != 0 { "write" } else { "read" };
            return Err(format!("the texture's usage does not allow kernels to {verb} it"));
        }
        Ok(())
    }

    /// Checks that a kernel's argument writes nothing that the usage protects: the CPU may read its memory meanwhile.
    pub(crate) fn allows_writes(&self, access: Access) -> Result<(), String> {
        self.allows(access, SHADER_WRITE)
    }

    /// Checks that an argument accepts a texture that a kernel takes from memory.
    fn is_expected(&self, expected: Expected) -> Result<(), String> {
        let Expected { kind, scalar, read, write } = expected;
        let access = match (read, write) {
            (true, true) => Access::ReadWrite,
            (false, true) => Access::WriteOnly,
            _ => Access::ReadOnly,
        };
        self.fits(TextureKind { kind: usize::from(kind), depth: false, scalar }, access)
    }

    pub(crate) fn format(&self) -> &'static Format {
        self.format
    }

    /// The address of the memory that the pixels are in.
    pub(crate) fn memory(&self) -> *const Memory {
        Arc::as_ptr(&self.memory)
    }

    pub(crate) fn slices(&self) -> usize {
        self.slices
    }

    pub(crate) fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The size of an existing level.
    pub(crate) fn size(&self, level: usize) -> MTLSize {
        let size = side_lengths(&self.levels[level]);
        if is_multisampled(self.kind) { MTLSize { depth: 1, ..size } } else { size }
    }

    /// How many samples a pixel has.
    pub(crate) fn samples(&self) -> usize {
        if is_multisampled(self.kind) { self.levels[0].size[2] as usize } else { 1 }
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Acquire) || self.memory.is_released()
    }

    pub(crate) fn array_length(&self) -> usize {
        self.slices / shape(self.kind).map_or(1, |(_, _, faces)| faces)
    }

    /// Checks that a region is inside.
    pub(crate) fn check(
        &self,
        level: usize,
        slice: usize,
        origin: MTLOrigin,
        size: MTLSize,
    ) -> Result<(), String> {
        if level >= self.levels.len() {
            return Err(format!("mip level {level} of a texture that has {}", self.levels.len()));
        }
        if slice >= self.slices {
            return Err(format!("slice {slice} of a texture that has {}", self.slices));
        }
        let ends = |start: usize, length: usize, most: usize| {
            start.checked_add(length).is_some_and(|end| end <= most)
        };
        let whole = self.size(level);
        if ends(origin.x, size.width, whole.width)
            && ends(origin.y, size.height, whole.height)
            && ends(origin.z, size.depth, whole.depth)
        {
            return self.check_blocks(origin, size, whole);
        }
        Err(format!(
            "a region at ({}, {}, {}) of ({}, {}, {}) pixels: mip level {level} has ({}, {}, {})",
            origin.x,
            origin.y,
            origin.z,
            size.width,
            size.height,
            size.depth,
            whole.width,
            whole.height,
            whole.depth
        ))
    }

    /// Checks that a region inside begins at the corner of a block, and ends at one or at the edge of the level.
    fn check_blocks(&self, origin: MTLOrigin, size: MTLSize, whole: MTLSize) -> Result<(), String> {
        let [columns, rows] = self.format.block();
        let fits = |start: usize, length: usize, whole: usize, block: u32| {
            let block = block as usize;
            start.is_multiple_of(block) && (length.is_multiple_of(block) || start + length == whole)
        };
        if fits(origin.x, size.width, whole.width, columns)
            && fits(origin.y, size.height, whole.height, rows)
        {
            return Ok(());
        }
        Err(format!(
            "a region at ({}, {}) of ({}, {}) pixels cuts blocks: {} has blocks of {columns} × {rows} pixels",
            origin.x, origin.y, size.width, size.height, self.format.name
        ))
    }

    /// Checks that the CPU or a buffer can have the pixels.
    pub(crate) fn check_samples(&self) -> Result<(), String> {
        match self.samples() {
            1 => Ok(()),
            count => Err(format!(
                "the texture has {count} samples a pixel; its pixels can only be copied to a texture that has as many"
            )),
        }
    }

    /// The address of a row of blocks, counted from a position inside.
    fn row(&self, level: usize, slice: usize, origin: MTLOrigin, y: usize, z: usize) -> *mut u8 {
        let layout = &self.levels[level];
        let (column, first) = self.format.blocks(origin.x, origin.y);
        let offset = self.start
            + slice * self.stride
            + layout.offset
            + (origin.z + z) * layout.image
            + (first + y) * layout.row
            + column * self.format.bytes;
        self.memory.base().wrapping_add(offset)
    }

    /// Writes rows of pixels into a region.
    ///
    /// # Safety
    ///
    /// The region is inside, and `from` has the bytes that [`Format::bytes_of`] returns for these distances.
    #[allow(clippy::too_many_arguments)] // A position, a size, and distances.
    pub(crate) unsafe fn write(
        &self,
        level: usize,
        slice: usize,
        origin: MTLOrigin,
        size: MTLSize,
        from: *const u8,
        bytes_per_row: usize,
        bytes_per_image: usize,
    ) {
        let (columns, rows) = self.format.blocks(size.width, size.height);
        for z in 0..size.depth {
            for y in 0..rows {
                let source = from.wrapping_add(z * bytes_per_image + y * bytes_per_row);
                let target = self.row(level, slice, origin, y, z);
                // SAFETY: the caller's. The program's bytes may be this very memory.
                unsafe { std::ptr::copy(source, target, columns * self.format.bytes) };
            }
        }
    }

    /// Reads rows of pixels out of a region.
    ///
    /// # Safety
    ///
    /// As for [`write`](Self::write).
    #[allow(clippy::too_many_arguments)] // As above.
    pub(crate) unsafe fn read(
        &self,
        level: usize,
        slice: usize,
        origin: MTLOrigin,
        size: MTLSize,
        to: *mut u8,
        bytes_per_row: usize,
        bytes_per_image: usize,
    ) {
        let (columns, rows) = self.format.blocks(size.width, size.height);
        for z in 0..size.depth {
            for y in 0..rows {
                let source = self.row(level, slice, origin, y, z);
                let target = to.wrapping_add(z * bytes_per_image + y * bytes_per_row);
                // SAFETY: the caller's. The program's bytes may be this very memory.
                unsafe { std::ptr::copy(source, target, columns * self.format.bytes) };
            }
        }
    }

    /// The pixel at a position inside, without the swizzle.
    fn pixel(&self, level: usize, slice: usize, x: usize, y: usize, z: usize) -> Pixel {
        let row = self.row(level, slice, MTLOrigin { x, y: 0, z: 0 }, y, z);
        // SAFETY: the position is inside.
        self.format.decode(unsafe { std::slice::from_raw_parts(row, self.format.bytes) })
    }

    fn set_pixel(&self, level: usize, slice: usize, at: [usize; 3], pixel: Pixel) {
        let [x, y, z] = at;
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..self.format.bytes];
        self.format.encode(pixel, bytes);
        let row = self.row(level, slice, MTLOrigin { x, y: 0, z: 0 }, y, z);
        // SAFETY: the position is inside.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), row, bytes.len()) };
    }

    /// Makes each level from the previous one: a pixel is the mean of the pixels that it covers.
    pub(crate) fn generate_mipmaps(&self) {
        for level in 1..self.levels.len() {
            let (small, large) = (self.size(level), self.size(level - 1));
            // Two along each side that was halved, one where it was a single pixel already.
            let wide = |small: usize, large: usize| if large > small { 2 } else { 1 };
            let box_size = [
                wide(small.width, large.width),
                wide(small.height, large.height),
                wide(small.depth, large.depth),
            ];
            for slice in 0..self.slices {
                for z in 0..small.depth {
                    for y in 0..small.height {
                        for x in 0..small.width {
                            let mean = self.mean(level - 1, slice, [x, y, z], box_size);
                            self.set_pixel(level, slice, [x, y, z], mean);
                        }
                    }
                }
            }
        }
    }

    fn mean(&self, level: usize, slice: usize, at: [usize; 3], box_size: [usize; 3]) -> Pixel {
        let mut sum = [0.0f32; 4];
        for dz in 0..box_size[2] {
            for dy in 0..box_size[1] {
                for dx in 0..box_size[0] {
                    let from = [
                        at[0] * box_size[0] + dx,
                        at[1] * box_size[1] + dy,
                        at[2] * box_size[2] + dz,
                    ];
                    let pixel = self.pixel(level, slice, from[0], from[1], from[2]);
                    for (sum, number) in sum.iter_mut().zip(pixel) {
                        *sum += f32::from_bits(number);
                    }
                }
            }
        }
        let count = (box_size[0] * box_size[1] * box_size[2]) as f32;
        sum.map(|sum| (sum / count).to_bits())
    }
}

/// Copies a region from one texture to another whose blocks have the same size and whose pixels have the same number of samples.
/// Positions are a level, a slice and an origin, and are inside.
pub(crate) fn copy_between(
    from: &Image,
    (from_level, from_slice, from_origin): (usize, usize, MTLOrigin),
    to: &Image,
    (to_level, to_slice, to_origin): (usize, usize, MTLOrigin),
    size: MTLSize,
) {
    let (columns, rows) = from.format.blocks(size.width, size.height);
    let length = columns * from.format.bytes;
    // All samples are copied.
    for z in 0..size.depth * from.samples() {
        for y in 0..rows {
            let source = from.row(from_level, from_slice, from_origin, y, z);
            let target = to.row(to_level, to_slice, to_origin, y, z);
            // SAFETY: the encoder checked that both regions are inside. They may be in the same texture.
            unsafe { std::ptr::copy(source, target, length) };
        }
    }
}
