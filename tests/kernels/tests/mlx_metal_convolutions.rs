//! MLX's convolutions as products by tiles: of two and three dimensions, with few and many channels, groups, strides, padding,
//! dilated filters and inputs, flipped filters. (Its Winograd, depthwise and unfolding kernels are in no header.)
//!
//! Sums are in `float`, in any order: one part in 10⁴ for the sizes here, and the result's rounding.

use kernels::elements::{Element, Value};
use kernels::mlx_metal::sampled;
use kernels::operands::rounded;
use kernels::structs::Struct;

/// Along each dimension.
type Sizes = Vec<usize>;

/// A convolution; arrays have the channels last.
#[derive(Clone, Debug)]
struct Convolution {
    element: Element,
    batches: usize,
    channels: usize,
    outputs: usize,
    groups: usize,
    input: Sizes,
    filter: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    input_dilation: Sizes,
    flipped: bool,
}

/// The position of a number in an array of these sizes, the last of which varies first.
fn position(mut at: usize, sizes: &[usize]) -> Sizes {
    let mut place = vec![0; sizes.len()];
    for (one, size) in place.iter_mut().zip(sizes).rev() {
        (*one, at) = (at % size, at / size);
    }
    place
}

/// The distances of an array's elements along its dimensions.
fn strides(sizes: &[usize]) -> Sizes {
    (1..=sizes.len()).map(|at| sizes[at..].iter().product()).collect()
}

impl Convolution {
    fn dimensions(&self) -> usize {
        self.input.len()
    }

    fn output(&self) -> Sizes {
        let along = |at: usize| {
            let dilated = (self.input[at] - 1) * self.input_dilation[at] + 1;
            let filter = (self.filter[at] - 1) * self.dilation[at] + 1;
            (dilated + 2 * self.padding[at] - filter) / self.stride[at] + 1
        };
        (0..self.dimensions()).map(along).collect()
    }

    /// The sizes of the whole input, filter and output.
    fn arrays(&self) -> [Sizes; 3] {
        let whole =
            |first: usize, middle: &[usize], last: usize| [&[first][..], middle, &[last]].concat();
        [
            whole(self.batches, &self.input, self.channels),
            whole(self.outputs, &self.filter, self.channels / self.groups),
            whole(self.batches, &self.output(), self.outputs),
        ]
    }

    /// `MLXConvParams`
    fn parameters(&self) -> Vec<u8> {
        let mut all = Struct::new();
        let sizes = [&[self.batches, self.channels, self.outputs][..], &self.input, &self.filter];
        let steps = [&self.output()[..], &self.stride, &self.padding, &self.dilation];
        for &size in [&sizes[..], &steps, &[&self.input_dilation]].concat().into_iter().flatten() {
            all = all.i32([size as i32]);
        }
        for step in self.arrays().iter().flat_map(|sizes| strides(sizes)) {
            all = all.u64([step as u64]);
        }
        all.i32([self.groups as i32]).u8([u8::from(self.flipped)]).bytes()
    }

    /// The steps in the input from one element of the filter to the next: along the last dimension first, then with each dimension
    /// before; at last to the next channels.
    fn jumps(&self, channels: usize) -> Vec<i64> {
        let steps = strides(&self.arrays()[0]);
        let step = |at: usize| (steps[at + 1] * self.dilation[at]) as i64;
        let way = |at: usize| (self.filter[at] - 1) as i64 * step(at);
        let dimensions = self.dimensions();
        let mut jumps: Vec<i64> = (0..dimensions)
            .rev()
            .map(|at| step(at) - (at + 1..dimensions).map(way).sum::<i64>())
            .collect();
        let back: i64 = (0..dimensions).map(way).sum();
        if self.flipped {
            jumps.iter_mut().for_each(|jump| *jump = -*jump);
        }
        jumps.push(channels as i64 + if self.flipped { back } else { -back });
        jumps
    }

    /// The filter's position that is used at a position of a flipped one.
    fn of_filter(&self, at: &[usize]) -> Sizes {
        let turned = |(at, size): (&usize, &usize)| if self.flipped { size - 1 - at } else { *at };
        at.iter().zip(&self.filter).map(turned).collect()
    }

    /// The input's position for a position of the output and one of the filter, if there is an element.
    fn reads(&self, output: &[usize], filter: &[usize]) -> Option<Sizes> {
        let filter = self.of_filter(filter);
        let along = |at: usize| {
            let dilated = (output[at] * self.stride[at] + filter[at] * self.dilation[at])
                .checked_sub(self.padding[at])?;
            let place = dilated / self.input_dilation[at];
            (dilated % self.input_dilation[at] == 0 && place < self.input[at]).then_some(place)
        };
        (0..self.dimensions()).map(along).collect()
    }

