//! Destructors (C++14 class.dtor): of variables and by-value parameters when their scope is left, in whichever way, and of their members,
//! bases and elements. Objects that have no name and are not a part of one with a name are refused if they would need one.

use super::copy::CopyFunction;
use super::{Checker, Class, FuncId, Owner};
use crate::soft::ir::Scalar;
use crate::soft::ir::hash::FastSet;
use crate::soft::msl::ast::{Block, Body, Condition, Function};
use crate::soft::msl::hir::{Binary, Expr, ExprKind, LocalIndex, Stmt, StmtKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, StructId, Ty, TyId, Types};

/// The most calls of destructors in the code of a function: every way out of a scope has its own.
const MAX_CALLS: u32 = 4096;

/// The objects of a body whose destructors run at the ends of its scopes.
#[derive(Debug, Default)]
pub(super) struct Cleanups {
    /// The variables whose scopes are open, innermost last.
    open: Vec<(LocalIndex, Qual, Span)>,
    /// How many were open before each enclosing loop and switch, and whether it is a loop.
    jumps: Vec<(usize, bool)>,
    /// Objects that were made while the initial value of another one was checked, which they may be a part of.
    made: Option<Vec<(Span, TyId)>>,
    /// The variable that becomes the result of the `return` that is being checked.
    moved: Option<LocalIndex>,
    /// The calls of destructors so far.
    calls: u32,
}

impl Checker {
    /// Records a destructor of a class: none that does nothing.
    pub(super) fn note_destructor(&mut self, id: FuncId, definition: Option<&Function>) {
        let Some(class) = self.func(id).class else { return };
        let does_nothing = definition.is_some_and(|definition| match &definition.body {
            Body::Block(Block { statements }) => statements.is_empty(),
            Body::Default => true,
            Body::Delete => false,
        });
        let row = &mut self.classes[class.0 as usize];
        row.destructor = (!does_nothing).then_some(id);
        // One that is defaulted outside of its class is the program's own too.
        row.provides_destructor |=
            definition.is_none_or(|definition| !matches!(definition.body, Body::Default));
        self.has_destructors |= !does_nothing;
    }

    /// Refuses to make an object that has a destructor, unless it is a part of one with a name.
    pub(super) fn refuse_destructor(&mut self, ty: TyId, span: Span) {
        if !self.has_destructors || self.unevaluated > 0 {
            return;
        }
        let Some(destructor) = self.destructor_of(ty) else { return };
        if let Some(made) = self.body.as_mut().and_then(|body| body.cleanups.made.as_mut()) {
            return made.push((span, ty));
        }
        let name = self.types.name(ty);
        // Outside of bodies there are constants, those of functions among them.
        let message = match self.body {
            Some(_) => {
                format!("making an object of '{name}' without a name, which has a destructor, is")
            }
            None => format!("a constant object of '{name}', which has a destructor, is"),
        };
        self.unsupported(span, message);
        let destructor = self.func(destructor).span;
        self.context.diagnostics.note(destructor, "the destructor");
    }

    /// Some destructor that has to run at the end of an object's lifetime.
    pub(super) fn destructor_of(&self, ty: TyId) -> Option<FuncId> {
        self.find_destructor(ty, &mut FastSet::default())
    }

    fn find_destructor(&self, ty: TyId, searched: &mut FastSet<StructId>) -> Option<FuncId> {
        let ty = self.innermost(ty);
        let (class, row) = self.types.structure(ty)?;
        if let Some(own) = self.classes[class.0 as usize].destructor {
            return Some(own);
        }
        let new = searched.insert(class);
        let fields = row.fields().iter().filter(|_| new);
        fields.map(|field| field.qual.ty).find_map(|part| self.find_destructor(part, searched))
    }

    /// Whether an object's destructor, and those of its parts, can be called.
    pub(super) fn is_destructible(&self, ty: TyId) -> bool {
        let deleted = |class: &Class| class.destructor.is_some_and(|id| self.func(id).deleted);
        !self.any_class(ty, &mut FastSet::default(), &deleted)
    }

