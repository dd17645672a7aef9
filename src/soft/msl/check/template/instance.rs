//! Instances: a template's syntax, declared in a scope that binds its parameters, once for each list
//! of arguments (C++14 temp.inst, temp.class.spec.match).

use super::super::{Checker, Entity, FuncId, ScopeId};
use super::argument::Argument;
use super::deduce::{Deduction, Ignored};
use super::{Key, Made, Origin, Resource, TemplateId, is_static, pattern_of};
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::hir::GlobalIndex;
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{self, NameArgument, Qual, TyId};
use std::sync::Arc;

impl Checker {
    pub(super) fn function_instance(
        &mut self,
        id: TemplateId,
        bindings: &[Option<Argument>],
        span: Span,
    ) -> Result<FuncId, Ignored> {
        let syntax = self.syntax_of(id);
        let (scope, all) = self.bound_scope(id, &syntax, bindings)?;
        match self.instantiate(id, all, &syntax, scope, span) {
            Some(Made::Function(func)) => Ok(func),
            _ => Err(Ignored::Substitution),
        }
    }

    /// Makes an instance, once. Its errors are reported again at each use.
    pub(super) fn instantiate(
        &mut self,
        id: TemplateId,
        all: Vec<Argument>,
        syntax: &Arc<ast::Template>,
        scope: ScopeId,
        span: Span,
    ) -> Option<Made> {
        let key = (id, all);
        if let Some(made) = self.templates.made.get(&key) {
            let made = made.clone();
            return match made {
                Ok(made) => Some(made),
                Err(diagnostics) => {
                    self.context.diagnostics.append(diagnostics);
                    None
                }
            };
        }
        if self.is_too_deep() {
            let message = format!(
                "recursive template instantiation exceeded its maximum depth of {}: end the \
                 recursion earlier, or use a fold expression",
                self.templates.depth
            );
            self.error(syntax.span, message);
            return None;
        }
        if !self.charge(Resource::Instances, 1, syntax.span) {
            return None;
        }
        self.templates.depth += 1;
        let specialising = std::mem::take(&mut self.templates.specialising);
        let prototype = self.templates.all[id.0 as usize].prototype.as_deref();
        let of_static = is_static(syntax) || prototype.is_some_and(is_static);
        let (syntax, scope) = self.specialised_syntax(id, &key.1, syntax, scope);
        let origin = Origin { key: key.clone(), member: None, span, from: self.origin };
        let origin = self.templates.remember(origin);
        let (made, diagnostics) = self.silently(|this| {
            let mut there = this.outside_of_body(scope);
            there.origin = Some(origin);
            there.templates.of_static = of_static;
            there.declare_instance(&syntax, &key)
        });
        self.templates.depth -= 1;
        self.templates.specialising = specialising;
        let made = made.filter(|_| !diagnostics.has_errors());
        let kept = match made {
            Some(made) => Ok(made),
            None => Err(diagnostics.clone()),
        };
        self.templates.made.insert(key, kept);
        self.context.diagnostics.append(diagnostics);
        made
    }

    /// The specialisation that the arguments pick, in a scope that binds its own parameters: the
    /// full one, or the most specialised of those that match (temp.class.spec.match).
    pub(super) fn specialised_syntax(
        &mut self,
        id: TemplateId,
        all: &[Argument],
        syntax: &Arc<ast::Template>,
        scope: ScopeId,
    ) -> (Arc<ast::Template>, ScopeId) {
        let declared = &self.templates.all[id.0 as usize];
        if let Some((full, parent)) = declared.full.get(all).cloned() {
            let own = self.bound_scope_in(parent, &full, &[]);
            return (full, own.map_or(scope, |(own, _)| own));
        }
        let list = declared.specialisations.clone();
        // The best so far, with its own scope and the scope that binds its parameters.
        let mut best: Option<((Arc<ast::Template>, ScopeId), ScopeId)> = None;
        for (special, parent) in list {
            let Some(pattern) = pattern_of(&special) else { continue };
            let met = self.match_specialisation(id, (&special, parent), &pattern, all, syntax);
            let Some(scope) = met else { continue };
            let better = match &best {
                Some((known, _)) => {
                    let (known, from) = known.clone();
                    self.more_special_pattern((&special, parent), (&known, from))
                }
                None => true,
            };
            if better {
                best = Some(((special, parent), scope));
            }
        }
        best.map_or((syntax.clone(), scope), |((special, _), own)| (special, own))
    }

