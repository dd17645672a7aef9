//! Templates (C++14 temp; MSL 1.5.2, 5.1.10, 5.1.11): deduction, specialisations, instances.
//!
//! A template is its syntax and the scope that it was declared in. An instance is the same syntax
//! declared in a scope of its own that binds the parameters; it is made once for each list of
//! arguments, and its body is checked only when something needs it.

use super::{Checker, Entity, FuncId, ScopeId};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::hir::{Constant, Expr, GlobalIndex};
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct TemplateId(u32);

/// A template argument, as a key: a float's bits stand for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Argument {
    Type(Qual),
    Value(TyId, bool, u64),
}

impl Argument {
    fn constant(ty: TyId, constant: Constant) -> Argument {
        match constant {
            Constant::Int(value) => Argument::Value(ty, false, value),
            Constant::Float(value) => Argument::Value(ty, true, value.to_bits()),
        }
    }

    fn entity(self) -> Entity {
        match self {
            Argument::Type(qual) => Entity::Type(qual),
            Argument::Value(ty, true, bits) => {
                Entity::Value(ty, Constant::Float(f64::from_bits(bits)))
            }
            Argument::Value(ty, false, bits) => Entity::Value(ty, Constant::Int(bits)),
        }
    }
}

/// A template as it was declared.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    syntax: Arc<ast::Template>,
    scope: ScopeId,
    name: Name,
    /// Specialisations of a class or function template, by their declarations, and where their names are
    /// looked up.
    specialisations: Vec<(Arc<ast::Template>, ScopeId)>,
}

/// What an instance turned out to be.
#[derive(Clone, Copy, Debug)]
enum Made {
    Function(FuncId),
    Type(Qual),
    Variable(GlobalIndex),
}

#[derive(Debug, Default)]
pub(super) struct Templates {
    all: Vec<Declared>,
    made: HashMap<Key, Option<Made>>,
    /// The template and arguments that a class was made from, for deduction.
    origins: HashMap<TyId, Key>,
    /// How many instances are being declared, inside each other.
    pub(super) depth: u32,
}

/// Instances inside instances (clang's own limit is 1024; recursion here is deeper a level).
const MAX_DEPTH: u32 = 128;
/// Instances of one library.
const MAX_INSTANCES: usize = 50_000;

/// An instance's template and arguments.
pub(super) type Key = (TemplateId, Vec<Argument>);

type Bindings = HashMap<Name, Argument>;

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
        _ => None,
    }
}

impl Checker {
    /// Declares a template, or adds a specialisation to one.
    pub(super) fn declare_template(&mut self, template: &Arc<ast::Template>) {
        let scope = self.scope;
        if let Decl::Alias { name, .. } = &template.declaration {
            return self.new_template(template, name.name, scope);
        }
        let Some(path) = declared_path(&template.declaration) else { return };
        let special = template.parameters.is_empty() || path.last().arguments.is_some();
        if special && self.add_specialisation(&path, template) {
            return;
        }
        match path.parts.len() {
            1 => {
                let name = self.label_name(&path.last().name);
                self.new_template(template, name, scope);
            }
            _ => self.unsupported(path.span, "definition of a template's member outside of it is"),
        }
    }

    fn new_template(&mut self, template: &Arc<ast::Template>, name: Name, scope: ScopeId) {
        // A declaration and its definition are one template.
        let own = self.scopes[scope.0 as usize].names.get(&name).cloned().unwrap_or_default();
        let body = |syntax: &ast::Template| match &syntax.declaration {
            Decl::Simple(simple) => match &simple.specifiers.base {
                BaseType::Class(class) if simple.declarators.is_empty() => class.members.is_some(),
                _ => false,
            },
            _ => true,
        };
        let class = |syntax: &ast::Template| {
            matches!(&syntax.declaration, Decl::Simple(simple)
                if matches!(simple.specifiers.base, BaseType::Class(_)) && simple.declarators.is_empty())
        };
        for entity in own {
            let Entity::Template(id) = entity else { continue };
            let known = &mut self.templates.all[id.0 as usize];
            if class(template) && class(&known.syntax) {
                if body(template) {
                    known.syntax = template.clone();
                }
                return;
            }
        }
        let id = TemplateId(self.templates.all.len() as u32);
        let syntax = template.clone();
        self.templates.all.push(Declared { syntax, scope, name, specialisations: Vec::new() });
        self.bind(scope, name, Entity::Template(id));
    }

