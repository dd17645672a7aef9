//! Every operation against a reference in `f64`, at edges and sizes that are no multiples of tiles.
//!
//! Tolerances: sums in `f32` have an error of at most 2⁻²⁴ of the sum of magnitudes for each of the additions in a row, and no
//! kernel has more than about 300 of them in a row; what is written to 16 bits is rounded once more.

mod arrange;
mod attention;
mod elementwise;
mod images;
mod in_place;
mod linear;
mod real;
mod real_mixed;
mod real_values;
mod replay;
mod rows;
mod sequence;
mod solve;
mod turbo;
mod types;
mod wide;
mod wrong;

use super::Ops;
use crate::fp16::{Bfloat, Half};
use crate::infer::weights::dequantize;
use crate::infer::{DType, Error, Stream, Tensor};
use crate::{Gpu, Queue};
use std::io::Write;

/// Random numbers, by xorshift.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From -1 to 1.
    fn value(&mut self) -> f32 {
        ((self.bits() >> 40) as f32 / (1 << 23) as f32) - 1.0
    }
}

struct Setup {
    gpu: Gpu,
    ops: Ops,
    queue: Queue,
    random: Random,
}

impl Setup {
    fn new(seed: u64) -> Self {
        let gpu = Gpu::open().expect("a GPU");
        let (ops, queue) = (Ops::new(&gpu), gpu.new_command_queue().expect("a queue"));
        Self { gpu, ops, queue, random: Random(seed * 0x9e37_79b9 + 1) }
    }

    /// Records, runs, and waits.
    #[track_caller]
    fn run(&self, record: impl FnOnce(&Ops, &mut Stream) -> Result<(), Error>) {
        let mut stream = Stream::new(&self.gpu, &self.queue);
        record(&self.ops, &mut stream).unwrap_or_else(|error| panic!("{error}"));
        stream.finish().unwrap_or_else(|error| panic!("{error}"));
    }

    /// The error of recording.
    #[track_caller]
    fn error(&self, record: impl FnOnce(&Ops, &mut Stream) -> Result<(), Error>) -> String {
        let mut stream = Stream::new(&self.gpu, &self.queue);
        record(&self.ops, &mut stream).expect_err("it is wrong").to_string()
    }

    fn tensor(&self, dtype: DType, shape: &[usize], values: &[f32]) -> Tensor {
        let tensor = Tensor::new(&self.gpu, dtype, shape).expect("memory");
        match dtype {
            DType::F32 => tensor.write::<f32>().expect("free").copy_from_slice(values),
            DType::F16 => {
                let mut to = tensor.write::<Half>().expect("free");
                to.iter_mut().zip(values).for_each(|(to, &v)| *to = Half::from(v));
            }
            DType::BF16 => {
                let mut to = tensor.write::<Bfloat>().expect("free");
                to.iter_mut().zip(values).for_each(|(to, &v)| *to = Bfloat::from(v));
            }
            DType::I32 => {
                let mut to = tensor.write::<i32>().expect("free");
                to.iter_mut().zip(values).for_each(|(to, &v)| *to = v as i32);
            }
            _ => panic!("no values of type {dtype}"),
        }
        tensor
    }

    /// Values from -1 to 1.
    fn random(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|_| self.random.value()).collect();
        self.tensor(dtype, shape, &values)
    }

    /// Weights of any type: random blocks with values of moderate size.
    fn weights(&mut self, dtype: DType, shape: &[usize]) -> Tensor {
        if !dtype.is_quantized() {
            return self.random(dtype, shape);
        }
        let tensor = Tensor::new(&self.gpu, dtype, shape).expect("memory");
        let mut values = vec![0.0; dtype.block()];
        for block in tensor.write_bytes().expect("free").chunks_mut(dtype.block_bytes()) {
            loop {
                block.iter_mut().for_each(|byte| *byte = (self.random.bits() >> 32) as u8);
                dequantize(dtype, block, &mut values).expect("a decoder");
                if values.iter().all(|v| v.abs() < 1e3) && values.iter().any(|v| v.abs() > 1e-3) {
                    break;
                }
            }
        }
        tensor
    }

    /// A tensor for results, filled with values that are not results.
    fn result(&self, dtype: DType, shape: &[usize]) -> Tensor {
        let tensor = Tensor::new(&self.gpu, dtype, shape).expect("memory");
        tensor.write_bytes().expect("free").fill(0xff);
        tensor
    }
}

/// A tensor that only reserves addresses: no page of it is touched. If the system refuses to reserve them, the standard
/// error says that nothing was tested: what `println!` writes is not shown if a test passes.
fn without_pages(setup: &Setup, dtype: DType, shape: &[usize]) -> Option<Tensor> {
    Tensor::for_overwrite(&setup.gpu, dtype, shape)
        .inspect_err(|error| {
            let test = std::thread::current();
            let name = test.name().unwrap_or("a test");
            let message =
                format!("{name}: SKIPPED, it needs {shape:?} values of {dtype}: {error}\n");
            std::io::stderr().write_all(message.as_bytes()).expect("standard error");
        })
        .ok()
}

