//! Pixel formats: a table of the values of `MTLPixelFormat`, and conversions between bytes and pixels.

use super::compressed::{Codec, Profile, texel};
use crate::abi::MTLSize;
use crate::soft::ir::half::{f16_bits, f16_value, round_f16};
use crate::soft::kernel::texture::{Kind, Packing, Pixel, PixelFormat, from_srgb, to_srgb};

/// The layout of components in a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Red first; each component has the same whole number of bytes.
    Bytes,
    /// The same with blue first.
    BytesBgr,
    /// Only alpha.
    Alpha,
    /// Bit fields of a word: for red, green, blue and alpha the lowest bit and the width.
    Bits([(u32, u32); 4]),
    /// Eleven, eleven and ten bits, each a small float without a sign.
    Float11,
    /// Three times nine bits, and an exponent for all.
    Exponent,
    /// Compressed in blocks.
    Blocks(Codec),
}

/// A pixel format.
#[derive(Debug)]
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) value: usize,
    /// The size of a block: of a pixel, unless it is compressed.
    pub(crate) bytes: usize,
    channels: usize,
    pub(crate) kind: Kind,
    layout: Layout,
}

const A1BGR5: Layout = Layout::Bits([(11, 5), (6, 5), (1, 5), (0, 1)]);
const ABGR4: Layout = Layout::Bits([(12, 4), (8, 4), (4, 4), (0, 4)]);
const B5G6R5: Layout = Layout::Bits([(11, 5), (5, 6), (0, 5), (0, 0)]);
const BGR5A1: Layout = Layout::Bits([(10, 5), (5, 5), (0, 5), (15, 1)]);
const RGB10A2: Layout = Layout::Bits([(0, 10), (10, 10), (20, 10), (30, 2)]);
const BGR10A2: Layout = Layout::Bits([(20, 10), (10, 10), (0, 10), (30, 2)]);

macro_rules! formats {
    ($($name:ident $value:literal: $bytes:literal $channels:literal $kind:ident $layout:expr;)+) => {
        static FORMATS: &[Format] = &[$(Format {
            name: stringify!($name),
            value: $value,
            bytes: $bytes,
            channels: $channels,
            kind: Kind::$kind,
            layout: $layout,
        }),+];
    };
}

use Layout::{Alpha, Blocks, Bytes, BytesBgr, Exponent, Float11};

