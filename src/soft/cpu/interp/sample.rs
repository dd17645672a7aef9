//! Texture sampling (MSL 2.10, 6.12): levels of detail, filters, and coordinates beyond the edges. Weights are
//! exact `f32`s, where hardware has eight bits.

use crate::soft::ir::Sampler;
use crate::soft::ir::sampler::{
    Address, Border, Compare, Coordinates, Filter, MipFilter, Reduction,
};
use crate::soft::kernel::texture::{Pixel, Texture};

/// A sample position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Up to three coordinates, and the element of an array.
    pub(crate) at: [f32; 4],
    /// Offsets in pixels.
    pub(crate) offset: [i32; 3],
}

/// A pixel under the filter: its position and element, `None` for the border, and its weight.
type Tap = (Option<([u32; 3], u32)>, f32);

/// One coordinate's pixels under the filter, with their weights.
type Pair = [(Option<u32>, f32); 2];

/// Samples a texture at a level of detail.
pub(crate) fn sample(
    texture: &Texture<'_>,
    sampler: Sampler,
    position: Position,
    lod: f32,
) -> Pixel {
    let mut mix = Mix::new(sampler.reduction());
    let integers = texture.format.is_integer();
    for (level, share, filter) in levels(texture, sampler, lod) {
        // Integers are not mixed: MSL has it undefined, and this is the nearest pixel.
        let filter = if integers { Filter::Nearest } else { filter };
        for (at, weight) in taps(texture, sampler, position, level, filter) {
            let pixel = at.map_or_else(
                || border(texture, sampler),
                |(at, slice)| texture.pixel(at, slice, level),
            );
            if integers {
                return pixel;
            }
            mix.add(pixel.map(f32::from_bits), weight * share);
        }
    }
    mix.all.map(f32::to_bits)
}

/// The filtered share of pixels whose first component compares with `value` (MSL 6.12.10).
pub(crate) fn compare(
    texture: &Texture<'_>,
    sampler: Sampler,
    position: Position,
    lod: f32,
    value: f32,
) -> f32 {
    let mut mix = Mix::new(Reduction::WeightedAverage);
    for (level, share, filter) in levels(texture, sampler, lod) {
        for (at, weight) in taps(texture, sampler, position, level, filter) {
            let pixel = at.map_or_else(
                || border(texture, sampler),
                |(at, slice)| texture.pixel(at, slice, level),
            );
            let passes = compares(sampler.compare(), value, f32::from_bits(pixel[0]));
            mix.add([passes, 0.0, 0.0, 0.0], weight * share);
        }
    }
    mix.all[0]
}

/// The four pixels that a linear filter mixes in level 0, counter-clockwise from the lower left one.
pub(crate) fn gather(texture: &Texture<'_>, sampler: Sampler, position: Position) -> [Pixel; 4] {
    let mut found = [[0; 4]; 4];
    if texture.levels.is_empty() {
        return found;
    }
    let corners = corners(texture, sampler, position, 0, Filter::Linear);
    // As they come: x first, then y, and y goes down.
    for (found, corner) in found.iter_mut().zip([2, 3, 1, 0]) {
        *found = match corners[corner].0 {
            Some((at, slice)) => texture.pixel(at, slice, 0),
            None => border(texture, sampler),
        };
    }
    found
}

/// 1 where a comparison holds, else 0.
pub(crate) fn compares(compare: Compare, value: f32, pixel: f32) -> f32 {
    let holds = match compare {
        Compare::Never => false,
        Compare::Less => value < pixel,
        Compare::Equal => value == pixel,
        Compare::LessEqual => value <= pixel,
        Compare::Greater => value > pixel,
        Compare::NotEqual => value != pixel,
        Compare::GreaterEqual => value >= pixel,
        Compare::Always => true,
    };
    f32::from(u8::from(holds))
}

/// Combines the pixels under a filter.
struct Mix {
    reduction: Reduction,
    all: [f32; 4],
    first: bool,
}

impl Mix {
    fn new(reduction: Reduction) -> Self {
        Self { reduction, all: [0.0; 4], first: true }
    }

    /// Adds a pixel. One with weight 0 is ignored, even if it is infinite.
    fn add(&mut self, pixel: [f32; 4], share: f32) {
        if share == 0.0 {
            return;
        }
        for (all, one) in self.all.iter_mut().zip(pixel) {
            *all = match self.reduction {
                Reduction::WeightedAverage if share == 1.0 => one,
                Reduction::WeightedAverage => *all + one * share,
                _ if self.first => one,
                Reduction::Minimum => all.min(one),
                Reduction::Maximum => all.max(one),
            };
        }
        self.first = false;
    }
}