    /// Whether a class or one of its parts has a destructor of the program's own, also one that does nothing.
    pub(super) fn provides_destructor(&self, ty: TyId) -> bool {
        self.any_class(ty, &mut FastSet::default(), &|class| class.provides_destructor)
    }

    /// Whether something is true of a class or of one of its parts.
    fn any_class(
        &self,
        ty: TyId,
        searched: &mut FastSet<StructId>,
        holds: &dyn Fn(&Class) -> bool,
    ) -> bool {
        let Some((class, row)) = self.types.structure(self.innermost(ty)) else { return false };
        let mut fields = row.fields().iter().map(|field| field.qual.ty);
        holds(&self.classes[class.0 as usize])
            || searched.insert(class) && fields.any(|part| self.any_class(part, searched, holds))
    }

    /// Checks the initial value of an object that is destroyed: what makes it may have a destructor.
    pub(super) fn made_for_object(
        &mut self,
        check: impl FnOnce(&mut Self) -> Option<Expr>,
    ) -> Option<Expr> {
        self.made_by(|this| {
            let value = check(this);
            value.iter().for_each(|value| this.made_part(value));
            value
        })
    }

    /// Checks an expression; objects that it makes, and that no other object or parameter gets, are refused, or
    /// left to the expression around it.
    pub(super) fn made_by<T>(&mut self, check: impl FnOnce(&mut Self) -> T) -> T {
        let Some(body) = &mut self.body else { return check(self) };
        let outer = body.cleanups.made.replace(Vec::new());
        let value = check(self);
        let body = self.this_body();
        let made = body.and_then(|body| std::mem::replace(&mut body.cleanups.made, outer));
        for (span, ty) in made.unwrap_or_default() {
            self.refuse_destructor(ty, span);
        }
        value
    }

