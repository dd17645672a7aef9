//! ETC2 and EAC. Texels are numbered column by column.

use super::{bits, signed, widened};

/// The offsets of a code from its base color, small and large; by table.
const STEPS: [[i32; 2]; 8] =
    [[2, 8], [5, 17], [9, 29], [13, 42], [18, 60], [24, 80], [33, 106], [47, 183]];

/// The distances of the modes T and H.
const DISTANCES: [i32; 8] = [3, 6, 11, 16, 23, 32, 41, 64];

/// The factors of EAC's codes; by table.
const FACTORS: [[i32; 8]; 16] = [
    [-3, -6, -9, -15, 2, 5, 8, 14],
    [-3, -7, -10, -13, 2, 6, 9, 12],
    [-2, -5, -8, -13, 1, 4, 7, 12],
    [-2, -4, -6, -13, 1, 3, 5, 12],
    [-3, -6, -8, -12, 2, 5, 7, 11],
    [-3, -7, -9, -11, 2, 6, 8, 10],
    [-4, -7, -8, -11, 3, 6, 7, 10],
    [-3, -5, -8, -11, 2, 4, 7, 10],
    [-2, -6, -8, -10, 1, 5, 7, 9],
    [-2, -5, -8, -10, 1, 4, 7, 9],
    [-2, -4, -8, -10, 1, 3, 7, 9],
    [-2, -5, -7, -10, 1, 4, 6, 9],
    [-3, -4, -7, -10, 2, 3, 6, 9],
    [-1, -2, -3, -10, 0, 1, 2, 9],
    [-4, -6, -8, -9, 3, 5, 7, 8],
    [-3, -5, -7, -9, 2, 4, 6, 8],
];

/// A block's bits, by the number of the lowest.
#[derive(Clone, Copy)]
struct Block(u64);

impl Block {
    fn bits(self, first: u32, count: u32) -> u32 {
        bits(self.0.into(), first, count)
    }

    /// Fields that follow each other from the upper bits down, as one number.
    fn joined(self, fields: &[(u32, u32)]) -> u32 {
        fields.iter().fold(0, |all, &(first, count)| all << count | self.bits(first, count))
    }

    /// A color of three fields of four bits.
    fn color4(self, fields: [&[(u32, u32)]; 3]) -> [i32; 3] {
        fields.map(|field| widened(self.joined(field), 4, 8) as i32)
    }
}

/// The color of a texel: red, green, blue and alpha. With `punch`, a bit of the block chooses between opaque texels and
/// those of which a code is transparent.
pub(super) fn color(block: u64, x: u32, y: u32, punch: bool) -> [u8; 4] {
    let block = Block(block);
    let number = 4 * x + y;
    let code = block.bits(16 + number, 1) << 1 | block.bits(number, 1);
    let mode_bit = block.bits(33, 1) == 1;
    let (differs, opaque) = (mode_bit || punch, mode_bit || !punch);
    // The first color, and the second as a difference.
    let base = [59, 51, 43].map(|first| block.bits(first, 5) as i32);
    let sums: [i32; 3] =
        std::array::from_fn(|c| base[c] + signed(block.bits(56 - 8 * c as u32, 3), 3));
    let outside = sums.map(|sum| !(0..32).contains(&sum));
    let color = match outside {
        _ if !differs => stepped(block, x, y, code, true, {
            let part = |first: u32| widened(block.bits(first, 4), 4, 8) as i32;
            [[part(60), part(52), part(44)], [part(56), part(48), part(40)]]
        }),
        [false, false, true] => return opaque_color(planar(block, x as i32, y as i32)),
        _ if !opaque && code == 2 => return [0; 4],
        [true, ..] => mode_t(block, code),
        [_, true, _] => mode_h(block, code),
        _ => {
            let wide = |color: [i32; 3]| color.map(|part| widened(part as u32, 5, 8) as i32);
            stepped(block, x, y, code, opaque, [wide(base), wide(sums)])
        }
    };
    opaque_color(color)
}

fn opaque_color(color: [i32; 3]) -> [u8; 4] {
    let [red, green, blue] = color.map(|part| part.clamp(0, 255) as u8);
    [red, green, blue, 255]
}

