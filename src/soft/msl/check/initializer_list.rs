//! `initializer_list` (C++14 dcl.init.list/5): a class of the library, whose objects point to an array of the elements of a
//! braced list. Lists prefer the constructors that take one ([over.match.list]).

use super::convert::{Rank, Source};
use super::list::Element;
use super::{Checker, Entity, FuncId};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, AddressSpace, Designator};
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};

/// The template's name.
pub(super) const NAME: &str = "initializer_list";

impl Checker {
    /// The conversion of a list to `initializer_list<element>` is as good as the worst of its elements
    /// ([over.ics.list]/5).
    pub(super) fn rank_listed(&mut self, elements: &[Element], element: TyId) -> Option<Rank> {
        let mut worst = Rank::Exact;
        for (designator, source) in elements {
            let rank = self.rank(*source, Qual::plain(element))?;
            if designator.is_some() {
                return None;
            }
            worst = worst.max(rank);
        }
        Some(worst)
    }

    /// The object for a list: a pointer to a temporary array, and the number of its elements.
    pub(super) fn listed(
        &mut self,
        ty: TyId,
        element: TyId,
        items: &[(Option<Designator>, ast::Expr)],
        span: Span,
    ) -> Expr {
        if items.is_empty() {
            return self.value(ExprKind::Zero, ty, span);
        }
        let parts = items.iter().map(|(_, item)| self.item(item, Qual::plain(element)));
        let parts: Vec<Expr> = parts.collect();
        let array = self.types.intern(Ty::Array(element, Some(parts.len() as u32)));
        let count = self.int_value(parts.len() as i64, span);
        let elements = self.value(ExprKind::Aggregate(parts), array, span);
        let qual = Qual { space: Some(AddressSpace::Thread), ..Qual::plain(array) };
        let kind = ExprKind::Temporary(Box::new(elements));
        let array = Expr { kind, qual, place: true, span };
        let pointee = Qual { constant: true, ..qual.with(element) };
        let pointer = self.types.pointer(pointee);
        let first = self.rvalue(array);
        let first = self.convert_value(first, pointer);
        let count = self.convert_value(count, Types::scalar(Scalar::U32));
        self.value(ExprKind::Aggregate(vec![first, count]), ty, span)
    }

    /// A list for `auto`, whose elements have one type ([dcl.spec.auto]/4).
    pub(super) fn listed_auto(&mut self, list: &ast::Expr) -> Option<Expr> {
        let list = self.list_argument(list);
        let ExprKind::List(written, number) = &list.kind else { return None };
        let element = self.one_element_type(*number)?;
        let ty = self.library_instance(NAME, element, list.span)?;
        Some(self.list_value(Qual::plain(ty), written))
    }

    /// The type that all elements of a checked list have.
    pub(super) fn one_element_type(&self, number: u32) -> Option<TyId> {
        let elements = &self.lists[number as usize];
        let (_, first) = elements.first()?;
        let element = first.qual.ty;
        let same = |(designator, one): &Element| {
            designator.is_none() && one.list.is_none() && one.qual.ty == element
        };
        elements.iter().all(same).then_some(element)
    }

    /// Whether a class has a constructor that takes a list as a whole.
    pub(super) fn takes_lists(&self, class: StructId) -> bool {
        self.classes[class.0 as usize].constructors.iter().any(|one| self.takes_list(one))
    }

    fn takes_list(&self, entity: &Entity) -> bool {
        let Entity::Function(id) = entity else { return false };
        let [first, rest @ ..] = &self.func(*id).parameters[..] else { return false };
        let ty = self.source_of(first.qual).qual.ty;
        self.element_of_list(ty).is_some() && rest.iter().all(|one| one.default.is_some())
    }

    /// That constructor, if one fits.
    pub(super) fn list_constructor(&mut self, class: StructId, list: Source) -> Option<FuncId> {
        let constructors = self.classes[class.0 as usize].constructors.clone();
        let fitting =
            constructors.into_iter().filter(|one| self.takes_list(one)).collect::<Vec<_>>();
        self.choose_constructor(&fitting, &[list]).ok()
    }
}
