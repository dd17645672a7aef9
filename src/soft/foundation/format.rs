//! Formats: texts with arguments in them, for `stringWithFormat:` and its like.
//!
//! The conversions of `printf` are passed on to the C library; those of objects and strings are made here. Of C's types only
//! `long double` is not read: its conversions are those of `double`.

use super::array::text_of;
use super::variadic::{Variadic, variadic};
use super::{Text, mutable_string};
use crate::abi::Id;
use crate::soft::runtime::object::{Object, Retained, Strong};
use crate::soft::runtime::pool;
use crate::soft::runtime::selector::known;
use crate::soft::runtime::send::{send, send_with};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::iter::Peekable;
use std::str::Chars;

/// A width or a precision.
#[derive(Clone, Copy)]
enum Size {
    /// It is not there.
    Absent,
    Fixed(i32),
    /// The argument of this index.
    Argument(usize),
}

/// A conversion: `%-5.2lf`, for example.
struct Conversion {
    flags: String,
    width: Size,
    precision: Size,
    /// The bytes of an integer.
    bytes: u32,
    kind: char,
    /// The index of its argument.
    argument: usize,
}

enum Part {
    Text(String),
    Conversion(Conversion),
}

/// A format, and for each of its arguments whether it is a floating-point number.
#[derive(Default)]
struct Format {
    parts: Vec<Part>,
    floats: Vec<bool>,
    /// The arguments that conversions without a number have used.
    used: usize,
}

/// The most arguments that a format may name.
const ARGUMENTS: usize = 1000;

/// The widest field, so that a wrong argument does not fill the memory.
const WIDEST: i32 = 1 << 20;

/// The text of a format and its arguments.
///
/// # Safety
///
/// The arguments are of the types that the format names.
pub(super) unsafe fn formatted(format: &str, list: &mut Variadic) -> String {
    let format = Format::parse(format);
    // SAFETY: the caller's.
    let read = |float: &bool| unsafe { if *float { list.double().to_bits() } else { list.word() } };
    let arguments: Vec<u64> = format.floats.iter().map(read).collect();
    let mut out = String::new();
    for part in &format.parts {
        match part {
            Part::Text(text) => out.push_str(text),
            // SAFETY: the caller's.
            Part::Conversion(conversion) => out.push_str(&unsafe { conversion.text(&arguments) }),
        }
    }
    out
}

impl Format {
    fn parse(text: &str) -> Self {
        let mut format = Self::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            format.literal(before);
            let mut chars = after.chars().peekable();
            if let Some(conversion) = format.conversion(&mut chars) {
                format.parts.push(Part::Conversion(conversion));
            }
            rest = &after[after.len() - chars.map(char::len_utf8).sum::<usize>()..];
        }
        format.literal(rest);
        format
    }

    fn literal(&mut self, text: &str) {
        if !text.is_empty() {
            self.parts.push(Part::Text(text.to_owned()));
        }
    }

    /// The conversion after a percent sign; none for `%%`, and for text that is not a conversion.
    fn conversion(&mut self, chars: &mut Peekable<Chars<'_>>) -> Option<Conversion> {
        let mut position = None;
        let mut ahead = chars.clone();
        if let Some(number) = number(&mut ahead).filter(|_| ahead.next() == Some('$')) {
            position = Some(number as usize);
            *chars = ahead;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.next_if(|c| "-+ #0'".contains(*c)) {
            flags.push(flag);
        }
        let width = self.size(chars);
        let precision = match chars.next_if_eq(&'.') {
            Some(_) => match self.size(chars) {
                Size::Absent => Size::Fixed(0),
                size => size,
            },
            None => Size::Absent,
        };
        let mut bytes = 4;
        while let Some(length) = chars.next_if(|c| "hlqjztL".contains(*c)) {
            bytes = if length == 'h' { (bytes / 2).max(1) } else { 8 };
        }
        let kind = match chars.next()? {
            // A long, and as the others.
            wide @ ('D' | 'U' | 'O') => {
                bytes = 8;
                wide.to_ascii_lowercase()
            }
            kind => kind,
        };
        match kind {
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' | 'c' | 'C' | 's' | 'S' | '@' | 'p' | 'n' => {
                let argument = self.argument(position, false)?;
                Some(Conversion { flags, width, precision, bytes, kind, argument })
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'a' | 'A' => {
                let argument = self.argument(position, true)?;
                Some(Conversion { flags, width, precision, bytes, kind, argument })
            }
            other => {
                self.literal(other.encode_utf8(&mut [0; 4]));
                None
            }
        }
    }

    /// The index of the next argument, or of the one with a number, counted from 1.
    fn argument(&mut self, position: Option<usize>, float: bool) -> Option<usize> {
        let index = match position {
            Some(position) => position.checked_sub(1)?,
            None => self.used,
        };
        if index >= ARGUMENTS {
            return None;
        }
        self.used += usize::from(position.is_none());
        if self.floats.len() <= index {
            self.floats.resize(index + 1, false);
        }
        self.floats[index] |= float;
        Some(index)
    }

    fn size(&mut self, chars: &mut Peekable<Chars<'_>>) -> Size {
        if chars.next_if_eq(&'*').is_none() {
            return number(chars).map_or(Size::Absent, Size::Fixed);
        }
        let mut ahead = chars.clone();
        let position = number(&mut ahead).filter(|_| ahead.next() == Some('$'));
        if position.is_some() {
            *chars = ahead;
        }
        let position = position.map(|position| position as usize);
        self.argument(position, false).map_or(Size::Absent, Size::Argument)
    }
}