// Name, number, bytes, channels, kind, layout. In the order of the numbers.
formats! {
    A8Unorm 1: 1 1 Unorm Alpha;
    R8Unorm 10: 1 1 Unorm Bytes;
    R8Unorm_sRGB 11: 1 1 Srgb Bytes;
    R8Snorm 12: 1 1 Snorm Bytes;
    R8Uint 13: 1 1 Uint Bytes;
    R8Sint 14: 1 1 Sint Bytes;
    R16Unorm 20: 2 1 Unorm Bytes;
    R16Snorm 22: 2 1 Snorm Bytes;
    R16Uint 23: 2 1 Uint Bytes;
    R16Sint 24: 2 1 Sint Bytes;
    R16Float 25: 2 1 Float Bytes;
    RG8Unorm 30: 2 2 Unorm Bytes;
    RG8Unorm_sRGB 31: 2 2 Srgb Bytes;
    RG8Snorm 32: 2 2 Snorm Bytes;
    RG8Uint 33: 2 2 Uint Bytes;
    RG8Sint 34: 2 2 Sint Bytes;
    B5G6R5Unorm 40: 2 3 Unorm B5G6R5;
    A1BGR5Unorm 41: 2 4 Unorm A1BGR5;
    ABGR4Unorm 42: 2 4 Unorm ABGR4;
    BGR5A1Unorm 43: 2 4 Unorm BGR5A1;
    R32Uint 53: 4 1 Uint Bytes;
    R32Sint 54: 4 1 Sint Bytes;
    R32Float 55: 4 1 Float Bytes;
    RG16Unorm 60: 4 2 Unorm Bytes;
    RG16Snorm 62: 4 2 Snorm Bytes;
    RG16Uint 63: 4 2 Uint Bytes;
    RG16Sint 64: 4 2 Sint Bytes;
    RG16Float 65: 4 2 Float Bytes;
    RGBA8Unorm 70: 4 4 Unorm Bytes;
    RGBA8Unorm_sRGB 71: 4 4 Srgb Bytes;
    RGBA8Snorm 72: 4 4 Snorm Bytes;
    RGBA8Uint 73: 4 4 Uint Bytes;
    RGBA8Sint 74: 4 4 Sint Bytes;
    BGRA8Unorm 80: 4 4 Unorm BytesBgr;
    BGRA8Unorm_sRGB 81: 4 4 Srgb BytesBgr;
    RGB10A2Unorm 90: 4 4 Unorm RGB10A2;
    RGB10A2Uint 91: 4 4 Uint RGB10A2;
    RG11B10Float 92: 4 3 Float Float11;
    RGB9E5Float 93: 4 3 Float Exponent;
    BGR10A2Unorm 94: 4 4 Unorm BGR10A2;
    RG32Uint 103: 8 2 Uint Bytes;
    RG32Sint 104: 8 2 Sint Bytes;
    RG32Float 105: 8 2 Float Bytes;
    RGBA16Unorm 110: 8 4 Unorm Bytes;
    RGBA16Snorm 112: 8 4 Snorm Bytes;
    RGBA16Uint 113: 8 4 Uint Bytes;
    RGBA16Sint 114: 8 4 Sint Bytes;
    RGBA16Float 115: 8 4 Float Bytes;
    RGBA32Uint 123: 16 4 Uint Bytes;
    RGBA32Sint 124: 16 4 Sint Bytes;
    RGBA32Float 125: 16 4 Float Bytes;
    BC1_RGBA 130: 8 4 Unorm Blocks(Codec::Bc1);
    BC1_RGBA_sRGB 131: 8 4 Srgb Blocks(Codec::Bc1);
    BC2_RGBA 132: 16 4 Unorm Blocks(Codec::Bc2);
    BC2_RGBA_sRGB 133: 16 4 Srgb Blocks(Codec::Bc2);
    BC3_RGBA 134: 16 4 Unorm Blocks(Codec::Bc3);
    BC3_RGBA_sRGB 135: 16 4 Srgb Blocks(Codec::Bc3);
    BC4_RUnorm 140: 8 1 Unorm Blocks(Codec::Bc4 { signed: false });
    BC4_RSnorm 141: 8 1 Snorm Blocks(Codec::Bc4 { signed: true });
    BC5_RGUnorm 142: 16 2 Unorm Blocks(Codec::Bc5 { signed: false });
    BC5_RGSnorm 143: 16 2 Snorm Blocks(Codec::Bc5 { signed: true });
    BC6H_RGBFloat 150: 16 3 Float Blocks(Codec::Bc6h { signed: true });
    BC6H_RGBUfloat 151: 16 3 Float Blocks(Codec::Bc6h { signed: false });
    BC7_RGBAUnorm 152: 16 4 Unorm Blocks(Codec::Bc7);
    BC7_RGBAUnorm_sRGB 153: 16 4 Srgb Blocks(Codec::Bc7);
    EAC_R11Unorm 170: 8 1 Unorm Blocks(Codec::Eac { both: false, signed: false });
    EAC_R11Snorm 172: 8 1 Snorm Blocks(Codec::Eac { both: false, signed: true });
    EAC_RG11Unorm 174: 16 2 Unorm Blocks(Codec::Eac { both: true, signed: false });
    EAC_RG11Snorm 176: 16 2 Snorm Blocks(Codec::Eac { both: true, signed: true });
    EAC_RGBA8 178: 16 4 Unorm Blocks(Codec::Etc2Eac);
    EAC_RGBA8_sRGB 179: 16 4 Srgb Blocks(Codec::Etc2Eac);
    ETC2_RGB8 180: 8 3 Unorm Blocks(Codec::Etc2);
    ETC2_RGB8_sRGB 181: 8 3 Srgb Blocks(Codec::Etc2);
    ETC2_RGB8A1 182: 8 4 Unorm Blocks(Codec::Etc2Punch);
    ETC2_RGB8A1_sRGB 183: 8 4 Srgb Blocks(Codec::Etc2Punch);
    ASTC_4x4_sRGB 186: 16 4 Srgb Blocks(Codec::Astc(4, 4, Profile::Srgb));
    ASTC_5x4_sRGB 187: 16 4 Srgb Blocks(Codec::Astc(5, 4, Profile::Srgb));
    ASTC_5x5_sRGB 188: 16 4 Srgb Blocks(Codec::Astc(5, 5, Profile::Srgb));
    ASTC_6x5_sRGB 189: 16 4 Srgb Blocks(Codec::Astc(6, 5, Profile::Srgb));
    ASTC_6x6_sRGB 190: 16 4 Srgb Blocks(Codec::Astc(6, 6, Profile::Srgb));
    ASTC_8x5_sRGB 192: 16 4 Srgb Blocks(Codec::Astc(8, 5, Profile::Srgb));
    ASTC_8x6_sRGB 193: 16 4 Srgb Blocks(Codec::Astc(8, 6, Profile::Srgb));
    ASTC_8x8_sRGB 194: 16 4 Srgb Blocks(Codec::Astc(8, 8, Profile::Srgb));
    ASTC_10x5_sRGB 195: 16 4 Srgb Blocks(Codec::Astc(10, 5, Profile::Srgb));
    ASTC_10x6_sRGB 196: 16 4 Srgb Blocks(Codec::Astc(10, 6, Profile::Srgb));
    ASTC_10x8_sRGB 197: 16 4 Srgb Blocks(Codec::Astc(10, 8, Profile::Srgb));
    ASTC_10x10_sRGB 198: 16 4 Srgb Blocks(Codec::Astc(10, 10, Profile::Srgb));
    ASTC_12x10_sRGB 199: 16 4 Srgb Blocks(Codec::Astc(12, 10, Profile::Srgb));
    ASTC_12x12_sRGB 200: 16 4 Srgb Blocks(Codec::Astc(12, 12, Profile::Srgb));
    ASTC_4x4_LDR 204: 16 4 Unorm Blocks(Codec::Astc(4, 4, Profile::Ldr));
    ASTC_5x4_LDR 205: 16 4 Unorm Blocks(Codec::Astc(5, 4, Profile::Ldr));
    ASTC_5x5_LDR 206: 16 4 Unorm Blocks(Codec::Astc(5, 5, Profile::Ldr));
    ASTC_6x5_LDR 207: 16 4 Unorm Blocks(Codec::Astc(6, 5, Profile::Ldr));
    ASTC_6x6_LDR 208: 16 4 Unorm Blocks(Codec::Astc(6, 6, Profile::Ldr));
    ASTC_8x5_LDR 210: 16 4 Unorm Blocks(Codec::Astc(8, 5, Profile::Ldr));
    ASTC_8x6_LDR 211: 16 4 Unorm Blocks(Codec::Astc(8, 6, Profile::Ldr));
    ASTC_8x8_LDR 212: 16 4 Unorm Blocks(Codec::Astc(8, 8, Profile::Ldr));
    ASTC_10x5_LDR 213: 16 4 Unorm Blocks(Codec::Astc(10, 5, Profile::Ldr));
    ASTC_10x6_LDR 214: 16 4 Unorm Blocks(Codec::Astc(10, 6, Profile::Ldr));
    ASTC_10x8_LDR 215: 16 4 Unorm Blocks(Codec::Astc(10, 8, Profile::Ldr));
    ASTC_10x10_LDR 216: 16 4 Unorm Blocks(Codec::Astc(10, 10, Profile::Ldr));
    ASTC_12x10_LDR 217: 16 4 Unorm Blocks(Codec::Astc(12, 10, Profile::Ldr));
    ASTC_12x12_LDR 218: 16 4 Unorm Blocks(Codec::Astc(12, 12, Profile::Ldr));
    ASTC_4x4_HDR 222: 16 4 Float Blocks(Codec::Astc(4, 4, Profile::Hdr));
    ASTC_5x4_HDR 223: 16 4 Float Blocks(Codec::Astc(5, 4, Profile::Hdr));
    ASTC_5x5_HDR 224: 16 4 Float Blocks(Codec::Astc(5, 5, Profile::Hdr));
    ASTC_6x5_HDR 225: 16 4 Float Blocks(Codec::Astc(6, 5, Profile::Hdr));
    ASTC_6x6_HDR 226: 16 4 Float Blocks(Codec::Astc(6, 6, Profile::Hdr));
    ASTC_8x5_HDR 228: 16 4 Float Blocks(Codec::Astc(8, 5, Profile::Hdr));
    ASTC_8x6_HDR 229: 16 4 Float Blocks(Codec::Astc(8, 6, Profile::Hdr));
    ASTC_8x8_HDR 230: 16 4 Float Blocks(Codec::Astc(8, 8, Profile::Hdr));
    ASTC_10x5_HDR 231: 16 4 Float Blocks(Codec::Astc(10, 5, Profile::Hdr));
    ASTC_10x6_HDR 232: 16 4 Float Blocks(Codec::Astc(10, 6, Profile::Hdr));
    ASTC_10x8_HDR 233: 16 4 Float Blocks(Codec::Astc(10, 8, Profile::Hdr));
    ASTC_10x10_HDR 234: 16 4 Float Blocks(Codec::Astc(10, 10, Profile::Hdr));
    ASTC_12x10_HDR 235: 16 4 Float Blocks(Codec::Astc(12, 10, Profile::Hdr));
    ASTC_12x12_HDR 236: 16 4 Float Blocks(Codec::Astc(12, 12, Profile::Hdr));
    Depth16Unorm 250: 2 1 Unorm Bytes;
    Depth32Float 252: 4 1 Float Bytes;
    Stencil8 253: 1 1 Uint Bytes;
}

