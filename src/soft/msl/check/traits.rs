//! The values of the compiler's type traits (C++14 meta.unary, meta.rel). Those of numbers are true of vectors of
//! such numbers too, as in Metal's library.

use super::Checker;
use super::convert::{Rank, Source};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast;
use crate::soft::msl::hir::{Constant, Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::traits::Trait;
use crate::soft::msl::types::{Qual, Ty, Types};

impl Checker {
    pub(super) fn trait_value(
        &mut self,
        which: Trait,
        operands: &[ast::TemplateArgument],
        span: Span,
    ) -> Expr {
        let types = self.explicit_types(operands);
        let Some(types) = types.filter(|list| list.iter().all(|one| one.ty != Types::UNKNOWN))
        else {
            return self.error_expr(span);
        };
        let holds = self.has_trait(which, &types);
        let kind = ExprKind::Constant(Constant::Int(u64::from(holds)));
        self.value(kind, Types::scalar(Scalar::Bool), span)
    }

    fn has_trait(&mut self, which: Trait, types: &[Qual]) -> bool {
        let [first, rest @ ..] = types else { return false };
        let ty = self.types.get(first.ty).clone();
        let number = |wanted: fn(Scalar) -> bool| match ty {
            Ty::Scalar(scalar) | Ty::Vector(scalar, _) | Ty::Packed(scalar, _) => wanted(scalar),
            _ => false,
        };
        let class = self.types.structure(first.ty).map(|(_, row)| row);
        let second = rest.first().copied();
        match which {
            Trait::Abstract | Trait::Final | Trait::Polymorphic | Trait::RvalueReference => false,
            Trait::Arithmetic => number(|_| true),
            Trait::Integral => number(|scalar| !scalar.is_float()),
            Trait::FloatingPoint => number(Scalar::is_float),
            Trait::Signed => number(|scalar| scalar.is_float() || scalar.is_signed()),
            Trait::Unsigned => number(|scalar| !scalar.is_float() && !scalar.is_signed()),
            Trait::Fundamental => number(|_| true) || matches!(ty, Ty::Void | Ty::Nullptr),
            Trait::Scalar => {
                matches!(ty, Ty::Scalar(_) | Ty::Pointer(_) | Ty::Enum(_) | Ty::Nullptr)
            }
            Trait::Array => matches!(ty, Ty::Array(..)),
            Trait::Class => class.is_some_and(|row| !row.union),
            Trait::Union => class.is_some_and(|row| row.union),
            Trait::Enum => matches!(ty, Ty::Enum(_)),
            Trait::Function => matches!(ty, Ty::Function(..)),
            Trait::LvalueReference => matches!(ty, Ty::Reference(_)),
            Trait::NullPointer => matches!(ty, Ty::Nullptr),
            Trait::Object => !matches!(ty, Ty::Void | Ty::Reference(_) | Ty::Function(..)),
            Trait::Pointer => matches!(ty, Ty::Pointer(_)),
            Trait::Vector => matches!(ty, Ty::Vector(..) | Ty::Packed(..)),
            Trait::Void => matches!(ty, Ty::Void),
            Trait::Const => first.constant,
            Trait::Volatile => first.volatile,
            Trait::Empty => self.is_empty_class(first.ty),
            // There are no virtual functions, and copies are memberwise.
            Trait::Trivial => self
                .types
                .structure(first.ty)
                .is_none_or(|(class, _)| self.classes[class.0 as usize].constructors.is_empty()),
            Trait::Same => second == Some(*first),
            Trait::BaseOf => second.is_some_and(|derived| {
                class.is_some()
                    && (first.ty == derived.ty || self.base_path(derived.ty, first.ty).is_some())
            }),
            Trait::Convertible => second.is_some_and(|to| self.converts(*first, to)),
            Trait::Assignable => {
                let place = matches!(ty, Ty::Reference(to) if !to.constant);
                let target = match ty {
                    Ty::Reference(to) => to,
                    _ => *first,
                };
                (place || class.is_some())
                    && second.is_some_and(|from| self.converts(from, Qual::plain(target.ty)))
            }
            Trait::Constructible => self.is_constructible(*first, rest),
        }
    }

    /// Whether a value of one type initialises one of another by `=` ([meta.rel]).
    fn converts(&mut self, from: Qual, to: Qual) -> bool {
        if from.ty == Types::VOID || to.ty == Types::VOID {
            return from.ty == to.ty;
        }
        let source = self.source_of(from);
        match self.rank(source, to) {
            Some(Rank::User) => {
                self.user_conversion(source, to.ty, false).is_none_or(|one| one.is_unique())
            }
            rank => rank.is_some(),
        }
    }

    fn is_constructible(&mut self, target: Qual, from: &[Qual]) -> bool {
        if let [one] = from
            && self.converts(*one, target)
        {
            return true;
        }
        let Some((class, row)) = self.types.structure(target.ty) else {
            let number = |qual: Qual| self.types.arithmetic(qual.ty).is_some();
            let size = self.types.layout(target.ty).is_some();
            return match from {
                [] => size,
                [one] => number(*one) && number(target),
                _ => false,
            };
        };
        let aggregate = !row.union && row.complete;
        let constructors = self.classes[class.0 as usize].constructors.clone();
        if constructors.is_empty() {
            return aggregate && from.is_empty();
        }
        let sources: Vec<Source> = from.iter().map(|&qual| self.source_of(qual)).collect();
        self.choose_constructor(&constructors, &sources).is_ok()
    }
}