    fn add_specialisation(&mut self, path: &Path, template: &Arc<ast::Template>) -> bool {
        let mut general = path.clone();
        if let Some(last) = general.parts.last_mut() {
            last.arguments = None;
        }
        let super::lookup::Found::Entities(list) = self.lookup_path(&general) else { return false };
        let templates: Vec<TemplateId> = list
            .iter()
            .filter_map(|entity| match entity {
                Entity::Template(id) => Some(*id),
                _ => None,
            })
            .collect();
        for id in &templates {
            let declared = &mut self.templates.all[id.0 as usize];
            // A name with `::` is looked up where the template is; one without, where it stands.
            let scope = if path.parts.len() == 1 { self.scope } else { declared.scope };
            declared.specialisations.push((template.clone(), scope));
        }
        !templates.is_empty()
    }

    // ---- arguments -----------------------------------------------------------------------

    /// The explicit arguments of a path, in the scope where it stands.
    fn explicit_arguments(&mut self, list: &[TemplateArgument]) -> Option<Vec<Argument>> {
        list.iter().map(|argument| self.template_argument(argument)).collect()
    }

    fn template_argument(&mut self, argument: &TemplateArgument) -> Option<Argument> {
        match argument {
            TemplateArgument::Type(ty) => {
                let qual = self.type_name(ty);
                (qual.ty != Types::UNKNOWN).then_some(Argument::Type(qual))
            }
            TemplateArgument::Value(value) => {
                let checked = self.expr(value);
                if checked.qual.ty == Types::UNKNOWN {
                    return None;
                }
                let checked = self.rvalue(checked);
                match self.evaluate(&checked) {
                    Ok(constant) => Some(Argument::constant(checked.qual.ty, constant)),
                    Err(_) => {
                        self.error(
                            value.span,
                            "non-type template argument is not a constant expression",
                        );
                        None
                    }
                }
            }
            TemplateArgument::Expansion(_) => {
                self.unsupported(Span::default(), "parameter pack is");
                None
            }
        }
    }

    /// A scope in `parent` in which the parameters have their arguments: those given, then defaults.
    fn bound_scope(
        &mut self,
        parent: ScopeId,
        syntax: &ast::Template,
        bindings: &Bindings,
    ) -> Option<(ScopeId, Vec<Argument>)> {
        let kind = self.scopes[parent.0 as usize].kind;
        let outer = std::mem::replace(&mut self.scope, parent);
        let scope = self.push_scope(kind);
        let mut all = Vec::new();
        for parameter in &syntax.parameters {
            let name = parameter_name(parameter);
            let given = name.and_then(|name| bindings.get(&name).copied());
            let argument = match (given, parameter) {
                (
                    _,
                    TemplateParameter::Type { pack: true, .. }
                    | TemplateParameter::Value { pack: true, .. }
                    | TemplateParameter::Template { .. },
                ) => {
                    self.unsupported(syntax.span, "this kind of template parameter is");
                    None
                }
                (
                    Some(Argument::Value(_, float, bits)),
                    TemplateParameter::Value { specifiers, declarator, .. },
                ) => {
                    // The argument has the parameter's own type.
                    let base = self.specifiers(specifiers);
                    let qual = self.declared_type(base, declarator);
                    let from = match given {
                        Some(Argument::Value(ty, ..)) => self.scalar_under(ty),
                        _ => None,
                    };
                    let constant = if float {
                        Constant::Float(f64::from_bits(bits))
                    } else {
                        Constant::Int(bits)
                    };
                    match (from, self.scalar_under(qual.ty)) {
                        (Some(from), Some(to)) => Some(Argument::constant(
                            qual.ty,
                            super::convert_constant(constant, from, to),
                        )),
                        _ => given,
                    }
                }
                (Some(argument), _) => Some(argument),
                (None, TemplateParameter::Type { default: Some(default), .. }) => {
                    let qual = self.type_name(default);
                    (qual.ty != Types::UNKNOWN).then_some(Argument::Type(qual))
                }
                (
                    None,
                    TemplateParameter::Value {
                        default: Some(default), specifiers, declarator, ..
                    },
                ) => {
                    let base = self.specifiers(specifiers);
                    let qual = self.declared_type(base, declarator);
                    let value = self.expr(default);
                    let value = self.implicit(value, Qual::plain(qual.ty), "initialize");
                    self.evaluate(&value)
                        .ok()
                        .filter(|_| qual.ty != Types::UNKNOWN)
                        .map(|constant| Argument::constant(qual.ty, constant))
                }
                (None, _) => None,
            };
            let Some(argument) = argument else {
                self.scope = outer;
                return None;
            };
            if let Some(name) = name {
                self.bind(scope, name, argument.entity());
            }
            all.push(argument);
        }
        self.scope = outer;
        Some((scope, all))
    }

