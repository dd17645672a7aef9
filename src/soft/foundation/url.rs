//! NSURL: the location of a resource. Metal uses URLs of files only.

use super::{Bytes, NSObject, Text};
use crate::soft::runtime::declare::{Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, Strong};
use crate::soft::runtime::pool;
use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// The text of a URL, percent-encoded.
#[derive(PartialEq)]
pub(crate) struct Address(String);

soft_class! {
    /// An absolute URL.
    pub(crate) class NSURL(Address): NSObject, conforms [NSCopying, NSSecureCoding];
    make [fileURLWithPath:] = Address::of_file;
    init [initFileURLWithPath:] = Address::of_file;
    make [fileURLWithPath:isDirectory:] = Address::of_path;
    init [initFileURLWithPath:isDirectory:] = Address::of_path;
    make [fileURLWithFileSystemRepresentation:isDirectory:relativeToURL:] = Address::of_bytes;
    init [initFileURLWithFileSystemRepresentation:isDirectory:relativeToURL:] = Address::of_bytes;
    make [URLWithString:] = Address::parse;
    init [initWithString:] = Address::parse;
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);

    [path] = |url: &Address| url.path().map(Text::object);
    [fileSystemRepresentation] = Address::c_path;
    [getFileSystemRepresentation:maxLength:] = Address::copy_path;
    [hasDirectoryPath] = |url: &Address| url.bytes().is_some_and(|path| path.ends_with(b"/"));
    [URLByAppendingPathComponent:] = |url: &Address, name: &Object<Text>| url.below(name, false);
    [URLByAppendingPathComponent:isDirectory:] = Address::below;
    [absoluteString] = |url: &Address| Text::object(url.0.as_str());
    [lastPathComponent] = Address::last_component;
    [isFileURL] = |url: &Address| url.scheme().eq_ignore_ascii_case("file");
    [scheme] = |url: &Address| Text::object(url.scheme());
    [isEqual:] = |url: &Address, other: Ours<Address>| other.0.is_some_and(|other| *url == **other);
    [hash] = |url: &Address| url.0.bytes().fold(5381usize, |hash, byte| {
        hash.wrapping_mul(33) ^ usize::from(byte)
    });
    [description] = |url: &Address| Text::object(url.0.as_str());
}

impl Address {
    /// A relative path is one from the current directory.
    fn of_file(path: &Object<Text>) -> Self {
        Self::of_path(path, false)
    }

    fn of_path(path: &Object<Text>, is_directory: bool) -> Self {
        Self::of(path.to_str().as_bytes(), is_directory, None)
    }

    /// None for an empty path.
    fn of_bytes(
        path: *const c_char,
        is_directory: bool,
        base: Option<&Object<Self>>,
    ) -> Option<Self> {
        if path.is_null() {
            return None;
        }
        // SAFETY: the caller passed a C string.
        let path = unsafe { CStr::from_ptr(path) }.to_bytes();
        (!path.is_empty()).then(|| Self::of(path, is_directory, base))
    }

    /// The URL of a path, which is relative to that of a base or to the current directory. That of a directory ends in
    /// a slash.
    fn of(path: &[u8], is_directory: bool, base: Option<&Object<Self>>) -> Self {
        let own = Path::new(OsStr::from_bytes(path));
        let own = match base.and_then(|base| base.bytes()) {
            Some(base) => Path::new(OsStr::from_bytes(&base)).join(own),
            None => own.to_path_buf(),
        };
        let mut path = std::path::absolute(&own).unwrap_or(own).into_os_string().into_vec();
        if is_directory && !path.ends_with(b"/") {
            path.push(b'/');
        }
        // The characters that RFC 3986 lets a path have as they are.
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
            _ if b"-._~/!$&'()*+,=:@".contains(&byte) => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        };
        Self(format!("file://{}", path.into_iter().map(encode).collect::<String>()))
    }

    /// The URL of a file in this directory.
    fn below(&self, name: &Object<Text>, is_directory: bool) -> Option<Strong<Self>> {
        let mut path = self.bytes()?;
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend(name.to_str().trim_start_matches('/').bytes());
        let Self(file) = Self::of(&path, is_directory, None);
        let (own, _) = self.0.split_at(self.0.len() - self.after_authority().len());
        Some(Strong::new(Self(format!("{own}{}", file.trim_start_matches("file://")))))
    }

    /// None for a text that is no URL: one without a scheme, or with characters that URLs lack.
    fn parse(text: &Object<Text>) -> Option<Self> {
        let text = text.to_str();
        let (scheme, _) = text.split_once(':')?;
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let clean = text.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c));
        (named && clean).then(|| Self(text.into_owned()))
    }

    fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// What follows the scheme and the host: the path, and a query or a fragment.
    fn after_authority(&self) -> &str {
        let rest = self.0.split_once(':').map_or("", |(_, rest)| rest);
        match rest.strip_prefix("//") {
            Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => rest,
        }
    }

    /// The path without percent signs, and without the slash at a directory's end; none when it is not UTF-8.
    pub(crate) fn path(&self) -> Option<String> {
        let mut path = self.bytes()?;
        if path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        String::from_utf8(path).ok()
    }

    /// The bytes of the path.
    fn bytes(&self) -> Option<Vec<u8>> {
        let path = self.after_authority().split(['?', '#']).next()?;
        let (mut decoded, mut rest) = (Vec::new(), path.as_bytes());
        while let [first, after @ ..] = rest {
            let hex = |digits: &&[u8]| digits.iter().all(u8::is_ascii_hexdigit);
            let digits = after.get(..2).filter(|_| *first == b'%').filter(hex);
            let byte = digits
                .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
            decoded.push(byte.unwrap_or(*first));
            rest = if byte.is_some() { &after[2..] } else { after };
        }
        Some(decoded)
    }

    /// The path for C's functions; none if it has a NUL.
    fn c_string(&self) -> Option<CString> {
        let mut path = self.bytes()?;
        if path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        CString::new(path).ok()
    }

    /// A C string that lives as long as the pool.
    fn c_path(&self) -> *const c_char {
        let Some(path) = self.c_string() else { return std::ptr::null() };
        let bytes = Bytes::object(path.as_bytes_with_nul());
        let start = bytes.as_slice().as_ptr();
        // SAFETY: the object is owned here.
        unsafe { pool::autorelease(bytes.into_retained().into_owned()) };
        start.cast()
    }

    /// Copies the path and a NUL, if there is room.
    fn copy_path(&self, to: *mut c_char, room: usize) -> bool {
        let path = self.c_string().filter(|path| path.as_bytes_with_nul().len() <= room);
        let Some(path) = path else { return false };
        let bytes = path.as_bytes_with_nul();
        // SAFETY: the caller passed that much room.
        unsafe { to.cast::<u8>().copy_from(bytes.as_ptr(), bytes.len()) };
        true
    }

    fn last_component(&self) -> Option<Strong<Text>> {
        let path = self.path()?;
        Some(Text::object(path.trim_end_matches('/').rsplit('/').next().unwrap_or("")))
    }
}

fn itself(this: This<'_, Address>) -> Strong<Address> {
    this.retain()
}
