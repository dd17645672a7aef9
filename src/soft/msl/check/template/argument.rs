//! Template arguments: from their spelling to types, values and templates, and to their parameters
//! (C++14 temp.arg, temp.variadic).

use super::super::evaluate::{Item, evaluate_item};
use super::super::lookup::Found;
use super::super::{Checker, Entity, FuncId, Global, ScopeId, VariableId, convert_constant};
use super::deduce::{Deduction, Ignored};
use super::{Resource, TemplateId, parameter_name};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::hir::{self, Constant, Expr, GlobalIndex};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};
use std::sync::Arc;

/// Elements of a pack, by their index in [`super::Templates`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in super::super) struct PackId(pub(super) u32);

/// A template argument, as a key: floats compare by their bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in super::super) enum Argument {
    Type(Qual),
    Value(TyId, bool, u64),
    /// An object of a class: a variable of the compiler's own, one for equal objects (C++20 temp.param/8).
    Object(GlobalIndex),
    Function(FuncId),
    /// Functions of one name, by their index: the parameter's type selects one (over.over).
    Overloads(u32),
    Template(TemplateId),
    Pack(PackId),
}

/// The entity that an argument names, until its parameter is known.
#[derive(Clone, Debug)]
pub(super) struct Overloads {
    list: Vec<Entity>,
    explicit: Option<Arc<[TemplateArgument]>>,
    scope: ScopeId,
    span: Span,
}

impl Argument {
    pub(super) fn constant(ty: TyId, constant: Constant) -> Argument {
        match constant {
            Constant::Int(value) => Argument::Value(ty, false, value),
            Constant::Float(value) => Argument::Value(ty, true, value.to_bits()),
        }
    }

    /// The entity to which a parameter's name is bound.
    fn entity(self) -> Option<Entity> {
        Some(match self {
            Argument::Type(qual) => Entity::Type(qual),
            Argument::Value(ty, true, bits) => {
                Entity::Value(ty, Constant::Float(f64::from_bits(bits)))
            }
            Argument::Value(ty, false, bits) => Entity::Value(ty, Constant::Int(bits)),
            Argument::Object(global) => Entity::Global(global),
            Argument::Function(id) => Entity::Function(id),
            Argument::Template(id) => Entity::Template(id),
            Argument::Pack(id) => Entity::Pack(id),
            Argument::Overloads(_) => return None,
        })
    }
}

impl Checker {
    // ---- from the spelling ---------------------------------------------------------------

    /// The explicit arguments of a path, in the scope of the path.
    pub(super) fn explicit_arguments(
        &mut self,
        list: &[TemplateArgument],
    ) -> Option<Vec<Argument>> {
        let mut all = Vec::new();
        for argument in list {
            let TemplateArgument::Expansion(pattern, mentioned) = argument else {
                all.push(self.template_argument(argument)?);
                continue;
            };
            let count = self.expansion_length(mentioned, template_argument_span(pattern))?;
            if let Some(elements) = self.whole_pack(pattern) {
                all.extend_from_slice(&elements);
                continue;
            }
            for at in 0..count {
                all.push(self.with_element(mentioned, at, |this| this.template_argument(pattern))?);
            }
        }
        Some(all)
    }

    /// The types of a list of arguments; `None` after an error.
    pub(in super::super) fn explicit_types(
        &mut self,
        list: &[TemplateArgument],
    ) -> Option<Vec<Qual>> {
        let found = self.explicit_arguments(list)?;
        found
            .into_iter()
            .map(|argument| match argument {
                Argument::Type(qual) => Some(qual),
                _ => None,
            })
            .collect()
    }

    fn template_argument(&mut self, argument: &TemplateArgument) -> Option<Argument> {
        match argument {
            TemplateArgument::Type(name) => {
                if let Some(id) = self.template_named(name) {
                    return Some(Argument::Template(id));
                }
                let qual = self.type_name(name);
                (qual.ty != Types::UNKNOWN).then_some(Argument::Type(qual))
            }
            TemplateArgument::Value(value) => self.value_argument(value),
            TemplateArgument::Expansion(..) => None,
        }
    }

