//! The type that a buffer argument points to, as a tree: what Metal's reflection shows, and what argument buffers are
//! laid out by.

use super::{Expected, Scalar};
use std::sync::Arc;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A scalar, a vector of some rows, or a matrix.
    Data { scalar: Scalar, columns: u8, rows: u8 },
    /// A struct or a union.
    Struct(Arc<Struct>),
    /// An array.
    Array(Arc<Array>),
    /// A pointer to `device` or `constant` memory.
    Pointer(Arc<Pointer>),
    /// A texture, and whether its pixels are depths.
    Texture(Expected, bool),
    /// A sampler.
    Sampler,
    /// A struct of the library that the host sets as a whole.
    Handle(Handle),
    /// A `tensor` of the host.
    Tensor(TensorKind),
    /// A struct whose members are not listed: one that contains this pointer, or one of too many.
    Unlisted,
    /// A type that reflection has no name for.
    Other,
}

/// The structs of the library that the host sets as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handle {
    /// `visible_function_table`
    FunctionTable,
    /// `command_buffer`
    CommandBuffer,
    /// `compute_pipeline_state`
    Pipeline,
}

/// The tensor that an argument accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TensorKind {
    /// The type of its elements.
    pub(crate) element: Scalar,
    /// How many dimensions it has.
    pub(crate) rank: u32,
    /// The type of an index.
    pub(crate) index: Scalar,
    /// Whether its elements may be written.
    pub(crate) writable: bool,
}

/// A struct or a union.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Struct {
    /// Whether it is a union.
    pub(crate) union: bool,
    /// Its size in bytes.
    pub(crate) size: u32,
    /// Its alignment.
    pub(crate) align: u32,
    /// Its members, those of bases and anonymous structs among them.
    pub(crate) members: Vec<Field>,
}

/// A member of a struct.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: String,
    /// Its offset in the struct.
    pub(crate) offset: u32,
    /// Its index in an argument buffer; in an array of structs, that of the first element.
    pub(crate) index: u32,
    /// Its size in bytes.
    pub(crate) size: u32,
    /// Its type.
    pub(crate) shape: Shape,
}

/// An array.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Array {
    /// The number of elements.
    pub(crate) length: u32,
    /// The size of an element.
    pub(crate) stride: u32,
    /// How many indices of an argument buffer an element has.
    pub(crate) indices: u32,
    /// The type of the elements.
    pub(crate) element: Shape,
}

/// A pointer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// Whether the pointee may be written.
    pub(crate) writable: bool,
    /// The size of the pointee; 0 for `void`.
    pub(crate) size: u32,
    /// Its alignment.
    pub(crate) align: u32,
    /// Its type.
    pub(crate) element: Shape,
}

impl Shape {
    /// The kinds of members that take the eight bytes of an address or an ID in an argument buffer.
    fn is_resource(&self) -> bool {
        matches!(
            self,
            Self::Pointer(_)
                | Self::Texture(..)
                | Self::Sampler
                | Self::Tensor(_)
                | Self::Handle(Handle::FunctionTable | Handle::CommandBuffer)
        )
    }

    /// Whether it is a single value that an argument buffer holds as data.
    pub(crate) fn is_data(&self) -> bool {
        matches!(self, Self::Data { .. } | Self::Unlisted | Self::Other)
    }

    /// Whether it is a struct that holds pointers, textures or samplers.
    pub(crate) fn is_argument_buffer(&self) -> bool {
        matches!(self, Self::Struct(_)) && self.holds_resources()
    }

    fn holds_resources(&self) -> bool {
        match self {
            Self::Struct(of) if !of.union => {
                of.members.iter().any(|one| one.shape.holds_resources())
            }
            Self::Array(of) => of.element.holds_resources(),
            other => other.is_resource(),
        }
    }
}
