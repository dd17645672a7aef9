//! Files. They are read up to a limit: a path may name a device that never ends.

use super::{Failure, Text};
use crate::soft::runtime::declare::ErrorOut;
use crate::soft::runtime::object::Strong;
use std::io::{Error, ErrorKind, Read};

/// The domain and codes of Foundation's errors for files.
const COCOA: &str = "NSCocoaErrorDomain";
const READ_NO_SUCH_FILE: isize = 260;
const READ_UNKNOWN: isize = 256;
/// `NSFileReadInapplicableStringEncodingError`.
pub(super) const WRONG_ENCODING: isize = 261;
/// `NSFileWriteInapplicableStringEncodingError`.
pub(super) const NO_ENCODING: isize = 517;
const WRITE_UNKNOWN: isize = 512;

/// The longest file that becomes an object.
const LONGEST: u64 = 1 << 30;

/// Reads a whole file of at most `limit` bytes.
pub(crate) fn read(path: &str, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("the file has more than {limit} bytes, the most that is read");
        return Err(Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// The error about a file.
pub(super) fn failure(path: &str, code: isize, why: &str) -> Strong<Failure> {
    let info = ("NSFilePath", Text::object(path).into_retained());
    Failure::object(COCOA, code, &format!("{path}: {why}"), [info])
}

/// The bytes of a file; or none, and an error at the address that a message passed.
pub(super) fn read_or(path: &str, error: ErrorOut) -> Option<Vec<u8>> {
    let failed = |why: Error| {
        let code = if why.kind() == ErrorKind::NotFound { READ_NO_SUCH_FILE } else { READ_UNKNOWN };
        error.set(failure(path, code, &why.to_string()));
    };
    read(path, LONGEST).map_err(failed).ok()
}

/// Whether there is a file; if not, there is an error at the address that a message passed.
pub(super) fn exists_or(path: &str, error: ErrorOut) -> bool {
    let found = std::fs::metadata(path);
    found.map_err(|why| error.set(failure(path, READ_NO_SUCH_FILE, &why.to_string()))).is_ok()
}

/// Writes a file, if `atomic` under another name first. Returns whether it did; if not, there is an error at the address
/// that a message passed.
pub(super) fn write_or(path: &str, bytes: &[u8], atomic: bool, error: ErrorOut) -> bool {
    let written = match atomic {
        false => std::fs::write(path, bytes),
        true => {
            let other = format!("{path}.{}", std::process::id());
            let renamed =
                std::fs::write(&other, bytes).and_then(|()| std::fs::rename(&other, path));
            renamed.inspect_err(|_| _ = std::fs::remove_file(&other))
        }
    };
    written.map_err(|why| error.set(failure(path, WRITE_UNKNOWN, &why.to_string()))).is_ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_a_limit() {
        let error = read("/dev/zero", 1000).unwrap_err();
        assert!(error.to_string().contains("more than 1000 bytes"), "{error}");
        let path = std::env::temp_dir().join(format!("aruminium-read-{}", std::process::id()));
        let path = path.to_str().unwrap();
        std::fs::write(path, [7; 1000]).unwrap();
        assert_eq!(read(path, 1000).unwrap(), [7; 1000]);
        assert_eq!(read(path, 999).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::remove_file(path).unwrap();
    }
}
