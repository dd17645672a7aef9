//! Template argument deduction (C++14 temp.deduct).

use super::super::initializer_list::NAME;
use super::super::lookup::Found;
use super::super::overload::ordinal;
use super::super::{Checker, FuncId};
use super::argument::Argument;
use super::{TemplateId, parameter_name};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::hir::{self, Expr};
use crate::soft::msl::names::Name;
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, TyId, Types, WIDE_VECTOR};
use std::sync::Arc;

/// Why a template is not a candidate of a call.
#[derive(Clone, PartialEq, Debug)]
pub(in super::super) enum Ignored {
    /// This parameter cannot be deduced.
    Undeduced(Option<Name>),
    /// The argument at this index does not match its parameter.
    Mismatch(usize),
    /// Two arguments deduce different values for a parameter.
    Conflict(Name, Argument, Argument),
    /// The explicit arguments do not fit the parameters.
    Explicit,
    /// More arguments than parameters.
    TooMany(usize),
    /// An error in the signature, which is not an error of the program (temp.deduct/8).
    Substitution,
    /// Not a function template.
    NoFunction,
}

/// The arguments deduced so far.
#[derive(Clone, Debug)]
pub(super) struct Deduction<'a> {
    pub(super) syntax: &'a ast::Template,
    pub(super) bindings: Vec<Option<Argument>>,
    conflict: Option<Ignored>,
    /// For comparing templates: no qualifier may be added to the pointed-to type.
    pub(super) comparing: bool,
}

