//! Copies of class objects (C++14 class.copy): by the functions that the class declares, otherwise member by member.

use super::{Checker, Entity, FuncId};
use crate::soft::msl::ast::{AddressSpace, Label};
use crate::soft::msl::hir::{Expr, ExprKind};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

/// The most elements of an array whose copy calls a function for each.
const MAX_ELEMENTS: u32 = 1024;

/// How an object gets the value of another one of its class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CopyFunction {
    Constructor,
    Assignment,
}

impl Checker {
    /// A class's own copy constructors or copy assignments, also defaulted and deleted ones.
    pub(super) fn copy_functions(&mut self, ty: TyId, copy: CopyFunction) -> Vec<FuncId> {
        let Some((class, _)) = self.types.structure(ty) else { return Vec::new() };
        let row = &self.classes[class.0 as usize];
        let list = match copy {
            CopyFunction::Constructor => row.constructors.clone(),
            CopyFunction::Assignment => {
                let scope = row.scope;
                let name = self.label_name(&Label::Operator(Punct::Assign));
                self.scopes[scope.0 as usize].names.get(&name).cloned().unwrap_or_default()
            }
        };
        let own = |entity: &Entity| match *entity {
            Entity::Function(id) => self.copies(id, ty).then_some(id),
            _ => None,
        };
        list.iter().filter_map(own).collect()
    }

    /// Whether a constructor or an assignment copies objects of a class.
    fn copies(&self, id: FuncId, ty: TyId) -> bool {
        let [first, rest @ ..] = &self.func(id).parameters[..] else { return false };
        self.source_of(first.qual).qual.ty == ty && rest.iter().all(|one| one.default.is_some())
    }

    /// Whether what copies an object of a class is deleted: by the class, or because a member or base has none ([class.copy]/11
    /// and 23). The object may be a value, which is moved where the class can.
    pub(super) fn is_copy_deleted(&mut self, ty: TyId, copy: CopyFunction, value: bool) -> bool {
        let ty = self.innermost(ty);
        let Some((_, row)) = self.types.structure(ty) else { return false };
        let fixed =
            |qual: Qual| qual.constant || matches!(self.types.get(qual.ty), Ty::Reference(..));
        let fixed = row.fields().iter().any(|field| fixed(field.qual));
        let parts: Vec<TyId> = row.fields().iter().map(|field| field.qual.ty).collect();
        let own = self.copy_functions(ty, copy);
        let moves = |&id: &FuncId| self.moves(id);
        let (movers, copiers): (Vec<FuncId>, Vec<FuncId>) = own.into_iter().partition(moves);
        let mut used = if value && !movers.is_empty() { movers } else { copiers };
        // Of those for several address spaces, values need the one of thread memory.
        let in_thread = |&id: &FuncId| match *self.types.get(self.func(id).parameters[0].qual.ty) {
            Ty::Reference(to, _) => to.space_or_thread() == AddressSpace::Thread,
            _ => true,
        };
        if used.iter().any(in_thread) {
            used.retain(in_thread);
        }
        if used.is_empty() && self.declares_moves(ty)
            || used.iter().any(|&id| self.func(id).deleted)
        {
            return true;
        }
        used.iter().all(|&id| self.func(id).is_defaulted())
            && (copy == CopyFunction::Assignment && fixed
                || parts.into_iter().any(|part| self.is_copy_deleted(part, copy, value)))
    }

    fn moves(&self, id: FuncId) -> bool {
        matches!(self.types.get(self.func(id).parameters[0].qual.ty), Ty::Reference(_, true))
    }

    /// Whether a class declares how its objects are moved, which deletes the copies that it does not declare ([class.copy]/7
    /// and 18).
    fn declares_moves(&mut self, ty: TyId) -> bool {
        [CopyFunction::Constructor, CopyFunction::Assignment]
            .into_iter()
            .any(|copy| self.copy_functions(ty, copy).into_iter().any(|id| self.moves(id)))
    }

    /// Records that a program has a class whose copies are not those of its bytes.
    pub(super) fn note_copy(&mut self, id: FuncId) {
        let Some(class) = self.func(id).class else { return };
        let ty = self.types.intern(Ty::Struct(class));
        self.copies_by_functions |= self.copies(id, ty) && !self.func(id).is_defaulted();
    }

