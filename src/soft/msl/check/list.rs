//! Braced lists as arguments (C++14 over.ics.list): their elements are checked once, before the parameter is known.

use super::Checker;
use super::convert::{Rank, Source};
use super::init::Braces;
use crate::soft::msl::ast::{self, Designator};
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

/// An element of a list: its designator, and the element as overload resolution sees it.
pub(super) type Element = (Option<Designator>, Source);

impl Checker {
    /// A list as an argument: its elements are replaced by the checked ones.
    pub(super) fn list_argument(&mut self, list: &ast::Expr) -> Expr {
        let (list, number) = self.checked_list(list);
        let span = list.span;
        self.value(ExprKind::List(Box::new(list), number), Types::VOID, span)
    }

    fn checked_list(&mut self, list: &ast::Expr) -> (ast::Expr, u32) {
        let mut items = Vec::new();
        let mut elements: Vec<Element> = Vec::new();
        let written = match &list.kind {
            ast::ExprKind::InitList(items) => items.as_slice(),
            _ => &[],
        };
        for (designator, item) in written {
            for item in self.expanded(std::slice::from_ref(item)) {
                let (item, source) = self.checked_element(item);
                items.push((designator.clone(), item));
                elements.push((designator.clone(), source));
            }
        }
        self.lists.push(elements.into());
        let list = ast::Expr::new(ast::ExprKind::InitList(items), list.span);
        (list, self.lists.len() as u32 - 1)
    }

    /// An expression or list that is checked, and its value as overload resolution sees it.
    pub(super) fn checked_element(&mut self, item: ast::Expr) -> (ast::Expr, Source) {
        if matches!(item.kind, ast::ExprKind::InitList(_)) {
            let (inner, number) = self.checked_list(&item);
            let qual = Qual::plain(Types::VOID);
            return (inner, Source { list: Some(number), ..self.source_of(qual) });
        }
        let value = self.expr(&item);
        let source = self.source(&value);
        self.checked_items.push(value);
        let number = self.checked_items.len() as u32 - 1;
        (ast::Expr::new(ast::ExprKind::Checked(number), item.span), source)
    }

    /// The rank of the conversion of a list, if there is one.
    pub(super) fn rank_list(&mut self, list: u32, to: TyId) -> Option<Rank> {
        if let Some(&known) = self.list_ranks.get(&(list, to)) {
            return known;
        }
        // The elements may be converted by constructors of their own.
        let converting = std::mem::replace(&mut self.converting, false);
        let rank = self.rank_elements(&self.lists[list as usize].clone(), to);
        self.converting = converting;
        self.list_ranks.insert((list, to), rank);
        rank
    }

    fn rank_elements(&mut self, elements: &[Element], to: TyId) -> Option<Rank> {
        let ty = self.types.get(to).clone();
        match (ty, elements) {
            (Ty::Void | Ty::Function(..) | Ty::Opaque(_), _) => None,
            // A list of one object of the class, or of a class derived from it, copies it (CWG 1467).
            (Ty::Struct(_), &[(None, one)])
                if one.qual.ty == to || self.base_path(one.qual.ty, to).is_some() =>
            {
                self.rank(one, Qual::plain(to))
            }
            (Ty::Struct(_), _) if self.element_of_list(to).is_some() => {
                let element = self.element_of_list(to)?;
                self.rank_listed(elements, element)
            }
            (Ty::Struct(class), _) if !self.is_aggregate(class) => {
                if self.takes_lists(class) && !elements.is_empty() {
                    self.lists.push(elements.into());
                    let list = Some(self.lists.len() as u32 - 1);
                    let source = Source { list, ..self.source_of(Qual::plain(Types::VOID)) };
                    if self.list_constructor(class, source).is_some() {
                        return Some(Rank::User);
                    }
                }
                let constructors = self.classes[class.0 as usize].constructors.clone();
                let sources: Vec<Source> = elements.iter().map(|one| one.1).collect();
                match self.choose_constructor(&constructors, &sources) {
                    Err(rivals) if rivals.is_empty() => None,
                    _ => Some(Rank::User),
                }
            }
            (Ty::Struct(_), _) => {
                let mut at = 0;
                let fits = self.fill(to, elements, &mut at, Braces::Own) && at == elements.len();
                fits.then_some(Rank::User)
            }
            (Ty::Scalar(_) | Ty::Enum(_) | Ty::Pointer(_) | Ty::Sampler, []) => Some(Rank::Exact),
            (Ty::Scalar(_) | Ty::Enum(_) | Ty::Pointer(_), &[(None, one)]) => {
                self.rank(one, Qual::plain(to))
            }
            (Ty::Scalar(_) | Ty::Enum(_) | Ty::Pointer(_), _) => None,
            // One value for all components, or the first of them; the others are zero.
            (Ty::Vector(scalar, width) | Ty::Packed(scalar, width), _) => {
                let scalar = Qual::plain(Types::scalar(scalar));
                let mut lanes = 0;
                for (_, one) in elements {
                    lanes += match self.types.arithmetic(one.qual.ty) {
                        Some((_, lanes)) => lanes,
                        None => self.rank(*one, scalar).map(|_| 1)?,
                    };
                }
                (lanes <= u32::from(width)).then_some(Rank::Conversion)
            }
            _ => Some(Rank::Conversion),
        }
    }

    /// Whether the elements from `at` on can initialise an aggregate; inner braces may be omitted
    /// ([dcl.init.aggr]/12). A designator names a member, and those after it follow.
    fn fill(&mut self, ty: TyId, elements: &[Element], at: &mut usize, braces: Braces) -> bool {
        let (members, union): (Vec<(Option<_>, TyId)>, bool) = match *self.types.get(ty) {
            Ty::Array(element, count) => {
                let count = count.map_or(elements.len(), |count| count as usize);
                let left = (elements.len() - *at).min(count);
                (vec![(None, element); left], false)
            }
            Ty::Struct(class) => {
                let row = self.types.class(class);
                let all = row.fields().iter().map(|field| (field.name, field.qual.ty));
                (all.collect(), row.union)
            }
            _ => return false,
        };
        let mut next = 0;
        while let (Some((designator, source)), Some(&(_, member))) =
            (elements.get(*at), members.get(next))
        {
            let (member, anonymous) = match designator {
                Some(_) if braces == Braces::Omitted => break,
                Some(Designator::Field(name)) => {
                    let class = self.types.structure(ty).map(|found| found.0);
                    let path = class.and_then(|class| self.field_path(class, name.name));
                    match path.as_deref() {
                        Some(&[index, ref rest @ ..]) => {
                            next = index as usize;
                            (members[next].1, !rest.is_empty())
                        }
                        _ if braces == Braces::Anonymous => break,
                        _ => return false,
                    }
                }
                _ => (member, false),
            };
            next += 1;
            if anonymous {
                if !self.fill(member, elements, at, Braces::Anonymous) {
                    return false;
                }
            } else if self.rank(*source, Qual::plain(member)).is_some() {
                *at += 1;
            } else if source.list.is_some() || !self.fill(member, elements, at, Braces::Omitted) {
                return false;
            }
            if union {
                break;
            }
        }
        true
    }
}
