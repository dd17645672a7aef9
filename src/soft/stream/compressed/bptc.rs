//! BC6H and BC7: partitions into subsets, each with two endpoints, and indices of two to four bits.

use super::{bits, signed, widened};
use crate::soft::ir::half::f16_value;
use std::sync::LazyLock;

/// The subsets of a block with two: a bit a texel, row by row.
const PAIRS: [u16; 64] = [
    0xcccc, 0x8888, 0xeeee, 0xecc8, 0xc880, 0xfeec, 0xfec8, 0xec80, 0xc800, 0xffec, 0xfe80, 0xe800,
    0xffe8, 0xff00, 0xfff0, 0xf000, 0xf710, 0x008e, 0x7100, 0x08ce, 0x008c, 0x7310, 0x3100, 0x8cce,
    0x088c, 0x3110, 0x6666, 0x366c, 0x17e8, 0x0ff0, 0x718e, 0x399c, 0xaaaa, 0xf0f0, 0x5a5a, 0x33cc,
    0x3c3c, 0x55aa, 0x9696, 0xa55a, 0x73ce, 0x13c8, 0x324c, 0x3bdc, 0x6996, 0xc33c, 0x9966, 0x0660,
    0x0272, 0x04e4, 0x4e40, 0x2720, 0xc936, 0x936c, 0x39c6, 0x639c, 0x9336, 0x9cc6, 0x817e, 0xe718,
    0xccf0, 0x0fcc, 0x7744, 0xee22,
];

/// The subsets of a block with three: two bits a texel.
const TRIPLES: [u32; 64] = [
    0xaa685050, 0x6a5a5040, 0x5a5a4200, 0x5450a0a8, 0xa5a50000, 0xa0a05050, 0x5555a0a0, 0x5a5a5050,
    0xaa550000, 0xaa555500, 0xaaaa5500, 0x90909090, 0x94949494, 0xa4a4a4a4, 0xa9a59450, 0x2a0a4250,
    0xa5945040, 0x0a425054, 0xa5a5a500, 0x55a0a0a0, 0xa8a85454, 0x6a6a4040, 0xa4a45000, 0x1a1a0500,
    0x0050a4a4, 0xaaa59090, 0x14696914, 0x69691400, 0xa08585a0, 0xaa821414, 0x50a4a450, 0x6a5a0200,
    0xa9a58000, 0x5090a0a8, 0xa8a09050, 0x24242424, 0x00aa5500, 0x24924924, 0x24499224, 0x50a50a50,
    0x500aa550, 0xaaaa4444, 0x66660000, 0xa5a0a5a0, 0x50a050a0, 0x69286928, 0x44aaaa44, 0x66666600,
    0xaa444444, 0x54a854a8, 0x95809580, 0x96969600, 0xa85454a8, 0x80959580, 0xaa141414, 0x96960000,
    0xaaaa1414, 0xa05050a0, 0xa0a5a5a0, 0x96000000, 0x40804080, 0xa9a8a9a8, 0xaaaaaa44, 0x2a4a5254,
];

/// The texel of the second subset of two whose index lacks its upper bit.
const PAIR_ANCHORS: [u8; 64] = [
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 2, 8, 2, 2, 8, 8, 15, 2, 8,
    2, 2, 8, 8, 2, 2, 15, 15, 6, 8, 2, 8, 15, 15, 2, 8, 2, 2, 2, 15, 15, 6, 6, 2, 6, 8, 15, 15, 2,
    2, 15, 15, 15, 15, 15, 2, 2, 15,
];

/// The same of the second subset of three, and of the third.
const TRIPLE_ANCHORS: [[u8; 64]; 2] = [
    [
        3, 3, 15, 15, 8, 3, 15, 15, 8, 8, 6, 6, 6, 5, 3, 3, 3, 3, 8, 15, 3, 3, 6, 10, 5, 8, 8, 6,
        8, 5, 15, 15, 8, 15, 3, 5, 6, 10, 8, 15, 15, 3, 15, 5, 15, 15, 15, 15, 3, 15, 5, 5, 5, 8,
        5, 10, 5, 10, 8, 13, 15, 12, 3, 3,
    ],
    [
        15, 8, 8, 3, 15, 15, 3, 8, 15, 15, 15, 15, 15, 15, 15, 8, 15, 8, 15, 3, 15, 8, 15, 8, 3,
        15, 6, 10, 15, 15, 10, 8, 15, 3, 15, 10, 10, 8, 9, 10, 6, 15, 8, 15, 3, 6, 6, 8, 15, 3, 15,
        15, 15, 15, 15, 15, 15, 15, 15, 15, 3, 15, 15, 8,
    ],
];

