//! Operations on each value, with broadcasting; also copies, conversions and gates.

use super::source::{File, Variant, metal};
use super::{Launch, Ops, plain, spans, word};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// An operation on one value.
///
/// ```
/// use aruminium::infer::ops::Unary;
/// assert_ne!(Unary::Silu, Unary::Gelu);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Unary {
    /// The value itself: a copy to other strides, or a conversion to another type.
    Copy,
    /// The negative value.
    Neg,
    /// The absolute value.
    Abs,
    /// The square.
    Square,
    /// The square root.
    Sqrt,
    /// One divided by the square root.
    Rsqrt,
    /// One divided by the value.
    Reciprocal,
    /// The exponential function.
    Exp,
    /// The natural logarithm.
    Log,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The hyperbolic tangent.
    Tanh,
    /// The value, or 0 if it is negative.
    Relu,
    /// The logistic function.
    Sigmoid,
    /// The value times its logistic function.
    Silu,
    /// The value times the distribution function of the normal distribution, with an error of up to 1.5e-7.
    Gelu,
    /// The same by its approximation with tanh.
    GeluTanh,
    /// The value times the first number, plus the second.
    Affine(f32, f32),
    /// The value within two limits.
    Clamp(f32, f32),
    /// The tanh of the value divided by a limit, times the limit.
    SoftCap(f32),
}

/// An operation on two values.
///
/// ```
/// use aruminium::infer::ops::Binary;
/// assert_ne!(Binary::SiluMul, Binary::GeluMul);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Binary {
    /// The sum.
    Add,
    /// The difference.
    Sub,
    /// The product.
    Mul,
    /// The quotient.
    Div,
    /// The larger value.
    Max,
    /// The smaller value.
    Min,
    /// The first to the power of the second.
    Pow,
    /// [`Silu`](Unary::Silu) of the first, times the second: the gate of SwiGLU.
    SiluMul,
    /// [`Gelu`](Unary::Gelu) of the first, times the second.
    GeluMul,
    /// [`GeluTanh`](Unary::GeluTanh) of the first, times the second.
    GeluTanhMul,
    /// The first, or 0 if it is negative, times the second.
    ReluMul,
    /// [`Sigmoid`](Unary::Sigmoid) of the first, times the second.
    SigmoidMul,
}

