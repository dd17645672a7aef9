//! The block formats of ggml, decoded to `f32`, with the same rounding as ggml's own C code.
//!
//! A block is a fixed number of bytes that stand for a fixed number of values. Each function below decodes one block;
//! its comment gives the parts of the block in order, with their sizes in bytes.

use super::grids::{
    GRID_IQ1, GRID_IQ2_S, GRID_IQ2_XS, GRID_IQ2_XXS, GRID_IQ3_S, GRID_IQ3_XXS, LEVELS_IQ2,
    LEVELS_IQ3_S, LEVELS_IQ3_XXS,
};
use crate::fp16::fp16_to_f32;

/// The values of IQ4_NL and IQ4_XS.
const VALUES_IQ4: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Twice the values of a float with one bit of sign, two of exponent and one of mantissa.
const VALUES_E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// The distance of IQ1's grids from whole numbers.
const IQ1_SHIFT: f32 = 0.125;

/// Decodes blocks of `B` bytes into `V` values each.
pub(super) fn each<const B: usize, const V: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; B], &mut [f32; V]),
) {
    let (blocks, _) = bytes.as_chunks::<B>();
    let (values, _) = out.as_chunks_mut::<V>();
    for (block, values) in blocks.iter().zip(values) {
        decode(block, values);
    }
}

fn u16_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

fn u32_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn half_at(block: &[u8], at: usize) -> f32 {
    fp16_to_f32(u16_at(block, at))
}

/// Calls `value(i, nibble)` for each value of a block whose first half is in the low nibbles of `packed`, and its second half in
/// the high ones.
fn nibbles(packed: &[u8], out: &mut [f32], value: impl Fn(usize, u8) -> f32) {
    let half = packed.len();
    for (i, &byte) in packed.iter().enumerate() {
        out[i] = value(i, byte & 15);
        out[half + i] = value(half + i, byte >> 4);
    }
}

/// Q1_0: scale 2, bits 16. A bit is the sign.
pub(super) fn q1_0(block: &[u8; 18], out: &mut [f32; 128]) {
    let d = half_at(block, 0);
    for (i, out) in out.iter_mut().enumerate() {
        *out = if block[2 + i / 8] >> (i % 8) & 1 == 1 { d } else { -d };
    }
}

/// Q2_0: scale 2, pairs of bits 16.
pub(super) fn q2_0(block: &[u8; 18], out: &mut [f32; 64]) {
    let d = half_at(block, 0);
    for (i, out) in out.iter_mut().enumerate() {
        *out = (f32::from(block[2 + i / 4] >> (2 * (i % 4)) & 3) - 1.0) * d;
    }
}

/// Q4_0: scale 2, nibbles 16.
pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    nibbles(&block[2..], out, |_, q| (f32::from(q) - 8.0) * d);
}

/// Q4_1: scale 2, minimum 2, nibbles 16.
pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    nibbles(&block[4..], out, |_, q| f32::from(q) * d + m);
}

/// Q5_0: scale 2, fifth bits 4, nibbles 16.
pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let (d, high) = (half_at(block, 0), u32_at(block, 2));
    nibbles(&block[6..], out, |i, q| (f32::from(q | fifth(high, i)) - 16.0) * d);
}

/// Q5_1: scale 2, minimum 2, fifth bits 4, nibbles 16.
pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m, high) = (half_at(block, 0), half_at(block, 2), u32_at(block, 4));
    nibbles(&block[8..], out, |i, q| f32::from(q | fifth(high, i)) * d + m);
}

/// Bit `i`, as the fifth of a value.
fn fifth(bits: u32, i: usize) -> u8 {
    ((bits >> i & 1) << 4) as u8
}

/// Q8_0: scale 2, values 32.
pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    signed(half_at(block, 0), &block[2..], out);
}

/// Q8_1: scale 2, scaled sum 2, values 32.
pub(super) fn q8_1(block: &[u8; 36], out: &mut [f32; 32]) {
    signed(half_at(block, 0), &block[4..], out);
}

/// Q8_K: scale 4, values 256, sums 32.
pub(super) fn q8_k(block: &[u8; 292], out: &mut [f32; 256]) {
    signed(f32::from_bits(u32_at(block, 0)), &block[4..260], out);
}

