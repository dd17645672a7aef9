//! Blocks of 256 weights, whose parts of 16 or 32 have scales of their own.

use super::{Format, Scale, half, tables, word};

const WEIGHTS: usize = 256;

pub(super) const Q2_K: Format = Format {
    name: "q2_K",
    weights: WEIGHTS,
    bytes: 84,
    scale: Scale::Halves(&[80, 82], 1.0 / 32.0),
    // Sixteen bytes, each a scale and a least value of four bits; two bits a weight; two halves.
    decode: |block, out| {
        let (scale, least) = (half(block, 80), half(block, 82));
        for k in 0..WEIGHTS {
            let (part, of_half) = (block[k / 16], k % 128);
            let bits = block[16 + k / 128 * 32 + k % 32] >> (of_half / 32 * 2) & 3;
            out.push(scale * f64::from(part & 15) * f64::from(bits) - least * f64::from(part >> 4));
        }
    },
};

pub(super) const Q3_K: Format = Format {
    name: "q3_K",
    weights: WEIGHTS,
    bytes: 110,
    scale: Scale::Halves(&[108], 1.0 / 64.0),
    // The third bits; two bits a weight; sixteen scales of six bits, the upper two apart; a half.
    decode: |block, out| {
        let (high, low, scales) = (&block[..32], &block[32..96], &block[96..108]);
        for k in 0..WEIGHTS {
            let part = k / 16;
            let lower = scales[part % 8] >> (part / 8 * 4) & 15;
            let upper = scales[8 + part % 4] >> (part / 4 * 2) & 3;
            let scale = half(block, 108) * f64::from(i32::from(lower | upper << 4) - 32);
            let bits = low[k / 128 * 32 + k % 32] >> (k % 128 / 32 * 2) & 3;
            let third = high[k % 32] >> (k / 32) & 1;
            out.push(scale * f64::from(i32::from(bits | third << 2) - 4));
        }
    },
};

/// Of eight scales and eight least values of six bits in twelve bytes, those of a part.
fn scale_and_least(packed: &[u8], part: usize) -> (f64, f64) {
    let (scale, least) = match part {
        0..4 => (packed[part] & 63, packed[part + 4] & 63),
        _ => (
            packed[part + 4] & 15 | packed[part - 4] >> 6 << 4,
            packed[part + 4] >> 4 | packed[part] >> 6 << 4,
        ),
    };
    (scale.into(), least.into())
}

/// Weights of four bits, and where `high` is, of a fifth: two parts share their bytes.
fn four_or_five(block: &[u8], high: Option<&[u8]>, quants: &[u8], out: &mut Vec<f64>) {
    for k in 0..WEIGHTS {
        let part = k / 32;
        let (scale, least) = scale_and_least(&block[4..16], part);
        let bits = quants[k / 64 * 32 + k % 32] >> (part % 2 * 4) & 15;
        let fifth = high.map_or(0, |high| high[k % 32] >> part & 1);
        let quant = f64::from(bits | fifth << 4);
        out.push(half(block, 0) * scale * quant - half(block, 2) * least);
    }
}

pub(super) const Q4_K: Format = Format {
    name: "q4_K",
    weights: WEIGHTS,
    bytes: 144,
    scale: Scale::Halves(&[0, 2], 1.0 / 512.0),
    decode: |block, out| four_or_five(block, None, &block[16..], out),
};

pub(super) const Q5_K: Format = Format {
    name: "q5_K",
    weights: WEIGHTS,
    bytes: 176,
    scale: Scale::Halves(&[0, 2], 1.0 / 1024.0),
    decode: |block, out| four_or_five(block, Some(&block[16..48]), &block[48..], out),
};

pub(super) const Q6_K: Format = Format {
    name: "q6_K",
    weights: WEIGHTS,
    bytes: 210,
    scale: Scale::Halves(&[208], 1.0 / 2048.0),
    // The lower four bits, the upper two, sixteen signed scales, a half.
    decode: |block, out| {
        for k in 0..WEIGHTS {
            let (second, rest) = (k / 128, k % 128);
            let lower = block[second * 64 + rest % 64] >> (rest / 64 * 4) & 15;
            let upper = block[128 + second * 32 + rest % 32] >> (rest / 32 * 2) & 3;
            let scale = f64::from(block[192 + k / 16] as i8);
            let quant = f64::from(i32::from(lower | upper << 4) - 32);
            out.push(half(block, 208) * scale * quant);
        }
    },
};

pub(super) const IQ4_XS: Format = Format {
    name: "iq4_xs",
    weights: WEIGHTS,
    bytes: 136,
    scale: Scale::Halves(&[0], 1.0 / 2048.0),
    // A half; the upper two bits of eight scales, and the lower four; four bits a weight, which are looked up.
    decode: |block, out| {
        let values = tables::bytes("kvalues_iq4nl");
        for k in 0..WEIGHTS {
            let part = k / 32;
            let lower = block[4 + part / 2] >> (part % 2 * 4) & 15;
            let upper = (word(block, 2) >> (2 * part) & 3) as u8;
            let scale = f64::from(i32::from(lower | upper << 4) - 32);
            let bits = block[8 + part * 16 + k % 16] >> (k % 32 / 16 * 4) & 15;
            out.push(half(block, 0) * scale * f64::from(values[usize::from(bits)] as i8));
        }
    },
};
