//! Heat in a plate of tiles: cells around tiles are exchanged by one launch per step. The result is written as a PNG, and
//! compared bit for bit with the same computation over one array.
//!
//! `cargo run --release --features ring --example ring_heat [heat.png]`

use aruminium::Gpu;
use aruminium::ring::{Border, Halo, Reach};
use std::path::Path;
use std::time::Instant;

const TILES: usize = 4;
const TILE: usize = 32;
const SIDE: usize = TILES * TILE;
const STEPS: usize = 400;
const EDGE: f32 = 20.0;

const SOURCE: &str = "
    #include <metal_stdlib>
    using namespace metal;

    kernel void heat(device const float *from [[buffer(0)]], device float *to [[buffer(1)]],
                     constant uint &tile [[buffer(2)]], uint3 at [[thread_position_in_grid]]) {
        uint row = tile + 2;
        uint i = at.z * row * row + (at.y + 1) * row + at.x + 1;
        float around = (from[i - 1] + from[i + 1]) + (from[i - row] + from[i + row]);
        to[i] = from[i] + 0.2f * (around - 4.0f * from[i]);
    }";

/// A hot disc in a cold plate.
fn first() -> Vec<f32> {
    let hot = |cell: usize| {
        let (x, y) =
            ((cell % SIDE) as f32 - SIDE as f32 / 3.0, (cell / SIDE) as f32 - SIDE as f32 / 2.0);
        x * x + y * y < (SIDE * SIDE) as f32 / 50.0
    };
    (0..SIDE * SIDE).map(|cell| if hot(cell) { 100.0 } else { EDGE }).collect()
}

/// The same step over one array.
fn step(from: &[f32]) -> Vec<f32> {
    let at = |x: isize, y: isize| {
        let inside = (0..SIDE as isize).contains(&x) && (0..SIDE as isize).contains(&y);
        if inside { from[y as usize * SIDE + x as usize] } else { EDGE }
    };
    (0..SIDE * SIDE)
        .map(|cell| {
            let (x, y) = ((cell % SIDE) as isize, (cell / SIDE) as isize);
            let around = (at(x - 1, y) + at(x + 1, y)) + (at(x, y - 1) + at(x, y + 1));
            from[cell] + 0.2 * (around - 4.0 * from[cell])
        })
        .collect()
}

/// A grey picture as a PNG: one filter byte before each row, in blocks of deflate that are not compressed.
fn png(side: usize, pixels: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    };
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &body, &crc(&body).to_be_bytes()].concat()
    };
    let rows: Vec<u8> =
        pixels.chunks(side).flat_map(|row| std::iter::once(0).chain(row.iter().copied())).collect();
    let (mut low, mut high) = (1u32, 0u32);
    for &byte in &rows {
        low = (low + u32::from(byte)) % 65521;
        high = (high + low) % 65521;
    }
    let mut data = vec![0x78, 0x01];
    let blocks = rows.chunks(0xffff).count();
    for (number, block) in rows.chunks(0xffff).enumerate() {
        data.push((number + 1 == blocks).into());
        data.extend((block.len() as u16).to_le_bytes());
        data.extend((!(block.len() as u16)).to_le_bytes());
        data.extend(block);
    }
    data.extend((high << 16 | low).to_be_bytes());
    let size = (side as u32).to_be_bytes();
    let header = [&size[..], &size, &[8, 0, 0, 0, 0]].concat();
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunks].concat()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1);
    run(path.as_deref().map(Path::new)).map(drop)
}

/// Returns the heat of each cell, and writes the picture of it.
pub(crate) fn run(path: Option<&Path>) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let gpu = Gpu::open()?;
    let halo = Halo::new(
        &gpu,
        [TILES, TILES, 1],
        [TILE, TILE, 1],
        1,
        Border::Constant(EDGE),
        Reach::Faces,
    )?;
    let (mut from, mut to) = (halo.tiles(&gpu)?, halo.tiles(&gpu)?);
    from.write(&first());
    let pipeline = gpu.pipeline(&gpu.compile(SOURCE)?.function("heat")?)?;
    let queue = gpu.new_command_queue()?;

    let start = Instant::now();
    let commands = queue.commands()?;
    let encoder = commands.encoder()?;
    for _ in 0..STEPS {
        halo.encode(&encoder, &from)?;
        encoder.bind(&pipeline);
        encoder.bind_buffer(from.buffer(), 0, 0);
        encoder.bind_buffer(to.buffer(), 0, 1);
        encoder.push(&(TILE as u32).to_ne_bytes(), 2);
        encoder.launch((TILE, TILE, TILES * TILES), (TILE, 8, 1));
        std::mem::swap(&mut from, &mut to);
    }
    encoder.finish();
    commands.submit();
    commands.finish()?;
    let took = start.elapsed().as_secs_f64();
    println!(
        "{STEPS} steps of {SIDE} x {SIDE} cells: {:.1} million cells/s",
        (STEPS * SIDE * SIDE) as f64 / took / 1e6
    );

    let expected = (0..STEPS).fold(first(), |plate, _| step(&plate));
    let found = from.read();
    assert!(found.iter().zip(&expected).all(|(one, other)| one.to_bits() == other.to_bits()));
    println!("the result equals that of one array in every bit");

    let pixels: Vec<u8> =
        found.iter().map(|heat| ((heat - EDGE) * 255.0 / (100.0 - EDGE)) as u8).collect();
    let picture = png(SIDE, &pixels);
    match path {
        Some(path) => std::fs::write(path, picture)?,
        None => println!("{} bytes of PNG; name a file to keep it", picture.len()),
    }
    Ok(found)
}