impl<'a> Deduction<'a> {
    pub(super) fn new(syntax: &'a ast::Template) -> Deduction<'a> {
        let bindings = vec![None; syntax.parameters.len()];
        Deduction { syntax, bindings, conflict: None, comparing: false }
    }

    pub(super) fn comparing(syntax: &'a ast::Template) -> Deduction<'a> {
        Deduction { comparing: true, ..Deduction::new(syntax) }
    }

    /// Whether the pointed-to type has at least the qualifiers that are spelled.
    fn is_qualified(&self, specifiers: &Specifiers, rest: &[DeclaratorPart], to: Qual) -> bool {
        !self.comparing
            || !rest.is_empty()
            || (to.constant || !specifiers.constant)
                && (specifiers.space.is_none() || to.space == specifiers.space)
    }

    fn parameter(&self, name: Name) -> Option<usize> {
        self.syntax.parameters.iter().position(|p| parameter_name(p) == Some(name))
    }

    /// The template parameter of a forwarding reference: `T&&` without qualifiers ([temp.deduct.call]/3).
    fn forwarded(&self, parameter: &ast::Parameter) -> Option<usize> {
        let specifiers = &parameter.specifiers;
        let plain = !specifiers.constant && !specifiers.volatile && specifiers.space.is_none();
        match (&parameter.declarator.parts[..], &specifiers.base) {
            ([DeclaratorPart::Reference { rvalue: true }], BaseType::Named(path)) if plain => {
                path.plain().and_then(|name| self.parameter(name))
            }
            _ => None,
        }
    }

    /// Whether a type's spelling contains a parameter that is not deduced yet.
    fn is_open(&self, specifiers: &Specifiers) -> bool {
        let BaseType::Named(path) = &specifiers.base else { return false };
        self.is_open_path(path)
    }

    fn is_open_path(&self, path: &Path) -> bool {
        path.parts.iter().any(|part| self.is_open_part(part, false))
    }

    /// Whether a part of a path contains a parameter: one that is not deduced yet, or any.
    fn is_open_part(&self, part: &PathPart, any: bool) -> bool {
        let open = |at: usize| any || self.bindings[at].is_none();
        let is_open_path = |path: &Path| path.parts.iter().any(|p| self.is_open_part(p, any));
        let named = match part.name {
            Label::Name(name) => self.parameter(name).is_some_and(open),
            Label::Decltype(_) => any,
            _ => false,
        };
        named
            || part.arguments.iter().flat_map(|list| list.iter()).any(|argument| match argument {
                TemplateArgument::Type(name) => match &name.specifiers.base {
                    BaseType::Named(path) => is_open_path(path),
                    _ => false,
                },
                TemplateArgument::Value(value) => match &value.kind {
                    ExprKind::Path(path) => is_open_path(path),
                    _ => any && !matches!(value.kind, ExprKind::Number(_) | ExprKind::Bool(_)),
                },
                TemplateArgument::Expansion(..) => true,
            })
    }

    fn bind(&mut self, at: usize, argument: Argument) -> bool {
        let known = self.bindings[at];
        let same = match (known, argument) {
            (None, _) => {
                self.bindings[at] = Some(argument);
                return true;
            }
            (Some(Argument::Type(known)), Argument::Type(found)) => known.ty == found.ty,
            (Some(Argument::Value(_, _, known)), Argument::Value(_, _, found)) => known == found,
            // An overload set is resolved once the parameter is known.
            (Some(Argument::Overloads(_)), Argument::Function(_)) => true,
            (Some(known), found) => known == found,
        };
        if let (false, Some(known), Some(name)) =
            (same, known, parameter_name(&self.syntax.parameters[at]))
        {
            self.conflict.get_or_insert(Ignored::Conflict(name, known, argument));
        }
        same
    }
}

impl Checker {
    /// Deduces from one pair of a parameter's spelled type and an argument's type
    /// (temp.deduct.type). False when they do not match; parts that name no parameter are not compared.
    pub(super) fn deduce(
        &mut self,
        deduction: &mut Deduction<'_>,
        specifiers: &Specifiers,
        parts: &[DeclaratorPart],
        found: Qual,
    ) -> bool {
        match parts.split_last() {
            Some((DeclaratorPart::Reference { rvalue }, rest)) => {
                let found = match *self.types.get(found.ty) {
                    Ty::Reference(_, other) if other != *rvalue => return false,
                    Ty::Reference(to, _) => to,
                    _ => found,
                };
                return deduction.is_qualified(specifiers, rest, found)
                    && self.deduce(deduction, specifiers, rest, found);
            }
            Some((DeclaratorPart::Pointer { .. }, rest)) => {
                let pointee = match *self.types.get(found.ty) {
                    Ty::Pointer(to) => to,
                    Ty::Array(element, _) => found.with(element),
                    _ => return false,
                };
                return deduction.is_qualified(specifiers, rest, pointee)
                    && self.deduce(deduction, specifiers, rest, pointee);
            }
            Some((DeclaratorPart::Array(size, _), rest)) => {
                // An array parameter is a pointer ([dcl.fct]/5), and its argument decayed to one.
                if let Ty::Pointer(to) = *self.types.get(found.ty) {
                    return self.deduce(deduction, specifiers, rest, to);
                }
                let Ty::Array(element, count) = *self.types.get(found.ty) else { return false };
                if let (Some(size), Some(count)) = (size, count) {
                    let count = u64::from(count);
                    self.deduce_value(deduction, size, count, Types::scalar(Scalar::I32));
                }
                return self.deduce(deduction, specifiers, rest, found.with(element));
            }
            Some((DeclaratorPart::Function(signature), rest)) => {
                let Ty::Function(result, parameters) = self.types.get(found.ty).clone() else {
                    return true;
                };
                // `R(A...)`: the result, then the parameters as a list of arguments.
                let pattern = |one: &ast::Parameter| {
                    let (specifiers, declarator) = (one.specifiers.clone(), one.declarator.clone());
                    let span = declarator.span;
                    let ty = TemplateArgument::Type(ast::TypeName { specifiers, declarator, span });
                    match &one.expands {
                        Some(mentioned) => {
                            TemplateArgument::Expansion(Box::new(ty), mentioned.clone())
                        }
                        None => ty,
                    }
                };
                let patterns: Vec<_> = signature.parameters.iter().map(pattern).collect();
                let found: Vec<_> = parameters.into_iter().map(Argument::Type).collect();
                return self.deduce(deduction, specifiers, rest, result)
                    && self.deduce_arguments(deduction, &patterns, &found);
            }
            None => {}
        }
        let BaseType::Named(path) = &specifiers.base else { return true };
        // The pattern's own qualifiers are not part of the deduced type.
        let qual = Qual {
            ty: found.ty,
            constant: found.constant
                && !specifiers.constant
                && specifiers.space != Some(AddressSpace::Constant),
            volatile: found.volatile && !specifiers.volatile,
            space: None,
        };
        if let Some(at) = path.plain().and_then(|name| deduction.parameter(name)) {
            return deduction.bind(at, Argument::Type(qual));
        }
        let Some(arguments) = path.last().arguments.clone() else { return true };
        // A member of a type that depends on a parameter is not deduced ([temp.deduct.type]/5).
        let before = &path.parts[..path.parts.len() - 1];
        if before.iter().any(|part| deduction.is_open_part(part, true)) {
            return true;
        }
        self.deduce_instance(deduction, path, &arguments, qual)
    }

    /// Deduces from `name<arguments>` and an instance of that template, or a class derived from one
    /// ([temp.deduct.call]/4).
    fn deduce_instance(
        &mut self,
        deduction: &mut Deduction<'_>,
        path: &Path,
        arguments: &[TemplateArgument],
        qual: Qual,
    ) -> bool {
        let found = qual.ty;
        let int = Types::scalar(Scalar::I32);
        let number = |n: u8| Argument::Value(int, false, u64::from(n));
        let scalar_type = |scalar| Argument::Type(Qual::plain(Types::scalar(scalar)));
        let parts = match *self.types.get(found) {
            Ty::Vector(scalar, width) | Ty::Packed(scalar, width) => {
                vec![scalar_type(scalar), number(width)]
            }
            Ty::Matrix(scalar, columns, rows) => {
                vec![scalar_type(scalar), number(columns), number(rows)]
            }
            Ty::SimdgroupMatrix(scalar) => vec![scalar_type(scalar), number(8), number(8)],
            Ty::Atomic(scalar) => vec![scalar_type(scalar)],
            Ty::Texture(texture) => {
                let access = self.library_type_named("access");
                let access = Argument::Value(access, false, texture.access as u64);
                vec![scalar_type(texture.scalar), access]
            }
            _ => Vec::new(),
        };
        let slot = path.plain_template().and_then(|name| deduction.parameter(name));
        let template = match slot {
            Some(_) => None,
            None => match self.lookup_path(path) {
                Found::Entities(list) => list.iter().find_map(|e| self.template_of(*e)),
                _ => None,
            },
        };
        let parts = match self.wide_vector(found) {
            Some(wide) if slot.is_none() && template.is_none() => wide,
            _ => parts,
        };
        if let Some(id) = template.filter(|&id| self.is_alias_template(id)) {
            return self.deduce_alias(deduction, id, arguments, qual);
        }
        if !parts.is_empty() {
            return template.is_none()
                && self.is_library_template(path, found)
                && self.deduce_arguments(deduction, arguments, &parts);
        }
        let mut queue = vec![found];
        let mut next = 0;
        while let Some(&ty) = queue.get(next) {
            next += 1;
            let origin = self.templates.origins.get(&ty).cloned();
            if let Some((id, list)) = origin
                && (slot.is_some() || template == Some(id))
            {
                if let Some(at) = slot
                    && !deduction.bind(at, Argument::Template(id))
                {
                    return false;
                }
                let list = self.flatten(&list);
                return self.deduce_arguments(deduction, arguments, &list);
            }
            queue.extend(self.bases_of(ty));
        }
        false
    }

    pub(super) fn deduce_arguments(
        &mut self,
        deduction: &mut Deduction<'_>,
        pattern: &[TemplateArgument],
        found: &[Argument],
    ) -> bool {
        let mut found = found;
        for one in pattern {
            if let TemplateArgument::Expansion(inner, mentioned) = one {
                let mut elements = Elements::new(deduction, mentioned);
                for &argument in found {
                    if !self.deduce_argument(elements.next(), inner, argument) {
                        return false;
                    }
                    elements.keep();
                }
                self.bind_packs(deduction, elements.lists);
                return true;
            }
            let Some((&argument, rest)) = found.split_first() else { return false };
            if !self.deduce_argument(deduction, one, argument) {
                return false;
            }
            found = rest;
        }
        true
    }

    /// The arguments of a vector that is a class of the library.
    fn wide_vector(&self, ty: TyId) -> Option<Vec<Argument>> {
        let (id, arguments) = self.templates.origins.get(&ty)?;
        let name = self.templates.all[id.0 as usize].name;
        (self.context.names.text(name) == WIDE_VECTOR).then(|| arguments.clone())
    }

    pub(in super::super) fn is_wide_vector(&self, ty: TyId) -> bool {
        self.wide_vector(ty).is_some()
    }

    /// Whether a type is an instance of the library's template with this name.
    fn is_library_template(&self, path: &Path, ty: TyId) -> bool {
        let Label::Name(name) = path.last().name else { return false };
        self.text(name)
            == match self.types.get(ty) {
                Ty::Vector(..) => "vec",
                Ty::Struct(_) if self.wide_vector(ty).is_some() => "vec",
                Ty::Packed(..) => "packed_vec",
                Ty::Matrix(..) => "matrix",
                Ty::SimdgroupMatrix(_) => "simdgroup_matrix",
                Ty::Atomic(_) => "atomic",
                Ty::Texture(texture) => texture.kind().name,
                _ => return false,
            }
    }

    pub(super) fn deduce_argument(
        &mut self,
        deduction: &mut Deduction<'_>,
        pattern: &TemplateArgument,
        argument: Argument,
    ) -> bool {
        match (pattern, argument) {
            // The argument for a parameter keeps its address space, which a function's argument has from its pointer.
            (TemplateArgument::Type(name), Argument::Type(qual))
                if name.declarator.parts.is_empty()
                    && qual.space.is_some()
                    && name.specifiers.plain_name().is_some() =>
            {
                match name.specifiers.plain().and_then(|name| deduction.parameter(name)) {
                    Some(at) => deduction.bind(at, argument),
                    None => true,
                }
            }
            (TemplateArgument::Type(name), Argument::Type(qual)) => {
                let parts = &name.declarator.parts;
                self.deduce(deduction, &name.specifiers, parts, qual)
            }
            (TemplateArgument::Type(name), Argument::Template(_)) => {
                match name.specifiers.plain().and_then(|name| deduction.parameter(name)) {
                    Some(at) => deduction.bind(at, argument),
                    None => true,
                }
            }
            (TemplateArgument::Value(value), Argument::Value(ty, _, bits)) => {
                self.deduce_value(deduction, value, bits, ty)
            }
            (TemplateArgument::Value(value), Argument::Function(_) | Argument::Object(_)) => {
                match value.plain().and_then(|name| deduction.parameter(name)) {
                    Some(at) => deduction.bind(at, argument),
                    None => true,
                }
            }
            _ => false,
        }
    }

    /// Deduces a value: only for an argument that is a parameter. Computed values are compared later.
    fn deduce_value(
        &mut self,
        deduction: &mut Deduction<'_>,
        pattern: &ast::Expr,
        bits: u64,
        ty: TyId,
    ) -> bool {
        match (pattern.plain().and_then(|name| deduction.parameter(name)), &pattern.kind) {
            (Some(at), _) => deduction.bind(at, Argument::Value(ty, false, bits)),
            (None, ExprKind::Number(_) | ExprKind::Bool(_)) => {
                self.constant_int(pattern) == Some(bits as i64)
            }
            _ => true,
        }
    }

    /// Binds packs to what the elements of an expansion deduced for them.
    fn bind_packs(&mut self, deduction: &mut Deduction<'_>, lists: Vec<(usize, Deduced)>) {
        for (at, list) in lists {
            let Some(list) = list else { continue };
            let given = match deduction.bindings[at] {
                Some(Argument::Pack(id)) => self.templates.packs[id.0 as usize].len(),
                _ => 0,
            };
            // Explicit elements are not changed.
            if list.len() >= given {
                let mut all = match deduction.bindings[at] {
                    Some(known) => self.flatten(&[known]),
                    None => Vec::new(),
                };
                all.extend_from_slice(&list[given..]);
                deduction.bindings[at] = Some(self.pack(&all));
            }
        }
    }

    // ---- calls ---------------------------------------------------------------------------

    /// The instance of a function template for a call. An error in the signature is
    /// not reported (temp.deduct/8): it is the reason that the template is not a candidate, with its message.
    pub(in super::super) fn template_candidate(
        &mut self,
        id: TemplateId,
        explicit: Option<&[TemplateArgument]>,
        arguments: &[Expr],
        span: Span,
    ) -> Result<FuncId, (Ignored, Option<String>)> {
        let types: Vec<(Qual, bool)> =
            arguments.iter().map(|argument| self.for_deduction(argument)).collect();
        let (found, diagnostics) =
            self.silently(|this| this.deduced_candidate(id, explicit, &types, span));
        match found {
            Ok(func) => {
                self.context.diagnostics.append(diagnostics);
                Ok(func)
            }
            Err(reason) => {
                Err((reason, diagnostics.iter().next().map(|first| first.message.clone())))
            }
        }
    }

    /// The same without a reason.
    pub(in super::super) fn quiet_candidate(
        &mut self,
        id: TemplateId,
        types: &[(Qual, bool)],
    ) -> Option<FuncId> {
        let (found, diagnostics) =
            self.silently(|this| this.deduced_candidate(id, None, types, Span::default()));
        found.ok().filter(|_| !diagnostics.has_errors())
    }

    /// The instance of a template of conversion functions that yields a type (temp.deduct.conv).
    pub(in super::super) fn conversion_candidate(
        &mut self,
        id: TemplateId,
        to: TyId,
    ) -> Option<FuncId> {
        let syntax = self.syntax_of(id);
        let path = super::declared_path(&syntax.declaration)?;
        let Label::Conversion(target) = &path.last().name else { return None };
        let mut deduction = Deduction::new(&syntax);
        let scope = self.templates.all[id.0 as usize].scope;
        let (found, diagnostics) = self.silently(|this| {
            let met = this.outside(scope, |this| {
                let parts = &target.declarator.parts;
                this.deduce(&mut deduction, &target.specifiers, parts, Qual::plain(to))
            });
            if !met {
                return None;
            }
            this.function_instance(id, &deduction.bindings, Span::default()).ok()
        });
        found.filter(|_| !diagnostics.has_errors())
    }

    /// The instance that a pointer with these parameters requires; others are not convertible to it.
    pub(in super::super) fn deduced_for_pointer(
        &mut self,
        id: TemplateId,
        explicit: Option<&[TemplateArgument]>,
        parameters: &[(Qual, bool)],
        span: Span,
    ) -> Option<FuncId> {
        let (found, diagnostics) =
            self.silently(|this| this.deduced_candidate(id, explicit, parameters, span));
        found.ok().filter(|_| !diagnostics.has_errors())
    }

    pub(super) fn deduced_candidate(
        &mut self,
        id: TemplateId,
        explicit: Option<&[TemplateArgument]>,
        types: &[(Qual, bool)],
        span: Span,
    ) -> Result<FuncId, Ignored> {
        self.deduced_with_result(id, explicit, types, None, span)
    }

    /// The same for a specialisation, whose result deduces what its parameters do not ([temp.deduct.decl]).
    pub(super) fn deduced_with_result(
        &mut self,
        id: TemplateId,
        explicit: Option<&[TemplateArgument]>,
        types: &[(Qual, bool)],
        result: Option<Qual>,
        span: Span,
    ) -> Result<FuncId, Ignored> {
        let syntax = self.templates.all[id.0 as usize].syntax.clone();
        let signature = signature_of(&syntax).ok_or(Ignored::NoFunction)?.clone();
        let explicit = match explicit {
            Some(list) => self.explicit_arguments(list).ok_or(Ignored::Explicit)?,
            None => Vec::new(),
        };
        let mut deduction = self.bind_explicit(&syntax, &explicit).ok_or(Ignored::Explicit)?;
        let rest = signature.parameters.last().is_some_and(|p| p.expands.is_some());
        if types.len() > signature.parameters.len() && !rest && !signature.variadic {
            return Err(Ignored::TooMany(signature.parameters.len()));
        }
        let scope = self.templates.all[id.0 as usize].scope;
        self.outside(scope, |this| this.deduce_call(&mut deduction, &signature, types))?;
        if let (Some(found), Some((specifiers, parts))) = (result, result_of(&syntax)) {
            self.outside(scope, |this| this.deduce(&mut deduction, specifiers, &parts, found));
        }
        let bindings = deduction.bindings;
        self.function_instance(id, &bindings, span)
    }

    /// Deduces from all arguments of a call, in the template's own scope.
    fn deduce_call(
        &mut self,
        deduction: &mut Deduction<'_>,
        signature: &Signature,
        types: &[(Qual, bool)],
    ) -> Result<(), Ignored> {
        let given = deduction.clone();
        let mut types = types.iter().enumerate();
        for parameter in &signature.parameters {
            let Some(mentioned) = &parameter.expands else {
                let Some((at, &source)) = types.next() else { break };
                // For a parameter without template parameters to deduce, arguments may be converted.
                if !given.is_open(&parameter.specifiers) && !has_open_array(&given, parameter) {
                    continue;
                }
                if !self.deduce_parameter(deduction, parameter, source) {
                    return Err(deduction.conflict.take().unwrap_or(Ignored::Mismatch(at)));
                }
                continue;
            };
            let mut elements = Elements::new(deduction, mentioned);
            let mut last = None;
            for (at, &source) in types.by_ref() {
                // An argument of the same type as the one before it deduces the same.
                if last.replace(source) != Some(source) {
                    let element = elements.next();
                    if !self.deduce_parameter(element, parameter, source) {
                        return Err(element.conflict.take().unwrap_or(Ignored::Mismatch(at)));
                    }
                }
                elements.keep();
            }
            self.bind_packs(deduction, elements.lists);
        }
        Ok(())
    }

    /// The type that is deduced from, for an argument, and whether this is an lvalue.
    fn for_deduction(&mut self, argument: &Expr) -> (Qual, bool) {
        if let hir::ExprKind::List(_, number) = argument.kind
            && let Some(element) = self.one_element_type(number)
        {
            return (Qual::plain(self.types.intern(Ty::Array(element, None))), false);
        }
        (argument.qual, argument.place)
    }

    /// One parameter of a call: by value, arrays decay, and the outermost qualifiers are dropped
    /// ([temp.deduct.call]/2).
    fn deduce_parameter(
        &mut self,
        deduction: &mut Deduction<'_>,
        parameter: &ast::Parameter,
        (qual, place): (Qual, bool),
    ) -> bool {
        let parts = &parameter.declarator.parts;
        let by_reference = matches!(parts.last(), Some(DeclaratorPart::Reference { .. }));
        if let (true, Some(at)) = (place, deduction.forwarded(parameter)) {
            let lvalue = Qual { space: Some(qual.space_or_thread()), ..qual };
            let reference = Qual::plain(self.types.intern(Ty::Reference(lvalue, false)));
            return deduction.bind(at, Argument::Type(reference));
        }
        let found = match *self.types.get(qual.ty) {
            // A braced list deduces nothing ([temp.deduct.call]/1).
            Ty::Void => return true,
            // But `initializer_list<P>` deduces from a list of one type, which is an array without a length here.
            Ty::Array(element, None) if !place => {
                let BaseType::Named(path) = &parameter.specifiers.base else { return true };
                let last = path.last();
                let is_list =
                    matches!(last.name, Label::Name(name) if self.context.names.text(name) == NAME);
                match last.arguments.is_some() && is_list {
                    true => match self.library_instance(NAME, element, path.span) {
                        Some(instance) => Qual::plain(instance),
                        None => return false,
                    },
                    false => return true,
                }
            }
            Ty::Array(element, _) if !by_reference && place => {
                let pointee = Qual { space: Some(qual.space_or_thread()), ..qual.with(element) };
                Qual::plain(self.types.pointer(pointee))
            }
            _ if by_reference => qual,
            _ => Qual::plain(qual.ty),
        };
        self.deduce(deduction, &parameter.specifiers, parts, found)
    }

    /// Why a template is not a candidate, with clang's messages.
    pub(in super::super) fn ignored_text(
        &self,
        id: TemplateId,
        reason: &Ignored,
        message: Option<&str>,
        arguments: usize,
    ) -> String {
        let why = match reason {
            Ignored::Undeduced(Some(name)) => {
                format!("couldn't infer template argument '{}'", self.text(*name))
            }
            Ignored::Undeduced(None) => "couldn't infer template argument".into(),
            Ignored::Mismatch(at) => {
                let nth = ordinal(at + 1);
                format!("the {nth} argument does not match the type of its parameter")
            }
            Ignored::Conflict(name, first, second) => format!(
                "deduced conflicting {} for parameter '{}' ('{}' vs. '{}')",
                if matches!(first, Argument::Type(_)) { "types" } else { "values" },
                self.text(*name),
                self.argument_text(*first),
                self.argument_text(*second)
            ),
            Ignored::Explicit => match message {
                Some(message) => format!("invalid explicitly-specified argument: {message}"),
                None => "explicitly-specified arguments do not fit its parameters".into(),
            },
            Ignored::Substitution => match message {
                Some(message) => format!("substitution failure: {message}"),
                None => "substitution failure".into(),
            },
            Ignored::TooMany(wanted) => {
                let s = if *wanted == 1 { "" } else { "s" };
                let verb = if arguments == 1 { "was" } else { "were" };
                return format!(
                    "candidate function template not viable: requires {wanted} argument{s}, but {arguments} {verb} provided"
                );
            }
            Ignored::NoFunction => {
                let name = self.text(self.templates.all[id.0 as usize].name);
                format!("'{name}' is not a template of functions")
            }
        };
        format!("candidate template ignored: {why}")
    }
}

/// The arguments that the elements of an expansion deduced for a pack, if each deduced one.
type Deduced = Option<Vec<Argument>>;

/// The deductions of an expansion, element by element.
struct Elements<'a> {
    /// The bindings before each element: those of the packs in the pattern are open.
    before: Vec<Option<Argument>>,
    element: Deduction<'a>,
    /// The packs, by their position among the parameters.
    lists: Vec<(usize, Deduced)>,
}

impl<'a> Elements<'a> {
    fn new(deduction: &Deduction<'a>, mentioned: &Mentioned) -> Elements<'a> {
        let packs = mentioned.iter().filter_map(|&name| deduction.parameter(name));
        let lists: Vec<_> = packs.map(|at| (at, Some(Vec::new()))).collect();
        let mut element = deduction.clone();
        lists.iter().for_each(|&(at, _)| element.bindings[at] = None);
        Elements { before: element.bindings.clone(), element, lists }
    }

    /// The deduction of the next element.
    fn next(&mut self) -> &mut Deduction<'a> {
        self.element.bindings.clone_from(&self.before);
        &mut self.element
    }

