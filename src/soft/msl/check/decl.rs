//! Declarations at namespace and class scope (C++14 dcl.dcl, class; MSL 4.2, 5).

use super::lookup::Found;
use super::template::TemplateId;
use super::{
    Checker, Entity, Func, FuncId, GLOBAL_SCOPE, Global, LIBRARY_SCOPE, MAX_CONSTANT_BYTES, Owner,
    Parameter, ParameterPack, REOPENED_SCOPE, ScopeKind, Variable, VariableId,
};
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::hir::{self, Constant, GlobalIndex, LocalIndex};
use crate::soft::msl::lex::Punct;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types};
use std::sync::Arc;

impl Checker {
    pub(crate) fn declare_all(&mut self, declarations: &[Decl]) {
        for declaration in declarations {
            if self.context.diagnostics.is_full() {
                return;
            }
            self.declare(declaration);
        }
    }

    /// Declares the prelude's entities, in the library's own scope.
    pub(super) fn declare_prelude(&mut self, declarations: &[Decl]) {
        let uses = std::mem::replace(&mut self.uses_metal, true);
        self.outside(LIBRARY_SCOPE, |this| this.declare_all(declarations));
        self.uses_metal = uses;
    }

    pub(super) fn declare(&mut self, declaration: &Decl) {
        match declaration {
            Decl::Empty | Decl::Access => {}
            Decl::Simple(simple) => self.simple(simple),
            Decl::Function(function) => {
                self.function_declaration(
                    &function.specifiers,
                    &function.declarator,
                    Some(function.clone()),
                );
            }
            Decl::Alias { name, target } => {
                let qual = self.type_name(target);
                let scope = self.scope;
                self.bind(scope, name.name, Entity::Type(qual));
            }
            Decl::UsingNamespace(path) => self.using_namespace(path),
            Decl::Using(path) => self.using(path),
            Decl::Namespace { name, inline, body } => self.namespace(*name, *inline, body),
            Decl::NamespaceAlias { name, target } => {
                if let Found::Entities(list) = self.lookup_path(target)
                    && let Some(&found) = list.iter().find(|e| matches!(e, Entity::Namespace(_)))
                {
                    let scope = self.scope;
                    self.bind(scope, name.name, found);
                } else {
                    self.error(target.span, "expected namespace name");
                }
            }
            Decl::Bindings(bindings) => {
                self.error(bindings.span, "decomposition declaration not allowed at program scope");
            }
            Decl::Template(template) => self.declare_template(template),
            Decl::Instantiation(simple) => self.explicit_instantiation(simple),
            Decl::StaticAssert { condition, message, span } => {
                self.static_assert(condition, *message, *span);
            }
        }
    }

    fn namespace(&mut self, name: Option<Ident>, inline: bool, body: &[Decl]) {
        let outer = self.scope;
        let existing = name.and_then(|name| {
            let own = self.scopes[outer.0 as usize].names.get(&name.name)?;
            own.iter().find_map(|entity| match entity {
                Entity::Namespace(scope) => Some(*scope),
                _ => None,
            })
        });
        let scope = match (existing, name) {
            (Some(scope), _) => scope,
            (None, Some(name)) if name.name == Name::METAL && outer == GLOBAL_SCOPE => {
                REOPENED_SCOPE
            }
            (None, name) => {
                let scope = self.new_scope(ScopeKind::Namespace, outer);
                if let Some(name) = name {
                    // `metal::fast` and `metal::precise` have the library's names too (MSL 6.1).
                    if outer == REOPENED_SCOPE && matches!(name.name, Name::FAST | Name::PRECISE) {
                        self.scopes[scope.0 as usize].bases.push(LIBRARY_SCOPE);
                    }
                    let text = self.text(name.name);
                    self.extend_prefix(scope, &text);
                    self.bind(outer, name.name, Entity::Namespace(scope));
                }
                if inline || name.is_none() {
                    self.scopes[outer.0 as usize].opened.push(scope);
                }
                scope
            }
        };
        self.in_scope(scope).declare_all(body);
    }

