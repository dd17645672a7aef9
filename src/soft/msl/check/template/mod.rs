//! Templates (C++14 temp; MSL 1.5.2, 5.1.10, 5.1.11): their declarations.
//!
//! A template is its syntax and the scope that it was declared in. An instance is the same syntax
//! declared in a scope of its own that binds the parameters; it is made once for each list of
//! arguments, and its body is checked only when something needs it.

mod alias;
mod argument;
mod budget;
mod deduce;
mod export;
mod guide;
mod instance;
mod member_type;
mod order;
mod origin;
mod outside;

pub(super) use argument::PackId;
pub(super) use budget::Resource;
pub(super) use deduce::Ignored;
pub(super) use origin::OriginId;

use super::lookup::Found;
use super::{Checker, Entity, FuncId, ScopeId, ScopeKind};
use crate::soft::ir::hash::{FastMap, FastSet};
use crate::soft::ir::{self, Scalar};
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::diagnostics::Diagnostics;
use crate::soft::msl::hir::GlobalIndex;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};
use argument::{Argument, Overloads};
use export::general;
use origin::Origin;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct TemplateId(u32);

/// A template's declaration.
#[derive(Clone, Debug)]
struct Declared {
    syntax: Arc<ast::Template>,
    scope: ScopeId,
    name: Name,
    /// The declaration before the definition, whose default arguments apply.
    prototype: Option<Arc<ast::Template>>,
    /// Full specialisations, by their arguments. The library's templates are specialised outside
    /// their scope: names in a specialisation are looked up from its own scope.
    full: FastMap<Vec<Argument>, (Arc<ast::Template>, ScopeId)>,
    /// Partial specialisations, with their scopes.
    specialisations: Vec<(Arc<ast::Template>, ScopeId)>,
    /// Members of a class template that are defined outside it.
    members: Vec<outside::Member>,
}

/// The entity that an instance declares.
#[derive(Clone, Copy, Debug)]
enum Made {
    Function(FuncId),
    Type(Qual),
    Variable(GlobalIndex),
}

#[derive(Debug, Default)]
pub(super) struct Templates {
    all: Vec<Declared>,
    /// The names of class templates.
    classes: FastSet<Name>,
    guides: FastMap<TemplateId, guide::Guides>,
    /// Instances, or their errors.
    made: FastMap<Key, Result<Made, Diagnostics>>,
    /// The template and arguments of each class that is an instance, for deduction.
    origins: FastMap<TyId, Key>,
    packs: Vec<Arc<[Argument]>>,
    /// Packs by their elements: equal packs are one pack.
    pack_ids: FastMap<Arc<[Argument]>, PackId>,
    overloads: Vec<Overloads>,
    /// The objects that are arguments, with their types and variables.
    objects: Vec<(TyId, super::evaluate::Item, GlobalIndex)>,
    /// Types that replace parameters when templates are compared.
    placeholders: Vec<TyId>,
    requests: Vec<Origin>,
    budget: budget::Budget,
    /// A member of one instance of a class template is being declared, in place of the template's.
    pub(super) specialising: bool,
    /// Whether an instance of a static member's template is declared: its specialisations do not say that they are static.
    pub(in super::super) of_static: bool,
    /// Static members of an instance whose value replaces the template's.
    pub(super) replaced: FastSet<GlobalIndex>,
    /// The nesting of instances that are being declared.
    pub(super) depth: u32,
}

impl Templates {
    /// Adds a template without specialisations.
    fn add(&mut self, syntax: Arc<ast::Template>, scope: ScopeId, name: Name) -> TemplateId {
        let id = TemplateId(self.all.len() as u32);
        self.all.push(Declared {
            syntax,
            scope,
            name,
            prototype: None,
            full: FastMap::default(),
            specialisations: Vec::new(),
            members: Vec::new(),
        });
        id
    }
}

/// Maximum nesting of instances (clang's limit is 1,024 unless an option sets another).
const MAX_DEPTH: u32 = 2048;
/// Instances that may be nested whatever stack is left.
const SURE_DEPTH: u32 = 128;

/// An instance's template and arguments.
pub(super) type Key = (TemplateId, Vec<Argument>);