    /// Whether copying an object calls a function, or would call a deleted one.
    fn is_copied_by_function(&mut self, ty: TyId, copy: CopyFunction) -> bool {
        let ty = self.innermost(ty);
        let Some((_, row)) = self.types.structure(ty) else { return false };
        let (union, parts) = (row.union, self.parts_of_class(ty).unwrap_or_default());
        let own = self.copy_functions(ty, copy);
        own.iter().any(|&id| !self.func(id).is_defaulted())
            || own.is_empty() && self.declares_moves(ty)
            || !union && parts.iter().any(|&part| self.is_copied_by_function(part, copy))
    }

    /// The copy of an object that is more than its bytes.
    pub(super) fn copied(&mut self, object: &Expr) -> Option<Expr> {
        let ty = object.qual.ty;
        if !self.copies_by_functions || !self.is_copied_by_function(ty, CopyFunction::Constructor) {
            return None;
        }
        let span = object.span;
        if let Ty::Array(element, Some(count)) = *self.types.get(ty) {
            return Some(self.copied_elements(object, element, count));
        }
        // A reference to memory of another kind cannot be bound; such a copy is that of the bytes.
        let space = object.qual.space_or_thread();
        let own = self.copy_functions(ty, CopyFunction::Constructor);
        let declared = own.iter().any(|&id| !self.func(id).is_defaulted());
        let fits = |&id: &FuncId| match *self.types.get(self.func(id).parameters[0].qual.ty) {
            Ty::Reference(to, _) => to.space_or_thread() == space,
            _ => false,
        };
        let list: Vec<Entity> = own.into_iter().filter(fits).map(Entity::Function).collect();
        if list.is_empty() && declared {
            return None;
        }
        if !declared {
            if self.copy_functions(ty, CopyFunction::Constructor).is_empty()
                && self.declares_moves(ty)
            {
                let name = self.types.name(ty);
                let message = format!("call to implicitly-deleted copy constructor of '{name}'");
                self.error(span, message);
                return Some(self.error_expr(span));
            }
            return Some(self.copied_members(object.clone()));
        }
        let source = self.source(object);
        let id = match self.choose_constructor(&list, &[source]) {
            Ok(id) => id,
            Err(rivals) => {
                self.no_constructor(ty, &rivals, span);
                return Some(self.error_expr(span));
            }
        };
        if self.func(id).deleted {
            let name = self.types.name(ty);
            self.error(span, format!("call to deleted constructor of '{name}'"));
            return Some(self.error_expr(span));
        }
        Some(match self.func(id).is_defaulted() {
            true => self.copied_members(object.clone()),
            false => self.construct_with(id, ty, vec![object.clone()], span),
        })
    }

    fn copied_elements(&mut self, array: &Expr, element: TyId, count: u32) -> Expr {
        let span = array.span;
        if count > MAX_ELEMENTS {
            self.unsupported(span, "copying a large array of a class with a copy constructor is");
            return self.error_expr(span);
        }
        let part = |at| {
            let index = Box::new(self.int_value(i64::from(at), span));
            let kind = ExprKind::Element(Box::new(array.clone()), index);
            self.stored(Expr { kind, qual: array.qual.with(element), place: true, span })
        };
        let parts = (0..count).map(part).collect();
        self.refuse_destructor(array.qual.ty, span);
        self.value(ExprKind::Aggregate(parts), array.qual.ty, span)
    }

    fn copied_members(&mut self, object: Expr) -> Expr {
        let (ty, span) = (object.qual.ty, object.span);
        self.evaluated_once(object, |this, object| {
            let count = this.parts_of_class(ty).map_or(0, |parts| parts.len() as u32);
            let parts = (0..count).map(|at| {
                let member = this.raw_field(object.clone(), at, span);
                this.stored(member)
            });
            let parts = parts.collect();
            this.refuse_destructor(ty, span);
            this.value(ExprKind::Aggregate(parts), ty, span)
        })
    }

    /// The value of an object: of an array its elements, of a reference itself, not the object that it refers to.
    pub(super) fn stored(&mut self, place: Expr) -> Expr {
        let (ty, span) = (place.qual.ty, place.span);
        if let Some(copy) = self.copied(&place) {
            return copy;
        }
        self.refuse_destructor(ty, span);
        self.value(ExprKind::Load(Box::new(place)), ty, span)
    }

    /// Whether a class has no copy assignment of its own, or a defaulted one.
    pub(super) fn is_assigned_by_members(&mut self, ty: TyId) -> bool {
        self.types.structure(ty).is_some()
            && self.copy_functions(ty, CopyFunction::Assignment).into_iter().all(|id| {
                let func = self.func(id);
                func.is_defaulted() && !func.deleted
            })
    }