impl Format {
    /// The format with this value; `None` for formats that textures cannot have here.
    pub(crate) fn of(value: usize) -> Option<&'static Self> {
        FORMATS.binary_search_by_key(&value, |format| format.value).ok().map(|i| &FORMATS[i])
    }

    /// Whether its components are signed integers.
    pub(crate) fn is_signed_integer(&self) -> bool {
        self.kind == Kind::Sint
    }

    /// The compression, if there is one.
    pub(crate) fn codec(&self) -> Option<Codec> {
        match self.layout {
            Blocks(codec) => Some(codec),
            _ => None,
        }
    }

    /// Whether the mean of two pixels can be computed and stored.
    pub(crate) fn can_be_averaged(&self) -> bool {
        !self.is_integer() && self.codec().is_none()
    }

    /// Whether a view of a texture of this format can have the other format: blocks of the same size, and compressed ones
    /// of the same kind, with or without sRGB.
    pub(crate) fn can_be_viewed_as(&self, other: &Self) -> bool {
        let kind = |format: &Self| {
            let name = format.name;
            name.trim_end_matches("_sRGB").trim_end_matches("_LDR")
        };
        match self.codec().or(other.codec()) {
            Some(_) => kind(self) == kind(other),
            None => self.bytes == other.bytes,
        }
    }

    /// Whether the blocks of two formats have the same size, so that they can be copied.
    pub(crate) fn has_blocks_of(&self, other: &Self) -> bool {
        (self.bytes, self.block()) == (other.bytes, other.block())
    }

    /// How many columns and rows of blocks cover this many pixels.
    pub(crate) fn blocks(&self, width: usize, height: usize) -> (usize, usize) {
        let [columns, rows] = self.block();
        (width.div_ceil(columns as usize), height.div_ceil(rows as usize))
    }

    /// The value of a component that the format lacks.
    fn default_of(&self, channel: usize) -> u32 {
        match (channel, self.is_integer()) {
            (3, true) => 1,
            (3, false) => 1.0f32.to_bits(),
            _ => 0,
        }
    }

    /// How many bytes of a buffer a region takes. Rows are of blocks. Bytes per row and per image do not matter if there
    /// is only one.
    pub(crate) fn bytes_of(
        &self,
        size: MTLSize,
        bytes_per_row: usize,
        bytes_per_image: usize,
    ) -> Result<usize, String> {
        let MTLSize { width, height, depth } = size;
        if width == 0 || height == 0 || depth == 0 {
            return Ok(0);
        }
        let (columns, rows) = self.blocks(width, height);
        let row = columns.checked_mul(self.bytes).ok_or("the row is too long")?;
        if rows > 1 && bytes_per_row < row {
            return Err(format!(
                "{bytes_per_row} bytes per row: {width} pixels of {} take {row}",
                self.name
            ));
        }
        let all = bytes_per_row.checked_mul(rows - 1).and_then(|rows| rows.checked_add(row));
        let image = all.ok_or("the image is too large")?;
        if depth > 1 && bytes_per_image < image {
            return Err(format!("{bytes_per_image} bytes per image: {rows} rows take {image}"));
        }
        let images = bytes_per_image.checked_mul(depth - 1);
        images.and_then(|images| images.checked_add(image)).ok_or("the images are too large".into())
    }

    /// The channel of the nth component of a pixel.
    fn channel_at(&self, place: usize) -> usize {
        match (self.layout, place) {
            (Layout::Alpha, _) => 3,
            (Layout::BytesBgr, 0) => 2,
            (Layout::BytesBgr, 2) => 0,
            _ => place,
        }
    }

    /// Converts a component of this many bits to a number.
    fn widen(&self, raw: u32, bits: u32, place: usize) -> u32 {
        let most = (1u64 << bits) - 1;
        let signed = (raw << (32 - bits)) as i32 >> (32 - bits);
        let float = match self.kind {
            Kind::Uint => return raw,
            Kind::Sint => return signed as u32,
            Kind::Float if bits == 16 => f16_value(raw as u16),
            Kind::Float => f32::from_bits(raw),
            Kind::Unorm => unorm(raw, most),
            Kind::Srgb if place == 3 => unorm(raw, most),
            Kind::Srgb => from_srgb(unorm(raw, most)),
            // The lowest two values both represent -1 (MSL 8.7).
            Kind::Snorm => (signed as f32 / (most >> 1) as f32).max(-1.0),
        };
        float.to_bits()
    }

    /// Converts a number to a component of this many bits: clamped to the range, rounded to the nearest.
    fn narrow(&self, number: u32, bits: u32, place: usize) -> u32 {
        let most = (1u64 << bits) - 1;
        let float = f32::from_bits(number);
        match self.kind {
            Kind::Uint => number.min(most as u32),
            Kind::Sint => (number as i32).clamp(i32::MIN >> (32 - bits), (most >> 1) as i32) as u32,
            Kind::Float if bits == 16 => u32::from(f16_bits(round_f16(float))),
            Kind::Float => number,
            Kind::Unorm => to_unorm(float, most),
            Kind::Srgb if place == 3 => to_unorm(float, most),
            Kind::Srgb => to_unorm(to_srgb(float), most),
            // NaN becomes 0, as in every conversion to an integer.
            Kind::Snorm => {
                (float.clamp(-1.0, 1.0) * (most >> 1) as f32).round_ties_even() as i32 as u32
            }
        }
    }
}

