//! Sorting, and values by index.

use super::elementwise::{Elementwise, axes};
use super::source::{File, Variant};
use super::{Launch, Matrix, Ops, bytes, float, plain, spans, typed, word, wrong};
use crate::infer::checks::Apart;
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// The order of [`Ops::argsort`].
///
/// ```
/// use aruminium::infer::ops::Order;
/// assert_ne!(Order::Ascending, Order::Descending);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The smallest value first.
    Ascending,
    /// The largest value first.
    Descending,
}

/// The choices of [`Ops::scatter`].
///
/// ```
/// let scatter = aruminium::infer::ops::Scatter { add: true, ..Default::default() };
/// assert_eq!(scatter.axis, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scatter {
    /// The axis of the indices.
    pub axis: usize,
    /// Whether values are added to those of the result, and not written over them.
    pub add: bool,
}

/// The values that a threadgroup sorts in its memory.
const TILE: usize = 1024;

/// The lengths of all axes but one.
fn without(shape: &[usize], axis: usize) -> Vec<usize> {
    let lengths = shape.iter().enumerate().filter(|(i, _)| *i != axis);
    lengths.map(|(_, &length)| length).collect()
}

impl Ops {
    /// Tensors side by side along an axis. Types are converted, and strides are any. The reverse, a split, needs no
    /// operation: it is [`Tensor::narrow`].
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let a = Tensor::from_slice(&gpu, &[1.0f32, 2.0], &[2, 1])?;
    /// let b = Tensor::from_slice(&gpu, &[3.0f32, 4.0, 5.0, 6.0], &[2, 2])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[2, 3])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.concat(&mut stream, &[&a, &b], &y, 1)?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn concat(
        &self,
        stream: &mut Stream,
        parts: &[&Tensor],
        y: &Tensor,
        axis: usize,
    ) -> Result<(), Error> {
        let op = "concat";
        let others = |tensor: &Tensor| without(tensor.shape(), axis);
        let length = |tensor: &&Tensor| tensor.shape().get(axis).copied().unwrap_or(0);
        let fits = axis < y.rank()
            && parts.iter().all(|part| part.rank() == y.rank() && others(part) == others(y))
            && parts.iter().map(length).sum::<usize>() == length(&y);
        if !fits {
            let (parts, y) = (parts.iter().map(|part| part.shape()).collect::<Vec<_>>(), y.shape());
            return Err(wrong(op, format!("{parts:?} along axis {axis} are not {y:?}")));
        }
        for (name, tensor) in parts.iter().map(|part| ("a part", *part)).chain([("y", y)]) {
            plain(op, name, tensor)?;
        }
        // A target of length 1 does not show it any more.
        if y.count() > 0 && y.is_broadcast() {
            return Err(wrong(op, "y is broadcast: several of its values are one in memory"));
        }
        let mut end = 0;
        let targets = parts.iter().map(|part| {
            let start = end;
            end += length(part);
            y.narrow(axis, start..end)
        });
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        // Each part is a launch, in order: it must not overwrite a later one.
        let apart = [Apart::InOrder { op, from: parts, to: &targets }];
        let copies = parts.iter().zip(&targets).map(|(part, to)| self.prepare_copy(op, part, to));
        let copies: Vec<_> = copies.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let args: Vec<_> = copies.iter().map(Elementwise::args).collect();
        let launches = copies.iter().zip(&args).map(|(copy, args)| copy.with(args));
        self.record(stream, &launches.collect::<Vec<_>>(), &apart)
    }

    /// The indices of the values of each row, in order. Of equal values the first comes first, and NaN is last in either
    /// order. Rows of up to 1024 values are one launch; the number of launches grows with the square of the logarithm.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Order};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 7.0, 3.0], &[1, 3])?;
    /// let indices = Tensor::new(&gpu, DType::I32, &[1, 3])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.argsort(&mut stream, &x, &indices, Order::Descending)?;
    /// stream.finish()?;
    /// assert_eq!(indices.to_vec::<i32>()?, [1, 2, 0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn argsort(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        indices: &Tensor,
        order: Order,
    ) -> Result<(), Error> {
        let op = "argsort";
        let x_type = float(op, "x", x)?;
        typed(op, "indices", indices, &[DType::I32])?;
        let from = Matrix::of(op, "x", x)?;
        let to = Matrix::sized(op, "indices", indices, from.rows, from.columns)?;
        if from.rows == 0 || from.columns == 0 {
            return Ok(());
        }
        // Counted with signs.
        if i32::try_from(from.columns).is_err() {
            return Err(wrong(
                op,
                format!("rows of {} values: 2³¹ - 1 are possible", from.columns),
            ));
        }
        let words = [from.columns, from.stride, to.stride].map(|value| word(op, value));
        let [columns, x_stride, y_stride] = words;
        let [columns, x_stride, y_stride] = [columns?, x_stride?, y_stride?];
        let variant = |function: &'static str, merge: bool| {
            Variant::new(File::Arrange, function)
                .number("SORT", 1)
                .number("DESCENDING", (order == Order::Descending).into())
                .number("MERGE", merge.into())
                .ty("X", x_type)
        };
        let groups = (from.columns.div_ceil(TILE), from.rows, 1);
        let tiles = Grid::Groups { groups, group: (256, 1, 1) };
        let pairs = (from.columns.next_power_of_two() / 2, from.rows, 1);
        let steps = Grid::Threads { threads: pairs, group: (256, 1, 1) };
        let mut sequence = vec![("sort_tile", false, 0, tiles)];
        let mut size = 2 * TILE;
        while size / 2 < from.columns {
            sequence.push(("sort_step", true, size, steps));
            let mut block = size / 2;
            while block > TILE {
                sequence.push(("sort_step", false, block, steps));
                block /= 2;
            }
            sequence.push(("sort_tile", true, 0, tiles));
            size *= 2;
        }
        let params = sequence.iter().map(|&(_, _, block, _)| {
            word(op, block).map(|block| bytes([columns, x_stride, y_stride, block]))
        });
        let params = params.collect::<Result<Vec<_>, _>>()?;
        let args = params.iter().map(|params| [x.into(), indices.into(), Arg::Bytes(params)]);
        let args: Vec<[Arg<'_>; 3]> = args.collect();
        let launches = sequence.iter().zip(&args).map(|(&(function, merge, _, grid), args)| {
            Launch { variant: variant(function, merge), args, grid, in_place: &[] }
        });
        self.record(stream, &launches.collect::<Vec<_>>(), &[])
    }

    /// Values of `x` along an axis by index: `y` and `indices` have the same shape, which differs from that of `x` only in
    /// this axis. An index past the end is a zero. Strides are any, and types all but quantised ones.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let indices = Tensor::from_slice(&gpu, &[1i32, 1, 0, 0, 1, 0], &[2, 3])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[2, 3])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.take(&mut stream, &x, &indices, &y, 1)?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [2.0, 2.0, 1.0, 3.0, 4.0, 3.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn take(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        indices: &Tensor,
        y: &Tensor,
        axis: usize,
    ) -> Result<(), Error> {
        let op = "take";
        let dtype = plain(op, "x", x)?;
        typed(op, "y", y, &[dtype])?;
        typed(op, "indices", indices, &[DType::I32])?;
        let others = |tensor: &Tensor| without(tensor.shape(), axis);
        let fits = axis < x.rank() && y.shape() == indices.shape() && others(x) == others(y);
        if !fits || x.rank() != y.rank() {
            let (x, indices, y) = (x.shape(), indices.shape(), y.shape());
            let why =
                format!("x {x:?}, indices {indices:?} and y {y:?} do not match along axis {axis}");
            return Err(wrong(op, why));
        }
        if y.count() == 0 {
            return Ok(());
        }
        spans(op, &[("x", x), ("indices", indices), ("y", y)])?;
        let mut x_strides = x.strides().to_vec();
        let step = std::mem::take(&mut x_strides[axis]);
        let strides = [y.strides().to_vec(), x_strides, indices.strides().to_vec()];
        let axes = axes(y.shape(), &strides);
        let mut words = vec![word(op, y.count())?, word(op, x.shape()[axis])?, word(op, step)?];
        for (size, _) in &axes {
            words.push(word(op, *size)?);
        }
        for operand in 0..3 {
            for (_, steps) in &axes {
                words.push(word(op, steps[operand])?);
            }
        }
        let params: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let variant = Variant::new(File::Arrange, "take")
            .number("TAKE", 1)
            .number("RANK", axes.len() as u32)
            .ty("X", dtype);
        let args = [x.into(), y.into(), indices.into(), Arg::Bytes(&params)];
        self.launch(stream, variant, &args, Grid::threads_1d(y.count()))
    }

    /// The reverse of [`take`](Self::take): value `i` of `x` along an axis goes to position `indices[i]` of `y`, and is added
    /// if so chosen. `x` and `indices` have the same shape, which differs from that of `y` only in this axis. Values with the
    /// same index are in order: the last one stays, and sums are exact to the rounding of each step. An index past the end is
    /// left out. Strides are any, and types all but quantised ones; sums of booleans are not possible.
    ///
    /// Lines along the axis are computed in parallel, and the values of a line one after the other: so long rows along the
    /// first axis are fast, and one long line is not.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Scatter};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0], &[3])?;
    /// let indices = Tensor::from_slice(&gpu, &[1i32, 0, 1], &[3])?;
    /// let y = Tensor::from_slice(&gpu, &[10.0f32, 20.0], &[2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.scatter(&mut stream, &x, &indices, &y, Scatter { add: true, ..Scatter::default() })?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [12.0, 24.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn scatter(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        indices: &Tensor,
        y: &Tensor,
        scatter: Scatter,
    ) -> Result<(), Error> {
        let (op, axis) = ("scatter", scatter.axis);
        let dtype = plain(op, "x", x)?;
        typed(op, "y", y, &[dtype])?;
        typed(op, "indices", indices, &[DType::I32])?;
        let others = |tensor: &Tensor| without(tensor.shape(), axis);
        let fits = axis < y.rank()
            && x.rank() == y.rank()
            && x.shape() == indices.shape()
            && others(x) == others(y);
        if !fits {
            let (x, indices, y) = (x.shape(), indices.shape(), y.shape());
            let why =
                format!("x {x:?}, indices {indices:?} and y {y:?} do not match along axis {axis}");
            return Err(wrong(op, why));
        }
        let compute = match dtype {
            DType::Bool if scatter.add => return Err(wrong(op, "booleans have no sum")),
            _ if dtype.is_float() => "float",
            DType::U64 => "ulong",
            _ => "long",
        };
        if x.count() == 0 || y.count() == 0 {
            return Ok(());
        }
        spans(op, &[("x", x), ("indices", indices), ("y", y)])?;
        let tensors = [y, x, indices];
        let strides = tensors.map(|tensor| without(tensor.strides(), axis));
        let axes = axes(&others(x), &strides);
        let lines = x.count() / x.shape()[axis];
        let mut words =
            vec![word(op, lines)?, word(op, x.shape()[axis])?, word(op, y.shape()[axis])?];
        for tensor in tensors {
            words.push(word(op, tensor.strides()[axis])?);
        }
        for (size, _) in &axes {
            words.push(word(op, *size)?);
        }
        for operand in 0..3 {
            for (_, steps) in &axes {
                words.push(word(op, steps[operand])?);
            }
        }
        let params: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let variant = Variant::new(File::Arrange, "scatter")
            .number("SCATTER", 1)
            .number("ADD", scatter.add.into())
            .text_of("COMPUTE", compute)
            .number("RANK", axes.len() as u32)
            .ty("X", dtype);
        let args = [x.into(), y.into(), indices.into(), Arg::Bytes(&params)];
        self.launch(stream, variant, &args, Grid::threads_1d(lines))
    }
}
