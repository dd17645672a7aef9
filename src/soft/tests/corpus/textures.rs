//! Rows for textures and samplers.

use super::File;
use super::element::near;
use crate::soft::ir::Sampler;
use crate::soft::kernel::texture::{Kind, Level, NO_SWIZZLE, Packing, Pixel, PixelFormat, Texture};

/// Pixels of four 32-bit words.
#[derive(Clone, Copy)]
enum Words {
    Floats,
    Integers,
}

impl PixelFormat for Words {
    fn bytes(&self) -> usize {
        16
    }

    fn is_integer(&self) -> bool {
        matches!(self, Self::Integers)
    }

    fn has_alpha(&self) -> bool {
        true
    }

    fn decode(&self, bytes: &[u8]) -> Pixel {
        std::array::from_fn(|k| {
            u32::from_le_bytes(bytes[4 * k..4 * k + 4].try_into().expect("four bytes"))
        })
    }

    fn encode(&self, pixel: Pixel, bytes: &mut [u8]) {
        bytes.copy_from_slice(pixel.map(u32::to_le_bytes).as_flattened());
    }

    fn packing(&self) -> Option<(Kind, Packing)> {
        let kind = if self.is_integer() { Kind::Uint } else { Kind::Float };
        Some((kind, Packing::Fields([0, 32, 64, 96].map(|first| (first, 32)))))
    }
}

/// A texture of the corpus: its index, and its pixels.
#[derive(Clone)]
pub(in crate::soft::tests) struct Image {
    index: u32,
    format: Words,
    sides: usize,
    cube: bool,
    slices: u32,
    levels: Vec<Level>,
    /// The stride of slices.
    stride: usize,
    pixels: Vec<[u32; 4]>,
}

impl Image {
    /// An image of the given size. `pixel` returns the components at x, y, z, slice and level.
    fn new(
        index: u32,
        size: &[u32],
        slices: u32,
        count: u32,
        pixel: impl Fn(u32, u32, u32, u32, u32) -> [f32; 4],
    ) -> Self {
        let full: [u32; 3] = std::array::from_fn(|side| size.get(side).copied().unwrap_or(1));
        let mut levels = Vec::new();
        let mut stride = 0;
        for level in 0..count {
            let size = full.map(|side| (side >> level).max(1));
            let (row, image) = (size[0] as usize * 16, (size[0] * size[1]) as usize * 16);
            levels.push(Level { offset: stride, row, image, size });
            stride += image * size[2] as usize;
        }
        let mut pixels = Vec::new();
        for slice in 0..slices {
            for (number, level) in levels.iter().enumerate() {
                let [width, height, depth] = level.size;
                for place in 0..width * height * depth {
                    let (x, y, z) = (place % width, place / width % height, place / width / height);
                    pixels.push(pixel(x, y, z, slice, number as u32).map(f32::to_bits));
                }
            }
        }
        let (format, sides) = (Words::Floats, size.len());
        Self { index, format, sides, cube: false, slices, levels, stride, pixels }
    }

    fn cube(self) -> Self {
        Self { cube: true, ..self }
    }

    /// The same with integers.
    fn integers(self, pixel: impl Fn(usize) -> [i32; 4]) -> Self {
        let pixels = (0..self.pixels.len()).map(|at| pixel(at).map(|word| word as u32)).collect();
        Self { format: Words::Integers, pixels, ..self }
    }

    pub(in crate::soft::tests) fn texture(&mut self) -> (u32, Texture<'_>) {
        let base = self.pixels.as_mut_ptr().cast();
        let texture = Texture {
            base,
            levels: &self.levels,
            slices: self.slices,
            stride: self.stride,
            sides: self.sides,
            cube: self.cube,
            format: &self.format,
            swizzle: NO_SWIZZLE,
            id: 0,
        };
        (self.index, texture)
    }
}

