//! The operations of inference: kernels of ours, and the functions that launch them.
//!
//! Every operation has one shape: `ops.name(&mut stream, inputs, &out, params)`. The results are written to tensors that the
//! caller made; nothing is allocated, and shapes and types are checked before anything is recorded.
//!
//! ```
//! use aruminium::infer::{DType, Ops, Stream, Tensor, ops::Linear};
//! let gpu = aruminium::Gpu::open()?;
//! let ops = Ops::new(&gpu);
//! let x = Tensor::from_slice(&gpu, &[1.0f32, 2.0], &[1, 2])?;
//! let w = Tensor::from_slice(&gpu, &[1.0f32, 0.0, 0.5, 0.25, 2.0, 2.0], &[3, 2])?;
//! let y = Tensor::for_overwrite(&gpu, DType::F32, &[1, 3])?;
//! let mut stream = Stream::new(&gpu, &gpu.new_command_queue()?);
//! ops.linear(&mut stream, &x, &w, &y, Linear::default())?;
//! stream.finish()?;
//! assert_eq!(y.to_vec::<f32>()?, [1.0, 1.0, 6.0]);
//! # Ok::<(), aruminium::infer::Error>(())
//! ```

mod arrange;
mod attention;
mod elementwise;
mod images;
mod linear;
mod matmul;
mod rope;
mod rows;
mod select;
mod sequence;
mod solve;
mod source;
mod turbo;
mod weight;

pub use arrange::{Order, Scatter};
pub use attention::{Attention, Cached, FEW_TOKENS};
pub use elementwise::{Binary, Unary};
pub use images::{Patches, Resize};
pub use linear::{Experts, FEW_EXPERT_ROWS, FEW_ROWS, Linear};
pub use matmul::Matmul;
pub use rope::{Pairs, Rope, Scaling};
pub use rows::{Norm, NormKind, Reduce, Softmax};
pub use select::Sample;
pub use sequence::{Conv, Delta, Ssm};
pub use solve::Solve;
pub use turbo::TurboCache;
pub use weight::{Gate, Gated, Weight};

use super::checks::{Apart, Checked};
use super::kernels::{Kernel, Kernels, WarmFailure};
use super::launch::{Arg, Grid, InPlace};
use super::{DType, Error, Graph, Stream, Tensor};
use crate::Gpu;
use source::Variant;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

/// The operations, with the kernels that were used so far. All threads can share it.
///
/// ```
/// let ops = aruminium::infer::Ops::new(&aruminium::Gpu::open()?);
/// # Ok::<(), aruminium::GpuError>(())
/// ```
#[derive(Debug)]
pub struct Ops {
    kernels: Kernels,
    made: RwLock<HashMap<Variant, Kernel>>,
}

impl Ops {
    /// No kernels yet: each is compiled when it is first used.
    ///
    /// ```
    /// let ops = aruminium::infer::Ops::new(&aruminium::Gpu::open()?);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn new(gpu: &Gpu) -> Self {
        Self { kernels: Kernels::new(gpu), made: RwLock::default() }
    }

    /// The same with a file of compiled kernels, as for [`Kernels::cached`].
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Tensor, ops::Unary};
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let file = std::env::temp_dir().join(format!("operations-{}", std::process::id()));
    /// let ops = Ops::cached(&gpu, &file);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32; 8], &[8])?;
    /// ops.warm(|ops, stream| ops.unary(stream, Unary::Exp, &x, &x))?;
    /// assert_eq!(ops.kernels().save()?, 1);
    /// # let _ = std::fs::remove_file(&file);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn cached(gpu: &Gpu, file: impl AsRef<Path>) -> Self {
        Self { kernels: Kernels::cached(gpu, file), made: RwLock::default() }
    }

    /// The registry of the kernels.
    ///
    /// ```
    /// let ops = aruminium::infer::Ops::new(&aruminium::Gpu::open()?);
    /// assert!(ops.kernels().is_empty());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// Makes the kernels of the operations that a closure records, and runs nothing: later uses with the same types and sizes of
    /// heads need not compile them. Returns how many were made.
    ///
    /// # Errors
    ///
    /// The closure's error, or [`Error::Warm`] with each kernel that could not be made; the others are made, those of later
    /// operations too.
    ///
    /// ```
    /// # use aruminium::infer::{DType, Ops, Tensor, ops::{Linear, Unary}};
    /// # let gpu = aruminium::Gpu::open()?;
    /// let ops = Ops::new(&gpu);
    /// let x = Tensor::from_slice(&gpu, &[1.0f32; 64], &[2, 32])?;
    /// let y = Tensor::new(&gpu, DType::F32, &[2, 2])?;
    /// let made = ops.warm(|ops, stream| {
    ///     ops.unary(stream, Unary::Exp, &x, &x)?;
    ///     ops.linear(stream, &x, &x, &y, Linear::default())
    /// })?;
    /// assert_eq!((made, x.to_vec::<f32>()?[0]), (2, 1.0));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn warm(
        &self,
        record: impl FnOnce(&Self, &mut Stream) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let count = || self.made.read().unwrap_or_else(PoisonError::into_inner).len();
        let before = count();
        let failures = Graph::warm(|stream| record(self, stream))?;
        match failures.is_empty() {
            true => Ok(count() - before),
            false => Err(Error::Warm(failures)),
        }
    }

    /// The kernel of a variant, which is compiled if this is its first use.
    fn kernel(&self, variant: &Variant) -> Result<Kernel, Error> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = made.get(variant) {
            return Ok(kernel.clone());
        }
        drop(made);
        let name = variant.name();
        self.kernels.add(&name, variant.text());
        let kernel =
            self.kernels.make(&name, variant.function(), &[], Some(variant.short_name(&name)))?;
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        Ok(made.entry(variant.clone()).or_insert(kernel).clone())
    }

    /// Records the launches of an operation. Their kernels are made, and everything is checked, before the first one is recorded.
    fn record(
        &self,
        stream: &mut Stream,
        launches: &[Launch<'_>],
        apart: &[Apart<'_>],
    ) -> Result<(), Error> {
        let mut kernels = Vec::with_capacity(launches.len());
        for Launch { variant, .. } in launches {
            match self.kernel(variant) {
                Ok(kernel) => kernels.push(kernel),
                Err(error) => {
                    let (source, function) = (variant.name(), variant.function().into());
                    let constants = Vec::new();
                    stream.warm_failed(WarmFailure { source, function, constants, error })?;
                }
            }
        }
        if kernels.len() < launches.len() {
            return Ok(());
        }
        let checked = kernels.iter().zip(launches).map(|(kernel, launch)| {
            let &Launch { args, grid, in_place, .. } = launch;
            Checked { kernel, args, grid, in_place }
        });
        stream.operation(&checked.collect::<Vec<_>>(), apart)
    }

    fn launch(
        &self,
        stream: &mut Stream,
        variant: Variant,
        args: &[Arg<'_>],
        grid: Grid,
    ) -> Result<(), Error> {
        self.launch_in_place(stream, variant, args, grid, &[])
    }

    fn launch_in_place(
        &self,
        stream: &mut Stream,
        variant: Variant,
        args: &[Arg<'_>],
        grid: Grid,
        in_place: InPlace,
    ) -> Result<(), Error> {
        self.record(stream, &[Launch { variant, args, grid, in_place }], &[])
    }
}

/// A launch of an operation, whose kernel may not be made yet.
struct Launch<'a> {
    variant: Variant,
    args: &'a [Arg<'a>],
    grid: Grid,
    in_place: InPlace,
}

/// An error about an operand.
#[cold]
fn wrong(op: &str, why: impl std::fmt::Display) -> Error {
    Error::Shape(format!("{op}: {why}"))
}

/// A size or a stride, as kernels count it.
fn word(op: &str, value: usize) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| wrong(op, format!("{value} does not fit 32 bits")))
}