impl Checker {
    /// Whether no further instance may be nested.
    fn is_too_deep(&self) -> bool {
        let depth = self.templates.depth;
        depth >= MAX_DEPTH || depth >= SURE_DEPTH && !ir::is_stack_left()
    }
}

fn bool_type() -> TyId {
    Types::scalar(Scalar::Bool)
}

fn parameter_name(parameter: &TemplateParameter) -> Option<Name> {
    match parameter {
        TemplateParameter::Type { name, .. } | TemplateParameter::Template { name, .. } => {
            name.map(|ident| ident.name)
        }
        TemplateParameter::Value { declarator, .. } => {
            declarator.name.as_ref().and_then(Path::plain)
        }
    }
}

/// The path that a template's declaration names.
fn declared_path(declaration: &Decl) -> Option<Path> {
    match declaration {
        Decl::Function(function) => function.declarator.name.clone(),
        Decl::Simple(simple) => match (&simple.specifiers.base, simple.declarators.first()) {
            (_, Some(first)) => first.declarator.name.clone(),
            (BaseType::Class(class), None) => class.name.clone(),
            _ => None,
        },
        Decl::Template(inner) => declared_path(&inner.declaration),
        _ => None,
    }
}

/// The arguments that a specialisation is for.
fn pattern_of(special: &ast::Template) -> Option<Arc<[TemplateArgument]>> {
    declared_path(&special.declaration)?.last().arguments.clone()
}

fn is_class(syntax: &ast::Template) -> bool {
    matches!(&syntax.declaration, Decl::Simple(simple)
        if matches!(simple.specifiers.base, BaseType::Class(_)) && simple.declarators.is_empty())
}

/// A declaration that a later one of the same template may complete.
fn is_open(syntax: &ast::Template) -> bool {
    match &syntax.declaration {
        Decl::Simple(simple) => match (&simple.specifiers.base, simple.declarators.first()) {
            (BaseType::Class(class), None) => class.members.is_none(),
            (_, first) => first.is_some_and(|one| one.declarator.function().is_some()),
        },
        _ => false,
    }
}

impl Checker {
    fn syntax_of(&self, id: TemplateId) -> Arc<ast::Template> {
        self.templates.all[id.0 as usize].syntax.clone()
    }

    pub(super) fn template_span(&self, id: TemplateId) -> Span {
        let syntax = &self.templates.all[id.0 as usize].syntax;
        declared_path(&syntax.declaration).map_or(syntax.span, |path| path.span)
    }

    /// Whether it is a template of functions of a class.
    pub(super) fn is_member_template(&self, id: TemplateId) -> bool {
        let Declared { scope, syntax, .. } = &self.templates.all[id.0 as usize];
        matches!(self.scopes[scope.0 as usize].kind, ScopeKind::Class(_))
            && !is_friend(syntax)
            && self.is_function_template(id)
    }

    pub(super) fn is_function_template(&self, id: TemplateId) -> bool {
        deduce::signature_of(&self.templates.all[id.0 as usize].syntax).is_some()
    }

    fn is_alias_template(&self, id: TemplateId) -> bool {
        matches!(self.templates.all[id.0 as usize].syntax.declaration, Decl::Alias { .. })
    }

    /// Runs a check and returns its diagnostics separately.
    fn silently<T>(&mut self, check: impl FnOnce(&mut Self) -> T) -> (T, Diagnostics) {
        let outer = std::mem::take(&mut self.context.diagnostics);
        let result = check(self);
        (result, std::mem::replace(&mut self.context.diagnostics, outer))
    }

