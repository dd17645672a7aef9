//! Name lookup (C++14 basic.lookup); the library is searched last.

use super::{Checker, Entity, GLOBAL_SCOPE, LIBRARY_SCOPE, REOPENED_SCOPE, ScopeId, ScopeKind};
use crate::soft::ir::hash::{FastSet, hash_of};
use crate::soft::msl::ast::{Label, Path};
use crate::soft::msl::availability;
use crate::soft::msl::hir::Expr;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{self, Qual, StructId, Ty, TyId};

/// How a member is reached from an object: field numbers through anonymous structs.
pub(super) type FieldPath = Vec<u32>;

/// Where an unqualified name was found.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Nothing,
    Entities(Vec<Entity>),
    /// A data member of a class that the name is inside of.
    Member(StructId, FieldPath),
}

impl Checker {
    pub(super) fn lookup(&mut self, name: Name) -> Found {
        let hash = hash_of(&name);
        // Whether a namespace that a scope opens may have the name.
        let opened = self.inner_names.contains(&name)
            || self.scopes[REOPENED_SCOPE.0 as usize].names.get_by_hash(&name, hash).is_some();
        let mut scope = Some(self.scope);
        let mut global = false;
        while let Some(at) = scope {
            global |= at == GLOBAL_SCOPE;
            let here = &self.scopes[at.0 as usize];
            let may_have = at == LIBRARY_SCOPE
                || at == REOPENED_SCOPE
                || opened && !here.opened.is_empty()
                || !here.bases.is_empty()
                || here.names.get_by_hash(&name, hash).is_some();
            let entities = match at {
                // The library's own code does not use what a program adds to its namespace.
                LIBRARY_SCOPE if !global => self.library_entities(name),
                at if may_have => self.lookup_in(at, name),
                _ => Vec::new(),
            };
            if !entities.is_empty() {
                return Found::Entities(entities);
            }
            if let ScopeKind::Class(class) = self.scopes[at.0 as usize].kind
                && let Some(path) = self.field_path(class, name)
            {
                return Found::Member(class, path);
            }
            scope = self.scopes[at.0 as usize].parent;
        }
        Found::Nothing
    }

    /// The first entity that [`lookup`](Self::lookup) finds, without a list of them: names of packs are looked up once for
    /// each of their elements.
    pub(super) fn lookup_first(&mut self, name: Name) -> Option<Entity> {
        let mut at = Some(self.scope);
        while let Some(id) = at {
            let scope = &self.scopes[id.0 as usize];
            if let ScopeKind::Namespace = scope.kind {
                break;
            }
            if let Some(&first) = scope.names.get(&name).and_then(|list| list.first()) {
                return Some(first);
            }
            // Fields, bases and opened namespaces are looked up in the usual way.
            if scope.kind != ScopeKind::Block || !scope.opened.is_empty() {
                break;
            }
            at = scope.parent;
        }
        match self.lookup(name) {
            Found::Entities(list) => list.first().copied(),
            _ => None,
        }
    }

    /// The names of a scope and of the namespaces that it opens.
    pub(super) fn lookup_in(&mut self, scope: ScopeId, name: Name) -> Vec<Entity> {
        let of_library = match scope {
            LIBRARY_SCOPE | REOPENED_SCOPE => self.library_entities(name),
            _ => Vec::new(),
        };
        let scope = if scope == LIBRARY_SCOPE { REOPENED_SCOPE } else { scope };
        let own = &self.scopes[scope.0 as usize];
        let mut found = own.names.get(&name).cloned().unwrap_or_default();
        if !found.is_empty() {
            // The program adds the name to the library's namespace itself.
            self.newer = None;
        }
        found.extend(of_library);
        if !own.opened.is_empty() {
            let opens = own.opened.contains(&REOPENED_SCOPE);
            self.lookup_opened(scope, name, &mut found);
            // The library's functions are overloads of those that the program adds to its namespace.
            if opens && self.scopes[REOPENED_SCOPE.0 as usize].names.contains_key(&name) {
                let function =
                    |one: &Entity| matches!(one, Entity::Function(_) | Entity::Template(_));
                if found.iter().all(function) {
                    found.extend(self.library_entities(name).into_iter().filter(function));
                    self.newer = None;
                }
            }
        }
        if found.is_empty() && !self.scopes[scope.0 as usize].bases.is_empty() {
            // The members of a class hide those of its bases ([class.member.lookup]/4).
            let bases = self.scopes[scope.0 as usize].bases.clone();
            found = bases.into_iter().flat_map(|base| self.lookup_in(base, name)).collect();
        }
        found
    }

