//! MTLTexture: its properties, views, and access by the CPU.

use super::absent::TEXTURE;
use super::descriptors::{TextureDescriptor, TextureFields, TextureViewDescriptor, full_levels};
use super::foundation::{NSObject, Object, Retained, Strong, This, next_id};
use super::resource::{HasResource, HeapRegion, Options, Resource, resource_class};
use crate::abi::{Id, MTLRegion, MTLResourceID, MTLSize, MTLTextureSwizzleChannels, NSRange};
use crate::soft::kernel::Processor;
use crate::soft::kernel::texture::Level;
use crate::soft::stream::format::Format;
use crate::soft::stream::image::{Image, SHADER_WRITE, is_multisampled, kind, shape, side_lengths};
use crate::soft::stream::label::Label;
use crate::soft::stream::memory::Memory;
use crate::soft::stream::pages::longest_buffer;
use std::ffi::c_void;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// The longest side of a texture, and of a 3D texture, as on Apple's GPUs.
const LONGEST: usize = 16384;
const LONGEST_3D: usize = 2048;
/// The most slices of an array.
const MAX_SLICES: usize = 2048;

/// The bits of `MTLTextureUsage` by which a GPU changes pixels: writing, rendering and atomic functions.
const WRITING_USAGE: usize = SHADER_WRITE | 4 | 32;

/// Whether pixels can have this many samples.
pub(super) fn has_sample_count(count: usize) -> bool {
    matches!(count, 1 | 2 | 4)
}

/// A texture.
pub(super) struct Texture {
    pub(super) image: Arc<Image>,
    resource: Resource,
    /// The texture that it is a view of, and the first level and slice of the view.
    parent: Option<(Strong<Texture>, usize, usize)>,
    /// The buffer that has the pixels, and their offset in it.
    buffer: Option<(Retained, usize)>,
}

resource_class! {
    /// A texture.
    class SoftMTLTexture(Texture): MTLTexture, lacks TEXTURE;
    [textureType] = |texture: &Texture| texture.image.kind;
    [pixelFormat] = |texture: &Texture| texture.image.format.value;
    [width] = |texture: &Texture| texture.image.size(0).width;
    [height] = |texture: &Texture| texture.image.size(0).height;
    [depth] = |texture: &Texture| texture.image.size(0).depth;
    [mipmapLevelCount] = |texture: &Texture| texture.image.levels.len();
    [arrayLength] = |texture: &Texture| texture.image.array_length();
    [sampleCount] = |texture: &Texture| texture.image.samples();
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
    [gpuResourceID] = |texture: &Texture| MTLResourceID { _impl: texture.image.id };
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

    [newTextureViewWithDescriptor:] =
        |texture: This<'_, Texture>, descriptor: Option<&Object<TextureViewDescriptor>>| {
            let fields = descriptor?.get();
            let (levels, slices) = (indices(fields.levels)?, indices(fields.slices)?);
            view(&texture, fields.format, fields.kind, levels, slices, Some(fields.swizzle))
        };
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

    fn label(&self) -> &Label {
        &self.image.label
    }

    fn processor(&self) -> Option<&'static Processor> {
        self.image.memory.processor()
    }

    fn allocated_size(&self) -> usize {
        self.image.stride.saturating_mul(self.image.slices)
    }
}

fn indices(range: NSRange) -> Option<Range<usize>> {
    Some(range.location..range.location.checked_add(range.length)?)
}

/// The size of a level: sides are halved for each level, down to one pixel.
fn halved(size: MTLSize, level: usize) -> MTLSize {
    let half = |side: usize| (side >> level).max(1);
    MTLSize { width: half(size.width), height: half(size.height), depth: half(size.depth) }
}

/// The layout of a texture: its levels, the bytes of a slice, and the number of slices.
type Layout = (Vec<Level>, usize, usize);

