//! Attention over a cache of keys and values.

use super::rope::Heads;
use super::source::{File, Variant};
use super::turbo::TurboCache;
use super::{Ops, bytes, float, typed, word, wrong};
use crate::infer::launch::{Arg, Grid};
use crate::infer::{DType, Error, Stream, Tensor};

/// The largest number of tokens that are computed one by one. More are computed in tiles, as long as a head has at most
/// 256 values.
///
/// ```
/// assert_eq!(aruminium::infer::ops::FEW_TOKENS, 12);
/// ```
pub const FEW_TOKENS: usize = 12;

/// The largest head that tiles have room for.
const TILED_DIM: usize = 256;

/// The tokens of a tile.
const TILE: usize = 32;

/// The choices of [`Ops::attention`].
///
/// ```
/// use aruminium::infer::ops::Attention;
/// let attention = Attention { scale: Some(0.125), window: 4096, ..Attention::default() };
/// assert!(attention.positions.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// The factor of products; `None` is one divided by the root of a head's size.
    pub scale: Option<f32>,
    /// The position of each token, ascending; negative ones are padding, which gets zeros. A token sees the keys up to its own position, and the cache is a ring: row
    /// `i` holds the latest position up to the last token's that is `i` past a multiple of the number of rows. `None`: every
    /// token sees every key.
    pub positions: Option<&'a Tensor>,
    /// The number of latest positions that a token sees, its own included.
    pub window: usize,
    /// Values that are added to the products: a row for each token, with a value for each row of the cache. Minus infinity hides a
    /// row, which may then hold anything.
    pub mask: Option<&'a Tensor>,
    /// A limit of products, by tanh: 0 for none.
    pub cap: f32,
    /// Up to this number of tokens they are computed one by one; 0 always uses tiles.
    pub few_tokens: usize,
}

impl Default for Attention<'_> {
    fn default() -> Self {
        let (window, few_tokens) = (usize::MAX, FEW_TOKENS);
        Self { scale: None, positions: None, window, mask: None, cap: 0.0, few_tokens }
    }
}

/// The keys or the values of [`Ops::attention`]: a tensor of rows × heads × values, or a [`TurboCache`].
///
/// ```
/// use aruminium::infer::ops::{Cached, TurboCache};
/// let cache = TurboCache::new(&aruminium::Gpu::open()?, 4, [100, 8, 64])?;
/// assert!(matches!(Cached::from(&cache), Cached::Turbo(_)));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Cached<'a> {
    /// Floats.
    Plain(&'a Tensor),
    /// Lengths and codes.
    Turbo(&'a TurboCache),
}

impl<'a> From<&'a Tensor> for Cached<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Plain(tensor)
    }
}

impl<'a> From<&'a TurboCache> for Cached<'a> {
    fn from(cache: &'a TurboCache) -> Self {
        Self::Turbo(cache)
    }
}

impl<'a> Cached<'a> {
    /// The memory that is bound first, its type, and its heads.
    fn checked(self, op: &str, name: &str) -> Result<(&'a Tensor, DType, Heads), Error> {
        match self {
            Self::Plain(tensor) => {
                Ok((tensor, float(op, name, tensor)?, Heads::of(op, name, tensor)?))
            }
            Self::Turbo(cache) => Ok((&cache.codes, DType::U8, cache.heads(op, name)?)),
        }
    }

    fn turbo(self) -> Option<&'a TurboCache> {
        match self {
            Self::Plain(_) => None,
            Self::Turbo(cache) => Some(cache),
        }
    }
}

