//! Which of two templates is more specialised (C++14 temp.func.order, temp.class.order): the one
//! whose types, with unique placeholders for its parameters, match the other.

use super::super::{Checker, Class, ScopeId, ScopeKind};
use super::argument::Argument;
use super::deduce::{Deduction, signature_of};
use super::{TemplateId, pattern_of};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::diagnostics::Diagnostics;
use crate::soft::msl::types::{self, Qual, StructName, Ty, TyId, Types};

/// Placeholder values that are unlikely in programs, one per parameter. Arrays may have as many elements.
const PLACEHOLDER_VALUE: u64 = 0x5e_ed00;

/// Placeholders where only a scalar is accepted: floats, as some templates accept no other scalars.
const RARE_SCALARS: Scalars = [Scalar::BF16, Scalar::F16, Scalar::F32];

/// Placeholders that conditions on integers accept.
const INTEGERS: Scalars = [Scalar::I8, Scalar::U16, Scalar::I64];

/// Scalars that take the place of parameters, by turns.
type Scalars = [Scalar; 3];

/// The placeholders with which patterns are compared.
pub(super) const PROBES: [Option<Scalars>; 3] = [None, Some(RARE_SCALARS), Some(INTEGERS)];

impl Checker {
    /// [temp.func.order], for a call with `n` arguments.
    pub(in super::super) fn more_special_function(
        &mut self,
        a: TemplateId,
        b: TemplateId,
        arguments: usize,
    ) -> bool {
        let (a_syntax, b_syntax) = (self.syntax_of(a), self.syntax_of(b));
        let has_pack = |syntax: &ast::Template| {
            signature_of(syntax).is_some_and(|s| s.parameters.iter().any(|p| p.expands.is_some()))
        };
        self.deduces_from(b, a, arguments)
            && (!self.deduces_from(a, b, arguments) || has_pack(&b_syntax) && !has_pack(&a_syntax))
    }

    /// Whether the parameters of `parameter_side` can be deduced from the types of `argument_side`'s.
    fn deduces_from(
        &mut self,
        parameter_side: TemplateId,
        argument_side: TemplateId,
        arguments: usize,
    ) -> bool {
        let (parameter_syntax, argument_syntax) =
            (self.syntax_of(parameter_side), self.syntax_of(argument_side));
        let (Some(parameter_signature), Some(argument_signature)) =
            (signature_of(&parameter_syntax), signature_of(&argument_syntax))
        else {
            return false;
        };
        let mut answer = (false, Diagnostics::default());
        // The library's own templates accept scalars and small numbers.
        for scalars in [None, Some(RARE_SCALARS)] {
            let bindings = self.placeholders(&argument_syntax, scalars);
            answer = self.silently(|this| {
                this.deduces(
                    (parameter_side, &parameter_syntax, parameter_signature),
                    (argument_side, &argument_syntax, argument_signature),
                    &bindings,
                    arguments,
                )
            });
            if !answer.1.has_errors() {
                break;
            }
        }
        answer.0
    }

    fn deduces(
        &mut self,
        (parameter_side, parameter_syntax, parameter_signature): (
            TemplateId,
            &ast::Template,
            &Signature,
        ),
        (argument_side, argument_syntax, argument_signature): (
            TemplateId,
            &ast::Template,
            &Signature,
        ),
        bindings: &[Option<Argument>],
        arguments: usize,
    ) -> bool {
        let Ok((scope, _)) = self.bound_scope(argument_side, argument_syntax, bindings) else {
            return false;
        };
        let parameter_scope = self.templates.all[parameter_side.0 as usize].scope;
        let mut deduction = Deduction::comparing(parameter_syntax);
        for (parameter, argument) in parameter_signature
            .parameters
            .iter()
            .zip(&argument_signature.parameters)
            .take(arguments)
        {
            if argument.expands.is_some() && parameter.expands.is_none() {
                return false;
            }
            if parameter.expands.is_some() {
                return true;
            }
            let qual = self.outside(scope, |this| this.parameter_type(argument));
            let qual = match *self.types.get(qual.ty) {
                Ty::Reference(to, _) => to,
                _ => qual,
            };
            let parts = &parameter.declarator.parts;
            let met = qual.ty == Types::UNKNOWN
                || self.outside(parameter_scope, |this| {
                    this.deduce(&mut deduction, &parameter.specifiers, parts, qual)
                });
            if !met {
                return false;
            }
        }
        true
    }

    /// [temp.class.order], for two specialisations of a template.
    pub(super) fn more_special_pattern(
        &mut self,
        (a, a_scope): (&ast::Template, ScopeId),
        (b, b_scope): (&ast::Template, ScopeId),
    ) -> bool {
        let (Some(a_pattern), Some(b_pattern)) = (pattern_of(a), pattern_of(b)) else {
            return false;
        };
        // A pattern for any number of arguments is less specialised than one for their number.
        let open = |pattern: &[TemplateArgument]| {
            matches!(pattern.last(), Some(TemplateArgument::Expansion(..)))
        };
        if open(&a_pattern) && !open(&b_pattern) {
            return false;
        }
        let bindings = self.placeholders(a, None);
        let (answer, _) = self.silently(|this| {
            let Ok((scope, _)) = this.bound_scope_in(a_scope, a, &bindings) else { return false };
            let given = this.outside(scope, |this| this.explicit_arguments(&a_pattern));
            let Some(given) = given else {
                // A template with a constraint (`enable_if`) is more specialised than one without.
                return a_pattern.len() >= b_pattern.len();
            };
            let given = this.flatten(&given);
            let mut deduction = Deduction::comparing(b);
            this.outside(b_scope, |this| this.deduce_arguments(&mut deduction, &b_pattern, &given))
        });
        answer
    }

    /// Unique placeholders for a template's parameters: classes of the compiler's own, or scalars.
    pub(super) fn placeholders(
        &mut self,
        syntax: &ast::Template,
        scalars: Option<Scalars>,
    ) -> Vec<Option<Argument>> {
        let mut list = Vec::new();
        for (at, parameter) in syntax.parameters.iter().enumerate() {
            let one = match parameter {
                TemplateParameter::Type { .. } => Argument::Type(Qual::plain(match scalars {
                    Some(list) => Types::scalar(list[at % list.len()]),
                    None => self.placeholder_type(at),
                })),
                TemplateParameter::Value { .. } if scalars.is_some() => {
                    Argument::Value(Types::scalar(Scalar::I32), false, 3)
                }
                TemplateParameter::Value { .. } => {
                    let long = Types::scalar(Scalar::I64);
                    Argument::Value(long, false, PLACEHOLDER_VALUE + at as u64)
                }
                TemplateParameter::Template { .. } => {
                    list.push(None);
                    continue;
                }
            };
            list.push(Some(if parameter.is_pack() { self.pack(&[one]) } else { one }));
        }
        list
    }

    fn placeholder_type(&mut self, at: usize) -> TyId {
        while self.templates.placeholders.len() <= at {
            let name = format!("type-parameter-{}", self.templates.placeholders.len());
            let mut class = types::Struct::new(StructName::plain(name), false);
            class.complete = true;
            let id = self.types.add_class(class);
            let scope = self.new_scope(ScopeKind::Class(id), self.scope);
            self.classes.push(Class::new(scope));
            let ty = self.types.intern(Ty::Struct(id));
            self.templates.placeholders.push(ty);
        }
        self.templates.placeholders[at]
    }
}