impl PixelFormat for Format {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn block(&self) -> [u32; 2] {
        self.codec().map_or([1, 1], Codec::size)
    }

    fn decode_at(&self, block: &[u8], at: [u32; 2]) -> Pixel {
        let Blocks(codec) = self.layout else { return self.decode(block) };
        let mut pixel = texel(codec, block, at);
        if self.kind == Kind::Srgb {
            pixel[..3].iter_mut().for_each(|color| *color = from_srgb(*color));
        }
        pixel.map(f32::to_bits)
    }

    fn outside(&self) -> Pixel {
        match self.layout {
            Blocks(_) if self.has_alpha() => [0; 4],
            Blocks(_) => [0, 0, 0, 1.0f32.to_bits()],
            _ => self.decode(&[0; 16][..self.bytes]),
        }
    }

    fn is_integer(&self) -> bool {
        matches!(self.kind, Kind::Uint | Kind::Sint)
    }

    fn is_word(&self) -> bool {
        self.is_integer() && (self.channels, self.bytes) == (1, 4)
    }

    fn has_alpha(&self) -> bool {
        self.channels == 4 || matches!(self.layout, Layout::Alpha)
    }

    fn decode(&self, bytes: &[u8]) -> Pixel {
        let mut pixel = [0, 0, 0, self.default_of(3)];
        match self.layout {
            Layout::Bytes | Layout::BytesBgr | Layout::Alpha => {
                let size = self.bytes / self.channels;
                for place in 0..self.channels {
                    let raw = word(bytes, place * size, size);
                    pixel[self.channel_at(place)] = self.widen(raw, size as u32 * 8, place);
                }
            }
            Layout::Bits(fields) => {
                let all = word(bytes, 0, self.bytes);
                for (channel, (shift, bits)) in fields.into_iter().enumerate() {
                    if bits > 0 {
                        let raw = all >> shift & ((1 << bits) - 1);
                        pixel[channel] = self.widen(raw, bits, channel);
                    }
                }
            }
            Layout::Float11 => {
                let all = word(bytes, 0, 4);
                pixel[0] = small_float(all & 0x7ff, 6).to_bits();
                pixel[1] = small_float(all >> 11 & 0x7ff, 6).to_bits();
                pixel[2] = small_float(all >> 22, 5).to_bits();
            }
            Layout::Exponent => {
                let all = word(bytes, 0, 4);
                // The shared exponent has a bias of 15, the fractions nine bits.
                let scale = ((all >> 27) as f32 - 15.0 - 9.0).exp2();
                for (channel, number) in pixel.iter_mut().take(3).enumerate() {
                    *number = ((all >> (9 * channel) & 0x1ff) as f32 * scale).to_bits();
                }
            }
            Layout::Blocks(_) => return self.decode_at(bytes, [0, 0]),
        }
        pixel
    }