/// The values of a contiguous tensor of any type.
fn values(tensor: &Tensor) -> Vec<f64> {
    let mut values = vec![0.0; tensor.count()];
    dequantize(tensor.dtype(), &tensor.read_bytes().expect("free"), &mut values)
        .expect("a decoder");
    values.into_iter().map(f64::from).collect()
}

/// The rounding error of writing a value.
fn rounding(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-11),
        DType::BF16 => 2f64.powi(-8),
        _ => 2f64.powi(-24),
    }
}

/// Compares results with expected values, each with the magnitude that its error is relative to.
#[track_caller]
fn close(what: &str, result: &Tensor, expected: &[(f64, f64)], tolerance: f64) {
    let found = values(result);
    assert_eq!(found.len(), expected.len(), "{what}");
    let rounding = rounding(result.dtype());
    for (i, (found, (expected, magnitude))) in found.iter().zip(expected).enumerate() {
        // Halves have no more than 2^-25 of error near zero, and no more than f32's smallest here.
        let limit = tolerance * magnitude + rounding * expected.abs() + 6e-8;
        let error = (found - expected).abs();
        let same = found == expected || error <= limit;
        assert!(
            same,
            "{what}: value {i} is {found}, not {expected}: off by {error:e}, and {limit:e} is allowed"
        );
    }
}

/// Values whose magnitudes are their own.
fn plain(values: impl IntoIterator<Item = f64>) -> Vec<(f64, f64)> {
    values.into_iter().map(|value| (value, value.abs())).collect()
}

const FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

/// Each kernel that cannot be made is reported, once, and the others are made.
#[test]
fn warming_reports_each_kernel_that_cannot_be_made() {
    use super::source::{File, Variant};
    use crate::infer::ops::Unary;
    use crate::infer::{Arg, Grid};
    let setup = Setup::new(1);
    let x = setup.tensor(DType::F32, &[4], &[0.0; 4]);
    // Without its defines the file has no such kernel.
    let broken = |ops: &Ops, stream: &mut Stream, function| {
        ops.launch(stream, Variant::new(File::Rows, function), &[], Grid::threads_1d(1))
    };
    let warmed = setup.ops.warm(|ops, stream| {
        broken(ops, stream, "softmax")?;
        ops.unary(stream, Unary::Exp, &x, &x)?;
        broken(ops, stream, "norm")?;
        broken(ops, stream, "softmax")?;
        ops.unary(stream, Unary::Sin, &x, &x)
    });
    let Err(Error::Warm(failures)) = warmed else { panic!("{warmed:?}") };
    let names: Vec<&str> = failures.iter().map(|failure| &failure.source[..]).collect();
    assert_eq!(names, ["Rows.norm", "Rows.softmax"]);
    assert_eq!(setup.ops.kernels().len(), 2, "the others are made");
    let error = Error::Warm(failures).to_string();
    assert!(error.starts_with("2 kernels could not be made: 'Rows.norm': "), "{error}");
    // Otherwise the first one is an error.
    let error = setup.error(|ops, stream| {
        ops.launch(
            stream,
            Variant::new(File::Rows, "norm"),
            &[Arg::Tensor(&x)],
            Grid::threads_1d(1),
        )
    });
    assert!(error.contains("norm"), "{error}");
}

/// A sampled operation that cannot go on, because the CPU uses the memory, is whole when it is recorded again.
#[test]
fn a_sampled_operation_is_recorded_again_after_a_refusal() {
    use crate::infer::Sampling;
    use crate::infer::ops::Order;
    let mut setup = Setup::new(2);
    let x = setup.random(DType::F32, &[1, 3000]);
    let indices = setup.result(DType::I32, &[1, 3000]);
    let mut stream = Stream::new(&setup.gpu, &setup.queue);
    stream.sample(Sampling::Launches).expect("a stream");
    let sort = |stream: &mut Stream| setup.ops.argsort(stream, &x, &indices, Order::Ascending);
    let guard = x.write::<f32>().expect("free");
    let error = sort(&mut stream).expect_err("the second launch submits the first one");
    assert!(error.is_transient(), "{error}");
    drop(guard);
    sort(&mut stream).expect("free");
    let launches = stream.finish().expect("it runs").counters.launches;
    let mut whole = Stream::new(&setup.gpu, &setup.queue);
    sort(&mut whole).expect("free");
    assert_eq!(launches, whole.finish().expect("it runs").counters.launches + 1);
    let (x, found) = (values(&x), indices.to_vec::<i32>().expect("free"));
    assert!(found.windows(2).all(|pair| x[pair[0] as usize] <= x[pair[1] as usize]));
}
