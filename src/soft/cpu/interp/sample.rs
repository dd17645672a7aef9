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

/// A pixel: its position in a slice, and the slice; `None` for the border.
type Place = Option<([u32; 3], u32)>;

/// One coordinate's pixels under the filter, with their weights.
type Pair = [(Option<u32>, f32); 2];

/// The pixels of one level around a position. Corner `n` has pixel `n & 1` of the columns, `n >> 1 & 1` of the rows and
/// `n >> 2` of the images.
enum Around {
    /// In an element of the texture.
    Element([Pair; 3], u32),
    /// On a face of a cube, whose sides have that length: face, columns, rows, and the element.
    Face(usize, [(i64, f32); 2], [(i64, f32); 2], i64, u32),
}

/// The levels that a level of detail is between, the share of the second, and the filter within them.
struct Levels {
    first: u32,
    second: u32,
    part: f32,
    filter: Filter,
}

/// A texture seen through a sampler: the fields of both that each position needs.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) texture: &'a Texture<'a>,
    sampler: Sampler,
    integers: bool,
    /// How many of the corners around a position can have a weight.
    corners: usize,
    normalized: bool,
    address: [Address; 3],
    bias: f32,
    lod_clamp: (f32, f32),
    min_filter: Filter,
    mag_filter: Filter,
    mip_filter: MipFilter,
}

impl<'a> View<'a> {
    pub(crate) fn new(texture: &'a Texture<'a>, sampler: Sampler) -> Self {
        Self {
            texture,
            sampler,
            integers: texture.format.is_integer(),
            corners: if texture.cube { 4 } else { 1 << texture.sides },
            normalized: sampler.coordinates() == Coordinates::Normalized,
            address: [sampler.address(0), sampler.address(1), sampler.address(2)],
            bias: sampler.bias(),
            lod_clamp: sampler.lod_clamp(),
            min_filter: sampler.min_filter(),
            mag_filter: sampler.mag_filter(),
            mip_filter: sampler.mip_filter(),
        }
    }

    /// Samples at a level of detail.
    pub(crate) fn sample(&self, position: &Position, lod: f32) -> Pixel {
        if self.texture.levels.is_empty() {
            return [0; 4];
        }
        let levels = self.levels(lod);
        // Integers are not mixed: MSL has it undefined, and this is the nearest pixel.
        let alone = levels.filter == Filter::Nearest && levels.part == 0.0;
        if self.integers || alone {
            let around = self.around(position, levels.first, Filter::Nearest);
            return self.pixel(&around, 0, levels.first);
        }
        let mut mix = Mix::new(self.sampler.reduction());
        self.each_pixel(position, &levels, |pixel, share| {
            mix.add(pixel.map(f32::from_bits), share)
        });
        mix.all.map(f32::to_bits)
    }

    /// The filtered share of pixels whose first component compares with `value` (MSL 6.12.10).
    pub(crate) fn compare(&self, position: &Position, lod: f32, value: f32) -> f32 {
        if self.texture.levels.is_empty() {
            return 0.0;
        }
        let (levels, compare) = (self.levels(lod), self.sampler.compare());
        let mut mix = Mix::new(Reduction::WeightedAverage);
        self.each_pixel(position, &levels, |pixel, share| {
            let passes = compares(compare, value, f32::from_bits(pixel[0]));
            mix.add([passes, 0.0, 0.0, 0.0], share);
        });
        mix.all[0]
    }

    /// The four pixels that a linear filter mixes in level 0, counter-clockwise from the lower left one.
    pub(crate) fn gather(&self, position: &Position) -> [Pixel; 4] {
        if self.texture.levels.is_empty() {
            return [[0; 4]; 4];
        }
        let around = self.around(position, 0, Filter::Linear);
        // As they come: x first, then y, and y goes down.
        [2, 3, 1, 0].map(|corner| self.pixel(&around, corner, 0))
    }

    /// Calls `each` for the pixels under the filter whose weight is not 0, with their shares.
    fn each_pixel(&self, position: &Position, levels: &Levels, mut each: impl FnMut(Pixel, f32)) {
        for (level, share) in [(levels.first, 1.0 - levels.part), (levels.second, levels.part)] {
            // The second level; the share of the first is never 0.
            if share == 0.0 {
                break;
            }
            let around = self.around(position, level, levels.filter);
            for corner in 0..self.corners {
                let weight = around.weight(corner);
                if weight > 0.0 {
                    each(self.pixel(&around, corner, level), weight * share);
                }
            }
        }
    }

