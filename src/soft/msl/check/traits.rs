//! The values of the compiler's type traits (C++14 meta.unary, meta.rel). Those of numbers are true of vectors of
//! such numbers too, as in Metal's library.

use super::convert::{Rank, Source};
use super::copy::CopyFunction;
use super::{Checker, Entity};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast;
use crate::soft::msl::hir::{Constant, Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::traits::Trait;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

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
        let class = self.types.structure(first.ty).map(|(_, row)| row.union);
        let second = rest.first().copied();
        match which {
            Trait::Abstract | Trait::Final | Trait::Polymorphic => false,
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
            Trait::Class => class == Some(false),
            Trait::Union => class == Some(true),
            Trait::Enum => matches!(ty, Ty::Enum(_)),
            Trait::Function => matches!(ty, Ty::Function(..)),
            Trait::Reference => matches!(ty, Ty::Reference(..)),
            Trait::LvalueReference => matches!(ty, Ty::Reference(_, false)),
            Trait::RvalueReference => matches!(ty, Ty::Reference(_, true)),
            Trait::NullPointer => matches!(ty, Ty::Nullptr),
            Trait::Object => self.is_object(first.ty),
            Trait::Pointer => matches!(ty, Ty::Pointer(_)),
            Trait::Vector => matches!(ty, Ty::Vector(..) | Ty::Packed(..)),
            Trait::Void => matches!(ty, Ty::Void),
            Trait::Const => first.constant,
            Trait::Volatile => first.volatile,
            Trait::Empty => self.is_empty_class(first.ty),
            Trait::Trivial => {
                self.is_trivially_made(first.ty) && self.is_trivially_copied(first.ty)
            }
            Trait::Pod => {
                self.is_trivially_made(first.ty)
                    && self.is_trivially_copied(first.ty)
                    && self.has_standard_layout(first.ty)
            }
            Trait::Destructible => self.ends(first.ty) && self.is_destructible(first.ty),
            Trait::TriviallyDestructible => {
                self.ends(first.ty) && !self.provides_destructor(first.ty)
            }
            Trait::TriviallyCopyable => self.is_trivially_copied(first.ty),
            Trait::StandardLayout => self.has_standard_layout(first.ty),
            Trait::Literal => self.is_literal(first.ty),
            Trait::TriviallyConstructible => {
                self.is_constructible(*first, rest)
                    && match (rest, class.is_some()) {
                        ([], _) => self.is_trivially_made(first.ty),
                        (_, false) => true,
                        ([from], true) => {
                            let from = self.source_of(*from).qual.ty;
                            from == first.ty && self.is_trivially_copied(first.ty)
                        }
                        _ => false,
                    }
            }
            Trait::TriviallyAssignable => {
                let target = match ty {
                    Ty::Reference(to, _) => to.ty,
                    _ => first.ty,
                };
                self.has_trait(Trait::Assignable, types)
                    && (self.types.structure(target).is_none()
                        || second.is_some_and(|from| self.source_of(from).qual.ty == target)
                            && self.is_trivially_copied(target))
            }
            Trait::Same => second == Some(*first),
            Trait::BaseOf => second.is_some_and(|derived| {
                class.is_some()
                    && (first.ty == derived.ty || self.base_path(derived.ty, first.ty).is_some())
            }),
            Trait::Convertible => second.is_some_and(|to| self.converts(*first, to)),
            Trait::Assignable => {
                let place = matches!(ty, Ty::Reference(to, _) if !to.constant);
                let target = match ty {
                    Ty::Reference(to, _) => to,
                    _ => *first,
                };
                (place || class.is_some())
                    && second.is_some_and(|from| {
                        let source = self.source_of(from);
                        let deleted = source.qual.ty == target.ty
                            && self.is_copy_deleted(
                                target.ty,
                                CopyFunction::Assignment,
                                !source.place,
                            );
                        !deleted && self.converts(from, Qual::plain(target.ty))
                    })
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
        if !self.ends(target.ty) || !self.is_destructible(target.ty) {
            return false;
        }
        if let [one] = from {
            let source = self.source_of(*one);
            if source.qual.ty == target.ty
                && self.is_copy_deleted(target.ty, CopyFunction::Constructor, !source.place)
            {
                return false;
            }
            if self.converts(*one, target) {
                return true;
            }
        }
        let Some((class, row)) = self.types.structure(target.ty) else {
            let number = |qual: Qual| self.types.arithmetic(qual.ty).is_some();
            let size = self.types.layout(target.ty).is_some();
            return match from {
                [] => match *self.types.get(target.ty) {
                    Ty::Array(element, Some(_)) => {
                        self.is_constructible(Qual::plain(element), from)
                    }
                    Ty::Reference(..) => false,
                    _ => size,
                },
                [one] => number(*one) && number(target),
                _ => false,
            };
        };
        let (union, complete) = (row.union, row.complete);
        let fields: Vec<Qual> = row.fields().iter().map(|field| field.qual).collect();
        let constructors = self.classes[class.0 as usize].constructors.clone();
        if constructors.is_empty() {
            // A member without an initial value must be one that needs none ([class.ctor]/4).
            let defaults: Vec<bool> =
                self.classes[class.0 as usize].defaults.iter().map(Option::is_some).collect();
            let mut members = fields.into_iter().enumerate();
            return complete
                && from.is_empty()
                && (union
                    || members.all(|(at, member)| {
                        let given = defaults.get(at).is_some_and(|given| *given);
                        let class = self.types.structure(self.innermost(member.ty)).is_some();
                        given || (class || !member.constant) && self.is_constructible(member, &[])
                    }));
        }
        let sources: Vec<Source> = from.iter().map(|&qual| self.source_of(qual)).collect();
        let chosen = self.choose_constructor(&constructors, &sources);
        chosen.is_ok_and(|id| !self.func(id).deleted)
    }

    /// A class's declarations about copies of its objects.
    fn own_copies(&mut self, ty: TyId) -> Copies {
        let mut found = Copies::default();
        for copy in [CopyFunction::Constructor, CopyFunction::Assignment] {
            for id in self.copy_functions(ty, copy) {
                let func = self.func(id);
                match (func.deleted, copy) {
                    (true, CopyFunction::Constructor) => found.any_deleted_constructor = true,
                    (true, CopyFunction::Assignment) => found.any_deleted_assignment = true,
                    (false, _) => found.any_provided |= !func.is_defaulted(),
                }
            }
        }
        found
    }

    /// The types of a class's members and bases; `None` for other types.
    pub(super) fn parts_of_class(&self, ty: TyId) -> Option<Vec<TyId>> {
        let (_, row) = self.types.structure(ty)?;
        Some(row.fields().iter().map(|field| field.qual.ty).collect())
    }

    pub(super) fn innermost(&self, mut ty: TyId) -> TyId {
        while let Ty::Array(element, _) = *self.types.get(ty) {
            ty = element;
        }
        ty
    }

    /// Whether a type has objects, or is a reference to them.
    fn ends(&self, ty: TyId) -> bool {
        !matches!(self.types.get(ty), Ty::Void | Ty::Function(..))
    }

    fn is_object(&self, ty: TyId) -> bool {
        !matches!(self.types.get(ty), Ty::Void | Ty::Reference(..) | Ty::Function(..))
    }

    /// Whether default initialisation does nothing ([class.ctor]/5).
    fn is_trivially_made(&self, ty: TyId) -> bool {
        let ty = self.innermost(ty);
        let Some((class, row)) = self.types.structure(ty) else { return self.is_object(ty) };
        let known = &self.classes[class.0 as usize];
        let makes = |entity: &Entity| match entity {
            Entity::Function(id) => {
                let func = self.func(*id);
                func.parameters.is_empty() && !func.deleted && func.is_defaulted()
            }
            _ => false,
        };
        row.complete
            && (known.constructors.is_empty() || known.constructors.iter().any(makes))
            && known.defaults.iter().all(Option::is_none)
            && row.fields().iter().all(|field| self.is_trivially_made(field.qual.ty))
    }

    /// `[class]`/6
    fn is_trivially_copied(&mut self, ty: TyId) -> bool {
        let ty = self.innermost(ty);
        match self.parts_of_class(ty) {
            None => self.is_object(ty),
            Some(parts) => {
                let own = self.own_copies(ty);
                let any = !(own.any_deleted_constructor && own.any_deleted_assignment);
                any && !own.any_provided
                    && !self.provides_destructor(ty)
                    && parts.iter().all(|&part| self.is_trivially_copied(part))
            }
        }
    }

    /// `[class]`/7: all data is in one class of the hierarchy, and its first member is no base.
    fn has_standard_layout(&self, ty: TyId) -> bool {
        let ty = self.innermost(ty);
        let Some((_, row)) = self.types.structure(ty) else { return self.is_object(ty) };
        let bases: Vec<TyId> = row.bases().map(|(_, field)| field.qual.ty).collect();
        let first = row.fields().iter().find(|field| !field.base).map(|field| field.qual.ty);
        let filled = bases.iter().filter(|&&base| !self.is_empty_class(base)).count();
        row.complete
            && filled + usize::from(first.is_some()) <= 1
            && first.is_none_or(|first| !bases.contains(&first))
            && row.fields().iter().all(|field| self.has_standard_layout(field.qual.ty))
    }

    /// [basic.types]/10
    fn is_literal(&self, ty: TyId) -> bool {
        let ty = match *self.types.get(ty) {
            Ty::Reference(..) | Ty::Void => return true,
            _ => self.innermost(ty),
        };
        let Some((class, row)) = self.types.structure(ty) else { return self.is_object(ty) };
        let constant = |entity: &Entity| match entity {
            Entity::Function(id) => self.func(*id).is_constexpr(),
            // A template of constructors may have constant instances.
            _ => true,
        };
        let constructors = &self.classes[class.0 as usize].constructors;
        row.complete
            && !self.provides_destructor(ty)
            && (self.is_aggregate(class) || constructors.iter().any(constant))
            && row.fields().iter().all(|field| self.is_literal(field.qual.ty))
    }
}

/// The copy constructors and copy assignments that a class declares itself.
#[derive(Clone, Copy, Default)]
struct Copies {
    any_provided: bool,
    any_deleted_constructor: bool,
    any_deleted_assignment: bool,
}

impl super::Func {
    pub(super) fn is_defaulted(&self) -> bool {
        self.definition.as_ref().is_some_and(|own| matches!(own.body, ast::Body::Default))
    }

    fn is_constexpr(&self) -> bool {
        self.definition.as_ref().is_some_and(|own| own.specifiers.storage.constexpr)
    }
}
