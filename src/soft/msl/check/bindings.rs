//! Structured bindings (C++17 dcl.struct.bind): names for the members, elements or components of an object.

use super::{Checker, Entity};
use crate::soft::msl::ast::{self, AddressSpace};
use crate::soft::msl::hir::{Expr, ExprKind, Stmt, StmtKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, Types};

impl Checker {
    pub(super) fn structured_bindings(&mut self, bindings: &ast::Bindings, out: &mut Vec<Stmt>) {
        let span = bindings.span;
        let Some(object) = self.bound_object(bindings, out) else { return };
        let Some(parts) = self.parts_of(&object, span) else {
            let ty = self.types.name(object.qual.ty);
            return self.error(span, format!("cannot decompose non-class, non-array type '{ty}'"));
        };
        if parts.len() != bindings.names.len() {
            let (ty, names) = (self.types.name(object.qual.ty), bindings.names.len());
            let count = parts.len();
            let message = format!(
                "type '{ty}' decomposes into {count} elements, but {names} names were provided"
            );
            return self.error(span, message);
        }
        let Some(owner) = self.body.as_ref().map(|body| body.owner) else { return };
        for (ident, part) in bindings.names.iter().zip(parts) {
            self.redefinition(ident.name, ident.span);
            self.bindings.push((owner, part));
            let entity = Entity::Binding(self.bindings.len() as u32 - 1);
            self.bind(self.scope, ident.name, entity);
        }
    }

    /// The object without a name that holds the value, or a reference to it.
    fn bound_object(&mut self, bindings: &ast::Bindings, out: &mut Vec<Stmt>) -> Option<Expr> {
        let span = bindings.span;
        let base = self.specifiers(&bindings.specifiers);
        let Some(expr) = bindings.init.single() else {
            self.error(span, "decomposition declaration requires an initializer");
            return None;
        };
        let mut bound = Qual::plain(Types::UNKNOWN);
        let value = self.made_for_object(|this| {
            let (qual, value) = this.bound_value(bindings, base, expr)?;
            bound = qual;
            Some(value)
        });
        let qual = Qual { space: Some(AddressSpace::Thread), ..bound };
        let local = self.new_local(String::new(), qual);
        out.push(Stmt { kind: StmtKind::Let(local, Some(value?)), span });
        self.note_cleanup(local, qual, span);
        Some(self.through_reference(Expr { kind: ExprKind::Local(local), qual, place: true, span }))
    }

    /// The type and the value of the object.
    fn bound_value(
        &mut self,
        bindings: &ast::Bindings,
        base: Qual,
        expr: &ast::Expr,
    ) -> Option<(Qual, Expr)> {
        let value = self.expr(expr);
        if value.qual.ty == Types::UNKNOWN {
            return None;
        }
        let ty = value.qual.ty;
        Some(if bindings.reference {
            let rvalue = bindings.rvalue && !self.source(&value).place;
            let constant = value.qual.constant || base.constant || !value.place && !rvalue;
            let space = Some(value.qual.space_or_thread());
            let referred = Qual { constant, space, ..value.qual };
            let reference = Qual::plain(self.types.intern(Ty::Reference(referred, rvalue)));
            (reference, self.implicit(value, reference, "bind a reference of type"))
        } else {
            // An array is copied, not converted to a pointer.
            let value = match value.place {
                true => self.stored(value),
                false => value,
            };
            (Qual { constant: base.constant, ..Qual::plain(ty) }, value)
        })
    }

    fn parts_of(&mut self, object: &Expr, span: Span) -> Option<Vec<Expr>> {
        let (element, count) = match *self.types.get(object.qual.ty) {
            Ty::Struct(id) => {
                let fields = self.types.class(id).fields().to_vec();
                let own = fields.iter().enumerate().filter(|(_, field)| !field.base);
                let numbers: Vec<u32> = own.map(|(at, _)| at as u32).collect();
                let part = |at: u32| self.field(object.clone(), &[at], span);
                return Some(numbers.into_iter().map(part).collect());
            }
            Ty::Array(element, Some(count)) => (element, count),
            Ty::Vector(scalar, width) => (Types::scalar(scalar), u32::from(width)),
            _ => return None,
        };
        let part = |at: u32| {
            let index = Box::new(self.int_value(i64::from(at), span));
            let kind = ExprKind::Element(Box::new(object.clone()), index);
            Expr { kind, qual: object.qual.with(element), place: object.place, span }
        };
        Some((0..count).map(part).collect())
    }
}
