//! Why a message failed: the contents of an `NSError`, or that the result was nil.

use super::returned::Sent;
use super::string;
use crate::abi::Id;
use std::fmt;

/// The failure of a message that is declared to return a `Result`.
///
/// ```
/// use aruminium::objc::MessageError;
/// use aruminium::{Gpu, GpuError, ShaderLib, metal_class};
/// metal_class! {
///     /// A device, with errors as they come.
///     pub class Device: MTLDevice;
///     /// Compiles; an error names the method that failed.
///     pub fn compile(source: &str, options: Option<&aruminium::CompileOptions>) -> Result<ShaderLib, MessageError>
///         = [newLibraryWithSource:options:error:];
/// }
/// // SAFETY: the pointer is a device, and is retained for the new wrapper.
/// let device = unsafe { Device::from_raw(aruminium::ffi::retain(Gpu::open()?.as_raw())) }.unwrap();
/// let error = device.compile("kernel", None).unwrap_err();
/// assert_eq!(error.method(), "-[MTLDevice newLibraryWithSource:options:error:]");
/// assert_eq!((error.domain(), error.code()), ("MTLLibraryErrorDomain", 3));
/// # Ok::<(), GpuError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    method: &'static str,
    report: Option<Report>,
}

/// The contents of the `NSError`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    domain: String,
    code: isize,
    description: String,
}

impl MessageError {
    /// Reads the error of a call that failed.
    ///
    /// # Safety
    ///
    /// The error in `sent` is nil or a live `NSError`.
    #[cold]
    pub(super) unsafe fn of(sent: &Sent) -> Self {
        // SAFETY: passed on to the caller.
        let report = (!sent.error.is_nil()).then(|| unsafe { Report::of(sent.error) });
        Self { method: sent.method, report }
    }

    /// The method that failed, as in `-[MTLDevice newCommandQueue]`.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The `NSError`'s domain; empty if there was no `NSError`.
    pub fn domain(&self) -> &str {
        self.report.as_ref().map_or("", |report| &report.domain)
    }

    /// The `NSError`'s code within its domain; 0 if there was no `NSError`.
    pub fn code(&self) -> isize {
        self.report.as_ref().map_or(0, |report| report.code)
    }
}

impl Report {
    /// # Safety
    ///
    /// `error` is a live `NSError`.
    unsafe fn of(error: Id) -> Self {
        // SAFETY: these are `NSError`'s own methods, with the types that it declares.
        unsafe {
            Self {
                domain: string::get(error, c"domain"),
                code: super::send::bare::<(), isize>(error, c"code", ()),
                description: string::get(error, c"localizedDescription"),
            }
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.report {
            Some(report) => f.write_str(&report.description),
            None => write!(f, "{} returned nil", self.method),
        }
    }
}

impl std::error::Error for MessageError {}

impl From<MessageError> for String {
    fn from(error: MessageError) -> Self {
        error.to_string()
    }
}
