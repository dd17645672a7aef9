//! ggml's copies between plain types and quantised ones.
//!
//! Plain copies are exact, but for rounding to the type. Quantised blocks are read exactly, as far as `half` goes; blocks
//! that are made are not further from the numbers than the steps of their format allow: half a step, and one step
//! where the largest number falls between two.

use kernels::blocks::Format;
use kernels::ggml::Ggml;
use kernels::numbers::{Number, near};
use kernels::structs::Struct;

/// Numbers of a row, rows, and matrices.
const SIDES: [usize; 3] = [96, 5, 3];

/// Sides and steps of both, contiguous ones; a row consists of units, of which each thread copies one.
fn arguments(units: usize, from: (usize, usize), to: (usize, usize)) -> Struct {
    let sides = [SIDES[0], SIDES[1], SIDES[2], 1].map(|side| side as u64);
    let steps = |(unit, row): (usize, usize)| {
        [unit, row, row * SIDES[1], row * SIDES[1] * SIDES[2]].map(|step| step as u64)
    };
    let all = Struct::new().u64([units as u64]).u64(sides).u64(steps(from));
    all.u64(sides).u64(steps(to))
}

/// Runs a copy with a thread for each unit of a row.
fn copy(
    ggml: &'static Ggml,
    kernel: &str,
    units: usize,
    input: &[u8],
    from: (usize, usize),
    to: (usize, usize),
) -> Vec<u8> {
    let arguments = ggml.arguments(kernel, "cpy", arguments(units, from, to));
    let launch = ggml.launch(kernel).bytes(&arguments).bytes(input);
    let launch = launch.room(to.1 * SIDES[1] * SIDES[2]);
    launch.groups((SIDES[1], SIDES[2], 1), (units, 1, 1), 2)
}

fn count() -> usize {
    SIDES.iter().product()
}

#[test]
fn between_plain_types() {
    for ggml in Ggml::all() {
        let row = |number: Number| (number.size(), SIDES[0] * number.size());
        let types = [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];
        let pairs =
            ["f32_f32", "f32_f16", "f32_bf16", "f16_f32", "f16_f16", "bf16_f32", "bf16_bf16"];
        for pair in pairs {
            let kernel = format!("kernel_cpy_{pair}");
            let number =
                |name: &str| types.iter().find(|(known, _)| *known == name).map(|found| found.1);
            let Some((from, to)) = pair.split_once('_') else { unreachable!() };
            let (Some(from), Some(to)) = (number(from), number(to)) else { panic!("{pair}") };
            let values = from.some(1, count());
            let out = copy(ggml, &kernel, SIDES[0], &from.encode(&values), row(from), row(to));
            let expected: Vec<f64> = values.iter().map(|&value| to.rounded(value)).collect();
            near(&kernel, &to.decode(&out), &expected, 0.0);
        }
        // Whole numbers below zero, too; fractions are cut off.
        let values: Vec<f64> = (0..count()).map(|k| k as f64 / 4.0 - 90.0).collect();
        let words = (4, SIDES[0] * 4);
        let ints: Vec<i32> = values.iter().map(|value| value.trunc() as i32).collect();
        let bytes: Vec<u8> = ints.iter().flat_map(|value| value.to_le_bytes()).collect();
        let floats = Number::F32.encode(&values);
        assert_eq!(copy(ggml, "kernel_cpy_f32_i32", SIDES[0], &floats, words, words), bytes);
        assert_eq!(copy(ggml, "kernel_cpy_i32_i32", SIDES[0], &bytes, words, words), bytes);
        let whole: Vec<f64> = ints.iter().map(|&value| f64::from(value)).collect();
        let out = copy(ggml, "kernel_cpy_i32_f32", SIDES[0], &bytes, words, words);
        near("kernel_cpy_i32_f32", &Number::F32.decode(&out), &whole, 0.0);
    }
}

/// A block's bytes, and those of a row of blocks.
fn blocks_of(format: &Format) -> (usize, usize) {
    (format.bytes, SIDES[0] / format.weights * format.bytes)
}

#[test]
fn from_blocks() {
    for ggml in Ggml::all() {
        for name in ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"] {
            let format = Format::named(name);
            let blocks = format.some(2, count() / format.weights);
            for (to, number) in [("f32", Number::F32), ("f16", Number::F16)] {
                let kernel = format!("kernel_cpy_{name}_{to}");
                let plain = (number.size(), SIDES[0] * number.size());
                let out = copy(ggml, &kernel, SIDES[0] / 16, &blocks, blocks_of(format), plain);
                near(&kernel, &number.decode(&out), &format.weights(&blocks), 2e-3);
            }
        }
    }
}

#[test]
fn to_blocks() {
    for ggml in Ggml::all() {
        // How many steps a format has from the smallest number of a block to the largest, or to either side of zero.
        for (name, steps, has_least) in [
            ("q4_0", 8.0, false),
            ("q4_1", 15.0, true),
            ("q5_0", 16.0, false),
            ("q5_1", 31.0, true),
            ("q8_0", 127.0, false),
            // Its steps differ: the widest is 24 of 127.
            ("iq4_nl", 127.0 / 24.0, false),
        ] {
            let format = Format::named(name);
            let kernel = format!("kernel_cpy_f32_{name}");
            let values = Number::F32.some(3, count());
            let units = SIDES[0] / format.weights;
            let plain = (4, SIDES[0] * 4);
            let out =
                copy(ggml, &kernel, units, &Number::F32.encode(&values), plain, blocks_of(format));
            let made = format.weights(&out);
            for (block, (made, values)) in made.chunks(32).zip(values.chunks(32)).enumerate() {
                let most = values.iter().fold(f64::MIN, |a, &b| a.max(b));
                let least = values.iter().fold(f64::MAX, |a, &b| a.min(b));
                let range = if has_least { most - least } else { most.abs().max(least.abs()) };
                let step = range / steps;
                for (k, (made, value)) in made.iter().zip(values).enumerate() {
                    // Scales are halves: a part in 2^11 of all steps.
                    let allowed =
                        step * if has_least || name == "q8_0" { 0.5 } else { 1.0 } + range / 1024.0;
                    assert!(
                        (made - value).abs() <= allowed,
                        "{kernel}: block {block}, number {k} is {made}, not {value}"
                    );
                }
                // On the whole they are near: no rounding goes one way only.
                let off = made.iter().zip(values).map(|(a, b)| a - b).sum::<f64>() / 32.0;
                assert!(off.abs() <= step / 3.0, "{kernel}: block {block} is off by {off}");
            }
        }
    }
}