    fn encode(&self, pixel: Pixel, bytes: &mut [u8]) {
        let mut put = |at: usize, length: usize, word: u32| {
            bytes[at..at + length].copy_from_slice(&word.to_le_bytes()[..length]);
        };
        match self.layout {
            Layout::Bytes | Layout::BytesBgr | Layout::Alpha => {
                let size = self.bytes / self.channels;
                for place in 0..self.channels {
                    let number = pixel[self.channel_at(place)];
                    put(place * size, size, self.narrow(number, size as u32 * 8, place));
                }
            }
            Layout::Bits(fields) => {
                let field = |(channel, (shift, bits)): (usize, (u32, u32))| match bits {
                    0 => 0,
                    _ => (self.narrow(pixel[channel], bits, channel) & ((1 << bits) - 1)) << shift,
                };
                let all = fields.into_iter().enumerate().map(field).fold(0, |all, bits| all | bits);
                put(0, self.bytes, all);
            }
            Layout::Float11 => {
                let part =
                    |channel: usize, bits| to_small_float(f32::from_bits(pixel[channel]), bits);
                put(0, 4, part(0, 6) | part(1, 6) << 11 | part(2, 5) << 22);
            }
            Layout::Exponent => put(0, 4, to_shared_exponent(&pixel)),
            // Kernels cannot write such textures.
            Layout::Blocks(_) => {}
        }
    }