/// The digits that come next, as a number.
fn number(chars: &mut Peekable<Chars<'_>>) -> Option<i32> {
    let mut number = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        number = Some((number.unwrap_or(0) * 10 + digit as i32).min(WIDEST));
        chars.next();
    }
    number
}

impl Conversion {
    /// # Safety
    ///
    /// The argument is of the type that the conversion names.
    unsafe fn text(&self, arguments: &[u64]) -> String {
        let value = arguments[self.argument];
        let size = |size| match size {
            Size::Absent => None,
            Size::Fixed(size) => Some(size),
            Size::Argument(index) => Some((arguments[index] as i32).clamp(-WIDEST, WIDEST)),
        };
        let (width, precision) =
            (size(self.width).unwrap_or(0), size(self.precision).unwrap_or(-1));
        let address = std::ptr::with_exposed_provenance::<c_void>(value as usize);
        let text = match self.kind {
            'd' | 'i' => {
                let shift = 64 - 8 * self.bytes;
                return self.printed("ll", width, precision, |buffer, room, format| {
                    // SAFETY: the format takes two sizes and this type.
                    unsafe {
                        snprintf(
                            buffer,
                            room,
                            format,
                            width,
                            precision,
                            (value << shift) as i64 >> shift,
                        )
                    }
                });
            }
            'u' | 'x' | 'X' | 'o' => {
                let shift = 64 - 8 * self.bytes;
                return self.printed("ll", width, precision, |buffer, room, format| {
                    // SAFETY: as above.
                    unsafe {
                        snprintf(buffer, room, format, width, precision, value << shift >> shift)
                    }
                });
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'a' | 'A' => {
                return self.printed("", width, precision, |buffer, room, format| {
                    // SAFETY: as above.
                    unsafe {
                        snprintf(buffer, room, format, width, precision, f64::from_bits(value))
                    }
                });
            }
            'c' => char::from(value as u8).to_string(),
            'C' => String::from_utf16_lossy(&[value as u16]),
            'p' => format!("0x{value:x}"),
            '@' => {
                // SAFETY: the caller's: an object or nil.
                let object = unsafe { Retained::retain(Id::from_ptr(address.cast_mut())) };
                object.as_ref().map_or_else(|| "(null)".to_owned(), text_of)
            }
            's' | 'S' if address.is_null() => "(null)".to_owned(),
            // SAFETY: the caller's: C strings, which need no end if the precision says where it is.
            's' => unsafe { bytes_of(address.cast(), precision) },
            // SAFETY: as above.
            'S' => unsafe { units_of(address.cast()) },
            // `n` stores nothing.
            _ => String::new(),
        };
        let text: String = match usize::try_from(precision) {
            Ok(most) if self.kind != 'p' => text.chars().take(most).collect(),
            _ => text,
        };
        let wide = width.unsigned_abs() as usize;
        if width < 0 || self.flags.contains('-') {
            format!("{text:<wide$}")
        } else {
            format!("{text:>wide$}")
        }
    }

    /// The text that the C library prints, with a width and a precision before the value.
    fn printed(
        &self,
        length: &str,
        width: i32,
        precision: i32,
        print: impl Fn(*mut c_char, usize, *const c_char) -> c_int,
    ) -> String {
        let format = format!("%{}*.*{length}{}", self.flags, self.kind);
        let format = CString::new(format).expect("a conversion has no NUL");
        // The largest number has 309 digits before the point.
        let room = 400 + width.unsigned_abs() as usize + precision.max(0) as usize;
        let mut buffer = vec![0u8; room];
        let length = print(buffer.as_mut_ptr().cast(), room, format.as_ptr());
        buffer.truncate(usize::try_from(length).unwrap_or(0).min(room - 1));
        String::from_utf8_lossy(&buffer).into_owned()
    }
}

/// # Safety
///
/// It is the address of a C string, or of as many bytes as the precision says.
unsafe fn bytes_of(text: *const c_char, precision: i32) -> String {
    unsafe extern "C" {
        fn strnlen(text: *const c_char, most: usize) -> usize;
    }
    // SAFETY: the caller's.
    let bytes = unsafe {
        match usize::try_from(precision) {
            Ok(most) => std::slice::from_raw_parts(text.cast(), strnlen(text, most)),
            Err(_) => CStr::from_ptr(text).to_bytes(),
        }
    };
    String::from_utf8_lossy(bytes).into_owned()
}

/// # Safety
///
/// It is the address of units with a zero at their end.
unsafe fn units_of(text: *const u16) -> String {
    // SAFETY: the caller's.
    let units = (0..).map(|nth| unsafe { *text.add(nth) }).take_while(|unit| *unit != 0);
    String::from_utf16_lossy(&units.collect::<Vec<_>>())
}

variadic! {
    string_with_format calls make, named 3;
    init_with_format calls init, named 3;
    string_by_appending_format calls append_to_copy, named 3;
    append_format calls append, named 3;
}

/// The text of a format, which is the next argument, and the arguments after it.
///
/// # Safety
///
/// The arguments are of the types that the format names.
pub(super) unsafe fn text_of_format(list: &mut Variadic) -> Strong<Text> {
    // SAFETY: the caller's.
    unsafe {
        let format = Object::<Text>::from_id(list.object());
        let format = format.map(|format| format.to_str().into_owned()).unwrap_or_default();
        Text::object(formatted(&format, list))
    }
}

/// The receiver, and the text of the format that follows the selector.
///
/// # Safety
///
/// As above.
unsafe fn receiver_and_text(list: &mut Variadic) -> (Id, Strong<Text>) {
    // SAFETY: the caller's.
    unsafe {
        let (receiver, _selector) = (list.object(), list.word());
        (receiver, text_of_format(list))
    }
}

/// `+[NSString stringWithFormat:]`.
unsafe extern "C-unwind" fn make(list: &mut Variadic) -> Id {
    // SAFETY: the message's arguments. A class responds to `alloc`, and what that makes to `initWithString:`.
    unsafe {
        let (class, text) = receiver_and_text(list);
        let new: Id = send(class, known::alloc());
        pool::autorelease(send_with(new, known::init_with_string(), text.id()))
    }
}

/// `-[NSString initWithFormat:]`.
unsafe extern "C-unwind" fn init(list: &mut Variadic) -> Id {
    // SAFETY: the message's arguments; the receiver has been allocated.
    unsafe {
        let (new, text) = receiver_and_text(list);
        send_with(new, known::init_with_string(), text.id())
    }
}

/// `-[NSString stringByAppendingFormat:]`.
unsafe extern "C-unwind" fn append_to_copy(list: &mut Variadic) -> Id {
    // SAFETY: the message's arguments; the receiver is a string.
    unsafe {
        let (own, text) = receiver_and_text(list);
        let own = Object::<Text>::from_id(own).expect("a string");
        pool::autorelease(own.appending(&text).into_retained().into_owned())
    }
}

/// `-[NSMutableString appendFormat:]`.
unsafe extern "C-unwind" fn append(list: &mut Variadic) {
    // SAFETY: the message's arguments; the receiver is a mutable string.
    unsafe {
        let (own, text) = receiver_and_text(list);
        mutable_string::append(Object::<Text>::from_id(own).expect("a string"), &text);
    }
}

unsafe extern "C" {
    fn snprintf(buffer: *mut c_char, room: usize, format: *const c_char, ...) -> c_int;
}