    fn scalar_under(&self, ty: TyId) -> Option<Scalar> {
        match *self.types.get(ty) {
            Ty::Enum(id) => Some(self.types.enums[id.0 as usize].underlying),
            _ => self.types.as_scalar(ty),
        }
    }

    /// Binds explicit arguments to the first parameters; a type may only meet a type.
    fn bind_explicit(&self, syntax: &ast::Template, explicit: &[Argument]) -> Option<Bindings> {
        if explicit.len() > syntax.parameters.len() {
            return None;
        }
        let mut bindings = Bindings::new();
        for (parameter, &argument) in syntax.parameters.iter().zip(explicit) {
            let is_type = matches!(parameter, TemplateParameter::Type { .. });
            if is_type != matches!(argument, Argument::Type(_)) {
                return None;
            }
            if let Some(name) = parameter_name(parameter) {
                bindings.insert(name, argument);
            }
        }
        Some(bindings)
    }

    // ---- deduction -----------------------------------------------------------------------

    /// Deduces from one pair of a parameter's spelled type and an argument's type
    /// (temp.deduct.type). False when they cannot meet; what names no parameter is not looked at.
    fn deduce(
        &mut self,
        syntax: &ast::Template,
        specifiers: &Specifiers,
        parts: &[DeclaratorPart],
        found: Qual,
        bindings: &mut Bindings,
    ) -> bool {
        match parts.split_last() {
            Some((DeclaratorPart::Reference, rest)) => {
                return self.deduce(syntax, specifiers, rest, found, bindings);
            }
            Some((DeclaratorPart::Pointer { .. }, rest)) => {
                let pointee = match *self.types.get(found.ty) {
                    Ty::Pointer(to) => to,
                    Ty::Array(element, _) => found.with(element),
                    _ => return false,
                };
                return self.deduce(syntax, specifiers, rest, pointee, bindings);
            }
            Some((DeclaratorPart::Array(size, _), rest)) => {
                // An array parameter is a pointer ([dcl.fct]/5), and its argument decayed to one.
                if let Ty::Pointer(to) = *self.types.get(found.ty) {
                    return self.deduce(syntax, specifiers, rest, to, bindings);
                }
                let Ty::Array(element, count) = *self.types.get(found.ty) else { return false };
                if let (Some(size), Some(count)) = (size, count) {
                    self.deduce_value(
                        syntax,
                        size,
                        u64::from(count),
                        Types::scalar(Scalar::I32),
                        bindings,
                    );
                }
                return self.deduce(syntax, specifiers, rest, found.with(element), bindings);
            }
            Some((DeclaratorPart::Function(_), _)) => return true,
            None => {}
        }
        let BaseType::Named(path) = &specifiers.base else { return true };
        if let Some(name) = path.plain()
            && self.is_parameter(syntax, name)
        {
            // What the pattern says itself is not part of what is deduced.
            let qual = Qual {
                ty: found.ty,
                constant: found.constant
                    && !specifiers.constant
                    && specifiers.space != Some(AddressSpace::Constant),
                volatile: found.volatile && !specifiers.volatile,
                space: if specifiers.space.is_some() || parts.is_empty() {
                    None
                } else {
                    found.space
                },
            };
            return self.bind_deduced(name, Argument::Type(qual), bindings);
        }
        let Some(arguments) = &path.last().arguments else { return true };
        let arguments = arguments.clone();
        let found_arguments: Vec<Argument> = match *self.types.get(found.ty) {
            Ty::Vector(scalar, width) | Ty::Packed(scalar, width) => vec![
                Argument::Type(Qual::plain(Types::scalar(scalar))),
                Argument::Value(Types::scalar(Scalar::I32), false, u64::from(width)),
            ],
            Ty::Matrix(scalar, columns, rows) => {
                let int = Types::scalar(Scalar::I32);
                vec![
                    Argument::Type(Qual::plain(Types::scalar(scalar))),
                    Argument::Value(int, false, u64::from(columns)),
                    Argument::Value(int, false, u64::from(rows)),
                ]
            }
            Ty::SimdgroupMatrix(scalar) => {
                let eight = Argument::Value(Types::scalar(Scalar::I32), false, 8);
                vec![Argument::Type(Qual::plain(Types::scalar(scalar))), eight, eight]
            }
            Ty::Atomic(scalar) => vec![Argument::Type(Qual::plain(Types::scalar(scalar)))],
            _ => match self.templates.origins.get(&found.ty) {
                Some((_, list)) => list.clone(),
                None => return false,
            },
        };
        self.deduce_arguments(syntax, &arguments, &found_arguments, bindings)
    }

