//! MTLTexture: pixels in slices and mip levels, one after the other in plain memory.

use super::buffer::Buffer;
use super::descriptors::{TextureDescriptor, TextureFields, full_levels};
use super::format::Format;
use super::foundation::{NSObject, Strong, This};
use super::heap::Region;
use super::memory::Memory;
use super::resource::{HasResource, Resource, resource_class};
use super::sampler::next_id;
use crate::abi::{
    Id, MTLOrigin, MTLRegion, MTLResourceID, MTLSize, MTLTextureSwizzleChannels, NSRange,
};
use crate::soft::kernel::texture::{Level, Pixel, PixelFormat, Texture as BoundTexture};
use crate::soft::kernel::{Access, TextureKind};
use std::ffi::c_void;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// `MTLTextureType`.
pub(super) mod kind {
    pub(in super::super) const D1: usize = 0;
    pub(in super::super) const D1_ARRAY: usize = 1;
    pub(in super::super) const D2: usize = 2;
    pub(in super::super) const D2_ARRAY: usize = 3;
    pub(in super::super) const CUBE: usize = 5;
    pub(in super::super) const CUBE_ARRAY: usize = 6;
    pub(in super::super) const D3: usize = 7;
    pub(in super::super) const BUFFER: usize = 9;
}

/// `MTLTextureUsageShaderRead`.
pub(super) const SHADER_READ: usize = 1;

/// The longest side of a texture, and the longest of one with three, as on Apple's GPUs.
const LONGEST: usize = 16384;
const LONGEST_3D: usize = 2048;
/// The most slices of an array.
const MOST_SLICES: usize = 2048;

/// `MTLTextureUsageShaderWrite`.
const SHADER_WRITE: usize = 2;

/// The pixels of a texture or of a view of one.
pub(super) struct Image {
    memory: Arc<Memory>,
    /// Where slice 0 begins, and how far apart slices are.
    start: usize,
    stride: usize,
    levels: Vec<Level>,
    slices: usize,
    kind: usize,
    format: &'static Format,
    swizzle: MTLTextureSwizzleChannels,
    usage: usize,
    released: AtomicBool,
}

/// A texture.
pub(super) struct Texture {
    pub(super) image: Arc<Image>,
    resource: Resource,
    /// What it is a view of, and from which level and slice on.
    parent: Option<(Strong<Texture>, usize, usize)>,
    /// The buffer that has the pixels, from which offset on.
    buffer: Option<(Strong<Buffer>, usize)>,
    id: u64,
}

