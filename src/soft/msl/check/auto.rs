//! Variables whose type is that of their initial value (C++14 dcl.spec.auto).

use super::template::TemplateId;
use super::{Checker, Entity};
use crate::soft::msl::ast;
use crate::soft::msl::hir::Expr;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

impl Checker {
    /// `auto`, `auto*`, `const auto&` (dcl.spec.auto): the type of the initialiser, in the
    /// declarator's shape.
    pub(super) fn auto_value(
        &mut self,
        base: Qual,
        one: &ast::InitDeclarator,
        span: Span,
    ) -> (Qual, Option<Expr>) {
        let unknown = Qual::plain(Types::UNKNOWN);
        // An array of references is reported with its type.
        if let [ast::DeclaratorPart::Pointer { .. }, ast::DeclaratorPart::Array(..)]
        | [ast::DeclaratorPart::Array(..)] = one.declarator.parts[..]
        {
            let name = one.declarator.name.as_ref().map(|name| self.path_text(name));
            let name = name.unwrap_or_default();
            self.error(span, format!("'{name}' declared as array of 'auto'"));
            return (unknown, None);
        }
        let Some(expr) = one.init.single() else {
            let message =
                "declaration of variable with deduced type 'auto' requires an initializer";
            self.error(span, message);
            return (unknown, None);
        };
        if let (ast::ExprKind::InitList(_), ast::Init::Copy(_)) = (&expr.kind, &one.init)
            && let Some(list) = self.listed_auto(expr)
        {
            let qual = Qual { constant: base.constant, ..Qual::plain(list.qual.ty) };
            return (qual, Some(list));
        }
        if matches!(expr.kind, ast::ExprKind::InitList(_)) {
            self.error(span, "cannot deduce the type of 'auto' from a list");
            return (unknown, None);
        }
        let value = self.expr(expr);
        if value.qual.ty == Types::UNKNOWN {
            return (unknown, Some(self.error_expr(span)));
        }
        if let Some(&ast::DeclaratorPart::Reference { rvalue }) = one.declarator.parts.last() {
            // `auto&&` of an lvalue is `&` ([dcl.spec.auto]/4).
            let rvalue = rvalue && !self.source(&value).place;
            let referred = Qual {
                constant: value.qual.constant || base.constant,
                space: base.space.or(value.qual.space),
                ..value.qual
            };
            let qual = Qual::plain(self.types.intern(Ty::Reference(referred, rvalue)));
            let bound = self.implicit(value, qual, "bind a reference of type");
            return (qual, Some(bound));
        }
        let value = self.rvalue(value);
        if value.qual.ty == Types::VOID {
            self.error(span, "variable has incomplete type 'void'");
            return (unknown, None);
        }
        let constant = base.constant && one.declarator.parts.is_empty();
        let qual = Qual { constant, ..Qual::plain(value.qual.ty) };
        (qual, Some(value))
    }

    /// The variables of one declaration deduce one type ([dcl.spec.auto]/7): compares a variable's with the first one's.
    pub(super) fn compare_deduced(
        &mut self,
        simple: &ast::Simple,
        template: Option<TemplateId>,
        one: &ast::InitDeclarator,
        first: &mut Option<(Name, TyId)>,
    ) {
        if template.is_none() && !matches!(simple.specifiers.base, ast::BaseType::Auto) {
            return;
        }
        let Some(name) = one.declarator.name.as_ref().and_then(ast::Path::plain) else { return };
        let mut ty = match self.lookup_in(self.scope, name).first() {
            Some(Entity::Local(variable)) => self.variables[variable.0 as usize].qual.ty,
            Some(Entity::Global(global)) => self.globals[global.0 as usize].qual.ty,
            _ => return,
        };
        for _ in &one.declarator.parts {
            ty = match *self.types.get(ty) {
                Ty::Pointer(to) | Ty::Reference(to, _) => to.ty,
                _ => return,
            };
        }
        if ty == Types::UNKNOWN {
            return;
        }
        let &mut (other, known) = first.get_or_insert((name, ty));
        if known == ty {
            return;
        }
        let [a, b] = [known, ty].map(|ty| self.types.name(ty));
        let [other, name] = [other, name].map(|name| self.text(name));
        let what = if template.is_some() { "template arguments" } else { "'auto'" };
        let message = format!(
            "{what} deduced as '{a}' in declaration of '{other}' and deduced as '{b}' in declaration of '{name}'"
        );
        self.error(one.declarator.span, message);
    }
}
