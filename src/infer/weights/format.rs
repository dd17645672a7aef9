//! Errors about files, with the offset.

use crate::infer::Error;
use std::io;
use std::path::Path;

/// Something is wrong at an offset in a file.
pub(super) fn invalid(offset: u64, message: impl std::fmt::Display) -> Error {
    Error::Format(format!("byte {offset}: {message}"))
}

/// The same error, with the file that it is about.
pub(super) fn about(path: &Path, error: Error) -> Error {
    let path = path.display();
    match error {
        Error::Format(message) => Error::Format(format!("{path}: {message}")),
        Error::Io(error) => Error::Io(io::Error::new(error.kind(), format!("{path}: {error}"))),
        other => other,
    }
}

/// A result with the file that it is about.
pub(super) trait About<T> {
    fn about(self, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<Error>> About<T> for Result<T, E> {
    fn about(self, path: &Path) -> Result<T, Error> {
        self.map_err(|error| about(path, error.into()))
    }
}
