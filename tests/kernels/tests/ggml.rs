//! ggml's kernels, compared with the definitions of the formats and formulas.
//!
//! Tolerances: sums in `float` differ by the order of addition, about one part in 10⁶ for each doubling of what they
//! add.

use kernels::ggml::Ggml;
use kernels::numbers::{Number, near};
use kernels::structs::Struct;

/// The function constant of norms for a factor that newer ones have, which they are launched without.
const NO_SCALE: usize = 1700;

#[test]
fn soft_max() {
    for ggml in Ggml::all() {
        for (rows, elements) in [(3usize, 7usize), (2, 64), (4, 1000)] {
            let (input, mask) =
                (Number::F32.some(61, rows * elements), Number::F32.some(62, rows * elements));
            let names = ["f32", "f16", "f32", "f32_4", "f16_4", "f32_4"];
            let masks = [Some(Number::F32), Some(Number::F16), None].repeat(2);
            for (name, number) in names.into_iter().zip(masks) {
                if name.ends_with("_4") && elements % 4 != 0 {
                    continue;
                }
                let kernel = format!("kernel_soft_max_{name}");
                let mask: Vec<f64> =
                    mask.iter().map(|&m| number.map_or(0.0, |number| number.rounded(m))).collect();
                let (row, all) = (4 * elements as u64, (4 * elements * rows) as u64);
                let mask_row = (number.map_or(4, Number::size) * elements) as u64;
                let (k, m) = (elements as i32, rows as i32);
                let arguments = Struct::new().i32([k, m, 1]).u64([row, all, all]).i32([m, 1, 1]);
                let arguments =
                    arguments.u64([mask_row, mask_row * rows as u64, mask_row * rows as u64]);
                let arguments = arguments.u64([row, all, all]).f32([0.5, 0.0, 0.0, 0.0]).i32([0]);
                let arguments = ggml.arguments(&kernel, "soft_max", arguments);
                let launch = ggml.launch(&kernel).bytes(&arguments);
                let launch = launch.bytes(&Number::F32.encode(&input));
                let launch = match number {
                    Some(number) => launch.bytes(&number.encode(&mask)),
                    None => launch.again(1),
                };
                let launch = launch.again(1).room(4 * rows * elements).memory(0, 128);
                let threads = elements.div_ceil(32).min(8) * 32;
                let out = launch.groups((rows, 1, 1), (threads, 1, 1), 4);
                let rows_of = input.chunks(elements).zip(mask.chunks(elements));
                let expected: Vec<f64> = rows_of
                    .flat_map(|(row, mask)| {
                        let scaled: Vec<f64> =
                            row.iter().zip(mask).map(|(x, m)| x * 0.5 + m).collect();
                        let most = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                        let sum: f64 = scaled.iter().map(|x| (x - most).exp()).sum();
                        scaled.into_iter().map(move |x| (x - most).exp() / sum).collect::<Vec<_>>()
                    })
                    .collect();
                near(&kernel, &Number::F32.decode(&out), &expected, 1e-5);
            }
        }
    }
}

#[test]
fn rms_norm() {
    for ggml in Ggml::all() {
        for (rows, elements) in [(3usize, 32usize), (2, 100), (3, 2048)] {
            let input = Number::F32.some(71, rows * elements);
            let (factor, added) = (Number::F32.some(72, elements), Number::F32.some(73, elements));
            for (suffix, width) in [("", 1), ("_4", 4)] {
                for (name, kind) in [("", 1), ("_mul", 2), ("_mul_add", 3)] {
                    let kernel = format!("kernel_rms_norm{name}_f32{suffix}");
                    let (row, all) = (4 * elements as u64, (4 * rows * elements) as u64);
                    let arguments = Struct::new().i32([elements as i32, elements as i32 / width]);
                    let arguments = arguments.u64([row, all, all]).f32([1e-5]);
                    let arguments =
                        arguments.i32([rows as i32, 1, 1]).i32([1, 1, 1]).i32([1, 1, 1]);
                    let arguments =
                        arguments.u64([row, row, row]).u64([all, row, row]).u64([all, row, row]);
                    let arguments = ggml.arguments(&kernel, "norm", arguments);
                    let launch = ggml.launch(&kernel).constant(NO_SCALE, false).bytes(&arguments);
                    let launch = launch.bytes(&Number::F32.encode(&input));
                    let launch = launch.bytes(&Number::F32.encode(&factor));
                    let launch = launch.bytes(&Number::F32.encode(&added));
                    let launch = launch.room(4 * rows * elements).memory(0, 128);
                    let threads = (elements / width as usize).div_ceil(32).min(32) * 32;
                    let out = launch.groups((rows, 1, 1), (threads, 1, 1), 4);
                    let expected: Vec<f64> = input
                        .chunks(elements)
                        .flat_map(|row| {
                            let mean = row.iter().map(|x| x * x).sum::<f64>() / elements as f64;
                            let scale = 1.0 / (mean + 1e-5).sqrt();
                            let both = factor.iter().zip(&added);
                            row.iter().zip(both).map(move |(x, (f, a))| {
                                let factor = if kind > 1 { *f } else { 1.0 };
                                x * scale * factor + if kind > 2 { *a } else { 0.0 }
                            })
                        })
                        .collect();
                    near(&kernel, &Number::F32.decode(&out), &expected, 1e-5);
                }
            }
        }
    }
}

