//! NSURL: the location of a resource. Metal uses URLs of files only.

use super::path::{components, extension, folder, last_component, without_percents};
use super::{Bytes, NSObject, Number, Text, absent, file};
use crate::abi::Id;
use crate::soft::runtime::declare::{ErrorOut, Ours, This, Zone, soft_class};
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
    pub(crate) class NSURL(Address): NSObject, conforms [NSCopying], lacks absent::URL;
    make [fileURLWithPath:] = Address::of_file;
    init [initFileURLWithPath:] = Address::of_file;
    make [fileURLWithPath:isDirectory:] = Address::of_path;
    init [initFileURLWithPath:isDirectory:] = Address::of_path;
    make [fileURLWithFileSystemRepresentation:isDirectory:relativeToURL:] = Address::of_bytes;
    init [initFileURLWithFileSystemRepresentation:isDirectory:relativeToURL:] = Address::of_bytes;
    make [fileURLWithPath:relativeToURL:] = |path: &Object<Text>, base: Option<&Object<Address>>| {
        Address::of(path.to_str().as_bytes(), false, base)
    };
    init [initFileURLWithPath:relativeToURL:] = |path: &Object<Text>, base: Option<&Object<Address>>| {
        Address::of(path.to_str().as_bytes(), false, base)
    };
    make [fileURLWithPath:isDirectory:relativeToURL:] =
        |path: &Object<Text>, is_directory: bool, base: Option<&Object<Address>>| {
            Address::of(path.to_str().as_bytes(), is_directory, base)
        };
    init [initFileURLWithPath:isDirectory:relativeToURL:] =
        |path: &Object<Text>, is_directory: bool, base: Option<&Object<Address>>| {
            Address::of(path.to_str().as_bytes(), is_directory, base)
        };
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
    [URLByDeletingLastPathComponent] = |url: &Address| {
        url.with_path(|path| match folder(path) {
            "/" => "/".to_owned(),
            folder => format!("{folder}/"),
        })
    };
    [URLByDeletingPathExtension] = |url: &Address| url.with_path(|path| {
        let length = extension(last_component(path)).map_or(0, |(_, end)| end.len() + 1);
        let (trimmed, slashes) = path.split_at(path.trim_end_matches('/').len());
        format!("{}{slashes}", &trimmed[..trimmed.len() - length])
    });
    [URLByAppendingPathExtension:] = |url: &Address, end: &Object<Text>| url.with_path(|path| {
        let (trimmed, slashes) = path.split_at(path.trim_end_matches('/').len());
        format!("{trimmed}.{}{slashes}", encoded(end.to_str().as_bytes()))
    });
    [pathExtension] = |url: &Address| {
        let path = url.path()?;
        Some(Text::object(extension(last_component(&path)).map_or("", |(_, end)| end)))
    };
    [pathComponents] = |url: &Address| url.path().map(|path| components(&path));
    // URLs here are absolute.
    [absoluteURL] = itself;
    [baseURL] = |_: &Address| Id::NIL;
    [relativeString] = |url: &Address| Text::object(url.0.as_str());
    [relativePath] = |url: &Address| url.path().map(Text::object);
    [resourceSpecifier] = |url: &Address| Text::object(url.0.split_once(':').map_or("", |(_, rest)| rest));
    [host] = |url: &Address| url.authority().host.map(Text::object);
    [port] = |url: &Address| url.authority().port.map(|port| Number::object(i128::from(port)));
    [user] = |url: &Address| url.authority().user.map(Text::object);
    [password] = |url: &Address| url.authority().password.map(Text::object);
    [query] = |url: &Address| {
        url.before_fragment().split_once('?').map(|(_, query)| Text::object(query))
    };
    [fragment] = |url: &Address| url.0.split_once('#').map(|(_, fragment)| Text::object(fragment));
    [filePathURL] = |url: This<'_, Address>| url.scheme().eq_ignore_ascii_case("file").then(|| url.retain());
    [isFileReferenceURL] = |_: &Address| false;
    [standardizedURL] = |url: &Address| url.with_path(standardized);
    [URLByStandardizingPath] = |url: &Address| url.with_path(standardized);
    [checkResourceIsReachableAndReturnError:] = |url: &Address, error: ErrorOut| {
        url.path().is_some_and(|path| file::exists_or(&path, error))
    };
    [startAccessingSecurityScopedResource] = |_: &Address| true;
    [stopAccessingSecurityScopedResource] = |_: &Address| ();
    [absoluteString] = |url: &Address| Text::object(url.0.as_str());
    [lastPathComponent] = |url: &Address| url.path().map(|path| Text::object(last_component(&path)));
    [isFileURL] = |url: &Address| url.scheme().eq_ignore_ascii_case("file");
    [scheme] = |url: &Address| Text::object(url.scheme());
    [isEqual:] = |url: &Address, other: Ours<Address>| other.0.is_some_and(|other| *url == **other);
    [hash] = |url: &Address| url.0.bytes().fold(5381usize, |hash, byte| {
        hash.wrapping_mul(33) ^ usize::from(byte)
    });
    [description] = |url: &Address| Text::object(url.0.as_str());
}

