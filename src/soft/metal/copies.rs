//! Copies and fills, checked when they are encoded: of blit encoders and of Metal 4's compute encoders.

use super::buffer::Buffer;
use super::encoder::HasEncoder;
use super::foundation::Object;
use super::indirect::IndirectCommandBuffer;
use super::resource::is_untracked;
use super::tensor::{Extents, Tensor};
use super::texture::Texture;
use crate::abi::{MTLOrigin, MTLSize, NSRange};
use crate::soft::stream::image::Image;
use crate::soft::stream::recording::{Command, PixelCopy, Pixels, Recording, Rows};
use crate::soft::stream::table::ObjectIndex;
use crate::soft::stream::tensor::TensorCopy;

/// An object that a message may have passed as nil.
pub(super) type Passed<'a, P> = Option<&'a Object<P>>;

pub(super) fn required<'a, P>(object: Passed<'a, P>, what: &str) -> Result<&'a Object<P>, String> {
    object.ok_or_else(|| format!("nil was passed for the {what}"))
}

pub(super) fn inside(
    buffer: &Buffer,
    offset: usize,
    length: usize,
    what: &str,
) -> Result<(), String> {
    let all = buffer.memory.length();
    match buffer.memory.range(offset, length) {
        Some(_) => Ok(()),
        None => {
            Err(format!("{what}: {length} bytes at offset {offset} of a buffer of {all} bytes"))
        }
    }
}

/// A position in a texture: slice, level, origin.
type Corner = (usize, usize, MTLOrigin);

fn pixels(
    recording: &mut Recording,
    texture: &Object<Texture>,
    (slice, level, origin): Corner,
    size: MTLSize,
    what: &str,
) -> Result<Pixels, String> {
    texture.image.check(level, slice, origin, size).map_err(|why| format!("{what}: {why}"))?;
    Ok(Pixels { texture: image(recording, texture), slice, level, origin })
}

/// Rows of a buffer that hold a region. Bytes per row or per image may be zero if there is only one.
fn rows(
    recording: &mut Recording,
    buffer: &Object<Buffer>,
    (offset, bytes_per_row, bytes_per_image): (usize, usize, usize),
    image: &Image,
    size: MTLSize,
    what: &str,
) -> Result<Rows, String> {
    let length = image
        .check_samples()
        .and_then(|()| image.format().bytes_of(size, bytes_per_row, bytes_per_image))
        .map_err(|why| format!("{what}: {why}"))?;
    inside(buffer, offset, length, what)?;
    Ok(Rows { buffer: memory(recording, buffer), offset, bytes_per_row, bytes_per_image })
}

fn same_format(from: &Image, to: &Image) -> Result<(), String> {
    if from.samples() != to.samples() {
        return Err(format!(
            "a texture with {} samples a pixel cannot be copied to one with {}",
            from.samples(),
            to.samples()
        ));
    }
    match from.format().has_blocks_of(to.format()) {
        true => Ok(()),
        false => Err(format!(
            "pixels of format {} cannot be copied to format {}: their sizes differ",
            from.format().name,
            to.format().name
        )),
    }
}

pub(super) fn memory(recording: &mut Recording, buffer: &Object<Buffer>) -> ObjectIndex {
    recording.memory(&buffer.memory, || is_untracked::<Buffer>(buffer))
}

fn image(recording: &mut Recording, texture: &Object<Texture>) -> ObjectIndex {
    recording.image(&texture.image, || is_untracked::<Texture>(texture))
}

/// The memory of indirect commands, and the bytes of a range of them: the first, and how many.
fn records(
    recording: &mut Recording,
    commands: Passed<'_, IndirectCommandBuffer>,
    range: NSRange,
) -> Result<(ObjectIndex, usize, usize), String> {
    let commands = required(commands, "indirect command buffer")?;
    let bytes = commands.bytes(range).ok_or_else(|| {
        let NSRange { location, length } = range;
        format!("range {{{location}, {length}}}: there are {} commands", commands.count)
    })?;
    let untracked = || is_untracked::<IndirectCommandBuffer>(commands);
    Ok((recording.memory(&commands.memory, untracked), bytes.start, bytes.len()))
}

/// The messages of encoders that copy.
pub(super) trait Copies: HasEncoder {
    /// Whether `MTLBlitOption` has no bits set. The others are for textures of depth and stencil in one, and for
    /// compressed ones of PowerVR, which do not exist here.
    fn has_no_options(&self, selector: &str, options: usize) -> bool {
        if options != 0 {
            let why = format!("options {options:#x}: no texture here has such parts");
            self.encoder().record(selector, |_| Err(why.into()));
        }
        options == 0
    }

    fn copy_buffer(
        &self,
        from: Passed<'_, Buffer>,
        from_offset: usize,
        to: Passed<'_, Buffer>,
        to_offset: usize,
        length: usize,
    ) {
        let selector = "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:";
        self.encoder().record(selector, |recording| {
            let (from, to) =
                (required(from, "source buffer")?, required(to, "destination buffer")?);
            inside(from, from_offset, length, "source")?;
            inside(to, to_offset, length, "destination")?;
            let (from, to) = (memory(recording, from), memory(recording, to));
            let copy = Command::CopyBuffer { from, from_offset, to, to_offset, length };
            recording.commands.push(copy);
            Ok(())
        });
    }