    /// Declares a template, or adds a specialisation to one.
    pub(super) fn declare_template(&mut self, template: &Arc<ast::Template>) {
        let scope = self.scope;
        if let Decl::Alias { name, .. } = &template.declaration {
            return self.new_template(template, name.name, (scope, scope));
        }
        // `template <> template <> float S<int>::of<float>(float x)`: a member template of one instance.
        let mut template = template;
        let mut lists = 1;
        while let Decl::Template(inner) = &template.declaration
            && template.parameters.is_empty()
            && inner.parameters.is_empty()
        {
            template = inner;
            lists += 1;
        }
        if let Decl::Simple(simple) = &template.declaration
            && self.declare_guide(&template.parameters, simple)
        {
            return;
        }
        let Some(path) = declared_path(&template.declaration) else { return };
        let full = template.parameters.is_empty();
        if full && !self.has_lists(&path, lists) {
            return;
        }
        match path.parts.len() {
            1 if full => self.specialise(&path, template),
            1 if path.last().arguments.is_some() => {
                for id in self.templates_named(&path) {
                    self.templates.all[id.0 as usize]
                        .specialisations
                        .push((template.clone(), scope));
                }
            }
            1 => {
                let name = self.label_name(&path.last().name);
                // A friend that a class defines belongs to the namespace around it ([class.friend]/7).
                let visible = match is_friend(template) {
                    true => self.namespace_around(scope).unwrap_or(scope),
                    false => scope,
                };
                self.new_template(template, name, (scope, visible));
            }
            _ if full
                && (path.last().arguments.is_some() || self.names_templates(&path, template)) =>
            {
                self.specialise(&path, template);
            }
            _ if full
                && matches!(&template.declaration, Decl::Template(inner) if !inner.parameters.is_empty()) =>
            {
                let message = "a member template that differs for one instance of its class template is not supported: \
                               specialise the class template";
                self.error(path.span, message);
            }
            // `template <> void S<int>::f()` is a member of one instance.
            _ if full => {
                let outer = std::mem::replace(&mut self.templates.specialising, true);
                self.declare(&template.declaration);
                self.templates.specialising = outer;
            }
            // A nested template of classes is defined outside of its class.
            _ if is_class(template)
                && path.parts.iter().all(|part| part.arguments.is_none())
                && let Some((owner, name)) = self.declared_outside(&path) =>
            {
                self.new_template(template, name, (owner, owner));
            }
            _ => self.outside_member(&path, template),
        }
    }

    /// Whether a full specialisation has a `template <>` for each instance in its path that is not specialised itself, and
    /// for its own template (temp.expl.spec/15 and 16).
    fn has_lists(&mut self, path: &Path, lists: usize) -> bool {
        let owners = &path.parts[..path.parts.len() - 1];
        let own = path.last().arguments.is_some();
        let instances: Vec<usize> =
            (0..owners.len()).filter(|&at| owners[at].arguments.is_some()).collect();
        let general = |this: &mut Self, at: usize| {
            let owner = Path { parts: owners[..=at].to_vec(), ..path.clone() };
            let Some(&id) = this.templates_named(&owner).first() else { return true };
            let key = this.explicit_key(id, owners[at].arguments.as_deref());
            key.is_none_or(|key| !this.templates.all[id.0 as usize].full.contains_key(&key))
        };
        let count = instances.iter().filter(|&&at| general(self, at)).count();
        // A class may have another name.
        let named = (0..owners.len()).filter(|at| !instances.contains(at));
        let named = named.filter(|&at| {
            let owner = Path { parts: owners[..=at].to_vec(), ..path.clone() };
            let Found::Entities(list) = self.lookup_path(&owner) else { return false };
            list.iter().any(|entity| self.template_of(*entity).is_some())
        });
        let most = count + named.count();
        let message = match () {
            () if lists > most + 1 => {
                "extraneous 'template <>': there is one for each class template in the name, \
                                        and for the template itself"
            }
            () if own && lists < count + 1 => {
                "'template <>' is missing: there is one for each class template in \
                                               the name, and for the template itself"
            }
            () => return true,
        };
        self.error(path.span, message);
        false
    }

    /// Whether a specialisation without arguments is one of a template of functions, not of a plain member of a
    /// class template's instance.
    fn names_templates(&mut self, path: &Path, template: &ast::Template) -> bool {
        // `template <> template <typename U> U S<int>::g(U x)` is a template itself.
        if deduce::signature_of(template).is_none() {
            return false;
        }
        let of_instance = path.parts.iter().any(|part| part.arguments.is_some());
        let Found::Entities(list) = self.lookup_path(path) else { return false };
        let is_one = |entity: &Entity| match *entity {
            Entity::Template(id) => self.is_function_template(id),
            _ => false,
        };
        match of_instance {
            true => !list.is_empty() && list.iter().all(is_one),
            false => list.iter().any(is_one),
        }
    }

