//! Limits of template instantiation. A few lines of templates can request any number of instances, of
//! arguments or of code; a request past a limit is an error.

use super::super::Checker;
use crate::soft::msl::diagnostics::Diagnostics;
use crate::soft::msl::source::Span;

/// A limited resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Resource {
    Instances,
    /// Elements of packs and of their expansions.
    Elements,
    /// Expressions in instances and in defaults.
    Expressions,
    /// Default arguments and default member initialisers, each time that one is needed.
    Defaults,
}

impl Resource {
    const fn limit(self) -> u64 {
        match self {
            Resource::Instances => 50_000,
            Resource::Elements => 1 << 24,
            Resource::Expressions => 1 << 23,
            Resource::Defaults => 1 << 18,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Resource::Instances => "instances of templates",
            Resource::Elements => "elements of parameter packs",
            Resource::Defaults => "default arguments and default member initializers",
            Resource::Expressions => {
                "expressions in instances of templates and in defaults of parameters and members"
            }
        }
    }
}

/// The amounts used so far.
#[derive(Debug, Default)]
pub(in super::super) struct Budget {
    used: [u64; 4],
    /// The error of the request that exceeded a limit. It is reported even if it occurred
    /// in a rejected candidate.
    exceeded: Option<Diagnostics>,
}

impl Checker {
    /// Counts an amount; past the limit, records an error and returns false.
    pub(in super::super) fn charge(&mut self, what: Resource, count: usize, span: Span) -> bool {
        let used = &mut self.templates.budget.used[what as usize];
        *used += count as u64;
        let limit = what.limit();
        if *used <= limit {
            return true;
        }
        let message = format!(
            "the library needs more than {limit} {}, which is the limit: end the recursion \
             earlier, or compile the kernels as several libraries",
            what.what()
        );
        let ((), diagnostics) = self.silently(|this| this.error(span, message));
        self.context.diagnostics.append(diagnostics.clone());
        self.templates.budget.exceeded.get_or_insert(diagnostics);
        false
    }

    /// Sets every resource to its limit.
    #[cfg(test)]
    pub(crate) fn exhaust_budget(&mut self) {
        let all =
            [Resource::Instances, Resource::Elements, Resource::Expressions, Resource::Defaults];
        self.templates.budget.used = all.map(Resource::limit);
    }

    /// Takes the error of an exceeded limit, if there is one.
    pub(in super::super) fn exceeded(&mut self) -> Option<Diagnostics> {
        self.templates.budget.exceeded.take()
    }
}
