//! Compressed formats: the texels of a block. `specs/textures.md` says what a texel's value is.

mod astc;
mod astc_endpoints;
mod bc;
mod bptc;
mod etc;

pub(crate) use astc::Profile;

/// A compression method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Bc1,
    Bc2,
    Bc3,
    /// One component.
    Bc4 {
        signed: bool,
    },
    /// Two components.
    Bc5 {
        signed: bool,
    },
    Bc6h {
        signed: bool,
    },
    Bc7,
    /// Red, green and blue.
    Etc2,
    /// The same with one bit of alpha.
    Etc2Punch,
    /// The same with eight bits of alpha.
    Etc2Eac,
    /// Components of eleven bits: red, or red and green.
    Eac {
        both: bool,
        signed: bool,
    },
    /// Blocks of this many columns and rows.
    Astc(u8, u8, Profile),
}

impl Codec {
    /// The columns and rows of a block.
    pub(crate) fn size(self) -> [u32; 2] {
        match self {
            Self::Astc(width, height, _) => [width.into(), height.into()],
            _ => [4, 4],
        }
    }

    /// Whether textures of three dimensions can have it.
    pub(crate) fn has_volumes(self) -> bool {
        !matches!(self, Self::Etc2 | Self::Etc2Punch | Self::Etc2Eac | Self::Eac { .. })
    }
}

/// Decodes the texel at column x and row y of a block: red, green, blue and alpha, as they are stored, which in
/// sRGB formats is encoded.
pub(crate) fn texel(codec: Codec, block: &[u8], [x, y]: [u32; 2]) -> [f32; 4] {
    let halves = |block: &[u8]| {
        let all = word(block);
        (all as u64, (all >> 64) as u64)
    };
    let (low, high) = halves(block);
    // ETC's blocks are big-endian.
    let (first, second) = (low.swap_bytes(), high.swap_bytes());
    match codec {
        Codec::Bc1 => bc::color(low, x, y, true),
        Codec::Bc2 => bc::with_alpha(bc::color(high, x, y, false), bc::explicit(low, x, y)),
        Codec::Bc3 => bc::with_alpha(bc::color(high, x, y, false), bc::channel(low, x, y, false)),
        Codec::Bc4 { signed } => [bc::channel(low, x, y, signed), 0.0, 0.0, 1.0],
        Codec::Bc5 { signed } => {
            [bc::channel(low, x, y, signed), bc::channel(high, x, y, signed), 0.0, 1.0]
        }
        Codec::Bc6h { signed } => bptc::half_texel(word(block), x, y, signed),
        Codec::Bc7 => unorm8(bptc::texel(word(block), x, y)),
        Codec::Etc2 => unorm8(etc::color(first, x, y, false)),
        Codec::Etc2Punch => unorm8(etc::color(first, x, y, true)),
        Codec::Etc2Eac => {
            let [red, green, blue, _] = etc::color(second, x, y, false);
            unorm8([red, green, blue, etc::alpha(first, x, y)])
        }
        Codec::Eac { both, signed } => {
            let green = if both { etc::eleven(second, x, y, signed) } else { 0.0 };
            [etc::eleven(first, x, y, signed), green, 0.0, 1.0]
        }
        Codec::Astc(width, height, profile) => {
            astc::texel(word(block), [x, y], [width.into(), height.into()], profile)
        }
    }
}

/// A block of up to 16 bytes as an integer.
fn word(block: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes[..block.len()].copy_from_slice(block);
    u128::from_le_bytes(bytes)
}

fn unorm8(texel: [u8; 4]) -> [f32; 4] {
    texel.map(|number| f32::from(number) / 255.0)
}

/// `count` bits from `first` on.
fn bits(word: u128, first: u32, count: u32) -> u32 {
    (word >> first) as u32 & ((1 << count) - 1)
}

/// A number of `from` bits extended to `to` bits by repeating it from the highest bit on.
fn widened(number: u32, from: u32, to: u32) -> u32 {
    let (mut all, mut length) = (0, 0);
    while length < to {
        all = all << from | number;
        length += from;
    }
    all >> (length - to)
}

/// The number of `count` bits with their sign.
fn signed(number: u32, count: u32) -> i32 {
    (number << (32 - count)) as i32 >> (32 - count)
}

#[cfg(test)]
mod tests;
