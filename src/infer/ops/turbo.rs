//! A cache of keys or values as lengths and codes (TurboQuant).

use super::rope::Heads;
use super::source::{File, Variant};
use super::{Ops, bytes, float, typed, word, wrong};
use crate::Gpu;
use crate::infer::launch::{Arg, Grid};
use crate::infer::turboquant::{code_bytes, codebook};
use crate::infer::{DType, Error, Stream, Tensor};

/// A cache of keys or of values that are rotated and quantised, as [`turboquant`](crate::infer::turboquant) describes.
///
/// ```
/// use aruminium::infer::ops::TurboCache;
/// let cache = TurboCache::new(&aruminium::Gpu::open()?, 4, [1000, 8, 128])?;
/// assert_eq!(cache.codes.shape(), [1000, 8, 64]);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TurboCache {
    /// Rows × heads × bytes.
    pub codes: Tensor,
    /// The length of each vector, rows × heads.
    pub lengths: Tensor,
    /// The number of bits of a code.
    pub bits: u32,
    /// The number of values of a head: a power of two.
    pub dim: usize,
}

impl TurboCache {
    /// A cache of zeros, for rows × heads × values. Heads have a power of two values, at most 1024.
    ///
    /// # Errors
    ///
    /// If `bits` is not in [`turboquant::BITS`](crate::infer::turboquant::BITS), heads have another size, or there is not
    /// enough memory.
    ///
    /// ```
    /// use aruminium::infer::ops::TurboCache;
    /// let error = TurboCache::new(&aruminium::Gpu::open()?, 4, [10, 1, 12]).unwrap_err();
    /// assert!(error.to_string().contains("12 values"));
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(gpu: &Gpu, bits: u32, shape: [usize; 3]) -> Result<Self, Error> {
        let [rows, heads, dim] = shape;
        codebook(bits)?;
        check_dim("TurboCache", dim)?;
        let codes = Tensor::new(gpu, DType::U8, &[rows, heads, code_bytes(dim, bits)])?;
        let lengths = Tensor::new(gpu, DType::F32, &[rows, heads])?;
        Ok(Self { codes, lengths, bits, dim })
    }

    /// Rows, heads and strides; the caller may have changed the fields.
    pub(super) fn heads(&self, op: &str, name: &str) -> Result<Heads, Error> {
        codebook(self.bits)?;
        check_dim(op, self.dim)?;
        typed(op, &format!("the codes of {name}"), &self.codes, &[DType::U8])?;
        typed(op, &format!("the lengths of {name}"), &self.lengths, &[DType::F32])?;
        let found = Heads::of(op, name, &self.codes)?;
        let fits = found.dim == code_bytes(self.dim, self.bits)
            && self.lengths.shape() == [found.tokens, found.heads]
            && self.codes.is_contiguous()
            && self.lengths.is_contiguous();
        if !fits {
            let shapes = [self.codes.shape(), self.lengths.shape()];
            let (bits, dim) = (self.bits, self.dim);
            let why = format!(
                "{name} has codes and lengths of shapes {shapes:?}, which are not those of {dim} values of {bits} bits"
            );
            return Err(wrong(op, why));
        }
        Ok(Heads { dim: self.dim, ..found })
    }
}

fn check_dim(op: &str, dim: usize) -> Result<(), Error> {
    if dim.is_power_of_two() && dim <= 1024 {
        return Ok(());
    }
    Err(wrong(op, format!("heads of {dim} values: a power of two up to 1024 is needed")))
}

impl Ops {
    /// Encodes row `i` of `x`, tokens × heads × values, into row `positions[i]` of a cache, as [`append`](Self::append) writes
    /// rows into a plain one.
    ///
    /// # Errors
    ///
    /// If shapes or types do not match.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Stream, Tensor, ops::TurboCache};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[3.0f32, 4.0], &[1, 1, 2])?;
    /// let positions = Tensor::from_slice(&gpu, &[1i32], &[1])?;
    /// let cache = TurboCache::new(&gpu, 4, [2, 1, 2])?;
    /// let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
    /// ops.append_turbo(&mut stream, &x, &positions, &cache)?;
    /// stream.finish()?;
    /// assert_eq!(cache.lengths.to_vec::<f32>()?, [0.0, 5.0]);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn append_turbo(
        &self,
        stream: &mut Stream,
        x: &Tensor,
        positions: &Tensor,
        cache: &TurboCache,
    ) -> Result<(), Error> {
        let op = "append_turbo";
        let x_type = float(op, "x", x)?;
        typed(op, "positions", positions, &[DType::I32])?;
        let (from, to) = (Heads::of(op, "x", x)?, cache.heads(op, "the cache")?);
        let fits = (from.heads, from.dim) == (to.heads, to.dim)
            && positions.count() == from.tokens
            && positions.is_contiguous();
        if !fits {
            let (x, positions) = (x.shape(), positions.shape());
            let cache = [to.tokens, to.heads, to.dim];
            let why = format!("x {x:?}, positions {positions:?}, cache {cache:?} do not match");
            return Err(wrong(op, why));
        }
        if from.tokens == 0 || from.heads == 0 {
            return Ok(());
        }
        if to.tokens == 0 {
            return Err(wrong(op, "the cache has no rows"));
        }
        let words = [from.tokens, from.heads, to.tokens, from.strides[0], from.strides[1]];
        let mut all = [0; 5];
        for (to, from) in all.iter_mut().zip(words) {
            *to = word(op, from)?;
        }
        let params = bytes(all);
        let variant = Variant::new(File::Turbo, "append_turbo")
            .number("APPEND_TURBO", 1)
            .number("DIM", to.dim as u32)
            .number("BITS", cache.bits)
            .book("BOOK", cache.bits)
            .ty("X", x_type);
        let tensors = [x, &cache.codes, &cache.lengths, positions].map(Arg::Tensor);
        let args: Vec<Arg<'_>> = tensors.into_iter().chain([Arg::Bytes(&params)]).collect();
        let groups = (from.heads, from.tokens, 1);
        self.launch(stream, variant, &args, Grid::Groups { groups, group: (128, 1, 1) })
    }
}
