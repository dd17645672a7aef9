//! `using` (C++14 namespace.udecl, namespace.udir, class.inhctor): names of namespaces and of bases.

use super::decl::parameter_types;
use super::lookup::Found;
use super::{Checker, Entity, Func, FuncId, LIBRARY_SCOPE, Parameter, REOPENED_SCOPE, ScopeKind};
use crate::soft::ir::hash::FastSet;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::names::Name;
use crate::soft::msl::types::{StructId, Ty, TyId};
use std::sync::Arc;

/// What using-declarations bring into a class from its bases.
#[derive(Clone, Debug, Default)]
pub(super) struct Introduced {
    functions: Vec<(Name, Entity)>,
    /// Bases whose constructors the class inherits, as they are named.
    constructors: Vec<(TyId, Path)>,
}

impl Checker {
    pub(super) fn using_namespace(&mut self, path: &Path) {
        match self.lookup_path(path) {
            Found::Entities(list) => {
                for entity in list {
                    if let Entity::Namespace(scope) = entity {
                        let here = self.scope;
                        let opened = match scope {
                            LIBRARY_SCOPE => {
                                self.uses_metal = true;
                                REOPENED_SCOPE
                            }
                            scope => scope,
                        };
                        let list = &mut self.scopes[here.0 as usize].opened;
                        if here != opened && !list.contains(&opened) {
                            list.push(opened);
                        }
                        return;
                    }
                }
                self.error(path.span, "expected namespace name");
            }
            _ => self.error(path.span, "expected namespace name"),
        }
    }

    pub(super) fn using(&mut self, path: &Path) {
        let label = &path.last().name;
        if !matches!(label, Label::Name(_) | Label::Operator(_)) {
            return;
        }
        let name = self.label_name(label);
        let scope = self.scope;
        let class = match self.scopes[scope.0 as usize].kind {
            ScopeKind::Class(class) => Some(class),
            _ => None,
        };
        if let Some(class) = class
            && let Some(base) = self.constructors_named(path)
        {
            return self.classes[class.0 as usize].introduced.constructors.push(base);
        }
        match self.lookup_path(path) {
            Found::Entities(list) if !list.is_empty() => {
                let own = self.scopes[scope.0 as usize].names.get(&name);
                let known: FastSet<Entity> = own.into_iter().flatten().copied().collect();
                for entity in list.into_iter().filter(|entity| !known.contains(entity)) {
                    let (Some(class), Entity::Function(_) | Entity::Template(_)) = (class, entity)
                    else {
                        self.bind(scope, name, entity);
                        continue;
                    };
                    // It is not a declaration that one of the class repeats or defines.
                    self.scopes[scope.0 as usize].names.entry(name).or_default().push(entity);
                    let row = &mut self.classes[class.0 as usize].introduced;
                    row.functions.push((name, entity));
                }
            }
            // A data member of a base is found without a declaration.
            _ if class.is_some() && self.names_field(path, name) => {}
            // A function of the table: found without a declaration.
            _ if super::builtins::rows(&self.text(name)).next().is_some() => self.uses_metal = true,
            _ => {
                let text = self.path_text(path);
                self.error(path.span, format!("no member named '{text}'"));
            }
        }
    }

    /// Whether a path names a data member of a class.
    fn names_field(&mut self, path: &Path, name: Name) -> bool {
        let Some(scope) = self.owner_scope(path) else { return false };
        match self.scopes[scope.0 as usize].kind {
            ScopeKind::Class(owner) => self.field_path(owner, name).is_some(),
            _ => false,
        }
    }

    /// The class whose constructors are named: `Base::Base`, also by another name of the base ([class.qual]/2).
    fn constructors_named(&mut self, path: &Path) -> Option<(TyId, Path)> {
        let (last, before) = path.parts.split_last()?;
        let owner = before.last()?;
        match (&last.name, &owner.name) {
            (Label::Name(a), Label::Name(b)) if a == b => {}
            _ => return None,
        }
        let base = Path { parts: before.to_vec(), ..path.clone() };
        let Found::Entities(list) = self.lookup_path(&base) else { return None };
        let ty = list.into_iter().find_map(|entity| match self.applied(entity, owner) {
            Entity::Type(qual) => Some(qual.ty),
            _ => None,
        })?;
        self.types.structure(ty).is_some().then_some((ty, base))
    }

    /// The class that brings a function of a base, or the template that it is made from, into its own scope: the class
    /// itself or one of its bases.
    pub(super) fn introducer(&self, ty: TyId, id: FuncId) -> Option<TyId> {
        match self.introduces(ty, id) {
            true => Some(ty),
            false => self.bases_of(ty).into_iter().find_map(|base| self.introducer(base, id)),
        }
    }

