//! ggml's copies between plain types and quantised ones.
//!
//! Plain copies are exact, but for rounding to the type. Quantised blocks are read exactly, as far as `half` goes; blocks
//! that are made are not further from the numbers than the steps of their format allow: half a step, and one step
//! where the largest number falls between two.

use kernels::blocks::{FORMATS, Format};
use kernels::ggml::Ggml;
use kernels::numbers::{Number, near, noise};
use kernels::structs::Struct;

/// Numbers of a row, rows, and matrices.
const SIDES: [usize; 3] = [256, 5, 3];

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
        let mut ran = 0;
        for format in FORMATS {
            let blocks = format.some(2, count() / format.weights);
            for (to, number) in [("f32", Number::F32), ("f16", Number::F16)] {
                let kernel = format!("kernel_cpy_{}_{to}", format.name);
                if !ggml.has(&kernel) {
                    continue;
                }
                ran += 1;
                let plain = (number.size(), SIDES[0] * number.size());
                let out = copy(ggml, &kernel, SIDES[0] / 16, &blocks, blocks_of(format), plain);
                near(&kernel, &number.decode(&out), &format.weights(&blocks), 2e-3);
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 10 } else { 16 };
        assert_eq!(ran, count, "{}: kernels for blocks", ggml.package);
    }
}

#[test]
fn to_blocks() {
    for ggml in Ggml::all() {
        let mut ran = 0;
        for format in FORMATS {
            let kernel = format!("kernel_cpy_f32_{}", format.name);
            if !ggml.has(&kernel) {
                continue;
            }
            let values = Number::F32.some(3, count());
            let units = SIDES[0] / format.weights;
            let plain = (4, SIDES[0] * 4);
            let out =
                copy(ggml, &kernel, units, &Number::F32.encode(&values), plain, blocks_of(format));
            format.check_made(&kernel, &out, &values);
            ran += 1;
        }
        let count = if ggml.package == "whisper-rs-sys" { 6 } else { 9 };
        assert_eq!(ran, count, "{}: kernels that make blocks", ggml.package);
    }
}

/// Two arrays one after the other along each axis, of plain elements and of blocks.
#[test]
fn concatenations() {
    for ggml in Ggml::all() {
        let mut ran = 0;
        let plain = [("", 4), ("_f32", 4), ("_f16", 2), ("_bf16", 2)];
        let plain = plain.into_iter().chain([("_i8", 1), ("_i16", 2), ("_i32", 4), ("_i64", 8)]);
        let blocks = FORMATS.iter().map(|format| (format!("_{}", format.name), format.bytes));
        let all = plain.map(|(name, size)| (name.to_owned(), size)).chain(blocks);
        for (name, size) in all {
            let kernel = format!("kernel_concat{name}");
            if !ggml.has(&kernel) {
                continue;
            }
            for axis in 0..4 {
                let first = [5usize, 3, 2, 2];
                let (mut second, mut whole) = (first, first);
                second[axis] = 4;
                whole[axis] += 4;
                let bytes = |seed: u64, sides: [usize; 4]| -> Vec<u8> {
                    let count = sides.iter().product::<usize>() * size;
                    noise(seed).take(count).map(|bits| bits as u8).collect()
                };
                let (x, y) = (bytes(1, first), bytes(2, second));
                let array = |fields: Struct, sides: [usize; 4]| {
                    let steps = [1, sides[0], sides[0] * sides[1], sides[0] * sides[1] * sides[2]];
                    fields
                        .i32(sides.map(|side| side as i32))
                        .u64(steps.map(|step| (step * size) as u64))
                };
                let fields = array(array(array(Struct::new(), first), second), whole);
                let fields = fields.i32([axis as i32]);
                // Newer ones take a row in parts, of which there is one.
                let mut arguments = ggml.arguments(&kernel, "concat", fields);
                ggml.set(&kernel, "concat", &mut arguments, "nc0", &1i32.to_le_bytes());
                let launch = ggml.launch(&kernel).bytes(&arguments).bytes(&x).bytes(&y);
                let launch = launch.room(whole.iter().product::<usize>() * size);
                let out = launch.groups((whole[1], whole[2], whole[3]), (4, 1, 1), 3);
                let index = |sides: [usize; 4], place: [usize; 4]| {
                    (0..4).rev().fold(0, |sum, axis| sum * sides[axis] + place[axis])
                };
                for (at, found) in out.chunks(size).enumerate() {
                    let mut place = [0; 4];
                    let mut rest = at;
                    for (place, side) in place.iter_mut().zip(whole) {
                        (*place, rest) = (rest % side, rest / side);
                    }
                    let (from, at_source) = if place[axis] < first[axis] {
                        (&x, index(first, place))
                    } else {
                        place[axis] -= first[axis];
                        (&y, index(second, place))
                    };
                    assert_eq!(found, &from[at_source * size..][..size], "{kernel}, axis {axis}");
                }
            }
            ran += 1;
        }
        let count = if ggml.package == "whisper-rs-sys" { 1 } else { 12 };
        assert_eq!(ran, count, "{}: concatenations", ggml.package);
    }
}
