//! Tensors, launches with automatic barriers, and graphs that replay.
//!
//! One idea: **what a kernel reads and writes is known from the kernel.** Reflection lists it, so barriers need no
//! annotation, and a graph has every edge.
//!
//! ```
//! use aruminium::infer::{DType, Tensor};
//! let gpu = aruminium::Gpu::open()?;
//! let matrix = Tensor::from_slice(&gpu, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
//! let column = matrix.narrow(1, 1..2)?;
//! assert_eq!((column.shape(), column.to_vec::<f32>()?), (&[2, 1][..], vec![2.0, 5.0]));
//! assert_eq!(matrix.transpose(0, 1)?.to_vec::<f32>()?, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
//! # Ok::<(), aruminium::infer::Error>(())
//! ```
//!
//! `specs/infer.md` describes the guarantees.

mod cache;
mod checks;
mod draw;
mod dtype;
mod error;
mod graph;
mod kernels;
mod launch;
mod live;
mod memory;
mod node;
pub mod ops;
mod optimize;
mod overlap;
mod ranges;
mod recorder;
mod report;
mod running;
mod shape;
mod stream;
mod tensor;
pub mod turboquant;
pub mod weights;
mod worker;

pub use dtype::{DType, Element, Quant};
pub use error::Error;
pub use graph::{ByteSlot, Graph, Slot};
pub use kernels::{Constant, Kernel, Kernels, WarmFailure};
pub use launch::{Arg, Grid};
pub use memory::Memory;
pub use node::{Node, NodeKind};
pub use ops::Ops;
pub use optimize::{FusedArg, Fusion, Optimized, Rule};
pub use ranges::{BufferRange, MemRanges, Role};
pub use report::{Counters, Profile, ProfileRow, Report, Sampling, Span};
pub use running::Running;
pub use stream::Stream;
pub use tensor::Tensor;
pub use worker::{Task, Worker};

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests;