    fn deduce_arguments(
        &mut self,
        syntax: &ast::Template,
        pattern: &[TemplateArgument],
        found: &[Argument],
        bindings: &mut Bindings,
    ) -> bool {
        pattern.len() <= found.len()
            && pattern.iter().zip(found).all(|(pattern, argument)| match (pattern, argument) {
                (TemplateArgument::Type(name), Argument::Type(qual)) => {
                    // Without a parameter in it, the pattern must be the argument.
                    let parts = name.declarator.parts.clone();
                    let before = bindings.len();
                    let met = self.deduce(syntax, &name.specifiers, &parts, *qual, bindings);
                    let mentions = bindings.len() > before || self.mentions(syntax, name);
                    met && (mentions || self.type_name(name).ty == qual.ty)
                }
                (TemplateArgument::Value(value), Argument::Value(ty, _, bits)) => {
                    self.deduce_value(syntax, value, *bits, *ty, bindings)
                }
                _ => false,
            })
    }

    fn mentions(&self, syntax: &ast::Template, name: &TypeName) -> bool {
        match &name.specifiers.base {
            BaseType::Named(path) => match path.plain() {
                Some(name) => self.is_parameter(syntax, name),
                None => path.last().arguments.as_ref().is_some_and(|list| {
                    list.iter().any(|argument| match argument {
                        TemplateArgument::Type(inner) => self.mentions(syntax, inner),
                        _ => true,
                    })
                }),
            },
            _ => false,
        }
    }

    fn deduce_value(
        &mut self,
        syntax: &ast::Template,
        pattern: &ast::Expr,
        bits: u64,
        ty: TyId,
        bindings: &mut Bindings,
    ) -> bool {
        if let ExprKind::Path(path) = &pattern.kind
            && let Some(name) = path.plain()
            && self.is_parameter(syntax, name)
        {
            return self.bind_deduced(name, Argument::Value(ty, false, bits), bindings);
        }
        self.constant_int(pattern) == Some(bits as i64)
    }

    fn is_parameter(&self, syntax: &ast::Template, name: Name) -> bool {
        syntax.parameters.iter().any(|parameter| parameter_name(parameter) == Some(name))
    }

    fn bind_deduced(&self, name: Name, argument: Argument, bindings: &mut Bindings) -> bool {
        match (bindings.get(&name), argument) {
            (None, _) => {
                bindings.insert(name, argument);
                true
            }
            (Some(Argument::Type(known)), Argument::Type(found)) => known.ty == found.ty,
            (Some(Argument::Value(_, _, known)), Argument::Value(_, _, found)) => *known == found,
            _ => false,
        }
    }

    // ---- instances -----------------------------------------------------------------------

    /// The instance of a function template that a call means; `None` when it is no candidate.
    /// What goes wrong in the signature is no error (temp.deduct/8).
    pub(super) fn template_candidate(
        &mut self,
        id: TemplateId,
        explicit: Option<&[TemplateArgument]>,
        arguments: &[Expr],
    ) -> Option<FuncId> {
        let types: Vec<(Qual, bool)> = arguments.iter().map(|a| (a.qual, a.place)).collect();
        let said = self.context.diagnostics.len();
        let found = self.deduced_candidate(id, explicit, &types);
        if self.context.diagnostics.len() > said && found.is_none() {
            self.context.diagnostics.truncate(said);
        }
        found
    }