/// The layout of a texture, or the reason why it cannot exist.
fn layout(fields: &TextureFields) -> Result<Layout, String> {
    let format = Format::of(fields.format)
        .ok_or_else(|| format!("there are no textures of pixel format {}", fields.format))?;
    let (sides, array, faces) = shape(fields.kind)
        .ok_or_else(|| format!("there is no texture type with the number {}", fields.kind))?;
    let size = MTLSize { width: fields.width, height: fields.height, depth: fields.depth };
    let longest = match (sides, fields.kind) {
        (_, kind::BUFFER) => 1 << 28,
        (3, _) => LONGEST_3D,
        _ => LONGEST,
    };
    let all_sides = [size.width, size.height, size.depth];
    let most_levels = match fields.kind {
        kind::BUFFER | kind::D2_MS | kind::D2_MS_ARRAY => 1,
        _ => full_levels(size.width.max(size.height).max(size.depth)),
    };
    let multisampled = is_multisampled(fields.kind);
    // Conditions, and for the report of each the property and its value.
    let conditions = [
        (all_sides.iter().all(|side| (1..=longest).contains(side)), "size", &size as &dyn Debug),
        (all_sides[sides..].iter().all(|side| *side == 1), "size", &size),
        (faces == 1 || size.width == size.height, "size", &size),
        ((1..=MAX_SLICES).contains(&fields.array_length), "arrayLength", &fields.array_length),
        (array || fields.array_length == 1, "arrayLength", &fields.array_length),
        (has_sample_count(fields.samples), "sampleCount", &fields.samples),
        (multisampled || fields.samples == 1, "sampleCount", &fields.samples),
        ((1..=most_levels).contains(&fields.levels), "mipmapLevelCount", &fields.levels),
        (fields.options().are_known(), "resourceOptions", &fields.options().0),
        (fields.page_size == 0, "placementSparsePageSize", &fields.page_size),
    ];
    if let Some((_, property, value)) = conditions.iter().find(|condition| !condition.0) {
        return Err(format!(
            "a texture of type {} cannot have the {property} {value:?}",
            fields.kind
        ));
    }
    if let Some(codec) = format.codec() {
        let kinds = [kind::D2, kind::D2_ARRAY, kind::CUBE, kind::CUBE_ARRAY];
        let fits = kinds.contains(&fields.kind) || fields.kind == kind::D3 && codec.has_volumes();
        if !fits {
            return Err(format!("the format {} with texture type {}", format.name, fields.kind));
        }
        if fields.usage & WRITING_USAGE != 0 {
            return Err(format!("the format {} is compressed: no usage can write it", format.name));
        }
    }
    let too_large = || "the texture is too large".to_owned();
    let lay_out = || {
        let mut stride = 0usize;
        let mut levels = Vec::with_capacity(fields.levels);
        for level in 0..fields.levels {
            let mut size = halved(size, level);
            if multisampled {
                size.depth = fields.samples;
            }
            let (columns, rows) = format.blocks(size.width, size.height);
            let row = columns.checked_mul(format.bytes)?;
            let image = row.checked_mul(rows)?;
            // The longest side fits into 32 bits.
            let sides = [size.width as u32, size.height as u32, size.depth as u32];
            levels.push(Level { offset: stride, row, image, size: sides });
            // Levels begin at an alignment that suits all pixels.
            stride =
                stride.checked_add(image.checked_mul(size.depth)?)?.checked_next_multiple_of(16)?;
        }
        let slices = fields.array_length.checked_mul(faces)?;
        let fits = stride.checked_mul(slices)? <= longest_buffer();
        fits.then_some((levels, stride, slices))
    };
    lay_out().ok_or_else(too_large)
}

/// Reports why a texture is nil.
fn or_report<T>(made: Result<T, String>) -> Option<T> {
    made.inspect_err(|why| eprintln!("aruminium: a texture is nil: {why}")).ok()
}

impl Texture {
    fn object(image: Image, resource: Resource) -> Self {
        Self { image: Arc::new(image), resource, parent: None, buffer: None }
    }

    /// How many bytes a texture takes; `None` for invalid properties, which are reported.
    pub(super) fn length(fields: &TextureFields) -> Option<usize> {
        or_report(layout(fields)).map(|(_, stride, slices)| stride * slices)
    }

    /// A zeroed texture; `None` for invalid properties.
    pub(super) fn new(
        processor: &'static Processor,
        fields: &TextureFields,
    ) -> Option<Strong<Self>> {
        let memory = Memory::new(processor, Self::length(fields)?, false)?;
        Some(Strong::new(Self::in_memory(fields, memory, None)?))
    }

