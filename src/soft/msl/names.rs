//! Interned names: every identifier and literal text is a small number; keywords have fixed numbers.

use crate::soft::ir::hash::{Places, Search, hash_of_text, seed};
use std::sync::Arc;

/// An interned text. Equal names are equal numbers within one [`Names`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Name(u32);

/// Declares the names that the compiler itself uses. Those up to `LAST_KEYWORD` are reserved
/// keywords and cannot be declared by a program.
macro_rules! known_names {
    ($($id:ident $text:literal)*) => {
        #[allow(clippy::upper_case_acronyms, non_camel_case_types)]
        enum Known { $($id),* }
        impl Name {
            $(pub(crate) const $id: Name = Name(Known::$id as u32);)*
        }
        const KNOWN: &[&str] = &[$($text),*];
    };
}

known_names! {
    EMPTY ""
    ALIGNAS "alignas" ALIGNOF "alignof" AUTO "auto" BOOL "bool" BREAK "break" CASE "case"
    CHAR "char" CLASS "class" CONST "const" CONSTEXPR "constexpr" CONST_CAST "const_cast"
    CONTINUE "continue" DECLTYPE "decltype" DEFAULT "default" DELETE "delete" DO "do"
    DOUBLE "double" ELSE "else" ENUM "enum" EXPLICIT "explicit" EXTERN "extern" FALSE "false"
    FLOAT "float" FOR "for" FRIEND "friend" GOTO "goto" IF "if" INLINE "inline" INT "int"
    LONG "long" MUTABLE "mutable" NAMESPACE "namespace" NEW "new" NOEXCEPT "noexcept"
    NULLPTR "nullptr" OPERATOR "operator" PRIVATE "private" PROTECTED "protected"
    PUBLIC "public" REGISTER "register" REINTERPRET_CAST "reinterpret_cast" RETURN "return"
    SHORT "short" SIGNED "signed" SIZEOF "sizeof" STATIC "static" STATIC_ASSERT "static_assert"
    STATIC_CAST "static_cast" STRUCT "struct" SWITCH "switch" TEMPLATE "template" THIS "this"
    THROW "throw" TRUE "true" TRY "try" TYPEDEF "typedef" TYPENAME "typename" UNION "union"
    UNSIGNED "unsigned" USING "using" VIRTUAL "virtual" VOID "void" VOLATILE "volatile"
    WHILE "while" HALF "half" BFLOAT "bfloat" KERNEL "kernel" VERTEX "vertex"
    FRAGMENT "fragment" DEVICE "device" CONSTANT "constant" THREAD "thread"
    THREADGROUP "threadgroup" THREADGROUP_IMAGEBLOCK "threadgroup_imageblock"
    RAY_DATA "ray_data" OBJECT_DATA "object_data" RESTRICT "__restrict" ATTRIBUTE "__attribute__"
    ALIGNOF_GNU "__alignof__" UNDERLYING_TYPE "__underlying_type" ASM "asm"
    TYPEOF "typeof" TYPEOF_GNU "__typeof__" OFFSETOF "__builtin_offsetof"
    LAST_KEYWORD "__last_keyword"
    // Names with a meaning only in some contexts.
    DEFINED "defined" HAS_INCLUDE "__has_include" HAS_FEATURE "__has_feature"
    HAS_BUILTIN "__has_builtin" HAS_ATTRIBUTE "__has_attribute" HAS_EXTENSION "__has_extension"
    VA_ARGS "__VA_ARGS__" VA_OPT "__VA_OPT__" PRAGMA_OPERATOR "_Pragma" FILE "__FILE__"
    LINE "__LINE__" COUNTER "__COUNTER__" DATE "__DATE__" TIME "__TIME__" INCLUDE_LEVEL "__INCLUDE_LEVEL__"
    DEFINE "define" UNDEF "undef" INCLUDE "include" IMPORT "import" IFDEF "ifdef" IFNDEF "ifndef"
    ELIF "elif" ENDIF "endif" ERROR "error" WARNING "warning" PRAGMA "pragma" ONCE "once"
    METAL "metal" STD "std" COHERENT "coherent" SYSTEM "system"
    FAST "fast" PRECISE "precise" FINAL "final" OVERRIDE "override" VOTE_T "vote_t"
    // The types of a lambda's `auto` parameters.
    AUTO_0 "auto:1" AUTO_1 "auto:2" AUTO_2 "auto:3" AUTO_3 "auto:4" AUTO_4 "auto:5" AUTO_5 "auto:6"
    AUTO_6 "auto:7" AUTO_7 "auto:8"
    // Words that are operators (C++14 [lex.digraph], table 2), in the order of `lex::ALTERNATIVES`.
    AND "and" AND_EQ "and_eq" BITAND "bitand" BITOR "bitor" COMPL "compl" NOT "not" NOT_EQ "not_eq" OR "or" OR_EQ "or_eq"
    XOR "xor" XOR_EQ "xor_eq"
    THREAD_ELEMENTS "thread_elements" SIMD "simd" RAYTRACING "raytracing" BEGIN "begin" END "end"
    // The element of a range-based `for` whose parts have the names.
    RANGE_ELEMENT "range:element"
}