resource_class! {
    /// A texture.
    class SoftMTLTexture(Texture): MTLTexture;
    [textureType] = |texture: &Texture| texture.image.kind;
    [pixelFormat] = |texture: &Texture| texture.image.format.value;
    [width] = |texture: &Texture| texture.image.size(0).width;
    [height] = |texture: &Texture| texture.image.size(0).height;
    [depth] = |texture: &Texture| texture.image.size(0).depth;
    [mipmapLevelCount] = |texture: &Texture| texture.image.levels.len();
    [arrayLength] = |texture: &Texture| texture.image.array_length();
    [sampleCount] = |_: &Texture| 1usize;
    [usage] = |texture: &Texture| texture.image.usage;
    [swizzle] = |texture: &Texture| texture.image.swizzle;
    [isShareable] = |_: &Texture| false;
    [isFramebufferOnly] = |_: &Texture| false;
    [isSparse] = |_: &Texture| false;
    [sparseTextureTier] = |_: &Texture| 0isize;
    [allowGPUOptimizedContents] = |_: &Texture| true;
    [compressionType] = |_: &Texture| 0isize;
    [firstMipmapInTail] = |texture: &Texture| texture.image.levels.len();
    [tailSizeInBytes] = |_: &Texture| 0usize;
    [iosurface] = |_: &Texture| Id::NIL;
    [iosurfacePlane] = |_: &Texture| 0usize;
    [gpuResourceID] = |texture: &Texture| MTLResourceID { _impl: texture.id };
    [parentTexture] = |texture: &Texture| texture.parent.as_ref().map(|(parent, ..)| parent.clone());
    [parentRelativeLevel] = |texture: &Texture| texture.parent.as_ref().map_or(0, |parent| parent.1);
    [parentRelativeSlice] = |texture: &Texture| texture.parent.as_ref().map_or(0, |parent| parent.2);
    [rootResource] = root;
    [buffer] = |texture: &Texture| texture.buffer.as_ref().map(|(buffer, _)| buffer.clone());
    [bufferOffset] = |texture: &Texture| texture.buffer.as_ref().map_or(0, |buffer| buffer.1);
    [bufferBytesPerRow] = |texture: &Texture| {
        texture.buffer.as_ref().map_or(0, |_| texture.image.levels[0].row)
    };
    [remoteStorageTexture] = |_: &Texture| Id::NIL;
    [newSharedTextureHandle] = |_: &Texture| Id::NIL;

    [replaceRegion:mipmapLevel:withBytes:bytesPerRow:] = |
        texture: This<'_, Texture>, region: MTLRegion, level: usize, bytes: *const c_void, row: usize,
    | replace(texture, region, level, 0, bytes, row, 0);
    [replaceRegion:mipmapLevel:slice:withBytes:bytesPerRow:bytesPerImage:] = replace;
    [getBytes:bytesPerRow:fromRegion:mipmapLevel:] = |
        texture: This<'_, Texture>, bytes: *mut c_void, row: usize, region: MTLRegion, level: usize,
    | get(texture, bytes, row, 0, region, level, 0);
    [getBytes:bytesPerRow:bytesPerImage:fromRegion:mipmapLevel:slice:] = get;

    [newTextureViewWithPixelFormat:] = |texture: This<'_, Texture>, format: usize| {
        let image = &texture.image;
        view(&texture, format, image.kind, 0..image.levels.len(), 0..image.slices, None)
    };
    [newTextureViewWithPixelFormat:textureType:levels:slices:] = |
        texture: This<'_, Texture>, format: usize, kind: usize, levels: NSRange, slices: NSRange,
    | view(&texture, format, kind, indices(levels)?, indices(slices)?, None);
    [newTextureViewWithPixelFormat:textureType:levels:slices:swizzle:] = |
        texture: This<'_, Texture>, format: usize, kind: usize, levels: NSRange, slices: NSRange,
        swizzle: MTLTextureSwizzleChannels,
    | view(&texture, format, kind, indices(levels)?, indices(slices)?, Some(swizzle));
}

impl HasResource for Texture {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    fn allocated_size(&self) -> usize {
        self.image.stride.saturating_mul(self.image.slices)
    }
}

fn indices(range: NSRange) -> Option<Range<usize>> {
    Some(range.location..range.location.checked_add(range.length)?)
}

/// Which sides a kind of texture has, and how many slices each element of its array.
fn shape(kind: usize) -> Option<(usize, bool, usize)> {
    Some(match kind {
        kind::D1 | kind::BUFFER => (1, false, 1),
        kind::D1_ARRAY => (1, true, 1),
        kind::D2 => (2, false, 1),
        kind::D2_ARRAY => (2, true, 1),
        kind::CUBE => (2, false, 6),
        kind::CUBE_ARRAY => (2, true, 6),
        kind::D3 => (3, false, 1),
        _ => return None,
    })
}

/// Half a side for each level, one pixel at least.
fn halved(size: MTLSize, level: usize) -> MTLSize {
    let half = |side: usize| (side >> level).max(1);
    MTLSize { width: half(size.width), height: half(size.height), depth: half(size.depth) }
}

