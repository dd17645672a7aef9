//! Where the checker is: in which scope and body, and for which instance of a template. A guard brings it
//! back when it is dropped, on every way out.

use super::{Body, Checker, OriginId, ScopeId, ScopeKind};
use std::ops::{Deref, DerefMut};

/// A checker in another position, until this is dropped.
pub(super) struct Elsewhere<'a> {
    checker: &'a mut Checker,
    scope: ScopeId,
    origin: Option<OriginId>,
    /// The body that was left, and the number of unevaluated operands around.
    body: Option<(Option<Body>, u32)>,
}

impl Checker {
    /// In another scope, in the same body.
    pub(super) fn in_scope(&mut self, scope: ScopeId) -> Elsewhere<'_> {
        let outer = std::mem::replace(&mut self.scope, scope);
        Elsewhere { scope: outer, origin: self.origin, body: None, checker: self }
    }

    /// In a new scope inside the current one.
    pub(super) fn in_new_scope(&mut self, kind: ScopeKind) -> Elsewhere<'_> {
        let scope = self.new_scope(kind, self.scope);
        self.in_scope(scope)
    }

    /// In another scope, outside of any body.
    pub(super) fn outside_of_body(&mut self, scope: ScopeId) -> Elsewhere<'_> {
        let left = (self.body.take(), std::mem::take(&mut self.unevaluated));
        let mut guard = self.in_scope(scope);
        guard.body = Some(left);
        guard
    }
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        self.checker.scope = self.scope;
        self.checker.origin = self.origin;
        if let Some((body, unevaluated)) = self.body.take() {
            self.checker.body = body;
            self.checker.unevaluated = unevaluated;
        }
    }
}

impl Deref for Elsewhere<'_> {
    type Target = Checker;

    fn deref(&self) -> &Checker {
        self.checker
    }
}

impl DerefMut for Elsewhere<'_> {
    fn deref_mut(&mut self) -> &mut Checker {
        self.checker
    }
}
