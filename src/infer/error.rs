//! Errors of inference.

use super::dtype::DType;
use super::kernels::WarmFailure;
use crate::GpuError;
use crate::memory::MemError;
use std::fmt;
use std::io;

/// Why a tensor could not be made, or work could not be recorded or run.
///
/// ```
/// use aruminium::infer::{DType, Error, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let tensor = Tensor::new(&gpu, DType::F32, &[2, 3])?;
/// let error = tensor.reshape(&[4]).unwrap_err();
/// assert!(matches!(error, Error::Shape(_)));
/// assert!(error.to_string().contains("[2, 3]"), "{error}");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The driver's error.
    Gpu(GpuError),
    /// A shape, an axis or a range does not fit.
    Shape(String),
    /// The values do not have the required type.
    DType {
        /// The operand that needs another type.
        what: String,
        /// The type that it has.
        found: DType,
    },
    /// An argument of a launch is wrong.
    Argument {
        /// The kernel's name.
        kernel: String,
        /// The argument's name in the kernel, and its index.
        argument: String,
        /// The defect.
        why: String,
    },
    /// A launch is wrong as a whole, such as its number of arguments or its group's size.
    Launch {
        /// The kernel's name.
        kernel: String,
        /// The defect.
        why: String,
    },
    /// No source has the kernel.
    UnknownKernel(String),
    /// Data from a file is malformed, or needs something that is not supported.
    Format(String),
    /// A file could not be read or written.
    Io(io::Error),
    /// Memory cannot be used this way, at any time: it can only be read, or is not aligned.
    Memory(MemError),
    /// A closure on another thread panicked; holds its message.
    Panicked(String),
    /// Kernels of operations could not be made.
    Warm(Vec<WarmFailure>),
}

impl Error {
    /// Whether the same call may succeed later without a change of the program: memory is in use or exhausted now.
    ///
    /// ```
    /// use aruminium::{GpuError, infer::Error};
    /// assert!(Error::Gpu(GpuError::BufferAccess("in use".into())).is_transient());
    /// assert!(!Error::Shape("no such axis".into()).is_transient());
    /// assert!(!Error::Memory(aruminium::memory::MemError::ReadOnly).is_transient());
    /// ```
    pub fn is_transient(&self) -> bool {
        use GpuError::*;
        match self {
            Self::Gpu(BufferAccess(_) | BufferCreationFailed(_) | EncoderCreationFailed(_)) => true,
            Self::Warm(failures) => failures.iter().all(|failure| failure.error.is_transient()),
            Self::Io(error) => error.kind() == io::ErrorKind::Interrupted,
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpu(error) => error.fmt(f),
            Self::Shape(why) => f.write_str(why),
            Self::DType { what, found } => write!(f, "{what}, and the tensor holds {found}"),
            Self::Argument { kernel, argument, why } => {
                write!(f, "kernel '{kernel}', argument {argument}: {why}")
            }
            Self::Launch { kernel, why } => write!(f, "kernel '{kernel}': {why}"),
            Self::UnknownKernel(why) => write!(f, "unknown kernel: {why}"),
            Self::Format(why) => f.write_str(why),
            Self::Io(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "a closure on another thread panicked: {message}"),
            Self::Warm(failures) => {
                write!(f, "{} kernels could not be made:", failures.len())?;
                failures
                    .iter()
                    .try_for_each(|failure| write!(f, " '{}': {};", failure.source, failure.error))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gpu(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Memory(error) => Some(error),
            _ => None,
        }
    }
}

impl From<GpuError> for Error {
    fn from(error: GpuError) -> Self {
        Self::Gpu(error)
    }
}

impl From<MemError> for Error {
    fn from(error: MemError) -> Self {
        use MemError::*;
        match error {
            ZeroSize | TooLarge { .. } | ReadOnly | Unaligned { .. } | Unsealed(_) => {
                Self::Memory(error)
            }
            // In use, or exhausted: another time it may succeed.
            error => Self::Gpu(error.into()),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
