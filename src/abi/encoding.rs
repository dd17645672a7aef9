//! Type encodings: Objective-C's one-letter names for C types, written in `const` and parsed.

use super::{
    Bool, Class, Id, MTL4BufferRange, MTLOrigin, MTLRegion, MTLResourceID, MTLSize,
    MTLSizeAndAlign, MTLTextureSwizzleChannels, NSRange, Protocol, Sel,
};
use std::ffi::{c_char, c_void};
use std::fmt;

/// A C type that a message can carry.
///
/// # Safety
///
/// `ENCODING` describes exactly the C type that has the layout of `Self`, `Self` is passed to and
/// returned from `extern "C"` functions as that type is, and all bytes zero are a value of it.
///
/// ```
/// use aruminium::{MTLSize, abi::Encode};
/// assert_eq!((f32::ENCODING, MTLSize::ENCODING), ("f", "{?=QQQ}"));
/// ```
pub unsafe trait Encode: Copy + 'static {
    /// The type in Objective-C's notation.
    const ENCODING: &'static str;
}

/// Implements [`Encode`] for a table of types.
macro_rules! encodings {
    ($($ty:ty = $encoding:expr),+ $(,)?) => {$(
        // SAFETY: the entry names the C type of the same size, alignment and passing rules.
        unsafe impl Encode for $ty {
            const ENCODING: &'static str = $encoding;
        }
    )+};
}

encodings! {
    () = "v",
    i8 = "c", i16 = "s", i32 = "i", i64 = "q", isize = "q",
    u8 = "C", u16 = "S", u32 = "I", u64 = "Q", usize = "Q",
    f32 = "f", f64 = "d",
    // `BOOL` is C's `bool` everywhere but on x86_64 macOS, where it has stayed a `signed char`. The embedded
    // runtime describes its methods as that system does.
    Bool = if cfg!(target_arch = "x86_64") { "c" } else { "B" },
    Id = "@", Class = "#", Sel = ":", Protocol = "@",
    MTLSize = "{?=QQQ}", MTLOrigin = "{?=QQQ}", MTLRegion = "{?={?=QQQ}{?=QQQ}}",
    MTLSizeAndAlign = "{?=QQ}", MTLResourceID = "{MTLResourceID=Q}",
    MTLTextureSwizzleChannels = "{?=CCCC}",
    NSRange = "{_NSRange=QQ}", MTL4BufferRange = "{MTL4BufferRange=QQ}",
    *const c_void = "^v", *mut c_void = "^v",
    *const c_char = "*", *mut c_char = "*",
    *const Id = "^@", *mut Id = "^@",
    *const usize = "^Q", *mut usize = "^Q", *const isize = "^q",
    *const u16 = "^S", *mut u16 = "^S",
    *const f32 = "^f", *mut f32 = "^f",
}

/// A parsed type encoding.
///
/// ```
/// use aruminium::abi::Encoding;
/// let size: Encoding = "{?=QQQ}".parse()?;
/// assert_eq!(size.to_string(), "{?=QQQ}");
/// assert!(size.same_abi(&"{CGSize3=QQq}".parse()?));
/// assert!("{?=Q".parse::<Encoding>().is_err());
/// # Ok::<(), aruminium::abi::EncodingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A type of one letter: an integer, a float, `void`, an object, a class, a selector, a string.
    Simple(u8),
    /// A block: `@?`.
    Block,
    /// A pointer to a type.
    Pointer(Box<Encoding>),
    /// An array of a known length.
    Array(usize, Box<Encoding>),
    /// A struct, its name and its fields. An opaque struct has no fields.
    Struct(String, Vec<Encoding>),
    /// A union, its name and its members.
    Union(String, Vec<Encoding>),
    /// A bit field of `n` bits.
    Bits(usize),
}

/// Why a text is not a type encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodingError {
    text: String,
    at: usize,
    expected: &'static str,
}

impl fmt::Display for EncodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, at, expected } = self;
        write!(f, "type encoding {text:?}: expected {expected} at byte {at}")
    }
}

impl std::error::Error for EncodingError {}