    fn deduced_candidate(
        &mut self,
        id: TemplateId,
        explicit: Option<&[TemplateArgument]>,
        types: &[(Qual, bool)],
    ) -> Option<FuncId> {
        let syntax = self.templates.all[id.0 as usize].syntax.clone();
        let explicit = match explicit {
            Some(list) => self.explicit_arguments(list)?,
            None => Vec::new(),
        };
        let mut bindings = self.bind_explicit(&syntax, &explicit)?;
        let given: Vec<Name> = bindings.keys().copied().collect();
        let declarator = match &syntax.declaration {
            Decl::Function(function) => &function.declarator,
            Decl::Simple(simple) => &simple.declarators.first()?.declarator,
            _ => return None,
        };
        let signature = declarator.function()?.clone();
        if types.len() > signature.parameters.len() {
            return None;
        }
        for (parameter, &(qual, place)) in signature.parameters.iter().zip(types) {
            let parts = &parameter.declarator.parts;
            let by_reference = matches!(parts.last(), Some(DeclaratorPart::Reference));
            // By value: arrays decay, and the outermost qualifiers go ([temp.deduct.call]/2).
            let found = match *self.types.get(qual.ty) {
                Ty::Array(element, _) if !by_reference && place => {
                    let pointee =
                        Qual { space: Some(qual.space_or_thread()), ..qual.with(element) };
                    Qual::plain(self.types.pointer(pointee))
                }
                _ if by_reference => qual,
                _ => Qual::plain(qual.ty),
            };
            // A parameter whose type is given already takes conversions.
            let mut attempt = bindings.clone();
            let met = self.deduce(&syntax, &parameter.specifiers, parts, found, &mut attempt);
            if met {
                bindings = attempt;
            } else if !self.only_given(&parameter.specifiers, &given) {
                return None;
            }
        }
        self.function_instance(id, &bindings)
    }

    fn only_given(&self, specifiers: &Specifiers, given: &[Name]) -> bool {
        match &specifiers.base {
            BaseType::Named(path) => path.plain().is_some_and(|name| given.contains(&name)),
            _ => true,
        }
    }

    fn function_instance(&mut self, id: TemplateId, bindings: &Bindings) -> Option<FuncId> {
        let syntax = self.templates.all[id.0 as usize].syntax.clone();
        let declared = self.templates.all[id.0 as usize].scope;
        let (scope, all) = self.bound_scope(declared, &syntax, bindings)?;
        match self.instantiate(id, all, &syntax, scope)? {
            Made::Function(func) => Some(func),
            _ => None,
        }
    }

    /// Makes an instance once: the syntax, declared in the scope of its arguments.
    fn instantiate(
        &mut self,
        id: TemplateId,
        all: Vec<Argument>,
        syntax: &Arc<ast::Template>,
        scope: ScopeId,
    ) -> Option<Made> {
        let key = (id, all);
        if let Some(made) = self.templates.made.get(&key) {
            return *made;
        }
        if self.templates.depth >= MAX_DEPTH || self.templates.made.len() >= MAX_INSTANCES {
            self.error(syntax.span, "recursive template instantiation exceeded its maximum depth");
            return None;
        }
        self.templates.depth += 1;
        let (syntax, scope) = self.specialised_syntax(id, &key.1, syntax, scope);
        let said = self.context.diagnostics.count(crate::soft::msl::diagnostics::Severity::Error);
        let made = self.outside(scope, |this| this.declare_instance(&syntax, &key));
        let errors = self.context.diagnostics.count(crate::soft::msl::diagnostics::Severity::Error);
        self.templates.depth -= 1;
        let made = made.filter(|_| errors == said);
        self.templates.made.insert(key, made);
        made
    }

