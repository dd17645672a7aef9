//! Deduction through an alias template, which denotes its target and is not a type of its own
//! (C++14 temp.alias/2).
//!
//! `A<P...>` matches a type if A's target does, and each P matches what that deduces for A's parameter.
//! Parameters that the target does not determine, as in `typename X<T>::type`, are not deduced.

use super::super::Checker;
use super::TemplateId;
use super::argument::Argument;
use super::deduce::Deduction;
use crate::soft::msl::ast::{self, *};
use crate::soft::msl::types::Qual;

impl Checker {
    pub(super) fn deduce_alias(
        &mut self,
        deduction: &mut Deduction<'_>,
        id: TemplateId,
        spelled: &[TemplateArgument],
        found: Qual,
    ) -> bool {
        let syntax = self.syntax_of(id);
        let Decl::Alias { target, .. } = &syntax.declaration else { return true };
        // An alias that names itself has no target.
        if self.is_too_deep() {
            return false;
        }
        let mut inner = Deduction::new(&syntax);
        inner.comparing = deduction.comparing;
        let scope = self.templates.all[id.0 as usize].scope;
        self.templates.depth += 1;
        let met = self.outside(scope, |this| {
            this.deduce(&mut inner, &target.specifiers, &target.declarator.parts, found)
                && this.deduce_defaults(&mut inner, spelled.len())
        });
        self.templates.depth -= 1;
        met && self.deduce_spelled(deduction, &syntax, spelled, &inner.bindings)
    }

    /// An omitted argument is its parameter's default, which may use earlier parameters.
    fn deduce_defaults(&mut self, inner: &mut Deduction<'_>, spelled: usize) -> bool {
        let syntax = inner.syntax;
        for at in (spelled..syntax.parameters.len()).rev() {
            let (Some(default), Some(argument)) =
                (syntax.parameters[at].default_argument(), inner.bindings[at])
            else {
                continue;
            };
            if !self.deduce_argument(inner, &default, argument) {
                return false;
            }
        }
        true
    }

    /// The arguments of an alias as spelled, each with what was deduced for its parameter.
    fn deduce_spelled(
        &mut self,
        deduction: &mut Deduction<'_>,
        alias: &ast::Template,
        spelled: &[TemplateArgument],
        bindings: &[Option<Argument>],
    ) -> bool {
        let mut rest = spelled;
        for (parameter, &binding) in alias.parameters.iter().zip(bindings) {
            let Some((first, others)) = rest.split_first() else { return true };
            let met = match binding {
                // A pack takes all remaining arguments, and an expansion has no fixed number of them.
                Some(list) if parameter.is_pack() => {
                    let list = self.flatten(&[list]);
                    return self.deduce_arguments(deduction, rest, &list);
                }
                _ if parameter.is_pack() || matches!(first, TemplateArgument::Expansion(..)) => {
                    return true;
                }
                Some(argument) => self.deduce_argument(deduction, first, argument),
                None => true,
            };
            if !met {
                return false;
            }
            rest = others;
        }
        true
    }
}
