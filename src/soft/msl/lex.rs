//! Lexing: turns text into preprocessing tokens (C++14 lex), and evaluates literals (MSL 2.1).

use super::diagnostics::Diagnostics;
use super::names::{Name, Names};
use super::source::Span;

/// Declares the punctuators and the search by spelling.
macro_rules! punctuators {
    ($($id:ident $text:literal)*) => {
        /// A punctuator of C++14 lex.operators.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(crate) enum Punct { $($id),* }
        impl Punct {
            pub(crate) fn text(self) -> &'static str {
                match self { $(Punct::$id => $text),* }
            }
            /// The punctuator with this key.
            #[allow(non_upper_case_globals)] // The keys have the names of the variants.
            fn find(key: u32) -> Option<Punct> {
                $(const $id: u32 = spelled($text.as_bytes());)*
                match key { $($id => Some(Punct::$id),)* _ => None }
            }
        }
    };
}

/// A spelling of up to three bytes as one number, with the length in the highest byte.
const fn spelled(text: &[u8]) -> u32 {
    match *text {
        [a] => a as u32 | 1 << 24,
        [a, b] => a as u32 | (b as u32) << 8 | 2 << 24,
        [a, b, c] => a as u32 | (b as u32) << 8 | (c as u32) << 16 | 3 << 24,
        _ => 0,
    }
}

punctuators! {
    LParen "(" RParen ")" LBracket "[" RBracket "]" LBrace "{" RBrace "}"
    Semi ";" Comma "," Colon ":" Scope "::" Question "?" Dot "." Arrow "->" Ellipsis "..."
    DotStar ".*" ArrowStar "->*"
    Plus "+" Minus "-" Star "*" Slash "/" Percent "%" Amp "&" Pipe "|" Caret "^" Tilde "~" Not "!"
    Assign "=" Less "<" Greater ">" LessEq "<=" GreaterEq ">=" EqEq "==" NotEq "!="
    Shl "<<" Shr ">>" AndAnd "&&" OrOr "||" Inc "++" Dec "--"
    PlusEq "+=" MinusEq "-=" StarEq "*=" SlashEq "/=" PercentEq "%=" AmpEq "&=" PipeEq "|="
    CaretEq "^=" ShlEq "<<=" ShrEq ">>=" Hash "#" HashHash "##"
}

/// The kind of a token. The spelling of a name, number or literal is in [`Token::name`].
#[derive(Clone, Copy, Eq, Debug)]
pub(crate) enum Kind {
    Ident,
    Number,
    Char,
    Str,
    Punct(Punct),
    /// A character that begins no token.
    Stray,
    Eof,
}

impl Kind {
    const fn number(self) -> u32 {
        match self {
            Kind::Ident => 1,
            Kind::Number => 2,
            Kind::Char => 3,
            Kind::Str => 4,
            Kind::Stray => 5,
            Kind::Eof => 6,
            Kind::Punct(punct) => 16 + punct as u32,
        }
    }
}

/// Kinds are compared several times for each token, and this is shorter than what `derive` makes in a debug build.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

/// A token of the preprocessor and of the parser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) name: Name,
    pub(crate) span: Span,
}

/// The first token of its line.
pub(crate) const LINE_START: u8 = 1;
/// It has white space before it.
pub(crate) const SPACE: u8 = 2;
/// A macro's name that must not be expanded again (C++14 cpp.rescan/2).
pub(crate) const PAINTED: u8 = 4;
/// The first half of a `>>` that was split, so that a template argument list can end at either half.
pub(crate) const JOINED: u8 = 8;

impl Token {
    pub(crate) fn is(&self, punct: Punct) -> bool {
        matches!(self.kind, Kind::Punct(found) if found as u8 == punct as u8)
    }