    fn expected(&self, input: &[Value], weights: &[Value]) -> Vec<f64> {
        let [of_input, of_filter, of_output] = self.arrays();
        let (input_steps, filter_steps) = (strides(&of_input), strides(&of_filter));
        let dimensions = self.dimensions();
        let channels = self.channels / self.groups;
        let of_element = |at: usize| {
            let place = position(at, &of_output);
            let (batch, output) = (place[0], place[dimensions + 1]);
            let group = output / (self.outputs / self.groups);
            let mut sum = 0.0;
            for at in 0..self.filter.iter().product() {
                let filter = position(at, &self.filter);
                let Some(read) = self.reads(&place[1..=dimensions], &filter) else { continue };
                let along = |steps: &[usize], place: &[usize]| -> usize {
                    steps[1..].iter().zip(place).map(|(step, at)| step * at).sum()
                };
                let x = batch * input_steps[0] + along(&input_steps, &read) + group * channels;
                let w = output * filter_steps[0] + along(&filter_steps, &filter);
                sum +=
                    (0..channels).map(|c| input[x + c].real() * weights[w + c].real()).sum::<f64>();
            }
            sum
        };
        (0..of_output.iter().product()).map(of_element).collect()
    }

    /// The input and the weights.
    fn data(&self) -> [Vec<Value>; 2] {
        let [input, filter, _] = self.arrays();
        [
            self.element.some(1, input.iter().product()),
            self.element.some(2, filter.iter().product()),
        ]
    }

