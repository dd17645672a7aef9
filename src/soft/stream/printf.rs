//! Formats the messages of `os_log`: what C's `printf` does (C17 7.21.6.1), with vectors (MSL 6.19) and without `%s` and `%n`.

/// An argument of a message: a number, or a vector of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument {
    /// The bytes of a component.
    pub(super) bytes: u32,
    pub(super) parts: Vec<Number>,
}

/// A number as it was passed, widened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f32),
}

/// A conversion specification.
#[derive(Clone, Copy, Debug, Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    other: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    /// How many bits its length modifier names; 0 for none.
    bits: u32,
    letter: u8,
}

/// Longer fields than this are cut, as a message is not a place for megabytes of spaces.
const WIDEST: usize = 1000;

/// The message of a format. A conversion that is unknown, or has no argument, stays as it is written.
pub(super) fn format(format: &str, arguments: &[Argument]) -> String {
    let mut arguments = arguments.iter();
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (conversion, length) = parse(rest.as_bytes(), &mut arguments);
        let spelled = &rest[..length];
        rest = &rest[length..];
        match conversion {
            Some(Conversion { letter: b'%', .. }) => text.push('%'),
            Some(conversion) => match arguments.next() {
                Some(argument) => {
                    let parts = argument.parts.iter();
                    let parts: Vec<String> =
                        parts.map(|part| conversion.apply(*part, argument.bytes)).collect();
                    text.push_str(&parts.join(","));
                }
                None => text.push_str(spelled),
            },
            None => text.push_str(spelled),
        }
    }
    text.push_str(rest);
    text
}

/// The conversion at the beginning of a text, and its length; the text's first byte is a percent sign.
fn parse<'a>(
    text: &[u8],
    arguments: &mut impl Iterator<Item = &'a Argument>,
) -> (Option<Conversion>, usize) {
    let mut at = 1;
    let mut found = Conversion::default();
    while let Some(flag) = text.get(at) {
        match flag {
            b'-' => found.left = true,
            b'+' => found.plus = true,
            b' ' => found.space = true,
            b'#' => found.other = true,
            b'0' => found.zero = true,
            _ => break,
        }
        at += 1;
    }
    let number = |at: &mut usize| {
        let from = *at;
        while text.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        let digits = std::str::from_utf8(&text[from..*at]).unwrap_or_default();
        digits.parse().unwrap_or(if digits.is_empty() { 0 } else { WIDEST }).min(WIDEST)
    };
    let mut passed = || arguments.next().and_then(|argument| argument.parts.first()?.signed());
    if text.get(at) == Some(&b'*') {
        at += 1;
        let width = passed().unwrap_or(0);
        found.left |= width < 0;
        found.width = (width.unsigned_abs() as usize).min(WIDEST);
    } else {
        found.width = number(&mut at);
    }
    if text.get(at) == Some(&b'.') {
        at += 1;
        found.precision = if text.get(at) == Some(&b'*') {
            at += 1;
            passed().and_then(|given| usize::try_from(given).ok()).map(|given| given.min(WIDEST))
        } else {
            Some(number(&mut at))
        };
    }
    // The number of components is the argument's own.
    if text.get(at) == Some(&b'v') {
        at += 1;
        number(&mut at);
    }
    const LENGTHS: [(&[u8], u32); 8] = [
        (b"hh", 8),
        (b"hl", 32),
        (b"h", 16),
        (b"ll", 64),
        (b"l", 64),
        (b"j", 64),
        (b"z", 64),
        (b"t", 64),
    ];
    if let Some((name, bits)) = LENGTHS.iter().find(|row| text[at..].starts_with(row.0)) {
        at += name.len();
        found.bits = *bits;
    }
    match text.get(at) {
        Some(letter) if b"diouxXcfFeEgGaAp%".contains(letter) => {
            found.letter = *letter;
            (Some(found), at + 1)
        }
        _ => (None, at),
    }
}

impl Number {
    fn signed(self) -> Option<i64> {
        match self {
            Self::Signed(value) => Some(value),
            Self::Unsigned(value) => Some(value as i64),
            Self::Float(_) => None,
        }
    }

    /// The bits as an integer; a float is truncated.
    fn bits(self) -> u64 {
        match self {
            Self::Signed(value) => value as u64,
            Self::Unsigned(value) => value,
            Self::Float(value) => value as i64 as u64,
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Signed(value) => value as f64,
            Self::Unsigned(value) => value as f64,
            Self::Float(value) => value.into(),
        }
    }
}

impl Conversion {
    fn apply(&self, number: Number, bytes: u32) -> String {
        match self.letter {
            b'd' | b'i' | b'o' | b'u' | b'x' | b'X' => self.integer(number, bytes),
            b'c' => self.padded("", &char::from(number.bits() as u8).to_string(), false),
            b'p' => self.padded("0x", &format!("{:x}", number.bits()), false),
            _ => self.float(number.float()),
        }
    }

