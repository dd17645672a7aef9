//! ggml's convolutions, as sums over windows and as columns, their transposes, pools of one dimension, and images of other sizes.
//!
//! Tolerances: sums of a few hundred terms in `float`, in any order; numbers that are moved are exact.

use kernels::ggml::Ggml;
use kernels::numbers::{Number, near};
use kernels::references::silu;
use kernels::structs::Struct;

use Number::{F16, F32};

/// A convolution: along x, y and z the sides of the input and of the filters, steps, borders and distances of a filter's elements; and
/// channels of the input, of the output, and images.
#[derive(Clone, Copy)]
struct Convolution {
    input: [usize; 3],
    filter: [usize; 3],
    step: [usize; 3],
    border: [usize; 3],
    apart: [usize; 3],
    channels: [usize; 2],
    images: usize,
    /// Each channel has a filter of its own.
    by_channel: bool,
}

impl Convolution {
    fn flat() -> Self {
        Self {
            input: [9, 7, 1],
            filter: [3, 2, 1],
            step: [2, 1, 1],
            border: [1, 2, 0],
            apart: [2, 1, 1],
            channels: [4, 5],
            images: 2,
            by_channel: false,
        }
    }

    fn by_channel() -> Self {
        Self { channels: [1, 5], by_channel: true, ..Self::flat() }
    }

    fn solid() -> Self {
        Self {
            input: [6, 5, 4],
            filter: [2, 3, 2],
            step: [1, 2, 1],
            border: [1, 1, 0],
            apart: [1, 1, 2],
            channels: [3, 2],
            images: 2,
            by_channel: false,
        }
    }

