//! The atomic types of the lock-free parts, and the lock of pools. `tests/models` compiles those files with the types of a
//! model checker instead.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};