    fn static_assert(&mut self, condition: &Expr, message: Option<Name>, span: Span) {
        let checked = self.unevaluated(condition);
        if checked.qual.ty == Types::UNKNOWN {
            return;
        }
        let condition_value = self.condition_value(checked);
        match self.evaluate(&condition_value) {
            Ok(Constant::Int(0)) => {
                let text = message.map(|name| self.text(name)).unwrap_or_default();
                let tail = if text.is_empty() {
                    String::new()
                } else {
                    format!(": {}", text.trim_matches('"'))
                };
                self.error(span, format!("static assertion failed{tail}"));
            }
            Ok(_) => {}
            Err(why) => {
                let message = "static assertion expression is not an integral constant expression";
                self.not_constant(condition.span, message, why);
            }
        }
    }

    /// Variables, typedefs and prototypes.
    fn simple(&mut self, simple: &Simple) {
        self.at(simple.span);
        if self.declare_guide(&[], simple) {
            return;
        }
        let (base, deduced) = self.variable_specifiers(&simple.specifiers);
        let mut first = None;
        for (index, one) in simple.declarators.iter().enumerate() {
            if simple.specifiers.storage.typedef {
                self.refuse_auto(&simple.specifiers, "in typedef");
                let qual = self.declared_type(base, &one.declarator);
                if let Some(name) = one.declarator.name.as_ref().and_then(Path::plain) {
                    let scope = self.scope;
                    self.bind(scope, name, Entity::Type(qual));
                }
            } else if one.declarator.function().is_some() {
                self.function_declaration(&simple.specifiers, &one.declarator, None);
            } else {
                self.global(simple, (base, deduced), index);
                self.compare_deduced(simple, deduced, one, &mut first);
            }
        }
    }