/// The letters that are a whole type.
const SIMPLE: &[u8] = b"cCsSiIlLqQfdDBv@#:*?";
/// The letters that may stand before a type and say nothing about its passing.
const QUALIFIERS: &[u8] = b"rnNoORVAj+";
/// How deep types may nest. Metal's deepest is five.
const DEPTH: usize = 64;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error<T>(&self, expected: &'static str) -> Result<T, EncodingError> {
        Err(EncodingError { text: self.text.to_owned(), at: self.at, expected })
    }

    fn eat(&mut self, byte: u8, expected: &'static str) -> Result<(), EncodingError> {
        if self.peek() != Some(byte) {
            return self.error(expected);
        }
        self.at += 1;
        Ok(())
    }

    fn skip(&mut self, set: impl Fn(u8) -> bool) -> &str {
        let start = self.at;
        while self.peek().is_some_and(&set) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or("")
    }

    fn number(&mut self) -> Result<usize, EncodingError> {
        match self.skip(|c| c.is_ascii_digit()).parse() {
            Ok(number) => Ok(number),
            Err(_) => self.error("a number"),
        }
    }

    /// Names in quotes, which the encodings of instance variables have: of a field before its type, of an object's class after
    /// it.
    fn names(&mut self) -> Result<(), EncodingError> {
        while self.peek() == Some(b'"') {
            self.at += 1;
            self.skip(|c| c != b'"');
            self.eat(b'"', "the end of a name")?;
        }
        Ok(())
    }

    fn list(&mut self, close: u8, depth: usize) -> Result<Vec<Encoding>, EncodingError> {
        let mut items = Vec::new();
        while self.peek() != Some(close) {
            self.names()?;
            if self.peek() != Some(close) {
                items.push(self.ty(depth)?);
            }
        }
        self.at += 1;
        Ok(items)
    }

    /// `{name=fields}`, `{name}`, and the same in parentheses.
    fn aggregate(
        &mut self,
        close: u8,
        depth: usize,
    ) -> Result<(String, Vec<Encoding>), EncodingError> {
        self.at += 1;
        let name = self.skip(|c| c != b'=' && c != close).to_owned();
        if self.peek() == Some(b'=') {
            self.at += 1;
            return Ok((name, self.list(close, depth)?));
        }
        self.eat(close, "`=` or the end of the type")?;
        Ok((name, Vec::new()))
    }

    fn ty(&mut self, depth: usize) -> Result<Encoding, EncodingError> {
        if depth == 0 {
            return self.error("a type that is not nested so deep");
        }
        self.skip(|c| QUALIFIERS.contains(&c));
        match self.peek() {
            Some(b'@') if self.text.as_bytes().get(self.at + 1) == Some(&b'?') => {
                self.at += 2;
                Ok(Encoding::Block)
            }
            Some(c) if SIMPLE.contains(&c) => {
                self.at += 1;
                Ok(Encoding::Simple(c))
            }
            Some(b'^') => {
                self.at += 1;
                Ok(Encoding::Pointer(Box::new(self.ty(depth - 1)?)))
            }
            Some(b'b') => {
                self.at += 1;
                Ok(Encoding::Bits(self.number()?))
            }
            Some(b'[') => {
                self.at += 1;
                let length = self.number()?;
                let element = Box::new(self.ty(depth - 1)?);
                self.eat(b']', "`]`")?;
                Ok(Encoding::Array(length, element))
            }
            Some(b'{') => {
                let (name, fields) = self.aggregate(b'}', depth - 1)?;
                Ok(Encoding::Struct(name, fields))
            }
            Some(b'(') => {
                let (name, members) = self.aggregate(b')', depth - 1)?;
                Ok(Encoding::Union(name, members))
            }
            _ => self.error("a type"),
        }
    }
}

impl std::str::FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        let mut parser = Parser { text, at: 0 };
        let encoding = parser.ty(DEPTH)?;
        if text.as_bytes()[..parser.at].ends_with(b"@") {
            parser.names()?;
        }
        if parser.at < text.len() {
            return parser.error("the end");
        }
        Ok(encoding)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, open, name: &str, items: &[Self], close| {
            write!(f, "{open}{name}")?;
            if !items.is_empty() {
                f.write_str("=")?;
            }
            items.iter().try_for_each(|item| item.fmt(f))?;
            write!(f, "{close}")
        };
        match self {
            Self::Simple(c) => write!(f, "{}", *c as char),
            Self::Block => f.write_str("@?"),
            Self::Pointer(to) => write!(f, "^{to}"),
            Self::Array(length, element) => write!(f, "[{length}{element}]"),
            Self::Struct(name, fields) => list(f, '{', name, fields, '}'),
            Self::Union(name, members) => list(f, '(', name, members, ')'),
            Self::Bits(bits) => write!(f, "b{bits}"),
        }
    }
}