/// The levels that a level of detail is between, their weights, and the filter within them.
fn levels(
    texture: &Texture<'_>,
    sampler: Sampler,
    lod: f32,
) -> impl Iterator<Item = (u32, f32, Filter)> {
    let (least, most) = sampler.lod_clamp();
    // If one operand is a NaN, `max` and `min` return the other.
    let lod = (lod + sampler.bias()).max(least).min(most);
    let filter = if lod > 0.0 { sampler.min_filter() } else { sampler.mag_filter() };
    let last = texture.levels.len().saturating_sub(1) as u32;
    let held = lod.clamp(0.0, last as f32);
    let (level, part) = match sampler.mip_filter() {
        MipFilter::None => (0, 0.0),
        MipFilter::Nearest => ((held + 0.5).floor() as u32, 0.0),
        MipFilter::Linear => (held.floor() as u32, held.fract()),
    };
    let next = (part > 0.0).then_some((last.min(level + 1), part, filter));
    let first = (!texture.levels.is_empty()).then_some((level.min(last), 1.0 - part, filter));
    first.into_iter().chain(next)
}

/// The pixels under the filter in one level whose weight is not 0.
fn taps(
    texture: &Texture<'_>,
    sampler: Sampler,
    position: Position,
    level: u32,
    filter: Filter,
) -> impl Iterator<Item = Tap> {
    corners(texture, sampler, position, level, filter).into_iter().filter(|tap| tap.1 > 0.0)
}

/// The eight pixels around a position, x first, then y, then z.
fn corners(
    texture: &Texture<'_>,
    sampler: Sampler,
    position: Position,
    level: u32,
    filter: Filter,
) -> [Tap; 8] {
    let size = texture.levels[level as usize].size;
    let elements = texture.slices / texture.faces();
    // The element nearest to the number, within the array.
    let element = (position.at[3].round_ties_even() as u32).min(elements.saturating_sub(1));
    if texture.cube {
        return cube_corners(position, size[0], element, filter);
    }
    let axes: [Pair; 3] = std::array::from_fn(|axis| {
        let coordinate = match sampler.coordinates() {
            Coordinates::Normalized => position.at[axis] * size[axis] as f32,
            Coordinates::Pixel => position.at[axis],
        };
        // A dimension that the texture does not have has no edges.
        if axis >= texture.sides {
            return [(Some(0), 1.0), (Some(0), 0.0)];
        }
        let address = sampler.address(axis);
        pair(coordinate, position.offset[axis], filter)
            .map(|(at, share)| (wrap(at, size[axis], address), share))
    });
    std::array::from_fn(|corner| {
        let [x, y, z]: [(Option<u32>, f32); 3] = std::array::from_fn(|a| axes[a][corner >> a & 1]);
        let at = x.0.zip(y.0).zip(z.0).map(|((x, y), z)| ([x, y, z], element));
        (at, x.1 * y.1 * z.1)
    })
}

/// The pixels at both sides of a coordinate in pixels, and their weights.
fn pair(coordinate: f32, offset: i32, filter: Filter) -> [(i64, f32); 2] {
    let corner = match filter {
        Filter::Nearest => coordinate,
        Filter::Linear => coordinate - 0.5,
    };
    let first = (corner.floor() as i64).saturating_add(offset.into());
    let part = match filter {
        Filter::Nearest => 0.0,
        Filter::Linear => corner - corner.floor(),
    };
    [(first, 1.0 - part), (first.saturating_add(1), part)]
}

/// Maps a pixel's number along a side of that length into the texture; `None` for the border.
fn wrap(at: i64, size: u32, address: Address) -> Option<u32> {
    let size = i64::from(size);
    let inside = match address {
        Address::ClampToEdge => at.clamp(0, size - 1),
        Address::MirrorClampToEdge => (if at < 0 { !at } else { at }).min(size - 1),
        Address::Repeat => at.rem_euclid(size),
        Address::MirroredRepeat => {
            let at = at.rem_euclid(2 * size);
            at.min(2 * size - 1 - at)
        }
        Address::ClampToZero | Address::ClampToBorder => at,
    };
    u32::try_from(inside).ok().filter(|&inside| i64::from(inside) < size)
}

/// The color beyond the edges.
fn border(texture: &Texture<'_>, sampler: Sampler) -> Pixel {
    let one = if texture.format.is_integer() { 1 } else { 1.0f32.to_bits() };
    let zero_address = (0..3).any(|axis| sampler.address(axis) == Address::ClampToZero);
    texture.swizzled(match sampler.border() {
        // Transparent where the texture has an alpha (MSL 2.10).
        _ if zero_address => [0, 0, 0, if texture.format.has_alpha() { 0 } else { one }],
        Border::TransparentBlack => [0; 4],
        Border::OpaqueBlack => [0, 0, 0, one],
        Border::OpaqueWhite => [one; 4],
    })
}

