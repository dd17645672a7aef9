//! Source text: the map of all files of one compilation, and spans of offsets in it.

use std::sync::{Arc, OnceLock};

/// A half-open byte range in a [`SourceMap`]; all files share one range of offsets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Span {
    pub(crate) lo: u32,
    pub(crate) hi: u32,
}

impl Span {
    pub(crate) fn new(lo: u32, hi: u32) -> Span {
        Span { lo, hi }
    }

    /// The smallest span that holds both; after macro expansion their order may be either.
    pub(crate) fn to(self, end: Span) -> Span {
        if end.hi >= self.lo { Span::new(self.lo, end.hi) } else { self }
    }

    /// The empty span at the end, for a token that is missing there.
    pub(crate) fn end(self) -> Span {
        Span::new(self.hi, self.hi)
    }
}

/// One text of the map.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
    /// The offset of the file's first byte.
    pub(crate) base: u32,
    /// Offsets in `text` of the first byte of every line, computed on first use.
    lines: OnceLock<Vec<u32>>,
    /// `#line` directives, by offset.
    renumbered: Vec<Renumbered>,
}

/// A `#line` directive.
#[derive(Debug)]
struct Renumbered {
    /// Offset in the map of the first line that it applies to.
    from: u32,
    /// The number of that line.
    number: u32,
    /// The name of the file from here on, if this or an earlier directive changed it.
    name: Option<Arc<str>>,
}

impl File {
    /// The line of an offset in the text: its index from 0, its start and its end.
    fn line_of(&self, at: usize) -> (u32, usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| at as u32 + 1)).collect()
        });
        let index = lines.partition_point(|&start| start as usize <= at) - 1;
        let end = lines.get(index + 1).map_or(self.text.len(), |&next| next as usize - 1);
        (index as u32, lines[index] as usize, end)
    }
}

/// A position as diagnostics show it: one-based line and column, and the text of the line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Position<'a> {
    pub(crate) file: &'a str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) text: &'a str,
}

/// All files of a compilation, in the order in which they were opened, and the expansions of macros.
#[derive(Debug, Default)]
pub(crate) struct SourceMap {
    files: Vec<File>,
    end: u32,
    expansions: Vec<Expansion>,
    /// Whether expansions get positions. Not in the library's own map, which would overlap a program's.
    maps_expansions: bool,
}

/// One expansion of a macro: a copy of the body's range of offsets, so that a position in it
/// identifies both the body and the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expansion {
    base: u32,
    length: u32,
    /// The offset of the body in the `#define`.
    body: u32,
    /// The spans of the name in the `#define` and in the call.
    name: Span,
    call: Span,
}

impl Expansion {
    /// Maps a span of the body's text to this expansion.
    pub(crate) fn span(&self, spelled: Span) -> Span {
        let position = |offset: u32| self.base + offset.saturating_sub(self.body).min(self.length);
        Span::new(position(spelled.lo), position(spelled.hi))
    }
}

/// The most bytes of all files of a compilation together; a file that is included several
/// times counts each time. Bounds the compiler's memory: a token takes up to 30 times its text.
pub(crate) const MAX_SOURCE: usize = 16 << 20;

/// The first offset of expansions.
const EXPANSIONS: u32 = 1 << 31;

impl SourceMap {
    /// A map whose first offset is `base`; lower offsets belong to the library's map.
    pub(crate) fn starting_at(base: u32) -> SourceMap {
        SourceMap { end: base, maps_expansions: true, ..SourceMap::default() }
    }

    /// Adds a file and returns its index; `None` when the map would grow past [`MAX_SOURCE`].
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Option<usize> {
        if self.end as usize + text.len() > MAX_SOURCE {
            return None;
        }
        let base = self.end;
        // A gap of one byte, so that the end of a file is not the start of the next.
        self.end += text.len() as u32 + 1;
        self.files.push(File {
            name: name.into(),
            text: text.into(),
            base,
            lines: OnceLock::new(),
            renumbered: Vec::new(),
        });
        Some(self.files.len() - 1)
    }

    pub(crate) fn file(&self, index: usize) -> &File {
        &self.files[index]
    }

    /// The text of the first file of a name, which may be that of a `#line 1` directive in its first line; `None` if others
    /// number its lines.
    pub(crate) fn text_of_file(&self, name: &str) -> Option<&str> {
        self.files.iter().find_map(|file| match &file.renumbered[..] {
            [] => (file.name == name).then_some(&*file.text),
            [only] if only.number == 1 && only.name.as_deref() == Some(name) => {
                let (first, rest) = file.text.split_at_checked((only.from - file.base) as usize)?;
                (first.matches('\n').count() == 1).then_some(rest)
            }
            _ => None,
        })
    }

