//! Parsing: tokens to a syntax tree, by recursive descent (C++14 gram, with MSL's attributes).

mod class;
mod decl;
mod expr;
mod lambda;
pub(crate) mod scope;
mod stmt;
mod types;

use super::ast::*;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::lex::{Kind, Punct, Token};
use super::names::{Name, Names};
use super::source::Span;
use crate::soft::ir::hash::{FastMap, FastSet};
pub(super) use expr::assignment_operator;
use scope::{GLOBAL, Known, LIBRARY, ScopeIndex, Scopes};
use std::sync::Arc;

/// A construct could not be parsed; the error is already reported.
#[derive(Debug)]
struct Failed;

type Parse<T> = Result<T, Failed>;

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    names: &'a Names,
    diagnostics: &'a mut Diagnostics,
    scopes: Scopes,
    /// Member functions that are templates, by name only: the parser has no types of objects.
    member_templates: FastSet<Name>,
    /// The packs declared so far, by name only.
    packs: FastSet<Name>,
    /// The patterns that dots expand: the numbers of their first tokens, and of those after them.
    expansions: FastMap<usize, usize>,
    /// Inside a template argument list, where `>` ends the list.
    in_arguments: bool,
    /// The class whose body is being parsed: its name followed by '(' is a constructor.
    class_name: Option<Name>,
    /// Directly in a statement expression, not in a function in it.
    in_statements: bool,
    /// The scope of a class or enum that specifiers define.
    declare_in: Option<decl::Around>,
    depth: u32,
    /// Tokens read by attempts that were undone, limited to a multiple of the file's length: nested
    /// attempts must not take exponential time.
    wasted: usize,
    /// Cache of parsed paths with template arguments, by token and scope: looking ahead
    /// parses them repeatedly.
    paths: FastMap<(usize, ScopeIndex), ReadPath>,
}

/// A parsed path: what it names and where it ends, or its errors.
#[derive(Clone)]
enum ReadPath {
    Good(Path, Option<Known>, usize),
    Bad(Vec<Diagnostic>),
}

/// Maximum nesting of constructs. A parenthesis counts as three; at least the 256 brackets
/// that clang allows are accepted.
const MAX_DEPTH: u32 = 1024;
/// The longest operator or member chain.
const MAX_EXPR_DEPTH: u16 = 1000;
/// The tokens that undone attempts may read, as a multiple of the file's length.
const MAX_WASTE: usize = 64;

/// Parses a whole file.
pub(crate) fn parse(
    tokens: &[Token],
    names: &Names,
    library: &FastMap<Name, Known>,
    diagnostics: &mut Diagnostics,
) -> Vec<Decl> {
    let mut parser = Parser {
        tokens,
        at: 0,
        names,
        diagnostics,
        scopes: Scopes::new(library),
        member_templates: FastSet::default(),
        packs: FastSet::default(),
        expansions: FastMap::default(),
        in_arguments: false,
        class_name: None,
        in_statements: false,
        declare_in: None,
        depth: 0,
        wasted: 0,
        paths: FastMap::default(),
    };
    parser.scopes.declare(GLOBAL, Name::METAL, Known::Namespace(LIBRARY));
    parser.scopes.declare(LIBRARY, Name::METAL, Known::Namespace(LIBRARY));
    // The library declares the names of `<simd/simd.h>`.
    parser.scopes.declare(GLOBAL, Name::SIMD, Known::Namespace(LIBRARY));
    // The library's functions are in these namespaces too (MSL 6.1).
    for name in [Name::FAST, Name::PRECISE, Name::STD, Name::RAYTRACING] {
        parser.scopes.declare(LIBRARY, name, Known::Namespace(LIBRARY));
    }
    parser.file()
}

impl<'a> Parser<'a> {
    // The list ends with an end-of-file token, which is never consumed.
    fn token(&self) -> Token {
        self.tokens[self.at]
    }

    fn peek(&self, ahead: usize) -> Token {
        let (tokens, at) = (self.tokens, self.at + ahead);
        if at < tokens.len() { tokens[at] } else { tokens[tokens.len() - 1] }
    }

    fn is(&self, punct: Punct) -> bool {
        self.tokens[self.at].is(punct)
    }

    fn is_name(&self, name: Name) -> bool {
        self.tokens[self.at].is_name(name)
    }