    /// A texture in a heap.
    pub(super) fn in_heap(
        fields: &TextureFields,
        memory: Arc<Memory>,
        region: HeapRegion,
    ) -> Option<Strong<Self>> {
        Some(Strong::new(Self::in_memory(fields, memory, Some(region))?))
    }

    fn in_memory(
        fields: &TextureFields,
        memory: Arc<Memory>,
        region: Option<HeapRegion>,
    ) -> Option<Self> {
        let (levels, stride, slices) = layout(fields).ok()?;
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
            id: next_id(),
            label: Label::default(),
        };
        Some(Self::object(image, Resource::new(fields.options(), region)))
    }

    /// A texture whose pixels are in a buffer: a single image of one level.
    pub(super) fn in_buffer(
        buffer: Retained,
        memory: &Arc<Memory>,
        options: Options,
        descriptor: &TextureDescriptor,
        offset: usize,
        bytes_per_row: usize,
    ) -> Option<Strong<Self>> {
        let fields = descriptor.get();
        let (mut levels, _, slices) = or_report(layout(&fields))?;
        let format = Format::of(fields.format)?;
        let size = side_lengths(&levels[0]);
        let flat = matches!(fields.kind, kind::D1 | kind::D2 | kind::BUFFER);
        let aligned =
            offset.is_multiple_of(format.bytes) && bytes_per_row.is_multiple_of(format.bytes);
        if !flat || levels.len() > 1 || slices > 1 || !aligned || format.codec().is_some() {
            return None;
        }
        let length = format.bytes_of(size, bytes_per_row, 0).ok()?;
        memory.range(offset, length)?;
        let row = if size.height > 1 { bytes_per_row } else { size.width * format.bytes };
        levels[0].row = row;
        let image = Image {
            memory: Arc::clone(memory),
            start: offset,
            stride: length,
            levels,
            slices,
            kind: fields.kind,
            format,
            swizzle: known(fields.swizzle)?,
            usage: fields.usage,
            released: AtomicBool::new(false),
            id: next_id(),
            label: Label::default(),
        };
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

/// The swizzle, if all its values are valid.
fn known(swizzle: MTLTextureSwizzleChannels) -> Option<MTLTextureSwizzleChannels> {
    let MTLTextureSwizzleChannels { red, green, blue, alpha } = swizzle;
    [red, green, blue, alpha].iter().all(|value| *value <= 5).then_some(swizzle)
}

/// The texture at the end of a chain of views, or the buffer that has its pixels.
fn root(mut texture: &Texture) -> Id {
    let mut root = Id::NIL;
    while let Some((parent, ..)) = &texture.parent {
        (root, texture) = (parent.id(), parent);
    }
    texture.buffer.as_ref().map_or(root, |(buffer, _)| buffer.id())
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
    let format = Format::of(format).filter(|format| image.format.can_be_viewed_as(format))?;
    let (sides, array, faces) = shape(kind)?;
    let inside = !levels.is_empty()
        && levels.end <= image.levels.len()
        && !slices.is_empty()
        && slices.end <= image.slices;
    let fits = sides == shape(image.kind)?.0
        && (kind == kind::BUFFER) == (image.kind == kind::BUFFER)
        && is_multisampled(kind) == is_multisampled(image.kind)
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
        id: next_id(),
        label: Label::default(),
    };
    let resource = Resource::new(this.resource.options, None);
    let mut texture = Texture::object(seen, resource);
    texture.parent = Some((this.retain(), level, slice));
    Some(Strong::new(texture))
}

/// Whether an access by the CPU is possible. There is no command buffer that could report an error, so it goes to standard
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
    let checked = checked.and_then(|()| texture.image.check_samples());
    let checked = checked.and_then(|()| texture.image.format.bytes_of(size, row, image));
    let checked = checked.and_then(|length| match () {
        () if length > 0 && bytes.is_null() => Err("NULL was passed for the bytes".to_owned()),
        () if texture.resource.options.is_private() => {
            Err("the texture is private: copy with a blit encoder".to_owned())
        }
        () => Ok(()),
    });
    if let Err(why) = &checked {
        let label = texture.image.label.after_noun();
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