#[test]
fn rope() {
    for ggml in Ggml::all() {
        // Dimensions of a head, those that are turned, heads, positions.
        let (head, turned, heads, places) = (64usize, 48usize, 3usize, 5usize);
        for (name, number) in [("f32", Number::F32), ("f16", Number::F16)] {
            for (form, distance) in [("norm", 1), ("neox", turned / 2)] {
                let kernel = format!("kernel_rope_{form}_{name}");
                let input = number.some(81, head * heads * places);
                let positions: Vec<u8> =
                    (0..places as u32).flat_map(|p| (p * 7).to_le_bytes()).collect();
                let steps = [1, head, head * heads, head * heads * places];
                let steps = steps.map(|step| (step * number.size()) as u64);
                let sides = [head, heads, places, 1].map(|side| side as i32);
                let arguments = Struct::new().i32(sides).u64(steps).i32(sides).u64(steps);
                let arguments = arguments.i32([0, turned as i32, 4096]);
                let arguments = arguments.f32([10000.0, 1.0, 0.0, 1.0, 32.0, 1.0]);
                let arguments = arguments.i32([0; 4]).u8([0]);
                let arguments = ggml.arguments(&kernel, "rope", arguments);
                // Neither interleaved nor backwards; older ones have no such constants.
                let launch = ggml.launch(&kernel).constant(800, false).constant(801, false);
                let launch = launch.bytes(&arguments);
                let launch = launch.bytes(&number.encode(&input)).bytes(&positions).again(1);
                let launch = launch.room(input.len() * number.size());
                let out = launch.groups((heads, places, 1), (32, 1, 1), 4);
                let mut expected = input.clone();
                for (at, row) in expected.chunks_mut(head).enumerate() {
                    for pair in 0..turned / 2 {
                        let place = (at / heads * 7) as f64;
                        let angle = place * 10000f64.powf(-2.0 * pair as f64 / turned as f64);
                        let first = if form == "norm" { 2 * pair } else { pair };
                        let (x, y) = (row[first], row[first + distance]);
                        row[first] = x * angle.cos() - y * angle.sin();
                        row[first + distance] = x * angle.sin() + y * angle.cos();
                    }
                }
                // The angle is a product in `float` of up to 28 radians, from a fast `pow`.
                near(&kernel, &number.decode(&out), &expected, 1e-4 + 2.0 * number.epsilon());
            }
        }
    }
}