/// The textures of the file's kernels.
pub(in crate::soft::tests) fn images() -> Vec<Image> {
    let place = |x: u32, y: u32, _, _, _| [x as f32, y as f32, 0.0, 1.0];
    let number = |x: u32, y: u32, z: u32, slice: u32, level: u32| {
        [(x + 10 * y + 100 * z + 1000 * slice + 10000 * level) as f32, 0.0, 0.0, 1.0]
    };
    let of_level = |_, _, _, _, level: u32| [(level * level) as f32; 4];
    vec![
        Image::new(0, &[8, 4], 1, 1, place),
        Image::new(1, &[8, 4], 1, 1, |_, _, _, _, _| [0.0; 4]),
        Image::new(2, &[8, 8], 1, 4, of_level),
        Image::new(3, &[4, 1], 1, 1, place).integers(|at| [at as i32, -40000, 3, 4]),
        Image::new(4, &[4, 1], 1, 1, place).integers(|at| [at as i32 + 7, 70000, 0, 1]),
        Image::new(5, &[4, 1], 1, 1, place),
        Image::new(6, &[4, 1], 1, 1, |x, _, _, _, _| [x as f32 * 10.0; 4]),
        Image::new(8, &[4], 1, 1, number),
        Image::new(9, &[4], 2, 1, number),
        Image::new(10, &[2, 2], 3, 1, number),
        Image::new(11, &[2, 2, 4], 1, 1, number),
        Image::new(12, &[2, 2], 6, 1, number).cube(),
        Image::new(13, &[2, 2], 12, 1, number).cube(),
        Image::new(14, &[4], 1, 1, number),
        Image::new(15, &[4, 1], 1, 1, number),
    ]
}

/// The samplers that the host binds: pixels, the second with a linear filter.
pub(super) fn samplers() -> Vec<(u32, Sampler)> {
    let mut nearest = Sampler::default();
    nearest.set("coord", "pixel").expect("an option");
    let mut linear = nearest;
    linear.set("filter", "linear").expect("an option");
    vec![(0, nearest), (1, linear)]
}