impl Address {
    /// The URL of a path.
    pub(super) fn object(path: &Path, is_directory: bool) -> Strong<Self> {
        Strong::new(Self::of(path.as_os_str().as_bytes(), is_directory, None))
    }

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
        Self(format!("file://{}", encoded(&path)))
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

    /// The rest after the scheme and the host: the path, and a query or a fragment.
    fn after_authority(&self) -> &str {
        let rest = self.0.split_once(':').map_or("", |(_, rest)| rest);
        match rest.strip_prefix("//") {
            Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => rest,
        }
    }

    /// The URL with its path, which is encoded, replaced by what a function makes of it.
    fn with_path(&self, change: impl Fn(&str) -> String) -> Strong<Self> {
        let rest = self.after_authority();
        let (before, _) = self.0.split_at(self.0.len() - rest.len());
        let (path, after) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        Strong::new(Self(format!("{before}{}{after}", change(path))))
    }

    fn before_fragment(&self) -> &str {
        self.0.split_once('#').map_or(&self.0, |(before, _)| before)
    }

    /// The parts of what follows two slashes, if it is there.
    fn authority(&self) -> Authority {
        let after_scheme = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let end = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
        let (login, place) = match after_scheme[..end].rsplit_once('@') {
            Some((login, place)) => (login, place),
            None => ("", &after_scheme[..end]),
        };
        let some = |text: &str| (!text.is_empty()).then(|| decoded(text));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let port = |(host, port): (_, &str)| Some((host, port.parse::<u16>().ok()?));
        // The address of a host of version 6 has colons in brackets.
        let split = place.rsplit_once(':').and_then(port);
        let (host, port) = split.map_or((place, None), |(host, port)| (host, Some(port)));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Authority { user: some(user), password: some(password), host: some(host), port }
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
        Some(without_percents(path.as_bytes()))
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
}

/// The parts of a URL between its scheme and its path, decoded.
struct Authority {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
}

/// A path, percent-encoded where RFC 3986 does not let a path have a character as it is.
fn encoded(path: &[u8]) -> String {
    let encode = |&byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
        _ if b"-._~/!$&'()*+,=:@".contains(&byte) => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.iter().map(encode).collect()
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&without_percents(text.as_bytes())).into_owned()
}

/// A path without `.` and `..`.
fn standardized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if parts.len() > 1 => _ = parts.pop(),
            ".." => {}
            part => parts.push(part),
        }
    }
    let ends_in_folder = path.ends_with("/.") || path.ends_with("/..");
    format!("{}{}", parts.join("/"), if ends_in_folder { "/" } else { "" })
}

fn itself(this: This<'_, Address>) -> Strong<Address> {
    this.retain()
}
