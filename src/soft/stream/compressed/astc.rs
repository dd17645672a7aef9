//! ASTC: a grid of weights that is stretched over the block, and up to four partitions with two endpoints each.
//!
//! The block is read from both ends: the mode and the endpoints from the lowest bit up, the weights from the highest
//! down. Numbers in both lists have ranges that need no whole number of bits.

use super::astc_endpoints::{Endpoints, endpoints, values};
use super::bits;
use crate::soft::ir::half::f16_value;

/// How colors are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// To eight bits, which represent encoded colors.
    Srgb,
    /// To numbers up to 1; blocks of high range are invalid.
    Ldr,
    Hdr,
}

/// The result of an invalid block: opaque magenta.
const INVALID: [f32; 4] = [1.0, 0.0, 1.0, 1.0];

/// The range of numbers in a list: below `2^bits`, times three or five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) bits: u32,
    pub(super) base: Base,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Two,
    Three,
    Five,
}

pub(super) const fn range(bits: u32, base: Base) -> Range {
    Range { bits, base }
}

/// The ranges of weights by their number from 2 on: of low precision, and of high precision.
const WEIGHTS: [[Range; 6]; 2] = [
    [
        range(1, Base::Two),
        range(0, Base::Three),
        range(2, Base::Two),
        range(0, Base::Five),
        range(1, Base::Three),
        range(3, Base::Two),
    ],
    [
        range(1, Base::Five),
        range(2, Base::Three),
        range(4, Base::Two),
        range(2, Base::Five),
        range(3, Base::Three),
        range(5, Base::Two),
    ],
];

impl Range {
    /// The bits that a list of this many numbers takes.
    pub(super) fn length(self, count: u32) -> u32 {
        let digits = match self.base {
            Base::Two => 0,
            Base::Three => (8 * count).div_ceil(5),
            Base::Five => (7 * count).div_ceil(3),
        };
        digits + count * self.bits
    }

    /// A number of a list: its digit of base three or five, and its lower bits. Bits after the list must be 0.
    pub(super) fn number(self, list: u128, number: u32) -> (u32, u32) {
        let n = self.bits;
        // The digits of a group share some bits, which are in pieces between the lower bits of its numbers.
        let (group, pieces): (u32, &[u32]) = match self.base {
            Base::Two => return (0, bits(list, number * n, n)),
            Base::Three => (5, &[2, 2, 1, 2, 1]),
            Base::Five => (3, &[3, 2, 2]),
        };
        let mut at = number / group * (group * n + pieces.iter().sum::<u32>());
        let (mut packed, mut length, mut low) = (0, 0, 0);
        for (place, piece) in pieces.iter().enumerate() {
            // The list may end within the group.
            let take = |at: u32, count: u32| if at < 128 { bits(list, at, count) } else { 0 };
            if place as u32 == number % group {
                low = take(at, n);
            }
            packed |= take(at + n, *piece) << length;
            at += n + piece;
            length += piece;
        }
        let digits: &[u32] = match self.base {
            Base::Five => &fives(packed),
            _ => &threes(packed),
        };
        (digits[(number % group) as usize], low)
    }
}

/// The five digits of base three in eight bits.
fn threes(t: u32) -> [u32; 5] {
    let bit = |word: u32, at: u32| word >> at & 1;
    let (c, t4, t3) = match t {
        _ if t >> 2 & 7 == 7 => (t >> 5 << 2 | t & 3, 2, 2),
        _ if t >> 5 & 3 == 3 => (t & 31, 2, bit(t, 7)),
        _ => (t & 31, bit(t, 7), t >> 5 & 3),
    };
    let (t2, t1, t0) = match c {
        _ if c & 3 == 3 => (2, bit(c, 4), bit(c, 3) << 1 | bit(c, 2) & !bit(c, 3)),
        _ if c >> 2 & 3 == 3 => (2, 2, c & 3),
        _ => (bit(c, 4), c >> 2 & 3, bit(c, 1) << 1 | bit(c, 0) & !bit(c, 1)),
    };
    [t0, t1, t2, t3, t4]
}

/// The three digits of base five in seven bits.
fn fives(q: u32) -> [u32; 3] {
    let bit = |at: u32| q >> at & 1;
    if q >> 1 & 3 == 3 && q >> 5 & 3 == 0 {
        let last = bit(0) << 2 | (bit(4) & !bit(0)) << 1 | bit(3) & !bit(0);
        return [4, 4, last];
    }
    let (c, last) = match q >> 1 & 3 {
        3 => ((q >> 3 & 3) << 3 | (!q >> 5 & 3) << 1 | bit(0), 4),
        _ => (q & 31, q >> 5 & 3),
    };
    match c & 7 {
        5 => [c >> 3, 4, last],
        first => [first, c >> 3, last],
    }
}

/// The grid of weights, as the first eleven bits of a block describe it.
struct Grid {
    width: u32,
    height: u32,
    range: Range,
    /// Whether a component has weights of its own.
    is_dual: bool,
}