    /// Whether the objects that are made are recorded, not refused.
    pub(super) fn records_objects(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.cleanups.made.is_some())
    }

    /// Records that a value becomes an object with a name, or a part of one.
    pub(super) fn made_part(&mut self, value: &Expr) {
        if let Some(made) = self.this_body().and_then(|body| body.cleanups.made.as_mut())
            && !made.is_empty()
        {
            take_parts(value, made);
        }
    }

    /// Records a variable whose destructor runs at the end of its scope.
    pub(super) fn note_cleanup(&mut self, local: LocalIndex, qual: Qual, span: Span) {
        if self.has_destructors
            && self.destructor_of(qual.ty).is_some()
            && let Some(body) = self.this_body()
        {
            body.cleanups.open.push((local, qual, span));
        }
    }

    /// How many variables with destructors there are now.
    pub(super) fn cleanups(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.cleanups.open.len())
    }

    /// Statements in a scope of their own, at whose end its variables are destroyed.
    pub(super) fn scoped_with_cleanups(
        &mut self,
        check: impl FnOnce(&mut Self) -> Vec<Stmt>,
    ) -> Vec<Stmt> {
        let before = self.cleanups();
        let mut out = self.scoped(check);
        self.end_scope(before, &mut out);
        out
    }

    /// Destroys the variables of a scope that ends, unless its last statement leaves it.
    pub(super) fn end_scope(&mut self, before: usize, out: &mut Vec<Stmt>) {
        if self.cleanups() == before {
            return;
        }
        let leaves = |stmt: &Stmt| {
            matches!(stmt.kind, StmtKind::Return(_) | StmtKind::Break | StmtKind::Continue)
        };
        if !out.last().is_some_and(leaves) {
            self.destroy_down_to(before, out);
        }
        if let Some(body) = self.this_body() {
            body.cleanups.open.truncate(before);
        }
    }

    /// Destroys the variables past a number of them, the last one first; they stay open.
    fn destroy_down_to(&mut self, before: usize, out: &mut Vec<Stmt>) {
        let open =
            self.body.as_ref().map_or(Vec::new(), |body| body.cleanups.open[before..].to_vec());
        let moved = self.body.as_ref().and_then(|body| body.cleanups.moved);
        let stays = |one: &(LocalIndex, Qual, Span)| Some(one.0) != moved;
        for (local, qual, span) in open.into_iter().rev().filter(stays) {
            // A destructor may change a constant object.
            let qual = Qual { constant: false, ..qual };
            let object = Expr { kind: ExprKind::Local(local), qual, place: true, span };
            self.destroy(object, out);
        }
    }

    /// The object's own destructor, then those of its members and bases, the last one first.
    fn destroy(&mut self, object: Expr, out: &mut Vec<Stmt>) {
        let (ty, span) = (object.qual.ty, object.span);
        let calls = self.body.as_ref().map_or(0, |body| body.cleanups.calls);
        if calls > MAX_CALLS || self.destructor_of(ty).is_none() {
            return;
        }
        if let Ty::Array(element, Some(count)) = *self.types.get(ty) {
            return self.destroy_elements(&object, element, count, out);
        }
        let Some((class, row)) = self.types.structure(ty) else { return };
        let (union, count) = (row.union, row.fields().len() as u32);
        let own = self.classes[class.0 as usize].destructor;
        if own.is_some() || union {
            if let Some(body) = self.this_body() {
                body.cleanups.calls += 1;
            }
            if calls == MAX_CALLS {
                let what = "more than 4096 calls of destructors in a function, counted at each way \
                            out of their scope, are";
                return self.unsupported(span, what);
            }
        }
        if let Some(id) = own {
            let call = self.call_function(id, Some(object.clone()), Vec::new(), span);
            out.push(Stmt { kind: StmtKind::Expr(call), span });
        }
        if union {
            if own.is_none() {
                let name = self.types.name(ty);
                let message = format!(
                    "the destructor of union '{name}' is deleted, as a member has a destructor: declare one"
                );
                self.error(span, message);
            }
            return;
        }
        for at in (0..count).rev() {
            let member = self.raw_field(object.clone(), at, span);
            let member = Expr { qual: Qual { constant: false, ..member.qual }, ..member };
            self.destroy(member, out);
        }
    }

    /// A loop that destroys the elements of an array, the last one first.
    fn destroy_elements(&mut self, array: &Expr, element: TyId, count: u32, out: &mut Vec<Stmt>) {
        let (int, span) = (Qual::plain(Types::scalar(Scalar::I32)), array.span);
        let local = self.new_local(String::new(), int);
        let place = Expr { kind: ExprKind::Local(local), qual: int, place: true, span };
        let at = self.rvalue(place.clone());
        let kind = ExprKind::Element(Box::new(array.clone()), Box::new(at.clone()));
        let item = Expr { kind, qual: array.qual.with(element), place: true, span };
        let step = self.value(ExprKind::Postfix(Box::new(place), -1), int.ty, span);
        let mut body = vec![Stmt { kind: StmtKind::Expr(step), span }];
        self.destroy(item, &mut body);
        let zero = self.int_value(0, span);
        let left = ExprKind::Binary(Binary::Gt, Box::new(at), Box::new(zero));
        let condition = Some(self.value(left, Types::scalar(Scalar::Bool), span));
        let all = self.int_value(i64::from(count), span);
        out.push(Stmt { kind: StmtKind::Let(local, Some(all)), span });
        let before = Vec::new();
        let kind = StmtKind::Loop { condition, after: false, before, step: None, body };
        out.push(Stmt { kind, span });
    }

    /// The condition of a loop, which makes its variable anew in each iteration.
    pub(super) fn loop_condition(&mut self, condition: &Condition, out: &mut Vec<Stmt>) -> Expr {
        let before = self.cleanups();
        let value = self.condition(condition, out);
        if self.cleanups() > before {
            let what = "a variable with a destructor in the condition of a loop is";
            self.unsupported(value.span, what);
        }
        value
    }

    /// Enters a loop or a switch.
    pub(super) fn enter_jumps(&mut self, is_loop: bool) {
        let before = self.cleanups();
        if let Some(body) = self.this_body() {
            body.cleanups.jumps.push((before, is_loop));
        }
    }

    pub(super) fn leave_jumps(&mut self) {
        if let Some(body) = self.this_body() {
            body.cleanups.jumps.pop();
        }
    }

    /// Destroys what a `break`, or a `continue`, leaves.
    pub(super) fn cleanups_of_jump(&mut self, continues: bool, out: &mut Vec<Stmt>) {
        let jumps = self.body.as_ref().map_or(&[][..], |body| &body.cleanups.jumps);
        let target = jumps.iter().rev().find(|(_, is_loop)| *is_loop || !continues);
        if let Some(&(before, _)) = target {
            self.destroy_down_to(before, out);
        }
    }

    /// Whether a label of the innermost switch comes after a variable with a destructor in it.
    pub(super) fn jumps_past_object(&self) -> bool {
        let Some(body) = &self.body else { return false };
        let switch = body.cleanups.jumps.iter().rev().find(|(_, is_loop)| !is_loop);
        switch.is_some_and(|&(before, _)| body.cleanups.open.len() > before)
    }

    /// The value of a variable that a `return` names: the variable becomes the result, with no copy and no destructor
    /// ([class.copy]/31).
    pub(super) fn moved_local(&mut self, value: &Expr, wanted: Qual) -> Option<Expr> {
        let ExprKind::Local(local) = value.kind else { return None };
        let (ty, span) = (value.qual.ty, value.span);
        let own = self.copy_functions(ty, CopyFunction::Constructor);
        let special = !own.is_empty()
            || self.copies_by_functions
            || self.has_destructors && self.destructor_of(ty).is_some();
        let fits = special
            && value.place
            && ty == wanted.ty
            && !value.qual.volatile
            && self.types.structure(ty).is_some();
        let Owner::Body(_, id) = self.body.as_ref()?.owner else { return None };
        let func = self.func(id);
        let parameters = func.parameters.len() + usize::from(func.this.is_some());
        if !fits || (local.0 as usize) < parameters {
            return None;
        }
        // The class must have something to move or copy it by.
        if self.is_copy_deleted(ty, CopyFunction::Constructor, true) {
            return None;
        }
        self.this_body()?.cleanups.moved = Some(local);
        Some(self.value(ExprKind::Load(Box::new(value.clone())), ty, span))
    }

    /// Destroys everything before a `return`, whose value is computed before.
    pub(super) fn cleanups_of_return(
        &mut self,
        value: Option<Expr>,
        out: &mut Vec<Stmt>,
    ) -> Option<Expr> {
        if self.cleanups() == 0 {
            if let Some(body) = self.this_body() {
                body.cleanups.moved = None;
            }
            return value;
        }
        let value = match value {
            Some(value) if value.qual.ty == Types::VOID => {
                let span = value.span;
                out.push(Stmt { kind: StmtKind::Expr(value), span });
                None
            }
            Some(value) => {
                let (qual, span) = (Qual::plain(value.qual.ty), value.span);
                let local = self.new_local(String::new(), qual);
                out.push(Stmt { kind: StmtKind::Let(local, Some(value)), span });
                let kind = ExprKind::Local(local);
                let place = Expr { kind, qual, place: true, span };
                Some(self.value(ExprKind::Load(Box::new(place)), qual.ty, span))
            }
            None => None,
        };
        self.destroy_down_to(0, out);
        if let Some(body) = self.this_body() {
            body.cleanups.moved = None;
        }
        value
    }
}

/// Takes from a list the objects that a value consists of.
fn take_parts(value: &Expr, made: &mut Vec<(Span, TyId)>) {
    use ExprKind::*;
    if let Construct(..) | Call(..) | Invoke(..) | Aggregate(_) | Filled(..) | UnionValue(..)
    | Load(_) = value.kind
    {
        let is_it = |one: &(Span, TyId)| *one == (value.span, value.qual.ty);
        if let Some(at) = made.iter().position(is_it) {
            made.remove(at);
        }
    }
    match &value.kind {
        Aggregate(parts) => parts.iter().for_each(|part| take_parts(part, made)),
        Filled(parts, others) => {
            parts.iter().for_each(|part| take_parts(part, made));
            take_parts(others, made);
        }
        UnionValue(_, member) => take_parts(member, made),
        Comma(_, last) => take_parts(last, made),
        Conditional(_, yes, no) => {
            take_parts(yes, made);
            take_parts(no, made);
        }
        _ => {}
    }
}
