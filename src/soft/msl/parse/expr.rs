//! Expressions (C++14 expr), by precedence climbing.

use super::scope::Known;
use super::{Failed, MAX_EXPR_DEPTH, Parse, Parser};
use crate::soft::msl::ast::*;
use crate::soft::msl::lex::{self, JOINED, Kind, Literal, LiteralType, Punct};
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::traits::Trait;
use std::sync::Arc;

/// The levels of binary operators, from `||` up to `* / %` (expr.mul to expr.log.or).
fn precedence(punct: Punct) -> Option<u8> {
    use Punct::*;
    Some(match punct {
        OrOr => 1,
        AndAnd => 2,
        Pipe => 3,
        Caret => 4,
        Amp => 5,
        EqEq | NotEq => 6,
        Less | Greater | LessEq | GreaterEq => 7,
        Shl | Shr => 8,
        Plus | Minus => 9,
        Star | Slash | Percent => 10,
        _ => return None,
    })
}

/// The operator of a compound assignment; `Some(None)` for `=`.
pub(crate) fn assignment_operator(punct: Punct) -> Option<Option<Punct>> {
    use Punct::*;
    Some(match punct {
        Assign => None,
        PlusEq => Some(Plus),
        MinusEq => Some(Minus),
        StarEq => Some(Star),
        SlashEq => Some(Slash),
        PercentEq => Some(Percent),
        AmpEq => Some(Amp),
        PipeEq => Some(Pipe),
        CaretEq => Some(Caret),
        ShlEq => Some(Shl),
        ShrEq => Some(Shr),
        _ => return None,
    })
}

/// Whether packs can be folded with an operator (C++17 expr.prim.fold).
fn is_foldable(operator: Punct) -> bool {
    precedence(operator).is_some()
        || assignment_operator(operator).is_some()
        || operator == Punct::Comma
}

