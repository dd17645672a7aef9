//! Blocks, arenas and pools that track their users.
//!
//! One idea: **memory tracks its users.** The CPU uses memory through guards, the GPU through
//! command buffers, and nothing is unmapped, recycled or handed out again before both have finished with it.
//!
//! ```
//! use aruminium::memory::{Block, Tape};
//!
//! let block = Block::open(1 << 16)?;
//! block.view_mut::<f32>()[..4].copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
//! assert_eq!(block.view::<f32>()[..4].iter().sum::<f32>(), 10.0);
//!
//! let mut tape = Tape::over(block)?;
//! let mut span = tape.slice::<f32>(256).expect("the tape has room");
//! span.view_mut().fill(1.0);
//! drop(span);
//! tape.reset();
//! # Ok::<(), aruminium::memory::MemError>(())
//! ```
//!
//! * [`Block`] is whole pages at one address; [`Gpu::wrap`](crate::Gpu::wrap) makes a buffer of it without a copy.
//! * [`Tape`] is bump allocation over a block; [`Frames`] are tapes in rotation, for loops that stay ahead of the GPU.
//! * [`Grid`] and [`Slab`] are cells of one size. [`Layout`] is three tapes, for inference.
//! * [`Pool`] lends buffers by size class. Pools and blocks share a [`Residency`].
//! * [`Shared`] is memory that another process may write.
//!
//! `specs/memory.md` describes the guarantees, and the memory orderings that they rely on.

mod atomic;
mod block;
mod bump;
mod constant;
mod deferred;
mod error;
mod frames;
mod free_lists;
mod grid;
mod layout;
mod leases;
mod local;
mod pool;
mod record;
mod reentrant;
mod residency;
mod shared;
mod span;
mod stack;
mod sys;
mod tape;
mod view;
mod work;
mod wrap;

#[cfg(not(target_vendor = "apple"))]
pub use block::NotFrozen;
pub use block::{Block, Pinned};
#[cfg(feature = "infer")]
pub(crate) use constant::is_constant;
pub use error::MemError;
pub use frames::{Frame, Frames};
pub use grid::{Cell, Divided, Grid, Slab};
pub use layout::{Layout, Stat};
pub use local::Local;
pub use pool::{Lease, Pool, PoolLimits, PoolStat};
pub use residency::Residency;
pub use shared::Shared;
pub use span::Span;
pub use sys::Handle;
pub use tape::{Mark, Tape};
pub use view::{View, ViewMut};
pub use work::Work;

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests;
