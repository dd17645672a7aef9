//! candle's kernels for convolutions, pooling and scaling of images.
//!
//! Moves are exact. Sums in `float` of up to 72 products are within 10⁻⁵, and then rounded to the type; sums that are made in
//! the type itself are off by a unit for each of up to four terms.

use kernels::numbers::{Number, near};
use kernels::run::{Kernels, Launch, lined};
use kernels::structs::size;

const TYPES: [&str; 5] = ["f32", "f16", "bf16", "u32", "u8"];

fn kernels() -> Kernels {
    Kernels::open("candle-metal-kernels", "conv.metal")
}

fn number(name: &str) -> Number {
    Number::named(name).unwrap_or_else(|| panic!("no type {name}"))
}

/// Numbers in rows, the last dimension contiguous.
struct Tensor {
    sides: Vec<usize>,
    values: Vec<f64>,
}

impl Tensor {
    fn some(number: Number, seed: u64, sides: &[usize]) -> Self {
        let count = sides.iter().product();
        Self { sides: sides.to_vec(), values: number.some(seed, count) }
    }

    fn strides(&self) -> Vec<usize> {
        (1..=self.sides.len()).map(|from| self.sides[from..].iter().product()).collect()
    }

    fn at(&self, place: &[usize]) -> f64 {
        self.values[place.iter().zip(self.strides()).map(|(at, stride)| at * stride).sum::<usize>()]
    }

    /// The number at a position that may be outside, where there is zero.
    fn padded(&self, place: &[usize], padding: usize) -> f64 {
        let (outer, inner) = place.split_at(2);
        let inside = inner
            .iter()
            .zip(&self.sides[2..])
            .map(|(&at, &side)| at.checked_sub(padding).filter(|&at| at < side));
        match inside.collect::<Option<Vec<usize>>>() {
            Some(inner) => self.at(&[outer, &inner].concat()),
            None => 0.0,
        }
    }
}

/// All positions of a tensor with these sides, in order.
fn places(sides: &[usize]) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new()];
    for &side in sides {
        let longer =
            |place: Vec<usize>| (0..side).map(move |at| [place.clone(), vec![at]].concat());
        found = found.into_iter().flat_map(longer).collect();
    }
    found
}

fn sizes<'a>(launch: Launch<'a>, values: &[usize]) -> Launch<'a> {
    values.iter().fold(launch, |launch, &value| launch.bytes(&size(value)))
}

/// A list of sizes in one buffer.
fn list<'a>(launch: Launch<'a>, values: &[usize]) -> Launch<'a> {
    launch.bytes(&values.iter().flat_map(|&value| size(value)).collect::<Vec<u8>>())
}

/// The sides and strides of a tensor.
fn shape<'a>(launch: Launch<'a>, tensor: &Tensor) -> Launch<'a> {
    list(list(launch, &tensor.sides), &tensor.strides())
}

/// Runs a thread for each number of the result, which comes last.
fn run(
    launch: Launch<'_>,
    number: Number,
    input: &[&Tensor],
    count: usize,
    result: usize,
) -> Vec<f64> {
    let launch = input.iter().fold(launch, |l, tensor| l.bytes(&number.encode(&tensor.values)));
    let (groups, threads) = lined(count);
    number.decode(&launch.room(count * number.size()).groups(groups, threads, result))
}

/// How many positions a window of `side` has along a side.
fn windows(long: usize, side: usize, stride: usize, padding: usize, dilation: usize) -> usize {
    (long + 2 * padding - dilation * (side - 1) - 1) / stride + 1
}

/// Window, stride, padding, dilation.
const WINDOWS: [(usize, usize, usize, usize); 4] =
    [(3, 1, 1, 1), (2, 2, 0, 1), (3, 2, 2, 2), (1, 1, 0, 1)];

#[test]
fn columns_of_images() {
    let kernels = kernels();
    for name in TYPES {
        let number = number(name);
        for (side, stride, padding, dilation) in WINDOWS {
            let kernel = format!("im2col_{name}");
            let image = Tensor::some(number, 1, &[2, 3, 7, 9]);
            let (high, wide) = (
                windows(7, side, stride, padding, dilation),
                windows(9, side, stride, padding, dilation),
            );
            let sides = [2, high, wide, 3, side, side];
            let count = sides.iter().product();
            let launch = sizes(kernels.launch(&kernel), &[count, high, wide, side, side]);
            let launch = sizes(launch, &[stride, padding, dilation]);
            let out = run(shape(launch, &image), number, &[&image], count, 11);
            let from = |p: Vec<usize>| {
                let along = |k: usize| p[1 + k] * stride + p[4 + k] * dilation;
                image.padded(&[p[0], p[3], along(0), along(1)], padding)
            };
            let expected: Vec<f64> = places(&sides).into_iter().map(from).collect();
            near(&kernel, &out, &expected, 0.0);

            let kernel = format!("im2col1d_{name}");
            let line = Tensor::some(number, 2, &[2, 3, 40]);
            let long = windows(40, side, stride, padding, dilation);
            let sides = [2, long, 3, side];
            let count = sides.iter().product();
            let launch = sizes(kernels.launch(&kernel), &[count, long, side]);
            let launch = sizes(launch, &[stride, padding, dilation]);
            let out = run(shape(launch, &line), number, &[&line], count, 9);
            let from = |p: Vec<usize>| {
                line.padded(&[p[0], p[2], p[1] * stride + p[3] * dilation], padding)
            };
            let expected: Vec<f64> = places(&sides).into_iter().map(from).collect();
            near(&kernel, &out, &expected, 0.0);
        }
    }
}

