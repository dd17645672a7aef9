//! Weights of products: plain values, blocks, MLX's format, and pairs of them for gates.

use super::source::{File, Variant};
use super::{Matrix, float, typed, word, wrong};
use crate::infer::launch::Arg;
use crate::infer::weights::{Affine, QuantizedWeight};
use crate::infer::{DType, Error, Tensor};

/// The function of a gate.
///
/// ```
/// use aruminium::infer::ops::Gate;
/// assert_ne!(Gate::Silu, Gate::Gelu);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// [`Silu`](super::Unary::Silu), for SwiGLU.
    Silu,
    /// [`Gelu`](super::Unary::Gelu), for GeGLU.
    Gelu,
    /// [`GeluTanh`](super::Unary::GeluTanh).
    GeluTanh,
}

impl Gate {
    fn expression(self) -> &'static str {
        match self {
            Self::Silu => "(silu(a) * (b))",
            Self::Gelu => "(gelu(a) * (b))",
            Self::GeluTanh => "(gelu_tanh(a) * (b))",
        }
    }
}

/// Two weights of the same type and shape: the results of `up` are multiplied with a function of those of `gate`, in the same
/// launch. `W` is [`Tensor`] or [`QuantizedWeight`].
///
/// ```
/// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::{Gate, Gated, Linear}};
/// # let gpu = aruminium::Gpu::open()?;
/// # let ops = Ops::new(&gpu);
/// let of = |value: f32| Tensor::from_slice(&gpu, &[value], &[1, 1]);
/// let (x, gate, up, y) = (of(2.0)?, of(0.0)?, of(3.0)?, of(1.0)?);
/// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
/// let w = Gated { gate: &gate, up: &up, kind: Gate::Silu };
/// ops.linear(&mut stream, &x, w, &y, Linear::default())?;
/// stream.finish()?;
/// assert_eq!(y.to_vec::<f32>()?, [0.0], "the gate is closed");
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gated<'a, W> {
    /// The weight whose results are gates.
    pub gate: &'a W,
    /// The weight whose results are multiplied.
    pub up: &'a W,
    /// The function of gates.
    pub kind: Gate,
}

/// A weight of products and lookups: a tensor of any type, a weight in MLX's affine format, or two of either that are
/// [`Gated`].
///
/// ```
/// use aruminium::infer::{DType, Tensor, ops::Weight};
/// let tensor = Tensor::new(&aruminium::Gpu::open()?, DType::F16, &[8, 64])?;
/// let weight = Weight::from(&tensor);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Weight<'a> {
    one: One<'a>,
    up: Option<(One<'a>, Gate)>,
}

#[derive(Clone, Copy, Debug)]
enum One<'a> {
    Plain(&'a Tensor),
    Mlx(&'a QuantizedWeight),
}

impl<'a> From<&'a Tensor> for One<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Plain(tensor)
    }
}

impl<'a> From<&'a QuantizedWeight> for One<'a> {
    fn from(weight: &'a QuantizedWeight) -> Self {
        Self::Mlx(weight)
    }
}

impl<'a> From<&'a Tensor> for Weight<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self { one: tensor.into(), up: None }
    }
}

impl<'a> From<&'a QuantizedWeight> for Weight<'a> {
    fn from(weight: &'a QuantizedWeight) -> Self {
        Self { one: weight.into(), up: None }
    }
}

impl<'a> From<Gated<'a, Tensor>> for Weight<'a> {
    fn from(Gated { gate, up, kind }: Gated<'a, Tensor>) -> Self {
        Self { one: gate.into(), up: Some((up.into(), kind)) }
    }
}

impl<'a> From<Gated<'a, QuantizedWeight>> for Weight<'a> {
    fn from(Gated { gate, up, kind }: Gated<'a, QuantizedWeight>) -> Self {
        Self { one: gate.into(), up: Some((up.into(), kind)) }
    }
}

/// A weight that was checked, as a matrix.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a> {
    tensor: &'a Tensor,
    scales: Option<(&'a Tensor, &'a Tensor)>,
    affine: Option<Affine>,
    up: Option<(One<'a>, Gate)>,
    /// Of all experts.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Bytes from row to row.
    pub(super) stride: u32,
}