    /// An identifier, not a keyword.
    fn is_ident(&self, ahead: usize) -> bool {
        let token = self.peek(ahead);
        matches!(token.kind, Kind::Ident) && !token.name.is_keyword()
    }

    fn at_end(&self) -> bool {
        matches!(self.tokens[self.at].kind, Kind::Eof)
    }

    fn step(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    fn advance(&mut self) -> Token {
        let token = self.token();
        self.step();
        token
    }

    fn eat(&mut self, punct: Punct) -> bool {
        let found = self.is(punct);
        if found {
            self.step();
        }
        found
    }

    fn eat_name(&mut self, name: Name) -> bool {
        let found = self.is_name(name);
        if found {
            self.step();
        }
        found
    }

    fn previous_span(&self) -> Span {
        let at = self.at;
        self.tokens[if at == 0 { 0 } else { at - 1 }].span
    }

    fn span_from(&self, start: Span) -> Span {
        start.to(self.previous_span())
    }

    fn fail<T>(&mut self, span: Span, message: impl Into<String>) -> Parse<T> {
        self.diagnostics.error(span, message);
        Err(Failed)
    }

    /// Reports a missing punctuator after the previous token, as clang does.
    fn expect(&mut self, punct: Punct) -> Parse<Token> {
        if self.is(punct) {
            return Ok(self.advance());
        }
        let span = match punct {
            Punct::Semi => self.previous_span().end(),
            _ => self.token().span,
        };
        self.fail(span, format!("expected '{}'", punct.text()))
    }

    fn ident(&mut self) -> Parse<Ident> {
        let token = self.token();
        if !self.is_ident(0) {
            return self.fail(token.span, "expected identifier");
        }
        self.advance();
        Ok(Ident { name: token.name, span: token.span })
    }

    fn text(&self, name: Name) -> &'a str {
        self.names.text(name)
    }

    /// Runs one level deeper; nesting that is too deep is an error instead of a stack overflow.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("nesting level exceeded maximum of {MAX_DEPTH}");
            let span = self.token().span;
            // Parsing stops here, as recovery would report the same error again.
            self.at = self.tokens.len() - 1;
            return self.fail(span, message);
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Attempts to parse; on failure restores the state and drops the diagnostics.
    fn attempt<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Option<T> {
        let (at, scope, reported) = (self.at, self.scopes.current, self.diagnostics.len());
        let in_arguments = self.in_arguments;
        if self.wasted > MAX_WASTE * (self.tokens.len() + 64) {
            return None;
        }
        match parse(self) {
            Ok(value) if self.diagnostics.len() == reported => Some(value),
            _ => {
                self.wasted += 1 + self.at.saturating_sub(at);
                self.at = at;
                self.scopes.current = scope;
                self.in_arguments = in_arguments;
                self.diagnostics.truncate(reported);
                None
            }
        }
    }

    /// Looks ahead: parses and restores the state.
    fn look<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Option<T> {
        let (at, scope) = (self.at, self.scopes.current);
        let result = self.attempt(parse);
        self.at = at;
        self.scopes.current = scope;
        result
    }