impl Name {
    /// The number, which a debug build compares faster than the name.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn is_keyword(self) -> bool {
        self.0 != Name::EMPTY.0 && self.0 < Name::LAST_KEYWORD.0
    }

    /// For a word that is an operator, which of them.
    pub(crate) fn alternative(self) -> Option<usize> {
        let inside = self.0 >= Name::AND.0 && self.0 <= Name::XOR_EQ.0;
        if inside { Some((self.0 - Name::AND.0) as usize) } else { None }
    }
}

/// The table of names. A table may extend a finished one, whose numbers stay valid in it.
#[derive(Debug)]
pub(crate) struct Names {
    below: Option<Arc<Names>>,
    first: u32,
    list: Vec<Arc<str>>,
    /// Where the texts of the list are.
    places: Places,
    seed: u64,
}

impl Names {
    /// A table of the known names only.
    pub(crate) fn new() -> Names {
        let mut names = Names {
            below: None,
            first: 0,
            list: Vec::new(),
            places: Places::default(),
            seed: seed(),
        };
        for text in KNOWN {
            names.intern(text);
        }
        names
    }

    /// A table that extends a finished one.
    pub(crate) fn above(below: Arc<Names>) -> Names {
        let first = below.first + below.list.len() as u32;
        let seed = below.seed;
        Names { below: Some(below), first, list: Vec::new(), places: Places::default(), seed }
    }

    /// The number of a text, if the table has it.
    pub(crate) fn find(&self, text: &str) -> Option<Name> {
        self.find_by_hash(text, hash_of_text(text, self.seed))
    }

    fn find_by_hash(&self, text: &str, hash: u32) -> Option<Name> {
        if let Some(below) = &self.below
            && let Some(name) = below.find_by_hash(text, hash)
        {
            return Some(name);
        }
        let mut search = Search::of(hash);
        while let Some(at) = self.places.next(&mut search) {
            if *self.list[at] == *text {
                return Some(Name(self.first + at as u32));
            }
        }
        None
    }

    pub(crate) fn intern(&mut self, text: &str) -> Name {
        let hash = hash_of_text(text, self.seed);
        if let Some(name) = self.find_by_hash(text, hash) {
            return name;
        }
        let index = self.first + self.list.len() as u32;
        self.list.push(text.into());
        self.places.push(hash);
        Name(index)
    }

    pub(crate) fn text(&self, name: Name) -> &str {
        match &self.below {
            Some(below) if name.0 < self.first => below.text(name),
            _ => match self.list.get((name.0 - self.first) as usize) {
                Some(text) => text,
                None => "",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_have_their_numbers_and_tables_stack() {
        let mut below = Names::new();
        assert_eq!(below.find("while"), Some(Name::WHILE));
        assert!(Name::WHILE.is_keyword() && !Name::DEFINED.is_keyword());
        let apple = below.intern("apple");
        let mut above = Names::above(Arc::new(below));
        let pear = above.intern("pear");
        assert_eq!(above.intern("apple"), apple);
        assert_eq!(
            (above.text(apple), above.text(pear), above.text(Name::IF)),
            ("apple", "pear", "if")
        );
    }
}
