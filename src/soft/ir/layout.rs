//! The members of a struct in an argument buffer, as the host sets them: `specs/arguments.md`.

use super::Expected;
use std::sync::Arc;

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
    /// What it is.
    pub(crate) kind: MemberKind,
}

/// What a member is.
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
    /// The member of an index, and its offset.
    pub(crate) fn member(&self, index: usize) -> Option<(&Member, usize)> {
        self.members.iter().find_map(|member| {
            let nth = index.checked_sub(member.index as usize)?;
            let here = nth < member.count as usize;
            here.then(|| (member, member.offset as usize + nth * super::HANDLE_BYTES as usize))
        })
    }
}
