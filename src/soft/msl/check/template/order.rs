//! Which of two templates is the more special one (C++14 temp.func.order, temp.class.order): the one
//! whose types, made of placeholders that nothing else is, the other can take.

use super::super::{Checker, Class, ScopeKind};
use super::argument::Argument;
use super::deduce::{Deduction, signature_of};
use super::{TemplateId, pattern_of};
use crate::soft::ir::Scalar;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::types::{self, Qual, StructId, Ty, TyId, Types};

/// Values that no program writes by accident, one a parameter.
const PLACEHOLDER_VALUE: u64 = 0x5eed_0000_0000;

impl Checker {
    /// [temp.func.order], for a call with so many arguments.
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
        self.takes_types_of(b, a, arguments)
            && (!self.takes_types_of(a, b, arguments)
                || has_pack(&b_syntax) && !has_pack(&a_syntax))
    }

    /// Whether the parameters of `taker` can be deduced from the types of `giver`'s.
    fn takes_types_of(&mut self, taker: TemplateId, giver: TemplateId, arguments: usize) -> bool {
        let (taker, giver_syntax) = (self.syntax_of(taker), self.syntax_of(giver));
        let (Some(takes), Some(gives)) = (signature_of(&taker), signature_of(&giver_syntax)) else {
            return false;
        };
        let (takes, gives) = (takes.clone(), gives.clone());
        let bindings = self.placeholders(&giver_syntax);
        let (answer, _) = self.silently(|this| {
            let Ok((scope, _)) = this.bound_scope(giver, &giver_syntax, &bindings) else {
                return false;
            };
            let mut deduction = Deduction::new(&taker);
            let pairs = takes.parameters.iter().zip(&gives.parameters).take(arguments);
            for (take, give) in pairs {
                if give.expands.is_some() && take.expands.is_none() {
                    return false;
                }
                if take.expands.is_some() {
                    return true;
                }
                let qual = this.outside(scope, |this| this.parameter_type(give));
                let qual = match *this.types.get(qual.ty) {
                    Ty::Reference(to) => to,
                    _ => qual,
                };
                let parts = &take.declarator.parts;
                if qual.ty != Types::UNKNOWN
                    && !this.deduce(&mut deduction, &take.specifiers, parts, qual)
                {
                    return false;
                }
            }
            true
        });
        answer
    }

    /// [temp.class.order], for two specialisations of a template.
    pub(super) fn more_special_pattern(
        &mut self,
        id: TemplateId,
        a: &ast::Template,
        b: &ast::Template,
    ) -> bool {
        let (Some(a_pattern), Some(b_pattern)) = (pattern_of(a), pattern_of(b)) else {
            return false;
        };
        let bindings = self.placeholders(a);
        let (answer, _) = self.silently(|this| {
            let Ok((scope, _)) = this.bound_scope(id, a, &bindings) else { return false };
            let given = this.outside(scope, |this| this.explicit_arguments(&a_pattern));
            let Some(given) = given else {
                // What asks a question of its parameters (`enable_if`) asks more than the other.
                return a_pattern.len() >= b_pattern.len();
            };
            let given = this.flatten(&given);
            let mut deduction = Deduction::new(b);
            this.deduce_arguments(&mut deduction, &b_pattern, &given)
        });
        answer
    }

    /// Arguments for a template's parameters that are like nothing else.
    pub(super) fn placeholders(&mut self, syntax: &ast::Template) -> Vec<Option<Argument>> {
        let mut list = Vec::new();
        for (at, parameter) in syntax.parameters.iter().enumerate() {
            let one = match parameter {
                TemplateParameter::Type { .. } => {
                    Argument::Type(Qual::plain(self.placeholder_type(at)))
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
            let id = StructId(self.types.structs.len() as u32);
            self.types.structs.push(types::Struct {
                name: format!("type-parameter-{}", self.templates.placeholders.len()),
                fields: Vec::new(),
                size: 1,
                align: 1,
                union: false,
                complete: true,
            });
            let outer = self.scope;
            let scope = self.push_scope(ScopeKind::Class(id));
            self.scope = outer;
            self.classes.push(Class::new(scope));
            let ty = self.types.intern(Ty::Struct(id));
            self.templates.placeholders.push(ty);
        }
        self.templates.placeholders[at]
    }
}
