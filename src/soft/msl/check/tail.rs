//! Tail recursion: a function without a result whose last step is a call of itself becomes a loop, as optimising
//! compilers make it. Other recursion is an error when a kernel needs it (MSL 1.5.4).

use super::Checker;
use crate::soft::msl::hir::{Expr, ExprKind, InstanceIndex, Local, LocalIndex, Stmt, StmtKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Ty, TyId};

impl Checker {
    /// Replaces the calls of the function itself that end its body; `locals` begin with its parameters.
    pub(super) fn loop_tail_calls(
        &self,
        body: &mut Vec<Stmt>,
        locals: &mut Vec<Local>,
        (own, parameters): (InstanceIndex, usize),
        span: Span,
    ) {
        let simple = |local: &Local| self.is_simple(local.qual.ty);
        let begins = usize::from(locals.first().is_some_and(|local| local.name == "this"));
        if !locals[begins..parameters].iter().all(simple) {
            return;
        }
        let mut calls = TailCalls { own, parameters, begins, locals, found: false };
        calls.block(body);
        if calls.found {
            let mut inner = std::mem::take(body);
            inner.push(Stmt { kind: StmtKind::Break, span });
            let kind = StmtKind::Loop {
                condition: None,
                after: false,
                before: Vec::new(),
                step: None,
                body: inner,
            };
            body.push(Stmt { kind, span });
        }
    }

    /// Whether a parameter's value can be assigned as a whole.
    fn is_simple(&self, ty: TyId) -> bool {
        matches!(
            self.types.get(ty),
            Ty::Scalar(_) | Ty::Vector(..) | Ty::Packed(..) | Ty::Pointer(_) | Ty::Enum(_)
        )
    }
}

struct TailCalls<'a> {
    own: InstanceIndex,
    parameters: usize,
    /// 1 for a member function, whose object must be the same.
    begins: usize,
    locals: &'a mut Vec<Local>,
    found: bool,
}

impl TailCalls<'_> {
    fn block(&mut self, block: &mut Vec<Stmt>) {
        while matches!(block.last(), Some(Stmt { kind: StmtKind::Return(None), .. })) {
            block.pop();
        }
        let Some(mut last) = block.pop() else { return };
        match &mut last.kind {
            StmtKind::If(_, yes, no) => {
                self.block(yes);
                self.block(no);
            }
            StmtKind::Block(inner) => self.block(inner),
            StmtKind::Expr(Expr { kind: ExprKind::Call(callee, arguments), .. })
                if *callee == self.own && self.is_own_object(arguments) =>
            {
                let arguments = std::mem::take(arguments);
                return self.again(arguments, last.span, block);
            }
            _ => {}
        }
        block.push(last);
    }

    /// Whether the first argument is `this`, in a member function.
    fn is_own_object(&self, arguments: &[Expr]) -> bool {
        if self.begins == 0 || arguments.len() != self.parameters {
            return arguments.len() == self.parameters;
        }
        let ExprKind::AddressOf(object) = &arguments[0].kind else { return false };
        let ExprKind::Deref(pointer) = &object.kind else { return false };
        let ExprKind::Load(local) = &pointer.kind else { return false };
        matches!(local.kind, ExprKind::Local(LocalIndex(0)))
    }

    /// The parameters get their new values, all of which are computed from the old ones.
    fn again(&mut self, arguments: Vec<Expr>, span: Span, out: &mut Vec<Stmt>) {
        self.found = true;
        let mut assignments = Vec::new();
        for (at, argument) in arguments.into_iter().enumerate().skip(self.begins) {
            let qual = self.locals[at].qual;
            let place = |local| Expr { kind: ExprKind::Local(local), qual, place: true, span };
            let new = LocalIndex(self.locals.len() as u32);
            self.locals.push(Local { name: String::new(), qual, in_memory: false });
            out.push(Stmt { kind: StmtKind::Let(new, Some(argument)), span });
            let value =
                Expr { kind: ExprKind::Load(Box::new(place(new))), qual, place: false, span };
            let parameter = place(LocalIndex(at as u32));
            let kind = ExprKind::Assign(Box::new(parameter), Box::new(value));
            let assigned = Expr { kind, qual, place: true, span };
            assignments.push(Stmt { kind: StmtKind::Expr(assigned), span });
        }
        out.extend(assignments);
        out.push(Stmt { kind: StmtKind::Continue, span });
    }
}