/// How the pixels of a texture lie: its levels, the bytes of a slice, the number of slices. None for
/// what cannot be a texture.
fn layout(fields: &TextureFields) -> Option<(Vec<Level>, usize, usize)> {
    let format = Format::of(fields.format)?;
    let (sides, array, faces) = shape(fields.kind)?;
    let size = MTLSize { width: fields.width, height: fields.height, depth: fields.depth };
    let longest = match (sides, fields.kind) {
        (_, kind::BUFFER) => 1 << 28,
        (3, _) => LONGEST_3D,
        _ => LONGEST,
    };
    let all_sides = [size.width, size.height, size.depth];
    let possible = all_sides.iter().all(|side| (1..=longest).contains(side))
        && all_sides[sides..].iter().all(|side| *side == 1)
        && (faces == 1 || size.width == size.height)
        && (1..=MOST_SLICES).contains(&fields.array_length)
        && (array || fields.array_length == 1)
        && fields.samples == 1
        && (1..=full_levels(size.width.max(size.height).max(size.depth))).contains(&fields.levels)
        && (fields.kind != kind::BUFFER || fields.levels == 1)
        && fields.options().are_known();
    if !possible {
        return None;
    }
    let mut stride = 0usize;
    let mut levels = Vec::with_capacity(fields.levels);
    for level in 0..fields.levels {
        let size = halved(size, level);
        let row = size.width.checked_mul(format.bytes)?;
        let image = row.checked_mul(size.height)?;
        // The longest side fits 32 bits, and then some.
        let sides = [size.width as u32, size.height as u32, size.depth as u32];
        levels.push(Level { offset: stride, row, image, size: sides });
        // Levels begin where every pixel may.
        stride =
            stride.checked_add(image.checked_mul(size.depth)?)?.checked_next_multiple_of(16)?;
    }
    Some((levels, stride, fields.array_length.checked_mul(faces)?))
}

impl Texture {
    fn object(image: Image, resource: Resource) -> Self {
        Self { image: Arc::new(image), resource, parent: None, buffer: None, id: next_id() }
    }

    /// How many bytes a texture takes; none for what cannot be one.
    pub(super) fn length(fields: &TextureFields) -> Option<usize> {
        let (_, stride, slices) = layout(fields)?;
        stride.checked_mul(slices).filter(|length| *length <= super::buffer::longest())
    }

    /// A texture of zeroes; none for what cannot be one.
    pub(super) fn new(fields: &TextureFields) -> Option<Strong<Self>> {
        let memory = Memory::pages(Self::length(fields)?)?;
        Some(Strong::new(Self::in_memory(fields, memory, None)?))
    }

    /// A texture in a heap.
    pub(super) fn in_heap(
        fields: &TextureFields,
        memory: Arc<Memory>,
        region: Region,
    ) -> Option<Strong<Self>> {
        Some(Strong::new(Self::in_memory(fields, memory, Some(region))?))
    }

    fn in_memory(
        fields: &TextureFields,
        memory: Arc<Memory>,
        region: Option<Region>,
    ) -> Option<Self> {
        let (levels, stride, slices) = layout(fields)?;
        let image = Image {
            memory,
            start: 0,
            stride,
            levels,
            slices,
            kind: fields.kind,
            format: Format::of(fields.format)?,
            swizzle: known(fields.swizzle)?,
            usage: fields.usage,
            released: AtomicBool::new(false),
        };
        Some(Self::object(image, Resource::new(fields.options(), region)))
    }

    /// A texture whose pixels are a buffer's: one image without further levels.
    pub(super) fn in_buffer(
        buffer: Strong<Buffer>,
        descriptor: &TextureDescriptor,
        offset: usize,
        bytes_per_row: usize,
    ) -> Option<Strong<Self>> {
        let fields = descriptor.get();
        let (mut levels, _, slices) = layout(&fields)?;
        let format = Format::of(fields.format)?;
        let size = side_lengths(&levels[0]);
        let flat = matches!(fields.kind, kind::D1 | kind::D2 | kind::BUFFER);
        let aligned =
            offset.is_multiple_of(format.bytes) && bytes_per_row.is_multiple_of(format.bytes);
        if !flat || levels.len() > 1 || slices > 1 || !aligned {
            return None;
        }
        let length = format.bytes_of(size, bytes_per_row, 0).ok()?;
        buffer.memory.range(offset, length)?;
        let row = if size.height > 1 { bytes_per_row } else { size.width * format.bytes };
        levels[0].row = row;
        let image = Image {
            memory: Arc::clone(&buffer.memory),
            start: offset,
            stride: length,
            levels,
            slices,
            kind: fields.kind,
            format,
            swizzle: known(fields.swizzle)?,
            usage: fields.usage,
            released: AtomicBool::new(false),
        };
        let options = buffer.resource().options;
        let mut texture = Self::object(image, Resource::new(options, None));
        texture.buffer = Some((buffer, offset));
        Some(Strong::new(texture))
    }
}