#[test]
fn textures() {
    let mut file =
        File::open("textures.metal", include_str!("../../../../tests/msl/textures.metal"));
    file.images = images;
    let place = |i: usize| [(i % 8) as f32, (i / 8) as f32];
    let pixel = |i: usize| [place(i)[0], place(i)[1], 0.0, 1.0];
    file.kernel("read_default_access").each(32, pixel);
    let places: Vec<_> = (0..32).map(place).collect();
    file.kernel("read_short_coordinates").grid(8, 4, 1).group(8, 4, 1).expects(&places);
    file.kernel("read_outside").each(4, |_| [0.0f32; 4]);
    file.kernel("read_half").each(8, |i| i as f32 + 1.0);
    file.kernel("size_of_it").expects(&[8u32, 4, 1, 0, 8]);
    file.kernel("write_all").each(32, pixel);
    file.kernel("write_and_read_back").each(32, |i| 2.0 * i as f32 + 1.0);
    file.kernel("divergent_reads").each(64, |i| {
        (0..i % 5).filter(|k| (i + k) % 3 != 0).fold(0.0f32, |sum, k| sum + k as f32 + 1.0)
    });
    file.kernel("coordinates_change").each(8, |i| i as f32 + 30.0);
    file.kernel("passed_to_functions").each(8, |i| i as f32 * 10101.0);
    let kept = |i: usize| if (2..10).contains(&i) { [i as f32 - 2.0, 2.0] } else { [0.0; 2] };
    file.kernel("kept_in_a_struct").each(12, kept);
    let source = |i: usize| {
        let (x, inside) = (i as f32, i < 8);
        let linear = (x - 0.5).clamp(0.0, 7.0);
        let edge = x.min(7.0);
        [linear, (i % 8) as f32, edge, f32::from(u8::from(inside)), edge]
    };
    file.kernel("samplers_of_the_source").each(12, source);
    let moved = |i: usize| [(i as f32 - 2.0).max(0.0), 2.0];
    file.kernel("sampled_with_offset").each(8, moved);
    // Level n is n² everywhere.
    let mixed = |lod: f32| {
        let lod = lod.clamp(0.0, 3.0);
        let (low, part) = (lod.floor(), lod.fract());
        low * low * (1.0 - part) + (low + 1.0).min(3.0).powi(2) * part
    };
    let levels = |i: usize| {
        let lod = i as f32 * 0.25;
        let nearest = |lod: f32| (lod + 0.5).floor().min(3.0).powi(2);
        [
            mixed(lod),
            nearest(lod),
            nearest(lod.clamp(1.0, 2.0)),
            0.0,
            mixed(lod),
            mixed(lod),
            mixed(lod),
            mixed(lod.max(1.0)),
            mixed(lod.max(0.5)),
            0.0,
        ]
    };
    // Whole and quarter levels: powers of two and their roots are not exact.
    file.kernel("levels_of_detail").each(14, |i| levels(i).map(|x| near(1e-4, x.into())));
    let gathered = [2.0f32, 3.0, 3.0, 2.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    file.kernel("gathered").expects(&gathered);
    file.kernel("integers").each(4, |i| -3 * i as i32);
    file.kernel("narrow_integers").each(4, |_| [-32768i32, 65535]);
    file.kernel("integers_are_not_mixed").expects(&[7u32, 1, 8]);
    file.kernel("arrays_of_textures").each(4, |i| match i % 3 {
        2 => -1.0f32,
        0 => i as f32,
        _ => 10.0 * i as f32,
    });
    file.kernel("passed_as_array_ref").each(4, |i| 11.0 * i as f32);
    let line = |i: usize| {
        let mixed = (i as f32 - 0.5).max(0.0) + 1000.0;
        [2.0 * i as f32 + 400.0, mixed + 100.0 * i as f32, 20.0]
    };
    file.kernel("one_dimension").each(4, line);
    let layer = |i: usize| {
        let clamped = i.min(2) as f32 * 1000.0;
        [clamped, if i < 3 { clamped } else { 0.0 }, 3.0]
    };
    file.kernel("layers").each(5, layer);
    let deep = |i: usize| {
        let between = (i as f32 - 0.5).clamp(0.0, 3.0) * 100.0;
        [
            if i < 4 { 10.0 + 100.0 * i as f32 } else { 0.0 },
            10.0 + between,
            1.0 + 100.0 * i.min(3) as f32 + 4000.0,
        ]
    };
    file.kernel("depth_of_three").each(5, deep);
    // The centre of a face is the corner of four pixels: the last of them contains it.
    let face = |i: usize| [i as f32 * 1000.0 + 11.0, i as f32 * 1000.0 + 2.0];
    file.kernel("faces").each(6, face);
    file.kernel("faces_of_layers").each(3, |i| (i.min(1) * 6000 + 3001) as f32);
    file.kernel("buffer_of_pixels").each(4, |i| i as f32 + 5.0);
    let depth = |i: usize| {
        let x = i as f32;
        // Between pixels x - 1 and x: the reference is less than those above 1.5.
        let (low, high) = ((x - 1.0).max(0.0), x);
        let passes = |at: f32| f32::from(u8::from(1.5 < at));
        let compared = (passes(low) + passes(high)) / 2.0;
        let gathered = [0.0f32, 1.0, 1.0, 0.0].map(|at| f32::from(u8::from(x < at)));
        let at_least = f32::from(u8::from(1.0 >= x));
        [[(low + high) / 2.0, x, compared, at_least], gathered]
    };
    file.kernel("depths").each(4, depth);
    file.kernel("own_names")
        .input(&[3.0f32])
        .input(&[1.0f32, 2.0, 4.0])
        .each(3, |i| 3.0 + 6.0 * [1.0f32, 2.0, 4.0][i] - 1.0);
    file.finish();
}
