//! NSString's methods besides access: they compare, replace, convert, read and write files.

use super::path::without_percents;
use super::string::UTF8;
use super::url::Address;
use super::{Text, file};
use crate::abi::{Bool, Id, Imp, NSRange};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::ErrorOut;
use crate::soft::runtime::object::{Object, Strong};

/// Of `NSStringCompareOptions`.
const ANY_CASE: usize = 1;
const NUMERIC: usize = 64;

/// `NSNotFound`.
const NOT_FOUND: usize = isize::MAX as usize;

/// -1, 0 or 1 by UTF-16 units, with `NSStringCompareOptions`.
pub(super) fn compare_with(own: &[u16], other: &Text, options: usize) -> isize {
    let units = |units: &[u16]| match options & ANY_CASE {
        0 => units.to_vec(),
        _ => Text::from_units(units).folded(),
    };
    let (own, other) = (units(own), units(other.units()));
    let order = match options & NUMERIC {
        0 => own.cmp(&other),
        _ => numbers(&own).cmp(&numbers(&other)),
    };
    order as isize
}

/// A text as characters and numbers: a run of digits is one number, which the count of its digits orders first.
fn numbers(units: &[u16]) -> Vec<(u16, usize, &[u16])> {
    let is_digit = |unit: &u16| (48..58).contains(unit);
    let (mut parts, mut rest) = (Vec::new(), units);
    while let [first, ..] = rest {
        let length = rest.iter().position(|unit| !is_digit(unit)).unwrap_or(rest.len());
        let zeros = rest[..length].iter().position(|unit| *unit != 48).unwrap_or(length);
        let (part, after) = rest.split_at(length.max(1));
        // All digits sort as the first one.
        parts.push(match length {
            0 => (*first, 0, &part[..0]),
            _ => (48, length - zeros, &part[zeros..]),
        });
        rest = after;
    }
    parts
}

impl Text {
    pub(super) fn from_file(path: &Object<Self>, encoding: usize, error: ErrorOut) -> Option<Self> {
        Self::from_path(&path.to_str(), encoding, error)
    }

    pub(super) fn from_url(
        url: &Object<Address>,
        encoding: usize,
        error: ErrorOut,
    ) -> Option<Self> {
        Self::from_path(&url.path()?, encoding, error)
    }

    fn from_path(path: &str, encoding: usize, error: ErrorOut) -> Option<Self> {
        let bytes = file::read_or(path, error)?;
        let text = Self::from_bytes(bytes.as_ptr().cast(), bytes.len(), encoding);
        if text.is_none() {
            error.set(file::failure(path, file::WRONG_ENCODING, "not text in this encoding"));
        }
        text
    }

    /// Writes the text to a file. Returns whether it did.
    pub(super) fn write(&self, path: &str, atomic: bool, encoding: usize, error: ErrorOut) -> bool {
        match self.data(encoding) {
            Some(data) => file::write_or(path, data.as_slice(), atomic, error),
            None => {
                let why = "the text has characters that this encoding lacks";
                error.set(file::failure(path, file::NO_ENCODING, why));
                false
            }
        }
    }

    /// The text in ASCII, a question mark for each other character.
    pub(super) fn lossy(&self) -> String {
        self.to_str().chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
    }

    /// The first letter of each word in upper case, the others in lower case.
    pub(super) fn capitalized(&self) -> Strong<Self> {
        let (mut out, mut inside) = (String::new(), false);
        for c in self.to_str().chars() {
            match inside {
                true => out.extend(c.to_lowercase()),
                false => out.extend(c.to_uppercase()),
            }
            inside = !c.is_whitespace();
        }
        Self::object(out)
    }

    /// The characters that both texts begin with.
    pub(super) fn common_prefix(&self, other: &Object<Self>, options: usize) -> Strong<Self> {
        let same = |a: char, b: char| match options & ANY_CASE {
            0 => a == b,
            _ => a.to_lowercase().eq(b.to_lowercase()),
        };
        let (own, other) = (self.to_str(), other.to_str());
        let pairs = own.chars().zip(other.chars());
        Self::object(pairs.take_while(|(a, b)| same(*a, *b)).map(|(a, _)| a).collect::<String>())
    }

    /// Where a string is in this one, which begins at a location of another; `NSNotFound` if it is not there.
    pub(super) fn range_from(&self, other: &Object<Self>, options: usize, from: usize) -> NSRange {
        let NSRange { location, length } = self.range_of_with(other, options);
        let location = if location == NOT_FOUND { location } else { location + from };
        NSRange { location, length }
    }

    /// The text with other units in a range, which it has.
    pub(super) fn with_range(&self, range: NSRange, new: &[u16]) -> Self {
        let (units, end) = (self.units(), range.location + range.length);
        Self::from_units(&[&units[..range.location], new, &units[end..]].concat())
    }

    /// The text with each occurrence of a string in a range replaced, and how many there were.
    pub(super) fn replacing(
        &self,
        old: &Object<Self>,
        new: &Object<Self>,
        options: usize,
        range: NSRange,
    ) -> (Self, usize) {
        const ANCHORED_OR_BACKWARDS: usize = 4 | 8;
        let mut rest = self.units()[range.location..range.location + range.length].to_vec();
        let (mut out, mut count) = (Vec::new(), 0);
        loop {
            let search = options & !ANCHORED_OR_BACKWARDS;
            let found = Self::from_units(&rest).range_of_with(old, search);
            if found.location == NOT_FOUND {
                break;
            }
            out.extend_from_slice(&rest[..found.location]);
            out.extend_from_slice(new.units());
            rest.drain(..found.location + found.length);
            count += 1;
        }
        out.extend(rest);
        (self.with_range(range, &out), count)
    }

    /// The first units of the text, or the text and units of another, which is repeated, up to a length.
    pub(super) fn padded(&self, length: usize, with: &Object<Self>, from: usize) -> Strong<Self> {
        let more = with.units().iter().cycle().skip(from).copied();
        let units: Vec<u16> = self.units().iter().copied().chain(more).take(length).collect();
        Strong::new(Self::from_units(&units))
    }

    /// The text without percent-encoding; none if that is not text.
    pub(super) fn without_percents(&self) -> Option<Strong<Self>> {
        let text = self.to_str();
        let is_whole = |(at, _): (usize, &str)| {
            let digits = text.as_bytes().get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        let whole = text.match_indices('%').all(is_whole);
        let bytes = whole.then(|| without_percents(text.as_bytes()))?;
        Self::from_bytes(bytes.as_ptr().cast(), bytes.len(), UTF8).map(Strong::new)
    }
}

/// Calls a block with each line of a text, without its end.
pub(super) fn each_line(text: &str, block: BlockRef) {
    let Some(invoke) = block.invoke() else { return };
    // SAFETY: the block was passed as one that takes these arguments.
    let invoke = unsafe {
        std::mem::transmute::<Imp, unsafe extern "C" fn(BlockRef, Id, *mut Bool)>(invoke)
    };
    let mut stop = Bool::new(false);
    for line in text.lines() {
        // SAFETY: as above.
        unsafe { invoke(block, Text::object(line).id(), &raw mut stop) };
        if stop.get() {
            break;
        }
    }
}