impl Encoding {
    /// Whether a value of one type can be passed where the other is declared, by the C calling
    /// convention: the same kind of register, the same size. Names, signedness and what a pointer
    /// points to do not count.
    pub fn same_abi(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Struct(_, a), Self::Struct(_, b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_abi(b))
            }
            (Self::Union(_, a), Self::Union(_, b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_abi(b))
            }
            (Self::Array(n, a), Self::Array(m, b)) => n == m && a.same_abi(b),
            (a, b) => a.register() == b.register() && a.register() != Register::Other,
        }
    }

    fn register(&self) -> Register {
        match self {
            Self::Block | Self::Pointer(_) => Register::Integer(8),
            Self::Simple(c) => match c {
                b'v' => Register::None,
                b'c' | b'C' | b'B' => Register::Integer(1),
                b's' | b'S' => Register::Integer(2),
                b'i' | b'I' | b'l' | b'L' => Register::Integer(4),
                b'q' | b'Q' | b'@' | b'#' | b':' | b'*' => Register::Integer(8),
                b'f' => Register::Float(4),
                b'd' => Register::Float(8),
                _ => Register::Other,
            },
            _ => Register::Other,
        }
    }

    /// Size and alignment in bytes, where the encoding determines them.
    ///
    /// ```
    /// use aruminium::abi::Encoding;
    /// let encoding: Encoding = "{?=cdi}".parse()?;
    /// assert_eq!(encoding.layout(), Some((24, 8)));
    /// # Ok::<(), aruminium::abi::EncodingError>(())
    /// ```
    pub fn layout(&self) -> Option<(usize, usize)> {
        match self {
            Self::Array(length, element) => {
                let (size, align) = element.layout()?;
                Some((size.checked_mul(*length)?, align))
            }
            Self::Struct(_, fields) if !fields.is_empty() => {
                let (mut end, mut most) = (0usize, 1usize);
                for field in fields {
                    let (size, align) = field.layout()?;
                    end = end.checked_next_multiple_of(align)?.checked_add(size)?;
                    most = most.max(align);
                }
                Some((end.checked_next_multiple_of(most)?, most))
            }
            Self::Union(_, members) if !members.is_empty() => {
                let (mut size, mut most) = (0usize, 1usize);
                for member in members {
                    let (bytes, align) = member.layout()?;
                    (size, most) = (size.max(bytes), most.max(align));
                }
                Some((size.checked_next_multiple_of(most)?, most))
            }
            _ => match self.register() {
                Register::None => Some((0, 1)),
                Register::Integer(bytes) | Register::Float(bytes) => Some((bytes, bytes)),
                Register::Other => None,
            },
        }
    }
}

/// How one scalar travels.
#[derive(PartialEq, Eq)]
enum Register {
    None,
    Integer(usize),
    Float(usize),
    Other,
}

/// The encoding of a whole method, as `method_getTypeEncoding` returns it: the return type, the
/// receiver, the selector, the arguments, each with its offset in a notional frame.
///
/// ```
/// use aruminium::abi::MethodEncoding;
/// let method: MethodEncoding = "@32@0:8Q16Q24".parse()?;
/// let declared = MethodEncoding::new("@".parse()?, ["Q".parse()?, "q".parse()?]);
/// assert!(method.same_abi(&declared));
/// # Ok::<(), aruminium::abi::EncodingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodEncoding {
    /// The type that the method returns.
    pub result: Encoding,
    /// The types of its arguments, the receiver and the selector first.
    pub arguments: Vec<Encoding>,
}

impl MethodEncoding {
    /// The encoding of a method that takes a receiver, a selector and these arguments.
    pub fn new(result: Encoding, arguments: impl IntoIterator<Item = Encoding>) -> Self {
        let implicit = [Encoding::Simple(b'@'), Encoding::Simple(b':')];
        Self { result, arguments: implicit.into_iter().chain(arguments).collect() }
    }