fn signed(d: f32, values: &[u8], out: &mut [f32]) {
    for (out, &q) in out.iter_mut().zip(values) {
        *out = f32::from(q as i8) * d;
    }
}

/// MXFP4: exponent 1, nibbles 16.
pub(super) fn mxfp4(block: &[u8; 17], out: &mut [f32; 32]) {
    // Half of two to the exponent less 127; the two smallest are subnormal.
    let d = f32::from_bits(match block[0] {
        exponent @ 0..2 => 0x0020_0000 << exponent,
        exponent => u32::from(exponent - 1) << 23,
    });
    nibbles(&block[1..], out, |_, q| f32::from(VALUES_E2M1[usize::from(q)]) * d);
}

/// NVFP4: four scales 4, nibbles 32.
pub(super) fn nvfp4(block: &[u8; 36], out: &mut [f32; 64]) {
    for (i, out) in out.chunks_exact_mut(16).enumerate() {
        let d = half_of_e4m3(block[i]);
        nibbles(&block[4 + 8 * i..12 + 8 * i], out, |_, q| {
            f32::from(VALUES_E2M1[usize::from(q)]) * d
        });
    }
}

/// Half of a float without a sign, with four bits of exponent and three of mantissa; its NaN counts as zero.
fn half_of_e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (bits >> 3 & 15, bits & 7);
    match (bits, exponent) {
        (0x7f, _) => 0.0,
        (_, 0) => f32::from(mantissa) / 1024.0,
        _ => f32::from_bits((u32::from(exponent) + 119) << 23 | u32::from(mantissa) << 20),
    }
}

/// Q2_K: scales and minima in nibbles 16, pairs of bits 64, scale 2, minimum 2.
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (d, min) = (half_at(block, 80), half_at(block, 82));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = block[group];
        let (d, m) = (d * f32::from(scale & 15), min * f32::from(scale >> 4));
        for (i, out) in out.iter_mut().enumerate() {
            *out = d * f32::from(two_bits(&block[16..80], 16 * group + i)) - m;
        }
    }
}

/// Value `i` of pairs of bits where each byte of 32 has the values that are 32 apart.
fn two_bits(packed: &[u8], i: usize) -> u8 {
    packed[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3
}

/// Q3_K: third bits 32, pairs of bits 64, sixteen scales of 6 bits 12, scale 2.
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let d = half_at(block, 108);
    let scales = &block[96..108];
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let low = scales[group % 8] >> (group / 8 * 4) & 15;
        let high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        let d = d * (f32::from(low | high << 4) - 32.0);
        for (i, out) in out.iter_mut().enumerate() {
            let i = 16 * group + i;
            let third = block[i % 32] >> (i / 32) & 1;
            *out = d * (f32::from(two_bits(&block[32..96], i) | third << 2) - 4.0);
        }
    }
}

/// Scale and minimum `i` of the eight pairs of 6 bits in the 12 bytes of Q4_K and Q5_K.
fn scale_and_minimum(packed: &[u8], i: usize) -> (f32, f32) {
    let (scale, minimum) = if i < 4 {
        (packed[i] & 63, packed[i + 4] & 63)
    } else {
        let (scale, minimum) = (packed[i - 4] >> 6, packed[i] >> 6);
        (packed[i + 4] & 15 | scale << 4, packed[i + 4] >> 4 | minimum << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

/// Q4_K: scale 2, minimum 2, scales and minima 12, nibbles 128.
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    four_bits_k(block, &block[16..], out, |_, _| 0);
}

/// Q5_K: scale 2, minimum 2, scales and minima 12, fifth bits 32, nibbles 128.
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    four_bits_k(block, &block[48..], out, |group, i| (block[16 + i] >> group & 1) << 4);
}

fn four_bits_k(
    block: &[u8],
    packed: &[u8],
    out: &mut [f32; 256],
    high: impl Fn(usize, usize) -> u8,
) {
    let (d, min) = (half_at(block, 0), half_at(block, 2));
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(&block[4..16], group);
        let (d, m) = (d * scale, min * minimum);
        let packed = &packed[group / 2 * 32..][..32];
        for (i, out) in out.iter_mut().enumerate() {
            *out = d * f32::from(packed[i] >> (group % 2 * 4) & 15 | high(group, i)) - m;
        }
    }
}

