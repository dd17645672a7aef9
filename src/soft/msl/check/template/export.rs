//! Explicit instantiation: `template [[host_name("a")]] [[kernel]] void f<float>(…);` and its other
//! spellings (MSL 5.1.10). The host finds the instance by this name.

use super::super::lookup::Found;
use super::super::{Checker, Entity, FuncId};
use crate::soft::msl::ast::*;
use crate::soft::msl::lex;
use crate::soft::msl::names::Name;
use crate::soft::msl::types::{Qual, Ty};

impl Checker {
    pub(in super::super) fn explicit_instantiation(&mut self, simple: &Simple) {
        let Some(first) = simple.declarators.first() else {
            // `template struct S<float>;`
            self.specifiers(&simple.specifiers);
            return;
        };
        let Some(path) = first.declarator.name.clone() else { return };
        let base = self.specifiers(&simple.specifiers);
        let types = self.instantiated_types(base, &first.declarator);
        let list = match self.lookup_path(&general(&path)) {
            Found::Entities(list) => list,
            _ => Vec::new(),
        };
        let explicit = path.last().arguments.clone();
        let mut reasons = Vec::new();
        let mut chosen: Option<FuncId> = None;
        for entity in &list {
            let Entity::Template(id) = *entity else { continue };
            if !self.is_function_template(id) {
                continue;
            }
            let (made, diagnostics) = self.silently(|this| {
                this.deduced_candidate(id, explicit.as_deref(), &types, path.span)
            });
            match made {
                Ok(func) => {
                    self.context.diagnostics.append(diagnostics);
                    chosen = Some(func);
                    break;
                }
                Err(reason) => {
                    let first = diagnostics.iter().next().map(|first| first.message.clone());
                    let span = self.template_span(id);
                    reasons.push((
                        span,
                        self.ignored_text(id, &reason, first.as_deref(), types.len()),
                    ));
                }
            }
        }
        let Some(func) = chosen else {
            if self.is_type_or_variable_instance(&list) {
                return;
            }
            let text = self.path_text(&path);
            self.error(
                path.span,
                format!("explicit instantiation of '{text}' does not refer to a function template"),
            );
            for (span, reason) in reasons {
                self.context.diagnostics.note(span, reason);
            }
            return;
        };
        let attributes = simple.specifiers.attributes.iter().chain(&first.declarator.attributes);
        let attributes: Vec<Attribute> = attributes.cloned().collect();
        let name = self.host_name(attributes.iter());
        // An instance has the attributes of its template.
        let name = name.unwrap_or_else(|| self.entry_name(func));
        if self.func(func).stage.is_none() {
            let stage = simple.specifiers.stage.or_else(|| self.stage_attribute(simple));
            self.functions[func.0 as usize].stage = stage;
        }
        self.check_host_name(&attributes, self.func(func).stage);
        self.exports.push((name, func));
    }

    /// The types of the parameters as the instantiation spells them: in a list of its own, or as a
    /// function's type. `decltype` of the template itself adds nothing to its arguments.
    fn instantiated_types(&mut self, base: Qual, declarator: &Declarator) -> Vec<(Qual, bool)> {
        let spelled: Vec<Qual> = match declarator.function().cloned() {
            Some(signature) => signature
                .parameters
                .iter()
                .map(|parameter| self.parameter_type(parameter))
                .collect(),
            None => match self.types.get(base.ty) {
                Ty::Function(_, parameters) => parameters.clone(),
                _ => Vec::new(),
            },
        };
        let source = |this: &Self, qual: Qual| match *this.types.get(qual.ty) {
            Ty::Reference(to, _) => (to, true),
            _ => (qual, true),
        };
        spelled.into_iter().map(|qual| source(self, qual)).collect()
    }

    fn is_type_or_variable_instance(&self, list: &[Entity]) -> bool {
        list.iter().any(|entity| match entity {
            Entity::Template(id) => !self.is_function_template(*id),
            _ => false,
        })
    }

    fn stage_attribute(&self, simple: &Simple) -> Option<Stage> {
        let kernel = simple
            .specifiers
            .attributes
            .iter()
            .any(|attribute| self.context.names.text(attribute.name.name) == "kernel");
        kernel.then_some(Stage::Kernel)
    }

    /// The name under which the host finds an entry point: that of its attribute, or its own.
    pub(crate) fn entry_name(&self, id: FuncId) -> String {
        let func = self.func(id);
        self.host_name(func.attributes.iter()).unwrap_or_else(|| func.name.clone())
    }

    /// The host looks for functions of a stage by a string.
    pub(in super::super) fn check_host_name(&mut self, list: &[Attribute], stage: Option<Stage>) {
        for attribute in list {
            if self.context.names.text(attribute.name.name) != "host_name" {
                continue;
            }
            if self.host_name(std::iter::once(attribute)).is_none() || attribute.arguments.len() > 1
            {
                self.error(attribute.name.span, "'host_name' attribute requires a string");
            } else if stage.is_none() {
                let message = "'host_name' attribute only applies to entry points";
                self.error(attribute.name.span, message);
            }
        }
    }

    fn host_name<'a>(&self, attributes: impl Iterator<Item = &'a Attribute>) -> Option<String> {
        let mut attributes = attributes;
        let attribute = attributes.find(|a| self.context.names.text(a.name.name) == "host_name")?;
        match &attribute.arguments.first()?.kind {
            ExprKind::Str(pieces) => {
                let piece = |name: &Name| lex::string(self.context.names.text(*name));
                pieces.iter().map(piece).collect()
            }
            _ => None,
        }
    }
}

/// A path without the arguments of its last part.
pub(super) fn general(path: &Path) -> Path {
    let mut general = path.clone();
    if let Some(last) = general.parts.last_mut() {
        last.arguments = None;
    }
    general
}