impl Drop for Texture {
    fn drop(&mut self) {
        self.image.released.store(true, Release);
    }
}

/// A swizzle of values that there are.
fn known(swizzle: MTLTextureSwizzleChannels) -> Option<MTLTextureSwizzleChannels> {
    let MTLTextureSwizzleChannels { red, green, blue, alpha } = swizzle;
    [red, green, blue, alpha].iter().all(|value| *value <= 5).then_some(swizzle)
}

/// The texture that a view is of in the end, or what else has the pixels.
fn root(texture: &Texture) -> Id {
    match (&texture.parent, &texture.buffer) {
        (Some((parent, ..)), _) => match root(parent) {
            Id::NIL => parent.id(),
            root => root,
        },
        (None, Some((buffer, _))) => buffer.id(),
        (None, None) => Id::NIL,
    }
}

fn view(
    this: &This<'_, Texture>,
    format: usize,
    kind: usize,
    levels: Range<usize>,
    slices: Range<usize>,
    swizzle: Option<MTLTextureSwizzleChannels>,
) -> Option<Strong<Texture>> {
    let image = &this.image;
    let format = Format::of(format).filter(|format| format.bytes == image.format.bytes)?;
    let (sides, array, faces) = shape(kind)?;
    let inside = !levels.is_empty()
        && levels.end <= image.levels.len()
        && !slices.is_empty()
        && slices.end <= image.slices;
    let fits = sides == shape(image.kind)?.0
        && (kind == kind::BUFFER) == (image.kind == kind::BUFFER)
        && slices.len().is_multiple_of(faces)
        && (faces == 1 || image.levels.iter().all(|level| level.size[0] == level.size[1]))
        && (array || slices.len() == faces);
    if !inside || !fits {
        return None;
    }
    let (level, slice) = (levels.start, slices.start);
    let seen = Image {
        memory: Arc::clone(&image.memory),
        start: image.start + slice * image.stride,
        stride: image.stride,
        levels: image.levels[levels].to_vec(),
        slices: slices.len(),
        kind,
        format,
        swizzle: known(swizzle.unwrap_or(image.swizzle))?,
        usage: image.usage,
        released: AtomicBool::new(false),
    };
    let resource = Resource::new(this.resource.options, None);
    let mut texture = Texture::object(seen, resource);
    texture.parent = Some((this.retain(), level, slice));
    Some(Strong::new(texture))
}

fn side_lengths(level: &Level) -> MTLSize {
    let [width, height, depth] = level.size.map(|side| side as usize);
    MTLSize { width, height, depth }
}

/// What kinds of textures are called, by `MTLTextureType`.
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

