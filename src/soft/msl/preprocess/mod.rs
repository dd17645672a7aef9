//! Preprocessing: directives, includes and macros (MSL 1.5.3, C++14 cpp). Turns text into the parser's tokens.

mod condition;
mod expand;
mod predefined;

use super::diagnostics::Diagnostics;
use super::lex::{self, JOINED, Kind, LINE_START, Punct, SPACE, Token};
use super::names::{Name, Names};
use super::source::{MAX_SOURCE, SourceMap, Span};
use crate::soft::ir::hash::{FastMap, FastSet};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// State shared by all files of one compilation.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) sources: SourceMap,
    pub(crate) names: Names,
    pub(crate) diagnostics: Diagnostics,
}

/// A `#define`.
#[derive(Debug, PartialEq)]
pub(crate) struct Macro {
    /// `None` for an object-like macro.
    parameters: Option<Vec<Name>>,
    /// The last parameter takes all remaining arguments.
    variadic: bool,
    body: Vec<Token>,
    /// The position of the name in the `#define`.
    name: Span,
}

/// The macros that are defined, by name.
pub(crate) type Macros = FastMap<Name, Arc<Macro>>;

/// A source of tokens: a file, an expansion, or a list that is expanded in isolation.
struct Frame {
    tokens: Arc<[Token]>,
    at: usize,
    origin: Origin,
}

enum Origin {
    /// A file; only files have directives. The number is the depth of conditionals at its start.
    File {
        conditionals: usize,
    },
    /// The macro that this frame expands; it is not expanded again inside (cpp.rescan/2).
    Macro(Name),
    List,
}

/// An `#if` group that is open.
struct Conditional {
    span: Span,
    /// A branch was already taken, or the whole group is skipped.
    taken: bool,
    /// The current branch is active.
    live: bool,
    seen_else: bool,
}

pub(crate) struct Preprocessor<'a> {
    context: &'a mut Context,
    macros: Macros,
    headers: &'a HashMap<String, String>,
    frames: Vec<Frame>,
    /// The macros that are being expanded.
    active: FastSet<Name>,
    conditionals: Vec<Conditional>,
    included_once: HashSet<String>,
    include_depth: u32,
    expand_depth: u32,
    /// The operand of a `_Pragma` is being read.
    in_pragma: bool,
    counter: u32,
    /// The number of tokens that expansions have made so far; at most [`MAX_TOKENS`].
    produced: usize,
    /// After a fatal error: no more tokens.
    stopped: bool,
}

/// The most tokens that macro expansion may make in one compilation.
const MAX_TOKENS: usize = 1 << 20;
const MAX_INCLUDE_DEPTH: u32 = 64;

/// The macros that exist before the first line.
pub(crate) fn predefined(names: &mut Names) -> Macros {
    let mut macros = Macros::default();
    for (name, body) in predefined::PREDEFINED {
        define_text(&mut macros, names, name, body);
    }
    for (name, parameters, body) in predefined::PREDEFINED_FUNCTIONS {
        let list = parameters.iter().map(|parameter| names.intern(parameter)).collect();
        define_with(&mut macros, names, name, Some(list), body);
    }
    macros
}

/// `-D name=body`.
pub(crate) fn define_text(macros: &mut Macros, names: &mut Names, name: &str, body: &str) {
    define_with(macros, names, name, None, body);
}

fn define_with(
    macros: &mut Macros,
    names: &mut Names,
    name: &str,
    parameters: Option<Vec<Name>>,
    body: &str,
) {
    let body = lex::lex(body, 0, names, &mut Diagnostics::default());
    let name = names.intern(name);
    let definition = Macro { parameters, variadic: false, body, name: Span::default() };
    macros.insert(name, Arc::new(definition));
}