    /// Whether this is a certain identifier or keyword.
    pub(crate) fn is_name(&self, name: Name) -> bool {
        matches!(self.kind, Kind::Ident) && self.name.number() == name.number()
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn eof(at: u32) -> Token {
        Token { kind: Kind::Eof, flags: LINE_START, name: Name::EMPTY, span: Span::new(at, at) }
    }

    pub(crate) fn spelling<'a>(&self, names: &'a Names) -> &'a str {
        match self.kind {
            Kind::Punct(punct) if self.name == Name::EMPTY => punct.text(),
            // `and` and its like keep their spelling, for `#` and `##`.
            _ => names.text(self.name),
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    base: u32,
    /// Whether the current token has a line splice in it.
    spliced: bool,
    diagnostics: &'a mut Diagnostics,
}

/// The operators that are written as words, in the order of their numbers.
const ALTERNATIVES: [(Name, Punct); 11] = [
    (Name::AND, Punct::AndAnd),
    (Name::AND_EQ, Punct::AmpEq),
    (Name::BITAND, Punct::Amp),
    (Name::BITOR, Punct::Pipe),
    (Name::COMPL, Punct::Tilde),
    (Name::NOT, Punct::Not),
    (Name::NOT_EQ, Punct::NotEq),
    (Name::OR, Punct::OrOr),
    (Name::OR_EQ, Punct::PipeEq),
    (Name::XOR, Punct::Caret),
    (Name::XOR_EQ, Punct::CaretEq),
];
const _: () = {
    let mut at = 0;
    while at < ALTERNATIVES.len() {
        assert!(ALTERNATIVES[at].0.number() == Name::AND.number() + at as u32);
        at += 1;
    }
};

/// The bytes of identifiers.
const IN_IDENTIFIERS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'$');
        byte += 1;
    }
    table
};