    /// The specialisation that the arguments pick, in a scope that binds its own parameters:
    /// the first full one that is equal, else the partial one with the fewest parameters.
    fn specialised_syntax(
        &mut self,
        id: TemplateId,
        all: &[Argument],
        syntax: &Arc<ast::Template>,
        scope: ScopeId,
    ) -> (Arc<ast::Template>, ScopeId) {
        let list = self.templates.all[id.0 as usize].specialisations.clone();
        let mut best: Option<(Arc<ast::Template>, ScopeId)> = None;
        for (special, declared) in list {
            let pattern =
                declared_path(&special.declaration).and_then(|p| p.last().arguments.clone());
            let Some(pattern) = pattern else { continue };
            let mut bindings = Bindings::new();
            let met = self.outside(declared, |this| {
                this.deduce_arguments(&special, &pattern, all, &mut bindings)
            });
            if !met {
                continue;
            }
            let fewer = best
                .as_ref()
                .is_none_or(|(known, _)| special.parameters.len() < known.parameters.len());
            if fewer && let Some((scope, _)) = self.bound_scope(declared, &special, &bindings) {
                best = Some((special, scope));
            }
        }
        best.unwrap_or((syntax.clone(), scope))
    }

    fn declare_instance(&mut self, syntax: &ast::Template, key: &Key) -> Option<Made> {
        match &syntax.declaration {
            Decl::Function(function) => {
                let id = self.function_declaration(
                    &function.specifiers,
                    &function.declarator,
                    Some(function.clone()),
                )?;
                self.functions[id.0 as usize].template = true;
                self.unbind(&function.declarator);
                Some(Made::Function(id))
            }
            Decl::Alias { target, .. } => Some(Made::Type(self.type_name(target))),
            Decl::Simple(simple) => match (&simple.specifiers.base, simple.declarators.first()) {
                (BaseType::Class(class), None) => {
                    let name = self.templates.all[key.0.0 as usize].name;
                    let shown = self.instance_name(name, &key.1);
                    let qual = self.class_named(class, Some(name), Some(shown), Some(key));
                    Some(Made::Type(qual))
                }
                (_, Some(first)) if first.declarator.function().is_some() => {
                    let id =
                        self.function_declaration(&simple.specifiers, &first.declarator, None)?;
                    self.functions[id.0 as usize].template = true;
                    self.unbind(&first.declarator);
                    Some(Made::Function(id))
                }
                (_, Some(_)) => {
                    let base = self.specifiers(&simple.specifiers);
                    let before = self.globals.len();
                    self.global(simple, base, 0);
                    // The initialiser may have brought variables of its own before this one.
                    let count = self.globals.len();
                    (count > before).then(|| Made::Variable(GlobalIndex(count as u32 - 1)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Inside its own body a template's name is the template, not this instance.
    fn unbind(&mut self, declarator: &Declarator) {
        let Some(path) = &declarator.name else { return };
        let name = self.label_name(&path.last().name);
        self.scopes[self.scope.0 as usize].names.remove(&name);
    }

    pub(super) fn remember_origin(&mut self, ty: TyId, key: &Key) {
        self.templates.origins.insert(ty, key.clone());
        // A class may name its own instance while it is being read.
        self.templates.made.insert(key.clone(), Some(Made::Type(Qual::plain(ty))));
    }

    fn instance_name(&self, name: Name, all: &[Argument]) -> String {
        let shown: Vec<String> = all
            .iter()
            .map(|argument| match argument {
                Argument::Type(qual) => self.types.qual_name(*qual),
                Argument::Value(_, true, bits) => f64::from_bits(*bits).to_string(),
                Argument::Value(_, false, bits) => (*bits as i64).to_string(),
            })
            .collect();
        format!("{}<{}>", self.text(name), shown.join(", "))
    }

    /// The class, alias or variable that a path with arguments names.
    fn named_instance(&mut self, path: &Path, id: TemplateId) -> Option<Made> {
        let list = path.last().arguments.clone().unwrap_or_else(|| Vec::new().into());
        let explicit = self.explicit_arguments(&list)?;
        let syntax = self.templates.all[id.0 as usize].syntax.clone();
        let Some(bindings) = self.bind_explicit(&syntax, &explicit) else {
            let text = self.path_text(path);
            self.error(
                path.span,
                format!("template arguments do not fit the parameters of '{text}'"),
            );
            return None;
        };
        let declared = self.templates.all[id.0 as usize].scope;
        let Some((scope, all)) = self.bound_scope(declared, &syntax, &bindings) else {
            let text = self.path_text(path);
            self.error(path.span, format!("too few template arguments for '{text}'"));
            return None;
        };
        self.instantiate(id, all, &syntax, scope)
    }

    pub(super) fn type_instance(&mut self, path: &Path, id: TemplateId) -> Option<Qual> {
        match self.named_instance(path, id)? {
            Made::Type(qual) => Some(qual),
            _ => None,
        }
    }

    pub(super) fn variable_instance(&mut self, path: &Path, id: TemplateId) -> Option<GlobalIndex> {
        let is_variable = match &self.templates.all[id.0 as usize].syntax.declaration {
            Decl::Simple(simple) => {
                simple.declarators.first().is_some_and(|d| d.declarator.function().is_none())
            }
            _ => false,
        };
        if !is_variable {
            return None;
        }
        match self.named_instance(path, id)? {
            Made::Variable(global) => Some(global),
            _ => None,
        }
    }

    /// The template that a name with arguments means: in a class, its own name is that of the
    /// instance too (temp.local/1).
    pub(super) fn template_of(&self, entity: Entity) -> Option<TemplateId> {
        match entity {
            Entity::Template(id) => Some(id),
            Entity::Type(qual) => self.templates.origins.get(&qual.ty).map(|origin| origin.0),
            _ => None,
        }
    }

    /// The entity of a path's part, its arguments applied if it is a template of types.
    pub(super) fn applied(&mut self, entity: Entity, part: &PathPart) -> Entity {
        if part.arguments.is_none() {
            return entity;
        }
        let Some(id) = self.template_of(entity) else { return entity };
        let path = Path { global: false, parts: vec![part.clone()], span: part.span };
        match self.type_instance(&path, id) {
            Some(qual) => Entity::Type(qual),
            None => entity,
        }
    }

    // ---- explicit instantiation ----------------------------------------------------------

    /// `template [[host_name("a")]] [[kernel]] void f<float>(…);` and its other spellings
    /// (MSL 5.1.10): the host gets the instance under the name.
    pub(super) fn explicit_instantiation(&mut self, simple: &Simple) {
        let Some(first) = simple.declarators.first() else { return };
        let Some(path) = first.declarator.name.clone() else { return };
        let mut general = path.clone();
        if let Some(last) = general.parts.last_mut() {
            last.arguments = None;
        }
        let mut types = Vec::new();
        if let Some(signature) = first.declarator.function().cloned() {
            for parameter in &signature.parameters {
                let qual = self.parameter_type(parameter);
                let qual = match *self.types.get(qual.ty) {
                    Ty::Reference(to) => to,
                    _ => qual,
                };
                types.push((qual, true));
            }
        }
        let explicit = path.last().arguments.clone();
        let list = match self.lookup_path(&general) {
            super::lookup::Found::Entities(list) => list,
            _ => Vec::new(),
        };
        let said = self.context.diagnostics.len();
        for entity in list {
            let Entity::Template(id) = entity else { continue };
            if let Some(func) = self.deduced_candidate(id, explicit.as_deref(), &types) {
                self.context.diagnostics.truncate(said);
                let name = self.host_name(simple, &first.declarator);
                let name = name.unwrap_or_else(|| self.func(func).name.clone());
                if self.func(func).stage.is_none() {
                    let stage = simple.specifiers.stage.or_else(|| self.stage_attribute(simple));
                    self.functions[func.0 as usize].stage = stage;
                }
                self.exports.push((name, func));
                return;
            }
        }
        if self.context.diagnostics.len() == said {
            let text = self.path_text(&path);
            self.error(
                path.span,
                format!("explicit instantiation of '{text}' does not refer to a function template"),
            );
        }
    }

    fn stage_attribute(&self, simple: &Simple) -> Option<Stage> {
        let kernel = simple
            .specifiers
            .attributes
            .iter()
            .any(|attribute| self.context.names.text(attribute.name.name) == "kernel");
        kernel.then_some(Stage::Kernel)
    }

    fn host_name(&self, simple: &Simple, declarator: &Declarator) -> Option<String> {
        let attributes = simple.specifiers.attributes.iter().chain(&declarator.attributes);
        let attribute =
            attributes.into_iter().find(|a| self.context.names.text(a.name.name) == "host_name")?;
        match &attribute.arguments.first()?.kind {
            ExprKind::Str(pieces) => {
                let piece =
                    |name: &Name| crate::soft::msl::lex::string(self.context.names.text(*name));
                pieces.iter().map(piece).collect()
            }
            _ => None,
        }
    }
}