    fn packing(&self) -> Option<(Kind, Packing)> {
        let packing = match self.layout {
            Layout::Bytes | Layout::BytesBgr | Layout::Alpha => {
                let bits = (8 * self.bytes / self.channels) as u32;
                let mut fields = [(0, 0); 4];
                for place in 0..self.channels {
                    fields[self.channel_at(place)] = (place as u32 * bits, bits);
                }
                Packing::Fields(fields)
            }
            Layout::Bits(fields) => Packing::Fields(fields),
            Layout::Float11 => Packing::Float11,
            Layout::Exponent => Packing::Exponent,
            Layout::Blocks(_) => return None,
        };
        Some((self.kind, packing))
    }
}

/// The number of one, two or four bytes of a pixel.
fn word(bytes: &[u8], at: usize, length: usize) -> u32 {
    match length {
        1 => bytes[at].into(),
        2 => u16::from_le_bytes([bytes[at], bytes[at + 1]]).into(),
        _ => u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]),
    }
}

fn unorm(raw: u32, most: u64) -> f32 {
    raw as f32 / most as f32
}

fn to_unorm(value: f32, most: u64) -> u32 {
    (value.clamp(0.0, 1.0) * most as f32).round_ties_even() as u32
}

/// Decodes an unsigned float of five exponent bits and this many fraction bits: a half with a shorter fraction.
fn small_float(raw: u32, fraction: u32) -> f32 {
    f16_value((raw << (10 - fraction)) as u16)
}