/// Q6_K: low nibbles 128, high pairs of bits 64, scales 16, scale 2.
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let d = half_at(block, 208);
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let d = d * f32::from(block[192 + group] as i8);
        for (i, out) in out.iter_mut().enumerate() {
            let i = 16 * group + i;
            let low = block[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
            let q = low | two_bits(&block[128..192], i) << 4;
            *out = d * (f32::from(q) - 32.0);
        }
    }
}

/// TQ1_0: five digits a byte 48, four digits a byte 4, scale 2.
pub(super) fn tq1_0(block: &[u8; 54], out: &mut [f32; 256]) {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    let d = half_at(block, 52);
    let (first, rest) = out.split_at_mut(160);
    let (second, third) = rest.split_at_mut(80);
    for (bytes, out) in [(&block[..32], first), (&block[32..48], second), (&block[48..52], third)] {
        for (i, out) in out.iter_mut().enumerate() {
            // The byte is a fraction of 256; multiplied by a power of three its next digit comes first.
            let fraction = bytes[i % bytes.len()].wrapping_mul(POWERS[i / bytes.len()]);
            *out = (f32::from(((u16::from(fraction) * 3) >> 8) as u8) - 1.0) * d;
        }
    }
}

/// TQ2_0: pairs of bits 64, scale 2.
pub(super) fn tq2_0(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = half_at(block, 64);
    for (i, out) in out.iter_mut().enumerate() {
        *out = (f32::from(two_bits(&block[..64], i)) - 1.0) * d;
    }
}

/// IQ4_NL: scale 2, nibbles 16.
pub(super) fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    nibbles(&block[2..], out, |_, q| d * f32::from(VALUES_IQ4[usize::from(q)]));
}

/// IQ4_XS: scale 2, high pairs of bits of eight scales 2, their low nibbles 4, nibbles 128.
pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let (d, high) = (half_at(block, 0), u16_at(block, 2));
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
        let scale = low | ((high >> (2 * group) & 3) << 4) as u8;
        let d = d * (f32::from(scale) - 32.0);
        let packed = &block[8 + 16 * group..][..16];
        nibbles(packed, out, |_, q| d * f32::from(VALUES_IQ4[usize::from(q)]));
    }
}

/// Seven signs and the eighth, which makes the number of negative ones even.
fn signs(bits: u32) -> u8 {
    let bits = (bits & 127) as u8;
    bits | ((bits.count_ones() & 1) << 7) as u8
}

/// Decodes an entry of a grid: `d` times the magnitudes of its codes, negative where `signs` has a bit.
fn grid<const LEVELS: usize>(
    entry: u16,
    levels: &[u8; LEVELS],
    d: f32,
    signs: u8,
    out: &mut [f32],
) {
    let bits = LEVELS.trailing_zeros() as usize;
    for (i, out) in out.iter_mut().enumerate() {
        let value = d * f32::from(levels[usize::from(entry >> (bits * i)) % LEVELS]);
        *out = if signs >> i & 1 == 1 { -value } else { value };
    }
}

/// IQ2_XXS: scale 2, then for each of eight groups four indices 4, and signs with a scale 4.
pub(super) fn iq2_xxs(block: &[u8; 66], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (indices, rest) = (&block[2 + 8 * group..], u32_at(block, 6 + 8 * group));
        let d = d * (0.5 + (rest >> 28) as f32) * 0.25;
        for (i, out) in out.chunks_exact_mut(8).enumerate() {
            let entry = GRID_IQ2_XXS[usize::from(indices[i])];
            grid(entry, &LEVELS_IQ2, d, signs(rest >> (7 * i)), out);
        }
    }
}

/// IQ2_XS: scale 2, 32 indices of 9 bits with 7 signs 64, scales in nibbles 8.
pub(super) fn iq2_xs(block: &[u8; 74], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let packed = u16_at(block, 2 + 2 * i);
        let d = d * (0.5 + f32::from(nibble(&block[66..], i / 2))) * 0.25;
        let entry = GRID_IQ2_XS[usize::from(packed & 511)];
        grid(entry, &LEVELS_IQ2, d, signs(u32::from(packed >> 9)), out);
    }
}