    /// The name of a class template without arguments: an argument for a template template parameter.
    fn template_named(&mut self, name: &TypeName) -> Option<TemplateId> {
        let BaseType::Named(path) = &name.specifiers.base else { return None };
        if path.last().arguments.is_some() || !name.declarator.parts.is_empty() {
            return None;
        }
        let Found::Entities(list) = self.lookup_path(path) else { return None };
        list.iter().find_map(|entity| match entity {
            Entity::Template(id) => Some(*id),
            _ => None,
        })
    }

    fn value_argument(&mut self, value: &ast::Expr) -> Option<Argument> {
        // `X<int>::type`: the parser knows members of templates only by `typename`.
        if let ExprKind::Path(path) = &value.kind
            && path.parts.len() > 1
            && let Found::Entities(list) = self.lookup_path(path)
            && let Some(Entity::Type(qual)) = list.first()
        {
            return Some(Argument::Type(*qual));
        }
        if let Some(overloads) = self.overloads_of(value) {
            self.templates.overloads.push(overloads);
            return Some(Argument::Overloads(self.templates.overloads.len() as u32 - 1));
        }
        let checked = self.expr(value);
        if checked.qual.ty == Types::UNKNOWN {
            return None;
        }
        let checked = self.rvalue(checked);
        match self.evaluate(&checked) {
            Ok(constant) => Some(Argument::constant(checked.qual.ty, constant)),
            Err(why) => {
                if let Some(object) = self.object_argument(&checked) {
                    return Some(object);
                }
                // Only the number may be constant that it converts to.
                if let Some(number) = self.number_argument(checked) {
                    return Some(number);
                }
                let message = "non-type template argument is not a constant expression";
                self.not_constant(value.span, message, why);
                None
            }
        }
    }

    /// The number that an object of a class converts to (temp.arg.nontype).
    fn number_argument(&mut self, object: Expr) -> Option<Argument> {
        self.types.structure(object.qual.ty)?;
        let number = self.integer_operand(object);
        let ty = number.qual.ty;
        self.evaluate(&number).ok().map(|constant| Argument::constant(ty, constant))
    }

    /// An argument that is an object of a class.
    fn object_argument(&mut self, value: &Expr) -> Option<Argument> {
        let ty = value.qual.ty;
        self.types.structure(ty)?;
        let item = evaluate_item(self, value).ok()?;
        let known = self.templates.objects.iter().find(|one| one.0 == ty && one.1 == item);
        if let Some(&(_, _, global)) = known {
            return Some(Argument::Object(global));
        }
        let init = self.item_value(&item, ty, value.span)?;
        let space = Some(AddressSpace::Constant);
        let qual = Qual { constant: true, space, ..Qual::plain(ty) };
        let global = self.unnamed_global(qual, init, value.span);
        self.templates.objects.push((ty, item, global));
        Some(Argument::Object(global))
    }

    /// An expression for a constant object; `None` for one with unions or vectors in it.
    fn item_value(&mut self, item: &Item, ty: TyId, span: Span) -> Option<Expr> {
        let parts: Vec<TyId> = match (item, self.types.get(ty)) {
            (Item::Scalar(constant), _) => {
                return Some(self.value(hir::ExprKind::Constant(*constant), ty, span));
            }
            (Item::Zero, _) => return Some(self.value(hir::ExprKind::Zero, ty, span)),
            (Item::Parts(_), &Ty::Struct(class)) => {
                let fields = self.types.class(class).fields();
                fields.iter().map(|field| field.qual.ty).collect()
            }
            (Item::Parts(parts), &Ty::Array(element, _)) => vec![element; parts.len()],
            _ => return None,
        };
        let Item::Parts(items) = item else { return None };
        let values: Option<Vec<Expr>> =
            items.iter().zip(parts).map(|(item, ty)| self.item_value(item, ty, span)).collect();
        Some(self.value(hir::ExprKind::Aggregate(values?), ty, span))
    }

