//! `for (T x : range)`: over arrays, and over types with `begin` and `end` (C++14 stmt.ranged).

use super::Checker;
use super::lookup::Found;
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, AddressSpace};
use crate::soft::msl::hir::{Binary, Expr, ExprKind, Stmt, StmtKind};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, Types};
use std::sync::Arc;

impl Checker {
    /// `for (T x : range)` (stmt.ranged), over an array or a type with `begin` and `end`.
    pub(super) fn range_for(
        &mut self,
        variable: &Arc<ast::Simple>,
        range: &ast::Expr,
        body: &ast::Stmt,
        span: Span,
    ) -> Vec<Stmt> {
        let range = match range.kind {
            ast::ExprKind::InitList(_) => match self.listed_auto(range) {
                Some(list) => list,
                None => {
                    self.error(span, "the elements of a list in a 'for' have one type");
                    return Vec::new();
                }
            },
            _ => self.expr(range),
        };
        if range.qual.ty == Types::UNKNOWN {
            return Vec::new();
        }
        let Ty::Array(element, Some(count)) = *self.types.get(range.qual.ty) else {
            return self.iterate(variable, range, body);
        };
        let int = Types::scalar(Scalar::I32);
        let index = self.new_local("__index".into(), Qual::plain(int));
        let place =
            |this: &Self| Expr { place: true, ..this.value(ExprKind::Local(index), int, span) };
        let mut out = Vec::new();
        let zero = self.int_value(0, span);
        out.push(Stmt { kind: StmtKind::Let(index, Some(zero)), span });
        let at = place(self);
        let at = self.rvalue(at);
        let end = self.int_value(i64::from(count), span);
        let less = ExprKind::Binary(Binary::Lt, Box::new(at.clone()), Box::new(end));
        let condition = Some(self.value(less, Types::scalar(Scalar::Bool), span));
        let counter = place(self);
        let step = Some(self.value(ExprKind::Postfix(Box::new(counter), 1), int, span));
        let item = Expr {
            kind: ExprKind::Element(Box::new(range.clone()), Box::new(at)),
            qual: range.qual.with(element),
            place: range.place,
            span,
        };
        let body = self.scoped(|this| {
            let mut inner = Vec::new();
            this.range_variable(variable, item, &mut inner);
            let rest = this.loop_body(body);
            inner.push(Stmt { kind: StmtKind::Block(rest), span });
            inner
        });
        out.push(Stmt {
            kind: StmtKind::Loop { condition, after: false, before: Vec::new(), step, body },
            span,
        });
        out
    }

    /// The loop between `begin` and `end`, which are members or free functions ([stmt.ranged]/1).
    fn iterate(&mut self, variable: &Arc<ast::Simple>, range: Expr, body: &ast::Stmt) -> Vec<Stmt> {
        let span = range.span;
        let mut out = Vec::new();
        // The range is evaluated once: a reference to it, or its value.
        let range = match range.place {
            true => {
                let pointer = self.address_of(range, span);
                let pointer = self.hidden_local("__range", pointer, &mut out);
                self.deref(pointer, span)
            }
            false => self.hidden_local("__range", range, &mut out),
        };
        let class = self.types.structure(range.qual.ty).map(|found| found.0);
        let scope = class.map(|class| self.classes[class.0 as usize].scope);
        let member = scope.is_some_and(|scope| !self.lookup_in(scope, Name::BEGIN).is_empty());
        if !member
            && matches!(self.lookup(Name::BEGIN), Found::Nothing)
            && self.functions_beside(Name::BEGIN, std::slice::from_ref(&range)).is_empty()
        {
            let ty = self.types.name(range.qual.ty);
            let message =
                format!("invalid range expression of type '{ty}'; no viable 'begin' function");
            self.error(span, message);
            return Vec::new();
        }
        let mut end_of = |name, out: &mut Vec<Stmt>| {
            let value = match member {
                true => self.call_named_member(range.clone(), name, None, Vec::new(), span),
                false => {
                    let part =
                        ast::PathPart { name: ast::Label::Name(name), span, arguments: None };
                    let path = ast::Path { global: false, parts: vec![part], span };
                    self.call_path(&path, vec![range.clone()], span)
                }
            };
            self.hidden_local(if name == Name::BEGIN { "__begin" } else { "__end" }, value, out)
        };
        let at = end_of(Name::BEGIN, &mut out);
        let end = end_of(Name::END, &mut out);
        let differ = self.binary(Punct::NotEq, at.clone(), end, span);
        let condition = Some(self.condition_value(differ));
        let step = Some(self.unary_operator(Punct::Inc, at.clone(), span));
        let item = self.unary_operator(Punct::Star, at, span);
        let body = self.scoped(|this| {
            let mut inner = Vec::new();
            this.range_variable(variable, item, &mut inner);
            let rest = this.loop_body(body);
            inner.push(Stmt { kind: StmtKind::Block(rest), span });
            inner
        });
        let kind = StmtKind::Loop { condition, after: false, before: Vec::new(), step, body };
        out.push(Stmt { kind, span });
        out
    }

    /// An unnamed local with an initial value.
    fn hidden_local(&mut self, name: &str, value: Expr, out: &mut Vec<Stmt>) -> Expr {
        let span = value.span;
        if value.qual.ty == Types::UNKNOWN {
            return self.error_expr(span);
        }
        let value = self.rvalue(value);
        let qual = Qual { space: Some(AddressSpace::Thread), ..Qual::plain(value.qual.ty) };
        let local = self.new_local(name.into(), qual);
        out.push(Stmt { kind: StmtKind::Let(local, Some(value)), span });
        Expr { kind: ExprKind::Local(local), qual, place: true, span }
    }

    fn range_variable(&mut self, variable: &Arc<ast::Simple>, item: Expr, out: &mut Vec<Stmt>) {
        let Some(one) = variable.declarators.first() else { return };
        let base = self.specifiers(&variable.specifiers);
        let auto = matches!(variable.specifiers.base, ast::BaseType::Auto);
        let base = if auto {
            Qual {
                constant: base.constant,
                space: base.space.or(item.qual.space),
                ..Qual::plain(item.qual.ty)
            }
        } else {
            base
        };
        let mut qual = self.declared_type(base, &one.declarator);
        // `auto&&` of an lvalue is `&`.
        if auto
            && self.source(&item).place
            && let Ty::Reference(to, true) = *self.types.get(qual.ty)
        {
            qual = Qual::plain(self.types.intern(Ty::Reference(to, false)));
        }
        let span = item.span;
        if self.has_destructors && self.destructor_of(qual.ty).is_some() {
            self.unsupported(span, "a variable with a destructor in a range-based 'for' is");
        }
        let value = self.made_for_object(|this| {
            Some(this.implicit(item, qual, "initialize a variable of type"))
        });
        let Some(name) = one.declarator.name.as_ref().and_then(ast::Path::plain) else { return };
        let text = self.text(name);
        let local = self.new_local(text, Qual { space: Some(AddressSpace::Thread), ..qual });
        self.bind_local(name, local, one.declarator.span);
        out.push(Stmt { kind: StmtKind::Let(local, value), span });
    }
}
