//! NSString: text, stored as UTF-8 and accessible as UTF-16.

#[cfg(feature = "export")]
use super::constant_string::stand_in;
use super::data::End;
use super::format::{formatted, init_with_format, string_by_appending_format, string_with_format};
use super::mutable_string::NSMutableString;
use super::path::{components, extension, folder, last_component};
use super::text::{compare_with, each_line};
use super::url::Address;
use super::variadic::Variadic;
use super::{Bytes, List, NSObject, absent};
use crate::abi::{Id, NSRange};
use crate::soft::runtime::block::BlockRef;
use crate::soft::runtime::declare::{ErrorOut, Ours, This, Zone, soft_class, types};
use crate::soft::runtime::object::{Object, SoftClass, Strong, class_of};
use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

/// A string, which methods of NSMutableString alone change.
///
/// Objective-C measures strings in UTF-16 units and allows lone surrogates, which UTF-8 cannot encode. A
/// string without them is stored as UTF-8; its units are added when one of a non-ASCII string is first
/// read.
pub(crate) struct Text {
    /// The text and a NUL. None for a string with a lone surrogate, whose units are there instead.
    utf8: Option<String>,
    ascii: bool,
    units: OnceLock<Box<[u16]>>,
}

/// Only other programs have strings that a C compiler has laid out.
#[cfg(not(feature = "export"))]
unsafe fn stand_in(_: Id) -> Option<&'static Object<Text>> {
    None
}

/// `NSASCIIStringEncoding`.
const ASCII: usize = 1;
/// `NSUTF8StringEncoding`.
pub(super) const UTF8: usize = 4;

/// `NSStringEncoding`, as far as it is Unicode or a part of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextEncoding {
    Ascii,
    Utf8,
    Utf16 { big_endian: bool },
}

impl TextEncoding {
    fn of(code: usize) -> Option<Self> {
        match code {
            ASCII => Some(Self::Ascii),
            UTF8 => Some(Self::Utf8),
            10 => Some(Self::Utf16 { big_endian: cfg!(target_endian = "big") }),
            0x9000_0100 => Some(Self::Utf16 { big_endian: true }),
            0x9400_0100 => Some(Self::Utf16 { big_endian: false }),
            _ => None,
        }
    }
}