    /// Adds the entities with this name in the namespaces that a scope opens, each once.
    fn lookup_opened(&self, scope: ScopeId, name: Name, found: &mut Vec<Entity>) {
        // Fast path: no nested namespace declares the name.
        if !self.inner_names.contains(&name) {
            return;
        }
        let mut known: FastSet<Entity> = found.iter().copied().collect();
        let mut seen = FastSet::from_iter([scope]);
        let mut waiting = vec![scope];
        let mut next = 0;
        while let Some(&at) = waiting.get(next) {
            next += 1;
            for &opened in &self.scopes[at.0 as usize].opened {
                if seen.insert(opened) {
                    waiting.push(opened);
                    let list = self.scopes[opened.0 as usize].names.get(&name);
                    found.extend(list.into_iter().flatten().filter(|&&one| known.insert(one)));
                }
            }
        }
    }

    /// The library's entity with this name: types, and the prelude's declarations, declared on demand.
    pub(super) fn library_entities(&mut self, name: Name) -> Vec<Entity> {
        let found = self.known_library_entities(name);
        if let Some(language) = self.language
            && !found.is_empty()
            && !availability::has(language, self.context.names.text(name))
        {
            self.newer = Some(name);
        }
        found
    }

    /// Reports a name of the library that the language's version does not have.
    pub(super) fn refuse_newer(&mut self, name: &str, span: Span) {
        if let Some(language) = self.language
            && self.library.is_of_program(span)
            && let Some(message) = availability::refusal(language, name)
        {
            self.error(span, message);
        }
    }

    fn known_library_entities(&mut self, name: Name) -> Vec<Entity> {
        if let Some(known) = self.scopes[LIBRARY_SCOPE.0 as usize].names.get(&name) {
            return known.clone();
        }
        if let Some(ty) = types::library_type(self.context.names.text(name)) {
            let entity = Entity::Type(Qual::plain(self.types.intern(ty)));
            self.bind(LIBRARY_SCOPE, name, entity);
            return vec![entity];
        }
        let declarations = self.library.declarations(name);
        if declarations.is_empty() {
            return Vec::new();
        }
        self.declare_prelude(&declarations);
        self.scopes[LIBRARY_SCOPE.0 as usize].names.get(&name).cloned().unwrap_or_default()
    }

    /// A data member by name, through anonymous structs and unions (class.union/5).
    pub(super) fn field_path(&self, class: StructId, name: Name) -> Option<FieldPath> {
        let row = self.types.class(class);
        if let Some(at) = row.field_named(name) {
            return Some(vec![at as u32]);
        }
        for (at, field) in row.unnamed() {
            if let Ty::Struct(inner) = *self.types.get(field.qual.ty)
                && let Some(mut path) = self.field_path(inner, name)
            {
                path.insert(0, at as u32);
                return Some(path);
            }
        }
        None
    }

    /// The types of a class's bases, as declared.
    pub(super) fn bases_of(&self, ty: TyId) -> Vec<TyId> {
        match self.types.structure(ty) {
            Some((_, row)) => row.bases().map(|(_, field)| field.qual.ty).collect(),
            None => Vec::new(),
        }
    }

    /// How a base is reached in an object of a class derived from it: field numbers.
    pub(super) fn base_path(&self, derived: TyId, base: TyId) -> Option<FieldPath> {
        let (_, row) = self.types.structure(derived)?;
        row.bases().find_map(|(at, field)| {
            if field.qual.ty == base {
                return Some(vec![at as u32]);
            }
            let mut path = self.base_path(field.qual.ty, base)?;
            path.insert(0, at as u32);
            Some(path)
        })
    }

    /// The entities that a qualified or unqualified path names, and whether it went through
    /// `fast::` or `precise::`.
    pub(super) fn lookup_path(&mut self, path: &Path) -> Found {
        self.newer = None;
        let found = self.found_by_path(path);
        if let Some(name) = self.newer.take() {
            self.refuse_newer(&self.text(name), path.span);
        }
        found
    }

    fn found_by_path(&mut self, path: &Path) -> Found {
        let mut scope = path.global.then_some(GLOBAL_SCOPE);
        let (last, before) = match path.parts.split_last() {
            Some(split) => split,
            None => return Found::Nothing,
        };
        for part in before {
            if let Label::Decltype(expr) = &part.name {
                let qual = self.unevaluated(expr).qual;
                scope = self.scope_of(Entity::Type(qual));
                if scope.is_none() {
                    return Found::Nothing;
                }
                continue;
            }
            let Label::Name(name) = part.name else { return Found::Nothing };
            let found = match scope {
                None => self.lookup(name),
                Some(scope) => Found::Entities(self.qualified_in(scope, name)),
            };
            let Found::Entities(list) = found else { return Found::Nothing };
            let list: Vec<Entity> = list.into_iter().map(|e| self.applied(e, part)).collect();
            scope = list.iter().find_map(|entity| self.scope_of(*entity));
            if scope.is_none() {
                return Found::Nothing;
            }
        }
        let name = match &last.name {
            Label::Decltype(_) => return Found::Nothing,
            label => self.label_name(label),
        };
        match scope {
            None => self.lookup(name),
            Some(scope) => Found::Entities(self.qualified_in(scope, name)),
        }
    }

