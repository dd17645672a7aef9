//! Paths as NSString's and NSURL's methods take them apart.

use super::{List, Text};
use crate::soft::runtime::object::Strong;

/// The part after the last slash of a path that is not at its end.
pub(super) fn last_component(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        Some((_, name)) => name,
        None if trimmed.is_empty() && !path.is_empty() => "/",
        None => trimmed,
    }
}

/// A path without its last component.
pub(super) fn folder(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder.trim_end_matches('/'),
        None if trimmed.is_empty() && !path.is_empty() => "/",
        None => "",
    }
}

/// The stem and the extension of a file's name, if it has one.
pub(super) fn extension(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())
}

/// The components of a path, a slash at its beginning among them.
pub(super) fn components(path: &str) -> Strong<List> {
    let root = path.starts_with('/').then_some("/");
    let parts = root.into_iter().chain(path.split('/').filter(|part| !part.is_empty()));
    List::object(parts.map(|part| Text::object(part).into_retained()))
}

/// The bytes of a percent-encoded text; a percent sign without two digits stands for itself.
pub(super) fn without_percents(text: &[u8]) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), text);
    while let [first, after @ ..] = rest {
        let hex = |digits: &&[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        let digits = after.get(..2).filter(|_| *first == b'%').filter(hex);
        let byte = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decoded
}
