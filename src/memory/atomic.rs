//! The atomics of the lock-free parts. The model checks in `tests/models` compile those files with a
//! model checker's atomics in place of these.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