impl Grid {
    fn of(mode: u32) -> Option<Self> {
        let field = |at: u32, count: u32| mode >> at & ((1 << count) - 1);
        let (a, b) = (field(5, 2), field(7, 2));
        let (mut precision, mut is_dual) = (field(9, 1), field(10, 1) == 1);
        let upper = if field(0, 2) != 0 { field(0, 2) } else { field(2, 2) };
        let (width, height) = match (field(0, 2), field(2, 2), b) {
            (0, 0, _) => return None,
            (0, _, 0) => (12, a + 2),
            (0, _, 1) => (a + 2, 12),
            (0, _, 2) => {
                (precision, is_dual) = (0, false);
                (a + 6, field(9, 2) + 6)
            }
            (0, ..) if a == 0 => (6, 10),
            (0, ..) if a == 1 => (10, 6),
            (0, ..) => return None,
            (_, 0, _) => (b + 4, a + 2),
            (_, 1, _) => (b + 8, a + 2),
            (_, 2, _) => (a + 2, b + 8),
            (.., 0 | 1) => (a + 2, b + 6),
            _ => (b, a + 2),
        };
        let number = (upper << 1 | field(4, 1)) as usize;
        let range = WEIGHTS[precision as usize][number.checked_sub(2)?];
        Some(Self { width, height, range, is_dual })
    }

    fn planes(&self) -> u32 {
        1 + u32::from(self.is_dual)
    }

    fn count(&self) -> u32 {
        self.width * self.height * self.planes()
    }

    fn length(&self) -> u32 {
        self.range.length(self.count())
    }

    /// The weight of the second endpoint in 64ths at a texel of a block, in one plane. The four weights around it
    /// are mixed.
    fn weight(&self, list: u128, at: [u32; 2], size: [u32; 2], plane: u32) -> u32 {
        let sides = [self.width, self.height];
        let [(column, x), (row, y)] = [0, 1].map(|axis| {
            let scale = (1024 + size[axis] / 2) / (size[axis] - 1);
            let place = (scale * at[axis] * (sides[axis] - 1) + 32) >> 6;
            (place >> 4, place & 15)
        });
        let corner = (x * y + 8) >> 4;
        let shares = [16 + corner - x - y, x - corner, y - corner, corner];
        let first = column + row * self.width;
        let numbers = [first, first + 1, first + self.width, first + self.width + 1];
        let sum: u32 = shares
            .into_iter()
            .zip(numbers)
            .filter(|&(share, _)| share > 0)
            .map(|(share, number)| share * self.stored(list, number * self.planes() + plane))
            .sum();
        (sum + 8) >> 4
    }

    /// A stored weight in 64ths.
    fn stored(&self, list: u128, number: u32) -> u32 {
        let weight = super::astc_endpoints::weight(self.range, self.range.number(list, number));
        weight + u32::from(weight > 32)
    }
}

/// Decodes a texel of a block of that size.
pub(super) fn texel(block: u128, at: [u32; 2], size: [u32; 2], profile: Profile) -> [f32; 4] {
    if bits(block, 0, 9) == 0x1fc {
        return constant(block, profile).unwrap_or(INVALID);
    }
    mixed_texel(block, at, size, profile).unwrap_or(INVALID)
}

/// The color of a block of one color; `None` if it is invalid.
fn constant(block: u128, profile: Profile) -> Option<[f32; 4]> {
    // The part of the texture that has the color too, from a first to a last column and row; all ones if unknown.
    let extent = [12, 25, 38, 51].map(|at| bits(block, at, 13));
    let ordered = extent[0] < extent[1] && extent[2] < extent[3];
    if bits(block, 10, 2) != 3 || !ordered && extent != [0x1fff; 4] {
        return None;
    }
    let parts = [64, 80, 96, 112].map(|at| bits(block, at, 16));
    match (bits(block, 9, 1), profile) {
        (0, _) => Some(parts.map(|part| unorm16(part, profile))),
        (_, Profile::Hdr) => Some(parts.map(|part| f16_value(part as u16))),
        _ => None,
    }
}

