//! Weights in files: GGUF, safetensors and the folders of MLX, read with limits and loaded with or without a copy.
//!
//! ```no_run
//! use aruminium::{Gpu, infer::weights::{Gguf, Value}};
//! let file = Gguf::open("model-00001-of-00003.gguf")?;
//! println!("{:?}", file.meta("general.architecture").and_then(Value::as_str));
//! let gpu = Gpu::open()?;
//! // SAFETY: no program changes the file while the tensors live.
//! let tensors = unsafe { file.weights().map(&gpu, |progress| println!("{:.0} %", 100.0 * progress.fraction()))? };
//! # Ok::<(), aruminium::infer::Error>(())
//! ```
//!
//! [`Gguf`], [`Safetensors`] and [`MlxModel`] read what their formats have beside tensors; the tensors of each are
//! [`Weights`]. [`dequantize()`] decodes values of every type on the CPU.

mod blocks;
mod dequantize;
mod format;
mod gguf;
pub(super) mod grids;
mod json;
mod mlx;
mod safetensors;
mod source;

pub use dequantize::dequantize;
pub use gguf::{Array, Gguf, Limits, Value};
pub use json::Json;
pub use mlx::{Affine, LayerWeights, MlxModel, QuantizationConfig, QuantizedWeight};
pub use safetensors::Safetensors;
pub use source::{Entry, Info, Progress, Weights};
