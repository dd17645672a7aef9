//! Texture types (MSL 2.9): a table of the kinds with their coordinates, arrays and faces.

use crate::soft::ir::{Expected, Scalar};

/// A kind of texture.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The class template's name.
    pub(crate) name: &'static str,
    /// The number of coordinates of a pixel; for a cube, of a pixel of a face.
    pub(crate) sides: u32,
    /// Whether it is an array of textures.
    pub(crate) array: bool,
    /// Whether an element has six faces.
    pub(crate) cube: bool,
    /// Whether it is a depth texture.
    pub(crate) depth: bool,
    /// Whether its pixels have several samples, which are only read.
    pub(crate) samples: bool,
    /// The value of `MTLTextureType`.
    pub(crate) host: u8,
}

const fn kind(name: &'static str, sides: u32, host: u8) -> Kind {
    Kind { name, sides, array: false, cube: false, depth: false, samples: false, host }
}

const fn array(of: Kind, name: &'static str, host: u8) -> Kind {
    Kind { name, array: true, host, ..of }
}

const fn cube(of: Kind) -> Kind {
    Kind { cube: true, ..of }
}

const fn depth(of: Kind) -> Kind {
    Kind { depth: true, ..of }
}

const fn samples(of: Kind) -> Kind {
    Kind { samples: true, ..of }
}

/// Every kind.
pub(crate) static KINDS: &[Kind] = &[
    kind("texture1d", 1, 0),
    array(kind("", 1, 0), "texture1d_array", 1),
    kind("texture2d", 2, 2),
    array(kind("", 2, 0), "texture2d_array", 3),
    kind("texture3d", 3, 7),
    cube(kind("texturecube", 2, 5)),
    array(cube(kind("", 2, 0)), "texturecube_array", 6),
    kind("texture_buffer", 1, 9),
    depth(kind("depth2d", 2, 2)),
    array(depth(kind("", 2, 0)), "depth2d_array", 3),
    cube(depth(kind("depthcube", 2, 5))),
    array(cube(depth(kind("", 2, 0))), "depthcube_array", 6),
    samples(kind("texture2d_ms", 2, 4)),
    array(samples(kind("", 2, 0)), "texture2d_ms_array", 8),
    samples(depth(kind("depth2d_ms", 2, 4))),
    array(samples(depth(kind("", 2, 0))), "depth2d_ms_array", 8),
];

impl Kind {
    /// Whether it is a texture buffer, which cannot be sampled.
    pub(crate) fn is_buffer(&self) -> bool {
        self.host == 9
    }

    /// Whether a sampler can be used.
    pub(crate) fn can_be_sampled(&self) -> bool {
        !self.is_buffer() && !self.samples
    }

    /// The number of coordinates that a sampler takes; for a cube, a direction.
    pub(crate) fn coordinates(&self) -> u32 {
        if self.cube { 3 } else { self.sides }
    }
}

/// How a kernel may access a texture, in the order of `enum class access`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Access {
    Sample,
    Read,
    Write,
    ReadWrite,
}

impl Access {
    pub(crate) const ALL: [Access; 4] =
        [Access::Sample, Access::Read, Access::Write, Access::ReadWrite];

    pub(crate) fn name(self) -> &'static str {
        ["sample", "read", "write", "read_write"][self as usize]
    }

    pub(crate) fn reads(self) -> bool {
        self != Access::Write
    }

    pub(crate) fn writes(self) -> bool {
        matches!(self, Access::Write | Access::ReadWrite)
    }
}

/// A texture type: `texture2d<float, access::read>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Texture {
    /// The index of the kind in the table.
    kind: u8,
    pub(crate) scalar: Scalar,
    pub(crate) access: Access,
}

impl Texture {
    /// The type of a template's name and arguments; without an access, the template's default.
    pub(crate) fn new(name: &str, scalar: Scalar, access: Option<Access>) -> Option<Texture> {
        let number = KINDS.iter().position(|kind| kind.name == name)?;
        let kind = &KINDS[number];
        let default = if kind.can_be_sampled() { Access::Sample } else { Access::Read };
        let access = access.unwrap_or(default);
        // MSL 2.9: `T` is one of six types; for depth textures only `float`. Depth textures and those with several
        // samples cannot be written, and the latter and texture buffers cannot be sampled.
        let scalars: &[Scalar] = match kind.depth {
            true => &[Scalar::F32],
            false => {
                &[Scalar::F32, Scalar::F16, Scalar::I32, Scalar::U32, Scalar::I16, Scalar::U16]
            }
        };
        let fits = scalars.contains(&scalar)
            && !((kind.depth || kind.samples) && access.writes())
            && (kind.can_be_sampled() || access != Access::Sample);
        fits.then_some(Texture { kind: number as u8, scalar, access })
    }

    /// The value that the host has to put in memory for it.
    pub(crate) fn expected(self) -> Expected {
        let (read, write) = match self.access {
            Access::Sample | Access::Read => (true, false),
            Access::Write => (false, true),
            Access::ReadWrite => (true, true),
        };
        Expected { kind: self.kind().host, scalar: self.scalar, read, write }
    }

    pub(crate) fn kind(self) -> &'static Kind {
        &KINDS[usize::from(self.kind)]
    }
}