    /// Qualified look-up in a scope: the library's names are those of the global namespace, too.
    fn qualified_in(&mut self, scope: ScopeId, name: Name) -> Vec<Entity> {
        let list = self.lookup_in(scope, name);
        match list.is_empty() && scope == GLOBAL_SCOPE {
            true => self.library_entities(name),
            false => list,
        }
    }

    /// The scope that declares a qualified name, and the name.
    pub(super) fn declared_outside(&mut self, path: &Path) -> Option<(ScopeId, Name)> {
        let Label::Name(name) = path.last().name else { return None };
        let scope = self.owner_scope(path)?;
        self.scopes[scope.0 as usize].names.contains_key(&name).then_some((scope, name))
    }

    /// The functions and templates of a name in the namespaces of the arguments' types, of their bases and of their
    /// template arguments (basic.lookup.argdep).
    pub(super) fn functions_beside(&mut self, name: Name, arguments: &[Expr]) -> Vec<Entity> {
        let mut found = Vec::new();
        let mut searched = Vec::new();
        let mut types: Vec<TyId> = arguments.iter().map(|argument| argument.qual.ty).collect();
        let mut next = 0;
        while let Some(&ty) = types.get(next) {
            next += 1;
            let mut add = |ty| {
                if !types.contains(&ty) {
                    types.push(ty);
                }
            };
            match *self.types.get(ty) {
                Ty::Pointer(to) | Ty::Reference(to, _) => add(to.ty),
                Ty::Array(element, _) => add(element),
                Ty::Struct(_) => {
                    self.bases_of(ty).into_iter().for_each(&mut add);
                    self.template_types_of(ty).into_iter().for_each(&mut add);
                }
                _ => {}
            }
            let own = self.scope_of(Entity::Type(Qual::plain(ty)));
            let around = own.and_then(|scope| self.namespace_around(scope));
            let Some(scope) = around.filter(|&scope| scope != LIBRARY_SCOPE) else { continue };
            if searched.contains(&scope) {
                continue;
            }
            searched.push(scope);
            let list = self.lookup_in(scope, name).into_iter();
            found.extend(list.filter(|e| matches!(e, Entity::Function(_) | Entity::Template(_))));
        }
        found
    }

    /// Whether one of the arguments has a class or enumeration of the library's namespace, or points to one. Scalars and vectors are the
    /// compiler's own.
    pub(super) fn has_type_of_library(&self, arguments: &[Expr]) -> bool {
        let is_of_library = |argument: &Expr| {
            let mut ty = argument.qual.ty;
            loop {
                ty = match *self.types.get(ty) {
                    Ty::Pointer(to) | Ty::Reference(to, _) => to.ty,
                    Ty::Array(element, _) => element,
                    Ty::Atomic(_) | Ty::Matrix(..) | Ty::SimdgroupMatrix(_) | Ty::Texture(_) => {
                        return true;
                    }
                    Ty::Sampler => return true,
                    _ => {
                        let own = self.scope_of(Entity::Type(Qual::plain(ty)));
                        let around = own.and_then(|scope| self.namespace_around(scope));
                        return around == Some(LIBRARY_SCOPE);
                    }
                };
            }
        };
        arguments.iter().any(is_of_library)
    }

    /// The namespace that a class or enum is declared in.
    pub(super) fn namespace_around(&self, scope: ScopeId) -> Option<ScopeId> {
        let mut around = self.scopes[scope.0 as usize].parent;
        while let Some(at) = around {
            let row = &self.scopes[at.0 as usize];
            if row.kind == ScopeKind::Namespace && !row.parameters {
                break;
            }
            around = row.parent;
        }
        around
    }

    /// The scope of the members of a namespace, class or enum.
    pub(super) fn scope_of(&self, entity: Entity) -> Option<ScopeId> {
        match entity {
            Entity::Namespace(scope) => Some(scope),
            Entity::Type(qual) => match *self.types.get(qual.ty) {
                Ty::Struct(id) => Some(self.classes[id.0 as usize].scope),
                Ty::Enum(id) => self.enum_scopes.get(&id).copied(),
                _ => None,
            },
            _ => None,
        }
    }
}
