//! Triangular systems of equations.

use super::matmul::Batch;
use super::source::{File, Variant};
use super::{Ops, bytes, float, typed, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// The choices of [`Ops::solve`].
///
/// ```
/// assert!(!aruminium::infer::ops::Solve::default().upper);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Solve {
    /// Whether the triangle above the diagonal is used, instead of the one below it.
    pub upper: bool,
    /// Whether the diagonal is ones, whatever it holds.
    pub unit: bool,
}

impl Ops {
    /// The `x` with `a x = b` for a triangular `a`, of which only the triangle is read. All axes but the last two are a batch,
    /// and a matrix of `a` or `b` may serve several of `x` that follow each other. Strides are any; `x` is `f32`, and it may
    /// be `b`.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Solve};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let a = Tensor::from_slice(&gpu, &[2.0f32, 0.0, 1.0, 4.0], &[2, 2])?;
    /// let b = Tensor::from_slice(&gpu, &[6.0f32, 5.0], &[2, 1])?;
    /// let x = Tensor::new(&gpu, DType::F32, &[2, 1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.solve(&mut stream, &a, &b, &x, Solve::default())?;
    /// stream.finish()?;
    /// assert_eq!(x.to_vec::<f32>()?, [3.0, 0.5]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn solve(
        &self,
        stream: &mut Stream,
        a: &Tensor,
        b: &Tensor,
        x: &Tensor,
        params: Solve,
    ) -> Result<(), Error> {
        let op = "solve";
        let (a_type, b_type) = (float(op, "a", a)?, float(op, "b", b)?);
        typed(op, "x", x, &[DType::F32])?;
        let [left, right, to] =
            [Batch::of(op, "a", a)?, Batch::of(op, "b", b)?, Batch::of(op, "x", x)?];
        let fits = left.rows == left.columns
            && left.rows == right.rows
            && (right.rows, right.columns) == (to.rows, to.columns)
            && [left.count, right.count].iter().all(|&n| n > 0 && to.count.is_multiple_of(n));
        if !fits {
            let (a, b, x) = (a.shape(), b.shape(), x.shape());
            return Err(wrong(op, format!("a {a:?}, b {b:?} and x {x:?} do not match")));
        }
        if x.count() == 0 {
            return Ok(());
        }
        let words = [
            to.rows,
            to.columns,
            left.strides[0],
            left.strides[1],
            right.strides[0],
            right.strides[1],
            to.strides[0],
            to.strides[1],
            left.step,
            right.step,
            to.step,
            to.count / left.count,
            to.count / right.count,
        ];
        let mut all = [0; 13];
        for (to, from) in all.iter_mut().zip(words) {
            *to = word(op, from)?;
        }
        let bytes = bytes(all);
        let variant = Variant::new(File::Solve, "solve")
            .number("UPPER", params.upper.into())
            .number("UNIT", params.unit.into())
            .ty("A", a_type)
            .ty("B", b_type);
        let args = [a.into(), b.into(), x.into(), Arg::Bytes(&bytes)];
        let threads = (to.columns, to.count, 1);
        self.launch_in_place(
            stream,
            variant,
            &args,
            Grid::Threads { threads, group: (32, 1, 1) },
            &[["x", "b"]],
        )
    }
}
