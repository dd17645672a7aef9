//! Rotary positions.

use super::source::{File, Variant};
use super::{Ops, bytes, float, typed, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// The pairs of values of a head that are rotated together.
///
/// ```
/// use aruminium::infer::ops::{Pairs, Rope};
/// assert_eq!(Rope::default().pairs, Pairs::Halves);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// Values that are half of the rotated part apart, as in GPT-NeoX.
    Halves,
    /// Neighbours, as in GPT-J and in GGUF files of llama.
    Neighbours,
    /// Values that are half of their section apart: for images, which have a section for each axis.
    HalvesOfSections,
}

/// The choices of [`Ops::rope`].
///
/// ```
/// let rope = aruminium::infer::ops::Rope { scale: 1.2, ..Default::default() };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rope<'a> {
    /// The pairs of values that are rotated together.
    pub pairs: Pairs,
    /// The factor of rotated values (YaRN's attention factor).
    pub scale: f32,
    /// If positions have several rows: how many pairs take each of them, in order.
    pub sections: &'a [usize],
}

impl Default for Rope<'_> {
    fn default() -> Self {
        Self { pairs: Pairs::Halves, scale: 1.0, sections: &[] }
    }
}

/// The change of frequencies for contexts longer than those of training.
///
/// ```
/// use aruminium::infer::ops::Scaling;
/// // Angles of position 0.5 for position 1.
/// assert_eq!(Scaling::Linear(2.0).frequencies(10000.0, 4), [0.5, 0.005]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scaling {
    /// Frequencies are not changed.
    None,
    /// All are divided by a factor.
    Linear(f64),
    /// Low frequencies are divided by a factor, high ones are not changed, as in Llama 3.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths longer than `context / low` are divided.
        low: f64,
        /// Wavelengths shorter than `context / high` are not changed.
        high: f64,
        /// The context of training.
        context: f64,
    },
    /// The same by the number of turns within the context, as in YaRN.
    Yarn {
        /// The factor.
        factor: f64,
        /// Frequencies with more turns are not changed.
        fast: f64,
        /// Frequencies with fewer turns are divided.
        slow: f64,
        /// The context of training.
        context: f64,
    },
}

impl Scaling {
    /// The frequencies of the pairs of `rotated` values, computed in `f64`.
    pub fn frequencies(self, base: f64, rotated: usize) -> Vec<f32> {
        let pairs = rotated / 2;
        // The number of the pair, as a fraction, that makes `turns` turns within a context.
        let pair_of = |turns: f64, context: f64| {
            rotated as f64 * (context / (turns * std::f64::consts::TAU)).ln() / (2.0 * base.ln())
        };
        let frequency = |pair: usize| {
            let plain = base.powf(-2.0 * pair as f64 / rotated as f64);
            let mix = |divided: f64, factor: f64| plain * ((1.0 - divided) + divided / factor);
            match self {
                Self::None => plain,
                Self::Linear(factor) => plain / factor,
                Self::Llama3 { factor, low, high, context } => {
                    let turns = context * plain / std::f64::consts::TAU;
                    mix(1.0 - ((turns - low) / (high - low)).clamp(0.0, 1.0), factor)
                }
                Self::Yarn { factor, fast, slow, context } => {
                    let first = pair_of(fast, context).floor().max(0.0);
                    let last = pair_of(slow, context).ceil().min(rotated as f64 - 1.0);
                    let along = (pair as f64 - first) / (last - first).max(0.001);
                    mix(along.clamp(0.0, 1.0), factor)
                }
            }
        };
        (0..pairs).map(|pair| frequency(pair) as f32).collect()
    }
}

/// A tensor of tokens, heads and values.
pub(super) struct Heads {
    pub(super) tokens: usize,
    pub(super) heads: usize,
    pub(super) dim: usize,
    /// Values from token to token, and from head to head.
    pub(super) strides: [usize; 2],
}

