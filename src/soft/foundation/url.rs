//! NSURL: where something is. Files are what Metal asks for.

use super::{NSObject, Text};
use crate::soft::runtime::declare::{Ours, This, soft_class};
use crate::soft::runtime::object::{Object, Strong};
use std::ffi::c_void;

/// The text of a URL, percent-encoded.
#[derive(PartialEq)]
pub(crate) struct Address(String);

soft_class! {
    /// An absolute URL.
    pub(crate) class NSURL(Address): NSObject, conforms [NSCopying, NSSecureCoding];
    make [fileURLWithPath:] = Address::of_file;
    init [initFileURLWithPath:] = Address::of_file;
    make [fileURLWithPath:isDirectory:] = |path: &Object<Text>, _: bool| Address::of_file(path);
    make [URLWithString:] = Address::parse;
    init [initWithString:] = Address::parse;
    [copy] = itself;
    [copyWithZone:] = |this, _: *mut c_void| itself(this);

    [path] = |url: &Address| url.path().map(Text::object);
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
        let path = path.to_str();
        let path = std::path::absolute(&*path)
            .map_or_else(|_| path.to_string(), |absolute| absolute.to_string_lossy().into_owned());
        // The characters that RFC 3986 lets a path have as they are.
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
            _ if b"-._~/!$&'()*+,=:@".contains(&byte) => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        };
        Self(format!("file://{}", path.bytes().map(encode).collect::<String>()))
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

    /// The path without percent signs; none when it is not UTF-8.
    pub(crate) fn path(&self) -> Option<String> {
        let (_, rest) = self.0.split_once(':')?;
        let path = match rest.strip_prefix("//") {
            Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => rest,
        };
        let path = path.split(['?', '#']).next().unwrap_or("");
        let (mut decoded, mut rest) = (Vec::new(), path.as_bytes());
        while let [first, after @ ..] = rest {
            let hex = |digits: &&[u8]| digits.iter().all(u8::is_ascii_hexdigit);
            let digits = after.get(..2).filter(|_| *first == b'%').filter(hex);
            let byte = digits
                .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
            decoded.push(byte.unwrap_or(*first));
            rest = if byte.is_some() { &after[2..] } else { after };
        }
        String::from_utf8(decoded).ok()
    }

    fn last_component(&self) -> Option<Strong<Text>> {
        let path = self.path()?;
        Some(Text::object(path.trim_end_matches('/').rsplit('/').next().unwrap_or("")))
    }
}

fn itself(this: This<'_, Address>) -> Strong<Address> {
    this.retain()
}
