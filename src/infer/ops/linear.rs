//! Products with weights of any type, and rows of them by index.

use super::source::{File, Variant};
use super::weight::{Checked, Weight};
use super::{Launch, Matrix, Ops, bytes, float, typed, word, wrong};
use crate::infer::checks::Apart;
use crate::infer::launch::{Arg, Grid};
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

/// The choices of [`Ops::linear_experts`].
///
/// ```
/// # use aruminium::infer::{DType, Tensor, ops::Experts};
/// # let gpu = aruminium::Gpu::open()?;
/// // For 1000 tokens with two experts each, of 64.
/// let scratch = Tensor::new(&gpu, DType::I32, &[Experts::scratch(64, 2000)])?;
/// let experts = Experts { scratch: Some(&scratch), ..Experts::default() };
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Experts<'a> {
    /// If there are more rows than this for each expert, on average, rows of the same expert are computed together, in
    /// tiles. 0 always uses tiles.
    pub few_rows: usize,
    /// Memory for the lists of rows that tiles need: contiguous `i32`, as many as [`Experts::scratch`] says. Without it,
    /// each row is computed by itself.
    pub scratch: Option<&'a Tensor>,
}

/// Up to this number of rows for each expert, on average, sorting them by expert does not pay: the default of
/// [`Experts::few_rows`].
///
/// ```
/// use aruminium::infer::ops::{Experts, FEW_EXPERT_ROWS};
/// assert_eq!(Experts::default().few_rows, FEW_EXPERT_ROWS);
/// ```
pub const FEW_EXPERT_ROWS: usize = 4;

impl Default for Experts<'_> {
    fn default() -> Self {
        Self { few_rows: FEW_EXPERT_ROWS, scratch: None }
    }
}

impl Experts<'_> {
    /// The length of the scratch memory for a number of experts and rows.
    ///
    /// ```
    /// assert!(aruminium::infer::ops::Experts::scratch(64, 2000) >= 2064);
    /// ```
    pub fn scratch(experts: usize, rows: usize) -> usize {
        2 * (experts + 2) + rows
    }
}

/// The most experts that can be sorted: each has a thread of a threadgroup, and so have rows without an expert.
const MAX_EXPERTS: usize = 1023;

