//! Operations along a sequence: convolutions and recurrences.

use super::source::{File, Variant};
use super::{Matrix, Ops, bytes, float, typed, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// The inputs of [`Ops::conv`] beside the sequence.
///
/// ```
/// use aruminium::infer::{DType, Tensor, ops::Conv};
/// let weight = Tensor::new(&aruminium::Gpu::open()?, DType::F32, &[8, 4])?;
/// let conv = Conv { weight: &weight, bias: None, silu: true };
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Conv<'a> {
    /// Channels × taps, the oldest first.
    pub weight: &'a Tensor,
    /// A number for each channel that is added.
    pub bias: Option<&'a Tensor>,
    /// Whether [`Silu`](super::Unary::Silu) is applied at the end.
    pub silu: bool,
}

/// The inputs of [`Ops::ssm`] beside the sequence, and the state.
///
/// ```
/// use aruminium::infer::{DType, Tensor, ops::Ssm};
/// let gpu = aruminium::Gpu::open()?;
/// let (steps, b) = (Tensor::new(&gpu, DType::F32, &[1, 8])?, Tensor::new(&gpu, DType::F32, &[1, 16])?);
/// let (state, d) = (Tensor::new(&gpu, DType::F32, &[8, 16])?, Tensor::new(&gpu, DType::F32, &[8])?);
/// let ssm = Ssm { steps: &steps, a: &state.clone(), b: &b, c: &b, d: &d, state: &state };
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ssm<'a> {
    /// The step of each token and channel.
    pub steps: &'a Tensor,
    /// The logarithm of decay, channels × states: negative.
    pub a: &'a Tensor,
    /// The input matrix, tokens × states.
    pub b: &'a Tensor,
    /// The output matrix, tokens × states.
    pub c: &'a Tensor,
    /// The factor of the input that is added to the result without passing through the state, for each channel.
    pub d: &'a Tensor,
    /// The state, channels × states, which is changed.
    pub state: &'a Tensor,
}

/// The inputs of [`Ops::delta`] beside the queries, and the state.
///
/// ```
/// use aruminium::infer::{DType, Tensor, ops::Delta};
/// let gpu = aruminium::Gpu::open()?;
/// let (keys, values) = (Tensor::new(&gpu, DType::F32, &[1, 2, 64])?, Tensor::new(&gpu, DType::F32, &[1, 4, 32])?);
/// let (gate, state) = (Tensor::new(&gpu, DType::F32, &[1, 4])?, Tensor::new(&gpu, DType::F32, &[4, 64, 32])?);
/// let (beta, few_tokens) = (&gate, aruminium::infer::ops::FEW_TOKENS);
/// let delta = Delta { keys: &keys, values: &values, gate: &gate, beta, state: &state, scale: 0.125, few_tokens };
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// Tokens × key heads × keys' size.
    pub keys: &'a Tensor,
    /// Tokens × heads × values' size.
    pub values: &'a Tensor,
    /// The logarithm of decay of each token and head.
    pub gate: &'a Tensor,
    /// The share of the difference that the state learns, for each token and head.
    pub beta: &'a Tensor,
    /// The state, heads × keys' size × values' size, which is changed.
    pub state: &'a Tensor,
    /// The factor of results.
    pub scale: f32,
    /// Up to this number of tokens the state is changed token by token. More are computed in chunks of 16, as matrices, as
    /// long as keys have at most 128 values.
    pub few_tokens: usize,
}

/// The largest keys that chunks have room for.
const CHUNKED_SIZE: usize = 128;

/// Checks that tensors are contiguous, have a type, and a shape.
fn exact(op: &str, tensors: &[(&str, &Tensor, DType, &[usize])]) -> Result<(), Error> {
    for (name, tensor, dtype, shape) in tensors {
        typed(op, name, tensor, &[*dtype])?;
        if tensor.shape() != *shape || !tensor.is_contiguous() {
            let found = tensor.shape();
            return Err(wrong(
                op,
                format!("{name} of shape {found:?}: contiguous {shape:?} is needed"),
            ));
        }
    }
    Ok(())
}

fn params(op: &str, words: [usize; 6], scale: f32) -> Result<Vec<u8>, Error> {
    let mut all = [scale.to_bits(); 7];
    for (to, from) in all.iter_mut().zip(words) {
        *to = word(op, from)?;
    }
    Ok(bytes(all))
}

