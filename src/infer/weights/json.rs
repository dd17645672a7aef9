//! A reader for JSON: the headers of safetensors files and the configurations of models.

use super::format::{About, invalid};
use crate::infer::Error;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file, in bytes.
const LIMIT: u64 = 256 << 20;

/// The maximum depth of nested arrays and objects.
const DEPTH: usize = 64;

/// A JSON value.
///
/// ```
/// use aruminium::infer::weights::Json;
/// let json = Json::parse(br#"{"hidden_size": 4096, "rope": {"theta": 1e4}, "names": ["a", "\u00e9"]}"#)?;
/// assert_eq!(json["hidden_size"].as_u64(), Some(4096));
/// assert_eq!(json["rope"]["theta"].as_f64(), Some(10000.0));
/// assert_eq!(json["names"].as_array().and_then(|names| names[1].as_str()), Some("é"));
/// assert!(json["missing"]["too"].is_null());
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent, of up to 64 bits and a sign.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object. Its names are unique.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads one value, which only white space may follow.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if it is not JSON, repeats a name of an object, or is nested more than 64 deep.
    ///
    /// ```
    /// use aruminium::infer::weights::Json;
    /// assert_eq!(Json::parse(b" [1, -2.5, null] ")?, Json::Array(vec![Json::Integer(1), Json::Float(-2.5), Json::Null]));
    /// assert_eq!(Json::parse(b"[1,]").unwrap_err().to_string(), "byte 3: a value was expected");
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(text)
            .map_err(|error| invalid(error.valid_up_to() as u64, "not UTF-8"))?;
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.space();
        match parser.at == text.len() {
            true => Ok(value),
            false => Err(parser.error("more text after the value")),
        }
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text))
            .about(path)?;
        match text.len() as u64 > LIMIT {
            true => Err(invalid(LIMIT, "the file is too long")),
            false => Self::parse(&text),
        }
        .about(path)
    }

    /// The member of an object.
    ///
    /// ```
    /// use aruminium::infer::weights::Json;
    /// assert_eq!(Json::parse(br#"{"a": 1}"#)?.get("a"), Some(&Json::Integer(1)));
    /// assert_eq!(Json::Null.get("a"), None);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// Whether it is `null`.
    ///
    /// ```
    /// assert!(aruminium::infer::weights::Json::Null.is_null());
    /// ```
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A boolean.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Json::Bool(true).as_bool(), Some(true));
    /// ```
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    ///
    /// ```
    /// use aruminium::infer::weights::Json;
    /// assert_eq!((Json::Integer(7).as_u64(), Json::Integer(-7).as_u64()), (Some(7), None));
    /// ```
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Integer(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A number.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Json::Integer(7).as_f64(), Some(7.0));
    /// ```
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A string.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Json::String("a".into()).as_str(), Some("a"));
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// The values of an array.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Json::Array(vec![]).as_array(), Some(&[][..]));
    /// ```
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The members of an object.
    ///
    /// ```
    /// assert_eq!(aruminium::infer::weights::Json::Null.as_object(), None);
    /// ```
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Writes the string as JSON.
    pub(super) fn quote(text: &str) -> String {
        let mut quoted = String::with_capacity(text.len() + 2);
        quoted.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        quoted
    }
}

/// Returns `null` for a member that does not exist.
impl std::ops::Index<&str> for Json {
    type Output = Self;

