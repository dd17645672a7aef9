//! Reading and writing the bytes of checkpoints and recordings, with a checksum.

use super::error::RingError;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// The CRC-32 of IEEE 802.3, by the bit-reversed polynomial.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let (mut table, mut byte) = ([0; 256], 0);
        while byte < 256 {
            let (mut crc, mut bit) = (byte as u32, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, &byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize])
}

/// Bytes being written: numbers in little-endian order, and lists with their length before them.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn list(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64).raw(bytes)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The contents, after a magic number, a version, their checksum and length.
    pub(super) fn seal(self, magic: [u8; 8], version: u32) -> Vec<u8> {
        let mut sealed = Self::default();
        sealed.raw(&magic).u32(version).u32(crc32(&self.0)).list(&self.0);
        sealed.0
    }
}

/// The bytes before the contents of sealed ones: magic number, version, checksum and length.
const HEADER: usize = 24;

/// Reads a file of sealed bytes, and no more of it than it declares: a path may name a device that never ends.
pub(super) fn load(path: &Path, magic: [u8; 8]) -> Result<Vec<u8>, RingError> {
    let (file, mut bytes) = (fs::File::open(path)?, Vec::new());
    (&file).take(HEADER as u64).read_to_end(&mut bytes)?;
    if bytes.len() == HEADER && bytes.starts_with(&magic) {
        let length = bytes.last_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        // One more byte shows that the file does not end there.
        file.take(length.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Bytes being read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The name of the bytes, for messages.
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader of bytes without a header and checksum.
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    /// The bytes that were not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The contents of sealed bytes.
    pub(super) fn open(
        bytes: &'a [u8],
        magic: [u8; 8],
        version: u32,
        what: &'static str,
    ) -> Result<Self, RingError> {
        let mut reader = Self { bytes, what };
        let wrong = |why: String| Err(RingError::Format(format!("{what}: {why}")));
        if reader.raw(8)? != magic {
            return wrong("it does not begin with the magic number".into());
        }
        let (found, crc) = (reader.u32()?, reader.u32()?);
        if found != version {
            return wrong(format!(
                "it has version {found}, and this program reads version {version}"
            ));
        }
        let contents = reader.list()?;
        reader.end()?;
        let actual = crc32(contents);
        if actual != crc {
            return wrong(format!(
                "its checksum is {crc:#010x}, and its contents have {actual:#010x}: it is damaged"
            ));
        }
        Ok(Self { bytes: contents, what })
    }

    pub(super) fn raw(&mut self, count: usize) -> Result<&'a [u8], RingError> {
        match self.bytes.split_at_checked(count) {
            Some((first, rest)) => {
                self.bytes = rest;
                Ok(first)
            }
            None => Err(RingError::Format(format!(
                "{}: it ends early: {count} bytes are expected, and {} are left",
                self.what,
                self.bytes.len()
            ))),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32, RingError> {
        let bytes = self.raw(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn u64(&mut self) -> Result<u64, RingError> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }

    pub(super) fn list(&mut self) -> Result<&'a [u8], RingError> {
        let count = self.u64()?;
        self.raw(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Checks that no bytes are left.
    pub(super) fn end(&self) -> Result<(), RingError> {
        match self.bytes.len() {
            0 => Ok(()),
            _ => Err(RingError::Format(format!("{}: more bytes follow its end", self.what))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Replaces a file in one step: it has the old or the new contents, even if the program ends in between.
pub(super) fn save(path: &Path, bytes: &[u8]) -> Result<(), RingError> {
    // Saves of the same file at the same time, by this process or another one, do not share it.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.{number}.part", std::process::id()));
    let write = || {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        // The contents are on the disk before the name is.
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|error| {
        _ = fs::remove_file(&part);
        error.into()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_file_is_read_up_to_its_declared_length() {
        const MAGIC: [u8; 8] = *b"a magic!";
        let path = std::env::temp_dir().join(format!("ring-load-{}", std::process::id()));
        let mut writer = super::Writer::default();
        writer.raw(&[7; 1000]);
        let sealed = writer.seal(MAGIC, 1);
        std::fs::write(&path, &sealed).unwrap();
        assert_eq!(super::load(&path, MAGIC).unwrap(), sealed);
        std::fs::write(&path, [&sealed[..], &[7; 1000]].concat()).unwrap();
        assert_eq!(super::load(&path, MAGIC).unwrap(), [&sealed[..], &[7]].concat());
        // Of another file, only the first bytes.
        assert_eq!(super::load(&path, [0; 8]).unwrap(), sealed[..super::HEADER]);
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_device_that_never_ends_is_no_checkpoint_and_no_recording() {
        let checkpoint = crate::ring::Checkpoint::load("/dev/zero").unwrap_err().to_string();
        let recording = crate::ring::Recording::load("/dev/zero").unwrap_err().to_string();
        for error in [checkpoint, recording] {
            assert!(error.contains("does not begin with the magic number"), "{error}");
        }
    }

    #[test]
    fn threads_may_save_the_same_file() {
        let folder = std::env::temp_dir().join(format!("ring-save-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("state");
        std::thread::scope(|scope| {
            for byte in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    for _ in 0..20 {
                        super::save(file, &vec![byte; 100_000 + usize::from(byte)]).unwrap();
                        let bytes = std::fs::read(file).unwrap();
                        assert_eq!(bytes, vec![bytes[0]; 100_000 + usize::from(bytes[0])]);
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "parts are left");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
