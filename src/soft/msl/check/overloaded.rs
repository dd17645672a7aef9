//! Pointers to overloaded functions and to instances of templates ([over.over]).
//!
//! The name of such functions has no type of its own: it stands for the function that has the type that is required. Until that is
//! known the expression is [`ExprKind::Overloaded`].

use super::{Checker, Entity, FuncId};
use crate::soft::msl::ast::{Path, TemplateArgument};
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};
use std::sync::Arc;

/// A name of functions.
#[derive(Clone, Debug)]
pub(super) struct Overloaded {
    text: String,
    /// Functions and templates.
    list: Vec<Entity>,
    /// The template arguments after the name.
    explicit: Option<Arc<[TemplateArgument]>>,
}

impl Checker {
    /// The name of functions, one of which its context selects. If all template arguments of a single
    /// template are in the source, that is its instance ([over.over]/2).
    pub(super) fn name_of_functions(&mut self, path: &Path, list: &[Entity]) -> Expr {
        let (span, explicit) = (path.span, path.last().arguments.clone());
        if let ([Entity::Template(id)], Some(arguments)) = (list, &explicit)
            && let Ok(func) = self.template_candidate(*id, Some(arguments), &[], span)
            && let Some(pointer) = self.pointer_to_function(func, span)
        {
            return pointer;
        }
        let text = self.path_text(path);
        let number = self.overloaded.len() as u32;
        self.overloaded.push(Overloaded { text, list: list.to_vec(), explicit });
        self.value(ExprKind::Overloaded(number), Types::VOID, span)
    }

    /// The function of a name that has the type that a pointer has; `None` if there is not exactly one. Templates are not
    /// considered if another function has the type ([over.over]/4).
    pub(super) fn overload_of(&mut self, number: u32, to: TyId, span: Span) -> Option<FuncId> {
        let Ty::Pointer(pointee) = *self.types.get(to) else { return None };
        let Ty::Function(_, parameters) = self.types.get(pointee.ty) else { return None };
        let parameters: Vec<(Qual, bool)> = parameters
            .iter()
            .map(|&parameter| {
                let source = self.source_of(parameter);
                (source.qual, source.place)
            })
            .collect();
        let Overloaded { list, explicit, .. } = self.overloaded[number as usize].clone();
        let (mut plain, mut instances) = (Vec::new(), Vec::new());
        for entity in list {
            match entity {
                Entity::Function(id) if explicit.is_none() => plain.push(id),
                Entity::Template(id) => {
                    let explicit = explicit.as_deref();
                    instances.extend(self.deduced_for_pointer(id, explicit, &parameters, span));
                }
                _ => {}
            }
        }
        for list in [plain, instances] {
            let fitting: Vec<FuncId> =
                list.into_iter().filter(|&id| self.type_of_pointer(id) == Some(to)).collect();
            match fitting[..] {
                [] => {}
                [one] => return Some(one),
                _ => return None,
            }
        }
        None
    }

    /// The pointer that a name of functions is where a pointer of this type is required, or an error.
    pub(super) fn resolve_overloaded(&mut self, number: u32, to: TyId, span: Span) -> Expr {
        let found = self.overload_of(number, to, span);
        if let Some(pointer) = found.and_then(|id| self.pointer_to_function(id, span)) {
            return pointer;
        }
        let text = self.overloaded[number as usize].text.clone();
        let target = self.types.name(to);
        self.error(
            span,
            format!(
                "address of overloaded function '{text}' does not match required type '{target}'"
            ),
        );
        self.error_expr(span)
    }

    /// Reports a name of functions where no type is required.
    pub(super) fn unresolved_overloaded(&mut self, number: u32, span: Span) -> Expr {
        let text = self.overloaded[number as usize].text.clone();
        let message = format!(
            "reference to overloaded function '{text}' could not be resolved: a pointer type is required here"
        );
        self.error(span, message);
        self.error_expr(span)
    }
}