soft_class! {
    /// A string.
    pub(crate) class NSString(Text): NSObject, conforms [NSCopying, NSMutableCopying],
        lacks absent::STRING, kept as Text::unchanging, or stand_in;
    make [string] = Text::default;
    init [init] = Text::default;
    make [stringWithUTF8String:] = Text::from_c;
    init [initWithUTF8String:] = Text::from_c;
    init [initWithBytes:length:encoding:] = Text::from_bytes;
    init [initWithBytesNoCopy:length:encoding:freeWhenDone:] =
        |bytes: *mut c_void, length: usize, encoding: usize, free: bool| {
            let text = Text::from_bytes(bytes, length, encoding)?;
            // The text has been copied. Bytes that are no text stay the caller's.
            drop(Bytes::Lent(bytes, length, End::when_done(free)));
            Some(text)
        };
    make [stringWithCString:encoding:] = Text::from_c_in;
    init [initWithCString:encoding:] = Text::from_c_in;
    init [initWithData:encoding:] = |data: &Object<Bytes>, encoding: usize| {
        let bytes = data.as_slice();
        Text::from_bytes(bytes.as_ptr().cast(), bytes.len(), encoding)
    };
    make [stringWithCharacters:length:] = Text::from_characters;
    init [initWithCharacters:length:] = Text::from_characters;
    make [stringWithString:] = Text::from_string;
    init [initWithString:] = Text::from_string;
    make [stringWithContentsOfFile:encoding:error:] = Text::from_file;
    init [initWithContentsOfFile:encoding:error:] = Text::from_file;
    make [stringWithContentsOfURL:encoding:error:] = Text::from_url;
    init [initWithContentsOfURL:encoding:error:] = Text::from_url;
    raw_class [stringWithFormat:] = (string_with_format, types!(Id, Id));
    raw_class [localizedStringWithFormat:] = (string_with_format, types!(Id, Id));
    raw [initWithFormat:] = (init_with_format, types!(Id, Id));
    init [initWithFormat:arguments:] = Text::from_format;
    raw [stringByAppendingFormat:] = (string_by_appending_format, types!(Id, Id));
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);
    [mutableCopy] = Text::changeable;
    [mutableCopyWithZone:] = |this: &Text, _: Zone| this.changeable();

    [UTF8String] = Text::utf8_string;
    [length] = Text::length;
    [characterAtIndex:] = character_at_index;
    [getCharacters:range:] = get_characters;
    [getCharacters:] = |this: This<'_, Text>, to: *mut u16| {
        get_characters(this, to, NSRange { location: 0, length: this.length() })
    };
    [fastestEncoding] = |_: &Text| UTF8;
    [smallestEncoding] = |this: &Text| if this.ascii { ASCII } else { UTF8 };
    [canBeConvertedToEncoding:] = |this: &Text, encoding: usize| this.data(encoding).is_some();
    [lengthOfBytesUsingEncoding:] = Text::length_in;
    [maximumLengthOfBytesUsingEncoding:] = Text::maximum_length_in;
    [intValue] = Text::int_value;
    [integerValue] = Text::integer_value;
    [longLongValue] = Text::integer_value;
    [doubleValue] = Text::double_value;
    [floatValue] = Text::float_value;
    [boolValue] = Text::bool_value;

    [isEqual:] = |this: &Text, other: Ours<Text>| this.is_equal_to(other.0);
    [isEqualToString:] = Text::is_equal_to;
    [compare:] = Text::compare;
    [compare:options:] = |this: &Text, other: &Object<Text>, options: usize| {
        compare_with(this.units(), other, options)
    };
    [compare:options:range:] = |this: This<'_, Text>, other: &Object<Text>, options: usize, range: NSRange| {
        compare_with(units_in(&this, range), other, options)
    };
    [commonPrefixWithString:options:] = Text::common_prefix;
    [caseInsensitiveCompare:] = |this: &Text, other: &Object<Text>| this.folded().cmp(&other.folded()) as isize;
    [hash] = Text::hash_value;
    [hasPrefix:] = Text::has_prefix;
    [hasSuffix:] = Text::has_suffix;
    [containsString:] = Text::contains;
    [description] = itself;
    [uppercaseString] = Text::uppercase;
    [lowercaseString] = Text::lowercase;
    [capitalizedString] = Text::capitalized;
    [stringByAppendingString:] = Text::appending;
    [substringFromIndex:] = substring_from;
    [substringToIndex:] = substring_to;
    [substringWithRange:] = |this: This<'_, Text>, range: NSRange| {
        Strong::new(Text::from_units(units_in(&this, range)))
    };
    [rangeOfString:] = Text::range_of;
    [rangeOfString:options:] = Text::range_of_with;
    [rangeOfString:options:range:] = |this: This<'_, Text>, other: &Object<Text>, options: usize, range: NSRange| {
        Text::from_units(units_in(&this, range)).range_from(other, options, range.location)
    };
    [enumerateLinesUsingBlock:] = |this: This<'_, Text>, block: BlockRef| {
        // The block may change the text.
        let text = this.to_str().into_owned();
        each_line(&text, block);
    };
    [componentsSeparatedByString:] = |this: &Text, between: &Object<Text>| {
        let (all, between) = (this.to_str(), between.to_str());
        let parts: Vec<&str> = if between.is_empty() { vec![&all] } else { all.split(&*between).collect() };
        List::object(parts.into_iter().map(|part| Text::object(part).into_retained()))
    };
    [stringByReplacingOccurrencesOfString:withString:] =
        |this: &Text, old: &Object<Text>, new: &Object<Text>| match old.to_str() {
            old if old.is_empty() => Text::object(this.to_str()),
            old => Text::object(this.to_str().replace(&*old, &new.to_str())),
        };
    [stringByReplacingOccurrencesOfString:withString:options:range:] = |
        this: This<'_, Text>, old: &Object<Text>, new: &Object<Text>, options: usize, range: NSRange,
    | {
        units_in(&this, range);
        Strong::new(this.replacing(old, new, options, range).0)
    };
    [stringByReplacingCharactersInRange:withString:] = |this: This<'_, Text>, range: NSRange, new: &Object<Text>| {
        units_in(&this, range);
        Strong::new(this.with_range(range, new.units()))
    };
    [stringByPaddingToLength:withString:startingAtIndex:] = Text::padded;
    [stringByRemovingPercentEncoding] = Text::without_percents;
    [cStringUsingEncoding:] = |this: &Text, encoding: usize| match TextEncoding::of(encoding) {
        Some(TextEncoding::Utf8) => this.utf8_string(),
        Some(TextEncoding::Ascii) if this.ascii => this.utf8_string(),
        _ => std::ptr::null(),
    };
    [getCString:maxLength:encoding:] = Text::copy_c;
    [dataUsingEncoding:] = Text::data;
    [dataUsingEncoding:allowLossyConversion:] = |this: &Text, encoding: usize, lossy: bool| {
        this.data(encoding).or_else(|| if lossy { Text::new(this.lossy()).data(encoding) } else { None })
    };
    [writeToFile:atomically:encoding:error:] =
        |this: &Text, path: &Object<Text>, atomic: bool, encoding: usize, error: ErrorOut| {
            this.write(&path.to_str(), atomic, encoding, error)
        };
    [writeToURL:atomically:encoding:error:] =
        |this: &Text, url: &Object<Address>, atomic: bool, encoding: usize, error: ErrorOut| {
            url.path().is_some_and(|path| this.write(&path, atomic, encoding, error))
        };
    [fileSystemRepresentation] = Text::utf8_string;
    [getFileSystemRepresentation:maxLength:] =
        |this: &Text, to: *mut c_char, room: usize| this.copy_c(to, room, UTF8);
    [isAbsolutePath] = |this: &Text| this.to_str().starts_with('/');
    [lastPathComponent] = |this: &Text| Text::object(last_component(&this.to_str()));
    [pathExtension] = |this: &Text| {
        Text::object(extension(last_component(&this.to_str())).map_or("", |(_, end)| end))
    };
    [pathComponents] = |this: &Text| components(&this.to_str());
    [stringByDeletingLastPathComponent] = |this: &Text| Text::object(folder(&this.to_str()));
    [stringByDeletingPathExtension] = |this: &Text| {
        let text = this.to_str();
        let path = if text.len() > 1 { text.trim_end_matches('/') } else { &text };
        let extension = extension(last_component(path)).map_or(0, |(_, end)| end.len() + 1);
        Text::object(&path[..path.len() - extension])
    };
    [stringByAppendingPathExtension:] = |this: &Text, end: &Object<Text>| {
        Text::object(format!("{}.{}", this.to_str().trim_end_matches('/'), end.to_str()))
    };
    [stringByAppendingPathComponent:] = |this: &Text, name: &Object<Text>| {
        let (folder, name) = (this.to_str(), name.to_str());
        let between = if folder.is_empty() || folder.ends_with('/') { "" } else { "/" };
        Text::object(format!("{folder}{between}{}", name.trim_start_matches('/')))
    };
}

