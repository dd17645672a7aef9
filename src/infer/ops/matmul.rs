//! Products of plain matrices.

use super::source::{File, Variant};
use super::{Ops, bytes, float, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{Error, Stream, Tensor};

/// The choices of [`Ops::matmul`].
///
/// ```
/// assert_eq!(aruminium::infer::ops::Matmul::default().scale, 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matmul {
    /// The factor of the product.
    pub scale: f32,
}

impl Default for Matmul {
    fn default() -> Self {
        Self { scale: 1.0 }
    }
}

/// One operand as a batch of matrices.
pub(super) struct Batch {
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) strides: [usize; 2],
    /// Values from matrix to matrix.
    pub(super) step: usize,
}

impl Batch {
    pub(super) fn of(op: &str, name: &str, tensor: &Tensor) -> Result<Self, Error> {
        let (shape, strides) = (tensor.shape(), tensor.strides());
        let error = |why: &str| wrong(op, format!("{name} of shape {shape:?} {why}"));
        let [outer @ .., rows, columns] = shape else {
            return Err(error("is no matrix"));
        };
        let [outer_strides @ .., row, column] = strides else {
            return Err(error("is no matrix"));
        };
        let (mut count, mut step) = (1, 0);
        if tensor.count() == 0 {
            let (count, strides) = (outer.iter().product(), [*row, *column]);
            return Ok(Self { count, rows: *rows, columns: *columns, strides, step });
        }
        for (&size, &stride) in outer.iter().zip(outer_strides).rev() {
            match (size, count) {
                (1, _) => {}
                (_, 1) => step = stride,
                _ if stride == count * step => {}
                _ => return Err(error("has no single stride from matrix to matrix")),
            }
            count *= size;
        }
        Ok(Self { count, rows: *rows, columns: *columns, strides: [*row, *column], step })
    }
}

impl Ops {
    /// `c = a b` for floats, with any strides: pass `b.transpose(..)` for `a bᵀ`. All axes but the last two are a batch, and a
    /// matrix of `a` or `b` may serve several of `c` that follow each other (grouped heads). Sums are `f32`.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Matmul};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let a = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// let c = Tensor::new(&gpu, DType::F32, &[2, 2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.matmul(&mut stream, &a, &a.transpose(0, 1)?, &c, Matmul::default())?;
    /// stream.finish()?;
    /// assert_eq!(c.to_vec::<f32>()?, [5.0, 11.0, 11.0, 25.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn matmul(
        &self,
        stream: &mut Stream,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        params: Matmul,
    ) -> Result<(), Error> {
        let op = "matmul";
        let types = [float(op, "a", a)?, float(op, "b", b)?, float(op, "c", c)?];
        let [x, y, z] = [Batch::of(op, "a", a)?, Batch::of(op, "b", b)?, Batch::of(op, "c", c)?];
        let fits = x.columns == y.rows
            && (x.rows, y.columns) == (z.rows, z.columns)
            && [x.count, y.count].iter().all(|&count| z.count.is_multiple_of(count));
        if !fits {
            let (a, b, c) = (a.shape(), b.shape(), c.shape());
            return Err(wrong(op, format!("{a:?} times {b:?} is not {c:?}")));
        }
        if z.count == 0 || z.rows == 0 || z.columns == 0 {
            return Ok(());
        }
        let words = [
            z.rows,
            z.columns,
            x.columns,
            x.strides[0],
            x.strides[1],
            y.strides[0],
            y.strides[1],
            z.strides[0],
            z.strides[1],
            x.step,
            y.step,
            z.step,
            z.count / x.count,
            z.count / y.count,
        ];
        let mut params_words = [params.scale.to_bits(); 15];
        for (to, from) in params_words.iter_mut().zip(words) {
            *to = word(op, from)?;
        }
        let [a_type, b_type, c_type] = types;
        let variant =
            Variant::new(File::Matmul, "matmul").ty("A", a_type).ty("B", b_type).ty("C", c_type);
        let params = bytes(params_words);
        let groups = (z.columns.div_ceil(32), z.rows.div_ceil(32), z.count);
        let args = [a.into(), b.into(), c.into(), Arg::Bytes(&params)];
        self.launch(stream, variant, &args, Grid::Groups { groups, group: (128, 1, 1) })
    }
}
