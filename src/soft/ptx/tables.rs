//! The tables of textures, samplers and addresses that a launch passes to a kernel, in memory of the GPU, which the
//! routines of the library read (`msl/library/texture.metal`, `arguments.metal`).

use super::cuda::Address;
use super::emit::layout;
use super::launch::Region;
use crate::soft::ir::Expected;
use crate::soft::kernel::texture::{
    Kind, Level, NO_SWIZZLE, Packing, Pixel, PixelFormat, Texture, from_srgb, to_srgb,
};
use crate::soft::kernel::{Resident, ResidentTexture};

/// Bytes of a texture's description.
pub(super) const DESCRIPTION: usize = 120;
/// Where a description says whether pixels are integers of 32 bits.
pub(super) const HAS_WORDS: usize = 68;

/// The number of a pointer's region if memory has a pointer in the form of registers to memory that has an address.
const FOREIGN: usize = 0xffff;

/// Tables: bytes with pointers among them.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) bytes: Vec<u8>,
    /// Where the bytes have offsets from their own start, which become addresses.
    pointers: Vec<usize>,
    /// Where each table is, by the field of the parameter that has its address.
    places: Vec<(usize, usize)>,
    /// Fields of the parameter that are numbers.
    numbers: Vec<(usize, u64)>,
}

/// A texture of a launch that is not compressed, with the address of its pixels on the GPU.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) texture: Texture<'a>,
    pub(super) base: Address,
}

/// Resources that memory may refer to.
pub(super) struct Known<'a> {
    pub(super) residents: &'a [Resident<'a>],
    pub(super) textures: &'a [ResidentTexture<'a>],
    /// For each region of the kernel's own, without the null pointer's, its address.
    pub(super) starts: Vec<u64>,
    /// The kinds of textures that the kernel expects.
    pub(super) expected: &'a [u64],
}

