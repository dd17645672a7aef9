//! Classes and enums (C++14 class, dcl.enum).

use super::decl::{Around, Delayed, Read};
use super::scope::{Known, ScopeIndex};
use super::types::Where;
use super::{Parse, Parser};
use crate::soft::msl::ast::*;
use crate::soft::msl::lex::Punct;
use crate::soft::msl::names::Name;
use std::sync::Arc;

impl Parser<'_> {
    /// class: ('struct' | 'class' | 'union') attributes name? (':' bases)? ('{' members '}')?
    pub(super) fn class(&mut self, place: Where) -> Parse<BaseType> {
        let start = self.advance();
        let kind = match start.name {
            Name::UNION => ClassKind::Union,
            Name::CLASS => ClassKind::Class,
            _ => ClassKind::Struct,
        };
        let around = self.declare_in.filter(|_| place == Where::Declaration).unwrap_or(Around {
            scope: self.scopes.current,
            template: false,
            member: false,
        });
        let mut attributes = Vec::new();
        self.attributes(&mut attributes)?;
        let name = match self.is_ident(0) || self.is(Punct::Scope) {
            true => Some(self.path()?.0),
            false => None,
        };
        self.eat_name(Name::FINAL);
        let defines =
            self.is(Punct::LBrace) || self.is(Punct::Colon) && place == Where::Declaration;
        if !defines {
            let Some(name) = name else {
                return self
                    .fail(start.span, "declaration of anonymous struct must be a definition");
            };
            // `struct S;` declares; `struct S x` refers.
            if let Some(plain) = name.plain()
                && (self.is(Punct::Semi) || self.scopes.lookup(plain).is_none())
            {
                self.declare_class(plain, around, None);
            }
            if !self.is(Punct::Semi) {
                return Ok(BaseType::Named(name));
            }
            let span = self.span_from(start.span);
            let bases = Vec::new();
            let class = Class { kind, name: Some(name), bases, members: None, attributes, span };
            return Ok(BaseType::Class(Arc::new(class)));
        }
        let outer = self.scopes.current;
        let scope = self.scopes.push();
        if let Some(plain) = name.as_ref().and_then(Path::plain) {
            self.scopes.current = outer;
            self.declare_class(plain, around, Some(scope));
            self.scopes.current = scope;
        } else if let Some(Path { parts, .. }) = &name
            && let Some(PathPart { name: Label::Name(last), arguments: None, .. }) = parts.last()
            && let Some(owner) = name.as_ref().and_then(|name| self.scope_of_owner(name))
        {
            // A nested class, defined outside of its class, sees that class's names.
            self.declare_class(*last, Around { scope: owner, ..around }, Some(scope));
            self.scopes.open(owner);
        }
        if let Some(Label::Name(injected)) = name.as_ref().map(|name| &name.last().name) {
            // Also in an explicit specialisation, whose name has arguments ([temp.local]/1).
            let specialises = name.as_ref().is_some_and(|name| name.last().arguments.is_some());
            let known = match around.template || specialises {
                true => Known::ClassTemplate(Some(scope)),
                false => Known::Type(Some(scope)),
            };
            self.scopes.declare(scope, *injected, known);
        }
        let body = self.class_body(name.as_ref(), scope);
        self.scopes.current = outer;
        let (bases, members) = body?;
        let span = self.span_from(start.span);
        let class = Class { kind, name, bases, members: Some(members), attributes, span };
        Ok(BaseType::Class(Arc::new(class)))
    }

    fn declare_class(&mut self, name: Name, around: Around, members: Option<ScopeIndex>) {
        let known = match around.template {
            true => Known::ClassTemplate(members),
            false => Known::Type(members),
        };
        self.scopes.declare(around.scope, name, known);
    }

    fn class_body(
        &mut self,
        name: Option<&Path>,
        scope: ScopeIndex,
    ) -> Parse<(Vec<Base>, Vec<Decl>)> {
        let mut bases = Vec::new();
        if self.eat(Punct::Colon) {
            loop {
                while matches!(
                    self.token().name,
                    Name::PUBLIC | Name::PRIVATE | Name::PROTECTED | Name::VIRTUAL
                ) {
                    self.advance();
                }
                self.eat_name(Name::TYPENAME);
                let from = self.at;
                let (base, known) = self.path()?;
                if let Some(Known::Type(Some(members))) = known {
                    self.scopes.open(members);
                }
                let expands = self.is(Punct::Ellipsis).then(|| self.packs_since(from));
                self.eat(Punct::Ellipsis);
                bases.push((base, expands));
                if !self.eat(Punct::Comma) {
                    break;
                }
            }
        }
        self.expect(Punct::LBrace)?;
        let plain = match name.map(|name| &name.last().name) {
            Some(Label::Name(name)) => Some(*name),
            _ => None,
        };
        let outer_name = std::mem::replace(&mut self.class_name, plain);
        let in_statements = std::mem::take(&mut self.in_statements);
        let outer_in = self.declare_in.take();
        let members = self.bracketed(|this| this.members(scope));
        self.class_name = outer_name;
        self.in_statements = in_statements;
        self.declare_in = outer_in;
        let members = members?;
        self.expect(Punct::RBrace)?;
        Ok((bases, members))
    }

    /// members: (access ':' | declaration)*
    fn members(&mut self, scope: ScopeIndex) -> Parse<Vec<Decl>> {
        let mut list = Vec::new();
        let mut delayed: Vec<Delayed> = Vec::new();
        while !self.is(Punct::RBrace) && !self.at_end() {
            if matches!(self.token().name, Name::PUBLIC | Name::PRIVATE | Name::PROTECTED)
                && self.peek(1).is(Punct::Colon)
            {
                self.advance();
                self.advance();
                list.push(Decl::Access);
                continue;
            }
            let before = self.at;
            let around = Around { scope, template: false, member: true };
            match self.nested(|this| this.any_declaration(around)) {
                Ok(Read::Whole(declaration)) => list.push(declaration),
                Ok(Read::Delayed(mut function)) => {
                    function.slot = list.len();
                    list.push(Decl::Empty);
                    delayed.push(function);
                    self.eat(Punct::Semi);
                }
                Err(_) => {
                    self.scopes.current = scope;
                    if self.at == before {
                        self.advance();
                    }
                    self.recover();
                    if self.diagnostics.is_full() {
                        return self.failed();
                    }
                }
            }
        }
        let end = self.at;
        for function in delayed {
            self.at = function.at;
            self.scopes.current = function.scope;
            let read = self.function_rest(function.specifiers, function.declarator, function.start);
            if let Ok(read) = read {
                let mut declaration = Decl::Function(Arc::new(read));
                for (parameters, span) in function.templates {
                    declaration =
                        Decl::Template(Arc::new(Template { parameters, declaration, span }));
                }
                list[function.slot] = declaration;
            }
        }
        self.scopes.current = scope;
        self.at = end;
        Ok(list)
    }

    /// enum: 'enum' ('class' | 'struct')? name? (':' type)? ('{' items '}')?
    pub(super) fn enumeration(&mut self, place: Where) -> Parse<BaseType> {
        let start = self.advance();
        let around = self.declare_in.filter(|_| place == Where::Declaration);
        let scope = around.map_or(self.scopes.current, |around| around.scope);
        let scoped = self.eat_name(Name::CLASS) || self.eat_name(Name::STRUCT);
        self.skip_attributes()?;
        let name = if self.is_ident(0) { Some(self.ident()?) } else { None };
        let underlying = match self.is(Punct::Colon) && place == Where::Declaration {
            true => {
                // The next name is not a part of the type: `typedef enum E : int E;`.
                let at = self.advance().span;
                let specifiers = self.specifiers(Where::TypeName)?;
                let span = self.span_from(at);
                Some(TypeName { specifiers, declarator: Declarator::default(), span })
            }
            false => None,
        };
        let mut items = None;
        if self.eat(Punct::LBrace) {
            let outer = self.scopes.current;
            let members = self.scopes.push();
            self.scopes.current = outer;
            let list = self.bracketed(|this| {
                let mut list = Vec::new();
                while !this.is(Punct::RBrace) {
                    let ident = this.ident()?;
                    this.skip_attributes()?;
                    let value = match this.eat(Punct::Assign) {
                        true => Some(this.conditional_expr()?),
                        false => None,
                    };
                    this.scopes.declare(members, ident.name, Known::Value);
                    if !scoped {
                        this.scopes.declare(scope, ident.name, Known::Value);
                    }
                    list.push((ident, value));
                    if !this.eat(Punct::Comma) {
                        break;
                    }
                }
                Ok(list)
            })?;
            self.expect(Punct::RBrace)?;
            items = Some(list);
            if let Some(name) = name {
                self.scopes.declare(scope, name.name, Known::Type(Some(members)));
            }
        } else if let Some(name) = name {
            // `enum E x`: a reference, unless it declares.
            if !self.is(Punct::Semi) && self.scopes.lookup(name.name).is_some() {
                let span = self.span_from(start.span);
                let parts = vec![PathPart { name: Label::Name(name.name), span, arguments: None }];
                return Ok(BaseType::Named(Path { global: false, parts, span }));
            }
            self.scopes.declare(scope, name.name, Known::Type(None));
        } else {
            return self.fail(self.token().span, "expected identifier or '{'");
        }
        Ok(BaseType::Enum(Arc::new(Enum { name, scoped, underlying, items })))
    }
}