impl Ops {
    /// `y = x wᵀ`: the rows of `w` are the outputs. `w` has any type, also MLX's format, and may be two weights, one of which
    /// gates the other: see [`Weight`]. `x` and `y` are floats. Sums are `f32`.
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
    pub fn linear<'a>(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: impl Into<Weight<'a>>,
        y: &Tensor,
        params: Linear,
    ) -> Result<(), Error> {
        self.linear_of(stream, x, &Checked::of("linear", w.into())?, y, params)
    }

    fn linear_of(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: &Checked<'_>,
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
        let few = from.rows <= params.few_rows.min(FEW_ROWS);
        let sizes = [to.rows, w.rows, w.columns, from.stride, to.stride, 1, 1];
        let params = linear_params(op, sizes, w.stride)?;
        let grid = linear_grid(few, w, w.rows, if few { 1 } else { to.rows.div_ceil(32) });
        // The number of rows that the kernel computes at once: a power of two.
        let rows = if few { from.rows.next_power_of_two() as u32 } else { 1 };
        let variant = w.variant(if few { "linear_few" } else { "linear_many" });
        let variant = variant.ty("X", x_type).ty("Y", y_type).number("ROWS", rows);
        self.launch(stream, variant, &w.args([x.into(), y.into(), Arg::Bytes(&params)]), grid)
    }

    /// Products with experts by index: row `i` of `y` is a row of `x` times the expert `ids[i]`. `w` is experts × outputs ×
    /// columns, of any type, and may be gated; `x` has a row for each of the ids, or one for each group of them that follow
    /// each other. An expert that does not exist makes zeros. Each expert's outputs are then summed by
    /// [`matmul`](Self::matmul).
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Experts};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// // Two experts with one output each: the first value, and the second.
    /// let w = Tensor::from_slice(&gpu, &[1.0f32, 0.0, 0.0, 1.0], &[2, 1, 2])?;
    /// let x = Tensor::from_slice(&gpu, &[5.0f32, 6.0], &[1, 2])?;
    /// let ids = Tensor::from_slice(&gpu, &[1i32, 0], &[1, 2])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 2, 1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.linear_experts(&mut stream, &x, &w, &ids, &y, Experts::default())?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [6.0, 5.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn linear_experts<'a>(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: impl Into<Weight<'a>>,
        ids: &Tensor,
        y: &Tensor,
        params: Experts<'_>,
    ) -> Result<(), Error> {
        let w = Checked::of("linear_experts", w.into())?;
        self.experts_of(stream, x, &w, ids, y, params)
    }

    fn experts_of(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        w: &Checked<'_>,
        ids: &Tensor,
        y: &Tensor,
        params: Experts<'_>,
    ) -> Result<(), Error> {
        let op = "linear_experts";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        typed(op, "ids", ids, &[DType::I32])?;
        let [experts, outputs] = w.experts(op)?;
        // Kernels count the rows of all experts.
        word(op, experts.saturating_mul(outputs))?;
        let from = Matrix::of(op, "x", x)?;
        let rows = ids.count();
        let fits = ids.is_contiguous()
            && from.columns == w.columns
            && (rows == 0 || (from.rows > 0 && rows.is_multiple_of(from.rows)));
        if !fits {
            let (x, ids) = (x.shape(), ids.shape());
            let why = format!(
                "x {x:?}, {experts} experts of {} columns, and ids {ids:?} do not match",
                w.columns
            );
            return Err(wrong(op, why));
        }
        let to = Matrix::sized(op, "y", y, rows, outputs)?;
        let scratch = params.scratch.map(|scratch| check_scratch(scratch, experts, rows));
        let lists = scratch.transpose()?.filter(|_| rows > params.few_rows.saturating_mul(experts));
        if rows == 0 || outputs == 0 {
            return Ok(());
        }
        let shared = rows / from.rows;
        let sizes = [rows, outputs, w.columns, from.stride, to.stride, experts, shared];
        let bytes_of = linear_params(op, sizes, w.stride)?;
        // Each list may have one tile that is not full.
        let tiles = rows / 32 + experts + 1;
        let (function, order, grid) = match lists {
            Some(lists) => ("linear_many", lists, linear_grid(false, w, outputs, tiles)),
            None => ("linear_few", ids, linear_grid(true, w, outputs, rows)),
        };
        let variant = w.variant(function).number("EXPERTS", 1);
        let variant = variant.ty("X", x_type).ty("Y", y_type).number("ROWS", 1);
        let mut args = w.args([x.into(), y.into(), Arg::Bytes(&bytes_of)]);
        args.push(order.into());
        let products = Launch { variant, args: &args, grid, in_place: &[] };
        let Some(lists) = lists else { return self.record(stream, &[products], &[]) };
        // The lists are written before the products read anything.
        let read = args.iter().filter_map(|arg| match *arg {
            Arg::Tensor(tensor) if !std::ptr::eq(tensor, lists) => Some([lists, tensor]),
            _ => None,
        });
        let why = "linear_experts: scratch overlaps another operand, or y overlaps the ids";
        let apart = read.chain([[ids, y]]).map(|tensors| Apart::Pair { tensors, why });
        let apart: Vec<Apart<'_>> = apart.collect();
        let words = bytes([word(op, rows)?, word(op, experts)?]);
        let list_args = [ids.into(), lists.into(), Arg::Bytes(&words)];
        let list = Launch {
            variant: Variant::new(File::Experts, "list_rows"),
            args: &list_args,
            grid: Grid::groups_1d(1, experts + 1),
            in_place: &[],
        };
        self.record(stream, &[list, products], &apart)
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
    pub fn lookup<'a>(
        &self,
        stream: &mut Stream,
        indices: &Tensor,
        w: impl Into<Weight<'a>>,
        y: &Tensor,
    ) -> Result<(), Error> {
        self.lookup_of(stream, indices, &Checked::of("lookup", w.into())?, y)
    }

    fn lookup_of(
        &self,
        stream: &mut Stream,
        indices: &Tensor,
        w: &Checked<'_>,
        y: &Tensor,
    ) -> Result<(), Error> {
        let op = "lookup";
        typed(op, "indices", indices, &[DType::I32])?;
        if !indices.is_contiguous() {
            return Err(wrong(op, "indices are not contiguous"));
        }
        let y_type = float(op, "y", y)?;
        if w.is_gated() {
            return Err(wrong(op, "w is a gate, which has no rows to look up"));
        }
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

/// The parameters of products: the number of rows of `y`, outputs, columns, the strides of `x` and `y`, experts, and the number
/// of rows of `y` that share one of `x`.
fn linear_params(op: &str, sizes: [usize; 7], w_stride: u32) -> Result<Vec<u8>, Error> {
    let mut all = [w_stride; 8];
    for (to, from) in [0, 1, 2, 3, 4, 6, 7].into_iter().zip(sizes) {
        all[to] = word(op, from)?;
    }
    Ok(bytes(all))
}

/// Threadgroups for outputs along the first axis, and rows or tiles along the second.
fn linear_grid(few: bool, w: &Checked<'_>, outputs: usize, rows: usize) -> Grid {
    let products = if few { 8 } else { 64 };
    let each = if w.is_gated() { products / 2 } else { products };
    Grid::Groups { groups: (outputs.div_ceil(each), rows, 1), group: (128, 1, 1) }
}

fn check_scratch(scratch: &Tensor, experts: usize, rows: usize) -> Result<&Tensor, Error> {
    let op = "linear_experts";
    typed(op, "scratch", scratch, &[DType::I32])?;
    let needed = Experts::scratch(experts, rows);
    if scratch.count() < needed || !scratch.is_contiguous() {
        let shape = scratch.shape();
        let why = format!("scratch of shape {shape:?}: {needed} contiguous values are needed");
        return Err(wrong(op, why));
    }
    if experts > MAX_EXPERTS {
        let why = format!("{experts} experts: at most {MAX_EXPERTS} can be computed with scratch");
        return Err(wrong(op, why));
    }
    Ok(scratch)
}