impl Parser<'_> {
    pub(super) fn node(&mut self, kind: ExprKind, span: Span) -> Parse<Expr> {
        let expr = Expr::new(kind, span);
        if expr.depth > MAX_EXPR_DEPTH {
            self.at = self.tokens.len() - 1;
            return self
                .fail(span, format!("expression depth exceeded maximum of {MAX_EXPR_DEPTH}"));
        }
        Ok(expr)
    }

    /// The next operator, and its number of tokens: `>>`, `>=` and `>>=` are split.
    fn operator(&self) -> Option<(Punct, usize)> {
        let Kind::Punct(punct) = self.token().kind else { return None };
        if punct != Punct::Greater || !self.token().has(JOINED) {
            return Some((punct, 1));
        }
        let second = self.peek(1);
        Some(match second.kind {
            Kind::Punct(Punct::Assign) => (Punct::GreaterEq, 2),
            _ if second.has(JOINED) => (Punct::ShrEq, 3),
            _ => (Punct::Shr, 2),
        })
    }

    /// Reads one operator, all its tokens.
    pub(super) fn operator_token(&mut self) -> Option<Punct> {
        let (punct, length) = self.operator()?;
        self.at += length;
        Some(punct)
    }

    /// expression: assignment (',' assignment)*
    pub(super) fn expression(&mut self) -> Parse<Expr> {
        let mut left = self.assignment_expr()?;
        while self.is(Punct::Comma) && !self.peek(1).is(Punct::Ellipsis) {
            self.advance();
            let right = self.assignment_expr()?;
            let span = left.span.to(right.span);
            left = self.node(ExprKind::Comma(Box::new(left), Box::new(right)), span)?;
        }
        Ok(left)
    }

    /// assignment: conditional (operator (assignment | init-list))?
    pub(super) fn assignment_expr(&mut self) -> Parse<Expr> {
        self.nested(|this| {
            let left = this.conditional_expr()?;
            let Some((punct, length)) = this.operator() else { return Ok(left) };
            let Some(operator) = assignment_operator(punct) else { return Ok(left) };
            let folds = this.peek(length).is(Punct::Ellipsis);
            if folds || this.in_arguments && this.is(Punct::Greater) {
                return Ok(left);
            }
            this.at += length;
            let right = match this.is(Punct::LBrace) {
                true => this.init_list()?,
                false => this.assignment_expr()?,
            };
            let span = left.span.to(right.span);
            this.node(ExprKind::Assign(operator, Box::new(left), Box::new(right)), span)
        })
    }

    /// conditional: binary ('?' expression? ':' assignment)?
    pub(super) fn conditional_expr(&mut self) -> Parse<Expr> {
        let condition = self.binary(1)?;
        if !self.eat(Punct::Question) {
            return Ok(condition);
        }
        self.nested(|this| {
            // GNU's `a ?: b` is `a` if that is not zero.
            if this.eat(Punct::Colon) {
                let no = this.assignment_expr()?;
                let span = condition.span.to(no.span);
                return this.node(ExprKind::Or(Box::new(condition), Box::new(no)), span);
            }
            let yes = this.bracketed(Self::expression)?;
            this.expect(Punct::Colon)?;
            let no = this.assignment_expr()?;
            let span = condition.span.to(no.span);
            let parts = (Box::new(condition), Box::new(yes), Box::new(no));
            this.node(ExprKind::Conditional(parts.0, parts.1, parts.2), span)
        })
    }

    /// binary: unary (operator unary)*, higher levels first
    fn binary(&mut self, least: u8) -> Parse<Expr> {
        let mut left = self.unary()?;
        while let Some((punct, length)) = self.operator() {
            let Some(level) = precedence(punct).filter(|&level| level >= least) else { break };
            // In template arguments the first `>` ends the list (C++14 [temp.names]/3).
            if self.in_arguments && self.is(Punct::Greater) {
                break;
            }
            // `(args && ...)` is a fold, which the caller parses.
            if self.peek(length).is(Punct::Ellipsis) {
                break;
            }
            self.at += length;
            let right = self.binary(level + 1)?;
            let span = left.span.to(right.span);
            left = self.node(ExprKind::Binary(punct, Box::new(left), Box::new(right)), span)?;
        }
        Ok(left)
    }

    /// unary: ('+' | '-' | '!' | '~' | '*' | '&' | '++' | '--') unary | 'sizeof' … | cast | postfix
    fn unary(&mut self) -> Parse<Expr> {
        self.nested(Self::unary_inner)
    }

    fn unary_inner(&mut self) -> Parse<Expr> {
        let token = self.token();
        match token.kind {
            Kind::Punct(
                punct @ (Punct::Plus
                | Punct::Minus
                | Punct::Not
                | Punct::Tilde
                | Punct::Star
                | Punct::Amp
                | Punct::Inc
                | Punct::Dec),
            ) => {
                self.advance();
                let operand = self.unary()?;
                let span = token.span.to(operand.span);
                self.node(ExprKind::Unary(punct, Box::new(operand)), span)
            }
            Kind::Punct(Punct::LParen) => self.parenthesized(),
            _ if token.name == Name::SIZEOF => self.sizeof_expr(),
            _ if matches!(token.name, Name::ALIGNOF | Name::ALIGNOF_GNU) => {
                self.advance();
                self.expect(Punct::LParen)?;
                let target = Box::new(self.bracketed(Self::type_name)?);
                self.expect(Punct::RParen)?;
                let span = self.span_from(token.span);
                self.node(ExprKind::AlignofType(target), span)
            }
            _ if token.name == Name::OFFSETOF => {
                self.advance();
                self.expect(Punct::LParen)?;
                let class = Box::new(self.bracketed(Self::type_name)?);
                self.expect(Punct::Comma)?;
                let part = Box::new(self.bracketed(Self::postfix)?);
                self.expect(Punct::RParen)?;
                let span = self.span_from(token.span);
                self.node(ExprKind::Offsetof(class, part), span)
            }
            _ => self.postfix(),
        }
    }

    /// sizeof: 'sizeof' ('(' type ')' | unary | '...' '(' name ')')
    fn sizeof_expr(&mut self) -> Parse<Expr> {
        let start = self.advance().span;
        if self.eat(Punct::Ellipsis) {
            self.expect(Punct::LParen)?;
            let pack = self.ident()?;
            self.expect(Punct::RParen)?;
            let span = self.span_from(start);
            return self.node(ExprKind::SizeofPack(pack), span);
        }
        let target = match self.is(Punct::LParen) {
            true => self.parenthesized_type(),
            false => None,
        };
        let kind = match target {
            Some(target) => ExprKind::SizeofType(Box::new(target)),
            None => ExprKind::SizeofExpr(Box::new(self.unary()?)),
        };
        let span = self.span_from(start);
        self.node(kind, span)
    }

    /// '(' type ')', if it is next.
    pub(super) fn parenthesized_type(&mut self) -> Option<TypeName> {
        let at = self.at;
        self.advance();
        let outer = std::mem::replace(&mut self.in_arguments, false);
        let is_type = self.is_type_start();
        self.in_arguments = outer;
        self.at = at;
        if !is_type {
            return None;
        }
        self.attempt(|this| {
            this.advance();
            let name = this.bracketed(Self::type_name)?;
            this.expect(Punct::RParen)?;
            Ok(name)
        })
    }

    /// parenthesized: '(' type ')' unary | '(' fold ')' | '(' block ')' | postfix on '(' expression ')'
    fn parenthesized(&mut self) -> Parse<Expr> {
        let start = self.token().span;
        if self.peek(1).is(Punct::LBrace) {
            let value = self.statement_expression()?;
            return self.postfix_operators(value);
        }
        let Some(target) = self.parenthesized_type() else { return self.postfix() };
        if self.is(Punct::LBrace) {
            let list = self.init_list()?;
            let span = self.span_from(start);
            let arguments = vec![list];
            let target = Box::new(target);
            let object =
                self.node(ExprKind::Construct { target, arguments, braces: true }, span)?;
            return self.postfix_operators(object);
        }
        let operand = self.unary()?;
        let span = start.to(operand.span);
        self.node(ExprKind::Cast(CastKind::C, Box::new(target), Box::new(operand)), span)
    }

    /// postfix: primary operators
    fn postfix(&mut self) -> Parse<Expr> {
        let primary = self.primary()?;
        self.postfix_operators(primary)
    }

    /// operators: ('[' expression ']' | '(' arguments ')' | ('.' | '->') member | '++' | '--')*
    fn postfix_operators(&mut self, mut left: Expr) -> Parse<Expr> {
        loop {
            let Kind::Punct(punct) = self.token().kind else { return Ok(left) };
            let kind = match punct {
                Punct::LBracket => {
                    self.advance();
                    let index = self.bracketed(|this| match this.is(Punct::LBrace) {
                        true => this.init_list(),
                        false => this.expression(),
                    })?;
                    self.expect(Punct::RBracket)?;
                    ExprKind::Index(Box::new(left.take()), Box::new(index))
                }
                Punct::LParen => {
                    self.advance();
                    ExprKind::Call(Box::new(left.take()), self.arguments()?)
                }
                Punct::Dot | Punct::Arrow => {
                    self.advance();
                    let member = self.member_path()?;
                    ExprKind::Member {
                        object: Box::new(left.take()),
                        arrow: punct == Punct::Arrow,
                        member,
                    }
                }
                Punct::Inc | Punct::Dec => {
                    self.advance();
                    ExprKind::Postfix(punct, Box::new(left.take()))
                }
                _ => return Ok(left),
            };
            let span = self.span_from(left.span);
            left = self.node(kind, span)?;
        }
    }

    /// member: 'template'? (name ('<' arguments '>')? | operator | '~' name | path)
    fn member_path(&mut self) -> Parse<Path> {
        let forced = self.eat_name(Name::TEMPLATE);
        let start = self.token();
        if self.is_name(Name::OPERATOR) || self.is(Punct::Tilde) {
            let (name, span) = self.special_label()?;
            return Ok(Path {
                global: false,
                parts: vec![PathPart { name, span, arguments: None }],
                span,
            });
        }
        let ident = self.ident()?;
        let mut arguments = None;
        if self.is(Punct::Less) {
            if forced {
                arguments = Some(self.template_arguments()?.into());
            } else if self.member_templates.contains(&ident.name) {
                arguments = self
                    .attempt(|this| {
                        let list = this.template_arguments()?;
                        if this.is(Punct::LParen) { Ok(list) } else { Err(Failed) }
                    })
                    .map(Into::into);
            }
        }
        let span = self.span_from(start.span);
        let mut parts = vec![PathPart { name: Label::Name(ident.name), span, arguments }];
        // `object.Base::member`
        if self.eat(Punct::Scope) {
            let rest = self.member_path()?;
            parts.extend(rest.parts);
        }
        Ok(Path { global: false, parts, span: self.span_from(start.span) })
    }

    /// arguments: (assignment | init-list) '...'? (',' …)* ')', after the '('
    pub(super) fn arguments(&mut self) -> Parse<Vec<Expr>> {
        let list = self.bracketed(|this| {
            let mut list = Vec::new();
            while !this.is(Punct::RParen) {
                let from = this.at;
                let argument = match this.is(Punct::LBrace) {
                    true => this.init_list()?,
                    false => this.assignment_expr()?,
                };
                list.push(this.expansion(argument, from)?);
                if !this.eat(Punct::Comma) {
                    break;
                }
            }
            Ok(list)
        })?;
        self.expect(Punct::RParen)?;
        Ok(list)
    }

    /// The pattern that began at `from`; an expansion if dots follow.
    fn expansion(&mut self, pattern: Expr, from: usize) -> Parse<Expr> {
        if !self.is(Punct::Ellipsis) {
            return Ok(pattern);
        }
        let mentioned = self.packs_since(from);
        self.advance();
        let span = self.span_from(pattern.span);
        self.node(ExprKind::Expansion(Arc::new(pattern), mentioned), span)
    }

    /// init-list: '{' ((designator '=')? (assignment | init-list) (',' …)* ','?)? '}'
    pub(super) fn init_list(&mut self) -> Parse<Expr> {
        let open = self.expect(Punct::LBrace)?;
        let items = self.bracketed(|this| {
            let mut items = Vec::new();
            while !this.is(Punct::RBrace) {
                let designator = this.designator()?;
                let from = this.at;
                let item = match this.is(Punct::LBrace) {
                    true => this.init_list()?,
                    false => this.assignment_expr()?,
                };
                items.push((designator, this.expansion(item, from)?));
                if !this.eat(Punct::Comma) {
                    break;
                }
            }
            Ok(items)
        })?;
        self.expect(Punct::RBrace)?;
        let span = self.span_from(open.span);
        self.node(ExprKind::InitList(items), span)
    }

    /// designator: '.' name | '[' expression ('...' expression)? ']' | name ':'
    fn designator(&mut self) -> Parse<Option<Designator>> {
        let designator = if self.is(Punct::Dot) && self.is_ident(1) {
            self.advance();
            Designator::Field(self.ident()?)
        } else if self.is_ident(0) && self.peek(1).is(Punct::Colon) {
            // GNU's old form, `{ member: value }`.
            let field = Designator::Field(self.ident()?);
            self.advance();
            return Ok(Some(field));
        } else if self.is(Punct::LBracket) && !self.lambda_follows() {
            self.advance();
            let elements = self.bracketed(|this| {
                let first = Arc::new(this.conditional_expr()?);
                let last = match this.eat(Punct::Ellipsis) {
                    true => Some(Arc::new(this.conditional_expr()?)),
                    false => None,
                };
                Ok(Designator::Elements(first, last))
            })?;
            self.expect(Punct::RBracket)?;
            elements
        } else {
            return Ok(None);
        };
        if !self.is(Punct::LBrace) {
            self.expect(Punct::Assign)?;
        }
        Ok(Some(designator))
    }

    /// Whether the '[' of a list's element begins a lambda and not a designator: by what follows the brackets.
    fn lambda_follows(&self) -> bool {
        let captures = self.peek(1);
        if matches!(captures.kind, Kind::Punct(Punct::RBracket | Punct::Assign | Punct::Amp))
            || captures.name == Name::THIS
        {
            return true;
        }
        let (mut ahead, mut open) = (1, 1);
        while open > 0 {
            match self.peek(ahead).kind {
                Kind::Punct(Punct::LBracket | Punct::LParen | Punct::LBrace) => open += 1,
                Kind::Punct(Punct::RBracket | Punct::RParen | Punct::RBrace) => open -= 1,
                Kind::Punct(Punct::Semi) | Kind::Eof => return false,
                _ => {}
            }
            ahead += 1;
        }
        let next = self.peek(ahead);
        matches!(next.kind, Kind::Punct(Punct::LParen | Punct::Arrow))
            || next.name == Name::MUTABLE
            || next.is(Punct::LBrace) && captures.kind == Kind::Ident
    }

    /// primary: literal | 'this' | '(' expression ')' | cast | type '(' … ')' | type '{' … '}' | path
    fn primary(&mut self) -> Parse<Expr> {
        let token = self.token();
        let span = token.span;
        match token.kind {
            Kind::Number => {
                self.advance();
                match lex::number(self.text(token.name)) {
                    Ok(literal) => self.node(ExprKind::Number(literal), span),
                    Err(message) => self.fail(span, message),
                }
            }
            Kind::Char => {
                self.advance();
                match lex::character(self.text(token.name)) {
                    Some(value) => self.node(ExprKind::Char(value), span),
                    None => self.fail(span, "invalid character literal"),
                }
            }
            Kind::Str => {
                self.advance();
                let mut pieces = vec![token.name];
                while self.token().kind == Kind::Str {
                    pieces.push(self.advance().name);
                }
                let span = self.span_from(span);
                self.node(ExprKind::Str(pieces), span)
            }
            Kind::Punct(Punct::LParen) => {
                self.advance();
                let inner = self.bracketed(Self::paren_inner)?;
                self.expect(Punct::RParen)?;
                let span = self.span_from(span);
                Ok(Expr { span, ..inner })
            }
            Kind::Punct(Punct::LBracket) => self.lambda(),
            Kind::Ident if token.name.is_keyword() => self.keyword_expr(),
            Kind::Ident | Kind::Punct(Punct::Scope) => self.path_expr(),
            _ => self.fail(span, "expected expression"),
        }
    }

    /// paren-inner: expression | fold
    fn paren_inner(&mut self) -> Parse<Expr> {
        let (start, from) = (self.token().span, self.at);
        // (... op pack)
        if self.eat(Punct::Ellipsis) {
            let span = self.token().span;
            let Some(operator) = self.operator_token().filter(|&operator| is_foldable(operator))
            else {
                return self.fail(span, "expected a foldable operator");
            };
            let pattern = self.unary()?;
            let mentioned = self.packs_since(from);
            let fold = Fold { operator, pattern, mentioned, init: None, left: true };
            let span = self.span_from(start);
            return self.node(ExprKind::Fold(Arc::new(fold)), span);
        }
        let first = self.expression()?;
        let Some((operator, length)) = self.operator() else { return Ok(first) };
        if !is_foldable(operator) || !self.peek(length).is(Punct::Ellipsis) {
            return Ok(first);
        }
        // (pack op ...), or with a value at one side: the side without packs is the value.
        let before = self.packs_since(from);
        self.at += length + 1;
        if self.is(Punct::RParen) {
            let fold =
                Fold { operator, pattern: first, mentioned: before, init: None, left: false };
            let span = self.span_from(start);
            return self.node(ExprKind::Fold(Arc::new(fold)), span);
        }
        self.operator_token();
        let middle = self.at;
        let second = self.unary()?;
        let after = self.packs_since(middle);
        let left = !after.is_empty();
        let (pattern, mentioned, init) =
            if left { (second, after, first) } else { (first, before, second) };
        let fold = Fold { operator, pattern, mentioned, init: Some(init), left };
        let span = self.span_from(start);
        self.node(ExprKind::Fold(Arc::new(fold)), span)
    }

    fn keyword_expr(&mut self) -> Parse<Expr> {
        let token = self.token();
        let span = token.span;
        let kind = match token.name {
            Name::TRUE | Name::FALSE => ExprKind::Bool(token.name == Name::TRUE),
            Name::NULLPTR => ExprKind::Nullptr,
            Name::THIS => ExprKind::This,
            Name::STATIC_CAST | Name::REINTERPRET_CAST | Name::CONST_CAST => {
                return self.named_cast();
            }
            Name::NOEXCEPT => {
                self.advance();
                self.skip_group()?;
                let span = self.span_from(span);
                return self.node(ExprKind::Noexcept, span);
            }
            Name::OPERATOR => return self.path_expr(),
            Name::DECLTYPE if self.decltype_scope_follows() => return self.path_expr(),
            // MSL 1.5.4.
            Name::NEW | Name::DELETE | Name::THROW => {
                let word = self.text(token.name);
                return self.fail(span, format!("'{word}' is not supported in Metal"));
            }
            _ if self.is_type_start() => return self.construct(),
            _ => return self.fail(span, "expected expression"),
        };
        self.advance();
        self.node(kind, span)
    }

    /// named-cast: ('static_cast' | 'reinterpret_cast' | 'const_cast') '<' type '>' '(' … ')'
    fn named_cast(&mut self) -> Parse<Expr> {
        let token = self.advance();
        let kind = match token.name {
            Name::STATIC_CAST => CastKind::Static,
            Name::CONST_CAST => CastKind::Const,
            _ => CastKind::Reinterpret,
        };
        self.expect(Punct::Less)?;
        let outer = std::mem::replace(&mut self.in_arguments, true);
        let target = self.type_name();
        self.in_arguments = outer;
        let target = Box::new(target?);
        self.expect(Punct::Greater)?;
        self.expect(Punct::LParen)?;
        let operand = Box::new(self.bracketed(Self::expression)?);
        self.expect(Punct::RParen)?;
        let span = self.span_from(token.span);
        self.node(ExprKind::Cast(kind, target, operand), span)
    }

    /// construct: type ('(' arguments ')' | init-list)
    fn construct(&mut self) -> Parse<Expr> {
        let start = self.token().span;
        // Only a simple type can precede '(' ([expr.type.conv]): no pointers, no arrays.
        let specifiers = self.specifiers(super::types::Where::TypeName)?;
        let span = self.span_from(start);
        let declarator = Declarator { span, ..Declarator::default() };
        let target = Box::new(TypeName { specifiers, declarator, span });
        self.construct_rest(target)
    }

    fn construct_rest(&mut self, target: Box<TypeName>) -> Parse<Expr> {
        let start = target.span;
        let (arguments, braces) = match self.is(Punct::LBrace) {
            true => (vec![self.init_list()?], true),
            false => {
                if !self.is(Punct::LParen) {
                    let span = self.token().span;
                    return self
                        .fail(span, "expected '(' for function-style cast or type construction");
                }
                self.advance();
                (self.arguments()?, false)
            }
        };
        let span = self.span_from(start);
        self.node(ExprKind::Construct { target, arguments, braces }, span)
    }

    /// trait: name '(' type '...'? (',' type '...'?)* ')'
    fn type_trait(&mut self, which: Trait, least: usize) -> Parse<Expr> {
        let start = self.advance().span;
        self.expect(Punct::LParen)?;
        let operands = self.bracketed(|this| {
            let mut list = Vec::new();
            while !this.is(Punct::RParen) {
                let from = this.at;
                let operand = TemplateArgument::Type(this.type_name()?);
                list.push(this.type_expansion(operand, from));
                if !this.eat(Punct::Comma) {
                    break;
                }
            }
            Ok(list)
        })?;
        self.expect(Punct::RParen)?;
        let span = self.span_from(start);
        if operands.len() < least {
            return self.fail(span, format!("type trait requires {least} arguments"));
        }
        self.node(ExprKind::Trait(which, operands), span)
    }

    /// A name of a value, a function, or a type that is constructed.
    fn path_expr(&mut self) -> Parse<Expr> {
        let span = self.token().span;
        if self.peek(1).is(Punct::LParen)
            && let Some((which, least)) = Trait::named(self.text(self.token().name))
        {
            return self.type_trait(which, least);
        }
        if self.is_name(Name::OPERATOR) {
            let (name, span) = self.special_label()?;
            let path =
                Path { global: false, parts: vec![PathPart { name, span, arguments: None }], span };
            return self.node(ExprKind::Path(path), span);
        }
        let (path, known) = self.path()?;
        let constructs = match known {
            Some(Known::Type(_) | Known::ClassTemplate(_)) => {
                self.is(Punct::LParen) || self.is(Punct::LBrace)
            }
            // `T::type{}`: only a type can be followed by a brace here.
            _ => false,
        };
        if constructs {
            let span = self.span_from(span);
            let specifiers = Specifiers { base: BaseType::Named(path), ..Specifiers::absent(span) };
            let declarator = Declarator { span, ..Declarator::default() };
            return self.construct_rest(Box::new(TypeName { specifiers, declarator, span }));
        }
        let span = path.span;
        self.node(ExprKind::Path(path), span)
    }
}

impl Expr {
    /// Moves the expression out, to replace it by a node that contains it.
    pub(super) fn take(&mut self) -> Expr {
        let empty = ExprKind::Number(Literal::Int(0, LiteralType::Int));
        std::mem::replace(self, Expr { kind: empty, span: self.span, depth: 1 })
    }
}