/// The weight of the second endpoint in 64ths, by the bits of an index.
fn weight(index: u32, bits: u32) -> i32 {
    const FOUR: [i32; 16] = [0, 4, 9, 13, 17, 21, 26, 30, 34, 38, 43, 47, 51, 55, 60, 64];
    match bits {
        2 => [0, 21, 43, 64][index as usize],
        3 => [0, 9, 18, 27, 37, 46, 55, 64][index as usize],
        _ => FOUR[index as usize],
    }
}

fn mixed(first: i32, second: i32, weight: i32) -> i32 {
    ((64 - weight) * first + weight * second + 32) >> 6
}

/// A partition into `count` subsets: the subset of a texel, and the anchors, where unused ones are 0.
fn partition(count: u32, number: u32, texel: u32) -> (usize, [u32; 3]) {
    let number = number as usize;
    match count {
        1 => (0, [0; 3]),
        2 => {
            let subset = PAIRS[number] >> texel & 1;
            (subset.into(), [0, PAIR_ANCHORS[number].into(), 0])
        }
        _ => {
            let subset = TRIPLES[number] >> (2 * texel) & 3;
            (
                subset as usize,
                [0, TRIPLE_ANCHORS[0][number].into(), TRIPLE_ANCHORS[1][number].into()],
            )
        }
    }
}

/// The index of a texel in a list of `count` bits each, which lacks a bit at each anchor.
fn index(block: u128, first: u32, count: u32, anchors: &[u32], texel: u32) -> u32 {
    let missing = anchors.iter().filter(|&&anchor| anchor < texel).count() as u32;
    let short = u32::from(anchors.contains(&texel));
    bits(block, first + texel * count - missing, count - short)
}

/// A mode of BC7, as the columns of its table in the format's definition.
struct Mode {
    subsets: u32,
    partition_bits: u32,
    rotation_bits: u32,
    selection_bits: u32,
    color_bits: u32,
    alpha_bits: u32,
    /// Whether each endpoint has a bit of its own below its components, or each subset one for both.
    own_low_bits: bool,
    shared_low_bits: bool,
    index_bits: u32,
    second_index_bits: u32,
}

const fn mode(numbers: [u32; 10]) -> Mode {
    let [subsets, partition_bits, rotation_bits, selection_bits, color_bits, alpha_bits, ..] =
        numbers;
    Mode {
        subsets,
        partition_bits,
        rotation_bits,
        selection_bits,
        color_bits,
        alpha_bits,
        own_low_bits: numbers[6] == 1,
        shared_low_bits: numbers[7] == 1,
        index_bits: numbers[8],
        second_index_bits: numbers[9],
    }
}

static MODES: [Mode; 8] = [
    mode([3, 4, 0, 0, 4, 0, 1, 0, 3, 0]),
    mode([2, 6, 0, 0, 6, 0, 0, 1, 3, 0]),
    mode([3, 6, 0, 0, 5, 0, 0, 0, 2, 0]),
    mode([2, 6, 0, 0, 7, 0, 1, 0, 2, 0]),
    mode([1, 0, 2, 1, 5, 6, 0, 0, 2, 3]),
    mode([1, 0, 2, 0, 7, 8, 0, 0, 2, 2]),
    mode([1, 0, 0, 0, 7, 7, 1, 0, 4, 0]),
    mode([2, 6, 0, 0, 5, 5, 1, 0, 2, 0]),
];

/// Reads fields one after the other.
struct Reader {
    block: u128,
    at: u32,
}

impl Reader {
    fn take(&mut self, count: u32) -> u32 {
        self.at += count;
        bits(self.block, self.at - count, count)
    }
}

