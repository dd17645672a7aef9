//! The arguments of a kernel as its source declares them. Metal's reflection shows these.

use super::limits;
use crate::soft::ir::shape::TensorKind;
use crate::soft::ir::{Layout, Scalar, Shape};
use std::sync::Arc;

/// Which of Metal's argument tables an argument is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentKind {
    /// `[[buffer(n)]]`
    Buffer,
    /// `[[threadgroup(n)]]`
    Threadgroup,
    /// `[[texture(n)]]`
    Texture,
    /// `[[sampler(n)]]`
    Sampler,
}

impl ArgumentKind {
    /// The name of its attribute.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Buffer => "buffer",
            Self::Threadgroup => "threadgroup",
            Self::Texture => "texture",
            Self::Sampler => "sampler",
        }
    }
}

/// The ways in which a kernel may use an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Write.
    WriteOnly,
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// Its name in the source.
    pub(crate) name: String,
    /// The table it is in.
    pub(crate) kind: ArgumentKind,
    /// Its index there; of an array, the first.
    pub(crate) index: u32,
    /// How many indices it has: the length of an array of textures or samplers, else 1.
    pub(crate) length: u32,
    /// Whether it is an array.
    pub(crate) is_array: bool,
    /// How the kernel may use it.
    pub(crate) access: Access,
    /// The texture that it accepts, if it is one.
    pub(crate) texture: Option<TextureKind>,
    /// Whether the compiled kernel uses it.
    pub(crate) used: bool,
    /// The size of the type that a pointer points to; 0 for others.
    pub(crate) size: u32,
    /// The alignment of that type; 0 for others.
    pub(crate) align: u32,
    /// Whether it is a `visible_function_table`, which is bound like a buffer.
    pub(crate) function_table: bool,
    /// The tensor that it accepts, if it is one, which is bound like a buffer.
    pub(crate) tensor: Option<TensorKind>,
    /// Whether that type holds pointers, textures or samplers, or the kernel may make pointers of what the buffer has.
    pub(crate) pointers: bool,
    /// The type that a buffer's pointer points to.
    pub(crate) pointee: Option<Shape>,
}

impl Argument {
    /// The hidden buffer that `os_log` writes to.
    pub(super) fn log() -> Self {
        Self {
            name: "the log".to_owned(),
            kind: ArgumentKind::Buffer,
            index: limits::LOG_BUFFER,
            length: 1,
            is_array: false,
            access: Access::ReadWrite,
            texture: None,
            used: false,
            size: 4,
            align: 4,
            function_table: false,
            tensor: None,
            pointers: false,
            pointee: None,
        }
    }

    /// The struct that it points to, if that is an argument buffer.
    pub(crate) fn layout(&self) -> Option<Arc<Layout>> {
        self.pointee.as_ref().and_then(Layout::of)
    }

    /// Whether an index of its table is its own.
    pub(crate) fn has(&self, kind: ArgumentKind, index: u32) -> bool {
        self.kind == kind && index.checked_sub(self.index).is_some_and(|nth| nth < self.length)
    }
}

/// The texture that an argument accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextureKind {
    /// A number of `MTLTextureType`.
    pub(crate) kind: usize,
    /// Whether its pixels are depths.
    pub(crate) depth: bool,
    /// The type that the components of its pixels are converted to.
    pub(crate) scalar: Scalar,
}