/// Positions of several kinds, for parts of a head, and of two, of which each half of a head has one.
#[test]
fn rope_of_several_positions() {
    for ggml in Ggml::all() {
        let (head, heads, places) = (64usize, 3usize, 5usize);
        let positions: Vec<usize> = (0..4 * places).map(|at| at * 7 % 23).collect();
        for (name, number) in [("f32", Number::F32), ("f16", Number::F16)] {
            for (form, interleaved) in [("multi", false), ("multi", true), ("vision", false)] {
                let kernel = format!("kernel_rope_{form}_{name}");
                let vision = form == "vision";
                // Numbers that are turned; pairs with each position.
                let turned = if vision { head / 2 } else { 48 };
                let parts = if vision { [16, 16, 0, 0] } else { [6, 5, 4, 9] };
                let input = number.some(91, head * heads * places);
                let steps = [1, head, head * heads, head * heads * places];
                let steps = steps.map(|step| (step * number.size()) as u64);
                let sides = [head, heads, places, 1].map(|side| side as i32);
                let arguments = Struct::new().i32(sides).u64(steps).i32(sides).u64(steps);
                let arguments = arguments.i32([0, turned as i32, 4096]);
                let arguments = arguments.f32([10000.0, 1.0, 0.0, 1.0, 32.0, 1.0]);
                let arguments = arguments.i32(parts).u8([0]);
                let arguments = ggml.arguments(&kernel, "rope", arguments);
                let launch = ggml.launch(&kernel).constant(800, interleaved).constant(801, false);
                let bytes: Vec<u8> =
                    positions.iter().flat_map(|&at| (at as u32).to_le_bytes()).collect();
                let launch = launch.bytes(&arguments).numbers(number, &input).bytes(&bytes);
                let launch = launch.again(1).room(input.len() * number.size());
                let out = launch.groups((heads, places, 1), (32, 1, 1), 4);
                let mut expected = input.clone();
                for (at, row) in expected.chunks_mut(head).enumerate() {
                    let position = |kind: usize| positions[kind * places + at / heads] as f64;
                    let pairs = if vision { head / 2 } else { turned / 2 };
                    for pair in 0..pairs {
                        let sector = pair % parts.iter().sum::<i32>() as usize;
                        let ends = parts.iter().scan(0, |sum, part| {
                            *sum += *part as usize;
                            Some(*sum)
                        });
                        let kind = match interleaved {
                            // Every third pair, as far as each has some left.
                            true => match sector % 3 {
                                kind if sector < 3 * parts[kind] as usize => kind,
                                _ => 3,
                            },
                            false => ends.take_while(|end| *end <= sector).count(),
                        };
                        let power = match (vision, kind) {
                            (true, 0) => pair,
                            (true, _) => pair - parts[0] as usize,
                            (false, _) => pair,
                        };
                        let angle =
                            position(kind) * 10000f64.powf(-2.0 * power as f64 / turned as f64);
                        let (x, y) = (row[pair], row[pair + pairs]);
                        row[pair] = x * angle.cos() - y * angle.sin();
                        row[pair + pairs] = x * angle.sin() + y * angle.cos();
                    }
                }
                let tolerance = 1e-4 + 2.0 * number.epsilon();
                near(&kernel, &number.decode(&out), &expected, tolerance);
            }
        }
    }
}

#[test]
fn argsort() {
    for ggml in Ggml::all() {
        for (elements, rows) in [(5usize, 2usize), (64, 3), (300, 2)] {
            // All different, so that there is one order.
            let input: Vec<f64> = (0..rows * elements)
                .map(|at| ((at * 7919) % (rows * elements + 1)) as f64)
                .collect();
            for (order, sign) in [("asc", 1.0), ("desc", -1.0)] {
                let kernel = format!("kernel_argsort_f32_i32_{order}");
                let (row, all) = (4 * elements as u64, (4 * rows * elements) as u64);
                let (k, m) = (elements as i32, rows as i32);
                let arguments = Struct::new().i32([k, m, 1, 1]).u64([4, row, all, all]);
                let arguments = arguments.i32([k, m, 1, 1, k]);
                let threads = elements.next_power_of_two();
                let arguments = ggml.arguments(&kernel, "argsort", arguments);
                let launch = ggml.launch(&kernel).bytes(&arguments);
                let launch = launch.bytes(&Number::F32.encode(&input)).room(4 * rows * elements);
                let out = launch.memory(0, 4 * threads).groups((rows, 1, 1), (threads, 1, 1), 2);
                let expected: Vec<f64> = input
                    .chunks(elements)
                    .flat_map(|row| {
                        let mut order: Vec<usize> = (0..elements).collect();
                        order.sort_by(|&a, &b| (row[a] * sign).total_cmp(&(row[b] * sign)));
                        order.into_iter().map(|at| at as f64).collect::<Vec<_>>()
                    })
                    .collect();
                near(&kernel, &Number::U32.decode(&out), &expected, 0.0);
            }
        }
    }
}