    /// A variable at program scope: `constant` only (MSL 4.2), or a threadgroup variable or table of a
    /// function.
    pub(super) fn global(
        &mut self,
        simple: &Simple,
        (base, template): (Qual, Option<TemplateId>),
        index: usize,
    ) {
        let one = &simple.declarators[index];
        // A specialisation of a variable template is declared with its arguments.
        let Some(name) = one.declarator.name.as_ref().and_then(Path::plain_template) else {
            return self.static_member(simple, base, one);
        };
        let mut qual = self.declared_type(base, &one.declarator);
        let span = one.declarator.span;
        let text = self.text(name);
        let attributes = simple.specifiers.attributes.iter().chain(&one.declarator.attributes);
        let number = attributes
            .filter(|attribute| self.context.names.text(attribute.name.name) == "function_constant")
            .filter_map(|attribute| attribute.arguments.first().cloned())
            .next();
        let function_constant = match number {
            Some(number) => self.constant_int(&number).map(|number| number as u32),
            None => None,
        };
        // MSL 4.2: at program scope there is constant memory only. A static member may leave the
        // word out, as it can be nothing else.
        let in_class = matches!(self.scopes[self.scope.0 as usize].kind, ScopeKind::Class(_));
        let fits = match qual.space {
            Some(AddressSpace::Constant) => true,
            None => in_class || self.body.is_some() || *self.types.get(qual.ty) == Ty::Sampler,
            Some(AddressSpace::Threadgroup) => self.body.is_some(),
            Some(_) => false,
        };
        if !fits {
            self.error(span, "program scope variable must reside in constant address space");
            qual.space = None;
        }
        if qual.space.is_none() {
            qual.space = Some(AddressSpace::Constant);
        }
        qual.constant |= qual.space == Some(AddressSpace::Constant);
        let mut deduced = None;
        let is_auto = matches!(simple.specifiers.base, BaseType::Auto | BaseType::Decltype(None));
        if is_auto || template.is_some() {
            let (of_value, value) = match template {
                Some(id) => self.deduced_value(id, simple, base, one),
                None => self.auto_value(base, one, span),
            };
            qual = Qual { constant: qual.constant, space: qual.space, ..of_value };
            deduced = value;
        }
        let mut init = None;
        if qual.space == Some(AddressSpace::Constant) && function_constant.is_none() {
            // Its own name is in scope, but has no value yet; its initialiser is checked outside
            // any function, so that no local can be used.
            let checked = deduced
                .or_else(|| self.made_for_object(|this| this.initializer(qual, &one.init, span)));
            qual.ty = checked.as_ref().map_or(qual.ty, |init| init.qual.ty);
            // A static member may be defined outside of its class.
            let elsewhere = simple.specifiers.storage.external || in_class;
            if checked.is_none() && qual.ty != Types::UNKNOWN && !elsewhere {
                self.error(
                    span,
                    format!(
                        "default initialization of an object of const type '{}'",
                        self.types.name(qual.ty)
                    ),
                );
            }
            init = checked;
        }
        if self.types.layout(qual.ty).is_none() && qual.ty != Types::UNKNOWN {
            let ty = self.types.name(qual.ty);
            self.error(span, format!("variable has incomplete type '{ty}'"));
        }
        if self.has_destructors && self.destructor_of(qual.ty).is_some() {
            match (qual.space, &self.body) {
                (Some(AddressSpace::Threadgroup), _) => {
                    self.unsupported(span, "a threadgroup variable with a destructor is");
                }
                // The values of constants outside of functions refuse it themselves.
                (_, Some(_)) => self.unsupported(span, "a constant object with a destructor is"),
                _ => {}
            }
        }
        if qual.space == Some(AddressSpace::Constant) {
            self.constant_bytes += u64::from(self.types.size(qual.ty));
            if self.constant_bytes > MAX_CONSTANT_BYTES {
                let limit = MAX_CONSTANT_BYTES >> 20;
                let message =
                    format!("the library's constant variables are larger than {limit} MiB");
                self.error(span, message);
                init = None;
            }
        }
        let value = match &init {
            Some(init)
                if self.types.as_scalar(qual.ty).is_some()
                    || *self.types.get(qual.ty) == Ty::Sampler =>
            {
                self.evaluate(init).ok()
            }
            _ => None,
        };
        let attributes = simple.specifiers.attributes.iter().chain(&one.declarator.attributes);
        self.alignment(qual.ty, attributes);
        // A declaration may also come after the definition.
        let only_declares = simple.specifiers.storage.external && init.is_none();
        if only_declares && function_constant.is_none() && self.declared(name, qual).is_some() {
            return;
        }
        let declared = self.declared_elsewhere(name, qual).filter(|_| !in_class);
        let global = declared.unwrap_or(GlobalIndex(self.globals.len() as u32));
        if let Some(index) = function_constant {
            self.check_function_constant(index, global, qual, &text, span);
        }
        let init = init.map(Arc::new);
        let row = Global { name: text, qual, span, init, function_constant, value };
        if declared.is_some() {
            if row.init.is_some() || row.function_constant.is_some() {
                Arc::make_mut(&mut self.globals)[global.0 as usize] = Arc::new(row);
            }
            return;
        }
        Arc::make_mut(&mut self.globals).push(Arc::new(row));
        let scope = self.scope;
        self.redefinition(name, span);
        self.bind(scope, name, Entity::Global(global));
    }

    /// The variable that an earlier `extern` declaration of this scope names, and that has no value yet.
    fn declared_elsewhere(&self, name: Name, qual: Qual) -> Option<GlobalIndex> {
        let at = self.declared(name, qual)?;
        let known = &self.globals[at.0 as usize];
        (known.init.is_none() && known.function_constant.is_none()).then_some(at)
    }

    /// The variable of this scope at program scope that has a name and a type.
    fn declared(&self, name: Name, qual: Qual) -> Option<GlobalIndex> {
        let own = self.scopes[self.scope.0 as usize].names.get(&name)?;
        own.iter().find_map(|entity| match *entity {
            Entity::Global(at) => {
                let same = self.globals[at.0 as usize].qual == qual;
                (same && self.body.is_none()).then_some(at)
            }
            _ => None,
        })
    }