/// Decodes a texel of a block with endpoints; `None` if the block is invalid.
fn mixed_texel(block: u128, at: [u32; 2], size: [u32; 2], profile: Profile) -> Option<[f32; 4]> {
    let grid = Grid::of(bits(block, 0, 11))?;
    let partitions = bits(block, 11, 2) + 1;
    let weight_bits = grid.length();
    let possible = grid.width <= size[0]
        && grid.height <= size[1]
        && grid.count() <= 64
        && (24..=96).contains(&weight_bits)
        && !(grid.is_dual && partitions == 4);
    if !possible {
        return None;
    }
    // Below the weights: more bits of the modes, and the component with weights of its own.
    let mut top = 128 - weight_bits;
    let (modes, start) = modes(block, partitions, &mut top);
    let mut dual = None;
    if grid.is_dual {
        top -= 2;
        dual = Some(bits(block, top, 2) as usize);
    }
    let counts = modes.map(|mode| 2 * (mode / 4 + 1));
    let count: u32 = counts[..partitions as usize].iter().sum();
    let (list, range) = values(block, start, top.checked_sub(start)?, count)?;

    let number = match partitions {
        1 => 0,
        _ => partition(bits(block, 13, 10), at, partitions, size[0] * size[1] < 31),
    };
    let first: u32 = counts[..number].iter().sum();
    let Endpoints { ends, high_color, high_alpha } = endpoints(modes[number], list, range, first);
    if (high_color || high_alpha) && profile != Profile::Hdr {
        return None;
    }
    // The list of weights begins at the highest bit.
    let list = block.reverse_bits() & ((1 << weight_bits) - 1);
    let weights = [0, grid.planes() - 1].map(|plane| grid.weight(list, at, size, plane));
    Some(std::array::from_fn(|component| {
        let weight = weights[usize::from(dual == Some(component))];
        let is_high = if component == 3 { high_alpha } else { high_color };
        let [first, second] = [ends[0][component], ends[1][component]].map(|end| match profile {
            _ if is_high => end << 4,
            Profile::Srgb => end << 8 | 0x80,
            _ => end << 8 | end,
        });
        let mixed = (first * (64 - weight) + second * weight + 32) >> 6;
        if is_high { logarithmic(mixed) } else { unorm16(mixed, profile) }
    }))
}

/// The modes of the endpoints of each partition, and where the list of endpoints begins. `top` is where the weights begin;
/// it is moved below the bits that are taken from there.
fn modes(block: u128, partitions: u32, top: &mut u32) -> ([u32; 4], u32) {
    if partitions == 1 {
        return ([bits(block, 13, 4); 4], 17);
    }
    let class = match bits(block, 23, 2) {
        0 => return ([bits(block, 25, 4); 4], 29),
        number => number - 1,
    };
    // A bit for the class and two bits for the mode in it, for each partition; four are in their place.
    let extra = 3 * partitions - 4;
    *top -= extra;
    let all = bits(block, 25, 4) | bits(block, *top, extra) << 4;
    let mode =
        |number: u32| (class + (all >> number & 1)) << 2 | all >> (partitions + 2 * number) & 3;
    (std::array::from_fn(|number| mode(number as u32)), 29)
}

/// The result for 16 bits that represent 0 to 1.
fn unorm16(number: u32, profile: Profile) -> f32 {
    if profile == Profile::Srgb {
        return (number >> 8) as f32 / 255.0;
    }
    if number == 0xffff {
        return 1.0;
    }
    // As a half, rounded towards zero: eleven bits.
    let lost = (32 - number.leading_zeros()).saturating_sub(11);
    (number >> lost << lost) as f32 / 65536.0
}

/// The result for 16 bits of high range: five bits of exponent, and a fraction in which steps approximate a logarithm.
fn logarithmic(number: u32) -> f32 {
    let (exponent, fraction) = (number >> 11, number & 0x7ff);
    let fraction = match fraction {
        0..512 => 3 * fraction,
        1536.. => 5 * fraction - 2048,
        _ => 4 * fraction - 512,
    };
    // Infinities and NaNs become the largest number.
    f16_value(((exponent << 10) + (fraction >> 3)).min(0x7bff) as u16)
}

/// The partition of a texel: a hash of the seed makes planes over the block, and the highest wins.
fn partition(seed: u32, [x, y]: [u32; 2], partitions: u32, is_small: bool) -> usize {
    let [x, y] = if is_small { [2 * x, 2 * y] } else { [x, y] };
    let seed = seed + (partitions - 1) * 1024;
    let hash = hash(seed);
    let square = |at: u32| {
        let number = hash >> at & 15;
        number * number
    };
    let third = if partitions == 3 { 6 } else { 5 };
    let other = if seed & 2 == 0 { 5 } else { 4 };
    let [first, second] = if seed & 1 == 0 { [third, other] } else { [other, third] };
    let height = |at: u32, offset: u32| {
        ((square(at) >> first) * x + (square(at + 4) >> second) * y + (hash >> offset)) & 63
    };
    let heights = [height(0, 14), height(8, 10), height(16, 6), height(24, 2)];
    let heights = &heights[..partitions as usize];
    let most = heights.iter().max().copied().unwrap_or_default();
    heights.iter().position(|&height| height == most).unwrap_or_default()
}

fn hash(seed: u32) -> u32 {
    let mut p = seed;
    p ^= p >> 15;
    p = p.wrapping_sub(p << 17);
    p = p.wrapping_add(p << 7);
    p = p.wrapping_add(p << 4);
    p ^= p >> 5;
    p = p.wrapping_add(p << 16);
    p ^= p >> 7;
    p ^= p >> 3;
    p ^= p << 6;
    p ^ p >> 17
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Eight bits reach all combinations of five digits of base three, seven those of three digits of base five.
    pub(in super::super) fn check_digits() {
        let three: HashSet<_> = (0..256).map(threes).collect();
        assert_eq!(three.len(), 243);
        assert!(three.iter().flatten().all(|&digit| digit < 3));
        let five: HashSet<_> = (0..128).map(fives).collect();
        assert_eq!(five.len(), 125);
        assert!(five.iter().flatten().all(|&digit| digit < 5));
    }
}
