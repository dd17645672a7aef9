//! The Mandelbrot set, drawn by a kernel into a texture and saved as a picture.
//!
//! Run it with `cargo run --release --example mandelbrot [file]`; without a name the picture is
//! `target/mandelbrot.png`.

use aruminium::{
    Gpu, GpuError, MTLOrigin, MTLRegion, MTLSize, PixelFormat, TextureDescriptor, TextureUsage,
};
use std::path::PathBuf;

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;

    constant constexpr int LIMIT = 256;

    kernel void mandelbrot(texture2d<float, access::write> picture [[texture(0)]],
                           uint2 at [[thread_position_in_grid]]) {
        const uint2 size(picture.get_width(), picture.get_height());
        // The set lies between -2.5 and 1, and -1.25 and 1.25.
        float2 c = float2(at) / float2(size) * float2(3.5f, 2.5f) - float2(2.5f, 1.25f);
        float2 z = 0;
        int steps = 0;
        while (steps < LIMIT && dot(z, z) < 16.0f) {
            z = float2(z.x * z.x - z.y * z.y, 2 * z.x * z.y) + c;
            steps++;
        }
        float glow = sqrt(float(steps) / float(LIMIT));
        float3 color = steps == LIMIT ? float3(0) : 0.5f + 0.5f * cos(6.28f * (3 * glow + float3(0.0f, 0.1f, 0.2f)));
        picture.write(float4(color, 1), at);
    }
";

const WIDTH: usize = 700;
const HEIGHT: usize = 500;

/// A small encoder of PNG files (RFC 2083): stored, not compressed.
mod png {
    /// The checksum of a chunk (RFC 2083, section 3.4).
    fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
        !bytes.fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                crc >> 1 ^ (crc & 1).wrapping_neg() & 0xEDB8_8320
            })
        })
    }

    /// The checksum of the data (RFC 1950, section 8.2).
    fn adler32(bytes: &[u8]) -> u32 {
        let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), &byte| {
            let a = (a + u32::from(byte)) % 65521;
            (a, (b + a) % 65521)
        });
        b << 16 | a
    }

    /// A zlib stream of stored blocks (RFC 1951, section 3.2.4).
    fn stored(data: &[u8]) -> Vec<u8> {
        let mut stream = vec![0x78, 0x01];
        let mut blocks = data.chunks(u16::MAX.into()).peekable();
        while let Some(block) = blocks.next() {
            let length = block.len() as u16;
            stream.push(u8::from(blocks.peek().is_none()));
            stream.extend(length.to_le_bytes());
            stream.extend((!length).to_le_bytes());
            stream.extend(block);
        }
        stream.extend(adler32(data).to_be_bytes());
        stream
    }

    fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(data);
        file.extend(crc32(kind.iter().chain(data).copied()).to_be_bytes());
    }

    /// A file of 8-bit RGBA pixels.
    pub(crate) fn encode(width: usize, pixels: &[[u8; 4]]) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend((width as u32).to_be_bytes());
        header.extend(((pixels.len() / width) as u32).to_be_bytes());
        header.extend([8, 6, 0, 0, 0]); // 8 bits, red, green, blue and alpha, not interlaced.
        let mut rows = Vec::new();
        for row in pixels.chunks(width) {
            rows.push(0); // No filter.
            rows.extend(row.as_flattened());
        }
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, b"IHDR", &header);
        chunk(&mut file, b"IDAT", &stored(&rows));
        chunk(&mut file, b"IEND", &[]);
        file
    }
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let pipeline = gpu.pipeline(&gpu.compile(SOURCE)?.function("mandelbrot")?)?;
    let descriptor = TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, WIDTH, HEIGHT);
    descriptor.set_usage(TextureUsage::SHADER_WRITE);
    let texture = gpu.texture_with(&descriptor)?;
    let region =
        MTLRegion { origin: MTLOrigin::default(), size: MTLSize::from((WIDTH, HEIGHT, 1)) };

    let queue = gpu.new_command_queue()?;
    let commands = queue.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_texture(&texture, 0);
    encoder.launch((WIDTH, HEIGHT, 1), (16, 16, 1));
    encoder.finish();
    commands.submit();
    commands.finish()?;
    println!("{}: {WIDTH} by {HEIGHT} in {:.2} ms", gpu.name(), commands.gpu_time() * 1e3);

    let mut image = vec![[0u8; 4]; WIDTH * HEIGHT];
    // SAFETY: the image is as large as the region, and its rows are contiguous.
    unsafe { texture.get_bytes(image.as_mut_ptr().cast(), WIDTH * 4, region, 0) }

    // 0 is in the set; the corners are far outside; the picture mirrors itself at the real axis.
    let at = |x: usize, y: usize| image[y * WIDTH + x];
    assert_eq!(at(WIDTH * 5 / 7, HEIGHT / 2), [0, 0, 0, 255]);
    assert!(at(0, 0) != [0, 0, 0, 255] && at(WIDTH - 1, HEIGHT - 1)[3] == 255);
    for y in 1..HEIGHT / 2 {
        let same = (0..WIDTH).filter(|&x| at(x, y) == at(x, HEIGHT - y)).count();
        assert!(
            same * 100 >= WIDTH * 95,
            "row {y} and its mirror image: {same} pixels of {WIDTH} agree"
        );
    }

    let file = std::env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/mandelbrot.png")),
        PathBuf::from,
    );
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&file, png::encode(WIDTH, &image))?;
    println!("saved as {}", file.display());
    Ok(())
}