/// All tokens of a text that begins at offset `base`, without an end-of-file token.
pub(crate) fn lex(
    text: &str,
    base: u32,
    names: &mut Names,
    diagnostics: &mut Diagnostics,
) -> Vec<Token> {
    // Some editors begin files with a byte order mark.
    let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at, base, spliced: false, diagnostics };
    let mut tokens = Vec::with_capacity(text.len() / 4);
    let mut flags = LINE_START;
    loop {
        flags |= lexer.skip_space();
        if lexer.at >= text.len() {
            return tokens;
        }
        let start = lexer.at;
        lexer.spliced = false;
        let mut kind = lexer.token();
        let span = Span::new(base + start as u32, base + lexer.at as u32);
        let name = match kind {
            Kind::Punct(_) => Name::EMPTY,
            // A spliced name is one name (C++14 [lex.phases]/2).
            _ if lexer.spliced => names.intern(&text[start..lexer.at].replace("\\\n", "")),
            _ => names.intern(&text[start..lexer.at]),
        };
        if let Kind::Ident = kind
            && let Some(word) = name.alternative()
        {
            kind = Kind::Punct(ALTERNATIVES[word].1);
        }
        tokens.push(Token { kind, flags, name, span });
        flags = 0;
    }
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        let (bytes, at) = (self.bytes, self.at + ahead);
        if at < bytes.len() { bytes[at] } else { 0 }
    }

    /// The length of a line splice here: a backslash, and the end of its line.
    fn splice(&self) -> usize {
        match (self.peek(0), self.peek(1), self.peek(2)) {
            (b'\\', b'\n', _) => 2,
            (b'\\', b'\r', b'\n') => 3,
            _ => 0,
        }
    }

    /// Skips white space and comments; returns the flags of the next token.
    fn skip_space(&mut self) -> u8 {
        let mut flags = 0;
        loop {
            match self.peek(0) {
                b'\n' => flags |= LINE_START | SPACE,
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => flags |= SPACE,
                b'\\' if self.splice() > 0 => {
                    self.at += self.splice() - 1;
                    flags |= SPACE;
                }
                b'/' if self.peek(1) == b'/' => {
                    flags |= SPACE;
                    let bytes = self.bytes;
                    while self.at < bytes.len() && bytes[self.at] != b'\n' {
                        self.at += if bytes[self.at] == b'\\' { self.splice().max(1) } else { 1 };
                    }
                    continue;
                }
                b'/' if self.peek(1) == b'*' => {
                    flags |= SPACE;
                    match self.text[self.at + 2..].find("*/") {
                        Some(length) => self.at += length + 4,
                        None => {
                            let at = self.base + self.at as u32;
                            self.diagnostics
                                .error(Span::new(at, at + 2), "unterminated /* comment");
                            self.at = self.bytes.len();
                        }
                    }
                    continue;
                }
                _ => return flags,
            }
            self.at += 1;
        }
    }

    fn token(&mut self) -> Kind {
        let first = self.peek(0);
        match first {
            b'R' if self.peek(1) == b'"' && self.raw_string() => Kind::Str,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => {
                self.identifier();
                Kind::Ident
            }
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            b'"' => self.quoted(b'"', Kind::Str),
            b'\'' => self.quoted(b'\'', Kind::Char),
            _ => self.punctuator(),
        }
    }

    fn identifier(&mut self) {
        let (bytes, mut at) = (self.bytes, self.at);
        loop {
            while at < bytes.len() && IN_IDENTIFIERS[bytes[at] as usize] {
                at += 1;
            }
            self.at = at;
            if self.splice() != 2 || !IN_IDENTIFIERS[self.peek(2) as usize] {
                return;
            }
            self.spliced = true;
            at += 2;
        }
    }

    /// pp-number (C++14 lex.ppnumber): also what is not a literal, such as `1.2.3`.
    fn number(&mut self) -> Kind {
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'e' | b'E' | b'p' | b'P', b'+' | b'-') => self.at += 2,
                (b'\'', next) if next.is_ascii_alphanumeric() => self.at += 2,
                (byte, _) if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' => {
                    self.at += 1;
                }
                _ => return Kind::Number,
            }
        }
    }

    fn quoted(&mut self, quote: u8, kind: Kind) -> Kind {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                byte if byte == quote => {
                    self.at += 1;
                    return kind;
                }
                b'\\' if self.at + 1 < self.bytes.len() => {
                    self.spliced |= self.peek(1) == b'\n';
                    self.at += 1 + self.char_length(1);
                }
                b'\n' | 0 => {
                    // An apostrophe in skipped text (`#if 0`) is not an error: reported later, if the token is used.
                    self.at = start + 1;
                    return Kind::Stray;
                }
                _ => self.at += self.char_length(0),
            }
        }
    }

    /// `R"delimiter(text)delimiter"` (C++14 lex.string), if it ends.
    fn raw_string(&mut self) -> bool {
        let rest = &self.text[self.at + 2..];
        let Some((delimiter, text)) = rest.split_once('(') else { return false };
        // At most 16 characters, none of them a space, a parenthesis or a backslash.
        let odd = |c: char| c.is_whitespace() || matches!(c, ')' | '\\' | '"');
        if delimiter.len() > 16 || delimiter.contains(odd) {
            return false;
        }
        let Some(length) = text.find(&format!("){delimiter}\"")) else { return false };
        self.at += 2 + (delimiter.len() + 1) + length + 1 + delimiter.len() + 1;
        true
    }

    /// The length of the character at `ahead` bytes from here.
    fn char_length(&self, ahead: usize) -> usize {
        self.text[self.at + ahead..].chars().next().map_or(1, char::len_utf8)
    }

    fn punctuator(&mut self) -> Kind {
        let [a, b, c] = [self.peek(0) as u32, self.peek(1) as u32, self.peek(2) as u32];
        let keys = [a | 1 << 24, a | b << 8 | 2 << 24, a | b << 8 | c << 16 | 3 << 24];
        let mut length = 3;
        while length > 0 {
            if let Some(punct) = Punct::find(keys[length - 1]) {
                self.at += length;
                return Kind::Punct(punct);
            }
            length -= 1;
        }
        self.at += self.char_length(0);
        Kind::Stray
    }
}

/// The type of a literal, from its suffix and value (MSL 2.1, C++14 lex.icon).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LiteralType {
    Int,
    Uint,
    Long,
    Ulong,
    Half,
    Bfloat,
    Float,
}