/// Runs a file of the source map through the preprocessor.
pub(crate) fn preprocess(
    context: &mut Context,
    macros: Macros,
    headers: &HashMap<String, String>,
    file: usize,
) -> Vec<Token> {
    let mut preprocessor = Preprocessor {
        context,
        macros,
        headers,
        frames: Vec::new(),
        active: FastSet::default(),
        conditionals: Vec::new(),
        included_once: HashSet::new(),
        include_depth: 0,
        expand_depth: 0,
        in_pragma: false,
        counter: 0,
        produced: 0,
        stopped: false,
    };
    preprocessor.enter_file(file);
    let mut out = Vec::new();
    loop {
        let token = preprocessor.next();
        split(token, &mut out);
        if token.kind == Kind::Eof {
            break;
        }
    }
    out
}

/// Splits `>>`, `>=` and `>>=` for the parser, so that a template argument list can end inside them.
fn split(token: Token, out: &mut Vec<Token>) {
    let pieces: &[Punct] = match token.kind {
        Kind::Punct(Punct::Shr) => &[Punct::Greater, Punct::Greater],
        Kind::Punct(Punct::GreaterEq) => &[Punct::Greater, Punct::Assign],
        Kind::Punct(Punct::ShrEq) => &[Punct::Greater, Punct::Greater, Punct::Assign],
        _ => return out.push(token),
    };
    for (index, &piece) in pieces.iter().enumerate() {
        let joined = if index + 1 < pieces.len() { JOINED } else { 0 };
        let lo = token.span.lo + index as u32;
        // The last piece keeps the operator's end, for the ranges of diagnostics.
        let hi = if joined == 0 { token.span.hi } else { lo + 1 };
        let span = Span::new(lo.min(hi), hi);
        out.push(Token { kind: Kind::Punct(piece), flags: token.flags | joined, span, ..token });
    }
}