    fn output(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| {
            let filter = self.apart[axis] * (self.filter[axis] - 1) + 1;
            (self.input[axis] + 2 * self.border[axis] - filter) / self.step[axis] + 1
        })
    }

    /// Numbers of the weights, of the input and of the output.
    fn counts(&self) -> [usize; 3] {
        let count = |sides: [usize; 3]| sides.iter().product::<usize>();
        let inputs = if self.by_channel { self.channels[1] } else { self.channels[0] };
        [
            count(self.filter) * self.channels[0] * self.channels[1],
            count(self.input) * inputs * self.images,
            count(self.output()) * self.channels[1] * self.images,
        ]
    }

    /// The index of the input's number that a filter's element meets at a place of the output, in one channel of one image.
    fn met(&self, place: [usize; 3], element: [usize; 3]) -> Option<usize> {
        let mut at = 0;
        for axis in [2, 1, 0] {
            let along = place[axis] * self.step[axis] + element[axis] * self.apart[axis];
            let along = along.checked_sub(self.border[axis])?;
            if along >= self.input[axis] {
                return None;
            }
            at = at * self.input[axis] + along;
        }
        Some(at)
    }

    fn reference(&self, weights: &[f64], input: &[f64]) -> Vec<f64> {
        let one: usize = self.input.iter().product();
        let of_filter: usize = self.filter.iter().product();
        let [inputs, outputs] = self.channels;
        let mut out = Vec::new();
        for image in 0..self.images {
            for channel in 0..outputs {
                for place in places(self.output()) {
                    let mut sum = 0.0;
                    for from in 0..inputs {
                        let plane = if self.by_channel {
                            image * outputs + channel
                        } else {
                            image * inputs + from
                        };
                        let filter = &weights[(channel * inputs + from) * of_filter..];
                        for (element, weight) in places(self.filter).zip(filter) {
                            if let Some(at) = self.met(place, element) {
                                sum += weight * input[plane * one + at];
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
        out
    }
}

/// All places of a box, x first.
fn places([x, y, z]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..x * y * z).map(move |at| [at % x, at / x % y, at / x / y])
}

/// The distances of an array's elements along its axes, contiguous ones.
fn steps<const N: usize>(sides: [usize; N], size: usize) -> [u64; N] {
    let mut step = size;
    sides.map(|side| {
        let this = step as u64;
        step *= side;
        this
    })
}

fn ints<const N: usize>(values: [usize; N]) -> [i32; N] {
    values.map(|value| value as i32)
}

/// Runs what `launch` makes of a kernel, its weights' type and their bytes, and compares.
fn compare(
    ggml: &'static Ggml,
    name: &str,
    convolution: Convolution,
    kargs: &str,
    fields: impl Fn(usize) -> Struct,
    (groups, threads): ([usize; 3], usize),
) -> usize {
    let mut ran = 0;
    for (ty, number) in [("f32", F32), ("f16", F16)] {
        let kernel = format!("kernel_{name}_{ty}_f32");
        if !ggml.has(&kernel) {
            continue;
        }
        let [weights, inputs, outputs] = convolution.counts();
        let (weights, input) = (number.some(1, weights), F32.some(2, inputs));
        let launch =
            ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, kargs, fields(number.size())));
        let launch = launch.numbers(number, &weights).numbers(F32, &input).room(outputs * 4);
        let out = launch.groups(groups.into(), (threads, 1, 1), 3);
        let expected = convolution.reference(&weights, &input);
        near(&kernel, &F32.decode(&out), &expected, 1e-5);
        ran += 1;
    }
    ran
}

#[test]
fn convolutions() {
    for ggml in Ggml::all() {
        let all = Convolution::flat();
        let ([iw, ih, _], [kw, kh, _], [ow, oh, _]) = (all.input, all.filter, all.output());
        let [ic, oc] = all.channels;
        let two = |of: [usize; 3]| ints([of[0], of[1]]);
        let fields = |size: usize| {
            let fields = Struct::new().u64(steps([kw, kh, ic, oc], size));
            let fields = fields.u64(steps([iw, ih, ic, all.images], 4));
            let fields = fields.u64(steps([ow, oh, oc, all.images], 4));
            let fields = fields.i32(ints([iw, ih, kw, kh, ic, oc, ow, oh, all.images]));
            fields.i32(two(all.step)).i32(two(all.border)).i32(two(all.apart))
        };
        let mut ran = compare(ggml, "conv_2d", all, "conv_2d", fields, ([3, 2, 1], 32));

        // Rows of pixels, or of channels, whose distances are then other ones.
        let all = Convolution::by_channel();
        let channels = all.channels[1];
        let fields = |size: usize| {
            let fields = Struct::new().u64(steps([kw, kh, channels], size));
            let fields = fields.u64(steps([iw, ih, channels, all.images], 4));
            let fields = fields.u64(steps([ow, oh, channels, all.images], 4));
            let fields = fields.i32(ints([iw, ih, kw, kh, channels, ow, oh, all.images]));
            fields.i32(two(all.step)).i32(two(all.border)).i32(two(all.apart))
        };
        let groups = ([ow.div_ceil(4), oh, channels * all.images], 4);
        ran += compare(ggml, "conv_2d_dw", all, "conv_2d_dw", fields, groups);
        let groups = ([channels.div_ceil(4), oh, ow * all.images], 4);
        ran += compare(ggml, "conv_2d_dw_tiled", all, "conv_2d_dw", fields, groups);

        let all = Convolution::solid();
        let [ic, oc] = all.channels;
        let fields = |size: usize| {
            let fields = Struct::new().i32(ints(all.input)).i32(ints(all.output()));
            let fields = fields.i32(ints(all.filter)).i32(ints(all.step)).i32(ints(all.border));
            let fields = fields.i32(ints(all.apart)).i32(ints([ic, all.images, oc]));
            let array = |fields: Struct, [x, y, z]: [usize; 3], size: usize| {
                fields.u64(steps([x, y, z, 1], size))
            };
            let fields = array(array(fields, all.filter, size), all.input, 4);
            array(fields, all.output(), 4)
        };
        let groups = all.output().iter().product::<usize>().div_ceil(32);
        ran += compare(ggml, "conv_3d", all, "conv_3d", fields, ([groups, oc, all.images], 32));
        let count = if ggml.package == "whisper-rs-sys" { 2 } else { 8 };
        assert_eq!(ran, count, "{}: convolutions", ggml.package);
    }
}

#[test]
fn columns() {
    for ggml in Ggml::all() {
        let all = Convolution::flat();
        let ([iw, ih, _], [kw, kh, _], [ow, oh, _]) = (all.input, all.filter, all.output());
        let (ic, images) = (all.channels[0], all.images);
        let row = ic * kw * kh;
        let input = F32.some(1, iw * ih * ic * images);
        let mut expected = Vec::new();
        for image in 0..images {
            for place in places(all.output()) {
                for channel in 0..ic {
                    let plane = &input[(image * ic + channel) * iw * ih..];
                    let each = places(all.filter);
                    expected.extend(each.map(|at| all.met(place, at).map_or(0.0, |at| plane[at])));
                }
            }
        }
        let mut ran = 0;
        for (ty, number) in [("f32", F32), ("f16", F16)] {
            // A threadgroup for a channel, or for each element of the filters, with some of the images.
            for (form, groups, threads) in
                [("", ic, (images, kh, kw)), ("_ext", row * images.div_ceil(32), (32, 1, 1))]
            {
                let kernel = format!("kernel_im2col{form}_{ty}");
                if !ggml.has(&kernel) {
                    continue;
                }
                let fields = Struct::new().u64([iw * ih * ic, iw * ih].map(|step| step as u64));
                let fields = fields.i32(ints([iw, ih, row]));
                let of = |of: [usize; 3]| ints([of[0], of[1]]);
                let fields = fields.i32(of(all.step)).i32(of(all.border)).i32(of(all.apart));
                let fields = fields.i32(ints([images, kh, kw, kh * kw]));
                let launch = ggml.launch(&kernel);
                let launch = launch.bytes(&ggml.arguments(&kernel, "im2col", fields));
                let launch = launch.numbers(F32, &input).room(expected.len() * number.size());
                let out = launch.groups((groups, oh, ow), threads, 2);
                let expected: Vec<f64> = expected.iter().map(|&x| number.rounded(x)).collect();
                near(&kernel, &number.decode(&out), &expected, 0.0);
                ran += 1;
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 2 } else { 4 };
        assert_eq!(ran, count, "{}: kernels of columns", ggml.package);
    }
}

/// The sum of what each number of the input, times the filter, adds at its place: `inputs` numbers of all input channels, a filter of
/// `width` numbers for each pair of channels, a step, and the channels of both.
fn transposed(
    weights: &[f64],
    input: &[f64],
    (inputs, width, step): (usize, usize, usize),
    [from, to]: [usize; 2],
) -> Vec<f64> {
    let length = (inputs - 1) * step + width;
    let mut out = vec![0.0; length * to];
    for channel in 0..to {
        for source in 0..from {
            for at in 0..inputs {
                for element in 0..width {
                    let weight = weights[(source * to + channel) * width + element];
                    out[channel * length + at * step + element] +=
                        weight * input[source * inputs + at];
                }
            }
        }
    }
    out
}

#[test]
fn transposed_convolutions() {
    for ggml in Ggml::all() {
        for (ty, number) in [("f32", F32), ("f16", F16)] {
            let (inputs, width, step, [from, to]) = (7, 5, 2, [3, 4]);
            let length = (inputs - 1) * step + width;
            let weights = number.some(1, width * to * from);
            let input = F32.some(2, inputs * from);
            let kernel = format!("kernel_conv_transpose_1d_{ty}_f32");
            let fields = Struct::new().i32(ints([from, inputs, width, step]));
            let fields = fields.u64(steps([length, to], 4));
            let launch = ggml.launch(&kernel);
            let launch = launch.bytes(&ggml.arguments(&kernel, "conv_transpose_1d", fields));
            let launch = launch.numbers(number, &weights).numbers(F32, &input);
            let out = launch.room(length * to * 4).groups((length, to, 1), (1, 1, 1), 3);
            let expected = transposed(&weights, &input, (inputs, width, step), [from, to]);
            near(&kernel, &F32.decode(&out), &expected, 1e-5);

            // In two dimensions, of one image.
            let kernel = format!("kernel_conv_transpose_2d_{ty}_f32");
            let ([iw, ih], [kw, kh]) = ([5, 4], [3, 2]);
            let [ow, oh] = [(iw - 1) * step + kw, (ih - 1) * step + kh];
            let weights = number.some(3, kw * kh * to * from);
            let input = F32.some(4, iw * ih * from);
            let fields = Struct::new().i32(ints([from, ih, iw, kh, kw, to, step]));
            let fields = fields.u64(steps([ow, oh, to], 4));
            let launch = ggml.launch(&kernel);
            let launch = launch.bytes(&ggml.arguments(&kernel, "conv_transpose_2d", fields));
            let launch = launch.numbers(number, &weights).numbers(F32, &input);
            let launch =
                launch.room(ow * oh * to * 4).memory(0, (kw * kh * 4).next_multiple_of(16));
            let out = launch.groups((ow, oh, to), (kw, kh, 1), 3);
            let mut expected = vec![0.0; ow * oh * to];
            for ([x, y, source], value) in places([iw, ih, from]).zip(&input) {
                for [dx, dy, channel] in places([kw, kh, to]) {
                    let weight = weights[((source * to + channel) * kh + dy) * kw + dx];
                    expected[(channel * oh + y * step + dy) * ow + x * step + dx] += weight * value;
                }
            }
            near(&kernel, &F32.decode(&out), &expected, 1e-5);
        }

        // Columns to a signal, without its first two numbers.
        for (ty, number) in [("f32", F32), ("f16", F16), ("bf16", Number::BF16)] {
            let kernel = format!("kernel_col2im_1d_{ty}");
            if !ggml.has(&kernel) {
                assert_eq!(ggml.package, "whisper-rs-sys");
                continue;
            }
            let (inputs, width, step, channels, cut) = (7, 5, 2, 3, 2);
            let whole = (inputs - 1) * step + width;
            let length = whole - 2 * cut;
            let columns = number.some(5, inputs * width * channels);
            let sizes = [inputs, length, channels, width, width * channels, step, cut];
            let fields = Struct::new().i32(ints(sizes));
            let launch = ggml.launch(&kernel);
            let launch = launch.bytes(&ggml.arguments(&kernel, "col2im_1d", fields));
            let launch = launch.numbers(number, &columns).room(length * channels * number.size());
            let out = launch.groups(((length * channels).div_ceil(16), 1, 1), (16, 1, 1), 2);
            let mut expected = vec![0.0; length * channels];
            for ([element, channel, at], value) in places([width, channels, inputs]).zip(&columns) {
                let place = at * step + element;
                if (cut..cut + length).contains(&place) {
                    expected[channel * length + place - cut] += value;
                }
            }
            near(&kernel, &number.decode(&out), &expected, 1e-5 + number.epsilon());
        }
    }
}

#[test]
fn pools_of_rows() {
    for ggml in Ggml::all() {
        for (name, most) in [("max", true), ("avg", false)] {
            let kernel = format!("kernel_pool_1d_{name}_f32");
            if !ggml.has(&kernel) {
                assert_eq!(ggml.package, "whisper-rs-sys");
                continue;
            }
            let (width, rows, window, step, border) = (11usize, 3usize, 4usize, 3usize, 2usize);
            let length = (width + 2 * border - window) / step + 1;
            let x = F32.some(1, width * rows);
            let fields = Struct::new().i32(ints([window, step, border]));
            let fields = fields.u64([width, length, length * rows].map(|side| side as u64));
            let launch = ggml.launch(&kernel).bytes(&ggml.arguments(&kernel, "pool_1d", fields));
            let launch = launch.numbers(F32, &x).room(length * rows * 4);
            let [out] = launch.grid((length * rows, 1, 1), (8, 1, 1), [2]);
            let expected: Vec<f64> = (0..length * rows)
                .map(|at| {
                    let first = at % length * step;
                    let places = first..first + window;
                    let inside = places.filter(|place| (border..border + width).contains(place));
                    let seen: Vec<f64> =
                        inside.map(|place| x[at / length * width + place - border]).collect();
                    let mean = seen.iter().sum::<f64>() / seen.len() as f64;
                    if most { seen.into_iter().fold(f64::MIN, f64::max) } else { mean }
                })
                .collect();
            near(&kernel, &F32.decode(&out), &expected, 1e-6);
        }
    }
}

/// A cubic's weights of four neighbours, of which the second is `past` before the place.
fn cubic(past: f64) -> [f64; 4] {
    let near = |x: f64| (1.25 * x - 2.25) * x * x + 1.0;
    let far = |x: f64| ((-0.75 * x + 3.75) * x - 6.0) * x + 3.0;
    [far(1.0 + past), near(past), near(1.0 - past), far(2.0 - past)]
}

#[test]
fn images_of_other_sizes() {
    for ggml in Ggml::all() {
        let mut ran = 0;
        // Of whole and of broken factors, larger and smaller.
        for ([ow, oh], smooth) in [([10, 9], false), ([13, 5], false), ([3, 2], true)] {
            let ([iw, ih], planes) = ([5usize, 3usize], 2);
            let x = F32.some(1, iw * ih * planes);
            let scale = [ow as f32 / iw as f32, oh as f32 / ih as f32];
            for kernel in [
                "kernel_upscale_f32",
                "kernel_upscale_nearest_f32",
                "kernel_upscale_bilinear_f32",
                "kernel_upscale_bicubic_f32",
            ] {
                if !ggml.has(kernel) {
                    continue;
                }
                // The middle of a pixel is half a pixel from its edge.
                let mut fields = Struct::new();
                for sides in [[iw, ih, planes, 1], [ow, oh, planes, 1]] {
                    let size = sides.map(|side| side as u64);
                    fields = fields.u64(size).u64(steps(sides, 4));
                }
                let fields = fields.f32([scale[0], scale[1], 1.0, 1.0]);
                let mut arguments = ggml.arguments(kernel, "upscale", fields);
                ggml.set(kernel, "upscale", &mut arguments, "poffs", &0.5f32.to_le_bytes());
                let launch = ggml.launch(kernel).constant(UPSCALE, smooth).bytes(&arguments);
                let launch = launch.numbers(F32, &x).room(ow * oh * planes * 4);
                let out = F32.decode(&launch.groups((oh, planes, 1), (4, 1, 1), 2));
                let pixel = |plane: usize, x_at: i64, y_at: i64| {
                    let (x_at, y_at) = (x_at.clamp(0, iw as i64 - 1), y_at.clamp(0, ih as i64 - 1));
                    x[(plane * ih + y_at as usize) * iw + x_at as usize]
                };
                // The place of a pixel's middle in the input.
                let middle =
                    |at: usize, axis: usize| (at as f64 + 0.5) / f64::from(scale[axis]) - 0.5;
                let expected: Vec<f64> = places([ow, oh, planes])
                    .map(|[at_x, at_y, plane]| {
                        let [mx, my] = [middle(at_x, 0), middle(at_y, 1)];
                        // Two weights for each axis, or more: from this pixel on.
                        let axis = |middle: f64, axis: usize| -> (i64, Vec<f64>) {
                            let first = middle.floor();
                            match kernel {
                                "kernel_upscale_bicubic_f32" => {
                                    (first as i64 - 1, cubic(middle - first).to_vec())
                                }
                                "kernel_upscale_bilinear_f32" if smooth => {
                                    // A triangle as wide as a pixel of the result.
                                    let wide = (1.0 / f64::from(scale[axis])).max(1.0);
                                    let side = [iw, ih][axis] as i64;
                                    let all = (0..side).map(|at| {
                                        (1.0 - (at as f64 - middle).abs() / wide).max(0.0)
                                    });
                                    let all: Vec<f64> = all.collect();
                                    let sum: f64 = all.iter().sum();
                                    (0, all.into_iter().map(|weight| weight / sum).collect())
                                }
                                "kernel_upscale_bilinear_f32" => {
                                    // Outside of the middle of the first pixel, that one alone.
                                    let past = if middle < 0.0 { 0.0 } else { middle - first };
                                    let first = if middle < 0.0 { 0.0 } else { first };
                                    (first as i64, vec![1.0 - past, past])
                                }
                                _ => {
                                    let at = [at_x, at_y][axis] as f64 / f64::from(scale[axis]);
                                    (at.floor() as i64, vec![1.0])
                                }
                            }
                        };
                        let ((from_x, wx), (from_y, wy)) = (axis(mx, 0), axis(my, 1));
                        let mut sum = 0.0;
                        for (dy, wy) in wy.iter().enumerate() {
                            for (dx, wx) in wx.iter().enumerate() {
                                sum +=
                                    wx * wy * pixel(plane, from_x + dx as i64, from_y + dy as i64);
                            }
                        }
                        sum
                    })
                    .collect();
                near(&format!("{kernel} to {ow} by {oh}"), &out, &expected, 1e-5);
                ran += 1;
            }
        }
        let count = if ggml.package == "whisper-rs-sys" { 3 } else { 9 };
        assert_eq!(ran, count, "{}: images of other sizes", ggml.package);
    }
}

/// The function constant that smooths smaller images.
const UPSCALE: usize = 1500;

#[test]
fn short_filters_of_series() {
    for ggml in Ggml::all() {
        // Elements of a filter, channels, tokens, sequences, and tokens of a threadgroup.
        let (width, rows, tokens, sequences, batch) = (4usize, 5usize, 11usize, 2usize, 4usize);
        let length = tokens + width - 1;
        let x = F32.some(1, length * rows * sequences);
        let weights = F32.some(2, width * rows);
        for form in ["", "_4", "_batched", "_batched_4"] {
            let kernel = format!("kernel_ssm_conv_f32_f32{form}");
            let whisper = ggml.package == "whisper-rs-sys";
            // A constant adds a function to newer ones.
            let gated = !whisper && form.contains("batched");
            let long = |values: [usize; 3]| values.map(|value| value as u64);
            let fields = Struct::new().u64(long([length, rows, sequences]));
            let fields = fields.u64(steps([length, rows, sequences], 4));
            let fields = match whisper {
                true => fields.u64([width as u64, rows as u64]),
                false => fields.u64([rows as u64]),
            };
            let fields = fields.u64(steps([width, rows], 4));
            let fields = fields.u64(long([rows, tokens, sequences]));
            let fields = fields.u64(steps([rows, tokens, sequences], 4));
            let first = ggml.defined(&kernel, &["FC_SSM_CONV"]);
            let launch = ggml.launch(&kernel).constant(first, batch as i16);
            let launch = launch.constant(first + 1, gated).constant(first + 2, width as i32);
            let launch = launch.bytes(&fields.bytes()).numbers(F32, &x).numbers(F32, &weights);
            let launch = launch.room(rows * tokens * sequences * 4);
            let (groups, threads) = match form.contains("batched") {
                true => (tokens.div_ceil(batch), batch),
                false => (tokens, 1),
            };
            let out = launch.groups((rows, groups, sequences), (threads, 1, 1), 3);
            let expected: Vec<f64> = places([rows, tokens, sequences])
                .map(|[row, token, sequence]| {
                    let x = &x[(sequence * rows + row) * length + token..];
                    let weights = &weights[row * width..][..width];
                    let sum: f64 = x.iter().zip(weights).map(|(x, weight)| x * weight).sum();
                    if gated { silu(sum) } else { sum }
                })
                .collect();
            near(&kernel, &F32.decode(&out), &expected, 1e-5);
        }
    }
}