impl<'a> Checked<'a> {
    pub(super) fn of(op: &str, weight: Weight<'a>) -> Result<Self, Error> {
        let one = Self::one(op, "w", weight.one)?;
        if let Some((up, _)) = weight.up {
            let up = Self::one(op, "up", up)?;
            let kind = |w: &Self| (w.tensor.dtype(), w.affine, w.scales.map(|s| s.0.dtype()));
            let same = kind(&up) == kind(&one)
                && up.tensor.shape() == one.tensor.shape()
                && up.stride == one.stride;
            if !same {
                let [up, gate] = [up, one].map(|w| (w.tensor.dtype(), w.tensor.shape()));
                return Err(wrong(op, format!("up is {up:?}, and the gate is {gate:?}")));
            }
        }
        Ok(Self { up: weight.up, ..one })
    }

    fn one(op: &str, name: &str, weight: One<'a>) -> Result<Self, Error> {
        match weight {
            One::Plain(tensor) => Self::plain(op, name, tensor),
            One::Mlx(weight) => Self::mlx(op, weight),
        }
    }

    fn plain(op: &str, name: &str, w: &'a Tensor) -> Result<Self, Error> {
        let dtype = w.dtype();
        if !(dtype.is_quantized() && dtype.block() > 0) {
            float(op, name, w)?;
        }
        let Matrix { rows, columns, stride } = Matrix::of(op, name, w)?;
        let error = || wrong(op, format!("rows of {name} are no blocks"));
        let stride = word(op, dtype.bytes_of(stride).ok_or_else(error)?)?;
        Ok(Self { tensor: w, scales: None, affine: None, up: None, rows, columns, stride })
    }

    fn mlx(op: &str, w: &'a QuantizedWeight) -> Result<Self, Error> {
        let Affine { bits, group } = w.affine;
        typed(op, "the weight", &w.weight, &[DType::U32])?;
        let scale = float(op, "scales", &w.scales)?;
        typed(op, "biases", &w.biases, &[scale])?;
        let matrix = Matrix::of(op, "the weight", &w.weight)?;
        let columns = matrix.columns * 32 / bits.clamp(1, 8) as usize;
        let whole = group > 0 && columns.is_multiple_of(group);
        if !(1..=8).contains(&bits) || !whole {
            let why =
                format!("{columns} columns are not whole groups of {group} values of {bits} bits");
            return Err(wrong(op, why));
        }
        // Kernels decode 16 values at a time.
        if !columns.is_multiple_of(16) {
            let why = format!(
                "{columns} columns are not a multiple of 16, as kernels need for MLX's format"
            );
            return Err(wrong(op, why));
        }
        for (name, tensor) in [("scales", &w.scales), ("biases", &w.biases)] {
            let found = Matrix::sized(op, name, tensor, matrix.rows, columns / group)?;
            if found.rows > 1 && found.stride != found.columns {
                return Err(wrong(op, format!("{name} are not contiguous")));
            }
        }
        Ok(Self {
            tensor: &w.weight,
            scales: Some((&w.scales, &w.biases)),
            affine: Some(w.affine),
            up: None,
            rows: matrix.rows,
            columns,
            stride: word(op, matrix.stride * 4)?,
        })
    }

    /// The number of experts and the outputs of each.
    pub(super) fn experts(&self, op: &str) -> Result<[usize; 2], Error> {
        match *self.tensor.shape() {
            [experts, outputs, _] => Ok([experts, outputs]),
            ref shape => {
                Err(wrong(op, format!("w of shape {shape:?} is not experts, outputs and columns")))
            }
        }
    }

    pub(super) fn is_gated(&self) -> bool {
        self.up.is_some()
    }

    pub(super) fn variant(&self, function: &'static str) -> Variant {
        let mut variant = Variant::new(File::Linear, function).format(self.tensor.dtype());
        if let (Some(Affine { bits, group }), Some((scales, _))) = (self.affine, self.scales) {
            let group = group as u32;
            variant = variant.number("BITS", bits).number("GROUP", group);
            variant = variant.ty("SCALE", scales.dtype());
        }
        match self.up {
            Some((_, gate)) => variant.text_of("GATED(a, b)", gate.expression()),
            None => variant,
        }
    }

    /// The arguments of a kernel.
    pub(super) fn args<'b>(&'b self, first: [Arg<'b>; 3]) -> Vec<Arg<'b>> {
        let pair = |(scales, biases)| [scales, biases];
        let scales = self.scales.into_iter().flat_map(pair);
        let up: Vec<&Tensor> = match self.up {
            Some((One::Plain(tensor), _)) => vec![tensor],
            Some((One::Mlx(w), _)) => vec![&w.weight, &w.scales, &w.biases],
            None => Vec::new(),
        };
        let tensors = [self.tensor].into_iter().chain(scales).chain(up);
        first.into_iter().chain(tensors.map(Arg::Tensor)).collect()
    }
}