/// Checks that the distance from the first to the last value of tensors fits 32 bits, for kernels that count it so.
fn spans(op: &str, tensors: &[(&str, &Tensor)]) -> Result<(), Error> {
    for (name, tensor) in tensors {
        let values = tensor.bytes() / tensor.dtype().block_bytes().max(1);
        if u32::try_from(values).is_err() {
            let why = format!(
                "{name} spans {values} values from the first to the last one: 32 bits cannot count them"
            );
            return Err(wrong(op, why));
        }
    }
    Ok(())
}

/// Parameters of a kernel, as bytes.
fn bytes<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A tensor as a matrix: all axes but the last are its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Matrix {
    rows: usize,
    columns: usize,
    /// Values from row to row.
    stride: usize,
}

impl Matrix {
    /// The last axis is contiguous, and one stride leads from each row to the next.
    fn of(op: &str, name: &str, tensor: &Tensor) -> Result<Self, Error> {
        let (shape, strides) = (tensor.shape(), tensor.strides());
        let Some((&columns, outer)) = shape.split_last() else {
            return Err(wrong(op, format!("{name} has no axes")));
        };
        let error = || {
            let why = format!(
                "{name} of shape {shape:?} with strides {strides:?} has no single stride from row to row"
            );
            wrong(op, why)
        };
        if columns > 1 && strides[outer.len()] != 1 {
            return Err(error());
        }
        if tensor.count() == 0 {
            return Ok(Self { rows: outer.iter().product(), columns, stride: columns });
        }
        let (mut rows, mut stride) = (1, columns);
        for (&size, &step) in outer.iter().zip(strides).rev() {
            match (size, rows) {
                (1, _) => {}
                (_, 1) => stride = step,
                _ if step == rows * stride => {}
                _ => return Err(error()),
            }
            rows *= size;
        }
        Ok(Self { rows, columns, stride })
    }

    /// The same for a tensor that must have certain rows and columns.
    fn sized(
        op: &str,
        name: &str,
        tensor: &Tensor,
        rows: usize,
        columns: usize,
    ) -> Result<Self, Error> {
        let matrix = Self::of(op, name, tensor)?;
        if (matrix.rows, matrix.columns) == (rows, columns) {
            return Ok(matrix);
        }
        let shape = tensor.shape();
        Err(wrong(
            op,
            format!("{name} has the shape {shape:?}: {rows} rows of {columns} are needed"),
        ))
    }
}

/// Checks that a tensor holds floats that kernels compute with.
fn float(op: &str, name: &str, tensor: &Tensor) -> Result<DType, Error> {
    typed(op, name, tensor, &[DType::F32, DType::F16, DType::BF16])
}

/// Checks that a tensor holds values that kernels can copy.
fn plain(op: &str, name: &str, tensor: &Tensor) -> Result<DType, Error> {
    match tensor.dtype() {
        found @ (DType::F64 | DType::Quant(_)) => Err(Error::DType {
            what: format!("{op}: {name} holds a plain type that kernels have"),
            found,
        }),
        found => Ok(found),
    }
}

/// Checks that a tensor has one of these types.
fn typed(op: &str, name: &str, tensor: &Tensor, types: &[DType]) -> Result<DType, Error> {
    let found = tensor.dtype();
    if types.contains(&found) {
        return Ok(found);
    }
    let types: Vec<&str> = types.iter().map(|dtype| dtype.name()).collect();
    Err(Error::DType { what: format!("{op}: {name} holds one of {}", types.join(", ")), found })
}

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests;
