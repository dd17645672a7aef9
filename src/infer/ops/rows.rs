//! Operations on whole rows: norms, softmax, reductions, the largest values.

use super::source::{File, Variant};
use super::{Matrix, Ops, bytes, float, typed, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// The threads of a threadgroup, which computes one row.
const THREADS: usize = 256;

/// The norm by which a row is divided.
///
/// ```
/// use aruminium::infer::ops::{Norm, NormKind};
/// assert_eq!(Norm::default().kind, NormKind::Rms);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// The root of its mean square.
    Rms,
    /// Its standard deviation, after its mean was subtracted.
    Layer,
    /// Its length, or `epsilon` if that is larger.
    L2,
}

/// The choices of [`Ops::norm`].
///
/// ```
/// use aruminium::infer::ops::{Norm, NormKind};
/// let norm = Norm { kind: NormKind::Layer, epsilon: 1e-6, ..Norm::default() };
/// assert!(norm.weight.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// The norm by which a row is divided.
    pub kind: NormKind,
    /// A number that is added to the mean of squares.
    pub epsilon: f32,
    /// The factor of each column.
    pub weight: Option<&'a Tensor>,
    /// A number that is added to the weight: 1 for models that store the difference from 1.
    pub offset: f32,
    /// A number for each column that is added at the end.
    pub bias: Option<&'a Tensor>,
    /// A tensor to which `x` is added first; the sum is written back to it, and normalised.
    pub residual: Option<&'a Tensor>,
}

impl Default for Norm<'_> {
    fn default() -> Self {
        let kind = NormKind::Rms;
        Self { kind, epsilon: 1e-5, weight: None, offset: 0.0, bias: None, residual: None }
    }
}

/// The choices of [`Ops::softmax`].
///
/// ```
/// use aruminium::infer::ops::Softmax;
/// assert_eq!(Softmax::default().scale, 1.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Softmax<'a> {
    /// The factor of the values.
    pub scale: f32,
    /// Values that are added to the products. If it has fewer rows, they are used in turn.
    pub mask: Option<&'a Tensor>,
}

impl Default for Softmax<'_> {
    fn default() -> Self {
        Self { scale: 1.0, mask: None }
    }
}

/// The result of [`Ops::reduce`] for a row.
///
/// ```
/// use aruminium::infer::ops::Reduce;
/// assert_ne!(Reduce::Sum, Reduce::Mean);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// The sum.
    Sum,
    /// The mean.
    Mean,
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
}

/// The parameters of the kernels for rows.
fn params(op: &str, x: Matrix, y: usize, z: usize, a: f32, b: f32) -> Result<Vec<u8>, Error> {
    let [columns, x, y, z] = [x.columns, x.stride, y, z].map(|value| word(op, value));
    Ok(bytes([columns?, x?, y?, z?, a.to_bits(), b.to_bits()]))
}

