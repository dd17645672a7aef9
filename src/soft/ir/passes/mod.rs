//! The passes over the IR, one file each, and their order.

pub(crate) mod adjacent;
pub(crate) mod common;
pub(crate) mod dead;
pub(crate) mod flatten;
pub(crate) mod fold;
pub(crate) mod forward;
pub(crate) mod index;
pub(crate) mod inline;
pub(crate) mod invariant;
pub(crate) mod promote;
pub(crate) mod rewrite;
pub(crate) mod scalarise;
pub(crate) mod step;
pub(crate) mod unroll;

use super::{Function, Invalid, Module, verify};

/// Why the passes rejected a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The module breaks a rule of the IR.
    Invalid(Invalid),
    /// There is too much code.
    TooLarge(TooLarge),
}

/// A limit on the size of code was exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// What is counted.
    pub(crate) what: &'static str,
    pub(crate) number: u64,
    pub(crate) limit: u64,
    /// The function that contributes most, and how much, where calls are inlined.
    pub(crate) largest: Option<(String, u64)>,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TooLarge { what, number, limit, largest } = self;
        write!(out, "it has {number} {what}; the limit is {limit}")?;
        if let Some((name, number)) = largest {
            write!(out, "; calls of '{name}' contribute {number} of them")?;
        }
        out.write_str("; split it into several kernels, or replace repeated calls by loops")
    }
}

/// Runs all passes: a module becomes one function without calls, with scalar arithmetic only.
pub(crate) fn run(module: &Module) -> Result<Function, Refused> {
    verify(module).map_err(Refused::Invalid)?;
    let mut function = inline::run(module).map_err(Refused::TooLarge)?;
    check(module, &function, "inline");
    for (name, pass) in BEFORE_PROMOTION {
        pass(&mut function);
        check(module, &function, name);
    }
    function = promote::run(&function);
    check(module, &function, "promote");
    function = scalarise::run(&function);
    check(module, &function, "scalarise");
    for (name, pass) in PASSES {
        pass(&mut function);
        check(module, &function, name);
    }
    Ok(function)
}

type Pass = (&'static str, fn(&mut Function));

/// The passes before promotion: they make offsets constant.
const BEFORE_PROMOTION: &[Pass] = &[
    ("forward first", forward::run),
    ("fold first", fold::run),
    ("unroll", unroll::run),
    ("forward unrolled", forward::run),
    ("fold unrolled", fold::run),
    // Removes pointers to locals that were passed as arguments and are not read any more.
    ("dead first", dead::run),
];

/// The passes after scalarisation, in order.
const PASSES: &[Pass] = &[
    ("forward", forward::run),
    ("fold", fold::run),
    ("index", index::run),
    ("common", common::run),
    ("flatten", flatten::run),
    ("step", step::run),
    ("forward again", forward::run),
    ("fold again", fold::run),
    ("common again", common::run),
    ("adjacent", adjacent::run),
    ("invariant", invariant::run),
    ("dead", dead::run),
];

/// Verifies the result of a pass, in debug builds.
fn check(module: &Module, function: &Function, pass: &str) {
    if cfg!(debug_assertions) {
        let functions = vec![function.clone()];
        let entry = super::FuncId(0);
        let module = Module {
            name: module.name.clone(),
            allocations: module.allocations.clone(),
            textures: module.textures.clone(),
            samplers: module.samplers.clone(),
            functions,
            entry,
        };
        if let Err(invalid) = verify(&module) {
            super::internal_error(format!("after {pass}: {invalid}\n{module}"));
        }
    }
}
