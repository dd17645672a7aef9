//! MTLArgumentDescriptor: a member of an argument buffer that no kernel declares, described by the program.

use super::foundation::{List, NSObject, Object, Strong, lock, soft_class};
use super::properties::{SCALARS, properties};
use crate::abi::Class;
use crate::soft::ir::{Expected, HANDLE_BYTES, Layout, Member, MemberKind, Scalar};
use crate::soft::sorted;
use std::sync::Mutex;

/// `MTLBindingAccess`.
const READ_ONLY: usize = 0;
const WRITE_ONLY: usize = 2;

/// Values of `MTLDataType` that are not data.
const TEXTURE: usize = 58;
const SAMPLER: usize = 59;
const POINTER: usize = 60;

properties! {
    /// Describes a member of an argument buffer.
    class MTLArgumentDescriptor(ArgumentDescriptor, ArgumentFields);
    [dataType, setDataType:] data_type: usize = 0;
    [index, setIndex:] index: usize = 0;
    [arrayLength, setArrayLength:] array_length: usize = 0;
    [access, setAccess:] access: usize = READ_ONLY;
    [textureType, setTextureType:] texture_type: usize = crate::soft::stream::image::kind::D2;
    [constantBlockAlignment, setConstantBlockAlignment:] alignment: usize = 0;
    rows {
        class [argumentDescriptor] = |_: Class| Strong::new(ArgumentDescriptor::default());
    }
}

/// The matrices of `MTLDataType`: the number of the one of two columns and two rows, which the other eight follow,
/// and the bytes of a component.
const MATRICES: [(usize, u32); 2] = [(7, 4), (20, 2)];

/// Size and alignment of a vector, in which three components take the place of four.
fn vector(components: u32, bytes: u32) -> (u32, u32) {
    let size = components.next_power_of_two() * bytes;
    (size, size)
}

/// Size and alignment of data of an `MTLDataType`.
fn data(data_type: usize) -> Option<(u32, u32)> {
    let among = |(first, bytes): &(usize, u32), count: usize| {
        let nth = data_type.checked_sub(*first).filter(|nth| *nth < count)?;
        Some((nth as u32, *bytes))
    };
    if let Some((nth, bytes)) = SCALARS.iter().find_map(|scalar| among(scalar, 4)) {
        return Some(vector(nth + 1, bytes));
    }
    let (nth, bytes) = MATRICES.iter().find_map(|matrix| among(matrix, 9))?;
    let (size, align) = vector(nth % 3 + 2, bytes);
    Some(((nth / 3 + 2) * size, align))
}

impl ArgumentFields {
    /// The kind of member, and its size and alignment.
    fn kind(&self) -> Result<(MemberKind, u32, u32), String> {
        let handle = |kind| Ok((kind, HANDLE_BYTES, HANDLE_BYTES));
        match self.data_type {
            POINTER => handle(MemberKind::Pointer(None)),
            SAMPLER => handle(MemberKind::Sampler),
            TEXTURE => handle(MemberKind::Texture(Expected {
                kind: self.texture_type as u8,
                scalar: Scalar::F32,
                read: self.access != WRITE_ONLY,
                write: self.access != READ_ONLY,
            })),
            other => {
                let (size, align) = data(other).ok_or_else(|| {
                    format!("data type {other} of index {} is not supported", self.index)
                })?;
                Ok((MemberKind::Data(size), size, align.max(self.alignment as u32)))
            }
        }
    }
}

/// The struct that a list of descriptors describes, its members in the order of their indices.
pub(super) fn layout(descriptors: &List) -> Result<Layout, String> {
    /// The longest array: as many handles as a buffer of a gigabyte has.
    const LONGEST: usize = 1 << 27;
    let mut fields = Vec::new();
    for object in descriptors.objects().iter() {
        // SAFETY: the list retains its objects.
        let descriptor = unsafe { Object::<ArgumentDescriptor>::from_id(object.id()) };
        fields.push(descriptor.ok_or("the list has an object of another class")?.get());
    }
    sorted::sort_by_key(&mut fields, |fields| fields.index);
    let mut layout = Layout { size: 0, align: 1, members: Vec::new() };
    let mut next = 0;
    for fields in fields {
        if fields.index < next {
            return Err(format!("index {} is described twice", fields.index));
        }
        let (kind, size, align) = fields.kind()?;
        let is_data = matches!(kind, MemberKind::Data(_));
        let count = fields.array_length.max(1);
        if count > LONGEST || fields.index > LONGEST || !align.is_power_of_two() {
            return Err(format!("index {}: its array or its alignment is too large", fields.index));
        }
        // Data is one member, whatever it is.
        let kind = if is_data { MemberKind::Data(size * count as u32) } else { kind };
        next = fields.index + count;
        let offset = layout.size.next_multiple_of(align);
        layout.members.push(Member {
            index: fields.index as u32,
            count: if is_data { 1 } else { count as u32 },
            offset,
            kind,
        });
        layout.size = offset + size * count as u32;
        layout.align = layout.align.max(align);
    }
    layout.size = layout.size.next_multiple_of(layout.align);
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_types_have_the_sizes_of_the_language() {
        // Float, float3, float4x3, half2x2, bool2, ulong4.
        let sizes = [3, 5, 14, 20, 54, 88].map(|number| data(number).unwrap());
        assert_eq!(sizes, [(4, 4), (16, 16), (64, 16), (8, 4), (2, 2), (32, 32)]);
        assert_eq!(data(TEXTURE), None);
    }
}
