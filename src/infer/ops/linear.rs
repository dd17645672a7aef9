//! Products with weights of any type, and rows of them by index.

use super::source::{File, Variant};
use super::{Matrix, Ops, bytes, float, typed, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::weights::{Affine, QuantizedWeight};
use crate::infer::{DType, Error, Stream, Tensor};

/// The largest number of rows for which each row of the weights is decoded once for all of them. More rows are multiplied
/// in tiles.
///
/// ```
/// assert_eq!(aruminium::infer::ops::FEW_ROWS, 8);
/// ```
pub const FEW_ROWS: usize = 8;

/// The choices of [`Ops::linear`].
///
/// ```
/// use aruminium::infer::ops::{FEW_ROWS, Linear};
/// assert_eq!(Linear::default().few_rows, FEW_ROWS);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Up to this number of rows (at most 8) the kernel for few rows is used; 0 always uses tiles.
    pub few_rows: usize,
}

impl Default for Linear {
    fn default() -> Self {
        Self { few_rows: FEW_ROWS }
    }
}

/// Weights of either kind, checked.
struct Weights<'a> {
    tensor: &'a Tensor,
    scales: Option<(&'a Tensor, &'a Tensor)>,
    affine: Option<Affine>,
    rows: usize,
    columns: usize,
    /// Bytes from row to row.
    stride: u32,
}

impl<'a> Weights<'a> {
    fn plain(op: &str, w: &'a Tensor) -> Result<Self, Error> {
        let dtype = w.dtype();
        if !(dtype.is_quantized() && dtype.block() > 0) {
            float(op, "w", w)?;
        }
        let Matrix { rows, columns, stride } = Matrix::of(op, "w", w)?;
        let stride = dtype.bytes_of(stride).ok_or_else(|| wrong(op, "rows of w are no blocks"))?;
        let stride = word(op, stride)?;
        Ok(Self { tensor: w, scales: None, affine: None, rows, columns, stride })
    }

    fn mlx(op: &str, w: &'a QuantizedWeight) -> Result<Self, Error> {
        let Affine { bits, group } = w.affine;
        typed(op, "the weight", &w.weight, &[DType::U32])?;
        let scale = float(op, "scales", &w.scales)?;
        typed(op, "biases", &w.biases, &[scale])?;
        let matrix = Matrix::of(op, "the weight", &w.weight)?;
        let columns = matrix.columns * 32 / bits.clamp(1, 8) as usize;
        if !(1..=8).contains(&bits) || group == 0 || !columns.is_multiple_of(group.max(16)) {
            let why =
                format!("{columns} columns are not whole groups of {group} values of {bits} bits");
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
            rows: matrix.rows,
            columns,
            stride: word(op, matrix.stride * 4)?,
        })
    }

    fn variant(&self, function: &'static str) -> Variant {
        let variant = Variant::new(File::Linear, function).format(self.tensor.dtype());
        match (self.affine, self.scales) {
            (Some(Affine { bits, group }), Some((scales, _))) => variant
                .number("BITS", bits)
                .number("GROUP", group as u32)
                .ty("SCALE", scales.dtype()),
            _ => variant,
        }
    }

    fn args<'b>(&'b self, first: [Arg<'b>; 3]) -> Vec<Arg<'b>> {
        let scales = self.scales.into_iter().flat_map(|(scales, biases)| [scales, biases]);
        first.into_iter().chain([self.tensor.into()]).chain(scales.map(Arg::Tensor)).collect()
    }
}

