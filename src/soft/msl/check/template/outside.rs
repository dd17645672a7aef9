//! Members that are defined outside of their class, and templates of plain classes and namespaces that are
//! (C++14 temp.mem, temp.mem.func, temp.class.spec.mfunc).

use super::super::{Checker, Entity};
use super::order::PROBES;
use super::{Key, TemplateId, declared_path, is_open, parameter_name, pattern_of};
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::types::Qual;
use std::sync::Arc;

/// A member of a class template.
#[derive(Clone, Debug)]
pub(super) struct Member {
    syntax: Arc<ast::Template>,
    owner: Owner,
    /// The arguments of the class in the member's declaration.
    pattern: Arc<[TemplateArgument]>,
}

/// The definition of a class template whose members an instance has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Primary,
    /// A partial specialisation, by its index.
    Partial(usize),
    /// A full specialisation: its members are defined without `template`.
    Full,
}

impl Checker {
    /// A member of a class template or its partial specialisation, or a template of a plain class or namespace.
    pub(super) fn outside_member(&mut self, path: &Path, template: &Arc<ast::Template>) {
        let owners = &path.parts[..path.parts.len() - 1];
        let is_instance = |part: &PathPart| part.arguments.is_some();
        // `template <typename T> template <typename U> int A<T>::B<U>::f()`: the first list belongs to the first class.
        let at = match &template.declaration {
            Decl::Template(_) => owners.iter().position(is_instance),
            _ => owners.iter().rposition(is_instance),
        };
        let Some(at) = at else { return self.complete_plain(path, template) };
        let owner = Path { parts: owners[..=at].to_vec(), ..path.clone() };
        let pattern = owners[at].arguments.clone().unwrap_or_else(|| Vec::new().into());
        let Some(&id) = self.templates_named(&owner).first() else {
            let text = self.path_text(path);
            return self.error(path.span, format!("'{text}' names no declared member"));
        };
        let Some(owner) = self.owner_of_pattern(id, template, &pattern) else {
            let text = self.path_text(&owner);
            let message = format!(
                "no specialization of '{text}' is declared with these arguments: members are defined with the \
                 parameters of their class template, or with the arguments of its partial specialization"
            );
            return self.error(path.span, message);
        };
        let member = Member { syntax: template.clone(), owner, pattern };
        self.templates.all[id.0 as usize].members.push(member.clone());
        let made: Vec<Key> =
            self.templates.origins.values().filter(|k| k.0 == id).cloned().collect();
        for key in made {
            let general = self.syntax_of(id);
            let (chosen, _) = self.specialised_syntax(id, &key.1, &general, self.scope);
            if self.owner_of_syntax(&key, &chosen) == owner {
                self.define_member(&member, &key);
            }
        }
    }

    /// `template <typename U> void S::f(U) { … }`: the definition of a template of a plain class or of a namespace.
    fn complete_plain(&mut self, path: &Path, template: &Arc<ast::Template>) {
        let scope = self.owner_scope(path);
        let name = self.label_name(&path.last().name);
        let done = scope.is_some_and(|scope| self.complete_template(template, name, scope));
        if !done {
            let text = self.path_text(path);
            self.error(path.span, format!("'{text}' names no declared member"));
        }
    }

    /// The class definition that the arguments of a member's declaration name.
    fn owner_of_pattern(
        &mut self,
        id: TemplateId,
        member: &ast::Template,
        pattern: &[TemplateArgument],
    ) -> Option<Owner> {
        let general = self.syntax_of(id);
        let in_order = pattern.len() == member.parameters.len()
            && pattern.iter().zip(&member.parameters).all(|(argument, parameter)| {
                let name = parameter_name(parameter);
                name.is_some() && plain_argument(argument) == name
            });
        if in_order && pattern.len() == general.parameters.len() {
            return Some(Owner::Primary);
        }
        let scope = self.scope;
        let own = self.probed(id, (member, scope), pattern);
        let list = self.templates.all[id.0 as usize].specialisations.clone();
        // A definition follows its declaration.
        list.iter().enumerate().rev().find_map(|(at, (special, scope))| {
            let theirs = pattern_of(special)?;
            let theirs = self.probed(id, (special, *scope), &theirs);
            let same = theirs == own && own.iter().any(Option::is_some);
            same.then_some(Owner::Partial(at))
        })
    }

    /// The arguments of a pattern, all of them, for each kind of placeholders; `None` where they do not fit.
    fn probed(
        &mut self,
        id: TemplateId,
        (syntax, parent): (&ast::Template, super::ScopeId),
        pattern: &[TemplateArgument],
    ) -> [Option<Vec<super::Argument>>; 3] {
        let general = self.syntax_of(id);
        PROBES.map(|scalars| {
            let bindings = self.placeholders(syntax, scalars);
            let (all, diagnostics) = self.silently(|this| {
                let (scope, _) = this.bound_scope_in(parent, syntax, &bindings).ok()?;
                let given = this.outside(scope, |this| this.explicit_arguments(pattern))?;
                let bindings = this.bind_explicit(&general, &given)?.bindings;
                this.bound_scope(id, &general, &bindings).ok().map(|(_, all)| all)
            });
            all.filter(|_| !diagnostics.has_errors())
        })
    }

