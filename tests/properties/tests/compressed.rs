//! Blocks of random bits decode as in the crates `texture2ddecoder`, which has eight bits a component, and `bcdec_rs`, two
//! independent implementations.

use aruminium::{Gpu, MTLRegion, PixelFormat, Subresource, TextureDescriptor};

const BLOCKS: usize = 1024;

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;
    kernel void look(texture2d<float, access::read> image, device float4 *out, uint2 at [[thread_position_in_grid]]) {
        out[at.y * image.get_width() + at.x] = image.read(at);
    }";

/// Reads all texels of blocks that are side by side: block by block, each row by row.
fn texels(format: PixelFormat, blocks: &[u8]) -> Vec<Vec<[f32; 4]>> {
    let gpu = Gpu::open().unwrap();
    let (columns, rows, bytes) = format.block().unwrap();
    let count = blocks.len() / bytes;
    let width = count * columns;
    let texture = gpu.texture_with(&TextureDescriptor::new_2d(format, width, rows)).unwrap();
    let whole = MTLRegion { origin: (0, 0, 0).into(), size: (width, rows, 1).into() };
    texture.write(Subresource::default(), whole, blocks).unwrap();
    let pipeline = gpu.pipeline(&gpu.compile(SOURCE).unwrap().function("look").unwrap()).unwrap();
    let out = gpu.buffer(width * rows * 16).unwrap();
    let commands = gpu.new_command_queue().unwrap().commands().unwrap();
    let encoder = commands.encoder().unwrap();
    encoder.bind(&pipeline);
    encoder.bind_texture(&texture, 0);
    encoder.bind_buffer(&out, 0, 0);
    encoder.launch((width, rows, 1), (columns, rows, 1));
    encoder.finish();
    commands.submit();
    commands.finish().unwrap();
    let all = out.read_f32(|all| all.to_vec());
    let texel =
        |x: usize, y: usize| -> [f32; 4] { all[4 * (y * width + x)..][..4].try_into().unwrap() };
    (0..count)
        .map(|block| {
            (0..columns * rows)
                .map(|at| texel(block * columns + at % columns, at / columns))
                .collect()
        })
        .collect()
}

/// Random bytes; `prepare` changes each block.
fn random(bytes: usize, prepare: impl Fn(usize, &mut [u8])) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut all: Vec<u8> = (0..BLOCKS * bytes)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as u8
        })
        .collect();
    all.chunks_exact_mut(bytes).enumerate().for_each(|(number, block)| prepare(number, block));
    all
}

/// Compares with the other implementation, whose results are blue, green, red, alpha. Returns how many texels are opaque
/// magenta here, which are not compared.
fn compare(
    format: PixelFormat,
    prepare: impl Fn(usize, &mut [u8]),
    other: impl Fn(&[u8], &mut [u32]),
    tolerance: f32,
) -> usize {
    let (columns, rows, bytes) = format.block().unwrap();
    let blocks = random(bytes, prepare);
    let mut magenta = 0;
    for (block, found) in blocks.chunks_exact(bytes).zip(texels(format, &blocks)) {
        let invalid = |texel: &[f32; 4]| *texel == [1.0, 0.0, 1.0, 1.0];
        let mut wanted = vec![0; columns * rows];
        // The other implementation does not expect invalid blocks.
        if !found.iter().all(invalid) {
            other(block, &mut wanted);
        }
        for (at, (found, wanted)) in found.into_iter().zip(wanted).enumerate() {
            // Of a transparent texel with one bit of alpha, the other implementation leaves the color.
            let wanted = if found == [0.0; 4] { wanted & 0xff00_0000 } else { wanted };
            let [blue, green, red, alpha] = wanted.to_le_bytes().map(f32::from);
            if invalid(&found) {
                magenta += 1;
                continue;
            }
            let found = found.map(|part| part.clamp(0.0, 1.0) * 255.0);
            let same = found
                .iter()
                .zip([red, green, blue, alpha])
                .all(|(found, wanted)| (found - wanted).abs() <= tolerance);
            assert!(
                same,
                "{format:?}, block {block:02x?}, texel {at}: {found:?}, other {:?}",
                [red, green, blue, alpha]
            );
        }
    }
    magenta
}

/// The first endpoint is the larger one, as its order matters to the other implementation.
fn in_order(block: &mut [u8]) {
    let end = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
    if end(0) <= end(2) {
        block[..4].rotate_left(2);
    }
}