    fn fill(&self, buffer: Passed<'_, Buffer>, range: NSRange, value: u8) {
        self.encoder().record("fillBuffer:range:value:", |recording| {
            let buffer = required(buffer, "buffer")?;
            inside(buffer, range.location, range.length, "range")?;
            let buffer = memory(recording, buffer);
            let NSRange { location: start, length } = range;
            recording.commands.push(Command::FillBuffer { buffer, start, length, value });
            Ok(())
        });
    }

    fn reset_commands(&self, commands: Passed<'_, IndirectCommandBuffer>, range: NSRange) {
        self.encoder().record("resetCommandsInBuffer:withRange:", |recording| {
            let (buffer, start, length) = records(recording, commands, range)?;
            recording.commands.push(Command::FillBuffer { buffer, start, length, value: 0 });
            Ok(())
        });
    }

    fn copy_commands(
        &self,
        from: Passed<'_, IndirectCommandBuffer>,
        range: NSRange,
        to: Passed<'_, IndirectCommandBuffer>,
        index: usize,
    ) {
        let selector = "copyIndirectCommandBuffer:sourceRange:destination:destinationIndex:";
        self.encoder().record(selector, |recording| {
            let (from, from_offset, length) = records(recording, from, range)?;
            let target = NSRange { location: index, length: range.length };
            let (to, to_offset, _) = records(recording, to, target)?;
            let copy = Command::CopyBuffer { from, from_offset, to, to_offset, length };
            recording.commands.push(copy);
            Ok(())
        });
    }

    #[allow(clippy::too_many_arguments)] // The message has as many.
    fn copy_to_texture(
        &self,
        from: Passed<'_, Buffer>,
        offset: usize,
        bytes_per_row: usize,
        bytes_per_image: usize,
        size: MTLSize,
        to: Passed<'_, Texture>,
        slice: usize,
        level: usize,
        origin: MTLOrigin,
    ) {
        self.encoder().record("copyFromBuffer:…toTexture:…", |recording| {
            let (from, to) =
                (required(from, "source buffer")?, required(to, "destination texture")?);
            let layout = (offset, bytes_per_row, bytes_per_image);
            let from = rows(recording, from, layout, &to.image, size, "source")?;
            let to = pixels(recording, to, (slice, level, origin), size, "destination")?;
            recording.copy_pixels(PixelCopy::ToTexture { from, to, size });
            Ok(())
        });
    }

    #[allow(clippy::too_many_arguments)] // The message has as many.
    fn copy_to_texture_with(
        &self,
        from: Passed<'_, Buffer>,
        offset: usize,
        row: usize,
        image: usize,
        size: MTLSize,
        to: Passed<'_, Texture>,
        slice: usize,
        level: usize,
        origin: MTLOrigin,
        options: usize,
    ) {
        if self.has_no_options("copyFromBuffer:…toTexture:…options:", options) {
            self.copy_to_texture(from, offset, row, image, size, to, slice, level, origin);
        }
    }

    #[allow(clippy::too_many_arguments)] // The message has as many.
    fn copy_from_texture_with(
        &self,
        from: Passed<'_, Texture>,
        slice: usize,
        level: usize,
        origin: MTLOrigin,
        size: MTLSize,
        to: Passed<'_, Buffer>,
        offset: usize,
        row: usize,
        image: usize,
        options: usize,
    ) {
        if self.has_no_options("copyFromTexture:…toBuffer:…options:", options) {
            self.copy_from_texture(from, slice, level, origin, size, to, offset, row, image);
        }
    }

    #[allow(clippy::too_many_arguments)] // The message has as many.
    fn copy_from_texture(
        &self,
        from: Passed<'_, Texture>,
        slice: usize,
        level: usize,
        origin: MTLOrigin,
        size: MTLSize,
        to: Passed<'_, Buffer>,
        offset: usize,
        bytes_per_row: usize,
        bytes_per_image: usize,
    ) {
        self.encoder().record("copyFromTexture:…toBuffer:…", |recording| {
            let (from, to) =
                (required(from, "source texture")?, required(to, "destination buffer")?);
            let layout = (offset, bytes_per_row, bytes_per_image);
            let to = rows(recording, to, layout, &from.image, size, "destination")?;
            let from = pixels(recording, from, (slice, level, origin), size, "source")?;
            recording.copy_pixels(PixelCopy::FromTexture { from, to, size });
            Ok(())
        });
    }

