//! Slice conversions against those of the `half` crate, with a memory copy as the limit.
//!
//! A conversion of n elements reads and writes 6n bytes together; the copy beside it is one of 3n
//! bytes, which reads and writes as many. `rounds` says how they are measured.

use std::hint::black_box;

use aruminium::{cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rounds::{compare, way};

mod rounds;

fn main() {
    for (len, size) in [(4 << 10, "4 Ki"), (1 << 20, "1 Mi"), (16 << 20, "16 Mi")] {
        let shorts: Vec<u16> = (0..len).map(half_of_no_special_kind).collect();
        let floats: Vec<f32> = shorts.iter().map(|&bits| f16::from_bits(bits).to_f32()).collect();
        let halves: Vec<f16> = shorts.iter().map(|&bits| f16::from_bits(bits)).collect();
        let bfloats: Vec<bf16> = shorts.iter().map(|&bits| bf16::from_bits(bits)).collect();
        let (mut to_floats, mut to_shorts) = (vec![0.0f32; len], vec![0u16; len]);
        let (mut to_halves, mut to_bfloats) = (vec![f16::ZERO; len], vec![bf16::ZERO; len]);
        let mut theirs = vec![0.0f32; len];
        let (from_bytes, mut to_bytes) = (vec![1u8; 3 * len], vec![0u8; 3 * len]);

        macro_rules! direction {
            ($title:literal, $ours:expr, $theirs:expr) => {
                compare(
                    &format!(concat!($title, ", {}"), size),
                    Some(len),
                    &mut [
                        way!(
                            "copy",
                            black_box(&mut to_bytes[..]).copy_from_slice(black_box(&from_bytes))
                        ),
                        way!("aruminium", $ours),
                        way!("half", $theirs),
                    ],
                )
            };
        }
        direction!(
            "half to float",
            cast_f16_f32(black_box(&mut to_floats), black_box(&shorts)),
            black_box(&halves[..]).convert_to_f32_slice(black_box(&mut theirs))
        );
        direction!(
            "float to half",
            cast_f32_f16(black_box(&mut to_shorts), black_box(&floats)),
            black_box(&mut to_halves[..]).convert_from_f32_slice(black_box(&floats))
        );
        direction!(
            "bfloat to float",
            cast_bf16_f32(black_box(&mut to_floats), black_box(&shorts)),
            black_box(&bfloats[..]).convert_to_f32_slice(black_box(&mut theirs))
        );
        direction!(
            "float to bfloat",
            cast_f32_bf16(black_box(&mut to_shorts), black_box(&floats)),
            black_box(&mut to_bfloats[..]).convert_from_f32_slice(black_box(&floats))
        );
    }
}

/// Finite halves of both signs, a few of them subnormal.
fn half_of_no_special_kind(at: usize) -> u16 {
    (at as u16).wrapping_mul(40_503) & 0xbfff
}