impl Ops {
    /// A causal convolution of each channel along the tokens. `x` has the rows before the first token too: one less than there
    /// are taps.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Conv};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[0.0f32, 1.0, 2.0, 3.0], &[4, 1])?;
    /// let weight = Tensor::from_slice(&gpu, &[10.0f32, 1.0], &[1, 2])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[3, 1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.conv(&mut stream, &x, &y, Conv { weight: &weight, bias: None, silu: false })?;
    /// stream.finish()?;
    /// assert_eq!(y.to_vec::<f32>()?, [1.0, 12.0, 23.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn conv(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        conv: Conv<'_>,
    ) -> Result<(), Error> {
        let op = "conv";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let w_type = float(op, "the weight", conv.weight)?;
        let (from, to) = (Matrix::of(op, "x", x)?, Matrix::of(op, "y", y)?);
        let taps = conv.weight.shape().last().copied().unwrap_or(0);
        let shape = [from.columns, taps];
        exact(op, &[("the weight", conv.weight, w_type, &shape)])?;
        if let Some(bias) = conv.bias {
            exact(op, &[("the bias", bias, w_type, &shape[..1])])?;
        }
        if taps == 0 || to.columns != from.columns || to.rows + taps != from.rows + 1 {
            let (x, y) = (x.shape(), y.shape());
            return Err(wrong(op, format!("x {x:?} with {taps} taps does not make {y:?}")));
        }
        if to.rows == 0 || to.columns == 0 {
            return Ok(());
        }
        let params = params(op, [to.rows, to.columns, from.stride, to.stride, taps, 1], 1.0)?;
        let variant = Variant::new(File::Sequence, "conv")
            .number("CONV", 1)
            .number("BIAS", conv.bias.is_some().into())
            .number("SILU", conv.silu.into())
            .ty("X", x_type)
            .ty("Y", y_type)
            .ty("W", w_type);
        let mut args = vec![x.into(), y.into(), Arg::Bytes(&params), conv.weight.into()];
        args.extend(conv.bias.map(Arg::Tensor));
        let threads = (to.columns, to.rows, 1);
        self.launch(stream, variant, &args, Grid::Threads { threads, group: (64, 4, 1) })
    }

    /// A selective state space along the tokens: each channel's state decays by `exp(step a)`, `step b x` is added to it, and the
    /// result is the product with `c`, plus `d x`. Up to 64 states a channel.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Ssm};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let of = |value: f32| Tensor::from_slice(&gpu, &[value], &[1, 1]);
    /// let (x, steps, a, b, c, d, state) = (of(2.0)?, of(1.0)?, of(0.0)?, of(3.0)?, of(1.0)?, of(0.5)?, of(4.0)?);
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.ssm(&mut stream, &x, &y, Ssm { steps: &steps, a: &a, b: &b, c: &c, d: &d.reshape(&[1])?, state: &state })?;
    /// stream.finish()?;
    /// assert_eq!((state.to_vec::<f32>()?[0], y.to_vec::<f32>()?[0]), (10.0, 11.0));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn ssm(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        y: &Tensor,
        ssm: Ssm<'_>,
    ) -> Result<(), Error> {
        let op = "ssm";
        let (x_type, y_type) = (float(op, "x", x)?, float(op, "y", y)?);
        let Matrix { rows, columns, .. } = Matrix::of(op, "x", x)?;
        let states = ssm.state.shape().last().copied().unwrap_or(0);
        if !(1..=64).contains(&states) {
            return Err(wrong(op, format!("{states} states a channel: from 1 to 64 are possible")));
        }
        let (sequence, state, mixing) = ([rows, columns], [columns, states], [rows, states]);
        exact(
            op,
            &[
                ("x", x, x_type, &sequence),
                ("y", y, y_type, &sequence),
                ("steps", ssm.steps, x_type, &sequence),
                ("a", ssm.a, DType::F32, &state),
                ("b", ssm.b, x_type, &mixing),
                ("c", ssm.c, x_type, &mixing),
                ("d", ssm.d, DType::F32, &[columns]),
                ("the state", ssm.state, DType::F32, &state),
            ],
        )?;
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let params = params(op, [rows, columns, columns, columns, states, 1], 1.0)?;
        let variant = Variant::new(File::Sequence, "ssm")
            .number("SSM", 1)
            .number("SIZE", states as u32)
            .ty("X", x_type)
            .ty("Y", y_type);
        let first = [x.into(), y.into(), Arg::Bytes(&params)];
        let others = [ssm.steps, ssm.a, ssm.b, ssm.c, ssm.d, ssm.state].map(Arg::Tensor);
        let args: Vec<Arg<'_>> = first.into_iter().chain(others).collect();
        self.launch_in_place(stream, variant, &args, Grid::threads_1d(columns), &[["y", "x"]])
    }

    /// The gated delta rule along the tokens: each head's state decays by `exp(gate)`, learns `beta` of the difference between
    /// the value and what it has for the key, and the result is what it has for the query. `queries` are like the keys; several
    /// heads in turn share them. Keys have up to 256 values, values up to 1024.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Delta};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let of = |value: f32| Tensor::from_slice(&gpu, &[value], &[1, 1, 1]);
    /// let (queries, keys, values, state) = (of(2.0)?, of(1.0)?, of(5.0)?, of(1.0)?);
    /// let (gate, beta) = (of(0.0)?.reshape(&[1, 1])?, of(0.5)?.reshape(&[1, 1])?);
    /// let y = Tensor::new(&gpu, DType::F32, &[1, 1, 1])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// let (gate, beta) = (&gate, &beta);
    /// let delta = Delta { keys: &keys, values: &values, gate, beta, state: &state, scale: 1.0, few_tokens: 8 };
    /// ops.delta(&mut stream, &queries, &y, delta)?;
    /// stream.finish()?;
    /// assert_eq!((state.to_vec::<f32>()?[0], y.to_vec::<f32>()?[0]), (3.0, 6.0));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn delta(
        &self,
        stream: &mut Stream,
        queries: &Tensor,
        y: &Tensor,
        delta: Delta<'_>,
    ) -> Result<(), Error> {
        let op = "delta";
        let (x_type, y_type) = (float(op, "queries", queries)?, float(op, "y", y)?);
        let (&[tokens, key_heads, size], &[_, heads, columns]) =
            (queries.shape(), delta.values.shape())
        else {
            let (queries, values) = (queries.shape(), delta.values.shape());
            let why = format!(
                "queries {queries:?} and values {values:?} are not tokens, heads and values"
            );
            return Err(wrong(op, why));
        };
        let possible = key_heads > 0
            && heads.is_multiple_of(key_heads)
            && (1..=256).contains(&size)
            && (1..=1024).contains(&columns);
        if !possible {
            let (queries, values) = (queries.shape(), delta.values.shape());
            return Err(wrong(
                op,
                format!("queries {queries:?} and values {values:?} do not match"),
            ));
        }
        let (keys, values, gates) =
            ([tokens, key_heads, size], [tokens, heads, columns], [tokens, heads]);
        exact(
            op,
            &[
                ("queries", queries, x_type, &keys),
                ("keys", delta.keys, x_type, &keys),
                ("values", delta.values, x_type, &values),
                ("y", y, y_type, &values),
                ("the gate", delta.gate, DType::F32, &gates),
                ("beta", delta.beta, DType::F32, &gates),
                ("the state", delta.state, DType::F32, &[heads, size, columns]),
            ],
        )?;
        if tokens == 0 || heads == 0 {
            return Ok(());
        }
        let sizes = [tokens, heads, columns, 0, size, heads / key_heads];
        let params = params(op, sizes, delta.scale)?;
        let chunked = tokens > delta.few_tokens && size <= CHUNKED_SIZE;
        let variant = match chunked {
            true => Variant::new(File::DeltaChunked, "delta_chunked"),
            false => Variant::new(File::Sequence, "delta").number("DELTA", 1),
        };
        let variant = variant.number("SIZE", size as u32).ty("X", x_type).ty("Y", y_type);
        let first = [queries.into(), y.into(), Arg::Bytes(&params)];
        let others =
            [delta.keys, delta.values, delta.gate, delta.beta, delta.state].map(Arg::Tensor);
        let args: Vec<Arg<'_>> = first.into_iter().chain(others).collect();
        let grid = match chunked {
            true => Grid::Groups { groups: (heads, columns.div_ceil(32), 1), group: (128, 1, 1) },
            false => Grid::groups_1d(heads, columns),
        };
        self.launch_in_place(stream, variant, &args, grid, &[["y", "v"]])
    }
}