    /// The scope of the class or namespace before the last `::` of a path.
    pub(super) fn owner_scope(&mut self, path: &Path) -> Option<super::ScopeId> {
        let mut owner = path.clone();
        owner.parts.pop();
        let part = owner.parts.last()?.clone();
        let Found::Entities(list) = self.lookup_path(&owner) else { return None };
        list.into_iter().find_map(|entity| {
            let entity = self.applied(entity, &part);
            self.scope_of(entity)
        })
    }

    /// `constant int S::x = 1;`: the definition of a static member outside of its class (class.static.data).
    fn static_member(&mut self, simple: &Simple, base: Qual, one: &InitDeclarator) {
        let span = one.declarator.span;
        let found = match one.declarator.name.as_ref().map(|path| (path, self.lookup_path(path))) {
            Some((path, Found::Entities(list))) => Some((path.clone(), list)),
            _ => None,
        };
        let member = found.and_then(|(path, list)| match list[..] {
            [Entity::Global(global)] => Some((path, global)),
            _ => None,
        });
        let Some((path, global)) = member else {
            let message = "out-of-line definition does not match any static member of its class";
            return self.error(span, message);
        };
        let qual = self.declared_type(base, &one.declarator);
        let known = self.globals[global.0 as usize].qual;
        if qual.ty != known.ty && qual.ty != Types::UNKNOWN {
            let (own, theirs) = (self.types.name(qual.ty), self.types.name(known.ty));
            let message = format!("definition with type '{own}' of a member of type '{theirs}'");
            return self.error(span, message);
        }
        if matches!(one.init, Init::None) && self.globals[global.0 as usize].init.is_some() {
            return;
        }
        // A specialisation replaces the template's own value, also if that is defined later.
        if self.templates.specialising {
            self.templates.replaced.insert(global);
        } else if self.templates.replaced.contains(&global) && self.templates.depth > 0 {
            return;
        }
        // Its initialiser is looked up in the class.
        let scope = self.owner_scope(&path).unwrap_or(self.scope);
        let init = self.in_scope(scope).initializer(known, &one.init, span);
        let scalar = self.types.as_scalar(known.ty).is_some();
        let value = init.as_ref().filter(|_| scalar).and_then(|init| self.evaluate(init).ok());
        let row = Arc::make_mut(&mut Arc::make_mut(&mut self.globals)[global.0 as usize]);
        if row.init.is_some() && init.is_some() && !self.templates.specialising {
            let text = row.name.clone();
            return self.error(simple.span, format!("redefinition of '{text}'"));
        }
        (row.init, row.value) = (init.map(Arc::new), value);
    }

    /// A variable of the compiler's own in constant memory.
    pub(super) fn unnamed_global(
        &mut self,
        qual: Qual,
        init: hir::Expr,
        span: Span,
    ) -> GlobalIndex {
        let global = GlobalIndex(self.globals.len() as u32);
        let init = Some(Arc::new(init));
        let row =
            Global { name: String::new(), qual, span, init, function_constant: None, value: None };
        Arc::make_mut(&mut self.globals).push(Arc::new(row));
        global
    }

    /// MSL 5.8.1: a scalar or a vector, with a unique index.
    fn check_function_constant(
        &mut self,
        index: u32,
        global: GlobalIndex,
        qual: Qual,
        text: &str,
        span: Span,
    ) {
        if qual.ty != Types::UNKNOWN && self.types.arithmetic(qual.ty).is_none() {
            let ty = self.types.name(qual.ty);
            let message =
                format!("function constant '{text}' of type '{ty}': must be a scalar or a vector");
            self.error(span, message);
        }
        if let Some(known) = self.function_constant_indices.insert(index, global) {
            let known = &self.globals[known.0 as usize].name;
            let message = format!("function constants '{known}' and '{text}' have the same index");
            self.error(span, message);
        }
    }

    pub(super) fn redefinition(&mut self, name: Name, span: Span) {
        let own = self.scopes[self.scope.0 as usize].names.get(&name);
        let clash = own.into_iter().flatten().any(|entity| {
            matches!(
                entity,
                Entity::Local(_) | Entity::Binding(_) | Entity::Global(_) | Entity::Function(_)
            )
        });
        if clash {
            let text = self.text(name);
            self.error(span, format!("redefinition of '{text}'"));
        }
    }