#[test]
fn bc1_to_bc5() {
    use texture2ddecoder::*;
    // Eight bits instead of fractions, cut off twice.
    compare(PixelFormat::BC1_RGBA, |_, _| {}, decode_bc1a_block, 2.0);
    compare(PixelFormat::BC2_RGBA, |_, block| in_order(&mut block[8..]), decode_bc2_block, 2.0);
    compare(PixelFormat::BC3_RGBA, |_, block| in_order(&mut block[8..]), decode_bc3_block, 2.0);
    let opaque = |decode: fn(&[u8], &mut [u32])| {
        move |block: &[u8], out: &mut [u32]| {
            out.fill(0xff00_0000);
            decode(block, out);
        }
    };
    compare(PixelFormat::BC4_RUnorm, |_, _| {}, opaque(decode_bc4_block), 1.0);
    compare(PixelFormat::BC5_RGUnorm, |_, _| {}, opaque(decode_bc5_block), 1.0);
}

#[test]
fn bc7() {
    let mode = |number: usize, block: &mut [u8]| {
        let mode = number % 8;
        block[0] = block[0] << mode << 1 | 1 << mode;
    };
    compare(PixelFormat::BC7_RGBAUnorm, mode, texture2ddecoder::decode_bc7_block, 0.01);
}

/// Halves, bit for bit.
#[test]
fn bc6h() {
    let mode = |number: usize, block: &mut [u8]| block[0] = block[0] & !31 | (number as u8 % 32);
    for (format, signed) in
        [(PixelFormat::BC6H_RGBUfloat, false), (PixelFormat::BC6H_RGBFloat, true)]
    {
        let blocks = random(16, mode);
        for (block, found) in blocks.chunks_exact(16).zip(texels(format, &blocks)) {
            let mut wanted = [0u16; 48];
            bcdec_rs::bc6h_half(block, &mut wanted, 12, signed);
            for (found, wanted) in found.into_iter().zip(wanted.chunks_exact(3)) {
                let wanted: Vec<f32> =
                    wanted.iter().map(|&half| half::f16::from_bits(half).to_f32()).collect();
                assert_eq!(found[..3], wanted, "{format:?}, block {block:02x?}");
                assert_eq!(found[3], 1.0);
            }
        }
    }
}

#[test]
fn etc2() {
    use texture2ddecoder::*;
    compare(PixelFormat::ETC2_RGB8, |_, _| {}, decode_etc2_rgb_block, 0.01);
    compare(PixelFormat::ETC2_RGB8A1, |_, _| {}, decode_etc2_rgba1_block, 0.01);
    compare(PixelFormat::EAC_RGBA8, |_, _| {}, decode_etc2_rgba8_block, 0.01);
}

#[test]
fn astc() {
    let formats = [
        PixelFormat::ASTC_4x4_LDR,
        PixelFormat::ASTC_5x4_LDR,
        PixelFormat::ASTC_5x5_LDR,
        PixelFormat::ASTC_6x5_LDR,
        PixelFormat::ASTC_6x6_LDR,
        PixelFormat::ASTC_8x5_LDR,
        PixelFormat::ASTC_8x6_LDR,
        PixelFormat::ASTC_8x8_LDR,
        PixelFormat::ASTC_10x5_LDR,
        PixelFormat::ASTC_10x6_LDR,
        PixelFormat::ASTC_10x8_LDR,
        PixelFormat::ASTC_10x10_LDR,
        PixelFormat::ASTC_12x10_LDR,
        PixelFormat::ASTC_12x12_LDR,
    ];
    for format in formats {
        let (columns, rows, _) = format.block().unwrap();
        let other = |block: &[u8], out: &mut [u32]| {
            texture2ddecoder::decode_astc_block(block, columns, rows, out);
        };
        // Every second of the 2048 modes of weights.
        let mode = |number: usize, block: &mut [u8]| {
            let mode = 2 * number + usize::from(block[15] & 1);
            block[0] = mode as u8;
            block[1] = block[1] & !7 | (mode >> 8) as u8;
        };
        let magenta = compare(format, mode, other, 1.0);
        let all = BLOCKS * columns * rows;
        assert!(all - magenta > 300, "{format:?}: {magenta} of {all} texels are invalid");
    }
}