impl Tables {
    fn u32(&mut self, number: u32) {
        self.bytes.extend(number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.bytes.extend(number.to_le_bytes());
    }

    /// A pointer to something that is written later; returns where it is.
    fn later(&mut self) -> usize {
        let at = self.bytes.len();
        self.pointers.push(at);
        self.u64(0);
        at
    }

    /// The next bytes are what a pointer points to.
    fn here(&mut self, pointer: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let to = self.bytes.len() as u64;
        self.bytes[pointer..pointer + 8].copy_from_slice(&to.to_le_bytes());
    }

    /// The next bytes are a table whose address is a field of the parameter.
    fn place(&mut self, field: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        self.places.push((field, self.bytes.len()));
    }

    /// The samplers that are bound.
    pub(super) fn samplers(&mut self, samplers: &[u64]) {
        self.place(layout::SAMPLERS);
        samplers.iter().for_each(|&sampler| self.u64(sampler));
    }

    /// The textures, by number: first none, and after the last one that does not exist.
    pub(super) fn textures(&mut self, textures: &[Placed<'_>], srgb: Address) {
        self.place(layout::TEXTURES);
        self.numbers.push((layout::TEXTURE_COUNT, textures.len() as u64));
        let none = Placed { texture: Texture::NONE, base: 0 };
        let missing = Placed { texture: Texture::MISSING, base: 0 };
        let all = || std::iter::once(&none).chain(textures).chain(std::iter::once(&missing));
        let pointers: Vec<usize> = all().map(|placed| self.describe(placed, srgb)).collect();
        for (pointer, placed) in pointers.into_iter().zip(all()) {
            self.here(pointer);
            for level in placed.texture.levels {
                self.u64(level.offset as u64);
                self.u64(level.row as u64);
                self.u64(level.image as u64);
                level.size.iter().for_each(|&side| self.u32(side));
                self.u32(0);
            }
        }
    }

    /// A texture's description; returns where the address of its levels belongs.
    fn describe(&mut self, Placed { texture, base }: &Placed<'_>, srgb: Address) -> usize {
        let start = self.bytes.len();
        let (kind, packing) =
            texture.format.packing().unwrap_or((Kind::Uint, Packing::Fields([(0, 0); 4])));
        self.u64(*base);
        let levels = self.later();
        self.u64(srgb);
        self.u64(texture.stride as u64);
        self.u32(texture.levels.len() as u32);
        self.u32(texture.slices);
        self.u32(texture.sides as u32);
        self.u32(texture.faces());
        self.u32(texture.format.bytes() as u32);
        self.u32(unit(texture, *base));
        self.u32(kind as u32);
        let (number, fields) = match packing {
            Packing::Fields(fields) => (0, fields),
            Packing::Float11 => (1, [(0, 0); 4]),
            Packing::Exponent => (2, [(0, 0); 4]),
        };
        self.u32(number);
        self.u32(texture.format.has_alpha().into());
        self.u32(texture.has_words().into());
        fields.iter().for_each(|field| self.u32(field.0));
        fields.iter().for_each(|field| self.u32(field.1));
        texture.swizzle.iter().for_each(|&pick| self.u32(pick.into()));
        debug_assert_eq!(self.bytes.len() - start, DESCRIPTION);
        levels
    }

    /// The targets of pointers and textures in memory, and all regions.
    pub(super) fn addresses(&mut self, known: &Known<'_>, regions: &[Region], ids: &[u64]) {
        let own = known.starts.len();
        // A pointer has 16 bits for the number of its region, and one number is for foreign pointers.
        let residents = &known.residents[..known.residents.len().min(FOREIGN - 1 - own)];
        self.place(layout::FAR_REGIONS);
        self.numbers.push((layout::FAR_COUNT, (own + residents.len()) as u64));
        for region in std::iter::once(&Region::default()).chain(regions) {
            [region.start, region.bytes, region.flags]
                .into_iter()
                .for_each(|field| self.u64(field));
        }
        let mut ranges: Vec<[u64; 4]> = Vec::with_capacity(residents.len());
        for (number, resident) in residents.iter().enumerate() {
            let end = resident.address.saturating_add(resident.bytes.min(1 << 46));
            ranges.push([resident.address, end, end, (own + 1 + number) as u64]);
        }
        ranges.sort_by_key(|range| range[0]);
        let mut reach = 0;
        for range in &mut ranges {
            reach = reach.max(range[1]);
            range[2] = reach;
        }
        let first = ids.len() - known.textures.len();
        let mut by_id: Vec<(u64, usize)> = known
            .textures
            .iter()
            .enumerate()
            .map(|(number, one)| (one.texture.id, number))
            .collect();
        by_id.sort_unstable();
        self.place(layout::ADDRESSES);
        let pointers: [usize; 5] = std::array::from_fn(|_| self.later());
        let counts = [ranges.len(), 1 + own + residents.len(), by_id.len(), ids.len()];
        counts.iter().for_each(|&count| self.u64(count as u64));
        self.u64(known.expected.len() as u64);
        self.here(pointers[0]);
        ranges.iter().flatten().for_each(|&field| self.u64(field));
        self.here(pointers[1]);
        self.u64(0);
        known.starts.iter().for_each(|&start| self.u64(start));
        residents.iter().for_each(|resident| self.u64(resident.address));
        self.here(pointers[2]);
        for &(id, number) in &by_id {
            self.u64(id);
            self.u64((first + number + 1) as u64);
        }
        self.here(pointers[3]);
        ids.iter().for_each(|&id| self.u64(id));
        self.here(pointers[4]);
        for &(_, number) in &by_id {
            let owner = known.textures[number].owner;
            self.bytes.extend(known.expected.iter().map(|&expected| {
                u8::from(
                    Expected::from_imm(expected).is_some_and(|one| owner.misfit(one).is_some()),
                )
            }));
        }
    }

    /// Makes offsets addresses, for tables that begin at one.
    pub(super) fn move_to(&mut self, base: Address) {
        for &at in &self.pointers {
            let field: &mut [u8] = &mut self.bytes[at..at + 8];
            let offset = super::report::number(field, 0, 8);
            field.copy_from_slice(&(base + offset).to_le_bytes());
        }
    }

    /// The fields of the parameter that are about the tables.
    pub(super) fn fields(&self, base: Address) -> impl Iterator<Item = (usize, u64)> {
        let places = self.places.iter().map(move |&(field, at)| (field, base + at as u64));
        places.chain(self.numbers.iter().copied())
    }
}

/// The pixels of a compressed texture when they are decoded: four floats. Without an alpha it is 1 outside, too.
struct Decoded {
    has_alpha: bool,
}

impl PixelFormat for Decoded {
    fn bytes(&self) -> usize {
        16
    }

    fn is_integer(&self) -> bool {
        false
    }

    fn has_alpha(&self) -> bool {
        self.has_alpha
    }

    fn decode(&self, bytes: &[u8]) -> Pixel {
        std::array::from_fn(|k| super::report::number(bytes, 4 * k, 4) as u32)
    }

    fn encode(&self, _: Pixel, _: &mut [u8]) {}

    fn packing(&self) -> Option<(Kind, Packing)> {
        let alpha = if self.has_alpha { (96, 32) } else { (0, 0) };
        Some((Kind::Float, Packing::Fields([(0, 32), (32, 32), (64, 32), alpha])))
    }
}

/// The pixels of a compressed texture, decoded.
pub(super) struct Pixels {
    pub(super) bytes: Vec<u8>,
    levels: Vec<Level>,
    stride: usize,
}

impl Pixels {
    /// Decodes a texture; `None` if it is not compressed.
    pub(super) fn of(texture: &Texture<'_>) -> Option<Self> {
        if texture.format.packing().is_some() {
            return None;
        }
        let plain = Texture { swizzle: NO_SWIZZLE, ..*texture };
        let (mut levels, mut stride) = (Vec::new(), 0);
        for level in texture.levels {
            let [width, height, depth] = level.size.map(|side| side as usize);
            let (row, image) = (16 * width, 16 * width * height);
            levels.push(Level { offset: stride, row, image, size: level.size });
            stride += image * depth;
        }
        let mut bytes = Vec::with_capacity(stride * texture.slices as usize);
        for slice in 0..texture.slices {
            for (number, level) in levels.iter().enumerate() {
                let [width, height, depth] = level.size;
                let rows = (0..depth).flat_map(|z| (0..height).map(move |y| (y, z)));
                for (x, y, z) in rows.flat_map(|(y, z)| (0..width).map(move |x| (x, y, z))) {
                    let pixel = plain.pixel([x, y, z], slice, number as u32);
                    bytes.extend(pixel.map(u32::to_le_bytes).as_flattened());
                }
            }
        }
        Some(Self { bytes, levels, stride })
    }

    /// The texture with these pixels.
    pub(super) fn texture<'a>(&'a self, of: &Texture<'a>) -> Texture<'a> {
        let format: &Decoded = match of.format.has_alpha() {
            true => &Decoded { has_alpha: true },
            false => &Decoded { has_alpha: false },
        };
        Texture { levels: &self.levels, stride: self.stride, format, ..*of }
    }
}

/// The bytes that pixels are read and written in pieces of: 4, 2 or 1.
fn unit(texture: &Texture<'_>, base: Address) -> u32 {
    let mut all = base | 4 | texture.stride as u64 | texture.format.bytes() as u64;
    for level in texture.levels {
        all |= (level.offset | level.row | level.image) as u64;
    }
    1 << all.trailing_zeros()
}

/// Numbers of bytes with sRGB's transfer function as fractions, and for each byte the least number that becomes it.
pub(super) fn srgb() -> Vec<f32> {
    let decoded = (0..=255u8).map(|byte| from_srgb(f32::from(byte) / 255.0));
    let byte = |bits: u32| {
        let value = to_srgb(f32::from_bits(bits));
        (value.clamp(0.0, 1.0) * 255.0).round_ties_even() as u32
    };
    let least = |wanted: u32| {
        // The bits of positive floats are in the order of their values.
        let (mut low, mut high) = (0, 1.0f32.to_bits());
        while low < high {
            let middle = low + (high - low) / 2;
            if byte(middle) >= wanted { high = middle } else { low = middle + 1 }
        }
        f32::from_bits(low)
    };
    decoded.chain((0..=255).map(least)).collect()
}

/// How many bytes a texture has from its base on.
pub(super) fn extent(texture: &Texture<'_>) -> usize {
    let [columns, rows] = texture.format.block().map(|side| side as usize);
    let level = |level: &Level| {
        let [width, height, depth] = level.size.map(|side| side as usize);
        if width * height * depth == 0 {
            return 0;
        }
        level.offset
            + (depth - 1) * level.image
            + (height.div_ceil(rows) - 1) * level.row
            + width.div_ceil(columns) * texture.format.bytes()
    };
    match (texture.slices as usize, texture.levels.iter().map(level).max().unwrap_or(0)) {
        (0, _) | (_, 0) => 0,
        (slices, one) => (slices - 1) * texture.stride + one,
    }
}