    /// A scope that binds a specialisation's parameters, or a member's, so that its pattern equals the arguments.
    pub(super) fn match_specialisation(
        &mut self,
        id: TemplateId,
        (special, parent): (&ast::Template, ScopeId),
        pattern: &[TemplateArgument],
        all: &[Argument],
        syntax: &ast::Template,
    ) -> Option<ScopeId> {
        let (found, diagnostics) = self.silently(|this| {
            let mut deduction = Deduction::new(special);
            let found = this.flatten(all);
            let met =
                this.outside(parent, |this| this.deduce_arguments(&mut deduction, pattern, &found));
            if !met {
                return None;
            }
            let (scope, _) = this.bound_scope_in(parent, special, &deduction.bindings).ok()?;
            // Parts that are not deduced must be equal too, or at least valid.
            let spelled = this.outside(scope, |this| this.explicit_arguments(pattern))?;
            let bindings = this.bind_explicit(syntax, &spelled)?.bindings;
            let (_, same) = this.bound_scope(id, syntax, &bindings).ok()?;
            (same == all).then_some(scope)
        });
        found.filter(|_| !diagnostics.has_errors())
    }

    fn declare_instance(&mut self, syntax: &Arc<ast::Template>, key: &Key) -> Option<Made> {
        match &syntax.declaration {
            Decl::Function(function) => {
                let id = self.function_declaration(
                    &function.specifiers,
                    &function.declarator,
                    Some(function.clone()),
                )?;
                self.made_from(id, key);
                self.unbind(&function.declarator);
                Some(Made::Function(id))
            }
            Decl::Alias { target, .. } => Some(Made::Type(self.type_name(target))),
            Decl::Simple(simple) => match (&simple.specifiers.base, simple.declarators.first()) {
                (BaseType::Class(class), None) => {
                    let name = self.templates.all[key.0.0 as usize].name;
                    let qual = self.class_named(class, Some(name), Some(key));
                    self.define_members(key, syntax);
                    Some(Made::Type(qual))
                }
                (_, Some(first)) if first.declarator.function().is_some() => {
                    let id =
                        self.function_declaration(&simple.specifiers, &first.declarator, None)?;
                    self.made_from(id, key);
                    self.unbind(&first.declarator);
                    Some(Made::Function(id))
                }
                (_, Some(_)) => {
                    let base = self.specifiers(&simple.specifiers);
                    let before = self.globals.len();
                    self.global(simple, (base, None), 0);
                    // The initialiser may have declared other variables before this one.
                    let count = self.globals.len();
                    (count > before).then(|| Made::Variable(GlobalIndex(count as u32 - 1)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn made_from(&mut self, id: FuncId, key: &Key) {
        let prototype = self.templates.all[key.0.0 as usize].prototype.clone();
        let func = &mut self.functions[id.0 as usize];
        func.template = true;
        func.made_from = Some(key.0);
        if let Some(signature) = prototype.as_deref().and_then(super::deduce::signature_of) {
            for (own, declared) in func.parameters.iter_mut().zip(&signature.parameters) {
                own.default = own.default.take().or(declared.default.clone());
            }
        }
    }

    /// Inside its own body a template's name is the template, not this instance.
    fn unbind(&mut self, declarator: &Declarator) {
        let Some(path) = &declarator.name else { return };
        let name = self.label_name(&path.last().name);
        self.scopes[self.scope.0 as usize].names.remove(&name);
    }

    pub(in super::super) fn remember_origin(&mut self, ty: TyId, key: &Key) {
        self.templates.origins.insert(ty, key.clone());
        // A class may name its own instance while it is being declared.
        self.templates.made.insert(key.clone(), Ok(Made::Type(Qual::plain(ty))));
    }

    // ---- by name -------------------------------------------------------------------------

    /// The class, alias or variable that a path with arguments names.
    fn named_instance(&mut self, path: &Path, id: TemplateId) -> Option<Made> {
        let list = path.last().arguments.clone().unwrap_or_else(|| Vec::new().into());
        let mut explicit = self.explicit_arguments(&list)?;
        let syntax = self.syntax_of(id);
        self.name_templates(&list, &mut explicit, &syntax);
        let Some(deduction) = self.bind_explicit(&syntax, &explicit) else {
            let text = self.path_text(path);
            self.error(
                path.span,
                format!("template arguments do not fit the parameters of '{text}'"),
            );
            return None;
        };
        match self.bound_scope(id, &syntax, &deduction.bindings) {
            Ok((scope, all)) => self.instantiate(id, all, &syntax, scope, path.span),
            Err(reason) => {
                let text = self.path_text(path);
                let message = match reason {
                    Ignored::Undeduced(_) => format!("too few template arguments for '{text}'"),
                    _ => format!("template arguments do not fit the parameters of '{text}'"),
                };
                self.error(path.span, message);
                None
            }
        }
    }

    /// The name of a class as an argument for a template template parameter: inside of an instance it names the template
    /// (temp.local/1).
    fn name_templates(
        &mut self,
        list: &[TemplateArgument],
        explicit: &mut [Argument],
        syntax: &ast::Template,
    ) {
        for ((spelled, argument), parameter) in list.iter().zip(explicit).zip(&syntax.parameters) {
            if let TemplateParameter::Template { .. } = parameter
                && let Argument::Type(qual) = *argument
                && let TemplateArgument::Type(name) = spelled
                && let Some(&(id, _)) = self.templates.origins.get(&qual.ty)
                && name.specifiers.plain_name() == Some(self.templates.all[id.0 as usize].name)
            {
                *argument = Argument::Template(id);
            }
        }
    }

    pub(in super::super) fn type_instance(&mut self, path: &Path, id: TemplateId) -> Option<Qual> {
        match self.named_instance(path, id)? {
            Made::Type(qual) => Some(qual),
            _ => None,
        }
    }

    pub(in super::super) fn variable_instance(
        &mut self,
        path: &Path,
        id: TemplateId,
    ) -> Option<GlobalIndex> {
        let is_variable = match &self.syntax_of(id).declaration {
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

    /// The instance of a class template of the library with one type.
    pub(in super::super) fn library_instance(
        &mut self,
        name: &str,
        of: TyId,
        span: Span,
    ) -> Option<TyId> {
        let name = self.context.names.intern(name);
        let id = self.library_entities(name).into_iter().find_map(|one| self.template_of(one))?;
        let syntax = self.syntax_of(id);
        let bindings = [Some(Argument::Type(Qual::plain(of)))];
        let (scope, all) = self.bound_scope(id, &syntax, &bindings).ok()?;
        match self.instantiate(id, all, &syntax, scope, span)? {
            Made::Type(qual) => Some(qual.ty),
            _ => None,
        }
    }

    /// The type of the elements of an `initializer_list`.
    pub(in super::super) fn element_of_list(&self, ty: TyId) -> Option<TyId> {
        let (id, arguments) = self.templates.origins.get(&ty)?;
        let template = &self.templates.all[id.0 as usize];
        let of_library = !self.library.is_of_program(self.template_span(*id));
        match arguments[..] {
            [Argument::Type(element)]
                if of_library
                    && self.context.names.text(template.name)
                        == super::super::initializer_list::NAME =>
            {
                Some(element.ty)
            }
            _ => None,
        }
    }

    /// The types among the template arguments of a class.
    pub(in super::super) fn template_types_of(&self, ty: TyId) -> Vec<TyId> {
        let Some(key) = self.templates.origins.get(&ty) else { return Vec::new() };
        let types = self.flatten(&key.1).into_iter();
        types
            .filter_map(|argument| match argument {
                Argument::Type(qual) => Some(qual.ty),
                _ => None,
            })
            .collect()
    }

    /// The template that a name with arguments denotes: in a class, its own name is also that of the
    /// instance (temp.local/1).
    pub(in super::super) fn template_of(&self, entity: Entity) -> Option<TemplateId> {
        match entity {
            Entity::Template(id) => Some(id),
            Entity::Type(qual) => self.templates.origins.get(&qual.ty).map(|origin| origin.0),
            _ => None,
        }
    }

    /// The entity of a path's part, its arguments applied if it is a template of types.
    pub(in super::super) fn applied(&mut self, entity: Entity, part: &PathPart) -> Entity {
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

    // ---- how diagnostics show them -------------------------------------------------------

    pub(super) fn instance_text(&self, name: Name, all: &[Argument]) -> String {
        self.types.instance_name(self.context.names.text(name), &self.name_arguments(all))
    }

    /// The arguments of an instance as shown in names: packs are replaced by their elements. No name shows more.
    pub(in super::super) fn name_arguments(&self, all: &[Argument]) -> Arc<[NameArgument]> {
        let shown = self.flatten(all).into_iter().take(types::MAX_NAME);
        shown.map(|argument| self.name_argument(argument)).collect()
    }

    fn name_argument(&self, argument: Argument) -> NameArgument {
        NameArgument::Text(match argument {
            Argument::Type(qual) => return NameArgument::Type(qual),
            Argument::Value(ty, _, bits) if ty == super::bool_type() => match bits {
                0 => "false".into(),
                _ => "true".into(),
            },
            Argument::Value(_, true, bits) => f64::from_bits(bits).to_string().into(),
            Argument::Value(_, false, bits) => (bits as i64).to_string().into(),
            Argument::Object(global) => {
                let name = self.types.name(self.globals[global.0 as usize].qual.ty);
                format!("{name}{{…}}").into()
            }
            Argument::Function(id) => format!("&{}", self.func(id).name).into(),
            Argument::Template(id) => {
                self.context.names.text(self.templates.all[id.0 as usize].name).into()
            }
            Argument::Overloads(_) => "<overloaded function>".into(),
            Argument::Pack(_) => self.argument_text(argument).into(),
        })
    }

    pub(super) fn argument_text(&self, argument: Argument) -> String {
        match argument {
            Argument::Pack(_) => {
                format!("<{}>", self.types.arguments_name(&self.name_arguments(&[argument])))
            }
            one => self.types.arguments_name(&[self.name_argument(one)]),
        }
    }
}