    /// The functions that an expression names, also by `&f`.
    fn overloads_of(&mut self, value: &ast::Expr) -> Option<Overloads> {
        let path = match &value.kind {
            ExprKind::Path(path) => path,
            ExprKind::Unary(Punct::Amp, inner) => match &inner.kind {
                ExprKind::Path(path) => path,
                _ => return None,
            },
            _ => return None,
        };
        let Found::Entities(mut list) = self.lookup_path(path) else { return None };
        list.retain(|entity| match entity {
            Entity::Function(_) => true,
            Entity::Template(id) => self.is_function_template(*id),
            _ => false,
        });
        let explicit = path.last().arguments.clone();
        let scope = self.scope;
        (!list.is_empty()).then_some(Overloads { list, explicit, scope, span: path.span })
    }

    // ---- to the parameters ---------------------------------------------------------------

    /// Assigns explicit arguments to the first parameters; a pack takes all remaining ones.
    pub(super) fn bind_explicit<'a>(
        &mut self,
        syntax: &'a ast::Template,
        explicit: &[Argument],
    ) -> Option<Deduction<'a>> {
        let mut deduction = Deduction::new(syntax);
        let mut rest = explicit;
        for (index, parameter) in syntax.parameters.iter().enumerate() {
            if parameter.is_pack() {
                let fits = rest.iter().all(|&argument| parameter.takes(argument));
                if !fits {
                    return None;
                }
                if !rest.is_empty() {
                    deduction.bindings[index] = Some(self.pack(rest));
                }
                rest = &[];
            } else if let Some((&argument, others)) = rest.split_first() {
                if !parameter.takes(argument) {
                    return None;
                }
                deduction.bindings[index] = Some(argument);
                rest = others;
            }
        }
        rest.is_empty().then_some(deduction)
    }

    pub(super) fn pack(&mut self, elements: &[Argument]) -> Argument {
        if let Some(&known) = self.templates.pack_ids.get(elements) {
            return Argument::Pack(known);
        }
        let id = PackId(self.templates.packs.len() as u32);
        let request = self.origin.map(|id| self.templates.requests[id.index()].span);
        self.charge(Resource::Elements, elements.len(), request.unwrap_or_default());
        let elements: Arc<[Argument]> = elements.into();
        self.templates.packs.push(elements.clone());
        self.templates.pack_ids.insert(elements, id);
        Argument::Pack(id)
    }

    /// The arguments with packs replaced by their elements.
    pub(super) fn flatten(&self, list: &[Argument]) -> Vec<Argument> {
        let mut all = Vec::new();
        for &argument in list {
            match argument {
                Argument::Pack(id) => all.extend_from_slice(&self.templates.packs[id.0 as usize]),
                one => all.push(one),
            }
        }
        all
    }

    /// A scope that binds a template's parameters to their arguments: those given, then defaults.
    pub(super) fn bound_scope(
        &mut self,
        id: TemplateId,
        syntax: &ast::Template,
        bindings: &[Option<Argument>],
    ) -> Result<(ScopeId, Vec<Argument>), Ignored> {
        let parent = self.templates.all[id.0 as usize].scope;
        self.bound_scope_in(parent, syntax, bindings)
    }

    /// The same for a specialisation, inside `parent`.
    pub(super) fn bound_scope_in(
        &mut self,
        parent: ScopeId,
        syntax: &ast::Template,
        bindings: &[Option<Argument>],
    ) -> Result<(ScopeId, Vec<Argument>), Ignored> {
        let kind = self.scopes[parent.0 as usize].kind;
        let scope = self.new_scope(kind, parent);
        self.scopes[scope.0 as usize].parameters = true;
        let mut this = self.in_scope(scope);
        let mut all = Vec::new();
        let mut result = Ok(());
        for (parameter, &given) in syntax.parameters.iter().zip(bindings) {
            let argument = match given {
                Some(argument) => this.fitted(parameter, argument),
                None if parameter.is_pack() => Some(this.pack(&[])),
                None if !parameter.has_default() => {
                    result = Err(Ignored::Undeduced(parameter_name(parameter)));
                    break;
                }
                None => this.default_argument(parameter),
            };
            let Some(argument) = argument else {
                result = Err(Ignored::Substitution);
                break;
            };
            if let (Some(name), Some(entity)) = (parameter_name(parameter), argument.entity()) {
                this.bind(scope, name, entity);
            }
            all.push(argument);
        }
        result.map(|()| (scope, all))
    }

    fn default_argument(&mut self, parameter: &TemplateParameter) -> Option<Argument> {
        match parameter {
            TemplateParameter::Type { default, .. } => {
                let qual = self.type_name(default.as_ref()?);
                (qual.ty != Types::UNKNOWN).then_some(Argument::Type(qual))
            }
            TemplateParameter::Template { default, .. } => {
                self.template_named(default.as_ref()?).map(Argument::Template)
            }
            TemplateParameter::Value { default, .. } => {
                let argument = self.value_argument(default.as_ref()?)?;
                self.fitted(parameter, argument)
            }
        }
    }

    /// The argument converted to the parameter's type.
    fn fitted(&mut self, parameter: &TemplateParameter, argument: Argument) -> Option<Argument> {
        let TemplateParameter::Value { specifiers, declarator, .. } = parameter else {
            return Some(argument);
        };
        // `auto` takes an argument of any type (C++17 temp.param).
        if matches!(specifiers.base, BaseType::Auto) && declarator.parts.is_empty() {
            return self.named_function(argument);
        }
        let base = self.specifiers(specifiers);
        let target = self.declared_type(base, declarator);
        // A parameter whose type is invalid accepts no argument (temp.deduct/8).
        if target.ty == Types::UNKNOWN {
            return None;
        }
        let Argument::Pack(id) = argument else { return self.fitted_value(target, argument) };
        let elements = self.templates.packs[id.0 as usize].clone();
        let fitted: Option<Vec<Argument>> =
            elements.iter().map(|&element| self.fitted_value(target, element)).collect();
        fitted.map(|list| self.pack(&list))
    }

    /// An argument for a parameter of any type: of functions, the only one that there is.
    fn named_function(&mut self, argument: Argument) -> Option<Argument> {
        match argument {
            Argument::Overloads(at) => {
                let overloads = self.templates.overloads[at as usize].clone();
                let unknown = Qual::plain(Types::UNKNOWN);
                self.pick_overload(&overloads, unknown).map(Argument::Function)
            }
            Argument::Pack(id) => {
                let elements = self.templates.packs[id.0 as usize].clone();
                let named: Option<Vec<Argument>> =
                    elements.iter().map(|&element| self.named_function(element)).collect();
                named.map(|list| self.pack(&list))
            }
            other => Some(other),
        }
    }

    fn fitted_value(&mut self, target: Qual, argument: Argument) -> Option<Argument> {
        // A reference to a constant object has its value, which never changes. It binds to objects of its own type.
        if let Ty::Reference(to, _) = *self.types.get(target.ty) {
            let ty = match argument {
                Argument::Value(ty, ..) => ty,
                Argument::Object(global) => self.globals[global.0 as usize].qual.ty,
                other => return self.fitted_value(to, other),
            };
            return (ty == to.ty).then_some(argument);
        }
        match argument {
            Argument::Value(ty, float, bits) => {
                let constant = match float {
                    true => Constant::Float(f64::from_bits(bits)),
                    false => Constant::Int(bits),
                };
                match (self.scalar_under(ty), self.scalar_under(target.ty)) {
                    (Some(from), Some(to)) => {
                        let value = convert_constant(constant, from, to);
                        Some(Argument::constant(target.ty, value))
                    }
                    // A function's type accepts no number.
                    _ => self.function_type(target.ty).is_none().then_some(argument),
                }
            }
            Argument::Object(global) => {
                let Global { qual, span, .. } = *self.globals[global.0 as usize];
                if qual.ty == target.ty {
                    return Some(argument);
                }
                let kind = hir::ExprKind::Global(global);
                let number = self.number_argument(Expr { kind, qual, place: true, span })?;
                self.fitted_value(target, number)
            }
            Argument::Overloads(at) => {
                let overloads = self.templates.overloads[at as usize].clone();
                self.pick_overload(&overloads, target).map(Argument::Function)
            }
            other => Some(other),
        }
    }

    fn scalar_under(&self, ty: TyId) -> Option<Scalar> {
        match *self.types.get(ty) {
            Ty::Enum(id) => Some(self.types.enumeration(id).underlying),
            _ => self.types.as_scalar(ty),
        }
    }

    /// A function's own type, or that of a pointer or reference to one.
    fn function_type(&self, ty: TyId) -> Option<(Qual, Vec<Qual>)> {
        match self.types.get(ty) {
            Ty::Function(result, parameters) => Some((*result, parameters.clone())),
            Ty::Pointer(to) | Ty::Reference(to, _) => match self.types.get(to.ty) {
                Ty::Function(result, parameters) => Some((*result, parameters.clone())),
                _ => None,
            },
            _ => None,
        }
    }

    /// The function whose signature is that of the target ([over.over]/1 to 4); of a template, the
    /// instance that has it. If the target is unknown, the only function there is.
    fn pick_overload(&mut self, overloads: &Overloads, target: Qual) -> Option<FuncId> {
        let wanted = self.function_type(target.ty);
        if wanted.is_none() && target.ty != Types::UNKNOWN {
            return None;
        }
        let types = wanted.map(|(_, parameters)| parameters);
        self.outside(overloads.scope, |this| {
            let explicit = overloads.explicit.as_deref();
            this.overload(&overloads.list, explicit, types.as_deref(), overloads.span)
        })
    }

    /// The one of these functions that has these parameters, a function before an instance.
    pub(in super::super) fn overload(
        &mut self,
        list: &[Entity],
        explicit: Option<&[TemplateArgument]>,
        types: Option<&[Qual]>,
        span: Span,
    ) -> Option<FuncId> {
        let fits = |this: &Self, id: FuncId| match types {
            Some(types) => {
                let parameters = &this.func(id).parameters;
                parameters.len() == types.len()
                    && parameters.iter().zip(types).all(|(p, t)| p.qual.ty == t.ty)
            }
            None => true,
        };
        for entity in list {
            if let Entity::Function(id) = entity
                && explicit.is_none()
                && fits(self, *id)
            {
                return Some(*id);
            }
        }
        let sources: Vec<(Qual, bool)> = types
            .unwrap_or_default()
            .iter()
            .map(|&qual| match *self.types.get(qual.ty) {
                Ty::Reference(to, _) => (to, true),
                _ => (qual, false),
            })
            .collect();
        let mut found = None;
        for entity in list {
            let Entity::Template(id) = *entity else { continue };
            let (made, diagnostics) =
                self.silently(|this| this.deduced_candidate(id, explicit, &sources, span));
            if let Ok(func) = made
                && !diagnostics.has_errors()
                && fits(self, func)
            {
                // The more specialised of two templates is selected ([over.over]/4).
                let better = found
                    .is_none_or(|(known, _)| self.more_special_function(id, known, sources.len()));
                if better {
                    found = Some((id, func));
                }
            }
        }
        found.map(|(_, func)| func)
    }

    // ---- packs ---------------------------------------------------------------------------

    /// The number of elements of an expansion; `None` after an error.
    pub(in super::super) fn expansion_length(
        &mut self,
        mentioned: &Mentioned,
        span: Span,
    ) -> Option<usize> {
        let mut length = None;
        for &name in mentioned.iter() {
            let Some(found) = self.pack_length(name) else { continue };
            if length.is_some_and(|known| known != found) {
                self.error(span, "pack expansion contains parameter packs of different lengths");
                return None;
            }
            length = Some(found);
        }
        if length.is_none() {
            self.error(span, "pack expansion does not contain any unexpanded parameter packs");
        }
        length.filter(|&count| self.charge(Resource::Elements, count, span))
    }

    /// The number of elements of a named pack.
    pub(in super::super) fn pack_length(&mut self, name: Name) -> Option<usize> {
        match self.named_pack(name)? {
            Entity::Pack(id) => Some(self.templates.packs[id.0 as usize].len()),
            Entity::Locals(_, count) | Entity::Fields(_, _, count) => Some(count as usize),
            _ => None,
        }
    }

    /// The pack that a name is, also in the pattern of an expansion of it: what is expanded inside of a pattern is expanded as a
    /// whole for each element ([temp.variadic]/5).
    fn named_pack(&mut self, name: Name) -> Option<Entity> {
        let outer = self.scope;
        let mut found = self.lookup_first(name);
        while let Some(above) = self.scope_above_element(name) {
            self.scope = above;
            found = self.lookup_first(name);
        }
        self.scope = outer;
        found
    }

    /// The scope around the one that binds a name to an element of a pack, if the innermost one that binds it does so.
    fn scope_above_element(&self, name: Name) -> Option<ScopeId> {
        let mut at = Some(self.scope);
        while let Some(id) = at {
            let scope = &self.scopes[id.0 as usize];
            if scope.names.contains_key(&name) {
                return scope.parent.filter(|_| scope.elements);
            }
            at = scope.parent;
        }
        None
    }

    /// The elements of a pattern that is just the name of a template parameter pack.
    fn whole_pack(&mut self, pattern: &TemplateArgument) -> Option<Arc<[Argument]>> {
        let name = match pattern {
            TemplateArgument::Type(name) if name.declarator.parts.is_empty() => {
                name.specifiers.plain_name()
            }
            TemplateArgument::Value(value) => value.plain(),
            _ => None,
        };
        let Found::Entities(list) = self.lookup(name?) else { return None };
        match list.first()? {
            Entity::Pack(id) => Some(self.templates.packs[id.0 as usize].clone()),
            _ => None,
        }
    }

    /// The element of a named pack at this index.
    pub(in super::super) fn pack_element(&mut self, name: Name, at: usize) -> Option<Entity> {
        let pack = self.named_pack(name)?;
        self.nth_element(pack, at)
    }

    pub(in super::super) fn nth_element(&self, pack: Entity, at: usize) -> Option<Entity> {
        match pack {
            Entity::Pack(id) => {
                self.templates.packs[id.0 as usize].get(at).and_then(|one| one.entity())
            }
            Entity::Locals(first, count) if at < count as usize => {
                Some(Entity::Local(VariableId(first.0 + at as u32)))
            }
            Entity::Fields(class, first, count) if at < count as usize => {
                Some(Entity::Field(class, first + at as u32))
            }
            _ => None,
        }
    }

    /// Checks a pattern with each pack replaced by its element at this index.
    pub(in super::super) fn with_element<T>(
        &mut self,
        mentioned: &Mentioned,
        at: usize,
        check: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let elements = self.pack_elements(mentioned, at);
        self.with_elements(elements, check)
    }

    /// The element at this index of each pack.
    pub(in super::super) fn pack_elements(
        &mut self,
        mentioned: &Mentioned,
        at: usize,
    ) -> Vec<(Name, Entity)> {
        let names = mentioned.iter();
        names.filter_map(|&name| Some((name, self.pack_element(name, at)?))).collect()
    }

    /// Checks a pattern with these names of packs bound to elements of theirs.
    pub(in super::super) fn with_elements<T>(
        &mut self,
        elements: Vec<(Name, Entity)>,
        check: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let kind = self.scopes[self.scope.0 as usize].kind;
        let mut there = self.in_new_scope(kind);
        let scope = there.scope;
        for (name, element) in elements {
            there.bind(scope, name, element);
        }
        there.scopes[scope.0 as usize].elements = true;
        let result = check(&mut there);
        drop(there);
        // There are many elements, and the scopes of few have scopes in them, which outlive the check.
        self.remove_last_scope(scope);
        result
    }

    /// Checks the elements of an expansion. Most patterns are just the name of a pack, which is looked up once.
    pub(in super::super) fn expansion(&mut self, expansion: &ast::Expr, all: &mut Vec<Expr>) {
        if let ExprKind::Expansion(pattern, mentioned) = &expansion.kind
            && let (ExprKind::Path(path), Some(name)) = (&pattern.kind, pattern.plain())
            && let Some(pack) = self.named_pack(name)
        {
            let span = expansion.span;
            let Some(count) = self.expansion_length(mentioned, span) else { return };
            self.at(span);
            let allowed = self.charge_expressions(count, span);
            all.extend((0..count).map(|at| match self.nth_element(pack, at) {
                _ if !allowed => self.error_expr(span),
                Some(element) => self.named(Some(element), path),
                None => self.with_element(mentioned, at, |this| this.expr(pattern)),
            }));
            return;
        }
        for element in self.expanded(std::slice::from_ref(expansion)) {
            all.push(self.expr(&element));
        }
    }

    /// The elements of a list, with expansions replaced by their elements.
    pub(in super::super) fn expanded(&mut self, list: &[ast::Expr]) -> Vec<ast::Expr> {
        let mut all = Vec::with_capacity(list.len());
        for expr in list {
            let ExprKind::Expansion(pattern, mentioned) = &expr.kind else {
                all.push(expr.clone());
                continue;
            };
            let Some(count) = self.expansion_length(mentioned, expr.span) else { continue };
            all.extend((0..count).map(|at| {
                let kind = ExprKind::Expanded(pattern.clone(), mentioned.clone(), at);
                ast::Expr::new(kind, expr.span)
            }));
        }
        all
    }
}

