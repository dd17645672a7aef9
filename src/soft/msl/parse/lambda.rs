//! Lambda expressions (C++14 expr.prim.lambda). The call operator is parsed as a member function; its `auto` parameters
//! make it a template.

use super::scope::Known;
use super::{Parse, Parser};
use crate::soft::msl::ast::*;
use crate::soft::msl::lex::{Kind, Punct};
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use std::sync::Arc;

/// The names of the types of `auto` parameters.
const GENERIC: [Name; 8] = [
    Name::AUTO_0,
    Name::AUTO_1,
    Name::AUTO_2,
    Name::AUTO_3,
    Name::AUTO_4,
    Name::AUTO_5,
    Name::AUTO_6,
    Name::AUTO_7,
];

impl Parser<'_> {
    /// lambda: '[' captures ']' ('(' parameters ')' 'mutable'? ('->' type)?)? attributes block
    pub(super) fn lambda(&mut self) -> Parse<Expr> {
        let start = self.token().span;
        let (default, captures) = self.captures()?;
        let (operator, mentioned) = self.operator_scope(start, false)?;
        let span = self.span_from(start);
        let lambda = Lambda { default, captures, operator, mentioned, statements: false };
        Ok(Expr::new(ExprKind::Lambda(Arc::new(lambda)), span))
    }

    /// statement-expression: '(' block ')': the last statement is its value. A lambda that is called at once.
    pub(super) fn statement_expression(&mut self) -> Parse<Expr> {
        let start = self.advance().span;
        let (mut operator, mentioned) = self.operator_scope(start, true)?;
        self.expect(Punct::RParen)?;
        if let Decl::Function(function) = &mut operator
            && let Some(Function { body: Body::Block(block), .. }) = Arc::get_mut(function)
            && let Some(last) = block.statements.last_mut()
            && let StmtKind::Expr(value) = &mut last.kind
        {
            last.kind = StmtKind::Return(Some(value.take()));
        }
        let span = self.span_from(start);
        let captures = Vec::new();
        let lambda =
            Lambda { default: Some(true), captures, operator, mentioned, statements: true };
        let lambda = Expr::new(ExprKind::Lambda(Arc::new(lambda)), span);
        self.node(ExprKind::Call(Box::new(lambda), Vec::new()), span)
    }

    /// captures: '[' ('=' | '&')? (','? ('&'? name ('...' | initializer)? | '*'? 'this'))* ']'
    fn captures(&mut self) -> Parse<(Option<bool>, Vec<Capture>)> {
        self.expect(Punct::LBracket)?;
        let ends = |this: &Self, at| {
            matches!(this.peek(at).kind, Kind::Punct(Punct::Comma | Punct::RBracket))
        };
        let mut default = None;
        if (self.is(Punct::Assign) || self.is(Punct::Amp)) && ends(self, 1) {
            default = Some(self.advance().is(Punct::Amp));
            self.eat(Punct::Comma);
        }
        let mut captures = Vec::new();
        while !self.is(Punct::RBracket) {
            let reference = self.eat(Punct::Amp);
            let object = self.is(Punct::Star) && self.peek(1).name == Name::THIS;
            if object {
                self.advance();
            }
            let token = self.token();
            let name = match token.name == Name::THIS {
                true => {
                    self.advance();
                    Ident { name: token.name, span: token.span }
                }
                false => self.ident()?,
            };
            let pack = self.eat(Punct::Ellipsis);
            let init = match self.eat(Punct::Assign) {
                true => Some(self.bracketed(Self::assignment_expr)?),
                false => None,
            };
            if init.is_some() {
                self.scopes.declare_here(name.name, Known::Value);
            }
            captures.push(Capture { name, reference, object, pack, init });
            if !self.eat(Punct::Comma) {
                break;
            }
        }
        self.expect(Punct::RBracket)?;
        Ok((default, captures))
    }

    /// The call operator of a lambda, or of the statements of a statement expression, in a scope of its own.
    fn operator_scope(&mut self, start: Span, statements: bool) -> Parse<(Decl, Mentioned)> {
        let outer = self.scopes.current;
        let around = std::mem::replace(&mut self.in_statements, statements);
        self.scopes.push();
        let operator = self.call_operator(start);
        self.scopes.current = outer;
        self.in_statements = around;
        operator
    }

    fn call_operator(&mut self, start: Span) -> Parse<(Decl, Mentioned)> {
        let mut signature = match self.is(Punct::LParen) {
            true => self.signature()?,
            false => Signature::empty(),
        };
        // They are hints, as of inlining.
        self.skip_attributes()?;
        signature.constant = !signature.mutable;
        let mut generic = Vec::new();
        for parameter in &mut signature.parameters {
            if !matches!(parameter.specifiers.base, BaseType::Auto) {
                continue;
            }
            let Some(&name) = GENERIC.get(generic.len()) else {
                return self.fail(start, "a lambda has at most 8 parameters of type 'auto'");
            };
            let span = parameter.specifiers.span;
            parameter.specifiers.base = BaseType::Named(Path::of(name, span));
            let pack = parameter.declarator.pack;
            if pack {
                parameter.expands = Some(vec![name].into());
            }
            let name = Some(Ident { name, span });
            generic.push(TemplateParameter::Type { name, default: None, pack });
        }
        let name = Label::Operator(Punct::LParen);
        let parts = vec![PathPart { name, span: start, arguments: None }];
        let declarator = Declarator {
            name: Some(Path { global: false, parts, span: start }),
            parts: vec![DeclaratorPart::Function(Arc::new(signature))],
            span: start,
            ..Declarator::default()
        };
        self.declare_parameters(&declarator);
        let from = self.at;
        let block = self.block()?;
        let mut mentioned: Vec<Name> = Vec::new();
        for token in &self.tokens[from..self.at] {
            if token.kind == Kind::Ident
                && (!token.name.is_keyword() || token.name == Name::THIS)
                && !mentioned.contains(&token.name)
            {
                mentioned.push(token.name);
            }
        }
        let specifiers = Specifiers { base: BaseType::Auto, ..Specifiers::absent(start) };
        let span = self.span_from(start);
        let body = Body::Block(block);
        let function = Function { specifiers, declarator, initializers: Vec::new(), body, span };
        let mut operator = Decl::Function(Arc::new(function));
        if !generic.is_empty() {
            let template = Template { parameters: generic, declaration: operator, span };
            operator = Decl::Template(Arc::new(template));
        }
        Ok((operator, mentioned.into()))
    }
}