impl Ops {
    /// `y = x wᵀ`: the rows of `w` are the outputs. `w` has any type; `x` and `y` are floats. Sums are `f32`.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Quant, Stream, Tensor, ops::Linear};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let w = Tensor::new(&gpu, DType::Quant(Quant::Q4_0), &[5, 64])?;
    /// let (x, y) = (Tensor::new(&gpu, DType::F32, &[2, 64])?, Tensor::new(&gpu, DType::F32, &[2, 5])?);
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.linear(&mut stream, &x, &w, &y, Linear::default())?;
    /// assert!(ops.linear(&mut stream, &w, &x, &y, Linear::default()).is_err(), "x holds no floats");
    /// stream.finish()?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn linear(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: &Tensor,
        y: &Tensor,
        params: Linear,
    ) -> Result<(), Error> {
        self.linear_of(stream, x, &Weights::plain("linear", w)?, y, params)
    }

    /// The same for a weight in MLX's affine format.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Linear, weights::{Affine, QuantizedWeight}};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let (weight, scales) = (Tensor::new(&gpu, DType::U32, &[5, 8])?, Tensor::new(&gpu, DType::F32, &[5, 1])?);
    /// let w = QuantizedWeight { weight, biases: scales.clone(), scales, affine: Affine { bits: 4, group: 64 } };
    /// let (x, y) = (Tensor::new(&gpu, DType::F32, &[2, 64])?, Tensor::new(&gpu, DType::F32, &[2, 5])?);
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.linear_mlx(&mut stream, &x, &w, &y, Linear::default())?;
    /// stream.finish()?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn linear_mlx(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: &QuantizedWeight,
        y: &Tensor,
        params: Linear,
    ) -> Result<(), Error> {
        self.linear_of(stream, x, &Weights::mlx("linear_mlx", w)?, y, params)
    }

    fn linear_of(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: &Weights<'_>,
        y: &Tensor,
        params: Linear,
    ) -> Result<(), Error> {
        let op = "linear";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let from = Matrix::of(op, "x", x)?;
        if from.columns != w.columns {
            let (x, w) = (x.shape(), w.columns);
            return Err(wrong(op, format!("x has the shape {x:?}, and rows of w have {w} values")));
        }
        let to = Matrix::sized(op, "y", y, from.rows, w.rows)?;
        if to.rows == 0 || to.columns == 0 {
            return Ok(());
        }
        let words = [from.rows, w.rows, w.columns, from.stride, to.stride];
        let [rows, outputs, columns, x_stride, y_stride] = words.map(|value| word(op, value));
        let params_bytes = bytes([rows?, outputs?, columns?, x_stride?, y_stride?, w.stride]);
        let few = from.rows <= params.few_rows.min(FEW_ROWS);
        let (function, grid) = match few {
            true => ("linear_few", Grid::groups_1d(w.rows.div_ceil(8), 128)),
            false => {
                let groups = (w.rows.div_ceil(64), from.rows.div_ceil(32), 1);
                ("linear_many", Grid::Groups { groups, group: (128, 1, 1) })
            }
        };
        // The number of rows that the kernel computes at once: a power of two.
        let rows = if few { from.rows.next_power_of_two() as u32 } else { 1 };
        let variant = w.variant(function).ty("X", x_type).ty("Y", y_type).number("ROWS", rows);
        self.launch(stream, variant, &w.args([x.into(), y.into(), Arg::Bytes(&params_bytes)]), grid)
    }

    /// Products with experts by index: row `i` of `y` is a row of `x` times the expert `ids[i]`. `w` is experts × outputs ×
    /// columns, of any type; `x` has a row for each of the ids, or one for each group of them that follow each other. An
    /// expert that does not exist makes zeros. Each expert's outputs are then summed by [`matmul`](Self::matmul).
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// // Two experts with one output each: the first value, and the second.
    /// let w = Tensor::from_slice(&gpu, &[1.0f32, 0.0, 0.0, 1.0], &[2, 1, 2])?;
    /// let x = Tensor::from_slice(&gpu, &[5.0f32, 6.0], &[1, 2])?;
    /// let ids = Tensor::from_slice(&gpu, &[1i32, 0], &[1, 2])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 2, 1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.linear_experts(&mut stream, &x, &w, &ids, &y)?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [6.0, 5.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn linear_experts(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: &Tensor,
        ids: &Tensor,
        y: &Tensor,
    ) -> Result<(), Error> {
        let op = "linear_experts";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        typed(op, "ids", ids, &[DType::I32])?;
        let &[experts, outputs, _] = w.shape() else {
            let shape = w.shape();
            return Err(wrong(
                op,
                format!("w of shape {shape:?} is not experts, outputs and columns"),
            ));
        };
        let weights = Weights::plain(op, w)?;
        let from = Matrix::of(op, "x", x)?;
        let slots = ids.count();
        let fits = ids.is_contiguous()
            && from.columns == weights.columns
            && (slots == 0 || (from.rows > 0 && slots.is_multiple_of(from.rows)));
        if !fits {
            let (x, w, ids) = (x.shape(), w.shape(), ids.shape());
            return Err(wrong(op, format!("x {x:?}, w {w:?}, ids {ids:?} do not match")));
        }
        let to = Matrix::sized(op, "y", y, slots, outputs)?;
        if slots == 0 || outputs == 0 {
            return Ok(());
        }
        let words =
            [slots, experts, outputs, from.columns, slots / from.rows, from.stride, to.stride];
        let mut all = [weights.stride; 8];
        for (to, from) in all.iter_mut().zip(words) {
            *to = word(op, from)?;
        }
        let params = bytes(all);
        let variant =
            weights.variant("linear_experts").ty("X", x_type).ty("Y", y_type).number("ROWS", 1);
        let mut args = weights.args([x.into(), y.into(), Arg::Bytes(&params)]);
        args.push(ids.into());
        let groups = (outputs.div_ceil(8), slots, 1);
        self.launch(stream, variant, &args, Grid::Groups { groups, group: (128, 1, 1) })
    }

    /// Rows of `w` by index, decoded: row `i` of `y` is row `indices[i]` of `w`. For embeddings, and to decode a weight.
    /// An index past the end is a row of zeros.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let w = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let indices = Tensor::from_slice(&gpu, &[1i32, 0, 1], &[3])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[3, 2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.lookup(&mut stream, &indices, &w, &y)?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn lookup(
        &self,
        stream: &mut Stream,
        indices: &Tensor,
        w: &Tensor,
        y: &Tensor,
    ) -> Result<(), Error> {
        self.lookup_of(stream, indices, &Weights::plain("lookup", w)?, y)
    }

    /// The same for a weight in MLX's affine format.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, weights::{Affine, QuantizedWeight}};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let (weight, scales) = (Tensor::new(&gpu, DType::U32, &[5, 8])?, Tensor::new(&gpu, DType::F32, &[5, 1])?);
    /// let w = QuantizedWeight { weight, biases: scales.clone(), scales, affine: Affine { bits: 4, group: 64 } };
    /// let indices = Tensor::from_slice(&gpu, &[4i32], &[1])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 64])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.lookup_mlx(&mut stream, &indices, &w, &y)?;
    /// stream.finish()?;
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn lookup_mlx(
        &self,
        stream: &mut Stream,
        indices: &Tensor,
        w: &QuantizedWeight,
        y: &Tensor,
    ) -> Result<(), Error> {
        self.lookup_of(stream, indices, &Weights::mlx("lookup_mlx", w)?, y)
    }

    fn lookup_of(
        &self,
        stream: &mut Stream,
        indices: &Tensor,
        w: &Weights<'_>,
        y: &Tensor,
    ) -> Result<(), Error> {
        let op = "lookup";
        typed(op, "indices", indices, &[DType::I32])?;
        if !indices.is_contiguous() {
            return Err(wrong(op, "indices are not contiguous"));
        }
        let y_type = float(op, "y", y)?;
        let to = Matrix::sized(op, "y", y, indices.count(), w.columns)?;
        if to.rows == 0 || to.columns == 0 {
            return Ok(());
        }
        let words = [to.rows, w.rows, w.columns, to.stride].map(|value| word(op, value));
        let [rows, outputs, columns, stride] = words;
        let params = bytes([rows?, outputs?, columns?, stride?, w.stride]);
        let variant = w.variant("lookup").ty("X", DType::F32).ty("Y", y_type).number("ROWS", 1);
        let args = w.args([indices.into(), y.into(), Arg::Bytes(&params)]);
        let threads = (w.columns.div_ceil(16), to.rows, 1);
        self.launch(stream, variant, &args, Grid::Threads { threads, group: (32, 4, 1) })
    }
}
