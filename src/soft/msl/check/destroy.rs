//! Destructors (C++14 class.dtor): of variables and by-value parameters when their scope is left, in whichever way, and of their members,
//! bases and elements. Objects that have no name and are not a part of one with a name are refused if they would need one.

use super::copy::CopyFunction;
use super::{Checker, FuncId, Owner};
use crate::soft::msl::ast::{Block, Body, Condition, Function};
use crate::soft::msl::hir::{Expr, ExprKind, LocalIndex, Stmt, StmtKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};

/// The most elements of an array that are destroyed, one call for each.
const MAX_ELEMENTS: u32 = 1024;

/// The objects of a body that a destructor ends.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// The variables whose scopes are open, innermost last.
    open: Vec<(LocalIndex, Qual, Span)>,
    /// How many were open before each enclosing loop and switch, and whether it is a loop.
    jumps: Vec<(usize, bool)>,
    /// Objects that were made while the initial value of another one was checked, which they may be a part of.
    made: Option<Vec<(Span, TyId)>>,
    /// The variable that becomes the result of the `return` that is being checked.
    moved: Option<LocalIndex>,
}

impl Checker {
    /// Records a destructor of a class: none that does nothing.
    pub(super) fn note_destructor(&mut self, id: FuncId, definition: Option<&Function>) {
        let Some(class) = self.func(id).class else { return };
        let does_nothing = definition.is_some_and(|definition| match &definition.body {
            Body::Block(Block { statements }) => statements.is_empty(),
            Body::Default | Body::Delete => true,
        });
        self.classes[class.0 as usize].destructor = (!does_nothing).then_some(id);
        self.has_destructors |= !does_nothing;
    }

    /// Refuses to make an object that a destructor would end, unless it is a part of one with a name.
    pub(super) fn refuse_destructor(&mut self, ty: TyId, span: Span) {
        if !self.has_destructors || self.unevaluated > 0 {
            return;
        }
        let Some(destructor) = self.destructor_of(ty) else { return };
        if let Some(made) = self.body.as_mut().and_then(|body| body.lives.made.as_mut()) {
            return made.push((span, ty));
        }
        let name = self.types.name(ty);
        let message =
            format!("making an object of '{name}' without a name, which has a destructor, is");
        self.unsupported(span, message);
        let destructor = self.func(destructor).span;
        self.context.diagnostics.note(destructor, "the destructor");
    }

    /// Some destructor that has to run when an object ends.
    fn destructor_of(&self, ty: TyId) -> Option<FuncId> {
        let ty = self.innermost(ty);
        let (class, _) = self.types.structure(ty)?;
        let parts = || self.parts_of_class(ty).into_iter().flatten();
        let of_part = || parts().find_map(|part| self.destructor_of(part));
        self.classes[class.0 as usize].destructor.or_else(of_part)
    }

    /// Checks the initial value of an object that is destroyed: what makes it may have a destructor.
    pub(super) fn made_for_object(
        &mut self,
        check: impl FnOnce(&mut Self) -> Option<Expr>,
    ) -> Option<Expr> {
        if !self.has_destructors || self.body.is_none() {
            return check(self);
        }
        let outer = self.this_body().and_then(|body| body.lives.made.replace(Vec::new()));
        let value = check(self);
        let body = self.this_body();
        let made = body.and_then(|body| std::mem::replace(&mut body.lives.made, outer));
        let mut made = made.unwrap_or_default();
        if let Some(value) = &value {
            take_parts(value, &mut made);
        }
        for (span, ty) in made {
            self.refuse_destructor(ty, span);
        }
        value
    }

    /// Notes a variable whose destructor runs at the end of its scope.
    pub(super) fn note_life(&mut self, local: LocalIndex, qual: Qual, span: Span) {
        if self.has_destructors
            && self.destructor_of(qual.ty).is_some()
            && let Some(body) = self.this_body()
        {
            body.lives.open.push((local, qual, span));
        }
    }