    /// A template in a scope, whose name is found in another one if it is a friend.
    fn new_template(
        &mut self,
        template: &Arc<ast::Template>,
        name: Name,
        (scope, visible): (ScopeId, ScopeId),
    ) {
        if self.complete_template(template, name, visible) {
            return;
        }
        if is_class(template) {
            self.templates.classes.insert(name);
        }
        let id = self.templates.add(template.clone(), scope, name);
        self.bind(visible, name, Entity::Template(id));
        self.list_member(scope, template, Entity::Template(id));
    }

    /// Completes an earlier declaration of a scope by its definition, or repeats one; false if there is none.
    fn complete_template(
        &mut self,
        template: &Arc<ast::Template>,
        name: Name,
        scope: ScopeId,
    ) -> bool {
        let own = self.scopes[scope.0 as usize].names.get(&name).cloned().unwrap_or_default();
        for entity in own {
            let Entity::Template(id) = entity else { continue };
            let known = self.syntax_of(id);
            let same = match (is_class(template), is_class(&known)) {
                (true, true) => true,
                (false, false) => {
                    let parent = self.templates.all[id.0 as usize].scope;
                    is_open(template) != is_open(&known)
                        && self.same_signature(id, (template, parent))
                }
                _ => false,
            };
            if same {
                if !is_open(template) {
                    let declared = &mut self.templates.all[id.0 as usize];
                    declared.syntax = with_defaults(template, &known);
                    declared.prototype = Some(known);
                }
                return true;
            }
        }
        false
    }

    /// Adds a template of constructors or conversion functions to those of its class.
    fn list_member(&mut self, scope: ScopeId, template: &ast::Template, entity: Entity) {
        let ScopeKind::Class(class) = self.scopes[scope.0 as usize].kind else { return };
        let base = match &template.declaration {
            Decl::Function(function) => &function.specifiers.base,
            Decl::Simple(simple) if !simple.declarators.is_empty() => &simple.specifiers.base,
            _ => return,
        };
        let label = declared_path(&template.declaration).map(|path| path.last().name.clone());
        let row = &mut self.classes[class.0 as usize];
        match (label, base) {
            (Some(Label::Name(_)), BaseType::Absent) => row.constructors.push(entity),
            (Some(Label::Conversion(_)), _) => row.conversions.push(entity),
            _ => {}
        }
    }