    fn introduces(&self, ty: TyId, id: FuncId) -> bool {
        let Some((class, _)) = self.types.structure(ty) else { return false };
        let made_from = self.func(id).made_from.map(Entity::Template);
        self.classes[class.0 as usize]
            .introduced
            .functions
            .iter()
            .any(|&(_, entity)| entity == Entity::Function(id) || Some(entity) == made_from)
    }

    /// After the members of a class: its own functions hide those of the bases with the same parameters
    /// ([namespace.udecl]/15), and constructors are inherited.
    pub(super) fn end_introduced(&mut self, class: StructId) {
        let row = &self.classes[class.0 as usize];
        let (scope, introduced) = (row.scope, row.introduced.clone());
        for (name, entity) in introduced.functions {
            let Entity::Function(id) = entity else { continue };
            let func = self.func(id);
            let (this, key) = (func.this, (scope, name, parameter_types(func)));
            let own = self.signatures.get(&key).cloned().unwrap_or_default();
            if own.iter().any(|&own| self.func(own).this == this) {
                let names = &mut self.scopes[scope.0 as usize].names;
                names.entry(name).or_default().retain(|one| *one != entity);
            }
        }
        for (base, path) in introduced.constructors {
            self.inherit_constructors(class, base, &path);
        }
    }

    /// The constructors of a base are those of the class: they construct the base, and the members by their defaults. A
    /// constructor without parameters and those that copy are not inherited ([class.inhctor]/3).
    fn inherit_constructors(&mut self, class: StructId, base: TyId, path: &Path) {
        let Some((from, _)) = self.types.structure(base) else { return };
        let ty = self.types.intern(Ty::Struct(class));
        if !self.bases_of(ty).contains(&base) {
            let text = self.path_text(path);
            let name = self.types.name(ty);
            let message = format!(
                "'{text}' is not a direct base of '{name}': its constructors are not inherited"
            );
            return self.error(path.span, message);
        }
        let mut inherited = Vec::new();
        for entity in self.classes[from.0 as usize].constructors.clone() {
            let Entity::Function(id) = entity else { continue };
            let func = self.func(id).clone();
            let reference = |parameter: &Parameter| match *self.types.get(parameter.qual.ty) {
                Ty::Reference(to, rvalue) => Some((to.ty, rvalue)),
                _ => None,
            };
            let list: Vec<_> = func.parameters.iter().map(reference).collect();
            let copies = matches!(list[..], [Some((to, _))] if to == base);
            // `T&&` would have to be moved on.
            let moves = list.iter().any(|one| matches!(one, Some((_, true))));
            if !(list.is_empty() || copies || moves) {
                inherited.push(func);
            }
        }
        // Inherited constructors are no constructors that the class declares: it has a default one still.
        if self.classes[class.0 as usize].constructors.is_empty()
            && let Some(first) = inherited.first()
        {
            let none = Func { parameters: Vec::new(), explicit: false, ..first.clone() };
            self.forwarding_constructor(class, none, None);
        }
        for func in inherited {
            self.forwarding_constructor(class, func, Some(path));
        }
    }

    /// A constructor with the parameters of another, which it gives to the base's, if there is one.
    fn forwarding_constructor(&mut self, class: StructId, from: Func, base: Option<&Path>) {
        let scope = self.classes[class.0 as usize].scope;
        let name = self.types.class(class).name.text.clone();
        let (display, name) = (name.to_string(), self.context.names.intern(&name));
        let mut parameters = from.parameters.clone();
        let mut arguments = Vec::new();
        for (at, parameter) in parameters.iter_mut().enumerate() {
            let name = self.context.names.intern(&format!("(argument {})", at + 1));
            parameter.name = Some(name);
            let path = Path::of(name, from.span);
            arguments.push(ast::Expr::new(ExprKind::Path(path), from.span));
        }
        let initializers: Vec<_> =
            base.map(|base| (base.clone(), Init::Direct(arguments), None)).into_iter().collect();
        let definition = ast::Function {
            specifiers: Specifiers::absent(from.span),
            declarator: Declarator { span: from.span, ..Declarator::default() },
            initializers,
            body: Body::Block(Block { statements: Vec::new() }),
            span: from.span,
        };
        let prefix = self.scopes[scope.0 as usize].prefix.clone();
        let func = Func {
            name: format!("{prefix}{display}"),
            parameters,
            packs: Vec::new(),
            scope,
            class: Some(class),
            definition: Some(Arc::new(definition)),
            specialised: false,
            template: self.templates.depth > 0,
            made_from: None,
            origin: self.origin,
            ..from
        };
        let own = self.signatures.get(&(scope, name, parameter_types(&func)));
        // The class's own constructor with these parameters hides it.
        if own.is_some_and(|list| !list.is_empty()) {
            return;
        }
        let id = self.add_function(func, scope, name, false);
        self.classes[class.0 as usize].constructors.push(Entity::Function(id));
    }
}