/// IQ2_S: scale 2, low bytes of 32 indices 32, signs 32, their high pairs of bits 8, scales in nibbles 8.
pub(super) fn iq2_s(block: &[u8; 82], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let high = block[66 + i / 4] >> (2 * (i % 4)) & 3;
        let d = d * (0.5 + f32::from(nibble(&block[74..], i / 2))) * 0.25;
        let entry = GRID_IQ2_S[usize::from(block[2 + i]) | usize::from(high) << 8];
        grid(entry, &LEVELS_IQ2, d, block[34 + i], out);
    }
}

fn nibble(packed: &[u8], i: usize) -> u8 {
    packed[i / 2] >> (i % 2 * 4) & 15
}

/// IQ3_XXS: scale 2, 64 indices 64, signs with a scale of eight groups 32.
pub(super) fn iq3_xxs(block: &[u8; 98], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let rest = u32_at(block, 66 + 4 * group);
        let d = d * (0.5 + (rest >> 28) as f32) * 0.5;
        for (i, out) in out.chunks_exact_mut(4).enumerate() {
            let entry = GRID_IQ3_XXS[usize::from(block[2 + 8 * group + i])];
            let signs = signs(rest >> (7 * (i / 2))) >> (4 * (i % 2));
            grid(entry, &LEVELS_IQ3_XXS, d, signs, out);
        }
    }
}

/// IQ3_S: scale 2, low bytes of 64 indices 64, their ninth bits 8, signs 32, scales in nibbles 4.
pub(super) fn iq3_s(block: &[u8; 110], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    for (i, out) in out.chunks_exact_mut(4).enumerate() {
        let ninth = block[66 + i / 8] >> (i % 8) & 1;
        let d = d * (1.0 + 2.0 * f32::from(nibble(&block[106..], i / 8)));
        let entry = GRID_IQ3_S[usize::from(block[2 + i]) | usize::from(ninth) << 8];
        grid(entry, &LEVELS_IQ3_S, d, nibble(&block[74..], i), out);
    }
}

/// Decodes eight values of an IQ1 format.
fn iq1(index: usize, d: f32, shift: f32, out: &mut [f32]) {
    let entry = GRID_IQ1[index];
    for (i, out) in out.iter_mut().enumerate() {
        *out = d * (f32::from((entry >> (2 * i) & 3) as u8) - 1.0 + shift);
    }
}

/// IQ1_S: scale 2, low bytes of 32 indices 32, their high bits with a scale and a sign for eight groups 16.
pub(super) fn iq1_s(block: &[u8; 50], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let rest = u16_at(block, 34 + i / 4 * 2);
        let d = d * (2.0 * f32::from((rest >> 12 & 7) as u8) + 1.0);
        let shift = if rest >> 15 == 1 { -IQ1_SHIFT } else { IQ1_SHIFT };
        let high = usize::from(rest >> (3 * (i % 4)) & 7);
        iq1(usize::from(block[2 + i]) | high << 8, d, shift, out);
    }
}

/// IQ1_M: low bytes of 32 indices 32, their high bits with a sign 16, scales of 3 bits with a nibble of the scale 8.
pub(super) fn iq1_m(block: &[u8; 56], out: &mut [f32; 256]) {
    let scales: [u16; 4] = std::array::from_fn(|i| u16_at(block, 48 + 2 * i));
    let d = fp16_to_f32((0..4).map(|i| scales[i] >> 12 << (4 * i)).sum());
    for (i, out) in out.chunks_exact_mut(8).enumerate() {
        let rest = nibble(&block[32..], i);
        let d = d * (2.0 * f32::from((scales[i / 8] >> (3 * (i / 2 % 4)) & 7) as u8) + 1.0);
        let shift = if rest >> 3 == 1 { -IQ1_SHIFT } else { IQ1_SHIFT };
        iq1(usize::from(block[i]) | usize::from(rest & 7) << 8, d, shift, out);
    }
}
