//! The endpoints of ASTC: from a list of numbers, by one of 16 modes. Those of high range have twelve bits.

use super::astc::{Base, Range, range};
use super::{signed, widened};

/// The ranges of the numbers, from the largest down.
const RANGES: [Range; 17] = [
    range(8, Base::Two),
    range(6, Base::Three),
    range(5, Base::Five),
    range(7, Base::Two),
    range(5, Base::Three),
    range(4, Base::Five),
    range(6, Base::Two),
    range(4, Base::Three),
    range(3, Base::Five),
    range(5, Base::Two),
    range(3, Base::Three),
    range(2, Base::Five),
    range(4, Base::Two),
    range(2, Base::Three),
    range(1, Base::Five),
    range(3, Base::Two),
    range(1, Base::Three),
];

/// How a number with a digit is expanded: the range, the positions of its lower bits (`b` is the second one, and so on;
/// `a`, the lowest, has none), and the factor of the digit.
type Spread = (Range, &'static str, u32);

/// For endpoints, to eight bits.
const COLORS: [Spread; 11] = [
    (range(1, Base::Three), "000000000", 204),
    (range(1, Base::Five), "000000000", 113),
    (range(2, Base::Three), "b000b0bb0", 93),
    (range(2, Base::Five), "b0000bb00", 54),
    (range(3, Base::Three), "cb000cbcb", 44),
    (range(3, Base::Five), "cb0000cbc", 26),
    (range(4, Base::Three), "dcb000dcb", 22),
    (range(4, Base::Five), "dcb0000dc", 13),
    (range(5, Base::Three), "edcb000ed", 11),
    (range(5, Base::Five), "edcb0000e", 6),
    (range(6, Base::Three), "fedcb000f", 5),
];

/// For weights, to six bits.
const WEIGHTS: [Spread; 5] = [
    (range(1, Base::Three), "0000000", 50),
    (range(1, Base::Five), "0000000", 28),
    (range(2, Base::Three), "b000b0b", 23),
    (range(2, Base::Five), "b0000b0", 13),
    (range(3, Base::Three), "cb000cb", 11),
];

/// The list of `count` endpoints' numbers that begins at a bit and has room for `room` bits, and its range, which is the
/// largest that fits. `None` if there are too many numbers.
pub(super) fn values(block: u128, start: u32, room: u32, count: u32) -> Option<(u128, Range)> {
    let range = RANGES.into_iter().find(|range| range.length(count) <= room);
    let range = range.filter(|_| count <= 18)?;
    Some((block >> start & ((1 << range.length(count)) - 1), range))
}

/// Expands a number to `count` bits.
fn expanded(table: &[Spread], range: Range, (digit, low): (u32, u32), count: u32) -> u32 {
    if range.base == Base::Two {
        return widened(low, range.bits, count);
    }
    let Some((_, places, factor)) = table.iter().find(|row| row.0 == range) else { return 0 };
    let spread = places
        .bytes()
        .fold(0, |all, place| all << 1 | if place == b'0' { 0 } else { low >> (place - b'a') & 1 });
    // If the lowest bit is set, all others are inverted.
    let ones = (1 << (count + 1)) - 1;
    let all = if low & 1 == 1 { ones } else { 0 };
    let number = (digit * factor + spread) ^ all;
    all & 1 << (count - 1) | (number & ones) >> 2
}

/// A weight of 0 to 63.
pub(super) fn weight(range: Range, number: (u32, u32)) -> u32 {
    match range {
        Range { bits: 0, base: Base::Three } => [0, 32, 63][number.0 as usize],
        Range { bits: 0, .. } => [0, 16, 32, 47, 63][number.0 as usize],
        _ => expanded(&WEIGHTS, range, number, 6),
    }
}

/// Two colors, and whether their color or alpha has a high range: twelve bits instead of eight.
pub(super) struct Endpoints {
    pub(super) ends: [[u32; 4]; 2],
    pub(super) high_color: bool,
    pub(super) high_alpha: bool,
}

/// The alpha 1 of endpoints of high range.
const ONE: i32 = 0x780;

/// The endpoints of a mode, from numbers of a list.
pub(super) fn endpoints(mode: u32, list: u128, range: Range, first: u32) -> Endpoints {
    let count = 2 * (mode / 4 + 1);
    let mut v = [0; 8];
    for (number, value) in v.iter_mut().enumerate().take(count as usize) {
        let stored = range.number(list, first + number as u32);
        *value = expanded(&COLORS, range, stored, 8) as i32;
    }
    let grey = |grey: i32, alpha: i32| [grey, grey, grey, alpha];
    let (ends, high_color, high_alpha) = match mode {
        0 => ([grey(v[0], 255), grey(v[1], 255)], false, false),
        1 => {
            let low = v[0] >> 2 | v[1] & 0xc0;
            ([grey(low, 255), grey(low + (v[1] & 0x3f), 255)], false, false)
        }
        2 | 3 => {
            let [low, high] = if mode == 2 { large_grey(v) } else { small_grey(v) };
            ([grey(low, ONE), grey(high, ONE)], true, true)
        }
        4 => ([grey(v[0], v[2]), grey(v[1], v[3])], false, false),
        5 => {
            let v = pairs(v);
            ([grey(v[0], v[2]), grey(v[0] + v[1], v[2] + v[3])], false, false)
        }
        6 | 10 => {
            let alphas = if mode == 6 { [255; 2] } else { [v[4], v[5]] };
            let dark = [0, 1, 2].map(|c| (v[c] * v[3]) >> 8);
            let [first, second] = [dark, [v[0], v[1], v[2]]];
            ([with(first, alphas[0]), with(second, alphas[1])], false, false)
        }
        7 => (scaled(v).map(|color| with(color, ONE)), true, true),
        8 | 12 => {
            let alphas = if mode == 8 { [255; 2] } else { [v[6], v[7]] };
            let colors = [[v[0], v[2], v[4]], [v[1], v[3], v[5]]];
            let sums = colors.map(|color| color.iter().sum::<i32>());
            (ordered(colors, alphas, sums[1] >= sums[0]), false, false)
        }
        9 | 13 => {
            let v = pairs(v);
            let alphas = if mode == 9 { [255; 2] } else { [v[6], v[6] + v[7]] };
            let colors = [[v[0], v[2], v[4]], [v[0] + v[1], v[2] + v[3], v[4] + v[5]]];
            (ordered(colors, alphas, v[1] + v[3] + v[5] >= 0), false, false)
        }
        _ => {
            let colors = high_colors(v);
            let alphas = match mode {
                11 => [ONE; 2],
                14 => [v[6], v[7]],
                _ => high_alphas(v[6], v[7]),
            };
            ([with(colors[0], alphas[0]), with(colors[1], alphas[1])], true, mode != 14)
        }
    };
    let clamped = |end: [i32; 4]| -> [u32; 4] {
        std::array::from_fn(|component| {
            let is_high = if component == 3 { high_alpha } else { high_color };
            end[component].clamp(0, if is_high { 0xfff } else { 0xff }) as u32
        })
    };
    Endpoints { ends: ends.map(clamped), high_color, high_alpha }
}

fn with([red, green, blue]: [i32; 3], alpha: i32) -> [i32; 4] {
    [red, green, blue, alpha]
}

/// In each pair a base, to which a bit of the other number is moved, and a difference of six bits with its sign.
fn pairs(v: [i32; 8]) -> [i32; 8] {
    let mut all = v;
    for pair in all.chunks_exact_mut(2) {
        pair[0] = pair[0] >> 1 | pair[1] & 0x80;
        pair[1] = signed(pair[1] as u32 >> 1 & 0x3f, 6);
    }
    all
}

/// Endpoints in their order, or exchanged; then red and green are stored as distances from blue.
fn ordered(colors: [[i32; 3]; 2], alphas: [i32; 2], in_order: bool) -> [[i32; 4]; 2] {
    let [first, second] = colors;
    if in_order {
        return [with(first, alphas[0]), with(second, alphas[1])];
    }
    let contracted = |[red, green, blue]: [i32; 3]| [(red + blue) >> 1, (green + blue) >> 1, blue];
    [with(contracted(second), alphas[1]), with(contracted(first), alphas[0])]
}

fn large_grey(v: [i32; 8]) -> [i32; 2] {
    match v[1] >= v[0] {
        true => [v[0] << 4, v[1] << 4],
        false => [(v[1] << 4) + 8, (v[0] << 4) - 8],
    }
}

fn small_grey(v: [i32; 8]) -> [i32; 2] {
    let (low, step) = match v[0] & 0x80 {
        0 => ((v[1] & 0xf0) << 4 | (v[0] & 0x7f) << 1, (v[1] & 0xf) << 1),
        _ => ((v[1] & 0xe0) << 4 | (v[0] & 0x7f) << 2, (v[1] & 0x1f) << 2),
    };
    [low, low + step]
}

/// Exchanges red and another component.
fn exchanged(mut color: [i32; 3], component: usize) -> [i32; 3] {
    color.swap(0, component);
    color
}

/// Where the extra bits of a number go: for each variant, the number and the bit.
type Places<const N: usize> = [[(usize, u32); N]; 8];

/// Mode 7's extra bits: of red 0, green 1, blue 2 and the scale 3.
const SCALED: [[(usize, u32); 7]; 6] = [
    [(0, 9), (0, 8), (0, 7), (0, 10), (0, 6), (3, 6), (3, 5)],
    [(0, 8), (1, 5), (0, 7), (2, 5), (0, 6), (0, 10), (0, 9)],
    [(0, 9), (0, 8), (0, 7), (0, 6), (3, 7), (3, 6), (3, 5)],
    [(0, 8), (1, 5), (0, 7), (2, 5), (0, 6), (3, 6), (3, 5)],
    [(1, 6), (1, 5), (2, 6), (2, 5), (0, 6), (0, 7), (3, 5)],
    [(1, 6), (1, 5), (2, 6), (2, 5), (0, 6), (3, 6), (3, 5)],
];

/// Mode 7: a color, and the same less a number in all components.
fn scaled(v: [i32; 8]) -> [[i32; 3]; 2] {
    let bit = |number: usize, at: i32| v[number] >> at & 1;
    let variant = v[0] >> 6 | bit(1, 7) << 2 | bit(2, 7) << 3;
    // The component that is stored in red, and the variant of the layout.
    let (largest, layout) = match variant {
        0xf => (0, 5),
        0xc.. => (variant & 3, 4),
        _ => (variant >> 2, variant & 3),
    };
    let extra = [bit(1, 6), bit(1, 5), bit(2, 6), bit(2, 5), bit(3, 7), bit(3, 6), bit(3, 5)];
    let mut parts = [v[0] & 0x3f, v[1] & 0x1f, v[2] & 0x1f, v[3] & 0x1f];
    for (bit, (part, at)) in extra.into_iter().zip(SCALED[layout as usize]) {
        parts[part] |= bit << at;
    }
    let [red, mut green, mut blue, scale] =
        parts.map(|part| part << [1, 1, 2, 3, 4, 5][layout as usize]);
    if layout != 5 {
        (green, blue) = (red - green, red - blue);
    }
    let color = exchanged([red, green, blue], largest as usize);
    [color.map(|part| part - scale), color]
}

/// Mode 11's extra bits: of a 0, b0 1, b1 2, c 3, d0 4 and d1 5.
const HIGH: Places<6> = [
    [(1, 6), (2, 6), (4, 6), (5, 6), (4, 5), (5, 5)],
    [(1, 6), (2, 6), (1, 7), (2, 7), (4, 5), (5, 5)],
    [(0, 9), (3, 6), (4, 6), (5, 6), (4, 5), (5, 5)],
    [(1, 6), (2, 6), (0, 9), (3, 6), (4, 5), (5, 5)],
    [(1, 6), (2, 6), (1, 7), (2, 7), (0, 9), (0, 10)],
    [(0, 9), (0, 10), (3, 7), (3, 6), (4, 5), (5, 5)],
    [(1, 6), (2, 6), (0, 11), (3, 6), (0, 9), (0, 10)],
    [(0, 9), (0, 10), (0, 11), (3, 6), (4, 5), (5, 5)],
];

/// Mode 11: a color with a largest component, and distances from it.
fn high_colors(v: [i32; 8]) -> [[i32; 3]; 2] {
    let bit = |number: usize, at: i32| v[number] >> at & 1;
    let largest = (bit(4, 7) | bit(5, 7) << 1) as usize;
    if largest == 3 {
        let color = |n: usize| [v[n] << 4, v[n + 2] << 4, (v[n + 4] & 0x7f) << 5];
        return [color(0), color(1)];
    }
    let layout = (bit(1, 7) | bit(2, 7) << 1 | bit(3, 7) << 2) as usize;
    let extra = [bit(2, 6), bit(3, 6), bit(4, 6), bit(5, 6), bit(4, 5), bit(5, 5)];
    let low = v.map(|number| number & 0x3f);
    let mut parts = [v[0] | bit(1, 6) << 8, low[2], low[3], low[1], v[4] & 0x1f, v[5] & 0x1f];
    for (bit, (part, at)) in extra.into_iter().zip(HIGH[layout]) {
        parts[part] |= bit << at;
    }
    for part in &mut parts[4..] {
        *part = signed(*part as u32, [7, 6, 7, 6, 5, 6, 5, 6][layout]);
    }
    let [a, b0, b1, c, d0, d1] = parts.map(|part| part << ((layout >> 1) ^ 3));
    let colors = [[a - c, a - b0 - c - d0, a - b1 - c - d1], [a, a - b0, a - b1]];
    colors.map(|color| exchanged(color.map(|part| part.clamp(0, 0xfff)), largest))
}

/// Mode 15's alphas: two numbers, or one and a difference with its sign.
fn high_alphas(first: i32, second: i32) -> [i32; 2] {
    let mode = first >> 7 & 1 | second >> 6 & 2;
    let (first, second) = (first & 0x7f, second & 0x7f);
    if mode == 3 {
        return [first << 5, second << 5];
    }
    let base = first | second << (mode + 1) & 0x780;
    let step = signed((second & 0x3f >> mode) as u32, 6 - mode as u32);
    let [base, step] = [base, step].map(|number| number << (4 - mode));
    [base, (base + step).clamp(0, 0xfff)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of all ranges expand to the multiples of the maximum divided by the largest number, rounded.
    #[test]
    fn numbers_are_spread_evenly() {
        for range in RANGES {
            let digits = match range.base {
                Base::Two => 1,
                Base::Three => 3,
                Base::Five => 5,
            };
            let most = (digits << range.bits) - 1;
            let mut all: Vec<u32> = (0..digits)
                .flat_map(|digit| (0..1 << range.bits).map(move |low| (digit, low)))
                .map(|number| expanded(&COLORS, range, number, 8))
                .collect();
            all.sort_unstable();
            for (number, found) in all.iter().enumerate() {
                let exact = number as f32 * 255.0 / most as f32;
                assert!((*found as f32 - exact).abs() < 1.5, "{range:?} {number}: {found}");
            }
            assert_eq!((all[0], all[most as usize]), (0, 255), "{range:?}");
        }
    }
}
