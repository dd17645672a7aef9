//! The members of a struct in an argument buffer, as the host sets them: `specs/arguments.md`.

use super::shape::{Handle, Shape, Struct};
use super::{Expected, HANDLE_BYTES};
use std::sync::Arc;

/// The most members that are listed. Those after them cannot be set by an encoder.
const MAX: usize = 1 << 16;

/// A struct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Its size in bytes.
    pub(crate) size: u32,
    /// Its alignment.
    pub(crate) align: u32,
    /// Its members, those of nested structs among them.
    pub(crate) members: Vec<Member>,
}

/// A member, or an array of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its index, or that of the first element.
    pub(crate) index: u32,
    /// The number of elements, 1 if it is no array. Data is one member, whatever it is.
    pub(crate) count: u32,
    /// Its offset in the struct.
    pub(crate) offset: u32,
    /// The kind.
    pub(crate) kind: MemberKind,
}

/// The kind of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    /// A pointer, and the struct that it points to, if that is an argument buffer again.
    Pointer(Option<Arc<Layout>>),
    /// A texture.
    Texture(Expected),
    /// A sampler.
    Sampler,
    /// Data of this many bytes.
    Data(u32),
}

impl MemberKind {
    /// The kind of what takes the eight bytes of an address or an ID; `None` for data.
    fn of(shape: &Shape) -> Option<Self> {
        Some(match shape {
            Shape::Pointer(to) => Self::Pointer(Layout::of(&to.element)),
            Shape::Handle(Handle::FunctionTable | Handle::CommandBuffer) | Shape::Tensor(_) => {
                Self::Pointer(None)
            }
            Shape::Texture(expected, _) => Self::Texture(*expected),
            Shape::Sampler => Self::Sampler,
            _ => return None,
        })
    }

    /// For messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Pointer(_) => "buffer",
            Self::Texture(_) => "texture",
            Self::Sampler => "sampler",
            Self::Data(_) => "data",
        }
    }
}

impl Layout {
    /// The layout of a struct; `None` if it holds no pointers, textures and samplers.
    pub(crate) fn of(shape: &Shape) -> Option<Arc<Self>> {
        let Shape::Struct(of) = shape else { return None };
        shape.is_argument_buffer().then(|| {
            let mut layout = Self { size: of.size, align: of.align, members: Vec::new() };
            layout.fields(of, 0, 0);
            Arc::new(layout)
        })
    }

    /// Adds the members of a struct at an offset, with indices that are greater by `more`.
    fn fields(&mut self, of: &Struct, offset: u32, more: u32) {
        for field in &of.members {
            let index = field.index.saturating_add(more);
            self.add(&field.shape, field.size, offset + field.offset, index, more);
        }
    }

    fn add(&mut self, shape: &Shape, size: u32, offset: u32, index: u32, more: u32) {
        if self.members.len() >= MAX {
            return;
        }
        let (kind, count) = match shape {
            Shape::Struct(of) if !of.union => return self.fields(of, offset, more),
            Shape::Array(of) => match (&of.element, MemberKind::of(&of.element)) {
                (_, Some(kind)) => (kind, of.length),
                (element, None) if !element.is_data() => {
                    for nth in 0..of.length.min(MAX as u32) {
                        let further = nth.saturating_mul(of.indices);
                        let (index, more) =
                            (index.saturating_add(further), more.saturating_add(further));
                        self.add(&of.element, of.stride, offset + nth * of.stride, index, more);
                    }
                    return;
                }
                _ => (MemberKind::Data(size), 1),
            },
            other => (MemberKind::of(other).unwrap_or(MemberKind::Data(size)), 1),
        };
        debug_assert!(count < u32::MAX / HANDLE_BYTES);
        self.members.push(Member { index, count, offset, kind });
    }

    /// The member of an index, and its offset.
    pub(crate) fn member(&self, index: usize) -> Option<(&Member, usize)> {
        self.members.iter().find_map(|member| {
            let nth = index.checked_sub(member.index as usize)?;
            let here = nth < member.count as usize;
            here.then(|| (member, member.offset as usize + nth * HANDLE_BYTES as usize))
        })
    }
}