impl Ops {
    /// Attention of tokens × heads × values over keys and values of rows × heads × values, where several heads of `q` in
    /// turn share one of `k` and `v`. Single tokens and prompts have kernels of their own, chosen by
    /// [`Attention::few_tokens`]. Keys and values may each be a [`TurboCache`].
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Attention};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let q = Tensor::new(&gpu, DType::F32, &[1, 2, 4])?;
    /// let k = Tensor::new(&gpu, DType::F32, &[3, 1, 4])?;
    /// let v = Tensor::from_slice(&gpu, &[1.0f32, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 6.0, 6.0, 6.0, 6.0], &[3, 1, 4])?;
    /// let o = Tensor::new(&gpu, DType::F32, &[1, 2, 4])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.attention(&mut stream, &q, &k, &v, &o, Attention::default())?;
    /// stream.finish()?;
    /// assert!((o.to_vec::<f32>()?[7] - 3.0).abs() < 1e-6, "the mean");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn attention<'a>(
        &self,
        stream: &mut Stream,
        q: &Tensor,
        k: impl Into<Cached<'a>>,
        v: impl Into<Cached<'a>>,
        o: &Tensor,
        params: Attention<'_>,
    ) -> Result<(), Error> {
        self.attention_of(stream, q, [k.into(), v.into()], o, params)
    }

    fn attention_of(
        &self,
        stream: &mut Stream,
        q: &Tensor,
        cached: [Cached<'_>; 2],
        o: &Tensor,
        params: Attention<'_>,
    ) -> Result<(), Error> {
        let op = "attention";
        let (q_type, o_type) = (float(op, "q", q)?, float(op, "o", o)?);
        let (k, k_type, keys) = cached[0].checked(op, "k")?;
        let (v, v_type, values) = cached[1].checked(op, "v")?;
        let (from, to) = (Heads::of(op, "q", q)?, Heads::of(op, "o", o)?);
        let shape = |heads: &Heads| [heads.tokens, heads.heads, heads.dim];
        let fits = q.shape() == o.shape()
            && shape(&keys) == shape(&values)
            && from.dim == keys.dim
            && keys.heads > 0
            && from.heads.is_multiple_of(keys.heads);
        if !fits {
            let (q, o, k, v) = (q.shape(), o.shape(), shape(&keys), shape(&values));
            return Err(wrong(op, format!("q {q:?}, k {k:?}, v {v:?}, o {o:?} do not match")));
        }
        // The sums of four SIMD-groups and the query are in threadgroup memory.
        if !(1..=1024).contains(&from.dim) {
            return Err(wrong(op, format!("heads have from 1 to 1024 values, not {}", from.dim)));
        }
        if from.tokens == 0 || from.heads == 0 {
            return Ok(());
        }
        let turbo = cached.map(Cached::turbo);
        let plain = turbo.iter().all(Option::is_none);
        let tiled = from.tokens > params.few_tokens && from.dim <= TILED_DIM;
        let (file, function) = match (plain, tiled) {
            (true, false) => (File::Attention, "attention"),
            (true, true) => (File::AttentionTiled, "attention_tiled"),
            (false, false) => (File::AttentionTurbo, "attention"),
            (false, true) => (File::AttentionTurboTiled, "attention_tiled"),
        };
        let mut variant = Variant::new(file, function);
        for (cache, [bits, book]) in
            turbo.into_iter().zip([["K_BITS", "BOOK_K"], ["V_BITS", "BOOK_V"]])
        {
            if let Some(cache) = cache {
                variant = variant.number(bits, cache.bits).book(book, cache.bits);
            }
        }
        variant = variant
            .number("DIM", from.dim as u32)
            .number("CAUSAL", params.positions.is_some().into())
            .number("MASK", params.mask.is_some().into())
            .number("CAP", (params.cap > 0.0).into())
            .ty("Q", q_type)
            .ty("K", k_type)
            .ty("V", v_type)
            .ty("O", o_type);
        if let Some(positions) = params.positions {
            typed(op, "positions", positions, &[DType::I32])?;
            if positions.count() != from.tokens || !positions.is_contiguous() {
                let (found, tokens) = (positions.shape(), from.tokens);
                return Err(wrong(op, format!("positions of shape {found:?} for {tokens} tokens")));
            }
        }
        let mut mask_stride = 0;
        if let Some(mask) = params.mask {
            variant = variant.ty("M", float(op, "the mask", mask)?);
            match (mask.shape(), mask.strides()) {
                (&[tokens, rows], &[stride, 1]) if (tokens, rows) == (from.tokens, keys.tokens) => {
                    mask_stride = stride;
                }
                (shape, _) => {
                    let (tokens, rows) = (from.tokens, keys.tokens);
                    let why =
                        format!("a mask of shape {shape:?} for {tokens} tokens and {rows} rows");
                    return Err(wrong(op, why));
                }
            }
        }
        let words = [
            from.tokens,
            from.heads,
            from.heads / keys.heads,
            keys.tokens,
            from.strides[0],
            from.strides[1],
            keys.strides[0],
            keys.strides[1],
            values.strides[0],
            values.strides[1],
            to.strides[0],
            to.strides[1],
            mask_stride,
            params.window.min(i32::MAX as usize),
        ];
        let mut all = [0; 16];
        for (to, from) in all.iter_mut().zip(words) {
            *to = word(op, from)?;
        }
        let scale = params.scale.unwrap_or_else(|| (from.dim as f32).sqrt().recip());
        (all[14], all[15]) = (scale.to_bits(), params.cap.to_bits());
        let bytes = bytes(all);
        let first = [q.into(), k.into(), v.into(), o.into(), Arg::Bytes(&bytes)];
        let lengths = turbo.into_iter().flatten().map(|cache| &cache.lengths);
        let others = [params.positions, params.mask].into_iter().flatten().chain(lengths);
        let args: Vec<Arg<'_>> = first.into_iter().chain(others.map(Arg::Tensor)).collect();
        let groups = (from.tokens.div_ceil(if tiled { TILE } else { 1 }), from.heads, 1);
        let grid = Grid::Groups { groups, group: (128, 1, 1) };
        self.launch_in_place(stream, variant, &args, grid, &[["o", "q"]])
    }
}