impl Preprocessor<'_> {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.context.diagnostics.error(span, message);
        if self.context.diagnostics.is_full() {
            self.stop();
        }
    }

    /// Skips the rest of all files.
    fn stop(&mut self) {
        self.frames.clear();
        self.conditionals.clear();
        self.stopped = true;
    }

    fn text(&self, token: &Token) -> &str {
        token.spelling(&self.context.names)
    }

    fn enter_file(&mut self, index: usize) {
        let context = &mut *self.context;
        let file = context.sources.file(index);
        let (text, base) = (file.text.as_str(), file.base);
        let tokens = lex::lex(text, base, &mut context.names, &mut context.diagnostics);
        let origin = Origin::File { conditionals: self.conditionals.len() };
        self.frames.push(Frame { tokens: tokens.into(), at: 0, origin });
    }

    /// The next token before macro expansion; executes the directives before it.
    fn raw(&mut self) -> Token {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return Token::eof(self.context.sources.end().saturating_sub(1));
            };
            let Some(&token) = frame.tokens.get(frame.at) else {
                self.leave_frame();
                continue;
            };
            frame.at += 1;
            if matches!(frame.origin, Origin::File { .. }) {
                if token.is(Punct::Hash) && token.has(LINE_START) {
                    self.directive();
                    continue;
                }
                if self.conditionals.last().is_some_and(|group| !group.live) {
                    continue;
                }
            }
            return token;
        }
    }

    fn leave_frame(&mut self) {
        match self.frames.pop().map(|frame| frame.origin) {
            Some(Origin::Macro(name)) => {
                self.active.remove(&name);
            }
            Some(Origin::File { conditionals }) => {
                while self.conditionals.len() > conditionals {
                    if let Some(group) = self.conditionals.pop() {
                        self.error(group.span, "unterminated conditional directive");
                    }
                }
                self.include_depth = self.include_depth.saturating_sub(1);
            }
            Some(Origin::List) | None => {}
        }
    }

    /// The rest of the directive's line.
    fn line(&mut self) -> Vec<Token> {
        let Some(frame) = self.frames.last_mut() else { return Vec::new() };
        let rest = &frame.tokens[frame.at..];
        let length = rest.iter().position(|token| token.has(LINE_START)).unwrap_or(rest.len());
        frame.at += length;
        rest[..length].to_vec()
    }

    /// directive: '#' name rest-of-line; called after the '#'.
    fn directive(&mut self) {
        let line = self.line();
        let Some((&head, rest)) = line.split_first() else { return };
        let live = self.conditionals.last().is_none_or(|group| group.live);
        match head.name {
            Name::IF | Name::IFDEF | Name::IFNDEF => return self.begin_group(head, rest, live),
            Name::ELIF | Name::ELSE | Name::ENDIF => return self.next_group(head, rest),
            _ if !live => return,
            Name::DEFINE => return self.define(head, rest),
            Name::UNDEF => return self.undef(head, rest),
            Name::INCLUDE | Name::IMPORT => return self.include(head, rest),
            Name::PRAGMA => return self.pragma(head.span, rest),
            Name::LINE => {}
            Name::ERROR | Name::WARNING => {
                let message = self.source_text(rest);
                let span = head.span;
                if head.name == Name::ERROR {
                    self.error(span, message);
                } else {
                    self.context.diagnostics.warning(span, message);
                }
                return;
            }
            _ => {}
        }
        if self.text(&head) == "line" {
            self.renumber(head, rest);
        } else {
            self.error(head.span, "invalid preprocessing directive");
        }
    }

    /// The text of a list of tokens, as the source spells it.
    fn source_text(&self, tokens: &[Token]) -> String {
        let mut text = String::new();
        for (index, token) in tokens.iter().enumerate() {
            if index > 0 && token.has(SPACE) {
                text.push(' ');
            }
            text.push_str(self.text(token));
        }
        text
    }

    fn begin_group(&mut self, head: Token, rest: &[Token], live: bool) {
        let holds = live
            && match head.name {
                Name::IF => self.condition(head.span, rest),
                _ => match rest.first() {
                    Some(token) if token.kind == Kind::Ident => {
                        self.is_defined(token.name) == (head.name == Name::IFDEF)
                    }
                    _ => {
                        self.error(head.span.end(), "macro name missing");
                        false
                    }
                },
            };
        // Inside a skipped group no branch is ever taken.
        self.conditionals.push(Conditional {
            span: head.span,
            taken: holds || !live,
            live: holds,
            seen_else: false,
        });
    }

    fn next_group(&mut self, head: Token, rest: &[Token]) {
        let floor = self.frames.iter().rev().find_map(|frame| match frame.origin {
            Origin::File { conditionals } => Some(conditionals),
            _ => None,
        });
        if self.conditionals.len() <= floor.unwrap_or(0) {
            let directive = self.text(&head).to_string();
            return self.error(head.span, format!("#{directive} without #if"));
        }
        let Some(mut group) = self.conditionals.pop() else { return };
        match head.name {
            Name::ENDIF => return,
            _ if group.seen_else => {
                let directive = self.text(&head).to_string();
                self.error(head.span, format!("#{directive} after #else"));
            }
            Name::ELSE => {
                group.seen_else = true;
                group.live = !group.taken;
            }
            _ => group.live = !group.taken && self.condition(head.span, rest),
        }
        group.taken |= group.live;
        self.conditionals.push(group);
    }

    fn is_defined(&self, name: Name) -> bool {
        self.macros.contains_key(&name)
            || matches!(name, Name::FILE | Name::LINE | Name::COUNTER | Name::DATE | Name::TIME)
            || matches!(name, Name::HAS_INCLUDE | Name::HAS_FEATURE | Name::HAS_BUILTIN)
            || matches!(name, Name::HAS_ATTRIBUTE | Name::HAS_EXTENSION)
    }

    fn condition(&mut self, span: Span, line: &[Token]) -> bool {
        let replaced = self.replace_queries(line);
        let expanded = self.expand_list(&replaced);
        let names = &self.context.names;
        let condition = condition::Condition { names, tokens: &expanded, at: 0, depth: 0 };
        match condition.evaluate() {
            Ok(holds) => holds,
            Err(message) => {
                let span = line.first().map_or(span, |first| first.span);
                self.error(span, message);
                false
            }
        }
    }

    /// Replaces `defined X`, `defined(X)`, `__has_include(<X>)` and similar by 1 or 0. This must
    /// happen before the names in them are expanded.
    fn replace_queries(&mut self, line: &[Token]) -> Vec<Token> {
        let mut out = Vec::with_capacity(line.len());
        let mut at = 0;
        while let Some(&token) = line.get(at) {
            at += 1;
            let answer = match token.name {
                Name::DEFINED => {
                    let parens = line.get(at).is_some_and(|next| next.is(Punct::LParen));
                    let name = line.get(at + usize::from(parens)).map_or(Name::EMPTY, |t| t.name);
                    at += if parens { 3 } else { 1 };
                    self.is_defined(name)
                }
                Name::HAS_INCLUDE
                | Name::HAS_FEATURE
                | Name::HAS_BUILTIN
                | Name::HAS_ATTRIBUTE
                | Name::HAS_EXTENSION => {
                    let length = line[at..].iter().position(|token| token.is(Punct::RParen));
                    let argument = &line[at..at + length.unwrap_or(line.len() - at)];
                    at += argument.len() + 1;
                    let name = self.source_text(argument.get(1..).unwrap_or(&[]));
                    let name = name.trim_matches(['<', '>', '"']);
                    token.name == Name::HAS_INCLUDE
                        && (predefined::is_library_header(name) || self.headers.contains_key(name))
                }
                _ => {
                    out.push(token);
                    continue;
                }
            };
            let name = self.context.names.intern(if answer { "1" } else { "0" });
            out.push(Token { kind: Kind::Number, name, ..token });
        }
        out
    }

    /// define: name replacement | name '(' parameters ')' replacement, no space before the '('
    fn define(&mut self, head: Token, rest: &[Token]) {
        let Some((&name, mut body)) =
            rest.split_first().filter(|(name, _)| name.kind == Kind::Ident)
        else {
            return self.error(head.span.end(), "macro name missing");
        };
        if name.name == Name::DEFINED {
            return self.error(name.span, "'defined' cannot be used as a macro name");
        }
        let mut parameters = None;
        let mut variadic = false;
        if let Some((open, after)) = body.split_first()
            && open.is(Punct::LParen)
            && !open.has(SPACE)
        {
            let mut list = Vec::new();
            body = after;
            loop {
                let Some((&token, after)) = body.split_first() else {
                    return self.error(open.span, "missing ')' in macro parameter list");
                };
                body = after;
                match token.kind {
                    Kind::Punct(Punct::RParen) => break,
                    Kind::Punct(Punct::Comma) => {}
                    Kind::Punct(Punct::Ellipsis) => {
                        // GNU's `args...` names the pack; a plain `...` is __VA_ARGS__.
                        let named = !after.is_empty() && !list.is_empty() && {
                            let at = rest.iter().position(|t| t.span == token.span).unwrap_or(0);
                            at > 0 && rest[at - 1].kind == Kind::Ident
                        };
                        if !named {
                            list.push(Name::VA_ARGS);
                        }
                        variadic = true;
                    }
                    Kind::Ident if list.contains(&token.name) => {
                        let name = self.text(&token).to_string();
                        return self
                            .error(token.span, format!("duplicate macro parameter name '{name}'"));
                    }
                    Kind::Ident => list.push(token.name),
                    _ => return self.error(token.span, "invalid token in macro parameter list"),
                }
            }
            parameters = Some(list);
        }
        let edge = |token: Option<&Token>| token.is_some_and(|token| token.is(Punct::HashHash));
        if edge(body.first()) || edge(body.last()) {
            return self.error(name.span, "'##' cannot appear at either end of a macro expansion");
        }
        let definition =
            Arc::new(Macro { parameters, variadic, body: body.to_vec(), name: name.span });
        let previous = self.macros.insert(name.name, definition.clone());
        if previous.is_some_and(|previous| !same_macro(&previous, &definition)) {
            let text = self.text(&name).to_string();
            self.context.diagnostics.warning(name.span, format!("'{text}' macro redefined"));
        }
    }

    fn undef(&mut self, head: Token, rest: &[Token]) {
        match rest.first() {
            Some(name) if name.kind == Kind::Ident => {
                self.macros.remove(&name.name);
            }
            _ => self.error(head.span.end(), "macro name missing"),
        }
    }

    /// include: '<' text '>' | string | macros that make one of them
    fn include(&mut self, head: Token, rest: &[Token]) {
        let expanded;
        let mut line = rest;
        if rest.first().is_some_and(|first| first.kind == Kind::Ident) {
            expanded = self.expand_list(rest);
            line = &expanded;
        }
        let name = match line {
            [only, ..] if only.kind == Kind::Str => lex::string(self.text(only)),
            [open, .., close] if open.is(Punct::Less) && close.is(Punct::Greater) => {
                // Spaces are part of a header's name, but no existing header has one.
                Some(self.source_text(&line[1..line.len() - 1]))
            }
            _ => None,
        };
        let Some(name) = name else {
            return self.error(head.span.end(), "expected \"FILENAME\" or <FILENAME>");
        };
        let own = self.headers.get(&name).map(String::as_str);
        // A header of the library has one name in all the forms of its includes.
        if let Some(text) = own.or_else(|| predefined::library_text(&name)) {
            if self.included_once.contains(&name) {
                return;
            }
            if self.include_depth >= MAX_INCLUDE_DEPTH {
                let message =
                    format!("#include nested too deeply: the limit is {MAX_INCLUDE_DEPTH}");
                return self.error(head.span, message);
            }
            let Some(file) = self.context.sources.add(&name, text) else {
                let message = format!(
                    "with '{name}' the source files have more than {MAX_SOURCE} bytes together, \
                     each counted as often as it is included; guard headers with '#pragma once'"
                );
                self.error(head.span, message);
                return self.stop();
            };
            self.include_depth += 1;
            self.enter_file(file);
        } else if !predefined::is_library_header(&name) {
            let span = rest.first().map_or(head.span, |first| first.span);
            self.error(span, format!("'{name}' file not found"));
        }
    }

    /// pragma: `once` marks this file; others are hints, or options of accuracy that change nothing here.
    fn pragma(&mut self, span: Span, rest: &[Token]) {
        if rest.first().is_some_and(|once| once.name == Name::ONCE)
            && let Some(file) = self.context.sources.added_as(span.lo)
        {
            self.included_once.insert(file.to_string());
        }
    }

    fn renumber(&mut self, head: Token, rest: &[Token]) {
        let line = self.expand_list(rest);
        let number = line.first().and_then(|token| self.text(token).parse::<u32>().ok());
        let Some(number) = number.filter(|_| line[0].kind == Kind::Number) else {
            return self
                .error(head.span.end(), "#line directive requires a positive integer argument");
        };
        let name = line.get(1).and_then(|token| lex::string(self.text(token)));
        // The directive takes effect on the next line.
        let text = self.context.sources.position(head.span.lo);
        let rest_of_line =
            text.map_or(0, |position| position.text.len() as u32 + 1 - position.column);
        self.context.sources.renumber(head.span.lo + rest_of_line + 1, number, name);
    }
}

fn same_macro(one: &Macro, other: &Macro) -> bool {
    let alike = |a: &Token, b: &Token| a.kind == b.kind && a.name == b.name;
    one.parameters == other.parameters
        && one.body.len() == other.body.len()
        && one.body.iter().zip(&other.body).all(|(a, b)| alike(a, b))
}

#[cfg(test)]
mod tests;
