//! Rows of a cache by position, and the choice of tokens.

use super::source::{File, Variant};
use super::{Matrix, Ops, bytes, float, typed, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// The choices of [`Ops::sample`].
///
/// ```
/// use aruminium::infer::ops::Sample;
/// let greedy = Sample { temperature: 0.0, ..Sample::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The divisor of logits; 0 chooses the first candidate.
    pub temperature: f32,
    /// The first candidates that together have this share of the probability are used.
    pub top_p: f32,
    /// Candidates that are less probable than this part of the first one's probability are left out.
    pub min_p: f32,
}

impl Default for Sample {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 1.0, min_p: 0.0 }
    }
}

impl Ops {
    /// Writes row `i` of `x` to row `positions[i]` of a cache, in a ring of all its rows. Negative positions are padding, and are
    /// skipped; the others ascend. If there are more than the cache has rows, the latest are kept. Types are converted.
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
    /// let positions = Tensor::from_slice(&gpu, &[2i32, 3], &[2])?;
    /// let cache = Tensor::new(&gpu, DType::F32, &[3, 2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.append(&mut stream, &x, &positions, &cache)?;
    /// stream.finish()?;
    /// assert_eq!(cache.to_vec::<f32>()?, [3.0, 4.0, 0.0, 0.0, 1.0, 2.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn append(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        positions: &Tensor,
        cache: &Tensor,
    ) -> Result<(), Error> {
        let op = "append";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "the cache", cache)?);
        typed(op, "positions", positions, &[DType::I32])?;
        // The first axis counts rows, and the others are one row.
        let [from, to] = [("x", x), ("the cache", cache)].map(|(name, tensor)| {
            let rows = tensor.shape().first().copied().unwrap_or(0);
            let columns: usize = tensor.shape().iter().skip(1).product();
            let error = || wrong(op, format!("rows of {name} are not contiguous"));
            let flat = tensor.reshape(&[rows, columns]).map_err(|_| error())?;
            Matrix::of(op, name, &flat)
        });
        let (from, to) = (from?, to?);
        let fits = x.shape().get(1..) == cache.shape().get(1..)
            && positions.count() == from.rows
            && positions.is_contiguous();
        if !fits {
            let (x, positions, cache) = (x.shape(), positions.shape(), cache.shape());
            let why = format!("x {x:?}, positions {positions:?}, cache {cache:?} do not match");
            return Err(wrong(op, why));
        }
        if from.rows == 0 || from.columns == 0 {
            return Ok(());
        }
        if to.rows == 0 {
            return Err(wrong(op, "the cache has no rows"));
        }
        let words = [from.rows, from.columns, to.rows, from.stride, to.stride];
        let mut all = [0; 5];
        for (to, from) in all.iter_mut().zip(words) {
            *to = word(op, from)?;
        }
        let params = bytes(all);
        let variant = Variant::new(File::Select, "append")
            .number("APPEND", 1)
            .ty("X", x_type)
            .ty("Y", y_type);
        let args = [x.into(), cache.into(), positions.into(), Arg::Bytes(&params)];
        let threads = (from.columns, from.rows, 1);
        self.launch(stream, variant, &args, Grid::Threads { threads, group: (128, 1, 1) })
    }

    /// Chooses one of the candidates of each row by a random number from 0 to 1. The candidates' logits are in descending
    /// order, as [`top`](Self::top) makes them.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Sample};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let logits = Tensor::from_slice(&gpu, &[1.0f32, 1.0], &[1, 2])?;
    /// let tokens = Tensor::from_slice(&gpu, &[42i32, 7], &[1, 2])?;
    /// let random = Tensor::from_slice(&gpu, &[0.75f32], &[1])?;
    /// let chosen = Tensor::new(&gpu, DType::I32, &[1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.sample(&mut stream, &logits, &tokens, &random, &chosen, Sample::default())?;
    /// stream.finish()?;
    /// assert_eq!(chosen.to_vec::<i32>()?, [7]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn sample(
        &self,
        stream: &mut Stream,
        logits: &Tensor,
        tokens: &Tensor,
        random: &Tensor,
        chosen: &Tensor,
        sample: Sample,
    ) -> Result<(), Error> {
        let op = "sample";
        typed(op, "logits", logits, &[DType::F32])?;
        typed(op, "tokens", tokens, &[DType::I32])?;
        typed(op, "random numbers", random, &[DType::F32])?;
        typed(op, "the result", chosen, &[DType::I32])?;
        let Matrix { rows, columns, .. } = Matrix::of(op, "logits", logits)?;
        let contiguous = [logits, tokens, random, chosen].iter().all(|t| t.is_contiguous());
        let counts = [random.count(), chosen.count()];
        if tokens.shape() != logits.shape() || counts != [rows; 2] || columns == 0 || !contiguous {
            let shapes = [logits.shape(), tokens.shape(), random.shape(), chosen.shape()];
            return Err(wrong(op, format!("the shapes {shapes:?} do not match")));
        }
        if rows == 0 {
            return Ok(());
        }
        let Sample { temperature, top_p, min_p } = sample;
        let numbers = [temperature, top_p, min_p].map(f32::to_bits);
        let params =
            bytes([word(op, rows)?, word(op, columns)?, numbers[0], numbers[1], numbers[2]]);
        let variant = Variant::new(File::Select, "sample").number("SAMPLE", 1);
        let args =
            [logits.into(), tokens.into(), random.into(), chosen.into(), Arg::Bytes(&params)];
        self.launch(stream, variant, &args, Grid::threads_1d(rows))
    }
}
