//! Where templates were instantiated: the notes after an error in an instance.

use super::super::{Checker, FuncId};
use super::Key;
use crate::soft::msl::ast::Decl;
use crate::soft::msl::source::Span;

/// The first use of an instance.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) key: Key,
    /// A member function of that instance.
    pub(super) member: Option<FuncId>,
    /// The position of the use, and the instance that contains it.
    pub(super) span: Span,
    pub(super) from: Option<OriginId>,
}

/// The index of an origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct OriginId(u32);

impl OriginId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A longer chain is shown by its first and last only, as in clang.
const MAX_NOTES: usize = 10;

impl super::Templates {
    pub(super) fn remember(&mut self, origin: Origin) -> OriginId {
        self.requests.push(origin);
        OriginId(self.requests.len() as u32 - 1)
    }
}

impl Checker {
    /// A member of an instance is needed for the first time here.
    pub(in super::super) fn request_member(&mut self, id: FuncId, span: Span) {
        let func = self.func(id);
        let (Some(origin), None) = (func.origin, func.made_from) else { return };
        let known = &self.templates.requests[origin.0 as usize];
        if known.member.is_some() {
            return;
        }
        let request = Origin { key: known.key.clone(), member: Some(id), span, from: self.origin };
        let request = self.templates.remember(request);
        self.functions[id.0 as usize].origin = Some(request);
    }

    /// The notes on how the instance with an error was instantiated.
    pub(in super::super) fn note_origins(&mut self) {
        let mut chain = Vec::new();
        let mut next = self.origin;
        while let Some(id) = next {
            let origin = &self.templates.requests[id.0 as usize];
            chain.push(id);
            next = origin.from;
        }
        let skipped = chain.len().saturating_sub(MAX_NOTES);
        for (at, &id) in chain.iter().enumerate() {
            if skipped > 0 && at == MAX_NOTES / 2 {
                let span = self.templates.requests[id.0 as usize].span;
                let message = format!("(skipping {skipped} contexts in backtrace)");
                self.context.diagnostics.note(span, message);
            }
            if skipped > 0 && (MAX_NOTES / 2..MAX_NOTES / 2 + skipped).contains(&at) {
                continue;
            }
            let (span, text) = self.origin_text(id);
            self.context
                .diagnostics
                .note(span, format!("in instantiation of {text} requested here"));
        }
    }

    /// `T = float, N = 4`: the template arguments of a function that is an instance.
    pub(in super::super) fn instance_arguments(&self, id: FuncId) -> Option<String> {
        let func = self.func(id);
        let (Some(_), Some(origin)) = (func.made_from, func.origin) else { return None };
        let key = &self.templates.requests[origin.0 as usize].key;
        let syntax = &self.templates.all[key.0.0 as usize].syntax;
        let shown = syntax.parameters.iter().zip(&key.1).filter_map(|(parameter, argument)| {
            let name = super::parameter_name(parameter)?;
            Some(format!("{} = {}", self.text(name), self.argument_text(*argument)))
        });
        Some(shown.collect::<Vec<_>>().join(", "))
    }

    fn origin_text(&self, id: OriginId) -> (Span, String) {
        let Origin { key, member, span, .. } = &self.templates.requests[id.0 as usize];
        let declared = &self.templates.all[key.0.0 as usize];
        let prefix = &self.scopes[declared.scope.0 as usize].prefix;
        let name = format!("{prefix}{}", self.instance_text(declared.name, &key.1));
        let text = match (member, &declared.syntax.declaration) {
            (Some(member), _) => format!("member function '{}'", self.func(*member).name),
            (None, Decl::Function(_)) => format!("function template specialization '{name}'"),
            (None, Decl::Alias { .. }) => format!("template type alias '{name}'"),
            (None, Decl::Simple(simple)) => match simple.declarators.first() {
                None => format!("template class '{name}'"),
                Some(first) if first.declarator.function().is_some() => {
                    format!("function template specialization '{name}'")
                }
                Some(_) => format!("variable template specialization '{name}'"),
            },
            _ => format!("'{name}'"),
        };
        (*span, text)
    }
}