    fn check(&self, what: &str, found: &[u8], expected: Vec<f64>) {
        let tolerance = 4e-4 + 2.0 * self.element.epsilon();
        self.element.check(what, found, &rounded(self.element, expected), tolerance);
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// Weights with zeros after them, since tiles of columns are read whole.
fn padded(element: Element, weights: &[Value], rows: usize, row: usize) -> Vec<u8> {
    let mut bytes = element.encode(weights);
    bytes.resize(bytes.len() + rows * row * element.size(), 0);
    bytes
}

#[test]
fn products_of_images() {
    let mut ran = 0;
    for (family, dimensions) in [("steel_conv", 2), ("steel_conv_3d", 3)] {
        let (kernels, instances) = sampled(family, |one| one.arguments()[1..].join(" "));
        for (at, instance) in instances.iter().enumerate() {
            let arguments = instance.arguments();
            let element = Element::named(arguments[0]);
            let [bm, bn, bk, wm, wn] = [1, 2, 3, 4, 5].map(|at| number(arguments[at]));
            let few = if dimensions == 2 { number(arguments[6]) } else { 0 };
            let small = arguments[arguments.len() - 1] == "true";
            // Many channels are whole tiles; every second case has two groups.
            let groups = if few == 0 { 1 + at % 2 } else { 1 };
            let image = Convolution {
                element,
                batches: 2,
                channels: if few == 0 { groups * bk } else { few },
                outputs: groups * (bn + 3),
                groups,
                input: [7, 6, 5][..dimensions].to_vec(),
                filter: [3, 2, 2][..dimensions].to_vec(),
                stride: [1, 2, 1][..dimensions].to_vec(),
                padding: [1, 0, 1][..dimensions].to_vec(),
                dilation: [2, 1, 1][..dimensions].to_vec(),
                input_dilation: vec![1; dimensions],
                // Those of large filters compare the positions of a filter that is not flipped with the image's edges.
                flipped: at % 3 == 1 && (small || few > 0),
            };
            let [input, weights] = image.data();
            let output = image.output();
            let taps: usize = image.filter.iter().product();
            let channels = image.channels / groups;
            let m = image.batches * output.iter().product::<usize>();
            let (n, k) = (image.outputs / groups, taps * channels);
            let (across, down) = (n.div_ceil(bn), m.div_ceil(bm));
            // A tile of few channels has several elements of the filter; of three channels, one is empty.
            let steps = match few {
                0 => taps * channels.div_ceil(bk),
                _ => taps.div_ceil(bk / few.next_power_of_two()),
            };
            let jumps = image.jumps(bk).into_iter().map(|jump| jump as i32);
            let int = |values: [usize; 4]| values.map(|value| value as i32);
            let mut sizes = Struct::new().i32(int([m, n, k, steps]));
            for jump in jumps {
                sizes = sizes.i32([jump]);
            }
            let sizes = sizes.i32([across as i32, down as i32, 0]).bytes();
            let launch = kernels.launch(&instance.name).bytes(&element.encode(&input));
            let launch = launch.bytes(&padded(element, &weights, bn, k));
            let launch = launch.room(m * image.outputs * element.size());
            let launch = launch.bytes(&image.parameters()).bytes(&sizes);
            let found = launch.groups((across, down, groups), (32, wn, wm), 2);
            let what = format!("{} of {groups} groups", instance.name);
            image.check(&what, &found, image.expected(&input, &weights));
            ran += 1;
        }
    }
    assert!(ran >= 50, "{ran} kernels ran");
}

#[test]
fn dilated_images() {
    fn common(x: usize, y: usize) -> usize {
        if y == 0 { x } else { common(y, x % y) }
    }
    let (kernels, instances) = sampled("steel_conv_general", |one| one.arguments()[1..].join(" "));
    assert!(instances.len() >= 6, "{} kernels", instances.len());
    for (at, instance) in instances.iter().enumerate() {
        let arguments = instance.arguments();
        let element = Element::named(arguments[0]);
        let [bm, bn, bk, wm, wn] = [1, 2, 3, 4, 5].map(|at| number(arguments[at]));
        let whole = at % 2 == 0;
        let image = Convolution {
            element,
            batches: 2,
            channels: if whole { bk } else { bk + 5 },
            outputs: bn + 3,
            groups: 1,
            input: vec![5, 4],
            filter: vec![3, 4],
            stride: vec![1, 3],
            padding: vec![2, 1],
            dilation: vec![1, 2],
            input_dilation: vec![2, 3],
            flipped: at % 3 == 1,
        };
        let [input, weights] = image.data();
        let output = image.output();
        // Elements of the filter that meet the same elements of a dilated input are a step apart, and so are the outputs.
        let least = |x: usize, y: usize| x / common(x, y) * y;
        let of_filter: [usize; 2] = std::array::from_fn(|at| {
            least(image.input_dilation[at], image.dilation[at]) / image.dilation[at]
        });
        let of_output: [usize; 2] = std::array::from_fn(|at| {
            least(image.input_dilation[at], image.stride[at]) / image.stride[at]
        });
        let adjusted: [usize; 2] = std::array::from_fn(|at| output[at].div_ceil(of_output[at]));
        let rows = image.batches * adjusted[0] * adjusted[1];
        let jumps = [of_filter[0], of_filter[1], of_output[0], of_output[1]];
        let all = [adjusted[0], adjusted[1], adjusted[0] * adjusted[1], rows];
        let jumps = Struct::new().i32(
            [jumps, all]
                .concat()
                .try_into()
                .map(|all: [usize; 8]| all.map(|x| x as i32))
                .unwrap_or([0; 8]),
        );
        // The first element of the filter that meets the input, for each first output.
        let bases = |at: usize| {
            let mut bytes = Vec::new();
            for first in 0..of_output[at] {
                let meets = |tap: &usize| {
                    let tap = if image.flipped { image.filter[at] - 1 - tap } else { *tap };
                    let place = (first * image.stride[at] + tap * image.dilation[at]) as i64;
                    (place - image.padding[at] as i64) % image.input_dilation[at] as i64 == 0
                };
                let base = (0..image.filter[at]).find(meets).unwrap_or(image.filter[at]);
                let count = (image.filter[at] - base).div_ceil(of_filter[at]);
                bytes.extend(Struct::new().i32([base as i32, count as i32]).bytes());
            }
            bytes
        };
        let (n, k) = (image.outputs, 12 * image.channels);
        let (across, down) = (n.div_ceil(bn), rows.div_ceil(bm));
        let sizes = [rows, n, k, image.channels.div_ceil(bk), 0, 0, 0, across, down, 0];
        let launch = kernels.launch(&instance.name).constant(200, whole);
        let launch = launch.bytes(&element.encode(&input)).bytes(&padded(element, &weights, bn, k));
        let outputs: usize = image.arrays()[2].iter().product();
        let launch = launch.room(outputs * element.size()).bytes(&image.parameters());
        let launch = launch.bytes(&Struct::new().i32(sizes.map(|size| size as i32)).bytes());
        let launch = launch.bytes(&jumps.bytes()).bytes(&bases(0)).bytes(&bases(1));
        let first = of_output[0] * of_output[1];
        let found = launch.groups((across, down, first), (32, wn, wm), 2);
        image.check(&instance.name, &found, image.expected(&input, &weights));
    }
}