/// The value of a literal.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Literal {
    Int(u64, LiteralType),
    Float(f64, LiteralType),
}

/// Reads a number. An unsuffixed floating literal is a float: MSL has no double (MSL 2.1).
pub(crate) fn number(spelling: &str) -> Result<Literal, String> {
    let text = spelling.replace('\'', "");
    let lower = text.to_ascii_lowercase();
    let hex = lower.starts_with("0x");
    let float = lower.contains('.')
        || if hex { lower.contains('p') } else { lower.contains('e') && !lower.starts_with("0b") };
    if float { float_literal(&lower, hex) } else { int_literal(&lower) }
        .ok_or_else(|| format!("invalid digit or suffix in the number '{spelling}'"))?
        .ok_or_else(|| "integer literal is too large to be represented in any integer type".into())
}

/// The outer option is `None` if the spelling is wrong, the inner one if the value is too large.
fn int_literal(lower: &str) -> Option<Option<Literal>> {
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'0'..=b'9', ..] => (8, &lower[1..]),
        _ => (10, lower),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(end);
    if digits.is_empty() && radix != 8 {
        return None;
    }
    let (unsigned, long) = match suffix {
        "" => (false, false),
        "u" => (true, false),
        "l" | "ll" => (false, true),
        "ul" | "lu" | "ull" | "llu" => (true, true),
        // A decimal integer with `f` or `h` is not a literal of C++; Metal's compiler rejects it too.
        _ => return None,
    };
    let Ok(value) = u64::from_str_radix(if digits.is_empty() { "0" } else { digits }, radix) else {
        return Some(None);
    };
    // C++14 [lex.icon]/2, table 5: the first type of the list that can hold the value.
    let may_be_unsigned = unsigned || radix != 10;
    let ty = if !unsigned && !long && value <= i32::MAX as u64 {
        LiteralType::Int
    } else if may_be_unsigned && !long && value <= u64::from(u32::MAX) {
        LiteralType::Uint
    } else if !unsigned && value <= i64::MAX as u64 {
        LiteralType::Long
    } else {
        LiteralType::Ulong
    };
    Some(Some(Literal::Int(value, ty)))
}

fn float_literal(lower: &str, hex: bool) -> Option<Option<Literal>> {
    let (digits, ty) = if let Some(digits) = lower.strip_suffix("bf").filter(|_| !hex) {
        (digits, LiteralType::Bfloat)
    } else if let Some(digits) = lower.strip_suffix('h') {
        (digits, LiteralType::Half)
    } else {
        // In a hexadecimal float the exponent is decimal, so a last `f` is the suffix there too.
        (lower.strip_suffix('f').unwrap_or(lower), LiteralType::Float)
    };
    let value = if hex { hex_float(&digits[2..])? } else { decimal_float(digits)? };
    Some(Some(Literal::Float(value, ty)))
}

fn decimal_float(digits: &str) -> Option<f64> {
    // `f64::from_str` also takes "inf" and "nan"; a literal has digits, a point and an exponent.
    let shape = digits.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte));
    if shape { digits.parse().ok() } else { None }
}

/// `h.hp±d` without its `0x`; the exponent is required.
fn hex_float(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let exponent: i32 = exponent.parse().ok()?;
    let shift = exponent.saturating_sub(4 * fraction.len() as i32);
    Some(value * 2f64.powi(shift.clamp(-4000, 4000)))
}

/// The value of a character literal such as `'a'` or `'\n'`.
pub(crate) fn character(spelling: &str) -> Option<u64> {
    let inner = spelling.strip_prefix('\'')?.strip_suffix('\'')?;
    let text = unescape(inner)?;
    match text.as_slice() {
        [byte] => Some(u64::from(*byte)),
        _ => None,
    }
}