impl Image {
    /// The pixels, as kernels see them.
    pub(super) fn for_kernels(&self) -> BoundTexture<'_> {
        let MTLTextureSwizzleChannels { red, green, blue, alpha } = self.swizzle;
        let (sides, _, faces) = shape(self.kind).unwrap_or((3, false, 1));
        BoundTexture {
            base: self.memory.base().wrapping_add(self.start),
            levels: &self.levels,
            slices: self.slices as u32,
            stride: self.stride,
            sides,
            cube: faces == 6,
            format: self.format,
            swizzle: [red, green, blue, alpha],
        }
    }

    /// Whether a kernel's argument takes this texture: what is wrong otherwise.
    pub(super) fn fits(&self, wanted: TextureKind, access: Access) -> Result<(), String> {
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
                "the texture has the format {}, whose components do not become {}",
                self.format.name, wanted.scalar
            ));
        }
        // Usage 0 is unknown: everything.
        let needed = match access {
            Access::ReadOnly => SHADER_READ,
            Access::WriteOnly => SHADER_WRITE,
            Access::ReadWrite => SHADER_READ | SHADER_WRITE,
        };
        if self.usage != 0 && needed & !self.usage != 0 {
            let verb = if needed & !self.usage & SHADER_WRITE != 0 { "write" } else { "read" };
            return Err(format!("the texture's usage does not let kernels {verb} it"));
        }
        Ok(())
    }

    pub(super) fn format(&self) -> &'static Format {
        self.format
    }

    /// The address of the memory that has the pixels.
    pub(super) fn memory(&self) -> *const Memory {
        Arc::as_ptr(&self.memory)
    }

    pub(super) fn slices(&self) -> usize {
        self.slices
    }

    pub(super) fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The size of a level, which is there.
    pub(super) fn size(&self, level: usize) -> MTLSize {
        side_lengths(&self.levels[level])
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Acquire) || self.memory.is_released()
    }

    fn array_length(&self) -> usize {
        self.slices / shape(self.kind).map_or(1, |(_, _, faces)| faces)
    }

    /// Whether a region is inside: what is wrong otherwise.
    pub(super) fn check(
        &self,
        level: usize,
        slice: usize,
        origin: MTLOrigin,
        size: MTLSize,
    ) -> Result<(), String> {
        let Some(there) = self.levels.get(level) else {
            return Err(format!("mip level {level} of a texture that has {}", self.levels.len()));
        };
        if slice >= self.slices {
            return Err(format!("slice {slice} of a texture that has {}", self.slices));
        }
        let ends = |start: usize, length: usize, most: usize| {
            start.checked_add(length).is_some_and(|end| end <= most)
        };
        let whole = side_lengths(there);
        if ends(origin.x, size.width, whole.width)
            && ends(origin.y, size.height, whole.height)
            && ends(origin.z, size.depth, whole.depth)
        {
            return Ok(());
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

    /// The address of the row at a place that is inside.
    fn row(&self, level: usize, slice: usize, origin: MTLOrigin, y: usize, z: usize) -> *mut u8 {
        let there = &self.levels[level];
        let offset = self.start
            + slice * self.stride
            + there.offset
            + (origin.z + z) * there.image
            + (origin.y + y) * there.row
            + origin.x * self.format.bytes;
        self.memory.base().wrapping_add(offset)
    }

    /// Writes rows of pixels into a region.
    ///
    /// # Safety
    ///
    /// The region is inside, and `from` has as many bytes as the format says for these distances.
    #[allow(clippy::too_many_arguments)] // A place, a size, and how they lie.
    pub(super) unsafe fn write(
        &self,
        level: usize,
        slice: usize,
        origin: MTLOrigin,
        size: MTLSize,
        from: *const u8,
        bytes_per_row: usize,
        bytes_per_image: usize,
    ) {
        for z in 0..size.depth {
            for y in 0..size.height {
                let source = from.wrapping_add(z * bytes_per_image + y * bytes_per_row);
                let target = self.row(level, slice, origin, y, z);
                // SAFETY: the caller's. The program's bytes may be this very memory.
                unsafe { std::ptr::copy(source, target, size.width * self.format.bytes) };
            }
        }
    }

    /// Reads rows of pixels out of a region.
    ///
    /// # Safety
    ///
    /// As for [`write`](Self::write).
    #[allow(clippy::too_many_arguments)] // As above.
    pub(super) unsafe fn read(
        &self,
        level: usize,
        slice: usize,
        origin: MTLOrigin,
        size: MTLSize,
        to: *mut u8,
        bytes_per_row: usize,
        bytes_per_image: usize,
    ) {
        for z in 0..size.depth {
            for y in 0..size.height {
                let source = self.row(level, slice, origin, y, z);
                let target = to.wrapping_add(z * bytes_per_image + y * bytes_per_row);
                // SAFETY: the caller's. The program's bytes may be this very memory.
                unsafe { std::ptr::copy(source, target, size.width * self.format.bytes) };
            }
        }
    }

    /// The pixel at a place that is inside, without the swizzle.
    fn pixel(&self, level: usize, slice: usize, x: usize, y: usize, z: usize) -> Pixel {
        let row = self.row(level, slice, MTLOrigin { x, y: 0, z: 0 }, y, z);
        // SAFETY: the place is inside.
        self.format.decode(unsafe { std::slice::from_raw_parts(row, self.format.bytes) })
    }

    fn set_pixel(&self, level: usize, slice: usize, place: [usize; 3], pixel: Pixel) {
        let [x, y, z] = place;
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..self.format.bytes];
        self.format.encode(pixel, bytes);
        let row = self.row(level, slice, MTLOrigin { x, y: 0, z: 0 }, y, z);
        // SAFETY: the place is inside.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), row, bytes.len()) };
    }

    /// Makes each level from the one before it: a pixel is the mean of those that it stands for.
    pub(super) fn generate_mipmaps(&self) {
        for level in 1..self.levels.len() {
            let (small, large) = (self.size(level), self.size(level - 1));
            // Two for each side that was halved, one where it was a single pixel.
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
                    let place = [
                        at[0] * box_size[0] + dx,
                        at[1] * box_size[1] + dy,
                        at[2] * box_size[2] + dz,
                    ];
                    let pixel = self.pixel(level, slice, place[0], place[1], place[2]);
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

/// Copies a region from one texture to another, of pixels of the same size. Places are a level, a
/// slice and an origin, and are inside.
pub(super) fn copy_between(
    from: &Image,
    (from_level, from_slice, from_origin): (usize, usize, MTLOrigin),
    to: &Image,
    (to_level, to_slice, to_origin): (usize, usize, MTLOrigin),
    size: MTLSize,
) {
    let length = size.width * from.format.bytes;
    for z in 0..size.depth {
        for y in 0..size.height {
            let source = from.row(from_level, from_slice, from_origin, y, z);
            let target = to.row(to_level, to_slice, to_origin, y, z);
            // SAFETY: the encoder has seen that both regions are inside. They may be of one texture.
            unsafe { std::ptr::copy(source, target, length) };
        }
    }
}

/// Whether a CPU access is possible. It has no command buffer to tell: what is wrong is said on standard
/// error, and nothing is read or written.
fn admits(
    texture: &Texture,
    selector: &str,
    (level, slice, region): (usize, usize, MTLRegion),
    bytes: *const c_void,
    (row, image): (usize, usize),
) -> bool {
    let MTLRegion { origin, size } = region;
    let checked = texture.image.check(level, slice, origin, size);
    let checked = checked.and_then(|()| texture.image.format.bytes_of(size, row, image));
    let checked = checked.and_then(|length| match () {
        () if length > 0 && bytes.is_null() => Err("NULL was passed for the bytes".to_owned()),
        () if texture.resource.options.is_private() => {
            Err("the texture is private: copy with a blit encoder".to_owned())
        }
        () => Ok(()),
    });
    if let Err(why) = &checked {
        let label = texture.resource.label.after_noun();
        eprintln!("aruminium: -[MTLTexture {selector}]{label}: {why}");
    }
    checked.is_ok()
}

fn replace(
    texture: This<'_, Texture>,
    region: MTLRegion,
    level: usize,
    slice: usize,
    bytes: *const c_void,
    bytes_per_row: usize,
    bytes_per_image: usize,
) {
    let distances = (bytes_per_row, bytes_per_image);
    if !admits(&texture, "replaceRegion:…", (level, slice, region), bytes, distances) {
        return;
    }
    let MTLRegion { origin, size } = region;
    let from = bytes.cast();
    // SAFETY: the region is inside, and the message passed that many bytes.
    unsafe {
        texture.image.write(level, slice, origin, size, from, bytes_per_row, bytes_per_image)
    };
}

fn get(
    texture: This<'_, Texture>,
    bytes: *mut c_void,
    bytes_per_row: usize,
    bytes_per_image: usize,
    region: MTLRegion,
    level: usize,
    slice: usize,
) {
    let distances = (bytes_per_row, bytes_per_image);
    if !admits(&texture, "getBytes:…", (level, slice, region), bytes, distances) {
        return;
    }
    let MTLRegion { origin, size } = region;
    let to = bytes.cast();
    // SAFETY: the region is inside, and the message passed room for that many bytes.
    unsafe { texture.image.read(level, slice, origin, size, to, bytes_per_row, bytes_per_image) };
}