    /// Parses in brackets, where `>` is an operator again.
    fn bracketed<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        let outer = std::mem::replace(&mut self.in_arguments, false);
        let result = self.nested(parse);
        self.in_arguments = outer;
        result
    }

    /// Skips to the end of a broken declaration or statement: after the next ';' of this level,
    /// after a closed block, or before the '}' of the enclosing block.
    fn recover(&mut self) {
        let mut depth = 0u32;
        while !self.at_end() {
            match self.token().kind {
                Kind::Punct(Punct::Semi) if depth == 0 => {
                    self.advance();
                    return;
                }
                Kind::Punct(Punct::LBrace | Punct::LParen | Punct::LBracket) => depth += 1,
                Kind::Punct(Punct::RBrace) if depth == 0 => return,
                Kind::Punct(Punct::RBrace) if depth == 1 => {
                    self.advance();
                    self.eat(Punct::Semi);
                    return;
                }
                Kind::Punct(Punct::RBrace | Punct::RParen | Punct::RBracket) => {
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            self.advance();
        }
    }

    /// Skips a bracketed group; the opening bracket is the current token.
    fn skip_group(&mut self) -> Parse<()> {
        let open = self.token();
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Kind::Punct(Punct::LBrace | Punct::LParen | Punct::LBracket) => depth += 1,
                Kind::Punct(Punct::RBrace | Punct::RParen | Punct::RBracket) => depth -= 1,
                Kind::Eof => {
                    self.fail::<()>(self.token().span, "expected '}'")?;
                }
                _ => {}
            }
            self.advance();
            if depth == 0 {
                return Ok(());
            }
            if depth > 100_000 {
                return self
                    .fail(open.span, format!("nesting level exceeded maximum of {MAX_DEPTH}"));
            }
        }
    }

    // ---- names ---------------------------------------------------------------------------

    /// Whether `decltype(…)::` is next.
    fn decltype_scope_follows(&self) -> bool {
        if !self.is_name(Name::DECLTYPE) {
            return false;
        }
        let mut depth = 0u32;
        for (at, token) in self.tokens.iter().enumerate().skip(self.at + 1) {
            match token.kind {
                Kind::Punct(Punct::LParen) => depth += 1,
                Kind::Punct(Punct::RParen) if depth > 1 => depth -= 1,
                Kind::Punct(Punct::RParen) => {
                    return self.tokens.get(at + 1).is_some_and(|next| next.is(Punct::Scope));
                }
                Kind::Punct(Punct::Semi) | Kind::Eof => return false,
                _ => {}
            }
        }
        false
    }

    /// decltype: 'decltype' '(' expression ')'
    fn decltype_operand(&mut self) -> Parse<Expr> {
        self.advance();
        self.expect(Punct::LParen)?;
        let inner = self.bracketed(Self::expression)?;
        self.expect(Punct::RParen)?;
        Ok(inner)
    }

    /// path: '::'? (part '::')* part; part: name ('<' arguments '>')? | decltype
    /// Returns what the whole path denotes, as far as the parser knows.
    fn path(&mut self) -> Parse<(Path, Option<Known>)> {
        let key = (self.at, self.scopes.current);
        match self.paths.get(&key).cloned() {
            Some(ReadPath::Good(path, known, end)) => {
                self.at = end;
                return Ok((path, known));
            }
            Some(ReadPath::Bad(messages)) => {
                messages.into_iter().for_each(|message| self.diagnostics.restore(message));
                return Err(Failed);
            }
            None => {}
        }
        let reported = self.diagnostics.len();
        let result = self.nested(Self::path_inner);
        match &result {
            Ok((path, known)) => {
                if path.parts.iter().any(|part| part.arguments.is_some()) {
                    self.paths.insert(key, ReadPath::Good(path.clone(), *known, self.at));
                }
            }
            Err(_) => {
                let messages = self.diagnostics.iter().skip(reported).cloned().collect();
                self.paths.insert(key, ReadPath::Bad(messages));
            }
        }
        result
    }

    fn path_inner(&mut self) -> Parse<(Path, Option<Known>)> {
        let start = self.token().span;
        let global = self.eat(Punct::Scope);
        let mut parts = Vec::new();
        let mut scope = global.then_some(GLOBAL);
        let mut qualified = global;
        let mut dependent = false;
        if self.decltype_scope_follows() {
            let expr = Arc::new(self.decltype_operand()?);
            let span = self.span_from(start);
            parts.push(PathPart { name: Label::Decltype(expr), span, arguments: None });
            self.expect(Punct::Scope)?;
            (qualified, dependent) = (true, true);
        }
        loop {
            let forced = qualified && self.eat_name(Name::TEMPLATE);
            if self.is_name(Name::OPERATOR) || self.is(Punct::Tilde) && qualified {
                let (name, span) = self.special_label()?;
                parts.push(PathPart { name, span, arguments: None });
                return Ok((
                    Path { global, parts, span: self.span_from(start) },
                    Some(Known::Value),
                ));
            }
            let ident = self.ident()?;
            let known = match scope {
                Some(scope) => self.scopes.lookup_in(scope, ident.name),
                None if qualified => None,
                None => self.scopes.lookup(ident.name),
            };
            let template =
                forced || matches!(known, Some(Known::ClassTemplate(_) | Known::ValueTemplate));
            let mut kind = known;
            let mut arguments = None;
            if template && self.is(Punct::Less) {
                arguments = Some(self.template_arguments()?.into());
                if let Some(Known::ClassTemplate(members)) = known {
                    kind = Some(Known::Type(members));
                }
            }
            let span = self.span_from(ident.span);
            parts.push(PathPart { name: Label::Name(ident.name), span, arguments });
            if parts.len() > 200 {
                return self.fail(start, "nested name specifier is too long");
            }
            let path_ends = !self.is(Punct::Scope)
                || !(self.is_ident(1)
                    || self.peek(1).name == Name::TEMPLATE
                    || self.peek(1).name == Name::OPERATOR
                    || self.peek(1).is(Punct::Tilde));
            if path_ends {
                return Ok((Path { global, parts, span: self.span_from(start) }, kind));
            }
            self.advance();
            qualified = true;
            scope = match kind {
                Some(Known::Namespace(scope)) => Some(scope),
                Some(Known::Type(members) | Known::ClassTemplate(members)) => members,
                Some(Known::Value | Known::ValueTemplate) => None,
                None if scope.is_none() && !dependent && parts.len() == 1 => {
                    let name = self.text(ident.name);
                    return self.fail(ident.span, format!("use of undeclared identifier '{name}'"));
                }
                None => None,
            };
            dependent |= scope.is_none();
        }
    }

    /// special: '~' name | 'operator' (punctuator | '(' ')' | '[' ']' | type)
    fn special_label(&mut self) -> Parse<(Label, Span)> {
        let start = self.advance();
        if start.is(Punct::Tilde) {
            let ident = self.ident()?;
            return Ok((Label::Destructor(ident.name), self.span_from(start.span)));
        }
        let token = self.token();
        let label = match token.kind {
            Kind::Punct(open @ (Punct::LParen | Punct::LBracket)) => {
                self.advance();
                let close = if open == Punct::LParen { Punct::RParen } else { Punct::RBracket };
                self.expect(close)?;
                Label::Operator(open)
            }
            Kind::Punct(_) => match self.operator_token() {
                Some(punct) => Label::Operator(punct),
                None => return self.fail(token.span, "expected an operator"),
            },
            _ => {
                let start = self.token().span;
                let specifiers = self.specifiers(types::Where::TypeName)?;
                // A conversion's type has pointers and references, but no function part.
                let mut declarator = Declarator { span: start, ..Declarator::default() };
                self.pointer_operators(&mut declarator)?;
                let span = self.span_from(start);
                Label::Conversion(TypeName { specifiers, declarator, span }.into())
            }
        };
        Ok((label, self.span_from(start.span)))
    }

    /// arguments: '<' (argument (',' argument)*)? '>'
    fn template_arguments(&mut self) -> Parse<Vec<TemplateArgument>> {
        self.nested(|this| {
            this.expect(Punct::Less)?;
            let outer = std::mem::replace(&mut this.in_arguments, true);
            let mut list = Vec::new();
            let result = loop {
                if list.is_empty() && this.is(Punct::Greater) {
                    break Ok(());
                }
                match this.template_argument() {
                    Ok(argument) => list.push(argument),
                    Err(failed) => break Err(failed),
                }
                if !this.eat(Punct::Comma) {
                    break Ok(());
                }
            };
            this.in_arguments = outer;
            result?;
            this.expect(Punct::Greater)?;
            Ok(list)
        })
    }

    /// argument: (type-name | expression) '...'?     — a type where both are possible
    /// (C++14 temp.arg/2).
    fn template_argument(&mut self) -> Parse<TemplateArgument> {
        let from = self.at;
        let ends = |this: &Self| {
            this.is(Punct::Comma) || this.is(Punct::Greater) || this.is(Punct::Ellipsis)
        };
        let mut argument = None;
        if self.is_type_start() {
            argument = self.attempt(|this| {
                let name = this.type_name()?;
                if ends(this) { Ok(TemplateArgument::Type(name)) } else { Err(Failed) }
            });
        }
        let argument = match argument {
            Some(argument) => argument,
            None => TemplateArgument::Value(self.conditional_expr()?),
        };
        Ok(self.type_expansion(argument, from))
    }

    /// The argument that began at `from`; an expansion if dots follow, or were parsed as those of a
    /// declarator without a name.
    fn type_expansion(&mut self, mut argument: TemplateArgument, from: usize) -> TemplateArgument {
        let dots = match &mut argument {
            TemplateArgument::Type(name) => std::mem::take(&mut name.declarator.pack),
            _ => false,
        };
        if !dots && !self.is(Punct::Ellipsis) {
            return argument;
        }
        let mentioned = self.packs_since(from);
        if !dots {
            self.advance();
        }
        TemplateArgument::Expansion(Box::new(argument), mentioned)
    }

    /// The packs that the tokens since `from` mention: what their pattern expands. Those in expansions inside of it are expanded
    /// there.
    fn packs_since(&mut self, from: usize) -> Mentioned {
        let mut names: Vec<Name> = Vec::new();
        let mut at = from;
        while at < self.at {
            if let Some(&end) = self.expansions.get(&at).filter(|_| at != from) {
                at = end;
                continue;
            }
            let token = self.tokens[at];
            // `sizeof...(pack)` is a number, not an element.
            let counted = at >= 3
                && self.tokens[at - 1].is(Punct::LParen)
                && self.tokens[at - 2].is(Punct::Ellipsis)
                && self.tokens[at - 3].name == Name::SIZEOF;
            if self.packs.contains(&token.name) && !counted && !names.contains(&token.name) {
                names.push(token.name);
            }
            at += 1;
        }
        self.expansions.insert(from, self.at);
        names.into()
    }

    // ---- attributes ----------------------------------------------------------------------

    /// attributes: ('[[' attribute (',' attribute)* ']]' | '__attribute__' '((' … '))'
    ///            | 'alignas' '(' … ')')*
    fn attributes(&mut self, into: &mut Vec<Attribute>) -> Parse<()> {
        loop {
            if self.is(Punct::LBracket) && self.peek(1).is(Punct::LBracket) {
                self.advance();
                self.advance();
                self.attribute_list(Punct::RBracket, into)?;
                self.expect(Punct::RBracket)?;
                self.expect(Punct::RBracket)?;
            } else if self.eat_name(Name::ATTRIBUTE) {
                self.expect(Punct::LParen)?;
                self.expect(Punct::LParen)?;
                self.attribute_list(Punct::RParen, into)?;
                self.expect(Punct::RParen)?;
                self.expect(Punct::RParen)?;
            } else if self.is_name(Name::ALIGNAS) {
                let token = self.advance();
                self.expect(Punct::LParen)?;
                let argument = self.bracketed(|this| match this.is_type_start() {
                    true => {
                        let target = Box::new(this.type_name()?);
                        let span = target.span;
                        Ok(Expr::new(ExprKind::AlignofType(target), span))
                    }
                    false => this.conditional_expr(),
                })?;
                self.expect(Punct::RParen)?;
                into.push(Attribute {
                    name: Ident { name: token.name, span: token.span },
                    arguments: vec![argument],
                });
            } else {
                return Ok(());
            }
        }
    }

    fn attribute_list(&mut self, close: Punct, into: &mut Vec<Attribute>) -> Parse<()> {
        while !self.is(close) {
            if self.eat(Punct::Comma) {
                continue;
            }
            let mut token = self.advance();
            // `[[metal::buffer(0)]]`, `[[clang::loop]]`: the last name identifies the attribute.
            while self.eat(Punct::Scope) {
                token = self.advance();
            }
            if token.kind != Kind::Ident {
                return self.fail(token.span, "expected attribute name");
            }
            let mut arguments = Vec::new();
            if self.eat(Punct::LParen) {
                self.bracketed(|this| {
                    while !this.is(Punct::RParen) {
                        arguments.push(this.assignment_expr()?);
                        if !this.eat(Punct::Comma) {
                            break;
                        }
                    }
                    Ok(())
                })?;
                self.expect(Punct::RParen)?;
            }
            into.push(Attribute { name: Ident { name: token.name, span: token.span }, arguments });
        }
        Ok(())
    }

    fn skip_attributes(&mut self) -> Parse<()> {
        self.attributes(&mut Vec::new())
    }

    fn scoped<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        let outer: ScopeIndex = self.scopes.current;
        self.scopes.push_block();
        let result = parse(self);
        self.scopes.current = outer;
        result
    }
}

#[cfg(test)]
mod tests;