impl Default for Text {
    fn default() -> Self {
        Self::new(String::new())
    }
}

/// Where a sequence begins in another one: the first time, or the last; `anchored` is at the start, or at the end, only.
pub(super) fn position_of<T: PartialEq>(
    own: &[T],
    sought: &[T],
    anchored: bool,
    backwards: bool,
) -> Option<usize> {
    let is_at = |at: &usize| own[*at..].starts_with(sought);
    let last = own.len().checked_sub(sought.len()).filter(|_| !sought.is_empty())?;
    match (anchored, backwards) {
        (false, false) => (0..=last).find(is_at),
        (false, true) => (0..=last).rev().find(is_at),
        (true, false) => Some(0).filter(is_at),
        (true, true) => Some(last).filter(is_at),
    }
}

impl Text {
    /// A text.
    pub(crate) fn new(mut text: String) -> Self {
        let ascii = text.is_ascii();
        text.push('\0');
        Self { utf8: Some(text), ascii, units: OnceLock::new() }
    }

    /// An NSString.
    pub(crate) fn object(text: impl Into<String>) -> Strong<Self> {
        Strong::new(Self::new(text.into()))
    }

    pub(super) fn from_units(units: &[u16]) -> Self {
        String::from_utf16(units).map_or_else(
            |_| Self { utf8: None, ascii: false, units: OnceLock::from(Box::from(units)) },
            Self::new,
        )
    }

