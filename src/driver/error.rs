//! Everything that can go wrong, in one type.

use crate::objc::MessageError;
use std::fmt;
use std::io;

/// Why a call to Metal failed.
///
/// ```
/// use aruminium::{Gpu, GpuError};
/// match Gpu::open()?.compile("kernel void broken( {") {
///     Err(GpuError::LibraryCompilationFailed(diagnostics)) => assert!(diagnostics.contains("error:")),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum GpuError {
    /// There is no Metal GPU on this system.
    DeviceNotFound,
    /// A buffer could not be made.
    BufferCreationFailed(String),
    /// A buffer's memory cannot be reached now: it is private, or borrowed already.
    BufferAccess(String),
    /// Source text did not compile; the compiler's diagnostics.
    LibraryCompilationFailed(String),
    /// The library has no such function.
    FunctionNotFound(String),
    /// The library has such a function, which cannot be made: of what it does something is not supported,
    /// or a function constant has no value.
    FunctionCreationFailed(String),
    /// A compute pipeline could not be made.
    PipelineCreationFailed(String),
    /// A command buffer failed while it ran; the command buffer's error in words.
    CommandBufferError(String),
    /// A command encoder could not be made.
    EncoderCreationFailed,
    /// A command queue could not be made.
    QueueCreationFailed,
    /// A texture could not be made.
    TextureCreationFailed(String),
    /// A texture's pixels cannot be reached so: another region, another size, or it is private.
    TextureAccess(String),
    /// A fence, an event, a heap, a sampler or a residency set could not be made.
    ObjectCreationFailed(String),
    /// A capture could not be started.
    CaptureFailed(String),
    /// A file could not be read or written.
    Io(io::Error),
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = match self {
            Self::DeviceNotFound => return f.write_str("no Metal GPU on this system"),
            Self::EncoderCreationFailed => return f.write_str("no command encoder could be made"),
            Self::QueueCreationFailed => return f.write_str("no command queue could be made"),
            Self::Io(error) => return error.fmt(f),
            Self::BufferCreationFailed(why) => ("no buffer could be made", why),
            Self::BufferAccess(why) => ("the buffer cannot be accessed", why),
            Self::LibraryCompilationFailed(why) => ("the source does not compile", why),
            Self::FunctionNotFound(why) => ("function not found", why),
            Self::FunctionCreationFailed(why) => ("the function cannot be made", why),
            Self::PipelineCreationFailed(why) => ("no compute pipeline could be made", why),
            Self::CommandBufferError(why) => ("the command buffer failed", why),
            Self::TextureCreationFailed(why) => ("no such texture could be made", why),
            Self::TextureAccess(why) => ("the texture cannot be accessed", why),
            Self::ObjectCreationFailed(why) => ("no such object could be made", why),
            Self::CaptureFailed(why) => ("no capture could be started", why),
        };
        write!(f, "{what}: {why}")
    }
}

impl std::error::Error for GpuError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for GpuError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<MessageError> for GpuError {
    fn from(error: MessageError) -> Self {
        Self::ObjectCreationFailed(error.into())
    }
}
