//! The rest of candle's copy of ggml's kernels: arithmetic with smaller arrays, copies, moves, images, softmax, rotations, sorts and scans.
//!
//! Each argument is a buffer of its own. Tolerances are those of ggml's own kernels: functions and sums in `float`.

use kernels::blocks::FORMATS;
use kernels::numbers::{Number, near, noise};
use kernels::references::{different, softmax, turned};
use kernels::run::{Kernels, Launch};
use kernels::structs::{size, word};
use std::sync::OnceLock;

use Number::{F16, F32, U32};

/// The one source, compiled once.
fn kernels() -> &'static Kernels {
    static KERNELS: OnceLock<Kernels> = OnceLock::new();
    KERNELS.get_or_init(|| Kernels::open("candle-metal-kernels", "quantized.metal"))
}

/// The distances of an array's elements along its axes, contiguous ones.
fn steps([a, b, c, _]: [usize; 4], size: usize) -> [usize; 4] {
    [1, a, a * b, a * b * c].map(|step| step * size)
}

/// The place of the element at an index.
fn place([a, b, c, _]: [usize; 4], at: usize) -> [usize; 4] {
    [at % a, at / a % b, at / a / b % c, at / a / b / c]
}

fn index(sides: [usize; 4], place: [usize; 4]) -> usize {
    (0..4).rev().fold(0, |sum, axis| sum * sides[axis] + place[axis])
}

fn count(sides: [usize; 4]) -> usize {
    sides.iter().product()
}

/// More arguments of a launch.
trait Arguments: Sized {
    fn longs_of(self, values: &[usize]) -> Self;
    fn ints_of(self, values: &[i32]) -> Self;
    fn floats_of(self, values: &[f32]) -> Self;
    fn array(self, sides: [usize; 4], size: usize) -> Self {
        self.longs_of(&sides).longs_of(&steps(sides, size))
    }
}

impl Arguments for Launch<'_> {
    fn longs_of(self, values: &[usize]) -> Self {
        values.iter().fold(self, |launch, &value| launch.bytes(&size(value)))
    }

    fn ints_of(self, values: &[i32]) -> Self {
        values.iter().fold(self, |launch, value| launch.bytes(&value.to_le_bytes()))
    }

    fn floats_of(self, values: &[f32]) -> Self {
        values.iter().fold(self, |launch, value| launch.bytes(&value.to_le_bytes()))
    }
}