/// How the faces of a cube lie: the axis of a face and its sign, and for its rows and its columns the axis
/// that they go along and in which direction (MSL 6.12.6).
const FACES: [[(usize, f32); 3]; 6] = [
    [(0, 1.0), (2, -1.0), (1, -1.0)],
    [(0, -1.0), (2, 1.0), (1, -1.0)],
    [(1, 1.0), (0, 1.0), (2, 1.0)],
    [(1, -1.0), (0, 1.0), (2, -1.0)],
    [(2, 1.0), (0, 1.0), (1, -1.0)],
    [(2, -1.0), (0, -1.0), (1, -1.0)],
];

/// The face that a direction goes through, and where, each from -1 to 1.
fn face(direction: [f32; 3]) -> (usize, f32, f32) {
    let size = direction.map(f32::abs);
    let axis =
        if size[2] >= size[0] && size[2] >= size[1] { 2 } else { usize::from(size[1] >= size[0]) };
    let number = 2 * axis + usize::from(direction[axis] < 0.0);
    let [_, s, t] = FACES[number];
    let along = |(axis, sign): (usize, f32)| sign * direction[axis] / size[axis_of(number)];
    (number, along(s), along(t))
}

const fn axis_of(face: usize) -> usize {
    FACES[face][0].0
}

/// The pixels of a cube around a direction. Filters continue across the edges of faces.
fn cube_corners(position: Position, size: u32, element: u32, filter: Filter) -> [Tap; 8] {
    let [x, y, z, _] = position.at;
    let (number, s, t) = face([x, y, z]);
    // To pixels. A NaN, from a direction of no length, becomes 0.
    let pixels = |along: f32| {
        let coordinate = (along + 1.0) * 0.5 * size as f32;
        match filter {
            // The end of a face belongs to its last pixel.
            Filter::Nearest => pair(coordinate.min(size as f32 - 0.5), 0, filter),
            Filter::Linear => pair(coordinate, 0, filter),
        }
    };
    let (columns, rows) = (pixels(s), pixels(t));
    std::array::from_fn(|corner| {
        let (column, row) = (columns[corner & 1], rows[corner >> 1 & 1]);
        let share = if corner < 4 { column.1 * row.1 } else { 0.0 };
        let (number, column, row) = across_edge(number, column.0, row.0, i64::from(size));
        (Some(([column, row, 0], element * 6 + number)), share)
    })
}