    // ---- functions -----------------------------------------------------------------------

    pub(super) fn function_declaration(
        &mut self,
        specifiers: &Specifiers,
        declarator: &Declarator,
        definition: Option<Arc<ast::Function>>,
    ) -> Option<FuncId> {
        self.at(declarator.span);
        // Classes in the signature have members of their own.
        let of_static = std::mem::take(&mut self.templates.of_static);
        let signature = declarator.function()?.clone();
        let path = declarator.name.as_ref()?;
        if specifiers.storage.virtual_ {
            // MSL 1.5.4: not supported; calling it by static binding would call the wrong function.
            self.error(specifiers.span, "virtual functions are not supported in Metal");
        }
        let attributes: Vec<Attribute> =
            specifiers.attributes.iter().chain(&declarator.attributes).cloned().collect();
        let stage = specifiers.stage.or_else(|| {
            attributes.iter().find_map(|attribute| {
                Some(match self.context.names.text(attribute.name.name) {
                    "kernel" => Stage::Kernel,
                    "vertex" => Stage::Vertex,
                    "fragment" => Stage::Fragment,
                    "visible" | "stitchable" => Stage::Visible,
                    "intersection" => Stage::Intersection,
                    "mesh" => Stage::Mesh,
                    "object" => Stage::Object,
                    _ => return None,
                })
            })
        });
        let names = attributes.iter().map(|one| (self.text(one.name.name), one.name.span));
        let later = names.filter(|(name, _)| matches!(&**name, "visible" | "stitchable"));
        for (name, span) in later.collect::<Vec<_>>() {
            self.refuse_newer(&name, span);
        }
        self.check_host_name(&attributes, stage);
        // Errors in a graphics stage's signature are deferred with those of its body.
        let graphics = !matches!(stage, None | Some(Stage::Kernel | Stage::Visible));
        let outer_diagnostics = graphics.then(|| std::mem::take(&mut self.context.diagnostics));
        let mut scope = self.scope;
        if path.parts.len() > 1 {
            let owner_scope = self.owner_scope(path);
            match owner_scope {
                Some(found) => scope = found,
                None => {
                    let text = self.path_text(path);
                    self.error(path.span, format!("'{text}' names no declared member"));
                    return None;
                }
            }
        }
        let class = match self.scopes[scope.0 as usize].kind {
            ScopeKind::Class(class) => Some(class),
            _ => None,
        };
        // The definition of a member template has its own names for the parameters.
        let body_scope = match path.parts.len() > 1 && self.templates.depth > 0 {
            true => self.with_names_of_here(scope),
            false => scope,
        };
        let mut there = self.in_scope(body_scope);
        let label = path.last().name.clone();
        let constructor = matches!((&label, &specifiers.base), (Label::Name(_), BaseType::Absent));
        let base = match &label {
            Label::Conversion(target) => there.type_name(target),
            _ => there.result_specifiers(specifiers),
        };
        let mut result = match specifiers.base {
            _ if constructor || matches!(label, Label::Destructor(_)) => {
                Some(Qual::plain(Types::VOID))
            }
            _ if signature.trailing.is_some() => None,
            BaseType::Auto | BaseType::Decltype(None) => None,
            _ => {
                let parts = declarator.parts[..declarator.parts.len() - 1].to_vec();
                let inner = Declarator { parts, span: declarator.span, ..Declarator::default() };
                Some(there.declared_type(base, &inner))
            }
        };
        if signature.trailing.is_some() {
            // It may name the parameters ([basic.scope.proto]).
            let around = there.scope;
            there.scope = there.new_scope(ScopeKind::Block, around);
        }
        let mut parameters = Vec::new();
        let mut packs = Vec::new();
        for parameter in &signature.parameters {
            let name = parameter.declarator.name.as_ref().and_then(Path::plain);
            let span = parameter.declarator.span;
            let one = |qual| Parameter { name, qual, span, default: parameter.default.clone() };
            let Some(mentioned) = &parameter.expands else {
                let qual = there.parameter_type(parameter);
                if qual.ty == Types::VOID {
                    there.error(span, "argument may not have 'void' type");
                }
                if signature.trailing.is_some() {
                    let variable = there.parameter_of_signature(qual, span);
                    name.into_iter().for_each(|name| there.bind_variable(name, variable));
                }
                parameters.push(one(qual));
                continue;
            };
            let count = there.expansion_length(mentioned, span).unwrap_or(0);
            let first = parameters.len() as u32;
            packs.extend(name.map(|name| ParameterPack { name, first, count: count as u32 }));
            // Neighbours with the same elements have the same type.
            let mut last = None;
            for at in 0..count {
                let elements = there.pack_elements(mentioned, at);
                let qual = match last {
                    Some((known, qual)) if known == elements => qual,
                    _ => {
                        there.with_elements(elements.clone(), |this| this.parameter_type(parameter))
                    }
                };
                parameters.push(Parameter { name: None, ..one(qual) });
                last = Some((elements, qual));
            }
            if let (Some(name), true) = (name, signature.trailing.is_some()) {
                let elements = &parameters[first as usize..];
                let variables: Vec<_> = elements
                    .iter()
                    .map(|one| there.parameter_of_signature(one.qual, span))
                    .collect();
                let pack = variables.first().map_or(Entity::Locals(VariableId(0), 0), |&first| {
                    Entity::Locals(first, variables.len() as u32)
                });
                let here = there.scope;
                there.bind(here, name, pack);
            }
        }
        if let Some(trailing) = &signature.trailing {
            result = Some(there.type_name(trailing));
        }
        drop(there);
        let display = match &label {
            Label::Name(name) => self.text(*name),
            _ => self.path_text(path),
        };
        let prefix = self.scopes[scope.0 as usize].prefix.clone();
        let statik = specifiers.storage.statik || of_static;
        let has_this = class.is_some() && !statik && !specifiers.storage.friend;
        let this = has_this.then_some((signature.constant, signature.space));
        let name = self.label_name(&label);
        let written = definition.clone();
        let func = Func {
            name: format!("{prefix}{display}"),
            parameters,
            packs,
            result,
            scope: body_scope,
            class: class.filter(|_| !specifiers.storage.friend),
            this,
            constructor,
            explicit: specifiers.storage.explicit,
            stage,
            signature,
            attributes,
            deleted: definition.as_ref().is_some_and(|d| matches!(d.body, Body::Delete)),
            definition: definition.filter(|d| matches!(d.body, Body::Block(_) | Body::Default)),
            span: declarator.span,
            specialised: self.templates.specialising,
            // Members of a class template's instance too.
            template: self.templates.depth > 0,
            made_from: None,
            origin: self.origin,
        };
        if let Some(outer) = outer_diagnostics {
            self.context.diagnostics = outer;
        }
        // A friend belongs to the enclosing namespace ([class.friend]).
        let own = self.scopes[scope.0 as usize].names.get(&name).into_iter().flatten();
        let of_template = own.into_iter().any(|entity| matches!(entity, Entity::Template(_)));
        let outside = path.parts.len() > 1;
        let bind_scope = match specifiers.storage.friend {
            // An instance of a template of friends is found by its template.
            true if self.scopes[scope.0 as usize].parameters => scope,
            true => self.namespace_around(scope).unwrap_or(scope),
            // An instance of a member template is not an overload of it.
            false if outside && of_template => body_scope,
            false => scope,
        };
        let outside = outside && !of_template;
        let id = self.add_function(func, bind_scope, name, outside);
        match &label {
            Label::Destructor(_) => self.note_destructor(id, written.as_deref()),
            Label::Operator(Punct::Assign) => self.note_copy(id),
            _ if constructor => self.note_copy(id),
            _ => {}
        }
        // An instance of a template, which is declared in a scope of its own, is found by its template.
        if let Some(class) = class
            && self.classes[class.0 as usize].scope == bind_scope
        {
            let row = &mut self.classes[class.0 as usize];
            let list = match &label {
                Label::Name(_) if constructor => Some(&mut row.constructors),
                Label::Conversion(_) => Some(&mut row.conversions),
                _ => None,
            };
            if let Some(list) = list.filter(|list| !list.contains(&Entity::Function(id))) {
                list.push(Entity::Function(id));
            }
        }
        Some(id)
    }