/// Two halves of the block, each with a color, to which a code adds the same number in all components.
fn stepped(
    block: Block,
    x: u32,
    y: u32,
    code: u32,
    opaque: bool,
    colors: [[i32; 3]; 2],
) -> [i32; 3] {
    let flipped = block.bits(32, 1) == 1;
    let half = usize::from(if flipped { y >= 2 } else { x >= 2 });
    let [small, large] = STEPS[block.bits(37 - 3 * half as u32, 3) as usize];
    // In a block with transparent texels the small step is 0.
    let small = if opaque { small } else { 0 };
    let step = [small, large, -small, -large][code as usize];
    colors[half].map(|part| part + step)
}

fn moved(color: [i32; 3], by: i32) -> [i32; 3] {
    color.map(|part| part + by)
}

/// One color, and another with two at a distance from it.
fn mode_t(block: Block, code: u32) -> [i32; 3] {
    let first = block.color4([&[(59, 2), (56, 2)], &[(52, 4)], &[(48, 4)]]);
    let second = block.color4([&[(44, 4)], &[(40, 4)], &[(36, 4)]]);
    let distance = DISTANCES[block.joined(&[(34, 2), (32, 1)]) as usize];
    match code {
        0 => first,
        1 => moved(second, distance),
        2 => second,
        _ => moved(second, -distance),
    }
}

/// Two pairs of colors, each around a color.
fn mode_h(block: Block, code: u32) -> [i32; 3] {
    let first = block.color4([&[(59, 4)], &[(56, 3), (52, 1)], &[(51, 1), (47, 3)]]);
    let second = block.color4([&[(43, 4)], &[(39, 4)], &[(35, 4)]]);
    // The order of the colors is the distance's lowest bit.
    let upper = block.joined(&[(34, 1), (32, 1)]) as usize;
    let distance = DISTANCES[upper << 1 | usize::from(first >= second)];
    match code {
        0 => moved(first, distance),
        1 => moved(first, -distance),
        2 => moved(second, distance),
        _ => moved(second, -distance),
    }
}

/// Colors at the origin, and four texels along either side, with those between on the plane through them.
fn planar(block: Block, x: i32, y: i32) -> [i32; 3] {
    let color = |red: &[(u32, u32)], green: &[(u32, u32)], blue: &[(u32, u32)]| {
        [(red, 6), (green, 7), (blue, 6)]
            .map(|(fields, count)| widened(block.joined(fields), count, 8) as i32)
    };
    let origin = color(&[(57, 6)], &[(56, 1), (49, 6)], &[(48, 1), (43, 2), (39, 3)]);
    let right = color(&[(34, 5), (32, 1)], &[(25, 7)], &[(19, 6)]);
    let below = color(&[(13, 6)], &[(6, 7)], &[(0, 6)]);
    std::array::from_fn(|c| {
        let (dx, dy) = (right[c] - origin[c], below[c] - origin[c]);
        (x * dx + y * dy + 4 * origin[c] + 2) >> 2
    })
}

/// A texel's factor, the multiplier, and the base of an EAC block.
fn eac(block: u64, x: u32, y: u32) -> (i32, i32, u32) {
    let block = Block(block);
    let code = block.bits(45 - 3 * (4 * x + y), 3);
    let factor = FACTORS[block.bits(48, 4) as usize][code as usize];
    (factor, block.bits(52, 4) as i32, block.bits(56, 8))
}

/// The alpha of a texel.
pub(super) fn alpha(block: u64, x: u32, y: u32) -> u8 {
    let (factor, multiplier, base) = eac(block, x, y);
    (base as i32 + factor * multiplier).clamp(0, 255) as u8
}

/// A component of eleven bits.
pub(super) fn eleven(block: u64, x: u32, y: u32, has_sign: bool) -> f32 {
    let (factor, multiplier, base) = eac(block, x, y);
    // Without a multiplier, factors are eighths.
    let step = if multiplier == 0 { factor } else { factor * multiplier * 8 };
    match has_sign {
        // -128 is -127.
        true => (signed(base, 8).max(-127) * 8 + step).clamp(-1023, 1023) as f32 / 1023.0,
        false => (base as i32 * 8 + 4 + step).clamp(0, 2047) as f32 / 2047.0,
    }
}