    /// How many variables with destructors there are now.
    pub(super) fn lives(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.lives.open.len())
    }

    /// Statements in a scope of their own, at whose end its variables are destroyed.
    pub(super) fn living(&mut self, check: impl FnOnce(&mut Self) -> Vec<Stmt>) -> Vec<Stmt> {
        let before = self.lives();
        let mut out = self.scoped(check);
        self.end_lives(before, &mut out);
        out
    }

    /// Destroys the variables of a scope that ends, unless its last statement leaves it.
    pub(super) fn end_lives(&mut self, before: usize, out: &mut Vec<Stmt>) {
        if self.lives() == before {
            return;
        }
        let leaves = |stmt: &Stmt| {
            matches!(stmt.kind, StmtKind::Return(_) | StmtKind::Break | StmtKind::Continue)
        };
        if !out.last().is_some_and(leaves) {
            self.destroy_down_to(before, out);
        }
        if let Some(body) = self.this_body() {
            body.lives.open.truncate(before);
        }
    }

    /// Destroys the variables past a number of them, the last one first; they stay open.
    fn destroy_down_to(&mut self, before: usize, out: &mut Vec<Stmt>) {
        let open = self.body.as_ref().map_or(Vec::new(), |body| body.lives.open[before..].to_vec());
        let moved = self.body.as_ref().and_then(|body| body.lives.moved);
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
        if self.destructor_of(ty).is_none() {
            return;
        }
        if let Ty::Array(element, Some(count)) = *self.types.get(ty) {
            if count > MAX_ELEMENTS {
                return self.unsupported(span, "a large array of a class with a destructor is");
            }
            for at in (0..count).rev() {
                let index = Box::new(self.int_value(i64::from(at), span));
                let kind = ExprKind::Element(Box::new(object.clone()), index);
                let qual = object.qual.with(element);
                self.destroy(Expr { kind, qual, place: true, span }, out);
            }
            return;
        }
        let Some((class, row)) = self.types.structure(ty) else { return };
        let count = if row.union { 0 } else { row.fields().len() as u32 };
        if let Some(id) = self.classes[class.0 as usize].destructor {
            let call = self.call_function(id, Some(object.clone()), Vec::new(), span);
            out.push(Stmt { kind: StmtKind::Expr(call), span });
        }
        for at in (0..count).rev() {
            let member = self.raw_field(object.clone(), at, span);
            let member = Expr { qual: Qual { constant: false, ..member.qual }, ..member };
            self.destroy(member, out);
        }
    }

    /// The condition of a loop, whose variable each round makes.
    pub(super) fn loop_condition(&mut self, condition: &Condition, before: &mut Vec<Stmt>) -> Expr {
        let lives = self.lives();
        let value = self.condition(condition, before);
        if self.lives() > lives {
            self.unsupported(
                value.span,
                "a variable with a destructor in the condition of a loop is",
            );
        }
        value
    }

    /// Enters a loop or a switch.
    pub(super) fn enter_jumps(&mut self, is_loop: bool) {
        let lives = self.lives();
        if let Some(body) = self.this_body() {
            body.lives.jumps.push((lives, is_loop));
        }
    }

    pub(super) fn leave_jumps(&mut self) {
        if let Some(body) = self.this_body() {
            body.lives.jumps.pop();
        }
    }

    /// Destroys what a `break`, or a `continue`, leaves.
    pub(super) fn end_lives_of_jump(&mut self, continues: bool, out: &mut Vec<Stmt>) {
        let jumps = self.body.as_ref().map_or(&[][..], |body| &body.lives.jumps);
        let target = jumps.iter().rev().find(|(_, is_loop)| *is_loop || !continues);
        if let Some(&(before, _)) = target {
            self.destroy_down_to(before, out);
        }
    }

    /// Whether a label of the innermost switch is behind a variable with a destructor in it.
    pub(super) fn jumps_into_life(&self) -> bool {
        let lives = self.body.as_ref().map(|body| &body.lives);
        lives.is_some_and(|lives| lives.jumps.last().is_some_and(|last| lives.open.len() > last.0))
    }

    /// The value of a variable that a `return` names: the variable becomes the result, with no copy and no destructor
    /// ([class.copy]/31).
    pub(super) fn moved_local(&mut self, value: &Expr, wanted: Qual) -> Option<Expr> {
        let ExprKind::Local(local) = value.kind else { return None };
        let (ty, span) = (value.qual.ty, value.span);
        let own = self.copy_functions(ty, CopyFunction::Constructor);
        let special = !own.is_empty() || self.has_destructors && self.destructor_of(ty).is_some();
        let fits = special && value.place && ty == wanted.ty && !value.qual.volatile;
        let Owner::Body(_, id) = self.body.as_ref()?.owner else { return None };
        let func = self.func(id);
        let parameters = func.parameters.len() + usize::from(func.this.is_some());
        let deleted = own.iter().any(|&id| self.func(id).deleted);
        if !fits || deleted || (local.0 as usize) < parameters {
            return None;
        }
        self.this_body()?.lives.moved = Some(local);
        Some(self.value(ExprKind::Load(Box::new(value.clone())), ty, span))
    }

    /// Destroys everything before a `return`, whose value is computed before.
    pub(super) fn end_lives_of_return(
        &mut self,
        value: Option<Expr>,
        out: &mut Vec<Stmt>,
    ) -> Option<Expr> {
        if self.lives() == 0 {
            if let Some(body) = self.this_body() {
                body.lives.moved = None;
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
            body.lives.moved = None;
        }
        value
    }
}

/// Takes from a list the objects that a value consists of.
fn take_parts(value: &Expr, made: &mut Vec<(Span, TyId)>) {
    let is_it = |one: &(Span, TyId)| *one == (value.span, value.qual.ty);
    match &value.kind {
        ExprKind::Construct(..) | ExprKind::Call(..) | ExprKind::Aggregate(_) => {
            if let Some(at) = made.iter().position(is_it) {
                made.remove(at);
            }
        }
        _ => {}
    }
    match &value.kind {
        ExprKind::Aggregate(parts) => parts.iter().for_each(|part| take_parts(part, made)),
        ExprKind::Conditional(_, yes, no) => {
            take_parts(yes, made);
            take_parts(no, made);
        }
        _ => {}
    }
}
