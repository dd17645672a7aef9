//! ggml's quantised blocks, decoded by the descriptions in ggml's own header.

mod grids;
mod kquants;
mod made;
mod plain;
mod tables;

use crate::numbers::{Number, noise};

/// A format of blocks.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The name in kernels.
    pub name: &'static str,
    /// Weights of a block.
    pub weights: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// The position of the scale of a whole block.
    scale: Scale,
    /// Adds the weights of a block to a list.
    decode: fn(&[u8], &mut Vec<f64>),
}

/// The scale of a block, which must be small in random blocks.
#[derive(Clone, Copy, Debug)]
enum Scale {
    /// Halves at these offsets, and their largest value.
    Halves(&'static [usize], f64),
    /// A half in the upper four bits of each of four 16-bit words, at this offset.
    Spread(usize, f64),
    /// A byte, the exponent.
    Exponent,
}

/// All formats.
pub const FORMATS: &[Format] = &[
    plain::Q4_0,
    plain::Q4_1,
    plain::Q5_0,
    plain::Q5_1,
    plain::Q8_0,
    plain::MXFP4,
    plain::IQ4_NL,
    kquants::Q2_K,
    kquants::Q3_K,
    kquants::Q4_K,
    kquants::Q5_K,
    kquants::Q6_K,
    kquants::IQ4_XS,
    grids::IQ2_XXS,
    grids::IQ2_XS,
    grids::IQ2_S,
    grids::IQ3_XXS,
    grids::IQ3_S,
    grids::IQ1_S,
    grids::IQ1_M,
    plain::Q1_0,
    plain::Q2_0,
    plain::TQ2_0,
];

impl Format {
    /// The format of that name.
    ///
    /// # Panics
    /// If there is no such format.
    pub fn named(name: &str) -> &'static Self {
        let found = FORMATS.iter().find(|format| format.name == name);
        found.unwrap_or_else(|| panic!("no format {name}"))
    }

    /// `n` blocks of random bits, with weights of about one at most.
    pub fn some(&self, seed: u64, blocks: usize) -> Vec<u8> {
        let mut all: Vec<u8> =
            noise(seed).map(|bits| bits as u8).take(blocks * self.bytes).collect();
        for (block, bits) in all.chunks_mut(self.bytes).zip(noise(seed + 1)) {
            let half = |bits: u64, most: f64| {
                let bytes = Number::F16.encode(&[(bits % 61 + 1) as f64 / 61.0 * most]);
                [bytes[0], bytes[1]]
            };
            match self.scale {
                Scale::Halves(places, most) => {
                    for (k, &place) in places.iter().enumerate() {
                        block[place..place + 2].copy_from_slice(&half(bits >> (8 * k), most));
                    }
                }
                Scale::Spread(place, most) => {
                    let [low, high] = half(bits, most);
                    for (k, part) in [low & 15, low >> 4, high & 15, high >> 4].iter().enumerate() {
                        let byte = &mut block[place + 2 * k + 1];
                        *byte = *byte & 15 | part << 4;
                    }
                }
                Scale::Exponent => block[0] = 120 + (bits % 6) as u8,
            }
        }
        all
    }

    /// The weights of blocks.
    pub fn weights(&self, blocks: &[u8]) -> Vec<f64> {
        let mut weights = Vec::new();
        for block in blocks.chunks(self.bytes) {
            (self.decode)(block, &mut weights);
        }
        weights
    }
}

/// The half at an offset.
fn half(block: &[u8], place: usize) -> f64 {
    Number::F16.decode(&block[place..place + 2])[0]
}

/// The 16-bit word at an offset.
fn word(block: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([block[place], block[place + 1]])
}

/// The 32-bit word at an offset.
fn long(block: &[u8], place: usize) -> u32 {
    u32::from(word(block, place)) | u32::from(word(block, place + 2)) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_number_of_weights_of_their_format_and_small_weights() {
        for format in FORMATS {
            let weights = format.weights(&format.some(3, 5));
            assert_eq!(weights.len(), 5 * format.weights, "{}", format.name);
            let most = weights.iter().fold(0f64, |most, weight| most.max(weight.abs()));
            assert!((0.01..6.0).contains(&most), "{}: {most}", format.name);
        }
    }
}