#[test]
fn lines_of_columns() {
    let kernels = kernels();
    for name in TYPES {
        let (kernel, number) = (format!("col2im1d_{name}"), number(name));
        for (side, stride) in [(3usize, 1usize), (4, 2), (2, 3)] {
            let (batch, long, channels) = (2, 11, 5);
            let result = (long - 1) * stride + side;
            let columns = Tensor::some(number, 3, &[batch, long, channels, side]);
            let count = batch * channels * result;
            let launch =
                sizes(kernels.launch(&kernel), &[count, result, long, channels, side, stride]);
            let out = run(launch, number, &[&columns], count, 7);
            let mut expected = vec![0.0; count];
            for p in places(&columns.sides) {
                let at = (p[0] * channels + p[2]) * result + p[1] * stride + p[3];
                expected[at] += columns.at(&p);
            }
            near(&kernel, &out, &expected, 4.0 * number.epsilon());
        }
    }
}

#[test]
fn transposed_convolutions() {
    let kernels = kernels();
    for name in TYPES {
        let number = number(name);
        for (side, stride, padding, dilation) in [(3, 1, 1, 1), (4, 2, 1, 1), (3, 2, 0, 2)] {
            let more = stride - 1;
            let long =
                |from: usize| (from - 1) * stride + dilation * (side - 1) + more + 1 - 2 * padding;
            // Integers are small, so that a byte holds their sums.
            let small = |seed, sides: &[usize]| {
                let tensor = Tensor::some(number, seed, sides);
                let values =
                    tensor.values.iter().map(|v| if number.is_float() { *v } else { v % 3.0 });
                Tensor { values: values.collect(), ..tensor }
            };
            let kernel = format!("conv_transpose1d_{name}");
            let (line, weights) = (small(4, &[2, 4, 13]), small(5, &[4, 3, side]));
            let result = [2, 3, long(13)];
            let count = result.iter().product();
            let launch =
                sizes(kernels.launch(&kernel), &[result[2], stride, padding, more, dilation]);
            let launch = shape(shape(launch, &line), &weights);
            let out = run(launch, number, &[&line, &weights], count, 11);
            let mut expected = vec![0.0; count];
            for p in places(&[2, 4, 13, 3, side]) {
                let [b, from, x, to, k] = p[..] else { unreachable!() };
                let at = (x * stride + k * dilation).checked_sub(padding);
                if let Some(at) = at.filter(|&at| at < result[2]) {
                    expected[(b * 3 + to) * result[2] + at] +=
                        line.at(&[b, from, x]) * weights.at(&[from, to, k]);
                }
            }
            let tolerance = 1e-5 + number.epsilon();
            near(&kernel, &out, &expected, if number.is_float() { tolerance } else { 0.0 });

            let kernel = format!("conv_transpose2d_{name}");
            if !number.is_float() {
                continue;
            }
            let (image, weights) = (small(6, &[2, 4, 5, 6]), small(7, &[4, 3, side, side]));
            let (high, wide) = (long(5), long(6));
            let count = 2 * 3 * high * wide;
            let launch =
                sizes(kernels.launch(&kernel), &[wide, high, stride, padding, more, dilation]);
            let launch = shape(shape(launch, &image), &weights);
            let out = run(launch, number, &[&image, &weights], count, 12);
            let mut expected = vec![0.0; count];
            for p in places(&[2, 4, 5, 6, 3, side, side]) {
                let [b, from, y, x, to, down, right] = p[..] else { unreachable!() };
                let along = |at: usize, k: usize, side: usize| {
                    (at * stride + k * dilation).checked_sub(padding).filter(|&at| at < side)
                };
                if let (Some(row), Some(column)) = (along(y, down, high), along(x, right, wide)) {
                    expected[((b * 3 + to) * high + row) * wide + column] +=
                        image.at(&[b, from, y, x]) * weights.at(&[from, to, down, right]);
                }
            }
            near(&kernel, &out, &expected, tolerance);
        }
    }
}