    fn index(&self, name: &str) -> &Self {
        self.get(name).unwrap_or(&Self::Null)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, message: impl std::fmt::Display) -> Error {
        invalid(self.at as u64, message)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips white space, and then this text if it comes next.
    fn eat(&mut self, text: &str) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), Error> {
        match self.eat(text) {
            true => Ok(()),
            false => Err(self.error(format!("{text:?} was expected"))),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, Error> {
        if depth > DEPTH {
            return Err(self.error(format!("nested more than {DEPTH} deep")));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => {
                let mut values = Vec::new();
                self.list("]", |parser| {
                    values.push(parser.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Json::Array(values))
            }
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.eat("null") => Ok(Json::Null),
            _ if self.eat("true") => Ok(Json::Bool(true)),
            _ if self.eat("false") => Ok(Json::Bool(false)),
            _ => Err(self.error("a value was expected")),
        }
    }

    /// Reads elements, from an opening bracket to the closing one.
    fn list(
        &mut self,
        close: &str,
        mut element: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.at += 1;
        if self.eat(close) {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.eat(close) {
                return Ok(());
            }
            self.expect(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Error> {
        let mut members = BTreeMap::new();
        self.list("}", |parser| {
            parser.space();
            let start = parser.at;
            let name = parser.string()?;
            parser.expect(":")?;
            let value = parser.value(depth + 1)?;
            if members.contains_key(&name) {
                return Err(invalid(start as u64, format!("{name:?} is repeated")));
            }
            members.insert(name, value);
            Ok(())
        })?;
        Ok(Json::Object(members))
    }

    fn string(&mut self) -> Result<String, Error> {
        self.expect("\"")?;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|c| matches!(c, '"' | '\\' | '\0'..' '))
                .ok_or_else(|| self.error("the string does not end"))?;
            string.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Ok(string),
                b'\\' => string.push(self.escape()?),
                _ => {
                    self.at -= 1;
                    return Err(self.error("a control character within a string"));
                }
            }
        }
    }

    /// The character of an escape sequence, after its backslash.
    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at - 1;
        let kind = self.peek().unwrap_or(0);
        self.at += usize::from(kind.is_ascii());
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let invalid = || invalid(start as u64, "not a character");
                let mut units = vec![self.unit().ok_or_else(invalid)?];
                // The first half of a surrogate pair.
                if (0xd800..0xdc00).contains(&units[0]) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    units.push(self.unit().ok_or_else(invalid)?);
                }
                match char::decode_utf16(units).collect::<Result<Vec<_>, _>>().as_deref() {
                    Ok(&[c]) => c,
                    _ => return Err(invalid()),
                }
            }
            _ => return Err(invalid(start as u64, "an unknown escape sequence")),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u16::from_str_radix(digits, 16).ok())?
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.error("a digit was expected")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Json, Error> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.at;
        self.digits()?;
        if self.at - first > 1 && self.text.as_bytes()[first] == b'0' {
            return Err(invalid(first as u64, "a number that begins with 0"));
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            (whole, self.at) = (false, self.at + 1);
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            (whole, self.at) = (false, self.at + 1);
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if whole
            && let Ok(value) = text.parse::<i128>()
            && value.unsigned_abs() <= u128::from(u64::MAX)
        {
            return Ok(Json::Integer(value));
        }
        // The grammar above is a part of Rust's.
        text.parse().map(Json::Float).map_err(|_| self.error("not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn values_of_every_kind() {
        let text =
            br#" { "a" : [ 1 , -0.5e+2, 18446744073709551615, -18446744073709551616, 1e400 ],
            "b\u0041\n\ud83d\ude00" : { "c" : [ ] , "d" : { } }, "e" : [true, false, null] } "#;
        let json = Json::parse(text).expect("valid");
        let numbers = json["a"].as_array().expect("an array");
        assert_eq!(numbers[0], Json::Integer(1));
        assert_eq!(numbers[1], Json::Float(-50.0));
        assert_eq!(numbers[2].as_u64(), Some(u64::MAX));
        assert_eq!(numbers[3], Json::Float(-18446744073709551616.0));
        assert_eq!(numbers[4], Json::Float(f64::INFINITY));
        assert_eq!(json["bA\n😀"]["c"], Json::Array(vec![]));
        assert_eq!(json["e"].as_array().map(<[Json]>::len), Some(3));
    }

    #[test]
    fn invalid_text_is_an_error_with_its_offset() {
        for (text, error) in [
            ("", "byte 0: a value was expected"),
            ("[1 2]", "byte 3: \",\" was expected"),
            ("{\"a\" 1}", "byte 5: \":\" was expected"),
            ("{\"a\": 1, \"a\": 2}", "byte 9: \"a\" is repeated"),
            ("\"abc", "byte 1: the string does not end"),
            ("\"a\nc\"", "byte 2: a control character within a string"),
            ("\"\\x\"", "byte 1: an unknown escape sequence"),
            ("\"\\ud800\"", "byte 1: not a character"),
            ("\"\\u+123\"", "byte 1: not a character"),
            ("\"\\u12é\"", "byte 1: not a character"),
            ("\"\\", "byte 1: an unknown escape sequence"),
            ("01", "byte 0: a number that begins with 0"),
            ("00.5", "byte 0: a number that begins with 0"),
            ("-", "byte 1: a digit was expected"),
            ("1.", "byte 2: a digit was expected"),
            ("1e", "byte 2: a digit was expected"),
            ("nul", "byte 0: a value was expected"),
            ("1 1", "byte 2: more text after the value"),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap_err().to_string(), error, "{text}");
        }
        assert!(Json::parse(b"\"\xff\"").unwrap_err().to_string().contains("byte 1: not UTF-8"));
        assert!(Json::parse(&b"[".repeat(100_000)).unwrap_err().to_string().contains("64 deep"));
    }

    #[test]
    fn strings_are_quoted_so_that_they_are_read_back() {
        for text in ["", "plain", "\"\\/\n\u{1}\u{7f}é😀"] {
            let quoted = Json::quote(text);
            assert_eq!(Json::parse(quoted.as_bytes()).expect("valid").as_str(), Some(text));
        }
    }
}