impl Heads {
    pub(super) fn of(op: &str, name: &str, tensor: &Tensor) -> Result<Self, Error> {
        match (tensor.shape(), tensor.strides()) {
            (&[tokens, heads, dim], &[token, head, column]) if column == 1 || dim <= 1 => {
                Ok(Self { tokens, heads, dim, strides: [token, head] })
            }
            (shape, strides) => Err(wrong(
                op,
                format!(
                    "{name} of shape {shape:?} with strides {strides:?} is not tokens, heads and contiguous values"
                ),
            )),
        }
    }
}

impl Ops {
    /// Rotates pairs of values of each head by the token's position times the pair's frequency. `x` and `y` are tokens × heads ×
    /// values (and may be the same tensor); the values past the pairs are copied. `positions` has a number for each token,
    /// or a row of them for each section; `frequencies` has one for each pair (see [`Scaling::frequencies`]).
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::{Rope, Scaling}};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32, 0.0], &[1, 1, 2])?;
    /// let positions = Tensor::from_slice(&gpu, &[3i32], &[1])?;
    /// let frequencies = Tensor::from_slice(&gpu, &Scaling::None.frequencies(10000.0, 2), &[1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.rope(&mut stream, &x, &positions, &frequencies, &x, Rope::default())?;
    /// stream.finish()?;
    /// assert!((x.to_vec::<f32>()?[0] - 3f32.cos()).abs() < 1e-6);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn rope(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        positions: &Tensor,
        frequencies: &Tensor,
        y: &Tensor,
        rope: Rope<'_>,
    ) -> Result<(), Error> {
        let op = "rope";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        typed(op, "positions", positions, &[DType::I32])?;
        typed(op, "frequencies", frequencies, &[DType::F32])?;
        let (from, to) = (Heads::of(op, "x", x)?, Heads::of(op, "y", y)?);
        let pairs = frequencies.count();
        let sections = rope.sections.len().max(1);
        let shapes = [x.shape(), y.shape(), positions.shape(), frequencies.shape()];
        let fits = x.shape() == y.shape()
            && 2 * pairs <= from.dim
            && positions.count() == sections * from.tokens
            && positions.is_contiguous()
            && frequencies.is_contiguous();
        if !fits {
            return Err(wrong(op, format!("the shapes {shapes:?} do not match")));
        }
        let all = rope.sections.iter().try_fold(0usize, |all, &section| all.checked_add(section));
        if sections > 4 || (!rope.sections.is_empty() && all != Some(pairs)) {
            let found = rope.sections;
            return Err(wrong(
                op,
                format!("sections {found:?} are not at most 4 of {pairs} pairs"),
            ));
        }
        if from.tokens == 0 || from.heads == 0 || from.dim == 0 {
            return Ok(());
        }
        let mut ends = [u32::MAX; 4];
        let mut end = 0;
        for (to, section) in ends.iter_mut().zip(rope.sections) {
            end += section;
            *to = word(op, end)?;
        }
        let words = [
            pairs,
            from.dim,
            from.heads,
            from.tokens,
            from.strides[0],
            from.strides[1],
            to.strides[0],
            to.strides[1],
            sections,
        ];
        let mut all = [0; 14];
        for (to, from) in all.iter_mut().zip(words) {
            *to = word(op, from)?;
        }
        all[9..13].copy_from_slice(&ends);
        all[13] = rope.scale.to_bits();
        let params = bytes(all);
        let pairing = match rope.pairs {
            Pairs::Neighbours => 0,
            Pairs::Halves => 1,
            Pairs::HalvesOfSections => 2,
        };
        let variant = Variant::new(File::Rope, "rope")
            .number("HALVES", pairing)
            .ty("X", x_type)
            .ty("Y", y_type);
        let args = [x.into(), y.into(), positions.into(), frequencies.into(), Arg::Bytes(&params)];
        let threads = (from.dim.div_ceil(2), from.heads, from.tokens);
        self.launch_in_place(
            stream,
            variant,
            &args,
            Grid::Threads { threads, group: (32, 4, 1) },
            &[["y", "x"]],
        )
    }
}