/// An operation in the kernel's source: the expression, its numbers, and whether it exists for integers too.
struct Expression(&'static str, [f32; 2], bool);

impl Unary {
    fn expression(self) -> Expression {
        let (text, numbers, whole) = match self {
            Self::Copy => ("(a)", [0.0; 2], true),
            Self::Neg => ("(-(a))", [0.0; 2], true),
            Self::Abs => ("abs(a)", [0.0; 2], true),
            Self::Square => ("((a) * (a))", [0.0; 2], true),
            Self::Sqrt => ("sqrt(a)", [0.0; 2], false),
            Self::Rsqrt => ("rsqrt(a)", [0.0; 2], false),
            Self::Reciprocal => ("(1.0f / (a))", [0.0; 2], false),
            Self::Exp => ("exp(a)", [0.0; 2], false),
            Self::Log => ("log(a)", [0.0; 2], false),
            Self::Sin => ("precise::sin(a)", [0.0; 2], false),
            Self::Cos => ("precise::cos(a)", [0.0; 2], false),
            Self::Tanh => ("precise::tanh(a)", [0.0; 2], false),
            Self::Relu => ("max(a, COMPUTE(0))", [0.0; 2], true),
            Self::Sigmoid => ("sigmoid(a)", [0.0; 2], false),
            Self::Silu => ("silu(a)", [0.0; 2], false),
            Self::Gelu => ("gelu(a)", [0.0; 2], false),
            Self::GeluTanh => ("gelu_tanh(a)", [0.0; 2], false),
            Self::Affine(factor, term) => ("fma(a, p.p, p.q)", [factor, term], false),
            Self::Clamp(low, high) => ("clamp(a, p.p, p.q)", [low, high], false),
            Self::SoftCap(limit) => ("(p.p * precise::tanh((a) / p.p))", [limit, 0.0], false),
        };
        Expression(text, numbers, whole)
    }
}

impl Binary {
    fn expression(self) -> Expression {
        let (text, whole) = match self {
            Self::Add => ("((a) + (b))", true),
            Self::Sub => ("((a) - (b))", true),
            Self::Mul => ("((a) * (b))", true),
            Self::Div => ("((a) / (b))", false),
            Self::Max => ("larger(a, b)", true),
            Self::Min => ("smaller(a, b)", true),
            Self::Pow => ("pow(a, b)", false),
            Self::SiluMul => ("(silu(a) * (b))", false),
            Self::GeluMul => ("(gelu(a) * (b))", false),
            Self::GeluTanhMul => ("(gelu_tanh(a) * (b))", false),
            Self::ReluMul => ("(max(a, COMPUTE(0)) * (b))", true),
            Self::SigmoidMul => ("(sigmoid(a) * (b))", false),
        };
        Expression(text, [0.0; 2], whole)
    }
}

/// Axes that operands share, each with its size and a stride for each operand; as few as possible.
pub(super) fn axes(shape: &[usize], strides: &[Vec<usize>]) -> Vec<(usize, Vec<usize>)> {
    let mut axes: Vec<(usize, Vec<usize>)> = Vec::new();
    for (axis, &size) in shape.iter().enumerate() {
        let steps: Vec<usize> = strides.iter().map(|strides| strides[axis]).collect();
        if size == 1 {
            continue;
        }
        match axes.last_mut() {
            // The outer axis continues where the inner one ends, in every operand.
            Some((outer, outer_steps))
                if outer_steps.iter().zip(&steps).all(|(outer, step)| *outer == step * size) =>
            {
                *outer *= size;
                *outer_steps = steps;
            }
            _ => axes.push((size, steps)),
        }
    }
    if axes.is_empty() {
        axes.push((1, vec![0; strides.len()]));
    }
    axes
}

impl Ops {
    /// Applies an operation to each value. `x` is broadcast to the shape of `y`.
    ///
    /// # Errors
    ///
    /// If `x` cannot be broadcast, or a type is not possible.
    ///
    /// ```
    /// # use aruminium::{fp16::Half, infer::{DType, Ops, Stream, Tensor, ops::Unary}};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, -2.0], &[2])?;
    /// let y = Tensor::new(&gpu, DType::I32, &[2, 2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.unary(&mut stream, Unary::Copy, &x, &y)?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<i32>()?, [1, -2, 1, -2]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn unary(
        &self,
        stream: &mut Stream,
        op: Unary,
        x: &Tensor,
        y: &Tensor,
    ) -> Result<(), Error> {
        let launch = self.prepare("unary", op.expression(), op == Unary::Copy, x, None, y)?;
        self.elementwise(stream, launch)
    }

    /// Applies an operation to each pair of values. `a` and `b` are broadcast to the shape of `y`.
    ///
    /// # Errors
    ///
    /// If an operand cannot be broadcast, or a type is not possible.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Binary};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let a = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let b = Tensor::from_slice(&gpu, &[10.0f32, 20.0], &[2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.binary(&mut stream, Binary::Add, &a, &b, &a)?;
    /// stream.finish()?;
    /// assert_eq!(a.to_vec::<f32>()?, [11.0, 22.0, 13.0, 24.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn binary(
        &self,
        stream: &mut Stream,
        op: Binary,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
    ) -> Result<(), Error> {
        let launch = self.prepare("binary", op.expression(), false, a, Some(b), y)?;
        self.elementwise(stream, launch)
    }

    /// A copy, to be recorded with others.
    pub(super) fn prepare_copy<'a>(
        &self,
        op: &str,
        x: &Tensor,
        y: &'a Tensor,
    ) -> Result<Option<Elementwise<'a>>, Error> {
        self.prepare(op, Unary::Copy.expression(), true, x, None, y)
    }

    fn elementwise(
        &self,
        stream: &mut Stream,
        launch: Option<Elementwise<'_>>,
    ) -> Result<(), Error> {
        let Some(launch) = launch else { return Ok(()) };
        self.record(stream, &[launch.with(&launch.args())], &[])
    }

    fn prepare<'a>(
        &self,
        op: &str,
        Expression(text, numbers, whole): Expression,
        copies: bool,
        a: &Tensor,
        b: Option<&Tensor>,
        y: &'a Tensor,
    ) -> Result<Option<Elementwise<'a>>, Error> {
        let mut float = false;
        let first = if b.is_some() { "a" } else { "x" };
        for (name, tensor) in [(first, Some(a)), ("b", b), ("y", Some(y))] {
            let Some(tensor) = tensor else { continue };
            float |= plain(op, name, tensor)?.is_float();
        }
        if !whole && !float {
            let what = format!("{op}: this operation is for floats");
            return Err(Error::DType { what, found: a.dtype() });
        }
        let shape = y.shape();
        let a = a.broadcast(shape)?;
        let b = b.map(|b| b.broadcast(shape)).transpose()?;
        let strides: Vec<Vec<usize>> = [Some(y), Some(&a), Some(b.as_ref().unwrap_or(&a))]
            .into_iter()
            .flatten()
            .map(|t| t.strides().to_vec())
            .collect();
        let count = y.count();
        if count == 0 {
            return Ok(None);
        }
        spans(op, &[(first, &a), ("b", b.as_ref().unwrap_or(&a)), ("y", y)])?;
        let axes = axes(shape, &strides);
        let mut words = vec![word(op, count)?, numbers[0].to_bits(), numbers[1].to_bits()];
        for (size, _) in &axes {
            words.push(word(op, *size)?);
        }
        for operand in 0..3 {
            for (_, steps) in &axes {
                words.push(word(op, steps[operand])?);
            }
        }
        let params: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        // Of integers, values of `U64` are computed as such, and all others as signed ones.
        let whole = |dtype| if dtype == DType::U64 { "ulong" } else { "long" };
        let compute = |dtype: DType| match float {
            // A copy keeps all bits, those of NaNs too.
            _ if copies && dtype == y.dtype() => metal(dtype),
            true => "float",
            false => whole(dtype),
        };
        let mut variant = Variant::new(File::Elementwise, "elementwise")
            .number("RANK", axes.len() as u32)
            .text_of("COMPUTE", compute(a.dtype()))
            .text_of("OP(a, b)", text)
            .ty("A", a.dtype())
            .ty("O", y.dtype());
        if let Some(b) = &b {
            variant = variant.ty("B", b.dtype()).text_of("COMPUTE_B", compute(b.dtype()));
        }
        Ok(Some(Elementwise { variant, y, params, a, b, count }))
    }
}

