//! The error type of the driver, and faults of kernels.

use super::foundation::{NSArray, NSDictionary, NSError, NSNumber, NSString};
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
    /// The system has no Metal GPU.
    DeviceNotFound,
    /// A buffer could not be created.
    BufferCreationFailed(String),
    /// A buffer's memory cannot be accessed: it is private or can only be read, or it is in use now.
    BufferAccess(String),
    /// Source text did not compile; the compiler's diagnostics.
    LibraryCompilationFailed(String),
    /// The library has no such function.
    FunctionNotFound(String),
    /// The library has the function, but it cannot be created: it uses an unsupported feature,
    /// or a function constant has no value.
    FunctionCreationFailed(String),
    /// A compute pipeline could not be created.
    PipelineCreationFailed(String),
    /// A command buffer failed while it ran; holds the message of its error.
    CommandBufferError(String),
    /// A kernel had a fault, such as an access out of bounds; soft Metal only.
    KernelFault(Box<KernelFault>),
    /// A command encoder could not be created; holds the reason.
    EncoderCreationFailed(String),
    /// This system's Metal does not support the operation.
    Unsupported(String),
    /// A command queue could not be created.
    QueueCreationFailed,
    /// A texture could not be created.
    TextureCreationFailed(String),
    /// A texture's pixels cannot be accessed: no such region, a wrong size, or it is private.
    TextureAccess(String),
    /// A fence, an event, a heap, a sampler or a residency set could not be created.
    ObjectCreationFailed(String),
    /// A binary archive could not be opened, extended or written.
    ArchiveFailed(String),
    /// A capture could not be started.
    CaptureFailed(String),
    /// A file could not be read or written.
    Io(io::Error),
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, why) = match self {
            Self::DeviceNotFound => return f.write_str("no Metal GPU on this system"),
            Self::KernelFault(fault) => ("the command buffer failed", &fault.message),
            Self::EncoderCreationFailed(why) => ("the command encoder could not be created", why),
            Self::Unsupported(why) => ("not supported here", why),
            Self::QueueCreationFailed => {
                return f.write_str("the command queue could not be created");
            }
            Self::Io(error) => return error.fmt(f),
            Self::BufferCreationFailed(why) => ("the buffer could not be created", why),
            Self::BufferAccess(why) => ("the buffer cannot be accessed", why),
            Self::LibraryCompilationFailed(why) => ("the source does not compile", why),
            Self::FunctionNotFound(why) => ("function not found", why),
            Self::FunctionCreationFailed(why) => ("the function could not be created", why),
            Self::PipelineCreationFailed(why) => ("the compute pipeline could not be created", why),
            Self::CommandBufferError(why) => ("the command buffer failed", why),
            Self::TextureCreationFailed(why) => ("the texture could not be created", why),
            Self::TextureAccess(why) => ("the texture cannot be accessed", why),
            Self::ObjectCreationFailed(why) => ("the object could not be created", why),
            Self::ArchiveFailed(why) => ("the binary archive cannot be used", why),
            Self::CaptureFailed(why) => ("the capture could not be started", why),
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

/// A fault of a kernel, with its position and thread: soft Metal reports errors that GPUs ignore, or on which they
/// hang.
///
/// ```
/// use aruminium::{FaultKind, Gpu, GpuError};
/// let gpu = Gpu::open()?;
/// let source = "kernel void fill(device float *out, uint i [[thread_position_in_grid]]) {
///     out[i] = 1;
/// }";
/// let pipeline = gpu.pipeline(&gpu.compile(source)?.function("fill")?)?;
/// let buffer = gpu.buffer(16)?;
/// let commands = gpu.new_command_queue()?.commands()?;
/// let encoder = commands.encoder()?;
/// encoder.bind(&pipeline);
/// encoder.bind_buffer(&buffer, 0, 0);
/// encoder.launch((5, 1, 1), (1, 1, 1));
/// encoder.finish();
/// commands.submit();
/// # if !cfg!(target_vendor = "apple") {
/// let Err(GpuError::KernelFault(fault)) = commands.finish() else { panic!("no fault") };
/// assert_eq!((fault.kind, fault.kernel.as_str()), (FaultKind::Access, "fill"));
/// assert_eq!((fault.thread, fault.line), (Some([4, 0, 0]), Some(2)));
/// assert_eq!((fault.argument.as_deref(), fault.offset, fault.size), (Some("out"), Some(16), Some(16)));
/// # }
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelFault {
    /// The kind of error.
    pub kind: FaultKind,
    /// The kernel's name.
    pub kernel: String,
    /// The position in the grid of the first thread with the error, if it happened in a thread.
    pub thread: Option<[u32; 3]>,
    /// The argument or variable that was accessed; `None` for a null or stale pointer.
    pub argument: Option<String>,
    /// The offset of the access, in bytes from its start.
    pub offset: Option<i64>,
    /// The size of the access, or of the requested threadgroup memory, in bytes.
    pub bytes: Option<u64>,
    /// The size of the argument or variable, in bytes.
    pub size: Option<u64>,
    /// Whether the access is a write.
    pub write: bool,
    /// The name of the source file.
    pub file: Option<String>,
    /// The line, from 1 on.
    pub line: Option<u32>,
    /// The column, from 1 on.
    pub column: Option<u32>,
    /// All of this as text.
    pub message: String,
}

/// The kinds of errors of kernels.
///
/// ```
/// assert_ne!(aruminium::FaultKind::Access, aruminium::FaultKind::Barrier);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// A read or write outside of the memory of a pointer, or a write to constant memory.
    Access,
    /// A call through a function pointer that is null, or points to a function of another type or one that the
    /// pipeline does not link.
    Call,
    /// Use of an element that an array of textures does not have.
    Element,
    /// An atomic access at an address that is not a multiple of its size.
    Misaligned,
    /// A barrier that some threads of the threadgroup do not reach.
    Barrier,
    /// The kernel ran longer than the watchdog allows.
    Timeout,
    /// A threadgroup of no threads or of too many.
    GroupSize,
    /// More threadgroup memory than the device has.
    ThreadgroupMemory,
    /// Something that this version of the crate has no name for.
    Other,
}