/// A texel of BC7.
pub(super) fn texel(block: u128, x: u32, y: u32) -> [u8; 4] {
    let number = block.trailing_zeros();
    let Some(mode) = MODES.get(number as usize) else { return [0; 4] };
    let texel = 4 * y + x;
    let mut reader = Reader { block, at: number + 1 };
    let (subset, anchors) = partition(mode.subsets, reader.take(mode.partition_bits), texel);
    let anchors = &anchors[..mode.subsets as usize];
    let rotation = reader.take(mode.rotation_bits);
    let selection = reader.take(mode.selection_bits);
    // Component by component, the endpoints of all subsets.
    let mut ends = [[0; 4]; 6];
    for component in 0..4 {
        let count = if component == 3 { mode.alpha_bits } else { mode.color_bits };
        for end in &mut ends[..2 * mode.subsets as usize] {
            end[component] = reader.take(count);
        }
    }
    let mut low_bits = 0;
    if mode.own_low_bits || mode.shared_low_bits {
        low_bits = 1;
        let mut low = 0;
        for (number, end) in ends[..2 * mode.subsets as usize].iter_mut().enumerate() {
            if mode.own_low_bits || number % 2 == 0 {
                low = reader.take(1);
            }
            *end = end.map(|part| part << 1 | low);
        }
    }
    let first = index(block, reader.at, mode.index_bits, anchors, texel);
    let mut weights = [weight(first, mode.index_bits); 2];
    if mode.second_index_bits > 0 {
        let start = reader.at + 16 * mode.index_bits - mode.subsets;
        let second = index(block, start, mode.second_index_bits, anchors, texel);
        weights[1] = weight(second, mode.second_index_bits);
        if selection == 1 {
            weights.swap(0, 1);
        }
    }
    let mut found: [u8; 4] = std::array::from_fn(|component| {
        let count = if component == 3 { mode.alpha_bits } else { mode.color_bits };
        if count == 0 {
            return 255;
        }
        let [first, second] = [ends[2 * subset], ends[2 * subset + 1]]
            .map(|end| widened(end[component], count + low_bits, 8) as i32);
        mixed(first, second, weights[usize::from(component == 3)]) as u8
    });
    if rotation > 0 {
        found.swap(rotation as usize - 1, 3);
    }
    found
}

/// A mode of BC6H: its number, whether the endpoints after the first are differences from it, the bits of the first
/// endpoint and of the others, and the fields of the block after the number. A field is a component, an endpoint, and
/// the first and last bit.
struct HalfMode {
    number: u32,
    differences: bool,
    bits: u32,
    others: [u32; 3],
    fields: &'static str,
}

const fn half_mode(
    number: u32,
    differences: bool,
    bits: u32,
    others: [u32; 3],
    fields: &'static str,
) -> HalfMode {
    HalfMode { number, differences, bits, others, fields }
}

