//! What goes wrong, as Metal numbers it, and as an NSError.

use super::foundation::{Failure, Retained, Strong};

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
    /// Why a command buffer failed: `MTLCommandBufferError`.
    CommandBufferError = "MTLCommandBufferErrorDomain" {
        Internal = 1, Timeout = 2, PageFault = 3, InvalidResource = 9,
    }
    /// Why a library or a function could not be made: `MTLLibraryError`.
    LibraryError = "MTLLibraryErrorDomain" {
        Unsupported = 1, CompileFailure = 3, CompileWarning = 4, FunctionNotFound = 5, FileNotFound = 6,
    }
    /// Why a capture could not be started: `MTLCaptureError`.
    CaptureError = "MTLCaptureErrorDomain" {
        NotSupported = 1, AlreadyCapturing = 2, InvalidDescriptor = 3,
    }
}

/// An error before it is an NSError: most are never looked at as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem<D> {
    pub(super) code: D,
    pub(super) text: String,
}

impl<D: Domain> Problem<D> {
    /// An error in words.
    pub(super) fn new(code: D, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The NSError.
    pub(super) fn failure(&self) -> Strong<Failure> {
        self.failure_with([])
    }

    /// The NSError with further user information.
    pub(super) fn failure_with(
        &self,
        info: impl IntoIterator<Item = (&'static str, Retained)>,
    ) -> Strong<Failure> {
        Failure::object(D::NAME, self.code.code(), &self.text, info)
    }
}

/// What stops a command buffer.
pub(super) type Trouble = Problem<CommandBufferError>;

/// An error of the implementation.
pub(super) fn internal(text: impl Into<String>) -> Trouble {
    Problem::new(CommandBufferError::Internal, text)
}

/// A command that cannot be carried out as it was recorded.
pub(super) fn invalid(text: impl Into<String>) -> Trouble {
    Problem::new(CommandBufferError::InvalidResource, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_metals() {
        let facts = include_str!("../../../tests/data/metal-constants.tsv");
        let check = |name: &str, table: &[(&str, isize)]| {
            for (code, number) in table {
                let row = format!("{name}\t{code}\t{number}");
                assert!(facts.lines().any(|line| line == row), "{row}");
            }
        };
        check("MTLCommandBufferError", CommandBufferError::TABLE);
        check("MTLLibraryError", LibraryError::TABLE);
        check("MTLCaptureError", CaptureError::TABLE);
    }
}