    /// Whether a function is a copy constructor or copy assignment that copies member by member. Its body is not there.
    pub(super) fn is_defaulted_copy(&mut self, id: FuncId) -> bool {
        let Some(class) = self.func(id).class else { return false };
        let ty = self.types.intern(Ty::Struct(class));
        self.func(id).is_defaulted() && self.copies(id, ty)
    }

    /// Assigns member by member if the assignment of a member calls a function.
    pub(super) fn assigned_members(&mut self, left: &Expr, right: &Expr) -> Option<Expr> {
        let (ty, span) = (left.qual.ty, left.span);
        let by_function = self.copies_by_functions
            && right.place
            && right.qual.ty == ty
            && self.is_assigned_by_members(ty)
            && self.is_copied_by_function(ty, CopyFunction::Assignment);
        if !by_function {
            return None;
        }
        if self.copy_functions(ty, CopyFunction::Assignment).is_empty() && self.declares_moves(ty) {
            let name = self.types.name(ty);
            let message = format!(
                "object of type '{name}' cannot be assigned because its copy assignment operator is implicitly deleted"
            );
            self.error(span, message);
            return Some(self.error_expr(span));
        }
        let types = self.parts_of_class(ty)?;
        let assigned = self.evaluated_once(left.clone(), |this, left| {
            this.evaluated_once(right.clone(), |this, right| {
                let mut all = left.clone();
                for (at, &part) in types.iter().enumerate().rev() {
                    let array = matches!(this.types.get(part), Ty::Array(..));
                    if array && this.is_copied_by_function(part, CopyFunction::Assignment) {
                        this.unsupported(span, "assigning an array of a class with 'operator=' is");
                        return this.error_expr(span);
                    }
                    let [to, from] = [&left, &right]
                        .map(|object| this.raw_field(object.clone(), at as u32, span));
                    let one = match array {
                        true => {
                            let (qual, value) = (to.qual, ExprKind::Load(Box::new(from)));
                            let value = this.value(value, part, span);
                            let kind = ExprKind::Assign(Box::new(to), Box::new(value));
                            Expr { kind, qual, place: true, span }
                        }
                        false => this.assign(to, from, span),
                    };
                    let kind = ExprKind::Comma(Box::new(one), Box::new(all));
                    all = Expr { kind, qual: left.qual, place: true, span };
                }
                all
            })
        });
        Some(assigned)
    }

    /// A member or base itself, also if it is a reference.
    pub(super) fn raw_field(&mut self, object: Expr, at: u32, span: Span) -> Expr {
        let field =
            self.types.structure(object.qual.ty).map(|(_, row)| row.fields()[at as usize].qual);
        let qual = field.map_or(Qual::plain(Types::UNKNOWN), |field| Qual {
            constant: field.constant || object.qual.constant,
            volatile: field.volatile || object.qual.volatile,
            space: object.qual.space,
            ty: field.ty,
        });
        let kind = ExprKind::Field(Box::new(object), at);
        Expr { kind, qual, place: true, span }
    }

    /// An expression with several uses of an object, whose position is computed once.
    fn evaluated_once(
        &mut self,
        object: Expr,
        uses: impl FnOnce(&mut Checker, Expr) -> Expr,
    ) -> Expr {
        if self.body.is_none() || object.has_simple_position() {
            return uses(self, object);
        }
        let span = object.span;
        let address = self.address_of(object, span);
        let qual = Qual::plain(address.qual.ty);
        let kind = ExprKind::Local(self.new_local(String::new(), qual));
        let local = Expr { kind, qual, place: true, span };
        let kind = ExprKind::Assign(Box::new(local.clone()), Box::new(address));
        let first = Expr { kind, qual, place: true, span };
        let object = self.deref(local, span);
        let value = uses(self, object);
        let (qual, place) = (value.qual, value.place);
        Expr { kind: ExprKind::Comma(Box::new(first), Box::new(value)), qual, place, span }
    }
}

impl Expr {
    /// Whether computing the position has no effects and takes no time.
    fn has_simple_position(&self) -> bool {
        match &self.kind {
            ExprKind::Local(_) => true,
            ExprKind::Field(base, _) => base.has_simple_position(),
            ExprKind::Deref(pointer) => match &pointer.kind {
                ExprKind::Load(place) => place.has_simple_position(),
                _ => false,
            },
            _ => false,
        }
    }
}
