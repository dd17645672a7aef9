//! Slice conversions against those of the `half` crate, with a memory copy as the limit.
//!
//! `cargo bench --bench fp16`. A conversion of n elements reads and writes 6n bytes together; the
//! copy beside it is one of 3n bytes, which reads and writes as many. The three take turns, round
//! by round, each for some milliseconds, so that what else the machine does meets all of them;
//! the table gives the median round of each in elements a second, and the medians of the ratios
//! within a round.

use std::hint::black_box;
use std::time::Instant;

use aruminium::{cast_bf16_f32, cast_f16_f32, cast_f32_bf16, cast_f32_f16};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

const SIZES: [(usize, &str); 3] = [(4 << 10, "4 Ki"), (1 << 20, "1 Mi"), (16 << 20, "16 Mi")];
const ROUNDS: usize = 31;

/// Elements that a contender converts in its turn, after one untimed pass over its slices.
const TURN: usize = 2 << 20;

fn main() {
    println!("G elements/s, median of {ROUNDS} rounds; ratios are medians within a round");
    println!(
        "{:24}{:>10}{:>10}{:>10}{:>12}{:>12}",
        "", "aruminium", "half", "copy", "/ half", "/ copy"
    );
    for (len, size) in SIZES {
        let shorts: Vec<u16> = (0..len).map(half_of_no_special_kind).collect();
        let floats: Vec<f32> = shorts.iter().map(|&bits| f16::from_bits(bits).to_f32()).collect();
        let (mut to_floats, mut to_shorts) = (vec![0.0f32; len], vec![0u16; len]);
        let (from_bytes, mut to_bytes) = (vec![1u8; 3 * len], vec![0u8; 3 * len]);
        let mut copy = || black_box(&mut to_bytes[..]).copy_from_slice(black_box(&from_bytes));

        let halves: Vec<f16> = shorts.iter().map(|&bits| f16::from_bits(bits)).collect();
        let bfloats: Vec<bf16> = shorts.iter().map(|&bits| bf16::from_bits(bits)).collect();
        let (mut to_halves, mut to_bfloats) = (vec![f16::ZERO; len], vec![bf16::ZERO; len]);

        let mut theirs = vec![0.0f32; len];
        report(
            len,
            &format!("half to float, {size}"),
            [
                &mut || cast_f16_f32(black_box(&mut to_floats), black_box(&shorts)),
                &mut || black_box(&halves[..]).convert_to_f32_slice(black_box(&mut theirs)),
                &mut copy,
            ],
        );
        report(
            len,
            &format!("float to half, {size}"),
            [
                &mut || cast_f32_f16(black_box(&mut to_shorts), black_box(&floats)),
                &mut || black_box(&mut to_halves[..]).convert_from_f32_slice(black_box(&floats)),
                &mut copy,
            ],
        );
        report(
            len,
            &format!("bfloat to float, {size}"),
            [
                &mut || cast_bf16_f32(black_box(&mut to_floats), black_box(&shorts)),
                &mut || black_box(&bfloats[..]).convert_to_f32_slice(black_box(&mut theirs)),
                &mut copy,
            ],
        );
        report(
            len,
            &format!("float to bfloat, {size}"),
            [
                &mut || cast_f32_bf16(black_box(&mut to_shorts), black_box(&floats)),
                &mut || black_box(&mut to_bfloats[..]).convert_from_f32_slice(black_box(&floats)),
                &mut copy,
            ],
        );
    }
}

/// Finite halves of both signs, a few of them subnormal.
fn half_of_no_special_kind(at: usize) -> u16 {
    (at as u16).wrapping_mul(40_503) & 0xbfff
}

/// Lets ours, `half`'s and the copy take turns and prints a line of the table.
fn report(len: usize, what: &str, mut contenders: [&mut dyn FnMut(); 3]) {
    let repeats = (TURN / len).max(1);
    let mut speeds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (contender, speeds) in contenders.iter_mut().zip(&mut speeds) {
            contender();
            let start = Instant::now();
            for _ in 0..repeats {
                contender();
            }
            speeds.push((len * repeats) as f64 / start.elapsed().as_secs_f64() / 1e9);
        }
    }
    let ratio = |other: usize| {
        median(speeds[0].iter().zip(&speeds[other]).map(|(ours, theirs)| ours / theirs).collect())
    };
    let [ours, half, copy] = speeds.clone().map(median);
    println!("{what:24}{ours:10.2}{half:10.2}{copy:10.2}{:12.2}{:12.2}", ratio(1), ratio(2));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