#[rustfmt::skip]
static HALF_MODES: [HalfMode; 14] = [
    half_mode(0, true, 10, [5, 5, 5], "g2:4 b2:4 b3:4 r0:0-9 g0:0-9 b0:0-9 r1:0-4 g3:4 g2:0-3 g1:0-4 b3:0 g3:0-3 \
        b1:0-4 b3:1 b2:0-3 r2:0-4 b3:2 r3:0-4 b3:3"),
    half_mode(1, true, 7, [6, 6, 6], "g2:5 g3:4 g3:5 r0:0-6 b3:0 b3:1 b2:4 g0:0-6 b2:5 b3:2 g2:4 b0:0-6 b3:3 b3:5 \
        b3:4 r1:0-5 g2:0-3 g1:0-5 g3:0-3 b1:0-5 b2:0-3 r2:0-5 r3:0-5"),
    half_mode(2, true, 11, [5, 4, 4], "r0:0-9 g0:0-9 b0:0-9 r1:0-4 r0:10 g2:0-3 g1:0-3 g0:10 b3:0 g3:0-3 b1:0-3 \
        b0:10 b3:1 b2:0-3 r2:0-4 b3:2 r3:0-4 b3:3"),
    half_mode(6, true, 11, [4, 5, 4], "r0:0-9 g0:0-9 b0:0-9 r1:0-3 r0:10 g3:4 g2:0-3 g1:0-4 g0:10 g3:0-3 b1:0-3 \
        b0:10 b3:1 b2:0-3 r2:0-3 b3:0 b3:2 r3:0-3 g2:4 b3:3"),
    half_mode(10, true, 11, [4, 4, 5], "r0:0-9 g0:0-9 b0:0-9 r1:0-3 r0:10 b2:4 g2:0-3 g1:0-3 g0:10 b3:0 g3:0-3 \
        b1:0-4 b0:10 b2:0-3 r2:0-3 b3:1 b3:2 r3:0-3 b3:4 b3:3"),
    half_mode(14, true, 9, [5, 5, 5], "r0:0-8 b2:4 g0:0-8 g2:4 b0:0-8 b3:4 r1:0-4 g3:4 g2:0-3 g1:0-4 b3:0 g3:0-3 \
        b1:0-4 b3:1 b2:0-3 r2:0-4 b3:2 r3:0-4 b3:3"),
    half_mode(18, true, 8, [6, 5, 5], "r0:0-7 g3:4 b2:4 g0:0-7 b3:2 g2:4 b0:0-7 b3:3 b3:4 r1:0-5 g2:0-3 g1:0-4 \
        b3:0 g3:0-3 b1:0-4 b3:1 b2:0-3 r2:0-5 r3:0-5"),
    half_mode(22, true, 8, [5, 6, 5], "r0:0-7 b3:0 b2:4 g0:0-7 g2:5 g2:4 b0:0-7 g3:5 b3:4 r1:0-4 g3:4 g2:0-3 \
        g1:0-5 g3:0-3 b1:0-4 b3:1 b2:0-3 r2:0-4 b3:2 r3:0-4 b3:3"),
    half_mode(26, true, 8, [5, 5, 6], "r0:0-7 b3:1 b2:4 g0:0-7 b2:5 g2:4 b0:0-7 b3:5 b3:4 r1:0-4 g3:4 g2:0-3 \
        g1:0-4 b3:0 g3:0-3 b1:0-5 b2:0-3 r2:0-4 b3:2 r3:0-4 b3:3"),
    half_mode(30, false, 6, [6, 6, 6], "r0:0-5 g3:4 b3:0 b3:1 b2:4 g0:0-5 g2:5 b2:5 b3:2 g2:4 b0:0-5 g3:5 b3:3 \
        b3:5 b3:4 r1:0-5 g2:0-3 g1:0-5 g3:0-3 b1:0-5 b2:0-3 r2:0-5 r3:0-5"),
    half_mode(3, false, 10, [10, 10, 10], "r0:0-9 g0:0-9 b0:0-9 r1:0-9 g1:0-9 b1:0-9"),
    half_mode(7, true, 11, [9, 9, 9], "r0:0-9 g0:0-9 b0:0-9 r1:0-8 r0:10 g1:0-8 g0:10 b1:0-8 b0:10"),
    half_mode(11, true, 12, [8, 8, 8], "r0:0-9 g0:0-9 b0:0-9 r1:0-7 r0:11-10 g1:0-7 g0:11-10 b1:0-7 b0:11-10"),
    half_mode(15, true, 16, [4, 4, 4], "r0:0-9 g0:0-9 b0:0-9 r1:0-3 r0:15-10 g1:0-3 g0:15-10 b1:0-3 b0:15-10"),
];

impl HalfMode {
    /// Whether the block has two subsets; then its partition has five bits.
    fn has_two(&self) -> bool {
        !matches!(self.number, 3 | 7 | 11 | 15)
    }

    /// The endpoint, component and bit that each bit of the block after the number is for.
    fn layout(&self) -> Vec<[u8; 3]> {
        let mut layout = Vec::new();
        for field in self.fields.split_whitespace() {
            let (name, range) = field.split_once(':').unwrap_or((field, ""));
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let [first, last] = [first, last].map(|bit| bit.parse::<u8>().unwrap_or_default());
            let (component, end) = name.split_at(1);
            let component = "rgb".find(component).unwrap_or_default() as u8;
            let end = end.parse().unwrap_or_default();
            for step in 0..=first.abs_diff(last) {
                // A range that goes down is stored from its upper bit on.
                let bit = if first <= last { first + step } else { first - step };
                layout.push([end, component, bit]);
            }
        }
        layout
    }
}

