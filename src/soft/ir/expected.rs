//! The texture that code expects where it loads one from memory, packed into an immediate.

use super::Scalar;

/// The kind of texture that an argument buffer has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// A number of `MTLTextureType`.
    pub(crate) kind: u8,
    /// The type that the components of its pixels are converted to.
    pub(crate) scalar: Scalar,
    /// Whether kernels read it.
    pub(crate) read: bool,
    /// Whether kernels write it.
    pub(crate) write: bool,
}

impl Expected {
    /// As an immediate, below 2^24. A texture is read or written, so this is never 0, the immediate for pointers.
    pub(crate) fn imm(self) -> u64 {
        let access = u64::from(self.read) | u64::from(self.write) << 1;
        access | u64::from(self.kind) << 8 | (self.scalar as u64) << 16
    }

    /// From an immediate; `None` for the immediate of pointers and for an invalid one.
    pub(crate) fn from_imm(imm: u64) -> Option<Self> {
        let scalar = Scalar::all().nth(usize::try_from(imm >> 16).ok()?)?;
        let (read, write) = (imm & 1 != 0, imm & 2 != 0);
        ((read || write) && imm & 0xfc == 0).then_some(Self {
            kind: (imm >> 8) as u8,
            scalar,
            read,
            write,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_survive_their_immediate() {
        for scalar in Scalar::all() {
            for (read, write) in [(true, false), (false, true), (true, true)] {
                let expected = Expected { kind: 9, scalar, read, write };
                assert_eq!(Expected::from_imm(expected.imm()), Some(expected));
            }
        }
        assert_eq!([0, 4, 1 << 40].map(Expected::from_imm), [None; 3]);
    }
}