    /// The sign of a number, as the flags want it.
    fn sign(&self, negative: bool) -> &'static str {
        match negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        }
    }

    fn integer(&self, number: Number, bytes: u32) -> String {
        // Numbers shorter than `int` are promoted to it, unless a length says that they were shorter.
        let bits = if self.bits == 0 { (8 * bytes).max(32) } else { self.bits };
        let value = number.bits() << (64 - bits);
        let signed = value as i64 >> (64 - bits);
        let (value, negative) = match self.letter {
            b'd' | b'i' => (signed.unsigned_abs(), signed < 0),
            _ => (value >> (64 - bits), false),
        };
        let mut digits = match self.letter {
            b'o' => format!("{value:o}"),
            b'x' => format!("{value:x}"),
            b'X' => format!("{value:X}"),
            _ => value.to_string(),
        };
        if value == 0 && self.precision == Some(0) {
            digits.clear();
        }
        if let Some(precision) = self.precision {
            digits.insert_str(0, &"0".repeat(precision.saturating_sub(digits.len())));
        }
        let prefix = match self.letter {
            b'd' | b'i' => self.sign(negative),
            b'x' if self.other && value != 0 => "0x",
            b'X' if self.other && value != 0 => "0X",
            b'o' if self.other && !digits.starts_with('0') => "0",
            _ => "",
        };
        self.padded(prefix, &digits, self.precision.is_none())
    }

    fn float(&self, value: f64) -> String {
        let sign = self.sign(value.is_sign_negative());
        let (absolute, precision) = (value.abs(), self.precision.unwrap_or(6));
        let upper = self.letter.is_ascii_uppercase();
        let cased = |text: String| if upper { text.to_ascii_uppercase() } else { text };
        if !absolute.is_finite() {
            let name = if absolute.is_nan() { "nan" } else { "inf" };
            return self.padded(sign, &cased(name.to_owned()), false);
        }
        let digits = match self.letter.to_ascii_lowercase() {
            b'f' => self.fixed(absolute, precision),
            b'e' => self.scientific(absolute, precision),
            b'a' => {
                let prefix = format!("{sign}{}", cased("0x".to_owned()));
                return self.padded(&prefix, &cased(self.hexadecimal(absolute)), true);
            }
            _ => self.general(absolute, precision.max(1)),
        };
        self.padded(sign, &cased(digits), true)
    }

    fn fixed(&self, value: f64, precision: usize) -> String {
        let point = if self.other && precision == 0 { "." } else { "" };
        format!("{value:.precision$}{point}")
    }

    fn scientific(&self, value: f64, precision: usize) -> String {
        let text = format!("{value:.precision$e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let point = if self.other && precision == 0 { "." } else { "" };
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}{point}e{sign}{:02}", exponent.unsigned_abs())
    }

    /// `%g`: as many significant digits as the precision says, without zeros at the end.
    fn general(&self, value: f64, precision: usize) -> String {
        let text = format!("{value:.0$e}", precision - 1);
        let exponent: i32 =
            text.split_once('e').and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
        let is_short = exponent >= -4 && exponent < precision as i32;
        let mut text = match is_short {
            true => self.fixed(value, (precision as i32 - 1 - exponent) as usize),
            false => self.scientific(value, precision - 1),
        };
        if !self.other {
            let end = text.find('e').unwrap_or(text.len());
            if text[..end].contains('.') {
                let kept = text[..end].trim_end_matches('0').trim_end_matches('.').len();
                text.replace_range(kept..end, "");
            }
        }
        text
    }

    /// `%a` without its prefix.
    fn hexadecimal(&self, value: f64) -> String {
        let bits = value.to_bits();
        let stored = (bits >> 52) as i32;
        let (mut lead, mut exponent) = match (stored, bits << 12) {
            (0, 0) => (0, 0),
            (0, _) => (0, -1022),
            _ => (1, stored - 1023),
        };
        let mut fraction = bits & ((1 << 52) - 1);
        if stored == 0 && fraction != 0 {
            // A `float` is never that small, but a value may be one of its subnormals times nothing else.
            let shift = fraction.leading_zeros() - 11;
            fraction = (fraction << shift) & ((1 << 52) - 1);
            (lead, exponent) = (1, exponent - shift as i32);
        }
        let digits = self.precision.unwrap_or(13).min(13);
        let dropped = 4 * (13 - digits);
        if dropped > 0 {
            let (kept, rest) = (fraction >> dropped, fraction & ((1 << dropped) - 1));
            let half = 1 << (dropped - 1);
            let is_odd = if digits == 0 { lead } else { kept & 1 } == 1;
            let rounded = kept + u64::from(rest > half || rest == half && is_odd);
            fraction = rounded << dropped;
            lead += fraction >> 52;
            fraction &= (1 << 52) - 1;
        }
        let mut text = format!("{fraction:013x}");
        text.truncate(digits);
        match self.precision {
            None => text.truncate(text.trim_end_matches('0').len()),
            Some(precision) => text.push_str(&"0".repeat(precision.saturating_sub(13))),
        }
        let point = if text.is_empty() && !self.other { "" } else { "." };
        format!("{lead}{point}{text}p{exponent:+}")
    }

    /// A field: a prefix, then digits, as wide as the conversion says.
    fn padded(&self, prefix: &str, digits: &str, may_have_zeros: bool) -> String {
        let missing = self.width.saturating_sub(prefix.len() + digits.chars().count());
        match (self.left, self.zero && may_have_zeros) {
            (true, _) => format!("{prefix}{digits}{}", " ".repeat(missing)),
            (false, true) => format!("{prefix}{}{digits}", "0".repeat(missing)),
            (false, false) => format!("{}{prefix}{digits}", " ".repeat(missing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::{CString, c_char, c_int};

    unsafe extern "C" {
        fn snprintf(to: *mut c_char, bytes: usize, format: *const c_char, ...) -> c_int;
    }

    fn one(bytes: u32, part: Number) -> [Argument; 1] {
        [Argument { bytes, parts: vec![part] }]
    }

    /// The text that C's library makes of a format and a number.
    macro_rules! c {
        ($format:expr, $value:expr) => {{
            let (format, mut text) = (CString::new($format).unwrap(), [0u8; 2000]);
            let (to, room, format) = (text.as_mut_ptr().cast(), text.len(), format.as_ptr());
            // SAFETY: the format takes one argument of the value's type.
            let length = unsafe { snprintf(to, room, format, $value) };
            String::from_utf8(text[..length as usize].to_vec()).unwrap()
        }};
    }

    const FLAGS: [&str; 9] = ["", "-", "+", " ", "#", "0", "-0", "+0", "#0"];
    const SIZES: [&str; 8] = ["", "12", ".0", ".1", ".5", "9.3", "30.17", "."];

    #[test]
    fn numbers_look_as_in_c() {
        let integers = [0, 1, -1, 7, -128, 255, 65535, 123_456, i32::MAX, i32::MIN];
        let floats = [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e-5,
            1.25e-4,
            9.9999,
            123_456.7,
            1e6,
            9.5e5,
            3e38,
            1e-45,
            f32::INFINITY,
            f32::NEG_INFINITY,
            2.5,
            0.5,
            1.0 / 3.0,
        ];
        for (flags, size) in FLAGS.iter().flat_map(|flags| SIZES.map(|size| (flags, size))) {
            for conversion in ["d", "i", "u", "x", "X", "o", "hhd", "hhu", "hd", "hx"] {
                let text = format!("%{flags}{size}{conversion}");
                for value in integers {
                    let own = format(&text, &one(4, Number::Signed(value.into())));
                    assert_eq!(own, c!(text.as_str(), value), "{text} of {value}");
                }
            }
            for conversion in ["lld", "llx"] {
                let text = format!("%{flags}{size}{conversion}");
                for value in [0, -1, i64::MIN, 1 << 40] {
                    let own = format(&text, &one(8, Number::Signed(value)));
                    assert_eq!(own, c!(text.as_str(), value), "{text} of {value}");
                }
            }
            for conversion in ["f", "F", "e", "E", "g", "G", "a", "A"] {
                let text = format!("%{flags}{size}{conversion}");
                for value in floats {
                    let own = format(&text, &one(4, Number::Float(value)));
                    assert_eq!(own, c!(text.as_str(), f64::from(value)), "{text} of {value}");
                }
            }
        }
    }

    #[test]
    fn vectors_have_commas_and_what_cannot_be_converted_stays() {
        let vector = |bytes, parts: &[Number]| Argument { bytes, parts: parts.to_vec() };
        let floats = vector(4, &[Number::Float(1.0), Number::Float(2.5)]);
        assert_eq!(format("<%v2f>", std::slice::from_ref(&floats)), "<1.000000,2.500000>");
        assert_eq!(format("%5.1v2hlf|", &[floats]), "  1.0,  2.5|");
        let bytes = vector(1, &[Number::Signed(-1), Number::Signed(2)]);
        assert_eq!(format("%v2hhx", &[bytes]), "ff,2");
        let long = &one(8, Number::Signed(-5));
        assert_eq!(format("%ld %d", &[long[0].clone(), long[0].clone()]), "-5 -5");
        assert_eq!(format("%d %d", long), "-5 %d");
        assert_eq!(format("100%% %s %n %", long), "100% %s %n %");
        assert_eq!(format("é%cü", &one(4, Number::Signed(65))), "éAü");
        let star =
            [one(4, Number::Signed(-6)), one(4, Number::Signed(2)), one(4, Number::Float(0.5))];
        assert_eq!(format("%*.*f|", &star.concat()), "0.50  |");
        assert_eq!(format("%p", &one(8, Number::Unsigned(255))), "0xff");
        assert_eq!(format("%99999999d", long).len(), WIDEST);
        assert_eq!(
            format("%d %f", &[one(4, Number::Float(2.9)), one(4, Number::Signed(3))].concat()),
            "2 3.000000"
        );
    }
}