impl Ops {
    /// Divides each row by its norm.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::{Norm, NormKind}};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[3.0f32, 4.0], &[1, 2])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.norm(&mut stream, &x, &y, Norm { kind: NormKind::L2, ..Norm::default() })?;
    /// stream.finish()?;
    /// assert!((y.to_vec::<f32>()?[1] - 0.8).abs() < 1e-6);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn norm(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        norm: Norm<'_>,
    ) -> Result<(), Error> {
        let op = "norm";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let from = Matrix::of(op, "x", x)?;
        let to = Matrix::sized(op, "y", y, from.rows, from.columns)?;
        let mut stride = 0;
        if let Some(residual) = norm.residual {
            typed(op, "the residual", residual, &[x_type])?;
            let residual = Matrix::sized(op, "the residual", residual, from.rows, from.columns)?;
            stride = residual.stride;
        }
        let mut column_type = None;
        for (name, tensor) in [("the weight", norm.weight), ("the bias", norm.bias)] {
            let Some(tensor) = tensor else { continue };
            let dtype = float(op, name, tensor)?;
            if *column_type.get_or_insert(dtype) != dtype {
                return Err(wrong(op, "weight and bias have different types"));
            }
            Matrix::sized(op, name, tensor, 1, from.columns)?;
        }
        if from.rows == 0 || from.columns == 0 {
            return Ok(());
        }
        let variant = Variant::new(File::Rows, "norm")
            .number(
                "KIND",
                match norm.kind {
                    NormKind::Rms => 0,
                    NormKind::Layer => 1,
                    NormKind::L2 => 2,
                },
            )
            .number("RESIDUAL", norm.residual.is_some().into())
            .number("WEIGHT", norm.weight.is_some().into())
            .number("BIAS", norm.bias.is_some().into())
            .ty("X", x_type)
            .ty("Y", y_type)
            .ty("W", column_type.unwrap_or(DType::F32));
        let params = params(op, from, to.stride, stride, norm.epsilon, norm.offset)?;
        let first = [x.into(), y.into(), Arg::Bytes(&params)];
        let others = [norm.residual, norm.weight, norm.bias].into_iter().flatten();
        let args: Vec<Arg<'_>> = first.into_iter().chain(others.map(Arg::Tensor)).collect();
        let grid = Grid::groups_1d(from.rows, THREADS);
        self.launch_in_place(stream, variant, &args, grid, &[["y", "x"], ["residual", "x"]])
    }

    /// The softmax of each row. A row whose values are all masked (minus infinity) becomes zeros.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Softmax};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[0.0f32, 0.0, f32::NEG_INFINITY], &[1, 3])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 3])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.softmax(&mut stream, &x, &y, Softmax::default())?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [0.5, 0.5, 0.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn softmax(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        softmax: Softmax<'_>,
    ) -> Result<(), Error> {
        let op = "softmax";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let from = Matrix::of(op, "x", x)?;
        let to = Matrix::sized(op, "y", y, from.rows, from.columns)?;
        let mut variant = Variant::new(File::Rows, "softmax")
            .number("SOFTMAX", 1)
            .number("MASK", softmax.mask.is_some().into())
            .ty("X", x_type)
            .ty("Y", y_type);
        let (mut stride, mut rows) = (0, 1);
        if let Some(mask) = softmax.mask {
            let found = Matrix::of(op, "the mask", mask)?;
            if found.columns != from.columns || found.rows == 0 || from.rows % found.rows != 0 {
                let (x, mask) = (x.shape(), mask.shape());
                return Err(wrong(op, format!("a mask of shape {mask:?} does not match {x:?}")));
            }
            (stride, rows) = (found.stride, found.rows);
            variant = variant.ty("M", float(op, "the mask", mask)?);
        }
        if from.rows == 0 || from.columns == 0 {
            return Ok(());
        }
        let params = params(op, from, to.stride, stride, softmax.scale, 0.0)?;
        let rows = word(op, rows)?.to_ne_bytes();
        let mut args = vec![x.into(), y.into(), Arg::Bytes(&params)];
        if let Some(mask) = softmax.mask {
            args.extend([Arg::Tensor(mask), Arg::Bytes(&rows)]);
        }
        let grid = Grid::groups_1d(from.rows, THREADS);
        self.launch_in_place(stream, variant, &args, grid, &[["y", "x"]])
    }

    /// One value for each row. An empty row has the sum 0, and the maximum minus infinity.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Reduce};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.reduce(&mut stream, &x, &y, Reduce::Sum)?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [3.0, 7.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn reduce(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        reduce: Reduce,
    ) -> Result<(), Error> {
        let op = "reduce";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let from = Matrix::of(op, "x", x)?;
        if y.count() != from.rows || !y.is_contiguous() {
            let (x, y) = (x.shape(), y.shape());
            let why = format!("y of shape {y:?} is not one contiguous value for each row of {x:?}");
            return Err(wrong(op, why));
        }
        if from.rows == 0 {
            return Ok(());
        }
        let variant = Variant::new(File::Rows, "reduce")
            .number("REDUCE", reduce as u32)
            .ty("X", x_type)
            .ty("Y", y_type);
        let params = params(op, from, 1, 0, 0.0, 0.0)?;
        let args = [x.into(), y.into(), Arg::Bytes(&params)];
        self.launch(stream, variant, &args, Grid::groups_1d(from.rows, THREADS))
    }

    /// The sums of each row up to each value, itself included.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0], &[1, 3])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.scan(&mut stream, &x, &x)?;
    /// stream.finish()?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 3.0, 6.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn scan(&self, stream: &mut Stream, x: &Tensor, y: &Tensor) -> Result<(), Error> {
        let variant = Variant::new(File::Rows, "scan").number("SCAN", 1);
        self.rows_to_rows(stream, "scan", variant, x, y, 0.0)
    }

    /// The Walsh–Hadamard transform of each row, times a factor: with one divided by the root of the row's size it is its
    /// own inverse. Rows have a power of two of values, at most 4096.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 0.0, 0.0, 2.0], &[1, 4])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.hadamard(&mut stream, &x, &x, 0.5)?;
    /// stream.finish()?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.5, -0.5, -0.5, 1.5]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn hadamard(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        factor: f32,
    ) -> Result<(), Error> {
        let op = "hadamard";
        let size = x.shape().last().copied().unwrap_or(0);
        if !size.is_power_of_two() || size > 4096 {
            return Err(wrong(op, format!("{size} values are no power of two up to 4096")));
        }
        let variant =
            Variant::new(File::Rows, "hadamard").number("HADAMARD", 1).number("SIZE", size as u32);
        self.rows_to_rows(stream, op, variant, x, y, factor)
    }

    /// Launches a kernel that computes a row from each row.
    fn rows_to_rows(
        &self,
        stream: &mut Stream,
        op: &str,
        variant: Variant,
        x: &Tensor,
        y: &Tensor,
        number: f32,
    ) -> Result<(), Error> {
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let from = Matrix::of(op, "x", x)?;
        let to = Matrix::sized(op, "y", y, from.rows, from.columns)?;
        if from.rows == 0 || from.columns == 0 {
            return Ok(());
        }
        let params = params(op, from, to.stride, 0, number, 0.0)?;
        let args = [x.into(), y.into(), Arg::Bytes(&params)];
        let variant = variant.ty("X", x_type).ty("Y", y_type);
        let grid = Grid::groups_1d(from.rows, THREADS);
        self.launch_in_place(stream, variant, &args, grid, &[["y", "x"]])
    }

    /// The indices of the largest values of each row, in descending order, and the values if a tensor is given for them. Of
    /// equal values the first comes first; NaN is less than everything. As many as `indices` has columns: for each, the
    /// threads that had the value before read their part of the row again.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match, or a row has fewer values.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 7.0, 3.0], &[1, 3])?;
    /// let indices = Tensor::new(&gpu, DType::I32, &[1, 2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.top(&mut stream, &x, &indices, None)?;
    /// stream.finish()?;
    /// assert_eq!(indices.to_vec::<i32>()?, [1, 2]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn top(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        indices: &Tensor,
        values: Option<&Tensor>,
    ) -> Result<(), Error> {
        let op = "top";
        let x_type = float(op, "x", x)?;
        typed(op, "indices", indices, &[DType::I32])?;
        let from = Matrix::of(op, "x", x)?;
        let found = Matrix::of(op, "indices", indices)?;
        if found.rows != from.rows || found.columns > from.columns {
            let (x, indices) = (x.shape(), indices.shape());
            return Err(wrong(op, format!("indices of shape {indices:?} are too many for {x:?}")));
        }
        if let Some(values) = values {
            typed(op, "values", values, &[DType::F32])?;
            Matrix::sized(op, "values", values, found.rows, found.columns)?;
        }
        if !indices.is_contiguous() || values.is_some_and(|values| !values.is_contiguous()) {
            return Err(wrong(op, "indices and values are contiguous"));
        }
        if found.rows == 0 || found.columns == 0 {
            return Ok(());
        }
        let variant = Variant::new(File::Rows, "top")
            .number("TOP", 1)
            .number("VALUES", values.is_some().into())
            .ty("X", x_type);
        let params = params(op, from, found.columns, 0, 0.0, 0.0)?;
        let mut args = vec![x.into(), indices.into(), Arg::Bytes(&params)];
        args.extend(values.map(Arg::Tensor));
        self.launch(stream, variant, &args, Grid::groups_1d(from.rows, THREADS))
    }
}