    /// The offset past the end of the last file.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    fn file_of(&self, offset: u32) -> Option<usize> {
        let after = self.files.partition_point(|file| file.base <= offset);
        after.checked_sub(1).filter(|_| offset < self.end)
    }

    pub(crate) fn text(&self, span: Span) -> &str {
        let Some(file) = self.file_of(span.lo).map(|index| &self.files[index]) else { return "" };
        let (lo, hi) =
            ((span.lo - file.base) as usize, (span.hi.max(span.lo) - file.base) as usize);
        file.text.get(lo..hi.min(file.text.len())).unwrap_or("")
    }

    /// `#line number "name"`: the line that begins at `offset` is `number` from now on.
    pub(crate) fn renumber(&mut self, offset: u32, number: u32, name: Option<String>) {
        if let Some(index) = self.file_of(offset) {
            let list = &mut self.files[index].renumbered;
            let inherited = || list.last().and_then(|last| last.name.clone());
            let name = name.map(Arc::from).or_else(inherited);
            list.push(Renumbered { from: offset, number, name });
        }
    }

    /// Reserves offsets for one expansion of a macro; `None` for a macro that no file of this map defines, and
    /// when the offsets are used up.
    pub(crate) fn expand(&mut self, name: Span, body: Span, call: Span) -> Option<Expansion> {
        self.file_of(body.lo).filter(|_| self.maps_expansions)?;
        let base = self.expansions.last().map_or(EXPANSIONS, |last| last.base + last.length + 1);
        let length = body.hi.saturating_sub(body.lo);
        base.checked_add(length)?.checked_add(1)?;
        let expansion = Expansion { base, length, body: body.lo, name, call };
        self.expansions.push(expansion);
        Some(expansion)
    }

    fn expansion_of(&self, offset: u32) -> Option<&Expansion> {
        let after = self.expansions.partition_point(|one| one.base <= offset);
        after.checked_sub(1).map(|at| &self.expansions[at])
    }

    /// The span in a file; for a span in an expansion, that of the outermost call.
    pub(crate) fn in_file(&self, span: Span) -> Span {
        let Span { mut lo, mut hi } = span;
        while let Some(expansion) = self.expansion_of(lo) {
            lo = expansion.call.lo;
        }
        while let Some(expansion) = self.expansion_of(hi) {
            hi = expansion.call.hi;
        }
        Span::new(lo, hi.max(lo))
    }

    /// The macros whose expansions contain a span, innermost first: the name of each, and the span in its
    /// body.
    pub(crate) fn macros_of(&self, span: Span) -> Vec<(&str, Span)> {
        let mut list = Vec::new();
        let mut span = span;
        while let Some(expansion) = self.expansion_of(span.lo) {
            let spelled = |offset: u32| expansion.body + (offset - expansion.base);
            let whole = self.expansion_of(span.hi).is_some_and(|end| end.base == expansion.base);
            let lo = spelled(span.lo);
            let hi = if whole { spelled(span.hi) } else { lo + 1 };
            list.push((self.text(expansion.name), Span::new(lo, hi)));
            span = expansion.call;
        }
        list
    }

    /// The position of an offset; `None` for an offset of another map.
    pub(crate) fn position(&self, offset: u32) -> Option<Position<'_>> {
        let offset = self.in_file(Span::new(offset, offset)).lo;
        let file = &self.files[self.file_of(offset)?];
        let mut at = ((offset - file.base) as usize).min(file.text.len());
        while !file.text.is_char_boundary(at) {
            at -= 1;
        }
        let (index, start, end) = file.line_of(at);
        let (mut line, mut name) = (index + 1, file.name.as_str());
        let after = file.renumbered.partition_point(|directive| directive.from <= offset);
        if let Some(directive) = after.checked_sub(1).map(|last| &file.renumbered[last]) {
            let (governed, ..) = file.line_of((directive.from - file.base) as usize);
            line = directive.number.wrapping_add(index.saturating_sub(governed));
            name = directive.name.as_deref().unwrap_or(name);
        }
        Some(Position {
            file: name,
            line,
            column: 1 + (at - start) as u32,
            text: file.text[start..end].trim_end_matches('\r'),
        })
    }

    /// The name under which the file at an offset was added, whatever its lines say that it is called.
    pub(crate) fn added_as(&self, offset: u32) -> Option<&str> {
        let offset = self.in_file(Span::new(offset, offset)).lo;
        Some(&self.files[self.file_of(offset)?].name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_one_based_and_follow_line_directives() {
        let mut map = SourceMap::default();
        map.add("a", "one\ntwo\n").unwrap();
        let second = map.add("b", "x\n  y\nz").unwrap();
        let base = map.file(second).base;
        assert_eq!(
            map.position(base + 4),
            Some(Position { file: "b", line: 2, column: 3, text: "  y" })
        );
        assert_eq!(map.text(Span::new(base + 4, base + 5)), "y");
        assert_eq!((map.text_of_file("b"), map.text_of_file("c")), (Some("x\n  y\nz"), None));
        map.renumber(base + 2, 100, Some("c".into()));
        let position = map.position(base + 6).unwrap();
        assert_eq!((position.file, position.line, position.column), ("c", 101, 1));
        assert_eq!((map.position(map.end() + 5), map.text_of_file("b")), (None, None));
        let third = map.add("d", "#line 1 \"e\"\nx\ny").unwrap();
        map.renumber(map.file(third).base + 12, 1, Some("e".into()));
        assert_eq!((map.text_of_file("d"), map.text_of_file("e")), (None, Some("x\ny")));
    }

    #[test]
    fn the_end_of_a_file_is_a_position_of_that_file() {
        let mut map = SourceMap::default();
        map.add("a", "one").unwrap();
        map.add("b", "two").unwrap();
        assert_eq!(map.position(3).unwrap().file, "a");
        assert_eq!(map.position(4).unwrap().file, "b");
    }
}
