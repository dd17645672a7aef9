//! Blocks with one scale: of 32 weights, or of more with one or two bits.

use super::{Format, Scale, half, long, tables};

const WEIGHTS: usize = 32;

/// Four bits a weight: the lower halves of the bytes are the first 16.
fn nibble(quants: &[u8], k: usize) -> u8 {
    quants[k % 16] >> (k / 16 * 4) & 15
}

/// Appends the weights of a block.
fn all(out: &mut Vec<f64>, weight: impl Fn(usize) -> f64) {
    out.extend((0..WEIGHTS).map(weight));
}

pub(super) const Q4_0: Format = Format {
    name: "q4_0",
    weights: WEIGHTS,
    bytes: 18,
    scale: Scale::Halves(&[0], 1.0 / 16.0),
    decode: |block, out| {
        all(out, |k| half(block, 0) * f64::from(i32::from(nibble(&block[2..], k)) - 8))
    },
};

pub(super) const Q4_1: Format = Format {
    name: "q4_1",
    weights: WEIGHTS,
    bytes: 20,
    scale: Scale::Halves(&[0, 2], 1.0 / 16.0),
    decode: |block, out| {
        all(out, |k| half(block, 0) * f64::from(nibble(&block[4..], k)) + half(block, 2))
    },
};

/// The fifth bit of a weight.
fn fifth(block: &[u8], place: usize, k: usize) -> u8 {
    ((long(block, place) >> k & 1) << 4) as u8
}

pub(super) const Q5_0: Format = Format {
    name: "q5_0",
    weights: WEIGHTS,
    bytes: 22,
    scale: Scale::Halves(&[0], 1.0 / 16.0),
    decode: |block, out| {
        let bits = |k| nibble(&block[6..], k) | fifth(block, 2, k);
        all(out, |k| half(block, 0) * f64::from(i32::from(bits(k)) - 16))
    },
};

pub(super) const Q5_1: Format = Format {
    name: "q5_1",
    weights: WEIGHTS,
    bytes: 24,
    scale: Scale::Halves(&[0, 2], 1.0 / 16.0),
    decode: |block, out| {
        let bits = |k| nibble(&block[8..], k) | fifth(block, 4, k);
        all(out, |k| half(block, 0) * f64::from(bits(k)) + half(block, 2))
    },
};

pub(super) const Q8_0: Format = Format {
    name: "q8_0",
    weights: WEIGHTS,
    bytes: 34,
    scale: Scale::Halves(&[0], 1.0 / 64.0),
    decode: |block, out| all(out, |k| half(block, 0) * f64::from(block[2 + k] as i8)),
};

/// Numbers of four bits (sign, two of exponent, one of fraction), and a power of two.
pub(super) const MXFP4: Format = Format {
    name: "mxfp4",
    weights: WEIGHTS,
    bytes: 17,
    scale: Scale::Exponent,
    decode: |block, out| {
        let scale = 2f64.powi(i32::from(block[0]) - 127);
        let number = |bits: u8| {
            let size = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][usize::from(bits & 7)];
            if bits & 8 == 0 { size } else { -size }
        };
        all(out, |k| scale * number(nibble(&block[1..], k)));
    },
};

pub(super) const IQ4_NL: Format = Format {
    name: "iq4_nl",
    weights: WEIGHTS,
    bytes: 18,
    scale: Scale::Halves(&[0], 1.0 / 64.0),
    decode: |block, out| {
        let values = tables::bytes("kvalues_iq4nl");
        let value = |k| f64::from(values[usize::from(nibble(&block[2..], k))] as i8);
        all(out, |k| half(block, 0) * value(k));
    },
};

/// A bit a weight: the scale, or less than zero as much.
pub(super) const Q1_0: Format = Format {
    name: "q1_0",
    weights: 128,
    bytes: 18,
    scale: Scale::Halves(&[0], 1.0),
    decode: |block, out| {
        let sign = |k: usize| if block[2 + k / 8] >> (k % 8) & 1 == 1 { 1.0 } else { -1.0 };
        out.extend((0..128).map(|k| half(block, 0) * sign(k)));
    },
};

/// Two bits a weight, four in a row in a byte.
pub(super) const Q2_0: Format = Format {
    name: "q2_0",
    weights: 64,
    bytes: 18,
    scale: Scale::Halves(&[0], 1.0),
    decode: |block, out| {
        let bits = |k: usize| block[2 + k / 4] >> (k % 4 * 2) & 3;
        out.extend((0..64).map(|k| half(block, 0) * (f64::from(bits(k)) - 1.0)));
    },
};

/// Two bits a weight, four in a byte that are 32 apart; the scale is last.
pub(super) const TQ2_0: Format = Format {
    name: "tq2_0",
    weights: 256,
    bytes: 66,
    scale: Scale::Halves(&[64], 1.0),
    decode: |block, out| {
        let bits = |k: usize| block[k / 128 * 32 + k % 32] >> (k % 128 / 32 * 2) & 3;
        out.extend((0..256).map(|k| half(block, 64) * (f64::from(bits(k)) - 1.0)));
    },
};
