//! Members without an object, in `sizeof`, `decltype` and `__builtin_offsetof` (C++14 expr.prim.general/13), where only their
//! types and places matter.

use super::lookup::FieldPath;
use super::{Checker, ScopeKind};
use crate::soft::msl::ast::{self, Label, Path};
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};

impl Checker {
    /// Checks an unevaluated operand (`sizeof`, `decltype`, constants).
    pub(super) fn unevaluated(&mut self, expr: &ast::Expr) -> Expr {
        self.unevaluated += 1;
        let checked = self.expr(expr);
        self.unevaluated -= 1;
        checked
    }

    /// An object of the class around, for `this` in the result that follows a member function's parameters.
    pub(super) fn object_unevaluated(&mut self, span: Span) -> Option<Expr> {
        if self.unevaluated == 0 {
            return None;
        }
        let mut at = Some(self.scope);
        while let Some(id) = at {
            let scope = &self.scopes[id.0 as usize];
            if let ScopeKind::Class(class) = scope.kind {
                return Some(self.some_object(class, span));
            }
            at = scope.parent;
        }
        None
    }

    fn some_object(&mut self, class: StructId, span: Span) -> Expr {
        let ty = self.types.intern(Ty::Struct(class));
        Expr { kind: ExprKind::Error, qual: Qual::plain(ty), place: true, span }
    }

    /// A member of an object that there is not.
    pub(super) fn member_unevaluated(
        &mut self,
        class: StructId,
        fields: &[u32],
        span: Span,
    ) -> Expr {
        let object = self.some_object(class, span);
        self.field(object, fields, span)
    }

    /// The data member that `Class::member` names.
    pub(super) fn member_named(&mut self, path: &Path) -> Option<(StructId, FieldPath)> {
        let Label::Name(name) = path.last().name else { return None };
        let scope = self.owner_scope(path)?;
        let ScopeKind::Class(class) = self.scopes[scope.0 as usize].kind else { return None };
        Some((class, self.field_path(class, name)?))
    }

    /// The offset and the type of the part of a class that `member`, `member.member` or `member[2]` is; `None` after an error.
    pub(super) fn offset_of(&mut self, class: TyId, part: &ast::Expr) -> Option<(u64, TyId)> {
        let (whole, member) = match &part.kind {
            ast::ExprKind::Path(path) => ((0, class), path),
            ast::ExprKind::Member { object, arrow: false, member } => {
                (self.offset_of(class, object)?, member)
            }
            ast::ExprKind::Index(array, index) => {
                let (offset, ty) = self.offset_of(class, array)?;
                let index = self.constant_int(index)?;
                let element = match *self.types.get(ty) {
                    Ty::Array(element, _) => Some(element),
                    _ => None,
                };
                let size = element.and_then(|element| self.types.layout(element));
                if let (Some(element), Some((size, _)), Ok(index)) =
                    (element, size, u64::try_from(index))
                {
                    return Some((offset.wrapping_add(index.wrapping_mul(size.into())), element));
                }
                self.error(part.span, "'__builtin_offsetof' needs an element of an array");
                return None;
            }
            _ => {
                self.error(part.span, "'__builtin_offsetof' needs the name of a member");
                return None;
            }
        };
        let (mut offset, mut ty) = whole;
        let found = match (member.plain(), self.types.structure(ty)) {
            (Some(name), Some((class, row))) if row.complete => self.field_path(class, name),
            _ => None,
        };
        let Some(path) = found else {
            if ty != Types::UNKNOWN {
                let (text, ty) = (self.path_text(member), self.types.name(ty));
                self.error(member.span, format!("no member named '{text}' in '{ty}'"));
            }
            return None;
        };
        for index in path {
            let field = &self.types.structure(ty)?.1.fields()[index as usize];
            if field.bits.is_some() {
                self.error(member.span, "a bit-field has no offset in bytes");
                return None;
            }
            offset += u64::from(field.offset);
            ty = field.qual.ty;
        }
        Some((offset, ty))
    }
}
