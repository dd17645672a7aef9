//! Binds what messages to a compute encoder pass in the recording's table of arguments.

use super::buffer::Buffer;
use super::encoder::Why;
use super::foundation::{Object, SoftClass};
use super::function_table::VisibleFunctionTable;
use super::resource::is_untracked;
use super::sampler::Sampler;
use super::texture::Texture;
use crate::abi::{Id, NSRange};
use crate::soft::kernel::{ArgumentKind, limits};
use crate::soft::stream::recording::Recording;
use crate::soft::stream::table::{BUFFERS, ObjectIndex, SAMPLERS, Slot, TEXTURES};

/// The most bytes that `setBytes:length:atIndex:` copies.
pub(super) const BYTES: usize = limits::INLINE_BYTES as usize;

/// Binds something in the argument table.
#[inline]
pub(super) fn bind(
    recording: &mut Recording,
    kind: ArgumentKind,
    index: usize,
    slot: Slot,
) -> Result<(), Why> {
    recording.table.bind(kind, index, slot).ok_or_else(|| no_such_index(kind, index))
}

#[cold]
pub(super) fn no_such_index(kind: ArgumentKind, index: usize) -> Why {
    let (what, count) = match kind {
        ArgumentKind::Buffer => ("buffer", BUFFERS),
        ArgumentKind::Threadgroup => ("threadgroup memory", BUFFERS),
        ArgumentKind::Texture => ("texture", TEXTURES),
        ArgumentKind::Sampler => ("sampler", SAMPLERS),
    };
    format!("{what} index {index}: the highest is {}", count - 1).into()
}

/// The indices of a range, if all of them are below `count`.
pub(super) fn indices(
    range: NSRange,
    what: &str,
    count: usize,
) -> Result<std::ops::Range<usize>, String> {
    match range.location.checked_add(range.length) {
        Some(end) if end <= count => Ok(range.location..end),
        _ => Err(format!(
            "{what} range {{{}, {}}}: the highest index is {}",
            range.location,
            range.length,
            count - 1
        )),
    }
}

/// The items at an address that a message passed with a count.
pub(super) fn items<'a, T>(address: *const T, count: usize, what: &str) -> Result<&'a [T], String> {
    match (count, address.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(format!("NULL was passed for the {what}")),
        // SAFETY: the message passed that many.
        (_, false) => Ok(unsafe { std::slice::from_raw_parts(address, count) }),
    }
}

/// An object in a list that a message passed; `None` for nil.
pub(super) fn object<'a, P: SoftClass>(
    id: Id,
    what: &str,
) -> Result<Option<&'a Object<P>>, String> {
    if id.is_nil() {
        return Ok(None);
    }
    // SAFETY: the message passed objects, which live until it is answered.
    match unsafe { Object::<P>::from_id(id) } {
        Some(object) => Ok(Some(object)),
        None => Err(format!("the list contains an object that is not a {what}")),
    }
}

#[inline(always)]
pub(super) fn bind_buffer(
    recording: &mut Recording,
    buffer: Option<&Object<Buffer>>,
    offset: usize,
    index: usize,
) -> Result<(), Why> {
    let slot = match buffer {
        None => Slot::Empty,
        Some(buffer) => {
            let memory = &buffer.memory;
            if offset > memory.length() {
                return Err(beyond(offset, memory.length(), index));
            }
            let object = recording.memory(memory, || is_untracked::<Buffer>(buffer));
            Slot::Buffer { object, offset }
        }
    };
    bind(recording, ArgumentKind::Buffer, index, slot)
}

#[cold]
pub(super) fn beyond(offset: usize, length: usize, index: usize) -> Why {
    format!(
        "offset {offset} is past the end of the buffer at index {index}, which has {length} bytes"
    )
    .into()
}

/// The index of a buffer from which a number of words is read at an offset.
pub(super) fn words(
    recording: &mut Recording,
    buffer: Option<&Object<Buffer>>,
    offset: usize,
    count: usize,
) -> Result<ObjectIndex, Why> {
    let buffer = buffer.ok_or("nil was passed for the indirect buffer")?;
    let bytes = 4 * count;
    if buffer.memory.range(offset, bytes).is_none() || !offset.is_multiple_of(4) {
        let length = buffer.memory.length();
        return Err(
            format!("{bytes} bytes at offset {offset} of a buffer of {length} bytes").into()
        );
    }
    Ok(recording.memory(&buffer.memory, || is_untracked::<Buffer>(buffer)))
}

pub(super) fn bind_table(
    recording: &mut Recording,
    table: Option<&Object<VisibleFunctionTable>>,
    index: usize,
) -> Result<(), Why> {
    let slot = table.map_or(Slot::Empty, |table| Slot::Buffer {
        object: recording.memory(&table.memory, || false),
        offset: 0,
    });
    bind(recording, ArgumentKind::Buffer, index, slot)
}

pub(super) fn bind_texture(
    recording: &mut Recording,
    texture: Option<&Object<Texture>>,
    index: usize,
) -> Result<(), Why> {
    let slot = texture.map_or(Slot::Empty, |texture| {
        let untracked = || is_untracked::<Texture>(texture);
        Slot::Texture { object: recording.image(&texture.image, untracked) }
    });
    bind(recording, ArgumentKind::Texture, index, slot)
}

pub(super) fn bind_sampler(
    recording: &mut Recording,
    sampler: Option<&Object<Sampler>>,
    index: usize,
) -> Result<(), Why> {
    let slot = sampler.map_or(Slot::Empty, |sampler| Slot::Sampler(sampler.state));
    bind(recording, ArgumentKind::Sampler, index, slot)
}

#[cold]
pub(super) fn wrong_length(length: usize, index: usize) -> Why {
    format!("{length} bytes at index {index}: the limit is {BYTES}").into()
}
