//! Selector text, read in `const`: how many arguments it takes, and who owns the object that it returns.

/// The ownership of a returned object, which the selector's name determines.
///
/// The rule is that of Objective-C's automatic reference counting: the first word of the selector,
/// leading underscores aside, names the family when the next letter is not a lower-case one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `alloc…`: returns +1.
    Alloc,
    /// `copy…`: returns +1.
    Copy,
    /// `init…`: consumes a reference count of the receiver and returns +1.
    Init,
    /// `mutableCopy…`: returns +1.
    MutableCopy,
    /// `new…`: returns +1.
    New,
    /// Everything else: the caller does not own the result.
    None,
}

impl Family {
    /// The family of a selector.
    ///
    /// ```
    /// use aruminium::abi::Family;
    /// assert_eq!(Family::of("newBufferWithLength:options:"), Family::New);
    /// assert_eq!(Family::of("newsletter"), Family::None);
    /// ```
    pub const fn of(selector: &str) -> Self {
        let text = selector.as_bytes();
        let mut start = 0;
        while start < text.len() && text[start] == b'_' {
            start += 1;
        }
        if starts_word(text, start, b"alloc") {
            Self::Alloc
        } else if starts_word(text, start, b"copy") {
            Self::Copy
        } else if starts_word(text, start, b"init") {
            Self::Init
        } else if starts_word(text, start, b"mutableCopy") {
            Self::MutableCopy
        } else if starts_word(text, start, b"new") {
            Self::New
        } else {
            Self::None
        }
    }

    /// Whether the caller owns what the method returns.
    ///
    /// ```
    /// use aruminium::abi::Family;
    /// assert!(Family::New.returns_owned() && !Family::None.returns_owned());
    /// assert_eq!(Family::MutableCopy.name(), "mutableCopy");
    /// ```
    pub const fn returns_owned(self) -> bool {
        !matches!(self, Self::None)
    }

    /// The family's name as in `tests/data`: `alloc`, `copy`, `init`, `mutableCopy`, `new`, `none`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alloc => "alloc",
            Self::Copy => "copy",
            Self::Init => "init",
            Self::MutableCopy => "mutableCopy",
            Self::New => "new",
            Self::None => "none",
        }
    }
}

/// Whether `text[start..]` begins with `word`, and the word ends there.
const fn starts_word(text: &[u8], start: usize, word: &[u8]) -> bool {
    if text.len() < start + word.len() {
        return false;
    }
    let mut i = 0;
    while i < word.len() {
        if text[start + i] != word[i] {
            return false;
        }
        i += 1;
    }
    text.len() == start + word.len() || !text[start + word.len()].is_ascii_lowercase()
}

/// How many arguments a selector takes: its colons.
///
/// ```
/// assert_eq!(aruminium::abi::colons("setBuffer:offset:atIndex:"), 3);
/// ```
pub const fn colons(selector: &str) -> usize {
    let text = selector.as_bytes();
    let (mut i, mut count) = (0, 0);
    while i < text.len() {
        count += (text[i] == b':') as usize;
        i += 1;
    }
    count
}

/// Whether a selector is one word without colons, or words that each end in one.
///
/// ```
/// use aruminium::abi::is_selector;
/// assert!(is_selector("commit") && is_selector("setLabel:") && !is_selector("setBuffer:offset"));
/// ```
pub const fn is_selector(selector: &str) -> bool {
    let text = selector.as_bytes();
    let mut i = 0;
    while i < text.len() {
        let c = text[i];
        let letter = c.is_ascii_alphanumeric() || c == b'_' || c == b'$';
        if !(letter || c == b':' && i > 0) {
            return false;
        }
        i += 1;
    }
    i > 0 && (colons(selector) == 0 || text[i - 1] == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_follow_the_rule() {
        for (selector, family) in [
            ("new", Family::New),
            ("newFence", Family::New),
            ("new:", Family::New),
            ("newer", Family::None),
            ("_newFence", Family::New),
            ("copyWithZone:", Family::Copy),
            ("copying", Family::None),
            ("mutableCopy", Family::MutableCopy),
            ("initWithBytes:length:encoding:", Family::Init),
            ("initialize", Family::None),
            ("alloc", Family::Alloc),
            ("allocatedSize", Family::None),
            ("commandBuffer", Family::None),
            ("", Family::None),
        ] {
            assert_eq!(Family::of(selector), family, "{selector}");
        }
    }

    #[test]
    fn selectors_parse() {
        for good in ["length", "setBuffer:offset:atIndex:", "_private", "a:"] {
            assert!(is_selector(good), "{good}");
        }
        for bad in ["", ":", "a:b", "a b", "a-b:"] {
            assert!(!is_selector(bad), "{bad}");
        }
        assert_eq!(colons("setBuffer:offset:atIndex:"), 3);
    }
}