/// The face, column and row of a pixel that may be one beyond an edge of a face. Beyond two edges there
/// is no pixel; the nearest is used.
fn across_edge(number: usize, column: i64, row: i64, size: i64) -> (u32, u32, u32) {
    let out = |at: i64| !(0..size).contains(&at);
    let row = if out(column) { row.clamp(0, size - 1) } else { row };
    if !out(column) && !out(row) {
        return (number as u32, column as u32, row as u32);
    }
    // In a cube with sides of 2 * size around 0, centres of pixels have odd coordinates. A pixel beyond an edge
    // is folded over it: its distance from the old face becomes its distance from the edge.
    let centre = |at: i64| 2 * at.clamp(-1, size) + 1 - size;
    let [side, s, t] = FACES[number];
    let mut point = [0i64; 3];
    point[side.0] = side.1 as i64 * (size - 1);
    point[s.0] = s.1 as i64 * centre(column);
    point[t.0] = t.1 as i64 * centre(row);
    let beyond = if out(column) { s.0 } else { t.0 };
    let number = 2 * beyond + usize::from(point[beyond] < 0);
    let [_, s, t] = FACES[number];
    let back = |(axis, sign): (usize, f32)| {
        ((sign as i64 * point[axis] + size - 1) / 2).clamp(0, size - 1) as u32
    };
    (number as u32, back(s), back(t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::kernel::texture::{Kind, Level, NO_SWIZZLE, Packing, PixelFormat};

    /// Four floats.
    struct Floats;

    impl PixelFormat for Floats {
        fn bytes(&self) -> usize {
            16
        }

        fn is_integer(&self) -> bool {
            false
        }

        fn has_alpha(&self) -> bool {
            true
        }

        fn decode(&self, bytes: &[u8]) -> Pixel {
            let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            [0, 4, 8, 12].map(|at| u32::from_le_bytes(word(at)))
        }

        fn encode(&self, pixel: Pixel, bytes: &mut [u8]) {
            bytes.copy_from_slice(pixel.map(u32::to_le_bytes).as_flattened());
        }

        fn packing(&self) -> Option<(Kind, Packing)> {
            Some((Kind::Float, Packing::Fields([0, 32, 64, 96].map(|first| (first, 32)))))
        }
    }

    fn texture<'a>(pixels: &'a mut [[f32; 4]], levels: &'a [Level], cube: bool) -> Texture<'a> {
        let (base, slices) = (pixels.as_mut_ptr().cast(), if cube { 6 } else { 1 });
        let stride = pixels.len() * 16 / slices as usize;
        let swizzle = NO_SWIZZLE;
        Texture { base, levels, slices, stride, sides: 2, cube, format: &Floats, swizzle, id: 0 }
    }

    fn square(side: u32) -> [Level; 1] {
        let row = side as usize * 16;
        [Level { offset: 0, row, image: row * side as usize, size: [side, side, 1] }]
    }

    #[test]
    fn no_coordinate_reads_outside_the_texture() {
        let (mut pixels, levels) = (vec![[1.0; 4]; 6 * 9], square(3));
        let numbers = [0.0, -0.0, 0.5, 1.0, -1.0, 1e9, -1e30, f32::INFINITY, f32::NAN, f32::MAX];
        for (cube, filter) in
            [(false, "nearest"), (false, "linear"), (true, "nearest"), (true, "linear")]
        {
            let texture = texture(&mut pixels, &levels, cube);
            for mode in 0..6 {
                let mut sampler = Sampler::default();
                for option in ["s_address", "t_address", "r_address"] {
                    sampler.set_number(option, mode).expect("a mode");
                }
                sampler.set("filter", filter).expect("a filter");
                sampler.set("mip_filter", "linear").expect("a filter");
                for (x, y) in numbers.iter().flat_map(|x| numbers.map(|y| (*x, y))) {
                    for offset in [0, i32::MIN, i32::MAX] {
                        let position = Position { at: [x, y, 1.0, y], offset: [offset; 3] };
                        for texture in [&texture, &Texture::NONE] {
                            let found = sample(texture, sampler, position, x).map(f32::from_bits);
                            let possible = |&value: &f32| (-0.001..=1.001).contains(&value);
                            assert!(found.iter().all(possible), "{position:?}: {found:?}");
                            gather(texture, sampler, position);
                            compare(texture, sampler, position, y, x);
                        }
                    }
                }
            }
        }
    }

    /// Crossing an edge of a cube and coming back leads to the same pixel.
    #[test]
    fn every_edge_of_a_cube_has_two_sides() {
        let size = 4;
        for face in 0..6usize {
            for along in 0..size {
                for (column, row) in [(-1, along), (size, along), (along, -1), (along, size)] {
                    let (other, x, y) = across_edge(face, column, row, size);
                    assert_ne!(other as usize, face);
                    let inside = (column.clamp(0, size - 1), row.clamp(0, size - 1));
                    let steps = [(-1, 0), (1, 0), (0, -1), (0, 1)];
                    let back = steps.iter().any(|(dx, dy)| {
                        let (x, y) = (i64::from(x) + dx, i64::from(y) + dy);
                        let (number, x, y) = across_edge(other as usize, x, y, size);
                        (number as usize, i64::from(x), i64::from(y)) == (face, inside.0, inside.1)
                    });
                    assert!(back, "face {face}, ({column}, {row}): face {other}, ({x}, {y})");
                }
            }
        }
    }

    #[test]
    fn a_pixel_of_weight_zero_is_ignored() {
        let mut pixels = vec![[2.0, 0.0, 0.0, 1.0]; 9];
        pixels[1] = [f32::INFINITY; 4];
        let levels = square(3);
        let texture = texture(&mut pixels, &levels, false);
        let mut sampler = Sampler::default();
        sampler.set("filter", "linear").expect("a filter");
        let position = Position { at: [0.5 / 3.0, 0.5 / 3.0, 0.0, 0.0], offset: [0; 3] };
        assert_eq!(f32::from_bits(sample(&texture, sampler, position, 0.0)[0]), 2.0);
        for (reduction, x, want) in [("minimum", 0.6, 2.0), ("maximum", 0.4, f32::INFINITY)] {
            sampler.set("reduction", reduction).expect("a reduction");
            let position = Position { at: [x, 0.5 / 3.0, 0.0, 0.0], offset: [0; 3] };
            assert_eq!(f32::from_bits(sample(&texture, sampler, position, 0.0)[0]), want);
        }
    }

    #[test]
    fn a_swizzle_applies_to_reads_and_not_to_writes() {
        let mut pixels = vec![[0.25, 0.5, 0.75, 1.0]; 1];
        let levels = square(1);
        let mut texture = texture(&mut pixels, &levels, false);
        texture.swizzle = [5, 1, 0, 2];
        let seen = texture.read([0; 4], 0).map(f32::from_bits);
        assert_eq!(seen, [1.0, 1.0, 0.0, 0.25]);
        texture.write([0; 4], 0, [3.0f32; 4].map(f32::to_bits));
        texture.swizzle = NO_SWIZZLE;
        assert_eq!(texture.read([0; 4], 0).map(f32::from_bits), [3.0; 4]);
    }
}