/// A string literal as text.
pub(crate) fn string(spelling: &str) -> Option<String> {
    string_bytes(spelling).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of a string literal with its escapes replaced (C++14 lex.ccon). Raw ones have none.
pub(crate) fn string_bytes(spelling: &str) -> Option<Vec<u8>> {
    if let Some(raw) = spelling.strip_prefix("R\"") {
        let (delimiter, text) = raw.split_once('(')?;
        let text = text.strip_suffix('"')?.strip_suffix(delimiter)?.strip_suffix(')')?;
        return Some(text.as_bytes().to_vec());
    }
    unescape(spelling.strip_prefix('"')?.strip_suffix('"')?)
}

fn unescape(inner: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        match chars.next()? {
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            'r' => out.push(b'\r'),
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'v' => out.push(11),
            'x' => {
                let mut value = 0u32;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(16)) {
                    value = (value << 4 | digit) & 0xff;
                    chars.next();
                }
                out.push(value as u8);
            }
            digit @ '0'..='7' => {
                let mut value = digit.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
                    value = (value << 3 | digit) & 0xff;
                    chars.next();
                }
                out.push(value as u8);
            }
            other => out.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(text: &str) -> Vec<String> {
        let mut names = Names::new();
        let mut diagnostics = Diagnostics::default();
        let tokens = lex(text, 0, &mut names, &mut diagnostics);
        tokens.iter().map(|token| token.spelling(&names).to_string()).collect()
    }

    #[test]
    fn the_longest_token_wins() {
        assert_eq!(spellings("a+++b>>=c<::d"), ["a", "++", "+", "b", ">>=", "c", "<", "::", "d"]);
        assert_eq!(spellings("1.5e+3f.x"), ["1.5e+3f.x"]);
        assert_eq!(spellings("0x1.8p-2 1'000u .5h"), ["0x1.8p-2", "1'000u", ".5h"]);
        assert_eq!(spellings("a/*b\n*/c//d\\\ne\nf"), ["a", "c", "f"]);
        assert_eq!(spellings("lo\\\nng \"a\\\"b\" '\\''"), ["long", "\"a\\\"b\"", "'\\''"]);
        assert_eq!(spellings("don't é"), ["don", "'", "t", "é"]);
    }

    #[test]
    fn literals_have_the_types_of_the_specification() {
        use LiteralType::*;
        let int = |text: &str| match number(text) {
            Ok(Literal::Int(value, ty)) => (value, ty),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(int("42"), (42, Int));
        assert_eq!(int("0x80000000"), (0x8000_0000, Uint));
        assert_eq!(int("2147483648"), (0x8000_0000, Long));
        assert_eq!(int("1u"), (1, Uint));
        assert_eq!(int("1UL"), (1, Ulong));
        assert_eq!(int("0b101"), (5, Int));
        assert_eq!(int("017"), (15, Int));
        assert_eq!(int("0xFFFFFFFFFFFFFFFF"), (u64::MAX, Ulong));
        let float = |text: &str| match number(text) {
            Ok(Literal::Float(value, ty)) => (value, ty),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(float("1.5"), (1.5, Float));
        assert_eq!(float("1.h"), (1.0, Half));
        assert_eq!(float(".25bf"), (0.25, Bfloat));
        assert_eq!(float("1e3f"), (1000.0, Float));
        assert_eq!(float("0x1.8p1f"), (3.0, Float));
        assert_eq!(float("-0x1p-149".trim_start_matches('-')).0, 2f64.powi(-149));
        for bad in ["09", "1f", "0x", "1.2.3", "0x1.8", "18446744073709551616", "1.0q", "1einf"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_may_begin_with_a_byte_order_mark() {
        assert_eq!(spellings("\u{feff}x \u{feff}"), ["x", "\u{feff}"], "only at the start");
    }

    #[test]
    fn characters_and_strings() {
        assert_eq!(character("'a'"), Some(97));
        assert_eq!(character("'\\x41'"), Some(0x41));
        assert_eq!(character("'\\0'"), Some(0));
        assert_eq!(character("'ab'"), None);
        assert_eq!(string("\"a\\tb\""), Some("a\tb".into()));
    }
}