    fn templates_named(&mut self, path: &Path) -> Vec<TemplateId> {
        let Found::Entities(list) = self.lookup_path(&general(path)) else { return Vec::new() };
        list.iter()
            .filter_map(|entity| match entity {
                Entity::Template(id) => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// `template <> …`: the arguments are explicit, or deduced from the function's parameters
    /// (temp.expl.spec).
    fn specialise(&mut self, path: &Path, template: &Arc<ast::Template>) {
        let found = self.templates_named(path);
        let spelled = path.last().arguments.clone();
        let signature = deduce::signature_of(template).cloned();
        let mut types = Vec::new();
        for parameter in signature.iter().flat_map(|signature| &signature.parameters) {
            let qual = self.parameter_type(parameter);
            types.push(match *self.types.get(qual.ty) {
                Ty::Reference(to, _) => (to, true),
                _ => (qual, true),
            });
        }
        let result = deduce::result_of(template).map(|(specifiers, parts)| {
            let base = self.result_specifiers(specifiers);
            let declarator = ast::Declarator { parts, ..ast::Declarator::default() };
            self.declared_type(base, &declarator)
        });
        for id in &found {
            let key = match signature {
                Some(_) => self.deduced_key(*id, spelled.as_deref(), &types, result),
                None => self.explicit_key(*id, spelled.as_deref()),
            };
            if let Some(key) = key {
                self.templates.all[id.0 as usize].full.insert(key, (template.clone(), self.scope));
                return;
            }
        }
        let text = self.path_text(path);
        let message = match found.is_empty() {
            true => format!("explicit specialization of undeclared template '{text}'"),
            false => format!("no template matches the specialization '{text}'"),
        };
        self.error(path.span, message);
    }

    /// The explicit arguments of a specialisation.
    fn explicit_key(
        &mut self,
        id: TemplateId,
        spelled: Option<&[TemplateArgument]>,
    ) -> Option<Vec<Argument>> {
        let explicit = self.explicit_arguments(spelled?)?;
        let syntax = self.syntax_of(id);
        let bindings = self.bind_explicit(&syntax, &explicit)?.bindings;
        self.bound_scope(id, &syntax, &bindings).ok().map(|(_, all)| all)
    }

    /// The arguments of a function's specialisation: those of the instance with its types.
    fn deduced_key(
        &mut self,
        id: TemplateId,
        spelled: Option<&[TemplateArgument]>,
        types: &[(Qual, bool)],
        result: Option<Qual>,
    ) -> Option<Vec<Argument>> {
        let (made, _) = self
            .silently(|this| this.deduced_with_result(id, spelled, types, result, Span::default()));
        let func = made.ok()?;
        let parameters = &self.func(func).parameters;
        let same = |(parameter, found): (&super::Parameter, &(Qual, bool))| {
            let own = match *self.types.get(parameter.qual.ty) {
                Ty::Reference(to, _) => to.ty,
                _ => parameter.qual.ty,
            };
            own == found.0.ty
        };
        if parameters.len() != types.len() || !parameters.iter().zip(types).all(same) {
            return None;
        }
        // The instance of the general template, made to deduce the arguments, is dropped.
        let is_this =
            |made: &Result<Made, _>| matches!(made, Ok(Made::Function(known)) if *known == func);
        let key = self.templates.made.iter().find(|(_, made)| is_this(made))?.0.clone();
        self.templates.made.remove(&key);
        Some(key.1)
    }

    /// Whether two templates declare the same functions (temp.over.link): their types are equal
    /// when their parameters are replaced by the same placeholders.
    fn same_signature(
        &mut self,
        id: TemplateId,
        (template, parent): (&ast::Template, ScopeId),
    ) -> bool {
        let known = self.syntax_of(id);
        let own = self.templates.all[id.0 as usize].scope;
        let kinds = |syntax: &ast::Template| -> Vec<_> {
            let kind = |one: &TemplateParameter| (std::mem::discriminant(one), one.is_pack());
            syntax.parameters.iter().map(kind).collect()
        };
        let mut types = |syntax: &ast::Template, parent| {
            // A template that accepts some types only has no types for the others.
            order::PROBES.map(|scalars| -> Option<Vec<Qual>> {
                let signature = deduce::signature_of(syntax)?.clone();
                let bindings = self.placeholders(syntax, scalars);
                let (list, diagnostics) = self.silently(|this| {
                    let (scope, _) = this.bound_scope_in(parent, syntax, &bindings).ok()?;
                    this.outside(scope, |this| {
                        Some(signature.parameters.iter().map(|p| this.parameter_type(p)).collect())
                    })
                });
                list.filter(|_| !diagnostics.has_errors())
            })
        };
        if kinds(&known) != kinds(template) {
            return false;
        }
        let known = types(&known, own);
        known.iter().any(Option::is_some) && known == types(template, parent)
    }
}

/// A definition with the default arguments of its declaration ([temp.param]/10).
fn with_defaults(definition: &Arc<ast::Template>, declared: &ast::Template) -> Arc<ast::Template> {
    if !declared.parameters.iter().any(TemplateParameter::has_default) {
        return definition.clone();
    }
    let merge = |(own, other): (&TemplateParameter, &TemplateParameter)| match (own, other) {
        (
            TemplateParameter::Type { name, default: None, pack },
            TemplateParameter::Type { default, .. },
        ) => TemplateParameter::Type { name: *name, default: default.clone(), pack: *pack },
        (
            TemplateParameter::Value { specifiers, declarator, default: None, pack },
            TemplateParameter::Value { default, .. },
        ) => TemplateParameter::Value {
            specifiers: specifiers.clone(),
            declarator: declarator.clone(),
            default: default.clone(),
            pack: *pack,
        },
        (own, _) => own.clone(),
    };
    let parameters = definition.parameters.iter().zip(&declared.parameters).map(merge).collect();
    let declaration = definition.declaration.clone();
    Arc::new(ast::Template { parameters, declaration, span: definition.span })
}

/// Whether a template is a friend that a class defines.
fn is_friend(template: &ast::Template) -> bool {
    match &template.declaration {
        Decl::Function(function) => function.specifiers.storage.friend,
        _ => false,
    }
}

/// Whether a template is that of a static member.
pub(super) fn is_static(template: &ast::Template) -> bool {
    match &template.declaration {
        Decl::Function(function) => function.specifiers.storage.statik,
        Decl::Simple(simple) => simple.specifiers.storage.statik,
        _ => false,
    }
}
