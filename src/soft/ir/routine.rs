//! Routines of the library: what some operations do, as functions for back ends that call them instead of having code of
//! their own. They read the tables that a back end describes textures and addresses by, through pointers that are addresses.

use super::Op;

/// Declares [`Routine`], and the name of each in the library.
macro_rules! routines {
    ($($(#[$doc:meta])* $routine:ident $name:literal;)*) => {
        /// A routine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Routine { $($(#[$doc])* $routine),* }

        impl Routine {
            /// All, by number.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$routine),*];

            /// Its name.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$routine => $name),* }
            }
        }
    };
}

routines! {
    /// The pixel at a position and level.
    TextureRead "texture_read";
    /// Writes one.
    TextureWrite "texture_write";
    /// The address of a pixel that is an integer.
    TextureAddress "texture_address";
    /// A sample at a level of detail.
    TextureSample "texture_sample";
    /// The share of pixels that compare with a number.
    TextureCompare "texture_compare";
    /// A component of four pixels.
    TextureGather "texture_gather";
    /// Four comparisons.
    TextureGatherCompare "texture_gather_compare";
    /// The size of a side.
    TextureSize "texture_size";
    /// A pointer from its form in memory.
    PointerFromMemory "pointer_from_memory";
    /// The form in memory of a pointer.
    PointerToMemory "pointer_to_memory";
    /// A texture from its form in memory.
    TextureFromMemory "texture_from_memory";
    /// The form in memory of a texture.
    TextureToMemory "texture_to_memory";
}

impl Routine {
    /// Whether it is about textures rather than about what memory has.
    pub(crate) fn is_of_textures(self) -> bool {
        self <= Self::TextureSize
    }

    /// The routine of a texture operation.
    pub(crate) const fn of(op: Op) -> Option<Self> {
        Some(match op {
            Op::TextureRead => Self::TextureRead,
            Op::TextureWrite => Self::TextureWrite,
            Op::TextureAtomic => Self::TextureAddress,
            Op::TextureSample => Self::TextureSample,
            Op::TextureCompare => Self::TextureCompare,
            Op::TextureGather => Self::TextureGather,
            Op::TextureGatherCompare => Self::TextureGatherCompare,
            Op::TextureSize => Self::TextureSize,
            _ => return None,
        })
    }
}
