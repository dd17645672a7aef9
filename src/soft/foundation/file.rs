//! Files, read up to a limit: a path may name a device that never ends.

use std::io::{Error, ErrorKind, Read};

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