    /// The class definition that an instance is made from.
    fn owner_of_syntax(&self, key: &Key, chosen: &Arc<ast::Template>) -> Owner {
        let declared = &self.templates.all[key.0.0 as usize];
        if declared.full.contains_key(&key.1) {
            return Owner::Full;
        }
        let at = declared.specialisations.iter().position(|(one, _)| Arc::ptr_eq(one, chosen));
        at.map_or(Owner::Primary, Owner::Partial)
    }

    /// Declares the members that are defined outside of a class template, for an instance made from `chosen`.
    pub(super) fn define_members(&mut self, key: &Key, chosen: &Arc<ast::Template>) {
        let members = self.templates.all[key.0.0 as usize].members.clone();
        if members.is_empty() {
            return;
        }
        let owner = self.owner_of_syntax(key, chosen);
        for member in members.iter().filter(|member| member.owner == owner) {
            self.define_member(member, key);
        }
    }

    /// One of them: its own names for the parameters are bound to the arguments of the instance.
    fn define_member(&mut self, member: &Member, key: &Key) {
        let syntax = &member.syntax;
        let scope = match member.owner {
            Owner::Primary => {
                let bindings: Vec<_> = key.1.iter().copied().map(Some).collect();
                self.bound_scope(key.0, syntax, &bindings).ok().map(|(scope, _)| scope)
            }
            _ => {
                let parent = self.templates.all[key.0.0 as usize].scope;
                let general = self.syntax_of(key.0);
                let own = (&**syntax, parent);
                self.match_specialisation(key.0, own, &member.pattern, &key.1, &general)
            }
        };
        let Some(scope) = scope else { return };
        if let Decl::Template(inner) = &syntax.declaration {
            let of_nested = declared_path(&inner.declaration).is_some_and(|path| {
                let owners = &path.parts[..path.parts.len() - 1];
                owners.iter().filter(|part| part.arguments.is_some()).count() > 1
            });
            return match of_nested {
                true => self.outside(scope, |this| this.declare_template(inner)),
                false => self.complete_member_template(inner, scope, key),
            };
        }
        self.templates.depth += 1;
        self.outside(scope, |this| this.declare(&syntax.declaration));
        self.templates.depth -= 1;
    }

    /// `template <typename T> template <typename U> void S<T>::f(U) { … }`, in a scope that binds the first list.
    fn complete_member_template(
        &mut self,
        inner: &Arc<ast::Template>,
        parameters: super::ScopeId,
        key: &Key,
    ) {
        let class = self.templates.origins.iter().find(|(_, origin)| *origin == key);
        let class = class.map(|(ty, _)| Entity::Type(Qual::plain(*ty)));
        let scope = class.and_then(|class| self.scope_of(class));
        let (Some(scope), Some(path)) = (scope, declared_path(&inner.declaration)) else {
            return;
        };
        // Names are those of the class, and the definition's own for the parameters of the class.
        let kind = self.scopes[scope.0 as usize].kind;
        let own = self.new_scope(kind, scope);
        let names = self.scopes[parameters.0 as usize].names.clone();
        let row = &mut self.scopes[own.0 as usize];
        (row.names, row.parameters) = (names, true);
        let name = self.label_name(&path.last().name);
        let mut open = Vec::new();
        for entity in self.lookup_in(scope, name) {
            match entity {
                Entity::Template(id) if is_open(&self.syntax_of(id)) => open.push(id),
                _ => {}
            }
        }
        // Types that cannot be compared, as they depend on conditions, are told apart by their order.
        let found = open.iter().copied().find(|&id| self.same_signature(id, (inner, own)));
        let Some(id) = found.or(open.first().copied()) else {
            return self.error(path.span, "the definition matches no member template of the class");
        };
        let known = self.syntax_of(id);
        let declared = &mut self.templates.all[id.0 as usize];
        declared.syntax = super::with_defaults(inner, &known);
        (declared.prototype, declared.scope) = (Some(known), own);
    }
}

/// The name that an argument consists of.
fn plain_argument(argument: &TemplateArgument) -> Option<super::Name> {
    match argument {
        TemplateArgument::Type(name) if name.declarator.parts.is_empty() => {
            name.specifiers.plain_name()
        }
        TemplateArgument::Value(value) => value.plain(),
        TemplateArgument::Expansion(pattern, _) => plain_argument(pattern),
        TemplateArgument::Type(_) => None,
    }
}