    /// The text, with lone surrogates replaced by U+FFFD.
    pub(crate) fn to_str(&self) -> Cow<'_, str> {
        match &self.utf8 {
            Some(text) => Cow::Borrowed(&text[..text.len() - 1]),
            None => Cow::Owned(String::from_utf16_lossy(self.units())),
        }
    }

    pub(super) fn units(&self) -> &[u16] {
        self.units.get_or_init(|| self.to_str().encode_utf16().collect())
    }

    fn from_c(text: *const c_char) -> Option<Self> {
        if text.is_null() {
            return None;
        }
        // SAFETY: the caller passed a C string.
        let text = unsafe { CStr::from_ptr(text) };
        Some(Self::new(text.to_str().ok()?.to_owned()))
    }

    fn from_c_in(text: *const c_char, encoding: usize) -> Option<Self> {
        if text.is_null() {
            return None;
        }
        // SAFETY: the caller passed a C string.
        let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
        Self::from_bytes(bytes.as_ptr().cast(), bytes.len(), encoding)
    }

    /// Copies the text and a NUL, if there is room and the encoding has all its characters.
    fn copy_c(&self, to: *mut c_char, room: usize, encoding: usize) -> bool {
        let suits = match TextEncoding::of(encoding) {
            Some(TextEncoding::Utf8) => true,
            Some(TextEncoding::Ascii) => self.ascii,
            _ => false,
        };
        let Some(text) = self.utf8.as_ref().filter(|text| suits && text.len() <= room) else {
            return false;
        };
        // SAFETY: the caller passed that much room.
        unsafe { to.cast::<u8>().copy_from(text.as_ptr(), text.len()) };
        true
    }

    /// The bytes in an encoding; UTF-16 begins with its byte order mark unless the encoding names an order.
    pub(super) fn data(&self, encoding: usize) -> Option<Strong<Bytes>> {
        const UTF16: usize = 10;
        let bytes = match TextEncoding::of(encoding)? {
            TextEncoding::Ascii if !self.ascii => return None,
            TextEncoding::Ascii | TextEncoding::Utf8 => {
                self.utf8.as_ref().map(|text| text.as_bytes()[..text.len() - 1].to_vec())?
            }
            TextEncoding::Utf16 { big_endian } => {
                let mark = (encoding == UTF16).then_some(0xfeff);
                let units = mark.into_iter().chain(self.units().iter().copied());
                let bytes =
                    |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
                units.flat_map(bytes).collect()
            }
        };
        Some(Bytes::object(&bytes))
    }

    /// Where a string begins in this one, in UTF-16 units; `NSNotFound` if it is not there.
    fn range_of(&self, other: &Object<Self>) -> NSRange {
        self.range_of_with(other, 0)
    }

    /// The same with `NSStringCompareOptions`.
    pub(super) fn range_of_with(&self, other: &Object<Self>, options: usize) -> NSRange {
        const ANY_CASE: usize = 1;
        const BACKWARDS: usize = 4;
        const ANCHORED: usize = 8;
        let units = |text: &Self| match options & ANY_CASE {
            0 => text.units().to_vec(),
            _ => text.folded(),
        };
        let (own, sought) = (units(self), units(other));
        let (anchored, backwards) = (options & ANCHORED != 0, options & BACKWARDS != 0);
        let found = position_of(&own, &sought, anchored, backwards);
        match found {
            Some(location) => NSRange { location, length: sought.len() },
            None => NSRange { location: isize::MAX as usize, length: 0 },
        }
    }

    /// The units in lower case. Each stays one unit, so that positions are those of the text.
    pub(super) fn folded(&self) -> Vec<u16> {
        let lower = |unit: &u16| {
            let mut lower = char::from_u32((*unit).into())?.to_lowercase();
            let first = lower.next().filter(|_| lower.len() == 0)?;
            u16::try_from(u32::from(first)).ok()
        };
        self.units().iter().map(|unit| lower(unit).unwrap_or(*unit)).collect()
    }

    pub(super) fn from_bytes(bytes: *const c_void, length: usize, encoding: usize) -> Option<Self> {
        // SAFETY: the caller passed that many bytes.
        let bytes: &[u8] = unsafe { slice(bytes.cast(), length) }?;
        match TextEncoding::of(encoding)? {
            TextEncoding::Ascii if !bytes.is_ascii() => None,
            TextEncoding::Ascii | TextEncoding::Utf8 => {
                Some(Self::new(std::str::from_utf8(bytes).ok()?.to_owned()))
            }
            TextEncoding::Utf16 { big_endian } => {
                let (pairs, []) = bytes.as_chunks::<2>() else { return None };
                let unit = |pair: &[u8; 2]| match big_endian {
                    true => u16::from_be_bytes(*pair),
                    false => u16::from_le_bytes(*pair),
                };
                Some(Self::from_units(&pairs.iter().map(unit).collect::<Vec<_>>()))
            }
        }
    }

    pub(super) fn from_characters(units: *const u16, length: usize) -> Option<Self> {
        // SAFETY: the caller passed that many units.
        unsafe { slice(units, length) }.map(Self::from_units)
    }

    fn from_format(format: &Object<Self>, list: *mut c_void) -> Self {
        // SAFETY: the caller passed a `va_list` with arguments of the types that the format names.
        unsafe { Variadic::passed(list, |list| Self::new(formatted(&format.to_str(), list))) }
    }

    /// An NSMutableString of the same text.
    fn changeable(&self) -> Strong<Self> {
        Strong::of_class(&NSMutableString, self.snapshot())
    }

    /// The string that a method keeps for one that was passed: itself, or of a mutable one a copy.
    fn unchanging(this: &Object<Self>) -> Strong<Self> {
        // SAFETY: a reference to an object keeps it alive.
        match std::ptr::eq(unsafe { class_of(this.id()) }, Self::class()) {
            true => this.retain(),
            false => Strong::new(this.snapshot()),
        }
    }

    /// The same text, whatever becomes of this one.
    pub(super) fn snapshot(&self) -> Self {
        Self { utf8: self.utf8.clone(), ascii: self.ascii, units: self.units.clone() }
    }

    /// Adds another text at the end.
    pub(super) fn push(&mut self, more: &Self) {
        match (&mut self.utf8, &more.utf8) {
            (Some(text), Some(more)) => {
                text.pop();
                text.push_str(more);
                self.units = OnceLock::new();
            }
            // Two lone surrogates may make a pair.
            _ => *self = Self::from_units(&[self.units(), more.units()].concat()),
        }
        self.ascii &= more.ascii;
    }

    fn from_string(other: &Object<Self>) -> Self {
        other.snapshot()
    }

    /// A C string that lives as long as the object; null if the text has a lone surrogate.
    fn utf8_string(&self) -> *const c_char {
        self.utf8.as_ref().map_or(std::ptr::null(), |text| text.as_ptr().cast())
    }

    pub(super) fn length(&self) -> usize {
        if self.ascii { self.to_str().len() } else { self.units().len() }
    }

    fn length_in(&self, encoding: usize) -> usize {
        match TextEncoding::of(encoding) {
            Some(TextEncoding::Ascii) if self.ascii => self.length(),
            Some(TextEncoding::Utf8) => self.utf8.as_ref().map_or(0, |text| text.len() - 1),
            Some(TextEncoding::Utf16 { .. }) => self.length() * 2,
            _ => 0,
        }
    }

    fn maximum_length_in(&self, encoding: usize) -> usize {
        match TextEncoding::of(encoding) {
            Some(TextEncoding::Ascii) => self.length(),
            // A unit takes up to three bytes; what takes four is two units.
            Some(TextEncoding::Utf8) => self.length() * 3,
            Some(TextEncoding::Utf16 { .. }) => self.length() * 2,
            None => 0,
        }
    }

    fn number_prefix(&self, belongs: impl Fn(char) -> bool) -> String {
        self.to_str().trim_start().chars().take_while(|c| belongs(*c)).collect()
    }

    /// The integer at the beginning of the text, clamped; 0 without one.
    fn integer_value(&self) -> i64 {
        let text = self.number_prefix(|c| c.is_ascii_digit() || c == '-' || c == '+');
        let negative = text.starts_with('-');
        let digits: String = text
            .strip_prefix(['-', '+'])
            .unwrap_or(&text)
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let value = digits.bytes().try_fold(0i64, |value, digit| {
            let digit = i64::from(digit - b'0');
            let value = value.checked_mul(10)?;
            if negative { value.checked_sub(digit) } else { value.checked_add(digit) }
        });
        value.unwrap_or(if negative { i64::MIN } else { i64::MAX })
    }

    fn int_value(&self) -> i32 {
        self.integer_value().clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }

    /// The longest prefix that is a number; 0 without one.
    fn double_value(&self) -> f64 {
        let text = self.number_prefix(|c| c.is_ascii_digit() || "+-.eE".contains(c));
        // Trying each prefix is quadratic, so only the beginning of a long text is read.
        let longest = text.len().min(400);
        (1..=longest).rev().find_map(|end| text[..end].parse().ok()).unwrap_or(0.0)
    }

    fn float_value(&self) -> f32 {
        self.double_value() as f32
    }

    /// Yes for a text that begins with Y, y, T, t or a digit other than 0, after zeros and a sign.
    fn bool_value(&self) -> bool {
        let text = self.to_str();
        let text = text.trim_start().trim_start_matches(['-', '+']).trim_start_matches('0');
        text.starts_with(['Y', 'y', 'T', 't', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    }

    fn is_equal_to(&self, other: Option<&Object<Self>>) -> bool {
        other.is_some_and(|other| self == &**other)
    }

    /// -1, 0 or 1 by UTF-16 units, as `NSLiteralSearch` has it.
    fn compare(&self, other: &Object<Self>) -> isize {
        self.units().cmp(other.units()) as isize
    }

    fn hash_value(&self) -> usize {
        let mut hasher = DefaultHasher::new();
        match &self.utf8 {
            Some(text) => text.hash(&mut hasher),
            None => self.units().hash(&mut hasher),
        }
        hasher.finish() as usize
    }

    fn has_prefix(&self, other: &Object<Self>) -> bool {
        !other.units().is_empty() && self.units().starts_with(other.units())
    }

    fn has_suffix(&self, other: &Object<Self>) -> bool {
        !other.units().is_empty() && self.units().ends_with(other.units())
    }

    fn contains(&self, other: &Object<Self>) -> bool {
        !other.units().is_empty() && self.to_str().contains(&*other.to_str())
    }

    fn uppercase(&self) -> Strong<Self> {
        Self::object(self.to_str().to_uppercase())
    }

    fn lowercase(&self) -> Strong<Self> {
        Self::object(self.to_str().to_lowercase())
    }

    pub(super) fn appending(&self, other: &Object<Self>) -> Strong<Self> {
        let mut text = self.snapshot();
        text.push(other);
        Strong::new(text)
    }
}

fn itself(this: This<'_, Text>) -> Strong<Text> {
    this.retain()
}

/// The units of a range that must be inside the string.
pub(super) fn units_in<'a>(this: &'a This<'_, Text>, range: NSRange) -> &'a [u16] {
    let end = range.location.checked_add(range.length);
    end.and_then(|end| this.units().get(range.location..end)).unwrap_or_else(|| {
        this.fault(format_args!(
            "range {{{}, {}}} out of bounds; string length {}",
            range.location,
            range.length,
            this.length()
        ))
    })
}

fn character_at_index(this: This<'_, Text>, index: usize) -> u16 {
    let ascii = this.utf8.as_ref().filter(|_| this.ascii);
    let unit = match ascii {
        Some(text) => text.as_bytes()[..text.len() - 1].get(index).map(|byte| u16::from(*byte)),
        None => this.units().get(index).copied(),
    };
    unit.unwrap_or_else(|| {
        this.fault(format_args!("index {index} out of bounds; string length {}", this.length()))
    })
}

fn get_characters(this: This<'_, Text>, buffer: *mut u16, range: NSRange) {
    let units = units_in(&this, range);
    // SAFETY: the caller passed a buffer that holds the range.
    unsafe { std::ptr::copy(units.as_ptr(), buffer, units.len()) }
}

fn substring_from(this: This<'_, Text>, index: usize) -> Strong<Text> {
    let length = this.length().saturating_sub(index);
    Strong::new(Text::from_units(units_in(&this, NSRange { location: index, length })))
}

fn substring_to(this: This<'_, Text>, index: usize) -> Strong<Text> {
    Strong::new(Text::from_units(units_in(&this, NSRange { location: 0, length: index })))
}

/// Compares UTF-8 where both have it, else the units.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        match (&self.utf8, &other.utf8) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.units() == other.units(),
            _ => false,
        }
    }
}

/// The items that a caller passed as an address and a length; none if the address is null and the length
/// is not 0, or if no memory can have that many.
///
/// # Safety
///
/// An address that is not null is that of `length` items.
pub(super) unsafe fn slice<'a, T>(items: *const T, length: usize) -> Option<&'a [T]> {
    match (length, items.is_null()) {
        (0, _) => Some(&[]),
        (_, true) => None,
        _ if length > isize::MAX as usize / size_of::<T>() => None,
        // SAFETY: the caller's.
        (_, false) => Some(unsafe { std::slice::from_raw_parts(items, length) }),
    }
}
