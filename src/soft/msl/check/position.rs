//! The checker's current scope, body and instance of a template. A guard restores them
//! when it is dropped, on every path.

use super::{Body, Checker, OriginId, ScopeId, ScopeKind};
use std::ops::{Deref, DerefMut};

/// A checker in another position, until the guard is dropped.
pub(super) struct Elsewhere<'a> {
    checker: &'a mut Checker,
    scope: ScopeId,
    origin: Option<OriginId>,
    /// The previous body, its nesting of unevaluated operands, and whether a static member of a template is being declared.
    body: Option<(Option<Body>, u32, bool)>,
}

impl Checker {
    /// Enters another scope of the same body.
    pub(super) fn in_scope(&mut self, scope: ScopeId) -> Elsewhere<'_> {
        let outer = std::mem::replace(&mut self.scope, scope);
        Elsewhere { scope: outer, origin: self.origin, body: None, checker: self }
    }

    /// Enters a new scope inside the current one.
    pub(super) fn in_new_scope(&mut self, kind: ScopeKind) -> Elsewhere<'_> {
        let scope = self.new_scope(kind, self.scope);
        self.in_scope(scope)
    }

    /// Enters another scope, outside any body.
    pub(super) fn outside_of_body(&mut self, scope: ScopeId) -> Elsewhere<'_> {
        let of_static = std::mem::take(&mut self.templates.of_static);
        let left = (self.body.take(), std::mem::take(&mut self.unevaluated), of_static);
        let mut guard = self.in_scope(scope);
        guard.body = Some(left);
        guard
    }
}

impl Drop for Elsewhere<'_> {
    fn drop(&mut self) {
        self.checker.scope = self.scope;
        self.checker.origin = self.origin;
        if let Some((body, unevaluated, of_static)) = self.body.take() {
            self.checker.templates.of_static = of_static;
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
