//! ggml's quantised blocks: what a block of bytes means.

use crate::numbers::{Number, noise};

/// A format: 32 weights a block, by the description in ggml's own header.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The name in kernels.
    pub name: &'static str,
    /// Halves at the start: the scale, and for the `_1` formats the smallest value.
    halves: usize,
    /// Whether 32 bits follow, the fifth bit of each weight.
    high: bool,
    /// Whether a weight is a whole signed byte; else half of one, the lower halves first.
    whole: bool,
    /// What is subtracted from a weight's bits.
    offset: i32,
}

/// Weights of a block.
pub const WEIGHTS: usize = 32;

/// The formats of 32 weights.
pub const FORMATS: &[Format] = &[
    Format { name: "q4_0", halves: 1, high: false, whole: false, offset: 8 },
    Format { name: "q4_1", halves: 2, high: false, whole: false, offset: 0 },
    Format { name: "q5_0", halves: 1, high: true, whole: false, offset: 16 },
    Format { name: "q5_1", halves: 2, high: true, whole: false, offset: 0 },
    Format { name: "q8_0", halves: 1, high: false, whole: true, offset: 0 },
];

impl Format {
    /// Bytes of a block.
    pub fn bytes(&self) -> usize {
        self.start() + if self.whole { WEIGHTS } else { WEIGHTS / 2 }
    }

    /// Where the weights begin.
    fn start(&self) -> usize {
        2 * self.halves + if self.high { 4 } else { 0 }
    }

    /// So many blocks of any bits, with scales below 1/16.
    pub fn some(&self, seed: u64, blocks: usize) -> Vec<u8> {
        let mut all: Vec<u8> =
            noise(seed).map(|bits| bits as u8).take(blocks * self.bytes()).collect();
        for (block, bits) in all.chunks_mut(self.bytes()).zip(noise(seed + 1)) {
            let scales = [bits % 61, bits / 61 % 61].map(|part| (part + 1) as f64 / 1024.0);
            let halves = Number::F16.encode(&scales[..self.halves]);
            block[..halves.len()].copy_from_slice(&halves);
        }
        all
    }

    /// The weights of blocks.
    pub fn weights(&self, blocks: &[u8]) -> Vec<f64> {
        blocks.chunks(self.bytes()).flat_map(|block| self.block(block)).collect()
    }

    fn block(&self, block: &[u8]) -> [f64; WEIGHTS] {
        let halves = Number::F16.decode(&block[..2 * self.halves]);
        let (scale, least) = (halves[0], halves.get(1).copied().unwrap_or(0.0));
        let quants = &block[self.start()..];
        let high = match self.high {
            true => u32::from_le_bytes(std::array::from_fn(|k| block[2 * self.halves + k])),
            false => 0,
        };
        std::array::from_fn(|k| {
            let bits = match self.whole {
                true => i32::from(quants[k] as i8),
                false => i32::from(quants[k % 16] >> (k / 16 * 4) & 15),
            };
            let bits = bits | ((high >> k & 1) << 4) as i32;
            f64::from(bits - self.offset) * scale + least
        })
    }
}