    #[allow(clippy::too_many_arguments)] // The message has as many.
    fn copy_region(
        &self,
        from: Passed<'_, Texture>,
        from_slice: usize,
        from_level: usize,
        from_origin: MTLOrigin,
        size: MTLSize,
        to: Passed<'_, Texture>,
        to_slice: usize,
        to_level: usize,
        to_origin: MTLOrigin,
    ) {
        self.encoder().record("copyFromTexture:…toTexture:…", |recording| {
            let (from, to) =
                (required(from, "source texture")?, required(to, "destination texture")?);
            same_format(&from.image, &to.image)?;
            let corner = (from_slice, from_level, from_origin);
            let from = pixels(recording, from, corner, size, "source")?;
            let corner = (to_slice, to_level, to_origin);
            let to = pixels(recording, to, corner, size, "destination")?;
            recording.copy_pixels(PixelCopy::Between { from, to, size });
            Ok(())
        });
    }

    fn copy_texture(&self, from: Passed<'_, Texture>, to: Passed<'_, Texture>) {
        self.encoder().record("copyFromTexture:toTexture:", |recording| {
            let (from, to) =
                (required(from, "source texture")?, required(to, "destination texture")?);
            let (slices, levels) = (from.image.slices(), from.image.levels());
            Ok(copy_slices(recording, from, (0, 0), to, (0, 0), slices, levels)?)
        });
    }

    #[allow(clippy::too_many_arguments)] // The message has as many.
    fn copy_slices(
        &self,
        from: Passed<'_, Texture>,
        from_slice: usize,
        from_level: usize,
        to: Passed<'_, Texture>,
        to_slice: usize,
        to_level: usize,
        slices: usize,
        levels: usize,
    ) {
        self.encoder().record("copyFromTexture:…sliceCount:levelCount:", |recording| {
            let (from, to) =
                (required(from, "source texture")?, required(to, "destination texture")?);
            let (first, second) = ((from_slice, from_level), (to_slice, to_level));
            Ok(copy_slices(recording, from, first, to, second, slices, levels)?)
        });
    }

    fn generate_mipmaps(&self, texture: Passed<'_, Texture>) {
        self.encoder().record("generateMipmapsForTexture:", |recording| {
            let texture = required(texture, "texture")?;
            if !texture.image.format().can_be_averaged() {
                let name = texture.image.format().name;
                return Err(format!("pixels of format {name} cannot be averaged").into());
            }
            let texture = image(recording, texture);
            recording.commands.push(Command::GenerateMipmaps(texture));
            Ok(())
        });
    }

    fn copy_tensor(
        &self,
        from: Passed<'_, Tensor>,
        from_origin: Passed<'_, Extents>,
        from_sizes: Passed<'_, Extents>,
        to: Passed<'_, Tensor>,
        to_origin: Passed<'_, Extents>,
        to_sizes: Passed<'_, Extents>,
    ) {
        self.encoder().record("copyFromTensor:…toTensor:…", |recording| {
            let (from, to) = (required(from, "source")?, required(to, "destination")?);
            if from.element != to.element {
                let [from, to] = [from.element, to.element].map(|element| element.name);
                return Err(
                    format!("elements of {from} cannot be copied to elements of {to}").into()
                );
            }
            let source =
                from.part(from_origin, from_sizes).map_err(|why| format!("source: {why}"))?;
            let target =
                to.part(to_origin, to_sizes).map_err(|why| format!("destination: {why}"))?;
            if source.sizes != target.sizes {
                let (from, to) = (source.sizes, target.sizes);
                return Err(format!("{from:?} elements cannot be copied to {to:?} elements").into());
            }
            let (sizes, bytes) = (source.sizes.clone(), from.element.bytes);
            let (from, to) = (source.recorded(from, recording), target.recorded(to, recording));
            recording.copy_tensor(TensorCopy { from, to, sizes, bytes });
            Ok(())
        });
    }
}

impl<P: HasEncoder> Copies for P {}

/// Copies whole slices and levels, from a first slice and level on.
fn copy_slices(
    recording: &mut Recording,
    from: &Object<Texture>,
    from_first: (usize, usize),
    to: &Object<Texture>,
    to_first: (usize, usize),
    slices: usize,
    levels: usize,
) -> Result<(), String> {
    same_format(&from.image, &to.image)?;
    let fits = |image: &Image, first: (usize, usize)| {
        first.0.checked_add(slices).is_some_and(|end| end <= image.slices())
            && first.1.checked_add(levels).is_some_and(|end| end <= image.levels())
    };
    if !fits(&from.image, from_first) || !fits(&to.image, to_first) {
        return Err(format!(
            "the textures do not both have {slices} slices and {levels} levels from there on"
        ));
    }
    let origin = MTLOrigin::default();
    for level in 0..levels {
        let size = from.image.size(from_first.1 + level);
        for slice in 0..slices {
            let corner = (from_first.0 + slice, from_first.1 + level, origin);
            let source = pixels(recording, from, corner, size, "source")?;
            let corner = (to_first.0 + slice, to_first.1 + level, origin);
            let target = pixels(recording, to, corner, size, "destination")?;
            recording.copy_pixels(PixelCopy::Between { from: source, to: target, size });
        }
    }
    Ok(())
}