    /// Whether a call made with one encoding passes every value where the other expects it.
    pub fn same_abi(&self, other: &Self) -> bool {
        self.result.same_abi(&other.result)
            && self.arguments.len() == other.arguments.len()
            && self.arguments.iter().zip(&other.arguments).all(|(a, b)| a.same_abi(b))
    }
}

impl std::str::FromStr for MethodEncoding {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        let mut parser = Parser { text, at: 0 };
        let mut types = Vec::new();
        while parser.at < text.len() {
            types.push(parser.ty(DEPTH)?);
            parser.skip(|c| c.is_ascii_digit() || c == b'-' || c == b'+');
        }
        if types.is_empty() {
            return parser.error("a return type");
        }
        let result = types.remove(0);
        Ok(Self { result, arguments: types })
    }
}

impl fmt::Display for MethodEncoding {
    /// Writes offsets as the compilers do: arguments follow each other without gaps, and an integer
    /// takes no less than four bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut end = 0usize;
        let offsets: Vec<usize> = self
            .arguments
            .iter()
            .map(|argument| {
                let (size, _) = argument.layout().unwrap_or((8, 8));
                let integer = matches!(argument.register(), Register::Integer(_));
                let offset = end;
                end = end.saturating_add(if integer { size.max(4) } else { size });
                offset
            })
            .collect();
        write!(f, "{}{end}", Passed(&self.result))?;
        self.arguments
            .iter()
            .zip(offsets)
            .try_for_each(|(argument, at)| write!(f, "{}{at}", Passed(argument)))
    }
}

/// A type that a method takes or returns. Compilers write the fields of a struct that it points to, and so an `=` after
/// the name even if they know none.
struct Passed<'a>(&'a Encoding);

impl fmt::Display for Passed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Encoding::Pointer(to) = self.0
            && let Encoding::Struct(name, fields) = &**to
            && fields.is_empty()
        {
            return write!(f, "^{{{name}=}}");
        }
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_encodings_print_as_compilers_write_them() {
        for text in [
            "Q16@0:8",
            "v40@0:8@16Q24Q32",
            "v20@0:8B16",
            "@28@0:8B16^@20",
            "v64@0:8{?=QQQ}16{?=QQQ}40",
            "@32@0:8^v16@?24",
            "{?=QQQ}16@0:8",
            "@24@0:8^{_NSZone=}16",
            "v24@0:8^^{_NSZone}16",
            "v24@0:8^{S=^{T}i}16",
        ] {
            assert_eq!(text.parse::<MethodEncoding>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn qualifiers_and_field_names_are_passed_over() {
        let plain: MethodEncoding = "v24@0:8^v16".parse().unwrap();
        assert_eq!("Vv24@0:8r^v16".parse::<MethodEncoding>().unwrap(), plain);
        let named: Encoding = "{S=\"a\"i\"b\"f}".parse().unwrap();
        assert_eq!(named, "{S=if}".parse().unwrap());
        let of_class: Encoding = "{S=\"a\"@\"NSString\"\"b\"f\"c\"@\"NSData\"}".parse().unwrap();
        assert_eq!(of_class, "{S=@f@}".parse().unwrap());
        assert_eq!("@\"NSString\"".parse::<Encoding>().unwrap(), Encoding::Simple(b'@'));
        assert!("i\"NSString\"".parse::<Encoding>().is_err());
    }

    #[test]
    fn encodings_are_compared_by_the_calling_convention() {
        let same = |a: &str, b: &str| {
            a.parse::<Encoding>().unwrap().same_abi(&b.parse::<Encoding>().unwrap())
        };
        assert!(same("Q", "q") && same("@", "^v") && same("@?", "@") && same("B", "c"));
        assert!(
            !same("i", "q") && !same("f", "I") && !same("{?=QQ}", "{?=QQQ}") && !same("v", "Q")
        );
    }

    #[test]
    fn errors_have_an_offset() {
        let error = "{?=Qx}".parse::<Encoding>().unwrap_err();
        assert_eq!(error.to_string(), "type encoding \"{?=Qx}\": expected a type at byte 4");
        assert!("^".repeat(100_000).parse::<Encoding>().is_err());
    }
}