#[test]
fn pools() {
    let kernels = kernels();
    for name in TYPES {
        let number = number(name);
        let image = Tensor::some(number, 8, &[2, 3, 10, 7]);
        for (side, stride) in [(2usize, 2usize), (3, 1), (3, 2)] {
            let sides = [2, 3, windows(10, side, stride, 0, 1), windows(7, side, stride, 0, 1)];
            let count = sides.iter().product();
            let of_window = |p: &[usize]| -> Vec<f64> {
                let inside = places(&[side, side]).into_iter();
                inside
                    .map(|k| image.at(&[p[0], p[1], p[2] * stride + k[0], p[3] * stride + k[1]]))
                    .collect()
            };
            let most = |all: Vec<f64>| all.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let mean = |all: Vec<f64>| {
                let mean = all.iter().sum::<f64>() / all.len() as f64;
                if number.is_float() { number.rounded(mean) } else { mean.trunc() }
            };
            for (kind, of) in [("max", &most as &dyn Fn(Vec<f64>) -> f64), ("avg", &mean)] {
                let kernel = format!("{kind}_pool2d_{name}");
                let launch = sizes(kernels.launch(&kernel), &[side, side, stride, stride]);
                let out = run(shape(launch, &image), number, &[&image], count, 7);
                let all = places(&sides).into_iter();
                let expected: Vec<f64> = all.map(|place| of(of_window(&place))).collect();
                near(&kernel, &out, &expected, if kind == "max" { 0.0 } else { number.epsilon() });
            }
        }
    }
}

#[test]
fn images_scaled_to_the_nearest() {
    let kernels = kernels();
    for name in TYPES {
        let (kernel, number) = (format!("upsample_nearest2d_{name}"), number(name));
        let image = Tensor::some(number, 9, &[2, 3, 5, 4]);
        for (wide, high) in [(10, 8), (5, 4), (20, 2)] {
            let sides = [2, 3, wide, high];
            let count = sides.iter().product();
            // Powers of two, so that places are exact.
            let scales = [5.0 / wide as f32, 4.0 / high as f32];
            let launch = sizes(kernels.launch(&kernel), &[wide, high]);
            let launch = launch.bytes(&scales[0].to_le_bytes()).bytes(&scales[1].to_le_bytes());
            let out = run(shape(launch, &image), number, &[&image], count, 7);
            let from = |p: Vec<usize>| image.at(&[p[0], p[1], p[2] * 5 / wide, p[3] * 4 / high]);
            let expected: Vec<f64> = places(&sides).into_iter().map(from).collect();
            near(&kernel, &out, &expected, 0.0);
        }
    }
}

#[test]
fn images_scaled_between_pixels() {
    let kernels = kernels();
    for name in TYPES {
        let (kernel, number) = (format!("upsample_bilinear2d_{name}"), number(name));
        // Sides where places are exact, and for fractions others too.
        let exact = [([3, 3], [5, 5], true), ([4, 3], [8, 6], false), ([1, 2], [1, 4], false)];
        let inexact = [([5, 4], [7, 9], true), ([5, 4], [7, 9], false), ([6, 6], [3, 2], false)];
        let cases = exact.iter().chain(inexact.iter().filter(|_| number.is_float()));
        for &(from, to, corners) in cases {
            let image = Tensor::some(number, 10, &[2, 3, from[0], from[1]]);
            let sides = [2, 3, to[0], to[1]];
            let count = sides.iter().product();
            let launch =
                sizes(kernels.launch(&kernel), &[to[1], to[0]]).bytes(&[u8::from(corners)]);
            // Scales that are not given: the sides say them.
            let launch = launch.bytes(&[0]).bytes(&[0; 4]).bytes(&[0]).bytes(&[0; 4]);
            let out = run(shape(launch, &image), number, &[&image], count, 10);
            let along = |at: usize, k: usize| {
                let (source, target) = (from[k] as f64, to[k] as f64);
                let place = match corners {
                    true => at as f64 * (source - 1.0) / (target - 1.0).max(1.0),
                    false => (at as f64 + 0.5) * source / target - 0.5,
                };
                let place = place.max(0.0);
                let first = (place.floor() as usize).min(from[k] - 1);
                ([first, (first + 1).min(from[k] - 1)], place - first as f64)
            };
            let mixed = |p: Vec<usize>| {
                let ((rows, down), (columns, right)) = (along(p[2], 0), along(p[3], 1));
                let pixel = |y: usize, x: usize| image.at(&[p[0], p[1], rows[y], columns[x]]);
                let row = |y| pixel(y, 0) * (1.0 - right) + pixel(y, 1) * right;
                let value = row(0) * (1.0 - down) + row(1) * down;
                if number.is_float() { value } else { value.trunc() }
            };
            let expected: Vec<f64> = places(&sides).into_iter().map(mixed).collect();
            near(
                &kernel,
                &out,
                &expected,
                if number.is_float() { 2e-6 + number.epsilon() } else { 0.0 },
            );
        }
    }
}