/// A launch with what its arguments refer to.
pub(super) struct Elementwise<'a> {
    variant: Variant,
    y: &'a Tensor,
    params: Vec<u8>,
    a: Tensor,
    b: Option<Tensor>,
    count: usize,
}

impl Elementwise<'_> {
    pub(super) fn args(&self) -> Vec<Arg<'_>> {
        let mut args = vec![self.y.into(), Arg::Bytes(&self.params), Arg::Tensor(&self.a)];
        args.extend(self.b.as_ref().map(Arg::Tensor));
        args
    }

    pub(super) fn with<'a>(&self, args: &'a [Arg<'a>]) -> Launch<'a> {
        let (variant, grid) = (self.variant.clone(), Grid::threads_1d(self.count));
        Launch { variant, args, grid, in_place: &[["o", "a"], ["o", "b"]] }
    }
}

#[cfg(test)]
mod tests {
    use super::axes;

    #[test]
    fn axes_that_continue_each_other_are_one() {
        let strides = |all: &[&[usize]]| all.iter().map(|s| s.to_vec()).collect::<Vec<_>>();
        let of = |shape: &[usize], all: &[&[usize]]| axes(shape, &strides(all));
        assert_eq!(of(&[2, 3, 4], &[&[12, 4, 1], &[12, 4, 1]]), [(24, vec![1, 1])]);
        assert_eq!(of(&[2, 3], &[&[3, 1], &[0, 1]]), [(2, vec![3, 0]), (3, vec![1, 1])]);
        assert_eq!(of(&[2, 3], &[&[3, 1], &[0, 0]]), [(6, vec![1, 0])]);
        assert_eq!(of(&[1, 3, 1], &[&[9, 1, 5]]), [(3, vec![1])]);
        assert_eq!(of(&[], &[&[]]), [(1, vec![0])]);
    }
}
