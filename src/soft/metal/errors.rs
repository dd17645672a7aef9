//! Errors: Metal's domains and codes, and NSErrors.

use super::datum::{Datum, KERNEL_FAULT};
use super::encoder_info::{self, ENCODERS};
use super::foundation::{ErrorOut, Failure, Strong};
use crate::soft::stream::error::{CommandError, ErrorCode};

/// Declares a domain of errors: its NSError domain, and a name and a number for each error.
macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident = $domain:literal { $($code:ident = $number:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name {
            $($code = $number),+
        }

        impl Domain for $name {
            const NAME: &'static str = $domain;
            fn code(self) -> isize {
                self as isize
            }
        }

        #[cfg(test)]
        impl $name {
            const TABLE: &[(&str, isize)] = &[$((stringify!($code), $number)),+];
        }
    )+};
}

/// A domain of errors.
pub(super) trait Domain: Copy {
    /// The NSError domain.
    const NAME: &'static str;
    /// The NSError code.
    fn code(self) -> isize;
}

domains! {
    /// Why a library or a function could not be made: `MTLLibraryError`.
    LibraryError = "MTLLibraryErrorDomain" {
        Unsupported = 1, CompileFailure = 3, CompileWarning = 4, FunctionNotFound = 5, FileNotFound = 6,
    }
    /// Why a counter sample buffer could not be made: `MTLCounterSampleBufferError`.
    CounterError = "MTLCounterErrorDomain" { OutOfMemory = 0, Invalid = 1, }
    /// Why an archive could not be read or written: `MTLBinaryArchiveError`.
    ArchiveError = "MTLBinaryArchiveDomain" { InvalidFile = 1, }
    /// Why a log state could not be made: `MTLLogStateError`.
    LogStateError = "MTLLogStateErrorDomain" { InvalidSize = 1, Invalid = 2, }
    /// Why a tensor could not be made: `MTLTensorError`.
    TensorError = "MTLTensorDomain" { InternalError = 1, InvalidDescriptor = 2, }
    /// Why work of a Metal 4 queue failed: `MTL4CommandQueueError`.
    QueueError = "MTL4CommandQueueErrorDomain" { Timeout = 1, Internal = 6, }
    /// Why a capture could not be started: `MTLCaptureError`.
    CaptureError = "MTLCaptureErrorDomain" {
        NotSupported = 1, AlreadyCapturing = 2, InvalidDescriptor = 3,
    }
}

impl Domain for ErrorCode {
    const NAME: &'static str = "MTLCommandBufferErrorDomain";
    fn code(self) -> isize {
        self as isize
    }
}

/// An error before it becomes an NSError: most are never looked at as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error<D> {
    code: D,
    pub(super) message: String,
    /// A key of the user information, and the data there.
    data: Option<(&'static str, Datum)>,
}

impl<D: Domain> Error<D> {
    pub(super) fn new(code: D, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The same error with data under a key of the user information.
    pub(super) fn with(self, key: &'static str, datum: impl Into<Datum>) -> Self {
        Self { data: Some((key, datum.into())), ..self }
    }

    pub(super) fn ns_error(&self) -> Strong<Failure> {
        let data = self.data.iter().map(|(key, datum)| (*key, datum.object()));
        Failure::object(D::NAME, self.code.code(), &self.message, data)
    }
}

/// The NSError of a command buffer, with how far its encoders came if that is wanted.
pub(super) fn ns_error_of_command(error: &CommandError, with_encoders: bool) -> Strong<Failure> {
    let fault = error.fault.iter().map(|fault| (KERNEL_FAULT, Datum::from(&**fault).object()));
    let encoders = with_encoders.then(|| (ENCODERS, encoder_info::list(&error.encoders)));
    Failure::object(ErrorCode::NAME, error.code.code(), &error.message, fault.chain(encoders))
}

/// The NSError of a command buffer of Metal 4, whose domain has fewer codes.
pub(super) fn ns_error_of_commit(error: &CommandError) -> Strong<Failure> {
    let code = match error.code {
        ErrorCode::Timeout => QueueError::Timeout,
        _ => QueueError::Internal,
    };
    let fault = error.fault.iter().map(|fault| (KERNEL_FAULT, Datum::from(&**fault).object()));
    Failure::object(QueueError::NAME, code.code(), &error.message, fault)
}

/// The object; or nil, and an error at the address that the message passed.
pub(super) fn or_error<P, D: Domain>(
    result: Result<Strong<P>, Error<D>>,
    error: ErrorOut,
) -> Option<Strong<P>> {
    result.map_err(|failure| error.set(failure.ns_error())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::stream::progress::Progress;

    #[test]
    fn numbers_are_metals() {
        let facts = include_str!("../../../tests/data/metal-constants.tsv");
        let check = |name: &str, table: &[(&str, isize)]| {
            for (code, number) in table {
                let row = format!("{name}\t{code}\t{number}");
                assert!(facts.lines().any(|line| line == row), "{row}");
            }
        };
        let codes: Vec<_> =
            ErrorCode::TABLE.iter().map(|(name, code)| (*name, code.code())).collect();
        check("MTLCommandBufferError", &codes);
        let states: Vec<_> =
            Progress::TABLE.iter().map(|(name, state)| (*name, *state as isize)).collect();
        check("MTLCommandEncoderErrorState", &states);
        check("MTLLibraryError", LibraryError::TABLE);
        check("MTLBinaryArchiveError", ArchiveError::TABLE);
        check("MTLCaptureError", CaptureError::TABLE);
        check("MTLLogStateError", LogStateError::TABLE);
        check("MTLTensorError", TensorError::TABLE);
        check("MTL4CommandQueueError", QueueError::TABLE);
        check("MTLCounterSampleBufferError", CounterError::TABLE);
    }
}
