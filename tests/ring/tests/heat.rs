//! The picture that the example `ring_heat` writes, read by another crate's decoder.

use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;

/// The example, with its `main`.
#[path = "../../../examples/ring_heat.rs"]
#[allow(dead_code, reason = "nothing calls `main`")]
mod ring_heat;

#[test]
fn the_picture_of_the_example_has_the_heat_of_each_cell() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("ring-heat-{}.png", std::process::id()));
    let heat = ring_heat::run(Some(&file))?;
    let mut reader = png::Decoder::new(BufReader::new(File::open(&file)?)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits into memory")];
    let frame = reader.next_frame(&mut pixels)?;
    fs::remove_file(&file)?;
    assert_eq!((frame.width, frame.height), (128, 128));
    assert_eq!(
        (frame.color_type, frame.bit_depth),
        (png::ColorType::Grayscale, png::BitDepth::Eight)
    );
    assert_eq!((pixels.len(), heat.len()), (128 * 128, 128 * 128));
    // From 20 degrees, black, to 100, white.
    for (cell, (&pixel, &heat)) in pixels.iter().zip(&heat).enumerate() {
        let expected = (f64::from(heat) - 20.0) * 255.0 / 80.0;
        assert!(
            (f64::from(pixel) - expected).abs() < 1.001,
            "cell {cell}: {pixel}, not {expected}"
        );
    }
    // A disc that is hot in the middle, and has cooled around it.
    let at = |x: usize, y: usize| pixels[y * 128 + x];
    assert!(at(43, 64) > 100 && at(43, 64) > at(60, 64) && at(60, 64) > at(90, 64) + 20);
    Ok(())
}