/// Encodes such a float, truncated towards zero as hardware does; negative numbers become 0, too large ones the largest.
fn to_small_float(value: f32, fraction: u32) -> u32 {
    let shift = 10 - fraction;
    let infinity = 0x7c00 >> shift;
    if value.is_nan() {
        return infinity | 1;
    }
    if value == f32::INFINITY {
        return infinity;
    }
    // If rounding to half went up past the value, step down.
    let mut half = f16_bits(value.clamp(0.0, 65504.0)) & 0x7fff;
    if f16_value(half) > value.max(0.0) {
        half -= 1;
    }
    u32::from(half) >> shift
}

/// Three fractions of nine bits with one shared exponent, as OpenGL defines the format.
fn to_shared_exponent(pixel: &Pixel) -> u32 {
    const LARGEST: f32 = 511.0 / 512.0 * 65536.0;
    let color = |channel: usize| {
        let value = f32::from_bits(pixel[channel]);
        if value.is_nan() { 0.0 } else { value.clamp(0.0, LARGEST) }
    };
    let colors = [color(0), color(1), color(2)];
    let most = colors.into_iter().fold(0.0, f32::max);
    let mut exponent = (most.log2().floor().max(-16.0) as i32 + 16).clamp(0, 31);
    let fraction =
        |value: f32, exponent: i32| (value / ((exponent - 24) as f32).exp2() + 0.5).floor() as u32;
    if fraction(most, exponent) == 512 {
        exponent = (exponent + 1).min(31);
    }
    let parts = colors.map(|value| fraction(value, exponent).min(511));
    parts[0] | parts[1] << 9 | parts[2] << 18 | (exponent as u32) << 27
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_metals_and_in_order() {
        let facts = include_str!("../../../tests/data/metal-constants.tsv");
        for format in FORMATS {
            let row = format!("MTLPixelFormat\t{}\t{}", format.name, format.value);
            assert!(facts.lines().any(|line| line == row), "{row}");
            assert!(std::ptr::eq(Format::of(format.value).unwrap(), format));
        }
        assert!(FORMATS.is_sorted_by_key(|format| format.value));
        assert!(Format::of(0).is_none() && Format::of(263).is_none());
    }

    /// Every pixel of the small formats, and a sample of the large ones, survives decoding and encoding.
    #[test]
    fn pixels_survive_both_ways() {
        for format in FORMATS.iter().filter(|format| format.codec().is_none()) {
            let mut seed = 1u32;
            for nth in 0..1u32 << 16 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let mut bytes = [0; 16];
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = (seed.rotate_left(at as u32 * 5) >> 8) as u8;
                }
                if format.bytes <= 2 {
                    bytes[..2].copy_from_slice(&(nth as u16).to_le_bytes());
                }
                let pixel = format.decode(&bytes[..format.bytes]);
                let mut again = [0; 16];
                format.encode(pixel, &mut again[..format.bytes]);
                let second = format.decode(&again[..format.bytes]);
                // Two encodings of -1 and of some shared exponents are the same pixel; the bits of a
                // NaN may differ.
                let same = pixel.iter().zip(&second).all(|(a, b)| {
                    let (x, y) = (f32::from_bits(*a), f32::from_bits(*b));
                    a == b || !format.is_integer() && x.is_nan() && y.is_nan()
                });
                assert!(same, "{} {bytes:?}: {pixel:?} {second:?}", format.name);
            }
        }
    }

    #[test]
    fn known_pixels() {
        let check = |value: usize, bytes: &[u8], numbers: [f32; 4]| {
            let format = Format::of(value).unwrap();
            assert_eq!(format.decode(bytes).map(f32::from_bits), numbers, "{}", format.name);
        };
        check(70, &[255, 0, 51, 255], [1.0, 0.0, 0.2, 1.0]);
        check(80, &[255, 0, 51, 255], [0.2, 0.0, 1.0, 1.0]);
        check(72, &[127, 128, 129, 0], [1.0, -1.0, -1.0, 0.0]);
        check(1, &[255], [0.0, 0.0, 0.0, 1.0]);
        check(10, &[255], [1.0, 0.0, 0.0, 1.0]);
        check(25, &[0, 0x3c], [1.0, 0.0, 0.0, 1.0]);
        check(40, &[0x1f, 0xf8], [1.0, 0.0, 1.0, 1.0]);
        check(90, &[0xff, 0x03, 0, 0xc0], [1.0, 0.0, 0.0, 1.0]);
        check(71, &[0, 255, 0, 128], [0.0, 1.0, 0.0, 128.0 / 255.0]);
        check(93, &(0x100u32 | 16 << 27).to_le_bytes(), [1.0, 0.0, 0.0, 1.0]);
        check(92, &0x3c0u32.to_le_bytes(), [1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn numbers_are_clamped_to_the_range_of_the_format() {
        let encode = |value: usize, numbers: [f32; 4]| {
            let format = Format::of(value).unwrap();
            let mut bytes = [0; 16];
            format.encode(numbers.map(f32::to_bits), &mut bytes[..format.bytes]);
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        assert_eq!(encode(70, [2.0, -1.0, f32::NAN, 0.5]), 0x80_00_00_ff);
        assert_eq!(encode(72, [2.0, -2.0, f32::NAN, 0.0]), 0x00_00_81_7f);
        // Halves: to the nearest, and what is too large to infinity.
        assert_eq!(encode(65, [110.0 / 255.0, 1e6, 0.0, 0.0]), 0x7c00_36e7);
        let mut byte = [0];
        Format::of(13).unwrap().encode([300, 0, 0, 0], &mut byte);
        assert_eq!(byte, [255]);
        Format::of(14).unwrap().encode([-300i32 as u32, 0, 0, 0], &mut byte);
        assert_eq!(byte, [0x80]);
    }

    #[test]
    fn rows_are_measured() {
        let format = Format::of(70).unwrap();
        let size = MTLSize { width: 3, height: 2, depth: 1 };
        assert_eq!(format.bytes_of(size, 16, 0), Ok(28));
        assert!(format.bytes_of(size, 11, 0).unwrap_err().contains("take 12"));
        let deep = MTLSize { depth: 2, ..size };
        assert!(format.bytes_of(deep, 12, 20).is_err());
        assert_eq!(format.bytes_of(deep, 12, 24), Ok(48));
        let huge = MTLSize { width: usize::MAX, height: 2, depth: 1 };
        assert!(format.bytes_of(huge, usize::MAX, 0).is_err());
        assert_eq!(format.bytes_of(MTLSize::default(), 0, 0), Ok(0));
    }
}