    /// The levels for a level of detail, of a texture that has some.
    fn levels(&self, lod: f32) -> Levels {
        let (least, most) = self.lod_clamp;
        // If one operand is a NaN, `max` and `min` return the other.
        let lod = (lod + self.bias).max(least).min(most);
        let filter = if lod > 0.0 { self.min_filter } else { self.mag_filter };
        let last = self.texture.levels.len() as u32 - 1;
        let held = lod.clamp(0.0, last as f32);
        let (level, part) = match self.mip_filter {
            MipFilter::None => (0, 0.0),
            MipFilter::Nearest => ((held + 0.5).floor() as u32, 0.0),
            MipFilter::Linear => (held.floor() as u32, held.fract()),
        };
        Levels { first: level.min(last), second: last.min(level + 1), part, filter }
    }

    fn around(&self, position: &Position, level: u32, filter: Filter) -> Around {
        let texture = self.texture;
        let size = texture.levels[level as usize].size;
        let elements = texture.slices / texture.faces();
        // The element nearest to the number, within the array.
        let element = (position.at[3].round_ties_even() as u32).min(elements.saturating_sub(1));
        if texture.cube {
            return on_face(position, size[0], element, filter);
        }
        // A dimension that the texture does not have has no edges.
        let mut axes: [Pair; 3] = [[(Some(0), 1.0), (Some(0), 0.0)]; 3];
        for (axis, found) in axes.iter_mut().enumerate().take(texture.sides) {
            let (at, size) = (position.at[axis], size[axis]);
            let coordinate = if self.normalized { at * size as f32 } else { at };
            let [first, second] = pair(coordinate, position.offset[axis], filter);
            found[0] = (wrap(first.0, size, self.address[axis]), first.1);
            found[1] = (wrap(second.0, size, self.address[axis]), second.1);
        }
        Around::Element(axes, element)
    }

    fn pixel(&self, around: &Around, corner: usize, level: u32) -> Pixel {
        match around.place(corner) {
            Some((at, slice)) => self.texture.pixel(at, slice, level),
            None => self.border(),
        }
    }

    /// The color beyond the edges.
    fn border(&self) -> Pixel {
        let one = if self.integers { 1 } else { 1.0f32.to_bits() };
        let zero_address = self.address.contains(&Address::ClampToZero);
        self.texture.swizzled(match self.sampler.border() {
            // Transparent where the texture has an alpha (MSL 2.10).
            _ if zero_address => [0, 0, 0, if self.texture.format.has_alpha() { 0 } else { one }],
            Border::TransparentBlack => [0; 4],
            Border::OpaqueBlack => [0, 0, 0, one],
            Border::OpaqueWhite => [one; 4],
        })
    }
}

impl Around {
    fn place(&self, corner: usize) -> Place {
        match self {
            Self::Element([x, y, z], element) => {
                let (x, y, z) = (x[corner & 1].0?, y[corner >> 1 & 1].0?, z[corner >> 2].0?);
                Some(([x, y, z], *element))
            }
            Self::Face(face, columns, rows, size, element) => {
                let (column, row) = (columns[corner & 1].0, rows[corner >> 1 & 1].0);
                let (face, column, row) = across_edge(*face, column, row, *size);
                Some(([column, row, 0], element * 6 + face))
            }
        }
    }

    fn weight(&self, corner: usize) -> f32 {
        match self {
            Self::Element([x, y, z], _) => {
                x[corner & 1].1 * y[corner >> 1 & 1].1 * z[corner >> 2].1
            }
            Self::Face(_, columns, rows, ..) => columns[corner & 1].1 * rows[corner >> 1 & 1].1,
        }
    }
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
fn on_face(position: &Position, size: u32, element: u32, filter: Filter) -> Around {
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
    Around::Face(number, pixels(s), pixels(t), size.into(), element)
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
                            let view = View::new(texture, sampler);
                            let found = view.sample(&position, x).map(f32::from_bits);
                            let possible = |&value: &f32| (-0.001..=1.001).contains(&value);
                            assert!(found.iter().all(possible), "{position:?}: {found:?}");
                            view.gather(&position);
                            view.compare(&position, y, x);
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
        let sampled = |sampler, position: &Position| {
            f32::from_bits(View::new(&texture, sampler).sample(position, 0.0)[0])
        };
        assert_eq!(sampled(sampler, &position), 2.0);
        for (reduction, x, want) in [("minimum", 0.6, 2.0), ("maximum", 0.4, f32::INFINITY)] {
            sampler.set("reduction", reduction).expect("a reduction");
            let position = Position { at: [x, 0.5 / 3.0, 0.0, 0.0], offset: [0; 3] };
            assert_eq!(sampled(sampler, &position), want);
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