/// The layouts of the modes.
static LAYOUTS: LazyLock<[Vec<[u8; 3]>; 14]> =
    LazyLock::new(|| std::array::from_fn(|mode| HALF_MODES[mode].layout()));

/// A texel of BC6H.
pub(super) fn half_texel(block: u128, x: u32, y: u32, is_signed: bool) -> [f32; 4] {
    let short = bits(block, 0, 2);
    let (number, length) = if short < 2 { (short, 2) } else { (bits(block, 0, 5), 5) };
    let Some(place) = HALF_MODES.iter().position(|mode| mode.number == number) else {
        return [0.0, 0.0, 0.0, 1.0];
    };
    let mode = &HALF_MODES[place];
    let texel = 4 * y + x;
    let mut reader = Reader { block, at: length };
    let mut stored = [[0; 3]; 4];
    for &[end, component, bit] in &LAYOUTS[place] {
        stored[usize::from(end)][usize::from(component)] |= reader.take(1) << bit;
    }
    let subsets = if mode.has_two() { 2 } else { 1 };
    let shape = reader.take(if mode.has_two() { 5 } else { 0 });
    let (subset, anchors) = partition(subsets, shape, texel);
    let count = if mode.has_two() { 3 } else { 4 };
    let index = index(block, reader.at, count, &anchors[..subsets as usize], texel);
    let weight = weight(index, count);
    let end = |number: usize, component: usize| {
        let raw = stored[number][component];
        let extend =
            |raw: u32, count: u32, yes: bool| if yes { signed(raw, count) } else { raw as i32 };
        let base = extend(stored[0][component], mode.bits, is_signed);
        let all = match number {
            0 => base,
            _ if mode.differences => {
                // The sum wraps.
                let sum = base.wrapping_add(signed(raw, mode.others[component])) as u32;
                extend(sum & ((1 << mode.bits) - 1), mode.bits, is_signed)
            }
            _ => extend(raw, mode.bits, is_signed),
        };
        expanded(all, mode.bits, is_signed)
    };
    let [red, green, blue] = std::array::from_fn(|component| {
        let number = mixed(end(2 * subset, component), end(2 * subset + 1, component), weight);
        let bits = match is_signed {
            false => (number * 31) >> 6,
            true if number < 0 => ((-number * 31) >> 5) | 0x8000,
            true => (number * 31) >> 5,
        };
        f16_value(bits as u16)
    });
    [red, green, blue, 1.0]
}

/// An endpoint of `count` bits expanded to 16, or with a sign to 17.
fn expanded(number: i32, count: u32, is_signed: bool) -> i32 {
    if is_signed {
        let size = number.abs();
        let expanded = match size {
            _ if count >= 16 => size,
            0 => 0,
            _ if size >= (1 << (count - 1)) - 1 => 0x7fff,
            _ => ((size << 15) + 0x4000) >> (count - 1),
        };
        return if number < 0 { -expanded } else { expanded };
    }
    match number {
        _ if count >= 15 => number,
        0 => 0,
        _ if number == (1 << count) - 1 => 0xffff,
        _ => ((number << 15) + 0x4000) >> (count - 1),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Each mode's fields have every bit of every endpoint once, and with the indices fill the block.
    pub(in super::super) fn check_layouts() {
        for (mode, layout) in HALF_MODES.iter().zip(LAYOUTS.iter()) {
            let number = if mode.number < 2 { 2 } else { 5 };
            let rest = if mode.has_two() { 5 + 46 } else { 63 };
            assert_eq!(number + layout.len() + rest, 128, "mode {}", mode.number);
            let ends = if mode.has_two() { 4 } else { 2 };
            let mut wanted = Vec::new();
            for end in 0..ends {
                for component in 0..3 {
                    let bits =
                        if end == 0 { mode.bits } else { mode.others[usize::from(component)] };
                    wanted.extend((0..bits as u8).map(|bit| [end, component, bit]));
                }
            }
            let mut found = layout.clone();
            found.sort_unstable();
            assert_eq!(found, wanted, "mode {}", mode.number);
        }
    }
}