/// A dictionary from soft Metal with text and numbers under the keys that `specs/soft-metal.md` lists.
pub(super) struct Fields(NSDictionary);

impl Fields {
    pub(super) fn new(fields: NSDictionary) -> Self {
        Self(fields)
    }

    /// A record in the user information of an error.
    fn of(error: &NSError, key: &str) -> Option<Self> {
        // SAFETY: only soft Metal sets this key; its value is a dictionary.
        unsafe { error.user_info().get(&NSString::from(key)) }.map(Self)
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        // SAFETY: the values of keys requested as text are strings.
        unsafe { self.0.get::<NSString>(&NSString::from(key)) }.map(|text| text.to_string())
    }

    fn number(&self, key: &str) -> Option<NSNumber> {
        // SAFETY: the values of keys requested as numbers are numbers.
        unsafe { self.0.get(&NSString::from(key)) }
    }

    pub(super) fn unsigned(&self, key: &str) -> Option<u64> {
        Some(self.number(key)?.as_u64())
    }

    pub(super) fn signed(&self, key: &str) -> Option<i64> {
        Some(self.number(key)?.as_i64())
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.number(key).is_some_and(|number| number.as_bool())
    }

    pub(super) fn list(&self, key: &str) -> Option<NSArray> {
        // SAFETY: the values of keys requested as lists are arrays.
        unsafe { self.0.get(&NSString::from(key)) }
    }

    pub(super) fn record(&self, key: &str) -> Option<Self> {
        // SAFETY: the values of keys requested as records are dictionaries.
        unsafe { self.0.get(&NSString::from(key)) }.map(Self)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let Some(list) = self.list(key) else { return Vec::new() };
        // SAFETY: the values of keys requested as texts are arrays of strings.
        let text = |index| unsafe { list.get::<NSString>(index) };
        (0..list.len()).filter_map(|index| Some(text(index)?.to_string())).collect()
    }

    pub(super) fn small(&self, key: &str) -> Option<u32> {
        u32::try_from(self.number(key)?.as_u64()).ok()
    }

    pub(super) fn triple(&self, key: &str) -> Option<[u32; 3]> {
        let list = self.list(key)?;
        let mut triple = [0; 3];
        for (index, value) in triple.iter_mut().enumerate() {
            // SAFETY: the value of this key is an array of three numbers.
            let number: NSNumber = unsafe { list.get(index) }?;
            *value = u32::try_from(number.as_u64()).ok()?;
        }
        Some(triple)
    }
}

impl KernelFault {
    /// The fault that an error of a command buffer carries.
    pub(super) fn of(error: &NSError) -> Option<Self> {
        let fields = Fields::of(error, "AruminiumKernelFault")?;
        let kind = match fields.text("kind")?.as_str() {
            "access" => FaultKind::Access,
            "call" => FaultKind::Call,
            "element" => FaultKind::Element,
            "misaligned" => FaultKind::Misaligned,
            "barrier" => FaultKind::Barrier,
            "timeout" => FaultKind::Timeout,
            "group size" => FaultKind::GroupSize,
            "threadgroup memory" => FaultKind::ThreadgroupMemory,
            _ => FaultKind::Other,
        };
        Some(Self {
            kind,
            kernel: fields.text("kernel")?,
            thread: fields.triple("thread"),
            argument: fields.text("argument"),
            offset: fields.signed("offset"),
            bytes: fields.unsigned("bytes"),
            size: fields.unsigned("size"),
            write: fields.flag("write"),
            file: fields.text("file"),
            line: fields.small("line"),
            column: fields.small("column"),
            message: error.description(),
        })
    }
}

impl fmt::Display for KernelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for KernelFault {}