    /// A parameter during the check of the signature: it has a type but no object.
    fn parameter_of_signature(&mut self, qual: Qual, span: Span) -> VariableId {
        let owner = Owner::Signature;
        self.add_variable(Variable { owner, local: LocalIndex(0), qual, value: None, span })
    }

    /// A scope inside another one, with the names of the current scope.
    fn with_names_of_here(&mut self, around: super::ScopeId) -> super::ScopeId {
        let names = self.scopes[self.scope.0 as usize].names.clone();
        let inner = self.new_scope(ScopeKind::Block, around);
        self.scopes[inner.0 as usize].names = names;
        inner
    }

    /// The name under which overloads of a label are found.
    pub(super) fn label_name(&mut self, label: &Label) -> Name {
        match label {
            Label::Name(name) => *name,
            Label::Operator(punct) => {
                let text = match punct {
                    Punct::LParen => "operator()".into(),
                    Punct::LBracket => "operator[]".into(),
                    other => format!("operator{}", other.text()),
                };
                self.context.names.intern(&text)
            }
            Label::Conversion(_) => self.context.names.intern("operator type"),
            Label::Destructor(_) | Label::Decltype(_) => self.context.names.intern("~"),
        }
    }

    /// Adds a function, or completes an earlier declaration with the same parameters.
    pub(super) fn add_function(
        &mut self,
        func: Func,
        scope: super::ScopeId,
        name: Name,
        outside: bool,
    ) -> FuncId {
        let key = (scope, name, parameter_types(&func));
        let conversion = name == self.context.names.intern("operator type");
        for id in self.signatures.get(&key).cloned().unwrap_or_default() {
            let known = &self.functions[id.0 as usize];
            // Outside its class a static member function is defined without `static`.
            let same = (known.this == func.this || outside && known.this.is_none())
                && known.signature.reference == func.signature.reference
                && known.constructor == func.constructor
                && (!conversion || known.result == func.result);
            if !same {
                continue;
            }
            let known = &mut self.functions[id.0 as usize];
            // A specialisation replaces the template's own member, also if that is defined later.
            if known.specialised && !func.specialised {
                return id;
            }
            let replaces = func.specialised && !known.specialised;
            known.specialised = func.specialised;
            if known.definition.is_some() && func.definition.is_some() && !replaces {
                let text = func.name.clone();
                self.error(func.span, format!("redefinition of '{text}'"));
                return id;
            }
            // Attributes may be on any of the declarations.
            for attribute in func.attributes {
                if known.attributes.iter().all(|one| one.name.name != attribute.name.name) {
                    known.attributes.push(attribute);
                }
            }
            if func.definition.is_some() {
                known.definition = func.definition;
                known.signature = func.signature;
                known.packs = func.packs;
                known.scope = func.scope;
                known.span = func.span;
                known.stage = func.stage.or(known.stage);
                for (old, new) in known.parameters.iter_mut().zip(func.parameters) {
                    old.name = new.name;
                    old.span = new.span;
                    old.default = old.default.take().or(new.default);
                }
            }
            return id;
        }
        if outside && func.class.is_some() {
            let text = self.text(name);
            let message = format!(
                "out-of-line definition of '{text}' does not match any declaration in its class"
            );
            self.error(func.span, message);
        }
        let id = FuncId(self.functions.len() as u32);
        self.functions.push(func);
        self.bind(scope, name, Entity::Function(id));
        id
    }
}

/// The types of a function's parameters, to find its earlier declarations.
pub(super) fn parameter_types(func: &Func) -> Box<[TyId]> {
    func.parameters.iter().map(|parameter| parameter.qual.ty).collect()
}
