//! Textures and samplers that memory refers to and a launch may not use: their numbers, and what reports say about them.

use super::Owner;
use crate::soft::ir::Expected;

/// The bit of a texture's number that is set if there is no such texture; the other bits are the ID that memory had.
pub(crate) const MISSING: u64 = 1 << 63;
/// The bit that is set, too, if it is not the texture that the kernel expects: then bits 32 to 56 say what it expects,
/// and the lower ones are the texture's number.
pub(crate) const MISFIT: u64 = 1 << 62;

/// The defect of a texture whose format an atomic function cannot change.
pub(crate) const WRONG_FORMAT: &str =
    "an atomic function of a texture whose format is not R32Uint or R32Sint";

/// The defect of a texture's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrongTexture {
    /// No texture has this ID, or the launch may not use it.
    Missing(u64),
    /// It is another texture than expected.
    Misfit(u32, Expected),
}

impl WrongTexture {
    /// The defect of a number that is in no table.
    pub(crate) fn of(number: u64) -> Self {
        let expected = Expected::from_imm(number >> 32 & 0xff_ffff);
        match expected.filter(|_| number & MISFIT != 0) {
            Some(expected) => Self::Misfit(number as u32, expected),
            None => Self::Missing(number & !MISSING),
        }
    }

    /// The same for people. `resident` finds the resource of a number.
    pub(crate) fn text<'a>(self, resident: impl FnOnce(u32) -> Option<&'a dyn Owner>) -> String {
        let (number, expected) = match self {
            Self::Misfit(number, expected) => (number, expected),
            Self::Missing(id) => {
                return format!(
                    "a texture with the ID {id}, which the launch may not use: it is stale, or useResource was not called"
                );
            }
        };
        let found = resident(number).map(|owner| (owner.name(), owner.misfit(expected)));
        let (name, why) = found.unwrap_or_default();
        format!("'{name}': {}", why.unwrap_or_default())
    }
}

/// The message about a number that is of no sampler.
pub(crate) fn wrong_sampler(bits: u64) -> String {
    format!("a sampler with the ID {bits:#x}, which is of no sampler")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::Scalar;

    #[test]
    fn an_id_that_resembles_an_expected_texture_is_missing() {
        let expected = Expected { kind: 2, scalar: Scalar::F32, read: true, write: false };
        let bits = expected.imm() << 32 | 5;
        assert_eq!(WrongTexture::of(MISSING | bits), WrongTexture::Missing(bits));
        let misfit = WrongTexture::of(MISSING | MISFIT | bits);
        assert_eq!(misfit, WrongTexture::Misfit(5, expected));
    }
}