fn template_argument_span(argument: &TemplateArgument) -> Span {
    match argument {
        TemplateArgument::Type(name) => name.span,
        TemplateArgument::Value(value) => value.span,
        TemplateArgument::Expansion(inner, _) => template_argument_span(inner),
    }
}

impl TemplateParameter {
    pub(super) fn is_pack(&self) -> bool {
        match self {
            TemplateParameter::Type { pack, .. } | TemplateParameter::Value { pack, .. } => *pack,
            TemplateParameter::Template { .. } => false,
        }
    }

    /// The default argument in the form of a spelled argument.
    pub(super) fn default_argument(&self) -> Option<TemplateArgument> {
        match self {
            TemplateParameter::Type { default, .. }
            | TemplateParameter::Template { default, .. } => {
                default.clone().map(TemplateArgument::Type)
            }
            TemplateParameter::Value { default, .. } => {
                default.clone().map(TemplateArgument::Value)
            }
        }
    }

    pub(super) fn has_default(&self) -> bool {
        match self {
            TemplateParameter::Type { default, .. }
            | TemplateParameter::Template { default, .. } => default.is_some(),
            TemplateParameter::Value { default, .. } => default.is_some(),
        }
    }

    /// Whether an argument is of the parameter's kind: type, value or template (temp.arg/1).
    fn takes(&self, argument: Argument) -> bool {
        match self {
            TemplateParameter::Type { .. } => matches!(argument, Argument::Type(_)),
            TemplateParameter::Template { .. } => matches!(argument, Argument::Template(_)),
            TemplateParameter::Value { .. } => {
                !matches!(argument, Argument::Type(_) | Argument::Template(_))
            }
        }
    }
}
