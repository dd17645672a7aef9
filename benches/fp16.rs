//! Slice conversions, with a memory copy as the limit.
//!
//! A conversion of n elements reads and writes 6n bytes in all, and so does the copy of 3n bytes that it is
//! compared with. `rounds` says how they are measured. In the package
//! `benches/peers` the crate `half` converts the same slices.

use std::hint::black_box;

use aruminium::{cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16};
use rounds::{compare, way};

mod rounds;

fn main() {
    for (len, size) in [(4 << 10, "4 Ki"), (1 << 20, "1 Mi"), (16 << 20, "16 Mi")] {
        let shorts: Vec<u16> = (0..len).map(finite_half).collect();
        let mut floats = vec![0.0f32; len];
        cast_f16_f32(&mut floats, &shorts);
        let (mut to_floats, mut to_shorts) = (vec![0.0f32; len], vec![0u16; len]);
        let (from_bytes, mut to_bytes) = (vec![1u8; 3 * len], vec![0u8; 3 * len]);

        macro_rules! direction {
            ($title:literal, $to:ident, $from:ident, $ours:ident, $peer:ident) => {{
                #[cfg(feature = "peers")]
                let mut peer = peer::$peer(&$from);
                compare(
                    &format!(concat!($title, ", {}"), size),
                    Some(len),
                    &mut [
                        way!(
                            "copy",
                            black_box(&mut to_bytes[..]).copy_from_slice(black_box(&from_bytes))
                        ),
                        way!("aruminium", $ours(black_box(&mut $to), black_box(&$from))),
                        #[cfg(feature = "peers")]
                        way!("half", peer()),
                    ],
                )
            }};
        }
        direction!("half to float", to_floats, shorts, cast_f16_f32, half_to_float);
        direction!("float to half", to_shorts, floats, cast_f32_f16, float_to_half);
        direction!("bfloat to float", to_floats, shorts, cast_bf16_f32, bfloat_to_float);
        direction!("float to bfloat", to_shorts, floats, cast_f32_bf16, float_to_bfloat);
    }
}

/// Finite halves of both signs, a few of them subnormal.
fn finite_half(index: usize) -> u16 {
    (index as u16).wrapping_mul(40_503) & 0xbfff
}

/// The same by the crate `half`.
#[cfg(feature = "peers")]
mod peer {
    use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
    use half::{bf16, f16};
    use std::hint::black_box;

    /// A function that returns a conversion of a slice into memory of its own.
    macro_rules! conversion {
        ($name:ident, $from:ty => $to:ty, |$source:ident, $target:ident| $convert:expr) => {
            pub(super) fn $name(source: &[$from]) -> impl FnMut() {
                let mut target = vec![<$to>::default(); source.len()];
                move || {
                    let ($source, $target) = (black_box(source), black_box(&mut target[..]));
                    $convert;
                }
            }
        };
    }
    conversion!(half_to_float, u16 => f32, |source, target| {
        source.reinterpret_cast::<f16>().convert_to_f32_slice(target)
    });
    conversion!(float_to_half, f32 => f16, |source, target| target.convert_from_f32_slice(source));
    conversion!(bfloat_to_float, u16 => f32, |source, target| {
        source.reinterpret_cast::<bf16>().convert_to_f32_slice(target)
    });
    conversion!(float_to_bfloat, f32 => bf16, |source, target| target.convert_from_f32_slice(source));
}
