//! Macro expansion (C++14 cpp.replace): arguments, `#`, `##`, `__VA_OPT__`, rescanning.

use super::{Frame, MAX_TOKENS, Macro, Origin, Preprocessor};
use crate::soft::msl::diagnostics::Diagnostics;
use crate::soft::msl::lex::{self, Kind, LINE_START, PAINTED, Punct, SPACE, Token};
use crate::soft::msl::names::Name;
use crate::soft::msl::source::{Expansion, Position, Span};

/// Maximum nesting of macro calls in the arguments of macro calls.
const MAX_DEPTH: u32 = 64;

/// A token that `#` or `##` makes counts as one token per this many bytes of its text.
const TEXT_OF_TOKEN: usize = 64;

/// The positions of an expansion's tokens: its own range of the source map, or the position of the call.
#[derive(Clone, Copy)]
struct At {
    call: Span,
    expansion: Option<Expansion>,
}

impl At {
    fn of(&self, token: &Token) -> Span {
        self.expansion.map_or(self.call, |expansion| expansion.span(token.span))
    }
}

/// An argument as written, and fully expanded (cpp.subst/1); expanded on first use.
struct Argument {
    raw: Vec<Token>,
    expanded: Option<Vec<Token>>,
}

impl Preprocessor<'_> {
    pub(super) fn push_list(&mut self, tokens: Vec<Token>) {
        self.frames.push(Frame { tokens: tokens.into(), at: 0, origin: Origin::List });
    }

    /// Counts tokens made by macros; past the limit, reports one error and stops reading.
    fn charge(&mut self, span: Span, count: usize) -> bool {
        self.produced += count + 1;
        if self.produced <= MAX_TOKENS {
            return true;
        }
        if !self.stopped {
            let message = format!(
                "macro expansion makes too many tokens: the limit is {MAX_TOKENS} in a compilation; \
                 look for a macro that repeats its argument or another macro"
            );
            self.error(span, message);
        }
        self.stop();
        false
    }

    /// Counts a token that `#` or `##` makes by the length of its text.
    fn charge_text(&mut self, span: Span, length: usize) -> bool {
        self.charge(span, length / TEXT_OF_TOKEN)
    }

    /// The next token after macro expansion.
    pub(super) fn next(&mut self) -> Token {
        loop {
            let mut token = self.raw();
            if token.kind != Kind::Ident || token.has(PAINTED) {
                return token;
            }
            if token.name == Name::PRAGMA_OPERATOR && !self.in_pragma {
                self.pragma_operator(token);
                continue;
            }
            let Some(definition) = self.macros.get(&token.name).cloned() else {
                return self.builtin(token);
            };
            if self.active.contains(&token.name) {
                token.flags |= PAINTED;
                return token;
            }
            let arguments = match &definition.parameters {
                None => Vec::new(),
                Some(_) if !self.paren_follows() => return token,
                Some(_) => match self.arguments(token, &definition) {
                    Some(arguments) => arguments,
                    None => continue,
                },
            };
            let mut body = self.substitute(&definition, arguments, token.span);
            if let Some(first) = body.first_mut() {
                first.flags =
                    first.flags & !(SPACE | LINE_START) | token.flags & (SPACE | LINE_START);
            }
            if self.charge(token.span, body.len()) {
                let origin = Origin::Macro(token.name);
                self.frames.push(Frame { tokens: body.into(), at: 0, origin });
                self.active.insert(token.name);
            }
        }
    }

    /// Fully expands a list of tokens in isolation, as for a macro's argument.
    pub(super) fn expand_list(&mut self, tokens: &[Token]) -> Vec<Token> {
        if tokens.iter().all(|token| token.kind != Kind::Ident) {
            return tokens.to_vec();
        }
        self.expand_depth += 1;
        if self.expand_depth > MAX_DEPTH {
            let message = format!("macro expansion is nested too deeply: the limit is {MAX_DEPTH}");
            self.error(tokens[0].span, message);
            self.expand_depth -= 1;
            return Vec::new();
        }
        let outer = std::mem::take(&mut self.frames);
        self.push_list(tokens.to_vec());
        let mut out = Vec::new();
        loop {
            let token = self.next();
            if token.kind == Kind::Eof {
                break;
            }
            out.push(token);
        }
        if !self.stopped {
            self.frames = outer;
        }
        self.expand_depth -= 1;
        out
    }

    /// Whether the next token is a '(', in any open frame.
    fn paren_follows(&self) -> bool {
        let next = self.frames.iter().rev().find_map(|frame| frame.tokens.get(frame.at));
        next.is_some_and(|token| token.is(Punct::LParen))
    }

    /// arguments: '(' (tokens (',' tokens)*)? ')', commas inside parentheses not counted
    fn arguments(&mut self, name: Token, definition: &Macro) -> Option<Vec<Argument>> {
        let parameters = definition.parameters.as_deref().unwrap_or(&[]);
        self.raw();
        let mut arguments: Vec<Vec<Token>> = vec![Vec::new()];
        let mut depth = 0u32;
        loop {
            let token = self.raw();
            match token.kind {
                Kind::Eof => {
                    let text = self.text(&name).to_string();
                    self.error(
                        name.span,
                        format!("unterminated function-like macro invocation of '{text}'"),
                    );
                    return None;
                }
                Kind::Punct(Punct::LParen) => depth += 1,
                Kind::Punct(Punct::RParen) if depth == 0 => break,
                Kind::Punct(Punct::RParen) => depth -= 1,
                Kind::Punct(Punct::Comma)
                    if depth == 0
                        && !(definition.variadic && arguments.len() == parameters.len()) =>
                {
                    arguments.push(Vec::new());
                    continue;
                }
                _ => {}
            }
            // A name that is found inside its own expansion is never expanded later (cpp.rescan/2).
            let painted = token.kind == Kind::Ident && self.active.contains(&token.name);
            let flags = token.flags | if painted { PAINTED } else { 0 };
            if let Some(last) = arguments.last_mut() {
                last.push(Token { flags, ..token });
            }
        }
        if parameters.is_empty() && arguments.len() == 1 && arguments[0].is_empty() {
            arguments.clear();
        }
        if definition.variadic && arguments.len() + 1 == parameters.len() {
            arguments.push(Vec::new());
        }
        if arguments.len() != parameters.len() {
            let few = if arguments.len() < parameters.len() { "few" } else { "many" };
            self.error(
                name.span,
                format!("too {few} arguments provided to function-like macro invocation"),
            );
            return None;
        }
        Some(arguments.into_iter().map(|raw| Argument { raw, expanded: None }).collect())
    }

    /// The body with its parameters replaced. Its tokens get positions of this expansion, so that
    /// diagnostics can show both the call and the macro; arguments keep their own positions.
    fn substitute(&mut self, definition: &Macro, arguments: Vec<Argument>, at: Span) -> Vec<Token> {
        let mut arguments = arguments;
        let body = match (definition.body.first(), definition.body.last()) {
            (Some(first), Some(last)) => Span::new(first.span.lo, last.span.hi),
            _ => return Vec::new(),
        };
        let expansion = self.context.sources.expand(definition.name, body, at);
        let at = At { call: at, expansion };
        self.substitute_list(&definition.body, definition, &mut arguments, at)
    }

    fn substitute_list(
        &mut self,
        body: &[Token],
        definition: &Macro,
        arguments: &mut [Argument],
        at: At,
    ) -> Vec<Token> {
        let parameters = definition.parameters.as_deref().unwrap_or(&[]);
        let function_like = definition.parameters.is_some();
        let parameter = |token: &Token| {
            if !matches!(token.kind, Kind::Ident) {
                return None;
            }
            let mut at = 0;
            while at < parameters.len() {
                if token.is_name(parameters[at]) {
                    return Some(at);
                }
                at += 1;
            }
            None
        };
        let mut out: Vec<Token> = Vec::with_capacity(body.len());
        // The left operand of `##` is empty: a placemarker.
        let mut left_is_empty = true;
        let mut index = 0;
        while let Some(&token) = body.get(index) {
            // The caller counts the whole list only at the end: bound the list here, too.
            if self.stopped || out.len() > MAX_TOKENS {
                break;
            }
            index += 1;
            // Most tokens are nothing special.
            let is_plain =
                !matches!(token.kind, Kind::Ident | Kind::Punct(Punct::Hash | Punct::HashHash));
            if is_plain {
                out.push(Token { span: at.of(&token), ..token });
                left_is_empty = false;
                continue;
            }
            if token.is(Punct::HashHash) && index > 1 {
                let Some(&next) = body.get(index) else { break };
                let used;
                let right: Vec<Token> = match parameter(&next) {
                    Some(number) => {
                        used = 1;
                        let raw = arguments[number].raw.clone();
                        let last = number + 1 == parameters.len();
                        // GNU: in `, ## __VA_ARGS__` the comma is removed when there are no arguments,
                        // and is not pasted when there are.
                        if definition.variadic
                            && last
                            && out.last().is_some_and(|t| t.is(Punct::Comma))
                        {
                            index += 1;
                            if raw.is_empty() {
                                out.pop();
                            } else {
                                let expanded = self.expanded(&mut arguments[number]);
                                out.extend(expanded);
                            }
                            left_is_empty = false;
                            continue;
                        }
                        raw
                    }
                    None if next.name == Name::VA_OPT && definition.variadic => {
                        let (inner, length) = va_opt(&body[index..]);
                        used = length;
                        let inner = inner.to_vec();
                        self.va_opt_tokens(&inner, definition, arguments, at)
                    }
                    None => {
                        used = 1;
                        vec![Token { span: at.of(&next), ..next }]
                    }
                };
                index += used;
                let mut right = right.into_iter();
                match (left_is_empty, right.next()) {
                    (_, None) => {}
                    (true, Some(first)) => out.push(first),
                    (false, Some(first)) => {
                        let pasted = match out.pop() {
                            Some(left) => self.paste(left, first, at.of(&token)),
                            None => first,
                        };
                        out.push(pasted);
                    }
                }
                out.extend(right);
                left_is_empty &= out.is_empty();
                continue;
            }
            if token.is(Punct::Hash) && function_like {
                if let Some(number) = body.get(index).and_then(&parameter) {
                    index += 1;
                    out.push(self.stringify(&arguments[number].raw, token, at.of(&token)));
                    left_is_empty = false;
                } else {
                    self.error(token.span, "'#' is not followed by a macro parameter");
                }
                continue;
            }
            let before = out.len();
            if token.name == Name::VA_OPT && definition.variadic {
                let (inner, length) = va_opt(&body[index - 1..]);
                index += length - 1;
                let inner = inner.to_vec();
                out.extend(self.va_opt_tokens(&inner, definition, arguments, at));
            } else if let Some(number) = parameter(&token) {
                let pasted = body.get(index).is_some_and(|next| next.is(Punct::HashHash));
                if pasted {
                    out.extend(arguments[number].raw.iter().copied());
                } else {
                    let expanded = self.expanded(&mut arguments[number]);
                    out.extend(expanded);
                }
                if let Some(first) = out.get_mut(before) {
                    first.flags = first.flags & !SPACE | token.flags & SPACE;
                }
            } else {
                out.push(Token { span: at.of(&token), ..token });
            }
            left_is_empty = out.len() == before;
        }
        out
    }

    /// `__VA_OPT__(tokens)`: the tokens if the variable arguments are not empty.
    fn va_opt_tokens(
        &mut self,
        inner: &[Token],
        definition: &Macro,
        arguments: &mut [Argument],
        at: At,
    ) -> Vec<Token> {
        let present = match arguments.last_mut() {
            Some(last) => !self.expanded(last).is_empty(),
            None => false,
        };
        // [cpp.subst]: __VA_OPT__ does not nest, which also bounds this recursion.
        if !present || inner.iter().any(|token| token.name == Name::VA_OPT) {
            return Vec::new();
        }
        self.substitute_list(inner, definition, arguments, at)
    }

    fn expanded(&mut self, argument: &mut Argument) -> Vec<Token> {
        if argument.expanded.is_none() {
            argument.expanded = Some(self.expand_list(&argument.raw));
        }
        argument.expanded.clone().unwrap_or_default()
    }

    /// `#`: the spelling of an argument as a string literal (cpp.stringize).
    fn stringify(&mut self, tokens: &[Token], hash: Token, at: Span) -> Token {
        let length = tokens.iter().map(|token| 1 + self.text(token).len()).sum();
        if !self.charge_text(at, length) {
            return hash;
        }
        let mut text = String::from("\"");
        for (index, token) in tokens.iter().enumerate() {
            if index > 0 && token.has(SPACE | LINE_START) {
                text.push(' ');
            }
            let spelling = self.text(token);
            if matches!(token.kind, Kind::Str | Kind::Char) {
                text.push_str(&spelling.replace('\\', "\\\\").replace('"', "\\\""));
            } else {
                text.push_str(spelling);
            }
        }
        text.push('"');
        let name = self.context.names.intern(&text);
        Token { kind: Kind::Str, name, span: at, flags: hash.flags & SPACE }
    }

    /// `##`: two tokens become one (cpp.concat).
    fn paste(&mut self, left: Token, right: Token, at: Span) -> Token {
        if !self.charge_text(at, self.text(&left).len() + self.text(&right).len()) {
            return left;
        }
        let text = format!("{}{}", self.text(&left), self.text(&right));
        let mut quiet = Diagnostics::default();
        let tokens = lex::lex(&text, 0, &mut self.context.names, &mut quiet);
        match tokens[..] {
            [token] if token.kind != Kind::Stray => {
                Token { span: at, flags: left.flags & (SPACE | LINE_START), ..token }
            }
            _ => {
                self.error(at, format!("pasting formed '{text}', an invalid preprocessing token"));
                left
            }
        }
    }

    /// `__LINE__` and the other macros that the preprocessor computes.
    fn builtin(&mut self, token: Token) -> Token {
        let position = |this: &Self, write: fn(&Position<'_>) -> String| {
            this.context
                .sources
                .position(token.span.lo)
                .map(|position| write(&position))
                .unwrap_or_default()
        };
        let (kind, text) = match token.name {
            Name::LINE => (Kind::Number, position(self, |position| position.line.to_string())),
            Name::FILE => (Kind::Str, position(self, |position| format!("{:?}", position.file))),
            Name::COUNTER => {
                self.counter += 1;
                (Kind::Number, (self.counter - 1).to_string())
            }
            // Builds are reproducible: the date and the time are fixed.
            Name::DATE => (Kind::Str, "\"Jan  1 1970\"".into()),
            Name::TIME => (Kind::Str, "\"00:00:00\"".into()),
            Name::INCLUDE_LEVEL => (Kind::Number, self.include_depth.to_string()),
            _ => return token,
        };
        let name = self.context.names.intern(&text);
        Token { kind, name, ..token }
    }

    /// `_Pragma("text")` is `#pragma text` (cpp.pragma.op).
    fn pragma_operator(&mut self, at: Token) {
        // As in clang, a macro may make the string: `_Pragma(TEXT(unroll(4)))`.
        self.in_pragma = true;
        let [open, text, close] = [self.next(), self.next(), self.next()];
        self.in_pragma = false;
        if !open.is(Punct::LParen) || text.kind != Kind::Str || !close.is(Punct::RParen) {
            return self.error(at.span, "_Pragma takes a parenthesized string literal");
        }
        let text = lex::string(self.text(&text)).unwrap_or_default();
        let mut quiet = Diagnostics::default();
        let line = lex::lex(&text, 0, &mut self.context.names, &mut quiet);
        self.pragma(at.span, &line);
    }
}

/// `__VA_OPT__ ( tokens )` at the front of a list: the tokens, and the length including `__VA_OPT__` and the parentheses.
fn va_opt(list: &[Token]) -> (&[Token], usize) {
    let mut depth = 0u32;
    for (index, token) in list.iter().enumerate().skip(1) {
        match token.kind {
            Kind::Punct(Punct::LParen) => depth += 1,
            Kind::Punct(Punct::RParen) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let end = index.max(2);
            return (list.get(2..end).unwrap_or(&[]), index + 1);
        }
    }
    (&[], list.len().max(1))
}