    /// Adds what the element deduced to the lists.
    fn keep(&mut self) {
        for (at, list) in &mut self.lists {
            match (self.element.bindings[*at], &mut *list) {
                (Some(argument), Some(known)) => known.push(argument),
                _ => *list = None,
            }
        }
    }
}

/// `thread T (&x)[N]` with `N` to be deduced.
fn has_open_array(deduction: &Deduction<'_>, parameter: &ast::Parameter) -> bool {
    parameter.declarator.parts.iter().any(|part| match part {
        DeclaratorPart::Array(Some(size), _) => size
            .plain()
            .and_then(|name| deduction.parameter(name))
            .is_some_and(|at| deduction.bindings[at].is_none()),
        _ => false,
    })
}

/// The parameters of a function template.
pub(super) fn signature_of(syntax: &ast::Template) -> Option<&Arc<Signature>> {
    match &syntax.declaration {
        Decl::Function(function) => function.declarator.function(),
        Decl::Simple(simple) => simple.declarators.first()?.declarator.function(),
        _ => None,
    }
}

impl Path {
    /// The name of a path that is one identifier, with or without template arguments.
    pub(in super::super) fn plain_template(&self) -> Option<Name> {
        match &self.parts[..] {
            [PathPart { name: Label::Name(name), .. }] if !self.global => Some(*name),
            _ => None,
        }
    }
}

impl Specifiers {
    /// The name of a type without qualifiers.
    pub(super) fn plain_name(&self) -> Option<Name> {
        let qualified = self.constant || self.volatile || self.space.is_some();
        if qualified || self.storage.constexpr { None } else { self.plain() }
    }

    fn plain(&self) -> Option<Name> {
        match &self.base {
            BaseType::Named(path) => path.plain(),
            _ => None,
        }
    }
}

impl ast::Expr {
    /// The name of an expression that is one plain identifier.
    pub(in super::super) fn plain(&self) -> Option<Name> {
        match &self.kind {
            ExprKind::Path(path) => path.plain(),
            _ => None,
        }
    }
}

/// A function template's result as it is spelled, unless it is deduced.
pub(super) fn result_of(template: &ast::Template) -> Option<(&Specifiers, Vec<DeclaratorPart>)> {
    let (specifiers, declarator) = match &template.declaration {
        Decl::Function(function) => (&function.specifiers, &function.declarator),
        Decl::Simple(simple) => (&simple.specifiers, &simple.declarators.first()?.declarator),
        _ => return None,
    };
    let [parts @ .., DeclaratorPart::Function(_)] = &declarator.parts[..] else { return None };
    let named = matches!(specifiers.base, BaseType::Named(_) | BaseType::Fundamental(_));
    named.then(|| (specifiers, parts.to_vec()))
}
