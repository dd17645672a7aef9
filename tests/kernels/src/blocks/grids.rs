//! Blocks of 256 weights that are looked up eight or four at a time, in ggml's tables.

use super::{Format, Scale, half, long, tables, word};

/// Weights of a block, and of a part with a scale of its own.
const WEIGHTS: usize = 256;
const PART: usize = 32;

/// Signs of eight weights that are looked up by seven bits.
fn signs(bits: u32) -> u8 {
    tables::bytes("ksigns_iq2xs")[(bits & 127) as usize]
}

/// A part's weights: for each eight of them, the indices in the table, the factor, and the signs.
fn put(
    out: &mut Vec<f64>,
    table: &str,
    each: usize,
    place: impl Fn(usize) -> usize,
    scale: impl Fn(usize) -> f64,
    signs: impl Fn(usize) -> u8,
) {
    let table = tables::bytes(table);
    for k in 0..PART {
        let (eight, within) = (k / 8, k % 8);
        let size = f64::from(table[place(k / each) * each + k % each]);
        let sign = if signs(eight) >> within & 1 == 0 { 1.0 } else { -1.0 };
        out.push(scale(eight) * size * sign);
    }
}

pub(super) const IQ2_XXS: Format = Format {
    name: "iq2_xxs",
    weights: WEIGHTS,
    bytes: 66,
    scale: Scale::Halves(&[0], 1.0 / 256.0),
    // For each part four indices, then four times seven bits of signs, and a scale.
    decode: |block, out| {
        for part in 0..WEIGHTS / PART {
            let start = 2 + part * 8;
            let more = long(block, start + 4);
            let scale = half(block, 0) * (0.5 + f64::from(more >> 28)) * 0.25;
            let place = |k: usize| usize::from(block[start + k]);
            put(out, "iq2xxs_grid", 8, place, |_| scale, |k| signs(more >> (7 * k)));
        }
    },
};

/// Scales of half a part, each four bits of a byte.
fn half_scales(block: &[u8], at: usize) -> [f64; 2] {
    let byte = block[at];
    [byte & 15, byte >> 4].map(|bits| half(block, 0) * (0.5 + f64::from(bits)) * 0.25)
}

pub(super) const IQ2_XS: Format = Format {
    name: "iq2_xs",
    weights: WEIGHTS,
    bytes: 74,
    scale: Scale::Halves(&[0], 1.0 / 256.0),
    // Words of nine bits of index and seven of signs; scales.
    decode: |block, out| {
        for part in 0..WEIGHTS / PART {
            let scales = half_scales(block, 66 + part);
            let quant = |k: usize| word(block, 2 + 8 * part + 2 * k);
            let place = |k: usize| usize::from(quant(k) & 511);
            put(out, "iq2xs_grid", 8, place, |k| scales[k / 2], |k| signs((quant(k) >> 9).into()));
        }
    },
};

pub(super) const IQ2_S: Format = Format {
    name: "iq2_s",
    weights: WEIGHTS,
    bytes: 82,
    scale: Scale::Halves(&[0], 1.0 / 256.0),
    // Lower bits of indices, signs, upper two bits of indices, scales.
    decode: |block, out| {
        for part in 0..WEIGHTS / PART {
            let scales = half_scales(block, 74 + part);
            let place = |k: usize| {
                let upper = block[66 + part] >> (2 * k) & 3;
                usize::from(block[2 + 4 * part + k]) | usize::from(upper) << 8
            };
            let signs = |k: usize| block[34 + 4 * part + k];
            put(out, "iq2s_grid", 8, place, |k| scales[k / 2], signs);
        }
    },
};

pub(super) const IQ3_XXS: Format = Format {
    name: "iq3_xxs",
    weights: WEIGHTS,
    bytes: 98,
    scale: Scale::Halves(&[0], 1.0 / 512.0),
    // Indices of four weights each; for each part signs and a scale.
    decode: |block, out| {
        for part in 0..WEIGHTS / PART {
            let more = long(block, 66 + 4 * part);
            let scale = half(block, 0) * (0.5 + f64::from(more >> 28)) * 0.5;
            let place = |k: usize| usize::from(block[2 + 8 * part + k]);
            put(out, "iq3xxs_grid", 4, place, |_| scale, |k| signs(more >> (7 * k)));
        }
    },
};

pub(super) const IQ3_S: Format = Format {
    name: "iq3_s",
    weights: WEIGHTS,
    bytes: 110,
    scale: Scale::Halves(&[0], 1.0 / 512.0),
    // Lower bits of indices, their ninth bits, signs, scales of four bits.
    decode: |block, out| {
        for part in 0..WEIGHTS / PART {
            let bits = block[106 + part / 2] >> (part % 2 * 4) & 15;
            let scale = half(block, 0) * f64::from(1 + 2 * u32::from(bits));
            let place = |k: usize| {
                let ninth = block[66 + part] >> k & 1;
                usize::from(block[2 + 8 * part + k]) | usize::from(ninth) << 8
            };
            put(out, "iq3s_grid", 4, place, |_| scale, |k| block[74 + 4 * part + k]);
        }
    },
};

/// Eight weights of -1, 0 and 1, shifted by an eighth, times a scale.
fn ternary(out: &mut Vec<f64>, place: usize, down: bool, scale: f64) {
    let moved = if down { -0.125 } else { 0.125 };
    let eight = &tables::bytes("iq1s_grid")[8 * place..][..8];
    out.extend(eight.iter().map(|&value| scale * (f64::from(value as i8) + moved)));
}

pub(super) const IQ1_S: Format = Format {
    name: "iq1_s",
    weights: WEIGHTS,
    bytes: 50,
    scale: Scale::Halves(&[0], 1.0 / 16.0),
    // Lower bits of indices; for each part a word: upper three bits of indices, three of the scale, one of direction.
    decode: |block, out| {
        for part in 0..WEIGHTS / PART {
            let more = word(block, 34 + 2 * part);
            let scale = half(block, 0) * f64::from(2 * (more >> 12 & 7) + 1);
            for k in 0..4 {
                let upper = usize::from(more >> (3 * k) & 7);
                let place = usize::from(block[2 + 4 * part + k]) | upper << 8;
                ternary(out, place, more >> 15 == 1, scale);
            }
        }
    },
};

pub(super) const IQ1_M: Format = Format {
    name: "iq1_m",
    weights: WEIGHTS,
    bytes: 56,
    scale: Scale::Spread(48, 1.0 / 16.0),
    // Lower bits of indices; for each eight weights four bits, three of the index and a direction; words with four
    // scales of three bits each, and a quarter of the half that is the scale of all.
    decode: |block, out| {
        let quarter = |k: usize| (word(block, 48 + 2 * k) >> 12) as u8;
        let whole = [quarter(0) | quarter(1) << 4, quarter(2) | quarter(3) << 4];
        for eight in 0..WEIGHTS / 8 {
            let (part, sixteen) = (eight / 4, eight / 2);
            let bits = word(block, 48 + 2 * (part / 2)) >> (3 * (sixteen % 4)) & 7;
            let scale = half(&whole, 0) * f64::from(2 * bits + 1);
            let more = block[32 + sixteen] >> (eight % 2 * 4);
            let place = usize::from(block[eight]) | usize::from(more & 7) << 8;
            ternary(out, place, more & 8 != 0, scale);
        }
    },
};