#[test]
fn arithmetic() {
    type Pair = (&'static str, fn(f64, f64) -> f64);
    let all: [Pair; 4] = [
        ("add", |x, y| x + y),
        ("sub", |x, y| x - y),
        ("mul", |x, y| x * y),
        ("div", |x, y| x / y),
    ];
    let (sides, small) = ([12, 4, 3, 2], [6, 2, 3, 1]);
    let x = F32.some(1, count(sides));
    let y: Vec<f64> = F32.some(2, 36).into_iter().map(|y| if y == 0.0 { 1.0 } else { y }).collect();
    for (name, function) in all {
        let kernel = format!("kernel_{name}");
        let launch = kernels().launch(&kernel).numbers(F32, &x).numbers(F32, &y);
        let launch = launch.room(4 * x.len()).array(sides, 4).array(small, 4).array(sides, 4);
        let found = launch.longs_of(&[0]).groups((4, 3, 2), (8, 1, 1), 2);
        let expected: Vec<f64> = (0..x.len())
            .map(|at| {
                let mut there = place(sides, at);
                there.iter_mut().zip(small).for_each(|(place, side)| *place %= side);
                function(x[at], y[index(small, there)])
            })
            .collect();
        near(&kernel, &F32.decode(&found), &expected, 1e-6);

        // A row of three times four numbers.
        let kernel = format!("kernel_{name}_row");
        let launch = kernels().launch(&kernel).numbers(F32, &x).numbers(F32, &y[..12]);
        let launch = launch.room(4 * x.len()).at(28).longs_of(&[3]);
        let [found] = launch.grid((x.len() / 4, 1, 1), (32, 1, 1), [2]);
        let expected: Vec<f64> = (0..x.len()).map(|at| function(x[at], y[at % 12])).collect();
        near(&kernel, &F32.decode(&found), &expected, 1e-6);
    }
}

#[test]
fn repetitions_and_joints() {
    for (ty, size) in [("f32", 4), ("f16", 2), ("i32", 4), ("i16", 2)] {
        let kernel = format!("kernel_repeat_{ty}");
        let (small, sides) = ([3, 2, 1, 2], [6, 4, 3, 2]);
        let bytes: Vec<u8> = noise(1).take(12 * size).map(|bits| bits as u8).collect();
        let launch = kernels().launch(&kernel).bytes(&bytes).room(144 * size);
        let launch = launch.array(small, size).array(sides, size);
        let found = launch.groups((4, 3, 2), (4, 1, 1), 1);
        let expected = (0..144).flat_map(|at| {
            let mut there = place(sides, at);
            there.iter_mut().zip(small).for_each(|(place, side)| *place %= side);
            bytes[index(small, there) * size..][..size].to_vec()
        });
        assert!(found.into_iter().eq(expected), "{kernel}");
    }
    let kernel = "kernel_concat";
    for axis in 0..4 {
        let first = [5, 3, 2, 2];
        let (mut second, mut whole) = (first, first);
        second[axis] = 4;
        whole[axis] += 4;
        let (x, y) = (F32.some(1, count(first)), F32.some(2, count(second)));
        let launch = kernels().launch(kernel).numbers(F32, &x).numbers(F32, &y);
        let launch = launch.room(4 * count(whole)).array(first, 4).array(second, 4);
        let launch = launch.array(whole, 4).ints_of(&[axis as i32]);
        let found = launch.groups((whole[1], whole[2], whole[3]), (4, 1, 1), 2);
        let expected: Vec<f64> = (0..count(whole))
            .map(|at| {
                let mut there = place(whole, at);
                if there[axis] < first[axis] {
                    return x[index(first, there)];
                }
                there[axis] -= first[axis];
                y[index(second, there)]
            })
            .collect();
        near(kernel, &F32.decode(&found), &expected, 0.0);
    }
}

#[test]
fn copies() {
    let sides = [96, 5, 3, 1];
    for (from, to) in [("f32", "f32"), ("f32", "f16"), ("f16", "f16"), ("f16", "f32")] {
        let kernel = format!("kernel_cpy_{from}_{to}");
        let [from, to] = [from, to].map(|name| Number::named(name).unwrap_or(F32));
        let x = from.some(1, count(sides));
        let launch = kernels().launch(&kernel).numbers(from, &x).room(x.len() * to.size());
        let launch = launch.array(sides, from.size()).array(sides, to.size());
        let found = launch.groups((5, 3, 1), (32, 1, 1), 1);
        let expected: Vec<f64> = x.iter().map(|&x| to.rounded(x)).collect();
        near(&kernel, &to.decode(&found), &expected, 0.0);
    }
    let mut ran = 0;
    for format in FORMATS {
        let kernel = format!("kernel_cpy_f32_{}", format.name);
        if !kernels().has(&kernel) {
            continue;
        }
        let x = F32.some(2, count(sides));
        let row = sides[0] / format.weights * format.bytes;
        let launch = kernels().launch(&kernel).numbers(F32, &x).room(row * 15);
        let launch = launch.array(sides, 4).longs_of(&sides);
        let launch = launch.longs_of(&[format.bytes, row, row * 5, row * 15]);
        let found = launch.groups((5, 3, 1), (sides[0] / format.weights, 1, 1), 1);
        format.check_made(&kernel, &found, &x);
        ran += 1;
    }
    assert_eq!(ran, 6, "kernels that make blocks");

    let kernel = "kernel_get_rows_i32";
    let (rows, picks) = (F32.some(3, 40 * 7), [6usize, 0, 3]);
    let launch = kernels().launch(kernel).numbers(F32, &rows).words(picks).room(3 * 160);
    let launch = launch.longs_of(&[40, 160, 1120, 3, 4, 12, 160, 480]);
    let found = launch.groups((3, 1, 1), (16, 1, 1), 2);
    let expected: Vec<f64> =
        picks.iter().flat_map(|&pick| rows[pick * 40..][..40].to_vec()).collect();
    near(kernel, &F32.decode(&found), &expected, 0.0);
}

#[test]
fn softmax_and_masks() {
    for (elements, rows) in [(7, 3), (64, 2), (1000, 4)] {
        let x = F32.some(1, rows * elements);
        for (name, number) in [("f32", Some(F32)), ("f16", Some(F16)), ("f32", None)] {
            for form in ["", "_4"] {
                if form == "_4" && elements % 4 != 0 {
                    continue;
                }
                let kernel = format!("kernel_soft_max_{name}{form}");
                let mask = number.map(|number| number.some(2, rows * elements));
                let launch = kernels().launch(&kernel).numbers(F32, &x);
                let launch = match (number, &mask) {
                    (Some(number), Some(mask)) => launch.numbers(number, mask),
                    _ => launch.again(0),
                };
                let launch = launch.room(4 * x.len()).longs_of(&[elements, rows, 1]);
                let launch = launch.floats_of(&[0.5, 0.0, 0.0, 0.0]).bytes(&word(0));
                let threads = elements.div_ceil(32).min(8) * 32;
                let found = launch.memory(0, 128).groups((rows, 1, 1), (threads, 1, 1), 2);
                let row = |at: usize| {
                    let scored = (at * elements..(at + 1) * elements)
                        .map(|at| x[at] * 0.5 + mask.as_ref().map_or(0.0, |mask| mask[at]));
                    softmax(&scored.collect::<Vec<_>>())
                };
                let expected: Vec<f64> = (0..rows).flat_map(row).collect();
                near(&kernel, &F32.decode(&found), &expected, 1e-5);
            }
        }
    }
    let (elements, rows, planes, past) = (24, 5, 2, 3);
    let x = F32.some(3, elements * rows * planes);
    let seen = |at: usize| at % elements <= past + at / elements % rows;
    let expected: Vec<f64> =
        (0..x.len()).map(|at| if seen(at) { x[at] } else { f64::NEG_INFINITY }).collect();
    for (kernel, each) in [("kernel_diag_mask_inf", 1), ("kernel_diag_mask_inf_8", 8)] {
        let launch = kernels().launch(kernel).numbers(F32, &x).room(4 * x.len());
        let launch = launch.longs_of(&[elements, rows]).ints_of(&[past as i32]);
        let threads = if each == 1 { (elements, rows, planes) } else { (x.len() / 8, 1, 1) };
        let [found] = launch.grid(threads, (8, 1, 1), [1]);
        near(kernel, &F32.decode(&found), &expected, 0.0);
    }
}

#[test]
fn rotations() {
    let (head, part, heads, places) = (64, 48, 3, 5);
    let sides = [head, heads, places, 1];
    for (name, number) in [("f32", F32), ("f16", F16)] {
        for (form, distance) in [("norm", 1), ("neox", part / 2)] {
            let kernel = format!("kernel_rope_{form}_{name}");
            let x = number.some(1, count(sides));
            let positions: [usize; 5] = std::array::from_fn(|at| at * 7);
            let launch = kernels().launch(&kernel).numbers(number, &x).words(positions).again(0);
            let launch = launch.room(x.len() * number.size());
            let launch = launch.array(sides, number.size()).array(sides, number.size());
            let launch = launch.ints_of(&[0, part as i32, 4096]);
            let launch = launch.floats_of(&[10000.0, 1.0, 0.0, 1.0, 32.0, 1.0]);
            let found = launch.groups((heads, places, 1), (32, 1, 1), 3);
            let mut expected = x.clone();
            for (at, row) in expected.chunks_mut(head).enumerate() {
                for pair in 0..part / 2 {
                    let place = positions[at / heads] as f64;
                    let angle = place * 10000f64.powf(-2.0 * pair as f64 / part as f64);
                    let first = if form == "norm" { 2 * pair } else { pair };
                    let both = turned((row[first], row[first + distance]), angle);
                    (row[first], row[first + distance]) = both;
                }
            }
            near(&kernel, &number.decode(&found), &expected, 1e-4 + 2.0 * number.epsilon());
        }
    }
}

#[test]
fn images_and_series() {
    // Twice as wide, three times as high.
    let kernel = "kernel_upscale_f32";
    let (from, to) = ([5, 3, 2, 1], [10, 9, 2, 1]);
    let x = F32.some(1, count(from));
    let launch = kernels().launch(kernel).numbers(F32, &x).room(4 * count(to));
    let launch = launch.array(from, 4).array(to, 4).floats_of(&[2.0, 3.0, 1.0, 1.0]);
    let found = launch.groups((9, 2, 1), (4, 1, 1), 1);
    let pixel = |at: usize| {
        let [x_at, y_at, plane, _] = place(to, at);
        x[index(from, [x_at / 2, y_at / 3, plane, 0])]
    };
    near(kernel, &F32.decode(&found), &(0..180).map(pixel).collect::<Vec<_>>(), 0.0);

    let kernel = "kernel_pad_f32";
    let to = [8, 4, 2, 1];
    let launch = kernels().launch(kernel).numbers(F32, &x).room(4 * count(to));
    let found = launch.array(from, 4).array(to, 4).groups((4, 2, 1), (4, 1, 1), 1);
    let padded = |at: usize| {
        let there = place(to, at);
        if there[0] < 5 && there[1] < 3 { x[index(from, there)] } else { 0.0 }
    };
    near(kernel, &F32.decode(&found), &(0..count(to)).map(padded).collect::<Vec<_>>(), 0.0);

    let kernel = "kernel_arange_f32";
    let launch = kernels().launch(kernel).room(120).longs_of(&[30]).floats_of(&[1.5, 0.25]);
    let found = launch.groups((1, 1, 1), (8, 1, 1), 0);
    let expected: Vec<f64> = (0..30).map(|at| 1.5 + 0.25 * f64::from(at)).collect();
    near(kernel, &F32.decode(&found), &expected, 0.0);

    let kernel = "kernel_timestep_embedding_f32";
    let times = [0.5, 3.0, 7.25];
    let launch = kernels().launch(kernel).numbers(F32, &times).room(96);
    let launch = launch.longs_of(&[32]).ints_of(&[8, 100]);
    let found = launch.groups((3, 1, 1), (4, 1, 1), 1);
    let expected: Vec<f64> = (0..24)
        .map(|at| {
            let angle = times[at / 8] * 100f64.powf(-((at % 4) as f64) / 4.0);
            if at % 8 < 4 { angle.cos() } else { angle.sin() }
        })
        .collect();
    near(kernel, &F32.decode(&found), &expected, 1e-5);

    // Windows of 3 by 2 in steps of 2 by 1, with a border of one on each side: that counts for means, as zero.
    let (ih, iw, oh, ow, channels) = (7, 6, 8, 4, 2);
    let x = F32.some(2, channels * ih * iw);
    let all = channels * oh * ow;
    for (name, most) in [("max", true), ("avg", false)] {
        let kernel = format!("kernel_pool_2d_{name}_f32");
        let launch = kernels().launch(&kernel).numbers(F32, &x).room(4 * all);
        let launch = launch.ints_of(&[3, 2, 2, 1, 1, 1]).longs_of(&[ih, iw, oh, ow, all]);
        let [found] = launch.grid((all, 1, 1), (32, 1, 1), [1]);
        let expected: Vec<f64> = (0..all)
            .map(|at| {
                let (channel, row, column) = (at / ow / oh, at / ow % oh, at % ow);
                let rows = row.saturating_sub(1)..(row + 1).min(ih);
                let columns = (2 * column).saturating_sub(1)..(2 * column + 2).min(iw);
                let seen: Vec<f64> = rows
                    .flat_map(|row| columns.clone().map(move |column| (row, column)))
                    .map(|(row, column)| x[(channel * ih + row) * iw + column])
                    .collect();
                let sum: f64 = seen.iter().sum();
                if most { seen.into_iter().fold(f64::MIN, f64::max) } else { sum / 6.0 }
            })
            .collect();
        near(&kernel, &F32.decode(&found), &expected, 1e-5);
    }

    // Columns of windows of 3 by 2, of two images with four channels.
    let (iw, ih, channels, images, kw, kh, ow, oh) = (9usize, 7usize, 4, 2, 3, 2, 4, 10);
    let x = F32.some(3, iw * ih * channels * images);
    let row = channels * kw * kh;
    let mut expected = Vec::new();
    for image in 0..images {
        for (y_at, x_at) in (0..oh).flat_map(|y_at| (0..ow).map(move |x_at| (y_at, x_at))) {
            for channel in 0..channels {
                for (dy, dx) in (0..kh).flat_map(|dy| (0..kw).map(move |dx| (dy, dx))) {
                    // Steps of 2 by 1, borders of 1 by 2, and every second column.
                    let there = ((2 * x_at + 2 * dx).checked_sub(1), (y_at + dy).checked_sub(2));
                    expected.push(match there {
                        (Some(x_at), Some(y_at)) if x_at < iw && y_at < ih => {
                            x[((image * channels + channel) * ih + y_at) * iw + x_at]
                        }
                        _ => 0.0,
                    });
                }
            }
        }
    }
    for (ty, number) in [("f32", F32), ("f16", F16)] {
        for (form, groups, threads) in [("", channels, (images, kh, kw)), ("_ext", row, (32, 1, 1))]
        {
            let kernel = format!("kernel_im2col{form}_{ty}");
            let launch = kernels().launch(&kernel).numbers(F32, &x);
            let launch = launch.room(expected.len() * number.size());
            let sizes = [iw * ih * channels, iw * ih, iw, ih, row].map(|size| size as i32);
            let launch = launch.ints_of(&sizes).ints_of(&[2, 1, 1, 2, 2, 1]);
            let launch = launch.ints_of(&[images as i32, kh as i32, kw as i32]);
            let found = launch.groups((groups, oh, ow), threads, 1);
            let expected: Vec<f64> = expected.iter().map(|&x| number.rounded(x)).collect();
            near(&kernel, &number.decode(&found), &expected, 0.0);
        }
    }
}

#[test]
fn groups_sorts_and_states() {
    // Two groups of three channels.
    let kernel = "kernel_group_norm";
    let (width, height, channels) = (5, 4, 6);
    let x = F32.some(1, width * height * channels);
    let launch = kernels().launch(kernel).numbers(F32, &x).room(4 * x.len());
    let launch = launch.longs_of(&[width, height, channels, 4, 20, 80]);
    let launch = launch.ints_of(&[2]).floats_of(&[1e-5]).memory(0, 128);
    // One SIMD-group: two of them clear the sums that the other one may still read.
    let found = launch.groups((2, 1, 1), (32, 1, 1), 1);
    let normal = |group: &[f64]| {
        let count = group.len() as f64;
        let mean = group.iter().sum::<f64>() / count;
        let square = group.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        group.iter().map(|x| (x - mean) / (square + 1e-5).sqrt()).collect::<Vec<_>>()
    };
    let expected: Vec<f64> = x.chunks(60).flat_map(normal).collect();
    near(kernel, &F32.decode(&found), &expected, 1e-5);

    let (side, rows) = (50, 3);
    let x: Vec<f64> = (0..rows).flat_map(|row| different(row, side)).collect();
    for (order, sign) in [("asc", 1.0), ("desc", -1.0)] {
        let kernel = format!("kernel_argsort_f32_i32_{order}");
        let launch = kernels().launch(&kernel).numbers(F32, &x).room(4 * x.len());
        let launch = launch.longs_of(&[side, 64]).memory(0, 256);
        let found = launch.groups((1, rows as usize, 1), (64, 1, 1), 1);
        let sorted = |row: &[f64]| {
            let mut all: Vec<usize> = (0..side).collect();
            all.sort_by(|&a, &b| (row[a] * sign).total_cmp(&(row[b] * sign)));
            all.into_iter().map(|at| at as f64).collect::<Vec<_>>()
        };
        let expected: Vec<f64> = x.chunks(side).flat_map(sorted).collect();
        near(&kernel, &U32.decode(&found), &expected, 0.0);
    }

    let kernel = "kernel_ssm_conv_f32";
    let (width, rows, tokens, sequences) = (4, 5, 6, 2);
    let length = tokens + width - 1;
    let (x, weights) = (F32.some(2, length * rows * sequences), F32.some(3, width * rows));
    let launch = kernels().launch(kernel).numbers(F32, &x).numbers(F32, &weights);
    let launch = launch.room(4 * rows * tokens * sequences);
    let launch = launch.longs_of(&[length, rows, sequences, 4, 4 * length, 4 * length * rows]);
    let launch = launch.longs_of(&[width, rows, 4, 4 * width, rows, tokens, sequences]);
    let launch = launch.longs_of(&[4, 4 * rows, 4 * rows * tokens]);
    let found = launch.groups((rows, tokens, sequences), (1, 1, 1), 2);
    let expected: Vec<f64> = (0..rows * tokens * sequences)
        .map(|at| {
            let (row, token, sequence) = (at % rows, at / rows % tokens, at / rows / tokens);
            let x = &x[(sequence * rows + row) * length + token..];
            x.iter().zip(&weights[row * width..][..width]).map(|(x, weight)| x * weight).sum()
        })
        .collect();
    near(kernel, &F32.decode(&found), &expected, 1e-5);

    // A state for each channel, of which each number decays at its own rate.
    let kernel = "kernel_ssm_scan_f32";
    let (state, channels, tokens, sequences) = (6, 5, 4, 2);
    let begins = F32.some(4, state * channels * sequences);
    let all = channels * tokens * sequences;
    let (x, dt) = (F32.some(5, all), F32.some(6, all));
    let decay: Vec<f64> = F32.some(7, state * channels).iter().map(|a| -a.abs()).collect();
    let [b, c] = [8, 9].map(|seed| F32.some(seed, state * tokens * sequences));
    let launch = [&begins, &x, &dt, &decay, &b, &c]
        .into_iter()
        .fold(kernels().launch(kernel), |launch, one| launch.numbers(F32, one));
    let launch = launch.room(4 * (all + begins.len()));
    let launch = launch.longs_of(&[state, channels, tokens, sequences]);
    let launch = launch.longs_of(&[4, 4 * state, 4 * state * channels]);
    let of_inputs = [4, 4 * channels, 4 * channels * tokens];
    let launch = launch.longs_of(&of_inputs).longs_of(&[4 * all]).longs_of(&of_inputs);
    let of_state = [4, 4 * state, 4 * state * tokens];
    let launch = launch.longs_of(&[4, 4 * state]).longs_of(&of_state).longs_of(&of_state);
    let found = launch.groups((channels, sequences, 1), (1, 1, 1), 6);
    let (mut results, mut now) = (vec![0.0; all], begins.clone());
    for sequence in 0..sequences {
        for token in 0..tokens {
            let place = sequence * tokens + token;
            for channel in 0..channels {
                let at = place * channels + channel;
                let step = (1.0 + dt[at].exp()).ln();
                let own = &mut now[(sequence * channels + channel) * state..][..state];
                for (k, own) in own.iter_mut().enumerate() {
                    *own = *own * (step * decay[channel * state + k]).exp()
                        + b[place * state + k] * x[at] * step;
                    results[at] += *own * c[place * state + k];
                }
            }
        }
    }
    results.extend(now);
    near(kernel, &F32.decode(&found), &results, 1e-5);
}
