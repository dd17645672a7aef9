//! Errors of memory.

use crate::GpuError;
use std::fmt;
use std::io;

/// Why memory could not be created, or cannot be used now.
///
/// ```
/// use aruminium::memory::{Block, MemError};
/// assert!(matches!(Block::open(0), Err(MemError::ZeroSize)));
/// let error = Block::open(usize::MAX).unwrap_err();
/// assert!(error.to_string().contains("18446744073709551615 bytes"), "{error}");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum MemError {
    /// Memory of zero bytes was requested.
    ZeroSize,
    /// `IOSurfaceCreate` returned no surface; it reports no reason.
    BlockCreateFailed,
    /// `IOSurfaceLock` failed, with this code.
    BlockLockFailed(i32),
    /// A system call failed.
    System {
        /// The operation.
        what: &'static str,
        /// The size in bytes; 0 if it has none.
        bytes: usize,
        /// The system's error.
        error: io::Error,
    },
    /// More was requested than the limit allows.
    TooLarge {
        /// The requested amount, with its unit.
        what: &'static str,
        /// How much was requested.
        requested: u64,
        /// The limit.
        limit: u64,
    },
    /// The memory is in use in a conflicting way; holds what uses it.
    Busy(String),
    /// The memory can only be read.
    ReadOnly,
    /// An offset, an address or a size is not a multiple of what it must be.
    Unaligned {
        /// The name of the unaligned value.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The required alignment.
        multiple: u64,
    },
    /// A tape has no such mark; holds why.
    WrongMark(String),
    /// A descriptor of another process lacks a seal; holds which one.
    Unsealed(&'static str),
}

impl MemError {
    /// The error of a failed system call.
    pub(super) fn system(what: &'static str, bytes: usize, error: impl Into<io::Error>) -> Self {
        Self::System { what, bytes, error: error.into() }
    }

    /// The error for more bytes than an address space has.
    pub(super) fn too_many_bytes(requested: usize) -> Self {
        Self::TooLarge { what: "bytes", requested: requested as u64, limit: isize::MAX as u64 }
    }
}

impl fmt::Display for MemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroSize => f.write_str("memory of zero bytes was requested"),
            Self::BlockCreateFailed => f.write_str("IOSurfaceCreate returned no surface"),
            Self::BlockLockFailed(code) => write!(f, "IOSurfaceLock failed with code {code:#x}"),
            Self::System { what, bytes: 0, error } => write!(f, "{what}: {error}"),
            Self::System { what, bytes, error } => write!(f, "{what} ({bytes} bytes): {error}"),
            Self::TooLarge { what, requested, limit } => {
                write!(f, "{requested} {what} were requested; the limit is {limit}")
            }
            Self::Busy(why) => write!(f, "the memory cannot be used this way now: {why}"),
            Self::ReadOnly => f.write_str(
                "the memory can only be read: it maps a file, was frozen, or is another process's constant \
                 memory; copy it into a block of its own to change it",
            ),
            Self::Unaligned { what, value, multiple } => {
                write!(f, "{what} is {value}, which is not a multiple of {multiple}")
            }
            Self::WrongMark(why) => f.write_str(why),
            Self::Unsealed(missing) => write!(
                f,
                "the descriptor is not sealed against {missing}: another process could change it; the process that \
                 made it seals it by `Shared::open`, `Block::export` or `Block::freeze`"
            ),
        }
    }
}

impl From<MemError> for GpuError {
    fn from(error: MemError) -> Self {
        match error {
            MemError::Busy(why) => Self::BufferAccess(why),
            MemError::ReadOnly => Self::BufferAccess(error.to_string()),
            other => Self::BufferCreationFailed(other.to_string()),
        }
    }
}

impl std::error::Error for MemError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_that_is_refused_is_no_failed_creation() {
        for (error, text) in
            [(MemError::Busy("in use".into()), "in use"), (MemError::ReadOnly, "can only be read")]
        {
            assert!(matches!(error.into(), GpuError::BufferAccess(why) if why.contains(text)));
        }
        let failed = GpuError::from(MemError::ZeroSize);
        assert!(matches!(failed, GpuError::BufferCreationFailed(_)), "{failed:?}");
    }
}
